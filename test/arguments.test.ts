import { describe, expect, test } from "@jest/globals";
import { ScriptText } from "../hal/mock.js";
import {
  asCallback,
  asData,
  asFlag,
  asInteger,
  asQos,
  asString,
  checkField,
  checkText,
  isNil,
  show,
  wrong,
} from "../src/arguments.js";
import type { Client } from "../src/client.js";
import { Device, connack } from "./support/device.js";

describe("Checks of arguments", () => {
  test("isNil: null and undefined, and nothing else", () => {
    expect([null, undefined].map(isNil)).toEqual([true, true]);
    expect([0, "", false, NaN, {}].map(isNil)).toEqual([false, false, false, false, false]);
  });

  test.each<[unknown, string]>([
    ["text", '"text"'],
    ["", '""'],
    ["x".repeat(40), `"${"x".repeat(40)}"`],
    ["x".repeat(41), `"${"x".repeat(40)}..."`],
    [-1.5, "-1.5"],
    [NaN, "NaN"],
    [true, "true"],
    [null, "null"],
    [undefined, "undefined"],
    [[1], "an array"],
    [{}, "an object"],
    [new Uint8Array(1), "an object"],
    [() => 0, "a function"],
    [Symbol("s"), "a symbol"],
    [1n, "a bigint"],
  ])("show: %p is shown as %s", (value, shown) => {
    expect(show(value)).toBe(shown);
  });

  test("wrong: a TypeError that names the argument, what it must be, and its value", () => {
    expect(wrong("port", "a number", "80")).toEqual(new TypeError('port must be a number, not "80"'));
  });

  test("asInteger: an integer within the range, the default for null and undefined", () => {
    expect([1, 5, 9].map((value) => asInteger("n", value, 7, 1, 9))).toEqual([1, 5, 9]);
    expect([null, undefined].map((value) => asInteger("n", value, 7, 1, 9))).toEqual([7, 7]);
    for (const value of [0, 10, 1.5, NaN, -Infinity]) {
      expect(() => asInteger("n", value, 7, 1, 9)).toThrow(
        new RangeError(`n must be an integer from 1 to 9, not ${value}`),
      );
    }
    for (const value of ["5", true, {}, () => 5]) expect(() => asInteger("n", value, 7, 1, 9)).toThrow(TypeError);
  });

  test("asFlag: 0, 1 and booleans, the default for null and undefined", () => {
    expect([0, 1, false, true].map((value) => asFlag("f", value, true))).toEqual([false, true, false, true]);
    expect([null, undefined].map((value) => asFlag("f", value, true))).toEqual([true, true]);
    expect([null, undefined].map((value) => asFlag("f", value, false))).toEqual([false, false]);
    for (const value of [2, -1, "1", "", NaN, {}]) {
      expect(() => asFlag("f", value, true)).toThrow(new TypeError(`f must be 0, 1 or a boolean, not ${show(value)}`));
    }
  });

  test("asQos: 0 to 2, 0 by default", () => {
    expect([0, 1, 2, null, undefined].map((value) => asQos("qos", value))).toEqual([0, 1, 2, 0, 0]);
    for (const value of [-1, 3, 0.5, NaN]) expect(() => asQos("qos", value)).toThrow(RangeError);
    for (const value of ["1", true]) expect(() => asQos("qos", value)).toThrow(TypeError);
  });

  test("asString: a string, or a number as a string", () => {
    expect(["a", "", 0, -1.5, 1e21].map((value) => asString("s", value))).toEqual(["a", "", "0", "-1.5", "1e+21"]);
    for (const value of [null, undefined, true, {}, new Uint8Array(1)]) {
      expect(() => asString("s", value)).toThrow(new TypeError(`s must be a string or a number, not ${show(value)}`));
    }
  });

  test("asData: a string, a number as a string, or bytes, which are not copied", () => {
    const bytes = Uint8Array.of(1, 2, 3);
    expect(asData("d", bytes)).toBe(bytes);
    expect(asData("d", bytes.buffer)).toEqual(bytes);
    expect(asData("d", bytes.subarray(1))).toEqual(Uint8Array.of(2, 3));
    expect(["a", "", 21.5].map((value) => asData("d", value))).toEqual(["a", "", "21.5"]);
    for (const value of [null, undefined, true, {}, [1], new DataView(bytes.buffer), new Int8Array(1), 1n]) {
      expect(() => asData("d", value)).toThrow(TypeError);
      expect(() => asData("d", value)).toThrow(`d must be a string, a number, a Uint8Array or an ArrayBuffer, not `);
    }
  });

  test("checkField: at most 65535 bytes, and no lone surrogate", () => {
    const text = new ScriptText();
    for (const value of ["", "x".repeat(65535), "ü".repeat(32767), "☃".repeat(21845), new Uint8Array(65535)]) {
      expect(() => checkField(text, "f", value)).not.toThrow();
    }
    for (const value of ["x".repeat(65536), "ü".repeat(32768), new Uint8Array(65536)]) {
      expect(() => checkField(text, "f", value)).toThrow(
        new RangeError("f must be at most 65535 bytes long, not 65536"),
      );
    }
    for (const value of ["\ud800", "a\udc00", "\udc00\ud800", "x".repeat(70000) + "\ud800"]) {
      expect(() => checkField(text, "f", value)).toThrow(new TypeError("f must not have a lone surrogate"));
    }
    expect(() => checkField(text, "f", "a\0b")).not.toThrow();
  });

  test("checkText: as checkField, and no U+0000", () => {
    const text = new ScriptText();
    expect(() => checkText(text, "t", "a\0")).toThrow(new TypeError("t must not have the character U+0000"));
    expect(() => checkText(text, "t", "\udfff")).toThrow(TypeError);
    expect(() => checkText(text, "t", "x".repeat(65536))).toThrow(RangeError);
    expect(() => checkText(text, "t", "😀")).not.toThrow();
  });

  test("asCallback: a function, or undefined for null and undefined", () => {
    const callback = (): void => undefined;
    expect(asCallback("c", callback)).toBe(callback);
    expect([null, undefined].map((value) => asCallback("c", value))).toEqual([undefined, undefined]);
    for (const value of [0, "f", {}, true]) {
      expect(() => asCallback("c", value)).toThrow(new TypeError(`c must be a function, not ${show(value)}`));
    }
  });
});

