import { columns, receiving, without } from "../clients.js";
import { startBroker } from "../peers/start.js";
import type { Table } from "./table.js";

const withQos2 = without("mcu-mqtt-1k", "u8-mqtt");

export default {
  title: "Receiving",
  text:
    "A minimal peer sends messages over the loopback interface, at QoS 1 and 2 at most 20 that are not acknowledged, " +
    "and the client hands each to a callback, as bytes: payload of 64 bytes, topic of 24. The time is that of the " +
    "client's process.",
  contestants: without("mcu-mqtt-1k"),
  rows: [
    { title: "QoS 0", args: { qos: 0, window: 1 } },
    { title: "QoS 1, window 20", args: { qos: 1, window: 20 } },
    { title: "QoS 2, window 20", args: { qos: 2, window: 20 }, contestants: withQos2, isLong: true },
  ],
  columns,
  run: (contestant, args, isQuick) => receiving(contestant, args, isQuick, startBroker),
} satisfies Table;
