import { describe, expect, jest, test } from "@jest/globals";
import { MockHal } from "../../hal/mock.js";
import type { DeviceOptions } from "../support/device.js";
import { Device, PINGRESP, ack, connack, letters, message, messageOfLength, suback } from "../support/device.js";
import type { Packet } from "../support/packets.js";
import { framed } from "../support/packets.js";

/** The smallest buffers a client can have. */
const SMALLEST: DeviceOptions = { options: { rxCapacity: 128, txCapacity: 128, maxMessageLength: 128 } };

/** Cuts bytes at these places. */
function cut(bytes: Uint8Array, ...places: number[]): Uint8Array[] {
  const edges = [0, ...places, bytes.length];
  return edges.slice(1).map((end, i) => bytes.subarray(edges[i], end));
}

describe("What the broker sends", () => {
  test("behind CONNACK in one segment is delivered, after connect (contract 5: receiving)", () => {
    const device = new Device();
    device.client.connect("broker");
    device.reach();
    device.send(connack(), message("a", "1"), message("b", "2", { qos: 1, id: 1, retain: true }), message("c", "3"));
    expect(device.take()).toEqual(["connect", "message a=1", "message b=2", "message c=3"]);
    expect(device.sent()).toEqual(["PUBACK #1"]);
  });

  const session: Packet[] = [
    message("topic/one", letters(40), { qos: 1, id: 7 }),
    message("t", ""),
    message("t", letters(60), { qos: 2, id: 8, retain: true }),
    ack("PUBREL", 8),
    PINGRESP,
    message("t/2", "end"),
  ];
  const delivered = [
    `message topic/one=${letters(40)}`, "message t without data", `message t=${letters(60)}`, "message t/2=end",
  ];

  test("is delivered wherever it is split (contract 5: receiving)", () => {
    for (const options of [{}, SMALLEST]) {
      const bytes = new Device().up().broker.bytes(...session);
      for (let at = 0; at <= bytes.length; at++) {
        const device = new Device(options).up();
        for (const part of cut(bytes, at)) device.socket.receive(part);
        expect(device.take()).toEqual(delivered);
        expect(device.sent()).toEqual(["PUBACK #7", "PUBREC #8", "PUBCOMP #8"]);
      }
    }
  });

  test("is delivered in pieces of any length, 1 byte at a time too (contract 5: receiving)", () => {
    for (const options of [{}, SMALLEST]) {
      for (let fragment = 1; fragment <= 70; fragment++) {
        const device = new Device(options).up();
        device.socket.fragment = fragment;
        device.send(...session);
        expect(device.take()).toEqual(delivered);
      }
    }
  });

  test("is delivered from CONNACK on 1 byte at a time, the remaining length of 4 bytes too " +
    "(contract 5: receiving)", () => {
    const device = new Device();
    device.client.connect("broker");
    device.reach();
    device.socket.fragment = 1;
    device.socket.receive(
      device.broker.bytes(connack()),
      [0x30, 0x84, 0x80, 0x80, 0, 0, 1, 0x74, 0x78],
      device.broker.bytes(message("u", "y")),
    );
    expect(device.take()).toEqual(["connect", "message t=x", "message u=y"]);
  });

  test("is delivered when many packets come in a segment (contract 5: receiving)", () => {
    const device = new Device().up();
    const packets = Array.from({ length: 1000 }, (_, i) => message("t", `${i}`, { qos: i % 2, id: i % 2 * i }));
    device.send(...packets);
    expect(device.take()).toEqual(packets.map((_, i) => `message t=${i}`));
    const ids = Array.from({ length: 500 }, (_, i) => `PUBACK #${2 * i + 1}`);
    expect(device.sent()).toEqual(ids);
  });

  test("may fill the socket's window many times over (contract 5: receiving)", () => {
    const device = new Device({ hal: { window: 100 }, options: { maxMessageLength: 3000 } }).up();
    const { packet, payload } = messageOfLength("t", 3000);
    device.send(...Array.from({ length: 10 }, () => packet));
    expect(device.take()).toEqual(Array.from({ length: 10 }, () => `message t=${payload}`));
  });

  test("has payloads and topics in turn, each as long as the buffer allows (contract 5: receiving)", () => {
    for (const fragment of [0, 1, 7, 100, 127]) {
      const device = new Device(SMALLEST).up();
      device.socket.fragment = fragment;
      const [long, short] = ["l".repeat(115), "s"];
      device.send(message(short, long), message(long, short), message(short, long), message(long, short));
      expect(device.take()).toEqual([
        `message s=${long}`, `message ${long}=s`, `message s=${long}`, `message ${long}=s`,
      ]);
    }
  });

  test("is read with the whole buffer, whatever came before (contract 5: receiving)", () => {
    const device = new Device(SMALLEST).up();
    const { packet, payload } = messageOfLength("t", 120);
    const bytes = device.broker.bytes(packet);
    for (const part of cut(bytes, 100)) device.socket.receive(part);
    const { socket } = device;
    let reads = 0;
    const read = socket.read.bind(socket);
    socket.read = (...range) => {
      reads++;
      return read(...range);
    };
    socket.receive(bytes);
    expect(reads).toBe(1);
    expect(device.take()).toEqual([`message t=${payload}`, `message t=${payload}`]);
  });

  test("has topics as long as the buffer allows (contract 5: receiving)", () => {
    const device = new Device(SMALLEST).up();
    for (const length of [1, 100, 123, 124]) {
      const topic = letters(length).replaceAll("<", "(");
      device.send(message(topic, ""));
      expect(device.take()).toEqual([`message ${topic} without data`]);
    }
  });
});

