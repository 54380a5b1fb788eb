/**
 * MQTT 3.1.1 in bytes as the model broker reads and writes it. Shares nothing with src, so that a mistake there is not
 * made here too. Text is ASCII.
 */
import type { ReceivedProperties } from "../../src/v5/face.js";

export const CONNECT = 1;
export const CONNACK = 2;
export const PUBLISH = 3;
export const PUBACK = 4;
export const PUBREC = 5;
export const PUBREL = 6;
export const PUBCOMP = 7;
export const SUBSCRIBE = 8;
export const SUBACK = 9;
export const UNSUBSCRIBE = 10;
export const UNSUBACK = 11;
export const PINGREQ = 12;
export const PINGRESP = 13;
export const DISCONNECT = 14;
/** MQTT 5. */
export const AUTH = 15;

export const NAMES = [
  "0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "SUBACK",
  "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "AUTH",
];

/** Flags that each type has to have; PUBLISH has its own. */
const FLAGS = [-1, 0, -1, -1, 0, 0, 2, 0, 2, -1, 2, -1, 0, -1, 0, -1];

/** A packet of a client, read. Fields that its type has not are as they were made. */
export interface Packet {
  type: number;
  packetId: number;
  // PUBLISH
  dup: boolean;
  qos: number;
  retain: boolean;
  topic: string;
  payload: string;
  // SUBSCRIBE, UNSUBSCRIBE: the latter without QoS
  filters: string[];
  requested: number[];
  // CONNECT
  clientId: string;
  cleanSession: boolean;
  keepAliveSeconds: number;
  will: { topic: string; message: string; qos: number; retain: boolean } | undefined;
  // MQTT 5
  reasonCode: number;
  properties: ReceivedProperties;
  willProperties: ReceivedProperties;
}

const NO_PROPERTIES: ReceivedProperties = {};

export function emptyPacket(type: number): Packet {
  return {
    type,
    packetId: 0,
    dup: false,
    qos: 0,
    retain: false,
    topic: "",
    payload: "",
    filters: [],
    requested: [],
    clientId: "",
    cleanSession: false,
    keepAliveSeconds: 0,
    will: undefined,
    reasonCode: 0,
    properties: NO_PROPERTIES,
    willProperties: NO_PROPERTIES,
  };
}

/** Takes bytes and has packets of a client, in the order of the stream. */
export interface PacketReader {
  /** What is wrong with the bytes, once something is. */
  readonly error: string;
  /** Bytes of the packet read last. */
  readonly length: number;
  push(bytes: Uint8Array, start: number, end: number): void;
  /** The next packet, if all of it is there. Sets `error` when it is none. */
  next(): Packet | undefined;
}

/** Writes packets of a broker, each over the one before. */
export interface PacketWriter {
  readonly bytes: Uint8Array;
  /** Bytes of the packet written last. */
  readonly length: number;
  connack(isPresent: boolean, code: number): void;
  /** PUBACK, PUBREC, PUBREL or PUBCOMP. */
  ack(type: number, packetId: number, code: number): void;
  suback(packetId: number, codes: number[]): void;
  unsuback(packetId: number, codes: number[]): void;
  publish(dup: boolean, qos: number, packetId: number, topic: string, payload: string): void;
  pingresp(): void;
}

/** Gathers bytes and reads packets from them. */
export class Reader implements PacketReader {
  error = "";
  length = 0;
  private _bytes = new Uint8Array(256);
  private _start = 0;
  private _end = 0;
  // Of the packet that is being read.
  private _at = 0;
  private _behind = 0;

  push(bytes: Uint8Array, start: number, end: number): void {
    if (this._start === this._end) this._start = this._end = 0;
    const needed = this._end + end - start;
    if (needed > this._bytes.length) {
      const larger = new Uint8Array(2 * needed);
      larger.set(this._bytes.subarray(0, this._end));
      this._bytes = larger;
    }
    for (let at = start; at < end; at++) this._bytes[this._end++] = bytes[at];
  }

  next(): Packet | undefined {
    const bytes = this._bytes;
    let at = this._start;
    if (at === this._end || this.error !== "") return undefined;
    const first = bytes[at++];
    const type = first >> 4;
    const isPublish = type === PUBLISH;
    const flags = first & 15;
    if (!isPublish && FLAGS[type] !== flags) return this._fail(`${NAMES[type]} with flags ${flags}`);
    let length = 0;
    for (let shift = 0; ; shift += 7) {
      if (shift === 28) return this._fail("a remaining length of five bytes");
      if (at === this._end) return undefined;
      const byte = bytes[at++];
      length += (byte & 127) << shift;
      if (byte < 128) break;
    }
    if (at + length > this._end) return undefined;
    this._at = at;
    this._behind = at + length;
    this.length = this._behind - this._start;
    this._start = this._behind;
    const packet = emptyPacket(type);
    if (isPublish) this._publish(packet, flags);
    else if (type === CONNECT) this._connect(packet);
    else if (type < PINGREQ) this._withId(packet);
    if (this._isBroken()) return undefined;
    if (this._at !== this._behind) return this._fail(`${NAMES[type]} of a wrong length`);
    return packet;
  }

