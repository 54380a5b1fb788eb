/** The command line over TLS and WebSocket, with sessions that last, and on networks that do not. */
import { createPrivateKey } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { join } from "node:path";
import { createServer as createTlsServer } from "node:tls";
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { HOST } from "../support/broker.js";
import { certificates, writeCertificates } from "../support/certificates.js";
import { Cli } from "../support/cli.js";
import type { Program } from "../support/cli.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Relay } from "../support/relay.js";
import { WebSocketRelay } from "../support/websocket-relay.js";

jest.setTimeout(60000);

const SECRET = "hunter2";
/** The message of the examples. */
const HELLO = ["-t", "hello", "--payload", "hello world"];

needs("mosquitto", "mosquitto_pub", "mosquitto_sub")("mcu-mqtt", () => {
  let cli: Cli;
  let broker: Mosquitto;

  beforeAll(async () => {
    [cli, broker] = await Promise.all([Cli.build(), Mosquitto.start({ persistence: true })]);
    writeCertificates(cli.folder);
    const key = createPrivateKey(certificates().client.key);
    const locked = key.export({ type: "pkcs8", format: "pem", cipher: "aes-128-cbc", passphrase: SECRET });
    writeFileSync(join(cli.folder, "locked.key"), locked);
  }, 60000);
  const begun: { dispose(): Promise<void> }[] = [];
  /** To be disposed of behind the test, whatever comes of it. */
  async function forThisTest<T extends { dispose(): Promise<void> }>(starting: Promise<T>): Promise<T> {
    const started = await starting;
    begun.push(started);
    return started;
  }
  afterEach(async () => {
    cli.end();
    await Promise.all(begun.splice(0).map((each) => each.dispose()));
  });
  afterAll(async () => {
    cli.dispose();
    await broker.dispose();
  });

  function at(port = broker.port): string[] {
    return ["-h", HOST, "-p", String(port)];
  }

  async function mosquittoPub(...args: string[]): Promise<void> {
    const program = cli.startProgram("mosquitto_pub", [...at(), ...args]);
    await program.ended();
    expect(program.result).toEqual({ code: 0, stdout: "", stderr: "" });
  }

  /** Starts `mcu-mqtt sub` or `connect`, and ends it once it says this. */
  async function runUntil(said: string, ...args: string[]): Promise<void> {
    const program = cli.start(args);
    await program.said(said);
    program.process.kill("SIGTERM");
    await program.ended();
    expect(program.code).toBe(0);
  }

  /** What a run of the seed's example says when all is well. */
  function expectHello(program: Program): void {
    expect(program.lines).toEqual([
      "Client ID sent CONNECT",
      "Client ID sent PUBLISH (Q0, R0, D0, Topic=hello, Payload=...(11 bytes))",
      "Client ID sent DISCONNECT",
    ]);
    expect(program.code).toBe(0);
  }

  describe("TLS", () => {
    it("publishes with a certificate of its own", async () => {
      const files = ["--CAfile=ca.crt", "--cert=client.crt", "--key=client.key"];
      const place = at(broker.clientCertificatePort);
      expectHello(await cli.run(["pub", ...place, "--enable-ssl=true", ...HELLO, ...files]));
      const locked = ["--enable-ssl", "--CAfile=ca.crt", "--cert=client.crt", "--key=locked.key"];
      expectHello(await cli.run(["pub", ...place, ...HELLO, ...locked, "--passphrase", SECRET]));
      expectHello(await cli.run(["pub", ...place, ...HELLO, ...locked], "", { MCU_MQTT_PASSPHRASE: SECRET }));
    });

    it.each([
      ["an authority that it does not know", "tls", [], /self.signed|unable to|certificate/],
      ["another authority", "tls", ["--CAfile", "otherCa.crt"], /certificate/],
      ["a name that is not the host's", "tls", ["--CAfile", "ca.crt", "--sni", "elsewhere.test"], /elsewhere\.test/],
      ["no certificate of its own", "client", ["--CAfile", "ca.crt"], /alert|certificate required|lost/],
      ["a certificate that the broker does not know", "client",
        ["--CAfile", "ca.crt", "--cert", "strangeClient.crt", "--key", "strangeClient.key"], /alert|unknown ca|lost/],
    ] as const)("is refused with %s", async (_title, kind, args, reason) => {
      const port = kind === "tls" ? broker.tlsPort : broker.clientCertificatePort;
      const program = await cli.run(["pub", ...at(port), ...HELLO, "--enable-ssl", ...args]);
      expect(program.code).toBe(1);
      expect(program.lines.at(-1)).toMatch(/^mcu-mqtt: cannot connect to /);
      // With TLS 1.3 the server refuses a certificate behind the client's handshake.
      expect(program.lines.slice(0, -1)).toEqual(kind === "tls" ? [] : ["Client ID sent CONNECT"]);
      expect(program.stderr).toMatch(reason);
      expect(program.stderr).not.toMatch(/^ +at /m);
    });

    it("accepts any certificate with --insecure", async () => {
      expectHello(await cli.run(["pub", ...at(broker.tlsPort), ...HELLO, "--enable-ssl", "--insecure"]));
    });

    it("takes mqtts:// for it", async () => {
      const url = `mqtts://${HOST}:${broker.tlsPort}/hello`;
      expectHello(await cli.run(["pub", url, "--payload", "hello world", "--CAfile", "ca.crt"]));
    });

    it("speaks the version, asks for the name and offers the protocol that it was told", async () => {
      const { cert, key } = certificates().server;
      let seen: unknown[] = [];
      const server = createTlsServer({ cert, key, ALPNProtocols: ["mqtt"] }, (socket) => {
        seen = [socket.getProtocol(), (socket as { servername?: unknown }).servername, socket.alpnProtocol];
        const tcp = connect(broker.port, HOST);
        socket.pipe(tcp).pipe(socket);
        socket.on("error", () => tcp.destroy());
      });
      await listening(server);
      const args = ["pub", ...at(portOf(server)), ...HELLO, "--enable-ssl", "--CAfile", "ca.crt"];
      for (const [version, name] of [["tlsv1.2", "TLSv1.2"], ["tlsv1.3", "TLSv1.3"]]) {
        expectHello(await cli.run([...args, "--tls-version", version, "--sni", "broker.test", "--alpn", "mqtt"]));
        expect(seen).toEqual([name, "broker.test", "mqtt"]);
      }
      expectHello(await cli.run(args));
      expect(seen).toEqual(["TLSv1.3", false, false]);
      server.close();
    });
  });

  describe("WebSocket", () => {
    it("publishes and subscribes, with a path and header fields", async () => {
      const relay = await forThisTest(WebSocketRelay.start(broker.port, { path: "/mqtt" }));
      const other = await forThisTest(WebSocketRelay.start(broker.port, { path: "/other" }));
      const header = `Authorization: Bearer ${SECRET}`;
      const webSocket = ["--enable-websocket", "--ws-path", "/other?a=b", "--ws-header", header];
      const program = cli.start(["sub", ...at(other.port), ...webSocket, "-t", "hello", "--count", "1"]);
      await program.said("subscribed to hello");
      const place = ["-h", HOST, "-p", String(relay.port)];
      expectHello(await cli.run(["pub", "--enable-websocket=true", ...place, ...HELLO]));
      await program.ended();
      expect(program.stdout.toString()).toBe("hello world\n");
      expect(other.requests[0].url).toBe("/other?a=b");
      expect(other.requests[0].headers.authorization).toBe(`Bearer ${SECRET}`);
      expect(relay.requests[0].headers["sec-websocket-protocol"]).toBe("mqtt");
      const wrong = await cli.run(["pub", "--enable-websocket", "--ws-path=/none", ...place, ...HELLO]);
      expect(wrong.code).toBe(1);
      expect(wrong.stderr).toMatch(/^mcu-mqtt: cannot connect to .*\n$/);
    });

    it("goes over TLS, with options or a URL", async () => {
      const relay = await forThisTest(WebSocketRelay.start(broker.port, { tls: certificates().server }));
      const tls = ["--enable-ssl", "--CAfile", "ca.crt"];
      expectHello(await cli.run(["pub", "--enable-websocket", ...at(relay.port), ...HELLO, ...tls]));
      const url = `wss://localhost:${relay.port}/path?query`;
      expectHello(await cli.run(["pub", url, ...HELLO, "--CAfile", "ca.crt"]));
      expect(relay.requests.map((request) => request.url)).toEqual(["/mqtt", "/path?query"]);
    });
  });

  describe("MQTT 3.1", () => {
    it("is spoken when it is asked for", async () => {
      const program = await cli.run(["pub", ...at(), ...HELLO, "-V", "v3.1", "-k", "0"]);
      expectHello(program);
      const id = /Client (\S+)/.exec(program.stderr)![1];
      expect(id).toMatch(/^mcu-mqtt-[0-9a-f]{14}$/);
      await broker.logged(`as ${id} (p1, c1, k0).`);
    });
  });

  describe("a session that lasts", () => {
    it.each(["1", "2"])("has what was published meanwhile, each message once, at QoS %s", async (qos) => {
      const id = `lasting-${qos}`;
      const args = ["sub", ...at(), "-t", id, "-q", qos, "-C", id, "--persistent"];
      await runUntil(`subscribed to ${id}`, ...args);
      const numbers = Array.from({ length: 30 }, (_, i) => String(i));
      for (const number of numbers.slice(0, 5)) await mosquittoPub("-t", id, "-m", number, "-q", "2");
      const program = cli.startProgram("mosquitto_pub", [...at(), "-t", id, "-q", "2", "-l"]);
      program.process.stdin.end(numbers.slice(5).join("\n"));
      await program.ended();
      // What is not written is not acknowledged, however much has come.
      const found: string[] = [];
      for (let i = 0; i < 3; i++) {
        const part = await cli.run([...args, "--count", "10"]);
        found.push(...part.stdout.toString().split("\n"));
      }
      expect(found.filter((line) => line !== "")).toEqual(numbers);
      const last = cli.start([...args, "--count", "1"]);
      await last.said(`subscribed to ${id}`);
      await mosquittoPub("-t", id, "-m", "end", "-q", qos);
      await last.ended();
      expect(last.stdout.toString()).toBe("end\n");
    });

    it("is not emptied by connect", async () => {
      const args = ["-C", "kept", "--persistent"];
      await runUntil("subscribed to kept", "sub", ...at(), "-t", "kept", "-q", "1", ...args);
      await mosquittoPub("-t", "kept", "-m", "still there", "-q", "1");
      const connected = cli.start(["connect", ...at(), ...args]);
      await broker.logged("Sending PUBLISH to kept");
      await connected.said("is connected\n");
      connected.process.kill("SIGTERM");
      await connected.ended();
      const program = await cli.run(["sub", ...at(), "-t", "kept", "-q", "1", ...args, "--count", "1"]);
      expect(program.stdout.toString()).toBe("still there\n");
    });
  });

  describe("a connection that is lost", () => {
    it("is made again by sub, with its subscriptions", async () => {
      const relay = await forThisTest(Relay.start(broker.port));
      const program = cli.start(["sub", ...at(relay.port), "-t", "again/#", "--count", "2", "--reconnect", "3",
        "--reconnect-delay", "0.1", "-C", "again"]);
      await program.said("subscribed to again/#");
      await mosquittoPub("-t", "again/1", "-m", "one");
      await program.wrote(4);
      relay.connections[0].cut();
      await program.said("lost\nClient again sent CONNECT\n");
      // Behind that CONNECT it subscribes at once.
      for (let i = 0; program.code === undefined && i < 50; i++) await mosquittoPub("-t", "again/2", "-m", "two");
      await program.ended();
      expect(program.result).toEqual({
        code: 0,
        stdout: "one\ntwo\n",
        stderr: expect.stringMatching(
          /#\nClient again tries again in 0\.[01] s: the connection was lost\nClient again sent CONNECT\n/,
        ),
      });
    });

    it("loses no line of pub", async () => {
      const relay = await forThisTest(Relay.start(broker.port));
      const watcher = cli.startProgram("mosquitto_sub", [...at(), "-t", "lines", "-q", "1", "-i", "line-watcher"]);
      await broker.logged("Sending SUBACK to line-watcher");
      const program = cli.start(["pub", ...at(relay.port), "-t", "lines", "-q", "1", "-l", "--reconnect", "5",
        "--reconnect-delay", "0.05"]);
      const lines = Array.from({ length: 300 }, (_, i) => `line ${i}\n`);
      for (let i = 0; i < 3; i++) {
        program.process.stdin.write(lines.slice(i * 100, i * 100 + 100).join(""));
        const last = `line ${i * 100 + 40}\n`;
        await watcher.until(() => watcher.stdout.includes(last), last);
        relay.connections.at(-1)!.cut();
      }
      program.process.stdin.end();
      await program.ended();
      expect(program.code).toBe(0);
      await watcher.until(() => watcher.stdout.includes("line 299\n"), "the last line");
      // Those that were not acknowledged in time come twice.
      expect(new Set(watcher.stdout.toString().split(/(?<=\n)/))).toEqual(new Set(lines));
    });

    it("is tried so often and no more", async () => {
      const other = await forThisTest(Mosquitto.start());
      const program = cli.start(["connect", ...at(other.port), "--reconnect", "2", "--reconnect-delay", "0.01"]);
      await program.said("is connected");
      await other.stop("SIGKILL");
      await program.ended();
      expect(program.code).toBe(1);
      expect(program.stderr.split("tries again in").length - 1).toBe(2);
      expect(program.stderr).toMatch(/mcu-mqtt: the broker cannot be reached.*\n$/);
    });

    it.each([
      ["at once", []],
      ["when it was tried again", ["--reconnect", "1", "--reconnect-delay", "0.01"]],
    ])("ends pub %s, also while it waits for a line", async (_title, args) => {
      const other = await forThisTest(Mosquitto.start());
      const program = cli.start(["pub", ...at(other.port), "-t", "a", "-q", "1", "-l", ...args]);
      program.process.stdin.write("one\n");
      await other.logged("Sending PUBACK");
      await other.stop("SIGKILL");
      await program.ended();
      expect(program.code).toBe(1);
      expect(program.stderr).toMatch(/mcu-mqtt: the (broker cannot be reached|connection was lost)\n$/);
    });

    it("does not hold up a signal", async () => {
      const program = cli.start(["sub", ...at(1), "-t", "a", "--reconnect", "5", "--reconnect-delay", "1000"]);
      await program.said("tries again in");
      program.process.kill("SIGTERM");
      await program.ended();
      expect(program.code).toBe(1);
      expect(program.stderr).toMatch(/mcu-mqtt: interrupted\n$/);
    });
  });

  it("ends in time when the broker does not answer", async () => {
    const silent = createServer(() => undefined);
    await listening(silent);
    const program = await cli.run(["pub", ...at(portOf(silent)), ...HELLO, "-W", "2"]);
    expect(program.lines).toEqual(["Client ID sent CONNECT", "mcu-mqtt: the time of --timeout, 2 s, is over"]);
    expect(program.code).toBe(27);
    silent.close();
  });

  describe("--debug", () => {
    it.each([
      ["v3.1.1", [
        "sent CONNECT (MQTT 3.1.1, CleanSession=1, KeepAlive=300, ",
        "received CONNACK (ReturnCode=0, SessionPresent=0)\n",
        "received PUBACK (PacketId=1)\n",
        "sent DISCONNECT\n",
      ]],
      ["v5", [
        "sent CONNECT (MQTT 5, CleanStart=1, KeepAlive=300, ",
        "received CONNACK (ReturnCode=0, SessionPresent=0, ",
        "received PUBACK (PacketId=1, ReasonCode=16)\n",
        "sent DISCONNECT (ReasonCode=0)\n",
      ]],
    ])("shows all packets of %s, and no secrets", async (version, expected) => {
      const login = ["-u", "user", "-P", "password", "-C", "traced", "--will-topic", "w", "--will-payload", SECRET];
      const args = ["-t", "hello", "-m", SECRET, "-q", "1", "--debug", "-V", version];
      const program = await cli.run(["pub", ...at(broker.passwordPort), ...args, ...login]);
      expect(program.code).toBe(0);
      expect(program.stderr).toContain("Client traced opening 127.0.0.1:");
      for (const line of expected) expect(program.stderr).toContain(`Client traced ${line}`);
      expect(program.stderr).not.toContain(SECRET);
      expect(program.stderr).not.toMatch(/Username=user|Password=password/);
    });

    it("shows that no more are under way than --max-inflight says", async () => {
      const args = ["-t", "a", "-m", "x", "-q", "1", "--repeat", "6", "--debug"];
      for (const [limit, expected] of [["1", 1], ["3", 3]] as const) {
        const program = await cli.run(["pub", ...at(), ...args, "--max-inflight", limit]);
        let waiting = 0;
        let most = 0;
        for (const line of program.lines) {
          if (line.includes("sent PUBLISH")) most = Math.max(most, ++waiting);
          if (line.includes("received PUBACK")) waiting--;
        }
        expect(most).toBe(expected);
      }
    });
  });
});

async function listening(server: Server): Promise<void> {
  server.listen(0, HOST);
  await once(server, "listening");
}

function portOf(server: Server): number {
  return (server.address() as AddressInfo).port;
}
