/**
 * The session as bytes, for the time in which there is no memory: deep sleep, a reset.
 *
 *     const client = withSnapshot(mqtt.Client("sensor", 60, null, null, 0));
 *     client.restore(bytes.subarray(0, store.read(bytes)));           // after waking up, before connect
 *     store.write(bytes, 0, client.snapshot(bytes));                  // right before sleeping
 *
 * Layout, numbers in network order; version 1, with MQTT 5 version 5:
 *
 *     "MQS", version | bytes of the whole | CRC-32 of the rest | last packet id | identity: length, client identifier
 *           3      1                    4                    4                2               2
 *     count of QoS 2 ids received, 2 each | count of entries, each: state, packet id, length, ms to live, packet
 *           2                               4                         1      2          4       4
 *
 * Knows the tables of session and outbox, and nothing of what packets say. Invariant: a client is changed only once all
 * bytes were found right.
 */
import { asInteger, wrong } from "../arguments.js";
import type { Client } from "../client.js";
import {
  ACK,
  DONE,
  ENTRY,
  EXPIRES,
  ID_SHIFT,
  LENGTH,
  OFFSET,
  SENT,
  SENT_AT_MS,
  STREAMED,
  isPublish,
} from "../outbox.js";
import { CONTROL_CAPACITY } from "../session.js";
import { PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL } from "../wire.js";

/** `restore`: there are no bytes, or fewer than were written. */
export const SNAPSHOT_SHORT = -40;
/** `restore`: these bytes are no snapshot, or one of another version, be it of MQTT. */
export const SNAPSHOT_VERSION = -41;
/** `restore`: the bytes are damaged. */
export const SNAPSHOT_CHECKSUM = -42;
/** `restore`: the snapshot of another client identifier. */
export const SNAPSHOT_IDENTITY = -43;
/** `restore`: the client's capacities are too small for it. */
export const SNAPSHOT_CAPACITY = -44;

/** What `withSnapshot` adds. */
export interface Snapshotting {
  /**
   * Writes the session to the front of `into`: messages that wait or are not acknowledged, packet ids, which QoS 2
   * messages were received, and the client identifier. The client goes on as before; what happens to it later is not in
   * these bytes, so reset or sleep in the same turn. Not in it: messages that are streamed, subscribes, unsubscribes,
   * callbacks; QoS 0 only with `queueOffline`, if it has not begun to leave.
   *
   * @param into the caller's; `snapshotLength()` bytes or more
   * @returns how many bytes were written
   * @throws TypeError for what is no Uint8Array, RangeError when it is too short
   */
  snapshot(into: Uint8Array): number;
  /** Bytes that `snapshot` would write now. */
  snapshotLength(): number;
  /**
   * Brings back what `snapshot` wrote. Before the first `connect` and the first `publish`. Bytes behind the snapshot
   * are ignored. Connect with the broker that has the session.
   *
   * @param from read during the call only
   * @param sleptMs how long it was ago, as far as known, for messages with an age limit: 0..2^53 - 1; 0 by default
   * @returns how many messages there are to be sent; or, when nothing was changed, what is wrong: `SNAPSHOT_...`, below
   * 0
   * @throws TypeError or RangeError that names the argument; Error when the client was used already
   */
  restore(from: Uint8Array, sleptMs?: number): number;
}

const HEADER = 12;
/** Bytes of a PUBREL, which takes the place of a message: there is none that has less. */
const MIN_PACKET = 4;
/** State, packet id, length, age. */
const ENTRY_HEADER = 11;
/** As far as integers are exact. */
const MAX_SLEPT_MS = 9007199254740991;
/** CRC-32 of each half of a byte, as signed numbers: on XS others are no integers. */
const CRC_32 = [
  0, 498536548, 997073096, 651767980, 1994146192, 1802195444, 1303535960, 1342533948,
  -306674912, -267414716, -690576408, -882789492, -1687895376, -2032938284, -1609899400, -1111625188,
];
// On XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(CRC_32, true);
/** "MQS". Behind it stands the version. */
const MAGIC = 0x4d515300;

class Snapshot {
  private readonly _client: Client;
  private readonly _identity: Uint8Array;
  private readonly _magic: number;

  constructor(client: Client) {
    this._client = client;
    // Packets of the one version mean something else in the other.
    this._magic = MAGIC | (client.connection.session.encoder.level || 1);
    const bytes = new Uint8Array(4 * client.clientId.length);
    this._identity = bytes.slice(0, client.text.encode(client.clientId, bytes, 0, bytes.length));
  }

