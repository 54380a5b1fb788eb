import { isUtf8 as nodeIsUtf8 } from "node:buffer";
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { isUtf8 } from "../src/utf8.js";
import { guarded, hex, join, wire } from "./support/bytes.js";

const decoder = new TextDecoder("utf-8", { fatal: true });

/** What TextDecoder says. */
function decodes(bytes: Uint8Array): boolean {
  try {
    decoder.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** `isUtf8` of all of `bytes`, which lie behind a character's beginning and in front of its end. */
function check(bytes: Uint8Array): boolean {
  const around = join(wire("e2"), bytes, wire("82ac"));
  return isUtf8(around, 1, 1 + bytes.length);
}

function expectSame(bytes: Uint8Array): void {
  if (check(bytes) !== decodes(bytes)) expect({ bytes: hex(bytes), is: check(bytes) }).toBe(decodes(bytes));
}

/** Where the ranges of table 3-7 begin and end, and their neighbours. */
const EDGES = [
  0x00, 0x7f, 0x80, 0x81, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xec, 0xed, 0xee, 0xef,
  0xf0, 0xf1, 0xf3, 0xf4, 0xf5, 0xf7, 0xf8, 0xff,
];

describe("isUtf8 [MQTT-1.5.3-1]", () => {
  it("says of every one and two bytes what TextDecoder says", () => {
    for (let first = 0; first < 256; first++) {
      expectSame(new Uint8Array([first]));
      for (let second = 0; second < 256; second++) expectSame(new Uint8Array([first, second]));
    }
  });

  it("says of three and four bytes on the edges of every range what Node says", () => {
    for (const first of EDGES) {
      for (const second of EDGES) {
        for (const third of EDGES) {
          const three = new Uint8Array([first, second, third]);
          if (check(three) !== nodeIsUtf8(three)) expectSame(three);
          for (const fourth of EDGES) {
            const four = new Uint8Array([first, second, third, fourth]);
            if (check(four) !== nodeIsUtf8(four)) expectSame(four);
          }
        }
      }
    }
  });

  it("takes every character there is, and no surrogate", () => {
    const bytes = new Uint8Array(4);
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
      const isSurrogate = codePoint >= 0xd800 && codePoint <= 0xdfff;
      const length = encode(codePoint, bytes);
      if (isUtf8(bytes, 0, length) === isSurrogate) throw new Error(`U+${codePoint.toString(16)}`);
      // And cut short none, but for nothing at all.
      for (let less = 1; less < length; less++) {
        if (isUtf8(bytes, 0, less)) throw new Error(`U+${codePoint.toString(16)}, ${less} bytes`);
      }
    }
  });

  it("takes nothing at all", () => {
    expect(isUtf8(wire("ff ff"), 1, 1)).toBe(true);
  });

  it.each([
    ["U+0000, which is well-formed", "00", true],
    ["an overlong form of two bytes", "c080", false],
    ["the last overlong form of two bytes", "c1bf", false],
    ["an overlong form of three bytes", "e09fbf", false],
    ["an overlong form of four bytes", "f08fbfbf", false],
    ["the first surrogate", "eda080", false],
    ["the last surrogate", "edbfbf", false],
    ["a pair of surrogates (CESU-8)", "eda0bdedb880", false],
    ["U+FFFF, no character but well-formed", "efbfbf", true],
    ["U+10FFFF", "f48fbfbf", true],
    ["U+110000", "f4908080", false],
    ["a form of five bytes", "f888808080", false],
    ["a byte that continues nothing", "'a' 80 'b'", false],
    ["a character cut short by another", "e282 'a'", false],
  ])("judges %s", (_title, bytes, expected) => {
    expect(check(wire(bytes))).toBe(expected);
  });

  it("says of any bytes what TextDecoder says, and reads none outside the window", () => {
    const mostlyText = fc.tuple(fc.string({ unit: "binary", maxLength: 20 }), fc.uint8Array({ maxLength: 3 }));
    const anyBytes = fc.oneof(
      fc.uint8Array({ maxLength: 12 }),
      mostlyText.map(([string, bytes]) => join(Buffer.from(string), bytes)),
      fc.array(fc.constantFrom(...EDGES), { maxLength: 8 }).map((bytes) => new Uint8Array(bytes)),
    );
    fc.assert(
      fc.property(anyBytes, (bytes) => {
        const around = join(wire("e2"), bytes, wire("82ac"));
        const window = guarded(around, 1, 1 + bytes.length);
        expect(isUtf8(window, 1, 1 + bytes.length)).toBe(decodes(bytes));
      }),
      { numRuns: 5000 },
    );
  });
});

/** Encodes as the table of bits has it, surrogates as well, and returns the count of bytes. */
function encode(codePoint: number, bytes: Uint8Array): number {
  if (codePoint < 0x80) {
    bytes[0] = codePoint;
    return 1;
  }
  const length = codePoint < 0x800 ? 2 : codePoint < 0x10000 ? 3 : 4;
  let rest = codePoint;
  for (let at = length - 1; at > 0; at--) {
    bytes[at] = 0x80 | (rest & 0x3f);
    rest >>= 6;
  }
  bytes[0] = (0xf00 >> length) | rest;
  return length;
}
