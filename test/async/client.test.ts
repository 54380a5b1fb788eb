/** The promise face on the mock platform. */
import { describe, expect, test } from "@jest/globals";
import { AsyncClient } from "../../src/async/client.js";
import { MqttError, NOT_CONNECTED, QUEUE_FULL } from "../../src/async/errors.js";
import { MockHal } from "../../hal/mock.js";
import { ack, connack, letters, message, PINGRESP, suback } from "../support/device.js";
import { AsyncDevice, flush, Outcome } from "../support/async-device.js";

describe("connect", () => {
  test("resolves with CONNACK, and says whether the broker had the session [MQTT-3.2.2-2]", async () => {
    for (const isPresent of [false, true]) {
      const device = new AsyncDevice({ cleanStart: false });
      const outcome = new Outcome(device.client.connect());
      device.hal.socket.connect();
      expect(device.sent()).toEqual(['CONNECT "id" persistent 60']);
      await flush();
      expect(outcome.text).toBe("pending");
      await device.send(connack(0, isPresent));
      expect(outcome.text).toBe(JSON.stringify({ sessionPresent: isPresent }));
      expect(await device.take()).toEqual([JSON.stringify({ type: "connected", sessionPresent: isPresent })]);
      expect(device.client.connected).toBe(true);
    }
  });

  test("rejects with the reason when the host cannot be reached, and can be called again", async () => {
    const device = new AsyncDevice();
    const outcome = new Outcome(device.client.connect());
    device.hal.socket.fail("refused", new Error("nothing listens"));
    device.hal.settle();
    await flush();
    expect(outcome.text).toBe("MqttError: the broker cannot be reached (nothing listens)");
    await device.up();
  });

  test("rejects with the return code of CONNACK", async () => {
    const device = new AsyncDevice({ reconnect: Infinity });
    const connecting = device.client.connect();
    device.hal.socket.connect();
    device.sent();
    await device.send(connack(5));
    await expect(connecting).rejects.toMatchObject({ reason: 5, message: "refused: not authorized" });
    expect(device.client.status().state).toBe("stopped");
    device.hal.advance(1000000);
    expect(device.hal.sockets).toHaveLength(1);
  });

  test("tries all hosts in order, once, without reconnect", async () => {
    const hosts = ["one", { host: "two", port: 2 }, ["three", 3] as [string, number]];
    const device = new AsyncDevice({ hosts });
    const outcome = new Outcome(device.client.connect());
    for (const [index, place] of ["one:1883", "two:2", "three:3"].entries()) {
      expect(device.hal.sockets).toHaveLength(index + 1);
      expect(`${device.hal.socket.host}:${device.hal.socket.port}`).toBe(place);
      device.hal.socket.fail("refused");
      device.hal.settle();
      await flush();
    }
    expect(outcome.text).toBe("MqttError: the broker cannot be reached");
    device.hal.advance(1000000);
    expect(device.hal.sockets).toHaveLength(3);
  });

  test("with reconnect tries so often again, then rejects", async () => {
    const device = new AsyncDevice({ reconnect: 2, reconnectTimeout: 1 });
    device.hal.script = (socket) => socket.fail("refused");
    const outcome = new Outcome(device.client.connect());
    await device.advance(60000);
    expect(outcome.text).toBe("MqttError: the broker cannot be reached");
    expect(device.hal.sockets).toHaveLength(3);
  });

  test("ends with its timeout or signal, and leaves nothing behind", async () => {
    const device = new AsyncDevice();
    const late = new Outcome(device.client.connect({ timeout: 2 }));
    await device.advance(2000);
    expect(late.text).toBe("MqttError: no answer in time");
    expect(device.hal.socket.closed).toBe(true);
    const controller = new AbortController();
    const aborted = new Outcome(device.client.connect({ signal: controller.signal }));
    controller.abort(new Error("enough"));
    await flush();
    expect(aborted.text).toBe("MqttError: aborted (enough)");
    expect(device.hal.socket.closed).toBe(true);
    const before = device.hal.sockets.length;
    const never = new Outcome(device.client.connect({ signal: controller.signal }));
    await flush();
    expect(never.text).toBe("MqttError: aborted (enough)");
    expect(device.hal.sockets).toHaveLength(before);
    await device.up();
  });

  test("the limit up to CONNACK is connectTimeout", async () => {
    const device = new AsyncDevice({ connectTimeout: 20 });
    const outcome = new Outcome(device.client.connect());
    device.hal.socket.connect();
    await device.advance(19999);
    expect(outcome.text).toBe("pending");
    await device.advance(1);
    expect(outcome.text).toBe("MqttError: the broker did not answer CONNECT in time");
  });

  test("throws while connected or connecting, and changes nothing", async () => {
    const device = new AsyncDevice();
    const connecting = device.client.connect();
    expect(() => device.client.connect()).toThrow("connecting already");
    device.hal.socket.connect();
    device.sent();
    await device.send(connack());
    await connecting;
    expect(() => device.client.connect()).toThrow("already connected");
    expect(device.client.connected).toBe(true);
  });
});

