/**
 * The simulator with a mutated library: bundled in memory and run in this process, with a limit on its time, since a
 * mutated library may never return.
 */
import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { fileURLToPath } from "node:url";
import { runInThisContext } from "node:vm";
import { build } from "esbuild";
import type { Finding } from "./hunt.js";
import type { Mutation } from "./mutations.js";

const FOLDER = dirname(fileURLToPath(import.meta.url));
const SRC = resolve(FOLDER, "../../src");
/** A schedule takes some milliseconds. */
const LIMIT_MS = 240000;

/** The source with the mutation in it. Throws unless what it replaces occurs exactly once. */
export function mutate(mutation: Mutation): string {
  const source = readFileSync(resolve(SRC, mutation.file), "utf8");
  const parts = source.split(mutation.find);
  if (parts.length !== 2) {
    const { name, file, find } = mutation;
    throw new Error(`mutation "${name}": "${find}" occurs ${parts.length - 1} times in ${file}`);
  }
  return parts.join(mutation.replace);
}

/**
 * Runs schedules from `seed` on until one breaks a rule.
 *
 * @param mutation undefined: the library as it is
 * @returns how many schedules ran, and what was found
 */
export async function huntMutant(
  mutation: Mutation | undefined, seed: number, most: number,
): Promise<{ schedules: number; finding: Finding | undefined }> {
  const source = mutation === undefined ? undefined : mutate(mutation);
  const { outputFiles } = await build({
    entryPoints: [resolve(FOLDER, "hunt.ts")],
    bundle: true,
    write: false,
    format: "iife",
    globalName: "torture",
    target: "es2022",
    tsconfigRaw: { compilerOptions: { useDefineForClassFields: false } },
    logLevel: "silent",
    plugins: [{
      name: "mutation",
      setup(bundler) {
        bundler.onLoad({ filter: /[\\/]src[\\/].*\.ts$/ }, ({ path }) => {
          const isMutated = source !== undefined && path === resolve(SRC, mutation?.file ?? "");
          return isMutated ? { contents: source, loader: "ts" } : null;
        });
      },
    }],
  });
  const code = `(() => { ${outputFiles[0].text}; return JSON.stringify(torture.hunt(${seed}, 1, ${most}, 1)); })()`;
  const { schedules, findings } = JSON.parse(runInThisContext(code, { timeout: LIMIT_MS }) as string) as {
    schedules: number; findings: Finding[];
  };
  return { schedules, finding: findings[0] };
}
