/** What is counted of the planted target. */

/** How many of the bytes before the first wrong one are right. */
export function depth(input: Uint8Array): number {
  if (input[0] !== 0x4d) return 0;
  if (input[1] !== 0x51) return 1;
  if (input[2] !== 0x54) return 2;
  return input[3] === 0x54 ? 4 : 3;
}
