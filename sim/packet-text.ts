/**
 * Packets and messages in the words of the log, which has columns of its own for direction and type, and shows a
 * message from outside as it shows a PUBLISH. Passwords are not among them.
 */
import * as errors from "../src/errors.js";
import type { Packet, TracedMessage } from "../src/optional/trace.js";
import { SUBSCRIPTION_FAILURE } from "../src/wire.js";
import { describeReturnCode } from "./refusal.js";
import { quote, showBytes } from "./values.js";

/** A message, or a will, with everything that a trace may leave out; of a payload that is very long, its beginning. */
export type Message = { [Field in keyof TracedMessage]: Exclude<TracedMessage[Field], undefined> };

/** What was told by a trace that shows payloads, and has room for the longest topic and the longest CONNECT. */
export function asMessage(message: TracedMessage): Message {
  return message as Message;
}

/** The fields of a packet. */
export function describePacket(packet: Packet): string {
  switch (packet.type) {
    case "CONNECT":
      return listed(
        `${quote(packet.clientid!)} keepalive ${packet.keepalive}`,
        packet.cleansession ? "clean" : "not clean",
        packet.username !== undefined && `user ${quote(packet.username)}`,
        packet.hasPassword && "password ***",
        packet.lwt && `will ${describeMessage(asMessage(packet.lwt))}`,
      );
    case "CONNACK":
      if (packet.returnCode !== 0) return `refused: ${describeReturnCode(packet.returnCode)}`;
      return `accepted, ${packet.sessionPresent ? "session present" : "no session present"}`;
    case "PUBLISH":
      return listed(
        describeMessage(asMessage(packet)),
        packet.packetId !== 0 && `packet id ${packet.packetId}`,
        packet.dup && "DUP",
      );
    case "SUBSCRIBE":
      return listed(
        `packet id ${packet.packetId}`,
        ...packet.subscriptions.map(({ topicFilter, qos }) => `${quote(topicFilter)} QoS ${qos}`),
      );
    case "SUBACK":
      return listed(`packet id ${packet.packetId}`, ...packet.returnCodes.map(describeGrant));
    case "UNSUBSCRIBE":
      return listed(`packet id ${packet.packetId}`, ...packet.topicFilters.map(quote));
    case "PINGREQ":
    case "PINGRESP":
    case "DISCONNECT":
    case "AUTH":
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
