/**
 * A session on the bench: the test plays broker, network and clock. Packets are written as lines, both ways, e.g.
 * `PUBLISH q1 #7 dup t=x` or `SUBACK #1 0,128`; what the session tells its handler becomes lines too.
 *
 * Whatever must hold of every call is checked here, and throws: bytes to be sent lie within their array, the handler
 * hears nothing outside `receive`, `sent` and `tick`, and nothing once the connection is over.
 */
import hal from "../../hal/node.js";
import { headerLength } from "../../src/encoder.js";
import { ServerDecoder, ServerEncoder } from "../../src/server-codec.js";
import type { SessionHandler, SessionOptions } from "../../src/session.js";
import { Session } from "../../src/session.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { DUP, PUBACK, PUBCOMP, RETAIN, SUBACK, UNSUBACK } from "../../src/wire.js";
import { join } from "./bytes.js";
import { Recorder } from "./feed.js";
import type { Received } from "./feed.js";
import type { Packet, Publish } from "./packets.js";
import { write } from "./packets.js";
import { SLOWNESS } from "./slowness.js";

const server = new ServerEncoder(hal.createText());

/** A packet as a line. Payloads of one character, repeated, are written `x*300`. */
export function show(packet: Received): string {
  const { type } = packet;
  switch (type) {
    case "CONNECT":
      return `CONNECT ${packet.clientId}`;
    case "CONNACK":
      return `CONNACK${packet.sessionPresent ? " present" : packet.returnCode === 0 ? "" : ` ${packet.returnCode}`}`;
    case "PUBLISH": {
      const { qos, packetId, dup, retain, topicName, payload } = packet;
      const flags = (dup ? " dup" : "") + (retain ? " retain" : "");
      const isLong = payload.length > 8 && payload === payload[0].repeat(payload.length);
      const text = isLong ? `${payload[0]}*${payload.length}` : payload;
      return `PUBLISH q${qos}${packetId === 0 ? "" : ` #${packetId}`}${flags} ${topicName ?? ""}=${text}`;
    }
    case "SUBSCRIBE":
      return `SUBSCRIBE #${packet.packetId} ${packet.filters.map(([filter, qos]) => `${filter}:${qos}`).join(" ")}`;
    case "UNSUBSCRIBE":
      return `UNSUBSCRIBE #${packet.packetId} ${packet.filters.join(" ")}`;
    case "SUBACK":
      return `SUBACK #${packet.packetId} ${packet.returnCodes.join(",")}`;
    case "PINGREQ":
    case "PINGRESP":
    case "DISCONNECT":
    case "unsupported level":
      return type;
    default:
      return `${type} #${packet.packetId}`;
  }
}

/** The packet of a line that `show` would write, as far as brokers send it. */
export function parse(line: string): Packet {
  const [type, ...rest] = line.split(" ");
  const packetId = Number(rest.find((part) => part.startsWith("#"))?.slice(1) ?? 0);
  switch (type) {
    case "CONNACK":
      return { type, sessionPresent: rest[0] === "present", returnCode: Number(rest[0] ?? 0) || 0 };
    case "PUBLISH": {
      const [topicName, text] = rest[rest.length - 1].split("=");
      const [, character, count] = /^(.)\*(\d+)$/.exec(text) ?? [];
      const payload = character === undefined ? text : character.repeat(Number(count));
      const qos = Number(rest[0][1]);
      return { type, dup: rest.includes("dup"), qos, retain: rest.includes("retain"), packetId, topicName, payload };
    }
    case "SUBACK":
      return { type, packetId, returnCodes: rest[1].split(",").map(Number) };
    case "PINGRESP":
      return { type };
    case "PUBACK":
    case "PUBREC":
    case "PUBREL":
    case "PUBCOMP":
    case "UNSUBACK":
      return { type, packetId };
    default:
      throw new Error(`A broker does not send "${line}"`);
  }
}

/** The bytes of packets that a broker sends. */
export function bytesOf(...lines: string[]): Uint8Array {
  return join(...lines.map(bytesOfLine));
}

const out = new Uint8Array(4096);

function bytesOfLine(line: string): Uint8Array {
  const end = write(server, parse(line), out, 0, out.length);
  if (end < 0) throw new Error(`No room for "${line}"`);
  return out.slice(0, end);
}

/** Puts the packets of a client together, from bytes cut anywhere. Throws what is malformed. */
export class Tap {
  private readonly scratch = new Uint8Array(4096);
  private readonly recorder = new Recorder(this.scratch);
  private readonly decoder = new ServerDecoder(this.recorder, this.scratch);
  private taken = 0;

