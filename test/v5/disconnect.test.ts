/** DISCONNECT of MQTT 5, both ways: what is said with it, and that nothing follows. */
import { describe, expect, test } from "@jest/globals";
import { hex, wire } from "../support/bytes.js";
import { Device5, ack, connack, disconnect, message } from "../support/device5.js";

describe("DISCONNECT of the client", () => {
  test("is the last packet, and the connection is closed, whatever the broker does " +
    "[MQTT5-3.14.1-1] [MQTT5-3.14.4-1] [MQTT5-3.14.4-2] [MQTT5-3.14.4-3]", () => {
    const device = new Device5().up();
    device.socket.takeSent();
    device.socket.onWrite = undefined;
    device.client.close();
    expect(hex(device.socket.takeSent())).toBe("e000");
    expect(device.socket.closed).toBe(true);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("leaves behind what was accepted and acknowledgements, in front of nothing [MQTT5-3.14.4-1]", () => {
    const device = new Device5().up();
    device.client.publish("t", "x", 1);
    device.client.close();
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
    device.send(message("t", "y", { qos: 1, id: 5 }), ack("PUBACK", 1), message("t", "z", { qos: 1, id: 6 }));
    const sent = device.sent();
    expect(sent[0]).toBe("PUBACK #5");
    expect(sent.at(-1)).toBe("DISCONNECT");
    expect(device.socket.closed).toBe(true);
  });

  test.each([0x04, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99])(
    "says a reason code that a client may send: %i [MQTT5-3.14.2-1]", (code) => {
      const device = new Device5().up();
      device.client.close(code, { reasonString: "why", userProperty: [["a", "b"]] });
      expect(device.sent()).toEqual([
        `DISCONNECT 0x${code.toString(16).padStart(2, "0")} {reasonString=why userProperty=a:b}`,
      ]);
      expect(device.take()).toEqual(["offline 0"]);
    });

  test("says no other [MQTT5-3.14.2-1]", () => {
    const device = new Device5().up();
    const right = [0, 4, 0x80, 0x81, 0x82, 0x83, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98, 0x99];
    for (let code = -1; code <= 256; code++) {
      if (!right.includes(code)) expect(() => device.client.close(code)).toThrow("reasonCode");
    }
    for (const properties of [{ contentType: "x" }, { serverReference: "x" }, { willDelayInterval: 1 }] as object[]) {
      expect(() => device.client.close(0, properties)).toThrow(Object.keys(properties)[0]);
    }
    expect(device.client.connected).toBe(true);
    expect(device.sent()).toEqual([]);
  });

  test("says nothing of an earlier close() that ended nothing, nor of one on an earlier connection", () => {
    const device = new Device5();
    expect(device.client.close(4, { reasonString: "no" })).toBe(false);
    device.up();
    device.client.close(4, { reasonString: "yes" });
    expect(device.sent()).toEqual(["DISCONNECT 0x04 {reasonString=yes}"]);
    device.take();
    device.up();
    device.client.close();
    expect(device.sent()).toEqual(["DISCONNECT"]);
  });

  test("says what the first close() has said, when there is another before it has left", () => {
    const device = new Device5().up();
    device.client.publish("t", "x", 1);
    expect(device.client.close(4, { reasonString: "first" })).toBe(true);
    expect(device.client.close(0x80, { reasonString: "second" })).toBe(false);
    expect(device.client.close()).toBe(false);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1", "DISCONNECT 0x04 {reasonString=first}"]);
  });

  test("follows CONNECT when there is no CONNACK yet [MQTT5-3.14.4-1]", () => {
    const device = new Device5();
    device.client.connect("broker");
    device.socket.connect();
    device.client.close(4);
    expect(device.sent().map((line) => line.split(" {")[0])).toEqual(['CONNECT "id" clean 60', "DISCONNECT 0x04"]);
    expect(device.socket.closed).toBe(true);
    expect(device.take()).toEqual([]);
  });

  test("follows CONNECT also when that has not left whole", () => {
    const device = new Device5();
    device.client.connect("broker");
    device.socket.stall();
    device.socket.connect(5);
    device.client.close(4);
    device.socket.unstall();
    expect(device.sent().map((line) => line.split(" {")[0])).toEqual(['CONNECT "id" clean 60', "DISCONNECT 0x04"]);
    expect(device.socket.closed).toBe(true);
  });

  test("leaves whole wherever the network stops taking bytes", () => {
    for (let room = 1; room < 30; room++) {
      const device = new Device5({ hal: { room } }).up();
      device.socket.stall();
      device.client.publish("topic", "x", 0);
      device.client.close(4, { reasonString: "reason" });
      while (device.socket.room < room) {
        device.socket.drain(1);
        device.hal.settle();
        if (device.socket.closed) break;
      }
      expect(device.sent()).toEqual(["PUBLISH topic=x", "DISCONNECT 0x04 {reasonString=reason}"]);
      expect(device.take()).toEqual(["puback", "offline 0"]);
      device.check();
    }
  });

  test("that cannot leave does not keep the connection open [MQTT5-4.13.2-1]", () => {
    const ends: [event: string, end: (device: Device5) => unknown][] = [
      ["offline 0", (device) => device.client.close()],
      ["offline -23", (device) => device.sendBytes(wire("36 00"))],
    ];
    for (const [event, end] of ends) {
      const device = new Device5({ hal: { room: 20 } }).up();
      device.socket.stall();
      device.client.publish("topic", "x".repeat(13));
      device.hal.settle();
      expect(device.socket.room).toBe(0);
      end(device);
      device.hal.advance(60_000);
      expect(device.socket.closed).toBe(true);
      expect(device.sent()).toEqual([]);
      expect(device.take()).toEqual([event]);
    }
  });
});

describe("DISCONNECT of the broker", () => {
  test.each([
    0x00, 0x80, 0x81, 0x82, 0x83, 0x87, 0x89, 0x8b, 0x8c, 0x8d, 0x8e, 0x8f, 0x90, 0x93, 0x94, 0x95, 0x96, 0x97, 0x98,
    0x99, 0x9a, 0x9b, 0x9c, 0x9d, 0x9e, 0x9f, 0xa0, 0xa1, 0xa2,
  ])("is told, the connection is closed, and nothing is written any more: %i [MQTT5-3.1.4-3] [MQTT5-4.13.2-1]",
    (code) => {
      const device = new Device5().up();
      device.client.publish("t", "x", 1);
      device.sent();
      device.send(message("t", "y", { qos: 1, id: 5 }), disconnect(code), message("t", "z", { qos: 1, id: 6 }));
      expect(device.take()).toEqual([
        "message t=y", `disconnect 0x${code.toString(16).padStart(2, "0")}`, "offline -10",
      ]);
      expect(device.socket.closed).toBe(true);
      expect(device.sent().filter((line) => line !== "PUBACK #5")).toEqual([]);
    });

  test("is told with its properties", () => {
    const device = new Device5().up();
    device.send(disconnect(0x9c, { serverReference: "other", reasonString: "busy", userProperty: [["a", "b"]] }));
    expect(device.take()).toEqual([
      "disconnect 0x9c {serverReference=other reasonString=busy userProperty=a:b}", "offline -10",
    ]);
  });

  test.each([
    ["a reserved flag [MQTT5-3.14.1-1]", "e1 00", "0x81"],
    ["reserved flags and a reason code [MQTT5-3.14.1-1]", "e2 02 8b 00", "0x81"],
    ["Session Expiry Interval [MQTT5-3.14.2-2]", "e0 07 00 05 11 00000005", "0x82"],
    ["0x04 [MQTT5-3.14.2-1]", "e0 01 04", "0x82"],
    ["0x01 [MQTT5-3.14.2-1]", "e0 01 01", "0x82"],
    ["0xFF [MQTT5-3.14.2-1]", "e0 01 ff", "0x82"],
    ["bytes behind its properties", "e0 03 00 00 00", "0x81"],
  ])("ends the connection also when it is not right: with %s", (_title, bytes, code) => {
    const device = new Device5().up();
    device.sendBytes(wire(bytes));
    expect(device.sent()).toEqual([`DISCONNECT ${code}`]);
    expect(device.socket.closed).toBe(true);
    expect(device.take()).toHaveLength(1);
  });

  test("leaves the session as CONNECT has asked for it [MQTT5-3.14.2-2]", () => {
    const device = new Device5({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    device.sent();
    device.sendBytes(wire("e0 07 00 05 11 00000000"));
    device.take();
    device.client.connect("broker");
    device.reach();
    device.send(connack({}, { isPresent: true }));
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1 dup"]);
  });

  test("makes a client connect again that was told to", () => {
    const device = new Device5();
    device.client.connect("broker", null, null, 1, null, null);
    device.accept();
    device.send(disconnect(0x8b));
    expect(device.take()).toEqual(["disconnect 0x8b", "offline -10"]);
    device.hal.advance(1000);
    device.accept();
    expect(device.client.connected).toBe(true);
  });

  test("may be followed by connect() to the server that it names, in offline", () => {
    const device = new Device5({ listens: false }).up();
    let host = "";
    device.client.on("disconnect", (_client, _code, properties) => {
      host = properties.get("serverReference") as string;
    });
    device.client.on("offline", (client) => client.connect(host));
    device.send(disconnect(0x9d, { serverReference: "other" }));
    device.hal.settle();
    expect(device.hal.sockets.map((socket) => socket.host)).toEqual(["broker", "other"]);
  });
});
