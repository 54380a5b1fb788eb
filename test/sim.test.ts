/** The simulator as its user meets it: a process of its own for each run, with arguments, output and exit status. */
import { execFile } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Aedes } from "aedes";
import type { AedesOptions } from "aedes";
import { Failure } from "../sim/failure.js";
import { readOptions } from "../sim/options.js";
import { Outside } from "../sim/outside.js";
import { certificates } from "./support/certificates.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const RUN_MS = 60000;

interface Result {
  status: number;
  stdout: string;
  stderr: string;
  /** The lines of the log without their times. */
  log: { who: string; what: string; details: string }[];
}

/** Runs a command to its end. */
function execute(command: string, args: string[], cwd: string, settings: Record<string, string> = {}): Promise<Result> {
  // npm sets variables for the scripts it runs, also for the one that this test is part of.
  const inherited = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_|^INIT_CWD$/i.test(name)));
  const env = { ...inherited, ...settings };
  return new Promise((resolve) => {
    const shell = process.platform === "win32" && command === "npm";
    execFile(command, args, { cwd, env, shell, timeout: RUN_MS }, (error, stdout, stderr) => {
      const status = error === null ? 0 : typeof error.code === "number" ? error.code : -1;
      resolve({ status, stdout, stderr, log: readLog(stdout) });
    });
  });
}

/** Runs what `npm start` runs, without npm and tsx's own command, which only costs time. */
function start(args: string[], cwd = ROOT): Promise<Result> {
  const tsx = import.meta.resolve("tsx");
  return execute(process.execPath, ["--import", tsx, join(ROOT, "sim/main.ts"), ...args], cwd, {
    TSX_TSCONFIG_PATH: join(ROOT, "sim/tsconfig.json"),
  });
}

const LINE = /^ *\d+\.\d{3} {2}(.{10}) {2}(.{11})(?: {2}(.*))?$/;

function readLog(stdout: string): Result["log"] {
  return stdout.split("\n").flatMap((line) => {
    const match = LINE.exec(line.padEnd(31));
    return match ? [{ who: match[1].trim(), what: match[2].trim(), details: (match[3] ?? "").trim() }] : [];
  });
}

/** What the log says of these, one line each. */
function linesOf({ log }: Result, ...who: string[]): string[] {
  return log.filter((line) => who.includes(line.who)).map(({ what, details }) => `${what} ${details}`.trim());
}

function summaryOf({ stdout }: Result): string {
  return stdout.trimEnd().split("\n").at(-1)!;
}

/** Nothing on stderr, exit status 0; shows both otherwise. */
function expectSuccess({ status, stderr }: Result): void {
  expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
}

/** Exit status 1, and one line on stderr, no stack trace. */
function expectFailure({ status, stderr }: Result, message: RegExp | string): void {
  expect(stderr).toMatch(/^mcu-mqtt: [^\n]*\n$/);
  expect(stderr).not.toMatch(/\bat .*:\d+:\d+/);
  expect(stderr).toMatch(message);
  expect(status).toBe(1);
}

const folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-sim-"));

/** A program of the test, as TypeScript in an ES module folder unless the name says otherwise. */
function program(name: string, code: string): string {
  const path = join(folder, name);
  writeFileSync(path, code);
  return path;
}

const brokers: Aedes[] = [];
const servers: Server[] = [];
const sockets = new Set<Socket>();

