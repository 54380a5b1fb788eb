/** `traced` with `readMqtt5`: connections with MQTT 5, told as those with 3.1.1 are. */
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { MockHal } from "../../hal/mock.js";
import type { Hal, Socket, SocketHandler } from "../../hal/socket.js";
import { BAD_FIELD, BAD_HEADER, BAD_LENGTH, BAD_PACKET_ID, BAD_QOS, BAD_REMAINING_LENGTH } from "../../src/errors.js";
import type { Packet, TraceOptions } from "../../src/optional/trace.js";
import { describePacket, traced } from "../../src/optional/trace.js";
import { createMqtt5 } from "../../src/v5/face.js";
import { readMqtt5 } from "../../src/v5/trace.js";
import { binary, hex, join, wire } from "../support/bytes.js";
import { cuttings } from "../support/codec-suites.js";
import { chunkSizes } from "../support/arbitraries.js";
import { field, framed } from "../support/packets.js";

const SECRET = "s3cret-Wort";
const HANDLER: SocketHandler = { onReadable() {}, onWritable() {}, onError() {} };
/** Of a client "c", without anything. */
const CONNECT = wire("10 0e 0004 'MQTT' 05 02 003c 00 0001 'c'");
const EVERYTHING: TraceOptions = { payload: true, credentials: true, scratchCapacity: 100000 };

/** A connection on a traced mock, without a client, and what was told of it. */
class Line {
  readonly mock = new MockHal({ room: 1e6, window: 1e6 });
  readonly packets: Packet[] = [];
  readonly socket: Socket;

  constructor(options: TraceOptions = {}) {
    const hal = traced(this.mock, (packet) => this.packets.push(packet), { mqtt5: readMqtt5, ...options });
    this.socket = hal.open("broker", 1883, undefined, HANDLER)!;
    this.mock.settle();
    this.mock.socket.connect();
  }

  /** Has bytes pass in pieces, and returns what arrived. */
  pass(isSent: boolean, bytes: Uint8Array, sizes: number[] = [bytes.length]): Uint8Array {
    const arrived = new Uint8Array(bytes.length);
    if (!isSent) this.mock.socket.receive(bytes);
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const next = Math.min(at + sizes[i % sizes.length], bytes.length);
      if (isSent) this.socket.write(bytes, at, next);
      else this.socket.read(arrived, at, next);
      at = next;
    }
    return isSent ? this.mock.socket.takeSent() : arrived;
  }
}

/** The packets in a stream that passes behind CONNECT, without what is the same for all of them. */
function packetsIn(isSent: boolean, bytes: Uint8Array, options?: TraceOptions, sizes?: number[]): object[] {
  const line = new Line(options);
  if (isSent) {
    line.pass(true, join(CONNECT, bytes), sizes);
  } else {
    line.pass(true, CONNECT);
    line.pass(false, bytes, sizes);
  }
  return line.packets.slice(1).map(({ isSent: direction, connectionNumber, ...rest }) => {
    expect({ direction, connectionNumber }).toEqual({ direction: isSent, connectionNumber: 1 });
    return rest;
  });
}

/** However the stream is cut, in either direction; told are the names of members, too. */
function expectPackets(bytes: Uint8Array, expected: object[], options?: TraceOptions): void {
  for (const isSent of [true, false]) {
    for (const sizes of cuttings(bytes.length)) {
      const packets = packetsIn(isSent, bytes, options, sizes);
      expect({ sizes, packets }).toStrictEqual({ sizes, packets: expected });
    }
  }
}

const PUBACK_7 = wire("40 02 0007");
const ACK_7 = { type: "PUBACK", packetId: 7, reasonCode: 0, properties: {}, isPartial: false };

/** Properties that may stand in an acknowledgement. */
const WHY = "1f 0003 'why' 26 0001 'a' 0001 '1' 26 0001 'a' 0002 '22'";
const WHY_TOLD = { reasonString: "why", userProperty: [["a", "1"], ["a", "22"]] };

/** Properties behind their length. */
function properties(notation: string): Uint8Array {
  const bytes = wire(notation);
  return join(Uint8Array.of(bytes.length), bytes);
}