  /** True when a packet has begun and not ended. */
  isMidPacket(): boolean {
    return this.decoder.isMidPacket();
  }

  /** The packets that became whole. */
  push(bytes: Uint8Array): Packet[] {
    this.recorder.lend(bytes, 0, bytes.length);
    const at = this.decoder.push(bytes, 0, bytes.length);
    if (at !== bytes.length) throw new Error(`The session sent a malformed packet: ${at}`);
    const { packets } = this.recorder;
    const from = this.taken;
    while (this.taken < packets.length && isWhole(packets[this.taken])) this.taken++;
    return packets.slice(from, this.taken) as Packet[];
  }
}

function isWhole(packet: Received): boolean {
  return !("packetLength" in packet) || lengthOf(packet, packet.payload.length) === packet.packetLength;
}

/** Bytes of a PUBLISH with so many bytes of payload, written as short as can be. */
function lengthOf(packet: Publish, payloadLength: number): number {
  const length = 2 + Buffer.byteLength(packet.topicName ?? "") + (packet.packetId === 0 ? 0 : 2) + payloadLength;
  return headerLength(length) + length;
}

/** A way to tell the time: where it begins, and how it is cut to 32 bits. */
export type ClockStart = [title: string, startMs: number, cut: (ms: number) => number];

const SIGNED = (ms: number): number => ms | 0;
const UNSIGNED = (ms: number): number => ms >>> 0;

/** Clocks on which everything that depends on time is tried. */
export const CLOCKS: ClockStart[] = [
  ["from 0", 0, (ms) => ms],
  ["from 2^31 - 1000, signed", 2 ** 31 - 1000, SIGNED],
  ["from 2^31 - 1000, unsigned", 2 ** 31 - 1000, UNSIGNED],
  ["from 2^32 - 1000, signed", 2 ** 32 - 1000, SIGNED],
  ["from 2^32 - 1000, unsigned", 2 ** 32 - 1000, UNSIGNED],
];

/** What a harness is made of; the session's options have defaults. */
export interface Settings extends Partial<SessionOptions> {
  clock?: ClockStart;
  /** Bytes of the receive buffer. Default: 1024. */
  rxCapacity?: number;
}

const NAMES: Record<number, string> = {
  0: "q0",
  [PUBACK]: "PUBACK",
  [PUBCOMP]: "PUBCOMP",
  [SUBACK]: "SUBACK",
  [UNSUBACK]: "UNSUBACK",
};

const DEFAULTS: SessionOptions = {
  cleanSession: true,
  queueOffline: false,
  keepAliveSeconds: 60,
  maxInflight: 16,
  ackTimeoutMs: 120000,
  drainTimeoutMs: 2000,
  txCapacity: 1024,
  maxOperations: 16,
  receiveMaximum: 16,
};

/**
 * One session and its surroundings.
 *
 * @example
 * const h = Harness.up();
 * h.session.publish("t", "x", QOS_1);
 * expect(h.flush()).toEqual(["PUBLISH q1 #1 t=x"]);
 * h.receive("PUBACK #1");
 * expect(h.events).toEqual(["done PUBACK"]);
 */
export class Harness implements SessionHandler {
  readonly session: Session;
  readonly options: SessionOptions;
  /** What the session told, and operations that ended: `connect`, `message q0 t=x`, `done PUBACK`, `end -11`. */
  events: string[] = [];
  /** Every packet that was sent, and when. */
  log: { atMs: number; line: string }[] = [];
  /** Milliseconds since the clock started. */
  elapsedMs = 0;
  /** From `connect` to the end. */
  isConnected = false;
  /** Bytes from the broker that the session has not taken yet. */
  waiting: Uint8Array = new Uint8Array(0);
  /** At most so many bytes are received at a time. */
  chunkSize = Infinity;
  /** Operations that ended are not taken: their number stays. */
  keepsDone = false;
  /** Called inside `onConnect`, `onMessage`, behind the last part of a payload, and inside `onEnd`. */
  whenConnected: () => void = () => undefined;
  whenMessageBegins: () => void = () => undefined;
  whenMessage: () => void = () => undefined;
  whenEnd: () => void = () => undefined;
  readonly rx: Uint8Array;
  private readonly clock: ClockStart;
  private tap = new Tap();
  private message: Publish | undefined;
  private owed = 0;
  /** Calls of the session that may tell the handler something. */
  private depth = 0;

