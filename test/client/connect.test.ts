import { describe, expect, test } from "@jest/globals";
import { Device, connack, message } from "../support/device.js";

/** Calls `connect` with anything. */
type Connect = (...args: unknown[]) => boolean;

describe("connect, its shapes", () => {
  const host = "broker";
  /** What stands behind the host; O and F are the callbacks. */
  const shapes: [string, (ok: unknown, fail: unknown) => unknown[]][] = [
    ["(h, O, F)", (ok, fail) => [ok, fail]],
    ["(h, p, O, F)", (ok, fail) => [1883, ok, fail]],
    ["(h, p, 0, O, F)", (ok, fail) => [1883, 0, ok, fail]],
    ["(h, p, false, O, F)", (ok, fail) => [1883, false, ok, fail]],
    ["(h, p, 0, 0, O, F)", (ok, fail) => [1883, 0, 0, ok, fail]],
    ["(h, null, null, O, F)", (ok, fail) => [null, null, ok, fail]],
    ["(h, null, O, F)", (ok, fail) => [null, ok, fail]],
    ["(h, undefined, undefined, undefined, O, F)", (ok, fail) => [undefined, undefined, undefined, ok, fail]],
  ];
  const failOnly: [string, (fail: unknown) => unknown[]][] = [
    ["(h, p, 0, null, F)", (fail) => [1883, 0, null, fail]],
    ["(h, p, 0, 0, null, F)", (fail) => [1883, 0, 0, null, fail]],
    ["(h, p, null, F)", (fail) => [1883, null, fail]],
    ["(h, null, F)", (fail) => [null, fail]],
    ["(h, p, 0, 0, undefined, F)", (fail) => [1883, 0, 0, undefined, fail]],
  ];
  const okOnly: [string, (ok: unknown) => unknown[]][] = [
    ["(h, O)", (ok) => [ok]],
    ["(h, p, O)", (ok) => [1883, ok]],
    ["(h, p, 0, O)", (ok) => [1883, 0, ok]],
    ["(h, p, 0, 0, O)", (ok) => [1883, 0, 0, ok]],
    ["(h, O, null)", (ok) => [ok, null]],
    ["(h, p, 0, O, null)", (ok) => [1883, 0, ok, null]],
    ["(h, p, 0, 0, O, null)", (ok) => [1883, 0, 0, ok, null]],
  ];
  const none: [string, unknown[]][] = [
    ["(h)", []],
    ["(h, p)", [1883]],
    ["(h, p, 0)", [1883, 0]],
    ["(h, p, 0, 0)", [1883, 0, 0]],
    ["(h, p, 0, 0, null, null)", [1883, 0, 0, null, null]],
    ["(h, null, null, null, null, null)", [null, null, null, null, null]],
    ["(h, undefined)", [undefined]],
  ];

  /** Calls `connect` twice on devices of their own: once it succeeds, once it fails. Returns the callbacks. */
  function outcomes(args: (note: (name: string) => unknown) => unknown[]): string[] {
    const called: string[] = [];
    const note = (name: string) => () => called.push(name);
    for (const succeeds of [true, false]) {
      const device = new Device({ listens: false });
      expect((device.client.connect as Connect)(host, ...args(note))).toBe(true);
      expect(device.socket).toMatchObject({ host, port: 1883, secure: undefined });
      if (succeeds) device.accept();
      else device.socket.fail("refused");
    }
    return called;
  }

  test.each(shapes)("%s: O when connected, F when failed (contract 2: connect-shapes)", (_, args) => {
    expect(outcomes((note) => args(note("O"), note("F")))).toEqual(["O", "F"]);
  });

  test.each(failOnly)("%s: F when failed (contract 2: connect-shapes)", (_, args) => {
    expect(outcomes((note) => args(note("F")))).toEqual(["F"]);
  });

  test.each(okOnly)("%s: O when connected (contract 2: connect-shapes)", (_, args) => {
    expect(outcomes((note) => args(note("O")))).toEqual(["O"]);
  });

  test.each(none)("%s: no callback, those that are there stay (contract 2: connect-shapes)", (_, args) => {
    expect(outcomes(() => args)).toEqual([]);
    const device = new Device();
    (device.client.connect as Connect)(host, ...args);
    device.socket.fail("dns");
    expect(device.take()).toEqual(["connfail -3"]);
  });

  test("each place keeps its meaning in front of the callbacks (contract 2: connect-shapes)", () => {
    const device = new Device();
    (device.client.connect as Connect)("h", 8883, 1, 1, null, null);
    expect(device.socket).toMatchObject({ host: "h", port: 8883, secure: {} });
    (device.client.connect as Connect)("h", null, true, device.recorder("O"));
    expect(device.socket).toMatchObject({ host: "h", port: 1883, secure: {} });
    device.accept();
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.hal.advance(1e6);
    expect(device.hal.sockets).toHaveLength(2);
  });
});

