/** Bundles what other packages bring, to weigh it. */
import { builtinModules } from "node:module";
import { resolve } from "node:path";
import commonjs from "@rollup/plugin-commonjs";
import nodeResolve from "@rollup/plugin-node-resolve";
import terser from "@rollup/plugin-terser";

const isBuiltin = (id) => id.startsWith("node:") || builtinModules.includes(id);
const isPackage = (id) => /^[^./]/.test(id);

/**
 * A rollup input and output that make a file of a package, with all that it imports but Node's modules, into one file,
 * minified.
 *
 * @param path below node_modules
 * @param isAlone without the packages that it imports
 */
export function foreign(packages, path, isAlone = false) {
  return {
    input: resolve(packages, path),
    logLevel: "silent",
    external: (id) => isBuiltin(id) || (isAlone && isPackage(id)),
    plugins: [
      nodeResolve({ preferBuiltins: true, exportConditions: ["node"] }),
      commonjs({ ignoreDynamicRequires: true }),
      // MQTT.js reads its own version.
      { name: "json", transform: (code, id) => (id.endsWith(".json") ? `export default ${code}` : null) },
    ],
    output: {
      format: "es",
      inlineDynamicImports: true,
      plugins: [terser({ ecma: 2020, module: true, format: { comments: false } })],
    },
  };
}
