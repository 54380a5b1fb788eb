/**
 * Sends again, within a connection, what has no answer: for brokers that speak MQTT 3.1, or that lose messages.
 *
 *     const client = withRetry(mqtt.Client("sensor"), { retryIntervalMs: 20000 });
 *
 * A PUBLISH that waits for PUBACK or PUBREC goes out again with DUP [MQTT-3.3.1-1], a PUBREL that waits for PUBCOMP as
 * it is, after each `retryIntervalMs`; SUBSCRIBE and UNSUBSCRIBE do not. Since 3.1.1 a client need not do so (4.4):
 * what TCP has taken arrives, or the connection ends. `ackTimeoutMs` goes on counting from the first time and ends the
 * session, so it has to be the longer one.
 *
 * What is sent again goes out whole and between other packets: a packet for which the socket does not have the room
 * just then waits, one for which it never has is not sent again. Neither is a message that is streamed, whose payload
 * is not here. While reading is paused nothing is repeated: the answer may be there.
 *
 * Costs, in memory: 4 bytes for each of the client's `maxOperations`, a timer and two functions; in time: a look at
 * each entry of the outbox that was sent, when one is due.
 */
import type { Hal, Timer } from "../../hal/socket.js";
import { asInteger, show, wrong } from "../arguments.js";
import type { Client } from "../client.js";
import type { Connection } from "../connection.js";
import { ACK, DONE, ENTRY, LENGTH, OFFSET, SENT_AT_MS, STREAMED, isPublish } from "../outbox.js";
import type { Session } from "../session.js";
import { PUBCOMP } from "../wire.js";

const MAX_MS = 1073741824;
const DEFAULT_MS = 30000;

export interface RetryOptions {
  /** How long an answer is waited for before the packet is sent again, in milliseconds, 1..2^30. 30,000 by default. */
  retryIntervalMs?: number | null;
}

class Retry {
  private readonly _hal: Hal;
  readonly connection: Connection;
  readonly session: Session;
  private readonly _timer: Timer;
  private readonly _intervalMs: number;
  /** For each place of the outbox's table when its packet was sent again; means nothing if it was sent first since. */
  private readonly _againMs: Int32Array;
  private _isScheduled = false;
  /** Some may be due: whenever something can leave, they are looked for. */
  private _isDue = false;
  /** Where the entry is whose packet `pending` counted last, to be sent again; below 0: it was something else. */
  private _repeated = -1;

  constructor(client: Client, intervalMs: number) {
    const session = client.connection.session;
    this._hal = client.hal;
    this.connection = client.connection;
    this.session = session;
    this._intervalMs = intervalMs;
    this._againMs = new Int32Array(session.outbox.table.length / ENTRY);
    this._timer = this._hal.createTimer(() => {
      this._isScheduled = false;
      this._isDue = true;
      this.connection.afterCall();
    });
  }

  /** Takes its part in what the session sends. */
  join(): void {
    const session = this.session;
    const outbox = session.outbox;
    const pending = session.pending.bind(session);
    const sent = session.sent.bind(session);
    const lost = session.lost.bind(session);
    Object.defineProperties(session, {
      lost: {
        value: (): void => {
          // A timer that is set would keep a program from ending.
          this._timer.clear();
          this._isScheduled = this._isDue = false;
          lost();
        },
        configurable: true,
      },
      pending: {
        value: (room: number): number => {
          // Behind what is half sent, and behind acknowledgements.
          const isFree = this._isDue && session._controlEnd === 0 && outbox.partial === 0;
          this._repeated = isFree && session.isUp() && !session.isPaused ? this._next(room) : -1;
          if (this._repeated < 0) return pending(room);
          session.out = outbox.arena;
          session.outStart = outbox.table[this._repeated + OFFSET];
          return outbox.table[this._repeated + LENGTH];
        },
        configurable: true,
      },
      sent: {
        value: (count: number, nowMs: number): void => {
          const repeated = this._repeated;
          this._repeated = -1;
          if (repeated >= 0) this._againMs[repeated / ENTRY] = nowMs;
          // Of what the outbox has still to send, nothing was.
          sent(repeated >= 0 ? 0 : count, nowMs);
          if (!this._isScheduled && outbox.inflight > 0) this._schedule(this._intervalMs);
        },
        configurable: true,
      },
    });
  }

  /** Where the first entry is that is due and whose packet fits, made ready to be sent again; or -1. */
  private _next(room: number): number {
    const outbox = this.session.outbox;
    const table = outbox.table;
    const nowMs = this._hal.now();
    let leastMs = this._intervalMs;
    let isDue = false;
    for (let i = 0; i < outbox.passed; i++) {
      const entry = outbox.entry(i);
      const state = table[entry];
      if ((state & (DONE | STREAMED)) !== 0 || !isPublish(state & ACK)) continue;
      const leftMs = this._intervalMs - this._waitedMs(entry, nowMs);
      if (leftMs > 0) {
        if (leftMs < leastMs) leastMs = leftMs;
        continue;
      }
      isDue = true;
      if (table[entry + LENGTH] > room) continue;
      if ((state & ACK) !== PUBCOMP) this.session.encoder.markDup(outbox.arena, table[entry + OFFSET]);
      return entry;
    }
    this._isDue = isDue;
    if (outbox.inflight > 0) this._schedule(leastMs);
    return -1;
  }

  /** How long ago an entry's packet was sent last. */
  private _waitedMs(entry: number, nowMs: number): number {
    const firstMs = (nowMs - this.session.outbox.table[entry + SENT_AT_MS]) | 0;
    const againMs = (nowMs - this._againMs[entry / ENTRY]) | 0;
    return againMs >= 0 && againMs < firstMs ? againMs : firstMs;
  }

  private _schedule(delayMs: number): void {
    this._isScheduled = true;
    this._timer.schedule(delayMs);
  }
}

/**
 * Has `client` send again what has no answer. Once for a client, and before its first `connect`.
 *
 * @throws TypeError or RangeError that names the option; TypeError for a client of MQTT 5, which forbids it
 *   [MQTT-4.4.0-1]
 */
export function withRetry<C extends Client>(client: C, options?: RetryOptions | null): C {
  const given: unknown = options === undefined || options === null ? {} : options;
  if (typeof given !== "object") throw wrong("options", "an object", given);
  const table = given as Record<string, unknown>;
  for (const name in table) if (name !== "retryIntervalMs") throw new TypeError("unknown option " + show(name));
  if (client.connection.session.encoder.level === 5) {
    throw new TypeError("client must not be one of MQTT 5, which does not allow to send again within a connection");
  }
  new Retry(client, asInteger("retryIntervalMs", table.retryIntervalMs, DEFAULT_MS, 1, MAX_MS)).join();
  return client;
}
