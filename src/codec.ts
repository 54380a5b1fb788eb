/**
 * What a session asks of a version of MQTT: how packets are written and read. The rules of the exchange are the
 * session's. A version is one constant of type `Codec`, chosen when a client is constructed; a program that does not
 * import it does not carry it.
 */
import type { Text } from "../hal/socket.js";
import type { DecoderHandler, StreamDecoder } from "./decoder.js";
import type { ConnectFields, Subscriptions } from "./encoder.js";

/** Writes the packets of a client; `Encoder` has the contract of each method. */
export interface PacketEncoder {
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
  subscribe(out: Uint8Array, offset: number, end: number, packetId: number, filters: Subscriptions): number;
  unsubscribe(
    out: Uint8Array,
    offset: number,
    end: number,
    packetId: number,
    filters: Record<string, unknown>,
  ): number;
  ack(out: Uint8Array, offset: number, end: number, type: number, packetId: number): number;
  empty(out: Uint8Array, offset: number, end: number, type: number): number;
  filterCount(out: Uint8Array, offset: number, end: number): number;
  markDup(out: Uint8Array, offset: number): void;
}

/** A version of MQTT. */
export interface Codec {
  encoder(text: Text): PacketEncoder;
  /** @param scratch see `Framer` */
  decoder(handler: DecoderHandler, scratch: Uint8Array): StreamDecoder;
}
