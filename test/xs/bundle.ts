/** Makes one script for XS out of a TypeScript file and all it imports. */
import type { Plugin } from "rollup";
import { rollup } from "rollup";
import { bundled } from "../../rollup.shared.js";

/**
 * The script: a function that runs at once, so that nothing of it becomes global but what it puts there. Throws when
 * something is imported that XS does not have.
 *
 * @param input path of the source, relative to the root, or a name that one of `plugins` knows
 * @param aliases import specifier -> path of the source it means
 * @param plugins asked before those of the build
 */
export async function bundle(
  input: string,
  aliases: Record<string, string> = {},
  plugins: Plugin[] = [],
): Promise<string> {
  const { output, ...options } = bundled(input, aliases);
  const made = await rollup({
    ...options,
    plugins: [plugins, options.plugins],
    // Node's own modules are none of XS's.
    external: [],
    onLog(level, log) {
      if (level === "warn" && log.code !== "CIRCULAR_DEPENDENCY") throw new Error(log.message);
    },
  });
  try {
    const result = await made.generate({ ...output, format: "iife" });
    return result.output[0].code;
  } finally {
    await made.close();
  }
}
