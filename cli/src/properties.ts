/**
 * `--property`: the properties that each packet of a command may be given, by the specification's names in lower case
 * with hyphens, and their values, checked by name and type.
 */
import type { GivenProperties, UserProperty } from "../../src/v5/properties.js";
import { Failure, quote } from "./failure.js";
import { checkLength, checkText, checkTopic, parseInteger } from "./text.js";

export type PacketName = "connect" | "will" | "publish" | "subscribe" | "disconnect";

/** Properties of CONNECT that say what this client takes. */
export interface ConnectProperties extends GivenProperties {
  receiveMaximum?: number;
  topicAliasMaximum?: number;
}

export type PacketProperties = Partial<Record<PacketName, ConnectProperties>>;

/** What a value must be: a number within bounds, a text, a topic name, or two texts. */
type Rule = [least: number, most: number] | "text" | "topic" | "pair";

const FLAG: Rule = [0, 1];
const UINT16: Rule = [0, 65535];
const UINT32: Rule = [0, 4294967295];

const USER_PROPERTY = "user-property";

const OF_MESSAGE: Record<string, Rule> = {
  "content-type": "text",
  "correlation-data": "text",
  "message-expiry-interval": UINT32,
  "payload-format-indicator": FLAG,
  "response-topic": "topic",
  [USER_PROPERTY]: "pair",
};

/** What the client does not set by itself. */
const RULES: Record<PacketName, Record<string, Rule>> = {
  connect: {
    "maximum-packet-size": [1, 4294967295],
    "receive-maximum": [1, 65535],
    "request-problem-information": FLAG,
    "request-response-information": FLAG,
    "session-expiry-interval": UINT32,
    "topic-alias-maximum": UINT16,
    [USER_PROPERTY]: "pair",
  },
  will: { ...OF_MESSAGE, "will-delay-interval": UINT32 },
  publish: OF_MESSAGE,
  subscribe: { "subscription-identifier": [1, 268435455], [USER_PROPERTY]: "pair" },
  disconnect: { "reason-string": "text", "session-expiry-interval": UINT32, [USER_PROPERTY]: "pair" },
};

/** Properties that are the client's to set, and the option that has it do so. */
const BY_OTHER_OPTIONS: Record<string, string> = {
  "authentication-data": "use --auth-method",
  "authentication-method": "use --auth-method",
  "topic-alias": "the client chooses it",
};

/** The packets that a command sends, of those that have properties. */
const SENT = {
  pub: ["connect", "will", "publish", "disconnect"],
  sub: ["connect", "will", "subscribe", "disconnect"],
  connect: ["connect", "will", "disconnect"],
} as const;

/**
 * How many values stand behind the packet and the name of a property.
 *
 * @throws Failure for a packet that the command does not send, and a name that the packet does not have
 */
export function countValues(command: keyof typeof SENT, packet: string | undefined, name: string | undefined): number {
  if (packet === undefined || name === undefined) throw new Failure("--property needs PACKET NAME VALUE behind it");
  const packets: readonly string[] = SENT[command];
  if (!packets.includes(packet)) {
    throw new Failure(`--property: the packet must be ${listed(packets)}, not ${quote(packet)}`);
  }
  const rules = RULES[packet as PacketName];
  if (Object.hasOwn(rules, name)) return rules[name] === "pair" ? 2 : 1;
  const why = Object.hasOwn(BY_OTHER_OPTIONS, name) ? `: ${BY_OTHER_OPTIONS[name]}` : "";
  throw new Failure(
    `--property ${packet}: the name must be ${listed(Object.keys(rules).sort())}, not ${quote(name)}${why}`,
  );
}

/**
 * The properties of each packet, by their names in camel case.
 *
 * @param given packet, name and values, as `countValues` has accepted them
 */
export function readProperties(given: string[][]): PacketProperties {
  const result: PacketProperties = {};
  for (const [packet, name, ...values] of given) {
    const flag = `--property ${packet} ${name}`;
    const table = (result[packet as PacketName] ??= {}) as Record<string, unknown>;
    const key = name.replace(/-(.)/g, (_, letter: string) => letter.toUpperCase());
    if (name === USER_PROPERTY) {
      if (values.length < 2) throw new Failure(`${flag} needs a name and a value behind it`);
      for (const value of values) checkLength(flag, checkText(flag, value));
      ((table[key] ??= []) as UserProperty[]).push(values as UserProperty);
    } else {
      if (values.length === 0) throw new Failure(`${flag} needs a value behind it`);
      if (Object.hasOwn(table, key)) throw new Failure(`${flag} must not be given twice`);
      table[key] = readValue(flag, values[0], RULES[packet as PacketName][name]);
    }
  }
  return result;
}

function readValue(flag: string, value: string, rule: Rule): number | string {
  if (rule === "topic") return checkTopic(flag, value, false);
  if (typeof rule === "string") return checkLength(flag, checkText(flag, value));
  const number = parseInteger(value, ...rule);
  if (number !== undefined) return number;
  const [least, most] = rule;
  const expected = most === 1 ? "0 or 1" : `a whole number from ${least} to ${most}`;
  throw new Failure(`${flag} must be ${expected}, not ${quote(value)}`);
}

function listed(names: readonly string[]): string {
  return `${names.slice(0, -1).join(", ")} or ${names.at(-1)!}`;
}
