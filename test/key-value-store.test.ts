import { describe, expect, it } from "@jest/globals";
import { KeyValueStore } from "../hal/key-value-store.js";
import { Nvs } from "./support/sdk-storage.js";
import { bytesOf, stored, testStoreContract } from "./support/store-contract.js";

testStoreContract("NVS", () => {
  const nvs = new Nvs();
  return { open: () => new KeyValueStore(nvs, "session"), capacity: undefined };
});

describe("the store in a key-value storage", () => {
  it("keeps values of several names apart, under a path of its own", () => {
    const nvs = new Nvs();
    const one = new KeyValueStore(nvs, "one");
    const other = new KeyValueStore(nvs, "other");
    one.write(bytesOf(5), 0, 5);
    other.write(bytesOf(7), 0, 7);
    expect([...nvs.entries.keys()]).toEqual(["mcu-mqtt/one", "mcu-mqtt/other"]);
    one.clear();
    expect([...nvs.entries.values()]).toEqual([bytesOf(7)]);
  });

  it("takes one write of the platform for each of its own, with no delete before: what makes it all or nothing", () => {
    const calls: string[] = [];
    const storage = {
      read: () => undefined,
      write: (key: string, value: Uint8Array) => calls.push(`write ${key} ${value.length}`),
      delete: (key: string) => calls.push(`delete ${key}`),
    };
    const store = new KeyValueStore({ open: () => storage }, "session");
    store.write(bytesOf(5), 0, 5);
    store.write(bytesOf(9), 2, 6);
    store.clear();
    store.write(bytesOf(9), 3, 3);
    expect(calls).toEqual(["write session 5", "write session 4", "delete session", "delete session"]);
  });

  it("throws what the platform says when there is no room, and keeps the old value", () => {
    const nvs = new Nvs(1000);
    const place = { open: () => new KeyValueStore(nvs, "session"), capacity: undefined };
    place.open().write(bytesOf(400), 0, 400);
    expect(() => place.open().write(bytesOf(601), 0, 601)).toThrow("ESP_ERR_NVS_NOT_ENOUGH_SPACE");
    expect(stored(place)).toEqual(bytesOf(400));
  });

  it.each(["", "sixteen-letters."])("refuses the name %j", (name) => {
    const nvs = new Nvs();
    expect(() => new KeyValueStore(nvs, name)).toThrow("a name of 1 to 15 characters is needed");
    expect(new KeyValueStore(nvs, "fifteen-letters").read(new Uint8Array(0))).toBe(0);
  });
});
