/** A program on XS, below it the HAL of a board with WebSocket, against brokers behind a WebSocket server. */
import { afterAll, afterEach, beforeAll, expect, it, jest } from "@jest/globals";
import type { QoS } from "mcu-mqtt";
import { Device, removeDevices } from "../e2e/device.js";
import type { Outgoing } from "../e2e/device.js";
import { AedesBroker } from "../support/aedes.js";
import type { Broker } from "../support/broker.js";
import { Mosquitto } from "../support/mosquitto.js";
import { XS_ENGINE, needs } from "../support/needs.js";
import { WebSocketRelay } from "../support/websocket-relay.js";
import type { WebSocketRelayOptions } from "../support/websocket-relay.js";
import { Board, WEBSOCKET_PROGRAM } from "./board.js";

jest.setTimeout(60000);

const LENGTHS = [0, 1, 119, 120, 121, 1000, 5000, 16000];
const payloads = LENGTHS.map((length, i) => Buffer.from(Array.from({ length }, (_, at) => (at + i) & 255)));

function testBoards(start: () => Promise<Broker>): void {
  let broker: Broker;
  let relay: WebSocketRelay | undefined;
  let board: Board | undefined;

  beforeAll(async () => {
    broker = await start();
  });

  afterEach(async () => {
    board?.dispose();
    await relay?.dispose();
    board = relay = undefined;
    removeDevices();
  });

  afterAll(() => broker?.dispose());

  const run = async (path: string, options: WebSocketRelayOptions = {}): Promise<Board> => {
    relay = await WebSocketRelay.start(broker.port, { path: "/mqtt", ...options });
    const settings = { url: `ws://broker.test${path}`, lengths: LENGTHS };
    board = await Board.start(WEBSOCKET_PROGRAM, relay.port, settings);
    return board;
  };

  it.each<[string, WebSocketRelayOptions]>([
    ["as they come", {}],
    ["of a byte each", { frames: (bytes) => Array.from(bytes, (byte) => Buffer.of(byte)) }],
  ])("bytes go out and come in unchanged, of any length, at each QoS, in frames %s", async (_title, options) => {
    const watcher = await new Device({ options: { format: "buffer", maxMessageLength: 20000 } }).connect(broker.port);
    await watcher.subscribe({ out: 2, back: 2 });
    const { lines } = await run("/mqtt", options);
    await board!.printed("listens");
    // One behind the other: their order is looked at.
    for (const [i, payload] of payloads.entries()) {
      const message: Outgoing = ["in", payload, (i % 3) as QoS];
      await watcher.publish(...message);
    }
    await watcher.receive(2 * LENGTHS.length);
    await board!.printed("sent", 2 * LENGTHS.length);
    for (const topic of ["out", "back"]) {
      const came = watcher.messages.filter((message) => message.topic === topic);
      const lengths = came.map(({ data }) => data?.length ?? 0).sort((a, b) => a - b);
      expect(lengths).toEqual(LENGTHS);
      for (const { data } of came) {
        expect(data ?? Buffer.alloc(0)).toEqual(payloads[LENGTHS.indexOf(data?.length ?? 0)]);
      }
    }
    expect(lines.filter((line) => line !== "sent")).toEqual(["listens"]);
  });

  it("an attempt fails with -5 at a wrong path, and a session that is cut is offline", async () => {
    await run("/other");
    await board!.until(() => board!.lines.length > 0, () => "a line");
    expect(board!.lines).toEqual(["failed reason: -5"]);
    board!.dispose();
    await relay!.dispose();
    await run("/mqtt");
    await board!.printed("listens");
    relay!.cut();
    await board!.until(() => board!.lines.at(-1)!.startsWith("offline"), () => "offline");
    expect(board!.lines.at(-1)).toBe("offline: -10");
  });
}

needs(XS_ENGINE)("over WebSocket on XS, with aedes,", () => testBoards(() => AedesBroker.start()));
needs(XS_ENGINE, "mosquitto", "mosquitto_passwd")("over WebSocket on XS, with mosquitto,", () => {
  testBoards(() => Mosquitto.start());
});
