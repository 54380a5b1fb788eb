/** `traced`: a HAL that tells what passes, changes nothing of it, and does not give away what is nobody's business. */
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import type { MockHalOptions, MockSocket } from "../../hal/mock.js";
import { MockHal } from "../../hal/mock.js";
import type { Hal, Socket, SocketHandler, Text } from "../../hal/socket.js";
import { createMqtt } from "../../src/client.js";
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_QOS,
  BAD_REMAINING_LENGTH,
  BAD_TOPIC,
} from "../../src/errors.js";
import type { ConnectionEvent, Packet, TraceOptions } from "../../src/optional/trace.js";
import { describeConnection, describePacket, traced } from "../../src/optional/trace.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { vectors } from "../vectors/packets.js";
import { binary, hex, join, wire } from "../support/bytes.js";
import { cuttings } from "../support/codec-suites.js";
import { Broker } from "../support/device.js";
import { chunkSizes } from "../support/arbitraries.js";
import type { Packet as Meaning } from "../support/packets.js";
import { field, framed } from "../support/packets.js";

const SECRET = "s3cret-Wort";

/** A connection on a traced mock, without a client: bytes in, packets out. */
class Line {
  readonly mock: MockHal;
  readonly hal: Hal;
  readonly packets: Packet[] = [];
  readonly events: ConnectionEvent[] = [];
  /** What the handler was told. */
  readonly told: string[] = [];
  socket: Socket | undefined;

  constructor(options: TraceOptions = {}, mock = new MockHal({ room: 1e6, window: 1e6 })) {
    this.mock = mock;
    this.hal = traced(mock, (packet) => this.packets.push(packet), {
      onConnection: (event) => this.events.push(event),
      ...options,
    });
  }

  open(host = "broker", port = 1883, secure?: object): this {
    this.socket = this.hal.open(host, port, secure, {
      onReadable: (count) => this.told.push(`readable ${count}`),
      onWritable: (count) => this.told.push(`writable ${count}`),
      onError: (failure, detail) => this.told.push(`error ${failure} ${String(detail)}`),
    });
    this.mock.settle();
    return this;
  }

  up(): this {
    this.open();
    this.mock.socket.connect();
    return this;
  }

  /** Has bytes pass in pieces, and returns what arrived. */
  pass(isSent: boolean, bytes: Uint8Array, sizes: number[] = [bytes.length]): Uint8Array {
    const network = this.mock.socket;
    const arrived = new Uint8Array(bytes.length);
    if (!isSent) network.receive(bytes);
    for (let at = 0, i = 0; at < bytes.length; i++) {
      const next = Math.min(at + sizes[i % sizes.length], bytes.length);
      if (isSent) this.socket!.write(bytes, at, next);
      else this.socket!.read(arrived, at, next);
      at = next;
    }
    return isSent ? network.takeSent() : arrived;
  }
}

/** The packets in a stream, without what is the same for all of them. */
function packetsIn(isSent: boolean, bytes: Uint8Array, options?: TraceOptions, sizes?: number[]): object[] {
  const line = new Line(options).up();
  line.pass(isSent, bytes, sizes);
  return line.packets.map(({ isSent: direction, connectionNumber, ...rest }) => {
    expect({ direction, connectionNumber }).toEqual({ direction: isSent, connectionNumber: 1 });
    return rest;
  });
}

/** However the stream is cut, in either direction. */
function expectPackets(bytes: Uint8Array, expected: object[], options?: TraceOptions): void {
  for (const isSent of [true, false]) {
    for (const sizes of cuttings(bytes.length)) {
      expect({ sizes, packets: packetsIn(isSent, bytes, options, sizes) }).toEqual({ sizes, packets: expected });
    }
  }
}

/** A packet of the vectors as the trace is to tell it, with everything that may be hidden. */
function tracedAs(packet: Meaning): object {
  const whole = { isPartial: false };
  switch (packet.type) {
    case "CONNECT": {
      const { will } = packet;
      return {
        type: "CONNECT",
        protocolLevel: 4,
        isBridge: false,
        cleansession: packet.cleanSession,
        keepalive: packet.keepAliveSeconds,
        clientid: packet.clientId,
        hasUsername: packet.username !== undefined,
        hasPassword: packet.password !== undefined,
        username: packet.username,
        password: packet.password === undefined ? undefined : binary(packet.password),
        lwt: will && {
          topic: will.topicName,
          payload: binary(will.message),
          payloadLength: will.message.length,
          qos: will.qos,
          retain: will.retain,
        },
        ...whole,
      };
    }
    case "PUBLISH":
      return {
        type: "PUBLISH",
        topic: packet.topicName,
        payload: binary(packet.payload),
        payloadLength: packet.payload.length,
        qos: packet.qos,
        retain: packet.retain,
        dup: packet.dup,
        packetId: packet.packetId,
        ...whole,
      };
    case "SUBSCRIBE":
      return {
        type: "SUBSCRIBE",
        packetId: packet.packetId,
        subscriptions: packet.filters.map(([topicFilter, qos]) => ({ topicFilter, qos })),
        ...whole,
      };
    case "UNSUBSCRIBE":
      return { type: "UNSUBSCRIBE", packetId: packet.packetId, topicFilters: packet.filters, ...whole };
    default:
      return { ...packet, ...whole };
  }
}

