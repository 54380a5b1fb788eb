/**
 * Bytes to packets, MQTT 3.1.1. `Framer` finds packets in a stream cut anywhere; `Decoder` knows those that a broker
 * sends. Neither knows what a packet is good for, what came before it, or what text is.
 *
 * Nothing is allocated: the handler gets numbers, and windows `(bytes, start, end)` that are valid during the call.
 * Payloads are not gathered, they stream. What precedes a payload (a topic name) or makes up a whole small packet is
 * taken from the chunk in place where it lies there whole, and gathers in `scratch` where it does not.
 *
 * Invariant: however the stream is cut, the handler gets the same, apart from where payloads are divided, and that a
 * message may come in one call when it lies in one chunk.
 *
 * The chunk may be a part of `scratch` itself, as long as it begins at `filled` or behind it: bytes gather at the
 * front, never beyond what was already read.
 */
import type { DecoderHandler, MessageHandler, StreamDecoder } from "./codec.js";
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_QOS,
  BAD_REMAINING_LENGTH,
  BAD_TOPIC,
  UNEXPECTED_PACKET,
} from "./errors.js";
import {
  CONNACK,
  DUP,
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
  SUBSCRIPTION_FAILURE,
  UNSUBACK,
  UNSUBSCRIBE,
} from "./wire.js";

const AWAIT_TYPE = 0;
const AWAIT_PAYLOAD = 1;
const AWAIT_LENGTH = 2;
/** A whole packet, or of a PUBLISH what precedes the payload. */
export const AWAIT_BODY = 3;
/** A topic name that is longer than the scratch area passes by. */
const SKIP_TOPIC = 4;

/** Bytes of a PUBLISH at QoS 0 with one byte of topic name and no payload. */
const SHORTEST_MESSAGE = 5;

/** Finds packets in a stream; who extends it says which there are. */
export abstract class Framer implements StreamDecoder {
  filled = 0;
  private readonly _messages: MessageHandler;
  protected readonly _scratch: Uint8Array;
  _state = AWAIT_TYPE;
  /** First byte of the packet. */
  _first = 0;
  /** Bytes still to come: of the packet, then of the payload. While the length is read: the length so far. */
  _owed = 0;
  /** Bytes of the whole packet, as far as they are known. */
  _packetLength = 0;
  /** Bytes that must lie together before the packet can be read on. */
  _need = 0;
  /** True while what is needed is but the length of a topic name, the first two bytes of a PUBLISH. */
  _needsTopicLength = false;
  /** Bytes to be passed over in SKIP_TOPIC. */
  private _skip = 0;
  /** How far `push` is to read; 0 to stop it; below 0 the code that every call of it returns. */
  private _end = 0;

  /**
   * @param messages gets the messages
   * @param scratch where what precedes a payload gathers, at least 2 bytes; the longest topic name that can be told is
   *   2 bytes shorter, with a packet id 4
   */
  constructor(messages: MessageHandler, scratch: Uint8Array) {
    this._messages = messages;
    this._scratch = scratch;
  }

  isMidPacket(): boolean {
    return this._state !== AWAIT_TYPE;
  }

  stop(): void {
    if (this._end > 0) this._end = 0;
  }

  reset(): void {
    this._state = AWAIT_TYPE;
    this._end = 0;
    this.filled = 0;
  }

