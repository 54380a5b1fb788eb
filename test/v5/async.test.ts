/** The promise face with MQTT 5. */
import { describe, expect, test } from "@jest/globals";
import { MqttError } from "../../src/async/errors.js";
import type { Message } from "../../src/async/options.js";
import { withAuth } from "../../src/v5/auth.js";
import { flush, Outcome } from "../support/async-device.js";
import { AsyncDevice5, connack5, message5 } from "../support/async-device5.js";
import { letters } from "../support/device.js";

/** What a promise was rejected with. */
async function rejection(promise: Promise<unknown>): Promise<MqttError> {
  const error: unknown = await promise.then(() => undefined, (reason: unknown) => reason);
  if (!(error instanceof MqttError)) throw new Error(`not rejected with an MqttError: ${String(error)}`);
  return error;
}

describe("connect", () => {
  test("CONNECT has the properties of the options, and those of the will (3.1.2.11, 3.1.3.2)", async () => {
    const device = new AsyncDevice5({
      properties: { sessionExpiryInterval: 60, userProperty: [["a", "b"]] },
      willTopic: "will",
      willPayload: "gone",
      willProps: { willDelayInterval: 5, contentType: "text" },
      maxMessageLength: 5000,
      rxCapacity: 1000,
    });
    void device.client.connect();
    device.hal.socket.connect();
    const [connect] = device.sent();
    expect(connect).toMatchObject({
      cmd: "connect",
      protocolVersion: 5,
      clientId: "id",
      properties: { sessionExpiryInterval: 60, userProperties: { a: "b" }, maximumPacketSize: 6000 },
      will: { topic: "will", payload: expect.anything(), properties: { willDelayInterval: 5, contentType: "text" } },
    });
    device.client.stop();
  });

  test("maximumPacketSize of the options takes the place of what maxMessageLength asks for (3.1.2.11.4)", async () => {
    const device = new AsyncDevice5({ properties: { maximumPacketSize: 777 } });
    void device.client.connect();
    device.hal.socket.connect();
    expect(device.sent()).toMatchObject([{ properties: { maximumPacketSize: 777 } }]);
    await device.send(connack5());
    // They are of CONNECT only.
    void device.client.publish("t", "x");
    expect(device.sent()[0].properties).toBeUndefined();
  });

  test("resolves with the properties of CONNACK, and tells the owner", async () => {
    const device = new AsyncDevice5({ clientid: "" });
    const connecting = device.client.connect();
    await device.accept({ assignedClientIdentifier: "given", receiveMaximum: 3 });
    const properties = { assignedClientIdentifier: "given", receiveMaximum: 3 };
    expect(await connecting).toEqual({ sessionPresent: false, properties });
    expect(await device.take()).toEqual([{ type: "connected", sessionPresent: false, properties }]);
    expect(device.client.status().clientid).toBe("given");
    expect(device.client.info().protoVer).toBe("v5");
  });

  test("resolves with no properties as an empty object", async () => {
    const device = new AsyncDevice5();
    const connecting = device.client.connect();
    await device.accept();
    expect(await connecting).toEqual({ sessionPresent: false, properties: {} });
  });

  test("rejects with the reason code of CONNACK and what the broker said beside (3.2.2.2)", async () => {
    const device = new AsyncDevice5();
    const connecting = device.client.connect();
    device.hal.socket.connect();
    await device.send(connack5({ reasonString: "go away", serverReference: "other" }, false, 0x97));
    expect(await rejection(connecting)).toMatchObject({
      reason: 0x97,
      reasonCode: 0x97,
      detail: { reasonString: "go away", serverReference: "other" },
      message: "refused with reason code 0x97 (go away)",
    });
  });

  test("a code that 3.1.1 has, too, is described as there", async () => {
    for (const [code, text] of [
      [0x84, "refused: the broker does not speak this version of MQTT"],
      [0x85, "refused: the broker does not want this client identifier"],
      [0x86, "refused: wrong username or password"],
      [0x87, "refused: not authorized"],
      [0x88, "refused: the broker is not available"],
      [0x89, "refused with reason code 0x89"],
    ] as [number, string][]) expect(new MqttError(code).message).toBe(text);
  });

  test("extend is given the client, such as to withAuth; reauthenticate resolves when it is over (4.12)", async () => {
    const authenticator = {
      method: "m",
      init: () => new Uint8Array([1]),
      handleAuth: () => new Uint8Array([2]),
    };
    const device = new AsyncDevice5({ extend: (client) => withAuth(client, authenticator) });
    void device.client.connect();
    device.hal.socket.connect();
    expect(device.sent()).toMatchObject([{ properties: { authenticationMethod: "m" } }]);
    await device.send(connack5({ authenticationMethod: "m" }));
    const again = new Outcome(device.client.reauthenticate());
    expect(device.sent()).toMatchObject([{ cmd: "auth", reasonCode: 0x19 }]);
    const busy = new Outcome(device.client.reauthenticate());
    await flush();
    expect(busy.text).toBe("MqttError: an authentication is under way");
    expect(again.text).toBe("pending");
    await device.send({ type: "AUTH", reasonCode: 0, properties: { authenticationMethod: "m" } });
    expect(again.text).toBe("done");
  });

  test("reauthenticate needs withAuth", async () => {
    const device = await new AsyncDevice5().up();
    expect(() => device.client.reauthenticate()).toThrow("reauthenticate needs withAuth of mcu-mqtt/auth");
  });
});

