/**
 * The HAL of Node: sockets of node:net and node:tls, Node's timers and its UTF-8 conversion.
 *
 * Knows nothing of MQTT. An idle connection costs one small object here: the buffers for receiving and sending belong
 * to the HAL, and a socket has them while bytes are on their way.
 */

import { randomInt } from "node:crypto";
import type { Socket as TcpSocket } from "node:net";
import { TLSSocket } from "node:tls";
import { checkTcp, checkTls, connector, failureOf, SendBuffers } from "./node-net.js";
import { CONNECTING, FLUSH_MS, HANDSHAKING, LINGER_MS, SEND_SIZE, UP } from "./node-net.js";
import type { Connect, TcpOptions } from "./node-net.js";
import { NodeText, Topics } from "./node-text.js";
import type { Hal, Socket, SocketFailure, SocketHandler, Timer } from "./socket.js";

export type { Pem, TcpOptions, TlsOptions } from "./node-net.js";

/** Settings of {@link createNodeHal}. */
export type NodeHalOptions = TcpOptions;

/** Bytes taken from the network at a time, hence about the most that waits for a client that does not read. */
const RECEIVE_SIZE = 65536;
/** Makes a HAL on Node's networking. One serves any number of clients. */
export function createNodeHal(options: NodeHalOptions = {}): Hal {
  return makeHal(checkTcp(options, ""), new Buffers(), new Topics());
}

function makeHal(tcp: TcpOptions, buffers: Buffers, topics: Topics): Hal {
  return {
    open: (host, port, secure, handler) => new NodeSocket(buffers, connector(host, port, secure, tcp), handler),
    checkSecure: (secure) => void checkTls(secure),
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
    configure({ tcpOpts, ...others }) {
      for (const [name, value] of Object.entries(others as Record<string, unknown>)) {
        if (value !== undefined) throw new TypeError(`${name}: no such setting here, where there is only tcpOpts`);
      }
      const changed = tcpOpts === undefined ? {} : checkTcp(tcpOpts, "tcpOpts.");
      return makeHal({ ...tcp, ...changed }, buffers, topics);
    },
  };
}

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
      this.#staging = this.#buffers.send.take();
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
        if (!error) this.#buffers.send.give(buffer);
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
      this.#buffers.send.give(buffer);
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
  readonly send = new SendBuffers();

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

/** Node with its own name resolution. */
const hal: Hal = createNodeHal();
export default hal;