const ACKS: [title: string, bytes: Uint8Array, told: object][] = ([
  ["PUBACK", 0x40], ["PUBREC", 0x50], ["PUBREL", 0x62], ["PUBCOMP", 0x70],
] as const).flatMap(([type, first]): [string, Uint8Array, object][] => [
  [`${type} without a code`, framed(first, wire("0102")), { type, packetId: 258, reasonCode: 0, properties: {} }],
  [`${type} without properties`, framed(first, wire("0102 92")), {
    type, packetId: 258, reasonCode: 0x92, properties: {},
  }],
  [`${type} with properties`, framed(first, wire("0102 10"), properties(WHY)), {
    type, packetId: 258, reasonCode: 0x10, properties: WHY_TOLD,
  }],
]);

const PACKETS: [title: string, bytes: Uint8Array, told: object][] = [
  ["CONNACK as short as can be", framed(0x20, wire("00 00 00")), {
    type: "CONNACK", sessionPresent: false, returnCode: 0, properties: {},
  }],
  ["CONNACK of a broker that speaks 3.1.1", framed(0x20, wire("00 01")), {
    type: "CONNACK", sessionPresent: false, returnCode: 1, properties: {},
  }],
  [
    "CONNACK with all that it may say",
    framed(0x20, wire("01 00"), properties(
      "11 00000e10 21 0014 24 01 25 00 27 00010000 12 0002 'id' 22 000a 1f 0001 'r' 26 0001 'k' 0001 'v'" +
        " 28 01 29 00 2a 01 13 003c 1a 0002 'in' 1c 0003 'ref' 15 0001 'M' 16 0002 00ff",
    )),
    {
      type: "CONNACK",
      sessionPresent: true,
      returnCode: 0,
      properties: {
        sessionExpiryInterval: 3600,
        receiveMaximum: 20,
        maximumQoS: 1,
        retainAvailable: 0,
        maximumPacketSize: 65536,
        assignedClientIdentifier: "id",
        topicAliasMaximum: 10,
        reasonString: "r",
        userProperty: [["k", "v"]],
        wildcardSubscriptionAvailable: 1,
        subscriptionIdentifierAvailable: 0,
        sharedSubscriptionAvailable: 1,
        serverKeepAlive: 60,
        responseInformation: "in",
        serverReference: "ref",
        authenticationMethod: "M",
        authenticationData: Uint8Array.of(0, 255),
      },
    },
  ],
  [
    "PUBLISH with properties",
    framed(0x3d, field("t"), wire("0009"), properties(
      "01 01 02 000000ff 03 0004 'text' 08 0001 'r' 09 0002 c0de 0b 8001 0b 05 23 0003 26 0001 'a' 0001 'b'",
    ), binary("payload")),
    {
      type: "PUBLISH",
      topic: "t",
      payload: binary("payload"),
      payloadLength: 7,
      qos: 2,
      retain: true,
      dup: true,
      packetId: 9,
      properties: {
        payloadFormatIndicator: 1,
        messageExpiryInterval: 255,
        contentType: "text",
        responseTopic: "r",
        correlationData: Uint8Array.of(0xc0, 0xde),
        subscriptionIdentifier: [128, 5],
        topicAlias: 3,
        userProperty: [["a", "b"]],
      },
    },
  ],
  ["PUBLISH with an alias in place of its topic name", framed(0x30, field(""), properties("23 0001")), {
    type: "PUBLISH",
    topic: "",
    payload: new Uint8Array(0),
    payloadLength: 0,
    qos: 0,
    retain: false,
    dup: false,
    packetId: 0,
    properties: { topicAlias: 1 },
  }],
  ...ACKS,
  [
    "SUBSCRIBE with every option",
    framed(0x82, wire("0005"), properties("0b ffffff7f"), field("a/+"), wire("2e 0001 'b' 01 0001 'c' 10")),
    {
      type: "SUBSCRIBE",
      packetId: 5,
      subscriptions: [
        { topicFilter: "a/+", qos: 2, nl: true, rap: true, rh: 2 },
        { topicFilter: "b", qos: 1, nl: false, rap: false, rh: 0 },
        { topicFilter: "c", qos: 0, nl: false, rap: false, rh: 1 },
      ],
      properties: { subscriptionIdentifier: [268435455] },
    },
  ],
  ["SUBACK", framed(0x90, wire("0005 00 87 00 02")), {
    type: "SUBACK", packetId: 5, returnCodes: [0x87, 0, 2], properties: {},
  }],
  ["UNSUBACK with properties", framed(0xb0, wire("0005"), properties(WHY), wire("00 11")), {
    type: "UNSUBACK", packetId: 5, reasonCodes: [0, 0x11], properties: WHY_TOLD,
  }],
  [
    "UNSUBSCRIBE with properties",
    framed(0xa2, wire("0006"), properties("26 0001 'a' 0001 'b'"), field("x"), field("y")),
    { type: "UNSUBSCRIBE", packetId: 6, topicFilters: ["x", "y"], properties: { userProperty: [["a", "b"]] } },
  ],
  ["PINGREQ", wire("c0 00"), { type: "PINGREQ" }],
  ["PINGRESP", wire("d0 00"), { type: "PINGRESP" }],
  ["DISCONNECT without a code", wire("e0 00"), { type: "DISCONNECT", reasonCode: 0, properties: {} }],
  ["DISCONNECT without properties", wire("e0 01 04"), { type: "DISCONNECT", reasonCode: 4, properties: {} }],
  ["DISCONNECT with properties", framed(0xe0, wire("9c"), properties("11 00000000 1c 0003 'ref'")), {
    type: "DISCONNECT", reasonCode: 0x9c, properties: { sessionExpiryInterval: 0, serverReference: "ref" },
  }],
  ["AUTH without a code", wire("f0 00"), { type: "AUTH", reasonCode: 0, properties: {} }],
  ["AUTH with properties", framed(0xf0, wire("18"), properties("15 0001 'M' 16 0002 0102")), {
    type: "AUTH",
    reasonCode: 0x18,
    properties: { authenticationMethod: "M", authenticationData: Uint8Array.of(1, 2) },
  }],
];