const PUBACK_7 = wire("40 02 0007");
const ACK_7 = { type: "PUBACK", packetId: 7, isPartial: false };

const WILL = [field("/lwt"), field("gone for good")];
/** CONNECT with a will, a username and a password. */
const CONNECT = framed(
  0x10, field("MQTT"), wire("04 c6 003c"), field("sensor"), ...WILL, field("user"), field(SECRET),
);

describe("Packets", () => {
  for (const { title, bytes, packet } of vectors) {
    // Longer ones are cut by the property below.
    const isLong = bytes.length > 200;
    it(`tells ${title}, however the stream is cut, with packets before and behind`, () => {
      const stream = join(PUBACK_7, bytes, PUBACK_7);
      const expected = [ACK_7, tracedAs(packet), ACK_7];
      const options = { payload: true, credentials: true, scratchCapacity: 100000 };
      if (!isLong) return expectPackets(stream, expected, options);
      for (const isSent of [true, false]) {
        for (const sizes of [[stream.length], [1000, 1]]) {
          expect(packetsIn(isSent, stream, options, sizes)).toEqual(expected);
        }
      }
    });
  }

  it("tells every type there is", () => {
    const types = new Set(vectors.map(({ packet }) => packet.type));
    expect(types.size).toBe(14);
  });

  it("tells a packet when its last byte has passed, not before", () => {
    const bytes = wire("32 08 0001 't' 0005 'pay'");
    const line = new Line().up();
    for (let at = 0; at < bytes.length - 1; at++) line.pass(true, bytes.subarray(at, at + 1));
    expect(line.packets).toEqual([]);
    line.pass(true, bytes.subarray(bytes.length - 1));
    expect(line.packets.map(({ type }) => type)).toEqual(["PUBLISH"]);
  });

  it("keeps apart what is sent and what is received", () => {
    const line = new Line().up();
    line.pass(true, PUBACK_7.subarray(0, 3));
    line.pass(false, wire("d0 00"));
    line.pass(true, PUBACK_7.subarray(3));
    expect(line.packets.map((packet) => describePacket(packet))).toEqual([
      "received PINGRESP",
      "sent PUBACK (PacketId=7)",
    ]);
  });

  it("tells CONNECT of MQTT 3.1 and of a bridge", () => {
    for (const [name, level, protocolLevel, isBridge] of [
      ["MQIsdp", "03", 3, false],
      ["MQIsdp", "83", 3, true],
      ["MQTT", "84", 4, true],
      ["MQTT", "04", 4, false],
    ] as const) {
      const bytes = framed(
        0x10, field(name), wire(level), wire("ee 000a"), field("id"), ...WILL, field("user"), field(SECRET),
      );
      expectPackets(join(bytes, PUBACK_7), [{
        type: "CONNECT",
        protocolLevel,
        isBridge,
        cleansession: true,
        keepalive: 10,
        clientid: "id",
        hasUsername: true,
        hasPassword: true,
        username: "user",
        password: binary(SECRET),
        lwt: { topic: "/lwt", payload: binary("gone for good"), payloadLength: 13, qos: 1, retain: true },
        isPartial: false,
      }, ACK_7], { credentials: true, payload: true });
    }
  });

  it("tells what is known of CONNECT of another level, and that the rest cannot be read", () => {
    // MQTT 5: properties stand before the client identifier.
    const bytes = framed(0x10, field("MQTT"), wire("05 02 003c"), wire("03 21 0014"), field("id"));
    expectPackets(join(bytes, PUBACK_7), [
      {
        type: "CONNECT",
        protocolLevel: 5,
        isBridge: false,
        cleansession: true,
        keepalive: 60,
        clientid: undefined,
        hasUsername: false,
        hasPassword: false,
        username: undefined,
        password: undefined,
        lwt: undefined,
        isPartial: true,
      },
      { type: "MALFORMED", error: BAD_FIELD, isPartial: false },
    ]);
  });

  it("tells what its receiver will refuse, as long as it can be read", () => {
    expectPackets(wire("20 02 01 05  40 02 0000  90 04 0001 03 80"), [
      { type: "CONNACK", sessionPresent: true, returnCode: 5, isPartial: false },
      { type: "PUBACK", packetId: 0, isPartial: false },
      { type: "SUBACK", packetId: 1, returnCodes: [3, 128], isPartial: false },
    ]);
  });

  it("shows ill-formed UTF-8 as such", () => {
    expect(packetsIn(true, wire("30 05 0003 61ff62"))).toMatchObject([{ topic: "a\uFFFDb" }]);
  });

  it("leaves the receiver a payload of its own", () => {
    const bytes = wire("30 06 0001 't' 'abc'");
    const line = new Line({ payload: true }).up();
    line.pass(true, bytes);
    bytes.fill(0);
    line.pass(true, wire("30 06 0001 't' 'xyz'"));
    expect(line.packets).toMatchObject([{ payload: binary("abc") }, { payload: binary("xyz") }]);
    const connect = Uint8Array.from(CONNECT);
    const other = new Line({ payload: true, credentials: true }).up();
    other.pass(true, connect);
    connect.fill(0);
    expect(other.packets).toMatchObject([{ password: binary(SECRET), lwt: { payload: binary("gone for good") } }]);
  });
});

