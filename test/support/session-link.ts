/**
 * A session and a broker, with a network between them that a test moves byte by byte and cuts anywhere. The application
 * on the session's side keeps its own books of what it asked for, from nothing but the packets that pass, and compares
 * them with what the session says. Whatever must hold at any time is checked at any time, and throws.
 */
import hal from "../../hal/node.js";
import { END_BY_APPLICATION } from "../../src/errors.js";
import type { SessionHandler, SessionOptions } from "../../src/session.js";
import { Session } from "../../src/session.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { PUBACK, PUBCOMP, SUBACK, UNSUBACK } from "../../src/wire.js";
import { join } from "./bytes.js";
import { Recorder, decoderOf } from "./feed.js";
import type { Packet } from "./packets.js";
import { Tap, bytesOf, show } from "./session-harness.js";

/** A message on its way from the broker to a client. */
interface Outgoing {
  qos: number;
  /** 0 as long as it waits. */
  packetId: number;
  payload: string;
  isReleased: boolean;
}

/** What a broker knows of one client, on one connection or across them: a session as in 4.1. */
class BrokerSession {
  /** Ids of messages at QoS 2 that came from the client and were not released. */
  readonly received = new Set<number>();
  /** Messages for the client that it has not acknowledged, in order. */
  outgoing: Outgoing[] = [];
}

/** A broker as the specification has it, that sends what it gets from one client to the other ones. */
export class ModelBroker {
  /** Payloads of all messages that clients published, in the order they were taken, by client. */
  readonly taken = new Map<string, string[]>();
  readonly connections = new Map<string, BrokerConnection>();
  private readonly sessions = new Map<string, BrokerSession>();
  private readonly receiveMaximum: number;

  /** @param receiveMaximum messages that it lets wait for a client's acknowledgement */
  constructor(receiveMaximum: number) {
    this.receiveMaximum = receiveMaximum;
  }

  /** The session of a client, and whether there was one (3.1.2.4). */
  session(clientId: string, cleanSession: boolean): [BrokerSession, boolean] {
    const known = cleanSession ? undefined : this.sessions.get(clientId);
    const session = known ?? new BrokerSession();
    this.sessions.set(clientId, session);
    return [session, known !== undefined];
  }

  forget(clientId: string): void {
    this.sessions.delete(clientId);
  }

  /** A client has published. */
  take(from: string, qos: number, payload: string): void {
    this.taken.set(from, [...(this.taken.get(from) ?? []), payload]);
    for (const to of this.sessions.keys()) {
      if (to !== from) this.send(to, qos, payload);
    }
  }

  /** Sends a message to a client. */
  send(to: string, qos: number, payload: string): void {
    const session = this.sessions.get(to);
    const connection = this.connections.get(to);
    // While a client is away there is no need to keep messages at QoS 0.
    if (session === undefined || (qos === 0 && connection === undefined)) return;
    session.outgoing.push({ qos, packetId: 0, payload, isReleased: false });
    connection?.feed();
  }

  /** What becomes of the messages that wait and have their turn: lines, and ids as small as can be. */
  next(session: BrokerSession): string[] {
    const lines = [];
    for (const message of session.outgoing) {
      const { qos, payload } = message;
      if (message.packetId > 0) continue;
      if (qos > 0) {
        const used = session.outgoing.map(({ packetId }) => packetId);
        if (used.filter((id) => id > 0).length >= this.receiveMaximum) break;
        for (message.packetId = 1; used.includes(message.packetId);) message.packetId++;
      }
      lines.push(`PUBLISH q${qos}${qos > 0 ? ` #${message.packetId}` : ""} t=${payload}`);
    }
    session.outgoing = session.outgoing.filter(({ qos }) => qos > 0);
    return lines;
  }
}

/** A client's connection at the broker. */
export class BrokerConnection {
  /** What is to be sent, in two queues that may leave in any mixture: answers, and messages. */
  readonly answers: string[] = [];
  readonly messages: string[] = [];
  private readonly broker: ModelBroker;
  private readonly tap = new Tap();
  private clientId = "";
  private session: BrokerSession | undefined;
  private isOver = false;

