/**
 * The broker's direction of MQTT 5: reads what a client sends, writes what a client reads. For mock brokers, tests and
 * packet logs; nothing that a board loads imports it. Knows no session: whether a packet may come now, what was agreed
 * on before, and what to answer, is for the broker to say.
 *
 * Invariant: a packet is checked whole before the handler hears of it, so that a malformed one causes no call. Of a
 * PUBLISH that is everything in front of its payload.
 */
import type { Text } from "../../hal/socket.js";
import type { MessageHandler } from "../codec.js";
import { seal, writeField, writeUint16 } from "../encoder.js";
import {
  BAD_FIELD,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_TOPIC,
  ILL_FORMED,
  ILL_FORMED_PAYLOAD,
  NO_ROOM,
  UNEXPECTED_PACKET,
} from "../errors.js";
import { CLIENT_ID, PASSWORD, USERNAME, WILL_TOPIC } from "../server-codec.js";
import { isTopicFilter, isTopicName } from "../topic.js";
import { isUtf8 } from "../utf8.js";
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  QOS_1,
  QOS_2,
  RESERVED_FLAGS,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
  UNSUBSCRIBE,
} from "../wire.js";
import { Framer5 } from "./decoder.js";
import type { Properties } from "./properties.js";
import { WILL, behindVarint, readUint16, readVarint, writeProperties } from "./properties.js";
import { isReason } from "./reasons.js";
import {
  AUTH,
  AUTHENTICATION_DATA,
  AUTHENTICATION_METHOD,
  CONTENT_TYPE,
  CONTINUE_AUTHENTICATION,
  DISCONNECT_WITH_WILL,
  IMPLEMENTATION_SPECIFIC_ERROR,
  MALFORMED_PACKET,
  NO_MATCHING_SUBSCRIBERS,
  PACKET_TOO_LARGE,
  PAYLOAD_FORMAT_INVALID,
  PROTOCOL_ERROR,
  REASON_STRING,
  RECEIVE_MAXIMUM_EXCEEDED,
  RESPONSE_TOPIC,
  RE_AUTHENTICATE,
  SERVER_REFERENCE,
  SUBSCRIPTION_IDENTIFIER,
  TOPIC_NAME_INVALID,
  USER_PROPERTY,
} from "./wire.js";

/** How the filter of a shared subscription begins (4.8.2). */
const SHARE = "$share/";

// Subscription options (3.8.3.1).
const NO_LOCAL = 4;
const RESERVED_OPTIONS = 0xc0;

/**
 * Takes what a client sends. What a packet has beside the arguments is in the decoder during the call: its properties,
 * `said`, and of an acknowledgement its reason code. Parts of a packet come before the packet itself, as with
 * `ServerDecoderHandler`. The topic name of a message that has an alias may be empty.
 */
export interface ServerDecoderHandler5 extends MessageHandler {
  /** The CONNECT to come has a will: until this returns, `said` shows the will's. Its topic is to follow. */
  onWillProperties(): void;
  /**
   * A field of the CONNECT to come; only those it has, in their order. Text is well-formed, the will topic is a topic
   * name, and the client identifier may be empty.
   *
   * @param field CLIENT_ID, WILL_TOPIC, WILL_MESSAGE, USERNAME or PASSWORD
   */
  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void;
  /** CONNECT. Without a will, `willQos` is 0 and `willRetain` false. */
  onConnect(cleanStart: boolean, keepAliveSeconds: number, willQos: number, willRetain: boolean): void;
  /**
   * CONNECT of another protocol level than 5, to be answered in that protocol or not at all (3.1.2.2). The last call:
   * this stream cannot be read on, and `push` returns BAD_FIELD.
   */
  onUnsupportedLevel(level: number): void;
  /**
   * A Topic Filter of the SUBSCRIBE or UNSUBSCRIBE to come. `options` are its subscription options: QoS, No Local,
   * Retain As Published and Retain Handling (3.8.3.1); 0 in an UNSUBSCRIBE.
   */
  onTopicFilter(bytes: Uint8Array, start: number, end: number, options: number): void;
  onSubscribe(packetId: number): void;
  onUnsubscribe(packetId: number): void;
  onPingreq(): void;
  onDisconnect(reasonCode: number): void;
  onAuth(reasonCode: number): void;
}

/** Reads the packets that a client sends to a broker. */
export class ServerDecoder5 extends Framer5 {
  /** Of the acknowledgement that is being told. */
  code = 0;
  private readonly _handler: ServerDecoderHandler5;