describe("publish", () => {
  test("resolves at QoS 0 when it was handed to the network", async () => {
    const device = await new AsyncDevice().up();
    const publication = device.client.publish("t", "x");
    expect(publication.packetId).toBe(0);
    const outcome = new Outcome(publication);
    expect(device.sent()).toEqual(["PUBLISH t=x"]);
    await flush();
    expect(outcome.text).toBe('{"packetId":0,"outcome":"delivered"}');
  });

  test("has the packet id at once, and resolves at QoS 1 and 2 when it was acknowledged", async () => {
    const device = await new AsyncDevice().up();
    const one = device.client.publish("t", "1", { qos: "at_least_once", retain: true });
    const two = device.client.publish("t", new Uint8Array([50]), { qos: 2 });
    expect([one.packetId, two.packetId]).toEqual([1, 2]);
    const outcomes = [new Outcome(one), new Outcome(two)];
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1 retain", "PUBLISH t=2 q2 #2"]);
    await device.send(ack("PUBACK", 1), ack("PUBREC", 2));
    expect(outcomes.map(({ text }) => text)).toEqual(['{"packetId":1,"outcome":"delivered"}', "pending"]);
    await device.send(ack("PUBCOMP", 2));
    expect(outcomes[1].text).toBe('{"packetId":2,"outcome":"delivered"}');
    expect(await device.take()).toEqual(['{"type":"puback","packetId":1}', '{"type":"puback","packetId":2}']);
  });

  test("rejects at once without a session, and with a full queue", async () => {
    const device = new AsyncDevice({ maxOperations: 2 });
    await expect(device.client.publish("t", "x")).rejects.toMatchObject({ reason: NOT_CONNECTED, packetId: 0 });
    await device.up();
    for (let i = 0; i < 2; i++) void device.client.publish("t", "x", { qos: 1 });
    const full = device.client.publish("t", "x", { qos: 1 });
    expect(full.packetId).toBe(0);
    await expect(full).rejects.toMatchObject({ reason: QUEUE_FULL });
  });

  test("rejects what is lost with its session, which ends nobody who does not wait for it", async () => {
    const device = await new AsyncDevice().up();
    const lost = device.client.publish("t", "x", { qos: 1 });
    device.hal.settle();
    device.hal.socket.reset();
    device.hal.settle();
    await flush();
    const error = await lost.catch((reason: unknown) => reason);
    expect(error).toBeInstanceOf(MqttError);
    expect(error).toMatchObject({ outcome: "lost", packetId: 1 });
  });

  test("of a kept session resolves on a later connection", async () => {
    const device = await new AsyncDevice({ cleanStart: false, reconnect: Infinity, reconnectTimeout: 1 }).up();
    const outcome = new Outcome(device.client.publish("t", "x", { qos: 1 }));
    device.hal.settle();
    device.hal.socket.reset();
    await device.advance(1000);
    const behind = new Outcome(device.client.publish("t", "behind", { qos: 1 }));
    device.hal.socket.connect();
    device.sent();
    await device.send(connack(0, true));
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1 dup", "PUBLISH t=behind q1 #2"]);
    await device.send(ack("PUBACK", 1), ack("PUBACK", 2));
    expect([outcome.text, behind.text].map((text) => text.includes("delivered"))).toEqual([true, true]);
  });

  test("of a kept session that is given up rejects: kept", async () => {
    const device = await new AsyncDevice({ cleanStart: false }).up();
    const publication = device.client.publish("t", "x", { qos: 1 });
    device.hal.settle();
    device.client.stop();
    device.hal.settle();
    await expect(publication).rejects.toMatchObject({ outcome: "kept", packetId: 1 });
    await device.up(true);
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1 dup"]);
  });

  test("with a timeout: removed if it has not begun to leave, unknown if it has", async () => {
    const device = await new AsyncDevice({ maxInflight: 1 }).up();
    const sent = device.client.publish("t", "1", { qos: 1, timeout: 1 });
    const waiting = device.client.publish("t", "2", { qos: 1, timeout: 1 });
    device.hal.settle();
    await device.advance(1000);
    await expect(sent).rejects.toMatchObject({ reason: -62, outcome: "unknown", packetId: 1 });
    await device.advance(1);
    await expect(waiting).rejects.toMatchObject({ outcome: "expired", packetId: 2 });
    await device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1"]);
  });

  test("with a signal: stops waiting", async () => {
    const device = await new AsyncDevice().up();
    const controller = new AbortController();
    const outcome = new Outcome(device.client.publish("t", "1", { qos: 1, signal: controller.signal }));
    controller.abort();
    await flush();
    expect(outcome.text).toContain("MqttError: aborted");
    await device.send(ack("PUBACK", 1));
    const never = new Outcome(device.client.publish("t", "2", { signal: controller.signal }));
    await flush();
    expect(never.text).toContain("MqttError: aborted");
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1"]);
  });

  test.each([100, 800, 850, 880, 900, 1000])("a payload of %i bytes leaves, whatever the topic", async (length) => {
    const device = await new AsyncDevice({ txCapacity: 1024 }).up();
    const outcome = new Outcome(device.client.publish("ü".repeat(100), letters(length), { qos: 1 }));
    await device.advance(0);
    expect(device.sent()).toHaveLength(1);
    await device.send(ack("PUBACK", 1));
    expect(outcome.text).toContain("delivered");
  });

  test("a message that waits without a session expires at its timeout", async () => {
    const device = new AsyncDevice({ cleanStart: false, reconnect: Infinity });
    const publication = device.client.publish("t", "1", { qos: 1, timeout: 2 });
    await device.advance(2001);
    await expect(publication).rejects.toMatchObject({ outcome: "expired", packetId: 1 });
    expect(device.client.info().queued).toBe(0);
  });

  test("what is larger than the transmit buffer leaves all the same, text too", async () => {
    const device = await new AsyncDevice({ txCapacity: 128 }).up();
    const text = letters(1000);
    const outcome = new Outcome(device.client.publish("t", text, { qos: 1 }));
    device.hal.settle();
    expect(device.sent()).toEqual([`PUBLISH t=${text} q1 #1`]);
    await device.send(ack("PUBACK", 1));
    expect(outcome.text).toContain("delivered");
    const bytes = new Outcome(device.client.publish("t", Buffer.from(text)));
    expect(device.sent()).toEqual([`PUBLISH t=${text}`]);
    await flush();
    expect(bytes.text).toContain("delivered");
  });

  test("wrong arguments throw by name, and change nothing", async () => {
    const device = await new AsyncDevice().up();
    const { client } = device;
    const publish = client.publish.bind(client) as (...args: unknown[]) => unknown;
    expect(() => publish("a/+", "x")).toThrow("topic must be");
    expect(() => publish("", "x")).toThrow("topic must be");
    expect(() => publish("t", {})).toThrow("payload must be");
    expect(() => publish("t", "x", { qos: 3 })).toThrow("qos must be");
    expect(() => publish("t", "x", { retain: "yes" })).toThrow("retain must be");
    expect(() => publish("t", "x", { nl: true })).toThrow('unknown option "nl"');
    expect(() => publish("t", "x", { timeout: 0 })).toThrow("timeout must be");
    expect(() => publish("t", "x", { signal: {} })).toThrow("signal must be an AbortSignal");
    expect(() => publish("t", "\ud800")).toThrow("payload must not have a lone surrogate");
    expect(device.sent()).toEqual([]);
    expect(client.info().queued).toBe(0);
  });
});