  constructor(broker: ModelBroker) {
    this.broker = broker;
  }

  receive(bytes: Uint8Array): void {
    for (const packet of this.tap.push(bytes)) this.packet(packet);
  }

  /** Queues the messages that have their turn. */
  feed(): void {
    if (this.session !== undefined) this.messages.push(...this.broker.next(this.session));
  }

  /** The network connection is gone. */
  close(): void {
    if (this.broker.connections.get(this.clientId) === this) this.broker.connections.delete(this.clientId);
    this.isOver = true;
  }

  private packet(packet: Packet): void {
    const line = show(packet);
    if (this.isOver) throw new Error(`The broker got "${line}" behind DISCONNECT`);
    if (packet.type === "CONNECT") {
      this.connect(packet.clientId, packet.cleanSession);
      return;
    }
    const { session } = this;
    if (session === undefined) throw new Error(`The broker got "${line}" before CONNECT`);
    switch (packet.type) {
      case "PUBLISH": {
        const { qos, packetId } = packet;
        if (qos < 2 || !session.received.has(packetId)) this.broker.take(this.clientId, qos, packet.payload);
        if (qos === 2) session.received.add(packetId);
        if (qos > 0) this.answers.push(`${qos === 1 ? "PUBACK" : "PUBREC"} #${packetId}`);
        break;
      }
      case "PUBREL":
        session.received.delete(packet.packetId);
        this.answers.push(`PUBCOMP #${packet.packetId}`);
        break;
      case "PUBACK":
      case "PUBREC":
      case "PUBCOMP":
        this.acknowledged(session, packet.type, packet.packetId);
        break;
      case "SUBSCRIBE":
        this.answers.push(`SUBACK #${packet.packetId} ${packet.filters.map(([, qos]) => qos).join(",")}`);
        break;
      case "UNSUBSCRIBE":
        this.answers.push(`UNSUBACK #${packet.packetId}`);
        break;
      case "PINGREQ":
        this.answers.push("PINGRESP");
        break;
      case "DISCONNECT":
        this.close();
        break;
      default:
        throw new Error(`The broker got "${line}"`);
    }
  }

  private connect(clientId: string, cleanSession: boolean): void {
    if (this.session !== undefined) throw new Error("The broker got CONNECT twice");
    const [session, wasThere] = this.broker.session(clientId, cleanSession);
    this.session = session;
    this.clientId = clientId;
    this.broker.connections.set(clientId, this);
    this.answers.push(wasThere ? "CONNACK present" : "CONNACK");
    for (const { qos, packetId, payload, isReleased } of session.outgoing) {
      if (isReleased) this.messages.push(`PUBREL #${packetId}`);
      else if (packetId > 0) this.messages.push(`PUBLISH q${qos} #${packetId} dup t=${payload}`);
    }
    this.feed();
  }

