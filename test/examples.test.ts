/** The examples, on the scripted network and the hand-cranked clock: what they print, send, and do when things fail. */
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, describe, expect, it, jest } from "@jest/globals";
import type { ServerDecoderHandler } from "../src/server-codec.js";
import { CLIENT_ID, ServerDecoder, ServerEncoder } from "../src/server-codec.js";
import { PUBACK } from "../src/wire.js";
import { print, tmr } from "../examples/device-node.js";
import { MockHal } from "../hal/mock.js";
import type { MockSocket } from "../hal/mock.js";

let hal: MockHal;
/** What the example printed. */
let lines: string[];
/** What `close()` answered. */
let closed: boolean[];

/** A broker with one client: grants everything, gives it back what it publishes where it subscribed. */
class Broker implements ServerDecoderHandler {
  /** What came, one line for each packet. */
  readonly packets: string[] = [];
  /** CONNECT's fields by their number. */
  readonly fields: (string | undefined)[] = [];
  readonly connects: { cleanSession: boolean; keepAliveSeconds: number; willQos: number; willRetain: boolean }[] = [];
  /** The payloads published, without repetitions. */
  readonly readings: string[] = [];
  returnCode = 0;
  sessionPresent = false;
  acknowledges = true;
  readonly #encoder = new ServerEncoder(hal.createText());
  readonly #out = new Uint8Array(2048);
  #filters: { filter: string; qos: number }[] = [];
  readonly #subscribed: string[] = [];
  #message = { topic: "", flags: 0, packetId: 0 };
  #socket: MockSocket | undefined;

  /** Answers everything on this connection. */
  serve(socket: MockSocket): void {
    const decoder = new ServerDecoder(this, new Uint8Array(1024));
    this.#socket = socket;
    socket.onWrite = (bytes) => expect(decoder.push(bytes, 0, bytes.length)).toBe(bytes.length);
    socket.connect();
  }

  publish(topic: string, payload: string): void {
    this.#send(this.#encoder.publish(this.#out, 0, this.#out.length, 0, 0, topic, payload));
  }

  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void {
    if (field === CLIENT_ID) this.fields.length = 0;
    this.fields[field] = hal.createText().decode(bytes, start, end, false);
  }

  onConnect(cleanSession: boolean, keepAliveSeconds: number, willQos: number, willRetain: boolean): void {
    this.packets.push("CONNECT");
    this.connects.push({ cleanSession, keepAliveSeconds, willQos, willRetain });
    this.#send(this.#encoder.connack(this.#out, 0, 4, this.sessionPresent, this.returnCode));
  }

  onUnsupportedLevel(): void {
    throw new Error("another protocol level");
  }

  onTopicFilter(bytes: Uint8Array, start: number, end: number, qos: number): void {
    this.#filters.push({ filter: hal.createText().decode(bytes, start, end, false), qos });
  }

  onSubscribe(packetId: number): void {
    const filters = this.#filters.map(({ filter, qos }) => `${filter} QoS ${qos}`);
    this.packets.push(`SUBSCRIBE ${packetId} ${filters.join()}`);
    this.#subscribed.push(...this.#filters.map(({ filter }) => filter));
    const codes = this.#filters.map(({ qos }) => qos);
    this.#filters = [];
    this.#send(this.#encoder.suback(this.#out, 0, this.#out.length, packetId, codes));
  }

  onUnsubscribe(): void {
    throw new Error("no example unsubscribes");
  }

  onPublish(flags: number, packetId: number, bytes: Uint8Array, topicStart: number, topicEnd: number): void {
    this.#message = { topic: hal.createText().decode(bytes, topicStart, topicEnd, false), flags, packetId };
  }

