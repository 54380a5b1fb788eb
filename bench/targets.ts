/** What the library is to reach, as figures of the tables and as ratios within a run. */
import { ratioOf, valueOf } from "./statistics.js";
import type { Place } from "./statistics.js";
import type { TableResult } from "./run.js";
import { digitsOf, show, times } from "./text.js";

export interface Target {
  text: string;
  table: string;
  over: Place;
  /** What `over` is divided by, round by round; undefined: it is taken as it is. */
  under?: Place;
  sense: ">=" | "<=";
  limit: number;
  /** Of what is taken as it is. */
  unit?: string;
}

const OURS = "mcu-mqtt";

/** The rival's cost is at least `limit` times ours. */
function cheaper(text: string, table: string, row: string, rival: string, limit: number, figure = "cpuNs"): Target {
  const place = (contestant: string): Place => ({ row, contestant, figure });
  return { text, table, over: place(rival), under: place(OURS), sense: ">=", limit };
}

/** Our cost is at most `limit` times the other's. */
function within(text: string, table: string, row: string, other: string, limit: number, figure = "cpuNs"): Target {
  const place = (contestant: string): Place => ({ row, contestant, figure });
  return { text, table, over: place(OURS), under: place(other), sense: "<=", limit };
}

/** A figure of ours. */
function atMost(text: string, table: string, row: string, figure: string, limit: number, unit: string): Target {
  return { text, table, over: { row, contestant: OURS, figure }, sense: "<=", limit, unit };
}

/** Our cost of a row is at most `limit` times that of another row. */
function steady(text: string, table: string, from: string, to: string, limit: number): Target {
  const place = (row: string): Place => ({ row, contestant: OURS, figure: "cpuNs" });
  return { text, table, over: place(to), under: place(from), sense: "<=", limit };
}

export const TARGETS: Target[] = [
];

export interface Outcome {
  target: Target;
  /** What was measured, as it is read; undefined: it was not. */
  measured: string | undefined;
  verdict: "met" | "missed" | "not run";
}

export function judge(target: Target, results: TableResult[]): Outcome {
  const result = results.find(({ name }) => name === target.table);
  const { over, under, sense, limit } = target;
  const spread = result && (under ? ratioOf(result, over, under) : valueOf(result, over));
  if (spread === undefined) return { target, measured: undefined, verdict: "not run" };
  const measured = under ? times(spread.median) : show(spread.median, target.unit ?? "");
  const isMet = sense === ">=" ? spread.median >= limit : spread.median <= limit;
  return { target, measured, verdict: isMet ? "met" : "missed" };
}

/** The limit as it is read. */
export function limitOf({ under, sense, limit, unit }: Target): string {
  const value = under ? times(limit) : unit ? show(limit, unit) : digitsOf(limit);
  return `${sense === ">=" ? "≥" : "≤"} ${value}`;
}
