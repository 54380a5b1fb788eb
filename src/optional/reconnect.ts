/**
 * Stays connected: tries again after a failure or a loss, with pauses that grow, at one broker or several, and asks
 * again for the subscriptions that a broker has forgotten.
 *
 *     const client = withReconnect(mqtt.Client("sensor"), { maxDelayMs: 30000 });
 *     client.onState((client, state, info) => print(state, info.host, info.delayMs));
 *     client.connect("broker.local");
 *
 * One round is one attempt at each broker, in their order, without a pause; before each but the first there is one, of
 * random length: clients that lost their broker together are not to come back together. Knows when to try, and nothing
 * of how: each attempt is the connection's, and its outcome is told as ever.
 *
 * Invariants: there is one attempt, session or pause at a time; what was told by `onState` last is what `state` says,
 * unless a call of the application has changed it since.
 */
import type { Hal, Timer } from "../../hal/socket.js";
import { asCallback, asFlag, asInteger, isNil, show, wrong } from "../arguments.js";
import type { ConnectCallback, ConnfailCallback } from "../callbacks.js";
import type { Client, Flag } from "../client.js";
import type { Connection } from "../connection.js";
import {
  CONNACK_REFUSED_BAD_USER_OR_PASS,
  CONNACK_REFUSED_ID_REJECTED,
  CONNACK_REFUSED_NOT_AUTHORIZED,
  CONNACK_REFUSED_PROTOCOL_VER,
  CONN_FAIL_SERVER_NOT_FOUND,
} from "../errors.js";
import type { Connection5 } from "../v5/connection.js";
import type { Encoder5 } from "../v5/encoder.js";
import type { MqttClient5 } from "../v5/face.js";
import type { GivenProperties } from "../v5/properties.js";
import { SUBSCRIBE } from "../wire.js";
import { Link } from "./link.js";
import type { Subscribing, SubscriptionLink } from "./subscriptions.js";
import { withSubscriptions } from "./subscriptions.js";

/** A broker, as `connect` takes it. */
export interface Host {
  /** Name or address; not empty. */
  host: string;
  /** 1..65535; 1883 by default, also for TLS. */
  port?: number;
  /** TLS: 0, 1, a boolean, or the platform's TLS options. */
  secure?: Flag | object;
}

/** Times are in milliseconds. */
export interface ReconnectOptions {
  /** Brokers of a round, in their order. Not given: the one that `connect` was given. */
  hosts?: Host[];
  /**
   * Longest pause before the first round behind a loss or a failure, 1..2^30; 1,000 by default. It doubles with each
   * round that follows.
   */
  minDelayMs?: number;
  /** Longest pause of all, `minDelayMs`..2^30; 60,000 by default. */
  maxDelayMs?: number;
  /** A session that lasts so long has the pauses begin anew, 0..2^30; 10,000 by default. */
  stableMs?: number;
  /**
   * Rounds that may fail in a row, without one CONNACK that accepts; then it stops. The loss of a session counts as
   * one: 1 is one round, and none behind a loss. 0, the default: no limit.
   */
  maxRounds?: number;
  /**
   * True: tries again, `maxDelayMs` later, when the broker has refused the client, also by DISCONNECT. False by
   * default: it stops.
   */
  retryRefused?: boolean;
  /** Numbers from 0 to 1; `Math.random` by default. */
  random?: () => number;
  /** As of `withSubscriptions`. */
  maxSubscriptions?: number;
  /** False: subscriptions are not asked for again. True by default. */
  renew?: boolean;
}

/**
 * - `"idle"`: the application wants no connection: before `connect`, after `close` and `abort`.
 * - `"connecting"`: an attempt is under way.
 * - `"connected"`: a session is up, or about to end.
 * - `"waiting"`: a pause, then the next round begins.
 * - `"stopped"`: given up, because the broker has refused the client, or after `maxRounds`. With MQTT 5 also when the
 *   broker's DISCONNECT says that it would be for nothing to come back, as when another client has taken the session.
 */
export type ConnectionState = "idle" | "connecting" | "connected" | "waiting" | "stopped";

