/** `pause` and `resume`: what is not read holds the broker back, and nothing is missed. */
import { describe, expect, test } from "@jest/globals";
import type { EventName } from "../support/device.js";
import { Device, PINGRESP, ack, connack, letters, message, suback } from "../support/device.js";
import type { Packet } from "../support/packets.js";

/** Messages at QoS 0 with payloads of these numbers. */
function numbered(from: number, to: number): Packet[] {
  const packets: Packet[] = [];
  for (let i = from; i <= to; i++) packets.push(message("t", String(i)));
  return packets;
}

/** The lines of these messages. */
function lines(from: number, to: number): string[] {
  const all: string[] = [];
  for (let i = from; i <= to; i++) all.push(`message t=${i}`);
  return all;
}

/** Every read of the socket that was opened last. */
function countReads(device: Device): { count: number } {
  const reads = { count: 0 };
  const { socket } = device;
  const read = socket.read.bind(socket);
  Object.defineProperty(socket, "read", {
    value: (bytes: Uint8Array, start: number, end: number) => {
      reads.count++;
      return read(bytes, start, end);
    },
  });
  return reads;
}

describe("pause", () => {
  test("answers true while a session is up, also when it is paused already", () => {
    const device = new Device().up();
    expect(device.client.pause()).toBe(true);
    expect(device.client.pause()).toBe(true);
    expect(device.client.resume()).toBe(true);
    expect(device.client.resume()).toBe(false);
  });

  test("answers false, and does nothing, without a session", () => {
    const device = new Device();
    expect(device.client.pause()).toBe(false);
    device.client.connect("broker");
    expect(device.client.pause()).toBe(false);
    device.reach();
    expect(device.client.pause()).toBe(false);
    device.send(connack(), ...numbered(1, 2));
    expect(device.take()).toEqual(["connect", ...lines(1, 2)]);
    device.client.abort();
    expect(device.client.pause()).toBe(false);
    expect(device.client.resume()).toBe(false);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("has nothing read from the socket", () => {
    const device = new Device().up();
    const reads = countReads(device);
    device.client.pause();
    for (let i = 1; i <= 5; i++) {
      device.send(...numbered(i, i));
      device.hal.advance(1000);
      device.client.publish("t", "x");
    }
    expect(device.take()).toEqual(new Array<string>(5).fill("puback"));
    expect(reads.count).toBe(0);
    expect(device.socket.unread).toBe(5 * 6);
    device.client.resume();
    expect(device.take()).toEqual(lines(1, 5));
    expect(reads.count).toBe(1);
  });

  test("holds the broker back once the window is full, and nothing of it is lost", () => {
    const device = new Device({ hal: { window: 100 } }).up();
    device.client.pause();
    device.send(...numbered(1, 200));
    device.hal.advance(30000);
    expect(device.take()).toEqual([]);
    expect(device.socket.unread).toBe(100);
    device.client.resume();
    expect(device.take()).toEqual(lines(1, 200));
  });

  test("in the middle of a packet goes on there", () => {
    const packet = message("some/topic", letters(100));
    const device = new Device();
    device.up();
    const bytes = device.broker.bytes(packet, message("t", "next"));
    for (let cut = 1; cut < bytes.length; cut++) {
      device.socket.receive(bytes.slice(0, cut));
      device.client.pause();
      device.socket.receive(bytes.slice(cut));
      device.take();
      device.client.resume();
      device.take();
      device.send(message("t", "last"));
      expect(device.take()).toEqual(["message t=last"]);
    }
    expect(device.client.connected).toBe(true);
  });

  test("and resume at once change nothing", () => {
    const device = new Device().up();
    device.client.pause();
    device.client.resume();
    device.send(...numbered(1, 3));
    expect(device.take()).toEqual(lines(1, 3));
  });
});

describe("resume", () => {
  test("brings no callback inside the call, then all, in order", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.subscribe("t");
    device.hal.settle();
    device.client.pause();
    device.send(...numbered(1, 2), ack("PUBACK", 1), ...numbered(3, 4), suback(2, 0));
    device.hal.settle();
    device.client.resume();
    expect(device.events).toEqual([]);
    expect(device.hal.nextTimerMs).toBe(0);
    expect(device.take()).toEqual([...lines(1, 2), "puback", ...lines(3, 4), "suback 0"]);
  });

  test("reads what had been taken from the socket before, also when nothing more comes", () => {
    const device = new Device().up();
    device.during.message = (_, _topic, data) => {
      if (data === "2") device.client.pause();
    };
    device.send(...numbered(1, 5));
    expect(device.take()).toEqual(lines(1, 2));
    expect(device.socket.unread).toBe(0);
    device.hal.advance(1000);
    expect(device.take()).toEqual([]);
    device.client.resume();
    expect(device.take()).toEqual(lines(3, 5));
  });

  test("has what is acknowledged acknowledged, in order", () => {
    const device = new Device().up();
    device.client.pause();
    device.send(message("t", "1", { qos: 1, id: 1 }), message("t", "2", { qos: 2, id: 2 }), ack("PUBREL", 2));
    expect(device.sent()).toEqual([]);
    device.client.resume();
    expect(device.take()).toEqual(["message t=1", "message t=2"]);
    expect(device.sent()).toEqual(["PUBACK #1", "PUBREC #2", "PUBCOMP #2"]);
  });

  test("does not have acknowledgements overflow that the network does not take", () => {
    const device = new Device({ hal: { room: 100 } }).up();
    device.client.on("message", null);
    device.client.pause();
    device.socket.stall();
    while (device.socket.room > 0) device.client.publish("t", "x".repeat(200));
    const packets: Packet[] = [];
    for (let id = 1; id <= 100; id++) packets.push(message("t", "x", { qos: 1, id }));
    device.send(...packets);
    device.client.resume();
    device.hal.settle();
    device.client.pause();
    device.socket.unstall();
    device.hal.settle();
    device.client.resume();
    device.client.on("puback", null);
    const acks = device.sent().filter((line) => line.startsWith("PUBACK"));
    expect(acks).toEqual(packets.map((_, i) => `PUBACK #${i + 1}`));
    device.events.length = 0;
  });
});

describe("While reading is paused", () => {
  test("PINGREQ goes out in time, and the session stays, however long that is [MQTT-3.1.2-23]", () => {
    const device = new Device({ keepalive: 10 }).up();
    device.client.pause();
    let lastMs = 0;
    for (let ms = 100; ms <= 100000; ms += 100) {
      device.hal.advance(100);
      for (const line of device.sent()) {
        expect(line).toBe("PINGREQ");
        expect(ms - lastMs).toBeLessThan(10000);
        lastMs = ms;
        device.send(PINGRESP);
      }
    }
    expect(lastMs).toBeGreaterThan(90000);
    device.client.resume();
    device.hal.advance(9000);
    device.send(PINGRESP);
    device.hal.advance(9000);
    expect(device.take()).toEqual([]);
    expect(device.client.connected).toBe(true);
  });

  test("PINGREQ goes out in time also while messages are published", () => {
    const device = new Device({ keepalive: 10 }).up();
    device.client.on("puback", null);
    device.client.pause();
    let quietMs = 0;
    for (let ms = 0; ms < 100000; ms += 500) {
      device.hal.advance(500);
      if (ms % 3000 === 0) device.client.publish("t", "x");
      quietMs = device.sent().length > 0 ? 0 : quietMs + 500;
      expect(quietMs).toBeLessThan(10000);
    }
    expect(device.client.connected).toBe(true);
  });

  test("an answer to PINGREQ is not missed, whenever the pause begins and ends", () => {
    // PINGREQ leaves at 9.375 s; it waits for PINGRESP for 10 s.
    for (const pauseMs of [0, 9000, 10000, 19000]) {
      for (const lengthMs of [1, 5000, 10000, 25000, 100000]) {
        const device = new Device({ keepalive: 10 }).up();
        device.hal.advance(pauseMs);
        device.client.pause();
        device.hal.advance(lengthMs);
        device.client.resume();
        device.hal.advance(9000);
        expect(device.client.connected).toBe(true);
        for (const line of device.sent()) if (line === "PINGREQ") device.send(PINGRESP);
        device.hal.advance(9400);
        expect(device.take()).toEqual([]);
        expect(device.sent()).not.toEqual([]);
      }
    }
  });

  test("after resume a peer that answers nothing is found", () => {
    const device = new Device({ keepalive: 10 }).up();
    device.client.pause();
    device.hal.advance(60000);
    device.client.resume();
    device.hal.advance(20000);
    expect(device.take()).toEqual(["offline -11"]);
  });

  test("acknowledgements are not missed: their time begins anew at resume", () => {
    const device = new Device({ options: { ackTimeoutMs: 5000 } }).up();
    device.client.publish("t", "x", 1);
    device.client.publish("t", "y", 1);
    device.hal.advance(4000);
    device.client.pause();
    device.send(ack("PUBACK", 1));
    device.hal.advance(50000);
    expect(device.take()).toEqual([]);
    device.client.resume();
    device.hal.advance(4999);
    expect(device.take()).toEqual(["puback"]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["offline -12"]);
  });

  test("drain finds no end, and says false in time", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.pause();
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    let drained: boolean | undefined;
    device.client.drain((_, answer) => (drained = answer), 3000);
    device.hal.advance(2999);
    expect(drained).toBeUndefined();
    device.hal.advance(1);
    expect(drained).toBe(false);
    device.client.resume();
    expect(device.take()).toEqual(["puback"]);
  });

  test("what was published leaves, up to the window", () => {
    const device = new Device({ options: { maxInflight: 2 } }).up();
    device.client.pause();
    for (let i = 1; i <= 4; i++) device.client.publish("t", `${i}`, 1);
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1", "PUBLISH t=2 q1 #2"]);
    device.send(ack("PUBACK", 1), ack("PUBACK", 2));
    expect(device.sent()).toEqual([]);
    device.client.resume();
    expect(device.sent()).toEqual(["PUBLISH t=3 q1 #3", "PUBLISH t=4 q1 #4"]);
    device.events.length = 0;
  });

  test("a lost connection ends the session when all that was announced is read; nothing can be answered", () => {
    const device = new Device({ cleansession: 0 }).up();
    device.client.publish("t", "x", 1);
    device.hal.settle();
    device.client.pause();
    device.send(message("t", "x", { qos: 1, id: 1 }), ack("PUBACK", 1));
    device.socket.reset();
    device.hal.advance(200000);
    expect(device.take()).toEqual([]);
    device.client.resume();
    expect(device.take()).toEqual(["message t=x", "puback", "offline -10"]);
    expect(device.client.resume()).toBe(false);
    device.up(true);
    device.send(message("t", "x", { qos: 1, id: 1, dup: true }));
    expect(device.take()).toEqual(["message t=x"]);
    expect(device.sent()).toEqual(["PUBACK #1"]);
  });

  test("a lost connection ends the session when all that was taken from the socket is read", () => {
    for (const action of ["resume", "resume and pause", "abort", "close"]) {
      const device = new Device().up();
      device.during.message = (_, _topic, data) => {
        if (data === "1") device.client.pause();
      };
      device.send(...numbered(1, 3));
      expect(device.socket.unread).toBe(0);
      device.socket.reset();
      device.hal.advance(200000);
      expect(device.take()).toEqual(lines(1, 1));
      if (action === "resume and pause") device.during.message = () => device.client.pause();
      if (action === "abort") device.client.abort();
      else if (action === "close") device.client.close();
      else device.client.resume();
      if (action === "resume and pause") {
        expect(device.take()).toEqual(lines(2, 2));
        device.client.resume();
        // The last one: nothing is left to be paused.
        expect(device.take()).toEqual([...lines(3, 3), "offline -10"]);
      } else if (action === "resume") {
        expect(device.take()).toEqual([...lines(2, 3), "offline -10"]);
      } else {
        device.hal.advance(10000);
        expect(device.take()).toEqual(["offline 0"]);
      }
      expect(device.hal.nextTimerMs).toBeUndefined();
    }
  });

  test("a connection that the broker closes is read to its end behind resume", () => {
    const device = new Device().up();
    device.client.pause();
    device.send(...numbered(1, 3));
    device.socket.end();
    device.hal.advance(100000);
    expect(device.take()).toEqual([]);
    device.client.resume();
    expect(device.take()).toEqual([...lines(1, 3), "offline -10"]);
  });

  test("a connection that the broker closes, with nothing to be read, has ended", () => {
    const device = new Device().up();
    device.client.pause();
    device.socket.end();
    expect(device.take()).toEqual(["offline -10"]);
  });

  test("close() sends DISCONNECT: at once, or when what it waits for was not read in time", () => {
    const device = new Device().up();
    device.client.pause();
    device.send(...numbered(1, 3));
    expect(device.client.close()).toBe(true);
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["offline 0"]);
    device.up();
    device.client.publish("t", "x", 1);
    device.client.pause();
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    device.client.close();
    device.hal.advance(2000);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1", "DISCONNECT"]);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("close() waits for what is read behind resume", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.client.pause();
    device.hal.settle();
    device.send(ack("PUBACK", 1));
    device.client.close();
    device.hal.advance(1000);
    expect(device.client.resume()).toBe(true);
    expect(device.take()).toEqual(["puback", "offline 0"]);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1", "DISCONNECT"]);
  });

  test("abort() ends the session; the next one begins unpaused", () => {
    const device = new Device().up();
    device.client.pause();
    device.send(...numbered(1, 3));
    expect(device.client.abort()).toBe(true);
    expect(device.client.resume()).toBe(false);
    expect(device.take()).toEqual(["offline 0"]);
    device.up();
    device.send(...numbered(4, 5));
    expect(device.take()).toEqual(lines(4, 5));
    expect(device.client.resume()).toBe(false);
  });

  test("autoreconnect goes on, unpaused", () => {
    const device = new Device();
    device.client.connect("broker", 1883, 0, 1);
    device.accept();
    device.client.pause();
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.hal.advance(1000);
    device.accept();
    device.send(...numbered(1, 1));
    expect(device.take()).toEqual(lines(1, 1));
  });
});

