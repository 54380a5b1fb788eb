/**
 * The fault simulator: that the library stands it, that it finds what is wrong with a library that is, and that a seed
 * is all it takes to see a schedule again.
 */
import { execFile } from "node:child_process";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { FEATURES } from "../sim/torture/features.js";
import { huntMutant, mutate } from "../sim/torture/mutant.js";
import { MUTATIONS } from "../sim/torture/mutations.js";
import { readOptions } from "../sim/torture/options.js";
import { describeSchedule } from "../sim/torture/report.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
/** The base of all schedules here. */
const SEED = 20240229;
const SCHEDULES = 20000;
/** Schedules within which each mutation has to be found. */
const MOST = 3000;
/** How often at least, in all schedules, each optional part of the library has to be exercised in each way. */
const LEAST = 50;
const EXERCISES = FEATURES.flatMap(({ exercises }) => exercises);
const RUN_MS = 900000;

interface Output {
  status: number;
  stdout: string;
  stderr: string;
}

/** Runs what `npm run torture` runs, without npm and tsx's own command, which only costs time. */
function torture(...args: string[]): Promise<Output> {
  const tsx = import.meta.resolve("tsx");
  const command = ["--import", tsx, join(ROOT, "sim/torture/main.ts"), ...args];
  const env = { ...process.env, TSX_TSCONFIG_PATH: join(ROOT, "sim/tsconfig.json") };
  return new Promise((resolve) => {
    execFile(process.execPath, command, { cwd: ROOT, env, timeout: RUN_MS }, (error, stdout, stderr) => {
      resolve({ status: error === null ? 0 : typeof error.code === "number" ? error.code : -1, stdout, stderr });
    });
  });
}

describe("the library under faults", () => {
  it(`breaks no rule in ${SCHEDULES} schedules from seed ${SEED}`, async () => {
    const args = ["--schedules", String(SCHEDULES), "--seed", String(SEED), "--counts"];
    const { status, stdout, stderr } = await torture(...args);
    const counted = EXERCISES.map((name) => ` *(\\d+)  ${name}\\n`).join("");
    const told = `${SCHEDULES} schedules from seed ${SEED}: no rule was broken; \\d{6,} messages, .*\\n`;
    expect({ status, stderr, stdout }).toEqual({
      status: 0,
      stderr: "",
      stdout: expect.stringMatching(new RegExp(`^${counted}${told}$`)),
    });
    const rare = stdout.split("\n").slice(0, EXERCISES.length).filter((line) => parseInt(line, 10) < LEAST);
    expect(rare).toEqual([]);
  }, RUN_MS);

  it("is exercised in all its optional parts, each name once", () => {
    expect(FEATURES.filter(({ exercises }) => exercises.length === 0)).toEqual([]);
    expect(new Set(EXERCISES).size).toBe(EXERCISES.length);
  });
});

describe("the simulator", () => {
  it.each(MUTATIONS)("finds a library in which: $name", async (mutation) => {
    const { finding } = await huntMutant(mutation, SEED, MOST);
    expect(finding?.rule).toEqual(expect.any(String));
  }, RUN_MS);

  it("finds nothing, by the same way, in the library as it is", async () => {
    expect(await huntMutant(undefined, SEED, 100)).toEqual({ schedules: 100, finding: undefined });
  }, RUN_MS);

  it("notices a mutation whose place in the library is gone, or is not the only one", () => {
    const mutation = MUTATIONS[0];
    expect(() => mutate({ ...mutation, find: "no such code" })).toThrow(/occurs 0 times/);
    expect(() => mutate({ ...mutation, find: "this" })).toThrow(/occurs \d{2,} times/);
  });

  it("has at least 15 mutations of the base and 20 of MQTT 5, each of its own", () => {
    const count = MUTATIONS.filter(({ file }) => file.startsWith("v5/")).length;
    expect(count).toBeGreaterThanOrEqual(20);
    expect(MUTATIONS.length - count).toBeGreaterThanOrEqual(15);
    expect(new Set(MUTATIONS.map((mutation) => mutate(mutation))).size).toBe(MUTATIONS.length);
  });

  it("shows the same trace for the same seed, and another one for another", () => {
    const [first, again, other] = [SEED, SEED, SEED + 1].map((seed) => describeSchedule(seed, 100000).text);
    expect(again).toBe(first);
    expect(other.split("\n").slice(1)).not.toEqual(first.split("\n").slice(1));
  });

  it("keeps a trace to the lines that were asked for, its beginning and its end", () => {
    const whole = describeSchedule(SEED, 100000).text.split("\n");
    const short = describeSchedule(SEED, 20).text.split("\n");
    // Beside the trace: the seed, the line that says what is left out, the verdict, and the end of the text.
    expect(whole.length).toBeGreaterThan(24);
    expect(short).toHaveLength(24);
    expect(short.slice(0, 6)).toEqual(whole.slice(0, 6));
    expect(short[6]).toBe(`   ... ${whole.length - 23} lines are left out`);
    expect(short.slice(7)).toEqual(whole.slice(-17));
  });
});

