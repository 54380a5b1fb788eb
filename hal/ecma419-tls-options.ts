/**
 * TLS by names that are the same on every platform, for boards: `tlsOptions` makes what their HALs take as `secure`.
 *
 *     import { tlsOptions } from "mcu-mqtt/tls";
 *     client.connect("broker.example.com", 8883, tlsOptions({ ca: CA_PEM }));
 *
 * The SDK's TLS speaks version 1.2, and takes certificates as DER: PEM is decoded here.
 */
import type { Ecma419TlsOptions } from "./ecma419-tls.js";
import type { Certificate, CommonTlsOptions } from "./tls-options.js";

export type { Certificate, CommonTlsOptions } from "./tls-options.js";

const BASE64 = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
const BEGIN = "-----BEGIN ";
const END = "-----END ";
const DASHES = "-----";
/** What DER begins with: a sequence. */
const SEQUENCE = 0x30;

function wrong(name: string, expected: string): TypeError {
  return new TypeError(name + " must be " + expected);
}

/** The bytes that the base64 between two places of a text stands for; undefined when it is none. */
function fromBase64(text: string, start: number, end: number): Uint8Array | undefined {
  const bytes = new Uint8Array(Math.floor(((end - start) * 3) / 4));
  let length = 0;
  let bits = 0;
  let count = 0;
  let padding = 0;
  for (let i = start; i < end; i++) {
    const digit = text.charAt(i);
    if (digit === "\n" || digit === "\r" || digit === " " || digit === "\t") continue;
    if (digit === "=") {
      padding++;
      continue;
    }
    const value = BASE64.indexOf(digit);
    if (value < 0 || padding > 0) return undefined;
    bits = ((bits << 6) | value) & 0xffff;
    count += 6;
    if (count >= 8) {
      count -= 8;
      bytes[length++] = bits >> count;
    }
  }
  return length > 0 && count < 6 && padding <= 2 ? bytes.slice(0, length) : undefined;
}

/** PEM as text: bytes of it are ASCII. */
function asText(bytes: Uint8Array): string {
  let text = "";
  for (let i = 0; i < bytes.length; i++) text += String.fromCharCode(bytes[i]);
  return text;
}

/** Adds each block of PEM in `value`, or the DER that it is, to `blocks`. */
function addBlocks(blocks: Uint8Array[], name: string, value: unknown): void {
  const bytes = value instanceof ArrayBuffer ? new Uint8Array(value) : value;
  if (bytes instanceof Uint8Array && bytes[0] === SEQUENCE) {
    blocks.push(bytes);
    return;
  }
  const text = bytes instanceof Uint8Array ? asText(bytes) : bytes;
  const before = blocks.length;
  let at = typeof text === "string" ? text.indexOf(BEGIN) : -1;
  while (at >= 0) {
    const pem = text as string;
    const label = pem.substring(at + BEGIN.length, pem.indexOf(DASHES, at + BEGIN.length));
    const start = at + BEGIN.length + label.length + DASHES.length;
    const end = pem.indexOf(END + label + DASHES, start);
    if (label === "ENCRYPTED PRIVATE KEY") throw wrong(name, "a key that is not encrypted: the SDK cannot open one");
    if (name === "key" && label !== "PRIVATE KEY") throw wrong(name, 'PKCS8, which is a "PRIVATE KEY" in PEM');
    const block = end < 0 ? undefined : fromBase64(pem, start, end);
    if (block === undefined || block[0] !== SEQUENCE) throw wrong(name, "PEM or DER, and is damaged");
    blocks.push(block);
    at = pem.indexOf(BEGIN, end);
  }
  if (blocks.length === before) throw wrong(name, "PEM text, or bytes of PEM or DER");
}

/** Certificates or keys as DER, in their order. */
function asBlocks(name: string, value: Certificate | Certificate[]): Uint8Array[] {
  const blocks: Uint8Array[] = [];
  const values = Array.isArray(value) ? value : [value];
  for (let i = 0; i < values.length; i++) addBlocks(blocks, name, values[i]);
  if (blocks.length === 0) throw wrong(name, "PEM text, or bytes of PEM or DER");
  return blocks;
}

/** The only one of them. */
function only(name: string, blocks: Uint8Array[], why: string): Uint8Array {
  if (blocks.length > 1) throw wrong(name, "one alone: " + why);
  return blocks[0];
}

function asName(name: string, value: unknown): string {
  if (typeof value !== "string" || value === "") throw wrong(name, "a string, not empty");
  return value;
}

/** The SDK speaks TLS 1.2 and nothing else. */
function checkVersion(name: string, value: unknown): void {
  if (value !== "TLSv1.2" && value !== "TLSv1.3") throw wrong(name, '"TLSv1.2" or "TLSv1.3"');
  if (name === "minVersion" && value === "TLSv1.3") throw wrong(name, '"TLSv1.2", which is all that the SDK speaks');
}

/**
 * The platform's options of TLS, for `secure`. What is undefined is left out.
 *
 * @throws TypeError that names an option that is wrong, or that the SDK has nothing for, and does not repeat its value
 */
export function tlsOptions(options: CommonTlsOptions): Ecma419TlsOptions {
  const secure: Ecma419TlsOptions = {};
  const given = options as Record<string, unknown>;
  for (const name in given) {
    const value = given[name];
    if (value === undefined) continue;
    switch (name) {
      case "ca":
        secure.certificate = only(name, asBlocks(name, value as Certificate), "the SDK takes one authority");
        break;
      case "cert":
        secure.clientCertificates = asBlocks(name, value as Certificate);
        break;
      case "key":
        secure.clientKey = only(name, asBlocks(name, value as Certificate), "there is one of the client");
        break;
      case "passphrase":
        throw wrong(name, "left out: the SDK opens no encrypted key");
      case "servername":
        secure.serverName = asName(name, value);
        break;
      case "alpn":
        if (Array.isArray(value) && value.length > 0) for (let i = 0; i < value.length; i++) asName(name, value[i]);
        else asName(name, value);
        secure.applicationLayerProtocolNegotiation = value as string | string[];
        break;
      case "verify":
        if (typeof value !== "boolean") throw wrong(name, "a boolean");
        secure.verify = value;
        break;
      case "minVersion":
      case "maxVersion":
        checkVersion(name, value);
        break;
      default:
        throw new TypeError('unknown option "' + name + '" of TLS');
    }
  }
  return secure;
}
