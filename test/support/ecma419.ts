/**
 * A board in ECMA-419's pattern, on Node's sockets: TCP, resolver, TLS, timers and text conversion that behave like
 * those of the Moddable SDK 8.2.3, whose files are named at each. Time is cranked by hand, the network is real.
 *
 * What an SDK would do to a board when a callback throws, it does here to `Board.uncaught`.
 */
import net from "node:net";
import type {
  Ecma419Provider,
  Ecma419Resolver,
  Ecma419Tcp,
  Ecma419TextModules,
  Ecma419Timers,
} from "../../hal/ecma419.js";

/** One machine: everything on it shares a clock and what came of its exceptions. */
export class Board {
  /** What callbacks threw: each would have reset the board. */
  readonly uncaught: unknown[] = [];
  readonly timers: BoardTimers;
  readonly tcp = new Lwip(this);
  readonly dns = new Dns(this);

  constructor(timers: new (board: Board) => BoardTimers = McTimers) {
    this.timers = new timers(this);
  }

  run(callback: () => void): void {
    try {
      callback();
    } catch (error) {
      this.uncaught.push(error);
    }
  }

  /** As in `device.network.mqtt`. */
  get mqtt(): Ecma419Provider {
    return { socket: { io: this.tcp.io }, dns: this.dns.provider };
  }

  /** As in `device.network.mqtts`. */
  get mqtts(): Ecma419Provider {
    const { timers } = this;
    const io = class extends TlsSocket {
      constructor(options: TlsSocketOptions) {
        super(options, timers);
      }
    };
    return { socket: { io, TCP: { io: this.tcp.io } }, dns: this.dns.provider } as unknown as Ecma419Provider;
  }

  /** No platform's socket is open, none is still wanted. */
  get isIdle(): boolean {
    return this.tcp.sockets.every((socket) => socket.isClosed);
  }

  dispose(): void {
    for (const socket of this.tcp.sockets) socket.destroy();
  }
}

// TCP: modules/io/socket/lwip/tcp.c

const WRITABLE = 1;
const READABLE = 2;
const ERROR = 4;
const OUTPUT = 8;

export interface TcpOptions {
  address: string;
  port: number;
  nodelay?: boolean;
  noDelay?: boolean;
  onReadable?: (this: TcpSocket, count: number) => void;
  onWritable?: (this: TcpSocket, count: number) => void;
  onError?: (this: TcpSocket) => void;
}

/** The stack: what all sockets have in common. */
export class Lwip {
  /** TCP_SND_BUF and TCP_WND of the SDK for ESP8266: 4 segments. */
  sendBuffer = 5744;
  window = 5744;
  /** The next constructor throws it. */
  refusal: Error | undefined;
  /** True: what was written stays in flight until `deliver`. */
  holds = false;
  readonly board: Board;
  readonly sockets: TcpSocket[] = [];
  readonly io: new (options: TcpOptions) => TcpSocket;
  held: (() => void)[] = [];

  constructor(board: Board) {
    this.board = board;
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const stack = this;
    this.io = class extends TcpSocket {
      constructor(options: TcpOptions) {
        super(stack, options);
      }
    };
  }

  get last(): TcpSocket {
    return this.sockets[this.sockets.length - 1];
  }

  /** What was held back has arrived. */
  deliver(): void {
    for (const arrive of this.held.splice(0)) arrive();
  }
}

export class TcpSocket implements Ecma419Tcp {
  readonly options: TcpOptions;
  isClosed = false;
  /** How many bytes were on their way when it was closed. */
  inFlightAtClose = 0;
  /** How many bytes nobody had read when it was closed: the connection was then reset. */
  unreadAtClose = 0;
  /** What was handed over to be sent. */
  readonly written: Uint8Array[] = [];
  /** Names of the callbacks that were called, with what was announced. */
  readonly called: string[] = [];
  readonly #stack: Lwip;
  readonly #link: net.Socket;
  #skt: net.Socket | undefined;
  #buffers: Buffer[] = [];
  #available = 0;
  #inFlight = 0;
  #triggered = 0;
  #triggerable = WRITABLE | READABLE | ERROR;
  #hears = true;
  #ready = false;
  #error = false;

