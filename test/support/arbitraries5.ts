/** Generators of packets of MQTT 5, as arbitraries.ts has those of 3.1.1. */
import fc from "fast-check";
import { isReason } from "../../src/v5/reasons.js";
import type { PropertyVector } from "../vectors/properties.js";
import { PROPERTIES } from "../vectors/properties.js";
import { binary, packetId, qos, text, topicFilters, topicName } from "./arbitraries.js";
import type { Sender } from "./packets.js";
import { TYPES } from "./packets.js";
import type { Packet5, Properties5 } from "./packets5.js";

const several = { minLength: 1, maxLength: 3 };

/** A value of a property as packets have it. */
function valueOf({ name, type }: PropertyVector): fc.Arbitrary<unknown> {
  const least = name === "receiveMaximum" || name === "maximumPacketSize" || name === "topicAlias" ? 1 : 0;
  switch (type) {
    case "byte":
      return fc.nat(1);
    case "uint16":
      return fc.integer({ min: least, max: 65535 });
    case "uint32":
      return fc.integer({ min: least, max: 4294967295 });
    case "varint":
      return fc.array(fc.oneof(fc.integer({ min: 1, max: 200 }), fc.integer({ min: 1, max: 268435455 })), several);
    case "binary":
      return fc.oneof(binary(9), binary(140));
    case "string":
      return name === "responseTopic" ? topicName : text;
    case "pair":
      return fc.array(fc.tuple(text, text), several);
  }
}

/** Properties that a packet of this type may have, from this side; often none. */
function propertiesOf(packet: string, sender: Sender): fc.Arbitrary<Properties5> {
  const rows = PROPERTIES.filter(({ name, packets }) => {
    if (packet === "PUBLISH" && name === "subscriptionIdentifier" && sender === "client") return false;
    if (packet === "DISCONNECT" && name === "sessionExpiryInterval" && sender === "server") return false;
    return packets.includes(packet);
  });
  const values = rows.map((row) => {
    const value = valueOf(row);
    const isOne = packet === "SUBSCRIBE" && row.type === "varint";
    return [row.name, isOne ? value.map((all) => (all as unknown[]).slice(0, 1)) : value] as const;
  });
  const any = fc.record(Object.fromEntries(values), { requiredKeys: [] });
  return fc.oneof(fc.constant({}), any.map((properties) => {
    // There is no data without a method.
    const names = Object.keys(properties).filter((name) => (
      name !== "authenticationData" || "authenticationMethod" in properties
    ));
    return Object.fromEntries(names.map((name) => [name, properties[name]]));
  }));
}

/** A packet of this type with properties. */
function packet5(type: string, sender: Sender, fields: Record<string, fc.Arbitrary<unknown>>): fc.Arbitrary<Packet5> {
  return fc
    .record({ type: fc.constant(type), ...fields, properties: propertiesOf(type, sender) })
    .map((packet) => packet as unknown as Packet5);
}

/** Reason codes of a packet from this side. */
function reasonOf(type: number, sender: Sender): fc.Arbitrary<number> {
  const fromClient = [0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
  const all = Array.from({ length: 256 }, (_, code) => code).filter((code) => isReason(type, code));
  if (sender === "server") return fc.constantFrom(...all);
  return fc.constantFrom(...(type === TYPES.DISCONNECT ? fromClient : all.filter((code) => code !== 0x10)));
}

function publish(sender: Sender): fc.Arbitrary<Packet5> {
  const fields = {
    dup: fc.boolean(), qos, retain: fc.boolean(), packetId, topicName, payload: fc.oneof(binary(20), binary(300)),
  };
  return fc.tuple(packet5("PUBLISH", sender, fields), fc.boolean()).map(([packet, hasTopic]): Packet5 => {
    if (packet.type !== "PUBLISH") return packet;
    const withId = packet.qos === 0 ? { ...packet, dup: false, packetId: 0 } : packet;
    return hasTopic || packet.properties?.topicAlias === undefined ? withId : { ...withId, topicName: null };
  });
}

function ack(type: "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP", sender: Sender): fc.Arbitrary<Packet5> {
  return packet5(type, sender, { packetId, reasonCode: reasonOf(TYPES[type], sender) });
}

/** What either side may send. */
function fromBoth(sender: Sender): fc.Arbitrary<Packet5>[] {
  return [
    publish(sender),
    publish(sender),
    ack("PUBACK", sender),
    ack("PUBREC", sender),
    ack("PUBREL", sender),
    ack("PUBCOMP", sender),
    packet5("DISCONNECT", sender, { reasonCode: reasonOf(TYPES.DISCONNECT, sender) }),
    packet5("AUTH", sender, { reasonCode: fc.constantFrom(0x18, sender === "client" ? 0x19 : 0) }).map((packet) => (
      { ...packet, properties: { authenticationMethod: "m", ...(packet as { properties: Properties5 }).properties } }
    )),
  ];
}

const options = fc
  .tuple(qos, fc.nat(3), fc.nat(2))
  .map(([highest, flags, handling]) => highest | (flags << 2) | (handling << 4));
const will = fc.record({
  topicName, message: binary(20), qos, retain: fc.boolean(), properties: propertiesOf("WILL", "client"),
});

const fromClient: fc.Arbitrary<Packet5>[] = [
  ...fromBoth("client"),
  fc
    .tuple(
      packet5("CONNECT", "client", {
        clientId: text, cleanStart: fc.boolean(), keepAliveSeconds: fc.integer({ min: 0, max: 65535 }),
      }),
      fc.record({ will, username: text, password: binary(20) }, { requiredKeys: [] }),
    )
    .map(([packet, fields]) => ({ ...packet, ...fields })),
  packet5("SUBSCRIBE", "client", {
    packetId,
    filters: topicFilters.chain((filters) => (
      fc.tuple(...filters.map((filter) => fc.tuple(fc.constant(filter), options)))
    )),
  }),
  packet5("UNSUBSCRIBE", "client", { packetId, filters: topicFilters }),
  fc.constant({ type: "PINGREQ" }),
];

const fromServer: fc.Arbitrary<Packet5>[] = [
  ...fromBoth("server"),
  packet5("CONNACK", "server", { sessionPresent: fc.boolean(), reasonCode: reasonOf(TYPES.CONNACK, "server") }).map(
    (packet) => (packet.type === "CONNACK" && packet.sessionPresent ? { ...packet, reasonCode: 0 } : packet),
  ),
  packet5("SUBACK", "server", {
    packetId, reasonCodes: fc.array(reasonOf(TYPES.SUBACK, "server"), { minLength: 1, maxLength: 140 }),
  }),
  packet5("UNSUBACK", "server", { packetId, reasonCodes: fc.array(reasonOf(TYPES.UNSUBACK, "server"), several) }),
  fc.constant({ type: "PINGRESP" }),
];

/** A packet that `sender` may send; each has properties, of which there may be none. */
export function packetFrom5(sender: Sender): fc.Arbitrary<Packet5> {
  return fc.oneof(...(sender === "client" ? fromClient : fromServer));
}
