/** What a broker is like to clients of MQTT 5: what it takes, how it refuses, and how it breaks the rules. */
import type { ReceivedProperties } from "../../src/v5/face.js";
import type { Random } from "./random.js";

/** What a broker takes on one connection (3.2.2.3). */
export interface Limits {
  receiveMaximum: number;
  topicAliasMaximum: number;
  maximumPacketSize: number;
  maximumQoS: number;
  retainAvailable: boolean;
  wildcardSubscriptionAvailable: boolean;
  subscriptionIdentifierAvailable: boolean;
}

/** What the broker of one schedule is like, until it restarts. Counts of 100 unless said otherwise. */
export interface Manners5 {
  maximumPacketSize: number;
  maximumQoS: number;
  retainAvailable: boolean;
  wildcardSubscriptionAvailable: boolean;
  subscriptionIdentifierAvailable: boolean;
  /** Messages that it refuses. */
  rejecting: number;
  /** Connections that it ends with DISCONNECT. */
  evicting: number;
  /** Connections on which it breaks the rules. */
  vicious: number;
  /** Packets in which it says more than it has to. */
  talkative: number;
}

export function drawManners5(random: Random): Manners5 {
  return {
    maximumPacketSize: random.chance(25) ? random.between(24, 120) : Infinity,
    maximumQoS: random.chance(15) ? random.below(2) : 2,
    retainAvailable: !random.chance(15),
    wildcardSubscriptionAvailable: !random.chance(8),
    subscriptionIdentifierAvailable: !random.chance(15),
    rejecting: random.chance(25) ? 15 : 0,
    evicting: random.chance(25) ? 20 : 0,
    vicious: random.chance(45) ? 30 : 0,
    talkative: random.chance(40) ? 25 : 0,
  };
}

export const NO_LIMITS: Limits = {
  receiveMaximum: 65535,
  topicAliasMaximum: 0,
  maximumPacketSize: Infinity,
  maximumQoS: 2,
  retainAvailable: true,
  wildcardSubscriptionAvailable: true,
  subscriptionIdentifierAvailable: true,
};

export function drawLimits(random: Random, manners: Manners5): Limits {
  const { maximumPacketSize, maximumQoS, retainAvailable } = manners;
  const { wildcardSubscriptionAvailable, subscriptionIdentifierAvailable } = manners;
  return {
    receiveMaximum: random.pick([1, 1, 2, 3, 10, 65535]),
    topicAliasMaximum: random.pick([0, 1, 2, 3, 3, 5, 20]),
    maximumPacketSize, maximumQoS, retainAvailable, wildcardSubscriptionAvailable, subscriptionIdentifierAvailable,
  };
}

/** The limits as CONNACK says them: what is so by default now and then, too. */
export function limitsAsProperties(random: Random, limits: Limits): ReceivedProperties {
  const said: ReceivedProperties = {};
  const { receiveMaximum, topicAliasMaximum, maximumPacketSize, maximumQoS, retainAvailable } = limits;
  const { wildcardSubscriptionAvailable, subscriptionIdentifierAvailable } = limits;
  const isVerbose = random.chance(20);
  if (receiveMaximum < 65535 || isVerbose) said.receiveMaximum = receiveMaximum;
  if (topicAliasMaximum > 0 || isVerbose) said.topicAliasMaximum = topicAliasMaximum;
  if (maximumPacketSize < Infinity) said.maximumPacketSize = maximumPacketSize;
  if (maximumQoS < 2) said.maximumQoS = maximumQoS;
  if (!retainAvailable || isVerbose) said.retainAvailable = retainAvailable ? 1 : 0;
  if (!wildcardSubscriptionAvailable) said.wildcardSubscriptionAvailable = 0;
  if (!subscriptionIdentifierAvailable) said.subscriptionIdentifierAvailable = 0;
  return said;
}

// Reason codes of CONNACK, of PUBACK and PUBREC, and of SUBACK, with which a broker refuses.
export const CONNACK_REFUSALS = [0x80, 0x83, 0x87, 0x88, 0x89, 0x8a, 0x97, 0x9c, 0x9f];
export const PUBLISH_REFUSALS = [0x80, 0x83, 0x87, 0x90, 0x97, 0x99];
export const SUBSCRIBE_REFUSALS = [0x80, 0x83, 0x87, 0x8f, 0x97];
/** Reason codes of UNSUBACK. */
export const UNSUBSCRIBED = 0;
export const NO_SUBSCRIPTION_EXISTED = 0x11;
export const NO_MATCHING_SUBSCRIBERS = 0x10;
export const PACKET_IDENTIFIER_NOT_FOUND = 0x92;
export const ADMINISTRATIVE_ACTION = 0x98;
// Reason codes with which a client answers, or refuses.
export const MALFORMED_PACKET = 0x81;
export const PROTOCOL_ERROR = 0x82;
export const RECEIVE_MAXIMUM_EXCEEDED = 0x93;
export const TOPIC_ALIAS_INVALID = 0x94;
export const PACKET_TOO_LARGE = 0x95;
export const RETAIN_NOT_SUPPORTED = 0x9a;
export const QOS_NOT_SUPPORTED = 0x9b;
export const IDENTIFIERS_NOT_SUPPORTED = 0xa1;
export const WILDCARDS_NOT_SUPPORTED = 0xa2;

/**
 * The reason code with which a message of so many bytes has to be refused; 0: none. RETAIN before QoS before size, as
 * the client has it.
 */
