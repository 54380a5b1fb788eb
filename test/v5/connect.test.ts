/** CONNECT and CONNACK of MQTT 5: what a client says of itself, and what becomes of the answer. */
import { describe, expect, test } from "@jest/globals";
import { createMqtt5 } from "../../src/v5/face.js";
import { MockHal } from "../../hal/mock.js";
import { wire } from "../support/bytes.js";
import type { DeviceOptions5 } from "../support/device5.js";
import { CAPACITIES, Device5, connack, disconnect, message, suback, PINGRESP } from "../support/device5.js";
import type { Packet5 } from "../support/packets5.js";

/** The bytes of CONNECT: flags, and what follows the keep alive time, as Latin-1. */
function connectOf(device: Device5): { flags: number; rest: string } {
  device.client.connect("broker");
  device.socket.connect();
  const sent = device.socket.sent;
  expect(Buffer.from(sent.subarray(2, 9)).toString("latin1")).toBe("\0\x04MQTT\x05");
  return { flags: sent[9], rest: Buffer.from(sent.subarray(12)).toString("latin1") };
}

/** Properties of CONNECT as bytes: the capacities of a device that is made without options. */
const PROPERTIES = "\x0b\x27\0\0\x04\0\x21\0\x10\x22\0\x08";

/** A device whose CONNECT is out. */
function awaiting(options: DeviceOptions5 = {}): Device5 {
  const device = new Device5(options);
  device.client.connect("broker");
  device.reach();
  return device;
}

