/**
 * A client on a mock platform, watched at every call and callback, and the broker at the other end of its sockets.
 *
 * Whatever must hold in every test is checked behind each of them, for every device that was made: no callback ran
 * inside a call of the client or inside another callback, each got the client first, the client wrote nothing but
 * packets, no socket was left open beside the last one, and no error surfaced that the test did not take.
 */
import { afterEach, expect } from "@jest/globals";
import type { MockHalOptions, MockSocket } from "../../hal/mock.js";
import { MockHal } from "../../hal/mock.js";
import type { Client, ClientConstructor, ClientOptions, Mqtt } from "../../src/client.js";
import { createMqtt } from "../../src/client.js";
import type { StreamDecoder } from "../../src/codec.js";
import type { ServerDecoderHandler } from "../../src/server-codec.js";
import {
  CLIENT_ID,
  PASSWORD,
  ServerDecoder,
  ServerEncoder,
  USERNAME,
  WILL_MESSAGE,
  WILL_TOPIC,
} from "../../src/server-codec.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { hex, join } from "./bytes.js";
import type { Ack, Packet, Publish } from "./packets.js";
import { TYPES, write } from "./packets.js";

/** The arguments of `mqtt.Client`. */
export type ClientArguments = Parameters<ClientConstructor>;
/** A callback or an argument of one, whatever it is. */
type Callback = (...values: unknown[]) => unknown;

export type EventName =
  | "connect" | "connfail" | "offline" | "message" | "overflow" | "puback" | "suback" | "unsuback";
export const EVENTS: EventName[] = [
  "connect", "connfail", "offline", "message", "overflow", "puback", "suback", "unsuback",
];
const METHODS = [
  "connect", "close", "abort", "lwt", "on", "publish", "subscribe", "unsubscribe", "drain", "pause", "resume",
  // Of the optional modules.
  "outcome", "expire", "onState", "onRenewal",
];

/** Those that are still to be checked. */
const devices = new Set<{ check(): void }>();

afterEach(() => {
  for (const device of devices) device.check();
});

/** How a device is made, where it is to differ from a client "id" with keepalive 60 and a clean session. */
export interface DeviceOptions<C extends Client = Client> {
  /** Arguments of `mqtt.Client`. */
  args?: ClientArguments;
  /** Its last argument. */
  options?: number | ClientOptions;
  /** 0: a session that outlives connections. */
  cleansession?: 0 | 1;
  keepalive?: number;
  hal?: MockHalOptions;
  /** False: no callback is registered. */
  listens?: boolean;
  /** What optional modules add to the client, before it is used. */
  extend?: (client: C) => C;
  /** Bytes of the longest CONNECT, SUBSCRIBE or UNSUBSCRIBE that the broker takes. Default: 4096. */
  brokerCapacity?: number;
}

/** What makes clients on a platform. */
interface Maker<C extends Client> {
  Client: (...args: ClientArguments) => C;
}

/** One client and its surroundings, whatever version of MQTT it speaks, in packets `P`. */
export abstract class AnyDevice<M extends Maker<C>, C extends Client, P extends { type: string }> {
  readonly hal: MockHal;
  readonly mqtt: M;
  readonly client: C;
  /** The callbacks that came and were not taken, one line each, as `describeCallback` has it. */
  events: string[] = [];
  /** What an application does in its callbacks, behind the recording. */
  readonly during: Partial<Record<EventName, Callback>> = {};
  /** What must not be. */
  readonly violations: string[] = [];
  /** Names of the calls that are under way. */
  private readonly calls: string[] = [];
  /** Callbacks that are under way. */
  private depth = 0;
  private readonly brokers = new Map<MockSocket, AnyBroker<P>>();
  private readonly brokerCapacity: number;

  constructor(options: DeviceOptions<C>, events: string[], create: (hal: MockHal) => M) {
    const { args, cleansession = 1, keepalive = 60, listens = true, extend } = options;
    this.brokerCapacity = options.brokerCapacity ?? 4096;
    this.hal = new MockHal(options.hal);
    this.mqtt = create(this.hal);
    const byDefault: ClientArguments = ["id", keepalive, null, null, cleansession, options.options];
    const client = this.mqtt.Client(...(args ?? byDefault));
    this.client = this.watch(extend === undefined ? client : extend(client));
    if (listens) this.listen(...events as EventName[]);
    devices.add(this);
  }