describe("publish", () => {
  test("has properties, and resolves with the reason code and properties of the acknowledgement (3.4)", async () => {
    const device = await new AsyncDevice5().up();
    const publication = device.client.publish("t", "x", { qos: 1, properties: { contentType: "text" } });
    expect(device.sent()).toMatchObject([
      { cmd: "publish", topic: "t", payload: "x", qos: 1, properties: { contentType: "text" } },
    ]);
    const properties = { reasonString: "nobody" };
    await device.send({ type: "PUBACK", packetId: 1, reasonCode: 0x10, properties });
    expect(await publication).toEqual({ packetId: 1, outcome: "delivered", reasonCode: 0x10, properties });
    expect(await device.take()).toEqual([{ type: "puback", packetId: 1, reasonCode: 0x10, properties }]);
    const plain = device.client.publish("t", "x", { qos: 1 });
    expect(device.sent()[0].properties).toBeUndefined();
    await device.send({ type: "PUBACK", packetId: 2, reasonCode: 0 });
    expect(await plain).toEqual({ packetId: 2, outcome: "delivered", reasonCode: 0 });
    const forgotten = device.client.publish("t", "x");
    device.hal.settle();
    expect(await forgotten).toEqual({ packetId: 0, outcome: "delivered" });
  });

  test("properties of an acknowledgement belong to the message that it is of, whatever the order", async () => {
    const device = await new AsyncDevice5().up();
    const [one, two] = [1, 2].map(() => device.client.publish("t", "x", { qos: 1 }));
    device.sent();
    await device.send({ type: "PUBACK", packetId: 2, reasonCode: 0, properties: { reasonString: "two" } });
    // The packet id of a PUBREL is the broker's.
    await device.send({ type: "PUBREL", packetId: 1, reasonCode: 0, properties: { reasonString: "none" } });
    await device.send({ type: "PUBACK", packetId: 1, reasonCode: 0 });
    expect(await one).toEqual({ packetId: 1, outcome: "delivered", reasonCode: 0 });
    expect(await two).toMatchObject({ packetId: 2, properties: { reasonString: "two" } });
    // Nothing is kept of them.
    expect((device.client as unknown as { _answers: Map<number, unknown> })._answers.size).toBe(0);
  });

  test.each([1, 2] as const)("refused by the broker at QoS %d, rejects with the reason code (3.4.2.1)", async (qos) => {
    const device = await new AsyncDevice5().up();
    const publication = device.client.publish("t", "x", { qos });
    const type = qos === 1 ? "PUBACK" : "PUBREC";
    await device.send({ type, packetId: 1, reasonCode: 0x87, properties: { reasonString: "not yours" } });
    expect(await rejection(publication)).toMatchObject({
      reason: 0x87,
      reasonCode: 0x87,
      outcome: "refused",
      packetId: 1,
      detail: { reasonString: "not yours" },
      message: "refused: not authorized (not yours)",
    });
    expect(await device.take()).toMatchObject([{ type: "puback", packetId: 1, reasonCode: 0x87 }]);
  });

  test("beyond what the broker takes rejects at once, and sends nothing (3.2.2.3)", async () => {
    const device = await new AsyncDevice5({ txCapacity: 4096 })
      .up({ maximumQoS: 1, retainAvailable: 0, maximumPacketSize: 5000 });
    const { client } = device;
    expect(await rejection(client.publish("t", "x", { qos: 2 }))).toMatchObject({
      reasonCode: 0x9b, outcome: "refused", packetId: 0,
    });
    expect(await rejection(client.publish("t", "x", { retain: true }))).toMatchObject({ reasonCode: 0x9a });
    // Above the transmit buffer, too.
    expect(await rejection(client.publish("t", letters(5000), { qos: 1 }))).toMatchObject({ reasonCode: 0x95 });
    expect(device.sent()).toEqual([]);
    // What was refused before is not held against the next.
    const publication = new Outcome(client.publish("t", letters(4500), { qos: 1 }));
    expect(device.sent()).toMatchObject([{ cmd: "publish", payload: letters(4500) }]);
    await flush();
    expect(publication.text).toBe("pending");
  });

  test("a message above the transmit buffer has its properties, which count", async () => {
    const device = await new AsyncDevice5({ txCapacity: 1024 }).up();
    const properties = { contentType: letters(100) };
    const whole = new Outcome(device.client.publish("t", letters(5000), { qos: 1, properties }));
    expect(device.sent()).toMatchObject([{ payload: letters(5000), properties }]);
    await device.send({ type: "PUBACK", packetId: 1, reasonCode: 0 });
    expect(JSON.parse(whole.text)).toMatchObject({ outcome: "delivered" });
    // The payload alone would fit.
    void device.client.publish("t", letters(1000), { qos: 1, properties });
    expect(device.sent()).toMatchObject([{ payload: letters(1000), properties }]);
  });

  test("wrong properties throw, and those of MQTT 5 are unknown to 3.1.1", async () => {
    const device = await new AsyncDevice5().up();
    expect(() => device.client.publish("t", "x", { properties: { sessionExpiryInterval: 1 } }))
      .toThrow('properties must not have "sessionExpiryInterval" here');
    expect(() => device.client.publish("t", "x", { properties: 5 as never })).toThrow("properties must be an object");
    const { AsyncDevice } = await import("../support/async-device.js");
    const old = await new AsyncDevice().up();
    expect(() => old.client.publish("t", "x", { properties: {} })).toThrow("properties belongs to MQTT 5");
    expect(() => old.client.disconnect({ reasonCode: 4 })).toThrow("reasonCode belongs to MQTT 5");
    expect(old.client.connected).toBe(true);
  });
});

