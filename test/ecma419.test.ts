import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { once } from "node:events";
import net from "node:net";
import type { AddressInfo } from "node:net";
import { guardTcp } from "../hal/ecma419-tls.js";
import { createEcma419Hal } from "../hal/ecma419.js";
import type { Ecma419Options, Ecma419Provider, Ecma419Resolver } from "../hal/ecma419.js";
import type { Hal, Timer } from "../hal/socket.js";
import { createMqtt } from "../src/client.js";
import type { Client } from "../src/client.js";
import { MQTT_3_1_1 } from "../src/v311.js";
import {
  ALERT,
  APPLICATION_DATA,
  Board,
  CHANGE_CIPHER_SPEC,
  CLOSE_NOTIFY_FRAGMENT,
  encrypted,
  HANDSHAKE,
  LinTimers,
  McTimers,
  NODE_TEXT,
  record,
  SERVER_FINISH,
  SERVER_FLIGHT,
  tlsOptionsSeen,
  TlsServerEnd,
  XS_TEXT,
} from "./support/ecma419.js";
import { pattern, Recorder, testHalContract } from "./support/hal-contract.js";
import type { Peer, World } from "./support/hal-contract.js";

jest.setTimeout(20000);

const DEFAULTS = { rxCapacity: 1024, txCapacity: 2048, maxOperations: 8, receiveMaximum: 4 };

function makeHal(board: Board, options: Partial<Ecma419Options> = {}): Hal {
  return createEcma419Hal({
    ...NODE_TEXT,
    tcp: board.mqtt,
    tls: board.mqtts,
    timers: board.timers,
    now: board.timers.now,
    generateId: () => "board1",
    defaults: DEFAULTS,
    openDelayMs: 0,
    drainMs: 0,
    ...options,
  });
}

/** Turns of the event loop until `condition` holds; no timer of a board fires. */
async function turnUntil(condition: () => boolean, betweenTurns = (): void => {}): Promise<void> {
  const start = performance.now();
  while (!condition()) {
    if (performance.now() - start > 10000) throw new Error("it does not come to that");
    betweenTurns();
    await new Promise(setImmediate);
  }
}

/** ... each `stepMs` on the board's clock. */
function until(board: Board, condition: () => boolean, stepMs = 0): Promise<void> {
  return turnUntil(condition, () => board.timers.advance(stepMs));
}

/** The far end of a connection; over TLS the fake one of `TlsServerEnd`. */
class TestPeer implements Peer {
  readonly socket: net.Socket;
  readonly tls: TlsServerEnd | undefined;
  ended = false;
  /** What came over the wire. */
  #chunks: Buffer[] = [];
  #rawLength = 0;

  constructor(socket: net.Socket, tls: "none" | "silent" | "answering") {
    this.socket = socket;
    if (tls !== "none") this.tls = new TlsServerEnd((bytes) => socket.write(bytes), tls === "answering");
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#rawLength += chunk.length;
      this.tls?.push(chunk);
    });
    socket.on("end", () => (this.ended = true));
    socket.on("close", () => (this.ended = true));
    socket.on("error", () => {});
  }

  get raw(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  get received(): Uint8Array {
    return this.tls ? this.tls.received : this.raw;
  }

  get receivedLength(): number {
    return this.tls ? this.tls.receivedLength : this.#rawLength;
  }

  /** Over TLS in records of at most 4096 bytes. */
  send(bytes: Uint8Array): void {
    if (this.tls === undefined) this.socket.write(bytes);
    else for (let at = 0; at < bytes.length; at += 4096) this.sendRecords(encrypted(23, bytes.subarray(at, at + 4096)));
  }

  /** In one write. */
  sendRecords(...records: Uint8Array[]): void {
    this.socket.write(Buffer.concat(records));
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.socket.resetAndDestroy();
  }

  stopReading(): void {
    this.socket.pause();
  }

  startReading(): void {
    this.socket.resume();
  }
}

class Server {
  readonly peers: TestPeer[] = [];
  readonly #server: net.Server;
  #accepted = 0;

