/** What a run says at its end: what was found, how to repeat it, and what happened there. */
import { FEATURES } from "./features.js";
import type { Finding, Tally } from "./hunt.js";
import type { Mutation } from "./mutations.js";
import { runSchedule } from "./schedule.js";

/** Kinds of findings that are shown with a trace. */
const MOST_KINDS = 5;

/** The command that repeats a schedule. */
export function commandFor(seed: number): string {
  return `npm run torture -- --schedules 1 --seed ${seed}`;
}

/** One schedule: its trace, and the rule that it broke. */
export function describeSchedule(seed: number, lines: number): { text: string; isBroken: boolean } {
  const { rule, device, trace } = runSchedule(seed, true);
  const text = trace?.text(rule === undefined ? -1 : device, lines) ?? "";
  const end = rule === undefined ? "no rule was broken" : `BROKEN: ${rule}`;
  return { text: `seed ${seed}\n${text}\n${end}\n`, isBroken: rule !== undefined };
}

/** The findings, those of one kind together. */
export function describeFindings(findings: readonly Finding[], lines: number): string {
  const kinds = new Map<string, Finding[]>();
  for (const finding of findings) {
    const kind = finding.rule.replace(/[\d.]+/g, "#");
    kinds.set(kind, [...(kinds.get(kind) ?? []), finding]);
  }
  let text = "";
  for (const [first, ...others] of [...kinds.values()].slice(0, MOST_KINDS)) {
    text += `${describeSchedule(first.seed, lines).text}again: ${commandFor(first.seed)}\n`;
    if (others.length > 0) text += `the same in ${others.length} others, seed ${others[0].seed} for one\n`;
    text += "\n";
  }
  if (kinds.size > MOST_KINDS) text += `and ${kinds.size - MOST_KINDS} other kinds\n`;
  return text;
}

export function describeTally(tally: Tally, seed: number, workers: number, tookMs: number): string {
  const { schedules, messages, events, seconds, findings } = tally;
  const rate = Math.round((schedules / tookMs) * 1000);
  const found = findings.length === 0 ? "no rule was broken" : `${findings.length} broke a rule`;
  return `${schedules} schedules from seed ${seed}: ${found}; ${messages} messages, ${events} events, ` +
    `${Math.round(seconds / 3600)} hours of virtual time; ${(tookMs / 1000).toFixed(1)} s, ` +
    `${rate} schedules a second with ${workers} worker${workers === 1 ? "" : "s"}\n`;
}

/** How often what is to happen now and then did. */
export function describeCounts({ counts }: Tally): string {
  const names = FEATURES.flatMap(({ exercises }) => exercises);
  return names.map((name) => `${String(counts[name] ?? 0).padStart(8)}  ${name}\n`).join("");
}

/** Behind how many schedules a mutation was found, and by which rule. */
export function describeMutation({ name }: Mutation, schedules: number, finding: Finding | undefined): string {
  const count = String(schedules).padStart(6);
  if (finding === undefined) return `${count}  NOT FOUND  ${name}\n`;
  return `${count}  ${name}: ${finding.rule.slice(0, 100)}\n`;
}