  protected abstract createBroker(socket: MockSocket, capacity: number): AnyBroker<P>;

  /** The CONNACK of a broker that accepts. */
  protected abstract accepting(isPresent: boolean): P;

  /** A callback as one line; its arguments are those behind the client. */
  protected abstract describe(name: string, values: unknown[]): string;

  /** Records callbacks. */
  listen(...names: EventName[]): void {
    for (const name of names) this.client.on(name, this.recorder(name));
  }

  /** A callback that is recorded as `name`, with its arguments if it is the name of an event. */
  recorder(name: string): (...values: unknown[]) => void {
    return (...values) => {
      this.events.push(this.describe(name, values.slice(1)));
      this.during[name as EventName]?.(...values);
    };
  }

  /** The callbacks since the last `take()`, when all is done that is due now. */
  take(): string[] {
    this.hal.settle();
    return this.events.splice(0);
  }

  /** Errors that callbacks threw and the platform was given; they are as expected then. */
  takeErrors(): unknown[] {
    return this.hal.uncaughtErrors.splice(0);
  }

  /** The other end of the socket that was opened last. */
  get broker(): AnyBroker<P> {
    return this.brokerOf(this.hal.socket);
  }

  brokerOf(socket: MockSocket): AnyBroker<P> {
    let broker = this.brokers.get(socket);
    if (broker === undefined) {
      broker = this.createBroker(socket, this.brokerCapacity);
      this.brokers.set(socket, broker);
    }
    return broker;
  }

  get socket(): MockSocket {
    return this.hal.socket;
  }

  /** The packets that were written to the last socket since this was asked last, one line each. */
  sent(): string[] {
    this.hal.settle();
    return this.broker.take();
  }

  /** The broker of the last socket sends these, in one segment. */
  send(...packets: P[]): void {
    this.broker.send(...packets);
  }

  /** The last socket comes up; CONNECT is written, and taken. */
  reach(room?: number): void {
    this.socket.connect(room);
    this.sent();
  }

  /** A session, from `connect()` on; what was sent and called on the way is taken. */
  up(isPresent = false): this {
    if (!this.client.connect("broker")) throw new Error("connect: no socket");
    this.accept(isPresent);
    return this;
  }

  /** The attempt that is under way ends in a session; what was sent and called on the way is taken. */
  accept(isPresent = false): void {
    this.hal.settle();
    this.reach();
    this.send(this.accepting(isPresent));
    this.take();
    this.broker.take();
  }

  /** Every socket opened from now on comes up, and what it is sent is answered as a broker does. */
  answer(): this {
    this.hal.script = (socket) => {
      this.brokerOf(socket).answers = true;
      socket.connect();
    };
    return this;
  }

  /** What must hold in every test. Done behind each by itself; before that in a test that makes very many devices. */
  check(): void {
    devices.delete(this);
    for (const socket of this.hal.sockets) this.brokerOf(socket).read();
    const open = this.hal.sockets.filter((socket) => !socket.closed);
    if (open.length > 1) this.violations.push(`${open.length} sockets are open`);
    if (open.some((socket) => socket.over)) this.violations.push("a socket that is over was not closed");
    expect(this.violations).toEqual([]);
    expect(this.hal.uncaughtErrors).toEqual([]);
  }

  /** Wraps a client's methods, and each function that they are given; returns it. */
  watch(client: C): C {
    const methods = client as unknown as Record<string, Callback>;
    for (const name of METHODS) {
      if (!(name in methods)) continue;
      const method = methods[name];
      const watched: Callback = (...values) => {
        this.calls.push(name);
        try {
          const guarded = values.map((value) =>
            typeof value === "function" ? this.guard(client, value as Callback) : value);
          return method.apply(client, guarded);
        } finally {
          this.calls.pop();
        }
      };
      // Not by assignment, which fails where the client's prototype is frozen. Optional modules put their own on top.
      Object.defineProperty(client, name, { value: watched, configurable: true });
    }
    return client;
  }

