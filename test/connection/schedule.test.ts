/**
 * Random schedules: an application, a network and a broker that do what comes into their heads, and a model that says
 * what must hold all the same. A failure prints its seed; `run(seed, true)` shows every step of it.
 */
import { describe, test } from "@jest/globals";
import type { MockSocket } from "../../hal/mock.js";
import type { EventName } from "../support/device.js";
import { Device, EVENTS, PINGRESP, ack, connack, message, suback } from "../support/device.js";
import type { Packet } from "../support/packets.js";
import type { Random } from "../support/session-harness.js";
import { seeded } from "../support/session-harness.js";

/** An operation that the client accepted. */
interface Operation {
  event: "puback" | "suback" | "unsuback";
  qos: number;
  payload: string;
}

/** A message that the broker has for the client. */
interface Outgoing {
  id: number;
  qos: number;
  text: string;
  /** PUBREC came: only PUBREL is to be sent. */
  isReleased: boolean;
  received: number;
}

/** The broker's end of one connection. */
interface Line {
  socket: MockSocket;
  isUp: boolean;
  isAccepted: boolean;
  /** Packets read of those that were received. */
  read: number;
  answers: Packet[];
  sent: Outgoing[];
}

class Schedule {
  readonly trace: string[] = [];
  private readonly random: Random;
  private readonly device: Device;
  private readonly isPersistent: boolean;
  /** Nothing but QoS 1 and 2, so that each callback can be told from the others; the broker forgets nothing. */
  private readonly isStrict: boolean;
  private readonly limits: { maxOperations: number; txCapacity: number; maxMessageLength: number };
  private readonly lines = new Map<MockSocket, Line>();
  private isCalm = false;
  private depth = 0;

  // What the model knows of the client.
  /** An attempt has no outcome yet; "retry": the client's own. */
  private attempt: "none" | "asked" | "retry" = "none";
  private reconnects = false;
  /** connect came, offline did not. */
  private isOpen = false;
  /** The application ended it. */
  private isEnding = false;
  /** The connection that close() was told to end. */
  private closing: MockSocket | undefined;
  private operations: Operation[] = [];
  private pubacks = 0;
  private published = { acknowledged: 0, unacknowledged: 0 };
  private count = 0;

  // What the broker knows.
  private hasSession = false;
  private readonly ids = new Set<number>();
  private readonly taken = new Map<string, number>();
  private lastTaken = -1;
  private outgoing: Outgoing[] = [];
  private lastId = 0;
  private readonly texts = new Map<string, Outgoing>();

  constructor(seed: number) {
    this.random = seeded(seed);
    this.isPersistent = this.chance(0.5);
    this.isStrict = this.chance(0.5);
    this.limits = {
      maxOperations: this.pick(1, 2, 3, 8),
      txCapacity: this.pick(128, 200, 400, 1000),
      maxMessageLength: this.pick(16, 60, 128, 300),
    };
    this.device = new Device({
      cleansession: this.isPersistent ? 0 : 1,
      keepalive: this.pick(2, 10, 60),
      options: {
        ...this.limits,
        rxCapacity: 128,
        maxInflight: this.pick(1, 2, 3, 16),
        drainTimeoutMs: this.pick(0, 500, 2000),
        connectTimeoutMs: this.pick(1000, 60000),
        ackTimeoutMs: this.pick(3000, 20000, 120000),
      },
      hal: {
        now: this.pick(0, 0x7ffff000, -5000),
        room: this.pick(1, 7, 40, 200, 2920),
        window: this.pick(1, 50, 5840),
      },
    });
    for (const name of EVENTS) this.device.during[name] = (_, value, data) => this.called(name, value, data);
    this.device.hal.script = (socket) => {
      if (this.isCalm) this.connectLine(this.line(socket));
    };
  }

  run(steps: number): void {
    for (let i = 0; i < steps; i++) this.step();
    this.calmDown();
    this.checkCalm();
    this.finish();
  }

  private pick<T>(...values: T[]): T {
    return this.random.pick(values);
  }

  /** 0 to 1, without the latter. */
  private roll(): number {
    return this.random.below(1000) / 1000;
  }

  private chance(of: number): boolean {
    return this.roll() < of;
  }

  private assert(condition: boolean, text: string): void {
    if (!condition) this.fail(text);
  }

  private fail(text: string): void {
    this.device.violations.push(text);
    this.trace.push(`!! ${text}`);
  }

  /** Which operation a callback means is known. It is not where one that was lost may look like one that was not. */
  private get isCertain(): boolean {
    return !this.isPersistent || this.isStrict;
  }

