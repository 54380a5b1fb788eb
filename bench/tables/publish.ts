import { measure, publishMany } from "../clients.js";
import { TOPIC } from "../packets.js";
import { startBroker } from "../peers/start.js";
import type { Table } from "./table.js";

export default {
  title: "Publishing",
  text: `A client publishes to a minimal peer on the loopback interface, which answers with as little work as can be;
payload of 64 bytes, topic of 24.`,
  contestants: ["mcu-mqtt", "mqtt-js", "raw-socket"],
  rows: [
    { title: "QoS 0", args: { qos: 0, window: 1 } },
    { title: "QoS 1, window 1", args: { qos: 1, window: 1 }, isLong: true },
    { title: "QoS 1, window 20", args: { qos: 1, window: 20 } },
    { title: "QoS 1, window 100", args: { qos: 1, window: 100 }, isLong: true },
    { title: "QoS 2, window 1", args: { qos: 2, window: 1 }, isLong: true },
    { title: "QoS 2, window 20", args: { qos: 2, window: 20 }, isLong: true },
    { title: "QoS 2, window 100", args: { qos: 2, window: 100 }, isLong: true },
  ],
  columns: [
    { figure: "cpuNs", title: "CPU", unit: "ns per message" },
    { figure: "heapBytes", title: "heap", unit: "bytes per message" },
    { figure: "collections", title: "collections", unit: "per million messages" },
    { figure: "writes", title: "writes", unit: "per message" },
    { figure: "rssBytes", title: "RSS", unit: "bytes" },
  ],
  async run(contestant, args, isQuick) {
    if (contestant.connect === undefined) return undefined;
    const window = args.window as number;
    const qos = args.qos as 0 | 1 | 2;
    const port = await startBroker();
    const client = await contestant.connect(port, { clientId: "bench", window, onMessage: () => undefined });
    const message = { topic: TOPIC, payload: Buffer.alloc(64, "x"), qos };
    return measure((count, onEach) => publishMany(client, message, window, count, onEach), isQuick);
  },
} satisfies Table;
