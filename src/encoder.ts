/**
 * MQTT 3.1.1 packets of a client, written into the caller's buffer. Knows layouts and the order of fields; whether a
 * value makes sense (a topic without wildcards, a qos of 0..2) is for the caller to check.
 *
 * Text becomes bytes by the platform's native conversion, so a length is known only once the bytes are there. Hence
 * each packet is written body first, behind the smallest header it can have, and sealed: the header goes in front, and
 * only where characters beyond ASCII made its length field grow does the body move, by `copyWithin`.
 *
 * Invariant: a call writes to `out[offset..end)` only, and returns the new offset, or a negative code of `errors.ts`;
 * on a negative code those bytes are undefined and nothing else has changed.
 */
import type { Text } from "../hal/socket.js";
import type { ConnectFields, PacketEncoder } from "./codec.js";
import { ILL_FORMED, ILL_FORMED_PAYLOAD, NO_ROOM, TOO_LONG } from "./errors.js";
import {
  CONNECT,
  DUP,
  MAX_FIELD_LENGTH,
  MAX_REMAINING_LENGTH,
  PUBLISH,
  PUBREL,
  RESERVED_FLAGS,
  SUBSCRIBE,
} from "./wire.js";

/** Bytes of a header whose remaining length is `length`: the type, and one to four bytes of length (2.2.3). */
export function headerLength(length: number): number {
  return length < 128 ? 2 : length < 16384 ? 3 : length < 2097152 ? 4 : 5;
}

/** Writes the header and returns the offset behind it. There must be `headerLength(length)` bytes of room. */
export function writeHeader(out: Uint8Array, offset: number, first: number, length: number): number {
  out[offset++] = first;
  let rest = length;
  while (rest > 127) {
    out[offset++] = (rest & 127) | 128;
    rest >>= 7;
  }
  out[offset++] = rest;
  return offset;
}

/**
 * Puts the header in front of the body that ends at `at`, where `body` is where it began: `headerLength` of a length
 * that the body was known to have at least, behind `offset`. Passes a negative `at` on.
 */
export function seal(out: Uint8Array, offset: number, body: number, at: number, end: number, first: number): number {
  if (at < 0) return at;
  const length = at - body;
  if (length > MAX_REMAINING_LENGTH) return TOO_LONG;
  const start = offset + headerLength(length);
  if (start !== body) {
    if (start + length > end) return NO_ROOM;
    out.copyWithin(start, body, at);
  }
  writeHeader(out, offset, first, length);
  return start + length;
}

/** Writes a two-byte number. Passes a negative `at` on. */
export function writeUint16(out: Uint8Array, at: number, end: number, value: number): number {
  if (at < 0) return at;
  if (at + 2 > end) return NO_ROOM;
  out[at] = value >> 8;
  out[at + 1] = value & 255;
  return at + 2;
}

/** Writes a string or bytes with two bytes of length in front (1.5.3). Passes a negative `at` on. */
export function writeField(text: Text, out: Uint8Array, at: number, end: number, value: string | Uint8Array): number {
  if (at < 0) return at;
  const isText = typeof value === "string";
  const body = at + 2;
  let behind = isText ? body : body + value.length;
  if (behind > end) return NO_ROOM;
  if (isText) behind = text.encode(value, out, body, end);
  else out.set(value, body);
  if (behind < 0) return behind;
  if (behind - body > MAX_FIELD_LENGTH) return TOO_LONG;
  writeUint16(out, at, end, behind - body);
  return behind;
}

/** Encodes the packets that a client sends. Keeps nothing between calls. */
export class Encoder implements PacketEncoder {
  private readonly _text: Text;

  /** @param text the platform's conversion of strings */
  constructor(text: Text) {
    this._text = text;
  }

  /** CONNECT with protocol name `MQTT`, level 4 (3.1). */
  connect(out: Uint8Array, offset: number, end: number, fields: ConnectFields): number {
    const text = this._text;
    const will = fields.will;
    const username = fields.username;
    const password = fields.password;
    const body = offset + headerLength(10);
    let flags = fields.cleanSession ? 2 : 0;
    if (will) flags |= 4 | (will.qos << 3) | (will.retain ? 32 : 0);
    if (username !== undefined) flags |= 128;
    if (password !== undefined) flags |= 64;
    let at = writeField(text, out, body, end, "MQTT");
    at = writeUint16(out, at, end, (4 << 8) | flags);
    at = writeUint16(out, at, end, fields.keepAliveSeconds);
    // The order is prescribed [MQTT-3.1.3-1].
    at = writeField(text, out, at, end, fields.clientId);
    if (will) {
      at = writeField(text, out, at, end, will.topic);
      at = writeField(text, out, at, end, will.message);
    }
    if (username !== undefined) at = writeField(text, out, at, end, username);
    if (password !== undefined) at = writeField(text, out, at, end, password);
    return seal(out, offset, body, at, end, CONNECT << 4);
  }

