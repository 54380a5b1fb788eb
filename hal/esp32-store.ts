/**
 * The store of ESP32 boards: NVS, by way of the Moddable SDK. It survives deep sleep, a reset and power loss.
 *
 * - Size: in the 24 KB that the SDK gives NVS (`nvs` in xsProj-esp32/partitions.csv) about 8 KB. ESP-IDF allows a value
 *   97.6% of the partition less 4,000 bytes, but the old value and the new one lie side by side for a moment, and what
 *   else is kept there counts. When it is full, `write` throws what NVS says.
 * - Power cuts: NVS writes the new value before it drops the old one (ESP-IDF, "Non-Volatile Storage Library", power
 *   loss). `preference` of the SDK would not do: it erases the key first (modules/files/preference/esp32).
 * - Wear: a value takes an entry of 32 bytes for each 32 bytes and two more; a block of 4,096 bytes is erased when its
 *   126 entries are used up. Blocks stand 100,000 erasures as a rule: with five in turn, that is 1.8 million values of
 *   1 KB. Clearing takes no entry.
 *
 * The SDK's mcpack (8.2.3) finds several manifests for `embedded:storage/key-value` and stops. An application from npm
 * names the one it means, in its package.json: "moddable": {"manifest": {"include":
 * ["$(MODDABLE)/modules/io/storage/esp32/manifest.json"]}}.
 *
 * The SDK (8.2.3) has no module for the RTC memory of an ESP32, which would do without wear.
 */
import KeyValue from "embedded:storage/key-value";
import { KeyValueStore } from "./key-value-store.js";
import type { Store } from "./store.js";

export type { Store } from "./store.js";

/** @param name 1 to 15 characters of ASCII; each names a store of its own */
export function openStore(name: string): Store {
  return new KeyValueStore(KeyValue, name);
}
