/**
 * The bytes of one direction of a connection to packets as objects, for who looks on: a trace, a simulator. Knows
 * nothing of what packets mean, who may send them, or what came before, and takes what MQTT 3.1 and 3.1.1 have in
 * either direction: a packet that its receiver will refuse is what one wants to see. MQTT 5 is read by src/v5/trace.ts,
 * where that is given.
 *
 * Invariant: however the stream is cut, the packets are the same; and no more of one is kept than `scratchCapacity`
 * bytes. What lies behind them is checked for its length alone, and missing in the packet, which is partial then.
 */
import type { Text } from "../../hal/socket.js";
import type { MessageHandler } from "../codec.js";
import { Framer } from "../decoder.js";
import { BAD_FIELD, BAD_LENGTH } from "../errors.js";
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  DUP,
  PINGREQ,
  PINGRESP,
  PUBLISH,
  RETAIN,
  SUBACK,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from "../wire.js";

/** What is known of every packet. */
export interface Passage {
  /** True: sent by the client; false: received. */
  isSent: boolean;
  /** Which connection it passed on, counted from 1 in the order in which they were opened. */
  connectionNumber: number;
  /** True: it did not fit `scratchCapacity`, and what was behind is missing. */
  isPartial: boolean;
}

/**
 * Properties of MQTT 5 by their names, as `Properties.toObject` of `mcu-mqtt/v5` has them; `{}` where a packet may have
 * some and has none; undefined with other versions, and when they did not fit. `authenticationData` is there with the
 * value undefined while it is hidden.
 */
export type TracedProperties = Record<
  string,
  number | string | Uint8Array | number[] | [name: string, value: string][] | undefined
>;

/** A message, or a will. */
export interface TracedMessage {
  /** Undefined when it did not fit. */
  topic: string | undefined;
  /** Undefined unless it was asked for; the beginning, when it did not fit. The receiver's to keep. */
  payload: Uint8Array | undefined;
  /** Bytes of the whole payload; undefined for a will that did not fit. */
  payloadLength: number | undefined;
  qos: number;
  retain: boolean;
  properties?: TracedProperties | undefined;
}

/** CONNECT, its fields named as the arguments of `mqtt.Client`; undefined: not sent, hidden, or it did not fit. */
export interface ConnectPacket {
  type: "CONNECT";
  /**
   * 3 in MQTT 3.1, 4 in 3.1.1, 5 in MQTT 5. Of any other level, and of 5 unless a reader was given for it, the fields
   * from `clientid` on are not read.
   */
  protocolLevel: number;
  /** The highest bit of the level, by which a bridge says that it is one. */
  isBridge: boolean;
  /** In MQTT 5: Clean Start. */
  cleansession: boolean;
  /** Seconds. */
  keepalive: number;
  clientid: string | undefined;
  hasUsername: boolean;
  hasPassword: boolean;
  username: string | undefined;
  password: Uint8Array | undefined;
  lwt: TracedMessage | undefined;
  properties?: TracedProperties | undefined;
}

export interface ConnackPacket {
  type: "CONNACK";
  sessionPresent: boolean;
  /** In MQTT 5: the reason code. */
  returnCode: number;
  properties?: TracedProperties | undefined;
}

export interface PublishPacket extends TracedMessage {
  type: "PUBLISH";
  payloadLength: number;
  dup: boolean;
  /** 0 at QoS 0. */
  packetId: number;
}

export interface AckPacket {
  type: "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" | "UNSUBACK";
  packetId: number;
  /** In MQTT 5, but of UNSUBACK; 0 also when the packet leaves it out. */
  reasonCode?: number;
  /** Of UNSUBACK in MQTT 5. */
  reasonCodes?: number[];
  properties?: TracedProperties | undefined;
}

/** What one subscribes to; `nl`, `rap` and `rh` in MQTT 5: No Local, Retain As Published, Retain Handling. */
export interface TracedSubscription {
  topicFilter: string;
  qos: number;
  nl?: boolean;
  rap?: boolean;
  rh?: number;
}

export interface SubscribePacket {
  type: "SUBSCRIBE";
  packetId: number;
  subscriptions: TracedSubscription[];
  properties?: TracedProperties | undefined;
}

export interface SubackPacket {
  type: "SUBACK";
  packetId: number;
  /** In MQTT 5: the reason codes. */
  returnCodes: number[];
  properties?: TracedProperties | undefined;
}

export interface UnsubscribePacket {
  type: "UNSUBSCRIBE";
  packetId: number;
  topicFilters: string[];
  properties?: TracedProperties | undefined;
}

export interface EmptyPacket {
  type: "PINGREQ" | "PINGRESP";
}

