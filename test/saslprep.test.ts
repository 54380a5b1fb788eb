import { describe, expect, test } from "@jest/globals";
import { saslprep } from "../hal/saslprep.js";
import { L_CAT, RAND_AL_CAT, UNASSIGNED } from "./vectors/stringprep.js";

/** The code points of "5D0-5EA 5F0". */
function codePoints(ranges: string): Set<number> {
  const all = new Set<number>();
  for (const range of ranges.trim().split(/\s+/)) {
    const [first, last = first] = range.split("-").map((digits) => parseInt(digits, 16));
    for (let codePoint = first; codePoint <= last; codePoint++) all.add(codePoint);
  }
  return all;
}

const unassigned = codePoints(UNASSIGNED);
const randAlCat = codePoints(RAND_AL_CAT);
const lCat = codePoints(L_CAT);
const prohibited = codePoints(`
  0000-001F 007F 0080-009F 06DD 070F 180E 200C-200D 2028-2029 2060-2063 206A-206F FEFF FFF9-FFFC 1D173-1D17A
  E000-F8FF F0000-FFFFD 100000-10FFFD
  FDD0-FDEF FFFE-FFFF 1FFFE-1FFFF 2FFFE-2FFFF 3FFFE-3FFFF 4FFFE-4FFFF 5FFFE-5FFFF 6FFFE-6FFFF 7FFFE-7FFFF 8FFFE-8FFFF
  9FFFE-9FFFF AFFFE-AFFFF BFFFE-BFFFF CFFFE-CFFFF DFFFE-DFFFF EFFFE-EFFFF FFFFE-FFFFF 10FFFE-10FFFF
  D800-DFFF FFF9-FFFD 2FF0-2FFB 0340-0341 200E-200F 202A-202E 206A-206F E0001 E0020-E007F`);
const spaces = codePoints("00A0 1680 2000-200B 202F 205F 3000");
const nothing = codePoints("00AD 034F 1806 180B-180D 200C-200D 2060 FE00-FE0F FEFF");

/** SASLprep once more, by the tables of RFC 3454 as they stand; undefined: refused. */
function expected(text: string): string | undefined {
  const mapped = [...text].map((character) => {
    const codePoint = character.codePointAt(0)!;
    return spaces.has(codePoint) ? " " : nothing.has(codePoint) ? "" : character;
  });
  const prepared = mapped.join("").normalize("NFKC");
  const points = [...prepared].map((character) => character.codePointAt(0)!);
  if (points.length === 0 || points.some((point) => prohibited.has(point))) return undefined;
  if (!points.some((point) => randAlCat.has(point))) return prepared;
  if (points.some((point) => lCat.has(point))) return undefined;
  return randAlCat.has(points[0]) && randAlCat.has(points.at(-1)!) ? prepared : undefined;
}

function actual(text: string): string | undefined {
  try {
    return saslprep("password", text);
  } catch (error) {
    if (error instanceof TypeError) return undefined;
    throw error;
  }
}

describe("saslprep", () => {
  test.each([
    ["a soft hyphen, mapped to nothing", "I\u00adX", "IX"],
    ["nothing to do", "user", "user"],
    ["upper case, kept", "USER", "USER"],
    ["NFKC, U+00AA", "\u00aa", "a"],
    ["NFKC, U+2168", "\u2168", "IX"],
  ])("prepares the examples: %s [RFC 4013 3]", (_what, text, prepared) => {
    expect(saslprep("username", text)).toBe(prepared);
  });

  test.each([
    ["username must not have a character that SASLprep prohibits", "\u0007"],
    ["username must begin and end from right to left", "\u06271"],
  ])("refuses the examples: %s [RFC 4013 3]", (message, text) => {
    expect(() => saslprep("username", text)).toThrow(TypeError);
    expect(() => saslprep("username", text)).toThrow(message);
  });

  test("takes what is written from right to left throughout, digits within included [RFC 3454 6]", () => {
    expect(saslprep("password", "\u06271\u0628")).toBe("\u06271\u0628");
    expect(saslprep("password", "\u05d0 \u05d1")).toBe("\u05d0 \u05d1");
  });

  test.each([
    ["begins", "1\u05d0"], ["ends", "\u05d01"], ["has a letter from left to right within", "\u05d0a\u05d0"],
  ])("refuses what is written from right to left and otherwise %s [RFC 3454 6]", (_what, text) => {
    expect(() => saslprep("password", text)).toThrow("password must begin and end from right to left");
  });

  test("refuses what nothing is left of, and a lone surrogate", () => {
    for (const text of ["", "\u00ad", "\u200d\ufe0f"]) {
      expect(() => saslprep("password", text)).toThrow("password must have a character that SASLprep does not take");
    }
    for (const text of ["\ud800", "a\udfff"]) {
      expect(() => saslprep("password", text)).toThrow("password must not have a character that SASLprep prohibits");
    }
  });

  test("makes a space of each other space, and leaves an emoji alone", () => {
    expect(saslprep("password", "a\u00a0b\u3000c d\u{1f600}")).toBe("a b c d\u{1f600}");
  });

  test("has a lone combining mark join what it follows once the rest is gone", () => {
    expect(saslprep("password", "e\u00ad\u0301")).toBe("\u00e9");
  });

  test("does as the tables of RFC 3454 say with each character of Unicode 3.2 [RFC 4013 2]", () => {
    const wrong: string[] = [];
    let count = 0;
    for (let codePoint = 0; codePoint <= 0x10ffff; codePoint++) {
      // Of the planes for private use, the ends are enough.
      if (unassigned.has(codePoint) || (codePoint > 0xf0010 && (codePoint & 0xffff) < 0xfff0)) continue;
      const character = String.fromCodePoint(codePoint);
      for (const text of [character, `\u05d0${character}\u05d0`, `a${character}b`, `${character}\u05d0`]) {
        count++;
        if (actual(text) !== expected(text)) wrong.push(`${codePoint.toString(16)} in "${text}"`);
      }
    }
    expect(wrong).toEqual([]);
    expect(count).toBeGreaterThan(400000);
  });
});
