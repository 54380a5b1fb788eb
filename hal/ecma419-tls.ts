/**
 * What the TLS class of the Moddable SDK needs around it: a check of its options, and a guard between it and its TCP.
 *
 * The class is JavaScript on a TCP that it is handed (examples/io/tcp/tlssocket/tlssocket.js, modules/crypt/ssl). It
 * leaves three doors open to the network, which the guard closes. It throws inside the callbacks of TCP and of a timer
 * at whatever is wrong with a handshake or a record, which on a board is a reset. It takes a `close_notify` during the
 * handshake for its end, and would then send what it is given unencrypted, passwords too, or to a peer that has not
 * finished the handshake. And it keeps data that comes unencrypted during the handshake, from anyone, and would hand it
 * out as the peer's once it is up.
 */
import type { Ecma419Tcp, Ecma419Timers } from "./ecma419.js";

/** The options of TLS that the SDK's class has under `secure` (examples/io/tcp/tlssocket/tlssocket.js). */
export interface Ecma419TlsOptions {
  /** Name to ask for (SNI) and to find in the peer's certificate. Default: the host. */
  serverName?: string;
  /** A certificate authority to trust beside those that are built in, DER. */
  certificate?: Uint8Array | ArrayBuffer;
  /** False accepts any certificate, so that anyone may listen. Default: true. */
  verify?: boolean;
  /** The client's certificates, DER. */
  clientCertificates?: (Uint8Array | ArrayBuffer)[];
  /** The private key of the first of them, PKCS8, DER. */
  clientKey?: Uint8Array | ArrayBuffer;
  /** Protocols to offer (ALPN), e.g. `["mqtt"]`. Default: none. */
  applicationLayerProtocolNegotiation?: string | string[];
  /** Most bytes in a record: 512, 1024, 2048 or 4096. The peer has to agree. Default: 16,384. */
  tls_max_fragment_length?: number;
}

/** First bytes of TLS records. */
const CHANGE_CIPHER_SPEC = 20;
const APPLICATION_DATA = 23;
/** Their header: type, version (2), length (2). */
const HEADER_LENGTH = 5;

function isBytes(value: unknown): boolean {
  return value instanceof Uint8Array || value instanceof ArrayBuffer;
}

function isListOf(value: unknown, isItem: (item: unknown) => boolean): boolean {
  return Array.isArray(value) && value.length > 0 && value.every(isItem);
}

function isString(value: unknown): boolean {
  return typeof value === "string" && value !== "";
}

/** What an option of TLS must be and is not; undefined when it is. */
function expectedTls(name: string, value: unknown): string | undefined {
  switch (name) {
    case "serverName":
      return isString(value) ? undefined : "a string, not empty";
    case "certificate":
    case "clientKey":
      return isBytes(value) ? undefined : "a Uint8Array or an ArrayBuffer";
    case "clientCertificates":
      return isListOf(value, isBytes) ? undefined : "an array of Uint8Array or ArrayBuffer, not empty";
    case "verify":
      return typeof value === "boolean" ? undefined : "a boolean";
    case "applicationLayerProtocolNegotiation":
      return isString(value) || isListOf(value, isString) ? undefined : "a string or an array of strings";
    case "tls_max_fragment_length":
      return [512, 1024, 2048, 4096].includes(value as number) ? undefined : "512, 1024, 2048 or 4096";
    default:
      return "left out: there is no such TLS option";
  }
}

/** Throws a TypeError that names the first wrong option. Its value is not repeated: it may be a secret. */
export function checkTlsOptions(secure: Record<string, unknown>): void {
  for (const name in secure) {
    const expected = secure[name] === undefined ? undefined : expectedTls(name, secure[name]);
    if (expected !== undefined) throw new TypeError("secure." + name + " must be " + expected);
  }
}

/**
 * Options of a provider with a caller's over them; what is undefined there is left to the provider, or the default.
 *
 * The class keeps the last session, and resumes it by its `serverName` alone, without another look at certificates
 * (modules/crypt/ssl/ssl_cache.js). A peer that nobody verified is therefore not to be kept.
 */
export function mergeTlsOptions(own: object | undefined, secure: object): object {
  const options = Object.assign({}, own) as Record<string, unknown>;
  const wanted = secure as Record<string, unknown>;
  for (const name in wanted) {
    // The class would take a `serverName` of undefined for a name.
    if (wanted[name] !== undefined) options[name] = wanted[name];
  }
  if (options.verify === false) options.cache = false;
  return options;
}

/** Who is told what the guard sees. */
export interface TlsWatcher {
  /** The TLS class's `read` is running. */
  readonly isReading: boolean;
  /** The guard sets it when CHANGE_CIPHER_SPEC has gone both ways: before that, TLS is not up, whatever it says. */
  isEncrypted: boolean;
  /** TCP has so much room; the first time it has come up: from now on it is the handshake that fails. */
  onTcpWritable(count: number): void;
  /** TLS writes to TCP. */
  onTcpWrite(): void;
  /** The TLS class threw. It is not to be used any more. */
  onTlsThrown(error: unknown): void;
}

