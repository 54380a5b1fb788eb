/**
 * Which subscriptions the broker has granted, as far as its answers say.
 *
 *     const client = withSubscriptions(mqtt.Client("sensor"), { maxSubscriptions: 8 });
 *     client.subscribe("/t", 1, (client) => print(client.subscriptions()["/t"]));
 *
 * Keeps a table of Topic Filters and, in the order of the calls, the filters of each SUBSCRIBE and UNSUBSCRIBE that has
 * not had its outcome. Knows nothing of connecting; for `withReconnect` it also keeps what a session that is gone had.
 *
 * Invariant: the n-th of these operations is the n-th in the outbox that waits for SUBACK or UNSUBACK, or has it.
 */
import { asInteger, isNil, show, wrong } from "../arguments.js";
import type { Callbacks } from "../callbacks.js";
import type { Client } from "../client.js";
import type { Subscriptions } from "../codec.js";
import { NO_ROOM } from "../errors.js";
import { ACK, DONE, LENGTH, OFFSET } from "../outbox.js";
import type { Encoder5 } from "../v5/encoder.js";
import type { GivenProperties } from "../v5/properties.js";
import { SUBACK, SUBSCRIBE, SUBSCRIPTION_FAILURE, UNSUBACK } from "../wire.js";
import { Link } from "./link.js";

export interface SubscriptionOptions {
  /**
   * Most Topic Filters that are granted or asked for at the same time, 1..65535; 32 by default. A `subscribe` that
   * would be beyond that answers false, and sends nothing.
   */
  maxSubscriptions?: number;
}

/** What `withSubscriptions` adds. */
export interface Subscribing {
  /**
   * A new table of what the broker has granted: the QoS by Topic Filter. A filter is in it from its SUBACK until its
   * UNSUBACK, unless that refuses, until it is subscribed again and refused, or until the session that it belongs to is
   * gone: a clean one with its connection, another when the next CONNACK says so. Outcomes count in the order of the
   * calls.
   */
  subscriptions(): Record<string, number>;
  /** For `withReconnect`. @internal */
  readonly subscriptionLink: SubscriptionLink;
}

/** A filter without a QoS: it was never granted, */
const NONE = -1;
/** or in a session that is gone. */
const STALE = -2;

/** One filter. */
class Row {
  readonly name: string;
  /** The options that were asked for, in what the broker has answered last: the QoS, with MQTT 5 more. */
  asked = 0;
  /** The subscription identifier of that; 0: none. */
  identifier = 0;
  /** The QoS granted, NONE or STALE. */
  code = NONE;
  /** SUBSCRIBEs without an outcome. */
  pending = 0;

  constructor(name: string) {
    this.name = name;
  }
}

/** One SUBSCRIBE or UNSUBSCRIBE. */
class Operation {
  readonly filters: Subscriptions;
  readonly isSubscribe: boolean;
  readonly isRenewal: boolean;
  readonly identifier: number;
  /** Its outcome is in the table, and is still to be told. */
  isOver = false;

  constructor(filters: Subscriptions, isSubscribe: boolean, isRenewal: boolean, identifier: number) {
    this.identifier = identifier;
    this.filters = filters;
    this.isSubscribe = isSubscribe;
    this.isRenewal = isRenewal;
  }
}

/** The table of one client. */
export class SubscriptionLink extends Link {
  /** What is gone with its session stays in the table, to be asked for again. */
  keeps = false;
  /** What is being queued is asked for again. The application does not hear of its outcome as of one of its own. */
  isRenewing = false;
  /** The subscription identifier of what `stale` has returned last; 0: none. */
  identifier = 0;
  /** Learns of each filter that was: the return code. */
  onRenewal: ((filter: string, code: number) => void) | undefined = undefined;
  private readonly _callbacks: Callbacks;
  private readonly _capacity: number;
  private readonly _rows: Row[] = [];
  private _operations: Operation[] = [];

  constructor(client: Client, capacity: number) {
    super(client);
    this._callbacks = client._callbacks;
    this._capacity = capacity;
  }

