/** What holds with any broker, as tests: each suite below runs over every broker there is. */
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import mqtt from "mcu-mqtt";
import type { ClientOptions, Mqtt, QoS } from "mcu-mqtt";
import type { Broker } from "../support/broker.js";
import { FORBIDDEN, HOST, PASSWORD, USERNAME } from "../support/broker.js";
import { certificates } from "../support/certificates.js";
import type { RelayedConnection } from "../support/relay.js";
import { Relay } from "../support/relay.js";
import type { Outgoing } from "./device.js";
import { Device, indices, numbered, removeDevices, setDefaults, unique } from "./device.js";
import { splitPackets } from "../support/split-packets.js";

/** A broker under test. */
export interface Bench {
  start(): Promise<Broker>;
  /**
   * Goes on as it should with what was under way when a connection was lost: in order, without sending a message again
   * that PUBCOMP has ended, and without a packet id for two messages.
   */
  resumesRight: boolean;
  /** Given: every client is one of MQTT 5, made by this. */
  mqtt5?: Mqtt;
  /** Hears of every relay before the brokers' ends are used. */
  onRelay?(relay: Relay): void;
}

const LEVELS = [0, 1, 2] as const;
/** As little as a device may have: a few messages each way. */
const SMALL: ClientOptions = {
  rxCapacity: 128,
  txCapacity: 512,
  maxOperations: 3,
  maxMessageLength: 300,
  // The sender alone decides how many messages are under way at once, and aedes sends all it has.
  receiveMaximum: 2048,
};
const BURST_BYTES = 256 * 1024;
const BURST_LENGTH = 256;

