/**
 * Counts the garbage collections during a named workload, and the bytes of heap that each round of it takes, in a
 * process of its own, and prints both as JSON. With a small heap whatever is allocated for each packet, were it 16
 * bytes, makes itself felt many times; the bytes are right where the heap is so large that nothing is collected.
 *
 * node --import tsx --expose-gc --max-semi-space-size=1 test/support/gc-count.ts WORKLOAD COUNT
 */
import { PerformanceObserver, performance } from "node:perf_hooks";
import { setTimeout } from "node:timers/promises";
import hal from "../../hal/node.js";
import type { Socket, SocketHandler } from "../../hal/socket.js";
import type { Client } from "../../src/client.js";
import { createMqtt } from "../../src/client.js";
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
  clientReceivingAtQos0: () => receiveByClient("buffer", `30 49 0009 'sensor/22' ${PAYLOAD}`),
  clientReceivingAtQos1: () => receiveByClient("buffer", `32 4b 0009 'sensor/22' 0007 ${PAYLOAD}`),
  clientReceivingAtQos2: () => receiveByClient("buffer", `34 4b 0009 'sensor/22' 0007 ${PAYLOAD} 62 02 0007`),
  clientReceivingText: () => receiveByClient("string", `30 49 0009 'sensor/22' ${PAYLOAD}`),
  clientReceivingTwoTopics: () =>
    receiveByClient("buffer", `30 49 0009 'sensor/22' ${PAYLOAD} 30 49 0009 'sensor/23' ${PAYLOAD}`),
  clientPublishingAtQos0: () => publishByClient(0, ""),
  clientPublishingAtQos1: () => publishByClient(1, "40 02 0000"),
  clientPublishingAtQos2: () => publishByClient(2, "50 02 0000 70 02 0000"),
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

/** A message's payload, as `wire` reads it. */
const PAYLOAD = `'${"x".repeat(62)}'`;

/** A connection that takes everything, and brings what is handed to it. */
class HandedSocket implements Socket {
  readonly #handler: SocketHandler;
  #bytes: Uint8Array = new Uint8Array(0);
  #at = 0;

  constructor(handler: SocketHandler) {
    this.#handler = handler;
  }

  hand(bytes: Uint8Array): void {
    this.#bytes = bytes;
    this.#at = 0;
    this.#handler.onReadable(bytes.length);
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    for (let i = start; i < end; i++) bytes[i] = this.#bytes[this.#at++];
    return end - start;
  }

  write(): number {
    return 65536;
  }

  close(): void {
    throw new Error("closed");
  }
}

/** A client with Node's HAL but for the connection, which is accepted. Its timer never fires. */
function openClient(format: "string" | "buffer"): { client: Client; socket: HandedSocket } {
  let handler: SocketHandler | undefined;
  let socket: HandedSocket | undefined;
  const { Client } = createMqtt(
    {
      ...hal,
      open(_host, _port, _secure, handlerOfClient) {
        handler = handlerOfClient;
        socket = new HandedSocket(handler);
        return socket;
      },
      createTimer: () => ({ schedule: ignore, clear: ignore }),
    },
    MQTT_3_1_1,
  );
  const client = new Client("c", 60, null, null, 1, { format });
  client.connect("localhost");
  handler!.onWritable(65536);
  socket!.hand(wire("20 02 00 00"));
  return { client, socket: socket! };
}

function receiveByClient(format: "string" | "buffer", notation: string): Workload {
  const { client, socket } = openClient(format);
  let length = 0;
  client.on("message", (_client, topic, data) => {
    length += topic.length + (data as string | Uint8Array).length;
  });
  const bytes = wire(notation);
  return (count) => {
    length = 0;
    for (let i = 0; i < count; i++) socket.hand(bytes);
    if (length < 71 * count) throw new Error(`${count} messages, of ${length} characters and bytes`);
  };
}

/** Publishes as `publish` does, by a client. */
function publishByClient(qos: 0 | 1 | 2, notation: string): Workload {
  const { client, socket } = openClient("buffer");
  const payload = new Uint8Array(64);
  const acks = wire(notation);
  let done = 0;
  // At QoS 0 nobody listens: its outcome waits for a timer.
  if (qos > 0) client.on("puback", () => done++);
  let packetId = 0;
  return (count) => {
    done = 0;
    for (let i = 0; i < count; i++) {
      if (!client.publish("sensor/22", payload, qos)) throw new Error("refused");
      if (qos === 0) continue;
      packetId = (packetId % 65535) + 1;
      for (let at = 2; at < acks.length; at += 4) {
        acks[at] = packetId >> 8;
        acks[at + 1] = packetId;
      }
      socket.hand(acks);
    }
    if (qos > 0 && done !== count) throw new Error(`${done} of ${count} done`);
  };
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
const before = process.memoryUsage().heapUsed;
const startMs = performance.now();
workload(Number(count));
const endMs = performance.now();
const bytes = (process.memoryUsage().heapUsed - before) / Number(count);
await setTimeout(20); // entries come later
const during = collections.filter((timeMs) => timeMs >= startMs && timeMs <= endMs);
console.log(JSON.stringify({ collections: during.length, bytes }));
