/** The command line beside mosquitto's: what one publishes, the other receives; and every option at work. */
import { once } from "node:events";
import { existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { FORBIDDEN, HOST, PASSWORD, USERNAME } from "../support/broker.js";
import { Cli } from "../support/cli.js";
import type { Program } from "../support/cli.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";

jest.setTimeout(60000);

/** Each byte there is, and more of those that are often treated otherwise. */
const EACH = Buffer.from(Array.from({ length: 256 }, (_, i) => i));
const BINARY = Buffer.concat([EACH, Buffer.from("\n\r\n\0\xff", "latin1")]);

/** Memory of a program beyond that of Node with nothing to do. */
function residentBytes(program: Program): number {
  const path = `/proc/${program.process.pid!}/status`;
  const pages = existsSync(path) ? /VmRSS:\s*(\d+) kB/.exec(readFileSync(path, "utf8")) : null;
  return pages === null ? 0 : Number(pages[1]) * 1024 - 60_000_000;
}

needs("mosquitto", "mosquitto_pub", "mosquitto_sub")("mcu-mqtt", () => {
  let cli: Cli;
  let broker: Mosquitto;

  beforeAll(async () => {
    [cli, broker] = await Promise.all([Cli.build(), Mosquitto.start()]);
    writeFileSync(join(cli.folder, "binary"), BINARY);
    writeFileSync(join(cli.folder, "password"), `${PASSWORD}\n`);
  }, 60000);
  afterEach(() => cli.end());
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

  /** Starts `mosquitto_sub`, and resolves when it is subscribed. */
  async function mosquittoSub(topic: string, ...args: string[]): Promise<Program> {
    const id = `watcher-${Math.random()}`;
    const program = cli.startProgram("mosquitto_sub", [...at(), "-i", id, "-t", topic, ...args]);
    await broker.logged(`Sending SUBACK to ${id}`);
    return program;
  }

  async function mosquittoPub(args: string[], input: string | Uint8Array = ""): Promise<void> {
    const program = cli.startProgram("mosquitto_pub", [...at(), ...args]);
    program.process.stdin.end(input);
    await program.ended();
    expect(program.result).toEqual({ code: 0, stdout: "", stderr: "" });
  }

  function pub(args: string[], input: string | Uint8Array = "", env = {}): Promise<Program> {
    return cli.run(["pub", ...at(), ...args], input, env);
  }

  describe("pub", () => {
    it("publishes, and says so on standard error alone", async () => {
      const watcher = await mosquittoSub("hello", "-C", "1");
      const program = await pub(["-t", "hello", "--payload", "hello world"]);
      await watcher.ended();
      expect(watcher.stdout.toString()).toBe("hello world\n");
      expect(program.code).toBe(0);
      expect(program.stdout).toHaveLength(0);
      const id = /^Client (mcu-mqtt-\S+-[0-9a-f]{20}) /.exec(program.stderr)![1];
      expect(program.stderr).toBe(
        `Client ${id} sent CONNECT\n` +
          `Client ${id} sent PUBLISH (Q0, R0, D0, Topic=hello, Payload=...(11 bytes))\n` +
          `Client ${id} sent DISCONNECT\n`,
      );
      // Of version 5, a clean start, 300 seconds.
      await broker.logged(`as ${id} (p5, c1, k300).`);
      await broker.logged(`Client ${id} disconnected.`);
    });

    it.each([
      ["an option", ["--payload", "ä\nb"], "", Buffer.from("ä\nb")],
      ["nothing", ["--payload", ""], "", Buffer.alloc(0)],
      ["a file", ["--file", "binary"], "", BINARY],
      ["standard input", ["--stdin"], BINARY, BINARY],
      ["hexadecimal digits", ["--hex", BINARY.toString("hex")], "", BINARY],
      ["base64", ["--base64", BINARY.toString("base64")], "", BINARY],
    ])("takes its payload from %s, byte for byte", async (_title, args, input, expected) => {
      for (const qos of ["0", "1", "2"]) {
        const watcher = await mosquittoSub("p", "-C", "1", "-N", "-q", "2");
        const program = await pub(["-t", "p", "-q", qos, ...args], input);
        await watcher.ended();
        expect(program.code).toBe(0);
        expect(watcher.stdout.equals(expected)).toBe(true);
      }
    });

    it("publishes each line of standard input, and ends when all are acknowledged", async () => {
      const watcher = await mosquittoSub("p", "-C", "3", "-F", "%x %q", "-q", "2");
      const program = await pub(["-t", "p", "-q", "2", "--stdin-lines"], Buffer.from("\xff\0\n\nend", "latin1"));
      await watcher.ended();
      expect(watcher.stdout.toString()).toBe("ff00 2\n 2\n656e64 2\n");
      expect(program.lines).toEqual([
        "Client ID sent CONNECT",
        "Client ID sent PUBLISH (Q2, R0, D0, Topic=p, PacketId=1, Payload=...(2 bytes))",
        "Client ID sent PUBLISH (Q2, R0, D0, Topic=p, PacketId=2, Payload=...(0 bytes))",
        "Client ID sent PUBLISH (Q2, R0, D0, Topic=p, PacketId=3, Payload=...(3 bytes))",
        "Client ID sent DISCONNECT",
      ]);
      expect(program.code).toBe(0);
    });

    it("publishes a line as soon as it is there", async () => {
      const watcher = await mosquittoSub("p", "-C", "1");
      const program = cli.start(["pub", ...at(), "-t", "p", "-l"]);
      program.process.stdin.write("first\nsec");
      await watcher.ended();
      expect(watcher.stdout.toString()).toBe("first\n");
      expect(program.code).toBeUndefined();
      program.process.stdin.end();
      await program.ended();
      expect(program.lines[2]).toContain("(3 bytes)");
    });

    it("publishes again and again, at once or with pauses, to several topics", async () => {
      const watcher = await mosquittoSub("r/#", "-C", "6", "-F", "%t %U");
      const paused = ["--repeat", "3", "--repeat-delay", "0.5"];
      const startMs = performance.now();
      const program = await pub(["-t", "r/a", "-t", "r/b", "-m", "x", "-q", "1", ...paused]);
      expect(performance.now() - startMs).toBeGreaterThan(2 * 500);
      await watcher.ended();
      expect(program.code).toBe(0);
      const lines = watcher.stdout.toString().trim().split("\n").map((line) => line.split(" "));
      expect(lines.map(([topic]) => topic)).toEqual(["r/a", "r/b", "r/a", "r/b", "r/a", "r/b"]);
      // A busy machine may hand over the message before a pause later than the one behind it.
      expect(Number(lines[2][1]) - Number(lines[1][1])).toBeGreaterThan(0.25);
      expect(Number(lines[4][1]) - Number(lines[3][1])).toBeGreaterThan(0.25);
      const count = 5000;
      const many = await mosquittoSub("m", "-C", String(count), "-F", "%p");
      expect((await pub(["-t", "m", "-m", "x", "--repeat", String(count), "-q", "1", "--quiet"])).stderr).toBe("");
      await many.ended();
      expect(many.stdout).toHaveLength(2 * count);
    });

    it("retains", async () => {
      for (const [flag, expected] of [["-r", "kept 1\n"], ["--retain=false", "kept 1\n"]]) {
        await pub(["-t", "retained", "-m", flag === "-r" ? "kept" : "gone", flag]);
        const watcher = cli.startProgram("mosquitto_sub", [...at(), "-t", "retained", "-C", "1", "-F", "%p %r"]);
        await watcher.ended();
        expect(watcher.stdout.toString()).toBe(expected);
      }
      expect((await pub(["-t", "retained", "-m", "", "-r"])).stderr).toContain("(Q0, R1, D0, Topic=retained, ");
    });

    it("takes a message of many megabytes", async () => {
      const payload = Buffer.alloc(20_000_000, "0123456789abcdef\n");
      const watcher = await mosquittoSub("large", "-C", "1", "-N", "-q", "1");
      const program = await pub(["-t", "large", "-s", "-q", "1"], payload);
      await watcher.ended();
      expect(program.code).toBe(0);
      expect(watcher.stdout.equals(payload)).toBe(true);
    });

    it("never reads faster than it can publish", async () => {
      const line = Buffer.alloc(1024, "x");
      line[1023] = 10;
      const count = 16384;
      const program = cli.start(["pub", ...at(), "-t", "flood", "-l", "-q", "1", "--quiet", "-C", "flooder"]);
      program.process.stdin.write(line);
      await broker.logged("'flood'");
      broker.freeze();
      program.process.stdin.write(Buffer.concat(Array.from({ length: count - 1 }, () => line)));
      program.process.stdin.end();
      // As much as the window, a pipe and two sockets hold.
      let taken = -1;
      while (program.process.stdin.writableLength !== taken) {
        taken = program.process.stdin.writableLength;
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
      expect(taken).toBeGreaterThan(0);
      expect(program.code).toBeUndefined();
      broker.thaw();
      await program.ended();
      expect(program.result).toEqual({ code: 0, stdout: "", stderr: "" });
      await broker.logged("Received DISCONNECT from flooder");
      expect(broker.log.split("'flood'").length - 1).toBe(count);
    }, 60000);
  });

  describe("what may come in another order, or too much of it", () => {
    const servers: Server[] = [];

    afterEach(() => {
      for (const server of servers.splice(0)) server.close();
    });

    /** A broker of MQTT 3.1.1 that answers by the type of the first packet in what it reads. Returns its port. */
    async function scripted(
      answer: (type: number, socket: Socket, connection: number, bytes: Buffer) => void,
    ): Promise<number> {
      let connections = 0;
      const server = createServer((socket) => {
        const connection = ++connections;
        socket.on("error", () => undefined);
        socket.on("data", (bytes) => answer(bytes[0] >> 4, socket, connection, bytes));
      });
      servers.push(server);
      await once(server.listen(0, HOST), "listening");
      return (server.address() as AddressInfo).port;
    }

    function old(port: number): string[] {
      return [...at(port), "-V", "v3.1.1"];
    }

    function publish(id: number, payload: string): Buffer {
      const length = 5 + payload.length;
      const header = Buffer.from([0x32, (length & 127) | 128, length >> 7, 0, 1, 0x74, id >> 8, id & 255]);
      return Buffer.concat([header, Buffer.from(payload)]);
    }
    const CONNACK = Buffer.from([0x20, 2, 0, 0]);
    const SUBACK = Buffer.from([0x90, 3, 0, 1, 1]);

    it("sub takes more messages than it queues before the answer to its SUBSCRIBE", async () => {
      const port = await scripted((type, socket) => {
        if (type === 1) socket.write(CONNACK);
        if (type !== 8) return;
        for (let id = 1; id <= 500; id++) socket.write(publish(id, String(id)));
        socket.write(SUBACK);
      });
      const options = ["-t", "t", "-q", "1", "--count", "500", "-W", "20", "--quiet"];
      const program = await cli.run(["sub", ...old(port), ...options]);
      expect(program.code).toBe(0);
      expect(program.result.stdout).toBe(Array.from({ length: 500 }, (_, i) => `${i + 1}\n`).join(""));
    });

    it("pub does not stop at messages of its session that it has no use for", async () => {
      let acknowledged = 0;
      const port = await scripted((type, socket) => {
        if (type === 4) acknowledged++;
        if (type === 1) {
          socket.write(CONNACK);
          for (let id = 1; id <= 500; id++) socket.write(publish(id, "x"));
        }
        if (type === 3) socket.write(Buffer.concat([publish(600, "y"), Buffer.from([0x40, 2, 0, 1])]));
      });
      const program = await cli.run(["pub", ...old(port), "-t", "t", "-q", "1", "-m", "x", "-W", "20", "--quiet"]);
      expect([program.code, acknowledged]).toEqual([0, 0]);
    });

    it("what was received on a lost connection is not acknowledged on the next, by ids of others", async () => {
      const acknowledged: number[] = [];
      const port = await scripted((type, socket, connection, bytes) => {
        if (type === 1) socket.write(CONNACK);
        // Several may come together, each of four bytes.
        if (type === 4) for (let at = 0; at < bytes.length; at += 4) acknowledged.push(connection);
        if (type !== 8) return;
        socket.write(SUBACK);
        const lose = (): void => {
          socket.destroy();
          writeFileSync(join(cli.folder, "lost"), "");
        };
        for (let id = 1; id <= 20; id++) {
          // Behind the last of the first connection, when the system has taken all of it.
          const isLast = connection === 1 && id === 20;
          socket.write(publish(id, `${connection}:${"x".repeat(10000)}`), () => isLast && setTimeout(lose, 300));
        }
      });
      const options = ["-t", "t", "-q", "1", "--reconnect", "9", "--reconnect-delay", "0.1", "--count", "30"];
      // The reader begins to read when the connection is lost, however slow this machine is; or ends with this test.
      const reader = 'until [ -e lost ] || [ ! -e "$PWD/bin" ]; do sleep 0.1; done; sleep 0.5; cut -c1-2;';
      const command = `${cli.command} sub ${old(port).join(" ")} ${options.join(" ")} | { ${reader} }`;
      const shell = cli.startProgram("bash", ["-c", command]);
      await shell.ended();
      expect(shell.result.stdout).toBe("1:\n".repeat(20) + "2:\n".repeat(10));
      expect(acknowledged.filter((connection) => connection === 1).length).toBeLessThan(20);
      expect(acknowledged.filter((connection) => connection === 2).length).toBeLessThanOrEqual(10);
    });

    it("a time limit and a signal are heard in the middle of a run at QoS 0, and of standard input", async () => {
      let published: (() => void) | undefined;
      const port = await scripted((type, socket) => {
        if (type === 1) socket.write(CONNACK);
        if (type === 3) published?.();
      });
      const run = ["pub", ...old(port), "-t", "t", "-m", "x", "--repeat", "1000000000", "--quiet"];
      const timed = await cli.run([...run, "-W", "1"]);
      expect(timed.result).toEqual({ code: 27, stdout: "", stderr: "mcu-mqtt: the time of --timeout, 1 s, is over\n" });
      const running = new Promise<void>((resolve) => (published = resolve));
      const stopped = cli.start(run);
      await running;
      stopped.process.kill("SIGINT");
      await stopped.ended();
      expect(stopped.code).toBe(1);
      const reading = cli.start(["pub", ...old(port), "-t", "t", "-s", "-W", "0.5", "--quiet"]);
      await reading.ended();
      expect(reading.code).toBe(27);
    });
  });

  describe("sub", () => {
    it("says what it does on standard error, and writes messages to standard output", async () => {
      const program = cli.start(["sub", ...at(), "-t", "hello", "--count", "1"]);
      await program.said("subscribed to");
      await mosquittoPub(["-t", "hello", "-m", "hello world"]);
      await program.ended();
      expect(program.stdout.toString()).toBe("hello world\n");
      const id = /^Client (mcu-mqtt-\S+-[0-9a-f]{20}) /.exec(program.stderr)![1];
      expect(program.stderr).toBe(
        `Client ${id} sent CONNECT\nClient ${id} subscribed to hello\nClient ${id} sent DISCONNECT\n`,
      );
      expect(program.code).toBe(0);
    });

    it.each(["0", "1", "2"])("writes the bytes of a message as they are, at QoS %s", async (qos) => {
      const program = await sub("-t", "b", "-N", "--count", "2", "-q", qos);
      await mosquittoPub(["-t", "b", "-f", "binary", "-q", "2"]);
      await mosquittoPub(["-t", "b", "-s", "-q", "2"], Buffer.from("\n"));
      await program.ended();
      expect(program.stdout.equals(Buffer.concat([BINARY, Buffer.from("\n")]))).toBe(true);
      expect(program.code).toBe(0);
    });

    it.each([
      [["-v"], "f/1 a\nf/2 \n"],
      [["-N"], "a"],
      [["-vN"], "f/1 af/2 "],
      [["-F", "%t=%x\\t%l%%"], "f/1=61\t1%\nf/2=\t0%\n"],
      [["--print", "size", "-v"], "f/1 1\nf/2 0\n"],
      [["--print=base64"], "YQ==\n\n"],
    ])("writes them with %j", async (args, expected) => {
      const program = await sub("-t", "f/#", "--count", "2", ...args);
      await mosquittoPub(["-t", "f/1", "-m", "a"]);
      await mosquittoPub(["-t", "f/2", "-n"]);
      await program.ended();
      expect(program.stdout.toString()).toBe(expected);
    });

    it("writes with %-escapes what mosquitto_sub writes", async () => {
      const format = "%t|%p|%l|%q|%r|%x|%X|%%|\\t\\\\";
      const args = ["-F", format, "-q", "1"];
      const [ours, theirs] = [await sub("-t", "e/#", ...args), await mosquittoSub("e/#", ...args)];
      await mosquittoPub(["-t", "e/ä", "-f", "binary", "-q", "1"]);
      await mosquittoPub(["-t", "e/b", "-m", "end", "-q", "0"]);
      const length = (BINARY.length * 5) + 40;
      await Promise.all([ours.wrote(length), theirs.wrote(length)]);
      expect(ours.stdout.equals(theirs.stdout)).toBe(true);
    });

    it("writes JSON, one object a line, as mosquitto_sub does", async () => {
      const ours = await sub("-t", "j", "--json", "-q", "1");
      const theirs = await mosquittoSub("j", "-F", "%j", "-q", "1");
      await mosquittoPub(["-t", "j", "-m", 'a "quoted"\nline', "-q", "1"]);
      await Promise.all([ours.wrote(100), theirs.wrote(100)]);
      const parse = (program: Program): { tst: string } => JSON.parse(program.stdout.toString()) as { tst: string };
      const [mine, other] = [parse(ours), parse(theirs)];
      expect({ ...mine, tst: "" }).toEqual({ ...other, tst: "" });
      expect(Math.abs(Date.parse(mine.tst) - Date.now())).toBeLessThan(60000);
    });

    it("goes on behind a message that is not JSON, where JSON is wanted", async () => {
      const program = await sub("-t", "j", "-F", "%J", "--count", "1");
      await mosquittoPub(["-t", "j", "-m", "{"]);
      await mosquittoPub(["-t", "j", "-m", "[1]"]);
      await program.ended();
      expect(program.stderr).toContain('mcu-mqtt: the payload of a message on "j" is not JSON\n');
      expect(program.stdout.toString()).toContain('"payload":[1]}');
      expect(program.code).toBe(0);
    });

    it("subscribes to several filters, with a QoS", async () => {
      const program = cli.start(["sub", ...at(), "-t", "s/1", "-t", "s/2/#", "-q", "2", "--count", "2", "-F", "%t %q"]);
      await program.said("subscribed to s/2/#");
      await mosquittoPub(["-t", "s/1", "-m", "a", "-q", "1"]);
      await mosquittoPub(["-t", "s/2/x", "-m", "b", "-q", "2"]);
      await program.ended();
      expect(program.stdout.toString()).toBe("s/1 1\ns/2/x 2\n");
      expect(program.lines.slice(1, 3)).toEqual(["Client ID subscribed to s/1", "Client ID subscribed to s/2/#"]);
    });

    it("ignores retained messages", async () => {
      await mosquittoPub(["-t", "old", "-m", "old", "-r"]);
      const program = await sub("-t", "old", "-R", "--count", "1");
      await mosquittoPub(["-t", "old", "-m", "new"]);
      await program.ended();
      expect(program.stdout.toString()).toBe("new\n");
      await mosquittoPub(["-t", "old", "-n", "-r"]);
    });

    it("takes a message of many megabytes", async () => {
      const payload = Buffer.alloc(20_000_000, "0123456789abcdef\n");
      const program = await sub("-t", "large", "--count", "1", "-N", "-q", "1");
      await mosquittoPub(["-t", "large", "-s", "-q", "1"], payload);
      await program.ended();
      expect(program.stdout.equals(payload)).toBe(true);
      expect(program.code).toBe(0);
    });

    it("says which filters are refused, and fails when all are", async () => {
      const both = cli.start(["sub", ...at(broker.limitedPort), "-t", `${FORBIDDEN}/a`, "-t", "allowed"]);
      await both.said("subscribed to allowed");
      const refusal = `mcu-mqtt: the broker refused the subscription to "${FORBIDDEN}/a"`;
      expect(both.stderr).toContain(`${refusal}: Not authorized (0x87)\n`);
      expect(both.stderr).not.toContain("subscribed to forbidden");
      for (const [version, reason] of [["v5", ": Not authorized (0x87)"], ["v3.1.1", ""]]) {
        const none = await cli.run(["sub", ...at(broker.limitedPort), "-t", `${FORBIDDEN}/a`, "-V", version]);
        expect(none.code).toBe(1);
        expect(none.lines.slice(1)).toEqual([refusal + reason, "Client ID sent DISCONNECT"]);
      }
    });

    it.each(["0", "1"])("waits for who reads, and loses nothing, at QoS %s", async (qos) => {
      const size = 100_000;
      const count = 1000;
      const program = await sub("-t", "slow", "-q", qos, "--count", String(count), "-N");
      program.process.stdout.pause();
      const args = ["-t", "slow", "-q", "1", "-s", "--repeat", String(count), "--quiet"];
      const published = await pub(args, Buffer.alloc(size));
      expect(published.code).toBe(0);
      // What cannot be written is left to the broker.
      expect(residentBytes(program)).toBeLessThan(0.75 * size * count);
      program.process.stdout.resume();
      await program.ended();
      expect(program.stdout).toHaveLength(size * count);
      expect(program.code).toBe(0);
    }, 60000);
  });

  describe("connect", () => {
    it("connects, says so, and stays", async () => {
      const program = cli.start(["connect", ...at(), "-C", "stayer"]);
      await program.said("Client stayer is connected\n");
      await broker.logged("as stayer (p5, c1, k300).");
      program.process.kill("SIGTERM");
      await program.ended();
      expect(program.result).toEqual({
        code: 0,
        stdout: "",
        stderr: "Client stayer sent CONNECT\nClient stayer is connected\nClient stayer sent DISCONNECT\n",
      });
    });
  });

  describe("the connection", () => {
    it("has the client identifier, keepalive, session and user it was told to have", async () => {
      const args = ["-C", "ich-ä", "-k", "17", "--persistent", "-u", "user", "-P", "password"];
      const program = cli.start(["connect", ...at(broker.passwordPort), ...args]);
      await program.said("is connected\n");
      await broker.logged("as ich-ä (p5, c0, k17, u'user').");
      program.process.kill("SIGTERM");
      await program.ended();
      expect(program.code).toBe(0);
    });

    it("takes the password from a file or the environment, and user and password from a URL", async () => {
      const port = broker.passwordPort;
      const args = ["pub", ...at(port), "-t", "a", "-m", "x", "-u", USERNAME];
      const file = await cli.run([...args, "--password-file", "password"]);
      expect(file.code).toBe(0);
      const own = { MCU_MQTT_PASSWORD: PASSWORD };
      const environment = await cli.run(args, "", own);
      expect(environment.code).toBe(0);
      const login = `${encodeURIComponent(USERNAME)}:${encodeURIComponent(PASSWORD)}`;
      const url = await cli.run(["pub", `mqtt://${login}@${HOST}:${port}/a`, "-m", "x"]);
      expect(url.code).toBe(0);
    });

    it("comes from the address it was told to", async () => {
      const program = await pub(["-t", "a", "-m", "x", "-I", "127.0.0.2", "-C", "other-address"]);
      expect(program.code).toBe(0);
      await broker.logged(/New client connected from 127\.0\.0\.2:\d+ as other-address/);
    });

    it("has a will, which the broker publishes when the program dies, and not when it is told to end", async () => {
      const args = ["--will-topic", "w", "--will-payload", "gone", "--will-qos", "1", "--will-retain"];
      const watcher = await mosquittoSub("w", "-F", "%p %q", "-q", "2");
      const polite = await sub("-t", "a", ...args);
      polite.process.kill("SIGINT");
      await polite.ended();
      expect(polite.code).toBe(0);
      const killed = await sub("-t", "a", ...args);
      killed.process.kill("SIGKILL");
      await watcher.wrote(7);
      expect(watcher.stdout.toString()).toBe("gone 1\n");
      await mosquittoPub(["-t", "w", "-n", "-r"]);
    });
  });

  describe("the exit code", () => {
    it("is that of CONNACK when the broker refuses", async () => {
      const login = ["-u", "me", "-P", "hunter2"];
      const old = ["-V", "v3.1.1"];
      const program = await cli.run(["pub", ...at(broker.passwordPort), "-t", "a", "-m", "x", ...login, ...old]);
      expect(program.result).toEqual({
        code: 5,
        stdout: "",
        stderr: expect.stringMatching(/^Client \S+ sent CONNECT\nmcu-mqtt: cannot .*: refused: not authorized\n$/),
      });
    });

    it("is 27 when the time is over, of any command", async () => {
      const commands = [["sub", ...at(), "-t", "a"], ["connect", ...at()], ["pub", ...at(), "-t", "a", "-l"]];
      // Time enough to connect, on a machine that does more than this.
      const programs = commands.map((args) => cli.start([...args, "-W", "3", "-C", `timed-${args[0]}`]));
      for (const [i, program] of programs.entries()) {
        await program.ended();
        expect(program.code).toBe(27);
        const end = "sent DISCONNECT\nmcu-mqtt: the time of --timeout, 3 s, is over\n";
        expect(program.stderr).toContain(`Client timed-${commands[i][0]} ${end}`);
      }
    });

    it("is 0 when nobody reads the help, and 1 when it cannot be written", async () => {
      const shell = cli.startProgram("bash", ["-c", `${cli.command} sub --help | true; echo $PIPESTATUS;
        ${cli.command} --version > /dev/full; echo $?`]);
      await shell.ended();
      expect(shell.result.stdout).toBe("0\n1\n");
      expect(shell.result.stderr).toMatch(/^mcu-mqtt: cannot write to standard output \(ENOSPC[^\n]*\n$/);
    });

    it("is 1 when there is no broker", async () => {
      const program = await cli.run(["sub", "-h", HOST, "-p", "1", "-t", "a"]);
      expect(program.result).toEqual({
        code: 1,
        stdout: "",
        stderr:
          `mcu-mqtt: cannot connect to ${HOST}, port 1: ` +
          `the broker cannot be reached (connect ECONNREFUSED ${HOST}:1)\n`,
      });
    });

    it("is 1 when the command line is wrong, and nothing is connected then", async () => {
      await mosquittoPub(["-t", "a", "-m", "x", "-i", "before-them"]);
      await broker.logged("Received DISCONNECT from before-them");
      const before = broker.log.length;
      for (const args of [["pub", "-t", "a/#", "-m", "x"], ["sub"], ["connect", "-V", "v6"]]) {
        const program = await cli.run([...args, ...at()]);
        expect(program.code).toBe(1);
        expect(program.stdout).toHaveLength(0);
        expect(program.stderr).toMatch(/^mcu-mqtt: --[a-z-]+ .*\n$/);
      }
      for (const args of [[], ["publish"], ["--foo"]]) {
        const program = await cli.run(args);
        expect(program.code).toBe(1);
        expect(program.stderr).toMatch(/^mcu-mqtt: .*command.*\n$/);
      }
      await mosquittoPub(["-t", "a", "-m", "x", "-i", "behind-them"]);
      await broker.logged("Received DISCONNECT from behind-them");
      // This last one alone.
      expect(broker.log.slice(before).split("New connection")).toHaveLength(2);
    });

    it("is 1 for a payload whose bytes the shell hands over are not UTF-8", async () => {
      const program = cli.startProgram("bash", ["-c", `${cli.command} pub ${at().join(" ")} -t a -m $'\\xff'`]);
      await program.ended();
      expect(program.result).toEqual({
        code: 1,
        stdout: "",
        stderr: "mcu-mqtt: --payload has bytes that are not UTF-8, or U+FFFD\n",
      });
    });
  });

  describe("a pipe", () => {
    it("may be closed by its reader: that ends sub in good order", async () => {
      const command = `${cli.command} sub ${at().join(" ")} -t p -C piped | head -1; exit \${PIPESTATUS[0]}`;
      const shell = cli.startProgram("bash", ["-c", command]);
      await shell.said("subscribed to p");
      for (let i = 0; shell.code === undefined && i < 50; i++) await mosquittoPub(["-t", "p", "-m", `line ${i}`]);
      await shell.ended();
      expect(shell.result).toEqual({
        code: 0,
        stdout: "line 0\n",
        stderr: "Client piped sent CONNECT\nClient piped subscribed to p\nClient piped sent DISCONNECT\n",
      });
    });

    it("joins sub and pub, byte for byte", async () => {
      const watcher = await mosquittoSub("out", "-C", "1", "-N", "-q", "1");
      const place = at().join(" ");
      const [from, to] = [`sub ${place} -t in -N --count 1 -q 1`, `pub ${place} -t out -s -q 1`];
      const command = `${cli.command} ${from} | ${cli.command} ${to}`;
      const shell = cli.startProgram("bash", ["-o", "pipefail", "-c", command]);
      await shell.said("subscribed to in");
      await mosquittoPub(["-t", "in", "-f", "binary", "-q", "1"]);
      await shell.ended();
      await watcher.ended();
      expect(shell.code).toBe(0);
      expect(watcher.stdout.equals(BINARY)).toBe(true);
    });

    it("that takes nothing more is an error in one line", async () => {
      const shell = cli.startProgram("bash", ["-c", `${cli.command} sub ${at().join(" ")} -t p -C full > /dev/full`]);
      await shell.said("subscribed to p");
      await mosquittoPub(["-t", "p", "-m", "x"]);
      await shell.ended();
      expect(shell.code).toBe(1);
      expect(shell.stderr).toMatch(/sent DISCONNECT\nmcu-mqtt: cannot write to standard output \(ENOSPC[^\n]*\)\n$/);
    });
  });

  it("says in one line that standard input cannot be read", async () => {
    for (const rest of ["--stdin < .", "--stdin-lines < .", "--stdin 0> write-only"]) {
      const shell = cli.startProgram("bash", ["-c", `${cli.command} pub ${at().join(" ")} -t a --quiet ${rest}`]);
      await shell.ended();
      expect(shell.code).toBe(1);
      expect(shell.stderr).toMatch(/^mcu-mqtt: cannot read standard input \((it is a folder|EBADF[^\n]*)\)\n$/);
    }
  });

  it("says in one line that it is not built, where that is so", async () => {
    renameSync(join(cli.folder, "dist"), join(cli.folder, "no-dist"));
    const program = await cli.run(["--help"]);
    renameSync(join(cli.folder, "no-dist"), join(cli.folder, "dist"));
    expect(program.result).toEqual({
      code: 1,
      stdout: "",
      stderr: 'mcu-mqtt: not built yet: run "npm run build" in the folder of the project\n',
    });
  });

  describe("a signal", () => {
    it("ends pub behind what it has published, and says with 1 that there was more", async () => {
      const watcher = await mosquittoSub("p", "-C", "1");
      const program = cli.start(["pub", ...at(), "-t", "p", "-q", "1", "-l"]);
      program.process.stdin.write("one\n");
      await watcher.ended();
      program.process.kill("SIGINT");
      await program.ended();
      expect(program.code).toBe(1);
      expect(program.lines.at(-2)).toBe("Client ID sent DISCONNECT");
      expect(program.lines.at(-1)).toBe("mcu-mqtt: interrupted");
    });

    it("ends at once when it comes twice", async () => {
      const program = cli.start(["pub", ...at(), "-t", "p", "-q", "1", "-l", "-C", "twice"]);
      program.process.stdin.write("one\n");
      await program.said("sent PUBLISH");
      await broker.logged("Sending PUBACK to twice");
      broker.freeze();
      program.process.stdin.write("two\n");
      await program.said("PacketId=2");
      program.process.kill("SIGINT");
      // It waits for the acknowledgement first.
      await new Promise((resolve) => setTimeout(resolve, 200));
      expect(program.code).toBeUndefined();
      // Two that come before it looks are one to it.
      const again = setInterval(() => program.process.kill("SIGINT"), 200);
      await program.ended().finally(() => clearInterval(again));
      broker.thaw();
      expect(program.code).toBe(130);
    });
  });

  it("says so when the connection is lost", async () => {
    const other = await Mosquitto.start();
    const program = cli.start(["sub", ...at(other.port), "-t", "a"]);
    await program.said("subscribed to a").finally(() => other.dispose());
    await program.ended();
    expect(program.code).toBe(1);
    expect(program.stderr).toMatch(/\nmcu-mqtt: the connection was lost\n$/);
  });

  it("shows no message of a long run on a terminal, but how far it is", async () => {
    const command = `${cli.command} pub ${at().join(" ")} -t p -m x -q 1 --repeat 10000`;
    const shell = cli.startProgram("script", ["-qefc", command, "/dev/null"]);
    await shell.ended();
    const shown = shell.stdout.toString();
    expect(shown).not.toContain("sent PUBLISH");
    expect(shown).toMatch(/\d+ of 10000 messages published\r/);
    expect(shown).toMatch(/sent CONNECT\r\n/);
    expect(shown).toMatch(/\[KClient \S+ sent DISCONNECT\r\n$/);
    expect(shell.code).toBe(0);
  });

  it("helps", async () => {
    const main = await cli.run(["--help"]);
    expect(main.stdout.toString()).toMatch(/^Usage: mcu-mqtt pub \| sub \| connect \[--help\]\n/);
    for (const command of ["pub", "sub", "connect"]) {
      const program = await cli.run([command, "--help"]);
      expect(program.code).toBe(0);
      expect(program.stderr).toBe("");
      expect(program.stdout.toString()).toMatch(new RegExp(`^Usage: mcu-mqtt ${command} `));
    }
    expect((await cli.run(["--version"])).stdout.toString()).toMatch(/^mcu-mqtt \d+\.\d+\.\d+\n$/);
  });
});
