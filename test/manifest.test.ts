/**
 * What a board loads, as the manifests list it for the Moddable SDK: the modules that mcconfig would take, resolved by
 * its rules (a relative import against the name of the module, `#name` against the first part of that name).
 */
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { dirname, join, posix, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { describe, expect, it } from "@jest/globals";
import { parse } from "acorn";
import type { Node } from "acorn";
import ts from "typescript";

const ROOT = resolve(dirname(fileURLToPath(import.meta.url)), "..");
const EXAMPLES = [
  "nodemcu", "sensor", "secure", "sleep", "update", "release", "mqtt5-sensor", "mqtt5-display", "mqtt5-worker",
];
const PLATFORMS = ["esp", "esp32", "lin"];
/** What an application imports. */
const ENTRIES = ["mcu-mqtt", "mcu-mqtt/client", "mcu-mqtt/hal/ecma419"];
/** Modules that add to a client, each with a manifest of its own: the entry points that come from src/optional. */
const OPTIONAL = (() => {
  const { exports } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as {
    exports: Record<string, string | { types: string }>;
  };
  const isOptional = (entry: string | { types: string }): boolean =>
    typeof entry === "object" && entry.types.startsWith("./dist/types/src/optional/");
  return Object.keys(exports).filter((name) => isOptional(exports[name])).map((name) => name.slice(2));
})();
/** What several of them are made of. */
const PARTS = ["link", "packet-text", "packets"];
/** Manifests for anything else. */
const OTHERS = ["async", "esp8266-tls", "link", "store", "tls", "websocket"];
/** Those of MQTT 5. */
const OF_MQTT_5 = ["v5", "auth", "request", "names", "trace5"];

const TLS = "$(MODDABLE)/examples/io/tcp/tlssocket/manifest.json";
const BASE = "$(MODDABLE)/examples/manifest_base.json";
const IO = "$(MODDABLE)/modules/io/manifest.json";
const FLASH = "$(MODDABLE)/modules/files/flash/manifest.json";
const STORAGE = "$(MODDABLE)/modules/io/storage/manifest.json";
/** Modules of the SDK that are used here, and the manifest of the SDK that brings each. */
const SDK: Record<string, string> = {
  "embedded:io/socket/tcp": IO,
  "embedded:io/socket/tcp/tls": TLS,
  "crypt": "$(MODDABLE)/modules/crypt/digest/manifest.json",
  "embedded:storage/key-value": STORAGE,
  "flash": FLASH,
  "net": IO,
  "time": IO,
  "timer": IO,
  "text/decoder": "$(MODDABLE)/modules/data/text/decoder/manifest.json",
  "text/encoder": "$(MODDABLE)/modules/data/text/encoder/manifest.json",
  // By way of manifest_net.json, as net.
  "embedded:network/interface/wifi": IO,
  "mc/config": BASE,
  "sntp": IO,
};

interface Part {
  include?: string | string[];
  modules?: Record<string, string | string[]>;
  preload?: string | string[];
  platforms?: Record<string, Part & { warning?: string }>;
  creation?: { main?: string };
  strip?: unknown;
}

/** What a manifest and those it includes come to on one platform. */
class Firmware {
  /** Module -> path of its source. */
  readonly modules = new Map<string, string>();
  readonly preload: string[] = [];
  /** Modules with a file in C beside them. */
  readonly native: string[] = [];
  /** Modules whose source is the SDK's. */
  readonly sdk: string[] = [];
  /** Manifests of the SDK. */
  readonly included: string[] = [];
  readonly warnings: string[] = [];
  main = "";
  /** Manifests that were read: the SDK's tool reads each once. */
  readonly #manifests = new Set<string>();

  constructor(manifests: string[], platform: string) {
    for (const manifest of manifests) this.#read(resolve(ROOT, manifest), platform);
  }

  #read(path: string, platform: string): void {
    if (this.#manifests.has(path)) return;
    this.#manifests.add(path);
    const part = JSON.parse(readFileSync(path, "utf8")) as Part;
    this.#add(part, dirname(path), platform);
    const own = part.platforms?.[platform] ?? part.platforms?.["..."];
    if (own === undefined) return;
    if (own.warning !== undefined) this.warnings.push(own.warning);
    this.#add(own, dirname(path), platform);
  }

  #add(part: Part, folder: string, platform: string): void {
    for (const include of [part.include ?? []].flat()) {
      if (include.startsWith("$(MODDABLE)")) this.included.push(include);
      else this.#read(resolve(folder, include), platform);
    }
    for (const [target, sources] of Object.entries(part.modules ?? {})) {
      for (const source of [sources].flat()) {
        const name = target.replace(/\*$/, source.split("/").at(-1)!);
        if (source.startsWith("$(")) {
          this.sdk.push(name);
          continue;
        }
        if (this.modules.has(name)) throw new Error(`${name} is listed twice`);
        if (existsSync(resolve(folder, `${source}.c`))) this.native.push(name);
        else this.modules.set(name, resolve(folder, `${source}.ts`));
      }
    }
    this.preload.push(...[part.preload ?? []].flat());
    this.main = part.creation?.main ?? this.main;
  }

  /** The modules that `name` imports: names of this list, or of modules of the SDK. */
  imports(name: string): string[] {
    return specifiers(parsed(this.modules.get(name)!)).map((specifier) => {
      if (specifier.startsWith(".")) return posix.join(posix.dirname(name), specifier.replace(/\.js$/, ""));
      return specifier.startsWith("#") ? `${name.split("/")[0]}/${specifier}` : specifier;
    });
  }

  /** Everything that is loaded when the entries are. */
  reached(entries: string[]): Set<string> {
    const reached = new Set<string>();
    const visit = (name: string): void => {
      if (reached.has(name) || !this.modules.has(name)) return;
      reached.add(name);
      this.imports(name).forEach(visit);
    };
    entries.forEach(visit);
    return reached;
  }
}

