/** PUBLISH of a client of MQTT 5: the three ways of delivery, reason codes as outcomes, and the broker's quota. */
import { describe, expect, test } from "@jest/globals";
import { hex, wire } from "../support/bytes.js";
import { Device5, PINGRESP, ack, connack, message, suback, unsuback } from "../support/device5.js";

/** A device with a session, and bytes that it has written since. */
function bytesOf(act: (device: Device5) => void): string {
  const device = new Device5().up();
  device.socket.takeSent();
  device.socket.onWrite = undefined;
  act(device);
  device.hal.settle();
  return hex(device.socket.takeSent());
}

describe("A message at QoS 0", () => {
  test("has no packet id and no DUP, and its properties' length behind the topic " +
    "[MQTT5-2.2.1-2] [MQTT5-2.2.2-1] [MQTT5-3.3.1-2] [MQTT5-3.3.2-1] [MQTT5-4.3.1-1]", () => {
    expect(bytesOf(({ client }) => client.publish("a", "xy"))).toBe(hex(wire("30 06 0001 'a' 00 'xy'")));
    expect(bytesOf(({ client }) => client.publish("a", "", 0, 1))).toBe(hex(wire("31 04 0001 'a' 00")));
  });

  test("is done when it has left, and never sent again [MQTT5-4.3.1-1]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.client.publish("t", "x");
    expect(device.sent()).toEqual(["PUBLISH t=x"]);
    expect(device.take()).toEqual(["puback"]);
    device.lose();
    device.up(true);
    device.hal.advance(1000);
    expect(device.sent()).toEqual([]);
  });
});

describe("A message at QoS 1", () => {
  test("is sent without DUP, stays until PUBACK, and is done once [MQTT5-4.3.2-2] [MQTT5-4.3.2-3]", () => {
    const device = new Device5().up();
    device.client.publish("t", "x", 1);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
    device.send(ack("PUBACK", 2), ack("PUBREC", 1), ack("PUBCOMP", 1));
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 1), ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback"]);
    expect(device.sent()).toEqual([]);
  });

  test.each([0x00, 0x10, 0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])(
    "ends with the reason code of PUBACK: %i, and is not sent again [MQTT5-3.4.2-1] [MQTT5-4.4.0-2]", (code) => {
      const device = new Device5({ cleansession: 0 }).upWith({ receiveMaximum: 1 });
      device.client.publish("t", "x", 1);
      device.client.publish("t", "y", 1);
      expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
      device.send(ack("PUBACK", 1, code));
      expect(device.take()).toEqual([code === 0 ? "puback" : `puback 0x${code.toString(16)}`]);
      expect(device.sent()).toEqual(["PUBLISH t=y q1 #2"]);
      device.lose();
      device.client.connect("broker");
      device.acceptWith({}, true);
      expect(device.broker.packets.filter(({ type }) => type === "PUBLISH")).toHaveLength(1);
    });
});

