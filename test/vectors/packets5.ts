/**
 * Packets of MQTT 5, bytes beside meaning, as packets.ts has those of 3.1.1: written by hand after the specification.
 */
import { wire } from "../support/bytes.js";
import type { Sender } from "../support/packets.js";
import type { Packet5 } from "../support/packets5.js";

export interface Vector5 {
  title: string;
  /** Who may send it. */
  from: Sender[];
  bytes: Uint8Array;
  packet: Packet5;
  /** True when it is longer than it has to be: an encoder writes another form. */
  isLong: boolean;
}

const CLIENT: Sender[] = ["client"];
const SERVER: Sender[] = ["server"];
const BOTH: Sender[] = ["client", "server"];

/** A PUBLISH at QoS 0, no flag set; the vectors say what differs. */
const message = { type: "PUBLISH", dup: false, qos: 0, retain: false, packetId: 0, payload: "" } as const;
const connect = { type: "CONNECT", clientId: "c", cleanStart: true, keepAliveSeconds: 60 } as const;

export const vectors5: Vector5[] = [
  vector("CONNECT with nothing but a client identifier", CLIENT, "10 0e 0004 'MQTT' 05 02 003c 00 0001 'c'", connect),
  vector("CONNECT without one, to go on with a session", CLIENT, "10 0d 0004 'MQTT' 05 00 ffff 00 0000", {
    type: "CONNECT", clientId: "", cleanStart: false, keepAliveSeconds: 65535,
  }),
  vector("CONNECT with a password alone [MQTT5-3.1.2-19]", CLIENT,
    "10 12 0004 'MQTT' 05 42 003c 00 0001 'c' 0002 00ff", { ...connect, password: "\0\xff" }),
  vector("CONNECT with an empty user name", CLIENT,
    "10 10 0004 'MQTT' 05 82 003c 00 0001 'c' 0000", { ...connect, username: "" }),
  vector("CONNECT with a will without properties [MQTT5-3.1.2-9]", CLIENT,
    "10 14 0004 'MQTT' 05 06 003c 00 0001 'c' 00 0001 'w' 0000",
    { ...connect, will: { topicName: "w", message: "", qos: 0, retain: false } }),
  vector("CONNECT with a retained will at QoS 2 and its properties [MQTT5-3.1.3-1]", CLIENT,
    "10 2c 0004 'MQTT' 05 36 003c 00 0001 'c' 15 18 00000005 01 01 26 0001 'b' 0001 '2' 26 0001 'a' 0001 '1' " +
    "0001 'w' 0003 'bye'", {
      ...connect,
      will: {
        topicName: "w",
        message: "bye",
        qos: 2,
        retain: true,
        properties: { willDelayInterval: 5, payloadFormatIndicator: 1, userProperty: [["b", "2"], ["a", "1"]] },
      },
    }),
  vector("CONNECT with every field and properties of both kinds", CLIENT,
    "10 3d 0004 'MQTT' 05 ce 000a 0f 11 0000003c 21 0014 26 0001 'k' 0001 'v' 0003 'dev' " +
    "07 03 0004 'text' 0004 'gone' 0003 'bye' 0004 'user' 0003 'key'", {
      type: "CONNECT",
      clientId: "dev",
      cleanStart: true,
      keepAliveSeconds: 10,
      will: { topicName: "gone", message: "bye", qos: 1, retain: false, properties: { contentType: "text" } },
      username: "user",
      password: "key",
      properties: { sessionExpiryInterval: 60, receiveMaximum: 20, userProperty: [["k", "v"]] },
    }),
  vector("CONNECT with every property", CLIENT,
    "10 31 0004 'MQTT' 05 02 003c 23 11 00000001 21 0002 27 00000003 22 0004 19 01 17 00 26 0001 'k' 0000 " +
    "15 0001 'm' 16 0002 0001 0001 'c'", {
      ...connect,
      properties: {
        sessionExpiryInterval: 1,
        receiveMaximum: 2,
        maximumPacketSize: 3,
        topicAliasMaximum: 4,
        requestResponseInformation: 1,
        requestProblemInformation: 0,
        userProperty: [["k", ""]],
        authenticationMethod: "m",
        authenticationData: "\0\x01",
      },
    }),

  vector("CONNACK", SERVER, "20 03 00 00 00", { type: "CONNACK", sessionPresent: false, reasonCode: 0 }),
  vector("CONNACK with a session", SERVER, "20 03 01 00 00", { type: "CONNACK", sessionPresent: true, reasonCode: 0 }),
  vector("CONNACK that refuses and says why", SERVER, "20 0f 00 9c 0c 1f 0002 'no' 1c 0004 'b.eu'", {
    type: "CONNACK",
    sessionPresent: false,
    reasonCode: 0x9c,
    properties: { reasonString: "no", serverReference: "b.eu" },
  }),
  vector("CONNACK with every property", SERVER,
    "20 3e 01 00 3b 11 0000000a 21 0005 24 01 25 00 27 00000100 12 0001 'i' 22 0003 1f 0000 26 0001 'k' 0001 'v' " +
    "28 00 29 00 2a 00 13 000f 1a 0001 'r' 1c 0001 's' 15 0001 'm' 16 0001 00", {
      type: "CONNACK",
      sessionPresent: true,
      reasonCode: 0,
      properties: {
        sessionExpiryInterval: 10,
        receiveMaximum: 5,
        maximumQoS: 1,
        retainAvailable: 0,
        maximumPacketSize: 256,
        assignedClientIdentifier: "i",
        topicAliasMaximum: 3,
        reasonString: "",
        userProperty: [["k", "v"]],
        wildcardSubscriptionAvailable: 0,
        subscriptionIdentifierAvailable: 0,
        sharedSubscriptionAvailable: 0,
        serverKeepAlive: 15,
        responseInformation: "r",
        serverReference: "s",
        authenticationMethod: "m",
        authenticationData: "\0",
      },
    }),

  vector("PUBLISH at QoS 0 without a payload [MQTT5-2.2.1-2]", BOTH, "30 04 0001 't' 00", {
    ...message, topicName: "t",
  }),
  vector("PUBLISH at QoS 1, retained", BOTH, "33 0a 0003 'a/b' 000a 00 0001", {
    ...message, qos: 1, retain: true, packetId: 10, topicName: "a/b", payload: "\0\x01",
  }),
  vector("PUBLISH at QoS 2, again", BOTH, "3c 0a 0001 't' ffff 00 '{\"\"}'", {
    ...message, dup: true, qos: 2, packetId: 65535, topicName: "t", payload: '{""}',
  }),
  vector("PUBLISH with the properties of a request", BOTH,
    "30 2b 0001 't' 25 01 01 02 0000003c 08 0003 'r/t' 09 0002 00ff 03 0003 'a/b' 26 0001 'k' 0001 'v' " +
    "26 0001 'k' 0000 'hi'", {
      ...message,
      topicName: "t",
      payload: "hi",
      properties: {
        payloadFormatIndicator: 1,
        messageExpiryInterval: 60,
        responseTopic: "r/t",
        correlationData: "\0\xff",
        contentType: "a/b",
        userProperty: [["k", "v"], ["k", ""]],
      },
    }),
  vector("PUBLISH that sets an alias, at QoS 1", BOTH, "32 0a 0001 't' 0001 03 23 0001 'p'", {
    ...message, qos: 1, packetId: 1, topicName: "t", payload: "p", properties: { topicAlias: 1 },
  }),
  vector("PUBLISH that uses an alias", BOTH, "30 07 0000 03 23 ffff 'p'", {
    ...message, topicName: null, payload: "p", properties: { topicAlias: 65535 },
  }),
  vector("PUBLISH that uses an alias, at QoS 2, without a payload", BOTH, "34 08 0000 0102 03 23 0001", {
    ...message, qos: 2, packetId: 258, topicName: null, properties: { topicAlias: 1 },
  }),
  vector("PUBLISH with Subscription Identifiers", SERVER, "30 0b 0001 't' 07 0b 01 0b 8001 0b 01", {
    ...message, topicName: "t", properties: { subscriptionIdentifier: [1, 128, 1] },
  }),

  ...(["PUBACK", "PUBREC", "PUBREL", "PUBCOMP"] as const).flatMap((type, i): Vector5[] => {
    const first = ["40", "50", "62", "70"][i];
    // Of the broker alone: No matching subscribers.
    const failure = i < 2 ? 0x97 : 0x92;
    const code = failure.toString(16);
    return [
      vector(`${type}, the shortest`, BOTH, `${first} 02 0102`, { type, packetId: 258, reasonCode: 0 }),
      vector(`${type} with a reason`, BOTH, `${first} 03 0001 ${code}`, { type, packetId: 1, reasonCode: failure }),
      long(`${type} with a reason of 0`, BOTH, `${first} 03 0001 00`, { type, packetId: 1, reasonCode: 0 }),
      long(`${type} with no properties`, BOTH, `${first} 04 0001 ${code} 00`, {
        type, packetId: 1, reasonCode: failure, properties: {},
      }),
      vector(`${type} with properties`, SERVER, `${first} 10 ffff 00 0c 1f 0002 'no' 26 0001 'k' 0001 'v'`, {
        type, packetId: 65535, reasonCode: 0, properties: { reasonString: "no", userProperty: [["k", "v"]] },
      }),
    ];
  }),
  vector("PUBREC that nobody subscribed", SERVER, "50 03 0001 10", { type: "PUBREC", packetId: 1, reasonCode: 0x10 }),

  vector("SUBSCRIBE to one filter", CLIENT, "82 07 000a 00 0001 '#' 01", {
    type: "SUBSCRIBE", packetId: 10, filters: [["#", 1]],
  }),
  vector("SUBSCRIBE with options and properties", CLIENT,
    "82 1e 0001 0a 0b 8001 26 0001 'k' 0001 'v' 0001 '+' 2e 000a '$share/g/#' 18", {
      type: "SUBSCRIBE",
      packetId: 1,
      filters: [["+", 0x2e], ["$share/g/#", 0x18]],
      properties: { subscriptionIdentifier: [128], userProperty: [["k", "v"]] },
    }),
  vector("SUBACK with each success and a failure", SERVER, "90 07 0001 00 00 01 02 80", {
    type: "SUBACK", packetId: 1, reasonCodes: [0, 1, 2, 0x80],
  }),
  vector("SUBACK with properties", SERVER, "90 08 0001 04 1f 0001 'n' 97", {
    type: "SUBACK", packetId: 1, reasonCodes: [0x97], properties: { reasonString: "n" },
  }),
  vector("UNSUBSCRIBE from two filters", CLIENT, "a2 0d 0100 00 0003 'a/b' 0003 '+/+'", {
    type: "UNSUBSCRIBE", packetId: 256, filters: ["a/b", "+/+"],
  }),
  vector("UNSUBSCRIBE with a property", CLIENT, "a2 0d 0001 07 26 0001 'k' 0001 'v' 0001 'a'", {
    type: "UNSUBSCRIBE", packetId: 1, filters: ["a"], properties: { userProperty: [["k", "v"]] },
  }),
  vector("UNSUBACK", SERVER, "b0 06 0001 00 00 11 87", { type: "UNSUBACK", packetId: 1, reasonCodes: [0, 0x11, 0x87] }),
  vector("UNSUBACK with properties", SERVER, "b0 08 0001 04 1f 0001 'n' 00", {
    type: "UNSUBACK", packetId: 1, reasonCodes: [0], properties: { reasonString: "n" },
  }),

  vector("PINGREQ", CLIENT, "c0 00", { type: "PINGREQ" }),
  vector("PINGRESP", SERVER, "d0 00", { type: "PINGRESP" }),

  vector("DISCONNECT, the shortest", BOTH, "e0 00", { type: "DISCONNECT", reasonCode: 0 }),
  long("DISCONNECT with a reason of 0", BOTH, "e0 01 00", { type: "DISCONNECT", reasonCode: 0 }),
  vector("DISCONNECT that asks for the will", CLIENT, "e0 02 04 00", {
    type: "DISCONNECT", reasonCode: 4, properties: {},
  }),
  vector("DISCONNECT of a client, with properties", CLIENT, "e0 0b 81 09 11 00000005 1f 0001 'x'", {
    type: "DISCONNECT", reasonCode: 0x81, properties: { sessionExpiryInterval: 5, reasonString: "x" },
  }),
  vector("DISCONNECT of a broker, with properties", SERVER, "e0 0b 9d 09 1c 0002 'b2' 1f 0001 'x'", {
    type: "DISCONNECT", reasonCode: 0x9d, properties: { serverReference: "b2", reasonString: "x" },
  }),

  vector("AUTH of the exchange", BOTH, "f0 0e 18 0c 15 0005 'SCRAM' 16 0001 00", {
    type: "AUTH", reasonCode: 0x18, properties: { authenticationMethod: "SCRAM", authenticationData: "\0" },
  }),
  vector("AUTH that begins anew", CLIENT, "f0 06 19 04 15 0001 'm'", {
    type: "AUTH", reasonCode: 0x19, properties: { authenticationMethod: "m" },
  }),
  vector("AUTH that says that it succeeded", SERVER, "f0 06 00 04 15 0001 'm'", {
    type: "AUTH", reasonCode: 0, properties: { authenticationMethod: "m" },
  }),
  vector("AUTH, the shortest", SERVER, "f0 00", { type: "AUTH", reasonCode: 0 }),
];

function vector(title: string, from: Sender[], notation: string, packet: Packet5): Vector5 {
  return { title, from, bytes: wire(notation), packet, isLong: false };
}

function long(title: string, from: Sender[], notation: string, packet: Packet5): Vector5 {
  return { ...vector(title, from, notation, packet), isLong: true };
}

/** Those that `sender` may send. */
export function vectorsFrom5(sender: Sender): Vector5[] {
  return vectors5.filter(({ from }) => from.includes(sender));
}
