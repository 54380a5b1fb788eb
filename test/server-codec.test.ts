import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import hal from "../hal/node.js";
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_TOPIC,
  NO_ROOM,
  TOO_LONG,
  UNEXPECTED_PACKET,
} from "../src/errors.js";
import { ServerEncoder } from "../src/server-codec.js";
import { isTopicFilter, isTopicName } from "../src/topic.js";
import { SUBSCRIPTION_FAILURE } from "../src/wire.js";
import { hex, join, wire } from "./support/bytes.js";
import type { BadInput } from "./support/codec-suites.js";
import {
  LONGEST,
  decoderSuite,
  encoderSuite,
  expectHoweverCut,
  firstBytesSuite,
  refuses,
  written,
} from "./support/codec-suites.js";
import { Bench, feed } from "./support/feed.js";
import { field, framed } from "./support/packets.js";

/** Bytes that are no text, and why. */
const NO_TEXT: [title: string, bytes: string][] = [
  ["a lone surrogate [MQTT-1.5.3-1]", "'a' eda080"],
  ["an overlong form [MQTT-1.5.3-1]", "c1bf"],
  ["what lies above U+10FFFF [MQTT-1.5.3-1]", "f4908080"],
  ["a character cut short [MQTT-1.5.3-1]", "'a' e282"],
  ["U+0000 [MQTT-1.5.3-2]", "'a' 00 'b'"],
];

/** CONNECT with these flags and what follows the keep alive, in the notation of `wire`. */
function connect(flags: string, payload: string, start = "0004 'MQTT' 04"): Uint8Array {
  return framed(0x10, wire(`${start} ${flags} 003c ${payload}`));
}

/** A field in the notation of `wire`. */
function fieldOf(bytes: string): string {
  return hex(field(wire(bytes)));
}

