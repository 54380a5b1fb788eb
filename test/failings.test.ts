/**
 * What another client gets wrong, by its own document or its code, and this one must not: thirteen failings of emqtt,
 * each with its test. What only MQTT 5 can say is shown here by what a client of MQTT 3.1.1 does with such bytes.
 */
import { describe, expect, test } from "@jest/globals";
import { AsyncClient } from "../src/async/client.js";
import { MockHal } from "../hal/mock.js";
import type { Client } from "../src/client.js";
import type { Reconnecting } from "../src/optional/reconnect.js";
import { withReconnect } from "../src/optional/reconnect.js";
import { withTimes } from "../src/optional/times.js";
import { AsyncDevice, flush, Outcome } from "./support/async-device.js";
import { Device, PINGRESP, ack, connack, message, suback } from "./support/device.js";

describe("failing 1: keepalive gaps up to twice the interval", () => {
  test("PINGREQ is out within one keepalive of the last packet sent, whenever that was [MQTT-3.1.2-23]", () => {
    for (let afterMs = 0; afterMs < 60000; afterMs += 1000) {
      const device = new Device({ keepalive: 60 }).up();
      device.hal.advance(afterMs);
      if (afterMs < 56000) {
        device.client.publish("t", "x");
        expect(device.sent()).toEqual(["PUBLISH t=x"]);
        device.hal.advance(59999);
      } else {
        device.hal.advance(59999 - afterMs);
      }
      expect(device.sent()).toContain("PINGREQ");
    }
  });
});

describe("failing 2: a keepalive of 0 closes the connection at once", () => {
  test("it means off: the session lasts, and nothing is sent", () => {
    const device = new Device({ extend: (client) => withTimes(client, { keepAlive: 0 }) }).up();
    device.hal.advance(86400000);
    expect(device.sent()).toEqual([]);
    expect(device.client.connected).toBe(true);
  });
});

describe("failing 3: an inbound QoS 2 message is lost across a reconnect, PUBREL for an unknown id unanswered", () => {
  test("its id outlives the connection: delivered once, and completed on the next [MQTT-4.3.3-2]", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.send(message("t", "once", { qos: 2, id: 7 }));
    expect(device.take()).toEqual(["message t=once"]);
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.up(true);
    device.send(message("t", "once", { qos: 2, id: 7, dup: true }));
    expect(device.take()).toEqual([]);
    expect(device.sent()).toEqual(["PUBREC #7"]);
    device.send(ack("PUBREL", 7));
    expect(device.sent()).toEqual(["PUBCOMP #7"]);
  });

  test("PUBREL for an id that is not known is answered with PUBCOMP", () => {
    const device = new Device().up();
    device.send(ack("PUBREL", 99));
    expect(device.sent()).toEqual(["PUBCOMP #99"]);
  });
});

describe("failing 4: PUBREL is sent even after a PUBREC that refuses", () => {
  test("MQTT 3.1.1 has no reason in PUBREC: one with 0x80 ends the connection, and PUBREL is not sent", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "x", 2);
    expect(device.sent()).toEqual(["PUBLISH t=x q2 #1"]);
    device.socket.receive([0x50, 3, 0, 1, 0x80]);
    expect(device.take()).toEqual(["offline -22"]);
    expect(device.sent()).toEqual([]);
  });
});

describe("failing 5: packet ids are reused while in flight", () => {
  test("an id in use is passed over when the numbers come round, and each message has its own callback", () => {
    const device = new Device({ options: { maxInflight: 65535, maxOperations: 65536 } }).up();
    device.client.publish("t", "first", 1);
    expect(device.sent()).toEqual(["PUBLISH t=first q1 #1"]);
    for (let id = 2; id <= 65535; id++) {
      device.client.publish("t", "", 1);
      device.send(ack("PUBACK", id));
    }
    device.sent();
    device.client.publish("t", "behind", 1);
    expect(device.sent()).toEqual(["PUBLISH t=behind q1 #2"]);
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toHaveLength(65535);
  });
});

