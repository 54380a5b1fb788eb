/**
 * Packets as plain objects: the meaning in the vectors, what generators make, and what a recorder puts together from a
 * decoder's calls. Binary fields are strings with one character, U+0000 to U+00FF, per byte.
 */
import { ServerEncoder } from "../../src/server-codec.js";
import type { Encoder } from "../../src/encoder.js";
import type { ConnectFields } from "../../src/codec.js";
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  DUP,
  PINGREQ,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  QOS_1,
  QOS_2,
  RETAIN,
  SUBACK,
  SUBSCRIBE,
  UNSUBACK,
  UNSUBSCRIBE,
} from "../../src/wire.js";
import { binary, join } from "./bytes.js";

/** Who sends a packet. */
export type Sender = "client" | "server";

export interface Connect {
  type: "CONNECT";
  clientId: string;
  cleanSession: boolean;
  keepAliveSeconds: number;
  /** `message` is binary. */
  will?: { topicName: string; message: string; qos: number; retain: boolean };
  username?: string;
  /** Binary. */
  password?: string;
}

export interface Connack {
  type: "CONNACK";
  sessionPresent: boolean;
  returnCode: number;
}

export interface Publish {
  type: "PUBLISH";
  dup: boolean;
  qos: number;
  retain: boolean;
  /** 0 at QoS 0. */
  packetId: number;
  /** Null: too long to be told. */
  topicName: string | null;
  /** Binary. */
  payload: string;
}

export interface Ack {
  type: "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" | "UNSUBACK";
  packetId: number;
}

export interface Subscribe {
  type: "SUBSCRIBE";
  packetId: number;
  /** Topic Filters with their requested QoS. */
  filters: [string, number][];
}

export interface Unsubscribe {
  type: "UNSUBSCRIBE";
  packetId: number;
  filters: string[];
}

export interface Suback {
  type: "SUBACK";
  packetId: number;
  returnCodes: number[];
}

export interface Empty {
  type: "PINGREQ" | "PINGRESP" | "DISCONNECT";
}

export type Packet = Connect | Connack | Publish | Ack | Subscribe | Unsubscribe | Suback | Empty;

export const TYPES = {
  CONNECT,
  CONNACK,
  PUBLISH,
  PUBACK,
  PUBREC,
  PUBREL,
  PUBCOMP,
  SUBSCRIBE,
  SUBACK,
  UNSUBSCRIBE,
  UNSUBACK,
  PINGREQ,
  PINGRESP,
  DISCONNECT,
} as const;

/** The fields of a CONNECT as the encoder takes them. */
export function connectFields(packet: Connect): ConnectFields {
  const { will, password } = packet;
  return {
    clientId: packet.clientId,
    cleanSession: packet.cleanSession,
    keepAliveSeconds: packet.keepAliveSeconds,
    will: will && { topic: will.topicName, message: binary(will.message), qos: will.qos, retain: will.retain },
    username: packet.username,
    password: password === undefined ? undefined : binary(password),
  };
}

export function publishFlags(packet: Publish): number {
  const qos = packet.qos === 1 ? QOS_1 : packet.qos === 2 ? QOS_2 : 0;
  return (packet.dup ? DUP : 0) | qos | (packet.retain ? RETAIN : 0);
}

