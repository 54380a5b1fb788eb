/** Where payloads come from: the options, and standard input in any pieces. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { MAX_LINE, readLines, readPayload, readWhole } from "../../cli/src/payloads.js";

async function* pieces(bytes: Uint8Array, length: number): AsyncGenerator<Uint8Array> {
  for (let i = 0; i < bytes.length; i += length) yield bytes.subarray(i, i + length);
}

async function lines(bytes: Uint8Array, length: number): Promise<string[]> {
  const found: string[] = [];
  for await (const line of readLines(pieces(bytes, length))) found.push(Buffer.from(line).toString("latin1"));
  return found;
}

describe("lines", () => {
  const text = Buffer.from("one\n\ntwo\r\n\xff\0three\nlast", "latin1");

  it.each([1, 2, 3, 5, 100])("are the same however the input is cut: %i bytes at a time", async (length) => {
    expect(await lines(text, length)).toEqual(["one", "", "two\r", "\xff\0three", "last"]);
  });

  it("do not have an empty one behind the last line end", async () => {
    expect(await lines(Buffer.from("a\n"), 10)).toEqual(["a"]);
    expect(await lines(Buffer.from("\n"), 10)).toEqual([""]);
    expect(await lines(Buffer.from(""), 10)).toEqual([]);
  });

  it.each([1 << 16, 1 << 22])("have a longest one, in pieces of %i", async (length) => {
    const longest = Buffer.concat([Buffer.alloc(MAX_LINE, "x"), Buffer.from("\ny")]);
    expect((await lines(longest, length)).map((line) => line.length)).toEqual([MAX_LINE, 1]);
    await expect(lines(Buffer.alloc(MAX_LINE + 1, "x"), length)).rejects.toThrow(`at most ${MAX_LINE} bytes`);
    const tooLong = Buffer.concat([Buffer.alloc(MAX_LINE + 1, "x"), Buffer.from("\ny")]);
    await expect(lines(tooLong, length)).rejects.toThrow(`at most ${MAX_LINE} bytes`);
  });
});

it("takes standard input as a whole", async () => {
  const bytes = Buffer.from([0, 10, 255, 13, 10]);
  expect(Buffer.from(await readWhole(pieces(bytes, 2)))).toEqual(bytes);
});

describe("options", () => {
  let folder = "";
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-payloads-"));
  });
  afterAll(() => rmSync(folder, { recursive: true }));

  it("give bytes", () => {
    const bytes = Buffer.from([0, 255, 10, 0xc3]);
    writeFileSync(join(folder, "bytes"), bytes);
    expect(readPayload({ file: join(folder, "bytes") })).toEqual(bytes);
    expect(readPayload({ hex: "00Ff 0a\nC3" })).toEqual(bytes);
    expect(readPayload({ base64: "AP8Kww==" })).toEqual(bytes);
    expect(readPayload({ base64: "AP8\nKww" })).toEqual(bytes);
    expect(readPayload({ payload: "ä" })).toEqual(Buffer.from([0xc3, 0xa4]));
    expect(readPayload({ payload: "" })).toEqual(Buffer.alloc(0));
    expect(readPayload({ stdin: true })).toBe("stdin");
    expect(readPayload({ stdinLines: true, stdin: false })).toBe("stdin-lines");
  });

  it.each([
    [{}, "one of --payload, --file, --stdin, --stdin-lines, --hex, --base64 is required"],
    [{ payload: "a", file: "b" }, "--payload and --file contradict each other: leave one of them out"],
    [{ payload: "a\ufffd" }, "--payload has bytes that are not UTF-8, or U+FFFD"],
    [{ hex: "0" }, "--hex must be pairs of hexadecimal digits"],
    [{ hex: "0g" }, "--hex must be pairs of hexadecimal digits"],
    [{ base64: "AP8K_w==" }, "--base64 must be base64, with + and /"],
    [{ base64: "A" }, "--base64 must be base64, with + and /"],
    [{ base64: "AP8K=ww" }, "--base64 must be base64, with + and /"],
    [{ file: "/nowhere/at/all" }, "cannot read the file of --file (ENOENT: no such file or directory"],
    [{ file: tmpdir() }, "cannot read the file of --file (it is a folder)"],
  ])("refuse %j", (values, message) => {
    expect(() => readPayload(values)).toThrow(message);
  });
});
