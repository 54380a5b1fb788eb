/** Generators of valid packets and of ways to cut a stream, for fast-check. */
import fc from "fast-check";
import type { Packet, Sender } from "./packets.js";

export const qos = fc.integer({ min: 0, max: 2 });
export const packetId = fc.integer({ min: 1, max: 65535 });
/** Any characters but U+0000; lone surrogates are no characters. */
export const text = fc.string({ unit: "binary", maxLength: 12 }).map((string) => string.replaceAll("\0", " "));
export const topicName = fc
  .string({ unit: "binary", minLength: 1, maxLength: 12 })
  .map((string) => string.replace(/[\0+#]/g, "/"));
const level = fc.oneof(fc.constantFrom("", "+", "a", "é", "温度"), topicName.map((name) => name.replaceAll("/", "-")));
// An object's keys that look like array indices move to the front: no filter begins with a digit.
const topicFilter = fc
  .tuple(fc.array(level, { minLength: 1, maxLength: 3 }), fc.boolean())
  .map(([levels, isMultiLevel]) => levels.concat(isMultiLevel ? ["#"] : []).join("/"))
  .map((filter) => (filter === "" ? "/" : /^\d/.test(filter) ? `/${filter}` : filter));
export const topicFilters = fc.uniqueArray(topicFilter, { minLength: 1, maxLength: 4 });

/** A string with one character per byte. */
export function binary(maxLength: number): fc.Arbitrary<string> {
  return fc.uint8Array({ maxLength }).map((bytes) => Buffer.from(bytes).toString("latin1"));
}

const connect = fc.record(
  {
    type: fc.constant("CONNECT" as const),
    clientId: text,
    cleanSession: fc.boolean(),
    keepAliveSeconds: fc.integer({ min: 0, max: 65535 }),
    will: fc.record({ topicName, message: binary(20), qos, retain: fc.boolean() }),
    username: text,
    password: binary(20),
  },
  { requiredKeys: ["type", "clientId", "cleanSession", "keepAliveSeconds"] },
).map((packet): Packet => {
  // A password goes with a username only [MQTT-3.1.2-22].
  if ("password" in packet && !("username" in packet)) return { ...packet, username: "" };
  return packet;
});

const publish = fc
  .record({
    type: fc.constant("PUBLISH" as const),
    dup: fc.boolean(),
    qos,
    retain: fc.boolean(),
    packetId,
    topicName,
    // Often around the length where the header grows.
    payload: fc.oneof(binary(20), binary(300)),
  })
  .map((packet) => (packet.qos === 0 ? { ...packet, dup: false, packetId: 0 } : packet));

const ack = fc.record({ type: fc.constantFrom("PUBACK", "PUBREC", "PUBREL", "PUBCOMP"), packetId });

const fromClient: fc.Arbitrary<Packet>[] = [
  connect,
  publish,
  ack,
  fc.record({
    type: fc.constant("SUBSCRIBE"),
    packetId,
    filters: topicFilters.chain((filters) => fc.tuple(...filters.map((filter) => fc.tuple(fc.constant(filter), qos)))),
  }),
  fc.record({ type: fc.constant("UNSUBSCRIBE"), packetId, filters: topicFilters }),
  fc.record({ type: fc.constantFrom("PINGREQ", "DISCONNECT") }),
];

const fromServer: fc.Arbitrary<Packet>[] = [
  fc.record({ type: fc.constant("CONNACK"), sessionPresent: fc.boolean(), returnCode: fc.nat(255) }).map((packet) =>
    packet.sessionPresent ? { ...packet, returnCode: 0 } : packet,
  ),
  publish,
  ack,
  fc.record({
    type: fc.constant("SUBACK"),
    packetId,
    returnCodes: fc.array(fc.constantFrom(0, 1, 2, 0x80), { minLength: 1, maxLength: 140 }),
  }),
  fc.record({ type: fc.constant("UNSUBACK"), packetId }),
  fc.record({ type: fc.constant("PINGRESP") }),
];

/** A packet that `sender` may send. */
export function packetFrom(sender: Sender): fc.Arbitrary<Packet> {
  return fc.oneof(...(sender === "client" ? fromClient : fromServer));
}

/** A message. */
export const anyPublish = publish;

/** Lengths of chunks, to be repeated. */
export const chunkSizes = fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }), fc.integer({ min: 1, max: 200 })), {
  minLength: 1,
  maxLength: 8,
});

/** Changes a stream at one place. */
export const mutation = fc
  .record({
    kind: fc.constantFrom("flip", "set", "insert", "remove", "repeat", "cut"),
    at: fc.nat(65535),
    value: fc.oneof(fc.nat(255), fc.constantFrom(0, 1, 2, 0x7f, 0x80, 0xff)),
  })
  .map(({ kind, at, value }) => (bytes: Uint8Array): Uint8Array => {
    const array = [...bytes];
    const index = at % array.length;
    if (kind === "flip") array[index] ^= 1 << (value & 7);
    else if (kind === "set") array[index] = value;
    else if (kind === "insert") array.splice(index, 0, value);
    else if (kind === "remove" && array.length > 1) array.splice(index, 1);
    else if (kind === "repeat") array.splice(index, 0, ...array.slice(index, index + (value & 15)));
    else if (kind === "cut" && index > 0) array.length = index;
    return new Uint8Array(array);
  });
