/**
 * A disk that loses its power, as `node:fs`: what a program wrote stays in a cache until it is flushed, and a power cut
 * leaves of it what chance wants. Names change in order (a journal), bytes arrive in no order at all.
 */
import { dirname } from "node:path";
import { PowerCut } from "../../hal/mock-store.js";
import type { Random } from "./session-harness.js";

interface Inode {
  cached: Uint8Array;
  flushed: Uint8Array;
  mode: number;
}

/** Bytes taken by one `writeSync` or given by one `readSync`, at most. */
const PIECE = 1000;

export class Disk {
  readonly names = new Map<string, Inode>();
  #flushedNames = new Map<string, Inode>();
  /** What was done to the names since they were flushed. */
  #changes: ((names: Map<string, Inode>) => void)[] = [];
  readonly #files = new Map<number, Inode | "folder">();
  #nextFile = 3;
  /** Calls until the power goes. */
  callsLeft = Infinity;
  /** The call after that many fails with this, once. */
  failure: { after: number; error: Error } | undefined;

  get openFiles(): number {
    return this.#files.size;
  }

  /** What a power cut leaves, now. */
  cut(random: Random): void {
    this.callsLeft = Infinity;
    this.#files.clear();
    for (const change of this.#changes.slice(0, random.below(this.#changes.length + 1))) change(this.#flushedNames);
    this.#changes = [];
    this.names.clear();
    for (const [name, inode] of this.#flushedNames) {
      if (inode.cached !== inode.flushed) {
        const { cached } = inode;
        const part = cached.slice(0, random.below(cached.length + 1));
        inode.cached = random.pick([inode.flushed, part, new Uint8Array(cached.length), cached]);
      }
      inode.flushed = inode.cached;
      this.names.set(name, inode);
    }
  }

  /** The functions of `node:fs` that a store uses. */
  readonly fs = {
    openSync: (path: string, flags: string, mode = 0o666): number => {
      this.#call();
      let inode: Inode | "folder" | undefined = this.names.get(path);
      if (inode === undefined && [...this.names.keys(), "/disk/any"].some((name) => dirname(name) === path)) {
        inode = "folder";
      }
      if (flags === "wx") {
        if (inode !== undefined) throw Object.assign(new Error(`EEXIST ${path}`), { code: "EEXIST" });
        const created = { cached: new Uint8Array(0), flushed: new Uint8Array(0), mode };
        this.#change((names) => names.set(path, created));
        inode = created;
      } else if (flags !== "r") {
        throw new Error(`no such flags here: ${flags}`);
      }
      if (inode === undefined) throw Object.assign(new Error(`ENOENT ${path}`), { code: "ENOENT" });
      this.#files.set(this.#nextFile, inode);
      return this.#nextFile++;
    },
    closeSync: (file: number): void => {
      this.#inode(file);
      this.#files.delete(file);
      this.#call();
    },
    fstatSync: (file: number): { size: number } => {
      this.#call();
      return { size: (this.#inode(file) as Inode).cached.length };
    },
    readSync: (file: number, into: Uint8Array, offset: number, length: number, position: number): number => {
      this.#call();
      const { cached } = this.#inode(file) as Inode;
      const part = cached.subarray(position, position + Math.min(length, PIECE));
      into.set(part, offset);
      return part.length;
    },
    writeSync: (file: number, bytes: Uint8Array, offset: number, length: number): number => {
      this.#call();
      const inode = this.#inode(file) as Inode;
      const part = bytes.subarray(offset, offset + Math.min(length, PIECE));
      inode.cached = Uint8Array.of(...inode.cached, ...part);
      return part.length;
    },
    fsyncSync: (file: number): void => {
      this.#call();
      const inode = this.#inode(file);
      if (inode === "folder") {
        for (const change of this.#changes) change(this.#flushedNames);
        this.#changes = [];
      } else {
        inode.flushed = inode.cached;
      }
    },
    renameSync: (from: string, to: string): void => {
      this.#call();
      const inode = this.names.get(from);
      if (inode === undefined) throw new Error(`ENOENT ${from}`);
      this.#change((names) => {
        names.delete(from);
        names.set(to, inode);
      });
    },
    rmSync: (path: string, options: { force: true }): void => {
      this.#call();
      if (!options.force) throw new Error("force is meant");
      if (this.names.has(path)) this.#change((names) => names.delete(path));
    },
  };

  #change(change: (names: Map<string, Inode>) => void): void {
    change(this.names);
    this.#changes.push(change);
  }

  #inode(file: number): Inode | "folder" {
    const inode = this.#files.get(file);
    if (inode === undefined) throw new Error("EBADF");
    return inode;
  }

  #call(): void {
    // Once the power is off, what the program would do to clean up is not done either.
    if (this.callsLeft-- <= 0) throw new PowerCut("before the call");
    if (this.failure !== undefined && this.failure.after-- === 0) {
      const { error } = this.failure;
      this.failure = undefined;
      throw error;
    }
  }
}
