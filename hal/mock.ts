/**
 * A HAL for tests: a network that follows the test's script, and a clock that the test turns by hand.
 *
 * Its sockets have the manners of a board's, and throw where a board's would crash or, worse, go on: when more is read
 * than was announced, more written than there is room for, or anything done after `close()`. Nothing happens by itself.
 * What the network does while the client is inside a call or a callback waits until that is over, so callbacks never
 * nest; what is left then comes with the next event, with `settle()` or with `advance()`. Needs nothing but the
 * language, so it runs inside XS as well.
 */

import type { Capacities, Hal, Socket, SocketFailure, SocketHandler, Text, Timer } from "./socket.js";

export { MockStore, PowerCut } from "./mock-store.js";

/** Settings of {@link MockHal}. */
export interface MockHalOptions {
  /** What `now()` says at the start, ms, cut to 32 bits as on a board. Default: 0. Just before it wraps: 0x7fffff00. */
  now?: number;
  /** Send buffer of a socket, bytes. Default: 2920, an ESP8266's. */
  room?: number;
  /** Receive window of a socket: unread bytes at which it stops taking more from the network. Default: 5840. */
  window?: number;
  /** Text conversion. Default: {@link ScriptText}. */
  text?: Text;
  /** What `generateId` returns, each time. Default: `"5ccf7f00a1b2"`. */
  id?: string;
  /** Capacities that differ from a small board's: rx 1024, tx 2048, 16 operations, 16 incoming QoS 2 messages. */
  defaults?: Partial<Capacities>;
}

/**
 * @example
 * const hal = new MockHal();
 * const socket = hal.open("broker", 1883, undefined, handler);
 * hal.socket.connect();                      // handler.onWritable(2920)
 * hal.socket.receive([0x20, 2, 0, 0]);       // handler.onReadable(4)
 * hal.advance(60000);                        // timers, each at its time
 * expect(hal.socket.takeSent()).toEqual(...)
 */
export class MockHal implements Hal {
  /** Every socket opened so far, in order. */
  readonly sockets: MockSocket[] = [];
  /** Called with each new socket when the call that opened it is over: connects, fails, answers. */
  script: ((socket: MockSocket) => void) | undefined;
  /** True: no socket is left, `open` returns undefined. */
  exhausted = false;
  /** The TLS options that `checkSecure` knows; undefined: no TLS here. */
  tlsOptions: string[] | undefined = ["ca", "cert", "key", "servername"];
  /** What `uncaught` was given. */
  readonly uncaughtErrors: unknown[] = [];
  readonly defaults: Capacities;
  readonly #events: Events;
  readonly #room: number;
  readonly #window: number;
  readonly #id: string;
  readonly #text: Text;

  constructor(options: MockHalOptions = {}) {
    this.#events = new Events(options.now ?? 0);
    this.#room = options.room ?? 2920;
    this.#window = options.window ?? 5840;
    this.#id = options.id ?? "5ccf7f00a1b2";
    this.#text = options.text ?? new ScriptText();
    this.defaults = {
      rxCapacity: 1024,
      txCapacity: 2048,
      maxOperations: 16,
      receiveMaximum: 16,
      ...options.defaults,
    };
  }

  /** The socket opened last. Throws when there is none. */
  get socket(): MockSocket {
    const socket = this.sockets.at(-1);
    if (socket === undefined) throw new Error("no socket was opened");
    return socket;
  }

  /** Milliseconds until the client's next timer, 0 when one is due; undefined when none is armed. */
  get nextTimerMs(): number | undefined {
    return this.#events.nextTimerMs();
  }

  /** Runs what is due now: waiting events, timers scheduled with 0, and what these bring about. */
  settle(): void {
    this.#events.advance(0);
  }

  /** Lets `ms` pass: settles, then fires timers in order, `now()` being exactly their time, and settles after each. */
  advance(ms: number): void {
    this.#events.advance(ms);
  }

  /** Calls `action` in `ms`, as an event of the network: `hal.after(5000, () => socket.fail("dns"))`. */
  after(ms: number, action: () => void): void {
    this.#events.schedule({ due: this.#events.time + ms, fire: action, client: false });
  }

