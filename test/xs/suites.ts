/**
 * Runs suites of this folder's parent on XS: bundles them with stand-ins for jest and Node, evaluates them in a machine
 * of their own, and gathers what became of each test.
 */
import { isAbsolute, relative, resolve, sep } from "node:path";
import { nodeResolve } from "@rollup/plugin-node-resolve";
import type { Plugin } from "rollup";
import { expect, it } from "@jest/globals";
import { root } from "../../rollup.shared.js";
import { XS_ENGINE, needs } from "../support/needs.js";
import { bundle } from "./bundle.js";
import { XsMachine, isBuilt } from "./machine.js";
import type { Outcome } from "./stand-ins/jest.js";

/** A test that ran on XS, or should have. */
export interface Result {
  file: string;
  /** Titles of the blocks around it, and its own. */
  title: string;
  isSkipped: boolean;
  failure?: string;
}

/** Tests that are not run. */
export interface LeftOut {
  file: string;
  titles: RegExp;
  reason: string;
}

export interface RunOptions {
  /** Folder of modules that are frozen, as are the engine's own objects, before any test runs. */
  frozen?: string;
  leftOut?: LeftOut[];
}

/** What both directions' decoders leave out, in the given file. */
export function slowInDecoders(file: string): LeftOut[] {
  return [
    {
      file,
      titles: /passes over a topic name longer than scratch, at QoS [02]/,
      reason: "seconds each; the same is run at QoS 1",
    },
    {
      file,
      titles: /reads a PUBLISH whose remaining length is 209715[12]$/,
      reason: "the test's own string of two megabytes grows piece by piece for a minute",
    },
  ];
}

/** What the decoder of MQTT 5 leaves out, in the given file. */
export function slowInDecoder5(file: string): LeftOut {
  return {
    file,
    titles: /of 209715[12] bytes in PUBLISH|is read with a remaining length of 209715[12]/,
    reason: "the test's own strings of two megabytes are made and compared for four to eighteen seconds",
  };
}

/** What the suite of requests leaves out, in the given file. */
export function notInRequests(file: string): LeftOut {
  return {
    file,
    titles: /the random part is drawn for each client|withRequests throws/,
    reason: "the stand-in for jest has no spies, and takes no undefined in a table",
  };
}

/** What the suite of streams leaves out, in the given file. */
export function slowInStreams(file: string): LeftOut {
  return {
    file,
    titles: /sends one PUBLISH whose remaining length is 209715[12]/,
    reason: "payloads of two megabytes are made and compared for many seconds",
  };
}

/** What the suite of URLs leaves out, in the given file. */
export function notInUrl(file: string): LeftOut[] {
  return [
    {
      file,
      titles: /is that of the URL class for what both take/,
      reason: "XS has no URL class",
    },
    {
      file,
      titles: /refuses "mqtt:\/\/user:%ed%a0%80@h"/,
      reason: "XS's decodeURIComponent takes a surrogate; who puts the text into a packet refuses it",
    },
  ];
}

const STAND_INS: Record<string, string> = {
  "@jest/globals": "test/xs/stand-ins/jest.ts",
  "node:buffer": "test/xs/stand-ins/node.ts",
  "node:util/types": "test/xs/stand-ins/node.ts",
  "../hal/node.js": "test/xs/stand-ins/node.ts",
  "../../hal/node.js": "test/xs/stand-ins/node.ts",
  "../support/slowness.js": "test/xs/stand-ins/slowness.ts",
  "./slowness.js": "test/xs/stand-ins/slowness.ts",
};

/** Name of the module that is bundled, which is no file. */
const ENTRY = "xs-entry.js";
/** What is known of a test until its outcome is told. */
const UNKNOWN = "it did not end";

/** The module that is bundled: the files one behind the other, then the run. */
function entry(files: string[], isFrozen: boolean, leftOut: LeftOut[]): Plugin {
  const quoted = (path: string): string => JSON.stringify(resolve(root, path));
  const fastCheck = resolve(root, "test/xs/stand-ins/fast-check.ts");
  const jest = quoted("test/xs/stand-ins/jest.ts");
  const modules: Record<string, string> = {
    [resolve(root, ENTRY)]: [
      `import ${quoted("test/xs/stand-ins/node.ts")};`,
      // The mock's own suite has it as it is.
      ...(files.includes("test/mock.test.ts") ? [] : [`import ${quoted("test/xs/stand-ins/mock-text.ts")};`]),
      `import { freezeIntrinsics } from ${quoted("test/xs/stand-ins/preload.ts")};`,
      `import { run, titles } from ${jest};`,
      `import { counts } from "xs:counts";`,
      ...files.flatMap((file, i) => [`import ${quoted(file)};`, `import "xs:count-${i}";`]),
      `const tell = (what) => void issueCommand(new TextEncoder().encode(JSON.stringify(what)).buffer);`,
      ...(isFrozen ? [`freezeIntrinsics();`] : []),
      `tell({ counts, titles: titles() });`,
      `const leftOut = [${leftOut.map(({ titles }) => String(titles)).join()}];`,
      `run(tell, (title) => leftOut.some((one) => one.test(title)))`,
      `  .then(() => tell("end"), (error) => tell(String(error)));`,
    ].join("\n"),
    // How many tests there are when those of a file have been collected.
    "xs:counts": `export const counts = [];`,
  };
  const count = `import { titles } from ${jest}; import { counts } from "xs:counts"; counts.push(titles().length);`;
  files.forEach((_, i) => (modules[`xs:count-${i}`] = count));
  return {
    name: "entry",
    resolveId(specifier, importer) {
      if (specifier === "fast-check" && importer !== fastCheck) return fastCheck;
      return specifier in modules || isAbsolute(specifier) ? specifier : null;
    },
    load: (id) => modules[id] ?? null,
  };
}

