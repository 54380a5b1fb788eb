/**
 * Certificates for tests, made when first asked for and kept for the process. Written with node:crypto and a few lines
 * of DER, so that each detail (names, dates, issuer) can be as wrong as a test needs it. Elliptic curve P-256
 * throughout, which is quick to make.
 */

import { createHash, generateKeyPairSync, randomBytes, sign } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { isIP } from "node:net";
import { join } from "node:path";

/** PEM texts of a certificate and its private key. */
export interface Certificate {
  cert: string;
  key: string;
}

export interface CertificateOptions {
  /** The subject's common name. */
  commonName: string;
  /** DNS names and IPv4 addresses that it is valid for. */
  altNames?: string[];
  /** Default: a day ago and in ten days. */
  notBefore?: Date;
  notAfter?: Date;
}

/** All that tests use. Server certificates are for `localhost`, `broker.test`, 127.0.0.1 unless said otherwise. */
export interface Certificates {
  /** The authority that clients trust and that issued everything below unless said otherwise. */
  ca: Certificate;
  /** An authority that issued nothing. */
  otherCa: Certificate;
  server: Certificate;
  expired: Certificate;
  /** For `elsewhere.test` only. */
  wrongHost: Certificate;
  /** For a client, `device-1`. */
  client: Certificate;
  /** For a client, from `otherCa`. */
  strangeClient: Certificate;
}

const SERVER_NAMES = ["localhost", "broker.test", "127.0.0.1"];
const DAY_MS = 86400000;

let made: Certificates | undefined;

/** The certificates of this process. */
export function certificates(): Certificates {
  if (made !== undefined) return made;
  const authority = new Authority("mcu-mqtt test CA");
  const other = new Authority("another test CA");
  const server = { commonName: "localhost", altNames: SERVER_NAMES };
  const past = { notBefore: new Date(Date.now() - 3 * DAY_MS), notAfter: new Date(Date.now() - DAY_MS) };
  made = {
    ca: authority.certificate,
    otherCa: other.certificate,
    server: authority.issue(server),
    expired: authority.issue({ ...server, ...past }),
    wrongHost: authority.issue({ commonName: "elsewhere.test", altNames: ["elsewhere.test"] }),
    client: authority.issue({ commonName: "device-1" }),
    strangeClient: other.issue({ commonName: "device-1" }),
  };
  return made;
}

/** Writes each certificate to `folder` as `<name>.crt` and `<name>.key`, as a broker's configuration wants them. */
export function writeCertificates(folder: string): void {
  mkdirSync(folder, { recursive: true });
  for (const [name, certificate] of Object.entries(certificates()) as [string, Certificate][]) {
    writeFileSync(join(folder, `${name}.crt`), certificate.cert);
    writeFileSync(join(folder, `${name}.key`), certificate.key);
  }
}

/** A certificate authority. */
export class Authority {
  readonly certificate: Certificate;
  readonly #name: string;
  readonly #privateKey: KeyObject;
  readonly #keyIdentifier: Buffer;

  constructor(commonName: string) {
    const { publicKey, privateKey } = makeKeys();
    this.#name = commonName;
    this.#privateKey = privateKey;
    this.#keyIdentifier = keyIdentifier(publicKey);
    this.certificate = this.#sign({ commonName }, publicKey, privateKey, true);
  }

  issue(options: CertificateOptions): Certificate {
    const { publicKey, privateKey } = makeKeys();
    return this.#sign(options, publicKey, privateKey, false);
  }