export interface DisconnectPacket {
  type: "DISCONNECT";
  /** In MQTT 5; 0 also when the packet leaves it out. */
  reasonCode?: number;
  properties?: TracedProperties | undefined;
}

/** Of MQTT 5 only. */
export interface AuthPacket {
  type: "AUTH";
  reasonCode: number;
  properties: TracedProperties | undefined;
}

/** Bytes that are no packet of the protocol. It is the last of its direction: what follows cannot be read. */
export interface MalformedPacket {
  type: "MALFORMED";
  /** A code of `mcu-mqtt/core`: BAD_HEADER, BAD_REMAINING_LENGTH, BAD_LENGTH, BAD_QOS and so on. */
  error: number;
}

/** What is in a packet. */
export type Content =
  | ConnectPacket
  | ConnackPacket
  | PublishPacket
  | AckPacket
  | SubscribePacket
  | SubackPacket
  | UnsubscribePacket
  | EmptyPacket
  | DisconnectPacket
  | AuthPacket
  | MalformedPacket;

/** A packet that has passed, told apart by `type`. */
export type Packet = Content & Passage;

/** What a reader is to keep. */
export interface ReaderOptions {
  payload: boolean;
  credentials: boolean;
  scratchCapacity: number;
  /** Undefined: connections with MQTT 5 are not read. */
  mqtt5: Mqtt5Reader | undefined;
}

/** Reads one direction of a connection with MQTT 5. */
export interface PacketReader5 {
  /** Reads on. Returns 0, or an error: it was the last of the stream. */
  push(bytes: Uint8Array, start: number, end: number): number;
  /** Reads a CONNECT from its protocol level on, as `PacketReader.read` would do. */
  connect(bytes: Uint8Array, at: number, end: number, kept: number): number;
}

/** Makes a `PacketReader5`. @param scratch where packets gather */
export type Mqtt5Reader = (
  text: Text,
  scratch: Uint8Array,
  options: ReaderOptions,
  report: (content: Content, isPartial: boolean) => void,
) => PacketReader5;

/** The least `scratchCapacity`: what a CONNECT begins with. */
export const SCRATCH_MIN = 16;

/** "MQTT", and "MQIsdp" in MQTT 3.1. */
const PROTOCOL_NAME = [0x4d, 0x51, 0x54, 0x54];
const PROTOCOL_NAME_3_1 = [0x4d, 0x51, 0x49, 0x73, 0x64, 0x70];

// Fields of CONNECT, in their order [MQTT-3.1.3-1]: their places in the table of `findConnectFields`.
const CLIENT_ID = 0;
const WILL_TOPIC = 2;
const WILL_MESSAGE = 4;
const USERNAME = 6;
export const PASSWORD = 8;
/** Length of that table. */
export const CONNECT_FIELDS = 10;

/** By packet type. */
export const NAMES = [
  "", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE",
  "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
];

/** Finds whole packets, of either direction. */
class PacketFramer extends Framer {
  private readonly _reader: PacketReader;

  constructor(reader: PacketReader, scratch: Uint8Array) {
    super(reader, scratch);
    this._reader = reader;
  }

  /** Any length: what is written behind the end of a typed array is gone, and harms nobody. */
  protected override _accepts(first: number, length: number): number {
    switch (first >> 4) {
      case PUBLISH:
        return 0;
      case CONNECT:
        return length >= 12 ? 0 : BAD_LENGTH;
      case SUBSCRIBE:
      case SUBACK:
      case UNSUBSCRIBE:
        return length > 2 ? 0 : BAD_LENGTH;
      case PINGREQ:
      case PINGRESP:
      case DISCONNECT:
        return length === 0 ? 0 : BAD_LENGTH;
      default:
        return length === 2 ? 0 : BAD_LENGTH;
    }
  }

  protected override _packet(first: number, bytes: Uint8Array, start: number, end: number): number {
    return this._reader.read(first >> 4, bytes, start, end);
  }
}

/** Reads one direction of one connection. */
export class PacketReader implements MessageHandler {
  private readonly _framer: PacketFramer;
  private readonly _scratch: Uint8Array;
  private readonly _strings: Text;
  private readonly _isSent: boolean;
  private readonly _number: number;
  private readonly _options: ReaderOptions;
  private readonly _onPacket: (packet: Packet) => void;
  private readonly _other: PacketReader | undefined;
  /** Reads on since there was a CONNECT of MQTT 5. */
  private _reader5: PacketReader5 | undefined = undefined;
  /** The stream cannot be read on. */
  private _isEnded = false;
  private _message: PublishPacket | undefined = undefined;

