/**
 * The names of reason codes, in the words of the specification (table 2-6), for logs and error messages; and what MQTT
 * 5 adds on the wire, as constants. Of no use to a client itself, hence apart.
 */
import { DISCONNECT, SUBACK } from "../wire.js";
import { UNSPECIFIED_ERROR } from "./wire.js";

export * from "./wire.js";

/** The first reason codes, which are not in a row. */
const FIRST: Record<number, string> = {
  0x00: "Success",
  0x01: "Granted QoS 1",
  0x02: "Granted QoS 2",
  0x04: "Disconnect with Will Message",
  0x10: "No matching subscribers",
  0x11: "No subscription existed",
  0x18: "Continue authentication",
  0x19: "Re-authenticate",
};

/** Those from 0x80 on. */
const FAILURES = [
  "Unspecified error",
  "Malformed Packet",
  "Protocol Error",
  "Implementation specific error",
  "Unsupported Protocol Version",
  "Client Identifier not valid",
  "Bad User Name or Password",
  "Not authorized",
  "Server unavailable",
  "Server busy",
  "Banned",
  "Server shutting down",
  "Bad authentication method",
  "Keep Alive timeout",
  "Session taken over",
  "Topic Filter invalid",
  "Topic Name invalid",
  "Packet Identifier in use",
  "Packet Identifier not found",
  "Receive Maximum exceeded",
  "Topic Alias invalid",
  "Packet too large",
  "Message rate too high",
  "Quota exceeded",
  "Administrative action",
  "Payload format invalid",
  "Retain not supported",
  "QoS not supported",
  "Use another server",
  "Server moved",
  "Shared Subscriptions not supported",
  "Connection rate exceeded",
  "Maximum connect time",
  "Subscription Identifiers not supported",
  "Wildcard Subscriptions not supported",
];
// On XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(FIRST, true);
Object.freeze(FAILURES, true);

/**
 * The specification's name of a reason code, for instance "Not authorized"; "0x7F" where it has none.
 *
 * @param packetType where it stood, as in the first half of the first byte: 0 is "Success", in a DISCONNECT (14)
 *   "Normal disconnection", in a SUBACK (9) "Granted QoS 0"
 */
export function nameOfReason(code: number, packetType?: number): string {
  if (code === 0 && packetType === DISCONNECT) return "Normal disconnection";
  if (code === 0 && packetType === SUBACK) return "Granted QoS 0";
  const name = (code < UNSPECIFIED_ERROR ? FIRST[code] : FAILURES[code - UNSPECIFIED_ERROR]) as string | undefined;
  if (name !== undefined) return name;
  return "0x" + (code < 16 ? "0" : "") + code.toString(16).toUpperCase();
}
