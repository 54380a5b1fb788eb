/** `withOutcomes`: what became of each operation, once. */
import { describe, expect, test } from "@jest/globals";
import type { Client, ClientOptions, QoS } from "../../src/client.js";
import type { Outcome, Outcomes } from "../../src/optional/outcomes.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import type { Expiring, QueuePolicy } from "../../src/optional/queue.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import { Device, PINGRESP, ack, connack, suback } from "../support/device.js";
import type { DeviceOptions } from "../support/device.js";
import type { Packet } from "../support/packets.js";
import type { Random } from "../support/session-harness.js";
import { repeat, seeded } from "../support/session-harness.js";
import { SLOWNESS } from "../support/slowness.js";

type Extended = Client & Outcomes & Expiring;

/** A device with outcomes; with a policy of the queue, too, if one is given. */
class OutcomeDevice extends Device {
  constructor(options: DeviceOptions = {}, policy?: QueuePolicy, isPolicyFirst = false) {
    super({
      ...options,
      extend(client) {
        if (policy === undefined) return withOutcomes(client);
        return isPolicyFirst
          ? withOutcomes(withQueuePolicy(client, policy))
          : withQueuePolicy(withOutcomes(client), policy);
      },
    });
  }

  get extended(): Extended {
    return this.client as Extended;
  }

  /** Has the outcome of the last operation be an event `name: outcome`. */
  note(name: string): void {
    this.extended.outcome((_, outcome) => this.events.push(`${name}: ${outcome}`));
  }

  /** Publishes, and notes the outcome under the payload. */
  publish(payload: string, qos: QoS = 0): boolean {
    const isAccepted = this.client.publish("t", payload, qos);
    if (isAccepted) this.note(payload);
    return isAccepted;
  }

  subscribe(name: string, table: Record<string, QoS> = { s: 1 }): void {
    expect(this.client.subscribe(table)).toBe(true);
    this.note(name);
  }

  unsubscribe(name: string): void {
    expect(this.client.unsubscribe("s")).toBe(true);
    this.note(name);
  }
}

const QUEUE: DeviceOptions = { cleansession: 0, options: { queueOffline: true } };