export function refusalOf(limits: Limits, qos: number, retain: boolean, length: number): number {
  if (retain && !limits.retainAvailable) return RETAIN_NOT_SUPPORTED;
  if (qos > limits.maximumQoS) return QOS_NOT_SUPPORTED;
  return length > limits.maximumPacketSize ? PACKET_TOO_LARGE : 0;
}

/** What is known of a client by the time a broker breaks the rules. */
export interface Victim {
  readonly topicAliasMaximum: number;
  readonly maximumPacketSize: number;
  /** An alias that it takes and that the broker has not set; 0: there is none. */
  readonly unknownAlias: number;
}

/** Something that no broker may send, and the reason codes that answer it. */
export interface Offence {
  readonly name: string;
  readonly answers: readonly number[];
  /** Undefined: not to this client. */
  readonly bytes: (victim: Victim) => number[] | undefined;
}

const TOPIC = [0, 3, 0x6f, 0x2f, 0x78];

/** A PUBLISH at QoS 0 with these properties. */
function publish(topic: number[], properties: number[]): number[] {
  return [0x30, topic.length + 1 + properties.length, ...topic, properties.length, ...properties];
}

export const UNKNOWN_ALIAS: Offence = {
  name: "an alias that is not known",
  answers: [PROTOCOL_ERROR],
  bytes: ({ unknownAlias: alias }) => alias === 0 ? undefined : publish([0, 0], [35, alias >> 8, alias & 255]),
};

export const OFFENCES: readonly Offence[] = [
  { name: "alias 0", answers: [TOPIC_ALIAS_INVALID], bytes: () => publish(TOPIC, [35, 0, 0]) },
  {
    name: "an alias above the maximum",
    answers: [TOPIC_ALIAS_INVALID],
    bytes: ({ topicAliasMaximum: most }) => publish(TOPIC, [35, (most + 1) >> 8, (most + 1) & 255]),
  },
  UNKNOWN_ALIAS,
  { name: "no topic and no alias", answers: [PROTOCOL_ERROR], bytes: () => publish([0, 0], []) },
  {
    name: "too large a packet",
    answers: [PACKET_TOO_LARGE],
    bytes: ({ maximumPacketSize: most }) => {
      if (most > 1024) return undefined;
      const length = most - 1;
      const body = [...TOPIC, 0, ...new Array<number>(length - 6).fill(0x20)];
      return length < 128 ? [0x30, length, ...body] : [0x30, (length & 127) | 128, length >> 7, ...body];
    },
  },
  {
    name: "a property that has no place there",
    answers: [MALFORMED_PACKET],
    bytes: () => publish(TOPIC, [17, 0, 0, 0, 1]),
  },
  { name: "a property that is cut short", answers: [MALFORMED_PACKET], bytes: () => publish(TOPIC, [2, 0, 0]) },
  {
    name: "a property twice",
    answers: [PROTOCOL_ERROR],
    bytes: () => publish(TOPIC, [2, 0, 0, 0, 1, 2, 0, 0, 0, 1]),
  },
  { name: "subscription identifier 0", answers: [PROTOCOL_ERROR], bytes: () => publish(TOPIC, [11, 0]) },
  { name: "a wildcard in a topic", answers: [MALFORMED_PACKET], bytes: () => publish([0, 3, 0x6f, 0x2f, 0x2b], []) },
  { name: "PUBREL with other flags", answers: [MALFORMED_PACKET], bytes: () => [0x60, 2, 0, 1] },
  { name: "QoS 3", answers: [MALFORMED_PACKET], bytes: () => [0x36, 8, ...TOPIC, 0, 1, 0] },
  { name: "packet id 0", answers: [PROTOCOL_ERROR], bytes: () => [0x32, 8, ...TOPIC, 0, 0, 0] },
  { name: "another CONNACK", answers: [PROTOCOL_ERROR], bytes: () => [0x20, 3, 0, 0, 0] },
  { name: "AUTH", answers: [PROTOCOL_ERROR], bytes: () => [0xf0, 0] },
  { name: "a reason code that PUBACK has not", answers: [PROTOCOL_ERROR], bytes: () => [0x40, 3, 0, 1, 1] },
  {
    name: "DISCONNECT with a session expiry interval",
    answers: [PROTOCOL_ERROR],
    bytes: () => [0xe0, 7, 0, 5, 17, 0, 0, 0, 1],
  },
];

/** The same in the place of CONNACK. */
export const FIRST_OFFENCES: readonly Offence[] = [
  { name: "PUBLISH before CONNACK", answers: [PROTOCOL_ERROR], bytes: () => publish(TOPIC, []) },
  { name: "CONNACK with a reserved flag", answers: [MALFORMED_PACKET], bytes: () => [0x20, 3, 2, 0, 0] },
  { name: "CONNACK with receive maximum 0", answers: [PROTOCOL_ERROR], bytes: () => [0x20, 6, 0, 0, 3, 33, 0, 0] },
  {
    name: "CONNACK with a property twice",
    answers: [PROTOCOL_ERROR],
    bytes: () => [0x20, 9, 0, 0, 6, 34, 0, 1, 34, 0, 1],
  },
  { name: "Session Present with a refusal", answers: [PROTOCOL_ERROR], bytes: () => [0x20, 3, 1, 0x87, 0] },
];
/** Of a client that has said Clean Start. */
export const PRESENT: Offence = {
  name: "Session Present with Clean Start",
  answers: [PROTOCOL_ERROR],
  bytes: () => [0x20, 3, 1, 0, 0],
};
/** More QoS 2 messages than the client takes. */
export const FLOOD = "more than the receive maximum";