/** What belongs to a state. The same object each time: valid during the callback. */
export interface StateInfo {
  /** The broker: of the attempt or session, or of the one that has ended. */
  host: string;
  port: number;
  /** Counts the rounds, and with them the pauses, since the last session that lasted; 0: begun by `connect`. */
  round: number;
  /** Length of the pause, if it is one. */
  delayMs: number;
  /**
   * As of `connfail` or `offline`, where an attempt or a session has ended; 0 elsewhere. With MQTT 5 the reason code of
   * the DISCONNECT for which it has stopped.
   */
  reason: number;
  /** As of `connfail`. */
  detail: unknown;
}

export type StateCallback = (client: Client, state: ConnectionState, info: StateInfo) => void;
/** A filter was asked for again. `code`: the QoS granted, or 0x80: refused, and not in `subscriptions()` any more. */
export type RenewalCallback = (client: Client, filter: string, code: number) => void;

/** What `withReconnect` adds, beside what it makes of `connect`, `close` and `abort`. */
export interface Reconnecting extends Subscribing {
  /** What it is doing. */
  readonly state: ConnectionState;
  /**
   * Sets the callback that is called with each new state and each new attempt, before that state's `connect`,
   * `connfail` or `offline`; null clears it. Of changes that the application makes itself in one turn it hears of the
   * last. Never called inside a call of the client.
   */
  onState(callback: StateCallback | null): void;
  /** Sets the callback that is called for each filter that was asked for again; null clears it. */
  onRenewal(callback: RenewalCallback | null): void;
  /**
   * With `hosts`: begins with the first of them. Without: `connect(host, ...)` as ever, `autoreconnect` aside.
   *
   * Answers true also when the platform has no socket left: that attempt has failed. While it is waiting, this ends the
   * pause; what was subscribed is asked for again all the same.
   *
   * @param properties with MQTT 5: of CONNECT
   */
  connect(ok?: ConnectCallback | null, fail?: ConnfailCallback | null, properties?: GivenProperties | null): boolean;
}

const MAX_MS = 1073741824;
/** Options that are numbers: the default, the least, and the most. */
const OPTIONS: Record<string, number[]> = {
  minDelayMs: [1000, 1, MAX_MS],
  maxDelayMs: [60000, 1, MAX_MS],
  stableMs: [10000, 0, MAX_MS],
  maxRounds: [0, 0, MAX_MS],
  maxSubscriptions: [32, 1, 65535],
};
// With its rows, on XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(OPTIONS, true);
/** From here on a reason code of MQTT 5 says that something has failed. */
const FAILURE = 0x80;
/**
 * Of these, a bit for each, those behind which the same would come again: for what the client is or has said, or since
 * another has taken over its session.
 */
const FINAL = 0xe2154f6;
/** Pause before what could not be queued is tried once more, unless an operation has ended before. */
const ROOM_MS = 1000;

/** Where an attempt goes. */
class Target {
  readonly host: string;
  readonly port: number;
  readonly secure: object | undefined;

  constructor(host: string, port: number, secure: object | undefined) {
    this.host = host;
    this.port = port;
    this.secure = secure;
  }
}

/** Options, complete. */
class Settings {
  readonly targets: Target[];
  readonly random: () => number;
  readonly minDelayMs: number;
  readonly maxDelayMs: number;
  readonly stableMs: number;
  readonly maxRounds: number;
  readonly retryRefused: boolean;

  /** @param client says what TLS options are right */
  constructor(client: Client, options: ReconnectOptions) {
    this.targets = asTargets(client, options.hosts);
    this.random = asCallback("random", options.random) ?? Math.random;
    this.minDelayMs = asNumber("minDelayMs", options.minDelayMs);
    this.maxDelayMs = asNumber("maxDelayMs", options.maxDelayMs);
    this.stableMs = asNumber("stableMs", options.stableMs);
    this.maxRounds = asNumber("maxRounds", options.maxRounds);
    this.retryRefused = asFlag("retryRefused", options.retryRefused, false);
    if (this.maxDelayMs < this.minDelayMs) {
      const least = String(this.minDelayMs);
      throw new RangeError("maxDelayMs must be minDelayMs, which is " + least + ", or more, not " + this.maxDelayMs);
    }
  }
}

