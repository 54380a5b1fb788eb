/** Programs on XS, below them the HAL of a board, against brokers: the examples as they are, and two of the tests'. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { afterAll, afterEach, beforeAll, expect, it, jest } from "@jest/globals";
import type { QoS } from "mcu-mqtt";
import { Device, removeDevices } from "../e2e/device.js";
import type { Message, Outgoing } from "../e2e/device.js";
import { OF_SNAPSHOT, testLongExamples } from "../e2e/long-examples.js";
import { AedesBroker } from "../support/aedes.js";
import type { Broker } from "../support/broker.js";
import { HOST } from "../support/broker.js";
import { Mosquitto } from "../support/mosquitto.js";
import { XS_ENGINE, needs } from "../support/needs.js";
import { Relay } from "../support/relay.js";
import { BROKER_NAME, Board, newFlash } from "./board.js";

jest.setTimeout(60000);

const LEVELS = [0, 1, 2] as const;
/** Where an empty payload ends, and where the length of a packet grows by a byte. */
const LENGTHS = [0, 1, 127, 128, 16383];
const SHORT_TEXTS = ["äöü", "温度 21 °C", "🌡🔥", "\uFEFFwith a mark", "\u{10FFFD}", "tab\tline\nzero\0", "e\u0301"];
const TEXTS = [...SHORT_TEXTS, "長い".repeat(2500)];

/** As programs/echo.ts makes them. */
function counting(length: number, from: number): Buffer {
  return Buffer.from(Array.from({ length }, (_, i) => (from + i) & 255));
}

async function closedPort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, HOST), "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return port;
}

function testBoards(start: () => Promise<Broker>, wrongLogin: number): void {
  let broker: Broker;
  let relay: Relay | undefined;
  let board: Board | undefined;

  beforeAll(async () => {
    broker = await start();
  });

  afterEach(async () => {
    board?.dispose();
    board = undefined;
    await relay?.dispose();
    relay = undefined;
    removeDevices();
  });

  afterAll(() => broker?.dispose());

  const run = async (...settings: Parameters<typeof Board.start>): Promise<Board> => {
    board = await Board.start(...settings);
    return board;
  };

  const watch = async (topic: string, format: "string" | "buffer" = "string"): Promise<Device> => {
    const options = { format, maxMessageLength: 20000, rxCapacity: 65536, txCapacity: 65536 };
    const watcher = await new Device({ options }).connect(broker.port);
    await watcher.subscribe({ [topic]: 2 });
    return watcher;
  };

  it("nodemcu.ts, NodeMCU's own, prints what it prints there, and leaves its will", async () => {
    relay = await Relay.start(broker.passwordPort);
    const watcher = await watch("/lwt");
    const { lines } = await run("examples/nodemcu.ts", relay.port);
    expect(lines).toEqual([]);
    await board!.printed("hello");
    expect(lines).toEqual(["connected", "subscribe success", "sent", "/topic:", "hello"]);
    await watcher.publish("/topic", "from outside", 1);
    await watcher.publish("/topic", "", 1);
    await board!.printed("/topic:", 3);
    relay.cut();
    await board!.printed("offline");
    expect(lines.slice(5)).toEqual(["/topic:", "from outside", "/topic:", "offline"]);
    await watcher.receive(1);
    expect(watcher.messages).toEqual([{ topic: "/lwt", data: "offline", qos: 0, retain: false, dup: false }]);
  });

  it("nodemcu.ts says why when nobody listens: -5", async () => {
    const { lines } = await run("examples/nodemcu.ts", await closedPort());
    await board!.until(() => lines.length > 0, () => "a line");
    expect(lines).toEqual(["failed reason: -5"]);
  });

  it.each([
    ["the name is known and the login right", {}, "connected"],
    ["the password is wrong", { password: "Password" }, `failed reason: ${wrongLogin}`],
    ["the name is not known", { host: "unknown.test" }, "failed reason: -3"],
  ])("an attempt to connect ends as it does elsewhere when %s", async (_when, differing, line) => {
    const settings = { host: BROKER_NAME, username: "user", password: "password", ...differing };
    const { lines } = await run("test/xs/programs/attempt.ts", broker.passwordPort, settings);
    await board!.until(() => lines.length > 0, () => "a line");
    expect(lines).toEqual([line]);
  });

  it("sensor.ts connects again whenever it is cut off; no reading is lost, acknowledged or not", async () => {
    relay = await Relay.start(broker.passwordPort);
    const watcher = await watch("/sensor/temperature");
    const { lines } = await run("examples/sensor.ts", relay.port);
    for (const cuts of [1, 2, 3]) {
      await board!.printed("connected", cuts);
      await watcher.receive(cuts * 10);
      relay.cut();
      await board!.printed("offline", cuts);
    }
    await board!.printed("connected", 4);
    const distinct = (): number[] =>
      [...new Set(watcher.messages.map(({ data }) => Math.round(Number(data) * 10) - 200))];
    await watcher.until(() => distinct().length >= 45, "45 readings");
    // At least once each, and in their order.
    expect(distinct()).toEqual([...distinct().keys()]);
    expect(watcher.messages.every(({ qos }) => qos === 1)).toBe(true);
    // What was acknowledged is there; that readings begin anew after 50 is no matter.
    await board!.printed("acknowledged", 40);
    const acknowledged = Math.min(board!.count("acknowledged"), 50);
    await watcher.until(() => distinct().length >= acknowledged, `${acknowledged} readings`);
    expect(lines.filter((line) => line.startsWith("failed"))).toEqual([]);
  });

  testLongExamples({
    broker: () => broker,
    run: async (name, port, flash) => {
      await run(`examples/${name}.ts`, port, {}, flash);
      return { lines: board!.lines, printed: (line) => board!.printed(line) };
    },
    newMemory: newFlash,
    wakeUp: async (port, flash) => {
      await run("examples/sleep.ts", port, {}, flash);
      await board!.until(() => board!.asleepMs !== undefined, () => "deep sleep");
      expect(board!.asleepMs).toBe(60000);
      const { lines } = board!;
      board!.dispose();
      return lines;
    },
    // Flash that has aged, in whichever slot the snapshot is.
    damage: (flash) => {
      for (let at = 16 + OF_SNAPSHOT; at < flash.length; at += 8192) flash[at] ^= 1;
    },
  });

  /** Messages that programs/echo.ts sends, and that it gets and sends back, as they come to the broker. */
  const exchange = async (
    format: "string" | "buffer",
    out: { qos: QoS; payload: string | number }[],
    back: Outgoing[],
  ): Promise<Message[]> => {
    const [ours, theirs] = await Promise.all([watch("out/#", format), watch("back/#", format)]);
    await run("test/xs/programs/echo.ts", broker.port, { format, out });
    await board!.printed("listens");
    await theirs.send(back);
    await board!.printed("sent", out.length + back.length);
    await ours.receive(out.length);
    await theirs.receive(back.length);
    expect(board!.lines.filter((line) => line !== "sent")).toEqual(["listens"]);
    const topics = [...out.map((_, i) => `out/${i}`), ...back.map(([topic]) => topic.replace("in", "back"))];
    const came = [...ours.messages, ...theirs.messages];
    expect(came.map(({ topic }) => topic).sort()).toEqual([...topics].sort());
    return topics.map((topic) => came.find((message) => message.topic === topic)!);
  };

  it("bytes go out and come in unchanged, of any length, at each QoS", async () => {
    const kinds = LEVELS.flatMap((qos) => LENGTHS.map((length) => ({ qos, length })));
    const came = await exchange(
      "buffer",
      kinds.map(({ qos, length }) => ({ qos, payload: length })),
      kinds.map(({ qos, length }) => [`in/${qos}/${length}`, counting(length, 100 + qos), qos]),
    );
    const expected = [0, 100].flatMap((from) =>
      kinds.map(({ qos, length }) => ({ qos, data: length > 0 ? counting(length, from + qos) : undefined })),
    );
    expect(came.map(({ qos, data }) => ({ qos, data }))).toEqual(expected);
  });

  it("text goes out and comes in unchanged, in any script, at each QoS", async () => {
    const kinds = TEXTS.map((text, i) => ({ qos: (i % 3) as QoS, text }));
    const came = await exchange(
      "string",
      kinds.map(({ qos, text }) => ({ qos, payload: text })),
      kinds.map(({ qos, text }, i) => [`in/größe/温度 🌡/${i}`, text, qos]),
    );
    expect(came.map(({ qos, data }) => ({ qos, text: data }))).toEqual([...kinds, ...kinds]);
  });
}

