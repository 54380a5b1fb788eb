/**
 * What another client gets wrong, by its own document or its code, and this one must not: thirteen failings of emqtt,
 * each with its tests. Where MQTT 5 has a side of its own it is shown, too; what only MQTT 5 can say is also shown by
 * what a client of MQTT 3.1.1 does with such bytes.
 */
import { describe, expect, test } from "@jest/globals";
import { AsyncClient } from "../src/async/client.js";
import { MockHal } from "../hal/mock.js";
import { scram } from "../hal/node-scram.js";
import type { Client } from "../src/client.js";
import type { Reconnecting } from "../src/optional/reconnect.js";
import { withReconnect } from "../src/optional/reconnect.js";
import { withTimes } from "../src/optional/times.js";
import type { Authenticating } from "../src/v5/auth.js";
import { withAuth } from "../src/v5/auth.js";
import type { MqttClient5 } from "../src/v5/face.js";
import { MQTT_5, mqtt5 } from "../src/v5/v5.js";
import { AsyncDevice, flush, Outcome } from "./support/async-device.js";
import { AsyncDevice5 } from "./support/async-device5.js";
import { binary, wire } from "./support/bytes.js";
import { Device, PINGRESP, ack, connack, message, suback } from "./support/device.js";
import * as v5 from "./support/device5.js";
import { CAPACITIES, Device5 } from "./support/device5.js";
import type { Properties5 } from "./support/packets5.js";
import { ScramServer } from "./support/scram-server.js";

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

  test("with MQTT 5 within one of the broker's keepalive, where it has said one [MQTT5-3.1.2-21]", () => {
    for (let afterMs = 0; afterMs < 20000; afterMs += 500) {
      const device = new Device5({ keepalive: 60 }).upWith({ serverKeepAlive: 20 });
      device.hal.advance(afterMs);
      if (afterMs < 18500) {
        device.client.publish("t", "x");
        expect(device.sent()).toEqual(["PUBLISH t=x"]);
        device.hal.advance(19999);
      } else {
        device.hal.advance(19999 - afterMs);
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

  test("with MQTT 5 a Server Keep Alive of 0 means off, too, and for its connection only [MQTT5-3.2.2-21]", () => {
    const device = new Device5({ keepalive: 60 }).upWith({ serverKeepAlive: 0 });
    device.hal.advance(86400000);
    expect(device.sent()).toEqual([]);
    expect(device.client.connected).toBe(true);
    device.lose();
    expect(device.connectLine()).toBe(`CONNECT "id" clean 60 {${CAPACITIES}}`);
    device.send(v5.connack());
    device.hal.advance(60000);
    expect(device.sent()).toEqual(["PINGREQ"]);
  });

  test("with MQTT 5 a keepalive of 0 gives way to a Server Keep Alive, and is 0 again [MQTT5-3.2.2-21]", () => {
    const device = new Device5({ extend: (client) => withTimes(client, { keepAlive: 0 }) });
    device.upWith({ serverKeepAlive: 20 });
    device.hal.advance(20000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.lose();
    expect(device.connectLine()).toBe(`CONNECT "id" clean 0 {${CAPACITIES}}`);
    device.send(v5.connack());
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

  test("with MQTT 5 the same, by a topic alias, too; one that is not known is confirmed with 0x92 " +
    "[MQTT5-4.3.3-10]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.send(v5.message("t", "once", { qos: 2, id: 7, topicAlias: 1 }));
    device.send(v5.message("", "twice", { qos: 2, id: 8, topicAlias: 1 }));
    expect(device.take()).toEqual(["message t=once {topicAlias=1}", "message t=twice {topicAlias=1}"]);
    device.lose();
    device.up(true);
    device.send(v5.message("t", "once", { qos: 2, id: 7, dup: true, topicAlias: 2 }));
    device.send(v5.message("", "twice", { qos: 2, id: 8, dup: true, topicAlias: 2 }));
    expect(device.sent()).toEqual(["PUBREC #7", "PUBREC #8"]);
    expect(device.lose()).toEqual(["offline -10"]);
    device.up(true);
    device.send(v5.ack("PUBREL", 7), v5.ack("PUBREL", 8), v5.ack("PUBREL", 9), v5.ack("PUBREL", 7));
    expect(device.sent()).toEqual(["PUBCOMP #7", "PUBCOMP #8", "PUBCOMP #9 0x92", "PUBCOMP #7 0x92"]);
    expect(device.take()).toEqual([]);
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

  test.each([0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99])("with MQTT 5, by a reason code of 0x80 or more: %d ends the " +
    "exchange, now and on a later connection, and another message has its place [MQTT5-4.3.3-4]", (code) => {
    const device = new Device5({ cleansession: 0 }).upWith({ receiveMaximum: 1 });
    device.client.publish("t", "refused", 2);
    device.client.publish("t", "next", 2);
    expect(device.sent()).toEqual(["PUBLISH t=refused q2 #1"]);
    device.send(v5.ack("PUBREC", 1, code));
    expect(device.sent()).toEqual(["PUBLISH t=next q2 #2"]);
    expect(device.take()).toEqual([`puback 0x${code.toString(16)}`]);
    device.lose();
    device.client.connect("broker");
    device.reach();
    device.send(v5.connack({}, { isPresent: true }));
    expect(device.sent()).toEqual(["PUBLISH t=next q2 #2 dup"]);
  });

  test("with MQTT 5 a reason code below 0x80 is no refusal: PUBREL is sent [MQTT5-4.3.3-4]", () => {
    const device = new Device5().up();
    device.client.publish("t", "x", 2);
    device.sent();
    device.send(v5.ack("PUBREC", 1, 0x10));
    expect(device.sent()).toEqual(["PUBREL #1"]);
    expect(device.take()).toEqual([]);
    device.send(v5.ack("PUBCOMP", 1));
    expect(device.take()).toEqual(["puback"]);
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

  test("with MQTT 5 the same, and the id of a message that was refused is free [MQTT5-2.2.1-3]", () => {
    const device = new Device5({ options: { maxInflight: 65535, maxOperations: 65536 } }).up();
    device.client.publish("t", "first", 1);
    device.client.publish("t", "refused", 2);
    expect(device.sent()).toEqual(["PUBLISH t=first q1 #1", "PUBLISH t=refused q2 #2"]);
    device.send(v5.ack("PUBREC", 2, 0x97));
    for (let id = 3; id <= 65535; id++) {
      device.client.publish("t", "", 1);
      device.send(v5.ack("PUBACK", id));
    }
    device.sent();
    device.client.publish("t", "behind", 2);
    expect(device.sent()).toEqual(["PUBLISH t=behind q2 #2"]);
    expect(device.take()).toEqual([]);
    device.send(v5.ack("PUBACK", 1));
    const outcomes = device.take();
    expect(outcomes.slice(0, 3)).toEqual(["puback", "puback 0x97", "puback"]);
    expect(outcomes).toHaveLength(65535);
  });
});

describe("failing 6: a SUBSCRIBE that is pending when the connection is lost neither completes nor fails", () => {
  test("it fails, at once, also when the client connects again", async () => {
    for (const reconnect of [0, Infinity]) {
      const device = await new AsyncDevice({ reconnect }).up();
      const outcome = new Outcome(device.client.subscribe("t"));
      device.hal.settle();
      device.hal.socket.reset();
      await device.take();
      expect(outcome.text).toBe("MqttError: lost with its connection");
    }
  });

  test("with MQTT 5 the same, and UNSUBSCRIBE, where the broker has said DISCONNECT", async () => {
    for (const reconnect of [0, Infinity]) {
      const device = await new AsyncDevice5({ reconnect }).up();
      const outcomes = [device.client.subscribe("t"), device.client.unsubscribe("u")].map((each) => new Outcome(each));
      expect(device.sent().map(({ cmd }) => cmd)).toEqual(["subscribe", "unsubscribe"]);
      await device.send({ type: "DISCONNECT", reasonCode: 0x8b });
      await device.take();
      expect(outcomes.map(({ text }) => text)).toEqual(Array(2).fill("MqttError: lost with its connection"));
      device.client.stop();
    }
  });
});

describe("failing 7: hosts are tried last first, and bad credentials for ever", () => {
  test("hosts are tried in their order, in each round", () => {
    const hosts = [{ host: "a" }, { host: "b" }, { host: "c" }];
    const device = new Device({ extend: (client) => withReconnect(client, { hosts, random: () => 1 }) });
    device.hal.script = (socket) => socket.fail("refused");
    (device.client as Client & Reconnecting).connect();
    device.hal.advance(1000);
    device.client.close();
    expect(device.hal.sockets.slice(0, 6).map(({ host }) => host).join("")).toBe("abcabc");
  });

  test("refused credentials are not tried again", () => {
    const device = new Device({ extend: (client) => withReconnect(client) });
    device.client.connect("broker");
    device.reach();
    device.send(connack(4));
    expect(device.take()).toEqual(["connfail 4"]);
    device.hal.advance(100000000);
    expect(device.hal.sockets).toHaveLength(1);
    expect((device.client as Client & Reconnecting).state).toBe("stopped");
  });

  test("the limit counts on where TCP comes up and CONNACK does not", () => {
    const device = new Device({ extend: (client) => withReconnect(client, { maxRounds: 3 }) });
    device.hal.script = (socket) => {
      socket.connect();
      socket.end();
    };
    device.client.connect("broker");
    device.hal.advance(100000000);
    expect(device.take()).toEqual(["connfail -5", "connfail -5", "connfail -5"]);
    expect(device.hal.sockets).toHaveLength(3);
  });
});

describe("failing 8: it never subscribes again, and ignores Session Present", () => {
  test.each([false, true])("session present %s: subscribed again exactly when it is not", (isPresent) => {
    const device = new Device({ cleansession: 0, extend: (client) => withReconnect(client) });
    device.up();
    device.client.subscribe("t", 1);
    device.sent();
    device.send(suback(1, 1));
    device.socket.reset();
    device.hal.advance(1000);
    device.reach();
    device.send(connack(0, isPresent));
    expect(device.sent()).toEqual(isPresent ? [] : ["SUBSCRIBE #2 t:1"]);
    if (!isPresent) device.send(suback(2, 1));
    device.take();
  });

  test("what one CONNACK said is not in the next CONNECT", () => {
    const device = new Device({ cleansession: 0, extend: (client) => withReconnect(client) });
    device.client.connect("broker");
    device.socket.connect();
    const [first] = device.sent();
    device.send(connack(0, true));
    device.socket.reset();
    device.hal.advance(1000);
    device.socket.connect();
    expect(device.sent()).toEqual([first]);
    device.take();
  });

  test.each([false, true])("with MQTT 5, session present %s: the same, with its options and its identifier", (
    isPresent,
  ) => {
    const device = new Device5({ cleansession: 0, extend: (client) => withReconnect(client) }).up();
    device.client.subscribe("t", { qos: 1, nl: 1, rap: 1, rh: 1 }, null, { subscriptionIdentifier: 7 });
    const options = "t:1+nl+rap+rh1 {subscriptionIdentifier=7}";
    expect(device.sent()).toEqual([`SUBSCRIBE #1 ${options}`]);
    device.send(v5.suback(1, [1]));
    device.lose();
    device.hal.advance(1000);
    device.reach();
    device.send(v5.connack({}, { isPresent }));
    expect(device.sent()).toEqual(isPresent ? [] : [`SUBSCRIBE #2 ${options}`]);
    if (!isPresent) device.send(v5.suback(2, [1]));
    device.take();
  });

  test.each<[string, Properties5]>([
    ["receiveMaximum", { receiveMaximum: 3 }],
    ["maximumPacketSize", { maximumPacketSize: 300 }],
    ["topicAliasMaximum", { topicAliasMaximum: 3 }],
    ["serverKeepAlive", { serverKeepAlive: 3 }],
    ["sessionExpiryInterval", { sessionExpiryInterval: 3 }],
    ["responseInformation", { responseInformation: "r" }],
    ["reasonString and userProperty", { reasonString: "r", userProperty: [["c", "d"]] }],
    ["assignedClientIdentifier and serverReference", { assignedClientIdentifier: "id", serverReference: "s" }],
    ["those of one byte", {
      maximumQoS: 0,
      retainAvailable: 0,
      wildcardSubscriptionAvailable: 0,
      subscriptionIdentifierAvailable: 0,
      sharedSubscriptionAvailable: 0,
    }],
  ])("with MQTT 5, none of the properties of CONNACK: %s", (_name, properties) => {
    const given = { sessionExpiryInterval: 100, userProperty: [["a", "b"]] as [string, string][] };
    const device = new Device5({ cleansession: 0, extend: (client) => withReconnect(client) });
    const first = device.connectLine(given);
    expect(first).toBe(`CONNECT "id" resume 60 {${CAPACITIES} sessionExpiryInterval=100 userProperty=a:b}`);
    device.send(v5.connack(properties, { isPresent: true }));
    device.lose();
    device.hal.advance(1000);
    device.socket.connect();
    expect(device.sent()).toEqual([first]);
    device.send(v5.connack({}, { isPresent: true }));
    device.take();
    // Nor is there anything of them in the session.
    expect(device.client.publish("t", "x".repeat(400), 2, 1)).toBe(true);
    expect(device.client.subscribe("$share/s/#", 0, null, { subscriptionIdentifier: 1 })).toBe(true);
    expect(device.sent()).toEqual([
      `PUBLISH t=${"x".repeat(400)} q2 #1 retain`, "SUBSCRIBE #2 $share/s/#:0 {subscriptionIdentifier=1}",
    ]);
  });
});

describe("failing 9: topic aliases are not resolved, and protocol violations go without an answer", () => {
  test("MQTT 3.1.1 has no aliases: a message without a topic name ends the connection, and is not delivered", () => {
    const device = new Device().up();
    device.socket.receive([0x30, 3, 0, 0, 0x78]);
    expect(device.take()).toEqual(["offline -25"]);
  });

  test("with MQTT 5 an alias is resolved as its connection has set it last [MQTT5-3.3.2-7]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.send(v5.message("one", "a", { topicAlias: 1 }), v5.message("two", "b", { topicAlias: 2 }));
    device.send(v5.message("", "c", { topicAlias: 1 }), v5.message("", "d", { topicAlias: 2, qos: 1, id: 5 }));
    device.send(v5.message("three", "e", { topicAlias: 1 }), v5.message("", "f", { topicAlias: 1 }));
    expect(device.take().map((line) => line.replace(/ \{.*/, ""))).toEqual([
      "message one=a", "message two=b", "message one=c", "message two=d", "message three=e", "message three=f",
    ]);
    device.lose();
    device.up(true);
    device.send(v5.message("", "g", { topicAlias: 1 }));
    expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
    expect(device.take()).toEqual(["offline -130"]);
  });

  const limits: [string, Properties5, (client: MqttClient5) => boolean, number][] = [
    ["Maximum QoS", { maximumQoS: 1 }, (client) => client.publish("t", "x", 2), 0x9b],
    ["Retain Available", { retainAvailable: 0 }, (client) => client.publish("t", "x", 0, 1), 0x9a],
    ["Maximum Packet Size", { maximumPacketSize: 20 }, (client) => client.publish("t", "x".repeat(20), 1), 0x95],
    ["Wildcard Subscription Available", { wildcardSubscriptionAvailable: 0 }, (client) => client.subscribe("#"), 0xa2],
    ["Shared Subscription Available", { sharedSubscriptionAvailable: 0 },
      (client) => client.subscribe("$share/s/t"), 0x9e],
    ["Subscription Identifiers Available", { subscriptionIdentifierAvailable: 0 },
      (client) => client.subscribe("t", 0, null, { subscriptionIdentifier: 1 }), 0xa1],
  ];

  test.each(limits)("with MQTT 5 the broker's limit is kept: %s", (_name, properties, act, code) => {
    const device = new Device5().upWith(properties);
    expect(act(device.client)).toBe(false);
    expect(device.client.refusal).toBe(code);
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual([]);
    const unlimited = new Device5().up();
    expect(act(unlimited.client)).toBe(true);
    expect(unlimited.sent()).toHaveLength(1);
  });

  test("with MQTT 5 the broker's Receive Maximum is kept, of QoS 1 and 2 together [MQTT5-3.3.4-7]", () => {
    const device = new Device5().upWith({ receiveMaximum: 2 });
    for (const qos of [1, 2, 1, 0] as const) device.client.publish("t", String(qos), qos);
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1", "PUBLISH t=2 q2 #2"]);
    device.send(v5.ack("PUBREC", 2));
    expect(device.sent()).toEqual(["PUBREL #2"]);
    device.send(v5.ack("PUBCOMP", 2));
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #3", "PUBLISH t=0"]);
  });

  test("with MQTT 5 the broker's Topic Alias Maximum is kept [MQTT5-3.2.2-17]", () => {
    for (const most of [0, 1, 2]) {
      const device = new Device5().upWith({ topicAliasMaximum: most });
      const used = ["topic/1", "topic/2", "topic/3", "topic/1"].map((topic) => {
        device.client.publish(topic, "x");
        return Number(/topicAlias=(\d+)/.exec(device.sent().join())?.[1] ?? 0);
      });
      expect(Math.max(...used)).toBe(most);
    }
  });

  test.each<[string, string, number]>([
    ["a packet that is malformed", "30 04 0009 't' 00", 0x81],
    ["text that is not UTF-8", "30 06 0002 c328 00 'x'", 0x81],
    ["a packet that is not a broker's", "c0 00", 0x82],
    ["a property twice", "30 08 0001 't' 04 0100 0100", 0x82],
    ["a reason code that there is not", "40 03 0001 7f", 0x82],
    ["more messages at QoS 2 than the client takes",
      "34 06 0001 't' 0001 00 34 06 0001 't' 0002 00 34 06 0001 't' 0003 00", 0x93],
    ["an alias above the client's maximum", "30 07 0001 't' 03 23 0009", 0x94],
    ["a packet that is longer than the client takes", "30 e807 0001 't' 00", 0x95],
  ])("with MQTT 5 a violation is answered with its reason code: %s [MQTT5-4.13.1-1]", (_name, bytes, code) => {
    const device = new Device5({ options: { receiveMaximum: 2, maxMessageLength: 500 } }).up();
    device.sendBytes(wire(bytes));
    expect(device.sent().filter((line) => !line.startsWith("PUBREC"))).toEqual([`DISCONNECT 0x${code.toString(16)}`]);
    expect(device.socket.closed).toBe(true);
    expect(device.take().at(-1)).toMatch(/^offline -/);
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

  /** With MQTT 5: SCRAM, whose server proves itself by its last word. */
  class ScramDevice extends Device5 {
    readonly authenticating: Authenticating;
    private _answer = new ScramServer({ users: { user: "pencil" } }).begin();

    constructor() {
      const authenticator = scram({ username: "user", password: "pencil" });
      super({ extend: (client) => withAuth(client, authenticator) });
      this.authenticating = this.client as unknown as Authenticating;
    }

    /** The attempt begins; returns what CONNECT says as its data, which `server` is told. */
    begin(server = new ScramServer({ users: { user: "pencil" } })): string {
      const sent = this.connectLine();
      this._answer = server.begin();
      return this.said(sent);
    }

    /** Authenticates again; as `begin`. */
    again(done?: (client: unknown, isDone: boolean) => void): string {
      this._answer = new ScramServer({ users: { user: "pencil" } }).begin();
      expect(this.authenticating.reauthenticate(done)).toBe(true);
      return this.said(this.sent().join());
    }

    /** The server's word on what was said. */
    reply(to: string): Properties5 {
      const { data } = this._answer(binary(to));
      return {
        authenticationMethod: "SCRAM-SHA-256",
        ...(data && { authenticationData: Buffer.from(data).toString("latin1") }),
      };
    }

    /** The Authentication Data of a packet. */
    said(line: string): string {
      return Buffer.from(/authenticationData=([0-9a-f]+)/.exec(line)![1], "hex").toString("latin1");
    }

    /** The server's challenge to what was said is answered; returns the server's last word. */
    challenge(to: string): Properties5 {
      this.send(v5.auth(0x18, this.reply(to)));
      const [answer] = this.sent();
      expect(answer).toMatch(/^AUTH 0x18 /);
      return this.reply(this.said(answer));
    }

    /** A session. */
    override up(): this {
      this.send(v5.connack(this.challenge(this.begin())));
      expect(this.take()[0]).toMatch(/^connect /);
      return this;
    }
  }

  /** Last words that prove nothing. */
  const LIES: [string, (last: Properties5) => Properties5][] = [
    ["none", ({ authenticationMethod }) => ({ authenticationMethod })],
    ["none, and no method", () => ({})],
    ["a wrong one", (last) => ({ ...last, authenticationData: `v=${"A".repeat(43)}=` })],
    ["a challenge", (last) => ({ ...last, authenticationData: "r=x,s=QQ==,i=4096" })],
    ["that of another method", (last) => ({ ...last, authenticationMethod: "SCRAM-SHA-1" })],
  ];

  test.each(LIES)("with MQTT 5 it is checked before CONNACK counts: %s", (_title, lie) => {
    const device = new ScramDevice();
    device.send(v5.connack(lie(device.challenge(device.begin()))));
    expect(device.sent()).toEqual([expect.stringMatching(/^DISCONNECT 0x8[23]$/)]);
    expect(device.take()).toEqual(["connfail -4"]);
    expect(device.socket.closed).toBe(true);
  });

  test.each(LIES)("with MQTT 5 it is checked in a session, too: %s", (_title, lie) => {
    const device = new ScramDevice().up();
    const done: boolean[] = [];
    device.send(v5.auth(0, lie(device.challenge(device.again((_client, isDone) => void done.push(isDone))))));
    expect(device.sent()).toEqual([expect.stringMatching(/^DISCONNECT 0x8[23]$/)]);
    expect(device.take()).toEqual([expect.stringMatching(/^offline -13[01]$/)]);
    expect(done).toEqual([false]);
  });

  test("with MQTT 5 a CONNACK that leaves the exchange out is no success, nor is one in place of its end", () => {
    const device = new ScramDevice();
    device.begin();
    device.send(v5.connack({ authenticationMethod: "SCRAM-SHA-256" }));
    expect(device.sent()).toEqual(["DISCONNECT 0x83"]);
    device.begin();
    device.send(v5.connack());
    expect(device.sent()).toEqual(["DISCONNECT 0x83"]);
    expect(device.take()).toEqual(["connfail -4", "connfail -4"]);
  });

  test("with MQTT 5 nothing of an exchange that broke off is left for the next connection", () => {
    const device = new ScramDevice();
    const first = device.begin();
    const last = device.challenge(first);
    expect(device.lose()).toEqual(["connfail -5"]);
    // Each attempt has a nonce of its own, and the old proof proves nothing.
    const second = device.begin();
    expect(second).toMatch(/^n,,n=user,r=./);
    expect(second).not.toBe(first);
    device.send(v5.connack(last));
    expect(device.sent()).toEqual(["DISCONNECT 0x83"]);
    expect(device.take()).toEqual(["connfail -4"]);
    // An honest server is believed all the same.
    device.up();
    expect(device.client.connected).toBe(true);
  });

  test("with MQTT 5 an authentication that its connection cut off is over: no AUTH belongs to it any more", () => {
    const device = new ScramDevice().up();
    const done: boolean[] = [];
    const first = device.again((_client, isDone) => void done.push(isDone));
    const last = device.challenge(first);
    device.lose();
    expect(done).toEqual([false]);
    device.up();
    const second = device.again((_client, isDone) => void done.push(isDone));
    expect(second).not.toBe(first);
    device.send(v5.auth(0, device.challenge(second)));
    device.hal.settle();
    expect(done).toEqual([false, true]);
    device.send(v5.auth(0, last));
    expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
    expect(device.take()).toEqual(["offline -130"]);
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

  const mistakes5: [string, (client: MqttClient5) => unknown, string][] = [
    ["a property of another packet", (client) => client.publish("t", "x", 0, 0, null, { willDelayInterval: 1 }),
      'properties must not have "willDelayInterval" here'],
    ["a property out of range", (client) => client.publish("t", "x", 0, 0, null, { messageExpiryInterval: -1 }),
      "messageExpiryInterval must be"],
    ["a property of another type", (client) => client.publish("t", "x", 1, 0, null, { contentType: 5 as never }),
      "contentType must be"],
    ["a user property that is no pair", (client) => client.subscribe("t", 0, null, { userProperty: ["a"] as never }),
      "userProperty must be"],
    ["a property that is no UTF-8", (client) => client.unsubscribe("t", null, { userProperty: [["a", "\ud800"]] }),
      "userProperty must not have a lone surrogate"],
    ["a response topic with a wildcard", (client) => client.publish("t", "x", 1, 0, null, { responseTopic: "#" }),
      "responseTopic must be"],
    ["a subscription identifier of 0", (client) => client.subscribe("t", 0, null, { subscriptionIdentifier: 0 }),
      "subscriptionIdentifier must be"],
    ["properties that are none", (client) => client.publish("t", "x", 1, 0, null, [] as object), "properties must be"],
    ["a shared subscription without a filter", (client) => client.subscribe("$share/s/"), "topic must be"],
    ["No Local of a shared subscription", (client) => client.subscribe("$share/s/t", { nl: 1 }), "nl must not be set"],
    ["a reason code that is not a client's", (client) => client.close(0x8e), "reasonCode must be"],
    ["a session that is kept without CONNECT's word", (client) => client.close(0, { sessionExpiryInterval: 5 }),
      "sessionExpiryInterval must be 0"],
    ["a property of the will that is none of it", (client) => client.lwt("w", "x", 0, 0, { topicAlias: 1 } as object),
      'properties must not have "topicAlias" here'],
    ["a will at QoS 3 with properties", (client) => client.lwt("w", "x", 3 as 2, 0, { willDelayInterval: 5 }),
      "qos must be"],
    ["QoS 3 with properties", (client) => client.publish("t", "x", 3 as 2, 0, null, { contentType: "c" }),
      "qos must be"],
    ["No Local that is no flag, with properties", (client) =>
      client.subscribe("t", { nl: 2 as 1 }, null, { subscriptionIdentifier: 1 }), "nl must be"],
    ["no filter, with properties", (client) => client.unsubscribe({}, null, { userProperty: [["a", "b"]] }),
      "no topics found"],
    ["a property of DISCONNECT that is the broker's", (client) => client.close(0, { serverReference: "s" } as object),
      'properties must not have "serverReference" here'],
  ];

  test.each(mistakes5)("with MQTT 5 %s throws by name, and changes nothing", (_name, call, expected) => {
    const device = new Device5();
    device.client.lwt("w", "gone");
    device.up();
    expect(() => call(device.client)).toThrow(expected);
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual([]);
    // Nothing of it is in what follows either.
    expect(device.client.publish("t", "x")).toBe(true);
    expect(device.client.subscribe("t")).toBe(true);
    expect(device.client.unsubscribe("t")).toBe(true);
    expect(device.sent()).toEqual(["PUBLISH t=x", "SUBSCRIBE #1 t:0", "UNSUBSCRIBE #2 t"]);
    device.lose();
    expect(device.connectLine()).toBe(`CONNECT "id" clean 60 will w=gone q0 {${CAPACITIES}}`);
  });

  test("with MQTT 5 a property of CONNECT that is wrong throws, and opens no socket", () => {
    const device = new Device5();
    expect(() => device.connectLine({ receiveMaximum: 5 } as object)).toThrow('must not have "receiveMaximum" here');
    expect(() => device.connectLine({ maximumPacketSize: 0 })).toThrow("maximumPacketSize must be");
    expect(device.hal.sockets).toEqual([]);
    expect(device.connectLine()).toBe(`CONNECT "id" clean 60 {${CAPACITIES}}`);
  });

  test("with MQTT 5 each call before connect answers at once, and nothing of it is left", () => {
    const device = new Device5();
    const { client } = device;
    const properties = { userProperty: [["a", "b"]] as [string, string][] };
    const answers = [
      client.publish("t", "x", 1, 0, null, properties), client.subscribe("t", 1, null, properties),
      client.unsubscribe("t", null, properties), client.close(4, properties),
    ];
    expect(answers).toEqual([false, false, false, false]);
    expect(client.refusal).toBe(0);
    device.up();
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual([]);
  });
});

describe("failing 12: refused subscriptions count as active, disconnect waits, and pause drops and stops", () => {
  test("a refused filter is not in subscriptions", async () => {
    const device = await new AsyncDevice().up();
    const results = device.client.subscribe(["yes", "no"], { qos: 1 });
    device.hal.settle();
    await device.send(suback(1, 1, 0x80));
    expect(await results).toEqual([{ filter: "yes", reasonCode: 1 }, { filter: "no", reasonCode: 0x80 }]);
    expect(device.client.subscriptions()).toEqual({ yes: 1 });
  });

  test("disconnect does not wait for an attempt, nor for a pause before one", async () => {
    const device = new AsyncDevice({ reconnect: Infinity });
    void device.client.connect();
    const during = new Outcome(device.client.disconnect());
    await flush();
    expect(during.text).toBe("done");
    device.hal.script = (socket) => socket.fail("refused");
    void device.client.connect();
    await device.advance(1);
    expect(device.client.status().state).toBe("waiting");
    const between = new Outcome(device.client.disconnect());
    await flush();
    expect([between.text, device.client.status().state]).toEqual(["done", "idle"]);
  });

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

  test("with MQTT 5 neither is one that is refused by a reason code, or when it is renewed", async () => {
    const device = await new AsyncDevice5({ reconnect: Infinity }).up();
    const refused = [0x80, 0x83, 0x87, 0x8f, 0x91, 0x97, 0x9e, 0xa1, 0xa2];
    const filters = refused.map((code) => `no/${code}`);
    const results = device.client.subscribe(["yes", "less", ...filters], { qos: 2 });
    device.sent();
    await device.send({ type: "SUBACK", packetId: 1, reasonCodes: [2, 0, ...refused] });
    expect((await results).map(({ reasonCode }) => reasonCode)).toEqual([2, 0, ...refused]);
    expect(device.client.subscriptions()).toEqual({ yes: 2, less: 0 });
    await device.lose();
    await device.advance(5000);
    await device.accept();
    expect(device.sent()).toMatchObject([{ subscriptions: [{ topic: "yes", qos: 2 }, { topic: "less", qos: 2 }] }]);
    await device.send({ type: "SUBACK", packetId: 2, reasonCodes: [0x87, 1] });
    expect(device.client.subscriptions()).toEqual({ less: 1 });
    device.client.stop();
  });

  test.each([Infinity, 1])("with MQTT 5 what comes while paused, in pieces of %d, has its properties", (fragment) => {
    const device = new Device5({ keepalive: 60 }).upWith({ serverKeepAlive: 20 });
    device.during.message = () => device.client.pause();
    device.socket.fragment = fragment;
    device.send(
      v5.message("t", "1", { contentType: "a", topicAlias: 1 }), v5.message("", "2", { topicAlias: 1 }),
      v5.message("t", "3", { qos: 1, id: 4, userProperty: [["b", "c"]] }),
    );
    expect(device.take()).toEqual(["message t=1 {contentType=a topicAlias=1}"]);
    device.hal.advance(20000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.client.resume();
    expect(device.take()).toEqual(["message t=2 {topicAlias=1}"]);
    device.client.resume();
    expect(device.take()).toEqual(["message t=3 {userProperty=b:c}"]);
    expect(device.sent()).toEqual(["PUBACK #4"]);
  });
});

describe("failing 13: unknown options and values are ignored", () => {
  test.each<[object, string]>([
    [{ rap: 1 }, 'unknown option "rap"'],
    [{ willQos: 1, willTopic: "w", cleanstart: true }, 'unknown option "cleanstart"'],
    [{ autoAck: 1 }, "autoAck must be"],
    [{ reconnect: "infinity" }, "reconnect must be"],
  ])("of a client: %j", (options, expected) => {
    expect(() => new AsyncClient(new MockHal(), options)).toThrow(expected);
  });

  test("of a call, of a module and of NodeMCU's face: refused by name, and nothing is changed", async () => {
    const device = await new AsyncDevice().up();
    const { client } = device;
    expect(() => client.subscribe("t", { rap: 1 } as object)).toThrow("rap belongs to MQTT 5");
    expect(() => client.publish("t", "x", { dup: true } as object)).toThrow('unknown option "dup"');
    expect(device.sent()).toEqual([]);
    const wrong = { maxDelay: 1 } as object;
    expect(() => new Device({ extend: (each) => withReconnect(each, wrong) })).toThrow('unknown option "maxDelay"');
    expect(() => new Device({ options: { rap: 1 } as object })).toThrow('unknown option "rap"');
  });

  test.each<[string, (client: MqttClient5) => unknown, string]>([
    ["an option of a filter", (client) => client.subscribe("t", { retain: 1 } as object), 'unknown option "retain"'],
    ["a value of rap", (client) => client.subscribe("t", { rap: 2 as 1 }), "rap must be"],
    ["a value of nl, in a table", (client) => client.subscribe({ t: { nl: "yes" as never } }), "nl must be"],
    ["a value of rh", (client) => client.subscribe("t", { rh: 3 as 2 }), "rh must be"],
    ["a QoS among options", (client) => client.subscribe("t", { qos: 3 as 2 }), 'qos of topic "t" must be'],
    ["a property of SUBSCRIBE", (client) => client.subscribe("t", 0, null, { rap: 1 } as object), '"rap"'],
    ["a property in emqtt's spelling", (client) =>
      client.publish("t", "x", 0, 0, null, { "Content-Type": "a" } as object), 'must not have "Content-Type" here'],
    ["a property whose name all objects have", (client) =>
      client.publish("t", "x", 0, 0, null, { toString: "a" } as object), 'must not have "toString" here'],
    ["a property without a name", (client) => client.unsubscribe("t", null, { "": 1 } as object), 'not have "" here'],
    ["a value of a flag", (client) =>
      client.publish("t", "x", 0, 0, null, { payloadFormatIndicator: 2 as 1 }), "payloadFormatIndicator must be"],
    ["a property of DISCONNECT", (client) => client.close(0, { reason: "r" } as object), '"reason"'],
    ["a property of the will", (client) => client.lwt("w", "x", 0, 0, { willDelay: 1 } as object), '"willDelay"'],
  ])("with MQTT 5 of a call: %s", (_name, call, expected) => {
    const device = new Device5().up();
    expect(() => call(device.client)).toThrow(expected);
    expect(device.sent()).toEqual([]);
    expect(device.client.connected).toBe(true);
  });

  test("with MQTT 5 of CONNECT, of its settings, of a method and of the client with promises", async () => {
    expect(() => new Device5().connectLine({ sessionExpiry: 5 } as object)).toThrow('"sessionExpiry"');
    expect(() => new Device5().connectLine({ requestProblemInformation: 2 as 1 })).toThrow("requestProblemInformation");
    expect(() => mqtt5({ topicAlias: 1 } as object)).toThrow('unknown setting "topicAlias"');
    expect(() => mqtt5({ topicAliasMaximum: 65536 })).toThrow("topicAliasMaximum must be");
    expect(() => scram({ username: "u", password: "p", hmac: "x" } as never)).toThrow('unknown option "hmac"');
    const options = (given: object) => () => new AsyncClient(new MockHal(), { codec: MQTT_5, ...given });
    expect(options({ userProperty: [] })).toThrow('unknown option "userProperty"');
    expect(options({ enhancedAuth: {} })).toThrow("enhancedAuth");
    const { client } = await new AsyncDevice5().up();
    expect(() => client.subscribe("t", { rap: 2 as 1 })).toThrow("rap must be");
    expect(() => client.subscribe("t", { properties: { rap: 1 } as object })).toThrow('"rap"');
    expect(() => client.subscribe([{ filter: "t", retainAsPublished: 1 } as never])).toThrow('"retainAsPublished"');
    expect(() => client.publish("t", "x", { properties: { contentTyp: "a" } as object })).toThrow('"contentTyp"');
    expect(() => client.disconnect({ reasonCode: 1 })).toThrow("reasonCode must be");
  });
});
