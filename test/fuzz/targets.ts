/**
 * What can be fuzzed: each file of targets/ is one target, and its inputs are kept in corpus/, one file for each target
 * with one input a line, in hexadecimal.
 */
import { existsSync, readFileSync, readdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { root } from "../../rollup.shared.js";

export interface Target {
  /** Does what the input says, any bytes, and throws when something is wrong. The same each time. */
  run(input: Uint8Array): void;
  /** Where to begin. */
  seeds(): Uint8Array[];
}

const FOLDER = resolve(root, "test/fuzz");

export function targetNames(): string[] {
  return readdirSync(resolve(FOLDER, "targets")).map((file) => file.replace(/\.ts$/, "")).sort();
}

function corpusPath(name: string): string {
  return resolve(FOLDER, "corpus", `${name}.txt`);
}

export function readCorpus(name: string): Uint8Array[] {
  const path = corpusPath(name);
  if (!existsSync(path)) return [];
  return readFileSync(path, "utf8").split("\n").filter((line) => line !== "").map((line) => fromHex(line));
}

/** Replaces the corpus. */
export function writeCorpus(name: string, inputs: Uint8Array[]): void {
  const lines = inputs.map((input) => `${Buffer.from(input).toString("hex")}\n`);
  writeFileSync(corpusPath(name), lines.sort((a, b) => a.length - b.length || (a < b ? -1 : 1)).join(""));
}

export function fromHex(digits: string): Uint8Array {
  if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`Not hexadecimal: ${digits}`);
  return new Uint8Array(Buffer.from(digits, "hex"));
}
