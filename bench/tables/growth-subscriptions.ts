/** What a received message costs as there are more subscriptions. */
import { connectNear, cpuPerMessage, NearBroker } from "../near.js";
import { publishPacket } from "../packets.js";
import type { Table } from "./table.js";

const COUNTS = [1, 10, 100, 1000];
const PAYLOAD = Buffer.alloc(64, "x");
/** Messages in a chunk. */
const TOGETHER = 20;
const topicOf = (index: number): string => `sensors/kitchen/${String(index).padStart(8, "0")}`;

export default {
  title: "More subscriptions",
  text: `\
A client has subscribed to so many topics, and gets messages of all of them in turn, at QoS 0, 20 in a chunk. Client and
broker are in one process, without a network. With one topic, mcu-mqtt has the topic of the message before at hand.
Streams are part of the figures of MQTT.js: compare within a column.`,
  contestants: ["mcu-mqtt", "mqtt-js"],
  rows: COUNTS.map((count) => ({
    title: count.toLocaleString("en-US"),
    args: { count },
    base: "10",
    isLong: count === 1 || count === 100,
  })),
  columns: [{ figure: "cpuNs", title: "CPU", unit: "ns per message" }],
  // Each takes as long as several of others, and those differ more.
  rounds: 3,
  async run(_contestant, args, isQuick, id) {
    const count = args.count as number;
    const broker = new NearBroker(4);
    let received = 0;
    const onMessage = (): void => {
      received++;
    };
    const capacities = { txCapacity: 1 << 18, maxOperations: 1024 };
    const client = await connectNear[id](broker, { window: 16, onMessage, capacities });
    for (let i = 0; i < count; i++) {
      client.subscribe(topicOf(i));
      await client.turn?.();
      broker.answer();
      await client.turn?.();
    }
    const packets = Array.from({ length: count }, (_, i) => publishPacket(topicOf(i), PAYLOAD, 0));
    const chunks = packets.map((_, i) =>
      Buffer.concat(Array.from({ length: TOGETHER }, (_packet, k) => packets[(i * TOGETHER + k) % count])));
    let next = 0;
    const drive = async (messages: number): Promise<void> => {
      const until = received + messages;
      while (received < until) {
        broker.deliver(chunks[next]);
        next = (next + 1) % chunks.length;
        if (client.turn) await client.turn();
      }
    };
    await drive(20000);
    return cpuPerMessage(drive, isQuick);
  },
} satisfies Table;
