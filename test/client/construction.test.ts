import { describe, expect, test } from "@jest/globals";
import { ScriptText } from "../../hal/mock.js";
import type { ClientArguments } from "../support/device.js";
import { Device, connack, message, messageOfLength } from "../support/device.js";

/** The CONNECT that a client of these arguments sends, as one line. */
function connectOf(...args: unknown[]): string {
  const device = new Device({ args: args as ClientArguments });
  device.client.connect("broker");
  device.socket.connect();
  return device.sent().join();
}

/** What `mqtt.Client` throws. */
function making(...args: unknown[]): () => unknown {
  return () => new Device({ args: args as ClientArguments });
}

describe("mqtt.Client, clientid", () => {
  test("is sent as it is, a number as its text (contract 1: clientid, 1: numbers)", () => {
    expect(connectOf("clientid", 120)).toBe('CONNECT "clientid" clean 120');
    expect(connectOf(1234567)).toBe('CONNECT "1234567" clean 60');
    expect(connectOf("Zürich ☃")).toBe('CONNECT "Zürich ☃" clean 60');
    expect(connectOf("x".repeat(4000))).toBe(`CONNECT "${"x".repeat(4000)}" clean 60`);
  });

  test("is generated with a stable prefix when it is left out or null (contract 1: clientid, 1: positional)", () => {
    for (const args of [[], [null], [undefined], [null, null, null, null, 0]]) {
      expect(connectOf(...args)).toMatch(/^CONNECT "mcumqtt5ccf7f00a1b2" (clean|persistent) 60$/);
    }
    const device = new Device({ args: [], hal: { id: "0123456789abcdef" } });
    device.client.connect("broker");
    device.socket.connect();
    expect(device.sent()).toEqual(['CONNECT "mcumqtt0123456789abcdef" clean 60']);
  });

  test("is the same at each connection when it is generated (contract 1: clientid)", () => {
    const device = new Device({ args: [null, 60] });
    for (let i = 0; i < 2; i++) {
      device.client.connect("broker");
      device.socket.connect();
      expect(device.sent()).toEqual(['CONNECT "mcumqtt5ccf7f00a1b2" clean 60']);
      device.client.abort();
    }
  });

  test('may be "" with a clean session, and only then (contract 1: clientid)', () => {
    expect(connectOf("")).toBe('CONNECT "" clean 60');
    expect(connectOf("", 60, null, null, 1)).toBe('CONNECT "" clean 60');
    expect(making("", 60, null, null, 0)).toThrow(/^clientid must not be "" when cleansession is 0/);
  });

  test.each([
    [true, /^clientid must be a string or a number, not true$/],
    [{}, /^clientid must be a string or a number, not an object$/],
    [new Uint8Array(2), /^clientid must be .*, not an object$/],
    [() => 0, /^clientid must be .*, not a function$/],
    ["a\0b", /^clientid must not have the character U\+0000$/],
    ["a\ud800", /^clientid must not have a lone surrogate$/],
  ])("throws a TypeError for %p (contract 1: clientid)", (clientid, error) => {
    expect(making(clientid)).toThrow(TypeError);
    expect(making(clientid)).toThrow(error);
  });

  test("throws a RangeError when it takes more than 65535 bytes (contract 1: clientid)", () => {
    expect(making("x".repeat(65535))).not.toThrow();
    expect(making("x".repeat(65536))).toThrow(new RangeError("clientid must be at most 65535 bytes long, not 65536"));
    expect(making("ü".repeat(32768))).toThrow(RangeError);
  });
});

describe("mqtt.Client, keepalive", () => {
  test("is 1 to 65535 seconds, 60 when it is left out, null or 0 (contract 1: keepalive)", () => {
    for (const keepalive of [1, 59, 65535]) expect(connectOf("id", keepalive)).toBe(`CONNECT "id" clean ${keepalive}`);
    for (const keepalive of [undefined, null, 0, -0]) expect(connectOf("id", keepalive)).toBe('CONNECT "id" clean 60');
    expect(connectOf("id")).toBe('CONNECT "id" clean 60');
  });

  test.each([-1, 65536, 1.5, NaN, Infinity])("throws a RangeError for %p (contract 1: keepalive)", (keepalive) => {
    const error = new RangeError(`keepalive must be an integer from 1 to 65535, not ${keepalive}`);
    expect(making("id", keepalive)).toThrow(error);
  });

  test.each(["60", true, {}])("throws a TypeError for %p (contract 1: keepalive)", (keepalive) => {
    expect(making("id", keepalive)).toThrow(TypeError);
    expect(making("id", keepalive)).toThrow(/^keepalive must be a number, not ("60"|true|an object)$/);
  });
});

