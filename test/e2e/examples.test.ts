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
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Relay } from "../support/relay.js";
import { Signal } from "../support/signal.js";
import { Device, removeDevices } from "./device.js";
import { OF_SNAPSHOT, testLongExamples } from "./long-examples.js";

jest.setTimeout(30000);

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

function printed(line: string, count = 1): Promise<void> {
  const times = (): number => current.lines.filter((each) => each === line).length;
  return signal.until(() => times() >= count, () => `"${line}", ${count} times, in: ${current.lines.join("; ")}`);
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