describe("pause inside callbacks", () => {
  test("of connect: what came behind CONNACK waits", () => {
    const device = new Device();
    device.during.connect = () => expect(device.client.pause()).toBe(true);
    device.client.connect("broker");
    device.reach();
    device.send(connack(), ...numbered(1, 3));
    expect(device.take()).toEqual(["connect"]);
    device.client.resume();
    expect(device.take()).toEqual(lines(1, 3));
  });

  test("of connfail and offline: there is nothing to pause", () => {
    const device = new Device();
    const answers: boolean[] = [];
    device.during.connfail = device.during.offline = () => answers.push(device.client.pause(), device.client.resume());
    device.client.connect("broker");
    device.socket.fail("dns");
    device.take();
    device.up();
    device.socket.reset();
    device.take();
    expect(answers).toEqual([false, false, false, false]);
  });

  const causes: [EventName, string, Packet[]][] = [
    ["message", "message t=0", [message("t", "0")]],
    ["message", "message t=0", [message("t", "0", { qos: 1, id: 1 })]],
    ["message", "message t=0", [message("t", "0", { qos: 2, id: 1 })]],
    ["overflow", `overflow t=${"x".repeat(9)}`, [message("t", "x".repeat(100), { qos: 1, id: 1 })]],
    ["puback", "puback", [ack("PUBACK", 1)]],
    ["suback", "suback 1", [suback(2, 1)]],
    ["unsuback", "unsuback", [ack("UNSUBACK", 3)]],
  ];

  for (const fragment of [0, 1, 7]) {
    test.each(causes)(`of %s (%s), ${fragment || "all"} bytes at a time: the next packet waits for resume`, (
      name,
      line,
      packets,
    ) => {
      const device = new Device({ options: { maxMessageLength: 16 } }).up();
      if (name === "puback") device.client.publish("t", "x", 1);
      else if (name === "suback") device.client.connection.session.outbox.lastPacketId = 1;
      else if (name === "unsuback") device.client.connection.session.outbox.lastPacketId = 2;
      if (name === "suback") device.client.subscribe("t", 1);
      if (name === "unsuback") device.client.unsubscribe("t");
      device.sent();
      device.socket.fragment = fragment;
      device.during[name] = () => device.client.pause();
      device.send(...packets, ...numbered(1, 3));
      delete device.during[name];
      expect(device.take()).toEqual([line]);
      const { qos = 0 } = packets[0] as { qos?: number };
      const answer = [[], ["PUBACK #1"], ["PUBREC #1"]][qos];
      // What is told of a message that overflows may be there long before its end.
      const isWhole = name !== "overflow" || fragment === 0;
      expect(device.sent()).toEqual(isWhole ? answer : []);
      device.hal.advance(1000);
      expect(device.take()).toEqual([]);
      device.client.resume();
      expect(device.take()).toEqual(lines(1, 3));
      expect(device.sent()).toEqual(isWhole ? [] : answer);
    });
  }

  test("of each message: one for each resume", () => {
    const device = new Device().up();
    device.during.message = () => device.client.pause();
    device.send(...numbered(1, 10));
    for (let i = 1; i <= 10; i++) {
      expect(device.take()).toEqual(lines(i, i));
      device.client.resume();
    }
    expect(device.take()).toEqual([]);
  });

  test("and resume in the same one: nothing stops", () => {
    const device = new Device().up();
    device.during.message = () => {
      device.client.pause();
      expect(device.client.resume()).toBe(true);
    };
    device.socket.fragment = 8;
    device.send(...numbered(1, 50));
    expect(device.take()).toEqual(lines(1, 50));
  });

  test("and resume in one of another kind: all is delivered behind it", () => {
    const device = new Device().up();
    device.client.pause();
    device.send(...numbered(1, 3));
    device.during.puback = () => device.client.resume();
    device.client.publish("t", "x");
    expect(device.take()).toEqual(["puback", ...lines(1, 3)]);
  });

  test("of drain, and resume there", () => {
    const device = new Device().up();
    device.client.drain((client) => client.pause());
    device.hal.settle();
    device.send(...numbered(1, 3));
    expect(device.take()).toEqual([]);
    device.client.drain((client) => client.resume());
    expect(device.take()).toEqual(lines(1, 3));
  });

  test("of data: the rest of the message waits, and begins where it stopped", () => {
    const device = new Device({ options: { maxMessageLength: 16, rxCapacity: 128 } });
    const { client } = device.up();
    const pieces: [offset: number, length: number][] = [];
    client.on("data", (_, _topic, bytes, offset) => {
      pieces.push([offset, bytes.length]);
      client.pause();
    });
    device.send(message("t", "x".repeat(500), { qos: 2, id: 1 }), message("t", "next"));
    let reached = 0;
    while (reached < 500) {
      device.hal.advance(1000);
      expect(device.sent()).toEqual([]);
      const [[offset, length]] = pieces.splice(0);
      expect(offset).toBe(reached);
      expect(pieces).toEqual([]);
      reached += length;
      if (reached < 500) client.resume();
      device.hal.settle();
      if (reached === 500) expect(device.broker.take()).toEqual([]);
      else if (pieces[0][0] + pieces[0][1] === 500) expect(device.sent()).toEqual(["PUBREC #1"]);
    }
    expect(device.take()).toEqual([]);
    client.resume();
    expect(device.take()).toEqual(["message t=next"]);
  });
});

