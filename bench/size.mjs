/**
 * What the package costs: bytes of each entry point, bundled and minified the way a board's file is with everything it
 * imports, and RAM per client.
 *
 *     npm run size               prints the tables
 *     npm run size -- --check    fails when an entry is larger than bench/size.json says, or README.md says otherwise
 *     npm run size -- --update   writes the numbers to bench/size.json and README.md
 *
 * In README.md the tables stand between <!-- size --> and <!-- /size -->, <!-- ram --> and <!-- /ram -->.
 */
import { readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { gzipSync } from "node:zlib";
import { rollup } from "rollup";
import { entries, minified, nodeTarget, optional, optional5, root } from "../rollup.shared.js";
import { exactPart, ramTable } from "./ram.mjs";

const BUDGET = resolve(root, "bench/size.json");
const README = resolve(root, "README.md");

/** The part of README.md that belongs to a table. */
const block = (name) => new RegExp(`(<!-- ${name} -->)[^]*?(<!-- /${name} -->)`);

/** zlib differs a little between Node versions and processors. */
const GZIP_TOLERANCE = 1.01;

/** Entry point -> what is in it, its source, the newest syntax (that of boards unless given). */
const ENTRIES = {
  "mcu-mqtt": ["client and Node's HAL", entries.index, nodeTarget],
  "mcu-mqtt/client": ["client without a HAL: what a board loads", entries.client],
  ...Object.fromEntries(optional.map((name, index) => (
    [`mcu-mqtt/${name}`, [index === 0 ? "its own file, for boards" : "the same", entries[name]]]
  ))),
  "mcu-mqtt/v5": ["MQTT 5: what a board loads in place of `mcu-mqtt/client`", "src/v5/face.ts"],
  ...Object.fromEntries(optional5.map((name) => [`mcu-mqtt/${name}`, ["its own file, for boards", entries[name]]])),
  "mcu-mqtt/scram": ["SCRAM, for Node", entries.scram, nodeTarget],
  "mcu-mqtt/async": ["promises: client and modules, without a HAL", "src/async/face.ts", nodeTarget],
  "mcu-mqtt/websocket": ["Node's HAL and WebSocket, without ws", entries.websocket, nodeTarget],
  "codec and session": ["what of that is not the face", "bench/session.js"],
  "mcu-mqtt/core": ["codec in both directions, session", entries.core, nodeTarget],
  "mcu-mqtt/core5": ["the same with MQTT 5", entries.core5, nodeTarget],
  "mcu-mqtt/hal/node": ["Node's HAL", entries["hal/node"], nodeTarget],
  "mcu-mqtt/hal/mock": ["mock, for tests", entries["hal/mock"], nodeTarget],
};

async function measure(input, target) {
  const { output, ...options } = minified(input, { "mcu-mqtt/hal": entries["hal/node"] }, target);
  const bundle = await rollup(options);
  try {
    const result = await bundle.generate(output);
    const code = Buffer.from(result.output[0].code);
    return { minified: code.length, gzip: gzipSync(code, { level: 9 }).length };
  } finally {
    await bundle.close();
  }
}

function table(sizes) {
  const digits = (count) => count.toLocaleString("en-US");
  const rows = Object.entries(sizes).map(
    ([name, size]) => `| \`${name}\` | ${ENTRIES[name][0]} | ${digits(size.minified)} | ${digits(size.gzip)} |`,
  );
  return ["| entry point | contents | minified, bytes | gzip, bytes |", "|---|---|--:|--:|", ...rows].join("\n");
}

function read(path) {
  try {
    return readFileSync(path, "utf8");
  } catch (error) {
    if (error.code === "ENOENT") {
      return undefined;
    }
    throw error;
  }
}

/** What keeps the numbers from being accepted, as sentences. */
function complaints(sizes, ram) {
  const budget = JSON.parse(read(BUDGET) ?? "{}");
  const found = [];
  for (const [name, size] of Object.entries(sizes)) {
    const allowed = budget[name];
    if (!allowed) {
      found.push(`${name} has no budget.`);
      continue;
    }
    if (size.minified > allowed.minified) {
      found.push(`${name} is ${size.minified} bytes minified, ${size.minified - allowed.minified} over its budget.`);
    }
    if (size.gzip > allowed.gzip * GZIP_TOLERANCE) {
      found.push(`${name} is ${size.gzip} bytes gzipped, ${size.gzip - allowed.gzip} over its budget.`);
    }
  }
  const readme = read(README) ?? "";
  for (const [name, text] of [["size", table(budget)], ["ram", ram]]) {
    const written = block(name).exec(readme);
    if (written && !exactPart(written[0]).includes(exactPart(text))) {
      found.push(`README.md has other numbers in its <!-- ${name} --> block.`);
    }
  }
  return found;
}

function update(sizes, ram) {
  writeFileSync(BUDGET, `${JSON.stringify(sizes, null, 2)}\n`);
  let readme = read(README) ?? "";
  for (const [name, text] of [["size", table(sizes)], ["ram", ram]]) {
    if (block(name).test(readme)) {
      readme = readme.replace(block(name), (_all, before, after) => `${before}\n${text}\n${after}`);
    } else {
      console.error(`README.md has no <!-- ${name} --> and, on a line of its own, <!-- /${name} -->.`);
    }
  }
  if (read(README) !== undefined) {
    writeFileSync(README, readme);
  }
}

const known = ["--check", "--update"];
const unknown = process.argv.slice(2).filter((option) => !known.includes(option));
if (unknown.length > 0) {
  console.error(`size: unknown option ${unknown[0]}; there are ${known.join(" and ")}`);
  process.exit(2);
}

const sizes = {};
for (const [name, [, input, target]] of Object.entries(ENTRIES)) {
  sizes[name] = await measure(input, target);
}
const ram = await ramTable();
console.log(`${table(sizes)}\n\n${ram}`);

if (process.argv.includes("--update")) {
  update(sizes, ram);
}
if (process.argv.includes("--check")) {
  const found = complaints(sizes, ram);
  for (const complaint of found) {
    console.error(complaint);
  }
  if (found.length > 0) {
    console.error('Make it smaller, or accept the growth with "npm run size -- --update" and say why in the commit.');
    process.exitCode = 1;
  }
}
