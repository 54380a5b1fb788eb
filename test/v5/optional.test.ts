/** The modules that add to a client, with a client of MQTT 5. */
import { describe, expect, test } from "@jest/globals";
import { MockHal } from "../../hal/mock.js";
import type { ClientOptions } from "../../src/client.js";
import { createMqtt } from "../../src/client.js";
import { withAcknowledge } from "../../src/optional/acknowledge.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withPassword } from "../../src/optional/password.js";
import { withPing } from "../../src/optional/ping.js";
import { bridged } from "../../src/optional/protocols.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import type { ReconnectOptions } from "../../src/optional/reconnect.js";
import { withReconnect } from "../../src/optional/reconnect.js";
import { withRetry } from "../../src/optional/retry.js";
import { SNAPSHOT_VERSION, withSnapshot } from "../../src/optional/snapshot.js";
import { withStreams } from "../../src/optional/streams.js";
import { withSubscriptions } from "../../src/optional/subscriptions.js";
import { withTimes } from "../../src/optional/times.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import type { MqttClient5 } from "../../src/v5/face.js";
import { createMqtt5 } from "../../src/v5/face.js";
import { MQTT_5 } from "../../src/v5/v5.js";
import type { Seen } from "../support/async-device5.js";
import { connack5, message5, parse5 } from "../support/async-device5.js";
import { join } from "../support/bytes.js";
import { letters } from "../support/device.js";
import type { Packet5, Properties5 } from "../support/packets5.js";
import { reference5 } from "../support/packets5.js";

interface Made {
  cleansession?: 0 | 1;
  keepalive?: number;
  username?: string;
  options?: ClientOptions;
}

/** A client on a mock platform, and the broker at the other end. */
class Line<C extends MqttClient5> {
  readonly hal = new MockHal();
  readonly client: C;

  constructor(extend: (client: MqttClient5) => C, made: Made = {}) {
    const { cleansession = 1, keepalive = 60, username = null, options } = made;
    const mqtt = createMqtt5(this.hal);
    this.client = extend(mqtt.Client("id", keepalive, username, null, cleansession, options));
  }

  sent(): Seen[] {
    this.hal.settle();
    return parse5(this.hal.socket.takeSent());
  }

  send(...packets: Packet5[]): void {
    this.hal.socket.receive(join(...packets.map(reference5)));
    this.hal.settle();
  }

  /** The attempt that is under way is accepted; CONNECT is returned. */
  accept(properties: Properties5 = {}, sessionPresent = false): Seen {
    this.hal.settle();
    this.hal.socket.connect();
    const [connect] = this.sent();
    this.send(connack5(properties, sessionPresent));
    return connect;
  }

  up(properties: Properties5 = {}, sessionPresent = false): this {
    this.client.connect("broker");
    this.accept(properties, sessionPresent);
    return this;
  }

  lose(): void {
    this.hal.socket.fail("closed");
    this.hal.settle();
  }

  refuse(reasonCode: number): void {
    this.hal.settle();
    this.hal.socket.connect();
    this.sent();
    this.send(connack5({}, false, reasonCode));
  }
}

function line<C extends MqttClient5>(extend: (client: MqttClient5) => C, made?: Made): Line<C> {
  return new Line(extend, made);
}

