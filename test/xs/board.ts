/**
 * A program on XS, as on a board with an ESP8266: firmware's own modules below it, but for those of the SDK, which are
 * sdk.ts. This is the other end of remote.ts: sockets and timers of Node.
 */
import { createHash } from "node:crypto";
import type { Hash } from "node:crypto";
import { connect } from "node:net";
import type { Socket } from "node:net";
import { resolve } from "node:path";
import type { Plugin } from "rollup";
import { entries, root } from "../../rollup.shared.js";
import { HOST } from "../support/broker.js";
import { Signal } from "../support/signal.js";
import { bundle } from "./bundle.js";
import { XsMachine } from "./machine.js";
import { Ask, Event, NO_BYTES, pack, packNumber, unpack } from "./remote.js";

/** As in the manifests of firmware. */
const FIRMWARE: Record<string, string> = {
  "mcu-mqtt": "moddable/mcu-mqtt.ts",
  "mcu-mqtt/src/index": entries.index,
  "mcu-mqtt/hal": "hal/esp8266.ts",
  "mcu-mqtt/store": "hal/esp8266-store.ts",
  "mcu-mqtt/snapshot": entries.snapshot,
  "mcu-mqtt/streams": entries.streams,
  "mcu-mqtt/v5": "moddable/v5.ts",
  "mcu-mqtt/src/v5/index": entries.v5,
  "mcu-mqtt/request": entries.request,
  "#device": "examples/device-moddable.ts",
  "#hash": "examples/hash-moddable.ts",
  "#sleep": "examples/sleep-moddable.ts",
};

/** The program whose HAL has WebSocket. */
export const WEBSOCKET_PROGRAM = "test/xs/programs/websocket.ts";

/** Modules of the SDK and of firmware in C -> what sdk.ts exports in their place. */
const SDK: Record<string, string> = {
  "crypt": "Digest",
  "deep-sleep": "deepSleep",
  "embedded:io/socket/tcp": "TCP",
  "embedded:network/websocket/client": "WebSocketClient",
  "flash": "Flash",
  "net": "Net",
  "time": "Time",
  "timer": "Timer",
  "text/encoder": "XsTextEncoder",
  "text/decoder": "XsTextDecoder",
};

const sdk: Plugin = {
  name: "sdk",
  resolveId(specifier, importer) {
    if (!(specifier in SDK)) return null;
    const isExample = specifier === "timer" && importer?.startsWith(resolve(root, "examples"));
    return `\0sdk:${isExample ? "QuickTimer" : SDK[specifier]}`;
  },
  load(id) {
    if (!id.startsWith("\0sdk:")) return null;
    const name = id.slice(5);
    return `export { ${name} as default, ${name} } from ${JSON.stringify(resolve(root, "test/xs/sdk.ts"))};`;
  },
};

const scripts = new Map<string, Promise<string>>();

function scriptOf(program: string): Promise<string> {
  const hal = program === WEBSOCKET_PROGRAM && { "mcu-mqtt/hal": "hal/esp8266-websocket.ts" };
  const script = scripts.get(program) ?? bundle(program, { ...FIRMWARE, ...hal }, [sdk]);
  scripts.set(program, script);
  return script;
}

/** What may wait for sending: two of lwip's segments, as on an ESP8266. */
const SEND_BUFFER = 2920;
/** What the clock begins with: soon it wraps. */
const FIRST_MS = 0x7fffffff - 200;
/** The only host name there is, and what the examples have for an address. Wherever it goes, it goes to the broker. */
export const BROKER_NAME = "broker.test";
const BROKER_ADDRESS = "192.168.11.118";

/** Bytes that are erased at a time. */
const BLOCK = 4096;

/** What a board keeps when it is off. */
export const newFlash = (): Buffer => Buffer.alloc(32 * BLOCK, 0xff);