  length(): number {
    const session = this._client.connection.session;
    const outbox = session.outbox;
    let length = HEADER + 4 + this._identity.length + 2 + session.receivedEnd - CONTROL_CAPACITY + 4;
    for (let i = 0; i < outbox.operations; i++) {
      if (this._isKept(i)) length += ENTRY_HEADER + outbox.table[outbox.entry(i) + LENGTH];
    }
    return length;
  }

  write(into: Uint8Array): void {
    const session = this._client.connection.session;
    const outbox = session.outbox;
    const nowMs = this._whole(this._client.hal.now());
    let at = put(into, HEADER, 2, outbox.lastPacketId);
    at = put(into, at, 2, this._identity.length);
    into.set(this._identity, at);
    at = put(into, at + this._identity.length, 2, (session.receivedEnd - CONTROL_CAPACITY) >> 1);
    for (let i = CONTROL_CAPACITY; i < session.receivedEnd; i++) into[at++] = session.control[i];
    const countAt = at;
    at += 4;
    let count = 0;
    for (let i = 0; i < outbox.operations; i++) {
      if (!this._isKept(i)) continue;
      count++;
      const entry = outbox.entry(i);
      const offset = outbox.table[entry + OFFSET];
      const length = outbox.table[entry + LENGTH];
      let state = outbox.table[entry] & (ACK | SENT | EXPIRES);
      if ((state & SENT) !== 0) state &= ~EXPIRES;
      at = put(into, at, 1, state);
      at = put(into, at, 2, outbox.table[entry] >> ID_SHIFT);
      at = put(into, at, 4, length);
      at = put(into, at, 4, (state & EXPIRES) !== 0 ? outbox.table[entry + SENT_AT_MS] - nowMs : 0);
      into.set(outbox.arena.subarray(offset, offset + length), at);
      at += length;
    }
    put(into, countAt, 4, count);
    put(into, 0, 4, this._magic);
    put(into, 4, 4, at);
    put(into, 8, 4, crc32(into, at));
  }

  /** Reads all of it once to see that it is right, and once more to take it over. */
  restore(from: Uint8Array, sleptMs: number): number {
    if (from.length < HEADER) return SNAPSHOT_SHORT;
    if (take(from, 0, 4) !== this._magic) return SNAPSHOT_VERSION;
    const end = take(from, 4, 4);
    if (end < HEADER || end > from.length) return SNAPSHOT_SHORT;
    if (take(from, 8, 4) !== crc32(from, end)) return SNAPSHOT_CHECKSUM;
    const identity = this._identity;
    const length = take(from, HEADER + 2, 2);
    if (length !== identity.length) return SNAPSHOT_IDENTITY;
    let at = HEADER + 4;
    for (let i = 0; i < length; i++) if (from[at++] !== identity[i]) return SNAPSHOT_IDENTITY;
    const outcome = this._entries(from, at, end, sleptMs, false);
    return outcome < 0 ? outcome : this._entries(from, at, end, sleptMs, true);
  }

  /** Reads what is behind the identity. Returns how many entries there are, or what is wrong. */
  private _entries(from: Uint8Array, start: number, end: number, sleptMs: number, isForReal: boolean): number {
    const session = this._client.connection.session;
    const outbox = session.outbox;
    const nowMs = this._whole(this._client.hal.now());
    const received = 2 * take(from, start, 2);
    let at = start + 2 + received;
    if (CONTROL_CAPACITY + received > session.control.length) return SNAPSHOT_CAPACITY;
    if (at + 4 > end) return SNAPSHOT_CHECKSUM;
    const count = take(from, at, 4);
    at += 4;
    let bytes = 0;
    for (let i = 0; i < count; i++) {
      const body = at + ENTRY_HEADER;
      if (body > end) return SNAPSHOT_CHECKSUM;
      const state = from[at];
      const packetId = take(from, at + 1, 2);
      const length = take(from, at + 3, 4);
      at = body + length;
      if (length < MIN_PACKET || at > end || !isConsistent(state, packetId, from[body])) return SNAPSHOT_CHECKSUM;
      bytes += length;
      if (!isForReal) continue;
      const tail = outbox.tail;
      outbox.arena.set(from.subarray(body, at), tail);
      outbox.add(tail + length, state, packetId);
      // However long ago it was: on a clock of 32 bits a time too far back would be ahead.
      const leftMs = (take(from, body - 4, 4) | 0) - this._whole(sleptMs);
      outbox.table[outbox.entry(i) + SENT_AT_MS] = nowMs + (leftMs > 0 ? leftMs : 0);
    }
    if (bytes > outbox.arena.length || count * ENTRY > outbox.table.length) return SNAPSHOT_CAPACITY;
    if (at !== end) return SNAPSHOT_CHECKSUM;
    if (isForReal) {
      for (let i = 0; i < received; i++) session.control[CONTROL_CAPACITY + i] = from[start + 2 + i];
      session.receivedEnd = CONTROL_CAPACITY + received;
      outbox.lastPacketId = take(from, HEADER, 2);
      // Whether the next ids are free has to be looked up.
      outbox.free = 0;
    }
    return count;
  }

