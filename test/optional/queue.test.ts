/** `withQueuePolicy`: what becomes of messages that wait too long, or are in the way of newer ones. */
import { describe, expect, test } from "@jest/globals";
import type { Client, ClientOptions, QoS } from "../../src/client.js";
import type { Outcomes } from "../../src/optional/outcomes.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import type { Expiring, QueuePolicy } from "../../src/optional/queue.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import { withSnapshot } from "../../src/optional/snapshot.js";
import { Device, ack, connack } from "../support/device.js";
import type { DeviceOptions } from "../support/device.js";
import { repeat, seeded } from "../support/session-harness.js";

const DROP: QueuePolicy = { dropPolicy: "drop-oldest" };

/** A device with a policy, and outcomes if it is asked for them. */
class PolicyDevice extends Device {
  constructor(policy: QueuePolicy, options: DeviceOptions = {}, hasOutcomes = false) {
    super({
      ...options,
      extend: (client) => withQueuePolicy(hasOutcomes ? withOutcomes(client) : client, policy),
    });
  }

  get extended(): Client & Expiring & Outcomes {
    return this.client as Client & Expiring & Outcomes;
  }

  /** Publishes these payloads, at QoS 0; what was accepted. */
  publish(...payloads: string[]): string[] {
    return payloads.filter((payload) => this.client.publish("t", payload));
  }

  /** Payloads that leave on a new connection. */
  payloads(isPresent = false): string[] {
    this.client.connect("broker");
    this.reach();
    this.send(connack(0, isPresent));
    return this.sentPayloads();
  }

  /** Payloads that were sent since this was asked last. */
  sentPayloads(): string[] {
    return this.sent().map((line) => /^PUBLISH \w+=([^ ]*)/.exec(line)?.[1] ?? line);
  }
}

/** Options of a device that queues while it is offline. */
function offline(options: ClientOptions = {}, more: DeviceOptions = {}): DeviceOptions {
  return { cleansession: 0, ...more, options: { queueOffline: true, ...options } };
}

describe("Options of withQueuePolicy", () => {
  test("throw when they are wrong, and change nothing", () => {
    const { client } = new Device();
    const publish = client.publish;
    for (const dropPolicy of ["drop-newest", "", 0, true, null]) {
      expect(() => withQueuePolicy(client, { dropPolicy } as never)).toThrow(/^dropPolicy must be "refuse" or/);
    }
    for (const maxAgeMs of [0, -1, 1.5, 2 ** 30 + 1, "1", NaN]) {
      expect(() => withQueuePolicy(client, { maxAgeMs } as never)).toThrow(/^maxAgeMs must be /);
    }
    for (const policy of [undefined, null, 5, "drop-oldest", () => undefined]) {
      expect(() => withQueuePolicy(client, policy as never)).toThrow(/^policy must be an object, not /);
    }
    expect(client.publish).toBe(publish);
    expect("expire" in client).toBe(false);
  });

  test("are all optional", () => {
    for (const policy of [{}, { dropPolicy: "refuse", maxAgeMs: null }, { maxAgeMs: 2 ** 30 }] as QueuePolicy[]) {
      const device = new PolicyDevice(policy, offline({ maxOperations: 2 }));
      expect(device.publish("1", "2", "3")).toEqual(["1", "2"]);
      device.hal.advance(1 << 29);
      expect(device.payloads()).toEqual(["1", "2"]);
      device.events.length = 0;
    }
  });

  test("expire throws for what is no time", () => {
    const { extended } = new PolicyDevice({}, offline());
    for (const afterMs of [undefined, null, 0, -1, 0.5, 2 ** 30 + 1, "1", NaN]) {
      expect(() => {
        extended.expire(afterMs as never);
      }).toThrow(/^afterMs must be /);
    }
  });
});