describe("A message at QoS 2", () => {
  test("is sent without DUP, then PUBREL, and is done with PUBCOMP " +
    "[MQTT5-2.2.1-5] [MQTT5-3.6.1-1] [MQTT5-4.3.3-2] [MQTT5-4.3.3-3] [MQTT5-4.3.3-4] [MQTT5-4.3.3-5]", () => {
    const device = new Device5().up();
    device.client.publish("t", "x", 2);
    expect(device.sent()).toEqual(["PUBLISH t=x q2 #1"]);
    device.send(ack("PUBACK", 1), ack("PUBCOMP", 1));
    expect(device.take()).toEqual([]);
    device.broker.take();
    device.socket.onWrite = undefined;
    device.send(ack("PUBREC", 1, 0x10));
    device.hal.settle();
    expect(hex(device.socket.takeSent())).toBe("62020001");
    device.send(ack("PUBACK", 1), ack("PUBREC", 1, 0x80));
    expect(device.take()).toEqual([]);
    device.send(ack("PUBCOMP", 1));
    expect(device.take()).toEqual(["puback"]);
  });

  test.each([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])(
    "ends with the reason code of a PUBREC that refuses it, without PUBREL: %i " +
    "[MQTT5-3.5.2-1] [MQTT5-4.3.3-4] [MQTT5-4.4.0-2]", (code) => {
      const device = new Device5({ cleansession: 0 }).upWith({ receiveMaximum: 1 });
      device.client.publish("t", "x", 2);
      device.client.publish("t", "y", 2);
      expect(device.sent()).toEqual(["PUBLISH t=x q2 #1"]);
      device.send(ack("PUBREC", 1, code));
      expect(device.take()).toEqual([`puback 0x${code.toString(16)}`]);
      expect(device.sent()).toEqual(["PUBLISH t=y q2 #2"]);
      device.lose();
      device.client.connect("broker");
      device.acceptWith({}, true);
      expect(device.broker.packets.slice(1)).toHaveLength(1);
      expect(device.broker.packets[1]).toMatchObject({ packetId: 2 });
    });

  test("whose PUBREL the broker does not know is done, with that code [MQTT5-3.7.2-1]", () => {
    const device = new Device5().upWith({ receiveMaximum: 1 });
    device.client.publish("t", "x", 2);
    device.client.publish("t", "y", 2);
    device.send(ack("PUBREC", 1), ack("PUBCOMP", 1, 0x92));
    expect(device.take()).toEqual(["puback 0x92"]);
    expect(device.sent()).toEqual(["PUBLISH t=x q2 #1", "PUBREL #1", "PUBLISH t=y q2 #2"]);
  });

  test("is confirmed in the order of PUBREC [MQTT5-4.6.0-4]", () => {
    const device = new Device5().up();
    for (const payload of ["a", "b", "c"]) device.client.publish("t", payload, 2);
    device.sent();
    device.send(ack("PUBREC", 3), ack("PUBREC", 1), ack("PUBREC", 2));
    expect(device.sent()).toEqual(["PUBREL #3", "PUBREL #1", "PUBREL #2"]);
  });

  test("that is not known: PUBREC is answered with PUBREL that says so [MQTT5-3.6.2-1]", () => {
    const device = new Device5().up();
    device.send(ack("PUBREC", 7));
    expect(device.sent()).toEqual(["PUBREL #7 0x92"]);
    expect(device.client.connected).toBe(true);
  });

  test("that the broker refuses without having got it is not answered", () => {
    const device = new Device5().up();
    device.send(ack("PUBREC", 7, 0x97), ack("PUBACK", 7), ack("PUBCOMP", 7));
    expect(device.sent()).toEqual([]);
    expect(device.client.connected).toBe(true);
  });
});

describe("Packet ids", () => {
  test("are not 0, in use once, and free behind the last acknowledgement " +
    "[MQTT5-2.2.1-3] [MQTT5-4.3.2-1] [MQTT5-4.3.3-1]", () => {
    const device = new Device5({ options: { maxInflight: 65535, maxOperations: 65536, txCapacity: 4096 } }).up();
    device.client.publish("t", "held", 2);
    device.client.publish("t", "refused", 2);
    device.client.subscribe("t");
    expect(device.sent()).toEqual(["PUBLISH t=held q2 #1", "PUBLISH t=refused q2 #2", "SUBSCRIBE #3 t:0"]);
    device.send(ack("PUBREC", 1), ack("PUBREC", 2, 0x80));
    for (let id = 4; id <= 65535; id++) {
      device.client.publish("t", "x", 1);
      device.hal.settle();
      device.send(ack("PUBACK", id));
    }
    device.sent();
    // 1 awaits PUBCOMP, 3 awaits SUBACK.
    device.client.publish("t", "x", 1);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #2"]);
    device.send(ack("PUBCOMP", 1));
    device.hal.settle();
    device.client.unsubscribe("t");
    expect(device.sent()).toEqual(["UNSUBSCRIBE #4 t"]);
    device.check();
  }, 30000);
});

