/** The benchmark's targets and its part of README.md: what they are of is there. */
import { existsSync, readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { BLOCK, WORK } from "../bench/summary.js";
import { TARGETS } from "../bench/targets.js";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const README = readFileSync(resolve(ROOT, "README.md"), "utf8");

/** Paths of files below bench, each with the text that names it. */
const named = [
  ...WORK.flatMap(({ title, table, others }) =>
    [`tables/${table}.ts`, ...others.map((other) => `contestants/${other}.ts`)].map((path) => [title, path])),
  ...TARGETS.flatMap(({ text, table, over, under }) =>
    [`tables/${table}.ts`, `contestants/${over.contestant}.ts`, `contestants/${under?.contestant ?? "contestant"}.ts`]
      .map((path) => [text, path])),
];

describe("The benchmark", () => {
  it("has the tables and contestants that its targets and README.md's part are of", () => {
    expect(named.length).toBeGreaterThan(100);
    expect(named.filter(([, path]) => !existsSync(resolve(ROOT, "bench", path)))).toEqual([]);
  });

  it("has one block in README.md, and that has no rows but those that are measured", () => {
    expect(README.split("<!-- bench -->")).toHaveLength(2);
    const block = BLOCK.exec(README)![0];
    const titles = block.split("\n").filter((line) => /^\| (?!-)/.test(line)).slice(1).map((line) => line.split(" | ")[0]);
    expect(titles.filter((title) => !WORK.some((work) => title === `| ${work.title}`))).toEqual([]);
  });

  it("has the files that README.md links to, once it has rows", () => {
    const block = BLOCK.exec(README)![0];
    const links = [...block.matchAll(/\]\((bench\/[^)]+)\)/g)].map(([, path]) => path);
    expect(links.filter((path) => !existsSync(resolve(ROOT, path)))).toEqual([]);
  });
});
