/**
 * How connections of Node's HALs come up: the options of TCP and TLS, their checks by name, and what Node's errors
 * mean.
 *
 * Knows nothing of what is sent.
 */

import { X509Certificate } from "node:crypto";
import { lookup as dnsLookup } from "node:dns";
import { connect as connectTcp, isIP } from "node:net";
import type { LookupFunction, NetConnectOpts, OnReadOpts, Socket as TcpSocket } from "node:net";
import { connect as connectTls, createSecureContext } from "node:tls";
import type { ConnectionOptions, SecureContext, SecureContextOptions, SecureVersion } from "node:tls";
import { isUint8Array } from "node:util/types";
import type { SocketFailure } from "./socket.js";

/**
 * What `secure` may hold: options of `tls.connect` under Node's own names. `{}` verifies the peer against the host's
 * name or address and the certificate authorities that Node trusts.
 */
export interface TlsOptions {
  /** Certificate authorities to trust, PEM; they replace Node's own list. */
  ca?: Pem | Pem[];
  /** The client's certificate, followed by its intermediate ones, PEM. */
  cert?: Pem | Pem[];
  /** The private key of `cert`, PEM. */
  key?: Pem | Pem[];
  /** Opens an encrypted `key`. */
  passphrase?: string;
  /** Name to ask for (SNI) and to find in the peer's certificate. Default: the host (an address is not asked for). */
  servername?: string;
  /** Protocols to offer, e.g. `["mqtt"]`. Default: none. A WebSocket's can only be `"http/1.1"`. */
  ALPNProtocols?: string[];
  /** False accepts any certificate, so that anyone may listen. Default: true, whatever the environment says. */
  rejectUnauthorized?: boolean;
  /** Lowest version to speak, e.g. `"TLSv1.3"`. Default: Node's, `"TLSv1.2"`. */
  minVersion?: SecureVersion;
  /** Highest version to speak. Default: Node's, `"TLSv1.3"`. */
  maxVersion?: SecureVersion;
}

/** A PEM file's text. */
export type Pem = string | Uint8Array;

/** What `tcpOpts` of `Hal.configure` may hold: options of `net.connect` and `net.Socket` under Node's own names. */
export interface TcpOptions {
  /** Finds the addresses of a name; calls back after it returned. Default: `dns.lookup`. */
  lookup?: LookupFunction;
  /**
   * The own address, IPv4 or IPv6, to connect from; with it the interface. Default: the system's choice. With this, or
   * with a `family`, Node tries the first address of a name alone.
   */
  localAddress?: string;
  /** The own port, 0..65535. Default: 0, the system's choice. */
  localPort?: number;
  /** Addresses to look up: 4, 6, or 0 for both. Default: those of `localAddress`, without it 0. */
  family?: 0 | 4 | 6;
  /** False: small packets may be held back to go together. Default: true. */
  noDelay?: boolean;
  /** True: the system asks a silent peer whether it is there. Default: false. */
  keepAlive?: boolean;
  /** With `keepAlive`: how long a peer is silent before it is asked, in milliseconds. Default: 0, the system's. */
  keepAliveInitialDelay?: number;
}

/** How long a closed socket may take for what was written before. */
export const FLUSH_MS = 30000;
/** How long it waits for its peer to close too, once everything has left. */
export const LINGER_MS = 3000;
/** How long one of several addresses is tried. Node's own 250 ms are less than a mobile or satellite link can take. */
const ADDRESS_TIMEOUT_MS = 3000;

/** How far a connection is. */
export const CONNECTING = 0;
export const HANDSHAKING = 1;
export const UP = 2;

type Checks<Options> = Record<keyof Options, [check: (value: unknown) => boolean, expected: string]>;

const isString = (value: unknown): boolean => typeof value === "string";
const isBoolean = (value: unknown): boolean => typeof value === "boolean";
const isVersion = (value: unknown): boolean => isString(value) && /^TLSv1(\.[123])?$/.test(value as string);
const isPem = (value: unknown): boolean =>
  Array.isArray(value)
    ? value.length > 0 && value.every(isPem)
    : (isString(value) || isUint8Array(value)) && String(Buffer.from(value as Pem)).includes("-----BEGIN ");
/** Node aborts the process for an empty name, and throws too late for one that is too long. */
const isProtocol = (value: unknown): boolean =>
  isString(value) && value !== "" && Buffer.byteLength(value as string) <= 255;
const isIntegerTo = (most: number) => (value: unknown): boolean =>
  Number.isInteger(value) && (value as number) >= 0 && (value as number) <= most;
const PEM_EXPECTED = "PEM text, its bytes, or an array of these";
const VERSION_EXPECTED = '"TLSv1.2" or another version';

const TLS_CHECKS: Checks<TlsOptions> = {
  ca: [isPem, PEM_EXPECTED],
  cert: [isPem, PEM_EXPECTED],
  key: [isPem, PEM_EXPECTED],
  passphrase: [isString, "a string"],
  servername: [isString, "a string"],
  ALPNProtocols: [(value) => Array.isArray(value) && value.every(isProtocol), "an array of strings of 1 to 255 bytes"],
  rejectUnauthorized: [isBoolean, "a boolean"],
  minVersion: [isVersion, VERSION_EXPECTED],
  maxVersion: [isVersion, VERSION_EXPECTED],
};