describe("Acknowledgements with properties", () => {
  test("are told, in front of the outcome", () => {
    const device = new Device5().up();
    device.record("properties");
    device.client.publish("t", "x", 1);
    device.client.publish("t", "y", 2);
    device.sent();
    device.send(ack("PUBACK", 1, 0x87, { reasonString: "no", userProperty: [["a", "b"]] }), ack("PUBREC", 2, 0, {}));
    device.send(ack("PUBCOMP", 2, 0, { userProperty: [["c", "d"]] }));
    expect(device.take()).toEqual([
      "properties PUBACK #1 {reasonString=no userProperty=a:b}", "puback 0x87",
      "properties PUBCOMP #2 {userProperty=c:d}", "puback",
    ]);
  });

  test.each([
    ["a code of no PUBACK: 0x92 [MQTT5-3.4.2-1]", "40 03 0001 92"],
    ["a code of no PUBACK: 0x01 [MQTT5-3.4.2-1]", "40 03 0001 01"],
    ["a code of no PUBREC: 0x92 [MQTT5-3.5.2-1]", "50 03 0001 92"],
    ["a code of no PUBREL: 0x80 [MQTT5-3.6.2-1]", "62 03 0001 80"],
    ["a code of no PUBCOMP: 0x80 [MQTT5-3.7.2-1]", "70 03 0001 80"],
  ])("end the connection when they are not right: %s", (_title, bytes) => {
    const device = new Device5().up();
    device.sendBytes(wire(bytes));
    expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
    expect(device.take()).toEqual(["offline -130"]);
  });

  test("may end the session while they are told", () => {
    for (const packet of [ack("PUBACK", 1, 0x87, { reasonString: "x" }), ack("PUBREC", 1, 0, { reasonString: "x" }),
      ack("PUBREL", 1, 0, { reasonString: "x" }), suback(1, [1], { reasonString: "x" })]) {
      const device = new Device5().up();
      device.client.on("properties", (client) => client.abort());
      device.client.publish("t", "x", packet.type === "PUBREC" ? 2 : 1);
      device.sent();
      device.send(packet);
      expect(device.take()).toEqual(["offline 0"]);
      expect(device.broker.take()).toEqual([]);
      device.check();
    }
  });
});

