/** Topic aliases, both ways: those that the client gives to its topics, and those that the broker uses. */
import { describe, expect, test } from "@jest/globals";
import { wire } from "../support/bytes.js";
import { Device5, ack, connack, message } from "../support/device5.js";

describe("Topics that the client sends", () => {
  test("have an alias from the first time on, and are left out from the second on " +
    "[MQTT5-3.2.2-17] [MQTT5-3.3.2-9]", () => {
    const device = new Device5().upWith({ topicAliasMaximum: 2 });
    for (let i = 0; i < 3; i++) {
      device.client.publish("a/topic", String(i));
      device.client.publish("b/topic", String(i), 1);
      device.client.publish("b/topic", String(i), 2, 1, null, { contentType: "c" });
    }
    expect(device.sent()).toEqual([
      "PUBLISH a/topic=0 {topicAlias=1}",
      "PUBLISH b/topic=0 q1 #1 {topicAlias=2}",
      "PUBLISH =0 q2 #2 retain {topicAlias=2 contentType=c}",
      "PUBLISH =1 {topicAlias=1}",
      "PUBLISH =1 q1 #3 {topicAlias=2}",
      "PUBLISH =1 q2 #4 retain {topicAlias=2 contentType=c}",
      "PUBLISH =2 {topicAlias=1}",
      "PUBLISH =2 q1 #5 {topicAlias=2}",
      "PUBLISH =2 q2 #6 retain {topicAlias=2 contentType=c}",
    ]);
  });

  test("take the place of the one that was not used for longest, and no number above the broker's " +
    "[MQTT5-3.2.2-17] [MQTT5-3.3.2-9]", () => {
    const device = new Device5().upWith({ topicAliasMaximum: 2 });
    for (const topic of ["aaaa", "bbbb", "aaaa", "cccc", "aaaa", "bbbb"]) device.client.publish(topic, "x");
    expect(device.sent()).toEqual([
      "PUBLISH aaaa=x {topicAlias=1}", "PUBLISH bbbb=x {topicAlias=2}", "PUBLISH =x {topicAlias=1}",
      "PUBLISH cccc=x {topicAlias=2}", "PUBLISH =x {topicAlias=1}", "PUBLISH bbbb=x {topicAlias=2}",
    ]);
  });

  test("are as many as the client has place for, when the broker takes more", () => {
    const device = new Device5({ settings: { topicAliases: 1 } }).upWith({ topicAliasMaximum: 65535 });
    for (const topic of ["aaaa", "bbbb", "bbbb"]) device.client.publish(topic, "x", 1);
    expect(device.sent()).toEqual([
      "PUBLISH aaaa=x q1 #1 {topicAlias=1}", "PUBLISH bbbb=x q1 #2 {topicAlias=1}", "PUBLISH =x q1 #3 {topicAlias=1}",
    ]);
  });

  test.each([
    ["a broker that says nothing", {}, undefined],
    ["a broker that says 0", { topicAliasMaximum: 0 }, undefined],
    ["a client that wants none", { topicAliasMaximum: 8 }, { topicAliases: 0 }],
  ])("have none with %s [MQTT5-3.2.2-18]", (_who, properties, settings) => {
    const device = new Device5({ settings: settings ?? {} }).upWith(properties);
    for (const qos of [0, 0, 1, 1] as const) device.client.publish("topic", "x", qos);
    expect(device.sent()).toEqual([
      "PUBLISH topic=x", "PUBLISH topic=x", "PUBLISH topic=x q1 #1", "PUBLISH topic=x q1 #2",
    ]);
  });

  test("have new ones on a new connection, and none where the broker does not take them any more; " +
    "what is sent again has its topic [MQTT5-3.2.2-18] [MQTT5-3.3.1-1] [MQTT5-3.3.2-7]", () => {
    const device = new Device5({ cleansession: 0 }).upWith({ topicAliasMaximum: 8 });
    device.client.publish("aaaa", "1", 1);
    device.client.publish("aaaa", "2", 1);
    expect(device.sent()).toEqual(["PUBLISH aaaa=1 q1 #1 {topicAlias=1}", "PUBLISH =2 q1 #2 {topicAlias=1}"]);
    device.lose();
    device.client.connect("broker");
    device.reach();
    device.send(connack({ topicAliasMaximum: 8 }, { isPresent: true }));
    device.hal.settle();
    device.client.publish("aaaa", "3");
    expect(device.sent()).toEqual([
      "PUBLISH aaaa=1 q1 #1 dup {topicAlias=1}", "PUBLISH =2 q1 #2 dup {topicAlias=1}", "PUBLISH =3 {topicAlias=1}",
    ]);
    device.lose();
    device.client.connect("broker");
    device.reach();
    device.send(connack({}, { isPresent: true }));
    device.hal.settle();
    device.client.publish("aaaa", "4");
    expect(device.sent()).toEqual(["PUBLISH aaaa=1 q1 #1 dup", "PUBLISH aaaa=2 q1 #2 dup", "PUBLISH aaaa=4"]);
  });

  test("have none when they are short, or the packet is long", () => {
    const device = new Device5().upWith({ topicAliasMaximum: 8 });
    device.client.publish("abc", "x");
    device.client.publish("abcd", "x".repeat(300), 1);
    device.client.publish("abcd", "y", 1);
    device.client.publish("abcd", "x".repeat(300), 1);
    expect(device.sent().map((line) => line.replace(/x+/, "x"))).toEqual([
      "PUBLISH abc=x", "PUBLISH abcd=x q1 #1", "PUBLISH abcd=y q1 #2 {topicAlias=1}", "PUBLISH abcd=x q1 #3",
    ]);
  });

  test("may have any characters", () => {
    const device = new Device5().upWith({ topicAliasMaximum: 8 });
    const topic = "\u20ac\ud83d\ude00/\u00e4\ufeff";
    for (const qos of [1, 0, 1] as const) device.client.publish(topic, "x", qos);
    expect(device.sent()).toEqual([
      `PUBLISH ${topic}=x q1 #1 {topicAlias=1}`, "PUBLISH =x {topicAlias=1}", "PUBLISH =x q1 #2 {topicAlias=1}",
    ]);
  });

  test("leave whole wherever the network stops taking bytes", () => {
    for (let room = 1; room < 40; room++) {
      const device = new Device5({ hal: { room } }).upWith({ topicAliasMaximum: 8 });
      device.socket.stall();
      for (const payload of ["1", "2", "3"]) {
        device.client.publish("topic", payload, 1);
        device.client.publish("topic", payload);
      }
      device.client.subscribe("s");
      device.send(message("in", "x", { qos: 1, id: 9 }));
      while (device.socket.room < room) {
        device.socket.drain(1);
        device.hal.settle();
      }
      device.socket.unstall();
      const sent = device.sent();
      expect(sent.filter((line) => line !== "PUBACK #9")).toEqual([
        "PUBLISH topic=1 q1 #1 {topicAlias=1}", "PUBLISH =1 {topicAlias=1}",
        "PUBLISH =2 q1 #2 {topicAlias=1}", "PUBLISH =2 {topicAlias=1}",
        "PUBLISH =3 q1 #3 {topicAlias=1}", "PUBLISH =3 {topicAlias=1}", "SUBSCRIBE #4 s:0",
      ]);
      expect(sent).toContain("PUBACK #9");
      device.send(...[1, 2, 3].map((id) => ack("PUBACK", id)));
      expect(device.take()).toEqual(["message in=x", ...Array<string>(6).fill("puback")]);
      device.check();
    }
  });

  test("of a packet that a lost connection cut off are sent whole on the next one", () => {
    for (let count = 1; count < 18; count++) {
      const device = new Device5({ cleansession: 0 }).upWith({ topicAliasMaximum: 8 });
      device.client.publish("topic", "1", 1);
      device.sent();
      device.socket.failAfterBytes(count);
      device.client.publish("topic", "2", 1);
      device.take();
      if (!device.socket.closed) device.lose();
      device.client.connect("broker");
      device.reach();
      device.send(connack({ topicAliasMaximum: 8 }, { isPresent: true }));
      expect(device.sent().map((line) => line.replace(" dup", ""))).toEqual([
        "PUBLISH topic=1 q1 #1 {topicAlias=1}", "PUBLISH =2 q1 #2 {topicAlias=1}",
      ]);
      device.check();
    }
  });
});