  private acknowledged(session: BrokerSession, type: string, packetId: number): void {
    const message = session.outgoing.find((each) => each.packetId === packetId);
    if (message === undefined || (type === "PUBACK") !== (message.qos === 1)) {
      // An answer to a repetition that has its answer already.
      if (type === "PUBREC") this.answers.push(`PUBREL #${packetId}`);
      else if (type === "PUBACK") throw new Error(`The broker got PUBACK of ${packetId}, which is not under way`);
      return;
    }
    if (type === "PUBREC") {
      message.isReleased = true;
      this.answers.push(`PUBREL #${packetId}`);
    } else {
      session.outgoing = session.outgoing.filter((each) => each !== message);
      this.feed();
    }
  }
}

/** Something the application asked for. */
export interface Operation {
  /** 0, 1, 2: a message at that QoS. */
  kind: number | "subscribe" | "unsubscribe";
  packetId: number;
  payload: string;
  /** On which connection it was accepted. */
  connection: number;
  /** Left whole, ever; and on this connection. */
  wasSent: boolean;
  wasSentHere: boolean;
  wasReceived: boolean;
  /** Nothing more is to be waited for. */
  isDone: boolean;
  hasOutcome: boolean;
}

/** The types of the outcomes, as `Session.doneType` tells them. */
const OUTCOMES: Record<Operation["kind"], number> = {
  0: 0,
  1: PUBACK,
  2: PUBCOMP,
  subscribe: SUBACK,
  unsubscribe: UNSUBACK,
};

/** One client with its network. */
export class Link implements SessionHandler {
  readonly session: Session;
  readonly options: SessionOptions;
  readonly clientId: string;
  /** All that was asked for and accepted. */
  readonly operations: Operation[] = [];
  /** Payloads of all messages that were delivered to the application. */
  readonly delivered: string[] = [];
  /** Bytes that left and have not arrived, in either direction. */
  toBroker: Uint8Array = new Uint8Array(0);
  toClient: Uint8Array = new Uint8Array(0);
  connection: BrokerConnection | undefined;
  /** Count of connections so far. */
  connections = 0;
  nowMs = 0;
  /** What the application does when a message is delivered. It may ask and write. */
  whenDelivered: () => void = () => undefined;
  private readonly broker: ModelBroker;
  private readonly rx = new Uint8Array(512);
  /** Operations that have no outcome and may get one. */
  private waiting: Operation[] = [];
  private sentTap = new Tap();
  private receivedTap = new ReceivedTap();
  /** Index of the operation whose packet left last on this connection. */
  private lastSent = -1;
  private hasSentDisconnect = false;
  private isConnectDue = false;
  private payload = "";
  /** The session is reading: the books do not know yet what it has read. */
  private isReading = false;
  /** Outcomes that were told and not compared yet. */
  private readonly outcomes: number[] = [];

  constructor(broker: ModelBroker, clientId: string, options: SessionOptions) {
    this.broker = broker;
    this.clientId = clientId;
    this.options = options;
    this.session = new Session(this, MQTT_3_1_1, hal.createText(), this.rx, options);
    const { cleanSession, keepAliveSeconds } = options;
    const rest = { will: undefined, username: undefined, password: undefined };
    this.session.setConnect({ clientId, cleanSession, keepAliveSeconds, ...rest }, 100);
  }

  connect(): void {
    this.connection = new BrokerConnection(this.broker);
    this.connections++;
    this.sentTap = new Tap();
    this.receivedTap = new ReceivedTap();
    this.lastSent = -1;
    this.hasSentDisconnect = false;
    this.isConnectDue = true;
    this.session.connect(this.nowMs);
  }

  /** Asks for something; says whether it was accepted. */
  ask(kind: Operation["kind"], payload: string): boolean {
    const { session } = this;
    let packetId: number;
    if (kind === "subscribe") packetId = session.subscribe({ [payload]: 1, t: 2 });
    else if (kind === "unsubscribe") packetId = session.unsubscribe({ [payload]: 0 });
    else packetId = session.publish("t", payload, kind << 1);
    if (packetId < 0) return false;
    if ((packetId === 0) !== (kind === 0)) throw new Error(`The packet id of ${kind} is ${packetId}`);
    if (this.operations.some((each) => packetId > 0 && !each.isDone && each.packetId === packetId)) {
      throw new Error(`The packet id ${packetId} is in use twice`);
    }
    const connection = this.connections;
    const flags = { wasSent: false, wasSentHere: false, wasReceived: false, isDone: false, hasOutcome: false };
    const operation = { kind, packetId, payload, connection, ...flags };
    this.operations.push(operation);
    this.waiting.push(operation);
    return true;
  }

  /** Lets up to `room` bytes leave; says whether any did. */
  write(room: number): boolean {
    const { session } = this;
    let hasMoved = false;
    for (let left = room; left > 0 && this.connection !== undefined;) {
      const count = Math.min(session.pending(Infinity), left);
      if (count === 0) break;
      const bytes = session.out.slice(session.outStart, session.outStart + count);
      this.toBroker = join(this.toBroker, bytes);
      for (const packet of this.sentTap.push(bytes)) this.sent(packet);
      session.sent(count, this.nowMs);
      left -= count;
      hasMoved = true;
    }
    this.compare();
    return hasMoved;
  }

