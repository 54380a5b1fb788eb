/**
 * MQTT 5 packets of a client, written into the caller's buffer: layouts and the order of fields, as `Encoder` for
 * 3.1.1, with its contract. What a packet says beside the arguments is set in a member before it.
 */
import type { Text } from "../../hal/socket.js";
import { isNil } from "../arguments.js";
import type { ConnectFields, PacketEncoder } from "../codec.js";
import { headerLength, seal, writeField, writeHeader, writeUint16 } from "../encoder.js";
import { ILL_FORMED, ILL_FORMED_PAYLOAD, NO_ROOM, TOO_LONG } from "../errors.js";
import { isTopicName } from "../topic.js";
import { CONNECT, DUP, MAX_FIELD_LENGTH, PUBLISH, PUBREL, RESERVED_FLAGS, RETAIN, SUBSCRIBE } from "../wire.js";
import type { GivenProperties } from "./properties.js";
import { behindVarint, readUint16, readVarint, writeProperties, writeProperty } from "./properties.js";
import {
  PACKET_TOO_LARGE,
  QOS_NOT_SUPPORTED,
  RETAIN_NOT_SUPPORTED,
  SHARED_SUBSCRIPTIONS_NOT_SUPPORTED,
  SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED,
  TOPIC_ALIAS,
  WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
} from "./wire.js";

/** What CONNECT of MQTT 5 says beside the rest. */
export interface ConnectFields5 extends ConnectFields {
  /** Those of the application and those that follow from capacities, as bytes without their length. */
  given: Uint8Array;
  willProperties: Uint8Array;
}

/** Encodes the packets that a client sends. */
export class Encoder5 implements PacketEncoder {
  readonly level = 5;
  /** Of the next PUBLISH, SUBSCRIBE or UNSUBSCRIBE, and not of one more: values that are right. */
  given: GivenProperties | undefined = undefined;
  /** Of the next PUBLISH; 0: none. */
  alias = 0;
  /** Of the next acknowledgement or DISCONNECT. */
  code = 0;
  // What the broker does not take. What is beyond that is refused with a reason code below 0.
  /** QoS and RETAIN as in the first byte of a PUBLISH. */
  refusedFlags = 0;
  maxPacketSize = Infinity;
  hasIdentifiers = true;
  hasShared = true;
  hasWildcards = true;
  private readonly _text: Text;

  /** @param text the platform's conversion of strings */
  constructor(text: Text) {
    this._text = text;
  }