  /**
   * PUBLISH (3.3). A payload is copied as it is; a string becomes UTF-8.
   *
   * @param flags DUP, QoS and RETAIN as in the first byte
   * @param packetId 1..65535, or 0 at QoS 0
   */
  publish(
    out: Uint8Array,
    offset: number,
    end: number,
    flags: number,
    packetId: number,
    topic: string,
    payload: string | Uint8Array,
  ): number {
    const text = this._text;
    // Spelt out what `writeField` and `seal` would do: this is the packet that is sent most.
    const payloadLength = payload.length;
    // A string has at least as many bytes as it has UTF-16 code units.
    const length = topic.length + payloadLength + (packetId === 0 ? 2 : 4);
    const body = offset + (length < 128 ? 2 : headerLength(length));
    if (body + 2 > end) return NO_ROOM;
    let at = text.encode(topic, out, body + 2, end);
    if (at < 0) return at;
    const topicLength = at - body - 2;
    if (topicLength > MAX_FIELD_LENGTH) return TOO_LONG;
    out[body] = topicLength >> 8;
    out[body + 1] = topicLength & 255;
    if (packetId !== 0) at = writeUint16(out, at, end, packetId);
    if (typeof payload === "string") {
      if (at >= 0) at = text.encode(payload, out, at, end);
      if (at === ILL_FORMED) return ILL_FORMED_PAYLOAD;
    } else if (at < 0 || at + payloadLength > end) {
      return NO_ROOM;
    } else {
      out.set(payload, at);
      at += payloadLength;
    }
    const first = (PUBLISH << 4) | flags;
    if (at < 0 || at - body > 127) return seal(out, offset, body, at, end, first);
    out[offset] = first;
    out[offset + 1] = at - body;
    return at;
  }

  /**
   * SUBSCRIBE (3.8) or UNSUBSCRIBE (3.10), all filters in one packet; for the latter the values do not matter. There
   * must be at least one filter [MQTT-3.8.3-3] [MQTT-3.10.3-2].
   */
  filters(
    out: Uint8Array,
    offset: number,
    end: number,
    type: number,
    packetId: number,
    filters: Record<string, unknown>,
  ): number {
    const body = offset + headerLength(2);
    let at = writeUint16(out, body, end, packetId);
    for (const filter in filters) {
      at = writeField(this._text, out, at, end, filter);
      if (at < 0) return at;
      if (type === SUBSCRIBE) {
        if (at === end) return NO_ROOM;
        out[at++] = filters[filter] as number;
      }
    }
    return seal(out, offset, body, at, end, (type << 4) | RESERVED_FLAGS);
  }

  /**
   * PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7), four bytes; with packet id 0 PINGREQ or DISCONNECT (3.12, 3.14),
   * two bytes.
   */
  short(out: Uint8Array, offset: number, end: number, type: number, packetId: number): number {
    const length = packetId === 0 ? 0 : 2;
    if (offset + 2 + length > end) return NO_ROOM;
    out[offset] = (type << 4) | (type === PUBREL ? RESERVED_FLAGS : 0);
    out[offset + 1] = length;
    if (length > 0) {
      out[offset + 2] = packetId >> 8;
      out[offset + 3] = packetId & 255;
    }
    return offset + 2 + length;
  }

  /** Count of Topic Filters in the SUBSCRIBE at `out[offset..end)`: its SUBACK has as many codes (3.9.3). */
  filterCount(out: Uint8Array, offset: number, end: number): number {
    let at = offset + 1;
    while (out[at] > 127) at++;
    at += 3;
    let count = 0;
    while (at < end) {
      at += 3 + ((out[at] << 8) | out[at + 1]);
      count++;
    }
    return count;
  }

  /** Sets DUP in a PUBLISH that was written to `out` at `offset` [MQTT-3.3.1-1]. */
  markDup(out: Uint8Array, offset: number): void {
    out[offset] |= DUP;
  }
}
