/**
 * What a piece of synchronous work costs: processor time, and bytes allocated. Knows nothing of what the work is.
 *
 * Time is the processor time of the whole process, which other processes do not take part in and which has the garbage
 * collector's and the compiler's threads in it. Its clock is too coarse for one operation, so batches are measured.
 */
import { median } from "simple-statistics";
import { Bench } from "tinybench";
import { cpuMs } from "./cpu.js";

/** What one operation costs. */
export interface Cost {
  /** Nanoseconds of processor time. */
  cpuNs: number;
  /** Bytes allocated on V8's heap. */
  heapBytes: number;
  /** Bytes of array buffers beside it. */
  bufferBytes: number;
}

/** Does something `count` times. */
export type Batch = (count: number) => void;

/** For the process that measures: what is allocated between two looks at the heap is not to be collected. */
export const MEASURE_OPTIONS = ["--min-semi-space-size=16"];

/** Processor time of a batch: a thousand times what the clock can tell apart. */
const BATCH_MS = 1;
/** Bytes that are allocated between two looks at the heap, about: seldom enough for a collection in between. */
const ALLOCATED_BYTES = 1 << 20;
/** Most operations between them. */
const ALLOCATIONS = 1 << 16;
/** Count of such pairs of looks. */
const LOOKS = 9;

function cpuMsOf(batch: Batch, count: number): number {
  const before = cpuMs();
  batch(count);
  return cpuMs() - before;
}

/** Measures an operation of which `batch` does any number. */
export function measure(batch: Batch, isQuick: boolean): Cost {
  let count = 1;
  // Twice, since a compilation or a pause of the machine makes a small batch long.
  while (Math.min(cpuMsOf(batch, count), cpuMsOf(batch, count)) < BATCH_MS) count *= 2;
  const bench = new Bench({
    now: cpuMs,
    time: isQuick ? 50 : 150,
    iterations: 8,
    warmupTime: isQuick ? 120 : 150,
    warmupIterations: 4,
    throws: true,
  });
  const task = bench.add("operations", () => batch(count)).tasks[0];
  bench.runSync();
  if (!("latency" in task.result)) throw new Error(`nothing was measured: ${task.result.state}`);
  // The mean: a collection falls into some batches and is owed to all.
  return { cpuNs: (task.result.latency.mean * 1e6) / count, ...allocation(batch) };
}

/** Bytes that the batch allocates for each operation; its code must be warm. */
function allocation(batch: Batch): Pick<Cost, "heapBytes" | "bufferBytes"> {
  let count = 16;
  const isEnough = (): boolean => allocated(batch, count).all > ALLOCATED_BYTES / 2;
  while (count < ALLOCATIONS && !(isEnough() && isEnough())) count *= 2;
  const looks = Array.from({ length: LOOKS }, () => {
    const looking = allocated(() => undefined, 1).heap;
    const { heap, buffers } = allocated(batch, count);
    return { heap: (heap - looking) / count, buffers: buffers / count };
  });
  // Of looks with a collection between them, which see too little, there are few.
  return { heapBytes: median(looks.map(({ heap }) => heap)), bufferBytes: median(looks.map(({ buffers }) => buffers)) };
}

function allocated(batch: Batch, count: number): { heap: number; buffers: number; all: number } {
  const before = process.memoryUsage();
  batch(count);
  const after = process.memoryUsage();
  const heap = after.heapUsed - before.heapUsed;
  const buffers = after.arrayBuffers - before.arrayBuffers;
  return { heap, buffers, all: heap + buffers };
}
