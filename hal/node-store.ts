/**
 * A store for Node: a file, replaced as a whole.
 *
 * The bytes go to a temporary file beside it, `PATH.tmp`, which is flushed to the disk and then takes its name, and the
 * folder is flushed. A temporary file that a power cut left behind is removed by the next `write` or `clear`. Only the
 * owner may read the file, since messages may be in it. Windows cannot flush folders: a power cut there, soon after a
 * call, may bring the old value back.
 */
import { closeSync, fstatSync, fsyncSync, openSync, readSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname, resolve } from "node:path";
import process from "node:process";
import type { Store } from "./store.js";

export type { Store } from "./store.js";

/**
 * A store in the file `path`, whose folder must be there. Nothing is read or written yet.
 *
 * On a board it is the name of the place: with ESP32, 1 to 15 characters; with ESP8266, `"storage"`.
 *
 * @example
 * const store = openStore("session.bin");
 * store.write(bytes, 0, bytes.length);
 * const length = store.read(bytes);
 */
export function openStore(path: string): Store {
  if (path === "") throw new TypeError("openStore: empty path");
  return new FileStore(resolve(path));
}

class FileStore implements Store {
  readonly #path: string;
  readonly #temporary: string;

  constructor(path: string) {
    this.#path = path;
    this.#temporary = `${path}.tmp`;
  }

  read(into: Uint8Array): number {
    const file = openIfThere(this.#path);
    if (file === undefined) return 0;
    try {
      const length = fstatSync(file).size;
      if (length > into.length) {
        throw new RangeError(`store: ${length} bytes are stored, and there is room for ${into.length}`);
      }
      let count = 0;
      while (count < length) {
        const more = readSync(file, into, count, length - count, count);
        if (more === 0) break;
        count += more;
      }
      return count;
    } finally {
      closeSync(file);
    }
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) {
      this.clear();
      return;
    }
    rmSync(this.#temporary, { force: true });
    try {
      const file = openSync(this.#temporary, "wx", 0o600);
      try {
        for (let at = start; at < end;) at += writeSync(file, bytes, at, end - at);
        fsyncSync(file);
      } finally {
        closeSync(file);
      }
      renameSync(this.#temporary, this.#path);
    } catch (error) {
      rmSync(this.#temporary, { force: true });
      throw error;
    }
    this.#flushFolder();
  }

  clear(): void {
    rmSync(this.#temporary, { force: true });
    rmSync(this.#path, { force: true });
    this.#flushFolder();
  }

  #flushFolder(): void {
    if (process.platform === "win32") return;
    const folder = openSync(dirname(this.#path), "r");
    try {
      fsyncSync(folder);
    } finally {
      closeSync(folder);
    }
  }
}

function openIfThere(path: string): number | undefined {
  try {
    return openSync(path, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}
