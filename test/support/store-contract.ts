/** What every store has to do, whatever it is made of. */
import { describe, expect, it } from "@jest/globals";
import type { Store } from "../../hal/store.js";

/** A place for a store, empty at first. */
export interface Place {
  /** Another instance on the same place. */
  open(): Store;
  /** Its largest value, bytes; undefined where only the platform knows. */
  capacity: number | undefined;
}

/** `length` bytes that tell their length and their place. */
export function bytesOf(length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, index) => (index * 7 + length * 13 + (index >> 8)) & 0xff);
}

/** What another instance finds. */
export function stored(place: Place): Uint8Array {
  const into = new Uint8Array(16384);
  return into.slice(0, place.open().read(into));
}

const put = (store: Store, value: Uint8Array): void => store.write(value, 0, value.length);

export function testStoreContract(name: string, createPlace: () => Place): void {
  describe(`${name}: the contract of stores`, () => {
    it("is empty at first, and into stays as it is", () => {
      const into = Uint8Array.of(1, 2, 3);
      expect(createPlace().open().read(into)).toBe(0);
      expect(into).toEqual(Uint8Array.of(1, 2, 3));
      expect(createPlace().open().read(new Uint8Array(0))).toBe(0);
    });

    it.each([1, 2, 3, 4, 5, 63, 64, 511, 512, 513, 1000, 4079, 4080, 4081, 6144])(
      "gives %d bytes back, to its writer and to another instance",
      (length) => {
        const place = createPlace();
        const store = place.open();
        const value = bytesOf(length);
        put(store, value);
        const into = new Uint8Array(length + 2).fill(0xee);
        expect(store.read(into)).toBe(length);
        expect(into).toEqual(Uint8Array.of(...value, 0xee, 0xee));
        expect(stored(place)).toEqual(value);
      },
    );

    it("takes the range, of bytes that are a window themselves, and does not keep them", () => {
      const place = createPlace();
      const window = new Uint8Array(bytesOf(100).buffer, 11, 80);
      const expected = window.slice(5, 38);
      place.open().write(window, 5, 38);
      window.fill(0);
      expect(stored(place)).toEqual(expected);
    });

    it("reads into a window, and nothing beside it", () => {
      const place = createPlace();
      put(place.open(), Uint8Array.of(1, 2, 3));
      const around = new Uint8Array(8).fill(0xee);
      expect(place.open().read(around.subarray(3, 6))).toBe(3);
      expect(around).toEqual(Uint8Array.of(0xee, 0xee, 0xee, 1, 2, 3, 0xee, 0xee));
    });

    it("replaces the value as a whole, by a shorter one, a longer one, the same again", () => {
      const place = createPlace();
      const store = place.open();
      for (const length of [6144, 3, 5000, 5000, 1, 700]) {
        put(store, bytesOf(length));
        expect(stored(place)).toEqual(bytesOf(length));
      }
    });

    it("replaces it often", () => {
      const place = createPlace();
      for (let count = 1; count <= 100; count++) {
        put(place.open(), bytesOf(count * 60));
        expect(stored(place)).toEqual(bytesOf(count * 60));
      }
    });

    it("throws a RangeError when into is too small, and leaves it and the value as they are", () => {
      const place = createPlace();
      const store = place.open();
      put(store, bytesOf(600));
      const into = new Uint8Array(599).fill(0xee);
      expect(() => store.read(into)).toThrow(RangeError);
      expect(() => store.read(into)).toThrow("600 bytes are stored, and there is room for 599");
      expect(into).toEqual(new Uint8Array(599).fill(0xee));
      expect(store.read(new Uint8Array(600))).toBe(600);
    });

    it("throws when the value does not fit, and keeps the old one", () => {
      const place = createPlace();
      if (place.capacity === undefined) return;
      const store = place.open();
      put(store, bytesOf(place.capacity));
      expect(stored(place)).toEqual(bytesOf(place.capacity));
      put(store, bytesOf(9));
      expect(() => put(store, bytesOf(place.capacity! + 1))).toThrow();
      expect(stored(place)).toEqual(bytesOf(9));
    });

    it.each([
      ["clear", (store: Store): void => store.clear()],
      ["write of nothing", (store: Store): void => store.write(bytesOf(4), 2, 2)],
    ])("forgets the value with %s, also when there is none, and takes the next", (_what, forget) => {
      const place = createPlace();
      const store = place.open();
      forget(store);
      expect(stored(place)).toHaveLength(0);
      put(store, bytesOf(5000));
      forget(store);
      forget(store);
      expect(stored(place)).toHaveLength(0);
      expect(store.read(new Uint8Array(0))).toBe(0);
      put(store, bytesOf(7));
      expect(stored(place)).toEqual(bytesOf(7));
    });
  });
}