  /** A packet with these filters was written. Returns false, and does nothing, when the table cannot take them. */
  accept(isSubscribe: boolean, filters: Subscriptions, identifier: number): boolean {
    const rows = this._rows;
    if (isSubscribe) {
      let count = rows.length;
      for (const filter in filters) if (this._find(filter) === undefined) count++;
      if (count > this._capacity) return false;
    }
    for (const filter in filters) {
      let row = this._find(filter);
      if (isSubscribe) {
        if (row === undefined) rows.push((row = new Row(filter)));
        row.pending++;
      } else if (row !== undefined && row.code === STALE) {
        // What was not asked for again is not to be any more.
        this._settle(row, NONE);
      }
    }
    this._operations.push(new Operation(filters, isSubscribe, this.isRenewing, identifier));
    return true;
  }

  list(): Record<string, number> {
    const table = Object.create(null) as Record<string, number>;
    const rows = this._rows;
    for (let i = 0; i < rows.length; i++) {
      if (rows[i].code >= 0) table[rows[i].name] = rows[i].code;
    }
    return table;
  }

  /**
   * Filters to be asked for again in one packet, `most` at most, with the options of the last time; undefined: there
   * are none. `identifier` is that of all of them.
   */
  stale(most: number): Subscriptions | undefined {
    let filters: Subscriptions | undefined = undefined;
    let count = 0;
    const rows = this._rows;
    for (let i = 0; i < rows.length && count < most; i++) {
      const row = rows[i];
      if (row.code !== STALE || row.pending > 0) continue;
      if (filters === undefined) {
        filters = Object.create(null) as Subscriptions;
        this.identifier = row.identifier;
      } else if (row.identifier !== this.identifier) {
        continue;
      }
      filters[row.name] = row.asked;
      count++;
    }
    return filters;
  }

  /** A filter is not to be asked for any more. */
  drop(filter: string): void {
    const row = this._find(filter);
    if (row !== undefined) this._settle(row, NONE);
  }

  /** A session has begun. */
  begin(sessionPresent: boolean, keeps: boolean): void {
    const rows = this._rows;
    for (let i = rows.length - 1; i >= 0; i--) {
      const row = rows[i];
      if (!sessionPresent || row.code === STALE) this._settle(row, keeps ? STALE : NONE);
    }
  }

  /** The connection is about to be gone, and with it each operation whose outcome is not in the outbox. */
  lost(): void {
    const session = this.connection.session;
    const outbox = session.outbox;
    const left: Operation[] = [];
    let next = 0;
    for (let i = 0; i < outbox.operations; i++) {
      const entry = outbox.entry(i);
      const state = outbox.table[entry];
      const ack = state & ACK;
      if (ack !== SUBACK && ack !== UNSUBACK) continue;
      const operation = this._operations[next++];
      if ((state & DONE) === 0) continue;
      left.push(operation);
      const start = outbox.table[entry + OFFSET];
      this._apply(operation, outbox.arena.subarray(start, start + outbox.table[entry + LENGTH]));
    }
    this._operations = left;
    const rows = this._rows;
    for (let i = rows.length - 1; i >= 0; i--) {
      const row = rows[i];
      row.pending = 0;
      const isOver = session.cleanSession && row.code >= 0;
      this._settle(row, !isOver ? row.code : this.keeps ? STALE : NONE);
    }
  }

  override onConnect(sessionPresent: boolean): void {
    // Who keeps it has said so before.
    if (!this.keeps) this.begin(sessionPresent, false);
    super.onConnect(sessionPresent);
  }

  override listens(type: number): boolean {
    return type === SUBACK || type === UNSUBACK || super.listens(type);
  }

  override onDone(type: number, granted: Uint8Array | undefined): void {
    const isMine = type === SUBACK || type === UNSUBACK;
    const operation = isMine ? this._operations.shift() : undefined;
    if (operation !== undefined) this._apply(operation, granted);
    if (operation === undefined || !operation.isRenewal || granted === undefined) return super.onDone(type, granted);
    // The application has not asked for it.
    const slots = this._callbacks.slots;
    const suback = slots.suback;
    slots.suback = undefined;
    super.onDone(type, granted);
    slots.suback = suback;
    let at = 0;
    for (const filter in operation.filters) {
      if (this.onRenewal !== undefined) this.onRenewal(filter, granted[at]);
      at++;
    }
  }

