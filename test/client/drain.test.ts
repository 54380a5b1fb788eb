/** `drain`: "may I sleep now?" Once everything is sent and acknowledged it says true, or at its deadline false. */
import { describe, expect, test } from "@jest/globals";
import type { EventName } from "../support/device.js";
import { Device, PINGRESP, ack, connack, message, suback } from "../support/device.js";

/** Calls `drain`; what it comes to is an event, with the time. */
function drain(device: Device, timeoutMs?: number | null, name = "drained"): boolean {
  const startMs = device.hal.now();
  return device.client.drain((_, drained) => {
    device.events.push(`${name} ${drained} after ${(device.hal.now() - startMs) | 0}`);
  }, timeoutMs);
}

describe("drain when nothing is under way", () => {
  test("says true, once, as soon as the call is over, and leaves no timer behind", () => {
    const device = new Device();
    expect(drain(device)).toBe(true);
    expect(device.events).toEqual([]);
    expect(device.hal.nextTimerMs).toBe(0);
    expect(device.take()).toEqual(["drained true after 0"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
    device.hal.advance(100000);
    expect(device.take()).toEqual([]);
  });

  test("does so with a session up, whose own deadline stands afterwards", () => {
    const device = new Device({ keepalive: 16 }).up();
    device.hal.advance(5000);
    drain(device);
    expect(device.take()).toEqual(["drained true after 0"]);
    expect(device.hal.nextTimerMs).toBe(10000);
    device.hal.advance(10000);
    expect(device.sent()).toEqual(["PINGREQ"]);
  });

  test("does so in the middle of an attempt, with whatever timeout", () => {
    const device = new Device();
    device.client.connect("broker");
    drain(device, 0);
    expect(device.take()).toEqual(["drained true after 0"]);
    device.reach();
    drain(device, 1 << 30);
    expect(device.take()).toEqual(["drained true after 0"]);
    device.hal.advance(5000);
    expect(device.take()).toEqual(["connfail -2"]);
  });

  test("may be asked again, also in its own callback", () => {
    const device = new Device().up();
    let left = 3;
    const again = (): void => {
      device.events.push(`drained with ${left} to come`);
      if (left-- > 0) expect(device.client.drain(again)).toBe(true);
    };
    device.client.drain(again);
    expect(device.take()).toEqual([3, 2, 1, 0].map((count) => `drained with ${count} to come`));
  });
});

describe("drain waits", () => {
  const cases: [title: string, start: (device: Device) => void, ends: ((device: Device) => void)[]][] = [
    ["for PUBACK", ({ client }) => client.publish("t", "x", 1), [(device) => device.send(ack("PUBACK", 1))]],
    [
      "for PUBREC and PUBCOMP",
      ({ client }) => client.publish("t", "x", 2),
      [(device) => device.send(ack("PUBREC", 1)), (device) => device.send(ack("PUBCOMP", 1))],
    ],
    ["for SUBACK", ({ client }) => client.subscribe("t"), [(device) => device.send(suback(1, 0))]],
    ["for UNSUBACK", ({ client }) => client.unsubscribe("t"), [(device) => device.send(ack("UNSUBACK", 1))]],
    [
      "for a message at QoS 0 that the network does not take",
      (device) => {
        device.socket.stall();
        while (device.socket.room > 0) device.client.publish("t", "x".repeat(100));
      },
      [(device) => device.socket.unstall()],
    ],
    [
      "for PUBACKs that the network does not take",
      (device) => {
        device.socket.stall();
        while (device.socket.room > 0) device.client.publish("t", "x".repeat(100));
        device.hal.settle();
        device.send(message("t", "y", { qos: 1, id: 7 }));
      },
      [(device) => device.socket.unstall()],
    ],
    [
      "for PUBREL of a message received at QoS 2",
      (device) => device.send(message("t", "y", { qos: 2, id: 7 })),
      [(device) => device.send(ack("PUBREL", 7))],
    ],
    [
      "for what the window holds back",
      ({ client }) => {
        for (let i = 0; i < 3; i++) client.publish("t", "x", 1);
      },
      [1, 2, 3].map((id) => (device: Device) => device.send(ack("PUBACK", id))),
    ],
  ];

  test.each(cases)("%s, and says true when that came", (_, start, ends) => {
    const device = new Device({ options: { maxInflight: 2, txCapacity: 8192, maxOperations: 64 } }).up();
    device.client.on("puback", null);
    start(device);
    expect(drain(device, 2000)).toBe(true);
    for (const end of ends) {
      device.hal.advance(100);
      expect(device.take().filter((line) => line.startsWith("drained"))).toEqual([]);
      end(device);
    }
    expect(device.take().filter((line) => line.startsWith("drained"))).toEqual([`drained true after ${ends.length}00`]);
    device.hal.advance(3000);
    expect(device.take()).toEqual([]);
  });

  test.each(cases)("%s, and says false when that did not come in time", (_, start) => {
    const device = new Device({ options: { maxInflight: 2, txCapacity: 8192, maxOperations: 64 } }).up();
    device.client.on("puback", null);
    start(device);
    drain(device, 777);
    device.hal.advance(776);
    expect(device.take().filter((line) => line.startsWith("drained"))).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["drained false after 777"]);
    device.hal.advance(10000);
    expect(device.take().filter((line) => line.startsWith("drained"))).toEqual([]);
  });

  test.each(cases)("%s: true at once when it comes, however late its deadline is", (_, start, ends) => {
    const device = new Device({ keepalive: 60, options: { maxInflight: 2, txCapacity: 8192, maxOperations: 64 } }).up();
    device.client.on("puback", null);
    start(device);
    drain(device, 1 << 30);
    for (const end of ends) {
      device.hal.advance(10);
      end(device);
    }
    expect(device.take().filter((line) => line.startsWith("drained"))).toEqual([`drained true after ${ends.length}0`]);
  });

  test("behind the callbacks of what it waited for", () => {
    const device = new Device().up();
    device.client.publish("t", "x");
    device.client.publish("t", "y", 1);
    device.client.subscribe("t");
    drain(device);
    device.hal.settle();
    device.send(suback(2, 0), ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "puback", "suback 0", "drained true after 0"]);
  });

  test("for what is published meanwhile, too", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    drain(device);
    device.during.puback = () => {
      delete device.during.puback;
      device.client.publish("t", "y", 1);
    };
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback"]);
    device.send(ack("PUBACK", 2));
    expect(device.take()).toEqual(["puback", "drained true after 0"]);
  });

  test("for drainTimeoutMs when no time is given", () => {
    for (const [options, expected] of [[{}, 2000], [{ drainTimeoutMs: 5 }, 5]] as const) {
      for (const timeoutMs of [undefined, null]) {
        const device = new Device({ options }).up();
        device.client.publish("t", "x", 1);
        drain(device, timeoutMs);
        device.hal.advance(10000);
        expect(device.take()).toEqual([`drained false after ${expected}`]);
      }
    }
  });

  test("the time given and no longer where the clock wraps", () => {
    for (const now of [0x7fffff00, -0x100]) {
      const device = new Device({ hal: { now } }).up();
      device.client.publish("t", "x", 1);
      drain(device, 1000);
      device.hal.advance(999);
      expect(device.take()).toEqual([]);
      device.hal.advance(1);
      expect(device.take()).toEqual(["drained false after 1000"]);
    }
  });

  test("while PINGREQ goes out and is answered", () => {
    const device = new Device({ keepalive: 10, options: { ackTimeoutMs: 100000 } }).up();
    device.broker.answers = false;
    device.client.publish("t", "x", 1);
    drain(device, 60000);
    for (let i = 0; i < 5; i++) {
      device.hal.advance(10000);
      expect(device.sent().at(-1)).toBe("PINGREQ");
      device.send(PINGRESP);
    }
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "drained true after 50000"]);
  });
});

