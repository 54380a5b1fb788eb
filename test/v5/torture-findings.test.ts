/** What the fault simulator has found with MQTT 5: the smallest exchange in which each defect shows. */
import { describe, expect, test } from "@jest/globals";
import type { Expiring } from "../../src/optional/queue.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withStreams } from "../../src/optional/streams.js";
import type { Source, Streams } from "../../src/optional/streams.js";
import type { MqttClient5 } from "../../src/v5/face.js";
import { ack, connack, Device5, suback, unsuback } from "../support/device5.js";

/** A device that keeps its session and takes messages while it is offline. */
function persistent(maxInflight = 16): Device5 {
  return new Device5({ cleansession: 0, options: { queueOffline: true, drainTimeoutMs: 60_000, maxInflight } });
}

/** So many bytes "x". */
function source(byteLength: number): Source {
  return {
    byteLength,
    read(_offset, bytes, start, end) {
      bytes.fill(0x78, start, end);
      return end - start;
    },
  };
}

describe("A message that expires", () => {
  test("does not leave behind its time while the connection is closed, either (3.3.2.3.3)", () => {
    const device = persistent(1).upWith({});
    device.client.publish("t", "open", 1);
    device.client.publish("t", "short", 1, 0, null, { messageExpiryInterval: 5 });
    device.client.publish("t", "long", 1, 0, null, { messageExpiryInterval: 20 });
    device.client.close();
    expect(device.sent()).toEqual(["PUBLISH t=open q1 #1"]);
    device.hal.advance(10_000);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=long q1 #3 {messageExpiryInterval=10}"]);
  });

  test("is not removed before it could leave where it has no time at all (3.3.2.3.3)", () => {
    const device = persistent().upWith({});
    expect(device.client.publish("t", "x", 1, 0, null, { messageExpiryInterval: 0 })).toBe(true);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1 {messageExpiryInterval=0}"]);
  });
});

describe("A second close", () => {
  test("does not change what the first has DISCONNECT say (3.14.2.1)", () => {
    const device = persistent().upWith({});
    device.client.publish("t", "x", 1);
    expect(device.client.close(4)).toBe(true);
    expect(device.client.close(0x80)).toBe(false);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["DISCONNECT 0x04"]);
  });
});

describe("A message that is streamed", () => {
  test("is not begun when the broker does not take as much (3.2.2.3.6)", () => {
    const device = persistent().upWith({ maximumPacketSize: 50 });
    const client = withStreams(device.client);
    expect(client.publishFrom("t", source(45), 1)).toBe(false);
    expect(client.beginPublish("t", 45)).toBe(false);
    expect(client.publishFrom("t", source(42), 1)).toBe(true);
    expect(device.sent()).toEqual([`PUBLISH t=${"x".repeat(42)} q1 #1`]);
  });

  test.each([
    ["a QoS that the next broker does not take", { maximumQoS: 0 }, "0x9b"],
    ["more bytes than the next broker takes", { maximumPacketSize: 50 }, "0x95"],
  ])("ends with %s, as others do (3.2.2.3)", (_, limits, code) => {
    const device = persistent().upWith({});
    const client = withStreams(device.client);
    client.publishFrom("t", source(60), 1);
    device.lose();
    client.connect("broker");
    device.hal.settle();
    device.reach();
    device.send(connack(limits, { isPresent: true }));
    expect(device.sent()).toEqual([]);
    expect(device.take()).toContain(`puback ${code}`);
  });

  test("has no DUP behind the loss of its session [MQTT-3.2.2-5]", () => {
    const device = persistent().upWith({});
    const client = withStreams(device.client);
    client.publishFrom("t", source(3), 1);
    device.lose();
    client.connect("broker");
    device.hal.settle();
    device.reach();
    device.send(connack({}));
    expect(device.sent()).toEqual(["PUBLISH t=xxx q1 #1"]);
  });
});