describe("What is not a packet", () => {
  it.each([
    ["a reserved type", "f0 00", BAD_HEADER],
    ["reserved flags", "41 02 0001", BAD_HEADER],
    ["HTTP", "'HTTP/1.1 400 Bad Request'", BAD_HEADER],
    ["a header of six bytes", "40 ff ff ff ff 01", BAD_REMAINING_LENGTH],
    ["PUBACK of three bytes", "40 03 000100", BAD_LENGTH],
    ["PINGREQ with a byte", "c0 01 00", BAD_LENGTH],
    ["SUBSCRIBE without a filter", "82 02 0001", BAD_LENGTH],
    ["SUBACK without a code", "90 02 0001", BAD_LENGTH],
    ["QoS 3", "36 05 0001 't' 0001", BAD_QOS],
    ["DUP at QoS 0", "38 03 0001 't'", BAD_QOS],
    ["packet id 0 of PUBLISH", "32 05 0001 't' 0000", BAD_PACKET_ID],
    ["an empty topic name", "30 02 0000", BAD_TOPIC],
    ["a topic name beyond its packet", "30 03 0002 't'", BAD_LENGTH],
    ["a topic filter beyond its packet", "82 05 0001 0009 't'", BAD_LENGTH],
    ["a topic filter without a QoS", "82 05 0001 0001 't'", BAD_LENGTH],
    ["a topic filter of half a length", "a2 06 0001 0001 't' 00", BAD_LENGTH],
    ["another protocol", "10 0c 0004 'MQTX' 04 02 003c 0000", BAD_FIELD],
    ["another protocol as long as 3.1's", "10 0e 0006 'MQIsdq' 03 02 003c 0000", BAD_FIELD],
    ["CONNECT that is too short", "10 0b 0004 'MQTT' 04 02 003c 00", BAD_LENGTH],
    ["CONNECT of another level that is too short", "10 09 0004 'MQTT' 05 02 00", BAD_LENGTH],
    ["CONNECT of 3.1 that is too short", "10 0c 0006 'MQIsdp' 03 02 003c", BAD_LENGTH],
    ["a client identifier beyond its packet", "10 0d 0004 'MQTT' 04 02 003c 0002 'a'", BAD_LENGTH],
    ["a field that is missing", "10 0d 0004 'MQTT' 04 82 003c 0001 'a'", BAD_LENGTH],
    ["bytes behind the fields", "10 0e 0004 'MQTT' 04 02 003c 0001 'a' ff", BAD_LENGTH],
  ])("is MALFORMED: %s; nothing behind it is told, and the other direction goes on", (_title, notation, error) => {
    const malformed = { type: "MALFORMED", error, isPartial: false };
    expectPackets(join(PUBACK_7, wire(notation), PUBACK_7), [ACK_7, malformed]);
    const line = new Line().up();
    const bytes = join(wire(notation), PUBACK_7);
    expect(hex(line.pass(true, bytes, [1]))).toBe(hex(bytes));
    line.pass(false, PUBACK_7);
    expect(line.packets).toMatchObject([{ isSent: true, error }, { isSent: false, packetId: 7 }]);
  });
});

describe("What is hidden", () => {
  const publish = framed(0x32, field("topic"), wire("0001"), binary("payload-9876"));
  const anyForm = (text: string): string[] => {
    const bytes = Buffer.from(text);
    const digits = bytes.toString("hex");
    return [text, digits, digits.replace(/..(?=.)/g, "$& "), Array.from(bytes).join(",")];
  };
  /** Everything that is told of a packet, as one may write it. */
  const output = (options: TraceOptions): string => {
    const line = new Line(options).up();
    line.pass(true, join(CONNECT, publish));
    expect(line.packets).toHaveLength(2);
    return line.packets.flatMap(written).join("\n");
  };
  const written = (packet: Packet): string[] => {
    const json = (bytesAs: (bytes: Uint8Array) => unknown): string =>
      JSON.stringify(packet, (_, value: unknown) => (value instanceof Uint8Array ? bytesAs(value) : value));
    const forms = [json((bytes) => bytes), json((bytes) => [...bytes]), json(hex), json((bytes) => latin1(bytes))];
    return [...forms, describePacket(packet), describePacket(packet, true)];
  };

  it("is neither username nor password nor payload, in any form, unless asked for", () => {
    const hidden = output({});
    for (const text of [SECRET, "user", "payload-9876", "gone for good"]) {
      for (const form of anyForm(text).filter((each) => each !== "user")) expect(hidden).not.toContain(form);
    }
    expect(hidden).not.toMatch(/"user"|=user/);
    // That they are there is told.
    expect(hidden).toContain('"hasUsername":true,"hasPassword":true');
    expect(hidden).toContain('"payloadLength":12');
    expect(hidden).toContain("Username=***, Password=***, Will=(Q0, R0, Topic=/lwt, Payload=...(13 bytes))");
  });

  it("is shown when it is asked for, each by itself; the password in no text", () => {
    const credentials = output({ credentials: true });
    expect(credentials).toContain(SECRET);
    expect(credentials).toContain("Username=user, Password=***");
    expect(credentials).not.toContain("payload-9876");
    expect(credentials).not.toContain("gone for good");
    const payload = output({ payload: true });
    expect(payload).toContain("Payload=payload-9876");
    expect(payload).toContain('Payload="gone for good"');
    for (const form of anyForm(SECRET)) expect(payload).not.toContain(form);
  });

  it("is not given away by a packet that is partial or malformed", () => {
    for (let scratchCapacity = 16; scratchCapacity <= CONNECT.length; scratchCapacity++) {
      for (const bytes of [CONNECT, framed(0x10, CONNECT.subarray(2), wire("00"))]) {
        const line = new Line({ scratchCapacity }).up();
        line.pass(true, bytes, [7]);
        expect(line.packets).toHaveLength(1);
        for (const form of anyForm(SECRET)) expect(written(line.packets[0]).join()).not.toContain(form);
      }
    }
  });

  it("is the query of an address, which may hold a token", () => {
    const line = new Line().open("ws://broker/mqtt?token=" + SECRET);
    line.socket!.close();
    expect(line.mock.socket.host).toContain(SECRET);
    expect(line.events.map(({ host }) => host)).toEqual(["ws://broker/mqtt", "ws://broker/mqtt"]);
    expect(line.events.map((event) => describeConnection(event)).join()).not.toContain(SECRET);
    expect(new Line({ credentials: true }).open("ws://b/?t=1").events).toMatchObject([{ host: "ws://b/?t=1" }]);
  });
});

