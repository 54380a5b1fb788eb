/**
 * Messages on their way to who iterates over them: a queue that says when it is full, and puts together what comes in
 * pieces. Knows nothing of connections.
 */
import type { MessageInfo } from "../callbacks.js";
import type { Message } from "./options.js";

/** A message of these fields; the bytes are copied. */
export function makeMessage(topic: string, bytes: Uint8Array | undefined, info: MessageInfo): Message {
  const payload = bytes === undefined ? new Uint8Array(0) : bytes.slice();
  return { topic, payload, qos: info.qos, retain: info.retain, dup: info.dup, packetId: info.packetId };
}

/** Puts together the pieces of one message at a time. */
export class Assembly {
  private readonly _maxLength: number;
  private _bytes: Uint8Array | undefined = undefined;

  /** @param maxLength bytes of the longest payload */
  constructor(maxLength: number) {
    this._maxLength = maxLength;
  }

  /**
   * Takes a piece. Returns the message when it was the last; "overflow" at the first of one that is too long, or has no
   * topic.
   */
  add(
    topic: string,
    bytes: Uint8Array,
    offset: number,
    total: number,
    info: MessageInfo,
  ): Message | "overflow" | undefined {
    if (offset === 0) {
      const isWanted = total <= this._maxLength && topic !== "";
      this._bytes = isWanted ? new Uint8Array(total) : undefined;
      if (!isWanted) return "overflow";
    }
    const payload = this._bytes;
    if (payload === undefined) return undefined;
    payload.set(bytes, offset);
    if (offset + bytes.length < total) return undefined;
    this._bytes = undefined;
    return { topic, payload, qos: info.qos, retain: info.retain, dup: info.dup, packetId: info.packetId };
  }
}

/** Who waits for a message. */
interface Waiting {
  resolve(result: IteratorResult<Message, undefined>): void;
  reject(error: unknown): void;
}

/**
 * The queue behind one iteration. What is in it when it ends is still handed out.
 *
 * Invariant: somebody waits only while it is empty.
 */
export class Inbox implements AsyncIterableIterator<Message, undefined> {
  private readonly _messages: Message[] = [];
  private readonly _waiting: Waiting[] = [];
  private readonly _onTaken: () => void;
  private readonly _onReturn: () => void;
  private _isOver = false;
  private _error: unknown = undefined;

  /**
   * @param onTaken a message was taken out
   * @param onReturn the iteration was given up
   */
  constructor(onTaken: () => void, onReturn: () => void) {
    this._onTaken = onTaken;
    this._onReturn = onReturn;
  }

  /** Messages that wait. */
  get length(): number {
    return this._messages.length;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  push(message: Message): void {
    const waiting = this._waiting.shift();
    if (waiting === undefined) this._messages.push(message);
    else waiting.resolve({ value: message, done: false });
  }

  /** No message more; the error, if there is one, comes behind the last. */
  end(error?: unknown): void {
    if (this._isOver) return;
    this._isOver = true;
    this._error = error;
    for (const waiting of this._waiting.splice(0)) this._settle(waiting);
  }

  next(): Promise<IteratorResult<Message, undefined>> {
    const message = this._messages.shift();
    if (message !== undefined) {
      this._onTaken();
      return Promise.resolve({ value: message, done: false });
    }
    return new Promise((resolve, reject) => {
      const waiting = { resolve, reject };
      if (this._isOver) this._settle(waiting);
      else this._waiting.push(waiting);
    });
  }

  return(): Promise<IteratorResult<Message, undefined>> {
    this._messages.length = 0;
    this.end();
    this._error = undefined;
    this._onReturn();
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