  /**
   * @param handler gets what was read; its methods run inside `push`
   * @param scratch as for `Framer`; also bounds every packet but PUBLISH, and of PUBLISH what precedes its payload
   * @param properties what shows the handler those of a packet
   */
  constructor(handler: ServerDecoderHandler5, scratch: Uint8Array, properties: Properties) {
    super(handler, scratch, properties);
    this._handler = handler;
  }

  override _body(bytes: Uint8Array, start: number, end: number): void {
    const first = this._first;
    if (first >> 4 === PUBLISH) {
      const topicEnd = start + 2 + readUint16(bytes, start);
      const at = topicEnd + ((first & (QOS_1 | QOS_2)) === 0 ? 0 : 2);
      const error = this._take(bytes, at, end, PUBLISH);
      if (error < 0) return this._fail(error);
      // Only a broker says which subscription it was [MQTT5-3.3.4-6].
      if (has(this.said, SUBSCRIPTION_IDENTIFIER)) return this._fail(-PROTOCOL_ERROR);
      const topic = this._text(bytes, start + 2, topicEnd);
      if (topic !== "" && !isTopicName(topic)) return this._fail(BAD_TOPIC);
    }
    super._body(bytes, start, end);
  }

  protected override _accepts(first: number, length: number, capacity: number): number {
    let least = 0;
    switch (first >> 4) {
      case PUBLISH:
        return 0;
      case CONNECT:
        // That of 3.1.1 may be as short.
        least = 12;
        break;
      case SUBSCRIBE:
      case UNSUBSCRIBE:
        least = 3;
        break;
      case PUBACK:
      case PUBREC:
      case PUBREL:
      case PUBCOMP:
        least = 2;
        break;
      case PINGREQ:
        return length === 0 ? 0 : BAD_LENGTH;
      case DISCONNECT:
      case AUTH:
        break;
      default:
        return UNEXPECTED_PACKET;
    }
    return length < least ? BAD_LENGTH : length > capacity ? -PACKET_TOO_LARGE : 0;
  }

  protected override _packet(first: number, bytes: Uint8Array, start: number, end: number): number {
    const type = first >> 4;
    const handler = this._handler;
    let at = start;
    let packetId = 0;
    if (type === CONNECT) return this._connect(bytes, start, end);
    if (type < PINGREQ) {
      packetId = readUint16(bytes, at);
      if (packetId === 0) return BAD_PACKET_ID;
      at += 2;
    }
    if (type === SUBSCRIBE || type === UNSUBSCRIBE) {
      at = this._take(bytes, at, end, type);
      const error = at < 0 ? at : this._filters(type, bytes, at, end, false);
      if (error !== 0) return error;
      this._filters(type, bytes, at, end, true);
      if (type === SUBSCRIBE) handler.onSubscribe(packetId);
      else handler.onUnsubscribe(packetId);
      return 0;
    }
    // What is left out at the end is 0, and no properties.
    const reasonCode = at < end ? bytes[at++] : 0;
    if (at < end) at = this._take(bytes, at, end, type);
    else this.said.take(bytes, at, at, type);
    if (at < 0) return at;
    if (at !== end) return BAD_LENGTH;
    if (!isClientReason(type, reasonCode)) return -PROTOCOL_ERROR;
    this.code = reasonCode;
    if (type === PINGREQ) {
      handler.onPingreq();
    } else if (type === DISCONNECT) {
      handler.onDisconnect(reasonCode);
    } else if (type === AUTH) {
      // (3.15.2.2.2)
      if (!has(this.said, AUTHENTICATION_METHOD)) return -PROTOCOL_ERROR;
      handler.onAuth(reasonCode);
    } else {
      handler.onAck(type, packetId);
    }
    return 0;
  }