describe("The broker's Receive Maximum", () => {
  test("is the count of messages at QoS 1 and 2 that are open " +
    "[MQTT5-3.3.4-7] [MQTT5-4.9.0-1] [MQTT5-4.9.0-2]", () => {
    const device = new Device5().upWith({ receiveMaximum: 2 });
    for (const payload of ["a", "b", "c", "d", "e"]) device.client.publish("t", payload, payload === "b" ? 2 : 1);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1", "PUBLISH t=b q2 #2"]);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=c q1 #3"]);
    device.send(ack("PUBREC", 2));
    expect(device.sent()).toEqual(["PUBREL #2"]);
    device.send(ack("PUBCOMP", 2));
    expect(device.sent()).toEqual(["PUBLISH t=d q1 #4"]);
    device.send(ack("PUBACK", 3, 0x97));
    expect(device.sent()).toEqual(["PUBLISH t=e q1 #5"]);
    device.send(ack("PUBACK", 3), ack("PUBCOMP", 2), ack("PUBREC", 9, 0x80));
    expect(device.sent()).toEqual([]);
  });

  test("is 65,535 when CONNACK names none; then the client's own limit is smaller [MQTT5-4.9.0-1]", () => {
    const device = new Device5({ options: { maxInflight: 3 } }).up();
    for (let i = 0; i < 5; i++) device.client.publish("t", "x", 1);
    expect(device.sent()).toHaveLength(3);
  });

  test("is each connection's own, and counts what is sent again [MQTT5-3.3.4-7] [MQTT5-4.9.0-1]", () => {
    const device = new Device5({ cleansession: 0 }).upWith({ receiveMaximum: 3 });
    for (const payload of ["a", "b", "c"]) device.client.publish("t", payload, 1);
    device.client.publish("t", "d", 2);
    expect(device.sent()).toHaveLength(3);
    device.lose();
    device.client.connect("broker");
    device.reach();
    device.send({ type: "CONNACK", sessionPresent: true, reasonCode: 0, properties: { receiveMaximum: 1 } });
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup"]);
    for (const id of [1, 2]) device.send(ack("PUBACK", id));
    expect(device.sent()).toEqual(["PUBLISH t=b q1 #2 dup", "PUBLISH t=c q1 #3 dup"]);
    device.lose();
    device.client.connect("broker");
    device.reach();
    device.send({ type: "CONNACK", sessionPresent: true, reasonCode: 0 });
    expect(device.sent()).toEqual(["PUBLISH t=c q1 #3 dup", "PUBLISH t=d q2 #4"]);
  });

  test("holds back nothing but messages [MQTT5-3.3.4-8] [MQTT5-4.9.0-3]", () => {
    const device = new Device5({ keepalive: 60 }).upWith({ receiveMaximum: 1 });
    device.client.publish("t", "open", 2);
    expect(device.sent()).toEqual(["PUBLISH t=open q2 #1"]);
    device.client.subscribe("a", 1);
    device.client.unsubscribe("b");
    expect(device.sent()).toEqual(["SUBSCRIBE #2 a:1", "UNSUBSCRIBE #3 b"]);
    device.send(message("t", "1", { qos: 1, id: 5 }), message("t", "2", { qos: 2, id: 6 }), ack("PUBREL", 6));
    device.send(ack("PUBREC", 9));
    expect(device.sent()).toEqual(["PUBACK #5", "PUBREC #6", "PUBCOMP #6", "PUBREL #9 0x92"]);
    device.hal.advance(60000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP, ack("PUBREC", 1));
    expect(device.sent()).toEqual(["PUBREL #1"]);
    device.client.close();
    device.hal.advance(2000);
    expect(device.sent()).toEqual(["DISCONNECT"]);
  });

  test("lets filters overtake the messages that it holds back [MQTT5-3.3.4-8] [MQTT5-4.9.0-3]", () => {
    const device = new Device5().upWith({ receiveMaximum: 1 });
    const client = device.client;
    for (const payload of ["a", "b"]) client.publish("t", payload, 1);
    client.subscribe("s", 1);
    client.publish("t", "c");
    client.unsubscribe("u");
    client.publish("t", "d", 1);
    client.subscribe("v", 0);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1", "SUBSCRIBE #3 s:1", "UNSUBSCRIBE #4 u", "SUBSCRIBE #6 v:0"]);
    // Outcomes keep the order of the calls.
    device.send(suback(6, [0]), unsuback(4, [0]), suback(3, [1]), unsuback(4, [0]));
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 1));
    // What has left is passed over.
    expect(device.sent()).toEqual(["PUBLISH t=b q1 #2", "PUBLISH t=c"]);
    device.send(ack("PUBACK", 2));
    expect(device.sent()).toEqual(["PUBLISH t=d q1 #5"]);
    device.send(ack("PUBACK", 5));
    const expected = ["puback", "puback", "suback 0x01", "puback", "unsuback 0x00", "puback", "suback 0x00"];
    expect(device.take()).toEqual(expected);
    device.hal.advance(0);
    expect(device.sent()).toEqual([]);
  });

  test("passes over filters that left before the messages around them, as long as they wait [MQTT5-3.3.4-8]", () => {
    const device = new Device5().upWith({ receiveMaximum: 2 });
    const client = device.client;
    client.publish("t", "a", 1);
    client.publish("t", "b", 2);
    client.publish("t", "c", 1);
    client.subscribe("s", 1);
    client.publish("t", "d", 0);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1", "PUBLISH t=b q2 #2", "SUBSCRIBE #4 s:1"]);
    device.send(ack("PUBACK", 1), ack("PUBREC", 2), ack("PUBCOMP", 2));
    expect(device.sent()).toEqual(["PUBREL #2", "PUBLISH t=c q1 #3", "PUBLISH t=d"]);
    device.send(ack("PUBACK", 3), suback(4, [0x80]));
    expect(device.take()).toEqual(["puback", "puback", "puback", "suback 0x80", "puback"]);
  });

  test("does not send filters again that left before a message in the next session [MQTT5-3.3.4-8]", () => {
    const device = new Device5({ cleansession: 0 }).upWith({ receiveMaximum: 1 });
    const client = device.client;
    client.publish("t", "a", 1);
    client.publish("t", "b", 1);
    client.subscribe("s", 1);
    client.unsubscribe("u");
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1", "SUBSCRIBE #3 s:1", "UNSUBSCRIBE #4 u"]);
    device.send(unsuback(4, [0x11]));
    expect(device.lose()).toEqual(["offline -10"]);
    client.connect("broker");
    device.reach();
    device.send(connack({ receiveMaximum: 1 }, { isPresent: true }));
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup"]);
    device.take();
    device.send(ack("PUBACK", 1), suback(3, [1]));
    expect(device.sent()).toEqual(["PUBLISH t=b q1 #2"]);
    device.send(ack("PUBACK", 2));
    expect(device.take()).toEqual(["puback", "puback", "unsuback 0x11"]);
  });

  test("lets filters leave whole wherever the network stops taking bytes [MQTT5-3.3.4-8]", () => {
    for (let room = 1; room < 40; room++) {
      const device = new Device5({ hal: { room } }).upWith({ receiveMaximum: 1 });
      device.socket.stall();
      device.client.publish("topic", "a", 1);
      device.client.publish("topic", "b", 1);
      device.client.subscribe("filter");
      device.send(message("in", "x", { qos: 1, id: 9 }));
      device.client.unsubscribe("filter");
      while (device.socket.room < room) {
        device.socket.drain(1);
        device.hal.settle();
      }
      device.socket.unstall();
      const expected = ["PUBLISH topic=a q1 #1", "SUBSCRIBE #3 filter:0", "UNSUBSCRIBE #4 filter"];
      expect(device.sent().filter((line) => line !== "PUBACK #9")).toEqual(expected);
      device.send(suback(3, [0]), unsuback(4, [0]), ack("PUBACK", 1));
      expect(device.sent()).toEqual(["PUBLISH topic=b q1 #2"]);
      device.check();
    }
  });

  test("lets close() wait for what is open, and drops what may not leave any more", () => {
    const device = new Device5().upWith({ receiveMaximum: 1 });
    device.client.publish("t", "a", 1);
    device.client.publish("t", "b", 1);
    device.client.close();
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1"]);
    device.hal.advance(2000);
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["offline 0"]);
  });
});