  private guard(client: C, callback: Callback): Callback {
    return (...values) => {
      if (this.calls.length > 0) this.violations.push(`a callback inside ${this.calls.join(" inside ")}`);
      if (this.depth > 0) this.violations.push("a callback inside a callback");
      if (values[0] !== client) this.violations.push("a callback without the client");
      this.depth++;
      try {
        return callback(...values);
      } finally {
        this.depth--;
      }
    };
  }
}

/** A client of MQTT 3.1.1 and its surroundings. */
export class Device extends AnyDevice<Mqtt, Client, Packet> {
  constructor(options: DeviceOptions = {}) {
    super(options, EVENTS, (hal) => createMqtt(hal, MQTT_3_1_1));
  }

  /** Records callbacks; all of them when none is named. */
  override listen(...names: EventName[]): void {
    super.listen(...(names.length > 0 ? names : EVENTS));
  }

  protected override createBroker(socket: MockSocket, capacity: number): Broker {
    return new Broker(this.hal, socket, this.violations, capacity);
  }

  protected override accepting(isPresent: boolean): Packet {
    return connack(0, isPresent);
  }

  protected override describe(name: string, values: unknown[]): string {
    return describeCallback(name, values);
  }
}

/** A callback as one line; its arguments are those behind the client. */
export function describeCallback(name: string, values: unknown[]): string {
  switch (name) {
    case "connect":
      return values[0] === true ? "connect present" : "connect";
    case "connfail":
    case "offline":
      return `${name} ${String(values[0])}`;
    case "message":
    case "overflow":
      return `${name} ${String(values[0])}${describeData(values[1])}`;
    case "suback":
      return `${name} ${Array.from(values[0] as Uint8Array).join(" ")}`;
    default:
      return name;
  }
}

function describeData(data: unknown): string {
  if (data === undefined) return " without data";
  return data instanceof Uint8Array ? ` ${hex(data)}` : `=${data as string}`;
}

/** The broker's end of one socket. It reads, checks and keeps what comes; it answers if it is told to. */
export abstract class AnyBroker<P extends { type: string }> {
  /** Packets are answered: CONNECT, PUBLISH and so on as a broker does that grants and remembers everything. */
  answers = false;
  /** What it says of the session in its CONNACK. */
  isPresent = false;
  /** Every packet read. */
  readonly packets: P[] = [];
  private readonly socket: MockSocket;
  private readonly violations: string[];
  private readonly decoder: StreamDecoder;
  private taken = 0;

  /** @param createDecoder makes what puts together the packets of a client, for `packets` */
  constructor(socket: MockSocket, violations: string[], createDecoder: (packets: P[]) => StreamDecoder) {
    this.socket = socket;
    this.violations = violations;
    this.decoder = createDecoder(this.packets);
    socket.onWrite = () => this.read();
  }

  protected abstract describe(packet: P): string;

  /** The bytes of a packet. */
  protected abstract encode(packet: P): Uint8Array;

  /** How a broker answers that grants and remembers everything. */
  protected abstract answerTo(packet: P): P | undefined;

  /** Reads what was written. */
  read(): void {
    const bytes = this.socket.takeSent();
    if (bytes.length === 0) return;
    const from = this.packets.length;
    const result = this.decoder.push(bytes, 0, bytes.length);
    if (result < 0) this.violations.push(`no packet (${result}): ${hex(bytes.subarray(0, 100))}`);
    for (const packet of this.answers ? this.packets.slice(from) : []) this.answer(packet);
  }

  /** The packets since the last `take()`, one line each. */
  take(): string[] {
    this.read();
    const from = this.taken;
    this.taken = this.packets.length;
    return this.packets.slice(from).map((packet) => this.describe(packet));
  }

  /** Sends packets, in one segment. */
  send(...packets: P[]): void {
    this.socket.receive(this.bytes(...packets));
  }