describe("mqtt.Client, username and password", () => {
  test("are strings, numbers or bytes (contract 1: credentials, 1: numbers)", () => {
    expect(connectOf("id", 60, "user", "secret")).toBe('CONNECT "id" clean 60 user user password secret');
    expect(connectOf("id", 60, 12, 34)).toBe('CONNECT "id" clean 60 user 12 password 34');
    const bytes = Uint8Array.of(0x75, 0xc3, 0xbc);
    const secret = Uint8Array.of(0, 255, 0x2b);
    expect(connectOf("id", 60, bytes, secret)).toBe('CONNECT "id" clean 60 user uü password \0ÿ+');
    expect(connectOf("id", 60, bytes.buffer, secret.buffer)).toBe('CONNECT "id" clean 60 user uü password \0ÿ+');
    expect(connectOf("id", 60, "user")).toBe('CONNECT "id" clean 60 user user');
  });

  test('are not sent when they are null or "" (contract 1: credentials, 1: positional)', () => {
    for (const nothing of [null, undefined, "", new Uint8Array(0)]) {
      expect(connectOf("id", 60, nothing, nothing)).toBe('CONNECT "id" clean 60');
      expect(connectOf("id", 60, "user", nothing)).toBe('CONNECT "id" clean 60 user user');
    }
  });

  test("throws for a password without a username (contract 1: credentials)", () => {
    for (const username of [null, undefined, "", new Uint8Array(0)]) {
      expect(making("id", 60, username, "secret")).toThrow(
        new TypeError("password must not be given without a username"),
      );
      expect(making("id", 60, username, Uint8Array.of(1))).toThrow(TypeError);
    }
  });

  test("keeps a copy of the password's bytes (contract 1: credentials)", () => {
    const secret = Uint8Array.of(0x61, 0x62);
    const device = new Device({ args: ["id", 60, "user", secret] });
    secret.fill(0);
    device.client.lwt("t", "will");
    device.client.connect("broker");
    device.socket.connect();
    expect(device.sent()).toEqual(['CONNECT "id" clean 60 will t=will q0 user user password ab']);
  });

  test.each<[string, unknown[], RegExp]>([
    ["a username of another type", [true], /^username must be .*, not true$/],
    ["a username that is no UTF-8", [Uint8Array.of(0x61, 0xff)], /^username must be UTF-8/],
    ["a username with U+0000", ["a\0"], /^username must not have the character U\+0000$/],
    ["a username with a lone surrogate", ["\udc00"], /^username must not have a lone surrogate$/],
    ["a password of another type", ["user", {}], /^password must be .*, not an object$/],
    ["a password with a lone surrogate", ["user", "\ud800"], /^password must not have a lone surrogate$/],
  ])("throws a TypeError for %s (contract 1: credentials)", (_, args, error) => {
    expect(making("id", 60, ...args)).toThrow(TypeError);
    expect(making("id", 60, ...args)).toThrow(error);
  });

  test("throws a RangeError for more than 65535 bytes (contract 1: credentials)", () => {
    expect(making("id", 60, "u".repeat(65536))).toThrow(/^username must be at most 65535 bytes long, not 65536$/);
    expect(making("id", 60, "u", new Uint8Array(65536))).toThrow(RangeError);
    expect(making("id", 60, "u", new Uint8Array(65535))).not.toThrow();
  });
});

describe("mqtt.Client, cleansession", () => {
  test("is 1 when it is left out, and 0, 1 or a boolean (contract 1: cleansession, 1: positional)", () => {
    for (const clean of [undefined, null, 1, true]) {
      expect(connectOf("id", 30, null, null, clean)).toBe('CONNECT "id" clean 30');
    }
    for (const clean of [0, false]) expect(connectOf("id", 30, null, null, clean)).toBe('CONNECT "id" persistent 30');
    expect(connectOf("id", 30, undefined, undefined, 0)).toBe('CONNECT "id" persistent 30');
  });

  test.each(["1", 2, -1, NaN, {}])("throws a TypeError for %p (contract 1: cleansession)", (clean) => {
    expect(making("id", 60, null, null, clean)).toThrow(TypeError);
    expect(making("id", 60, null, null, clean)).toThrow(/^cleansession must be 0, 1 or a boolean, not /);
  });
});

