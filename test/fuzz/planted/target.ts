/** A target with two faults, one of which chance alone does not find: the fuzzer's own test. */
import { depth } from "./depth.js";

export function run(input: Uint8Array): void {
  if (depth(input) === 4) throw new Error("found");
  // Longer than any input that is made.
  while (input.length > 1000);
}

export function seeds(): Uint8Array[] {
  return [new Uint8Array(4)];
}
