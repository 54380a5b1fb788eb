/**
 * Connections with MQTT 5 for the trace of src/optional/trace.ts:
 *
 *     const mqtt = createMqtt5(traced(hal, (packet) => print(describePacket(packet)), { mqtt5: readMqtt5 }));
 *
 * The bytes of one direction to packets as objects, as PacketReader does it for 3.1.1, and with its invariant. Any
 * property and any code may stand in any packet, any number of times: that is for its receiver to judge.
 */
import type { Text } from "../../hal/socket.js";
import { checkFlags } from "../decoder.js";
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_REMAINING_LENGTH,
} from "../errors.js";
import type {
  AckPacket,
  ConnectPacket,
  Content,
  EmptyPacket,
  PacketReader5,
  ReaderOptions,
  SubscribePacket,
  TracedProperties,
} from "../optional/packets.js";
import { findLevel, NAMES, readUint16 } from "../optional/packets.js";
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
  UNSUBACK,
  UNSUBSCRIBE,
} from "../wire.js";
import { Properties, readVarint } from "./properties.js";
import { AUTH } from "./wire.js";

// What the next byte is.
const TYPE = 0;
const LENGTH = 1;
const BODY = 2;

/** Bytes of a PUBLISH that are kept beside its topic name: the length of that, packet id, the length of properties. */
const BESIDE_TOPIC = 8;

class Reader implements PacketReader5 {
  private readonly _text: Text;
  private readonly _scratch: Uint8Array;
  private readonly _options: ReaderOptions;
  private readonly _report: (content: Content, isPartial: boolean) => void;
  private readonly _properties: Properties;
  // The packet that passes.
  private _state = TYPE;
  private _first = 0;
  private _shift = 0;
  /** Bytes behind the header. */
  private _length = 0;
  /** Bytes of those still to come. */
  private _left = 0;
  /** Bytes of the packet that lie in scratch. */
  private _filled = 0;
  /** Bytes of a topic name that does not fit, all of them and those still to come. */
  private _skipped = 0;
  private _skip = 0;
  // The packet that is read: where, as far as it goes, and as far as it is kept.
  private _bytes: Uint8Array;
  private _at = 0;
  private _end = 0;
  private _kept = 0;
  private _error = 0;
  /** Something of it is not kept. */
  private _isPartial = false;
  /** A length is not kept: where the rest of it is, is not known. */
  private _isLost = false;

  constructor(
    text: Text,
    scratch: Uint8Array,
    options: ReaderOptions,
    report: (content: Content, isPartial: boolean) => void,
  ) {
    this._text = text;
    this._scratch = this._bytes = scratch;
    this._options = options;
    this._report = report;
    this._properties = new Properties(text);
  }

  push(bytes: Uint8Array, start: number, end: number): number {
    let at = start;
    while (at < end) {
      if (this._state === BODY) {
        const to = end - at < this._left ? end : at + this._left;
        this._left -= to - at;
        this._keep(bytes, at, to);
        at = to;
        if (this._left > 0) break;
      } else {
        const byte = bytes[at++];
        if (this._state === TYPE) {
          const error = byte >> 4 === AUTH ? (byte === AUTH << 4 ? 0 : BAD_HEADER) : checkFlags(byte);
          if (error !== 0) return error;
          this._first = byte;
          this._shift = this._length = 0;
          this._state = LENGTH;
          continue;
        }
        this._length |= (byte & 127) << this._shift;
        this._shift += 7;
        if (byte > 127) {
          if (this._shift > 21) return BAD_REMAINING_LENGTH;
          continue;
        }
        this._left = this._length;
        this._filled = this._skipped = this._skip = 0;
        this._state = BODY;
        if (this._left > 0) continue;
      }
      this._state = TYPE;
      const error = this._packet();
      if (error !== 0) return error;
    }
    return 0;
  }

  /** Keeps of a packet what fits; of a PUBLISH whose topic name does not fit what is behind that. */
  private _keep(bytes: Uint8Array, start: number, end: number): void {
    const scratch = this._scratch;
    let at = start;
    while (at < end && this._filled < scratch.length) {
      if (this._skip > 0) {
        const next = end - at < this._skip ? end : at + this._skip;
        this._skip -= next - at;
        at = next;
        continue;
      }
      scratch[this._filled++] = bytes[at++];
      if (this._filled !== 2 || this._first >> 4 !== PUBLISH) continue;
      const topicLength = readUint16(scratch, 0);
      if (topicLength + BESIDE_TOPIC > scratch.length) this._skipped = this._skip = topicLength;
    }
  }

