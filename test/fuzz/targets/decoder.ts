/** What a broker sends, to `Decoder`. */
import { runStream, streamSeeds } from "../streams.js";

export function run(input: Uint8Array): void {
  runStream("server", input);
}

export function seeds(): Uint8Array[] {
  return streamSeeds("server");
}
