/**
 * What budget.ts has the XS engine do: a client, connected and subscribed, on a platform that does nothing but hand
 * bytes over. Text is converted as on a board, by `TextEncoder` into a view and by `TextDecoder` from one.
 */
import { createEcma419Hal } from "../hal/ecma419.js";
import type { Hal, SocketHandler, Text } from "../hal/socket.js";
import type { Client } from "../src/face.js";
import type * as Face from "../src/face.js";
import type * as AcknowledgeModule from "../src/optional/acknowledge.js";
import type * as OutcomesModule from "../src/optional/outcomes.js";
import type * as PingModule from "../src/optional/ping.js";
import type * as QueueModule from "../src/optional/queue.js";
import type * as ReconnectModule from "../src/optional/reconnect.js";
import type * as RetryModule from "../src/optional/retry.js";
import type * as SnapshotModule from "../src/optional/snapshot.js";
import type * as StreamsModule from "../src/optional/streams.js";
import type * as SubscriptionsModule from "../src/optional/subscriptions.js";
import type * as TimesModule from "../src/optional/times.js";
import type * as Face5 from "../src/v5/face.js";

type Board = typeof Face &
  typeof Face5 &
  typeof AcknowledgeModule &
  typeof OutcomesModule &
  typeof PingModule &
  typeof QueueModule &
  typeof ReconnectModule &
  typeof RetryModule &
  typeof SnapshotModule &
  typeof StreamsModule &
  typeof SubscriptionsModule &
  typeof TimesModule;
type Added = OutcomesModule.Outcomes & SnapshotModule.Snapshotting & StreamsModule.Streams;

/** What the board's files export: see `boardScript` in budget.ts. */
declare const board: Board;
declare const issueCommand: (request: ArrayBuffer) => ArrayBuffer;

const scope = globalThis as unknown as Record<string, unknown>;
const LONG_TOPIC = "sensors/kitchen/temperature/main1";
const OTHER_TOPIC = "switches/garden/fountain/pump/one";
const TEXT = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const BYTES = new TextEncoder().encode(TEXT);
const CONNACK = new Uint8Array([0x20, 2, 0, 0]);
const SUBACK = new Uint8Array([0x90, 3, 0, 1, 0]);
/** The same in MQTT 5. */
const CONNACK_5 = new Uint8Array([0x20, 3, 0, 0, 0]);
const SUBACK_5 = new Uint8Array([0x90, 4, 0, 1, 0, 0]);
/** Payload format indicator, message expiry interval, and content type "text/plain". */
const PROPERTIES = [1, 1, 2, 0, 0, 0, 60, 3, 0, 10, 0x74, 0x65, 0x78, 0x74, 0x2f, 0x70, 0x6c, 0x61, 0x69, 0x6e];
/** More than is ever written, so that it need not be announced again. */
const ROOM = 1 << 24;
const CAPACITIES = { rxCapacity: 1024, txCapacity: 1024, maxOperations: 16, receiveMaximum: 16 };

/** The other end of the one connection, and of its timer. */
const peer = {
  received: CONNACK as Uint8Array,
  writes: 0,
  onWritable: (_count: number): void => undefined,
  onReadable: (_count: number): void => undefined,
  onTimer: (): void => undefined,
  /** What fires at the end of the turn. */
  due: undefined as (() => void) | undefined,

  receive(bytes: Uint8Array): void {
    this.received = bytes;
    this.onReadable(bytes.length);
  },

  /** The end of a turn. */
  turn(): void {
    const due = this.due;
    this.due = undefined;
    if (due !== undefined) due();
  },
};

/** What the clients have given to `bare`, which keeps no object for a client. */
const timers: (() => void)[] = [];
/** The client that is being made has its timer: those that come are of what is added to it, and have nothing to do. */
let hasTimer = false;
const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const encoder = new TextEncoder();

const text = {
  encode(string: string, bytes: Uint8Array, offset: number, end: number): number {
    const done = encoder.encodeInto(string, bytes.subarray(offset, end));
    return done.read === string.length ? offset + done.written : -1;
  },
  decode: (bytes: Uint8Array, start: number, end: number): string => decoder.decode(bytes.subarray(start, end)),
} as Text;

const socket = {
  read(bytes: Uint8Array, start: number, end: number): number {
    bytes.set(peer.received, start);
    return end - start;
  },
  write(): number {
    peer.writes++;
    return ROOM;
  },
  close: ignore,
};

