/**
 * The far end of a connection that is fuzzed: hears what the client writes and throws when it is no valid sequence of
 * packets; sends what a script has it send, right or wrong, and knows what of that the client may tell its owner.
 */
import type { MockSocket } from "../../hal/mock.js";
import type { DecoderHandler } from "../../src/codec.js";
import { Decoder } from "../../src/decoder.js";
import type { ServerDecoderHandler } from "../../src/server-codec.js";
import { ServerDecoder } from "../../src/server-codec.js";
import {
  CONNACK,
  DUP,
  PINGRESP,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  SUBACK,
  UNSUBACK,
} from "../../src/wire.js";

export function check(isRight: boolean, what: string): void {
  if (!isRight) throw new Error(what);
}

/** What the client has to know of a session beyond one connection. */
export class Memory {
  /** Packet ids that messages were accepted with. */
  readonly accepted = new Set<number>();
  /** Those that a broker has heard. */
  readonly published = new Set<number>();
  /** Sockets broke while they were written to: more was sent than a broker has heard. */
  isLossy = false;
  /** Packet ids for which a broker has sent PUBREC: only for those may PUBREL come. */
  readonly received = new Set<number>();
  /** Received QoS 2 messages whose PUBREL the client has not read; false: it may have. */
  readonly held = new Map<number, boolean>();
}

/** A message that the broker sent, or the PUBREL of one. */
export interface Sent {
  isRelease: boolean;
  flags: number;
  packetId: number;
  topic: string;
  /** Bytes in front of the payload, without the header: what the client needs room for to know the topic name. */
  need: number;
  payloadLength: number;
  packetLength: number;
  payload: string;
}

/** The broker's end of one socket. */
export class Broker implements ServerDecoderHandler {
  readonly socket: MockSocket;
  /** What the broker sent, as it is to be understood. */
  readonly log = new Log();
  /** What a broker that keeps the rules would send in answer to what it heard. */
  readonly answers: number[][] = [];
  isConnected = false;
  isEnding = false;
  hasDisconnect = false;
  /** What was sent to the client is told up to here. */
  told = 0;
  private readonly memory: Memory;
  /** What may come with DUP: it was sent on an earlier connection. */
  private readonly repeatable: Set<number>;
  private readonly decoder: ServerDecoder;
  private hasConnect = false;
  /** Packet ids that wait for an acknowledgement -> its type. */
  private readonly open = new Map<number, number>();
  private acks = 0;
  /** Count of writes that were heard. */
  private heard = 0;
  private filters = 0;

  constructor(socket: MockSocket, memory: Memory) {
    this.socket = socket;
    this.memory = memory;
    this.repeatable = new Set(memory.isLossy ? memory.accepted : memory.published);
    this.decoder = new ServerDecoder(this, new Uint8Array(4096));
  }

  /** Count of operations that were sent and are not acknowledged. */
  get inflight(): number {
    return this.open.size;
  }

  /** Hears what the client has written since. */
  hear(): void {
    if (this.socket.writes === this.heard) return;
    this.heard = this.socket.writes;
    const bytes = this.socket.takeSent();
    const end = this.decoder.push(bytes, 0, bytes.length);
    check(end === bytes.length, `the client wrote what a decoder refuses with ${end}`);
    if (this.hasDisconnect) check(!this.decoder.isMidPacket(), "the client wrote something behind DISCONNECT");
  }

  send(bytes: ArrayLike<number>): void {
    if (!this.isConnected || this.isEnding || this.socket.closed || this.socket.over) return;
    this.log.read(Uint8Array.from(bytes));
    for (; this.acks < this.log.acks.length; this.acks++) {
      const [type, packetId] = this.log.acks[this.acks];
      if (type === PUBREC) this.memory.received.add(packetId);
      if (this.open.get(packetId) !== type) continue;
      if (type === PUBREC) this.open.set(packetId, PUBCOMP);
      else this.open.delete(packetId);
    }
    this.socket.receive(bytes);
  }

  onConnectField(): void {
    check(!this.hasConnect, "a second CONNECT");
  }

  onConnect(): void {
    check(!this.hasConnect, "a second CONNECT");
    this.hasConnect = true;
  }

  onUnsupportedLevel(level: number): void {
    check(false, `CONNECT of level ${level}`);
  }

  onPublish(flags: number, packetId: number): void {
    this.operation();
    if (packetId === 0) return;
    const isQos1 = (flags & 6) === 2;
    check((flags & DUP) === 0 || this.repeatable.has(packetId), `DUP with ${packetId}, which was not sent before`);
    this.memory.published.add(packetId);
    this.wait(packetId, isQos1 ? PUBACK : PUBREC);
    this.answers.push(ack(isQos1 ? PUBACK : PUBREC, packetId));
  }

  onPayload(): void {
    // Anything is right.
  }

  onAck(type: number, packetId: number): void {
    this.operation();
    if (type === PUBREL) {
      check(this.memory.received.has(packetId), `PUBREL ${packetId} without PUBREC`);
      this.answers.push(ack(PUBCOMP, packetId));
      return;
    }
    check(this.log.takeDue(type, packetId), `acknowledgement ${type} of ${packetId}, which nothing calls for`);
    if (type === PUBREC) this.answers.push(ack(PUBREL, packetId));
  }

