/**
 * The broker's direction of MQTT 3.1.1: reads what a client sends, writes what a client reads. For mock brokers, tests
 * and packet logs; nothing that a board loads imports it. Knows no session: whether a packet may come now, and what to
 * answer, is for the broker to say.
 *
 * Invariant: a packet is checked whole before the handler hears of it, so that a malformed one causes no call. Of a
 * PUBLISH that is everything in front of its payload.
 */
import type { Text } from "../hal/socket.js";
import type { MessageHandler } from "./codec.js";
import { Framer } from "./decoder.js";
import { Encoder, headerLength, writeHeader, writeUint16 } from "./encoder.js";
import { BAD_FIELD, BAD_LENGTH, BAD_PACKET_ID, BAD_TOPIC, NO_ROOM, TOO_LONG, UNEXPECTED_PACKET } from "./errors.js";
import { isUtf8 } from "./utf8.js";
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  MAX_REMAINING_LENGTH,
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBACK,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from "./wire.js";

// The fields of CONNECT, in their order [MQTT-3.1.3-1].
export const CLIENT_ID = 0;
export const WILL_TOPIC = 1;
export const WILL_MESSAGE = 2;
export const USERNAME = 3;
export const PASSWORD = 4;

/**
 * Takes what a client sends. Parts of a packet come before the packet itself: at `onConnect`, `onSubscribe` and
 * `onUnsubscribe` everything is known, and may be answered. They belong together: `stop` and `reset` take effect behind
 * the packet. Windows `(bytes, start, end)` are valid during the call.
 */
export interface ServerDecoderHandler extends MessageHandler {
  /**
   * A field of the CONNECT to come; only those it has, in their order. Text is well-formed, the will topic is a topic
   * name, and the client identifier may be empty.
   *
   * @param field CLIENT_ID, WILL_TOPIC, WILL_MESSAGE, USERNAME or PASSWORD
   */
  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void;
  /** CONNECT. Without a will, `willQos` is 0 and `willRetain` false. */
  onConnect(cleanSession: boolean, keepAliveSeconds: number, willQos: number, willRetain: boolean): void;
  /**
   * CONNECT of another protocol level than 4, to be answered with return code 1 [MQTT-3.1.2-2]. The last call: this
   * stream cannot be read on, and `push` returns BAD_FIELD.
   */
  onUnsupportedLevel(level: number): void;
  /** A Topic Filter of the SUBSCRIBE or UNSUBSCRIBE to come. `qos` is the requested one, 0 in an UNSUBSCRIBE. */
  onTopicFilter(bytes: Uint8Array, start: number, end: number, qos: number): void;
  onSubscribe(packetId: number): void;
  onUnsubscribe(packetId: number): void;
  onPingreq(): void;
  onDisconnect(): void;
}

/** Reads the packets that a client sends to a broker. */
export class ServerDecoder extends Framer {
  private readonly _handler: ServerDecoderHandler;

  /**
   * @param handler gets what was read; its methods run inside `push`
   * @param scratch as for `Framer`; also bounds CONNECT, SUBSCRIBE and UNSUBSCRIBE, each without its header
   */
  constructor(handler: ServerDecoderHandler, scratch: Uint8Array) {
    const check = new TopicCheck(handler);
    super(check, scratch);
    this._handler = handler;
    check.decoder = this;
  }

  /** @internal During `onPublish`: the topic name is none, so the stream cannot be read on. */
  refuseTopic(): void {
    this.reset();
    this._fail(BAD_TOPIC);
  }

  protected override _accepts(first: number, length: number, capacity: number): number {
    switch (first >> 4) {
      case PUBLISH:
        return 0;
      case CONNECT:
        return length >= 12 && length <= capacity ? 0 : BAD_LENGTH;
      case SUBSCRIBE:
        return length >= 5 && length <= capacity ? 0 : BAD_LENGTH;
      case UNSUBSCRIBE:
        return length >= 4 && length <= capacity ? 0 : BAD_LENGTH;
      case PUBACK:
      case PUBREC:
      case PUBREL:
      case PUBCOMP:
        return length === 2 ? 0 : BAD_LENGTH;
      case PINGREQ:
      case DISCONNECT:
        return length === 0 ? 0 : BAD_LENGTH;
      default:
        return UNEXPECTED_PACKET;
    }
  }

