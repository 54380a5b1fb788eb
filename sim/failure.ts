/** A run cannot go on, or has not gone as it should, for a reason that its user can do something about. */
import { isNativeError } from "node:util/types";

/** `message` is one line: what failed, and what to do. */
export class Failure extends Error {}

/** What was thrown, in one line. */
export function oneLine(error: unknown): string {
  return shorten(isNativeError(error) ? `${error.name}: ${error.message}` : String(error));
}

/** The message alone of what was thrown, in one line; of several addresses that were tried, the first one's. */
export function messageOf(error: unknown): string {
  const first: unknown = isNativeError(error) && "errors" in error ? (error.errors as unknown[])[0] : error;
  return shorten(isNativeError(first) ? first.message : String(first));
}

function shorten(text: string): string {
  const line = text.trim().replace(/\s+/g, " ");
  return line.length > 300 ? `${line.slice(0, 300)}...` : line;
}
