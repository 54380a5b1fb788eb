/**
 * What only MQTT 5 has, with mosquitto: read along by the trace, and dissected by tshark when all is done. What holds
 * with any version is in mosquitto5.test.ts.
 */
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import hal from "../../hal/node.js";
import type { Client } from "../../src/client.js";
import { createMqtt } from "../../src/client.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withReconnect } from "../../src/optional/reconnect.js";
import { withSubscriptions } from "../../src/optional/subscriptions.js";
import type { Packet } from "../../src/optional/trace.js";
import { describePacket, traced } from "../../src/optional/trace.js";
import type { GivenProperties, MqttClient5, ReceivedProperties } from "../../src/v5/face.js";
import { createMqtt5 } from "../../src/v5/face.js";
import { readMqtt5 } from "../../src/v5/trace.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { HOST } from "../support/broker.js";
import { dissect, readFields } from "../support/dissect.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Relay } from "../support/relay.js";
import { Signal } from "../support/signal.js";
import { numbered, unique } from "./device.js";

jest.setTimeout(60000);
/** Thousands of packets, on a machine that is busy. */
const DISSECTION_MS = 120000;
const LEVELS = [0, 1, 2] as const;

interface Message {
  topic: string;
  data: string | undefined;
  qos: number;
  retain: boolean;
  properties: ReceivedProperties;
}

interface Settings {
  id?: string | null;
  keepalive?: number;
  cleansession?: 0 | 1;
  options?: object;
  /** Of MQTT 5. */
  sizes?: object;
  /** What is added to the client. */
  extend?: (client: MqttClient5) => MqttClient5;
}

const clients = new Set<Client>();

/** A client of MQTT 5, what passed, and what it was told. */
class Peer {
  readonly id: string | null;
  readonly client: MqttClient5;
  readonly packets: Packet[] = [];
  readonly events: string[] = [];
  readonly messages: Message[] = [];
  /** Of the last CONNACK. */
  said: ReceivedProperties = {};
  /** Of CONNACK when it refuses. */
  detail: unknown;
  private readonly _signal = new Signal();

  constructor(settings: Settings = {}) {
    this.id = settings.id === undefined ? unique("peer") : settings.id;
    const listen = (packet: Packet): void => {
      this.packets.push(packet);
      this._signal.notify();
    };
    const own = traced(hal, listen, { mqtt5: readMqtt5, payload: true, scratchCapacity: 5000 });
    const mqtt = createMqtt5(own, settings.sizes);
    const { keepalive = 60, cleansession = 1 } = settings;
    const made = mqtt.Client(this.id, keepalive, null, null, cleansession, settings.options);
    const client = settings.extend === undefined ? made : settings.extend(made);
    this.client = client;
    clients.add(client);
    client.on("connect", (_, isPresent, properties) => {
      this.said = properties.toObject();
      this.note(`connect ${isPresent}`);
    });
    client.on("connfail", (_, reason, detail) => {
      this.detail = detail;
      this.note(`connfail ${reason}`);
    });
    client.on("offline", (_, reason) => this.note(`offline ${reason}`));
    client.on("disconnect", (_, code) => this.note(`disconnect ${code}`));
    client.on("puback", (_, codes) => this.note(`puback ${codes === undefined ? 0 : [...codes].join()}`));
    client.on("suback", (_, codes) => this.note(`suback ${[...codes].join()}`));
    client.on("unsuback", (_, codes) => this.note(`unsuback ${codes === undefined ? "" : [...codes].join()}`));
    client.on("message", (_, topic, data, { qos, retain, properties }) => {
      const text = data === undefined ? undefined : String(data);
      this.messages.push({ topic, data: text, qos, retain, properties: properties.toObject() });
      this._signal.notify();
    });
  }

  note(event: string): void {
    this.events.push(event);
    this._signal.notify();
  }

  begin(port: number, properties: GivenProperties = {}): this {
    expect(this.client.connect(HOST, port, null, null, null, null, properties)).toBe(true);
    return this;
  }

  async up(port: number, properties: GivenProperties = {}, isPresent = false): Promise<this> {
    this.begin(port, properties);
    await this.told(`connect ${isPresent}`);
    return this;
  }

