/**
 * The outbox with the rules of MQTT 5: the broker's Receive Maximum and other limits, reason codes as outcomes, and
 * messages that expire before they leave (3.3.2.3.3).
 *
 * Behind the entries that `passed` counts there may be filters that have left, and what has its outcome.
 *
 * Where an operation has its outcome and anything is to be said of it, its reason codes are what remains of its packet.
 */
import type { PacketEncoder } from "../codec.js";
import { ACK, DONE, ENTRY, EXPIRES, isPublish, LENGTH, OFFSET, Outbox, SENT, SENT_AT_MS, STREAMED } from "../outbox.js";
import { DUP, PUBLISH, RETAIN, SUBACK } from "../wire.js";
import type { Encoder5 } from "./encoder.js";
import { behindVarint, findProperty, readUint16, readVarint } from "./properties.js";
import { MESSAGE_EXPIRY_INTERVAL, PACKET_TOO_LARGE, QOS_NOT_SUPPORTED, RETAIN_NOT_SUPPORTED } from "./wire.js";

export class Outbox5 extends Outbox {
  /** Messages at QoS 1 and 2 that the broker takes without having acknowledged them. */
  declare quota: number;
  /** Some may expire before they leave. */
  declare hasExpiring: boolean;
  /** There may be filters behind messages that are held back. */
  declare hasFilters: boolean;
  /** Filters that have overtaken messages, and wait for their acknowledgement. */
  declare ahead: number;
  /** When `expire` was called last: at the same time nothing else has expired. */
  private declare _lookedMs: number | undefined;

  override sendable(window: number, room: number): number {
    const taken = this.quota + this.ahead;
    return super.sendable(window < taken ? window : taken, room);
  }

  /**
   * The next SUBSCRIBE or UNSUBSCRIBE that is not sent: messages before it, which are held back, do not delay it
   * [MQTT5-3.3.4-8]. It is the caller's, and counts as sent. Its outcome has its place behind theirs all the same.
   */
  overtake(nowMs: number): Uint8Array | undefined {
    const table = this.table;
    for (let i = this.passed; i < this.operations; i++) {
      const entry = this.entry(i);
      const kind = table[entry] & (ACK | DONE | STREAMED);
      if (kind < SUBACK || kind > ACK) continue;
      table[entry] |= SENT | STREAMED;
      table[entry + SENT_AT_MS] = nowMs;
      this.inflight++;
      this.ahead++;
      this.passDone();
      const offset = table[entry + OFFSET];
      return this.arena.slice(offset, offset + table[entry + LENGTH]);
    }
    this.hasFilters = false;
    return undefined;
  }

  override passDone(): void {
    while (this.passed < this.operations && isPast(this.table[this._next])) {
      this.passed++;
      this._next = this._behind(this._next);
    }
  }

  override _finish(entry: number, type: number, keep: number): void {
    if (isPast(this.table[entry])) this.ahead--;
    super._finish(entry, type, keep);
  }

  override awaits(type: number, packetId: number): number {
    const index = this.find(packetId);
    if (index < 0) return -1;
    const entry = this.entry(index);
    const state = this.table[entry];
    return (state & ACK) === type && (index < this.passed || isPast(state)) ? entry : -1;
  }

  /**
   * What does not go with the limits of this broker ends. Where there is no session, what was sent was for nothing: it
   * is sent as if for the first time [MQTT5-3.2.2-5].
   */
  override resume(sessionPresent: boolean, encoder: PacketEncoder): void {
    super.resume(sessionPresent, encoder);
    // Also what had begun to leave.
    this.hasExpiring = true;
    const table = this.table;
    const limits = encoder as Encoder5;
    for (let i = 0; i < this.operations; i++) {
      const entry = this.entry(i);
      const state = table[entry];
      const ack = state & ACK;
      if ((state & DONE) !== 0 || (ack !== 0 && !isPublish(ack))) continue;
      const offset = table[entry + OFFSET];
      if (this.arena[offset] >> 4 !== PUBLISH) continue;
      if (!sessionPresent && (state & SENT) !== 0) {
        // When it was sent is not when it expires.
        table[entry] &= ~(SENT | EXPIRES);
        this.arena[offset] &= ~DUP;
      }
      const refused = this.arena[offset] & limits.refusedFlags;
      // Of one that is streamed the payload is not here.
      const body = behindVarint(this.arena, offset + 1, this.arena.length);
      const length = body - offset + readVarint(this.arena, offset + 1, body);
      let code = length > limits.maxPacketSize ? PACKET_TOO_LARGE : 0;
      if (refused !== 0) code = (refused & RETAIN) !== 0 ? RETAIN_NOT_SUPPORTED : QOS_NOT_SUPPORTED;
      if (code === 0) continue;
      this._finish(entry, ack, 1);
      this.arena[offset] = code;
    }
    this.passDone();
    this.lookDone();
  }

  /**
   * The message that was added last, and has not left, is to be removed at this time unless it has begun to leave. Such
   * times are even; an odd one is an age limit, which the message need not know.
   */
  expireLast(atMs: number): void {
    const entry = this.entry(this.operations - 1);
    this.table[entry] |= EXPIRES;
    this.table[entry + SENT_AT_MS] = atMs & -2;
    this.hasExpiring = true;
  }

  /** Removes what has expired, and has the others say how long they have left. */
  expire(nowMs: number): void {
    const table = this.table;
    if (nowMs === this._lookedMs) return;
    this._lookedMs = nowMs;
    this.hasExpiring = false;
    for (let i = this.partial > 0 ? this.passed + 1 : this.passed; i < this.operations; i++) {
      const entry = this.entry(i);
      if ((table[entry] & (EXPIRES | SENT | DONE)) !== EXPIRES) continue;
      const leftMs = (table[entry + SENT_AT_MS] - nowMs) | 0;
      if (leftMs > 0) {
        this.hasExpiring = true;
        if ((table[entry + SENT_AT_MS] & 1) === 0) this._say(table[entry + OFFSET], Math.ceil(leftMs / 1000));
      } else {
        this.shrink(entry, 0);
        for (let j = i; j < this.operations - 1; j++) {
          const from = this.entry(j + 1);
          table.copyWithin(this.entry(j), from, from + ENTRY);
        }
        this.operations--;
        // What follows may have its outcome, or have left.
        this.passDone();
        this.lookDone();
        if (this.watcher) this.watcher.onRemoved(i, "expired");
        i--;
      }
    }
  }

  /** Sets the Message Expiry Interval of the PUBLISH at `offset`, where it has one that is longer. */
  private _say(offset: number, seconds: number): void {
    const arena = this.arena;
    const topic = behindVarint(arena, offset + 1, arena.length);
    const lengthAt = topic + 2 + readUint16(arena, topic) + ((arena[offset] & 6) === 0 ? 0 : 2);
    const start = behindVarint(arena, lengthAt, arena.length);
    let at = findProperty(arena, start, start + readVarint(arena, lengthAt, start), MESSAGE_EXPIRY_INTERVAL);
    if (at < 0) return;
    for (let shift = 24; shift >= 0; shift -= 8) arena[at++] = (seconds >> shift) & 255;
  }
}

/** Has its outcome, or has left before its turn: filters are not streamed, so that STREAMED says this of them. */
function isPast(state: number): boolean {
  return (state & DONE) !== 0 || ((state & STREAMED) !== 0 && (state & ACK) >= SUBACK);
}
