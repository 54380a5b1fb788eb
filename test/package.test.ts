/**
 * The package as its users get it: packed, installed in an empty project elsewhere without a network, used from
 * JavaScript and TypeScript. Works on a copy of the sources, so that a dist folder here is neither needed nor touched.
 */
import { spawnSync } from "node:child_process";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync } from "node:fs";
import { rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { parse } from "acorn";
import ts from "typescript";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const LEFT_BEHIND = [".git", "node_modules", "dist", "coverage"];
const BUILD_MS = 180_000;
const RUN_MS = 60_000;
/** Modules that add to a client, and the classes in the board's file of each: its own, and those that they extend. */
const CLASSES: Record<string, string[]> = {
  outcomes: ["Link", "OutcomeLink"],
  queue: ["Link", "QueueLink"],
  snapshot: ["Snapshot"],
  streams: ["Link", "StreamLink"],
  subscriptions: ["Link", "Row", "Operation", "SubscriptionLink"],
  reconnect: ["Link", "Row", "Operation", "SubscriptionLink", "Target", "Settings", "ReconnectLink"],
  acknowledge: ["Acknowledger"],
  retry: ["Retry"],
  ping: ["Link", "PingLink"],
  password: [],
  times: [],
  protocols: ["Framer", "Decoder", "Encoder", "OldEncoder", "OldDecoder"],
  url: [],
  trace: ["Framer", "PacketFramer", "PacketReader", "Tracer", "TracedSocket"],
};
const OPTIONAL = Object.keys(CLASSES);

interface Manifest {
  exports: Record<string, string | Record<string, string>>;
  imports: Record<string, string | Record<string, string>>;
  dependencies?: object;
  optionalDependencies?: object;
  peerDependencies?: object;
  peerDependenciesMeta?: object;
  bundleDependencies?: object;
}

const EXPORT = ts.SyntaxKind.ExportKeyword;

let folder = "";
let source = "";
let consumer = "";
let installed = "";

function run(command: string, args: string[], cwd: string): string {
  // npm sets variables for the scripts it runs, which would point an npm inside a test back to this checkout.
  const env = Object.fromEntries(Object.entries(process.env).filter(([name]) => !/^npm_/i.test(name)));
  const shell = process.platform === "win32" && command === "npm";
  const result = spawnSync(command, args, { cwd, env, shell, encoding: "utf8" });
  if (result.error) {
    throw result.error;
  }
  if (result.status !== 0) {
    throw new Error(`${command} ${args.join(" ")}: status ${String(result.status)}\n${result.stdout}${result.stderr}`);
  }
  return result.stdout;
}

/** Runs a module, as a file in `cwd`, in a Node process of its own and returns what it printed. */
function runModule(code: string, cwd: string): string {
  const path = join(cwd, "module-under-test.mjs");
  writeFileSync(path, code);
  return run(process.execPath, [path], cwd);
}

function readJson<T>(path: string): T {
  return JSON.parse(readFileSync(path, "utf8")) as T;
}

/**
 * What each of the modules that add to a client does on the mock, alone and several together on one client.
 *
 * @param client where the client comes from, @param optional where a module comes from; as imported by the consumer
 */
function roundTrips(client: string, optional: (name: string) => string): string[] {
  const printed = runModule(
    `import { createMqtt, MQTT_3_1_1 } from "${client}";
    import { withOutcomes } from "${optional("outcomes")}";
    import { withQueuePolicy } from "${optional("queue")}";
    import { withSnapshot } from "${optional("snapshot")}";
    import { withStreams } from "${optional("streams")}";
    import { withSubscriptions } from "${optional("subscriptions")}";
    import { withReconnect } from "${optional("reconnect")}";
    import { withAcknowledge } from "${optional("acknowledge")}";
    import { withRetry } from "${optional("retry")}";
    import { withPing } from "${optional("ping")}";
    import { withPassword } from "${optional("password")}";
    import { withTimes } from "${optional("times")}";
    import { bridged, MQTT_3_1 } from "${optional("protocols")}";
    import { parseUrl, withUrl } from "${optional("url")}";
    import { describePacket, traced } from "${optional("trace")}";
    import { MockHal } from "mcu-mqtt/hal/mock";
    const options = { queueOffline: true, maxMessageLength: 128, rxCapacity: 128, txCapacity: 256, maxOperations: 3 };
    let hal;
    function make(add, { username = null, codec = MQTT_3_1_1, wrap = (inner) => inner } = {}) {
      hal = new MockHal();
      const client = add(createMqtt(wrap(hal), codec).Client("id", 60, username, null, 0, options));
      client.on("message", (_client, topic, data) => console.log("message", topic, data));
      client.on("puback", () => console.log("puback"));
      return client;
    }
    function connect(client) {
      client.connect("host");
      hal.socket.connect();
      hal.socket.takeSent();
      hal.socket.receive([0x20, 2, 0, 0], [0x30, 4, 0, 1, 0x74, 0x78]);
    }
    const sent = () => Buffer.from(hal.socket.takeSent()).toString("latin1").replace(/[^a-zA-Z0-9]/g, ".");
    const tell = (_client, outcome) => console.log(outcome);
    const outcomes = make(withOutcomes);
    connect(outcomes);
    console.log("outcomes", outcomes.publish("t", "1", 1));
    outcomes.outcome(tell);
    hal.socket.receive([0x40, 2, 0, 1]);
    const queue = make((client) => withQueuePolicy(client, { dropPolicy: "drop-oldest", maxAgeMs: 1000 }));
    console.log("queue", ...["1", "2", "3", "4"].map((data) => queue.publish("t", data)));
    queue.expire(10);
    hal.advance(20);
    connect(queue);
    console.log(sent());
    hal.settle();
    const before = make(withSnapshot);
    console.log("snapshot", before.publish("t", "kept", 1));
    const bytes = new Uint8Array(before.snapshotLength());
    console.log(before.snapshot(bytes) === bytes.length);
    const after = make(withSnapshot);
    console.log(after.restore(bytes));
    connect(after);
    console.log(sent());
    const streams = make((client) => withStreams(client, 4));
    connect(streams);
    const source = {
      byteLength: 10,
      read: (offset, into, start, end) => into.fill(97 + offset, start, end) && end - start,
    };
    console.log("streams", streams.publishFrom("t", source, 1), sent());
    hal.socket.receive([0x40, 2, 0, 1]);
    console.log(streams.beginPublish("t", 3), streams.write(Buffer.from("end")), sent());
    hal.settle();
    const all = make((client) => withStreams(withSnapshot(withQueuePolicy(withOutcomes(client), {
      dropPolicy: "drop-oldest",
    }))));
    console.log("all", ...["1", "2", "3", "4"].map((data) => all.publish("t", data) && !all.outcome(tell)));
    hal.settle();
    connect(all);
    console.log(sent());
    hal.settle();
    console.log(all.publishFrom("t", source), !all.outcome(tell), sent());
    hal.settle();
    const taken = () => hal.settle() ?? [...hal.socket.takeSent()].join(" ");
    function accept() {
      hal.socket.connect();
      const connect = sent();
      hal.socket.receive([0x20, 2, 0, 0]);
      hal.settle();
      return connect;
    }
    const subscriptions = make(withSubscriptions);
    connect(subscriptions);
    console.log("subscriptions", subscriptions.subscribe({ a: 1, b: 0 }), taken().length > 0);
    hal.socket.receive([0x90, 4, 0, 1, 1, 0x80]);
    console.log(JSON.stringify(subscriptions.subscriptions()));
    const hosts = [{ host: "a" }, { host: "b", port: 1884 }];
    const again = make((client) => withReconnect(client, { hosts, minDelayMs: 100, random: () => 1 }));
    again.onState((_client, state, { host, port, round, delayMs, reason }) =>
      console.log(state, host, port, round, delayMs, reason));
    again.onRenewal((_client, filter, code) => console.log("renewal", filter, code));
    console.log("reconnect", again.connect());
    hal.socket.fail("refused");
    hal.settle();
    accept();
    console.log(again.subscribe("again", 1), sent());
    hal.socket.receive([0x90, 3, 0, 1, 1]);
    hal.socket.reset();
    hal.advance(100);
    accept();
    console.log(sent());
    hal.socket.receive([0x90, 3, 0, 2, 0]);
    hal.settle();
    console.log(again.state, JSON.stringify(again.subscriptions()));
    const acknowledge = make((client) => withAcknowledge(client, { autoAck: "never" }));
    acknowledge.onPubrel((_client, packetId) => console.log("pubrel", packetId, acknowledge.pubcomp(packetId)));
    connect(acknowledge);
    hal.socket.receive([0x32, 6, 0, 1, 0x74, 0, 5, 0x79], [0x34, 6, 0, 1, 0x74, 0, 6, 0x7a]);
    console.log("acknowledge", taken(), acknowledge.pubrec(6), acknowledge.puback(5), acknowledge.puback(5), taken());
    hal.socket.receive([0x62, 2, 0, 6]);
    console.log(taken());
    const retry = make((client) => withRetry(client, { retryIntervalMs: 1000 }));
    connect(retry);
    console.log("retry", retry.publish("t", "x", 1), taken());
    hal.advance(1000);
    console.log(taken());
    const ping = make((client) => withPing(client, { forcePing: 1 }));
    connect(ping);
    console.log("ping", ping.ping((_client, isThere) => console.log(isThere)), taken());
    hal.socket.receive([0xd0, 0]);
    hal.settle();
    const password = make((client) => withPassword(client, () => "secret"), { username: "user" });
    console.log("password", password.connect("host"), accept());
    const times = make((client) => withTimes(client, { connack: 1, keepAlive: 0 }));
    times.connect("host");
    hal.socket.connect();
    console.log("times", taken());
    const old = make((client) => client, { codec: MQTT_3_1 });
    console.log("protocols", old.connect("host"), accept(), old.subscribe("t", 2), taken());
    hal.socket.receive([0x90, 3, 0, 1, 2], [0x34, 6, 0, 1, 0x74, 0, 6, 0x7a]);
    console.log(taken());
    const bridge = make((client) => client, { codec: bridged(MQTT_3_1_1) });
    bridge.connect("host");
    hal.socket.connect();
    console.log(taken());
    const url = make(withUrl);
    console.log("url", url.connect("mqtts://[::1]"), hal.socket.host, hal.socket.port);
    console.log(parseUrl("wss://u:p%40@h/p?q").password);
    const trace = make((client) => client, {
      wrap: (inner) => traced(inner, (packet) => console.log(describePacket(packet)), { payload: true }),
    });
    connect(trace);
    console.log("trace", trace.publish("t", "x", 1));
    hal.settle();
    let count = 0;
    const whole = make(
      (client) => withUrl(withReconnect(withPing(withRetry(withAcknowledge(withStreams(withSnapshot(withQueuePolicy(
        withOutcomes(withPassword(withTimes(client, { connack: 1 }), () => "secret")), { dropPolicy: "drop-oldest" },
      ))))), { forcePing: 1 }))),
      { username: "user", codec: bridged(MQTT_3_1), wrap: (inner) => traced(inner, () => count++) },
    );
    console.log("whole", whole.connect("mqtt://host:1884"), hal.socket.port, accept());
    whole.publish("t", "x", 1);
    whole.outcome(tell);
    whole.subscribe("f", 1);
    console.log(sent(), whole.ping(() => console.log("pong")), taken());
    hal.socket.receive([0x40, 2, 0, 1], [0x90, 3, 0, 2, 1], [0xd0, 0], [0x32, 6, 0, 1, 0x74, 0, 5, 0x79]);
    console.log(taken(), whole.puback(5), taken(), JSON.stringify(whole.subscriptions()), whole.state, count);`,
    consumer,
  );
  return printed.trim().split("\n");
}

/** What `roundTrips` returns. */
const ROUND_TRIPS = [
  "message t x",
  "outcomes true",
  "puback",
  "delivered",
  "queue true true true true",
  "message t x",
  "puback",
  "puback",
  "0...t20...t3",
  "snapshot true",
  "true",
  "1",
  "message t x",
  "2...t..kept",
  "message t x",
  "streams true 2...t..aaaaeeeeii",
  "puback",
  "true 3 0...tend",
  "puback",
  "all true true true true",
  "dropped",
  "message t x",
  "puback",
  "delivered",
  "puback",
  "delivered",
  "puback",
  "delivered",
  "0...t20...t30...t4",
  "true true 0...taaaaaaaaaa",
  "puback",
  "delivered",
  "message t x",
  "subscriptions true true",
  '{"a":1}',
  "reconnect true",
  "connecting a 1883 0 0 0",
  "connecting b 1884 0 0 0",
  "connected b 1884 0 0 0",
  "true ......again.",
  "waiting b 1884 1 100 -10",
  "connecting a 1883 1 0 0",
  "connected a 1883 1 0 0",
  "......again.",
  "renewal again 0",
  'connected {"again":0}',
  "message t x",
  "message t y",
  "message t z",
  "acknowledge  true true false 80 2 0 6 64 2 0 5",
  "pubrel 6 true",
  "112 2 0 6",
  "message t x",
  "retry true 50 6 0 1 116 0 1 120",
  "58 6 0 1 116 0 1 120",
  "message t x",
  "ping true 192 0",
  "true",
  "password true ....MQTT......id..user..secret",
  "times 16 14 0 4 77 81 84 84 4 0 0 0 0 2 105 100",
  "protocols true ....MQIsdp......id true 130 6 0 1 0 1 116 2",
  "message t z",
  "80 2 0 6",
  "16 14 0 4 77 81 84 84 132 0 0 60 0 2 105 100",
  "url true ::1 8883",
  "p@",
  "sent CONNECT",
  "received CONNACK (ReturnCode=0, SessionPresent=0)",
  "received PUBLISH (Q0, R0, D0, Topic=t, Payload=x)",
  "message t x",
  "sent PUBLISH (Q1, R0, D0, Topic=t, PacketId=1, Payload=x)",
  "trace true",
  "whole true 1884 ....MQIsdp......id..user..secret",
  "2...t..x......f. true 192 0",
  "puback",
  "delivered",
  "pong",
  "message t y",
  ' true 64 2 0 5 {"f":1} connected 10',
];

/** A file of dist as a module that runs here: what comes from the SDK is not called. */
function withoutSdk(name: string): string {
  const code = readFileSync(join(installed, "dist", `${name}.js`), "utf8");
  return code.replace(/import (\w+) from\s?"[^"]+";/g, "class $1 {}");
}

function withoutComments(code: string): string {
  const file = ts.createSourceFile("module.ts", code, ts.ScriptTarget.ES2022);
  return ts.createPrinter({ removeComments: true }).printFile(file);
}

/** What a module in TypeScript is known by: names that it exports and that its types have, and its longer texts. */
function namesAndTexts(code: string): string[] {
  const found = new Set<string>();
  const visit = (node: ts.Node): void => {
    const isExported = ts.canHaveModifiers(node) && ts.getModifiers(node)?.some((each) => each.kind === EXPORT);
    if (ts.isFunctionDeclaration(node) && isExported && node.name) found.add(node.name.text);
    if (ts.isTypeElement(node) && node.name && ts.isIdentifier(node.name)) found.add(node.name.text);
    if (ts.isVariableStatement(node) && isExported) node.declarationList.declarations.forEach(addName);
    if (ts.isStringLiteralLike(node) && !ts.isImportDeclaration(node.parent)) found.add(node.text);
    ts.forEachChild(node, visit);
  };
  const addName = (node: ts.VariableDeclaration): void => void found.add((node.name as ts.Identifier).text);
  visit(ts.createSourceFile("module.ts", code, ts.ScriptTarget.ES2022, true));
  return [...found].filter((each) => each.length > 3);
}

/** Paths of all files below `top`, relative to it, with "/". */
function filesBelow(top: string): string[] {
  return readdirSync(top, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(top, join(entry.parentPath, entry.name)).split(sep).join("/"))
    .sort();
}

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-package-"));
  source = join(folder, "source");
  consumer = join(folder, "consumer");
  installed = join(consumer, "node_modules", "mcu-mqtt");
  cpSync(ROOT, source, {
    recursive: true,
    filter: (path) => !LEFT_BEHIND.includes(relative(ROOT, path).split(sep)[0] ?? ""),
  });
  symlinkSync(join(ROOT, "node_modules"), join(source, "node_modules"), "junction");
  // With the scripts, as "publishConfig" has it for publishing: "prepack" makes dist. .npmrc leaves them out.
  run("npm", ["pack", "--ignore-scripts=false", "--pack-destination", ".."], source);
  const tarball = readdirSync(folder).find((name) => name.endsWith(".tgz")) ?? "";
  mkdirSync(consumer);
  writeFileSync(join(consumer, "package.json"), JSON.stringify({ name: "consumer", private: true }));
  run("npm", ["install", "--offline", "--no-audit", "--no-fund", `../${tarball}`], consumer);
}, BUILD_MS);

