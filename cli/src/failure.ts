/** Why a command ends before its work is done, and what it says and answers then. */
import { isNativeError } from "node:util/types";

/** The exit code for a wrong command line, a lost connection, and whatever else went wrong. */
export const EXIT_FAILURE = 1;
/** The exit code when the time of `--timeout` is over, as mosquitto's. */
export const EXIT_TIMEOUT = 27;

/** A command ends early. */
export class Failure extends Error {
  readonly exitCode: number;

  /**
   * @param message one line: what failed, and what to do; empty when there is nothing to complain about. Never a secret
   */
  constructor(message: string, exitCode: number = EXIT_FAILURE) {
    super(message);
    this.exitCode = exitCode;
  }
}

/** The message alone of what was thrown, in one line; of several addresses that were tried, the first one's. */
export function messageOf(error: unknown): string {
  const first: unknown = isNativeError(error) && "errors" in error ? (error.errors as unknown[])[0] : error;
  const line = printable((isNativeError(first) ? first.message : String(first)).trim().replace(/\s+/g, " "));
  return line.length > 300 ? `${line.slice(0, 300)}...` : line;
}

/** A value of the command line in an error, quoted and not too long. Not for secrets. */
export function quote(value: string): string {
  return `"${printable(value.length > 60 ? `${value.slice(0, 60)}...` : value)}"`;
}

/** `text` without what a terminal would act upon. */
export function printable(text: string): string {
  // eslint-disable-next-line no-control-regex -- just these
  return text.replace(/[\0-\x1f\x7f-\x9f]/g, (character) => {
    return `\\x${character.charCodeAt(0).toString(16).padStart(2, "0")}`;
  });
}
