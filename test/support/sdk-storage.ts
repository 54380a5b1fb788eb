/**
 * The Moddable SDK's (8.2.3) modules for storage, as far as a store sees them: the same results, and throwing where the
 * SDK throws. The flash can lose its power in the middle.
 */
import { PowerCut } from "../../hal/mock-store.js";
import type { Flash } from "../../hal/flash-store.js";
import type { KeyValueModule, KeyValueStorage } from "../../hal/key-value-store.js";
import type { Random } from "./session-harness.js";

/** NVS by way of modules/io/storage/esp32: 15 characters for a name, and room for the old value beside the new one. */
export class Nvs implements KeyValueModule {
  readonly entries = new Map<string, Uint8Array>();
  /** Bytes for all values. */
  readonly byteLength: number;

  constructor(byteLength = 16384) {
    this.byteLength = byteLength;
  }

  open(options: { path: string; format: string }): KeyValueStorage {
    if (options.path === "" || options.path.length > 15) throw new Error("ESP_ERR_NVS_INVALID_NAME");
    if (options.format !== "buffer") throw new RangeError("unsupported");
    const entry = (key: string): string => {
      if (key === "" || key.length > 15) throw new Error("ESP_ERR_NVS_KEY_TOO_LONG");
      return `${options.path}/${key}`;
    };
    return {
      read: (key) => this.entries.get(entry(key))?.slice().buffer,
      write: (key, value) => {
        const used = [...this.entries.values()].reduce((sum, each) => sum + each.length, 0);
        if (used + value.length > this.byteLength) throw new Error("ESP_ERR_NVS_NOT_ENOUGH_SPACE");
        this.entries.set(entry(key), value.slice());
      },
      delete: (key) => {
        this.entries.delete(entry(key));
      },
    };
  }
}

/** Bytes that NOR flash writes at a time. */
const PAGE_LENGTH = 256;

/** NOR flash by way of modules/files/flash. */
export class NorFlash implements Flash {
  readonly blockSize = 4096;
  readonly bytes: Uint8Array;
  /** Block -> how often it was erased. */
  readonly erasures: number[];
  /** Steps until the power goes: a block erased, a byte written. Each counts. */
  stepsLeft = Infinity;
  readonly #random: Random;

  /** @param random what a step is like that the power cut */
  constructor(blocks: number, random: Random) {
    this.bytes = new Uint8Array(blocks * this.blockSize).fill(random.below(256));
    this.erasures = new Array<number>(blocks).fill(0);
    this.#random = random;
  }

  get byteLength(): number {
    return this.bytes.length;
  }

  erase(block: number): void {
    if (!(Number.isInteger(block) && block >= 0 && block < this.erasures.length)) throw new Error("invalid sector");
    this.erasures[block]++;
    const area = this.bytes.subarray(block * this.blockSize, (block + 1) * this.blockSize);
    this.#step(() => {
      // Erasing writes zeros first. It may have come to anything, and only here or there.
      const from = this.#random.pick([0, this.#random.below(32)]);
      const to = this.#random.pick([from + 1 + this.#random.below(16), area.length]);
      const isWritingZeros = this.#random.below(2) === 0;
      const pick = this.#random.pick([0, 0x55, 0xff, -1]);
      for (let at = from; at < to; at++) {
        const some = pick < 0 ? this.#random.below(256) : pick;
        area[at] = isWritingZeros ? area[at] & some : area[at] | some;
      }
    });
    area.fill(0xff);
  }

  read(offset: number, byteLength: number): ArrayBuffer {
    this.#check(offset, byteLength);
    return this.bytes.slice(offset, offset + byteLength).buffer;
  }

  write(offset: number, byteLength: number, bytes: Uint8Array): void {
    this.#check(offset, byteLength);
    if (bytes.length < byteLength) throw new Error("invalid");
    for (let at = 0; at < byteLength; at++) {
      const place = offset + at;
      const value = bytes[at];
      if ((this.bytes[place] & value) !== value) throw new Error(`byte ${place} was not erased`);
      this.#step(() => {
        // The bytes of a page are written together, in no order.
        const end = Math.min(byteLength, at + PAGE_LENGTH - (place % PAGE_LENGTH));
        for (let other = at; other < end; other++) {
          this.bytes[offset + other] &= bytes[other] | this.#random.pick([0, 0xff, this.#random.below(256)]);
        }
      });
      this.bytes[place] = value;
    }
  }

  #check(offset: number, byteLength: number): void {
    if (!(offset >= 0 && offset < this.byteLength)) throw new Error("invalid offset");
    if (!(byteLength > 0 && offset + byteLength <= this.byteLength)) throw new Error("invalid length");
  }

  #step(cut: () => void): void {
    if (this.stepsLeft-- > 0) return;
    this.stepsLeft = Infinity;
    cut();
    throw new PowerCut("in the middle");
  }
}
