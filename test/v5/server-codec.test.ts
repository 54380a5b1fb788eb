import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import hal from "../../hal/node.js";
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_QOS,
  BAD_TOPIC,
  ILL_FORMED,
  ILL_FORMED_PAYLOAD,
  NO_ROOM,
  TOO_LONG,
  UNEXPECTED_PACKET,
} from "../../src/errors.js";
import { isTopicFilter, isTopicName } from "../../src/topic.js";
import { Encoder5 } from "../../src/v5/encoder.js";
import { ServerEncoder5 } from "../../src/v5/server-codec.js";
import { MALFORMED_PACKET, PACKET_TOO_LARGE, PROTOCOL_ERROR, TOPIC_ALIAS_INVALID } from "../../src/v5/wire.js";
import { packetFrom5 } from "../support/arbitraries5.js";
import { hex, join, wire } from "../support/bytes.js";
import type { BadInput } from "../support/codec-suites.js";
import {
  LONGEST,
  expectHoweverCut,
  refuses as refusesBase,
  streamSuite,
  writingSuite,
  written,
} from "../support/codec-suites.js";
import type { Recorder5 } from "../support/feed5.js";
import { bench5, feed5, open5, received5 } from "../support/feed5.js";
import { TYPES, byte, field, framed, uint16 } from "../support/packets.js";
import type { Packet5 } from "../support/packets5.js";
import { reference5, write5 } from "../support/packets5.js";
import { vectorsFrom5 } from "../vectors/packets5.js";

const text = hal.createText();
const feeding = { open: open5, scratchLength: 128 };

/** Bytes that are no text, and why. */
const NO_TEXT: [title: string, bytes: string][] = [
  ["a lone surrogate [MQTT5-1.5.4-1]", "'a' eda080"],
  ["an overlong form [MQTT5-1.5.4-1]", "c1bf"],
  ["what lies above U+10FFFF [MQTT5-1.5.4-1]", "f4908080"],
  ["a character cut short [MQTT5-1.5.4-1]", "'a' e282"],
  ["U+0000 [MQTT5-1.5.4-2]", "'a' 00 'b'"],
];

function refuses(table: BadInput[]): void {
  refusesBase("client", table, feeding);
}

/** CONNECT with these flags and what follows the keep alive, in the notation of `wire`. */
function connect(flags: string, payload: string, start = "0004 'MQTT' 05"): Uint8Array {
  return framed(0x10, wire(`${start} ${flags} 003c ${payload}`));
}

/** A field in the notation of `wire`. */
function fieldOf(bytes: string): string {
  return hex(field(wire(bytes)));
}

