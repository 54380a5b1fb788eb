import { connectInARow, without } from "../clients.js";
import type { Table } from "./table.js";

export default {
  title: "Connecting",
  text:
    "A client is made and connects to a minimal peer; when it is accepted it ends the session with DISCONNECT, and " +
    "when that is done the next one is made.",
  contestants: without("mosquitto-clients"),
  rows: [{ title: "1,000 in a row", args: {} }],
  columns: [
    { figure: "cpuNs", title: "CPU", unit: "ns per connection" },
    { figure: "heapBytes", title: "heap", unit: "bytes per connection" },
    { figure: "rssBytes", title: "RSS", unit: "bytes" },
  ],
  run: (contestant, _args, isQuick) => connectInARow(contestant, isQuick ? 200 : 1000),
} satisfies Table;
