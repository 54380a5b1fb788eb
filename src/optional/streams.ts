/**
 * Messages that are larger than the transmit buffer: their payload goes from where it is to the network, through one
 * buffer of some hundred bytes.
 *
 *     const client = withStreams(mqtt.Client("camera"), 512);
 *     client.publishFrom("/picture", source, 1);                 // from what can be read again
 *
 *     if (client.beginPublish("/log", 100000, 0, onWritable)) ...  // as it comes, at QoS 0
 *     taken = client.write(bytes);
 *
 * As ECMA-419 does it, the length is given first, and the message ends with its last byte: an `end` could only say what
 * is known. In the outbox stands what precedes the payload, which is what is sent again; the payload is not kept, so a
 * message above QoS 0 needs a source that can be read again from its beginning.
 *
 * Invariant: one message at a time, until its payload has left, at QoS 1 and 2 until it is acknowledged for the first
 * time. Between the first and the last of its bytes nothing else leaves, PINGREQ neither: who stops writing for longer
 * than the keep alive time loses the connection.
 */
import type { Hal, Timer } from "../../hal/socket.js";
import { asCallback, asFlag, asInteger, asQos, isNil, isQueued, wrong } from "../arguments.js";
import type { DoneCallback, QoS } from "../callbacks.js";
import type { Client, Flag } from "../client.js";
import { headerLength, writeHeader } from "../encoder.js";
import { NO_ROOM } from "../errors.js";
import { ACK, STREAMED } from "../outbox.js";
import type { PayloadStream, Session } from "../session.js";
import type { Client5 } from "../v5/client.js";
import type { GivenProperties } from "../v5/properties.js";
import type { Session5 } from "../v5/session.js";
import { MAX_REMAINING_LENGTH, PUBACK, PUBLISH, PUBREC, SUBACK } from "../wire.js";
import { Link } from "./link.js";

/** `offline`: the source of a message did not give what it had promised. */
export const END_SOURCE = -14;

/** From here on a reason code of MQTT 5 says that something has failed; the one of a packet that is too large. */
const FAILURE = 0x80;
const PACKET_TOO_LARGE = 0x95;

/** What a message is read from. */
export interface Source {
  /** Bytes of the payload, 1 or more. */
  readonly byteLength: number;
  /**
   * Copies what stands at `offset` of the payload to `bytes[start..end)`: all of it or less, but at least one byte.
   * Returns how many bytes it copied. What it throws, or 0, ends the connection, since the rest of the message is owed.
   * It must not call the client.
   */
  read(offset: number, bytes: Uint8Array, start: number, end: number): number;
}

/** There is room for `room` bytes or more to be written. Never called inside a call of the client. */
export type WritableCallback = (client: Client, room: number) => void;

/** What `withStreams` adds. */
export interface Streams {
  /**
   * Publishes what `source` has; otherwise as `publish`, with its answer and its callback. The source is read while the
   * message is sent, each time that it is sent, until it is acknowledged. Also false while another message is streamed,
   * and whenever no session is up. It is not part of a snapshot.
   *
   * @param properties of the message, with MQTT 5; whose limits the whole of it is subject to
   */
  publishFrom(
    topic: string | number,
    source: Source,
    qos?: QoS | null,
    retain?: Flag | null,
    done?: DoneCallback | null,
    properties?: GivenProperties | null,
  ): boolean;
  /**
   * Begins a message at QoS 0 of `byteLength` bytes, 1 or more, which `write` will bring. Returns as `publish`; also
   * false while another message is streamed. It ends with the connection.
   *
   * @param onWritable called when `write` has taken less than it was given, and can take more
   * @param properties as of `publishFrom`
   */
  beginPublish(
    topic: string | number,
    byteLength: number,
    retain?: Flag | null,
    onWritable?: WritableCallback | null,
    properties?: GivenProperties | null,
  ): boolean;
  /**
   * The next bytes of the message that was begun, `bytes[start..end)`; read during the call only. Returns how many were
   * taken: less than all when the network is slow, or -1 when the connection was lost, and the message with it.
   *
   * @throws Error when no message was begun or all of it was written; RangeError for more bytes than are still to come
   */
  write(bytes: Uint8Array, start?: number, end?: number): number;
}

/** Nothing was begun, or all was written; something is to be written; what was to be written is lost. */
const CLOSED = 0;
const OPEN = 1;
const LOST = 2;