describe("subscribe and unsubscribe", () => {
  test("resolve with what the broker said about each filter, in the order of the arguments", async () => {
    const device = await new AsyncDevice().up();
    const { client } = device;
    const results = client.subscribe(["b", { filter: "2", qos: 2 }, { filter: "1" }], { qos: 1 });
    // Names that are numbers come first in a table of the language.
    expect(device.sent()).toEqual(["SUBSCRIBE #1 1:1 2:2 b:1"]);
    await device.send(suback(1, 0, 128, 1));
    expect(await results).toEqual([
      { filter: "b", reasonCode: 1 }, { filter: "2", reasonCode: 128 }, { filter: "1", reasonCode: 0 },
    ]);
    expect(client.subscriptions()).toEqual({ b: 1, 1: 0 });
    const gone = client.unsubscribe(["b", "1"]);
    expect(device.sent()).toEqual(["UNSUBSCRIBE #2 1 b"]);
    await device.send(ack("UNSUBACK", 2));
    expect(await gone).toEqual([{ filter: "b", reasonCode: 0 }, { filter: "1", reasonCode: 0 }]);
    expect(client.subscriptions()).toEqual({});
  });

  test("take one filter, and a table, too", async () => {
    const device = await new AsyncDevice().up();
    const one = device.client.subscribe("t");
    const two = device.client.subscribe({ a: "exactly_once", b: 0 });
    expect(device.sent()).toEqual(["SUBSCRIBE #1 t:0", "SUBSCRIBE #2 a:2 b:0"]);
    await device.send(suback(1, 128), suback(2, 2, 0));
    expect(await one).toEqual([{ filter: "t", reasonCode: 128 }]);
    expect(await two).toEqual([{ filter: "a", reasonCode: 2 }, { filter: "b", reasonCode: 0 }]);
  });

  test("reject without a session, with their session, and when no answer comes", async () => {
    const device = new AsyncDevice({ ackTimeout: 30 });
    await expect(device.client.subscribe("t")).rejects.toMatchObject({ reason: NOT_CONNECTED });
    await device.up();
    const timed = new Outcome(device.client.subscribe("t", { timeout: 1 }));
    const lost = new Outcome(device.client.subscribe("u"));
    await device.advance(1000);
    expect(timed.text).toBe("MqttError: no answer in time");
    device.hal.socket.reset();
    await device.advance(0);
    expect(lost.text).toBe("MqttError: lost with its connection");
  });

  test("wrong arguments throw by name, and change nothing", async () => {
    const device = await new AsyncDevice().up();
    const subscribe = device.client.subscribe.bind(device.client) as (...args: unknown[]) => unknown;
    expect(() => subscribe(["a", "a"])).toThrow('filter "a" must not be given twice');
    expect(() => subscribe([])).toThrow("filters must be at least one");
    expect(() => subscribe("a#")).toThrow("topic must be a valid topic filter");
    expect(() => subscribe(["a", 5])).toThrow("filter must be a string, not 5");
    expect(() => subscribe({ a: 3 })).toThrow('qos of "a" must be');
    expect(() => subscribe("a", { nl: true })).toThrow("nl belongs to MQTT 5");
    expect(() => subscribe([{ filter: "a", rh: 1 }])).toThrow("rh belongs to MQTT 5");
    expect(() => subscribe([{ filter: "a", qso: 1 }])).toThrow('unknown option "qso"');
    expect(() => subscribe(undefined)).toThrow("filters must be");
    expect(device.sent()).toEqual([]);
  });
});

