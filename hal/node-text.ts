/**
 * Text for Node: its own conversion, and a memory for topic names, since a client gets the same few again and again,
 * and to find a short one costs a fifth of what it costs to make it anew.
 */
import { isUtf8 } from "node:buffer";
import type { Text } from "./socket.js";

/** In Node 20, though not yet in its declarations. */
type WellFormedString = string & { isWellFormed(): boolean };

/** Remembers the arrays it saw last, a client's buffers, since Node converts text only in a Buffer. */
export class NodeText implements Text {
  readonly #topics: Topics;
  #buffer = NO_BUFFER;
  #earlier = NO_BUFFER;

  constructor(topics: Topics) {
    this.#topics = topics;
  }

  encode(string: string, bytes: Uint8Array, offset: number, end: number): number {
    const room = end - offset;
    const length = string.length;
    if (length <= LONGEST_LOOP && length <= room && writeAscii(string, bytes, offset)) return offset + length;
    if (!(string as WellFormedString).isWellFormed()) return -2;
    const written = this.#bufferOf(bytes).view.write(string, offset, room, "utf8");
    // Node stops, without a word, at the first character that does not fit. None needs more than 4 bytes.
    if (room - written < 4 && Buffer.byteLength(string) > written) return -1;
    return offset + written;
  }

  decode(bytes: Uint8Array, start: number, end: number, fatal: true): string | undefined;
  decode(bytes: Uint8Array, start: number, end: number, fatal: false): string;
  decode(bytes: Uint8Array, start: number, end: number, fatal: boolean): string | undefined {
    const known = this.#bufferOf(bytes);
    if (!fatal) return known.view.toString("utf8", start, end);
    // What must be well-formed is the topic name of a message, but for a user name.
    const topic = this.#topics.find(known, start, end);
    if (topic !== undefined) return topic;
    const string = known.view.toString("utf8", start, end);
    if (string.includes("\uFFFD") && !isUtf8(bytes.subarray(start, end))) return undefined;
    // Of a user name the array is its own.
    if (bytes.length >= SHORTEST_BUFFER) this.#topics.add(string, known, start, end);
    return string;
  }

  #bufferOf(bytes: Uint8Array): KnownBuffer {
    if (bytes.length < SHORTEST_BUFFER) return new KnownBuffer(bytes);
    if (bytes !== this.#buffer.bytes) {
      const other = this.#earlier;
      this.#earlier = this.#buffer;
      this.#buffer = bytes === other.bytes ? other : new KnownBuffer(bytes);
    }
    return this.#buffer;
  }
}

/** Up to here, in characters, a loop is faster than Node, which has to be called. */
const LONGEST_LOOP = 40;

/**
 * Writes a string to `bytes`, from `offset` on, where there is room for it. False, and what is there is undefined, when
 * it is not all ASCII. Four characters a round, and one test for all: that makes it faster by a third.
 */
function writeAscii(string: string, bytes: Uint8Array, offset: number): boolean {
  const length = string.length;
  let all = 0;
  let i = 0;
  let at = offset;
  for (; i + 4 <= length; i += 4, at += 4) {
    const a = string.charCodeAt(i);
    const b = string.charCodeAt(i + 1);
    const c = string.charCodeAt(i + 2);
    const d = string.charCodeAt(i + 3);
    bytes[at] = a;
    bytes[at + 1] = b;
    bytes[at + 2] = c;
    bytes[at + 3] = d;
    all |= a | b | c | d;
  }
  for (; i < length; i++, at++) {
    const a = string.charCodeAt(i);
    bytes[at] = a;
    all |= a;
  }
  return all < 128;
}

/** Shorter arrays are not a client's buffers: they are seen once, and not remembered. */
const SHORTEST_BUFFER = 128;

/** An array, and other ways to look at its bytes. */
class KnownBuffer {
  readonly bytes: Uint8Array;
  readonly view: Buffer;
  #words: DataView | undefined;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  }

  /** Where nothing but text is written, nobody asks for it. */
  get words(): DataView {
    return (this.#words ??= new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.byteLength));
  }
}

const NO_BUFFER = new KnownBuffer(new Uint8Array(0));

/** Topic names that are remembered. */
const MOST_TOPICS = 1024;
/** Bytes of the longest of them: to find a longer one takes as long as to make it. */
const LONGEST_TOPIC = 40;
/** Once there is no room, so many that were not found show that the topics are others now. */
const MOST_MISSED = 16384;
/** Odd, and 2^32 divided by the golden ratio: each bit of a word reaches the upper half of the product. */
const HASH_FACTOR = 0x9e3779b1;

/** A topic name whose bytes are among those of all, from `start` on. */
interface Topic {
  name: string;
  start: number;
  length: number;
}

/** Short topic names and their bytes, for all clients of one HAL. */
export class Topics {
  /** By a hash of their bytes. */
  readonly #topics = new Map<number, Topic>();
  /** Has no memory before there is a topic name. */
  #stored = NO_BUFFER;
  /** The one that was found or added last. */
  #last: Topic = { name: "", start: 0, length: 0 };
  #missed = 0;

  /** The topic name that `bytes[start..end)` are, if it is remembered. */
  find(bytes: KnownBuffer, start: number, end: number): string | undefined {
    if (end - start > LONGEST_TOPIC) return undefined;
    if (this.#is(this.#last, bytes.words, start, end)) return this.#last.name;
    const topic = this.#topics.get(hash(bytes.words, start, end));
    if (topic === undefined || !this.#is(topic, bytes.words, start, end)) return undefined;
    this.#last = topic;
    return topic.name;
  }

  /** Remembers a topic name that was not found. When there is no room for it, only if that was so for many. */
  add(name: string, bytes: KnownBuffer, start: number, end: number): void {
    const length = end - start;
    if (length > LONGEST_TOPIC) return;
    const topics = this.#topics;
    if (this.#stored === NO_BUFFER) this.#stored = new KnownBuffer(new Uint8Array(MOST_TOPICS * LONGEST_TOPIC));
    if (topics.size === MOST_TOPICS) {
      if (++this.#missed < MOST_MISSED) return;
      topics.clear();
      this.#missed = 0;
    }
    const key = hash(bytes.words, start, end);
    // Of two with one hash, the later one has the place.
    const place = topics.get(key)?.start ?? topics.size * LONGEST_TOPIC;
    bytes.view.copy(this.#stored.bytes, place, start, end);
    this.#last = { name, start: place, length };
    topics.set(key, this.#last);
  }

  #is(topic: Topic, words: DataView, start: number, end: number): boolean {
    if (topic.length !== end - start) return false;
    const stored = this.#stored.words;
    let at = topic.start;
    let from = start;
    for (; from + 4 <= end; from += 4, at += 4) {
      if (words.getInt32(from) !== stored.getInt32(at)) return false;
    }
    for (; from < end; from++, at++) {
      if (words.getUint8(from) !== stored.getUint8(at)) return false;
    }
    return true;
  }
}

function hash(words: DataView, start: number, end: number): number {
  let hash = end - start;
  let from = start;
  for (; from + 4 <= end; from += 4) hash = Math.imul(hash ^ words.getInt32(from), HASH_FACTOR);
  for (; from < end; from++) hash = Math.imul(hash ^ words.getUint8(from), HASH_FACTOR);
  // A small integer to V8: a number without an object.
  return (hash ^ (hash >>> 15)) >> 1;
}
