/**
 * Feeds a stream to a decoder in the ways a stream can come, and puts the calls together to packets. Whatever must hold
 * of every call and every `push` is checked here, and throws.
 */
import { isUint8Array } from "node:util/types";
import type { DecoderHandler, StreamDecoder } from "../../src/codec.js";
import { Decoder } from "../../src/decoder.js";
import type { ServerDecoderHandler } from "../../src/server-codec.js";
import { CLIENT_ID, ServerDecoder, USERNAME, WILL_TOPIC } from "../../src/server-codec.js";
import { DUP, RETAIN } from "../../src/wire.js";
import { POISON, guarded, poisoned } from "./bytes.js";
import type { Ack, Packet, Publish, Sender } from "./packets.js";
import { TYPES } from "./packets.js";

/** A packet as it was received: of a PUBLISH also what the decoder says of its length. */
export type Received = Packet | (Publish & { packetLength: number }) | { type: "unsupported level"; level: number };

/** A decoder of what `sender` sends, with the recorder that is its handler. */
export type Open = (sender: Sender, scratch: Uint8Array) => { decoder: StreamDecoder; recorder: Recorder };

/** How a stream is fed. */
export interface Feeding {
  /** Default: the decoders of 3.1.1. */
  open?: Open;
  /** Lengths of the chunks, over and over again. Default: all at once. */
  sizes?: number[];
  /** Bytes of scratch. Default: 512. */
  scratchLength?: number;
  /** Chunks lie inside the scratch area, as with a client that receives where it gathers. */
  isInside?: boolean;
  /** Every access outside the chunk or outside the scratch area throws. Slow; not with `isInside`. */
  isGuarded?: boolean;
  /** Called in every call of the handler, behind everything else. */
  onCall?: (decoder: StreamDecoder) => void;
}

/** What came of it. */
export interface Outcome {
  packets: Received[];
  /** Bytes read, or the error. */
  result: number;
}

/** Feeds what `sender` sends to a decoder of the other side. */
export function feed(sender: Sender, stream: Uint8Array, feeding: Feeding = {}): Outcome {
  const scratch = new Uint8Array(feeding.scratchLength ?? 512).fill(POISON);
  const lent = feeding.isGuarded ? guarded(scratch, 0, scratch.length) : scratch;
  const { decoder, recorder } = (feeding.open ?? open)(sender, lent);
  recorder.onCall = () => feeding.onCall?.(decoder);
  const sizes = feeding.sizes ?? [stream.length];
  let at = 0;
  for (let i = 0; at < stream.length; i++) {
    let size = Math.min(sizes[i % sizes.length], stream.length - at);
    const { filled } = decoder;
    if (feeding.isInside) size = Math.min(size, scratch.length - filled);
    if (size === 0 && feeding.isInside) throw new Error("No room is left in the scratch area");
    const chunk = stream.subarray(at, at + size);
    let bytes, start, end;
    if (feeding.isInside) {
      bytes = scratch.fill(POISON, filled);
      // Right behind what gathered, or as far away as can be.
      start = i % 2 === 0 ? filled : scratch.length - size;
      end = start + size;
      scratch.set(chunk, start);
    } else {
      ({ around: bytes, start, end } = poisoned(chunk));
      if (feeding.isGuarded) bytes = guarded(bytes, start, end);
    }
    const read = push(decoder, recorder, bytes, start, end);
    if (read < 0) {
      checkSticky(decoder, recorder, read);
      return { packets: recorder.packets, result: read };
    }
    at += read - start;
    if (!feeding.isInside && !feeding.isGuarded) bytes.fill(POISON);
  }
  return { packets: recorder.packets, result: at };
}

/** A decoder of what `sender` sends. */
export function decoderOf(sender: Sender, recorder: Recorder, scratch: Uint8Array): Decoder | ServerDecoder {
  return sender === "client" ? new ServerDecoder(recorder, scratch) : new Decoder(recorder, scratch);
}

const open: Open = (sender, scratch) => {
  const recorder = new Recorder(scratch);
  return { decoder: decoderOf(sender, recorder, scratch), recorder };
};

