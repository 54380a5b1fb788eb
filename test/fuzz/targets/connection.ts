/**
 * A connection on the mock HAL, with all below it. An input is five bytes of options and a script: what the application
 * calls, in a callback too, what the network does, what the broker sends, and how much time passes.
 */
import type { MockSocket } from "../../../hal/mock.js";
import { MockHal } from "../../../hal/mock.js";
import type { ConnectionHandler, ConnectionOptions } from "../../../src/connection.js";
import { Connection, WHOLE } from "../../../src/connection.js";
import type { Subscriptions } from "../../../src/codec.js";
import { MQTT_3_1_1 } from "../../../src/v311.js";
import * as wire from "../../../src/wire.js";
import { PUBACK, PUBCOMP, PUBREC, PUBREL, QOS_2, SUBACK, UNSUBACK } from "../../../src/wire.js";
import { Broker, Memory, ack, check, connack, latin1, message } from "../broker.js";

// What a byte of the script means, by its low four bits; the others are an argument, and bytes may follow.
const CONNECT = 0;
const CLOSE = 1;
const ABORT = 2;
const PUBLISH = 3;
const SUBSCRIBE = 4;
const UNSUBSCRIBE = 5;
/** The socket comes up. */
const UP = 6;
const ACCEPT = 7;
/** What a broker that keeps the rules sends next. */
const ANSWER = 8;
const SEND_MESSAGE = 9;
const SEND_ACK = 10;
const SEND_BYTES = 11;
const WAIT = 12;
const FAIL = 13;
const FLOW = 14;
/** The next callback calls something. */
const PLAN = 15;

const WAITS_MS = [0, 1, 10, 100, 999, 1000, 2000, 4999, 5000, 9000, 10000, 15000, 20000, 30000, 60000, 300000];
const TOPICS = ["t", "a/b", "t/long/topic", "é"];
/** Longer than everything that a connection waits for, one after the other. */
const LONG_MS = 1000000;
const LONGEST_SCRIPT = 150;

export function run(input: Uint8Array): void {
  new Bench(input).run();
}

export function seeds(): Uint8Array[] {
  const up = [CONNECT, UP | 0xf0, ACCEPT];
  const persistent = [0xf0, 0x33, 0x33, 0, 0];
  const clean = [0xf1, 0x33, 0x33, 0, 0];
  const publishes = [PUBLISH, 5, PUBLISH | 0x10, 9, PUBLISH | 0x20, 9];
  const messages = [SEND_MESSAGE, 4, SEND_MESSAGE | 0x10, 4, 1, SEND_MESSAGE | 0x20, 4, 2];
  const answer = ANSWER | 0xf0;
  const scripts = [
    [...clean, ...up, ...publishes, answer, answer, CLOSE, WAIT | 0x90],
    [...persistent, ...up, ...publishes, FAIL, ...up, answer, ACCEPT | 0x10, answer, answer, CLOSE],
    [...persistent, ...up, ...messages, SEND_ACK | 0x20, 2, ...messages, ABORT, ...up, ...messages],
    [...clean, ...up, SUBSCRIBE | 0x20, UNSUBSCRIBE, answer, answer, CLOSE],
    [...clean, ...up, WAIT | 0xd0, answer, WAIT | 0xd0, WAIT | 0xe0],
    [...clean, CONNECT | 0x10, ...up.slice(1), FAIL, WAIT | 0x60, UP | 0xf0, ACCEPT, CLOSE],
    [...clean, CONNECT, FAIL | 0x20, CONNECT, UP, WAIT | 0x80, CONNECT, UP | 0xf0, WAIT | 0x80],
    [...clean, ...up, PLAN, ABORT, SEND_MESSAGE, 4, PLAN, CONNECT, WAIT],
    [...clean, ...up, FLOW, ...publishes, CLOSE, WAIT | 0x60, WAIT | 0x80],
    [...clean, ...up, SEND_BYTES | 0x30, 0x30, 0x80, 1, SEND_BYTES | 0x20, 0, 1, SEND_BYTES | 0x20, 0x74, 0],
    [...clean, CONNECT, UP | 0xf0, ACCEPT | 0x50, CONNECT, UP | 0xf0, SEND_BYTES, 0x30],
    [...clean, ...up, FLOW, SEND_MESSAGE | 0x10, 0, 0xff, FLOW | 0x30, answer],
    [...clean, ...up, SEND_MESSAGE | 0xf0, 255, 1, SEND_MESSAGE | 0xa0, 255, 2, 3, SEND_ACK | 0x10, 7],
  ];
  return scripts.map((script) => Uint8Array.from(script));
}