describe("What an application publishes", () => {
  test("may be anything that MQTT allows [MQTT5-3.3.1-4] [MQTT5-3.3.2-2] [MQTT5-4.7.0-1] [MQTT5-4.7.3-1]", () => {
    const device = new Device5().up();
    expect(() => device.client.publish("t", "x", 3 as 2)).toThrow("qos must be an integer from 0 to 2");
    for (const topic of ["a/+", "#", "", "a\0b"]) {
      expect(() => device.client.publish(topic, "x")).toThrow("topic");
      expect(() => device.client.lwt(topic, "x")).toThrow("topic");
      expect(() => device.client.publish("t", "x", 0, 0, null, { responseTopic: topic })).toThrow("responseTopic");
      expect(() => device.client.lwt("t", "x", 0, 0, { responseTopic: topic })).toThrow("responseTopic");
    }
    expect(device.sent()).toEqual([]);
  });

  test("has a topic of at most 65,535 bytes [MQTT5-4.7.3-3]", () => {
    const device = new Device5({ options: { txCapacity: 140000 }, brokerCapacity: 70000 }).up();
    expect(() => device.client.publish("\u20ac".repeat(21846), "x")).toThrow("65535");
    expect(device.client.publish("\u20ac".repeat(21845), "x")).toBe(true);
    expect(device.sent()[0]).toHaveLength(21845 + "PUBLISH =x {topicAlias=1}".length - " {topicAlias=1}".length);
  });

  test("has the properties that it is given, in their order " +
    "[MQTT5-3.3.2-13] [MQTT5-3.3.2-18] [MQTT5-3.3.2-19] [MQTT5-1.5.7-1]", () => {
    const device = new Device5().up();
    device.client.publish("t", "x", 1, 1, null, {
      userProperty: [["b", "1"], ["a", ""], ["b", "\u20ac"]],
      payloadFormatIndicator: true,
      contentType: "text/\u00e4",
      responseTopic: "r/\u00e4",
      correlationData: new Uint8Array([0, 255]),
      messageExpiryInterval: 4294967295,
    });
    expect(device.sent()).toEqual([
      "PUBLISH t=x q1 #1 retain {userProperty=b:1,a:,b:\u20ac payloadFormatIndicator=1 contentType=text/\u00e4 " +
      "responseTopic=r/\u00e4 correlationData=00ff messageExpiryInterval=4294967295}",
    ]);
    device.client.publish("t", "y");
    device.client.publish("t", "z", 1);
    expect(device.sent()).toEqual(["PUBLISH t=y", "PUBLISH t=z q1 #2"]);
  });

  test("has no properties that are the client's or the broker's own " +
    "[MQTT5-3.3.4-6] [MQTT5-3.3.2-8] [MQTT5-3.2.2-17] [MQTT5-3.3.2-9]", () => {
    const device = new Device5().upWith({ topicAliasMaximum: 2 });
    const wrong: object[] = [
      { subscriptionIdentifier: 1 }, { topicAlias: 0 }, { topicAlias: 3 }, { willDelayInterval: 1 }, { nothing: 1 },
    ];
    for (const properties of wrong) {
      expect(() => device.client.publish("t", "x", 1, 0, null, properties)).toThrow(Object.keys(properties)[0]);
    }
    const none = [5, "x", [], () => 0];
    for (const properties of none) {
      expect(() => device.client.publish("t", "x", 1, 0, null, properties as object)).toThrow("properties");
    }
    device.client.publish("t", "plain", 1);
    expect(device.sent()).toEqual(["PUBLISH t=plain q1 #1"]);
  });

  test("has no string that is not UTF-8 or has U+0000 " +
    "[MQTT5-1.5.4-1] [MQTT5-1.5.4-2] [MQTT5-1.5.7-1] [MQTT5-3.3.2-13] [MQTT5-3.3.2-19] [MQTT5-4.7.3-2]", () => {
    const device = new Device5().up();
    for (const bad of ["\ud800", "a\udc00b"]) {
      expect(() => device.client.publish(bad, "x")).toThrow("topic must not have a lone surrogate");
      expect(() => device.client.subscribe(bad)).toThrow("topic must not have a lone surrogate");
      expect(() => device.client.unsubscribe(bad)).toThrow("topic must not have a lone surrogate");
    }
    for (const bad of ["\ud800", "a\udc00b", "\0", "a\0"]) {
      for (const name of ["contentType", "responseTopic"]) {
        expect(() => device.client.publish("t", "x", 0, 0, null, { [name]: bad })).toThrow(name);
      }
      for (const pair of [[bad, "x"], ["x", bad]] as [string, string][]) {
        const properties = { userProperty: [pair] };
        expect(() => device.client.publish("t", "x", 0, 0, null, properties)).toThrow("userProperty");
        expect(() => device.client.subscribe("t", 0, null, properties)).toThrow("userProperty");
        expect(() => device.client.unsubscribe("t", null, properties)).toThrow("userProperty");
        expect(() => device.client.lwt("t", "x", 0, 0, properties)).toThrow("userProperty");
        expect(() => device.client.close(0, properties)).toThrow("userProperty");
      }
    }
    expect(() => new Device5({ args: ["a\0b"] })).toThrow("clientid");
    expect(() => new Device5({ args: ["id", 60, "a\0b"] })).toThrow("username");
    expect(device.sent()).toEqual([]);
    expect(device.client.connected).toBe(true);
  });

  test("keeps a byte order mark [MQTT5-1.5.4-3]", () => {
    const bytes = bytesOf(({ client }) => client.publish("\ufeffa", "x", 0, 0, null, { contentType: "\ufeff" }));
    expect(bytes).toBe(hex(wire("30 0e 0004 efbbbf 'a' 06 03 0003 efbbbf 'x'")));
  });

  test("has as many bytes of properties as can be; their length has as few bytes as can be [MQTT5-1.5.5-1]", () => {
    for (const [length, lengthBytes] of [[127, "7f"], [128, "8001"], [16383, "ff7f"], [16384, "808001"]] as const) {
      const device = new Device5({ options: { txCapacity: 40000 } }).up();
      device.socket.onWrite = undefined;
      device.client.publish("t", "x", 0, 0, null, { contentType: "c".repeat(length - 3) });
      device.hal.advance(1);
      const sent = hex(device.socket.takeSent());
      expect(sent.slice(0, 40)).toContain(`000174${lengthBytes}03`);
      device.client.abort();
    }
  });

  test("is a new message with DUP 0, though it came with DUP 1 [MQTT5-3.3.1-3]", () => {
    const device = new Device5().up();
    device.client.on("message", (client, topic, data) => client.publish("out/" + topic, data as string, 1));
    device.send(message("t", "x", { qos: 1, id: 4, dup: true }));
    expect(device.sent()).toEqual(["PUBACK #4", "PUBLISH out/t=x q1 #1"]);
  });

  test("cannot carry the subscription identifier of what came [MQTT5-3.3.4-6]", () => {
    const device = new Device5().up();
    let error: unknown;
    device.client.on("message", (client, _topic, data, info) => {
      try {
        client.publish("out", data as string, 0, 0, null, info.properties.toObject() as object);
      } catch (thrown) {
        error = thrown;
      }
    });
    device.send(message("t", "x", { subscriptionIdentifier: [3] }));
    expect(device.sent()).toEqual([]);
    expect(String(error)).toContain("subscriptionIdentifier");
  });

  test("is sent again for nothing but a new connection, and acknowledged, however long that takes " +
    "[MQTT5-4.1.0-1] [MQTT5-4.4.0-1]", () => {
    const device = new Device5({ options: { ackTimeoutMs: 10_000_000 } }).up();
    device.client.publish("t", "a", 1);
    device.client.publish("t", "b", 2);
    expect(device.sent()).toHaveLength(2);
    device.send(ack("PUBREC", 2));
    expect(device.sent()).toEqual(["PUBREL #2"]);
    for (let i = 0; i < 65; i++) {
      device.hal.advance(56250);
      expect(device.sent()).toEqual(["PINGREQ"]);
      device.send(PINGRESP);
    }
    device.send(ack("PUBACK", 1), ack("PUBCOMP", 2));
    expect(device.take()).toEqual(["puback", "puback"]);
  });
});
