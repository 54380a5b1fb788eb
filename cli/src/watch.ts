/**
 * Which version of MQTT a broker's answer to CONNECT is of: a broker that does not know MQTT 5 refuses it in the words
 * of MQTT 3.1.1, which to a client of MQTT 5 are malformed.
 */
import type { Hal, Socket } from "../../hal/socket.js";

/** CONNACK of MQTT 3.1.1: "unacceptable protocol version" [MQTT-3.1.2-2 of 3.1.1]. */
const REFUSED = [0x20, 2, 0, 1];

/**
 * The same platform.
 *
 * @param onRefused the first bytes that have come on a connection are that CONNACK; called before the client sees them
 */
export function watched(hal: Hal, onRefused: () => void): Hal {
  const outer: Hal = {
    open: (host, port, secure, handler) => watch(hal.open(host, port, secure, handler), onRefused),
    checkSecure: (secure) => hal.checkSecure(secure),
    createTimer: (onTimer) => hal.createTimer(onTimer),
    now: () => hal.now(),
    createText: () => hal.createText(),
    uncaught: (error) => hal.uncaught(error),
    generateId: () => hal.generateId(),
    defaults: hal.defaults,
  };
  if (hal.webSocket !== undefined) outer.webSocket = hal.webSocket;
  if (hal.configure !== undefined) outer.configure = (settings) => watched(hal.configure!(settings), onRefused);
  return outer;
}

function watch(socket: Socket | undefined, onRefused: () => void): Socket | undefined {
  if (socket === undefined) return undefined;
  let matched = 0;
  return {
    read(bytes, start, end) {
      const count = socket.read(bytes, start, end);
      for (let i = start; i < start + count && matched < REFUSED.length; i++) {
        matched = bytes[i] === REFUSED[matched] ? matched + 1 : Infinity;
        if (matched === REFUSED.length) onRefused();
      }
      return count;
    },
    write: (bytes, start, end) => socket.write(bytes, start, end),
    close: () => socket.close(),
  };
}
