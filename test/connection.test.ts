import { describe, expect, test } from "@jest/globals";
import type { Packet } from "./support/packets.js";
import { Device, PINGRESP, ack, connack, message, suback } from "./support/device.js";

/** A device that is connecting, with whatever callbacks. */
function connecting(): Device {
  const device = new Device();
  device.client.connect("broker");
  return device;
}

/** A device whose CONNECT is out. */
function awaiting(): Device {
  const device = connecting();
  device.reach();
  return device;
}

/** This and nothing else comes, now or later, and the client is at rest and able to connect again. */
function expectOutcome(device: Device, ...events: string[]): void {
  expect(device.take()).toEqual(events);
  expect(device.client.connected).toBe(false);
  expect(device.hal.sockets.every((socket) => socket.closed)).toBe(true);
  expect(device.hal.nextTimerMs).toBeUndefined();
  device.hal.advance(1000000);
  expect(device.take()).toEqual([]);
  device.client.connect("again");
  device.reach();
  device.send(connack());
  expect(device.take()).toEqual(["connect"]);
}

describe("An attempt", () => {
  test("that is accepted ends in connect, once (contract 4: one-outcome, 5: connect-once)", () => {
    const device = awaiting();
    expect(device.take()).toEqual([]);
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
    expect(device.client.connected).toBe(true);
    device.send(message("t", "x"));
    device.hal.advance(10000);
    expect(device.take()).toEqual(["message t=x"]);
  });

  test("tells whether the broker still had the session (contract 4: one-outcome)", () => {
    for (const isPresent of [false, true]) {
      const device = new Device({ cleansession: 0, listens: false });
      const seen: unknown[] = [];
      device.client.on("connect", (...args) => seen.push(args[1]));
      device.client.connect("broker");
      device.reach();
      device.send(connack(0, isPresent));
      expect(seen).toEqual([isPresent]);
    }
  });

  test("whose name is not resolved: connfail(-3), at once or later, never in the call (contract 4: dns)", () => {
    const atOnce = new Device();
    atOnce.hal.script = (socket) => socket.fail("dns");
    expect(atOnce.client.connect("nowhere")).toBe(true);
    expect(atOnce.events).toEqual([]);
    atOnce.hal.settle();
    atOnce.hal.script = undefined;
    expectOutcome(atOnce, "connfail -3");
    for (const ms of [1, 1000, 59999]) {
      const later = connecting();
      later.hal.after(ms, () => later.hal.sockets[0].fail("dns"));
      later.hal.advance(ms - 1);
      expect(later.take()).toEqual([]);
      later.hal.advance(1);
      expectOutcome(later, "connfail -3");
    }
  });

  const failures = ["refused", "unreachable", "timeout", "tls"] as const;
  test.each(failures)("that fails with %s: connfail(-5) (contract 4: refused)", (failure) => {
    const device = connecting();
    device.socket.fail(failure);
    expectOutcome(device, "connfail -5");
  });

  test("passes the platform's error on, if there is one (contract 4: refused)", () => {
    const device = new Device({ listens: false });
    const seen: unknown[][] = [];
    device.client.on("connfail", (...args) => seen.push(args.slice(1)));
    const error = new Error("ECONNREFUSED");
    device.client.connect("broker");
    device.socket.fail("refused", error);
    device.client.connect("broker");
    device.socket.fail("refused");
    expect(seen).toEqual([[-5, error], [-5]]);
  });

  test("whose peer closes or resets before CONNACK: connfail(-5) (contract 4: refused)", () => {
    for (const end of ["end", "endSending", "reset"] as const) {
      const closed = awaiting();
      closed.socket[end]();
      expectOutcome(closed, "connfail -5");
      const midway = awaiting();
      midway.socket.receive([0x20, 2, 0]);
      midway.socket[end]();
      expectOutcome(midway, "connfail -5");
      const stuck = connecting();
      stuck.socket.stall();
      stuck.socket.connect(3);
      stuck.socket[end]();
      expectOutcome(stuck, "connfail -5");
    }
  });

  test("whose connection breaks in the write of CONNECT: connfail(-5) (contract 4: refused)", () => {
    for (const bytes of [0, 1, 15]) {
      const device = connecting();
      device.socket.failAfterBytes(bytes);
      device.socket.connect();
      // Half a packet is not one that could be read.
      device.hal.settle();
      expect(device.take()).toEqual(["connfail -5"]);
    }
  });

  test("without a connection within 60 s: connfail(-5); a late one has no effect (contract 4: connect-timeout)", () => {
    const device = connecting();
    device.hal.advance(59999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["connfail -5"]);
    expect(device.socket.closed).toBe(true);
    device.socket.connect();
    device.socket.receive([0x20, 2, 0, 0]);
    expect(device.sent()).toEqual([]);
    expectOutcome(device);
  });

  test("has the whole connect timeout, and then 5 s for CONNACK " +
    "(contract 4: connect-timeout, 4: connack-timeout)", () => {
    const device = connecting();
    device.hal.advance(59999);
    device.reach();
    device.hal.advance(4999);
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });

  test("whose CONNECT is not taken within 5 s: connfail(-1) (contract 4: sending-timeout)", () => {
    for (const room of [1, 15]) {
      const device = connecting();
      device.socket.stall();
      device.socket.connect(room);
      device.hal.advance(4999);
      expect(device.take()).toEqual([]);
      device.hal.advance(1);
      expect(device.take()).toEqual(["connfail -1"]);
      expect(device.socket.closed).toBe(true);
      expect(device.hal.nextTimerMs).toBeUndefined();
    }
  });

  test("whose CONNECT leaves bit by bit has 5 s from the connection on for it (contract 4: sending-timeout)", () => {
    const device = connecting();
    device.socket.stall();
    device.socket.connect(1);
    for (let i = 0; i < 15; i++) {
      device.hal.advance(300);
      device.socket.drain(1);
    }
    expect(device.sent()).toEqual(['CONNECT "id" clean 60']);
    device.hal.advance(4999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expectOutcome(device, "connfail -2");
  });

  test("without CONNACK 5 s after CONNECT: connfail(-2) (contract 4: connack-timeout)", () => {
    const device = awaiting();
    device.hal.advance(4999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expectOutcome(device, "connfail -2");
  });

  test("with half a CONNACK only: connfail(-2) (contract 4: connack-timeout)", () => {
    const device = awaiting();
    device.hal.advance(4000);
    device.socket.receive([0x20, 2, 0]);
    device.hal.advance(1000);
    expectOutcome(device, "connfail -2");
  });

  const notConnack: [string, ArrayLike<number> | Packet][] = [
    ["PUBLISH", message("t", "x")],
    ["an empty PUBLISH", message("t", "", { qos: 1, id: 1 })],
    ["a large PUBLISH", message("t", "x".repeat(2000), { qos: 2, id: 1 })],
    ["PUBACK", ack("PUBACK", 1)],
    ["PUBREL", ack("PUBREL", 1)],
    ["SUBACK", suback(1, 0)],
    ["UNSUBACK", ack("UNSUBACK", 1)],
    ["PINGRESP", PINGRESP],
    ["CONNECT", [0x10, 12, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 60, 0, 0]],
    ["a CONNACK with reserved flags", [0x20, 2, 2, 0]],
    ["a refusal with a session present", [0x20, 2, 1, 5]],
    ["a CONNACK of three bytes", [0x20, 3, 0, 0, 0]],
    ["a CONNACK with flags in its type", [0x21, 2, 0, 0]],
    ["no packet of MQTT", [...Buffer.from("HTTP/1.1 400 Bad Request\r\n")]],
    ["a TLS alert", [0x15, 3, 1, 0, 2, 2, 0x50]],
  ];
  test.each(notConnack)("whose first packet is %s: connfail(-4) (contract 4: not-connack)", (_, packet) => {
    const bytes = "type" in packet ? undefined : packet;
    for (const isSplit of [false, true]) {
      const device = awaiting();
      if (isSplit) device.socket.fragment = 1;
      device.socket.receive(bytes ?? device.broker.bytes(packet as Packet), [0x20, 2, 0, 0]);
      expectOutcome(device, "connfail -4");
    }
  });

  test("that is refused: connfail with the code of CONNACK, above 5 too " +
    "(contract 4: refused-by-code, 1: constants)", () => {
    for (const code of [1, 2, 3, 4, 5, 6, 127, 255]) {
      const alone = awaiting();
      alone.send(connack(code));
      expectOutcome(alone, `connfail ${code}`);
      const closed = awaiting();
      closed.send(connack(code));
      closed.hal.settle();
      expectOutcome(closed, `connfail ${code}`);
    }
  });

  test("that is refused and closed in the same moment: the code counts (contract 4: refused-by-code)", () => {
    const device = connecting();
    device.hal.script = undefined;
    device.socket.connect();
    device.sent();
    device.socket.fragment = 3;
    device.hal.after(0, () => {
      device.send(connack(4));
      device.socket.end();
    });
    device.hal.settle();
    expectOutcome(device, "connfail 4");
  });

  test("that is refused, with packets behind the refusal: they are not read (contract 4: refused-by-code)", () => {
    const device = awaiting();
    device.send(connack(5), connack(0), message("t", "x"));
    expectOutcome(device, "connfail 5");
  });

  test("that failed is no session: offline does not come (contract 4: offline-once)", () => {
    const device = connecting();
    device.socket.fail("refused");
    device.client.close();
    device.client.abort();
    expectOutcome(device, "connfail -5");
  });
});

describe("A session that is up", () => {
  const losses: [string, string, (device: Device) => void][] = [
    ["FIN", "offline -10", (device) => device.socket.end()],
    ["half a close", "offline -10", (device) => device.socket.endSending()],
    ["RST", "offline -10", (device) => device.socket.reset()],
    ["a failing network", "offline -10", (device) => device.socket.fail("unreachable")],
    ["a write that breaks the connection", "offline -10", (device) => {
      device.socket.failAfterWrites(0);
      device.client.publish("t", "x", 1);
    }],
    ["a malformed packet", "offline -20", (device) => device.socket.receive([0xf0, 0])],
    ["wrong flags", "offline -20", (device) => device.socket.receive([0x41, 2, 0, 1])],
    ["a remaining length of five bytes", "offline -21", (device) => {
      device.socket.receive([0x30, 0xff, 0xff, 0xff, 0xff, 1]);
    }],
    ["QoS 3", "offline -23", (device) => device.socket.receive([0x36, 5, 0, 1, 0x74, 0, 1])],
    ["packet id 0", "offline -24", (device) => device.socket.receive([0x32, 5, 0, 1, 0x74, 0, 0])],
    ["a wildcard in a topic", "offline -25", (device) => device.socket.receive([0x30, 3, 0, 1, 0x23])],
    ["a topic that is no UTF-8", "offline -25", (device) => device.socket.receive([0x30, 3, 0, 1, 0xff])],
    ["an empty topic", "offline -25", (device) => device.socket.receive([0x30, 2, 0, 0])],
    ["a second CONNACK", "offline -26", (device) => device.send(connack())],
    ["a packet of a client", "offline -26", (device) => device.socket.receive([0xc0, 0])],
    ["a SUBACK with another count of codes", "offline -22", (device) => {
      device.client.subscribe({ a: 0, b: 0 });
      device.send(suback(1, 0));
    }],
    ["a reserved code in SUBACK", "offline -27", (device) => {
      device.client.subscribe("a");
      device.send(suback(1, 3));
    }],
    ["missing PINGRESP", "offline -11", (device) => device.hal.advance(120000)],
    ["an acknowledgement overdue", "offline -12", (device) => {
      device.client.publish("t", "x", 1);
      for (let i = 0; i < 120; i++) {
        device.hal.advance(1000);
        if (device.client.connected) device.send(PINGRESP);
      }
    }],
    ["more QoS 2 messages than receiveMaximum", "offline -13", (device) => {
      device.client.on("message", null);
      for (let id = 1; id <= 17; id++) device.send(message("t", "", { qos: 2, id }));
    }],
  ];

  test.each(losses)("ends by %s: offline, once, never connfail (contract 4: session-lost, 4: offline-once)", (
    _, event, lose,
  ) => {
    const device = new Device().up();
    lose(device);
    expectOutcome(device, event);
  });

  test.each(losses)("ends by %s in the segment of CONNACK: connect, then offline (contract 4: session-lost)", (
    _, event, lose,
  ) => {
    const device = awaiting();
    device.during.connect = () => lose(device);
    if (event === "offline -11" || event === "offline -12") delete device.during.connect;
    device.send(connack());
    if (event === "offline -11" || event === "offline -12") lose(device);
    const came = device.take();
    expect([came[0], came.at(-1)]).toEqual(["connect", event]);
    expect(came.filter((line) => line.startsWith("offline"))).toHaveLength(1);
  });

  test("and has something malformed behind good packets: those count (contract 4: session-lost)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.socket.receive(
      device.broker.bytes(message("a", "1", { qos: 1, id: 1 }), ack("PUBACK", 1)), [0xf0, 0], [0x30, 3, 0, 1, 0x62],
    );
    expectOutcome(device, "message a=1", "puback", "offline -20");
  });

  test("what came before FIN is read, in whatever pieces (contract 4: session-lost, 5: receiving)", () => {
    for (const fragment of [0, 1, 3]) {
      const device = new Device().up();
      device.socket.fragment = fragment;
      device.send(message("a", "1"), message("b", "2", { qos: 1, id: 1 }), message("c", "3"));
      device.socket.end();
      expectOutcome(device, "message a=1", "message b=2", "message c=3", "offline -10");
    }
  });

  test("ends by close(): offline; by abort(): offline (contract 4: closed, 4: offline-once)", () => {
    for (const end of ["close", "abort"] as const) {
      const device = new Device().up();
      expect(device.client[end]()).toBe(true);
      expect(device.events).toEqual([]);
      expectOutcome(device, "offline 0");
    }
  });

  test("tells nothing of the connection when an outcome waits to be told (contract 4: offline-once)", () => {
    const device = new Device().up();
    device.client.abort();
    device.socket.reset();
    expect(device.client.close()).toBe(false);
    expectOutcome(device, "offline 0");
  });
});

