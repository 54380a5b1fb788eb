/**
 * `npm run fuzz -- TARGET`: looks for inputs that break a target, and adds to its corpus what reached something new.
 *
 *     --seconds N   for so long; without it until it is interrupted
 *     --runs N      so many inputs instead, the kept ones included; the corpus stays as it is
 *     --seed N      begins the random numbers; without it one is chosen, and shown
 *     --input HEX   runs this input alone, as a finding is shown
 */
import { parseArgs } from "node:util";
import { Fuzzer } from "./fuzzer.js";
import { loadInstrumented } from "./instrument.js";
import { fromHex, readCorpus, targetNames, writeCorpus } from "./targets.js";

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seconds: { type: "string" },
    runs: { type: "string" },
    seed: { type: "string" },
    input: { type: "string" },
  },
});
const [name] = positionals;
if (positionals.length !== 1 || !targetNames().includes(name)) {
  const targets = targetNames().join("|");
  throw new Error(`usage: npm run fuzz -- ${targets} [--seconds N | --runs N] [--seed N] [--input HEX]`);
}
const target = await loadInstrumented(`targets/${name}`);

if (values.input !== undefined) {
  target.run(fromHex(values.input));
  console.log("nothing is wrong with it");
} else {
  fuzz(
    Number(values.seed ?? 1 + (Date.now() % 1000000)),
    Number(values.seconds ?? Infinity),
    Number(values.runs ?? Infinity),
  );
}

function fuzz(seed: number, seconds: number, runs: number): void {
  console.log(`${name}: seed ${seed}`);
  const fuzzer = new Fuzzer(target, seed);
  const startMs = Date.now();
  let saidMs = startMs;
  let isInterrupted = false;
  process.once("SIGINT", () => (isInterrupted = true));
  const say = (): void => {
    const passed = (Date.now() - startMs) / 1000;
    console.log(`${passed.toFixed(0)} s, ${fuzzer.runs} runs, ${fuzzer.kept.length} inputs kept`);
  };
  const finding = fuzzer.begin([...target.seeds(), ...readCorpus(name)]) ?? fuzzer.search(() => {
    const nowMs = Date.now();
    if (nowMs - saidMs >= 10000) {
      saidMs = nowMs;
      say();
    }
    return !isInterrupted && nowMs - startMs < seconds * 1000 && fuzzer.runs < runs;
  });
  say();
  for (const { file, statements, branches, missing } of target.coverage.report()) {
    const lines = missing.length > 0 ? `, not reached: line ${missing.join(", ")}` : "";
    console.log(`  ${file}: statements ${statements.join("/")}, branches ${branches.join("/")}${lines}`);
  }
  if (runs === Infinity) {
    const corpus = fuzzer.minimised(fuzzer.kept);
    writeCorpus(name, corpus);
    console.log(`${corpus.length} inputs in the corpus`);
  }
  if (finding === undefined) return;
  console.error(finding.error);
  const input = Buffer.from(finding.input).toString("hex");
  console.error(`after ${finding.runs} runs; again: npm run fuzz -- ${name} --input ${input}`);
  process.exitCode = 1;
}
