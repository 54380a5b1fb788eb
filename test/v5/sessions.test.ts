/** Sessions of MQTT 5: who keeps what, for how long, and what becomes of it on the next connection. */
import { describe, expect, test } from "@jest/globals";
import type { GivenProperties } from "../../src/v5/face.js";
import { Device5, ack, connack, message } from "../support/device5.js";
import type { Properties5 } from "../support/packets5.js";

/** What CONNECT says of the session: Clean Start, and the expiry. */
function wish(device: Device5, properties?: GivenProperties): string {
  const line = device.connectLine(properties);
  return `${/ (clean|resume) /.exec(line)![1]} ${/sessionExpiryInterval=(\d+)/.exec(line)?.[1] ?? 0}`;
}

/** The attempt is accepted. */
function accept(device: Device5, isPresent = false, properties: Properties5 = {}): void {
  device.send(connack(properties, { isPresent }));
  device.hal.settle();
}

/** A device whose connection is lost: with two open messages, one that awaits PUBCOMP, and one that came at QoS 2. */
function withState(options: ConstructorParameters<typeof Device5>[0], properties?: GivenProperties): Device5 {
  const device = new Device5(options);
  wish(device, properties);
  accept(device);
  device.client.publish("t", "open", 1);
  device.client.publish("t", "confirmed", 2);
  device.client.publish("t", "two", 2);
  device.sent();
  device.send(ack("PUBREC", 2), message("in", "x", { qos: 2, id: 9 }));
  expect(device.sent()).toEqual(["PUBREL #2", "PUBREC #9"]);
  expect(device.lose()).toEqual(["connect", "message in=x", "offline -10"]);
  return device;
}

describe("CONNECT", () => {
  test("asks for a session that ends with the connection, with cleansession 1 [MQTT5-3.1.2-4]", () => {
    const device = new Device5();
    for (let i = 0; i < 2; i++) {
      expect(wish(device)).toBe("clean 0");
      accept(device);
      device.lose();
    }
  });

  test("asks for one that never expires, with cleansession 0 [MQTT5-3.1.2-23]", () => {
    const device = new Device5({ cleansession: 0 });
    for (let i = 0; i < 2; i++) {
      expect(wish(device)).toBe("resume 4294967295");
      accept(device, i > 0);
      device.lose();
    }
  });

  test("asks for the expiry that it is given", () => {
    const device = new Device5({ cleansession: 0 });
    expect(wish(device, { sessionExpiryInterval: 100 })).toBe("resume 100");
    accept(device);
    device.lose();
    expect(wish(device)).toBe("resume 100");
    accept(device, true);
    device.lose();
    expect(wish(device, {})).toBe("resume 4294967295");
  });

  test("begins anew once, and resumes later, with cleansession 1 and an expiry " +
    "[MQTT5-3.1.2-4] [MQTT5-3.1.2-23]", () => {
    const device = new Device5();
    expect(wish(device, { sessionExpiryInterval: 100 })).toBe("clean 100");
    device.socket.fail("closed");
    device.take();
    expect(wish(device)).toBe("clean 100");
    accept(device);
    device.lose();
    expect(wish(device)).toBe("resume 100");
    accept(device, true);
    expect(device.take()).toEqual(["connect present"]);
    device.lose();
    expect(wish(device)).toBe("resume 100");
  });
});

