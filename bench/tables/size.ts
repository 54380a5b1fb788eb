/** Bytes of code: what one bundles to have a codec or a client. */
import { readFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { rollup } from "rollup";
import type { InputOptions, OutputOptions } from "rollup";
import { boardPackage, entries, minified, nodeTarget, root } from "../../rollup.shared.js";
import { foreign } from "../foreign.mjs";
import type { Figures, Table } from "./table.js";

const HAL = { "mcu-mqtt/hal": entries["hal/node"] };
const PACKAGES = resolve(root, "node_modules");

type Input = InputOptions & { output: OutputOptions };

const ofPackage = (path: string, isAlone?: boolean): Input => foreign(PACKAGES, path, isAlone);

/** Row -> contestant -> what is bundled, or the path of a file that is shipped so. */
const INPUTS: Record<string, Record<string, (() => Input) | string>> = {
  codec: {
    "mcu-mqtt": () => minified("bench/codec.js"),
    "mqtt-packet": () => ofPackage("mqtt-packet/mqtt.js", true),
    "u8-mqtt-packet": () => ofPackage("u8-mqtt-packet/esm/codec_v4_full.js"),
  },
  session: {
    "mcu-mqtt": () => minified("bench/session.js"),
  },
  face: {
    "mcu-mqtt": () => minified(entries.client),
    "u8-mqtt": () => ofPackage("u8-mqtt/esm/v4.js"),
  },
  board: {
    "mcu-mqtt": () => boardPackage("esp32"),
    "mqtt-js": "mqtt/dist/mqtt.min.js",
    "u8-mqtt": "u8-mqtt/esm/web/v4.min.js",
  },
  node: {
    "mcu-mqtt": () => minified(entries.index, HAL, nodeTarget),
    "mqtt-js": () => ofPackage("mqtt/build/index.js"),
    "u8-mqtt": () => ofPackage("u8-mqtt/esm/node/v4.js"),
  },
};

async function bytesOf(input: (() => Input) | string): Promise<Buffer> {
  if (typeof input === "string") return readFileSync(resolve(PACKAGES, input));
  const { output, ...options } = input();
  const bundle = await rollup(options);
  const result = await bundle.generate(output);
  await bundle.close();
  return Buffer.from(result.output[0].code);
}

function row(args: string, title: string, isLong = false): Table["rows"][number] {
  return { title, args: { input: args }, contestants: Object.keys(INPUTS[args]), isLong };
}

export default {
  title: "Bytes of code",
  text: `\
Everything that is imported, in one file without Node's own modules, minified by terser. mcu-mqtt as it is built for
boards, with short names for members, which others do not promise to bear; mqtt-packet without the packages that it
imports; for browsers, the others' own minified files.`,
  contestants: ["mcu-mqtt", "mqtt-js", "mqtt-packet", "u8-mqtt", "u8-mqtt-packet"],
  rows: [
    row("codec", "codec", true),
    row("session", "codec and session"),
    row("face", "client without platform"),
    row("board", "client for a board (ours), for browsers (others)", true),
    row("node", "client for Node", true),
  ],
  columns: [
    { figure: "minified", title: "minified", unit: "B" },
    { figure: "gzip", title: "gzip", unit: "B" },
  ],
  rounds: 1,
  async run(_contestant, { input }, _isQuick, id): Promise<Figures> {
    const code = await bytesOf(INPUTS[input][id]);
    return { minified: code.length, gzip: gzipSync(code, { level: 9 }).length };
  },
} satisfies Table;