describe("CONNECT", () => {
  test("is the first packet of each connection, whatever waits [MQTT5-3.1.0-1]", () => {
    const device = new Device5({ cleansession: 0, options: { queueOffline: true } });
    device.client.publish("t", "queued", 1);
    for (let i = 0; i < 2; i++) {
      device.client.connect("broker");
      device.socket.connect();
      expect(device.sent().map((line) => line.split(" ")[0])).toEqual(["CONNECT"]);
      device.send(connack({}, { isPresent: i > 0 }));
      expect(device.sent()).toEqual([`PUBLISH t=queued q1 #1${i > 0 ? " dup" : ""}`]);
      device.lose();
    }
  });

  test("is sent once on a connection [MQTT5-3.1.0-2]", () => {
    const device = new Device5().up();
    expect(() => device.client.connect("broker")).toThrow("already connected");
    expect(device.sent()).toEqual([]);
  });

  test("says MQTT, version 5, no reserved flag, and what the client can take " +
    "[MQTT5-3.1.2-1] [MQTT5-3.1.2-2] [MQTT5-3.1.2-3]", () => {
    expect(connectOf(new Device5())).toEqual({ flags: 0x02, rest: `${PROPERTIES}\0\x02id` });
  });

  test("has a Property Length also when there are no properties [MQTT5-2.2.2-1] [MQTT5-3.1.2-9]", () => {
    const device = new Device5({ settings: { topicAliasMaximum: 0 }, options: { receiveMaximum: 65535 } });
    device.client.lwt("t", "");
    // Maximum Packet Size is always said.
    expect(connectOf(device).rest).toBe("\x05\x27\0\0\x04\0\0\x02id" + "\0\0\x01t\0\0");
  });

  test("has no will, user name or password that was not given, nor a flag for it " +
    "[MQTT5-3.1.2-11] [MQTT5-3.1.2-13] [MQTT5-3.1.2-16] [MQTT5-3.1.2-18]", () => {
    expect(connectOf(new Device5())).toEqual({ flags: 0x02, rest: `${PROPERTIES}\0\x02id` });
  });

  test("has the will's properties, topic and payload, its qos and retain [MQTT5-3.1.2-9]", () => {
    for (const qos of [0, 1, 2] as const) {
      const device = new Device5();
      device.client.lwt("t", "x", qos, qos === 1, { willDelayInterval: 5 });
      const flags = 0x06 | (qos << 3) | (qos === 1 ? 0x20 : 0);
      expect(connectOf(device)).toEqual({
        flags,
        rest: `${PROPERTIES}\0\x02id` + "\x05\x18\0\0\0\x05\0\x01t\0\x01x",
      });
    }
  });

  test("takes no will of QoS 3 [MQTT5-3.1.2-12]", () => {
    const device = new Device5();
    expect(() => device.client.lwt("t", "x", 3 as 2)).toThrow("qos must be an integer from 0 to 2, not 3");
    expect(connectOf(device).flags).toBe(0x02);
  });

  test("has a user name with its flag, and a password with its flag [MQTT5-3.1.2-17] [MQTT5-3.1.2-19]", () => {
    const user = connectOf(new Device5({ args: ["id", 60, "u"] }));
    expect(user).toEqual({ flags: 0x82, rest: `${PROPERTIES}\0\x02id\0\x01u` });
    const both = connectOf(new Device5({ args: ["id", 60, "u", new Uint8Array([0, 255])] }));
    expect(both).toEqual({ flags: 0xc2, rest: `${PROPERTIES}\0\x02id\0\x01u\0\x02\0\xff` });
  });

  test("has its fields in the order that is prescribed, as UTF-8 " +
    "[MQTT5-3.1.3-1] [MQTT5-3.1.3-3] [MQTT5-3.1.3-4] [MQTT5-3.1.3-11] [MQTT5-3.1.3-12] [MQTT5-1.5.4-1]", () => {
    const device = new Device5({ args: ["\u00e9", 60, "\u00fc", "p"] });
    device.client.lwt("\u20ac", "m", 0, 0, { contentType: "\u00e4" });
    expect(connectOf(device).rest).toBe(
      PROPERTIES + "\0\x02\xc3\xa9" + "\x05\x03\0\x02\xc3\xa4" + "\0\x03\xe2\x82\xac\0\x01m" + "\0\x02\xc3\xbc\0\x01p");
    const lone = "\ud800";
    expect(() => new Device5({ args: [lone] })).toThrow("clientid must not have a lone surrogate");
    expect(() => new Device5({ args: ["id", 60, lone] })).toThrow("username must not have a lone surrogate");
    expect(() => device.client.lwt(lone, "m")).toThrow("topic must not have a lone surrogate");
    expect(() => device.client.lwt("t", "m", 0, 0, { contentType: lone })).toThrow("contentType");
  });

  test("keeps the User Properties of the will in their order [MQTT5-3.1.3-10]", () => {
    const device = new Device5();
    device.client.lwt("t", "m", 1, 0, { userProperty: [["b", "1"], ["a", "2"], ["b", "0"]], messageExpiryInterval: 9 });
    expect(device.connectLine()).toBe(
      `CONNECT "id" clean 60 will t=m q1 {userProperty=b:1,a:2,b:0 messageExpiryInterval=9} {${CAPACITIES}}`);
  });

  test("says the will again on later connections, until there is another [MQTT5-3.1.2-9]", () => {
    const device = new Device5();
    const message = new Uint8Array([0x61]);
    device.client.lwt("t", message, 0, 0, { willDelayInterval: 1 });
    message[0] = 0x62;
    const line = `CONNECT "id" clean 60 will t=a q0 {willDelayInterval=1} {${CAPACITIES}}`;
    expect(device.connectLine()).toBe(line);
    device.send(connack());
    device.lose();
    expect(device.connectLine()).toBe(line);
    device.send(connack());
    device.lose();
    device.client.lwt("u", "z");
    expect(device.connectLine()).toBe(`CONNECT "id" clean 60 will u=z q0 {${CAPACITIES}}`);
  });

  test("keeps the will as it was when another is not right", () => {
    const device = new Device5();
    device.client.lwt("t", "a", 0, 0, { willDelayInterval: 1 });
    expect(() => device.client.lwt("t", "b", 3 as 2, 0, { willDelayInterval: 2 })).toThrow("qos");
    expect(() => device.client.lwt("t", "b", 0, 0, { willDelayInterval: -2 })).toThrow("willDelayInterval");
    expect(() => device.client.lwt("t", "b", 0, 0, { topicAlias: 2 } as object)).toThrow("topicAlias");
    expect(device.connectLine()).toBe(`CONNECT "id" clean 60 will t=a q0 {willDelayInterval=1} {${CAPACITIES}}`);
  });

  test("says the properties that connect() is given, for later connections too, until there are others", () => {
    const device = new Device5();
    const own = { userProperty: [["a", "b"]] as [string, string][], requestResponseInformation: true };
    const line = `CONNECT "id" clean 60 {${CAPACITIES} userProperty=a:b requestResponseInformation=1}`;
    expect(device.connectLine(own)).toBe(line);
    device.send(connack());
    device.lose();
    expect(device.connectLine()).toBe(line);
    device.send(connack());
    device.lose();
    expect(device.connectLine({ maximumPacketSize: 200 })).toBe(
      'CONNECT "id" clean 60 {maximumPacketSize=200 receiveMaximum=16 topicAliasMaximum=8}');
  });

  test("says nothing of properties that connect() has refused", () => {
    const device = new Device5();
    const ok = (): void => undefined;
    expect(() => device.client.connect("broker", ok, null, { maximumPacketSize: 0 })).toThrow("maximumPacketSize");
    expect(() => device.client.connect("", ok, ok, { maximumPacketSize: 9 })).toThrow("host");
    expect(() => device.client.connect("broker", 0, 0, ok, null, { maximumPacketSize: 9 })).toThrow("port");
    expect(() => device.client.connect("broker", ok, null, { contentType: "x" } as object)).toThrow("contentType");
    device.hal.exhausted = true;
    expect(device.client.connect("broker", ok, null, { maximumPacketSize: 9 })).toBe(false);
    device.hal.exhausted = false;
    expect(device.connectLine()).toBe(`CONNECT "id" clean 60 {${CAPACITIES}}`);
  });

  test("says the same client identifier on each connection of a session [MQTT5-3.1.3-2]", () => {
    const device = new Device5({ args: [null, 60, null, null, 0] });
    for (let i = 0; i < 2; i++) {
      expect(device.connectLine()).toMatch(/^CONNECT "mcumqtt5ccf7f00a1b2" resume 60/);
      device.send(connack());
      device.lose();
    }
  });

  test("takes the client identifier that the broker has chosen, also for later connections " +
    "[MQTT5-3.1.3-2] [MQTT5-3.1.3-3] [MQTT5-3.1.3-7]", () => {
    const device = new Device5({ args: ["", 60] });
    expect(device.connectLine()).toBe(`CONNECT "" clean 60 {${CAPACITIES}}`);
    device.send(connack({ assignedClientIdentifier: "chosen" }));
    expect(device.take()).toEqual(["connect {assignedClientIdentifier=chosen}"]);
    device.lose();
    expect(device.connectLine()).toBe(`CONNECT "chosen" clean 60 {${CAPACITIES}}`);
    device.send(connack());
    device.lose();
    device.client.lwt("t", "x");
    expect(device.connectLine()).toBe(`CONNECT "chosen" clean 60 will t=x q0 {${CAPACITIES}}`);
  });

  test("asks for no session that could not be found again: an empty client identifier is one of cleansession 1 " +
    "[MQTT5-3.1.3-6]", () => {
    expect(() => new Device5({ args: ["", 60, null, null, 0] })).toThrow('clientid must not be "" when cleansession');
  });

  test("has a client identifier as long as can be", () => {
    const device = new Device5({ args: ["\u20ac".repeat(21845), 60], brokerCapacity: 70000 });
    expect(device.connectLine()).toHaveLength(21845 + `CONNECT "" clean 60 {${CAPACITIES}}`.length);
  });

  test("is encoded where there is little memory: in hardly more bytes than it has", () => {
    const device = new Device5({ brokerCapacity: 10_000, options: { rxCapacity: 6000, maxMessageLength: 6000 } });
    const { encoder } = device.client.connection.session;
    const encode = encoder.connect.bind(encoder);
    const lengths: number[] = [];
    encoder.connect = (out, ...rest) => {
      lengths.push(out.length);
      return encode(out, ...rest);
    };
    device.connectLine();
    expect(Math.max(...lengths)).toBeLessThan(200);
    device.send(connack({ assignedClientIdentifier: "x".repeat(5000) }));
    device.lose();
    lengths.length = 0;
    expect(device.connectLine()).toContain("x".repeat(5000));
    expect(Math.max(...lengths)).toBeLessThan(20_000);
  });

  test("has properties as long as can be", () => {
    const device = new Device5({ brokerCapacity: 200000 });
    const value = "x".repeat(65535);
    const line = device.connectLine({ userProperty: [[value, value]] });
    expect(line).toBe(`CONNECT "id" clean 60 {${CAPACITIES} userProperty=${value}:${value}}`);
  });
});

