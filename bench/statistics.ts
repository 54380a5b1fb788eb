/**
 * What the samples of a run come to: medians, and ratios within a round, since what disturbs a round disturbs all of
 * it.
 */
import { max, median, min } from "simple-statistics";
import type { TableResult } from "./run.js";

/** Middle and ends of what the rounds gave. */
export interface Spread {
  median: number;
  min: number;
  max: number;
}

/** A cell of a table and one of its figures. */
export interface Place {
  /** Title of the row. */
  row: string;
  contestant: string;
  figure: string;
}

/** The figure of each round; undefined where there is none. */
export function samplesOf(result: TableResult, place: Place): (number | undefined)[] {
  const row = result.table.rows.findIndex((each) => each.title === place.row);
  const contestant = result.table.contestants.indexOf(place.contestant);
  const samples = row < 0 || contestant < 0 ? [] : result.samples[row][contestant];
  return samples.map((figures) => figures?.[place.figure]);
}

export function spreadOf(values: (number | undefined)[]): Spread | undefined {
  const known = values.filter((value) => value !== undefined && Number.isFinite(value)) as number[];
  if (known.length === 0) return undefined;
  return { median: median(known), min: min(known), max: max(known) };
}

/** What a cell came to. */
export const valueOf = (result: TableResult, place: Place): Spread | undefined => spreadOf(samplesOf(result, place));

/** How many times the second goes into the first, round by round. */
export function ratioOf(result: TableResult, over: Place, under: Place): Spread | undefined {
  const dividends = samplesOf(result, over);
  const divisors = samplesOf(result, under);
  return spreadOf(dividends.map((dividend, round) => {
    const divisor = divisors[round];
    return dividend === undefined || divisor === undefined || divisor === 0 ? undefined : dividend / divisor;
  }));
}