describe("drop-oldest", () => {
  test("drops waiting messages at QoS 0, the oldest first, when the table is full", () => {
    const device = new PolicyDevice(DROP, offline({ maxOperations: 3 }));
    expect(device.publish("1", "2", "3", "4", "5")).toEqual(["1", "2", "3", "4", "5"]);
    expect(device.payloads()).toEqual(["3", "4", "5"]);
    expect(device.take()).toEqual(["connect", "puback", "puback", "puback"]);
  });

  test("drops as many as are needed, and no more, when the buffer is full", () => {
    // Packets of 25 bytes; five of them fit, or three and one of 50.
    const device = new PolicyDevice(DROP, offline({ txCapacity: 128 }));
    for (const letter of "abcde") device.publish(letter.repeat(20));
    expect(device.publish("x".repeat(45))).toHaveLength(1);
    expect(device.payloads()).toEqual(["c", "d", "e"].map((letter) => letter.repeat(20)).concat("x".repeat(45)));
    device.events.length = 0;
  });

  test("makes room for messages at every QoS, to the last byte", () => {
    for (const [qos, length] of [[0, 123], [1, 121], [2, 121]] as const) {
      const device = new PolicyDevice(DROP, offline({ txCapacity: 128 }));
      device.publish("a".repeat(40), "b".repeat(40));
      expect(device.client.publish("t", "x".repeat(length + 1), qos)).toBe(false);
      expect(device.client.publish("t", "x".repeat(length), qos)).toBe(true);
      expect(device.payloads()).toEqual(["x".repeat(length)]);
      device.events.length = 0;
    }
  });

  test("leaves alone messages at QoS 1 and 2, and their order", () => {
    const device = new PolicyDevice(DROP, offline({ maxOperations: 4 }));
    const publish = (payload: string, qos: QoS): boolean => device.client.publish("t", payload, qos);
    expect(publish("1", 1)).toBe(true);
    expect(publish("2", 0)).toBe(true);
    expect(publish("3", 2)).toBe(true);
    expect(publish("4", 0)).toBe(true);
    expect(publish("5", 1)).toBe(true);
    expect(publish("6", 2)).toBe(true);
    expect(publish("7", 0)).toBe(false);
    expect(device.payloads()).toEqual(["1", "3", "5", "6"]);
    device.events.length = 0;
  });

  test("drops nothing when all of it would not be enough", () => {
    const device = new PolicyDevice(DROP, offline({ txCapacity: 128 }));
    device.client.publish("t", "k".repeat(60), 1);
    device.publish("a".repeat(20), "b".repeat(20));
    expect(device.client.publish("t", "x".repeat(57))).toBe(false);
    expect(device.payloads()).toEqual(["k".repeat(60), "a".repeat(20), "b".repeat(20)]);
    device.events.length = 0;
    const full = new PolicyDevice(DROP, offline({ maxOperations: 2 }));
    full.client.publish("t", "k", 1);
    full.client.publish("t", "l", 1);
    expect(full.publish("x")).toEqual([]);
    expect(full.payloads()).toEqual(["k", "l"]);
    full.events.length = 0;
  });

  test("drops nothing for a message that can never fit", () => {
    for (const payload of ["x".repeat(124), "ü".repeat(62), "😀".repeat(31), new Uint8Array(124), 10 ** 20]) {
      const device = new PolicyDevice(DROP, offline({ txCapacity: 128 }));
      device.publish("a".repeat(40), "b".repeat(40));
      const topic = payload === 10 ** 20 ? "t".repeat(110) : "t";
      expect(device.client.publish(topic, payload)).toBe(false);
      expect(device.payloads()).toEqual(["a".repeat(40), "b".repeat(40)]);
      device.events.length = 0;
    }
  });

  test("knows how long text is: what fits to the byte finds room", () => {
    const fits = ["x".repeat(123), `${"ü".repeat(61)}x`, "😀".repeat(30) + "abc", "☃".repeat(41)];
    for (const payload of [...fits, new Uint8Array(123).fill(120), new Uint8Array(123).fill(121).buffer]) {
      const device = new PolicyDevice(DROP, offline({ txCapacity: 128 }));
      device.publish("a".repeat(40), "b".repeat(40));
      expect(device.client.publish("t", payload)).toBe(true);
      expect(device.payloads()).toHaveLength(1);
      device.events.length = 0;
    }
  });

  test("throws for a wrong argument, and drops nothing", () => {
    const device = new PolicyDevice(DROP, offline({ maxOperations: 1 }));
    device.publish("a");
    expect(() => device.client.publish("a/#", "x")).toThrow(/^topic must be/);
    expect(() => device.client.publish("t", {} as never)).toThrow(/^payload must be/);
    expect(() => device.client.publish("t", "x", 3 as never)).toThrow(/^qos must be/);
    expect(device.payloads()).toEqual(["a"]);
    device.events.length = 0;
  });

  test("drops nothing for text that can never be sent", () => {
    const topics = ["x".repeat(65536), "ü".repeat(32768), "t\ud800", "\udc00", "\udc00\ud800"];
    const payloads = ["\ud800", "\udc00", "\ud800x", "\ud800\ud800\udc00", "\ud83d\ude00\ude00"];
    const device = new PolicyDevice(DROP, offline({ maxOperations: 1, txCapacity: 200000 }));
    expect(device.publish("a")).toEqual(["a"]);
    for (const topic of topics) expect(device.client.publish(topic, "x")).toBe(false);
    for (const payload of payloads) expect(device.client.publish("t", payload)).toBe(false);
    expect(device.payloads()).toEqual(["a"]);
    device.events.length = 0;
  });

  test("answers false without a session, without queueOffline", () => {
    const device = new PolicyDevice(DROP);
    expect(device.publish("x")).toEqual([]);
    device.up();
    device.client.close();
    expect(device.publish("x")).toEqual([]);
    device.hal.settle();
    device.events.length = 0;
  });

  test("leaves alone a message that has begun to leave, whole or in part", () => {
    for (const room of [1, 10, 24, 25, 26]) {
      const device = new PolicyDevice(DROP, { hal: { room }, options: { txCapacity: 128 } }).up();
      device.client.on("puback", null);
      device.socket.stall();
      for (const letter of "abcde") expect(device.publish(letter.repeat(20))).toHaveLength(1);
      device.hal.settle();
      expect(device.publish("x".repeat(20))).toHaveLength(1);
      expect(device.publish("y".repeat(20))).toHaveLength(1);
      device.socket.unstall();
      const letters = device.sentPayloads().map((payload) => payload[0]);
      // With room for 25 bytes, the first has left, and its place is free.
      expect(letters.join("")).toBe(room < 25 ? "adexy" : room === 25 ? "acdexy" : "abdexy");
    }
  });

  test("leaves alone outcomes that wait to be told", () => {
    const device = new PolicyDevice(DROP, { options: { maxOperations: 2 } }).up();
    expect(device.publish("1", "2")).toEqual(["1", "2"]);
    expect(device.take()).toEqual(["puback", "puback"]);
    expect(device.sentPayloads()).toEqual(["1", "2"]);
    device.client.publish("t", "one", 1);
    expect(device.publish("3")).toEqual(["3"]);
    // Both have left; the second waits for its turn.
    expect(device.publish("4")).toEqual([]);
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "puback"]);
  });

  test("counts outcomes of messages that went past the queue", () => {
    const device = new PolicyDevice(DROP, { hal: { room: 10 }, options: { maxOperations: 3 } }).up();
    device.socket.stall();
    // The first leaves at once, the second in part; all in one turn.
    expect(device.publish("1", "begun", "3", "4", "5")).toEqual(["1", "begun", "3", "4", "5"]);
    device.socket.unstall();
    expect(device.take()).toEqual(["puback", "puback", "puback"]);
    expect(device.sentPayloads()).toEqual(["1", "begun", "5"]);
  });

  test("sets the callback as publish does", () => {
    const device = new PolicyDevice(DROP, { ...offline({ maxOperations: 1 }), listens: false });
    device.publish("1");
    const done = (): void => void device.events.push("done");
    expect(device.client.publish("t", "2", 0, 1, done)).toBe(true);
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(["PUBLISH t=2 retain"]);
    expect(device.take()).toEqual(["done"]);
  });

  test("works inside callbacks, on what cannot leave", () => {
    const device = new PolicyDevice(DROP, { hal: { room: 20 }, options: { maxOperations: 3 } }).up();
    device.client.on("puback", null);
    device.socket.stall();
    device.during.message = () => {
      expect(device.publish("begun".repeat(5), "2", "3", "4", "5")).toHaveLength(5);
    };
    device.send({ type: "PUBLISH", topicName: "t", payload: "x", qos: 0, packetId: 0, dup: false, retain: false });
    device.hal.settle();
    device.socket.unstall();
    expect(device.sentPayloads()).toEqual(["begun".repeat(5), "4", "5"]);
    device.events.length = 0;
  });

  test("is over for one publish when nobody can be told of more; nothing is dropped for a false", () => {
    // Five packets of 25 bytes; those that are dropped have an outcome that is not told yet.
    const device = new PolicyDevice(DROP, offline({ txCapacity: 128, maxOperations: 5 }), true);
    const told: string[] = [];
    const publish = (payload: string): boolean => {
      if (!device.client.publish("t", payload)) return false;
      device.extended.outcome((_, outcome) => told.push(`${payload[0]} ${outcome}`));
      return true;
    };
    for (const letter of "abcdefghi") expect(publish(letter.repeat(20))).toBe(true);
    // Four wait to be told, e to i are queued; two would have to go, and there is a place for one.
    expect(publish("X".repeat(45))).toBe(false);
    expect(device.client.connection.session.outbox.operations).toBe(5);
    expect(publish("j".repeat(20))).toBe(true);
    expect(publish("k".repeat(20))).toBe(false);
    device.hal.settle();
    expect(told).toEqual(["a dropped", "b dropped", "c dropped", "d dropped", "e dropped"]);
    expect(publish("X".repeat(45))).toBe(true);
    device.hal.settle();
    expect(told.slice(5)).toEqual(["f dropped", "g dropped"]);
    expect(device.payloads().map((payload) => payload[0])).toEqual(["h", "i", "j", "X"]);
    device.events.length = 0;
  });

  test("at any state of the queue keeps what it must, in order, and takes what fits", () => {
    repeat(300, (seed) => {
      const random = seeded(seed);
      const maxOperations = 1 + random.below(6);
      const device = new PolicyDevice(DROP, offline({ txCapacity: 128, maxOperations }));
      /** What should be queued. */
      let queue: { payload: string; qos: QoS; length: number }[] = [];
      const sum = (): number => queue.reduce((total, { length }) => total + length, 0);
      for (let i = 0; i < 30; i++) {
        const qos = random.pick([0, 0, 1, 2] as const);
        const payload = `${i}:${"x".repeat(random.below(60))}`;
        const length = payload.length + (qos === 0 ? 5 : 7);
        const kept = queue.filter((one) => one.qos > 0);
        const keptLength = kept.reduce((total, one) => total + one.length, 0);
        const fits = keptLength + length <= 128 && kept.length < maxOperations;
        expect(device.client.publish("t", payload, qos)).toBe(fits);
        if (!fits) continue;
        while (sum() + length > 128 || queue.length === maxOperations) {
          const oldest = queue.find((one) => one.qos === 0);
          queue = queue.filter((one) => one !== oldest);
        }
        queue.push({ payload, qos, length });
      }
      expect(device.payloads()).toEqual(queue.map(({ payload }) => payload));
      device.events.length = 0;
      device.check();
    });
  });
});

