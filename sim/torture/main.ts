/** `npm run torture`: shares the schedules among processes. Arguments in, exit status out. */
import { fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { Failure } from "../failure.js";
import type { Tally } from "./hunt.js";
import { addTally, emptyTally } from "./hunt.js";
import { MUTATIONS } from "./mutations.js";
import type { Options } from "./options.js";
import { HELP, readOptions } from "./options.js";
import { describeCounts, describeFindings, describeMutation, describeSchedule, describeTally } from "./report.js";

/** Each worker stops when it has found so much. */
const MOST_FINDINGS = 50;

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  if (options.mutations) return tryMutations(options);
  if (options.schedules === 1) {
    const { text, isBroken } = describeSchedule(options.seed, options.lines);
    process.stdout.write(text);
    return isBroken ? 1 : 0;
  }
  const startMs = Date.now();
  const tally = emptyTally();
  const shares: Promise<Tally>[] = [];
  for (let i = 0; i < options.workers; i++) shares.push(share(options, i));
  for (const part of await Promise.all(shares)) addTally(tally, part);
  tally.findings.sort((a, b) => a.seed - b.seed);
  process.stdout.write(describeFindings(tally.findings, options.lines));
  if (options.counts) process.stdout.write(describeCounts(tally));
  process.stdout.write(describeTally(tally, options.seed, options.workers, Date.now() - startMs));
  return tally.findings.length > 0 ? 1 : 0;
}

/** Says of each mutation how it was found; 1 if one was not. */
async function tryMutations({ seed, schedules }: Options): Promise<number> {
  const { huntMutant } = await import("./mutant.js"); // a bundler, which nothing else needs
  let missed = 0;
  for (const mutation of MUTATIONS) {
    const { schedules: needed, finding } = await huntMutant(mutation, seed, schedules);
    process.stdout.write(describeMutation(mutation, needed, finding));
    if (finding === undefined) missed++;
  }
  process.stdout.write(`${MUTATIONS.length} mutations from seed ${seed}: ${missed} were not found\n`);
  return missed > 0 ? 1 : 0;
}

/** What the worker `index` came to, which has every seed that is `index` above a multiple of the workers' count. */
function share({ schedules, seed, workers }: Options, index: number): Promise<Tally> {
  const count = Math.floor((schedules - index - 1) / workers) + 1;
  const args = [seed + index, workers, count, MOST_FINDINGS].map(String);
  return new Promise((resolve, reject) => {
    const worker = fork(fileURLToPath(new URL("worker.ts", import.meta.url)), args);
    let tally: Tally | undefined;
    worker.on("message", (message) => {
      tally = message as Tally;
    });
    worker.on("error", reject);
    worker.on("exit", (status) => {
      if (tally === undefined) reject(new Failure(`worker ${index} ended with status ${String(status)}`));
      else resolve(tally);
    });
  });
}

main().then(
  (status) => {
    process.exitCode = status;
  },
  (error: unknown) => {
    process.exitCode = 1;
    if (!(error instanceof Failure)) throw error;
    process.stderr.write(`mcu-mqtt: ${error.message}\n`);
  },
);