  private _connect(bytes: Uint8Array, start: number, end: number): number {
    // 0 4 M Q T T; another name is another protocol [MQTT5-3.1.2-1].
    if (readUint16(bytes, start) !== 4 || readUint16(bytes, start + 2) !== 0x4d51) return BAD_FIELD;
    if (readUint16(bytes, start + 4) !== 0x5454) return BAD_FIELD;
    const level = bytes[start + 6];
    if (level !== 5) {
      this.said.take(bytes, start, start, CONNECT);
      this._handler.onUnsupportedLevel(level);
      return BAD_FIELD;
    }
    const flags = bytes[start + 7];
    const willQos = (flags >> 3) & 3;
    // The reserved flag [MQTT5-3.1.2-3], will flags without a will [MQTT5-3.1.2-11] [MQTT5-3.1.2-13], a will with QoS 3
    // [MQTT5-3.1.2-12].
    if ((flags & 1) !== 0 || ((flags & 4) === 0 && (flags & 0x38) !== 0) || willQos === 3) return BAD_FIELD;
    const at = this._take(bytes, start + 10, end, CONNECT);
    if (at < 0) return at;
    // (3.1.2.11.10)
    const properties = this.said;
    if (has(properties, AUTHENTICATION_DATA) && !has(properties, AUTHENTICATION_METHOD)) return -PROTOCOL_ERROR;
    const error = this._fields(flags, bytes, at, end, false);
    if (error !== 0) return error;
    this._fields(flags, bytes, at, end, true);
    this._handler.onConnect((flags & 2) !== 0, readUint16(bytes, start + 8), willQos, (flags & 32) !== 0);
    return 0;
  }

  /** Checks the fields of CONNECT that `flags` announce and returns 0 or an error; hands them out if so told. */
  private _fields(flags: number, bytes: Uint8Array, start: number, end: number, handOut: boolean): number {
    const properties = this.said;
    const propertiesStart = properties.start;
    let at = start;
    for (let field = CLIENT_ID; field <= PASSWORD; field++) {
      const flag = field === USERNAME ? 128 : field === PASSWORD ? 64 : 4;
      if (field !== CLIENT_ID && (flags & flag) === 0) continue;
      if (field === WILL_TOPIC) {
        at = this._take(bytes, at, end, WILL);
        if (at < 0) return at;
        if (handOut) this._handler.onWillProperties();
        properties.take(bytes, propertiesStart, start, CONNECT);
      }
      const from = at + 2;
      if (from > end) return BAD_LENGTH;
      at = from + readUint16(bytes, at);
      if (at > end) return BAD_LENGTH;
      const text = field === WILL_TOPIC || field === CLIENT_ID || field === USERNAME ? this._text(bytes, from, at) : "";
      if (field === WILL_TOPIC && !isTopicName(text)) return BAD_TOPIC;
      if (text.indexOf("\0") >= 0) return BAD_FIELD;
      if (handOut) this._handler.onConnectField(field, bytes, from, at);
    }
    return at === end ? 0 : BAD_LENGTH;
  }

  /** Checks the Topic Filters of SUBSCRIBE or UNSUBSCRIBE and returns 0 or an error; hands them out if so told. */
  private _filters(type: number, bytes: Uint8Array, start: number, end: number, handOut: boolean): number {
    const optionsLength = type === SUBSCRIBE ? 1 : 0;
    let at = start;
    // There must be one [MQTT5-3.8.3-2] [MQTT5-3.10.3-2].
    if (at === end) return -PROTOCOL_ERROR;
    while (at < end) {
      const from = at + 2;
      if (from > end) return BAD_LENGTH;
      const to = from + readUint16(bytes, at);
      at = to + optionsLength;
      if (at > end) return BAD_LENGTH;
      const filter = this._text(bytes, from, to);
      const isShared = filter.indexOf(SHARE) === 0;
      if (!(isShared ? isSharedFilter(filter) : isTopicFilter(filter))) return BAD_TOPIC;
      const options = optionsLength === 0 ? 0 : bytes[to];
      // [MQTT5-3.8.3-5]
      if ((options & RESERVED_OPTIONS) !== 0) return BAD_FIELD;
      // A QoS or a Retain Handling of 3 (3.8.3.1), No Local with a shared subscription [MQTT5-3.8.3-4].
      if ((options & 3) === 3 || options >> 4 === 3 || (isShared && (options & NO_LOCAL) !== 0)) return -PROTOCOL_ERROR;
      if (handOut) this._handler.onTopicFilter(bytes, from, to, options);
    }
    return 0;
  }

  /** Takes the properties whose length is at `at`. Returns where they end, or an error. */
  private _take(bytes: Uint8Array, at: number, end: number, packet: number): number {
    const start = behindVarint(bytes, at, end);
    if (start > end) return -MALFORMED_PACKET;
    const behind = start + readVarint(bytes, at, start);
    if (behind > end) return BAD_LENGTH;
    const error = this.said.take(bytes, start, behind, packet) || textError(this.said);
    return error === 0 ? behind : -error;
  }

  /** The string that bytes encode. What is ill-formed has U+0000, which MQTT forbids just as much [MQTT5-1.5.4-2]. */
  private _text(bytes: Uint8Array, start: number, end: number): string {
    const text = this.said._text.decode(bytes, start, end, true);
    return text === undefined ? "\0" : text;
  }
}

