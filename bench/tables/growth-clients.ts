/** What a message costs as there are more clients in the process. */
import { connectNear, cpuPerMessage, NearBroker } from "../near.js";
import type { NearClient } from "../near.js";
import { publishPacket } from "../packets.js";
import type { Table } from "./table.js";

const COUNTS = [10, 100, 1000, 10000];
const TOPIC = "sensors/kitchen/window/1";
const PAYLOAD = Buffer.alloc(64, "x");
const PACKET = publishPacket(TOPIC, PAYLOAD, 0);

export default {
  title: "More clients",
  text: `\
So many clients in one process, with a broker and without a network. Each in its turn publishes a message at QoS 1,
which is acknowledged, and receives one at QoS 0: the time is that of one of these pairs. mcu-mqtt has 1 KiB to receive,
2 KiB to send, and room for 16 operations. What grows is the memory that is gone through between two turns of a client.
Streams are part of the figures of MQTT.js: compare within a column.`,
  contestants: ["mcu-mqtt", "mqtt-js"],
  rows: COUNTS.map((count) => ({
    title: count.toLocaleString("en-US"),
    args: { count },
    // What 10,000 of MQTT.js take to be made is longer than a sample may be.
    contestants: count > 1000 ? ["mcu-mqtt"] : ["mcu-mqtt", "mqtt-js"],
    base: "10",
    isLong: count !== 10 && count !== 1000,
  })),
  columns: [{ figure: "cpuNs", title: "CPU", unit: "ns per pair" }],
  // Each takes as long as several of others, and those differ more.
  rounds: 3,
  async run(_contestant, args, isQuick, id) {
    let done = 0;
    const onDone = (): void => {
      done++;
    };
    const capacities = { rxCapacity: 1024, txCapacity: 2048, maxOperations: 16, receiveMaximum: 16 };
    const all: [NearBroker, NearClient][] = [];
    for (let i = 0; i < (args.count as number); i++) {
      const broker = new NearBroker(4);
      all.push([broker, await connectNear[id](broker, { window: 16, onMessage: onDone, capacities })]);
    }
    let next = 0;
    const drive = async (pairs: number): Promise<void> => {
      for (let i = 0; i < pairs; i++) {
        const [broker, client] = all[next];
        next = next + 1 === all.length ? 0 : next + 1;
        const until = done + 2;
        client.publish(TOPIC, PAYLOAD, 1, onDone);
        if (client.turn) await client.turn();
        broker.answer();
        broker.deliver(PACKET);
        while (done < until) await client.turn!();
      }
    };
    await drive(Math.max(5000, 3 * all.length));
    return cpuPerMessage(drive, isQuick);
  },
} satisfies Table;
