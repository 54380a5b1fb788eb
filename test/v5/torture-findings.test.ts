/** What the fault simulator has found with MQTT 5: the smallest exchange in which each defect shows. */
import { describe, expect, test } from "@jest/globals";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withStreams } from "../../src/optional/streams.js";
import type { Source } from "../../src/optional/streams.js";
import { ack, connack, Device5 } from "../support/device5.js";

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
