/** What TypeScript sources use of foreign.mjs. */
import type { InputOptions, OutputOptions } from "rollup";

export function foreign(
  packages: string,
  path: string,
  isAlone?: boolean,
): InputOptions & { output: OutputOptions };