describe("A session that the broker has kept", () => {
  const resumed = [
    "PUBLISH t=open q1 #1 dup", "PUBREL #2", "PUBLISH t=two q2 #3 dup",
  ];

  test("goes on: what is open is sent again under its id, in its order, and what was received is known " +
    "[MQTT5-3.1.2-23] [MQTT5-3.1.3-2] [MQTT5-3.3.1-1] [MQTT5-4.1.0-1] [MQTT5-4.3.2-3] [MQTT5-4.3.3-3] " +
    "[MQTT5-4.3.3-5] [MQTT5-4.3.3-6] [MQTT5-4.4.0-1] [MQTT5-4.6.0-1]", () => {
    const device = withState({ cleansession: 0 });
    device.hal.advance(86_400_000);
    expect(wish(device)).toBe("resume 4294967295");
    accept(device, true);
    expect(device.take()).toEqual(["connect present"]);
    expect(device.sent()).toEqual(resumed);
    device.send(message("in", "x", { qos: 2, id: 9, dup: true }));
    device.send(ack("PUBACK", 1), ack("PUBCOMP", 2), ack("PUBREC", 3));
    expect(device.sent()).toEqual(["PUBREC #9", "PUBREL #3"]);
    expect(device.take()).toEqual(["puback", "puback"]);
  });

  test("goes on with cleansession 1 and an expiry, too [MQTT5-3.1.2-23]", () => {
    const device = withState({}, { sessionExpiryInterval: 100 });
    expect(wish(device)).toBe("resume 100");
    accept(device, true);
    expect(device.sent()).toEqual(resumed);
  });

  test("goes on for a client that has forgotten it: with an empty session of its own", () => {
    const device = new Device5({ cleansession: 0 });
    wish(device);
    accept(device, true);
    expect(device.take()).toEqual(["connect present"]);
    device.send(ack("PUBREC", 5), ack("PUBREL", 6), message("in", "x", { qos: 2, id: 7, dup: true }));
    expect(device.sent()).toEqual(["PUBREL #5 0x92", "PUBCOMP #6 0x92", "PUBREC #7"]);
    expect(device.take()).toEqual(["message in=x"]);
  });

  test("keeps the order in which PUBREL was due [MQTT5-4.6.0-4]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    for (const payload of ["a", "b", "c"]) device.client.publish("t", payload, 2);
    device.sent();
    device.send(ack("PUBREC", 1), ack("PUBREC", 2), ack("PUBREC", 3));
    expect(device.sent()).toEqual(["PUBREL #1", "PUBREL #2", "PUBREL #3"]);
    device.lose();
    wish(device);
    accept(device, true);
    expect(device.sent()).toEqual(["PUBREL #1", "PUBREL #2", "PUBREL #3"]);
  });

  test("is not touched by a refusal [MQTT5-3.2.2-6] [MQTT5-3.1.4-6]", () => {
    const device = withState({ cleansession: 0 });
    wish(device);
    device.send(connack({}, { code: 0x88 }));
    expect(device.take()).toEqual(["connfail 0x88"]);
    wish(device);
    accept(device, true);
    expect(device.sent()).toEqual(resumed);
  });
});

describe("A session that the broker has not", () => {
  test("begins anew: nothing is sent again; what was not acknowledged is sent as new, what was received is forgotten " +
    "[MQTT5-3.2.2-5] [MQTT5-4.4.0-1]", () => {
    const device = withState({ cleansession: 0 });
    wish(device);
    accept(device);
    expect(device.sent()).toEqual(["PUBLISH t=open q1 #1", "PUBLISH t=two q2 #3"]);
    device.send(ack("PUBACK", 1), ack("PUBREC", 3), message("in", "new", { qos: 2, id: 9 }));
    expect(device.sent()).toEqual(["PUBREL #3", "PUBREC #9"]);
    expect(device.take()).toEqual(["connect", "puback", "puback", "message in=new"]);
  });

  test("is not resumed with cleansession 1 and no expiry [MQTT5-3.1.2-4] [MQTT5-3.1.2-23]", () => {
    const device = withState({});
    expect(wish(device)).toBe("clean 0");
    accept(device);
    expect(device.sent()).toEqual([]);
    device.send(message("in", "new", { qos: 2, id: 9 }));
    expect(device.take()).toEqual(["connect", "message in=new"]);
  });

  test("is not resumed when the broker has said that it expires with the connection", () => {
    const device = new Device5({ cleansession: 0 });
    wish(device);
    accept(device, false, { sessionExpiryInterval: 0 });
    device.client.publish("t", "x", 1);
    device.lose();
    wish(device);
    accept(device);
    expect(device.sent()).toEqual([]);
  });

  test("may still be asked for when the broker has said that it keeps it for less", () => {
    const device = new Device5();
    expect(wish(device, { sessionExpiryInterval: 100 })).toBe("clean 100");
    accept(device, false, { sessionExpiryInterval: 5 });
    device.client.publish("t", "x", 1);
    device.sent();
    device.lose();
    expect(wish(device)).toBe("resume 100");
    accept(device, true);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1 dup"]);
  });
});

describe("close()", () => {
  test("may say when the session is to expire; 0 ends it [MQTT5-3.1.2-23]", () => {
    const device = new Device5();
    wish(device, { sessionExpiryInterval: 100 });
    accept(device);
    device.client.close(0, { sessionExpiryInterval: 7 });
    expect(device.sent()).toEqual(["DISCONNECT {sessionExpiryInterval=7}"]);
    device.take();
    expect(wish(device)).toBe("resume 100");
    accept(device, true);
    device.client.close(0, { sessionExpiryInterval: 0 });
    expect(device.sent()).toEqual(["DISCONNECT {sessionExpiryInterval=0}"]);
    device.take();
    expect(wish(device)).toBe("clean 100");
  });

  test("cannot keep a session that CONNECT has not asked to be kept", () => {
    const device = new Device5().up();
    expect(() => device.client.close(0, { sessionExpiryInterval: 7 })).toThrow("sessionExpiryInterval must be 0");
    expect(device.client.connected).toBe(true);
    device.client.close(0, { sessionExpiryInterval: 0 });
    expect(device.sent()).toEqual(["DISCONNECT {sessionExpiryInterval=0}"]);
  });
});