/** CONNECT with everything: properties to 31 behind its header, client identifier to 35, ... */
const FULL_CONNECT = framed(
  0x10,
  field("MQTT"),
  wire("05 e6 003c"),
  properties("11 0000000a 15 0001 'M' 16 000b 's3cret-Wort'"),
  field("id"),
  properties("18 00000005 03 0001 't'"),
  field("/lwt"),
  field("gone for good"),
  field("user"),
  field(SECRET),
);
const FULL_TOLD = {
  type: "CONNECT",
  protocolLevel: 5,
  isBridge: false,
  cleansession: true,
  keepalive: 60,
  clientid: "id",
  hasUsername: true,
  hasPassword: true,
  username: "user",
  password: binary(SECRET),
  lwt: {
    topic: "/lwt",
    payload: binary("gone for good"),
    payloadLength: 13,
    qos: 0,
    retain: true,
    properties: { willDelayInterval: 5, contentType: "t" },
  },
  properties: { sessionExpiryInterval: 10, authenticationMethod: "M", authenticationData: binary(SECRET) },
  isPartial: false,
  isSent: true,
  connectionNumber: 1,
};

describe("Packets of MQTT 5", () => {
  it.each(PACKETS)("are told: %s, however the stream is cut, with packets before and behind", (_title, bytes, told) => {
    expectPackets(join(PUBACK_7, bytes, PUBACK_7), [ACK_7, { ...told, isPartial: false }, ACK_7], EVERYTHING);
  });

  it("are told of every type", () => {
    const types = new Set(PACKETS.map(([, bytes]) => bytes[0] >> 4));
    expect([...types].sort((a, b) => a - b)).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15]);
  });

  it("are told from CONNECT on, in both directions, however the stream is cut", () => {
    for (const sizes of cuttings(FULL_CONNECT.length + 4)) {
      const line = new Line(EVERYTHING);
      line.pass(true, join(FULL_CONNECT, PUBACK_7), sizes);
      line.pass(false, PUBACK_7);
      expect(line.packets).toStrictEqual([
        FULL_TOLD,
        { ...ACK_7, isSent: true, connectionNumber: 1 },
        { ...ACK_7, isSent: false, connectionNumber: 1 },
      ]);
    }
  });

  it("are told of their own connection: the next one may have another version", () => {
    const line = new Line();
    line.pass(true, join(CONNECT, wire("e0 01 04")));
    const { mock, packets } = line;
    const other = new Line();
    other.pass(true, join(wire("10 0d 0004 'MQTT' 04 02 003c 0001 'c'"), PUBACK_7));
    other.pass(false, wire("20 02 00 00"));
    expect(mock.uncaughtErrors).toEqual([]);
    expect(packets.map(({ type }) => type)).toEqual(["CONNECT", "DISCONNECT"]);
    expect(other.packets.map(({ type }) => type)).toEqual(["CONNECT", "PUBACK", "CONNACK"]);
    for (const packet of other.packets) expect("properties" in packet || "reasonCode" in packet).toBe(false);
  });

  it("are told also when their receiver will refuse them, as long as they can be read", () => {
    expectPackets(join(
      // A property that cannot stand there, and twice; one that cannot be 0; a code that there is not.
      framed(0x40, wire("0007 ee"), properties("24 07 24 01 21 0000 23 0000")),
      // No topic and no alias; ill-formed UTF-8, which is shown as nothing.
      framed(0x30, field(""), properties("1f 0003 61ff62")),
      framed(0x10, CONNECT.subarray(2)),
    ), [
      {
        ...ACK_7, reasonCode: 0xee, properties: { maximumQoS: 1, receiveMaximum: 0, topicAlias: 0 },
      },
      {
        type: "PUBLISH",
        topic: "",
        payload: undefined,
        payloadLength: 0,
        qos: 0,
        retain: false,
        dup: false,
        packetId: 0,
        properties: {},
        isPartial: false,
      },
      {
        type: "CONNECT",
        protocolLevel: 5,
        isBridge: false,
        cleansession: true,
        keepalive: 60,
        clientid: "c",
        hasUsername: false,
        hasPassword: false,
        username: undefined,
        password: undefined,
        lwt: undefined,
        properties: {},
        isPartial: false,
      },
    ]);
  });

  it("leave the receiver what is its own", () => {
    const line = new Line(EVERYTHING);
    line.pass(true, join(CONNECT, framed(0x30, field("t"), properties("09 0002 c0de"), binary("abc"))));
    line.pass(true, framed(0x30, field("t"), properties("09 0002 0000"), binary("xyz")));
    expect(line.packets.slice(1)).toMatchObject([
      { payload: binary("abc"), properties: { correlationData: Uint8Array.of(0xc0, 0xde) } },
      { payload: binary("xyz"), properties: { correlationData: Uint8Array.of(0, 0) } },
    ]);
  });
});

