/**
 * Drives a client, and measures what its process takes for it: warm-up, then messages for as long as was asked for.
 */
import { readFileSync } from "node:fs";
import { GCProfiler } from "node:v8";
import { cpuMs } from "./cpu.js";
import type { Contestant, ContestantClient, Message } from "./contestants/contestant.js";
import { ECHO, TOPIC } from "./packets.js";
import { PAYLOAD_BYTES, startBroker } from "./peers/start.js";
import type { Peer } from "./peers/start.js";
import type { Column, Figures, Row } from "./tables/table.js";

/** Who is measured. u8-mqtt has no QoS 2, and mosquitto's programs can do no more than to publish and to receive. */
export const contestants = ["mcu-mqtt", "mcu-mqtt-1k", "mqtt-js", "u8-mqtt", "mosquitto-clients", "raw-socket"];
export const without = (...names: string[]): string[] => contestants.filter((name) => !names.includes(name));

/** Messages at QoS 0 that are published in one turn. They fit a buffer of 64 KiB. */
const BURST = 500;

/** Publishes `count` messages; resolves when all are done. At QoS 0 in bursts, otherwise `window` at a time. */
function publishMany(
  client: ContestantClient,
  message: Message,
  window: number,
  count: number,
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
      if (unsent === 0) {
        if (undone === 0) fulfil();
      } else if (message.qos > 0) {
        fill(1);
      } else if (undone === 0) {
        // Some say that a message was sent before this turn has ended.
        setImmediate(fill, BURST);
      }
    };
    fill(message.qos > 0 ? window : BURST);
  });
}

/** Has `count` messages pass. */
type Drive = (count: number) => Promise<void>;

/** What `measure` measures. */
export const columns: Column[] = [
  { figure: "cpuNs", title: "CPU", unit: "ns per message" },
  { figure: "heapBytes", title: "heap", unit: "bytes per message" },
  { figure: "collections", title: "collections", unit: "per million messages" },
  { figure: "writes", title: "writes to the system", unit: "per message" },
  { figure: "rssBytes", title: "RSS", unit: "bytes" },
];

/** Writes that this process has asked the system for; undefined where it does not count them. */
function systemWrites(): number | undefined {
  try {
    return Number(/^syscw: (\d+)$/m.exec(readFileSync("/proc/self/io", "utf8"))![1]);
  } catch {
    return undefined;
  }
}

/** Counts collections and what they free, so that what was allocated meanwhile can be told. */
class Heap {
  readonly #profiler = new GCProfiler();
  readonly #before: number;

  constructor() {
    this.#profiler.start();
    this.#before = process.memoryUsage().heapUsed;
  }

  stop(): { bytes: number; collections: number } {
    const after = process.memoryUsage().heapUsed;
    const { statistics } = this.#profiler.stop();
    let bytes = after - this.#before;
    for (const { beforeGC, afterGC } of statistics) {
      bytes += beforeGC.heapStatistics.usedHeapSize - afterGC.heapStatistics.usedHeapSize;
    }
    return { bytes, collections: statistics.length };
  }
}

/** Messages of the first round, and most of a later one. */
const FIRST = 200;
const MOST = 1e6;

/**
 * Drives in rounds until `ms` of processor time have gone, or `clockMs` on the clock, since a peer may have more to do
 * than its client; returns processor time and messages.
 */
async function driveFor(ms: number, clockMs: number, drive: Drive): Promise<{ ms: number; count: number }> {
  const start = cpuMs();
  const startOnClock = performance.now();
  let count = 0;
  let spent = 0;
  let now = FIRST;
  while (spent < 0.9) {
    await drive(now);
    count += now;
    spent = Math.max((cpuMs() - start) / ms, (performance.now() - startOnClock) / clockMs);
    // Not many more than so far, since those were slower.
    now = Math.min(MOST, 3 * count, Math.max(FIRST, Math.round((count / spent) * (1 - spent))));
  }
  return { ms: cpuMs() - start, count };
}

/** CPU, collections, writes, memory and heap bytes of messages that `drive` has pass. */
async function measure(drive: Drive, isQuick: boolean): Promise<Figures> {
  // V8 has compiled what is called once per turn only after this long.
  await driveFor(250, 1000, drive);
  const writesBefore = systemWrites();
  const heap = new Heap();
  const { ms, count } = await driveFor(isQuick ? 100 : 150, isQuick ? 400 : 500, drive);
  const { bytes, collections } = heap.stop();
  const writesAfter = systemWrites();
  const figures: Figures = {
    cpuNs: (ms * 1e6) / count,
    heapBytes: bytes / count,
    collections: (collections * 1e6) / count,
    rssBytes: process.memoryUsage.rss(),
  };
  if (writesBefore !== undefined && writesAfter !== undefined) figures.writes = (writesAfter - writesBefore) / count;
  return figures;
}

/** Starts a peer for that window; undefined where it is not installed. */
type StartPeer = (window: number) => Promise<Peer | undefined>;
type Qos = 0 | 1 | 2;

const payload = Buffer.alloc(PAYLOAD_BYTES, "x");
const ignore = (): void => undefined;
/** About what a program takes for a message, in milliseconds, by QoS: it cannot be asked to go on for a while. */
const PROGRAM_MS = [0.0025, 0.012, 0.022];

