/** What a client sends, to `ServerDecoder`. */
import { runStream, streamSeeds } from "../streams.js";

export function run(input: Uint8Array): void {
  runStream("client", input);
}

export function seeds(): Uint8Array[] {
  return streamSeeds("client");
}