  push(bytes: Uint8Array, start: number, end: number): number {
    if (this._end < 0) return this._end;
    let at = start;
    this._end = end;
    while (at < this._end) {
      switch (this._state) {
        case AWAIT_TYPE: {
          const first = bytes[at];
          if (first >> 4 === PUBLISH) {
            const next = this._whole(bytes, at, end);
            if (next > 0) {
              at = next;
              break;
            }
          }
          at++;
          this._first = first;
          this._owed = 0;
          this._packetLength = 1;
          this._state = AWAIT_LENGTH;
          break;
        }
        case AWAIT_PAYLOAD: {
          const owed = this._owed;
          const part = end - at < owed ? end - at : owed;
          at += part;
          this._owed = owed - part;
          if (part === owed) this._state = AWAIT_TYPE;
          this._messages.onPayload(bytes, at - part, at, owed - part);
          break;
        }
        case AWAIT_LENGTH: {
          const byte = bytes[at++];
          this._owed |= (byte & 127) << (7 * (this._packetLength++ - 1));
          if (byte < 128) this._begin();
          else if (this._packetLength === 5) this._end = BAD_REMAINING_LENGTH;
          break;
        }
        case AWAIT_BODY: {
          const need = this._need;
          const isTopicLength = this._needsTopicLength;
          let from = bytes;
          let body = at;
          if (this.filled === 0 && end - at >= need) {
            // All there: read it where it lies. A topic length is only looked at; the topic name is to follow it.
            if (!isTopicLength) at += need;
          } else {
            from = this._scratch;
            body = 0;
            from[this.filled++] = bytes[at++];
            if (this.filled < need) break;
            if (!isTopicLength) this.filled = 0;
          }
          if (isTopicLength) this._topic(from, body);
          else this._body(from, body, body + need);
          break;
        }
        default: {
          const part = end - at < this._skip ? end - at : this._skip;
          at += part;
          this._skip -= part;
          if (this._skip === 0) {
            this._state = AWAIT_BODY;
            if (this._need === 0) this._body(bytes, at, at);
          }
        }
      }
    }
    return this._end < 0 ? this._end : at;
  }

  /** The stream cannot be read on. */
  protected _fail(code: number): void {
    this._end = code;
  }

  /**
   * 0 when a packet may begin with `first` and have `length` bytes behind its header, otherwise an error. Type, flags
   * and QoS were checked. A packet other than PUBLISH is gathered whole, so that it must fit `capacity` bytes.
   */
  protected abstract _accepts(first: number, length: number, capacity: number): number;

  /**
   * The short cut of the usual packet: a PUBLISH that begins at `start`, hands over all of it and returns where it
   * ends; or does nothing and returns 0, and it is read step by step. Here there is none.
   */
  protected _whole(_bytes: Uint8Array, _start: number, _end: number): number {
    return 0;
  }

  /** A packet other than PUBLISH is complete: `bytes[start..end)` is all behind its header. Returns 0 or an error. */
  protected abstract _packet(first: number, bytes: Uint8Array, start: number, end: number): number;

  /** The header is complete. */
  _begin(): void {
    const first = this._first;
    const length = this._owed;
    const isPublish = first >> 4 === PUBLISH;
    const need = isPublish ? 2 : length;
    let error = checkFlags(first);
    if (error === 0) error = this._accepts(first, length, this._scratch.length);
    if (error === 0 && length < need) error = BAD_LENGTH;
    if (error !== 0) return this._fail(error);
    this._packetLength += length;
    this._need = need;
    this._needsTopicLength = isPublish;
    if (length === 0) this._body(this._scratch, 0, 0);
    else this._state = AWAIT_BODY;
  }

  /** The first two bytes of a PUBLISH are there: from now on its topic name and packet id are needed beside them. */
  _topic(bytes: Uint8Array, at: number): void {
    const topicLength = (bytes[at] << 8) | bytes[at + 1];
    const idLength = (this._first & (QOS_1 | QOS_2)) === 0 ? 0 : 2;
    const need = 2 + topicLength + idLength;
    this._needsTopicLength = false;
    this._need = need;
    this._owed -= need;
    if (topicLength === 0) this._fail(BAD_TOPIC);
    else if (this._owed < 0) this._fail(BAD_LENGTH);
    else if (need > this._scratch.length) {
      this._skip = 2 + topicLength - this.filled;
      this._need = idLength;
      this._state = SKIP_TOPIC;
      this.filled = 0;
    }
  }

  /** `bytes[start..end)` is a whole packet, or all of a PUBLISH that precedes its payload. */
  _body(bytes: Uint8Array, start: number, end: number): void {
    const first = this._first;
    if (first >> 4 !== PUBLISH) {
      this._state = AWAIT_TYPE;
      const error = this._packet(first, bytes, start, end);
      if (error !== 0) this._fail(error);
      return;
    }
    const hasId = (first & (QOS_1 | QOS_2)) !== 0;
    const topicEnd = hasId ? end - 2 : end;
    const packetId = hasId ? (bytes[topicEnd] << 8) | bytes[topicEnd + 1] : 0;
    if (hasId && packetId === 0) return this._fail(BAD_PACKET_ID);
    const topicStart = start + 2 < topicEnd ? start + 2 : topicEnd;
    const owed = this._owed;
    this._state = AWAIT_PAYLOAD;
    this._messages.onPublish(first & 15, packetId, bytes, topicStart, topicEnd, owed, this._packetLength);
    // No byte brings an empty payload. Another state: the handler called `reset`.
    if (owed === 0 && this._state === AWAIT_PAYLOAD) {
      this._state = AWAIT_TYPE;
      this._messages.onPayload(bytes, end, end, 0);
    }
  }
}