/** The same with its surroundings, for tests that push step by step. */
export class Bench {
  readonly recorder: Recorder;
  readonly decoder: StreamDecoder;

  constructor(sender: Sender, { open: opens = open, scratchLength = 64 }: Feeding = {}) {
    ({ decoder: this.decoder, recorder: this.recorder } = opens(sender, new Uint8Array(scratchLength)));
  }

  /** `push`, by default of everything. */
  readonly push = (bytes: Uint8Array, start = 0, end = bytes.length): number => {
    this.recorder.lend(bytes, start, end);
    return this.decoder.push(bytes, start, end);
  };
}

/** Pushes `bytes[start..end)` until it is read, and returns `end` or the error. */
function push(decoder: StreamDecoder, recorder: Recorder, bytes: Uint8Array, start: number, end: number): number {
  let at = start;
  do {
    recorder.lend(bytes, at, end);
    const read = decoder.push(bytes, at, end);
    if (read < 0) return read;
    if (read > end || (read === at && at < end)) throw new Error(`push(${at}, ${end}) returned ${read}`);
    if (decoder.filled > read && bytes === recorder.scratch) throw new Error("More has gathered than was read");
    at = read;
  } while (at < end);
  return at;
}

/** An error comes before the first call of a packet, is told again whatever follows, and nothing is called any more. */
function checkSticky(decoder: StreamDecoder, recorder: Recorder, error: number): void {
  if (recorder.hasParts()) throw new Error("Parts of a packet were told, the packet was not");
  const count = recorder.calls;
  for (const bytes of [new Uint8Array(0), new Uint8Array([0xd0, 0, 0xc0, 0])]) {
    recorder.lend(bytes, 0, bytes.length);
    if (decoder.push(bytes, 0, bytes.length) !== error) throw new Error(`The error ${error} was forgotten`);
  }
  if (recorder.calls !== count) throw new Error("The handler was called behind an error");
}

const ACKS: string[] = [];
for (const [name, type] of Object.entries(TYPES)) ACKS[type] = name;

/** Turns a decoder's calls, of either side, into packets. */
export class Recorder implements DecoderHandler, ServerDecoderHandler {
  readonly packets: Received[] = [];
  /** Count of calls. */
  calls = 0;
  onCall: () => unknown = () => undefined;
  readonly scratch: Uint8Array;
  private chunk: Uint8Array = new Uint8Array(0);
  private chunkStart = 0;
  private chunkEnd = 0;
  /** The message whose payload is coming, and how much of it is. */
  private publish: Publish | undefined;
  private owed = 0;
  protected fields: (string | undefined)[] = [];
  protected readonly filters: [string, number][] = [];

  constructor(scratch: Uint8Array) {
    this.scratch = scratch;
  }

  /** What the decoder may show from now on, beside the scratch area. */
  lend(chunk: Uint8Array, start: number, end: number): void {
    this.chunk = chunk;
    this.chunkStart = start;
    this.chunkEnd = end;
  }

  /** True when parts of a packet were told, and the packet itself was not. */
  hasParts(): boolean {
    return this.fields.length > 0 || this.filters.length > 0;
  }

  /** The message that is coming will not come to its end. */
  forget(): void {
    this.publish = undefined;
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
    const topic = this.read(bytes, topicStart, topicEnd);
    this.publish = {
      type: "PUBLISH",
      dup: (flags & DUP) !== 0,
      qos: (flags >> 1) & 3,
      retain: (flags & RETAIN) !== 0,
      packetId,
      topicName: topic === "" ? null : text(topic),
      payload: "",
      ...this.beside(),
    };
    this.owed = payloadLength;
    this.packets.push(Object.assign(this.publish, { packetLength }));
    this.called();
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

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    const part = this.read(bytes, start, end);
    if (this.publish === undefined) throw new Error("A payload without a message");
    if (owed !== this.owed - part.length) throw new Error(`${owed} bytes owed instead of ${this.owed - part.length}`);
    if (part === "" && (owed > 0 || this.publish.payload !== "")) throw new Error("An empty part of a payload");
    this.publish.payload += part;
    this.owed = owed;
    if (owed === 0) this.publish = undefined;
    this.called();
  }