describe("npm run torture", () => {
  it("repeats one schedule and shows its trace", async () => {
    const { status, stdout, stderr } = await torture("--schedules", "1", "--seed", String(SEED));
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    expect(stdout).toBe(describeSchedule(SEED, 80).text);
  }, RUN_MS);

  it("says behind how many schedules each mutation is found, and fails where one is not", async () => {
    const { status, stdout, stderr } = await torture("--mutations", "--schedules", "1", "--seed", String(SEED));
    expect({ status, stderr }).toEqual({ status: 1, stderr: "" });
    const lines = stdout.trimEnd().split("\n");
    const missed = lines.filter((line) => /^ {5}1 {2}NOT FOUND {2}./.test(line)).length;
    const found = lines.filter((line) => /^ {5}1 {2}(?!NOT FOUND)[^:]+: ./.test(line)).length;
    expect(found).toBeGreaterThan(0);
    expect(missed + found).toBe(MUTATIONS.length);
    expect(lines.at(-1)).toBe(`${MUTATIONS.length} mutations from seed ${SEED}: ${missed} were not found`);
  }, RUN_MS);

  it("comes to the same with one worker and with several", async () => {
    const [one, three] = await Promise.all(
      ["1", "3"].map((workers) => torture("--schedules", "60", "--seed", "7", "--workers", workers)),
    );
    const told = /^60 schedules from seed 7: no rule was broken; \d+ messages, \d+ events/;
    expect(one.stdout).toMatch(told);
    expect(told.exec(three.stdout)?.[0]).toBe(told.exec(one.stdout)?.[0]);
    expect(one.stdout).toMatch(/with 1 worker\n$/);
    expect(three.stdout).toMatch(/with 3 workers\n$/);
  }, RUN_MS);

  it.each([
    [["--schedules", "0"], '--schedules must be an integer from 1 to 1000000000, not "0"'],
    [["--schedules", "1e3"], '--schedules must be an integer from 1 to 1000000000, not "1e3"'],
    [["--seed", "-1"], "Option '--seed' argument is ambiguous"],
    [["--seed", "x"], "--seed must be an integer from 0 to "],
    [["--workers", "0"], '--workers must be an integer from 1 to 256, not "0"'],
    [["--lines", "many"], '--lines must be an integer from 1 to 1000000, not "many"'],
    [["--bogus"], "Unknown option '--bogus'"],
    [["more"], "Unexpected argument 'more'"],
  ])("answers %j with one line and exit status 1", async (args, message) => {
    const { status, stdout, stderr } = await torture(...args);
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(/^mcu-mqtt: [^\n]*\n$/);
    expect(stderr).toContain(message);
  }, RUN_MS);

  it("says what there is", async () => {
    const { status, stdout } = await torture("--help");
    expect(status).toBe(0);
    expect(stdout).toContain("npm run torture -- [--schedules N] [--seed S] [--workers W] [--lines L] [--mutations]");
  }, RUN_MS);

  it("uses every core by default, and never more workers than schedules", () => {
    expect(readOptions(["--schedules", "1000"])?.workers).toBe(availableParallelism());
    expect(readOptions(["--schedules", "3", "--workers", "8"])?.workers).toBe(3);
  });
});
