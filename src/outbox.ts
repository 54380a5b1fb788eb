/**
 * The operations of the application - publishes, subscribes, unsubscribes - from the call until their outcome. Their
 * packets lie one behind the other in one arena: it is where they are encoded, what is sent, and what is sent again
 * after a resumed session. Beside it stands a table with one entry for each.
 *
 * Knows which acknowledgement an entry waits for, but not what the packets say; time is a number that it keeps.
 *
 * Invariants: entries stand in the order of the calls, and so do their packets in the arena, with holes where one was
 * released; outcomes are handed out in that order too. The first `passed` entries were sent on this connection or have
 * their outcome; the next one has neither. An entry has a packet id exactly as long as it can be acknowledged.
 */
import type { PacketEncoder } from "./codec.js";
import { MAX_PACKET_ID, PUBCOMP, PUBREC, SUBACK } from "./wire.js";

/**
 * An entry is four numbers of the table, since an array of its own for each would cost seven slots. The first is its
 * packet id, shifted by ID_SHIFT, and its state; the others follow at these offsets.
 */
export const ENTRY = 4;
export const OFFSET = 1;
export const LENGTH = 2;
export const SENT_AT_MS = 3;
export const ID_SHIFT = 8;

// The state of an entry: the acknowledgement it waits for next (0: none), and four flags.
export const ACK = 15;
/** Was sent whole, on this connection or an earlier one: to send it again is a repetition [MQTT-3.3.1-1]. */
export const SENT = 16;
/** Has its outcome, and waits for the entries before it to have theirs. */
export const DONE = 32;
/**
 * Its payload is not in the arena, and leaves behind what is: the entry has one byte more than that, which is not sent,
 * so that it is not finished before somebody says that this byte was.
 */
export const STREAMED = 64;
/** As long as it was not sent, SENT_AT_MS is when it is to be removed unless it has begun to leave. */
export const EXPIRES = 128;

/** Learns of entries that go without an acknowledgement; for who keeps something beside each. */
export interface OutboxWatcher {
  /**
   * An entry was removed.
   *
   * @param index how far behind the oldest it was, those that were removed before it not counted
   * @param outcome why; undefined: with the connection
   */
  onRemoved(index: number, outcome?: "expired" | "dropped"): void;
  /** How many more that were removed it can keep: for who removes some when he likes. */
  room(): number;
}

/** Holds what was accepted and not finished. Every size is fixed at construction. */
export class Outbox {
  /** The arena. */
  readonly arena: Uint8Array;
  /** Entries in use. */
  operations = 0;
  /** Of these, those before the one that is to be sent next. */
  passed = 0;
  /** Entries that were sent on this connection and wait for an acknowledgement. */
  inflight = 0;
  /** Bytes of the next entry that are sent already: its packet must be finished before any other. */
  partial = 0;
  /** Where in the arena the next packet is to be written: from here to its end. */
  tail = 0;
  /**
   * The type of the acknowledgement that finished the oldest entry (0: it needed none), or -1 if it is not finished.
   */
  doneType = -1;
  /** Messages that were sent without an entry. Their outcomes come before those of the entries. */
  atOnce = 0;
  /** Undefined: nobody asks. */
  watcher: OutboxWatcher | undefined = undefined;
  /** The table is a ring; its oldest entry is at `_head`. */
  readonly table: Int32Array;
  _head = 0;
  /** Where the next entry is. */
  _next = 0;
  /** Bytes in the arena that are not released. */
  private _live = 0;
  /** The packet id given last; 0: none yet. */
  lastPacketId = 0;
  /** How many of those that come next are free, as far as is known. */
  free = 0;
  /**
   * How far behind the oldest entry the one is that was found last, less its packet id: since ids are given in turn, it
   * is the same number for most others.
   */
  private _hint = 0;