  protected override _packet(first: number, bytes: Uint8Array, start: number, end: number): number {
    const type = first >> 4;
    switch (type) {
      case CONNECT:
        return this._connect(bytes, start, end);
      case PINGREQ:
        this._handler.onPingreq();
        return 0;
      case DISCONNECT:
        this._handler.onDisconnect();
        return 0;
    }
    const packetId = readUint16(bytes, start);
    if (packetId === 0) return BAD_PACKET_ID;
    if (type !== SUBSCRIBE && type !== UNSUBSCRIBE) {
      this._handler.onAck(type, packetId);
      return 0;
    }
    const error = this._filters(type, bytes, start + 2, end, false);
    if (error !== 0) return error;
    this._filters(type, bytes, start + 2, end, true);
    if (type === SUBSCRIBE) this._handler.onSubscribe(packetId);
    else this._handler.onUnsubscribe(packetId);
    return 0;
  }

  private _connect(bytes: Uint8Array, start: number, end: number): number {
    // 0 4 M Q T T; another name is another protocol [MQTT-3.1.2-1].
    if (readUint16(bytes, start) !== 4 || readUint16(bytes, start + 2) !== 0x4d51) return BAD_FIELD;
    if (readUint16(bytes, start + 4) !== 0x5454) return BAD_FIELD;
    const level = bytes[start + 6];
    if (level !== 4) {
      this._handler.onUnsupportedLevel(level);
      return BAD_FIELD;
    }
    const flags = bytes[start + 7];
    const willQos = (flags >> 3) & 3;
    // The reserved flag [MQTT-3.1.2-3], will flags without a will [MQTT-3.1.2-11], a will with QoS 3 [MQTT-3.1.2-14],
    // a password without a username [MQTT-3.1.2-22].
    if ((flags & 1) !== 0 || ((flags & 4) === 0 && (flags & 0x38) !== 0)) return BAD_FIELD;
    if (willQos === 3 || (flags & 0xc0) === 0x40) return BAD_FIELD;
    const error = this._fields(flags, bytes, start + 10, end, false);
    if (error !== 0) return error;
    this._fields(flags, bytes, start + 10, end, true);
    this._handler.onConnect((flags & 2) !== 0, readUint16(bytes, start + 8), willQos, (flags & 32) !== 0);
    return 0;
  }

  /** Checks the fields of CONNECT that `flags` announce and returns 0 or an error; hands them out if so told. */
  private _fields(flags: number, bytes: Uint8Array, start: number, end: number, handOut: boolean): number {
    let at = start;
    for (let field = CLIENT_ID; field <= PASSWORD; field++) {
      const flag = field === USERNAME ? 128 : field === PASSWORD ? 64 : 4;
      if (field !== CLIENT_ID && (flags & flag) === 0) continue;
      const from = at + 2;
      if (from > end) return BAD_LENGTH;
      at = from + readUint16(bytes, at);
      if (at > end) return BAD_LENGTH;
      if (field === WILL_TOPIC && !isTopicName(bytes, from, at)) return BAD_TOPIC;
      if ((field === CLIENT_ID || field === USERNAME) && !isText(bytes, from, at)) return BAD_FIELD;
      if (handOut) this._handler.onConnectField(field, bytes, from, at);
    }
    return at === end ? 0 : BAD_LENGTH;
  }

  /** Checks the Topic Filters of SUBSCRIBE or UNSUBSCRIBE and returns 0 or an error; hands them out if so told. */
  private _filters(type: number, bytes: Uint8Array, start: number, end: number, handOut: boolean): number {
    const qosLength = type === SUBSCRIBE ? 1 : 0;
    let at = start;
    while (at < end) {
      const from = at + 2;
      if (from > end) return BAD_LENGTH;
      const to = from + readUint16(bytes, at);
      at = to + qosLength;
      if (at > end) return BAD_LENGTH;
      if (!isTopicFilter(bytes, from, to)) return BAD_TOPIC;
      const qos = qosLength === 0 ? 0 : bytes[to];
      if (qos > 2) return BAD_FIELD;
      if (handOut) this._handler.onTopicFilter(bytes, from, to, qos);
    }
    return 0;
  }
}

