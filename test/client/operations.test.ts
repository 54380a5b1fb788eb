import { describe, expect, test } from "@jest/globals";
import type { ClientArguments } from "../support/device.js";
import { Device, EVENTS, ack, connack, message, suback } from "../support/device.js";

/** A QoS and a retain flag that are 0 or left out. */
const omitted = [[null, null], [undefined, undefined], [0, 0], [0, false], [0, null], [undefined, 0]] as const;

/** The CONNECT of the next attempt. */
function nextConnect(device: Device): string {
  device.client.connect("broker");
  device.socket.connect();
  const sent = device.sent().join();
  device.client.abort();
  device.take();
  return sent;
}

describe("lwt", () => {
  test("is what the next CONNECT says, from then on (contract 2: lwt)", () => {
    const device = new Device();
    expect(device.client.lwt("will/topic", "gone", 1, 1)).toBeUndefined();
    for (let i = 0; i < 2; i++) {
      expect(nextConnect(device)).toBe('CONNECT "id" clean 60 will will/topic=gone q1 retain');
    }
  });

  test("omitted qos and retain are 0, never those of an earlier call (contract 2: lwt)", () => {
    const device = new Device();
    device.client.lwt("t", "m", 2, true);
    expect(nextConnect(device)).toBe('CONNECT "id" clean 60 will t=m q2 retain');
    for (const [qos, retain] of omitted) {
      device.client.lwt("t", "m", 2, 1);
      device.client.lwt("t", "n", qos, retain);
      expect(nextConnect(device)).toBe('CONNECT "id" clean 60 will t=n q0');
    }
  });

  test("the message is text, a number or bytes, and may be empty (contract 2: lwt, 1: numbers)", () => {
    const device = new Device();
    for (const [topic, value, shown] of [
      ["t", "", "t="],
      ["t", new Uint8Array(0), "t="],
      ["t", Uint8Array.of(0, 1, 0xff, 0x80), "t=\0\x01ÿ\x80"],
      ["t", Uint8Array.of(0x61).buffer, "t=a"],
      [7, 1.5, "7=1.5"],
      ["t", "\0", "t=\0"],
    ] as const) {
      device.client.lwt(topic, value);
      expect(nextConnect(device)).toBe(`CONNECT "id" clean 60 will ${shown} q0`);
    }
  });

  test("keeps a copy of the bytes (contract 2: lwt)", () => {
    const device = new Device();
    const bytes = Uint8Array.of(0x61, 0x62);
    device.client.lwt("t", bytes);
    bytes.fill(0);
    expect(nextConnect(device)).toBe('CONNECT "id" clean 60 will t=ab q0');
  });

  test("does not change a CONNECT that is leaving (contract 2: lwt)", () => {
    const device = new Device();
    device.client.lwt("t", "old");
    device.client.connect("broker");
    device.socket.stall();
    device.socket.connect(20);
    device.client.lwt("t", "new");
    device.socket.unstall();
    expect(device.sent()).toEqual(['CONNECT "id" clean 60 will t=old q0']);
    device.client.abort();
    expect(nextConnect(device)).toBe('CONNECT "id" clean 60 will t=new q0');
  });

  test("is sent beside everything else, each of 65535 bytes (contract 2: lwt, 1: credentials)", () => {
    const [ascii, wide] = ["x".repeat(65535), "☃".repeat(21845)];
    const args: ClientArguments = [wide, 60, ascii, new Uint8Array(65535).fill(0x70)];
    const device = new Device({ args, hal: { room: 400000 }, brokerCapacity: 400000 });
    device.client.lwt(ascii, wide, 2, 1);
    device.client.connect("broker");
    device.socket.connect();
    device.broker.read();
    expect(device.broker.packets).toEqual([{
      type: "CONNECT",
      clientId: wide,
      cleanSession: true,
      keepAliveSeconds: 60,
      will: { topicName: ascii, message: Buffer.from(wide).toString("latin1"), qos: 2, retain: true },
      username: ascii,
      password: "p".repeat(65535),
    }]);
  });

  test("is sent whatever its length, and that of the credentials (contract 2: lwt, 1: credentials)", () => {
    for (const length of [0, 1, 9, 10, 20, 50, 70, 80, 90, 100, 127, 128, 129, 1000]) {
      const text = "☃".repeat(length);
      for (const [id, username, password, will] of [
        [text, "", "", ""], ["", text, "", ""], ["", "u", text, ""], ["", "", "", text], [text, text, text, text],
      ]) {
        const device = new Device({ args: [id, 60, username, password], brokerCapacity: 20000 });
        if (will !== "") device.client.lwt(will, will);
        const connect = nextConnect(device);
        if (length > 0) expect(Buffer.byteLength(connect)).toBeGreaterThan(3 * length);
        expect(connect).toMatch(/^CONNECT "☃*" clean 60/);
      }
    }
  });
});

