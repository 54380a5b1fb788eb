/**
 * Properties of MQTT 5: which there are, where each may stand, how often and with which values (2.2.2); reading them in
 * place, and writing them from what the application gives.
 *
 * Knows nothing of what they mean. Reading allocates nothing but what `get` and `toObject` hand over.
 */
import type { Text } from "../../hal/socket.js";
import { asFlag, asInteger, checkField, checkText, isNil, show, wrong } from "../arguments.js";
import { headerLength, writeField, writeHeader } from "../encoder.js";
import { NO_ROOM } from "../errors.js";
import { isTopicName } from "../topic.js";
import { MAX_REMAINING_LENGTH, PUBLISH } from "../wire.js";
import {
  MALFORMED_PACKET,
  PROTOCOL_ERROR,
  RESPONSE_TOPIC,
  SUBSCRIPTION_IDENTIFIER,
  TOPIC_ALIAS,
  TOPIC_ALIAS_INVALID,
  USER_PROPERTY,
} from "./wire.js";

/** Where the properties of a will stand: as a type of packet, since they have rules of their own (3.1.3.2). */
export const WILL = 0;

// How a value is written (2.2.2.2); of a number of a fixed length, its bytes.
const BYTE = 1;
const UINT16 = 2;
const UINT32 = 4;
const VARINT = 5;
const BINARY = 6;
const STRING = 7;
const PAIR = 8;
const TYPE = 15;
/** Above the type: a bit for each type of packet in which the property may stand, from this one on. */
const FIRST_PACKET = 16;
/** 0 is no value. */
const NOT_ZERO = 0x100000;
/** The client sets it by itself, or only a broker sends it in such a packet. */
const NOT_GIVEN = 0x200000;

/** By identifier: type, packets and flags; 0: there is none. */
const RULES = [
  0, 0x91, 0x94, 0x97, 0, 0, 0, 0, 0x97, 0x96, 0, 0x101085, 0, 0, 0, 0, 0, 0x40064, 0x47, 0x42, 0, 0x280067, 0x280066,
  0x21, 0x14, 0x21, 0x47, 0, 0x240047, 0, 0, 0xcaf47, 0, 0x300062, 0x200062, 0x300082, 0x41, 0x41, 0xcfff8, 0x100064,
  0x41, 0x41, 0x41,
];

/** By identifier: what the application calls it, which is the specification's name. */
const NAMES = [
  "", "payloadFormatIndicator", "messageExpiryInterval", "contentType", "", "", "", "", "responseTopic",
  "correlationData", "", "subscriptionIdentifier", "", "", "", "", "", "sessionExpiryInterval",
  "assignedClientIdentifier", "serverKeepAlive", "", "authenticationMethod", "authenticationData",
  "requestProblemInformation", "willDelayInterval", "requestResponseInformation", "responseInformation", "",
  "serverReference", "", "", "reasonString", "", "receiveMaximum", "topicAliasMaximum", "topicAlias", "maximumQoS",
  "retainAvailable", "userProperty", "maximumPacketSize", "wildcardSubscriptionAvailable",
  "subscriptionIdentifierAvailable", "sharedSubscriptionAvailable",
];
// On XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(RULES, true);
Object.freeze(NAMES, true);

/** Sizes that only MQTT 5 has. */
export interface Settings5 {
  /** Topic aliases that the broker may use, 0..65535; 8 by default. Each keeps a topic name. */
  topicAliasMaximum: number;
  /** Topic aliases that the client uses, as far as the broker takes them, 0..255; 8 by default. */
  topicAliases: number;
}

/** A name and a value, both of the application's choice. */
export type UserProperty = [name: string, value: string];

/** Properties that an application gives; which of them a packet may have is the packet's. */
export interface GivenProperties {
  /** True: the payload is UTF-8. */
  payloadFormatIndicator?: 0 | 1 | boolean;
  /** Seconds, 0..2^32-1. */
  messageExpiryInterval?: number;
  contentType?: string;
  /** A topic name. */
  responseTopic?: string;
  correlationData?: Uint8Array | string;
  /** 1..268435455. */
  subscriptionIdentifier?: number;
  /** Seconds, 0..2^32-1; 2^32-1: the session does not expire. */
  sessionExpiryInterval?: number;
  requestProblemInformation?: 0 | 1 | boolean;
  /** Seconds, 0..2^32-1. */
  willDelayInterval?: number;
  requestResponseInformation?: 0 | 1 | boolean;
  reasonString?: string;
  /** Bytes, 1..2^32-1. */
  maximumPacketSize?: number;
  userProperty?: UserProperty[];
}