describe("outcome", () => {
  test("delivered: at QoS 0 when it was handed to the network, at QoS 1 and 2 when it was acknowledged", () => {
    const device = new OutcomeDevice().up();
    device.client.on("puback", null);
    device.publish("zero");
    expect(device.events).toEqual([]);
    expect(device.take()).toEqual(["zero: delivered"]);
    device.publish("one", 1);
    device.publish("two", 2);
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 1), ack("PUBREC", 2));
    expect(device.take()).toEqual(["one: delivered"]);
    device.send(ack("PUBCOMP", 2));
    expect(device.take()).toEqual(["two: delivered"]);
  });

  test("delivered: subscribe and unsubscribe, when acknowledged", () => {
    const device = new OutcomeDevice().up();
    device.subscribe("sub");
    device.unsubscribe("unsub");
    device.hal.settle();
    device.send(ack("UNSUBACK", 2));
    expect(device.take()).toEqual([]);
    device.send(suback(1, 1));
    expect(device.take()).toEqual(["suback 1", "sub: delivered", "unsuback", "unsub: delivered"]);
  });

  test("refused: a subscribe for which nothing was granted; delivered: one for which something was", () => {
    const device = new OutcomeDevice().up();
    device.client.on("suback", null);
    const table = { a: 0, b: 1, c: 2 } as const;
    for (const name of ["none", "first", "last", "all"]) device.subscribe(name, table);
    device.hal.settle();
    device.send(suback(1, 128, 128, 128), suback(2, 0, 128, 128), suback(3, 128, 128, 2), suback(4, 0, 1, 2));
    expect(device.take()).toEqual(["none: refused", "first: delivered", "last: delivered", "all: delivered"]);
  });

  test("lost: with the session, unless that keeps it; told before offline", () => {
    const device = new OutcomeDevice().up();
    device.publish("one", 1);
    device.publish("two", 2);
    device.subscribe("sub");
    device.unsubscribe("unsub");
    device.publish("zero");
    device.hal.settle();
    device.send(ack("PUBREC", 2));
    device.socket.reset();
    // What had its outcome has it, behind whatever it waited for.
    expect(device.take().sort()).toEqual([
      "offline -10", "one: lost", "puback", "sub: lost", "two: lost", "unsub: lost", "zero: delivered",
    ]);
  });

  test("lost is told in the order of the calls, before offline, and delivered before lost", () => {
    const device = new OutcomeDevice().up();
    device.client.on("puback", null);
    for (const name of ["1", "2", "3"]) device.publish(name, 1);
    device.hal.settle();
    device.send(ack("PUBACK", 2));
    device.socket.reset();
    expect(device.take()).toEqual(["2: delivered", "1: lost", "3: lost", "offline -10"]);
  });

  test("none, as long as a persistent session keeps the message: delivered on the next connection", () => {
    for (const isPresent of [true, false]) {
      const device = new OutcomeDevice({ cleansession: 0 }).up();
      device.client.on("puback", null);
      device.publish("one", 1);
      device.subscribe("sub");
      device.publish("two", 2);
      device.hal.settle();
      device.socket.reset();
      expect(device.take()).toEqual(["sub: lost", "offline -10"]);
      device.up(isPresent);
      device.send(ack("PUBACK", 1), ack("PUBREC", 3), ack("PUBCOMP", 3));
      expect(device.take()).toEqual(["one: delivered", "two: delivered"]);
    }
  });

  test("delivered: a message confirmed by PUBREC, when the broker has lost the session", () => {
    const device = new OutcomeDevice({ cleansession: 0 }).up();
    device.client.on("puback", null);
    device.publish("two", 2);
    device.hal.settle();
    device.send(ack("PUBREC", 1));
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect", "two: delivered"]);
  });

  test("lost: a message at QoS 0 that was cut off; the others wait for the next connection", () => {
    const device = new OutcomeDevice({ ...QUEUE, hal: { room: 10 } }).up();
    device.client.on("puback", null);
    device.socket.stall();
    device.publish("0123456789");
    device.publish("behind");
    device.socket.reset();
    expect(device.take()).toEqual(["0123456789: lost", "offline -10"]);
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect", "behind: delivered"]);
  });

  test("after close(): delivered what was acknowledged in time, lost what was not", () => {
    const device = new OutcomeDevice().up();
    device.client.on("puback", null);
    for (const name of ["1", "2"]) device.publish(name, 1);
    device.subscribe("sub");
    device.client.close();
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["1: delivered"]);
    device.hal.advance(2000);
    expect(device.take()).toEqual(["2: lost", "sub: lost", "offline 0"]);
  });

  test("after abort(): never inside the call", () => {
    const device = new OutcomeDevice().up();
    device.client.on("puback", null);
    device.publish("zero");
    device.client.abort();
    expect(device.events).toEqual([]);
    expect(device.take()).toEqual(["zero: delivered", "offline 0"]);
    device.up();
    device.publish("1", 1);
    device.publish("2", 1);
    device.client.abort();
    expect(device.events).toEqual([]);
    expect(device.take()).toEqual(["1: lost", "2: lost", "offline 0"]);
    device.hal.advance(10000);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("after abort() in the same turn: each its own, with messages that went past the queue before", () => {
    const device = new OutcomeDevice({ hal: { room: 20 } }).up();
    device.client.on("puback", null);
    for (const name of ["1", "2", "3"]) device.publish(name);
    device.publish("one", 1);
    device.publish("two", 1);
    expect(device.client.connection.session.outbox.atOnce).toBe(3);
    device.client.abort();
    expect(device.take()).toEqual([
      "1: delivered", "2: delivered", "3: delivered", "one: lost", "two: lost", "offline 0",
    ]);
  });

  test("dropped and expired: by the policy of the queue", () => {
    for (const isPolicyFirst of [true, false]) {
      const policy: QueuePolicy = { dropPolicy: "drop-oldest" };
      const options = { queueOffline: true, maxOperations: 2 };
      const device = new OutcomeDevice({ cleansession: 0, options }, policy, isPolicyFirst);
      device.publish("1");
      device.publish("2");
      device.extended.expire(1000);
      device.publish("3");
      expect(device.events).toEqual([]);
      expect(device.take()).toEqual(["1: dropped"]);
      device.hal.advance(999);
      expect(device.take()).toEqual([]);
      device.hal.advance(1);
      expect(device.take()).toEqual(["2: expired"]);
      device.up();
      expect(device.broker.packets.map((packet) => (packet as { payload?: string }).payload)).toEqual([undefined, "3"]);
    }
  });

  test("of one operation in the middle of others that have none", () => {
    const device = new OutcomeDevice().up();
    device.client.on("puback", null);
    for (let i = 1; i <= 5; i++) {
      device.client.publish("t", `${i}`, 1);
      if (i === 3) device.note("third");
    }
    device.hal.settle();
    for (const [id, expected] of [[1, []], [2, []], [4, []], [3, ["third: delivered"]], [5, []]] as const) {
      device.send(ack("PUBACK", id));
      expect(device.take()).toEqual(expected);
    }
  });

  test("of a place in the table is not told of the operation that has it next", () => {
    for (const maxOperations of [1, 2, 3]) {
      const device = new OutcomeDevice({ options: { maxOperations } }).up();
      device.client.on("puback", null);
      for (let id = 1; id <= 20; id++) {
        device.client.publish("t", `${id}`, 1);
        if (id % 3 === 0) device.note(`${id}`);
        device.hal.settle();
        device.send(ack("PUBACK", id));
        expect(device.take()).toEqual(id % 3 === 0 ? [`${id}: delivered`] : []);
      }
    }
  });

  test("a second function for an operation takes the place of the first", () => {
    const device = new OutcomeDevice().up();
    device.client.on("puback", null);
    device.client.publish("t", "x");
    device.note("first");
    device.note("second");
    expect(device.take()).toEqual(["second: delivered"]);
  });

  test("throws for what is no function, and when no operation is under way", () => {
    const device = new OutcomeDevice().up();
    const { extended } = device;
    const message = "outcome must follow an operation that was accepted";
    expect(() => extended.outcome(() => undefined)).toThrow(message);
    device.client.publish("t", "x");
    for (const value of [undefined, null, 1, "f", {}]) {
      expect(() => extended.outcome(value as never)).toThrow(TypeError);
    }
    device.note("x");
    expect(device.take()).toEqual(["puback", "x: delivered"]);
    expect(() => extended.outcome(() => undefined)).toThrow(message);
  });

  test("comes behind the callback of the same operation, with the client", () => {
    const device = new OutcomeDevice().up();
    device.client.publish("t", "x", 1);
    let seen: unknown[] = [];
    device.extended.outcome((...args) => {
      seen = args;
      device.events.push("outcome");
    });
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "outcome"]);
    expect(seen).toEqual([device.client, "delivered", undefined]);
    expect(seen[0]).toBe(device.client);
  });

  test("of many: their functions may throw; each error surfaces, each is told", () => {
    const device = new OutcomeDevice({ cleansession: 0, options: { queueOffline: true } }, {});
    device.client.on("puback", null);
    const told: Outcome[] = [];
    const fail = (_: Client, outcome: Outcome): void => {
      told.push(outcome);
      throw new Error(outcome);
    };
    for (const qos of [0, 1, 0] as const) {
      device.client.publish("t", "x", qos);
      device.extended.expire(10);
      device.extended.outcome(fail);
    }
    device.hal.advance(10);
    device.up();
    device.client.subscribe("s");
    device.extended.outcome(fail);
    device.client.publish("t", "x");
    device.extended.outcome(fail);
    device.client.unsubscribe("s");
    device.extended.outcome(fail);
    device.hal.settle();
    device.send(suback(2, 128));
    device.hal.settle();
    device.socket.reset();
    device.hal.settle();
    expect(told).toEqual(["expired", "expired", "expired", "refused", "delivered", "lost"]);
    expect(device.takeErrors()).toEqual(told.map((outcome) => new Error(outcome)));
    device.events.length = 0;
  });

  test("in its callback anything may be called; what is published there has its own outcome", () => {
    const device = new OutcomeDevice().up();
    device.client.on("puback", null);
    let left = 40;
    const again = (client: Client, outcome: Outcome): void => {
      device.events.push(outcome);
      if (left-- === 0) return;
      if (client.publish("t", `${left}`, (left % 3) as QoS)) device.extended.outcome(again);
    };
    device.broker.answers = true;
    device.client.publish("t", "x", 1);
    device.extended.outcome(again);
    expect(device.take()).toEqual(new Array<string>(41).fill("delivered"));
  });

  test("lost: its callback may connect and publish", () => {
    const device = new OutcomeDevice().up();
    device.client.on("puback", null);
    device.client.publish("t", "x", 1);
    device.extended.outcome((client) => {
      client.connect("broker");
      device.events.push("lost");
    });
    device.client.abort();
    device.hal.settle();
    device.accept();
    expect(device.client.connected).toBe(true);
  });
});