const timer = {
  schedule(delayMs: number): void {
    peer.due = delayMs === 0 ? peer.onTimer : undefined;
  },
  clear: ignore,
};

const otherTimer = { schedule: ignore, clear: ignore };

/** As little of a platform as there can be, so that what is measured is the client. */
const bare: Hal = {
  defaults: CAPACITIES,
  open(_host: string, _port: number, _secure: object | undefined, handler: SocketHandler) {
    peer.onReadable = (count) => handler.onReadable(count);
    peer.onWritable = (count) => handler.onWritable(count);
    return socket;
  },
  checkSecure: ignore,
  createTimer(onTimer: () => void) {
    timers.push(onTimer);
    if (hasTimer) return otherTimer;
    hasTimer = true;
    peer.onTimer = onTimer;
    return timer;
  },
  createText: () => text,
  now: () => 0,
  uncaught(error: unknown) {
    throw error;
  },
  generateId: () => "1",
};

/** A connection of a board. */
class Tcp {
  constructor(options: typeof peer) {
    peer.onReadable = options.onReadable;
    peer.onWritable = options.onWritable;
  }

  read(bytes: Uint8Array): void {
    bytes.set(peer.received);
  }

  write(): number {
    peer.writes++;
    return ROOM;
  }

  close(): void {
    // Nothing is kept.
  }
}

/** What a board's firmware has: the adapter on a connection and a timer that cost nothing. */
const adapted: Hal = createEcma419Hal({
  tcp: { socket: { io: Tcp } },
  tls: undefined,
  timers: {
    set(callback: () => void) {
      peer.due = callback;
      return callback;
    },
    repeat: (callback: () => void) => callback,
    schedule(callback: () => void, delayMs?: number) {
      if (delayMs === 1) peer.due = callback;
      else if (peer.due === callback) peer.due = undefined;
    },
    clear: ignore,
  },
  TextEncoder,
  TextDecoder,
  now: () => 0,
  generateId: () => "1",
  defaults: CAPACITIES,
  openDelayMs: 0,
  drainMs: 0,
});

function ignore(): void {
  // What an application does is its own affair.
}

/** The clients speak MQTT 5, and what they receive has these properties. */
let properties: number[] | undefined;

scope["speak5"] = (hasProperties: boolean): void => {
  properties = hasProperties ? PROPERTIES : [];
};

function publishPacket(topic: string, first: number, count: number): Uint8Array {
  const head = [first, 0, topic.length >> 8, topic.length & 255];
  for (let i = 0; i < topic.length; i++) head.push(topic.charCodeAt(i));
  if ((first & 6) !== 0) head.push(0, 7);
  if (properties !== undefined) head.push(properties.length, ...properties);
  head[1] = head.length - 2 + BYTES.length;
  const length = head.length + BYTES.length;
  const packets = new Uint8Array(count * length);
  for (let i = 0; i < count; i++) {
    packets.set(head, i * length);
    packets.set(BYTES, i * length + head.length);
  }
  return packets;
}

let client: Client & Added;
/** Every client made, so that one more is all that is added. */
const clients: Client[] = [];
/** Acknowledgements from the broker, whose packet id is set for each. */
const ack = new Uint8Array([0x40, 2, 0, 0]);
let packetId = 1;

function acknowledge(first: number, id: number): void {
  ack[0] = first;
  ack[2] = id >> 8;
  ack[3] = id & 255;
  peer.receive(ack);
}

scope["kept"] = [clients, timers];

function makeClient(hal: Hal, format: "string" | "buffer", modules: string): Client & Added {
  const mqtt = properties === undefined ? board.createMqtt(hal, board.MQTT_3_1_1) : board.createMqtt5(hal);
  hasTimer = false;
  const made: Client = mqtt.Client("sensor", 60, null, null, 0, { maxMessageLength: 256, format });
  if (modules.includes("outcomes")) board.withOutcomes(made);
  if (modules.includes("queue")) board.withQueuePolicy(made, { dropPolicy: "drop-oldest" });
  if (modules.includes("snapshot")) board.withSnapshot(made);
  if (modules.includes("streams")) board.withStreams(made);
  if (modules.includes("acknowledge")) board.withAcknowledge(made, { autoAck: false });
  if (modules.includes("retry")) board.withRetry(made, { retryIntervalMs: 20000 });
  if (modules.includes("ping")) board.withPing(made);
  if (modules.includes("times")) board.withTimes(made, { connack: 1 });
  if (modules.includes("subscriptions")) board.withSubscriptions(made, { maxSubscriptions: 8 });
  if (modules.includes("reconnect")) board.withReconnect(made, { maxSubscriptions: 8 });
  return made as Client & Added;
}