/** One program that runs. */
export class Board {
  /** What it printed. */
  readonly lines: string[] = [];
  /** How long it was going to sleep, in milliseconds; undefined: it is awake. */
  asleepMs: number | undefined;
  readonly #flash: Buffer;
  readonly #digests = new Map<number, Hash>();
  readonly #port: number;
  readonly #machine: XsMachine;
  readonly #sockets = new Map<number, Socket>();
  /** Bytes that the program knows of and has not read. */
  readonly #announced = new Map<number, number>();
  readonly #timers = new Map<number, NodeJS.Timeout>();
  readonly #signal = new Signal();
  /** What the machine is to do. Each decides when its turn has come, since what was to be told may no longer hold. */
  readonly #jobs: (() => Promise<unknown> | undefined)[] = [];
  readonly #startMs = performance.now();
  #isBusy = false;
  #isOver = false;
  /** An exception that nobody caught: a board would have been reset. */
  #failure: unknown;

  /**
   * Runs a program to its last line.
   *
   * @param program path of its source, relative to the root
   * @param port the broker's, on this computer, which all of the program's connections lead to
   * @param settings what the program finds as global `settings`
   * @param flash what its store is in
   */
  static async start(program: string, port: number, settings: object = {}, flash = newFlash()): Promise<Board> {
    const script = await scriptOf(program);
    const board = new Board(port, flash);
    let isRun = false;
    board.#post(() => board.#machine.evaluate(`globalThis.settings = ${JSON.stringify(settings)};`));
    board.#post(() => board.#machine.evaluate(script).then(() => void (isRun = true)));
    try {
      await board.until(() => isRun, () => "the program's last line");
    } catch (error) {
      board.dispose();
      throw error;
    }
    return board;
  }

  private constructor(port: number, flash: Buffer) {
    this.#port = port;
    this.#flash = flash;
    this.#machine = new XsMachine((request) => this.#answer(request));
  }

  /** Resolves when `condition` holds; looked at whenever the program has done something. */
  until(condition: () => boolean, what: () => string): Promise<void> {
    return this.#signal.until(
      () => {
        if (this.#failure !== undefined) throw this.#failure as Error;
        return condition();
      },
      () => `${what()}, in: ${this.lines.join("; ")}`,
    );
  }

  /** Resolves when it has printed that line, so many times. */
  printed(line: string, count = 1): Promise<void> {
    return this.until(() => this.count(line) >= count, () => `"${line}", ${count} times`);
  }

  /** How many times it has printed that line. */
  count(line: string): number {
    return this.lines.filter((each) => each === line).length;
  }

