/** `withSubscriptions`: what the broker has granted, and nothing else. */
import { describe, expect, test } from "@jest/globals";
import type { Client, QoS } from "../../src/client.js";
import type { Outcomes } from "../../src/optional/outcomes.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import { withSnapshot } from "../../src/optional/snapshot.js";
import { withStreams } from "../../src/optional/streams.js";
import type { Subscribing, SubscriptionOptions } from "../../src/optional/subscriptions.js";
import { withSubscriptions } from "../../src/optional/subscriptions.js";
import { Device, ack, suback } from "../support/device.js";
import type { DeviceOptions } from "../support/device.js";

class SubscribingDevice extends Device {
  constructor(options: DeviceOptions = {}, settings?: SubscriptionOptions) {
    super({ extend: (client) => withSubscriptions(client, settings), ...options });
  }

  get list(): Record<string, number> {
    return { ...(this.client as Client & Subscribing).subscriptions() };
  }

  /** Subscribes, and has the broker answer with these codes. */
  grant(table: Record<string, QoS>, ...codes: number[]): void {
    expect(this.client.subscribe(table)).toBe(true);
    this.answer9(...codes);
  }

  /** The broker answers the SUBSCRIBE or UNSUBSCRIBE that was written last. */
  answer9(...codes: number[]): void {
    const packetId = Number(/#(\d+)/.exec(this.sent().at(-1)!)![1]);
    this.send(codes.length > 0 ? suback(packetId, ...codes) : ack("UNSUBACK", packetId));
    this.take();
  }
}

const PERSISTENT: DeviceOptions = { cleansession: 0 };

describe("subscriptions", () => {
  test("has each filter from its SUBACK on, with the QoS that was granted, before the callback of suback", () => {
    const device = new SubscribingDevice().up();
    const lists: unknown[] = [];
    device.during.suback = () => lists.push(device.list);
    expect(device.list).toEqual({});
    expect(device.client.subscribe({ a: 2, "b/#": 0 })).toBe(true);
    device.sent();
    expect(device.list).toEqual({});
    device.send(suback(1, 1, 0));
    expect(device.list).toEqual({ a: 1, "b/#": 0 });
    expect(lists).toEqual([{ a: 1, "b/#": 0 }]);
  });

  test("never has what was refused [MQTT-3.9.3-2]", () => {
    const device = new SubscribingDevice().up();
    device.grant({ a: 0, b: 1, c: 2 }, 128, 1, 128);
    expect(device.list).toEqual({ b: 1 });
  });

  test("has the last QoS of a filter that was subscribed again [MQTT-3.8.4-3], and not when that was refused", () => {
    const device = new SubscribingDevice().up();
    device.grant({ a: 2 }, 2);
    device.grant({ a: 0 }, 0);
    expect(device.list).toEqual({ a: 0 });
    device.grant({ a: 1 }, 128);
    expect(device.list).toEqual({});
  });

  test("has a filter until its UNSUBACK", () => {
    const device = new SubscribingDevice().up();
    device.grant({ a: 0, b: 0, c: 0 }, 0, 0, 0);
    expect(device.client.unsubscribe({ a: 0, c: 0, d: 0 })).toBe(true);
    device.sent();
    expect(device.list).toEqual({ a: 0, b: 0, c: 0 });
    device.send(ack("UNSUBACK", 2));
    expect(device.list).toEqual({ b: 0 });
  });

  test("takes outcomes in the order of the calls, however they come", () => {
    const device = new SubscribingDevice().up();
    device.client.subscribe("a", 1);
    device.client.unsubscribe("a");
    device.client.subscribe("b", 2);
    device.client.subscribe("b", 0);
    device.sent();
    device.send(suback(4, 0), suback(3, 2), ack("UNSUBACK", 2));
    expect(device.list).toEqual({});
    device.send(suback(1, 1));
    expect(device.list).toEqual({ b: 0 });
  });

  test("has no filter of an operation whose connection was lost", () => {
    const device = new SubscribingDevice(PERSISTENT).up();
    device.grant({ a: 1, b: 1 }, 1, 1);
    device.client.subscribe({ c: 0, a: 0 });
    device.client.unsubscribe("b");
    device.sent();
    device.socket.reset();
    expect(device.list).toEqual({ a: 1, b: 1 });
    device.up(true);
    expect(device.list).toEqual({ a: 1, b: 1 });
    // The answer of a later one is not taken for theirs.
    device.grant({ d: 2 }, 2);
    expect(device.list).toEqual({ a: 1, b: 1, d: 2 });
  });

  test("is empty behind a clean session", () => {
    const device = new SubscribingDevice().up();
    device.grant({ a: 1 }, 1);
    device.socket.reset();
    expect(device.list).toEqual({});
    device.up();
    expect(device.list).toEqual({});
  });

  test("stays over connections of one session, and is empty when the broker has none [MQTT-3.2.2-2]", () => {
    const device = new SubscribingDevice(PERSISTENT).up();
    device.grant({ a: 1 }, 1);
    for (const how of ["close", "loss"]) {
      if (how === "close") device.client.close();
      device.socket.reset();
      expect(device.list).toEqual({ a: 1 });
      device.up(true);
      expect(device.list).toEqual({ a: 1 });
    }
    device.socket.reset();
    device.up(false);
    expect(device.list).toEqual({});
  });

  test("an answer that waits for the outcome of a message counts when the connection is lost", () => {
    const device = new SubscribingDevice(PERSISTENT).up();
    device.client.publish("t", "1", 1);
    device.client.subscribe({ a: 2, b: 0 });
    device.client.subscribe("c", 1);
    device.sent();
    device.send(suback(2, 2, 128));
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    expect(device.list).toEqual({ a: 2 });
    device.up(true);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "suback 2 128"]);
    expect(device.list).toEqual({ a: 2 });
    device.grant({ d: 1 }, 1);
    expect(device.list).toEqual({ a: 2, d: 1 });
  });

