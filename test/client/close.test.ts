import { describe, expect, test } from "@jest/globals";
import { Device, PINGRESP, ack, connack, message, suback } from "../support/device.js";

describe("close", () => {
  test("sends DISCONNECT, closes the socket, answers true; offline follows (contract 2: close, 4: closed)", () => {
    const device = new Device().up();
    expect(device.client.close()).toBe(true);
    expect(device.client.connected).toBe(false);
    expect(device.events).toEqual([]);
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.socket.closed).toBe(true);
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("DISCONNECT goes out behind what is queued at QoS 0 (contract 2: close)", () => {
    const device = new Device({ hal: { room: 40 } }).up();
    device.socket.stall();
    for (const payload of ["a", "b", "c", "d"]) device.client.publish("topic", payload.repeat(20));
    expect(device.client.close()).toBe(true);
    expect(device.socket.closed).toBe(false);
    device.socket.unstall();
    expect(device.sent()).toEqual([
      `PUBLISH topic=${"a".repeat(20)}`,
      `PUBLISH topic=${"b".repeat(20)}`,
      `PUBLISH topic=${"c".repeat(20)}`,
      `PUBLISH topic=${"d".repeat(20)}`,
      "DISCONNECT",
    ]);
    expect(device.take()).toEqual(["puback", "puback", "puback", "puback", "offline 0"]);
    expect(device.socket.closed).toBe(true);
  });

  test("waits for acknowledgements, and sends DISCONNECT with the last one (contract 2: close)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.publish("t", "y", 2);
    device.client.subscribe("s");
    expect(device.client.close()).toBe(true);
    device.sent();
    device.send(ack("PUBREC", 2));
    expect(device.sent()).toEqual(["PUBREL #2"]);
    device.send(ack("PUBACK", 1), suback(3, 0));
    expect(device.sent()).toEqual([]);
    device.send(ack("PUBCOMP", 2));
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["puback", "puback", "suback 0", "offline 0"]);
  });

  test("waits for acknowledgements no longer than the drain time, 2 s (contract 2: close)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.close();
    device.sent();
    device.hal.advance(1999);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("sends all that was queued, also what the window held back, while acknowledgements come " +
    "(contract 2: close)", () => {
    const device = new Device({ options: { maxInflight: 1 } }).up();
    for (const payload of ["a", "b", "c"]) device.client.publish("t", payload, 1);
    device.client.close();
    for (const id of [1, 2, 3]) {
      expect(device.sent()).toEqual([`PUBLISH t=${"abc"[id - 1]} q1 #${id}`]);
      device.send(ack("PUBACK", id));
    }
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["puback", "puback", "puback", "offline 0"]);
  });

  test("accepts nothing any more (contract 2: close, 2: publish-false)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.close();
    expect(device.client.publish("t", "y")).toBe(false);
    expect(device.client.subscribe("t")).toBe(false);
    expect(device.client.unsubscribe("t")).toBe(false);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
  });

  test("messages that come meanwhile are delivered and acknowledged (contract 2: close)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.close();
    device.sent();
    device.send(message("a", "1", { qos: 1, id: 7 }));
    expect(device.sent()).toEqual(["PUBACK #7"]);
    device.send(message("a", "2", { qos: 1, id: 8 }), ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBACK #8", "DISCONNECT"]);
    expect(device.take()).toEqual(["message a=1", "message a=2", "puback", "offline 0"]);
  });

  test("is bounded when the network takes nothing any more (contract 2: close, 5: bounds)", () => {
    const device = new Device({ hal: { room: 20 } }).up();
    device.socket.stall();
    device.client.publish("t", "x".repeat(100));
    expect(device.client.close()).toBe(true);
    device.hal.advance(6999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.socket.closed).toBe(true);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("ends with what the peer does meanwhile, offline once (contract 2: close, 4: offline-once)", () => {
    for (const end of ["end", "reset", "malformed"] as const) {
      const device = new Device().up();
      device.client.publish("t", "x", 1);
      device.client.close();
      if (end === "malformed") device.socket.receive([0xf0, 0]);
      else device.socket[end]();
      expect(device.take()).toEqual([expect.stringMatching(/^offline /)]);
      device.hal.advance(100000);
      expect(device.take()).toEqual([]);
    }
  });

  test("a second one answers false and changes nothing (contract 2: close-nothing)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    expect(device.client.close()).toBe(true);
    expect([1, 2, 3].map(() => device.client.close())).toEqual([false, false, false]);
    device.sent();
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.client.close()).toBe(false);
    expect(device.take()).toEqual(["puback", "offline 0"]);
    expect(device.client.close()).toBe(false);
  });

  test("with nothing to close answers false (contract 2: close-nothing)", () => {
    const device = new Device();
    expect(device.client.close()).toBe(false);
    device.client.connect("broker");
    device.socket.fail("refused");
    expect(device.client.close()).toBe(false);
    device.up();
    device.socket.reset();
    expect(device.client.close()).toBe(false);
    expect(device.take()).toEqual(["offline -10"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });
});