describe("A message longer than max_message_length", () => {
  const LIMIT = 100;
  const next = message("next", "intact", { qos: 1, id: 9 });

  /** A device with that limit, in a receive buffer of that length or more. */
  function limited(rxCapacity = 128): Device {
    return new Device({ options: { maxMessageLength: LIMIT, rxCapacity } }).up();
  }

  test.each([6, 7, 50, LIMIT - 1, LIMIT, LIMIT + 1, LIMIT + 2, 127, 128, 129, 131, 1000, 20000])(
    "(%p bytes, the limit being 100) overflows with what fits, however it is split; the next one is intact " +
    "(contract 5: overflow)",
    (length) => {
      const { packet, payload } = messageOfLength("t", length);
      const header = length - payload.length;
      const fits = payload.slice(0, LIMIT - header);
      const expected = length <= LIMIT ? `message t=${payload}` : `overflow t=${fits}`;
      const whole = limited();
      whole.send(packet, next);
      expect(whole.take()).toEqual([expected, "message next=intact"]);
      const bytes = whole.broker.bytes(packet, next);
      for (let at = 0; at < Math.min(bytes.length, length > 5000 ? 20 : 300); at++) {
        for (const second of [bytes.length, at + 1, at + 60]) {
          const device = limited(128 + at % 3 * 60);
          for (const part of cut(bytes, at, Math.min(second, bytes.length))) device.socket.receive(part);
          expect(device.take()).toEqual([expected, "message next=intact"]);
          expect(device.sent()).toEqual(["PUBACK #9"]);
        }
      }
      for (const fragment of length > 5000 ? [101] : [1, 7, 61, 99, 100, 101]) {
        const device = limited();
        device.socket.fragment = fragment;
        device.send(packet, next);
        expect(device.take()).toEqual([expected, "message next=intact"]);
      }
    },
  );

  test("counts the header with its packet id (contract 5: overflow)", () => {
    for (const qos of [1, 2]) {
      // 2 bytes of header, 3 of topic, 2 of packet id.
      const device = limited();
      const [x, y] = ["x".repeat(LIMIT - 7), "y".repeat(LIMIT - 6)];
      device.send(message("t", x, { qos, id: 1 }), message("t", y, { qos, id: 2 }));
      expect(device.take()).toEqual([`message t=${x}`, `overflow t=${y.slice(1)}`]);
      const type = qos === 1 ? "PUBACK" : "PUBREC";
      expect(device.sent()).toEqual([`${type} #1`, `${type} #2`]);
    }
  });

  test("is acknowledged when it is there whole, and not before (contract 5: overflow)", () => {
    const device = limited();
    const bytes = device.broker.bytes(message("t", "x".repeat(500), { qos: 1, id: 3 }));
    device.socket.receive(bytes.subarray(0, bytes.length - 1));
    expect(device.sent()).toEqual([]);
    device.socket.receive(bytes.subarray(bytes.length - 1));
    expect(device.sent()).toEqual(["PUBACK #3"]);
    expect(device.take()).toEqual([`overflow t=${"x".repeat(93 - 1)}`]);
  });

  test("at QoS 2 overflows once, however often it is repeated (contract 5: overflow, 5: qos2-in)", () => {
    const device = limited();
    const packet = message("t", "x".repeat(500), { qos: 2, id: 3 });
    device.send(packet, { ...packet, dup: true } as Packet);
    expect(device.take()).toEqual([`overflow t=${"x".repeat(92)}`]);
    expect(device.sent()).toEqual(["PUBREC #3", "PUBREC #3"]);
  });

  test("is skipped silently without a handler (contract 5: overflow)", () => {
    const device = limited();
    device.client.on("overflow", null);
    device.send(message("t", "x".repeat(500), { qos: 1, id: 3 }), next);
    expect(device.take()).toEqual(["message next=intact"]);
    expect(device.sent()).toEqual(["PUBACK #3", "PUBACK #9"]);
  });

  test.each([94, 95, 96, 97, 98, 99, 120, 123, 124, 125, 126, 127, 1000, 65535])(
    "for its topic of %p bytes: told with no more than fits; no topic when not even that (contract 5: overflow)",
    (length) => {
      const topic = "t".repeat(length);
      const bytes = new Device().up().broker.bytes(message(topic, "x".repeat(50), { qos: 1, id: 4 }), next);
      const header = length + 50 + 4 < 128 ? 2 : length + 50 + 4 < 16384 ? 3 : 4;
      const fits = Math.max(0, LIMIT - header - 4 - length);
      const data = fits > 0 ? `=${"x".repeat(fits)}` : " without data";
      const expected = `overflow ${length + 4 <= 128 ? topic : ""}${data}`;
      for (const fragment of length > 5000 ? [0, 129] : [0, 1, 10, 127, 128, 129]) {
        const device = limited();
        device.socket.fragment = fragment;
        device.socket.receive(bytes);
        expect(device.take()).toEqual([expected, "message next=intact"]);
        expect(device.sent()).toEqual(["PUBACK #4", "PUBACK #9"]);
      }
    },
  );

  test("as large as there are does not need memory (contract 5: overflow, 5: bounds)", () => {
    const device = limited();
    const total = 3000000;
    // A PUBLISH header for so many bytes, then the payload in segments.
    device.socket.receive(framed(0x30, new Uint8Array(3 + total)).subarray(0, 5), [0, 1, 0x74]);
    for (let sent = 0; sent < total; sent += 5000) device.socket.receive(new Uint8Array(5000).fill(0x79));
    device.send(next);
    expect(device.take()).toEqual([`overflow t=${"y".repeat(LIMIT - 8)}`, "message next=intact"]);
  });

  test("is given up with its connection, and the next connection begins anew (contract 5: overflow)", () => {
    for (const upTo of [1, 3, 5, 50, 150]) {
      const device = limited();
      const bytes = device.broker.bytes(message("t", "x".repeat(500), { qos: 1, id: 3 }));
      device.socket.receive(bytes.subarray(0, upTo));
      device.socket.reset();
      device.take();
      device.up();
      device.socket.fragment = 1;
      const topic = "t".repeat(90);
      device.send(message(topic, ""), next);
      expect(device.take()).toEqual([`message ${topic} without data`, "message next=intact"]);
    }
  });
});

