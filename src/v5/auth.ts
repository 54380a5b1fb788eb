/**
 * Enhanced authentication of MQTT 5: the exchange of AUTH packets, before CONNACK and in a running session (4.12).
 *
 *     const client = withAuth(mqtt.Client("sensor"), scram({ username: "user", password: "pencil" }));
 *
 * Knows no method; those are elsewhere, such as hal/node-scram.ts. Whatever a method throws where the server has spoken
 * ends the connection with DISCONNECT: the server is not to be trusted.
 *
 * Costs, in memory: an object and six functions; packets while there is an exchange.
 */
import { asCallback, isNil, wrong } from "../arguments.js";
import type { Client } from "../client.js";
import { Link } from "../optional/link.js";
import { AWAIT_CONNACK, UP } from "../session.js";
import { MAX_FIELD_LENGTH } from "../wire.js";
import type { Connection5 } from "./connection.js";
import { encodeProperties } from "./encoder.js";
import type { Session5 } from "./session.js";
import {
  AUTH,
  CONTINUE_AUTHENTICATION,
  IMPLEMENTATION_SPECIFIC_ERROR,
  PROTOCOL_ERROR,
  RE_AUTHENTICATE,
} from "./wire.js";

/**
 * A method of authentication, the client's side: takes what the server says and answers it [MQTT5-4.12.0-3]. One
 * exchange at a time: `init`, then `handleAuth` for each packet of the server that belongs to it. An exchange that
 * breaks off is not ended: the next one begins with `init`.
 */
export interface Authenticator {
  /** Authentication Method. */
  readonly method: string;
  /** A new exchange begins. Returns the Authentication Data of CONNECT, or of AUTH with reason code 0x19. */
  init(): Uint8Array | undefined;
  /**
   * What the server said. Throws when it is not to be trusted: the connection ends.
   *
   * @param reasonCode 0x18: AUTH, which is answered. 0: CONNACK or AUTH said success.
   * @param data the Authentication Data, valid during the call; undefined when there was none. With 0 the server's last
   *   word, to be checked.
   * @returns with 0x18 the Authentication Data of the answer, or undefined for none
   */
  handleAuth(reasonCode: number, data: Uint8Array | undefined): Uint8Array | undefined;
}

/** Re-authentication is over. False: the session has ended first. Never called inside a call of the client. */
export type ReauthenticateCallback = (client: Client, isDone: boolean) => void;

/** What `withAuth` adds. */
export interface Authenticating {
  /**
   * Authenticates again in the running session [MQTT5-4.12.1-1]. A server that refuses ends the session with
   * DISCONNECT.
   *
   * @returns false when no session is up, or an earlier call is not over
   * @throws what `init` throws; RangeError when AUTH would be longer than the broker takes
   */
  reauthenticate(done?: ReauthenticateCallback | null): boolean;
}

class AuthLink extends Link {
  private readonly _client: Client;
  readonly session: Session5;
  private readonly _authenticator: Authenticator;
  /** A re-authentication is under way. */
  private _isUnderWay = false;
  private _callback: ReauthenticateCallback | undefined = undefined;

  constructor(client: Client, authenticator: Authenticator) {
    super(client);
    const connection = client.connection as Connection5;
    const session = connection.session;
    this._client = client;
    this.session = session;
    this._authenticator = authenticator;
    const open = connection._open.bind(connection);
    const receive = session.receive.bind(session);
    const onConnack = session.onConnack.bind(session);
    const isQuiet = session.isQuiet.bind(session);
    Object.defineProperties(connection, {
      _open: {
        value: (target: Parameters<typeof open>[0]): boolean => {
          session.authentication = this._properties(authenticator.init());
          return open(target);
        },
        configurable: true,
      },
    });
    Object.defineProperties(session, {
      receive: {
        value: (bytes: Uint8Array, start: number, end: number, nowMs: number): number => {
          const isFirst = session._phase === AWAIT_CONNACK && start < end && !session.decoder.isMidPacket();
          // The one packet beside CONNACK that may be the first. Of its first byte alone nothing follows.
          const at = isFirst && bytes[start] === AUTH << 4 ? session.decoder.push(bytes, start, start + 1) : start;
          return receive(bytes, at, end, nowMs);
        },
        configurable: true,
      },
      onConnack: {
        value: (sessionPresent: boolean, reasonCode: number): void => {
          if (reasonCode === 0 && session._phase === AWAIT_CONNACK && !this._take(0)) return;
          onConnack(sessionPresent, reasonCode);
        },
        configurable: true,
      },
      onAuth: {
        value: (reasonCode: number): void => {
          this._onAuth(reasonCode);
        },
        configurable: true,
      },
      isQuiet: {
        value: (): boolean => isQuiet() && session._extraLeft === 0,
        configurable: true,
      },
    });
  }

