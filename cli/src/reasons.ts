/** What a broker gives as its reason, in words: the name of the code, its own text, and where it refers to. */
import { nameOfReason } from "../../src/v5/names.js";
import type { ReceivedProperties } from "../../src/v5/properties.js";
import { messageOf } from "./failure.js";

/** @param packetType the packet that it stood in, where that makes a difference */
export function describeCode(code: number, properties: ReceivedProperties = {}, packetType?: number): string {
  const { reasonString, serverReference } = properties;
  let text = `${nameOfReason(code, packetType)} (0x${code.toString(16).toUpperCase().padStart(2, "0")})`;
  if (reasonString !== undefined) text += `: ${messageOf(reasonString)}`;
  if (serverReference !== undefined) text += `; it refers to ${messageOf(serverReference)}`;
  return text;
}