describe("failing 6: a SUBSCRIBE that is pending when the connection is lost neither completes nor fails", () => {
  test("it fails, at once, also when the client connects again", async () => {
    for (const reconnect of [0, Infinity]) {
      const device = await new AsyncDevice({ reconnect }).up();
      const outcome = new Outcome(device.client.subscribe("t"));
      device.hal.settle();
      device.hal.socket.reset();
      await device.take();
      expect(outcome.text).toBe("MqttError: lost with its connection");
    }
  });
});

describe("failing 7: hosts are tried last first, and bad credentials for ever", () => {
  test("hosts are tried in their order, in each round", () => {
    const hosts = [{ host: "a" }, { host: "b" }, { host: "c" }];
    const device = new Device({ extend: (client) => withReconnect(client, { hosts, random: () => 1 }) });
    device.hal.script = (socket) => socket.fail("refused");
    (device.client as Client & Reconnecting).connect();
    device.hal.advance(1000);
    device.client.close();
    expect(device.hal.sockets.slice(0, 6).map(({ host }) => host).join("")).toBe("abcabc");
  });

  test("refused credentials are not tried again", () => {
    const device = new Device({ extend: (client) => withReconnect(client) });
    device.client.connect("broker");
    device.reach();
    device.send(connack(4));
    expect(device.take()).toEqual(["connfail 4"]);
    device.hal.advance(100000000);
    expect(device.hal.sockets).toHaveLength(1);
    expect((device.client as Client & Reconnecting).state).toBe("stopped");
  });

  test("the limit counts on where TCP comes up and CONNACK does not", () => {
    const device = new Device({ extend: (client) => withReconnect(client, { maxRounds: 3 }) });
    device.hal.script = (socket) => {
      socket.connect();
      socket.end();
    };
    device.client.connect("broker");
    device.hal.advance(100000000);
    expect(device.take()).toEqual(["connfail -5", "connfail -5", "connfail -5"]);
    expect(device.hal.sockets).toHaveLength(3);
  });
});

describe("failing 8: it never subscribes again, and ignores Session Present", () => {
  test.each([false, true])("session present %s: subscribed again exactly when it is not", (isPresent) => {
    const device = new Device({ cleansession: 0, extend: (client) => withReconnect(client) });
    device.up();
    device.client.subscribe("t", 1);
    device.sent();
    device.send(suback(1, 1));
    device.socket.reset();
    device.hal.advance(1000);
    device.reach();
    device.send(connack(0, isPresent));
    expect(device.sent()).toEqual(isPresent ? [] : ["SUBSCRIBE #2 t:1"]);
    if (!isPresent) device.send(suback(2, 1));
    device.take();
  });

  test("what one CONNACK said is not in the next CONNECT", () => {
    const device = new Device({ cleansession: 0, extend: (client) => withReconnect(client) });
    device.client.connect("broker");
    device.socket.connect();
    const [first] = device.sent();
    device.send(connack(0, true));
    device.socket.reset();
    device.hal.advance(1000);
    device.socket.connect();
    expect(device.sent()).toEqual([first]);
    device.take();
  });
});

describe("failing 9: topic aliases are not resolved, and protocol violations go without an answer", () => {
  test("MQTT 3.1.1 has no aliases: a message without a topic name ends the connection, and is not delivered", () => {
    const device = new Device().up();
    device.socket.receive([0x30, 3, 0, 0, 0x78]);
    expect(device.take()).toEqual(["offline -25"]);
  });
});

describe("failing 10: the server's last word in enhanced authentication goes unchecked", () => {
  test("MQTT 3.1.1 has no AUTH: it ends the attempt, before CONNACK and behind it", () => {
    const device = new Device();
    device.client.connect("broker");
    device.reach();
    device.socket.receive([0xf0, 2, 0, 0]);
    expect(device.take()).toEqual(["connfail -4"]);
    device.up();
    device.socket.receive([0xf0, 2, 0, 0]);
    expect(device.take()).toEqual(["offline -20"]);
  });
});