  /** Up to `count` bytes arrive at the broker. */
  arrive(count: number): boolean {
    const bytes = this.toBroker.slice(0, count);
    this.toBroker = this.toBroker.slice(count);
    this.connection?.receive(bytes);
    return bytes.length > 0;
  }

  /** The broker sends the next packet: an answer, or a message, whichever there is. */
  release(prefersMessage: boolean): boolean {
    if (this.connection === undefined) return false;
    const { answers, messages } = this.connection;
    const isMessage = answers.length === 0 || (prefersMessage && !answers[0].startsWith("CONNACK"));
    const line = (isMessage ? messages : answers).shift() ?? answers.shift();
    if (line === undefined) return false;
    this.toClient = join(this.toClient, bytesOf(line));
    return true;
  }

  /** Up to `count` bytes arrive at the client, as far as it reads them. */
  read(count: number): boolean {
    const { session, rx } = this;
    const start = session.filled();
    const end = start + Math.min(count, this.toClient.length, rx.length - start);
    if (end === start) return false;
    rx.set(this.toClient.subarray(0, end - start), start);
    this.isReading = true;
    const at = session.receive(rx, start, end, this.nowMs);
    this.isReading = false;
    const bytes = this.toClient.slice(0, at - start);
    this.toClient = this.toClient.slice(at - start);
    for (const packet of this.receivedTap.push(bytes)) this.received(packet);
    this.compare();
    return at > start;
  }

  /** The network connection is lost, and all that was under way. */
  cut(): void {
    this.session.lost();
    this.closed();
  }

  advance(ms: number): void {
    this.nowMs += ms;
    this.session.tick(this.nowMs);
    this.compare();
  }

  /** Moves everything until nothing moves any more. */
  settle(): void {
    for (let rounds = 0; ; rounds++) {
      if (rounds > 1000) throw new Error("It does not come to rest");
      let hasMoved = this.write(Infinity);
      hasMoved = this.arrive(Infinity) || hasMoved;
      while (this.release(false)) hasMoved = true;
      hasMoved = this.read(Infinity) || hasMoved;
      if (!hasMoved) break;
    }
  }

  onConnect(): void {
    // Nothing: what a CONNACK says is in the books.
  }

  onEnd(reason: number): void {
    if (reason !== END_BY_APPLICATION) throw new Error(`The session ended with ${reason}`);
    // What was written before a connection is closed still arrives.
    if (!this.hasSentDisconnect) throw new Error("The session ended without DISCONNECT");
    this.arrive(Infinity);
    this.closed();
  }

  onMessage(): void {
    this.payload = "";
  }

  onWhole(
    _topic: string,
    _flags: number,
    _packetId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    _packetLength: number,
  ): void {
    this.onMessage();
    this.onPayload(bytes, start, end, 0);
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    this.payload += Buffer.from(bytes.slice(start, end)).toString();
    if (owed > 0) return;
    this.delivered.push(this.payload);
    this.whenDelivered();
  }

  onDone(): void {
    this.take();
  }

  private closed(): void {
    this.connection?.close();
    this.connection = undefined;
    this.toBroker = this.toClient = new Uint8Array(0);
    const isKept = (each: Operation): boolean =>
      each.isDone || (!this.options.cleanSession && (each.kind === 1 || each.kind === 2));
    this.waiting = this.waiting.filter(isKept);
    for (const operation of this.operations) {
      operation.wasSentHere = false;
      // What was dropped has lost its packet id.
      if (!isKept(operation)) operation.packetId = 0;
    }
    this.compare();
  }

