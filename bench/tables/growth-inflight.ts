/** What a message costs as more of them wait for their acknowledgement. */
import { connectNear, cpuPerMessage, NearBroker } from "../near.js";
import type { Table } from "./table.js";

const COUNTS = [1, 10, 100, 1000];
const TOPIC = "sensors/kitchen/window/1";
const PAYLOAD = Buffer.alloc(64, "x");
/** Packet ids have come round by then. */
const WARM_UP = 70000;

export default {
  title: "More messages in flight",
  text: `\
So many messages wait for their acknowledgement; the oldest is acknowledged, the next one is published, and so on.
Client and broker are in one process, without a network, and the broker answers one packet at a time, so that the same
is done for each message whatever their number. At QoS 2, half of the answers are PUBREC and half PUBCOMP, mixed.
mcu-mqtt has room for 1,024 operations and 256 KiB. The packet ids have come round before. Streams are part of the
figures of MQTT.js: compare within a column.`,
  contestants: ["mcu-mqtt", "mqtt-js"],
  rows: [1, 2].flatMap((qos) =>
    COUNTS.map((count) => ({
      title: `QoS ${qos}, ${count.toLocaleString("en-US")}`,
      args: { qos, count },
      base: `QoS ${qos}, 10`,
      isLong: count === 1 || count === 100,
    })),
  ),
  columns: [{ figure: "cpuNs", title: "CPU", unit: "ns per message" }],
  // Each takes as long as several of others, and those differ more.
  rounds: 3,
  async run(_contestant, args, isQuick, id) {
    const qos = args.qos as 1 | 2;
    const window = args.count as number;
    const broker = new NearBroker(1024);
    const capacities = { txCapacity: 1 << 18, maxOperations: 1024 };
    const client = await connectNear[id](broker, { window, onMessage: () => undefined, capacities });
    let done = 0;
    let undone = 0;
    const publish = (): void => {
      undone++;
      client.publish(TOPIC, PAYLOAD, qos, onDone);
    };
    const onDone = (): void => {
      done++;
      undone--;
      publish();
    };
    const answer = async (): Promise<void> => {
      broker.answer();
      await client.turn?.();
    };
    while (undone < window) {
      publish();
      await client.turn?.();
      // One answer to two messages, so that those at QoS 2 are not all at the same step.
      if (qos === 2 && undone % 2 === 0) await answer();
    }
    const drive = async (count: number): Promise<void> => {
      const until = done + count;
      if (client.turn) while (done < until) await answer();
      else while (done < until) broker.answer();
    };
    await drive(client.turn ? 2000 : WARM_UP);
    return cpuPerMessage(drive, isQuick);
  },
} satisfies Table;
