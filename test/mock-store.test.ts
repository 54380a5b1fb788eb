import { describe, expect, it } from "@jest/globals";
import { MockStore, PowerCut } from "mcu-mqtt/hal/mock";
import { bytesOf, stored, testStoreContract } from "./support/store-contract.js";
import type { Place } from "./support/store-contract.js";

const placeOf = (store: MockStore): Place => ({ open: () => store, capacity: store.capacity });

testStoreContract("the mock", () => placeOf(new MockStore()));

describe("the mock store", () => {
  it.each(["old", "new"] as const)("loses its power once, with the %s value stored", (which) => {
    const store = new MockStore();
    store.write(bytesOf(5), 0, 5);
    store.powerCut = which;
    expect(() => store.write(bytesOf(9), 0, 9)).toThrow(PowerCut);
    expect(stored(placeOf(store))).toEqual(bytesOf(which === "old" ? 5 : 9));
    store.powerCut = which;
    expect(() => store.clear()).toThrow(PowerCut);
    expect(stored(placeOf(store))).toHaveLength(which === "old" ? 5 : 0);
    store.write(bytesOf(7), 0, 7);
    expect(stored(placeOf(store))).toEqual(bytesOf(7));
  });

  it("damages the bytes that it is told to", () => {
    const store = new MockStore();
    store.write(Uint8Array.of(1, 2, 3), 0, 3);
    store.damage(1);
    store.damage(2, 0x80);
    expect(stored(placeOf(store))).toEqual(Uint8Array.of(1, 0xfd, 0x83));
    expect(() => store.damage(3)).toThrow("damage: no byte 3 is stored");
  });

  it("throws from each call while the memory fails, and keeps the value", () => {
    const store = new MockStore();
    store.write(bytesOf(5), 0, 5);
    store.failure = new Error("worn out");
    expect(() => store.read(new Uint8Array(9))).toThrow("worn out");
    expect(() => store.write(bytesOf(9), 0, 9)).toThrow("worn out");
    expect(() => store.clear()).toThrow("worn out");
    store.failure = undefined;
    expect(stored(placeOf(store))).toEqual(bytesOf(5));
  });

  it("throws at a range that is none, where a board would write something else", () => {
    const store = new MockStore();
    for (const [start, end] of [[-1, 2], [3, 2], [0, 5], [NaN, 2]]) {
      expect(() => store.write(bytesOf(4), start, end)).toThrow(RangeError);
    }
    expect(store.changes).toBe(0);
  });

  it("counts what wears a memory, and has the capacity it is given", () => {
    const store = new MockStore(10);
    store.write(bytesOf(10), 0, 10);
    store.clear();
    store.read(bytesOf(1));
    expect(() => store.write(bytesOf(11), 0, 11)).toThrow("11 bytes, and there is room for 10");
    expect(store.changes).toBe(2);
  });
});
