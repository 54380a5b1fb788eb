import { describe, expect, it } from "@jest/globals";
import { FlashStore } from "../hal/flash-store.js";
import { PowerCut } from "../hal/mock-store.js";
import { NorFlash } from "./support/sdk-storage.js";
import { repeat, seeded } from "./support/session-harness.js";
import { bytesOf, stored, testStoreContract } from "./support/store-contract.js";
import type { Place } from "./support/store-contract.js";

const placeOn = (flash: NorFlash): Place => ({ open: () => new FlashStore(flash), capacity: 8176 });

describe.each([4, 5, 8, 32, 33, 700])("on %d blocks", (blocks) => {
  testStoreContract("raw flash", () => placeOn(new NorFlash(blocks, seeded(blocks))));
});

/** Cuts the power after `steps`; true when the call came to its end before. */
function completes(flash: NorFlash, steps: number, call: () => void): boolean {
  flash.stepsLeft = steps;
  try {
    call();
    return true;
  } catch (error) {
    if (!(error instanceof PowerCut)) throw error;
    return false;
  } finally {
    flash.stepsLeft = Infinity;
  }
}

/** What is stored, which has to be one of `allowed`; returns it. */
function expectOneOf(place: Place, allowed: Uint8Array[]): Uint8Array {
  const value = stored(place);
  if (!allowed.some((each) => Buffer.compare(each, value) === 0)) {
    expect(value).toEqual(allowed[0]);
  }
  return value;
}

describe("the store on raw flash, when the power goes", () => {
  it.each([
    ["the first value", []],
    ["the second value", [30]],
    ["a value once round", [30, 31, 32, 33, 34]],
    ["a value behind an empty one", [30, 0]],
  ])("has the old value or the new one, wherever in the write of %s", (_what, before) => {
    const value = bytesOf(40);
    let completed = 0;
    for (let steps = 0; completed === 0; steps++) {
      repeat(20, (seed) => {
        const flash = new NorFlash(8, seeded(seed * 1000 + steps));
        const place = placeOn(flash);
        for (const length of before) place.open().write(bytesOf(length), 0, length);
        const old = bytesOf(before.at(-1) ?? 0);
        if (completes(flash, steps, () => place.open().write(value, 0, 40))) completed++;
        const found = expectOneOf(place, completed > 0 ? [value] : [old, value]);
        // Twice the same, and the next value goes in.
        expect(stored(place)).toEqual(found);
        place.open().write(bytesOf(50), 0, 50);
        expect(stored(place)).toEqual(bytesOf(50));
      });
      expect(steps).toBeLessThan(100);
    }
  });

  it("has the old value or none, wherever in clear", () => {
    const found = [0, 0];
    repeat(200, (seed) => {
      const random = seeded(seed);
      const flash = new NorFlash(8, random);
      const place = placeOn(flash);
      place.open().write(bytesOf(30), 0, 30);
      completes(flash, random.below(20), () => place.open().clear());
      found[expectOneOf(place, [bytesOf(30), bytesOf(0)]).length === 0 ? 0 : 1]++;
    });
    expect(Math.min(...found)).toBeGreaterThan(10);
  });

  it("never mixes values, over many writes and cuts, one upon the other", () => {
    repeat(200, (seed) => {
      const random = seeded(seed);
      const flash = new NorFlash(4 + random.below(10), random);
      const place = placeOn(flash);
      let value = bytesOf(0);
      for (let count = 0; count < 12; count++) {
        const next = bytesOf(random.pick([0, random.below(200), random.below(200), 4000 + random.below(4177)]));
        // Cut soon, or late, or not at all.
        const steps = random.pick([random.below(4), next.length + random.below(20), Infinity]);
        const isDone = completes(flash, steps, () => place.open().write(next, 0, next.length));
        value = expectOneOf(place, isDone ? [next] : [value, next]);
      }
    });
  });
});

describe("the store on raw flash", () => {
  it("wears its slots alike: a small value erases one block, a larger one two", () => {
    const flash = new NorFlash(8, seeded(1));
    const store = new FlashStore(flash);
    for (let count = 0; count < 40; count++) store.write(bytesOf(4080), 0, 4080);
    expect(flash.erasures).toEqual([10, 0, 10, 0, 10, 0, 10, 0]);
    for (let count = 0; count < 40; count++) store.write(bytesOf(4081), 0, 4081);
    expect(flash.erasures).toEqual([20, 10, 20, 10, 20, 10, 20, 10]);
  });

  it("erases nothing to clear what is empty", () => {
    const flash = new NorFlash(4, seeded(1));
    const store = new FlashStore(flash);
    store.clear();
    store.write(bytesOf(1), 0, 0);
    expect(flash.erasures).toEqual([0, 0, 0, 0]);
  });

  it("leaves alone what lies behind its 16 slots", () => {
    const flash = new NorFlash(40, seeded(1));
    const behind = flash.bytes.slice(32 * 4096);
    const store = new FlashStore(flash);
    for (let count = 0; count < 50; count++) store.write(bytesOf(8176), 0, 8176);
    expect(flash.bytes.subarray(32 * 4096)).toEqual(behind);
  });

  it("is empty on flash that holds anything else", () => {
    for (const fill of [0, 0xff, 0x55]) {
      const flash = new NorFlash(8, seeded(1));
      flash.bytes.fill(fill);
      expect(stored(placeOn(flash))).toHaveLength(0);
    }
    // A length that is none, behind complements that fit.
    const flash = new NorFlash(8, seeded(1));
    flash.bytes.set(new Uint8Array(Uint32Array.of(7, ~7, 8177, ~8177).buffer));
    expect(stored(placeOn(flash))).toHaveLength(0);
  });

  it("takes nothing when the value does not fit", () => {
    const flash = new NorFlash(4, seeded(1));
    const store = new FlashStore(flash);
    expect(() => store.write(bytesOf(9000), 100, 8277)).toThrow("8177 bytes, and there is room for 8176");
    expect(flash.erasures).toEqual([0, 0, 0, 0]);
  });

  it.each([0, 1, 3])("needs two slots: %d blocks are refused", (blocks) => {
    const flash = new NorFlash(blocks, seeded(1));
    expect(() => new FlashStore(flash)).toThrow(`${blocks * 4096} bytes of flash, and 16384 are needed`);
  });
});