/**
 * Makes the client that everything below measures.
 *
 * @param modules names of those that add to it
 */
scope["start"] = (isAdapted: boolean, format: "string" | "buffer", modules = ""): void => {
  client = makeClient(isAdapted ? adapted : bare, format, modules);
  clients.push(client);
  packetId = 1;
  client.connect("192.168.0.1");
  peer.turn();
  peer.onWritable(ROOM);
  peer.receive(properties === undefined ? CONNACK : CONNACK_5);
  client.on("message", ignore);
  client.subscribe("a/b", 0);
  peer.turn();
  peer.receive(properties === undefined ? SUBACK : SUBACK_5);
};

scope["receive"] = (rounds: number, topicLength: number, qos: number, perRead: number, isInTurn: boolean): void => {
  const packets = publishPacket(LONG_TOPIC.substring(0, topicLength), 0x30 | (qos << 1), perRead);
  const others = isInTurn ? publishPacket(OTHER_TOPIC.substring(0, topicLength), 0x30 | (qos << 1), perRead) : packets;
  for (let i = 0; i < rounds; i++) {
    peer.receive((i & 1) === 0 ? packets : others);
    if (qos === 2) acknowledge(0x62, 7);
  }
};

scope["publish"] = (rounds: number, isText: boolean, qos: 0 | 1 | 2, isTurning: boolean): void => {
  const payload = isText ? TEXT : BYTES;
  for (let i = 0; i < rounds; i++) {
    if (!client.publish(LONG_TOPIC, payload, qos)) throw new Error("not queued");
    if (qos > 0) {
      packetId = packetId === 65535 ? 1 : packetId + 1;
      if (qos === 2) acknowledge(0x50, packetId);
      acknowledge(qos === 1 ? 0x40 : 0x70, packetId);
    }
    if (isTurning) peer.turn();
  }
};

function acknowledgeNext(): void {
  packetId = packetId === 65535 ? 1 : packetId + 1;
  acknowledge(0x40, packetId);
}

scope["publishForOutcome"] = (rounds: number): void => {
  for (let i = 0; i < rounds; i++) {
    client.publish(LONG_TOPIC, BYTES, 1);
    client.outcome(ignore);
    acknowledgeNext();
    peer.turn();
  }
};

const source = {
  byteLength: 1024,
  read(offset: number, bytes: Uint8Array, start: number, end: number): number {
    bytes.fill(offset, start, end);
    return end - start;
  },
};

scope["publishFrom"] = (rounds: number): void => {
  for (let i = 0; i < rounds; i++) {
    client.publishFrom(LONG_TOPIC, source, 1);
    acknowledgeNext();
    peer.turn();
  }
};

const snapshot = new Uint8Array(1024);

/** Leaves messages in the queue, so that there is something to be kept. */
scope["queue"] = (count: number): void => {
  for (let i = 0; i < count; i++) client.publish(LONG_TOPIC, BYTES, 1);
};

scope["snapshot"] = (rounds: number): void => {
  for (let i = 0; i < rounds; i++) client.snapshot(snapshot);
};

/** Each into a client of its own, for which it need not be done (`isReal` false). */
scope["restore"] = (rounds: number, isReal: boolean): void => {
  for (let i = 0; i < rounds; i++) {
    const made = makeClient(bare, "buffer", "snapshot");
    if (isReal && made.restore(snapshot) <= 0) throw new Error("not restored");
  }
};

/** What the measurement itself costs: the same loops around a client that does nothing. */
scope["idle"] = (): void => {
  const bytes = new Uint8Array(1024);
  peer.onReadable = (count) => {
    socket.read(bytes, 0, count);
  };
  client = {
    publish(): boolean {
      socket.write();
      return true;
    },
    publishFrom(): boolean {
      // As it is with the buffer that a client has by default: what precedes the payload, and two pieces.
      for (let piece = 0; piece < 3; piece++) {
        if (piece > 0) source.read(0, bytes, 0, 512);
        socket.write();
      }
      return true;
    },
    outcome: ignore,
    snapshot: ignore,
  } as unknown as Client & Added;
};

/** Tells how often the socket was written to since the last call. */
scope["tell"] = (): void => {
  issueCommand(new Uint32Array([peer.writes]).buffer);
  peer.writes = 0;
};
