/** What a packet says, in words for one line of the log. Passwords are not among them. */
import * as errors from "../src/errors.js";
import { SUBSCRIPTION_FAILURE } from "../src/wire.js";
import type { Message, Packet } from "./packets.js";
import { describeReturnCode } from "./refusal.js";
import { quote, showBytes } from "./values.js";

/** The fields of a packet. */
export function describePacket(packet: Packet): string {
  switch (packet.type) {
    case "CONNECT":
      return listed(
        `${quote(packet.clientId)} keepalive ${packet.keepAliveSeconds}`,
        packet.cleanSession ? "clean" : "not clean",
        packet.username !== undefined && `user ${quote(packet.username)}`,
        packet.hasPassword && "password ***",
        packet.will && `will ${describeMessage(packet.will)}`,
      );
    case "CONNACK":
      if (packet.returnCode !== 0) return `refused: ${describeReturnCode(packet.returnCode)}`;
      return `accepted, ${packet.sessionPresent ? "session present" : "no session present"}`;
    case "PUBLISH":
      return listed(
        describeMessage(packet),
        packet.packetId !== 0 && `packet id ${packet.packetId}`,
        packet.dup && "DUP",
      );
    case "SUBSCRIBE":
      return listed(
        `packet id ${packet.packetId}`,
        ...packet.filters.map(({ filter, qos }) => `${quote(filter)} QoS ${qos}`),
      );
    case "SUBACK":
      return listed(`packet id ${packet.packetId}`, ...packet.codes.map(describeGrant));
    case "UNSUBSCRIBE":
      return listed(`packet id ${packet.packetId}`, ...packet.filters.map(quote));
    case "PINGREQ":
    case "PINGRESP":
    case "DISCONNECT":
      return "";
    case "MALFORMED":
      return `not a packet of MQTT 3.1.1 (${nameOf(packet.error)}); what follows is not shown`;
    default:
      return `packet id ${packet.packetId}`;
  }
}

/** Topic, payload, QoS and RETAIN. */
export function describeMessage(message: Message): string {
  const payload = showBytes(message.payload, message.payloadLength);
  return listed(`${quote(message.topic)} ${payload} QoS ${message.qos}`, message.retain && "retain");
}

function describeGrant(code: number): string {
  return code === SUBSCRIPTION_FAILURE ? "refused" : `QoS ${code} granted`;
}

function nameOf(error: number): string {
  return Object.entries(errors).find(([, code]) => code === error)?.[0] ?? String(error);
}

function listed(...parts: (string | false | undefined)[]): string {
  return parts.filter(Boolean).join(", ");
}