describe("A scratch capacity that is too small", () => {
  const topic = "t".repeat(300);
  const filters = (count: number): Uint8Array[] => Array.from({ length: count }, (_, i) => field(`filter/${i}`));

  it("leaves out the topic name, and goes on", () => {
    const bytes = framed(0x32, field(topic), wire("0009"), binary("payload"));
    const publish = (told: string | undefined): object => ({
      type: "PUBLISH",
      topic: told,
      payload: binary("payload"),
      payloadLength: 7,
      qos: 1,
      retain: false,
      dup: false,
      packetId: 9,
      isPartial: told === undefined,
    });
    expectPackets(join(bytes, PUBACK_7), [publish(undefined), ACK_7], { payload: true, scratchCapacity: 303 });
    expectPackets(join(bytes, PUBACK_7), [publish(topic), ACK_7], { payload: true, scratchCapacity: 304 });
  });

  it("leaves out the end of a payload, which only matters to who asked for it", () => {
    const bytes = framed(0x30, field("t"), binary("0123456789abcdefghij"));
    const publish = { type: "PUBLISH", topic: "t", payloadLength: 20, qos: 0, retain: false, dup: false, packetId: 0 };
    const payload = binary("0123456789abcdef");
    expectPackets(join(bytes, PUBACK_7), [{ ...publish, payload, isPartial: true }, ACK_7], {
      payload: true,
      scratchCapacity: 16,
    });
    expect(packetsIn(true, bytes, { scratchCapacity: 16 })).toEqual([
      { ...publish, payload: undefined, isPartial: false },
    ]);
  });

  it("leaves out what is behind of SUBSCRIBE, UNSUBSCRIBE and SUBACK", () => {
    const scratchCapacity = 30;
    const qos = wire("01");
    const subscribe = framed(0x82, wire("0001"), ...filters(20).flatMap((filter) => [filter, qos]));
    const two = [{ topicFilter: "filter/0", qos: 1 }, { topicFilter: "filter/1", qos: 1 }];
    expectPackets(join(subscribe, PUBACK_7), [
      { type: "SUBSCRIBE", packetId: 1, subscriptions: two, isPartial: true }, ACK_7,
    ], { scratchCapacity });
    const unsubscribe = framed(0xa2, wire("0002"), ...filters(20));
    expectPackets(join(unsubscribe, PUBACK_7), [
      { type: "UNSUBSCRIBE", packetId: 2, topicFilters: ["filter/0", "filter/1"], isPartial: true }, ACK_7,
    ], { scratchCapacity });
    const suback = framed(0x90, wire("0003"), new Uint8Array(100));
    expectPackets(join(suback, PUBACK_7), [
      { type: "SUBACK", packetId: 3, returnCodes: Array<number>(28).fill(0), isPartial: true }, ACK_7,
    ], { scratchCapacity });
  });

  it("hides what is wrong behind it, however the stream is cut, but not what is wrong before", () => {
    const options = { scratchCapacity: 16 };
    const filter = field("11 letters.");
    expectPackets(join(framed(0x82, wire("0001"), filter, wire("00 0009 02")), PUBACK_7), [
      { type: "SUBSCRIBE", packetId: 1, subscriptions: [{ topicFilter: "11 letters.", qos: 0 }], isPartial: true },
      ACK_7,
    ], options);
    expectPackets(framed(0x82, wire("0001 0fff"), filter, wire("00")), [
      { type: "MALFORMED", error: BAD_LENGTH, isPartial: false },
    ], options);
    expectPackets(framed(0x10, field("MQTT"), wire("04 82 003c 0fff"), field("sensor"), field("user")), [
      { type: "MALFORMED", error: BAD_LENGTH, isPartial: false },
    ], options);
  });

  it("leaves out the last fields of CONNECT", () => {
    const whole = packetsIn(true, CONNECT, { credentials: true, payload: true })[0] as Record<string, unknown>;
    const connect = (told: object): object => ({ ...whole, ...told, isPartial: true });
    const lost = { username: undefined, password: undefined };
    const will = { qos: 0, retain: false, topic: undefined, payload: undefined, payloadLength: undefined };
    // Behind its header: client identifier to 18, will topic to 24, message to 39, username to 45, password to 58.
    for (const [scratchCapacity, expected] of [
      [16, connect({ ...lost, clientid: undefined, lwt: will })],
      [18, connect({ ...lost, lwt: will })],
      [24, connect({ ...lost, lwt: { ...will, topic: "/lwt" } })],
      [30, connect({ ...lost, lwt: { ...will, topic: "/lwt", payload: binary("gone"), payloadLength: 13 } })],
      [39, connect(lost)],
      [45, connect({ password: undefined })],
      [50, connect({ password: binary(SECRET.slice(0, 3)) })],
      [58, whole],
    ] as const) {
      for (const sizes of cuttings(CONNECT.length + 4)) {
        const options = { credentials: true, payload: true, scratchCapacity };
        expect(packetsIn(true, join(CONNECT, PUBACK_7), options, sizes)).toEqual([expected, ACK_7]);
      }
    }
  });

  it("is the platform's receive buffer unless another is given", () => {
    const mock = (rxCapacity: number): MockHal => new MockHal({ room: 1e6, defaults: { rxCapacity } });
    for (const [rxCapacity, isPartial] of [[100, true], [300, true], [302, false]] as const) {
      const line = new Line({}, mock(rxCapacity)).up();
      line.pass(true, framed(0x30, field(topic)));
      expect(line.packets).toMatchObject([{ isPartial }]);
    }
  });
});

