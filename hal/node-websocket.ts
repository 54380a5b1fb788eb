/**
 * MQTT over WebSocket for Node: a HAL whose `open` takes `"ws://name/path"` for its host and does WebSocket there, on
 * the library `ws`; over TLS when there are options of TLS. Any other host, and all the rest, is that of another HAL.
 *
 *     import { createMqtt, MQTT_3_1_1 } from "mcu-mqtt/client";
 *     import hal from "mcu-mqtt/websocket";
 *     createMqtt(hal, MQTT_3_1_1).Client("sensor").connect("ws://broker.example.com/mqtt", 443, 1);
 *
 * What the client writes in one turn of the event loop is one binary frame [MQTT-6.0.0-1], and one write to the
 * network. A frame's bytes are handed on whatever packets they hold or cut [MQTT-6.0.0-2].
 */

import { validateHeaderName, validateHeaderValue } from "node:http";
import type { Socket as TcpSocket } from "node:net";
import { TLSSocket } from "node:tls";
import { WebSocket } from "ws";
import { checkTcp, connector, failureOf, SendBuffers } from "./node-net.js";
import { CONNECTING, FLUSH_MS, HANDSHAKING, LINGER_MS, SEND_SIZE, UP } from "./node-net.js";
import type { Connect, TcpOptions, TlsOptions } from "./node-net.js";
import nodeHal from "./node.js";
import type { Hal, HalSettings, Socket, SocketFailure, SocketHandler } from "./socket.js";

export type { Pem, TcpOptions, TlsOptions } from "./node-net.js";

/** Settings of {@link createWebSocketHal}. */
export interface WebSocketHalOptions extends HalSettings {
  /** Of TCP, below WebSockets and, if `base` can be configured, below its own connections. */
  tcpOpts?: TcpOptions;
  /**
   * Longest message of WebSocket that a server may send, in bytes, 1..2^31-1; a longer one ends the connection. `ws`
   * gathers a message before it hands it on, so that this is what a server can make a connection hold. A broker that
   * sends each packet as a message needs room for the longest packet. 16 MiB by default.
   */
  maxPayload?: number;
}

const MAX_PAYLOAD = 16777216;
const PATH = "/mqtt";
/** The subprotocol [MQTT-6.0.0-3] [MQTT-6.0.0-4]. */
const PROTOCOLS = ["mqtt"];
const FRAME = { binary: true, compress: false };
/** The status of a connection that is closed in good order, and of one that sent what it may not. */
const NORMAL = 1000;
const UNSUPPORTED_DATA = 1003;
/** TCP, and TLS if there is any, is up; the server has not agreed to WebSocket. */
const REQUESTING = 3;
/** Header fields that are not the application's. */
const OWN_FIELDS = /^(?:sec-websocket-.*|connection|upgrade|content-length|transfer-encoding)$/i;

/** What there is, checked. */
interface Settings {
  tcp: TcpOptions;
  headers: Record<string, string>;
  path: string;
  maxPayload: number;
}

/**
 * Makes a HAL with WebSocket.
 *
 * @param base for hosts that are no WebSocket, timers, text and the rest; Node's by default
 */
export function createWebSocketHal(base: Hal = nodeHal, options: WebSocketHalOptions = {}): Hal {
  const { maxPayload = MAX_PAYLOAD, ...settings } = options;
  if (!(Number.isInteger(maxPayload) && maxPayload >= 1 && maxPayload <= 2147483647)) {
    throw new TypeError("maxPayload: not an integer from 1 to 2147483647");
  }
  return changed(base, { tcp: {}, headers: {}, path: PATH, maxPayload }, settings, new SendBuffers());
}