describe("close while an attempt is under way", () => {
  test("before TCP is up answers false, and the attempt goes on (contract 2: close-attempt)", () => {
    const device = new Device();
    device.client.connect("broker");
    expect([1, 2].map(() => device.client.close())).toEqual([false, false]);
    device.hal.advance(30000);
    expect(device.client.close()).toBe(false);
    expect(device.socket.closed).toBe(false);
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
    expect(device.client.close()).toBe(true);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("before TCP is up leaves it its failure (contract 2: close-attempt, 4: one-outcome)", () => {
    const device = new Device();
    device.client.connect("broker");
    device.client.close();
    device.socket.fail("dns");
    expect(device.take()).toEqual(["connfail -3"]);
    device.client.connect("broker");
    device.client.close();
    device.hal.advance(60000);
    expect(device.take()).toEqual(["connfail -5"]);
  });

  test("with CONNECT out sends DISCONNECT, answers true, and no callback comes " +
    "(contract 2: close, 4: one-outcome)", () => {
    const device = new Device();
    device.client.connect("broker");
    device.reach();
    expect(device.client.close()).toBe(true);
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.socket.closed).toBe(true);
    expect(device.client.close()).toBe(false);
    device.hal.advance(100000);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("with CONNECT stuck sends the rest of it and DISCONNECT (contract 2: close)", () => {
    const device = new Device();
    device.client.connect("broker");
    device.socket.connect(5);
    device.socket.stall();
    device.hal.settle();
    expect(device.client.close()).toBe(true);
    expect(device.client.close()).toBe(false);
    device.socket.unstall();
    expect(device.sent()).toEqual(['CONNECT "id" clean 60', "DISCONNECT"]);
    expect(device.take()).toEqual([]);
    expect(device.socket.closed).toBe(true);
  });

  test("with CONNECT stuck for good is bounded (contract 2: close, 5: bounds)", () => {
    const device = new Device();
    device.client.connect("broker");
    device.socket.stall();
    device.socket.connect(5);
    expect(device.client.close()).toBe(true);
    device.hal.advance(5000);
    expect(device.socket.closed).toBe(true);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("with CONNECT out and no room ignores what comes (contract 2: close, 4: one-outcome)", () => {
    for (const end of ["connack", "refusal", "end", "reset", "nonsense"]) {
      const device = new Device();
      device.client.connect("broker");
      device.socket.stall();
      device.socket.connect(17);
      expect(device.sent()).toEqual(['CONNECT "id" clean 60']);
      expect(device.socket.room).toBe(1);
      expect(device.client.close()).toBe(true);
      if (end === "connack") device.send(connack());
      else if (end === "refusal") device.send(connack(5));
      else if (end === "nonsense") device.socket.receive([0xf0, 0]);
      else if (end === "end") device.socket.end();
      else device.socket.reset();
      device.hal.advance(100000);
      expect(device.take()).toEqual([]);
      expect(device.socket.closed).toBe(true);
      expect(device.client.connect("broker")).toBe(true);
    }
  });
});

describe("connect behind close", () => {
  test("right after it: the old connection ends first, offline before connect (contract 2: connect-anywhere)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.sent();
    expect(device.client.close()).toBe(true);
    expect(device.client.connect("other")).toBe(true);
    expect(device.hal.sockets).toHaveLength(1);
    device.send(ack("PUBACK", 1));
    expect(device.brokerOf(device.hal.sockets[0]).take()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["puback", "offline 0"]);
    expect(device.socket).toMatchObject({ host: "other", closed: false });
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });

  test("at once, when nothing is waited for (contract 2: connect-anywhere)", () => {
    const device = new Device().up();
    expect(device.client.close()).toBe(true);
    expect(device.client.connect("other")).toBe(true);
    expect(device.client.connected).toBe(false);
    device.accept();
    expect(device.hal.sockets).toHaveLength(2);
    expect(device.client.connected).toBe(true);
  });

  test("while CONNECT is out: one outcome, the second one's (contract 2: connect-anywhere, 4: one-outcome)", () => {
    const device = new Device();
    device.client.connect("one");
    device.reach();
    expect(device.client.close()).toBe(true);
    expect(device.client.connect("two")).toBe(true);
    expect(device.hal.sockets[0].closed).toBe(true);
    device.hal.settle();
    expect(device.socket.host).toBe("two");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });

  test("twice: the last one counts (contract 2: connect-supersede)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.close();
    device.client.connect("two", device.recorder("two"), device.recorder("two fail"));
    device.client.connect("three", device.recorder("three"), device.recorder("three fail"));
    device.hal.advance(2000);
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.hal.sockets.map(({ host }) => host)).toEqual(["broker", "three"]);
    device.socket.fail("refused");
    expect(device.take()).toEqual(["three fail"]);
  });

  test("and again in the offline callback: only the last one is tried (contract 2: connect-supersede)", () => {
    const device = new Device().up();
    device.client.close();
    device.client.connect("two");
    device.during.offline = () => device.client.connect("three");
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.socket.host).toBe("three");
    device.socket.fail("refused");
    device.hal.advance(1000000);
    expect(device.take()).toEqual(["connfail -5"]);
    expect(device.hal.sockets).toHaveLength(2);
  });

  test("and close again answers false, and the attempt goes on (contract 2: close-attempt)", () => {
    const device = new Device().up();
    expect(device.client.close()).toBe(true);
    expect(device.client.connect("other")).toBe(true);
    expect(device.client.close()).toBe(false);
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.socket).toMatchObject({ host: "other", closed: false });
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });

  test("fails with -5 when there is no socket by then (contract 2: connect-returns, 4: one-outcome)", () => {
    const device = new Device().up();
    device.client.close();
    device.client.connect("other");
    device.hal.exhausted = true;
    expect(device.take()).toEqual(["offline 0", "connfail -5"]);
    device.hal.advance(100000);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("fails so, but not behind a later abort() or connect() (contract 2: abort, 4: one-outcome)", () => {
    for (const then of ["abort", "connect"] as const) {
      const device = new Device().up();
      device.client.close();
      device.client.connect("other");
      device.hal.exhausted = true;
      let called = 0;
      device.during.offline = () => device.hal.after(0, () => {
        called = device.events.length;
        device.hal.exhausted = false;
        device.client[then]("third");
      });
      device.hal.advance(100);
      expect(called).toBeGreaterThan(0);
      expect(device.events).toHaveLength(called);
    }
  });
});

describe("abort", () => {
  test("ends a session at once, without DISCONNECT; offline follows (contract 2: abort, 4: closed)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.sent();
    expect(device.client.abort()).toBe(true);
    expect(device.socket.closed).toBe(true);
    expect(device.client.connected).toBe(false);
    expect(device.events).toEqual([]);
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.client.abort()).toBe(false);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  const phases: [string, (device: Device) => void][] = [
    ["while the name is resolved", () => undefined],
    ["when CONNECT is stuck", (device) => {
      device.socket.stall();
      device.socket.connect(5);
    }],
    ["when CONNECT is out", (device) => device.reach()],
    ["in the middle of CONNACK", (device) => {
      device.reach();
      device.socket.receive([0x20, 2]);
    }],
    ["when it is closing", (device) => {
      device.socket.stall();
      device.socket.connect(5);
      device.client.close();
    }],
  ];

  test.each(phases)("ends an attempt %s: no callback (contract 2: abort, 4: one-outcome)", (_, prepare) => {
    const device = new Device();
    device.client.connect("broker");
    prepare(device);
    expect(device.client.abort()).toBe(true);
    expect(device.socket.closed).toBe(true);
    expect(device.client.abort()).toBe(false);
    device.hal.advance(100000);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
    // And the next attempt is like any other.
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });

  test("ends a session that is closing: offline once (contract 2: abort, 4: offline-once)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.close();
    expect(device.client.abort()).toBe(true);
    expect(device.client.close()).toBe(false);
    device.hal.advance(100000);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("takes back a connect() behind close(): offline, and no more (contract 2: abort)", () => {
    const device = new Device().up();
    device.client.close();
    device.client.connect("other");
    expect(device.client.abort()).toBe(true);
    expect(device.client.abort()).toBe(false);
    device.hal.advance(100000);
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.hal.sockets).toHaveLength(1);
  });

  test("and connect: offline before connect (contract 2: connect-anywhere)", () => {
    const device = new Device().up();
    device.client.abort();
    expect(device.client.connect("other")).toBe(true);
    expect(device.take()).toEqual(["offline 0"]);
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });

  test("with nothing to end answers false (contract 2: abort)", () => {
    const device = new Device();
    expect(device.client.abort()).toBe(false);
    device.up();
    device.client.close();
    device.take();
    expect(device.client.abort()).toBe(false);
    expect(device.take()).toEqual([]);
  });

  test("leaves keepalive nothing to do (contract 2: abort)", () => {
    const device = new Device({ keepalive: 1 }).up();
    device.send(PINGRESP);
    device.client.abort();
    device.take();
    device.hal.advance(100000);
    expect(device.take()).toEqual([]);
  });
});
