/**
 * A HAL on ECMA-419: sockets from any provider in its pattern, `{socket: {io, ...}, dns: {io, ...}}`, and the timers,
 * clock and text conversion of the Moddable SDK. What a board differs in comes as options.
 *
 * Knows nothing of MQTT and imports nothing of a platform, so that test doubles, proxies and other boards fit too.
 * Facts about the SDK are those of its version 8.2.3, with the file they were read in.
 *
 * Invariant: once `close()` was called, or the end was told, the handler hears nothing more, whatever the platform
 * does.
 */
import { checkTlsOptions, guardTcp, mergeTlsOptions } from "./ecma419-tls.js";
import type { TlsWatcher } from "./ecma419-tls.js";
import type { Capacities, Hal, Socket, SocketFailure, SocketHandler, Text, Timer } from "./socket.js";

/** A connection of ECMA-419's TCP class (clause 11.2), or of a TLS class like it, as far as it is used here. */
export interface Ecma419Tcp {
  /** Fills the whole view and returns its length. Throws when less is there. */
  read(bytes: Uint8Array): unknown;
  /** Returns the bytes that may be written next. After the peer closed: throws, or returns undefined. */
  write(bytes: Uint8Array): unknown;
  close(): unknown;
}

/** A resolver of ECMA-419 (clause 21), as far as it is used here. */
export interface Ecma419Resolver {
  resolve(options: {
    host: string;
    onResolved: (host: string, address: string) => void;
    onError: (error?: unknown) => void;
  }): unknown;
  close(): unknown;
}

/** Where connections come from: what stands in `device.network.mqtt` and `device.network.mqtts`. */
export interface Ecma419Provider {
  /** `io` is the class, TCP or TLS; the rest goes to its constructor. */
  socket: { io: new (options: never) => Ecma419Tcp };
  /** `io` is the class; its constructor gets the whole object. Not needed for connections to dotted addresses. */
  dns?: { io: new (options: never) => Ecma419Resolver };
}

/** The SDK's module `timer`, as far as it is used here. */
export interface Ecma419Timers<Id = unknown> {
  set(callback: () => void, delayMs: number): Id;
  repeat(callback: () => void, intervalMs: number): Id;
  schedule(timer: Id, delayMs?: number, intervalMs?: number): void;
  clear(timer: Id): void;
}

/** The classes of the SDK's modules `text/encoder` and `text/decoder`, which are those of the Encoding Standard. */
export interface Ecma419TextModules {
  TextEncoder: new () => { encodeInto(string: string, bytes: Uint8Array): { read: number; written: number } };
  TextDecoder: new (label: "utf-8", options: { fatal: boolean; ignoreBOM: boolean }) => {
    decode(bytes: Uint8Array): string;
  };
}

/** What a HAL on ECMA-419 is made of. */
export interface Ecma419Options extends Ecma419TextModules {
  /** For connections without TLS. Undefined where there are none. */
  tcp: Ecma419Provider | undefined;
  /** For connections with TLS. Undefined where there is none. */
  tls: Ecma419Provider | undefined;
  /** Why there is no TLS; ends the error that a wish for TLS gets. "this platform has none" by default. */
  noTls?: string;
  timers: Ecma419Timers;
  /** Milliseconds, as in `Hal.now`. */
  now: () => number;
  /** As in `Hal.generateId`; undefined where the board cannot tell a name of its own now: then it is a random one. */
  generateId: () => string | undefined;
  /** As in `Hal.defaults`. */
  defaults: Capacities;
  /**
   * Time between a call of `open` and the creation of the platform's socket, for a platform that does not bear sockets
   * that come and go quickly. Milliseconds.
   */
  openDelayMs: number;
  /**
   * A socket with bytes in flight is closed once they have arrived, at the latest after this time, and what comes until
   * then is read: for a network stack that would drop them, or worse. 0: closed at once. Milliseconds.
   */
  drainMs: number;
}

/** Bytes by which TLS may make a write longer: record header, nonce, MAC and padding of any cipher suite. */
const TLS_OVERHEAD = 96;
/** Most bytes that fit one record; the SDK's class throws above (modules/crypt/ssl/session_419.js). */
const TLS_MOST = 16384;
/** Bytes that are read at a time when they are to be dropped. */
const DROP_MOST = 512;
/** What the SDK's timers can count. */
const MOST_DELAY_MS = 2147483647;

/** Makes a HAL. It keeps nothing that changes, so that it may be made in a preloaded module. */
export function createEcma419Hal(options: Ecma419Options): Hal {
  return new Ecma419Hal(options);
}