describe("autoreconnect", () => {
  /** A device whose session came up with autoreconnect. */
  function reconnecting(): Device {
    const device = new Device();
    device.client.connect("broker", 1884, { ca: "x" }, 1);
    device.accept();
    return device;
  }

  /** ... and was lost: the client waits for `ms` before it tries again. */
  function lost(): Device {
    const device = reconnecting();
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    return device;
  }

  test("never retries the first attempt, however it fails (contract 5: autoreconnect)", () => {
    const failures: [string, (device: Device) => void][] = [
      ["connfail -3", (device) => device.socket.fail("dns")],
      ["connfail -5", (device) => device.hal.advance(60000)],
      ["connfail -2", (device) => {
        device.reach();
        device.hal.advance(5000);
      }],
      ["connfail 3", (device) => {
        device.reach();
        device.send(connack(3));
      }],
      ["connfail -4", (device) => {
        device.reach();
        device.send(PINGRESP);
      }],
    ];
    for (const [event, fail] of failures) {
      const device = new Device();
      device.client.connect("broker", 1883, 0, 1);
      fail(device);
      expectOutcome(device, event);
      expect(device.hal.sockets).toHaveLength(2);
    }
  });

  test("connects again 1 s after a loss, to the same place; connect is called again " +
    "(contract 5: autoreconnect)", () => {
    const device = lost();
    device.hal.advance(999);
    expect(device.hal.sockets).toHaveLength(1);
    device.hal.advance(1);
    expect(device.hal.sockets).toHaveLength(2);
    expect(device.socket).toMatchObject({ host: "broker", port: 1884, secure: { ca: "x" } });
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
    expect(device.client.connected).toBe(true);
  });

  test.each<[string, (device: Device) => void]>([
    ["keepalive", (device) => device.hal.advance(119000)],
    ["a malformed packet", (device) => device.socket.receive([0, 0])],
    ["FIN", (device) => device.socket.end()],
  ])("connects again after a loss by %s (contract 5: autoreconnect)", (_, lose) => {
    const device = reconnecting();
    lose(device);
    expect(device.take()).toEqual([expect.stringMatching(/^offline -/)]);
    device.hal.advance(1000);
    expect(device.hal.sockets).toHaveLength(2);
  });

  test("doubles the pause from 1 s to 64 s, and begins with 1 s after a success (contract 5: autoreconnect)", () => {
    const device = lost();
    const pauses = [1, 2, 4, 8, 16, 32, 64, 64, 64];
    pauses.forEach((seconds, i) => {
      device.hal.advance(seconds * 1000 - 1);
      expect(device.hal.sockets).toHaveLength(i + 1);
      device.hal.advance(1);
      expect(device.hal.sockets).toHaveLength(i + 2);
      device.socket.fail(i % 2 === 0 ? "dns" : "refused");
      expect(device.take()).toEqual([i % 2 === 0 ? "connfail -3" : "connfail -5"]);
    });
    device.hal.advance(64000);
    device.accept();
    device.socket.reset();
    device.take();
    device.hal.advance(1000);
    expect(device.hal.sockets).toHaveLength(pauses.length + 3);
  });

  test("goes on when a retry fails at any step (contract 5: autoreconnect)", () => {
    const device = lost();
    device.hal.advance(1000);
    device.hal.advance(60000);
    expect(device.take()).toEqual(["connfail -5"]);
    device.hal.advance(2000);
    device.reach();
    device.hal.advance(5000);
    expect(device.take()).toEqual(["connfail -2"]);
    device.hal.advance(4000);
    device.reach();
    device.send(connack(3));
    expect(device.take()).toEqual(["connfail 3"]);
    device.hal.exhausted = true;
    device.hal.advance(8000);
    expect(device.take()).toEqual(["connfail -5"]);
    device.hal.exhausted = false;
    device.hal.advance(16000);
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
    expect(device.hal.sockets).toHaveLength(5);
  });

  test("subscribes nothing by itself: that is the application's, in connect (contract 5: autoreconnect)", () => {
    const device = reconnecting();
    device.during.connect = () => device.client.subscribe("t");
    device.socket.reset();
    device.hal.advance(1000);
    device.socket.connect();
    device.send(connack());
    expect(device.sent()).toEqual(['CONNECT "id" clean 60', "SUBSCRIBE #1 t:0"]);
  });

  /** Nothing is tried any more, and nothing told. */
  function expectStopped(device: Device, ...events: string[]): void {
    const { length } = device.hal.sockets;
    expect(device.take()).toEqual(events);
    device.hal.advance(1000000);
    expect(device.take()).toEqual([]);
    expect(device.hal.sockets).toHaveLength(length);
    expect(device.hal.nextTimerMs).toBeUndefined();
  }

  const states: [string, () => Device, boolean, string[]][] = [
    ["while a session is up", reconnecting, true, ["offline 0"]],
    ["during the pause", lost, false, []],
    ["in a later pause", () => {
      const device = lost();
      device.hal.advance(1000);
      device.socket.fail("dns");
      device.take();
      return device;
    }, false, []],
    ["while it connects again", () => {
      const device = lost();
      device.hal.advance(1000);
      return device;
    }, false, []],
    ["while CONNECT is stuck", () => {
      const device = lost();
      device.hal.advance(1000);
      device.socket.connect(17);
      return device;
    }, true, []],
    ["while CONNACK is awaited", () => {
      const device = lost();
      device.hal.advance(1000);
      device.reach();
      return device;
    }, true, []],
    ["when it is up again", () => {
      const device = lost();
      device.hal.advance(1000);
      device.accept();
      return device;
    }, true, ["offline 0"]],
  ];

  test.each(states)("close() stops it %s (contract 5: autoreconnect)", (_, prepare, isClosing, events) => {
    const device = prepare();
    expect(device.client.close()).toBe(isClosing);
    expectStopped(device, ...events);
    expect(device.client.close()).toBe(false);
  });

  test.each(states)("abort() stops it %s (contract 5: autoreconnect, 2: abort)", (_, prepare, _isClosing, events) => {
    const device = prepare();
    expect(device.client.abort()).toBe(true);
    expectStopped(device, ...events);
    expect(device.client.abort()).toBe(false);
  });

  test("close() stops it in the offline callback (contract 5: autoreconnect)", () => {
    const device = reconnecting();
    device.during.offline = () => device.client.close();
    device.socket.reset();
    expectStopped(device, "offline -10");
  });

  test("close() stops it in the callback of a retry that failed (contract 5: autoreconnect)", () => {
    const device = lost();
    device.hal.advance(1000);
    device.during.connfail = () => device.client.close();
    device.socket.fail("dns");
    expectStopped(device, "connfail -3");
  });

  test("close() during the first attempt lets that go on, and nothing more " +
    "(contract 5: autoreconnect, 2: close-attempt)", () => {
    const device = new Device();
    device.client.connect("broker", 1883, 0, 1);
    expect(device.client.close()).toBe(false);
    device.accept();
    device.socket.reset();
    expectStopped(device, "offline -10");
    // The same, of an attempt that waits for the end of a session.
    device.up();
    device.client.close();
    device.client.connect("broker", 1883, 0, 1);
    expect(device.client.close()).toBe(false);
    device.accept();
    device.socket.reset();
    expectStopped(device, "offline -10");
  });

  test.each(states.slice(1, 6))("the application's own connect() supersedes it %s " +
    "(contract 5: autoreconnect, 2: connect-supersede)", (
    _, prepare,
  ) => {
    for (const succeeds of [true, false]) {
      const device = prepare();
      const { length } = device.hal.sockets;
      expect(device.client.connect("own")).toBe(true);
      expect(device.socket.host).toBe("own");
      expect(device.hal.sockets).toHaveLength(length + 1);
      if (succeeds) {
        device.reach();
        device.send(connack());
        expect(device.take()).toEqual(["connect"]);
        device.socket.reset();
        expectStopped(device, "offline -10");
      } else {
        device.socket.fail("refused");
        expectStopped(device, "connfail -5");
      }
    }
  });

  test.each(states.slice(1, 6))("connect() is a first attempt again %s (contract 5: autoreconnect)", (
    _, prepare,
  ) => {
    const device = prepare();
    device.client.connect("own", 1883, 0, 1);
    device.socket.fail("refused");
    expectStopped(device, "connfail -5");
  });

  test("connect() behind close() is a first attempt again (contract 5: autoreconnect)", () => {
    const device = lost();
    device.hal.advance(1000);
    device.accept();
    device.client.close();
    device.client.connect("own", 1883, 0, 1);
    expect(device.take()).toEqual(["offline 0"]);
    device.socket.fail("refused");
    expectStopped(device, "connfail -5");
  });

  test("a connect() that finds no socket leaves it as it was (contract 5: autoreconnect)", () => {
    const device = lost();
    device.hal.exhausted = true;
    expect(device.client.connect("own")).toBe(false);
    device.hal.exhausted = false;
    device.hal.advance(1000);
    expect(device.socket.host).toBe("broker");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });

  test("a connect() in front of offline supersedes it, even if there is no socket then " +
    "(contract 5: autoreconnect)", () => {
    const device = reconnecting();
    device.client.subscribe("t");
    device.client.publish("t", "x");
    device.during.puback = () => device.client.connect("own");
    device.hal.exhausted = true;
    // The subscribe is dropped, the publish is done: that is told in front of offline.
    device.socket.reset();
    expectStopped(device, "puback", "offline -10", "connfail -5");
  });

  test("connect() in the offline callback, as those do who reconnect themselves (contract 5: autoreconnect)", () => {
    const device = reconnecting();
    device.during.offline = () => device.client.connect("own", 1883, 0, 1);
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    expect(device.socket.host).toBe("own");
    device.hal.advance(59999);
    expect(device.hal.sockets).toHaveLength(2);
    device.hal.advance(1);
    expectStopped(device, "connfail -5");
  });
});
