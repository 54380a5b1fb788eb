import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createPrivateKey } from "node:crypto";
import net from "node:net";
import type { AddressInfo } from "node:net";
import tls from "node:tls";
import fc from "fast-check";
import defaultHal, { createNodeHal } from "../hal/node.js";
import type { NodeHalOptions, TlsOptions } from "../hal/node.js";
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

/** A server's end of a connection. */
class NodePeer implements Peer {
  readonly socket: net.Socket;
  readonly #raw: net.Socket;
  #chunks: Buffer[] = [];
  receivedLength = 0;
  ended = false;

  constructor(socket: net.Socket, raw: net.Socket) {
    this.socket = socket;
    this.#raw = raw;
    socket.on("data", (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.receivedLength += chunk.length;
    });
    socket.on("end", () => (this.ended = true));
    socket.on("close", () => (this.ended = true));
    socket.on("error", () => {});
  }

  get received(): Uint8Array {
    return Buffer.concat(this.#chunks);
  }

  send(bytes: Uint8Array): void {
    this.socket.write(bytes);
  }

  end(): void {
    this.socket.end();
  }

  reset(): void {
    this.#raw.resetAndDestroy();
  }

  stopReading(): void {
    this.socket.pause();
  }

  startReading(): void {
    this.socket.resume();
  }
}

/** A server on the loopback, for TCP or, with `tlsOptions`, TLS; keeps the sockets that connected. */
class Server {
  readonly peers: NodePeer[] = [];
  readonly tlsErrors: Error[] = [];
  readonly raw: net.Socket[] = [];
  #server: net.Server;
  #accepted = 0;

