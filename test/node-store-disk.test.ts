/** Node's store on a disk that loses its power or fails. Windows flushes no folders, hence knows other paths. */
import { describe, expect, it, jest } from "@jest/globals";
import process from "node:process";
import { PowerCut } from "../hal/mock-store.js";
import { Disk } from "./support/disk.js";
import { repeat, seeded } from "./support/session-harness.js";
import { bytesOf, stored, testStoreContract } from "./support/store-contract.js";
import type { Place } from "./support/store-contract.js";

let disk = new Disk();
type Call = (...args: never[]) => unknown;
const calls = Object.keys(disk.fs) as (keyof Disk["fs"])[];
jest.unstable_mockModule("node:fs", () =>
  Object.fromEntries(calls.map((name) => [name, (...args: never[]) => (disk.fs[name] as Call)(...args)])));
const { openStore } = await import("../hal/node-store.js");

const PATH = "/disk/session";
const place: Place = { open: () => openStore(PATH), capacity: undefined };

const describePosix = process.platform === "win32" ? describe.skip : describe;

describePosix("Node's store", () => {
  testStoreContract("a disk in pieces", () => {
    disk = new Disk();
    return place;
  });

  it("keeps a value that was written when the power goes, and the old one or the new one before", () => {
    const found = { old: 0, new: 0, stale: 0 };
    repeat(400, (seed) => {
      const random = seeded(seed);
      disk = new Disk();
      let value = bytesOf(0);
      for (let count = 0; count < 8; count++) {
        const next = bytesOf(random.pick([0, 1, random.below(3000)]));
        let isDone = false;
        disk.callsLeft = random.pick([random.below(15), Infinity]);
        try {
          place.open().write(next, 0, next.length);
          isDone = true;
        } catch (error) {
          if (!(error instanceof PowerCut)) throw error;
        }
        disk.cut(random);
        if (disk.names.has(`${PATH}.tmp`)) found.stale++;
        const now = stored(place);
        const isNew = Buffer.compare(now, next) === 0;
        if (isDone || !isNew) expect(now).toEqual(isDone ? next : value);
        found[isNew ? "new" : "old"]++;
        value = now;
      }
    });
    expect(Math.min(found.old, found.new, found.stale)).toBeGreaterThan(20);
  });

  it("keeps the old value or the new one, and no file open, when a call of the system fails, and goes on after", () => {
    const error = new Error("EIO");
    let failures = 0;
    for (const next of [bytesOf(2500), bytesOf(0)]) {
      for (let after = 0; ; after++) {
        disk = new Disk();
        place.open().write(bytesOf(30), 0, 30);
        disk.failure = { after, error };
        try {
          place.open().write(next, 0, next.length);
          break;
        } catch (thrown) {
          expect(thrown).toBe(error);
          failures++;
        }
        expect(disk.openFiles).toBe(0);
        expect([...disk.names.keys()].filter((name) => name !== PATH)).toEqual([]);
        expect([bytesOf(30), next]).toContainEqual(stored(place));
        place.open().write(bytesOf(7), 0, 7);
        expect(stored(place)).toEqual(bytesOf(7));
      }
      disk.failure = undefined;
    }
    expect(failures).toBeGreaterThan(12);
  });

  it("lets a failure to read through, and closes the file", () => {
    disk = new Disk();
    place.open().write(bytesOf(30), 0, 30);
    for (const after of [0, 1, 2, 3]) {
      disk.failure = { after, error: new Error("EIO") };
      expect(() => place.open().read(new Uint8Array(99))).toThrow("EIO");
      expect(disk.openFiles).toBe(0);
    }
    disk.failure = undefined;
    expect(stored(place)).toEqual(bytesOf(30));
  });
});
