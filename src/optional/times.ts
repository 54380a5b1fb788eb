/**
 * Times that NodeMCU has fixed: how long the broker may take to answer CONNECT, and whether there is a keep alive.
 *
 *     const client = withTimes(mqtt.Client("sensor"), { connack: true });
 *
 * Costs no memory but two functions.
 */
import { asFlag, show, wrong } from "../arguments.js";
import type { Client, Flag } from "../client.js";
import type { ConnectFields } from "../codec.js";
import { UP } from "../session.js";

export interface Times {
  /**
   * 1: `connectTimeoutMs` of the client is the time for everything up to CONNACK, in place of 5 s for CONNECT to leave
   * and 5 s for the answer. 0 by default.
   */
  connack?: Flag;
  /**
   * 0: no keep alive. CONNECT says so [MQTT-3.1.2-24], no PINGREQ is sent but once in twelve days, and a dead link is
   * noticed only by an acknowledgement that does not come. 1 by default.
   */
  keepAlive?: Flag;
}

/** As long as a session can count. */
const NEVER_MS = 1073741824;

/**
 * Gives `client` other times. Once for a client, before `connect` and `lwt`, and before `withPing`, which goes by them.
 *
 * @throws TypeError that names the option
 */
export function withTimes<C extends Client>(client: C, times: Times): C {
  if (typeof times !== "object" || (times as unknown) === null) throw wrong("times", "an object", times);
  for (const name in times) {
    if (name !== "connack" && name !== "keepAlive") throw new TypeError("unknown option " + show(name));
  }
  const connack = asFlag("connack", times.connack, false);
  const keepAlive = asFlag("keepAlive", times.keepAlive, true);
  const connection = client.connection;
  const session = connection.session;
  if (connack) {
    const step = session._step.bind(session);
    Object.defineProperties(session, {
      _step: {
        value(nowMs: number, lengthMs: number) {
          step(nowMs, session._phase < UP ? (connection._deadlineMs - nowMs) | 0 : lengthMs);
        },
        configurable: true,
      },
    });
  }
  if (!keepAlive) {
    const setConnect = session.setConnect.bind(session);
    Object.assign(session, { keepAliveMs: NEVER_MS });
    Object.defineProperties(session, {
      setConnect: {
        value(fields: ConnectFields, maxLength: number) {
          fields.keepAliveSeconds = 0;
          return setConnect(fields, maxLength);
        },
        configurable: true,
      },
    });
    client._setConnect();
  }
  return client;
}