  /**
   * @param capacity bytes of the arena
   * @param maxOperations entries of the table
   */
  constructor(capacity: number, maxOperations: number) {
    this.arena = new Uint8Array(capacity);
    this.table = new Int32Array(maxOperations * ENTRY);
  }

  /** True when no operation more may wait for its outcome. */
  isFull(): boolean {
    return (this.operations + this.atOnce) * ENTRY >= this.table.length;
  }

  /** A message at QoS 0 was sent past the table, which was empty, and not full of outcomes. */
  sentAtOnce(): void {
    this.atOnce++;
    this.doneType = 0;
  }

  /**
   * The packet id for the next `add`: one more than the last, after 65535 comes 1, those in use are passed over
   * [MQTT-2.3.1-2]. 0 when all are in use. Since ids are given in turn, what is in use is looked through only where one
   * may have come round.
   */
  nextPacketId(): number {
    if (this.operations === 0) this.free = MAX_PACKET_ID;
    if (this.free === 0) this._findFree();
    if (this.free === 0) return 0;
    return this.lastPacketId === MAX_PACKET_ID ? 1 : this.lastPacketId + 1;
  }

  /** Passes over packet ids in use, and counts those behind them that are free. */
  private _findFree(): void {
    for (let tries = 0; tries < MAX_PACKET_ID; tries++) {
      const packetId = this.lastPacketId === MAX_PACKET_ID ? 1 : this.lastPacketId + 1;
      if (this.find(packetId) < 0) {
        this.free = this._countFree();
        return;
      }
      this.lastPacketId = packetId;
    }
  }

  /** How many packet ids are free between the last one and the next that is in use. */
  private _countFree(): number {
    let free = MAX_PACKET_ID;
    for (let i = 0; i < this.operations; i++) {
      const packetId = this.table[this.entry(i)] >> ID_SHIFT;
      let between = packetId - this.lastPacketId - 1;
      if (between < 0) between += MAX_PACKET_ID;
      if (packetId !== 0 && between < free) free = between;
    }
    return free;
  }

  /**
   * Adds the packet that was written to `arena[tail..end)`.
   *
   * @param ack type of the acknowledgement that it waits for first; 0: none, it is done when sent. Plus STREAMED, if
   *   the last of these bytes stands for a payload that is elsewhere
   * @param packetId from `nextPacketId`; 0 exactly if `ack` is
   */
  add(end: number, ack: number, packetId: number): void {
    const table = this.table;
    const tail = this.tail;
    const entry = this.passed === this.operations ? this._next : this.entry(this.operations);
    table[entry] = (packetId << ID_SHIFT) | ack;
    table[entry + OFFSET] = tail;
    table[entry + LENGTH] = end - tail;
    this.operations++;
    this._live += end - tail;
    this.tail = end;
    if (packetId === 0) return;
    this.lastPacketId = packetId;
    this.free--;
  }

  /** Moves the packets together. Returns false when there was nothing to gain. */
  compact(): boolean {
    if (this._live === this.tail) return false;
    const table = this.table;
    let to = 0;
    for (let i = 0; i < this.operations; i++) {
      const entry = this.entry(i);
      const offset = table[entry + OFFSET];
      const length = table[entry + LENGTH];
      this.arena.copyWithin(to, offset, offset + length);
      table[entry + OFFSET] = to;
      to += length;
    }
    this.tail = to;
    return true;
  }

  /** Where the bytes lie that `sendable` counts. */
  sendStart(): number {
    return this.table[this._next + OFFSET] + this.partial;
  }

