/**
 * Freezes what Moddable's preload freezes: the library's modules and the engine's own objects. There they lie in flash;
 * here `harden`, which freezes an object and all that can be reached from it, does the same.
 */
declare function harden(value: unknown): void;

/** What stands at the top of a module; `suites.ts` has each module of the library call it at its end. */
export function preload(...values: unknown[]): void {
  for (const value of values) {
    // `harden` leaves bytes writable, flash does not: a write would go unnoticed here.
    if (ArrayBuffer.isView(value) || value instanceof ArrayBuffer) throw new Error("bytes at the top of a module");
    harden(value);
  }
}

/** Every object that the engine has by itself, but for the global one, where tests leave things. */
export function freezeIntrinsics(): void {
  for (const name of Object.getOwnPropertyNames(globalThis)) {
    const value = (globalThis as Record<string, unknown>)[name];
    if (value !== globalThis) harden(value);
  }
  // Those that have no name.
  harden([][Symbol.iterator]());
  harden(new Map()[Symbol.iterator]());
  harden(new Set()[Symbol.iterator]());
  harden(""[Symbol.iterator]());
  harden("".matchAll(/./g));
  harden(function* () { /* its prototypes */ });
  harden(async function () { /* its prototypes */ });
  harden(async function* () { /* its prototypes */ });
}