describe("outcomes", () => {
  const outcomesOf = (device: Line<MqttClient5 & ReturnType<typeof withOutcomes>>): string[] => {
    const heard: string[] = [];
    device.client.outcome((_, outcome, codes) => heard.push(`${outcome} ${Array.from(codes ?? []).join()}`.trim()));
    return heard;
  };

  test("a message that the broker refuses is refused, with its code; one that nobody wants is not (3.4.2.1)", () => {
    const device = line(withOutcomes).up();
    const expected: [Packet5["type"], number, string][] = [
      ["PUBACK", 0x97, "refused 151"], ["PUBACK", 0x10, "delivered 16"], ["PUBACK", 0, "delivered"],
    ];
    expected.forEach(([type, reasonCode, text], index) => {
      device.client.publish("t", "x", 1);
      const heard = outcomesOf(device);
      device.send({ type, packetId: index + 1, reasonCode } as Packet5);
      expect(heard).toEqual([text]);
    });
    device.client.publish("t", "x", 2);
    const heard = outcomesOf(device);
    device.send({ type: "PUBREC", packetId: 4, reasonCode: 0x87 });
    expect(heard).toEqual(["refused 135"]);
  });

  test("an unsubscribe is refused when all of it is (3.11.3)", () => {
    const device = line(withOutcomes).up();
    device.client.unsubscribe({ a: 0, b: 0 });
    let heard = outcomesOf(device);
    device.send({ type: "UNSUBACK", packetId: 1, reasonCodes: [0x83, 0x11] });
    expect(heard).toEqual(["delivered 131,17"]);
    device.client.unsubscribe("a");
    heard = outcomesOf(device);
    device.send({ type: "UNSUBACK", packetId: 2, reasonCodes: [0x87] });
    expect(heard).toEqual(["refused 135"]);
  });

  test("what is beyond limits that the next broker tells is refused (3.2.2.3)", () => {
    const device = line(withOutcomes, { cleansession: 0, options: { queueOffline: true } });
    device.client.publish("t", "x", 1, 1);
    const heard = outcomesOf(device);
    device.up({ retainAvailable: 0 });
    expect(heard).toEqual(["refused 154"]);
    expect(device.sent()).toEqual([]);
  });
});

describe("queue", () => {
  const dropping = (client: MqttClient5) => withQueuePolicy(client, { dropPolicy: "drop-oldest" });

  test("passes properties on, also of what makes others go", () => {
    const options = { queueOffline: true, txCapacity: 128 };
    const device = line(dropping, { cleansession: 0, options });
    for (const payload of ["1", "2", "3"]) {
      expect(device.client.publish("t", payload + letters(29), 0)).toBe(true);
    }
    // 30 + 6 bytes each: 20 are left, and it takes 41.
    expect(device.client.publish("t", letters(25), 0, 0, null, { contentType: "abcdef" })).toBe(true);
    device.up();
    expect(device.sent()).toMatchObject([
      { payload: "2" + letters(29) }, { payload: "3" + letters(29) },
      { payload: letters(25), properties: { contentType: "abcdef" } },
    ]);
  });

  test("counts properties: what can never fit makes nothing go", () => {
    const options = { queueOffline: true, txCapacity: 128 };
    const device = line(dropping, { cleansession: 0, options });
    expect(device.client.publish("t", "kept", 0)).toBe(true);
    // Without them it would, in the place of the other.
    expect(device.client.publish("t", letters(115), 0, 0, null, { contentType: letters(30) })).toBe(false);
    expect(device.client.publish("t", "plain", 0)).toBe(true);
    device.up();
    const [kept, plain] = device.sent();
    expect([kept.payload, plain.payload]).toEqual(["kept", "plain"]);
    expect(plain.properties).toBeUndefined();
  });

  test("what the broker does not take makes nothing go (3.2.2.3)", () => {
    const device = line(dropping, { options: { maxOperations: 2 } }).up({ maximumQoS: 1, maximumPacketSize: 3000 });
    device.hal.socket.stall();
    // This much the platform has room for.
    for (let i = 0; i < 2; i++) {
      expect(device.client.publish("t", letters(1460 - 7))).toBe(true);
      expect(device.sent()).toHaveLength(1);
    }
    for (const payload of ["1", "2"]) expect(device.client.publish("t", payload)).toBe(true);
    expect(device.client.publish("t", "3", 2)).toBe(false);
    expect(device.client.publish("t", letters(3000))).toBe(false);
    device.hal.socket.unstall();
    expect(device.sent()).toMatchObject([{ payload: "1" }, { payload: "2" }]);
  });
});

