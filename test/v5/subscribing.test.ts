/** SUBSCRIBE and UNSUBSCRIBE of MQTT 5: options, properties, shared subscriptions, a reason code for each filter. */
import { describe, expect, test } from "@jest/globals";
import { hex, wire } from "../support/bytes.js";
import { Device5, ack, message, suback, unsuback } from "../support/device5.js";

describe("SUBSCRIBE", () => {
  test("has flags 0010, a packet id, properties' length, filters and options " +
    "[MQTT5-2.1.3-1] [MQTT5-2.2.2-1] [MQTT5-3.8.1-1] [MQTT5-3.8.3-1] [MQTT5-3.8.3-2] [MQTT5-3.8.3-5]", () => {
    const device = new Device5().up();
    device.socket.takeSent();
    device.socket.onWrite = undefined;
    device.client.subscribe("\u20ac/#", 2);
    expect(hex(device.socket.takeSent())).toBe(hex(wire("82 0b 0001 00 0005 '\u20ac/#' 02")));
  });

  test("says options and properties as they were given " +
    "[MQTT5-3.3.1-9] [MQTT5-3.3.1-12] [MQTT5-3.8.3-3] [MQTT5-3.8.3-5]", () => {
    const device = new Device5().up();
    const properties = { subscriptionIdentifier: 268435455, userProperty: [["a", "b"]] as [string, string][] };
    device.client.subscribe("a", { qos: 1, nl: true, rap: 1, rh: 2 }, null, properties);
    const table = { b: 2, c: { rh: 1 }, d: { qos: null, nl: 0, rap: true } } as const;
    device.client.subscribe(table, null, { subscriptionIdentifier: 1 });
    device.client.subscribe("e", 1);
    device.client.subscribe("f");
    expect(device.sent()).toEqual([
      "SUBSCRIBE #1 a:1+nl+rap+rh2 {subscriptionIdentifier=268435455 userProperty=a:b}",
      "SUBSCRIBE #2 b:2 c:0+rh1 d:0+rap {subscriptionIdentifier=1}",
      "SUBSCRIBE #3 e:1", "SUBSCRIBE #4 f:0",
    ]);
  });

  test("refuses options and properties that are not right [MQTT5-3.8.3-5]", () => {
    const { client, ...device } = new Device5().up();
    expect(() => client.subscribe("t", 3 as 2)).toThrow("qos");
    expect(() => client.subscribe("t", { qos: 3 as 2 })).toThrow("qos");
    expect(() => client.subscribe("t", { rh: 3 as 2 })).toThrow("rh must be an integer from 0 to 2");
    expect(() => client.subscribe("t", { nl: 2 as 1 })).toThrow("nl");
    expect(() => client.subscribe("t", { noLocal: true } as object)).toThrow("noLocal");
    expect(() => client.subscribe({ t: { rap: "x" as never } })).toThrow("rap");
    for (const subscriptionIdentifier of [0, 268435456, 1.5]) {
      expect(() => client.subscribe("t", 0, null, { subscriptionIdentifier })).toThrow("subscriptionIdentifier");
    }
    expect(() => client.subscribe("t", 0, null, { contentType: "x" })).toThrow("contentType");
    device.hal.settle();
    expect(device.hal.socket.takeSent()).toHaveLength(0);
  });

  test("has at least one filter [MQTT5-3.8.3-2] [MQTT5-3.10.3-2]", () => {
    const device = new Device5().up();
    expect(() => device.client.subscribe({})).toThrow("no topics found");
    expect(() => device.client.unsubscribe({})).toThrow("no topics found");
    expect(device.sent()).toEqual([]);
  });

  test("has filters with wildcards where they may stand [MQTT5-4.7.1-1] [MQTT5-4.7.1-2] [MQTT5-4.7.3-1]", () => {
    const device = new Device5().up();
    for (const filter of ["a#", "#/a", "a/#/b", "a+", "+a/b", "", "$share/g/a#", "$share/g/a+"]) {
      expect(() => device.client.subscribe(filter)).toThrow("topic");
      expect(() => device.client.unsubscribe(filter)).toThrow("topic");
    }
    for (const filter of ["#", "a/#", "+", "+/+", "a/+/b", "$share/g/#", "$share/g/+/a"]) {
      device.client.subscribe(filter);
      device.client.unsubscribe(filter);
      expect(device.sent().join()).toContain(` ${filter}:0,UNSUBSCRIBE`);
    }
  });

  test("has filters of at most 65,535 bytes [MQTT5-4.7.3-3]", () => {
    const device = new Device5({ options: { txCapacity: 70000 }, brokerCapacity: 70000 }).up();
    const name = "$share/g/";
    for (const filter of ["x".repeat(65536), name + "x".repeat(65536 - name.length), "\u20ac".repeat(21846)]) {
      expect(() => device.client.subscribe(filter)).toThrow("65535");
    }
    expect(device.client.subscribe(name + "x".repeat(65535 - name.length))).toBe(true);
    expect(device.sent()).toHaveLength(1);
  });

  test("of a shared subscription has a name without wildcards and a filter [MQTT5-4.8.2-1] [MQTT5-4.8.2-2]", () => {
    const device = new Device5().up();
    for (const filter of ["$share/", "$share//t", "$share/g", "$share/g/", "$share/g+/t", "$share/#/t", "$share/+/t"]) {
      expect(() => device.client.subscribe(filter)).toThrow("topic");
      expect(() => device.client.subscribe({ t: 0, [filter]: 1 })).toThrow("topic");
      expect(() => device.client.unsubscribe(filter)).toThrow("topic");
    }
    device.client.subscribe("$share/g/t", 1);
    device.client.subscribe("$share", 1);
    device.client.subscribe("$shared/ab", 1);
    expect(device.sent()).toEqual(["SUBSCRIBE #1 $share/g/t:1", "SUBSCRIBE #2 $share:1", "SUBSCRIBE #3 $shared/ab:1"]);
  });

  test("of a shared subscription has no No Local [MQTT5-3.8.3-4]", () => {
    const device = new Device5().up();
    expect(() => device.client.subscribe("$share/g/t", { nl: true })).toThrow("nl must not be set");
    expect(device.sent()).toEqual([]);
    device.client.subscribe("$share/g/t", { nl: false, rap: true });
    expect(device.sent()).toEqual(["SUBSCRIBE #1 $share/g/t:0+rap"]);
  });

  test("is done with a code for each filter, in their order " +
    "[MQTT5-3.8.4-7] [MQTT5-3.9.3-1] [MQTT5-3.9.3-2]", () => {
    const device = new Device5().up();
    device.record("properties");
    device.client.subscribe({ a: 1, b: 2, c: 0 });
    device.client.subscribe("d");
    device.sent();
    device.send(suback(2, [0x87]), suback(9, [0]), suback(1, [1, 0xa2, 0], { reasonString: "b" }));
    expect(device.take()).toEqual([
      "properties SUBACK #1 {reasonString=b}", "suback 0x01 0xa2 0x00", "suback 0x87",
    ]);
  });

  test.each([0, 1, 2, 0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2])("may be answered with %i", (code) => {
    const device = new Device5().up();
    device.client.subscribe("t");
    device.sent();
    device.send(suback(1, [code]));
    expect(device.take()).toEqual([`suback 0x${code.toString(16).padStart(2, "0")}`]);
  });

  test("is not done by UNSUBACK, nor UNSUBSCRIBE by SUBACK, nor either by PUBACK [MQTT5-2.2.1-6]", () => {
    const device = new Device5().up();
    device.client.subscribe("t");
    device.client.unsubscribe("t");
    device.sent();
    device.send(unsuback(1, [0]), suback(2, [0]), ack("PUBACK", 1), ack("PUBACK", 2), ack("PUBCOMP", 1));
    expect(device.take()).toEqual([]);
    device.send(suback(1, [0]), unsuback(2, [0]));
    expect(device.take()).toEqual(["suback 0x00", "unsuback 0x00"]);
  });

  test.each([
    ["SUBACK with fewer codes than filters [MQTT5-3.8.4-6]", "90 04 0001 00 00", "0x82"],
    ["SUBACK with more codes than filters [MQTT5-3.8.4-6]", "90 06 0001 00 000000", "0x82"],
    ["SUBACK without codes [MQTT5-3.8.4-6]", "90 03 0001 00", "0x81"],
    ["SUBACK without the length of properties [MQTT5-2.2.2-1]", "90 02 0001", "0x81"],
    ["SUBACK with 0x03 [MQTT5-3.9.3-2]", "90 05 0001 00 0003", "0x82"],
    ["SUBACK with 0x11 [MQTT5-3.9.3-2]", "90 05 0001 00 0011", "0x82"],
    ["SUBACK with 0x92 [MQTT5-3.9.3-2]", "90 05 0001 00 0092", "0x82"],
    ["UNSUBACK with another number of codes [MQTT5-3.11.3-1]", "b0 05 0002 00 0000", "0x82"],
    ["UNSUBACK of 3.1.1 [MQTT5-3.11.3-1]", "b0 02 0002", "0x81"],
    ["UNSUBACK with 0x01 [MQTT5-3.11.3-2]", "b0 04 0002 00 01", "0x82"],
    ["UNSUBACK with 0x97 [MQTT5-3.11.3-2]", "b0 04 0002 00 97", "0x82"],
  ])("is not answered right by %s", (_title, bytes, code) => {
    const device = new Device5().up();
    device.client.subscribe({ a: 0, b: 0 });
    device.client.unsubscribe("c");
    device.sent();
    device.sendBytes(wire(bytes));
    expect(device.sent()).toEqual([`DISCONNECT ${code}`]);
    expect(device.take()).toEqual([`offline ${code === "0x81" ? -22 : -130}`]);
  });
});