  // The steps.

  private step(): void {
    const { hal } = this.device;
    const roll = this.roll();
    if (roll < 0.35) this.act();
    else if (roll < 0.75) this.network();
    else if (roll < 0.95) {
      const ms = this.pick(0, 1, 50, 400, 1000, 3000, 10000, 40000);
      this.trace.push(`advance ${ms}`);
      hal.advance(ms);
    } else if (roll < 0.97) {
      hal.exhausted = !hal.exhausted;
      this.trace.push(`exhausted ${hal.exhausted}`);
    } else {
      hal.settle();
    }
    this.read();
  }

  /** The application calls something. */
  private act(): void {
    const roll = this.roll();
    if (roll < 0.25) this.connect();
    else if (roll < 0.32) this.close();
    else if (roll < 0.37) this.abort();
    else this.operate();
  }

  private connect(): void {
    const { client, hal } = this.device;
    const wasUp = client.connected;
    const reconnects = this.chance(0.3);
    let result: boolean | string;
    try {
      result = client.connect("broker", 1883, 0, reconnects);
    } catch (error) {
      result = (error as Error).message;
    }
    this.trace.push(`connect(${reconnects}) ${result}`);
    if (wasUp) return this.assert(result === "already connected", `connect answered ${result} in a session`);
    if (result === false) return this.assert(hal.exhausted, "connect answered false though there are sockets");
    this.assert(result === true, `connect threw ${result}`);
    this.attempt = "asked";
    this.reconnects = reconnects;
  }

  private close(): void {
    const { client } = this.device;
    const line = this.open();
    const isAttempt = !this.isOpen && line !== undefined && line.isUp && line.socket !== this.closing;
    const expected = client.connected || isAttempt;
    const result = client.close();
    this.trace.push(`close ${result}`);
    this.assert(result === expected, `close answered ${result}`);
    this.reconnects = false;
    if (result) {
      this.isEnding = this.isOpen;
      this.closing = line?.socket;
      if (!this.isOpen) this.attempt = "none";
    } else if (this.attempt === "retry") {
      this.attempt = "none";
    }
  }

  private abort(): void {
    // Lost, which is still to be told, and to be tried again.
    const isLost = this.isOpen && !this.isEnding && this.reconnects;
    const expected = this.attempt !== "none" || this.open() !== undefined || isLost;
    const result = this.device.client.abort();
    this.trace.push(`abort ${result}`);
    this.assert(result === expected, `abort answered ${result}`);
    this.attempt = "none";
    this.reconnects = false;
    this.isEnding = this.isOpen;
    this.assert(this.open() === undefined, "a socket is open behind abort");
  }

  private operate(): void {
    const { client } = this.device;
    const roll = this.isStrict ? 0 : this.roll();
    const event = roll < 0.7 ? "puback" : roll < 0.85 ? "suback" : "unsuback";
    const qos = this.isStrict ? this.pick<1 | 2>(1, 2) : this.pick<0 | 1 | 2>(0, 1, 2);
    const payload = `${this.count++}:${"x".repeat(this.pick(0, 0, 1, 10, 50, 100))}`;
    const wasUp = client.connected;
    const result = event === "puback" ? client.publish("t", payload, qos, this.chance(0.5))
      : event === "suback" ? client.subscribe({ a: 1, b: 2 })
      : client.unsubscribe("a/#");
    this.trace.push(`${event} ${payload.length} q${qos} ${result}`);
    if (!wasUp) this.assert(!result, `${event} was accepted without a session`);
    else if (this.isCertain && this.operations.length === 0) {
      this.assert(result, `${event} was refused, though nothing waits`);
    }
    if (!result) return;
    this.operations.push({ event, qos, payload });
    if (event === "puback") this.published[qos === 0 ? "unacknowledged" : "acknowledged"]++;
  }

  /** Something happens in the network, or at the broker. */
  private network(): void {
    const line = this.open();
    if (line === undefined) return;
    const { socket } = line;
    const roll = this.roll();
    if (!line.isUp) {
      if (roll < 0.6) this.connectLine(line);
      else if (roll < 0.7) this.end(line, () => socket.fail(this.pick("dns", "refused", "unreachable", "tls")));
      return;
    }
    if (roll < 0.5) this.answer(line, this.pick(1, 1, 2, 100));
    else if (roll < 0.65) this.tell(line);
    else if (roll < 0.7) socket.stall();
    else if (roll < 0.8) socket.unstall();
    else if (roll < 0.85) socket.fragment = this.pick(0, 1, 2, 10);
    else if (roll < 0.88) this.end(line, () => socket.reset());
    else if (roll < 0.9) this.end(line, () => this.pick(() => socket.end(), () => socket.endSending())());
    else if (roll < 0.905) this.end(line, () => socket.receive([0xf0, 0, 1, 2, 3]));
  }