  // RFC 5280, 4.1
  #sign(options: CertificateOptions, publicKey: KeyObject, privateKey: KeyObject, isAuthority: boolean): Certificate {
    const extensions = [
      extension(BASIC_CONSTRAINTS, true, sequence(isAuthority ? [der(BOOLEAN, [0xff])] : [])),
      extension(KEY_USAGE, true, der(BIT_STRING, isAuthority ? [1, 0x06] : [7, 0x80])), // sign others; sign
      extension(SUBJECT_KEY_IDENTIFIER, false, der(OCTET_STRING, keyIdentifier(publicKey))),
      extension(AUTHORITY_KEY_IDENTIFIER, false, sequence([der(KEY_IDENTIFIER, this.#keyIdentifier)])),
    ];
    if (!isAuthority) extensions.push(extension(EXTENDED_KEY_USAGE, false, sequence([SERVER_AUTH, CLIENT_AUTH])));
    if (options.altNames) extensions.push(extension(SUBJECT_ALT_NAME, false, sequence(options.altNames.map(altName))));
    const toBeSigned = sequence([
      der(EXPLICIT_0, der(INTEGER, [2])), // version 3
      der(INTEGER, [0x01, ...randomBytes(15)]),
      sequence([ECDSA_WITH_SHA256]),
      name(this.#name),
      sequence([
        time(options.notBefore ?? new Date(Date.now() - DAY_MS)),
        time(options.notAfter ?? new Date(Date.now() + 10 * DAY_MS)),
      ]),
      name(options.commonName),
      publicKey.export({ type: "spki", format: "der" }),
      der(EXPLICIT_3, sequence(extensions)),
    ]);
    const signature = sign("sha256", toBeSigned, this.#privateKey);
    const whole = sequence([toBeSigned, sequence([ECDSA_WITH_SHA256]), der(BIT_STRING, [0, ...signature])]);
    const base64 = whole.toString("base64").replace(/.{64}/g, "$&\n").trimEnd();
    return {
      cert: `-----BEGIN CERTIFICATE-----\n${base64}\n-----END CERTIFICATE-----\n`,
      key: privateKey.export({ type: "pkcs8", format: "pem" }) as string,
    };
  }
}

function makeKeys(): { publicKey: KeyObject; privateKey: KeyObject } {
  return generateKeyPairSync("ec", { namedCurve: "P-256" });
}

function keyIdentifier(publicKey: KeyObject): Buffer {
  return createHash("sha1").update(publicKey.export({ type: "spki", format: "der" })).digest();
}

// DER, ITU-T X.690: tag, length, value.
const BOOLEAN = 0x01;
const INTEGER = 0x02;
const BIT_STRING = 0x03;
const OCTET_STRING = 0x04;
const OBJECT_IDENTIFIER = 0x06;
const UTF8_STRING = 0x0c;
const UTC_TIME = 0x17;
const SEQUENCE = 0x30;
const SET = 0x31;
const EXPLICIT_0 = 0xa0;
const EXPLICIT_3 = 0xa3;
const DNS_NAME = 0x82;
const IP_ADDRESS = 0x87;
const KEY_IDENTIFIER = 0x80;

const ECDSA_WITH_SHA256 = der(OBJECT_IDENTIFIER, [0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02]);
const COMMON_NAME = der(OBJECT_IDENTIFIER, [0x55, 0x04, 0x03]);
const SUBJECT_KEY_IDENTIFIER = der(OBJECT_IDENTIFIER, [0x55, 0x1d, 0x0e]);
const KEY_USAGE = der(OBJECT_IDENTIFIER, [0x55, 0x1d, 0x0f]);
const SUBJECT_ALT_NAME = der(OBJECT_IDENTIFIER, [0x55, 0x1d, 0x11]);
const BASIC_CONSTRAINTS = der(OBJECT_IDENTIFIER, [0x55, 0x1d, 0x13]);
const AUTHORITY_KEY_IDENTIFIER = der(OBJECT_IDENTIFIER, [0x55, 0x1d, 0x23]);
const EXTENDED_KEY_USAGE = der(OBJECT_IDENTIFIER, [0x55, 0x1d, 0x25]);
const SERVER_AUTH = der(OBJECT_IDENTIFIER, [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x01]);
const CLIENT_AUTH = der(OBJECT_IDENTIFIER, [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x02]);

function der(tag: number, value: ArrayLike<number>): Buffer {
  const bytes = Buffer.from(value as number[]);
  const length =
    bytes.length < 0x80 ? [bytes.length]
    : bytes.length < 0x100 ? [0x81, bytes.length]
    : [0x82, bytes.length >> 8, bytes.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...length]), bytes]);
}

function sequence(parts: Buffer[]): Buffer {
  return der(SEQUENCE, Buffer.concat(parts));
}

function extension(identifier: Buffer, critical: boolean, value: Buffer): Buffer {
  return sequence([identifier, critical ? der(BOOLEAN, [0xff]) : Buffer.of(), der(OCTET_STRING, value)]);
}

function name(commonName: string): Buffer {
  return sequence([der(SET, sequence([COMMON_NAME, der(UTF8_STRING, Buffer.from(commonName))]))]);
}

function altName(hostName: string): Buffer {
  return isIP(hostName) ? der(IP_ADDRESS, hostName.split(".").map(Number)) : der(DNS_NAME, Buffer.from(hostName));
}

/** With a year of two digits, 1950 to 2049. */
function time(date: Date): Buffer {
  return der(UTC_TIME, Buffer.from(date.toISOString().slice(2, 19).replace(/[-:T]/g, "") + "Z"));
}
