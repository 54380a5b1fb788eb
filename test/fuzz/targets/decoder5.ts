/** What a broker sends with MQTT 5, to `Decoder5`. */
import { runStream5, streamSeeds5 } from "../streams5.js";

export function run(input: Uint8Array): void {
  runStream5("server", input);
}

export function seeds(): Uint8Array[] {
  return streamSeeds5("server");
}
