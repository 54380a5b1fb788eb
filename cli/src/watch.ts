/**
 * How a broker that does not know MQTT 5 answers its CONNECT: in the words of MQTT 3.1.1, which are malformed to a
 * client of MQTT 5, or not at all.
 */
import type { Hal, Socket, SocketHandler } from "../../hal/socket.js";

/** The first bytes that came are a CONNACK of MQTT 3.1.1, whatever it says, or none came before the end. */
export type OldAnswer = "old" | "closed";

/** A CONNACK of MQTT 3.1.1 begins like this; one of MQTT 5 has three bytes or more behind its length. */
const OLD_CONNACK = [0x20, 2];

/**
 * The same platform.
 *
 * @param onAnswer called before the client sees it, and must not call the client
 */
export function watched(hal: Hal, onAnswer: (answer: OldAnswer) => void): Hal {
  const outer: Hal = {
    open: (host, port, secure, handler) => watch(hal, host, port, secure, handler, onAnswer),
    checkSecure: (secure) => hal.checkSecure(secure),
    createTimer: (onTimer) => hal.createTimer(onTimer),
    now: () => hal.now(),
    createText: () => hal.createText(),
    uncaught: (error) => hal.uncaught(error),
    generateId: () => hal.generateId(),
    defaults: hal.defaults,
  };
  if (hal.webSocket !== undefined) outer.webSocket = hal.webSocket;
  if (hal.configure !== undefined) outer.configure = (settings) => watched(hal.configure!(settings), onAnswer);
  return outer;
}

function watch(
  hal: Hal,
  host: string,
  port: number,
  secure: object | undefined,
  handler: SocketHandler,
  onAnswer: (answer: OldAnswer) => void,
): Socket | undefined {
  let hasWritten = false;
  let hasRead = false;
  let matched = 0;
  const socket = hal.open(host, port, secure, {
    onReadable(count) {
      hasRead = true;
      handler.onReadable(count);
    },
    onWritable: (count) => handler.onWritable(count),
    onError(failure, detail) {
      if (hasWritten && !hasRead) onAnswer("closed");
      handler.onError(failure, detail);
    },
  });
  return socket && {
    read(bytes, start, end) {
      const count = socket.read(bytes, start, end);
      for (let i = start; i < start + count && matched < OLD_CONNACK.length; i++) {
        matched = bytes[i] === OLD_CONNACK[matched] ? matched + 1 : Infinity;
        if (matched === OLD_CONNACK.length) onAnswer("old");
      }
      return count;
    },
    write(bytes, start, end) {
      hasWritten = true;
      return socket.write(bytes, start, end);
    },
    close: () => socket.close(),
  };
}