/** Methods that take whatever a program without types passes. */
type Loose = Record<Method, (...args: unknown[]) => unknown>;
type Method = "connect" | "lwt" | "on" | "publish" | "subscribe" | "unsubscribe";

const callback = (): void => undefined;
const array = ["t", 1];
const long = "x".repeat(65536);

/** Method, arguments, kind of the error, its message. */
const wrongCalls: [Method, unknown[], typeof TypeError | typeof Error, string | RegExp][] = [
  ["connect", [], TypeError, "host must be a name or an address, not undefined"],
  ["connect", [null], TypeError, "host must be a name or an address, not null"],
  ["connect", [""], TypeError, 'host must be a name or an address, not ""'],
  ["connect", [callback], TypeError, "host must be a name or an address, not a function"],
  ["connect", ["b", 0], RangeError, "port must be an integer from 1 to 65535, not 0"],
  ["connect", ["b", 65536, callback], RangeError, "port must be an integer from 1 to 65535, not 65536"],
  ["connect", ["b", 1.5, 0, callback], RangeError, /^port must be/],
  ["connect", ["b", NaN], RangeError, /^port must be/],
  ["connect", ["b", "1883", callback], TypeError, 'port must be a number, not "1883"'],
  ["connect", ["b", true, callback], TypeError, "port must be a number, not true"],
  ["connect", ["b", {}, callback], TypeError, "port must be a number, not an object"],
  ["connect", ["b", 1883, 2, callback], TypeError, "secure must be 0, 1 or a boolean, not 2"],
  ["connect", ["b", 1883, "1", callback], TypeError, 'secure must be 0, 1 or a boolean, not "1"'],
  ["connect", ["b", 1883, array, callback], TypeError, "secure must be 0, 1 or a boolean, not an array"],
  ["connect", ["b", 1883, { nonsense: 1 }, callback], TypeError, "secure.nonsense: no such TLS option"],
  ["connect", ["b", 1883, 0, 2, callback], TypeError, "autoreconnect must be 0, 1 or a boolean, not 2"],
  ["connect", ["b", 1883, 0, "yes"], TypeError, 'autoreconnect must be 0, 1 or a boolean, not "yes"'],
  ["connect", ["b", 1883, 0, 0, 1, callback], TypeError, "ok must be a function, not 1"],
  ["connect", ["b", 1883, 0, 0, {}], TypeError, "ok must be a function, not an object"],
  ["connect", ["b", 1883, 0, 0, 1, null], TypeError, "ok must be a function, not 1"],
  ["connect", ["b", 1883, 0, 0, callback, 1], TypeError, "fail must be a function, not 1"],
  ["connect", ["b", 1883, 0, 0, null, "fail"], TypeError, 'fail must be a function, not "fail"'],
  ["connect", ["b", callback, 5], TypeError, "fail must be a function, not 5"],
  ["connect", ["b", 1883, callback, {}], TypeError, "fail must be a function, not an object"],

  ["on", [], TypeError, /^event must be one of connect, connfail, offline, message, overflow, puback, .*, not undefined/],
  ["on", ["close", callback], TypeError, /^event must be one of .*, not "close"$/],
  ["on", ["toString", callback], TypeError, /^event must be one of .*, not "toString"$/],
  ["on", ["__proto__", callback], TypeError, /^event must be one of /],
  ["on", [["puback"], callback], TypeError, /^event must be one of .*, not an array$/],
  ["on", [Object.create(null), callback], TypeError, /^event must be one of .*, not an object$/],
  ["on", [0, callback], TypeError, /^event must be one of .*, not 0$/],
  ["on", [null, callback], TypeError, /^event must be one of .*, not null$/],
  ["on", ["puback"], TypeError, "callback must be a function or null, not undefined"],
  ["on", ["puback", 1], TypeError, "callback must be a function, not 1"],
  ["on", ["puback", {}], TypeError, "callback must be a function, not an object"],

  ["lwt", [], TypeError, /^(topic|message) must be .*, not undefined$/],
  ["lwt", ["t"], TypeError, /^message must be .*, not undefined$/],
  ["lwt", ["t", null], TypeError, /^message must be .*, not null$/],
  ["lwt", ["t", true], TypeError, /^message must be .*, not true$/],
  ["lwt", [null, "m"], TypeError, /^topic must be a string or a number, not null$/],
  ["lwt", ["", "m"], TypeError, /^topic must be a name without .*, not ""$/],
  ["lwt", ["a/+", "m"], TypeError, /^topic must be a name without .*, not "a\/\+"$/],
  ["lwt", ["#", "m"], TypeError, /^topic must be a name without .*, not "#"$/],
  ["lwt", ["a\0", "m"], TypeError, /^topic must be a name without /],
  ["lwt", ["\ud800", "m"], TypeError, "topic must not have a lone surrogate"],
  ["lwt", ["t", "\ud800"], TypeError, "message must not have a lone surrogate"],
  ["lwt", [long, "m"], RangeError, "topic must be at most 65535 bytes long, not 65536"],
  ["lwt", ["t", long], RangeError, "message must be at most 65535 bytes long, not 65536"],
  ["lwt", ["t", new Uint8Array(65536)], RangeError, "message must be at most 65535 bytes long, not 65536"],
  ["lwt", ["t", "m", 3], RangeError, "qos must be an integer from 0 to 2, not 3"],
  ["lwt", ["t", "m", -1], RangeError, "qos must be an integer from 0 to 2, not -1"],
  ["lwt", ["t", "m", "1"], TypeError, 'qos must be a number, not "1"'],
  ["lwt", ["t", "m", 0, 2], TypeError, "retain must be 0, 1 or a boolean, not 2"],

  ["publish", [], TypeError, "topic must be a string or a number, not undefined"],
  ["publish", [null, "x"], TypeError, "topic must be a string or a number, not null"],
  ["publish", [{}, "x"], TypeError, "topic must be a string or a number, not an object"],
  ["publish", ["", "x"], TypeError, /^topic must be a name without .*, not ""$/],
  ["publish", ["a/#", "x"], TypeError, /^topic must be a name without .*, not "a\/#"$/],
  ["publish", ["+", "x"], TypeError, /^topic must be a name without .*, not "\+"$/],
  ["publish", ["a+b", "x"], TypeError, /^topic must be a name without .*, not "a\+b"$/],
  ["publish", ["a\0b", "x"], TypeError, /^topic must be a name without /],
  ["publish", ["t"], TypeError, /^payload must be .*, not undefined$/],
  ["publish", ["t", null], TypeError, /^payload must be .*, not null$/],
  ["publish", ["t", true], TypeError, /^payload must be .*, not true$/],
  ["publish", ["t", array], TypeError, /^payload must be .*, not an array$/],
  ["publish", ["t", {}], TypeError, /^payload must be .*, not an object$/],
  ["publish", ["t", callback], TypeError, /^payload must be .*, not a function$/],
  ["publish", ["t", "x", 3], RangeError, "qos must be an integer from 0 to 2, not 3"],
  ["publish", ["t", "x", -1], RangeError, "qos must be an integer from 0 to 2, not -1"],
  ["publish", ["t", "x", 0.5], RangeError, "qos must be an integer from 0 to 2, not 0.5"],
  ["publish", ["t", "x", "1"], TypeError, 'qos must be a number, not "1"'],
  ["publish", ["t", "x", callback], TypeError, "qos must be a number, not a function"],
  ["publish", ["t", "x", 0, 2], TypeError, "retain must be 0, 1 or a boolean, not 2"],
  ["publish", ["t", "x", 0, callback], TypeError, "retain must be 0, 1 or a boolean, not a function"],
  ["publish", ["t", "x", 0, 0, 1], TypeError, "callback must be a function, not 1"],
  ["publish", ["t", "x", 1, 0, "f"], TypeError, 'callback must be a function, not "f"'],

  ["subscribe", [], TypeError, "topic must be a string or a number, not undefined"],
  ["subscribe", [null], TypeError, "topic must be a string or a number, not null"],
  ["subscribe", [true], TypeError, "topic must be a string or a number, not true"],
  ["subscribe", [callback], TypeError, "topic must be a string or a number, not a function"],
  ["subscribe", [""], TypeError, 'topic must be a valid topic filter, not ""'],
  ["subscribe", ["a#"], TypeError, 'topic must be a valid topic filter, not "a#"'],
  ["subscribe", ["#/a"], TypeError, 'topic must be a valid topic filter, not "#/a"'],
  ["subscribe", ["a+/b"], TypeError, 'topic must be a valid topic filter, not "a+/b"'],
  ["subscribe", ["a\0"], TypeError, /^topic must be a valid topic filter/],
  ["subscribe", ["t", 3], RangeError, "qos must be an integer from 0 to 2, not 3"],
  ["subscribe", ["t", "1"], TypeError, 'qos must be a number, not "1"'],
  ["subscribe", ["t", 0, 1], TypeError, "callback must be a function, not 1"],
  ["subscribe", ["t", null, "f"], TypeError, 'callback must be a function, not "f"'],
  ["subscribe", ["t", callback, 5], TypeError, "callback must be the last argument, not 5"],
  ["subscribe", [{ t: 0 }, callback, callback], TypeError, "callback must be the last argument, not a function"],
  ["subscribe", [new Uint8Array(2)], TypeError, "topics must be a table {filter: qos}, not an object"],
  ["subscribe", [array], TypeError, "topics must be a table {filter: qos}, not an array"],
  ["subscribe", [[]], TypeError, "topics must be a table {filter: qos}, not an array"],
  ["subscribe", [{}], Error, "no topics found"],
  ["subscribe", [{ t: 3 }], RangeError, 'qos of topic "t" must be an integer from 0 to 2, not 3'],
  ["subscribe", [{ a: 0, b: "1" }], TypeError, 'qos of topic "b" must be a number, not "1"'],
  ["subscribe", [{ a: 0, "b#": 1 }], TypeError, 'topic must be a valid topic filter, not "b#"'],
  ["subscribe", [{ "": 0 }], TypeError, 'topic must be a valid topic filter, not ""'],
  ["subscribe", [{ a: 0 }, 0], TypeError, "callback must be a function, not 0"],

  ["unsubscribe", [], TypeError, "topic must be a string or a number, not undefined"],
  ["unsubscribe", [null], TypeError, "topic must be a string or a number, not null"],
  ["unsubscribe", [""], TypeError, 'topic must be a valid topic filter, not ""'],
  ["unsubscribe", ["a/#/b"], TypeError, 'topic must be a valid topic filter, not "a/#/b"'],
  ["unsubscribe", ["t", 0], TypeError, "callback must be a function, not 0"],
  ["unsubscribe", [array], TypeError, "topics must be a table {filter: qos}, not an array"],
  ["unsubscribe", [{}], Error, "no topics found"],
  ["unsubscribe", [{ a: 0, "+b": 0 }], TypeError, 'topic must be a valid topic filter, not "+b"'],
];

