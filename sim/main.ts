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

let isFinished = false;

// Whoever reads may stop reading, as `head` does.
process.stdout.on("error", () => {
  isFinished = true;
  process.exit(1);
});
process.on("exit", () => {
  if (isFinished) return;
  process.exitCode = 1;
  process.stderr.write("mcu-mqtt: the program ended the process: it must not call process.exit()\n");
});

main().then(
  (text) => end(process.stdout, text, 0),
  (error: unknown) => {
    const text = error instanceof Failure ? error.message : `this is a mistake of the simulation: ${describe(error)}`;
    end(process.stderr, `mcu-mqtt: ${text}\n`, 1);
  },
);

/** Writes the last text and ends, whatever the program still does. */
function end(stream: NodeJS.WriteStream, text: string, status: number): void {
  stream.write(text, () => {
    isFinished = true;
    process.exit(status);
  });
}

function describe(error: unknown): string {
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}