  constructor(stack: Lwip, options: TcpOptions) {
    if (!net.isIPv4(options.address)) throw new Error("invalid address");
    if (!(options.port >= 0 && options.port <= 65535)) throw new RangeError("invalid port");
    const { refusal } = stack;
    stack.refusal = undefined;
    if (refusal !== undefined) throw refusal;
    this.#stack = stack;
    this.options = options;
    stack.sockets.push(this);
    const link = net.connect({ host: options.address, port: options.port, allowHalfOpen: true, noDelay: true });
    this.#link = this.#skt = link;
    link.on("connect", () => {
      if (!this.#hears) return;
      this.#ready = true;
      this.#trigger(WRITABLE);
    });
    link.on("data", (chunk: Buffer) => {
      if (!this.#hears) return;
      this.#buffers.push(chunk);
      this.#available += chunk.length;
      if (this.#available >= stack.window) link.pause();
      this.#trigger(READABLE);
    });
    link.on("end", () => {
      if (!this.#hears) return;
      this.#hears = false;
      this.#trigger(ERROR);
    });
    link.on("error", () => {
      if (!this.#hears) return;
      this.#hears = false;
      this.#skt = undefined;
      this.#trigger(ERROR);
    });
  }

  get #room(): number {
    return this.#stack.sendBuffer - this.#inFlight;
  }

  read(view: Uint8Array): number | undefined {
    this.#validate();
    if (this.#available === 0) return undefined;
    const count = view.byteLength;
    if (count <= 0 || count > this.#available) throw new Error("invalid");
    let copied = 0;
    while (copied < count) {
      const first = this.#buffers[0];
      const part = first.subarray(0, count - copied);
      view.set(part, copied);
      copied += part.length;
      if (part.length === first.length) this.#buffers.shift();
      else this.#buffers[0] = first.subarray(part.length);
    }
    this.#available -= count;
    if (this.#available < this.#stack.window) this.#link.resume();
    if (this.#available === 0 && this.#error) this.#trigger(ERROR);
    return count;
  }

  write(view: Uint8Array): number | undefined {
    this.#validate();
    if (!this.#ready) throw new Error("not ready");
    if (this.#error || this.#skt === undefined) return undefined;
    const count = view.byteLength;
    if (count > this.#room) throw new Error("would block");
    const copy = Uint8Array.from(view);
    this.written.push(copy);
    this.#inFlight += count;
    const arrive = (): void => {
      this.#inFlight -= count;
      if (this.#hears) this.#trigger(WRITABLE);
    };
    this.#skt.write(copy, (error) => {
      if (error) return;
      if (this.#stack.holds) this.#stack.held.push(arrive);
      else arrive();
    });
    this.#trigger(OUTPUT);
    return this.#room;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this.inFlightAtClose = this.#inFlight;
    this.unreadAtClose = this.#available;
    this.#hears = this.#ready = false;
    this.#triggerable = this.#triggered = 0;
    const link = this.#link;
    link.on("error", () => {});
    if (this.#skt === undefined || link.connecting) {
      link.destroy();
    } else if (this.#available > 0) {
      link.resetAndDestroy();
    } else {
      link.end();
      link.resume();
    }
  }

  destroy(): void {
    this.close();
    this.#link.destroy();
  }

  /** As if it were `count` times that the stack told of the end. */
  tellError(count: number): void {
    for (let i = 0; i < count; i++) this.#call(() => this.options.onError?.call(this), "error");
  }

  #validate(): void {
    if (this.isClosed) throw new TypeError("no host data");
  }

  #trigger(trigger: number): void {
    const posted = this.#triggered !== 0;
    this.#triggered |= trigger;
    if (!posted) setImmediate(() => this.#deliver());
  }

  #deliver(): void {
    let triggered = this.#triggered;
    this.#triggered = 0;
    if (triggered & ERROR) {
      triggered &= ~(OUTPUT | WRITABLE);
      this.#error = true;
      this.#ready = false;
    }
    const { onReadable, onWritable, onError } = this.options;
    if (triggered & this.#triggerable & READABLE && this.#available > 0) {
      const count = this.#available;
      this.#call(() => onReadable?.call(this, count), `readable ${count}`);
    }
    if (this.#available > 0 && this.#error) return; // told when everything is read
    if (!this.#error) {
      if (triggered & this.#triggerable & WRITABLE && this.#skt !== undefined) {
        const count = this.#room;
        this.#call(() => onWritable?.call(this, count), `writable ${count}`);
      }
    } else if (this.#triggerable & ERROR) {
      this.#call(() => onError?.call(this), "error");
    }
  }

  #call(callback: () => void, name: string): void {
    this.called.push(name);
    this.#stack.board.run(callback);
  }
}

// Resolver: examples/io/udp/dns/dns.js

interface DnsRequest {
  host: string;
  onResolved: (host: string, address: string) => void;
  onError: (error?: unknown) => void;
}

/** A name server, and the class that asks it. */
export class Dns {
  readonly addresses: Record<string, string> = { "localhost": "127.0.0.1", "broker.test": "127.0.0.1" };
  /** True: answers wait for `answer()`. */
  holds = false;
  /** True: answers come although the resolver is closed. */
  answersClosed = false;
  /** Thrown by `resolve`. */
  refusal: Error | undefined;
  /** Hosts that were asked for. */
  readonly asked: string[] = [];
  /** The options of the resolvers that were made. */
  readonly made: unknown[] = [];
  openCount = 0;
  readonly provider: NonNullable<Ecma419Provider["dns"]>;
  #held: (() => void)[] = [];

  constructor(board: Board) {
    // eslint-disable-next-line @typescript-eslint/no-this-alias
    const dns = this;
    const io = class implements Ecma419Resolver {
      #isClosed = false;

      constructor(options: unknown) {
        dns.made.push(options);
        dns.openCount++;
      }

      resolve(request: DnsRequest): void {
        if (dns.refusal !== undefined) throw dns.refusal;
        if (this.#isClosed) throw new Error();
        const { host } = request;
        dns.asked.push(host);
        const answer = (): void => {
          if (this.#isClosed && !dns.answersClosed) return;
          const address = dns.addresses[host] as string | undefined;
          board.run(() => {
            if (address === undefined) request.onError.call(this, host);
            else request.onResolved.call(this, host, address);
          });
        };
        if (dns.holds) dns.#held.push(answer);
        else setImmediate(answer);
      }

      close(): void {
        if (!this.#isClosed) dns.openCount--;
        this.#isClosed = true;
      }
    };
    this.provider = { io, servers: ["127.0.0.1"], socket: {} } as Ecma419Provider["dns"] & object;
  }

  get heldCount(): number {
    return this.#held.length;
  }

  /** Answers what was asked so far, so many times. */
  answer(times = 1): void {
    const held = this.#held.splice(0);
    for (let i = 0; i < times; i++) for (const each of held) each();
  }
}

// TLS: examples/io/tcp/tlssocket/tlssocket.js, modules/crypt/ssl/session_419.js and the files beside it. The
// cryptography is not there: a "cipher" swaps bits and adds an overhead with a sum, and a handshake is the order of its
// messages.

export const CHANGE_CIPHER_SPEC = 20;
export const ALERT = 21;
export const HANDSHAKE = 22;
export const APPLICATION_DATA = 23;
export const CLIENT_HELLO = 1;
export const SERVER_HELLO = 2;
export const CERTIFICATE = 11;
export const SERVER_HELLO_DONE = 14;
export const CLIENT_KEY_EXCHANGE = 16;
export const FINISHED = 20;
const CLOSE_NOTIFY = 0;
/** Nonce and tag of GCM. */
const CIPHER_OVERHEAD = 24;
const MAX_FRAGMENT = 16384;

export class TlsError extends Error {}

/** A record, header and all, not encrypted. */
export function record(type: number, fragment: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(5 + fragment.length);
  bytes.set([type, 3, 3, fragment.length >> 8, fragment.length & 255]);
  bytes.set(fragment, 5);
  return bytes;
}

/** ... and encrypted. */
export function encrypted(type: number, fragment: ArrayLike<number>): Uint8Array {
  const bytes = new Uint8Array(CIPHER_OVERHEAD + fragment.length);
  let sum = type;
  for (let i = 0; i < fragment.length; i++) {
    bytes[CIPHER_OVERHEAD + i] = fragment[i] ^ 0x5a;
    sum = (sum * 31 + fragment[i]) & 255;
  }
  bytes[CIPHER_OVERHEAD - 1] = sum;
  return record(type, bytes);
}

/** The fragment of an encrypted record. */
function decrypted(type: number, fragment: Uint8Array): Uint8Array {
  if (fragment.length < CIPHER_OVERHEAD) throw new TlsError("bad record mac");
  const plain = fragment.slice(CIPHER_OVERHEAD).map((byte) => byte ^ 0x5a);
  let sum = type;
  for (const byte of plain) sum = (sum * 31 + byte) & 255;
  if (sum !== fragment[CIPHER_OVERHEAD - 1]) throw new TlsError("bad record mac");
  return plain;
}

export const CLOSE_NOTIFY_FRAGMENT = [1, CLOSE_NOTIFY];
/** What a server sends at first, and what it ends the handshake with. */
export const SERVER_FLIGHT = [
  record(HANDSHAKE, [SERVER_HELLO]),
  // Longer than a byte tells, and full of what would be a record's type.
  record(HANDSHAKE, [CERTIFICATE, ...new Uint8Array(300).fill(APPLICATION_DATA)]),
  record(HANDSHAKE, [SERVER_HELLO_DONE]),
];
export const SERVER_FINISH = [record(CHANGE_CIPHER_SPEC, [1]), encrypted(HANDSHAKE, [FINISHED])];

/** The TCP that TLS runs on, with the properties that TLS sets on it. */
type TlsLink = Ecma419Tcp & { readable: number; writable: number };

class TlsSession {
  applicationData: Uint8Array | undefined;
  #packet: Uint8Array | undefined;
  #packetOffset = 0;
  #isClientEncrypting = false;
  #isServerEncrypting = false;
  #alert: number | undefined;
  #handshakeProcess = 0; // helloRequest

  handshake(s: TlsLink): boolean {
    let state = 0;
    switch (this.#handshakeProcess) {
      case 0:
        this.#send(s, record(HANDSHAKE, [CLIENT_HELLO]));
        break;
      case SERVER_HELLO_DONE:
        this.#send(s, record(HANDSHAKE, [CLIENT_KEY_EXCHANGE]));
        this.#send(s, record(CHANGE_CIPHER_SPEC, [1]));
        this.#isClientEncrypting = true;
        this.#send(s, encrypted(HANDSHAKE, [FINISHED]));
        break;
      case FINISHED:
        state = 2;
        break;
      default:
        if (s.readable !== 0) {
          const packet = this.#readPacket(s);
          if (packet) this.#unpacketize(packet);
          state = 1;
        }
    }
    if (this.#alert !== undefined) return true;
    if (state === 0) this.#handshakeProcess = -1;
    return state === 2;
  }

  read(s: TlsLink): Uint8Array | null | undefined {
    while (s.readable) {
      if (!this.applicationData) {
        const packet = this.#readPacket(s);
        if (!packet) return undefined;
        this.#unpacketize(packet);
        if (this.#alert !== undefined) return null;
      }
      if (this.applicationData) {
        const data = this.applicationData;
        this.applicationData = undefined;
        return data;
      }
    }
    return undefined;
  }

  write(s: TlsLink, data: Uint8Array): number {
    if (data.byteLength > MAX_FRAGMENT) throw new Error("too large");
    s.writable = s.write((this.#isClientEncrypting ? encrypted : record)(APPLICATION_DATA, data)) as number;
    return Math.max(0, s.writable - 32);
  }

  #send(s: TlsLink, packet: Uint8Array): void {
    s.write(packet);
    s.writable -= packet.byteLength;
  }

  #readPacket(s: TlsLink): Uint8Array | undefined {
    if (this.#packet === undefined || this.#packetOffset < 5) {
      if (this.#packet === undefined) {
        this.#packet = new Uint8Array(5);
        this.#packetOffset = 0;
      }
      const need = Math.min(5 - this.#packetOffset, s.readable);
      s.read(this.#packet.subarray(this.#packetOffset, this.#packetOffset + need));
      s.readable -= need;
      this.#packetOffset += need;
      if (this.#packetOffset < 5) return undefined;
      const longer = new Uint8Array(5 + (this.#packet[3] << 8 | this.#packet[4]));
      longer.set(this.#packet);
      this.#packet = longer;
    }
    let need = this.#packet.length - this.#packetOffset;
    if (need) {
      if (!s.readable) return undefined;
      if (need > s.readable) need = s.readable;
      s.read(this.#packet.subarray(this.#packetOffset, this.#packetOffset + need));
      s.readable -= need;
      this.#packetOffset += need;
      if (this.#packetOffset < this.#packet.length) return undefined;
    }
    const packet = this.#packet;
    this.#packet = undefined;
    return packet;
  }

  #unpacketize(packet: Uint8Array): void {
    const type = packet[0];
    const sent = packet.subarray(5);
    const fragment = this.#isServerEncrypting ? decrypted(type, sent) : sent.slice();
    switch (type) {
      case CHANGE_CIPHER_SPEC:
        if (fragment[0] !== 1) throw new TlsError("changeCipherSpec: bad type");
        this.#isServerEncrypting = true;
        break;
      case ALERT:
        this.#alert = fragment[1];
        if (this.#alert !== CLOSE_NOTIFY) throw new TlsError(`alert: ${fragment[0]}, ${fragment[1]}`);
        break;
      case HANDSHAKE:
        if (![SERVER_HELLO, CERTIFICATE, SERVER_HELLO_DONE, FINISHED].includes(fragment[0])) {
          throw new TlsError("handshake: bad type");
        }
        this.#handshakeProcess = fragment[0];
        break;
      case APPLICATION_DATA:
        this.applicationData = fragment;
        break;
      default:
        throw new TlsError("recordProtocol: bad data");
    }
  }
}

export interface TlsSocketOptions extends TcpOptions {
  host: string;
  secure?: Record<string, unknown>;
  TCP: { io: new (options: object) => Ecma419Tcp };
}

/** The options that TLS classes were made with, the last one first. */
export const tlsOptionsSeen: TlsSocketOptions[] = [];

export class TlsSocket implements Ecma419Tcp {
  readonly #timers: BoardTimers;
  readonly #callbacks: Pick<TlsSocketOptions, "onReadable" | "onWritable" | "onError">;
  #socket: TlsLink | undefined;
  #session: TlsSession | undefined;
  #ready = false;
  #data: Uint8Array | undefined;
  #position = 0;
  #doRead: unknown;

  constructor(options: TlsSocketOptions, timers: BoardTimers) {
    tlsOptionsSeen.unshift(options);
    this.#timers = timers;
    this.#callbacks = options;
    this.#session = new TlsSession();
    const link = new options.TCP.io({
      ...options,
      onReadable: (count: number) => this.#onReadable(count),
      onWritable: (count: number) => this.#onWritable(count),
      onError: () => this.#onError(),
    }) as TlsLink;
    this.#socket = link;
    link.readable = link.writable = 0;
  }

  close(): void {
    this.#socket?.close();
    this.#timers.clear(this.#doRead);
    this.#socket = this.#session = this.#doRead = undefined;
  }

  read(view: Uint8Array): number | undefined {
    const data = this.#data;
    if (!data) return undefined;
    const count = Math.min(view.byteLength, data.byteLength - this.#position);
    view.set(data.subarray(this.#position, this.#position + count));
    this.#position += count;
    if (this.#position === data.byteLength) this.#data = undefined;
    if (!this.#data && this.#socket!.readable) {
      this.#doRead ??= this.#timers.set(() => {
        this.#doRead = undefined;
        if (this.#socket!.readable) this.#onReadable(this.#socket!.readable);
      }, 0);
    }
    return count;
  }

  write(view: Uint8Array): number {
    return this.#session!.write(this.#socket!, view);
  }

  #onWritable(count: number): void {
    this.#socket!.writable = count;
    if (!this.#ready) this.#messageHandler();
    else if (count > 96) this.#callbacks.onWritable?.call(this as never, count - 96);
  }

  #onReadable(count: number): void {
    this.#socket!.readable = count;
    if (this.#data) return;
    this.#messageHandler(true);
    if (!this.#ready) this.#messageHandler();
  }

  #onError(): void {
    this.#callbacks.onError?.call(this as never);
  }

  #messageHandler(read?: boolean): void {
    if (!this.#ready) {
      if (this.#session!.handshake(this.#socket!)) {
        this.#ready = true;
        this.#onWritable(this.#socket!.writable);
      }
      if (read) this.#session!.read(this.#socket!);
      return;
    }
    const data = this.#session!.read(this.#socket!);
    if (undefined === data) return;
    if (null === data) {
      this.#onError();
      return;
    }
    this.#position = 0;
    if (!data.byteLength) return;
    this.#data = data;
    this.#callbacks.onReadable?.call(this as never, data.byteLength);
  }
}

/** A server's end of such TLS: takes records apart and answers the handshake, as far as `answers` lets it. */
export class TlsServerEnd {
  /** Types of the records that came. */
  readonly types: number[] = [];
  readonly #send: (bytes: Uint8Array) => void;
  readonly #answers: boolean;
  #bytes = Buffer.alloc(0);
  #plain: Uint8Array[] = [];
  #isEncrypted = false;
  isUp = false;
  receivedLength = 0;

  constructor(send: (bytes: Uint8Array) => void, answers: boolean) {
    this.#send = send;
    this.#answers = answers;
  }

  get received(): Uint8Array {
    return Buffer.concat(this.#plain);
  }

  /** What came since the last call, which `received` does not have any more. */
  take(): Buffer {
    return Buffer.concat(this.#plain.splice(0));
  }

  push(chunk: Uint8Array): void {
    this.#bytes = Buffer.concat([this.#bytes, chunk]);
    while (this.#bytes.length >= 5) {
      const length = 5 + this.#bytes.readUInt16BE(3);
      if (this.#bytes.length < length) return;
      const [type] = this.#bytes;
      const sent = this.#bytes.subarray(5, length);
      this.#bytes = this.#bytes.subarray(length);
      this.#take(type, this.#isEncrypted ? decrypted(type, sent) : sent);
    }
  }

  #take(type: number, fragment: Uint8Array): void {
    this.types.push(type);
    if (type === CHANGE_CIPHER_SPEC) this.#isEncrypted = true;
    if (type === APPLICATION_DATA) {
      this.#plain.push(Uint8Array.from(fragment));
      this.receivedLength += fragment.length;
    }
    if (type !== HANDSHAKE || !this.#answers) return;
    if (fragment[0] === CLIENT_HELLO) for (const each of SERVER_FLIGHT) this.#send(each);
    if (fragment[0] === FINISHED) {
      for (const each of SERVER_FINISH) this.#send(each);
      this.isUp = true;
    }
  }
}

// Timers: modules/base/timer

/** A clock that is cranked by hand, and what is to happen on it. */
export abstract class BoardTimers implements Ecma419Timers {
  protected readonly board: Board;
  nowMs = 1000;
  /** Count of timers that were ever made. */
  madeCount = 0;

  constructor(board: Board) {
    this.board = board;
  }

  abstract set(callback: () => void, delayMs: number, intervalMs?: number): unknown;
  abstract repeat(callback: () => void, intervalMs: number): unknown;
  abstract schedule(timer: unknown, delayMs?: number, intervalMs?: number): void;
  abstract clear(timer: unknown): void;
  /** Timers that are armed. */
  abstract readonly armedCount: number;
  /** When the next one is due; Infinity: never. */
  protected abstract readonly nextMs: number;
  protected abstract execute(): void;

  readonly now = (): number => this.nowMs | 0;

  /** Time goes by, from one due timer to the next. Once round with 0. */
  advance(ms: number): void {
    const endMs = this.nowMs + ms;
    for (let rounds = 0; this.nextMs <= endMs; rounds++) {
      if (rounds === 100000) throw new Error("timers without end");
      this.nowMs = Math.max(this.nowMs, this.nextMs);
      this.execute();
      if (ms === 0) break;
    }
    this.nowMs = endMs;
  }
}

interface McRecord {
  triggerMs: number;
  intervalMs: number;
  isFire: boolean;
  isUnscheduled: boolean;
  useCount: number;
  callback: ((id: McId) => void) | undefined;
  id: McId;
}

/** What a script holds; empty once the timer is freed. */
class McId {
  record: McRecord | undefined;
}

/** On boards: modTimer.c, mc/timer.c. */
export class McTimers extends BoardTimers {
  #timers: McRecord[] = [];

  set(callback: () => void, delayMs = 0, intervalMs = 0): McId {
    const id = new McId();
    id.record = {
      triggerMs: this.nowMs + delayMs,
      intervalMs,
      isFire: false,
      isUnscheduled: false,
      useCount: 1,
      callback,
      id,
    };
    this.madeCount++;
    this.#timers.push(id.record);
    return id;
  }

  repeat(callback: () => void, intervalMs: number): McId {
    return this.set(callback, intervalMs, intervalMs);
  }

  schedule(id: McId, delayMs?: number, intervalMs = 0): void {
    const { record } = id;
    if (record === undefined) throw new TypeError("no host data");
    if (arguments.length === 1) {
      record.isUnscheduled = true;
      record.isFire = false;
      record.intervalMs = -1;
    } else {
      record.triggerMs = this.nowMs + delayMs!;
      record.intervalMs = intervalMs;
      record.isUnscheduled = false;
    }
  }

  clear(id: McId | undefined): void {
    const record = id?.record;
    if (record === undefined) return;
    record.callback = undefined;
    this.#remove(record);
    id!.record = undefined;
  }

  get armedCount(): number {
    return this.#timers.filter((each) => !each.isUnscheduled).length;
  }

  protected get nextMs(): number {
    return Math.min(...this.#timers.filter((each) => !each.isUnscheduled).map((each) => each.triggerMs));
  }

  protected execute(): void {
    for (const each of this.#timers) {
      if (!each.isUnscheduled && each.triggerMs <= this.nowMs) each.isFire = true;
    }
    for (let i = 0; i < this.#timers.length;) {
      const record = this.#timers[i];
      if (!record.isFire) {
        i++;
        continue;
      }
      record.isFire = false;
      record.triggerMs += record.intervalMs;
      record.useCount++;
      this.#fire(record);
      record.useCount--;
      if (record.useCount <= 0 || record.intervalMs === 0) this.#remove(record);
      i = 0;
    }
  }

  #fire(record: McRecord): void {
    this.board.run(() => record.callback!(record.id));
    if (record.callback && record.intervalMs === 0) record.id.record = undefined;
  }

  #remove(record: McRecord): void {
    record.isUnscheduled = true;
    record.isFire = false;
    record.useCount--;
    if (record.useCount <= 0) this.#timers = this.#timers.filter((each) => each !== record);
  }
}

/** A source of GLib. */
interface Source {
  dueMs: number;
  intervalMs: number;
  isHigh: boolean;
  isGone: boolean;
  timer: LinRecord;
}

interface LinRecord {
  isFreed: boolean;
  source: Source | undefined;
  useCount: number;
  firstMs: number;
  intervalMs: number;
  callback: ((id: LinId) => void) | undefined;
  id: LinId;
}

class LinId {
  record: LinRecord | undefined;
}

/** On the SDK's simulator for Linux: modTimer.c, lin/timer.c. */
export class LinTimers extends BoardTimers {
  #sources: Source[] = [];

  set(callback: () => void, delayMs = 0, intervalMs = 0): LinId {
    const id = new LinId();
    id.record = {
      isFreed: false,
      source: undefined,
      useCount: 1,
      firstMs: delayMs,
      intervalMs,
      callback,
      id,
    };
    this.madeCount++;
    this.#start(id.record);
    return id;
  }

  repeat(callback: () => void, intervalMs: number): LinId {
    return this.set(callback, intervalMs, intervalMs);
  }

  schedule(id: LinId, delayMs?: number, intervalMs = 0): void {
    const { record } = id;
    if (record === undefined) throw new TypeError("no host data");
    if (record.source) record.source.isGone = true;
    record.source = undefined;
    if (arguments.length === 1) return;
    record.firstMs = delayMs!;
    record.intervalMs = intervalMs;
    this.#start(record);
  }

  clear(id: LinId | undefined): void {
    const record = id?.record;
    if (record === undefined) return;
    record.callback = undefined;
    this.#remove(record);
    id!.record = undefined;
  }

  get armedCount(): number {
    return this.#sources.filter((each) => !each.isGone).length;
  }

  protected get nextMs(): number {
    return Math.min(...this.#sources.filter((each) => !each.isGone).map((each) => each.dueMs));
  }

  protected execute(): void {
    const due = this.#sources.filter((each) => !each.isGone && each.dueMs <= this.nowMs);
    const high = due.filter((each) => each.isHigh);
    for (const source of high.length > 0 ? high : due) {
      if (source.isGone) continue;
      if (this.#executeOne(source.timer)) source.dueMs = this.nowMs + source.intervalMs;
      else source.isGone = true;
    }
    this.#sources = this.#sources.filter((each) => !each.isGone);
  }

  #add(timer: LinRecord, intervalMs: number, isHigh: boolean): Source {
    const source = { dueMs: this.nowMs + intervalMs, intervalMs, isHigh, isGone: false, timer };
    this.#sources.push(source);
    return source;
  }

  #start(record: LinRecord): void {
    record.source = this.#add(record, record.firstMs, record.firstMs === 0 && record.intervalMs === 0);
  }

  /** Returns whether the source goes on. */
  #executeOne(record: LinRecord): boolean {
    record.useCount++;
    this.board.run(() => record.callback!(record.id));
    if (record.callback && record.source && record.intervalMs === 0) record.id.record = undefined;
    record.useCount--;
    if (record.useCount <= 0 || record.intervalMs === 0) {
      this.#remove(record);
      return false;
    }
    if (record.firstMs !== record.intervalMs) {
      record.source = this.#add(record, record.intervalMs, false);
      record.firstMs = record.intervalMs;
      return false;
    }
    return true;
  }

  #remove(record: LinRecord): void {
    if (record.source) record.source.isGone = true;
    record.source = undefined;
    record.useCount--;
    record.isFreed = record.useCount <= 0;
  }
}

// Text: modules/data/text

/** XS writes a lone surrogate as it is, in three bytes (modules/data/text/encoder/textencoder.c). */
export class XsTextEncoder {
  encodeInto(string: string, bytes: Uint8Array): { read: number; written: number } {
    let read = 0;
    let written = 0;
    for (const character of string) {
      const point = character.codePointAt(0)!;
      const isLone = point >= 0xd800 && point <= 0xdfff;
      const utf8 = isLone
        ? Uint8Array.of(0xe0 | point >> 12, 0x80 | point >> 6 & 63, 0x80 | point & 63)
        : Buffer.from(character);
      if (written + utf8.length > bytes.length) break;
      bytes.set(utf8, written);
      written += utf8.length;
      read += character.length;
    }
    return { read, written };
  }
}

/** What the two platforms have by these names. */
export const NODE_TEXT = { TextEncoder, TextDecoder } as unknown as Ecma419TextModules;
export const XS_TEXT = { TextEncoder: XsTextEncoder, TextDecoder } as unknown as Ecma419TextModules;