/** Has the modules below `folder` frozen when they have run. Their variables become constants, as they are in flash. */
function freezer(folder: string): Plugin {
  const preload = JSON.stringify(resolve(root, "test/xs/stand-ins/preload.ts"));
  return {
    name: "freezer",
    transform: {
      order: "post",
      handler(code, id) {
        if (!relative(root, id).split(sep).join("/").startsWith(folder)) return null;
        const names: string[] = [];
        const parts: string[] = [];
        let at = 0;
        for (const statement of this.parse(code).body) {
          const isExport = statement.type === "ExportNamedDeclaration" || statement.type === "ExportDefaultDeclaration";
          const declared = isExport ? statement.declaration : statement;
          if (declared?.type === "VariableDeclaration") {
            for (const { id: name } of declared.declarations) {
              if (name.type !== "Identifier") throw new Error(`${id}: a pattern at the top`);
              names.push(name.name);
            }
            const { start } = declared as unknown as { start: number };
            parts.push(code.slice(at, start), "const");
            at = start + declared.kind.length;
          } else if (declared?.type === "FunctionDeclaration" || declared?.type === "ClassDeclaration") {
            if (declared.id) names.push(declared.id.name);
          }
        }
        parts.push(code.slice(at));
        return `import { preload } from ${preload};\n${parts.join("")}\npreload(${names.join(", ")});\n`;
      },
    },
  };
}

/** What comes from the machine: all titles and where each file's end, then the outcomes, then how it ended. */
type Told = { counts: number[]; titles: string[] } | Outcome | string;

/** Runs these files in one machine. Rejects when they cannot be bundled or loaded. */
export async function runOnXs(files: string[], { frozen, leftOut = [] }: RunOptions = {}): Promise<Result[]> {
  const plugins = [entry(files, frozen !== undefined, leftOut), nodeResolve()];
  if (frozen !== undefined) plugins.push(freezer(frozen));
  const code = await bundle(ENTRY, STAND_INS, plugins);
  const results: Result[] = [];
  let end = "";
  const machine = new XsMachine((request) => {
    const told = JSON.parse(Buffer.from(request).toString()) as Told;
    if (typeof told === "string") {
      end = told;
    } else if ("titles" in told) {
      told.titles.forEach((title, index) => {
        const file = files[told.counts.findIndex((count) => index < count)];
        results.push({ file, title, isSkipped: false, failure: UNKNOWN });
      });
    } else {
      const { file, title } = results[told.index];
      const { isSkipped, failure } = told;
      results[told.index] = { file, title, isSkipped, ...(failure !== undefined && { failure }) };
    }
    return new Uint8Array(0);
  });
  try {
    await machine.evaluate(code);
  } catch (error) {
    if (results.length === 0) throw error;
    end = String(error);
  } finally {
    machine.close();
  }
  const unknown = results.filter((result) => result.failure === UNKNOWN);
  for (const result of unknown) result.failure = `${UNKNOWN}: ${end}`;
  if (end !== "end" && unknown.length === 0) throw new Error(end);
  return results;
}

/**
 * Runs groups of files, each group in a machine of its own, and makes a test here of each test there. To be awaited at
 * the top of a test file.
 */
export async function testOnXs(title: string, groups: string[][], options: RunOptions = {}): Promise<void> {
  const byGroup: Result[][] = [];
  let next = 0;
  const runSome = async (): Promise<void> => {
    for (let i = next++; i < groups.length; i = next++) byGroup[i] = await runOnXs(groups[i], options);
  };
  // Two machines at a time.
  if (isBuilt()) await Promise.all([runSome(), runSome()]);
  const results = byGroup.flat();
  for (const file of groups.flat()) {
    needs(XS_ENGINE)(`${title}: ${file}`, () => {
      if (!isBuilt()) it("all of its tests", () => undefined);
      const rest = results.filter((result) => result.file === file);
      for (const one of options.leftOut ?? []) {
        if (one.file !== file) continue;
        const gone = rest.filter((result) => one.titles.test(result.title));
        it(`leaves out ${gone.length} tests: ${one.reason}`, () => expect(gone).not.toEqual([]));
        for (const result of gone) rest.splice(rest.indexOf(result), 1);
      }
      for (const { title: name, isSkipped, failure } of rest) {
        (isSkipped ? it.skip : it)(name, () => {
          if (failure !== undefined) throw new Error(failure);
        });
      }
    });
  }
}
