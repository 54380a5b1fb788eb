/** Many schedules in a row, and what was found. */
import type { Result } from "./schedule.js";
import { runSchedule } from "./schedule.js";

export { runSchedule };

/** A schedule that broke a rule. */
export interface Finding {
  seed: number;
  rule: string;
}

/** What many schedules came to. */
export interface Tally {
  schedules: number;
  events: number;
  messages: number;
  /** Virtual time, seconds. */
  seconds: number;
  findings: Finding[];
  /** How often things happened that are to happen now and then. */
  counts: Record<string, number>;
}

export function emptyTally(): Tally {
  return { schedules: 0, events: 0, messages: 0, seconds: 0, findings: [], counts: {} };
}

/** Adds what one schedule, or many, came to. */
export function addTally(sum: Tally, more: Tally): void {
  sum.schedules += more.schedules;
  sum.events += more.events;
  sum.messages += more.messages;
  sum.seconds += more.seconds;
  sum.findings.push(...more.findings);
  for (const [what, count] of Object.entries(more.counts)) addCount(sum, what, count);
}

function addCount(tally: Tally, what: string, count: number): void {
  tally.counts[what] = (tally.counts[what] ?? 0) + count;
}

/**
 * Runs schedules with the seeds `seed`, `seed + step` and so on.
 *
 * @param most stops when so many have broken a rule
 */
export function hunt(seed: number, step: number, count: number, most: number): Tally {
  const tally = emptyTally();
  for (let i = 0; i < count && tally.findings.length < most; i++) {
    const result: Result = runSchedule(seed + i * step, false);
    tally.schedules++;
    tally.events += result.events;
    tally.messages += result.messages;
    for (const [what, times] of result.counts) addCount(tally, what, times);
    tally.seconds += result.lengthMs / 1000;
    if (result.rule !== undefined) tally.findings.push({ seed: result.seed, rule: result.rule });
  }
  return tally;
}
