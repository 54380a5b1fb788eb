/** What a client sends with MQTT 5, to `ServerDecoder5`. */
import { runStream5, streamSeeds5 } from "../streams5.js";

export function run(input: Uint8Array): void {
  runStream5("client", input);
}

export function seeds(): Uint8Array[] {
  return streamSeeds5("client");
}