  /** Begins to read a packet. */
  private _begin(bytes: Uint8Array, at: number, end: number, kept: number): void {
    this._bytes = bytes;
    this._at = at;
    this._end = end;
    this._kept = kept;
    this._error = 0;
    this._isPartial = this._isLost = false;
  }

  /** Ends it: nothing may be behind it, and nothing may be wrong. Returns 0, or the error. */
  private _finish(content: Content): number {
    if (!this._isLost && this._at < this._end) this._error = BAD_LENGTH;
    if (this._error === 0) this._report(content, this._isPartial);
    return this._error;
  }

  private _packet(): number {
    const first = this._first;
    const type = first >> 4;
    this._begin(this._scratch, 0, this._length - this._skipped, this._filled);
    switch (type) {
      case CONNECT: {
        const at = findLevel(this._scratch, 0);
        if (at === 0 || this._scratch[at] !== 5) return BAD_FIELD;
        return this.connect(this._scratch, at, this._end, this._kept);
      }
      case PUBLISH:
        return this._publish(first);
      case SUBSCRIBE:
      case UNSUBSCRIBE:
        return this._filters(type);
      case PINGREQ:
      case PINGRESP:
        return this._finish({ type: NAMES[type] as EmptyPacket["type"] });
      case CONNACK: {
        const sessionPresent = (this._byte() & 1) !== 0;
        return this._finish({
          type: "CONNACK", sessionPresent, returnCode: this._byte(), properties: this._propertiesOrNone(),
        });
      }
      case DISCONNECT:
      case AUTH:
        return this._finish({
          type: NAMES[type] as "DISCONNECT", reasonCode: this._byteOrNone(), properties: this._propertiesOrNone(),
        });
    }
    const packetId = this._uint16();
    if (type === SUBACK || type === UNSUBACK) {
      const properties = this._takeProperties();
      const codes: number[] = [];
      while (this._at < this._kept && !this._isLost) codes.push(this._byte());
      // There is one at least, which may not be kept.
      if (!this._isLost && this._at < this._end) this._pass(this._end - this._at);
      else if (codes.length === 0 && !this._isLost && !this._isPartial) this._fail(BAD_LENGTH);
      if (type === SUBACK) return this._finish({ type: "SUBACK", packetId, returnCodes: codes, properties });
      return this._finish({ type: "UNSUBACK", packetId, reasonCodes: codes, properties });
    }
    const reasonCode = this._byteOrNone();
    const properties = this._propertiesOrNone();
    return this._finish({ type: NAMES[type] as AckPacket["type"], packetId, reasonCode, properties });
  }

  connect(bytes: Uint8Array, at: number, end: number, kept: number): number {
    const credentials = this._options.credentials;
    const flags = bytes[at + 1];
    const hasUsername = (flags & 128) !== 0;
    const hasPassword = (flags & 64) !== 0;
    this._begin(bytes, at + 4, end, kept);
    const packet: ConnectPacket = {
      type: "CONNECT",
      protocolLevel: 5,
      isBridge: false,
      cleansession: (flags & 2) !== 0,
      keepalive: readUint16(bytes, at + 2),
      clientid: undefined,
      hasUsername,
      hasPassword,
      username: undefined,
      password: undefined,
      lwt: undefined,
      properties: this._takeProperties(),
    };
    packet.clientid = this._string();
    if ((flags & 4) !== 0) {
      const properties = this._takeProperties();
      const topic = this._string();
      const payloadLength = this._fieldLength();
      packet.lwt = {
        topic,
        payload: this._binary(payloadLength, this._options.payload),
        payloadLength: this._isLost ? undefined : payloadLength,
        qos: (flags >> 3) & 3,
        retain: (flags & 32) !== 0,
        properties,
      };
    }
    const username = hasUsername ? this._string() : undefined;
    const password = hasPassword ? this._binary(this._fieldLength(), credentials) : undefined;
    if (credentials) {
      packet.username = username;
      packet.password = password;
    }
    return this._finish(packet);
  }

  private _publish(first: number): number {
    const qos = (first >> 1) & 3;
    const isTopicLost = this._skipped > 0;
    let topic: string | undefined;
    if (isTopicLost) this._at = 2;
    else topic = this._string();
    const packetId = qos > 0 ? this._uint16() : 0;
    if (qos > 0 && packetId === 0) this._fail(BAD_PACKET_ID);
    const properties = this._takeProperties();
    // As long as anything is right, it is known where the payload begins.
    const payloadLength = this._end - this._at;
    const isWanted = this._options.payload;
    const isPartial = isTopicLost || this._isPartial || (isWanted && this._kept < this._end);
    const payload = this._binary(payloadLength, isWanted);
    this._isPartial = isPartial;
    return this._finish({
      type: "PUBLISH",
      topic,
      payload,
      payloadLength,
      qos,
      retain: (first & RETAIN) !== 0,
      dup: (first & DUP) !== 0,
      packetId,
      properties,
    });
  }

