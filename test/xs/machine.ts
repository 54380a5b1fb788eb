/**
 * The XS engine of Moddable, in a process of its own: the worker that `@agoric/xsnap` compiles from the engine's
 * sources. Knows how the worker is built, started and spoken to; nothing of MQTT.
 *
 * The package's own JavaScript hardens every intrinsic of the process that imports it, which neither jest nor a broker
 * survives. So the worker is spoken to directly: netstrings over two pipes, as in the package's `src/xsnap.js`.
 */
import { spawn, spawnSync } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync } from "node:fs";
import { createRequire } from "node:module";
import { dirname, join } from "node:path";
import type { Readable, Writable } from "node:stream";

const PACKAGE = dirname(createRequire(import.meta.url).resolve("@agoric/xsnap/package.json"));
const SYSTEM = process.platform === "darwin" ? "mac" : "lin";
const WORKER = join(PACKAGE, "xsnap-native/xsnap/build/bin", SYSTEM, "release/xsnap-worker");

/** True where the engine was compiled. */
export function isBuilt(): boolean {
  return existsSync(WORKER);
}

/** Compiles the engine, which takes about half a minute, make and a C compiler. Throws with what the compiler said. */
export function build(): void {
  const result = spawnSync("npm", ["run", "build:from-env"], { cwd: PACKAGE, encoding: "utf8" });
  if (!isBuilt()) throw new Error(result.error?.message ?? result.stdout + result.stderr);
}

/** What a crank used. */
export interface Usage {
  /** The engine's own measure of work. It is exact: the same at each run. */
  computrons: number;
  /** Slots in use at its end: live ones and, until a collection, dead ones. */
  slots: number;
}

const DOT = ".".charCodeAt(0);
const QUESTION_MARK = "?".charCodeAt(0);
const COLON = ":".charCodeAt(0);

/** One machine. In it, `issueCommand(arrayBuffer)` asks this process and returns its answer. */
export class XsMachine {
  readonly #process: ChildProcess;
  readonly #answer: (request: Uint8Array) => Uint8Array;
  #received: Buffer = Buffer.alloc(0);
  #pending: { resolve: (usage: Usage) => void; reject: (error: Error) => void } | undefined;
  /** The end of what was asked last: the machine does one thing at a time. */
  #last: Promise<unknown> = Promise.resolve();
  #closed = false;

  /** @param answer answers what the machine asks with `issueCommand`; it must not ask the machine meanwhile */
  constructor(answer: (request: Uint8Array) => Uint8Array = () => new Uint8Array(0)) {
    this.#answer = answer;
    // What the machine prints goes to stderr, since stdout may be a report.
    this.#process = spawn(WORKER, ["mcu-mqtt"], { stdio: ["ignore", 2, 2, "pipe", "pipe"] });
    (this.#process.stdio[4] as Readable).on("data", (bytes: Buffer) => this.#receive(bytes));
    (this.#process.stdio[3] as Writable).on("error", () => undefined); // the exit tells
    this.#process.on("exit", (code, signal) => {
      this.#closed = true;
      this.#pending?.reject(new Error(`the XS machine ended: ${signal ?? `exit ${code}`}`));
      this.#pending = undefined;
    });
  }

  /** Evaluates a script. Rejects with what it throws. */
  evaluate(code: string): Promise<Usage> {
    return this.#ask(Buffer.from(`e${code}`));
  }

  /** Calls the machine's global function `handleCommand` with an ArrayBuffer. Rejects with what that throws. */
  command(bytes: Uint8Array): Promise<Usage> {
    return this.#ask(Buffer.concat([Buffer.from("?"), bytes]));
  }

  /** Ends the process. Harmless when repeated. */
  close(): void {
    this.#closed = true;
    this.#process.kill();
  }

  #ask(request: Buffer): Promise<Usage> {
    const asked = this.#last.then(
      () =>
        new Promise<Usage>((resolve, reject) => {
          if (this.#closed) {
            reject(new Error("the XS machine is closed"));
            return;
          }
          this.#pending = { resolve, reject };
          this.#send(request);
        }),
    );
    this.#last = asked.catch(() => undefined);
    return asked;
  }

  #send(message: Uint8Array): void {
    const netstring = Buffer.concat([Buffer.from(`${message.length}:`), message, Buffer.from(",")]);
    (this.#process.stdio[3] as Writable).write(netstring);
  }

  /** Takes bytes that may hold a part of a netstring, or several. */
  #receive(bytes: Buffer): void {
    this.#received = Buffer.concat([this.#received, bytes]);
    for (;;) {
      const colon = this.#received.indexOf(COLON);
      if (colon < 0) return;
      const end = colon + 1 + Number(this.#received.toString("latin1", 0, colon));
      if (this.#received.length <= end) return;
      const message = this.#received.subarray(colon + 1, end);
      this.#received = this.#received.subarray(end + 1);
      this.#take(message);
    }
  }

  #take(message: Buffer): void {
    if (message[0] === QUESTION_MARK) {
      this.#send(Buffer.concat([Buffer.from("/"), this.#answer(message.subarray(1))]));
      return;
    }
    const pending = this.#pending;
    this.#pending = undefined;
    if (message[0] === DOT) {
      const usage = JSON.parse(message.toString("utf8", 1, message.indexOf(1, 1))) as Record<string, number>;
      pending?.resolve({ computrons: usage["compute"], slots: usage["currentHeapCount"] });
    } else {
      pending?.reject(new Error(message.toString("utf8", 1)));
    }
  }
}
