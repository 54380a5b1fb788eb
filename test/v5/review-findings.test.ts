/** What a review of the client of MQTT 5 has found. */
import { describe, expect, test } from "@jest/globals";
import { Device5, ack, connack } from "../support/device5.js";

const OFFLINE = { cleansession: 0 as const, options: { queueOffline: true } };

describe("A session that is not kept", () => {
  test.each(["the broker", "close()"])("does not take along what was queued behind its end, by %s, " +
    "when an attempt fails (4.1.0)", (by) => {
    const device = new Device5(OFFLINE).upWith(by === "the broker" ? { sessionExpiryInterval: 0 } : {});
    if (by === "the broker") device.socket.fail("closed");
    else device.client.close(0, { sessionExpiryInterval: 0 });
    device.hal.settle();
    device.take();
    expect(device.client.publish("t", "x", 1)).toBe(true);
    device.client.connect("broker");
    device.hal.settle();
    device.socket.fail("refused");
    device.client.connect("broker");
    device.hal.settle();
    device.reach();
    device.sendBytes(Uint8Array.of(0x20, 2, 0, 1));
    device.hal.settle();
    expect(device.take()).toEqual(["connfail -5", "connfail -4"]);
    device.client.connect("broker");
    device.hal.settle();
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["connect", "puback"]);
  });
});

describe("A message with an expiry", () => {
  test("expires, too, when it had begun to leave on a connection that was lost", () => {
    const device = new Device5({ ...OFFLINE, hal: { room: 100 } }).up();
    device.socket.stall();
    device.client.publish("t", "x".repeat(200), 1, 0, null, { messageExpiryInterval: 10 });
    device.socket.drain(50);
    device.hal.settle();
    device.lose();
    device.hal.advance(20_000);
    device.client.connect("broker");
    device.hal.settle();
    device.reach();
    device.send(connack({}, { isPresent: true }));
    expect(device.sent()).toEqual([]);
  });
});

describe("The detail of a failure", () => {
  test("is not that of an attempt that was given up", () => {
    const device = new Device5();
    const details: unknown[] = [];
    device.client.on("properties", () => {
      device.client.abort();
    });
    device.client.on("connfail", (_client, reason, detail) => {
      details.push(reason, detail);
    });
    device.client.connect("broker");
    device.hal.settle();
    device.reach();
    device.send(connack({ reasonString: "no" }, { code: 0x87 }));
    device.hal.settle();
    device.client.connect("broker");
    device.hal.settle();
    device.reach();
    device.hal.advance(6000);
    expect(details).toEqual([-2, undefined]);
  });
});
