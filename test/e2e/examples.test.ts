/** The examples, as they are, against brokers: only where they connect to is another place, and time passes faster. */
import { mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it, jest } from "@jest/globals";
import { tmr } from "../../examples/device-node.js";
import { createNodeHal } from "../../hal/node.js";
import { openStore } from "../../hal/node-store.js";
import type { Hal } from "../../hal/socket.js";
import { AedesBroker } from "../support/aedes.js";
import type { Broker } from "../support/broker.js";
import { HOST } from "../support/broker.js";
import { certificates } from "../support/certificates.js";
import { feed5 } from "../support/feed5.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import type { Publish5 } from "../support/packets5.js";
import { Relay } from "../support/relay.js";
import { ScramBroker } from "../support/scram-broker.js";
import { Signal } from "../support/signal.js";
import { Device, removeDevices } from "./device.js";
import { OF_SNAPSHOT, testLongExamples } from "./long-examples.js";

jest.setTimeout(60000);

type Timer = ReturnType<typeof tmr.create>;

/** One example, running. */
class Run {
  /** What it prints. */
  readonly lines: string[] = [];
  /** Each loses a connection that is there. */
  readonly open = new Set<() => void>();
  readonly clientTimers: ReturnType<Hal["createTimer"]>[] = [];
  isOver = false;
  readonly #timers: Timer[] = [];

  print(...values: unknown[]): void {
    this.lines.push(values.join("\t"));
    signal.notify();
  }

  /** It sleeps deeply, so many microseconds. */
  asleepUs: number | undefined;

  /** Of its timers: seconds become hundredths. */
  createTimer(): Timer {
    const timer = tmr.create();
    const alarm = timer.alarm.bind(timer);
    timer.alarm = (ms, mode, callback) => !this.isOver && alarm(ms / 100, mode, callback);
    this.#timers.push(timer);
    return timer;
  }

  sleep(us: number): void {
    this.asleepUs = us;
    signal.notify();
  }