  /**
   * @param onPacket learns of each packet when its last byte has passed; must not throw
   * @param other of what comes in answer: is to read the version that CONNECT has said here
   */
  constructor(
    text: Text,
    isSent: boolean,
    connectionNumber: number,
    options: ReaderOptions,
    onPacket: (packet: Packet) => void,
    other?: PacketReader,
  ) {
    this._scratch = new Uint8Array(options.scratchCapacity);
    this._framer = new PacketFramer(this, this._scratch);
    this._strings = text;
    this._isSent = isSent;
    this._number = connectionNumber;
    this._options = options;
    this._onPacket = onPacket;
    this._other = other;
  }

  /** Reads on. Bytes are looked at during the call only. */
  push(bytes: Uint8Array, start: number, end: number): void {
    if (this._isEnded) return;
    // If this throws, it was the last of the stream.
    this._isEnded = true;
    let result = this._reader5 === undefined ? this._framer.push(bytes, start, end) : start;
    if (result >= 0 && this._reader5 !== undefined) result = this._reader5.push(bytes, result, end);
    if (result < 0) this._report({ type: "MALFORMED", error: result }, false);
    else this._isEnded = false;
  }

  onPublish(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payloadLength: number,
  ): void {
    const capacity = this._options.scratchCapacity;
    this._message = {
      type: "PUBLISH",
      topic: topicStart < topicEnd ? this._string(bytes, topicStart, topicEnd) : undefined,
      payload: this._options.payload ? new Uint8Array(Math.min(payloadLength, capacity)) : undefined,
      payloadLength,
      qos: (flags >> 1) & 3,
      retain: (flags & RETAIN) !== 0,
      dup: (flags & DUP) !== 0,
      packetId,
    };
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    const message = this._message as PublishPacket;
    const payload = message.payload;
    if (payload !== undefined) {
      const at = message.payloadLength - owed - (end - start);
      for (let i = start; i < end && at + i - start < payload.length; i++) payload[at + i - start] = bytes[i];
    }
    if (owed > 0) return;
    const isShort = payload !== undefined && payload.length < message.payloadLength;
    this._report(message, message.topic === undefined || isShort);
  }

  onAck(): void {} // Not by a Framer itself.

  /** What comes from now on is MQTT 5. */
  upgrade(): PacketReader5 {
    const report = (content: Content, isPartial: boolean): void => this._report(content, isPartial);
    const create = this._options.mqtt5 as Mqtt5Reader;
    return (this._reader5 = create(this._strings, this._scratch, this._options, report));
  }

  /** Any packet but PUBLISH: all that is behind its header is `bytes[start..end)`. Returns 0 or an error. */
  read(type: number, bytes: Uint8Array, start: number, end: number): number {
    const kept = Math.min(end, start + this._options.scratchCapacity);
    const packetId = readUint16(bytes, start);
    switch (type) {
      case CONNECT:
        return this._connect(bytes, start, end, kept);
      case CONNACK: {
        const sessionPresent = (bytes[start] & 1) !== 0;
        this._report({ type: "CONNACK", sessionPresent, returnCode: bytes[start + 1] }, false);
        return 0;
      }
      case SUBSCRIBE:
      case UNSUBSCRIBE:
        return this._filters(type, packetId, bytes, start + 2, end, kept);
      case SUBACK: {
        const returnCodes: number[] = [];
        for (let at = start + 2; at < kept; at++) returnCodes.push(bytes[at]);
        this._report({ type: "SUBACK", packetId, returnCodes }, kept < end);
        return 0;
      }
      case PINGREQ:
      case PINGRESP:
      case DISCONNECT:
        this._report({ type: NAMES[type] as EmptyPacket["type"] }, false);
        return 0;
    }
    this._report({ type: NAMES[type] as AckPacket["type"], packetId }, false);
    return 0;
  }

