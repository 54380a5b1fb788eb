/** Makes one script for XS out of a TypeScript file and all it imports. */
import { rollup } from "rollup";
import { bundled } from "../../rollup.shared.js";

/**
 * The script: a function that runs at once, so that nothing of it becomes global but what it puts there.
 *
 * @param input path of the source, relative to the root
 * @param aliases import specifier -> path of the source it means
 */
export async function bundle(input: string, aliases: Record<string, string> = {}): Promise<string> {
  const { output, ...options } = bundled(input, aliases);
  const made = await rollup(options);
  try {
    const result = await made.generate({ ...output, format: "iife" });
    return result.output[0].code;
  } finally {
    await made.close();
  }
}
