/**
 * What became of each operation: a callback for one publish, subscribe or unsubscribe, beside NodeMCU's slots.
 *
 *     const client = withOutcomes(mqtt.Client("sensor"));
 *     if (client.publish("/t", "1", 1)) client.outcome((client, outcome) => print(outcome));
 *
 * Keeps one place for each operation that may wait for its outcome, as many as the client has (`maxOperations`), in the
 * order of the calls, and those that were removed until the timer or `offline` tells them. Invariant: the callback at
 * place n belongs to the n-th outcome that the outbox will have.
 */
import type { Client } from "../client.js";
import type { Outbox, OutboxWatcher } from "../outbox.js";
import { ENTRY } from "../outbox.js";
import type { Hal, Timer } from "../../hal/socket.js";
import { PUBCOMP, SUBSCRIPTION_FAILURE } from "../wire.js";
import { Link } from "./link.js";

/**
 * - `"delivered"`: acknowledged, or at QoS 0 handed to the network stack.
 * - `"refused"`: a subscribe for which the broker granted nothing. With MQTT 5 also an unsubscribe of which it took
 *   nothing, and a message that it refused, or that is beyond the limits it has told since.
 * - `"expired"`: it was too old before it could leave (see `withQueuePolicy`).
 * - `"dropped"`: it made room for a newer message (see `withQueuePolicy`).
 * - `"lost"`: its session ended first, and does not keep it.
 *
 * A message that was refused by a full queue has no outcome: `publish` answered false.
 */
export type Outcome = "delivered" | "refused" | "expired" | "dropped" | "lost";

/**
 * An operation has ended. Never called inside a call of the client.
 *
 * @param granted of a subscribe that was answered: a code for each filter, as `SubscribeCallback` has them; with MQTT 5
 *   also of an unsubscribe, and the one of a message where that is not 0
 */
export type OutcomeCallback = (client: Client, outcome: Outcome, granted?: Uint8Array) => void;

/** What `withOutcomes` adds. */
export interface Outcomes {
  /**
   * Has `callback` called, once, with the outcome of the operation that was accepted last: call it directly behind a
   * `publish`, `subscribe` or `unsubscribe` that answered true. A second call for the same operation replaces the
   * first. A message of a persistent session that waits for its broker has no outcome yet; one that a reset has taken
   * out of memory has none any more.
   *
   * @throws TypeError for what is no function; Error when no operation is under way
   */
  outcome(callback: OutcomeCallback): void;
}

class OutcomeLink extends Link implements OutboxWatcher {
  private readonly _client: Client;
  private readonly _hal: Hal;
  private readonly _outbox: Outbox;
  private readonly _timer: Timer;
  /** A ring: the callback of the oldest operation is at `_head`. */
  private readonly _waiting: (OutcomeCallback | undefined)[] = [];
  private _head = 0;
  private readonly _removed: OutcomeCallback[] = [];
  private readonly _outcomes: Outcome[] = [];

  constructor(client: Client) {
    super(client);
    this._client = client;
    this._hal = client.hal;
    this._outbox = this.connection.session.outbox;
    this._outbox.watcher = this;
    this._timer = this._hal.createTimer(() => {
      this._tellRemoved();
    });
    for (let i = this._outbox.table.length / ENTRY; i > 0; i--) this._waiting.push(undefined);
  }

  setLast(callback: OutcomeCallback): void {
    if (typeof (callback as unknown) !== "function") throw new TypeError("callback must be a function");
    const place = this._outbox.operations + this._outbox.atOnce - 1;
    if (place < 0) throw new Error("outcome must follow an operation that was accepted");
    this._waiting[this._place(place)] = callback;
  }

  override listens(): boolean {
    return true;
  }

  override onDone(type: number, granted: Uint8Array | undefined): void {
    const callback = this._waiting[this._head];
    this._waiting[this._head] = undefined;
    this._head = this._place(1);
    super.onDone(type, granted);
    if (callback !== undefined) this._tell(callback, isRefused(type, granted) ? "refused" : "delivered", granted);
  }

  override onOffline(reason: number): void {
    this._tellRemoved();
    super.onOffline(reason);
  }

  onRemoved(index: number, outcome?: "expired" | "dropped"): void {
    const first = index + this._outbox.atOnce;
    const callback = this._waiting[this._place(first)];
    // Those behind it move up. The last place was that of the youngest operation at the most.
    for (let i = first; i < this._waiting.length - 1; i++) {
      this._waiting[this._place(i)] = this._waiting[this._place(i + 1)];
    }
    this._waiting[this._place(this._waiting.length - 1)] = undefined;
    if (callback === undefined) return;
    this._removed.push(callback);
    this._outcomes.push(outcome ?? "lost");
    this._timer.schedule(0);
  }

  room(): number {
    return this._waiting.length - this._removed.length;
  }

  private _place(index: number): number {
    const place = this._head + index;
    return place < this._waiting.length ? place : place - this._waiting.length;
  }

  /** What is removed meanwhile has its turn later. */
  private _tellRemoved(): void {
    for (let left = this._removed.length; left > 0; left--) {
      const callback = this._removed.shift() as OutcomeCallback;
      this._tell(callback, this._outcomes.shift() as Outcome);
    }
  }

  private _tell(callback: OutcomeCallback, outcome: Outcome, granted?: Uint8Array): void {
    try {
      callback(this._client, outcome, granted);
    } catch (error) {
      this._hal.uncaught(error);
    }
  }
}

/**
 * Gives `client` the method `outcome`. Once for a client, and before its first operation.
 *
 * Costs, in memory: a list of as many references as the client's `maxOperations`, a timer, and for what was removed two
 * lists that are empty but for the moment until it is told; at most twice as many are in each then: those that were
 * dropped, and those of a connection that is lost in the same turn.
 */
export function withOutcomes<C extends Client>(client: C): C & Outcomes {
  const link = new OutcomeLink(client);
  const outcomes: Outcomes = {
    outcome(callback) {
      link.setLast(callback);
    },
  };
  return Object.assign(client, outcomes);
}

/** With MQTT 5 any operation may have codes; what PUBCOMP ends, the broker has accepted before. */
function isRefused(type: number, granted: Uint8Array | undefined): boolean {
  if (type === PUBCOMP || granted === undefined) return false;
  for (let i = 0; i < granted.length; i++) if (granted[i] < SUBSCRIPTION_FAILURE) return false;
  return true;
}