describe("What passes", () => {
  it("is the same with a trace, whatever it is, however it is cut", () => {
    fc.assert(
      fc.property(fc.boolean(), fc.array(anyBytes, { maxLength: 6 }), chunkSizes, (isSent, parts, sizes) => {
        const bytes = join(...parts);
        const line = new Line({ scratchCapacity: 20, payload: true, credentials: true }).up();
        const before = hex(bytes);
        expect(hex(line.pass(isSent, bytes, sizes.length > 0 ? sizes : [3]))).toBe(before);
        expect(hex(bytes)).toBe(before);
        expect(line.mock.uncaughtErrors).toEqual([]);
        for (const packet of line.packets) expect(describePacket(packet, true)).toMatch(/^[^\n]+$/);
      }),
    );
  });

  it("is what the platform's socket says: counts, room and errors", () => {
    const line = new Line({}, new MockHal({ room: 10, window: 100 })).up();
    expect(line.socket!.write(PUBACK_7, 0, 4)).toBe(6);
    expect(() => line.socket!.write(new Uint8Array(7), 0, 7)).toThrow("write: 7 bytes into room for 6");
    line.mock.socket.receive(PUBACK_7);
    const bytes = new Uint8Array(9).fill(1);
    expect(line.socket!.read(bytes, 3, 6)).toBe(3);
    expect([...bytes]).toEqual([1, 1, 1, 64, 2, 0, 1, 1, 1]);
    expect(() => line.socket!.read(bytes, 0, 2)).toThrow("read: 2 of 1 bytes");
    line.mock.settle();
    expect(line.told).toEqual(["writable 10", "writable 10", "readable 4"]);
    expect(line.packets).toMatchObject([{ isSent: true, packetId: 7 }]);
  });

  it("is not harmed by a listener that throws, which is the platform's to tell", () => {
    const mock = new MockHal({ room: 1e6 });
    const line = new Line({}, mock);
    const types: string[] = [];
    const error = new Error("of the listener");
    const throwing = traced(mock, (packet) => {
      types.push(packet.type);
      throw error;
    }, {
      onConnection: (event) => {
        types.push(event.type);
        throw error;
      },
    });
    Object.assign(line, { hal: throwing });
    line.up();
    const stream = join(PUBACK_7, wire("30 03 0001 't'"), wire("d0 00 f0 00"));
    expect(hex(line.pass(true, stream))).toBe(hex(stream));
    expect(hex(line.pass(false, PUBACK_7))).toBe(hex(PUBACK_7));
    line.socket!.close();
    expect(types).toEqual(["opening", "up", "PUBACK", "PUBLISH", "PINGRESP", "MALFORMED", "PUBACK", "closed"]);
    expect(mock.uncaughtErrors).toEqual(types.map(() => error));
  });

  it("is not harmed by a reader that fails", () => {
    const text: Text = {
      encode: () => -1,
      decode: () => {
        throw new Error("no memory");
      },
    };
    const line = new Line({}, new MockHal({ room: 1e6, text })).up();
    const bytes = wire("30 03 0001 't'");
    expect(hex(line.pass(true, bytes))).toBe(hex(bytes));
    expect(hex(line.pass(true, PUBACK_7))).toBe(hex(PUBACK_7));
    expect(line.mock.uncaughtErrors).toEqual([new Error("no memory")]);
    expect(line.packets).toEqual([]);
  });
});

const latin1 = (bytes: Uint8Array): string => Buffer.from(bytes).toString("latin1");

const anyBytes = fc.oneof(
  fc.constantFrom(...vectors.map(({ bytes }) => bytes).filter((bytes) => bytes.length < 500)),
  fc.uint8Array({ maxLength: 40 }),
);

