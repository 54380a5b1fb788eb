/** For the size report: what a client has of the codec. */
export { Decoder } from "../src/decoder.ts";
export { Encoder } from "../src/encoder.ts";