describe("on", () => {
  test("returns undefined (contract 2: on)", () => {
    const device = new Device({ listens: false });
    for (const name of EVENTS) {
      expect(device.client.on(name, () => undefined)).toBeUndefined();
      expect(device.client.on(name, null)).toBeUndefined();
    }
  });

  /** What brings each event about, on a fresh device. */
  const causes: Record<(typeof EVENTS)[number], (device: Device) => void> = {
    connect: (device) => {
      device.client.connect("b");
      device.reach();
      device.send(connack());
    },
    connfail: (device) => {
      device.client.connect("b");
      device.socket.fail("dns");
    },
    offline: (device) => {
      device.up();
      device.socket.reset();
    },
    message: (device) => {
      device.up();
      device.send(message("t", "x"));
    },
    overflow: (device) => {
      device.up();
      device.send(message("t", "x".repeat(2000)));
    },
    puback: (device) => {
      device.up();
      device.client.publish("t", "x");
    },
    suback: (device) => {
      device.up();
      device.client.subscribe("t");
      device.send(suback(1, 0));
    },
    unsuback: (device) => {
      device.up();
      device.client.unsubscribe("t");
      device.send(ack("UNSUBACK", 1));
    },
  };

  test.each(EVENTS)("%s: one slot, the last registration wins, null clears it (contract 2: on)", (name) => {
    const device = new Device({ listens: false });
    const other = new Device({ listens: false });
    const note = (text: string) => () => device.events.push(text);
    device.client.on(name, note("first"));
    device.client.on(name, note("second"));
    causes[name](device);
    expect(device.take()).toEqual(["second"]);
    other.client.on(name, () => other.events.push("called"));
    other.client.on(name, null);
    causes[name](other);
    expect(other.take()).toEqual([]);
  });

  test("connect, connfail, puback, suback and unsuback are the slots of the methods' callbacks " +
    "(contract 2: on-slots)", () => {
    const device = new Device({ listens: false });
    const { client } = device;
    const note = (text: string) => () => device.events.push(text);
    // First the method, then on: on wins.
    client.connect("b", note("method"), note("method"));
    client.on("connect", note("on connect"));
    client.on("connfail", note("on connfail"));
    device.socket.fail("dns");
    client.connect("b");
    device.reach();
    device.send(connack());
    client.publish("t", "x", 1, 0, note("method"));
    client.subscribe("t", note("method"));
    client.unsubscribe("t", note("method"));
    client.on("puback", note("on puback"));
    client.on("suback", note("on suback"));
    client.on("unsuback", note("on unsuback"));
    device.send(ack("PUBACK", 1), suback(2, 0), ack("UNSUBACK", 3));
    expect(device.take()).toEqual(["on connfail", "on connect", "on puback", "on suback", "on unsuback"]);
    // Then the method again: the method wins.
    client.publish("t", "x", 1, 0, note("publish"));
    client.subscribe("t", 0, note("subscribe"));
    client.unsubscribe("t", note("unsubscribe"));
    device.send(ack("PUBACK", 4), suback(5, 0), ack("UNSUBACK", 6));
    client.abort();
    client.connect("b", note("ok"), note("fail"));
    device.hal.settle();
    device.socket.fail("dns");
    client.connect("b");
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["publish", "subscribe", "unsubscribe", "fail", "ok"]);
  });

  test("may be called at any time, in a callback too (contract 2: on)", () => {
    const device = new Device();
    device.during.message = () => device.client.on("message", () => device.events.push("new"));
    device.up();
    device.send(message("t", "1"), message("t", "2"));
    expect(device.take()).toEqual(["message t=1", "new"]);
  });
});

