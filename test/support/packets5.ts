/** Packets of MQTT 5 as plain objects, as packets.ts has those of 3.1.1. */
import type { Text } from "../../hal/socket.js";
import type { ConnectFields5, Encoder5 } from "../../src/v5/encoder.js";
import { encodeProperties } from "../../src/v5/encoder.js";
import { ServerEncoder5 } from "../../src/v5/server-codec.js";
import { AUTH } from "../../src/v5/wire.js";
import { PROPERTIES } from "../vectors/properties.js";
import { binary, join } from "./bytes.js";
import type { Publish } from "./packets.js";
import { TYPES, byte, field, framed, publishFlags, remainingLength, uint16 } from "./packets.js";

/**
 * By name: numbers, strings, binary data as strings with one character per byte, of those that may stand several times
 * arrays.
 */
export type Properties5 = Record<string, unknown>;

export interface Connect5 {
  type: "CONNECT";
  clientId: string;
  cleanStart: boolean;
  keepAliveSeconds: number;
  /** `message` is binary. */
  will?: { topicName: string; message: string; qos: number; retain: boolean; properties?: Properties5 };
  username?: string;
  /** Binary. */
  password?: string;
  properties?: Properties5;
}

export interface Connack5 {
  type: "CONNACK";
  sessionPresent: boolean;
  reasonCode: number;
  properties?: Properties5;
}

/** The topic name is null when it is left to an alias. */
export interface Publish5 extends Publish {
  properties?: Properties5;
}

export interface Ack5 {
  type: "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP";
  packetId: number;
  reasonCode: number;
  properties?: Properties5;
}

export interface Subscribe5 {
  type: "SUBSCRIBE";
  packetId: number;
  /** Topic Filters with their options. */
  filters: [string, number][];
  properties?: Properties5;
}

export interface Unsubscribe5 {
  type: "UNSUBSCRIBE";
  packetId: number;
  filters: string[];
  properties?: Properties5;
}

export interface Codes5 {
  type: "SUBACK" | "UNSUBACK";
  packetId: number;
  reasonCodes: number[];
  properties?: Properties5;
}

export interface Reason5 {
  type: "DISCONNECT" | "AUTH";
  reasonCode: number;
  properties?: Properties5;
}

export interface Ping5 {
  type: "PINGREQ" | "PINGRESP";
}

export type Packet5 =
  Connect5 | Connack5 | Publish5 | Ack5 | Subscribe5 | Unsubscribe5 | Codes5 | Reason5 | Ping5;

const TYPES5 = { ...TYPES, AUTH };

/** Properties as an encoder takes them. */
export function givenProperties(properties: Properties5): Record<string, unknown> {
  const given: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(properties)) {
    const isBinary = PROPERTIES.some((row) => row.name === name && row.type === "binary");
    given[name] = isBinary ? binary(value as string) : value;
  }
  return given;
}

/** Writes `packet` with the encoder of the side that sends it; a client's acknowledgements have no properties. */
export function write5(
  text: Text,
  encoder: Encoder5 | ServerEncoder5,
  packet: Packet5,
  out: Uint8Array,
  offset: number,
  end: number,
): number {
  const properties = "properties" in packet ? givenProperties(packet.properties ?? {}) : undefined;
  return encoder instanceof ServerEncoder5
    ? writeAsServer(encoder, packet, properties, out, offset, end)
    : writeAsClient(text, encoder, packet, properties, out, offset, end);
}

function writeAsServer(
  encoder: ServerEncoder5,
  packet: Packet5,
  properties: Properties5 | undefined,
  out: Uint8Array,
  offset: number,
  end: number,
): number {
  switch (packet.type) {
    case "CONNACK":
      return encoder.connack(out, offset, end, packet.sessionPresent, packet.reasonCode, properties);
    case "PUBLISH":
      return encoder.publish(
        out, offset, end, publishFlags(packet), packet.packetId, packet.topicName ?? "", binary(packet.payload),
        properties,
      );
    case "SUBACK":
      return encoder.suback(out, offset, end, packet.packetId, packet.reasonCodes, properties);
    case "UNSUBACK":
      return encoder.unsuback(out, offset, end, packet.packetId, packet.reasonCodes, properties);
    case "DISCONNECT":
      return encoder.disconnect(out, offset, end, packet.reasonCode, properties);
    case "AUTH":
      return encoder.auth(out, offset, end, packet.reasonCode, properties);
    case "PINGRESP":
      return encoder.pingresp(out, offset, end);
    case "CONNECT":
    case "SUBSCRIBE":
    case "UNSUBSCRIBE":
    case "PINGREQ":
      throw new Error(`A broker sends no ${packet.type}`);
    default:
      return encoder.ack(out, offset, end, TYPES[packet.type], packet.packetId, packet.reasonCode, properties);
  }
}

