/** What `sub` writes for a message: the payload's bytes as they are, or a format made once and filled in for each. */
import { Failure, quote } from "./failure.js";
import type { Message, ReceivedProperties } from "./session.js";

/** Writes one message; throws NotJson for one that has no JSON where that is wanted. */
export type Formatter = (message: Message, date: Date) => Uint8Array;

export type PrintForm = "raw" | "hex" | "base64" | "size";
export const PRINT_FORMS: readonly PrintForm[] = ["raw", "hex", "base64", "size"];

type Part = Uint8Array | ((message: Message, date: Date) => Uint8Array | string);

/** Backslash escapes, as mosquitto_sub's. */
const ESCAPES: Record<string, string> = {
  "\\": "\\", "0": "\0", "a": "\x07", "e": "\x1b", "n": "\n", "r": "\r", "t": "\t", "v": "\v",
};

const DIRECTIVES: Record<string, Part> = {
  "%": Buffer.from("%"),
  // Of MQTT 5; nothing where a message has no such property.
  A: (message) => shown(message.properties?.topicAlias),
  C: (message) => shown(message.properties?.contentType),
  D: (message) => message.properties?.correlationData ?? "",
  E: (message) => shown(message.properties?.messageExpiryInterval),
  F: (message) => shown(message.properties?.payloadFormatIndicator),
  P: (message) => (message.properties?.userProperty ?? []).map(([name, value]) => `${name}:${value}`).join(" "),
  R: (message) => shown(message.properties?.responseTopic),
  S: (message) => (message.properties?.subscriptionIdentifier ?? []).join(" "),
  I: (_message, date) => isoTime(date, false),
  J: (message, date) => jsonOf(message, date, true),
  U: (_message, date) => `${Math.floor(date.getTime() / 1000)}.${String(date.getTime() % 1000).padStart(3, "0")}000000`,
  X: (message) => hex(message).toUpperCase(),
  j: (message, date) => jsonOf(message, date, false),
  l: (message) => String(message.payload.length),
  m: (message) => String(message.packetId),
  p: (message) => message.payload,
  q: (message) => String(message.qos),
  r: (message) => (message.retain ? "1" : "0"),
  t: (message) => message.topic,
  x: hex,
};

/**
 * The formatter of a format string.
 *
 * @throws Failure for what is no directive
 */
export function compileFormat(format: string): Formatter {
  const parts: Part[] = [];
  for (const [piece] of format.matchAll(/%.?|\\.?|[^%\\]+/gsu)) {
    const letter = piece.slice(1);
    if (piece.startsWith("%")) {
      if (!Object.hasOwn(DIRECTIVES, letter)) throw new Failure(explain(piece));
      parts.push(DIRECTIVES[letter]);
    } else if (piece.startsWith("\\")) {
      if (!Object.hasOwn(ESCAPES, letter)) {
        throw new Failure(`--format has ${quote(piece)}: only \\${Object.keys(ESCAPES).join(" \\")} mean something`);
      }
      parts.push(Buffer.from(ESCAPES[letter]));
    } else {
      parts.push(Buffer.from(piece));
    }
  }
  return (message, date) => Buffer.concat(parts.map((part) => asBytes(part, message, date)));
}

function explain(piece: string): string {
  const known = `%${Object.keys(DIRECTIVES).join(" %")}`;
  return `--format has ${quote(piece)}: only ${known} mean something`;
}

/** The formatter of `--print`, with the topic in front for `--verbose`. */
export function printForm(form: PrintForm, isVerbose: boolean): Formatter {
  const payload = { raw: "%p", hex: "%x", base64: undefined, size: "%l" }[form];
  const format = compileFormat((isVerbose ? "%t " : "") + (payload ?? ""));
  if (payload !== undefined) return format;
  return (message, date) => Buffer.concat([format(message, date), Buffer.from(bufferOf(message).toString("base64"))]);
}

function asBytes(part: Part, message: Message, date: Date): Uint8Array {
  const value = typeof part === "function" ? part(message, date) : part;
  return typeof value === "string" ? Buffer.from(value) : value;
}

function bufferOf({ payload }: Message): Buffer {
  return Buffer.from(payload.buffer, payload.byteOffset, payload.length);
}

function shown(value: string | number | undefined): string {
  return value === undefined ? "" : String(value);
}

function hex(message: Message): string {
  return bufferOf(message).toString("hex");
}

/**
 * One line with everything: names and their order are mosquitto_sub's, but for those of properties. A payload that is
 * not UTF-8 is there as `payload_base64` instead.
 *
 * @param isJson the payload is JSON itself, and goes in as it is
 */
function jsonOf(message: Message, date: Date, isJson: boolean): string {
  const { topic, qos, retain, packetId, payload, properties = {} } = message;
  const start = {
    tst: isoTime(date, true),
    topic,
    qos,
    retain: retain ? 1 : 0,
    payloadlen: payload.length,
    ...(packetId > 0 && { mid: packetId }),
    ...(Object.keys(properties).length > 0 && { properties: jsonOfProperties(properties) }),
  };
  const string = decode(payload);
  if (isJson) {
    // As it was written: big numbers stay what they are. JSON has line ends between its tokens only.
    if (!isValidJson(string)) throw new NotJson(`the payload of a message on ${quote(topic)} is not JSON`);
    return `${JSON.stringify(start).slice(0, -1)},"payload":${string!.trim().replace(/[\r\n]+/g, " ")}}`;
  }
  const rest = string === undefined ? { payload_base64: bufferOf(message).toString("base64") } : { payload: string };
  return JSON.stringify({ ...start, ...rest });
}

/** By their names in camel case; data that is not UTF-8 as base64, as a payload is. */
function jsonOfProperties({ correlationData, ...rest }: ReceivedProperties): object {
  if (correlationData === undefined) return rest;
  const string = decode(correlationData);
  if (string !== undefined) return { ...rest, correlationData: string };
  return { ...rest, correlationData_base64: Buffer.from(correlationData).toString("base64") };
}

/** A message that `%J` cannot show. */
export class NotJson extends Error {}

function decode(payload: Uint8Array): string | undefined {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(payload);
  } catch {
    return undefined;
  }
}

function isValidJson(text: string | undefined): boolean {
  if (text === undefined) return false;
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** ISO 8601 with the offset of local time. */
function isoTime(date: Date, hasFraction: boolean): string {
  const minutes = -date.getTimezoneOffset();
  const local = new Date(date.getTime() + minutes * 60000).toISOString().slice(0, hasFraction ? -1 : 19);
  const two = (number: number): string => String(number).padStart(2, "0");
  const offset = Math.abs(minutes);
  return `${local}${minutes < 0 ? "-" : "+"}${two(Math.floor(offset / 60))}${two(offset % 60)}`;
}