  constructor(settings: Settings = {}) {
    const { clock = CLOCKS[0], rxCapacity = 1024, ...options } = settings;
    this.options = { ...DEFAULTS, ...options };
    this.clock = clock;
    this.rx = new Uint8Array(rxCapacity);
    this.session = new Session(this, MQTT_3_1_1, hal.createText(), this.rx, this.options);
    this.name("me");
  }

  /** A harness whose session was accepted by the broker. */
  static up(settings: Settings = {}): Harness {
    const harness = new Harness(settings);
    harness.open();
    harness.events = [];
    return harness;
  }

  /** Has the next CONNECT say this client identifier. */
  name(clientId: string): number {
    const { cleanSession, keepAliveSeconds } = this.options;
    const rest = { will: undefined, username: undefined, password: undefined };
    return this.session.setConnect({ clientId, cleanSession, keepAliveSeconds, ...rest }, 200);
  }

  /** The time, as the session is told it. */
  now(): number {
    return this.clock[2](this.clock[1] + this.elapsedMs);
  }

  /** The network connection is up. */
  connect(): void {
    this.isConnected = true;
    this.tap = new Tap();
    this.waiting = new Uint8Array(0);
    this.session.connect(this.now());
  }

  /** Connects and is accepted. What the session has to send behind CONNECT is not sent yet. */
  open(connack: "CONNACK" | "CONNACK present" = "CONNACK"): void {
    this.connect();
    this.flush();
    this.receive(connack);
  }

  /** The network connection is lost. */
  lose(): void {
    this.isConnected = false;
    this.message = undefined;
    this.session.lost();
  }

  /** Loses the connection, and is accepted again: by a broker that has the session, or by one that has not. */
  reopen(connack: "CONNACK" | "CONNACK present"): void {
    this.lose();
    this.open(connack);
  }

  /** Lets up to `room` bytes leave, at most `piece` at a time, and returns the packets that became whole. */
  flush(room = Infinity, piece = Infinity): string[] {
    const { session } = this;
    const lines: string[] = [];
    let left = room;
    while (left > 0 && this.isConnected) {
      const pending = session.pending(Infinity);
      if (pending === 0) break;
      const { out, outStart } = session;
      if (!(pending > 0 && outStart >= 0 && outStart + pending <= out.length)) {
        throw new Error(`${pending} bytes from ${outStart} on are to be sent of ${out.length}`);
      }
      const count = Math.min(pending, left, piece);
      const bytes = out.slice(outStart, outStart + count);
      this.inside(() => {
        session.sent(count, this.now());
      });
      left -= count;
      for (const packet of this.tap.push(bytes)) lines.push(show(packet));
      if (this.depth > 0) continue;
      this.takeDone();
      this.read();
    }
    for (const line of lines) this.log.push({ atMs: this.elapsedMs, line });
    return lines;
  }

  /** Lets everything leave byte by byte, and returns how many they were. */
  flushBytes(): number {
    let count = 0;
    for (; this.session.pending(Infinity) > 0; count++) this.flush(1);
    return count;
  }

  /** True while a packet has left in part. */
  isMidPacket(): boolean {
    return this.tap.isMidPacket();
  }

  /** The broker sends packets. */
  receive(...lines: string[]): void {
    this.feed(bytesOf(...lines));
  }

  /** The broker sends bytes. */
  feed(bytes: Uint8Array): void {
    this.waiting = join(this.waiting, bytes);
    this.read();
  }

  /** It gets later; timers fire when due, or `lateMs` later, and what is to be sent leaves unless `isStuck`. */
  advance(ms: number, { lateMs = 0, isStuck = false } = {}): string[] {
    const lines: string[] = [];
    const untilMs = this.elapsedMs + ms;
    for (let rounds = 0; this.isConnected; rounds++) {
      if (rounds > 10000) throw new Error("The deadline stays in the past");
      const dueMs = Math.max(this.elapsedMs, this.deadline() + lateMs);
      if (dueMs > untilMs) break;
      this.elapsedMs = dueMs;
      this.tick();
      if (!isStuck) lines.push(...this.flush());
    }
    this.elapsedMs = untilMs;
    return lines;
  }

  tick(): void {
    this.inside(() => {
      this.session.tick(this.now());
    });
  }

  /** The deadline on the scale of `elapsedMs`. */
  deadline(): number {
    return this.elapsedMs + ((this.session.deadlineMs - this.now()) | 0);
  }

  /** The events so far, which are forgotten. */
  takeEvents(): string[] {
    return this.events.splice(0);
  }

