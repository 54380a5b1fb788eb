import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import hal from "../../hal/node.js";
import { ILL_FORMED, NO_ROOM, TOO_LONG } from "../../src/errors.js";
import {
  Properties,
  WILL,
  checkProperties,
  readVarint,
  writeProperties,
  writeProperty,
} from "../../src/v5/properties.js";
import { AUTH, MALFORMED_PACKET, PROTOCOL_ERROR, TOPIC_ALIAS_INVALID } from "../../src/v5/wire.js";
import { CONNECT, PUBLISH, SUBSCRIBE } from "../../src/wire.js";
import { guarded, hex, join, poisoned, wire } from "../support/bytes.js";
import { written } from "../support/codec-suites.js";
import { TYPES, field } from "../support/packets.js";
import type { ReceivedProperties } from "../../src/v5/properties.js";
import type { PropertyVector } from "../vectors/properties.js";
import { PROPERTIES } from "../vectors/properties.js";

const text = hal.createText();

/** All sixteen types of packets, and WILL, which stands where there is none. */
const PACKETS = Object.entries({ WILL, ...TYPES, AUTH });

/** A packet that a property may stand in. */
function packetOf({ packets }: PropertyVector): number {
  return PACKETS.find(([name]) => name === packets[0])![1];
}

/** The shortest, which may stand anywhere. */
const USER_PROPERTY = wire("26 0000 0000");

const MULTIPLE = ["userProperty", "subscriptionIdentifier"];

/** As `toObject` has it. */
function objectOf({ name, value }: PropertyVector): Record<string, unknown> {
  return { [name]: MULTIPLE.includes(name) ? [value] : value };
}

/** What `take` says, of bytes that lie within others; nothing else is read. */
function take(notation: string | Uint8Array, packet: number, properties = new Properties(text)): number {
  const bytes = typeof notation === "string" ? wire(notation) : notation;
  const { around, start, end } = poisoned(bytes);
  const result = properties.take(guarded(around, start, end + 13), start, end, packet);
  // From now on without a guard, which the platform's conversion of text does not take.
  properties.bytes = around;
  if (result !== 0) return result;
  // What texts are made of is seen when they are read.
  expect(properties.fault).toBe(0);
  properties.toObject();
  return properties.fault;
}

/** What is shown of bytes that are right. */
function taken(notation: string | Uint8Array, packet: number): Properties {
  const properties = new Properties(text);
  expect(take(notation, packet, properties)).toBe(0);
  return properties;
}

