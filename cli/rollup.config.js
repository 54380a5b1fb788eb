/** Makes dist/main.js: the command line and what it uses of the library in one file. */
import { bundled, external } from "../rollup.shared.js";

const { output, ...options } = bundled("cli/src/main.ts");

export default {
  ...options,
  external: (id) => external.test(id) || id === "commander" || id === "ws",
  output: { ...output, file: new URL("dist/main.js", import.meta.url).pathname },
};
