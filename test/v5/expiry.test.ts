/** Message Expiry Interval: what waits in the outbox, and leaves in time or not at all. */
import { describe, expect, test } from "@jest/globals";
import { Device5, ack, connack } from "../support/device5.js";

/** A device that keeps its session and takes messages while it is offline. */
function offline(): Device5 {
  return new Device5({ cleansession: 0, options: { queueOffline: true } });
}

function accepted(device: Device5, isPresent = false): string[] {
  device.client.connect("broker");
  device.hal.settle();
  device.reach();
  device.send(connack({}, { isPresent }));
  return device.sent();
}

describe("A message that was queued offline", () => {
  test.each([0, 1, 2] as const)("leaves with the time that it has left, at QoS %i", (qos) => {
    const device = offline();
    device.client.publish("t", "x", qos, 0, null, { contentType: "c", messageExpiryInterval: 100 });
    device.hal.advance(30_000);
    const id = qos === 0 ? "" : ` q${qos} #1`;
    expect(accepted(device)).toEqual([`PUBLISH t=x${id} {contentType=c messageExpiryInterval=70}`]);
  });

  test.each([0, 1, 2] as const)("does not leave when its time is over, at QoS %i", (qos) => {
    const device = offline();
    device.client.publish("t", "x", qos, 0, null, { messageExpiryInterval: 10 });
    device.client.publish("t", "later", 1, 0, null, { messageExpiryInterval: 11 });
    device.client.publish("t", "never", 1);
    device.hal.advance(10_000);
    const first = qos === 0 ? 1 : 2;
    expect(accepted(device)).toEqual([
      `PUBLISH t=later q1 #${first} {messageExpiryInterval=1}`, `PUBLISH t=never q1 #${first + 1}`,
    ]);
    device.send(ack("PUBACK", first), ack("PUBACK", first + 1));
    expect(device.take()).toEqual(["connect", "puback", "puback"]);
  });

  test("that is over makes room for others", () => {
    const device = new Device5({ cleansession: 0, options: { queueOffline: true, maxOperations: 2 } });
    device.client.publish("t", "a", 1, 0, null, { messageExpiryInterval: 1 });
    device.client.publish("t", "b", 1);
    expect(device.client.publish("t", "c", 1)).toBe(false);
    device.hal.advance(1000);
    expect(device.client.publish("t", "c", 1)).toBe(true);
    expect(accepted(device)).toEqual(["PUBLISH t=b q1 #2", "PUBLISH t=c q1 #3"]);
  });

  test("may have the longest time that there is", () => {
    const device = offline();
    device.client.publish("t", "x", 1, 0, null, { messageExpiryInterval: 4294967295 });
    device.hal.advance(86_400_000);
    expect(accepted(device)[0]).toMatch(/^PUBLISH t=x q1 #1 {messageExpiryInterval=\d+}$/);
  });

  test("counts on a clock that wraps", () => {
    const device = new Device5({ cleansession: 0, options: { queueOffline: true }, hal: { now: 0x7fffff00 } });
    device.client.publish("t", "x", 1, 0, null, { messageExpiryInterval: 10 });
    device.client.publish("t", "y", 1, 0, null, { messageExpiryInterval: 20 });
    device.hal.advance(10_000);
    expect(accepted(device)).toEqual(["PUBLISH t=y q1 #2 {messageExpiryInterval=10}"]);
  });
});

describe("A message behind a full window", () => {
  test("leaves with the time that it has left, or not at all", () => {
    const device = new Device5().upWith({ receiveMaximum: 1 });
    device.client.publish("t", "open", 1);
    device.client.publish("t", "short", 1, 0, null, { messageExpiryInterval: 5 });
    device.client.publish("t", "long", 1, 0, null, { messageExpiryInterval: 60 });
    expect(device.sent()).toEqual(["PUBLISH t=open q1 #1"]);
    device.hal.advance(20_000);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=long q1 #3 {messageExpiryInterval=40}"]);
    device.send(ack("PUBACK", 3));
    expect(device.take()).toEqual(["puback", "puback"]);
  });

  test("that has begun to leave leaves to its end", () => {
    const device = new Device5({ hal: { room: 100 } }).up();
    device.socket.stall();
    device.client.publish("t", "x".repeat(60), 1);
    for (const letter of ["y", "z"]) {
      device.client.publish("t", letter.repeat(60), 1, 0, null, { messageExpiryInterval: 1 });
    }
    device.hal.advance(5000);
    device.socket.unstall();
    expect(device.sent().map((line) => line.slice(0, 12))).toEqual(["PUBLISH t=xx", "PUBLISH t=yy"]);
  });
});

describe("A message that was sent", () => {
  test.each([1, 2] as const)("does not expire: it is sent again with the session, at QoS %i [MQTT5-4.3.3-7]", (qos) => {
    const device = offline();
    device.up();
    device.client.publish("t", "x", qos, 0, null, { messageExpiryInterval: 1 });
    expect(device.sent()).toEqual([`PUBLISH t=x q${qos} #1 {messageExpiryInterval=1}`]);
    device.lose();
    device.hal.advance(10_000);
    expect(accepted(device, true)).toEqual([`PUBLISH t=x q${qos} #1 dup {messageExpiryInterval=1}`]);
  });

  test.each([1, 2] as const)("is sent anew where the session is gone, at QoS %i", (qos) => {
    const device = offline();
    device.up();
    device.client.publish("t", "x", qos, 0, null, { messageExpiryInterval: 100 });
    device.client.publish("t", "y", 1);
    device.sent();
    device.lose();
    expect(accepted(device)).toEqual([`PUBLISH t=x q${qos} #1 {messageExpiryInterval=100}`, "PUBLISH t=y q1 #2"]);
  });

  test("is not taken for one that has expired, when it waits to be sent anew", () => {
    const device = offline();
    device.up();
    for (const payload of ["x", "y"]) device.client.publish("t", payload, 1, 0, null, { messageExpiryInterval: 1000 });
    device.sent();
    device.lose();
    device.hal.advance(10_000);
    device.client.publish("t", "z", 1, 0, null, { messageExpiryInterval: 1000 });
    device.client.connect("broker");
    device.hal.settle();
    device.reach();
    device.send(connack({ receiveMaximum: 1 }));
    for (const id of [1, 2]) device.send(ack("PUBACK", id));
    expect(device.sent()).toEqual(["x", "y", "z"].map((payload, i) =>
      `PUBLISH t=${payload} q1 #${i + 1} {messageExpiryInterval=1000}`));
  });

  test("goes on with PUBREL, though it has expired meanwhile [MQTT5-4.3.3-13]", () => {
    const device = new Device5().up();
    device.client.publish("t", "x", 2, 0, null, { messageExpiryInterval: 1 });
    device.sent();
    device.hal.advance(5000);
    device.send(ack("PUBREC", 1));
    device.client.publish("t", "y", 1);
    expect(device.sent()).toEqual(["PUBREL #1", "PUBLISH t=y q1 #2"]);
    device.send(ack("PUBCOMP", 1));
    expect(device.take()).toEqual(["puback"]);
  });
});
