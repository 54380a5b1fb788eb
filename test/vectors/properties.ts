/**
 * The 27 properties of MQTT 5 after table 2-4 and section 2.2.2.2: where each may stand, and a value beside its bytes,
 * written by hand.
 */
export interface PropertyVector {
  name: string;
  id: number;
  type: "byte" | "uint16" | "uint32" | "varint" | "binary" | "string" | "pair";
  /** Types of packets, and WILL. */
  packets: string[];
  /** As `toObject` has it, but one of several where it has an array. */
  value: number | string | Uint8Array | [string, string];
  /** With the identifier in front; in the notation of `wire`. */
  notation: string;
}

const EVERYWHERE =
  "WILL CONNECT CONNACK PUBLISH PUBACK PUBREC PUBREL PUBCOMP SUBSCRIBE SUBACK UNSUBSCRIBE UNSUBACK DISCONNECT AUTH";
const ANSWERS = "CONNACK PUBACK PUBREC PUBREL PUBCOMP SUBACK UNSUBACK DISCONNECT AUTH";
const bytes = new Uint8Array([0, 255]);

export const PROPERTIES: PropertyVector[] = [
  row("payloadFormatIndicator", 1, "byte", "PUBLISH WILL", 1, "01 01"),
  row("messageExpiryInterval", 2, "uint32", "PUBLISH WILL", 16909060, "02 01020304"),
  row("contentType", 3, "string", "PUBLISH WILL", "a/é", "03 0004 'a/é'"),
  row("responseTopic", 8, "string", "PUBLISH WILL", "r/t", "08 0003 'r/t'"),
  row("correlationData", 9, "binary", "PUBLISH WILL", bytes, "09 0002 00ff"),
  row("subscriptionIdentifier", 11, "varint", "PUBLISH SUBSCRIBE", 300, "0b ac02"),
  row("sessionExpiryInterval", 17, "uint32", "CONNECT CONNACK DISCONNECT", 4294967295, "11 ffffffff"),
  row("assignedClientIdentifier", 18, "string", "CONNACK", "id", "12 0002 'id'"),
  row("serverKeepAlive", 19, "uint16", "CONNACK", 258, "13 0102"),
  row("authenticationMethod", 21, "string", "CONNECT CONNACK AUTH", "SCRAM", "15 0005 'SCRAM'"),
  row("authenticationData", 22, "binary", "CONNECT CONNACK AUTH", bytes, "16 0002 00ff"),
  row("requestProblemInformation", 23, "byte", "CONNECT", 0, "17 00"),
  row("willDelayInterval", 24, "uint32", "WILL", 2147483648, "18 80000000"),
  row("requestResponseInformation", 25, "byte", "CONNECT", 1, "19 01"),
  row("responseInformation", 26, "string", "CONNACK", "", "1a 0000"),
  row("serverReference", 28, "string", "CONNACK DISCONNECT", "b:1883", "1c 0006 'b:1883'"),
  row("reasonString", 31, "string", ANSWERS, "no", "1f 0002 'no'"),
  row("receiveMaximum", 33, "uint16", "CONNECT CONNACK", 65535, "21 ffff"),
  row("topicAliasMaximum", 34, "uint16", "CONNECT CONNACK", 0, "22 0000"),
  row("topicAlias", 35, "uint16", "PUBLISH", 256, "23 0100"),
  row("maximumQoS", 36, "byte", "CONNACK", 1, "24 01"),
  row("retainAvailable", 37, "byte", "CONNACK", 0, "25 00"),
  row("userProperty", 38, "pair", EVERYWHERE, ["k", "vé"], "26 0001 'k' 0003 'vé'"),
  row("maximumPacketSize", 39, "uint32", "CONNECT CONNACK", 65536, "27 00010000"),
  row("wildcardSubscriptionAvailable", 40, "byte", "CONNACK", 0, "28 00"),
  row("subscriptionIdentifierAvailable", 41, "byte", "CONNACK", 1, "29 01"),
  row("sharedSubscriptionAvailable", 42, "byte", "CONNACK", 0, "2a 00"),
];

function row(
  name: string,
  id: number,
  type: PropertyVector["type"],
  packets: string,
  value: PropertyVector["value"],
  notation: string,
): PropertyVector {
  return { name, id, type, packets: packets.split(" "), value, notation };
}