describe("Bursts", () => {
  test("beyond maxOperations in one turn are refused, not forgotten: each that was accepted is told", () => {
    const device = new OutcomeDevice({ options: { maxOperations: 4 } }).up();
    device.client.on("puback", null);
    const accepted: string[] = [];
    for (let i = 0; i < 10; i++) if (device.publish(`${i}`)) accepted.push(`${i}`);
    expect(accepted).toHaveLength(4);
    expect(device.take()).toEqual(accepted.map((name) => `${name}: delivered`));
    device.during.message = () => {
      for (let i = 0; i < 10; i++) if (device.publish(`in ${i}`)) accepted.push(`in ${i}`);
    };
    device.send({ type: "PUBLISH", topicName: "t", payload: "x", qos: 0, packetId: 0, dup: false, retain: false });
    expect(device.take()).toEqual(["message t=x", ...accepted.slice(4).map((name) => `${name}: delivered`)]);
    expect(accepted.length).toBe(8);
  });

  test("at QoS 0 past the queue and through it, mixed: in order, each once", () => {
    const device = new OutcomeDevice({ hal: { room: 60 }, options: { maxOperations: 8 } }).up();
    device.client.on("puback", null);
    const accepted: string[] = [];
    for (let round = 0; round < 30; round++) {
      if (round % 7 === 0) device.socket.stall();
      for (let i = 0; i < 1 + (round % 4); i++) {
        const name = `${round}.${i}`;
        if (device.publish(name, (round + i) % 5 === 0 ? 1 : 0)) accepted.push(name);
      }
      if (round % 7 === 5) device.socket.unstall();
      device.hal.settle();
      for (const packet of device.broker.packets.splice(0)) {
        if (packet.type === "PUBLISH" && packet.qos === 1) device.send(ack("PUBACK", packet.packetId));
      }
    }
    device.socket.unstall();
    device.hal.settle();
    for (const packet of device.broker.packets.splice(0)) {
      if (packet.type === "PUBLISH" && packet.qos === 1) device.send(ack("PUBACK", packet.packetId));
    }
    expect(accepted.length).toBeGreaterThan(20);
    expect(device.take()).toEqual(accepted.map((name) => `${name}: delivered`));
  });
});