describe("subscribe and unsubscribe", () => {
  test("have options for each filter, and properties (3.8.3.1)", async () => {
    const device = await new AsyncDevice5().up();
    const filters = ["a", { filter: "b", qos: 2 as const, nl: false, rh: 2 as const }];
    const results = device.client.subscribe(filters, {
      qos: 1, nl: true, rap: true, properties: { subscriptionIdentifier: 7 },
    });
    expect(device.sent()).toMatchObject([{
      cmd: "subscribe",
      subscriptions: [
        { topic: "a", qos: 1, nl: true, rap: true, rh: 0 },
        { topic: "b", qos: 2, nl: false, rap: true, rh: 2 },
      ],
      properties: { subscriptionIdentifier: 7 },
    }]);
    const properties = { reasonString: "half" };
    await device.send({ type: "SUBACK", packetId: 1, reasonCodes: [1, 0x87], properties });
    expect(await results).toEqual([
      { filter: "a", reasonCode: 1, properties }, { filter: "b", reasonCode: 0x87, properties },
    ]);
    expect(device.client.subscriptions()).toEqual({ a: 1 });
    const gone = device.client.unsubscribe(["a", "c"], { properties: { userProperty: [["k", "v"]] } });
    expect(device.sent()).toMatchObject([{ cmd: "unsubscribe", properties: { userProperties: { k: "v" } } }]);
    await device.send({ type: "UNSUBACK", packetId: 2, reasonCodes: [0x83, 0x11] });
    expect(await gone).toEqual([{ filter: "a", reasonCode: 0x83 }, { filter: "c", reasonCode: 0x11 }]);
    // It was not unsubscribed.
    expect(device.client.subscriptions()).toEqual({ a: 1 });
  });

  test("a table may have options in the place of a QoS, by name, too", async () => {
    const device = await new AsyncDevice5({ properties: { userProperty: [["a", "b"]] } }).up();
    void device.client.subscribe({ a: { qos: "exactly_once", rap: 1 }, b: "qos1" }, { rh: 2 });
    const [subscribe] = device.sent();
    expect(subscribe).toMatchObject(
      { subscriptions: [{ topic: "a", qos: 2, rap: true, rh: 2 }, { topic: "b", qos: 1, rap: false, rh: 2 }] },
    );
    expect(() => device.client.subscribe({ a: { rh: 3 as never } })).toThrow("rh must be an integer from 0 to 2");
    expect(() => device.client.subscribe("a", { nl: "yes" as never })).toThrow("nl must be 0, 1 or a boolean");
  });

  test("beyond what the broker takes rejects at once (3.2.2.3)", async () => {
    const device = await new AsyncDevice5().up({ wildcardSubscriptionAvailable: 0, sharedSubscriptionAvailable: 0 });
    expect(await rejection(device.client.subscribe("a/+"))).toMatchObject({ reasonCode: 0xa2, outcome: "refused" });
    expect(await rejection(device.client.subscribe("$share/s/a"))).toMatchObject({ reasonCode: 0x9e });
    expect(device.sent()).toEqual([]);
  });
});