describe("pause and the receive buffer", () => {
  test("whatever is paused, resumed and cut: all comes, in order, once", () => {
    for (let seed = 1; seed <= 20; seed++) {
      let state = seed;
      const random = (limit: number): number => (state = Math.imul(state, 48271) >>> 1) % limit;
      const device = new Device({ options: { maxMessageLength: 64, rxCapacity: 128 }, hal: { window: 300 } });
      const seen: string[] = [];
      const { client } = device.up();
      let text = "";
      client.on("data", (_, _topic, bytes, offset, total) => {
        text = (offset === 0 ? "" : text) + Buffer.from(bytes).toString("latin1");
        if (text.length === total) seen.push(text);
        if (random(4) === 0) client.pause();
      });
      client.on("message", (_, _topic, data) => {
        seen.push(data as string);
        if (random(3) === 0) client.pause();
      });
      const expected: string[] = [];
      const packets: Packet[] = [];
      for (let id = 1; id <= 40; id++) {
        expected.push(id + letters(random(200)));
        const qos = random(2);
        packets.push(message("t", expected[expected.length - 1], { qos, id: qos && id }));
      }
      device.socket.fragment = random(3) * 5;
      device.send(...packets);
      for (let i = 0; i < 1000; i++) {
        device.hal.settle();
        if (random(2) === 0) client.pause();
        if (random(3) > 0) client.resume();
      }
      client.resume();
      for (let i = 0; i < 100; i++) {
        device.hal.settle();
        client.resume();
      }
      if (seen.join() !== expected.join()) throw new Error(`Seed ${seed}: ${seen.length} of ${expected.length}`);
      expect(device.sent()).toHaveLength(packets.filter((packet) => "qos" in packet && packet.qos === 1).length);
      device.check();
    }
  });
});