/** Operations of a random schedule, and what was told of each. */
class Account {
  readonly accepted: string[] = [];
  readonly published = new Set<string>();
  readonly told = new Map<string, Outcome[]>();
  private readonly device: OutcomeDevice;
  private readonly random: Random;

  constructor(device: OutcomeDevice, random: Random) {
    this.device = device;
    this.random = random;
  }

  /** Publishes, subscribes or unsubscribes, and now and then gives no function. */
  operate(): void {
    const { random, device } = this;
    const { client, extended } = device;
    const name = String(this.accepted.length);
    const kind = random.below(8);
    let isAccepted;
    if (kind < 6) isAccepted = client.publish("t", name.padEnd(random.below(60), "."), (kind % 3) as QoS);
    else if (kind === 6) isAccepted = client.subscribe("s", 1);
    else isAccepted = client.unsubscribe("s");
    if (!isAccepted) return;
    this.accepted.push(name);
    if (kind < 6) this.published.add(name);
    if (kind < 6 && random.below(4) === 0) extended.expire(1 + random.below(5000));
    if (random.below(5) === 0) return;
    this.told.set(name, []);
    extended.outcome((_, outcome) => {
      this.told.get(name)!.push(outcome);
      if (random.below(6) === 0) this.operate();
      if (random.below(30) === 0) throw new Error("thrown by an outcome");
    });
  }
}

