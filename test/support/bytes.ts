/** Bytes as tests write them down. */

/**
 * Bytes written as in the specification: hexadecimal, with spaces wherever they help, and text between apostrophes,
 * which stands for its UTF-8.
 *
 * @example wire("10 0c 0004 'MQTT' 04 02 003c 0000")
 */
export function wire(notation: string): Uint8Array {
  const parts = notation.split("'").map((part, i) => {
    if (i % 2 === 1) return Buffer.from(part, "utf8");
    const digits = part.replace(/\s/g, "");
    if (!/^([0-9a-f]{2})*$/i.test(digits)) throw new Error(`Not hexadecimal: "${part}" in "${notation}"`);
    return Buffer.from(digits, "hex");
  });
  return join(...parts);
}

/** One after the other. */
export function join(...parts: Uint8Array[]): Uint8Array {
  return new Uint8Array(Buffer.concat(parts));
}

export function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString("hex");
}

/** The bytes of a string that has one character, U+0000 to U+00FF, per byte: how tests write binary fields. */
export function binary(characters: string): Uint8Array {
  return new Uint8Array(Buffer.from(characters, "latin1"));
}

/** What lies around bytes that a test lends, so that reading or writing too far shows. */
export const POISON = 0xee;

/** `bytes` in the midst of poison: `[start, end)` of `around` are they. */
export function poisoned(bytes: Uint8Array): { around: Uint8Array; start: number; end: number } {
  const start = 11;
  const around = new Uint8Array(start + bytes.length + 13).fill(POISON);
  around.set(bytes, start);
  return { around, start, end: start + bytes.length };
}

/** `bytes` behind a guard: whoever reads or writes an index outside `[start, end)` gets a RangeError. */
export function guarded(bytes: Uint8Array, start: number, end: number): Uint8Array {
  const check = (property: string | symbol): void => {
    if (typeof property !== "string" || !/^-?\d+$/.test(property)) return;
    const index = Number(property);
    if (index < start || index >= end) throw new RangeError(`Index ${index} is outside [${start}, ${end})`);
  };
  return new Proxy(bytes, {
    get(target, property) {
      check(property);
      return Reflect.get(target, property, target) as unknown;
    },
    set(target, property, value) {
      check(property);
      return Reflect.set(target, property, value, target);
    },
  });
}