  /**
   * Count of bytes, from `sendStart()` on, that may be sent now: the rest of a packet that was begun and nothing else,
   * or all packets that lie together and that the window lets go. There may be more behind `room` bytes.
   *
   * @param window how many entries may be waiting for an acknowledgement
   */
  sendable(window: number, room: number): number {
    const table = this.table;
    let entry = this._next;
    const start = table[entry + OFFSET];
    let end = start;
    let free = window - this.inflight;
    for (let left = this.operations - this.passed; left > 0; left--) {
      const state = table[entry];
      if (table[entry + OFFSET] !== end || (state & (DONE | STREAMED)) !== 0) {
        const isFirst = end === start && (state & STREAMED) !== 0;
        if (isFirst && (free > 0 || state >> ID_SHIFT === 0)) end += table[entry + LENGTH] - 1;
        break;
      }
      if (state >> ID_SHIFT !== 0 && --free < 0) break;
      end += table[entry + LENGTH];
      if (this.partial > 0 || end - start >= room) break;
      entry = this._behind(entry);
    }
    return end === start ? 0 : end - start - this.partial;
  }

  /** `count` bytes from `sendStart()` on were sent, at `nowMs`. */
  sent(count: number, nowMs: number): void {
    const table = this.table;
    let rest = this.partial + count;
    while (rest > 0) {
      const entry = this._next;
      const length = table[entry + LENGTH];
      if (rest < length) break;
      rest -= length;
      if (table[entry] >> ID_SHIFT === 0) {
        this._finish(entry, 0, 0);
      } else {
        table[entry] |= SENT;
        table[entry + SENT_AT_MS] = nowMs;
        this.inflight++;
      }
      this.passed++;
      this._next = this._behind(entry);
      if (this.passed < this.operations) this.passDone();
    }
    this.partial = rest;
  }

  /**
   * An acknowledgement came. Returns -1 if no entry waits for it on this connection; otherwise where in the arena the
   * entry's packet lay, of which the first `keep` bytes remain, for the caller to overwrite. After PUBREC the entry
   * waits for PUBCOMP, and what is written there is what will be sent again; after any other it has its outcome.
   */
  acknowledge(type: number, packetId: number, keep: number, nowMs: number): number {
    const table = this.table;
    const entry = this.awaits(type, packetId);
    if (entry < 0) return -1;
    if (type === PUBREC) {
      table[entry] = (packetId << ID_SHIFT) | PUBCOMP | SENT;
      table[entry + SENT_AT_MS] = nowMs;
      this.shrink(entry, keep);
    } else {
      this.inflight--;
      this._finish(entry, type, keep);
    }
    return table[entry + OFFSET];
  }

  /** Where in the table the entry is that waits for the acknowledgement `type` on this connection, or -1. */
  awaits(type: number, packetId: number): number {
    const index = this.find(packetId);
    if (index < 0 || index >= this.passed) return -1;
    const entry = this.entry(index);
    return (this.table[entry] & ACK) === type ? entry : -1;
  }

  /** Milliseconds that the entry waiting longest has been waiting for an acknowledgement; 0 when none is. */
  longestWait(nowMs: number): number {
    let longest = 0;
    for (let i = 0; i < this.passed; i++) {
      const entry = this.entry(i);
      const wait = (nowMs - this.table[entry + SENT_AT_MS]) | 0;
      if (this.table[entry] >> ID_SHIFT !== 0 && wait > longest) longest = wait;
    }
    return longest;
  }

  /** What waits for an acknowledgement waits from now on. */
  waitAgain(nowMs: number): void {
    for (let i = 0; i < this.passed; i++) this.table[this.entry(i) + SENT_AT_MS] = nowMs;
  }

  /** Drops the oldest entry, which is finished. */
  dropDone(): void {
    if (this.atOnce > 0) {
      if (--this.atOnce === 0) this.lookDone();
      return;
    }
    const head = this._head;
    if (this.table[head + LENGTH] > 0) this.shrink(head, 0);
    this._head = this._behind(head);
    this.passed--;
    this._hint = (this._hint - 1) | 0;
    this.operations--;
    this.lookDone();
  }