/** The platform, as the client sees it. */
export class Ecma419Hal implements Hal {
  readonly defaults: Capacities;
  /** For HALs made from this one. @internal */
  readonly _options: Ecma419Options;

  constructor(options: Ecma419Options) {
    this.defaults = options.defaults;
    this._options = options;
  }

  open(host: string, port: number, secure: object | undefined, handler: SocketHandler): Socket {
    const provider = findProvider(this._options, secure !== undefined);
    if (!isAddress(host) && (provider.dns === undefined || typeof provider.dns.io !== "function")) {
      throw new TypeError("dns.io is missing: nothing resolves the host name " + host);
    }
    return new Ecma419Socket(this._options, provider, host, port, secure, handler);
  }

  checkSecure(secure: object): void {
    findProvider(this._options, true);
    checkTlsOptions(secure as Record<string, unknown>);
  }

  createText(): Text {
    return new Ecma419Text(this._options);
  }

  createTimer(onTimer: () => void): Timer {
    return new Ecma419Timer(this._options.timers, onTimer);
  }

  now(): number {
    return this._options.now();
  }

  uncaught(error: unknown): void {
    this._options.timers.set(() => {
      throw error;
    }, 0);
  }

  generateId(): string {
    return this._options.generateId() || Math.random().toString(36).substring(2, 14) || "0";
  }
}

/** The provider of `options` for connections with or without TLS. Throws a TypeError that names what it lacks. */
export function findProvider(options: Ecma419Options, isTls: boolean): Ecma419Provider {
  const provider = isTls ? options.tls : options.tcp;
  if (provider === undefined) {
    if (!isTls) throw new TypeError("socket.io is missing: the platform has no TCP without TLS");
    throw new TypeError("secure: no TLS, since " + (options.noTls || "this platform has none"));
  }
  // Its type says that it is there; the object may come from elsewhere.
  const socket = provider.socket as Ecma419Provider["socket"] | undefined;
  if (socket === undefined || typeof socket.io !== "function") {
    throw new TypeError("socket.io is missing: the provider of " + (isTls ? "TLS" : "TCP") + " has no class");
  }
  return provider;
}

/** True for an IPv4 address in dotted form, which needs no resolver. */
export function isAddress(host: string): boolean {
  const parts = host.split(".");
  for (let i = 0; i < parts.length; i++) {
    const part = Number(parts[i]);
    if (!(part >= 0 && part <= 255) || String(part) !== parts[i]) return false;
  }
  return parts.length === 4;
}

/** One connection. It gets its address, its TCP and its end from the platform, each in a callback of its own. */
export class Ecma419Socket implements Socket, TlsWatcher {
  /** The platform's `read` is running. */
  isReading = false;
  /** Set by the guard of TLS. */
  isEncrypted = false;
  private readonly _options: Ecma419Options;
  protected _provider: Ecma419Provider;
  private readonly _host: string;
  private readonly _port: number;
  private readonly _secure: object | undefined;
  /** Who hears what happens; undefined once there is nothing more to hear. */
  private _handler: SocketHandler | undefined;
  private _resolver: Ecma419Resolver | undefined = undefined;
  private _io: Ecma419Tcp | undefined = undefined;
  /** Of the delay before, of the end that is to be told, or of the drain behind it: never two at a time. */
  private _timer: unknown = undefined;
  /** What a failure would be now. */
  protected _nextFailure: SocketFailure = "unreachable";
  private _isClosed = false;
  /** Bytes that were announced and not read. */
  private _unread = 0;
  /** Bytes that may be written. */
  private _room = 0;
  /** Most room that was ever announced: when it is back, nothing is in flight. */
  private _mostRoom = 0;
  private _isInFlight = false;
  /** TLS runs on a TCP with the guard in front. */
  private _isGuarded = false;
  /** Set when the connection is over, which is told when everything is read. */
  private _failure: SocketFailure | undefined = undefined;
  private _detail: unknown = undefined;

