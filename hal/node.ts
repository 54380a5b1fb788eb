/**
 * The HAL of Node: sockets of node:net and node:tls, Node's timers and its UTF-8 conversion.
 *
 * Knows nothing of MQTT. An idle connection costs one small object here: the buffers for receiving and sending belong
 * to the HAL, and a socket has them while bytes are on their way.
 */

import { randomInt, X509Certificate } from "node:crypto";
import { lookup as dnsLookup } from "node:dns";
import { connect as connectTcp, isIP } from "node:net";
import type { LookupFunction, Socket as TcpSocket } from "node:net";
import { connect as connectTls, createSecureContext, TLSSocket } from "node:tls";
import type { ConnectionOptions, SecureContext, SecureContextOptions, SecureVersion } from "node:tls";
import { isUint8Array } from "node:util/types";
import { NodeText, Topics } from "./node-text.js";
import type { Hal, Socket, SocketFailure, SocketHandler, Timer } from "./socket.js";

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
  /** Protocols to offer, e.g. `["mqtt"]`. Default: none. */
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

/** Settings of {@link createNodeHal}. */
export interface NodeHalOptions {
  /** Finds the addresses of a name; calls back after it returned. Default: `dns.lookup`. */
  lookup?: LookupFunction;
}

/** Bytes taken from the network at a time, hence about the most that waits for a client that does not read. */
const RECEIVE_SIZE = 65536;
/** Bytes that a client may write before Node takes them. As many again may be on their way to the network. */
const SEND_SIZE = 65536;
/** Send buffers kept for the next use. */
const SPARE_COUNT = 4;
/** How long a closed socket may take for what was written before. */
const FLUSH_MS = 30000;
/** How long it waits for its peer to close too, once everything has left. */
const LINGER_MS = 3000;
/** How long one of several addresses is tried. Node's own 250 ms are less than a mobile or satellite link can take. */
const ADDRESS_TIMEOUT_MS = 3000;

/** Makes a HAL on Node's networking. One serves any number of clients. */
export function createNodeHal(options: NodeHalOptions = {}): Hal {
  const buffers = new Buffers();
  const topics = new Topics();
  const lookup: LookupFunction = options.lookup ?? dnsLookup;
  return {
    open: (host, port, secure, handler) => new NodeSocket(buffers, connector(host, port, secure, lookup), handler),
    checkSecure: (secure) => void secureContext(tlsOptions(secure)),
    createTimer: (onTimer) => new NodeTimer(onTimer),
    now: () => performance.now() | 0,
    createText: () => new NodeText(topics),
    uncaught(error) {
      setImmediate(() => {
        throw error;
      });
    },
    generateId() {
      let id = "";
      while (id.length < 12) id += randomInt(36).toString(36);
      return id;
    },
    defaults: { rxCapacity: 16384, txCapacity: 65536, maxOperations: 1024, receiveMaximum: 1024 },
  };
}

/** `net.connect` or `tls.connect` with everything set but the way in for received bytes. */
type Connect = (onread: { buffer: Uint8Array; callback: (count: number, bytes: Uint8Array) => boolean }) => TcpSocket;

const CONNECTING = 0;
const HANDSHAKING = 1;
const UP = 2;

class NodeSocket implements Socket {
  readonly #buffers: Buffers;
  readonly #socket: TcpSocket;
  /** Who hears what happens; undefined once there is nothing more to hear. */
  #handler: SocketHandler | undefined;
  #state = CONNECTING;
  #closed = false;
  /** Set when the connection is over, which is reported when everything is read. */
  #failure: SocketFailure | undefined;
  #detail: unknown;
  #unread = new Unread();
  #received = false;
  /** Holds what was written in this turn, `#staged` bytes, or while the buffer before is on its way. */
  #staging: Buffer | undefined;
  #staged = 0;
  #sending = false;

