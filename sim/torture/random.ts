/** Random numbers from a seed: the same seed, the same numbers, on every machine. Integers only. */

/** mulberry32, seeded through one round of a hash so that neighbouring seeds have nothing in common. */
export class Random {
  private _state: number;

  /** @param seed any integer; only its lowest 53 bits count */
  constructor(seed: number) {
    const high = Math.floor(seed / 4294967296) | 0;
    this._state = Math.imul((seed | 0) ^ Math.imul(high, 0x85ebca6b) ^ 0x9e3779b9, 0xc2b2ae35);
    this.next();
    this._state ^= seed | 0;
  }

  /** 0..2^32-1 */
  next(): number {
    this._state = (this._state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this._state ^ (this._state >>> 15), 1 | this._state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return (mixed ^ (mixed >>> 14)) >>> 0;
  }

  /** 0..limit-1 */
  below(limit: number): number {
    return Math.floor((this.next() / 4294967296) * limit);
  }

  /** min..max, both included */
  between(min: number, max: number): number {
    return min + this.below(max - min + 1);
  }

  /** True in `percent` of 100 cases. */
  chance(percent: number): boolean {
    return this.below(10000) < percent * 100;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)];
  }
}