class Bench implements ConnectionHandler {
  private readonly input: Uint8Array;
  private at = 0;
  private readonly hal: MockHal;
  private readonly options: ConnectionOptions;
  private readonly connection: Connection;
  private readonly memory = new Memory();
  private readonly brokers: Broker[] = [];
  private readonly listensAlways: boolean;
  /** The application is calling. */
  private isCalling = false;
  private isInCallback = false;
  private isAccepted = false;
  /** The application has ended the session that is accepted. */
  private hasEnded = false;
  /** The last attempt waits for its outcome. */
  private isAttempting = false;
  private attempts = 0;
  private outcomes = 0;
  private hasRetries = false;
  /**
   * Operations that are to have an outcome, in order. Of an earlier connection only publishes at QoS 1 and 2 are sure
   * to have one; others may be done and wait behind those.
   */
  private readonly operations: { type: number; isSure: boolean }[] = [];
  /** Which of them may be the next. */
  private next = [0];
  /** What callbacks are to call. */
  private readonly plans: number[] = [];

  constructor(input: Uint8Array) {
    this.input = input;
    const [flags, limits, sizes, length, room] = [this.byte(), this.byte(), this.byte(), this.byte(), this.byte()];
    this.hal = new MockHal({
      now: (flags & 2) === 0 ? 0 : 0x7fffff00,
      room: 1 + room,
      window: (flags & 4) === 0 ? 5840 : 7,
    });
    this.listensAlways = (flags & 8) === 0;
    this.options = {
      cleanSession: (flags & 1) !== 0,
      queueOffline: false,
      keepAliveSeconds: 1 + (flags >> 4) * 4,
      maxInflight: 1 + (limits & 7),
      receiveMaximum: 1 + ((limits >> 3) & 3),
      maxOperations: 1 + (limits >> 5),
      ackTimeoutMs: 20000,
      drainTimeoutMs: 2000,
      connectTimeoutMs: 30000,
      txCapacity: 128 + (sizes & 15) * 8,
      rxCapacity: 128 + (sizes >> 4) * 8,
      maxMessageLength: 16 + (length & 127),
    };
    this.options.rxCapacity = Math.max(this.options.rxCapacity, this.options.maxMessageLength);
    this.connection = new Connection(this.hal, MQTT_3_1_1, this.hal.createText(), this.options, this);
    const fields = { clientId: "c", keepAliveSeconds: this.options.keepAliveSeconds };
    const { cleanSession } = this.options;
    this.connection.session.setConnect(
      { ...fields, cleanSession, will: undefined, username: undefined, password: undefined },
      128,
    );
  }

  run(): void {
    for (let i = 0; i < LONGEST_SCRIPT && this.at < this.input.length; i++) {
      this.act(this.byte());
      this.observe();
    }
    this.end();
  }

  onConnect(sessionPresent: boolean): void {
    this.told();
    check(!this.isAccepted && this.isAttempting, "onConnect without an attempt");
    this.outcome();
    this.isAccepted = true;
    this.hasEnded = false;
    if (!sessionPresent || this.options.cleanSession) this.memory.held.clear();
    this.react();
  }

  onConnectFail(reason: number): void {
    this.told();
    check(!this.isAccepted, "onConnectFail of a session");
    check((reason >= -5 && reason <= -1) || (reason >= 1 && reason <= 255), `onConnectFail ${reason}`);
    this.outcome();
    this.react();
  }

  onOffline(reason: number): void {
    this.told();
    check(this.isAccepted, "onOffline without a session");
    check((reason === 0) === this.hasEnded, `onOffline ${reason}, ended by the application: ${this.hasEnded}`);
    check(reason === 0 || (reason <= -10 && reason >= -13) || (reason <= -20 && reason >= -27), `onOffline ${reason}`);
    const errors = this.brokers.map(({ log }) => log.error);
    // What a decoder alone finds.
    if (reason <= -20 && ![-22, -25, -26].includes(reason)) check(errors.includes(reason), `onOffline ${reason}`);
    this.isAccepted = false;
    this.drop();
    this.react();
  }

