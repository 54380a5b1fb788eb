/**
 * What the suites use of Node, for an engine that has none of it: parts of Buffer and AbortController, two predicates,
 * and of Node's HAL the conversion of text, by the HAL of boards. Anything else of Node is not there, so that a suite
 * that needs more fails.
 */
import { createEcma419Hal } from "../../../hal/ecma419.js";
import type { Ecma419Options } from "../../../hal/ecma419.js";
import { ScriptText } from "../../../hal/mock.js";

// A large heap from the beginning: a small one is collected each time it is full, and hardly ever grows. All of it is
// in use for a moment, and held by a global variable, or it would be left out of the bundle.
const heap = globalThis as { chunks?: unknown; slots?: unknown };
heap.chunks = new Uint8Array(1 << 27);
for (let i = 0; i < 1 << 19; i++) heap.slots = { a: 0, b: 0, c: 0, d: 0, e: 0, f: 0, rest: heap.slots };
delete heap.chunks;
delete heap.slots;

type Encoding = "utf8" | "utf-8" | "latin1" | "hex";

const encoder = new TextEncoder();
const text = new ScriptText();

const HEX = Array.from({ length: 256 }, (_, byte) => (byte < 16 ? "0" : "") + byte.toString(16));

function encode(string: string, encoding: Encoding): Uint8Array {
  switch (encoding) {
    case "utf8":
    case "utf-8":
      // XS encodes a lone surrogate as if it were a character.
      return encoder.encode(string.replace(/[\ud800-\udfff]/gu, "\uFFFD"));
    case "latin1":
      return latin1(encoder.encode(string));
    case "hex":
      return new Uint8Array((string.match(/../g) ?? []).map((digits) => parseInt(digits, 16)));
    default:
      throw new Error(`Buffer: no encoding ${String(encoding)}`);
  }
}

/** The code points, below 256, that bytes of UTF-8 encode: XS takes long to index text beyond ASCII. */
function latin1(utf8: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(utf8.length);
  let length = 0;
  for (let at = 0; at < utf8.length; at++) {
    const first = utf8[at];
    if (first > 0xc3) throw new Error("Buffer: latin1 has characters below 256");
    bytes[length++] = first < 0x80 ? first : ((first & 3) << 6) | (utf8[++at] & 0x3f);
  }
  return bytes.subarray(0, length);
}

function decode(bytes: Uint8Array, encoding: Encoding): string {
  switch (encoding) {
    case "utf8":
    case "utf-8":
      return text.decode(bytes, 0, bytes.length, false);
    case "latin1": {
      const parts: string[] = [];
      for (let at = 0; at < bytes.length; at += 256) {
        parts.push(String.fromCharCode(...bytes.subarray(at, at + 256)));
      }
      return parts.join("");
    }
    case "hex":
      return Array.from(bytes, (byte) => HEX[byte]).join("");
    default:
      throw new Error(`Buffer: no encoding ${String(encoding)}`);
  }
}

/** A Uint8Array that knows text. */
class XsBuffer extends Uint8Array {
  static bytesOf(value: string | ArrayBuffer | ArrayLike<number>, detail?: unknown, length?: number): XsBuffer {
    if (typeof value === "string") return new XsBuffer(encode(value, (detail as Encoding | undefined) ?? "utf8"));
    return value instanceof ArrayBuffer ? new XsBuffer(value, detail as number, length) : new XsBuffer(value);
  }

  static byteLength(string: string): number {
    return encode(string, "utf8").length;
  }

  static concat(parts: Uint8Array[]): XsBuffer {
    const all = new XsBuffer(parts.reduce((sum, part) => sum + part.length, 0));
    let at = 0;
    for (const part of parts) {
      all.set(part, at);
      at += part.length;
    }
    return all;
  }

  static compare(a: Uint8Array, b: Uint8Array): number {
    for (let i = 0; i < a.length && i < b.length; i++) {
      if (a[i] !== b[i]) return a[i] < b[i] ? -1 : 1;
    }
    return Math.sign(a.length - b.length);
  }

  override toString(encoding: Encoding = "utf8", start = 0, end = this.length): string {
    return decode(this.subarray(start, end), encoding);
  }
}
// Not a method of the class, since Uint8Array's has another type.
Object.defineProperty(XsBuffer, "from", { value: XsBuffer.bytesOf });

/** What is used of one: `abort`, and the signal's listeners. */
class XsAbortController {
  readonly signal = {
    aborted: false,
    reason: undefined as unknown,
    listeners: new Set<() => void>(),
    addEventListener(type: string, listener: () => void) {
      if (type !== "abort") throw new Error(`AbortSignal: no event ${type}`);
      this.listeners.add(listener);
    },
    removeEventListener(type: string, listener: () => void) {
      if (type !== "abort") throw new Error(`AbortSignal: no event ${type}`);
      this.listeners.delete(listener);
    },
  };

  abort(reason?: unknown): void {
    const { signal } = this;
    if (signal.aborted) return;
    signal.aborted = true;
    signal.reason = reason ?? new Error("This operation was aborted");
    for (const listener of [...signal.listeners]) listener();
  }
}

/** fast-check wants to find it, but uses it only for time limits. */
function setTimeout(): never {
  throw new Error("no setTimeout on XS");
}

const globals = { Buffer: XsBuffer, AbortController: XsAbortController, setTimeout, clearTimeout: setTimeout };
Object.assign(globalThis, globals);

/** `isUtf8` of node:buffer. */
export function isUtf8(bytes: Uint8Array): boolean {
  return text.decode(bytes, 0, bytes.length, true) !== undefined;
}

const typedArrayName = Object.getOwnPropertyDescriptor(Object.getPrototypeOf(Uint8Array.prototype), Symbol.toStringTag)
  ?.get as (this: unknown) => string | undefined;

/** `isUint8Array` of node:util/types: false for a proxy. */
export function isUint8Array(value: unknown): value is Uint8Array {
  return typedArrayName.call(value) === "Uint8Array";
}

/** Default export of hal/node.ts. */
const hal = createEcma419Hal({ TextEncoder, TextDecoder } as unknown as Ecma419Options);
export default hal;