class ReconnectLink extends Link {
  /** What `state` says. */
  _state: ConnectionState = "idle";
  onState: StateCallback | undefined = undefined;
  onRenewal: RenewalCallback | undefined = undefined;
  private readonly _client: Client;
  private readonly _hal: Hal;
  private readonly _timer: Timer;
  private readonly _settings: Settings;
  private readonly _table: SubscriptionLink;
  /** As the connection's own, which others may have put in the place of its class's. */
  private readonly _connect: Connection["connect"];
  private readonly _close: () => boolean;
  private readonly _abort: () => boolean;
  private _targets: Target[];
  /** Of these, the one of the attempt that is under way, or was last. */
  private _at = 0;
  private _round = 0;
  /** Rounds that have failed since a CONNACK. */
  private _failures = 0;
  /** The application wants a connection. */
  private _isWanted = false;
  /** No session has begun since the application has begun to connect: what was subscribed before that is over. */
  private _isFirst = true;
  /** An attempt is to be begun. */
  private _isDue = false;
  /** An attempt could not be begun, and that is to be told. */
  private _isStillborn = false;
  private _why: unknown = undefined;
  /** When the pause is over; while connected, when the session has lasted. */
  private _dueMs = 0;
  private _isStable = false;
  /** There are subscriptions to be asked for again, and there was no room. */
  private _isShort = false;
  /** The reason code of the broker's DISCONNECT, if it is final; 0: there was none. */
  private _dismissal = 0;
  /** The state was not told. */
  private _isUntold = false;
  private readonly _info: StateInfo = { host: "", port: 0, round: 0, delayMs: 0, reason: 0, detail: undefined };

  constructor(client: Client, settings: Settings, table: SubscriptionLink) {
    super(client);
    const connection = this.connection;
    this._client = client;
    this._hal = connection._hal;
    this._settings = settings;
    this._targets = settings.targets;
    this._table = table;
    this._connect = connection.connect.bind(connection);
    this._close = connection.close.bind(connection);
    this._abort = connection.abort.bind(connection);
    this._timer = this._hal.createTimer(() => {
      this._onTimer();
    });
    if (connection.session.encoder.level === 5) {
      const connection5 = connection as Connection5;
      const onDisconnect = connection5.onDisconnect.bind(connection);
      const disconnected = (reasonCode: number): void => {
        if (isFinal(reasonCode)) this._dismissal = reasonCode;
        onDisconnect(reasonCode);
      };
      Object.defineProperties(connection, { onDisconnect: { value: disconnected, configurable: true } });
    }
    table.onRenewal = (filter, code) => {
      this._renewed(filter, code);
    };
  }

  // What the application calls, by way of the connection.

  start(host: string, port: number, secure: object | undefined, autoReconnect: boolean): boolean {
    if (autoReconnect) throw new TypeError("autoreconnect must not be set: this client connects again as it is");
    const settings = this._settings;
    const targets = settings.targets.length > 0 ? settings.targets : [new Target(host, port, secure)];
    // What this throws is the caller's, and nothing has changed.
    const isOpen = this._openAt(targets[0]);
    // An earlier attempt is superseded by one that has failed, too.
    if (!isOpen) this._abort();
    if (!this._isWanted) {
      this._isFirst = true;
      this._round = this._failures = 0;
    }
    this._isWanted = true;
    this._targets = targets;
    this._at = 0;
    this._isDue = false;
    this._isStillborn = !isOpen;
    this._why = undefined;
    // A session that is about to end has not ended.
    if (this._state !== "connected") this._set("connecting", 0, 0, undefined);
    this._schedule();
    return true;
  }

  close(): boolean {
    const connection = this.connection;
    let isEnding = this._close();
    if (!isEnding && this._isWanted) {
      isEnding = true;
      // What is ending goes on to do so.
      if (connection._nextTarget !== undefined) connection._nextTarget = undefined;
      else if (this._state === "connecting") this._abort();
    }
    this._rest();
    return isEnding;
  }

  abort(): boolean {
    const isEnding = this._abort() || this._isWanted;
    this._rest();
    return isEnding;
  }

