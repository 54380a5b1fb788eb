import { describe, expect, test } from "@jest/globals";
import type { EventName } from "../support/device.js";
import { Device, PINGRESP, ack, connack, message, suback } from "../support/device.js";

/** When packets were sent, in ms, and what they are. */
type Seen = [number, string][];

/** Lets time pass in steps, calls `onStep` behind each, and returns what was sent. */
function watch(device: Device, ms: number, step: number, onStep?: (at: number) => void): Seen {
  const seen: Seen = [];
  for (let at = step; at <= ms; at += step) {
    device.hal.advance(step);
    for (const line of device.sent()) seen.push([at, line]);
    onStep?.(at);
  }
  return seen;
}

/** The longest time between packets sent, from 0 on. */
function longestGap(seen: Seen): number {
  return Math.max(...seen.map(([at], i) => at - (i === 0 ? 0 : seen[i - 1][0])));
}

/** Each callback of this event takes so long, by the client's clock; what it does, it does behind that. */
function slow(device: Device, event: EventName, ms: number, action?: () => void): void {
  let spentMs = 0;
  const now = device.hal.now.bind(device.hal);
  Object.defineProperty(device.hal, "now", { value: () => (now() + spentMs) | 0 });
  device.during[event] = () => {
    spentMs += ms;
    action?.();
  };
}