/** Listens on a free port and returns that. */
async function listen(server: Server): Promise<number> {
  servers.push(server);
  server.on(server.listenerCount("secureConnection") > 0 ? "secureConnection" : "connection", (socket: Socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}

/** A broker of the test. */
async function startBroker(options: AedesOptions = {}, isSecure = false): Promise<number> {
  const aedes = await Aedes.createBroker(options);
  brokers.push(aedes);
  const handle = (socket: Socket): void => void aedes.handle(socket);
  return listen(isSecure ? createTlsServer({ ...certificates().server }, handle) : createServer(handle));
}

function refusal(returnCode: number): Parameters<Parameters<NonNullable<AedesOptions["authenticate"]>>[3]>[0] {
  return Object.assign(new Error("refused"), { returnCode });
}

/** Ports of brokers. */
const ports = { open: 0, guarded: 0, secure: 0, pickyAboutUser: 0, badUser: 0, noSubscribe: 0, noPublish: 0 };
/** Ports of what is no broker. */
const others = { web: 0, closing: 0, silent: 0, dying: 0, none: 1 };
/** What the guarded broker was shown. */
const logins: string[] = [];

beforeAll(async () => {
  ports.open = await startBroker();
  ports.secure = await startBroker({}, true);
  ports.guarded = await startBroker({
    authenticate: (_client, username, password, done) => {
      logins.push(`${username}/${String(password)}`);
      const isRight = username === "us@er" && String(password) === "pass:word/1";
      done(isRight ? null : refusal(5), isRight);
    },
  });
  ports.badUser = await startBroker({ authenticate: (_client, _user, _password, done) => done(refusal(4), false) });
  ports.pickyAboutUser = await startBroker({
    authenticate: (_client, username, _password, done) => done(username ? refusal(5) : null, !username),
  });
  ports.noSubscribe = await startBroker({
    authorizeSubscribe: (_client, subscription, done) => {
      done(null, subscription.topic === "/lwt" ? null : subscription);
    },
  });
  ports.noPublish = await startBroker({
    authorizePublish: (client, packet, done) => {
      done(client?.id !== "clientid" && packet.topic === "/topic" ? new Error("no") : null);
    },
  });
  others.web = await listen(createServer((socket) => socket.once("data", () => socket.end("HTTP/1.1 400\r\n\r\n"))));
  others.closing = await listen(createServer((socket) => socket.destroy()));
  others.silent = await listen(createServer((socket) => socket.resume()));
  const dying = await Aedes.createBroker();
  brokers.push(dying);
  dying.on("subscribe", () => {
    for (const socket of dyingSockets) socket.destroy();
  });
  const dyingSockets: Socket[] = [];
  others.dying = await listen(
    createServer((socket) => {
      dyingSockets.push(socket);
      dying.handle(socket);
    }),
  );
  writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
  writeFileSync(join(folder, "ca.pem"), certificates().ca.cert);
  writeFileSync(join(folder, "other.pem"), certificates().otherCa.cert);
});

afterAll(() => {
  for (const socket of sockets) socket.destroy();
  for (const server of servers) server.close();
  for (const broker of brokers) broker.close();
  rmSync(folder, { recursive: true });
});

const NODEMCU_PACKETS_OUT = [
  'CONNECT "clientid" keepalive 120, clean, user "user", password ***, will "/lwt" "offline" QoS 0',
  'SUBSCRIBE packet id 1, "/topic" QoS 0',
  'PUBLISH "/topic" "hello" QoS 0',
];
const NODEMCU_PACKETS_IN = [
  "CONNACK accepted, no session present",
  "SUBACK packet id 1, QoS 0 granted",
  'PUBLISH "/topic" "hello" QoS 0',
  'PUBLISH "/topic" "hello from outside" QoS 0',
];
const NODEMCU_LINES = [
  "print connected",
  "print subscribe success",
  "print sent",
  "print /topic:",
  "print hello",
  "print /topic:",
  "print hello from outside",
  "print offline",
];

function expectNodemcu(result: Result): void {
  expectSuccess(result);
  expect(linesOf(result, "device ->")).toEqual(NODEMCU_PACKETS_OUT);
  expect(linesOf(result, "device <-")).toEqual(NODEMCU_PACKETS_IN);
  expect(linesOf(result, "program")).toEqual(NODEMCU_LINES);
}

describe("npm start", () => {
  it.concurrent("runs NodeMCU's example on a broker of its own, and ends with a summary", async () => {
    const npm = await execute("npm", ["start"], ROOT);
    // npm itself may have something to say.
    expectNodemcu({ ...npm, stderr: npm.stderr.replace(/^npm .*\n/gm, "") });
    expect(summaryOf(npm)).toMatch(
      /^ok: packets 3 out, 4 in; bytes 81 out, 52 in; messages 1 out, 2 in; callbacks 6; will seen; \d+\.\d s$/,
    );
  }, RUN_MS);

  it.concurrent("shows packets, callbacks and everything else in aligned lines of 120 columns at most", async () => {
    const result = await start([]);
    expectNodemcu(result);
    const [title, empty, head, ...rest] = result.stdout.trimEnd().split("\n");
    expect(title).toMatch(/^examples\/nodemcu\.ts as a simulated device\. Broker: aedes, .* 127\.0\.0\.1:\d+\.$/);
    expect(empty).toBe("");
    expect(head).toBe("  time  who         what         details");
    for (const line of rest.slice(0, -2)) {
      expect(line.padEnd(31)).toMatch(LINE);
      expect(line.length).toBeLessThanOrEqual(120);
    }
    expect(linesOf(result, "callback")).toEqual([
      "connect (client, false)",
      "suback (client, [0])",
      "puback (client)",
      'message (client, "/topic", "hello", { qos: 0 })',
      'message (client, "/topic", "hello from outside", { qos: 0 })',
      "offline (client, -10)",
    ]);
    expect(linesOf(result, "call")).toEqual(["close () returns false"]);
    expect(linesOf(result, "network").map((line) => line.replace(/:\d+$/, ":port"))).toEqual([
      "connecting 192.168.11.118:port",
      "connected led to 127.0.0.1:port",
      "cut the connection breaks, without DISCONNECT",
    ]);
    expect(linesOf(result, "outside")).toEqual([
      'publish "/topic" "hello from outside" QoS 0',
      'subscribe "/lwt" QoS 0',
      'message "/lwt" "offline" QoS 0',
    ]);
    const times = rest.slice(0, -2).map((line) => Number(line.slice(0, 6)));
    expect(times).toEqual([...times].sort((a, b) => a - b));
  }, RUN_MS);

  it.concurrent("shows the summary only with --quiet", async () => {
    const result = await start(["--quiet"]);
    expectSuccess(result);
    expect(result.stdout).toMatch(/^ok: [^\n]*\n$/);
  }, RUN_MS);

  it.concurrent("explains itself with --help", async () => {
    const result = await start(["--help"]);
    expectSuccess(result);
    for (const option of ["--broker URL", "--cafile", "--pcap", "--seconds", "--quiet", "--help", "PROGRAM"]) {
      expect(result.stdout).toContain(option);
    }
    expect(Math.max(...result.stdout.split("\n").map((line) => line.length))).toBeLessThanOrEqual(120);
  }, RUN_MS);
});

describe("npm start with a program", () => {
  it.concurrent("lets examples/sensor.ts connect again", async () => {
    const result = await start(["examples/sensor.ts"]);
    expectSuccess(result);
    const sent = linesOf(result, "device ->");
    const connect = 'CONNECT "sensor" keepalive 30, not clean, user "user", password ***';
    expect(sent.filter((line) => line.startsWith("CONNECT"))).toEqual([connect, connect]);
    const readings = sent.flatMap((line) => /^PUBLISH "\/sensor\/temperature" "(.*)" QoS 1/.exec(line)?.[1] ?? []);
    expect(readings.length).toBeGreaterThanOrEqual(2);
    // One may come twice, if the connection was cut before its acknowledgement.
    expect([...new Set(readings)]).toEqual([...new Set(readings)].map((_, i) => `20.${i}`));
    expect(linesOf(result, "program").filter((line) => line === "print connected")).toHaveLength(2);
    expect(summaryOf(result)).toMatch(/no will;/);
  }, RUN_MS);

  it.concurrent("runs examples/secure.ts over TLS", async () => {
    const result = await start(["examples/secure.ts"]);
    expectSuccess(result);
    expect(linesOf(result, "network")[0]).toBe("connecting broker.example:8883");
    expect(linesOf(result, "network")[1]).toMatch(/^connected led to .*, TLS, with a certificate of the simulation$/);
    expect(linesOf(result, "device ->")).toEqual([
      'CONNECT "door" keepalive 60, clean, user "user", password ***, will "/door/status" "offline" QoS 1, retain',
      'PUBLISH "/door/status" "online" QoS 1, retain, packet id 1',
      'SUBSCRIBE packet id 2, "/door/lock" QoS 1',
      expect.stringMatching(/^PUBACK packet id \d+$/),
    ]);
    expect(linesOf(result, "program")).toEqual([
      "print connected",
      "print /door/lock: hello from outside",
      "print offline",
    ]);
    expect(linesOf(result, "outside")).toEqual([
      'publish "/door/lock" "hello from outside" QoS 1',
      'subscribe "/door/status" QoS 1',
      'message "/door/status" "online" QoS 1, retain',
      'message "/door/status" "offline" QoS 1',
    ]);
    expect(summaryOf(result)).toMatch(/will seen/);
  }, RUN_MS);

  it.concurrent("finds it relative to the current directory, in CommonJS folders too", async () => {
    mkdirSync(join(folder, "common"));
    writeFileSync(join(folder, "common/package.json"), "{}");
    program(
      "common/blinker.ts",
      `import mqtt from "mcu-mqtt";
       import { print } from "#device";
       const m = new mqtt.Client("blinker");
       m.on("message", (client, topic, data: string) => print(topic, data));
       m.connect("broker", 1883, 0, () => m.subscribe({ "led/+/set": 2, "$SYS/none": 0, "all/#": 1 }));`,
    );
    const result = await start(["blinker.ts"], join(folder, "common"));
    expectSuccess(result);
    expect(linesOf(result, "outside")).toEqual([
      'publish "led/outside/set" "hello from outside" QoS 2',
      'no message to "$SYS/none": these topics are the broker\'s own',
      'publish "all/outside" "hello from outside" QoS 1',
    ]);
    expect(linesOf(result, "program")).toEqual([
      "print led/outside/set\thello from outside",
      "print all/outside\thello from outside",
    ]);
    expect(linesOf(result, "device ->").map((line) => line.split(" ")[0])).toEqual(
      expect.arrayContaining(["PUBREC", "PUBCOMP", "PUBACK"]),
    );
    expect(summaryOf(result)).toMatch(/no will;/);
  }, RUN_MS);

  it.concurrent("is content with one that publishes and leaves", async () => {
    const path = program(
      "leaver.js",
      `import mqtt from "mcu-mqtt";
       const m = mqtt.Client("leaver");
       m.lwt("gone", "1");
       m.connect("broker", (client) => client.publish("t", new Uint8Array([0, 1, 255]), 2, 0, () => client.close()));`,
    );
    const result = await start([path]);
    expectSuccess(result);
    expect(linesOf(result, "device ->")).toEqual([
      'CONNECT "leaver" keepalive 60, clean, will "gone" "1" QoS 0',
      'PUBLISH "t" <00 01 ff> QoS 2, packet id 1',
      "PUBREL packet id 1",
      "DISCONNECT",
    ]);
    expect(linesOf(result, "network").at(-1)).toBe("closed by the device");
    expect(linesOf(result, "outside")).toEqual([]);
    expect(summaryOf(result)).toMatch(/no will due, as the program closed its connection/);
  }, RUN_MS);

  it.concurrent("tells two clients apart, and waits for both to connect again", async () => {
    const path = program(
      "two.ts",
      `import mqtt from "mcu-mqtt";
       const clients = [mqtt.Client("unused"), mqtt.Client("a"), mqtt.Client("b", 60, null, null, 0)].slice(1);
       for (const client of clients) {
         client.lwt("wills", "", 1, 0);
         client.on("connect", () => client.subscribe("t", 1));
         client.connect("broker", 1883, 0, 1);
       }`,
    );
    const result = await start([path]);
    expectSuccess(result);
    for (const device of ["device", "device2"]) {
      const types = linesOf(result, `${device} ->`).map((line) => line.split(" ")[0]);
      expect(types.filter((type) => type === "CONNECT")).toHaveLength(2);
    }
    expect(linesOf(result, "network2")).toContain("cut the connection breaks, without DISCONNECT");
    expect(linesOf(result, "device2 <-").filter((line) => line.startsWith("CONNACK"))).toEqual([
      "CONNACK accepted, no session present",
      "CONNACK accepted, session present",
    ]);
    expect(linesOf(result, "outside").filter((line) => line === 'message "wills" empty QoS 1')).toHaveLength(2);
  }, RUN_MS);

  it.concurrent("ends after --seconds at the latest", async () => {
    const path = program(
      "waiter.ts",
      `import mqtt from "mcu-mqtt";
       import { tmr } from "#device";
       tmr.create().alarm(1000000, tmr.ALARM_AUTO, () => {});
       mqtt.Client("waiter").connect("broker");`,
    );
    const result = await start([path, "--seconds", "1.5"]);
    expectSuccess(result);
    const seconds = Number(/; (\d+\.\d) s$/.exec(summaryOf(result))?.[1]);
    expect(seconds).toBeGreaterThanOrEqual(1.5);
    expect(seconds).toBeLessThan(10);
  }, RUN_MS);
});

describe("npm start with a program that fails", () => {
  it.concurrent.each([
    ["throws", 'import mqtt from "mcu-mqtt";\n\nmqtt.Client("x", -1);', /threw RangeError: keepalive .* \(line 3\)$/m],
    ["is not TypeScript", 'import mqtt from "mcu-mqtt";\nconst m = ;', /threw TransformError: .*:2:10: ERROR/],
    ["imports what is not there", 'import { a } from "not-there";\na();', /threw .*not-there/],
    ["throws what is no error", 'throw "a string";', /threw a string$/m],
    ["speaks MQTT 5", 'import mqtt from "mcu-mqtt/v5";\nmqtt.Client("x").connect("host");', /device speaks MQTT 3\.1\.1/],
    ["ends the process", "process.exit();", /^mcu-mqtt: the program ended the process/],
    ["does not connect", 'import mqtt from "mcu-mqtt";\nmqtt.Client("x");', /did not connect: it has to call connect\(\)/],
  ])("says so when it %s", async (title, code, message) => {
    const path = program(`${title.replaceAll(" ", "-")}.ts`, code);
    const result = await start([path]);
    expectFailure(result, message);
    if (title !== "ends the process") expect(result.stderr).toContain(`mcu-mqtt: ${basename(path)} `);
    expect(result.log).toEqual([]);
  }, RUN_MS);

  it.concurrent.each([
    ["a callback", 'm.on("message", () => {\n  throw new TypeError("in\\nit");\n});', "TypeError: in it", 4],
    ["a timer", "tmr.create().alarm(1, 0, () => {\n  null!.x;\n});", "TypeError: Cannot read .*", 4],
    ["a promise", 'void Promise.reject(new Error("in promise"));', "Error: in promise", 3],
  ])("shows what is thrown in %s, goes on, and fails at the end", async (title, code, error, line) => {
    const path = program(
      `throws-in-${title.replaceAll(" ", "-")}.ts`,
      `import mqtt from "mcu-mqtt"; import { tmr } from "#device";
       const m = mqtt.Client("x"); m.lwt("will", "1"); tmr;\n${code}
       m.connect("broker", 1883, 0, () => m.subscribe("t"));`,
    );
    const result = await start([path]);
    expectFailure(result, new RegExp(`throws-in-.* threw ${error} \\(line ${line}\\)\n$`));
    expect(linesOf(result, "program")).toEqual([expect.stringMatching(new RegExp(`^error ${error}$`))]);
    expect(linesOf(result, "outside").at(-1)).toBe('message "will" "1" QoS 0');
  }, RUN_MS);
});

describe("npm start with wrong arguments", () => {
  it.concurrent("says what is wrong in one line, and starts nothing", async () => {
    for (const args of [["--brokr", "mqtt://h"], ["examples/missing.ts"], ["--broker", "mqtt://user:secret@host:port"]]) {
      const result = await start(args);
      expectFailure(result, args[0] === "examples/missing.ts" ? args[0] : args[0].slice(2));
      expect(result.stderr).not.toContain("secret");
      expect(result.stdout).toBe("");
    }
  }, RUN_MS);

  it.concurrent.each([
    [".", /^mcu-mqtt: cannot write the file of --pcap \(EISDIR/],
    ["missing/file.pcap", /^mcu-mqtt: cannot write the file of --pcap \(ENOENT/],
  ])("says that it cannot write to --pcap %s", async (path, message) => {
    const result = await start(["--pcap", path]);
    expectFailure(result, message);
    expect(result.stdout).toBe("");
  }, RUN_MS);
});

describe("Wrong arguments have an error of one line that does not repeat a password:", () => {
  const url = /^--broker must be like mqtt:\/\/user:password@host:port/;

  it.each([
    [["--brokr", "mqtt://h"], /Unknown option '--brokr'.*--help/],
    [["--quiet=yes"], /'--quiet' does not take an argument/],
    [["--pcap"], /'--pcap <value>' argument missing/],
    [["a.ts", "b.ts"], /one program at a time, not 2/],
    [["examples/missing.ts"], /there is no program examples\/missing\.ts/],
    [["examples"], /examples is not a file/],
    [["--seconds", "soon"], /--seconds must be .*, not "soon"/],
    [["--seconds", "0"], /--seconds/],
    [["--broker", "localhost"], url],
    [["--broker", "localhost:1883"], url],
    [["--broker", "http://localhost"], url],
    [["--broker", "mqtt://"], url],
    [["--broker", "mqtt://host/path"], url],
    [["--broker", "mqtt://user:secret@host:port"], url],
    [["--broker", "mqtt://host:0"], /port 0/],
    [["--broker", "mqtt://:secret@host"], /password without a user/],
    [["--broker", "mqtt://user:secret%@host"], /write %25/],
    [["--broker", "mqtt://us%00er:secret@host"], /write %25/],
    [["--broker", "mqtt://%zz"], /write %25/],
    [["--cafile", "ca.pem"], /--cafile is for --broker mqtts/],
    [["--cafile", "ca.pem", "--broker", "mqtt://host"], /--cafile is for TLS: write --broker mqtts/],
    [["--cafile", "missing.pem", "--broker", "mqtts://host"], /cannot read the file of --cafile \(ENOENT/],
    [["--cafile", "package.json", "--broker", "mqtts://host"], /the file of --cafile is not a certificate in PEM/],
  ])("%j", (args, message) => {
    let error: unknown;
    try {
      readOptions(args, ROOT);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).message).toMatch(message);
    expect((error as Failure).message).not.toMatch(/secret|\n/);
  });

  it("right ones do not", () => {
    expect(readOptions(["-h"], ROOT)).toBeUndefined();
    expect(readOptions([], tmpdir())).toEqual({
      program: join(ROOT, "examples/nodemcu.ts"),
      name: "examples/nodemcu.ts",
      broker: undefined,
      pcap: undefined,
      seconds: 60,
      quiet: false,
    });
    const args = ["sensor.ts", "--pcap", "x.pcap", "--seconds", "2.5", "--quiet", "--broker"];
    expect(readOptions([...args, "mqtt://a%40b:c%3Ad@[::1]"], join(ROOT, "examples"))).toMatchObject({
      program: join(ROOT, "examples/sensor.ts"),
      name: "examples/sensor.ts",
      broker: {
        route: { host: "::1", port: 1883, secure: undefined },
        credentials: { username: "a@b", password: "c:d" },
      },
      pcap: join(ROOT, "examples/x.pcap"),
      seconds: 2.5,
      quiet: true,
    });
    expect(readOptions([...args, "mqtts://host"], join(ROOT, "examples"))).toMatchObject({
      broker: { route: { host: "host", port: 8883, secure: {} }, credentials: undefined },
    });
  });
});

describe("npm start with --broker", () => {
  it.concurrent("does the same with that broker", async () => {
    const result = await start(["--broker", `mqtt://127.0.0.1:${ports.open}`]);
    expectNodemcu(result);
    expect(result.stdout).toContain(`Broker: 127.0.0.1:${ports.open}.\n`);
    expect(linesOf(result, "network")[1]).toBe(`connected led to 127.0.0.1:${ports.open}`);
    expect(summaryOf(result)).toMatch(/will seen/);
  }, RUN_MS);

  it.concurrent("shows user and password of the URL to the broker, and the password to nobody else", async () => {
    const result = await start(["--broker", `mqtt://us%40er:pass%3Aword%2F1@localhost:${ports.guarded}`]);
    expectSuccess(result);
    expect(linesOf(result, "device ->")[0]).toContain('user "us@er", password ***,');
    expect(linesOf(result, "program")).toEqual(NODEMCU_LINES);
    expect(result.stdout).not.toMatch(/pass(:|%3A)word/);
    expect(logins.filter((login) => login === "us@er/pass:word/1").length).toBeGreaterThanOrEqual(2);
    expect(logins).not.toContain("user/password");
  }, RUN_MS);

  it.concurrent("speaks TLS to mqtts://, verified by --cafile, whatever the program asked for", async () => {
    const result = await start(["--broker", `mqtts://localhost:${ports.secure}`, "--cafile", join(folder, "ca.pem")]);
    expectNodemcu(result);
    expect(linesOf(result, "network")[1]).toBe(`connected led to localhost:${ports.secure}, TLS`);
  }, RUN_MS);

  it.concurrent("speaks no TLS to mqtt://, and says so to a program that asked for it", async () => {
    const result = await start(["--broker", `mqtt://localhost:${ports.open}`, "examples/secure.ts"]);
    expectSuccess(result);
    expect(linesOf(result, "network")[1]).toMatch(/, without TLS, since --broker says mqtt:\/\/$/);
    expect(summaryOf(result)).toMatch(/will seen/);
  }, RUN_MS);

  it.concurrent("does without the will where the broker does not let it be watched", async () => {
    const result = await start(["--broker", `mqtt://127.0.0.1:${ports.noSubscribe}`]);
    expectSuccess(result);
    expect(linesOf(result, "outside").at(-1)).toBe('subscribe "/lwt" QoS 0: refused');
    expect(summaryOf(result)).toMatch(/will not watched, as the broker does not allow it/);
  }, RUN_MS);
});

// What is said when a broker cannot be used.
const REFUSED_5 = /the broker at \S+ refused the login \(CONNACK 5, not authorized\): check user and password/;
const REFUSED_4 = /refused the login \(CONNACK 4, bad user name or password\): check user and password/;
const NO_BROKER = /no broker answers at localhost:\d+ \(.*ECONNREFUSED.*\): start it, or correct host and port/;
const NO_TLS = /no TLS with localhost:\d+ \(.*\): check --broker, or name its authority with --cafile/;
const HUNG_UP = /localhost:\d+ hung up without an answer: check the port in --broker; if .* mqtts:\/\//;
const NO_ANSWER = /localhost:\d+ does not answer as an MQTT broker: check the port in --broker; if .* mqtts:/;

describe("npm start with --broker fails when", () => {
  it.concurrent("the login is refused", async () => {
    const result = await start(["--broker", `mqtt://us%40er:secret@localhost:${ports.guarded}`]);
    expectFailure(result, REFUSED_5);
    expect(result.stderr).not.toContain("secret");
    expect(result.stdout).toBe("");
  }, RUN_MS);

  it.concurrent("nothing listens", async () => {
    const result = await start(["--broker", `mqtt://localhost:${others.none}`]);
    expectFailure(result, NO_BROKER);
    expect(result.stdout).toBe("");
  }, RUN_MS);

  it.concurrent("it refuses the program's own login", async () => {
    const result = await start(["--broker", `mqtt://localhost:${ports.pickyAboutUser}`]);
    expectFailure(result, REFUSED_5);
    expect(linesOf(result, "device <-")).toEqual(["CONNACK refused: 5, not authorized"]);
    expect(linesOf(result, "program")).toEqual(["print failed reason: 5"]);
  }, RUN_MS);

  it.concurrent("it does not pass on the message from outside", async () => {
    const result = await start(["--broker", `mqtt://localhost:${ports.noPublish}`]);
    expect(result.stderr).toMatch(/^mcu-mqtt: the (message to "\/topic" did not come|connection from outside)/);
    expect(result.status).toBe(1);
  }, RUN_MS);

  it.concurrent("it goes away in mid-run", async () => {
    const result = await start(["--broker", `mqtt://localhost:${others.dying}`]);
    expectFailure(result, /^mcu-mqtt: the connection from outside to the broker at localhost:\d+ was lost: /);
  }, RUN_MS);
});

describe("The client from outside says in one line why it cannot connect:", () => {
  function connect(...args: string[]): Promise<void> {
    const { broker } = readOptions(["--broker", ...args], folder)!;
    return new Outside(broker!, () => {}, () => {}).connect();
  }

  it.concurrent.each([
    ["there is no password", () => `mqtt://localhost:${ports.guarded}`, REFUSED_5],
    ["the user is not known", () => `mqtt://me:secret@localhost:${ports.badUser}`, REFUSED_4],
    ["nothing listens", () => `mqtt://localhost:${others.none}`, NO_BROKER],
    ["nothing listens with TLS", () => `mqtts://localhost:${others.none}`, NO_BROKER],
    ["there is no such host", () => "mqtt://no-such-host.invalid", /^cannot find the host "no-such-host.inv/],
    ["the certificate is not trusted", () => `mqtts://localhost:${ports.secure}`, NO_TLS],
    ["TLS meets none", () => `mqtts://localhost:${ports.open}`, NO_TLS],
    ["none meets TLS", () => `mqtt://localhost:${ports.secure}`, HUNG_UP],
    ["it hangs up", () => `mqtt://localhost:${others.closing}`, HUNG_UP],
    ["it is a web server", () => `mqtt://localhost:${others.web}`, NO_ANSWER],
    ["it is silent", () => `mqtt://localhost:${others.silent}`, NO_ANSWER],
  ])("%s", async (_title, url, message) => {
    const error: unknown = await connect(url()).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(Failure);
    expect((error as Failure).message).toMatch(message);
    expect((error as Failure).message).not.toMatch(/secret|\n/);
  }, RUN_MS);

  it.concurrent("the certificate is from another authority", async () => {
    await expect(connect(`mqtts://localhost:${ports.secure}`, "--cafile", "other.pem")).rejects.toThrow(NO_TLS);
  }, RUN_MS);
});