describe("messages", () => {
  test("come in their order, with bytes of their own, and end with disconnect", async () => {
    const device = await new AsyncDevice().up();
    const seen: string[] = [];
    const reading = (async () => {
      for await (const each of device.client.messages()) {
        seen.push(`${each.topic}=${Buffer.from(each.payload).toString()} q${each.qos}`);
      }
    })();
    await device.send(message("a", "1"), message("b", "", { qos: 1, id: 5 }));
    await device.send(message("c", "3"));
    expect(seen).toEqual(["a=1 q0", "b= q1", "c=3 q0"]);
    expect(device.sent()).toEqual(["PUBACK #5"]);
    const gone = device.client.disconnect();
    expect(device.sent()).toEqual(["DISCONNECT"]);
    device.hal.settle();
    await gone;
    await reading;
  });

  test("what waits when the session ends is still handed out; a loss is thrown behind it", async () => {
    const device = await new AsyncDevice().up();
    const messages = device.client.messages();
    await device.send(message("a", "1"));
    device.hal.socket.reset();
    device.hal.settle();
    expect((await messages.next()).value).toMatchObject({ topic: "a" });
    await expect(messages.next()).rejects.toMatchObject({ reason: -10 });
    expect(await messages.next()).toEqual({ value: undefined, done: true });
  });

  test("go on across connections, with reconnect", async () => {
    const device = await new AsyncDevice({ reconnect: 3, reconnectTimeout: 1 }).up();
    const messages = device.client.messages();
    device.hal.socket.reset();
    await device.advance(1000);
    device.hal.socket.connect();
    device.sent();
    await device.send(connack());
    await device.send(message("a", "again"));
    expect((await messages.next()).value).toMatchObject({ topic: "a" });
  });

  test("nothing is read from half of maxQueue on, and reading goes on when there is room", async () => {
    const device = await new AsyncDevice({ maxQueue: 4, owner: undefined as never }).up();
    const messages = device.client.messages();
    await device.send(...["1", "2", "3", "4", "5"].map((payload) => message("t", payload)));
    expect(device.client.info()).toMatchObject({ messages: 2, isPaused: true });
    for (const expected of ["1", "2", "3", "4", "5"]) {
      const { value } = await messages.next();
      expect(Buffer.from(value!.payload).toString()).toBe(expected);
      device.hal.settle();
    }
    expect(device.client.info()).toMatchObject({ messages: 0, isPaused: false });
  });

  test("an acknowledgement behind messages is still read, while there is room", async () => {
    const device = await new AsyncDevice({ maxQueue: 8 }).up();
    const messages = device.client.messages();
    await device.send(...["1", "2", "3", "4"].map((payload) => message("t", payload)));
    expect(device.client.info()).toMatchObject({ messages: 4, isPaused: true });
    const outcome = new Outcome(device.client.publish("t", "x", { qos: 1 }));
    await device.send(message("t", "5"), ack("PUBACK", 1));
    expect(outcome.text).toContain("delivered");
    expect(device.client.info()).toMatchObject({ messages: 5, isPaused: true });
    await messages.return!();
    expect(device.client.info()).toMatchObject({ isPaused: false });
    device.client.messages();
    expect(device.client.info()).toMatchObject({ messages: 0, isPaused: false });
  });

  test("who waits for an answer that is behind a full queue is told so", async () => {
    const device = await new AsyncDevice({ maxQueue: 2, ackTimeout: 5 }).up();
    const messages = device.client.messages();
    const outcome = new Outcome(device.client.publish("t", "x", { qos: 1 }));
    await device.send(message("t", "1"), message("t", "2"), message("t", "3"), ack("PUBACK", 1));
    await device.advance(4999);
    expect(outcome.text).toBe("pending");
    await device.advance(1);
    expect(outcome.text).toBe(
      "MqttError: no answer in time: the queue of messages is full, so that nothing is read",
    );
    for (const expected of ["1", "2", "3"]) {
      const { value } = await messages.next();
      expect(Buffer.from(value!.payload).toString()).toBe(expected);
      device.hal.settle();
    }
  });

  test("one that is longer than the receive buffer is put together; one above maxMessageLength is told", async () => {
    const device = await new AsyncDevice({ rxCapacity: 128, maxMessageLength: 1000 }).up();
    const messages = device.client.messages();
    const text = letters(1000);
    await device.send(message("t", text), message("t", `${text}!`), message("t", "behind"));
    expect(Buffer.from((await messages.next()).value!.payload).toString()).toBe(text);
    expect(Buffer.from((await messages.next()).value!.payload).toString()).toBe("behind");
    expect(await device.take()).toEqual([
      `t=${text}`, '{"type":"overflow","topic":"t","length":1001,"qos":0,"packetId":0}', "t=behind",
    ]);
  });

  test("end with the signal, and with return; one iteration at a time", async () => {
    const device = await new AsyncDevice().up();
    const controller = new AbortController();
    const messages = device.client.messages({ signal: controller.signal });
    expect(() => device.client.messages()).toThrow("iterated over already");
    const waiting = messages.next();
    controller.abort();
    expect(await waiting).toEqual({ value: undefined, done: true });
    const none = device.client.messages({ signal: controller.signal });
    expect(await none.next()).toEqual({ value: undefined, done: true });
    const other = device.client.messages();
    await other.return!();
    expect(device.client.messages()).not.toBe(other);
  });
});

