/** What a broker has said in CONNACK that it does not take: refused at once, or as the outcome of what was queued. */
import { describe, expect, test } from "@jest/globals";
import { Device5, ack, connack } from "../support/device5.js";
import type { Properties5 } from "../support/packets5.js";

/** A device that keeps its session and takes messages while it is offline, with `messages` queued. */
function queued(...messages: [topic: string, qos: 0 | 1 | 2, retain: 0 | 1, length?: number][]): Device5 {
  const device = new Device5({ cleansession: 0, options: { queueOffline: true } });
  for (const [topic, qos, retain, length = 1] of messages) {
    expect(device.client.publish(topic, "x".repeat(length), qos, retain)).toBe(true);
  }
  return device;
}

/** Connects; returns what was sent behind CONNECT. */
function sentTo(device: Device5, properties: Properties5, isPresent = false): string[] {
  device.client.connect("broker");
  device.hal.settle();
  device.reach();
  device.send(connack(properties, { isPresent }));
  return device.sent();
}

describe("The broker's Maximum QoS", () => {
  test("is kept by publish() [MQTT5-3.2.2-11]", () => {
    for (const most of [0, 1] as const) {
      const { client, ...device } = new Device5().upWith({ maximumQoS: most });
      for (const qos of [0, 1, 2] as const) {
        expect(client.publish("t", "x", qos)).toBe(qos <= most);
        expect(client.refusal).toBe(qos <= most ? 0 : 0x9b);
      }
      device.hal.settle();
      expect(device.hal.socket.sent.length).toBeGreaterThan(0);
    }
    const device = new Device5().upWith({ maximumQoS: 1 });
    device.client.publish("t", "2", 2);
    device.client.publish("t", "1", 1);
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1"]);
    expect(device.take()).toEqual([]);
  });

  test("is 2 when CONNACK says nothing [MQTT5-3.2.2-11]", () => {
    const device = new Device5().up();
    expect(device.client.publish("t", "2", 2)).toBe(true);
    expect(device.sent()).toEqual(["PUBLISH t=2 q2 #1"]);
  });

  test("ends what was queued above it, with 0x9B, in its turn [MQTT5-3.2.2-11]", () => {
    const device = queued(["a", 1, 0], ["b", 2, 0], ["c", 0, 0], ["d", 2, 0]);
    expect(sentTo(device, { maximumQoS: 1 })).toEqual(["PUBLISH a=x q1 #1", "PUBLISH c=x"]);
    expect(device.take()).toEqual(["connect {maximumQoS=1}"]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "puback 0x9b", "puback", "puback 0x9b"]);
    device.client.publish("e", "x", 1);
    expect(device.sent()).toEqual(["PUBLISH e=x q1 #4"]);
  });

  test("ends a message that was sent to a broker with another one [MQTT5-3.2.2-11]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.client.publish("t", "x", 2);
    device.client.publish("t", "confirmed", 2);
    device.sent();
    device.send(ack("PUBREC", 2));
    device.lose();
    expect(sentTo(device, { maximumQoS: 0 }, true)).toEqual(["PUBREL #2"]);
    expect(device.take()).toEqual(["connect present {maximumQoS=0}", "puback 0x9b"]);
    device.send(ack("PUBCOMP", 2));
    expect(device.take()).toEqual(["puback"]);
  });

  test("is no limit of subscribe() [MQTT5-3.2.2-10]", () => {
    const device = new Device5().upWith({ maximumQoS: 0 });
    expect(device.client.subscribe("t", 2)).toBe(true);
    expect(device.sent()).toEqual(["SUBSCRIBE #1 t:2"]);
  });

  test("is not known while there is no connection, nor are the other limits: what comes then is queued", () => {
    const limits = { maximumQoS: 0, retainAvailable: 0, maximumPacketSize: 20 };
    const device = new Device5({ cleansession: 0, options: { queueOffline: true } }).upWith(limits);
    device.lose();
    expect(device.client.publish("t", "x".repeat(50), 2, 1)).toBe(true);
    expect(sentTo(device, {})).toEqual([`PUBLISH t=${"x".repeat(50)} q2 #1 retain`]);
  });

  test("is that of the connection: the next broker may take more [MQTT5-3.2.2-11]", () => {
    const device = new Device5().upWith({ maximumQoS: 0, retainAvailable: 0, maximumPacketSize: 20 });
    device.lose();
    device.up();
    expect(device.client.publish("t", "x".repeat(50), 2, 1)).toBe(true);
    expect(device.client.refusal).toBe(0);
    expect(device.sent()).toEqual([`PUBLISH t=${"x".repeat(50)} q2 #1 retain`]);
  });
});