describe("What is not a packet of MQTT 5", () => {
  it.each<[string, string, number]>([
    ["type 0", "00 00", BAD_HEADER],
    ["AUTH with flags", "f1 00", BAD_HEADER],
    ["reserved flags", "41 02 0001", BAD_HEADER],
    ["QoS 3", "36 06 0001 't' 0001 00", BAD_QOS],
    ["a header of six bytes", "40 ff ff ff ff 01", BAD_REMAINING_LENGTH],
    ["PUBACK without all of its packet id", "40 01 00", BAD_LENGTH],
    ["PINGREQ with a byte", "c0 01 00", BAD_LENGTH],
    ["PUBLISH without properties", "30 03 0001 't'", BAD_LENGTH],
    ["packet id 0 of PUBLISH", "32 06 0001 't' 0000 00", BAD_PACKET_ID],
    ["a topic name beyond its packet", "30 04 0003 't' 00", BAD_LENGTH],
    ["a topic name far beyond its packet", "30 04 ffff 't' 00", BAD_LENGTH],
    ["a property that there is not", "40 05 0001 00 01 04", BAD_FIELD],
    ["another", "40 05 0001 00 01 80", BAD_FIELD],
    ["a length of properties of five bytes", "40 08 0001 00 ff ff ff ff 00", BAD_FIELD],
    ["properties beyond their packet", "40 06 0001 00 04 24 00", BAD_LENGTH],
    ["a property beyond its properties", "40 06 0001 00 02 21 00", BAD_LENGTH],
    ["a text beyond its properties", "40 08 0001 00 04 1f 0002 'a'", BAD_LENGTH],
    ["a pair beyond its properties", "40 0a 0001 00 06 26 0001 'a' 0001", BAD_LENGTH],
    ["a varint without an end", "40 06 0001 00 02 0b 80", BAD_LENGTH],
    ["bytes behind properties", "40 06 0001 00 00 24 00", BAD_LENGTH],
    ["SUBSCRIBE without a filter", "82 03 0001 00", BAD_LENGTH],
    ["a topic filter beyond its packet", "82 06 0001 00 0009 't'", BAD_LENGTH],
    ["a topic filter without options", "82 06 0001 00 0001 't'", BAD_LENGTH],
    ["SUBACK without a code", "90 03 0001 00", BAD_LENGTH],
    ["UNSUBACK without a code", "b0 03 0001 00", BAD_LENGTH],
    ["CONNECT of another protocol", "10 0d 0004 'MQTX' 05 02 003c 00 0000", BAD_FIELD],
    ["CONNECT of 3.1.1 behind one of 5", "10 0c 0004 'MQTT' 04 02 003c 0000", BAD_FIELD],
    ["CONNECT whose fields contradict its length", "10 0e 0004 'MQTT' 05 02 003c 00 0002 'a'", BAD_LENGTH],
    ["CONNECT with a byte too many", "10 0f 0004 'MQTT' 05 02 003c 00 0001 'a' 00", BAD_LENGTH],
  ])("is MALFORMED: %s; nothing behind it is told, and the other direction goes on", (_title, notation, error) => {
    const malformed = { type: "MALFORMED", error, isPartial: false };
    expectPackets(join(PUBACK_7, wire(notation), PUBACK_7), [ACK_7, malformed], EVERYTHING);
    const line = new Line();
    const bytes = join(CONNECT, wire(notation), PUBACK_7);
    expect(hex(line.pass(true, bytes, [1]))).toBe(hex(bytes));
    line.pass(false, PUBACK_7);
    expect(line.packets.slice(1)).toMatchObject([{ isSent: true, error }, { isSent: false, packetId: 7 }]);
  });

  it("is a whole connection where no reader was given, but for what CONNECT begins with", () => {
    const line = new Line({ mqtt5: undefined as never });
    line.pass(true, join(FULL_CONNECT, PUBACK_7));
    expect(line.packets).toMatchObject([
      { type: "CONNECT", protocolLevel: 5, keepalive: 60, clientid: undefined, isPartial: true },
      { type: "MALFORMED", error: BAD_FIELD },
    ]);
  });

  it("is an option that is no reader", () => {
    expect(() => traced(new MockHal(), () => {}, { mqtt5: 5 as never })).toThrow("mqtt5 must be a function, not 5");
  });
});