describe("messages that nobody iterates over", () => {
  test("wait, without an owner: those right behind CONNACK, and those behind a break", async () => {
    const device = new AsyncDevice({ cleanStart: false, owner: undefined as never });
    const connecting = device.client.connect();
    device.hal.socket.connect();
    device.sent();
    await device.send(connack(0, true), message("t", "kept", { qos: 1, id: 1 }));
    await connecting;
    for await (const { payload } of device.client.messages()) {
      expect(Buffer.from(payload).toString()).toBe("kept");
      break;
    }
    await device.send(message("t", "1"), message("t", "2"));
    const messages = device.client.messages();
    expect(Buffer.from((await messages.next()).value!.payload).toString()).toBe("1");
    await messages.return!();
    const later = device.client.messages();
    expect(Buffer.from((await later.next()).value!.payload).toString()).toBe("2");
  });

  test("are an owner's, if there is one: an iteration begins with what comes from then on", async () => {
    const device = await new AsyncDevice().up();
    await device.send(message("t", "1"));
    const messages = device.client.messages();
    await device.send(message("t", "2"));
    expect(Buffer.from((await messages.next()).value!.payload).toString()).toBe("2");
    expect(await device.take()).toEqual(["t=1", "t=2"]);
  });

  test("one in pieces is whole, whatever is iterated over meanwhile", async () => {
    const device = await new AsyncDevice({ rxCapacity: 128, owner: undefined as never }).up();
    const text = letters(300);
    const bytes = device.broker.bytes(message("t", text));
    const messages = device.client.messages();
    device.hal.socket.receive(bytes.subarray(0, 100));
    device.hal.settle();
    await messages.return!();
    device.hal.socket.receive(bytes.subarray(100, 200));
    device.hal.settle();
    const next = device.client.messages().next();
    device.hal.socket.receive(bytes.subarray(200));
    device.hal.settle();
    expect(Buffer.from((await next).value!.payload).toString()).toBe(text);
  });

  test("a call of next that nobody waits for does not end the process", async () => {
    const device = await new AsyncDevice().up();
    void device.client.messages().next();
    device.hal.socket.reset();
    await device.take();
    await flush();
  });

  test("one that is too long is acknowledged by the client, lest those behind it wait", async () => {
    const device = await new AsyncDevice({ autoAck: "never", rxCapacity: 128, maxMessageLength: 100 }).up();
    await device.send(
      message("t", letters(300), { qos: 1, id: 1 }), message("t", letters(101), { qos: 1, id: 2 }),
      message("t", letters(300), { qos: 2, id: 3 }), message("t", "x", { qos: 1, id: 4 }),
    );
    device.client.puback(4);
    expect(device.sent().sort()).toEqual(["PUBACK #1", "PUBACK #2", "PUBACK #4", "PUBREC #3"]);
    expect((await device.take()).slice(0, 2)).toEqual([
      '{"type":"overflow","topic":"t","length":300,"qos":1,"packetId":1}',
      '{"type":"overflow","topic":"t","length":101,"qos":1,"packetId":2}',
    ]);
  });

  test("PUBREL is answered by the client where nobody hears of it", async () => {
    const device = await new AsyncDevice({ autoAck: false, owner: undefined as never }).up();
    await device.send(message("t", "x", { qos: 2, id: 3 }));
    expect(device.sent()).toEqual(["PUBREC #3"]);
    await device.send(ack("PUBREL", 3));
    expect(device.sent()).toEqual(["PUBCOMP #3"]);
  });
});