describe("A broker without retained messages", () => {
  test("is sent none [MQTT5-3.2.2-14]", () => {
    const device = new Device5().upWith({ retainAvailable: 0 });
    for (const qos of [0, 1, 2] as const) {
      expect(device.client.publish("t", "x", qos, 1)).toBe(false);
      expect(device.client.refusal).toBe(0x9a);
    }
    expect(device.client.publish("t", "x", 1)).toBe(true);
    expect(device.client.refusal).toBe(0);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
  });

  test("ends those that were queued, with 0x9A [MQTT5-3.2.2-14]", () => {
    const device = queued(["a", 0, 1], ["b", 1, 1], ["c", 2, 0]);
    expect(sentTo(device, { retainAvailable: 0 })).toEqual(["PUBLISH c=x q2 #2"]);
    expect(device.take()).toEqual(["connect {retainAvailable=0}", "puback 0x9a", "puback 0x9a"]);
  });

  test("is not one that says nothing of it, or that it has them [MQTT5-3.2.2-14]", () => {
    for (const properties of [{}, { retainAvailable: 1 }]) {
      const device = queued(["a", 0, 1]);
      expect(sentTo(device, properties)).toEqual(["PUBLISH a=x retain"]);
      expect(device.client.publish("t", "x", 0, 1)).toBe(true);
    }
  });
});

describe("The broker's Maximum Packet Size", () => {
  /** How long the packet is that `act` has a client send to a broker that takes at most `most` bytes; 0: none. */
  function lengthOf(most: number, act: (device: Device5) => boolean, aliases = 0): number {
    const device = new Device5({ options: { drainTimeoutMs: 0 } })
      .upWith({ maximumPacketSize: most, topicAliasMaximum: aliases });
    device.socket.takeSent();
    device.socket.onWrite = undefined;
    const isAccepted = act(device);
    device.hal.advance(1);
    const { length } = device.socket.takeSent();
    expect(isAccepted).toBe(length > 0);
    if (!isAccepted) expect(device.client.refusal).toBe(0x95);
    device.client.abort();
    return length;
  }

  test.each<[string, number, (device: Device5) => boolean]>([
    ["PUBLISH at QoS 0", 20, ({ client }) => client.publish("topic", "x".repeat(10))],
    ["PUBLISH at QoS 1", 22, ({ client }) => client.publish("topic", "x".repeat(10), 1)],
    ["PUBLISH with properties", 28, ({ client }) =>
      client.publish("topic", "x".repeat(10), 1, 0, null, { contentType: "abc" })],
    ["a long PUBLISH", 211, ({ client }) => client.publish("topic", "x".repeat(200))],
    ["SUBSCRIBE", 15, ({ client }) => client.subscribe("a/topic")],
    ["UNSUBSCRIBE", 14, ({ client }) => client.unsubscribe("a/topic")],
  ])("counts all bytes of a packet: %s [MQTT5-3.2.2-15]", (_name, length, act) => {
    expect(lengthOf(length, act)).toBe(length);
    expect(lengthOf(length + 1, act)).toBe(length);
    expect(lengthOf(length - 1, act)).toBe(0);
  });

  test("is no less for a topic alias: the packet leaves without one [MQTT5-3.2.2-15]", () => {
    for (const qos of [0, 1] as const) {
      const act = ({ client }: Device5): boolean => client.publish("a/topic", "x".repeat(10), qos);
      const length = qos === 0 ? 22 : 24;
      expect(lengthOf(length + 3, act, 8)).toBe(length + 3);
      expect(lengthOf(length + 2, act, 8)).toBe(length);
      expect(lengthOf(length, act, 8)).toBe(length);
      expect(lengthOf(length - 1, act, 8)).toBe(0);
    }
  });

  test("ends what was queued, with 0x95 [MQTT5-3.2.2-15]", () => {
    const device = queued(["a", 1, 0, 30], ["b", 0, 0, 4], ["c", 0, 0, 30], ["d", 2, 0, 4]);
    expect(sentTo(device, { maximumPacketSize: 20 })).toEqual(["PUBLISH b=xxxx", "PUBLISH d=xxxx q2 #2"]);
    expect(device.take()).toEqual(["connect {maximumPacketSize=20}", "puback 0x95", "puback", "puback 0x95"]);
  });

  test("leaves out what DISCONNECT would say beside its code [MQTT5-3.14.2-3] [MQTT5-3.14.2-4]", () => {
    const long = "x".repeat(40);
    for (const properties of [{ reasonString: long }, { userProperty: [["a", long]] as [string, string][] }]) {
      const device = new Device5().upWith({ maximumPacketSize: 20 });
      device.client.close(0x80, properties);
      expect(device.sent()).toEqual(["DISCONNECT 0x80"]);
      const roomy = new Device5().upWith({ maximumPacketSize: 60 });
      roomy.client.close(0x80, properties);
      expect(roomy.sent()[0]).toContain(long);
      const persistent = new Device5({ cleansession: 0 }).upWith({ maximumPacketSize: 20 });
      persistent.client.close(0, { ...properties, sessionExpiryInterval: 5 });
      expect(persistent.sent()).toEqual(["DISCONNECT {sessionExpiryInterval=5}"]);
    }
  });

  test("is no matter of acknowledgements, which say nothing that could be left out " +
    "[MQTT5-3.4.2-2] [MQTT5-3.4.2-3] [MQTT5-3.5.2-2] [MQTT5-3.5.2-3] [MQTT5-3.6.2-2] [MQTT5-3.6.2-3] " +
    "[MQTT5-3.7.2-2] [MQTT5-3.7.2-3]", () => {
    const device = new Device5().upWith({ maximumPacketSize: 5 });
    device.socket.takeSent();
    device.socket.onWrite = undefined;
    for (const type of ["PUBREL", "PUBREC"] as const) {
      device.send(ack(type, 7, 0, { reasonString: "long", userProperty: [["long", "long"]] }));
      device.hal.settle();
      expect(device.socket.takeSent()).toHaveLength(5);
    }
    expect(device.client.connected).toBe(true);
  });
});

