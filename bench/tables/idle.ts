import { idle, without } from "../clients.js";
import type { Table } from "./table.js";

export default {
  title: "Idle clients",
  text:
    "1,000 clients of one process, connected and subscribed, with nothing to do: what each of them takes once the " +
    "garbage is collected. Buffers are bytes outside V8's heap; the system gives memory for those only that were " +
    "written to.",
  contestants: without("mosquitto-clients"),
  rows: [{ title: "1,000 clients", args: {} }],
  columns: [
    { figure: "heapBytes", title: "heap", unit: "bytes per client" },
    { figure: "bufferBytes", title: "buffers", unit: "bytes per client" },
    { figure: "rssBytes", title: "RSS", unit: "bytes per client" },
  ],
  nodeOptions: ["--expose-gc"],
  rounds: 2,
  run: (contestant, _args, isQuick) => idle(contestant, isQuick ? 200 : 1000),
} satisfies Table;