  // What the connection says.

  override onConnect(sessionPresent: boolean): void {
    const settings = this._settings;
    this._report();
    this._table.begin(sessionPresent, this._table.keeps && !this._isFirst);
    this._isFirst = false;
    this._failures = 0;
    this._isStable = false;
    this._dueMs = this._hal.now() + settings.stableMs;
    this._set("connected", 0, 0, undefined);
    this._renew();
    this._report();
    super.onConnect(sessionPresent);
    this._goOn();
  }

  override onConnectFail(reason: number, detail: unknown): void {
    this._report();
    // If the connection has something else to do, the application has begun that.
    if (this._isWanted && this.connection.isIdle()) {
      this._finish(reason, detail);
      this._report();
    }
    super.onConnectFail(reason, detail);
    this._goOn();
  }

  override onOffline(reason: number): void {
    this._report();
    const dismissal = this._dismissal;
    this._isShort = false;
    this._dismissal = 0;
    if (!this._isWanted) this._set("idle", 0, reason, undefined);
    else if (this.connection.isIdle()) this._give(dismissal > 0, dismissal || reason, undefined);
    else this._set("connecting", 0, 0, undefined);
    this._report();
    super.onOffline(reason);
    this._goOn();
  }

  override onDone(type: number, granted: Uint8Array | undefined): void {
    // Before the application takes the room that there is now.
    if (this._isShort) this._renew();
    super.onDone(type, granted);
  }

  private _onTimer(): void {
    this._report();
    if (this._isStillborn) {
      const detail = this._why;
      this._isStillborn = false;
      this._why = undefined;
      return this.connection.handler.onConnectFail(CONN_FAIL_SERVER_NOT_FOUND, detail);
    }
    const isDue = ((this._dueMs - this._hal.now()) | 0) <= 0;
    if (this._state === "waiting" && isDue) {
      this._begin(0);
      this._report();
    } else if (this._state === "connected") {
      if (isDue && !this._isStable) {
        this._isStable = true;
        this._round = 0;
      }
      if (this._isShort) this._renew();
    }
    this._goOn();
  }

  /** An attempt has failed. */
  private _finish(reason: number, detail: unknown): void {
    const isRefused = reason === CONNACK_REFUSED_PROTOCOL_VER || reason === CONNACK_REFUSED_ID_REJECTED ||
      reason === CONNACK_REFUSED_BAD_USER_OR_PASS || reason === CONNACK_REFUSED_NOT_AUTHORIZED ||
      (this.connection.session.encoder.level === 5 && isFinal(reason));
    if (!isRefused && this._at + 1 < this._targets.length) return this._begin(this._at + 1);
    this._give(isRefused, reason, detail);
  }

  /** It is to be tried again later, or, if the broker does not want the client, not at all. */
  private _give(isRefused: boolean, reason: number, detail: unknown): void {
    const settings = this._settings;
    if (isRefused && !settings.retryRefused) this._stop(reason, detail);
    else this._fail(isRefused ? settings.maxDelayMs : 0, reason, detail);
  }

  private _stop(reason: number, detail: unknown): void {
    this._isWanted = false;
    this._set("stopped", 0, reason, detail);
  }

  /**
   * A round has failed, or a session was lost.
   *
   * @param delayMs how long to wait; 0: as is due to the round
   */
  private _fail(delayMs: number, reason: number, detail: unknown): void {
    const settings = this._settings;
    if (++this._failures === settings.maxRounds) return this._stop(reason, detail);
    const mostMs = settings.minDelayMs * Math.pow(2, this._round++);
    const pauseMs = delayMs > 0 ? delayMs : this._draw(mostMs < settings.maxDelayMs ? mostMs : settings.maxDelayMs);
    this._dueMs = this._hal.now() + pauseMs;
    this._set("waiting", pauseMs, reason, detail);
  }

  /** 0..mostMs */
  private _draw(mostMs: number): number {
    let part = 1;
    try {
      part = this._settings.random();
    } catch (error) {
      this._hal.uncaught(error);
    }
    // Whatever it has returned.
    return part >= 0 && part <= 1 ? Math.floor(part * mostMs) : mostMs;
  }

