/** `queueOffline`: what is published without a session leaves with the next one. */
import { describe, expect, test } from "@jest/globals";
import { createMqtt } from "../../src/client.js";
import type { ClientOptions, QoS } from "../../src/client.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { MockHal } from "../../hal/mock.js";
import { Device, ack, connack, message, suback } from "../support/device.js";

/** A device that queues while it is offline. */
function queueing(options: ClientOptions = {}): Device {
  return new Device({ cleansession: 0, options: { queueOffline: true, ...options } });
}

/** Publishes numbered messages, at QoS 0, 1 and 2 in turn; says how many were accepted. */
function publish(device: Device, from: number, to: number, qos?: QoS): number {
  let count = 0;
  for (let i = from; i <= to; i++) if (device.client.publish("t", `${i}`, qos ?? (i % 3) as QoS)) count++;
  return count;
}

/** What is sent of them; the ids of those above QoS 0 from `id` on. */
function lines(from: number, to: number, id = 1): string[] {
  const all: string[] = [];
  for (let i = from; i <= to; i++) all.push(`PUBLISH t=${i}${i % 3 === 0 ? "" : ` q${i % 3} #${id++}`}`);
  return all;
}

describe("The option queueOffline", () => {
  test("is false by default: publish answers false without a session", () => {
    for (const options of [{}, { queueOffline: false }, { queueOffline: undefined }]) {
      for (const cleansession of [0, 1] as const) {
        const device = new Device({ cleansession, options: options as ClientOptions });
        for (const qos of [0, 1, 2] as const) expect(device.client.publish("t", "x", qos)).toBe(false);
        device.client.connect("broker");
        expect(device.client.publish("t", "x", 1)).toBe(false);
        device.accept();
        expect(device.sent()).toEqual([]);
      }
    }
  });

  test("throws with cleansession 1", () => {
    const mqtt = createMqtt(new MockHal(), MQTT_3_1_1);
    for (const cleansession of [1, true, null, undefined] as const) {
      expect(() => mqtt.Client("id", 60, null, null, cleansession, { queueOffline: true })).toThrow(TypeError);
    }
    expect(() => mqtt.Client("id", 60, null, null, 1, { queueOffline: false })).not.toThrow();
    expect(() => mqtt.Client("id", 60, null, null, 0, { queueOffline: true })).not.toThrow();
  });

  test("throws for what is no flag", () => {
    const mqtt = createMqtt(new MockHal(), MQTT_3_1_1);
    for (const queueOffline of [2, "yes", {}]) {
      expect(() => mqtt.Client("id", 60, null, null, 0, { queueOffline } as never)).toThrow(/^queueOffline must be /);
    }
  });
});

describe("Messages published without a session", () => {
  test("leave with the first one, in order, at every QoS; their outcomes come in that order", () => {
    const device = queueing();
    expect(publish(device, 1, 9)).toBe(9);
    device.hal.advance(100000);
    expect(device.take()).toEqual([]);
    expect(device.hal.nextTimerMs).toBeUndefined();
    device.up();
    // Taken by up().
    expect(device.broker.packets.slice(1).map((packet) => (packet as { payload: string }).payload)).toEqual(
      ["1", "2", "3", "4", "5", "6", "7", "8", "9"],
    );
    device.send(ack("PUBACK", 1), ack("PUBREC", 2), ack("PUBCOMP", 2));
    expect(device.take()).toEqual(["puback", "puback", "puback"]);
  });

  test("leave without DUP, under ids from 1 on [MQTT-3.3.1-1]", () => {
    const device = queueing();
    publish(device, 1, 6);
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(lines(1, 6));
    device.events.length = 0;
  });

  test("leave behind connect, before what is published in its callback", () => {
    const device = queueing();
    publish(device, 1, 2);
    device.during.connect = () => {
      device.client.subscribe("s");
      device.client.publish("t", "later");
    };
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual([...lines(1, 2), "SUBSCRIBE #3 s:0", "PUBLISH t=later"]);
    expect(device.take()).toEqual(["connect"]);
  });

  test("are accepted while an attempt is under way, at each of its steps, and do not leave before CONNACK", () => {
    const device = queueing();
    device.client.connect("broker");
    expect(publish(device, 1, 2)).toBe(2);
    device.socket.connect(5);
    device.socket.stall();
    expect(publish(device, 3, 4)).toBe(2);
    device.socket.unstall();
    expect(device.sent()).toEqual(['CONNECT "id" persistent 60']);
    expect(publish(device, 5, 6)).toBe(2);
    expect(device.sent()).toEqual([]);
    device.send(connack());
    expect(device.sent()).toEqual(lines(1, 6));
    device.events.length = 0;
  });

  test("survive attempts that fail, are refused, superseded or aborted", () => {
    const device = queueing();
    publish(device, 1, 3);
    device.client.connect("broker");
    device.socket.fail("refused");
    expect(device.take()).toEqual(["connfail -5"]);
    publish(device, 4, 5);
    device.client.connect("broker");
    device.client.connect("other");
    device.reach();
    device.send(connack(5));
    expect(device.take()).toEqual(["connfail 5"]);
    device.client.connect("broker");
    device.reach();
    device.client.abort();
    device.client.connect("broker");
    device.reach();
    device.client.close();
    expect(device.sent()).toEqual(["DISCONNECT"]);
    publish(device, 6, 6);
    device.take();
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(lines(1, 6));
    device.events.length = 0;
  });

  test("are accepted up to the capacity of the table, and again when there is room", () => {
    const device = queueing({ maxOperations: 4 });
    expect(publish(device, 1, 10)).toBe(4);
    device.client.connect("broker");
    device.reach();
    expect(publish(device, 11, 11)).toBe(0);
    device.send(connack());
    expect(device.sent()).toEqual(lines(1, 4));
    device.send(ack("PUBACK", 1), ack("PUBREC", 2), ack("PUBCOMP", 2));
    expect(device.take()).toEqual(["connect", "puback", "puback", "puback"]);
    expect(publish(device, 12, 20)).toBe(3);
    device.events.length = 0;
  });

  test("are accepted up to the capacity of the transmit buffer, to the byte", () => {
    const device = queueing({ txCapacity: 128 });
    // 5 bytes beside the payload.
    expect(device.client.publish("t", "x".repeat(124))).toBe(false);
    expect(device.client.publish("t", "x".repeat(59))).toBe(true);
    expect(device.client.publish("t", "x".repeat(60))).toBe(false);
    expect(device.client.publish("t", "x".repeat(59))).toBe(true);
    expect(device.client.publish("t", "")).toBe(false);
    device.up();
    expect(device.broker.packets).toHaveLength(3);
    device.events.length = 0;
  });

  test("leave as the window lets them", () => {
    const device = queueing({ maxInflight: 1 });
    publish(device, 1, 3, 1);
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    for (let id = 1; id <= 3; id++) {
      expect(device.sent()).toEqual([`PUBLISH t=${id} q1 #${id}`]);
      device.send(ack("PUBACK", id));
    }
    expect(device.take()).toEqual(["connect", "puback", "puback", "puback"]);
  });

  test("throw for wrong arguments, as with a session", () => {
    const { client } = queueing();
    expect(() => client.publish("a/+", "x")).toThrow(/^topic must be /);
    expect(() => client.publish("t", "\ud800")).toThrow("payload must not have a lone surrogate");
    expect(() => client.publish("\ud800", "x", 1)).toThrow("topic must not have a lone surrogate");
  });

  test("set the slot of their callback", () => {
    const device = new Device({ cleansession: 0, listens: false, options: { queueOffline: true } });
    device.client.publish("t", "x", 0, 0, () => device.events.push("done"));
    device.up();
    expect(device.events).toEqual([]);
    device.client.publish("t", "x", 0);
    expect(device.take()).toEqual(["done"]);
  });

  test("are what close() sends first, and drain waits for", () => {
    const device = queueing();
    publish(device, 3, 3);
    let drained: boolean | undefined;
    device.client.drain((_, answer) => (drained = answer), 50000);
    device.during.connect = () => device.client.close();
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual([...lines(3, 3), "DISCONNECT"]);
    expect(device.take()).toEqual(["connect", "puback", "offline 0"]);
    expect(drained).toBe(true);
  });
});

describe("subscribe and unsubscribe without a session", () => {
  test("answer false", () => {
    const device = queueing();
    for (const step of ["idle", "connecting", "reached"]) {
      if (step === "connecting") device.client.connect("broker");
      if (step === "reached") device.reach();
      expect(device.client.subscribe("t")).toBe(false);
      expect(device.client.unsubscribe("t")).toBe(false);
    }
    device.send(connack());
    expect(device.sent()).toEqual([]);
    expect(device.client.subscribe("t")).toBe(true);
    device.events.length = 0;
  });
});

describe("While a session is being closed", () => {
  test("publish answers false, and true again from offline on", () => {
    const device = queueing();
    device.up();
    device.client.publish("t", "x", 1);
    device.client.close();
    device.hal.settle();
    expect(publish(device, 0, 2)).toBe(0);
    device.hal.advance(1999);
    expect(publish(device, 0, 2)).toBe(0);
    let accepted = 0;
    device.during.offline = () => (accepted = publish(device, 3, 4));
    device.hal.advance(1);
    expect(device.take()).toEqual(["offline 0"]);
    expect(accepted).toBe(2);
    device.broker.take();
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, true));
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1 dup", ...lines(3, 4, 2)]);
    device.events.length = 0;
  });

  test("what the network did not take in time is kept, but for a message at QoS 0 that had begun to leave", () => {
    const device = queueing();
    device.up();
    device.socket.stall();
    const room = device.socket.room;
    device.client.publish("t", "x".repeat(1000));
    device.client.publish("t", "x".repeat(1000));
    device.hal.settle();
    expect(device.take()).toEqual(["puback", "puback"]);
    device.client.publish("t", "cut".repeat(400));
    publish(device, 3, 4);
    expect(device.socket.room).toBe(0);
    expect(room).toBeLessThan(2 * 1006 + 1200);
    device.client.close();
    device.hal.advance(20000);
    expect(device.take()).toEqual(["offline 0"]);
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(lines(3, 4));
    device.events.length = 0;
  });
});

