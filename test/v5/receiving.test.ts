/** Messages that a client of MQTT 5 receives: their properties, however they are cut, and how they are acknowledged. */
import { describe, expect, test } from "@jest/globals";
import type { Properties } from "../../src/v5/face.js";
import { wire } from "../support/bytes.js";
import { letters } from "../support/device.js";
import { Device5, ack, message } from "../support/device5.js";

const PROPERTIES = {
  payloadFormatIndicator: 1,
  messageExpiryInterval: 90,
  contentType: "text/\u00e4",
  responseTopic: "r/t",
  correlationData: "\0\xff",
  subscriptionIdentifier: [1, 300, 300],
  userProperty: [["b", "1"], ["a", ""], ["b", "\ufeff0"]],
};
const TOLD = "{payloadFormatIndicator=1 messageExpiryInterval=90 contentType=text/\u00e4 responseTopic=r/t " +
  "correlationData=00ff subscriptionIdentifier=1,300,300 userProperty=b:1,a:,b:\ufeff0}";

describe("A message", () => {
  test("is answered by its QoS: nothing, PUBACK, PUBREC, wanted or not " +
    "[MQTT5-2.2.1-2] [MQTT5-2.2.1-5] [MQTT5-3.3.4-1] [MQTT5-4.3.2-4] [MQTT5-4.3.3-8] [MQTT5-4.5.0-2]", () => {
    const device = new Device5().up();
    device.socket.takeSent();
    device.socket.onWrite = undefined;
    device.send(message("t", "0"), message("t", "1", { qos: 1, id: 0x1234 }));
    device.send(message("t", "2", { qos: 2, id: 0x1235 }));
    expect(device.take()).toEqual(["message t=0", "message t=1", "message t=2"]);
    device.send(ack("PUBREL", 0x1235));
    device.hal.settle();
    expect(device.socket.takeSent()).toEqual(wire("40 02 1234 50 02 1235 70 02 1235"));
  });

  test("is told with all its properties, in their order; those that may be several times are arrays " +
    "[MQTT5-1.5.4-3] [MQTT5-3.3.2-18] [MQTT5-3.3.4-3]", () => {
    const device = new Device5().up();
    device.send(message("t", "x", PROPERTIES), message("t", "y"));
    device.send(message("\ufeffa", "z", { subscriptionIdentifier: [5] }));
    expect(device.take()).toEqual([
      `message t=x ${TOLD}`, "message t=y", "message \ufeffa=z {subscriptionIdentifier=5}",
    ]);
  });

  test("has properties that can be asked for one by one", () => {
    const device = new Device5({ listens: false }).up();
    const seen: unknown[] = [];
    device.client.on("message", (_client, _topic, _data, { properties }) => {
      seen.push(properties.get("contentType"), properties.get("userProperty"));
      seen.push(properties.get("subscriptionIdentifier"));
      seen.push(properties.get("serverReference"), properties.get("messageExpiryInterval"));
    });
    device.send(message("t", "x", PROPERTIES), message("t", "y"));
    device.hal.settle();
    expect(seen).toEqual([
      "text/\u00e4", PROPERTIES.userProperty, [1, 300, 300], undefined, 90,
      undefined, undefined, undefined, undefined, undefined,
    ]);
  });

  test("is the same wherever the stream is cut [MQTT5-4.2.0-1]", () => {
    const bytes = new Device5().up().broker.bytes(
      message("t", "first", { qos: 1, id: 1 }),
      message("topic", "payload", { ...PROPERTIES, qos: 2, id: 2, retain: true }),
      message("t", "", { contentType: "c" }),
      message("t", "last", { qos: 1, id: 3, contentType: "d" }));
    const expected = ["message t=first", `message topic=payload ${TOLD}`, "message t without data {contentType=c}",
      "message t=last {contentType=d}"];
    for (let first = 1; first < bytes.length; first++) {
      const device = new Device5().up();
      for (const part of [bytes.subarray(0, first), bytes.subarray(first)]) {
        device.sendBytes(part);
        device.hal.settle();
      }
      expect(device.take()).toEqual(expected);
      expect(device.sent()).toEqual(["PUBACK #1", "PUBREC #2", "PUBACK #3"]);
      device.check();
    }
    const device = new Device5().up();
    device.socket.fragment = 1;
    device.sendBytes(bytes);
    expect(device.take()).toEqual(expected);
  });

  test("may be as long as maxMessageLength, with properties and payload in any proportion", () => {
    for (let length = 0; length < 950; length += 37) {
      const device = new Device5({ options: { rxCapacity: 1024, maxMessageLength: 1024 } }).up();
      const contentType = letters(length);
      const payload = letters(1024 - 3 - 3 - (length + 3 > 127 ? 2 : 1) - length - 3);
      const [bytes] = [device.broker.bytes(message("t", payload, { contentType }))];
      expect(bytes).toHaveLength(1024);
      for (const step of [1024, 1000, 100, 7]) {
        for (let at = 0; at < bytes.length; at += step) {
          device.sendBytes(bytes.subarray(at, at + step));
          device.hal.settle();
        }
        expect(device.take()).toEqual([`message t=${payload} {contentType=${contentType}}`]);
      }
      device.check();
    }
  });

  test("that is longer than the client has said ends the connection; one of that length does not " +
    "[MQTT5-3.1.2-24]", () => {
    const device = new Device5({ options: { maxMessageLength: 50 } }).up();
    const [fits, long] = [44, 45].map((length) => device.broker.bytes(message("t", "x".repeat(length))));
    expect(fits).toHaveLength(50);
    device.sendBytes(fits);
    expect(device.take()).toEqual([`message t=${"x".repeat(44)}`]);
    // Its header is enough.
    device.sendBytes(long.subarray(0, 2));
    expect(device.sent()).toEqual(["DISCONNECT 0x95"]);
    expect(device.take()).toEqual(["offline -149"]);
    const whole = new Device5({ options: { maxMessageLength: 50 } }).up();
    whole.sendBytes(long);
    expect(whole.sent()).toEqual(["DISCONNECT 0x95"]);
    expect(whole.take()).toEqual(["offline -149"]);
  });

  test("that is longer than maxMessageLength is told as far as it fits, where CONNECT allows it", () => {
    const device = new Device5({ options: { maxMessageLength: 200, rxCapacity: 256 } });
    device.connectLine({ maximumPacketSize: 5000 });
    device.send({ type: "CONNACK", sessionPresent: false, reasonCode: 0 });
    device.take();
    const payload = letters(1000);
    for (const length of [0, 10, 100, 150, 190]) {
      const contentType = letters(length);
      const bytes = device.broker.bytes(message("t", payload, { qos: 2, id: length + 1, contentType }));
      const header = bytes.length - payload.length;
      for (const step of [5000, 100, 1]) {
        for (let at = 0; at < bytes.length; at += step) {
          device.sendBytes(bytes.subarray(at, at + step));
          device.hal.settle();
        }
        device.send(ack("PUBREL", length + 1));
        const part = header < 200 ? `=${payload.slice(0, 200 - header)}` : " without data";
        expect(device.take()).toEqual([`overflow t${part} {contentType=${contentType}}`]);
        expect(device.sent()).toEqual([`PUBREC #${length + 1}`, `PUBCOMP #${length + 1}`]);
      }
    }
  });

  test("that is longer than maxMessageLength is told in pieces, each with the properties", () => {
    const device = new Device5({ options: { maxMessageLength: 100, rxCapacity: 128 } });
    device.connectLine({ maximumPacketSize: 5000 });
    device.send({ type: "CONNACK", sessionPresent: false, reasonCode: 0 });
    device.take();
    const payload = letters(500);
    for (const contentType of ["", "c", letters(60), letters(100)]) {
      for (const step of [5000, 50, 3]) {
        let text = "";
        const kinds = new Set<string>();
        device.client.on("data", (_client, topic, bytes, offset, total, info) => {
          expect([topic, offset, total]).toEqual(["t", text.length, 500]);
          text += Buffer.from(bytes).toString();
          kinds.add(JSON.stringify(info.properties.toObject()));
        });
        const bytes = device.broker.bytes(
          message("t", payload, { qos: 1, id: 1, contentType }), message("t", "short", { contentType: "s" }));
        for (let at = 0; at < bytes.length; at += step) {
          device.sendBytes(bytes.subarray(at, at + step));
          device.hal.settle();
        }
        expect(text).toBe(payload);
        expect([...kinds]).toEqual([JSON.stringify({ contentType })]);
        expect(device.take()).toEqual(["message t=short {contentType=s}"]);
        expect(device.sent()).toEqual(["PUBACK #1"]);
      }
    }
  });

  test("without payload and longer than maxMessageLength is one empty piece", () => {
    const device = new Device5({ options: { maxMessageLength: 100, rxCapacity: 256 } });
    device.record("data");
    device.connectLine({ maximumPacketSize: 5000 });
    device.send({ type: "CONNACK", sessionPresent: false, reasonCode: 0 });
    device.take();
    const contentType = letters(150);
    device.send(message("t", "", { contentType }), message("t", "x"));
    expect(device.take()).toEqual([`data t 0+0/0 {contentType=${contentType}}`, "message t=x"]);
  });

  test("whose properties do not fit the receive buffer ends the connection", () => {
    const device = new Device5({ options: { maxMessageLength: 100, rxCapacity: 128 } });
    device.connectLine({ maximumPacketSize: 5000 });
    device.send({ type: "CONNACK", sessionPresent: false, reasonCode: 0 });
    device.take();
    device.send(message("t", "x", { contentType: letters(200) }));
    expect(device.sent()).toEqual(["DISCONNECT 0x95"]);
    expect(device.take()).toEqual(["offline -149"]);
  });

  test("at QoS 1 is a new one under an id that was acknowledged, DUP or not [MQTT5-4.3.2-5]", () => {
    const device = new Device5().up();
    for (const dup of [false, true, false]) device.send(message("t", "x", { qos: 1, id: 7, dup }));
    expect(device.take()).toEqual(["message t=x", "message t=x", "message t=x"]);
    expect(device.sent()).toEqual(["PUBACK #7", "PUBACK #7", "PUBACK #7"]);
  });

  test("at QoS 2 is told once until PUBREL, also over a lost connection, and is new behind PUBCOMP " +
    "[MQTT5-4.3.3-10] [MQTT5-4.3.3-11] [MQTT5-4.3.3-12]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.send(message("t", "x", { qos: 2, id: 7 }), message("t", "x", { qos: 2, id: 7, dup: true }));
    expect(device.sent()).toEqual(["PUBREC #7", "PUBREC #7"]);
    expect(device.take()).toEqual(["message t=x"]);
    device.lose();
    device.up(true);
    device.send(message("t", "x", { qos: 2, id: 7, dup: true }), ack("PUBREL", 7));
    device.send(message("t", "y", { qos: 2, id: 7 }));
    expect(device.sent()).toEqual(["PUBREC #7", "PUBCOMP #7", "PUBREC #7"]);
    expect(device.take()).toEqual(["message t=y"]);
  });

  test("at QoS 2 goes on, though it has expired meanwhile [MQTT5-4.3.3-13]", () => {
    const device = new Device5().up();
    device.send(message("t", "x", { qos: 2, id: 7, messageExpiryInterval: 1 }));
    device.hal.advance(5000);
    device.send(ack("PUBREL", 7));
    expect(device.sent()).toEqual(["PUBREC #7", "PUBCOMP #7"]);
  });

  test("at QoS 2 that is not known is confirmed with 0x92; one that the broker gives up is forgotten " +
    "[MQTT5-3.6.2-1] [MQTT5-3.7.2-1] [MQTT5-4.3.3-11]", () => {
    const device = new Device5().up();
    device.send(ack("PUBREL", 7), message("t", "x", { qos: 2, id: 8 }), ack("PUBREL", 8, 0x92));
    device.send(message("t", "y", { qos: 2, id: 8 }));
    expect(device.sent()).toEqual(["PUBCOMP #7 0x92", "PUBREC #8", "PUBCOMP #8", "PUBREC #8"]);
    expect(device.take()).toEqual(["message t=x", "message t=y"]);
  });

  test("is acknowledged in its turn, whatever callbacks do [MQTT5-4.6.0-2] [MQTT5-4.6.0-3]", () => {
    const device = new Device5().up();
    device.client.on("message", (client, topic, data) => client.publish("out", data as string, 1));
    const order = [1, 2, 2, 1, 2, 1];
    device.send(...order.map((qos, i) => message("t", String(i), { qos, id: i + 1 })));
    const sent = device.sent();
    expect(sent.filter((line) => line.startsWith("PUB") && !line.startsWith("PUBLISH"))).toEqual(
      order.map((qos, i) => `${qos === 1 ? "PUBACK" : "PUBREC"} #${i + 1}`));
    expect(sent.filter((line) => line.startsWith("PUBLISH"))).toHaveLength(6);
  });
});