describe("Each accepted operation has exactly one outcome", () => {
  const policies: [string, { cleansession: 0 | 1; options: ClientOptions }, QueuePolicy][] = [
    ["in a clean session", { cleansession: 1, options: {} }, {}],
    ["in a persistent session", { cleansession: 0, options: {} }, { maxAgeMs: 3000 }],
    ["queued while offline", { cleansession: 0, options: { queueOffline: true } }, { dropPolicy: "drop-oldest" }],
    ["with all there is", { cleansession: 0, options: { queueOffline: true } },
      { dropPolicy: "drop-oldest", maxAgeMs: 2000 }],
  ];

  const kinds: Outcome[][] = [
    ["delivered", "expired", "lost", "refused"],
    ["delivered", "expired", "lost", "refused"],
    ["delivered", "dropped", "expired", "lost", "refused"],
    ["delivered", "dropped", "expired", "lost", "refused"],
  ];

  test.each(policies)("%s, whatever happens in whatever order", (title, options, policy) => {
    const seen = new Set<Outcome>();
    repeat(150, (seed) => {
      const random = seeded(seed);
      const device = new OutcomeDevice({
        ...options,
        hal: { room: random.pick([20, 100, 2920]), now: random.pick([0, 0x7fffff00, -2000]) },
        options: {
          ...options.options,
          maxOperations: random.pick([1, 2, 3, 8]),
          txCapacity: random.pick([128, 300]),
          maxInflight: random.pick([1, 2, 16]),
        },
      }, policy, random.below(2) === 0);
      const account = new Account(device, random);
      const { client } = device;
      const reached = new Set<string>();
      const note = (packets: Packet[]): Packet[] => {
        for (const packet of packets) if (packet.type === "PUBLISH") reached.add(packet.payload.replace(/\.*$/, ""));
        return packets;
      };
      const answer = (): void => {
        for (const packet of note(device.broker.packets.splice(0))) {
          if (packet.type === "CONNECT") device.send(connack(0, random.below(2) === 0));
          else if (packet.type === "PINGREQ") device.send(PINGRESP);
          else if (packet.type === "SUBSCRIBE") device.send(suback(packet.packetId, random.pick([0, 1, 128])));
          else if (packet.type === "UNSUBSCRIBE") device.send(ack("UNSUBACK", packet.packetId));
          else if (packet.type === "PUBREL") device.send(ack("PUBCOMP", packet.packetId));
          else if (packet.type === "PUBLISH" && packet.qos > 0) {
            device.send(ack(packet.qos === 1 ? "PUBACK" : "PUBREC", packet.packetId));
          }
          if (device.socket.closed || random.below(4) === 0) return;
        }
      };
      device.hal.script = (socket) => {
        if (random.below(4) > 0) socket.connect();
        else socket.fail("refused");
      };
      const canSend = (): boolean => device.hal.sockets.length > 0 && !device.socket.closed && !device.socket.over;
      for (let i = 0; i < 120; i++) {
        switch (random.below(12)) {
          case 0:
            if (!client.connected) client.connect("broker");
            break;
          case 1:
            if (canSend() && client.connected && random.below(4) === 0) device.socket.reset();
            break;
          case 2:
            random.pick([() => client.close(), () => client.abort(), () => true, () => true, () => true])();
            break;
          case 3:
            if (canSend()) device.socket.stall();
            break;
          case 4:
            if (canSend()) device.socket.unstall();
            break;
          case 5:
            device.hal.advance(random.pick([0, 1, 500, 2500]));
            break;
          case 6:
          case 7:
            device.hal.settle();
            if (canSend()) {
              device.broker.read();
              answer();
            }
            break;
          default:
            account.operate();
        }
      }
      // To the end: what is still kept is sent and acknowledged.
      client.abort();
      device.hal.settle();
      device.answer();
      for (let round = 0; round < 60; round++) {
        if (!client.connected) client.connect("broker");
        device.hal.advance(1000);
      }
      client.abort();
      device.hal.advance(10000);
      for (const socket of device.hal.sockets) {
        device.brokerOf(socket).read();
        note(device.brokerOf(socket).packets);
      }
      for (const [name, outcomes] of account.told) {
        seen.add(outcomes[0]);
        const isAway = outcomes[0] === "expired" || outcomes[0] === "dropped";
        if (isAway && reached.has(name)) throw new Error(`${name} was ${outcomes[0]}, and sent`);
        if (outcomes[0] === "delivered" && account.published.has(name) && !reached.has(name)) {
          throw new Error(`${name} was not sent`);
        }
        if (outcomes.length !== 1) throw new Error(`${name} had ${outcomes.length} outcomes: ${outcomes.join()}`);
      }
      expect(client.connection.session.outbox.operations).toBe(0);
      for (const error of device.takeErrors()) expect((error as Error).message).toBe("thrown by an outcome");
      device.events.length = 0;
      device.check();
    });
    if (SLOWNESS === 1) expect([...seen].sort()).toEqual(kinds[policies.findIndex((row) => row[0] === title)]);
  });
});