/** A HAL with some settings in place of those before. */
function changed(base: Hal, before: Settings, settings: HalSettings, buffers: SendBuffers): Hal {
  const { tcpOpts, wsHeaders, wsPath, ...others } = settings;
  for (const [name, value] of Object.entries<unknown>(others)) {
    if (value !== undefined) throw new TypeError(`${name}: no such setting`);
  }
  const after = { ...before };
  if (wsHeaders !== undefined) after.headers = checkHeaders(wsHeaders);
  if (wsPath !== undefined) after.path = checkPath(wsPath, "wsPath");
  if (tcpOpts === undefined) return makeHal(base, after, buffers);
  after.tcp = { ...before.tcp, ...checkTcp(tcpOpts, "tcpOpts.") };
  return makeHal(base.configure ? base.configure({ tcpOpts }) : base, after, buffers);
}

function makeHal(base: Hal, settings: Settings, buffers: SendBuffers): Hal {
  return {
    open(host, port, secure, handler) {
      if (!/^wss?:\/\//i.test(host)) return base.open(host, port, secure, handler);
      const { name, path } = parseHost(host);
      const alpn = (secure as TlsOptions | undefined)?.ALPNProtocols ?? [];
      if (alpn.some((protocol) => protocol !== "http/1.1")) {
        throw new TypeError('secure.ALPNProtocols: a WebSocket can only offer "http/1.1"');
      }
      // What a URL cannot have for a name is for the resolver to refuse.
      const authority = URL.canParse(`ws://${name}`) ? name : "invalid.invalid";
      const url = `${secure === undefined ? "ws" : "wss"}://${authority}:${port}${path || settings.path}`;
      const connect = connector(name.replace(/^\[|\]$/g, ""), port, secure, settings.tcp);
      return new NodeWebSocket(url, settings, connect, buffers, handler);
    },
    checkSecure: (secure) => base.checkSecure(secure),
    createTimer: (onTimer) => base.createTimer(onTimer),
    now: () => base.now(),
    createText: () => base.createText(),
    uncaught: (error) => base.uncaught(error),
    generateId: () => base.generateId(),
    defaults: base.defaults,
    webSocket: true,
    configure: (given) => changed(base, settings, given, buffers),
  };
}

/** Name or address, and path, of a `"ws://name/path"`. */
function parseHost(host: string): { name: string; path: string } {
  const parts = /^ws:\/\/(\[[^/?#[\]@]+\]|[^/?#[\]@:]+)(\/.*)?$/is.exec(host);
  if (parts === null) throw new TypeError('host: not "ws://name/path"; port and secure are arguments of their own');
  const [, name, path = ""] = parts;
  return { name, path: path && checkPath(path, "host") };
}

function checkPath(path: unknown, name: string): string {
  if (typeof path === "string" && /^\/[!-~]*$/.test(path) && !path.includes("#")) return path;
  throw new TypeError(`${name}: its path is not "/..." in printable ASCII without a space and "#"`);
}

/** A checked copy. Values are not repeated in errors: they may be secrets. */
function checkHeaders(headers: unknown): Record<string, string> {
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) {
    throw new TypeError("wsHeaders: not an object");
  }
  const copy: Record<string, string> = {};
  for (const [name, value] of Object.entries(headers as Record<string, unknown>)) {
    if (value === undefined) continue;
    if (OWN_FIELDS.test(name)) throw new TypeError(`wsHeaders.${name}: is WebSocket's own`);
    try {
      if (typeof value !== "string") throw new TypeError("not a string");
      validateHeaderName(name);
      validateHeaderValue(name, value);
    } catch (error) {
      throw new TypeError(`wsHeaders.${name}: ${(error as Error).message}`, { cause: error });
    }
    copy[name] = value;
  }
  return copy;
}

class NodeWebSocket implements Socket {
  readonly #ws: WebSocket;
  readonly #buffers: SendBuffers;
  /** Who hears what happens; undefined once there is nothing more to hear. */
  #handler: SocketHandler | undefined;
  #state = CONNECTING;
  #closed = false;
  /** Set when the connection is over, which is reported when everything is read. */
  #failure: SocketFailure | undefined;
  #detail: unknown;
  /** What TCP or TLS said of its end. */
  #error: Error | undefined;
  /** Messages, the first from `#start` on, and how many bytes of them are not read. */
  #messages: Uint8Array[] = [];
  #start = 0;
  #unread = 0;
  #paused = false;
  /** Holds what was written in this turn, `#staged` bytes, or while the frame before is on its way. */
  #staging: Buffer | undefined;
  #staged = 0;
  /** Frames on their way: one, and another when the socket is closed. */
  #sending = 0;
  #whenSent: (() => void) | undefined;

  constructor(url: string, settings: Settings, connect: Connect, buffers: SendBuffers, handler: SocketHandler) {
    this.#buffers = buffers;
    this.#handler = handler;
    const sockets: TcpSocket[] = [];
    const options = {
      headers: settings.headers,
      maxPayload: settings.maxPayload,
      perMessageDeflate: false,
      followRedirects: false,
      closeTimeout: FLUSH_MS + LINGER_MS,
      createConnection: () => {
        sockets.push(this.#watch(connect()));
        return sockets[0];
      },
    };
    const ws = new WebSocket(url, PROTOCOLS, options);
    this.#ws = ws;
    ws.on("error", (error) => this.#lose(error));
    if (sockets.length === 0) {
      ws.terminate();
      throw new Error("WebSocket needs version 8.17 or newer of ws");
    }
    ws.on("unexpected-response", (_request, response) => {
      const { statusCode, statusMessage, headers: fields } = response;
      const target = fields.location === undefined ? "" : `, to ${fields.location}`;
      this.#fail("refused", new Error(`the server answers HTTP ${statusCode} ${statusMessage ?? ""}${target}`));
    });
    ws.on("open", () => {
      this.#state = UP;
      this.#handler?.onWritable(SEND_SIZE);
    });
    ws.on("message", (data, isBinary) => this.#receive(data as Buffer, isBinary));
    ws.on("close", (code, reason) => {
      this.#lose(this.#error ?? new Error(`WebSocket was closed with ${code} ${reason.toString()}`.trimEnd()));
    });
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    if (this.#closed) throw new Error("read from a closed socket");
    const count = end - start;
    if (!(count >= 0 && count <= this.#unread)) throw new RangeError(`read: ${count} of ${this.#unread} bytes`);
    for (let at = start; at < end;) {
      const message = this.#messages[0];
      const part = Math.min(end - at, message.length - this.#start);
      bytes.set(message.subarray(this.#start, this.#start + part), at);
      at += part;
      this.#start += part;
      if (this.#start < message.length) break;
      this.#messages.shift();
      this.#start = 0;
    }
    this.#unread -= count;
    // During onReadable nothing has been stopped yet, and #receive does what follows.
    if (this.#unread === 0 && this.#paused) {
      this.#paused = false;
      this.#ws.resume();
    }
    if (this.#unread === 0 && count > 0 && this.#failure !== undefined) process.nextTick(() => this.#report());
    return count;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (this.#closed) throw new Error("write to a closed socket");
    const isOpen = this.#state === UP && this.#ws.readyState === WebSocket.OPEN;
    if (this.#failure !== undefined || (this.#state === UP && !isOpen)) return 0;
    const count = end - start;
    const room = isOpen ? SEND_SIZE - this.#staged : 0;
    if (!(count >= 0 && count <= room && end <= bytes.length)) {
      throw new RangeError(`write: [${start}, ${end}) of ${bytes.length} bytes into room for ${room}`);
    }
    if (count === 0) return room;
    if (this.#staging === undefined) {
      this.#staging = this.#buffers.take();
      process.nextTick(() => this.#flush());
    }
    this.#staging.set(bytes.subarray(start, end), this.#staged);
    this.#staged += count;
    return room - count;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#handler = undefined;
    this.#messages.length = 0;
    this.#unread = 0;
    const ws = this.#ws;
    if (this.#state !== UP || this.#failure !== undefined) {
      this.#letGo();
      return;
    }
    const linger = setTimeout(() => ws.terminate(), FLUSH_MS).unref();
    this.#whenSent = () => {
      clearTimeout(linger);
      ws.close(NORMAL);
      this.#letGo();
    };
    ws.once("close", () => clearTimeout(linger));
    if (this.#staging !== undefined) this.#send(this.#staging);
    else if (this.#sending === 0) this.#whenSent();
    ws.resume(); // what still comes is dropped, up to the peer's closing
  }

  /** The connection that WebSocket is made on. */
  #watch(socket: TcpSocket): TcpSocket {
    socket.on("lookup", (error: Error | null) => {
      if (error) this.#fail("dns", error);
    });
    socket.on("connect", () => {
      if (socket instanceof TLSSocket) {
        this.#state = HANDSHAKING;
        socket.on("secureConnect", () => (this.#state = REQUESTING));
      } else {
        this.#state = REQUESTING;
      }
    });
    socket.on("error", (error) => {
      this.#error = error;
      // When it was up, some of what came before may still be on its way here.
      if (this.#state !== UP) this.#lose(error);
    });
    return socket;
  }

  #receive(message: Buffer, isBinary: boolean): void {
    if (this.#handler === undefined || this.#failure !== undefined) return;
    if (!isBinary) {
      this.#fail("closed", new Error("the server sent text [MQTT-6.0.0-1]"));
      this.#ws.close(UNSUPPORTED_DATA);
      return;
    }
    if (message.length === 0) return;
    this.#messages.push(message);
    this.#unread += message.length;
    try {
      this.#handler.onReadable(this.#unread);
    } catch (error) {
      // Not into ws, which would lose what is behind this message.
      process.nextTick(() => {
        throw error;
      });
    }
    if (this.#unread > 0 && !this.#paused) {
      this.#paused = true;
      this.#ws.pause();
    }
  }

  /** Makes what is staged a frame, unless the one before is still on its way; then its end comes here again. */
  #flush(): void {
    const buffer = this.#staging;
    if (buffer === undefined || this.#sending > 0 || this.#failure !== undefined) return;
    this.#send(buffer);
    this.#staging = undefined;
    this.#staged = 0;
    this.#handler?.onWritable(SEND_SIZE);
  }

  #send(buffer: Buffer): void {
    this.#sending++;
    this.#ws.send(buffer.subarray(0, this.#staged), FRAME, (error) => {
      this.#sending--;
      if (!error) this.#buffers.give(buffer);
      if (!this.#closed) this.#flush();
      else if (this.#sending === 0) this.#whenSent?.();
    });
  }

  /** It came to an end, for this reason. */
  #lose(error: Error): void {
    if (this.#state === UP) this.#fail("closed", error);
    else if (this.#state !== REQUESTING) this.#fail(failureOf(error, this.#state, false), error);
    // The server is there, and does not want it; with TLS 1.3 it says so of a certificate as late as this.
    else this.#fail(failureOf(error, UP, false) === "tls" ? "tls" : "refused", error);
  }

  #fail(failure: SocketFailure, detail?: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = failure;
    this.#detail = detail;
    if (this.#unread === 0) this.#report();
  }

  #report(): void {
    const handler = this.#handler;
    if (handler === undefined) return;
    this.#handler = undefined;
    this.#letGo();
    handler.onError(this.#failure!, this.#detail);
  }

  /** Gives the peer a while to close too, unless nothing is up. */
  #letGo(): void {
    const ws = this.#ws;
    if (this.#state !== UP) {
      ws.terminate();
      return;
    }
    if (ws.readyState === WebSocket.CLOSED) return;
    ws.resume();
    const linger = setTimeout(() => ws.terminate(), LINGER_MS).unref();
    ws.once("close", () => clearTimeout(linger));
  }
}

/** Node's HAL, with WebSocket. */
const hal: Hal = createWebSocketHal();
export default hal;
