/** Ours, with Node's defaults. */
import mqtt from "mcu-mqtt";
import { Decoder, Encoder } from "mcu-mqtt/core";
import hal from "mcu-mqtt/hal/node";
import type { Contestant } from "./contestant.js";

export default {
  name: "mcu-mqtt",
  given: "",
} satisfies Contestant;