describe("Keepalive", () => {
  test.each([1, 2, 60, 3600])("of %p s: PINGREQ no later after the last packet sent (contract 5: keepalive)", (
    keepalive,
  ) => {
    const device = new Device({ keepalive }).up();
    device.broker.answers = true;
    const seen = watch(device, keepalive * 10000, keepalive * 10);
    expect(seen.every(([, line]) => line === "PINGREQ")).toBe(true);
    // Strictly before, since timers are late; and no more often than needed.
    expect(longestGap(seen)).toBeLessThan(keepalive * 1000);
    expect(seen.length).toBeLessThanOrEqual(11);
    expect(device.take()).toEqual([]);
  });

  test("counts from the last packet sent, whatever that was (contract 5: keepalive)", () => {
    const device = new Device({ keepalive: 10 }).up();
    device.broker.answers = true;
    const seen = watch(device, 100000, 100, (at) => {
      if (at % 4000 === 0 && at <= 60000) device.client.publish("t", "x", at % 3 as 0 | 1 | 2);
    });
    expect(seen.filter(([at, line]) => line === "PINGREQ" && at < 65000)).toEqual([]);
    expect(longestGap(seen)).toBeLessThan(10000);
    expect(device.client.connected).toBe(true);
    device.events.length = 0;
  });

  test("is not replaced by receiving alone (contract 5: keepalive)", () => {
    const device = new Device({ keepalive: 10 }).up();
    const seen = watch(device, 50000, 100, () => {
      device.send(message("t", "x"));
      if (device.broker.packets.at(-1)?.type === "PINGREQ") device.send(PINGRESP);
    });
    device.events.length = 0;
    expect(seen.map(([, line]) => line)).toEqual(["PINGREQ", "PINGREQ", "PINGREQ", "PINGREQ", "PINGREQ"]);
    expect(longestGap(seen)).toBeLessThan(10000);
  });

  test("is not replaced by sending alone: a peer that answers nothing is found (contract 5: keepalive)", () => {
    const device = new Device({ keepalive: 10 }).up();
    device.client.on("puback", null);
    const seen = watch(device, 20000, 1000, () => device.client.publish("t", "x"));
    expect(seen.filter(([, line]) => line === "PINGREQ").length).toBe(1);
    expect(device.take()).toEqual(["offline -11"]);
  });

  test.each([1, 60, 65535])("of %p s: offline no later than twice that when nothing answers (contract 5: keepalive)", (
    keepalive,
  ) => {
    const device = new Device({ keepalive }).up();
    device.hal.advance(keepalive * 1000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    expect(device.take()).toEqual([]);
    device.hal.advance(keepalive * 1000 - 1);
    expect(device.take()).toEqual(["offline -11"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("is independent of the queue: with all full and nothing acknowledged it pings (contract 5: keepalive)", () => {
    const options = { maxInflight: 1, ackTimeoutMs: 100000, maxOperations: 3 };
    const device = new Device({ keepalive: 10, options }).up();
    device.broker.answers = false;
    for (let i = 0; i < 4; i++) device.client.publish("t", "x", 1);
    device.sent();
    const seen = watch(device, 60000, 100, () => {
      if (device.broker.packets.at(-1)?.type === "PINGREQ" && device.client.connected) device.send(PINGRESP);
    });
    expect(seen.filter(([, line]) => line === "PINGREQ").length).toBeGreaterThanOrEqual(6);
    expect(longestGap(seen)).toBeLessThan(10000);
    expect(device.client.connected).toBe(true);
  });

  test("goes on while a long message trickles in (contract 5: keepalive)", () => {
    const device = new Device({ keepalive: 10 }).up();
    const bytes = device.broker.bytes(message("t", "x".repeat(500)));
    let next = 0;
    const seen = watch(device, 100000, 200, () => {
      if (next < bytes.length) device.socket.receive(bytes.subarray(next, ++next));
    });
    expect(device.take()).toEqual([]);
    expect(longestGap(seen)).toBeLessThan(10000);
    expect(seen.every(([, line]) => line === "PINGREQ")).toBe(true);
  });

  test("is that of the mock's clock, also across its wrap at 32 bits (contract 5: keepalive)", () => {
    for (const now of [0x7fffffff - 15000, 0xffffffff - 15000, -1]) {
      const device = new Device({ keepalive: 10, hal: { now } }).up();
      device.broker.answers = true;
      const seen = watch(device, 60000, 100);
      expect(seen).toHaveLength(6);
      expect(longestGap(seen)).toBeLessThan(10000);
      device.broker.answers = false;
      device.hal.advance(20000);
      expect(device.take()).toEqual(["offline -11"]);
    }
  });

  test("is not late by the time that a callback takes (contract 5: keepalive)", () => {
    const device = new Device({ keepalive: 16 }).up();
    // Nothing but the timer calls the client.
    device.socket.stall();
    slow(device, "puback", 2000);
    device.client.publish("t", "x");
    expect(device.take()).toEqual(["puback"]);
    // 15 s behind the last packet.
    expect(device.hal.nextTimerMs).toBe(13000);
  });

  test("is not late by the time that a program takes between two messages (contract 5: keepalive)", () => {
    for (const takenMs of [0, 5000, 14000, 40000]) {
      const device = new Device({ keepalive: 16 }).up();
      device.broker.answers = true;
      device.client.publish("t", "x");
      // The program goes on: nobody calls the client, whose timer is due.
      const now = device.hal.now.bind(device.hal);
      Object.defineProperty(device.hal, "now", { value: () => (now() + takenMs) | 0 });
      device.client.publish("t", "y");
      const seen = watch(device, 16000, 100);
      const [at] = seen.find(([, line]) => line === "PINGREQ")!;
      expect(at).toBeGreaterThanOrEqual(Math.max(100, 15000 - takenMs));
      expect(at).toBeLessThan(16000);
      expect(device.client.connected).toBe(true);
      device.take();
    }
  });

  test("wakes the device no more than it must (contract 5: keepalive)", () => {
    const device = new Device({ keepalive: 60 }).up();
    device.broker.answers = true;
    let wakes = 0;
    for (let at = 0; at < 600000;) {
      const ms = device.hal.nextTimerMs!;
      device.hal.advance(ms);
      at += ms;
      wakes++;
    }
    expect(wakes).toBeLessThan(30);
  });
});

describe("Packet ids", () => {
  test("start at 1 and rise by one for each publish above QoS 0, subscribe and unsubscribe " +
    "(contract 5: packet-ids)", () => {
    const device = new Device().up();
    const { client } = device;
    client.publish("t", "x", 1);
    client.publish("t", "x");
    client.subscribe({ a: 0, b: 0 });
    client.publish("t", "x", 2);
    client.unsubscribe("a");
    client.subscribe("c");
    expect(device.sent()).toEqual([
      "PUBLISH t=x q1 #1", "PUBLISH t=x", "SUBSCRIBE #2 a:0 b:0", "PUBLISH t=x q2 #3", "UNSUBSCRIBE #4 a",
      "SUBSCRIBE #5 c:0",
    ]);
  });

  test("are not reset by a reconnect, to whatever session (contract 5: packet-ids)", () => {
    for (const cleansession of [0, 1] as const) {
      const device = new Device({ cleansession }).up();
      device.client.publish("t", "x", 1);
      device.sent();
      device.send(ack("PUBACK", 1));
      for (let id = 2; id < 5; id++) {
        device.socket.reset();
        device.up(false);
        device.client.publish("t", "x", 1);
        expect(device.sent()).toEqual([`PUBLISH t=x q1 #${id}`]);
        device.send(ack("PUBACK", id));
      }
      device.take();
    }
  });

  test("wrap from 65535 to 1 and skip those in use (contract 5: packet-ids)", () => {
    const options = { maxOperations: 1000, maxInflight: 1000, txCapacity: 20000 };
    const device = new Device({ cleansession: 0, options, hal: { room: 50000 } }).up();
    device.client.publish("t", "a", 1);
    device.client.publish("t", "b", 1);
    device.client.publish("t", "c", 2);
    device.sent();
    device.send(ack("PUBACK", 2), ack("PUBREC", 3));
    device.sent();
    // 1 and 3 stay unacknowledged for good. Subscribes go with the connection, their ids do not come back.
    const ids: number[] = [];
    while (ids.length < 65535 + 3) {
      while (ids.length < 65535 + 3 && device.client.subscribe("s")) ids.push(0);
      device.sent();
      const packets = device.broker.packets.splice(0);
      const subscribes = packets.filter((packet) => packet.type === "SUBSCRIBE");
      ids.splice(ids.length - subscribes.length, subscribes.length, ...subscribes.map(({ packetId }) => packetId));
      device.socket.reset();
      device.up(true);
    }
    const rising = Array.from({ length: 65532 }, (_, i) => i + 4);
    expect(ids).toEqual([...rising, 2, 4, 5, 6, 7, 8]);
    device.take();
  });
});

describe("An acknowledgement that does not come", () => {
  const operations: [string, (device: Device) => void][] = [
    ["PUBACK", (device) => device.client.publish("t", "x", 1)],
    ["PUBREC", (device) => device.client.publish("t", "x", 2)],
    ["PUBCOMP", (device) => {
      device.client.publish("t", "x", 2);
      device.send(ack("PUBREC", 1));
    }],
    ["SUBACK", (device) => device.client.subscribe("t")],
    ["UNSUBACK", (device) => device.client.unsubscribe("t")],
  ];

  test.each(operations)("%s: nothing is sent again; offline after twice the keepalive (contract 5: ack-timeout)", (
    _, operate,
  ) => {
    const device = new Device({ keepalive: 10 }).up();
    operate(device);
    device.sent();
    const seen = watch(device, 19900, 100, () => {
      if (device.broker.packets.at(-1)?.type === "PINGREQ") device.send(PINGRESP);
    });
    expect(seen.map(([, line]) => line).filter((line) => line !== "PINGREQ")).toEqual([]);
    expect(device.take()).toEqual([]);
    device.hal.advance(100);
    expect(device.take()).toEqual(["offline -12"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("counts from when it was sent, the oldest one first (contract 5: ack-timeout)", () => {
    const device = new Device({ options: { ackTimeoutMs: 1000, maxInflight: 2 } }).up();
    device.client.publish("t", "1", 1);
    device.hal.advance(600);
    device.client.publish("t", "2", 1);
    device.client.publish("t", "3", 1);
    device.hal.advance(300);
    device.send(ack("PUBACK", 1));
    device.hal.advance(600);
    device.send(ack("PUBACK", 2));
    expect(device.take()).toEqual(["puback", "puback"]);
    device.hal.advance(399);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["offline -12"]);
  });

  test("counts from when it was sent, also behind a callback that took its time (contract 5: ack-timeout)", () => {
    const device = new Device({ options: { ackTimeoutMs: 1000 } }).up();
    device.client.publish("t", "first", 1);
    device.hal.advance(500);
    slow(device, "message", 700, () => device.client.publish("t", "second", 1));
    device.send(ack("PUBACK", 1), message("t", "x"));
    expect(device.take()).toEqual(["puback", "message t=x"]);
    // By the client's clock 1700; the second was sent at 1200.
    device.hal.advance(500);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBe(500);
    device.hal.advance(500);
    expect(device.take()).toEqual(["offline -12"]);
  });

  test("of an operation that the window holds back is not counted (contract 5: ack-timeout)", () => {
    const device = new Device({ options: { ackTimeoutMs: 1000, maxInflight: 1, maxOperations: 30 } }).up();
    for (let i = 0; i < 20; i++) device.client.publish("t", "x", 1);
    for (let id = 1; id <= 20; id++) {
      device.hal.advance(900);
      device.send(ack("PUBACK", id));
    }
    expect(device.take()).toHaveLength(20);
    expect(device.client.connected).toBe(true);
  });
});

describe("A loss", () => {
  /** One operation of each kind, none acknowledged, and one done behind them. */
  function operate(device: Device): void {
    const { client } = device;
    client.publish("t", "1", 1);
    client.publish("t", "2", 2);
    client.subscribe("s");
    client.publish("t", "3", 2);
    client.unsubscribe("u");
    client.publish("t", "4", 1, 1);
  }

  test("of a clean session discards what was queued (contract 5: loss)", () => {
    const device = new Device().up();
    operate(device);
    device.sent();
    device.send(ack("PUBREC", 2));
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.up();
    device.hal.advance(10000);
    expect(device.sent()).toEqual([]);
    // Late acknowledgements mean nothing.
    device.send(ack("PUBACK", 1), ack("PUBCOMP", 2), suback(3, 0));
    expect(device.take()).toEqual([]);
    device.client.publish("t", "x", 1);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #7"]);
  });

  test("of a persistent session: QoS 1 and 2 are resent with DUP, same ids, in order (contract 5: loss)", () => {
    const device = new Device({ cleansession: 0 }).up();
    operate(device);
    device.sent();
    device.send(ack("PUBREC", 2));
    device.sent();
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.client.connect("broker");
    device.socket.connect();
    expect(device.sent()).toEqual(['CONNECT "id" persistent 60']);
    device.send(connack(0, true));
    expect(device.sent()).toEqual([
      "PUBLISH t=1 q1 #1 dup", "PUBREL #2", "PUBLISH t=3 q2 #4 dup", "PUBLISH t=4 q1 #6 dup retain",
    ]);
    device.send(ack("PUBACK", 1), ack("PUBCOMP", 2), ack("PUBREC", 4), ack("PUBCOMP", 4), ack("PUBACK", 6));
    expect(device.take()).toEqual(["connect present", "puback", "puback", "puback", "puback"]);
  });

  test("of a persistent session that ends several times resends each time (contract 5: loss)", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "1", 1);
    device.client.publish("t", "2", 2);
    for (let i = 0; i < 5; i++) {
      device.socket.reset();
      device.client.connect("broker");
      device.reach();
      device.send(connack(0, true));
      expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1 dup", "PUBLISH t=2 q2 #2 dup"]);
      // A failed attempt in between changes nothing.
      device.socket.reset();
      device.client.connect("broker");
      device.socket.fail("dns");
      device.client.connect("broker");
      device.reach();
      device.send(connack(3));
      device.client.connect("broker");
      device.client.abort();
      device.up(true);
    }
    device.send(ack("PUBACK", 1), ack("PUBREC", 2), ack("PUBCOMP", 2));
    device.events = device.events.filter((line) => line === "puback");
    expect(device.take()).toEqual(["puback", "puback"]);
  });

  test("before a message was sent: it is sent without DUP (contract 5: loss)", () => {
    const device = new Device({ cleansession: 0, options: { maxInflight: 1 } }).up();
    device.client.publish("t", "1", 1);
    device.client.publish("t", "2", 1);
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1"]);
    device.socket.reset();
    device.take();
    device.up(true);
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    expect(device.broker.packets.slice(1).map((packet) => "dup" in packet && [packet.payload, packet.dup])).toEqual(
      [["1", true], ["2", false]],
    );
  });

  test("of close() and abort() keeps them too (contract 5: loss)", () => {
    for (const end of ["close", "abort"] as const) {
      const device = new Device({ cleansession: 0 }).up();
      device.client.publish("t", "1", 1);
      device.client[end]();
      device.hal.advance(10000);
      expect(device.take()).toEqual(["offline 0"]);
      device.client.connect("broker");
      device.reach();
      device.send(connack(0, true));
      expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1 dup"]);
      device.send(ack("PUBACK", 1));
      expect(device.take()).toEqual(["connect present", "puback"]);
    }
  });

  test("when the broker has forgotten the session: nothing accepted is lost (contract 5: loss)", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "1", 1);
    device.client.publish("t", "2", 2);
    device.client.publish("t", "3", 2);
    device.send(ack("PUBREC", 2));
    device.socket.reset();
    device.take();
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, false));
    // The second one was taken by the broker before: it is done.
    expect(device.sent().map((line) => line.replace(" dup", ""))).toEqual(["PUBLISH t=1 q1 #1", "PUBLISH t=3 q2 #3"]);
    device.send(ack("PUBACK", 1), ack("PUBREC", 3), ack("PUBCOMP", 3));
    expect(device.take()).toEqual(["connect", "puback", "puback", "puback"]);
  });

  test("leaves what was kept in front of what is published in connect (contract 5: loss, 3: call-order)", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "old", 1);
    device.socket.reset();
    device.take();
    device.during.connect = () => {
      device.client.subscribe("s");
      device.client.publish("t", "new", 1);
    };
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, true));
    expect(device.sent()).toEqual(["PUBLISH t=old q1 #1 dup", "SUBSCRIBE #2 s:0", "PUBLISH t=new q1 #3"]);
  });
});

