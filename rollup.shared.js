/**
 * What the build and the size report have in common, so that the bytes reported are the bytes shipped: TypeScript
 * transpiled in memory by the compiler itself, and the minification of a board's bundle.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import terser from "@rollup/plugin-terser";
import ts from "typescript";
import { boardNames } from "./rollup.names.js";

export const root = dirname(fileURLToPath(import.meta.url));

/** Entry points of package.json: the file below dist/ without its suffix, and its source. */
export const entries = {
  index: "src/index.ts",
  core: "src/core.ts",
  client: "src/face.ts",
  store: "hal/node-store.ts",
  outcomes: "src/optional/outcomes.ts",
  queue: "src/optional/queue.ts",
  snapshot: "src/optional/snapshot.ts",
  streams: "src/optional/streams.ts",
  subscriptions: "src/optional/subscriptions.ts",
  reconnect: "src/optional/reconnect.ts",
  acknowledge: "src/optional/acknowledge.ts",
  retry: "src/optional/retry.ts",
  ping: "src/optional/ping.ts",
  password: "src/optional/password.ts",
  times: "src/optional/times.ts",
  protocols: "src/optional/protocols.ts",
  url: "src/optional/url.ts",
  trace: "src/optional/trace.ts",
  async: "src/async/index.ts",
  v5: "src/v5/index.ts",
  core5: "src/v5/core.ts",
  auth: "src/v5/auth.ts",
  request: "src/v5/request.ts",
  names: "src/v5/names.ts",
  trace5: "src/v5/trace.ts",
  scram: "hal/node-scram.ts",
  websocket: "hal/node-websocket.ts",
  tls: "hal/node-tls-options.ts",
  "hal/node": "hal/node.ts",
  "hal/mock": "hal/mock.ts",
};

/** Of these, the modules that add to a client; each has a file of its own for boards, too. */
export const optional = [
  "outcomes",
  "queue",
  "snapshot",
  "streams",
  "subscriptions",
  "reconnect",
  "acknowledge",
  "retry",
  "ping",
  "password",
  "times",
  "protocols",
  "url",
  "trace",
];

/** The same for a client of MQTT 5. */
export const optional5 = ["auth", "request", "names", "trace5"];

/** Modules of platforms stay imports: Node's and `ws`, and those of the Moddable SDK that hal/ uses. */
export const external = /^(?:node:|ws$|embedded:|flash$|net$|time$|timer$|text\/)/;

/** Boards of the Moddable SDK, and their HAL. */
export const boards = { esp32: "hal/esp32.ts", esp8266: "hal/esp8266.ts" };

/** ... and their store. */
export const stores = { esp32: "hal/esp32-store.ts", esp8266: "hal/esp8266-store.ts" };

function compilerOptions(target) {
  const path = resolve(root, "tsconfig.json");
  const { config, error } = ts.readConfigFile(path, (name) => readFileSync(name, "utf8"));
  if (error) {
    throw new Error(ts.flattenDiagnosticMessageText(error.messageText, "\n"));
  }
  const { options } = ts.convertCompilerOptionsFromJson(config.compilerOptions, root);
  const module = { module: ts.ModuleKind.ESNext, moduleResolution: ts.ModuleResolutionKind.Bundler };
  return { ...options, ...module, noEmit: false, target };
}

/** Strips the types; `./x.js` in an import means `./x.ts` beside it. Types are checked by tsc, not here. */
export function typescript(target) {
  const options = compilerOptions(target);
  return {
    name: "typescript",
    resolveId(specifier, importer) {
      if (importer?.endsWith(".ts") && /^\.\.?\/.*\.js$/.test(specifier)) {
        return resolve(dirname(importer), specifier.replace(/\.js$/, ".ts"));
      }
      return null;
    },
    transform(code, id) {
      if (!id.endsWith(".ts")) {
        return null;
      }
      const { outputText, diagnostics } = ts.transpileModule(code, {
        fileName: id,
        compilerOptions: options,
        reportDiagnostics: true,
      });
      if (diagnostics?.length) {
        this.error(ts.formatDiagnostics(diagnostics, ts.createCompilerHost(options)));
      }
      return { code: outputText, map: null };
    },
  };
}

/** The newest syntax in a board's file. */
const boardTarget = ts.ScriptTarget.ES2020;

/** The newest syntax elsewhere. */
export const nodeTarget = ts.ScriptTarget.ES2022;

/**
 * One scope, and short names for members.
 *
 * @param isForBoard true: those that all files for boards have; false: any for those that begin with `_`, which are
 *   private here
 */
function minify(isForBoard) {
  // As terser keeps what it has named before: with a "$".
  const named = () => Object.fromEntries(Object.entries(boardNames()).map(([name, short]) => [`$${name}`, short]));
  return terser({
    ecma: 2020,
    module: true,
    toplevel: true,
    // Without reduce_funcs: a function used once would be made anew at each call, and cost a board seven slots.
    compress: { passes: 4, keep_fargs: false, pure_getters: true, reduce_funcs: false },
    mangle: { properties: isForBoard ? { builtins: true, only_cache: true } : { regex: /^_/ } },
    ...(isForBoard && { nameCache: { props: { props: named() } } }),
    format: { comments: false },
  });
}

/**
 * A rollup input and output that make `input` into one file.
 *
 * @param input path of the source, relative to the root
 * @param aliases import specifier -> path of the source it means
 */
export function bundled(input, aliases = {}, target = nodeTarget) {
  return {
    input: resolve(root, input),
    external,
    plugins: [
      {
        name: "aliases",
        resolveId: (specifier) => (aliases[specifier] ? resolve(root, aliases[specifier]) : null),
      },
      typescript(target),
    ],
    output: { format: "es", inlineDynamicImports: true },
  };
}

/** The same, minified; in the syntax that boards understand, and with their names, unless no board sees the file. */
export function minified(input, aliases = {}, target = boardTarget) {
  const { output, ...options } = bundled(input, aliases, target);
  return { ...options, output: { ...output, plugins: [minify(target === boardTarget)] } };
}

/** "mcu-mqtt" for a board of the Moddable SDK, as one file. */
export function boardPackage(board) {
  return minified("moddable/mcu-mqtt.ts", { "mcu-mqtt/src/index": entries.index, "mcu-mqtt/hal": boards[board] });
}

/** "mcu-mqtt/v5" for a board of the Moddable SDK, as one file: the client is in it. */
export function boardV5(board) {
  return minified("moddable/v5.ts", { "mcu-mqtt/src/v5/index": entries.v5, "mcu-mqtt/hal": boards[board] });
}

/** "mcu-mqtt/async" for a board of the Moddable SDK, as one file: the client and its modules are in it. */
export function boardAsync(board) {
  return minified(entries.async, { "mcu-mqtt/hal": boards[board] }, nodeTarget);
}

/** "mcu-mqtt/store" for a board of the Moddable SDK, as one file. */
export function boardStore(board) {
  return minified(stores[board]);
}
