/** The command line `mcu-mqtt pub | sub | connect`: from the arguments to the exit code. */
import { readFileSync } from "node:fs";
import { readArguments } from "./arguments.js";
import type { CommandName } from "./arguments.js";
import { connect } from "./connect.js";
import { EXIT_FAILURE, Failure, messageOf, quote } from "./failure.js";
import { HELP, USAGE } from "./help.js";
import { Life } from "./life.js";
import { readConnection, readUrlOf } from "./options.js";
import type { ConnectionOptions } from "./options.js";
import { Messages, Status } from "./output.js";
import { preparePayload, pub, readPubOptions } from "./pub.js";
import { Session } from "./session.js";
import { readSubOptions, sub } from "./sub.js";

/** How long what was written may take to leave when a command was told to end. */
const GRACE_MS = 500;

/** Runs the command of `args`, and sets the exit code of the process. */
export async function run(args: string[]): Promise<void> {
  process.on("uncaughtException", (error) => {
    new Status(true).complain(`something is wrong in this program: ${messageOf(error)}`);
    process.exit(EXIT_FAILURE);
  });
  try {
    await start(args);
  } catch (error) {
    const isFailure = error instanceof Failure;
    process.exitCode = isFailure ? error.exitCode : EXIT_FAILURE;
    const line = isFailure ? error.message : `something is wrong in this program: ${messageOf(error)}`;
    if (line !== "") new Status(true).complain(line);
  }
}

async function start([name, ...args]: (string | undefined)[]): Promise<void> {
  if (name === "--help" || name === "-h") {
    print(USAGE);
  } else if (name === "--version") {
    print(`mcu-mqtt ${readVersion()}\n`);
  } else if (name === undefined) {
    throw new Failure('a command is missing: pub, sub or connect; "mcu-mqtt --help" says more');
  } else if (!Object.hasOwn(HELP, name)) {
    throw new Failure(`the command must be pub, sub or connect, not ${quote(name)}`);
  } else {
    await startCommand(name as CommandName, args as string[]);
  }
}

/** Writes text that was asked for. Who stops reading has what he wanted. */
function print(text: string): void {
  process.stdout.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE" || error.code === "ECONNRESET") process.exit(0);
    new Status(true).complain(`cannot write to standard output (${messageOf(error)})`);
    process.exit(EXIT_FAILURE);
  });
  process.stdout.write(text);
}

function readVersion(): string {
  const text = readFileSync(new URL("../package.json", import.meta.url), "utf8");
  return (JSON.parse(text) as { version: string }).version;
}

async function startCommand(name: CommandName, args: string[]): Promise<void> {
  const values = readArguments(name, args);
  if (values.help === true) {
    print(HELP[name]);
    return;
  }
  const url = readUrlOf(values);
  // All of them are read before anything is done.
  const pubOptions = name === "pub" ? readPubOptions(values, url) : undefined;
  const subOptions = name === "sub" ? readSubOptions(values, url) : undefined;
  const connection = readConnection(values, url);
  if (name === "connect" && url?.webSocket === false && url.path !== "") {
    throw new Failure("--url: connect has no use for a topic: leave it out");
  }

  const status = new Status(connection.isQuiet);
  const life = new Life(connection.timeoutSeconds);
  try {
    if (pubOptions !== undefined) {
      const payload = await preparePayload(pubOptions, life);
      const work = (session: Session): Promise<void> => pub(session, pubOptions, payload, life, status);
      await withSession(connection, life, status, false, work);
    } else if (subOptions !== undefined) {
      const messages = new Messages(life);
      const work = (session: Session): Promise<void> => sub(session, subOptions, life, status, messages);
      await withSession(connection, life, status, true, work, true);
    } else {
      await withSession(connection, life, status, false, (session) => connect(session, life, status), true);
    }
  } finally {
    life.dispose();
    process.stdin.destroy();
    // Who has been told to end does not wait for a reader, nor for a peer, that takes nothing.
    if (life.signal.aborted) setTimeout(() => process.exit(), GRACE_MS).unref();
  }
}

/** Connects, works, and disconnects in good order whatever came of it. */
async function withSession(
  options: ConnectionOptions,
  life: Life,
  status: Status,
  reads: boolean,
  work: (session: Session) => Promise<void>,
  endsBySignal = false,
): Promise<void> {
  const session = new Session(options, status, reads);
  try {
    await life.until(session.connect());
    if (endsBySignal) life.exitCodeOfSignal = 0;
    await work(session);
  } finally {
    await session.end();
  }
}