describe("an age limit of a message that expires by itself (3.3.2.3.3)", () => {
  const offline: Made = { cleansession: 0, options: { queueOffline: true } };
  const queueing = (client: MqttClient5) => withQueuePolicy(client, {});
  const waiting = (limitMs: number): Line<ReturnType<typeof queueing>> => {
    const device = line(queueing, offline);
    device.hal.advance(3);
    device.client.publish("t", "x", 1, 0, null, { messageExpiryInterval: 100 });
    device.client.expire(limitMs);
    return device;
  };

  test.each([30000, 30001])("does not shorten what the broker is told, %d ms", (limitMs) => {
    const device = waiting(limitMs);
    device.hal.advance(20000);
    device.up();
    expect(device.sent()).toMatchObject([{ properties: { messageExpiryInterval: 100 } }]);
  });

  test("counts where it is the shorter one", () => {
    const device = waiting(30000);
    device.hal.advance(30001);
    device.up();
    expect(device.sent()).toEqual([]);
  });

  test("does not put off its end, and of that the broker is told how long it has left", () => {
    const late = waiting(200000);
    late.hal.advance(100000);
    late.up();
    expect(late.sent()).toEqual([]);
    const early = waiting(200000);
    early.hal.advance(60000);
    early.up();
    expect(early.sent()).toMatchObject([{ properties: { messageExpiryInterval: 40 } }]);
  });

  test("a later call counts, too", () => {
    const device = waiting(10000);
    device.client.expire(50000);
    device.hal.advance(20000);
    device.up();
    expect(device.sent()).toMatchObject([{ properties: { messageExpiryInterval: 100 } }]);
  });

  test.each([[0, 20001], [1, 20000], [2, 20003]])("outlives a snapshot, %d ms and %d ms on", (before, sleptMs) => {
    for (const [limitMs, left] of [[30000, 100], [200000, 80]]) {
      const device = line((client) => withSnapshot(queueing(client)), offline);
      device.hal.advance(3);
      device.client.publish("t", "x", 1, 0, null, { messageExpiryInterval: 100 });
      device.client.expire(limitMs);
      device.hal.advance(before);
      const bytes = new Uint8Array(200);
      device.client.snapshot(bytes);
      const next = line((client) => withSnapshot(queueing(client)), offline);
      next.hal.advance(7);
      expect(next.client.restore(bytes, sleptMs)).toBe(1);
      next.up();
      expect(next.sent()).toMatchObject([{ properties: { messageExpiryInterval: left } }]);
    }
  });
});

describe("streams", () => {
  const source = (text: string) => ({
    byteLength: text.length,
    read(offset: number, bytes: Uint8Array, start: number, end: number): number {
      bytes.set(Buffer.from(text.slice(offset, offset + end - start)), start);
      return end - start;
    },
  });

  test("have properties in the last argument", () => {
    const device = line((client) => withStreams(client), { options: { txCapacity: 256 } }).up();
    const properties = { contentType: "text" };
    expect(device.client.publishFrom("t", source(letters(1000)), 1, 0, null, properties)).toBe(true);
    expect(device.sent()).toMatchObject([{ payload: letters(1000), qos: 1, properties }]);
    device.send({ type: "PUBACK", packetId: 1, reasonCode: 0 });
    expect(device.client.beginPublish("t", 3, 0, null, properties)).toBe(true);
    expect(device.client.write(Buffer.from("abc"))).toBe(3);
    expect(device.sent()).toMatchObject([{ payload: "abc", properties }]);
    // They are of that message only.
    device.client.publish("t", "x");
    expect(device.sent()[0].properties).toBeUndefined();
    expect(() => device.client.publishFrom("t", source("x"), 1, 0, null, { topicAlias: 1 } as never))
      .toThrow('properties must not have "topicAlias" here');
  });

  test("the broker's Maximum Packet Size counts the whole: false at once [MQTT-3.2.2-15]", () => {
    const device = line((client) => withStreams(client)).up({ maximumPacketSize: 1000, retainAvailable: 0 });
    // Type, two bytes of length, topic, packet id, length of properties: nine.
    expect(device.client.publishFrom("t", source(letters(992)), 1)).toBe(false);
    expect(device.client.refusal).toBe(0x95);
    expect(device.client.publishFrom("t", source("x"), 1, 1)).toBe(false);
    expect(device.client.refusal).toBe(0x9a);
    expect(device.sent()).toEqual([]);
    expect(device.client.publishFrom("t", source(letters(991)), 1)).toBe(true);
    expect(device.client.refusal).toBe(0);
    expect(device.sent()).toMatchObject([{ payload: letters(991) }]);
    // Another is under way: that is no refusal.
    expect(device.client.publishFrom("t", source("x"), 1)).toBe(false);
    expect(device.client.refusal).toBe(0);
  });

  test("what is too large for the next broker has its outcome there, and no DUP where there is no session", () => {
    const extend = (client: MqttClient5) => withStreams(withOutcomes(client));
    for (const [maximumPacketSize, expected] of [[100, ["refused 149"]], [1000, []]] as const) {
      const device = line(extend, { cleansession: 0 }).up();
      const heard: string[] = [];
      device.client.publishFrom("t", source(letters(200)), 1);
      device.client.outcome((_, outcome, codes) => heard.push(`${outcome} ${Array.from(codes ?? []).join()}`));
      expect(device.sent()).toHaveLength(1);
      device.lose();
      device.up({ maximumPacketSize });
      expect(heard).toEqual(expected);
      const again = device.sent();
      expect(again).toHaveLength(expected.length === 0 ? 1 : 0);
      expect(again.some(({ dup }) => dup === true)).toBe(false);
    }
  });

  test("3.1.1 has no properties", () => {
    const client = withStreams(createMqtt(new MockHal(), MQTT_3_1_1).Client("id"));
    expect(() => client.publishFrom("t", source("x"), 0, 0, null, {})).toThrow("properties belongs to MQTT 5");
  });
});