describe("A message at QoS 0 with an alias", () => {
  test("that was cut off by a lost connection is not sent again", () => {
    const device = new Device5({ cleansession: 0, options: { queueOffline: true }, hal: { room: 60 } })
      .upWith({ topicAliasMaximum: 8 });
    device.client.publish("topic", "1", 1);
    device.sent();
    device.socket.stall();
    device.client.publish("topic", "x".repeat(100));
    device.client.publish("topic", "2");
    device.hal.settle();
    expect(device.socket.room).toBe(0);
    device.lose();
    device.client.connect("broker");
    device.hal.settle();
    device.reach();
    device.send(connack({ topicAliasMaximum: 8 }, { isPresent: true }));
    expect(device.sent()).toEqual(["PUBLISH topic=1 q1 #1 dup {topicAlias=1}", "PUBLISH =2 {topicAlias=1}"]);
  });
});

describe("Topics that the broker sends", () => {
  test("may have each alias that CONNECT has allowed, and another topic later [MQTT5-3.3.2-10]", () => {
    const device = new Device5({ settings: { topicAliasMaximum: 3 } }).up();
    for (const topicAlias of [1, 2, 3]) device.send(message(`t/${topicAlias}`, "a", { topicAlias }));
    for (const topicAlias of [3, 1, 2]) device.send(message("", "b", { topicAlias, qos: 1, id: topicAlias }));
    device.send(message("other", "c", { topicAlias: 2 }), message("", "d", { topicAlias: 2 }), message("t/9", "e"));
    expect(device.take()).toEqual([
      "message t/1=a {topicAlias=1}", "message t/2=a {topicAlias=2}", "message t/3=a {topicAlias=3}",
      "message t/3=b {topicAlias=3}", "message t/1=b {topicAlias=1}", "message t/2=b {topicAlias=2}",
      "message other=c {topicAlias=2}", "message other=d {topicAlias=2}", "message t/9=e",
    ]);
    expect(device.sent()).toEqual(["PUBACK #3", "PUBACK #1", "PUBACK #2"]);
  });

  test.each([
    ["0 [MQTT5-3.3.2-8]", "30 08 0001 't' 03 23 0000 'x'", 0x94, 8],
    ["above CONNECT's maximum [MQTT5-3.1.2-26] [MQTT5-3.3.2-11]", "30 08 0001 't' 03 23 0009 'x'", 0x94, 8],
    ["1 when CONNECT has allowed none [MQTT5-3.1.2-27]", "30 08 0001 't' 03 23 0001 'x'", 0x94, 0],
    ["that was not set", "30 07 0000 03 23 0008 'x'", 0x82, 8],
  ])("may not have the alias %s", (_title, bytes, code, topicAliasMaximum) => {
    const device = new Device5({ settings: { topicAliasMaximum } }).up();
    device.sendBytes(wire(bytes));
    expect(device.sent()).toEqual([`DISCONNECT 0x${code.toString(16)}`]);
    expect(device.take()).toEqual([`offline ${-code}`]);
  });

  test("have no alias any more on another connection [MQTT5-3.3.2-7]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.send(message("t", "a", { topicAlias: 1 }));
    expect(device.take()).toEqual(["message t=a {topicAlias=1}"]);
    device.lose();
    device.up(true);
    device.send(message("", "b", { topicAlias: 1 }));
    expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
    expect(device.take()).toEqual(["offline -130"]);
  });

  test("set the alias also in a message that came before", () => {
    const device = new Device5().up();
    device.send(message("t/1", "a", { qos: 2, id: 7 }));
    device.send(message("t/1", "a", { qos: 2, id: 7, dup: true, topicAlias: 4 }));
    device.send(message("", "b", { topicAlias: 4 }));
    expect(device.take()).toEqual(["message t/1=a", "message t/1=b {topicAlias=4}"]);
    expect(device.sent()).toEqual(["PUBREC #7", "PUBREC #7"]);
  });

  test("may be set by a packet in pieces", () => {
    const device = new Device5().up();
    const bytes = device.broker.bytes(
      message("topic/1", "a", { topicAlias: 1 }), message("", "b", { topicAlias: 1, qos: 2, id: 3 }));
    for (const byte of bytes) {
      device.sendBytes(new Uint8Array([byte]));
      device.hal.settle();
    }
    expect(device.take()).toEqual(["message topic/1=a {topicAlias=1}", "message topic/1=b {topicAlias=1}"]);
    expect(device.sent()).toEqual(["PUBREC #3"]);
  });
});
