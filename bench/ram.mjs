/**
 * What one client holds in RAM, measured on clients: buffers and tables exactly, since all are allocated when a client
 * is made, and the objects around them as Node's heap sees them.
 */
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { rollup } from "rollup";
import { bundled, entries } from "../rollup.shared.js";

const WORKED_SUM = { maxMessageLength: 256, rxCapacity: 256, txCapacity: 800, maxOperations: 8, receiveMaximum: 20 };

/** The worked sum in README.md, a client that says nothing, and what is added to them. */
const CLIENTS = {
  "`sensor` of the worked sum below": [WORKED_SUM, (client) => client],
  "the same with `outcomes`, `queue`, `snapshot` and `streams`": [WORKED_SUM, addAll],
  "`sensor` with Node's defaults": [{}, (client) => client],
};

/** Clients made to weigh one: enough to drown what else the heap does. */
const SAMPLE = 400;

async function loadPackage() {
  const { output, ...options } = bundled("bench/added.js", { "mcu-mqtt/hal": entries["hal/node"] });
  const bundle = await rollup(options);
  const result = await bundle.generate(output);
  await bundle.close();
  return import(`data:text/javascript,${encodeURIComponent(result.output[0].code)}`);
}

function addAll(client, { withOutcomes, withQueuePolicy, withSnapshot, withStreams }) {
  return withStreams(withSnapshot(withQueuePolicy(withOutcomes(client), {})));
}

/** Sum of the buffers that can be reached from `value`, each counted once. */
function bufferBytes(value, seen = new Set()) {
  if (typeof value !== "object" || value === null || seen.has(value)) {
    return 0;
  }
  seen.add(value);
  if (ArrayBuffer.isView(value)) {
    return bufferBytes(value.buffer, seen);
  }
  if (value instanceof ArrayBuffer) {
    return value.byteLength;
  }
  return Object.values(value).reduce((sum, field) => sum + bufferBytes(field, seen), 0);
}

/** Bytes of Node's heap, buffers excluded, that `make` leaves in use. */
function heapBytes(make) {
  setFlagsFromString("--expose-gc");
  const collect = runInNewContext("gc");
  const kept = new Array(SAMPLE + 1).fill(null);
  kept[SAMPLE] = make();
  collect();
  const before = process.memoryUsage().heapUsed;
  for (let i = 0; i < SAMPLE; i++) {
    kept[i] = make();
  }
  collect();
  return (process.memoryUsage().heapUsed - before) / SAMPLE;
}

/** A Markdown table. Its last column is rounded: it changes with Node. */
export async function ramTable() {
  const loaded = await loadPackage();
  const rows = Object.entries(CLIENTS).map(([name, [options, add]]) => {
    const make = () => add(loaded.default.Client("sensor", 60, null, null, 0, options), loaded);
    const objects = Math.round(heapBytes(make) / 1000) * 1000;
    return `| ${name} | ${bufferBytes(make()).toLocaleString("en-US")} | about ${objects.toLocaleString("en-US")} |`;
  });
  return ["| client | buffers and tables, bytes | objects, bytes |", "|---|--:|--:|", ...rows].join("\n");
}

/** The part of a table that is the same everywhere. */
export function exactPart(table) {
  return table.replace(/about [\d,]+/g, "about");
}
