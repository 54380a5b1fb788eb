/**
 * Checks of what an application passes: each returns the value in the form the client uses, or throws an error that
 * names the argument and the value that was wrong. Null and undefined mean the default throughout, as NodeMCU's nil
 * does.
 *
 * Knows the shapes of values, not what they are for.
 */
import type { Text } from "../hal/socket.js";
import { ILL_FORMED, ILL_FORMED_PAYLOAD, TOO_LONG } from "./errors.js";
import { MAX_FIELD_LENGTH } from "./wire.js";

/** True for null and undefined. */
export function isNil(value: unknown): value is null | undefined {
  return value === undefined || value === null;
}

/** The value as an error message shows it. */
export function show(value: unknown): string {
  if (typeof value === "string") return '"' + (value.length > 40 ? value.substring(0, 40) + "..." : value) + '"';
  if (typeof value === "number" || typeof value === "boolean" || isNil(value)) return String(value);
  return typeof value === "object" ? (Array.isArray(value) ? "an array" : "an object") : "a " + typeof value;
}

/** An error that names the argument and shows its value. */
export function wrong(name: string, expected: string, value: unknown): TypeError {
  return new TypeError(`${name} must be ${expected}, not ${show(value)}`);
}

/** An error that says that an argument cannot become UTF-8 [MQTT-1.5.3-1]. */
export function illFormed(name: string): TypeError {
  return new TypeError(name + " must not have a lone surrogate");
}

/** An integer from `min` to `max`. */
export function asInteger(name: string, value: unknown, byDefault: number, min: number, max: number): number {
  if (isNil(value)) return byDefault;
  if (typeof value !== "number") throw wrong(name, "a number", value);
  if (value >= min && value <= max && Math.floor(value) === value) return value;
  throw new RangeError(`${name} must be an integer from ${min} to ${max}, not ${show(value)}`);
}

/** 0, 1, or a boolean. */
export function asFlag(name: string, value: unknown, byDefault: boolean): boolean {
  if (value === 0 || value === false) return false;
  if (value === 1 || value === true) return true;
  if (isNil(value)) return byDefault;
  throw wrong(name, "0, 1 or a boolean", value);
}

/** A QoS, 0 to 2; 0 by default. */
export function asQos(name: string, value: unknown): number {
  if (value === 0 || value === 1 || value === 2) return value;
  return asInteger(name, value, 0, 0, 2);
}

/** A string, or a number as a string. */
export function asString(name: string, value: unknown): string {
  if (typeof value === "string") return value;
  if (typeof value === "number") return String(value);
  throw wrong(name, "a string or a number", value);
}

/** A string, a number as a string, or bytes (a view on them: nothing is copied). */
export function asData(name: string, value: unknown): string | Uint8Array {
  if (typeof value === "string" || value instanceof Uint8Array) return value;
  if (value instanceof ArrayBuffer) return new Uint8Array(value);
  if (typeof value === "number") return String(value);
  throw wrong(name, "a string, a number, a Uint8Array or an ArrayBuffer", value);
}

/**
 * Checks that a value can stand in a field of a packet: a string without lone surrogates [MQTT-1.5.3-1], and either of
 * at most 65,535 bytes.
 */
export function checkField(text: Text, name: string, value: string | Uint8Array): void {
  let length = value.length;
  if (typeof value === "string") {
    // No string takes more than three bytes for each of its UTF-16 code units; but XS on a board counts characters.
    length = text.encode(value, new Uint8Array(length * 4), 0, length * 4);
    if (length === ILL_FORMED) throw illFormed(name);
  }
  if (length > MAX_FIELD_LENGTH) {
    throw new RangeError(`${name} must be at most 65535 bytes long, not ${length}`);
  }
}

/** As `checkField`, for what is text to the broker too: no U+0000 either [MQTT-1.5.3-2]. */
export function checkText(text: Text, name: string, value: string): void {
  if (value.indexOf("\0") >= 0) throw new TypeError(name + " must not have the character U+0000");
  checkField(text, name, value);
}

/** A function, or undefined for null. */
export function asCallback<T>(name: string, value: T | null | undefined): T | undefined {
  if (isNil(value)) return undefined;
  if (typeof value === "function") return value;
  throw wrong(name, "a function", value);
}

/** What an operation comes to: true when it was queued, false when there is no room, or the error that its text is. */
export function isQueued(result: number): boolean {
  if (result >= 0) return true;
  if (result === ILL_FORMED) throw illFormed("topic");
  if (result === ILL_FORMED_PAYLOAD) throw illFormed("payload");
  if (result === TOO_LONG) throw new RangeError("topic must be at most 65535 bytes long");
  return false;
}
