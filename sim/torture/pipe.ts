/**
 * Bytes on their way in one direction of a connection: in order, with delays, cut in pieces or put together.
 *
 * Knows nothing of what they say. Invariant: what was pushed first arrives first, and every byte at most once.
 */
import type { Event, World } from "./world.js";
import type { Weather } from "./weather.js";

export class Pipe {
  /** What has arrived and is not yet taken, then what is on its way. */
  bytes = new Uint8Array(512);
  start = 0;
  /** Bytes that have arrived since the beginning. */
  arrived = 0;
  /** Bytes that were pushed since the beginning. */
  pushed = 0;
  /** Breaks the connection when so many bytes have arrived. */
  cutAt = Infinity;
  /** Nothing arrives before. */
  stalledUntilMs = 0;
  private _end = 0;
  private _lengths: number[] = [];
  private _times: number[] = [];
  private _lastMs = 0;
  private _event: Event | undefined;
  private readonly _world: World;
  private readonly _weather: Weather;
  private readonly _pieces: number;
  private readonly _canTake: () => number;
  private readonly _onArrived: (count: number) => void;
  private readonly _onCut: () => void;
  private _atEnd: (() => void) | undefined;

  /**
   * @param pieces largest piece that arrives; 0: as pushed
   * @param canTake count of bytes that may arrive now
   * @param onArrived so many more have arrived: `bytes[start..start + count)` if all before were taken
   * @param onCut `cutAt` is reached
   */
  constructor(
    world: World,
    weather: Weather,
    pieces: number,
    canTake: () => number,
    onArrived: (count: number) => void,
    onCut: () => void,
  ) {
    this._world = world;
    this._weather = weather;
    this._pieces = pieces;
    this._canTake = canTake;
    this._onArrived = onArrived;
    this._onCut = onCut;
  }

  /** Bytes on their way. */
  get left(): number {
    let sum = 0;
    for (const length of this._lengths) sum += length;
    return sum;
  }

  push(bytes: Uint8Array, start: number, end: number): void {
    const needed = this._end + end - start;
    if (needed > this.bytes.length) this._makeRoom(end - start);
    for (let at = start; at < end; at++) this.bytes[this._end++] = bytes[at];
    this.pushed += end - start;
    const { random, nowMs } = this._world;
    const { leastMs, mostMs } = this._weather;
    let time = Math.max(this._lastMs, nowMs + random.between(leastMs, mostMs));
    let left = end - start;
    while (left > 0) {
      const length = this._pieces === 0 ? left : Math.min(left, random.between(1, this._pieces));
      this._lengths.push(length);
      this._times.push(time);
      left -= length;
      if (left > 0 && mostMs > 0 && random.chance(5)) time += random.between(0, mostMs);
    }
    this._lastMs = time;
    this._plan();
  }

  /** Has `then` called behind all that was pushed. */
  end(then: () => void): void {
    this._atEnd = then;
    this._plan();
  }

  /** Forgets what is on its way; what has arrived stays. */
  drop(): void {
    this._lengths = [];
    this._times = [];
    this._atEnd = undefined;
    if (this._event !== undefined) this._event.fire = undefined;
    this._event = undefined;
  }

  /** Takes `count` of the bytes that have arrived. */
  take(count: number): void {
    this.start += count;
    if (this.start === this._end) this.start = this._end = 0;
  }

  /** There may be more room than before for what arrives. */
  goOn(): void {
    this._plan();
  }

  private _makeRoom(more: number): void {
    const length = this._end - this.start;
    const old = this.bytes;
    if (length + more > old.length) this.bytes = new Uint8Array(2 * (length + more));
    this.bytes.set(old.subarray(this.start, this._end));
    this.start = 0;
    this._end = length;
  }

  private _plan(): void {
    if (this._event !== undefined) return;
    const nextMs = this._lengths.length > 0 ? this._times[0] : this._atEnd !== undefined ? this._lastMs : -1;
    if (nextMs < 0 || (this._lengths.length > 0 && this._canTake() <= 0)) return;
    const dueMs = Math.max(nextMs, this.stalledUntilMs);
    this._event = this._world.after(Math.max(0, dueMs - this._world.nowMs), () => {
      this._event = undefined;
      this._arrive();
      this._plan();
    });
  }

  private _arrive(): void {
    const { nowMs } = this._world;
    if (this.stalledUntilMs > nowMs) return;
    if (this._lengths.length === 0) {
      const atEnd = this._atEnd;
      this._atEnd = undefined;
      atEnd?.();
      return;
    }
    const most = Math.min(this._canTake(), this.cutAt - this.arrived);
    let count = 0;
    while (this._lengths.length > 0 && this._times[0] <= nowMs && count < most) {
      const part = Math.min(this._lengths[0], most - count);
      count += part;
      if (part < this._lengths[0]) {
        this._lengths[0] -= part;
        break;
      }
      this._lengths.shift();
      this._times.shift();
      if (!this._weather.isCoalescing) break;
    }
    this.arrived += count;
    if (count > 0) this._onArrived(count);
    if (this.arrived === this.cutAt) {
      this.cutAt = Infinity;
      this._onCut();
    }
  }
}
