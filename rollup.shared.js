/**
 * What the build and the size report have in common, so that the bytes reported are the bytes shipped: TypeScript
 * transpiled in memory by the compiler itself, and the minification of a board's bundle.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runInNewContext } from "node:vm";
import terser from "@rollup/plugin-terser";
import ts from "typescript";

export const root = dirname(fileURLToPath(import.meta.url));

/** Entry points of package.json: the file below dist/ without its suffix, and its source. */
export const entries = {
  index: "src/index.ts",
  core: "src/core.ts",
  client: "src/face.ts",
  store: "hal/node-store.ts",
  "hal/node": "hal/node.ts",
  "hal/mock": "hal/mock.ts",
};

/** Modules of platforms stay imports: Node's, and those of the Moddable SDK that hal/ uses. */
export const external = /^(?:node:|embedded:|flash$|net$|time$|timer$|text\/)/;

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
 * Names of the members that stand in the public types: what an application or a platform calls them must stay. Taken
 * from the sources that declare them, so that nobody keeps a list.
 */
function publicNames() {
  const names = new Set();
  for (const file of ["hal/socket.ts", "src/client.ts", "src/callbacks.ts"]) {
    const code = readFileSync(resolve(root, file), "utf8");
    const visit = (node) => {
      const isMember =
        ts.isPropertySignature(node) ||
        ts.isMethodSignature(node) ||
        ((ts.isMethodDeclaration(node) || ts.isGetAccessor(node)) && node.parent.name?.text === "Client");
      if (isMember && !node.name.text.startsWith("_")) names.add(node.name.text);
      ts.forEachChild(node, visit);
    };
    visit(ts.createSourceFile(file, code, ts.ScriptTarget.ES2022, true));
  }
  return [...names];
}

/** Names of the members of whatever the language itself has. Those of browsers are nothing to a board. */
function languageNames() {
  const names = new Set();
  const seen = new Set();
  const visit = (value) => {
    if (Object(value) !== value || seen.has(value)) return;
    seen.add(value);
    for (const [name, member] of Object.entries(Object.getOwnPropertyDescriptors(value))) {
      names.add(name);
      visit(member.value);
    }
    visit(Object.getPrototypeOf(value));
  };
  visit(runInNewContext("delete globalThis.console; delete globalThis.WebAssembly; globalThis"));
  return [...names];
}

/**
 * The members in `code` that are used most, of those that `mayChange` lets change, and a letter for each that is no
 * word of the code. The others are terser's to name.
 */
function letterNames(code, mayChange) {
  const words = new Set(code.replace(/\/\*[^]*?\*\/|\/\/.*/g, "").match(/[\w$]+/g));
  // As often as they come in the language's own words: it compresses better.
  const letters = [..."etnsiroualcdhpfmgbvwyxkqzjTSEOINRCAUDPMLFVBGHKWQXYZJ_$"].filter((name) => !words.has(name));
  const uses = new Map();
  for (const [, name] of code.matchAll(/\.([A-Za-z_$][\w$]*)/g)) {
    if (mayChange(name)) uses.set(name, (uses.get(name) ?? 0) + 1);
  }
  const names = [...uses.keys()].sort((one, other) => uses.get(other) - uses.get(one));
  return new Map(letters.slice(0, names.length).map((letter, i) => [names[i], letter]));
}

/**
 * One scope, and short names for members.
 *
 * @param isClosed true: nobody outside calls the members but by the public types, so that all others get short names;
 *   false: only those that begin with `_`, which are private here
 */
function minify(isClosed) {
  const reserved = new Set(isClosed ? [...publicNames(), ...languageNames()] : []);
  const mayChange = (name) => (isClosed ? !reserved.has(name) : name.startsWith("_"));
  const names = isClosed ? { reserved: [...reserved], builtins: true } : { regex: /^_/ };
  return {
    name: "minify",
    renderChunk(code, ...rest) {
      const { renderChunk } = terser({
        ecma: 2020,
        module: true,
        toplevel: true,
        // Without reduce_funcs: a function used once would be made anew at each call, and cost a board seven slots.
        compress: { passes: 4, keep_fargs: false, pure_getters: true, reduce_funcs: false },
        mangle: { properties: { ...names, cache: { props: letterNames(code, mayChange) } } },
        format: { comments: false },
      });
      return renderChunk.call(this, code, ...rest);
    },
  };
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

/** The same, minified; in the syntax that boards understand, and closed, unless no board sees the file. */
export function minified(input, aliases = {}, target = boardTarget) {
  const { output, ...options } = bundled(input, aliases, target);
  return { ...options, output: { ...output, plugins: [minify(target === boardTarget)] } };
}

/** A file for a board of the Moddable SDK. Not closed: it calls the SDK's members by their names. */
function boardFile(input, aliases) {
  const { output, ...options } = bundled(input, aliases, boardTarget);
  return { ...options, output: { ...output, plugins: [minify(false)] } };
}

/** "mcu-mqtt" for a board of the Moddable SDK, as one file. */
export function boardPackage(board) {
  const aliases = { "mcu-mqtt/src/index": entries.index, "mcu-mqtt/hal": boards[board] };
  return boardFile("moddable/mcu-mqtt.ts", aliases);
}

/** "mcu-mqtt/store" for a board of the Moddable SDK, as one file. */
export function boardStore(board) {
  return boardFile(stores[board], {});
}