describe("Connections", () => {
  const told = (line: Line): string[] =>
    line.events.map((event) => `${event.connectionNumber} ${describeConnection(event)}`);

  it("are told from opening to close, and each once", () => {
    const line = new Line().open("broker", 8883, { servername: SECRET });
    line.mock.socket.connect();
    line.pass(true, PUBACK_7);
    line.mock.settle();
    line.socket!.close();
    line.socket!.close();
    expect(told(line)).toEqual(["1 opening broker:8883, TLS", "1 up broker:8883, TLS", "1 closed broker:8883, TLS"]);
    expect(line.mock.socket.closed).toBe(true);
    expect(line.mock.socket.secure).toEqual({ servername: SECRET });
    expect(JSON.stringify(line.events)).not.toContain(SECRET);
  });

  it("are told when they end, and why", () => {
    const line = new Line().open();
    const error = new Error("connect ECONNREFUSED\x1b[2J");
    line.mock.socket.fail("refused", error);
    line.socket!.close();
    line.open("other", 1);
    line.mock.socket.connect();
    line.mock.socket.end();
    expect(line.events.map(({ failure, detail }) => ({ failure, detail }))).toEqual([
      { failure: undefined, detail: undefined },
      { failure: "refused", detail: error },
      { failure: undefined, detail: undefined },
      { failure: undefined, detail: undefined },
      { failure: "closed", detail: undefined },
    ]);
    expect(told(line)).toEqual([
      "1 opening broker:1883",
      "1 ended broker:1883: refused (connect ECONNREFUSED\\x1b[2J)",
      "2 opening other:1",
      "2 up other:1",
      "2 ended other:1: closed",
    ]);
    expect(line.told).toEqual([`error refused ${String(error)}`, "writable 1000000", "error closed undefined"]);
  });

  it("are told when the platform has no socket", () => {
    const line = new Line();
    line.mock.exhausted = true;
    line.open();
    expect(line.socket).toBeUndefined();
    expect(told(line)).toEqual(["1 opening broker:1883", "1 ended broker:1883: no socket left"]);
  });

  it("have numbers, by which packets of several at a time are told apart", () => {
    const mock = new MockHal();
    const line = new Line({}, mock);
    const sockets: [Socket, MockSocket][] = [0, 1, 2].map(() => {
      line.up();
      return [line.socket!, mock.socket];
    });
    const half = PUBACK_7.length / 2;
    for (const [socket] of sockets) socket.write(PUBACK_7, 0, half);
    for (const [socket] of [...sockets].reverse()) socket.write(PUBACK_7, half, PUBACK_7.length);
    expect(line.packets).toMatchObject([3, 2, 1].map((connectionNumber) => ({ connectionNumber, packetId: 7 })));
    for (const [, network] of sockets) expect(hex(network.sent)).toBe(hex(PUBACK_7));
  });

  it("are not told to who did not ask", () => {
    const mock = new MockHal();
    const hal = traced(mock, () => {});
    hal.open("broker", 1883, undefined, { onReadable() {}, onWritable() {}, onError() {} })!.close();
    expect(mock.uncaughtErrors).toEqual([]);
    expect(mock.socket.closed).toBe(true);
  });
});

describe("The traced HAL", () => {
  it("is the HAL in everything else, be it an instance of a class", () => {
    const mock = new MockHal({ now: 5 });
    const hal = traced(mock, () => {});
    expect(hal.defaults).toBe(mock.defaults);
    expect(hal.generateId()).toBe("5ccf7f00a1b2");
    expect(hal.createText().encode("tür", new Uint8Array(4), 0, 4)).toBe(4);
    expect(() => hal.checkSecure({ x: 1 })).toThrow("secure.x: no such TLS option");
    let fired = 0;
    hal.createTimer(() => fired++).schedule(10);
    mock.advance(10);
    expect([fired, hal.now()]).toEqual([1, 15]);
    hal.uncaught("thrown");
    expect(mock.uncaughtErrors).toEqual(["thrown"]);
  });

  it("has the members that only some platforms have where its platform has them", () => {
    class SettableHal extends MockHal {
      readonly webSocket = true;
      readonly settings: object[] = [];
      configured: SettableHal | undefined;

      configure(settings: object): Hal {
        if ("wrong" in settings) throw new TypeError("settings.wrong: no such setting");
        this.configured = new SettableHal();
        this.configured.settings.push(settings);
        return this.configured;
      }
    }
    interface Settable extends Hal {
      webSocket?: boolean;
      configure?(settings: object): Settable;
    }
    const mock = new SettableHal();
    const packets: Packet[] = [];
    const hal: Settable = traced(mock, (packet) => packets.push(packet));
    expect(hal.webSocket).toBe(true);
    expect(() => hal.configure!({ wrong: 1 })).toThrow("settings.wrong");
    const configured = hal.configure!({ family: 6 });
    const inner = mock.configured!;
    expect(inner.settings).toEqual([{ family: 6 }]);
    expect(configured.webSocket).toBe(true);
    const handler: SocketHandler = { onReadable() {}, onWritable() {}, onError() {} };
    hal.open("a", 1, undefined, handler);
    const socket = configured.open("b", 1, undefined, handler)!;
    inner.socket.connect();
    socket.write(PUBACK_7, 0, 4);
    expect(packets).toMatchObject([{ packetId: 7, connectionNumber: 2 }]);
    expect(mock.sockets).toHaveLength(1);

    const plain: Settable = traced(new MockHal(), () => {});
    expect("webSocket" in plain || "configure" in plain).toBe(false);
  });

  it.each<[string, unknown, unknown, RegExp]>([
    ["no listener", undefined, undefined, /^TypeError: onPacket must be a function, not undefined$/],
    ["options that are none", () => {}, 1, /^TypeError: options must be an object, not 1$/],
    ["an unknown option", () => {}, { payloads: true }, /^TypeError: unknown option "payloads"$/],
    ["a flag that is none", () => {}, { payload: "yes" }, /^TypeError: payload must be 0, 1 or a boolean, not "yes"$/],
    ["another", () => {}, { credentials: 2 }, /^TypeError: credentials must be/],
    ["no capacity", () => {}, { scratchCapacity: "1" }, /^TypeError: scratchCapacity must be a number/],
    ["too small a capacity", () => {}, { scratchCapacity: 15 }, /^RangeError: scratchCapacity must be .* 16 to/],
    ["a callback that is none", () => {}, { onConnection: 1 }, /^TypeError: onConnection must be a function, not 1$/],
  ])("refuses %s by name", (_title, onPacket, options, message) => {
    let error: unknown;
    try {
      traced(new MockHal(), onPacket as () => void, options as TraceOptions);
    } catch (thrown) {
      error = thrown;
    }
    expect(String(error)).toMatch(message);
  });

  it("takes null for no options", () => {
    expect(() => traced(new MockHal(), () => {}, null as unknown as TraceOptions)).not.toThrow();
  });
});

