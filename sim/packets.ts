/**
 * The bytes of one direction of a connection to packets as objects, by the project's own decoders. Knows nothing of
 * what packets mean, or what came before.
 */
import type { DecoderHandler } from "../src/codec.js";
import { Decoder } from "../src/decoder.js";
import type { ServerDecoderHandler } from "../src/server-codec.js";
import {
  CLIENT_ID,
  PASSWORD,
  ServerDecoder,
  USERNAME,
  WILL_MESSAGE,
  WILL_TOPIC,
} from "../src/server-codec.js";
import * as wire from "../src/wire.js";

/** A message, or a will. */
export interface Message {
  topic: string;
  /** Its beginning, at most `KEPT` bytes. */
  payload: Uint8Array;
  /** Bytes of the whole payload. */
  payloadLength: number;
  qos: number;
  retain: boolean;
}

export interface ConnectPacket {
  type: "CONNECT";
  clientId: string;
  cleanSession: boolean;
  keepAliveSeconds: number;
  username: string | undefined;
  hasPassword: boolean;
  will: Message | undefined;
}

export interface PublishPacket extends Message {
  type: "PUBLISH";
  dup: boolean;
  /** 0 at QoS 0. */
  packetId: number;
}

export type AckType = "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" | "UNSUBACK";

export type Packet =
  | ConnectPacket
  | PublishPacket
  | { type: "CONNACK"; sessionPresent: boolean; returnCode: number }
  | { type: AckType; packetId: number }
  | { type: "SUBSCRIBE"; packetId: number; filters: { filter: string; qos: number }[] }
  | { type: "SUBACK"; packetId: number; codes: number[] }
  | { type: "UNSUBSCRIBE"; packetId: number; filters: string[] }
  | { type: "PINGREQ" | "PINGRESP" | "DISCONNECT" }
  | { type: "MALFORMED"; error: number };

/** Bytes of a payload that are kept. */
const KEPT = 256;
/** Five fields of CONNECT, each of the greatest length. */
const SCRATCH = 5 * 65537 + 10;

const ACK_TYPES: Record<number, AckType> = {
  [wire.PUBACK]: "PUBACK",
  [wire.PUBREC]: "PUBREC",
  [wire.PUBREL]: "PUBREL",
  [wire.PUBCOMP]: "PUBCOMP",
  [wire.UNSUBACK]: "UNSUBACK",
};

/** Reads one direction of one connection. */
export class PacketReader implements DecoderHandler, ServerDecoderHandler {
  readonly #onPacket: (packet: Packet) => void;
  readonly #decoder: Decoder | ServerDecoder;
  #isBroken = false;
  #fields = new Map<number, Uint8Array>();
  #filters: { filter: string; qos: number }[] = [];
  #message: PublishPacket | undefined;

  /** @param isFromClient which of the two directions it is */
  constructor(isFromClient: boolean, onPacket: (packet: Packet) => void) {
    this.#onPacket = onPacket;
    const scratch = new Uint8Array(SCRATCH);
    this.#decoder = isFromClient ? new ServerDecoder(this, scratch) : new Decoder(this, scratch);
  }

  /** Reads on. The password of a CONNECT that lies whole in `bytes` is overwritten there. */
  push(bytes: Uint8Array): void {
    if (this.#isBroken) return;
    const at = this.#decoder.push(bytes, 0, bytes.length);
    if (at >= 0) return;
    this.#isBroken = true;
    this.#onPacket({ type: "MALFORMED", error: at });
  }

  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void {
    if (field === PASSWORD) bytes.fill("*".charCodeAt(0), start, end);
    this.#fields.set(field, bytes.slice(start, end));
  }

  onConnect(cleanSession: boolean, keepAliveSeconds: number, willQos: number, willRetain: boolean): void {
    const fields = this.#fields;
    const willTopic = fields.get(WILL_TOPIC);
    const willMessage = fields.get(WILL_MESSAGE);
    const username = fields.get(USERNAME);
    this.#fields = new Map();
    this.#onPacket({
      type: "CONNECT",
      clientId: text(fields.get(CLIENT_ID)),
      cleanSession,
      keepAliveSeconds,
      username: username && text(username),
      hasPassword: fields.has(PASSWORD),
      will: willTopic && willMessage && {
        topic: text(willTopic),
        payload: willMessage.slice(0, KEPT),
        payloadLength: willMessage.length,
        qos: willQos,
        retain: willRetain,
      },
    });
  }

  onUnsupportedLevel(): void {}

  onConnack(sessionPresent: boolean, returnCode: number): void {
    this.#onPacket({ type: "CONNACK", sessionPresent, returnCode });
  }

  onTopicFilter(bytes: Uint8Array, start: number, end: number, qos: number): void {
    this.#filters.push({ filter: text(bytes.subarray(start, end)), qos });
  }

  onSubscribe(packetId: number): void {
    this.#onPacket({ type: "SUBSCRIBE", packetId, filters: this.#filters });
    this.#filters = [];
  }

  onUnsubscribe(packetId: number): void {
    this.#onPacket({ type: "UNSUBSCRIBE", packetId, filters: this.#filters.map(({ filter }) => filter) });
    this.#filters = [];
  }

  onSuback(packetId: number, bytes: Uint8Array, start: number, end: number): void {
    this.#onPacket({ type: "SUBACK", packetId, codes: [...bytes.subarray(start, end)] });
  }

  onPublish(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payloadLength: number,
  ): void {
    this.#message = {
      type: "PUBLISH",
      topic: text(bytes.subarray(topicStart, topicEnd)),
      payload: new Uint8Array(0),
      payloadLength,
      qos: (flags >> 1) & 3,
      retain: (flags & wire.RETAIN) !== 0,
      dup: (flags & wire.DUP) !== 0,
      packetId,
    };
  }

  onWhole(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    start: number,
    end: number,
    _packetLength: number,
  ): void {
    this.onPublish(flags, packetId, bytes, topicStart, topicEnd, end - start);
    this.onPayload(bytes, start, end, 0);
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    const message = this.#message!;
    const kept = Buffer.concat([message.payload, bytes.subarray(start, end)].map((part) => part.subarray(0, KEPT)));
    message.payload = new Uint8Array(kept.subarray(0, KEPT));
    if (owed === 0) this.#onPacket(message);
  }

  onAck(type: number, packetId: number): void {
    this.#onPacket({ type: ACK_TYPES[type], packetId });
  }

  onPingreq(): void {
    this.#onPacket({ type: "PINGREQ" });
  }

  onPingresp(): void {
    this.#onPacket({ type: "PINGRESP" });
  }

  onDisconnect(): void {
    this.#onPacket({ type: "DISCONNECT" });
  }
}

function text(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString("utf8");
}