describe("connect, its settings", () => {
  test("host is a name or an address, a number as its text (contract 1: numbers)", () => {
    const device = new Device();
    for (const [host, expected] of [["broker", "broker"], ["::1", "::1"], [7, "7"]] as const) {
      expect(device.client.connect(host)).toBe(true);
      expect(device.socket.host).toBe(expected);
    }
  });

  test("port is 1883 when it is left out or null, with TLS too (contract 2: connect-port)", () => {
    const device = new Device();
    const { client } = device;
    for (const connect of [
      () => client.connect("b"),
      () => client.connect("b", null),
      () => client.connect("b", undefined, 1),
      () => client.connect("b", null, {}),
    ]) {
      connect();
      expect(device.socket.port).toBe(1883);
    }
    for (const port of [1, 8883, 65535]) {
      client.connect("b", port);
      expect(device.socket.port).toBe(port);
    }
  });

  test("secure is 0, 1, a boolean or the platform's TLS options (contract 2: connect-secure)", () => {
    const device = new Device();
    const options = { ca: "certificate", servername: "name" };
    for (const [secure, expected] of [
      [0, undefined], [false, undefined], [null, undefined], [undefined, undefined],
      [1, {}], [true, {}], [{}, {}], [options, options],
    ] as const) {
      expect(device.client.connect("b", 1883, secure)).toBe(true);
      expect(device.socket.secure).toEqual(expected);
    }
  });

  test("secure is not sticky between calls (contract 2: connect-secure)", () => {
    const device = new Device();
    device.client.connect("b", 8883, { ca: "certificate" });
    device.accept();
    device.client.close();
    device.take();
    device.client.connect("b");
    expect(device.socket.secure).toBeUndefined();
    device.client.connect("b", 8883, 1);
    expect(device.socket.secure).toEqual({});
  });

  test("a platform without TLS refuses to be secure by name (contract 2: connect-secure)", () => {
    const device = new Device();
    device.hal.tlsOptions = undefined;
    expect(() => device.client.connect("b", 8883, 1)).toThrow(new TypeError("secure: no TLS here"));
    expect(device.client.connect("b", 1883, 0)).toBe(true);
  });

  test("autoreconnect is 0, 1 or a boolean, and not sticky (contract 2: connect-autoreconnect)", () => {
    const cases = [[0, 1], [false, 1], [null, 1], [undefined, 1], [1, 2], [true, 2]] as const;
    for (const [autoreconnect, sockets] of cases) {
      const device = new Device();
      device.client.connect("b", 1883, 0, autoreconnect);
      device.accept();
      device.socket.reset();
      device.hal.advance(1000);
      expect(device.hal.sockets).toHaveLength(sockets);
      expect(device.take()).toEqual(["offline -10"]);
      if (sockets === 1) continue;
      device.client.connect("b");
      device.accept();
      device.socket.reset();
      device.hal.advance(100000);
      expect(device.hal.sockets).toHaveLength(3);
    }
  });
});