describe("publish", () => {
  test("sends text, numbers and bytes, empty too (contract 2: publish, 1: numbers)", () => {
    const device = new Device().up();
    const { client } = device;
    const bytes = Uint8Array.of(0xff, 0, 0x61);
    expect(client.publish("t", "text")).toBe(true);
    expect(client.publish("t", "")).toBe(true);
    expect(client.publish("t", 21.5)).toBe(true);
    expect(client.publish("t", 0)).toBe(true);
    expect(client.publish(42, "x")).toBe(true);
    expect(client.publish("t", bytes)).toBe(true);
    expect(client.publish("t", bytes.buffer)).toBe(true);
    expect(client.publish("t", bytes.subarray(2))).toBe(true);
    expect(client.publish("t", new Uint8Array(0))).toBe(true);
    bytes.fill(0);
    expect(device.sent()).toEqual([
      "PUBLISH t=text", "PUBLISH t=", "PUBLISH t=21.5", "PUBLISH t=0", "PUBLISH 42=x",
      "PUBLISH t=ÿ\0a", "PUBLISH t=ÿ\0a", "PUBLISH t=a", "PUBLISH t=",
    ]);
  });

  test("text is sent as UTF-8 (contract 2: publish)", () => {
    const device = new Device().up();
    device.client.publish("ü/☃", "grün ☃ 😀 \uFEFF");
    const payload = Buffer.from("grün ☃ 😀 \uFEFF").toString("latin1");
    expect(device.sent()).toEqual([`PUBLISH ü/☃=${payload}`]);
  });

  test("qos and retain are 0 when they are left out or null (contract 2: publish)", () => {
    const device = new Device().up();
    const { client } = device;
    client.publish("t", "x");
    expect(device.sent()).toEqual(["PUBLISH t=x"]);
    for (const [qos, retain] of omitted) {
      client.publish("t", "x", qos, retain);
      expect(device.sent()).toEqual(["PUBLISH t=x"]);
    }
    client.publish("t", "x", 1);
    client.publish("t", "x", 2, 1);
    client.publish("t", "x", null, true);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1", "PUBLISH t=x q2 #2 retain", "PUBLISH t=x retain"]);
  });

  test("the topic may have spaces, slashes alone and a dollar (contract 2: publish)", () => {
    const device = new Device().up();
    for (const topic of ["/", "//", " ", "$x", "__proto__", "a b/c"]) {
      expect(device.client.publish(topic, "x")).toBe(true);
      expect(device.sent()).toEqual([`PUBLISH ${topic}=x`]);
    }
  });

  test("answers false when no session is up: nothing sent, the slot untouched (contract 2: publish-false)", () => {
    const device = new Device();
    const publish = (): boolean => device.client.publish("t", "x", 0, 0, () => device.events.push("wrong"));
    expect(publish()).toBe(false);
    device.client.connect("broker");
    expect(publish()).toBe(false);
    device.reach();
    expect(publish()).toBe(false);
    device.send(connack());
    device.take();
    expect(device.sent()).toEqual([]);
    device.client.publish("t", "first");
    expect(device.sent()).toEqual(["PUBLISH t=first"]);
    expect(device.take()).toEqual(["puback"]);
    device.during.offline = publish;
    device.socket.reset();
    expect(publish()).toBe(false);
    device.up();
    device.client.publish("t", "second");
    expect(device.sent()).toEqual(["PUBLISH t=second"]);
    expect(device.take()).toEqual(["puback"]);
  });

  test("answers false when the table is full: nothing sent, the slot untouched " +
    "(contract 2: publish-false, 5: bounds)", () => {
    const device = new Device({ options: { maxOperations: 2 } }).up();
    const wrong = (): void => void device.events.push("wrong");
    expect(device.client.publish("t", "1", 1)).toBe(true);
    expect(device.client.publish("t", "2", 1)).toBe(true);
    expect(device.client.publish("t", "3", 1, 0, wrong)).toBe(false);
    expect(device.client.publish("t", "3", 0, 0, wrong)).toBe(false);
    expect(device.client.subscribe("t", wrong)).toBe(false);
    expect(device.client.unsubscribe("t", wrong)).toBe(false);
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1", "PUBLISH t=2 q1 #2"]);
    device.send(ack("PUBACK", 1), ack("PUBACK", 2));
    expect(device.take()).toEqual(["puback", "puback"]);
    // And is empty again, with no packet id lost.
    expect(device.client.publish("t", "3", 1)).toBe(true);
    expect(device.sent()).toEqual(["PUBLISH t=3 q1 #3"]);
  });

  test("answers false when the buffer is full, true when there is room again " +
    "(contract 2: publish-false, 5: bounds)", () => {
    const device = new Device({ options: { txCapacity: 128 } }).up();
    const wrong = (): void => void device.events.push("wrong");
    expect(device.client.publish("t", "x".repeat(60), 1)).toBe(true);
    expect(device.client.publish("t", "y".repeat(60), 1, 0, wrong)).toBe(false);
    expect(device.client.publish("t", "y".repeat(50), 1)).toBe(true);
    expect(device.client.publish("t", "", 1, 0, wrong)).toBe(false);
    device.sent();
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback"]);
    expect(device.client.publish("t", "z".repeat(60), 1)).toBe(true);
    expect(device.sent()).toEqual([`PUBLISH t=${"z".repeat(60)} q1 #3`]);
  });

  test("answers false when the packet can never fit (contract 2: publish-false, 5: bounds)", () => {
    const device = new Device({ options: { txCapacity: 128 } }).up();
    const wrong = (): void => void device.events.push("wrong");
    expect(device.client.publish("t", "x".repeat(124), 0, 0, wrong)).toBe(false);
    expect(device.client.publish("t", "☃".repeat(50), 0, 0, wrong)).toBe(false);
    expect(device.client.publish("t", new Uint8Array(100000), 0, 0, wrong)).toBe(false);
    expect(device.client.subscribe("t".repeat(200), wrong)).toBe(false);
    expect(device.client.publish("t", "x".repeat(123))).toBe(true);
    expect(device.sent()).toEqual([`PUBLISH t=${"x".repeat(123)}`]);
    expect(device.take()).toEqual(["puback"]);
  });

  test("at QoS 0 calls back when the bytes are with the network stack (contract 2: publish-callback)", () => {
    const device = new Device({ hal: { room: 30 } }).up();
    device.socket.stall();
    device.client.publish("t", "x".repeat(40));
    expect(device.events).toEqual([]);
    expect(device.take()).toEqual([]);
    device.socket.drain(10);
    expect(device.take()).toEqual([]);
    device.socket.drain(5);
    expect(device.take()).toEqual(["puback"]);
  });

  test("at QoS 1 calls back on PUBACK (contract 2: publish-callback)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 1);
    device.hal.advance(1000);
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 2));
    device.send(ack("PUBREC", 1), ack("PUBCOMP", 1), suback(1, 0), ack("UNSUBACK", 1));
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback"]);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual([]);
  });

  test("at QoS 2 calls back on PUBCOMP (contract 2: publish-callback)", () => {
    const device = new Device().up();
    device.client.publish("t", "x", 2);
    device.send(ack("PUBREC", 1));
    expect(device.take()).toEqual([]);
    expect(device.sent()).toEqual(["PUBLISH t=x q2 #1", "PUBREL #1"]);
    device.send(ack("PUBREC", 1));
    expect(device.sent()).toEqual(["PUBREL #1"]);
    expect(device.take()).toEqual([]);
    device.send(ack("PUBCOMP", 1));
    device.send(ack("PUBCOMP", 1));
    expect(device.take()).toEqual(["puback"]);
  });

  test("calls back with the client alone (contract 2: publish-callback, 3: client-first)", () => {
    const device = new Device({ listens: false }).up();
    const note = (...args: unknown[]): void => {
      device.events.push(`${args.length} of ${args[0] === device.client}`);
    };
    device.client.publish("t", "x", 0, 0, note);
    device.client.publish("t", "x", 1, 0, note);
    device.client.unsubscribe("t", note);
    device.send(ack("PUBACK", 1), ack("UNSUBACK", 2));
    expect(device.take()).toEqual(["1 of true", "1 of true", "1 of true"]);
  });
});