describe("drain without a session", () => {
  test("waits for messages that are kept, until they are acknowledged on the next connection", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    device.hal.settle();
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    drain(device, 60000);
    device.hal.advance(1000);
    device.up(true);
    device.hal.advance(1000);
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "drained true after 2000"]);
  });

  test("says false at its deadline, and leaves no timer behind", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    device.hal.settle();
    device.socket.reset();
    device.take();
    drain(device, 5000);
    expect(device.hal.nextTimerMs).toBe(5000);
    device.hal.advance(5000);
    expect(device.take()).toEqual(["drained false after 5000"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("says so in the middle of an attempt, whose own deadline stands afterwards", () => {
    const device = new Device({ cleansession: 0, options: { queueOffline: true, connectTimeoutMs: 3000 } });
    device.client.publish("t", "x");
    device.client.connect("broker");
    drain(device, 1000);
    device.hal.advance(1000);
    expect(device.take()).toEqual(["drained false after 1000"]);
    expect(device.hal.nextTimerMs).toBe(2000);
    device.hal.advance(2000);
    expect(device.take()).toEqual(["connfail -5"]);
  });

  test("lasts across connections that fail and are lost, to one deadline", () => {
    const device = new Device({ cleansession: 0, options: { queueOffline: true } });
    device.client.publish("t", "x", 2);
    drain(device, 10000);
    device.client.connect("broker");
    device.socket.fail("dns");
    device.hal.advance(1000);
    expect(device.take()).toEqual(["connfail -3"]);
    device.up();
    device.hal.advance(1000);
    device.socket.reset();
    device.hal.advance(7999);
    expect(device.take()).toEqual(["offline -10"]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["drained false after 10000"]);
  });

  test("waits for PUBREL of a message received at QoS 2 on an earlier connection", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.send(message("t", "x", { qos: 2, id: 5 }));
    device.socket.reset();
    expect(device.take()).toEqual(["message t=x", "offline -10"]);
    drain(device, 1000);
    expect(device.take()).toEqual([]);
    device.up(true);
    device.send(ack("PUBREL", 5));
    expect(device.take()).toEqual(["drained true after 0"]);
  });

  test("does not wait for what ended with the session", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.subscribe("t");
    drain(device);
    device.hal.settle();
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10", "drained true after 0"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("says true when autoreconnect has sent what was kept", () => {
    const device = new Device({ cleansession: 0 });
    device.client.connect("broker", 1883, 0, 1);
    device.accept();
    device.client.publish("t", "x", 1);
    device.hal.settle();
    device.socket.reset();
    drain(device, 20000);
    device.hal.advance(1000);
    device.accept(true);
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "drained true after 1000"]);
  });
});

