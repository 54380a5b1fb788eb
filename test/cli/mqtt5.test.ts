/** The command line with MQTT 5: beside mosquitto's, and with brokers that say what mosquitto does not. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { AedesBroker } from "../support/aedes.js";
import { HOST, PASSWORD, USERNAME } from "../support/broker.js";
import { Cli } from "../support/cli.js";
import type { Program } from "../support/cli.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Relay } from "../support/relay.js";
import { ScramServer } from "../support/scram-server.js";

jest.setTimeout(60000);

const CONNECT = 1;
const PUBLISH = 3;
const SUBSCRIBE = 8;
const DISCONNECT = 14;
const AUTH = 15;

/** A packet of a client: its type, and its bytes behind the header. */
interface Received {
  type: number;
  body: Buffer;
}

/** A string or binary data with its length, or one byte. */
function field(value: string | Uint8Array | number): Buffer {
  if (typeof value === "number") return Buffer.from([value]);
  const bytes = Buffer.from(value);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
}

/** A packet of less than 16384 bytes. */
function packet(first: number, ...parts: (number | Uint8Array)[]): Buffer {
  const body = Buffer.concat(parts.map((part) => (typeof part === "number" ? Buffer.from([part]) : part)));
  return Buffer.concat([Buffer.from([first, (body.length & 127) | 128, body.length >> 7]), body]);
}

/** Properties, with their length in front; each an identifier and its value. */
function properties(...list: [id: number, value: string | Uint8Array | number][]): Buffer {
  const bytes = Buffer.concat(list.flatMap(([id, value]) => [Buffer.from([id]), field(value)]));
  return Buffer.concat([Buffer.from([bytes.length]), bytes]);
}

const REASON_STRING = 31;
const SERVER_REFERENCE = 28;
const CONNACK = packet(0x20, 0, 0, properties());

