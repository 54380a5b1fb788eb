/**
 * Makes dist: ES modules for Node; minified, a file for any board, one for each board of the Moddable SDK, and one for
 * each module that adds to a client.
 */
import { rmSync } from "node:fs";
import { resolve } from "node:path";
import {
  boardAsync,
  boardPackage,
  boardStore,
  boardV5,
  boards,
  entries,
  external,
  minified,
  nodeTarget,
  optional,
  optional5,
  root,
  stores,
  typescript,
} from "./rollup.shared.js";

rmSync(resolve(root, "dist"), { recursive: true, force: true });

/** A file of dist. */
const file = (name, { output, ...options }) => ({ ...options, output: { ...output, file: `dist/${name}.js` } });

export default [
  {
    input: entries,
    // package.json decides which HAL "mcu-mqtt/hal" is, on the user's machine as here.
    external: [external, "mcu-mqtt/hal"],
    plugins: [typescript(nodeTarget)],
    output: { dir: "dist", format: "es", entryFileNames: "[name].js", chunkFileNames: "shared/[name].js" },
  },
  file("board", minified(entries.client)),
  ...Object.keys(boards).map((board) => file(board, boardPackage(board))),
  ...Object.keys(stores).map((board) => file(`store-${board}`, boardStore(board))),
  file("async-esp32", boardAsync("esp32")),
  file("websocket-esp32", minified("hal/esp32-websocket.ts")),
  file("board/tls", minified("hal/ecma419-tls-options.ts")),
  ...Object.keys(boards).map((board) => file(`v5-${board}`, boardV5(board))),
  ...[...optional, ...optional5].map((name) => file(`board/${name}`, minified(entries[name]))),
];