describe("ServerDecoder", () => {
  decoderSuite("client");

  describe("first byte", () => {
    firstBytesSuite("client", "10 40 50 62 70 82 a2 c0 e0", "20 90 b0 d0");
  });

  describe("packets that a client may not send", () => {
    refuses("client", [
      ["CONNACK", "20 02 00 00", UNEXPECTED_PACKET],
      ["SUBACK", "90 03 0001 00", UNEXPECTED_PACKET],
      ["UNSUBACK", "b0 02 0001", UNEXPECTED_PACKET],
      ["PINGRESP", "d0 00", UNEXPECTED_PACKET],
    ]);
  });

  describe("CONNECT", () => {
    const will = `${fieldOf("'t'")} ${fieldOf("'m'")}`;
    refuses("client", [
      ["another protocol name [MQTT-3.1.2-1]", connect("02", "0001 'a'", "0006 'MQIsdp' 03"), BAD_FIELD],
      ["a protocol name in lower case [MQTT-3.1.2-1]", connect("02", "0001 'a'", "0004 'mqtt' 04"), BAD_FIELD],
      ["a protocol name that ends otherwise [MQTT-3.1.2-1]", connect("02", "0001 'a'", "0004 'MQTX' 04"), BAD_FIELD],
      ["a protocol name of another length [MQTT-3.1.2-1]", connect("02", "0001 'a'", "0005 'MQTT' 04"), BAD_FIELD],
      ["the reserved flag [MQTT-3.1.2-3]", connect("03", "0001 'a'"), BAD_FIELD],
      ["a QoS without a will [MQTT-3.1.2-13]", connect("0a", "0001 'a'"), BAD_FIELD],
      ["RETAIN without a will [MQTT-3.1.2-15]", connect("22", "0001 'a'"), BAD_FIELD],
      ["a will with QoS 3 [MQTT-3.1.2-14]", connect("1e", `0001 'a' ${will}`), BAD_FIELD],
      ["a password without a username [MQTT-3.1.2-22]", connect("42", "0001 'a' 0001 'p'"), BAD_FIELD],
      ["a will that is missing [MQTT-3.1.2-9]", connect("06", "0001 'a'"), BAD_LENGTH],
      ["a will message that is missing [MQTT-3.1.2-9]", connect("06", "0001 'a' 0001 't'"), BAD_LENGTH],
      ["a username that is missing [MQTT-3.1.2-19]", connect("82", "0001 'a'"), BAD_LENGTH],
      ["a password that is missing [MQTT-3.1.2-21]", connect("c2", "0001 'a' 0001 'u'"), BAD_LENGTH],
      ["a will without its flag [MQTT-3.1.2-11]", connect("02", `0001 'a' ${will}`), BAD_LENGTH],
      ["a username without its flag [MQTT-3.1.2-18]", connect("02", "0001 'a' 0001 'u'"), BAD_LENGTH],
      ["a password without its flag [MQTT-3.1.2-20]", connect("82", "0001 'a' 0001 'u' 0001 'p'"), BAD_LENGTH],
      ["a missing client identifier [MQTT-3.1.3-3]", connect("02", ""), BAD_LENGTH],
      ["a client identifier that ends behind the packet", connect("02", "0002 'a'"), BAD_LENGTH],
      ["a username whose length is cut", connect("82", "0001 'a' 00"), BAD_LENGTH],
      ["a password that ends behind the packet", connect("c2", "0001 'a' 0000 ffff 'p'"), BAD_LENGTH],
      ["one byte behind the last field", connect("02", "0001 'a' 00"), BAD_LENGTH],
      ["CONNECT that is empty", "10 00", BAD_LENGTH],
      ["CONNECT that ends in its protocol name", "10 04 0004 'MQ'", BAD_LENGTH],
      ["an empty will topic [MQTT-4.7.3-1]", connect("06", "0001 'a' 0000 0001 'm'"), BAD_TOPIC],
      ["a will topic with + [MQTT-4.7.1-1]", connect("06", "0001 'a' 0003 'a/+' 0001 'm'"), BAD_TOPIC],
      ["a will topic with # [MQTT-4.7.1-1]", connect("06", "0001 'a' 0001 '#' 0001 'm'"), BAD_TOPIC],
    ]);
    for (const [title, bytes] of NO_TEXT) {
      const bad = fieldOf(bytes);
      refuses("client", [
        [`a client identifier with ${title} [MQTT-3.1.3-4]`, connect("02", bad), BAD_FIELD],
        [`a username with ${title} [MQTT-3.1.3-11]`, connect("82", `0001 'a' ${bad}`), BAD_FIELD],
        [`a will topic with ${title} [MQTT-3.1.3-10]`, connect("06", `0001 'a' ${bad} 0000`), BAD_TOPIC],
      ]);
    }

    it("lets anything be a will message and a password", () => {
      for (const [, bytes] of NO_TEXT) {
        const { packets } = feed("client", connect("c6", `0000 0001 't' ${fieldOf(bytes)} 0000 ${fieldOf(bytes)}`));
        const string = Buffer.from(wire(bytes)).toString("latin1");
        expect(packets).toMatchObject([{ will: { message: string }, password: string }]);
      }
    });

    it("leaves an empty client identifier without a clean session to the broker [MQTT-3.1.3-8]", () => {
      expect(feed("client", connect("00", "0000")).packets).toMatchObject([{ clientId: "", cleanSession: false }]);
    });

    it.each([0, 3, 5, 0x84])("tells of protocol level %i and reads no further [MQTT-3.1.2-2]", (level) => {
      const stream = connect("03", "00 0001 'a'", `0004 'MQTT' ${hex(new Uint8Array([level]))}`);
      expectHoweverCut("client", stream, { packets: [{ type: "unsupported level", level }], result: BAD_FIELD });
    });

    it("must fit into the scratch area", () => {
      const stream = connect("02", fieldOf("'123456789'"));
      const packet = { type: "CONNECT", clientId: "123456789", cleanSession: true, keepAliveSeconds: 60 } as const;
      expectHoweverCut("client", stream, { packets: [packet], result: stream.length }, { scratchLength: 21 });
      expectHoweverCut("client", stream, { packets: [], result: BAD_LENGTH }, { scratchLength: 20 });
    });
  });

  describe("PUBLISH", () => {
    for (const [title, bytes] of [
      ...NO_TEXT,
      ["+ [MQTT-3.3.2-2]", "'a/+'"],
      ["# [MQTT-3.3.2-2]", "'#'"],
      ["+ within a level [MQTT-3.3.2-2]", "'a+b'"],
    ]) {
      const bad = field(wire(bytes));
      refuses("client", [
        [`a topic name with ${title} [MQTT-3.3.2-1]`, framed(0x30, bad, wire("'payload'")), BAD_TOPIC],
        [`a topic name with ${title}, at QoS 2, without a payload`, framed(0x34, bad, wire("0001")), BAD_TOPIC],
      ]);
    }
  });

  /** What SUBSCRIBE and UNSUBSCRIBE refuse of a filter; a good one before it does not help. */
  function badFilters(first: number, name: string, clause: string, qos: string): BadInput[] {
    const rows: [string, string][] = [
      ["an empty filter [MQTT-4.7.3-1]", ""],
      ["# behind other characters [MQTT-4.7.1-2]", "'sport/tennis#'"],
      ["# in front of other levels [MQTT-4.7.1-2]", "'sport/#/ranking'"],
      ["two # [MQTT-4.7.1-2]", "'#/#'"],
      ["+ behind other characters [MQTT-4.7.1-3]", "'sport+'"],
      ["+ in front of other characters [MQTT-4.7.1-3]", "'sport/+x/y'"],
      ...NO_TEXT.map(([title, bytes]): [string, string] => [`${title} ${clause}`, bytes]),
    ];
    return rows.flatMap(([title, bytes]): BadInput[] => [
      [`${name}: ${title}`, framed(first, wire(`0001 ${fieldOf(bytes)} ${qos}`)), BAD_TOPIC],
      [
        `${name}: ${title}, behind a good filter`,
        framed(first, wire(`0001 ${fieldOf("'good'")} ${qos} ${fieldOf(bytes)} ${qos}`)),
        BAD_TOPIC,
      ],
    ]);
  }

  describe("SUBSCRIBE", () => {
    refuses("client", [
      ["SUBSCRIBE without a filter [MQTT-3.8.3-3]", "82 02 0001", BAD_LENGTH],
      ["SUBSCRIBE that is empty", "82 00", BAD_LENGTH],
      ["SUBSCRIBE with half the length of a filter", "82 03 0001 00", BAD_LENGTH],
      ["SUBSCRIBE with the length of a filter alone", "82 04 0001 0000", BAD_LENGTH],
      ["packet id 0 in SUBSCRIBE [MQTT-2.3.1-1]", "82 06 0000 0001 'a' 00", BAD_PACKET_ID],
      ["a requested QoS of 3 [MQTT-3.8.3-4]", "82 06 0001 0001 'a' 03", BAD_FIELD],
      ["a reserved bit beside a requested QoS [MQTT-3.8.3-4]", "82 06 0001 0001 'a' 04", BAD_FIELD],
      ["the highest reserved bit [MQTT-3.8.3-4]", "82 06 0001 0001 'a' 82", BAD_FIELD],
      ["a reserved bit in the second of two [MQTT-3.8.3-4]", "82 0a 0001 0001 'a' 02 0001 'b' 80", BAD_FIELD],
      ["a filter without a requested QoS", "82 05 0001 0001 'a'", BAD_LENGTH],
      ["a second filter without a requested QoS", "82 09 0001 0001 'a' 00 0001 'b'", BAD_LENGTH],
      ["a filter that ends behind SUBSCRIBE", "82 06 0001 0003 'a' 00", BAD_LENGTH],
      ["a second filter that ends behind SUBSCRIBE", "82 0a 0001 0001 'a' 00 ffff 'b' 00", BAD_LENGTH],
      ["one byte behind the last filter", "82 07 0001 0001 'a' 00 00", BAD_LENGTH],
      ...badFilters(0x82, "SUBSCRIBE", "[MQTT-3.8.3-1]", "00"),
    ]);

    it("must fit into the scratch area", () => {
      const stream = wire("82 0a 0001 0001 'a' 01 0001 '+' 02");
      const packet = { type: "SUBSCRIBE" as const, packetId: 1, filters: [["a", 1], ["+", 2]] as [string, number][] };
      expectHoweverCut("client", stream, { packets: [packet], result: 12 }, { scratchLength: 10 });
      expectHoweverCut("client", stream, { packets: [], result: BAD_LENGTH }, { scratchLength: 9 });
    });
  });

  describe("UNSUBSCRIBE", () => {
    refuses("client", [
      ["UNSUBSCRIBE without a filter [MQTT-3.10.3-2]", "a2 02 0001", BAD_LENGTH],
      ["UNSUBSCRIBE that is empty", "a2 00", BAD_LENGTH],
      ["UNSUBSCRIBE with half the length of a filter", "a2 03 0001 00", BAD_LENGTH],
      ["packet id 0 in UNSUBSCRIBE [MQTT-2.3.1-1]", "a2 05 0000 0001 'a'", BAD_PACKET_ID],
      ["a filter that ends behind UNSUBSCRIBE", "a2 05 0001 0002 'a'", BAD_LENGTH],
      ["a second filter that ends behind UNSUBSCRIBE", "a2 08 0001 0001 'a' 0002 'b'", BAD_LENGTH],
      ["one byte behind the last filter of UNSUBSCRIBE", "a2 06 0001 0001 'a' 00", BAD_LENGTH],
      ...badFilters(0xa2, "UNSUBSCRIBE", "[MQTT-3.10.3-1]", ""),
    ]);

    it("must fit into the scratch area", () => {
      const stream = wire("a2 08 0001 0001 'a' 0001 '+'");
      const packet = { type: "UNSUBSCRIBE" as const, packetId: 1, filters: ["a", "+"] };
      expectHoweverCut("client", stream, { packets: [packet], result: 10 }, { scratchLength: 8 });
      expectHoweverCut("client", stream, { packets: [], result: BAD_LENGTH }, { scratchLength: 7 });
    });
  });

  describe("PINGREQ and DISCONNECT", () => {
    refuses("client", [
      ["PINGREQ with something in it", "c0 01 00", BAD_LENGTH],
      ["DISCONNECT with something in it", "e0 01 00", BAD_LENGTH],
      ["DISCONNECT with a reserved flag [MQTT-3.14.1-1]", "e1 00", BAD_HEADER],
    ]);
  });

  it("agrees with topic.ts on which strings are topic names and topic filters", () => {
    const characters = fc.string({ unit: fc.constantFrom("/", "+", "#", "a", "é", "\0"), maxLength: 7 });
    fc.assert(
      fc.property(characters, (topic) => {
        const subscribed = feed("client", framed(0x82, wire("0001"), field(topic), wire("00"))).result > 0;
        const published = feed("client", framed(0x30, field(topic))).result > 0;
        expect([subscribed, published]).toEqual([isTopicFilter(topic), isTopicName(topic)]);
      }),
      { numRuns: 3000 },
    );
  });

  it("tells all parts of a packet, and the packet, also when it is stopped or reset in between", () => {
    for (const bytes of [wire("82 0a 0001 0001 'a' 01 0001 '+' 02"), connect("c2", "0000 0001 'u' 0001 'p'")]) {
      for (const method of ["stop", "reset"] as const) {
        const { decoder, recorder, push } = new Bench("client");
        recorder.onCall = () => decoder[method]();
        expect(push(join(bytes, bytes))).toBe(bytes.length);
        expect(recorder.packets).toEqual(feed("client", bytes).packets);
        expect(recorder.packets).toHaveLength(1);
      }
    }
  });
});