  /** The connection that is open, if there is one. */
  private open(): Line | undefined {
    const open = this.device.hal.sockets.filter((socket) => !socket.closed);
    this.assert(open.length < 2, `${open.length} sockets are open`);
    return open.length === 0 ? undefined : this.line(open[0]);
  }

  private line(socket: MockSocket): Line {
    let line = this.lines.get(socket);
    if (line === undefined) {
      line = { socket, isUp: false, isAccepted: false, read: 0, answers: [], sent: [] };
      this.lines.set(socket, line);
    }
    return line;
  }

  private connectLine(line: Line): void {
    if (line.isUp || line.socket.closed || line.socket.over) return;
    this.trace.push("tcp up");
    line.isUp = true;
    line.socket.connect();
    this.read();
  }

  /** The connection ends: nothing more is answered on it. */
  private end(line: Line, how: () => void): void {
    this.trace.push(`end: ${how.toString().slice(6)}`);
    line.answers = [];
    this.lines.set(line.socket, { ...line, isAccepted: false });
    this.dead.add(line.socket);
    how();
  }

  private readonly dead = new Set<MockSocket>();

  // The broker.

  /** Reads what the client wrote. */
  private read(): void {
    for (const [socket, line] of this.lines) {
      const broker = this.device.brokerOf(socket);
      broker.read();
      while (line.read < broker.packets.length) this.take(line, broker.packets[line.read++]);
      if (socket.closed) this.lines.delete(socket);
    }
  }

  private take(line: Line, packet: Packet): void {
    const put = (...answers: Packet[]): void => {
      if (!this.dead.has(line.socket)) line.answers.push(...answers);
    };
    switch (packet.type) {
      case "CONNECT": {
        const code = !this.isCalm && this.chance(0.1) ? 3 : 0;
        const isPresent = code === 0 && this.isPersistent && this.hasSession && (this.isStrict || this.chance(0.7));
        if (code === 0 && !isPresent) this.forget();
        line.isAccepted = code === 0;
        this.hasSession ||= code === 0;
        put(connack(code, isPresent));
        if (code === 0) {
          for (const outgoing of this.outgoing) {
            line.sent.push(outgoing);
            put(outgoing.isReleased ? ack("PUBREL", outgoing.id) : this.packet(outgoing, true));
          }
        }
        break;
      }
      case "PUBLISH": {
        const operation = Number(packet.payload.split(":")[0]);
        if (packet.qos === 2 && this.ids.has(packet.packetId)) {
          put(ack("PUBREC", packet.packetId));
          break;
        }
        const times = (this.taken.get(packet.payload) ?? 0) + 1;
        this.taken.set(packet.payload, times);
        if (packet.qos !== 1 && this.isStrict) this.assert(times === 1, `${packet.payload} was taken ${times} times`);
        if (times === 1) {
          this.assert(operation > this.lastTaken, `${packet.payload} was overtaken`);
          this.lastTaken = operation;
        }
        if (packet.qos === 2) this.ids.add(packet.packetId);
        if (packet.qos > 0) put(ack(packet.qos === 1 ? "PUBACK" : "PUBREC", packet.packetId));
        break;
      }
      case "PUBREL":
        this.ids.delete(packet.packetId);
        put(ack("PUBCOMP", packet.packetId));
        break;
      case "SUBSCRIBE":
        put(suback(packet.packetId, ...packet.filters.map(([, qos]) => this.chance(0.2) ? 0x80 : qos)));
        break;
      case "UNSUBSCRIBE":
        put(ack("UNSUBACK", packet.packetId));
        break;
      case "PINGREQ":
        put(PINGRESP);
        break;
      case "PUBACK":
      case "PUBCOMP":
        this.outgoing = this.outgoing.filter(({ id }) => id !== packet.packetId);
        break;
      case "PUBREC": {
        const outgoing = this.outgoing.find(({ id }) => id === packet.packetId);
        if (outgoing !== undefined) outgoing.isReleased = true;
        put(ack("PUBREL", packet.packetId));
        break;
      }
      default:
        // DISCONNECT: nothing is answered any more.
        line.answers = [];
        this.dead.add(line.socket);
    }
  }

  private forget(): void {
    this.ids.clear();
    this.outgoing = [];
    this.hasSession = false;
  }