describe("Messages at QoS 1 and 2", () => {
  test("QoS 1: PUBACK after the callback (contract 5: qos1-in)", () => {
    const device = new Device().up();
    device.during.message = () => expect(device.broker.take()).toEqual([]);
    device.send(message("t", "x", { qos: 1, id: 500 }));
    expect(device.take()).toEqual(["message t=x"]);
    expect(device.sent()).toEqual(["PUBACK #500"]);
  });

  test("QoS 1: each repetition is delivered and acknowledged (contract 5: qos1-in)", () => {
    const device = new Device().up();
    const packet = { qos: 1, id: 5 };
    device.send(message("t", "x", packet), message("t", "x", { ...packet, dup: true }));
    expect(device.take()).toEqual(["message t=x", "message t=x"]);
    expect(device.sent()).toEqual(["PUBACK #5", "PUBACK #5"]);
  });

  test("QoS 1: acknowledged also when the own window and table are full (contract 5: qos1-in, 3: pipelining)", () => {
    const device = new Device({ options: { maxInflight: 1, maxOperations: 2, txCapacity: 128 } }).up();
    device.client.publish("t", "x".repeat(50), 1);
    device.client.publish("t", "x".repeat(50), 1);
    expect(device.client.publish("t", "x".repeat(50), 1)).toBe(false);
    device.sent();
    device.send(message("t", "y", { qos: 1, id: 3 }));
    expect(device.sent()).toEqual(["PUBACK #3"]);
  });

  test("QoS 2: delivered once, at any repetition; PUBREL is always answered (contract 5: qos2-in)", () => {
    const device = new Device().up();
    const packet = message("t", "x", { qos: 2, id: 5 });
    const again = message("t", "x", { qos: 2, id: 5, dup: true });
    device.send(packet, again, again);
    device.send(again);
    expect(device.take()).toEqual(["message t=x"]);
    expect(device.sent()).toEqual(["PUBREC #5", "PUBREC #5", "PUBREC #5", "PUBREC #5"]);
    device.send(ack("PUBREL", 5), ack("PUBREL", 5), ack("PUBREL", 99));
    expect(device.sent()).toEqual(["PUBCOMP #5", "PUBCOMP #5", "PUBCOMP #99"]);
    // From then on the id means another message.
    device.send(message("t", "y", { qos: 2, id: 5 }));
    expect(device.take()).toEqual(["message t=y"]);
  });

  test("QoS 2: not delivered again after a reconnect to the same session (contract 5: qos2-in, 5: loss)", () => {
    const device = new Device({ cleansession: 0 }).up();
    const packet = message("t", "x", { qos: 2, id: 5 });
    device.send(packet);
    device.socket.reset();
    expect(device.take()).toEqual(["message t=x", "offline -10"]);
    device.up(true);
    device.send(message("t", "x", { qos: 2, id: 5, dup: true }), ack("PUBREL", 5));
    expect(device.take()).toEqual([]);
    expect(device.sent()).toEqual(["PUBREC #5", "PUBCOMP #5"]);
    // To another session it is a new message.
    device.send(message("t", "y", { qos: 2, id: 5 }));
    device.socket.reset();
    device.take();
    device.up(false);
    device.send(message("t", "z", { qos: 2, id: 5 }));
    expect(device.take()).toEqual(["message t=z"]);
  });

  test("QoS 2: cut off before its end it was not delivered, and is when it comes again (contract 5: qos2-in)", () => {
    const device = new Device({ cleansession: 0 }).up();
    const bytes = device.broker.bytes(message("t", "hello", { qos: 2, id: 5 }));
    device.socket.receive(bytes.subarray(0, bytes.length - 1));
    device.socket.reset();
    expect(device.take()).toEqual(["offline -10"]);
    device.up(true);
    device.send(message("t", "hello", { qos: 2, id: 5, dup: true }));
    expect(device.take()).toEqual(["message t=hello"]);
  });
});

