/**
 * Packets and connections as text, each in one line that is safe to show: whatever the network sent, no character of it
 * moves the cursor, changes a colour, ends the line or passes for something else. Passwords and authentication data are
 * never part of it.
 */
import { isNil, show } from "../arguments.js";
import type {
  ConnectPacket,
  Packet,
  PublishPacket,
  TracedMessage,
  TracedProperties,
  TracedSubscription,
} from "./packets.js";
import type { ConnectionEvent } from "./trace.js";

/** Characters of a text, or bytes, that are shown. */
const LONGEST = 80;

/** From BAD_HEADER downwards. */
const ERRORS = [
  "BAD_HEADER", "BAD_REMAINING_LENGTH", "BAD_LENGTH", "BAD_QOS", "BAD_PACKET_ID", "BAD_TOPIC", "UNEXPECTED_PACKET",
  "BAD_FIELD",
];
const FIRST_ERROR = -20;

/** With one of these a text is shown in quotes. */
const QUOTED = " \"(),=*\\";

/** Ranges of characters that are not shown, first and last. */
const HARMFUL = [
  0x7f, 0x9f, 0xad, 0xad, 0x61c, 0x61c, 0x180e, 0x180e, 0x200b, 0x200f, 0x2028, 0x202e, 0x2060, 0x206f, 0xfeff, 0xfeff,
  0xfff9, 0xfffb,
];

/**
 * A packet in one line, in the wording of emqtt's command line:
 * `sent PUBLISH (Q0, R0, D0, Topic=hello, Payload=...(11 bytes))`.
 *
 * @param isDetailed true: also what CONNECT says
 */
export function describePacket(packet: Packet, isDetailed?: boolean): string {
  const what = (packet.isSent ? "sent " : "received ") + packet.type;
  const fields = packet.type === "CONNECT" && isDetailed !== true ? [] : describeAll(packet);
  return fields.length > 0 ? `${what} (${fields.join(", ")})` : what;
}

/** What happens to a connection in one line: `opening broker:8883, TLS`, `ended: refused`. */
export function describeConnection(event: ConnectionEvent): string {
  const where = `${escapeText(event.host)}:${event.port}${event.isSecure ? ", TLS" : ""}`;
  switch (event.type) {
    case "opening":
      return `opening ${where}`;
    case "up":
      return `up ${where}`;
    case "closed":
      return `closed ${where}`;
    case "ended": {
      const failure = event.failure === undefined ? "no socket left" : event.failure;
      const detail = describeDetail(event.detail);
      return `ended ${where}: ${failure}${detail === "" ? "" : ` (${detail})`}`;
    }
  }
}

/** The platform's own error; empty when it says nothing. */
function describeDetail(detail: unknown): string {
  if (isNil(detail)) return "";
  const text = detail instanceof Error ? detail.message : typeof detail === "string" ? detail : show(detail);
  return escapeText(text.substring(0, 2 * LONGEST));
}

/** Fields, and properties behind them. */
function describeAll(packet: Packet): string[] {
  return describeFields(packet).concat("properties" in packet ? describeProperties(packet.properties) : []);
}

function describeFields(packet: Packet): string[] {
  switch (packet.type) {
    case "CONNECT":
      return describeConnect(packet);
    case "CONNACK":
      return [`ReturnCode=${packet.returnCode}`, `SessionPresent=${digit(packet.sessionPresent)}`];
    case "PUBLISH":
      return describePublish(packet);
    case "SUBSCRIBE": {
      const filters = packet.subscriptions.map(describeSubscription);
      return listed(packet.packetId, filters, packet.isPartial);
    }
    case "SUBACK":
      return listed(packet.packetId, packet.returnCodes.map((code) => `ReturnCode=${code}`), packet.isPartial);
    case "UNSUBSCRIBE": {
      const filters = packet.topicFilters.map((topicFilter) => `TopicFilter=${showText(topicFilter)}`);
      return listed(packet.packetId, filters, packet.isPartial);
    }
    case "PINGREQ":
    case "PINGRESP":
      return [];
    case "DISCONNECT":
    case "AUTH":
      return describeCode(packet.reasonCode);
    case "MALFORMED":
      return [ERRORS[FIRST_ERROR - packet.error]];
    default: {
      const codes = packet.reasonCodes;
      if (codes !== undefined) return listed(packet.packetId, codes.flatMap(describeCode), packet.isPartial);
      return [`PacketId=${packet.packetId}`].concat(describeCode(packet.reasonCode));
    }
  }
}

function describeCode(code: number | undefined): string[] {
  return code === undefined ? [] : [`ReasonCode=${code}`];
}

/** With the options that are set. */
function describeSubscription(subscription: TracedSubscription): string {
  const options = (subscription.nl === true ? ", NL1" : "") + (subscription.rap === true ? ", RAP1" : "");
  const handling = subscription.rh ? `, RH${subscription.rh}` : "";
  return `TopicFilter=${showText(subscription.topicFilter)}, Q${subscription.qos}${options}${handling}`;
}

