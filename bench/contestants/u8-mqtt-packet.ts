/** The codec of u8-mqtt, put together as u8-mqtt does for MQTT 3.1.1. */
// @ts-expect-error: without types
import createCodec from "u8-mqtt-packet/esm/codec_bind.js";
// @ts-expect-error: without types
import optionsOfClient from "u8-mqtt-packet/esm/codec_v4_client.js";
import type { Contestant } from "./contestant.js";

interface Packet {
  topic: string;
  payload: Uint8Array;
  qos: number;
  pkt_id?: number;
}

interface Codec {
  encode_pkt(type: "publish", packet: Packet): Uint8Array;
  mqtt_stream(): { decode(chunk: Uint8Array): Packet[] };
}

const newCodec = (): Codec => (createCodec as (level: number, options: unknown, api: object) => Codec)(
  4,
  optionsOfClient,
  {},
);

export default {
  name: "u8-mqtt-packet",
  given: "The codec that u8-mqtt loads; one packet object for all.",

  encoder(message) {
    const codec = newCodec();
    const packet = { topic: message.topic, payload: message.payload, qos: message.qos, pkt_id: 1 };
    const encode = (): Uint8Array => {
      packet.topic = message.topic;
      return codec.encode_pkt("publish", packet);
    };
    return { encode: () => encode().length, packet: encode };
  },

  rangeDecoder(onMessage) {
    const stream = newCodec().mqtt_stream();
    return (chunk) => {
      stream.decode(chunk).forEach(onMessage);
    };
  },

  messageDecoder(onMessage) {
    const stream = newCodec().mqtt_stream();
    return (chunk) => {
      for (const { topic, payload } of stream.decode(chunk)) onMessage(topic, payload);
    };
  },
} satisfies Contestant;
