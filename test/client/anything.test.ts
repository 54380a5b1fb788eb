/** Arguments as a program without types may pass them: whatever they are, a call answers or throws by the contract. */
import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ClientArguments } from "../support/device.js";
import { Device } from "../support/device.js";

const callback = (): void => undefined;
const odd: unknown[] = [
  undefined, null, true, false, 0, -0, 1, 2, 3, -1, 1.5, 60, 128, 1883, 65535, 65536, 2 ** 40, NaN, Infinity,
  "", " ", "t", "a/b", "a/#", "#", "+", "+/a", "a+", "#/a", "\0", "a\0", "\ud800", "\udc00\ud800", "😀", "1",
  "__proto__", "x".repeat(300), "ü".repeat(32768), "x".repeat(65536), callback, Symbol("s"), 1n,
  [], [1], ["t"], ["message"], {}, { t: 0 }, { t: 1, "u/#": 2 }, { t: 3 }, { "": 0 }, { "a#": 0 }, { t: "1" },
  { "\ud800": 0 }, JSON.parse('{"__proto__":1}'), Object.create(null), { format: "buffer" }, { maxInflight: 0 },
  { ca: "x" }, { nonsense: 1 }, new Uint8Array(0), new Uint8Array(3), new Uint8Array(70000), new ArrayBuffer(2),
  new DataView(new ArrayBuffer(2)), new Uint16Array(2), new Date(0), new Map(), /x/,
];
const anything = fc.constantFrom(...odd);
const several = fc.array(anything, { maxLength: 7 });

/** What an error may say: the name of an argument first. */
const NAMED = /^(\w+ must |qos of topic ".*" must |unknown option |secure\..*: no such|no topics found$|already connected$)/s;

/** The result of a call, which threw nothing but what the contract has. */
function attempt(call: () => unknown): unknown {
  try {
    return call();
  } catch (error) {
    expect(error).toBeInstanceOf(Error);
    const { name, message } = error as Error;
    expect(message).toMatch(NAMED);
    const isPlain = message === "already connected" || message === "no topics found";
    expect(isPlain ? ["Error"] : ["TypeError", "RangeError"]).toContain(name);
    return error;
  }
}

describe("Any arguments whatever", () => {
  test("mqtt.Client makes a client or throws by name (contract 2: wrong-arguments)", () => {
    fc.assert(fc.property(several, (args) => {
      const made = attempt(() => new Device({ args: args as unknown as ClientArguments }));
      if (made instanceof Device) {
        made.up();
        made.check();
      }
    }), { numRuns: 2000 });
  });

  const methods = ["connect", "lwt", "on", "publish", "subscribe", "unsubscribe"] as const;
  const call = fc.tuple(fc.constantFrom(...methods), several);

  test("each method answers or throws by name; the client works on (contract 2: wrong-arguments)", () => {
    fc.assert(fc.property(fc.array(call, { maxLength: 30 }), fc.boolean(), (calls, isUp) => {
      const device = new Device();
      if (isUp) device.up();
      for (const [method, args] of calls) {
        const bound = device.client[method] as (...values: unknown[]) => unknown;
        const result = attempt(() => bound(...args));
        if (result instanceof Error) continue;
        if (method === "lwt" || method === "on") expect(result).toBeUndefined();
        else expect(typeof result).toBe("boolean");
        // A message of 65,535 bytes may be a will, but is more than the broker of these tests takes.
        if (method === "lwt") device.client.lwt("t", "m");
      }
      if (!isUp) device.client.abort();
      else expect(device.client.connected).toBe(true);
      if (!isUp) device.up();
      device.broker.answers = true;
      device.client.on("puback", null);
      device.hal.settle();
      expect(device.client.publish("t", "x", 1)).toBe(true);
      device.client.close();
      device.hal.advance(10000);
      expect(device.broker.packets.at(-1)).toEqual({ type: "DISCONNECT" });
      device.check();
    }), { numRuns: 1000 });
  });
});
