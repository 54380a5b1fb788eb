/** What the fault simulator has found with MQTT 5: the smallest exchange in which each defect shows. */
import { describe, expect, test } from "@jest/globals";
import { ack, connack, Device5 } from "../support/device5.js";

/** A device that keeps its session and takes messages while it is offline. */
function persistent(maxInflight = 16): Device5 {
  return new Device5({ cleansession: 0, options: { queueOffline: true, drainTimeoutMs: 60_000, maxInflight } });
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
