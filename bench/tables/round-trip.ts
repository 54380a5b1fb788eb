import { roundTrips, without } from "../clients.js";
import { startBroker, startMosquitto } from "../peers/start.js";
import type { Table } from "./table.js";

export default {
  title: "Round trip",
  text:
    "A client publishes a message of 64 bytes at QoS 0, a minimal peer or mosquitto on the same processor sends it " +
    "back, and the next one follows: time on the clock from publishing to the callback.",
  contestants: without("mcu-mqtt-1k", "mosquitto-clients"),
  rows: [
    { title: "QoS 0", args: { peer: "minimal" } },
    { title: "QoS 0, mosquitto", args: { peer: "mosquitto" }, isLong: true },
  ],
  columns: [
    { figure: "p50Us", title: "median", unit: "us" },
    { figure: "p90Us", title: "90 of 100 are faster than", unit: "us" },
    { figure: "p99Us", title: "99 of 100 are faster than", unit: "us" },
  ],
  run: (contestant, { peer }, isQuick) =>
    roundTrips(contestant, isQuick, peer === "minimal" ? startBroker : startMosquitto),
} satisfies Table;
