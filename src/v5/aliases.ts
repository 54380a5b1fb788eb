/**
 * Topic aliases that the client gives to its own topics (3.3.2.3.4): which topic has which number on this connection,
 * and packets that are sent with the number in the place of the topic.
 *
 * In the outbox stays the packet with its topic, which is what is sent again on another connection. What leaves instead
 * is written here; so a packet whose short form is longer than this buffer leaves as it is.
 */
import type { Text } from "../../hal/socket.js";
import { headerLength, writeHeader, writeUint16 } from "../encoder.js";
import { behindVarint, readUint16, readVarint } from "./properties.js";
import { TOPIC_ALIAS } from "./wire.js";

/** Bytes of the longest packet that is sent with an alias. */
const CAPACITY = 256;
/** Bytes of the property. */
const ALIAS_LENGTH = 3;
/** Fewer characters of a topic are not worth it. */
const SHORTEST_TOPIC = 4;

export class Aliases {
  /** What leaves in place of the packet in the outbox. */
  readonly buffer: Uint8Array;
  /** How many the broker takes on this connection; not more than there is place for. */
  limit = 0;
  /** The alias that was chosen last; 0: none. */
  alias = 0;
  /** The broker knows it. */
  isKnown = false;
  private readonly _topics: string[] = [];
  /** When each was used last, as a count. */
  private readonly _used: number[] = [];
  private _count = 0;
  private readonly _capacity: number;

  constructor(capacity: number) {
    this._capacity = capacity;
    this.buffer = new Uint8Array(capacity > 0 ? CAPACITY : 0);
    this.begin(0);
  }

  /** A connection begins: the broker knows none, and takes so many. */
  begin(most: number): void {
    this.limit = most < this._capacity ? most : this._capacity;
    for (let i = 0; i < this._capacity; i++) {
      this._topics[i] = "";
      this._used[i] = 0;
    }
  }

  /** Sets `alias` and `isKnown` for a topic: the one that it has, or the one that was not used for longest. */
  choose(topic: string): void {
    this.alias = 0;
    this.isKnown = false;
    if (topic.length < SHORTEST_TOPIC) return;
    let oldest = 0;
    for (let i = 0; i < this.limit; i++) {
      if (this._topics[i] === topic) {
        this.alias = i + 1;
        this.isKnown = true;
        return;
      }
      if (this._used[i] < this._used[oldest]) oldest = i;
    }
    this.alias = oldest + 1;
  }

  /** A packet with the alias that was chosen is leaving. */
  use(topic: string): void {
    if (this.alias === 0) return;
    this._topics[this.alias - 1] = topic;
    this._used[this.alias - 1] = ++this._count;
  }

  /**
   * Writes the PUBLISH `bytes[start..end)`, which has no alias, with one to `buffer`. Returns how many bytes that are;
   * 0 when it is to leave as it is. They are `most` at most: the first time, an alias makes a packet longer.
   */
  shorten(text: Text, bytes: Uint8Array, start: number, end: number, most: number): number {
    const body = behindVarint(bytes, start + 1, end);
    const topicStart = body + 2;
    const topicEnd = topicStart + readUint16(bytes, body);
    if (end - body > CAPACITY + topicEnd - topicStart) return 0;
    const lengthAt = topicEnd + ((bytes[start] & 6) === 0 ? 0 : 2);
    const properties = behindVarint(bytes, lengthAt, end);
    const propertyLength = readVarint(bytes, lengthAt, properties);
    const topic = text.decode(bytes, topicStart, topicEnd, false);
    this.choose(topic);
    if (this.alias === 0) return 0;
    const topicBehind = this.isKnown ? topicStart : topicEnd;
    const withAlias = propertyLength + ALIAS_LENGTH;
    const before = topicBehind - body + lengthAt - topicEnd + headerLength(withAlias) - 1;
    const length = before + ALIAS_LENGTH + end - properties;
    const out = this.buffer;
    const whole = headerLength(length) + length;
    if (whole > CAPACITY || whole > most) return 0;
    let at = writeHeader(out, 0, bytes[start], length);
    at = copy(bytes, topicStart, topicBehind, out, writeUint16(out, at, CAPACITY, topicBehind - topicStart));
    at = copy(bytes, topicEnd, lengthAt, out, at);
    // The length of properties is written as that of a packet is, whose type would stand in front of it.
    at = writeHeader(out, at - 1, out[at - 1], withAlias);
    out[at++] = TOPIC_ALIAS;
    out[at++] = 0;
    out[at++] = this.alias;
    at = copy(bytes, properties, end, out, at);
    this.use(topic);
    return at;
  }
}

/** Copies bytes without making an object. Returns the offset behind them. */
function copy(bytes: Uint8Array, start: number, end: number, out: Uint8Array, at: number): number {
  for (let i = start; i < end; i++) out[at++] = bytes[i];
  return at;
}
