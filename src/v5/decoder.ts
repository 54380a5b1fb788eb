/**
 * Bytes to packets, MQTT 5. `Framer5` finds packets and messages with their properties; `Decoder5` knows those that a
 * broker sends, and checks each whole before the handler hears of it.
 *
 * Nothing is allocated: properties are shown where they lie, by the one `Properties` of the decoder, during the call.
 *
 * Invariant: as of `Framer`. What precedes the payload of a PUBLISH, its properties among it, has to fit `scratch`.
 */
import type { DecoderHandler, MessageHandler } from "../codec.js";
import { AWAIT_BODY, checkFlags, Framer } from "../decoder.js";
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  CONNACK_REFUSED_PROTOCOL_VER,
  UNEXPECTED_PACKET,
} from "../errors.js";
import {
  CONNACK,
  DISCONNECT,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  QOS_1,
  QOS_2,
  SUBACK,
  UNSUBACK,
} from "../wire.js";
import type { Properties } from "./properties.js";
import { behindVarint, readUint16, readVarint } from "./properties.js";
import { isReason } from "./reasons.js";
import { AUTH, MALFORMED_PACKET, PACKET_TOO_LARGE, PROTOCOL_ERROR, SESSION_EXPIRY_INTERVAL } from "./wire.js";

/** Of the packets that a broker sends beside PUBLISH and PINGRESP, a bit for each. */
const EXPECTED = (1 << CONNACK) | (1 << PUBACK) | (1 << PUBREC) | (1 << PUBREL) | (1 << PUBCOMP) | (1 << SUBACK) |
  (1 << UNSUBACK) | (1 << DISCONNECT) | (1 << AUTH);
/** Bytes of a PUBLISH at QoS 0 without topic name, properties and payload. */
const SHORTEST_MESSAGE = 5;

/**
 * Takes what a broker sends. What a packet has beside the arguments is in the decoder during the call: its properties,
 * `said`, and of an acknowledgement its reason code. The topic name of a message that has an alias may be empty.
 */
export interface DecoderHandler5 extends DecoderHandler {
  /** UNSUBACK; its reason codes are `bytes[start..end)`, at least one. */
  onUnsuback(packetId: number, bytes: Uint8Array, start: number, end: number): void;
  onDisconnect(reasonCode: number): void;
  onAuth(reasonCode: number): void;
}

/** Finds packets of MQTT 5 in a stream. What it finds wrong is a code of errors.ts, or a reason code below 0. */
export abstract class Framer5 extends Framer {
  /** Those of the packet that is being told. */
  readonly said: Properties;
  /** Bytes of the longest packet that may come. */
  maxPacketSize = Infinity;

  constructor(messages: MessageHandler, scratch: Uint8Array, properties: Properties) {
    super(messages, scratch);
    this.said = properties;
  }

  override reset(): void {
    super.reset();
    this.said.fault = 0;
  }

  override _begin(): void {
    const first = this._first;
    const length = this._owed;
    const isPublish = first >> 4 === PUBLISH;
    let error = first >> 4 === AUTH ? (first & 15) === 0 ? 0 : BAD_HEADER : checkFlags(first);
    if (error === 0) error = this._accepts(first, length, this._scratch.length);
    if (error === 0 && isPublish && length < SHORTEST_MESSAGE - 2) error = BAD_LENGTH;
    this._packetLength += length;
    if (error === 0 && this._packetLength > this.maxPacketSize) error = -PACKET_TOO_LARGE;
    // The packet before this one.
    if (this.said.fault !== 0) error = -this.said.fault;
    if (error !== 0) return this._fail(error);
    this._need = isPublish ? 2 : length;
    this._needsTopicLength = isPublish;
    if (length === 0) this._body(this._scratch, 0, 0);
    else this._state = AWAIT_BODY;
  }

  /** More of what precedes a payload is there, as far as it was needed: what else there is of it is known, or all. */
  override _topic(bytes: Uint8Array, at: number): void {
    const fixed = 2 + readUint16(bytes, at) + ((this._first & (QOS_1 | QOS_2)) === 0 ? 0 : 2);
    let need = this._need;
    if (need === 2) {
      // Up to the first byte of the length of properties.
      need = fixed + 1;
    } else if (bytes[at + need - 1] > 127) {
      if (need === fixed + 4) return this._fail(-MALFORMED_PACKET);
      need++;
    } else {
      need += readVarint(bytes, at + fixed, at + need);
      this._needsTopicLength = false;
    }
    if (need > this._owed) return this._fail(BAD_LENGTH);
    if (need > this._scratch.length) return this._fail(-PACKET_TOO_LARGE);
    this._need = need;
    if (this._needsTopicLength) return;
    this._owed -= need;
    // It is gathered, and there are no properties to be waited for.
    if (this.filled !== need) return;
    this.filled = 0;
    this._body(bytes, at, at + need);
  }

  override _body(bytes: Uint8Array, start: number, end: number): void {
    const first = this._first;
    if (first >> 4 !== PUBLISH) return super._body(bytes, start, end);
    const topicLength = readUint16(bytes, start);
    const behind = start + 2 + topicLength + ((first & (QOS_1 | QOS_2)) === 0 ? 0 : 2);
    let at = behind;
    while (bytes[at++] > 127);
    const error = this.said.take(bytes, at, end, PUBLISH);
    if (error !== 0) return this._fail(-error);
    if (topicLength === 0 && this.said.alias === 0) return this._fail(-PROTOCOL_ERROR);
    super._body(bytes, start, behind);
  }
}

/** Reads the packets that a broker sends to a client. */
export class Decoder5 extends Framer5 {
  /** Of the acknowledgement that is being told. */
  code = 0;
  private readonly _handler: DecoderHandler5;

