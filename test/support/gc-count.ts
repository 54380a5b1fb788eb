/**
 * Counts the garbage collections during a named workload, in a process of its own, and prints the count. Its heap is
 * small, so that whatever is allocated for each packet, were it 16 bytes, makes itself felt many times.
 *
 * node --import tsx --expose-gc --max-semi-space-size=1 test/support/gc-count.ts WORKLOAD COUNT
 */
import { PerformanceObserver, performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import hal from "../../hal/node.js";
import type { DecoderHandler } from "../../src/codec.js";
import { Decoder } from "../../src/decoder.js";
import { Encoder } from "../../src/encoder.js";
import type { ServerDecoderHandler } from "../../src/server-codec.js";
import { ServerDecoder } from "../../src/server-codec.js";
import type { SessionHandler } from "../../src/session.js";
import { Session } from "../../src/session.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { PINGREQ, PUBACK, QOS_1, QOS_2 } from "../../src/wire.js";
import { vectorsFrom } from "../vectors/packets.js";
import { join, wire } from "./bytes.js";
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
    const encoder = new Encoder(hal.createText());
    const out = new Uint8Array(200);
    const payload = new Uint8Array(100);
    return repeat((i) => {
      const packetId = (i % 65535) + 1;
      let at = encoder.publish(out, 0, out.length, QOS_1, packetId, "fenêtre/température", payload);
      at = encoder.short(out, at, out.length, PUBACK, packetId);
      encoder.short(out, at, out.length, PINGREQ, 0);
    });
  },
  receivingAtQos0: () => receive("30 10 0009 'sensor/22' '21.50'"),
  receivingAtQos1: () => receive("32 12 0009 'sensor/22' 0007 '21.50'"),
  receivingAtQos2: () => receive("34 12 0009 'sensor/22' 0007 '21.50' 62 02 0007"),
  publishingAtQos0: () => publish(0, ""),
  publishingAtQos1: () => publish(QOS_1, "40 02 0000"),
  publishingAtQos2: () => publish(QOS_2, "50 02 0000 70 02 0000"),
  pinging: () => {
    const session = openSession();
    const pingresp = wire("d0 00");
    let nowMs = 0;
    return repeat(() => {
      nowMs += 1000;
      session.tick(nowMs);
      if (flush(session, nowMs) > 0) session.receive(pingresp, 0, 2, nowMs);
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

/** Strings are the application's business: they are what a message is handed over as. */
const text = {
  encode: (string: string, bytes: Uint8Array, offset: number, end: number): number =>
    offset + string.length > end ? -1 : offset + string.length,
  decode: (): string => "sensor/22",
};

/** A session that a broker has accepted. Nothing that it told or has to send is left. */
function openSession(): Session {
  const session = new Session(sessionHandler, MQTT_3_1_1, text, new Uint8Array(256), {
    cleanSession: false,
    queueOffline: false,
    keepAliveSeconds: 60,
    maxInflight: 16,
    ackTimeoutMs: 120000,
    drainTimeoutMs: 2000,
    txCapacity: 1024,
    maxOperations: 16,
    receiveMaximum: 16,
  });
  const rest = { will: undefined, username: undefined, password: undefined };
  session.setConnect({ clientId: "c", cleanSession: false, keepAliveSeconds: 60, ...rest }, 100);
  session.connect(0);
  flush(session, 0);
  session.receive(wire("20 02 00 00"), 0, 4, 0);
  return session;
}

/** Everything that is to be sent leaves. Returns how many bytes that were. */
function flush(session: Session, nowMs: number): number {
  let count = 0;
  for (let pending = session.pending(Infinity); pending > 0; pending = session.pending(Infinity)) {
    session.sent(pending, nowMs);
    count += pending;
  }
  return count;
}

/** Receives the packets again and again, in two parts, and lets the answers leave. */
function receive(notation: string): Workload {
  const session = openSession();
  const bytes = wire(notation);
  return repeat((i) => {
    const part = i % bytes.length;
    session.receive(bytes, 0, part, 0);
    session.receive(bytes, part, bytes.length, 0);
    flush(session, 0);
  });
}

/** Publishes again and again; `acks` come with the packet ids put in. */
function publish(flags: number, notation: string): Workload {
  const session = openSession();
  const payload = new Uint8Array(100);
  const acks = wire(notation);
  return repeat(() => {
    const packetId = session.publish("sensor/22", payload, flags);
    if (packetId < 0) throw new Error("refused");
    flush(session, 0);
    for (let at = 2; at < acks.length; at += 4) {
      acks[at] = packetId >> 8;
      acks[at + 1] = packetId;
    }
    session.receive(acks, 0, acks.length, 0);
    flush(session, 0);
    if (session.outbox.doneType < 0) throw new Error("not done");
    session.outbox.dropDone();
  });
}

const ignore = (): void => undefined;
const sessionHandler: SessionHandler = {
  onConnect: ignore,
  onEnd: (reason) => {
    throw new Error(`ended with ${reason}`);
  },
  onMessage: ignore,
  onWhole: ignore,
  onPayload: ignore,
  onDone: ignore,
};
const handler: DecoderHandler & ServerDecoderHandler = {
  onPublish: ignore,
  onWhole: ignore,
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
