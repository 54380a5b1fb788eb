/**
 * Statements of MQTT 3.1.1 that are about a client as a whole, and no single file of it. DESIGN.md has the table of all
 * statements, and design.test.ts sees to it that each is there with its test.
 */
import { describe, expect, test } from "@jest/globals";
import { ack, connack, Device, message } from "./support/device.js";

describe("A client", () => {
  test("sends a packet again under its id, which is in use until it is acknowledged [MQTT-2.3.1-3]", () => {
    const device = new Device({ cleansession: 0, options: { maxOperations: 65536, txCapacity: 1024 } }).up();
    device.client.publish("t", "first", 1);
    expect(device.sent()).toEqual(["PUBLISH t=first q1 #1"]);
    device.socket.fail("closed");
    device.take();
    device.up(true);
    // Sent again by up(). 65534 other ids are used up before 1 would come round, which is passed over.
    for (let id = 2; id <= 65535; id++) {
      device.client.publish("t", "x", 1);
      device.hal.settle();
      device.send(ack("PUBACK", id));
    }
    device.client.publish("t", "last", 1);
    expect(device.sent().at(-1)).toBe("PUBLISH t=last q1 #2");
    device.send(ack("PUBACK", 1));
    device.client.publish("t", "reused", 1);
    expect(device.sent().at(-1)).toBe("PUBLISH t=reused q1 #3");
  });

  test("keeps a session with cleansession 0 while it is not connected [MQTT-3.1.2-4] [MQTT-4.1.0-1]", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "out", 2);
    device.send(message("t", "in", { qos: 2, id: 9 }));
    device.socket.fail("closed");
    expect(device.take()).toEqual(["message t=in", "offline -10"]);
    device.hal.advance(86_400_000);
    device.client.connect("broker");
    device.reach();
    device.send(connack(0, true), message("t", "in", { qos: 2, id: 9, dup: true }));
    expect(device.take()).toEqual(["connect present"]);
    expect(device.sent()).toEqual(["PUBREC #9", "PUBLISH t=out q2 #1 dup"]);
  });

  test("says the same client identifier on each connection of a session [MQTT-3.1.3-2]", () => {
    const device = new Device({ args: [null, 60, null, null, 0] });
    const said: string[] = [];
    for (let i = 0; i < 2; i++) {
      device.client.connect("broker");
      device.hal.settle();
      device.socket.connect();
      said.push(...device.sent());
      device.send(connack());
      device.socket.fail("closed");
      device.take();
    }
    const connect = 'CONNECT "mcumqtt5ccf7f00a1b2" persistent 60';
    expect(said).toEqual([connect, connect]);
  });

  test("leaves the client identifier empty with cleansession 1 only [MQTT-3.1.3-7]", () => {
    expect(() => new Device({ args: ["", 60, null, null, 0] })).toThrow('clientid must not be "" when cleansession');
    const device = new Device({ args: ["", 60, null, null, 1] });
    device.client.connect("broker");
    device.socket.connect();
    expect(device.sent()).toEqual(['CONNECT "" clean 60']);
  });

  test("answers a PUBLISH by its QoS: nothing, PUBACK, PUBREC [MQTT-3.3.4-1]", () => {
    const device = new Device().up();
    device.send(message("t", "0"), message("t", "1", { qos: 1, id: 5 }), message("t", "2", { qos: 2, id: 6 }));
    expect(device.sent()).toEqual(["PUBACK #5", "PUBREC #6"]);
    expect(device.take()).toEqual(["message t=0", "message t=1", "message t=2"]);
  });

  test("closes the connection when it has no room for what it must remember [MQTT-4.8.0-2]", () => {
    const device = new Device({ options: { receiveMaximum: 2 } }).up();
    for (let id = 1; id <= 3; id++) device.send(message("t", String(id), { qos: 2, id }));
    expect(device.take()).toEqual(["message t=1", "message t=2", "offline -13"]);
    expect(device.socket.closed).toBe(true);
  });
});
