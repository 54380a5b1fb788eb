import { columns, contestants, publishing, without } from "../clients.js";
import { startBroker } from "../peers/start.js";
import type { Table } from "./table.js";

const withQos1 = without("mcu-mqtt-1k");
const withQos2 = without("mcu-mqtt-1k", "u8-mqtt");

export default {
  title: "Publishing",
  text:
    "A client publishes over the loopback interface to a minimal peer, which answers with as little work as can be: " +
    "payload of 64 bytes, topic of 24. The window is how many messages wait for their acknowledgement; at QoS 0, 500 " +
    "messages are published in a turn, and the next ones when they are sent. The time is that of the client's process.",
  contestants,
  rows: [
    { title: "QoS 0", args: { qos: 0, window: 1 } },
    { title: "QoS 1, window 1", args: { qos: 1, window: 1 }, contestants: withQos1, isLong: true },
    { title: "QoS 1, window 20", args: { qos: 1, window: 20 }, contestants: withQos1 },
    { title: "QoS 1, window 100", args: { qos: 1, window: 100 }, contestants: withQos1, isLong: true },
    { title: "QoS 2, window 1", args: { qos: 2, window: 1 }, contestants: withQos2, isLong: true },
    { title: "QoS 2, window 20", args: { qos: 2, window: 20 }, contestants: withQos2, isLong: true },
    { title: "QoS 2, window 100", args: { qos: 2, window: 100 }, contestants: withQos2, isLong: true },
  ],
  columns,
  run: (contestant, args, isQuick) => publishing(contestant, args, isQuick, startBroker),
} satisfies Table;
