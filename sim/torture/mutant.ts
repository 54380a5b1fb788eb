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
/** Schedules that run together, and what they may take: one takes some milliseconds. */
const TOGETHER = 50;
const LIMIT_MS = 60000;

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
  runInThisContext(outputFiles[0].text);
  let done = 0;
  while (done < most) {
    const count = Math.min(TOGETHER, most - done);
    const { schedules, findings } = runSome(seed + done, count);
    done += schedules;
    if (findings.length > 0) return { schedules: done, finding: findings[0] };
  }
  return { schedules: done, finding: undefined };
}

/** Runs some schedules in the bundle that was loaded last. One that does not end has broken a rule, too. */
function runSome(seed: number, count: number): { schedules: number; findings: Finding[] } {
  try {
    const code = `JSON.stringify(torture.hunt(${seed}, 1, ${count}, 1))`;
    return JSON.parse(runInThisContext(code, { timeout: LIMIT_MS }) as string) as ReturnType<typeof runSome>;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ERR_SCRIPT_EXECUTION_TIMEOUT") throw error;
    return { schedules: count, findings: [{ seed, rule: "stuck: a call that does not return" }] };
  }
}