  /** The bytes of packets. */
  bytes(...packets: P[]): Uint8Array {
    return join(...packets.map((packet) => this.encode(packet)));
  }

  private answer(packet: P): void {
    const answer = this.answerTo(packet);
    if (answer !== undefined) this.send(answer);
    else if (packet.type === "DISCONNECT") this.socket.end();
  }
}

/** The broker's end of a socket, MQTT 3.1.1. */
export class Broker extends AnyBroker<Packet> {
  private readonly encoder: ServerEncoder;

  constructor(hal: MockHal, socket: MockSocket, violations: string[], capacity: number) {
    const scratch = new Uint8Array(capacity);
    super(socket, violations, (packets) => new ServerDecoder(new PacketReader(packets), scratch));
    this.encoder = new ServerEncoder(hal.createText());
  }

  protected override describe(packet: Packet): string {
    return describePacket(packet);
  }

  protected override encode(packet: Packet): Uint8Array {
    const out = new Uint8Array(packet.type === "PUBLISH" ? 64 + 3 * (packet.topicName ?? "").length +
      packet.payload.length : packet.type === "SUBACK" ? 8 + packet.returnCodes.length : 8);
    return out.subarray(0, write(this.encoder, packet, out, 0, out.length));
  }

  protected override answerTo(packet: Packet): Packet | undefined {
    switch (packet.type) {
      case "CONNECT":
        return connack(0, this.isPresent);
      case "PUBLISH":
        return packet.qos === 0 ? undefined : ack(packet.qos === 1 ? "PUBACK" : "PUBREC", packet.packetId);
      case "PUBREC":
        return ack("PUBREL", packet.packetId);
      case "PUBREL":
        return ack("PUBCOMP", packet.packetId);
      case "SUBSCRIBE":
        return suback(packet.packetId, ...packet.filters.map(([, qos]) => qos));
      case "UNSUBSCRIBE":
        return ack("UNSUBACK", packet.packetId);
      case "PINGREQ":
        return PINGRESP;
      default:
        return undefined;
    }
  }
}

/** A packet of a client as one line: `PUBLISH t=hello q1 #7 dup retain`. */
export function describePacket(packet: Packet): string {
  switch (packet.type) {
    case "CONNECT": {
      const { will } = packet;
      const flags = will && ` q${will.qos}${will.retain ? " retain" : ""}`;
      return `CONNECT "${packet.clientId}" ${packet.cleanSession ? "clean" : "persistent"} ${packet.keepAliveSeconds}` +
        (will && flags ? ` will ${will.topicName}=${will.message}${flags}` : "") +
        (packet.username === undefined ? "" : ` user ${packet.username}`) +
        (packet.password === undefined ? "" : ` password ${packet.password}`);
    }
    case "PUBLISH": {
      const id = packet.qos === 0 ? "" : ` q${packet.qos} #${packet.packetId}`;
      return `PUBLISH ${packet.topicName}=${packet.payload}${id}${packet.dup ? " dup" : ""}` +
        (packet.retain ? " retain" : "");
    }
    case "SUBSCRIBE":
      return `SUBSCRIBE #${packet.packetId} ${packet.filters.map(([filter, qos]) => `${filter}:${qos}`).join(" ")}`;
    case "UNSUBSCRIBE":
      return `UNSUBSCRIBE #${packet.packetId} ${packet.filters.join(" ")}`;
    default:
      return "packetId" in packet ? `${packet.type} #${packet.packetId}` : packet.type;
  }
}

export function connack(returnCode = 0, sessionPresent = false): Packet {
  return { type: "CONNACK", sessionPresent, returnCode };
}

export function ack(type: Ack["type"], packetId: number): Packet {
  return { type, packetId };
}

export function suback(packetId: number, ...returnCodes: number[]): Packet {
  return { type: "SUBACK", packetId, returnCodes };
}

export const PINGRESP: Packet = { type: "PINGRESP" };