/** Passes messages on, but refuses a topic name that is none. One that is too long to be told is not looked at. */
class TopicCheck implements MessageHandler {
  decoder: ServerDecoder | undefined = undefined;
  private readonly _messages: MessageHandler;

  constructor(messages: MessageHandler) {
    this._messages = messages;
  }

  onPublish(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payloadLength: number,
    packetLength: number,
  ): void {
    if (topicStart === topicEnd || isTopicName(bytes, topicStart, topicEnd)) {
      this._messages.onPublish(flags, packetId, bytes, topicStart, topicEnd, payloadLength, packetLength);
    } else (this.decoder as ServerDecoder).refuseTopic();
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    this._messages.onPayload(bytes, start, end, owed);
  }

  onAck(type: number, packetId: number): void {
    this._messages.onAck(type, packetId);
  }
}

/** Encodes the packets that a broker sends. As with `Encoder`: the new offset, or a negative code. */
export class ServerEncoder {
  private readonly _encoder: Encoder;

  /** @param text the platform's conversion of strings */
  constructor(text: Text) {
    this._encoder = new Encoder(text);
  }

  /** CONNACK (3.2). Session Present only with return code 0 [MQTT-3.2.2-4]. */
  connack(out: Uint8Array, offset: number, end: number, sessionPresent: boolean, returnCode: number): number {
    if (offset + 4 > end) return NO_ROOM;
    const at = writeHeader(out, offset, CONNACK << 4, 2);
    return writeUint16(out, at, end, (sessionPresent ? 256 : 0) | returnCode);
  }

  /** PUBLISH (3.3), as `Encoder.publish`. */
  publish(
    out: Uint8Array,
    offset: number,
    end: number,
    flags: number,
    packetId: number,
    topic: string,
    payload: string | Uint8Array,
  ): number {
    return this._encoder.publish(out, offset, end, flags, packetId, topic, payload);
  }

  /** PUBACK, PUBREC, PUBREL, PUBCOMP or UNSUBACK: four bytes (3.4 to 3.7, 3.11). */
  ack(out: Uint8Array, offset: number, end: number, type: number, packetId: number): number {
    return this._encoder.short(out, offset, end, type, packetId);
  }

  /** SUBACK (3.9): one code per Topic Filter of the SUBSCRIBE, in its order [MQTT-3.9.3-1]. */
  suback(out: Uint8Array, offset: number, end: number, packetId: number, codes: ArrayLike<number>): number {
    const length = 2 + codes.length;
    if (length > MAX_REMAINING_LENGTH) return TOO_LONG;
    if (offset + headerLength(length) + length > end) return NO_ROOM;
    let at = writeUint16(out, writeHeader(out, offset, SUBACK << 4, length), end, packetId);
    for (let i = 0; i < codes.length; i++) out[at++] = codes[i];
    return at;
  }

  /** PINGRESP: two bytes (3.13). */
  pingresp(out: Uint8Array, offset: number, end: number): number {
    return this._encoder.short(out, offset, end, PINGRESP, 0);
  }
}

function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function has(bytes: Uint8Array, start: number, end: number, byte: number): boolean {
  for (let at = start; at < end; at++) {
    if (bytes[at] === byte) return true;
  }
  return false;
}

/** Well-formed UTF-8 [MQTT-1.5.3-1] without U+0000 [MQTT-1.5.3-2]. */
function isText(bytes: Uint8Array, start: number, end: number): boolean {
  return isUtf8(bytes, start, end) && !has(bytes, start, end, 0);
}

const HASH = 0x23;
const PLUS = 0x2b;
const SLASH = 0x2f;

/** As `isTopicName` of topic.ts, of bytes. */
function isTopicName(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end || !isText(bytes, start, end)) return false;
  return !has(bytes, start, end, PLUS) && !has(bytes, start, end, HASH);
}

/** As `isTopicFilter` of topic.ts, of bytes. */
function isTopicFilter(bytes: Uint8Array, start: number, end: number): boolean {
  if (start === end || !isText(bytes, start, end)) return false;
  for (let at = start; at < end; at++) {
    const isHash = bytes[at] === HASH;
    if (!isHash && bytes[at] !== PLUS) continue;
    if (at > start && bytes[at - 1] !== SLASH) return false;
    if (at + 1 < end && (isHash || bytes[at + 1] !== SLASH)) return false;
  }
  return true;
}