afterAll(() => {
  if (folder) {
    rmSync(folder, { recursive: true, force: true });
  }
});

describe("the packed package", () => {
  it("has dist and the documents, neither sources nor the Moddable manifest", () => {
    const tops = new Set(filesBelow(installed).map((path) => path.split("/")[0]));
    const allowed = ["CHANGELOG.md", "LICENSE", "README.md", "dist", "package.json"];
    expect([...tops].filter((top) => !allowed.includes(top ?? ""))).toEqual([]);
    expect(tops).toContain("dist");
    expect(tops).toContain("LICENSE");
    expect(existsSync(join(installed, "manifest.json"))).toBe(false);
  });

  it("depends on nothing, and on ws only for WebSocket", () => {
    const manifest = readJson<Manifest>(join(installed, "package.json"));
    expect(manifest.dependencies ?? {}).toEqual({});
    expect(manifest.optionalDependencies ?? {}).toEqual({});
    expect(manifest.peerDependencies).toEqual({ ws: "^8.17.0" });
    expect(manifest.peerDependenciesMeta).toEqual({ ws: { optional: true } });
    expect(manifest.bundleDependencies ?? []).toEqual([]);
    expect(readdirSync(join(consumer, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["mcu-mqtt"]);
  });

  it("names every entry point, without wildcards, types first, each file there", () => {
    const manifest = readJson<Manifest>(join(installed, "package.json"));
    expect(Object.keys(manifest.exports)).toEqual([
      ".",
      "./core",
      "./core5",
      "./client",
      "./esp8266",
      "./store",
      "./esp8266/store",
      "./v5",
      "./esp8266/v5",
      "./auth",
      "./request",
      "./names",
      "./trace5",
      "./scram",
      "./async",
      "./websocket",
      "./tls",
      ...OPTIONAL.map((name) => `./${name}`),
      "./hal",
      "./hal/node",
      "./hal/mock",
      "./package.json",
    ]);
    for (const [name, conditions] of Object.entries(manifest.exports)) {
      const targets = typeof conditions === "string" ? [conditions] : Object.values(conditions);
      if (typeof conditions === "object") {
        expect([name, Object.keys(conditions)[0]]).toEqual([name, "types"]);
        expect([name, Object.keys(conditions).at(-1)]).toEqual([name, "default"]);
      }
      for (const target of targets) {
        expect(target).not.toContain("*");
        expect([target, existsSync(join(installed, target))]).toEqual([target, true]);
      }
    }
  });
});

describe("from JavaScript", () => {
  it("imports every entry point", () => {
    const printed = runModule(
      `const shape = {};
      const optional = ${JSON.stringify(OPTIONAL.map((name) => `/${name}`))};
      const of5 = ["/core5", "/v5", "/auth", "/request", "/names", "/trace5", "/scram"];
      const others = ["/core", "/client", "/store", "/async", "/tls", "/hal/node", "/hal/mock"];
      for (const name of ["", ...others, ...of5, ...optional]) {
        const module = await import("mcu-mqtt" + name);
        shape[name] = Object.fromEntries(Object.keys(module).map((key) => [key, typeof module[key]]));
      }
      const { default: mqtt } = await import("mcu-mqtt");
      shape.mqtt = { Client: typeof mqtt.Client, CONNACK_ACCEPTED: mqtt.CONNACK_ACCEPTED };
      console.log(JSON.stringify(shape));`,
      consumer,
    );
    const shape = JSON.parse(printed) as Record<string, object>;
    expect(shape[""]).toMatchObject({ default: "object" });
    expect(shape["mqtt"]).toEqual({ Client: "function", CONNACK_ACCEPTED: 0 });
    expect(shape["/client"]).toMatchObject({ createMqtt: "function" });
    expect(shape["/outcomes"]).toEqual({ withOutcomes: "function" });
    expect(shape["/queue"]).toEqual({ withQueuePolicy: "function" });
    expect(shape["/snapshot"]).toMatchObject({ withSnapshot: "function", SNAPSHOT_SHORT: "number" });
    expect(shape["/streams"]).toMatchObject({ withStreams: "function", END_SOURCE: "number" });
    expect(shape["/subscriptions"]).toMatchObject({ withSubscriptions: "function" });
    expect(shape["/reconnect"]).toMatchObject({ withReconnect: "function" });
    expect(shape["/acknowledge"]).toEqual({ withAcknowledge: "function" });
    expect(shape["/retry"]).toEqual({ withRetry: "function" });
    expect(shape["/ping"]).toEqual({ withPing: "function" });
    expect(shape["/password"]).toEqual({ withPassword: "function" });
    expect(shape["/times"]).toEqual({ withTimes: "function" });
    expect(shape["/protocols"]).toEqual({ bridged: "function", MQTT_3_1: "object" });
    expect(shape["/url"]).toMatchObject({ parseUrl: "function", withUrl: "function" });
    expect(shape["/trace"]).toMatchObject({ describePacket: "function", traced: "function" });
    expect(shape["/async"]).toMatchObject({ createClient: "function", AsyncClient: "function", MqttError: "function" });
    expect(shape["/v5"]).toMatchObject({ default: "object", createMqtt5: "function", MQTT_5: "object" });
    expect(shape["/auth"]).toEqual({ withAuth: "function" });
    expect(shape["/request"]).toMatchObject({ withRequests: "function" });
    expect(shape["/names"]).toMatchObject({ nameOfReason: "function", NOT_AUTHORIZED: "number" });
    expect(shape["/trace5"]).toEqual({ readMqtt5: "function" });
    expect(shape["/scram"]).toMatchObject({ scram: "function" });
    expect(shape["/core5"]).toMatchObject({ Decoder5: "function", ServerEncoder5: "function", Session5: "function" });
    expect(shape["/tls"]).toMatchObject({ tlsOptions: "function" });
    expect(shape["/hal/node"]).toMatchObject({ default: "object" });
    expect(shape["/store"]).toEqual({ openStore: "function" });
    expect(Object.keys(shape["/core"] ?? {})).not.toEqual([]);
    expect(Object.keys(shape["/hal/mock"] ?? {})).not.toEqual([]);
  }, RUN_MS);

  it("has modules that add to a client", () => {
    expect(roundTrips("mcu-mqtt/client", (name) => `mcu-mqtt/${name}`)).toEqual(ROUND_TRIPS);
  }, RUN_MS);

  it("does WebSocket where ws is installed beside it, and names ws where it is not", () => {
    const attempt = `import("mcu-mqtt/websocket").catch((error) => console.log(error.code, error.message))`;
    expect(runModule(attempt, consumer)).toMatch(/^ERR_MODULE_NOT_FOUND Cannot find package 'ws'/);
    const other = join(folder, "consumer-with-ws");
    // A copy, since what is imported is looked for beside the real file.
    cpSync(installed, join(other, "node_modules", "mcu-mqtt"), { recursive: true });
    symlinkSync(join(ROOT, "node_modules", "ws"), join(other, "node_modules", "ws"), "junction");
    const printed = runModule(
      `import { once } from "node:events";
      import { createServer } from "node:http";
      import { WebSocketServer } from "ws";
      import { createMqtt, MQTT_3_1_1 } from "mcu-mqtt/client";
      import hal, { createWebSocketHal } from "mcu-mqtt/websocket";
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      new WebSocketServer({ server }).on("connection", (socket) => socket.on("message", (data) => {
        if (data[0] === 0x10) socket.send(Buffer.of(0x20, 2, 0, 0));
        else console.log("DISCONNECT", ...data);
      }));
      const m = createMqtt(hal, MQTT_3_1_1).Client("packed", 60);
      m.on("offline", () => server.close(() => console.log("closed")));
      m.connect("ws://127.0.0.1/mqtt", server.address().port, 0, () => console.log("connected", m.close()));
      console.log(hal.webSocket, typeof createWebSocketHal);`,
      other,
    );
    expect(printed.trim().split("\n")).toEqual(["true function", "connected true", "DISCONNECT 224 0", "closed"]);
  }, RUN_MS);

  it("has a client with promises", () => {
    const printed = runModule(
      `import { createServer } from "node:net";
      import { once } from "node:events";
      import { createClient, MqttError } from "mcu-mqtt/async";
      // Answers each packet, and sends back what is published at QoS 1.
      const server = createServer((socket) => socket.on("data", (data) => {
        for (let at = 0; at < data.length; at += 2 + data[at + 1]) {
          const body = data.subarray(at + 2, at + 2 + data[at + 1]);
          const type = data[at] >> 4;
          if (type === 1) socket.write(Buffer.of(0x20, 2, 0, 0));
          if (type === 3) {
            const idAt = 2 + body[1];
            const message = [body.subarray(0, idAt), body.subarray(idAt + 2)];
            socket.write(Buffer.of(0x40, 2, body[idAt], body[idAt + 1]));
            socket.write(Buffer.concat([Buffer.of(0x30, body.length - 2), ...message]));
          }
          if (type === 8) socket.write(Buffer.of(0x90, 3, body[0], body[1], 1));
          if (type === 12) socket.write(Buffer.of(0xd0, 0));
        }
      }));
      await once(server.listen(0, "127.0.0.1"), "listening");
      const { port } = server.address();
      const client = createClient({ host: "mqtt://127.0.0.1:" + port, clientid: "packed" });
      const say = (what) => console.log(JSON.stringify(what));
      say(await client.connect());
      const messages = client.messages();
      say(await client.subscribe("t", { qos: 1 }));
      const publication = client.publish("t", "x", { qos: 1 });
      say([publication.packetId, await publication]);
      for await (const { topic, payload } of messages) {
        say([topic, Buffer.from(payload).toString()]);
        break;
      }
      await client.ping();
      await client.disconnect();
      server.close();
      await once(server, "close");
      say(await client.connect().catch((error) => [error instanceof MqttError, error.name, error.reason]));`,
      consumer,
    );
    expect(printed.trim().split("\n").map((line) => JSON.parse(line) as unknown)).toEqual([
      { sessionPresent: false },
      [{ filter: "t", reasonCode: 1 }],
      [2, { packetId: 2, outcome: "delivered" }],
      ["t", "x"],
      [true, "MqttError", -5],
    ]);
  }, RUN_MS);

  it("refuses what is not an entry point", () => {
    const attempt = `import("mcu-mqtt/dist/board.js").catch((error) => console.log(error.code))`;
    expect(runModule(attempt, consumer).trim()).toBe("ERR_PACKAGE_PATH_NOT_EXPORTED");
  }, RUN_MS);

  it("reaches the network through Node's HAL, and the program ends by itself", () => {
    const printed = runModule(
      `import { createServer } from "node:net";
      import { once } from "node:events";
      import mqtt from "mcu-mqtt";
      const server = createServer().listen(0, "127.0.0.1");
      await once(server, "listening");
      const { port } = server.address();
      server.close();
      await once(server, "close");
      const m = mqtt.Client("packed", 60);
      m.connect("127.0.0.1", port, 0, () => console.log("connected"), (client, reason) => {
        console.log(client === m, reason === mqtt.CONN_FAIL_SERVER_NOT_FOUND);
      });`,
      consumer,
    );
    expect(printed.trim()).toBe("true true");
  }, RUN_MS);
});

describe("from TypeScript", () => {
  const program = `
    import mqtt from "mcu-mqtt";
    import * as core from "mcu-mqtt/core";
    import { MQTT_3_1_1, createMqtt } from "mcu-mqtt/client";
    import type { Hal } from "mcu-mqtt/client";
    import { withOutcomes } from "mcu-mqtt/outcomes";
    import type { Outcome } from "mcu-mqtt/outcomes";
    import { withQueuePolicy } from "mcu-mqtt/queue";
    import { SNAPSHOT_SHORT, withSnapshot } from "mcu-mqtt/snapshot";
    import { withStreams } from "mcu-mqtt/streams";
    import type { Source } from "mcu-mqtt/streams";
    import { withSubscriptions } from "mcu-mqtt/subscriptions";
    import type { ConnectionState } from "mcu-mqtt/reconnect";
    import { withReconnect } from "mcu-mqtt/reconnect";
    import { withAcknowledge } from "mcu-mqtt/acknowledge";
    import { withRetry } from "mcu-mqtt/retry";
    import { withPing } from "mcu-mqtt/ping";
    import { withPassword } from "mcu-mqtt/password";
    import { withTimes } from "mcu-mqtt/times";
    import { bridged, MQTT_3_1 } from "mcu-mqtt/protocols";
    import { parseUrl, withUrl } from "mcu-mqtt/url";
    import { describePacket, traced } from "mcu-mqtt/trace";
    import { AsyncClient, createClient } from "mcu-mqtt/async";
    import type { AsyncOptions, Message } from "mcu-mqtt/async";
    import * as mock from "mcu-mqtt/hal/mock";
    import { openStore } from "mcu-mqtt/store";
    import type { Store } from "mcu-mqtt/store";
    import * as esp8266 from "mcu-mqtt/esp8266/store";

    export const accepted: number = mqtt.CONNACK_ACCEPTED;
    export const m = mqtt.Client("typed", 60);
    export const started: boolean = m.connect("localhost", 1883, 0, (client) => {
      const queued: boolean = client.publish("/topic", "hello", 1, 0);
      return queued;
    }, (client, reason) => {
      const code: number = reason;
      client.close();
      return code;
    });
    m.on("message", (client, topic, data) => {
      const text: string = topic;
      return [client, text, data];
    });
    export const port = (hal: Hal) => createMqtt(hal, MQTT_3_1_1).Client("ported");
    export const stores: Store[] = [openStore("storage"), esp8266.openStore("storage"), new mock.MockStore()];
    export type Core = typeof core;
    export type Mock = typeof mock;

    const added = withStreams(withSnapshot(withQueuePolicy(withOutcomes(m), { dropPolicy: "drop-oldest" })), 512);
    added.outcome((client, outcome: Outcome) => client.publish("/outcome", outcome));
    added.expire(1000);
    export const isShort: boolean = added.restore(new Uint8Array(added.snapshotLength())) === SNAPSHOT_SHORT;
    const source: Source = { byteLength: 1, read: (offset, bytes, start, end) => end - start };
    export const isQueued: boolean = added.publishFrom("/topic", source, 1);

    const more = withUrl(withReconnect(withPing(withRetry(withAcknowledge(withPassword(withTimes(m, { connack: 1 }),
      () => "secret"), { autoAck: false }), { retryIntervalMs: 1000 }), { forcePing: 1 }), { hosts: [{ host: "a" }] }));
    export const state: ConnectionState = more.state;
    export const granted: Record<string, number> = withSubscriptions(m, {}).subscriptions();
    export const isSent: boolean = more.puback(1) && more.ping((client, isThere: boolean) => client.close());
    export const isBegun: boolean = more.connect("mqtts://localhost", () => {}) || more.connect("localhost", 1883);
    export const old = (hal: Hal) => createMqtt(traced(hal, (packet) => {
      const line: string = describePacket(packet);
      return line;
    }), bridged(MQTT_3_1)).Client(parseUrl("mqtt://host").username);

    const settings: AsyncOptions = { host: "localhost", clientid: "typed", reconnect: Infinity };
    export async function run(): Promise<string[]> {
      const client: AsyncClient = createClient(settings);
      const present: boolean = (await client.connect({ timeout: 5 })).sessionPresent;
      const { packetId, outcome } = await client.publish("t", "x", { qos: "at_least_once" });
      const topics: string[] = [outcome, String(packetId + 1), String(present)];
      for await (const message of client.messages()) {
        const { topic }: Message = message;
        topics.push(topic);
      }
      return topics;
    }

    // @ts-expect-error: no such state
    export const wrongState: ConnectionState = "up";
    // @ts-expect-error: PUBREL is the application's to hear of only with this
    withPing(m).onPubrel(null);
    // @ts-expect-error: a table of options
    withRetry(m, 1000);
    // @ts-expect-error: emqtt's names in camelCase
    createClient({ clean_start: true });
    // @ts-expect-error: what the modules of the library use is not public
    m.connection;
    // @ts-expect-error: nor this
    m.topicName("t");
    // @ts-expect-error: no such policy
    withQueuePolicy(m, { dropPolicy: "drop-newest" });
    // @ts-expect-error: no such event
    m.on("mesage", () => {});
    // @ts-expect-error: topic and payload in the wrong place
    m.publish({}, 1, "0");
    // @ts-expect-error: the HAL is needed
    createMqtt();
  `;

  const programOfNode = `
    import { MQTT_3_1_1, createMqtt } from "mcu-mqtt/client";
    import hal from "mcu-mqtt/hal/node";
    import { createWebSocketHal } from "mcu-mqtt/websocket";
    import { tlsOptions } from "mcu-mqtt/tls";

    export const own = createMqtt(hal, MQTT_3_1_1);
    const webSocket = createWebSocketHal(hal, { wsHeaders: { "user-agent": "typed" }, tcpOpts: { family: 4 } });
    createMqtt(webSocket, MQTT_3_1_1).Client("typed").connect("ws://localhost", 443, tlsOptions({ verify: true }));
  `;

  function typeCheck(name: string, code: string, options: object): string {
    const project = join(consumer, name);
    mkdirSync(project, { recursive: true });
    writeFileSync(join(project, "package.json"), JSON.stringify({ type: "module" }));
    writeFileSync(join(project, "program.ts"), code);
    const compilerOptions = {
      target: "es2022",
      lib: ["es2022"],
      types: [],
      strict: true,
      noEmit: true,
      // Declarations that lean on something the user does not have would show here.
      skipLibCheck: false,
      ...options,
    };
    writeFileSync(join(project, "tsconfig.json"), JSON.stringify({ compilerOptions, files: ["program.ts"] }));
    return run(process.execPath, [join(ROOT, "node_modules", "typescript", "bin", "tsc"), "-p", "."], project);
  }

  it("type checks with moduleResolution nodenext, without Node's types", () => {
    expect(typeCheck("nodenext", program, { module: "nodenext", moduleResolution: "nodenext" })).toBe("");
  }, RUN_MS);

  it("type checks with moduleResolution bundler, without Node's types", () => {
    expect(typeCheck("bundler", program, { module: "esnext", moduleResolution: "bundler" })).toBe("");
  }, RUN_MS);

  it("type checks Node's HAL with Node's types", () => {
    const types = { types: ["node"], typeRoots: [join(ROOT, "node_modules", "@types")] };
    const options = { module: "nodenext", moduleResolution: "nodenext", ...types };
    expect(typeCheck("node", programOfNode, options)).toBe("");
  }, RUN_MS);
});

describe("the board's file", () => {
  interface Bundle {
    code: string;
    /** Source files with code in the bundle, relative to the root. */
    contents: string[];
    /** Source files that were read for it. */
    read: string[];
  }
  let bundle: Bundle;
  let packed = "";

  beforeAll(() => {
    packed = readFileSync(join(installed, "dist", "board.js"), "utf8");
    const printed = runModule(
      `import { relative, sep } from "node:path";
      import { rollup } from "rollup";
      import { entries, minified, root } from "./rollup.shared.js";
      const path = (id) => relative(root, id).split(sep).join("/");
      const { output, ...options } = minified(entries.client);
      const bundle = await rollup(options);
      const [chunk] = (await bundle.generate(output)).output;
      const contents = Object.keys(chunk.modules).filter((id) => chunk.modules[id].renderedLength > 0).map(path);
      console.log(JSON.stringify({ code: chunk.code, contents, read: bundle.watchFiles.map(path) }));`,
      source,
    );
    bundle = JSON.parse(printed) as Bundle;
  }, RUN_MS);

  it("imports nothing and is a module of ECMAScript 2020", () => {
    const types = parse(packed, { ecmaVersion: 2020, sourceType: "module" }).body.map((statement) => statement.type);
    expect(types).not.toContain("ImportDeclaration");
    expect(types).not.toContain("ExportAllDeclaration");
    expect(packed.match(/\b(import|require)\b/)?.[0]).toBeUndefined();
  });

  it("has no byte of the broker's direction, of a HAL or of the mock", () => {
    // What is known of the bundle holds for the packed file, since they are the same.
    expect(packed.trim() === bundle.code.trim()).toBe(true);
    expect(bundle.contents).toContain("src/client.ts");
    expect(bundle.contents.filter((path) => /server/.test(path) || !path.startsWith("src/"))).toEqual([]);
    expect(existsSync(join(source, "src", "server-codec.ts"))).toBe(true);
  });

  it("has no source, name or text of the modules that add to a client, and no byte more than is said", () => {
    expect(bundle.read).toContain("src/session.ts");
    expect(bundle.read.filter((path) => /^src\/(?:optional|async|v5)\//.test(path))).toEqual([]);
    const base = filesBelow(join(source, "src")).filter((path) => !path.includes("/"))
      .map((path) => withoutComments(readFileSync(join(source, "src", path), "utf8"))).join("\n");
    for (const name of OPTIONAL) {
      // What can be told from what the client says itself.
      const own = namesAndTexts(readFileSync(join(source, "src", "optional", `${name}.ts`), "utf8"))
        .filter((each) => !base.includes(each));
      const board = readFileSync(join(installed, "dist", "board", `${name}.js`), "utf8");
      expect([name, own.filter((each) => board.includes(each)).length > 0]).toEqual([name, true]);
      expect([name, own.filter((each) => packed.includes(each))]).toEqual([name, []]);
    }
    const sizes = readJson<Record<string, { minified: number }>>(join(ROOT, "bench", "size.json"));
    expect(Buffer.byteLength(bundle.code)).toBeLessThanOrEqual(sizes["mcu-mqtt/client"].minified);
  });

  it("leaves no private name unshortened", () => {
    expect(packed.match(/\._\w{3,}/g)).toBeNull();
  });

  it("works on a HAL of the application's, though the names of its own members are shortened", () => {
    const said = runModule(
      `import { createMqtt, MQTT_3_1_1 } from "./node_modules/mcu-mqtt/dist/board.js";
      import { MockHal } from "mcu-mqtt/hal/mock";
      const hal = new MockHal();
      const mqtt = createMqtt(hal, MQTT_3_1_1);
      const say = (name) => (client, ...rest) =>
        console.log(name, client === m, ...rest.map((one) => JSON.stringify(one)));
      const m = new mqtt.Client("id", 60, "user", "secret", 0, { format: "buffer", maxInflight: 3, rxCapacity: 256 });
      for (const event of ["offline", "message", "overflow", "unsuback"]) m.on(event, say(event));
      m.lwt("will", "gone", 1, 1);
      console.log(m.connect("host", 1884, { ca: "x" }, 0, say("connect"), say("connfail")), hal.socket.port);
      hal.socket.connect();
      console.log(Buffer.from(hal.socket.takeSent()).toString("latin1").replace(/[^a-zA-Z]/g, "."));
      hal.socket.receive([0x20, 2, 1, 0]);
      console.log(m.connected, m.subscribe({ a: 1, b: 2 }, say("suback")), m.publish("t", "x", 2, 1, say("puback")));
      console.log(m.unsubscribe("a"), ...hal.socket.takeSent());
      hal.socket.receive([0x90, 4, 0, 1, 1, 0x80, 0x50, 2, 0, 2, 0x70, 2, 0, 2, 0xb0, 2, 0, 3]);
      hal.socket.receive([0x34, 6, 0, 1, 0x74, 0, 9, 7, 0x62, 2, 0, 9]);
      console.log(...hal.socket.takeSent());
      console.log(m.close(), ...hal.socket.takeSent());
      hal.settle();
      try {
        m.publish("#", "x");
      } catch (error) {
        console.log(error.message);
      }
      console.log(mqtt.CONN_FAIL_DNS, m instanceof mqtt.Client, hal.uncaughtErrors.length);`,
      consumer,
    );
    expect(said.trim().split("\n")).toEqual([
      "true 1884",
      "....MQTT......id..will..gone..user..secret",
      "connect true true",
      "true true true",
      "true 130 10 0 1 0 1 97 1 0 1 98 2 53 6 0 1 116 0 2 120 162 5 0 3 0 1 97",
      'suback true {"0":1,"1":128}',
      "puback true",
      "unsuback true",
      'message true "t" {"0":7} {"qos":2,"retain":false,"dup":false,"packetId":9}',
      "98 2 0 2 80 2 0 9 112 2 0 9",
      "true 224 0",
      "offline true 0",
      'topic must be a name without + # or U+0000, not empty, not "#"',
      "-3 true 0",
    ]);
  }, RUN_MS);
});

describe("the board's files of the modules that add to a client", () => {
  interface Part {
    code: string;
    /** The same, before it was minified. */
    plain: string;
    /** Source files with code in it, relative to the root. */
    contents: string[];
  }
  const parts: Record<string, Part> = {};
  const path = (name: string): string => `./node_modules/mcu-mqtt/dist/${name}.js`;

  beforeAll(() => {
    const printed = runModule(
      `import { relative, sep } from "node:path";
      import { rollup } from "rollup";
      import { bundled, entries, minified, optional, root } from "./rollup.shared.js";
      const parts = {};
      for (const name of optional) {
        const [{ code, modules }, plain] = await Promise.all([minified, bundled].map(async (make) => {
          const { output, ...options } = make(entries[name]);
          return (await (await rollup(options)).generate(output)).output[0];
        }));
        const contents = Object.keys(modules).filter((id) => modules[id].renderedLength > 0);
        const paths = contents.map((id) => relative(root, id).split(sep).join("/"));
        parts[name] = { code, plain: plain.code, contents: paths };
      }
      console.log(JSON.stringify(parts));`,
      source,
    );
    Object.assign(parts, JSON.parse(printed));
  }, RUN_MS);

  const classesIn = (code: string): string[] => parse(code, { ecmaVersion: 2022, sourceType: "module" }).body
    .flatMap((statement) => (statement.type === "ClassDeclaration" ? [statement.id.name] : []));

  it.each(OPTIONAL)("%s imports nothing, and has no class but its own and those that they extend", (name) => {
    const { code, plain, contents } = parts[name];
    const packed = readFileSync(join(installed, "dist", "board", `${name}.js`), "utf8");
    expect(packed.trim() === code.trim()).toBe(true);
    expect(contents).toContain(`src/optional/${name}.ts`);
    expect(packed.match(/\b(import|require)\b/)?.[0]).toBeUndefined();
    expect(classesIn(plain)).toEqual(CLASSES[name]);
    // Nothing newer than boards have.
    expect(() => parse(packed, { ecmaVersion: 2020, sourceType: "module" })).not.toThrow();
    expect(classesIn(packed)).toHaveLength(CLASSES[name].length);
    expect(packed.match(/\bclass\b/g) ?? []).toHaveLength(CLASSES[name].length);
  });

  it.each(["board", "esp32", "esp8266"])("work on a client of %s.js, whose members have the same names", (name) => {
    writeFileSync(join(consumer, `${name}.mjs`), withoutSdk(name));
    expect(roundTrips(`./${name}.mjs`, (each) => path(`board/${each}`))).toEqual(ROUND_TRIPS);
  }, RUN_MS);
});

describe("the files for the boards of the Moddable SDK", () => {
  it.each([
    ["esp32", 2020], ["esp8266", 2020], ["v5-esp32", 2020], ["v5-esp8266", 2020], ["async-esp32", 2022],
  ] as const)("%s is one module that imports modules of the SDK alone", (board, ecmaVersion) => {
    const packed = readFileSync(join(installed, "dist", `${board}.js`), "utf8");
    const imported = parse(packed, { ecmaVersion, sourceType: "module" }).body
      .filter((statement) => statement.type === "ImportDeclaration")
      .map((statement) => statement.source.value);
    const tls = board.endsWith("esp8266") ? [] : ["embedded:io/socket/tcp/tls"];
    const modules = ["embedded:io/socket/tcp", ...tls, "net", "text/decoder", "text/encoder", "time", "timer"];
    expect(imported.sort()).toEqual(modules);
    expect(packed).not.toMatch(/\bimport\(/);
  });

  it("async-esp32 has a client with promises, on a HAL of the application's, too", () => {
    writeFileSync(join(consumer, "async-esp32.mjs"), withoutSdk("async-esp32"));
    const printed = runModule(
      `import { createClient, MqttError, NOT_CONNECTED } from "./async-esp32.mjs";
      import { MockHal } from "mcu-mqtt/hal/mock";
      const say = (what) => console.log(typeof what === "string" ? what : JSON.stringify(what));
      const hal = new MockHal();
      const client = createClient({ hal, host: "host", clientid: "packed", autoAck: false, retryInterval: 1 });
      say(await client.publish("t", "x").catch((error) => [
        error instanceof MqttError, error.reason === NOT_CONNECTED, String(error),
      ]));
      const sent = () => (hal.settle(), [...hal.socket.takeSent()].join(" "));
      const receive = (...packets) => (hal.socket.receive(...packets), hal.settle());
      const connecting = client.connect();
      hal.settle();
      hal.socket.connect();
      say(sent());
      receive([0x20, 2, 1, 0]);
      say(await connecting);
      const messages = client.messages();
      const results = [client.subscribe("f"), client.publish("t", "x", { qos: 1 }), client.ping()];
      say(sent());
      receive([0x90, 3, 0, 1, 0], [0x32, 6, 0, 1, 0x74, 0, 5, 0x79]);
      const { value } = await messages.next();
      say([value, client.puback(5), client.subscriptions()]);
      hal.advance(1000);
      say(sent());
      receive([0x40, 2, 0, 2], [0xd0, 0]);
      say(await Promise.all(results));
      hal.socket.reset();
      hal.settle();
      say(await messages.next().catch((error) => String(error)));
      say(client.status());`,
      consumer,
    );
    expect(printed.trim().split("\n")).toEqual([
      '[true,true,"MqttError: not connected"]',
      "16 18 0 4 77 81 84 84 4 2 0 60 0 6 112 97 99 107 101 100",
      '{"sessionPresent":true}',
      "130 6 0 1 0 1 102 0 50 6 0 1 116 0 2 120 192 0",
      '[{"topic":"t","payload":{"0":121},"qos":1,"retain":false,"dup":false,"packetId":5},true,{"f":0}]',
      "64 2 0 5 58 6 0 1 116 0 2 120",
      '[[{"filter":"f","reasonCode":0}],{"packetId":2,"outcome":"delivered"},"pong"]',
      "MqttError: the connection was lost",
      '{"state":"stopped","host":"host","port":1883,"clientid":"packed"}',
    ]);
  }, RUN_MS);

  it.each([["esp32", "embedded:storage/key-value"], ["esp8266", "flash"]])(
    "%s has a store on one module of the SDK, whose members keep their names",
    (board, sdk) => {
      const packed = readFileSync(join(installed, "dist", `store-${board}.js`), "utf8");
      const module = parse(packed, { ecmaVersion: 2020, sourceType: "module" }).body;
      expect(module.flatMap((each) => (each.type === "ImportDeclaration" ? [each.source.value] : []))).toEqual([sdk]);
      expect(packed.match(/\b_\w{3,}/g)).toBeNull();
      const members = board === "esp32" ? ["open", "delete", "format", "path"] : ["byteLength", "blockSize", "erase"];
      for (const name of ["openStore", "read", "write", "clear", ...members]) {
        expect(packed).toMatch(new RegExp(`\\b${name}\\b`));
      }
    },
  );

  it("are what mcpack takes for the package, and preloads", () => {
    const manifest = readJson<Manifest & { moddable: object }>(join(installed, "package.json"));
    expect(manifest.exports["."]).toMatchObject({ moddable: "./dist/esp32.js" });
    expect(manifest.exports["./client"]).toMatchObject({ moddable: "./dist/board.js" });
    expect(manifest.exports["./esp8266"]).toMatchObject({ default: "./dist/esp8266.js" });
    expect(manifest.exports["./store"]).toMatchObject({ moddable: "./dist/store-esp32.js" });
    expect(manifest.exports["./esp8266/store"]).toMatchObject({ default: "./dist/store-esp8266.js" });
    expect(manifest.exports["./v5"]).toMatchObject({ moddable: "./dist/v5-esp32.js" });
    expect(manifest.exports["./esp8266/v5"]).toMatchObject({ default: "./dist/v5-esp8266.js" });
    expect(manifest.exports["./async"]).toMatchObject({ moddable: "./dist/async-esp32.js" });
    expect(manifest.exports["./websocket"]).toMatchObject({ moddable: "./dist/websocket-esp32.js" });
    expect(manifest.exports["./tls"]).toMatchObject({ moddable: "./dist/board/tls.js" });
    for (const name of OPTIONAL) {
      expect(manifest.exports[`./${name}`]).toMatchObject({ moddable: `./dist/board/${name}.js` });
    }
    expect(manifest.moddable).toEqual({ manifest: { preload: ["mcu-mqtt/*"] } });
  });
});

describe("the checkout", () => {
  it("names no registry in package-lock.json, but its own folder for the command line", () => {
    const lock = readJson<{ packages: Record<string, { resolved?: string }> }>(join(ROOT, "package-lock.json"));
    const named = Object.entries(lock.packages).filter(([, { resolved }]) => resolved !== undefined);
    expect(named).toEqual([["node_modules/mcu-mqtt-cli", { resolved: "cli", link: true }]]);
  });

  it("is published with dist: the scripts that .npmrc leaves out are run then", () => {
    const manifest = readJson<{ publishConfig: object; scripts: object }>(join(ROOT, "package.json"));
    expect(manifest.publishConfig).toEqual({ "ignore-scripts": false });
    expect(manifest.scripts).toMatchObject({ prepack: "npm run build" });
  });

  it("pins every development dependency to one version", () => {
    const manifest = readJson<{ devDependencies: Record<string, string> }>(join(ROOT, "package.json"));
    const loose = Object.entries(manifest.devDependencies).filter(([, version]) => !/^\d+\.\d+\.\d+$/.test(version));
    expect(loose).toEqual([]);
  });
});