/** Checks type and flags of a first byte: those prescribed, or of PUBLISH a QoS there is [MQTT-2.2.2-2]. */
export function checkFlags(first: number): number {
  const type = first >> 4;
  const flags = first & 15;
  if (type === PUBLISH) {
    const qos = flags & (QOS_1 | QOS_2);
    return qos === (QOS_1 | QOS_2) || (qos === 0 && flags >= DUP) ? BAD_QOS : 0;
  }
  const prescribed = type === PUBREL || type === SUBSCRIBE || type === UNSUBSCRIBE ? RESERVED_FLAGS : 0;
  return type === 0 || type === 15 || flags !== prescribed ? BAD_HEADER : 0;
}

/** Reads the packets that a broker sends to a client. */
export class Decoder extends Framer {
  private readonly _handler: DecoderHandler;

  /**
   * @param handler gets what was read; its methods run inside `push`
   * @param scratch as for `Framer`; also bounds the count of codes in a SUBACK
   */
  constructor(handler: DecoderHandler, scratch: Uint8Array) {
    super(handler, scratch);
    this._handler = handler;
  }

  protected override _whole(bytes: Uint8Array, start: number, end: number): number {
    if (end - start < SHORTEST_MESSAGE) return 0;
    let body = start + 2;
    let length = bytes[start + 1];
    // With a third byte of length the sum is above the limit.
    if (length > 127) length += (bytes[body++] - 1) << 7;
    const behind = body + length;
    if (behind > end || length < SHORTEST_MESSAGE - 2 || length >= 16384) return 0;
    const flags = bytes[start] & 15;
    const topicStart = body + 2;
    const topicEnd = topicStart + ((bytes[body] << 8) | bytes[body + 1]);
    let payload = topicEnd;
    let packetId = 0;
    if (flags >= QOS_1) {
      const qos = flags & (QOS_1 | QOS_2);
      payload += 2;
      if (payload > behind || qos === 0 || qos === (QOS_1 | QOS_2)) return 0;
      packetId = (bytes[topicEnd] << 8) | bytes[topicEnd + 1];
      if (packetId === 0) return 0;
    }
    if (payload > behind || topicEnd === topicStart || payload - body > this._scratch.length) return 0;
    this._handler.onWhole(flags, packetId, bytes, topicStart, topicEnd, payload, behind, behind - start);
    return behind;
  }

  protected override _accepts(first: number, length: number, capacity: number): number {
    switch (first >> 4) {
      case PUBLISH:
        return 0;
      case CONNACK:
      case PUBACK:
      case PUBREC:
      case PUBREL:
      case PUBCOMP:
      case UNSUBACK:
        return length === 2 ? 0 : BAD_LENGTH;
      case SUBACK:
        return length > 2 && length <= capacity ? 0 : BAD_LENGTH;
      case PINGRESP:
        return length === 0 ? 0 : BAD_LENGTH;
      default:
        return UNEXPECTED_PACKET;
    }
  }

  protected override _packet(first: number, bytes: Uint8Array, start: number, end: number): number {
    const type = first >> 4;
    if (type === PINGRESP) {
      this._handler.onPingresp();
      return 0;
    }
    if (type === CONNACK) {
      // Flags 7 to 1 are reserved; with a refusal Session Present must be 0 [MQTT-3.2.2-4].
      if (bytes[start] > 1 || (bytes[start] === 1 && bytes[start + 1] !== 0)) return BAD_FIELD;
      this._handler.onConnack(bytes[start] === 1, bytes[start + 1]);
      return 0;
    }
    const packetId = (bytes[start] << 8) | bytes[start + 1];
    if (packetId === 0) return BAD_PACKET_ID;
    if (type !== SUBACK) {
      this._handler.onAck(type, packetId);
      return 0;
    }
    for (let at = start + 2; at < end; at++) {
      if (bytes[at] > 2 && bytes[at] !== SUBSCRIPTION_FAILURE) return BAD_FIELD;
    }
    this._handler.onSuback(packetId, bytes, start + 2, end);
    return 0;
  }
}
