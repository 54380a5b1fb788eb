/** Makes dist: an ES module per entry point for Node, and one minified file for boards. */
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import { entries, external, minified, nodeTarget, root, typescript } from "./rollup.shared.js";

rmSync(resolve(root, "dist"), { recursive: true, force: true });

const board = minified(entries.client);

export default [
  {
    input: entries,
    // package.json decides which HAL "mcu-mqtt/hal" is, on the user's machine as here.
    external: [external, "mcu-mqtt/hal"],
    plugins: [typescript(nodeTarget)],
    output: { dir: "dist", format: "es", entryFileNames: "[name].js", chunkFileNames: "shared/[name].js" },
  },
  { ...board, output: { ...board.output, file: "dist/board.js" } },
];
