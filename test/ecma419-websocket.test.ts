import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { once } from "node:events";
import http from "node:http";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { Duplex } from "node:stream";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { createEcma419Hal } from "../hal/ecma419.js";
import type { Ecma419Options } from "../hal/ecma419.js";
import { createEcma419WebSocketHal } from "../hal/ecma419-websocket.js";
import type { Ecma419WebSocketClient } from "../hal/ecma419-websocket.js";
import { MockHal } from "../hal/mock.js";
import type { Hal, HalSettings } from "../hal/socket.js";
import { Board, encrypted, McTimers, NODE_TEXT, TlsServerEnd, XS_TEXT } from "./support/ecma419.js";
import type { LinTimers } from "./support/ecma419.js";
import { pattern, Recorder, testHalContract } from "./support/hal-contract.js";
import type { Peer, World } from "./support/hal-contract.js";
import { webSocketClient } from "./support/websocket-client.js";

jest.setTimeout(20000);

const DEFAULTS = { rxCapacity: 1024, txCapacity: 2048, maxOperations: 8, receiveMaximum: 4 };

function makeHal(board: Board, options: Partial<Ecma419Options> = {}, settings?: HalSettings): Hal {
  const base = createEcma419Hal({
    ...NODE_TEXT,
    tcp: board.mqtt,
    tls: board.mqtts,
    timers: board.timers,
    now: board.timers.now,
    generateId: () => "board1",
    defaults: DEFAULTS,
    openDelayMs: 0,
    drainMs: 600000,
    ...options,
  });
  const client = webSocketClient(board.timers) as unknown as Ecma419WebSocketClient;
  return createEcma419WebSocketHal(base, client, settings);
}

async function until(board: Board, condition: () => boolean): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > 10000) throw new Error("it does not come to that");
    board.timers.advance(1);
    await new Promise(setImmediate);
  }
}

/** What the fake TLS of a board carries, as a stream that an HTTP server takes for a connection. */
class TlsDuplex extends Duplex {
  constructor(socket: net.Socket) {
    super({ allowHalfOpen: true });
    const tls = new TlsServerEnd((bytes) => socket.write(bytes), true);
    socket.on("data", (chunk: Buffer) => {
      tls.push(chunk);
      const plain = tls.take();
      if (plain.length > 0 && !this.push(plain)) socket.pause();
    });
    socket.on("end", () => this.push(null));
    socket.on("close", () => this.destroy());
    this._read = () => void socket.resume();
    this._write = (chunk: Buffer, _encoding, done) => {
      for (let at = 0; at < chunk.length; at += 4096) socket.write(encrypted(23, chunk.subarray(at, at + 4096)));
      done();
    };
    this._final = (done) => {
      socket.end();
      done();
    };
    this._destroy = (_error, done) => {
      socket.destroy();
      done(null);
    };
  }

  setNoDelay(): void {}
  setTimeout(): void {}
  setKeepAlive(): void {}
}

class WebSocketPeer implements Peer {
  readonly ws: WebSocket;
  readonly request: http.IncomingMessage;
  readonly socket: net.Socket;
  receivedLength = 0;
  ended = false;
  #chunks: Buffer[] = [];

  constructor(ws: WebSocket, request: http.IncomingMessage, socket: net.Socket) {
    this.ws = ws;
    this.request = request;
    this.socket = socket;
    ws.on("message", (data: Buffer, isBinary) => {
      if (!isBinary) throw new Error("the client sent text");
      this.#chunks.push(Buffer.from(data));
      this.receivedLength += data.length;
    });
    ws.on("close", () => (this.ended = true));
    ws.on("error", () => {});
  }

  get received(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  send(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 3000) this.ws.send(bytes.subarray(at, at + 3000));
  }

