/**
 * Links that are dead though nobody said so, links that are slow, and clocks that jump while a device sleeps: a dead
 * one is found in the time that the titles say, a live one is not given up. On the public client, with a keepalive of
 * 16 s.
 */
import { describe, expect, test } from "@jest/globals";
import type { DeviceOptions } from "../support/device.js";
import { Device, PINGRESP, ack, letters, message } from "../support/device.js";

const KEEPALIVE_MS = 16000;
/** PINGREQ is due a sixteenth early, and PINGRESP overdue a keepalive after that. */
const FOUND_MS = KEEPALIVE_MS * 31 / 16;
const HOUR_MS = 3600000;
const DAY_MS = 24 * HOUR_MS;

/** What comes first when a device wakes that slept beyond its timer. */
const ORDERS = ["the socket first", "the timer first", "the timer as late as it slept"] as const;
type Order = typeof ORDERS[number];

/** A device with a session, whose clock may jump. */
class Link {
  readonly device: Device;
  /** When the session ended, and how. */
  readonly ends: [atMs: number, how: string][] = [];
  /** What the jumps have added to the clock of the mock. */
  private sleptMs = 0;
  private elapsedMs = 0;
  private readMs: number;

  constructor(options: DeviceOptions = {}) {
    const device = this.device = new Device({ keepalive: KEEPALIVE_MS / 1000, ...options });
    const now = device.hal.now.bind(device.hal);
    this.readMs = now();
    Object.defineProperty(device.hal, "now", { value: () => (now() + this.sleptMs) | 0 });
    device.during.offline = () => this.ends.push([this.nowMs, device.events.pop()!]);
    device.up();
  }

  /** Time since the session was up, by the device's clock. */
  get nowMs(): number {
    const ms = this.device.hal.now();
    this.elapsedMs += (ms - this.readMs) | 0;
    this.readMs = ms;
    return this.elapsedMs;
  }

  /** Time passes, in steps, `onStep` being called behind each. */
  pass(ms: number, stepMs = ms, onStep?: () => void): void {
    for (let left = ms; left > 0; left -= stepMs) {
      this.turn(Math.min(stepMs, left));
      onStep?.();
    }
  }

  /** The broker answers from now on. */
  answer(): void {
    this.device.broker.answers = true;
  }

  /** Nothing comes from now on. */
  die(): void {
    this.device.broker.answers = false;
  }

  /**
   * The device sleeps: its clock goes on, and nothing is called. When it wakes, `wake` is what waits in the socket, and
   * the timer fires if it is due.
   */
  sleep(ms: number, order: Order, wake: () => void): void {
    const { hal } = this.device;
    hal.settle();
    const leftMs = hal.nextTimerMs!;
    if (order === "the timer first" && leftMs <= ms) {
      this.sleptMs += ms - leftMs;
      this.turn(leftMs);
      wake();
    } else {
      this.sleptMs += ms;
      wake();
      hal.settle();
      // Is it still the one that was set before? Then it fires now, by the device's clock.
      if (order !== "the timer as late as it slept" && hal.nextTimerMs === leftMs) {
        const atOnceMs = Math.min(ms, leftMs);
        this.sleptMs -= atOnceMs;
        this.turn(atOnceMs);
      }
    }
    void this.nowMs;
  }

  private turn(ms: number): void {
    this.device.hal.advance(ms);
    void this.nowMs;
  }
}

/** Multiples of a step. */
function steps(from: number, to: number, step: number): number[] {
  return Array.from({ length: Math.floor((to - from) / step) + 1 }, (_, i) => from + i * step);
}