describe("A network that takes little", () => {
  /** All that can wait to be sent at a time. */
  function operate(device: Device): void {
    device.client.publish("a", "x".repeat(30));
    device.client.publish("b", "y".repeat(30), 1);
    device.client.subscribe("c", 2);
    device.client.publish("d", "z".repeat(30), 2);
    device.client.unsubscribe("e");
  }
  const operated = [
    `PUBLISH a=${"x".repeat(30)}`, `PUBLISH b=${"y".repeat(30)} q1 #1`, "SUBSCRIBE #2 c:2",
    `PUBLISH d=${"z".repeat(30)} q2 #3`, "UNSUBSCRIBE #4 e",
  ];

  test.each([1, 2, 3, 5, 16, 17, 50])("%p bytes at a time gets whole packets (contract 5: bounds)", (room) => {
    const device = new Device({ hal: { room } }).up();
    operate(device);
    device.send(message("t", "x", { qos: 1, id: 9 }));
    const sent = device.sent();
    // Acknowledgements do not wait behind operations, nor do they cut a packet.
    expect(sent.filter((line) => line !== "PUBACK #9")).toEqual(operated);
    expect(sent).toContain("PUBACK #9");
    device.send(ack("PUBACK", 1), suback(2, 2), ack("PUBREC", 3), ack("UNSUBACK", 4));
    expect(device.sent()).toEqual(["PUBREL #3"]);
    device.send(ack("PUBCOMP", 3));
    const called = device.take();
    expect(called).toContain("message t=x");
    expect(called.filter((line) => line !== "message t=x")).toEqual(
      ["puback", "puback", "suback 2", "puback", "unsuback"],
    );
    device.client.close();
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("nothing for a while, then a byte at a time: acknowledgements come between packets (contract 5: bounds)", () => {
    for (let first = 0; first < 60; first++) {
      const device = new Device({ hal: { room: 60 } }).up();
      device.socket.stall();
      operate(device);
      device.hal.settle();
      expect(device.socket.room).toBe(0);
      device.socket.drain(first);
      device.send(message("t", "x", { qos: 1, id: 9 }), message("t", "y", { qos: 2, id: 10 }));
      expect(device.take()).toContain("message t=x");
      for (let i = 0; i < 400; i++) {
        if (device.socket.room < 60) device.socket.drain(1);
      }
      device.socket.unstall();
      const sent = device.sent();
      expect(sent.filter((line) => !line.endsWith("#9") && !line.endsWith("#10"))).toEqual(operated);
      expect(sent.filter((line) => line.endsWith("#9") || line.endsWith("#10"))).toEqual(["PUBACK #9", "PUBREC #10"]);
    }
  });

  test("nothing while messages pour in: reading stops, and goes on with the room (contract 5: bounds)", () => {
    for (const count of [10, 50, 300]) {
      const device = new Device({ hal: { room: 40, window: 500 } }).up();
      device.socket.stall();
      device.client.publish("t", "x".repeat(60));
      device.hal.settle();
      expect(device.socket.room).toBe(0);
      const packets = Array.from({ length: count }, (_, i) => message("t", `${i}`, { qos: 1, id: i + 1 }));
      device.send(...packets);
      const first = device.take().length;
      expect(first).toBeLessThanOrEqual(15);
      expect(first).toBeGreaterThanOrEqual(10);
      device.hal.advance(1000);
      expect(device.take()).toEqual([]);
      device.socket.drain(12);
      device.hal.advance(1000);
      device.socket.unstall();
      expect(device.take().filter((line) => line !== "puback")).toHaveLength(count - first);
      expect(device.sent().slice(1)).toEqual(packets.map((_, i) => `PUBACK #${i + 1}`));
      // It reads on as ever.
      device.send(message("t", "more"));
      expect(device.take()).toEqual(["message t=more"]);
    }
  });

  test("nothing any more: offline within twice the keepalive, also while it does not read " +
    "(contract 5: keepalive)", () => {
    const device = new Device({ keepalive: 10, hal: { room: 40, window: 500 } }).up();
    device.socket.stall();
    device.client.publish("t", "x".repeat(60));
    device.send(...Array.from({ length: 100 }, (_, i) => message("t", "", { qos: 2, id: i % 16 + 1 })));
    device.take();
    device.hal.advance(20000);
    expect(device.take()).toEqual(["offline -11"]);
  });

  test("callbacks that publish while there is no room get false, and nothing is harmed (contract 5: bounds)", () => {
    const device = new Device({ hal: { room: 20 }, options: { txCapacity: 128, maxOperations: 4 } }).up();
    device.socket.stall();
    let accepted = 0;
    device.during.message = () => {
      if (device.client.publish("t", "x".repeat(40), 1)) accepted++;
    };
    device.send(...Array.from({ length: 10 }, () => message("t", "y")));
    expect(accepted).toBe(2);
    device.socket.unstall();
    expect(device.sent()).toHaveLength(2);
  });
});

describe("The socket", () => {
  test("gets one write for a packet when there is room (contract 5: writes)", () => {
    const device = new Device();
    device.client.connect("broker");
    device.socket.connect();
    expect(device.socket.writes).toBe(1);
    device.send(connack());
    const writes = (call: () => void): number => {
      const before = device.socket.writes;
      call();
      return device.socket.writes - before;
    };
    expect(writes(() => device.client.publish("t", "x".repeat(500)))).toBe(1);
    expect(writes(() => device.client.publish("t", "x", 1))).toBe(1);
    expect(writes(() => device.client.subscribe({ a: 0, b: 1 }))).toBe(1);
    expect(writes(() => device.client.unsubscribe("a"))).toBe(1);
    device.hal.settle();
    expect(writes(() => device.client.close())).toBe(0);
    device.hal.advance(2000);
    expect(device.broker.take().at(-1)).toBe("DISCONNECT");
  });

  test("gets acknowledgements that are due together in one write (contract 5: writes)", () => {
    const device = new Device().up();
    const { writes } = device.socket;
    device.send(
      message("t", "1", { qos: 1, id: 1 }), message("t", "2", { qos: 2, id: 2 }), message("t", "3", { qos: 1, id: 3 }),
      ack("PUBREL", 2), ack("PUBREL", 7),
    );
    expect(device.socket.writes).toBe(writes + 1);
    expect(device.sent()).toEqual(["PUBACK #1", "PUBREC #2", "PUBACK #3", "PUBCOMP #2", "PUBCOMP #7"]);
  });

  test("gets what a callback publishes in one write (contract 5: writes)", () => {
    const device = new Device().up();
    const { writes } = device.socket;
    device.during.message = () => {
      for (let i = 0; i < 5; i++) device.client.publish("t", `${i}`);
    };
    device.send(message("t", "x"));
    expect(device.socket.writes).toBe(writes + 1);
    expect(device.sent()).toHaveLength(5);
  });

  test("is closed once it is over, and not touched then (contract 5: writes)", () => {
    // The mock throws when a closed socket is read or written.
    const device = new Device().up();
    device.socket.receive([0xf0, 0, 0x30]);
    const { socket } = device;
    expect(socket.closed).toBe(true);
    device.client.publish("t", "x");
    device.client.close();
    device.hal.advance(100000);
    expect(device.take()).toEqual(["offline -20"]);
  });
});

describe("The timer", () => {
  test("is armed only while something is to come, so that a program in Node can end (contract 5: writes)", () => {
    const device = new Device();
    const { client, hal } = device;
    const expectArmed = (isArmed: boolean): void => {
      hal.settle();
      expect(hal.nextTimerMs !== undefined).toBe(isArmed);
    };
    expectArmed(false);
    client.publish("t", "x");
    client.close();
    client.abort();
    expectArmed(false);
    client.connect("broker");
    expectArmed(true);
    device.socket.fail("dns");
    expectArmed(false);
    device.up();
    expectArmed(true);
    client.publish("t", "x");
    client.close();
    expectArmed(false);
    device.up();
    device.socket.reset();
    expectArmed(false);
    client.connect("broker");
    client.abort();
    expectArmed(false);
  });

  test("is not set again at each packet (contract 5: keepalive)", () => {
    let scheduled = 0;
    const create = jest.spyOn(MockHal.prototype, "createTimer").mockImplementation(function (this: MockHal, onTimer) {
      create.mockRestore();
      const timer = this.createTimer(onTimer);
      const schedule = timer.schedule.bind(timer);
      timer.schedule = (delayMs) => {
        scheduled++;
        schedule(delayMs);
      };
      return timer;
    });
    const device = new Device().up();
    device.client.on("puback", null);
    device.broker.answers = true;
    scheduled = 0;
    for (let i = 0; i < 1000; i++) {
      device.client.publish("t", "x", 1);
      device.send(message("t", "x"));
      device.hal.advance(1);
    }
    device.events.length = 0;
    expect(scheduled).toBeLessThan(10);
  });

  test("is armed for keepalive alone while a session is idle (contract 5: keepalive)", () => {
    const device = new Device({ keepalive: 600 }).up();
    device.hal.settle();
    let fired = 0;
    while (device.broker.take().length === 0) {
      device.hal.advance(device.hal.nextTimerMs!);
      fired++;
    }
    expect(fired).toBeLessThanOrEqual(3);
  });
});