  private _filters(type: number): number {
    const packetId = this._uint16();
    const properties = this._takeProperties();
    const subscriptions: SubscribePacket["subscriptions"] = [];
    const topicFilters: string[] = [];
    // There is one at least. Behind something that is not kept there is nothing to be told.
    do {
      const topicFilter = this._string();
      const options = type === SUBSCRIBE ? this._byte() : 0;
      if (this._isPartial || topicFilter === undefined) break;
      topicFilters.push(topicFilter);
      const nl = (options & 4) !== 0;
      subscriptions.push({ topicFilter, qos: options & 3, nl, rap: (options & 8) !== 0, rh: (options >> 4) & 3 });
    } while (this._at < this._end);
    if (this._isPartial) this._isLost = true;
    if (type === SUBSCRIBE) return this._finish({ type: "SUBSCRIBE", packetId, subscriptions, properties });
    return this._finish({ type: "UNSUBSCRIBE", packetId, topicFilters, properties });
  }

  /** It is no packet. */
  private _fail(error: number): void {
    if (this._error === 0) this._error = error;
    this._isLost = true;
  }

  /** Goes past `count` bytes. Returns where they begin, or -1 when they are not all kept. */
  private _pass(count: number): number {
    if (this._isLost) return -1;
    const from = this._at;
    this._at += count;
    if (this._at > this._end) this._fail(BAD_LENGTH);
    if (this._at <= this._kept) return from;
    this._isPartial = true;
    return -1;
  }

  private _byte(): number {
    const at = this._pass(1);
    return at < 0 ? 0 : this._bytes[at];
  }

  /** 0 when the packet ends before it. */
  private _byteOrNone(): number {
    return this._at < this._end ? this._byte() : 0;
  }

  private _uint16(): number {
    const at = this._pass(2);
    return at < 0 ? 0 : readUint16(this._bytes, at);
  }

  /** The length of what follows. */
  private _fieldLength(): number {
    const at = this._pass(2);
    if (at >= 0) return readUint16(this._bytes, at);
    this._isLost = true;
    return 0;
  }

  private _string(): string | undefined {
    const length = this._fieldLength();
    const at = this._pass(length);
    return at < 0 ? undefined : this._text.decode(this._bytes, at, at + length, false);
  }

  /** Goes past `length` bytes. Returns them, or their beginning if they are not all kept; undefined if not wanted. */
  private _binary(length: number, isWanted: boolean): Uint8Array | undefined {
    const at = this._at;
    this._pass(length);
    return isWanted && !this._isLost && at <= this._kept
      ? this._bytes.slice(at, Math.min(at + length, this._kept))
      : undefined;
  }

  /** None when the packet ends before them. */
  private _propertiesOrNone(): TracedProperties | undefined {
    return this._at < this._end ? this._takeProperties() : {};
  }

  /** Undefined when they are not all kept. */
  private _takeProperties(): TracedProperties | undefined {
    const bytes = this._bytes;
    const start = this._at;
    let byte: number;
    do {
      const at = this._at - start < 4 ? this._pass(1) : -1;
      if (at < 0) {
        // Too long, or not kept.
        if (!this._isPartial) this._fail(BAD_FIELD);
        this._isLost = true;
        return undefined;
      }
      byte = bytes[at];
    } while (byte > 127);
    const length = readVarint(bytes, start, this._at);
    const from = this._pass(length);
    if (from < 0) return undefined;
    const properties = this._properties;
    const end = (properties.end = from + length);
    properties.bytes = bytes;
    properties.start = from;
    properties.forEach((_id, _bytes, _start, next) => {
      // Also of what is no number.
      if (!(next <= end)) this._fail(BAD_LENGTH);
    });
    if (this._error !== 0) return undefined;
    const object = properties.toObject() as TracedProperties;
    // What has no name is no property, and its length is not known.
    if ("" in object || "undefined" in object) {
      this._fail(BAD_FIELD);
      return undefined;
    }
    const isHidden = !this._options.credentials && "authenticationData" in object;
    if (isHidden) object["authenticationData"] = undefined;
    return object;
  }
}

/** Has a trace read connections with MQTT 5: the value of its option `mqtt5`. */
export function readMqtt5(
  text: Text,
  scratch: Uint8Array,
  options: ReaderOptions,
  report: (content: Content, isPartial: boolean) => void,
): PacketReader5 {
  return new Reader(text, scratch, options, report);
}