/** What a broker's packet has as properties: by their names, as they are, or as bytes, which may be wrong ones, too. */
export type SentProperties = object | Uint8Array;

/**
 * Encodes the packets that a broker sends. As with `Encoder`: the new offset, or a negative code. Properties are not
 * checked, so that wrong ones can be sent.
 */
export class ServerEncoder5 {
  private readonly _text: Text;

  /** @param text the platform's conversion of strings */
  constructor(text: Text) {
    this._text = text;
  }

  /** CONNACK (3.2). Session Present only with reason code 0 [MQTT5-3.2.2-6]. */
  connack(
    out: Uint8Array,
    offset: number,
    end: number,
    sessionPresent: boolean,
    reasonCode: number,
    properties?: SentProperties,
  ): number {
    const body = offset + 2;
    const at = writeUint16(out, body, end, (sessionPresent ? 256 : 0) | reasonCode);
    return seal(out, offset, body, this._properties(out, at, end, properties), end, CONNACK << 4);
  }

  /** PUBLISH (3.3), as `Encoder.publish`; with an alias among the properties the topic may be empty. */
  publish(
    out: Uint8Array,
    offset: number,
    end: number,
    flags: number,
    packetId: number,
    topic: string,
    payload: string | Uint8Array,
    properties?: SentProperties,
  ): number {
    const body = offset + 2;
    let at = writeField(this._text, out, body, end, topic);
    if (packetId !== 0) at = writeUint16(out, at, end, packetId);
    at = this._properties(out, at, end, properties);
    if (at < 0) return at;
    if (typeof payload === "string") {
      at = this._text.encode(payload, out, at, end);
      if (at === ILL_FORMED) return ILL_FORMED_PAYLOAD;
    } else at = writeBytes(out, at, end, payload);
    return seal(out, offset, body, at, end, (PUBLISH << 4) | flags);
  }

  /**
   * PUBACK, PUBREC, PUBREL or PUBCOMP (3.4 to 3.7). As short as can be: properties are left out when there is no
   * object, and then the reason code when it is 0.
   */
  ack(
    out: Uint8Array,
    offset: number,
    end: number,
    type: number,
    packetId: number,
    reasonCode?: number,
    properties?: SentProperties,
  ): number {
    const body = offset + 2;
    const at = this._reason(out, writeUint16(out, body, end, packetId), end, reasonCode, properties);
    return seal(out, offset, body, at, end, (type << 4) | (type === PUBREL ? RESERVED_FLAGS : 0));
  }

  /** SUBACK (3.9): one code per Topic Filter of the SUBSCRIBE, in its order [MQTT5-3.9.3-1]. */
  suback(
    out: Uint8Array,
    offset: number,
    end: number,
    packetId: number,
    codes: ArrayLike<number>,
    properties?: SentProperties,
  ): number {
    return this._codes(out, offset, end, SUBACK, packetId, codes, properties);
  }

  /** UNSUBACK (3.11): one code per Topic Filter of the UNSUBSCRIBE, in its order [MQTT5-3.11.3-1]. */
  unsuback(
    out: Uint8Array,
    offset: number,
    end: number,
    packetId: number,
    codes: ArrayLike<number>,
    properties?: SentProperties,
  ): number {
    return this._codes(out, offset, end, UNSUBACK, packetId, codes, properties);
  }

  /** DISCONNECT (3.14), as short as can be, as `ack`. */
  disconnect(
    out: Uint8Array,
    offset: number,
    end: number,
    reasonCode: number,
    properties?: SentProperties,
  ): number {
    const body = offset + 2;
    const at = this._reason(out, body, end, reasonCode, properties);
    return seal(out, offset, body, at, end, DISCONNECT << 4);
  }

  /** AUTH (3.15). Reason code and properties can only be left out together: when it is 0 and there is no object. */
  auth(out: Uint8Array, offset: number, end: number, reasonCode: number, properties?: SentProperties): number {
    const body = offset + 2;
    const given = properties === undefined && reasonCode !== 0 ? {} : properties;
    return seal(out, offset, body, this._reason(out, body, end, reasonCode, given), end, AUTH << 4);
  }

  /** PINGRESP: two bytes (3.13). */
  pingresp(out: Uint8Array, offset: number, end: number): number {
    const body = offset + 2;
    return body > end ? NO_ROOM : seal(out, offset, body, body, end, PINGRESP << 4);
  }