  constructor(tlsOptions?: tls.TlsOptions) {
    if (tlsOptions === undefined) {
      this.#server = net.createServer({ allowHalfOpen: true }, (socket) => {
        this.peers.push(new NodePeer(socket, socket));
      });
    } else {
      const options = { ...certificates().server, allowHalfOpen: true, ...tlsOptions };
      this.#server = tls.createServer(options, (socket) => {
        // The TCP connection below it has the same remote port.
        const raw = this.raw.find((each) => each.remotePort === socket.remotePort)!;
        this.peers.push(new NodePeer(socket, raw));
      });
      this.#server.on("tlsClientError", (error: Error) => this.tlsErrors.push(error));
    }
    this.#server.on("connection", (socket: net.Socket) => this.raw.push(socket));
  }

  async listen(): Promise<this> {
    this.#server.listen(0, "127.0.0.1");
    await once(this.#server, "listening");
    return this;
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  async accept(): Promise<NodePeer> {
    await until(() => this.peers.length > this.#accepted);
    return this.peers[this.#accepted++];
  }

  async close(): Promise<void> {
    for (const socket of this.raw) socket.destroy();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, "close");
  }
}

/** Names that resolve here, whatever the machine's resolver says. */
const ADDRESSES: Record<string, string[]> = {
  "localhost": ["127.0.0.1"],
  "broker.test": ["127.0.0.1"],
  "dual.test": ["::1", "127.0.0.1"],
};

const lookup: NonNullable<NodeHalOptions["lookup"]> = (host, options, callback) => {
  const all = (ADDRESSES[host] ?? []).map((address) => ({ address, family: net.isIP(address) }));
  const found = all.filter(({ family }) => !options.family || options.family === family);
  setImmediate(() => {
    if (found.length === 0) callback(Object.assign(new Error(`no ${host}`), { code: "ESERVFAIL" }), []);
    else if (options.all) callback(null, found);
    else callback(null, found[0].address, found[0].family);
  });
};

async function makeWorld(secure: TlsOptions | undefined): Promise<World> {
  const hal = createNodeHal({ lookup });
  const server = await new Server(secure && {}).listen();
  const closed = await new Server().listen();
  const closedPort = closed.port;
  await closed.close();
  return {
    hal,
    bulkLength: 16 << 20,
    open: (handler) => hal.open("localhost", server.port, secure, handler)!,
    openRefused: (handler) => hal.open("localhost", closedPort, secure, handler)!,
    openUnknown: (handler) => hal.open("nowhere.test", server.port, secure, handler)!,
    accept: () => server.accept(),
    until,
    dispose: () => server.close(),
  };
}

testHalContract("The HAL of Node", () => makeWorld(undefined));
testHalContract("The HAL of Node, over TLS,", () => makeWorld({ ca: certificates().ca.cert }));

describe("The HAL of Node", () => {
  let hal: Hal;
  let servers: Server[];
  let clients: Recorder[];

  beforeEach(() => {
    hal = createNodeHal({ lookup });
    servers = [];
    clients = [];
  });

  afterEach(async () => {
    jest.restoreAllMocks();
    for (const client of clients) client.close();
    for (const server of servers) await server.close();
    for (const client of clients) expect(client.broken).toEqual([]);
  });

  async function listen(tlsOptions?: tls.TlsOptions): Promise<Server> {
    const server = await new Server(tlsOptions).listen();
    servers.push(server);
    return server;
  }

  function open(host: string, port: number, secure?: TlsOptions): Recorder {
    const client = new Recorder().open((handler) => hal.open(host, port, secure, handler)!);
    clients.push(client);
    return client;
  }

  async function connect(server: Server, secure?: TlsOptions): Promise<{ client: Recorder; peer: NodePeer }> {
    const client = open("localhost", server.port, secure);
    await until(() => client.room !== undefined || client.failure !== undefined);
    expect(client.failure).toBeUndefined();
    return { client, peer: await server.accept() };
  }

  async function failure(client: Recorder): Promise<string> {
    await until(() => client.failure !== undefined);
    return client.failure!;
  }

  describe("connecting", () => {
    test("tries every address of a name", async () => {
      const server = await listen();
      const client = open("dual.test", server.port);
      await until(() => client.room !== undefined);
      const secureServer = await listen({});
      const secure = open("dual.test", secureServer.port, { ca: certificates().ca.cert, servername: "broker.test" });
      await until(() => secure.room !== undefined);
      secure.write(pattern(10));
      const peer = await secureServer.accept();
      peer.send(pattern(20));
      await until(() => peer.receivedLength === 10 && secure.unread === 20);
      expect(secure.read()).toEqual(pattern(20));
    });

    test("resolves localhost by itself", async () => {
      hal = defaultHal;
      const server = await listen();
      await connect(server);
    });

    test('says "refused" when one of several addresses refuses and the others are not there', async () => {
      const server = await listen();
      const port = server.port;
      await server.close();
      expect(await failure(open("dual.test", port))).toBe("refused");
    });

    test('says "dns" for whatever the resolver says', async () => {
      const client = open("nowhere.test", 1883);
      expect(await failure(client)).toBe("dns");
      expect((client.detail as NodeJS.ErrnoException).code).toBe("ESERVFAIL");
    });

    test.each(["nowhere.invalid", "a b", "x".repeat(300), "..", "http://broker"])(
      'the machine\'s own resolver: "dns" for %j',
      async (host) => {
        hal = defaultHal;
        expect(await failure(open(host, 1883))).toBe("dns");
      },
    );

    test.each([
      ["ECONNREFUSED", "refused"],
      ["ETIMEDOUT", "timeout"],
      ["EHOSTUNREACH", "unreachable"],
      ["ENETUNREACH", "unreachable"],
      ["EADDRNOTAVAIL", "unreachable"],
      ["EACCES", "unreachable"],
      ["EMFILE", "unreachable"],
      ["ENETUNREACH ETIMEDOUT", "timeout"],
      ["ETIMEDOUT ECONNREFUSED", "refused"],
      ["ENETUNREACH EHOSTUNREACH", "unreachable"],
    ])("sorts %s as %j", async (codes, expected) => {
      const [first, ...others] = codes.split(" ").map((code) => Object.assign(new Error(code), { code }));
      const error = others.length === 0 ? first : new AggregateError([first, ...others]);
      jest.spyOn(net.Socket.prototype, "connect").mockImplementation(function (this: net.Socket) {
        return this.destroy(error);
      });
      const client = open("broker.test", 1883);
      expect(await failure(client)).toBe(expected);
      expect(client.detail).toBe(error);
    });

    test("close() while the name is being resolved", async () => {
      const server = await listen();
      let answer: (() => void) | undefined;
      hal = createNodeHal({ lookup: (...args) => (answer = () => lookup(...args)) });
      const client = open("localhost", server.port);
      await until(() => answer !== undefined);
      client.close();
      answer!();
      hal = createNodeHal({ lookup });
      const { client: next } = await connect(server);
      next.write(pattern(1));
      await until(() => server.peers.some((peer) => peer.receivedLength === 1));
      expect(server.raw.length).toBe(1);
      expect(client.events).toEqual([]);
    });

    test("close() during the TLS handshake", async () => {
      const server = await listen(); // which does not answer
      const client = open("localhost", server.port, {});
      const peer = await server.accept();
      await until(() => peer.receivedLength > 0);
      client.close();
      await until(() => peer.ended);
      expect(client.events).toEqual([]);
    });

    test("sends without Nagle's delay", async () => {
      const setNoDelay = jest.spyOn(net.Socket.prototype, "setNoDelay");
      const { client } = await connect(await listen());
      expect(setNoDelay).toHaveBeenCalledWith(true);
      client.close();
    });
  });

  describe.each([["TCP", false], ["TLS", true]])("bytes over %s", (_name, isSecure) => {
    const BULK = 24 << 20;
    let secure: TlsOptions | undefined;
    let server: Server;

    beforeEach(async () => {
      secure = isSecure ? { ca: certificates().ca.cert } : undefined;
      server = await listen(isSecure ? {} : undefined);
    });

    test("a client that does not read stops the peer, and gets every byte when it reads again", async () => {
      const { client, peer } = await connect(server, secure);
      const bulk = pattern(BULK);
      peer.send(bulk);
      peer.end();
      await untilStill(() => peer.socket.bytesWritten - peer.socket.writableLength + client.unread);
      expect(client.unread).toBeGreaterThan(0);
      expect(client.unread).toBeLessThanOrEqual(isSecure ? 131072 : 65536);
      expect(peer.socket.writableFinished).toBe(false);
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

    test("reading a part at a time loses nothing and repeats nothing", async () => {
      const { client, peer } = await connect(server, secure);
      const bulk = pattern(1 << 20);
      const got: Uint8Array[] = [];
      let length = 0;
      const timer = hal.createTimer(() => {
        const part = client.read(Math.min(client.unread, 5000));
        got.push(part);
        length += part.length;
        if (client.unread > 0) timer.schedule(0);
      });
      client.whenReadable = () => timer.schedule(0);
      peer.send(bulk);
      await until(() => length === bulk.length);
      expect(Buffer.compare(Buffer.concat(got), bulk)).toBe(0);
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
    });

    test("close() leaves a peer that is still sending in peace: all is taken, and dropped", async () => {
      const { client, peer } = await connect(server, secure);
      peer.send(pattern(BULK));
      await until(() => client.unread > 0);
      client.close();
      const gone = once(peer.socket, "close");
      peer.end();
      expect(await gone).toEqual([false]); // no error
      expect(peer.socket.writableFinished).toBe(true);
    });

    test("what is written in one turn goes to Node in one piece, out of a buffer that every client uses", async () => {
      const { client, peer } = await connect(server, secure);
      const { client: other, peer: otherPeer } = await connect(server, secure);
      const pieces: Uint8Array[] = [];
      const write = net.Socket.prototype.write;
      jest.spyOn(net.Socket.prototype, "write").mockImplementation(function (this: net.Socket, ...args: unknown[]) {
        // The process has others: what it prints may go by one.
        if (this.remotePort === server.port) pieces.push(args[0] as Uint8Array);
        return Reflect.apply(write, this, args) as boolean;
      });
      for (let i = 0; i < 1000; i++) client.write(pattern(10, i));
      await until(() => peer.receivedLength === 10000);
      await until(() => client.room === 65536);
      expect(pieces.map((piece) => piece.length)).toEqual([10000]);
      other.write(pattern(2));
      await until(() => otherPeer.receivedLength === 2);
      expect(pieces[1].buffer).toBe(pieces[0].buffer);
      expect(pieces[1].length).toBe(2);
    });

    test("bytes that the server sends at once come after the connection is up", async () => {
      const greeted = open("localhost", server.port, secure);
      const peer = await server.accept();
      peer.send(pattern(5));
      peer.end();
      await until(() => greeted.unread === 5);
      expect(greeted.read()).toEqual(pattern(5));
      await until(() => greeted.failure === "closed");
    });

    test("a closed socket lets go of a peer that does not close", async () => {
      jest.useFakeTimers({ doNotFake: ["nextTick", "setImmediate", "performance", "queueMicrotask"] });
      try {
        const { client, peer } = await connect(server, secure);
        client.close();
        await until(() => peer.ended);
        jest.advanceTimersByTime(2999);
        await untilStill(() => (peer.socket.destroyed ? 1 : 0));
        expect(peer.socket.destroyed).toBe(false);
        jest.advanceTimersByTime(1);
        await until(() => {
          peer.send(new Uint8Array(1000)); // until it is told that nobody is there any more
          return peer.socket.destroyed;
        });
      } finally {
        jest.useRealTimers();
      }
    });
  });

  describe("TLS", () => {
    const pki = certificates();
    const trusted = { ca: pki.ca.cert };

    test("verifies the server against the authority and the host's name or address", async () => {
      const server = await listen({});
      for (const host of ["localhost", "broker.test", "127.0.0.1"]) {
        const client = open(host, server.port, trusted);
        await until(() => client.room !== undefined);
      }
    });

    test.each<[string, keyof typeof pki, TlsOptions, string]>([
      ["an unknown authority", "server", {}, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
      ["another authority", "server", { ca: pki.otherCa.cert }, "UNABLE_TO_VERIFY_LEAF_SIGNATURE"],
      ["another host's certificate", "wrongHost", trusted, "ERR_TLS_CERT_ALTNAME_INVALID"],
      ["an expired certificate", "expired", trusted, "CERT_HAS_EXPIRED"],
      ["a wrong servername", "server", { ...trusted, servername: "elsewhere.test" }, "ERR_TLS_CERT_ALTNAME_INVALID"],
    ])('says "tls" for %s', async (_title, name, secure, code) => {
      const server = await listen(pki[name]);
      const client = open("localhost", server.port, secure);
      expect(await failure(client)).toBe("tls");
      expect(client.events).toEqual(["error tls"]);
      expect((client.detail as NodeJS.ErrnoException).code).toBe(code);
    });

    test("rejectUnauthorized: false connects to any of these", async () => {
      for (const name of ["server", "wrongHost", "expired"] as const) {
        await connect(await listen(pki[name]), { rejectUnauthorized: false });
      }
    });

    test("asks for the host's name, for servername where it is given, and for no address", async () => {
      const asked: string[] = [];
      const server = await listen({
        SNICallback: (name, done) => {
          asked.push(name);
          done(null);
        },
      });
      for (const [host, options] of [
        ["localhost", trusted],
        ["127.0.0.1", trusted],
        ["127.0.0.1", { ...trusted, servername: "broker.test" }],
        ["broker.test", { ...trusted, servername: undefined }],
      ] as [string, TlsOptions][]) {
        const client = open(host, server.port, options);
        await until(() => client.room !== undefined);
      }
      expect(asked).toEqual(["localhost", "broker.test", "broker.test"]);
    });

    test("offers its protocols", async () => {
      const server = await listen({ ALPNProtocols: ["mqtt"] });
      const { peer } = await connect(server, { ...trusted, ALPNProtocols: ["x-other", "mqtt"] });
      expect((peer.socket as tls.TLSSocket).alpnProtocol).toBe("mqtt");
      expect(await failure(open("localhost", server.port, { ...trusted, ALPNProtocols: ["x-other"] }))).toBe("tls");
    });

    describe("with a client certificate", () => {
      const mutual = { ca: pki.ca.cert, requestCert: true, rejectUnauthorized: true };

      test("shows it", async () => {
        const { peer } = await connect(await listen(mutual), { ...trusted, ...pki.client });
        expect((peer.socket as tls.TLSSocket).getPeerCertificate().subject.CN).toBe("device-1");
      });

      test("opens an encrypted key, and takes bytes as well as text, and arrays", async () => {
        const passphrase = "open sesame";
        const key = createPrivateKey(pki.client.key).export({
          type: "pkcs8",
          format: "pem",
          cipher: "aes-256-cbc",
          passphrase,
        });
        await connect(await listen(mutual), {
          ca: [pki.otherCa.cert, new Uint8Array(Buffer.from(pki.ca.cert))],
          cert: Buffer.from(pki.client.cert),
          key: [key.toString()],
          passphrase,
        });
      });

      test.each(["TLSv1.2", "TLSv1.3"] as const)('says "tls" when there is none, %s', async (version) => {
        const server = await listen(mutual);
        const secure = { ...trusted, minVersion: version, maxVersion: version };
        expect(await failure(open("localhost", server.port, secure))).toBe("tls");
        expect(server.peers).toEqual([]);
      });

      test("does not get through with another authority's", async () => {
        const server = await listen(mutual);
        const secure = { ...trusted, ...pki.strangeClient };
        expect(await failure(open("localhost", server.port, { ...secure, maxVersion: "TLSv1.2" }))).toBe("tls");
        // With TLS 1.3 the client is done when the server looks at it, and Node's server hangs up without a reason.
        expect(await failure(open("localhost", server.port, secure))).toBe("closed");
        expect(server.peers).toEqual([]);
      });
    });

    test('says "tls" when the versions do not meet, or the server hangs up or does not speak it', async () => {
      const old = await listen({ maxVersion: "TLSv1.2" });
      expect(await failure(open("localhost", old.port, { ...trusted, minVersion: "TLSv1.3" }))).toBe("tls");

      for (const answer of ["", "HTTP/1.1 400 Bad Request\r\n\r\n"]) {
        const server = await listen();
        const client = open("localhost", server.port, trusted);
        const peer = await server.accept();
        await until(() => peer.receivedLength > 0);
        peer.socket.end(answer);
        expect(await failure(client)).toBe("tls");
      }
      const server = await listen();
      const client = open("localhost", server.port, trusted);
      const peer = await server.accept();
      await until(() => peer.receivedLength > 0);
      peer.reset();
      expect(await failure(client)).toBe("tls");
    });

    test.each<[string, object, string]>([
      ["an unknown option", { certificate: "" }, "secure.certificate: no such TLS option"],
      ["an option of tls.connect that is not ours", { host: "elsewhere" }, "secure.host"],
      ["ca: a file's name", { ca: "ca.pem" }, "secure.ca"],
      ["ca: DER", { ca: new Uint8Array([0x30, 0x82]) }, "secure.ca"],
      ["ca: a number", { ca: 5 }, "secure.ca"],
      ["ca: an empty array", { ca: [] }, "secure.ca"],
      ["ca: one wrong among several", { ca: [pki.ca.cert, null] }, "secure.ca"],
      ["ca: damaged", { ca: pki.ca.cert.replace(/M/g, "N") }, "secure.ca"],
      ["cert: damaged", { cert: pki.ca.cert.replace(/M/g, "N"), key: pki.ca.key }, "secure.cert"],
      ["cert: a boolean", { cert: true }, "secure.cert"],
      ["key: damaged", { ...pki.client, key: pki.ca.key.replace(/M/g, "N") }, "secure.key"],
      ["key: another's", { ...pki.client, key: pki.ca.key }, "secure.key"],
      ["key: an object", { key: {} }, "secure.key"],
      ["passphrase", { passphrase: 1234 }, "secure.passphrase"],
      ["servername", { servername: false }, "secure.servername"],
      ["ALPNProtocols: a string", { ALPNProtocols: "mqtt" }, "secure.ALPNProtocols"],
      ["ALPNProtocols: numbers", { ALPNProtocols: [1] }, "secure.ALPNProtocols"],
      ["ALPNProtocols: an empty name, for which Node aborts", { ALPNProtocols: [""] }, "secure.ALPNProtocols"],
      ["ALPNProtocols: a long name", { ALPNProtocols: ["x".repeat(256)] }, "secure.ALPNProtocols"],
      ["rejectUnauthorized: 0", { rejectUnauthorized: 0 }, "secure.rejectUnauthorized"],
      ["minVersion", { minVersion: "1.2" }, "secure.minVersion"],
      ["maxVersion", { maxVersion: 1.3 }, "secure.maxVersion"],
    ])("throws a TypeError by name for %s, before anything happens", (_title, secure, message) => {
      const tcp = jest.spyOn(net.Socket.prototype, "connect");
      for (const act of [
        () => hal.checkSecure(secure),
        () => hal.open("localhost", 1, secure, { onReadable() {}, onWritable() {}, onError() {} }),
      ]) {
        expect(act).toThrow(TypeError);
        expect(act).toThrow(message);
      }
      expect(tcp).not.toHaveBeenCalled();
    });

    test("does not repeat secrets in what it throws", () => {
      expect(() => hal.checkSecure({ key: "the secret" })).toThrow(/^(?!.*the secret)/);
    });
  });

  describe("writing", () => {
    test("takes each range as it is at that moment, also one as long as the one before", async () => {
      const { client, peer } = await connect(await listen());
      const bytes = pattern(100);
      client.socket.write(bytes, 0, 10);
      client.socket.write(bytes, 50, 60);
      bytes.fill(7);
      client.socket.write(bytes, 50, 60);
      client.socket.write(pattern(100), 50, 60);
      await until(() => peer.receivedLength === 40);
      const expected = [pattern(100).subarray(0, 10), pattern(100).subarray(50, 60), bytes.subarray(0, 10)];
      expect(peer.received).toEqual(Buffer.concat([...expected, pattern(100).subarray(50, 60)]));
    });

    test("lets a closed socket keep what is on its way, whoever writes meanwhile", async () => {
      const server = await listen();
      const { client, peer } = await connect(server);
      peer.stopReading();
      const block = new Uint8Array(65536);
      let written = 0;
      const fill = async (byte: number): Promise<void> => {
        // Until nothing leaves any more.
        while (client.room! > 0) {
          const count = client.room!;
          client.write(block.subarray(0, count).fill(byte));
          written += count;
          await untilStill(() => client.room!);
        }
      };
      await fill(1);
      client.close();
      const { client: other, peer: reader } = await connect(server);
      for (let i = 0; i < 8; i++) {
        other.write(block.subarray(0, other.room).fill(2));
        await untilStill(() => reader.receivedLength);
      }
      peer.startReading();
      await until(() => peer.ended);
      expect(peer.receivedLength).toBe(written);
      expect(peer.received.every((byte) => byte === 1)).toBe(true);
    });
  });

  describe("text", () => {
    test("is that of TextEncoder and TextDecoder, in any room and at any place", () => {
      const text = hal.createText();
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      const character = fc.oneof(fc.constantFrom("a", "\0", "é", "€", "\u{1f600}", "\ufeff", "\ufffd"), fc.string());
      fc.assert(
        fc.property(fc.array(character, { maxLength: 8 }), fc.nat(40), fc.nat(3), (parts, room, offset) => {
          const string = parts.join("");
          const utf8 = new TextEncoder().encode(string);
          const bytes = new Uint8Array(offset + room);
          const end = text.encode(string, bytes, offset, offset + room);
          expect(end).toBe(utf8.length > room ? -1 : offset + utf8.length);
          if (end >= 0) expect(bytes.slice(offset, end)).toEqual(utf8);
          expect(text.decode(bytes, offset, bytes.length, false)).toBe(decoder.decode(bytes.subarray(offset)));
        }),
        { numRuns: 2000 },
      );
    });

    test("remembers topic names, and never takes one for another, in whatever arrays they come", () => {
      const texts = [hal.createText(), hal.createText()];
      const decoder = new TextDecoder("utf-8", { ignoreBOM: true });
      const arrays = [40, 128, 200].map((size) => new Uint8Array(size));
      const known = ["a/1", "a/2", "é".repeat(20), "x".repeat(127)];
      const name = fc.oneof(fc.string({ maxLength: 40 }), fc.constantFrom(...known));
      const step = fc.tuple(fc.nat(1), fc.nat(2), name, fc.nat(3));
      fc.assert(
        fc.property(fc.array(step, { minLength: 1, maxLength: 200 }), (steps) => {
          for (const [which, array, topic, offset] of steps) {
            const utf8 = new TextEncoder().encode(topic);
            if (offset + utf8.length > arrays[array].length) continue;
            arrays[array].set(utf8, offset);
            expect(texts[which].decode(arrays[array], offset, offset + utf8.length, true)).toBe(decoder.decode(utf8));
          }
        }),
        { numRuns: 200 },
      );
    });

    test("tells apart topic names that have one hash, and those that begin like another", () => {
      const text = hal.createText();
      const bytes = new Uint8Array(200);
      // Both of the first have the hash 904223875.
      const names = ["room/09pmh", "room/0ae0a", "room/09pm", "room/09pmhi", "x".repeat(40), "x".repeat(41)];
      for (const topic of [...names, ...names.reverse(), ...names]) {
        const end = text.encode(topic, bytes, 0, bytes.length);
        for (let time = 0; time < 2; time++) expect(text.decode(bytes, 0, end, true)).toBe(topic);
      }
    });

    test("takes no topic name for another when there are more than it remembers", () => {
      const text = hal.createText();
      const bytes = new Uint8Array(128);
      // More than 1,024 and, behind these, more than the 16,384 that it does not know before it begins anew.
      for (let i = 0; i < 40000; i++) {
        for (const topic of [`t/${i}`, `t/${i % 1500}`]) {
          const end = text.encode(topic, bytes, 0, bytes.length);
          const decoded = text.decode(bytes, 0, end, true);
          if (decoded !== topic) throw new Error(`${decoded} instead of ${topic}`);
        }
      }
    });

    test("finds ill-formed bytes also where a well-formed topic name was before [MQTT-1.5.3-1]", () => {
      const text = hal.createText();
      const bytes = new Uint8Array(128);
      const end = text.encode("room/é", bytes, 0, bytes.length);
      expect(text.decode(bytes, 0, end, true)).toBe("room/é");
      bytes[end - 1] = 0x41;
      expect(text.decode(bytes, 0, end, true)).toBeUndefined();
      expect(text.decode(bytes, 0, end, true)).toBeUndefined();
    });
  });

  describe("configure", () => {
    const tcpSettings = (tcpOpts: object): Hal => hal.configure!({ tcpOpts });

    test("connects from the own address and port, as a new HAL, and leaves the old one as it is", async () => {
      const server = await listen();
      const configured = tcpSettings({ localAddress: "127.0.0.2" });
      const before = await connect(server);
      expect(before.peer.socket.remoteAddress).toBe("127.0.0.1");
      hal = configured;
      const { peer } = await connect(server); // with the lookup that it had
      expect(peer.socket.remoteAddress).toBe("127.0.0.2");
      const client = open("dual.test", server.port); // not from there to ::1
      await until(() => client.room !== undefined);
      await server.accept();
      hal = configured.configure!({ tcpOpts: { localPort: 0, localAddress: undefined } });
      expect((await connect(server)).peer.socket.remoteAddress).toBe("127.0.0.2");
      const free = await listen();
      const port = free.port;
      await free.close();
      hal = tcpSettings({ localAddress: "127.0.0.3", localPort: port });
      expect((await connect(server)).peer.socket.remotePort).toBe(port);
    });

    test("looks up addresses of one family only", async () => {
      const asked: unknown[] = [];
      hal = tcpSettings({
        family: 4,
        lookup: ((host, options, callback) => {
          asked.push(options.family);
          lookup(host, options, callback);
        }) satisfies NodeHalOptions["lookup"],
      });
      await connect(await listen());
      expect(asked).toEqual([4]);
    });

    test.each([[false], [true]])("sets keepAlive, and noDelay not when it is false, over TLS: %s", async (isSecure) => {
      const setNoDelay = jest.spyOn(net.Socket.prototype, "setNoDelay");
      const setKeepAlive = jest.spyOn(net.Socket.prototype, "setKeepAlive");
      hal = tcpSettings({ noDelay: false, keepAlive: true, keepAliveInitialDelay: 7000 });
      const server = await listen(isSecure ? {} : undefined);
      await connect(server, isSecure ? { ca: certificates().ca.cert } : undefined);
      expect(setNoDelay).not.toHaveBeenCalled();
      expect(setKeepAlive.mock.calls).toEqual([[true, 7000]]);
    });

    test.each<[string, object]>([
      ["tcpOpts.localAddress", { localAddress: "eth0" }],
      ["tcpOpts.localPort", { localPort: 65536 }],
      ["tcpOpts.localPort", { localPort: "1" }],
      ["tcpOpts.family", { family: "4" }],
      ["tcpOpts.family", { family: 5 }],
      ["tcpOpts.noDelay", { noDelay: 1 }],
      ["tcpOpts.keepAlive", { keepAlive: 30 }],
      ["tcpOpts.keepAliveInitialDelay", { keepAliveInitialDelay: -1 }],
      ["tcpOpts.lookup", { lookup: "8.8.8.8" }],
      ["tcpOpts.host: no such TCP option", { host: "elsewhere" }],
      ["tcpOpts.constructor", { constructor: 1 }],
      ["tcpOpts: not an object", []],
    ])("throws a TypeError by name: %s", (message, tcpOpts) => {
      expect(() => tcpSettings(tcpOpts)).toThrow(TypeError);
      expect(() => tcpSettings(tcpOpts)).toThrow(message);
    });

    test("throws for what has no meaning without WebSocket, and for what nobody knows", () => {
      for (const settings of [{ wsPath: "/mqtt" }, { wsHeaders: {} }, { tcpOptions: {} }]) {
        expect(() => hal.configure!(settings as object)).toThrow(Object.keys(settings)[0]);
      }
      expect(() => createNodeHal({ port: 1 } as object)).toThrow("port: no such TCP option");
      hal.configure!({ wsPath: undefined } as object);
    });
  });

  test("an id is a new one of 12 characters each time", () => {
    const ids = Array.from({ length: 100 }, () => hal.generateId());
    for (const id of ids) expect(id).toMatch(/^[0-9a-z]{12}$/);
    expect(new Set(ids).size).toBe(100);
  });

  test("has a computer's capacities", () => {
    expect(hal.defaults).toEqual({ rxCapacity: 16384, txCapacity: 65536, maxOperations: 1024, receiveMaximum: 1024 });
  });
});

describe("A process", () => {
  /** Runs `script`, in which `hal`, `port` and `handler` are known, until it ends by itself. */
  async function run(script: string, port = 0, env = {}): Promise<{ status: number; stdout: string; stderr: string }> {
    const prelude = `
      import hal from "./hal/node.ts";
      const port = ${port};
      const handler = { onReadable() {}, onWritable() {}, onError(failure) { console.log(failure); } };
    `;
    const args = ["--import", "tsx", "--input-type=module", "--eval", prelude + script];
    return new Promise((resolve) => {
      execFile(process.execPath, args, { env: { ...process.env, ...env } }, (error, stdout, stderr) =>
        resolve({ status: error ? Number(error.code) : 0, stdout: stdout.trim(), stderr }),
      );
    });
  }

  test("sees an exception given to uncaught() as uncaughtException, unchanged and after the call", async () => {
    const { status, stdout } = await run(`
      const thrown = { my: "error" };
      process.on("uncaughtException", (error) => console.log(error === thrown));
      hal.uncaught(thrown);
      console.log("went on");
    `);
    expect(stdout).toBe("went on\ntrue");
    expect(status).toBe(0);
    const { status: died, stderr } = await run(`hal.uncaught(new RangeError("mine"));`);
    expect(died).toBe(1);
    expect(stderr).toContain("RangeError: mine");
  });

  test("ends by itself when the timers are cleared and the sockets closed", async () => {
    const server = await new Server().listen();
    void server.accept().then((peer) => peer.socket.on("end", () => peer.end()));
    const { status, stdout } = await run(
      `
      const timer = hal.createTimer(() => console.log("fired"));
      timer.schedule(1000000);
      handler.onWritable = () => {
        handler.onWritable = () => {};
        socket.write(Buffer.from("hello"), 0, 5);
        socket.close();
        timer.clear();
      };
      const socket = hal.open("127.0.0.1", port, undefined, handler);
      `,
      server.port,
    );
    expect(Buffer.from(server.peers[0].received).toString()).toBe("hello");
    await server.close();
    expect([status, stdout]).toEqual([0, ""]);
  });

  test("keeps what was not read when a handler throws", async () => {
    const server = await new Server().listen();
    void server.accept().then((peer) => peer.send(pattern(10)));
    void server.accept().then((peer) => peer.send(pattern(10, 100)));
    const { stdout } = await run(
      `
      process.on("uncaughtException", (error) => {
        setImmediate(() => {
          hal.open("127.0.0.1", port, undefined, { ...handler, onReadable() {
            const bytes = new Uint8Array(8);
            socket.read(bytes, 0, 8);
            console.log(error.message, bytes.join());
            process.exit();
          }});
        });
      });
      handler.onReadable = () => {
        socket.read(new Uint8Array(2), 0, 2);
        throw new Error("thrown");
      };
      const socket = hal.open("127.0.0.1", port, undefined, handler);
      `,
      server.port,
    );
    await server.close();
    expect(stdout).toBe(`thrown ${pattern(10).slice(2).join()}`);
  });

  test("verifies certificates also when the environment would have it otherwise", async () => {
    const server = await new Server({}).listen();
    const { stdout } = await run(`hal.open("localhost", port, {}, handler);`, server.port, {
      NODE_TLS_REJECT_UNAUTHORIZED: "0",
    });
    await server.close();
    expect(stdout).toBe("tls");
  });
});
