/** What a review of the client of MQTT 5 has found. */
import { describe, expect, jest, test } from "@jest/globals";
import { withUrl } from "../../src/optional/url.js";
import { Outbox5 } from "../../src/v5/outbox.js";
import { wire } from "../support/bytes.js";
import { Device5, ack, connack, message } from "../support/device5.js";

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
    expect(device.take()).toEqual(["connfail -5", "connfail 0x01"]);
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

describe("A text that is not right", () => {
  test("is the end, also when its message came in two parts: no other is handed over [MQTT5-1.5.4-1]", () => {
    const device = new Device5({ listens: false }).up();
    device.sent();
    const seen: unknown[] = [];
    device.client.on("message", (_client, _topic, data, info) => {
      seen.push(data, info.properties.get("contentType"));
    });
    device.sendBytes(wire("30 09 0001 74"));
    device.hal.settle();
    device.sendBytes(wire("04 03 0001 ff 61  32 07 0001 74 0001 00 62"));
    device.hal.settle();
    expect(seen).toEqual(["a", undefined]);
    expect(device.sent()).toEqual(["DISCONNECT 0x81"]);
  });
});

describe("A connect that waits", () => {
  test("does not change what the session before it takes", () => {
    const device = new Device5().up();
    device.client.publish("t", "x", 1);
    device.sent();
    device.client.close();
    device.client.connect("broker", null, null, null, null, null, { maximumPacketSize: 50 });
    device.client.lwt("w", "x");
    device.send(message("t", "y".repeat(100)), ack("PUBACK", 1));
    expect(device.take()).toEqual([`message t=${"y".repeat(100)}`, "puback", "offline 0"]);
  });
});

describe("A violation", () => {
  test("is what the session ends for, also when the peer closes before DISCONNECT could leave", () => {
    const device = new Device5().up();
    device.socket.stall();
    device.sendBytes(wire("36 07 0001 't' 0001 00 'x'"));
    device.socket.end();
    device.hal.settle();
    expect(device.take()).toEqual(["offline -23"]);
  });
});

describe("close()", () => {
  test.each([[5], [true], [[]], [() => undefined]])("refuses properties that are no object: %p", (properties) => {
    const device = new Device5().up();
    expect(() => device.client.close(0, properties as never)).toThrow(/^properties must be an object/);
    expect(device.client.connected).toBe(true);
  });
});

describe("connect()", () => {
  // 65,535 is the most that each may have.
  const long = { userProperty: Array.from({ length: 40 }, () => ["a".repeat(65535), ""] as [string, string]) };

  test("sends a CONNECT of more than 1 MiB, or throws", () => {
    const device = new Device5();
    device.client.connect("broker", null, null, null, null, null, long);
    device.hal.settle();
    device.socket.connect(10000000);
    expect(device.socket.takeSent().length).toBeGreaterThan(1048576);
  });

  test("does not send the CONNECT of the attempt before in the place of one that is too long", () => {
    const device = new Device5().up();
    device.lose();
    device.client.connect("broker", null, null, null, null, null, long);
    device.hal.settle();
    device.socket.connect(10000000);
    expect(device.socket.takeSent().length).toBeGreaterThan(1048576);
  });

  test("takes properties behind the place of TLS options", () => {
    const device = new Device5();
    const connect = device.client.connect.bind(device.client) as (...args: unknown[]) => boolean;
    expect(connect("broker", null, null, { sessionExpiryInterval: 5 })).toBe(true);
    device.hal.settle();
    device.socket.connect();
    expect(device.sent()[0]).toContain("sessionExpiryInterval=5");
  });

  test("refuses a function in the place of properties", () => {
    const device = new Device5();
    const connect = device.client.connect.bind(device.client) as (...args: unknown[]) => boolean;
    expect(() => connect("broker", null, null, null, null, null, () => undefined)).toThrow(/^properties must be an object/);
  });
});

describe("A session that nobody wants kept", () => {
  test("begins anew the next time, also where the broker says that it keeps it", () => {
    const device = new Device5().upWith({ sessionExpiryInterval: 100 });
    device.client.publish("t", "x", 1);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
    device.lose();
    expect(device.connectLine()).toContain('CONNECT "id" clean ');
    device.send(connack());
    expect(device.sent()).toEqual([]);
  });
});

describe("A session that is ending", () => {
  test("takes what its own CONNECT has asked for, whatever the next one asks", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    device.client.publish("t", "y", 1);
    device.sent();
    device.client.close();
    device.client.connect("broker", null, null, null, null, null, { requestProblemInformation: 0 });
    const ending = device.socket;
    device.send(ack("PUBACK", 1, 0x97, { reasonString: "full" }));
    // It waits for the other acknowledgement.
    expect(ending.closed).toBe(false);
  });
});

describe("Messages with an expiry interval", () => {
  test("cost, when one leaves, a look at those that leave, not at all that wait", () => {
    const options = { maxOperations: 600, txCapacity: 65536 };
    const device = new Device5({ options }).upWith({ receiveMaximum: 1 });
    for (let i = 0; i < 500; i++) device.client.publish("t", "x", 1, 0, null, { messageExpiryInterval: 100 });
    device.sent();
    const say = jest.spyOn(Outbox5.prototype as unknown as { _say(): void }, "_say");
    for (let id = 1; id <= 100; id++) device.send(ack("PUBACK", id));
    expect(device.sent()).toHaveLength(100);
    const looks = say.mock.calls.length;
    say.mockRestore();
    expect(looks).toBeLessThan(1000);
  });
});

describe("A URL for the host", () => {
  const P = { sessionExpiryInterval: 5 };
  const nothing = (): undefined => undefined;
  test.each<[string, unknown[]]>([
    ["behind both functions", ["mqtt://broker", nothing, nothing, P]],
    ["behind one", ["mqtt://broker", nothing, P]],
    ["with a port", ["mqtt://broker", 1883, nothing, nothing, P]],
    ["with TLS options left out", ["mqtt://broker", 1883, 0, nothing, nothing, P]],
    ["in the seventh place, of a plain host, too", ["broker", null, null, null, null, null, P]],
  ])("takes properties of CONNECT: %s", (_, args) => {
    const device = new Device5({ extend: withUrl });
    const connect = device.client.connect.bind(device.client) as (...args: unknown[]) => boolean;
    expect(connect(...args)).toBe(true);
    device.hal.settle();
    device.socket.connect();
    expect(device.sent()[0]).toContain("sessionExpiryInterval=5");
  });
});
