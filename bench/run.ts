/**
 * Runs the samples: each in a process of its own, contestants in turn, on one processor where the system can pin a
 * process to it. The processes run what rollup makes of the sources, without a loader between them and Node.
 */
import { execFile, execFileSync } from "node:child_process";
import { readdirSync, rmSync } from "node:fs";
import { availableParallelism } from "node:os";
import { resolve } from "node:path";
import { rollup } from "rollup";
import { entries, nodeTarget, root, typescript } from "../rollup.shared.js";
import type { Contestant } from "./contestants/contestant.js";
import type { Figures, Row, Table } from "./tables/table.js";

/** Where the bundled processes lie: inside the project, so that they find its dependencies. */
const BUILT = resolve(root, "node_modules/.cache/mcu-mqtt-bench");
/** No sample takes nearly as long. */
const SAMPLE_TIMEOUT_MS = 120000;

/** A cell's samples, one for each round; undefined: there was none. */
export type Samples = (Figures | undefined)[];

export interface TableResult {
  name: string;
  table: Table;
  /** Row -> contestant, in the table's order -> samples. */
  samples: Samples[][];
}

export interface RunOptions {
  rounds: number;
  isQuick: boolean;
  /** Names of tables to run; empty: all. */
  only: string[];
  /** Told before each round of a table. */
  onProgress(text: string): void;
}

/** What was made of the sources, by the names of their files. */
export interface Built {
  tables: Map<string, Table>;
  contestants: Map<string, Contestant>;
}

const namesIn = (folder: string): string[] =>
  readdirSync(resolve(root, "bench", folder))
    .filter((name) => name.endsWith(".ts"))
    .map((name) => name.slice(0, -3))
    .sort();

/** The default exports of what was made of a folder; the file that says what they are has none. */
async function loadAll<T>(folder: string, types: string): Promise<Map<string, T>> {
  const loaded = new Map<string, T>();
  for (const name of namesIn(folder).filter((each) => each !== types)) {
    loaded.set(name, ((await import(resolve(BUILT, folder, `${name}.js`))) as { default: T }).default);
  }
  return loaded;
}

/** Makes the processes of the samples, and returns tables and contestants. */
export async function build(): Promise<Built> {
  const inputs = ["sample", ...["contestants", "tables", "peers"].flatMap((folder) =>
    namesIn(folder).map((name) => `${folder}/${name}`),
  )];
  const aliases: Record<string, string> = {
    "mcu-mqtt": entries.index,
    "mcu-mqtt/core": entries.core,
    "mcu-mqtt/client": entries.client,
    "mcu-mqtt/hal": entries["hal/node"],
    "mcu-mqtt/hal/node": entries["hal/node"],
    "mcu-mqtt/hal/mock": entries["hal/mock"],
  };
  rmSync(BUILT, { recursive: true, force: true });
  const bundle = await rollup({
    input: Object.fromEntries(inputs.map((name) => [name, resolve(root, "bench", `${name}.ts`)])),
    // Files that hold nothing but types.
    logLevel: "silent",
    // Packages are loaded as they are.
    external: (id) => /^[^./]/.test(id) && !id.startsWith(root) && !(id in aliases),
    plugins: [
      { name: "aliases", resolveId: (id) => (id in aliases ? resolve(root, aliases[id]) : null) },
      // Finds the project's files from where it lies.
      {
        name: "shared",
        resolveId: (id) =>
          id.endsWith("/rollup.shared.js") ? { id: resolve(root, "rollup.shared.js"), external: "absolute" } : null,
      },
      typescript(nodeTarget),
    ],
  });
  await bundle.write({ dir: BUILT, format: "es", chunkFileNames: "shared/[name]-[hash].js" });
  await bundle.close();
  return {
    tables: await loadAll<Table>("tables", "table"),
    contestants: await loadAll<Contestant>("contestants", "contestant"),
  };
}

/** What stands before `node` on the command line of a sample: the last processor, since the first has most to do. */
function pinning(): string[] {
  try {
    const last = String(availableParallelism() - 1);
    execFileSync("taskset", ["-c", last, "true"], { stdio: "ignore" });
    return ["taskset", "-c", last];
  } catch {
    return [];
  }
}

export const isPinned = pinning().length > 0;

function takeSample(name: string, table: Table, contestant: string, row: Row, quick: boolean): Promise<unknown> {
  const script = [resolve(BUILT, "sample.js"), name, contestant, JSON.stringify(row.args), quick ? "quick" : "long"];
  const [program, ...args] = [...pinning(), process.execPath, ...(table.nodeOptions ?? []), ...script];
  return new Promise((fulfil, reject) => {
    execFile(program, args, { timeout: SAMPLE_TIMEOUT_MS, maxBuffer: 1e7 }, (error, stdout, stderr) => {
      const where = `${name}, ${row.title}, ${contestant}`;
      if (error) return reject(new Error(`${where}: ${stderr || error.message}`));
      try {
        fulfil(JSON.parse(stdout));
      } catch {
        reject(new Error(`${where}: no figures in ${JSON.stringify(stdout)}`));
      }
    });
  });
}

/** Takes all samples, round by round. */
export async function run(tables: Map<string, Table>, options: RunOptions): Promise<TableResult[]> {
  const results: TableResult[] = [];
  for (const [name, table] of tables) {
    if (options.only.length > 0 && !options.only.includes(name)) continue;
    const rows = table.rows.filter((row) => !options.isQuick || !row.isLong);
    const samples = rows.map(() => table.contestants.map((): Samples => []));
    results.push({ name, table: { ...table, rows }, samples });
  }
  for (let round = 0; round < options.rounds; round++) {
    for (const { name, table, samples } of results) {
      if (round >= (table.rounds ?? options.rounds)) continue;
      options.onProgress(`round ${round + 1} of ${options.rounds}: ${table.title}`);
      for (const [r, row] of table.rows.entries()) {
        for (let turn = 0; turn < table.contestants.length; turn++) {
          // Another one begins each time.
          const c = (turn + round) % table.contestants.length;
          const contestant = table.contestants[c];
          if (row.contestants !== undefined && !row.contestants.includes(contestant)) continue;
          const figures = await takeSample(name, table, contestant, row, options.isQuick);
          samples[r][c].push((figures ?? undefined) as Figures | undefined);
        }
      }
    }
  }
  return results;
}
