/**
 * Drives a client, and measures what its process takes for it: warm-up, then messages for as long as was asked for,
 * then some more for the bytes that they leave on the heap.
 */
import { readFileSync } from "node:fs";
import { PerformanceObserver } from "node:perf_hooks";
import type { ContestantClient, Message } from "./contestants/contestant.js";
import type { Figures } from "./tables/table.js";

/** Messages at QoS 0 that are published in one turn. They fit a buffer of 64 KiB. */
export const BURST = 500;

/** Publishes `count` messages; resolves when all are done. At QoS 0 in bursts, otherwise `window` at a time. */
export function publishMany(
  client: ContestantClient,
  message: Message,
  window: number,
  count: number,
  onDone?: () => void,
): Promise<void> {
  return new Promise((fulfil) => {
    let unsent = count;
    let undone = 0;
    const fill = (room: number): void => {
      const now = Math.min(unsent, room);
      unsent -= now;
      undone += now;
      for (let i = 0; i < now; i++) client.publish(message, done);
    };
    const done = (): void => {
      undone--;
      if (onDone !== undefined) onDone();
      if (unsent === 0) {
        if (undone === 0) fulfil();
      } else if (message.qos > 0) {
        fill(1);
      } else if (undone === 0) {
        fill(BURST);
      }
    };
    fill(message.qos > 0 ? window : BURST);
  });
}

/** Has `count` messages pass, and calls `onEach` for each where it is given. */
export type Drive = (count: number, onEach?: () => void) => Promise<void>;

const cpuMs = (since?: NodeJS.CpuUsage): number => {
  const { user, system } = process.cpuUsage(since);
  return (user + system) / 1000;
};

/** Writes that this process has asked the system for; undefined where it does not count them. */
function systemWrites(): number | undefined {
  try {
    return Number(/^syscw: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))?.[1] ?? undefined);
  } catch {
    return undefined;
  }
}

/** Messages of which the first rounds are. */
const FIRST_COUNT = 1000;
const WARM_UP_MS = 80;
/** Most messages of a round. */
const MOST = 1e6;

/** Drives in rounds until `ms` of processor time have gone; returns time and messages. */
async function driveFor(ms: number, drive: Drive, guessMs: number): Promise<{ ms: number; count: number }> {
  let count = 0;
  let spent = 0;
  let each = guessMs;
  while (spent < ms * 0.9) {
    const now = Math.min(MOST, Math.max(FIRST_COUNT, Math.round((ms - spent) / each)));
    const start = process.cpuUsage();
    await drive(now);
    spent += cpuMs(start);
    count += now;
    each = spent / count;
  }
  return { ms: spent, count };
}

/** Messages whose heap bytes are told apart from those before: so few that most times no collection falls in between. */
const HEAP_BATCH = BURST;
const HEAP_BATCHES = 9;

const median = (values: number[]): number => values.sort((a, b) => a - b)[values.length >> 1];

/** Bytes that a message leaves on V8's heap; the median of batches, so that those with a collection do not count. */
async function heapBytes(drive: Drive): Promise<number> {
  const used = new Float64Array(HEAP_BATCHES + 2);
  let n = 0;
  let batch = 0;
  await drive(HEAP_BATCH * (HEAP_BATCHES + 1), () => {
    if (n++ % HEAP_BATCH === 0) used[batch++] = process.memoryUsage().heapUsed;
  });
  const deltas: number[] = [];
  for (let i = 2; i < batch; i++) deltas.push((used[i] - used[i - 1]) / HEAP_BATCH);
  return median(deltas);
}

/** CPU, collections, writes, memory and heap bytes of messages that `drive` has pass. */
export async function measure(drive: Drive, isQuick: boolean): Promise<Figures> {
  const warm = await driveFor(isQuick ? WARM_UP_MS / 2 : WARM_UP_MS, drive, 0.02);
  let collections = 0;
  const observer = new PerformanceObserver((list) => (collections += list.getEntries().length));
  observer.observe({ entryTypes: ["gc"] });
  const writesBefore = systemWrites();
  const { ms, count } = await driveFor(isQuick ? 120 : 250, drive, warm.ms / warm.count);
  const writesAfter = systemWrites();
  const rss = process.memoryUsage.rss();
  await new Promise((resolve) => setImmediate(resolve));
  observer.disconnect();
  return {
    cpuNs: (ms * 1e6) / count,
    heapBytes: await heapBytes(drive),
    collections: (collections * 1e6) / count,
    ...(writesBefore === undefined || writesAfter === undefined ? {} : { writes: (writesAfter - writesBefore) / count }),
    rssBytes: rss,
  };
}
