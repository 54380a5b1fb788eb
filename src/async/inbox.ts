/**
 * Messages on their way to who iterates over them: a queue, iterations over it, and messages that come in pieces. Knows
 * nothing of connections.
 */
import type { MessageInfo } from "../callbacks.js";
import type { MessageInfo5 } from "../v5/client.js";
import type { Message } from "./options.js";

/** A message of these fields. */
export function makeMessage(topic: string, payload: Uint8Array, info: MessageInfo | MessageInfo5): Message {
  const { qos, retain, dup, packetId } = info;
  const message: Message = { topic, payload, qos, retain, dup, packetId };
  if ("properties" in info) message.properties = info.properties.toObject();
  return message;
}

/** Puts together the pieces of one message at a time. */
export class Assembly {
  private readonly _maxLength: number;
  private _bytes: Uint8Array | undefined = undefined;
  /** Where the next piece has to begin. */
  private _at = 0;

  /** @param maxLength bytes of the longest payload */
  constructor(maxLength: number) {
    this._maxLength = maxLength;
  }

  /** True when a payload of that length is wanted. */
  fits(length: number): boolean {
    return length <= this._maxLength;
  }

  /**
   * Takes a piece. Returns the message when it was the last; "overflow" at the last of one that is too long, or has no
   * topic.
   */
  add(
    topic: string,
    bytes: Uint8Array,
    offset: number,
    total: number,
    info: MessageInfo,
  ): Message | "overflow" | undefined {
    if (offset === 0) this._bytes = this.fits(total) && topic !== "" ? new Uint8Array(total) : undefined;
    else if (offset !== this._at) this._bytes = undefined;
    this._at = offset + bytes.length;
    const payload = this._bytes;
    if (payload !== undefined) payload.set(bytes, offset);
    if (this._at < total) return undefined;
    this._bytes = undefined;
    return payload === undefined ? "overflow" : makeMessage(topic, payload, info);
  }
}

/** Who waits for a message. */
interface Waiting {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: unknown): void;
}

/** Messages that wait for an iteration, the one under way or the next. */
export class Inbox {
  readonly messages: Message[] = [];
  /** The iteration under way. */
  iteration: Iteration | undefined = undefined;

  push(message: Message): void {
    if (this.iteration === undefined || !this.iteration.give(message)) this.messages.push(message);
  }

  /** The iteration under way is over; what it was to get it still gets, and the error, if there is one, behind it. */
  end(error?: unknown): void {
    this.iteration?.end(error);
    this.iteration = undefined;
  }
}

/**
 * One iteration. What waits when it ends is still handed out.
 *
 * Invariant: somebody waits only while there is nothing to be handed out.
 */
export class Iteration implements AsyncIterableIterator<Message, undefined> {
  private readonly _messages: Message[];
  private readonly _onTaken: () => void;
  private readonly _onEnd: () => void;
  private readonly _waiting: Waiting[] = [];
  /** How many it may still take, once it is over. */
  private _left = Infinity;
  private _error: unknown = undefined;

  /**
   * @param messages those that wait
   * @param onTaken a message was taken out
   * @param onEnd it is over
   */
  constructor(messages: Message[], onTaken: () => void, onEnd: () => void) {
    this._messages = messages;
    this._onTaken = onTaken;
    this._onEnd = onEnd;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Hands a message to who waits for it. Returns false when nobody does. */
  give(message: Message): boolean {
    const waiting = this._waiting.shift();
    waiting?.resolve({ value: message, done: false });
    return waiting !== undefined;
  }

  /** It is over: the error, if there is one, comes behind the last message. */
  end(error?: unknown): void {
    if (this._left < Infinity) return;
    this._left = this._messages.length;
    this._error = error;
    for (const waiting of this._waiting.splice(0)) this._settle(waiting);
    this._onEnd();
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    const message = this._left > 0 ? this._messages.shift() : undefined;
    if (message !== undefined) {
      this._left--;
      this._onTaken();
      return Promise.resolve({ value: message, done: false });
    }
    const promise = new Promise<IteratorResult<Message, undefined>>((resolve, reject) => {
      const waiting = { resolve, reject };
      if (this._left < Infinity) this._settle(waiting);
      else this._waiting.push(waiting);
    });
    // Who does not wait for it is not to be ended by it.
    promise.catch(() => {});
    return promise;
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    this.end();
    this._left = 0;
    this._error = undefined;
    return Promise.resolve({ value: undefined, done: true });
  }

  /** Says that it is over; the error is told once. */
  private _settle(waiting: Waiting): void {
    const error = this._error;
    this._error = undefined;
    if (error === undefined) waiting.resolve({ value: undefined, done: true });
    else waiting.reject(error);
  }
}