const cache = new Map<string, Node>();

/** The module as mcconfig would compile it: TypeScript without its types. */
function parsed(path: string): Node {
  const known = cache.get(path);
  if (known !== undefined) return known;
  const { outputText } = ts.transpileModule(readFileSync(path, "utf8"), {
    fileName: path,
    compilerOptions: {
      module: ts.ModuleKind.ESNext,
      target: ts.ScriptTarget.ES2022,
      useDefineForClassFields: false,
      verbatimModuleSyntax: true,
    },
  });
  const module = parse(outputText, { ecmaVersion: 2022, sourceType: "module" });
  cache.set(path, module);
  return module;
}

type AnyNode = Node & Record<string, unknown>;
const isNode = (value: unknown): value is AnyNode => typeof (value as Node | null)?.type === "string";

/** Every node below, with its parent; in functions only if asked to. */
function walk(node: Node, visit: (node: AnyNode, parent: AnyNode | undefined) => void, intoFunctions = true): void {
  const enter = (each: AnyNode, parent: AnyNode | undefined): void => {
    visit(each, parent);
    if (!intoFunctions && /Function|ClassBody/.test(each.type)) return;
    for (const value of Object.values(each).flat()) {
      if (isNode(value)) enter(value, each);
    }
  };
  enter(node as AnyNode, undefined);
}

function specifiers(module: Node): string[] {
  const found: string[] = [];
  walk(module, (node) => {
    const source = node["source"] as { value: string } | null | undefined;
    if (/^(Import|Export)/.test(node.type) && source) found.push(source.value);
  });
  return found;
}