/** Properties that a broker has sent, as `Properties.toObject` has them. */
export interface ReceivedProperties {
  payloadFormatIndicator?: number;
  messageExpiryInterval?: number;
  contentType?: string;
  responseTopic?: string;
  correlationData?: Uint8Array;
  subscriptionIdentifier?: number[];
  sessionExpiryInterval?: number;
  assignedClientIdentifier?: string;
  serverKeepAlive?: number;
  authenticationMethod?: string;
  authenticationData?: Uint8Array;
  responseInformation?: string;
  serverReference?: string;
  reasonString?: string;
  receiveMaximum?: number;
  topicAliasMaximum?: number;
  topicAlias?: number;
  maximumQoS?: number;
  retainAvailable?: number;
  userProperty?: UserProperty[];
  maximumPacketSize?: number;
  wildcardSubscriptionAvailable?: number;
  subscriptionIdentifierAvailable?: number;
  sharedSubscriptionAvailable?: number;
}

/**
 * The value of a property as bytes: a number as it was sent, text and data without their length, a user property with
 * both its lengths: valid during the call.
 */
export type PropertyVisitor = (id: number, bytes: Uint8Array, start: number, end: number) => void;

type Value = number | string | Uint8Array | UserProperty;

/** The properties of one packet, read where they lie. The same object for each packet: valid during the callback. */
export class Properties {
  bytes: Uint8Array;
  start = 0;
  end = 0;
  /** Of a PUBLISH; 0: it has none. */
  alias = 0;
  /** The reason code of what was found wrong in a text that was read; 0: nothing. */
  fault = 0;
  readonly _text: Text;

  /** @param text the platform's conversion of text; used by `get` and `toObject` only */
  constructor(text: Text) {
    this._text = text;
    this.bytes = new Uint8Array(0);
  }

  /**
   * Checks `bytes[start..end)`, but for what texts are made of, and shows them from now on. Returns 0, or a reason code
   * that says what is wrong.
   *
   * @param packet the type of the packet that they belong to, or WILL
   */
  take(bytes: Uint8Array, start: number, end: number, packet: number): number {
    const bit = FIRST_PACKET << packet;
    let seen = 0;
    let at = start;
    this.bytes = bytes;
    this.start = start;
    this.end = end;
    this.alias = 0;
    while (at < end) {
      const id = bytes[at++];
      // What is above the last one has no rule, and may stand nowhere.
      const rule = RULES[id];
      if ((rule & bit) === 0) return MALFORMED_PACKET;
      // No two that may stand in one packet have the same mark, but for what may stand in it several times.
      const mark = 1 << id % 31;
      if ((seen & mark) !== 0 && id !== USER_PROPERTY && (id !== SUBSCRIPTION_IDENTIFIER || packet !== PUBLISH)) {
        return PROTOCOL_ERROR;
      }
      seen |= mark;
      const type = rule & TYPE;
      let next = at + type;
      if (type > UINT32) next = behind(bytes, at, end, type);
      if (next > end) return MALFORMED_PACKET;
      if (type === BYTE) {
        if (bytes[at] > 1) return PROTOCOL_ERROR;
      } else if ((rule & NOT_ZERO) !== 0) {
        const value = readNumber(bytes, at, next, type);
        if (value === 0) return id === TOPIC_ALIAS ? TOPIC_ALIAS_INVALID : PROTOCOL_ERROR;
        if (id === TOPIC_ALIAS) this.alias = value;
      }
      at = next;
    }
    return 0;
  }

  /** Calls `visit` for each, in the order of the packet. */
  forEach(visit: PropertyVisitor): void {
    const bytes = this.bytes;
    const end = this.end;
    let at = this.start;
    while (at < end) {
      const id = bytes[at++];
      const type = RULES[id] & TYPE;
      const next = behind(bytes, at, end, type);
      visit(id, bytes, type === BINARY || type === STRING ? at + 2 : at, next);
      at = next;
    }
  }