  reauthenticate(callback: ReauthenticateCallback | undefined): boolean {
    if (!this.session.isUp() || this._isUnderWay) return false;
    this._send(RE_AUTHENTICATE, this._authenticator.init());
    this._isUnderWay = true;
    this._callback = callback;
    this.connection.afterCall();
    return true;
  }

  override onOffline(reason: number): void {
    this._tell(false);
    super.onOffline(reason);
  }

  private _onAuth(reasonCode: number): void {
    const session = this.session;
    const isConnecting = session._phase < UP;
    const isDue = isConnecting ? reasonCode === CONTINUE_AUTHENTICATION : this._isUnderWay;
    if (!isDue) return session._violation(-PROTOCOL_ERROR);
    // What follows is to be looked at as the first packet again.
    if (isConnecting) session.decoder.stop();
    if (this._take(reasonCode) && reasonCode === 0) this._tell(true);
  }

  /** The server has spoken. False: the connection ends. */
  private _take(reasonCode: number): boolean {
    const session = this.session;
    const said = session.said;
    const method = said.get("authenticationMethod");
    // A success may come without one.
    if (method !== this._authenticator.method && (reasonCode !== 0 || method !== undefined)) {
      session._violation(-PROTOCOL_ERROR);
      return false;
    }
    try {
      const data = said.get("authenticationData") as Uint8Array | undefined;
      const answer = this._authenticator.handleAuth(reasonCode, data);
      if (reasonCode !== 0) this._send(reasonCode, answer);
      return true;
    } catch (error) {
      (this.connection as Connection5).detail = error;
      session._violation(-IMPLEMENTATION_SPECIFIC_ERROR);
      return false;
    }
  }

  private _send(reasonCode: number, data: Uint8Array | undefined): void {
    const session = this.session;
    const packet = session.encoder.long(AUTH, reasonCode, encodeProperties(session._text, this._properties(data)));
    const most = session.encoder.maxPacketSize;
    if (packet.length > most) throw new RangeError(`AUTH must be at most ${most} bytes long, not ${packet.length}`);
    session.queueExtra(packet);
  }

  private _properties(data: Uint8Array | undefined): object {
    return { authenticationMethod: this._authenticator.method, authenticationData: copyOf(data) };
  }

  private _tell(isDone: boolean): void {
    const callback = this._callback;
    this._callback = undefined;
    this._isUnderWay = false;
    if (callback === undefined) return;
    try {
      callback(this._client, isDone);
    } catch (error) {
      this._client.hal.uncaught(error);
    }
  }
}

/** Authentication Data, as the method's function has returned it. */
function copyOf(data: Uint8Array | null | undefined): Uint8Array | undefined {
  if (isNil(data)) return undefined;
  if (data instanceof Uint8Array && data.length <= MAX_FIELD_LENGTH) return data.slice();
  throw wrong("authenticationData", "a Uint8Array of 65535 bytes at most", data);
}

/**
 * Has `client`, one of MQTT 5, authenticate by this method: at each attempt to connect, and by `reauthenticate`. Once
 * for a client, and before its first `connect`. What `init` throws comes out of `connect`; in a later attempt it is the
 * detail of `connfail` with CONN_FAIL_SERVER_NOT_FOUND. What `handleAuth` throws is the detail of `connfail` with
 * CONN_FAIL_NOT_A_CONNACK_MSG; in a running session `offline` follows.
 *
 * @throws TypeError that names the argument
 */
export function withAuth<C extends Client>(client: C, authenticator: Authenticator): C & Authenticating {
  const given = authenticator as unknown as Record<string, unknown> | null;
  if (typeof given !== "object" || given === null || typeof given.handleAuth !== "function") {
    throw wrong("authenticator", "an object with method, init and handleAuth", given);
  }
  if (typeof given.method !== "string" || typeof given.init !== "function") {
    throw wrong("authenticator", "an object with method, init and handleAuth", given);
  }
  // Where it cannot be encoded there is nothing.
  if (encodeProperties(client.text, { authenticationMethod: given.method }).length === 0) {
    throw wrong("method", "text of 65535 bytes at most", given.method);
  }
  if (client.connection.session.encoder.level !== 5) throw wrong("client", "one of MQTT 5", client);
  const link = new AuthLink(client, authenticator);
  const authenticating: Authenticating = {
    reauthenticate(done) {
      return link.reauthenticate(asCallback("done", done));
    },
  };
  return Object.assign(client, authenticating);
}