describe("password", () => {
  test("is asked for at each attempt, also without a username (3.1.2.9)", () => {
    let count = 0;
    const device = line((client) => withPassword(client, () => `p${++count}`));
    device.client.lwt("w", "gone", 0, 0, { willDelayInterval: 3 });
    for (const password of ["p1", "p2"]) {
      device.client.connect("broker");
      expect(device.accept()).toMatchObject({ password, will: { properties: { willDelayInterval: 3 } } });
      device.lose();
    }
  });

  test("what the application does with its bytes later changes nothing", () => {
    const secret = new Uint8Array([0x61, 0x62]);
    const device = line((client) => withPassword(client, () => secret), { username: "u" });
    device.client.connect("broker");
    secret.fill(0);
    expect(device.accept()).toMatchObject({ username: "u", password: "ab" });
  });
});

test("retry is not for MQTT 5 [MQTT-4.4.0-1]", () => {
  expect(() => line((client) => withRetry(client))).toThrow("client must not be one of MQTT 5");
});

test("bridged is not for MQTT 5", () => {
  expect(() => createMqtt(new MockHal(), bridged(MQTT_5)).Client("id")).toThrow("bridged must not be given MQTT 5");
});

describe("times and ping with a server keep alive (3.2.2.3.14)", () => {
  /** Seconds up to PINGREQ. */
  function secondsToPing(device: Line<MqttClient5>, talk = false): number {
    for (let seconds = 1; seconds < 200; seconds++) {
      if (talk) device.client.publish("t", "x");
      device.hal.advance(1000);
      if (device.sent().some(({ cmd }) => cmd === "pingreq")) return seconds;
    }
    return -1;
  }

  test("none of one's own: the server's counts, and on the next connection none again", () => {
    const device = line((client) => withTimes(client, { keepAlive: 0 }));
    device.client.connect("broker");
    expect(device.accept({ serverKeepAlive: 32 }).keepalive).toBeUndefined();
    expect(secondsToPing(device)).toBe(30);
    device.lose();
    device.client.connect("broker");
    expect(device.accept().keepalive).toBeUndefined();
    expect(secondsToPing(device)).toBe(-1);
  });

  test("forcePing goes by it", () => {
    const device = line((client) => withPing(client, { forcePing: 1 })).up({ serverKeepAlive: 16 });
    expect(secondsToPing(device, true)).toBe(15);
  });
});

describe("snapshot", () => {
  const saved = (): Uint8Array => {
    const device = line(withSnapshot, { cleansession: 0 }).up();
    device.client.publish("t", "x", 1, 0, null, { contentType: "text" });
    const bytes = new Uint8Array(200);
    return bytes.slice(0, device.client.snapshot(bytes));
  };

  test("brings back what was under way, with its properties", () => {
    const device = line(withSnapshot, { cleansession: 0 });
    expect(device.client.restore(saved())).toBe(1);
    device.up({}, true);
    expect(device.sent()).toMatchObject([{ payload: "x", properties: { contentType: "text" } }]);
  });

  test("of the other version is refused, both ways", () => {
    const old = withSnapshot(createMqtt(new MockHal(), MQTT_3_1_1).Client("id", 60, null, null, 0));
    expect(old.restore(saved())).toBe(SNAPSHOT_VERSION);
    const bytes = new Uint8Array(200);
    const of311 = bytes.slice(0, old.snapshot(bytes));
    expect(line(withSnapshot, { cleansession: 0 }).client.restore(of311)).toBe(SNAPSHOT_VERSION);
  });
});