  onMessage(
    topic: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    flags: number,
    packetId: number,
    offset: number,
  ): void {
    this.told();
    check(this.isAccepted, "onMessage without a session");
    check(start >= 0 && start <= end && end <= this.options.rxCapacity, `a payload at [${start}, ${end})`);
    const payload = latin1(bytes, start, end);
    this.take(Buffer.from(topic).toString("latin1"), payload, flags, packetId, offset === WHOLE);
    this.react();
  }

  wantsData(): boolean {
    return false;
  }

  onDrain(): void {
    throw new Error("onDrain without drain");
  }

  listens(type: number): boolean {
    return this.listensAlways || type === SUBACK;
  }

  onDone(type: number, granted: Uint8Array | undefined): void {
    this.told();
    check(this.isAccepted, "onDone without a session");
    check((granted !== undefined) === (type === SUBACK), `return codes of ${type}`);
    if (this.listensAlways) {
      // What had no outcome when the session ended was dropped; it is not told of yet.
      if (this.connection["_outcome"] > 0) this.drop();
      this.next = this.behind(type);
      check(this.next.length > 0, `an outcome of ${type}`);
    }
    this.react();
  }

  /** The owner hears something. */
  private told(): void {
    check(!this.isCalling, "a callback inside a call");
    check(!this.isInCallback, "a callback inside a callback");
  }

  /** A session has ended. */
  private drop(): void {
    const kept = this.options.cleanSession ? [] : [PUBACK, PUBCOMP];
    for (const operation of this.operations) operation.isSure &&= kept.includes(operation.type);
  }

  /** What may come behind an outcome of this type: nothing that is sure is passed over. */
  private behind(type: number): number[] {
    const { operations } = this;
    const found = new Set<number>();
    for (let index of this.next) {
      for (; index < operations.length; index++) {
        if (operations[index].type === type) found.add(index + 1);
        if (operations[index].isSure) break;
      }
    }
    return [...found];
  }

  private outcome(): void {
    this.isAttempting = this.hasRetries && this.isAttempting;
    this.outcomes++;
    check(this.hasRetries || this.outcomes <= this.attempts, "more outcomes than attempts");
  }

  /** The message that is told must be the next one that was sent, those excepted that are told already. */
  private take(topic: string, payload: string, flags: number, packetId: number, isWhole: boolean): void {
    const { log } = this.broker;
    const { held } = this.memory;
    for (;;) {
      check(this.broker.told < log.messages.length, "a message that was not sent");
      const sent = log.messages[this.broker.told++];
      if (sent.isRelease) {
        held.delete(sent.packetId);
        continue;
      }
      const isQos2 = (sent.flags & QOS_2) !== 0;
      if (isQos2 && held.get(sent.packetId) === true) continue;
      const isShort = sent.packetLength <= this.options.maxMessageLength;
      const fits = Math.max(0, this.options.maxMessageLength - sent.packetLength + sent.payloadLength);
      const isIt = sent.flags === flags && sent.packetId === packetId && isShort === isWhole
        && (sent.need > this.options.rxCapacity ? topic === "" : topic === sent.topic)
        && payload.length === (isShort ? sent.payloadLength : fits) && sent.payload.startsWith(payload);
      if (!isIt && isQos2 && held.has(sent.packetId)) continue;
      check(isIt, `message ${topic} ${packetId} instead of ${sent.topic} ${sent.packetId}`);
      if (isQos2) held.set(packetId, true);
      return;
    }
  }

  private get broker(): Broker {
    return this.brokers[this.brokers.length - 1];
  }

  private byte(): number {
    return this.at < this.input.length ? this.input[this.at++] : 0;
  }

