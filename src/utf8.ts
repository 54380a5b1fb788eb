/**
 * Whether bytes are well-formed UTF-8 (Unicode 3.9, table 3-7). For platforms whose native conversion does not say so,
 * and for the broker's side; a client whose platform does never loads it, since a loop over bytes is dear on a board.
 */

/**
 * True when `bytes[start..end)` are well-formed UTF-8: no overlong forms, no surrogates [MQTT-1.5.3-1], nothing above
 * U+10FFFF, nothing cut short. U+0000 is well-formed; MQTT forbids it all the same [MQTT-1.5.3-2], the caller's check.
 */
export function isUtf8(bytes: Uint8Array, start: number, end: number): boolean {
  let at = start;
  while (at < end) {
    const lead = bytes[at++];
    if (lead < 0x80) continue;
    // The second byte has a narrower range behind E0, ED, F0 and F4: that is what rules out overlong forms, surrogates
    // and what lies above U+10FFFF.
    let low = 0x80;
    let high = 0xbf;
    let more = 1;
    if (lead < 0xc2) return false;
    if (lead >= 0xf0) {
      if (lead > 0xf4) return false;
      more = 3;
      if (lead === 0xf0) low = 0x90;
      if (lead === 0xf4) high = 0x8f;
    } else if (lead >= 0xe0) {
      more = 2;
      if (lead === 0xe0) low = 0xa0;
      if (lead === 0xed) high = 0x9f;
    }
    if (end - at < more) return false;
    const second = bytes[at++];
    if (second < low || second > high) return false;
    for (more--; more > 0; more--) {
      if ((bytes[at++] & 0xc0) !== 0x80) return false;
    }
  }
  return true;
}
