/**
 * The HAL of ESP8266 boards, on the Moddable SDK. There, 32 KB are all that XS has: firmware, buffers and messages. So
 * there is no TLS; `esp8266-tls` is an experiment for who has memory left.
 */
import { createBoardHal } from "./moddable.js";
import type { BoardOptions } from "./moddable.js";

/** What the board is like, with TLS or without. */
export const board: Omit<BoardOptions, "tls" | "noTls"> = Object.freeze({
  defaults: { rxCapacity: 1024, txCapacity: 1024, maxOperations: 8, receiveMaximum: 8 },
  openDelayMs: 0,
  // lwip resets a connection that is closed with bytes unread, and loses what is in flight: a DISCONNECT, say.
  drainMs: 2000,
});

const hal = createBoardHal(Object.assign({ tls: undefined, noTls: "an ESP8266 has too little memory" }, board));

export default hal;
