/**
 * What the targets of both decoders of MQTT 5 share. An input is as that of streams.ts. There is no second decoder to
 * compare with: however the stream is cut, the outcome is to be the same.
 */
import type { Feeding } from "../support/feed.js";
import { feed5 } from "../support/feed5.js";
import { join } from "../support/bytes.js";
import type { Sender } from "../support/packets.js";
import { vectorsFrom5 } from "../vectors/packets5.js";
import { BAD_FIELD, BAD_HEADER } from "../../src/errors.js";
import { MALFORMED_PACKET, WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED as LAST } from "../../src/v5/wire.js";

/** Bytes in front of the stream. */
const HOW = 4;
/** Bits of the last of them. */
const INSIDE = 1;
const STOPPED = 2;

/** Feeds a stream whole, byte by byte and as the input says: each time the outcome is to be the same. */
export function runStream5(sender: Sender, input: Uint8Array): void {
  if (input.length < HOW) return;
  const scratchLength = 8 + input[0];
  const sizes = [1 + (input[1] & 63), 1 + (input[2] & 63)];
  const isInside = (input[3] & INSIDE) !== 0;
  const stream = input.subarray(HOW);
  const { result, packets } = feed5(sender, stream, { scratchLength });
  const expected = JSON.stringify({ packets, result });
  const isFound = (result <= BAD_HEADER && result >= BAD_FIELD) || (result <= -MALFORMED_PACKET && result >= -LAST);
  if (result !== stream.length && !isFound) throw new Error(`The result is ${result}`);
  const feedings: Feeding[] = [
    { sizes: [1] },
    { sizes, isInside, ...((input[3] & STOPPED) !== 0 && { onCall: (decoder) => decoder.stop() }) },
    { sizes: [sizes[1], sizes[0]] },
  ];
  for (const feeding of feedings) {
    const outcome = JSON.stringify(feed5(sender, stream, { ...feeding, scratchLength }));
    if (outcome === expected) continue;
    throw new Error(`${JSON.stringify(feeding)}, scratch of ${scratchLength}: ${outcome} instead of ${expected}`);
  }
}

/** Each vector alone, and all of them behind each other. */
export function streamSeeds5(sender: Sender): Uint8Array[] {
  const how = new Uint8Array([255, 8, 2, 0]);
  const packets = vectorsFrom5(sender).map(({ bytes }) => bytes).filter((bytes) => bytes.length < 100);
  return [...packets, join(...packets)].map((bytes) => join(how, bytes));
}