  /** One step of the script. Time does not pass inside a callback. */
  private act(byte: number): void {
    const argument = byte >> 4;
    switch (byte & 15) {
      case CONNECT:
        return this.connect((argument & 1) !== 0);
      case CLOSE:
        return this.close();
      case ABORT:
        return this.abort();
      case PUBLISH: {
        const qos = (argument & 3) % 3;
        const payload = new Uint8Array(this.byte());
        const flags = (qos << 1) | ((argument >> 2) & 1);
        const topic = TOPICS[argument >> 2];
        return this.operate([0, PUBACK, PUBCOMP][qos], () => this.connection.queue(flags, topic, payload));
      }
      case SUBSCRIBE:
        return this.operate(SUBACK, () => this.connection.queue(wire.SUBSCRIBE, filters(argument), ""));
      case UNSUBSCRIBE:
        return this.operate(UNSUBACK, () => this.connection.queue(wire.UNSUBSCRIBE, filters(argument), ""));
      case UP:
        return this.up(argument);
      case ACCEPT:
        return this.accept((argument & 1) !== 0, argument >> 1);
      case ANSWER:
        for (let left = argument; left >= 0; left--) this.onLast((broker) => broker.send(broker.answers.shift() ?? []));
        return;
      case SEND_MESSAGE: {
        const qos = (argument & 3) % 3;
        const length = this.byte();
        const last = qos > 0 ? this.byte() : 0;
        const packet = message((qos << 1) | (argument & 8), last & 7, TOPICS[argument >> 2], length);
        // In one segment.
        const packets = Array.from({ length: 1 + (last >> 3) }, () => packet).flat();
        return this.onLast((broker) => broker.send(packets));
      }
      case SEND_ACK: {
        const type = [PUBACK, PUBREC, PUBREL, PUBCOMP, UNSUBACK][argument % 5];
        const packetId = this.byte();
        return this.onLast((broker) => broker.send(ack(type, packetId)));
      }
      case SEND_BYTES: {
        const bytes = Array.from({ length: 1 + argument }, () => this.byte());
        return this.onLast((broker) => broker.send(bytes));
      }
      case WAIT:
        if (!this.isInCallback) this.hal.advance(WAITS_MS[argument]);
        return;
      case FAIL:
        return this.onLast((broker) => this.fail(broker, argument));
      case FLOW:
        return this.onLast(({ socket }) => this.flow(socket, argument));
      default:
        if (this.plans.length < 8) this.plans.push(this.byte());
    }
  }

  /** What the application does in a callback. */
  private react(): void {
    const plan = this.plans.shift();
    if (plan === undefined) return;
    this.isInCallback = true;
    this.act(plan);
    this.isInCallback = false;
  }

  private call<T>(method: () => T): T {
    this.isCalling = true;
    const result = method();
    this.isCalling = false;
    return result;
  }

  private onLast(action: (broker: Broker) => void): void {
    this.hear();
    if (this.brokers.length > 0) action(this.broker);
  }

  private connect(autoReconnect: boolean): void {
    // The face refuses that.
    if (this.connection.session.isUp()) return;
    if (!this.call(() => this.connection.connect("broker", 1883, undefined, autoReconnect))) return;
    this.attempts++;
    this.isAttempting = true;
    this.hasRetries ||= autoReconnect;
  }

  private close(): void {
    if (!this.call(() => this.connection.close())) return;
    if (this.isAccepted) this.hasEnded = true;
    else this.isAttempting = false;
  }

  private abort(): void {
    // The session may have ended already, which is then to be told.
    const isEnding = this.isAccepted && this.connection["_outcome"] === 0;
    if (!this.call(() => this.connection.abort())) return;
    if (isEnding) this.hasEnded = true;
    this.isAttempting = false;
  }

  private operate(type: number, operation: () => number): void {
    const isUp = this.connection.session.isUp();
    const result = this.call(operation);
    check(isUp || result < 0, `an operation without a session: ${result}`);
    check(result >= -4 && result <= 65535 && (result <= 0 || type !== 0), `an operation answered ${result}`);
    if (result >= 0) this.operations.push({ type, isSure: true });
    if (type === PUBACK || type === PUBCOMP) this.memory.accepted.add(result);
  }

  private up(argument: number): void {
    this.onLast((broker) => {
      if (broker.isConnected || broker.isEnding || broker.socket.closed) return;
      broker.isConnected = true;
      if (argument === 15) broker.socket.connect();
      else broker.socket.connect(1 + argument * 4);
    });
  }

