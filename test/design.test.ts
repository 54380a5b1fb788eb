/** The tables of DESIGN.md: each statement and each row has its test, where the table says. */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";

const TEST = dirname(fileURLToPath(import.meta.url));
const DESIGN = readFileSync(resolve(TEST, "..", "DESIGN.md"), "utf8");

/** File below test/, without its ending -> its text. */
const sources = new Map(
  readdirSync(TEST, { recursive: true, encoding: "utf8" })
    .filter((path) => path.endsWith(".ts"))
    .map((path) => [path.replace(/(\.test)?\.ts$/, "").replaceAll("\\", "/"), readFileSync(join(TEST, path), "utf8")]),
);

/** Rows of a table whose first cell matches: that cell and the files in the last one. */
function rows(first: RegExp): [name: string, files: string[]][] {
  return DESIGN.split("\n")
    .map((line) => line.split("|").map((cell) => cell.trim()))
    .filter((cells) => first.test(cells[1] ?? ""))
    .map((cells) => [cells[1].replace(/^`|`$/g, ""), cells.at(-2)!.split(", ").filter((file) => file !== "")]);
}

/** Rows of the contract that the titles in a source name: "(contract 1: options, 5: bounds)" names two. */
function contractRows(source: string): string[] {
  return [...source.matchAll(/\(contract ((?:\d: [a-z0-9_-]+(?:, )?)+)\)/g)].flatMap((match) => match[1].split(", "));
}

/** Statements of MQTT 5 that the titles in a source name. */
function statements5(source: string): string[] {
  return source.match(/\[MQTT5-[\d.-]+\]/g) ?? [];
}

const CONTRACT = /^`\d: [a-z0-9_-]+`$/;

describe.each([
  ["statement of MQTT 3.1.1", rows(/^\[MQTT-[\d.-]+\]$/), 70, (source: string) => source.match(/\[MQTT-[\d.-]+\]/g) ?? []],
  ["statement of MQTT 5", rows(/^\[MQTT5-[\d.-]+\]$/), 180, statements5],
  ["row of the NodeMCU contract", rows(CONTRACT), 60, contractRows],
])("Each %s", (_what, table, least, namesIn) => {
  it("stands in the table once, with at least one file", () => {
    expect(table.length).toBeGreaterThanOrEqual(least);
    expect(new Set(table.map(([name]) => name)).size).toBe(table.length);
    expect(table.filter(([, files]) => files.length === 0)).toEqual([]);
  });

  it("is named by a test in each file that the table gives", () => {
    const missing = table.flatMap(([name, files]) =>
      files.filter((file) => !namesIn(sources.get(file) ?? "").includes(name)).map((file) => `${name} in ${file}`));
    expect(missing).toEqual([]);
  });
});

it("Every statement of MQTT 5 that a test names is in the table", () => {
  const table = rows(/^\[MQTT5-[\d.-]+\]$/).map(([name]) => name);
  const named = [...sources.values()].flatMap(statements5);
  expect(named.filter((name) => !table.includes(name))).toEqual([]);
});

it("The code for each statement of MQTT 5 is where its table says", () => {
  const cells = DESIGN.split("\n").filter((line) => line.startsWith("| [MQTT5-")).map((line) => line.split(" | "));
  const missing = cells.flatMap(([name, , where]) => where.split(", ")
    .filter((file) => !existsSync(resolve(TEST, "..", file.startsWith("hal/") ? "" : "src", `${file}.ts`)))
    .map((file) => `${name} in ${file}`));
  expect(missing).toEqual([]);
});

it("Every row of the contract that a test names is in the table", () => {
  const table = rows(CONTRACT).map(([name]) => name);
  const named = [...sources.values()].flatMap(contractRows);
  expect(named.filter((name) => !table.includes(name))).toEqual([]);
});

it("Each row on a hostile broker is a test, and the other way round, with the same outcome at the same time", () => {
  const section = /^## Hostile broker$(.*?)^## /ms.exec(DESIGN)![1];
  const table = section.split("\n")
    .filter((line) => line.startsWith("| "))
    .map((line) => line.split("|").slice(1, 4).map((cell) => cell.trim()));
  const tests = [...sources.get("hostile")!.matchAll(/^row\("([^"]+)", "([^"]+)", "([^"]*)", /gm)];
  expect(tests.length).toBeGreaterThan(90);
  expect(table.slice(1)).toEqual(tests.map((match) => match.slice(1)));
  expect(sources.get("hostile")!.match(/^ *row\b/gm)).toHaveLength(tests.length);
});

describe("Each feature of emqtt", () => {
  const section = /^## emqtt, feature by feature$(.*?)^## /ms.exec(DESIGN)![1];
  const table = section.split("\n")
    .map((line) => /^\| `(emqtt: [^`]+)` \| .* \| (\S+) "([^|]+)" \|$/.exec(line) ?? line)
    .filter((row) => typeof row !== "string" || row.startsWith("| `"));

  it("stands in the table once, with the test that shows it", () => {
    expect(table.filter((row) => typeof row === "string")).toEqual([]);
    expect(table.length).toBeGreaterThan(45);
    expect(new Set(table.map((row) => row[1])).size).toBe(table.length);
  });

  it("has a test of that title", () => {
    const missing = table.filter((row) => !(sources.get(row[2]) ?? "").includes(row[3]));
    expect(missing.map((row) => row[0])).toEqual([]);
  });
});