class StreamLink extends Link implements PayloadStream {
  readonly bytes: Uint8Array;
  start = 0;
  onWritable: WritableCallback | undefined = undefined;
  /** Of what `write` is to bring. */
  _state = CLOSED;
  private readonly _client: Client;
  private readonly _hal: Hal;
  private readonly _session: Session;
  private readonly _timer: Timer;
  private _end = 0;
  private _source: Source | undefined = undefined;
  private _total = 0;
  /** Bytes of the payload that were written or read, and that were sent. */
  private _taken = 0;
  private _sent = 0;
  private _wantsRoom = false;
  /** The source has failed, and the connection is about to end for that. */
  private _isBroken = false;

  constructor(client: Client, pieceCapacity: number) {
    super(client);
    this.bytes = new Uint8Array(pieceCapacity);
    this._client = client;
    this._hal = client.hal;
    this._session = this.connection.session;
    this._session.stream = this;
    this._timer = this._hal.createTimer(() => {
      if (this._isBroken) this._giveUp();
      else this._tellRoom();
    });
  }

  /**
   * Queues what precedes the payload. Returns 0 or, having queued nothing, a negative code of `errors.ts`.
   *
   * @param name what `total` is to the application
   */
  begin(topic: string, name: string, total: number, flags: number, source: Source | undefined): number {
    const session = this._session as Session5;
    const isMqtt5 = this._session.encoder.level === 5;
    if (isMqtt5) session.refusal = 0;
    if (this._isBusy()) return NO_ROOM;
    let result = this._add(topic, name, total, flags);
    if (result === NO_ROOM && this.connection.makeRoom()) result = this._add(topic, name, total, flags);
    if (isMqtt5 && result <= -FAILURE) session.refusal = -result;
    if (result < 0) return result;
    this._source = source;
    this._total = total;
    this._state = source === undefined ? OPEN : CLOSED;
    this._restart();
    this.connection.afterCall();
    return 0;
  }

  private _add(topic: string, name: string, total: number, flags: number): number {
    const session = this._session;
    const outbox = session.outbox;
    if (!session.isUp() || outbox.isFull()) return NO_ROOM;
    const ack = flags < 2 ? 0 : flags < 4 ? PUBACK : PUBREC;
    const packetId = ack === 0 ? 0 : outbox.nextPacketId();
    if (ack !== 0 && packetId === 0) return NO_ROOM;
    const arena = outbox.arena;
    let end;
    do {
      // One byte behind it stands for the payload, and three for a length that needs them.
      end = session.encoder.publish(arena, outbox.tail, arena.length - 4, flags, packetId, topic, "");
    } while (end === NO_ROOM && outbox.compact());
    if (end < 0) return end;
    const start = outbox.tail;
    let body = start + 1;
    while (arena[body++] > 127);
    const length = end - body + total;
    if (length > MAX_REMAINING_LENGTH) {
      const most = String(MAX_REMAINING_LENGTH + total - length);
      throw new RangeError(name + " must be at most " + most + " with this topic, not " + String(total));
    }
    const header = headerLength(length);
    const most = session.encoder.maxPacketSize;
    if (most !== undefined && header + length > most) return -PACKET_TOO_LARGE;
    const moved = start + header;
    arena.copyWithin(moved, body, end);
    writeHeader(arena, start, arena[start], length);
    outbox.add(moved + end - body + 1, ack | STREAMED, packetId);
    return 0;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (this._isLost()) return -1;
    if (this._state === CLOSED) throw new Error("write must follow beginPublish, and end with its last byte");
    if (end - start > this._total - this._taken) {
      const left = String(this._total - this._taken);
      throw new RangeError("bytes must be at most the " + left + " to come, not " + String(end - start));
    }
    let at = start;
    while (at < end) {
      const room = this.bytes.length - this._end;
      const count = end - at < room ? end - at : room;
      if (count === 0) break;
      for (let i = 0; i < count; i++) this.bytes[this._end + i] = bytes[at + i];
      this._end += count;
      this._taken += count;
      at += count;
      if (this._taken === this._total) this._state = CLOSED;
      this.connection.afterCall();
    }
    if (start < end) this._wantsRoom = at < end;
    return at - start;
  }

  pending(room: number): number {
    if (this.start === this._end && !this._isBroken) this._fill();
    const count = this._end - this.start;
    return count < room ? count : room;
  }

  sent(count: number, nowMs: number): void {
    this.start += count;
    this._sent += count;
    if (this.start < this._end) return;
    this.start = this._end = 0;
    if (this._sent === this._total) this._session.outbox.sent(1, nowMs);
    else if (this._wantsRoom) this._timer.schedule(0);
  }

  override onConnect(sessionPresent: boolean): void {
    this._restart();
    super.onConnect(sessionPresent);
  }

  override onOffline(reason: number): void {
    if (this._state === OPEN) this._state = LOST;
    this._restart();
    super.onOffline(reason);
  }

