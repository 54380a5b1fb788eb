/** The messages that the codec's tables encode and decode. */

/** Lengths of payloads. */
export const PAYLOAD_LENGTHS = [16, 64, 1024, 16384];

/** The row that others are judged by. */
export const TARGET_LENGTH = 64;

export const payloadTitle = (length: number): string => (length < 1024 ? `${length} B` : `${length / 1024} KiB`);

/** A topic of 24 bytes, flat as a string that is written in a program. `index` is one digit. */
export function topicOf(index: number): string {
  return Buffer.from(`sensors/kitchen/window/${index}`).toString("latin1");
}

export function payloadOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => index & 255);
}

/** PUBLISH, with packet id 1 if the QoS is 1; spelt out, since whoever encodes is compared with it. */
export function publishOf(topic: string, payload: Uint8Array, qos: number): Uint8Array {
  const body = [...fieldOf(topic), ...(qos === 0 ? [] : [0, 1]), ...payload];
  const header = [0x30 | (qos << 1)];
  let rest = body.length;
  for (; rest > 127; rest >>= 7) header.push((rest & 127) | 128);
  return Uint8Array.from([...header, rest, ...body]);
}

function fieldOf(topic: string): number[] {
  const bytes = Buffer.from(topic);
  return [bytes.length >> 8, bytes.length & 255, ...bytes];
}
