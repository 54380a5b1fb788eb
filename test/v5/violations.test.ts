/** What a broker must not send: each is answered with DISCONNECT and its reason code, and the connection is closed. */
import { describe, expect, test } from "@jest/globals";
import { wire } from "../support/bytes.js";
import { Device5, ack, connack, disconnect, message, suback, unsuback } from "../support/device5.js";

const MALFORMED: [title: string, bytes: string][] = [
  ["reserved flags of CONNACK [MQTT5-2.1.3-1]", "21 03 00 00 00"],
  ["reserved flags of PUBACK [MQTT5-2.1.3-1]", "41 02 0001"],
  ["reserved flags of PUBREC [MQTT5-2.1.3-1]", "51 02 0001"],
  ["reserved flags of PUBREL [MQTT5-2.1.3-1] [MQTT5-3.6.1-1]", "60 02 0001"],
  ["reserved flags of PUBCOMP [MQTT5-2.1.3-1]", "72 02 0001"],
  ["reserved flags of SUBACK [MQTT5-2.1.3-1]", "91 04 0001 00 00"],
  ["reserved flags of UNSUBACK [MQTT5-2.1.3-1]", "b1 04 0001 00 00"],
  ["reserved flags of PINGRESP [MQTT5-2.1.3-1]", "d1 00"],
  ["reserved flags of DISCONNECT [MQTT5-2.1.3-1] [MQTT5-3.14.1-1]", "e1 00"],
  ["reserved flags of AUTH [MQTT5-2.1.3-1] [MQTT5-3.15.1-1]", "f1 00"],
  ["packet type 0", "00 00"],
  ["a Remaining Length of five bytes", "30 80 80 80 80 01"],
  ["QoS 3 [MQTT5-3.3.1-4]", "36 07 0001 't' 0001 00 'x'"],
  ["DUP at QoS 0 [MQTT5-3.3.1-2]", "38 05 0001 't' 00 'x'"],
  ["a topic that is not UTF-8: a surrogate [MQTT5-1.5.4-1] [MQTT5-3.3.2-1]", "30 08 0004 61eda080 00 'x'"],
  ["a topic that is not UTF-8: a byte is missing [MQTT5-1.5.4-1] [MQTT5-3.3.2-1]", "30 06 0002 c328 00 'x'"],
  ["a topic with U+0000 [MQTT5-1.5.4-2] [MQTT5-4.7.3-2]", "30 06 0002 6100 00 'x'"],
  ["a topic with # [MQTT5-3.3.2-2] [MQTT5-4.7.0-1]", "30 07 0003 'a/#' 00 'x'"],
  ["a topic with + [MQTT5-3.3.2-2] [MQTT5-4.7.0-1]", "30 07 0003 '+/a' 00 'x'"],
  ["a topic longer than the packet", "30 05 0009 't' 00 'x'"],
  ["properties longer than the packet", "30 05 0001 't' 09 'x'"],
  ["a length of properties of five bytes", "30 0a 0001 't' 8080808000 'x'"],
  ["a property of another packet", "30 0a 0001 't' 05 11 00000000 'x'"],
  ["an unknown property", "30 07 0001 't' 02 0400 'x'"],
  ["a property of PUBLISH in PUBACK", "40 06 0001 00 02 0101"],
  ["a property that is cut short", "30 06 0001 't' 01 01 'x'"],
  ["PUBACK of one byte", "40 01 00"],
  ["bytes behind the properties of PUBACK", "40 05 0001 00 00 00"],
  ["PINGRESP with a byte", "d0 01 00"],
];