describe("An age limit", () => {
  test("by maxAgeMs holds for each message, by its own age", () => {
    const device = new PolicyDevice({ maxAgeMs: 1000 }, offline());
    device.publish("1");
    device.hal.advance(400);
    device.client.publish("t", "2", 1);
    device.hal.advance(599);
    device.client.publish("t", "3", 2);
    const { outbox } = device.client.connection.session;
    expect(outbox.operations).toBe(3);
    expect(device.hal.nextTimerMs).toBe(1);
    device.hal.advance(1);
    expect(outbox.operations).toBe(2);
    expect(device.hal.nextTimerMs).toBe(400);
    device.hal.advance(400);
    expect(outbox.operations).toBe(1);
    expect(device.hal.nextTimerMs).toBe(599);
    device.hal.advance(598);
    expect(device.payloads()).toEqual(["3"]);
    device.events.length = 0;
  });

  test("by expire holds for the message before it, and takes the place of maxAgeMs", () => {
    const device = new PolicyDevice({ maxAgeMs: 1000 }, offline());
    device.publish("1");
    device.extended.expire(5000);
    device.publish("2");
    device.extended.expire(10);
    device.publish("3");
    device.extended.expire(20);
    device.extended.expire(2000);
    device.publish("4");
    device.hal.advance(1500);
    expect(device.payloads()).toEqual(["1", "3"]);
    device.events.length = 0;
  });

  test("sets the timer again when an earlier one is set, and when the first is over", () => {
    const device = new PolicyDevice({}, offline());
    for (const [payload, ageMs] of [["a", 5000], ["b", 1000], ["c", 3000], ["d", 1000]] as const) {
      device.publish(payload);
      device.extended.expire(ageMs);
    }
    const { outbox } = device.client.connection.session;
    for (const [stepMs, left] of [[999, 4], [1, 2], [1999, 2], [1, 1], [1999, 1], [1, 0]] as const) {
      device.hal.advance(stepMs);
      expect(outbox.operations).toBe(left);
    }
    expect(device.hal.nextTimerMs).toBeUndefined();
    expect(outbox.tail).toBe(0);
  });

  test("holds where the clock wraps", () => {
    for (const now of [0x7ffffff0, -10, 0x7fffffff]) {
      const device = new PolicyDevice({ maxAgeMs: 100 }, offline({}, { hal: { now } }));
      device.publish("1");
      device.hal.advance(50);
      device.publish("2");
      device.hal.advance(50);
      expect(device.payloads()).toEqual(["2"]);
      device.events.length = 0;
    }
  });

  test("of 2^30 ms is as long as that", () => {
    const device = new PolicyDevice({ maxAgeMs: 2 ** 30 }, offline({}, { hal: { now: 1 } }));
    device.publish("1");
    device.hal.advance(2 ** 30 - 1);
    expect(device.client.connection.session.outbox.operations).toBe(1);
    device.hal.advance(1);
    expect(device.client.connection.session.outbox.operations).toBe(0);
  });

  test("does not hold any more once the message has begun to leave, in part or whole", () => {
    for (const room of [1, 26, 40]) {
      const device = new PolicyDevice({ maxAgeMs: 1000 }, { hal: { room }, cleansession: 0 }).up();
      device.client.on("puback", null);
      device.socket.stall();
      device.publish("a".repeat(20));
      device.client.publish("t", "b".repeat(20), 1);
      device.publish("c".repeat(20));
      device.hal.advance(2000);
      device.socket.unstall();
      expect(device.sentPayloads().map((payload) => payload[0])).toEqual(room > 25 ? ["a", "b"] : ["a"]);
      device.client.abort();
      device.take();
      // On the next connection it is sent again, however old it is.
      device.hal.advance(10000);
      expect(device.payloads(true)).toEqual(room > 25 ? ["b".repeat(20)] : []);
      device.events.length = 0;
    }
  });

  test("expire has no effect on a message that has left, or on one before it", () => {
    const device = new PolicyDevice({}, { cleansession: 0, options: { maxInflight: 1 } }).up();
    device.client.publish("t", "1", 1);
    device.extended.expire(1000);
    device.client.publish("t", "2", 1);
    device.hal.settle();
    device.publish("3");
    device.extended.expire(1000);
    device.hal.advance(1000);
    device.send(ack("PUBACK", 1));
    expect(device.sentPayloads()).toEqual(["1", "2"]);
    device.send(ack("PUBACK", 2));
    expect(device.take()).toEqual(["puback", "puback"]);
    const idle = new PolicyDevice({}).up();
    idle.extended.expire(1000);
    expect(idle.publish("x")).toEqual(["x"]);
    idle.extended.expire(1000);
    idle.hal.advance(1000);
    expect(idle.take()).toEqual(["puback"]);
  });

  test("holds while the window keeps a message back", () => {
    const device = new PolicyDevice({ maxAgeMs: 1000 }, { options: { maxInflight: 1 } }).up();
    for (const payload of ["1", "2", "3"]) device.client.publish("t", payload, 1);
    device.hal.advance(500);
    device.send(ack("PUBACK", 1));
    device.hal.advance(500);
    device.send(ack("PUBACK", 2));
    expect(device.sentPayloads()).toEqual(["1", "2"]);
    expect(device.take()).toEqual(["puback", "puback"]);
  });

  test("reached in the middle of the queue tells what stood behind it", () => {
    const device = new PolicyDevice({}, offline({ maxInflight: 1 })).up();
    device.client.publish("t", "1", 1);
    device.client.publish("t", "2", 1);
    device.extended.expire(1000);
    device.client.drain((_, drained) => device.events.push(`drained ${drained}`), 5000);
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    device.hal.settle();
    expect(device.take()).toEqual(["puback"]);
    device.send(ack("PUBACK", 2));
    expect(device.take()).toEqual(["puback", "drained true"]);
    device.client.abort();
    device.take();
    // Here nothing but the message that is to be removed is waited for.
    device.publish("3");
    device.extended.expire(1000);
    device.client.drain((_, drained) => device.events.push(`drained ${drained}`), 5000);
    device.hal.advance(999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["drained true"]);
  });

  test("reached while the device slept is seen when it connects: nothing too old is sent", () => {
    const device = new PolicyDevice({ maxAgeMs: 1000 }, offline());
    device.publish("1");
    device.client.publish("t", "2", 1);
    let lateMs = 0;
    const now = device.hal.now.bind(device.hal);
    Object.defineProperty(device.hal, "now", { value: () => (now() + lateMs) | 0 });
    lateMs = 100000;
    device.client.publish("t", "3", 2);
    expect(device.payloads()).toEqual(["3"]);
    device.events.length = 0;
  });

  test.each(["refuse", "drop-oldest"] as const)("reached in a snapshot does not keep new messages out: %s",
    (dropPolicy) => {
      const restored = (sleptMs: number): PolicyDevice => {
        const device = new PolicyDevice({ maxAgeMs: 1000, dropPolicy }, offline({ maxOperations: 2 }));
        expect(withSnapshot(device.client).restore(bytes, sleptMs)).toBe(2);
        return device;
      };
      const before = new PolicyDevice({ maxAgeMs: 1000 }, offline());
      for (const payload of ["one", "two"]) expect(before.client.publish("t", payload, 1)).toBe(true);
      const bytes = new Uint8Array(100);
      withSnapshot(before.client).snapshot(bytes);
      expect(restored(999).client.publish("t", "new", 1)).toBe(false);
      const device = restored(1000);
      expect(device.client.publish("t", "new", 1)).toBe(true);
      expect(device.payloads()).toEqual(["new"]);
      device.events.length = 0;
    });

  test("frees ids, places and bytes for others", () => {
    const device = new PolicyDevice({ maxAgeMs: 1000 }, offline({ maxOperations: 2, txCapacity: 128 }));
    for (let round = 1; round <= 5; round++) {
      expect(device.client.publish("t", "x".repeat(50), 1)).toBe(true);
      expect(device.client.publish("t", "x".repeat(50), 2)).toBe(true);
      expect(device.client.publish("t", "x")).toBe(false);
      device.hal.advance(1000);
    }
    device.client.publish("t", "last", 1);
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(["PUBLISH t=last q1 #11"]);
    device.events.length = 0;
  });

  test("keeps a message that the lost connection had cut off, until its age is reached", () => {
    const device = new PolicyDevice({ maxAgeMs: 1000 }, offline({}, { hal: { room: 10 } })).up();
    device.socket.stall();
    device.client.publish("t", "cut off", 1);
    device.socket.reset();
    device.take();
    device.hal.advance(500);
    expect(device.payloads(true)).toEqual(["cut"]);
    device.events.length = 0;
  });

  test("with outcomes is told once, as expired, and not inside a call", () => {
    const device = new PolicyDevice({ maxAgeMs: 1000 }, offline(), true);
    for (const [payload, qos] of [["1", 0], ["2", 1], ["3", 2]] as const) {
      device.client.publish("t", payload, qos);
      device.extended.outcome((_, outcome) => device.events.push(`${payload} ${outcome}`));
    }
    device.hal.advance(1000);
    expect(device.take()).toEqual(["1 expired", "2 expired", "3 expired"]);
    expect(device.payloads()).toEqual([]);
    device.hal.advance(50000);
    expect(device.take()).toEqual(["connect"]);
  });
});
