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

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const LEFT_BEHIND = [".git", "node_modules", "dist", "coverage"];
const BUILD_MS = 180_000;
const RUN_MS = 60_000;
/** Modules that add to a client. */
const OPTIONAL = ["outcomes", "queue", "snapshot", "streams"];

interface Manifest {
  exports: Record<string, string | Record<string, string>>;
  imports: Record<string, string | Record<string, string>>;
  dependencies?: object;
  optionalDependencies?: object;
  peerDependencies?: object;
  bundleDependencies?: object;
}

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
 * What each of the modules that add to a client does on the mock, alone and all together on one client.
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
    import { MockHal } from "mcu-mqtt/hal/mock";
    const options = { queueOffline: true, maxMessageLength: 128, rxCapacity: 128, txCapacity: 256, maxOperations: 3 };
    let hal;
    function make(add) {
      hal = new MockHal();
      const client = add(createMqtt(hal, MQTT_3_1_1).Client("id", 60, null, null, 0, options));
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
    hal.settle();`,
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
];

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

  it("depends on nothing", () => {
    const manifest = readJson<Manifest>(join(installed, "package.json"));
    expect(manifest.dependencies ?? {}).toEqual({});
    expect(manifest.optionalDependencies ?? {}).toEqual({});
    expect(manifest.peerDependencies ?? {}).toEqual({});
    expect(manifest.bundleDependencies ?? []).toEqual([]);
    expect(readdirSync(join(consumer, "node_modules")).filter((name) => !name.startsWith("."))).toEqual(["mcu-mqtt"]);
  });

  it("names every entry point, without wildcards, types first, each file there", () => {
    const manifest = readJson<Manifest>(join(installed, "package.json"));
    expect(Object.keys(manifest.exports)).toEqual([
      ".",
      "./core",
      "./client",
      "./esp8266",
      "./store",
      "./esp8266/store",
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
      for (const name of ["", "/core", "/client", "/store", ...optional, "/hal/node", "/hal/mock"]) {
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
    expect(shape["/hal/node"]).toMatchObject({ default: "object" });
    expect(shape["/store"]).toEqual({ openStore: "function" });
    expect(Object.keys(shape["/core"] ?? {})).not.toEqual([]);
    expect(Object.keys(shape["/hal/mock"] ?? {})).not.toEqual([]);
  }, RUN_MS);

  it("has modules that add to a client", () => {
    expect(roundTrips("mcu-mqtt/client", (name) => `mcu-mqtt/${name}`)).toEqual(ROUND_TRIPS);
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

    export const own = createMqtt(hal, MQTT_3_1_1);
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
    /** Source files with code in it, relative to the root. */
    contents: string[];
  }
  const parts: Record<string, Part> = {};
  const path = (name: string): string => `./node_modules/mcu-mqtt/dist/${name}.js`;

  beforeAll(() => {
    const printed = runModule(
      `import { relative, sep } from "node:path";
      import { rollup } from "rollup";
      import { entries, minified, optional, root } from "./rollup.shared.js";
      const parts = {};
      for (const name of optional) {
        const { output, ...options } = minified(entries[name]);
        const bundle = await rollup(options);
        const [chunk] = (await bundle.generate(output)).output;
        const contents = Object.keys(chunk.modules).filter((id) => chunk.modules[id].renderedLength > 0);
        parts[name] = { code: chunk.code, contents: contents.map((id) => relative(root, id).split(sep).join("/")) };
      }
      console.log(JSON.stringify(parts));`,
      source,
    );
    Object.assign(parts, JSON.parse(printed));
  }, RUN_MS);

  it.each(OPTIONAL)("%s imports nothing, and has no class but its own", (name) => {
    const { code, contents } = parts[name];
    const packed = readFileSync(join(installed, "dist", "board", `${name}.js`), "utf8");
    expect(packed.trim() === code.trim()).toBe(true);
    expect(contents).toContain(`src/optional/${name}.ts`);
    expect(packed.match(/\b(import|require)\b/)?.[0]).toBeUndefined();
    const types = parse(packed, { ecmaVersion: 2020, sourceType: "module" }).body.map((statement) => statement.type);
    const own = contents.filter((each) => each.startsWith("src/optional/"));
    // One in its source, and the one that most extend.
    expect(own).toHaveLength(name === "snapshot" ? 1 : 2);
    expect(types.filter((type) => type === "ClassDeclaration")).toHaveLength(own.length);
    expect(packed.match(/\bclass\b/g)).toHaveLength(own.length);
  });

  it.each(["board", "esp32", "esp8266"])("work on a client of %s.js, whose members have the same names", (name) => {
    const code = readFileSync(join(installed, "dist", `${name}.js`), "utf8");
    // What comes from the SDK is not called here.
    const alone = code.replace(/import (\w+) from\s?"[^"]+";/g, "class $1 {}");
    writeFileSync(join(consumer, `${name}.mjs`), alone);
    expect(roundTrips(`./${name}.mjs`, (each) => path(`board/${each}`))).toEqual(ROUND_TRIPS);
  }, RUN_MS);
});

describe("the files for the boards of the Moddable SDK", () => {
  it.each(["esp32", "esp8266"])("%s is one module that imports modules of the SDK alone", (board) => {
    const packed = readFileSync(join(installed, "dist", `${board}.js`), "utf8");
    const imported = parse(packed, { ecmaVersion: 2020, sourceType: "module" }).body
      .filter((statement) => statement.type === "ImportDeclaration")
      .map((statement) => statement.source.value);
    const tls = board === "esp32" ? ["embedded:io/socket/tcp/tls"] : [];
    const modules = ["embedded:io/socket/tcp", ...tls, "net", "text/decoder", "text/encoder", "time", "timer"];
    expect(imported.sort()).toEqual(modules);
  });

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
    for (const name of OPTIONAL) {
      expect(manifest.exports[`./${name}`]).toMatchObject({ moddable: `./dist/board/${name}.js` });
    }
    expect(manifest.moddable).toEqual({ manifest: { preload: ["mcu-mqtt/*"] } });
  });
});

describe("the checkout", () => {
  it("names no registry in package-lock.json", () => {
    const lock = readJson<{ packages: Record<string, { resolved?: string }> }>(join(ROOT, "package-lock.json"));
    const named = Object.keys(lock.packages).filter((path) => lock.packages[path]?.resolved !== undefined);
    expect(named).toEqual([]);
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