describe("When the connection is lost", () => {
  test("what was on its way at QoS 1 and 2 is sent again with DUP, what waited without, in order " +
    "[MQTT-4.4.0-1] [MQTT-4.6.0-1]", () => {
    const device = queueing({ maxInflight: 2 });
    device.up();
    publish(device, 1, 2);
    device.hal.settle();
    publish(device, 3, 6);
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1", "PUBLISH t=2 q2 #2", "PUBLISH t=3"]);
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    publish(device, 7, 7);
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, true));
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1 dup", "PUBLISH t=2 q2 #2 dup"]);
    device.send(ack("PUBACK", 1), ack("PUBREC", 2), ack("PUBCOMP", 2));
    // 3 had left, and its outcome waited for that of 1.
    expect(device.sent()).toEqual(["PUBREL #2", "PUBLISH t=4 q1 #3", "PUBLISH t=5 q2 #4", "PUBLISH t=6"]);
    expect(device.take()).toEqual(["connect present", "puback", "puback", "puback"]);
  });

  test("a message at QoS 0 that had begun to leave is dropped; those behind it are not", () => {
    // Packets of 15, 11 and 12 bytes.
    for (const room of [1, 8, 14, 15, 16]) {
      const device = new Device({ cleansession: 0, hal: { room }, options: { queueOffline: true } }).up();
      device.socket.stall();
      expect(device.socket.room).toBe(room);
      device.client.publish("t", "0123456789");
      device.client.publish("t", "behind");
      device.client.publish("t", "last", 1);
      device.socket.reset();
      expect(device.take()).toEqual(room >= 15 ? ["puback", "offline -10"] : ["offline -10"]);
      device.client.connect("broker");
      device.reach();
      device.send(connack());
      expect(device.sent()).toEqual([...(room > 15 ? [] : ["PUBLISH t=behind"]), "PUBLISH t=last q1 #1"]);
      device.events.length = 0;
    }
  });

  test("subscribes and unsubscribes on their way are dropped, what stands around them is not", () => {
    const device = queueing();
    device.up();
    device.client.publish("t", "1", 1);
    device.client.subscribe("s");
    device.client.publish("t", "2", 2);
    device.client.unsubscribe("s");
    device.hal.settle();
    device.socket.reset();
    device.take();
    device.client.publish("t", "3");
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, true));
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1 dup", "PUBLISH t=2 q2 #3 dup", "PUBLISH t=3"]);
    expect(device.take()).toEqual(["connect present"]);
    device.send(ack("PUBACK", 1), suback(2, 0), ack("UNSUBACK", 4), ack("PUBREC", 3), ack("PUBCOMP", 3));
    expect(device.take()).toEqual(["puback", "puback", "puback"]);
  });

  test("and the broker has lost the session: all that was kept is sent", () => {
    const device = queueing();
    device.up();
    device.client.publish("t", "acknowledged", 2);
    device.client.publish("t", "1", 1);
    device.hal.settle();
    device.send(ack("PUBREC", 1));
    device.hal.settle();
    device.socket.reset();
    device.take();
    publish(device, 2, 3);
    device.broker.take();
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, false));
    // The first is with the broker: PUBREC says so.
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #2 dup", "PUBLISH t=2 q2 #3", "PUBLISH t=3"]);
    expect(device.take()).toEqual(["connect", "puback"]);
  });

  test("several times over, nothing is lost, doubled or out of order [MQTT-4.6.0-1]", () => {
    const device = queueing({ maxOperations: 32 });
    publish(device, 1, 4);
    for (let i = 0; i < 5; i++) {
      device.client.connect("broker");
      device.reach();
      device.socket.reset();
      device.hal.settle();
      publish(device, 5 + i, 5 + i);
    }
    device.events.length = 0;
    device.client.connect("broker");
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(lines(1, 9));
    device.events.length = 0;
  });

  test("autoreconnect sends what was published meanwhile", () => {
    const device = queueing();
    device.client.connect("broker", 1883, 0, 1);
    device.accept();
    device.socket.reset();
    device.hal.settle();
    publish(device, 1, 2);
    device.hal.advance(1000);
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(lines(1, 2));
    device.events.length = 0;
  });

  test("ids go on behind those of messages that are kept [MQTT-2.3.1-2]", () => {
    const device = queueing();
    device.client.connection.session.outbox.lastPacketId = 65533;
    publish(device, 1, 1, 1);
    device.up();
    publish(device, 2, 2, 1);
    device.hal.settle();
    device.socket.reset();
    device.take();
    publish(device, 3, 4, 1);
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, true));
    expect(device.sent()).toEqual([
      "PUBLISH t=1 q1 #65534 dup", "PUBLISH t=2 q1 #65535 dup", "PUBLISH t=3 q1 #1", "PUBLISH t=4 q1 #2",
    ]);
    device.events.length = 0;
  });

  test("publish in the callback of offline is accepted, and leaves with the next session", () => {
    const device = queueing();
    device.up();
    device.during.offline = () => {
      expect(device.client.publish("t", "x", 1)).toBe(true);
      device.client.connect("broker");
      expect(device.client.publish("t", "y")).toBe(true);
    };
    device.socket.reset();
    device.hal.settle();
    device.reach();
    device.send(connack());
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1", "PUBLISH t=y"]);
    expect(device.take()).toEqual(["offline -10", "connect"]);
    device.send(message("t", "in"), ack("PUBACK", 1));
    expect(device.take()).toEqual(["message t=in", "puback", "puback"]);
  });
});
