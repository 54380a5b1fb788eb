/** Pings by the application, and pings at regular times. */
import { describe, expect, test } from "@jest/globals";
import type { Client } from "../../src/client.js";
import { withAcknowledge } from "../../src/optional/acknowledge.js";
import type { PingOptions, Pinging } from "../../src/optional/ping.js";
import { withPing } from "../../src/optional/ping.js";
import { withRetry } from "../../src/optional/retry.js";
import { withStreams } from "../../src/optional/streams.js";
import type { DeviceOptions } from "../support/device.js";
import { Device, PINGRESP, ack, message } from "../support/device.js";

/** A device that pings; the answer is an event. */
class PingDevice extends Device {
  whenAnswered: (isThere: boolean) => void = () => undefined;
  private inside = false;

  constructor(options: DeviceOptions = {}, ping?: PingOptions) {
    super({ ...options, extend: (client) => withPing(options.extend?.(client) ?? client, ping) });
  }

  get pinging(): Client & Pinging {
    return this.client as Client & Pinging;
  }

  /** Asks, and has the answer be an event `name: true`. */
  ping(timeoutMs?: number, name = "pong"): boolean {
    this.inside = true;
    const isAsked = this.pinging.ping((client, isThere) => {
      if (this.inside || client !== this.client) this.violations.push("ping's callback inside a call");
      this.events.push(`${name}: ${isThere}`);
      this.whenAnswered(isThere);
    }, timeoutMs);
    this.inside = false;
    return isAsked;
  }
}

