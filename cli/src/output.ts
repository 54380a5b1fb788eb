/** Where a command writes: messages to standard output and nothing else, what it says of itself to standard error. */
import { Failure, messageOf, printable } from "./failure.js";
import type { Life } from "./life.js";

/** Standard output. */
export class Messages {
  readonly #life: Life;

  /** @param life ends when nobody reads any more */
  constructor(life: Life) {
    this.#life = life;
    process.stdout.on("error", (error: NodeJS.ErrnoException) => {
      // `mcu-mqtt sub | head -1`: the reader has what it wanted.
      const isReader = error.code === "EPIPE" || error.code === "ECONNRESET";
      life.end(isReader ? new Failure("", 0) : new Failure(`cannot write to standard output (${messageOf(error)})`));
    });
  }

  /** Resolves when the bytes are with the system; rejects when the command is to end first. */
  write(bytes: Uint8Array): Promise<void> {
    const written = new Promise<void>((resolve) => {
      // An error comes as an event, too.
      process.stdout.write(bytes, (error) => {
        if (!error) resolve();
      });
    });
    return this.#life.until(written);
  }
}

/** Standard error. */
export class Status {
  readonly #isQuiet: boolean;
  #progress = "";
  #shownMs = 0;
  /** There are so many messages that they are not to be shown one by one on a terminal. */
  isLong = false;

  constructor(isQuiet: boolean) {
    this.#isQuiet = isQuiet;
    // When nobody reads it, nothing is to be said.
    process.stderr.on("error", () => undefined);
  }

  /** One line of what the client does. */
  say(line: string): void {
    if (this.#isQuiet) return;
    this.#clear();
    process.stderr.write(`${printable(line)}\n`);
  }

  /** One line of what went wrong, or was asked for; also when quiet. */
  complain(line: string): void {
    this.#clear();
    process.stderr.write(`mcu-mqtt: ${printable(line)}\n`);
  }

  /** Resolves when what was said is read, as far as the system wants. */
  room(): Promise<void> {
    if (!process.stderr.writableNeedDrain) return Promise.resolve();
    return new Promise((resolve) => process.stderr.once("drain", resolve));
  }

  /** Packets, and what happens to connections. */
  trace(line: string): void {
    this.#clear();
    process.stderr.write(`${line}\n`);
  }

  /** True for a long run where a line can be written over and over. */
  get hasProgress(): boolean {
    return this.isLong && process.stderr.isTTY && !this.#isQuiet;
  }

  /** A line that the next one replaces, a few times a second. Only where `hasProgress`. */
  progress(line: string): void {
    if (Date.now() - this.#shownMs < 200) return;
    this.#shownMs = Date.now();
    this.#clear();
    this.#progress = printable(line).slice(0, (process.stderr.columns || 80) - 1);
    process.stderr.write(this.#progress);
  }

  #clear(): void {
    if (this.#progress === "") return;
    this.#progress = "";
    process.stderr.write("\r\x1b[K");
  }
}