/** Each as `Name=value`: the specification's names without blanks. */
function describeProperties(properties: TracedProperties | undefined): string[] {
  const fields: string[] = [];
  for (const name in properties) {
    const value = properties[name];
    const title = name.charAt(0).toUpperCase() + name.substring(1);
    const values: unknown[] = Array.isArray(value) ? value : [value];
    for (let i = 0; i < values.length; i++) {
      fields.push(`${title}=${name === "authenticationData" ? "***" : describeValue(values[i])}`);
    }
  }
  return fields;
}

function describeValue(value: unknown): string {
  if (value instanceof Uint8Array) return describePayload(value, value.length);
  if (Array.isArray(value)) return `${showText(value[0] as string)}:${showText(value[1] as string)}`;
  return typeof value === "string" ? showText(value) : String(value);
}

function describeConnect(packet: ConnectPacket): string[] {
  const level = packet.protocolLevel;
  const isMqtt5 = "properties" in packet;
  const fields = [
    level === 3 ? "MQTT 3.1" : level === 4 ? "MQTT 3.1.1" : isMqtt5 ? "MQTT 5" : `ProtocolLevel=${level}`,
    `${isMqtt5 ? "CleanStart" : "CleanSession"}=${digit(packet.cleansession)}`,
    `KeepAlive=${packet.keepalive}`,
    `ClientId=${showText(packet.clientid)}`,
  ];
  if (packet.isBridge) fields.push("Bridge=1");
  if (packet.hasUsername) fields.push(`Username=${packet.username === undefined ? "***" : showText(packet.username)}`);
  if (packet.hasPassword) fields.push("Password=***");
  if (packet.lwt !== undefined) {
    const will = describeMessage(packet.lwt, "", "").concat(describeProperties(packet.lwt.properties));
    fields.push(`Will=(${will.join(", ")})`);
  }
  return fields;
}

function describePublish(packet: PublishPacket): string[] {
  const packetId = packet.packetId === 0 ? "" : `PacketId=${packet.packetId}`;
  return describeMessage(packet, `D${digit(packet.dup)}`, packetId);
}

function describeMessage(message: TracedMessage, dup: string, packetId: string): string[] {
  const fields = [`Q${message.qos}`, `R${digit(message.retain)}`];
  if (dup !== "") fields.push(dup);
  fields.push(`Topic=${showText(message.topic)}`);
  if (packetId !== "") fields.push(packetId);
  fields.push(`Payload=${describePayload(message.payload, message.payloadLength)}`);
  return fields;
}

/** `...(11 bytes)`, or what there is of them: characters of ASCII as they are, other bytes in hexadecimal. */
function describePayload(payload: Uint8Array | undefined, length: number | undefined): string {
  if (length === undefined) return "...";
  if (payload === undefined) return `...(${length} bytes)`;
  const count = Math.min(payload.length, LONGEST);
  let text = "";
  for (let i = 0; i < count; i++) text += payload[i] < 0x7f ? escapeAscii(payload[i]) : `\\x${hex(payload[i])}`;
  return quoteUnlessPlain(text) + (count === length ? "" : `...(${length} bytes)`);
}

function listed(packetId: number, entries: string[], isPartial: boolean): string[] {
  const fields = [`PacketId=${packetId}`].concat(entries);
  if (isPartial) fields.push("...");
  return fields;
}

function digit(flag: boolean): string {
  return flag ? "1" : "0";
}

/** A text, its beginning if it is long, `...` if it is not known. */
function showText(text: string | undefined): string {
  if (text === undefined) return "...";
  if (text.length <= LONGEST) return quoteUnlessPlain(escapeText(text));
  return `${quoteUnlessPlain(escapeText(text.substring(0, LONGEST)))}...(${text.length} characters)`;
}

/** Quotes say where a text ends that might pass for more than itself. */
function quoteUnlessPlain(escaped: string): string {
  let isPlain = escaped !== "" && escaped.indexOf("..") < 0;
  for (let i = 0; i < QUOTED.length; i++) isPlain = isPlain && escaped.indexOf(QUOTED.charAt(i)) < 0;
  return isPlain ? escaped : `"${escaped}"`;
}

function escapeText(text: string): string {
  let escaped = "";
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    escaped += code < 0x7f ? escapeAscii(code) : isHarmful(code) ? `\\u{${hex(code)}}` : text.charAt(i);
  }
  return escaped;
}

function escapeAscii(code: number): string {
  if (code < 0x20) return `\\x${hex(code)}`;
  const character = String.fromCharCode(code);
  return character === '"' || character === "\\" ? `\\${character}` : character;
}

/** Control characters, line ends, and what reverses the direction of a line or is not seen. */
function isHarmful(code: number): boolean {
  for (let i = 0; i < HARMFUL.length; i += 2) if (code >= HARMFUL[i] && code <= HARMFUL[i + 1]) return true;
  return false;
}

/** At least two digits. */
function hex(code: number): string {
  return (code < 16 ? "0" : "") + code.toString(16);
}
