/**
 * A store on raw NOR flash, such as the `flash` module of the Moddable SDK gives.
 *
 * The flash is cut into slots of two blocks, and each value goes to the slot behind the last one: wear is spread, and
 * the old value stays until the new one is complete. At the front of a slot are 16 bytes, written last: a sequence
 * number and the length of the value, each with its complement. Of the slots whose complements fit, the one with the
 * highest sequence number counts.
 *
 * Why that is enough against power cuts: a number and its complement have one zero between them at each bit.
 * Programming turns ones into zeros, so a header half written has two ones somewhere. One half erased has so too, or it
 * is still the old one, whose number is not the highest. The bytes of a value were complete before its header was
 * begun. What is found is not relied on in the next call: the flash is looked at each time.
 *
 * Takes the flash as an argument, so that it runs anywhere on a double of it.
 */
import type { Store } from "./store.js";

/** Flash from which all ones are read when it is erased, block by block, and in which writing turns ones into zeros. */
export interface Flash {
  /** Bytes in all. */
  readonly byteLength: number;
  /** Bytes that are erased at a time. */
  readonly blockSize: number;
  erase(block: number): void;
  read(offset: number, byteLength: number): ArrayBuffer;
  /** Writes the first `byteLength` of `bytes`, at least one. */
  write(offset: number, byteLength: number, bytes: Uint8Array): void;
}

const SLOT_BLOCKS = 2;
/** With more, finding the newest value would take longer than the wear is worth. */
const MAX_SLOTS = 16;
const HEADER_LENGTH = 16;
/** Bytes read at a time: each piece is a buffer of its own. */
const PIECE_LENGTH = 512;

export class FlashStore implements Store {
  private readonly _flash: Flash;
  private readonly _slotLength: number;
  private readonly _slotCount: number;
  /** What `_findNewest` has found: the slot, -1 for none; its sequence number, and the length of its value. */
  private _slot: number;
  private _sequence: number;
  private _length: number;

  constructor(flash: Flash) {
    this._flash = flash;
    this._slotLength = SLOT_BLOCKS * flash.blockSize;
    this._slotCount = Math.min(MAX_SLOTS, Math.floor(flash.byteLength / this._slotLength));
    this._slot = -1;
    this._sequence = 0;
    this._length = 0;
    if (this._slotCount < 2) {
      throw new RangeError(`store: ${flash.byteLength} bytes of flash, and ${2 * this._slotLength} are needed`);
    }
  }

  read(into: Uint8Array): number {
    this._findNewest();
    const length = this._length;
    if (length > into.length) {
      throw new RangeError(`store: ${length} bytes are stored, and there is room for ${into.length}`);
    }
    const front = this._slot * this._slotLength + HEADER_LENGTH;
    for (let at = 0; at < length; at += PIECE_LENGTH) {
      into.set(new Uint8Array(this._flash.read(front + at, Math.min(PIECE_LENGTH, length - at))), at);
    }
    return length;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    const length = end - start;
    const capacity = this._slotLength - HEADER_LENGTH;
    if (length > capacity) throw new RangeError(`store: ${length} bytes, and there is room for ${capacity}`);
    this._findNewest();
    // An empty value over an empty one would be wear for nothing.
    if (length === 0 && this._length === 0) return;
    const flash = this._flash;
    const offset = ((this._slot + 1) % this._slotCount) * this._slotLength;
    for (let at = 0; at < HEADER_LENGTH + length; at += flash.blockSize) flash.erase((offset + at) / flash.blockSize);
    if (length > 0) {
      flash.write(offset + HEADER_LENGTH, length, new Uint8Array(bytes.buffer, bytes.byteOffset + start, length));
    }
    const header = new Uint32Array(HEADER_LENGTH / 4);
    header[0] = this._sequence + 1;
    header[1] = ~header[0];
    header[2] = length;
    header[3] = ~length;
    flash.write(offset, HEADER_LENGTH, new Uint8Array(header.buffer));
  }

  clear(): void {
    this.write(new Uint8Array(0), 0, 0);
  }

  private _findNewest(): void {
    this._slot = -1;
    this._sequence = 0;
    this._length = 0;
    for (let slot = 0; slot < this._slotCount; slot++) {
      const header = new Uint32Array(this._flash.read(slot * this._slotLength, HEADER_LENGTH));
      const isWhole = (header[0] ^ header[1]) === -1 && (header[2] ^ header[3]) === -1;
      if (isWhole && header[0] > this._sequence && header[2] <= this._slotLength - HEADER_LENGTH) {
        this._slot = slot;
        this._sequence = header[0];
        this._length = header[2];
      }
    }
  }
}
