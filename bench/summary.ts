/** The report in short: one row for each piece of work, how many times our cost the others take. For README.md. */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { root } from "../rollup.shared.js";
import { chart } from "./chart.js";
import { describe, machine } from "./machine.js";
import type { TableResult } from "./run.js";
import { ratioOf, valueOf } from "./statistics.js";
import { markdown, show, times } from "./text.js";

/** A piece of work. */
export interface Work {
  title: string;
  table: string;
  row: string;
  /** Contestants, in the order of `COLUMNS`. */
  others: string[];
}

/** The names of the others. Those of the codec have one too. */
const COLUMNS = ["MQTT.js", "u8-mqtt", "the limit"];

const codec = ["mqtt-packet", "u8-mqtt-packet", "limit"];
const client = ["mqtt-js", "u8-mqtt", "raw-socket"];

export const WORK: Work[] = [
  { title: "encode PUBLISH, 64 B", table: "encode", row: "QoS 0, 64 B", others: codec },
  { title: "decode it: ranges", table: "decode", row: "ranges, QoS 0, 64 B", others: codec },
  { title: "decode it: messages", table: "decode", row: "messages, QoS 0, 64 B", others: codec },
  ...["publish", "receive"].flatMap((table) =>
    ["QoS 0", "QoS 1, window 20", "QoS 2, window 20"].map((row) =>
      ({ title: `${table}, ${row}`, table, row, others: client }))),
  { title: "round trip, on the clock", table: "round-trip", row: "QoS 0", others: client },
  { title: "connect", table: "connects", row: "1,000 in a row, a new client each", others: client },
  { title: "idle client: heap", table: "idle", row: "1,000 clients", others: client },
  { title: "client for Node: code, minified", table: "size", row: "client for Node", others: client },
];

const OURS = "mcu-mqtt";
const README = resolve(root, "README.md");
/** The part of README.md that is written here. */
export const BLOCK = /(<!-- bench -->)[^]*?(<!-- \/bench -->)/;

interface Line {
  title: string;
  ours: string;
  ratios: (number | undefined)[];
}

/** The work that was measured. */
function lines(results: TableResult[]): Line[] {
  return WORK.flatMap(({ title, table, row, others }) => {
    const result = results.find(({ name }) => name === table);
    if (result === undefined) return [];
    const { figure, unit } = result.table.columns[0];
    const ours = { row, contestant: OURS, figure };
    const value = valueOf(result, ours);
    if (value === undefined) return [];
    const ratios = others.map((contestant) => ratioOf(result, { row, contestant, figure }, ours)?.median);
    return [{ title, ours: show(value.median, unit), ratios }];
  });
}

/** A chart of the ratios; undefined when nothing of it was measured. */
export function summaryChart(results: TableResult[]): string | undefined {
  const all = lines(results);
  return chart({
    title: "How many times the cost of mcu-mqtt",
    axis: "times",
    rows: all.map(({ title }) => title),
    series: COLUMNS.map((name, i) => ({ name, values: all.map(({ ratios }) => ratios[i]) })),
    ours: 1,
    show: times,
  });
}

/** The figures of ours, and how many times as much the others take. */
export function summaryTable(results: TableResult[]): string {
  const rows = lines(results).map(({ title, ours, ratios }) => [
    title,
    ours,
    ...ratios.map((ratio) => (ratio === undefined ? "" : times(ratio))),
  ]);
  return markdown(["times the cost of mcu-mqtt", OURS, ...COLUMNS], rows);
}

/** Writes the block of README.md. */
export function updateReadme(results: TableResult[], command: string): void {
  const block = `\
${summaryTable(results)}

![How many times the cost of mcu-mqtt](bench/results/summary.svg)

${describe(machine())} \`${command}\``;
  const readme = readFileSync(README, "utf8");
  const updated = readme.replace(BLOCK, (_all, before: string, after: string) => `${before}\n${block}\n${after}`);
  writeFileSync(README, updated);
}