describe("ServerDecoder5", () => {
  streamSuite({
    sender: "client",
    vectors: vectorsFrom5("client"),
    any: packetFrom5("client"),
    reference: reference5,
    received: received5,
    feeding,
  });

  it("takes 22 first bytes out of 256 [MQTT5-2.1.3-1] [MQTT5-3.14.1-1] [MQTT5-3.15.1-1]", () => {
    const bodies = new Map(vectorsFrom5("client").map(({ bytes }) => [bytes[0] >> 4, bytes.subarray(1)]));
    const valid = [...wire("30 31 32 33 34 35 3a 3b 3c 3d 10 40 50 62 70 82 a2 c0 e0 f0")];
    const unexpected = [...wire("20 90 b0 d0")];
    for (let first = 0; first < 256; first++) {
      const isMessage = first >> 4 === TYPES.PUBLISH;
      const message = (first & 6) === 0 ? "05 0001 't' 00 'p'" : "07 0001 't' 0001 00 'p'";
      const body = isMessage ? wire(message) : bodies.get(first >> 4) ?? wire("00");
      const { packets, result } = feed5("client", join(byte(first), body));
      const error = isMessage ? BAD_QOS : unexpected.includes(first) ? UNEXPECTED_PACKET : BAD_HEADER;
      expect({ first, count: packets.length, result }).toEqual(
        valid.includes(first)
          ? { first, count: 1, result: body.length + 1 }
          : { first, count: 0, result: error },
      );
    }
  });

  describe("packets that a client may not send", () => {
    refuses([
      ["CONNACK", "20 03 00 00 00", UNEXPECTED_PACKET],
      ["SUBACK", "90 04 0001 00 00", UNEXPECTED_PACKET],
      ["UNSUBACK", "b0 04 0001 00 00", UNEXPECTED_PACKET],
      ["PINGRESP", "d0 00", UNEXPECTED_PACKET],
    ]);
  });

  describe("CONNECT", () => {
    const will = `00 ${fieldOf("'t'")} ${fieldOf("'m'")}`;
    refuses([
      ["another protocol name [MQTT5-3.1.2-1]", connect("02", "00 0001 'a'", "0006 'MQIsdp' 03"), BAD_FIELD],
      ["a protocol name in lower case [MQTT5-3.1.2-1]", connect("02", "00 0001 'a'", "0004 'mqtt' 05"), BAD_FIELD],
      ["a protocol name that ends otherwise [MQTT5-3.1.2-1]", connect("02", "00 0000", "0004 'MQTX' 05"), BAD_FIELD],
      ["a protocol name of another length [MQTT5-3.1.2-1]", connect("02", "00 0001 'a'", "0005 'MQTT' 05"), BAD_FIELD],
      ["the reserved flag [MQTT5-3.1.2-3]", connect("03", "00 0001 'a'"), BAD_FIELD],
      ["a QoS without a will [MQTT5-3.1.2-11]", connect("0a", "00 0001 'a'"), BAD_FIELD],
      ["RETAIN without a will [MQTT5-3.1.2-13]", connect("22", "00 0001 'a'"), BAD_FIELD],
      ["a will with QoS 3 [MQTT5-3.1.2-12]", connect("1e", `00 0001 'a' ${will}`), BAD_FIELD],
      ["a will that is missing [MQTT5-3.1.2-9]", connect("06", "00 0001 'a'"), -MALFORMED_PACKET],
      ["a will topic that is missing [MQTT5-3.1.2-9]", connect("06", "00 0001 'a' 00"), BAD_LENGTH],
      ["a will message that is missing [MQTT5-3.1.2-9]", connect("06", "00 0001 'a' 00 0001 't'"), BAD_LENGTH],
      ["a user name that is missing [MQTT5-3.1.2-17]", connect("82", "00 0001 'a'"), BAD_LENGTH],
      ["a password that is missing [MQTT5-3.1.2-19]", connect("42", "00 0001 'a'"), BAD_LENGTH],
      ["a will without its flag [MQTT5-3.1.2-9]", connect("02", `00 0001 'a' ${will}`), BAD_LENGTH],
      ["a user name without its flag [MQTT5-3.1.2-16]", connect("02", "00 0001 'a' 0001 'u'"), BAD_LENGTH],
      ["a password without its flag [MQTT5-3.1.2-18]", connect("82", "00 0001 'a' 0001 'u' 0001 'p'"), BAD_LENGTH],
      ["a missing client identifier [MQTT5-3.1.3-3]", connect("02", "00"), BAD_LENGTH],
      ["CONNECT without properties, which is that of 3.1.1", connect("02", "0001 'a'"), BAD_LENGTH],
      ["a client identifier that ends behind the packet", connect("02", "00 0002 'a'"), BAD_LENGTH],
      ["one byte behind the last field", connect("02", "00 0001 'a' 00"), BAD_LENGTH],
      ["properties that end behind the packet", connect("02", "ff01 0001 'a'"), BAD_LENGTH],
      ["a length of properties that is cut", "10 0d 0004 'MQTT' 05 02 003c ffffff", -MALFORMED_PACKET],
      ["a length of properties of five bytes", connect("02", "8080808000 0001 'a'"), -MALFORMED_PACKET],
      ["properties of a will that end behind the packet", connect("06", "00 0001 'a' 7f 0001 't' 0000"), BAD_LENGTH],
      ["CONNECT that is empty", "10 00", BAD_LENGTH],
      ["CONNECT that ends in its protocol name", "10 04 0004 'MQ'", BAD_LENGTH],
      ["an empty will topic [MQTT5-4.7.3-1]", connect("06", "00 0001 'a' 00 0000 0001 'm'"), BAD_TOPIC],
      ["a will topic with + [MQTT5-4.7.0-1]", connect("06", "00 0001 'a' 00 0003 'a/+' 0001 'm'"), BAD_TOPIC],
      ["a will topic with # [MQTT5-4.7.0-1]", connect("06", "00 0001 'a' 00 0001 '#' 0001 'm'"), BAD_TOPIC],
      ["a property of another packet", connect("02", "03 23 0001 0001 'a'"), -MALFORMED_PACKET],
      ["a property of a will outside of it", connect("02", "02 01 01 0001 'a'"), -MALFORMED_PACKET],
      ["a property of CONNECT in a will", connect("06", "00 0001 'a' 03 21 0001 0001 't' 0000"), -MALFORMED_PACKET],
      ["a property twice", connect("02", "06 21 0001 21 0001 0001 'a'"), -PROTOCOL_ERROR],
      ["a property of a will twice", connect("06", "00 0001 'a' 04 01 01 01 01 0001 't' 0000"), -PROTOCOL_ERROR],
      ["a Receive Maximum of 0", connect("02", "03 21 0000 0001 'a'"), -PROTOCOL_ERROR],
      ["a Maximum Packet Size of 0", connect("02", "05 27 00000000 0001 'a'"), -PROTOCOL_ERROR],
      ["Request Problem Information 2", connect("02", "02 17 02 0001 'a'"), -PROTOCOL_ERROR],
      ["Authentication Data without a method", connect("02", "04 16 0001 00 0001 'a'"), -PROTOCOL_ERROR],
    ]);
    for (const [title, bytes] of NO_TEXT) {
      const bad = fieldOf(bytes);
      refuses([
        [`a client identifier with ${title} [MQTT5-3.1.3-4]`, connect("02", `00 ${bad}`), BAD_FIELD],
        [`a user name with ${title} [MQTT5-3.1.3-12]`, connect("82", `00 0001 'a' ${bad}`), BAD_FIELD],
        [`a will topic with ${title} [MQTT5-3.1.3-11]`, connect("06", `00 0001 'a' 00 ${bad} 0000`), BAD_TOPIC],
      ]);
    }

    it("lets anything be a will message and a password", () => {
      for (const [, bytes] of NO_TEXT) {
        const stream = connect("c6", `00 0000 00 0001 't' ${fieldOf(bytes)} 0000 ${fieldOf(bytes)}`);
        const string = Buffer.from(wire(bytes)).toString("latin1");
        expect(feed5("client", stream).packets).toMatchObject([{ will: { message: string }, password: string }]);
      }
    });

    it("shows properties of the will at `onWillProperties`, those of CONNECT in every other call", () => {
      const { recorder, push } = bench5("client");
      const { said: properties } = (recorder as Recorder5).decoder;
      const shown: unknown[] = [];
      recorder.onCall = () => shown.push(properties.toObject());
      push(connect("c6", "03 21 0005 0001 'a' 02 01 01 0001 't' 0000 0001 'u' 0001 'p'"));
      const ours = { receiveMaximum: 5 };
      expect(shown).toEqual([ours, { payloadFormatIndicator: 1 }, ours, ours, ours, ours, ours]);
    });

    it.each([0, 3, 4, 6, 0x85])("tells of protocol level %i and reads no further [MQTT5-3.1.2-2]", (level) => {
      const stream = connect("03", "00 0001 'a'", `0004 'MQTT' ${hex(byte(level))}`);
      const packets = [{ type: "unsupported level", level }];
      expectHoweverCut("client", stream, { packets, result: BAD_FIELD }, feeding);
    });

    it("tells of the shortest CONNECT of 3.1.1, which has no properties, whatever was before it", () => {
      const { packets, result } = feed5("client", wire("e0 06 00 04 1f 0001 'x' 10 0c 0004 'MQTT' 04 02 003c 0000"));
      expect([packets[1], result]).toEqual([{ type: "unsupported level", level: 4 }, BAD_FIELD]);
    });

    it("must fit into the scratch area", () => {
      const stream = connect("02", "00 0009 '123456789'");
      const packet = { type: "CONNECT", clientId: "123456789", cleanStart: true, keepAliveSeconds: 60 };
      const fitting = { packets: [packet], result: stream.length };
      expectHoweverCut("client", stream, fitting, { ...feeding, scratchLength: 22 });
      const less = { ...feeding, scratchLength: 21 };
      expectHoweverCut("client", stream, { packets: [], result: -PACKET_TOO_LARGE }, less);
    });
  });

  describe("PUBLISH", () => {
    refuses([
      ["QoS 3 [MQTT5-3.3.1-4]", "36 07 0001 't' 0001 00 'p'", BAD_QOS],
      ["packet id 0 [MQTT5-2.2.1-3]", "32 07 0001 't' 0000 00 'p'", BAD_PACKET_ID],
      ["an empty topic name without an alias [MQTT5-4.7.3-1]", "30 05 0000 00 'ab'", -PROTOCOL_ERROR],
      ["Topic Alias 0 [MQTT5-3.3.2-8]", "30 07 0001 't' 03 23 0000", -TOPIC_ALIAS_INVALID],
      ["a Subscription Identifier [MQTT5-3.3.4-6]", "30 07 0001 't' 02 0b 01 'p'", -PROTOCOL_ERROR],
      ["a Subscription Identifier behind others", "32 0c 0001 't' 0001 05 23 0001 0b 01 'p'", -PROTOCOL_ERROR],
      ["a property of another packet", "30 08 0001 't' 03 21 0001 'p'", -MALFORMED_PACKET],
      ["a topic name that is longer than the packet by far", "30 04 ffff 't' 00", BAD_LENGTH],
      ["a length of properties of five bytes", "30 09 0001 't' 8080808000 'p'", -MALFORMED_PACKET],
      ["properties that end behind the packet", "30 05 0001 't' 02 01", BAD_LENGTH],
    ]);
    for (const [title, bytes] of [
      ...NO_TEXT,
      ["+ [MQTT5-3.3.2-2]", "'a/+'"],
      ["# [MQTT5-3.3.2-2]", "'#'"],
      ["+ within a level [MQTT5-3.3.2-2]", "'a+b'"],
    ]) {
      const bad = field(wire(bytes));
      refuses([
        [`a topic name with ${title} [MQTT5-3.3.2-1]`, framed(0x30, bad, wire("00 'payload'")), BAD_TOPIC],
        [`a topic name with ${title}, at QoS 2, without a payload`, framed(0x34, bad, wire("0001 00")), BAD_TOPIC],
        [`a topic name with ${title}, with an alias`, framed(0x30, bad, wire("03 23 0001 'p'")), BAD_TOPIC],
      ]);
    }

    it("has to fit what precedes its payload into the scratch area", () => {
      const stream = wire("32 11 0004 'long' 0001 03 23 0001 'hello'");
      const packet = {
        type: "PUBLISH", dup: false, qos: 1, retain: false, packetId: 1, topicName: "long", payload: "hello",
        properties: { topicAlias: 1 }, packetLength: stream.length,
      };
      for (const [scratchLength, expected] of [
        [12, { packets: [packet], result: stream.length }],
        [11, { packets: [], result: -PACKET_TOO_LARGE }],
      ] as const) {
        const { packets, result } = expected;
        expectHoweverCut("client", stream, { packets: [...packets], result }, { ...feeding, scratchLength });
      }
    });
  });

  describe("acknowledgements", () => {
    for (const [name, first] of [["PUBACK", "40"], ["PUBREC", "50"], ["PUBREL", "62"], ["PUBCOMP", "70"]]) {
      refuses([
        [`packet id 0 in ${name}`, `${first} 02 0000`, BAD_PACKET_ID],
        [`${name} without a packet id`, `${first} 00`, BAD_LENGTH],
        [`${name} with half a packet id`, `${first} 01 01`, BAD_LENGTH],
        [`${name} with something behind its properties`, `${first} 05 0001 00 00 00`, BAD_LENGTH],
        [`${name} whose properties end behind it`, `${first} 05 0001 00 02 1f`, BAD_LENGTH],
        [`${name} with a length of properties that is cut`, `${first} 04 0001 00 80`, -MALFORMED_PACKET],
        [`${name} with a property of another packet`, `${first} 07 0001 00 03 23 0001`, -MALFORMED_PACKET],
      ]);
    }
  });

  describe("reason codes", () => {
    const ALLOWED: [name: string, codes: string, packet: (code: number) => Uint8Array][] = [
      ["PUBACK [MQTT5-3.4.2-1]", "00 80 83 87 90 91 97 99", (code) => framed(0x40, uint16(1), byte(code))],
      ["PUBREC [MQTT5-3.5.2-1]", "00 80 83 87 90 91 97 99", (code) => framed(0x50, uint16(1), byte(code))],
      ["PUBREL [MQTT5-3.6.2-1]", "00 92", (code) => framed(0x62, uint16(1), byte(code))],
      ["PUBCOMP [MQTT5-3.7.2-1]", "00 92", (code) => framed(0x70, uint16(1), byte(code))],
      ["DISCONNECT [MQTT5-3.14.2-1]", "00 04 80 81 82 83 90 93 94 95 96 97 98 99", (code) => framed(0xe0, byte(code))],
      ["AUTH [MQTT5-3.15.2-1]", "18 19", (code) => framed(0xf0, byte(code), wire("04 15 0001 'm'"))],
    ];
    it.each(ALLOWED)("are those of its table that a client may send, in %s", (_name, codes, packet) => {
      for (let code = 0; code < 256; code++) {
        const stream = packet(code);
        const { packets, result } = feed5("client", stream);
        expect({ code, result }).toEqual({
          code, result: wire(codes).includes(code) ? stream.length : -PROTOCOL_ERROR,
        });
        if (result > 0) expect(packets).toMatchObject([{ reasonCode: code }]);
      }
    });
  });

  /** What SUBSCRIBE and UNSUBSCRIBE refuse of a filter; a good one before it does not help. */
  function badFilters(first: number, name: string, options: string): BadInput[] {
    const rows: [string, string][] = [
      ["an empty filter [MQTT5-4.7.3-1]", ""],
      ["# behind other characters [MQTT5-4.7.1-1]", "'sport/tennis#'"],
      ["# in front of other levels [MQTT5-4.7.1-1]", "'sport/#/ranking'"],
      ["+ behind other characters [MQTT5-4.7.1-2]", "'sport+'"],
      ["a shared filter without a name [MQTT5-4.8.2-1]", "'$share//t'"],
      ["a shared filter that ends before its name [MQTT5-4.8.2-1]", "'$share/'"],
      ["a shared filter that ends with its name [MQTT5-4.8.2-2]", "'$share/g'"],
      ["a shared filter without a filter [MQTT5-4.8.2-2]", "'$share/g/'"],
      ["a shared filter with + in its name [MQTT5-4.8.2-2]", "'$share/+/t'"],
      ["a shared filter with # in its name [MQTT5-4.8.2-2]", "'$share/g#/t'"],
      ["a shared filter that is none behind its name [MQTT5-4.7.1-1]", "'$share/g/#/t'"],
      ...NO_TEXT.map(([title, bytes]): [string, string] => [`${title} [MQTT5-3.8.3-1]`, bytes]),
    ];
    return rows.flatMap(([title, bytes]): BadInput[] => [
      [`${name}: ${title}`, framed(first, wire(`0001 00 ${fieldOf(bytes)} ${options}`)), BAD_TOPIC],
      [
        `${name}: ${title}, behind a good filter`,
        framed(first, wire(`0001 00 ${fieldOf("'good'")} ${options} ${fieldOf(bytes)} ${options}`)),
        BAD_TOPIC,
      ],
    ]);
  }

  describe("SUBSCRIBE", () => {
    refuses([
      ["SUBSCRIBE without a filter [MQTT5-3.8.3-2]", "82 03 0001 00", -PROTOCOL_ERROR],
      ["SUBSCRIBE that is empty", "82 00", BAD_LENGTH],
      ["SUBSCRIBE without properties", "82 02 0001", BAD_LENGTH],
      ["SUBSCRIBE with half the length of a filter", "82 04 0001 00 00", BAD_LENGTH],
      ["packet id 0 in SUBSCRIBE [MQTT5-2.2.1-3]", "82 07 0000 00 0001 'a' 00", BAD_PACKET_ID],
      ["a filter without options [MQTT5-3.8.3-2]", "82 06 0001 00 0001 'a'", BAD_LENGTH],
      ["a filter that ends behind SUBSCRIBE", "82 07 0001 00 0003 'a' 00", BAD_LENGTH],
      ["one byte behind the last filter", "82 08 0001 00 0001 'a' 00 00", BAD_LENGTH],
      ["a requested QoS of 3 (3.8.3.1)", "82 07 0001 00 0001 'a' 03", -PROTOCOL_ERROR],
      ["a Retain Handling of 3 (3.8.3.1)", "82 07 0001 00 0001 'a' 30", -PROTOCOL_ERROR],
      ["a reserved bit of the options [MQTT5-3.8.3-5]", "82 07 0001 00 0001 'a' 40", BAD_FIELD],
      ["the highest reserved bit [MQTT5-3.8.3-5]", "82 07 0001 00 0001 'a' 81", BAD_FIELD],
      ["a reserved bit in the second of two [MQTT5-3.8.3-5]", "82 0b 0001 00 0001 'a' 02 0001 'b' 80", BAD_FIELD],
      ["No Local with a shared filter [MQTT5-3.8.3-4]", "82 10 0001 00 000a '$share/g/t' 05", -PROTOCOL_ERROR],
      ["a Subscription Identifier of 0", "82 09 0001 02 0b 00 0001 'a' 00", -PROTOCOL_ERROR],
      ["two Subscription Identifiers", "82 0b 0001 04 0b 01 0b 02 0001 'a' 00", -PROTOCOL_ERROR],
      ["a property of another packet", "82 0a 0001 03 23 0001 0001 'a' 00", -MALFORMED_PACKET],
      ["properties that end behind SUBSCRIBE", "82 07 0001 05 0001 'a' 00", BAD_LENGTH],
      ...badFilters(0x82, "SUBSCRIBE", "00"),
    ]);

    it("has any options that there are (3.8.3.1)", () => {
      for (let options = 0; options < 64; options++) {
        const isRight = (options & 3) !== 3 && options >> 4 !== 3;
        const { packets, result } = feed5("client", join(wire("82 07 0001 00 0001 'a'"), byte(options)));
        expect([options, result]).toEqual([options, isRight ? 9 : -PROTOCOL_ERROR]);
        expect(packets).toEqual(isRight ? [{ type: "SUBSCRIBE", packetId: 1, filters: [["a", options]] }] : []);
      }
    });

    it("may have filters that but look as if they were shared", () => {
      for (const filter of ["$share", "$shared/g/t", "$SHARE/t", "a/$share/", "/$share//t"]) {
        const stream = framed(0x82, wire("0001 00"), field(filter), wire("04"));
        expect(feed5("client", stream).packets).toEqual([{ type: "SUBSCRIBE", packetId: 1, filters: [[filter, 4]] }]);
      }
    });

    it("must fit into the scratch area", () => {
      const stream = wire("82 0b 0001 00 0001 'a' 01 0001 '+' 02");
      const packet = { type: "SUBSCRIBE", packetId: 1, filters: [["a", 1], ["+", 2]] };
      expectHoweverCut("client", stream, { packets: [packet], result: 13 }, { ...feeding, scratchLength: 11 });
      const less = { ...feeding, scratchLength: 10 };
      expectHoweverCut("client", stream, { packets: [], result: -PACKET_TOO_LARGE }, less);
    });
  });

  describe("UNSUBSCRIBE", () => {
    refuses([
      ["UNSUBSCRIBE without a filter [MQTT5-3.10.3-2]", "a2 03 0001 00", -PROTOCOL_ERROR],
      ["UNSUBSCRIBE that is empty", "a2 00", BAD_LENGTH],
      ["packet id 0 in UNSUBSCRIBE [MQTT5-2.2.1-3]", "a2 06 0000 00 0001 'a'", BAD_PACKET_ID],
      ["a filter that ends behind UNSUBSCRIBE", "a2 06 0001 00 0002 'a'", BAD_LENGTH],
      ["one byte behind the last filter of UNSUBSCRIBE", "a2 07 0001 00 0001 'a' 00", BAD_LENGTH],
      ["a Subscription Identifier in UNSUBSCRIBE", "a2 08 0001 02 0b 01 0001 'a'", -MALFORMED_PACKET],
      ...badFilters(0xa2, "UNSUBSCRIBE", ""),
    ]);
  });

  describe("PINGREQ, DISCONNECT and AUTH", () => {
    refuses([
      ["PINGREQ with something in it", "c0 01 00", BAD_LENGTH],
      ["DISCONNECT with something behind its properties", "e0 03 00 00 00", BAD_LENGTH],
      ["DISCONNECT with a property of another packet", "e0 05 00 03 21 0001", -MALFORMED_PACKET],
      ["AUTH without anything (3.15.2.2.2)", "f0 00", -PROTOCOL_ERROR],
      ["AUTH with a reason code alone", "f0 01 18", -PROTOCOL_ERROR],
      ["AUTH without a method (3.15.2.2.2)", "f0 06 18 04 16 0001 00", -PROTOCOL_ERROR],
      ["AUTH that says success, which is the broker's to say", "f0 06 00 04 15 0001 'm'", -PROTOCOL_ERROR],
    ]);
  });

  it("agrees with topic.ts on which strings are topic names and topic filters", () => {
    const characters = fc.string({ unit: fc.constantFrom("/", "+", "#", "a", "é", "\0"), maxLength: 7 });
    fc.assert(
      fc.property(characters, (topic) => {
        const subscribed = feed5("client", framed(0x82, wire("0001 00"), field(topic), wire("00"))).result > 0;
        const shared = feed5("client", framed(0xa2, wire("0001 00"), field(`$share/g/${topic}`))).result > 0;
        const group = feed5("client", framed(0xa2, wire("0001 00"), field(`$share/${topic}/t`))).result > 0;
        const published = feed5("client", framed(0x30, field(topic), wire("00"))).result > 0;
        const [isFilter, isName] = [isTopicFilter(topic), isTopicName(topic)];
        expect([topic, subscribed, shared, published]).toEqual([topic, isFilter, isFilter, isName]);
        // What is behind the first "/" belongs to the filter.
        if (!topic.includes("/")) expect([topic, group]).toEqual([topic, isName]);
      }),
      { numRuns: 2000 },
    );
  });

  it("tells all parts of a packet, and the packet, also when it is stopped or reset in between", () => {
    for (const bytes of [
      wire("82 0b 0001 00 0001 'a' 01 0001 '+' 02"),
      connect("c6", "00 0000 00 0001 't' 0000 0001 'u' 0001 'p'"),
    ]) {
      for (const method of ["stop", "reset"] as const) {
        const { decoder, recorder, push } = bench5("client");
        recorder.onCall = () => decoder[method]();
        expect(push(join(bytes, bytes))).toBe(bytes.length);
        expect(recorder.packets).toEqual(feed5("client", bytes).packets);
        expect(recorder.packets).toHaveLength(1);
      }
    }
  });
});