describe("subscriptions", () => {
  test("an UNSUBACK that refuses leaves the filter (3.11.3)", () => {
    const device = line((client) => withSubscriptions(client)).up();
    device.client.subscribe({ a: 1, b: { qos: 2, nl: true } });
    device.send({ type: "SUBACK", packetId: 1, reasonCodes: [1, 2] });
    device.client.unsubscribe({ a: 0, b: 0 });
    device.send({ type: "UNSUBACK", packetId: 2, reasonCodes: [0x83, 0] });
    expect(device.client.subscriptions()).toEqual({ a: 1 });
  });

  test("one whose outcome waits while the connection is lost counts, too", () => {
    const device = line((client) => withSubscriptions(client), { cleansession: 0 }).up();
    device.client.subscribe({ a: 1, b: 1 });
    device.send({ type: "SUBACK", packetId: 1, reasonCodes: [1, 1] });
    // In front of it is a message without an outcome.
    device.client.publish("t", "x", 1);
    device.client.unsubscribe({ a: 0, b: 0 });
    device.send({ type: "UNSUBACK", packetId: 3, reasonCodes: [0x83, 0x11] });
    device.lose();
    expect(device.client.subscriptions()).toEqual({ a: 1 });
  });
});

describe("reconnect", () => {
  const staying = (options?: ReconnectOptions) => (client: MqttClient5) => withReconnect(client, options);
  const states = (device: Line<MqttClient5 & ReturnType<typeof withReconnect>>): string[] => {
    const heard: string[] = [];
    device.client.onState((_, state, { host, reason }) => heard.push(`${state} ${host} ${reason}`));
    return heard;
  };

  test("subscriptions are renewed as they were asked for, with options and identifiers (3.8)", () => {
    const device = line(staying()).up();
    const { client } = device;
    client.subscribe({ a: { qos: 1, nl: true }, b: { qos: 2, rap: true, rh: 1 } }, null, { subscriptionIdentifier: 7 });
    client.subscribe("c", { qos: 1, rh: 2 }, null, { subscriptionIdentifier: 8 });
    client.subscribe("d", 1);
    client.subscribe("e", 1, null, { subscriptionIdentifier: 7 });
    device.send({ type: "SUBACK", packetId: 1, reasonCodes: [1, 2] });
    for (const packetId of [2, 3, 4]) device.send({ type: "SUBACK", packetId, reasonCodes: [1] });
    const asked = device.sent();
    expect(asked).toHaveLength(4);
    device.lose();
    device.hal.advance(60000);
    device.accept();
    const renewed = device.sent().map(({ subscriptions, properties }) => ({ subscriptions, properties }));
    expect(renewed).toEqual([
      {
        subscriptions: [
          { topic: "a", qos: 1, nl: true, rap: false, rh: 0 },
          { topic: "b", qos: 2, nl: false, rap: true, rh: 1 },
          { topic: "e", qos: 1, nl: false, rap: false, rh: 0 },
        ],
        properties: { subscriptionIdentifier: 7 },
      },
      {
        subscriptions: [{ topic: "c", qos: 1, nl: false, rap: false, rh: 2 }],
        properties: { subscriptionIdentifier: 8 },
      },
      { subscriptions: [{ topic: "d", qos: 1, nl: false, rap: false, rh: 0 }], properties: undefined },
    ]);
    // It is of a renewal only.
    client.subscribe("f", 0);
    expect(device.sent()[0].properties).toBeUndefined();
  });

  test("what the next broker does not take is not asked for, and told (3.2.2.3)", () => {
    const device = line(staying()).up();
    const { client } = device;
    client.subscribe({ "a/+": 1, b: 1, "$share/s/c": 0 });
    device.send({ type: "SUBACK", packetId: 1, reasonCodes: [1, 1, 0] });
    device.sent();
    const heard: string[] = [];
    client.onRenewal((_, filter, code) => heard.push(`${filter} ${code}`));
    device.lose();
    device.hal.advance(60000);
    device.accept({ wildcardSubscriptionAvailable: 0, sharedSubscriptionAvailable: 0 });
    const [renewed, ...others] = device.sent();
    expect(renewed.subscriptions).toMatchObject([{ topic: "b" }]);
    expect(others).toEqual([]);
    device.send({ type: "SUBACK", packetId: renewed.messageId as number, reasonCodes: [1] });
    expect(heard).toEqual(["a/+ 162", "$share/s/c 158", "b 1"]);
    device.hal.advance(5000);
    expect(device.sent()).toEqual([]);
    expect(client.subscriptions()).toEqual({ b: 1 });
  });

  test("with hosts, connect has properties of CONNECT as its last argument", () => {
    const device = line(staying({ hosts: [{ host: "one", port: 5 }] }));
    let accepted = 0;
    device.client.connect(() => accepted++, null, { userProperty: [["a", "b"]] });
    expect(device.accept()).toMatchObject({ properties: { userProperties: { a: "b" } } });
    expect(accepted).toBe(1);
    expect(`${device.hal.socket.host}:${device.hal.socket.port}`).toBe("one:5");
  });

  const hosts = [{ host: "one" }, { host: "two" }];
  const FINAL = [0x81, 0x82, 0x84, 0x85, 0x86, 0x87, 0x8a, 0x8c, 0x90, 0x95, 0x99, 0x9a, 0x9b];
  const OTHERS = [0x80, 0x83, 0x88, 0x89, 0x97, 0x9c, 0x9d, 0x9f];

  test.each(FINAL)("CONNACK with %d ends it (3.2.2.2)", (code) => {
    const device = line(staying({ hosts }));
    const heard = states(device);
    device.client.connect();
    device.refuse(code);
    device.hal.advance(1000000);
    expect(device.hal.sockets).toHaveLength(1);
    expect(heard[heard.length - 1]).toBe(`stopped one ${code}`);
  });

  test.each(OTHERS)("behind CONNACK with %d it goes on with the next broker (3.2.2.2)", (code) => {
    const device = line(staying({ hosts }));
    device.client.connect();
    device.refuse(code);
    device.hal.settle();
    expect(device.hal.sockets.map(({ host }) => host)).toEqual(["one", "two"]);
  });

  test.each([0x82, 0x87, 0x8e, 0x95])("the broker's DISCONNECT with %d ends it (3.14.2.1)", (code) => {
    const device = line(staying()).up();
    const heard = states(device);
    let reason: number | undefined;
    device.client.on("offline", (_, given) => (reason = given));
    device.send({ type: "DISCONNECT", reasonCode: code });
    device.hal.advance(1000000);
    expect(device.hal.sockets).toHaveLength(1);
    expect(heard).toEqual([`stopped broker ${code}`]);
    expect(reason).toBe(-10);
  });

  test.each([0x8b, 0x8d, 0x9c])("behind the broker's DISCONNECT with %d it tries again (3.14.2.1)", (code) => {
    const device = line(staying()).up();
    device.send({ type: "DISCONNECT", reasonCode: code });
    device.hal.advance(60000);
    expect(device.hal.sockets).toHaveLength(2);
  });

  test("a DISCONNECT that was final is not held against the session after it", () => {
    const device = line(staying()).up();
    device.send({ type: "DISCONNECT", reasonCode: 0x8e });
    device.client.connect("broker");
    device.accept();
    device.lose();
    expect(device.client.state).toBe("waiting");
  });

  test("with retryRefused it tries again after the longest pause", () => {
    const device = line(staying({ retryRefused: true, maxDelayMs: 50000 })).up();
    device.send({ type: "DISCONNECT", reasonCode: 0x8e });
    device.hal.advance(49999);
    expect(device.hal.sockets).toHaveLength(1);
    device.hal.advance(1);
    expect(device.hal.sockets).toHaveLength(2);
  });
});