describe("What is hidden of MQTT 5", () => {
  const auth = framed(0xf0, wire("18"), properties("15 0001 'M' 16 000b 's3cret-Wort'"));
  const publish = framed(0x30, field("t"), properties(""), binary("payload-9876"));
  const passed = (options: TraceOptions): Packet[] => {
    const line = new Line(options);
    line.pass(true, join(FULL_CONNECT, auth, publish));
    return line.packets;
  };
  const written = (packets: Packet[]): string =>
    packets.flatMap((packet) => [
      JSON.stringify(packet),
      JSON.stringify(packet, (_, value: unknown) =>
        value instanceof Uint8Array ? Buffer.from(value).toString("latin1") : value),
      describePacket(packet, true),
    ]).join("\n");

  it("is authentication data, username, password and payload unless asked for; that they are there is told", () => {
    const packets = passed({});
    expect(packets).toHaveLength(3);
    const text = written(packets);
    for (const secret of [SECRET, '"user"', "=user", "payload-9876", "gone for good", String(binary(SECRET))]) {
      expect(text).not.toContain(secret);
    }
    expect(packets[1]).toMatchObject({ properties: { authenticationMethod: "M" } });
    expect(JSON.stringify(packets[1], (_, value: unknown) => value ?? null)).toContain(`"authenticationData":null`);
    expect(describePacket(packets[1])).toBe(
      "sent AUTH (ReasonCode=24, AuthenticationMethod=M, AuthenticationData=***)",
    );
    expect(describePacket(packets[0], true)).toContain("Username=***, Password=***, Will=(");
  });

  it("is shown when it is asked for, the secrets in no text", () => {
    const packets = passed(EVERYTHING);
    expect(packets).toMatchObject([
      { username: "user", password: binary(SECRET), properties: { authenticationData: binary(SECRET) } },
      { properties: { authenticationData: binary(SECRET) } },
      { payload: binary("payload-9876") },
    ]);
    const text = packets.map((packet) => describePacket(packet, true)).join();
    expect(text).toContain("Username=user, Password=***");
    expect(text).toContain("payload-9876");
    expect(text).not.toContain(SECRET);
  });

  it("is not given away by a packet that is partial or malformed", () => {
    for (let scratchCapacity = 16; scratchCapacity <= FULL_CONNECT.length; scratchCapacity++) {
      for (const bytes of [FULL_CONNECT, framed(0x10, FULL_CONNECT.subarray(2), wire("00"))]) {
        const line = new Line({ scratchCapacity });
        line.pass(true, bytes, [7]);
        expect(line.packets).toHaveLength(1);
        expect(written(line.packets)).not.toContain(SECRET);
      }
    }
  });
});