  /** With MQTT 5 an even time: whether one is odd means something there. */
  private _whole(timeMs: number): number {
    return this._client.connection.session.encoder.level === 5 ? timeMs - (timeMs % 2) : timeMs;
  }

  /** True when the session keeps this entry without the connection. */
  private _isKept(index: number): boolean {
    const session = this._client.connection.session;
    const outbox = session.outbox;
    const state = outbox.table[outbox.entry(index)];
    if ((state & (DONE | STREAMED)) !== 0) return false;
    if ((state & ACK) !== 0) return isPublish(state & ACK);
    return session.queuesOffline && !(index === outbox.passed && outbox.partial > 0);
  }
}

/** Gives `client`, one with cleansession 0, the methods `snapshot`, `snapshotLength` and `restore`. */
export function withSnapshot<C extends Client>(client: C): C & Snapshotting {
  if (client.connection.session.cleanSession) {
    throw new TypeError("client must have cleansession 0: of a clean session there is nothing to keep");
  }
  const link = new Snapshot(client);
  const snapshotting: Snapshotting = {
    snapshot(into) {
      const length = link.length();
      checkBytes("into", into);
      if (into.length < length) {
        throw new RangeError("into must have " + String(length) + " bytes or more, not " + String(into.length));
      }
      link.write(into);
      return length;
    },
    snapshotLength() {
      return link.length();
    },
    restore(from, sleptMs) {
      checkBytes("from", from);
      const connection = client.connection;
      const outbox = connection.session.outbox;
      const hasReceived = connection.session.receivedEnd > CONTROL_CAPACITY;
      if (!connection.isIdle() || outbox.operations > 0 || outbox.lastPacketId > 0 || hasReceived) {
        throw new Error("restore must come before connect and publish");
      }
      return link.restore(from, asInteger("sleptMs", sleptMs, 0, 0, MAX_SLEPT_MS));
    },
  };
  return Object.assign(client, snapshotting);
}

function checkBytes(name: string, bytes: unknown): void {
  if (!(bytes instanceof Uint8Array)) throw wrong(name, "a Uint8Array", bytes);
}

/** True when what an entry waits for, its id, and the first byte of its packet belong together. */
function isConsistent(state: number, packetId: number, first: number): boolean {
  const ack = state & ACK;
  if ((state & ~(ACK | SENT | EXPIRES)) !== 0 || (packetId === 0) !== (ack === 0)) return false;
  if (ack === PUBCOMP) return first >> 4 === PUBREL;
  return first >> 4 === PUBLISH && (ack === 0 || ack === PUBACK || ack === PUBREC);
}

/** Writes a number of `size` bytes and returns the offset behind it. */
function put(bytes: Uint8Array, offset: number, size: number, value: number): number {
  for (let i = 0; i < size; i++) bytes[offset + i] = value >>> (8 * (size - 1 - i));
  return offset + size;
}

/** Reads a number of `size` bytes. */
function take(bytes: Uint8Array, offset: number, size: number): number {
  let value = 0;
  for (let i = 0; i < size; i++) value = value * 256 + bytes[offset + i];
  return value;
}

/** CRC-32 (the one of zip and PNG) of the first `end` bytes, but for the four where it stands itself. */
function crc32(bytes: Uint8Array, end: number): number {
  let crc = -1;
  for (let at = 0; at < end; at++) {
    if (at === 8) at = HEADER;
    crc ^= bytes[at];
    crc = CRC_32[crc & 15] ^ (crc >>> 4);
    crc = CRC_32[crc & 15] ^ (crc >>> 4);
  }
  return ~crc >>> 0;
}