describe("A second drain", () => {
  test("answers false while the first waits; its callback is never called", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    expect(drain(device, 1000, "first")).toBe(true);
    expect(drain(device, 10, "second")).toBe(false);
    device.hal.advance(999);
    expect(drain(device, 10, "third")).toBe(false);
    device.hal.advance(1);
    expect(device.take()).toEqual(["first false after 1000"]);
    expect(drain(device, 10, "fourth")).toBe(true);
    device.hal.advance(10000);
    expect(device.take()).toEqual(["fourth false after 10"]);
  });

  test("answers false also before the first, which was idle, was told", () => {
    const device = new Device();
    expect(drain(device)).toBe(true);
    expect(drain(device, 1, "second")).toBe(false);
    expect(device.take()).toEqual(["drained true after 0"]);
  });
});

describe("drain with wrong arguments", () => {
  test.each([undefined, null, 1, "f", {}])("throws for the callback %p, and has done nothing", (callback) => {
    const { client, hal } = new Device();
    expect(() => client.drain(callback as never)).toThrow(/^callback must be a function, not /);
    expect(hal.nextTimerMs).toBeUndefined();
    expect(client.drain(() => undefined)).toBe(true);
  });

  test.each([-1, 0.5, NaN, 2 ** 30 + 1, "1", {}])("throws for the time %p, and has done nothing", (timeoutMs) => {
    const { client, hal } = new Device();
    expect(() => client.drain(() => undefined, timeoutMs as never)).toThrow(/^timeoutMs must be /);
    expect(hal.nextTimerMs).toBeUndefined();
    expect(client.drain(() => undefined)).toBe(true);
  });
});

