/**
 * What a decoder has to make of a stream, written as plainly as can be: no states, nothing gathered, text by the
 * platform. Decoders are compared with it.
 */
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_QOS,
  BAD_REMAINING_LENGTH,
  BAD_TOPIC,
  UNEXPECTED_PACKET,
} from "../../src/errors.js";
import type { Outcome, Received } from "../support/feed.js";
import type { Ack, Sender } from "../support/packets.js";
import { TYPES } from "../support/packets.js";

/** Type of packet -> its name. */
const NAMES = new Map<number, string>(Object.entries(TYPES).map(([name, type]) => [type, name]));

/** What may come from one side: the least and the most bytes behind the header. */
const LENGTHS: Record<Sender, Record<string, [number, number]>> = {
  server: {
    CONNACK: [2, 2],
    PUBLISH: [2, Infinity],
    PUBACK: [2, 2],
    PUBREC: [2, 2],
    PUBREL: [2, 2],
    PUBCOMP: [2, 2],
    SUBACK: [3, Infinity],
    UNSUBACK: [2, 2],
    PINGRESP: [0, 0],
  },
  client: {
    CONNECT: [12, Infinity],
    PUBLISH: [2, Infinity],
    PUBACK: [2, 2],
    PUBREC: [2, 2],
    PUBREL: [2, 2],
    PUBCOMP: [2, 2],
    SUBSCRIBE: [5, Infinity],
    UNSUBSCRIBE: [4, Infinity],
    PINGREQ: [0, 0],
    DISCONNECT: [0, 0],
  },
};

/** Reads all of `stream`, which `sender` sent, as a decoder with `scratchLength` bytes of scratch does. */
export function decode(sender: Sender, stream: Uint8Array, scratchLength: number): Outcome {
  const packets: Received[] = [];
  let at = 0;
  while (at < stream.length) {
    const first = stream[at];
    const digits = stream.subarray(at + 1, at + 5);
    const count = digits.findIndex((byte) => byte < 128) + 1;
    if (count === 0 && digits.length === 4) return { packets, result: BAD_REMAINING_LENGTH };
    if (count === 0) break;
    const length = digits.subarray(0, count).reduce((sum, byte, i) => sum + (byte & 127) * 128 ** i, 0);
    const start = at + 1 + count;
    const error = headerError(sender, first, length, scratchLength);
    if (error !== 0) return { packets, result: error };
    at = start + length;
    const body = stream.subarray(start, at);
    const result = first >> 4 === TYPES.PUBLISH
      ? publish(sender, first, body, length, count, scratchLength)
      : body.length < length
        ? undefined
        : sender === "server" ? fromServer(first >> 4, body) : fromClient(first >> 4, body);
    if (typeof result === "number") return { packets, result };
    if (result !== undefined) packets.push(result);
    if (result?.type === "unsupported level") return { packets, result: BAD_FIELD };
  }
  return { packets, result: stream.length };
}

function headerError(sender: Sender, first: number, length: number, scratchLength: number): number {
  const name = NAMES.get(first >> 4);
  const flags = first & 15;
  if (name === "PUBLISH") {
    if ((flags & 6) === 6 || (flags & 14) === 8) return BAD_QOS;
  } else if (name === undefined || flags !== (/^(PUBREL|SUBSCRIBE|UNSUBSCRIBE)$/.test(name) ? 2 : 0)) {
    return BAD_HEADER;
  }
  const lengths = LENGTHS[sender][name];
  if (lengths === undefined) return UNEXPECTED_PACKET;
  const [least, most] = lengths;
  if (length < least || length > most) return BAD_LENGTH;
  return name !== "PUBLISH" && most === Infinity && length > scratchLength ? BAD_LENGTH : 0;
}

/** Also of a part of the packet: `body` is what there is of `length` bytes. Undefined: too little to say anything. */
function publish(
  sender: Sender,
  first: number,
  body: Uint8Array,
  length: number,
  lengthDigits: number,
  scratchLength: number,
): Received | number | undefined {
  if (body.length < 2) return undefined;
  const qos = (first >> 1) & 3;
  const topicEnd = 2 + uint16(body, 0);
  const start = topicEnd + (qos > 0 ? 2 : 0);
  if (topicEnd === 2) return BAD_TOPIC;
  if (start > length) return BAD_LENGTH;
  if (body.length < start) return undefined;
  const packetId = qos > 0 ? uint16(body, topicEnd) : 0;
  if (qos > 0 && packetId === 0) return BAD_PACKET_ID;
  const topicName = start > scratchLength ? null : text(body.subarray(2, topicEnd));
  if (sender === "client" && topicName !== null && !isTopicName(topicName)) return BAD_TOPIC;
  return {
    type: "PUBLISH",
    dup: (first & 8) !== 0,
    qos,
    retain: (first & 1) !== 0,
    packetId,
    topicName,
    payload: latin1(body.subarray(start)),
    packetLength: 1 + lengthDigits + length,
  };
}