describe("mqtt.Client, max_message_length", () => {
  /** What becomes of a message whose packet has so many bytes. */
  function receiving(options: number | undefined | { maxMessageLength?: number }, length: number): string[] {
    const device = new Device({ args: ["id", 60, null, null, 1, options] }).up();
    device.send(messageOfLength("t", length).packet);
    return device.take().map((line) => line.slice(0, 10));
  }

  test("is in bytes of the whole packet, 1024 when it is left out (contract 1: max_message_length)", () => {
    for (const options of [undefined, {}, { maxMessageLength: 1024 }, 1024]) {
      expect(receiving(options, 1024)).toEqual(["message t="]);
      expect(receiving(options, 1025)).toEqual(["overflow t"]);
    }
    expect(receiving(100, 100)).toEqual(["message t="]);
    expect(receiving(100, 101)).toEqual(["overflow t"]);
    expect(receiving({ maxMessageLength: 5000 }, 5000)).toEqual(["message t="]);
    expect(receiving({ maxMessageLength: 5000 }, 5001)).toEqual(["overflow t"]);
  });

  test.each([15, 268435461, -1, 99.5, NaN])("throws a RangeError for %p (contract 1: max_message_length)", (length) => {
    const error = new RangeError(`maxMessageLength must be an integer from 16 to 268435460, not ${length}`);
    expect(making("id", 60, null, null, 1, length)).toThrow(error);
    expect(making("id", 60, null, null, 1, { maxMessageLength: length })).toThrow(error);
  });

  test.each(["1024", true, [], () => 0])("throws a TypeError for %p (contract 1: max_message_length)", (length) => {
    expect(making("id", 60, null, null, 1, length)).toThrow(TypeError);
    expect(making("id", 60, null, null, 1, length)).toThrow(/^max_message_length must be a number of bytes or an obje/);
  });
});

describe("mqtt.Client, options", () => {
  const known: [string, number, number][] = [
    ["maxMessageLength", 16, 268435460],
    ["maxInflight", 1, 65535],
    ["connectTimeoutMs", 1, 2 ** 30],
    ["ackTimeoutMs", 1, 2 ** 30],
    ["drainTimeoutMs", 0, 2 ** 30],
    ["rxCapacity", 128, 2 ** 30],
    ["txCapacity", 128, 2 ** 30],
    ["maxOperations", 1, 65536],
    ["receiveMaximum", 1, 65535],
  ];

  test.each(known)("takes %s from %d to %d (contract 1: options)", (name, least, most) => {
    const options = (value: unknown): unknown[] => ["id", 60, null, null, 1, { [name]: value }];
    expect(making(...options(least))).not.toThrow();
    // The largest buffers would be too much for a test.
    if (most < 100000 || name.endsWith("Ms")) expect(making(...options(most))).not.toThrow();
    for (const nothing of [null, undefined]) expect(making(...options(nothing))).not.toThrow();
    for (const wrong of [least - 1, most + 1, 200.5, NaN, Infinity]) {
      expect(making(...options(wrong))).toThrow(
        new RangeError(`${name} must be an integer from ${least} to ${most}, not ${wrong}`),
      );
    }
    for (const wrong of ["128", true, {}]) expect(making(...options(wrong))).toThrow(TypeError);
    for (const wrong of ["128", true, {}]) expect(making(...options(wrong))).toThrow(`${name} must be a number, not `);
  });

  test('takes format as "string" or "buffer" (contract 1: options)', () => {
    for (const format of ["string", "buffer", null, undefined]) {
      expect(making("id", 60, null, null, 1, { format })).not.toThrow();
    }
    for (const format of ["text", "", 1, Uint8Array]) {
      expect(making("id", 60, null, null, 1, { format })).toThrow(TypeError);
      expect(making("id", 60, null, null, 1, { format })).toThrow(/^format must be "string" or "buffer", not /);
    }
  });

  test.each(["keepalive", "maxmessagelength", "cleanSession", "keepAliveSeconds", "toString", ""])(
    "throws for the unknown option %p (contract 1: options)",
    (name) => {
      expect(making("id", 60, null, null, 1, { [name]: 1 })).toThrow(new TypeError(`unknown option "${name}"`));
      expect(making("id", 60, null, null, 1, Object.create({ [name]: 1 }))).toThrow(TypeError);
    },
  );

  test("are those of the platform where they are left out (contract 1: options, 5: bounds)", () => {
    const hal = { defaults: { rxCapacity: 200, txCapacity: 128, maxOperations: 2, receiveMaximum: 1 } };
    const device = new Device({ hal }).up();
    expect(device.client.publish("t", "x".repeat(123))).toBe(true);
    expect(device.client.publish("t", "x".repeat(124))).toBe(false);
    device.take();
    expect([1, 2, 3].map(() => device.client.publish("t", "", 1))).toEqual([true, true, false]);
    device.send(message("a", "", { qos: 2, id: 1 }), message("b", "", { qos: 2, id: 2 }));
    expect(device.take()).toEqual(["message a without data", "offline -13"]);
  });

  test("has a receive buffer that a message of the length allowed fits (contract 1: options)", () => {
    const device = new Device({ options: { rxCapacity: 128, maxMessageLength: 3000 } }).up();
    const { packet, payload } = messageOfLength("t", 3000);
    device.send(packet);
    expect(device.take()).toEqual([`message t=${payload}`]);
  });

  test("connectTimeoutMs is the time for name resolution, TCP and TLS (contract 1: options)", () => {
    const device = new Device({ options: { connectTimeoutMs: 100 } });
    device.client.connect("broker");
    device.hal.advance(99);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["connfail -5"]);
  });

  test("ackTimeoutMs is the time for an acknowledgement (contract 1: options)", () => {
    const device = new Device({ options: { ackTimeoutMs: 100 } }).up();
    device.client.publish("t", "x", 1);
    device.hal.advance(99);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["offline -12"]);
  });

  test("drainTimeoutMs is how long close() waits for acknowledgements (contract 1: options)", () => {
    for (const drainTimeoutMs of [0, 100]) {
      const device = new Device({ options: { drainTimeoutMs } }).up();
      device.client.publish("t", "x", 1);
      device.client.close();
      device.sent();
      if (drainTimeoutMs > 0) {
        device.hal.advance(99);
        expect(device.sent()).toEqual([]);
        device.hal.advance(1);
        expect(device.sent()).toEqual(["DISCONNECT"]);
      }
      expect(device.take()).toEqual(["offline 0"]);
      expect(device.broker.packets.at(-1)).toEqual({ type: "DISCONNECT" });
    }
  });

  test("maxInflight is how many operations wait for an acknowledgement at a time (contract 1: options)", () => {
    const device = new Device({ options: { maxInflight: 2 } }).up();
    for (const payload of ["a", "b", "c"]) device.client.publish("t", payload, 1);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1", "PUBLISH t=b q1 #2"]);
  });

  test('format "buffer" hands out bytes (contract 1: options)', () => {
    const device = new Device({ options: { format: "buffer" } }).up();
    device.send(message("t", "ü"));
    expect(device.take()).toEqual(["message t c3bc"]);
  });

  test("is not kept: what is changed later has no effect (contract 1: options)", () => {
    const options = { connectTimeoutMs: 100 };
    const device = new Device({ options });
    options.connectTimeoutMs = 1;
    device.client.connect("broker");
    device.hal.advance(50);
    device.socket.connect();
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
  });
});

