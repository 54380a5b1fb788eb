/** `npm run bench`: what mcu-mqtt costs in Node, beside its rivals and the limit. */
import { parseArgs } from "node:util";
import { build, run } from "./run.js";
import { report } from "./report.js";
import { updateReadme } from "./summary.js";

const HELP = `\
Measures mcu-mqtt beside other MQTT clients and beside what the machine allows, and writes a report.

  npm run bench [-- [options]]

--quick         fewer rows, shorter samples, fewer rounds: a first look
--only TABLE    this table alone; may be repeated
--rounds N      samples of each cell; default: 5, with --quick 2
--out FOLDER    where the report goes; default: bench/out
--update        everything, to be kept: in bench/results and, in short, in README.md
--help          show this
`;

const { values } = parseArgs({
  options: {
    quick: { type: "boolean", default: false },
    only: { type: "string", multiple: true, default: [] },
    rounds: { type: "string" },
    out: { type: "string" },
    update: { type: "boolean", default: false },
    help: { type: "boolean", default: false },
  },
});

if (values.help) {
  console.log(HELP);
} else {
  if (values.update && (values.quick || values.only.length > 0 || values.out !== undefined)) {
    throw new Error("--update is of everything, and has a folder: it goes with none of --quick, --only and --out");
  }
  const rounds = Number(values.rounds ?? (values.quick ? 2 : 5));
  if (!Number.isInteger(rounds) || rounds < 1) throw new RangeError(`--rounds must be 1 or more, not ${values.rounds}`);
  const { tables, contestants } = await build();
  const unknown = values.only.find((name) => !tables.has(name));
  if (unknown !== undefined) throw new Error(`--only: one of ${[...tables.keys()].join(", ")}, not ${unknown}`);
  const results = await run(tables, {
    rounds,
    isQuick: values.quick,
    only: values.only,
    onProgress: (text) => process.stderr.write(`${text}\n`),
  });
  const given = process.argv.slice(2);
  const command = ["npm run bench", ...(given.length > 0 ? ["--", ...given] : [])].join(" ");
  report(results, { folder: values.out ?? (values.update ? "bench/results" : "bench/out"), command, contestants });
  if (values.update) updateReadme(results, command);
}