describe("calls that meet", () => {
  test("a limit of connect ends what waited for the connection, too", async () => {
    const device = await new AsyncDevice({ cleanStart: false, reconnect: Infinity }).up();
    const next = new Outcome(device.client.messages().next());
    device.hal.socket.reset();
    device.hal.settle();
    const publication = new Outcome(device.client.publish("t", "1", { qos: 1 }));
    const connecting = new Outcome(device.client.connect({ timeout: 3 }));
    await device.advance(3000);
    expect(connecting.text).toBe("MqttError: no answer in time");
    expect(publication.text).toContain("the session keeps it");
    expect(next.text).toBe('{"done":true}');
    expect(device.client.status().state).toBe("idle");
  });

  test.each(["disconnect", "abort"])("connect behind disconnect, then %s: it ends in good order", async (how) => {
    const device = await new AsyncDevice().up();
    const publication = new Outcome(device.client.publish("t", "1", { qos: 1 }));
    const ending = new Outcome(device.client.disconnect());
    const controller = new AbortController();
    const connecting = new Outcome(device.client.connect({ signal: controller.signal }));
    if (how === "abort") controller.abort();
    else void device.client.disconnect();
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1"]);
    await device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["DISCONNECT"]);
    await device.take();
    expect([publication.text, ending.text]).toEqual(['{"packetId":1,"outcome":"delivered"}', "done"]);
    expect(connecting.text).toContain(how === "abort" ? "MqttError: aborted" : "MqttError: disconnected");
    expect(device.hal.sockets).toHaveLength(1);
  });

  test("connect behind disconnect: the old session ends, then a new one begins", async () => {
    const device = await new AsyncDevice().up();
    const ending = device.client.disconnect();
    expect(device.client.disconnect()).toBe(ending);
    const connecting = device.client.connect();
    const [first] = device.hal.sockets;
    await device.advance(0);
    expect([...first.sent].slice(-2)).toEqual([0xe0, 0]);
    await ending;
    expect(device.hal.sockets).toHaveLength(2);
    device.hal.socket.connect();
    device.sent();
    await device.send(connack());
    expect(await connecting).toEqual({ sessionPresent: false });
  });

  test("disconnect when the owner is told that it is connected: with DISCONNECT", async () => {
    const device: AsyncDevice = new AsyncDevice({
      owner(event) {
        if (event.type === "state" && event.state === "connected") void device.client.disconnect();
      },
    });
    void device.client.connect();
    device.hal.socket.connect();
    device.sent();
    await device.send(connack());
    expect(device.sent()).toEqual(["DISCONNECT"]);
  });

  test("connect when the owner is told that it has stopped, or is disconnected: begins anew", async () => {
    for (const at of ["stopped", "disconnected"]) {
      const again: Outcome[] = [];
      const device: AsyncDevice = new AsyncDevice({
        owner(event) {
          const isIt = event.type === at || (event.type === "state" && event.state === at);
          if (isIt && again.length === 0) again.push(new Outcome(device.client.connect()));
        },
      });
      await device.up();
      device.hal.socket.reset();
      device.hal.settle();
      await flush();
      device.hal.socket.connect();
      device.sent();
      await device.send(connack());
      expect(again.map(({ text }) => text)).toEqual(['{"sessionPresent":false}']);
    }
  });

  test("a full queue without a session, or at disconnect, fails nothing that does not wait for an answer", async () => {
    const options = { reconnect: Infinity, reconnectTimeout: 60, cleanStart: false, maxQueue: 1, ackTimeout: 5 };
    const device = await new AsyncDevice(options).up();
    device.client.messages();
    await device.send(message("t", "1"));
    device.hal.socket.reset();
    device.hal.settle();
    const publication = new Outcome(device.client.publish("t", "1", { qos: 1 }));
    const connecting = new Outcome(device.client.connect());
    await device.advance(6000);
    expect([publication.text, connecting.text]).toEqual(["pending", "pending"]);
    device.hal.socket.connect();
    device.sent();
    await device.send(connack(0, true));
    expect(connecting.text).toContain("sessionPresent");
    const ending = new Outcome(device.client.disconnect());
    await device.advance(5000);
    expect(ending.text).toBe("done");
  });

  test("a full queue stops reading on the next connection, too, and resume does not undo it", async () => {
    const device = await new AsyncDevice({ reconnect: 1, reconnectTimeout: 1, maxQueue: 1 }).up();
    const messages = device.client.messages();
    await device.send(message("t", "1"));
    device.hal.socket.reset();
    await device.advance(1000);
    device.hal.socket.connect();
    device.sent();
    await device.send(connack());
    await device.take();
    device.client.pause();
    device.client.resume();
    await device.send(message("t", "2"));
    expect(await device.take()).toEqual([]);
    device.client.pause();
    await messages.next();
    expect(await device.take()).toEqual([]);
    device.client.resume();
    expect(await device.take()).toEqual(["t=2"]);
  });

  test("a signal is left behind when the iteration or the operation is over", async () => {
    const device = await new AsyncDevice().up();
    let listeners = 0;
    const signal = {
      aborted: false,
      addEventListener: () => void listeners++,
      removeEventListener: () => void listeners--,
    };
    const messages = device.client.messages({ signal });
    void device.client.publish("t", "x", { signal });
    expect(listeners).toBe(2);
    void device.client.disconnect();
    await device.take();
    expect(listeners).toBe(0);
    expect(await messages.next()).toEqual({ value: undefined, done: true });
  });

  test("a ping at the loss of the session is not connected, rather than too late", async () => {
    const device = await new AsyncDevice().up();
    const outcome = new Outcome(device.client.ping());
    device.hal.socket.reset();
    await device.take();
    expect(outcome.text).toBe("MqttError: not connected");
  });
});