  open(host: string, port: number, secure: object | undefined, handler: SocketHandler): Socket | undefined {
    if (host === "") throw new TypeError("open: empty host");
    if (!(Number.isInteger(port) && port >= 1 && port <= 65535)) throw new RangeError(`open: port ${port}`);
    if (secure !== undefined) this.checkSecure(secure);
    if (this.exhausted) return undefined;
    const socket = new MockSocket(this.#events, host, port, secure, handler, this.#room, this.#window);
    this.sockets.push(socket);
    this.#events.enqueue(() => this.script?.(socket));
    return socket;
  }

  checkSecure(secure: object): void {
    if (this.tlsOptions === undefined) throw new TypeError("secure: no TLS here");
    for (const name of Object.keys(secure)) {
      if (!this.tlsOptions.includes(name)) throw new TypeError(`secure.${name}: no such TLS option`);
    }
  }

  createText(): Text {
    return this.#text;
  }

  createTimer(onTimer: () => void): Timer {
    return new MockTimer(this.#events, onTimer);
  }

  now(): number {
    return this.#events.time | 0;
  }

  uncaught(error: unknown): void {
    this.uncaughtErrors.push(error);
  }

  generateId(): string {
    return this.#id;
  }
}

/** Bytes as a test writes them: a Uint8Array or a list of numbers. */
export type Bytes = ArrayLike<number>;

/**
 * A connection, made by `open`: the client's end (`read`, `write`, `close`) and the network's. The network's methods
 * are events: the handler is called before they return or, in a callback, after it. Once the client closed or the
 * connection broke they have no effect; what a network cannot do, such as bytes behind a FIN, throws.
 */
export class MockSocket implements Socket {
  readonly host: string;
  readonly port: number;
  /** Undefined for TCP. */
  readonly secure: object | undefined;
  /** The most bytes that are announced at a time: 1 delivers byte by byte. 0: whatever one `receive` brings. */
  fragment = 0;
  /** The peer: gets a copy of each write when the call that wrote is over. */
  onWrite: ((bytes: Uint8Array) => void) | undefined;
  /** Count of writes, those of 0 bytes aside. */
  writes = 0;
  /** The client closed it. */
  closed = false;
  /** `onError` was called. */
  over = false;

  readonly #events: Events;
  readonly #handler: SocketHandler;
  readonly #window: number;
  #connecting = true;
  #room: number;
  #writable = 0;
  #stalled = false;
  /** Written, and not yet taken by the network. */
  #pending = 0;
  #sent: number[] = [];
  #taken = 0;
  #bytesUntilFailure = Infinity;
  #writesUntilFailure = Infinity;
  /** Received by the network, not yet announced. */
  #network: Uint8Array[] = [];
  #unread: number[] = [];
  /** How it ends, behind what is still to be read; `reads`: the peer goes on reading until then. */
  #ending: { failure: SocketFailure; detail: unknown; reads: boolean } | undefined;
  /** Nothing goes either way any more. */
  #lost = false;

  constructor(
    events: Events,
    host: string,
    port: number,
    secure: object | undefined,
    handler: SocketHandler,
    room: number,
    window: number,
  ) {
    this.#events = events;
    this.host = host;
    this.port = port;
    this.secure = secure;
    this.#handler = handler;
    this.#room = room;
    this.#window = window;
  }

  /** The connection is up, with a send buffer of `room` bytes, 1 or more; by default the HAL's. */
  connect(room = this.#room): void {
    if (this.closed || this.#lost) return;
    if (!this.#connecting) throw new Error("connect: already up");
    if (room < 1) throw new RangeError("connect: room for nothing");
    this.#connecting = false;
    this.#room = room;
    this.#post(() => {
      this.#writable = room;
      this.#handler.onWritable(room);
    });
  }

  /** Bytes come, in one announcement unless `fragment` or the window splits them; several `chunks` are coalesced. */
  receive(...chunks: Bytes[]): void {
    if (this.closed || this.#lost) return;
    if (this.#connecting) throw new Error("receive: not connected");
    if (this.#ending !== undefined) throw new Error("receive: the peer has closed");
    const bytes: number[] = [];
    // Not by flatMap(), which overflows the stack of XS.
    for (const chunk of chunks) for (const byte of Array.from(chunk)) bytes.push(byte);
    if (bytes.length > 0) this.#network.push(Uint8Array.from(bytes));
    this.#post(() => this.#pump());
  }

  /** FIN behind everything received: `onError("closed")` once all is read. From its arrival on, nothing is written. */
  end(): void {
    this.#end(false);
  }

  /** Half a close: FIN as with `end()`, but the peer goes on reading, and writes are taken until `onError`. */
  endSending(): void {
    this.#end(true);
  }

  /** RST: what was not announced is lost, what was announced can be read, then comes `onError("closed")`. */
  reset(): void {
    this.fail("closed");
  }

  /** The attempt, or the connection as by `reset()`, ends with this `failure`; `detail` is the platform's own error. */
  fail(failure: SocketFailure, detail?: unknown): void {
    if (this.closed || this.#lost) return;
    if (this.#connecting && failure === "closed") throw new Error("fail: not connected");
    this.#lose(failure, detail);
    this.#post(() => this.#pump());
  }

  /** The peer stops reading, though it may send: no room returns for what is written. */
  stall(): void {
    this.#stalled = true;
  }

  /** The end of `stall()`: room returns for all that was written. */
  unstall(): void {
    this.#stalled = false;
    this.drain();
  }

  /** While stalled: the network takes `count` bytes of what was written, by default all, and room returns for them. */
  drain(count = this.#pending): void {
    if (count < 0 || count > this.#pending) throw new RangeError(`drain: ${count} of ${this.#pending} bytes`);
    this.#pending -= count;
    if (count > 0) this.#post(() => this.#returnRoom(count));
  }

  /** Takes `count` more bytes; the connection breaks in the write that goes beyond. */
  failAfterBytes(count: number): void {
    this.#bytesUntilFailure = count;
  }

  /** Takes `count` more writes; the connection breaks in the next one. */
  failAfterWrites(count: number): void {
    this.#writesUntilFailure = count;
  }

  /** Bytes that may be written now. */
  get room(): number {
    return this.#writable;
  }

  /** Bytes announced and not yet read. */
  get unread(): number {
    return this.#unread.length;
  }

  /** Everything the client wrote. */
  get sent(): Uint8Array {
    return Uint8Array.from(this.#sent);
  }

  /** What the client wrote since the last `takeSent()`. */
  takeSent(): Uint8Array {
    const from = this.#taken;
    this.#taken = this.#sent.length;
    return Uint8Array.from(this.#sent.slice(from));
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    if (this.closed) throw new Error("read from a closed socket");
    checkRange("read", bytes, start, end);
    const count = end - start;
    if (count > this.unread) throw new RangeError(`read: ${count} of ${this.unread} bytes`);
    bytes.set(this.#unread.splice(0, count), start);
    if (count > 0) this.#events.enqueue(() => this.#pump()); // the window opened, or the end has come
    return count;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (this.closed) throw new Error("write to a closed socket");
    checkRange("write", bytes, start, end);
    if (this.#broken()) return 0;
    const count = end - start;
    if (count > this.#writable) throw new RangeError(`write: ${count} bytes into room for ${this.#writable}`);
    if (count === 0) return this.#writable;
    if (this.#writesUntilFailure === 0) return this.#breakDown();
    const taken = new Uint8Array(bytes.subarray(start, start + Math.min(count, this.#bytesUntilFailure)));
    this.#writesUntilFailure--;
    this.#bytesUntilFailure -= taken.length;
    if (taken.length > 0) this.#record(taken);
    if (taken.length < count) return this.#breakDown();
    this.#writable -= count;
    this.#pending += count;
    if (!this.#stalled) this.#events.enqueue(() => this.#takePending());
    return this.#writable;
  }

  close(): void {
    this.closed = true;
  }

  #record(bytes: Uint8Array): void {
    this.writes++;
    for (const byte of bytes) this.#sent.push(byte);
    this.#events.enqueue(() => this.onWrite?.(bytes));
  }

  /** As an event of the network, unless the handler is not to hear of it any more. */
  #post(event: () => void): void {
    this.#events.post(() => {
      if (!this.closed && !this.over) event();
    });
  }

  #end(reads: boolean): void {
    if (this.closed || this.#lost) return;
    if (this.#connecting) throw new Error("end: not connected");
    if (this.#ending !== undefined) throw new Error("end: the peer has closed");
    this.#ending = { failure: "closed", detail: undefined, reads };
    this.#post(() => this.#pump());
  }

  #lose(failure: SocketFailure, detail?: unknown): void {
    this.#lost = true;
    this.#connecting = false;
    this.#network.length = 0;
    this.#ending = { failure, detail, reads: false };
  }

  /** Within a call of the client, so the news comes later. */
  #breakDown(): number {
    this.#lose("closed");
    this.#events.enqueue(() => this.#pump());
    return 0;
  }

  /** The end has arrived here, and nothing is written any more. */
  #broken(): boolean {
    return this.over || (this.#ending !== undefined && !this.#ending.reads && this.#network.length === 0);
  }

  /** One step of what comes in: the next announcement, or the end when all before it is read. */
  #pump(): void {
    if (this.closed || this.over) return;
    if (this.#network.length === 0) {
      if (this.#ending === undefined || this.unread > 0) return;
      this.over = true;
      this.#handler.onError(this.#ending.failure, this.#ending.detail);
      return;
    }
    const piece = this.#network[0];
    const count = Math.min(piece.length, this.fragment || Infinity, this.#window - this.unread);
    if (count <= 0) return;
    for (const byte of piece.subarray(0, count)) this.#unread.push(byte);
    if (count < piece.length) this.#network[0] = piece.subarray(count);
    else this.#network.shift();
    if (this.#network.length > 0) this.#events.enqueue(() => this.#pump());
    this.#handler.onReadable(this.unread);
  }

  #takePending(): void {
    const count = this.#pending;
    if (this.#stalled || count === 0 || this.closed || this.over) return;
    this.#pending = 0;
    this.#returnRoom(count);
  }

  #returnRoom(count: number): void {
    if (this.#broken()) return;
    this.#writable += count;
    this.#handler.onWritable(this.#writable);
  }
}

function checkRange(name: string, bytes: Uint8Array, start: number, end: number): void {
  if (Number.isInteger(start) && Number.isInteger(end) && start >= 0 && start <= end && end <= bytes.length) return;
  throw new RangeError(`${name}: [${start}, ${end}) of ${bytes.length} bytes`);
}

class MockTimer implements Timer {
  readonly #events: Events;
  readonly #onTimer: () => void;
  #entry: Entry | undefined;

  constructor(events: Events, onTimer: () => void) {
    this.#events = events;
    this.#onTimer = onTimer;
  }

  schedule(delayMs: number): void {
    if (!(delayMs >= 0 && delayMs <= 0x7fffffff)) throw new RangeError(`schedule: ${delayMs} ms`);
    this.clear();
    this.#entry = { due: this.#events.time + delayMs, fire: this.#onTimer, client: true };
    this.#events.schedule(this.#entry);
  }

  clear(): void {
    if (this.#entry !== undefined) this.#events.cancel(this.#entry);
    this.#entry = undefined;
  }
}

/** A call that is due at a time, for the client or for the test. */
interface Entry {
  due: number;
  fire: () => void;
  client: boolean;
}

/** More steps than any test needs without time passing: something is scheduled again and again. */
const STEP_LIMIT = 1000000;

/** What happens, in order: events that wait for now, entries that wait for their time. One at a time, never nested. */
class Events {
  /** Milliseconds, not wrapped. */
  time: number;
  #running = false;
  #queue: (() => void)[] = [];
  #entries: Entry[] = [];

  constructor(time: number) {
    this.time = time;
  }

  /** For what a call of the client brings about: runs with a later event. */
  enqueue(event: () => void): void {
    this.#queue.push(event);
  }

  /** For what the test makes happen: runs at once, behind what waits, or after the callback that is running. */
  post(event: () => void): void {
    this.#queue.push(event);
    if (!this.#running) this.#run(() => this.#queue.shift());
  }

  schedule(entry: Entry): void {
    this.#entries.push(entry);
  }

  cancel(entry: Entry): void {
    const index = this.#entries.indexOf(entry);
    if (index >= 0) this.#entries.splice(index, 1);
  }

  nextTimerMs(): number | undefined {
    const dues = this.#entries.filter((entry) => entry.client).map((entry) => entry.due);
    return dues.length === 0 ? undefined : Math.max(0, Math.min(...dues) - this.time);
  }

  advance(ms: number): void {
    if (!(ms >= 0)) throw new RangeError(`advance: ${ms} ms`);
    if (this.#running) throw new Error("the clock is turned from within a callback");
    const until = this.time + ms;
    this.#run(() => this.#queue.shift() ?? this.#nextDue(until));
    this.time = until;
  }

  /** Takes the earliest entry that is due by `until`; of several due at the same time the one scheduled first. */
  #nextDue(until: number): (() => void) | undefined {
    let next: Entry | undefined;
    for (const entry of this.#entries) {
      if (entry.due <= until && (next === undefined || entry.due < next.due)) next = entry;
    }
    if (next === undefined) return undefined;
    this.cancel(next);
    this.time = Math.max(this.time, next.due);
    return next.fire;
  }

  #run(next: () => (() => void) | undefined): void {
    let steps = 0;
    let time = this.time;
    this.#running = true;
    try {
      for (let event = next(); event !== undefined; event = next()) {
        event();
        if (this.time !== time) steps = 0;
        time = this.time;
        if (++steps > STEP_LIMIT) throw new Error("it does not come to rest");
      }
    } finally {
      this.#running = false;
    }
  }
}

/** How many bytes follow the first one of a character; -1 when it cannot be a first one. */
function followingBytes(first: number): number {
  if (first < 0x80) return 0;
  if (first < 0xc2 || first > 0xf4) return -1;
  return first < 0xe0 ? 1 : first < 0xf0 ? 2 : 3;
}

/** UTF-8 conversion in plain script, for engines and tests without a native one. */
export class ScriptText implements Text {
  encode(string: string, bytes: Uint8Array, offset: number, end: number): number {
    let full = false;
    for (let i = 0; i < string.length; i++) {
      let code = string.charCodeAt(i);
      if ((code & 0xf800) === 0xd800) {
        const low = string.charCodeAt(i + 1);
        if (code >= 0xdc00 || (low & 0xfc00) !== 0xdc00) return -2;
        code = 0x10000 + ((code & 0x3ff) << 10) + (low & 0x3ff);
        i++;
      }
      const length = code < 0x80 ? 1 : code < 0x800 ? 2 : code < 0x10000 ? 3 : 4;
      full ||= offset + length > end; // and goes on: a lone surrogate may follow
      if (full) continue;
      if (length === 1) bytes[offset] = code;
      else bytes[offset] = ((0xf00 >> length) & 0xff) | (code >> (6 * (length - 1)));
      for (let k = 1; k < length; k++) bytes[offset + k] = 0x80 | ((code >> (6 * (length - 1 - k))) & 0x3f);
      offset += length;
    }
    return full ? -1 : offset;
  }

  decode(bytes: Uint8Array, start: number, end: number, fatal: true): string | undefined;
  decode(bytes: Uint8Array, start: number, end: number, fatal: false): string;
  decode(bytes: Uint8Array, start: number, end: number, fatal: boolean): string | undefined {
    let string = "";
    let i = start;
    while (i < end) {
      const first = bytes[i++];
      let following = followingBytes(first);
      let code = following > 0 ? first & (0x3f >> following) : first;
      // The second byte's range excludes overlong forms, surrogates and what is above U+10FFFF.
      let lowest = first === 0xe0 ? 0xa0 : first === 0xf0 ? 0x90 : 0x80;
      let highest = first === 0xed ? 0x9f : first === 0xf4 ? 0x8f : 0xbf;
      while (following > 0 && i < end && bytes[i] >= lowest && bytes[i] <= highest) {
        code = (code << 6) | (bytes[i++] & 0x3f);
        lowest = 0x80;
        highest = 0xbf;
        following--;
      }
      if (following !== 0 && fatal) return undefined;
      string += following === 0 ? String.fromCodePoint(code) : "\uFFFD";
    }
    return string;
  }
}