describe("disconnect", () => {
  test("says why, and with which properties (3.14)", async () => {
    const device = await new AsyncDevice5({ cleanStart: false }).up();
    const gone = device.client.disconnect({ reasonCode: 4, properties: { sessionExpiryInterval: 9 } });
    expect(device.sent()).toMatchObject([
      { cmd: "disconnect", reasonCode: 4, properties: { sessionExpiryInterval: 9 } },
    ]);
    device.hal.settle();
    await gone;
    expect(await device.take()).toEqual([{ type: "disconnected", reason: 0 }]);
  });

  test("throws for a wrong reason code, and goes on", async () => {
    const device = await new AsyncDevice5().up();
    expect(() => device.client.disconnect({ reasonCode: 1 })).toThrow("reasonCode must be");
    expect(() => device.client.disconnect({ why: 1 } as never)).toThrow('unknown option "why"');
    expect(device.client.connected).toBe(true);
  });

  test("of the broker is told before the end, and why an iteration ends", async () => {
    const device = await new AsyncDevice5().up();
    const reading = device.client.messages().next();
    const properties = { reasonString: "another came" };
    await device.send({ type: "DISCONNECT", reasonCode: 0x8e, properties });
    expect(await device.take()).toEqual([
      { type: "disconnect", reasonCode: 0x8e, properties },
      { type: "disconnected", reason: -10 },
    ]);
    expect(await rejection(reading)).toMatchObject({
      reason: 0x8e,
      message: "the broker has ended the session with reason code 0x8e (another came)",
    });
  });

  test("of the broker is not held against a later session", async () => {
    const device = await new AsyncDevice5().up();
    await device.send({ type: "DISCONNECT", reasonCode: 0x8b });
    await device.up();
    const reading = device.client.messages().next();
    await device.lose();
    expect((await rejection(reading)).reason).toBe(-10);
  });

  test("of the broker, with a final code, ends a client that would connect again", async () => {
    const device = await new AsyncDevice5({ reconnect: Infinity }).up();
    await device.send({ type: "DISCONNECT", reasonCode: 0x8e });
    await device.advance(1000000);
    expect(device.hal.sockets).toHaveLength(1);
    expect(device.client.status().state).toBe("stopped");
    // The next session is not ended by it.
    await device.up();
    await device.lose();
    expect(device.client.status().state).toBe("waiting");
    device.client.stop();
  });
});

describe("messages", () => {
  test("have their properties, an empty object when there are none", async () => {
    const device = await new AsyncDevice5({ maxMessageLength: 5000, rxCapacity: 1024 }).up();
    const properties = { contentType: "text", userProperty: [["a", "b"]] };
    await device.send(message5("t", "x", properties), message5("t", "y"), message5("t", letters(3000), properties));
    const messages = (await device.take()).map((event) => (event as { message: Message }).message);
    expect(messages.map((each) => each.properties)).toEqual([properties, {}, properties]);
    expect(Buffer.from(messages[2].payload).toString()).toBe(letters(3000));
  });

  test("are acknowledged by the application with a reason code (3.4.2.1)", async () => {
    const device = await new AsyncDevice5({ autoAck: "never", receiveMaximum: 2 }).up();
    const { client } = device;
    await device.send(message5("t", "x", {}, 1, 5), message5("t", "y", {}, 2, 6));
    const [one, two] = (await device.take()).map((event) => (event as { message: Message }).message);
    expect(() => client.puback(one, { reasonCode: 1 })).toThrow("reason code must be one of a client");
    expect(client.puback(one, { reasonCode: 0x99 })).toBe(true);
    expect(client.pubrec(two, { reasonCode: 0x83 })).toBe(true);
    expect(device.sent()).toMatchObject([
      { cmd: "puback", messageId: 5, reasonCode: 0x99 }, { cmd: "pubrec", messageId: 6, reasonCode: 0x83 },
    ]);
    // By packet id, too.
    await device.send(message5("t", "x", {}, 1, 1), message5("t", "y", {}, 2, 2));
    expect(client.puback(1, { reasonCode: 0x80 })).toBe(true);
    expect(client.pubrec(2, { reasonCode: 0x87 })).toBe(true);
    await device.send({ type: "PUBREL", packetId: 3, reasonCode: 0 });
    expect(client.pubcomp(3, { reasonCode: 0x92 })).toBe(true);
    expect(device.sent().map(({ reasonCode }) => reasonCode)).toEqual([0x80, 0x87, 0x92]);
    expect(() => client.pubcomp(3, { reasonCode: 0x80 })).toThrow("reason code must be one of a client");
    await device.take();
    // The exchange is over: the same id is another message [MQTT-4.3.3-9].
    await device.send(message5("t", "z", {}, 2, 6));
    expect(await device.take()).toMatchObject([{ type: "publish", message: { packetId: 6 } }]);
  });
});
