/** The codec of MQTT.js, through the functions that take and give whole packets. */
import { generate, parser, type IPublishPacket, type Packet } from "mqtt-packet";
import type { Contestant, Message } from "./contestant.js";

/** A packet object for the message; its topic is to be set. */
export function packetOf(message: Message): IPublishPacket {
  const { buffer, byteOffset, length } = message.payload;
  return {
    cmd: "publish",
    topic: message.topic,
    payload: Buffer.from(buffer, byteOffset, length),
    qos: message.qos,
    messageId: 1,
    dup: false,
    retain: false,
  };
}

function decoder(onPacket: (packet: IPublishPacket) => void): (chunk: Uint8Array) => void {
  const parse = parser();
  parse.on("packet", (packet: Packet) => {
    if (packet.cmd !== "publish") throw new Error("not a PUBLISH");
    onPacket(packet);
  });
  parse.on("error", (error: Error) => {
    throw error;
  });
  return (chunk) => {
    parse.parse(chunk as Buffer);
  };
}

export default {
  name: "mqtt-packet",
  given: "generate() with one packet object for all, and its payload a Buffer; the parser gets Buffers.",

  encoder(message) {
    const packet = packetOf(message);
    const encode = (): Buffer => {
      packet.topic = message.topic;
      return generate(packet);
    };
    return { encode: () => encode().length, packet: encode };
  },

  rangeDecoder: (onMessage) => decoder(onMessage),

  messageDecoder: (onMessage) =>
    decoder((packet) => {
      onMessage(packet.topic, packet.payload as Buffer);
    }),
} satisfies Contestant;