  private packet(outgoing: Outgoing, dup: boolean): Packet {
    const { id, qos, text } = outgoing;
    return message("m", text, { qos, id, dup: dup && qos > 0 });
  }

  /** The broker has a message for the client. */
  private tell(line: Line): void {
    if (!line.isAccepted || this.dead.has(line.socket) || this.outgoing.length > 7) return;
    const qos = this.pick(0, 1, 2);
    // What overflows is told before it is complete, so at QoS 2 perhaps twice.
    const length = qos === 2 ? 0 : this.pick(0, 0, 5, 100, 400);
    const text = `m${this.count++}:${"y".repeat(length)}`;
    const id = qos === 0 ? 0 : this.lastId = this.lastId % 65535 + 1;
    const outgoing = { id, qos, text, isReleased: false, received: 0 };
    this.texts.set(text.split(":")[0], outgoing);
    if (qos > 0) this.outgoing.push(outgoing);
    line.sent.push(outgoing);
    line.answers.push(this.packet(outgoing, false));
  }

  /** Sends the next answers, in one segment or several. */
  private answer(line: Line, count: number): void {
    const { socket } = line;
    const answers = line.answers.splice(0, count);
    if (answers.length === 0 || socket.closed || socket.over) return;
    this.trace.push(`answer ${answers.map(({ type }) => type).join(" ")}`);
    const bytes = this.device.brokerOf(socket).bytes(...answers);
    const at = this.pick(0, bytes.length, this.random.below(bytes.length));
    socket.receive(bytes.subarray(0, at));
    // What the client did meanwhile may have ended it.
    if (!socket.closed && !socket.over) socket.receive(bytes.subarray(at));
  }

  // What the application hears.

  private called(name: EventName, value: unknown, data: unknown): void {
    this.trace.push(`-> ${name} ${String(value)}`);
    switch (name) {
      case "connect":
        this.assert(this.attempt !== "none" && !this.isOpen, "connect without an attempt");
        this.attempt = "none";
        this.isOpen = true;
        break;
      case "connfail":
        this.assert(this.attempt !== "none" && !this.isOpen, "connfail without an attempt");
        this.attempt = this.attempt === "retry" && this.reconnects ? "retry" : "none";
        break;
      case "offline":
        this.assert(this.isOpen, "offline without a session");
        this.isOpen = false;
        // An attempt may wait for just this.
        if (this.attempt === "none" && this.reconnects && !this.isEnding) this.attempt = "retry";
        this.isEnding = false;
        if (!this.isPersistent) this.operations = [];
        else this.operations = this.operations.filter(({ event, qos }) => event === "puback" && qos > 0);
        break;
      case "message":
      case "overflow":
        this.received(name, data);
        break;
      default:
        this.done(name);
    }
    if (this.depth === 0 && !this.isCalm && this.chance(0.3)) {
      this.depth++;
      for (let i = this.pick(1, 1, 2, 3); i > 0; i--) this.act();
      this.depth--;
    }
  }

  private received(name: EventName, data: unknown): void {
    const text = String(data);
    const outgoing = this.texts.get(text.split(":")[0]);
    if (outgoing === undefined) return this.fail(`the message ${text} was never sent`);
    const length = Buffer.byteLength(outgoing.text) + (outgoing.qos > 0 ? 7 : 5);
    const total = length > 129 ? length + 1 : length;
    this.assert((name === "overflow") === (total > this.limits.maxMessageLength), `${name} of ${total} bytes`);
    this.assert(outgoing.text.startsWith(text), `${text} instead of ${outgoing.text}`);
    if (name === "message") this.assert(outgoing.text === text, `${text} instead of ${outgoing.text}`);
    outgoing.received++;
    const isOnce = outgoing.qos === 0 || (outgoing.qos === 2 && this.isStrict);
    if (isOnce) this.assert(outgoing.received === 1, `${text} came ${outgoing.received} times`);
  }

  private done(name: EventName): void {
    if (name === "puback") this.pubacks++;
    if (!this.isCertain) {
      const { acknowledged, unacknowledged } = this.published;
      this.assert(this.pubacks <= acknowledged + unacknowledged, "more pubacks than publishes");
      const index = this.operations.findIndex(({ event }) => event === name);
      if (index >= 0) this.operations.splice(index, 1);
      return;
    }
    if (!this.device.client.connected && !this.isPersistent) {
      // The session may be over: what was not done is dropped, what was is told before offline.
      const index = this.operations.findIndex(({ event }) => event === name);
      this.assert(index >= 0, `${name} without an operation`);
      this.operations.splice(0, index + 1);
      return;
    }
    const operation = this.operations.shift();
    if (operation === undefined) return this.fail(`${name} without an operation`);
    this.assert(operation.event === name, `${name} instead of ${operation.event}`);
    if (operation.event === "puback" && operation.qos > 0) {
      this.read();
      this.assert(this.taken.has(operation.payload), `puback for ${operation.payload}, which the broker has not`);
    }
  }