/** Names that a module uses and does not declare. */
function globals(module: Node): string[] {
  const declared = new Set<string>();
  const used = new Set<string>();
  const declare = (pattern: unknown): void => {
    if (!isNode(pattern)) return;
    if (pattern.type === "Identifier") declared.add(pattern["name"] as string);
    // Patterns, by their parts.
    for (const part of (pattern["elements"] ?? pattern["properties"] ?? []) as unknown[]) declare(part);
    if (pattern.type === "Property") declare(pattern["value"]);
    if (pattern.type === "RestElement") declare(pattern["argument"]);
    if (pattern.type === "AssignmentPattern") declare(pattern["left"]);
  };
  walk(module, (node, parent) => {
    if (/^(Function|ArrowFunction|Class)/.test(node.type)) {
      declare(node["id"]);
      for (const parameter of (node["params"] ?? []) as unknown[]) declare(parameter);
    }
    if (node.type === "VariableDeclarator") declare(node["id"]);
    if (node.type === "CatchClause") declare(node["param"]);
    if (/^Import.*Specifier$/.test(node.type)) declare(node["local"]);
    if (node.type !== "Identifier") return;
    const isKey = parent!["key"] === node || (parent!.type === "MemberExpression" && parent!["property"] === node);
    const isName = /Specifier$|^Export/.test(parent!.type);
    if ((isKey && !parent!["computed"] && !parent!["shorthand"]) || isName) return;
    used.add(node["name"] as string);
  });
  return [...used].filter((name) => !declared.has(name));
}

/** Globals that every engine here has. */
const GLOBALS = [
  "Array", "ArrayBuffer", "Error", "Int32Array", "Math", "Number", "Object", "RangeError", "String", "TypeError",
  "Uint16Array", "Uint32Array", "Uint8Array", "decodeURIComponent", "undefined",
];

/** ... and what XS has beside them. */
const XS_GLOBALS = ["Infinity", "Map", "Promise", "Set", "Symbol", "WeakMap"];

/** Syntax that the smallest engine lacks, or that XS cannot have in preloaded modules. */
const FORBIDDEN = [
  "ArrayPattern", "AssignmentPattern", "AwaitExpression", "ChainExpression", "ForOfStatement", "ImportExpression",
  "LabeledStatement", "ObjectPattern", "PrivateIdentifier", "PropertyDefinition", "RestElement", "SpreadElement",
  "StaticBlock", "TaggedTemplateExpression", "YieldExpression",
];

/** Of that, what XS cannot have in preloaded modules, and what no bundle can have. */
const FORBIDDEN_ON_XS = ["ImportExpression", "StaticBlock"];

/** The source stays within the language and the globals of the smallest engine. */
function expectLanguage(path: string): void {
  const module = parsed(path);
  const found: string[] = [];
  walk(module, (node) => {
    if (FORBIDDEN.includes(node.type) || node["static"] === true || node["async"] === true) found.push(node.type);
    if (node["generator"] === true) found.push("generator");
  });
  expect(found).toEqual([]);
  expect(globals(module).filter((global) => !GLOBALS.includes(global))).toEqual([]);
}

/** The source stays within what XS has, and can have in preloaded modules. */
function expectXs(path: string): void {
  const module = parsed(path);
  const found: string[] = [];
  walk(module, (node) => {
    if (FORBIDDEN_ON_XS.includes(node.type) || node["static"] === true) found.push(node.type);
  });
  expect(found).toEqual([]);
  expect(globals(module).filter((global) => ![...GLOBALS, ...XS_GLOBALS].includes(global))).toEqual([]);
}

/** The source keeps nothing at module level that changes. */
function expectConstant(path: string): void {
  const found: string[] = [];
  walk(
    parsed(path),
    (node) => {
      if (node.type === "VariableDeclaration" && node["kind"] !== "const") found.push(node["kind"] as string);
      if (node.type === "NewExpression" || node.type === "AssignmentExpression") found.push(node.type);
    },
    false,
  );
  expect(found).toEqual([]);
}

/** What holds of every module that is preloaded. */
function testModules(firmware: Firmware): void {
  const names = [...firmware.modules.keys()];

  it.each(names)("%s stays within the language and the globals of the smallest engine", (name) => {
    expectLanguage(firmware.modules.get(name)!);
  });

  it.each(names)("%s keeps nothing at module level that changes", (name) => {
    expectConstant(firmware.modules.get(name)!);
  });
}