/** What is found when the application reads it. */
const TEXTS: [title: string, bytes: string, code: string][] = [
  ["a Response Topic with a wildcard [MQTT5-3.3.2-14]", "30 0b 0001 't' 06 08 0003 'a/#' 'x'", "0x82"],
  ["an empty Response Topic", "30 08 0001 't' 03 08 0000 'x'", "0x82"],
];
for (const bad of ["c328", "6100"]) {
  const is = `: ${bad} [MQTT5-1.5.4-1] [MQTT5-1.5.4-2]`;
  for (const [id, name] of [["03", "Content Type [MQTT5-3.3.2-19]"], ["08", "Response Topic [MQTT5-3.3.2-13]"]]) {
    TEXTS.push([`a ${name}${is}`, `30 0a 0001 't' 05 ${id} 0002 ${bad} 'x'`, "0x81"]);
  }
  TEXTS.push(
    [`a name of a User Property${is} [MQTT5-1.5.7-1]`, `30 0d 0001 't' 08 26 0002 ${bad} 0001 'v' 'x'`, "0x81"],
    [`a value of a User Property${is} [MQTT5-1.5.7-1]`, `30 0d 0001 't' 08 26 0001 'n' 0002 ${bad} 'x'`, "0x81"],
    [`a Reason String${is}`, `40 09 0001 80 05 1f 0002 ${bad}`, "0x81"],
  );
}

const FORBIDDEN: [title: string, bytes: string][] = [
  ["CONNECT", "10 0d 0004 'MQTT' 05 02 003c 00 0000"],
  ["SUBSCRIBE", "82 07 0001 00 0001 't' 00"],
  ["UNSUBSCRIBE", "a2 06 0001 00 0001 't'"],
  ["PINGREQ", "c0 00"],
  ["a second CONNACK [MQTT5-3.2.0-2]", "20 03 00 00 00"],
  ["AUTH without a method of authentication [MQTT5-4.12.0-6]", "f0 06 18 04 15 0001 'A'"],
  ["packet id 0 in PUBLISH [MQTT5-2.2.1-4]", "32 07 0001 't' 0000 00 'x'"],
  ["packet id 0 in PUBACK", "40 02 0000"],
  ["an empty topic without an alias [MQTT5-4.7.3-1] [MQTT5-3.3.2-1]", "30 04 0000 00 'x'"],
  ["Content Type twice", "30 0c 0001 't' 07 030001 'a' 030000 'x'"],
  ["Payload Format Indicator 2", "30 07 0001 't' 02 0102 'x'"],
  ["Subscription Identifier 0 [MQTT5-3.3.4-3]", "30 07 0001 't' 02 0b00 'x'"],
  ["Reason String twice", "40 0b 0001 80 07 1f0001 'a' 1f0000"],
];

/** A device in the midst of much: messages of both directions are open. */
function busy(): Device5 {
  const device = new Device5().up();
  device.client.publish("t", "open", 1);
  device.client.publish("t", "open", 2);
  device.send(message("in", "x", { qos: 2, id: 9 }));
  device.sent();
  device.take();
  return device;
}

describe.each([["0x81", MALFORMED], ["0x82", FORBIDDEN]])(
  "A broker's packet that is not right is answered with DISCONNECT %s [MQTT5-4.13.1-1]", (code, table) => {
    test.each(table)("%s", (_title, bytes) => {
      for (const isCut of [false, true]) {
        const device = busy();
        const behind = device.broker.bytes(message("in", "never", { qos: 1, id: 3 }), ack("PUBACK", 1));
        if (isCut) {
          device.socket.fragment = 1;
          device.sendBytes(wire(bytes));
          device.sendBytes(behind);
        } else {
          device.socket.receive(wire(bytes), behind);
        }
        const [event, ...others] = device.take();
        expect(event).toMatch(/^offline -(2\d|1\d\d)$/);
        expect(others).toEqual([]);
        expect(device.sent()).toEqual([`DISCONNECT ${code}`]);
        expect(device.socket.closed).toBe(true);
        device.hal.advance(600_000);
        expect(device.take()).toEqual([]);
        device.check();
      }
    });
  });

describe("A text among properties that is not right is answered with DISCONNECT once it is read", () => {
  test.each(TEXTS)("%s", (_title, bytes, code) => {
    for (const fragment of [Infinity, 1]) {
      const device = busy();
      device.client.on("message", (_client, _topic, _data, info) => void info.properties.toObject());
      device.client.on("properties", (_client, _type, _id, properties) => void properties.toObject());
      device.socket.fragment = fragment;
      device.sendBytes(wire(bytes));
      device.sendBytes(device.broker.bytes(message("in", "never", { qos: 1, id: 3 })));
      expect(device.take().at(-1)).toMatch(/^offline -1(29|30)$/);
      expect(device.sent()).toEqual([`DISCONNECT ${code}`]);
      expect(device.socket.closed).toBe(true);
    }
  });
});