/** A sample of a table about publishing. */
export async function publishing(
  contestant: Contestant,
  args: Row["args"],
  isQuick: boolean,
  startPeer: StartPeer,
): Promise<Figures | undefined> {
  const window = args["window"] as number;
  const qos = args["qos"] as Qos;
  const message = { topic: TOPIC, payload, qos };
  const peer = await startPeer(window);
  if (peer === undefined) return undefined;
  if (contestant.connect !== undefined) {
    const client = await contestant.connect(peer.port, { clientId: "bench", window, onMessage: ignore });
    return measure((count) => publishMany(client, message, window, count), isQuick);
  }
  const count = Math.round((isQuick ? 100 : 250) / PROGRAM_MS[qos]);
  const ms = await contestant.program?.publish(peer.port, message, window, count);
  return ms === undefined ? undefined : { cpuNs: (ms * 1e6) / count };
}

/** A sample of a table about receiving. */
export async function receiving(
  contestant: Contestant,
  args: Row["args"],
  isQuick: boolean,
  startPeer: StartPeer,
): Promise<Figures | undefined> {
  const window = args["window"] as number;
  const qos = args["qos"] as Qos;
  const peer = await startPeer(window);
  if (peer === undefined) return undefined;
  const feed = await peer.feeder?.(qos, window);
  if (contestant.connect !== undefined) {
    let missing = 0;
    let fulfil: () => void = ignore;
    const onMessage = (): void => {
      if (--missing === 0) fulfil();
    };
    const client = await contestant.connect(peer.port, { clientId: "bench", window, onMessage });
    if (feed !== undefined) await client.subscribe(peer.filter(qos, window, 0), qos);
    const drive: Drive = (count) =>
      new Promise((resolve) => {
        missing = count;
        fulfil = resolve;
        if (feed !== undefined) feed(count);
        else void client.subscribe(peer.filter(qos, window, count), qos);
      });
    return measure(drive, isQuick);
  }
  const count = Math.round((isQuick ? 100 : 250) / PROGRAM_MS[qos]);
  const running = contestant.program?.receive(peer.port, peer.filter(qos, window, count), qos, count);
  if (feed !== undefined) void peer.subscribed?.then(() => feed(count));
  const ms = await running;
  return ms === undefined ? undefined : { cpuNs: (ms * 1e6) / count };
}

/** Times on the clock from publishing to the callback of what comes back, one after the other. */
export async function roundTrips(
  contestant: Contestant,
  isQuick: boolean,
  startPeer: StartPeer,
): Promise<Figures | undefined> {
  const peer = await startPeer(1);
  if (peer === undefined) return undefined;
  const warmUp = isQuick ? 2000 : 4000;
  const times = new Float64Array(isQuick ? 4000 : 10000);
  const message: Message = { topic: ECHO, payload, qos: 0 };
  let onMessage = ignore;
  const client = await contestant.connect!(peer.port, { clientId: "bench", window: 1, onMessage: () => onMessage() });
  await client.subscribe(ECHO, 0);
  await new Promise<void>((resolve) => {
    let n = -warmUp;
    let start = performance.now();
    onMessage = () => {
      const now = performance.now();
      if (n >= 0) times[n] = (now - start) * 1000;
      if (++n === times.length) return resolve();
      start = now;
      client.publish(message, ignore);
    };
    client.publish(message, ignore);
  });
  times.sort();
  const [p50Us, p90Us, p99Us] = [0.5, 0.9, 0.99].map((share) => times[Math.floor(share * times.length)]);
  return { p50Us, p90Us, p99Us };
}

/** Connections one after the other, of a new client each, or of one. As many before them are not measured. */
export async function connectInARow(
  contestant: Contestant,
  count: number,
  isSame: boolean,
): Promise<Figures | undefined> {
  const { port } = await startBroker();
  const connect = (): Promise<ContestantClient> =>
    contestant.connect!(port, { clientId: "bench", window: 1, onMessage: ignore });
  const same = await connect();
  await same.end();
  const once = async (): Promise<void> => {
    const client = isSame ? same : await connect();
    if (isSame) await same.again!();
    await client.end();
  };
  for (let i = 0; i < count; i++) await once();
  const heap = new Heap();
  const start = cpuMs();
  for (let i = 0; i < count; i++) await once();
  const ms = cpuMs() - start;
  return { cpuNs: (ms * 1e6) / count, heapBytes: heap.stop().bytes / count, rssBytes: process.memoryUsage.rss() };
}

/** Clients that connect at the same time. */
const AT_ONCE = 20;

/** What clients take that are connected and subscribed. */
export async function idle(contestant: Contestant, count: number): Promise<Figures> {
  const { port } = await startBroker();
  const clients: ContestantClient[] = [];
  const one = async (): Promise<void> => {
    const clientId = `bench${clients.length}`;
    const client = await contestant.connect!(port, { clientId, window: 1, onMessage: ignore });
    clients.push(client);
    await client.subscribe("idle", 0);
  };
  const settled = async (): Promise<NodeJS.MemoryUsage> => {
    await new Promise((resolve) => setTimeout(resolve, 20));
    for (let i = 0; i < 3; i++) globalThis.gc!();
    return process.memoryUsage();
  };
  const several = (): Promise<void[]> => Promise.all(Array.from({ length: AT_ONCE }, one));
  await several();
  const before = await settled();
  for (let n = 0; n < count; n += AT_ONCE) await several();
  const after = await settled();
  const each = (figure: keyof NodeJS.MemoryUsage): number => (after[figure] - before[figure]) / count;
  return { heapBytes: each("heapUsed"), bufferBytes: each("external"), rssBytes: each("rss") };
}
