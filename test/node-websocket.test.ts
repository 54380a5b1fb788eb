import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { createHash } from "node:crypto";
import { once } from "node:events";
import http from "node:http";
import https from "node:https";
import net from "node:net";
import type { AddressInfo } from "node:net";
import type tls from "node:tls";
import { WebSocketServer } from "ws";
import type { ServerOptions, WebSocket } from "ws";
import defaultHal, { createWebSocketHal } from "../hal/node-websocket.js";
import type { TcpOptions, TlsOptions, WebSocketHalOptions } from "../hal/node-websocket.js";
import { createNodeHal } from "../hal/node.js";
import type { Hal } from "../hal/socket.js";
import { certificates } from "./support/certificates.js";
import { pattern, Recorder, testHalContract } from "./support/hal-contract.js";
import type { Peer, World } from "./support/hal-contract.js";

jest.setTimeout(20000);

/** Turns of the event loop until `condition` holds. */
async function until(condition: () => boolean): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > 10000) throw new Error("it does not come to that");
    await new Promise(setImmediate);
  }
}

/** Turns of the event loop until `progress()` has stood still for a while. */
async function untilStill(progress: () => number): Promise<void> {
  let last = progress();
  for (let turns = 0; turns < 300; turns++) {
    await new Promise(setImmediate);
    if (progress() !== last) turns = 0;
    last = progress();
  }
}

/** A server's end of a WebSocket; what is longer than a frame goes in several. */
class WebSocketPeer implements Peer {
  readonly ws: WebSocket;
  readonly request: http.IncomingMessage;
  /** Below TLS. */
  readonly #tcp: net.Socket;
  /** Lengths of the messages that came. */
  readonly lengths: number[] = [];
  receivedLength = 0;
  ended = false;
  closeCode: number | undefined;
  #chunks: Buffer[] = [];

  constructor(ws: WebSocket, request: http.IncomingMessage, tcp: net.Socket) {
    this.#tcp = tcp;
    this.ws = ws;
    this.request = request;
    ws.on("message", (data: Buffer, isBinary) => {
      if (!isBinary) throw new Error("the client sent text");
      this.#chunks.push(Buffer.from(data));
      this.lengths.push(data.length);
      this.receivedLength += data.length;
    });
    ws.on("close", (code) => {
      this.closeCode = code;
      this.ended = true;
    });
    ws.on("error", () => {});
  }

  get received(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  send(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += 100000) this.ws.send(bytes.subarray(at, at + 100000));
  }

  end(): void {
    this.ws.close(1000);
  }

  reset(): void {
    this.#tcp.resetAndDestroy();
  }

  stopReading(): void {
    this.ws.pause();
  }

  startReading(): void {
    this.ws.resume();
  }
}

class Server {
  readonly peers: WebSocketPeer[] = [];
  readonly http: http.Server;
  readonly sockets: net.Socket[] = [];
  readonly #server: WebSocketServer;
  #accepted = 0;