describe("ServerEncoder5", () => {
  const encoder = new ServerEncoder5(text);
  const vectors = vectorsFrom5("server").filter(({ isLong }) => !isLong);
  const write = (packet: Packet5, out: Uint8Array, offset: number, end: number): number =>
    write5(text, encoder, packet, out, offset, end);

  writingSuite({ vectors, any: packetFrom5("server"), reference: reference5 }, write);

  /** What is written into plenty of room, in hexadecimal. */
  function all(write: (out: Uint8Array, offset: number, end: number) => number, room = 300): string | number {
    return written(5, room, write);
  }

  it("leaves out what it can, and writes properties where there is an object, or bytes, if they are none", () => {
    const ack = (...rest: [number?, (object | Uint8Array)?]): string | number =>
      all((out, offset, end) => encoder.ack(out, offset, end, TYPES.PUBREC, 258, ...rest));
    expect(ack()).toBe("50020102");
    expect(ack(0)).toBe("50020102");
    expect(ack(0x80)).toBe("5003010280");
    expect(ack(0, {})).toBe("500401020000");
    expect(ack(0x80, new Uint8Array(0))).toBe("500401028000");
    const disconnect = (...rest: [number, (object | Uint8Array)?]): string | number =>
      all((out, offset, end) => encoder.disconnect(out, offset, end, ...rest));
    expect(disconnect(0)).toBe("e000");
    expect(disconnect(0x8b)).toBe("e0018b");
    expect(disconnect(0x8b, {})).toBe("e0028b00");
    const auth = (...rest: [number, (object | Uint8Array)?]): string | number =>
      all((out, offset, end) => encoder.auth(out, offset, end, ...rest));
    expect(auth(0)).toBe("f000");
    expect(auth(0x18)).toBe("f0021800");
    expect(auth(0, {})).toBe("f0020000");
  });

  it("writes bytes as properties, and values that are wrong, for those who test with them", () => {
    const raw = wire("ff 00");
    expect(all((out, offset, end) => encoder.connack(out, offset, end, true, 0x87, raw))).toBe("2005018702ff00");
    const publish = all((out, offset, end) => encoder.publish(out, offset, end, 15, 0, "#", "p", raw));
    expect(publish).toBe(hex(wire("3f 07 0001 '#' 02 ff00 'p'")));
    const suback = all((out, offset, end) => encoder.suback(out, offset, end, 0, [], { receiveMaximum: 0 }));
    expect(suback).toBe(hex(wire("90 06 0000 03 21 0000")));
    const twice = all((out, offset, end) => encoder.unsuback(out, offset, end, 1, [3], { reasonString: ["a", "b"] }));
    expect(twice).toBe(hex(wire("b0 0c 0001 08 1f 0001 'a' 1f 0001 'b' 03")));
  });

  it.each([0, 1, 126, 127, 128, 129, 16383, 16384])("writes %i bytes as properties, and not into less", (length) => {
    const raw = new Uint8Array(length).fill(7);
    const expected = hex(framed(0x20, wire("00 00"), framed(0, raw).subarray(1)));
    const connack = (room: number): string | number =>
      all((out, offset, end) => encoder.connack(out, offset, end, false, 0, raw), room);
    expect(connack(expected.length / 2)).toBe(expected);
    expect(connack(expected.length / 2 - 1)).toBe(NO_ROOM);
  });

  it("takes codes in a typed array, too, and a payload as a string, which becomes UTF-8", () => {
    const codes = new Uint8Array([0, 1, 0x80]);
    expect(all((out, offset, end) => encoder.suback(out, offset, end, 7, codes))).toBe("9006000700000180");
    const publish = all((out, offset, end) => encoder.publish(out, offset, end, 0, 0, "t", "é"));
    expect(publish).toBe(hex(wire("30 06 0001 't' 00 'é'")));
  });

  it("refuses what cannot be written", () => {
    const publish = (topic: string, payload: string, properties?: object): string | number =>
      all((out, offset, end) => encoder.publish(out, offset, end, 0, 0, topic, payload, properties), 70000);
    expect(publish("\ud800", "p")).toBe(ILL_FORMED);
    expect(publish("t", "\ud800")).toBe(ILL_FORMED_PAYLOAD);
    expect(publish("t", "p", { contentType: "\ud800" })).toBe(ILL_FORMED);
    expect(publish("x".repeat(65536), "p")).toBe(TOO_LONG);
    const codes = { length: LONGEST };
    expect(all((out, offset, end) => encoder.suback(out, offset, end, 1, codes))).toBe(NO_ROOM);
  });
});

