/**
 * Fuzzing as far as a test run has time: the kept inputs of each target, and a short search with a fixed seed. The
 * search says how to run what it found alone.
 */
import { spawnSync } from "node:child_process";
import { resolve } from "node:path";
import { describe, expect, it, jest } from "@jest/globals";
import { root } from "../rollup.shared.js";
import type { Finding } from "./fuzz/fuzzer.js";
import { Fuzzer } from "./fuzz/fuzzer.js";
import { loadInstrumented } from "./fuzz/instrument.js";
import type { Target } from "./fuzz/targets.js";
import { readCorpus, targetNames } from "./fuzz/targets.js";

const SEED = 20141029;
/** One or two seconds each, and the start of a process. */
const RUNS = 5000;
const LIMIT_MS = 120000;

// The first that loads a target compiles it.
jest.setTimeout(LIMIT_MS);

function hex(input: Uint8Array): string {
  return Buffer.from(input).toString("hex");
}

describe.each(targetNames())("Fuzzing of %s", (name) => {
  it("finds nothing wrong with any kept input", async () => {
    const target = await import(`./fuzz/targets/${name}.ts`) as Target;
    const corpus = readCorpus(name);
    expect(corpus.length).toBeGreaterThan(0);
    for (const input of [...target.seeds(), ...corpus]) {
      try {
        target.run(input);
      } catch (error) {
        throw new Error(`Input ${hex(input)}: ${(error as Error).message}`, { cause: error });
      }
    }
  });

  // In a process of its own: in jest's the same takes six times as long.
  it(`finds nothing in ${RUNS} runs, led by coverage, seed ${SEED}`, () => {
    const options = [name, "--runs", String(RUNS), "--seed", String(SEED)];
    const { status, stdout, stderr } = spawnSync(
      process.execPath,
      ["--import", "tsx", resolve(root, "test/fuzz/main.ts"), ...options],
      { cwd: root, encoding: "utf8", timeout: LIMIT_MS },
    );
    if (status !== 0) throw new Error(`${stdout}${stderr}` || `nothing within ${LIMIT_MS} ms`);
    expect(stdout).toContain(`, ${RUNS} runs, `);
  });
});

describe("The fuzzer", () => {
  /** One for the planted target; `file` is what of that has counters. */
  async function planted(file: string, batchMs?: number): Promise<Fuzzer> {
    return new Fuzzer(await loadInstrumented("planted/target", (path) => path === file), SEED, batchMs);
  }

  /** What it finds in so many runs, from zeros on. */
  async function found(runs: number, file = "test/fuzz/planted/depth.ts"): Promise<Finding | undefined> {
    const fuzzer = await planted(file);
    return fuzzer.begin([new Uint8Array(8)]) ?? fuzzer.search(() => fuzzer.runs < runs);
  }

  it("finds four bytes that must be right one behind the other, and leaves out the rest", async () => {
    const finding = await found(50000);
    expect(finding?.error.message).toBe("found");
    expect(hex(finding!.input)).toBe("4d515454");
  });

  it("does not find them without coverage", async () => {
    expect(await found(50000, "none")).toBeUndefined();
  });

  it("does the same each time", async () => {
    const { runs } = (await found(50000))!;
    expect(runs).toBeGreaterThan(1000);
    expect((await found(50000))!.runs).toBe(runs);
  });

  it("tells of an input that does not come to its end", async () => {
    const fuzzer = await planted("none", 200);
    const finding = fuzzer.begin([new Uint8Array(3), new Uint8Array(2000), new Uint8Array(4)]);
    expect(finding?.input.length).toBe(2000);
    expect(finding?.error.message).toContain("timed out");
  });
});