describe("A violation", () => {
  test("of the encoding of lengths may pass: the longest way round [MQTT5-1.5.5-1]", () => {
    // What reads them is not asked to check that.
    const device = busy();
    device.sendBytes(wire("30 85 00 0001 't' 00 'x'"));
    expect(device.take()).toEqual(["message t=x"]);
  });

  test("is answered behind what was due before it, and with nothing behind [MQTT5-3.14.4-1]", () => {
    const device = busy();
    const before = device.broker.bytes(message("in", "1", { qos: 1, id: 1 }), ack("PUBREL", 9));
    device.socket.receive(before, wire("00 00"), device.broker.bytes(message("in", "2", { qos: 1, id: 2 })));
    expect(device.sent()).toEqual(["PUBACK #1", "PUBCOMP #9", "DISCONNECT 0x81"]);
    expect(device.take()).toEqual(["message in=1", "offline -20"]);
  });

  test("is answered behind the rest of a packet that has begun to leave [MQTT5-3.14.4-1]", () => {
    for (let room = 1; room < 60; room++) {
      const device = new Device5({ hal: { room } }).upWith({ topicAliasMaximum: 8 });
      device.socket.stall();
      device.client.publish("topic", "x".repeat(20), 1);
      device.client.publish("topic", "y".repeat(20), 1);
      device.hal.settle();
      device.sendBytes(wire("00 00"));
      while (device.socket.room < room && !device.socket.closed) {
        device.socket.drain(1);
        device.hal.settle();
      }
      const sent = device.sent();
      expect(sent.at(-1)).toBe("DISCONNECT 0x81");
      expect(sent.length).toBeLessThanOrEqual(3);
      expect(device.take()).toEqual(["offline -20"]);
      device.check();
    }
  });

  test("keeps the session, and is over with the connection [MQTT5-4.1.0-1]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    device.sent();
    device.sendBytes(wire("00 00"));
    expect(device.take()).toEqual(["offline -20"]);
    device.client.connect("broker");
    device.accept(true);
    device.client.close();
    expect(device.sent()).toEqual([]);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["puback", "offline 0"]);
  });

  test("is a Reason String or User Property that the client has not wanted, but for CONNACK, PUBLISH and DISCONNECT " +
    "[MQTT5-3.1.2-29]", () => {
    const reasonString = "why";
    const userProperty = [["a", "b"]];
    for (const requestProblemInformation of [0, false] as const) {
      for (const properties of [{ reasonString }, { userProperty }]) {
        for (const packet of [
          ack("PUBACK", 1, 0x87, properties), ack("PUBREC", 2, 0, properties), ack("PUBREL", 9, 0, properties),
          ack("PUBCOMP", 3, 0, properties), suback(4, [0], properties), unsuback(5, [0], properties),
        ]) {
          const device = new Device5();
          device.connectLine({ requestProblemInformation });
          device.send(connack({ reasonString, userProperty }), message("in", "x", { userProperty }));
          device.hal.settle();
          for (const qos of [1, 2, 2] as const) device.client.publish("t", "x", qos);
          device.client.subscribe("t");
          device.client.unsubscribe("t");
          device.send(ack("PUBREC", 3));
          device.sent();
          device.send(packet);
          expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
          expect(device.take().at(-1)).toBe("offline -130");
          device.check();
        }
      }
      const device = new Device5();
      device.connectLine({ requestProblemInformation });
      device.send(connack({ reasonString }), disconnect(0x8b, { reasonString, userProperty }));
      expect(device.take().slice(1)).toEqual(["disconnect 0x8b {reasonString=why userProperty=a:b}", "offline -10"]);
    }
  });

  test("asks for the will, where close() does not [MQTT5-3.14.4-3]", () => {
    // 0x00 alone makes the broker forget it.
    const device = busy();
    device.sendBytes(wire("00 00"));
    expect(device.sent()).toEqual(["DISCONNECT 0x81"]);
  });
});