  end(): void {
    this.ws.close(1000);
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  stopReading(): void {
    this.ws.pause();
    this.socket.pause();
  }

  startReading(): void {
    this.ws.resume();
    this.socket.resume();
  }
}

/** A WebSocket server, or one that does what it is told. */
class Server {
  readonly peers: WebSocketPeer[] = [];
  readonly #sockets: net.Socket[] = [];
  readonly #server: net.Server;
  #accepted = 0;

  constructor(isSecure: boolean, handle?: (socket: net.Socket) => void) {
    const server = http.createServer();
    const ws = new WebSocketServer({ server });
    const sockets = new Map<Duplex, net.Socket>();
    ws.on("connection", (each, request) => {
      this.peers.push(new WebSocketPeer(each, request, sockets.get(request.socket)!));
    });
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.#sockets.push(socket);
      socket.on("error", () => {});
      if (handle) return handle(socket);
      const duplex = isSecure ? new TlsDuplex(socket) : socket;
      sockets.set(duplex, socket);
      server.emit("connection", duplex);
    });
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async accept(board: Board): Promise<WebSocketPeer> {
    await until(board, () => this.peers.length > this.#accepted);
    return this.peers[this.#accepted++];
  }

  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

async function makeWorld(isSecure: boolean, timers: typeof McTimers | typeof LinTimers, xs: boolean): Promise<World> {
  const board = new Board(timers);
  const hal = makeHal(board, xs ? XS_TEXT : NODE_TEXT);
  const server = await new Server(isSecure).listen();
  const closed = await new Server(false).listen();
  const refused = closed.port;
  await closed.close();
  const secure = isSecure ? {} : undefined;
  return {
    hal,
    refusal: "unreachable", // lwip does not tell why
    writeOverhead: isSecure ? 250 : 20,
    bulkLength: 16 << 20,
    open: (handler) => hal.open("ws://localhost/mqtt", server.port, secure, handler)!,
    openRefused: (handler) => hal.open("ws://localhost/mqtt", refused, secure, handler)!,
    openUnknown: (handler) => hal.open("ws://nowhere.test/mqtt", server.port, secure, handler)!,
    accept: () => server.accept(board),
    until: (condition) => until(board, condition),
    async dispose() {
      await server.close();
      board.dispose();
      expect(board.uncaught).toEqual([]);
    },
  };
}

testHalContract("The HAL of ECMA-419 with WebSocket", () => makeWorld(false, McTimers, false));
testHalContract("The HAL of ECMA-419 with WebSocket, over TLS,", () => makeWorld(true, McTimers, true));

describe("The HAL of ECMA-419 with WebSocket", () => {
  let board: Board;
  let hal: Hal;
  let servers: Server[];
  let clients: Recorder[];

  beforeEach(() => {
    board = new Board(McTimers);
    hal = makeHal(board);
    servers = [];
    clients = [];
  });

  afterEach(async () => {
    for (const client of clients) client.close();
    for (const server of servers) await server.close();
    board.dispose();
    expect(board.uncaught).toEqual([]);
    for (const client of clients) expect(client.broken).toEqual([]);
  });

  async function listen(handle?: (socket: net.Socket) => void, isSecure = false): Promise<Server> {
    const server = await new Server(isSecure, handle).listen();
    servers.push(server);
    return server;
  }

  function open(port: number, host = "ws://localhost/mqtt", secure?: object): Recorder {
    const client = new Recorder().open((handler) => hal.open(host, port, secure, handler)!);
    clients.push(client);
    return client;
  }

  const OPENING = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n";
  const ACCEPTED = `${OPENING}Sec-WebSocket-Accept: x\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n`;

  /** A client of a server that answers a request with these bytes. */
  async function answered(...parts: (string | Uint8Array)[]): Promise<Recorder> {
    const { port } = await listen((socket) => {
      socket.once("data", () => socket.write(Buffer.concat(parts.map((part) => Buffer.from(part as string)))));
    });
    return open(port);
  }

  async function failure(client: Recorder): Promise<string> {
    await until(board, () => client.failure !== undefined);
    return client.failure!;
  }

  const frame = (first: number, payload: Uint8Array): Buffer => {
    const { length } = payload;
    const head = length < 126 ? [first, length] : [first, 126, length >> 8, length & 255];
    return Buffer.concat([Buffer.from(head), payload]);
  };

  test("asks for the subprotocol mqtt, at the path given or set, with host, port and header fields", async () => {
    const server = await listen();
    hal = makeHal(board, {}, { wsHeaders: { "X-Token": "abc" } });
    open(server.port, "ws://broker.test");
    const first = (await server.accept(board)).request;
    expect(first.url).toBe("/mqtt");
    expect(first.headers).toMatchObject({ "sec-websocket-protocol": "mqtt", "x-token": "abc" });
    expect(first.headers.host).toBe(`broker.test:${server.port}`);
    hal = hal.configure!({ wsPath: "/ws?x=y" });
    open(server.port, "WS://127.0.0.1");
    const second = (await server.accept(board)).request;
    expect(second.url).toBe("/ws?x=y");
    expect(second.headers["x-token"]).toBe("abc");
    open(server.port, "ws://127.0.0.1/a%20b");
    expect((await server.accept(board)).request.url).toBe("/a%20b");
  });

  test.each<[string, string]>([
    ["HTTP/1.1 404 Not Found\r\n\r\n", "the server answers HTTP 404 Not Found"],
    ["HTTP/1.1 301 Moved Permanently\r\nLocation: wss://x/\r\n\r\n", "the server answers HTTP 301"],
    ["HTTP/1.1 200 OK\r\n\r\n", "the server answers HTTP 200 OK"],
    ["SSH-2.0-OpenSSH_9.2\r\n", "what is no HTTP"],
    ["HTTP/1.1 101 Switching Protocols\r\nSec-WebSocket-Protocol: mqtt\r\n\r\n", "no WebSocket is there"],
    [`${OPENING}Sec-WebSocket-Accept: x\r\n\r\n`, "subprotocol mqtt"],
    [ACCEPTED.replace(": mqtt", ": mqttv3.1"), "subprotocol mqtt"],
    [`HTTP/1.1 101 ${"x".repeat(5000)}`, "the server's answer is too long"],
    [`${OPENING}${"X: y\r\n".repeat(1000)}`, "the server's answer is too long"],
  ])('an answer that is not to be: "refused" [MQTT-6.0.0-4], %#', async (answer, detail) => {
    const client = await answered(answer);
    expect(await failure(client)).toBe("refused");
    expect(client.events).toEqual(["error refused"]);
    expect(String(client.detail)).toContain(detail);
    expect(board.isIdle).toBe(true);
  });

  test('a server that hangs up instead of an answer: "refused"', async () => {
    const { port } = await listen((socket) => socket.once("data", () => socket.end()));
    expect(await failure(open(port))).toBe("refused");
  });

  test('a handshake of TLS that fails is "tls", and what comes behind it is "refused"', async () => {
    const answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
    const plain = await listen((socket) => socket.once("data", () => socket.end(answer)));
    expect(await failure(open(plain.port, "ws://localhost", {}))).toBe("tls");
    const server = await listen((socket) => {
      const tls = new TlsServerEnd((bytes) => socket.write(bytes), true);
      socket.on("data", (bytes: Buffer) => {
        tls.push(bytes);
        if (tls.receivedLength > 0) socket.write(encrypted(23, Buffer.from("HTTP/1.1 401 Unauthorized\r\n\r\n")));
      });
    });
    const client = open(server.port, "ws://localhost", {});
    expect(await failure(client)).toBe("refused");
    expect(String(client.detail)).toContain("HTTP 401 Unauthorized");
  });

  /** A client of a server that answers a request over TLS with these records, and does that behind them. */
  async function answeredWith(records: Uint8Array[], then = (_socket: net.Socket): void => {}): Promise<Recorder> {
    const { port } = await listen((socket) => {
      const tls = new TlsServerEnd((bytes) => socket.write(bytes), true);
      socket.on("data", (bytes: Buffer) => {
        const before = tls.receivedLength;
        tls.push(bytes);
        if (before > 0 || tls.receivedLength === 0) return;
        socket.write(Buffer.concat(records));
        then(socket);
      });
    });
    return open(port, "ws://localhost", {});
  }

  test("a record of TLS that is damaged, behind others, ends the connection and no board", async () => {
    const damaged = encrypted(23, frame(0x82, pattern(3)));
    damaged[damaged.length - 1] ^= 1;
    const accepted = encrypted(23, Buffer.from(ACCEPTED));
    for (const records of [[], [encrypted(23, frame(0x82, pattern(5)))]]) {
      const client = await answeredWith([accepted, ...records, damaged]);
      client.whenReadable = () => void client.read();
      expect(await failure(client)).toBe("closed");
      expect(String(client.detail)).toContain("bad record mac");
      expect(client.events.slice(1)).toEqual([...records.map(() => "readable 5"), "error closed"]);
    }
  });

  test("frames of one record can be read after the server has gone", async () => {
    const frames = Buffer.concat([frame(0x82, pattern(5)), frame(0x82, pattern(3, 1))]);
    const records = [encrypted(23, Buffer.from(ACCEPTED)), encrypted(23, frames)];
    const client = await answeredWith(records, (socket) => socket.end());
    await until(board, () => client.unread > 0 && board.tcp.last.called.includes("error"));
    expect(client.read()).toEqual(pattern(5));
    await until(board, () => client.unread > 0);
    expect(client.read()).toEqual(pattern(3, 1));
    expect(await failure(client)).toBe("closed");
  });

  test("text ends the connection, behind what came before it [MQTT-6.0.0-1]", async () => {
    const client = await answered(ACCEPTED, frame(0x82, pattern(5)), frame(0x81, pattern(4)), frame(0x82, pattern(3)));
    await until(board, () => client.unread === 5);
    board.timers.advance(10);
    expect(client.failure).toBeUndefined();
    client.read();
    expect(await failure(client)).toBe("closed");
    expect(String(client.detail)).toContain("[MQTT-6.0.0-1]");
    expect(client.events.slice(1)).toEqual(["readable 5", "error closed"]);
  });

  test.each<[string, number[], string]>([
    ["is longer than 31 bits", [0x82, 127, 0, 0, 0, 0, 0x80, 0, 0, 0], "too long"],
    ["is longer than 32 bits", [0x82, 127, 0, 0, 0, 1, 0, 0, 0, 1], "too long"],
    ["is masked", [0x82, 0x81, 1, 2, 3, 4, 5], "masked"],
    ["is a ping of 126 bytes", [0x89, 126, 0, 126], "too long"],
    ["closes", [0x88, 2, 3, 0xe8], "closed the WebSocket"],
    ["closes without a reason", [0x88, 0], "closed the WebSocket"],
    ["has an unknown opcode", [0x83, 1, 1], ""],
    ["has a reserved bit", [0xc2, 1, 1], ""],
  ])("a frame that %s ends the connection", async (_title, bytes, detail) => {
    const client = await answered(ACCEPTED, Uint8Array.from(bytes));
    expect(await failure(client)).toBe("closed");
    expect(String(client.detail)).toContain(detail);
    board.timers.advance(2000);
    expect(board.isIdle).toBe(true);
  });

  test("hands on frames in parts, several, empty ones, and pings between them [MQTT-6.0.0-2]", async () => {
    const singles = Array.from(pattern(20), (byte) => frame(0x82, Buffer.of(byte)));
    const parts = [frame(0x02, pattern(3)), frame(0x89, Buffer.from("ping")), frame(0x80, pattern(300))];
    const client = await answered(ACCEPTED, ...singles, frame(0x82, new Uint8Array(0)), ...parts);
    const got: number[] = [];
    client.whenReadable = () => got.push(...client.read());
    await until(board, () => got.length === 323);
    expect(got).toEqual([...pattern(20), ...pattern(3), ...pattern(300)]);
  });

  test("what comes while a frame is unread is not lost, however it is read, and the end comes last", async () => {
    for (const secure of [undefined, {}]) {
      const server = await listen(undefined, secure !== undefined);
      const client = open(server.port, "ws://localhost/mqtt", secure);
      const peer = await server.accept(board);
      const got: number[] = [];
      for (let i = 0; i < 8; i++) {
        peer.send(pattern(700, i));
        await until(board, () => client.unread > 0);
      }
      peer.end();
      await until(board, () => {
        got.push(...client.read(Math.min(client.unread, 13)));
        return client.failure !== undefined;
      });
      expect(got).toEqual(Array.from({ length: 8 }, (_, i) => [...pattern(700, i)]).flat());
    }
  });

  test("a request that does not fit the send buffer fails the attempt, and no board", async () => {
    const server = await listen();
    hal = hal.configure!({ wsHeaders: { "X-Long": "x".repeat(6000) } });
    const client = open(server.port);
    expect(await failure(client)).toBe("refused");
    expect(String(client.detail)).toContain("would block");
  });

  test("close() while the name is resolved, and while the answer is awaited, leaves nothing behind", async () => {
    const { port } = await listen(() => {});
    const first = open(port);
    first.close();
    const second = open(port);
    await until(board, () => board.tcp.sockets.length > 0 && board.tcp.last.written.length > 0);
    second.close();
    await until(board, () => board.isIdle);
    board.timers.advance(1000);
    expect([...first.events, ...second.events]).toEqual([]);
  });

  test("another host is the base's", async () => {
    const received: string[] = [];
    const { port } = await listen((socket) => socket.on("data", (bytes) => received.push(bytes.toString())));
    const client = open(port, "localhost");
    await until(board, () => client.room !== undefined);
    client.write(Buffer.from("no HTTP"));
    await until(board, () => received.length > 0);
    expect(received).toEqual(["no HTTP"]);
    expect(hal.webSocket).toBe(true);
  });

  test.each([
    "ws://", "ws:///mqtt", "ws://localhost:80/mqtt", "ws://u@localhost/", "ws://[::1]/", "ws://a b/", "ws://a/b c",
    "ws://a/b#c", "ws://a?b", "ws://a/\r\nX: y",
  ])("throws for the host %j", (host) => {
    expect(() => hal.open(host, 80, undefined, new Recorder())).toThrow(/^host/);
    expect(board.tcp.sockets).toEqual([]);
  });

  test.each<[string, object]>([
    ["tcpOpts", { tcpOpts: {} }],
    ["wsPath", { wsPath: "mqtt" }],
    ["wsPath", { wsPath: 5 }],
    ["wsHeaders", { wsHeaders: [] }],
    ["wsHeaders.A b", { wsHeaders: { "A b": "x" } }],
    ["wsHeaders.A", { wsHeaders: { A: "x\r\nB: y" } }],
    ["wsHeaders.A", { wsHeaders: { A: 5 } }],
    ["wsHeaders.Upgrade", { wsHeaders: { Upgrade: "x" } }],
    ["wsHeaders.Host", { wsHeaders: { Host: "x" } }],
  ])("throws a TypeError by name: %s", (name, settings) => {
    expect(() => hal.configure!(settings)).toThrow(TypeError);
    expect(() => hal.configure!(settings)).toThrow(new RegExp(`^${name}`));
  });

  test("throws for a base that is not of ECMA-419, and for TLS where there is none", () => {
    const client = webSocketClient(board.timers) as unknown as Ecma419WebSocketClient;
    expect(() => createEcma419WebSocketHal(new MockHal(), client)).toThrow("base");
    hal = makeHal(board, { tls: undefined });
    expect(() => hal.open("ws://h", 443, {}, new Recorder())).toThrow("no TLS");
  });
});
