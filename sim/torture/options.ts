/** The command line of the fault simulator, checked before anything is started. */
import { availableParallelism } from "node:os";
import { parseArgs } from "node:util";
import { Failure, messageOf } from "../failure.js";

export interface Options {
  schedules: number;
  /** Of the first schedule; the next one's is one more. */
  seed: number;
  workers: number;
  /** Most lines of a trace. */
  lines: number;
  /** The library is not tried, but the simulator: by the deliberate defects that it has to find. */
  mutations: boolean;
  /** Says how often the optional parts of the library were exercised. */
  counts: boolean;
}

const DEFAULT_SCHEDULES = 20000;
/** The same where a mutation is to be found. */
const DEFAULT_SCHEDULES_MUTATED = 3000;
const DEFAULT_LINES = 80;
const SEE_HELP = '; "npm run torture -- --help" lists what there is';

export const HELP = `\
Tries to break the delivery of the client: seeded schedules of bad networks, brokers, power failures and applications,
in virtual time. Every schedule has a seed, and the seed repeats it.

  npm run torture -- [--schedules N] [--seed S] [--workers W] [--lines L] [--mutations]
                     [--counts]

--schedules N     how many; default: ${DEFAULT_SCHEDULES}. With 1 its trace is shown
--seed S          seed of the first, the next one has S + 1; default: taken from the clock, and shown
--workers W       processes that share them; default: one for each core
--lines L         most lines of a trace; default: ${DEFAULT_LINES}
--mutations       try the simulator instead: says behind how many schedules, of N at most (default:
                  ${DEFAULT_SCHEDULES_MUTATED}), it finds each of the defects in sim/torture/mutations.ts
--counts          say how often the optional parts of the library were exercised
--help            show this

Exit status: 0 if no rule was broken; 1 otherwise, each kind with its seed and the trace of one schedule.
`;

const OPTIONS = {
  schedules: { type: "string" },
  seed: { type: "string" },
  workers: { type: "string" },
  lines: { type: "string" },
  mutations: { type: "boolean" },
  counts: { type: "boolean" },
  help: { type: "boolean", short: "h" },
} as const;

/** Reads the arguments; undefined when help is wanted. */
export function readOptions(args: string[]): Options | undefined {
  const { values } = parse(args);
  if (values.help === true) return undefined;
  const mutations = values.mutations === true;
  const byDefault = mutations ? DEFAULT_SCHEDULES_MUTATED : DEFAULT_SCHEDULES;
  const schedules = readInteger("--schedules", values.schedules, byDefault, 1, 1000000000);
  return {
    schedules,
    seed: readInteger("--seed", values.seed, Date.now(), 0, Number.MAX_SAFE_INTEGER - schedules),
    workers: Math.min(schedules, readInteger("--workers", values.workers, availableParallelism(), 1, 256)),
    lines: readInteger("--lines", values.lines, DEFAULT_LINES, 1, 1000000),
    mutations,
    counts: values.counts === true,
  };
}

function parse(args: string[]): ReturnType<typeof parseArgs<{ options: typeof OPTIONS }>> {
  try {
    return parseArgs({ args, options: OPTIONS });
  } catch (error) {
    // Node says what is wrong in its first sentence, and then explains its syntax.
    throw new Failure(messageOf(error).split(". ")[0].replace(/\.$/, "") + SEE_HELP);
  }
}

function readInteger(name: string, value: string | undefined, byDefault: number, min: number, max: number): number {
  if (value === undefined) return byDefault;
  const number = Number(value);
  if (/^\d+$/.test(value) && number >= min && number <= max) return number;
  throw new Failure(`${name} must be an integer from ${min} to ${max}, not "${value}"${SEE_HELP}`);
}
