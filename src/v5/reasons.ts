/** Which reason code may stand in which packet of a broker (table 2-6). */
import { DISCONNECT, PUBACK, PUBREC, SUBACK, UNSUBACK } from "../wire.js";
import {
  AUTH,
  CONNECTION_RATE_EXCEEDED,
  CONTINUE_AUTHENTICATION,
  MAXIMUM_CONNECT_TIME,
  NO_MATCHING_SUBSCRIBERS,
  NO_SUBSCRIPTION_EXISTED,
  UNSPECIFIED_ERROR,
  WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED,
} from "./wire.js";

/** In place of a type of packet: DISCONNECT of a client. */
export const OF_CLIENT = 0;
/** By type of packet: a bit for each code from UNSPECIFIED_ERROR to CONNECTION_RATE_EXCEEDED. */
const FAILURES = [
  0x3f9000f, 0, 0xbea117ff, 0, 0x2830089, 0x2830089, 0x40000, 0x40000,
  0, 0x40828089, 0, 0x28089, 0, 0, 0xfff9fa8f,
];
// On XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(FAILURES, true);

/** True when a packet of this type, from a broker, may have the reason code. */
export function isReason(packet: number, code: number): boolean {
  if (code > CONNECTION_RATE_EXCEEDED) {
    const isFirst = code === MAXIMUM_CONNECT_TIME;
    return code <= WILDCARD_SUBSCRIPTIONS_NOT_SUPPORTED && (packet === DISCONNECT || (packet === SUBACK && !isFirst));
  }
  if (code >= UNSPECIFIED_ERROR) return ((FAILURES[packet] >> (code - UNSPECIFIED_ERROR)) & 1) === 1;
  if (code === 0) return true;
  if (packet === SUBACK) return code < 3;
  if (packet === UNSUBACK) return code === NO_SUBSCRIPTION_EXISTED;
  if (packet === AUTH) return code === CONTINUE_AUTHENTICATION;
  return (packet === PUBACK || packet === PUBREC) && code === NO_MATCHING_SUBSCRIBERS;
}
