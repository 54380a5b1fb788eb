/**
 * Loads a target together with all it imports, the sources of the library instrumented: they count how often each
 * statement and each branch is reached.
 */
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { pathToFileURL } from "node:url";
import { createInstrumenter } from "istanbul-lib-instrument";
import type { Plugin } from "rollup";
import { rollup } from "rollup";
import { bundled, root } from "../../rollup.shared.js";
import type { Target } from "./targets.js";

/** What the instrumented code keeps of a file, in the form of istanbul. */
interface Counts {
  s: Record<string, number>;
  b: Record<string, number[]>;
  statementMap: Record<string, { start: { line: number } }>;
}

/** How much of a file was reached at least once. */
export interface Reached {
  file: string;
  statements: [reached: number, all: number];
  branches: [reached: number, all: number];
  /** Lines with a statement that was not reached. */
  missing: number[];
}

export interface Instrumented extends Target {
  coverage: Coverage;
}

let loaded = 0;

/**
 * Loads a target anew, with counters of its own.
 *
 * @param path its source in this folder, without the ending
 * @param isCounted which files, by their paths from the root, have counters
 */
export async function loadInstrumented(
  path: string,
  isCounted = (file: string): boolean => file.startsWith("src/"),
): Promise<Instrumented> {
  const variable = `__counts_${loaded++}__`;
  const instrumenter = createInstrumenter({
    coverageVariable: variable,
    esModules: true,
    parserPlugins: ["typescript"],
  });
  const plugin: Plugin = {
    name: "instrument",
    // In front of the one that strips the types, so that lines are those of the source.
    transform(code, id) {
      const file = relative(root, id).split(sep).join("/");
      return isCounted(file) ? { code: instrumenter.instrumentSync(code, file), map: null } : null;
    },
  };
  const { output, ...options } = bundled(`test/fuzz/${path}.ts`);
  const made = await rollup({ ...options, plugins: [plugin, options.plugins], treeshake: false });
  const folder = await mkdtemp(join(tmpdir(), "fuzz-"));
  try {
    const { output: [chunk] } = await made.generate(output);
    const script = join(folder, "target.mjs");
    await writeFile(script, chunk.code);
    const target = await import(pathToFileURL(script).href) as Target;
    const counts = (globalThis as unknown as Record<string, Record<string, Counts> | undefined>)[variable] ?? {};
    return { run: target.run, seeds: target.seeds, coverage: new Coverage(counts) };
  } finally {
    await made.close();
    await rm(folder, { recursive: true });
  }
}

/** How often a counter went up, roughly: inputs that differ in that are different. */
function bucket(count: number): number {
  return count < 3 ? count - 1 : count < 8 ? 2 : 3;
}
const BUCKETS = 4;

/** Counters of all files, and what of them was ever reached. */
export class Coverage {
  private readonly files: [file: string, counts: Counts][];
  /** Objects that have counters, and the first number of each. */
  private readonly parts: Record<number, number>[] = [];
  private readonly lengths: number[] = [];
  private readonly reached = new Set<number>();

  constructor(files: Record<string, Counts>) {
    this.files = Object.entries(files).sort(([a], [b]) => (a < b ? -1 : 1));
    for (const [, { s, b }] of this.files) {
      for (const part of [s, ...Object.values(b)]) {
        this.parts.push(part);
        this.lengths.push(Object.keys(part).length);
      }
    }
    // What ran as the modules were loaded will not run again.
    this.features();
  }

  /** Sets all counters to 0. */
  clear(): void {
    this.parts.forEach((part, i) => {
      for (let key = 0; key < this.lengths[i]; key++) part[key] = 0;
    });
  }

  /** What was reached since `clear`: a number for each counter and how often, roughly, it went up. */
  features(): number[] {
    const features: number[] = [];
    let base = 0;
    this.parts.forEach((part, i) => {
      for (let key = 0; key < this.lengths[i]; key++) {
        const count = part[key];
        if (count === 0) continue;
        this.reached.add(base + key);
        features.push((base + key) * BUCKETS + bucket(count));
      }
      base += this.lengths[i];
    });
    return features;
  }

  /** Of the files that have branches, some of which were reached. */
  report(): Reached[] {
    let base = 0;
    const reports = this.files.map(([file, { s, b, statementMap }]): Reached => {
      const take = (count: number): boolean[] => {
        const keys = Array.from({ length: count }, (_, key) => this.reached.has(base + key));
        base += count;
        return keys;
      };
      const statements = take(Object.keys(s).length);
      const branches = take(Object.values(b).flat().length);
      const missing = Object.values(statementMap).filter((_, key) => !statements[key]).map(({ start }) => start.line);
      return { file, statements: share(statements), branches: share(branches), missing: [...new Set(missing)] };
    });
    return reports.filter(({ branches }) => branches[0] > 0);
  }
}

function share(reached: boolean[]): [number, number] {
  return [reached.filter(Boolean).length, reached.length];
}
