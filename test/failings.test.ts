/**
 * What another client gets wrong, by its own document or its code, and this one must not: thirteen failings of emqtt,
 * each with its test. What only MQTT 5 can say is shown here by what a client of MQTT 3.1.1 does with such bytes.
 */
import { describe, expect, test } from "@jest/globals";
import type { Client } from "../src/client.js";
import { withTimes } from "../src/optional/times.js";
import { Device, PINGRESP, ack, message } from "./support/device.js";

describe("failing 1: keepalive gaps up to twice the interval", () => {
  test("PINGREQ is out within one keepalive of the last packet sent, whenever that was [MQTT-3.1.2-23]", () => {
    for (let afterMs = 0; afterMs < 60000; afterMs += 1000) {
      const device = new Device({ keepalive: 60 }).up();
      device.hal.advance(afterMs);
      if (afterMs < 56000) {
        device.client.publish("t", "x");
        expect(device.sent()).toEqual(["PUBLISH t=x"]);
        device.hal.advance(59999);
      } else {
        device.hal.advance(59999 - afterMs);
      }
      expect(device.sent()).toContain("PINGREQ");
    }
  });
});

describe("failing 2: a keepalive of 0 closes the connection at once", () => {
  test("it means off: the session lasts, and nothing is sent", () => {
    const device = new Device({ extend: (client) => withTimes(client, { keepAlive: 0 }) }).up();
    device.hal.advance(86400000);
    expect(device.sent()).toEqual([]);
    expect(device.client.connected).toBe(true);
  });
});

describe("failing 3: an inbound QoS 2 message is lost across a reconnect, PUBREL for an unknown id unanswered", () => {
  test("its id outlives the connection: delivered once, and completed on the next [MQTT-4.3.3-2]", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.send(message("t", "once", { qos: 2, id: 7 }));
    expect(device.take()).toEqual(["message t=once"]);
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.up(true);
    device.send(message("t", "once", { qos: 2, id: 7, dup: true }));
    expect(device.take()).toEqual([]);
    expect(device.sent()).toEqual(["PUBREC #7"]);
    device.send(ack("PUBREL", 7));
    expect(device.sent()).toEqual(["PUBCOMP #7"]);
  });

  test("PUBREL for an id that is not known is answered with PUBCOMP", () => {
    const device = new Device().up();
    device.send(ack("PUBREL", 99));
    expect(device.sent()).toEqual(["PUBCOMP #99"]);
  });
});

describe("failing 4: PUBREL is sent even after a PUBREC that refuses", () => {
  test("MQTT 3.1.1 has no reason in PUBREC: one with 0x80 ends the connection, and PUBREL is not sent", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "x", 2);
    expect(device.sent()).toEqual(["PUBLISH t=x q2 #1"]);
    device.socket.receive([0x50, 3, 0, 1, 0x80]);
    expect(device.take()).toEqual(["offline -22"]);
    expect(device.sent()).toEqual([]);
  });
});

describe("failing 5: packet ids are reused while in flight", () => {
  test("an id in use is passed over when the numbers come round, and each message has its own callback", () => {
    const device = new Device({ options: { maxInflight: 65535, maxOperations: 65536 } }).up();
    device.client.publish("t", "first", 1);
    expect(device.sent()).toEqual(["PUBLISH t=first q1 #1"]);
    for (let id = 2; id <= 65535; id++) {
      device.client.publish("t", "", 1);
      device.send(ack("PUBACK", id));
    }
    device.sent();
    device.client.publish("t", "behind", 1);
    expect(device.sent()).toEqual(["PUBLISH t=behind q1 #2"]);
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toHaveLength(65535);
  });
});

describe("failing 9: topic aliases are not resolved, and protocol violations go without an answer", () => {
  test("MQTT 3.1.1 has no aliases: a message without a topic name ends the connection, and is not delivered", () => {
    const device = new Device().up();
    device.socket.receive([0x30, 3, 0, 0, 0x78]);
    expect(device.take()).toEqual(["offline -25"]);
  });
});

describe("failing 10: the server's last word in enhanced authentication goes unchecked", () => {
  test("MQTT 3.1.1 has no AUTH: it ends the attempt, before CONNACK and behind it", () => {
    const device = new Device();
    device.client.connect("broker");
    device.reach();
    device.socket.receive([0xf0, 2, 0, 0]);
    expect(device.take()).toEqual(["connfail -4"]);
    device.up();
    device.socket.receive([0xf0, 2, 0, 0]);
    expect(device.take()).toEqual(["offline -20"]);
  });
});

describe("failing 11: bad arguments crash the process, and calls before connect hang", () => {
  const mistakes: [string, (client: Client) => unknown, string][] = [
    ["a topic with a wildcard", (client) => client.publish("a/#", "x"), "topic must be"],
    ["an empty topic", (client) => client.publish("", "x"), "topic must be"],
    ["QoS 3", (client) => client.publish("t", "x", 3 as 2), "qos must be"],
    ["a filter with # in the middle", (client) => client.subscribe("#/a"), "topic must be"],
    ["an empty table", (client) => client.subscribe({}), "no topics found"],
    ["a payload that is none", (client) => client.publish("t", {} as string), "payload must be"],
    ["a topic that is no UTF-8", (client) => client.publish("\ud800", "x"), "topic must not have a lone surrogate"],
  ];

  test.each(mistakes)("%s throws by name, and changes nothing", (_name, call, expected) => {
    const device = new Device().up();
    expect(() => call(device.client)).toThrow(expected);
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual([]);
    expect(device.client.publish("t", "x")).toBe(true);
    expect(device.sent()).toEqual(["PUBLISH t=x"]);
  });

  test('an empty client identifier for a session that is to be kept throws ("" with cleansession 0)', () => {
    expect(() => new Device({ args: ["", 60, null, null, 0] })).toThrow("clientid must not be");
  });

  test("each call before connect answers at once, and nothing of it is left", () => {
    const device = new Device();
    const { client } = device;
    const answers = [client.publish("t", "x"), client.subscribe("t"), client.unsubscribe("t"), client.close()];
    expect(answers).toEqual([false, false, false, false]);
    device.up();
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual([]);
  });
});

describe("failing 12: pause drops messages and stops pings", () => {
  test("what comes while paused is delivered behind resume, and PINGREQ leaves in time", () => {
    const device = new Device({ keepalive: 60 }).up();
    device.client.pause();
    device.send(message("t", "1"), message("t", "2"));
    device.hal.advance(60000);
    expect(device.take()).toEqual([]);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP);
    device.client.resume();
    expect(device.take()).toEqual(["message t=1", "message t=2"]);
  });
});