describe("UNSUBSCRIBE", () => {
  test("has flags 0010, a packet id, properties and filters [MQTT5-2.2.2-1] [MQTT5-3.10.1-1] [MQTT5-3.10.3-1]", () => {
    const device = new Device5().up();
    device.socket.takeSent();
    device.socket.onWrite = undefined;
    device.client.unsubscribe("\u20ac/#");
    device.client.unsubscribe({ a: 0, b: 0 }, null, { userProperty: [["c", "d"]] });
    expect(hex(device.socket.takeSent())).toBe(hex(wire(
      "a2 0a 0001 00 0005 '\u20ac/#'" + "a2 10 0002 07 26 0001 'c' 0001 'd' 0001 'a' 0001 'b'")));
  });

  test("is done with a code for each filter [MQTT5-3.10.4-5] [MQTT5-3.11.3-1] [MQTT5-3.11.3-2]", () => {
    const device = new Device5().up();
    device.record("properties");
    device.client.unsubscribe({ a: 0, b: 0, c: 0 });
    device.sent();
    device.send(unsuback(1, [0x11, 0, 0x87], { userProperty: [["a", "b"]] }));
    expect(device.take()).toEqual(["properties UNSUBACK #1 {userProperty=a:b}", "unsuback 0x11 0x00 0x87"]);
  });

  test("leaves what has begun to come to its end [MQTT5-3.10.4-3]", () => {
    const device = new Device5().up();
    device.send(message("t", "x", { qos: 2, id: 5 }));
    device.client.unsubscribe("t");
    device.sent();
    device.send(unsuback(1, [0]), ack("PUBREL", 5));
    expect(device.sent()).toEqual(["PUBCOMP #5"]);
    expect(device.take()).toEqual(["message t=x", "unsuback 0x00"]);
  });
});