  /** The broker has answered. `granted`: in the order of the filters. */
  private _apply(operation: Operation, granted: Uint8Array | undefined): void {
    if (operation.isOver) return;
    operation.isOver = true;
    let at = 0;
    for (const filter in operation.filters) {
      const row = this._find(filter);
      let code = NONE;
      if (row !== undefined && granted !== undefined) {
        const isRefused = granted[at] >= SUBSCRIPTION_FAILURE;
        if (operation.isSubscribe) {
          row.pending--;
          row.asked = operation.filters[filter];
          row.identifier = operation.identifier;
          if (!isRefused) code = granted[at];
        } else if (isRefused) {
          code = row.code;
        }
      }
      at++;
      if (row !== undefined) this._settle(row, code);
    }
  }

  /** A filter that is not granted, and not asked for, is not in the table. */
  private _settle(row: Row, code: number): void {
    row.code = code;
    if (code === NONE && row.pending === 0) this._rows.splice(this._rows.indexOf(row), 1);
  }

  private _find(filter: string): Row | undefined {
    const rows = this._rows;
    for (let i = 0; i < rows.length; i++) if (rows[i].name === filter) return rows[i];
    return undefined;
  }
}

/**
 * Gives `client` the method `subscriptions`. Before its first connect. A client of `withReconnect` has it already:
 * called for one that has, and without a capacity of its own, this does nothing.
 *
 * Costs, in memory: an object with the text of each filter, and with each `subscribe` and `unsubscribe` its filters
 * until the outcome; in time: a look through the table for each filter of these.
 *
 * @throws TypeError or RangeError that names the option; Error for a capacity when the client has one
 */
export function withSubscriptions<C extends Client>(client: C, options?: SubscriptionOptions | null): C & Subscribing {
  const given: unknown = options;
  if (!isNil(given) && (typeof given !== "object" || Array.isArray(given))) throw wrong("options", "an object", given);
  const settings = isNil(options) ? {} : options;
  for (const name in settings) {
    if (name !== "maxSubscriptions") throw new TypeError("unknown option " + show(name));
  }
  const capacity = asInteger("maxSubscriptions", settings.maxSubscriptions, 32, 1, 65535);
  const extended = client as C & Subscribing;
  if ((extended.subscriptionLink as SubscriptionLink | undefined) !== undefined) {
    if (isNil(settings.maxSubscriptions)) return extended;
    throw new Error("maxSubscriptions must not be given again: client has a table of subscriptions");
  }
  const link = new SubscriptionLink(client, capacity);
  const session = client.connection.session;
  const encoder = session.encoder;
  const encode = encoder.filters.bind(encoder);
  const filters = (
    out: Uint8Array,
    offset: number,
    end: number,
    type: number,
    packetId: number,
    table: Record<string, unknown>,
  ): number => {
    const behind = encode(out, offset, end, type, packetId, table);
    if (behind < 0) return behind;
    const given = (encoder as Encoder5).given as GivenProperties | null | undefined;
    const identifier = given ? given.subscriptionIdentifier || 0 : 0;
    return link.accept(type === SUBSCRIBE, table as Subscriptions, identifier) ? behind : NO_ROOM;
  };
  const forget = session.lost.bind(session);
  const lost = (): void => {
    link.lost();
    forget();
  };
  const subscriptions = (): Record<string, number> => link.list();
  // Not by assignment: on a board the prototypes, which have these methods, are frozen.
  Object.defineProperties(encoder, { filters: { value: filters, configurable: true } });
  Object.defineProperties(session, { lost: { value: lost, configurable: true } });
  Object.defineProperties(client, {
    subscriptions: { value: subscriptions, configurable: true },
    subscriptionLink: { value: link },
  });
  return extended;
}