  onAck(type: number, packetId: number): void {
    this.add({ type: ACKS[type] as Ack["type"], packetId });
  }

  onConnack(sessionPresent: boolean, returnCode: number): void {
    this.add({ type: "CONNACK", sessionPresent, returnCode });
  }

  onSuback(packetId: number, bytes: Uint8Array, start: number, end: number): void {
    const returnCodes = [...Buffer.from(this.read(bytes, start, end), "latin1")];
    this.add({ type: "SUBACK", packetId, returnCodes });
  }

  onPingresp(): void {
    this.add({ type: "PINGRESP" });
  }

  onConnectField(field: number, bytes: Uint8Array, start: number, end: number): void {
    const isText = field === CLIENT_ID || field === WILL_TOPIC || field === USERNAME;
    const value = this.read(bytes, start, end);
    if (field < this.fields.length) throw new Error(`Field ${field} comes too late`);
    this.fields[field] = isText ? text(value) : value;
    this.called();
  }

  onConnect(cleanSession: boolean, keepAliveSeconds: number, willQos: number, willRetain: boolean): void {
    const [clientId = "missing", topicName, message = "missing", username, password] = this.fields;
    this.fields = [];
    if (topicName === undefined && (willQos !== 0 || willRetain)) throw new Error("Flags of a will without a will");
    this.add({
      type: "CONNECT",
      clientId,
      cleanSession,
      keepAliveSeconds,
      ...(topicName !== undefined && { will: { topicName, message, qos: willQos, retain: willRetain } }),
      ...(username !== undefined && { username }),
      ...(password !== undefined && { password }),
    });
  }

  onUnsupportedLevel(level: number): void {
    this.add({ type: "unsupported level", level });
  }

  onTopicFilter(bytes: Uint8Array, start: number, end: number, qos: number): void {
    this.filters.push([text(this.read(bytes, start, end)), qos]);
    this.called();
  }

  onSubscribe(packetId: number): void {
    this.add({ type: "SUBSCRIBE", packetId, filters: this.filters.splice(0) });
  }

  onUnsubscribe(packetId: number): void {
    if (this.filters.some(([, qos]) => qos !== 0)) throw new Error("An UNSUBSCRIBE with a QoS");
    this.add({ type: "UNSUBSCRIBE", packetId, filters: this.filters.splice(0).map(([filter]) => filter) });
  }

  onPingreq(): void {
    this.add({ type: "PINGREQ" });
  }

  onDisconnect(): void {
    this.add({ type: "DISCONNECT" });
  }

  /** The bytes of a window, which must lie within what was lent, one character each. */
  protected read(bytes: Uint8Array, start: number, end: number): string {
    const isChunk = bytes === this.chunk && start >= this.chunkStart && end <= this.chunkEnd;
    const isScratch = bytes === this.scratch && start >= 0 && end <= this.scratch.length;
    if (!(isChunk || isScratch) || start > end) throw new Error(`The window [${start}, ${end}) was not lent`);
    // Not a guarded array: that is a proxy.
    if (isUint8Array(bytes)) return Buffer.from(bytes.buffer, bytes.byteOffset + start, end - start).toString("latin1");
    let characters = "";
    for (let at = start; at < end; at++) characters += String.fromCharCode(bytes[at]);
    return characters;
  }

  /** One of another version is no `Received`: who asks for packets of it knows. */
  protected add<P extends { type: string }>(packet: P): void {
    if (this.publish !== undefined) throw new Error(`${packet.type} inside of a payload`);
    this.packets.push({ ...packet, ...this.beside() } as unknown as Received);
    this.called();
  }

  /** What a packet has beside the arguments of its call. */
  protected beside(): object {
    return {};
  }

  protected called(): void {
    this.calls++;
    this.onCall();
  }
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** The string that bytes encode, or, where they are ill-formed, something else that is as different as they are. */
export function text(characters: string): string {
  const bytes = Buffer.from(characters, "latin1");
  try {
    return utf8.decode(bytes);
  } catch {
    return `ill-formed ${bytes.toString("hex")}`;
  }
}
