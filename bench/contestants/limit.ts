/**
 * The limit: the least code in JavaScript that writes the same packets, or finds them in a stream. It knows nothing but
 * PUBLISH, and checks nothing.
 */
import type { Contestant } from "./contestant.js";

/** A packet of the tables fits, and its header. */
const LONGEST = 32768;

/** Bytes of the header with a remaining length of `length`. */
const headerLength = (length: number): number => (length < 128 ? 2 : length < 16384 ? 3 : length < 2097152 ? 4 : 5);

/**
 * Writes `string` as UTF-8 and returns the offset behind it. A loop over characters, four at a time, is faster here
 * than a call of Node as long as there are few of them, and no others than ASCII.
 */
function writeText(out: Buffer, at: number, string: string): number {
  const length = string.length;
  if (length > 40) return at + out.write(string, at);
  let all = 0;
  let i = 0;
  for (; i + 3 < length; i += 4) {
    const first = string.charCodeAt(i);
    const second = string.charCodeAt(i + 1);
    const third = string.charCodeAt(i + 2);
    const fourth = string.charCodeAt(i + 3);
    all |= first | second | third | fourth;
    out[at + i] = first;
    out[at + i + 1] = second;
    out[at + i + 2] = third;
    out[at + i + 3] = fourth;
  }
  for (; i < length; i++) {
    const char = string.charCodeAt(i);
    all |= char;
    out[at + i] = char;
  }
  return all < 128 ? at + length : at + out.write(string, at);
}

/** Counts packets, of whose bytes it looks at the headers only. */
function counter(onMessage: () => void): (chunk: Uint8Array) => void {
  /** Bytes of the packet that are still to come, its header being there. */
  let owed = 0;
  /** Count of the bytes of a header that were in the chunk before; then `length` is what they say so far. */
  let headerBytes = 0;
  let length = 0;
  return (chunk) => {
    const end = chunk.length;
    let at = owed;
    if (at > 0) {
      if (at > end) {
        owed -= end;
        return;
      }
      onMessage();
    }
    while (at < end) {
      if (headerBytes === 0) {
        headerBytes = 1;
        at++;
      }
      for (let byte = 128; byte > 127; headerBytes++) {
        if (at === end) {
          owed = 0;
          return;
        }
        byte = chunk[at++];
        length |= (byte & 127) << (7 * (headerBytes - 1));
      }
      at += length;
      headerBytes = length = 0;
      if (at <= end) onMessage();
    }
    owed = at - end;
  };
}

/** Bytes of the whole packet that begins at `start`; 0 when its header is not there whole. */
function packetLength(bytes: Uint8Array, start: number, end: number): number {
  let at = start + 1;
  let length = 0;
  for (let shift = 0; at < end; shift += 7) {
    const byte = bytes[at++];
    length |= (byte & 127) << shift;
    if (byte < 128) return at - start + length;
  }
  return 0;
}

/** Hands messages over; those that lie across chunks from a buffer where they gather. */
function reader(onMessage: (topic: string, payload: Uint8Array) => void): (chunk: Uint8Array) => void {
  const gathered = Buffer.allocUnsafeSlow(LONGEST);
  let count = 0;
  /** Bytes of the packet that gathers; 0 as long as its header is not there whole. */
  let need = 0;
  /** The topic before, which often is the next one, too. */
  let topic = "";
  let topicBytes = Buffer.alloc(0);

  function topicAt(bytes: Buffer, start: number, end: number): string {
    const length = end - start;
    let i = 0;
    if (length === topicBytes.length) while (i < length && bytes[start + i] === topicBytes[i]) i++;
    if (i < length) {
      topicBytes = Buffer.from(bytes.subarray(start, end));
      topic = topicBytes.toString();
    }
    return topic;
  }

  function hand(bytes: Buffer, start: number, end: number): void {
    let at = start + 1;
    while (bytes[at++] > 127);
    const topicEnd = at + 2 + ((bytes[at] << 8) | bytes[at + 1]);
    const behindId = (bytes[start] & 6) === 0 ? topicEnd : topicEnd + 2;
    const payload = new Uint8Array(bytes.buffer, bytes.byteOffset + behindId, end - behindId);
    onMessage(topicAt(bytes, at + 2, topicEnd), payload);
  }

  return (chunk) => {
    const end = chunk.length;
    let at = 0;
    if (count > 0) {
      for (; need === 0 && at < end; need = packetLength(gathered, 0, count)) gathered[count++] = chunk[at++];
      const behind = need === 0 ? at : Math.min(at + need - count, end);
      gathered.set(at === 0 && behind === end ? chunk : chunk.subarray(at, behind), count);
      count += behind - at;
      at = behind;
      if (count !== need) return;
      hand(gathered, 0, count);
      count = need = 0;
    }
    while (at < end) {
      const length = packetLength(chunk, at, end);
      const behind = at + length;
      if (length === 0 || behind > end) {
        gathered.set(at === 0 ? chunk : chunk.subarray(at), 0);
        count = end - at;
        need = length;
        return;
      }
      hand(chunk as Buffer, at, behind);
      at = behind;
    }
  };
}

export default {
  name: "limit",
  given: "Written by hand for these tables: it knows PUBLISH only, and checks nothing.",

  encoder(message) {
    const out = Buffer.allocUnsafeSlow(LONGEST);
    const encode = (): number => {
      const { topic, payload, qos } = message;
      // Right for a topic of ASCII only; with another one the packet is moved.
      const least = topic.length + payload.length + (qos === 0 ? 2 : 4);
      const body = headerLength(least);
      let at = writeText(out, body + 2, topic);
      const topicLength = at - body - 2;
      out[body] = topicLength >> 8;
      out[body + 1] = topicLength & 255;
      if (qos > 0) {
        out[at++] = 0;
        out[at++] = 1;
      }
      out.set(payload, at);
      at += payload.length;
      let length = at - body;
      const shift = headerLength(length) - body;
      if (shift > 0) out.copyWithin(body + shift, body, at);
      let i = 0;
      out[i++] = 0x30 | (qos << 1);
      for (; length > 127; length >>= 7) out[i++] = (length & 127) | 128;
      out[i] = length;
      return at + shift;
    };
    return { encode, packet: () => Buffer.from(out.subarray(0, encode())) };
  },

  rangeDecoder: counter,
  messageDecoder: reader,
} satisfies Contestant;
