import { describe, expect, it } from "@jest/globals";
import hal from "../hal/node.js";
import type { ConnectFields } from "../src/codec.js";
import { Encoder, headerLength, seal, writeHeader } from "../src/encoder.js";
import { ILL_FORMED, ILL_FORMED_PAYLOAD, NO_ROOM, TOO_LONG } from "../src/errors.js";
import {
  DISCONNECT,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBREC,
  PUBREL,
  QOS_1,
  QOS_2,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from "../src/wire.js";
import { POISON, hex, wire } from "./support/bytes.js";
import { EDGES, LONGEST, encoderSuite, written } from "./support/codec-suites.js";
import { field, framed, remainingLength, uint16 } from "./support/packets.js";

const encoder = new Encoder(hal.createText());

const minimal: ConnectFields = {
  clientId: "c",
  cleanSession: true,
  keepAliveSeconds: 60,
  will: undefined,
  username: undefined,
  password: undefined,
};

/** What a method of the encoder writes into `room` bytes, in hexadecimal, or the code it returns. */
function connect(fields: Partial<ConnectFields>, room = 200000): string | number {
  return written(3, room, (out, offset, end) => encoder.connect(out, offset, end, { ...minimal, ...fields }));
}

function publish(topic: string, payload: string | Uint8Array, room = 200000, flags = 0, packetId = 0): string | number {
  return written(3, room, (out, offset, end) => encoder.publish(out, offset, end, flags, packetId, topic, payload));
}

function subscribe(filters: Record<string, number>, room = 200000): string | number {
  return written(3, room, (out, offset, end) => encoder.filters(out, offset, end, SUBSCRIBE, 1, filters));
}

function unsubscribe(filters: Record<string, unknown>, room = 200000): string | number {
  return written(3, room, (out, offset, end) => encoder.filters(out, offset, end, UNSUBSCRIBE, 1, filters));
}

function short(type: number, packetId = 0): string | number {
  return written(3, 9, (out, offset, end) => encoder.short(out, offset, end, type, packetId));
}

describe("Encoder", () => {
  encoderSuite("client");

  describe("CONNECT", () => {
    it("is of protocol MQTT, level 4 (3.1.2.1, 3.1.2.2)", () => {
      expect(connect({})).toContain(hex(wire("0004 'MQTT' 04")));
    });

    it("has its fields in the order that is prescribed [MQTT-3.1.3-1]", () => {
      const will = { topic: "2", message: "3", qos: 0, retain: false };
      const fields = hex(wire("0001 '1' 0001 '2' 0001 '3' 0001 '4' 0001 '5'"));
      expect(connect({ clientId: "1", will, username: "4", password: "5" })).toMatch(new RegExp(`${fields}$`));
    });

    it("has no flag of a will without a will [MQTT-3.1.2-11], and the reserved flag is 0 [MQTT-3.1.2-3]", () => {
      const all = { cleanSession: true, username: "u", password: "p" };
      expect(connect(all)).toMatch(/^10..00044d51545404c2/);
    });

    it("takes will message and password as strings, which become UTF-8", () => {
      const will = { topic: "t", message: "é", qos: 1, retain: false };
      const bytes = { ...will, message: wire("'é'") };
      expect(connect({ will, username: "", password: "€" })).toBe(
        connect({ will: bytes, username: "", password: wire("'€'") }),
      );
    });
  });

  describe("PUBLISH", () => {
    it("has a packet id at QoS 1 and 2 [MQTT-2.3.1-1] and none at QoS 0 [MQTT-2.3.1-5]", () => {
      expect(publish("t", "p", 99, QOS_1, 0x0102)).toBe(hex(wire("32 06 0001 't' 0102 'p'")));
      expect(publish("t", "p", 99, QOS_2, 0x0102)).toBe(hex(wire("34 06 0001 't' 0102 'p'")));
      expect(publish("t", "p", 99, 0, 0)).toBe(hex(wire("30 04 0001 't' 'p'")));
    });

    it("takes a payload as a string, which becomes UTF-8", () => {
      expect(publish("t", "21 °C 😀")).toBe(publish("t", wire("'21 °C 😀'")));
    });

    it("takes a payload as bytes, whatever they are", () => {
      const payload = new Uint8Array(256).map((_, i) => i);
      expect(publish("t", payload)).toBe(hex(framed(0x30, field("t"), payload)));
    });

    it("gets DUP, and nothing else changes, when it is marked for sending again [MQTT-3.3.1-1]", () => {
      const out = wire("ffff 32 05 0001 't' 0102 ffff");
      encoder.markDup(out, 2);
      encoder.markDup(out, 2);
      expect(hex(out)).toBe(hex(wire("ffff 3a 05 0001 't' 0102 ffff")));
    });
  });

  describe("flags that are prescribed [MQTT-2.2.2-1]", () => {
    it("are 0010 of PUBREL [MQTT-3.6.1-1], SUBSCRIBE [MQTT-3.8.1-1] and UNSUBSCRIBE [MQTT-3.10.1-1]", () => {
      expect(short(PUBREL, 1)).toBe("62020001");
      expect(subscribe({ a: 0 })).toMatch(/^82/);
      expect(unsubscribe({ a: 0 })).toMatch(/^a2/);
    });

    it("are 0000 of the others", () => {
      expect(connect({})).toMatch(/^10/);
      expect([PUBACK, PUBREC, PUBCOMP].map((type) => short(type, 1))).toEqual([
        "40020001",
        "50020001",
        "70020001",
      ]);
      expect([PINGREQ, DISCONNECT].map((type) => short(type))).toEqual(["c000", "e000"]);
    });
  });

  describe("filterCount", () => {
    it.each([1, 2, 3, 50, 2000])("counts %i filters", (count) => {
      const filters: Record<string, number> = {};
      for (let i = 0; i < count; i++) filters[`filter/é/${i}`] = i % 3;
      const out = new Uint8Array(100000);
      const end = encoder.filters(out, 5, out.length, SUBSCRIBE, 1, filters);
      expect(encoder.filterCount(out, 5, end)).toBe(count);
    });
  });

  describe("remaining length (2.2.3)", () => {
    it.each([0, 1, ...EDGES, LONGEST])("writes %i", (length) => {
      const expected = remainingLength(length);
      expect(headerLength(length)).toBe(1 + expected.length);
      const header = written(3, headerLength(length), (out, offset) => writeHeader(out, offset, 0x30, length));
      expect(header).toBe(`30${hex(expected)}`);
    });

    it.each(EDGES)("writes a PUBLISH with a remaining length of %i, and not into one byte less", (length) => {
      const payload = new Uint8Array(length - 3).fill(0x61);
      const expected = hex(framed(0x30, field("t"), payload));
      expect(publish("t", payload, expected.length / 2) === expected).toBe(true);
      expect(publish("t", payload, expected.length / 2 - 1)).toBe(NO_ROOM);
    });

    it("seals a body of the greatest length, and none that is longer", () => {
      const out = new Uint8Array(8).fill(POISON);
      expect(seal(out, 0, 5, 5 + LONGEST + 1, Infinity, 0x30)).toBe(TOO_LONG);
      expect(out.every((byte) => byte === POISON)).toBe(true);
      expect(seal(out, 0, 5, 5 + LONGEST, Infinity, 0x30)).toBe(5 + LONGEST);
      expect(hex(out)).toBe("30ffffff7feeeeee");
    });
  });

  // A string shows its characters, not its bytes: where those are more, the header can be longer than foreseen.
  describe("text beyond ASCII where the header grows", () => {
    const characters = ["é", "€", "😀"];

    /** A string of `length` bytes with as many of the character as fit into `share` of them. */
    function textOf(character: string, length: number, share: number): string {
      const size = Buffer.byteLength(character);
      const count = Math.floor((length * share) / size);
      return character.repeat(count) + "x".repeat(length - count * size);
    }

    for (const edge of [128, 16384, 2097152]) {
      for (const character of characters) {
        it(`writes a payload with "${character}" and ${edge - 2} to ${edge + 1} bytes behind the header`, () => {
          for (let length = edge - 2; length < edge + 2; length++) {
            for (const share of [1, 0.5, 0.01]) {
              const payload = textOf(character, length - 3, share);
              const expected = hex(framed(0x30, field("t"), Buffer.from(payload)));
              expect(publish("t", payload, expected.length / 2) === expected).toBe(true);
              expect(publish("t", payload, expected.length / 2 - 1)).toBe(NO_ROOM);
            }
          }
        });
      }
    }

    for (const edge of [128, 16384]) {
      it(`writes topics, identifiers and filters with ${edge - 2} to ${edge + 1} bytes behind the header`, () => {
        for (const character of characters) {
          for (let length = edge - 2; length < edge + 2; length++) {
            const id = uint16(1);
            const topic = textOf(character, length - 4, 1);
            const clientId = textOf(character, length - 12, 1);
            const wanted = textOf(character, length - 5, 1);
            const unwanted = textOf(character, length - 4, 1);
            const packets: [Uint8Array, (room: number) => string | number][] = [
              [framed(0x32, field(topic), id), (room) => publish(topic, "", room, QOS_1, 1)],
              [
                framed(0x10, wire("0004 'MQTT' 04 02 003c"), field(clientId)),
                (room) => connect({ clientId }, room),
              ],
              [framed(0x82, id, field(wanted), wire("02")), (room) => subscribe({ [wanted]: 2 }, room)],
              [framed(0xa2, id, field(unwanted)), (room) => unsubscribe({ [unwanted]: 2 }, room)],
            ];
            for (const [expected, write] of packets) {
              expect(expected.length).toBe(headerLength(length) + length);
              expect(write(expected.length)).toBe(hex(expected));
              expect(write(expected.length - 1)).toBe(NO_ROOM);
            }
          }
        }
      });
    }

    it("writes nothing outside its room at any room that is too small", () => {
      for (const character of characters) {
        const payload = textOf(character, 150, 1);
        const { length } = framed(0x30, field("t"), Buffer.from(payload));
        for (let room = 0; room < length; room++) expect(publish("t", payload, room)).toBe(NO_ROOM);
      }
    });
  });

  describe("a lone surrogate [MQTT-1.5.3-1]", () => {
    const will = { topic: "t", message: "m", qos: 0, retain: false };
    for (const lone of ["\ud800", "\udfff", "a\udc00b", "\udc00\ud800", "😀\ud83d"]) {
      it(`is refused everywhere: ${JSON.stringify(lone)}`, () => {
        expect(connect({ clientId: lone })).toBe(ILL_FORMED);
        expect(connect({ username: lone })).toBe(ILL_FORMED);
        expect(connect({ username: "", password: lone })).toBe(ILL_FORMED);
        expect(connect({ will: { ...will, topic: lone } })).toBe(ILL_FORMED);
        expect(connect({ will: { ...will, message: lone } })).toBe(ILL_FORMED);
        expect(subscribe({ a: 0, [lone]: 0 })).toBe(ILL_FORMED);
        expect(unsubscribe({ a: 0, [lone]: 0, b: 0 })).toBe(ILL_FORMED);
        expect(publish(lone, "")).toBe(ILL_FORMED);
        expect(publish("t", lone)).toBe(ILL_FORMED_PAYLOAD);
        expect(publish("t", lone, 99, QOS_1, 1)).toBe(ILL_FORMED_PAYLOAD);
      });
    }
  });

  describe("a field of more than 65535 bytes (1.5.3)", () => {
    const longest = "x".repeat(65535);
    const tooLong = { "ASCII": "x".repeat(65536), "beyond ASCII": "é".repeat(32768) };
    const will = { topic: "t", message: "m", qos: 0, retain: false };

    it("is refused of a topic [MQTT-4.7.3-3], and one byte less is not", () => {
      expect(publish(longest, "") === hex(framed(0x30, field(longest)))).toBe(true);
      expect(subscribe({ [longest]: 0 })).toHaveLength(2 * (4 + 2 + 2 + 65535 + 1));
      for (const topic of Object.values(tooLong)) {
        expect(publish(topic, "")).toBe(TOO_LONG);
        expect(subscribe({ a: 0, [topic]: 0 })).toBe(TOO_LONG);
        expect(unsubscribe({ [topic]: 0, a: 0 })).toBe(TOO_LONG);
        expect(connect({ will: { ...will, topic } })).toBe(TOO_LONG);
      }
    });

    it("is refused in CONNECT, and one byte less is not", () => {
      const expected = hex(framed(0x10, wire("0004 'MQTT' 04 02 003c"), field(longest)));
      expect(connect({ clientId: longest }) === expected).toBe(true);
      for (const string of Object.values(tooLong)) {
        for (const value of [string, new Uint8Array(65536)]) {
          expect(connect({ will: { ...will, message: value } })).toBe(TOO_LONG);
          expect(connect({ username: "", password: value })).toBe(TOO_LONG);
        }
        expect(connect({ clientId: string })).toBe(TOO_LONG);
        expect(connect({ username: string })).toBe(TOO_LONG);
      }
    });

    it("is no limit of a payload", () => {
      for (const payload of [...Object.values(tooLong), new Uint8Array(65536)]) {
        const expected = hex(framed(0x30, field("t"), Buffer.from(payload as string)));
        expect(publish("t", payload) === expected).toBe(true);
      }
    });
  });
});