  /** CONNECT with protocol version 5 (3.1). */
  connect(out: Uint8Array, offset: number, end: number, fields: ConnectFields): number {
    const text = this._text;
    const fields5 = fields as ConnectFields5;
    const will = fields.will;
    const username = fields.username;
    const password = fields.password;
    const body = offset + headerLength(11);
    let flags = fields.cleanSession ? 2 : 0;
    if (will) flags |= 4 | (will.qos << 3) | (will.retain ? 32 : 0);
    if (username !== undefined) flags |= 128;
    if (password !== undefined) flags |= 64;
    let at = writeField(text, out, body, end, "MQTT");
    at = writeUint16(out, at, end, (5 << 8) | flags);
    at = writeUint16(out, at, end, fields.keepAliveSeconds);
    const start = at;
    at = writeBytes(out, start + 1, end, fields5.given);
    at = sealProperties(out, start, at, end);
    // The order is prescribed [MQTT5-3.1.3-1].
    at = writeField(text, out, at, end, fields.clientId);
    if (will) {
      at = sealProperties(out, at, writeBytes(out, at + 1, end, fields5.willProperties), end);
      at = writeField(text, out, at, end, will.topic);
      at = writeField(text, out, at, end, will.message);
    }
    if (username !== undefined) at = writeField(text, out, at, end, username);
    if (password !== undefined) at = writeField(text, out, at, end, password);
    return seal(out, offset, body, at, end, CONNECT << 4);
  }

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
    if ((flags & this.refusedFlags) !== 0) {
      return (flags & this.refusedFlags & RETAIN) !== 0 ? -RETAIN_NOT_SUPPORTED : -QOS_NOT_SUPPORTED;
    }
    // Spelt out what `writeField` and `seal` would do: this is the packet that is sent most.
    const payloadLength = payload.length;
    // A string has at least as many bytes as it has UTF-16 code units.
    const length = topic.length + payloadLength + (packetId === 0 ? 3 : 5);
    const body = offset + (length < 128 ? 2 : headerLength(length));
    if (body + 2 > end) return NO_ROOM;
    let at = text.encode(topic, out, body + 2, end);
    if (at < 0) return at;
    const topicLength = at - body - 2;
    if (topicLength > MAX_FIELD_LENGTH) return TOO_LONG;
    out[body] = topicLength >> 8;
    out[body + 1] = topicLength & 255;
    if (packetId !== 0) at = writeUint16(out, at, end, packetId);
    if (this.given || this.alias > 0) at = this._properties(out, at, end);
    else if (at === end) return NO_ROOM;
    else if (at > 0) out[at++] = 0;
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
    if (at < 0 || at - body > 127) return this._fit(offset, seal(out, offset, body, at, end, first));
    out[offset] = first;
    out[offset + 1] = at - body;
    return at - offset > this.maxPacketSize ? -PACKET_TOO_LARGE : at;
  }

  /** The values are the options of each subscription: QoS, No Local, Retain As Published and Retain Handling. */
  filters(
    out: Uint8Array,
    offset: number,
    end: number,
    type: number,
    packetId: number,
    filters: Record<string, unknown>,
  ): number {
    const body = offset + headerLength(2);
    if (type === SUBSCRIBE) {
      const hasIdentifier = this.given && !isNil(this.given.subscriptionIdentifier);
      if (hasIdentifier && !this.hasIdentifiers) return -SUBSCRIPTION_IDENTIFIERS_NOT_SUPPORTED;
      for (const filter in filters) {
        if (!this.hasShared && filter.indexOf("$share/") === 0) return -SHARED_SUBSCRIPTIONS_NOT_SUPPORTED;
        if (!this.hasWildcards && !isTopicName(filter)) return -WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED;
      }
    }
    let at = this._properties(out, writeUint16(out, body, end, packetId), end);
    for (const filter in filters) {
      at = writeField(this._text, out, at, end, filter);
      if (at < 0) return at;
      if (type === SUBSCRIBE) {
        if (at === end) return NO_ROOM;
        out[at++] = filters[filter] as number;
      }
    }
    return this._fit(offset, seal(out, offset, body, at, end, (type << 4) | RESERVED_FLAGS));
  }

  /**
   * PUBACK, PUBREC, PUBREL or PUBCOMP, four bytes or with a reason code five; with packet id 0 PINGREQ or DISCONNECT,
   * two bytes or with a reason code three.
   */
  short(out: Uint8Array, offset: number, end: number, type: number, packetId: number): number {
    const reasonCode = this.code;
    this.code = 0;
    const length = (packetId === 0 ? 0 : 2) + (reasonCode === 0 ? 0 : 1);
    if (offset + 2 + length > end) return NO_ROOM;
    out[offset] = (type << 4) | (type === PUBREL ? RESERVED_FLAGS : 0);
    out[offset + 1] = length;
    if (packetId !== 0) writeUint16(out, offset + 2, end, packetId);
    if (reasonCode !== 0) out[offset + 1 + length] = reasonCode;
    return offset + 2 + length;
  }

  /** DISCONNECT or AUTH; properties are encoded, without their length (3.14, 3.15). */
  long(type: number, reasonCode: number, properties: Uint8Array): Uint8Array {
    // What is left out is 0, and no properties.
    if (properties.length === 0 && reasonCode === 0) return new Uint8Array([type << 4, 0]);
    const length = 1 + headerLength(properties.length) - 1 + properties.length;
    const out = new Uint8Array(headerLength(length) + length);
    const at = writeHeader(out, 0, type << 4, length);
    // The length of properties is written as that of a packet is.
    out.set(properties, writeHeader(out, at, reasonCode, properties.length));
    return out;
  }

  filterCount(out: Uint8Array, offset: number, end: number): number {
    const isSubscribe = out[offset] >> 4 === SUBSCRIBE;
    let at = behindVarint(out, offset + 1, end) + 2;
    const start = at;
    at = behindVarint(out, at, end);
    at += readVarint(out, start, at);
    let count = 0;
    while (at < end) {
      at += 2 + readUint16(out, at) + (isSubscribe ? 1 : 0);
      count++;
    }
    return count;
  }

  markDup(out: Uint8Array, offset: number): void {
    out[offset] |= DUP;
  }

  /** A packet that ends at `at`, unless the broker does not take so long a one. */
  private _fit(offset: number, at: number): number {
    return at - offset > this.maxPacketSize ? -PACKET_TOO_LARGE : at;
  }

  /** Writes those that were set, and their length. Passes a negative `at` on. */
  private _properties(out: Uint8Array, at: number, end: number): number {
    if (at < 0) return at;
    const text = this._text;
    let next = at + 1 > end ? NO_ROOM : at + 1;
    if (this.alias > 0) next = writeProperty(text, out, next, end, TOPIC_ALIAS, this.alias);
    if (this.given) next = writeProperties(text, out, next, end, this.given);
    return sealProperties(out, at, next, end);
  }
}

/** Properties as bytes, without their length. */
export function encodeProperties(text: Text, properties: object): Uint8Array {
  for (let capacity = 64; ; capacity *= 4) {
    const out = new Uint8Array(capacity);
    const at = writeProperties(text, out, 0, capacity, properties);
    if (at !== NO_ROOM) return out.slice(0, at > 0 ? at : 0);
  }
}

/** Copies bytes. Returns the offset behind them. */
function writeBytes(out: Uint8Array, at: number, end: number, bytes: Uint8Array): number {
  if (at < 1) return NO_ROOM;
  if (at + bytes.length > end) return NO_ROOM;
  out.set(bytes, at);
  return at + bytes.length;
}

/** Puts their length in front of properties that were written behind the byte at `start`. */
function sealProperties(out: Uint8Array, start: number, at: number, end: number): number {
  if (at < 0) return at;
  const length = at - start - 1;
  const more = headerLength(length) - 2;
  if (more > 0) {
    if (at + more > end) return NO_ROOM;
    out.copyWithin(start + 1 + more, start + 1, at);
  }
  // Its header begins a byte earlier than its length.
  const before = out[start - 1];
  writeHeader(out, start - 1, before, length);
  return at + more;
}
