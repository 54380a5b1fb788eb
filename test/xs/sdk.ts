/**
 * Runs on XS: the modules of the Moddable SDK that boards' HAL and the examples import, and the global `trace`. What
 * they cannot do there, the network and the time, they ask of board.ts in the words of remote.ts.
 *
 * They are as strict as those of the SDK, which test/support/ecma419.ts has in detail.
 */
import type { Ecma419Tcp, Ecma419Timers } from "../../hal/ecma419.js";
import { webSocketClient } from "../support/websocket-client.js";
import { Ask, Event, pack, unpack, unpackNumber } from "./remote.js";
import type { Message } from "./remote.js";

declare function issueCommand(request: ArrayBuffer): ArrayBuffer;

const encoder = new TextEncoder();
const decoder = new TextDecoder();

/** Who is told of an id. */
const listeners = new Map<number, (event: Message) => void>();
let lastId = 0;

function listen(listener: (event: Message) => void): number {
  listeners.set(++lastId, listener);
  return lastId;
}

function ask(kind: number, id: number, value?: number, bytes?: Uint8Array): Uint8Array {
  return new Uint8Array(issueCommand(pack(kind, id, value, bytes).buffer));
}

Object.assign(globalThis, {
  trace: (text: string) => void ask(Ask.TRACE, 0, 0, encoder.encode(text)),
  handleCommand: (bytes: ArrayBuffer) => {
    const event = unpack(new Uint8Array(bytes));
    listeners.get(event.id)?.(event);
  },
});

interface TcpOptions {
  address: string;
  port: number;
  nodelay: boolean;
  onReadable(count: number): void;
  onWritable(count: number): void;
  onError(): void;
}

/** "embedded:io/socket/tcp" */
export class TCP implements Ecma419Tcp {
  readonly #id: number;

  constructor(options: TcpOptions) {
    if (!options.nodelay) throw new Error("no nodelay: small packets would be held back");
    this.#id = listen(({ kind, value }) => {
      if (kind === Event.READABLE) options.onReadable.call(this, value);
      else if (kind === Event.WRITABLE) options.onWritable.call(this, value);
      else if (kind === Event.ERROR) options.onError.call(this);
    });
    ask(Ask.OPEN, this.#id, options.port, encoder.encode(options.address));
  }

  read(view: Uint8Array): number {
    const bytes = ask(Ask.READ, this.#id, view.length);
    if (bytes.length !== view.length) throw new Error("read: not so many bytes are there");
    view.set(bytes);
    return bytes.length;
  }

  write(view: Uint8Array): number {
    const answer = ask(Ask.WRITE, this.#id, 0, view);
    if (answer.length === 0) throw new Error("write: not so much room, or no connection");
    return unpackNumber(answer);
  }

  close(): void {
    listeners.delete(this.#id);
    ask(Ask.CLOSE, this.#id);
  }
}

/** "net" */
export const Net = {
  resolve(host: string, callback: (host: string, address?: string) => void): void {
    const id = listen(({ bytes }) => {
      listeners.delete(id);
      callback(host, bytes.length > 0 ? decoder.decode(bytes) : undefined);
    });
    ask(Ask.RESOLVE, id, 0, encoder.encode(host));
  },
  get: (name: string): string | undefined => (name === "MAC" ? "02:00:5E:00:53:01" : undefined),
};

/** "time" */
export const Time = {
  get ticks(): number {
    return unpackNumber(ask(Ask.NOW, 0));
  },
};

/** What "timer" gives to a script. */
class TimerId {
  id = 0;
  intervalMs = 0;
}

/** "timer" */
export const Timer = {
  set(callback: () => void, delayMs = 0, intervalMs = 0): TimerId {
    const timer = new TimerId();
    timer.intervalMs = intervalMs;
    timer.id = listen(() => {
      if (timer.intervalMs > 0) ask(Ask.SCHEDULE, timer.id, timer.intervalMs);
      callback();
      // Gone, though it may have been scheduled again.
      if (timer.intervalMs === 0) Timer.clear(timer);
    });
    ask(Ask.SCHEDULE, timer.id, delayMs);
    return timer;
  },

  repeat: (callback: () => void, intervalMs: number): TimerId => Timer.set(callback, intervalMs, intervalMs),

  schedule(timer: TimerId, delayMs?: number, intervalMs = 0): void {
    if (!listeners.has(timer.id)) throw new TypeError("schedule: this timer is no more");
    if (delayMs === undefined) {
      ask(Ask.UNSCHEDULE, timer.id);
    } else {
      timer.intervalMs = intervalMs;
      ask(Ask.SCHEDULE, timer.id, delayMs);
    }
  },

  clear(timer: TimerId): void {
    if (listeners.delete(timer.id)) ask(Ask.UNSCHEDULE, timer.id);
  },
} satisfies Ecma419Timers<TimerId>;

/** "embedded:network/websocket/client" */
export const WebSocketClient = /* @__PURE__ */ webSocketClient(Timer);

/** "timer" for the examples: seconds become hundredths. */
export const QuickTimer = {
  ...Timer,
  repeat: (callback: () => void, intervalMs: number): TimerId => Timer.repeat(callback, Math.ceil(intervalMs / 100)),
};

/** "crypt" */
export class Digest {
  readonly #id = listen(() => {});

  constructor(algorithm: string) {
    if (algorithm !== "SHA256") throw new Error("crypt: no such digest here");
  }

  write(bytes: Uint8Array): void {
    ask(Ask.DIGEST, this.#id, 0, bytes);
  }

  close(): ArrayBuffer {
    listeners.delete(this.#id);
    return ask(Ask.DIGESTED, this.#id).slice().buffer;
  }
}

/** "flash" */
export class Flash {
  readonly byteLength = 131072;
  readonly blockSize = 4096;

  constructor(name: string) {
    if (name !== "storage") throw new Error("flash: no such area here");
  }

  erase(block: number): void {
    ask(Ask.ERASE, 0, block);
  }

  read(offset: number, byteLength: number): ArrayBuffer {
    return ask(Ask.FLASH, offset, byteLength).slice().buffer;
  }

  write(offset: number, byteLength: number, bytes: Uint8Array): void {
    ask(Ask.PROGRAM, 0, offset, bytes.subarray(0, byteLength));
  }
}

/** "deep-sleep" */
export const deepSleep = (ms: number): void => void ask(Ask.SLEEP, 0, ms);

/** "text/encoder" and "text/decoder" */
const { TextEncoder: XsTextEncoder, TextDecoder: XsTextDecoder } = globalThis;
export { XsTextDecoder, XsTextEncoder };