describe("ServerEncoder", () => {
  encoderSuite("server");

  const encoder = new ServerEncoder(hal.createText());

  it("takes the codes of a SUBACK in a typed array, too", () => {
    const codes = new Uint8Array([0, 1, 2, SUBSCRIPTION_FAILURE]);
    const suback = written(0, 8, (out, offset, end) => encoder.suback(out, offset, end, 7, codes));
    expect(suback).toBe(hex(wire("90 06 0007 00 01 02 80")));
  });

  it("takes a payload as a string, which becomes UTF-8", () => {
    const publish = written(0, 99, (out, offset, end) => encoder.publish(out, offset, end, 0, 0, "t", "é"));
    expect(publish).toBe(hex(wire("30 05 0001 't' 'é'")));
  });

  it.each([125, 126, 16381, 16382])("writes a SUBACK of %i codes, and not into one byte less", (count) => {
    const codes = new Uint8Array(count).fill(1);
    const expected = hex(framed(0x90, wire("0001"), codes));
    const suback = (room: number): string | number =>
      written(3, room, (out, offset, end) => encoder.suback(out, offset, end, 1, codes));
    expect(suback(expected.length / 2)).toBe(expected);
    expect(suback(expected.length / 2 - 1)).toBe(NO_ROOM);
  });

  it("refuses a SUBACK of more bytes than a remaining length can tell (2.2.3)", () => {
    const codes = { length: LONGEST - 1 };
    expect(written(0, 9, (out, offset, end) => encoder.suback(out, offset, end, 1, codes))).toBe(TOO_LONG);
  });
});