  constructor(buffers: Buffers, connect: Connect, handler: SocketHandler) {
    this.#buffers = buffers;
    this.#handler = handler;
    const socket = connect({ buffer: buffers.receive, callback: (count, bytes) => this.#receive(count, bytes) });
    this.#socket = socket;
    socket.on("lookup", (error: Error | null) => {
      if (error) this.#fail("dns", error);
    });
    socket.on("connect", () => {
      // Not before: Node would tell the system twice.
      socket.setNoDelay(true);
      if (socket instanceof TLSSocket) {
        this.#state = HANDSHAKING;
        socket.on("secureConnect", () => this.#up());
      } else {
        this.#up();
      }
    });
    socket.on("end", () => {
      if (this.#state === UP) this.#fail("closed"); // else an error follows that says more
    });
    socket.on("error", (error) => this.#fail(failureOf(error, this.#state, this.#received), error));
    socket.on("close", () => this.#fail(this.#state === UP ? "closed" : "unreachable"));
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    if (this.#closed) throw new Error("read from a closed socket");
    this.#unread.read(bytes, start, end);
    // During onReadable nothing has been stopped yet, and #receive does what follows.
    if (this.#unread.count === 0 && this.#unread.kept) {
      this.#unread.clear();
      if (this.#failure === undefined) this.#socket.resume();
      else process.nextTick(() => this.#report());
    }
    return end - start;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (this.#closed) throw new Error("write to a closed socket");
    if (this.#failure !== undefined) return 0;
    const count = end - start;
    const room = this.#state === UP ? SEND_SIZE - this.#staged : 0;
    if (!(count >= 0 && count <= room && end <= bytes.length)) {
      throw new RangeError(`write: [${start}, ${end}) of ${bytes.length} bytes into room for ${room}`);
    }
    if (count === 0) return room;
    if (this.#staging === undefined) {
      this.#staging = this.#buffers.takeSend();
      process.nextTick(() => this.#flush());
    }
    this.#staging.set(this.#buffers.view(bytes, start, end), this.#staged);
    this.#staged += count;
    return room - count;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handler = undefined;
    this.#buffers.forgetView();
    this.#unread.clear();
    const socket = this.#socket;
    if (this.#state !== UP || this.#failure !== undefined) {
      socket.destroy();
      return;
    }
    const buffer = this.#staging;
    if (buffer !== undefined) {
      socket.write(buffer.subarray(0, this.#staged), (error) => {
        if (!error) this.#buffers.giveSend(buffer);
      });
    }
    this.#staging = undefined;
    let linger = setTimeout(() => socket.destroy(), FLUSH_MS).unref();
    socket.end(() => {
      clearTimeout(linger);
      linger = setTimeout(() => socket.destroy(), LINGER_MS).unref();
    });
    socket.resume(); // what still comes is dropped, up to the peer's FIN
    socket.once("close", () => clearTimeout(linger));
  }

  #up(): void {
    this.#state = UP;
    this.#handler?.onWritable(SEND_SIZE);
  }

  /** Takes `count` bytes out of the buffer that all sockets share; false stops Node from reading until `resume()`. */
  #receive(count: number, bytes: Uint8Array): boolean {
    if (this.#handler === undefined) return true;
    this.#received = true;
    this.#unread.add(bytes, count);
    try {
      this.#handler.onReadable(this.#unread.count);
    } finally {
      this.#unread.keep();
    }
    return this.#unread.count === 0;
  }

  /** Hands what is staged to Node, unless it still has the buffer before; then its return comes here again. */
  #flush(): void {
    const buffer = this.#staging;
    if (buffer === undefined || this.#sending || this.#failure !== undefined) return;
    this.#sending = true;
    this.#socket.write(buffer.subarray(0, this.#staged), (error) => {
      this.#sending = false;
      if (error) return;
      this.#buffers.giveSend(buffer);
      this.#flush();
    });
    this.#staging = undefined;
    this.#staged = 0;
    this.#handler?.onWritable(SEND_SIZE);
  }

  #fail(failure: SocketFailure, detail?: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#detail = detail;
    if (this.#unread.count === 0) this.#report();
  }

  #report(): void {
    const handler = this.#handler;
    this.#handler = undefined;
    this.#socket.destroy();
    handler?.onError(this.#failure!, this.#detail);
  }
}

/** Received bytes on their way to the client: lent from the shared buffer during onReadable, a copy after it. */
class Unread {
  count = 0;
  kept = false;
  #bytes: Uint8Array | undefined;
  #start = 0;

  /** Lends the first `count` of `bytes`, behind what is still kept. */
  add(bytes: Uint8Array, count: number): void {
    // Node stops reading while something is kept, but TLS delivers what it has decrypted by then.
    this.#bytes = this.kept ? Buffer.concat([this.#rest(), bytes.subarray(0, count)]) : bytes;
    this.#start = 0;
    this.count += count;
  }

  /** Ends the loan. */
  keep(): void {
    if (this.count === 0) this.clear();
    else if (!this.kept) {
      this.#bytes = new Uint8Array(this.#rest());
      this.#start = 0;
      this.kept = true;
    }
  }

  read(bytes: Uint8Array, start: number, end: number): void {
    const count = end - start;
    if (!(count >= 0 && count <= this.count)) throw new RangeError(`read: ${count} of ${this.count} bytes`);
    if (count === 0) return;
    bytes.set(this.#bytes!.subarray(this.#start, this.#start + count), start);
    this.#start += count;
    this.count -= count;
  }

  clear(): void {
    this.count = 0;
    this.kept = false;
    this.#bytes = undefined;
  }

  #rest(): Uint8Array {
    return this.#bytes!.subarray(this.#start, this.#start + this.count);
  }
}

const NO_BYTES: Uint8Array = new Uint8Array(0);

/** The buffers that the sockets of one HAL share. */
class Buffers {
  /** Where Node puts received bytes; full only during the callback that tells of them. */
  readonly receive = new Uint8Array(RECEIVE_SIZE);
  readonly #spare: Buffer[] = [];

  /** What is viewed, until its socket ends: it is a client's buffer. */
  #viewed: Uint8Array | undefined;
  #viewStart = 0;
  #view = NO_BYTES;

  /** A view of `bytes[start..end)`: that of the call before if it is the same, as in a burst of messages. */
  view(bytes: Uint8Array, start: number, end: number): Uint8Array {
    if (bytes !== this.#viewed || start !== this.#viewStart || end - start !== this.#view.length) {
      this.#viewed = bytes;
      this.#viewStart = start;
      this.#view = bytes.subarray(start, end);
    }
    return this.#view;
  }

  forgetView(): void {
    this.#viewed = undefined;
    this.#view = NO_BYTES;
  }

  takeSend(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(SEND_SIZE);
  }

  giveSend(buffer: Buffer): void {
    if (this.#spare.length < SPARE_COUNT) this.#spare.push(buffer);
  }
}

class NodeTimer implements Timer {
  readonly #fire: () => void;
  #immediate: NodeJS.Immediate | undefined;
  #timeout: NodeJS.Timeout | undefined;
  #delayMs = 0;

  constructor(onTimer: () => void) {
    this.#fire = onTimer;
  }

  schedule(delayMs: number): void {
    if (this.#timeout !== undefined && delayMs === this.#delayMs) {
      this.#timeout.refresh(); // armed again without allocating, also after it fired
      return;
    }
    this.clear();
    this.#delayMs = delayMs;
    if (delayMs === 0) this.#immediate = setImmediate(this.#fire);
    else this.#timeout = setTimeout(this.#fire, delayMs);
  }

  clear(): void {
    clearImmediate(this.#immediate);
    clearTimeout(this.#timeout);
    this.#immediate = this.#timeout = undefined;
  }
}

function connector(host: string, port: number, secure: object | undefined, lookup: LookupFunction): Connect {
  const tcp = { host, port, lookup, autoSelectFamily: true, autoSelectFamilyAttemptTimeout: ADDRESS_TIMEOUT_MS };
  if (secure === undefined) return (onread) => connectTcp({ ...tcp, onread });
  const options = tlsOptions(secure);
  const servername = isIP(host) === 0 ? host : "";
  const tls = { servername, rejectUnauthorized: true, ...options, secureContext: secureContext(options), ...tcp };
  return (onread) => connectTls({ ...tls, onread } as ConnectionOptions);
}

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
const PEM_EXPECTED = "PEM text, its bytes, or an array of these";
const VERSION_EXPECTED = '"TLSv1.2" or another version';

const TLS_CHECKS: Record<keyof TlsOptions, [check: (value: unknown) => boolean, expected: string]> = {
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

/** A copy of `secure` without what is undefined in it. Wrong values are not repeated in errors: they may be secrets. */
function tlsOptions(secure: object): TlsOptions {
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(secure)) {
    if (!Object.hasOwn(TLS_CHECKS, name)) throw new TypeError(`secure.${name}: no such TLS option`);
    if (value === undefined) continue;
    const [check, expected] = TLS_CHECKS[name as keyof TlsOptions];
    if (!check(value)) throw new TypeError(`secure.${name}: not ${expected}`);
    options[name] = value;
  }
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

function failureOf(error: NodeJS.ErrnoException, state: number, received: boolean): SocketFailure {
  const code = error.code ?? "";
  // With TLS 1.3 a server refuses the client's certificate when the client's side of the handshake is done.
  if (state === UP) return !received && /^ERR_SSL_.*_ALERT_/.test(code) ? "tls" : "closed";
  // Node tells of several addresses in an AggregateError.
  const tried = (error as { errors?: NodeJS.ErrnoException[] }).errors ?? [error];
  if (tried.some((each) => each.code === "ECONNREFUSED")) return "refused";
  if (tried.some((each) => each.code === "ETIMEDOUT")) return "timeout";
  return state === HANDSHAKING ? "tls" : "unreachable";
}

/** Node with its own name resolution. */
const hal: Hal = createNodeHal();
export default hal;