describe("CONNACK", () => {
  test("that accepts is told, once, with its properties", () => {
    const device = awaiting();
    device.record("properties");
    device.send(connack({ userProperty: [["a", "b"], ["a", "c"]], reasonString: "hello" }));
    const told = "{userProperty=a:b,a:c reasonString=hello}";
    expect(device.take()).toEqual([`properties CONNACK ${told}`, `connect ${told}`]);
    expect(device.client.connected).toBe(true);
  });

  test.each([
    ["0x80", 0x80, ""],
    ["0x84, of a server that knows no MQTT 5 [MQTT5-3.1.2-1] [MQTT5-3.1.2-2]", 0x84, ""],
    ["0x85 [MQTT5-3.1.3-8]", 0x85, ""],
    ["0x87 [MQTT5-3.2.2-7]", 0x87, ""],
    ["0x8C [MQTT5-4.12.0-1]", 0x8c, ""],
    ["0x9A [MQTT5-3.2.2-13]", 0x9a, ""],
    ["0x9B [MQTT5-3.2.2-12]", 0x9b, ""],
    ["0x9C with another server's name", 0x9c, "other:1883"],
  ])("that refuses is told, and the connection is closed without waiting for the broker: %s [MQTT5-4.13.2-1]",
    (_title, code, serverReference) => {
      const device = awaiting();
      const properties = serverReference === "" ? {} : { serverReference, reasonString: "there" };
      device.send(connack(properties, { code }));
      const detail = serverReference === "" ? "" : " {serverReference=other:1883 reasonString=there}";
      expect(device.take()).toEqual([`connfail 0x${code.toString(16)}${detail}`]);
      expect(device.socket.closed).toBe(true);
      expect(device.broker.take()).toEqual([]);
      device.hal.advance(600000);
      expect(device.take()).toEqual([]);
    });

  test("of a refusal is not told again with the next failure", () => {
    const device = awaiting();
    const seen: unknown[] = [];
    device.client.on("connfail", (_client, ...rest) => seen.push(rest));
    device.send(connack({ reasonString: "no" }, { code: 0x87 }));
    device.hal.settle();
    device.client.connect("broker");
    device.socket.fail("dns");
    device.hal.settle();
    expect(seen).toEqual([[0x87, { reasonString: "no" }], [-3]]);
  });

  test("in the layout of 3.1.1 may refuse the version, which is passed on, and nothing else [MQTT5-3.1.2-2]", () => {
    for (const [bytes, outcome] of [["20 02 00 01", "connfail 0x01"], ["20 02 00 00", "connfail -4"]]) {
      const device = awaiting();
      device.sendBytes(wire(bytes));
      expect(device.take()).toEqual([outcome]);
      expect(device.socket.closed).toBe(true);
    }
  });

  test.each([
    ["Session Present in answer to Clean Start [MQTT5-3.2.2-4]", "20 03 01 00 00", "0x82"],
    ["a reserved flag [MQTT5-3.2.2-1]", "20 03 02 00 00", "0x81"],
    ["Session Present with a refusal [MQTT5-3.2.2-6]", "20 03 01 87 00", "0x82"],
    ["a reason code of no CONNACK: 0x01 [MQTT5-3.2.2-8]", "20 03 00 01 00", "0x82"],
    ["a reason code of no CONNACK: 0x8E [MQTT5-3.2.2-8]", "20 03 00 8e 00", "0x82"],
    ["a reason code of no CONNACK: 0xFF [MQTT5-3.2.2-8]", "20 03 00 ff 00", "0x82"],
    ["Maximum QoS 2", "20 05 00 00 02 24 02", "0x82"],
    ["Receive Maximum 0", "20 06 00 00 03 21 0000", "0x82"],
    ["Maximum Packet Size 0", "20 08 00 00 05 27 00000000", "0x82"],
  ])("that is not right ends the attempt, and DISCONNECT says why: %s", (_title, bytes, code) => {
    const device = awaiting();
    device.sendBytes(wire(bytes));
    expect(device.sent()).toEqual([`DISCONNECT ${code}`]);
    expect(device.take()).toEqual(["connfail -4"]);
    expect(device.socket.closed).toBe(true);
  });

  test("may say what nobody asked for, and leave out the identifier: neither is missed " +
    "[MQTT5-3.1.2-28] [MQTT5-3.2.2-16]", () => {
    const device = awaiting({ args: ["", 60] });
    device.send(connack({ responseInformation: "r" }));
    expect(device.take()).toEqual(["connect {responseInformation=r}"]);
    device.lose();
    expect(device.connectLine()).toBe(`CONNECT "" clean 60 {${CAPACITIES}}`);
  });

  test("comes once [MQTT5-3.2.0-2]", () => {
    const device = new Device5().up();
    device.send(connack());
    expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
    expect(device.take()).toEqual(["offline -26"]);
  });

  test.each<[string, Packet5]>([
    ["PUBLISH", message("t", "x")],
    ["SUBACK", suback(1, [0])],
    ["PINGRESP", PINGRESP],
    ["DISCONNECT [MQTT5-3.14.0-1]", disconnect(0x8b)],
  ])("comes before any other packet: not %s [MQTT5-3.2.0-1]", (_name, packet) => {
    const device = awaiting();
    device.send(packet);
    expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
    expect(device.take()).toEqual(["connfail -4"]);
    expect(device.socket.closed).toBe(true);
  });

  test("that does not come ends the attempt", () => {
    const device = awaiting();
    device.hal.advance(5000);
    expect(device.take()).toEqual(["connfail -2"]);
    expect(device.socket.closed).toBe(true);
  });

  test("is read however it is cut", () => {
    const bytes = new Device5().up().broker.bytes(connack({ serverKeepAlive: 5, reasonString: "x".repeat(200) }));
    for (let first = 1; first < bytes.length; first++) {
      const device = awaiting();
      device.sendBytes(bytes.subarray(0, first));
      device.hal.settle();
      device.sendBytes(bytes.subarray(first));
      expect(device.take()).toEqual([`connect {serverKeepAlive=5 reasonString=${"x".repeat(200)}}`]);
      device.check();
    }
  });
});

describe("createMqtt5", () => {
  test("refuses settings that are not right", () => {
    const hal = new MockHal();
    expect(() => createMqtt5(hal, { topicAliases: 256 })).toThrow("topicAliases must be an integer from 0 to 255");
    expect(() => createMqtt5(hal, { topicAliasMaximum: -1 })).toThrow("topicAliasMaximum");
    expect(() => createMqtt5(hal, { aliases: 1 } as object)).toThrow('unknown setting "aliases"');
  });
});