  constructor(
    options: Ecma419Options,
    provider: Ecma419Provider,
    host: string,
    port: number,
    secure: object | undefined,
    handler: SocketHandler,
  ) {
    this._options = options;
    this._provider = provider;
    this._host = host;
    this._port = port;
    this._secure = secure;
    this._handler = handler;
    this._later(() => this._resolve(), options.openDelayMs);
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    const count = end - start;
    if (this._isClosed) throw new Error("read from a closed socket");
    if (!(count >= 0 && count <= this._unread && end <= bytes.length)) {
      throw new RangeError("read: " + String(count) + " of " + String(this._unread) + " bytes");
    }
    if (count > 0) this._take(this._io as Ecma419Tcp, bytes.subarray(start, end));
    if (count > 0 && this._unread === 0 && this._failure !== undefined) this._tellLater();
    return count;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    const count = end - start;
    if (this._isClosed) throw new Error("write to a closed socket");
    if (this._failure !== undefined) return 0;
    if (!(count >= 0 && count <= this._room && end <= bytes.length)) {
      throw new RangeError("write: " + String(count) + " bytes into room for " + String(this._room));
    }
    if (count === 0) return this._room;
    try {
      this._isInFlight = true;
      const room = this._roomOf((this._io as Ecma419Tcp).write(bytes.subarray(start, end)));
      // A TLS class reckons differently here and in onWritable: never more than was announced.
      this._room = Math.min(room, this._room - count);
      return this._room;
    } catch (error) {
      // The peer has closed, or the platform lacks the memory. It may tell so itself, or not.
      this._fail(this._nextFailure, error);
      return 0;
    }
  }

  close(): void {
    // Once: a second call would begin the drain anew.
    if (this._isClosed) return;
    this._isClosed = true;
    this._handler = undefined;
    this._clearTimer();
    this._closeResolver();
    if (this._io === undefined) return;
    if (this._isInFlight && this._failure === undefined && this._options.drainMs > 0) {
      this._later(() => this._end(), this._options.drainMs);
      this._drop();
    } else {
      this._end();
    }
  }

  onTcpWritable(count: number): void {
    if (this._nextFailure === "unreachable") this._nextFailure = "tls";
    this._onRoom(count);
  }

  onTcpWrite(): void {
    this._isInFlight = true;
  }

  onTlsThrown(error: unknown): void {
    this._fail(this._nextFailure, error);
  }

  private _resolve(): void {
    if (isAddress(this._host)) {
      this._connect(this._host);
      return;
    }
    const dns = this._provider.dns as NonNullable<Ecma419Provider["dns"]>;
    try {
      const resolver = new dns.io(dns as never);
      this._resolver = resolver;
      resolver.resolve({
        host: this._host,
        onResolved: (_host, address) => {
          // There are resolvers that answer after close() too.
          if (this._resolver !== resolver) return;
          this._closeResolver();
          this._connect(address);
        },
        onError: (error) => {
          if (this._resolver === resolver) this._fail("dns", error);
        },
      });
    } catch (error) {
      this._fail("dns", error);
    }
  }

  private _closeResolver(): void {
    const resolver = this._resolver;
    this._resolver = undefined;
    if (resolver !== undefined) resolver.close();
  }

  private _connect(address: string): void {
    const socket = this._provider.socket;
    const options = Object.assign({}, socket, {
      address,
      host: this._host,
      port: this._port,
      // The standard's name, and the SDK's.
      noDelay: true,
      nodelay: true,
      onReadable: (count: number) => this._onReadable(count),
      onWritable: (count: number) => this._onWritable(count),
      onError: (error?: unknown) => this._fail(this._nextFailure, error),
    }) as { secure?: object; TCP?: { io: unknown } };
    if (this._secure !== undefined) {
      options.secure = mergeTlsOptions(options.secure, this._secure);
      if (options.TCP !== undefined) {
        this._isGuarded = true;
        options.TCP = guardTcp(options.TCP, this, this._options.timers);
      }
    }
    try {
      this._io = new socket.io(options as never);
    } catch (error) {
      this._fail("unreachable", error);
    }
  }

  /**
   * So much room there is: with all of it back nothing is in flight, and a drain is over. Below a guard it is TCP's
   * room that tells; that of TLS is always less.
   */
  private _onRoom(count: number): void {
    if (count > this._mostRoom) this._mostRoom = count;
    if (count === this._mostRoom) this._isInFlight = false;
    if (this._handler === undefined && !this._isInFlight) this._end();
  }

  private _onWritable(count: number): void {
    this._onRoom(count);
    const room = this._roomOf(count);
    if (this._isGuarded && !this.isEncrypted) {
      this._fail("tls", new Error("TLS ended before it was up"));
    } else if (this._handler !== undefined && room > 0 && this._failure === undefined) {
      this._nextFailure = "closed";
      this._room = room;
      this._handler.onWritable(room);
    }
  }

  private _onReadable(count: number): void {
    if (count <= this._unread) return;
    this._unread = count;
    if (this._handler === undefined) {
      this._drop();
    } else {
      // An end that was to be told comes behind these bytes: after a failed write, TCP and TLS may still hold some.
      if (this._failure !== undefined) this._clearTimer();
      this._handler.onReadable(count);
    }
  }

