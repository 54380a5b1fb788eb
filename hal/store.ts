/**
 * Where an application keeps a few KB over a deep sleep or a power cut: a snapshot of a session, for one. Types and
 * contract only.
 *
 * A store holds one value, which is replaced as a whole. Rules that hold for every member: it is done when the call
 * returns, there are no callbacks; bytes belong to the caller, and the store reads or writes them during the call only.
 * One instance at a time per place: two that write into the same place undo each other's work.
 */

/** One value of a few KB, kept over power cuts. */
export interface Store {
  /**
   * Copies the value to the front of `into` and returns its length in bytes; 0 when nothing is stored. The rest of
   * `into` stays as it is.
   *
   * Throws a RangeError, and leaves `into` as it is, when the value is longer than `into`: catch it, since firmware may
   * be newer than the value and have a smaller buffer. Whether the bytes are what was written is for the reader to
   * check, since memory wears out.
   */
  read(into: Uint8Array): number;
  /**
   * Replaces the value by `bytes[start..end)`, where 0 <= start <= end <= bytes.length; by nothing, as `clear()` does,
   * when that is empty. All or nothing: after a power cut in the middle of the call, the old value is there or the new
   * one. When the call returns, it is the new one.
   *
   * Throws when it does not fit: the old value is there. Throws what the platform says when the memory fails: the old
   * value is there or the new one.
   */
  write(bytes: Uint8Array, start: number, end: number): void;
  /**
   * Forgets the value, all or nothing too. Harmless when nothing is stored. The bytes may remain in the memory, where
   * `read` does not find them, until they are overwritten.
   */
  clear(): void;
}
