/**
 * A store in one entry of a key-value storage of ECMA-419, such as NVS of ESP-IDF by way of the Moddable SDK.
 *
 * All or nothing is what the platform gives, by `write` of an existing key. Takes the platform's module as an argument,
 * so that it runs anywhere on a double of it.
 */
import type { Store } from "./store.js";

/** The default export of "embedded:storage/key-value", as far as it is used here. */
export interface KeyValueModule {
  open(options: { path: string; format: "buffer" }): KeyValueStorage;
}

export interface KeyValueStorage {
  /**
   * undefined when there is no such key. ECMA-419 can read into a buffer too; with SDK 8.2.3 on ESP32 the buffer is
   * left out of account (modules/io/storage/esp32/storage-esp32.js passes on the key alone).
   */
  read(key: string): unknown;
  write(key: string, value: Uint8Array): void;
  delete(key: string): void;
}

/** NVS's limit for the name of a key, characters. */
const MAX_NAME = 15;

export class KeyValueStore implements Store {
  private readonly _storage: KeyValueStorage;
  private readonly _name: string;

  /** @param name the key, 1 to 15 characters of ASCII */
  constructor(module: KeyValueModule, name: string) {
    if (name.length < 1 || name.length > MAX_NAME) {
      throw new RangeError(`store: a name of 1 to ${MAX_NAME} characters is needed`);
    }
    this._storage = module.open({ path: "mcu-mqtt", format: "buffer" });
    this._name = name;
  }

  read(into: Uint8Array): number {
    const value = this._storage.read(this._name) as ArrayBuffer | undefined;
    if (value === undefined) return 0;
    const length = value.byteLength;
    if (length > into.length) {
      throw new RangeError(`store: ${length} bytes are stored, and there is room for ${into.length}`);
    }
    into.set(new Uint8Array(value));
    return length;
  }

  write(bytes: Uint8Array, start: number, end: number): void {
    if (start === end) this.clear();
    else this._storage.write(this._name, new Uint8Array(bytes.buffer, bytes.byteOffset + start, end - start));
  }

  clear(): void {
    this._storage.delete(this._name);
  }
}