/** A message from the broker; text is sent as UTF-8. */
export function message(
  topicName: string,
  payload: string,
  { qos = 0, id = 0, dup = false, retain = false }: { qos?: number; id?: number; dup?: boolean; retain?: boolean } = {},
): Packet {
  const characters = Buffer.from(payload, "utf8").toString("latin1");
  return { type: "PUBLISH", topicName, payload: characters, qos, packetId: id, dup, retain };
}

/** A message at QoS 0 whose packet has `length` bytes, and its payload: letters, none like its neighbour. */
export function messageOfLength(topicName: string, length: number): { packet: Packet; payload: string } {
  for (const header of [2, 3, 4]) {
    const payloadLength = length - header - 2 - Buffer.byteLength(topicName);
    const remaining = length - header;
    if (remaining < 128 ? header !== 2 : remaining < 16384 ? header !== 3 : header !== 4) continue;
    const payload = letters(payloadLength);
    return { packet: message(topicName, payload), payload };
  }
  throw new RangeError(`No PUBLISH has ${length} bytes`);
}

/** Text of `length` bytes in which every place can be told from those around it. */
export function letters(length: number): string {
  let text = "";
  while (text.length < length) text += text.length % 10 === 0 ? `<${text.length}>` : "abcdefghijk"[text.length % 11];
  return text.slice(0, length);
}

/** Puts together what a decoder tells of the client's packets, each when it is there whole. */
class PacketReader implements ServerDecoderHandler {
  private readonly packets: Packet[];
  private fields: string[] = [];
  private filters: [string, number][] = [];
  private publish: Publish | undefined;

  constructor(packets: Packet[]) {
    this.packets = packets;
  }

  onPublish(flags: number, packetId: number, bytes: Uint8Array, topicStart: number, topicEnd: number): void {
    this.publish = {
      type: "PUBLISH",
      dup: (flags & 8) !== 0,
      qos: (flags >> 1) & 3,
      retain: (flags & 1) !== 0,
      packetId,
      topicName: text(bytes, topicStart, topicEnd),
      payload: "",
    };
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    this.publish!.payload += binary(bytes, start, end);
    if (owed === 0) this.packets.push(this.publish!);
  }

  onAck(type: number, packetId: number): void {
    const name = Object.entries(TYPES).find(([, value]) => value === type)![0];
    this.packets.push({ type: name as Ack["type"], packetId });
  }

  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void {
    const isBinary = field === WILL_MESSAGE || field === PASSWORD;
    this.fields[field] = isBinary ? binary(bytes, start, end) : text(bytes, start, end);
  }

  onConnect(cleanSession: boolean, keepAliveSeconds: number, qos: number, retain: boolean): void {
    const fields: (string | undefined)[] = this.fields.splice(0);
    const topicName = fields[WILL_TOPIC];
    const message = fields[WILL_MESSAGE];
    this.packets.push({
      type: "CONNECT",
      clientId: fields[CLIENT_ID]!,
      cleanSession,
      keepAliveSeconds,
      ...(topicName !== undefined && message !== undefined && { will: { topicName, message, qos, retain } }),
      ...(fields[USERNAME] !== undefined && { username: fields[USERNAME] }),
      ...(fields[PASSWORD] !== undefined && { password: fields[PASSWORD] }),
    });
  }

  onUnsupportedLevel(): void {}

  onTopicFilter(bytes: Uint8Array, start: number, end: number, qos: number): void {
    this.filters.push([text(bytes, start, end), qos]);
  }

  onSubscribe(packetId: number): void {
    this.packets.push({ type: "SUBSCRIBE", packetId, filters: this.filters.splice(0) });
  }

  onUnsubscribe(packetId: number): void {
    this.packets.push({ type: "UNSUBSCRIBE", packetId, filters: this.filters.splice(0).map(([filter]) => filter) });
  }

  onPingreq(): void {
    this.packets.push({ type: "PINGREQ" });
  }

  onDisconnect(): void {
    this.packets.push({ type: "DISCONNECT" });
  }
}

/** One character, U+0000 to U+00FF, per byte. */
export function binary(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString("latin1");
}

export function text(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.subarray(start, end)).toString("utf8");
}