  private _codes(
    out: Uint8Array,
    offset: number,
    end: number,
    type: number,
    packetId: number,
    codes: ArrayLike<number>,
    properties: SentProperties | undefined,
  ): number {
    const body = offset + 2;
    const at = this._properties(out, writeUint16(out, body, end, packetId), end, properties);
    return seal(out, offset, body, writeBytes(out, at, end, codes), end, type << 4);
  }

  /** Writes a reason code and properties, as far as there are any. Passes a negative `at` on. */
  private _reason(
    out: Uint8Array,
    at: number,
    end: number,
    reasonCode: number | undefined,
    properties: SentProperties | undefined,
  ): number {
    if (at < 0) return at;
    const code = reasonCode === undefined ? 0 : reasonCode;
    if (properties === undefined && code === 0) return at > end ? NO_ROOM : at;
    if (at >= end) return NO_ROOM;
    out[at++] = code;
    return properties === undefined ? at : this._properties(out, at, end, properties);
  }

  /** Writes properties with their length in front. Passes a negative `at` on. */
  private _properties(out: Uint8Array, at: number, end: number, properties: SentProperties | undefined): number {
    if (at < 0) return at;
    const body = at + 1;
    if (body > end) return NO_ROOM;
    let behind = body;
    if (properties instanceof Uint8Array) behind = writeBytes(out, body, end, properties);
    else if (properties !== undefined) behind = writeProperties(this._text, out, body, end, properties);
    // The length is written as that of a packet is: the byte in front of it stays as it was.
    return seal(out, at - 1, body, behind, end, out[at - 1]);
  }
}

/** Writes bytes as they are. Passes a negative `at` on. */
function writeBytes(out: Uint8Array, at: number, end: number, bytes: ArrayLike<number>): number {
  if (at < 0) return at;
  if (at + bytes.length > end) return NO_ROOM;
  out.set(bytes, at);
  return at + bytes.length;
}

function has(properties: Properties, id: number): boolean {
  let isThere = false;
  properties.forEach((each) => {
    if (each === id) isThere = true;
  });
  return isThere;
}

/** True for the filter of a shared subscription, `$share/ShareName/filter` [MQTT5-4.8.2-1] [MQTT5-4.8.2-2]. */
function isSharedFilter(filter: string): boolean {
  const slash = filter.indexOf("/", SHARE.length);
  return slash > 0 && isTopicName(filter.substring(SHARE.length, slash)) && isTopicFilter(filter.substring(slash + 1));
}

/** True when a packet of this type, from a client, may have the reason code. */
function isClientReason(type: number, code: number): boolean {
  if (type === AUTH) return code === CONTINUE_AUTHENTICATION || code === RE_AUTHENTICATE;
  if (type !== DISCONNECT) return isReason(type, code) && code !== NO_MATCHING_SUBSCRIBERS;
  if (code === 0 || code === DISCONNECT_WITH_WILL || code === TOPIC_NAME_INVALID) return true;
  const isFromBoth = code <= IMPLEMENTATION_SPECIFIC_ERROR || code >= RECEIVE_MAXIMUM_EXCEEDED;
  return isFromBoth && code <= PAYLOAD_FORMAT_INVALID && isReason(DISCONNECT, code);
}

/** Properties that are text, or two. */
const TEXTS = [CONTENT_TYPE, RESPONSE_TOPIC, AUTHENTICATION_METHOD, SERVER_REFERENCE, REASON_STRING, USER_PROPERTY];

/** Checks all texts of properties. Returns 0, or a reason code that says what is wrong with one. */
function textError(properties: Properties): number {
  let error = 0;
  properties.forEach((id, bytes, start, end) => {
    if (TEXTS.indexOf(id) < 0) return;
    // A pair has both its lengths.
    const name = id === USER_PROPERTY ? start + 2 + readUint16(bytes, start) : end;
    const from = id === USER_PROPERTY ? start + 2 : start;
    if (!isText(bytes, from, name) || (name < end && !isText(bytes, name + 2, end))) error = MALFORMED_PACKET;
    // [MQTT-3.3.2-14]
    for (let at = start; at < end; at++) {
      if (id === RESPONSE_TOPIC && (bytes[at] === 0x2b || bytes[at] === 0x23)) error = PROTOCOL_ERROR;
    }
    if (id === RESPONSE_TOPIC && start === end) error = PROTOCOL_ERROR;
  });
  return error;
}

/** Well-formed UTF-8 [MQTT-1.5.4-1] without U+0000 [MQTT-1.5.4-2]. */
function isText(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if (bytes[at] === 0) return false;
  return isUtf8(bytes, start, end);
}