needs("mosquitto", "mosquitto_pub", "mosquitto_sub")("mcu-mqtt with MQTT 5", () => {
  let cli: Cli;
  let broker: Mosquitto;
  const servers: Server[] = [];
  const begun: { dispose(): Promise<void> }[] = [];

  beforeAll(async () => {
    [cli, broker] = await Promise.all([Cli.build(), Mosquitto.start()]);
  }, 60000);
  afterEach(async () => {
    cli.end();
    for (const server of servers.splice(0)) server.close();
    await Promise.all(begun.splice(0).map((each) => each.dispose()));
  });
  afterAll(async () => {
    cli.dispose();
    await broker.dispose();
  });

  function at(port = broker.port): string[] {
    return ["-h", HOST, "-p", String(port)];
  }

  /** Starts `mcu-mqtt sub`, and resolves when it is subscribed. */
  async function sub(...args: string[]): Promise<Program> {
    const program = cli.start(["sub", ...at(), ...args]);
    await program.said("subscribed to");
    return program;
  }

  /** Subscribes, and ends `mcu-mqtt sub` then. */
  async function subscribeOnce(...args: string[]): Promise<void> {
    const program = await sub(...args);
    program.process.kill("SIGTERM");
    await program.ended();
    expect(program.code).toBe(0);
  }

  /** What `mcu-mqtt sub` has, once it is subscribed, up to and with a message to `topic` that is published then. */
  async function comesBefore(last: string, topic: string, ...args: string[]): Promise<string> {
    const program = await sub("-t", topic, ...args);
    await mosquittoPub("-t", topic, "-m", last, "-q", "1");
    await program.until(() => program.stdout.toString().endsWith(`${last}\n`), last);
    program.process.kill("SIGTERM");
    await program.ended();
    return program.stdout.toString();
  }

  /** Starts `mosquitto_sub`, and resolves when it is subscribed. */
  async function mosquittoSub(topic: string, ...args: string[]): Promise<Program> {
    const id = `watcher-${Math.random()}`;
    const program = cli.startProgram("mosquitto_sub", [...at(), "-V", "5", "-i", id, "-t", topic, ...args]);
    await broker.logged(`Sending SUBACK to ${id}`);
    return program;
  }

  async function mosquittoPub(...args: string[]): Promise<void> {
    const program = cli.startProgram("mosquitto_pub", [...at(), "-V", "5", ...args]);
    await program.ended();
    expect(program.code).toBe(0);
  }

  /** A broker that answers each packet of a client. Returns its port. */
  async function scripted(answer: (packet: Received, socket: Socket) => Buffer | undefined): Promise<number> {
    const server = createServer((socket) => {
      let bytes = Buffer.alloc(0);
      socket.on("error", () => undefined);
      socket.on("data", (chunk) => {
        bytes = Buffer.concat([bytes, chunk]);
        for (;;) {
          let [length, at, byte] = [0, 1, 128];
          while (byte > 127 && at < bytes.length) {
            byte = bytes[at++];
            length += (byte & 127) * 128 ** (at - 2);
          }
          if (byte > 127 || bytes.length < at + length) return;
          const received = { type: bytes[0] >> 4, body: bytes.subarray(at, at + length) };
          bytes = bytes.subarray(at + length);
          const reply = answer(received, socket);
          if (reply !== undefined) socket.write(reply);
        }
      });
    });
    servers.push(server);
    await once(server.listen(0, HOST), "listening");
    return (server.address() as AddressInfo).port;
  }

  it("is the version that is spoken unless it is told otherwise", async () => {
    const versions = [[[], "p5"], [["-V", "v5"], "p5"], [["-V", "v3.1.1"], "p2"], [["-V", "v3.1"], "p1"]] as const;
    for (const [args, version] of versions) {
      const id = `version-${Math.random()}`;
      const program = await cli.run(["pub", ...at(), "-t", "hello", "-m", "hello world", ...args, "-C", id]);
      expect(program.result).toEqual({
        code: 0,
        stdout: "",
        stderr: `Client ${id} sent CONNECT\n` +
          `Client ${id} sent PUBLISH (Q0, R0, D0, Topic=hello, Payload=...(11 bytes))\nClient ${id} sent DISCONNECT\n`,
      });
      await broker.logged(`as ${id} (${version}, c1, k300).`);
    }
  });

  describe("properties", () => {
    const OF_MESSAGE = [
      ["content-type", "text/plain; ä"],
      ["response-topic", "answers/1"],
      ["correlation-data", "no. 7"],
      ["message-expiry-interval", "1000"],
      ["payload-format-indicator", "1"],
      ["user-property", "name one", "value: =1"],
      ["user-property", "-D", ""],
    ];
    const FORMAT = "%t|%C|%R|%D|%E|%F|%P|%S|%A|%p";
    const EXPECTED = "p/1|text/plain; ä|answers/1|no. 7|1000|1|name one:value: =1 -D:|";

    it.each(["0", "1", "2"])("of a message go out with it, at QoS %s", async (qos) => {
      const watcher = await mosquittoSub("p/#", "-F", FORMAT, "-C", "1", "-q", "2");
      const args = OF_MESSAGE.flatMap((each) => ["-D", "publish", ...each]);
      const program = await cli.run(["pub", ...at(), "-t", "p/1", "-m", "x", "-q", qos, ...args]);
      await watcher.ended();
      expect(watcher.stdout.toString()).toBe(`${EXPECTED}||x\n`);
      expect(program.code).toBe(0);
    });

    it("of a message may be long: no more messages wait than there is room for", async () => {
      const long = ["-D", "publish", "user-property", "long", "x".repeat(60000)];
      const args = [...Array(10).fill(long).flat() as string[], "--repeat", "40", "--quiet"];
      const program = await cli.run(["pub", ...at(), "-t", "long", "-m", "x", "-q", "1", ...args]);
      expect(program.stderr.toString()).toBe("");
      expect(program.code).toBe(0);
    });

    it("of a message are written as mosquitto_sub writes them, with the identifier of the subscription", async () => {
      const identifier = ["-D", "subscribe", "subscription-identifier", "300"];
      const format = ["-F", FORMAT, "-q", "1"];
      const [ours, theirs] = [await sub("-t", "p/#", ...format, ...identifier),
        await mosquittoSub("p/#", ...format, ...identifier)];
      const args = OF_MESSAGE.flatMap((each) => ["-D", "publish", ...each]);
      await mosquittoPub("-t", "p/1", "-m", "x", "-q", "1", ...args);
      await mosquittoPub("-t", "p/2", "-m", "end");
      const expected = `${EXPECTED}300||x\np/2|||||||300||end\n`;
      await Promise.all([ours.wrote(Buffer.byteLength(expected)), theirs.wrote(Buffer.byteLength(expected))]);
      expect(ours.stdout.toString()).toBe(expected);
      expect(theirs.stdout.toString()).toBe(expected);
    });

    it("of a message are in its JSON", async () => {
      const program = await sub("-t", "p/#", "--json", "--count", "2");
      await mosquittoPub("-t", "p/1", "-m", "x", ...OF_MESSAGE.flatMap((each) => ["-D", "publish", ...each]));
      await mosquittoPub("-t", "p/2", "-m", "y");
      await program.ended();
      const [first, second] = program.stdout.toString().trim().split("\n").map((line) => JSON.parse(line) as object);
      expect(first).toMatchObject({
        topic: "p/1",
        payload: "x",
        properties: {
          contentType: "text/plain; ä",
          responseTopic: "answers/1",
          correlationData: "no. 7",
          messageExpiryInterval: 1000,
          payloadFormatIndicator: 1,
          userProperty: [["name one", "value: =1"], ["-D", ""]],
        },
      });
      expect(second).not.toHaveProperty("properties");
    });

    it("of the will go with it, and delay it", async () => {
      const watcher = await mosquittoSub("w", "-F", "%U %C %P %p", "-C", "1");
      const will = ["--will-topic", "w", "--will-payload", "gone", "-D", "will", "content-type", "text/plain",
        "-D", "will", "user-property", "a", "b", "-D", "will", "will-delay-interval", "2"];
      const program = cli.start(["connect", ...at(), "-C", "delayed", "--session-expiry", "60", ...will]);
      await program.said("is connected");
      program.process.kill("SIGKILL");
      const killedMs = Date.now();
      await watcher.ended();
      const [time, ...rest] = watcher.stdout.toString().trim().split(" ");
      expect(rest).toEqual(["text/plain", "a:b", "gone"]);
      // The broker counts whole seconds.
      expect(Number(time) * 1000 - killedMs).toBeGreaterThan(900);
    });

    it("of CONNECT, SUBSCRIBE and DISCONNECT reach the broker", async () => {
      const received: Received[] = [];
      const port = await scripted((each) => {
        received.push(each);
        if (each.type === CONNECT) return CONNACK;
        if (each.type !== SUBSCRIBE) return undefined;
        // SUBACK, and a message that ends the command.
        return Buffer.concat([packet(0x90, each.body.subarray(0, 2), properties(), 0),
          packet(0x30, field("t"), properties(), Buffer.from("x"))]);
      });
      const program = await cli.run([
        "sub", ...at(port), "-t", "t", "--count", "1", "--persistent", "-C", "id",
        "-D", "connect", "request-response-information", "1", "-D", "connect", "receive-maximum", "7",
        "-D", "connect", "topic-alias-maximum", "258", "-D", "connect", "session-expiry-interval", "3600",
        "-D", "connect", "user-property", "connect", "1",
        "-D", "subscribe", "user-property", "subscribe", "2",
        "-D", "disconnect", "reason-string", "enough", "-D", "disconnect", "session-expiry-interval", "60",
        "-D", "disconnect", "user-property", "disconnect", "3",
      ]);
      expect(program.code).toBe(0);
      const hex = (type: number): string => received.find((each) => each.type === type)!.body.toString("hex");
      const inHex = (bytes: Buffer): string => bytes.toString("hex");
      const pair = (name: string, value: string): string => {
        return inHex(Buffer.concat([field(38), field(name), field(value)]));
      };
      for (const expected of ["1901", "210007", "220102", "1100000e10", pair("connect", "1")]) {
        expect(hex(CONNECT)).toContain(expected);
      }
      expect(hex(SUBSCRIBE)).toContain(pair("subscribe", "2"));
      for (const expected of [inHex(field("enough")), "110000003c", pair("disconnect", "3")]) {
        expect(hex(DISCONNECT)).toContain(expected);
      }
    });
  });

  describe("a subscription", () => {
    it("may have retained messages or not, and as they were published", async () => {
      await mosquittoPub("-t", "r/1", "-m", "old", "-r");
      const all = await sub("-t", "r/#", "-F", "%p %r", "--count", "2");
      const none = await sub("-t", "r/#", "-F", "%p %r", "--count", "1", "--retain-handling", "2");
      const marked = await sub("-t", "r/#", "-F", "%p %r", "--count", "1", "--retain-handling", "2",
        "--retain-as-publish");
      await mosquittoPub("-t", "r/1", "-m", "new", "-r");
      await Promise.all([all.ended(), none.ended(), marked.ended()]);
      expect(all.stdout.toString()).toBe("old 1\nnew 0\n");
      expect(none.stdout.toString()).toBe("new 0\n");
      expect(marked.stdout.toString()).toBe("new 1\n");
      await mosquittoPub("-t", "r/1", "-n", "-r");
    });

    it("may have retained messages the first time only", async () => {
      await mosquittoPub("-t", "once", "-m", "old", "-r");
      const args = ["-C", "once", "--persistent", "--retain-handling", "1"];
      expect(await comesBefore("one", "once", ...args)).toBe("old\none\n");
      expect(await comesBefore("two", "once", ...args)).toBe("two\n");
      await mosquittoPub("-t", "once", "-n", "-r");
    });

    it("may be without what the client itself publishes", async () => {
      const received: Received[] = [];
      const port = await scripted((each) => {
        received.push(each);
        if (each.type === CONNECT) return CONNACK;
        return each.type === SUBSCRIBE ? packet(0x90, each.body.subarray(0, 2), properties(), 1) : undefined;
      });
      const program = cli.start(["sub", ...at(port), "-t", "t", "-q", "1", "--no-local", "--retain-handling", "1"]);
      await program.said("subscribed to t");
      // QoS 1, No Local, Retain Handling 1.
      expect(received[1].body.at(-1)).toBe(1 | 4 | 16);
    });

    it("keeps its options when it is made again on another connection", async () => {
      await mosquittoPub("-t", "again", "-m", "old", "-r");
      const relay = await Relay.start(broker.port);
      begun.push(relay);
      const program = cli.start(["sub", ...at(relay.port), "-t", "again", "-F", "%p %r", "--retain-handling", "2",
        "--retain-as-publish", "--reconnect", "3", "--reconnect-delay", "0.1", "--count", "1"]);
      await program.said("subscribed to again");
      relay.connections[0].cut();
      await program.until(() => program.stderr.split("subscribed to again").length === 3, "subscribed again");
      await mosquittoPub("-t", "again", "-m", "new", "-r");
      await program.ended();
      expect(program.stdout.toString()).toBe("new 1\n");
      await mosquittoPub("-t", "again", "-n", "-r");
    });

    it("may be shared", async () => {
      const program = await sub("-t", "$share/group/s", "--count", "1");
      await mosquittoPub("-t", "s", "-m", "x");
      await program.ended();
      expect(program.stdout.toString()).toBe("x\n");
    });
  });

  describe("a session", () => {
    it("is kept as long as it is said, and begins anew unless it is persistent", async () => {
      const args = ["-q", "1", "-C", "kept"];
      await subscribeOnce("-t", "kept", ...args, "--session-expiry", "100");
      await mosquittoPub("-t", "kept", "-m", "one", "-q", "1");
      const found = await comesBefore("end", "kept", ...args, "--persistent", "--session-expiry", "100");
      expect(found).toBe("one\nend\n");
      await mosquittoPub("-t", "kept", "-m", "two", "-q", "1");
      expect(await comesBefore("end", "kept", ...args, "--session-expiry", "100")).toBe("end\n");
      await subscribeOnce("-t", "kept", ...args, "--persistent", "--session-expiry", "0");
      await mosquittoPub("-t", "kept", "-m", "three", "-q", "1");
      expect(await comesBefore("end", "kept", ...args, "--persistent")).toBe("end\n");
    });

    it("has each message of pub once at QoS 2, also over connections that are lost", async () => {
      const relay = await Relay.start(broker.port);
      begun.push(relay);
      // With 3.1.1: mosquitto 2.0.11 sends more than the Receive Maximum of its own `mosquitto_sub`, which then ends.
      const watcher = await mosquittoSub("lines", "-q", "2", "-V", "mqttv311");
      const again = ["--session-expiry", "60", "--reconnect", "5", "--reconnect-delay", "0.05"];
      const program = cli.start(["pub", ...at(relay.port), "-t", "lines", "-q", "2", "-l", ...again]);
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
      expect(watcher.stdout.toString()).toBe(lines.join(""));
    });

    it("has the client identifier that the broker has chosen, if it was to", async () => {
      const program = cli.start(["connect", ...at(), "-C", ""]);
      await program.said("is connected\n");
      const [, id] = /Client (\S+) is connected/.exec(program.stderr)!;
      await broker.logged(`as ${id} (p5`);
    });
  });

  describe("says why", () => {
    it("the broker refuses to connect, and ends with the code", async () => {
      const args = ["-t", "a", "-m", "x", "-u", "me", "-P", "hunter2", "--reconnect", "3"];
      const program = await cli.run(["pub", ...at(broker.passwordPort), ...args]);
      expect(program.code).toBe(0x87);
      const where = `cannot connect to ${HOST}, port ${broker.passwordPort}`;
      expect(program.lines).toEqual(["Client ID sent CONNECT", `mcu-mqtt: ${where}: refused: Not authorized (0x87)`]);
      const said = properties([REASON_STRING, "go\naway"], [SERVER_REFERENCE, "other.example:1883"]);
      const port = await scripted(() => packet(0x20, 0, 0x9d, said));
      const moved = await cli.run(["connect", ...at(port)]);
      expect(moved.code).toBe(0x9d);
      expect(moved.stderr).toContain("refused: Server moved (0x9D): go away; it refers to other.example:1883\n");
    });

    it("a message is refused", async () => {
      const port = await scripted(({ type, body }) => {
        if (type === CONNECT) return CONNACK;
        if (type !== PUBLISH) return undefined;
        const id = body.subarray(3, 5);
        return packet(0x40, id, 0x97, properties([REASON_STRING, "no more today"]));
      });
      const program = await cli.run(["pub", ...at(port), "-t", "t", "-m", "x", "-q", "1"]);
      expect(program.code).toBe(1);
      expect(program.lines.slice(2)).toEqual([
        "Client ID sent DISCONNECT",
        'mcu-mqtt: the broker refused the message to "t": Quota exceeded (0x97): no more today',
      ]);
    });

    it.each([
      ["-r", 37, "Retain not supported (0x9A)"],
      ["-q1", 36, "QoS not supported (0x9B)"],
    ])("a message is beyond what the broker takes: %s", async (option, id, expected) => {
      const connack = packet(0x20, 0, 0, properties([id, 0]));
      const port = await scripted(({ type }) => (type === CONNECT ? connack : undefined));
      const program = await cli.run(["pub", ...at(port), "-t", "t", "-m", "x", option]);
      expect(program.code).toBe(1);
      expect(program.lines).toEqual([
        "Client ID sent CONNECT",
        "Client ID sent DISCONNECT",
        `mcu-mqtt: the broker refused the message to "t": ${expected}`,
      ]);
    });

    it("a subscription is refused", async () => {
      const port = await scripted(({ type, body }) => {
        if (type === CONNECT) return CONNACK;
        if (type !== SUBSCRIBE) return undefined;
        return packet(0x90, body.subarray(0, 2), properties([REASON_STRING, "members only"]), 0x87, 0x9e);
      });
      const program = await cli.run(["sub", ...at(port), "-t", "a", "-t", "$share/b/c"]);
      expect(program.code).toBe(1);
      expect(program.lines.slice(1)).toEqual([
        'mcu-mqtt: the broker refused the subscription to "a": Not authorized (0x87): members only',
        'mcu-mqtt: the broker refused the subscription to "$share/b/c": ' +
          "Shared Subscriptions not supported (0x9E): members only",
        "Client ID sent DISCONNECT",
      ]);
    });

    it("nobody gets a message", async () => {
      const args = ["-t", "nobody", "-t", "no-one", "-m", "x", "--repeat", "3"];
      const program = await cli.run(["pub", ...at(), ...args, "-q", "1"]);
      expect(program.code).toBe(0);
      // Once for each topic.
      const said = program.lines.filter((line) => line.includes("nobody has subscribed"));
      expect(said).toEqual(["nobody", "no-one"].map((topic) => {
        return `Client ID published to ${topic}, to which nobody has subscribed`;
      }));
    });

    it.each([["connect", []], ["sub", ["-t", "a"]], ["pub", ["-t", "a", "-l", "-q", "1"]]])(
      "the broker has ended the connection of %s, with what it says beside, and tries again", async (command, args) => {
        const said = properties([REASON_STRING, "maintenance"], [SERVER_REFERENCE, "b.example c.example"]);
        const farewell = "the broker disconnected: Use another server (0x9C): maintenance; " +
          "it refers to b.example c.example";
        const port = await scripted(({ type }, socket) => {
          if (type !== CONNECT) return undefined;
          setTimeout(() => socket.end(packet(0xe0, 0x9c, said)), 100);
          return CONNACK;
        });
        const again = ["--reconnect", "1", "--reconnect-delay", "0.01"];
        const program = cli.start([command, ...at(port), ...args, ...again]);
        await program.said(`s: ${farewell}\n`);
        program.process.kill("SIGKILL");
        const once = await cli.run([command, ...at(port), ...args], "x\n");
        expect(once.code).toBe(1);
        expect(once.lines.at(-1)).toBe(`mcu-mqtt: ${farewell}`);
      });
  });

  it("says of a later attempt to connect what became of that", async () => {
    const port = await scripted(({ type }, socket) => {
      if (type !== CONNECT) return undefined;
      servers.splice(0).forEach((server) => server.close());
      setTimeout(() => socket.end(packet(0xe0, 0x8b, properties())), 100);
      return CONNACK;
    });
    const program = await cli.run(["connect", ...at(port), "--reconnect", "1", "--reconnect-delay", "0.01"]);
    expect(program.stderr).toContain("s: the broker disconnected: Server shutting down (0x8B)\n");
    expect(program.lines.at(-1)).toMatch(/^mcu-mqtt: the broker cannot be reached/);
    expect(program.code).toBe(1);
  });

  it("says how the broker has broken the protocol", async () => {
    const port = await scripted(({ type, body }) => {
      if (type === CONNECT) return CONNACK;
      return type === SUBSCRIBE ? packet(0x90, body.subarray(0, 2), properties(), 0, 0) : undefined;
    });
    const sub = await cli.run(["sub", ...at(port), "-t", "t", "--quiet"]);
    expect(sub.lines).toEqual(["mcu-mqtt: the broker broke the protocol: Protocol Error (0x82)"]);
    expect(sub.code).toBe(1);
  });

  describe("a broker that does not speak it", () => {
    const HINT = "the broker does not speak MQTT 5: use -V v3.1.1\n";

    it.each([
      ["refuses in the words of MQTT 3.1.1", Buffer.from([0x20, 2, 0, 1]), 1, HINT],
      ["refuses in those words, for another reason", Buffer.from([0x20, 2, 0, 5]), 1, HINT],
      ["accepts in those words", Buffer.from([0x20, 2, 0, 0]), 1, HINT],
      ["refuses in its own", packet(0x20, 0, 0x84, properties()), 0x84,
        "Unsupported Protocol Version (0x84): use -V v3.1.1\n"],
    ])("is said to be one, when it %s", async (_title, connack, code, expected) => {
      for (const options of [[], ["--quiet"], ["--reconnect", "5"]]) {
        let connections = 0;
        const port = await scripted(({ type }, socket) => {
          if (type !== CONNECT) return undefined;
          connections++;
          socket.end(connack);
          return undefined;
        });
        const program = await cli.run(["pub", ...at(port), "-t", "t", "-m", "x", ...options]);
        expect(program.code).toBe(code);
        expect(program.stderr).toContain(`mcu-mqtt: cannot connect to ${HOST}, port ${port}: refused: ${expected}`);
        expect(connections).toBe(1);
      }
    });

    it("may be one that ends the connection without an answer", async () => {
      const port = await scripted((_, socket) => {
        socket.end();
        return undefined;
      });
      const program = await cli.run(["pub", ...at(port), "-t", "t", "-m", "x"]);
      const where = `cannot connect to ${HOST}, port ${port}`;
      const why = "the broker did not answer CONNECT, but ended the connection: if it does not speak MQTT 5, ";
      expect(program.lines).toEqual(["Client ID sent CONNECT", `mcu-mqtt: ${where}: ${why}use -V v3.1.1`]);
      expect(program.code).toBe(1);
      const old = await cli.run(["pub", ...at(port), "-t", "t", "-m", "x", "-V", "v3.1.1"]);
      expect(old.stderr).not.toContain("MQTT 5");
    });

    it("is spoken to in MQTT 3.1.1", async () => {
      const aedes = await AedesBroker.start();
      begun.push(aedes);
      const refused = await cli.run(["pub", ...at(aedes.port), "-t", "t", "-m", "x"]);
      expect(refused.stderr).toContain(HINT);
      const program = await cli.run(["pub", ...at(aedes.port), "-t", "t", "-m", "x", "-V", "v3.1.1", "-q", "1"]);
      expect(program.code).toBe(0);
    });
  });

  describe("enhanced authentication", () => {
    /** A broker with SCRAM. `packets`: what its clients have sent. */
    async function scramBroker(server: ScramServer, packets: Buffer[]): Promise<number> {
      let answer = server.begin();
      return scripted(({ type, body }) => {
        packets.push(body);
        if (type !== CONNECT && type !== AUTH) return undefined;
        if (type === CONNECT) answer = server.begin();
        // Authentication Data has the identifier 22, and is behind the method.
        const at = body.indexOf(Buffer.concat([field(server.method), field(22)])) + 2 + server.method.length + 1;
        const data = body.subarray(at + 2, at + 2 + body.readUInt16BE(at));
        const reply = answer(data);
        const own: [number, string | Uint8Array][] = [[21, server.method]];
        if (reply.data !== undefined) own.push([22, reply.data]);
        if (reply.reasonString !== undefined) own.push([REASON_STRING, reply.reasonString]);
        const said = Buffer.concat(own.flatMap(([id, value]) => [field(id), field(value)]));
        const length = Buffer.from([(said.length & 127) | 128, said.length >> 7]);
        if (reply.reasonCode === 0x18) return packet(0xf0, 0x18, length, said);
        return packet(0x20, 0, reply.reasonCode, length, said);
      });
    }

    it.each(["SHA-1", "SHA-256", "SHA-512"] as const)("is by SCRAM-%s, and sends no password", async (hash) => {
      const packets: Buffer[] = [];
      const port = await scramBroker(new ScramServer({ users: { [USERNAME]: PASSWORD }, hash }), packets);
      const login = ["-u", USERNAME, "-P", PASSWORD, "--auth-method", `SCRAM-${hash}`];
      const program = await cli.run(["pub", ...at(port), "-t", "t", "-m", "x", ...login]);
      expect(program.result.stderr).not.toContain("mcu-mqtt:");
      expect(program.code).toBe(0);
      expect(Buffer.concat(packets).includes(PASSWORD)).toBe(false);
      expect(packets).toHaveLength(4);
    });

    it("fails when the broker does not know the method", async () => {
      const program = await cli.run(["connect", ...at(), "-u", "me", "-P", "x", "--auth-method", "SCRAM-SHA-256"]);
      expect(program.code).toBe(0x8c);
      expect(program.lines.at(-1)).toContain("refused: Bad authentication method (0x8C)");
    });

    it("fails when the password is wrong, or the broker does not know it", async () => {
      const args = ["-t", "t", "-m", "x", "-u", USERNAME, "-P", PASSWORD, "--auth-method", "SCRAM-SHA-256"];
      const other = await scramBroker(new ScramServer({ users: { [USERNAME]: "other" } }), []);
      const refused = await cli.run(["pub", ...at(other), ...args]);
      expect(refused.code).toBe(0x87);
      expect(refused.stderr).toContain("refused: Not authorized (0x87): invalid-proof\n");
      const liar = await scramBroker(new ScramServer({ users: { [USERNAME]: PASSWORD }, forgesProof: true }), []);
      const mistrusted = await cli.run(["pub", ...at(liar), ...args, "--reconnect", "1", "--reconnect-delay", "0.01"]);
      expect(mistrusted.code).toBe(1);
      expect(mistrusted.stderr).toContain("SCRAM: the server's proof is wrong: it does not know the user");
      expect(mistrusted.stderr).not.toContain("sent PUBLISH");
    });
  });
});
