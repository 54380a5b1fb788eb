/** Ends that come in the middle of something: of a message, of a segment, of a call that was put off. */
import { describe, expect, test } from "@jest/globals";
import { ack, connack, Device, letters, message } from "../support/device.js";

const SMALL = { maxMessageLength: 128, rxCapacity: 128 };

describe("A message at QoS 2 that overflows is shown once", () => {
  const big = message("t", letters(500), { qos: 2, id: 7 });
  const shown = `overflow t=${letters(120)}`;

  test("when the connection is lost behind what was shown (contract 5: overflow, 5: qos2-in)", () => {
    for (let length = 1; length < 510; length += 7) {
      const device = new Device({ cleansession: 0, options: SMALL }).up();
      device.socket.receive(device.broker.bytes(big).subarray(0, length));
      const before = device.take();
      device.socket.fail("closed");
      expect(device.take()).toEqual(["offline -10"]);
      device.up(true);
      device.send(message("t", letters(500), { qos: 2, id: 7, dup: true }), message("t", "next"));
      expect([...before, ...device.take()]).toEqual([shown, "message t=next"]);
      expect(device.sent()).toEqual(["PUBREC #7"]);
      device.send(ack("PUBREL", 7), message("t", "new", { qos: 2, id: 7 }));
      expect(device.take()).toEqual(["message t=new"]);
    }
  });

  test("when its callback calls abort() (contract 5: overflow, 5: qos2-in, 2: abort)", () => {
    const device = new Device({ cleansession: 0, options: SMALL }).up();
    device.during.overflow = () => device.client.abort();
    device.send(big);
    expect(device.take()).toEqual([shown, "offline 0"]);
    device.up(true);
    device.send(big);
    expect(device.take()).toEqual([]);
    expect(device.sent()).toEqual(["PUBREC #7"]);
  });
});

test("A broker with more QoS 2 messages under way than there is room for is served (contract 5: bounds)", () => {
  const device = new Device({ cleansession: 0, options: { receiveMaximum: 4 } });
  const open = new Map(Array.from({ length: 10 }, (_, i) => [i + 1, false]));
  const seen: string[] = [];
  for (let round = 0; open.size > 0 && round < 20; round++) {
    device.up(round > 0);
    // As a broker does: first the PUBREL that are due, then every message that has no PUBREC.
    for (const [id, isReceived] of open) if (isReceived) device.send(ack("PUBREL", id));
    device.send(...[...open].filter(([, isReceived]) => !isReceived).map(([id]) =>
      message("t", String(id), { qos: 2, id, dup: round > 0 })));
    seen.push(...device.take().filter((event) => event.startsWith("message")));
    for (const packet of device.broker.packets) {
      if (packet.type === "PUBREC") open.set(packet.packetId, true);
      if (packet.type === "PUBCOMP") open.delete(packet.packetId);
    }
    device.client.abort();
    device.take();
  }
  expect(open.size).toBe(0);
  expect(seen).toEqual(Array.from({ length: 10 }, (_, i) => `message t=${i + 1}`));
});

test("What was received before the end is delivered, though no acknowledgement leaves (contract 5: receiving)", () => {
  const device = new Device({ hal: { room: 20 } }).up();
  device.socket.stall();
  const messages = Array.from({ length: 40 }, (_, i) => message("t", String(i), { qos: 1, id: i + 1 }));
  device.send(...messages);
  // The receive buffer has them all; reading stopped when there was no room for one more acknowledgement.
  const before = device.take().length;
  expect(before).toBeLessThan(30);
  device.socket.reset();
  expect(device.take()).toEqual([...messages.keys()].slice(before).map((i) => `message t=${i}`).concat("offline -10"));
});

test("connect() waits for the end of a session that has too many QoS 2 messages (contract 4: offline-once)", () => {
  const device = new Device({ cleansession: 0, hal: { room: 60 }, options: { receiveMaximum: 1 } }).up();
  device.socket.stall();
  device.client.publish("t", letters(100), 1);
  // The PUBREC of the first one has to leave before the end, and cannot.
  device.send(message("t", "1", { qos: 2, id: 1 }), message("t", "2", { qos: 2, id: 2 }));
  expect(device.take()).toEqual(["message t=1"]);
  expect(device.client.connected).toBe(false);
  expect(device.client.connect("broker")).toBe(true);
  expect(device.take()).toEqual([]);
  device.hal.advance(5000);
  expect(device.take()).toEqual(["offline -13"]);
  device.reach();
  device.send(connack());
  expect(device.take()).toEqual(["connect"]);
});

test("A first byte that begins no CONNACK is enough (contract 4: not-connack)", () => {
  for (const first of [0x30, 0x48, 0x21, 0x00, 0xff]) {
    const device = new Device();
    device.client.connect("broker");
    device.reach();
    device.socket.receive([first]);
    expect(device.take()).toEqual(["connfail -4"]);
  }
});

test("After close() the session ends by it, also when the broker is quicker (contract 4: closed)", () => {
  const device = new Device().up();
  device.client.publish("t", "x", 1);
  expect(device.client.close()).toBe(true);
  device.socket.end();
  expect(device.take()).toEqual(["offline 0"]);
});

describe("A socket that cannot be opened behind close()", () => {
  test("is the outcome of the attempt, with the error, and the next one works (contract 4: one-outcome)", () => {
    const device = new Device().up();
    const error = new Error("out of memory");
    const details: unknown[] = [];
    device.client.on("connfail", (_client, reason, detail) => details.push(reason, detail));
    device.client.publish("t", "x", 1);
    device.client.close();
    expect(device.client.connect("broker")).toBe(true);
    const open = device.hal.open.bind(device.hal);
    device.hal.open = () => {
      throw error;
    };
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "offline 0"]);
    expect(details).toEqual([-5, error]);
    device.hal.open = open;
    device.up();
    expect(device.client.connected).toBe(true);
  });

  test("gets the TLS options as they were checked, whatever becomes of the object (contract 2: connect-secure)", () => {
    const device = new Device().up();
    device.client.close();
    const options: Record<string, string> = { ca: "a" };
    device.client.connect("broker", 8883, options);
    options.nonsense = "b";
    device.hal.settle();
    expect(device.socket.secure).toEqual({ ca: "a" });
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["offline 0", "connect"]);
  });
});