describe("withOutcomes", () => {
  test("says that a message was refused, by the broker or by what it takes (3.4.2.1)", () => {
    const device = persistent();
    const client = withOutcomes(device.client);
    const outcomes: string[] = [];
    for (const qos of [2, 1, 1] as const) {
      client.publish("t", "x", qos);
      client.outcome((_, outcome) => outcomes.push(outcome));
    }
    device.upWith({ maximumQoS: 1 }, true);
    device.send(ack("PUBACK", 2, 0x97), ack("PUBACK", 3, 0x10));
    expect(outcomes).toEqual(["refused", "refused", "delivered"]);
  });

  test("says that a message was delivered, though PUBCOMP does not know of it any more (3.7.2.1)", () => {
    const device = persistent().upWith({});
    const client = withOutcomes(device.client);
    const outcomes: string[] = [];
    client.publish("t", "x", 2);
    client.outcome((_, outcome) => outcomes.push(outcome));
    device.send(ack("PUBREC", 1), ack("PUBCOMP", 1, 0x92));
    expect(outcomes).toEqual(["delivered"]);
  });
});

describe("An age limit that ends a message", () => {
  function limited(): Device5 {
    const device = new Device5({ extend: (client) => withQueuePolicy(client, {}) }).upWith({ receiveMaximum: 1 });
    device.client.publish("t", "open", 1);
    device.client.publish("t", "old", 1);
    (device.client as MqttClient5 & Expiring).expire(100);
    device.client.subscribe("s", 0);
    device.client.publish("t", "last", 1);
    expect(device.sent()).toEqual(["PUBLISH t=open q1 #1", "SUBSCRIBE #3 s:0"]);
    return device;
  }

  test("goes on behind filters that have overtaken it", () => {
    const device = limited();
    device.hal.advance(101);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=last q1 #4"]);
    device.send(suback(3, [0]), ack("PUBACK", 4));
    expect(device.take()).toEqual(["puback", "suback 0x00", "puback"]);
  });

  test("goes on behind filters that have overtaken it and have their answer", () => {
    const device = limited();
    device.send(suback(3, [0]), ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=old q1 #2"]);
    const other = limited();
    other.send(suback(3, [0]));
    other.hal.advance(101);
    other.send(ack("PUBACK", 1));
    expect(other.sent()).toEqual(["PUBLISH t=last q1 #4"]);
    expect(other.take()).toEqual(["puback", "suback 0x00"]);
  });
});

test("An acknowledgement of filters that never comes does not hold back messages that they have overtaken", () => {
  const device = new Device5({ options: { ackTimeoutMs: 20_000 } }).upWith({ receiveMaximum: 1 });
  device.client.publish("t", "a", 1);
  device.client.publish("t", "b", 1);
  device.client.subscribe("s");
  expect(device.sent()).toEqual(["PUBLISH t=a q1 #1", "SUBSCRIBE #3 s:0"]);
  device.send(ack("PUBACK", 1));
  expect(device.sent()).toEqual(["PUBLISH t=b q1 #2"]);
  device.send(ack("PUBACK", 2));
  device.hal.advance(20_000);
  expect(device.take()).toEqual(["puback", "puback", "offline -12"]);
});

test("Filters leave in their turn behind a message that is streamed, however long that takes", () => {
  const options = { ackTimeoutMs: 20_000, txCapacity: 1024 };
  const device = new Device5({ extend: withStreams, options }).upWith({});
  const client = device.client as MqttClient5 & Streams;
  expect(client.beginPublish("big", 4, 0)).toBe(true);
  client.publish("t", "x", 1);
  client.unsubscribe("t");
  client.write(Uint8Array.of(0x61, 0x62));
  device.hal.advance(29_000);
  expect(device.sent()).toEqual([]);
  client.write(Uint8Array.of(0x63, 0x64));
  expect(device.sent()).toEqual(["PUBLISH big=abcd", "PUBLISH t=x q1 #1", "UNSUBSCRIBE #2 t"]);
  device.hal.advance(19_000);
  device.send(ack("PUBACK", 1), unsuback(2, [0]));
  expect(device.take()).toEqual(["puback", "puback", "unsuback 0x00"]);
});