/** What `checkProperties` says, in words. */
function check(packet: number, properties: unknown): string {
  try {
    checkProperties(text, packet, properties);
    return "";
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
}

function write(properties: object, offset = 0, room = 500): string | number {
  return written(offset, room, (out, at, end) => writeProperties(text, out, at, end, properties));
}

describe.each(PROPERTIES)("$name ($id)", (row) => {
  const bytes = wire(row.notation);
  const packet = packetOf(row);

  it("is read (2.2.2.2)", () => {
    const properties = taken(bytes, packet);
    expect(properties.toObject()).toEqual(objectOf(row));
    expect(properties.get(row.name as keyof ReceivedProperties)).toEqual(objectOf(row)[row.name]);
    if (typeof row.value === "number") expect(properties.number(row.id, -1)).toBe(row.value);
  });

  it("is written, in exactly the room it needs (2.2.2.2)", () => {
    const given = row.type === "pair" ? objectOf(row) : { [row.name]: row.value };
    for (const offset of [0, 7]) {
      expect(write(given, offset, bytes.length)).toBe(hex(bytes));
      for (let room = 0; room < bytes.length; room++) expect(write(given, offset, room)).toBe(NO_ROOM);
    }
  });

  it(`may stand in ${row.packets.join(", ")}, and nowhere else (table 2-4)`, () => {
    for (const [name, type] of PACKETS) {
      const isThere = row.packets.includes(name);
      expect({ name, result: take(bytes, type) }).toEqual({ name, result: isThere ? 0 : MALFORMED_PACKET });
    }
  });

  it("is malformed when it ends too early", () => {
    for (let length = 1; length < bytes.length; length++) {
      expect(take(bytes.subarray(0, length), packet)).toBe(MALFORMED_PACKET);
      expect(take(join(USER_PROPERTY, bytes.subarray(0, length)), packet)).toBe(MALFORMED_PACKET);
    }
  });

  if (row.name === "userProperty") {
    it("may stand several times everywhere", () => {
      for (const [name, type] of PACKETS) {
        if (!row.packets.includes(name)) continue;
        const properties = taken(join(bytes, bytes, bytes), type);
        expect(properties.toObject()).toEqual({ userProperty: [row.value, row.value, row.value] });
      }
    });
  } else {
    it("may stand once only, in a message from a broker a Subscription Identifier more often [MQTT5-3.3.4-3]", () => {
      for (const [name, type] of PACKETS) {
        if (!row.packets.includes(name)) continue;
        const mayRepeat = row.name === "subscriptionIdentifier" && name === "PUBLISH";
        for (const twice of [join(bytes, bytes), join(bytes, USER_PROPERTY, bytes)]) {
          expect({ name, result: take(twice, type) }).toEqual({ name, result: mayRepeat ? 0 : PROTOCOL_ERROR });
        }
      }
    });
  }

  if (row.type === "byte") {
    it("is 0 or 1", () => {
      for (let value = 0; value < 256; value++) {
        expect(take(new Uint8Array([row.id, value]), packet)).toBe(value > 1 ? PROTOCOL_ERROR : 0);
      }
    });
  }

  if (row.type === "string" || row.type === "pair") {
    const texts: [title: string, bytes: string, isRight: boolean][] = [
      ["a lone surrogate", "'a' eda080", false],
      ["an overlong form", "c1bf", false],
      ["what lies above U+10FFFF", "f4908080", false],
      ["a character cut short", "'a' e282", false],
      ["a continuation byte alone", "80", false],
      ["U+0000 [MQTT5-1.5.4-2]", "'a' 00 'b'", false],
      ["U+0000 alone [MQTT5-1.5.4-2]", "00", false],
      ["a byte order mark [MQTT5-1.5.4-3]", "efbbbf 'a'", true],
      ["characters of two, three and four bytes", "'é温😀'", true],
      ["U+0001 and U+FFFF, which is allowed", "01 efbfbf", true],
    ];
    it.each(texts)("with %s [MQTT5-1.5.4-1] [MQTT5-1.5.7-1]", (_title, notation, isRight) => {
      const value = field(wire(notation));
      const good = field("good");
      const id = new Uint8Array([row.id]);
      const all = row.type === "string" ? [join(id, value)] : [join(id, value, good), join(id, good, value)];
      for (const each of all) {
        expect(take(each, packet)).toBe(isRight ? 0 : MALFORMED_PACKET);
        if (!isRight) continue;
        const strings = ([taken(each, packet).get(row.name as keyof ReceivedProperties)] as unknown[]).flat(2);
        expect(strings).toContain(Buffer.from(wire(notation)).toString());
      }
    });

    it("is as long as a string can be", () => {
      const long = field("x".repeat(65535));
      const id = new Uint8Array([row.id]);
      const bytes = row.type === "string" ? join(id, long) : join(id, long, long);
      const value = taken(bytes, packet).get(row.name as keyof ReceivedProperties);
      expect(JSON.stringify(value).length).toBeGreaterThan(65535);
      expect(take(bytes.subarray(0, bytes.length - 1), packet)).toBe(MALFORMED_PACKET);
    });
  }

  if (row.type === "binary") {
    it("may be any bytes, or none", () => {
      for (const value of ["", "00", "ff", "eda080", "c1bf00"]) {
        const bytes = join(new Uint8Array([row.id]), field(wire(value)));
        expect(taken(bytes, packet).get(row.name as keyof ReceivedProperties)).toEqual(wire(value));
      }
    });
  }
});

describe("Values that a property may not have", () => {
  it.each([
    ["Receive Maximum 0 (3.1.2.11.3)", "21 0000", CONNECT, PROTOCOL_ERROR],
    ["Maximum Packet Size 0 (3.1.2.11.4)", "27 00000000", CONNECT, PROTOCOL_ERROR],
    ["Subscription Identifier 0 (3.8.2.1.2)", "0b 00", SUBSCRIBE, PROTOCOL_ERROR],
    ["Subscription Identifier 0 in more bytes than it needs", "0b 8000", PUBLISH, PROTOCOL_ERROR],
    ["Topic Alias 0 [MQTT5-3.3.2-8]", "23 0000", PUBLISH, TOPIC_ALIAS_INVALID],
    ["a Response Topic with + [MQTT5-3.3.2-14]", "08 0003 'a/+'", PUBLISH, PROTOCOL_ERROR],
    ["a Response Topic with # [MQTT5-3.3.2-14]", "08 0001 '#'", WILL, PROTOCOL_ERROR],
    ["an empty Response Topic [MQTT5-4.7.3-1]", "08 0000", PUBLISH, PROTOCOL_ERROR],
    ["an identifier that there is not, 0", "00", PUBLISH, MALFORMED_PACKET],
    ["an identifier that there is not, 4", "04 00", PUBLISH, MALFORMED_PACKET],
    ["an identifier that there is not, 43", "2b 00", CONNECT, MALFORMED_PACKET],
    ["an identifier that there is not, 127", "7f 00", CONNECT, MALFORMED_PACKET],
    ["an identifier in more bytes than it needs", "a600 0000 0000", PUBLISH, MALFORMED_PACKET],
    ["what is wrong behind what is right", "26 0000 0000 24 02", 2, PROTOCOL_ERROR],
  ] as [string, string, number, number][])("%s", (_title, notation, packet, result) => {
    expect(take(notation, packet)).toBe(result);
  });

  it("but + and # in other strings", () => {
    expect(taken("03 0002 '+#' 26 0001 '#' 0001 '+'", PUBLISH).toObject()).toEqual({
      contentType: "+#", userProperty: [["#", "+"]],
    });
  });

  it("leaves the alias of a message as it is, and none without one", () => {
    const properties = taken("23 ffff", PUBLISH);
    expect(properties.alias).toBe(65535);
    expect(take("", PUBLISH, properties)).toBe(0);
    expect(properties.alias).toBe(0);
  });

  it("every identifier: no more than the 27 are known", () => {
    // Room enough for each type, and not more: what is behind it would be wrong.
    const values = ["01", "0001", "0001 'a'", "00000001", "0001 'a' 0000"].map(wire);
    const known = [];
    for (let id = 0; id < 256; id++) {
      const isKnown = PACKETS.some(([, packet]) => (
        values.some((value) => take(join(new Uint8Array([id]), value), packet) === 0)
      ));
      if (isKnown) known.push(id);
    }
    expect(known).toEqual(PROPERTIES.map(({ id }) => id));
  });
});

describe("Variable Byte Integers (1.5.5)", () => {
  const EDGES: [value: number, notation: string][] = [
    [1, "01"],
    [127, "7f"],
    [128, "8001"],
    [16383, "ff7f"],
    [16384, "808001"],
    [2097151, "ffff7f"],
    [2097152, "80808001"],
    [268435455, "ffffff7f"],
  ];

  it.each(EDGES)("%i is %s [MQTT5-1.5.5-1]", (value, notation) => {
    const bytes = join(wire("0b"), wire(notation));
    expect(taken(bytes, SUBSCRIBE).toObject()).toEqual({ subscriptionIdentifier: [value] });
    expect(taken(bytes, SUBSCRIBE).number(11, -1)).toBe(value);
    expect(readVarint(bytes, 1, bytes.length)).toBe(value);
    expect(write({ subscriptionIdentifier: value }, 3, bytes.length)).toBe(hex(bytes));
    expect(write({ subscriptionIdentifier: value }, 3, bytes.length - 1)).toBe(NO_ROOM);
    expect(check(SUBSCRIBE, { subscriptionIdentifier: value })).toBe("");
  });

  it("have at most four bytes", () => {
    for (const packet of [PUBLISH, SUBSCRIBE]) {
      expect(take("0b 8080808001", packet)).toBe(MALFORMED_PACKET);
      expect(take("0b ffffffff", packet)).toBe(MALFORMED_PACKET);
    }
  });

  it("are read in more bytes than they need, too", () => {
    expect(taken("0b 81808000", PUBLISH).toObject()).toEqual({ subscriptionIdentifier: [1] });
  });
});

describe("Properties", () => {
  it("come in the order of the packet, with windows on their values", () => {
    const bytes = wire(
      "26 0001 'b' 0000 01 01 26 0001 'a' 0001 'z' 02 0000000a 26 0001 'b' 0000 09 0002 0102 0b 8001 03 0000",
    );
    const told: [number, string][] = [];
    taken(bytes, PUBLISH).forEach((id, from, start, end) => told.push([id, hex(from.subarray(start, end))]));
    expect(told).toEqual([
      [38, hex(wire("0001 'b' 0000"))],
      [1, "01"],
      [38, hex(wire("0001 'a' 0001 'z'"))],
      [2, "0000000a"],
      [38, hex(wire("0001 'b' 0000"))],
      [9, "0102"],
      [11, "8001"],
      [3, ""],
    ]);
  });

  it("keep User Properties in their order, with equal names and empty ones [MQTT5-3.3.2-18]", () => {
    const pairs: [string, string][] = [["b", "1"], ["a", "2"], ["b", "1"], ["", ""], ["b", "0"]];
    const bytes = join(...pairs.map(([name, value]) => join(wire("26"), field(name), field(value))));
    const properties = taken(bytes, AUTH);
    expect(properties.toObject()).toEqual({ userProperty: pairs });
    expect(properties.get("userProperty")).toEqual(pairs);
    expect(write({ userProperty: pairs })).toBe(hex(bytes));
  });

  it("keep Subscription Identifiers in their order, equal ones too [MQTT5-3.3.4-3]", () => {
    const properties = taken("0b 02 0b 8001 0b 02", PUBLISH);
    expect(properties.toObject()).toEqual({ subscriptionIdentifier: [2, 128, 2] });
    expect(properties.get("subscriptionIdentifier")).toEqual([2, 128, 2]);
    expect(write({ subscriptionIdentifier: [2, 128, 2] })).toBe(hex(wire("0b02 0b8001 0b02")));
  });

  it("may be none at all", () => {
    for (const [, packet] of PACKETS) {
      const properties = taken("", packet);
      expect(properties.toObject()).toEqual({});
      expect(properties.get("userProperty")).toBeUndefined();
      expect(properties.number(33, 65535)).toBe(65535);
    }
  });

  it("give a number of their own, not a byte of another", () => {
    const properties = taken("21 0005 22 0007 27 00000009", CONNECT);
    expect([33, 34, 39, 17].map((id) => properties.number(id, -1))).toEqual([5, 7, 9, -1]);
    expect(properties.get("topicAliasMaximum")).toBe(7);
    expect(properties.get("sessionExpiryInterval")).toBeUndefined();
  });

  it("hand over data that is the application's", () => {
    const bytes = wire("09 0002 0102");
    const properties = new Properties(text);
    properties.take(bytes, 0, bytes.length, PUBLISH);
    const data = properties.get("correlationData");
    const { correlationData } = properties.toObject();
    bytes.fill(0);
    expect([data, correlationData]).toEqual([wire("0102"), wire("0102")]);
  });

  it("show the latest packet only", () => {
    const properties = taken("03 0001 'a' 23 0001", PUBLISH);
    expect(take("1f 0001 'b'", AUTH, properties)).toBe(0);
    expect(properties.toObject()).toEqual({ reasonString: "b" });
    expect(properties.alias).toBe(0);
  });

  it("are the same behind any bytes, read and written", () => {
    const strings = fc.string({ unit: "binary", maxLength: 9 }).map((string) => string.replaceAll("\0", "."));
    const given = fc.record({
      payloadFormatIndicator: fc.nat(1),
      messageExpiryInterval: fc.nat(4294967295),
      contentType: strings,
      correlationData: fc.uint8Array({ maxLength: 9 }),
      subscriptionIdentifier: fc.array(fc.integer({ min: 1, max: 268435455 }), { minLength: 1, maxLength: 3 }),
      userProperty: fc.array(fc.tuple(strings, strings), { minLength: 1, maxLength: 3 }),
    }, { requiredKeys: [] });
    fc.assert(fc.property(given, fc.nat(9), (properties, offset) => {
      const bytes = Buffer.from(write(properties, offset) as string, "hex");
      expect(taken(new Uint8Array(bytes), PUBLISH).toObject()).toEqual({ ...properties });
    }), { numRuns: 1000 });
  });

  it("neither throw nor read out of bounds, whatever the bytes are", () => {
    const anything = fc.array(fc.oneof(
      fc.constantFrom(...PROPERTIES.map(({ notation }) => wire(notation))),
      fc.uint8Array({ maxLength: 4 }),
    ), { maxLength: 6 });
    fc.assert(fc.property(anything, fc.constantFrom(...PACKETS.map(([, packet]) => packet)), (parts, packet) => {
      const result = take(join(...parts), packet);
      expect([0, MALFORMED_PACKET, PROTOCOL_ERROR, TOPIC_ALIAS_INVALID]).toContain(result);
    }), { numRuns: 5000 });
  });
});

describe("checkProperties", () => {
  /** What only a broker sends there, or the client by itself. */
  const OURS = [
    "PUBLISH topicAlias", "PUBLISH subscriptionIdentifier", "DISCONNECT serverReference", "CONNACK serverReference",
    "CONNECT receiveMaximum", "CONNACK receiveMaximum", "CONNECT topicAliasMaximum", "CONNACK topicAliasMaximum",
    "CONNECT authenticationMethod", "CONNACK authenticationMethod", "AUTH authenticationMethod",
    "CONNECT authenticationData", "CONNACK authenticationData", "AUTH authenticationData",
  ];

  it.each(PROPERTIES)("takes $name where it may stand and is the application's, and refuses it elsewhere", (row) => {
    for (const [name, packet] of PACKETS) {
      const mayStand = row.packets.includes(name) && !OURS.includes(`${name} ${row.name}`);
      const given = row.type === "pair" ? [row.value] : row.value;
      expect({ name, says: check(packet, { [row.name]: given }) }).toEqual({
        name,
        says: mayStand ? "" : `TypeError: properties must not have "${row.name}" here`,
      });
    }
  });

  it.each([
    ["not an object", PUBLISH, 1, "TypeError: properties must be an object, not 1"],
    ["null", PUBLISH, null, "TypeError: properties must be an object, not null"],
    ["an array", PUBLISH, [], "TypeError: properties must be an object, not an array"],
    ["a name that there is not", PUBLISH, { colour: 1 }, 'TypeError: properties must not have "colour" here'],
    ["an empty name", PUBLISH, { "": 1 }, 'TypeError: properties must not have "" here'],
    ["a flag of 2", PUBLISH, { payloadFormatIndicator: 2 },
      "TypeError: payloadFormatIndicator must be 0, 1 or a boolean, not 2"],
    ["a flag as a string", PUBLISH, { payloadFormatIndicator: "1" },
      'TypeError: payloadFormatIndicator must be 0, 1 or a boolean, not "1"'],
    ["seconds below 0", PUBLISH, { messageExpiryInterval: -1 },
      "RangeError: messageExpiryInterval must be an integer from 0 to 4294967295, not -1"],
    ["seconds that are too many", CONNECT, { sessionExpiryInterval: 4294967296 },
      "RangeError: sessionExpiryInterval must be an integer from 0 to 4294967295, not 4294967296"],
    ["half a second", WILL, { willDelayInterval: 0.5 },
      "RangeError: willDelayInterval must be an integer from 0 to 4294967295, not 0.5"],
    ["seconds that are no number", WILL, { willDelayInterval: "1" },
      'TypeError: willDelayInterval must be a number, not "1"'],
    ["a Maximum Packet Size of 0", CONNECT, { maximumPacketSize: 0 },
      "RangeError: maximumPacketSize must be an integer from 1 to 4294967295, not 0"],
    ["a Subscription Identifier of 0", SUBSCRIBE, { subscriptionIdentifier: 0 },
      "RangeError: subscriptionIdentifier must be an integer from 1 to 268435455, not 0"],
    ["a Subscription Identifier that is too high", SUBSCRIBE, { subscriptionIdentifier: 268435456 },
      "RangeError: subscriptionIdentifier must be an integer from 1 to 268435455, not 268435456"],
    ["several Subscription Identifiers", SUBSCRIBE, { subscriptionIdentifier: [1, 2] },
      "TypeError: subscriptionIdentifier must be a number, not an array"],
    ["a string that is none", PUBLISH, { contentType: 5 }, "TypeError: contentType must be a string, not 5"],
    ["U+0000 [MQTT5-1.5.4-2]", PUBLISH, { contentType: "a\0" },
      "TypeError: contentType must not have the character U+0000"],
    ["a lone surrogate [MQTT5-1.5.4-1]", PUBLISH, { contentType: "\ud800" },
      "TypeError: contentType must not have a lone surrogate"],
    ["a string that is too long", PUBLISH, { contentType: "é".repeat(32768) },
      "RangeError: contentType must be at most 65535 bytes long, not 65536"],
    ["a Response Topic with a wildcard [MQTT5-3.3.2-14]", PUBLISH, { responseTopic: "a/+" },
      'TypeError: responseTopic must be a topic name, not "a/+"'],
    ["an empty Response Topic", WILL, { responseTopic: "" },
      'TypeError: responseTopic must be a topic name, not ""'],
    ["data that is a number", PUBLISH, { correlationData: 5 },
      "TypeError: correlationData must be a string or bytes, not 5"],
    ["data that is too long", PUBLISH, { correlationData: new Uint8Array(65536) },
      "RangeError: correlationData must be at most 65535 bytes long, not 65536"],
    ["User Properties that are an object", PUBLISH, { userProperty: { a: "b" } },
      "TypeError: userProperty must be an array of [name, value], not an object"],
    ["a User Property that is a string", PUBLISH, { userProperty: ["ab"] },
      'TypeError: userProperty must be an array of [name, value], not "ab"'],
    ["a User Property of three", PUBLISH, { userProperty: [["a", "b", "c"]] },
      "TypeError: userProperty must be an array of [name, value], not an array"],
    ["a User Property whose value is a number", PUBLISH, { userProperty: [["a", "b"], ["c", 1]] },
      "TypeError: userProperty must be a string, not 1"],
    ["an ill-formed name of a User Property [MQTT5-1.5.7-1]", PUBLISH, { userProperty: [["\udc00", "b"]] },
      "TypeError: userProperty must not have a lone surrogate"],
    ["U+0000 in the value of a User Property [MQTT5-1.5.4-2]", PUBLISH, { userProperty: [["a", "\0"]] },
      "TypeError: userProperty must not have the character U+0000"],
  ] as [string, number, unknown, string][])("refuses %s", (_title, packet, properties, says) => {
    expect(check(packet, properties)).toBe(says);
  });

  it("takes booleans for flags, strings for data, undefined and null for none, and the edges of each range", () => {
    expect(check(PUBLISH, { payloadFormatIndicator: true, correlationData: "é", contentType: undefined })).toBe("");
    expect(check(CONNECT, { requestProblemInformation: false, maximumPacketSize: 1, userProperty: null })).toBe("");
    expect(check(CONNECT, { sessionExpiryInterval: 4294967295, maximumPacketSize: 4294967295 })).toBe("");
    expect(check(WILL, { willDelayInterval: 0, userProperty: [], contentType: "x".repeat(65535) })).toBe("");
  });
});

describe("writeProperties", () => {
  it("writes in the order of the object, booleans as 0 and 1, strings as data, and leaves out what is null", () => {
    expect(write({
      requestResponseInformation: true, requestProblemInformation: false, correlationData: "é", contentType: null,
      reasonString: undefined, userProperty: [],
    })).toBe(hex(wire("19 01 17 00 09 0002 'é'")));
  });

  it("passes a negative offset on, and says what cannot be written", () => {
    const out = new Uint8Array(70000);
    const all = [{ contentType: "a" }, { userProperty: [["a", "b"]] }, { subscriptionIdentifier: [1, 2] }, {}];
    for (const given of all) {
      expect(writeProperties(text, out, NO_ROOM, 99, given)).toBe(NO_ROOM);
      expect(writeProperties(text, out, ILL_FORMED, 99, given)).toBe(ILL_FORMED);
    }
    expect(writeProperty(text, out, TOO_LONG, 99, 33, 5)).toBe(TOO_LONG);
    expect(writeProperties(text, out, 0, 70000, { contentType: "x".repeat(65536) })).toBe(TOO_LONG);
    expect(writeProperties(text, out, 0, 70000, { contentType: "\ud800", reasonString: "a" })).toBe(ILL_FORMED);
    expect(writeProperties(text, out, 0, 70000, { userProperty: [["a", "\ud800"]] })).toBe(ILL_FORMED);
  });

  it("writes the edges of each number", () => {
    for (const [name, values] of Object.entries({
      messageExpiryInterval: [0, 255, 256, 65535, 65536, 2147483647, 2147483648, 4294967295],
      topicAlias: [1, 255, 256, 65535],
      payloadFormatIndicator: [0, 1],
    })) {
      for (const value of values) {
        const bytes = Buffer.from(write({ [name]: value }) as string, "hex");
        expect(taken(new Uint8Array(bytes), PUBLISH).toObject()).toEqual({ [name]: value });
      }
    }
  });
});