function writeAsClient(
  text: Text,
  encoder: Encoder5,
  packet: Packet5,
  properties: Properties5 | undefined,
  out: Uint8Array,
  offset: number,
  end: number,
): number {
  encoder.given = properties;
  encoder.alias = 0;
  encoder.code = 0;
  switch (packet.type) {
    case "CONNECT": {
      const { will, password } = packet;
      const fields: ConnectFields5 = {
        clientId: packet.clientId,
        cleanSession: packet.cleanStart,
        keepAliveSeconds: packet.keepAliveSeconds,
        will: will && { topic: will.topicName, message: binary(will.message), qos: will.qos, retain: will.retain },
        username: packet.username,
        password: password === undefined ? undefined : binary(password),
        given: encodeProperties(text, properties ?? {}),
        willProperties: encodeProperties(text, givenProperties(will?.properties ?? {})),
      };
      return encoder.connect(out, offset, end, fields);
    }
    case "PUBLISH": {
      const { topicAlias = 0, ...others } = properties ?? {};
      encoder.given = others;
      encoder.alias = topicAlias as number;
      return encoder.publish(
        out, offset, end, publishFlags(packet), packet.packetId, packet.topicName ?? "", binary(packet.payload),
      );
    }
    case "SUBSCRIBE":
      return encoder.filters(out, offset, end, TYPES.SUBSCRIBE, packet.packetId, Object.fromEntries(packet.filters));
    case "UNSUBSCRIBE": {
      const filters = Object.fromEntries(packet.filters.map((filter) => [filter, undefined]));
      return encoder.filters(out, offset, end, TYPES.UNSUBSCRIBE, packet.packetId, filters);
    }
    case "DISCONNECT":
    case "AUTH": {
      const long = encoder.long(TYPES5[packet.type], packet.reasonCode, encodeProperties(text, properties ?? {}));
      out.set(long, offset);
      return offset + long.length;
    }
    case "PINGREQ":
      return encoder.short(out, offset, end, TYPES.PINGREQ, 0);
    case "CONNACK":
    case "SUBACK":
    case "UNSUBACK":
    case "PINGRESP":
      throw new Error(`A client sends no ${packet.type}`);
    default:
      encoder.code = packet.reasonCode;
      return encoder.short(out, offset, end, TYPES[packet.type], packet.packetId);
  }
}

/**
 * The bytes of `packet`, written as plainly as can be: what encoders are compared with. What may be left out is, where
 * `packet` has no properties, not even an empty object.
 */
export function reference5(packet: Packet5): Uint8Array {
  const type = TYPES5[packet.type] << 4;
  const given = "properties" in packet ? packet.properties : undefined;
  const properties = section(given);
  const reason = (reasonCode: number): Uint8Array[] => {
    if (given !== undefined) return [byte(reasonCode), properties];
    return reasonCode === 0 ? [] : [byte(reasonCode)];
  };
  switch (packet.type) {
    case "CONNECT": {
      const { will, username, password } = packet;
      const flags =
        (packet.cleanStart ? 0x02 : 0) |
        (will ? 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0) : 0) |
        (password === undefined ? 0 : 0x40) |
        (username === undefined ? 0 : 0x80);
      return framed(
        type, field("MQTT"), byte(5), byte(flags), uint16(packet.keepAliveSeconds), properties, field(packet.clientId),
        ...(will ? [section(will.properties), field(will.topicName), field(binary(will.message))] : []),
        ...(username === undefined ? [] : [field(username)]),
        ...(password === undefined ? [] : [field(binary(password))]),
      );
    }
    case "CONNACK":
      return framed(type, byte(packet.sessionPresent ? 1 : 0), byte(packet.reasonCode), properties);
    case "PUBLISH": {
      const packetId = packet.qos === 0 ? [] : [uint16(packet.packetId)];
      const topicName = field(packet.topicName ?? "");
      return framed(type | publishFlags(packet), topicName, ...packetId, properties, binary(packet.payload));
    }
    case "SUBSCRIBE": {
      const filters = packet.filters.flatMap(([filter, options]) => [field(filter), byte(options)]);
      return framed(type | 2, uint16(packet.packetId), properties, ...filters);
    }
    case "UNSUBSCRIBE":
      return framed(type | 2, uint16(packet.packetId), properties, ...packet.filters.map(field));
    case "SUBACK":
    case "UNSUBACK":
      return framed(type, uint16(packet.packetId), properties, ...packet.reasonCodes.map(byte));
    case "PINGREQ":
    case "PINGRESP":
      return framed(type);
    case "DISCONNECT":
      return framed(type, ...reason(packet.reasonCode));
    case "AUTH":
      return given === undefined && packet.reasonCode === 0
        ? framed(type)
        : framed(type, byte(packet.reasonCode), properties);
    default:
      return framed(packet.type === "PUBREL" ? type | 2 : type, uint16(packet.packetId), ...reason(packet.reasonCode));
  }
}

/** Properties with their length in front. */
export function section(properties: Properties5 | undefined): Uint8Array {
  const bytes = join(...Object.entries(properties ?? {}).map(([name, value]) => property(name, value)));
  return join(remainingLength(bytes.length), bytes);
}

/** A property, or each of several. */
function property(name: string, value: unknown): Uint8Array {
  const row = PROPERTIES.find((each) => each.name === name);
  if (row === undefined) throw new Error(`There is no ${name}`);
  const values = Array.isArray(value) ? (value as unknown[]) : [value];
  const write: Record<typeof row.type, (value: unknown) => Uint8Array> = {
    byte: (number) => byte(number as number),
    uint16: (number) => uint16(number as number),
    uint32: (number) => join(uint16(Math.floor((number as number) / 65536)), uint16((number as number) % 65536)),
    varint: (number) => remainingLength(number as number),
    binary: (string) => field(binary(string as string)),
    string: (string) => field(string as string),
    pair: (pair) => join(...(pair as string[]).map(field)),
  };
  return join(...values.map((each) => join(byte(row.id), write[row.type](each))));
}