describe("A scratch capacity that is too small for a packet of MQTT 5", () => {
  it("leaves out what is behind, however the stream is cut, and goes on", () => {
    const subscribe = framed(
      0x82, wire("0001 00"), ...[1, 2, 3, 4].flatMap((i) => [field(`filter/${i}`), wire("01")]),
    );
    const subscription = { topicFilter: "filter/1", qos: 1, nl: false, rap: false, rh: 0 };
    expectPackets(join(subscribe, PUBACK_7), [
      { type: "SUBSCRIBE", packetId: 1, subscriptions: [subscription], properties: {}, isPartial: true },
      ACK_7,
    ], { scratchCapacity: 20 });
    const suback = framed(0x90, wire("0003 00"), new Uint8Array(100));
    expectPackets(join(suback, PUBACK_7), [
      { type: "SUBACK", packetId: 3, returnCodes: Array<number>(13).fill(0), properties: {}, isPartial: true },
      ACK_7,
    ], { scratchCapacity: 16 });
    const long = framed(0x40, wire("0004 10"), properties("1f 0014 '0123456789abcdefghij'"));
    expectPackets(join(long, PUBACK_7), [
      { type: "PUBACK", packetId: 4, reasonCode: 16, properties: undefined, isPartial: true },
      ACK_7,
    ], { scratchCapacity: 16 });
    const gone = framed(0xa2, wire("0004"), properties("26 0002 'ab' 0014 '0123456789abcdefghij'"), field("x"));
    expectPackets(join(gone, PUBACK_7), [
      { type: "UNSUBSCRIBE", packetId: 4, topicFilters: [], properties: undefined, isPartial: true },
      ACK_7,
    ], { scratchCapacity: 16 });
  });

  it("leaves out a topic name, properties or the end of a payload, and tells the rest", () => {
    const rest = { type: "PUBLISH", qos: 1, retain: false, dup: false, packetId: 9 };
    const topic = "t".repeat(40);
    const bytes = framed(0x32, field(topic), wire("0009"), properties("23 0001"), binary("payload"));
    const told = { ...rest, payloadLength: 7, properties: { topicAlias: 1 } };
    const payload = binary("payload");
    expectPackets(join(bytes, PUBACK_7), [
      { ...told, topic: undefined, payload, isPartial: true }, ACK_7,
    ], { payload: true, scratchCapacity: 16 });
    expectPackets(join(bytes, PUBACK_7), [{ ...told, topic, payload: undefined, isPartial: false }, ACK_7], {
      scratchCapacity: 48,
    });
    expectPackets(join(bytes, PUBACK_7), [
      { ...told, topic, payload: payload.subarray(0, 2).slice(), isPartial: true }, ACK_7,
    ], { payload: true, scratchCapacity: 50 });
    const many = framed(0x32, field("t"), wire("0009"), properties("03 0014 '0123456789abcdefghij'"), payload);
    expectPackets(join(many, PUBACK_7), [
      { ...rest, topic: "t", properties: undefined, payload: undefined, payloadLength: 7, isPartial: true }, ACK_7,
    ], { payload: true, scratchCapacity: 16 });
  });

  it("leaves out the last fields of CONNECT", () => {
    const capacities = [FULL_CONNECT.length - 2, FULL_CONNECT.length - 15, 60, 40, 20, 16];
    const told = capacities.map((scratchCapacity) => {
      const all = cuttings(FULL_CONNECT.length).map((sizes) => {
        const line = new Line({ ...EVERYTHING, scratchCapacity });
        line.pass(true, FULL_CONNECT, sizes);
        expect(line.packets).toHaveLength(1);
        return line.packets[0];
      });
      for (const each of all) expect(each).toStrictEqual(all[0]);
      return all[0];
    });
    expect(told[0]).toStrictEqual(FULL_TOLD);
    expect(told[1]).toStrictEqual({ ...FULL_TOLD, password: undefined, isPartial: true });
    expect(told[2]).toMatchObject({ clientid: "id", lwt: { topic: "/lwt", payloadLength: 13 }, isPartial: true });
    expect(told[3]).toMatchObject({ clientid: "id", lwt: { topic: undefined, properties: undefined } });
    for (const each of told.slice(4)) {
      expect(each).toMatchObject({ clientid: undefined, properties: undefined, keepalive: 60, isPartial: true });
    }
  });
});