describe.each(PLATFORMS)("the root manifest on %s", (platform) => {
  const firmware = new Firmware(["manifest.json"], platform);
  const names = [...firmware.modules.keys()];

  it("names sources that are there", () => {
    expect([...firmware.modules.values()].filter((path) => !existsSync(path))).toEqual([]);
    expect(names.length).toBeGreaterThan(15);
  });

  it("lists exactly what an application can come to import", () => {
    expect([...firmware.reached(ENTRIES)].sort()).toEqual([...names].sort());
  });

  it("preloads everything, by exact names: a wildcard takes no TypeScript", () => {
    expect([...firmware.preload].sort()).toEqual([...names].sort());
  });

  it("includes the manifests of the SDK for what is imported from it, and no other", () => {
    const needed = new Set<string>();
    for (const name of names) {
      for (const imported of firmware.imports(name)) {
        if (firmware.modules.has(imported)) continue;
        expect([name, imported, SDK[imported]]).toEqual([name, imported, expect.any(String)]);
        needed.add(SDK[imported]);
      }
    }
    expect([...new Set(firmware.included)].sort()).toEqual([...needed].sort());
  });

  it("keeps TLS off an ESP8266", () => {
    expect(firmware.included.includes(TLS)).toBe(platform !== "esp");
  });

  it("says so on a platform it is not made for", () => {
    expect(firmware.warnings).toEqual(platform === "lin" ? [expect.stringContaining("esp32")] : []);
  });

  testModules(firmware);
});

describe.each(OPTIONAL)("the manifest for %s", (optional) => {
  const root = new Firmware(["manifest.json"], "esp");
  const added = (platform: string): string[] => {
    const firmware = new Firmware([`manifests/${optional}.json`], platform);
    const rest = new Firmware(["manifest.json"], platform).modules;
    return [...firmware.modules.keys()].filter((name) => !rest.has(name));
  };
  const names = added("esp");

  it.each(PLATFORMS)("adds the module to what the root manifest has on %s, and what only that imports", (platform) => {
    const firmware = new Firmware([`manifests/${optional}.json`], platform);
    const rest = new Firmware(["manifest.json"], platform);
    expect(names).toContain(`mcu-mqtt/${optional}`);
    expect(added(platform)).toEqual(names);
    expect([...firmware.modules.values()].filter((path) => !existsSync(path))).toEqual([]);
    const reached = firmware.reached([...ENTRIES, `mcu-mqtt/${optional}`]);
    // Another module that it imports comes with its own manifest, and so by its own name, too.
    const others = OPTIONAL.filter((name) => name !== optional && names.includes(`mcu-mqtt/${name}`));
    for (const other of others) {
      expect([...reached]).toContain(`mcu-mqtt/src/optional/${other}`);
      reached.add(`mcu-mqtt/${other}`);
    }
    expect([...reached].sort()).toEqual([...firmware.modules.keys()].sort());
    expect([...firmware.preload].sort()).toEqual([...firmware.modules.keys()].sort());
    expect(firmware.included).toEqual(rest.included);
    for (const name of names) {
      expect(firmware.imports(name).filter((imported) => !firmware.modules.has(imported))).toEqual([]);
    }
  });

  it.each(names)("adds %s, within the language, which keeps nothing at module level that changes", (name) => {
    const path = new Firmware([`manifests/${optional}.json`], "esp").modules.get(name)!;
    expect(root.modules.has(name)).toBe(false);
    expectLanguage(path);
    expectConstant(path);
  });
});

