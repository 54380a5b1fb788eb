/** Writes what was measured: Markdown, raw figures as JSON, and a chart for each table. */
import { mkdirSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { chart } from "./chart.js";
import type { Contestant } from "./contestants/contestant.js";
import { describe, machine } from "./machine.js";
import type { TableResult } from "./run.js";
import { ratioOf, valueOf } from "./statistics.js";
import type { Place } from "./statistics.js";
import { summaryChart, summaryTable } from "./summary.js";
import type { Column, Row } from "./tables/table.js";
import { TARGETS, judge, limitOf } from "./targets.js";
import { digitsOf, headOf, markdown, show, times } from "./text.js";

export interface ReportOptions {
  folder: string;
  /** What was run, as one types it. */
  command: string;
  contestants: Map<string, Contestant>;
}

function targetTable(results: TableResult[]): string {
  const rows = TARGETS.map((target) => judge(target, results)).map(({ target, measured, verdict }) => [
    target.text,
    target.table,
    limitOf(target),
    measured ?? "",
    verdict === "missed" ? "**missed**" : verdict,
  ]);
  return markdown(["target", "table", "limit", "measured", ""], rows);
}

/** What a cell came to, and how it compares. */
function cellOf(result: TableResult, { figure, unit }: Column, row: Row, contestant: string): string {
  const ours = result.table.contestants[0];
  const place: Place = { row: row.title, contestant, figure };
  const value = valueOf(result, place);
  if (value === undefined) return "";
  const isBase = row.base === undefined ? contestant === ours : row.base === row.title;
  const base: Place = row.base === undefined ? { ...place, contestant: ours } : { ...place, row: row.base };
  const ratio = isBase ? undefined : ratioOf(result, place, base);
  const shown = show(value.median, unit);
  if (ratio === undefined) return shown;
  const ends = ratio.min === ratio.max ? "" : ` (${digitsOf(ratio.min)}..${digitsOf(ratio.max)})`;
  return `${shown}: **${times(ratio.median)}**${ends}`;
}

/** How the ratios of a table are to be read. */
function legendOf({ table }: TableResult, ours: string): string {
  const bases = new Set(table.rows.map(({ base }) => base));
  const rest = "the median of the rounds and, in brackets, the smallest and the largest.";
  return bases.has(undefined)
    ? `Bold: how many times the cost of ${ours} (theirs / ours; above 1, ${ours} is cheaper); ${rest}`
    : `Bold: how many times the cost of the row without, "${[...bases].join('" or "')}", in the same column; ${rest}`;
}

function section(result: TableResult, contestants: Map<string, Contestant>, hasChart: boolean): string {
  const { name, table } = result;
  const nameOf = (id: string): string => contestants.get(id)?.name ?? id;
  const [main, ...others] = table.columns;
  const names = table.contestants.map(nameOf);
  const rows = table.rows.map((row) => [
    row.title,
    ...table.contestants.map((contestant) => cellOf(result, main, row, contestant)),
  ]);
  const further = table.rows.flatMap(({ title }) => others.flatMap(({ figure, title: what, unit }) => {
    const cells = table.contestants.map((contestant) => {
      const value = valueOf(result, { row: title, contestant, figure });
      return value === undefined ? "" : show(value.median, unit);
    });
    return cells.every((cell) => cell === "") ? [] : [[`${title}: ${headOf(what, unit)}`, ...cells]];
  }));
  return [
    `## ${table.title}`,
    table.text,
    markdown([headOf(main.title, main.unit), ...names], rows),
    legendOf(result, names[0]),
    ...(hasChart ? [`![${table.title}](${name}.svg)`] : []),
    ...(further.length > 0 ? [markdown(["also measured, medians", ...names], further)] : []),
  ].join("\n\n");
}

/** What each contestant was given. */
function notes(results: TableResult[], contestants: Map<string, Contestant>): string {
  const measured = new Set(results.flatMap(({ table }) => table.contestants));
  return [...contestants]
    .filter(([id, { given }]) => measured.has(id) && given !== "")
    .map(([, { name, given }]) => `- ${name}: ${given}`)
    .join("\n");
}

function chartOf({ table, ...rest }: TableResult, contestants: Map<string, Contestant>): string | undefined {
  const { figure, title, unit } = table.columns[0];
  return chart({
    title: table.title,
    axis: headOf(title, unit),
    rows: table.rows.map((row) => row.title),
    series: table.contestants.map((contestant) => ({
      name: contestants.get(contestant)?.name ?? contestant,
      values: table.rows.map((row) =>
        valueOf({ table, ...rest }, { row: row.title, contestant, figure })?.median),
    })),
    show: (value) => show(value, unit),
  });
}

/** Every sample, for who wants to do other sums. */
function figures(results: TableResult[], { command, contestants }: ReportOptions): object {
  return {
    command,
    machine: machine(),
    contestants: Object.fromEntries([...contestants].map(([id, { name, given }]) => [id, { name, given }])),
    tables: results.map(({ name, table, samples }) => ({
      name,
      title: table.title,
      columns: table.columns,
      contestants: table.contestants,
      rows: table.rows.map(({ title }, row) => ({ title, samples: samples[row] })),
    })),
  };
}

/** Writes the files, and shows what is in the first. */
export function report(results: TableResult[], options: ReportOptions): void {
  const { folder, command, contestants } = options;
  const write = (name: string, text: string): void => {
    writeFileSync(resolve(folder, name), text);
    written.push(name);
  };
  const written: string[] = [];
  mkdirSync(folder, { recursive: true });
  const shown = results.filter(({ table }) => table.rows.length > 0);
  const sections = shown.map((result) => {
    const svg = chartOf(result, contestants);
    if (svg !== undefined) write(`${result.name}.svg`, svg);
    return section(result, contestants, svg !== undefined);
  });
  const summary = summaryChart(results);
  if (summary !== undefined) write("summary.svg", summary);
  const text = [
    "# mcu-mqtt beside other clients",
    `${describe(machine())} Made by \`${command}\`; [figures.json](figures.json) has every sample.`,
    "## Target against measured",
    targetTable(results),
    ...(summary === undefined ? [] : ["## In short", summaryTable(results), "![In short](summary.svg)"]),
    ...sections,
    "## What contestants were given",
    notes(shown, contestants),
  ].join("\n\n");
  write("report.md", `${text}\n`);
  write("figures.json", `${JSON.stringify(figures(results, options))}\n`);
  console.log(text);
  console.log(`\nIn ${folder}: ${written.sort().join(", ")}`);
}