  /** The number of a property, or `byDefault` when it is not there. */
  number(id: number, byDefault: number): number {
    let value = byDefault;
    this.forEach((each, bytes, start, end) => {
      if (each === id) value = readNumber(bytes, start, end, RULES[id] & TYPE);
    });
    return value;
  }

  /**
   * The value of a property: a number, a string, bytes (yours), or of those that may stand several times an array;
   * undefined when it is not there. A text that is not UTF-8, or has U+0000, counts as not there, and ends the
   * connection [MQTT-1.5.4-1] [MQTT-1.5.4-2]: a loop over all texts that come, read or not, would be dear on a board.
   */
  get(name: keyof ReceivedProperties): unknown {
    const id = NAMES.indexOf(name);
    return id > 0 ? this._collect(id)[name] : undefined;
  }

  /** All of them by their names; it is yours. */
  toObject(): ReceivedProperties {
    return this._collect(0);
  }

  private _collect(only: number): ReceivedProperties {
    const object: Record<string, unknown> = {};
    this.forEach((id, bytes, start, end) => {
      if (only > 0 && id !== only) return;
      const name = NAMES[id];
      const value = this._value(id, bytes, start, end);
      if (value === undefined) return;
      if (id !== USER_PROPERTY && id !== SUBSCRIPTION_IDENTIFIER) object[name] = value;
      else if (object[name] === undefined) object[name] = [value];
      else (object[name] as Value[]).push(value);
    });
    return object;
  }

  private _value(id: number, bytes: Uint8Array, start: number, end: number): Value | undefined {
    const type = RULES[id] & TYPE;
    if (type === STRING) return this._string(id, bytes, start, end);
    if (type === BINARY) return bytes.slice(start, end);
    if (type !== PAIR) return readNumber(bytes, start, end, type);
    const behindName = behind(bytes, start, end, STRING);
    const name = this._string(id, bytes, start + 2, behindName);
    const value = this._string(id, bytes, behindName + 2, end);
    return name === undefined || value === undefined ? undefined : [name, value];
  }

  /** A text; undefined when it is not right. */
  private _string(id: number, bytes: Uint8Array, start: number, end: number): string | undefined {
    const text = this._text.decode(bytes, start, end, true);
    if (text === undefined || text.indexOf("\0") >= 0) this.fault = MALFORMED_PACKET;
    // [MQTT-3.3.2-14].
    else if (id !== RESPONSE_TOPIC || isTopicName(text)) return text;
    else this.fault = PROTOCOL_ERROR;
    return undefined;
  }
}

/** Where in right properties the value of the first with this identifier is, or -1. */
export function findProperty(bytes: Uint8Array, start: number, end: number, id: number): number {
  for (let at = start; at < end;) {
    const each = bytes[at++];
    if (each === id) return at;
    at = behind(bytes, at, end, RULES[each] & TYPE);
  }
  return -1;
}

/** A two-byte number. */
export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

/** Where the value that begins at `at` ends: behind `end` when it is not all there. */
function behind(bytes: Uint8Array, at: number, end: number, type: number): number {
  if (type === VARINT) return behindVarint(bytes, at, end);
  if (type <= UINT32) return at + type;
  if (at + 2 > end) return Infinity;
  const next = at + 2 + readUint16(bytes, at);
  return type === PAIR ? behind(bytes, next, end, STRING) : next;
}

/** Where the Variable Byte Integer that begins at `at` ends: behind `end` when it is not all there, or too long. */
export function behindVarint(bytes: Uint8Array, at: number, end: number): number {
  let next = at;
  do if (next === end || next === at + 4) return Infinity;
  while (bytes[next++] > 127);
  return next;
}

/** A Variable Byte Integer, whose last byte is the one before `end` (1.5.5). */
export function readVarint(bytes: Uint8Array, start: number, end: number): number {
  let value = 0;
  for (let at = end - 1; at >= start; at--) value = value * 128 + (bytes[at] & 127);
  return value;
}

/** The number that `bytes[start..end)` are. */
function readNumber(bytes: Uint8Array, start: number, end: number, type: number): number {
  if (type === VARINT) return readVarint(bytes, start, end);
  let value = 0;
  for (let at = start; at < end; at++) value = value * 256 + bytes[at];
  return value;
}

