/** The whole packets in what one side sent, told apart by their lengths alone. */
export function splitPackets(bytes: Uint8Array): Uint8Array[] {
  const packets: Uint8Array[] = [];
  let start = 0;
  while (start < bytes.length) {
    let at = start + 1;
    let length = 0;
    for (let shift = 0; at < bytes.length; shift += 7) {
      length += (bytes[at] & 127) << shift;
      if ((bytes[at++] & 128) === 0) break;
    }
    if (at + length > bytes.length) break;
    packets.push(bytes.subarray(start, at + length));
    start = at + length;
  }
  return packets;
}