describe("subscribe", () => {
  const subscribe = (device: Device) => device.client.subscribe as (...args: unknown[]) => boolean;

  test("takes a filter, a QoS and a callback, each of the latter may be left out " +
    "(contract 2: subscribe, 1: numbers)", () => {
    const device = new Device({ listens: false }).up();
    const note = (text: string) => () => device.events.push(text);
    const calls: [unknown[], string, string][] = [
      [["a"], "a:0", ""],
      [["a", 1], "a:1", ""],
      [["a", 2, note("1")], "a:2", "1"],
      [["a/+/#", note("2")], "a/+/#:0", "2"],
      [["a", null, note("3")], "a:0", "3"],
      [["a", undefined, note("4")], "a:0", "4"],
      [["a", 1, null], "a:1", "4"],
      [["a", null, null], "a:0", "4"],
      [[12, note("5")], "12:0", "5"],
    ];
    let id = 1;
    for (const [args, filter, called] of calls) {
      expect(subscribe(device)(...args)).toBe(true);
      expect(device.sent()).toEqual([`SUBSCRIBE #${id} ${filter}`]);
      device.send(suback(id++, 0));
      expect(device.take().join()).toBe(called);
    }
  });

  test("takes a table of filters and their QoS, one packet for all (contract 2: subscribe-table)", () => {
    const device = new Device({ listens: false }).up();
    const note = (text: string) => () => device.events.push(text);
    expect(subscribe(device)({ a: 0, "b/#": 1, "+": 2, c: null, d: undefined }, note("1"))).toBe(true);
    expect(device.sent()).toEqual(["SUBSCRIBE #1 a:0 b/#:1 +:2 c:0 d:0"]);
    device.send(suback(1, 0, 1, 2, 0, 0));
    expect(subscribe(device)({ a: 0 })).toBe(true);
    device.send(suback(2, 0));
    expect(subscribe(device)({ a: 0 }, null)).toBe(true);
    device.send(suback(3, 0));
    expect(subscribe(device)(Object.create(null, { x: { value: 1, enumerable: true } }))).toBe(true);
    expect(device.sent()).toEqual(["SUBSCRIBE #2 a:0", "SUBSCRIBE #3 a:0", "SUBSCRIBE #4 x:1"]);
    expect(device.take()).toEqual(["1", "1", "1"]);
  });

  test("takes filters whose names objects use themselves (contract 2: subscribe, 2: subscribe-table)", () => {
    const device = new Device().up();
    const names = ["__proto__", "constructor", "toString", "hasOwnProperty"];
    for (const name of names) device.client.subscribe(name, 1);
    device.client.subscribe(JSON.parse('{"__proto__":2,"a":0}'));
    device.client.unsubscribe("__proto__");
    device.client.unsubscribe(JSON.parse('{"__proto__":2,"a":0}'));
    expect(device.sent()).toEqual([
      ...names.map((name, i) => `SUBSCRIBE #${i + 1} ${name}:1`),
      "SUBSCRIBE #5 __proto__:2 a:0",
      "UNSUBSCRIBE #6 __proto__",
      "UNSUBSCRIBE #7 __proto__ a",
    ]);
  });

  test("calls back with the granted codes, also for a refusal (contract 2: granted)", () => {
    const device = new Device({ listens: false }).up();
    const seen: Uint8Array[] = [];
    device.client.subscribe("a", 2, (_client, granted) => seen.push(granted));
    device.client.subscribe({ a: 1, b: 2, c: 0 });
    device.send(suback(1, 0x80), suback(2, 1, 0x80, 0));
    // They are the application's own.
    device.client.subscribe("d");
    device.send(suback(3, 2));
    expect(seen).toEqual([Uint8Array.of(0x80), Uint8Array.of(1, 0x80, 0), Uint8Array.of(2)]);
  });

  test("answers false when no session is up, the slot untouched (contract 2: publish-false)", () => {
    const device = new Device();
    const wrong = (): void => void device.events.push("wrong");
    const { client } = device;
    const calls = [
      () => client.subscribe("t", 0, wrong),
      () => client.subscribe({ t: 0 }, wrong),
      () => client.unsubscribe("t", wrong),
      () => client.unsubscribe({ t: 0 }, wrong),
    ];
    expect(calls.map((call) => call())).toEqual([false, false, false, false]);
    client.connect("broker");
    device.reach();
    expect(calls.map((call) => call())).toEqual([false, false, false, false]);
    device.send(connack());
    device.take();
    client.subscribe("t");
    client.unsubscribe("t");
    expect(device.sent()).toEqual(["SUBSCRIBE #1 t:0", "UNSUBSCRIBE #2 t"]);
    device.send(suback(1, 0), ack("UNSUBACK", 2));
    expect(device.take()).toEqual(["suback 0", "unsuback"]);
  });

  test("refuses more filters than the receive buffer has room for codes (contract 5: bounds)", () => {
    const device = new Device({ options: { rxCapacity: 128, maxMessageLength: 128 } }).up();
    const table: Record<string, 0> = {};
    for (let i = 0; i < 126; i++) table[`t${i}`] = 0;
    expect(device.client.subscribe(table)).toBe(true);
    device.send(suback(1, ...Object.values(table)));
    expect(device.take()).toEqual([`suback ${Object.values(table).join(" ")}`]);
    table.t126 = 0;
    expect(() => device.client.subscribe(table)).toThrow(new RangeError("topics must be at most 126, not 127"));
  });
});

describe("unsubscribe", () => {
  test("takes a filter or a table, whose values do not matter, and a callback " +
    "(contract 2: unsubscribe, 1: numbers)", () => {
    const device = new Device({ listens: false }).up();
    const note = (text: string) => () => device.events.push(text);
    const unsubscribe = device.client.unsubscribe as (...args: unknown[]) => boolean;
    const calls: [unknown[], string, string][] = [
      [["a"], "a", ""],
      [["a/#", note("1")], "a/#", "1"],
      [["a", null], "a", "1"],
      [[5, undefined], "5", "1"],
      [[{ a: 0, "+/b": "anything", c: null, d: undefined, e: 17 }, note("2")], "a +/b c d e", "2"],
      [[{ a: callbackValue }], "a", "2"],
    ];
    let id = 1;
    for (const [args, filters, called] of calls) {
      expect(unsubscribe(...args)).toBe(true);
      expect(device.sent()).toEqual([`UNSUBSCRIBE #${id} ${filters}`]);
      device.send(ack("UNSUBACK", id++));
      expect(device.take().join()).toBe(called);
    }
  });
});

const callbackValue = (): void => undefined;