function fromServer(type: number, body: Uint8Array): Received | number {
  if (type === TYPES.PINGRESP) return { type: "PINGRESP" };
  if (type === TYPES.CONNACK) {
    const [flags, returnCode] = body;
    if (flags > 1 || (flags === 1 && returnCode !== 0)) return BAD_FIELD;
    return { type: "CONNACK", sessionPresent: flags === 1, returnCode };
  }
  const packetId = uint16(body, 0);
  if (packetId === 0) return BAD_PACKET_ID;
  if (type !== TYPES.SUBACK) return { type: NAMES.get(type) as Ack["type"], packetId };
  const returnCodes = [...body.subarray(2)];
  if (returnCodes.some((code) => ![0, 1, 2, 0x80].includes(code))) return BAD_FIELD;
  return { type: "SUBACK", packetId, returnCodes };
}

function fromClient(type: number, body: Uint8Array): Received | number {
  if (type === TYPES.CONNECT) return connect(body);
  if (type === TYPES.PINGREQ) return { type: "PINGREQ" };
  if (type === TYPES.DISCONNECT) return { type: "DISCONNECT" };
  const packetId = uint16(body, 0);
  if (packetId === 0) return BAD_PACKET_ID;
  if (type !== TYPES.SUBSCRIBE && type !== TYPES.UNSUBSCRIBE) {
    return { type: NAMES.get(type) as Ack["type"], packetId };
  }
  const filters: [string, number][] = [];
  const fields = new Fields(body, 2);
  while (fields.at < body.length) {
    const field = fields.take();
    if (field === undefined) return BAD_LENGTH;
    if (type === TYPES.SUBSCRIBE && fields.at === body.length) return BAD_LENGTH;
    const filter = text(field);
    if (!isTopicFilter(filter)) return BAD_TOPIC;
    const qos = type === TYPES.SUBSCRIBE ? body[fields.at++] : 0;
    if (qos > 2) return BAD_FIELD;
    filters.push([filter, qos]);
  }
  if (type === TYPES.SUBSCRIBE) return { type: "SUBSCRIBE", packetId, filters };
  return { type: "UNSUBSCRIBE", packetId, filters: filters.map(([filter]) => filter) };
}

function connect(body: Uint8Array): Received | number {
  if (latin1(body.subarray(0, 6)) !== "\0\x04MQTT") return BAD_FIELD;
  if (body[6] !== 4) return { type: "unsupported level", level: body[6] };
  const flags = body[7];
  const [hasUsername, hasPassword, hasWill] = [128, 64, 4].map((flag) => (flags & flag) !== 0);
  const willQos = (flags >> 3) & 3;
  if ((flags & 1) !== 0 || (!hasWill && (flags & 0x38) !== 0) || willQos === 3) return BAD_FIELD;
  if (hasPassword && !hasUsername) return BAD_FIELD;
  const fields = new Fields(body, 10);
  const id = fields.take();
  if (id === undefined) return BAD_LENGTH;
  if (!isText(text(id))) return BAD_FIELD;
  const topic = hasWill ? fields.take() : null;
  if (topic === undefined) return BAD_LENGTH;
  if (topic !== null && !isTopicName(text(topic))) return BAD_TOPIC;
  const message = hasWill ? fields.take() : null;
  if (message === undefined) return BAD_LENGTH;
  const username = hasUsername ? fields.take() : null;
  if (username === undefined) return BAD_LENGTH;
  if (username !== null && !isText(text(username))) return BAD_FIELD;
  const password = hasPassword ? fields.take() : null;
  if (password === undefined || fields.at < body.length) return BAD_LENGTH;
  const will = topic !== null && message !== null && {
    will: { topicName: text(topic), message: latin1(message), qos: willQos, retain: (flags & 32) !== 0 },
  };
  return {
    type: "CONNECT",
    clientId: text(id),
    cleanSession: (flags & 2) !== 0,
    keepAliveSeconds: uint16(body, 8),
    ...will,
    ...(username !== null && { username: text(username) }),
    ...(password !== null && { password: latin1(password) }),
  };
}

/** Fields with two bytes of length in front, one behind the other. */
class Fields {
  at: number;
  private readonly bytes: Uint8Array;

  constructor(bytes: Uint8Array, at: number) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Undefined: it is not all there. */
  take(): Uint8Array | undefined {
    const { bytes, at } = this;
    if (at + 2 > bytes.length || at + 2 + uint16(bytes, at) > bytes.length) return undefined;
    this.at = at + 2 + uint16(bytes, at);
    return bytes.subarray(at + 2, this.at);
  }
}

function uint16(bytes: Uint8Array, at: number): number {
  return bytes[at] * 256 + bytes[at + 1];
}

function latin1(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const ILL_FORMED = "ill-formed ";

/** As the recorder of `feed` writes text. */
function text(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes);
  } catch {
    return ILL_FORMED + Buffer.from(bytes).toString("hex");
  }
}

/** Of what `text` returns. What looks ill-formed and is not is twice as long as its bytes, and no test's. */
function isText(string: string): boolean {
  return !string.startsWith(ILL_FORMED) && !string.includes("\0");
}

function isTopicName(string: string): boolean {
  return string !== "" && isText(string) && !/[+#]/.test(string);
}

function isTopicFilter(string: string): boolean {
  const levels = string.split("/");
  const last = levels.length - 1;
  return string !== "" && isText(string)
    && levels.every((level, i) => level === "+" || (level === "#" && i === last) || !/[+#]/.test(level));
}
