/** Text of the command line that MQTT can carry: each error names the option, and what it must be. */
import { isTopicFilter, isTopicName } from "../../src/topic.js";
import { Failure, quote } from "./failure.js";

/** The longest UTF-8 string of MQTT, in bytes. */
const MAX_STRING = 65535;

/**
 * An argument that is what was typed: Node replaces bytes that are not UTF-8 before a program sees them, and what it
 * puts there would be sent instead.
 */
export function checkText(flag: string, value: string): string {
  if (/[\ufffd\p{Surrogate}]/u.test(value)) throw new Failure(`${flag} has bytes that are not UTF-8, or U+FFFD`);
  return value;
}

export function checkLength(flag: string, value: string): string {
  if (Buffer.byteLength(value) > MAX_STRING) throw new Failure(`${flag} must be at most ${MAX_STRING} bytes long`);
  return value;
}

/** A Topic Name, or a Topic Filter. */
export function checkTopic(flag: string, topic: string, isFilter: boolean): string {
  if (topic === "") throw new Failure(`${flag} must not be empty`);
  checkLength(flag, checkText(flag, topic));
  if (isFilter && !isTopicFilter(topic)) {
    throw new Failure(`${flag} must be a valid topic filter (+ a whole level, # the last one), not ${quote(topic)}`);
  }
  if (!isFilter && !isTopicName(topic)) {
    throw new Failure(`${flag} must be a topic without + and #, not ${quote(topic)}`);
  }
  return topic;
}

/** A whole number from `least` to `most`, or undefined. */
export function parseInteger(value: string, least: number, most: number): number | undefined {
  const number = /^\d{1,15}$/.test(value) ? Number(value) : -1;
  return number >= least && number <= most ? number : undefined;
}