describe("failing 11: bad arguments crash the process, and calls before connect hang", () => {
  const mistakes: [string, (client: Client) => unknown, string][] = [
    ["a topic with a wildcard", (client) => client.publish("a/#", "x"), "topic must be"],
    ["an empty topic", (client) => client.publish("", "x"), "topic must be"],
    ["QoS 3", (client) => client.publish("t", "x", 3 as 2), "qos must be"],
    ["a filter with # in the middle", (client) => client.subscribe("#/a"), "topic must be"],
    ["an empty table", (client) => client.subscribe({}), "no topics found"],
    ["a payload that is none", (client) => client.publish("t", {} as string), "payload must be"],
    ["a topic that is no UTF-8", (client) => client.publish("\ud800", "x"), "topic must not have a lone surrogate"],
  ];

  test.each(mistakes)("%s throws by name, and changes nothing", (_name, call, expected) => {
    const device = new Device().up();
    expect(() => call(device.client)).toThrow(expected);
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual([]);
    expect(device.client.publish("t", "x")).toBe(true);
    expect(device.sent()).toEqual(["PUBLISH t=x"]);
  });

  test('an empty client identifier for a session that is to be kept throws ("" with cleansession 0)', () => {
    expect(() => new Device({ args: ["", 60, null, null, 0] })).toThrow("clientid must not be");
  });

  test("each call before connect answers at once, and nothing of it is left", () => {
    const device = new Device();
    const { client } = device;
    const answers = [client.publish("t", "x"), client.subscribe("t"), client.unsubscribe("t"), client.close()];
    expect(answers).toEqual([false, false, false, false]);
    device.up();
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual([]);
  });
});

describe("failing 12: refused subscriptions count as active, disconnect waits, and pause drops and stops", () => {
  test("a refused filter is not in subscriptions", async () => {
    const device = await new AsyncDevice().up();
    const results = device.client.subscribe(["yes", "no"], { qos: 1 });
    device.hal.settle();
    await device.send(suback(1, 1, 0x80));
    expect(await results).toEqual([{ filter: "yes", reasonCode: 1 }, { filter: "no", reasonCode: 0x80 }]);
    expect(device.client.subscriptions()).toEqual({ yes: 1 });
  });

  test("disconnect does not wait for an attempt, nor for a pause before one", async () => {
    const device = new AsyncDevice({ reconnect: Infinity });
    void device.client.connect();
    const during = new Outcome(device.client.disconnect());
    await flush();
    expect(during.text).toBe("done");
    device.hal.script = (socket) => socket.fail("refused");
    void device.client.connect();
    await device.advance(1);
    expect(device.client.status().state).toBe("waiting");
    const between = new Outcome(device.client.disconnect());
    await flush();
    expect([between.text, device.client.status().state]).toEqual(["done", "idle"]);
  });

  test("what comes while paused is delivered behind resume, and PINGREQ leaves in time", () => {
    const device = new Device({ keepalive: 60 }).up();
    device.client.pause();
    device.send(message("t", "1"), message("t", "2"));
    device.hal.advance(60000);
    expect(device.take()).toEqual([]);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP);
    device.client.resume();
    expect(device.take()).toEqual(["message t=1", "message t=2"]);
  });
});

describe("failing 13: unknown options and values are ignored", () => {
  test.each<[object, string]>([
    [{ rap: 1 }, 'unknown option "rap"'],
    [{ willQos: 1, willTopic: "w", cleanstart: true }, 'unknown option "cleanstart"'],
    [{ autoAck: 1 }, "autoAck must be"],
    [{ reconnect: "infinity" }, "reconnect must be"],
  ])("of a client: %j", (options, expected) => {
    expect(() => new AsyncClient(new MockHal(), options)).toThrow(expected);
  });

  test("of a call, of a module and of NodeMCU's face: refused by name, and nothing is changed", async () => {
    const device = await new AsyncDevice().up();
    const { client } = device;
    expect(() => client.subscribe("t", { rap: 1 } as object)).toThrow("rap belongs to MQTT 5");
    expect(() => client.publish("t", "x", { dup: true } as object)).toThrow('unknown option "dup"');
    expect(device.sent()).toEqual([]);
    const wrong = { maxDelay: 1 } as object;
    expect(() => new Device({ extend: (each) => withReconnect(each, wrong) })).toThrow('unknown option "maxDelay"');
    expect(() => new Device({ options: { rap: 1 } as object })).toThrow('unknown option "rap"');
  });
});