describe("A client on a traced HAL", () => {
  /** A client that connects, subscribes, publishes at each QoS, gets that back at none, and closes. */
  function run(options: MockHalOptions, trace?: (hal: Hal) => Hal): { mock: MockHal; events: string[] } {
    const mock = new MockHal(options);
    const violations: string[] = [];
    const events: string[] = [];
    mock.script = (socket) => {
      socket.fragment = 3;
      new Broker(mock, socket, violations, 4096).answers = true;
      socket.connect();
    };
    const mqtt = createMqtt(trace === undefined ? mock : trace(mock), MQTT_3_1_1);
    const client = mqtt.Client("sensor", 60, "user", SECRET);
    client.lwt("/lwt", "offline", 0, 0);
    client.on("offline", (_, reason) => events.push(`offline ${reason}`));
    client.on("message", (_, topic, data) => events.push(`message ${topic} ${String(data)}`));
    client.connect("broker", (c) => {
      c.subscribe("t/#", 1, () => {
        for (const qos of [0, 1, 2] as const) c.publish("t/x", "hello world", qos, 0, () => events.push("done"));
      });
    });
    mock.advance(1000);
    mock.socket.receive(wire("30 07 0003 't/x' '23'"));
    mock.advance(60000);
    client.close();
    mock.advance(1000);
    expect(violations).toEqual([]);
    expect(mock.uncaughtErrors).toEqual([]);
    return { mock, events };
  }

  it("does what it does without a trace, byte by byte", () => {
    const plain = run({ room: 100 });
    const others = run({ room: 100 }, (hal) => traced(hal, () => {}, { scratchCapacity: 16 }));
    expect(others.events).toEqual(plain.events);
    expect(plain.events).toEqual(["done", "done", "done", "message t/x 23", "offline 0"]);
    expect(others.mock.sockets.map(({ sent }) => hex(sent))).toEqual(plain.mock.sockets.map(({ sent }) => hex(sent)));
  });

  it("can be read along", () => {
    const lines: string[] = [];
    run({}, (hal) =>
      traced(hal, (packet) => lines.push(describePacket(packet)), {
        onConnection: (event) => lines.push(describeConnection(event)),
      }));
    expect(lines).toEqual([
      "opening broker:1883",
      "up broker:1883",
      "sent CONNECT",
      "received CONNACK (ReturnCode=0, SessionPresent=0)",
      "sent SUBSCRIBE (PacketId=1, TopicFilter=t/#, Q1)",
      "received SUBACK (PacketId=1, ReturnCode=1)",
      "sent PUBLISH (Q0, R0, D0, Topic=t/x, Payload=...(11 bytes))",
      "sent PUBLISH (Q1, R0, D0, Topic=t/x, PacketId=2, Payload=...(11 bytes))",
      "sent PUBLISH (Q2, R0, D0, Topic=t/x, PacketId=3, Payload=...(11 bytes))",
      "received PUBACK (PacketId=2)",
      "received PUBREC (PacketId=3)",
      "sent PUBREL (PacketId=3)",
      "received PUBCOMP (PacketId=3)",
      "received PUBLISH (Q0, R0, D0, Topic=t/x, Payload=...(2 bytes))",
      "sent PINGREQ",
      "received PINGRESP",
      "sent DISCONNECT",
      "closed broker:1883",
    ]);
  });
});

