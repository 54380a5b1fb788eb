/** MQTT 5: which devices speak it, and what their applications say that 3.1.1 has no words for. */
import type { GivenProperties } from "../../src/v5/face.js";
import { QUEUE_OFFLINE, QUEUE_POLICY } from "./policy.js";
import type { DevicePlan } from "./plan.js";
import { Random } from "./random.js";
import { SNAPSHOTS } from "./snapshots.js";
import { STAYING } from "./staying.js";
import { STREAMS } from "./streams.js";

/** What a device that speaks MQTT 5 is like. Counts of 100 unless said otherwise. */
export interface Version5 {
  readonly topicAliasMaximum: number;
  readonly topicAliases: number;
  /** Of CONNECT; undefined: the application does not say. */
  readonly sessionExpiryInterval: number | undefined;
  readonly maximumPacketSize: number | undefined;
  /** The broker is to choose the client identifier. */
  readonly isNameless: boolean;
  /** The broker may choose the keep alive time. */
  readonly isPatient: boolean;
  /** Messages that expire. */
  readonly expiring: number;
  /** Operations with other properties. */
  readonly talkative: number;
  /** Topics that it publishes to. */
  readonly topics: number;
}

/** Told from what is drawn already, so that schedules without such devices are what they were before there were any. */
export function drawVersion5(plan: DevicePlan): Version5 | undefined {
  const { clockMs, options, isClean, features } = plan;
  const random = new Random(clockMs * 4096 + options.txCapacity);
  if (!random.chance(45)) return undefined;
  const stays = features.includes(STAYING);
  const mayEnd = !isClean && !stays && !features.includes(QUEUE_OFFLINE) && !features.includes(SNAPSHOTS);
  const expiry = stays ? undefined : random.pick([
    undefined, undefined, undefined, 1, 5, 30, 1000000, 4294967295, ...(isClean || mayEnd ? [0] : []),
  ]);
  return {
    topicAliasMaximum: random.pick([0, 1, 2, 8, 300]),
    topicAliases: random.pick([0, 1, 2, 3, 8]),
    sessionExpiryInterval: expiry,
    maximumPacketSize: stays || random.chance(50) ? undefined : random.pick([40, 100, 100000, 100000]),
    isNameless: isClean && random.chance(20),
    isPatient: !features.includes(STREAMS) && random.chance(30),
    expiring: features.includes(QUEUE_POLICY) ? 0 : random.pick([0, 0, 30, 80]),
    talkative: features.includes(QUEUE_POLICY) ? 0 : random.pick([0, 20, 60]),
    topics: random.pick([1, 3, 3, 6, 12]),
  };
}

/** Seconds that the session is to be kept, as CONNECT says. */
export function expiryOf({ sessionExpiryInterval }: Version5, isClean: boolean): number {
  return sessionExpiryInterval ?? (isClean ? 0 : 4294967295);
}

/** Properties of CONNECT that the application gives; undefined: none. */
export function connectProperties({ sessionExpiryInterval, maximumPacketSize }: Version5): GivenProperties | undefined {
  if (sessionExpiryInterval === undefined && maximumPacketSize === undefined) return undefined;
  return {
    ...(sessionExpiryInterval !== undefined && { sessionExpiryInterval }),
    ...(maximumPacketSize !== undefined && { maximumPacketSize }),
  };
}

/** Properties of a message; undefined: none. */
export function drawMessageProperties(
  random: Random, version: Version5, uid: number, isShort: boolean,
): GivenProperties | undefined {
  const given: GivenProperties = {};
  if (random.chance(version.expiring)) given.messageExpiryInterval = random.pick([0, 1, 1, 2, 5, 20, 100, 100000]);
  if (random.chance(version.talkative)) {
    if (random.chance(50)) given.contentType = `c${uid}`;
    if (random.chance(30)) given.userProperty = [["u", `${uid}`], ["u", ""]];
    if (random.chance(30)) given.payloadFormatIndicator = 1;
    if (!isShort && random.chance(10)) given.correlationData = "x".repeat(random.between(1, 130));
  }
  return Object.keys(given).length === 0 ? undefined : given;
}

/** Bytes of a PUBLISH without an alias. */
export function publishLength(
  topic: string, payload: string, qos: number, given: GivenProperties | undefined,
): number {
  let properties = 0;
  if (given?.messageExpiryInterval !== undefined) properties += 5;
  if (given?.contentType !== undefined) properties += 3 + given.contentType.length;
  for (const [name, value] of given?.userProperty ?? []) properties += 5 + name.length + value.length;
  if (given?.payloadFormatIndicator !== undefined) properties += 2;
  if (given?.correlationData !== undefined) properties += 3 + given.correlationData.length;
  const length = 2 + topic.length + (qos > 0 ? 2 : 0) + varint(properties) + properties + payload.length;
  return 1 + varint(length) + length;
}

function varint(value: number): number {
  return value < 128 ? 1 : value < 16384 ? 2 : 3;
}