describe("reconnect", () => {
  test("subscribes again when the broker has no session, and tells of each filter", async () => {
    const device = await new AsyncDevice({ reconnect: 1, reconnectTimeout: 1 }).up();
    const subscribed = device.client.subscribe(["a", "b"], { qos: 1 });
    device.hal.settle();
    await device.send(suback(1, 1, 1));
    await subscribed;
    device.hal.socket.reset();
    await device.advance(1000);
    device.hal.socket.connect();
    device.sent();
    await device.send(connack());
    expect(device.sent()).toEqual(["SUBSCRIBE #2 a:1 b:1"]);
    await device.send(suback(2, 0, 0x80));
    expect(await device.take()).toEqual([
      '{"type":"disconnected","reason":-10}',
      '{"type":"connected","sessionPresent":false}',
      '{"type":"renewed","filter":"a","reasonCode":0}',
      '{"type":"renewed","filter":"b","reasonCode":128}',
    ]);
    expect(device.client.subscriptions()).toEqual({ a: 0 });
  });
});

describe("the rest", () => {
  test("ping resolves with PINGRESP, and rejects without", async () => {
    const device = new AsyncDevice({ ackTimeout: 5 });
    await expect(device.client.ping()).rejects.toMatchObject({ reason: NOT_CONNECTED });
    await device.up();
    const answered = device.client.ping();
    expect(device.sent()).toEqual(["PINGREQ"]);
    await device.send(PINGRESP);
    expect(await answered).toBe("pong");
    const silent = new Outcome(device.client.ping());
    await device.advance(5000);
    expect(silent.text).toBe("MqttError: no answer in time");
  });

  test("pause and resume: nothing is read in between, on a later connection neither", async () => {
    const device = await new AsyncDevice({ reconnect: 1, reconnectTimeout: 1 }).up();
    device.client.pause();
    await device.send(message("t", "1"));
    expect(await device.take()).toEqual([]);
    device.client.resume();
    expect(await device.take()).toEqual(["t=1"]);
    device.client.pause();
    device.hal.socket.reset();
    await device.advance(1000);
    device.hal.socket.connect();
    device.sent();
    await device.send(connack());
    await device.take();
    await device.send(message("t", "2"));
    expect(await device.take()).toEqual([]);
    device.client.resume();
    expect(await device.take()).toEqual(["t=2"]);
  });

  test("disconnect sends DISCONNECT behind everything else; stop sends none", async () => {
    const device = await new AsyncDevice().up();
    const outcome = new Outcome(device.client.publish("t", "x", { qos: 1 }));
    const gone = new Outcome(device.client.disconnect());
    expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
    await device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["DISCONNECT"]);
    await flush();
    expect([outcome.text, gone.text]).toEqual(['{"packetId":1,"outcome":"delivered"}', "done"]);
    await device.up();
    device.client.stop();
    expect(device.sent()).toEqual([]);
    expect(device.hal.socket.closed).toBe(true);
    expect(await device.take()).toEqual(['{"type":"disconnected","reason":0}']);
  });

  test("disconnect and stop end an attempt and a pause at once", async () => {
    for (const end of ["disconnect", "stop"] as const) {
      // A pause that is drawn from so many is not over at once.
      const device = new AsyncDevice({ reconnect: Infinity, reconnectTimeout: 1000000 });
      const attempt = new Outcome(device.client.connect());
      const ended = device.client[end]();
      await device.advance(0);
      await ended;
      expect(attempt.text).toBe("MqttError: disconnected");
      expect(device.hal.socket.closed).toBe(true);
      device.hal.script = (socket) => socket.fail("refused");
      const pause = new Outcome(device.client.connect());
      await device.advance(1);
      expect(device.client.status().state).toBe("waiting");
      await device.client[end]();
      await flush();
      expect(pause.text).toBe("MqttError: disconnected");
      await device.advance(1000000);
      expect(device.client.status().state).toBe("idle");
    }
  });

  test("autoAck false: the application acknowledges, and is told of PUBREL", async () => {
    const device = await new AsyncDevice({ autoAck: false }).up();
    await device.send(message("t", "1", { qos: 1, id: 3 }), message("t", "2", { qos: 2, id: 4 }));
    expect(device.sent()).toEqual(["PUBREC #4"]);
    expect(device.client.puback(3)).toBe(true);
    expect(device.sent()).toEqual(["PUBACK #3"]);
    await device.send(ack("PUBREL", 4));
    expect(await device.take()).toEqual(["t=1", "t=2", '{"type":"pubrel","packetId":4}']);
    expect(device.client.pubcomp(4)).toBe(true);
    expect(device.sent()).toEqual(["PUBCOMP #4"]);
    expect(device.client.puback(3)).toBe(false);
    const automatic = await new AsyncDevice().up();
    expect(() => automatic.client.puback(3)).toThrow("autoAck must be false");
  });

  test("a message is acknowledged on its own connection or in its own session, not another of that id", async () => {
    const options = { autoAck: "never", cleanStart: false, reconnect: Infinity, reconnectTimeout: 1 } as const;
    const device = await new AsyncDevice(options).up();
    const messages = device.client.messages();
    await device.send(message("t", "one", { qos: 1, id: 1 }), message("t", "two", { qos: 2, id: 2 }));
    const one = (await messages.next()).value!;
    const two = (await messages.next()).value!;
    for (const isPresent of [true, false]) {
      device.hal.socket.reset();
      await device.advance(isPresent ? 1000 : 2000);
      device.hal.socket.connect();
      device.sent();
      await device.send(connack(0, isPresent));
      await device.send(message("t", "other", { qos: 1, id: 1 }));
      expect(device.client.puback(one)).toBe(false);
      if (!isPresent) await device.send(message("t", "another", { qos: 2, id: 2 }));
      expect(device.client.pubrec(two)).toBe(isPresent);
      expect(device.sent()).toEqual([]);
      if (isPresent) await device.send(message("t", "two", { qos: 2, id: 2, dup: true }));
      expect(device.sent()).toEqual(isPresent ? ["PUBREC #2"] : []);
    }
    expect(device.client.puback((await messages.next()).value!)).toBe(false);
    expect(device.client.puback((await messages.next()).value!)).toBe(true);
    expect(device.sent()).toEqual(["PUBACK #1"]);
  });

  test("with MQTT 3.1 a QoS 2 message of a kept session is confirmed on the next connection, too", async () => {
    const options = { autoAck: "never", cleanStart: false, protoVer: "v3", reconnect: 1, reconnectTimeout: 1 } as const;
    const device = new AsyncDevice(options);
    const messages = device.client.messages();
    void device.client.connect();
    device.hal.socket.connect();
    device.hal.settle();
    await device.send(connack(), message("t", "x", { qos: 2, id: 2 }));
    const { value } = await messages.next();
    device.hal.socket.reset();
    await device.advance(1000);
    device.hal.socket.connect();
    device.hal.settle();
    await device.send(connack(), message("t", "x", { qos: 2, id: 2, dup: true }));
    expect(device.client.pubrec(value!)).toBe(true);
    device.hal.settle();
    expect([...device.hal.socket.sent].slice(-4)).toEqual([0x50, 2, 0, 2]);
  });

  test("an owner that throws surfaces as uncaught, and harms nothing", async () => {
    const device = new AsyncDevice({
      owner() {
        throw new Error("mine");
      },
    });
    await device.up();
    const outcome = new Outcome(device.client.publish("t", "x"));
    await device.advance(0);
    expect(outcome.text).toContain("delivered");
    expect(device.hal.uncaughtErrors.splice(0).length).toBeGreaterThan(0);
  });

  test("info has settings and counts, and no password", async () => {
    const device = await new AsyncDevice({ name: "mine", username: "user", password: "hush", keepalive: 0 }).up();
    void device.client.publish("t", "x", { qos: 1 });
    device.hal.settle();
    expect(device.client.info()).toEqual({
      state: "connected", host: "localhost", port: 1883, clientid: "id", name: "mine", username: "user",
      protoVer: "v4", cleanStart: true, keepalive: 0, inflight: 1, queued: 1, messages: 0, isPaused: false,
    });
    expect(JSON.stringify(device.client.info())).not.toContain("hush");
  });

  test("when it is over no timer is left, which would keep a program from ending", async () => {
    for (const end of ["disconnect", "stop"] as const) {
      const device = await new AsyncDevice({ reconnect: 3, retryInterval: 9, forcePing: true, maxQueue: 2 }).up();
      void device.client.publish("t", "x", { qos: 1, timeout: 1000 });
      void device.client.publish("t", "y", { qos: 1, timeout: 2000 });
      void device.client.subscribe("t", { timeout: 1000 });
      void device.client.ping({ timeout: 1000 });
      device.client.messages();
      await device.send(ack("PUBACK", 1), suback(3, 0), PINGRESP, message("t", "1"), message("t", "2"));
      void device.client[end]();
      await device.advance(5000);
      await device.take();
      expect(device.client.status().state).toBe("idle");
      expect(device.hal.nextTimerMs).toBeUndefined();
    }
  });

  test("nor with a session that is kept, and a message in it that has an age", async () => {
    const device = await new AsyncDevice({ cleanStart: false, reconnect: 3, maxInflight: 1 }).up();
    void device.client.publish("t", "1", { qos: 1 });
    void device.client.publish("t", "2", { qos: 1, timeout: 600 });
    device.client.stop();
    await device.take();
    expect(device.hal.nextTimerMs).toBeUndefined();
    void device.client.connect();
    void device.client.publish("t", "3", { qos: 1, timeout: 600 });
    device.client.stop();
    await device.take();
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("several clients share a platform", async () => {
    const hal = new MockHal();
    const clients = [new AsyncClient(hal, { host: "a" }), new AsyncClient(hal, { host: "b" })];
    for (const client of clients) void client.connect();
    expect(hal.sockets.map(({ host }) => host)).toEqual(["a", "b"]);
    for (const client of clients) client.stop();
    await flush();
  });
});