describe("connect, what it answers", () => {
  test("true when an attempt was started; nothing is called inside it (contract 2: connect-returns)", () => {
    const device = new Device();
    expect(device.client.connect("broker", 1883)).toBe(true);
    expect(device.events).toEqual([]);
    expect(device.client.connected).toBe(false);
  });

  test("false, and nothing changed, when the platform has no socket left (contract 2: connect-returns)", () => {
    const device = new Device();
    device.hal.exhausted = true;
    const { client } = device;
    expect(client.connect("broker", device.recorder("other ok"), device.recorder("other fail"))).toBe(false);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
    // The slots are what they were.
    device.hal.exhausted = false;
    client.connect("broker");
    device.socket.fail("refused");
    client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connfail -5", "connect"]);
  });

  test("false in the offline callback too, and no more comes (contract 2: connect-returns)", () => {
    const device = new Device().up();
    let result: boolean | undefined;
    device.during.offline = () => {
      device.hal.exhausted = true;
      result = device.client.connect("other");
    };
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    expect(result).toBe(false);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("false leaves an attempt under way as it was (contract 2: connect-returns, 2: connect-supersede)", () => {
    const device = new Device();
    device.client.connect("one");
    device.hal.exhausted = true;
    expect(device.client.connect("two", device.recorder("two"))).toBe(false);
    expect(device.socket).toMatchObject({ host: "one", closed: false });
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });

  test("throws `already connected` while a session is up (contract 2: connect-returns)", () => {
    const device = new Device().up();
    const connect = (): boolean => device.client.connect("other", device.recorder("other"));
    expect(connect).toThrow(new Error("already connected"));
    device.during.message = connect;
    device.send(message("t", "x"));
    expect(device.takeErrors()).toEqual([new Error("already connected")]);
    expect(device.hal.sockets).toHaveLength(1);
    expect(device.client.connected).toBe(true);
    // The slot is what it was.
    device.client.close();
    device.take();
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
    expect(connect).toThrow("already connected");
  });

  test("throws for a wrong argument rather than `already connected` (contract 2: wrong-arguments)", () => {
    const device = new Device().up();
    expect(() => device.client.connect("other", 0)).toThrow(RangeError);
  });
});

/** The phases of an attempt, each from the one before. */
const phases: [string, (device: Device) => void][] = [
  ["while the name is resolved", () => undefined],
  ["in the call that follows", (device) => device.hal.settle()],
  ["when CONNECT is stuck", (device) => device.socket.connect(5)],
  ["when CONNECT is out", (device) => device.reach()],
  ["in the middle of CONNACK", (device) => {
    device.reach();
    device.socket.receive([0x20, 2, 0]);
  }],
];

describe("connect while an attempt is under way", () => {
  test.each(phases)("%s: supersedes it, with one outcome (contract 2: connect-supersede)", (_, prepare) => {
    for (const succeeds of [true, false]) {
      const device = new Device({ listens: false });
      const { client } = device;
      client.connect("one", device.recorder("one ok"), device.recorder("one fail"));
      prepare(device);
      const first = device.socket;
      expect(client.connect("two", device.recorder("two ok"), device.recorder("two fail"))).toBe(true);
      expect(first.closed).toBe(true);
      expect(device.socket).toMatchObject({ host: "two", closed: false });
      device.hal.advance(4000);
      expect(device.take()).toEqual([]);
      if (succeeds) {
        device.reach();
        device.send(connack());
      } else {
        device.socket.fail("refused");
      }
      device.hal.advance(4000);
      expect(device.take()).toEqual([succeeds ? "two ok" : "two fail"]);
      expect(client.connected).toBe(succeeds);
    }
  });

  test("supersedes again and again (contract 2: connect-supersede)", () => {
    const device = new Device();
    for (let i = 0; i < 20; i++) {
      device.client.connect(`broker${i}`);
      if (i % 3 > 0) device.socket.connect();
    }
    expect(device.hal.sockets.filter((socket) => !socket.closed)).toEqual([device.socket]);
    device.socket.fail("tls");
    expect(device.take()).toEqual(["connfail -5"]);
    device.hal.advance(1e6);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("gives the new attempt its own connect timeout (contract 2: connect-supersede, 4: connect-timeout)", () => {
    const device = new Device();
    device.client.connect("one");
    device.hal.advance(59000);
    device.client.connect("two");
    device.hal.advance(59999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["connfail -5"]);
  });
});