describe("ping", () => {
  test("sends PINGREQ at once, and calls with true when PINGRESP comes [MQTT-3.12.4-1]", () => {
    const device = new PingDevice();
    device.up();
    expect(device.ping()).toBe(true);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.hal.advance(1000);
    expect(device.take()).toEqual([]);
    device.send(PINGRESP);
    expect(device.take()).toEqual(["pong: true"]);
    device.send(PINGRESP);
    device.hal.advance(70000);
    expect(device.take().filter((event) => event.startsWith("pong"))).toEqual([]);
  });

  test("calls with false after timeoutMs, and the session goes on", () => {
    const device = new PingDevice();
    device.up();
    expect(device.ping(3000)).toBe(true);
    device.hal.advance(2999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["pong: false"]);
    expect(device.client.connected).toBe(true);
    // One that comes late is the answer to the next that asks.
    expect(device.ping(3000)).toBe(true);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP);
    expect(device.take()).toEqual(["pong: true"]);
  });

  test("waits for the keep alive time by default, when the session ends too [MQTT-3.1.2-24]", () => {
    const device = new PingDevice({ keepalive: 10 });
    device.up();
    device.ping();
    device.hal.advance(9999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    const events = device.take();
    expect(events.filter((event) => event === "pong: false")).toHaveLength(1);
    expect(events).toContain("offline -11");
  });

  test("answers false without a session, while one is being closed, and while an earlier call waits", () => {
    const device = new PingDevice();
    expect(device.ping()).toBe(false);
    device.client.connect("broker");
    expect(device.ping()).toBe(false);
    device.accept();
    expect(device.ping(5000, "first")).toBe(true);
    expect(device.ping(5000, "second")).toBe(false);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP);
    device.hal.advance(10000);
    expect(device.take()).toEqual(["first: true"]);
    device.client.publish("t", "x", 1);
    device.client.close();
    expect(device.ping()).toBe(false);
    device.client.abort();
    expect(device.ping()).toBe(false);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("calls with false when the session ends, before offline, and not again on the next", () => {
    const device = new PingDevice();
    device.up();
    device.ping(5000);
    device.socket.reset();
    expect(device.take()).toEqual(["pong: false", "offline -10"]);
    device.up();
    device.hal.advance(10000);
    expect(device.take()).toEqual([]);
    device.ping(5000);
    device.client.abort();
    expect(device.events).toEqual([]);
    expect(device.take()).toEqual(["pong: false", "offline 0"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("joins a PINGREQ of the keep alive's that is under way", () => {
    const device = new PingDevice({ keepalive: 10 });
    device.up();
    device.hal.advance(9375);
    expect(device.sent()).toEqual(["PINGREQ"]);
    expect(device.ping()).toBe(true);
    expect(device.sent()).toEqual([]);
    device.send(PINGRESP);
    expect(device.take()).toEqual(["pong: true"]);
  });

  test("counts for the keep alive: the next PINGREQ is due as long after it [MQTT-3.1.2-23]", () => {
    const device = new PingDevice({ keepalive: 10 });
    device.up();
    device.hal.advance(5000);
    device.ping();
    device.send(PINGRESP);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.hal.advance(9374);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.take();
  });

  test("waits behind a packet that is half sent; what comes before PINGREQ has left is no answer", () => {
    const device = new PingDevice({ hal: { room: 20 }, extend: (client) => withStreams(client, 16) });
    device.up();
    const streams = device.client as unknown as ReturnType<typeof withStreams>;
    streams.beginPublish("t", 30);
    streams.write(new Uint8Array(10).fill(0x61));
    expect(device.ping()).toBe(true);
    device.send(PINGRESP);
    expect(device.take()).toEqual([]);
    expect(device.sent()).toEqual([]);
    streams.write(new Uint8Array(16).fill(0x61));
    device.hal.settle();
    streams.write(new Uint8Array(4).fill(0x61));
    expect(device.sent()).toEqual([`PUBLISH t=${"a".repeat(30)}`, "PINGREQ"]);
    device.send(PINGRESP);
    expect(device.take()).toEqual(["puback", "pong: true"]);
  });

  test("the time in which a session must answer begins when PINGREQ has left, as with the session's own", () => {
    const device = new PingDevice({ keepalive: 10, hal: { room: 20 } });
    device.up();
    device.socket.stall();
    device.client.publish("t", "x".repeat(20));
    device.ping(20000);
    device.hal.advance(9500);
    device.socket.unstall();
    device.hal.settle();
    expect(device.sent().at(-1)).toBe("PINGREQ");
    device.hal.advance(9000);
    expect(device.client.connected).toBe(true);
    device.hal.advance(1000);
    expect(device.client.connected).toBe(false);
    device.take();
  });

  test("while reading is paused PINGREQ leaves, and the answer is read after it, if it is waited for so long", () => {
    const device = new PingDevice();
    device.up();
    device.client.pause();
    device.ping(5000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP);
    device.hal.advance(5000);
    expect(device.take()).toEqual(["pong: false"]);
    device.client.resume();
    device.hal.settle();
    expect(device.take()).toEqual([]);
    device.client.pause();
    device.ping(5000);
    device.send(PINGRESP);
    device.hal.advance(1000);
    device.client.resume();
    expect(device.take()).toEqual(["pong: true"]);
  });

  test("from inside any callback, its own too, with acknowledgements on all sides of it", () => {
    for (let round = 0; round < 45; round++) {
      const isClosed = round < 15;
      const device = new PingDevice();
      device.up();
      let left = 1;
      device.during.message = () => {
        if (left-- > 0) expect(device.ping()).toBe(true);
      };
      device.socket.stall();
      while (device.socket.room > 0) device.client.publish("t", "y".repeat(Math.min(device.socket.room, 500)));
      const acks = Array.from({ length: isClosed ? round : round - 15 }, (_, i) => ack("PUBREL", i + 1));
      device.send(...acks, message("t", "x", { qos: 1, id: 9 }), ...acks);
      // What was not read by then is not answered any more.
      if (isClosed) device.client.close();
      device.socket.unstall();
      device.hal.settle();
      device.client.close();
      device.hal.advance(3000);
      const lines = device.sent().filter((line) => !line.startsWith("PUBLISH"));
      expect(lines.filter((line) => line === "PINGREQ")).toHaveLength(1);
      if (!isClosed) expect(lines.filter((line) => line.startsWith("PUBCOMP"))).toHaveLength(2 * acks.length);
      expect(lines.at(-1)).toBe("DISCONNECT");
      device.take();
      device.check();
    }
    const device = new PingDevice();
    device.up();
    let left = 3;
    device.whenAnswered = () => {
      if (left-- > 0) expect(device.ping()).toBe(true);
    };
    device.broker.answers = true;
    device.ping();
    device.hal.settle();
    expect(device.take()).toEqual(Array(4).fill("pong: true"));
  });

  test("what its callback throws surfaces, and harms nothing", () => {
    const device = new PingDevice();
    device.up();
    device.whenAnswered = () => {
      throw new Error("callback");
    };
    device.ping();
    device.send(PINGRESP, message("t", "x"));
    expect(device.take()).toEqual(["pong: true", "message t=x"]);
    device.ping(1000);
    device.hal.advance(1000);
    expect(device.take()).toEqual(["pong: false"]);
    expect(device.takeErrors()).toHaveLength(2);
  });

  test("arguments and options are checked by name", () => {
    const device = new PingDevice();
    for (const callback of [undefined, null, 1, {}]) {
      expect(() => device.pinging.ping(callback as never)).toThrow("callback must be a function");
    }
    for (const timeoutMs of [0, 1.5, 2 ** 30 + 1, "1"]) {
      expect(() => device.pinging.ping(() => undefined, timeoutMs as never)).toThrow("timeoutMs must be");
    }
    const { client } = new Device();
    expect(() => withPing(client, { forcePing: 2 as never })).toThrow("forcePing must be 0, 1 or a boolean, not 2");
    expect(() => withPing(client, { force: 1 } as PingOptions)).toThrow('unknown option "force"');
    expect(() => withPing(client, 1 as never)).toThrow("options must be an object, not 1");
    expect("ping" in client).toBe(false);
  });
});

describe("forcePing", () => {
  /** When PINGREQ leaves, in seconds, within a minute in which a message is sent and received each second. */
  function times(forcePing: 0 | 1, options: DeviceOptions = {}): number[] {
    const device = new PingDevice({ keepalive: 10, ...options }, { forcePing });
    device.up();
    const found: number[] = [];
    for (let ms = 0; ms < 60000; ms += 125) {
      device.hal.advance(125);
      if (ms % 1000 === 0) device.client.publish("t", "x");
      for (const line of device.sent()) {
        if (line !== "PINGREQ") continue;
        found.push((ms + 125) / 1000);
        device.send(PINGRESP);
      }
      if (ms % 1000 === 500) device.send(message("t", "y"));
    }
    expect(device.client.connected).toBe(true);
    device.take();
    return found;
  }

  test("0: no PINGREQ while messages leave and come; 1: one each keep alive time", () => {
    expect(times(0)).toEqual([]);
    expect(times(1)).toEqual([9.375, 18.75, 28.125, 37.5, 46.875, 56.25]);
  });

  test("on a clock that wraps", () => {
    expect(times(1, { hal: { now: 0x7fffff00 } })).toEqual([9.375, 18.75, 28.125, 37.5, 46.875, 56.25]);
  });

  test("a ping of the application's counts", () => {
    const device = new PingDevice({ keepalive: 10 }, { forcePing: true });
    device.up();
    device.hal.advance(5000);
    device.ping();
    device.send(PINGRESP);
    device.sent();
    for (let second = 0; second < 9; second++) {
      device.hal.advance(1000);
      device.client.publish("t", "x");
      device.send(message("t", "y"));
    }
    expect(device.sent().filter((line) => line === "PINGREQ")).toEqual([]);
    device.hal.advance(375);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.take();
  });

  test("the time begins with each connection", () => {
    const device = new PingDevice({ keepalive: 10 }, { forcePing: 1 });
    device.up();
    device.hal.advance(9375);
    device.send(PINGRESP);
    device.socket.reset();
    device.hal.advance(100000);
    device.up();
    device.hal.advance(9374);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.take();
  });

  test("beside acknowledgements and retry, in any order", () => {
    for (const turn of [0, 1, 2]) {
      const adds: ((client: Client) => Client)[] = [
        (client) => withPing(client, { forcePing: 1 }),
        (client) => withAcknowledge(client),
        (client) => withRetry(client, { retryIntervalMs: 4000 }),
      ];
      const order = [...adds.slice(turn), ...adds.slice(0, turn)];
      const device = new Device({ keepalive: 10, extend: (client) => order.reduce((made, add) => add(made), client) });
      device.up();
      device.client.publish("t", "x", 1);
      device.send(message("t", "y", { qos: 1, id: 3 }));
      device.sent();
      device.hal.advance(9999);
      (device.client as ReturnType<typeof withAcknowledge>).puback(3);
      expect(device.sent()).toEqual(["PUBLISH t=x q1 #1 dup", "PUBLISH t=x q1 #1 dup", "PINGREQ", "PUBACK #3"]);
      device.take();
      device.check();
    }
  });
});
