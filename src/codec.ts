/**
 * What a session asks of a version of MQTT: how packets are written and read. The rules of the exchange are the
 * session's. A version is one constant of type `Codec`, chosen when a client is constructed; a program that does not
 * import it does not carry it.
 */
import type { Text } from "../hal/socket.js";

/** The message that the broker publishes when the connection ends without DISCONNECT (3.1.2.5). */
export interface Will {
  topic: string;
  message: string | Uint8Array;
  qos: number;
  retain: boolean;
}

/** What CONNECT says (3.1). Undefined fields are not sent. */
export interface ConnectFields {
  clientId: string;
  cleanSession: boolean;
  /** 0..65535; 0: no keep alive. */
  keepAliveSeconds: number;
  will: Will | undefined;
  username: string | undefined;
  /** Only beside a username [MQTT-3.1.2-22]. */
  password: string | Uint8Array | undefined;
}

/** Topic Filters and their requested QoS, in the order of the keys. */
export type Subscriptions = Record<string, number>;

/** Takes the messages of a stream; the same for either direction. */
export interface MessageHandler {
  /**
   * A PUBLISH begins. Its topic name is `bytes[topicStart..topicEnd)`: not checked but for its length, and an empty
   * window when it is too long for the scratch area (an empty topic name never gets here).
   *
   * @param flags DUP, QoS and RETAIN as in the first byte; the QoS is 0..2
   * @param packetId 1..65535, or 0 at QoS 0
   * @param payloadLength bytes of payload that `onPayload` will bring
   * @param packetLength bytes of the whole packet, header included
   */
  onPublish(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payloadLength: number,
    packetLength: number,
  ): void;
  /** The next part of the payload; `owed` bytes are to follow. Called until that is 0: once for an empty payload. */
  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void;
  /** PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK; the packet id is not 0. */
  onAck(type: number, packetId: number): void;
}

/** Takes what a broker sends. */
export interface DecoderHandler extends MessageHandler {
  /**
   * A whole message: `onPublish` and, with the payload `bytes[start..end)`, `onPayload` in one, which may be called
   * when the message lies in one chunk.
   */
  onWhole(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    start: number,
    end: number,
    packetLength: number,
  ): void;
  onConnack(sessionPresent: boolean, returnCode: number): void;
  /** SUBACK; its return codes, each 0, 1, 2 or 0x80, are `bytes[start..end)`, at least one. */
  onSuback(packetId: number, bytes: Uint8Array, start: number, end: number): void;
  onPingresp(): void;
}

/** What a decoder is, to those who feed one: also one of another version of the protocol. */
export interface StreamDecoder {
  /** Bytes at the front of `scratch` that are in use; the next chunk must not begin before them. */
  readonly filled: number;
  /** True inside a packet: its first byte was read, its last was not. */
  isMidPacket(): boolean;
  /**
   * Reads `bytes[start..end)`, calls the handler, and returns how far it read: `end`, or less when `stop` was called.
   * A negative code of `errors.ts` means that the stream cannot be read on; every later call returns the same.
   */
  push(bytes: Uint8Array, start: number, end: number): number;
  /**
   * For the handler, during `push`: return behind the call that is under way instead of reading on. Only an empty
   * payload is still told, since no byte will bring it.
   */
  stop(): void;
  /** Forgets everything: what is pushed next begins a stream. During `push` it also stops, without one more call. */
  reset(): void;
}

/** Writes the packets of a client; `Encoder` has the contract of each method. */
export interface PacketEncoder {
  /** 5: MQTT 5. Not there: an older version. */
  readonly level?: number;
  /** Bytes of the longest packet that the broker takes, where it can say so. */
  readonly maxPacketSize?: number;
  connect(out: Uint8Array, offset: number, end: number, fields: ConnectFields): number;
  publish(
    out: Uint8Array,
    offset: number,
    end: number,
    flags: number,
    packetId: number,
    topic: string,
    payload: string | Uint8Array,
  ): number;
  filters(
    out: Uint8Array,
    offset: number,
    end: number,
    type: number,
    packetId: number,
    filters: Record<string, unknown>,
  ): number;
  short(out: Uint8Array, offset: number, end: number, type: number, packetId: number): number;
  filterCount(out: Uint8Array, offset: number, end: number): number;
  markDup(out: Uint8Array, offset: number): void;
}

/** A version of MQTT. */
export interface Codec {
  encoder(text: Text): PacketEncoder;
  /** @param scratch see `Framer` */
  decoder(handler: DecoderHandler, scratch: Uint8Array): StreamDecoder;
}