describe("What passes with MQTT 5", () => {
  const anyBytes = fc.oneof(
    fc.constantFrom(CONNECT, FULL_CONNECT, ...PACKETS.map(([, bytes]) => bytes)),
    fc.uint8Array({ maxLength: 40 }),
  );

  it("is the same with a trace, whatever it is, however it is cut, and what is told does not depend on that", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(anyBytes, { maxLength: 6 }), chunkSizes, (isSent, parts, sizes) => {
        const bytes = join(CONNECT, ...parts);
        const told = [[bytes.length], sizes.length > 0 ? sizes : [3]].map((each) => {
          const line = new Line({ scratchCapacity: 20, payload: true, credentials: true });
          if (!isSent) line.pass(true, CONNECT);
          const before = hex(bytes);
          expect(hex(line.pass(isSent, bytes, each))).toBe(before);
          expect(hex(bytes)).toBe(before);
          expect(line.mock.uncaughtErrors).toEqual([]);
          for (const packet of line.packets) expect(describePacket(packet, true)).toMatch(/^[^\n]+$/);
          return line.packets;
        });
        expect(told[0].length).toBeGreaterThan(0);
        expect(told[1]).toStrictEqual(told[0]);
      }),
    );
  });

  it("is what a client and its broker say to each other", () => {
    const lines: string[] = [];
    const mock = new MockHal();
    const listen = (hal: Hal): Hal =>
      traced(hal, (packet) => lines.push(describePacket(packet, true)), { mqtt5: readMqtt5 });
    const client = createMqtt5(listen(mock)).Client("sensor", 60, "user", SECRET);
    client.lwt("/lwt", "offline", 0, 0, { willDelayInterval: 5 });
    client.connect("broker", null, null, null, null, null, { userProperty: [["a", "b, c"]] });
    mock.settle();
    mock.socket.connect();
    mock.socket.receive(framed(0x20, wire("00 00"), properties("21 0014 22 0002")));
    mock.settle();
    client.subscribe("t/#", { qos: 1, nl: 1, rh: 2 }, null, { subscriptionIdentifier: 7 });
    client.publish("t/x", "hello world", 1, 0, null, { contentType: "text/plain", correlationData: "\x01a" });
    mock.settle();
    mock.socket.receive(join(wire("90 04 0001 00 01"), wire("40 03 0002 10"), wire("e0 02 8e 00")));
    mock.settle();
    expect(lines).toEqual([
      "sent CONNECT (MQTT 5, CleanStart=1, KeepAlive=60, ClientId=sensor, Username=***, Password=***, " +
        "Will=(Q0, R0, Topic=/lwt, Payload=...(7 bytes), WillDelayInterval=5), MaximumPacketSize=1024, " +
        'ReceiveMaximum=16, TopicAliasMaximum=8, UserProperty=a:"b, c")',
      "received CONNACK (ReturnCode=0, SessionPresent=0, ReceiveMaximum=20, TopicAliasMaximum=2)",
      "sent SUBSCRIBE (PacketId=1, TopicFilter=t/#, Q1, NL1, RH2, SubscriptionIdentifier=7)",
      "sent PUBLISH (Q1, R0, D0, Topic=t/x, PacketId=2, Payload=...(11 bytes), ContentType=text/plain, " +
        'CorrelationData="\\x01a")',
      "received SUBACK (PacketId=1, ReturnCode=1)",
      "received PUBACK (PacketId=2, ReasonCode=16)",
      "received DISCONNECT (ReasonCode=142)",
    ]);
  });
});