  /**
   * @param handler gets what was read; its methods run inside `push`
   * @param scratch as for `Framer`; also bounds every packet but PUBLISH, and of PUBLISH what precedes its payload
   * @param properties what shows the handler those of a packet
   */
  constructor(handler: DecoderHandler5, scratch: Uint8Array, properties: Properties) {
    super(handler, scratch, properties);
    this._handler = handler;
  }

  protected override _whole(bytes: Uint8Array, start: number, end: number): number {
    // Behind what was found wrong nothing is handed over.
    if (end - start < SHORTEST_MESSAGE || this.said.fault !== 0) return 0;
    let body = start + 2;
    let length = bytes[start + 1];
    // With a third byte of length the sum is above the limit.
    if (length > 127) length += (bytes[body++] - 1) << 7;
    const behind = body + length;
    if (behind > end || length < SHORTEST_MESSAGE - 2 || length >= 16384) return 0;
    const flags = bytes[start] & 15;
    const topicStart = body + 2;
    const topicEnd = topicStart + ((bytes[body] << 8) | bytes[body + 1]);
    let at = topicEnd;
    let packetId = 0;
    if (flags >= QOS_1) at += 2;
    if (at >= behind) return 0;
    if (flags >= QOS_1) {
      packetId = (bytes[topicEnd] << 8) | bytes[topicEnd + 1];
      const qos = flags & (QOS_1 | QOS_2);
      if (packetId === 0 || qos === 0 || qos === (QOS_1 | QOS_2)) return 0;
    }
    const payload = at + 1 + bytes[at];
    if (payload > behind || bytes[at] > 127 || payload - body > this._scratch.length) return 0;
    if (behind - start > this.maxPacketSize) return 0;
    const properties = this.said;
    if (at + 1 === payload) {
      if (topicEnd === topicStart) return 0;
      properties.start = properties.end = properties.alias = 0;
    } else if (properties.take(bytes, at + 1, payload, PUBLISH) !== 0) {
      return 0;
    } else if (topicEnd === topicStart && properties.alias === 0) {
      return 0;
    }
    this._handler.onWhole(flags, packetId, bytes, topicStart, topicEnd, payload, behind, behind - start);
    if (properties.fault !== 0) this._fail(-properties.fault);
    return behind;
  }

  protected override _accepts(first: number, length: number, capacity: number): number {
    const type = first >> 4;
    if (type === PUBLISH) return 0;
    if (type === PINGRESP) return length === 0 ? 0 : BAD_LENGTH;
    if (((EXPECTED >> type) & 1) === 0) return UNEXPECTED_PACKET;
    // A CONNACK of 3.1.1 may be as short: see `_packet`.
    const least = type === SUBACK || type === UNSUBACK ? 4 : type < SUBACK ? 2 : 0;
    return length < least ? BAD_LENGTH : length > capacity ? -PACKET_TOO_LARGE : 0;
  }

  protected override _packet(first: number, bytes: Uint8Array, start: number, end: number): number {
    const type = first >> 4;
    const handler = this._handler;
    const hasCodes = type === SUBACK || type === UNSUBACK;
    let at = start;
    let packetId = 0;
    let reasonCode = 0;
    if (type === CONNACK) {
      // Flags 7 to 1 are reserved [MQTT5-3.2.2-1].
      if (bytes[at++] > 1) return BAD_FIELD;
      // A broker that does not speak MQTT 5 says so in its own version [MQTT-3.1.2-2].
      if (at + 1 === end) {
        if (bytes[at] !== CONNACK_REFUSED_PROTOCOL_VER) return BAD_LENGTH;
        this.said.take(bytes, end, end, type);
        handler.onConnack(false, CONNACK_REFUSED_PROTOCOL_VER);
        return 0;
      }
    } else if (type < PINGRESP) {
      packetId = readUint16(bytes, at);
      if (packetId === 0) return BAD_PACKET_ID;
      at += 2;
    }
    // What is left out at the end is 0, and no properties.
    if (!hasCodes && at < end) reasonCode = bytes[at++];
    let behind = at;
    if (at < end) {
      behind = behindVarint(bytes, at, end);
      if (behind > end) return -MALFORMED_PACKET;
      const length = readVarint(bytes, at, behind);
      at = behind;
      behind += length;
    }
    if (hasCodes ? behind >= end : behind !== end) return BAD_LENGTH;
    const error = this.said.take(bytes, at, behind, type);
    if (error !== 0) return -error;
    for (let i = behind; i < end; i++) if (!isReason(type, bytes[i])) return -PROTOCOL_ERROR;
    if (!isReason(type, reasonCode)) return -PROTOCOL_ERROR;
    this.code = reasonCode;
    if (type === CONNACK) {
      // With a refusal Session Present must be 0 [MQTT5-3.2.2-6].
      if (bytes[start] === 1 && reasonCode !== 0) return -PROTOCOL_ERROR;
      handler.onConnack(bytes[start] === 1, reasonCode);
    } else if (type === SUBACK) {
      handler.onSuback(packetId, bytes, behind, end);
    } else if (type === UNSUBACK) {
      handler.onUnsuback(packetId, bytes, behind, end);
    } else if (type === DISCONNECT) {
      // That of a broker has none [MQTT5-3.14.2-2].
      if (this.said.number(SESSION_EXPIRY_INTERVAL, -1) >= 0) return -PROTOCOL_ERROR;
      handler.onDisconnect(reasonCode);
    } else if (type === AUTH) {
      handler.onAuth(reasonCode);
    } else if (type === PINGRESP) {
      handler.onPingresp();
    } else {
      handler.onAck(type, packetId);
    }
    return -this.said.fault;
  }
}
