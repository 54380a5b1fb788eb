/**
 * MQTT 5 in bytes as the model broker reads and writes it: by the codec of the broker's direction, which is tested
 * against vectors of its own. Where packets end is found here. Text is ASCII.
 */
import { CLIENT_ID, WILL_MESSAGE, WILL_TOPIC } from "../../src/server-codec.js";
import { Properties } from "../../src/v5/properties.js";
import type { SentProperties, ServerDecoderHandler5 } from "../../src/v5/server-codec.js";
import { ServerDecoder5, ServerEncoder5 } from "../../src/v5/server-codec.js";
import { AsciiText } from "./hal.js";
import type { Packet, PacketReader, PacketWriter } from "./packets.js";
import {
  AUTH,
  CONNECT,
  DISCONNECT,
  emptyPacket,
  PINGREQ,
  PUBLISH,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from "./packets.js";

/** The most that a packet of a simulated client or broker has. */
const CAPACITY = 8192;

const TEXT = new AsciiText();
/** A decoder is given whole packets, and a packet is sent as soon as it is written: nothing stays here. */
const SCRATCH = new Uint8Array(CAPACITY);
const WRITTEN = new Uint8Array(CAPACITY);

/** Gathers bytes and reads packets from them. */
export class Reader5 implements PacketReader {
  error = "";
  length = 0;
  private _bytes = new Uint8Array(256);
  private _end = 0;
  private _start = 0;
  private readonly _taker = new Taker();

  push(bytes: Uint8Array, start: number, end: number): void {
    const left = this._bytes.subarray(this._start, this._end);
    const length = left.length + end - start;
    if (length > this._bytes.length) this._bytes = new Uint8Array(2 * length);
    this._bytes.set(left, 0);
    this._bytes.set(bytes.subarray(start, end), left.length);
    this._start = 0;
    this._end = length;
  }

  next(): Packet | undefined {
    const bytes = this._bytes;
    const start = this._start;
    let at = start + 1;
    let length = 0;
    if (this.error !== "") return undefined;
    for (let shift = 0; ; shift += 7) {
      if (at >= this._end) return undefined;
      const byte = bytes[at++];
      length += (byte & 127) << shift;
      if (byte < 128) break;
      if (shift === 21) {
        this.error = "a remaining length of five bytes";
        return undefined;
      }
    }
    const end = at + length;
    if (end > this._end) return undefined;
    this._start = end;
    this.length = end - start;
    const packet = this._taker.read(bytes, start, end);
    if (typeof packet !== "string") return packet;
    this.error = packet;
    return undefined;
  }
}

/** Reads one packet at a time. */
class Taker implements ServerDecoderHandler5 {
  private readonly _properties = new Properties(TEXT);
  private readonly _decoder = new ServerDecoder5(this, SCRATCH, this._properties);
  private _packet = emptyPacket(0);
  private _isRead = false;

  /** A packet, or what is wrong with it. */
  read(bytes: Uint8Array, start: number, end: number): Packet | string {
    this._packet = emptyPacket(bytes[start] >> 4);
    this._isRead = false;
    const at = this._decoder.push(bytes, start, end);
    if (at < 0) return `type ${bytes[start] >> 4}, ${at < -127 ? `reason 0x${(-at).toString(16)}` : at}`;
    return this._hasRead() ? this._packet : `type ${bytes[start] >> 4}, not told`;
  }

  private _hasRead(): boolean {
    return this._isRead;
  }

  onPublish(
    flags: number, packetId: number, bytes: Uint8Array, topicStart: number, topicEnd: number, payloadLength: number,
  ): void {
    const packet = this._packet;
    packet.dup = (flags & 8) !== 0;
    packet.qos = (flags >> 1) & 3;
    packet.retain = (flags & 1) !== 0;
    packet.packetId = packetId;
    packet.topic = TEXT.decode(bytes, topicStart, topicEnd);
    this._done(PUBLISH);
    this._isRead = payloadLength === 0;
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    this._packet.payload += TEXT.decode(bytes, start, end);
    this._isRead = owed === 0;
  }

  onAck(type: number, packetId: number): void {
    this._packet.packetId = packetId;
    this._done(type);
  }

  onWillProperties(): void {
    this._packet.willProperties = this._properties.toObject();
  }

  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void {
    const packet = this._packet;
    const text = TEXT.decode(bytes, start, end);
    if (field === CLIENT_ID) packet.clientId = text;
    else if (field === WILL_TOPIC) packet.will = { topic: text, message: "", qos: 0, retain: false };
    else if (field === WILL_MESSAGE && packet.will !== undefined) packet.will.message = text;
  }

  onConnect(cleanStart: boolean, keepAliveSeconds: number, willQos: number, willRetain: boolean): void {
    const packet = this._packet;
    packet.cleanSession = cleanStart;
    packet.keepAliveSeconds = keepAliveSeconds;
    if (packet.will !== undefined) {
      packet.will.qos = willQos;
      packet.will.retain = willRetain;
    }
    this._done(CONNECT);
  }

  onUnsupportedLevel(): void {
    this._isRead = false;
  }

  onTopicFilter(bytes: Uint8Array, start: number, end: number, options: number): void {
    this._packet.filters.push(TEXT.decode(bytes, start, end));
    if (this._packet.type === SUBSCRIBE) this._packet.requested.push(options & 3);
  }

  onSubscribe(packetId: number): void {
    this._packet.packetId = packetId;
    this._done(SUBSCRIBE);
  }

  onUnsubscribe(packetId: number): void {
    this._packet.packetId = packetId;
    this._done(UNSUBSCRIBE);
  }

  onPingreq(): void {
    this._isRead = this._packet.type === PINGREQ;
  }

  onDisconnect(): void {
    this._done(DISCONNECT);
  }

  onAuth(): void {
    this._done(AUTH);
  }

  private _done(type: number): void {
    const packet = this._packet;
    const { start, end } = this._properties;
    this._isRead = packet.type === type;
    if (start < end) packet.properties = this._properties.toObject();
    if (type !== PUBLISH && type !== CONNECT) packet.reasonCode = this._decoder.code;
  }
}

/** Writes packets of a broker, each over the one before. */
export class Writer5 implements PacketWriter {
  readonly bytes = WRITTEN;
  length = 0;
  /** Of the next packet, and no other. */
  properties: SentProperties | undefined;
  private readonly _encoder = new ServerEncoder5(TEXT);

  connack(isPresent: boolean, code: number): void {
    this._took(this._encoder.connack(this.bytes, 0, CAPACITY, isPresent, code, this.properties));
  }

  ack(type: number, packetId: number, code: number): void {
    this._took(this._encoder.ack(this.bytes, 0, CAPACITY, type, packetId, code, this.properties));
  }

  suback(packetId: number, codes: number[]): void {
    this._took(this._encoder.suback(this.bytes, 0, CAPACITY, packetId, codes, this.properties));
  }

  unsuback(packetId: number, codes: number[]): void {
    this._took(this._encoder.unsuback(this.bytes, 0, CAPACITY, packetId, codes, this.properties));
  }

  publish(dup: boolean, qos: number, packetId: number, topic: string, payload: string): void {
    const flags = (dup ? 8 : 0) | (qos << 1);
    this._took(this._encoder.publish(this.bytes, 0, CAPACITY, flags, packetId, topic, payload, this.properties));
  }

  disconnect(code: number): void {
    this._took(this._encoder.disconnect(this.bytes, 0, CAPACITY, code, this.properties));
  }

  pingresp(): void {
    this._took(this._encoder.pingresp(this.bytes, 0, CAPACITY));
  }

  /** Bytes that are no packet, or one that may not come. */
  raw(bytes: number[]): void {
    this.bytes.set(bytes);
    this._took(bytes.length);
  }

  private _took(length: number): void {
    if (length < 0) throw new Error(`the broker's packet does not fit: ${length}`);
    this.length = length;
    this.properties = undefined;
  }
}

/** What a packet says beside the rest, for a trace. */
export function propertiesText(properties: object): string {
  const text = JSON.stringify(properties);
  return text === "{}" ? "" : ` ${text}`;
}