describe("the manifests for modules that add to a client", () => {
  it("are there for each of them", () => {
    const modules = readdirSync(join(ROOT, "src/optional")).map((name) => name.replace(".ts", ""));
    expect(modules.sort()).toEqual([...OPTIONAL, ...PARTS].sort());
    const manifests = readdirSync(join(ROOT, "manifests")).map((name) => name.replace(".json", ""));
    expect(manifests.sort()).toEqual([...OPTIONAL, ...OTHERS, ...OF_MQTT_5].sort());
  });

  it("may be included together: nothing is listed twice", () => {
    const manifests = ["manifest.json", ...OPTIONAL.map((name) => `manifests/${name}.json`)];
    const firmware = new Firmware(manifests, "esp32");
    const names = [...firmware.modules.keys()];
    const reached = firmware.reached([...ENTRIES, ...OPTIONAL.map((name) => `mcu-mqtt/${name}`)]);
    expect([...reached].sort()).toEqual([...names].sort());
    expect([...firmware.preload].sort()).toEqual([...names].sort());
  });
});

describe.each(OF_MQTT_5)("the manifest for %s, which is MQTT 5", (module) => {
  const own = `mcu-mqtt/${module}`;

  it.each(PLATFORMS)("adds to the root manifest on %s what it is made of, all of it preloaded", (platform) => {
    const firmware = new Firmware([`manifests/${module}.json`], platform);
    const rest = new Firmware(["manifest.json"], platform);
    const names = [...firmware.modules.keys()];
    expect(names).toContain(own);
    expect([...firmware.modules.values()].filter((path) => !existsSync(path))).toEqual([]);
    const others = [...OF_MQTT_5, "trace"].map((name) => `mcu-mqtt/${name}`).filter((name) => names.includes(name));
    const reached = firmware.reached([...ENTRIES, own, ...others]);
    // What joins links is there for those that are links.
    const link = "mcu-mqtt/src/optional/link";
    expect([...reached].sort()).toEqual(names.filter((name) => name !== link || reached.has(link)).sort());
    expect([...firmware.preload].sort()).toEqual(names.sort());
    expect(firmware.included).toEqual(rest.included);
    expect(firmware.warnings).toEqual(rest.warnings);
  });

  const modules = new Firmware([`manifests/${module}.json`], "esp32").modules;
  const added = [...modules.keys()].filter((name) => name.includes("/v5"));

  it.each(added)("adds %s, within the language of XS, which keeps nothing at module level that changes", (name) => {
    const path = modules.get(name)!;
    expectXs(path);
    if (!path.endsWith("index.ts") && !path.includes("moddable")) expectConstant(path);
  });
});

describe("the manifest for promises", () => {
  const [own, platforms] = ["mcu-mqtt/async", PLATFORMS.filter((platform) => platform !== "esp")];
  const added = (platform: string): string[] => {
    const rest = new Firmware(["manifest.json"], platform).modules;
    return [...new Firmware(["manifests/async.json"], platform).modules.keys()].filter((name) => !rest.has(name));
  };
  const names = added("esp32");

  it.each(platforms)("adds to the root manifest on %s what they are made of, by its manifests", (platform) => {
    const firmware = new Firmware(["manifests/async.json"], platform);
    const rest = new Firmware(["manifest.json"], platform);
    expect(names).toContain(own);
    expect(added(platform)).toEqual(names);
    expect([...firmware.modules.values()].filter((path) => !existsSync(path))).toEqual([]);
    const reached = firmware.reached([...ENTRIES, own]);
    for (const name of OPTIONAL.filter((each) => names.includes(`mcu-mqtt/${each}`))) {
      expect([...reached]).toContain(`mcu-mqtt/src/optional/${name}`);
      reached.add(`mcu-mqtt/${name}`);
    }
    expect([...reached].sort()).toEqual([...firmware.modules.keys()].sort());
    expect([...firmware.preload].sort()).toEqual([...firmware.modules.keys()].sort());
    expect(firmware.included).toEqual(rest.included);
    expect(firmware.warnings).toEqual(rest.warnings);
    for (const name of names) {
      expect(firmware.imports(name).filter((imported) => !firmware.modules.has(imported))).toEqual([]);
    }
  });

  it("is refused on an ESP8266, whose memory it would take", () => {
    const { platforms: listed } = JSON.parse(readFileSync(join(ROOT, "manifests/async.json"), "utf8")) as Part;
    expect(listed).toEqual({ "esp": { error: expect.stringContaining("esp32") }, "...": {} });
  });

  it("may be included beside those of all modules: nothing is listed twice", () => {
    const manifests = ["async", ...OPTIONAL].map((name) => `manifests/${name}.json`);
    const firmware = new Firmware(manifests, "esp32");
    const reached = firmware.reached([...ENTRIES, own, ...OPTIONAL.map((name) => `mcu-mqtt/${name}`)]);
    expect([...reached].sort()).toEqual([...firmware.modules.keys()].sort());
  });

  const parts = names.filter((name) => name.includes("async"));

  it.each(parts)("adds %s, within the language of XS, which keeps nothing at module level that changes", (name) => {
    const path = new Firmware(["manifests/async.json"], "esp32").modules.get(name)!;
    expectXs(path);
    expectConstant(path);
  });
});