/**
 * Checks properties that an application gives for a packet of this type, which a client sends, or for a WILL.
 *
 * @throws TypeError or RangeError that names the property
 */
export function checkProperties(text: Text, packet: number, properties: unknown): void {
  if (typeof properties !== "object" || properties === null || Array.isArray(properties)) {
    throw wrong("properties", "an object", properties);
  }
  const table = properties as Record<string, unknown>;
  for (const name in table) {
    const id = NAMES.indexOf(name);
    // "" is the name of those that there are not.
    const rule = id < 0 ? 0 : RULES[id];
    const isOurs = (rule & NOT_GIVEN) !== 0 || (id === SUBSCRIPTION_IDENTIFIER && packet === PUBLISH);
    if (isOurs || (rule & (FIRST_PACKET << packet)) === 0) {
      throw new TypeError("properties must not have " + show(name) + " here");
    }
    const value = table[name];
    if (isNil(value)) continue;
    const type = rule & TYPE;
    if (type === PAIR) {
      const pairs: unknown[] = Array.isArray(value) ? value : [value];
      for (let i = 0; i < pairs.length; i++) {
        const pair = pairs[i];
        if (!Array.isArray(pair) || pair.length !== 2) throw wrong(name, "an array of [name, value]", pair);
        for (let j = 0; j < 2; j++) checkString(text, name, pair[j]);
      }
    } else if (type === STRING) {
      checkString(text, name, value);
      if (id === RESPONSE_TOPIC && !isTopicName(value as string)) {
        throw wrong(name, "a topic name", value);
      }
    } else if (type === BINARY) {
      if (typeof value !== "string" && !(value instanceof Uint8Array)) throw wrong(name, "a string or bytes", value);
      checkField(text, name, value);
    } else if (type === BYTE) asFlag(name, value, false);
    else {
      const least = (rule & NOT_ZERO) === 0 ? 0 : 1;
      asInteger(name, value, 0, least, type === VARINT ? MAX_REMAINING_LENGTH : type === UINT16 ? 65535 : 4294967295);
    }
  }
}

function checkString(text: Text, name: string, value: unknown): void {
  if (typeof value !== "string") throw wrong(name, "a string", value);
  checkText(text, name, value);
}

/**
 * Writes properties, without their length in front. Passes a negative `at` on.
 *
 * @param properties by their names, with values that are right; those that may stand several times as arrays, too
 */
export function writeProperties(text: Text, out: Uint8Array, at: number, end: number, properties: object): number {
  const table = properties as Record<string, unknown>;
  for (const name in table) {
    const value = table[name];
    if (isNil(value)) continue;
    const id = NAMES.indexOf(name);
    const type = RULES[id] & TYPE;
    if (!Array.isArray(value)) at = writeProperty(text, out, at, end, id, value as number | string | Uint8Array);
    else for (let i = 0; i < value.length; i++) {
      const each = value[i] as number & string[];
      if (type !== PAIR) at = writeProperty(text, out, at, end, id, each);
      else at = writeField(text, out, writeProperty(text, out, at, end, id, each[0]), end, each[1]);
    }
  }
  return at;
}

/** Writes one property. A pair is written up to its name. Passes a negative `at` on. */
export function writeProperty(
  text: Text,
  out: Uint8Array,
  at: number,
  end: number,
  id: number,
  value: number | string | Uint8Array | boolean,
): number {
  if (at < 0) return at;
  if (at === end) return NO_ROOM;
  out[at++] = id;
  if (typeof value === "string" || value instanceof Uint8Array) return writeField(text, out, at, end, value);
  let rest = Number(value);
  const type = RULES[id] & TYPE;
  const behindIt = type === VARINT ? at + headerLength(rest) - 1 : behind(out, at, end, type);
  if (behindIt > end) return NO_ROOM;
  // A number of seven bits each is written as the length of a packet is.
  if (type === VARINT) return writeHeader(out, at - 1, id, rest);
  for (let i = behindIt - 1; i >= at; i--) {
    out[i] = rest & 255;
    rest = Math.floor(rest / 256);
  }
  return behindIt;
}