  /** Ends it, at once. Harmless when repeated. */
  dispose(): void {
    this.#isOver = true;
    this.#jobs.length = 0;
    for (const socket of this.#sockets.values()) socket.destroy();
    for (const timeout of this.#timers.values()) clearTimeout(timeout);
    this.#machine.close();
  }

  #post(job: () => Promise<unknown> | undefined): void {
    if (this.#isOver) return;
    this.#jobs.push(job);
    if (!this.#isBusy) void this.#work();
  }

  async #work(): Promise<void> {
    this.#isBusy = true;
    for (let job = this.#jobs.shift(); job !== undefined; job = this.#jobs.shift()) {
      try {
        await job();
      } catch (error) {
        if (this.#isOver) return;
        this.#failure = error;
        this.dispose();
      }
      this.#signal.notify();
    }
    this.#isBusy = false;
  }

  #tell(event: number, id: number, value?: number, bytes?: Uint8Array): Promise<unknown> {
    return this.#machine.command(pack(event, id, value, bytes));
  }

  #answer(request: Uint8Array): Uint8Array {
    const { kind, id, value, bytes } = unpack(request);
    switch (kind) {
      case Ask.TRACE:
        this.lines.push(Buffer.from(bytes).toString().replace(/\n$/, ""));
        return NO_BYTES;
      case Ask.NOW:
        return packNumber(FIRST_MS + performance.now() - this.#startMs);
      case Ask.SCHEDULE:
        this.#unschedule(id);
        this.#schedule(id, value);
        return NO_BYTES;
      case Ask.UNSCHEDULE:
        this.#unschedule(id);
        return NO_BYTES;
      case Ask.RESOLVE: {
        const address = Buffer.from(bytes).toString() === BROKER_NAME ? BROKER_ADDRESS : "";
        this.#post(() => this.#tell(Event.RESOLVED, id, 0, Buffer.from(address)));
        return NO_BYTES;
      }
      case Ask.OPEN:
        this.#open(id);
        return NO_BYTES;
      case Ask.READ:
        return this.#read(id, value);
      case Ask.WRITE:
        return this.#write(id, Buffer.from(bytes));
      case Ask.CLOSE:
        this.#sockets.get(id)?.destroySoon();
        this.#sockets.delete(id);
        return NO_BYTES;
      case Ask.DIGEST:
        if (!this.#digests.has(id)) this.#digests.set(id, createHash("sha256"));
        this.#digests.get(id)!.update(bytes);
        return NO_BYTES;
      case Ask.DIGESTED:
        return (this.#digests.get(id) ?? createHash("sha256")).digest();
      case Ask.ERASE:
        this.#flash.fill(0xff, value * BLOCK, (value + 1) * BLOCK);
        return NO_BYTES;
      case Ask.FLASH:
        return this.#flash.subarray(id, id + value);
      case Ask.PROGRAM:
        bytes.forEach((byte, i) => (this.#flash[value + i] &= byte));
        return NO_BYTES;
      case Ask.SLEEP:
        this.asleepMs = value;
        return NO_BYTES;
      default:
        throw new Error(`the program asks ${kind}`);
    }
  }

  #schedule(id: number, delayMs: number): void {
    const due = (): Promise<unknown> | undefined => {
      if (this.#timers.get(id) !== timer) return undefined;
      this.#timers.delete(id);
      return this.#tell(Event.TIMER, id);
    };
    const timer = setTimeout(() => this.#post(due), delayMs);
    this.#timers.set(id, timer);
  }

  #unschedule(id: number): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
  }

  #open(id: number): void {
    const socket = connect({ host: HOST, port: this.#port, noDelay: true });
    this.#sockets.set(id, socket);
    socket.on("connect", () => this.#tellRoom(id));
    socket.on("readable", () => {
      // Nothing there: the peer has closed, and "end" waits to be asked for.
      if (socket.readableLength === 0) socket.read(0);
      this.#tellReadable(id);
    });
    socket.on("error", () => {}); // "close" follows
    socket.on("close", () => this.#post(() => (this.#sockets.has(id) ? this.#tell(Event.ERROR, id) : undefined)));
  }

  #tellReadable(id: number): void {
    this.#post(() => {
      const count = this.#sockets.get(id)?.readableLength ?? 0;
      this.#announced.set(id, count);
      return count > 0 ? this.#tell(Event.READABLE, id, count) : undefined;
    });
  }

  #tellRoom(id: number): void {
    this.#post(() => {
      const socket = this.#sockets.get(id);
      const room = socket?.writable ? SEND_BUFFER - socket.writableLength : 0;
      return room > 0 ? this.#tell(Event.WRITABLE, id, room) : undefined;
    });
  }

  #read(id: number, count: number): Uint8Array {
    const socket = this.#sockets.get(id);
    const bytes = (socket?.read(count) ?? NO_BYTES) as Uint8Array;
    const left = (this.#announced.get(id) ?? 0) - count;
    this.#announced.set(id, left);
    if (socket?.readableLength === 0) socket.read(0);
    // Node says nothing of what comes while there is something to be read; lwip does.
    else if (left <= 0) this.#tellReadable(id);
    return bytes;
  }

  #write(id: number, bytes: Uint8Array): Uint8Array {
    const socket = this.#sockets.get(id);
    if (!socket?.writable || bytes.length > SEND_BUFFER - socket.writableLength) return NO_BYTES;
    socket.write(bytes, () => this.#tellRoom(id));
    return packNumber(SEND_BUFFER - socket.writableLength);
  }
}