describe.each(["esp", "esp32"])("the manifest for WebSocket on %s", (platform) => {
  const firmware = new Firmware(["manifests/websocket.json"], platform);
  const root = new Firmware(["manifest.json"], platform);
  const added = [...firmware.modules.keys()].filter((name) => !root.modules.has(name));

  it("adds the board's HAL with WebSocket, and the SDK's class, all of them preloaded", () => {
    const hal = platform === "esp" ? "esp8266-websocket" : "esp32-websocket";
    const own = ["mcu-mqtt/websocket", "mcu-mqtt/hal/ecma419-websocket", `mcu-mqtt/hal/${hal}`];
    expect([...added].sort()).toEqual([...own].sort());
    expect([...firmware.reached([...ENTRIES, "mcu-mqtt/websocket"])].sort())
      .toEqual([...firmware.modules.keys()].sort());
    expect(firmware.sdk).toEqual(["*", "embedded:network/websocket/client"]);
    expect(firmware.preload).toEqual(expect.arrayContaining([...own, "logical", "embedded:network/websocket/client"]));
  });

  it.each(added)("adds %s, which imports what is there, and keeps nothing at module level that changes", (name) => {
    const known = [...firmware.modules.keys(), ...firmware.sdk, ...Object.keys(SDK)];
    expect(firmware.imports(name).filter((imported) => !known.includes(imported))).toEqual([]);
    expectConstant(firmware.modules.get(name)!);
  });
});

describe("the manifest for TLS options", () => {
  it("adds one module beside its entry, preloaded", () => {
    const firmware = new Firmware(["manifests/tls.json"], "esp32");
    const names = ["mcu-mqtt/tls", "mcu-mqtt/hal/ecma419-tls-options"];
    expect([...firmware.modules.keys()]).toEqual(names);
    expect(firmware.preload).toEqual(names);
    for (const name of names) expectConstant(firmware.modules.get(name)!);
  });
});

describe("the root manifest", () => {
  const manifest = JSON.parse(readFileSync(join(ROOT, "manifest.json"), "utf8")) as Part;

  it("leaves to the application what is the application's: memory, what to strip, and the SDK's base", () => {
    for (const part of [manifest, ...Object.values(manifest.platforms!)]) {
      expect(part.creation).toBeUndefined();
      expect(part.strip).toBeUndefined();
      expect([part.include ?? []].flat()).not.toContain(BASE);
    }
  });

  it("stays out of the npm package, where mcpack would take it for the package's own", () => {
    const { files } = JSON.parse(readFileSync(join(ROOT, "package.json"), "utf8")) as { files: string[] };
    expect(files.filter((name) => name.endsWith(".json"))).toEqual([]);
  });
});