export function testBroker(bench: Bench): void {
  let broker: Broker;
  /** All of the broker's plain traffic goes through here. */
  let relay: Relay;
  let port: number;
  /** For one test. */
  const relays: Relay[] = [];
  const isMqtt5 = bench.mqtt5 !== undefined;
  // What is too long for the client is to come all the same.
  if (bench.mqtt5 !== undefined) setDefaults({ mqtt: bench.mqtt5, properties: { maximumPacketSize: 268435460 } });

  beforeAll(async () => {
    broker = await bench.start();
    relay = await Relay.start(broker.port);
    bench.onRelay?.(relay);
    port = relay.port;
  });

  afterEach(async () => {
    removeDevices();
    await Promise.all(relays.splice(0).map((each) => each.dispose()));
  });

  afterAll(async () => {
    await relay?.dispose();
    await broker?.dispose();
  });

  const addRelay = async (): Promise<Relay> => {
    const added = await Relay.start(broker.port);
    relays.push(added);
    bench.onRelay?.(added);
    return added;
  };

  const connected = (...settings: ConstructorParameters<typeof Device>): Promise<Device> =>
    new Device(...settings).connect(port);

  /** Resolves when the broker has seen the end of the device's connection. */
  const leave = async (device: Device, how: "close" | "abort" | "cut"): Promise<void> => {
    const own = relay.connections.filter((each) => each.sent(true).includes(device.id));
    const connection = own[own.length - 1];
    if (how === "cut") connection.cut();
    else device.client[how]();
    await connection.over();
    await device.offline();
  };

  describe("messages", () => {
    it.each(LEVELS)("go out and come in at QoS %i, once each, and call back", async (qos) => {
      const device = await connected();
      const topic = unique("qos");
      expect(await device.subscribe({ [topic]: qos })).toEqual([qos]);
      await device.publish(topic, "first", qos);
      await device.publish(topic, "second", qos);
      await device.receive(2);
      const rest = { topic, qos, retain: false, dup: false };
      expect(device.messages).toEqual([{ data: "first", ...rest }, { data: "second", ...rest }]);
    });

    it("come at the lower of the QoS published and the QoS granted", async () => {
      const sender = await connected();
      const receivers = await Promise.all(LEVELS.map(() => connected()));
      const topic = unique("mixed");
      const granted = await Promise.all(receivers.map((receiver, i) => receiver.subscribe({ [topic]: LEVELS[i] })));
      expect(granted).toEqual([[0], [1], [2]]);
      for (const qos of LEVELS) await sender.publish(topic, String(qos), qos);
      for (const [i, receiver] of receivers.entries()) {
        await receiver.receive(3);
        const came = receiver.messages.map(({ data, qos }) => `${String(data)} as ${qos}`).sort();
        expect(came).toEqual(LEVELS.map((qos) => `${qos} as ${Math.min(qos, LEVELS[i])}`));
      }
    });

    it("may be mixed in QoS, sent at once; each level keeps its order", async () => {
      const device = await connected();
      const topic = unique("mix");
      await device.subscribe({ [topic]: 2 });
      const sent = Array.from({ length: 90 }, (_, i): Outgoing => [topic, `${i}`, (i % 3) as QoS]);
      await device.send(sent);
      await device.receive(90);
      for (const qos of LEVELS) {
        const came = device.messages.filter((message) => message.qos === qos).map(({ data }) => Number(data));
        expect(came).toEqual(sent.flatMap((message, i) => (message[2] === qos ? [i] : [])));
      }
      expect(device.messages.length).toBe(90);
    });

    it("may be empty", async () => {
      const device = await connected();
      const topic = unique("empty");
      await device.subscribe({ [topic]: 2 });
      for (const qos of LEVELS) await device.publish(topic, qos === 1 ? new Uint8Array(0) : "", qos);
      await device.receive(3);
      expect(device.messages.map(({ data }) => data)).toEqual([undefined, undefined, undefined]);
    });

    it("carry bytes unchanged, of any value and length", async () => {
      const device = await connected({ options: { format: "buffer", maxMessageLength: 70000, txCapacity: 140000 } });
      const topic = unique("bytes");
      await device.subscribe({ [`${topic}/+`]: 2 });
      // Around the lengths at which the header grows, and what needs more than one segment.
      const edges = [127, 128, 16383, 16384].map((remaining) => remaining - 5 - topic.length);
      const lengths = [1, 2, 255, 256, ...edges.flatMap((length) => [length - 2, length, length + 2]), 65536];
      const payloads = lengths.map((length, i) => Buffer.from(Array.from({ length }, (_, at) => (at * 31 + i) & 255)));
      await device.send(payloads.map((payload, i) => [`${topic}/${10 + i}`, payload, (i % 3) as QoS]));
      await device.receive(payloads.length);
      const byTopic = device.messages.sort((a, b) => (a.topic < b.topic ? -1 : 1)).map(({ data }) => data as Buffer);
      expect(byTopic.map((data) => data.length)).toEqual(lengths);
      expect(byTopic.every((data, i) => data.equals(payloads[i]))).toBe(true);
    });

    it("may be long: more than 2 MiB, where the remaining length takes four bytes", async () => {
      const length = 2200000;
      const options: ClientOptions = { format: "buffer", maxMessageLength: length + 100, txCapacity: length + 100 };
      const device = await connected({ options });
      const topic = unique("huge");
      await device.subscribe({ [topic]: 2 });
      for (const qos of LEVELS) await device.publish(topic, numbered(qos, length), qos);
      await device.receive(3);
      expect(indices(device.messages, length)).toEqual([0, 1, 2]);
    });

    it("carry text in any script, in topics and payloads", async () => {
      const device = await connected();
      const stem = unique("größe");
      const texts = ["äöü", "温度 21 °C", "🌡🔥", "\uFEFFwith a mark", "\u{10FFFD}", "tab\tline\nzero\0", "e\u0301"];
      const topics = ["é", "温度", "🌡/a b", "\uFEFFx", "\u{10FFFD}", "$not/first", "//"].map((t) => `${stem}/${t}`);
      await device.subscribe({ [`${stem}/#`]: 1 });
      await device.send(texts.map((text, i) => [topics[i], text, 1]));
      await device.receive(texts.length);
      const came = device.messages.map(({ topic, data }) => [topic, data]);
      expect(came).toEqual(texts.map((text, i) => [topics[i], text]));
    });

    it("that are numbers are sent as their decimal text", async () => {
      const device = await connected();
      const topic = unique("number");
      await device.subscribe({ [topic]: 0 });
      await device.publish(topic, 21.5);
      await device.receive(1);
      expect(device.messages[0].data).toBe("21.5");
    });
  });

  describe("retained messages", () => {
    it("come at once to who subscribes, marked; the living are not marked", async () => {
      const device = await connected();
      const topic = unique("retained");
      await device.subscribe({ [topic]: 1 });
      await device.publish(topic, "state", 1, 1);
      await device.receive(1);
      expect(device.messages[0]).toMatchObject({ data: "state", retain: false });
      const late = await connected();
      await late.subscribe({ [topic]: 1 });
      await late.receive(1);
      expect(late.messages[0]).toMatchObject({ topic, data: "state", qos: 1, retain: true });
    });

    it("are cleared by an empty one", async () => {
      const device = await connected();
      const topic = unique("cleared");
      const kept = `${topic}/kept`;
      await device.publish(topic, "old", 1, true);
      await device.publish(kept, "kept", 1, true);
      await device.publish(topic, "", 1, true);
      await device.subscribe({ [`${topic}/#`]: 1 });
      await device.receive(1);
      await device.publish(kept, "last", 1);
      await device.receive(2);
      expect(device.messages.map(({ data }) => data)).toEqual(["kept", "last"]);
    });

    it("come all when they are many", async () => {
      const device = await connected({ options: { ...SMALL, format: "buffer" } });
      const topic = unique("many");
      await device.send(Array.from({ length: 200 }, (_, i) => [`${topic}/${i}`, numbered(i, 100), 1, 1]));
      await device.subscribe({ [`${topic}/+`]: 1 });
      await device.receive(200);
      expect(indices(device.messages, 100).sort((a, b) => a - b)).toEqual([...Array(200).keys()]);
    });
  });

  describe("subscriptions", () => {
    it("in a table are granted in its order, in one packet", async () => {
      const device = await connected();
      const stem = unique("table");
      expect(await device.subscribe({ [`${stem}/c`]: 2, [`${stem}/a`]: 0, [`${stem}/b`]: 1 })).toEqual([2, 0, 1]);
      for (const name of ["a", "b", "c"]) await device.publish(`${stem}/${name}`, name, 2);
      await device.receive(3);
      const came = device.messages.map(({ data, qos }) => `${String(data)}${qos}`).sort();
      expect(came).toEqual(["a0", "b1", "c2"]);
    });

    it("may be many in one packet", async () => {
      const device = await connected();
      const stem = unique("many");
      const names = Array.from({ length: 500 }, (_, i) => `${stem}/${i}`);
      const granted = await device.subscribe(Object.fromEntries(names.map((name, i) => [name, (i % 3) as QoS])));
      expect(granted).toEqual(names.map((_, i) => i % 3));
      for (const i of [0, 250, 499]) await device.publish(names[i], "x", 2);
      await device.receive(3);
      expect(device.messages.map(({ topic }) => topic).sort()).toEqual([names[0], names[250], names[499]]);
      await device.unsubscribe(Object.fromEntries(names.map((name) => [name, 0])));
    });

    it("match with wildcards", async () => {
      const device = await connected();
      const stem = unique("wild");
      await device.subscribe({ [`${stem}/+/state`]: 1, [`${stem}/deep/#`]: 1 });
      const topics = ["a/state", "a/b/state", "deep", "deep/er/state", "/state", "a/other"].map((t) => `${stem}/${t}`);
      for (const topic of topics) await device.publish(topic, "x", 1);
      await device.publish(`${stem}/last/state`, "x", 1);
      await device.until(() => device.messages.at(-1)?.topic === `${stem}/last/state`, "the last");
      const came = device.messages.map(({ topic }) => topic.slice(stem.length + 1));
      expect(came).toEqual(["a/state", "deep", "deep/er/state", "/state", "last/state"]);
    });

    it("end with unsubscribe, a single one or a table", async () => {
      const device = await connected();
      const stem = unique("end");
      const topics = ["a", "b", "c", "d"].map((name) => `${stem}/${name}`);
      await device.subscribe({ [topics[0]]: 1, [topics[1]]: 1, [topics[2]]: 1, [topics[3]]: 1 });
      await device.unsubscribe({ [topics[0]]: 0, [topics[2]]: "any" });
      let called = 0;
      device.client.unsubscribe(topics[1], () => called++);
      for (const topic of topics) await device.publish(topic, "x", 1);
      await device.receive(1);
      expect(called).toBe(1);
      expect(device.messages.map(({ topic }) => topic)).toEqual([topics[3]]);
    });

    it("that the broker refuses are granted a failure, and the callback comes", async () => {
      const failure = isMqtt5 ? 0x87 : 0x80;
      const device = await new Device().connect(broker.limitedPort);
      const allowed = unique("allowed");
      expect(await device.subscribe({ [`${FORBIDDEN}/a`]: 1 })).toEqual([failure]);
      expect(await device.subscribe({ [allowed]: 2, [`${FORBIDDEN}/b`]: 0 })).toEqual([2, failure]);
      await device.publish(`${FORBIDDEN}/a`, "x", 1);
      await device.publish(allowed, "y", 1);
      await device.receive(1);
      expect(device.messages.map(({ data }) => data)).toEqual(["y"]);
      expect(device.outcomes).toEqual(["connect"]);
    });
  });

  describe("the will", () => {
    const watch = async (topic: string): Promise<Device> => {
      const watcher = await connected();
      await watcher.subscribe({ [topic]: 2 });
      return watcher;
    };

    it.each(["abort", "cut"] as const)("is published when the session ends by %s", async (how) => {
      const topic = unique("will");
      const watcher = await watch(topic);
      const device = new Device();
      device.client.lwt(topic, "gone: 死", 1, 0);
      await device.connect(port);
      await leave(device, how);
      await watcher.receive(1);
      expect(watcher.messages).toEqual([{ topic, data: "gone: 死", qos: 1, retain: false, dup: false }]);
      expect(device.outcomes).toEqual(["connect", how === "abort" ? "offline 0" : "offline -10"]);
    });

    it("is not published after close()", async () => {
      const topic = unique("will");
      const watcher = await watch(topic);
      const device = new Device();
      device.client.lwt(topic, "gone", 2, 0);
      await device.connect(port);
      await leave(device, "close");
      await watcher.publish(topic, "nothing else", 1);
      await watcher.receive(1);
      expect(watcher.messages.map(({ data }) => data)).toEqual(["nothing else"]);
      expect(device.outcomes).toEqual(["connect", "offline 0"]);
    });

    it("may be retained, and bytes", async () => {
      const topic = unique("will");
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const watcher = await watch(topic);
      const device = new Device();
      device.client.lwt(topic, bytes, 2, 1);
      await device.connect(port);
      await leave(device, "abort");
      await watcher.receive(1);
      const late = await connected({ options: { format: "buffer" } });
      await late.subscribe({ [topic]: 2 });
      await late.receive(1);
      expect(late.messages).toEqual([{ topic, data: Buffer.from(bytes), qos: 2, retain: true, dup: false }]);
    });

    it("may be empty", async () => {
      const topic = unique("will");
      const watcher = await watch(topic);
      const device = new Device();
      device.client.lwt(topic, "");
      await device.connect(port);
      await leave(device, "abort");
      await watcher.receive(1);
      expect(watcher.messages).toEqual([{ topic, data: undefined, qos: 0, retain: false, dup: false }]);
    });
  });

  describe("a persistent session", () => {
    it("has the messages that came meanwhile, in their order, without subscribing again", async () => {
      const id = unique("persistent");
      const topic = unique("meanwhile");
      const device = await connected({ id, cleansession: 0, options: { format: "buffer" } });
      expect(device.sessionPresent).toBe(false);
      await device.subscribe({ [`${topic}/1`]: 1, [`${topic}/2`]: 2 });
      await leave(device, "close");
      const sender = await connected();
      await sender.send(Array.from({ length: 100 }, (_, i) => [`${topic}/1`, numbered(i, 50), 1]));
      await sender.send(Array.from({ length: 100 }, (_, i) => [`${topic}/2`, numbered(i, 50), 2]));
      await device.connect(port);
      expect(device.sessionPresent).toBe(true);
      await device.receive(200);
      await sender.publish(`${topic}/2`, numbered(100, 50), 2);
      await device.receive(201);
      const ofLevel = (qos: QoS): number[] => indices(device.messages.filter((each) => each.qos === qos), 50);
      expect(ofLevel(1)).toEqual([...Array(100).keys()]);
      expect(ofLevel(2)).toEqual([...Array(101).keys()]);
      // All were acknowledged: none comes again.
      await leave(device, "close");
      await device.connect(port);
      expect(device.sessionPresent).toBe(true);
      await sender.publish(`${topic}/1`, numbered(0, 50), 1);
      await device.until(() => ofLevel(1).length === 101, "one more");
      if (bench.resumesRight) expect(device.messages.length).toBe(202);
    });

    it("is gone after a clean one of the same name", async () => {
      const id = unique("persistent");
      const topic = unique("gone");
      const device = await connected({ id, cleansession: 0 });
      await device.subscribe({ [topic]: 1 });
      await leave(device, "close");
      const clean = await connected({ id });
      expect(clean.sessionPresent).toBe(false);
      await leave(clean, "close");
      await device.connect(port);
      expect(device.sessionPresent).toBe(false);
      await device.publish(topic, "x", 1);
      await device.subscribe({ [topic]: 1 });
      await device.publish(topic, "y", 1);
      await device.receive(1);
      expect(device.messages.map(({ data }) => data)).toEqual(["y"]);
    });

    const sure = bench.resumesRight ? ([1, 2] as const) : ([1] as const);
    it.each(sure)("loses nothing at QoS %i when connections are cut in mid-flow", async (qos) => {
      const topic = unique("cut");
      const count = 600;
      const settings = { cleansession: 0, options: { format: "buffer", maxInflight: 8 } } as const;
      const [sender, receiver] = [new Device(settings), new Device(settings)];
      const [senderRelay, receiverRelay] = [await addRelay(), await addRelay()];
      await Promise.all([sender.stayConnected(senderRelay.port), receiver.stayConnected(receiverRelay.port)]);
      await receiver.subscribe({ [topic]: qos });
      receiver.whenMessage = () => {
        const at = receiver.messages.length;
        if (at % 97 === 0) senderRelay.last.cut();
        if (at % 131 === 0) receiverRelay.last.cut();
      };
      await sender.send(Array.from({ length: count }, (_, i) => [topic, numbered(i, 60), qos]));
      const distinct = (): Set<number> => new Set(indices(receiver.messages, 60));
      await receiver.until(() => distinct().size === count, () => `${count} messages, not ${distinct().size}`);
      // What would come twice comes before this.
      await receiver.until(() => receiver.client.connected, "connected again");
      await sender.send([[topic, numbered(count, 60), qos]]);
      await receiver.until(() => distinct().size > count, "one more");
      expect([...distinct()].sort((a, b) => a - b)).toEqual([...Array(count + 1).keys()]);
      if (bench.resumesRight) expect([...distinct()]).toEqual([...Array(count + 1).keys()]);
      if (bench.resumesRight && qos === 2) expect(receiver.messages.length).toBe(count + 1);
      const seen = new Set<string>();
      for (const connection of senderRelay.connections) {
        const publishes = splitPackets(connection.sent(true)).filter((packet) => packet[0] >> 4 === 3);
        // With MQTT 5 a topic may have an alias on the next connection, or none.
        const bodies = publishes.map((packet) =>
          Buffer.from(packet.subarray(isMqtt5 ? -60 : 1)).toString("latin1"));
        // What was sent before is marked so, and under the same packet id.
        expect(publishes.filter((packet, i) => seen.has(bodies[i]) && (packet[0] & 8) === 0)).toEqual([]);
        for (const body of bodies) seen.add(body);
      }
      expect(seen.size).toBe(count + 1);
      expect(sender.outcomes.filter((outcome) => outcome === "offline -10").length).toBeGreaterThanOrEqual(3);
      expect(receiver.outcomes.filter((outcome) => outcome === "offline -10").length).toBeGreaterThanOrEqual(3);
    });
  });

  it("a second client of the same name takes the session over: the first is offline", async () => {
    const id = unique("twin");
    const first = await connected({ id });
    const second = await connected({ id });
    await first.offline();
    const topic = unique("twin");
    await second.subscribe({ [topic]: 1 });
    await second.publish(topic, "x", 1);
    await second.receive(1);
    expect(first.outcomes).toEqual(["connect", "offline -10"]);
    expect(second.outcomes).toEqual(["connect"]);
    expect(first.client.publish(topic, "x")).toBe(false);
  });

  describe("login", () => {
    it("is accepted when right, as text and as bytes", async () => {
      const passwords = [PASSWORD, new TextEncoder().encode(PASSWORD)];
      for (const password of passwords) {
        const device = await new Device({ username: USERNAME, password }).connect(broker.passwordPort);
        await device.close();
        expect(device.outcomes).toEqual(["connect", "offline 0"]);
      }
    });

    it.each([
      ["a wrong password", { username: USERNAME, password: "guessed" }],
      ["a wrong user", { username: "nobody", password: PASSWORD }],
      ["no login", {}],
    ])("with %s fails with the broker's reason, and nothing else is called", async (_, login) => {
      const device = new Device(login);
      expect(await device.attempt(broker.passwordPort)).toMatch(isMqtt5 ? /^connfail 13[45]$/ : /^connfail [45]$/);
      expect(device.client.connected).toBe(false);
      // A later attempt has an outcome of its own, and only that.
      expect(await device.attempt(broker.port)).toBe("connect");
      expect(device.outcomes.length).toBe(2);
    });
  });

  describe("TLS", () => {
    const { ca, otherCa, client, strangeClient } = certificates();

    it.each(["TLSv1.2", "TLSv1.3"])("%s with the right authority carries messages", async (version) => {
      const secure = { ca: ca.cert, minVersion: version, maxVersion: version };
      const device = await new Device({ options: { format: "buffer" } }).connect(broker.tlsPort, secure);
      const topic = unique("tls");
      await device.subscribe({ [topic]: 1 });
      await device.send(Array.from({ length: 512 }, (_, i) => [topic, numbered(i, 512), 1]));
      await device.receive(512);
      expect(indices(device.messages, 512)).toEqual([...Array(512).keys()]);
      await device.close();
      expect(device.outcomes).toEqual(["connect", "offline 0"]);
    });

    it("finds the broker by name", async () => {
      const device = new Device();
      expect(await device.attempt(broker.tlsPort, { ca: ca.cert }, "localhost")).toBe("connect");
    });

    it.each([
      ["a wrong authority", { ca: otherCa.cert }],
      ["authorities that do not know the broker's", {}],
      ["a wrong host name", { ca: ca.cert, servername: "elsewhere.test" }],
    ])("with %s fails with reason -5", async (_, secure) => {
      const device = new Device();
      expect(await device.attempt(broker.tlsPort, secure)).toBe("connfail -5");
      expect(await device.attempt(broker.tlsPort, { ca: ca.cert })).toBe("connect");
      expect(device.outcomes.length).toBe(2);
    });

    it("with a client's certificate is let in where one is required", async () => {
      const secure = { ca: ca.cert, cert: client.cert, key: client.key };
      const device = await new Device().connect(broker.clientCertificatePort, secure);
      await device.publish(unique("tls"), "x", 2);
    });

    it.each([
      ["without a client's certificate", {}],
      ["with one from elsewhere", { cert: strangeClient.cert, key: strangeClient.key }],
    ])("%s fails with reason -5 where one is required", async (_, secure) => {
      const device = new Device();
      expect(await device.attempt(broker.clientCertificatePort, { ca: ca.cert, ...secure })).toBe("connfail -5");
      expect(device.outcomes.length).toBe(1);
    });

    it("in the clear to a TLS port, and TLS to a plain port, fails", async () => {
      const device = new Device();
      expect(await device.attempt(broker.tlsPort)).toMatch(/^connfail -[45]$/);
      expect(await device.attempt(broker.port, { ca: ca.cert })).toBe("connfail -5");
      expect(device.outcomes.length).toBe(2);
    });
  });

  describe("256 KiB in a burst, each way at once,", () => {
    const cases = LEVELS.flatMap((qos) => [
      { qos, capacities: "small", options: SMALL },
      { qos, capacities: "default", options: {} },
    ]);

    it.each(cases)("at QoS $qos with $capacities capacities: nothing lost, nothing twice", async ({ qos, options }) => {
      const count = BURST_BYTES / BURST_LENGTH;
      const pair = await Promise.all([0, 1].map(() => connected({ options: { ...options, format: "buffer" } })));
      const topics = pair.map(() => unique("burst"));
      await Promise.all(pair.map((device, i) => device.subscribe({ [topics[i]]: qos })));
      const burst = (to: string): Outgoing[] =>
        Array.from({ length: count }, (_, i) => [to, numbered(i, BURST_LENGTH), qos]);
      await Promise.all(pair.map((device, i) => device.send(burst(topics[1 - i]))));
      await Promise.all(pair.map((device) => device.receive(count)));
      await Promise.all(pair.map((device, i) => device.publish(topics[1 - i], numbered(count, BURST_LENGTH), qos)));
      await Promise.all(pair.map((device) => device.receive(count + 1)));
      for (const device of pair) {
        expect(indices(device.messages, BURST_LENGTH)).toEqual([...Array(count + 1).keys()]);
        expect(device.outcomes).toEqual(["connect"]);
      }
    });
  });

  describe("messages longer than max_message_length", () => {
    it.each(LEVELS)("overflow at QoS %i; the next one is intact", async (qos) => {
      const limit = 1024;
      const device = await connected({ options: { maxMessageLength: limit, rxCapacity: 128, format: "buffer" } });
      const sender = await connected();
      const topic = unique("long");
      await device.subscribe({ [topic]: qos });
      const header = 3 + 2 + topic.length + (qos > 0 ? 2 : 0) + (isMqtt5 ? 1 : 0);
      const lengths = [limit - header, limit - header + 1, 100, 50000, 5, 16384, 7, limit - header];
      await sender.send(lengths.map((length, i) => [topic, numbered(i, length), qos]));
      await device.until(() => device.messages.length + device.overflows.length === lengths.length, "all of them");
      const fits = (length: number): boolean => length + header <= limit;
      const expected = lengths.map((length, i) => numbered(i, length));
      expect(device.messages.map(({ data }) => data)).toEqual(expected.filter((data) => fits(data.length)));
      const parts = expected.filter((data) => !fits(data.length)).map((data) => {
        const headerLength = data.length + header > 16386 ? header + 1 : header;
        return data.subarray(0, limit - headerLength);
      });
      expect(device.overflows.map(({ data }) => data)).toEqual(parts);
      expect(device.overflows.every((message) => message.topic === topic && message.qos === qos)).toBe(true);
    });

    // With MQTT 5 they are not taken at all.
    if (!isMqtt5) it.each(LEVELS)("overflow at QoS %i without a topic when that alone is too long", async (qos) => {
      const device = await connected({ options: { maxMessageLength: 128, rxCapacity: 128 } });
      const sender = await connected();
      const stem = unique("long");
      await device.subscribe({ [`${stem}/+`]: qos });
      await sender.publish(`${stem}/${"x".repeat(5000)}`, "data", qos);
      await sender.publish(`${stem}/y`, "data", qos);
      await device.receive(1);
      expect(device.overflows).toEqual([{ topic: "", data: undefined, qos, retain: false, dup: false }]);
      expect(device.messages).toEqual([{ topic: `${stem}/y`, data: "data", qos, retain: false, dup: false }]);
    });

    it("are skipped without a handler, and acknowledged", async () => {
      const id = unique("skip");
      const device = await connected({ id, cleansession: 0, options: { maxMessageLength: 128 } });
      device.client.on("overflow", null);
      const topic = unique("skip");
      await device.subscribe({ [topic]: 2 });
      const sender = await connected();
      for (const qos of LEVELS) await sender.publish(topic, "x".repeat(1000), qos);
      await sender.publish(topic, "short", 1);
      await device.receive(1);
      await leave(device, "close");
      await device.connect(port);
      await sender.publish(topic, "last", 1);
      await device.receive(2);
      expect(device.messages.map(({ data }) => data)).toEqual(["short", "last"]);
    });
  });

  it("PINGREQ keeps a connection with a keepalive of 2 s alive, also one that only receives", async () => {
    // Not of 1 s: mosquitto counts whole seconds, and may hang up 1.01 s after the last packet.
    const idle = await connected({ keepalive: 2 });
    const ofIdle = relay.last;
    const receiver = await connected({ keepalive: 2 });
    const ofReceiver = relay.last;
    const topic = unique("ping");
    await receiver.subscribe({ [topic]: 0 });
    const sender = await connected();
    const flow = setInterval(() => sender.offer(topic, "x"), 20);
    const pings = (connection: RelayedConnection): number =>
      splitPackets(connection.sent(false)).filter((packet) => packet[0] === 0xd0).length;
    try {
      // The broker would hang up 3 s after the last packet from the client.
      await relay.until(() => pings(ofIdle) >= 3 && pings(ofReceiver) >= 2, "PINGRESP, three and two");
    } finally {
      clearInterval(flow);
    }
    expect(receiver.messages.length).toBeGreaterThan(50);
    await idle.publish(topic, "x", 1);
    await receiver.publish(topic, "x", 1);
    expect([idle.outcomes, receiver.outcomes]).toEqual([["connect"], ["connect"]]);
  });

  it("close() sends what is queued before DISCONNECT", async () => {
    // It is not the time that is looked at here.
    const device = new Device({ options: { maxInflight: 4, drainTimeoutMs: 20000 } });
    const [topic, will] = [unique("flush"), unique("flush-will")];
    device.client.lwt(will, "gone");
    await device.connect(port);
    const watcher = await connected({ options: { format: "buffer" } });
    await watcher.subscribe({ [topic]: 2, [will]: 0 });
    let count = 0;
    while (device.offer(topic, numbered(count, 100), (count % 3) as QoS)) count++;
    expect(count).toBeGreaterThan(300);
    await leave(device, "close");
    expect(device.confirmed).toBe(count);
    await watcher.publish(will, "last");
    await watcher.until(() => watcher.messages.some(({ topic: name }) => name === will), "the last");
    await watcher.receive(count + 1);
    const came = watcher.messages.filter((message) => message.topic === topic);
    expect(indices(came, 100).sort((a, b) => a - b)).toEqual([...Array(count).keys()]);
    const wills = watcher.messages.filter((message) => message.topic === will);
    expect(wills.map(({ data }) => String(data))).toEqual(["last"]);
  });

  it("publish works from within every callback, and says false where there is no session", async () => {
    const topic = unique("within");
    const results: Record<string, boolean> = {};
    const device = new Device({ options: { maxMessageLength: 128 } });
    const { client } = device;
    const events = ["connect", "puback", "suback", "unsuback", "message", "overflow"] as const;
    const watcher = await connected();
    await watcher.subscribe({ [`${topic}/#`]: 1 });
    const ended = new Promise<void>((resolve) => {
      for (const event of [...events, "offline", "connfail"] as const) {
        client.on(event, () => {
          results[event] ??= client.publish(`${topic}/${event}`, event, 1);
          if (event === "connect") {
            client.subscribe(`${topic}/#`, 1);
            client.unsubscribe(`${topic}/other`);
            client.publish(`${topic}/long`, "x".repeat(200), 1);
          }
          if (event === "offline") client.connect(HOST, broker.tlsPort, { ca: certificates().otherCa.cert });
          if (event === "connfail") resolve();
        });
      }
    });
    device.begin(port);
    await watcher.receive(events.length + 1);
    client.close();
    await ended;
    const expected = Object.fromEntries(events.map((event) => [event, true]));
    expect(results).toEqual({ ...expected, offline: false, connfail: false });
    const came = watcher.messages.map(({ topic: name }) => name.slice(topic.length + 1)).sort();
    expect(came).toEqual([...events, "long"].sort());
  });

  it("connect() right behind close(): the old session is offline first, then the new one is up", async () => {
    const device = await connected();
    const topic = unique("again");
    device.offer(topic, "the last of the old", 1, 1);
    expect(device.client.close()).toBe(true);
    expect(device.client.connect(HOST, port)).toBe(true);
    await device.until(() => device.outcomes.length === 3, "a second session");
    expect(device.outcomes).toEqual(["connect", "offline 0", "connect"]);
    await device.subscribe({ [topic]: 1 });
    await device.receive(1);
    expect(device.messages[0].data).toBe("the last of the old");
  });

  it("close() and abort() from within a message's callback end the session, with nothing after offline", async () => {
    const sender = await connected();
    for (const how of ["close", "abort"] as const) {
      const device = await connected({ options: { format: "buffer" } });
      const topic = unique("enough");
      await device.subscribe({ [topic]: 1 });
      let messagesAtEnd = 0;
      device.client.on("offline", () => {
        messagesAtEnd = device.messages.length;
        device.outcomes.push("offline");
      });
      device.whenMessage = () => {
        if (device.messages.length === 10) expect(device.client[how]()).toBe(true);
      };
      const { connections } = relay;
      const connection = connections[connections.length - 1];
      await sender.send(Array.from({ length: 200 }, (_, i) => [topic, numbered(i, 100), 1]));
      await connection.over();
      await device.until(() => device.outcomes.length === 2, "offline");
      expect(device.messages.length).toBe(messagesAtEnd);
      if (how === "abort") expect(messagesAtEnd).toBe(10);
      expect(indices(device.messages, 100)).toEqual([...Array(messagesAtEnd).keys()]);
      expect(device.client.connected).toBe(false);
    }
  });

  it("two hundred sessions of one client, one after the other, from within its callbacks", async () => {
    const device = new Device();
    const topic = unique("again");
    let sessions = 0;
    const done = new Promise<void>((resolve) => {
      device.client.on("connect", () => {
        sessions++;
        device.client.publish(topic, String(sessions), (sessions % 3) as QoS);
        device.client.close();
      });
      device.client.on("puback", null);
      device.client.on("offline", () => {
        if (sessions === 200) resolve();
        else device.client.connect(HOST, broker.port);
      });
    });
    const watcher = await connected();
    await watcher.subscribe({ [topic]: 2 });
    device.client.connect(HOST, broker.port);
    await done;
    await watcher.receive(200);
    const came = watcher.messages.map(({ data }) => Number(data)).sort((a, b) => a - b);
    expect(came).toEqual(Array.from({ length: 200 }, (_, i) => i + 1));
    expect(device.outcomes).toEqual([]);
  });

  it("a client without a name gets one: its own, or the broker's", async () => {
    for (const id of [null, ""]) {
      const client = (bench.mqtt5 ?? mqtt).Client(id, 60);
      const granted = await new Promise<Uint8Array>((resolve, reject) => {
        const subscribe = (): boolean => client.subscribe(unique("nameless"), 1, (_, codes) => resolve(codes));
        client.connect(HOST, port, subscribe, (_, reason) => reject(new Error(`connfail ${reason}`)));
      });
      expect([...granted]).toEqual([1]);
      client.abort();
    }
  });

  it("fifty clients at once hear each other", async () => {
    const stem = unique("crowd");
    const crowd = await Promise.all(Array.from({ length: 50 }, () => connected({ options: SMALL })));
    await Promise.all(crowd.map((device) => device.subscribe({ [`${stem}/+`]: 1 })));
    await Promise.all(crowd.map((device) => device.publish(`${stem}/${device.id}`, device.id, 1)));
    const ids = crowd.map(({ id }) => id).sort();
    for (const device of crowd) {
      await device.receive(ids.length);
      expect(device.messages.map(({ data }) => String(data)).sort()).toEqual(ids);
    }
    await Promise.all(crowd.map((device) => device.close()));
    expect(crowd.every(({ outcomes }) => outcomes.join() === "connect,offline 0")).toBe(true);
  });
}