const titled = wrongCalls.map(([method, args, kind, text]) => {
  const shown = args.map((value) => typeof value === "object" && value !== null && !Array.isArray(value)
    ? JSON.stringify(value)
    : show(value));
  return { call: `${method}(${shown.join(", ")})`, method, args, kind, text };
});

describe("A wrong argument", () => {
  test.each(titled)(
    "$call throws, whatever the state, and names what is wrong (contract 2: wrong-arguments)",
    ({ method, args, kind, text }) => {
      const device = new Device();
      const client = device.client as unknown as Loose;
      const call = (): unknown => client[method](...args);
      const expectThrown = (): void => {
        expect(call).toThrow(kind);
        expect(call).toThrow(typeof text === "string" ? new Error(text) : text);
      };
      expectThrown();
      device.client.connect("broker");
      expectThrown();
      device.accept();
      expectThrown();
      device.client.close();
      expectThrown();
    },
  );

  test.each(titled)("$call changes nothing (contract 2: wrong-arguments)", ({ method, args }) => {
    const called: string[] = [];
    const device = new Device({ listens: false });
    const { client } = device;
    /** Calls it, in this state and again in a callback. */
    const call = (): void => {
      expect(() => (client as unknown as Loose)[method](...args)).toThrow();
    };
    client.lwt("will", "m", 2, 1);
    call();
    expect(device.hal.sockets).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();

    const slot = (name: string) => () => {
      called.push(name);
      call();
    };
    client.connect("broker", 1883, 0, 0, slot("connect"), slot("connfail"));
    const timerMs = device.hal.nextTimerMs;
    call();
    expect(device.hal.sockets).toHaveLength(1);
    expect(device.socket.closed).toBe(false);
    expect(device.hal.nextTimerMs).toBe(timerMs);

    device.socket.connect();
    expect(device.sent()).toEqual(['CONNECT "id" clean 60 will will=m q2 retain']);
    device.send(connack());
    call();
    expect(device.sent()).toEqual([]);
    expect(client.connected).toBe(true);

    client.on("offline", slot("offline"));
    // Neither a packet id nor room nor a slot was taken.
    client.publish("t", "x", 1, 0, slot("puback"));
    client.subscribe("t", 0, slot("suback"));
    client.unsubscribe("t", slot("unsuback"));
    call();
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1", "SUBSCRIBE #2 t:0", "UNSUBSCRIBE #3 t"]);
    device.socket.receive([0x40, 2, 0, 1, 0x90, 3, 0, 2, 0, 0xb0, 2, 0, 3]);
    client.close();
    device.hal.settle();
    expect(called).toEqual(["connect", "puback", "suback", "unsuback", "offline"]);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("in a callback surfaces as the application's error (contract 2: wrong-arguments)", () => {
    const device = new Device();
    device.during.connect = () => device.client.publish("", "x");
    device.up();
    expect(device.takeErrors()).toEqual([
      new TypeError('topic must be a name without + # or U+0000, not empty, not ""'),
    ]);
    expect(device.client.connected).toBe(true);
  });
});

describe("A topic or payload that UTF-8 cannot carry", () => {
  const calls: [string, (client: Client) => boolean, string][] = [
    ["publish, topic", (client) => client.publish("a\ud800", "x"), "topic must not have a lone surrogate"],
    ["publish, payload", (client) => client.publish("a", "x\udc00"), "payload must not have a lone surrogate"],
    ["subscribe", (client) => client.subscribe("\udc00"), "topic must not have a lone surrogate"],
    ["subscribe, table", (client) => client.subscribe({ a: 0, "\ud800": 0 }), "topic must not have a lone surrogate"],
    ["unsubscribe", (client) => client.unsubscribe("\ud800"), "topic must not have a lone surrogate"],
  ];

  test.each(calls)("%s: throws while a session is up, and changes nothing " +
    "(contract 2: wrong-arguments)", (_, call, text) => {
    const device = new Device().up();
    expect(() => call(device.client)).toThrow(new TypeError(text));
    expect(device.sent()).toEqual([]);
    device.client.publish("t", "x", 1);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
  });

  test("a topic of more than 65535 bytes throws where it would have room (contract 2: wrong-arguments)", () => {
    const device = new Device({ options: { txCapacity: 200000 }, hal: { room: 200000 } }).up();
    for (const call of [
      () => device.client.publish(long, "x"),
      () => device.client.subscribe(long),
      () => device.client.unsubscribe(long),
    ]) {
      expect(call).toThrow(new RangeError("topic must be at most 65535 bytes long"));
    }
    expect(device.sent()).toEqual([]);
  });
});
