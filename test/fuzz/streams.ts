/**
 * What the targets of both decoders share. An input is four bytes that say how, and the stream: the length of scratch,
 * two lengths of chunks, and bits.
 */
import type { Feeding } from "../support/feed.js";
import { feed } from "../support/feed.js";
import { join } from "../support/bytes.js";
import type { Sender } from "../support/packets.js";
import { vectorsFrom } from "../vectors/packets.js";
import { decode } from "./model.js";

/** Bytes in front of the stream. */
const HOW = 4;
/** Bits of the last of them. */
const INSIDE = 1;
const STOPPED = 2;

/** Feeds a stream whole, byte by byte and as the input says: each time the decoder is to tell what the model does. */
export function runStream(sender: Sender, input: Uint8Array): void {
  if (input.length < HOW) return;
  const scratchLength = 2 + input[0];
  const sizes = [1 + (input[1] & 63), 1 + (input[2] & 63)];
  const isInside = (input[3] & INSIDE) !== 0;
  const stream = input.subarray(HOW);
  const expected = JSON.stringify(decode(sender, stream, scratchLength));
  const feedings: Feeding[] = [
    {},
    { sizes: [1] },
    { sizes, isInside, ...((input[3] & STOPPED) !== 0 && { onCall: (decoder) => decoder.stop() }) },
    { sizes, isGuarded: true },
  ];
  for (const feeding of feedings) {
    const outcome = JSON.stringify(feed(sender, stream, { ...feeding, scratchLength }));
    if (outcome === expected) continue;
    throw new Error(`${JSON.stringify(feeding)}, scratch of ${scratchLength}: ${outcome} instead of ${expected}`);
  }
}

/** Each vector alone, and all of them behind each other. */
export function streamSeeds(sender: Sender): Uint8Array[] {
  const how = new Uint8Array([255, 8, 2, 0]);
  const packets = vectorsFrom(sender).map(({ bytes }) => bytes).filter((bytes) => bytes.length < 64);
  return [...packets, join(...packets)].map((bytes) => join(how, bytes));
}
