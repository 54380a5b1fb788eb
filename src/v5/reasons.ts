/** Which reason code may stand in which packet of a broker (table 2-6). */
import { PUBACK, PUBREC, SUBACK, UNSUBACK } from "../wire.js";
import {
  AUTH,
  CONTINUE_AUTHENTICATION,
  NO_MATCHING_SUBSCRIBERS,
  NO_SUBSCRIPTION_EXISTED,
  UNSPECIFIED_ERROR,
} from "./wire.js";

/** From UNSPECIFIED_ERROR on: a bit for each type of packet in which the code may stand. */
const FAILURES = [
  0x4a34, 0x4004, 0x4004, 0x4a34, 0x4, 0x4, 0x4, 0x4a34, 0x4, 0x4004, 0x4, 0x4000, 0x4004, 0x4000, 0x4000, 0x4a00,
  0x4034, 0xa30, 0xc0, 0x4000, 0x4000, 0x4004, 0x4000, 0x4234, 0x4000, 0x4034, 0x4004, 0x4004, 0x4004, 0x4004, 0x4200,
  0x4004, 0x4000, 0x4200, 0x4200,
];
// On XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(FAILURES, true);

/** True when a packet of this type, from a broker, may have the reason code. */
export function isReason(packet: number, code: number): boolean {
  if (code >= UNSPECIFIED_ERROR) return (FAILURES[code - UNSPECIFIED_ERROR] >> packet & 1) === 1;
  if (code === 0) return true;
  if (packet === SUBACK) return code < 3;
  if (packet === UNSUBACK) return code === NO_SUBSCRIPTION_EXISTED;
  if (packet === AUTH) return code === CONTINUE_AUTHENTICATION;
  return (packet === PUBACK || packet === PUBREC) && code === NO_MATCHING_SUBSCRIBERS;
}