describe("The client's Receive Maximum", () => {
  test("is the count of messages at QoS 2 that may be open; one more ends the connection [MQTT5-3.3.4-9]", () => {
    const device = new Device5({ options: { receiveMaximum: 2 } }).up();
    const at = (id: number, qos = 2): ReturnType<typeof message> => message("t", String(id), { qos, id });
    device.send(at(1), at(2), ack("PUBREL", 1), at(3), at(4, 1), at(5, 1), at(6, 1), at(2));
    expect(device.sent()).toEqual([
      "PUBREC #1", "PUBREC #2", "PUBCOMP #1", "PUBREC #3", "PUBACK #4", "PUBACK #5", "PUBACK #6", "PUBREC #2",
    ]);
    device.send(at(7));
    expect(device.sent()).toEqual(["DISCONNECT 0x93"]);
    expect(device.take().at(-1)).toBe("offline -13");
  });
});

describe("Properties", () => {
  test("are those of the packet that is told, in whatever callback", () => {
    const device = new Device5({ listens: false }).up();
    const seen: unknown[] = [];
    let kept: Properties | undefined;
    device.client.on("message", (client, _topic, _data, info) => {
      kept ??= info.properties;
      expect(info.properties).toBe(kept);
      client.publish("out", "x", 1, 0, null, { contentType: "mine" });
      seen.push(info.properties.get("contentType"));
    });
    device.send(message("t", "1", { contentType: "a" }), message("t", "2"), message("t", "3", { contentType: "b" }));
    device.hal.settle();
    expect(seen).toEqual(["a", undefined, "b"]);
  });
});