  onTopicFilter(): void {
    this.filters++;
  }

  onSubscribe(packetId: number): void {
    this.operation();
    this.wait(packetId, SUBACK);
    const codes = Array<number>(this.filters).fill(1);
    this.answers.push([SUBACK << 4, 2 + codes.length, packetId >> 8, packetId & 255, ...codes]);
    this.filters = 0;
  }

  onUnsubscribe(packetId: number): void {
    this.operation();
    this.filters = 0;
    this.wait(packetId, UNSUBACK);
    this.answers.push(ack(UNSUBACK, packetId));
  }

  onPingreq(): void {
    this.operation();
    this.answers.push([PINGRESP << 4, 0]);
  }

  onDisconnect(): void {
    check(this.hasConnect && !this.hasDisconnect, "DISCONNECT out of turn");
    this.hasDisconnect = true;
  }

  private operation(): void {
    check(this.hasConnect, "a packet before CONNECT");
    check(this.log.isAccepted, "a packet before CONNACK");
    check(!this.hasDisconnect, "a packet behind DISCONNECT");
  }

  private wait(packetId: number, type: number): void {
    check(!this.open.has(packetId), `packet id ${packetId} is in use`);
    this.open.set(packetId, type);
  }
}

/** Understands what a broker sent. */
class Log implements DecoderHandler {
  /** Not 0: behind this nothing is understood. */
  error = 0;
  isAccepted = false;
  readonly messages: Sent[] = [];
  readonly acks: [type: number, packetId: number][] = [];
  private readonly decoder = new Decoder(this, new Uint8Array(4096));
  /** Acknowledgements that the client owes: type and packet id -> how many. */
  private readonly due = new Map<number, number>();

  read(bytes: Uint8Array): void {
    const end = this.decoder.push(bytes, 0, bytes.length);
    if (end < 0) this.error = end;
  }

  /** The client acknowledges something; returns false if there is nothing of that kind. */
  takeDue(type: number, packetId: number): boolean {
    const key = type * 65536 + packetId;
    const count = this.due.get(key) ?? 0;
    this.due.set(key, count - 1);
    return count > 0;
  }

  onConnack(_sessionPresent: boolean, returnCode: number): void {
    this.isAccepted ||= returnCode === 0;
  }

  onPublish(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payloadLength: number,
    packetLength: number,
  ): void {
    const topic = latin1(bytes, topicStart, topicEnd);
    const need = 2 + topic.length + (packetId > 0 ? 2 : 0);
    this.messages.push({ isRelease: false, flags, packetId, topic, need, payloadLength, packetLength, payload: "" });
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    const { flags, packetId } = this.append(latin1(bytes, start, end));
    if (owed === 0 && packetId > 0) this.owe((flags & 6) === 2 ? PUBACK : PUBREC, packetId);
  }

  onWhole(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    start: number,
    end: number,
    packetLength: number,
  ): void {
    this.onPublish(flags, packetId, bytes, topicStart, topicEnd, end - start, packetLength);
    this.onPayload(bytes, start, end, 0);
  }

  onAck(type: number, packetId: number): void {
    this.acks.push([type, packetId]);
    if (type !== PUBREL) return;
    this.owe(PUBCOMP, packetId);
    this.messages.push({
      isRelease: true, flags: 0, packetId, topic: "", need: 0, payloadLength: 0, packetLength: 4, payload: "",
    });
  }

  onSuback(packetId: number): void {
    this.acks.push([SUBACK, packetId]);
  }

  onPingresp(): void {
    // Anything is right.
  }

  private append(payload: string): Sent {
    const message = this.messages[this.messages.length - 1];
    message.payload += payload;
    return message;
  }

  private owe(type: number, packetId: number): void {
    const key = type * 65536 + packetId;
    this.due.set(key, (this.due.get(key) ?? 0) + 1);
  }
}

export function latin1(bytes: Uint8Array, start: number, end: number): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
}

/** A packet of four bytes. */
export function ack(type: number, packetId: number): number[] {
  return [(type << 4) | (type === PUBREL ? 2 : 0), 2, packetId >> 8, packetId & 255];
}

export function connack(sessionPresent: boolean, returnCode: number): number[] {
  return [CONNACK << 4, 2, sessionPresent ? 1 : 0, returnCode];
}

/** PUBLISH of at most 16,383 bytes behind the header. */
export function message(flags: number, packetId: number, topic: string, payloadLength: number): number[] {
  const name = [...Buffer.from(topic)];
  const id = (flags & 6) === 0 ? [] : [packetId >> 8, packetId & 255];
  const payload = Array.from({ length: payloadLength }, (_, i) => i & 255);
  const body = [0, name.length, ...name, ...id, ...payload];
  return [(PUBLISH << 4) | flags, ...remainingLength(body.length), ...body];
}

function remainingLength(length: number): number[] {
  return length < 128 ? [length] : [(length & 127) | 128, length >> 7];
}