/** What the TLS class hands to the constructor of its TCP. */
interface GuardedTcpOptions {
  TCP: { guardedIo: new (options: object) => Ecma419Tcp; watcher: TlsWatcher; timers: Ecma419Timers };
  onReadable: (count: number) => void;
  onWritable: (count: number) => void;
  onError: (error?: unknown) => void;
}

/**
 * The provider of TCP inside a provider of TLS, with the guard in front of its class.
 *
 * @param tcp `{io}`: the class that TLS is to run on
 */
export function guardTcp(tcp: { io: unknown }, watcher: TlsWatcher, timers: Ecma419Timers): { io: unknown } {
  return Object.assign({}, tcp, { io: GuardedTcp, guardedIo: tcp.io, watcher, timers });
}

/** A TCP connection as the TLS class uses it: `readable` and `writable` are the class's own, kept here. */
class GuardedTcp {
  writable = 0;
  private readonly _tcp: Ecma419Tcp;
  private readonly _watcher: TlsWatcher;
  private readonly _timers: Ecma419Timers;
  private readonly _onReadable: (count: number) => void;
  private _readable = 0;
  /** It was closed, or TLS threw: TLS hears nothing more. */
  private _isOver = false;
  /** CHANGE_CIPHER_SPEC was sent. */
  private _isEncrypting = false;
  /** CHANGE_CIPHER_SPEC was received. Until then the records' headers are looked at. */
  private _isDecrypting = false;
  /** Where in a header the next byte belongs. */
  private _headerOffset = 0;
  /** Bytes missing of the record behind the header. */
  private _recordLeft = 0;
  private _timer: unknown = undefined;

  constructor(options: GuardedTcpOptions) {
    const watcher = options.TCP.watcher;
    this._watcher = watcher;
    this._timers = options.TCP.timers;
    this._onReadable = options.onReadable;
    const guarded = {
      onReadable: (count: number) => this._read(count),
      onWritable: (count: number) => {
        watcher.onTcpWritable(count);
        if (this._isOver) return;
        try {
          options.onWritable(count);
        } catch (error) {
          this._fail(error);
        }
      },
    };
    this._tcp = new options.TCP.guardedIo(Object.assign({}, options, guarded));
  }

  /**
   * Bytes that TLS has not taken. At the end of its `read` it asks for them to go on in a timer of its own, where
   * nobody would catch what it throws: there it learns of none, and goes on in a timer from here.
   */
  get readable(): number {
    if (!this._watcher.isReading) return this._readable;
    if (this._readable > 0 && this._timer === undefined) {
      this._timer = this._timers.set(() => {
        this._timer = undefined;
        this._read(this._readable);
      }, 0);
    }
    return 0;
  }

  set readable(count: number) {
    this._readable = count;
  }

  read(bytes: Uint8Array): unknown {
    const count = this._tcp.read(bytes);
    if (!this._isDecrypting) this._inspect(bytes);
    this._watcher.isEncrypted = this._isEncrypting && this._isDecrypting;
    return count;
  }

  write(bytes: Uint8Array): unknown {
    const watcher = this._watcher;
    if (bytes[0] === CHANGE_CIPHER_SPEC) this._isEncrypting = true;
    watcher.isEncrypted = this._isEncrypting && this._isDecrypting;
    if (bytes[0] === APPLICATION_DATA && !watcher.isEncrypted) throw new Error("TLS ended before it was up");
    watcher.onTcpWrite();
    return this._tcp.write(bytes);
  }

  close(): void {
    this._isOver = true;
    if (this._timer !== undefined) this._timers.clear(this._timer);
    this._timer = undefined;
    this._tcp.close();
  }

  /** Throws when a record of data begins in `bytes`, which are not encrypted up to CHANGE_CIPHER_SPEC. */
  private _inspect(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length && !this._isDecrypting; i++) {
      if (this._headerOffset < HEADER_LENGTH) {
        const offset = this._headerOffset++;
        if (offset === 0) {
          this._isDecrypting = bytes[i] === CHANGE_CIPHER_SPEC;
          if (bytes[i] === APPLICATION_DATA) throw new Error("data before TLS was up");
        } else if (offset >= 3) {
          this._recordLeft = ((this._recordLeft << 8) | bytes[i]) & 0xffff;
        }
      } else {
        const part = Math.min(this._recordLeft, bytes.length - i);
        this._recordLeft -= part;
        i += part - 1;
      }
      if (this._headerOffset === HEADER_LENGTH && this._recordLeft === 0) this._headerOffset = 0;
    }
  }

  private _read(count: number): void {
    if (this._isOver) return;
    try {
      this._onReadable(count);
    } catch (error) {
      this._fail(error);
    }
  }

  private _fail(error: unknown): void {
    this._isOver = true;
    this._watcher.onTlsThrown(error);
  }
}
