/** Ours, with buffers like those of a board. */
import type { Contestant } from "./contestant.js";
import { connect } from "./mcu-mqtt.js";

export default {
  name: "mcu-mqtt, 1 KiB",
  given: "the same, with buffers of 1 KiB for receiving and for sending",
  connect: (port, settings) => connect(port, settings, { rxCapacity: 1024, txCapacity: 1024 }),
} satisfies Contestant;