  onConnect(sessionPresent: boolean): void {
    this.tell(sessionPresent ? "connect present" : "connect");
    this.whenConnected();
  }

  onEnd(reason: number): void {
    this.tell(`end ${reason}`);
    this.isConnected = false;
    this.message = undefined;
    this.whenEnd();
  }

  onMessage(topicName: string, flags: number, packetId: number, payloadLength: number, packetLength: number): void {
    if (this.message !== undefined) throw new Error("A message begins inside of another one");
    const qos = (flags >> 1) & 3;
    const dup = (flags & DUP) !== 0;
    this.message = { type: "PUBLISH", dup, qos, retain: (flags & RETAIN) !== 0, packetId, topicName, payload: "" };
    this.owed = payloadLength;
    if (topicName !== "") {
      const length = lengthOf(this.message, payloadLength);
      // The length may be written with zeros in front: 3.1.1 does not say that it must be as short as can be.
      if (packetLength < length || packetLength > length + 3) {
        throw new Error(`A packet of ${length} bytes is told to have ${packetLength}`);
      }
    }
    this.check("onMessage");
    this.whenMessageBegins();
  }

  onWhole(
    topic: string,
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    packetLength: number,
  ): void {
    this.onMessage(topic, flags, packetId, end - start, packetLength);
    this.onPayload(bytes, start, end, 0);
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    const { message } = this;
    this.check("onPayload");
    if (message === undefined) throw new Error("A payload without a message");
    if (start < 0 || start > end || end > bytes.length) throw new Error(`A payload at [${start}, ${end})`);
    message.payload += Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
    this.owed -= end - start;
    if (owed !== this.owed) throw new Error(`${owed} bytes owed instead of ${this.owed}`);
    if (owed > 0) return;
    this.message = undefined;
    this.tell(show(message).replace("PUBLISH", "message"));
    this.whenMessage();
  }

  onDone(): void {
    this.check("onDone");
    this.takeDone();
  }

  /** Takes the operations that ended. Happens when the session tells of them, and behind all that leaves. */
  takeDone(): void {
    const { session } = this;
    for (let type = session.outbox.doneType; type >= 0 && !this.keepsDone; type = session.outbox.doneType) {
      const granted = type === SUBACK ? ` ${session.grantedCodes().join(",")}` : "";
      session.outbox.dropDone();
      this.events.push(`done ${NAMES[type] ?? `of type ${type}`}${granted}`);
    }
  }

  /** Hands bytes over as a connection does: behind what has gathered in the receive buffer. */
  private read(): void {
    const { rx, session } = this;
    while (this.waiting.length > 0 && this.isConnected) {
      const start = session.filled();
      const end = start + Math.min(this.waiting.length, rx.length - start, this.chunkSize);
      rx.set(this.waiting.subarray(0, end - start), start);
      const at = this.inside(() => session.receive(rx, start, end, this.now()));
      if (at < start || at > end) throw new Error(`receive(${start}, ${end}) returned ${at}`);
      if (!this.isConnected) break;
      this.waiting = this.waiting.slice(at - start);
      if (at < end && session.isHeld()) return;
      if (at === start) throw new Error("Nothing is read, though nothing holds it");
    }
  }

  private inside<T>(call: () => T): T {
    this.depth++;
    try {
      return call();
    } finally {
      this.depth--;
    }
  }

  private tell(line: string): void {
    this.check(line);
    this.events.push(line);
  }

  private check(what: string): void {
    if (this.depth === 0) throw new Error(`"${what}" is told in a call that tells nothing`);
    if (!this.isConnected) throw new Error(`"${what}" is told without a connection`);
  }
}

/** Numbers that look random and are the same for the same seed. */
export interface Random {
  /** 0 to `limit` - 1. */
  below(limit: number): number;
  pick<T>(choices: readonly T[]): T;
}

/** Mulberry32. */
export function seeded(seed: number): Random {
  let state = seed;
  const below = (limit: number): number => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % limit;
  };
  return { below, pick: (choices) => choices[below(choices.length)] };
}

/** Tries the seeds 1 to `count`, or as many as the engine has time for. The first that fails is named in the error. */
export function repeat(count: number, run: (seed: number) => void): void {
  for (let seed = 1; seed <= Math.ceil(count / SLOWNESS); seed++) {
    try {
      run(seed);
    } catch (error) {
      throw new Error(`Seed ${seed}: ${(error as Error).message}`, { cause: error });
    }
  }
}