describe("Every capacity", () => {
  test("is enough for as many as it says, again and again (contract 5: bounds)", () => {
    const device = new Device({ options: { maxOperations: 5, txCapacity: 128 } }).up();
    device.broker.answers = true;
    for (let round = 0; round < 200; round++) {
      for (let i = 0; i < 5; i++) {
        const payload = "x".repeat((round + i) % 15);
        expect(device.client.publish("t", payload, (round + i) % 3 as 0 | 1 | 2)).toBe(true);
      }
      expect(device.client.publish("t", "")).toBe(false);
      expect(device.take()).toHaveLength(5);
    }
  });

  test("of a platform's socket: QoS 0 without callback is limited by nothing else (contract 5: bounds)", () => {
    const device = new Device({ listens: false, hal: { room: 100000 }, options: { maxOperations: 2 } }).up();
    for (let i = 0; i < 1000; i++) expect(device.client.publish("t", `${i}`)).toBe(true);
    expect(device.sent()).toHaveLength(1000);
  });

  test("when full holds up no acknowledgement, ping or disconnect (contract 5: bounds, 3: pipelining)", () => {
    const device = new Device({ keepalive: 10, options: { maxOperations: 1, txCapacity: 128 } }).up();
    device.client.publish("t", "x".repeat(100), 2);
    device.sent();
    device.send(message("t", "y", { qos: 2, id: 1 }), ack("PUBREL", 1));
    expect(device.sent()).toEqual(["PUBREC #1", "PUBCOMP #1"]);
    device.hal.advance(9900);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.client.close();
    device.hal.advance(2000);
    expect(device.sent()).toEqual(["DISCONNECT"]);
  });
});
