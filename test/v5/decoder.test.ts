import { describe, expect, it } from "@jest/globals";
import hal from "../../hal/node.js";
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_QOS,
  BAD_REMAINING_LENGTH,
  UNEXPECTED_PACKET,
} from "../../src/errors.js";
import type { DecoderHandler5 } from "../../src/v5/decoder.js";
import { Decoder5 } from "../../src/v5/decoder.js";
import { Properties } from "../../src/v5/properties.js";
import { isReason } from "../../src/v5/reasons.js";
import {
  AUTH,
  MALFORMED_PACKET,
  PACKET_TOO_LARGE,
  PROTOCOL_ERROR,
  TOPIC_ALIAS_INVALID,
} from "../../src/v5/wire.js";
import { packetFrom5 } from "../support/arbitraries5.js";
import { join, wire } from "../support/bytes.js";
import type { BadInput } from "../support/codec-suites.js";
import {
  EDGES,
  LONGEST,
  cuttings,
  expectHoweverCut,
  refuses as refusesBase,
  streamSuite,
} from "../support/codec-suites.js";
import type { Recorder5 } from "../support/feed5.js";
import { bench5, feed5, open5, received5 } from "../support/feed5.js";
import { TYPES, byte, field, framed, remainingLength, uint16 } from "../support/packets.js";
import { reference5, section } from "../support/packets5.js";
import { vectorsFrom5 } from "../vectors/packets5.js";

const text = hal.createText();
const feeding = { open: open5, scratchLength: 128 };

/** A PUBLISH at QoS 0, no flag set; tests say what differs. */
const message = { type: "PUBLISH", dup: false, qos: 0, retain: false, packetId: 0 } as const;

function refuses(table: BadInput[]): void {
  refusesBase("server", table, feeding);
}

/** What comes of a stream, however it is cut: packets, and the error if there is one. */
function expectPackets(stream: Uint8Array, packets: object[], how: object = {}): void {
  expectHoweverCut("server", stream, { packets, result: stream.length }, { ...feeding, ...how });
}

