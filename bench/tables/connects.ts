import { connectInARow, without } from "../clients.js";
import type { Table } from "./table.js";

export default {
  title: "Connecting",
  text:
    "A client connects to a minimal peer; when it is accepted it ends the session with DISCONNECT, and when that is " +
    "done the next one connects: a new client, or the same once more, as on a device. As many before are not measured.",
  contestants: without("mcu-mqtt-1k", "mosquitto-clients"),
  rows: [
    { title: "1,000 in a row, a new client each", args: { isSame: 0 } },
    {
      title: "1,000 in a row, the same client",
      args: { isSame: 1 },
      contestants: ["mcu-mqtt", "mqtt-js", "raw-socket"],
    },
  ],
  columns: [
    { figure: "cpuNs", title: "CPU", unit: "ns per connection" },
    { figure: "heapBytes", title: "heap", unit: "bytes per connection" },
    { figure: "rssBytes", title: "RSS", unit: "bytes" },
  ],
  rounds: 3,
  run: (contestant, { isSame }, isQuick) => connectInARow(contestant, isQuick ? 200 : 1000, isSame === 1),
} satisfies Table;