/** Writes `packet` with the encoder of the side that sends it. */
export function write(
  encoder: Encoder | ServerEncoder,
  packet: Packet,
  out: Uint8Array,
  offset: number,
  end: number,
): number {
  const client = encoder as Encoder;
  const server = encoder as ServerEncoder;
  switch (packet.type) {
    case "CONNECT":
      return client.connect(out, offset, end, connectFields(packet));
    case "CONNACK":
      return server.connack(out, offset, end, packet.sessionPresent, packet.returnCode);
    case "PUBLISH": {
      const topicName = packet.topicName ?? "";
      return encoder.publish(
        out, offset, end, publishFlags(packet), packet.packetId, topicName, binary(packet.payload),
      );
    }
    case "SUBSCRIBE":
      return client.filters(out, offset, end, TYPES[packet.type], packet.packetId, Object.fromEntries(packet.filters));
    case "UNSUBSCRIBE": {
      const filters = Object.fromEntries(packet.filters.map((filter) => [filter, undefined]));
      return client.filters(out, offset, end, TYPES[packet.type], packet.packetId, filters);
    }
    case "SUBACK":
      return server.suback(out, offset, end, packet.packetId, packet.returnCodes);
    case "PINGREQ":
    case "DISCONNECT":
      return client.short(out, offset, end, TYPES[packet.type], 0);
    case "PINGRESP":
      return server.pingresp(out, offset, end);
    default:
      return encoder instanceof ServerEncoder
        ? encoder.ack(out, offset, end, TYPES[packet.type], packet.packetId)
        : encoder.short(out, offset, end, TYPES[packet.type], packet.packetId);
  }
}

/** The bytes of `packet`, written as plainly as can be: what encoders are compared with. */
export function reference(packet: Packet): Uint8Array {
  const type = TYPES[packet.type] << 4;
  switch (packet.type) {
    case "CONNECT": {
      const { will, username, password } = packet;
      const flags =
        (packet.cleanSession ? 0x02 : 0) |
        (will ? 0x04 | (will.qos << 3) | (will.retain ? 0x20 : 0) : 0) |
        (password === undefined ? 0 : 0x40) |
        (username === undefined ? 0 : 0x80);
      return framed(
        type, field("MQTT"), byte(4), byte(flags), uint16(packet.keepAliveSeconds), field(packet.clientId),
        ...(will ? [field(will.topicName), field(binary(will.message))] : []),
        ...(username === undefined ? [] : [field(username)]),
        ...(password === undefined ? [] : [field(binary(password))]),
      );
    }
    case "CONNACK":
      return framed(type, byte(packet.sessionPresent ? 1 : 0), byte(packet.returnCode));
    case "PUBLISH": {
      const packetId = packet.qos === 0 ? [] : [uint16(packet.packetId)];
      return framed(type | publishFlags(packet), field(packet.topicName ?? ""), ...packetId, binary(packet.payload));
    }
    case "SUBSCRIBE": {
      const filters = packet.filters.flatMap(([filter, qos]) => [field(filter), byte(qos)]);
      return framed(type | 2, uint16(packet.packetId), ...filters);
    }
    case "UNSUBSCRIBE":
      return framed(type | 2, uint16(packet.packetId), ...packet.filters.map(field));
    case "SUBACK":
      return framed(type, uint16(packet.packetId), ...packet.returnCodes.map(byte));
    case "PINGREQ":
    case "PINGRESP":
    case "DISCONNECT":
      return framed(type);
    default:
      return framed(packet.type === "PUBREL" ? type | 2 : type, uint16(packet.packetId));
  }
}

/** A packet with this first byte, its remaining length, and what follows. */
export function framed(first: number, ...parts: Uint8Array[]): Uint8Array {
  const body = join(...parts);
  return join(byte(first), remainingLength(body.length), body);
}

/** The algorithm of section 2.2.3, word by word. */
export function remainingLength(length: number): Uint8Array {
  const bytes = [];
  let x = length;
  do {
    const encodedByte = x % 128;
    x = Math.floor(x / 128);
    bytes.push(x > 0 ? encodedByte + 128 : encodedByte);
  } while (x > 0);
  return new Uint8Array(bytes);
}

export function byte(value: number): Uint8Array {
  return new Uint8Array([value]);
}

export function uint16(value: number): Uint8Array {
  return new Uint8Array([value >> 8, value & 0xff]);
}

export function field(value: string | Uint8Array): Uint8Array {
  const bytes = Buffer.from(value as string);
  return join(uint16(bytes.length), bytes);
}