needs(XS_ENGINE, "mosquitto", "mosquitto_passwd")("on XS, MQTT 5 with mosquitto,", () => {
  const boards: Board[] = [];
  let broker: Mosquitto;

  beforeAll(async () => {
    broker = await Mosquitto.start();
  });

  afterEach(() => {
    for (const board of boards.splice(0)) board.dispose();
    removeDevices();
  });

  afterAll(() => broker?.dispose());

  const run = async (name: string): Promise<Board> => {
    boards.push(await Board.start(`examples/${name}.ts`, broker.passwordPort));
    return boards.at(-1)!;
  };

  it("mqtt5-sensor.ts answers mqtt5-display.ts (4.10)", async () => {
    const sensor = await run("mqtt5-sensor");
    await broker.logged("Sending SUBACK to thermometer");
    const display = await run("mqtt5-display");
    const answers = (): string[] => display.lines.filter((line) => line.startsWith("temperature: 2"));
    await display.until(() => answers().length >= 3, () => `three answers in: ${display.lines.join("; ")}`);
    expect(display.lines.filter((line) => !line.startsWith("temperature: 2"))).toEqual(["connected"]);
    expect(sensor.lines[0]).toMatch(/^connected, aliases for [1-9]\d* topics$/);
    expect(sensor.lines.slice(1, 4)).toEqual(["answered", "answered", "answered"]);
  });

  it("mqtt5-worker.ts does jobs (4.8.2)", async () => {
    const worker = await run("mqtt5-worker");
    await worker.printed("ready");
    const boss = await new Device().connect(broker.port);
    for (let i = 0; i < 5; i++) await boss.publish("jobs", `${i}`, 1);
    await worker.printed("job: 4");
    expect(worker.lines).toEqual(["ready", ...Array.from({ length: 5 }, (_, i) => `job: ${i}`)]);
  });
});

needs(XS_ENGINE)("on XS, with aedes,", () => testBoards(() => AedesBroker.start(), 4));

needs(XS_ENGINE, "mosquitto", "mosquitto_passwd")("on XS, with mosquitto,", () =>
  testBoards(() => Mosquitto.start(), 5),
);
