/** Where the payloads of `pub` come from: an option, a file, or standard input, whole or one line each. */
import { closeSync, fstatSync, openSync, readSync } from "node:fs";
import type { Values } from "./arguments.js";
import { Failure, messageOf } from "./failure.js";
import { text } from "./options.js";

/** The longest packet of MQTT, less the longest header; so long may a payload be, whatever its topic is. */
export const MAX_PAYLOAD = 268435455 - 65535 - 4;
/** The longest line that becomes a message. */
export const MAX_LINE = 1048576;

/** Bytes of a file that are read at a time. */
const PIECE = 1048576;

/** A payload that is there, or where it will come from. */
export type PayloadSource = Uint8Array | "stdin" | "stdin-lines";

const FLAGS = {
  payload: "--payload",
  file: "--file",
  stdin: "--stdin",
  stdinLines: "--stdin-lines",
  hex: "--hex",
  base64: "--base64",
};

export function readPayload(values: Values): PayloadSource {
  const given = Object.entries(FLAGS).filter(([key]) => values[key] !== undefined && values[key] !== false);
  if (given.length === 0) throw new Failure(`one of ${Object.values(FLAGS).join(", ")} is required`);
  if (given.length > 1) {
    throw new Failure(`${given[0][1]} and ${given[1][1]} contradict each other: leave one of them out`);
  }
  const [key, flag] = given[0];
  if (key === "stdin") return "stdin";
  if (key === "stdinLines") return "stdin-lines";
  const value = values[key] as string;
  if (key === "file") return readPayloadFile(value);
  const valid = text(values, key, flag)!;
  if (key === "hex") return readHex(valid);
  return key === "base64" ? readBase64(valid) : Buffer.from(valid);
}

function readPayloadFile(path: string): Uint8Array {
  const pieces: Uint8Array[] = [];
  let length = 0;
  try {
    const file = openSync(path, "r");
    try {
      if (fstatSync(file).isDirectory()) throw new Error("it is a folder");
      // What is no plain file does not say before how long it is.
      for (let count = -1; count !== 0 && length <= MAX_PAYLOAD; length += count) {
        const piece = Buffer.allocUnsafe(PIECE);
        count = readSync(file, piece);
        pieces.push(piece.subarray(0, count));
      }
    } finally {
      closeSync(file);
    }
  } catch (error) {
    throw new Failure(`cannot read the file of --file (${messageOf(error)})`);
  }
  if (length > MAX_PAYLOAD) throw new Failure(`the file of --file must have at most ${MAX_PAYLOAD} bytes`);
  return Buffer.concat(pieces);
}

function readHex(digits: string): Uint8Array {
  const compact = digits.replace(/\s/g, "");
  if (/^([0-9a-f]{2})*$/i.test(compact)) return Buffer.from(compact, "hex");
  throw new Failure("--hex must be pairs of hexadecimal digits");
}

function readBase64(encoded: string): Uint8Array {
  const compact = encoded.replace(/\s/g, "");
  const bytes = Buffer.from(compact, "base64");
  // Node takes what it can, and stops where it cannot: what is valid is the same again.
  if (bytes.toString("base64").replace(/=+$/, "") === compact.replace(/={0,2}$/, "")) return bytes;
  throw new Failure("--base64 must be base64, with + and /");
}

/** Standard input, in pieces as they come. */
export async function* readStdin(): AsyncGenerator<Uint8Array> {
  try {
    // To Node it is a file without contents.
    if (fstatSync(0).isDirectory()) throw new Error("it is a folder");
    for await (const chunk of process.stdin) yield chunk as Buffer;
  } catch (error) {
    throw new Failure(`cannot read standard input (${messageOf(error)})`);
  }
}

/** All that comes, up to the end. */
export async function readWhole(input: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of input) {
    length += chunk.length;
    if (length > MAX_PAYLOAD) throw new Failure(`--stdin must be at most ${MAX_PAYLOAD} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Each line without its "\n", and what stands behind the last one if there is something. */
export async function* readLines(input: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of input) {
    let start = 0;
    for (let end = chunk.indexOf(10); end >= 0; end = chunk.indexOf(10, start)) {
      length += end - start;
      if (length > MAX_LINE) break;
      yield Buffer.concat([...parts, chunk.subarray(start, end)]);
      parts = [];
      length = 0;
      start = end + 1;
    }
    length += chunk.length - start;
    if (length > MAX_LINE) throw new Failure(`a line of --stdin-lines must have at most ${MAX_LINE} bytes`);
    if (start < chunk.length) parts.push(chunk.subarray(start));
  }
  if (length > 0) yield Buffer.concat(parts);
}