describe("the manifest for TLS on an ESP8266", () => {
  it("adds its HAL and the SDK's TLS, and is refused elsewhere", () => {
    const firmware = new Firmware(["manifests/esp8266-tls.json"], "esp");
    const names = [...firmware.modules.keys()];
    expect([...firmware.reached([...ENTRIES, "mcu-mqtt/hal/esp8266-tls"])].sort()).toEqual([...names].sort());
    expect([...firmware.preload].sort()).toEqual([...names].sort());
    expect(firmware.included).toContain(TLS);
    const { platforms } = JSON.parse(readFileSync(join(ROOT, "manifests/esp8266-tls.json"), "utf8")) as Part;
    expect(platforms).toEqual({ "esp": {}, "...": { error: expect.any(String) } });
  });
});

describe("the manifest for stores", () => {
  it.each(PLATFORMS)("brings nothing of the client: the root manifest on %s has no store", (platform) => {
    const names = [...new Firmware(["manifest.json"], platform).modules.keys()];
    expect(names.filter((name) => name.includes("store"))).toEqual([]);
  });

  it("is refused where the SDK has no storage that keeps the old value", () => {
    const manifest = JSON.parse(readFileSync(join(ROOT, "manifests/store.json"), "utf8")) as Part;
    expect(Object.keys(manifest)).toEqual(["platforms"]);
    expect(Object.keys(manifest.platforms!)).toEqual(["esp", "esp32", "..."]);
    expect(manifest.platforms!["..."]).toEqual({ error: expect.any(String) });
  });

  describe.each([["esp", FLASH], ["esp32", STORAGE]])("on %s", (platform, sdk) => {
    const firmware = new Firmware(["manifests/store.json"], platform);
    const names = [...firmware.modules.keys()];

    it("lists what mcu-mqtt/store imports, and the SDK's module for it", () => {
      expect([...firmware.modules.values()].filter((path) => !existsSync(path))).toEqual([]);
      expect([...firmware.reached(["mcu-mqtt/store"])].sort()).toEqual([...names].sort());
      const imported = names.flatMap((name) => firmware.imports(name)).filter((name) => !firmware.modules.has(name));
      expect(imported.map((name) => SDK[name])).toEqual([sdk]);
      expect(firmware.included).toEqual([sdk]);
    });

    it("preloads everything, by exact names", () => {
      expect([...firmware.preload].sort()).toEqual([...names].sort());
    });

    testModules(firmware);
  });
});

describe("the manifests of the examples", () => {
  it("are there for each example that boards can run", () => {
    // Some files are what platforms differ in, and the login is Node's.
    const programs = readdirSync(join(ROOT, "examples"))
      .filter((name) => name.endsWith(".ts") && !/-(?:node|moddable|login)\.ts$/.test(name))
      .map((name) => name.replace(".ts", ""));
    expect(programs.sort()).toEqual([...EXAMPLES].sort());
  });

  describe.each(EXAMPLES)("%s", (example) => {
    // There is a store, and deep sleep, on boards only.
    const platforms = example === "sleep" ? PLATFORMS.filter((platform) => platform !== "lin") : PLATFORMS;

    it.each(platforms)("finds every module on %s, and runs the example", (platform) => {
      const firmware = new Firmware([`examples/${example}/manifest.json`], platform);
      expect(firmware.main).toBe(`examples/${example}`);
      expect(firmware.modules.get(firmware.main)).toBe(join(ROOT, "examples", `${example}.ts`));
      for (const [name, path] of firmware.modules) {
        expect([path, existsSync(path)]).toEqual([path, true]);
        for (const imported of firmware.imports(name)) {
          const isOwn = firmware.modules.has(imported) || firmware.native.includes(imported);
          const isThere = isOwn || firmware.included.includes(SDK[imported]);
          expect([name, imported, isThere]).toEqual([name, imported, true]);
        }
      }
      // The program itself is run, not preloaded.
      const preloaded = [...firmware.modules.keys()].filter((name) => name !== firmware.main);
      expect([...firmware.preload].sort()).toEqual(preloaded.sort());
    });
  });
});
