import { roundTrips, without } from "../clients.js";
import type { Table } from "./table.js";

export default {
  title: "Round trip",
  text:
    "A client publishes a message of 64 bytes at QoS 0, a minimal peer on the same processor sends it back, and the " +
    "next one follows: time on the clock from publishing to the callback.",
  contestants: without("mcu-mqtt-1k", "mosquitto-clients"),
  rows: [{ title: "QoS 0", args: {} }],
  columns: [
    { figure: "p50Us", title: "median", unit: "us" },
    { figure: "p90Us", title: "90 of 100 are faster than", unit: "us" },
    { figure: "p99Us", title: "99 of 100 are faster than", unit: "us" },
  ],
  run: (contestant, _args, isQuick) => roundTrips(contestant, isQuick),
} satisfies Table;