  /** The attempt at the next broker is to begin. */
  private _begin(at: number): void {
    this._at = at;
    this._isDue = true;
    this._set("connecting", 0, 0, undefined);
  }

  /** The application wants no connection any more. */
  private _rest(): void {
    this._isWanted = this._isDue = this._isStillborn = false;
    this._why = undefined;
    // A session ends with `offline`.
    if (this._state === "connecting" || this._state === "waiting") this._set("idle", 0, 0, undefined);
    this._schedule();
  }

  /** Asks again for what the broker has forgotten, as far as there is room, in as few packets as it takes. */
  private _renew(): void {
    const table = this._table;
    const encoder = this.connection.session.encoder as Encoder5;
    // The return codes of one packet must fit the receive buffer.
    let most = this.connection.rx.length - 2;
    this._isShort = false;
    while (most > 0) {
      const filters = table.stale(most);
      if (filters === undefined) return;
      table.isRenewing = true;
      if (table.identifier > 0) encoder.given = { subscriptionIdentifier: table.identifier };
      const result = this.connection.queue(SUBSCRIBE, filters, "");
      if (table.identifier > 0) encoder.given = undefined;
      table.isRenewing = false;
      if (result >= 0) continue;
      const names = Object.keys(filters);
      if (names.length > 1 || result > -FAILURE) {
        most = names.length >> 1;
      } else {
        // With this broker it is for nothing to try again.
        table.drop(names[0]);
        this._renewed(names[0], -result);
      }
    }
    this._isShort = true;
  }

  private _renewed(filter: string, code: number): void {
    const callback = this.onRenewal;
    if (callback === undefined) return;
    try {
      callback(this._client, filter, code);
    } catch (error) {
      this._hal.uncaught(error);
    }
  }

  private _set(state: ConnectionState, delayMs: number, reason: number, detail: unknown): void {
    const info = this._info;
    const target = this._targets[this._at];
    this._state = state;
    this._isUntold = true;
    info.host = target.host;
    info.port = target.port;
    info.round = this._round;
    info.delayMs = delayMs;
    info.reason = reason;
    info.detail = detail;
  }

  /** Tells the state, if it was not. */
  private _report(): void {
    if (!this._isUntold) return;
    this._isUntold = false;
    const callback = this.onState;
    if (callback !== undefined) {
      try {
        callback(this._client, this._state, this._info);
      } catch (error) {
        this._hal.uncaught(error);
      }
    }
    this._info.detail = undefined;
  }

  /** What follows when the application was told. */
  private _goOn(): void {
    if (this._isDue) {
      this._isDue = false;
      try {
        this._isStillborn = !this._openAt(this._targets[this._at]);
      } catch (error) {
        this._isStillborn = true;
        this._why = error;
      }
    }
    this._report();
    this._schedule();
  }

  private _openAt(target: Target): boolean {
    return this._connect(target.host, target.port, target.secure, false);
  }

  private _schedule(): void {
    const isConnected = this._state === "connected";
    // Below 0: there is nothing to wait for.
    let delayMs = -1;
    if (this._state === "waiting" || (isConnected && !this._isStable)) {
      delayMs = (this._dueMs - this._hal.now()) | 0;
      if (delayMs < 0) delayMs = 0;
    }
    if (isConnected && this._isShort && (delayMs < 0 || delayMs > ROOM_MS)) delayMs = ROOM_MS;
    if (this._isUntold || this._isStillborn) delayMs = 0;
    if (delayMs < 0) this._timer.clear();
    else this._timer.schedule(delayMs);
  }
}

/**
 * Has `client` stay connected, and gives it `state`, `onState`, `onRenewal` and `subscriptions`. Once for a client, and
 * before its first connect.
 *
 * `close` and `abort` end it at any time, also an attempt that has no connection yet, and a pause; they answer true
 * when there was anything to end. `connect`, `connfail` and `offline` are called as ever, for each attempt and session.
 *
 * Costs, in memory: a timer, an object for each broker, and the table of `withSubscriptions`.
 *
 * @throws TypeError or RangeError that names the option
 */
