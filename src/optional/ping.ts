/**
 * Asks the broker whether it is there, when the application wants to know; and, if so set, at regular times whatever
 * else is sent.
 *
 *     const client = withPing(mqtt.Client("sensor"));
 *     client.ping((client, isThere) => print(isThere ? "pong" : "nothing"), 5000);
 *
 * A PINGREQ is the session's own, as if the keep alive time were over: its PINGRESP has to come within that time, or
 * the session ends; the next one is due as long after it. One that is under way already is joined. It waits for a
 * packet that is half sent. While reading is paused no answer is read.
 *
 * Costs, in memory: a timer, one function, and four with `forcePing`.
 */
import type { Hal, Timer } from "../../hal/socket.js";
import { asCallback, asFlag, asInteger, isNil, show, wrong } from "../arguments.js";
import type { Client, Flag } from "../client.js";
import type { Session } from "../session.js";
import { PINGREQ } from "../wire.js";
import { Link } from "./link.js";

const MAX_MS = 1073741824;
/** A PINGREQ leaves before the keep alive time is over by a sixteenth of it, as the session's own. */
const MARGIN = 4;

export interface PingOptions {
  /**
   * 1: PINGREQ leaves each keep alive time, also where other packets have. 0, the default: when nothing else was sent
   * for so long, or nothing received.
   */
  forcePing?: Flag | null;
}

/** The broker has answered, or not in time. Never called inside a call of the client. */
export type PingCallback = (client: Client, isThere: boolean) => void;

/** What `withPing` adds. */
export interface Pinging {
  /**
   * Sends PINGREQ. Calls `callback` once: with true when PINGRESP comes, with false when it has not come in `timeoutMs`
   * or the session has ended, right before `offline`.
   *
   * @param timeoutMs 1..2^30; the keep alive time by default
   * @returns false when no session is up, or an earlier call is still waiting
   */
  ping(callback: PingCallback, timeoutMs?: number | null): boolean;
}

class PingLink extends Link {
  private readonly _client: Client;
  private readonly _hal: Hal;
  readonly session: Session;
  private readonly _timer: Timer;
  private _callback: PingCallback | undefined = undefined;
  /** When the session last had a PINGREQ to send, or began to connect. */
  private _pingedMs = 0;

  constructor(client: Client) {
    super(client);
    const session = this.connection.session;
    this._client = client;
    this._hal = client.hal;
    this.session = session;
    this._timer = this._hal.createTimer(() => {
      this._tell(false);
    });
    const onPingresp = session.onPingresp.bind(session);
    Object.defineProperties(session, {
      onPingresp: {
        value: (): void => {
          // As long as PINGREQ has not left, it is no answer.
          const isAnswer = session._pingEnd === 0;
          onPingresp();
          if (isAnswer) this._tell(true);
        },
        configurable: true,
      },
    });
  }

  /** Has PINGREQ leave each keep alive time. */
  force(): void {
    const session = this.session;
    const connect = session.connect.bind(session);
    const push = session._push.bind(session);
    const pingDueMs = session._pingDueMs.bind(session);
    Object.defineProperties(session, {
      connect: {
        value: (nowMs: number): void => {
          this._pingedMs = nowMs;
          connect(nowMs);
        },
        configurable: true,
      },
      _push: {
        value: (type: number, packetId: number): void => {
          if (type === PINGREQ) this._pingedMs = this._hal.now();
          push(type, packetId);
        },
        configurable: true,
      },
      _pingDueMs: {
        value: (): number => {
          const idleMs = pingDueMs();
          // With MQTT 5 the time may be the server's.
          const forcedMs = this._pingedMs + session.keepAliveMs - (session.keepAliveMs >> MARGIN);
          return ((forcedMs - idleMs) | 0) < 0 ? forcedMs : idleMs;
        },
        configurable: true,
      },
    });
  }

  ping(callback: PingCallback, timeoutMs: number): boolean {
    const session = this.session;
    if (!session.isUp() || this._callback !== undefined) return false;
    this._callback = callback;
    this._timer.schedule(timeoutMs);
    if (!session._isPinging) {
      // The deadline that there is comes no later than this one.
      session._isPinging = true;
      session._pingDeadlineMs = this._hal.now() + session.keepAliveMs;
      session._push(PINGREQ, 0);
      session._pingEnd = session._controlEnd;
      this.connection.afterCall();
    }
    return true;
  }

  override onOffline(reason: number): void {
    this._tell(false);
    super.onOffline(reason);
  }

  private _tell(isThere: boolean): void {
    const callback = this._callback;
    if (callback === undefined) return;
    this._callback = undefined;
    this._timer.clear();
    try {
      callback(this._client, isThere);
    } catch (error) {
      this._hal.uncaught(error);
    }
  }
}

/**
 * Gives `client` the method `ping`. Once for a client, and before its first `connect`.
 *
 * @throws TypeError that names the option
 */
export function withPing<C extends Client>(client: C, options?: PingOptions | null): C & Pinging {
  const given: unknown = options === undefined || options === null ? {} : options;
  if (typeof given !== "object") throw wrong("options", "an object", given);
  const table = given as Record<string, unknown>;
  for (const name in table) if (name !== "forcePing") throw new TypeError("unknown option " + show(name));
  const isForced = asFlag("forcePing", table.forcePing, false);
  const link = new PingLink(client);
  if (isForced) link.force();
  const pinging: Pinging = {
    ping(callback, timeoutMs) {
      if (isNil(callback)) throw wrong("callback", "a function", callback);
      const answered = asCallback("callback", callback) as PingCallback;
      const limitMs = asInteger("timeoutMs", timeoutMs, client.connection.session.keepAliveMs, 1, MAX_MS);
      return link.ping(answered, limitMs);
    },
  };
  return Object.assign(client, pinging);
}