describe("Decoder5", () => {
  streamSuite({
    sender: "server",
    vectors: vectorsFrom5("server"),
    any: packetFrom5("server"),
    reference: reference5,
    received: received5,
    feeding,
  });

  describe("first byte", () => {
    const prescribed = [...wire("20 40 50 62 70 90 b0 d0 e0 f0")];
    const unexpected = [...wire("10 82 a2 c0")];
    const bodies = new Map(vectorsFrom5("server").map(({ bytes }) => [bytes[0] >> 4, bytes.subarray(1)]));

    function outcomeOf(first: number): unknown {
      const body = first >> 4 === TYPES.PUBLISH
        ? wire(`${(first & 6) === 0 ? "05" : "07"} 0001 't' ${(first & 6) === 0 ? "" : "0001"} 00 'p'`)
        : bodies.get(first >> 4) ?? wire("00");
      const { packets, result } = feed5("server", join(byte(first), body));
      return packets.length === 1 && result === body.length + 1 ? "taken" : result;
    }

    it("is one of 20 [MQTT5-2.1.3-1] [MQTT5-3.3.1-2] [MQTT5-3.3.1-4] [MQTT5-3.6.1-1] [MQTT5-3.15.1-1]", () => {
      const messages = [...wire("30 31 32 33 34 35 3a 3b 3c 3d")];
      for (let first = 0; first < 256; first++) {
        const isTaken = prescribed.includes(first) || messages.includes(first);
        const isUnexpected = unexpected.includes(first);
        const error = first >> 4 === TYPES.PUBLISH ? BAD_QOS : isUnexpected ? UNEXPECTED_PACKET : BAD_HEADER;
        expect([first, outcomeOf(first)]).toEqual([first, isTaken ? "taken" : error]);
      }
    });
  });

  describe("what a packet is", () => {
    refuses([
      ["CONNECT", "10 0e 0004 'MQTT' 05 02 003c 00 0001 'c'", UNEXPECTED_PACKET],
      ["SUBSCRIBE", "82 07 000a 00 0001 '#' 01", UNEXPECTED_PACKET],
      ["UNSUBSCRIBE", "a2 06 0001 00 0001 'a'", UNEXPECTED_PACKET],
      ["PINGREQ", "c0 00", UNEXPECTED_PACKET],
      ["AUTH with a flag [MQTT5-3.15.1-1]", "f1 00", BAD_HEADER],
      ["DISCONNECT with a flag [MQTT5-3.14.1-1]", "e1 00", BAD_HEADER],
      ["a remaining length of five bytes", "30 8080808001 0001 't' 00", BAD_REMAINING_LENGTH],
      ["PINGRESP with something in it", "d0 01 00", BAD_LENGTH],
    ]);
  });

  describe("CONNACK", () => {
    refuses([
      ["a reserved flag [MQTT5-3.2.2-1]", "20 03 02 00 00", BAD_FIELD],
      ["a reserved flag beside Session Present [MQTT5-3.2.2-1]", "20 03 81 00 00", BAD_FIELD],
      ["Session Present with a refusal [MQTT5-3.2.2-6]", "20 03 01 87 00", -PROTOCOL_ERROR],
      ["CONNACK that is empty", "20 00", BAD_LENGTH],
      ["that of 3.1.1 [MQTT5-2.2.2-1]", "20 02 00 00", BAD_LENGTH],
      ["CONNACK with something behind its properties", "20 04 00 00 00 00", BAD_LENGTH],
      ["CONNACK whose properties end behind it", "20 04 00 00 02 24", BAD_LENGTH],
      ["CONNACK whose properties end before it", "20 06 00 00 02 24 01 00", BAD_LENGTH],
      ["a property of another packet (table 2-4)", "20 06 00 00 03 23 0001", -MALFORMED_PACKET],
      ["a property that is cut short", "20 05 00 00 02 21 00", -MALFORMED_PACKET],
      ["a property that stands there twice", "20 07 00 00 04 24 01 24 01", -PROTOCOL_ERROR],
      ["a Maximum QoS of 2 (3.2.2.3.4)", "20 05 00 00 02 24 02", -PROTOCOL_ERROR],
      ["a Receive Maximum of 0 (3.2.2.3.3)", "20 06 00 00 03 21 0000", -PROTOCOL_ERROR],
      ["a Maximum Packet Size of 0 (3.2.2.3.6)", "20 08 00 00 05 27 00000000", -PROTOCOL_ERROR],
      ["a reason code that there is not [MQTT5-3.2.2-8]", "20 03 00 01 00", -PROTOCOL_ERROR],
    ]);
  });

  describe("length of properties (2.2.2.1)", () => {
    refuses([
      ["five bytes of it", "20 08 00 00 8080808000 00", -MALFORMED_PACKET],
      ["five bytes of it, in a message", "30 09 0001 't' 8080808000 'p'", -MALFORMED_PACKET],
      ["five bytes of it, in a message at QoS 1", "32 0a 0001 't' 0001 8080808000", -MALFORMED_PACKET],
      ["one that is cut in CONNACK", "20 03 00 00 80", -MALFORMED_PACKET],
      ["one that is cut behind three bytes", "20 05 00 00 ffffff", -MALFORMED_PACKET],
      ["one that is cut in SUBACK", "90 04 0001 80 80", -MALFORMED_PACKET],
      ["one that is cut in PUBACK", "40 04 0001 00 ff", -MALFORMED_PACKET],
      ["one that is cut in DISCONNECT", "e0 03 00 ffff", -MALFORMED_PACKET],
      ["one that is cut in AUTH", "f0 02 18 80", -MALFORMED_PACKET],
      ["one that is missing in a message", "30 03 0001 't'", BAD_LENGTH],
      ["one that is cut in a message", "30 04 0001 't' 80", BAD_LENGTH],
      ["one that ends behind a message", "30 05 0001 't' 02 01", BAD_LENGTH],
      ["one that ends far behind a message", "30 07 0001 't' ffffff7f", BAD_LENGTH],
    ]);

    it("may take more bytes than it needs, which has no code", () => {
      const connack = { type: "CONNACK", sessionPresent: false, reasonCode: 0 };
      expectPackets(wire("20 06 00 00 80808000"), [connack]);
      const publish = { ...message, topicName: "t", payload: "p", packetLength: 10 };
      expectPackets(wire("30 08 0001 't' 80808000 'p'"), [publish]);
    });

    it.each([126, 127, 128, 129, 16383, 16384])("of %i bytes in CONNACK", (length) => {
      const properties = { reasonString: "x".repeat(length - 3) };
      const packet = { type: "CONNACK", sessionPresent: false, reasonCode: 0, properties } as const;
      for (const how of [{}, { sizes: [1] }, { sizes: [100, 3] }, { sizes: [64], isInside: true }]) {
        const { packets, result } = feed5("server", reference5(packet), { scratchLength: length + 5, ...how });
        expect(result).toBeGreaterThan(length);
        expect(JSON.stringify(packets)).toBe(JSON.stringify([packet]));
      }
      expect(feed5("server", reference5(packet), { scratchLength: length })).toEqual({
        packets: [], result: -PACKET_TOO_LARGE,
      });
    });

    it.each([0, 5, 126, 127, 128, 129, 16383, 16384, 2097151, 2097152])("of %i bytes in PUBLISH", (length) => {
      // As many User Properties as it takes, the longest first.
      const pairs: [string, string][] = [];
      for (let left = length; left > 0;) {
        const part = left > 65540 ? 65000 : left;
        pairs.push(["", "x".repeat(part - 5)]);
        left -= part;
      }
      const properties = length === 0 ? {} : { userProperty: pairs };
      expect(section(properties).length).toBe(remainingLength(length).length + length);
      for (const qos of [0, 1]) {
        const packet = {
          ...message, qos, packetId: qos, topicName: "t/é", payload: "payload", properties,
        } as const;
        const stream = join(reference5(packet), wire("d0 00"));
        const expected = JSON.stringify([received5(packet), { type: "PINGRESP" }]);
        const cuts = length < 200 ? cuttings(stream.length) : [[stream.length], [1], [7, 1], [1000, 1]];
        const hows = [{ sizes: [99], isInside: true }, ...cuts.map((sizes) => ({ sizes }))];
        // The whole of what precedes the payload, and not a byte more.
        const scratchLength = 6 + (qos === 0 ? 0 : 2) + remainingLength(length).length + length;
        for (const how of length > 100000 ? hows.slice(1, 3) : hows) {
          const { packets, result } = feed5("server", stream, { scratchLength, ...how });
          expect(result).toBe(stream.length);
          expect(JSON.stringify(packets) === expected).toBe(true); // toEqual would show two megabytes
          const less = feed5("server", stream, { scratchLength: scratchLength - 1, ...how });
          expect(less).toEqual({ packets: [], result: -PACKET_TOO_LARGE });
        }
      }
    });
  });

  describe("PUBLISH", () => {
    refuses([
      ["QoS 3 [MQTT5-3.3.1-4]", "36 07 0001 't' 0001 00 'p'", BAD_QOS],
      ["DUP at QoS 0 [MQTT5-3.3.1-2]", "38 05 0001 't' 00 'p'", BAD_QOS],
      ["packet id 0 at QoS 1 [MQTT5-2.2.1-4]", "32 07 0001 't' 0000 00 'p'", BAD_PACKET_ID],
      ["packet id 0 at QoS 2, with an alias", "34 08 0000 0000 03 23 0001", BAD_PACKET_ID],
      ["PUBLISH that is empty", "30 00", BAD_LENGTH],
      ["PUBLISH with half the length of a topic name", "30 01 00", BAD_LENGTH],
      ["PUBLISH with the length of a topic name alone", "30 02 0000", BAD_LENGTH],
      ["PUBLISH without room for the packet id", "32 03 0001 't'", BAD_LENGTH],
      ["PUBLISH with room for half a packet id", "32 04 0001 't' 00", BAD_LENGTH],
      ["PUBLISH with a packet id and no properties", "32 05 0001 't' 0001", BAD_LENGTH],
      ["a topic name that is longer than the packet", "30 04 0003 't' 00", BAD_LENGTH],
      ["a topic name that is longer than the packet by far", "30 04 ffff 't' 00", BAD_LENGTH],
      ["a topic name that is longer than the packet by far, at QoS 1", "32 07 ffff 't' 0001 00 'p'", BAD_LENGTH],
      ["an empty topic name without an alias [MQTT5-4.7.3-1]", "30 03 0000 00", -PROTOCOL_ERROR],
      ["an empty topic name in front of a payload", "30 05 0000 00 'ab'", -PROTOCOL_ERROR],
      ["an empty topic name with other properties", "30 05 0000 02 01 01", -PROTOCOL_ERROR],
      ["an empty topic name at QoS 2", "34 05 0000 0001 00", -PROTOCOL_ERROR],
      ["Topic Alias 0 [MQTT5-3.3.2-8]", "30 07 0001 't' 03 23 0000", -TOPIC_ALIAS_INVALID],
      ["Topic Alias 0 and an empty topic name", "32 08 0000 0001 03 23 0000", -TOPIC_ALIAS_INVALID],
      ["two aliases", "30 0a 0001 't' 06 23 0001 23 0001", -PROTOCOL_ERROR],
      ["a property of another packet", "30 08 0001 't' 03 21 0001 'p'", -MALFORMED_PACKET],
      ["a property that ends behind the others", "30 09 0001 't' 03 02 0000 'pq'", -MALFORMED_PACKET],
      ["Payload Format Indicator 2", "30 06 0001 't' 02 01 02", -PROTOCOL_ERROR],
      ["a Subscription Identifier of 0", "30 06 0001 't' 02 0b 00", -PROTOCOL_ERROR],
    ]);

    it("leaves the characters of a topic name to the handler", () => {
      for (const topic of ["'a/+'", "'#'", "00", "ff", "eda080"]) {
        const stream = join(framed(0x30, field(wire(topic)), wire("00 'payload'")), wire("d0 00"));
        const { packets, result } = feed5("server", stream);
        expect(packets.map(({ type }) => type)).toEqual(["PUBLISH", "PINGRESP"]);
        expect(result).toBe(stream.length);
      }
    });

    for (const [title, qos, properties, payload] of [
      ["at QoS 0", 0, {}, ""],
      ["at QoS 0 with a payload", 0, {}, "payload"],
      ["at QoS 1 with a payload", 1, {}, "payload"],
      ["at QoS 2 with a property", 2, { payloadFormatIndicator: 1 }, "p"],
      ["at QoS 0 with an alias, without a payload", 0, { topicAlias: 1 }, ""],
    ] as const) {
      it(`gathers topic name and properties in the scratch area, ${title}, and refuses what does not fit`, () => {
        for (let length = 1; length < 20; length++) {
          const packet = {
            ...message, qos, packetId: qos, topicName: "123456789/123456789".slice(0, length), payload, properties,
          } as const;
          const stream = join(reference5(packet), wire("d0 00"));
          const need = 2 + length + (qos === 0 ? 0 : 2) + section(properties).length;
          const expected = need > 16
            ? { packets: [], result: -PACKET_TOO_LARGE }
            : { packets: [received5(packet), { type: "PINGRESP" }], result: stream.length };
          expectHoweverCut("server", stream, expected, { open: open5, scratchLength: 16 });
        }
      });
    }

    it.each([...EDGES])("is read with a remaining length of %i", (length) => {
      const payload = "0123456789abc".repeat(length / 13 + 1).slice(0, length - 4);
      const packet = { ...message, topicName: "t", payload };
      const stream = join(reference5(packet), wire("d0 00"));
      const expected = JSON.stringify([received5(packet), { type: "PINGRESP" }]);
      for (const how of [{}, { sizes: [1, 1, 1, 1, 1, 1, 1, 1, length] }, { sizes: [509], isInside: true }]) {
        const { packets, result } = feed5("server", stream, how);
        expect(result).toBe(stream.length);
        expect(JSON.stringify(packets) === expected).toBe(true);
      }
    });

    it(`tells of a message whose remaining length is ${LONGEST}, the longest`, () => {
      const { recorder, push } = bench5("server");
      const told: number[] = [];
      recorder.onPublish = (_flags, _packetId, _bytes, _start, _end, payloadLength, packetLength) => {
        told.push(payloadLength, packetLength);
      };
      push(join(byte(0x30), remainingLength(LONGEST), wire("0001 't' 00")));
      expect(told).toEqual([LONGEST - 4, LONGEST + 5]);
    });

    it("has properties during the whole of a message that lies in one chunk", () => {
      const { recorder, push } = bench5("server");
      const shown: unknown[] = [];
      const { said: properties } = (recorder as Recorder5).decoder;
      recorder.onCall = () => shown.push(properties.toObject());
      push(wire("30 08 0001 't' 03 23 0007 'p' 30 05 0001 't' 00 'p'"));
      expect(shown).toEqual([{ topicAlias: 7 }, { topicAlias: 7 }, {}, {}]);
      expect(properties.alias).toBe(0);
    });
  });

  describe("acknowledgements", () => {
    for (const [name, first] of [["PUBACK", "40"], ["PUBREC", "50"], ["PUBREL", "62"], ["PUBCOMP", "70"]]) {
      refuses([
        [`packet id 0 in ${name}`, `${first} 02 0000`, BAD_PACKET_ID],
        [`packet id 0 in ${name} with a reason`, `${first} 03 0000 92`, BAD_PACKET_ID],
        [`${name} without a packet id`, `${first} 00`, BAD_LENGTH],
        [`${name} with half a packet id`, `${first} 01 01`, BAD_LENGTH],
        [`${name} with something behind its properties`, `${first} 05 0001 00 00 00`, BAD_LENGTH],
        [`${name} whose properties end behind it`, `${first} 05 0001 00 02 1f`, BAD_LENGTH],
        [`${name} with a property of another packet`, `${first} 07 0001 00 03 23 0001`, -MALFORMED_PACKET],
        [`${name} with two Reason Strings`, `${first} 0a 0001 00 06 1f 0000 1f 0000`, -PROTOCOL_ERROR],
        [`${name} with reason code 1`, `${first} 03 0001 01`, -PROTOCOL_ERROR],
      ]);
    }
    for (const [name, first] of [["SUBACK", "90"], ["UNSUBACK", "b0"]]) {
      refuses([
        [`packet id 0 in ${name}`, `${first} 04 0000 00 00`, BAD_PACKET_ID],
        [`${name} that is empty`, `${first} 00`, BAD_LENGTH],
        [`${name} of a packet id alone`, `${first} 02 0001`, BAD_LENGTH],
        [`${name} without a code`, `${first} 03 0001 00`, BAD_LENGTH],
        [`${name} without a code behind properties`, `${first} 06 0001 03 1f 0000`, BAD_LENGTH],
        [`${name} whose properties end behind it`, `${first} 06 0001 05 1f 0000`, BAD_LENGTH],
        [`${name} with a property of another packet`, `${first} 07 0001 03 23 0001 00`, -MALFORMED_PACKET],
        [`${name} with a code that there is not`, `${first} 05 0001 00 00 03`, -PROTOCOL_ERROR],
        [`${name} with a wrong code in front of others`, `${first} 06 0001 00 ff 00 00`, -PROTOCOL_ERROR],
      ]);
    }

    it("takes as many codes as the scratch area has room for, and refuses one more", () => {
      const packet = { type: "SUBACK", packetId: 1, reasonCodes: Array.from({ length: 61 }, (_, i) => i % 3) } as const;
      const stream = reference5({ ...packet, reasonCodes: [...packet.reasonCodes] });
      expectPackets(stream, [packet], { scratchLength: 64 });
      const less = { open: open5, scratchLength: 63 };
      expectHoweverCut("server", stream, { packets: [], result: -PACKET_TOO_LARGE }, less);
    });
  });

  describe("reason codes", () => {
    /** After each packet's own table; of DISCONNECT also 0x8c, which table 2-6 has. */
    const ALLOWED: [name: string, type: number, codes: string, packet: (code: number) => Uint8Array][] = [
      ["CONNACK [MQTT5-3.2.2-8]", TYPES.CONNACK, "00 80 81 82 83 84 85 86 87 88 89 8a 8c 90 95 97 99 9a 9b 9c 9d 9f",
        (code) => framed(0x20, byte(0), byte(code), byte(0))],
      ["PUBACK [MQTT5-3.4.2-1]", TYPES.PUBACK, "00 10 80 83 87 90 91 97 99",
        (code) => framed(0x40, uint16(1), byte(code))],
      ["PUBREC [MQTT5-3.5.2-1]", TYPES.PUBREC, "00 10 80 83 87 90 91 97 99",
        (code) => framed(0x50, uint16(1), byte(code))],
      ["PUBREL [MQTT5-3.6.2-1]", TYPES.PUBREL, "00 92", (code) => framed(0x62, uint16(1), byte(code))],
      ["PUBCOMP [MQTT5-3.7.2-1]", TYPES.PUBCOMP, "00 92", (code) => framed(0x70, uint16(1), byte(code))],
      ["SUBACK [MQTT5-3.9.3-2]", TYPES.SUBACK, "00 01 02 80 83 87 8f 91 97 9e a1 a2",
        (code) => framed(0x90, uint16(1), byte(0), byte(code))],
      ["UNSUBACK [MQTT5-3.11.3-2]", TYPES.UNSUBACK, "00 11 80 83 87 8f 91",
        (code) => framed(0xb0, uint16(1), byte(0), byte(code))],
      ["DISCONNECT [MQTT5-3.14.2-1]", TYPES.DISCONNECT,
        "00 80 81 82 83 87 89 8b 8c 8d 8e 8f 90 93 94 95 96 97 98 99 9a 9b 9c 9d 9e 9f a0 a1 a2",
        (code) => framed(0xe0, byte(code))],
      ["AUTH [MQTT5-3.15.2-1]", AUTH, "00 18", (code) => framed(0xf0, byte(code), byte(0))],
    ];
    it.each(ALLOWED)("are those of its table in %s", (_name, type, codes, packet) => {
      for (let code = 0; code < 256; code++) {
        const isAllowed = wire(codes).includes(code);
        const stream = packet(code);
        expect({ code, isReason: isReason(type, code), result: feed5("server", stream).result }).toEqual({
          code, isReason: isAllowed, result: isAllowed ? stream.length : -PROTOCOL_ERROR,
        });
      }
    });
  });

  describe("DISCONNECT and AUTH", () => {
    refuses([
      ["Session Expiry Interval from a broker [MQTT5-3.14.2-2]", "e0 07 00 05 11 00000001", -PROTOCOL_ERROR],
      ["Session Expiry Interval 0 from a broker [MQTT5-3.14.2-2]", "e0 07 8b 05 11 00000000", -PROTOCOL_ERROR],
      ["DISCONNECT with something behind its properties", "e0 03 00 00 00", BAD_LENGTH],
      ["DISCONNECT with a property of another packet", "e0 05 00 03 23 0001", -MALFORMED_PACKET],
      ["AUTH with something behind its properties", "f0 03 18 00 00", BAD_LENGTH],
      ["AUTH with a property of another packet", "f0 05 18 03 23 0001", -MALFORMED_PACKET],
      ["AUTH with two methods", "f0 0a 18 08 15 0001 'm' 15 0001 'm'", -PROTOCOL_ERROR],
    ]);

    it("may leave out everything, or the properties", () => {
      expectPackets(wire("e0 00 e0 01 8b f0 00 f0 01 18"), [
        { type: "DISCONNECT", reasonCode: 0 },
        { type: "DISCONNECT", reasonCode: 0x8b },
        { type: "AUTH", reasonCode: 0 },
        { type: "AUTH", reasonCode: 0x18 },
      ]);
    });
  });

  describe("a text among properties", () => {
    const TEXTS: [title: string, notation: string, result: number][] = [
      ["an ill-formed Reason String [MQTT5-1.5.4-1]", "20 09 00 00 06 1f 0003 eda080", -MALFORMED_PACKET],
      ["U+0000 in a User Property [MQTT5-1.5.4-2]", "20 0a 00 00 07 26 0001 'a' 0001 00", -MALFORMED_PACKET],
      ["a Response Topic with a wildcard [MQTT5-3.3.2-14]", "30 09 0001 't' 04 08 0001 '#' 'p'", -PROTOCOL_ERROR],
      ["an ill-formed Content Type [MQTT5-3.3.2-19]", "30 09 0001 't' 04 03 0001 ff 'p'", -MALFORMED_PACKET],
    ];
    it.each(TEXTS)("is checked when it is read, which ends the stream at once or with the next packet: %s", (
      _title, notation, result,
    ) => {
      const packet = wire(notation);
      const stream = join(packet, packet);
      for (const isRead of [false, true]) {
        for (const size of [1, 3, packet.length, stream.length]) {
          const properties = new Properties(text);
          let count = 0;
          const read = (): void => {
            count++;
            if (isRead) expect(properties.toObject()).toEqual({});
          };
          const handler = {
            onConnack: read, onWhole: read, onPublish: () => undefined,
            onPayload: (_bytes: Uint8Array, _start: number, _end: number, owed: number) => owed === 0 && read(),
          } as unknown as DecoderHandler5;
          const decoder = new Decoder5(handler, new Uint8Array(64), properties);
          let end = 0;
          for (let at = 0; at < stream.length && end >= 0; at += size) {
            end = decoder.push(stream, at, Math.min(at + size, stream.length));
          }
          const expected = isRead ? { count: 1, end: result } : { count: 2, end: stream.length };
          expect({ size, isRead, count, end }).toEqual({ size, isRead, ...expected });
        }
      }
    });
  });

  describe("maximumPacketSize", () => {
    it.each([
      ["PUBLISH", "32 0a 0001 't' 0001 03 23 0001 'p'"],
      ["PUBLISH without properties", "30 0a 0001 't' 00 'payloa'"],
      ["CONNACK", "20 0a 00 00 07 26 0001 'a' 0001 'b'"],
      ["PUBACK", "40 0a 0001 00 06 1f 0003 'why'"],
    ])("is the length of the longest %s, header included [MQTT5-3.1.2-24]", (_name, notation) => {
      const stream = wire(notation);
      for (const [maximum, result] of [[12, 12], [11, -PACKET_TOO_LARGE]]) {
        for (const sizes of [[12], [1], [3, 9]]) {
          const { packets, result: read } = feed5("server", stream, {
            sizes,
            open: (sender, scratch) => {
              const opened = open5(sender, scratch);
              (opened.decoder as Decoder5).maxPacketSize = maximum;
              return opened;
            },
          });
          expect([packets.length, read]).toEqual([result > 0 ? 1 : 0, result]);
        }
      }
    });

    it("is known when the header is, before the rest of the packet has come", () => {
      for (const [notation, result] of [["30 62", 2], ["30 63", -PACKET_TOO_LARGE], ["40 63", -PACKET_TOO_LARGE]]) {
        const { decoder, push } = bench5("server");
        (decoder as Decoder5).maxPacketSize = 100;
        expect(push(wire(notation as string))).toBe(result);
      }
    });
  });
});