  /** Resolves when these were told, which are forgotten. */
  async told(...events: string[]): Promise<void> {
    await this.until(() => this.events.length >= events.length, () => `${events.join()}, not ${this.events.join()}`);
    expect(this.events.splice(0, events.length)).toEqual(events);
  }

  /** Resolves with so many messages, which are forgotten. */
  async received(count: number): Promise<Message[]> {
    await this.until(() => this.messages.length >= count, () => `${count} messages, not ${this.messages.length}`);
    return this.messages.splice(0);
  }

  async subscribe(...args: Parameters<MqttClient5["subscribe"]>): Promise<void> {
    expect(this.client.subscribe(...args)).toBe(true);
    await this.until(() => this.events.length > 0, () => "suback");
    expect(this.events.shift()).toMatch(/^suback [012]$/);
  }

  /** Resolves at the callback, which is to say that it succeeded, if without a subscriber. */
  async publish(...args: Parameters<MqttClient5["publish"]>): Promise<void> {
    expect(this.client.publish(...args)).toBe(true);
    await this.until(() => this.events.length > 0, () => "puback");
    expect(this.events.shift()).toMatch(/^puback (0|16)$/);
  }

  until(condition: () => boolean, what: () => string): Promise<void> {
    return this._signal.until(condition, () => {
      const last = this.packets.slice(-5).map((packet) => describePacket(packet)).join("\n");
      return `${this.id}: ${what()}\n${last}`;
    });
  }

  /** Packets of one type that were sent, or received. */
  passed<T extends Packet["type"]>(isSent: boolean, type: T): Extract<Packet, { type: T }>[] {
    const isOne = (packet: Packet): boolean => packet.type === type && packet.isSent === isSent;
    return this.packets.filter(isOne) as Extract<Packet, { type: T }>[];
  }
}

