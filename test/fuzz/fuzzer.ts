/**
 * Looks for inputs that make a target throw or hang, led by coverage: an input that reaches something new, or something
 * a number of times that is new, is kept, and others are made from those that were kept. The same seed and the same
 * inputs to begin with do the same each time.
 */
import { createContext, Script } from "node:vm";
import type { Instrumented } from "./instrument.js";

/** Longest input that is made. */
const MAX_LENGTH = 600;
/** Inputs run in one go, and how long that may take, which is hundreds of times what it takes. */
const BATCH = 100;
const BATCH_MS = 20000;
/** Bytes that often make a difference. */
const EDGES = [0, 1, 2, 3, 4, 127, 128, 129, 254, 255];

/** An input for which the target threw, as short as could be. */
export interface Finding {
  input: Uint8Array;
  error: Error;
  /** Count of runs until then. */
  runs: number;
}

export class Fuzzer {
  /** Inputs run, the first ones included. */
  runs = 0;
  /** The inputs that reached something new. */
  readonly kept: Uint8Array[] = [];
  private readonly target: Instrumented;
  private readonly batchMs: number;
  private readonly seen = new Set<number>();
  private state: number;

  /** @param seed any number but 0; @param batchMs how long a hundred inputs may take */
  constructor(target: Instrumented, seed: number, batchMs = BATCH_MS) {
    this.target = target;
    this.batchMs = batchMs;
    this.state = seed | 0;
  }

  /** Runs these inputs, and keeps those that reach something new. */
  begin(inputs: Uint8Array[]): Finding | undefined {
    const rest = [...inputs];
    return this.inBatches(() => rest.shift());
  }

  /** Makes inputs and runs them as long as `goesOn`, which is asked before each. */
  search(goesOn: () => boolean): Finding | undefined {
    return this.inBatches(() => (goesOn() ? this.mutated() : undefined));
  }

  /** The fewest and shortest inputs that reach all that `inputs` do. */
  minimised(inputs: Uint8Array[]): Uint8Array[] {
    const seen = new Set<number>();
    return [...inputs].sort((a, b) => a.length - b.length).flatMap((input) => {
      const wanted = this.features(input).filter((feature) => !seen.has(feature));
      if (wanted.length === 0) return [];
      const shorter = shrink(input, (candidate) => {
        const features = new Set(this.features(candidate));
        return wanted.every((feature) => features.has(feature));
      });
      this.features(shorter).forEach((feature) => seen.add(feature));
      return [shorter];
    });
  }

  /** Runs what `next` makes until that is undefined. */
  private inBatches(next: () => Uint8Array | undefined): Finding | undefined {
    let input: Uint8Array | undefined;
    let error: unknown;
    const batch = (): boolean => {
      for (let i = 0; i < BATCH; i++) {
        input = next();
        if (input === undefined) return false;
        this.runs++;
        error = this.attempt(input);
        if (error !== undefined) return false;
      }
      return true;
    };
    // Only what a script of node:vm calls can be stopped.
    const context = createContext({ batch });
    const script = new Script("batch()");
    try {
      while (script.runInContext(context, { timeout: this.batchMs }) === true);
    } catch (timeout) {
      error = timeout;
    }
    if (input === undefined || error === undefined) return undefined;
    const { runs } = this;
    const isHang = (error as { code?: string }).code === "ERR_SCRIPT_EXECUTION_TIMEOUT";
    if (isHang) return { input, error: error as Error, runs };
    const shortest = shrink(input, (candidate) => this.attempt(candidate) !== undefined);
    return { input: shortest, error: this.attempt(shortest) as Error, runs };
  }

  /** Runs an input and returns what it threw; keeps it if it threw nothing and reached something new. */
  private attempt(input: Uint8Array): unknown {
    let features;
    try {
      features = this.features(input);
    } catch (error) {
      return error;
    }
    const { size } = this.seen;
    for (const feature of features) this.seen.add(feature);
    if (this.seen.size > size) this.kept.push(input);
    return undefined;
  }

  private features(input: Uint8Array): number[] {
    this.target.coverage.clear();
    this.target.run(input);
    return this.target.coverage.features();
  }

  /** A whole number from 0 on, below `limit`. */
  private below(limit: number): number {
    // Marsaglia's xorshift.
    this.state ^= this.state << 13;
    this.state ^= this.state >>> 17;
    this.state ^= this.state << 5;
    return (this.state >>> 0) % limit;
  }

  /** One of those kept; every other time one of the latest. */
  private picked(): Uint8Array {
    const { length } = this.kept;
    if (length === 0) return new Uint8Array(1);
    const latest = Math.min(length, 16);
    return this.kept[this.below(2) === 0 ? this.below(length) : length - 1 - this.below(latest)];
  }

  private mutated(): Uint8Array {
    let bytes = [...this.picked()];
    for (let left = 1 << this.below(4); left > 0; left--) bytes = this.mutate(bytes);
    return new Uint8Array(bytes.slice(0, MAX_LENGTH));
  }

  private mutate(bytes: number[]): number[] {
    if (bytes.length === 0) return [this.below(256)];
    const at = this.below(bytes.length);
    const count = 1 + this.below(1 << this.below(8));
    /** Where something goes that is put between. */
    const gap = this.below(bytes.length + 1);
    switch (this.below(11)) {
      case 0:
        bytes[at] ^= 1 << this.below(8);
        break;
      case 1:
        bytes[at] = this.below(256);
        break;
      case 2:
        bytes[at] = EDGES[this.below(EDGES.length)];
        break;
      case 3:
        bytes[at] = (bytes[at] + this.below(33) - 16) & 255;
        break;
      case 4:
        bytes.splice(gap, 0, this.below(256));
        break;
      case 5:
        bytes.splice(gap, 0, ...Array<number>(count).fill(EDGES[this.below(EDGES.length)]));
        break;
      case 6:
        bytes.splice(at, count);
        break;
      case 7:
        bytes.splice(gap, 0, ...bytes.slice(at, at + count));
        break;
      case 8: {
        const part = bytes.slice(at, at + count);
        bytes.splice(gap, part.length, ...part);
        break;
      }
      case 9: {
        const other = this.picked();
        return [...bytes.slice(0, gap), ...other.subarray(this.below(other.length + 1))];
      }
      default: {
        const other = this.picked();
        const from = this.below(other.length + 1);
        bytes.splice(gap, 0, ...other.subarray(from, from + count));
      }
    }
    return bytes;
  }
}

/** The shortest input that can be had by leaving out parts, `isGood` being true all the time; then zeros if it is. */
function shrink(input: Uint8Array, isGood: (candidate: Uint8Array) => boolean): Uint8Array {
  let best = input;
  const isStill = (candidate: Uint8Array): boolean => {
    try {
      return isGood(candidate);
    } catch {
      return false;
    }
  };
  for (let size = input.length >> 1; size > 0; size >>= 1) {
    for (let at = 0; at + size <= best.length;) {
      const candidate = Uint8Array.of(...best.subarray(0, at), ...best.subarray(at + size));
      if (isStill(candidate)) best = candidate;
      else at += size;
    }
  }
  for (let at = 0; at < best.length; at++) {
    if (best[at] === 0) continue;
    const candidate = best.slice();
    candidate[at] = 0;
    if (isStill(candidate)) best = candidate;
  }
  return best;
}
