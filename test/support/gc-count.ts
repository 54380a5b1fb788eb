/**
 * Counts the garbage collections during a named workload, in a process of its own, and prints the count. Its heap is
 * small, so that whatever is allocated for each packet, were it 16 bytes, makes itself felt many times.
 *
 * node --import tsx --expose-gc --max-semi-space-size=1 test/support/gc-count.ts WORKLOAD COUNT
 */
import { PerformanceObserver, performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import hal from "../../hal/node.js";
import type { DecoderHandler } from "../../src/decoder.js";
import { Decoder } from "../../src/decoder.js";
import { Encoder } from "../../src/encoder.js";
import type { ServerDecoderHandler } from "../../src/server-codec.js";
import { ServerDecoder } from "../../src/server-codec.js";
import { PINGREQ, PUBACK, QOS_1 } from "../../src/wire.js";
import { vectorsFrom } from "../vectors/packets.js";
import { join } from "./bytes.js";
import type { Sender } from "./packets.js";

/** Does something `count` times. Made anew for each run; what making it allocates does not count. */
type Workload = (count: number) => void;

const workloads: Record<string, () => Workload> = {
  /** What every other one is compared with. */
  empty: () => repeat(() => undefined),
  /** Shows that allocations are seen: one small object each time. */
  allocating: () => {
    const objects: object[] = [{}];
    return repeat((i) => {
      objects[0] = { i };
    });
  },
  decoder: () => decode("server"),
  serverDecoder: () => decode("client"),
  encoder: () => {
    const encoder = new Encoder(hal.text);
    const out = new Uint8Array(200);
    const payload = new Uint8Array(100);
    return repeat((i) => {
      const packetId = (i % 65535) + 1;
      let at = encoder.publish(out, 0, out.length, QOS_1, packetId, "fenêtre/température", payload);
      at = encoder.ack(out, at, out.length, PUBACK, packetId);
      encoder.empty(out, at, out.length, PINGREQ);
    });
  },
};

function repeat(step: (i: number) => void): Workload {
  return (count) => {
    for (let i = 0; i < count; i++) step(i);
  };
}

/** Every packet that `sender` may send, again and again, in chunks of a size that cuts them at ever other places. */
function decode(sender: Sender): Workload {
  const vectors = vectorsFrom(sender);
  const stream = join(...vectors.map(({ bytes }) => bytes));
  const decoder = sender === "server" ? new Decoder(handler, new Uint8Array(256)) : serverDecoder();
  // Longer than the stream by the longest chunk, so that a chunk may begin anywhere in it.
  const size = 97;
  const bytes = join(stream, stream.subarray(0, size));
  let at = 0;
  return (count) => {
    for (let left = Math.ceil((count * stream.length) / vectors.length); left > 0; left -= size) {
      if (decoder.push(bytes, at, at + size) < 0) throw new Error("refused");
      at = (at + size) % stream.length;
    }
  };
}

function serverDecoder(): ServerDecoder {
  return new ServerDecoder(handler, new Uint8Array(256));
}

const ignore = (): void => undefined;
const handler: DecoderHandler & ServerDecoderHandler = {
  onPublish: ignore,
  onPayload: ignore,
  onAck: ignore,
  onConnack: ignore,
  onSuback: ignore,
  onPingresp: ignore,
  onConnectField: ignore,
  onConnect: ignore,
  onUnsupportedLevel: ignore,
  onTopicFilter: ignore,
  onSubscribe: ignore,
  onUnsubscribe: ignore,
  onPingreq: ignore,
  onDisconnect: ignore,
};

const [name = "", count = ""] = process.argv.slice(2);
const workload = workloads[name]?.();
if (workload === undefined || !(Number(count) > 0)) throw new Error(`No workload "${name}", or no count "${count}"`);

const collections: number[] = [];
new PerformanceObserver((list) => {
  for (const entry of list.getEntries()) collections.push(entry.startTime);
}).observe({ entryTypes: ["gc"] });

// Compiled and settled before it counts.
workload(Number(count) / 4);
await setTimeout(20);
workload(Number(count) / 4);
globalThis.gc?.();
await setTimeout(20);
const startMs = performance.now();
workload(Number(count));
const endMs = performance.now();
await setTimeout(20); // entries come later
console.log(collections.filter((timeMs) => timeMs >= startMs && timeMs <= endMs).length);
