import { columns, publishing, without } from "../clients.js";
import { startMosquitto } from "../peers/start.js";
import type { Table } from "./table.js";

const withQos2 = without("mcu-mqtt-1k", "u8-mqtt");

export default {
  title: "Publishing to mosquitto",
  text:
    "The same as publishing to the minimal peer, with a mosquitto that keeps nothing on disk. It answers each packet " +
    "with one of its own, so that the client reads more often.",
  contestants: without("mcu-mqtt-1k"),
  rows: [
    { title: "QoS 0", args: { qos: 0, window: 1 }, isLong: true },
    { title: "QoS 1, window 1", args: { qos: 1, window: 1 }, isLong: true },
    { title: "QoS 1, window 20", args: { qos: 1, window: 20 } },
    { title: "QoS 1, window 100", args: { qos: 1, window: 100 }, isLong: true },
    { title: "QoS 2, window 1", args: { qos: 2, window: 1 }, contestants: withQos2, isLong: true },
    { title: "QoS 2, window 20", args: { qos: 2, window: 20 }, contestants: withQos2, isLong: true },
    { title: "QoS 2, window 100", args: { qos: 2, window: 100 }, contestants: withQos2, isLong: true },
  ],
  columns,
  rounds: 3,
  run: (contestant, args, isQuick) => publishing(contestant, args, isQuick, startMosquitto),
} satisfies Table;