  constructor(tls: "none" | "silent" | "answering") {
    this.#server = net.createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.peers.push(new TestPeer(socket, tls));
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

  async accept(board: Board, stepMs = 0): Promise<TestPeer> {
    await until(board, () => this.peers.length > this.#accepted, stepMs);
    return this.peers[this.#accepted++];
  }

  async close(): Promise<void> {
    for (const peer of this.peers) peer.socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

async function closedPort(): Promise<number> {
  const server = await new Server("none").listen();
  const { port } = server;
  await server.close();
  return port;
}

async function makeWorld(isSecure: boolean, timers: typeof McTimers | typeof LinTimers, xs: boolean): Promise<World> {
  const board = new Board(timers);
  const hal = makeHal(board, { ...(xs ? XS_TEXT : NODE_TEXT), drainMs: 600000 });
  const server = await new Server(isSecure ? "answering" : "none").listen();
  const refused = await closedPort();
  const secure = isSecure ? {} : undefined;
  return {
    hal,
    refusal: "unreachable", // lwip does not tell why
    writeOverhead: isSecure ? 250 : 0,
    bulkLength: 16 << 20,
    open: (handler) => hal.open("localhost", server.port, secure, handler)!,
    openRefused: (handler) => hal.open("localhost", refused, secure, handler)!,
    openUnknown: (handler) => hal.open("nowhere.test", server.port, secure, handler)!,
    accept: () => server.accept(board, 1),
    until: (condition) => until(board, condition, 1),
    async dispose() {
      await server.close();
      board.dispose();
      expect(board.uncaught).toEqual([]);
    },
  };
}

testHalContract("The HAL of ECMA-419", () => makeWorld(false, McTimers, false));
testHalContract("The HAL of ECMA-419 on Linux's timers, with XS's text,", () => makeWorld(false, LinTimers, true));
testHalContract("The HAL of ECMA-419, over TLS,", () => makeWorld(true, McTimers, true));

describe("The HAL of ECMA-419", () => {
  let board: Board;
  let hal: Hal;
  let servers: Server[];
  let clients: Recorder[];

  beforeEach(() => {
    board = new Board();
    hal = makeHal(board);
    servers = [];
    clients = [];
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    for (const client of clients) client.close();
    for (const server of servers) await server.close();
    board.dispose();
    expect(board.uncaught).toEqual([]);
    for (const client of clients) expect(client.broken).toEqual([]);
  });

  const happens = (condition: () => boolean): Promise<void> => until(board, condition);

  /** Turns enough for whatever is under way to be heard of. */
  async function settle(): Promise<void> {
    for (let turns = 0; turns < 50; turns++) {
      board.timers.advance(0);
      await new Promise(setImmediate);
    }
  }

  async function listen(tls: "none" | "silent" | "answering" = "none"): Promise<Server> {
    const server = await new Server(tls).listen();
    servers.push(server);
    return server;
  }

  function open(host: string, port: number, secure?: object): Recorder {
    const client = new Recorder().open((handler) => hal.open(host, port, secure, handler)!);
    clients.push(client);
    return client;
  }

  async function connect(secure?: object): Promise<{ client: Recorder; peer: TestPeer; server: Server }> {
    const server = await listen(secure ? "answering" : "none");
    const client = open("127.0.0.1", server.port, secure);
    const peer = await server.accept(board);
    await happens(() => client.room !== undefined);
    return { client, peer, server };
  }

  async function failure(client: Recorder): Promise<string> {
    await happens(() => client.failure !== undefined);
    return client.failure!;
  }

  const SECURES: [name: string, secure: object | undefined][] = [["TCP", undefined], ["TLS", {}]];
  const nobody = { onReadable() {}, onWritable() {}, onError() {} };

  describe("what the platform lacks", () => {
    const noIo = (): Ecma419Provider => ({ ...board.mqtt, socket: {} }) as unknown as Ecma419Provider;

    test("is named in what open() throws", () => {
      const { mqtt, mqtts } = board;
      const cases: [Partial<Ecma419Options>, object | undefined, string][] = [
        [{ tcp: undefined }, undefined, "socket.io is missing: the platform has no TCP without TLS"],
        [{ tls: undefined }, {}, "secure: no TLS, since this platform has none"],
        [{ tls: undefined, noTls: "it does not fit" }, {}, "secure: no TLS, since it does not fit"],
        [{ tcp: noIo() }, undefined, "socket.io is missing: the provider of TCP has no class"],
        [{ tls: noIo() }, {}, "socket.io is missing: the provider of TLS has no class"],
        [{ tcp: {} as Ecma419Provider }, undefined, "socket.io is missing: the provider of TCP has no class"],
        [{ tcp: { socket: mqtt.socket } }, undefined, "dns.io is missing: nothing resolves the host name broker.test"],
        [{ tls: { socket: mqtts.socket } }, {}, "dns.io is missing: nothing resolves the host name broker.test"],
        [{ tcp: { ...mqtt, dns: {} as never } }, undefined, "dns.io is missing"],
      ];
      for (const [options, secure, message] of cases) {
        hal = makeHal(board, options);
        expect(() => hal.open("broker.test", 1883, secure, nobody)).toThrow(TypeError);
        expect(() => hal.open("broker.test", 1883, secure, nobody)).toThrow(message);
      }
      expect(board.timers.armedCount).toBe(0);
    });

    test("leaves what is there: TCP without TLS, TLS without TCP, an address without a resolver", async () => {
      hal = makeHal(board, { tls: undefined, tcp: { socket: board.mqtt.socket } });
      await connect();
      hal = makeHal(board, { tcp: undefined, tls: { socket: board.mqtts.socket } });
      await connect({});
    });

    test("keeps checkSecure() from letting anything pass", () => {
      hal = makeHal(board, { tls: undefined, noTls: "it does not fit" });
      expect(() => hal.checkSecure({})).toThrow("secure: no TLS, since it does not fit");
      hal = makeHal(board, { tls: noIo() });
      expect(() => hal.checkSecure({})).toThrow("socket.io is missing");
    });

    test("is thrown by a client's connect(), which then has changed nothing", async () => {
      const server = await listen();
      const mqtt = createMqtt(makeHal(board, { tls: undefined, tcp: { socket: board.mqtt.socket } }), MQTT_3_1_1);
      const outcomes: string[] = [];
      const client = mqtt.Client("id", 60);
      client.on("connect", () => outcomes.push("connect"));
      client.on("connfail", (_client, reason) => outcomes.push(`connfail ${reason}`));
      client.connect("127.0.0.1", server.port);
      const unwanted = (): unknown => outcomes.push("unwanted");
      expect(() => client.connect("broker.test", 1883, unwanted, unwanted)).toThrow("dns.io is missing");
      expect(() => client.connect("127.0.0.1", 8883, 1, unwanted, unwanted)).toThrow("secure: no TLS");
      const peer = await server.accept(board);
      await happens(() => peer.receivedLength > 0);
      peer.send(Uint8Array.of(0x20, 2, 0, 0));
      await happens(() => outcomes.length > 0);
      expect(outcomes).toEqual(["connect"]);
      client.abort();
    });
  });

  describe("addresses", () => {
    test("a dotted one needs no resolver", async () => {
      await connect();
      expect(board.dns.asked).toEqual([]);
      expect(board.tcp.last.options.address).toBe("127.0.0.1");
    });

    test.each([
      "localhost", "::1", "[::1]", "1.2.3", "1.2.3.4.5", "256.1.1.1", "1.2.3.x", "1.2.3.", "01.2.3.4", "1e1.2.3.4",
      "1..3.4", "-1.2.3.4", "1.5.2.3.4", "0x7f.0.0.1", "1.2.3.+4", "1. 2.3.4",
    ])("%j goes to the resolver", async (host) => {
      board.dns.addresses[host] = "127.0.0.1";
      const server = await listen();
      open(host, server.port);
      await server.accept(board);
      expect(board.dns.asked).toEqual([host]);
    });

    test.each(["0.0.0.0", "255.255.255.255", "10.0.0.1"])("%s does not", async (host) => {
      open(host, 1);
      board.timers.advance(0);
      expect(board.dns.asked).toEqual([]);
      expect(board.tcp.last.options.address).toBe(host);
    });

    test("the resolver gets its provider's options, and is closed when it has answered", async () => {
      const server = await listen();
      open("broker.test", server.port);
      await server.accept(board);
      open("nowhere.test", 1883);
      await happens(() => clients[1].failure !== undefined);
      expect(board.dns.made).toEqual([board.dns.provider, board.dns.provider]);
      expect(board.dns.openCount).toBe(0);
    });

    test("a resolver that is closed is heard no more, whatever it says and how often", async () => {
      board.dns.holds = board.dns.answersClosed = true;
      const server = await listen();
      const closed = open("broker.test", server.port);
      const unknown = open("nowhere.test", server.port);
      const known = open("broker.test", server.port);
      board.timers.advance(0);
      closed.close();
      expect(board.dns.openCount).toBe(2);
      board.dns.answer(3);
      await happens(() => unknown.failure !== undefined && known.room !== undefined);
      await settle();
      expect(closed.events).toEqual([]);
      expect(unknown.events).toEqual(["error dns"]);
      expect(known.events).toEqual([`writable ${known.room}`]);
      expect(board.tcp.sockets.length).toBe(1);
    });

    test("a resolver that fails after it has answered, or answers after it failed, is not heard", async () => {
      type Request = Parameters<Ecma419Resolver["resolve"]>[0];
      const requests: Request[] = [];
      class Both {
        resolve = (request: Request): unknown => requests.push(request);
        close(): void {}
      }
      hal = makeHal(board, { tcp: { ...board.mqtt, dns: { io: Both } } });
      const server = await listen();
      const good = open("a", server.port);
      const bad = open("b", server.port);
      board.timers.advance(0);
      requests[0].onResolved("a", "127.0.0.1");
      requests[0].onError();
      requests[1].onError("why");
      requests[1].onResolved("b", "127.0.0.1");
      await happens(() => bad.failure !== undefined && good.room !== undefined);
      await settle();
      expect(good.failure).toBeUndefined();
      expect([bad.events, bad.detail]).toEqual([["error dns"], "why"]);
      expect(board.tcp.sockets.length).toBe(1);
    });

    test('a resolver that throws, or whose constructor does: "dns"', async () => {
      board.dns.refusal = new Error("no network");
      const client = open("broker.test", 1883);
      expect(await failure(client)).toBe("dns");
      expect(client.detail).toBe(board.dns.refusal);
      expect(board.dns.openCount).toBe(0);
      class None {
        constructor() {
          throw new Error("no memory");
        }
      }
      hal = makeHal(board, { tcp: { ...board.mqtt, dns: { io: None as never } } });
      expect(await failure(open("broker.test", 1883))).toBe("dns");
    });

    test("a resolver that answers at once is not heard inside open()", async () => {
      class AtOnce {
        resolve(request: { host: string; onResolved: (host: string, address: string) => void }): void {
          request.onResolved(request.host, "127.0.0.1");
        }
        close(): void {}
      }
      hal = makeHal(board, { tcp: { ...board.mqtt, dns: { io: AtOnce } } });
      const server = await listen();
      const client = open("broker.test", server.port);
      await happens(() => client.room !== undefined);
    });

    test('an answer that is no address: "unreachable"', async () => {
      board.dns.addresses["broker.test"] = "::1";
      const client = open("broker.test", 1883);
      expect(await failure(client)).toBe("unreachable");
      expect((client.detail as Error).message).toBe("invalid address");
    });
  });

  describe("what the platform's class gets", () => {
    test("address, host, port, both spellings of noDelay and the provider's own fields", async () => {
      const tcp = board.mqtt;
      hal = makeHal(board, { tcp: { ...tcp, socket: { ...tcp.socket, keepAlive: 5, port: 1 } as never } });
      const server = await listen();
      open("broker.test", server.port);
      await server.accept(board);
      expect(board.tcp.last.options).toMatchObject({
        address: "127.0.0.1", host: "broker.test", port: server.port, noDelay: true, nodelay: true, keepAlive: 5,
      });
      expect(board.tcp.last.options).not.toHaveProperty("secure");
    });

    test("the provider's TLS options with the caller's over them, neither object changed", async () => {
      const tls = board.mqtts;
      const own = Object.freeze({ verify: false, serverName: "own", tls_max_fragment_length: 512 });
      const provider = { ...tls, socket: Object.freeze({ ...tls.socket, secure: own, extra: 1 }) };
      hal = makeHal(board, { tls: provider });
      await connect(Object.freeze({ verify: true, applicationLayerProtocolNegotiation: "mqtt" }));
      expect(tlsOptionsSeen[0]).toMatchObject({ host: "127.0.0.1", extra: 1, noDelay: true, nodelay: true });
      expect(tlsOptionsSeen[0].secure).toEqual({
        verify: true, serverName: "own", tls_max_fragment_length: 512, applicationLayerProtocolNegotiation: "mqtt",
      });
    });

    test("nothing for TLS options that are undefined: the class would take them for given", async () => {
      const tls = board.mqtts;
      hal = makeHal(board, { tls: { ...tls, socket: { ...tls.socket, secure: { verify: false } } as never } });
      await connect({ serverName: undefined, verify: undefined });
      expect(Object.entries(tlsOptionsSeen[0].secure!)).toEqual([["verify", false], ["cache", false]]);
    });

    test("no cache where nobody verifies: the class would resume that session for who does", async () => {
      for (const [secure, seen] of [
        [{ verify: false }, { verify: false, cache: false }],
        [{ verify: true }, { verify: true }],
        [{}, {}],
      ]) {
        await connect(secure);
        expect(tlsOptionsSeen[0].secure).toEqual(seen);
      }
    });

    test("its TCP's own fields, where TLS runs on a TCP of the provider", async () => {
      const seen: unknown[] = [];
      const Tcp = board.tcp.io;
      const io = class extends Tcp {
        constructor(options: { TCP: { extra: number } } & ConstructorParameters<typeof Tcp>[0]) {
          super(options);
          seen.push(options.TCP.extra);
        }
      };
      const tls = board.mqtts;
      hal = makeHal(board, { tls: { ...tls, socket: { ...tls.socket, TCP: { io, extra: 7 } } as never } });
      await connect({});
      expect(seen).toEqual([7]);
    });

    test("nothing of the guard, where TLS needs no TCP of the provider", async () => {
      hal = makeHal(board, { tls: board.mqtt });
      const server = await listen();
      const client = open("127.0.0.1", server.port, {});
      await happens(() => client.room !== undefined);
      client.write(pattern(10));
      expect(board.tcp.last.options).not.toHaveProperty("TCP");
    });
  });

  describe("checkSecure", () => {
    const bytes = Uint8Array.of(1);

    test("lets right options pass, and undefined for any of them", () => {
      for (const [name, values] of Object.entries({
        serverName: ["broker"],
        certificate: [bytes, bytes.buffer],
        verify: [true, false],
        clientCertificates: [[bytes], [bytes.buffer, bytes]],
        clientKey: [bytes, bytes.buffer],
        applicationLayerProtocolNegotiation: ["mqtt", ["mqtt", "x-amzn-mqtt-ca"]],
        tls_max_fragment_length: [512, 1024, 2048, 4096],
      })) {
        for (const value of [...values, undefined]) expect(() => hal.checkSecure({ [name]: value })).not.toThrow();
      }
    });

    test("names what is wrong, and what it must be, without its value", () => {
      for (const [name, values, expected] of [
        ["serverName", ["", 71077345, null], "a string, not empty"],
        ["certificate", ["71077345", [bytes], null], "a Uint8Array or an ArrayBuffer"],
        ["clientKey", ["71077345", {}, null], "a Uint8Array or an ArrayBuffer"],
        ["clientCertificates", [[], bytes, ["71077345"], null], "an array of Uint8Array or ArrayBuffer, not empty"],
        ["verify", [0, 1, "71077345", null], "a boolean"],
        ["applicationLayerProtocolNegotiation", ["", [], [""], [71077345]], "a string or an array of strings"],
        ["tls_max_fragment_length", [71077345, 0, "512", 513], "512, 1024, 2048 or 4096"],
        ["protocolVersion", ["71077345"], "left out: there is no such TLS option"],
        ["__proto", [71077345], "left out: there is no such TLS option"],
      ] as [string, unknown[], string][]) {
        for (const value of values) {
          let error: unknown;
          try {
            hal.checkSecure({ verify: true, [name]: value });
          } catch (thrown) {
            error = thrown;
          }
          expect(error).toBeInstanceOf(TypeError);
          expect((error as Error).message).toBe(`secure.${name} must be ${expected}`);
        }
      }
    });
  });

  describe("openDelayMs", () => {
    beforeEach(() => {
      hal = makeHal(board, { openDelayMs: 250 });
    });

    test("passes before the name is asked for and the platform's socket is made", async () => {
      const server = await listen();
      open("127.0.0.1", server.port);
      open("broker.test", server.port);
      board.timers.advance(249);
      expect([board.tcp.sockets.length, board.dns.asked.length]).toEqual([0, 0]);
      board.timers.advance(1);
      expect([board.tcp.sockets.length, board.dns.asked.length]).toEqual([1, 1]);
    });

    test("closed meanwhile, nothing is made at all", async () => {
      const client = open("127.0.0.1", 1883);
      board.timers.advance(249);
      client.close();
      board.timers.advance(1000);
      expect(board.tcp.sockets).toEqual([]);
      expect(board.timers.armedCount).toBe(0);
    });

    test("a loop of open() and close() makes one socket, the last one's", async () => {
      const server = await listen();
      for (let i = 0; i < 100; i++) {
        open("127.0.0.1", server.port).close();
        board.timers.advance(100);
      }
      const last = open("127.0.0.1", server.port);
      board.timers.advance(250);
      await happens(() => last.room !== undefined);
      expect(board.tcp.sockets.length).toBe(1);
    });
  });

  test("a loop of open() and close() at any stage leaves nothing open and nothing armed", async () => {
    hal = makeHal(board, { drainMs: 100 });
    const server = await listen();
    for (let i = 0; i < 60; i++) {
      const client = open(i % 2 ? "127.0.0.1" : "broker.test", server.port);
      for (let turns = 0; turns < i % 7; turns++) {
        board.timers.advance(0);
        await new Promise(setImmediate);
      }
      client.close();
    }
    await settle();
    board.timers.advance(100);
    expect(board.isIdle).toBe(true);
    expect(board.dns.openCount).toBe(0);
    expect(board.timers.armedCount).toBe(0);
  });

  describe("drainMs", () => {
    beforeEach(() => {
      hal = makeHal(board, { drainMs: 400 });
    });

    test.each(SECURES)("over %s: close() waits for the bytes in flight", async (_, secure) => {
      const { client, peer } = await connect(secure);
      await settle();
      board.tcp.holds = true;
      client.write(pattern(100));
      client.close();
      await happens(() => peer.receivedLength === 100);
      expect(board.tcp.last.isClosed).toBe(false);
      expect(() => client.socket.write(pattern(1), 0, 1)).toThrow("closed socket");
      expect(() => client.socket.read(pattern(1), 0, 0)).toThrow("closed socket");
      board.tcp.deliver();
      await happens(() => board.tcp.last.isClosed);
      expect(board.tcp.last.inFlightAtClose).toBe(0);
      expect(board.timers.armedCount).toBe(0);
      await happens(() => peer.ended);
    });

    test("part of them does not do", async () => {
      const { client, peer } = await connect();
      board.tcp.holds = true;
      client.write(pattern(100));
      client.write(pattern(50));
      await happens(() => peer.receivedLength === 150 && board.tcp.held.length === 2);
      client.close();
      board.tcp.held.shift()!();
      await settle();
      expect(board.tcp.last.called.at(-1)).toBe("writable 5694");
      expect(board.tcp.last.isClosed).toBe(false);
      board.tcp.deliver();
      await happens(() => board.tcp.last.isClosed);
    });

    test("bytes of a TLS handshake that arrive meanwhile are not taken for the client's", async () => {
      board.tcp.holds = true;
      const server = await listen("answering");
      const client = open("127.0.0.1", server.port, {});
      await happens(() => board.tcp.held.length === 1 || client.room !== undefined);
      await happens(() => client.room !== undefined);
      const handshakes = board.tcp.held.length;
      client.write(pattern(1));
      await happens(() => board.tcp.held.length > handshakes);
      client.close();
      for (const arrive of board.tcp.held.splice(0, handshakes)) arrive();
      await settle();
      expect(board.tcp.last.isClosed).toBe(false);
      board.tcp.deliver();
      await happens(() => board.tcp.last.isClosed);
    });

    test("close() in a TLS handshake waits for what TLS has written", async () => {
      board.tcp.holds = true;
      const server = await listen("silent");
      const client = open("127.0.0.1", server.port, {});
      await happens(() => board.tcp.held.length === 1);
      client.close();
      await settle();
      expect(board.tcp.last.isClosed).toBe(false);
      board.tcp.deliver();
      await happens(() => board.tcp.last.isClosed);
      const next = open("127.0.0.1", server.port, {});
      await happens(() => board.tcp.held.length === 1);
      board.tcp.deliver();
      await settle();
      next.close();
      expect(board.tcp.last.isClosed).toBe(true);
    });

    test("it waits that long at most, however often it is called", async () => {
      const { client } = await connect();
      board.tcp.holds = true;
      client.write(pattern(100));
      client.close();
      for (let i = 0; i < 3; i++) {
        board.timers.advance(133);
        client.close();
        expect(board.tcp.last.isClosed).toBe(false);
      }
      board.timers.advance(1);
      expect(board.tcp.last.isClosed).toBe(true);
    });

    test.each(SECURES)("over %s: what comes meanwhile is read and dropped", async (_, secure) => {
      const { client, peer } = await connect(secure);
      await settle();
      board.tcp.holds = true;
      client.write(pattern(100));
      peer.send(pattern(5000));
      await happens(() => client.unread > 4000);
      client.close();
      peer.send(pattern(20000));
      await happens(() => peer.socket.writableLength === 0);
      await settle();
      board.tcp.deliver();
      await happens(() => board.tcp.last.isClosed);
      expect(board.tcp.last.unreadAtClose).toBe(0);
      expect(client.events.filter((event) => event.startsWith("error"))).toEqual([]);
    });

    test("the peer's end ends it", async () => {
      const { client, peer } = await connect();
      board.tcp.holds = true;
      client.write(pattern(100));
      client.close();
      peer.end();
      await happens(() => board.tcp.last.isClosed);
      expect(board.timers.armedCount).toBe(0);
    });

    test("with nothing in flight close() closes at once", async () => {
      const { client, peer } = await connect();
      client.close();
      expect(board.tcp.last.isClosed).toBe(true);
      const { client: other } = await connect();
      other.write(pattern(100));
      await happens(() => other.room === 5744);
      other.close();
      expect(board.tcp.last.isClosed).toBe(true);
      expect(board.timers.armedCount).toBe(0);
      await happens(() => peer.ended);
    });

    test("0 closes at once, whatever is in flight", async () => {
      hal = makeHal(board);
      const { client } = await connect();
      board.tcp.holds = true;
      client.write(pattern(100));
      client.close();
      expect(board.tcp.last.isClosed).toBe(true);
      expect(board.tcp.last.inFlightAtClose).toBe(100);
    });

    test("once the peer has closed, what is in flight is lost anyway", async () => {
      const { client, peer } = await connect();
      board.tcp.holds = true;
      client.write(pattern(100));
      peer.send(pattern(10));
      peer.end();
      await happens(() => board.tcp.last.called.length === 2 && client.unread === 10);
      await settle();
      expect(client.read()).toEqual(pattern(10));
      await happens(() => board.tcp.last.called.at(-1) === "error");
      client.close();
      expect(board.tcp.last.isClosed).toBe(true);
    });
  });

  describe("failures", () => {
    test('the class\'s constructor throws: "unreachable", told later', async () => {
      for (const refusal of [new RangeError("no socket"), new RangeError("no memory"), new Error("connect error")]) {
        for (const secure of [undefined, {}]) {
          board.tcp.refusal = refusal;
          const client = open("127.0.0.1", 1883, secure);
          expect(await failure(client)).toBe("unreachable");
          expect(client.detail).toBe(refusal);
        }
      }
    });

    test('TLS of which TCP does not come up: "unreachable"', async () => {
      expect(await failure(open("127.0.0.1", await closedPort(), {}))).toBe("unreachable");
    });

    test.each([
      ["closes", (peer: TestPeer) => peer.end()],
      ["resets", (peer: TestPeer) => peer.reset()],
      ["sends an alert", (peer: TestPeer) => peer.sendRecords(record(ALERT, [2, 40]))],
      ["sends what is not TLS, and closes", (peer: TestPeer) => {
        peer.sendRecords(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"));
        peer.end();
      }],
      ["sends half a record and closes", (peer: TestPeer) => {
        peer.sendRecords(SERVER_FLIGHT[0].subarray(0, 3));
        peer.end();
      }],
    ])('TLS whose peer %s in the handshake: "tls"', async (_, act) => {
      const server = await listen("silent");
      const client = open("broker.test", server.port, {});
      const peer = await server.accept(board);
      await happens(() => peer.raw.length > 0);
      act(peer);
      expect(await failure(client)).toBe("tls");
      await settle();
      expect(client.events).toEqual(["error tls"]);
      expect(board.tcp.last.isClosed).toBe(true);
    });

    test("the end is told once, however often the platform tells it", async () => {
      const { client, peer } = await connect();
      const { last } = board.tcp;
      peer.send(pattern(10));
      await happens(() => client.unread === 10);
      client.whenReadable = () => client.read();
      peer.send(pattern(3));
      peer.end();
      await failure(client);
      last.tellError(2);
      await settle();
      expect(client.events.filter((event) => event === "error closed").length).toBe(1);
      expect(board.timers.armedCount).toBe(0);
    });

    test("the platform's callbacks after the end, and after close(), are not heard", async () => {
      const { client, peer } = await connect();
      const { options } = board.tcp.last;
      peer.end();
      await failure(client);
      const { client: closed } = await connect();
      const { options: closedOptions } = board.tcp.last;
      closed.close();
      for (const each of [options, closedOptions]) {
        each.onReadable!.call(board.tcp.last, 10);
        each.onWritable!.call(board.tcp.last, 5);
        each.onError!.call(board.tcp.last);
        each.onWritable!.call(board.tcp.last, 5744);
      }
      await settle();
      expect(client.events.at(-1)).toBe("error closed");
      expect(closed.events).toEqual(["writable 5744"]);
    });

    test("no room is announced between the platform's end and the client's", async () => {
      const { client } = await connect();
      const { last } = board.tcp;
      last.tellError(1);
      last.options.onWritable!.call(last, 10);
      await failure(client);
      expect(client.events).toEqual(["writable 5744", "error closed"]);
    });

    test("write() that returns undefined, since the peer has reset: 0, and one onError", async () => {
      const { client, peer } = await connect();
      const { last } = board.tcp;
      const write = jest.spyOn(last, "write");
      let left: number | undefined;
      const error = new Promise<void>((resolve) => {
        // Between lwip's callback and the script's.
        const original = last.options.onError;
        last.options.onError = function (this: typeof last) {
          left ??= client.socket.write(pattern(10), 0, 10);
          original!.call(this);
          resolve();
        };
      });
      write.mockImplementation(() => undefined);
      peer.reset();
      await Promise.all([error, failure(client)]);
      expect(write).toHaveBeenCalledTimes(1);
      expect(left).toBe(0);
      expect(client.events).toEqual(["writable 5744", "error closed"]);
    });

    test("write() that throws: 0, and one onError, whether or not the platform tells of it", async () => {
      for (const tells of [true, false]) {
        const { client } = await connect();
        const { last } = board.tcp;
        const thrown = new Error("not ready");
        jest.spyOn(last, "write").mockImplementation(() => {
          throw thrown;
        });
        expect(client.write(pattern(10))).toBe(0);
        expect(client.socket.write(pattern(10), 0, 10)).toBe(0);
        if (tells) last.tellError(2);
        expect(await failure(client)).toBe("closed");
        await settle();
        expect(client.events).toEqual(["writable 5744", "error closed"]);
        expect(client.detail).toBe(thrown);
        expect(last.isClosed).toBe(true);
      }
    });

    test("write() after the peer closed, with bytes still to be read: 0, and they can be read", async () => {
      const { client, peer } = await connect();
      peer.send(pattern(10));
      peer.end();
      await happens(() => client.unread === 10);
      await settle();
      expect(client.write(pattern(10))).toBe(0);
      await settle();
      expect(client.failure).toBeUndefined();
      expect(client.read()).toEqual(pattern(10));
      expect(await failure(client)).toBe("closed");
    });

    test("bytes that come behind a failed write are handed over before the end is told", async () => {
      const { client, peer } = await connect();
      const { last } = board.tcp;
      jest.spyOn(last, "write").mockImplementation(() => {
        throw new Error("no memory");
      });
      peer.send(pattern(10));
      await turnUntil(() => last.called.at(-1) === "readable 10");
      expect(client.write(pattern(1))).toBe(0);
      client.read();
      peer.send(pattern(20));
      // Without a turn of the timers: the end is on its way.
      await turnUntil(() => last.called.at(-1) === "readable 20");
      await settle();
      expect(client.failure).toBeUndefined();
      client.read(19);
      await settle();
      expect(client.failure).toBeUndefined();
      client.read();
      expect(await failure(client)).toBe("closed");
      expect(client.events.slice(1)).toEqual(["readable 10", "readable 20", "error closed"]);
    });

    test("close() between the end and its being told keeps it from being told", async () => {
      const { client } = await connect();
      board.tcp.last.tellError(1);
      client.close();
      expect(board.tcp.last.isClosed).toBe(true);
      await settle();
      expect(client.events).toEqual(["writable 5744"]);
      expect(board.timers.armedCount).toBe(0);
    });

    test("reading nothing after the end does not put off that it is told", async () => {
      const { client } = await connect();
      board.tcp.last.tellError(1);
      for (let i = 0; i < 5; i++) client.socket.read(new Uint8Array(1), 0, 0);
      board.timers.advance(0);
      expect(client.failure).toBe("closed");
      client.socket.read(new Uint8Array(1), 0, 0);
      expect(board.timers.armedCount).toBe(0);
    });

    test("read() beyond the bytes throws, and nothing is lost by that", async () => {
      const { client, peer } = await connect();
      peer.send(pattern(10));
      await happens(() => client.unread === 10);
      expect(() => client.socket.read(new Uint8Array(4), 2, 6)).toThrow(RangeError);
      expect(() => client.socket.read(new Uint8Array(4), 2, 1)).toThrow(RangeError);
      expect(client.read()).toEqual(pattern(10));
    });

    test("bytes announced again, with none that are new, are not announced to the client", async () => {
      const { client, peer } = await connect();
      peer.send(pattern(10));
      await happens(() => client.unread === 10);
      const { last } = board.tcp;
      last.options.onReadable!.call(last, 10);
      client.read(4);
      last.options.onReadable!.call(last, 6);
      expect(client.events.slice(1)).toEqual(["readable 10"]);
    });
  });

  describe("under a client", () => {
    let outcomes: string[];
    let client: Client;

    beforeEach(() => {
      outcomes = [];
      client = createMqtt(hal, MQTT_3_1_1).Client("id", 60);
      client.on("connect", () => outcomes.push("connect"));
      client.on("offline", () => outcomes.push("offline"));
      client.on("connfail", (_client, reason) => outcomes.push(`connfail ${reason}`));
    });

    afterEach(() => {
      client.abort();
    });

    async function outcome(): Promise<string> {
      await happens(() => outcomes.length > 0);
      await settle();
      expect(outcomes.length).toBe(1);
      return outcomes[0];
    }

    test("a name that is not resolved: -3", async () => {
      client.connect("nowhere.test");
      expect(await outcome()).toBe("connfail -3");
    });

    test("a resolver that never answers: -5, when its time is over", async () => {
      board.dns.holds = true;
      client.connect("broker.test");
      board.timers.advance(59999);
      await settle();
      expect(outcomes).toEqual([]);
      board.timers.advance(1);
      expect(await outcome()).toBe("connfail -5");
      expect(board.dns.openCount).toBe(0);
    });

    test("a port where nobody listens: -5", async () => {
      client.connect("127.0.0.1", await closedPort());
      expect(await outcome()).toBe("connfail -5");
    });

    test("no socket left: -5", async () => {
      board.tcp.refusal = new RangeError("no socket");
      client.connect("127.0.0.1", 1883);
      expect(await outcome()).toBe("connfail -5");
    });

    test("a TLS handshake that fails: -5", async () => {
      const server = await listen("silent");
      client.connect("127.0.0.1", server.port, 1);
      const peer = await server.accept(board);
      peer.sendRecords(record(ALERT, [2, 40]));
      expect(await outcome()).toBe("connfail -5");
    });

    test("TLS that ends before it is up: -5, and CONNECT is not written", async () => {
      const server = await listen("silent");
      client.connect("127.0.0.1", server.port, 1);
      const peer = await server.accept(board);
      peer.sendRecords(record(ALERT, CLOSE_NOTIFY_FRAGMENT));
      expect(await outcome()).toBe("connfail -5");
      await happens(() => peer.ended);
      expect(peer.tls!.types).toEqual([HANDSHAKE]);
    });

    test("a peer that closes in place of CONNACK: -5", async () => {
      const server = await listen();
      client.connect("127.0.0.1", server.port);
      const peer = await server.accept(board);
      await happens(() => peer.receivedLength > 0);
      peer.end();
      expect(await outcome()).toBe("connfail -5");
    });

    test("no CONNACK within 5 s: -2", async () => {
      const server = await listen();
      client.connect("127.0.0.1", server.port);
      const peer = await server.accept(board);
      await happens(() => peer.receivedLength > 0);
      board.timers.advance(4999);
      await settle();
      expect(outcomes).toEqual([]);
      board.timers.advance(1);
      expect(await outcome()).toBe("connfail -2");
    });

    test("no room for CONNECT within 5 s: -1", async () => {
      board.tcp.sendBuffer = 8;
      board.tcp.holds = true;
      const server = await listen();
      client.connect("127.0.0.1", server.port);
      const peer = await server.accept(board);
      await happens(() => board.tcp.last.called.length > 0);
      board.timers.advance(4999);
      await settle();
      expect(outcomes).toEqual([]);
      board.timers.advance(1);
      expect(await outcome()).toBe("connfail -1");
      expect(peer.receivedLength).toBeLessThanOrEqual(8);
    });

    test.each([["TCP", 0], ["TLS", 1]] as const)("over %s: a session, and the peer's end of it", async (_, secure) => {
      const server = await listen(secure ? "answering" : "none");
      const messages: string[] = [];
      client.on("message", (_client, topic, data) => messages.push(`${topic} ${String(data)}`));
      client.connect("localhost", server.port, secure);
      const peer = await server.accept(board);
      await happens(() => peer.receivedLength > 0);
      peer.send(Uint8Array.of(0x20, 2, 0, 0, 0x30, 5, 0, 1, 0x74, 0x68, 0x69));
      peer.send(Uint8Array.of(0x30, 4, 0, 1, 0x75, 0x21));
      await happens(() => messages.length === 2);
      const before = peer.receivedLength;
      client.publish("a", "b");
      await happens(() => peer.receivedLength > before);
      peer.end();
      await happens(() => outcomes.length === 2);
      expect(messages).toEqual(["t hi", "u !"]);
      expect(outcomes).toEqual(["connect", "offline"]);
      expect(Array.from(peer.received.subarray(before))).toEqual([0x30, 4, 0, 1, 0x61, 0x62]);
    });
  });

  describe("TLS", () => {
    /** A client whose ClientHello has come, and its peer, which does what the test says. */
    async function hello(): Promise<{ client: Recorder; peer: TestPeer }> {
      const server = await listen("silent");
      const client = open("broker.test", server.port, {});
      const peer = await server.accept(board);
      await happens(() => peer.tls!.types.length === 1);
      return { client, peer };
    }

    test("a handshake in whatever pieces it comes", async () => {
      for (const size of [1, 2, 5, 6, 7, 1000]) {
        const { client, peer } = await hello();
        const inPieces = async (records: Uint8Array[]): Promise<void> => {
          const bytes = Buffer.concat(records);
          for (let at = 0; at < bytes.length; at += size) {
            peer.sendRecords(bytes.subarray(at, at + size));
            await settle();
          }
        };
        await inPieces(SERVER_FLIGHT);
        await happens(() => peer.tls!.types.length === 4);
        expect(client.room).toBeUndefined();
        await inPieces(SERVER_FINISH);
        await happens(() => client.room !== undefined);
        client.write(pattern(50));
        await happens(() => peer.receivedLength === 50);
        expect(peer.received).toEqual(Buffer.from(pattern(50)));
        expect(peer.tls!.types).toEqual([HANDSHAKE, HANDSHAKE, CHANGE_CIPHER_SPEC, HANDSHAKE, APPLICATION_DATA]);
      }
    });

    test("several records at once are announced one by one, each when the one before is read", async () => {
      const { client, peer } = await connect({});
      peer.sendRecords(...[10, 20, 30].map((length) => encrypted(APPLICATION_DATA, pattern(length))));
      await happens(() => client.unread === 10);
      await settle();
      expect(client.read(4)).toEqual(pattern(10).slice(0, 4));
      await settle();
      expect(client.events.slice(-1)).toEqual(["readable 10"]);
      expect(client.read(6)).toEqual(pattern(10).slice(4));
      expect(client.events.slice(-1)).toEqual(["readable 10"]);
      await happens(() => client.unread === 20);
      client.whenReadable = () => client.read();
      client.read();
      await happens(() => client.events.at(-1) === "readable 30");
      expect(client.events.slice(1)).toEqual(["readable 10", "readable 20", "readable 30"]);
      await settle();
      expect(board.timers.armedCount).toBe(0);
    });

    test("new bytes between a read and its continuation are not lost, and not taken twice", async () => {
      const { client, peer } = await connect({});
      peer.sendRecords(encrypted(APPLICATION_DATA, pattern(10)), encrypted(APPLICATION_DATA, pattern(20)));
      await happens(() => client.unread === 10);
      client.read();
      peer.sendRecords(encrypted(APPLICATION_DATA, pattern(30)));
      // Without a turn of the timers: what was left goes on when the new bytes come.
      await turnUntil(() => board.tcp.last.called.at(-1) === `readable ${20 + 29 + 30 + 29}`);
      expect(client.unread).toBe(20);
      expect(client.read()).toEqual(pattern(20));
      expect(board.timers.armedCount).toBe(1);
      await happens(() => client.unread === 30);
      expect(client.read()).toEqual(pattern(30));
      expect(board.timers.armedCount).toBe(0);
    });

    test("a record that is no good ends the connection once, in TCP's callback", async () => {
      for (const bad of [record(99, [1, 2]), record(APPLICATION_DATA, pattern(40)), record(ALERT, [1])]) {
        const { client, peer } = await connect({});
        peer.sendRecords(bad, encrypted(APPLICATION_DATA, pattern(10)));
        expect(await failure(client)).toBe("closed");
        await settle();
        expect(client.events.slice(1)).toEqual(["error closed"]);
        expect(client.detail).toBeInstanceOf(Error);
        expect(board.tcp.last.isClosed).toBe(true);
      }
    });

    test("... and in the timer in which TLS goes on behind a read, with what came before it", async () => {
      const { client, peer } = await connect({});
      peer.sendRecords(encrypted(APPLICATION_DATA, pattern(10)), record(99, [1, 2]));
      await happens(() => client.unread === 10);
      expect(client.read()).toEqual(pattern(10));
      expect(await failure(client)).toBe("closed");
      expect((client.detail as Error).message).toBe("bad record mac");
      await settle();
      expect(client.events.slice(1)).toEqual(["readable 10", "error closed"]);
    });

    test("good records behind a bad one are not announced", async () => {
      const { client, peer } = await connect({});
      peer.sendRecords(record(99, [1, 2]));
      await turnUntil(() => board.tcp.last.called.at(-1) === "readable 7");
      peer.sendRecords(encrypted(APPLICATION_DATA, pattern(10)));
      await turnUntil(() => board.tcp.last.called.at(-1) === "readable 39");
      expect(await failure(client)).toBe("closed");
      expect(client.events.slice(1)).toEqual(["error closed"]);
    });

    test("an exception while the handshake is written ends it", async () => {
      board.tcp.sendBuffer = 3; // too little for ClientHello
      const server = await listen("silent");
      const client = open("127.0.0.1", server.port, {});
      expect(await failure(client)).toBe("tls");
      expect((client.detail as Error).message).toBe("would block");
    });

    test("close_notify during the handshake: no connection is told of, and the client's bytes stay in", async () => {
      // With all of the flight the client has sent CHANGE_CIPHER_SPEC, but the peer has not shown that it can answer.
      for (const ahead of [0, 1, 2, SERVER_FLIGHT.length]) {
        const { client, peer } = await hello();
        client.whenWritable = () => client.write(Buffer.from("user, password"));
        peer.sendRecords(...SERVER_FLIGHT.slice(0, ahead), record(ALERT, CLOSE_NOTIFY_FRAGMENT));
        expect(await failure(client)).toBe("tls");
        await happens(() => peer.ended);
        expect(client.events).toEqual(["error tls"]);
        expect(Buffer.from(peer.raw).includes("password")).toBe(false);
        expect(peer.tls!.types).not.toContain(APPLICATION_DATA);
      }
    });

    test.each(["write", "read"] as const)(
      "the guard itself lets no data out before CHANGE_CIPHER_SPEC has gone both ways, first that of %s",
      (first) => {
        const written: number[] = [];
        class Wire {
          write = (bytes: Uint8Array): unknown => written.push(bytes[0]);
          read = (bytes: Uint8Array): unknown => bytes.set(record(CHANGE_CIPHER_SPEC, [1]));
        }
        const watcher = { isReading: false, isEncrypted: false, onTcpWritable() {}, onTcpWrite() {}, onTlsThrown() {} };
        const TCP = guardTcp({ io: Wire }, watcher, board.timers) as { io: new (options: object) => Wire };
        const guard = new TCP.io({ TCP });
        const write = (): unknown => guard.write(encrypted(APPLICATION_DATA, pattern(10)));
        const steps = [() => guard.write(record(CHANGE_CIPHER_SPEC, [1])), () => guard.read(new Uint8Array(6))];
        expect(write).toThrow("TLS ended before it was up");
        steps.splice(first === "write" ? 0 : 1, 1)[0]();
        expect(write).toThrow("TLS ended before it was up");
        steps[0]();
        write();
        expect(written).toEqual([CHANGE_CIPHER_SPEC, APPLICATION_DATA]);
      },
    );

    test("data before the handshake is not taken for the peer's", async () => {
      const { client, peer } = await hello();
      peer.sendRecords(record(APPLICATION_DATA, pattern(10)));
      expect(await failure(client)).toBe("tls");
      await settle();
      expect(client.events).toEqual(["error tls"]);
    });

    test("... nor data that comes in pieces, behind what the handshake needs", async () => {
      const { client, peer } = await hello();
      for (const each of SERVER_FLIGHT.slice(0, 2)) peer.sendRecords(each);
      await settle();
      for (const byte of record(APPLICATION_DATA, pattern(10))) {
        peer.sendRecords(Uint8Array.of(byte));
        await settle();
      }
      expect(await failure(client)).toBe("tls");
    });

    test("close_notify when TLS is up, with data before it", async () => {
      const { client, peer } = await connect({});
      peer.sendRecords(encrypted(APPLICATION_DATA, pattern(10)), encrypted(ALERT, CLOSE_NOTIFY_FRAGMENT));
      peer.end();
      await happens(() => client.unread === 10);
      await settle();
      expect(client.read()).toEqual(pattern(10));
      expect(await failure(client)).toBe("closed");
      await settle();
      expect(client.events.slice(1)).toEqual(["readable 10", "error closed"]);
    });

    test("records behind a failed write are handed over before the end is told", async () => {
      const { client, peer } = await connect({});
      peer.sendRecords(...[10, 20, 30].map((length) => encrypted(APPLICATION_DATA, pattern(length))));
      peer.end();
      await happens(() => client.unread === 10);
      await settle();
      expect(client.write(pattern(5))).toBe(0);
      client.whenReadable = () => client.read();
      client.read();
      expect(await failure(client)).toBe("closed");
      expect(client.events.slice(1)).toEqual(["readable 10", "readable 20", "readable 30", "error closed"]);
    });

    test("FIN without close_notify", async () => {
      const { client, peer } = await connect({});
      peer.end();
      expect(await failure(client)).toBe("closed");
    });

    test.each(["whenWritable", "whenReadable"] as const)("close() inside %s stops TLS where it is", async (when) => {
      const server = await listen("answering");
      const client = open("127.0.0.1", server.port, {});
      client[when] = () => client.close();
      const peer = await server.accept(board);
      await happens(() => peer.tls!.isUp && client.room !== undefined);
      peer.sendRecords(encrypted(APPLICATION_DATA, pattern(10)), encrypted(APPLICATION_DATA, pattern(10)));
      await happens(() => board.tcp.last.isClosed);
      await settle();
      expect(client.failure).toBeUndefined();
      expect(client.events.length).toBe(when === "whenWritable" ? 1 : 2);
    });

    test("close() behind a read with more to come stops the timer in which TLS would go on", async () => {
      const { client, peer } = await connect({});
      peer.sendRecords(encrypted(APPLICATION_DATA, pattern(10)), encrypted(APPLICATION_DATA, pattern(10)));
      await happens(() => client.unread === 10);
      client.read();
      expect(board.timers.armedCount).toBe(1);
      client.close();
      expect(board.timers.armedCount).toBe(0);
    });

    test("the room announced can be written, all of it, at any size of the send buffer", async () => {
      for (const size of [300, 536, 5744, 65535]) {
        board.tcp.sendBuffer = size;
        const { client, peer } = await connect({});
        let written = 0;
        for (let i = 0; i < 3; i++) {
          await happens(() => client.room! > 0);
          written += client.room!;
          expect(client.room).toBeLessThanOrEqual(16384);
          client.write(pattern(client.room!));
        }
        await happens(() => peer.receivedLength === written);
        expect(client.failure).toBeUndefined();
      }
    });

    test('the end is "closed", also when the last that was heard is room for less than a record', async () => {
      const { client, peer } = await connect({});
      await settle();
      board.tcp.holds = true;
      client.write(pattern(10));
      while (client.room! > 0) client.write(pattern(client.room!));
      await happens(() => board.tcp.held.length > 1);
      board.tcp.held.shift()!();
      await settle();
      expect(client.room).toBe(0);
      peer.end();
      expect(await failure(client)).toBe("closed");
    });

    test("room for less than a record's overhead is not announced", async () => {
      board.tcp.holds = true;
      const { client } = await connect({});
      const { last } = board.tcp;
      board.tcp.holds = false;
      board.tcp.deliver();
      await settle();
      client.events = [];
      while (client.room! > 0) client.write(pattern(client.room!));
      const tls = tlsOptionsSeen[0];
      for (const count of [0, 1, 95, 96]) tls.onWritable!.call(last, count);
      expect(client.events).toEqual([]);
      tls.onWritable!.call(last, 97);
      expect(client.events).toEqual(["writable 1"]);
    });
  });

  describe.each([["boards", McTimers], ["Linux", LinTimers]])("the timer, on the SDK's for %s,", (_name, timers) => {
    let fired: number;
    let timer: Timer;

    beforeEach(() => {
      board = new Board(timers);
      hal = makeHal(board);
      fired = 0;
      timer = hal.createTimer(() => fired++);
    });

    test("is made once, and never again whatever is done with it", () => {
      const again: Timer = hal.createTimer(() => {
        fired++;
        again.schedule(fired % 3);
      });
      again.schedule(0);
      board.timers.advance(1000);
      expect(fired).toBeGreaterThan(500);
      timer.schedule(5);
      timer.schedule(0);
      timer.clear();
      timer.schedule(3);
      expect(board.timers.madeCount).toBe(2);
    });

    test("is not armed when it is made, nor when it has fired", () => {
      expect(board.timers.armedCount).toBe(0);
      board.timers.advance(0x7fffffff);
      timer.schedule(10);
      expect(board.timers.armedCount).toBe(1);
      board.timers.advance(100);
      expect(fired).toBe(1);
      expect(board.timers.armedCount).toBe(0);
    });

    test.each([0, 1, 10, 0x7fffffff])("fires once, %d ms after it is scheduled", (delayMs) => {
      timer.schedule(delayMs);
      expect(fired).toBe(0);
      board.timers.advance(Math.max(delayMs, 1) - 1);
      expect(fired).toBe(0);
      board.timers.advance(1);
      expect(fired).toBe(1);
      board.timers.advance(0x7fffffff);
      expect(fired).toBe(1);
    });

    test("is armed again in its own callback: once for each time", () => {
      const times: number[] = [];
      const delays = [5, 5, 7, 0, 3];
      const again: Timer = hal.createTimer(() => {
        times.push(board.timers.nowMs - 1000);
        const delay = delays.shift();
        if (delay !== undefined) again.schedule(delay);
      });
      again.schedule(5);
      board.timers.advance(100000);
      expect(times).toEqual([5, 10, 15, 22, 23, 26]);
    });

    test("cleared in its own callback it is at rest, and can be scheduled again", () => {
      const cleared: Timer = hal.createTimer(() => {
        fired++;
        cleared.schedule(4);
        cleared.clear();
      });
      cleared.schedule(4);
      board.timers.advance(100);
      expect(fired).toBe(1);
      cleared.schedule(4);
      board.timers.advance(100);
      expect(fired).toBe(2);
    });

    test("put off by another timer of the same moment, it does not fire at that moment", () => {
      const first = hal.createTimer(() => second.schedule(50));
      const second = hal.createTimer(() => fired++);
      first.schedule(10);
      second.schedule(10);
      board.timers.advance(59);
      expect(fired).toBe(0);
      board.timers.advance(1);
      expect(fired).toBe(1);
    });

    test("cleared by another timer of the same moment, it does not fire", () => {
      const first = hal.createTimer(() => second.clear());
      const second = hal.createTimer(() => fired++);
      first.schedule(10);
      second.schedule(10);
      board.timers.advance(100);
      expect(fired).toBe(0);
    });
  });

  describe.each([["Node", NODE_TEXT], ["XS", XS_TEXT]])("text, with the encoder of %s,", (_name, modules) => {
    test("says -2 for a lone surrogate that fits, -1 for one that does not", () => {
      const text = makeHal(board, modules).createText();
      const cases = [["\ud800", 3], ["a\udfff", 4], ["\udc00\ud800", 6], ["\u00e9\ud800x", 6]] as const;
      for (const [string, length] of cases) {
        for (let room = 0; room <= length + 1; room++) {
          expect(text.encode(string, new Uint8Array(16), 2, 2 + room)).toBe(room < length ? -1 : -2);
        }
      }
    });

    test("tells U+FFFD in a string from one that stands for a lone surrogate", () => {
      const text = makeHal(board, modules).createText();
      expect(text.encode("\ufffd", new Uint8Array(8), 0, 8)).toBe(3);
      expect(text.encode("\ufffd\ud800", new Uint8Array(8), 0, 8)).toBe(-2);
    });

    test("takes a pair of surrogates that the engine keeps apart for the character that it is", () => {
      // As XS on a board does with those that were in two strings. Here U+E000 and U+E001 are the two.
      class PairingEncoder extends modules.TextEncoder {
        override encodeInto(string: string, bytes: Uint8Array): { read: number; written: number } {
          const joined = string.split("\ue000\ue001").join("\u{1f600}");
          const { read, written } = super.encodeInto(joined, bytes);
          return { read: read === joined.length ? string.length : read, written };
        }
      }
      const text = makeHal(board, { ...modules, TextEncoder: PairingEncoder }).createText();
      expect(text.encode("a\ue000\ue001\ufffd", new Uint8Array(16), 1, 16)).toBe(9);
      expect(text.encode("a\ue000\ue001\ufffd\ud800", new Uint8Array(16), 1, 16)).toBe(-2);
    });

    test("writes U+0000, a byte order mark and characters of four bytes as they are", () => {
      const text = makeHal(board, modules).createText();
      const bytes = new Uint8Array(12);
      expect(text.encode("\0\ufeff\u{1f600}", bytes, 1, 9)).toBe(9);
      expect(Buffer.from(bytes).toString("hex")).toBe("0000efbbbff09f9880000000");
      expect(text.decode(bytes, 1, 9, true)).toBe("\0\ufeff\u{1f600}");
      expect(text.decode(bytes, 2, 9, false)).toBe("\ufeff\u{1f600}");
      for (let room = 0; room < 8; room++) expect(text.encode("\0\ufeff\u{1f600}", bytes, 1, 1 + room)).toBe(-1);
    });

    test("each has its own, which goes on after ill-formed bytes", () => {
      const text = makeHal(board, modules).createText();
      const bytes = Uint8Array.of(0xe2, 0x82, 0x41, 0x42);
      expect(text.decode(bytes, 0, 2, true)).toBeUndefined();
      expect(text.decode(bytes, 2, 4, true)).toBe("AB");
      expect(text.decode(bytes, 0, 3, false)).toBe("\ufffdA");
      expect(text.decode(bytes, 2, 4, false)).toBe("AB");
    });
  });

  describe("the rest", () => {
    test("the clock and the capacities are those of the board", () => {
      board.timers.nowMs = 0x80000001;
      expect(hal.now()).toBe(-0x7fffffff);
      expect(hal.defaults).toEqual(DEFAULTS);
    });

    test("a name is the board's, or a random one", () => {
      expect(hal.generateId()).toBe("board1");
      for (const none of [undefined, ""]) {
        hal = makeHal(board, { generateId: () => none });
        expect(hal.generateId()).not.toBe(hal.generateId());
        for (const random of [0, 0.5, Number.EPSILON, 1 - Number.EPSILON / 2, 1e-9]) {
          jest.spyOn(Math, "random").mockReturnValueOnce(random);
          expect(hal.generateId()).toMatch(/^[0-9a-z]{1,16}$/);
        }
      }
    });

    test("an exception surfaces where the platform has it, behind the call that is running", () => {
      const error = new Error("from the application");
      hal.uncaught(error);
      expect(board.uncaught).toEqual([]);
      board.timers.advance(0);
      expect(board.uncaught.splice(0)).toEqual([error]);
    });
  });
});