  private _publish(packet: Packet, flags: number): void {
    packet.dup = (flags & 8) !== 0;
    packet.qos = (flags >> 1) & 3;
    packet.retain = (flags & 1) !== 0;
    if (packet.qos === 3) this._fail("PUBLISH with QoS 3");
    if (packet.qos === 0 && packet.dup) this._fail("PUBLISH with DUP at QoS 0");
    packet.topic = this._text();
    if (packet.topic === "" || /[+#\0]/.test(packet.topic)) this._fail(`PUBLISH to "${packet.topic}"`);
    if (packet.qos > 0) this._id(packet);
    packet.payload = this._ascii(this._behind);
  }

  private _connect(packet: Packet): void {
    if (this._text() !== "MQTT" || this._bytes[this._at++] !== 4) this._fail("CONNECT is not of 3.1.1");
    const flags = this._bytes[this._at++];
    if ((flags & 1) !== 0) this._fail("CONNECT with the reserved flag");
    packet.cleanSession = (flags & 2) !== 0;
    packet.keepAliveSeconds = this._number();
    packet.clientId = this._text();
    if ((flags & 4) !== 0) {
      const topic = this._text();
      packet.will = { topic, message: this._text(), qos: (flags >> 3) & 3, retain: (flags & 32) !== 0 };
    } else if ((flags & 56) !== 0) this._fail("CONNECT with flags of a will and no will");
    if ((flags & 192) !== 0) this._fail("CONNECT with credentials that nobody gave");
  }

  private _withId(packet: Packet): void {
    this._id(packet);
    if (packet.type !== SUBSCRIBE && packet.type !== UNSUBSCRIBE) return;
    while (this._at < this._behind) {
      packet.filters.push(this._text());
      if (packet.type === SUBSCRIBE) packet.requested.push(this._bytes[this._at++]);
    }
    if (packet.filters.length === 0) this._fail(`${NAMES[packet.type]} without filters`);
    if (packet.requested.some((qos) => qos > 2)) this._fail("SUBSCRIBE with a QoS above 2");
  }

  private _id(packet: Packet): void {
    packet.packetId = this._number();
    if (packet.packetId === 0) this._fail(`${NAMES[packet.type]} with packet id 0`);
  }

  private _number(): number {
    this._at += 2;
    return (this._bytes[this._at - 2] << 8) | this._bytes[this._at - 1];
  }

  private _text(): string {
    const length = this._number();
    return this._ascii(this._at + length);
  }

  private _ascii(end: number): string {
    if (end > this._behind || this._at > this._behind) {
      this._fail("lengths that contradict each other");
      return "";
    }
    let text = "";
    while (this._at < end) text += String.fromCharCode(this._bytes[this._at++]);
    return text;
  }

  private _isBroken(): boolean {
    return this.error !== "";
  }

  private _fail(error: string): undefined {
    if (this.error === "") this.error = error;
    return undefined;
  }
}

/** Writes packets of a broker, each over the one before. */
export class Writer implements PacketWriter {
  bytes = new Uint8Array(512);
  length = 0;

  connack(isPresent: boolean, code: number): void {
    this._short(CONNACK << 4, (isPresent ? 256 : 0) | code);
  }

  ack(type: number, packetId: number): void {
    this._short((type << 4) | (type === PUBREL ? 2 : 0), packetId);
  }

  unsuback(packetId: number): void {
    this._short(UNSUBACK << 4, packetId);
  }

  pingresp(): void {
    this._begin(PINGRESP << 4, 0);
  }

  suback(packetId: number, codes: number[]): void {
    this._begin(SUBACK << 4, 2 + codes.length);
    this._number(packetId);
    for (const code of codes) this.bytes[this.length++] = code;
  }

  publish(dup: boolean, qos: number, packetId: number, topic: string, payload: string): void {
    const length = 2 + topic.length + (qos > 0 ? 2 : 0) + payload.length;
    this._begin((PUBLISH << 4) | (dup ? 8 : 0) | (qos << 1), length);
    this._number(topic.length);
    this._ascii(topic);
    if (qos > 0) this._number(packetId);
    this._ascii(payload);
  }

  private _short(first: number, value: number): void {
    this._begin(first, 2);
    this._number(value);
  }

  private _begin(first: number, length: number): void {
    if (length + 5 > this.bytes.length) this.bytes = new Uint8Array(2 * length + 5);
    this.length = 0;
    this.bytes[this.length++] = first;
    let rest = length;
    while (rest > 127) {
      this.bytes[this.length++] = (rest & 127) | 128;
      rest >>= 7;
    }
    this.bytes[this.length++] = rest;
  }

  private _number(value: number): void {
    this.bytes[this.length++] = value >> 8;
    this.bytes[this.length++] = value & 255;
  }

  private _ascii(text: string): void {
    for (let i = 0; i < text.length; i++) this.bytes[this.length++] = text.charCodeAt(i);
  }
}
