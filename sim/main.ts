/** `npm start`: runs a program as a simulated device. Arguments in, exit status out. */
import { Failure } from "./failure.js";
import { Log } from "./log.js";
import { HELP, readOptions } from "./options.js";

/** Shows the run, and returns what is to be written last. */
async function main(): Promise<string> {
  // npm changes the current directory to the package's, and says here where it was called.
  const folder = process.env["npm_lifecycle_event"] === "start" ? process.env["INIT_CWD"] : undefined;
  const options = readOptions(process.argv.slice(2), folder ?? process.cwd());
  if (options === undefined) return HELP;
  const log = new Log((text) => {
    if (!options.quiet) process.stdout.write(text);
  });
  const { simulate } = await import("./scenario.js"); // what is wrong with the arguments is said without delay
  const summary = await simulate(options, log);
  return options.quiet ? `${summary}\n` : `\n${summary}\n`;
}

// Whoever reads may stop reading, as `head` does.
process.stdout.on("error", () => process.exit(1));

main().then(
  (text) => process.stdout.write(text, () => process.exit(0)),
  (error: unknown) => {
    const text = error instanceof Failure ? error.message : `this is a mistake of the simulation: ${describe(error)}`;
    process.stderr.write(`mcu-mqtt: ${text}\n`, () => process.exit(1));
  },
);

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