  /** A packet has left whole. */
  private sent(packet: Packet): void {
    const line = show(packet);
    if (this.hasSentDisconnect) throw new Error(`"${line}" leaves behind DISCONNECT`);
    if (this.isConnectDue !== (packet.type === "CONNECT")) throw new Error(`"${line}" leaves out of turn`);
    this.isConnectDue = false;
    if (packet.type === "DISCONNECT") this.hasSentDisconnect = true;
    if (packet.type !== "PUBLISH" && packet.type !== "SUBSCRIBE" && packet.type !== "UNSUBSCRIBE") return;
    const index = this.operations.findIndex((each) =>
      packet.type === "PUBLISH"
        ? each.payload === packet.payload && each.kind === packet.qos
        : !each.isDone && each.packetId === packet.packetId,
    );
    const operation = this.operations[index];
    if (operation === undefined || operation.isDone) throw new Error(`"${line}" was not asked for, or is done`);
    if (index <= this.lastSent) throw new Error(`"${line}" leaves too late, or twice`);
    if (operation.wasReceived) throw new Error(`"${line}" leaves behind PUBREC`);
    if (packet.packetId !== operation.packetId) throw new Error(`"${line}" has another packet id`);
    if (packet.type === "PUBLISH" && packet.dup !== operation.wasSent) throw new Error(`"${line}" with a wrong DUP`);
    this.lastSent = index;
    operation.wasSent = operation.wasSentHere = true;
    if (operation.kind === 0) operation.isDone = true;
  }

  /** A packet was received whole. */
  private received(packet: Packet): void {
    if (packet.type === "CONNACK" && !packet.sessionPresent) {
      for (const each of this.waiting) if (each.wasReceived) each.isDone = true;
    }
    if (!("packetId" in packet)) return;
    const operation = this.waiting.find((each) => !each.isDone && each.packetId === packet.packetId);
    if (operation === undefined) return;
    const { kind } = operation;
    if (packet.type === "PUBREC" && kind === 2 && operation.wasSentHere) operation.wasReceived = true;
    if (packet.type === "PUBACK" && kind === 1) operation.isDone = true;
    if (packet.type === "PUBCOMP" && kind === 2) operation.isDone = true;
    if (packet.type === "SUBACK" && kind === "subscribe") operation.isDone = true;
    if (packet.type === "UNSUBACK" && kind === "unsubscribe") operation.isDone = true;
  }

  private take(): void {
    const { session } = this;
    for (let type = session.outbox.doneType; type >= 0; type = session.outbox.doneType) {
      if (type === SUBACK && session.grantedCodes().join() !== "1,2") throw new Error("Other codes were granted");
      session.outbox.dropDone();
      this.outcomes.push(type);
    }
  }

  /** Outcomes are those of the books, in the order of the calls, and none is missing. */
  private compare(): void {
    this.take();
    if (this.isReading) return;
    for (const type of this.outcomes.splice(0)) {
      const operation = this.waiting.shift();
      if (operation === undefined || !operation.isDone || OUTCOMES[operation.kind] !== type) {
        throw new Error(`An outcome of type ${type} instead of ${JSON.stringify(operation)}`);
      }
      operation.hasOutcome = true;
    }
    if (this.waiting[0]?.isDone) throw new Error(`No outcome of ${JSON.stringify(this.waiting[0])}`);
    if (this.session.outbox.operations !== this.waiting.length) {
      throw new Error(`${this.session.outbox.operations} operations are there instead of ${this.waiting.length}`);
    }
  }
}

/** Puts the packets of a broker together. */
class ReceivedTap {
  private readonly scratch = new Uint8Array(512);
  private readonly recorder = new Recorder(this.scratch);
  private readonly decoder = decoderOf("server", this.recorder, this.scratch);
  private taken = 0;

  push(bytes: Uint8Array): Packet[] {
    this.recorder.lend(bytes, 0, bytes.length);
    if (this.decoder.push(bytes, 0, bytes.length) < 0) throw new Error("The broker sent something malformed");
    const packets = this.recorder.packets.slice(this.taken) as Packet[];
    this.taken = this.recorder.packets.length;
    return packets;
  }
}