  /**
   * The connection is gone. What has its outcome stays to be handed out. Of the rest, publishes at QoS 1 and 2 stay if
   * `keep`, those at QoS 0 that had not begun to leave if `keepUnsent`; everything else is removed.
   */
  disconnect(keep: boolean, keepUnsent: boolean): void {
    const table = this.table;
    const operations = this.operations;
    // Of the message that was leaving, the rest is not a message.
    const begun = this.partial > 0 ? this.passed : -1;
    let kept = 0;
    for (let i = 0; i < operations; i++) {
      const from = this.entry(i);
      const kind = table[from] & (ACK | STREAMED);
      const stays = kind === 0 ? keepUnsent && i !== begun : keep && isPublish(kind & ACK);
      if ((table[from] & DONE) === 0 && !stays) {
        this.shrink(from, 0);
        if (this.watcher) this.watcher.onRemoved(kept);
        continue;
      }
      table.copyWithin(this.entry(kept++), from, from + ENTRY);
    }
    this.operations = kept;
    this.inflight = this._hint = this.partial = this.passed = 0;
    this._next = this._head;
    this.passDone();
    this.lookDone();
  }

  /**
   * A new connection is accepted: everything that waits is to be sent again, in order [MQTT-4.4.0-1] [MQTT-4.6.0-1], a
   * PUBLISH that was sent before with DUP.
   *
   * @param sessionPresent false: the broker has forgotten which PUBREL it waits for. It had confirmed those messages
   *   with PUBREC, so they have their outcome.
   */
  resume(sessionPresent: boolean, encoder: PacketEncoder): void {
    for (let i = 0; i < this.operations; i++) {
      const entry = this.entry(i);
      const state = this.table[entry] & (ACK | SENT | DONE);
      if (state === (PUBCOMP | SENT)) {
        if (!sessionPresent) this._finish(entry, PUBCOMP, 0);
      } else if ((state & (SENT | DONE)) === SENT) {
        encoder.markDup(this.arena, this.table[entry + OFFSET]);
      }
    }
    this.passDone();
  }

  /** Where in the table the entry is that is `index` behind the oldest. */
  entry(index: number): number {
    const entry = this._head + index * ENTRY;
    return entry < this.table.length ? entry : entry - this.table.length;
  }

  /** Where the entry is that follows the one at `entry`. */
  _behind(entry: number): number {
    return entry + ENTRY === this.table.length ? 0 : entry + ENTRY;
  }

  /** How far behind the oldest the entry with this packet id is, or -1. */
  find(packetId: number): number {
    const operations = this.operations;
    let index = this._hint + packetId;
    for (let left = operations; left > 0; left--) {
      // Also when it is below 0.
      if (index >>> 0 >= operations) index = 0;
      if (this.table[this.entry(index)] >> ID_SHIFT === packetId) {
        this._hint = index - packetId;
        return index;
      }
      index++;
    }
    return -1;
  }

  _finish(entry: number, type: number, keep: number): void {
    this.table[entry] = type | DONE;
    if (entry === this._head && this.atOnce === 0) this.doneType = type;
    this.shrink(entry, keep);
  }

  /** Releases all but the first `keep` bytes of a packet. */
  shrink(entry: number, keep: number): void {
    const table = this.table;
    const start = table[entry + OFFSET];
    const length = table[entry + LENGTH];
    this._live -= length - keep;
    table[entry + LENGTH] = keep;
    if (this._live === 0) this.tail = 0;
    else if (start + length === this.tail) this.tail = start + keep;
  }

  /** On to the next entry that has no outcome. */
  passDone(): void {
    while (this.passed < this.operations && (this.table[this._next] & DONE) !== 0) {
      this.passed++;
      this._next = this._behind(this._next);
    }
  }

  /** Another entry is the oldest. */
  lookDone(): void {
    const state = this.atOnce > 0 ? DONE : this.operations === 0 ? 0 : this.table[this._head];
    this.doneType = (state & DONE) === 0 ? -1 : state & ACK;
  }
}

/** True when what waits for this acknowledgement is a message. */
export function isPublish(ack: number): boolean {
  return ack > 0 && ack < SUBACK;
}