  private _connect(bytes: Uint8Array, start: number, end: number, kept: number): number {
    const at = findLevel(bytes, start);
    if (at === 0) return BAD_FIELD;
    if (bytes[at] === 5 && this._options.mqtt5 !== undefined) {
      if (this._other !== undefined) this._other.upgrade();
      // What is behind it is not the framer's any more.
      this._framer.stop();
      return this.upgrade().connect(bytes, at, end, kept);
    }
    const fields = new Int32Array(CONNECT_FIELDS);
    const error = findConnectFields(bytes, at, end, kept, fields);
    if (error === BAD_LENGTH) return error;
    const options = this._options;
    const flags = bytes[at + 1];
    const string = (field: number): string | undefined => {
      const to = fields[field + 1];
      return to > 0 && to <= kept ? this._string(bytes, fields[field], to) : undefined;
    };
    const binary = (field: number): Uint8Array | undefined => {
      const to = fields[field + 1];
      return to > 0 ? bytes.slice(fields[field], Math.min(to, kept)) : undefined;
    };
    const packet: ConnectPacket = {
      type: "CONNECT",
      protocolLevel: bytes[at] & 127,
      isBridge: bytes[at] > 127,
      cleansession: (flags & 2) !== 0,
      keepalive: readUint16(bytes, at + 2),
      clientid: string(CLIENT_ID),
      hasUsername: (flags & 128) !== 0,
      hasPassword: (flags & 64) !== 0,
      username: options.credentials ? string(USERNAME) : undefined,
      password: options.credentials ? binary(PASSWORD) : undefined,
      lwt: undefined,
    };
    if ((flags & 4) !== 0) {
      const to = fields[WILL_MESSAGE + 1];
      packet.lwt = {
        topic: string(WILL_TOPIC),
        payload: options.payload ? binary(WILL_MESSAGE) : undefined,
        payloadLength: to > 0 ? to - fields[WILL_MESSAGE] : undefined,
        qos: (flags >> 3) & 3,
        retain: (flags & 32) !== 0,
      };
    }
    this._report(packet, error !== 0 || kept < end);
    return error;
  }

  private _filters(
    type: number,
    packetId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    kept: number,
  ): number {
    const isSubscribe = type === SUBSCRIBE;
    const subscriptions: SubscribePacket["subscriptions"] = [];
    const topicFilters: string[] = [];
    let at = start;
    while (at < end) {
      const from = at + 2;
      if (from > end) return BAD_LENGTH;
      if (from > kept) break;
      const to = from + readUint16(bytes, at);
      at = isSubscribe ? to + 1 : to;
      if (at > end) return BAD_LENGTH;
      if (at > kept) break;
      const topicFilter = this._string(bytes, from, to);
      if (isSubscribe) subscriptions.push({ topicFilter, qos: bytes[to] });
      else topicFilters.push(topicFilter);
    }
    if (isSubscribe) this._report({ type: "SUBSCRIBE", packetId, subscriptions }, kept < end);
    else this._report({ type: "UNSUBSCRIBE", packetId, topicFilters }, kept < end);
    return 0;
  }

  private _string(bytes: Uint8Array, start: number, end: number): string {
    return this._strings.decode(bytes, start, end, false);
  }

  private _report(content: Content, isPartial: boolean): void {
    this._onPacket(Object.assign(content, { isSent: this._isSent, connectionNumber: this._number, isPartial }));
  }
}

/** Of a CONNECT that begins at `start`, behind its header: where the protocol level is; 0 when this is none of MQTT. */
export function findLevel(bytes: Uint8Array, start: number): number {
  const length = readUint16(bytes, start);
  const name = bytes.subarray(start + 2, start + 2 + length);
  return matches(name, PROTOCOL_NAME) || matches(name, PROTOCOL_NAME_3_1) ? start + 2 + length : 0;
}

/**
 * Finds the fields of a CONNECT: `fields[field]` and `fields[field + 1]` become where each begins and ends; they stay 0
 * where it is not there, or begins behind `kept`, up to where the bytes are known. Returns 0; BAD_LENGTH when lengths
 * contradict each other; BAD_FIELD for a level of which the fields are not known.
 *
 * @param at where the protocol level is
 */
export function findConnectFields(
  bytes: Uint8Array,
  at: number,
  end: number,
  kept: number,
  fields: Int32Array,
): number {
  const flags = bytes[at + 1];
  const level = bytes[at] & 127;
  let next = at + 4;
  if (level !== 3 && level !== 4) return BAD_FIELD;
  for (let field = CLIENT_ID; field <= PASSWORD; field += 2) {
    const flag = field === USERNAME ? 128 : field === PASSWORD ? 64 : 4;
    if (field !== CLIENT_ID && (flags & flag) === 0) continue;
    const from = next + 2;
    if (from > end) return BAD_LENGTH;
    if (from > kept) return 0;
    next = from + readUint16(bytes, next);
    fields[field] = from;
    fields[field + 1] = next;
  }
  return next === end ? 0 : BAD_LENGTH;
}

export function readUint16(bytes: Uint8Array, at: number): number {
  return (bytes[at] << 8) | bytes[at + 1];
}

function matches(bytes: Uint8Array, expected: number[]): boolean {
  if (bytes.length !== expected.length) return false;
  for (let i = 0; i < expected.length; i++) if (bytes[i] !== expected[i]) return false;
  return true;
}
