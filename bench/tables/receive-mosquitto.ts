import { columns, receiving, without } from "../clients.js";
import { startMosquitto } from "../peers/start.js";
import type { Table } from "./table.js";

const withQos2 = without("mcu-mqtt-1k", "u8-mqtt");

export default {
  title: "Receiving from mosquitto",
  text:
    "The same as receiving from the minimal peer, with a mosquitto that keeps nothing on disk, to which a process of " +
    "its own publishes. It sends each message in a write of its own.",
  contestants: without("mcu-mqtt-1k"),
  rows: [
    { title: "QoS 0", args: { qos: 0, window: 20 }, isLong: true },
    { title: "QoS 1, window 20", args: { qos: 1, window: 20 }, isLong: true },
    { title: "QoS 2, window 20", args: { qos: 2, window: 20 }, contestants: withQos2, isLong: true },
  ],
  columns,
  rounds: 3,
  run: (contestant, args, isQuick) => receiving(contestant, args, isQuick, startMosquitto),
} satisfies Table;