describe("describePacket", () => {
  const lineOf = (bytes: Uint8Array, options: TraceOptions = {}, isDetailed?: boolean): string => {
    const line = new Line(options).up();
    line.pass(true, bytes);
    return line.packets.map((packet) => describePacket(packet, isDetailed)).join("; ");
  };
  const publish = (topic: string, payload: Uint8Array | string = ""): Uint8Array =>
    framed(0x30, field(topic), Buffer.from(payload as string));

  it("says what emqtt's command line says", () => {
    expect(lineOf(join(CONNECT, publish("hello", "hello world"), wire("e0 00")))).toBe(
      "sent CONNECT; sent PUBLISH (Q0, R0, D0, Topic=hello, Payload=...(11 bytes)); sent DISCONNECT",
    );
  });

  it("says all of CONNECT when told to", () => {
    expect(lineOf(CONNECT, {}, true)).toBe(
      "sent CONNECT (MQTT 3.1.1, CleanSession=1, KeepAlive=60, ClientId=sensor, Username=***, Password=***, " +
        "Will=(Q0, R0, Topic=/lwt, Payload=...(13 bytes)))",
    );
    expect(lineOf(CONNECT, { scratchCapacity: 16 }, true)).toMatch(/ClientId=\.\.\., .*Will=\(Q0, R0, Topic=\.\.\., /);
    const bridge = framed(0x10, field("MQIsdp"), wire("83 00 0000"), field(""));
    expect(lineOf(bridge, {}, true)).toBe(
      'sent CONNECT (MQTT 3.1, CleanSession=0, KeepAlive=0, ClientId="", Bridge=1)',
    );
    expect(lineOf(framed(0x10, field("MQTT"), wire("05 00 0000"), field("")), {}, true)).toBe(
      "sent CONNECT (ProtocolLevel=5, CleanSession=0, KeepAlive=0, ClientId=...); sent MALFORMED (BAD_FIELD)",
    );
  });

  it("says what is left out", () => {
    const options = { scratchCapacity: 16 };
    expect(lineOf(publish("t".repeat(20), "abc"), options)).toContain("Topic=..., Payload=...(3 bytes)");
    expect(lineOf(framed(0x82, wire("0001"), field("a"), wire("00"), field("b".repeat(20)), wire("00")), options)).toBe(
      "sent SUBSCRIBE (PacketId=1, TopicFilter=a, Q0, ...)",
    );
    expect(lineOf(framed(0xa2, wire("0001"), field("a"), field("b".repeat(20))), options)).toBe(
      "sent UNSUBSCRIBE (PacketId=1, TopicFilter=a, ...)",
    );
    expect(lineOf(framed(0x90, wire("0001"), new Uint8Array(20)), options)).toMatch(/, ReturnCode=0, \.\.\.\)$/);
    expect(lineOf(publish("t".repeat(100)))).toContain(`Topic=${"t".repeat(80)}...(100 characters),`);
    expect(lineOf(publish("t", "p".repeat(100)), { payload: true })).toContain(`=${"p".repeat(80)}...(100 bytes)`);
  });

  it.each([
    ["/plain/topic-1", "/plain/topic-1"],
    ["tür/😀", "tür/😀"],
    ["two words", '"two words"'],
    ["a, Payload=b", '"a, Payload=b"'],
    ['say "no"', '"say \\"no\\""'],
    ["back\\slash", '"back\\\\slash"'],
    ["...", '"..."'],
    ["***", '"***"'],
    ["\x1b[31mred\x1b[0m", '"\\x1b[31mred\\x1b[0m"'],
    ["line\r\nline\tend\0", '"line\\x0d\\x0aline\\x09end\\x00"'],
    ["\x7f\x80\x9b2J\x9f", '"\\u{7f}\\u{80}\\u{9b}2J\\u{9f}"'],
    ["\u202egnp.exe\u2028\u200b\ufeff\u2066", '"\\u{202e}gnp.exe\\u{2028}\\u{200b}\\u{feff}\\u{2066}"'],
  ])("shows the topic %j so that it passes for nothing else", (topic, expected) => {
    expect(lineOf(publish(topic))).toContain(`(Q0, R0, D0, Topic=${expected}, Payload=`);
  });

  it("shows payloads as ASCII, other bytes in hexadecimal", () => {
    const options = { payload: true };
    expect(lineOf(publish("t", "21.5"), options)).toContain("Payload=21.5)");
    expect(lineOf(publish("t"), options)).toContain('Payload="")');
    expect(lineOf(publish("t", "\x1b[2J°"), options)).toContain('Payload="\\x1b[2J\\xc2\\xb0")');
    expect(lineOf(publish("t", new Uint8Array([0, 127, 255])), options)).toContain('Payload="\\x00\\x7f\\xff")');
  });

  it("names what is wrong with a stream", () => {
    const streams = ["f0 00", "40 ff ff ff ff 01", "40 00", "36 00", "32 05 0001 't' 0000", "30 02 0000"];
    const errors = ["HEADER", "REMAINING_LENGTH", "LENGTH", "QOS", "PACKET_ID", "TOPIC"];
    expect(streams.map((notation) => lineOf(wire(notation)))).toEqual(
      errors.map((error) => `sent MALFORMED (BAD_${error})`),
    );
  });

  it("says of a platform's error what it can", () => {
    const event: ConnectionEvent = {
      type: "ended", connectionNumber: 1, host: "h\n", port: 1, isSecure: false, failure: "tls", detail: "bad\ncert",
    };
    expect(describeConnection(event)).toBe("ended h\\x0a:1: tls (bad\\x0acert)");
    expect(describeConnection({ ...event, detail: new Error("") })).toBe("ended h\\x0a:1: tls");
    expect(describeConnection({ ...event, detail: { code: 1 } })).toBe("ended h\\x0a:1: tls (an object)");
    expect(describeConnection({ ...event, detail: new Error("x".repeat(500)) }).length).toBeLessThan(200);
  });
});