  // The end.

  /** From now on all goes well: the network takes everything, and the broker answers. */
  private calmDown(): void {
    const { hal } = this.device;
    this.trace.push("calm");
    this.isCalm = true;
    hal.exhausted = false;
    for (let i = 0; i < 260 && !this.isAtRest(); i++) {
      for (let round = 0; round < 20; round++) {
        const line = this.open();
        if (line === undefined) break;
        if (!line.isUp) this.connectLine(line);
        line.socket.unstall();
        line.socket.fragment = 0;
        this.read();
        if (line.answers.length === 0) break;
        this.answer(line, 100);
        this.read();
      }
      hal.advance(1000);
      this.read();
    }
  }

  /** Nothing is to come any more but keepalive. */
  private isAtRest(): boolean {
    const { client, hal } = this.device;
    hal.settle();
    this.read();
    if (this.attempt !== "none" || client.connected !== this.isOpen) return false;
    const line = this.open();
    if (line === undefined) return hal.nextTimerMs === undefined;
    return this.operations.length === 0 && line.answers.length === 0 && !this.dead.has(line.socket);
  }

  private checkCalm(): void {
    const { client, hal } = this.device;
    this.assert(this.attempt === "none", `an attempt has no outcome (${this.attempt})`);
    this.assert(client.connected === this.isOpen, "connected and the callbacks do not agree");
    this.assert((hal.nextTimerMs !== undefined) === this.isOpen, "the timer");
    if (!this.isOpen) return;
    if (this.isCertain) this.assert(this.operations.length === 0, `${this.operations.length} operations are not done`);
    const line = this.open();
    for (const outgoing of line?.sent ?? []) this.assert(outgoing.received > 0, `${outgoing.text} was not received`);
  }

  /** Once more from the start, with everything accepted so far to be done; then an orderly end. */
  private finish(): void {
    const { client, hal } = this.device;
    if (!this.isOpen) {
      this.connect();
      this.calmDown();
      this.assert(this.isOpen, "no session, though all goes well");
      this.checkCalm();
    }
    const { acknowledged, unacknowledged } = this.published;
    if (this.isPersistent) {
      this.assert(this.pubacks >= acknowledged, `${this.pubacks} of ${acknowledged} publishes were confirmed`);
      this.assert(this.pubacks <= acknowledged + unacknowledged, "more pubacks than publishes");
    }
    this.operations = [];
    for (let i = 0; i < this.limits.maxOperations && i < 5; i++) {
      const payload = `${this.count++}:`;
      this.assert(client.publish("t", payload, 1), "the queue is not empty");
      this.operations.push({ event: "puback", qos: 1, payload });
      this.published.acknowledged++;
    }
    this.calmDown();
    this.assert(this.operations.length === 0, "operations are not done");
    this.close();
    this.calmDown();
    this.assert(!this.isOpen, "no offline behind close");
    this.assert(hal.nextTimerMs === undefined, "the timer is armed");
    this.assert(this.device.broker.packets.at(-1)?.type === "DISCONNECT", "the end is not DISCONNECT");
    this.device.check();
  }
}

/** Runs one schedule; throws with its seed and its last steps. */
function run(seed: number, isVerbose = false): void {
  const schedule = new Schedule(seed);
  try {
    schedule.run(80);
  } catch (error) {
    const last = schedule.trace.findIndex((line) => line.startsWith("!!")) + 1 || schedule.trace.length;
    const steps = schedule.trace.slice(isVerbose ? 0 : Math.max(0, last - 40), last);
    throw new Error(`Seed ${seed}\n${steps.join("\n")}`, { cause: error });
  }
}

describe("Whatever application, network and broker do, each attempt has one outcome, each session one offline", () => {
  test.each([0, 1, 2, 3])(
    "each operation one callback; nothing accepted is lost, nothing is stuck; seeds from %p000 on " +
    "(contract 4: one-outcome, 4: offline-once, 5: loss, 3: slots)",
    (thousand) => {
      for (let seed = thousand * 1000; seed < thousand * 1000 + 1000; seed++) run(seed);
    },
  );
});