export function withReconnect<C extends Client>(client: C, options?: ReconnectOptions | null): C & Reconnecting {
  const given: unknown = options;
  if (!isNil(given) && (typeof given !== "object" || Array.isArray(given))) throw wrong("options", "an object", given);
  const complete = isNil(options) ? {} : options;
  for (const name in complete) {
    const isFlag = name === "retryRefused" || name === "renew";
    const isNumber = Object.prototype.hasOwnProperty.call(OPTIONS, name);
    if (!isFlag && !isNumber && name !== "hosts" && name !== "random") {
      throw new TypeError("unknown option " + show(name));
    }
  }
  const settings = new Settings(client, complete);
  const renews = asFlag("renew", complete.renew, true);
  asNumber("maxSubscriptions", complete.maxSubscriptions);
  const subscribing = withSubscriptions(client, { maxSubscriptions: complete.maxSubscriptions as number });
  const link = new ReconnectLink(client, settings, subscribing.subscriptionLink);
  subscribing.subscriptionLink.keeps = renews;
  const start = (host: string, port: number, secure: object | undefined, autoReconnect: boolean): boolean =>
    link.start(host, port, secure, autoReconnect);
  const close = (): boolean => link.close();
  const abort = (): boolean => link.abort();
  const onState = (callback: StateCallback | null): void => {
    if ((callback as unknown) === undefined) throw wrong("callback", "a function or null", callback);
    link.onState = asCallback("callback", callback);
  };
  const onRenewal = (callback: RenewalCallback | null): void => {
    if ((callback as unknown) === undefined) throw wrong("callback", "a function or null", callback);
    link.onRenewal = asCallback("callback", callback);
  };
  // Not by assignment: on a board the prototypes, which have these methods, are frozen.
  Object.defineProperties(client.connection, {
    connect: { value: start, configurable: true },
    close: { value: close, configurable: true },
    abort: { value: abort, configurable: true },
  });
  Object.defineProperties(client, {
    state: { get: () => link._state, configurable: true },
    onState: { value: onState, configurable: true },
    onRenewal: { value: onRenewal, configurable: true },
  });
  if (settings.targets.length > 0) {
    const first = settings.targets[0];
    const connect = (client as Client as MqttClient5).connect.bind(client);
    const connectFirst = (
      ok?: ConnectCallback | null,
      fail?: ConnfailCallback | null,
      properties?: GivenProperties | null,
    ): boolean => {
      const okCallback = asCallback("ok", ok);
      const failCallback = asCallback("fail", fail);
      return connect(first.host, first.port, first.secure, false, okCallback, failCallback, properties);
    };
    Object.defineProperties(client, { connect: { value: connectFirst, configurable: true } });
  }
  return subscribing as C & Reconnecting;
}

function isFinal(reasonCode: number): boolean {
  const failure = reasonCode - FAILURE;
  return failure >= 0 && failure < 32 && ((FINAL >> failure) & 1) === 1;
}

function asNumber(name: string, value: unknown): number {
  const option = OPTIONS[name];
  return asInteger(name, value, option[0], option[1], option[2]);
}

/** The brokers, checked; none when none are given. */
function asTargets(client: Client, hosts: unknown): Target[] {
  const targets: Target[] = [];
  if (isNil(hosts)) return targets;
  if (!Array.isArray(hosts) || hosts.length === 0) throw wrong("hosts", "an array of brokers", hosts);
  for (let i = 0; i < hosts.length; i++) {
    const name = "hosts[" + String(i) + "]";
    const given: unknown = hosts[i];
    if (typeof given !== "object" || given === null || Array.isArray(given)) throw wrong(name, "an object", given);
    const entry = given as Host;
    for (const key in entry) {
      if (key !== "host" && key !== "port" && key !== "secure") throw new TypeError(`unknown option ${name}.${key}`);
    }
    if (typeof (entry.host as unknown) !== "string" || entry.host === "") {
      throw wrong(name + ".host", "a name or an address", entry.host);
    }
    const port = asInteger(name + ".port", entry.port, 1883, 1, 65535);
    targets.push(new Target(entry.host, port, client._asSecure(entry.secure)));
  }
  return targets;
}
