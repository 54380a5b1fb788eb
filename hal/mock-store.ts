/**
 * A store for tests, in memory, that fails when the test says so. Needs nothing but the language, so it runs inside XS
 * as well.
 */
import type { Store } from "./store.js";

/** Thrown where the power goes: whoever is in the call does not come back. */
export class PowerCut extends Error {}

/**
 * @example
 * const store = new MockStore();
 * store.powerCut = "old";                                // the next write throws a PowerCut, and changes nothing
 * expect(() => store.write(bytes, 0, 9)).toThrow(PowerCut);
 * store.damage(3);                                       // a byte has aged
 */
export class MockStore implements Store {
  /** A longer value does not fit, bytes. */
  capacity: number;
  /** What is stored; empty: nothing. */
  stored: Uint8Array = new Uint8Array(0);
  /** Count of `write` and `clear` that were done: each wears a memory. */
  changes = 0;
  /**
   * The power goes during the next `write` or `clear`, once, with the old value in the memory or the new one; the call
   * throws a {@link PowerCut}.
   */
  powerCut: "old" | "new" | undefined;
  /** The memory fails: what each call throws, until this is undefined again. */
  failure: Error | undefined;

  /** @param capacity bytes. Default: 8176, what an ESP8266 has room for */
  constructor(capacity?: number) {
    this.capacity = capacity ?? 8176;
  }

  /** Turns bits of a stored byte over, those that `mask` names. Default: all. Throws when there is no such byte. */
  damage(offset: number, mask?: number): void {
    if (!(offset >= 0 && offset < this.stored.length)) throw new RangeError(`damage: no byte ${offset} is stored`);
    this.stored[offset] ^= mask ?? 0xff;
  }

  read(into: Uint8Array): number {
    this.#fail();
    if (this.stored.length > into.length) {
      throw new RangeError(`store: ${this.stored.length} bytes are stored, and there is room for ${into.length}`);
    }
    into.set(this.stored);
    return this.stored.length;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    if (!(start >= 0 && start <= end && end <= bytes.length)) throw new RangeError(`write: bytes ${start} to ${end}`);
    this.#fail();
    if (end - start > this.capacity) {
      throw new RangeError(`store: ${end - start} bytes, and there is room for ${this.capacity}`);
    }
    this.#replace(bytes.slice(start, end));
  }

  clear(): void {
    this.#fail();
    this.#replace(new Uint8Array(0));
  }

  #fail(): void {
    if (this.failure !== undefined) throw this.failure;
  }

  #replace(value: Uint8Array): void {
    const cut = this.powerCut;
    this.powerCut = undefined;
    if (cut === "old") throw new PowerCut("with the old value stored");
    this.stored = value;
    this.changes++;
    if (cut === "new") throw new PowerCut("with the new value stored");
  }
}
