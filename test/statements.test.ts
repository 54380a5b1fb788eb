/**
 * Statements of MQTT 3.1.1 that are about a client as a whole, and no single file of it. DESIGN.md has the table of all
 * statements, and design.test.ts sees to it that each is there with its test.
 */
import { describe, expect, test } from "@jest/globals";
import { ack, connack, Device, message } from "./support/device.js";

describe("A client", () => {
  test("sends a packet again under its id, which is in use until it is acknowledged [MQTT-2.3.1-3]", () => {
    const device = new Device({ cleansession: 0, options: { maxOperations: 65536, txCapacity: 1024 } }).up();
    device.client.publish("t", "first", 1);
    expect(device.sent()).toEqual(["PUBLISH t=first q1 #1"]);
    device.socket.fail("closed");
    device.take();
    device.up(true);
    // Sent again by up(). 65534 other ids are used up before 1 would come round, which is passed over.
    for (let id = 2; id <= 65535; id++) {
      device.client.publish("t", "x", 1);
      device.hal.settle();
      device.send(ack("PUBACK", id));
    }
    device.client.publish("t", "last", 1);
    expect(device.sent().at(-1)).toBe("PUBLISH t=last q1 #2");
    device.send(ack("PUBACK", 1));
    device.client.publish("t", "reused", 1);
    expect(device.sent().at(-1)).toBe("PUBLISH t=reused q1 #3");
  });

  test("keeps a session with cleansession 0 while it is not connected [MQTT-3.1.2-4] [MQTT-4.1.0-1]", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "out", 2);
    device.send(message("t", "in", { qos: 2, id: 9 }));
    device.socket.fail("closed");
    expect(device.take()).toEqual(["message t=in", "offline -10"]);
    device.hal.advance(86_400_000);
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, true), message("t", "in", { qos: 2, id: 9, dup: true }));
    expect(device.take()).toEqual(["connect present"]);
    expect(device.sent()).toEqual(["PUBREC #9", "PUBLISH t=out q2 #1 dup"]);
  });

  test("says the same client identifier on each connection of a session [MQTT-3.1.3-2]", () => {
    const device = new Device({ args: [null, 60, null, null, 0] });
    const said: string[] = [];
    for (let i = 0; i < 2; i++) {
      device.client.connect("broker");
      device.hal.settle();
      device.socket.connect();
      said.push(...device.sent());
      device.send(connack());
      device.socket.fail("closed");
      device.take();
    }
    const connect = 'CONNECT "mcumqtt5ccf7f00a1b2" persistent 60';
    expect(said).toEqual([connect, connect]);
  });

  test("leaves the client identifier empty with cleansession 1 only [MQTT-3.1.3-7]", () => {
    expect(() => new Device({ args: ["", 60, null, null, 0] })).toThrow('clientid must not be "" when cleansession');
    const device = new Device({ args: ["", 60, null, null, 1] });
    device.client.connect("broker");
    device.socket.connect();
    expect(device.sent()).toEqual(['CONNECT "" clean 60']);
  });

  test("answers a PUBLISH by its QoS: nothing, PUBACK, PUBREC [MQTT-3.3.4-1]", () => {
    const device = new Device().up();
    device.send(message("t", "0"), message("t", "1", { qos: 1, id: 5 }), message("t", "2", { qos: 2, id: 6 }));
    expect(device.sent()).toEqual(["PUBACK #5", "PUBREC #6"]);
    expect(device.take()).toEqual(["message t=0", "message t=1", "message t=2"]);
  });

  test("closes the connection when it has no room for what it must remember [MQTT-4.8.0-2]", () => {
    const device = new Device({ options: { receiveMaximum: 2 } }).up();
    for (let id = 1; id <= 3; id++) device.send(message("t", String(id), { qos: 2, id }));
    expect(device.take()).toEqual(["message t=1", "message t=2", "offline -13"]);
    expect(device.socket.closed).toBe(true);
  });

  /** The bytes of CONNECT: flags, keep alive, and what follows as Latin-1. */
  function connectOf(device: Device): { flags: number; payload: string } {
    device.client.connect("broker");
    device.socket.connect();
    const sent = Uint8Array.from(device.socket.sent);
    expect(Buffer.from(sent.subarray(2, 9)).toString("latin1")).toBe("\0\x04MQTT\x04");
    return { flags: sent[9], payload: Buffer.from(sent.subarray(12)).toString("latin1") };
  }

  test("sends no will, user name or password that it was not given, nor a flag for it " +
    "[MQTT-3.1.2-11] [MQTT-3.1.2-13] [MQTT-3.1.2-15] [MQTT-3.1.2-18] [MQTT-3.1.2-20]", () => {
    expect(connectOf(new Device())).toEqual({ flags: 0x02, payload: "\0\x02id" });
  });

  test("sends will topic and message with its will, qos and retain as they were given [MQTT-3.1.2-9]", () => {
    for (const qos of [0, 1, 2] as const) {
      const device = new Device();
      device.client.lwt("t", "", qos, qos === 1);
      const flags = 0x06 | (qos << 3) | (qos === 1 ? 0x20 : 0);
      expect(connectOf(device)).toEqual({ flags, payload: "\0\x02id\0\x01t\0\0" });
    }
  });

  test("takes no will of QoS 3 [MQTT-3.1.2-14]", () => {
    const device = new Device();
    expect(() => device.client.lwt("t", "x", 3 as 2)).toThrow("qos must be an integer from 0 to 2, not 3");
    expect(connectOf(device)).toEqual({ flags: 0x02, payload: "\0\x02id" });
  });

  test("sends a user name with its flag, a password with its flag and never alone " +
    "[MQTT-3.1.2-19] [MQTT-3.1.2-21] [MQTT-3.1.2-22]", () => {
    expect(connectOf(new Device({ args: ["id", 60, "u"] }))).toEqual({ flags: 0x82, payload: "\0\x02id\0\x01u" });
    const both = connectOf(new Device({ args: ["id", 60, "u", "p"] }));
    expect(both).toEqual({ flags: 0xc2, payload: "\0\x02id\0\x01u\0\x01p" });
    expect(() => new Device({ args: ["id", 60, null, "p"] })).toThrow("password");
  });

  test("sends client identifier, will and user name as UTF-8 and in that order, and refuses what cannot be UTF-8 " +
    "[MQTT-3.1.3-1] [MQTT-3.1.3-3] [MQTT-3.1.3-4] [MQTT-3.1.3-10] [MQTT-3.1.3-11] [MQTT-1.5.3-1]", () => {
    const device = new Device({ args: ["\u00e9", 60, "\u00fc", "p"] });
    device.client.lwt("\u20ac", "m");
    const payload = "\0\x02\xc3\xa9\0\x03\xe2\x82\xac\0\x01m\0\x02\xc3\xbc\0\x01p";
    expect(connectOf(device).payload).toBe(payload);
    const lone = "\ud800";
    expect(() => new Device({ args: [lone] })).toThrow("clientid must not have a lone surrogate");
    expect(() => new Device({ args: ["id", 60, lone] })).toThrow("username must not have a lone surrogate");
    expect(() => device.client.lwt(lone, "m")).toThrow("topic must not have a lone surrogate");
  });

  test("sends no string with U+0000 [MQTT-1.5.3-2] [MQTT-4.7.3-2]", () => {
    expect(() => new Device({ args: ["a\0b"] })).toThrow("clientid");
    expect(() => new Device({ args: ["id", 60, "a\0b"] })).toThrow("username");
    const { client } = new Device().up();
    expect(() => client.publish("a\0b", "x")).toThrow("topic");
    expect(() => client.subscribe("a\0b")).toThrow("topic");
    expect(() => client.unsubscribe("a\0b")).toThrow("topic");
    expect(() => client.lwt("a\0b", "x")).toThrow("topic");
  });

  test("subscribes to and unsubscribes from filters that are UTF-8, at least one " +
    "[MQTT-3.8.3-1] [MQTT-3.8.3-3] [MQTT-3.10.3-1] [MQTT-3.10.3-2]", () => {
    const device = new Device().up();
    for (const table of [{}, Object.create(null) as Record<string, never>]) {
      expect(() => device.client.subscribe(table)).toThrow("no topics found");
      expect(() => device.client.unsubscribe(table)).toThrow("no topics found");
    }
    expect(() => device.client.subscribe("\udfff")).toThrow("topic must not have a lone surrogate");
    expect(() => device.client.unsubscribe("\udfff")).toThrow("topic must not have a lone surrogate");
    device.client.subscribe("\u20ac/#");
    device.client.unsubscribe("\u20ac/#");
    expect(Buffer.from(device.socket.takeSent()).toString("latin1")).toBe(
      "\x82\x0a\0\x01\0\x05\xe2\x82\xac/#\0" + "\xa2\x09\0\x02\0\x05\xe2\x82\xac/#");
  });

  test("leaves with DISCONNECT, whose reserved bits are 0, and then closes [MQTT-3.14.1-1] [MQTT-3.14.4-1]", () => {
    const device = new Device().up();
    device.client.close();
    expect([...device.socket.takeSent()]).toEqual([0xe0, 0]);
    expect(device.socket.closed).toBe(true);
    expect(device.take()).toEqual(["offline 0"]);
  });
});