  constructor(tlsOptions?: tls.TlsOptions, options: ServerOptions = {}) {
    this.http = tlsOptions
      ? https.createServer({ ...certificates().server, ...tlsOptions })
      : http.createServer();
    this.http.on("connection", (socket: net.Socket) => {
      this.sockets.push(socket);
      socket.on("error", () => {});
    });
    this.http.on("tlsClientError", () => {});
    this.#server = new WebSocketServer({ server: this.http, ...options });
    this.#server.on("connection", (ws, request) => {
      const tcp = this.sockets.find((each) => each.remotePort === request.socket.remotePort)!;
      this.peers.push(new WebSocketPeer(ws, request, tcp));
    });
  }

  async listen(): Promise<this> {
    this.http.listen(0, "127.0.0.1");
    await once(this.http, "listening");
    return this;
  }

  get port(): number {
    return (this.http.address() as AddressInfo).port;
  }

  async accept(): Promise<WebSocketPeer> {
    await until(() => this.peers.length > this.#accepted);
    return this.peers[this.#accepted++];
  }

  async close(): Promise<void> {
    this.#server.close();
    for (const socket of this.sockets) socket.destroy();
    if (!this.http.listening) return;
    this.http.close();
    await once(this.http, "close");
  }
}

/** Names that resolve here, whatever the machine's resolver says. */
const ADDRESSES: Record<string, string[]> = {
  "localhost": ["127.0.0.1"],
  "broker.test": ["127.0.0.1"],
  "dual.test": ["::1", "127.0.0.1"],
};

const lookup: NonNullable<TcpOptions["lookup"]> = (host, options, callback) => {
  const found = (ADDRESSES[host] ?? []).map((address) => ({ address, family: net.isIP(address) }));
  setImmediate(() => {
    if (found.length === 0) callback(Object.assign(new Error(`no ${host}`), { code: "ESERVFAIL" }), []);
    else if (options.all) callback(null, found);
    else callback(null, found[0].address, found[0].family);
  });
};

const makeHal = (options: WebSocketHalOptions = {}): Hal => {
  return createWebSocketHal(createNodeHal({ lookup }), { ...options, tcpOpts: { lookup, ...options.tcpOpts } });
};

async function makeWorld(secure: TlsOptions | undefined): Promise<World> {
  const hal = makeHal();
  const server = await new Server(secure && {}).listen();
  const closed = await new Server().listen();
  const closedPort = closed.port;
  await closed.close();
  return {
    hal,
    bulkLength: 16 << 20,
    open: (handler) => hal.open("ws://localhost/mqtt", server.port, secure, handler)!,
    openRefused: (handler) => hal.open("ws://localhost/mqtt", closedPort, secure, handler)!,
    openUnknown: (handler) => hal.open("ws://nowhere.test/mqtt", server.port, secure, handler)!,
    accept: () => server.accept(),
    until,
    dispose: () => server.close(),
  };
}

testHalContract("The HAL of Node with WebSocket", () => makeWorld(undefined));
testHalContract("The HAL of Node with WebSocket, over TLS,", () => makeWorld({ ca: certificates().ca.cert }));

describe("The HAL of Node with WebSocket", () => {
  const pki = certificates();
  const trusted = { ca: pki.ca.cert };
  let hal: Hal;
  let servers: { close(): Promise<void> }[];
  let clients: Recorder[];

  beforeEach(() => {
    hal = makeHal();
    servers = [];
    clients = [];
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    for (const client of clients) client.close();
    for (const server of servers) await server.close();
    for (const client of clients) expect(client.broken).toEqual([]);
  });

  async function listen(tlsOptions?: tls.TlsOptions, options?: ServerOptions): Promise<Server> {
    const server = await new Server(tlsOptions, options).listen();
    servers.push(server);
    return server;
  }

  /** A server that does what it is told with each connection. Returns its port. */
  async function listenRaw(handle: (socket: net.Socket) => void): Promise<number> {
    const sockets: net.Socket[] = [];
    const server = net.createServer({ noDelay: true }, (socket) => {
      sockets.push(socket);
      socket.on("error", () => {});
      handle(socket);
    });
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    servers.push({
      async close() {
        for (const socket of sockets) socket.destroy();
        server.close();
        await once(server, "close");
      },
    });
    return (server.address() as AddressInfo).port;
  }

  /** ... with a connection that has asked for WebSocket: its request, and the value that accepts it. */
  function listenRequests(answer: (socket: net.Socket, request: string, accept: string) => void): Promise<number> {
    return listenRaw((socket) => {
      socket.once("data", (bytes: Buffer) => {
        const request = bytes.toString();
        const key = /^Sec-WebSocket-Key: (.*)\r$/m.exec(request)?.[1] ?? "";
        const guid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
        answer(socket, request, createHash("sha1").update(key + guid).digest("base64"));
      });
    });
  }

  const accepted = (accept: string, rest = "Sec-WebSocket-Protocol: mqtt\r\n"): string =>
    "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" +
    `Sec-WebSocket-Accept: ${accept}\r\n${rest}\r\n`;

  /** ... and that was accepted: a connection on which frames are made by hand. */
  function listenFrames(handle: (socket: net.Socket) => void): Promise<number> {
    return listenRequests((socket, _request, accept) => {
      socket.write(accepted(accept));
      handle(socket);
    });
  }

  function open(host: string, port: number, secure?: TlsOptions): Recorder {
    const client = new Recorder().open((handler) => hal.open(host, port, secure, handler)!);
    clients.push(client);
    return client;
  }

  async function connect(server: Server, secure?: TlsOptions): Promise<{ client: Recorder; peer: WebSocketPeer }> {
    const client = open("ws://localhost", server.port, secure);
    await until(() => client.room !== undefined || client.failure !== undefined);
    expect(client.detail).toBeUndefined();
    return { client, peer: await server.accept() };
  }

  async function failure(client: Recorder): Promise<string> {
    await until(() => client.failure !== undefined);
    return client.failure!;
  }

  describe("the request", () => {
    async function requestOf(host: string): Promise<http.IncomingMessage> {
      const server = await listen();
      open(host, server.port);
      return (await server.accept()).request;
    }

    test("asks for the subprotocol mqtt, and for no extension [MQTT-6.0.0-3] [MQTT5-6.0.0-3]", async () => {
      const { headers } = await requestOf("ws://localhost");
      expect(headers["sec-websocket-protocol"]).toBe("mqtt");
      expect(headers["sec-websocket-extensions"]).toBeUndefined();
    });

    test("goes to the path of the host, else to that of wsPath, else to /mqtt", async () => {
      expect((await requestOf("ws://localhost")).url).toBe("/mqtt");
      expect((await requestOf("ws://localhost/")).url).toBe("/");
      expect((await requestOf("WS://localhost/a%20b/c?token=x&y=%23")).url).toBe("/a%20b/c?token=x&y=%23");
      hal = hal.configure!({ wsPath: "/ws" });
      expect((await requestOf("ws://localhost")).url).toBe("/ws");
      expect((await requestOf("ws://localhost/mqtt")).url).toBe("/mqtt");
    });

    test("has the name and the port it goes to, and the header fields that were set", async () => {
      expect((await requestOf("ws://broker.test/mqtt")).headers.host).toMatch(/^broker\.test:\d+$/);
      hal = hal.configure!({ wsHeaders: { "Authorization": "Bearer abc", "X-Empty": "" } });
      const { headers } = await requestOf("ws://broker.test/mqtt");
      expect(headers.authorization).toBe("Bearer abc");
      expect(headers["x-empty"]).toBe("");
      hal = hal.configure!({ wsHeaders: { Host: "other.test" } });
      const other = await requestOf("ws://broker.test/mqtt");
      expect(other.headers.host).toBe("other.test");
      expect(other.headers.authorization).toBeUndefined();
    });

    test("goes to every address of a name, and to an address", async () => {
      await requestOf("ws://dual.test/mqtt");
      await requestOf("ws://127.0.0.1/mqtt");
    });

    test("goes to an IPv6 address in brackets", async () => {
      const addresses: unknown[] = [];
      jest.spyOn(net.Socket.prototype, "connect").mockImplementation(function (this: net.Socket, ...args: unknown[]) {
        addresses.push((args[0] as { host: string }[])[0].host);
        return this.destroy(Object.assign(new Error("no"), { code: "ENETUNREACH" }));
      });
      expect(await failure(open("ws://[fe80::1]/mqtt", 1883))).toBe("unreachable");
      expect(addresses).toEqual(["fe80::1"]);
    });

    test.each([
      "ws://",
      "ws:///mqtt",
      "ws://localhost:80/mqtt",
      "ws://user@localhost/mqtt",
      "ws://::1/mqtt",
      "ws://[::1/mqtt",
      "ws://localhost?x",
      "wss://localhost/mqtt",
      "ws://localhost/a b",
      "ws://localhost/a#b",
      "ws://localhost/\r\nX-Injected: 1",
      "ws://localhost/größe",
    ])("is not made for the host %j", (host) => {
      expect(() => hal.open(host, 80, undefined, new Recorder())).toThrow(TypeError);
      expect(() => hal.open(host, 80, undefined, new Recorder())).toThrow(/^host: /);
    });

    test.each(["a b", "x".repeat(300), "..", "%00"])('says "dns" for the name %j', async (name) => {
      expect(await failure(open(`ws://${name}/mqtt`, 1883))).toBe("dns");
    });
  });

  describe("the answer", () => {
    test.each([
      ["404 Not Found", "", "the server answers HTTP 404 Not Found"],
      ["401 Unauthorized", "WWW-Authenticate: Basic\r\n", "the server answers HTTP 401 Unauthorized"],
      ["200 OK", "", "the server answers HTTP 200 OK"],
      ["301 Moved Permanently", "Location: wss://other/\r\n", "the server answers HTTP 301 Moved Permanently, to wss:"],
      ["503 Service Unavailable", "Transfer-Encoding: chunked\r\n", "the server answers HTTP 503"],
    ])('HTTP %s is "refused", and the detail says so', async (status, fields, detail) => {
      const ended: boolean[] = [];
      const port = await listenRequests((socket) => {
        socket.on("close", () => ended.push(true));
        socket.write(`HTTP/1.1 ${status}\r\nContent-Length: 0\r\n${fields}\r\n`.replace(/Content.*\r\n(?=Tr)/, ""));
      });
      const client = open("ws://localhost", port);
      expect(await failure(client)).toBe("refused");
      expect(String(client.detail)).toContain(detail);
      await until(() => ended.length > 0);
    });

    test.each([
      ["without a subprotocol", "", "Server sent no subprotocol"],
      ["with another subprotocol", "Sec-WebSocket-Protocol: mqttv3.1\r\n", "Server sent an invalid subprotocol"],
      ["with an extension", "Sec-WebSocket-Protocol: mqtt\r\nSec-WebSocket-Extensions: x\r\n", "extension"],
    ])('that accepts %s is "refused" [MQTT-6.0.0-4] [MQTT5-6.0.0-4]', async (_title, fields, detail) => {
      const port = await listenRequests((socket, _request, accept) => socket.write(accepted(accept, fields)));
      const client = open("ws://localhost", port);
      expect(await failure(client)).toBe("refused");
      expect(client.events).toEqual(["error refused"]);
      expect(String(client.detail)).toContain(detail);
    });

    test('that proves nothing, is no HTTP or does not come is "refused"', async () => {
      const answers: ((socket: net.Socket) => void)[] = [
        (socket) => socket.write(accepted("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")),
        (socket) => socket.write("SSH-2.0-OpenSSH_9.2\r\n"),
        (socket) => socket.write(Buffer.of(0x20, 2, 0, 0)),
        (socket) => socket.end(),
        (socket) => socket.resetAndDestroy(),
        (socket) => socket.write(`HTTP/1.1 101 ${"x".repeat(100000)}`),
      ];
      for (const answer of answers) {
        const client = open("ws://localhost", await listenRequests(answer));
        expect(await failure(client)).toBe("refused");
        expect((client.detail as Error).message).toBeTruthy();
      }
    });

    test("has no time limit here, and close() ends the waiting", async () => {
      let socket: net.Socket | undefined;
      const port = await listenRequests((each) => (socket = each));
      const client = open("ws://localhost", port);
      await until(() => socket !== undefined);
      const closed = once(socket!, "close");
      client.close();
      await closed;
      expect(client.events).toEqual([]);
    });
  });

  describe("frames", () => {
    /** A frame of a server, its length in as few bytes as it needs. */
    const frame = (first: number, payload: Uint8Array): Buffer => {
      const { length } = payload;
      const head = length < 126 ? [first, length] : [first, 126, length >> 8, length & 255];
      return Buffer.concat([Buffer.from(head), payload]);
    };

    const TEXT = 0x81;
    const BINARY = 0x82;

    /** What comes of these bytes behind the answer. */
    async function after(bytes: Uint8Array, whenRaw = (_socket: net.Socket): void => {}): Promise<Recorder> {
      const port = await listenFrames((socket) => {
        whenRaw(socket);
        socket.write(bytes);
      });
      return open("ws://localhost", port);
    }

    test("text ends the connection, behind what came before it [MQTT-6.0.0-1] [MQTT5-6.0.0-1]", async () => {
      const sent: Buffer[] = [];
      const client = await after(
        Buffer.concat([frame(BINARY, pattern(5)), frame(TEXT, Buffer.from("MQTT")), frame(BINARY, pattern(5))]),
        (socket) => socket.on("data", (bytes: Buffer) => sent.push(bytes)),
      );
      await until(() => client.unread === 5);
      await untilStill(() => client.events.length);
      expect(client.failure).toBeUndefined();
      expect(client.socket.write(pattern(1), 0, 1)).toBe(0);
      expect(client.read()).toEqual(pattern(5));
      expect(await failure(client)).toBe("closed");
      expect(String(client.detail)).toContain("[MQTT-6.0.0-1]");
      expect(client.events).toEqual(["writable 65536", "readable 5", "error closed"]);
      // A close frame, masked, with the status 1003.
      const close = Buffer.concat(sent);
      expect(close[0]).toBe(0x88);
      expect((close.readUInt16BE(6) ^ close.readUInt16BE(2))).toBe(1003);
    });

    test("hold parts of packets, and several packets, and may themselves be in parts " +
      "[MQTT-6.0.0-2] [MQTT5-6.0.0-2]", async () => {
      const client = await after(
        Buffer.concat([
          ...Array.from(pattern(20), (byte) => frame(BINARY, Buffer.of(byte))),
          frame(BINARY, new Uint8Array(0)),
          frame(0x02, pattern(3)),
          frame(0x89, Buffer.from("ping between")),
          frame(0x00, pattern(300)),
          frame(0x80, pattern(4)),
        ]),
      );
      await until(() => client.unread === 327);
      expect(Array.from(client.read())).toEqual([...pattern(20), ...pattern(3), ...pattern(300), ...pattern(4)]);
    });

    test.each<[string, Buffer, string]>([
      ["is longer than 16 MiB", Buffer.from([BINARY, 127, 0, 0, 0, 0, 1, 0, 0, 1]), "Max payload size exceeded"],
      ["says to be longer than there are bytes", Buffer.from([BINARY, 127, ...Buffer.alloc(8, 0x7f)]), "payload"],
      ["is masked", Buffer.from([BINARY, 0x81, 0, 0, 0, 0, 1]), "MASK"],
      ["has a reserved bit", Buffer.from([0xc2, 1, 1]), "RSV1"],
      ["has an unknown opcode", Buffer.from([0x83, 1, 1]), "opcode"],
      ["goes on with nothing", Buffer.from([0x80, 1, 1]), "opcode"],
    ])("a frame that %s ends the connection", async (_title, bytes, detail) => {
      const client = await after(bytes);
      expect(await failure(client)).toBe("closed");
      expect(String(client.detail)).toContain(detail);
    });

    test("a frame's length is what maxPayload says, at most", async () => {
      hal = makeHal({ maxPayload: 100 });
      const fits = await after(frame(BINARY, pattern(100)));
      await until(() => fits.unread === 100);
      expect(await failure(await after(frame(BINARY, pattern(101))))).toBe("closed");
      // In parts, too.
      const parts = [frame(0x02, pattern(60)), frame(0x80, pattern(60))];
      expect(await failure(await after(Buffer.concat(parts)))).toBe("closed");
    });

    test("answers pings, and tells the status that a server closes with", async () => {
      const server = await listen();
      const { client, peer } = await connect(server);
      peer.ws.ping("x");
      await once(peer.ws, "pong");
      peer.ws.close(1001, "going away");
      expect(await failure(client)).toBe("closed");
      expect(String(client.detail)).toContain("1001 going away");
      expect(client.events).toEqual(["writable 65536", "error closed"]);
    });
  });

  describe.each([["TCP", false], ["TLS", true]])("bytes over %s", (_name, isSecure) => {
    const BULK = 24 << 20;
    let secure: TlsOptions | undefined;
    let server: Server;

    beforeEach(async () => {
      secure = isSecure ? trusted : undefined;
      server = await listen(isSecure ? {} : undefined);
    });

    test("a client that does not read stops the peer, and gets every byte when it reads again", async () => {
      const { client, peer } = await connect(server, secure);
      const bulk = pattern(BULK);
      peer.send(bulk);
      peer.end();
      await untilStill(() => client.unread);
      expect(client.unread).toBeGreaterThan(0);
      // What was read from the network, with the end of a frame of 100,000 bytes in it.
      expect(client.unread).toBeLessThanOrEqual(300000);
      expect(peer.ws.bufferedAmount).toBeGreaterThan(BULK / 2);
      let got = 0;
      let equal = true;
      const readAll = (): void => {
        const bytes = client.read();
        equal &&= Buffer.compare(bytes, bulk.subarray(got, got + bytes.length)) === 0;
        got += bytes.length;
      };
      client.whenReadable = readAll;
      readAll();
      await until(() => client.failure !== undefined);
      expect(got).toBe(BULK);
      expect(equal).toBe(true);
      expect(client.failure).toBe("closed");
    });

    test("a peer that does not read stops the client, and gets every byte when it reads again", async () => {
      const { client, peer } = await connect(server, secure);
      peer.stopReading();
      const bulk = pattern(BULK);
      let written = 0;
      const writeMore = (): void => {
        const count = Math.min(client.room!, BULK - written);
        client.write(bulk, written, written + count);
        written += count;
      };
      client.whenWritable = writeMore;
      writeMore();
      await untilStill(() => written);
      expect(client.room).toBe(0);
      expect(written).toBeLessThan(BULK);
      peer.startReading();
      await until(() => peer.receivedLength === BULK);
      expect(Buffer.compare(peer.received, bulk)).toBe(0);
    });

    test("close() delivers all that was written, however much is still on its way", async () => {
      const { client, peer } = await connect(server, secure);
      peer.stopReading();
      let written = 0;
      client.whenWritable = () => {
        written += client.room!;
        client.write(new Uint8Array(client.room!));
      };
      client.whenWritable();
      await untilStill(() => written);
      client.close();
      peer.startReading();
      await until(() => peer.ended);
      expect(peer.receivedLength).toBe(written);
      expect(peer.closeCode).toBe(1000);
    });

    test("what is written in one turn is one frame and one write, out of a buffer that every client uses", async () => {
      const { client, peer } = await connect(server, secure);
      const pieces: number[] = [];
      const write = net.Socket.prototype.write;
      jest.spyOn(net.Socket.prototype, "write").mockImplementation(function (this: net.Socket, ...args: unknown[]) {
        // The process has others: what it prints may go by one.
        if (this.remotePort === server.port) pieces.push((args[0] as Uint8Array).length);
        return Reflect.apply(write, this, args) as boolean;
      });
      for (let i = 0; i < 1000; i++) client.write(pattern(10, i));
      await until(() => peer.receivedLength === 10000 && client.room === 65536);
      client.write(pattern(3));
      await until(() => peer.receivedLength === 10003);
      expect(peer.lengths).toEqual([10000, 3]);
      expect(pieces).toEqual([10008, 9]);
    });

    test("bytes that the server sends at once come after the connection is up", async () => {
      const port = server.port;
      const client = open("ws://localhost", port, secure);
      const peer = await server.accept();
      peer.send(pattern(5));
      peer.end();
      await until(() => client.unread === 5);
      expect(client.events).toEqual(["writable 65536", "readable 5"]);
      client.read();
      expect(await failure(client)).toBe("closed");
    });
  });

  test("keeps what was not read when a handler throws", async () => {
    const { client, peer } = await connect(await listen());
    const nextTick = jest.spyOn(process, "nextTick");
    client.whenReadable = () => {
      client.whenReadable = () => {};
      throw new Error("of the application");
    };
    const thrown: unknown[] = [];
    nextTick.mockImplementation((callback, ...args: unknown[]) => {
      queueMicrotask(() => {
        try {
          Reflect.apply(callback, undefined, args);
        } catch (error) {
          thrown.push(error);
        }
      });
    });
    peer.send(pattern(5));
    peer.send(pattern(6));
    await until(() => client.unread === 11 && thrown.length > 0);
    nextTick.mockRestore();
    expect(String(thrown[0])).toBe("Error: of the application");
    expect(client.read().length).toBe(11);
    peer.send(pattern(7));
    await until(() => client.unread === 7);
  });

  test("a closed socket lets go of a peer that does not close", async () => {
    jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "performance", "queueMicrotask"] });
    try {
      let socket: net.Socket | undefined;
      let received = 0;
      const port = await listenFrames((each) => {
        socket = each;
        each.on("data", (bytes: Buffer) => (received += bytes.length));
      });
      const client = open("ws://localhost", port);
      await until(() => client.room !== undefined);
      const start = received;
      client.close();
      await until(() => received === start + 8); // the close frame
      jest.advanceTimersByTime(2999);
      await untilStill(() => (socket!.destroyed ? 1 : 0));
      expect(socket!.destroyed).toBe(false);
      jest.advanceTimersByTime(1);
      await until(() => socket!.destroyed);
    } finally {
      jest.useRealTimers();
    }
  });

  describe("TLS", () => {
    test.each<[string, keyof typeof pki, TlsOptions, string]>([
      ["an unknown authority", "server", {}, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
      ["another authority", "server", { ca: pki.otherCa.cert }, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
      ["another host's certificate", "wrongHost", trusted, "ERR_TLS_CERT_ALTNAME_INVALID"],
      ["an expired certificate", "expired", trusted, "CERT_HAS_EXPIRED"],
      ["a wrong servername", "server", { ...trusted, servername: "elsewhere.test" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ])('says "tls" for %s', async (_title, name, secure, code) => {
      const server = await listen(pki[name]);
      const client = open("ws://localhost", server.port, secure);
      expect(await failure(client)).toBe("tls");
      expect(client.events).toEqual(["error tls"]);
      expect((client.detail as NodeJS.ErrnoException).code).toBe(code);
    });

    test("asks for the host's name or servername, for no address; rejectUnauthorized: false takes all", async () => {
      const asked: string[] = [];
      const server = await listen({
        ...pki.wrongHost,
        SNICallback: (name, done) => {
          asked.push(name);
          done(null);
        },
      });
      const attempts = [["localhost", {}], ["127.0.0.1", {}], ["localhost", { servername: "x.test" }]];
      for (const [host, options] of attempts) {
        const secure = { rejectUnauthorized: false, ...(options as object) };
        const client = open(`ws://${host as string}`, server.port, secure);
        await until(() => client.room !== undefined);
      }
      expect(asked).toEqual(["localhost", "x.test"]);
    });

    test("offers no protocol but HTTP's", async () => {
      const server = await listen({ ALPNProtocols: ["http/1.1"] });
      const { peer } = await connect(server, { ...trusted, ALPNProtocols: ["http/1.1"] });
      expect((peer.request.socket as tls.TLSSocket).alpnProtocol).toBe("http/1.1");
      const { peer: other } = await connect(server, trusted);
      expect((other.request.socket as tls.TLSSocket).alpnProtocol).toBe(false);
      const wrong = { ...trusted, ALPNProtocols: ["mqtt"] };
      expect(() => open("ws://localhost", server.port, wrong)).toThrow(TypeError);
      expect(() => open("ws://localhost", server.port, wrong)).toThrow("secure.ALPNProtocols");
    });

    test("shows the client's certificate; without one it says \"tls\"", async () => {
      const mutual = { ca: pki.ca.cert, requestCert: true, rejectUnauthorized: true };
      const server = await listen(mutual);
      const { peer } = await connect(server, { ...trusted, ...pki.client });
      expect((peer.request.socket as tls.TLSSocket).getPeerCertificate().subject.CN).toBe("device-1");
      for (const version of ["TLSv1.2", "TLSv1.3"] as const) {
        const secure = { ...trusted, minVersion: version, maxVersion: version };
        expect(await failure(open("ws://localhost", server.port, secure))).toBe("tls");
      }
    });

    test('says "tls" when the server does not speak it, and "refused" when it speaks nothing else', async () => {
      const answer = "HTTP/1.1 400 Bad Request\r\n\r\n";
      const plain = await listenRaw((socket) => socket.once("data", () => socket.end(answer)));
      expect(await failure(open("ws://localhost", plain, trusted))).toBe("tls");
      const server = await listen({});
      expect(await failure(open("ws://localhost", server.port))).toBe("refused");
    });

    test("throws a TypeError by name for a wrong option, before anything happens", () => {
      const tcp = jest.spyOn(net.Socket.prototype, "connect");
      for (const act of [
        () => hal.checkSecure({ certificate: "" }),
        () => hal.open("ws://localhost", 1, { certificate: "" }, new Recorder()),
      ]) {
        expect(act).toThrow(TypeError);
        expect(act).toThrow("secure.certificate");
      }
      expect(tcp).not.toHaveBeenCalled();
    });
  });

  describe("settings", () => {
    test("another host is the base's, and so is everything else", async () => {
      const received: string[] = [];
      const port = await listenRaw((socket) => socket.on("data", (bytes) => received.push(bytes.toString())));
      const client = open("localhost", port);
      await until(() => client.room !== undefined);
      client.write(Buffer.from("no HTTP"));
      await until(() => received.length > 0);
      expect(received).toEqual(["no HTTP"]);
      expect(hal.webSocket).toBe(true);
      expect(createNodeHal().webSocket).toBeUndefined();
    });

    test("tcpOpts are for both, and stay where other settings change", async () => {
      hal = hal.configure!({ tcpOpts: { localAddress: "127.0.0.2" } });
      hal = hal.configure!({ wsPath: "/x", wsHeaders: { A: "b" } });
      const server = await listen();
      const { peer } = await connect(server);
      expect(peer.request.socket.remoteAddress).toBe("127.0.0.2");
      expect(peer.request.url).toBe("/x");
      expect(peer.request.headers["a"]).toBe("b");
      const addresses: (string | undefined)[] = [];
      const port = await listenRaw((socket) => addresses.push(socket.remoteAddress));
      const client = open("localhost", port);
      await until(() => client.room !== undefined && addresses.length > 0);
      expect(addresses).toEqual(["127.0.0.2"]);
    });

    test("a base that takes no settings is left as it is", async () => {
      const base = createNodeHal({ lookup });
      delete base.configure;
      hal = createWebSocketHal(base, { tcpOpts: { lookup, localAddress: "127.0.0.2" } });
      const { peer } = await connect(await listen());
      expect(peer.request.socket.remoteAddress).toBe("127.0.0.2");
    });

    test.each<[string, object]>([
      ["wsPath", { wsPath: "mqtt" }],
      ["wsPath", { wsPath: "/a b" }],
      ["wsPath", { wsPath: 5 }],
      ["wsPath", { wsPath: "" }],
      ["wsHeaders: not an object", { wsHeaders: [["A", "b"]] }],
      ["wsHeaders.A: not a string", { wsHeaders: { A: 1 } }],
      ["wsHeaders.A b", { wsHeaders: { "A b": "x" } }],
      ["wsHeaders.A", { wsHeaders: { A: "x\r\nB: y" } }],
      ["wsHeaders.Sec-WebSocket-Protocol: is WebSocket's own", { wsHeaders: { "Sec-WebSocket-Protocol": "x" } }],
      ["wsHeaders.upgrade", { wsHeaders: { upgrade: "h2c" } }],
      ["tcpOpts.localAddress", { tcpOpts: { localAddress: "eth0" } }],
      ["path: no such setting", { path: "/mqtt" }],
    ])("throws a TypeError by name: %s", (message, settings) => {
      for (const act of [
        () => hal.configure!(settings),
        () => createWebSocketHal(undefined, settings),
      ]) {
        expect(act).toThrow(TypeError);
        expect(act).toThrow(message);
      }
    });

    test("throws for a wrong maxPayload, and does not repeat a header's value", () => {
      for (const maxPayload of [0, 1.5, -1, 2 ** 31, "1", null]) {
        expect(() => createWebSocketHal(undefined, { maxPayload } as object)).toThrow("maxPayload");
      }
      expect(() => hal.configure!({ wsHeaders: { A: "the secret\n" } })).toThrow(/^(?!.*the secret)/);
    });

    test("the HAL by default has WebSocket and Node's own names", async () => {
      hal = defaultHal;
      await connect(await listen());
    });
  });
});