describe("A broker that takes fewer kinds of subscriptions", () => {
  test.each<[string, Properties5, number, string, object | undefined]>([
    ["shared ones", { sharedSubscriptionAvailable: 0 }, 0x9e, "$share/g/t", undefined],
    ["identifiers", { subscriptionIdentifierAvailable: 0 }, 0xa1, "t", { subscriptionIdentifier: 1 }],
    ["wildcards", { wildcardSubscriptionAvailable: 0 }, 0xa2, "a/#", undefined],
    ["wildcards: +", { wildcardSubscriptionAvailable: 0 }, 0xa2, "+/b", undefined],
  ])("is not asked for others: %s", (_what, limit, code, filter, properties) => {
    const device = new Device5().upWith(limit);
    expect(device.client.subscribe(filter, 0, null, properties)).toBe(false);
    expect(device.client.refusal).toBe(code);
    expect(device.client.subscribe({ plain: 1, [filter]: 0 }, null, properties)).toBe(false);
    expect(device.sent()).toEqual([]);
    expect(device.client.subscribe("plain")).toBe(true);
    expect(device.client.refusal).toBe(0);
    expect(device.client.unsubscribe(filter)).toBe(true);
    expect(device.sent()).toEqual(["SUBSCRIBE #1 plain:0", `UNSUBSCRIBE #2 ${filter}`]);
    device.lose();
    device.up();
    expect(device.client.subscribe(filter, 0, null, properties)).toBe(true);
  });
});

describe("client.refusal", () => {
  test("is 0 when there is another reason, or none", () => {
    const device = new Device5({ options: { maxOperations: 2 } }).upWith({ maximumQoS: 0 });
    expect(device.client.publish("t", "x", 1)).toBe(false);
    expect(device.client.refusal).toBe(0x9b);
    expect(device.client.subscribe("t")).toBe(true);
    expect(device.client.refusal).toBe(0);
    device.client.subscribe("t");
    expect(device.client.publish("t", "x", 1)).toBe(false);
    expect(device.client.refusal).toBe(0);
    device.lose();
    expect(device.client.publish("t", "x", 1)).toBe(false);
    expect(device.client.refusal).toBe(0);
  });
});

describe("What a broker refuses while others wait", () => {
  test("has its turn behind them, and holds nothing up", () => {
    const device = queued(["a", 1, 0], ["b", 1, 1], ["c", 1, 0]);
    expect(sentTo(device, { retainAvailable: 0, receiveMaximum: 1 })).toEqual(["PUBLISH a=x q1 #1"]);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH c=x q1 #3"]);
    device.send(ack("PUBACK", 3));
    expect(device.take()).toEqual(["connect {retainAvailable=0 receiveMaximum=1}", "puback", "puback 0x9a", "puback"]);
  });

  test("does so when those before it have expired", () => {
    const device = new Device5({ cleansession: 0, options: { queueOffline: true } });
    device.client.publish("a", "x", 1, 0, null, { messageExpiryInterval: 5 });
    device.client.publish("b", "x", 1, 1);
    device.hal.advance(6000);
    expect(sentTo(device, { retainAvailable: 0 })).toEqual([]);
    expect(device.take()).toEqual(["connect {retainAvailable=0}", "puback 0x9a"]);
    device.client.publish("c", "x", 1);
    expect(device.sent()).toEqual(["PUBLISH c=x q1 #3"]);
  });
});