  onPayload(bytes: Uint8Array, start: number, end: number): void {
    const { topic, flags, packetId } = this.#message;
    const payload = hal.createText().decode(bytes, start, end, false);
    const marks = `QoS ${(flags >> 1) & 3}${flags & 1 ? " retain" : ""}${flags & 8 ? " DUP" : ""}`;
    this.packets.push(`PUBLISH ${packetId} ${topic} ${payload} ${marks}`);
    if (this.readings.at(-1) !== payload) this.readings.push(payload);
    if (packetId !== 0 && this.acknowledges) this.#send(this.#encoder.ack(this.#out, 0, 4, PUBACK, packetId));
    if (this.#subscribed.includes(topic)) this.publish(topic, payload);
  }

  onAck(type: number, packetId: number): void {
    this.packets.push(`ACK ${type} ${packetId}`);
  }

  onPingreq(): void {
    this.#send(this.#encoder.pingresp(this.#out, 0, 2));
  }

  onDisconnect(): void {
    this.packets.push("DISCONNECT");
  }

  #send(end: number): void {
    this.#socket!.receive(this.#out.subarray(0, end));
  }
}

/** `tmr` on the clock of the mock. */
class MockTimer {
  #isRunning = false;

  alarm(ms: number, mode: number, callback: () => void): boolean {
    this.#isRunning = true;
    const fire = (): void => {
      if (!this.#isRunning) return;
      if (mode === 1) hal.after(ms, fire);
      callback();
    };
    hal.after(ms, fire);
    return true;
  }

  unregister(): void {
    this.#isRunning = false;
  }
}

/** Runs an example up to its last line. */
async function run(name: string): Promise<void> {
  jest.resetModules();
  jest.unstable_mockModule("mcu-mqtt/hal", () => ({ default: hal }));
  jest.unstable_mockModule("#device", () => ({
    print: (...values: unknown[]) => lines.push(values.join("\t")),
    tmr: { ALARM_SINGLE: 0, ALARM_AUTO: 1, create: () => new MockTimer() },
  }));
  const { Client } = await import("../src/client.js");
  const close = Client.prototype.close;
  jest.spyOn(Client.prototype, "close").mockImplementation(function (this: InstanceType<typeof Client>) {
    closed.push(close.call(this));
    return closed.at(-1)!;
  });
  await import(`../examples/${name}.ts`);
}

beforeEach(() => {
  hal = new MockHal();
  lines = [];
  closed = [];
});

afterEach(() => {
  jest.restoreAllMocks();
  expect(hal.uncaughtErrors).toEqual([]);
});

describe("examples/nodemcu.ts, the example of NodeMCU's document,", () => {
  it("prints what it prints on NodeMCU, and its close() at the end leaves the attempt alone", async () => {
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    await run("nodemcu");
    expect(closed).toEqual([false]);
    expect(lines).toEqual([]);
    hal.settle();
    expect(lines).toEqual(["connected", "subscribe success", "sent", "/topic:", "hello"]);
    expect(hal.sockets.map(({ host, port, secure }) => [host, port, secure])).toEqual([
      ["192.168.11.118", 1883, undefined],
    ]);
    expect(broker.packets).toEqual(["CONNECT", "SUBSCRIBE 1 /topic QoS 0", "PUBLISH 0 /topic hello QoS 0"]);
    expect(broker.fields).toEqual(["clientid", "/lwt", "offline", "user", "password"]);
    expect(broker.connects).toEqual([{ cleanSession: true, keepAliveSeconds: 120, willQos: 0, willRetain: false }]);
  });

  it("stays connected, and prints each message; an empty one has no data", async () => {
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    await run("nodemcu");
    hal.advance(3600 * 1000);
    lines = [];
    broker.publish("/topic", "from outside");
    broker.publish("/topic", "");
    hal.settle();
    expect(lines).toEqual(["/topic:", "from outside", "/topic:"]);
    expect(broker.packets).toHaveLength(3);
  });

  it("prints offline once when the connection is lost, and does not connect again", async () => {
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    await run("nodemcu");
    hal.settle();
    lines = [];
    hal.socket.reset();
    hal.advance(3600 * 1000);
    expect(lines).toEqual(["offline"]);
    expect(hal.sockets).toHaveLength(1);
  });

  it.each([
    ["-3", "the name is not found", (socket: MockSocket) => socket.fail("dns")],
    ["-5", "nothing listens there", (socket: MockSocket) => socket.fail("refused")],
    ["-2", "no CONNACK comes", (socket: MockSocket) => socket.connect()],
    [
      "5",
      "the login is refused",
      (socket: MockSocket) => {
        const broker = new Broker();
        broker.returnCode = 5;
        broker.serve(socket);
      },
    ],
  ])("prints failed reason: %s once when %s", async (reason, _title, script) => {
    hal.script = script;
    await run("nodemcu");
    hal.advance(3600 * 1000);
    expect(lines).toEqual([`failed reason: ${reason}`]);
  });
});

describe("examples/sensor.ts", () => {
  const PUBLISHED = /^PUBLISH \d+ \/sensor\/temperature (\d+\.\d) QoS 1( DUP)?$/;

  /** The readings of these numbers. */
  function readings(first: number, end: number): string[] {
    return Array.from({ length: end - first }, (_, i) => (20 + ((first + i) % 50) / 10).toFixed(1));
  }

  it("publishes a reading at QoS 1 every two seconds, in a session that is kept", async () => {
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    await run("sensor");
    hal.advance(10000);
    expect(broker.readings).toEqual(readings(0, 6));
    expect(broker.packets.slice(1).every((packet) => PUBLISHED.test(packet))).toBe(true);
    expect(broker.connects).toEqual([{ cleanSession: false, keepAliveSeconds: 30, willQos: 0, willRetain: false }]);
    expect(lines).toEqual(["connected", ...readings(0, 6).map(() => "acknowledged")]);
  });

  it("connects again three seconds after a failure, as long as it fails, and then sends what it kept", async () => {
    hal.script = (socket) => socket.fail("refused");
    await run("sensor");
    hal.advance(8999);
    expect(hal.sockets).toHaveLength(3);
    expect(lines).toEqual(Array(3).fill("failed reason: -5"));
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    hal.advance(1);
    expect(broker.readings).toEqual(readings(0, 5));
  });

  it("connects again three seconds after the connection is lost, and loses no reading", async () => {
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    await run("sensor");
    hal.advance(4000);
    hal.socket.reset();
    hal.advance(2999);
    expect(hal.sockets).toHaveLength(1);
    broker.sessionPresent = true;
    hal.advance(60000);
    expect(hal.sockets).toHaveLength(2);
    expect(broker.readings).toEqual(readings(0, 34));
    expect(lines.filter((line) => line === "connected")).toHaveLength(2);
    expect(lines.filter((line) => line === "offline")).toHaveLength(1);
    expect(lines.filter((line) => line === "acknowledged")).toHaveLength(34);
  });

  it.each([true, false])("repeats what was not acknowledged when the session is present: %s", async (isPresent) => {
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    broker.acknowledges = false;
    await run("sensor");
    hal.advance(4000);
    hal.socket.reset();
    broker.acknowledges = true;
    broker.sessionPresent = isPresent;
    hal.advance(3000);
    const repeated = broker.packets.filter((packet) => packet.endsWith(" DUP"));
    expect(repeated.map((packet) => PUBLISHED.exec(packet)?.[1])).toEqual(readings(0, 3));
    hal.advance(60000);
    expect(new Set(broker.readings)).toEqual(new Set(readings(0, 34)));
    expect(lines.filter((line) => line === "acknowledged")).toHaveLength(34);
  });

  it("keeps the last hundred readings, more than the client has room for, and sends them in order", async () => {
    hal.script = (socket) => socket.fail("unreachable");
    await run("sensor");
    hal.advance(400 * 1000 - 1);
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    hal.advance(60000);
    // Taken at 0, 2, ... 458 s. When the connection came, at 402 s, the last hundred of 201 were there.
    expect(broker.readings).toEqual(readings(101, 230));
  });

  it("tries again when the platform has no socket left", async () => {
    hal.exhausted = true;
    await run("sensor");
    hal.advance(2000);
    expect(lines).toEqual([]);
    hal.exhausted = false;
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    hal.advance(1000);
    expect(broker.readings).toEqual(readings(0, 2));
  });
});

describe("examples/secure.ts", () => {
  it("connects with TLS options, leaves a will, says that it is online, and prints commands", async () => {
    const broker = new Broker();
    hal.script = (socket) => broker.serve(socket);
    await run("secure");
    hal.settle();
    expect([hal.socket.host, hal.socket.port]).toEqual(["broker.example", 8883]);
    expect(hal.socket.secure).toEqual({});
    expect(broker.fields).toEqual(["door", "/door/status", "offline", "user", "password"]);
    expect(broker.connects).toEqual([{ cleanSession: true, keepAliveSeconds: 60, willQos: 1, willRetain: true }]);
    const [, online, subscribe] = broker.packets;
    expect([online, subscribe]).toEqual(["PUBLISH 1 /door/status online QoS 1 retain", "SUBSCRIBE 2 /door/lock QoS 1"]);
    broker.publish("/door/lock", "open");
    hal.socket.reset();
    expect(lines).toEqual(["connected", "/door/lock: open", "offline"]);
  });

  it("prints why it cannot connect", async () => {
    hal.script = (socket) => socket.fail("tls");
    await run("secure");
    hal.settle();
    expect(lines).toEqual(["failed reason: -5"]);
  });
});

const BOARD_EXAMPLES = ["nodemcu", "sensor", "secure", "mqtt5-sensor", "mqtt5-display", "mqtt5-worker"];
const BOARD_IMPORTS = ["mcu-mqtt", "mcu-mqtt/v5", "mcu-mqtt/request", "#device"];

describe.each(BOARD_EXAMPLES)("examples/%s.ts", (name) => {
  const source = readFileSync(new URL(`../examples/${name}.ts`, import.meta.url), "utf8");

  it("imports only what a board has too", () => {
    const imports = source.match(/\bimport\b.*/g)!.map((line) => line.replace(/^import .* from "(.*)";$/, "$1"));
    expect(imports.filter((line) => !BOARD_IMPORTS.includes(line))).toEqual([]);
  });

  it("uses no global of Node", () => {
    const code = source.replace(/\/\*[^]*?\*\/|\/\/.*|"[^"\n]*"/g, "");
    expect(code).not.toMatch(/\b(console|process|Buffer|global(This)?|require|set(Timeout|Interval|Immediate)|fetch)\b/);
  });
});

describe("examples/device-node.ts", () => {
  beforeEach(() => {
    jest.useFakeTimers();
  });

  afterEach(() => {
    jest.useRealTimers();
  });

  it("prints values in one line with tabs, as Lua does", () => {
    const log = jest.spyOn(console, "log").mockImplementation(() => {});
    print("a", 1, true, undefined);
    print();
    expect(log.mock.calls).toEqual([["a\t1\ttrue\tundefined"], [""]]);
  });

  it("has timers that fire once, or again and again until they are stopped", () => {
    const fired: string[] = [];
    expect(tmr.create().alarm(100, tmr.ALARM_SINGLE, () => fired.push("single"))).toBe(true);
    const auto = tmr.create();
    auto.alarm(40, tmr.ALARM_AUTO, (timer) => {
      expect(timer).toBe(auto);
      fired.push("auto");
    });
    jest.advanceTimersByTime(130);
    expect(fired).toEqual(["auto", "auto", "single", "auto"]);
    expect(auto.start()).toBe(false);
    expect([auto.stop(), auto.stop()]).toEqual([true, false]);
    jest.advanceTimersByTime(1000);
    expect(fired).toHaveLength(4);
    expect(auto.start()).toBe(true);
    jest.advanceTimersByTime(40);
    expect(fired).toHaveLength(5);
    auto.unregister();
    expect(auto.start()).toBe(false);
    jest.advanceTimersByTime(1000);
    expect(fired).toHaveLength(5);
    expect(jest.getTimerCount()).toBe(0);
  });

  it("starts a timer anew when it gets another alarm, also in its own callback", () => {
    const fired: string[] = [];
    const timer = tmr.create();
    timer.alarm(10, tmr.ALARM_AUTO, () => fired.push("first"));
    timer.alarm(10, tmr.ALARM_SINGLE, () => {
      fired.push("second");
      timer.alarm(10, tmr.ALARM_SINGLE, () => fired.push("third"));
    });
    jest.advanceTimersByTime(100);
    expect(fired).toEqual(["second", "third"]);
  });
});
