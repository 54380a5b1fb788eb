/**
 * TLS by names that are the same on every platform, for Node: `tlsOptions` makes what its HALs take as `secure`.
 *
 *     import { tlsOptions } from "mcu-mqtt/tls";
 *     client.connect("broker.example.com", 8883, tlsOptions({ ca: readFileSync("ca.pem") }));
 */

import { isUint8Array } from "node:util/types";
import type { TlsOptions } from "./node-net.js";
import type { CommonTlsOptions } from "./tls-options.js";

export type { Certificate, CommonTlsOptions } from "./tls-options.js";

const CERTIFICATE = "PEM text, or bytes of PEM or DER";
const VERSION = '"TLSv1.2" or "TLSv1.3"';

function isText(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

function isVersion(value: unknown): boolean {
  return value === "TLSv1.2" || value === "TLSv1.3";
}

/** `value` as PEM with that label, or undefined when it is none. */
function asPem(value: unknown, label: string): string | undefined {
  const bytes = value instanceof ArrayBuffer || Object.prototype.toString.call(value) === "[object ArrayBuffer]"
    ? Buffer.from(value as ArrayBuffer)
    : isUint8Array(value) ? Buffer.from(value) : undefined;
  const text = bytes === undefined ? value : bytes.toString("latin1");
  if (typeof text !== "string") return undefined;
  if (text.includes("-----BEGIN ")) return text;
  // DER is a sequence.
  if (bytes?.[0] !== 0x30) return undefined;
  return `-----BEGIN ${label}-----\n${bytes.toString("base64")}\n-----END ${label}-----\n`;
}

function asPems(value: unknown, label: string): string[] | undefined {
  const pems = (Array.isArray(value) ? value : [value]).map((each) => asPem(each, label));
  return pems.length > 0 && pems.every((each) => each !== undefined) ? pems : undefined;
}

function asProtocols(value: unknown): string[] | undefined {
  const protocols = (Array.isArray(value) ? value : [value]) as unknown[];
  return protocols.length > 0 && protocols.every(isText) ? (protocols as string[]) : undefined;
}

type Convert = (value: unknown) => unknown;

/** Node's name, the value for it (undefined: it is wrong), and what was expected. */
const NAMES: Record<keyof CommonTlsOptions, [name: keyof TlsOptions, convert: Convert, expected: string]> = {
  ca: ["ca", (value) => asPems(value, "CERTIFICATE"), CERTIFICATE],
  // To Node a list would be certificates of several keys.
  cert: ["cert", (value) => asPems(value, "CERTIFICATE")?.join("\n"), CERTIFICATE],
  key: ["key", (value) => asPem(value, "PRIVATE KEY"), CERTIFICATE],
  passphrase: ["passphrase", (value) => (isText(value) ? value : undefined), "a string, not empty"],
  servername: ["servername", (value) => (isText(value) ? value : undefined), "a string, not empty"],
  alpn: ["ALPNProtocols", asProtocols, "a string or an array of strings, not empty"],
  verify: ["rejectUnauthorized", (value) => (typeof value === "boolean" ? value : undefined), "a boolean"],
  minVersion: ["minVersion", (value) => (isVersion(value) ? value : undefined), VERSION],
  maxVersion: ["maxVersion", (value) => (isVersion(value) ? value : undefined), VERSION],
};

/**
 * The platform's options of TLS, for `secure`. What is undefined is left out.
 *
 * @throws TypeError that names an option that is wrong, and does not repeat its value
 */
export function tlsOptions(options: CommonTlsOptions): TlsOptions {
  const secure: Record<string, unknown> = {};
  for (const [given, value] of Object.entries(options) as [string, unknown][]) {
    if (!Object.hasOwn(NAMES, given)) throw new TypeError(`unknown option "${given}" of TLS`);
    if (value === undefined) continue;
    const [name, convert, expected] = NAMES[given as keyof CommonTlsOptions];
    secure[name] = convert(value);
    if (secure[name] === undefined) throw new TypeError(`${given} must be ${expected}`);
  }
  return secure;
}