  test("the same, when the broker has lost the session meanwhile: it does not come back with its callback", () => {
    const device = new SubscribingDevice(PERSISTENT).up();
    device.client.publish("t", "1", 1);
    device.client.subscribe("a", 2);
    device.sent();
    device.send(suback(2, 2));
    device.socket.reset();
    device.take();
    device.up(false);
    expect(device.list).toEqual({});
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "suback 2"]);
    expect(device.list).toEqual({});
  });

  test("is a table of its own each time, and has any filter that there is", () => {
    const device = new SubscribingDevice().up();
    device.client.subscribe("__proto__", 1);
    device.answer9(1);
    const list = (device.client as Client & Subscribing).subscriptions();
    expect(Object.keys(list)).toEqual(["__proto__"]);
    list["x"] = 1;
    delete list["__proto__"];
    expect(Object.keys((device.client as Client & Subscribing).subscriptions())).toEqual(["__proto__"]);
  });

  test("keys that are numbers stand where the packet has them", () => {
    const device = new SubscribingDevice().up();
    expect(device.client.subscribe({ b: 2, 10: 1, 9: 0 })).toBe(true);
    expect(device.sent()).toEqual(["SUBSCRIBE #1 9:0 10:1 b:2"]);
    device.send(suback(1, 0, 128, 2));
    expect(device.list).toEqual({ 9: 0, b: 2 });
  });

  test("is right with one operation at a time, and where nobody listens", () => {
    const device = new SubscribingDevice({ options: { maxOperations: 1, txCapacity: 128 }, listens: false }).up();
    for (let i = 0; i < 20; i++) {
      device.grant({ [`f${i % 5}`]: 1, x: 0 }, 1, 128);
      if (i % 2 === 0) continue;
      expect(device.client.unsubscribe(`f${i % 5}`)).toBe(true);
      device.answer9();
    }
    // Rounds 15 to 19 were the last of each.
    expect(device.list).toEqual({ f1: 1, f3: 1 });
  });

  test("no outcome is dropped to make room though nobody listens: it is for the table", () => {
    const device = new SubscribingDevice({ options: { maxOperations: 3 } }).up();
    device.client.on("suback", null);
    device.client.publish("t", "1", 1);
    device.client.subscribe("a", 1);
    device.client.subscribe("b", 1);
    device.sent();
    const answers: boolean[] = [];
    device.during.puback = () => answers.push(device.client.subscribe("c"), device.client.subscribe("d"));
    device.send(suback(2, 1), suback(3, 0), ack("PUBACK", 1));
    expect(answers).toEqual([true, false]);
    expect(device.list).toEqual({ a: 1, b: 0 });
  });
});

describe("maxSubscriptions", () => {
  test("a subscribe beyond it answers false and sends nothing", () => {
    const device = new SubscribingDevice({}, { maxSubscriptions: 2 }).up();
    device.grant({ a: 0 }, 0);
    expect(device.client.subscribe({ b: 0, c: 0 })).toBe(false);
    expect(device.sent()).toEqual([]);
    device.grant({ b: 0 }, 0);
    expect(device.client.subscribe("c")).toBe(false);
    expect(device.sent()).toEqual([]);
    expect(device.list).toEqual({ a: 0, b: 0 });
  });

  test("counts a filter once, and those that wait for SUBACK; a refusal, an UNSUBACK and a loss make room", () => {
    const device = new SubscribingDevice(PERSISTENT, { maxSubscriptions: 2 }).up();
    const subscribe = (filter: string): boolean => device.client.subscribe(filter, 1);
    device.grant({ a: 0 }, 0);
    expect([subscribe("a"), subscribe("b"), subscribe("b"), subscribe("c")]).toEqual([true, true, true, false]);
    device.sent();
    device.send(suback(2, 1), suback(3, 128));
    expect(subscribe("c")).toBe(false); // b is asked for once more
    device.send(suback(4, 128));
    expect(subscribe("c")).toBe(true);
    expect(subscribe("d")).toBe(false);
    device.sent();
    device.client.unsubscribe("a");
    expect(subscribe("d")).toBe(false);
    device.answer9();
    expect(device.list).toEqual({ a: 1 }); // in the order of the calls, c is before that
    device.send(suback(5, 2));
    expect(device.list).toEqual({ c: 2 });
    expect(subscribe("d")).toBe(true);
    expect(subscribe("e")).toBe(false);
    device.sent();
    device.socket.reset();
    device.up(true);
    expect(subscribe("e")).toBe(true);
    expect(subscribe("d")).toBe(false);
  });

  test("is 32 by default", () => {
    const device = new SubscribingDevice().up();
    const table = (count: number): Record<string, QoS> =>
      Object.fromEntries([...Array(count).keys()].map((i) => [`f${i}`, 0 as const]));
    expect(device.client.subscribe(table(33))).toBe(false);
    expect(device.client.subscribe(table(32))).toBe(true);
  });

  test("what is wrong with a filter is said though the table is full, and takes no place in it", () => {
    const device = new SubscribingDevice({}, { maxSubscriptions: 1 }).up();
    expect(() => device.client.subscribe("\ud800")).toThrow("topic must not have a lone surrogate");
    expect(() => device.client.subscribe("a/#/b")).toThrow("topic must be a valid topic filter");
    device.grant({ a: 0 }, 0);
    expect(() => device.client.subscribe("\ud800")).toThrow("topic must not have a lone surrogate");
    expect(device.list).toEqual({ a: 0 });
  });

  test("a subscribe for which the queue has no room takes no place", () => {
    const device = new SubscribingDevice({ options: { maxOperations: 1 } }, { maxSubscriptions: 2 }).up();
    device.client.subscribe("a");
    expect(device.client.subscribe("b")).toBe(false);
    device.answer9(0);
    device.grant({ c: 0 }, 0);
    expect(device.list).toEqual({ a: 0, c: 0 });
  });
});