  private accept(sessionPresent: boolean, returnCode: number): void {
    this.onLast((broker) => broker.send(connack(sessionPresent, returnCode)));
  }

  private fail(broker: Broker, argument: number): void {
    if (broker.isEnding) return;
    broker.isEnding = true;
    const { socket } = broker;
    if (!broker.isConnected) socket.fail((["dns", "refused", "tls", "timeout"] as const)[argument & 3]);
    else if (argument < 6) socket.end();
    else if (argument < 9) socket.endSending();
    else socket.reset();
  }

  private flow(socket: MockSocket, argument: number): void {
    if (argument >= 9) this.memory.isLossy = true;
    if (argument < 3) socket.stall();
    else if (argument < 6) socket.unstall();
    else if (argument < 9) socket.fragment = argument - 6;
    else if (argument < 13) socket.failAfterBytes(this.byte());
    else if (argument < 15) socket.failAfterWrites(argument - 13);
    else this.hal.exhausted = !this.hal.exhausted;
  }

  private hear(): void {
    for (const broker of this.brokers) broker.hear();
    for (const socket of this.hal.sockets.slice(this.brokers.length)) {
      if (this.brokers.length > 0) this.forget(this.broker);
      this.brokers.push(new Broker(socket, this.memory));
      this.broker.hear();
    }
  }

  /** Which PUBREL of those that were sent has been read will not be known any more. */
  private forget({ log, told }: Broker): void {
    for (const { isRelease, packetId } of log.messages.slice(told)) {
      if (isRelease && this.memory.held.has(packetId)) this.memory.held.set(packetId, false);
    }
  }

  /** What must hold between any two calls. */
  private observe(): void {
    this.hear();
    const { connection, options } = this;
    const session = connection.session;
    const { outbox } = session;
    check(outbox.operations + outbox.atOnce <= options.maxOperations, "more operations than maxOperations");
    check(outbox.passed <= outbox.operations && outbox.inflight <= outbox.passed, "the outbox counts wrong");
    check(outbox.arena.length === options.txCapacity && outbox.tail <= options.txCapacity, "the arena grew");
    check(session["_controlEnd"] <= 64 && session["_controlStart"] <= session["_controlEnd"], "acknowledgements grew");
    const received = session.receivedEnd;
    check(received >= 64 && received <= 64 + 2 * options.receiveMaximum, "received packet ids grew");
    check(session.control.length === 64 + 2 * options.receiveMaximum, "the control buffer grew");
    check(session.decoder.filled + connection["_gathered"] <= options.rxCapacity, "the receive buffer is too full");
    check(this.hal.uncaughtErrors.length === 0, "an uncaught error");
    const open = this.hal.sockets.filter(({ closed, over }) => !closed && !over);
    check(open.length <= 1, "a socket was left open");
    if (this.brokers.length > 0 && this.isAccepted && !this.hasEnded) {
      check(this.broker.inflight <= options.maxInflight, "more operations in flight than maxInflight");
    }
  }

  /** Everything comes to its end, and then nothing happens any more. */
  private end(): void {
    this.plans.length = 0;
    this.onLast(({ socket }) => {
      socket.fragment = 0;
      socket.unstall();
    });
    this.hal.settle();
    this.observe();
    for (const { log, socket, isEnding } of this.brokers) {
      // Where no acknowledgement can leave, what stands behind it is not read.
      const isRead = !isEnding && !this.memory.isLossy;
      check(log.error === 0 || socket.closed || !isRead, `went on behind a violation, ${log.error}`);
    }
    this.close();
    this.hal.advance(LONG_MS);
    this.observe();
    check(!this.isAccepted, "a session without an end");
    check(!this.isAttempting || this.hasRetries, "an attempt without an outcome");
    check(this.hal.nextTimerMs === undefined, "a timer is left");
    check(this.hal.sockets.every(({ closed }) => closed), "a socket is left");
    check(!this.call(() => this.connection.abort()), "something is left");
  }
}

function filters(argument: number): Subscriptions {
  const table: Subscriptions = { "t/#": argument & 1 };
  for (let i = 0; i < argument >> 1; i++) table[`${TOPICS[i & 3]}/${i}`] = i % 3;
  return table;
}