describe("acknowledge", () => {
  const manual = (client: MqttClient5) => withAcknowledge(client, { autoAck: "never" });
  const ids = (seen: Seen[]): string[] => seen.map(({ cmd, messageId, reasonCode }) =>
    `${cmd} ${String(messageId)} ${Number(reasonCode ?? 0).toString(16)}`);

  test("reason codes stay with their acknowledgement, in the broker's order [MQTT-4.6.0-2]", () => {
    const device = line(manual).up();
    device.send(message5("t", "x", {}, 1, 1), message5("t", "y", {}, 1, 2), message5("t", "z", {}, 1, 3));
    expect(device.client.puback(2, 0x97)).toBe(true);
    expect(device.client.puback(3)).toBe(true);
    expect(device.sent()).toEqual([]);
    expect(device.client.puback(1, 0x99)).toBe(true);
    expect(ids(device.sent())).toEqual(["puback 1 99", "puback 2 97", "puback 3 0"]);
  });

  test("a PUBREC that refuses ends the exchange: its id is free for another message [MQTT-4.3.3-9]", () => {
    const device = line(manual, { options: { receiveMaximum: 1 } }).up();
    let count = 0;
    device.client.on("message", () => count++);
    for (let i = 1; i <= 3; i++) {
      device.send(message5("t", "x", {}, 2, 7));
      expect(count).toBe(i);
      expect(device.client.pubrec(7, 0x83)).toBe(true);
      expect(ids(device.sent())).toEqual(["pubrec 7 83"]);
    }
    // One that accepts does not.
    device.send(message5("t", "x", {}, 2, 7));
    device.client.pubrec(7);
    device.send(message5("t", "x", {}, 2, 7));
    expect(count).toBe(4);
  });

  test("refused without its connection, a message comes once more", () => {
    const device = line(manual, { cleansession: 0 }).up();
    let count = 0;
    device.client.on("message", () => count++);
    device.send(message5("t", "x", {}, 2, 7));
    device.lose();
    expect(device.client.pubrec(7, 0x83)).toBe(true);
    device.up({}, true);
    device.sent();
    device.send(message5("t", "x", {}, 2, 7));
    expect(count).toBe(2);
    expect(device.sent()).toEqual([]);
  });

  test("PUBREL of an unknown id is answered so, and no other acknowledgement is (3.7.2.1)", () => {
    const device = line(manual).up();
    device.send(message5("t", "x", {}, 1, 1));
    // What is given in the same turn waits for that turn's end.
    device.client.onPubrel((client, packetId) => {
      device.client.puback(1);
      if (packetId === 9) device.client.pubcomp(9);
    });
    device.send({ type: "PUBREL", packetId: 8, reasonCode: 0 }, { type: "PUBREL", packetId: 9, reasonCode: 0 });
    expect(device.client.pubcomp(8)).toBe(true);
    expect(ids(device.sent())).toEqual(["puback 1 0", "pubcomp 9 92", "pubcomp 8 92"]);
    device.send(message5("t", "x", {}, 2, 4));
    device.client.pubrec(4);
    device.send({ type: "PUBREL", packetId: 4, reasonCode: 0 });
    device.client.pubcomp(4);
    expect(ids(device.sent())).toEqual(["pubrec 4 0", "pubcomp 4 0"]);
  });

  test("one that is given too late is in no other packet", () => {
    const device = line(manual).up();
    device.send(message5("t", "x", {}, 1, 1));
    device.hal.socket.stall();
    for (let i = 0; i < 2; i++) {
      device.client.publish("t", letters(1460 - 7));
      device.hal.settle();
    }
    // That is not for a broker to send: DISCONNECT is on its way.
    device.send(connack5());
    device.client.puback(1, 0x97);
    device.lose();
    device.up();
    device.hal.advance(60000);
    expect(Array.from(device.hal.socket.takeSent())).toEqual([0xc0, 0]);
  });

  test("reason codes are those that a client may send, and none with 3.1.1 (3.4.2.1)", () => {
    const device = line(manual).up();
    device.send(message5("t", "x", {}, 1, 1));
    const allowed = [0x80, 0x83, 0x87, 0x90, 0x91, 0x97, 0x99];
    for (let code = 1; code < 256; code++) {
      if (allowed.includes(code)) continue;
      expect(() => device.client.puback(1, code)).toThrow("reason code must be one of a client");
    }
    expect(() => device.client.pubcomp(1, 0x80)).toThrow("reason code must be one of a client");
    expect(() => device.client.puback(1, 256)).toThrow("reason code must be an integer from 0 to 255");
    for (const code of allowed) {
      expect(device.client.pubrec(5, code)).toBe(false);
    }
    const old = withAcknowledge(createMqtt(new MockHal(), MQTT_3_1_1).Client("id"));
    expect(() => old.puback(1, 0x80)).toThrow("reason code belongs to MQTT 5");
    expect(old.puback(1, 0)).toBe(false);
  });
});
