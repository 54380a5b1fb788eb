/**
 * What passes between a program on XS and the test beside it, which has the network and the time: sdk.ts is the one
 * end, board.ts the other.
 *
 * Each message, either way, is a byte that says its kind, the id of the object it is about and a number, 4 bytes each
 * and little-endian, and behind them bytes. The program gives the ids; none is used twice.
 */

/** What the program asks, with `issueCommand`. The answer is bare bytes: none unless said otherwise. */
export const Ask = {
  /** Shows the bytes, a text. */
  TRACE: 1,
  /** Answer: the clock, in milliseconds, 4 bytes. */
  NOW: 2,
  /** Starts a timer, so many milliseconds long, in place of an earlier one with that id. */
  SCHEDULE: 3,
  /** Stops a timer. */
  UNSCHEDULE: 4,
  /** Looks up the bytes, a host name. */
  RESOLVE: 5,
  /** Connects to the bytes, an address, at the port that is the number. */
  OPEN: 6,
  /** Answer: as many received bytes as the number says, or none where there are fewer. */
  READ: 7,
  /** Sends the bytes. Answer: the room left, 4 bytes; or none where there is less room, or no connection. */
  WRITE: 8,
  /** Ends a connection. */
  CLOSE: 9,
  /** Adds the bytes to a SHA-256. */
  DIGEST: 10,
  /** Answer: a SHA-256, 32 bytes, which ends. */
  DIGESTED: 11,
  /** Erases the block of the flash that is the number. */
  ERASE: 12,
  /** Answer: as many bytes of the flash, from the offset that is the id, as the number says. */
  FLASH: 13,
  /** Programs the bytes into the flash, at the offset that is the number. */
  PROGRAM: 14,
  /** Goes to sleep for so many milliseconds. Nothing is asked any more. */
  SLEEP: 15,
} as const;

/** What the program is told, with `handleCommand`: never while it runs, and never again once it no longer holds. */
export const Event = {
  /** A timer is due. */
  TIMER: 1,
  /** The bytes are the address of the host, none when it is unknown. */
  RESOLVED: 2,
  /** So many bytes can be read. */
  READABLE: 3,
  /** So many bytes may be written. */
  WRITABLE: 4,
  /** A connection is over, or was none. */
  ERROR: 5,
} as const;

export interface Message {
  kind: number;
  id: number;
  value: number;
  bytes: Uint8Array;
}

const HEAD_LENGTH = 9;
export const NO_BYTES: Uint8Array = new Uint8Array(0);

export function pack(kind: number, id: number, value = 0, bytes: Uint8Array = NO_BYTES): Uint8Array<ArrayBuffer> {
  const message = new Uint8Array(HEAD_LENGTH + bytes.length);
  const view = new DataView(message.buffer);
  view.setUint8(0, kind);
  view.setUint32(1, id, true);
  view.setUint32(5, value, true);
  message.set(bytes, HEAD_LENGTH);
  return message;
}

/** `bytes` of the result are those of `message`, not a copy. */
export function unpack(message: Uint8Array): Message {
  const view = new DataView(message.buffer, message.byteOffset, message.byteLength);
  const [id, value] = [view.getUint32(1, true), view.getUint32(5, true)];
  return { kind: view.getUint8(0), id, value, bytes: message.subarray(HEAD_LENGTH) };
}

/** An answer that is a number of 32 bits. */
export function packNumber(value: number): Uint8Array {
  const answer = new Uint8Array(4);
  new DataView(answer.buffer).setInt32(0, value, true);
  return answer;
}

export function unpackNumber(answer: Uint8Array): number {
  return new DataView(answer.buffer, answer.byteOffset).getInt32(0, true);
}