describe("drain inside callbacks", () => {
  /** Brings each event about, with nothing under way behind it. */
  const causes: [EventName, string, (device: Device) => void][] = [
    ["connect", "connect", (device) => device.up()],
    ["connfail", "connfail -3", (device) => {
      device.client.connect("broker");
      device.socket.fail("dns");
    }],
    ["offline", "offline -10", (device) => {
      device.up();
      device.socket.reset();
    }],
    ["message", "message t=x", (device) => device.up().send(message("t", "x"))],
    ["overflow", `overflow t=${"x".repeat(1019)}`, (device) => device.up().send(message("t", "x".repeat(2000)))],
    ["puback", "puback", (device) => {
      device.up();
      device.client.publish("t", "x", 1);
      device.hal.settle();
      device.send(ack("PUBACK", 1));
    }],
    ["suback", "suback 1", (device) => {
      device.up();
      device.client.subscribe("t", 1);
      device.hal.settle();
      device.send(suback(1, 1));
    }],
    ["unsuback", "unsuback", (device) => {
      device.up();
      device.client.unsubscribe("t");
      device.hal.settle();
      device.send(ack("UNSUBACK", 1));
    }],
  ];

  test.each(causes)("%s: says true at once behind it", (name, _, cause) => {
    const device = new Device();
    let startMs = -1;
    let endMs = -1;
    device.during[name] = () => {
      startMs = device.hal.now();
      expect(device.client.drain((_client, drained) => (endMs = drained ? device.hal.now() : -2))).toBe(true);
    };
    cause(device);
    device.hal.settle();
    expect(startMs).toBe(0);
    expect(endMs).toBe(0);
    device.events.length = 0;
  });

  test.each(causes)("%s: says false at its deadline when there is something to wait for", (name, _, cause) => {
    const device = new Device({ cleansession: 0, options: { queueOffline: true } });
    device.during[name] = () => {
      expect(device.client.publish("t", "later", 1)).toBe(true);
      drain(device, 1000);
    };
    cause(device);
    device.take();
    device.hal.advance(999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["drained false after 1000"]);
  });

  test("a message's, of which PUBREC is due: waits for PUBREL", () => {
    const device = new Device().up();
    device.during.message = () => drain(device, 3000);
    device.send(message("t", "x", { qos: 2, id: 1 }));
    expect(device.take()).toEqual(["message t=x"]);
    device.hal.advance(1000);
    device.send(ack("PUBREL", 1));
    expect(device.take()).toEqual(["drained true after 1000"]);
    expect(device.sent()).toEqual(["PUBREC #1", "PUBCOMP #1"]);
  });

  test("its own may do anything: publish, pause, connect", () => {
    const device = new Device({ cleansession: 0, options: { queueOffline: true } }).up();
    device.client.drain((client) => {
      client.publish("t", "x");
      client.publish("t", "y", 1);
      client.pause();
    });
    expect(device.take()).toEqual(["puback"]);
    expect(device.sent()).toEqual(["PUBLISH t=x", "PUBLISH t=y q1 #1"]);
    device.client.abort();
    device.take();
    device.client.drain((client) => client.connect("broker"), 100);
    device.hal.advance(100);
    device.accept(true);
    expect(device.client.connected).toBe(true);
  });

  test("its own may throw: the error surfaces, and all goes on", () => {
    const device = new Device().up();
    const error = new Error("no");
    device.client.drain(() => {
      throw error;
    });
    device.hal.settle();
    expect(device.takeErrors()).toEqual([error]);
    drain(device);
    expect(device.take()).toEqual(["drained true after 0"]);
  });
});

describe("drain and close", () => {
  test("says true in the callback of which close() may follow: nothing is lost", () => {
    const device = new Device().up();
    device.broker.answers = true;
    for (let i = 0; i < 6; i++) device.client.publish("t", `${i}`, i % 3 as 0 | 1 | 2);
    device.client.drain((client, drained) => {
      device.events.push(`drained ${drained}`);
      client.close();
    });
    device.hal.advance(10);
    expect(device.take()).toEqual([...new Array<string>(6).fill("puback"), "drained true", "offline 0"]);
    expect(device.broker.take().at(-1)).toBe("DISCONNECT");
  });

  test("close() behind it ends it: true when all was acknowledged, behind offline", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    drain(device, 1000);
    device.client.close();
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "offline 0", "drained true after 0"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("close() does not hold it up: false at its deadline", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    device.client.close();
    drain(device, 1000);
    device.hal.advance(1000);
    expect(device.take()).toEqual(["drained false after 1000"]);
    device.hal.advance(1000);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("waits for DISCONNECT to leave", () => {
    const device = new Device({ hal: { room: 20 } }).up();
    device.socket.stall();
    device.client.publish("t", "x".repeat(15));
    expect(device.take()).toEqual(["puback"]);
    expect(device.socket.room).toBe(0);
    device.client.close();
    drain(device, 1000);
    device.hal.advance(500);
    expect(device.take()).toEqual([]);
    device.socket.unstall();
    expect(device.take()).toEqual(["offline 0", "drained true after 500"]);
  });

  test("abort() keeps what is kept: false at its deadline", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    drain(device, 1000);
    device.client.abort();
    expect(device.take()).toEqual(["offline 0"]);
    device.hal.advance(1000);
    expect(device.take()).toEqual(["drained false after 1000"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("abort() of an attempt, which has no callback, does not take that of drain with it", () => {
    const device = new Device({ cleansession: 0, options: { queueOffline: true } });
    device.client.publish("t", "x");
    device.client.connect("broker");
    drain(device, 1000);
    device.client.abort();
    device.hal.advance(1000);
    expect(device.take()).toEqual(["drained false after 1000"]);
  });

  test("connect inside the callback of offline: drain behind it goes on to the new session", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    drain(device, 5000);
    device.during.offline = () => device.client.connect("broker");
    device.hal.settle();
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.reach();
    device.send(connack(0, true));
    expect(device.take()).toEqual(["connect present"]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "drained true after 0"]);
  });
});