/** XS on a board counts a character beyond U+FFFF as one: here U+E000 is one, and four bytes long. */
class CountingText extends ScriptText {
  override encode(string: string, bytes: Uint8Array, offset: number, end: number): number {
    return super.encode(string.split("\uE000").join("\u{1F600}"), bytes, offset, end);
  }
}

describe("mqtt.Client, arguments", () => {
  test("may have characters of four bytes that count as one (contract 1: clientid, 1: credentials)", () => {
    const long = "\uE000".repeat(50);
    const hal = { text: new CountingText() };
    const device = new Device({ args: [long, 60, long, long], hal });
    device.client.lwt(long, long);
    device.client.connect("broker");
    device.socket.connect();
    // The broker's end has every byte of a password and of a will's message as a character.
    const text = "\u{1F600}".repeat(50);
    const bytes = "\xf0\x9f\x98\x80".repeat(50);
    expect(device.sent()).toEqual([
      `CONNECT "${text}" clean 60 will ${text}=${bytes} q0 user ${text} password ${bytes}`,
    ]);
    expect(() => new Device({ args: ["\uE000".repeat(16384)], hal })).toThrow(
      new RangeError("clientid must be at most 65535 bytes long, not 65536"),
    );
  });

  test("are strictly positional: null and undefined are the default in their place (contract 1: positional)", () => {
    expect(connectOf("id", 30, null, null, 0)).toBe('CONNECT "id" persistent 30');
    expect(connectOf(null, null, "user", null, 0, null)).toBe('CONNECT "mcumqtt5ccf7f00a1b2" persistent 60 user user');
    expect(connectOf(undefined, 10, undefined, undefined, undefined, { maxInflight: 1 })).toBe(
      'CONNECT "mcumqtt5ccf7f00a1b2" clean 10',
    );
  });

  test("opens nothing and arms no timer (contract 1: new)", () => {
    const device = new Device();
    device.hal.advance(1e6);
    expect(device.hal.sockets).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });
});
