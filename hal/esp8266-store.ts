/**
 * The store of ESP8266 boards: the flash behind the firmware, by way of the Moddable SDK. It survives deep sleep, a
 * reset and power loss.
 *
 * - Place: the SDK's area "storage" (SPIFFS in sdk/ld/eagle.flash.4m.ld), the first 128 KB of it. On boards with 1 MB
 *   there is none, and `openStore` throws. The SDK's modules for files keep theirs there: an application has files or
 *   a store, not both.
 * - Size: 8,176 bytes (two blocks of 4,096, less 16).
 * - Power cuts: the old value stays until the new one is complete; hal/flash-store has the reasons. `preference` and
 *   `embedded:storage/key-value` of the SDK would not do: both take 63 bytes at most, in 4 KB for all, and erase the
 *   old value first (modules/files/preference/esp, modules/io/storage/flash).
 * - Wear: each `write`, and each `clear` of a value, erases the block of one of 16 slots, in turn, and a second one
 *   where the value is longer than 4,080 bytes. Blocks stand 100,000 erasures as a rule: 1.6 million writes.
 *
 * The SDK (8.2.3) has no module for the RTC memory, of which there are 512 bytes, shared with its clock.
 */
import SdkFlash from "flash";
import { FlashStore } from "./flash-store.js";
import type { Flash } from "./flash-store.js";
import type { Store } from "./store.js";

export type { Store } from "./store.js";

/** @param name of the area: `"storage"` is the only one */
export function openStore(name: string): Store {
  // Published as reading a HostBuffer too, which comes when a third argument asks for it.
  return new FlashStore(new SdkFlash(name) as unknown as Flash);
}