needs("mosquitto", "mosquitto_passwd")("with mosquitto", () => {
  let broker: Mosquitto;
  /** With limits of every kind. */
  let strict: Mosquitto;
  let relay: Relay;
  let strictRelay: Relay;
  let port: number;

  beforeAll(async () => {
    broker = await Mosquitto.start();
    strict = await Mosquitto.start({
      settings: ["max_inflight_messages 3", "max_packet_size 2000", "max_keepalive 10", "retain_available false"],
      listenerSettings: ["max_qos 1", "max_topic_alias 2"],
    });
    relay = await Relay.start(broker.port);
    strictRelay = await Relay.start(strict.port);
    port = relay.port;
  });

  afterEach(() => {
    for (const client of clients) client.abort();
    clients.clear();
  });

  afterAll(async () => {
    for (const each of [relay, strictRelay, broker, strict]) await each?.dispose();
  });

  const up = (settings?: Settings, properties?: GivenProperties): Promise<Peer> =>
    new Peer(settings).up(port, properties);

  describe("CONNECT and CONNACK", () => {
    it("say what they say", async () => {
      const peer = await up({}, {
        sessionExpiryInterval: 5,
        requestProblemInformation: true,
        requestResponseInformation: 0,
        userProperty: [["a", "1"], ["a", "2"], ["ä", ""]],
      });
      const [connect] = peer.passed(true, "CONNECT");
      expect(connect).toMatchObject({
        protocolLevel: 5,
        cleansession: true,
        clientid: peer.id,
        properties: {
          sessionExpiryInterval: 5,
          requestProblemInformation: 1,
          requestResponseInformation: 0,
          userProperty: [["a", "1"], ["a", "2"], ["ä", ""]],
          maximumPacketSize: 1024,
          topicAliasMaximum: 8,
        },
      });
      expect(peer.said).toEqual(peer.passed(false, "CONNACK")[0].properties);
      expect(peer.said.topicAliasMaximum).toBe(10);
    });

    it("have the broker choose the client identifier, which later connections keep", async () => {
      const peer = await up({ id: "" }, { sessionExpiryInterval: 60 });
      const id = peer.said.assignedClientIdentifier;
      expect(id).toMatch(/./);
      expect(peer.client.clientId).toBe(id);
      await peer.subscribe(unique("t"), 1);
      peer.client.close();
      await peer.told("offline 0");
      await peer.up(port, { sessionExpiryInterval: 60 }, true);
      expect(peer.passed(true, "CONNECT").map(({ clientid }) => clientid)).toEqual(["", id]);
    });

    it("have the client keep the keep alive time of the broker", async () => {
      const peer = await new Peer({ keepalive: 600 }).up(strictRelay.port);
      expect(peer.passed(true, "CONNECT")[0].keepalive).toBe(600);
      expect(peer.said.serverKeepAlive).toBe(10);
      // The broker would hang up after 15 s, and PINGREQ comes no later than after 10 s.
      const startMs = performance.now();
      await peer.until(() => peer.passed(false, "PINGRESP").length === 1, () => "PINGRESP");
      expect(performance.now() - startMs).toBeLessThan(11000);
      expect(peer.events).toEqual([]);
    });

    it("tell why the broker refuses, as a reason code", async () => {
      const peer = new Peer().begin(broker.passwordPort);
      await peer.told("connfail 135");
      expect(peer.passed(false, "CONNACK")).toMatchObject([{ returnCode: 0x87, sessionPresent: false }]);
    });
  });

  describe("messages", () => {
    const PROPERTIES: GivenProperties = {
      payloadFormatIndicator: 1,
      messageExpiryInterval: 4294967295,
      contentType: "text/plain; größe",
      responseTopic: "answers/here",
      correlationData: Uint8Array.from({ length: 255 }, (_, i) => i + 1),
      userProperty: [["b", "2"], ["a", "1"], ["b", "2"], ["", ""], ["温", "度"]],
    };

    it.each(LEVELS)("carry their properties at QoS %i, out and in, payloads of any length with them", async (qos) => {
      const peer = await up({ options: { maxMessageLength: 20000, rxCapacity: 1000, txCapacity: 40000 } });
      const topic = unique("props");
      await peer.subscribe(topic, qos);
      const payloads = ["", "x", "y".repeat(127), "z".repeat(1000), "long".repeat(4000)];
      for (const payload of payloads) await peer.publish(topic, payload, qos, 0, null, PROPERTIES);
      const messages = await peer.received(payloads.length);
      expect(messages.map(({ data = "" }) => data)).toEqual(payloads);
      for (const message of messages) {
        const { topicAlias, messageExpiryInterval, ...rest } = message.properties;
        expect(topicAlias === undefined || topicAlias > 0).toBe(true);
        expect(messageExpiryInterval).toBeGreaterThan(4294967285);
        const given = { ...PROPERTIES, messageExpiryInterval: undefined };
        expect(rest).toEqual(given);
        expect(message).toMatchObject({ topic, qos });
      }
    });

    it("tell with which subscriptions they came, and whether anyone had subscribed", async () => {
      const peer = await up();
      const stem = unique("sid");
      await peer.subscribe(`${stem}/+`, 1, null, { subscriptionIdentifier: 268435455 });
      await peer.subscribe({ [`${stem}/a`]: 2 }, null, { subscriptionIdentifier: 1 });
      peer.client.publish(`${stem}/a`, "x", 1);
      await peer.told("puback 0");
      await peer.until(() => peer.messages.length > 0, () => "a message");
      peer.client.publish(`${stem}/b`, "y", 1);
      await peer.told("puback 0");
      await peer.until(() => peer.messages.some(({ data }) => data === "y"), () => "the other");
      const ids = peer.messages.map(({ data, properties }) => [data, properties.subscriptionIdentifier]);
      // One message for both, or one for each.
      const ofA = ids.filter(([data]) => data === "x").flatMap(([, list]) => list as number[]);
      expect(ofA.sort()).toEqual([1, 268435455]);
      expect(ids.filter(([data]) => data === "y")).toEqual([["y", [268435455]]]);
      peer.client.publish(`${stem}/none/at/all`, "z", 1);
      await peer.told("puback 16");
      peer.client.unsubscribe({ [`${stem}/a`]: 0, [`${stem}/other`]: 0 });
      await peer.told("unsuback 0,17");
    });

    it("do not come back with No Local, keep RETAIN with Retain As Published", async () => {
      const own = await up();
      const other = await up();
      const topic = unique("nl");
      await own.subscribe(topic, { qos: 1, nl: 1, rap: 1 });
      await own.publish(topic, "own", 1, 1);
      await other.publish(topic, "kept", 1, 1);
      await other.publish(topic, "plain", 1, 0);
      const [first, second] = await own.received(2);
      expect([first, second]).toMatchObject([{ data: "kept", retain: true }, { data: "plain", retain: false }]);
    });

    it("that are retained come as Retain Handling says", async () => {
      const peer = await up();
      const topic = unique("rh");
      await peer.publish(topic, "kept", 1, 1);
      for (const [rh, count] of [[2, 0], [1, 0], [0, 1], [1, 0]] as const) {
        await peer.subscribe(topic, { qos: 1, rh });
        // What would have come comes before this.
        await peer.publish(topic, "last", 1);
        await peer.until(() => peer.messages.some(({ data }) => data === "last"), () => "the last");
        expect(peer.messages.splice(0).map(({ data }) => data)).toEqual([...Array<string>(count).fill("kept"), "last"]);
      }
      peer.client.unsubscribe(topic);
      await peer.told("unsuback 0");
      await peer.subscribe(topic, { qos: 1, rh: 1 });
      expect(await peer.received(1)).toMatchObject([{ data: "kept", retain: true }]);
    });

    it("of a shared subscription go to one of two clients each", async () => {
      const [sender, ...both] = await Promise.all([up(), up(), up()]);
      const topic = unique("shared");
      for (const peer of both) await peer.subscribe(`$share/group/${topic}`, 1);
      for (let i = 0; i < 40; i++) await sender.publish(topic, `${i}`, 1);
      const count = (): number => both[0].messages.length + both[1].messages.length;
      for (const peer of both) await peer.until(() => peer.messages.length > 0, () => "its part");
      await Promise.race(both.map((peer) => peer.until(() => count() === 40, () => "all")));
      const came = both.flatMap(({ messages }) => messages.map(({ data }) => Number(data)));
      expect(came.sort((a, b) => a - b)).toEqual([...Array(40).keys()]);
    });

    it("expire at the broker, and say how long they have left", async () => {
      const settings = { cleansession: 0 } as const;
      const receiver = await up(settings);
      const topic = unique("expiry");
      await receiver.subscribe(topic, 1);
      receiver.client.close();
      await receiver.told("offline 0");
      const sender = await up();
      await sender.publish(topic, "gone", 1, 0, null, { messageExpiryInterval: 1 });
      const startMs = performance.now();
      await sender.publish(topic, "there", 1, 0, null, { messageExpiryInterval: 100 });
      await sender.publish(topic, "for ever", 1);
      // The broker's clock has seconds.
      await new Promise((resolve) => setTimeout(resolve, 2500));
      await receiver.up(port, {}, true);
      const messages = await receiver.received(2);
      expect(messages.map(({ data }) => data)).toEqual(["there", "for ever"]);
      const left = messages[0].properties.messageExpiryInterval!;
      expect(left).toBeLessThan(100);
      expect(left).toBeGreaterThan(100 - (performance.now() - startMs) / 1000 - 2);
      expect(messages[1].properties.messageExpiryInterval).toBeUndefined();
    });

    it("pass between two versions", async () => {
      const events: string[] = [];
      const signal = new Signal();
      const old = createMqtt(hal, MQTT_3_1_1).Client(unique("old"), 60);
      clients.add(old);
      const note = (event: string): void => {
        events.push(event);
        signal.notify();
      };
      const topic = unique("versions");
      old.on("message", (_, name, data, { qos }) => note(`${name}=${String(data)} q${qos}`));
      old.connect(HOST, port, (client) => client.subscribe(`${topic}/old`, 2, () => note("subscribed")));
      await signal.until(() => events.length === 1, () => "subscribed");
      const peer = await up();
      await peer.subscribe(`${topic}/new`, 2);
      for (const qos of LEVELS) {
        await peer.publish(`${topic}/old`, `to ${qos}`, qos, 0, null, { contentType: "t", userProperty: [["a", "b"]] });
        old.publish(`${topic}/new`, `from ${qos}`, qos);
      }
      expect(await peer.received(3)).toMatchObject(LEVELS.map((qos) => ({ data: `from ${qos}`, qos })));
      await signal.until(() => events.length === 4, () => `three messages, not ${events.join()}`);
      expect(events.slice(1)).toEqual(LEVELS.map((qos) => `${topic}/old=to ${qos} q${qos}`));
    });
  });

  describe("topic aliases", () => {
    it("stand for topics both ways from the second message on, as many as the other side takes", async () => {
      const peer = await up({ sizes: { topicAliases: 3, topicAliasMaximum: 2 } });
      const stem = unique("alias");
      await peer.subscribe(`${stem}/+`, 2);
      const names = ["aaaa", "bbbb", "aaaa", "bbbb", "cccc", "cccc", "dddd", "aaaa"];
      for (const [i, name] of names.entries()) await peer.publish(`${stem}/${name}`, `${i}`, LEVELS[i % 3]);
      const messages = await peer.received(names.length);
      const expected = names.map((name, i) => `${stem}/${name}=${i}`);
      expect(messages.map(({ topic, data }) => `${topic}=${data}`)).toEqual(expected);
      const sent = peer.passed(true, "PUBLISH").map(({ topic, properties }) => [topic, properties!["topicAlias"]]);
      const [a, b, c, d] = ["aaaa", "bbbb", "cccc", "dddd"].map((name) => `${stem}/${name}`);
      expect(sent).toEqual([[a, 1], [b, 2], ["", 1], ["", 2], [c, 3], ["", 3], [d, 1], [a, 2]]);
      // What came by an alias without a topic name, this broker may use.
      const received = peer.passed(false, "PUBLISH");
      for (const { properties } of received) expect(Number(properties!["topicAlias"] ?? 1)).toBeLessThanOrEqual(2);
    });

    it("are at most as many as the broker takes, and none where either side has none", async () => {
      const few = await new Peer().up(strictRelay.port);
      expect(few.said.topicAliasMaximum).toBe(2);
      const none = await up({ sizes: { topicAliases: 0, topicAliasMaximum: 0 } });
      expect(none.passed(true, "CONNECT")[0].properties!["topicAliasMaximum"]).toBeUndefined();
      const stem = unique("alias");
      for (const peer of [few, none]) {
        for (const name of ["aaaa", "bbbb", "cccc", "aaaa", "aaaa"]) await peer.publish(`${stem}/${name}`, "x", 1);
      }
      const aliases = (peer: Peer): unknown[] =>
        peer.passed(true, "PUBLISH").map(({ properties }) => properties!["topicAlias"]);
      expect(aliases(few)).toEqual([1, 2, 1, 2, 2]);
      expect(aliases(none)).toEqual(Array(5).fill(undefined));
    });
  });

  describe("limits of the broker", () => {
    it("Receive Maximum: no more are under way, and all arrive in their order", async () => {
      const options = { maxInflight: 64, maxOperations: 200, txCapacity: 30000 };
      const peer = await new Peer({ options }).up(strictRelay.port);
      expect(peer.said.receiveMaximum).toBe(3);
      const topic = unique("max");
      await peer.subscribe(topic, 1);
      for (let i = 0; i < 150; i++) expect(peer.client.publish(topic, `${i}`, 1)).toBe(true);
      const messages = await peer.received(150);
      expect(messages.map(({ data }) => Number(data))).toEqual([...Array(150).keys()]);
      await peer.told(...Array<string>(150).fill("puback 0"));
      let [underWay, most] = [0, 0];
      for (const { type, isSent } of peer.packets) {
        if (type === "PUBLISH" && isSent) most = Math.max(most, ++underWay);
        if (type === "PUBACK" && !isSent) underWay--;
      }
      expect(most).toBe(3);
    });

    it("Maximum Packet Size, Maximum QoS and Retain Available: what is beyond is not accepted", async () => {
      const peer = await new Peer({ options: { txCapacity: 8000 } }).up(strictRelay.port);
      expect(peer.said).toMatchObject({ maximumPacketSize: 2000, maximumQoS: 1, retainAvailable: 0 });
      const topic = "limits";
      const { client } = peer;
      const results = [
        client.publish(topic, "x".repeat(1986), 1), client.refusal,
        client.publish(topic, "x".repeat(1987), 1), client.refusal,
        client.publish(topic, "x", 2), client.refusal,
        client.publish(topic, "x", 0, 1), client.refusal,
        client.publish(topic, "x".repeat(1985), 1), client.refusal,
      ];
      const longest = 2000 - (3 + 2 + topic.length + 2 + 1);
      expect(longest).toBe(1986);
      expect(results).toEqual([true, 0, false, 0x95, false, 0x9b, false, 0x9a, true, 0]);
      await peer.told("puback 16", "puback 16");
      expect(peer.passed(true, "PUBLISH").map(({ payloadLength }) => payloadLength)).toEqual([1986, 1985]);
    });

    it("what goes beyond them all the same is answered with DISCONNECT, whose reason code is told", async () => {
      for (const [code, refusedFlags, qos, retain] of [[0x9b, 0, 2, 0], [0x9a, 0, 1, 1]] as const) {
        const peer = await new Peer().up(strictRelay.port);
        peer.client.connection.session.encoder.refusedFlags = refusedFlags;
        peer.client.publish("limits", "x", qos, retain);
        await peer.told(`disconnect ${code}`, "offline -10");
        expect(peer.passed(false, "DISCONNECT")).toMatchObject([{ reasonCode: code }]);
      }
    });

    it("what was queued before they were known ends as refused, the rest goes out", async () => {
      const outcomes: string[] = [];
      const extend = (made: MqttClient5): MqttClient5 => withOutcomes(made as never);
      const peer = new Peer({ cleansession: 0, options: { queueOffline: true, txCapacity: 8000 }, extend });
      const client = peer.client as unknown as MqttClient5 & { outcome(callback: unknown): void };
      const topic = unique("queued");
      const publish = (name: string, payload: string, qos: 0 | 1 | 2, retain: 0 | 1): void => {
        expect(client.publish(topic, payload, qos, retain)).toBe(true);
        client.outcome((_: unknown, outcome: string, codes?: Uint8Array) => {
          outcomes.push(`${name} ${outcome}${codes === undefined ? "" : ` ${[...codes].join()}`}`);
          peer.note("outcome");
        });
      };
      publish("first", "x", 1, 0);
      publish("QoS 2", "x", 2, 0);
      publish("retain", "x", 1, 1);
      publish("long", "x".repeat(3000), 1, 0);
      publish("last", "x", 1, 0);
      await peer.up(strictRelay.port);
      await peer.until(() => outcomes.length === 5, () => `outcomes, not ${outcomes.join()}`);
      expect(peer.passed(true, "PUBLISH").map(({ payloadLength }) => payloadLength)).toEqual([1, 1]);
      const refused = outcomes.map((each) => each.replace(/^(first|last) (delivered).*/, "$1 $2"));
      expect(refused).toEqual([
        "first delivered", "QoS 2 refused 155", "retain refused 154", "long refused 149", "last delivered",
      ]);
    });

    it("a message that is longer than the client takes does not come", async () => {
      const small = await up({ options: { maxMessageLength: 200, rxCapacity: 200 } });
      const sender = await up({ options: { txCapacity: 8000 } });
      const topic = unique("size");
      await small.subscribe(topic, 1);
      await sender.publish(topic, "x".repeat(300), 1);
      await sender.publish(topic, "short", 1);
      expect(await small.received(1)).toMatchObject([{ data: "short" }]);
      expect(small.events).toEqual([]);
    });
  });

  describe("a session", () => {
    it("lives as long as its expiry says, and not longer", async () => {
      const peer = await up({ cleansession: 0 }, { sessionExpiryInterval: 10 });
      const topic = unique("session");
      await peer.subscribe(topic, 1);
      peer.client.close();
      await peer.told("offline 0");
      await peer.up(port, { sessionExpiryInterval: 1 }, true);
      await peer.publish(topic, "x", 1);
      await peer.received(1);
      peer.client.close();
      await peer.told("offline 0");
      await new Promise((resolve) => setTimeout(resolve, 3500));
      await peer.up(port, { sessionExpiryInterval: 1 });
      // DISCONNECT may say another one: 0 ends it.
      expect(peer.client.close(0, { sessionExpiryInterval: 0 })).toBe(true);
      await peer.told("offline 0");
      await peer.up(port, { sessionExpiryInterval: 1 });
      expect(peer.passed(true, "CONNECT").map(({ cleansession }) => cleansession)).toEqual(Array(4).fill(false));
    });

    it("begins anew with Clean Start, and goes on when it has an expiry", async () => {
      const peer = await up({ cleansession: 1 }, { sessionExpiryInterval: 100 });
      const topic = unique("session");
      await peer.subscribe(topic, 2);
      relay.last.cut();
      await peer.told("offline -10");
      const sender = await up();
      await sender.publish(topic, "meanwhile", 2);
      await peer.up(port, { sessionExpiryInterval: 100 }, true);
      expect(await peer.received(1)).toMatchObject([{ data: "meanwhile", qos: 2 }]);
      expect(peer.passed(true, "CONNECT").map(({ cleansession }) => cleansession)).toEqual([true, false]);
    });

    it("that another takes over ends, and a DISCONNECT that says so is told where the broker sends it", async () => {
      const first = await up();
      const second = await up({ id: first.id });
      await first.until(() => first.events.includes("offline -10"), () => "offline");
      // mosquitto before 2.0.12 does not.
      const codes = first.passed(false, "DISCONNECT").map(({ reasonCode }) => reasonCode);
      expect(codes.length === 0 || codes[0] === 0x8e).toBe(true);
      expect(first.events).toEqual([...codes.map((code) => `disconnect ${code}`), "offline -10"]);
      expect(second.events).toEqual([]);
    });

    it("has a will that comes when its delay is over, not when the client is back before", async () => {
      const watcher = await up();
      const topic = unique("will");
      await watcher.subscribe(topic, 1);
      const peer = new Peer({ cleansession: 0 });
      peer.client.lwt(topic, "gone", 1, 0, {
        willDelayInterval: 2, contentType: "text", userProperty: [["why", "gone"]],
      });
      await peer.up(port);
      relay.last.cut();
      await peer.told("offline -10");
      await peer.up(port, {}, true);
      const startMs = performance.now();
      relay.last.cut();
      await peer.told("offline -10");
      const [will, ...others] = await watcher.received(1);
      expect(performance.now() - startMs).toBeGreaterThan(900);
      expect(others).toEqual([]);
      expect(will).toMatchObject({ topic, data: "gone", qos: 1 });
      expect(will.properties).toMatchObject({ contentType: "text", userProperty: [["why", "gone"]] });
      // With reason code 4 it comes although the client says farewell.
      await peer.up(port, {}, true);
      expect(peer.client.close(4, { sessionExpiryInterval: 0 })).toBe(true);
      await peer.told("offline 0");
      expect(await watcher.received(1)).toMatchObject([{ data: "gone" }]);
    });
  });

  describe("what adds to a client", () => {
    it("withReconnect resumes a session of MQTT 5, and asks again for subscriptions with their options", async () => {
      const extend = (made: MqttClient5): MqttClient5 =>
        withReconnect(made as never, { minDelayMs: 10, maxDelayMs: 50 });
      const peer = await up({ extend }, { userProperty: [["a", "b"]] });
      const topic = unique("again");
      await peer.subscribe(topic, { qos: 1, nl: 1 }, null, { subscriptionIdentifier: 5 });
      const other = await up();
      relay.connections.filter((each) => each.sent(true).includes(peer.id!))[0].cut();
      await peer.told("offline -10", "connect false");
      await peer.until(() => peer.passed(false, "SUBACK").length === 2, () => "a second SUBACK");
      peer.client.publish(topic, "own", 1);
      await other.publish(topic, "other", 1);
      expect((await peer.received(1)).map(({ data }) => data)).toEqual(["other"]);
      const connects = peer.passed(true, "CONNECT").map(({ properties }) => properties!["userProperty"]);
      expect(connects).toEqual([[["a", "b"]], [["a", "b"]]]);
    });

    it("withOutcomes and withSubscriptions tell what the broker has said", async () => {
      const extend = (made: MqttClient5): MqttClient5 => withSubscriptions(withOutcomes(made as never));
      const peer = new Peer({ extend });
      await peer.up(broker.limitedPort);
      const client = peer.client as unknown as MqttClient5 & {
        outcome(callback: unknown): void;
        subscriptions(): Record<string, number>;
      };
      const outcomes: string[] = [];
      const tell = (name: string) => (_: unknown, outcome: string, codes?: Uint8Array): void => {
        outcomes.push(`${name} ${outcome} ${codes === undefined ? "" : [...codes].join()}`.trim());
        peer.note("outcome");
      };
      const topic = unique("outcomes");
      client.subscribe({ [topic]: { qos: 2, nl: 1 }, "forbidden/x": 1 });
      client.outcome(tell("subscribe"));
      client.subscribe("forbidden/y", 1);
      client.outcome(tell("none"));
      for (const qos of LEVELS) {
        client.publish(topic, "x", qos);
        client.outcome(tell(`publish ${qos}`));
      }
      client.unsubscribe(topic);
      client.outcome(tell("unsubscribe"));
      await peer.until(() => outcomes.length === 6, () => `outcomes, not ${outcomes.join()}`);
      expect(outcomes.map((each) => each.replace(/^(publish|unsubscribe)(.*delivered).*/, "$1$2"))).toEqual([
        "subscribe delivered 2,135",
        "none refused 135",
        "publish 0 delivered",
        "publish 1 delivered",
        "publish 2 delivered",
        "unsubscribe delivered",
      ]);
      expect(client.subscriptions()).toEqual({});
    });
  });

  it.each(LEVELS)("256 KiB in a burst at QoS %i with properties and aliases, each way at once", async (qos) => {
    const options = { txCapacity: 4096, rxCapacity: 1024, maxOperations: 16 };
    const pair = await Promise.all([up({ options }), up({ options })]);
    const topics = pair.map(() => unique("burst"));
    for (const [i, peer] of pair.entries()) await peer.subscribe(topics[i], qos);
    const text = (i: number): string => numbered(i, 128).toString("hex");
    await Promise.all(pair.map(async (peer, i) => {
      for (let next = 0; next < 1024;) {
        const properties: GivenProperties = { userProperty: [["n", `${next}`]] };
        if (peer.client.publish(topics[1 - i], text(next), qos, 0, null, properties)) next++;
        else {
          peer.events.length = 0;
          await peer.until(() => peer.events.length > 0, () => "room");
        }
      }
    }));
    for (const peer of pair) {
      await peer.until(() => peer.messages.length >= 1024, () => `1024 messages, not ${peer.messages.length}`);
      expect(peer.messages.map(({ properties }) => properties.userProperty![0][1])).toEqual(
        [...Array(1024).keys()].map(String),
      );
      expect(peer.messages.every(({ data }, i) => data === text(i))).toBe(true);
      const aliased = peer.passed(true, "PUBLISH").filter(({ topic }) => topic === "");
      // What does not fit the client's short form leaves as it is.
      expect(peer.passed(true, "PUBLISH")).toHaveLength(1024);
      expect(aliased.length === 0 || aliased.length === 1023).toBe(true);
    }
  });

  needs("tshark")("what passed in all of this, dissected", () => {
    it("has no malformed packet, nor anything else that tshark remarks upon, and says what was asked for", async () => {
      for (const client of clients) client.abort();
      const connections = [...relay.connections, ...strictRelay.connections];
      await Promise.all(connections.map((connection) => connection.over()));
      const { client, broker: answers, faults } = await dissect(connections);
      expect(faults).toEqual([]);
      const types = ["CONNECT", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "UNSUBSCRIBE"];
      expect([...new Set(client)].sort()).toEqual([...types, "PINGREQ", "DISCONNECT"].sort());
      expect(answers).toContain("DISCONNECT");
      const versions = await readFields(connections, "mqtt.msgtype == 1", ["mqtt.ver"]);
      expect([...new Set(versions.flat())].sort()).toEqual(["4", "5"]);
      const read = async (filter: string, ...fields: string[]): Promise<string[]> =>
        [...new Set((await readFields(connections, filter, fields)).map((row) => row.join()))];
      expect(await read("mqtt.msgtype == 1 && mqtt.will_properties", "mqtt.willtopic", "mqtt.willmsg")).toEqual([
        expect.stringMatching(/^will.*,676f6e65$/),
      ]);
      expect(await read('mqtt.property.content_type contains "größe"', "mqtt.property.content_type")).not.toEqual([]);
      expect(await read("mqtt.subscription_options_nl == 1 && mqtt.subscription_options_rap == 1", "mqtt.topic"))
        .toHaveLength(1);
      const handlings = await read('mqtt.msgtype == 8 && mqtt.topic contains "rh"', "mqtt.subscription_options_retain");
      expect(handlings.sort()).toEqual(["0", "1", "2"]);
      const reasons = await read("mqtt.disconnect.reason_code", "mqtt.disconnect.reason_code");
      expect(reasons).toEqual(expect.arrayContaining(["154", "155"]));
    }, DISSECTION_MS);
  });
});