describe("Both directions", () => {
  /** What comes of packets that the encoder of their side has written. */
  function expectRoundTrip(sender: "client" | "server", packets: Packet5[]): void {
    const encoder = sender === "client" ? new Encoder5(text) : new ServerEncoder5(text);
    const out = new Uint8Array(20000);
    let at = 0;
    for (const packet of packets) {
      at = write5(text, encoder, packet, out, at, out.length);
      expect(at).toBeGreaterThan(0);
    }
    const outcome = feed5(sender, out.slice(0, at), { scratchLength: 2000 });
    expect(outcome).toEqual({ packets: packets.map(received5), result: at });
  }

  it("what a broker writes, a client reads", () => {
    fc.assert(
      fc.property(fc.array(packetFrom5("server"), { maxLength: 5 }), (packets) => expectRoundTrip("server", packets)),
      { numRuns: 1000 },
    );
  });

  it("what a client writes, a broker reads", () => {
    // A client's acknowledgements have no properties.
    const packet = packetFrom5("client").map((each): Packet5 => (
      /^PUB[^L]/.test(each.type) && "properties" in each ? { ...each, properties: {} } : each
    ));
    fc.assert(
      fc.property(fc.array(packet, { maxLength: 5 }), (packets) => expectRoundTrip("client", packets)),
      { numRuns: 1000 },
    );
  });
});
