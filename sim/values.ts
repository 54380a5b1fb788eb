/** How values look in the log: short, in one line, strings in quotes. */
import { isUtf8 } from "node:buffer";
import { isNativeError } from "node:util/types";
import { messageOf } from "./failure.js";

/** Characters of a string, or bytes, that are shown. */
const LONGEST = 40;

/** A string in quotes, its beginning if it is long. */
export function quote(text: string): string {
  if (text.length <= LONGEST) return JSON.stringify(text);
  return `${JSON.stringify(text.slice(0, LONGEST))}... (${text.length} characters)`;
}

/** Bytes as the text they encode, otherwise in hexadecimal; `bytes` may be the beginning of `length` bytes. */
export function showBytes(bytes: Uint8Array, length = bytes.length): string {
  if (length === 0) return "empty";
  const isWhole = bytes.length === length;
  const text = Buffer.from(bytes).toString("utf8");
  // eslint-disable-next-line no-control-regex -- these make bytes no text
  const isText = (isUtf8(bytes) || !isWhole) && !/[\0-\x08\x0e-\x1f]/.test(text);
  if (isText && isWhole && text.length <= LONGEST) return JSON.stringify(text);
  const start = isText ? JSON.stringify(text.slice(0, LONGEST)) : `<${hex(bytes)}>`;
  return length <= LONGEST / 2 ? start : `${start}... (${length} bytes)`;
}

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.subarray(0, LONGEST / 2)).toString("hex").replace(/..(?=.)/g, "$& ");
}

/** `device`, or of several `device2`. */
export function numbered(what: string, number: number): string {
  return number === 1 ? what : `${what}${number}`;
}

/** The arguments of a callback, of which the first is the client. */
export function showArguments(event: string, client: string, args: unknown[]): string {
  // The return codes of SUBACK are numbers; other bytes may be text.
  const isCodes = event === "suback";
  const shown = args.map((arg) => (isCodes && arg instanceof Uint8Array ? `[${arg.join(", ")}]` : showArgument(arg)));
  return `(${[client, ...shown].join(", ")})`;
}

function showArgument(value: unknown): string {
  if (typeof value === "string") return quote(value);
  if (value instanceof Uint8Array) return showBytes(value);
  if (isNativeError(value)) return messageOf(value);
  if (typeof value === "object" && value !== null) return showFields(value);
  return String(value);
}

/** An object without what is false or 0 in it, but for the QoS. */
function showFields(object: object): string {
  const fields = Object.entries(object).filter(([name, value]) => name === "qos" || Boolean(value));
  return `{ ${fields.map(([name, value]) => `${name}: ${String(value)}`).join(", ")} }`;
}
