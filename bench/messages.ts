/** The messages that the codec's tables encode and decode. */
import { packetIdOffset, publishPacket } from "./packets.js";

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

/** PUBLISH, with packet id 1 if the QoS is 1; whoever encodes is compared with it. */
export function publishOf(topic: string, payload: Uint8Array, qos: number): Uint8Array {
  const packet = publishPacket(topic, payload, qos);
  if (qos > 0) packet[packetIdOffset(packet, payload.length) + 1] = 1;
  return packet;
}