describe("A link that dies", () => {
  test("while idle is found 31/16 of the keepalive after the last PINGRESP (contract 5: keepalive)", () => {
    for (const diesMs of steps(0, 64000, 500)) {
      const link = new Link();
      link.answer();
      link.pass(diesMs);
      link.die();
      link.pass(100000);
      expect(link.ends).toEqual([[Math.floor(diesMs / 15000) * 15000 + FOUND_MS, "offline -11"]]);
    }
  });

  test("while messages leave at QoS 0 is found 31/16 of the keepalive after the last byte came, whether the network " +
    "takes them or not (contract 5: keepalive)", () => {
    for (const stallsMs of [...steps(0, 31000, 500), Infinity]) {
      for (const payload of ["", letters(100), letters(1500)]) {
        const link = new Link({ hal: { room: 2000 } });
        link.device.client.on("puback", null);
        link.device.hal.after(stallsMs, () => link.device.socket.stall());
        link.pass(100000, 1000, () => link.device.client.publish("t", payload));
        expect(link.ends).toEqual([[FOUND_MS, "offline -11"]]);
      }
    }
  });

  test("while messages wait for PUBACK is found 31/16 of the keepalive after the last byte came " +
    "(contract 5: keepalive)", () => {
    for (const diesMs of steps(0, 40000, 500)) {
      const link = new Link();
      link.answer();
      let lastMs = 0;
      link.pass(diesMs, 500, () => {
        if (link.nowMs % 2000 !== 0) return;
        link.device.client.publish("t", "x", 1);
        lastMs = link.nowMs;
      });
      link.device.hal.settle();
      link.die();
      link.pass(100000, 500, () => link.device.client.publish("t", "x", 1));
      expect(link.ends).toEqual([[lastMs + FOUND_MS, "offline -11"]]);
      expect(link.device.take().filter((line) => line !== "puback")).toEqual([]);
    }
  });

  test("while messages come is found 31/16 of the keepalive after the last PINGRESP (contract 5: keepalive)", () => {
    for (const diesMs of steps(500, 64500, 1000)) {
      const link = new Link();
      link.answer();
      link.pass(diesMs, 500, () => link.device.send(message("t", "")));
      link.die();
      link.pass(100000);
      expect(link.ends).toEqual([[Math.floor(diesMs / 15000) * 15000 + FOUND_MS, "offline -11"]]);
      link.device.events.length = 0;
    }
  });

  test("in one direction, messages still coming, is found 31/16 of the keepalive after the last PINGRESP " +
    "(contract 5: keepalive)", () => {
    for (const diesMs of steps(500, 64500, 1000)) {
      const link = new Link();
      link.answer();
      link.pass(diesMs);
      link.die();
      link.pass(100000, 700, () => link.device.send(message("t", "")));
      expect(link.ends).toEqual([[Math.floor(diesMs / 15000) * 15000 + FOUND_MS, "offline -11"]]);
      link.device.events.length = 0;
    }
  });

  test("in one direction, so that nothing leaves, is found 31/16 of the keepalive after the last byte left " +
    "(contract 5: keepalive)", () => {
    for (const stallsMs of steps(500, 40500, 1000)) {
      const link = new Link({ hal: { room: 100 } });
      const { device } = link;
      let lastMs = 0;
      let unread = 0;
      link.pass(100000, 500, () => {
        if (link.nowMs === stallsMs) device.socket.stall();
        const { room } = device.socket;
        device.send(message("t", "", { qos: 1, id: 7 }));
        if (link.nowMs < stallsMs || device.socket.room < room) lastMs = link.nowMs;
        unread = device.socket.unread;
      });
      // Of 100 bytes the last was taken 25 PUBACKs later, and reading stopped when 15 more could not leave.
      expect(lastMs).toBe(stallsMs + 12000);
      expect(unread).toBeGreaterThan(0);
      expect(link.ends).toEqual([[lastMs + FOUND_MS, "offline -11"]]);
      device.events.length = 0;
    }
  });
});