  /** True when what was to be written is lost, also before `offline` could be told. */
  private _isLost(): boolean {
    return this._state === LOST || (this._state === OPEN && !this._isBusy());
  }

  /** The payload begins anew. */
  private _restart(): void {
    this.start = this._end = this._taken = this._sent = 0;
    this._wantsRoom = this._isBroken = false;
  }

  /** True while a message is not sent whole. */
  private _isBusy(): boolean {
    const outbox = this._session.outbox;
    for (let i = 0; i < outbox.operations; i++) {
      const state = outbox.table[outbox.entry(i)];
      // With MQTT 5, filters may have the flag.
      if ((state & STREAMED) !== 0 && (state & ACK) < SUBACK) return true;
    }
    return false;
  }

  /** Reads the next piece from the source, if there is one. */
  private _fill(): void {
    const source = this._source;
    if (source === undefined) return;
    const left = this._total - this._taken;
    let count = 0;
    try {
      count = source.read(this._taken, this.bytes, 0, left < this.bytes.length ? left : this.bytes.length);
    } catch (error) {
      this._hal.uncaught(error);
    }
    if (typeof count === "number" && count > 0 && count <= this.bytes.length && count <= left && count % 1 === 0) {
      this._end = count;
      this._taken += count;
    } else {
      // Not at once: in a call of the application, the operation it has just been given would be gone when it returns.
      this._isBroken = true;
      this._timer.schedule(0);
    }
  }

  private _giveUp(): void {
    this._isBroken = false;
    this._session.end(END_SOURCE);
    this.connection.afterCall();
  }

  private _tellRoom(): void {
    const callback = this.onWritable;
    const room = this.bytes.length - this._end;
    // What was told to the timer may be out of date.
    if (!this._wantsRoom || room === 0 || callback === undefined || this._state !== OPEN || this._isLost()) return;
    this._wantsRoom = false;
    try {
      callback(this._client, room);
    } catch (error) {
      this._hal.uncaught(error);
    }
  }
}

/** Calls `begin`, and has the PUBLISH that it writes say these properties. */
function withProperties(client: Client, properties: unknown, begin: () => number): number {
  if (isNil(properties)) return begin();
  if (client.connection.session.encoder.level !== 5) throw new TypeError("properties belongs to MQTT 5");
  const client5 = client as Client5;
  try {
    client5.setProperties(PUBLISH, properties);
    return begin();
  } finally {
    client5.setProperties(PUBLISH, undefined);
  }
}

/**
 * Gives `client` the methods `publishFrom`, `beginPublish` and `write`. Once for a client.
 *
 * @param pieceCapacity bytes of the buffer for payloads, 1..65536; 512 by default. It is the most that one write to the
 *   network takes
 */
export function withStreams<C extends Client>(client: C, pieceCapacity?: number | null): C & Streams {
  const link = new StreamLink(client, asInteger("pieceCapacity", pieceCapacity, 512, 1, 65536));
  const streams: Streams = {
    publishFrom(topic, source, qos, retain, done, properties) {
      const name = client.topicName(topic);
      if ((source as unknown) === null || typeof source !== "object" || typeof source.read !== "function") {
        throw wrong("source", "an object with byteLength and read", source);
      }
      if (isNil(source.byteLength)) throw wrong("source.byteLength", "bytes", source.byteLength);
      const total = asInteger("source.byteLength", source.byteLength, 0, 1, MAX_REMAINING_LENGTH);
      const flags = (asQos("qos", qos) << 1) | (asFlag("retain", retain, false) ? 1 : 0);
      const callback = asCallback("callback", done);
      const result = withProperties(client, properties, () =>
        link.begin(name, "source.byteLength", total, flags, source));
      if (!isQueued(result)) return false;
      if (callback !== undefined) client.on("puback", callback);
      return true;
    },
    beginPublish(topic, byteLength, retain, onWritable, properties) {
      const name = client.topicName(topic);
      if (isNil(byteLength)) throw wrong("byteLength", "bytes", byteLength);
      const total = asInteger("byteLength", byteLength, 0, 1, MAX_REMAINING_LENGTH);
      const flags = asFlag("retain", retain, false) ? 1 : 0;
      const callback = asCallback("onWritable", onWritable);
      const result = withProperties(client, properties, () =>
        link.begin(name, "byteLength", total, flags, undefined));
      if (!isQueued(result)) return false;
      link.onWritable = callback;
      return true;
    },
    write(bytes, start, end) {
      if (!(bytes instanceof Uint8Array)) throw wrong("bytes", "a Uint8Array", bytes);
      const last = asInteger("end", end, bytes.length, 0, bytes.length);
      return link.write(bytes, asInteger("start", start, 0, 0, last), last);
    },
  };
  return Object.assign(client, streams);
}