  /** What may be written, of the room that the platform states; after the end it states none. */
  private _roomOf(count: unknown): number {
    if (typeof count !== "number") return 0;
    const room = this._secure === undefined ? count : Math.min(count - TLS_OVERHEAD, TLS_MOST);
    return room > 0 ? room : 0;
  }

  private _take(io: Ecma419Tcp, view: Uint8Array): void {
    this.isReading = true;
    this._unread -= view.length;
    io.read(view);
    this.isReading = false;
  }

  /** Reads what nobody wants: with it unread, lwip would reset the connection, and what is in flight be lost. */
  private _drop(): void {
    const scratch = new Uint8Array(Math.min(this._unread, DROP_MOST));
    while (this._io !== undefined && this._unread > 0) {
      this._take(this._io, scratch.subarray(0, Math.min(this._unread, DROP_MOST)));
    }
  }

  private _fail(failure: SocketFailure, detail: unknown): void {
    if (this._failure !== undefined) return;
    this._failure = failure;
    this._detail = detail;
    this._closeResolver();
    if (this._unread === 0) this._tellLater();
  }

  /** Never at once: who is told may be in the middle of a call, and the platform in the middle of its callback. */
  private _tellLater(): void {
    this._later(() => {
      const handler = this._handler;
      this._handler = undefined;
      this._end();
      if (handler !== undefined) handler.onError(this._failure as SocketFailure, this._detail);
    }, 0);
  }

  private _end(): void {
    const io = this._io;
    this._clearTimer();
    this._io = undefined;
    if (io !== undefined) io.close();
  }

  private _later(callback: () => void, delayMs: number): void {
    this._clearTimer();
    this._timer = this._options.timers.set(() => {
      this._timer = undefined;
      callback();
    }, delayMs);
  }

  private _clearTimer(): void {
    if (this._timer !== undefined) this._options.timers.clear(this._timer);
    this._timer = undefined;
  }
}

/** On a timer of the platform that is made once and rescheduled, which allocates nothing. */
class Ecma419Timer implements Timer {
  private readonly _timers: Ecma419Timers;
  private readonly _timer: unknown;

  constructor(timers: Ecma419Timers, onTimer: () => void) {
    this._timers = timers;
    // The SDK frees a timer that does not repeat once it has fired, also when it was scheduled again meanwhile
    // (modules/base/timer/modTimer.c). So it repeats, and is unscheduled each time.
    this._timer = timers.repeat(() => {
      this.clear();
      onTimer();
    }, MOST_DELAY_MS);
    this.clear();
  }

  schedule(delayMs: number): void {
    const timeMs = delayMs > 0 ? delayMs : 1;
    // Stopped first: if it was due in the round of timers that runs now, it would still fire in it (mc/timer.c).
    this.clear();
    // The same interval behind: where that differs, the SDK for Linux starts a second timer beside one that is
    // scheduled in its callback (modules/base/timer/lin).
    this._timers.schedule(this._timer, timeMs, timeMs);
  }

  clear(): void {
    this._timers.schedule(this._timer);
  }
}

/** Count of U+FFFD in a string, and one. */
function substitutes(string: string): number {
  return string.split("\ufffd").length;
}

/** On the native conversions of the Encoding Standard. */
class Ecma419Text implements Text {
  private readonly _encoder;
  private readonly _decoder;
  private readonly _fatalDecoder;

  constructor(modules: Ecma419TextModules) {
    this._encoder = new modules.TextEncoder();
    this._decoder = new modules.TextDecoder("utf-8", { fatal: false, ignoreBOM: true });
    this._fatalDecoder = new modules.TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  }

  encode(string: string, bytes: Uint8Array, offset: number, end: number): number {
    const view = bytes.subarray(offset, end);
    const result = this._encoder.encodeInto(string, view);
    const length = string.length;
    if (result.read < length) return -1;
    const behind = offset + result.written;
    // Longer than the string: not ASCII alone. A lone surrogate is then written as it is, or as U+FFFD.
    if (result.written > length) {
      const written = this.decode(bytes, offset, behind, true);
      // XS tells a pair of surrogates that came from two strings from the character that it is written as.
      if (written === undefined || (written !== string && substitutes(written) > substitutes(string))) return -2;
    }
    return behind;
  }

  decode(bytes: Uint8Array, start: number, end: number, fatal: true): string | undefined;
  decode(bytes: Uint8Array, start: number, end: number, fatal: false): string;
  decode(bytes: Uint8Array, start: number, end: number, fatal: boolean): string | undefined {
    const view = bytes.subarray(start, end);
    if (!fatal) return this._decoder.decode(view);
    try {
      return this._fatalDecoder.decode(view);
    } catch (error) {
      return undefined;
    }
  }
}