describe("A link on which a packet is long under way", () => {
  const LONG = letters(400);

  test("stays up while PINGRESP waits behind a message that comes byte by byte (contract 5: keepalive)", () => {
    for (const stepMs of [500, 7000, 15900]) {
      const link = new Link();
      const { device } = link;
      const bytes = device.broker.bytes(message("t", LONG.slice(0, 200000 / stepMs)));
      let next = 0;
      link.pass(bytes.length * stepMs, stepMs, () => device.socket.receive(bytes.subarray(next, ++next)));
      device.send(PINGRESP);
      link.answer();
      link.pass(100000);
      expect(device.take()).toHaveLength(1);
      expect(link.ends).toEqual([]);
      expect(device.client.connected).toBe(true);
    }
  });

  test("is found dead at the latest 31/16 of the keepalive after the last byte of it came " +
    "(contract 5: keepalive)", () => {
    const after: number[] = [];
    for (const count of steps(1, 150, 1)) {
      const link = new Link();
      const { device } = link;
      const bytes = device.broker.bytes(message("t", LONG)).subarray(0, count);
      let next = 0;
      link.pass(count * 500, 500, () => device.socket.receive(bytes.subarray(next, ++next)));
      const lastMs = link.nowMs;
      link.pass(100000);
      expect(link.ends.map(([, how]) => how)).toEqual(["offline -11"]);
      after.push(link.ends[0][0] - lastMs);
    }
    expect(Math.max(...after)).toBeLessThanOrEqual(FOUND_MS);
    expect(Math.max(...after)).toBeGreaterThan(FOUND_MS - 1000);
    // PINGREQ had left before that byte came.
    expect(Math.min(...after)).toBeGreaterThan(KEEPALIVE_MS - 1000);
  });

  test("stays up while PINGREQ waits behind a message that leaves byte by byte (contract 5: keepalive)", () => {
    for (const stepMs of [500, 7000, 15900]) {
      const link = new Link({ hal: { room: 1 } });
      const { device } = link;
      device.socket.stall();
      const length = Math.floor(200000 / stepMs);
      device.client.publish("t", LONG.slice(0, length));
      link.pass(length * stepMs, stepMs, () => device.socket.drain(1));
      expect(device.sent()).toEqual([]);
      link.answer();
      device.socket.unstall();
      expect(device.sent().map((line) => line.slice(0, 7))).toEqual(["PUBLISH", "PINGREQ"]);
      link.pass(100000);
      expect(device.take()).toEqual(["puback"]);
      expect(device.client.connected).toBe(true);
    }
  });

  test("is found dead 31/16 of the keepalive after the last byte came, or one keepalive after the last byte of it " +
    "left (contract 5: keepalive)", () => {
    for (const count of steps(1, 150, 1)) {
      const link = new Link({ hal: { room: 16 } });
      const { device } = link;
      device.socket.stall();
      device.client.publish("t", LONG);
      link.pass(count * 500, 500, () => device.socket.drain(1));
      link.pass(100000);
      expect(link.ends).toEqual([[Math.max(FOUND_MS, count * 500 + KEEPALIVE_MS), "offline -11"]]);
    }
  });
});

/** What is under way when the device falls asleep. */
const NOTHING = (link: Link): void => link.pass(5000);
const PING = (link: Link): void => {
  link.pass(15100);
  expect(link.device.sent()).toEqual(["PINGREQ"]);
};
const ACKNOWLEDGEMENT = (link: Link): void => {
  link.pass(4000);
  link.device.client.publish("t", "x", 1);
  link.pass(1000);
};
const HALF_RECEIVED = (link: Link): void => {
  link.device.socket.receive(link.device.broker.bytes(message("t", "x")).subarray(0, 4));
  link.pass(5000);
};
const HALF_SENT = (link: Link): void => {
  link.device.socket.stall();
  link.device.client.on("puback", null);
  for (let i = 0; i < 2; i++) link.device.client.publish("t", letters(1500));
  link.pass(5000);
  expect(link.device.socket.room).toBe(0);
};

const JUMPS_MS = [1000, 8000, 15800, 17000, 33000, HOUR_MS, 20 * DAY_MS];
/** The clock when the device starts: after ten seconds it becomes negative, or wraps. */
const STARTS_MS = [0, 2 ** 31 - 10000, 2 ** 32 - 10000];

/** Each jump on each clock, in each order. */
function everySleep(
  jumpsMs: readonly number[],
  orders: readonly Order[],
  sleep: (now: number, ms: number, order: Order) => void,
): void {
  for (const now of STARTS_MS) for (const ms of jumpsMs) for (const order of orders) sleep(now, ms, order);
}

