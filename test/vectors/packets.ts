/**
 * Packets of MQTT 3.1.1, bytes beside meaning: an encoder makes exactly these bytes, a decoder finds exactly this
 * meaning. Bytes are written by hand after the specification, so that they are worth something as a witness.
 */
import type { Packet, Sender } from "../support/packets.js";
import { wire } from "../support/bytes.js";

export interface Vector {
  title: string;
  /** Who may send it. */
  from: Sender[];
  bytes: Uint8Array;
  packet: Packet;
}

const CLIENT: Sender[] = ["client"];
const SERVER: Sender[] = ["server"];
const BOTH: Sender[] = ["client", "server"];

/** A PUBLISH at QoS 0, no flag set; the vectors say what differs. */
const message = { type: "PUBLISH", dup: false, qos: 0, retain: false, packetId: 0, payload: "" } as const;

export const vectors: Vector[] = [
  vector("CONNECT with nothing but a client identifier", CLIENT, "10 0d 0004 'MQTT' 04 02 003c 0001 'a'", {
    type: "CONNECT",
    clientId: "a",
    cleanSession: true,
    keepAliveSeconds: 60,
  }),
  vector("CONNECT with an empty client identifier", CLIENT, "10 0c 0004 'MQTT' 04 02 0000 0000", {
    type: "CONNECT",
    clientId: "",
    cleanSession: true,
    keepAliveSeconds: 0,
  }),
  vector("CONNECT for a persistent session, longest keep alive", CLIENT, "10 0e 0004 'MQTT' 04 00 ffff 0002 'ab'", {
    type: "CONNECT",
    clientId: "ab",
    cleanSession: false,
    keepAliveSeconds: 65535,
  }),
  // Flags and keep alive of the example in section 3.1.2.11.
  vector(
    "CONNECT with every field",
    CLIENT,
    "10 28 0004 'MQTT' 04 ce 000a 0006 'sensor' 0004 'gone' 0003 'bye' 0004 'user' 0003 'key'",
    {
      type: "CONNECT",
      clientId: "sensor",
      cleanSession: true,
      keepAliveSeconds: 10,
      will: { topicName: "gone", message: "bye", qos: 1, retain: false },
      username: "user",
      password: "key",
    },
  ),
  vector("CONNECT with a retained will at QoS 2", CLIENT, "10 15 0004 'MQTT' 04 34 0100 0001 'c' 0002 'w/' 0002 ff00", {
    type: "CONNECT",
    clientId: "c",
    cleanSession: false,
    keepAliveSeconds: 256,
    will: { topicName: "w/", message: "\xff\x00", qos: 2, retain: true },
  }),
  vector("CONNECT with an empty will message", CLIENT, "10 12 0004 'MQTT' 04 06 003c 0001 'c' 0001 'w' 0000", {
    type: "CONNECT",
    clientId: "c",
    cleanSession: true,
    keepAliveSeconds: 60,
    will: { topicName: "w", message: "", qos: 0, retain: false },
  }),
  vector("CONNECT with a username alone", CLIENT, "10 10 0004 'MQTT' 04 82 003c 0001 'c' 0001 'u'", {
    type: "CONNECT",
    clientId: "c",
    cleanSession: true,
    keepAliveSeconds: 60,
    username: "u",
  }),
  vector("CONNECT with empty username and password", CLIENT, "10 11 0004 'MQTT' 04 c2 003c 0001 'c' 0000 0000", {
    type: "CONNECT",
    clientId: "c",
    cleanSession: true,
    keepAliveSeconds: 60,
    username: "",
    password: "",
  }),
  vector(
    "CONNECT with text beyond ASCII and a binary password",
    CLIENT,
    "10 1e 0004 'MQTT' 04 c2 003c 0006 'épée' 0004 '😀' 0004 00fffe80",
    {
      type: "CONNECT",
      clientId: "épée",
      cleanSession: true,
      keepAliveSeconds: 60,
      username: "😀",
      password: "\x00\xff\xfe\x80",
    },
  ),

  vector("CONNACK: accepted", SERVER, "20 02 00 00", { type: "CONNACK", sessionPresent: false, returnCode: 0 }),
  vector("CONNACK: session present", SERVER, "20 02 01 00", { type: "CONNACK", sessionPresent: true, returnCode: 0 }),
  ...[1, 2, 3, 4, 5].map((returnCode) =>
    vector(`CONNACK: return code ${returnCode}`, SERVER, `20 02 00 0${returnCode}`, {
      type: "CONNACK",
      sessionPresent: false,
      returnCode,
    }),
  ),
  vector("CONNACK: a return code that is reserved", SERVER, "20 02 00 ff", {
    type: "CONNACK",
    sessionPresent: false,
    returnCode: 255,
  }),

  vector("PUBLISH without a payload", BOTH, "30 05 0003 'a/b'", { ...message, topicName: "a/b" }),
  vector("PUBLISH at QoS 0, retained", BOTH, "31 08 0001 'a' 'hello'", {
    ...message,
    retain: true,
    topicName: "a",
    payload: "hello",
  }),
  // The example in section 3.3.2.
  vector("PUBLISH at QoS 1", BOTH, "32 08 0003 'a/b' 000a '!'", {
    ...message,
    qos: 1,
    packetId: 10,
    topicName: "a/b",
    payload: "!",
  }),
  vector("PUBLISH at QoS 1 without a payload", BOTH, "32 07 0003 'a/b' 0100", {
    ...message,
    qos: 1,
    packetId: 256,
    topicName: "a/b",
  }),
  vector("PUBLISH at QoS 2", BOTH, "34 07 0001 'q' 0001 00ff", {
    ...message,
    qos: 2,
    packetId: 1,
    topicName: "q",
    payload: "\x00\xff",
  }),
  vector("PUBLISH at QoS 1, sent again, retained", BOTH, "3b 07 0001 't' ffff 'ok'", {
    ...message,
    dup: true,
    qos: 1,
    retain: true,
    packetId: 65535,
    topicName: "t",
    payload: "ok",
  }),
  vector("PUBLISH at QoS 2, sent again, retained", BOTH, "3d 05 0001 't' 0203", {
    ...message,
    dup: true,
    qos: 2,
    retain: true,
    packetId: 515,
    topicName: "t",
  }),
  vector("PUBLISH whose topic is not ASCII", BOTH, "30 15 000f 'fenêtre/温度' '21°'", {
    ...message,
    topicName: "fenêtre/温度",
    payload: "21\xc2\xb0",
  }),
  // [MQTT-1.5.3-3]
  vector("PUBLISH whose topic begins with U+FEFF", BOTH, "30 06 0004 efbbbf 'a'", { ...message, topicName: "\ufeffa" }),
  vector("PUBLISH to the topic of a broker's own, with spaces and slashes", BOTH, "30 0a 0008 '$SYS// /'", {
    ...message,
    topicName: "$SYS// /",
  }),
  vector("PUBLISH of 127 bytes behind the header", BOTH, `30 7f 0002 'ab' '${"x".repeat(123)}'`, {
    ...message,
    topicName: "ab",
    payload: "x".repeat(123),
  }),
  vector("PUBLISH of 128 bytes behind the header", BOTH, `30 8001 0002 'ab' '${"x".repeat(124)}'`, {
    ...message,
    topicName: "ab",
    payload: "x".repeat(124),
  }),

  vector("PUBACK", BOTH, "40 02 0102", { type: "PUBACK", packetId: 0x0102 }),
  vector("PUBREC", BOTH, "50 02 0001", { type: "PUBREC", packetId: 1 }),
  vector("PUBREL", BOTH, "62 02 ffff", { type: "PUBREL", packetId: 65535 }),
  vector("PUBCOMP", BOTH, "70 02 0100", { type: "PUBCOMP", packetId: 256 }),

  vector("SUBSCRIBE to one filter", CLIENT, "82 06 0001 0001 'a' 00", {
    type: "SUBSCRIBE",
    packetId: 1,
    filters: [["a", 0]],
  }),
  // The example in section 3.8.3.
  vector("SUBSCRIBE to two filters", CLIENT, "82 0e 000a 0003 'a/b' 01 0003 'c/d' 02", {
    type: "SUBSCRIBE",
    packetId: 10,
    filters: [["a/b", 1], ["c/d", 2]],
  }),
  vector("SUBSCRIBE to wildcards", CLIENT, "82 15 ffff 0001 '#' 02 0001 '+' 01 0008 '+/é/+/#' 00", {
    type: "SUBSCRIBE",
    packetId: 65535,
    filters: [["#", 2], ["+", 1], ["+/é/+/#", 0]],
  }),
  vector("SUBACK with one code", SERVER, "90 03 000a 01", { type: "SUBACK", packetId: 10, returnCodes: [1] }),
  vector("SUBACK with every code", SERVER, "90 06 ffff 00 01 02 80", {
    type: "SUBACK",
    packetId: 65535,
    returnCodes: [0, 1, 2, 0x80],
  }),

  vector("UNSUBSCRIBE from one filter", CLIENT, "a2 05 0100 0001 '#'", {
    type: "UNSUBSCRIBE",
    packetId: 256,
    filters: ["#"],
  }),
  // The example in section 3.10.3.
  vector("UNSUBSCRIBE from two filters", CLIENT, "a2 0c 000a 0003 'a/b' 0003 'c/d'", {
    type: "UNSUBSCRIBE",
    packetId: 10,
    filters: ["a/b", "c/d"],
  }),
  vector("UNSUBACK", SERVER, "b0 02 000a", { type: "UNSUBACK", packetId: 10 }),

  vector("PINGREQ", CLIENT, "c0 00", { type: "PINGREQ" }),
  vector("PINGRESP", SERVER, "d0 00", { type: "PINGRESP" }),
  vector("DISCONNECT", CLIENT, "e0 00", { type: "DISCONNECT" }),
];

function vector(title: string, from: Sender[], notation: string, packet: Packet): Vector {
  return { title, from, bytes: wire(notation), packet };
}

/** Those that `sender` may send. */
export function vectorsFrom(sender: Sender): Vector[] {
  return vectors.filter(({ from }) => from.includes(sender));
}