const TCP_CHECKS: Checks<TcpOptions> = {
  lookup: [(value) => typeof value === "function", "a function"],
  localAddress: [(value) => isString(value) && isIP(value as string) > 0, "an IPv4 or IPv6 address"],
  localPort: [isIntegerTo(65535), "an integer from 0 to 65535"],
  family: [(value) => value === 0 || value === 4 || value === 6, "0, 4 or 6"],
  noDelay: [isBoolean, "a boolean"],
  keepAlive: [isBoolean, "a boolean"],
  keepAliveInitialDelay: [isIntegerTo(2147483647), "an integer from 0 to 2147483647"],
};

/** A copy of `given` without what is undefined in it. Wrong values are not repeated in errors: they may be secrets. */
function checked(prefix: string, given: object, checks: Checks<never>, kind: string): object {
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(checks, name)) throw new TypeError(`${prefix}${name}: no such ${kind} option`);
    if (value === undefined) continue;
    const [check, expected] = (checks as Checks<Record<string, unknown>>)[name];
    if (!check(value)) throw new TypeError(`${prefix}${name}: not ${expected}`);
    options[name] = value;
  }
  return options;
}

/** A checked copy of options of TCP. `prefix` stands before their names in errors. */
export function checkTcp(options: unknown, prefix: string): TcpOptions {
  if (typeof options !== "object" || options === null || Array.isArray(options)) {
    throw new TypeError(`${prefix.slice(0, -1) || "options"}: not an object`);
  }
  return checked(prefix, options, TCP_CHECKS, "TCP");
}

/** A checked copy of options of TLS. */
export function checkTls(secure: object): TlsOptions {
  const options: TlsOptions = checked("secure.", secure, TLS_CHECKS, "TLS");
  secureContext(options);
  return options;
}

function secureContext(options: TlsOptions): SecureContext {
  let name = "ca";
  try {
    // Node would leave out a certificate authority that it cannot read.
    for (const ca of [options.ca ?? []].flat()) new X509Certificate(ca);
    name = "cert";
    for (const cert of [options.cert ?? []].flat()) new X509Certificate(cert);
    name = "key";
    return createSecureContext(options as SecureContextOptions);
  } catch (error) {
    throw new TypeError(`secure.${name}: ${(error as Error).message}`, { cause: error });
  }
}

/** `net.connect` or `tls.connect` with everything set but the way in for received bytes, unless it is the usual one. */
export type Connect = (onread?: OnReadOpts) => TcpSocket;

/** Checks the options of TLS, and says how to connect; `host` is a name or an address. */
export function connector(host: string, port: number, secure: object | undefined, settings: TcpOptions): Connect {
  const { lookup = dnsLookup, localAddress, localPort, family, ...atOnce } = settings;
  // From an IPv6 address nobody gets to an IPv4 one.
  const own = { localAddress, localPort, family: family ?? (localAddress && isIP(localAddress)) };
  const several = { autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT_MS };
  const tcp = { host, port, lookup, ...several, ...withoutUndefined(own) };
  const set = (socket: TcpSocket): TcpSocket =>
    socket.once("connect", () => {
      // Not before: Node would tell the system twice.
      if (atOnce.noDelay !== false) socket.setNoDelay(true);
      if (atOnce.keepAlive === true) socket.setKeepAlive(true, atOnce.keepAliveInitialDelay);
    });
  if (secure === undefined) return (onread) => set(connectTcp({ ...tcp, ...(onread && { onread }) } as NetConnectOpts));
  const options: TlsOptions = checked("secure.", secure, TLS_CHECKS, "TLS");
  const servername = isIP(host) === 0 ? host : "";
  const tls = { servername, rejectUnauthorized: true, ...options, secureContext: secureContext(options), ...tcp };
  return (onread) => set(connectTls({ ...tls, ...(onread && { onread }) } as ConnectionOptions));
}

function withoutUndefined(options: object): object {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
}

/** What an error means, in that state. */
export function failureOf(error: NodeJS.ErrnoException, state: number, received: boolean): SocketFailure {
  const code = error.code ?? "";
  // With TLS 1.3 a server refuses the client's certificate when the client's side of the handshake is done.
  if (state === UP) return !received && /^ERR_SSL_.*_ALERT_/.test(code) ? "tls" : "closed";
  // Node tells of several addresses in an AggregateError.
  const tried = (error as { errors?: NodeJS.ErrnoException[] }).errors ?? [error];
  if (tried.some((each) => each.code === "ECONNREFUSED")) return "refused";
  if (tried.some((each) => each.code === "ETIMEDOUT")) return "timeout";
  return state === HANDSHAKING ? "tls" : "unreachable";
}

/** Bytes that a client may write before Node takes them. As many again may be on their way to the network. */
export const SEND_SIZE = 65536;
/** Send buffers kept for the next use. */
const SPARE_COUNT = 4;

/** The buffers in which the sockets of one HAL gather what they send. */
export class SendBuffers {
  readonly #spare: Buffer[] = [];

  take(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SEND_SIZE);
  }

  give(buffer: Buffer): void {
    if (this.#spare.length < SPARE_COUNT) this.#spare.push(buffer);
  }
}