/** It is up, and stays it with a broker that answers. */
function expectAlive(link: Link): void {
  link.pass(100000);
  expect(link.ends).toEqual([]);
  expect(link.device.client.connected).toBe(true);
}

describe("A link that outlives a sleep, of a second, of hours, of 20 days, stays up", () => {
  test("when nothing was under way, and the broker answers at once (contract 5: keepalive)", () => {
    everySleep(JUMPS_MS, ORDERS, (now, ms, order) => {
      const link = new Link({ hal: { now } });
      NOTHING(link);
      link.answer();
      link.sleep(ms, order, () => link.device.send(message("t", "x")));
      expectAlive(link);
      expect(link.device.take()).toEqual(["message t=x"]);
    });
  });

  test("when nothing was under way, and the broker takes a keepalive for its answer (contract 5: keepalive)", () => {
    everySleep(JUMPS_MS, ORDERS, (now, ms, order) => {
      const link = new Link({ hal: { now } });
      NOTHING(link);
      link.sleep(ms, order, () => undefined);
      const { device } = link;
      for (let left = 20000; !device.sent().includes("PINGREQ") && left > 0; left -= 100) link.pass(100);
      link.pass(KEEPALIVE_MS - 100);
      expect(device.client.connected).toBe(true);
      device.send(PINGRESP);
      link.answer();
      expectAlive(link);
    });
  });

  test.each([
    ["PINGRESP", PING, PINGRESP, []],
    ["an acknowledgement", ACKNOWLEDGEMENT, ack("PUBACK", 1), ["puback"]],
  ])("when %s waits in the socket, and is read before the timer fires (contract 5: keepalive)", (
    _, begin, answer, told,
  ) => {
    everySleep(JUMPS_MS, ["the socket first", "the timer as late as it slept"], (now, ms, order) => {
      const link = new Link({ hal: { now } });
      begin(link);
      link.answer();
      link.sleep(ms, order, () => link.device.send(answer));
      expectAlive(link);
      expect(link.device.take()).toEqual(told);
    });
  });

  test.each([
    ["PINGRESP", PING, PINGRESP, [], 15800],
    ["an acknowledgement", ACKNOWLEDGEMENT, ack("PUBACK", 1), ["puback"], 30900],
  ])("when %s waits in the socket, and is not overdue, in any order (contract 5: keepalive)", (
    _, begin, answer, told, longestMs,
  ) => {
    everySleep([1000, 8000, 15800, longestMs], ORDERS, (now, ms, order) => {
      const link = new Link({ hal: { now } });
      begin(link);
      link.answer();
      link.sleep(ms, order, () => link.device.send(answer));
      expectAlive(link);
      expect(link.device.take()).toEqual(told);
    });
  });
});

describe("A link that dies in a sleep, of a second, of hours, of 20 days, is found", () => {
  test.each([
    ["nothing", NOTHING, message("t", "last")],
    ["a ping", PING, PINGRESP],
    ["an acknowledgement", ACKNOWLEDGEMENT, ack("PUBACK", 1)],
    ["a message half received", HALF_RECEIVED, undefined],
    ["a message half sent", HALF_SENT, message("t", "last")],
  ])("at the latest 31/16 of the keepalive after it, once, when %s was under way (contract 5: keepalive)", (
    _, begin, last,
  ) => {
    everySleep(JUMPS_MS, ORDERS, (now, ms, order) => {
      for (const isThere of [false, true]) {
        const link = new Link({ hal: { now } });
        begin(link);
        const wokenMs = link.nowMs + ms;
        link.sleep(ms, order, () => {
          if (!isThere) return;
          if (last === undefined) link.device.socket.receive([0x74]);
          else link.device.send(last);
        });
        link.pass(200000);
        expect(link.ends).toHaveLength(1);
        const [[endMs, how]] = link.ends;
        expect(["offline -11", "offline -12"]).toContain(how);
        const afterMs = endMs - wokenMs;
        expect(afterMs).toBeGreaterThanOrEqual(0);
        expect(afterMs).toBeLessThanOrEqual(FOUND_MS);
        expect(link.device.hal.nextTimerMs).toBeUndefined();
        link.device.events.length = 0;
      }
    });
  });
});