  /** No timer fires any more, and connections are lost, since a program that has paused would never read on. */
  end(): void {
    this.isOver = true;
    for (const lose of this.open) lose();
    for (const timer of this.clientTimers) timer.clear();
    for (const timer of this.#timers) timer.unregister();
  }
}

let current: Run;
const signal = new Signal();

/**
 * Runs an example to its last line, with its connections to the given port.
 *
 * @param store path of the file that its store is in
 */
async function run(name: string, port: number, store = ""): Promise<void> {
  const hal = createNodeHal();
  const open: Hal["open"] = (_host, _port, secure, handler) => {
    const tls = secure && { ...secure, servername: "broker.test", ca: certificates().ca.cert };
    const socket = hal.open(HOST, port, tls, handler)!;
    const lose = (): void => {
      handler.onError("closed");
      socket.close();
    };
    own.open.add(lose);
    return {
      read: (...range) => socket.read(...range),
      write: (...range) => socket.write(...range),
      close: () => {
        own.open.delete(lose);
        socket.close();
      },
    };
  };
  const own = current;
  jest.resetModules();
  const createTimer: Hal["createTimer"] = (onTimer) => {
    const timer = hal.createTimer(() => {
      if (!own.isOver) onTimer();
    });
    own.clientTimers.push(timer);
    return timer;
  };
  jest.unstable_mockModule("mcu-mqtt/hal", () => ({ default: { ...hal, open, createTimer } }));
  jest.unstable_mockModule("#device", () => ({
    print: (...values: unknown[]) => own.print(...values),
    tmr: { ...tmr, create: () => own.createTimer() },
  }));
  jest.unstable_mockModule("#sleep", () => ({ node: { dsleep: (us: number) => own.sleep(us) } }));
  jest.unstable_mockModule("mcu-mqtt/store", () => ({ openStore: () => openStore(store) }));
  await import(`../../examples/${name}.ts`);
}

function printed(line: string | RegExp, count = 1, by = current): Promise<void> {
  const isIt = (each: string): boolean => (typeof line === "string" ? each === line : line.test(each));
  const times = (): number => by.lines.filter(isIt).length;
  return signal.until(() => times() >= count, () => `"${line}", ${count} times, in: ${by.lines.join("; ")}`);
}

function testExamples(start: () => Promise<Broker>): void {
  let broker: Broker;
  let relay: Relay | undefined;

  beforeAll(async () => {
    broker = await start();
  });

  beforeEach(() => {
    current = new Run();
  });

  afterEach(async () => {
    current.end();
    await relay?.dispose();
    relay = undefined;
    removeDevices();
  });

  afterAll(() => broker?.dispose());

  const watch = async (topic: string): Promise<Device> => {
    const watcher = await new Device().connect(broker.port);
    await watcher.subscribe({ [topic]: 2 });
    return watcher;
  };

  it("nodemcu.ts, NodeMCU's own, prints what it prints there, and leaves its will", async () => {
    relay = await Relay.start(broker.passwordPort);
    const watcher = await watch("/lwt");
    await run("nodemcu", relay.port);
    expect(current.lines).toEqual([]);
    await printed("hello");
    expect(current.lines).toEqual(["connected", "subscribe success", "sent", "/topic:", "hello"]);
    await watcher.publish("/topic", "from outside", 1);
    await watcher.publish("/topic", "", 1);
    await printed("/topic:", 3);
    relay.cut();
    await printed("offline");
    expect(current.lines.slice(5)).toEqual(["/topic:", "from outside", "/topic:", "offline"]);
    await watcher.receive(1);
    expect(watcher.messages).toEqual([{ topic: "/lwt", data: "offline", qos: 0, retain: false, dup: false }]);
  });

  it("nodemcu.ts says why when there is no such broker", async () => {
    await run("nodemcu", broker.clientCertificatePort);
    await signal.until(() => current.lines.length > 0, () => "a line");
    expect(current.lines.join()).toMatch(/^failed reason: -[45]$/);
  });

  it("sensor.ts sends each reading, however often it is cut off", async () => {
    relay = await Relay.start(broker.passwordPort);
    const watcher = await watch("/sensor/temperature");
    await run("sensor", relay.port);
    for (const cuts of [1, 2, 3]) {
      await printed("connected", cuts);
      await watcher.receive(cuts * 10);
      relay.cut();
      await printed("offline", cuts);
    }
    await printed("connected", 4);
    const distinct = (): number[] =>
      [...new Set(watcher.messages.map(({ data }) => Math.round(Number(data) * 10) - 200))];
    await watcher.until(() => distinct().length >= 45, "45 readings");
    // At least once each, and in their order.
    expect(distinct()).toEqual([...distinct().keys()]);
    expect(watcher.messages.every(({ qos }) => qos === 1)).toBe(true);
    expect(current.lines.filter((line) => line.startsWith("failed"))).toEqual([]);
  });

  it("secure.ts says over TLS that it is there, and the broker that it is not", async () => {
    relay = await Relay.start(broker.tlsPort);
    const watcher = await watch("/door/#");
    await run("secure", relay.port);
    await watcher.receive(1);
    expect(watcher.messages[0]).toMatchObject({ topic: "/door/status", data: "online", qos: 1 });
    await watcher.publish("/door/lock", "open", 1, 1); // retained, since it may not have subscribed yet
    await printed("/door/lock: open");
    relay.cut();
    await printed("offline");
    await watcher.until(() => watcher.messages.at(-1)?.data === "offline", "the will");
    const late = await watch("/door/status");
    await late.receive(1);
    expect(late.messages[0]).toMatchObject({ data: "offline", retain: true });
    expect(current.lines).toEqual(["connected", "/door/lock: open", "offline"]);
  });

  testLongExamples({
    broker: () => broker,
    run: async (name, port) => {
      await run(name, port);
      return { lines: current.lines, printed };
    },
    newMemory: () => join(mkdtempSync(join(tmpdir(), "mcu-mqtt-store-")), "session"),
    wakeUp: async (port, path) => {
      const own = (current = new Run());
      await run("sleep", port, path);
      await signal.until(() => own.asleepUs !== undefined, () => "deep sleep");
      expect(own.asleepUs).toBe(60000000);
      own.end();
      return own.lines;
    },
    damage: (path) => {
      const bytes = readFileSync(path);
      bytes[OF_SNAPSHOT] ^= 1;
      writeFileSync(path, bytes);
    },
  });
}

describe("examples with aedes", () => testExamples(() => AedesBroker.start()));

needs("mosquitto", "mosquitto_passwd")("examples with mosquitto", () => testExamples(() => Mosquitto.start()));

/** Examples that run at the same time. */
function testTogether(): { start(name: string, port: number): Promise<Run>; relayTo(port: number): Promise<Relay> } {
  const runs: Run[] = [];
  const relays: Relay[] = [];

  afterEach(async () => {
    for (const each of runs.splice(0)) each.end();
    for (const relay of relays.splice(0)) await relay.dispose();
    removeDevices();
  });

  return {
    async start(name, port) {
      const own = (current = new Run());
      runs.push(own);
      await run(name, port);
      return own;
    },
    async relayTo(port) {
      relays.push(await Relay.start(port));
      return relays.at(-1)!;
    },
  };
}

needs("mosquitto", "mosquitto_passwd")("examples of MQTT 5 with mosquitto", () => {
  const { start, relayTo } = testTogether();
  const READINGS = "/building/2/floor/1/room/7/temperature";
  let broker: Mosquitto;

  beforeAll(async () => {
    broker = await Mosquitto.start();
  });

  afterAll(() => broker?.dispose());

  /** The readings that a sensor has sent on a connection: topic, null when it was left to the alias, and alias. */
  const readings = (relay: Relay, connection: number): [topic: string | null, alias: unknown][] => {
    const sent = feed5("client", relay.connections[connection].sent(true)).packets as Publish5[];
    return sent
      .filter(({ type, qos }) => type === "PUBLISH" && qos === 0)
      .map(({ topicName, properties }) => [topicName, properties?.topicAlias]);
  };

  it("mqtt5-sensor.ts answers mqtt5-display.ts, each time, also behind a lost connection (4.10)", async () => {
    const relay = await relayTo(broker.passwordPort);
    const sensor = await start("mqtt5-sensor", relay.port);
    await printed(/^connected, aliases for [1-9]\d* topics$/, 1, sensor);
    // Whoever asks now is heard.
    await broker.logged("Sending SUBACK to thermometer");
    const display = await start("mqtt5-display", broker.passwordPort);
    await printed(/^temperature: 2\d\.\d as text\/plain$/, 3, display);
    relay.cut();
    await printed("offline", 1, sensor);
    await printed(/^connected/, 2, sensor);
    const before = display.lines.length;
    await signal.until(
      () => display.lines.slice(before).some((line) => line.startsWith("temperature")),
      () => "another answer",
    );
    expect(sensor.lines.filter((line) => line === "answered").length).toBeGreaterThanOrEqual(4);
    expect(display.lines.filter((line) => !/^(connected$|temperature: |no answer: 16$)/.test(line))).toEqual([]);
  });

  it("mqtt5-sensor.ts sends its topic once on each connection [MQTT5-3.3.2-8]", async () => {
    const relay = await relayTo(broker.passwordPort);
    const watcher = await new Device().connect(broker.port);
    await watcher.subscribe({ [READINGS]: 0 });
    const sensor = await start("mqtt5-sensor", relay.port);
    await watcher.receive(5);
    relay.cut();
    await printed(/^connected/, 2, sensor);
    // However many came before the cut.
    await relay.until(() => readings(relay, 1).length >= 4, "four readings on the second connection");
    await watcher.receive(10);
    expect(new Set(watcher.messages.map(({ topic }) => topic))).toEqual(new Set([READINGS]));
    for (const connection of [0, 1]) {
      const [first, ...others] = readings(relay, connection);
      expect(first).toEqual([READINGS, 1]);
      expect(others.length).toBeGreaterThanOrEqual(3);
      expect(others.filter(([topic, alias]) => topic !== null || alias !== 1)).toEqual([]);
    }
  });

  it("mqtt5-display.ts says that nobody is there to answer (3.4.2.1)", async () => {
    const display = await start("mqtt5-display", broker.passwordPort);
    await printed("no answer: 16", 2, display);
    expect(display.lines[0]).toBe("connected");
  });

  it("mqtt5-worker.ts, twice, does each job once (4.8.2)", async () => {
    const workers = [
      await start("mqtt5-worker", broker.passwordPort),
      await start("mqtt5-worker", broker.passwordPort),
    ];
    for (const worker of workers) await printed("ready", 1, worker);
    const boss = await new Device().connect(broker.port);
    const jobs = Array.from({ length: 20 }, (_, i) => `job: ${i}`);
    for (let i = 0; i < 20; i++) await boss.publish("jobs", `${i}`, 1);
    const done = (): string[] => workers.flatMap(({ lines }) => lines.filter((line) => line.startsWith("job")));
    await signal.until(() => done().length >= 20, () => `20 jobs in ${done().join()}`);
    expect(done().sort()).toEqual(jobs.sort());
    for (const { lines } of workers) expect(lines.length).toBeGreaterThan(1);
  });

  it("mqtt5-login.ts says that this broker knows no such method [MQTT5-4.12.0-1]", async () => {
    const door = await start("mqtt5-login", broker.port);
    await printed("refused: Bad authentication method", 1, door);
  });
});

describe("examples/mqtt5-login.ts with a server of SCRAM", () => {
  const { start, relayTo } = testTogether();
  const users = { user: "password" };
  let broker: ScramBroker;

  beforeAll(async () => {
    broker = await ScramBroker.start({ users });
  });

  beforeEach(() => broker.reset({ users }));

  afterAll(() => broker?.dispose());

  it("logs in without sending the password, takes messages, and authenticates again (4.12) (4.12.1)", async () => {
    const relay = await relayTo(broker.port);
    const door = await start("mqtt5-login", relay.port);
    await printed("connected", 1, door);
    await broker.logged("door SUBSCRIBE");
    broker.publish("/door/lock", Buffer.from("open"));
    await printed("authenticated again", 2, door);
    expect(door.lines.slice(0, 3)).toEqual(["connected", "/door/lock: open", "authenticated again"]);
    const exchange = ["AUTH 0x19", "AUTH 0x18", "again"];
    expect(broker.log).toEqual(
      ["CONNECT", "AUTH 0x18", "accepted", "SUBSCRIBE", ...exchange, ...exchange].map((line) => `door ${line}`),
    );
    const sent = relay.connections[0].sent(true).toString("latin1");
    expect(sent).toContain("SCRAM-SHA-256");
    expect(sent).not.toContain("password");
  });

  it.each([
    ["the password is another", { user: "another" }, ["door CONNECT", "door AUTH 0x18", "door refused"]],
    ["the user is not known", { somebody: "password" }, ["door CONNECT", "door refused"]],
  ])("is refused when %s", async (_title, known, log) => {
    broker.reset({ users: known });
    const door = await start("mqtt5-login", broker.port);
    await printed("refused: Not authorized", 1, door);
    expect(broker.log).toEqual(log);
    expect(door.lines).toEqual(["refused: Not authorized"]);
  });

  it.each([
    ["forges its proof", { forgesProof: true }, "the server's proof is wrong: it does not know the user"],
    ["has no proof", { sendsNoProof: true }, "the server's proof is missing"],
    ["wants few iterations", { iterations: 1 }, "fewer iterations than 4096 are not safe"],
  ])("does not trust a server that %s", async (_title, options, reason) => {
    broker.reset({ users, ...options });
    const door = await start("mqtt5-login", broker.port);
    await printed(`failed: SCRAM: ${reason}`, 1, door);
    expect(door.lines).toHaveLength(1);
    await broker.logged("door DISCONNECT 0x83");
  });

  it("is out as soon as it authenticates again with a password that is not right any more (4.12.1)", async () => {
    const door = await start("mqtt5-login", broker.port);
    await printed("authenticated again", 1, door);
    broker.reset({ users: { user: "changed" } });
    await printed("offline", 1, door);
    const from = door.lines.indexOf("disconnected: Not authorized");
    expect(door.lines.slice(from)).toEqual(["disconnected: Not authorized", "not authenticated again", "offline"]);
    expect(broker.log).toEqual(["door AUTH 0x19", "door AUTH 0x18", "door refused"]);
  });

  it("leaves a server that forges its proof when it authenticates again", async () => {
    const door = await start("mqtt5-login", broker.port);
    await printed("connected", 1, door);
    broker.reset({ users, forgesProof: true });
    await printed("offline", 1, door);
    expect(door.lines.slice(-2)).toEqual(["not authenticated again", "offline"]);
    await broker.logged("door DISCONNECT 0x83");
  });
});