describe("withSubscriptions", () => {
  test.each([
    [{ maxSubscriptions: 0 }, RangeError, "maxSubscriptions must be an integer from 1 to 65535, not 0"],
    [{ maxSubscriptions: 65536 }, RangeError, "maxSubscriptions must be an integer from 1 to 65535, not 65536"],
    [{ maxSubscriptions: "2" }, TypeError, 'maxSubscriptions must be a number, not "2"'],
    [{ max: 2 }, TypeError, 'unknown option "max"'],
    [[], TypeError, "options must be an object, not an array"],
    [3, TypeError, "options must be an object, not 3"],
  ])("%j: throws and changes nothing", (options, kind, text) => {
    const client = new Device().client;
    const handler = client.connection.handler;
    expect(() => withSubscriptions(client, options as SubscriptionOptions)).toThrow(new kind(text));
    expect(client.connection.handler).toBe(handler);
    expect("subscriptions" in client).toBe(false);
  });

  test("again: nothing changes, and a second capacity is an error", () => {
    const client = withSubscriptions(new Device().client, { maxSubscriptions: 3 });
    const { subscriptionLink } = client;
    expect(withSubscriptions(client).subscriptionLink).toBe(subscriptionLink);
    const again = (): unknown => withSubscriptions(client, { maxSubscriptions: 3 });
    expect(again).toThrow("maxSubscriptions must not be given again");
  });

  // Each order of the modules that stand between a connection and its client, or take a slot of the outbox.
  const MODULES: Record<string, (client: Client) => Client> = {
    outcomes: withOutcomes,
    queue: (client) => withQueuePolicy(client, { dropPolicy: "drop-oldest", maxAgeMs: 5000 }),
    snapshot: withSnapshot,
    streams: (client) => withStreams(client, 64),
    subscriptions: withSubscriptions,
  };
  test.each([
    ["outcomes", "queue", "snapshot", "streams", "subscriptions"],
    ["subscriptions", "streams", "snapshot", "queue", "outcomes"],
    ["queue", "subscriptions", "outcomes", "streams", "snapshot"],
    ["streams", "outcomes", "subscriptions", "snapshot", "queue"],
  ])("works with %s, %s, %s, %s, %s: each operation has its outcome, and the table is right", (...order) => {
    const device = new SubscribingDevice({
      ...PERSISTENT,
      extend: (client) => order.reduce((extended, name) => MODULES[name](extended), client),
    }).up();
    const client = device.client as Client & Outcomes & Subscribing;
    const note = (name: string): void => {
      client.outcome((_, outcome) => device.events.push(`${name}: ${outcome}`));
    };
    client.on("puback", null);
    client.on("suback", null);
    client.on("unsuback", null);
    client.publish("t", "1", 1);
    note("one");
    client.subscribe({ a: 1, b: 2 });
    note("sub");
    client.subscribe("r");
    note("refused");
    client.publish("t", "0");
    note("zero");
    client.unsubscribe("b");
    note("unsub");
    client.subscribe("lost");
    note("lost");
    device.hal.settle();
    device.send(suback(2, 1, 2), suback(3, 128), ack("UNSUBACK", 4));
    expect(device.take()).toEqual([]);
    device.socket.reset();
    expect(device.take()).toEqual(["lost: lost", "offline -10"]);
    expect(device.list).toEqual({ a: 1 });
    device.up(true);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual([
      "one: delivered", "sub: delivered", "refused: refused", "zero: delivered", "unsub: delivered",
    ]);
    expect(device.list).toEqual({ a: 1 });
  });
});
