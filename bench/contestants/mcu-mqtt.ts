/** Ours, with Node's defaults. */
import { createMqtt, MQTT_3_1_1, type Hal, type Socket, type SocketHandler } from "mcu-mqtt/client";
import { Decoder, Encoder } from "mcu-mqtt/core";
import nodeHal from "mcu-mqtt/hal/node";
import type { Contestant } from "./contestant.js";

const CONNACK = new Uint8Array([0x20, 2, 0, 0]);
/** More than is ever written between two chunks. */
const ROOM = 65536;
/** Bytes of the longest packet of the tables, and more. */
const LONGEST = 32768;

/** A connection without a network, to which chunks are handed. */
class ChunkSocket implements Socket {
  readonly #handler: SocketHandler;
  #chunk: Uint8Array = CONNACK;
  #at = 0;

  constructor(handler: SocketHandler) {
    this.#handler = handler;
  }

  accept(): void {
    this.#handler.onWritable(ROOM);
    this.hand(CONNACK);
  }

  hand(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
    this.#handler.onReadable(chunk.length);
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    const behind = this.#at + end - start;
    bytes.set(this.#chunk.subarray(this.#at, behind), start);
    this.#at = behind;
    return end - start;
  }

  write(): number {
    return ROOM;
  }

  close(): void {
    throw new Error("the client has closed the connection");
  }
}

export default {
  name: "mcu-mqtt",
  given:
    "Encode: the Encoder of mcu-mqtt/core writes into one buffer. Decode, ranges: the Decoder of mcu-mqtt/core. " +
    "Decode, messages: the public client with format \"buffer\", from its socket's callback on, so that reading the " +
    "socket, the checks of the protocol and, at QoS 1, PUBACK are counted, too.",

  encoder(message) {
    const encoder = new Encoder(nodeHal.createText());
    const out = new Uint8Array(LONGEST);
    const packetId = message.qos === 0 ? 0 : 1;
    const encode = (): number =>
      encoder.publish(out, 0, LONGEST, message.qos << 1, packetId, message.topic, message.payload);
    return { encode, packet: () => out.slice(0, encode()) };
  },

  rangeDecoder(onMessage) {
    const unexpected = (): never => {
      throw new Error("not a PUBLISH");
    };
    const decoder = new Decoder(
      {
        onWhole: onMessage,
        onPublish: () => undefined,
        onPayload(_bytes, _start, _end, owed) {
          if (owed === 0) onMessage();
        },
        onAck: unexpected,
        onConnack: unexpected,
        onSuback: unexpected,
        onPingresp: unexpected,
      },
      new Uint8Array(1024),
    );
    return (chunk) => {
      if (decoder.push(chunk, 0, chunk.length) < 0) throw new Error("an error in the stream");
    };
  },

  messageDecoder(onMessage) {
    let socket: ChunkSocket | undefined;
    const hal: Hal = {
      ...nodeHal,
      open: (_host, _port, _secure, handler) => (socket = new ChunkSocket(handler)),
      createTimer: () => ({ schedule: () => undefined, clear: () => undefined }),
    };
    const { Client } = createMqtt(hal, MQTT_3_1_1);
    const client = new Client("bench", null, null, null, 1, { format: "buffer", maxMessageLength: LONGEST });
    client.on("message", (_client, topic, payload: Uint8Array) => {
      onMessage(topic, payload);
    });
    client.connect("localhost");
    if (socket === undefined) throw new Error("the client did not connect");
    const up = socket;
    up.accept();
    return (chunk) => {
      up.hand(chunk);
    };
  },
} satisfies Contestant;
