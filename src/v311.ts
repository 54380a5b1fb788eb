/** MQTT 3.1.1 as a `Codec`: the one place that binds its encoder and decoder together. */
import type { Codec } from "./codec.js";
import { Decoder } from "./decoder.js";
import { Encoder } from "./encoder.js";

export const MQTT_3_1_1: Codec = {
  encoder: (text) => new Encoder(text),
  decoder: (handler, scratch) => new Decoder(handler, scratch),
};
