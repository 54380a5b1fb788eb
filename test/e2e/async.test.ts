/** The promise face against brokers: plain, TLS, WebSocket and both. */
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { createClient } from "mcu-mqtt/async";
import type { AsyncClient, AsyncOptions, ClientEvent, Message } from "mcu-mqtt/async";
import webSocketHal from "mcu-mqtt/websocket";
import { tlsOptions } from "mcu-mqtt/tls";
import { AedesBroker } from "../support/aedes.js";
import type { Broker } from "../support/broker.js";
import { HOST, LOGINS } from "../support/broker.js";
import { certificates } from "../support/certificates.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { WebSocketRelay } from "../support/websocket-relay.js";
import { unique } from "./device.js";

jest.setTimeout(60000);

const LEVELS = [0, 1, 2] as const;
const { ca, server, client: own } = certificates();

const clients: AsyncClient[] = [];

/** A client that is stopped behind the test. */
function make(options: AsyncOptions): AsyncClient {
  const client = createClient({ hal: webSocketHal, ...options });
  clients.push(client);
  return client;
}

async function connected(options: AsyncOptions): Promise<AsyncClient> {
  const client = make(options);
  await client.connect();
  return client;
}

afterEach(() => {
  for (const client of clients.splice(0)) client.stop();
});

/** Takes so many messages. */
async function take(messages: AsyncIterableIterator<Message>, count: number): Promise<Message[]> {
  const taken: Message[] = [];
  while (taken.length < count) taken.push((await messages.next()).value as Message);
  return taken;
}

const text = ({ payload }: Message): string => Buffer.from(payload).toString();

/** What holds through each way to a broker. */
function testWay(way: () => AsyncOptions): void {
  it("publishes and receives at each QoS, bytes as they are", async () => {
    const client = await connected(way());
    const topic = unique("async");
    const messages = client.messages();
    expect(await client.subscribe(`${topic}/#`, { qos: 2 })).toEqual([{ filter: `${topic}/#`, reasonCode: 2 }]);
    const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
    for (const qos of LEVELS) {
      expect(await client.publish(`${topic}/${qos}`, bytes, { qos })).toMatchObject({ outcome: "delivered" });
    }
    for (const [qos, message] of (await take(messages, 3)).entries()) {
      expect(message).toMatchObject({ topic: `${topic}/${qos}`, qos, retain: false });
      expect([...message.payload]).toEqual([...bytes]);
    }
    expect(await client.unsubscribe(`${topic}/#`)).toEqual([{ filter: `${topic}/#`, reasonCode: 0 }]);
    expect(await client.ping()).toBe("pong");
    await client.disconnect();
    expect(client.status().state).toBe("idle");
    expect((await messages.next()).done).toBe(true);
  });

  it("messages of 300,000 bytes go out and come in, through buffers of 16 KiB", async () => {
    const client = await connected({ ...way(), rxCapacity: 16384, txCapacity: 16384 });
    const topic = unique("large");
    const messages = client.messages();
    await client.subscribe(topic, { qos: 1 });
    const payload = Buffer.alloc(300000, "abcdefg");
    await client.publish(topic, payload, { qos: 1 });
    const [message] = await take(messages, 1);
    expect(Buffer.compare(Buffer.from(message.payload), payload)).toBe(0);
  });

  it("who answers inside the iteration does not stall it, whatever comes meanwhile", async () => {
    const [client, sender] = [await connected({ ...way(), maxQueue: 64 }), await connected(way())];
    const topic = unique("answer");
    const messages = client.messages();
    await client.subscribe(`${topic}/ask`, { qos: 1 });
    const answers = sender.messages();
    await sender.subscribe(`${topic}/answer`, { qos: 1 });
    for (let i = 0; i < 50; i++) void sender.publish(`${topic}/ask`, String(i), { qos: 1 });
    let count = 0;
    for await (const message of messages) {
      await client.publish(`${topic}/answer`, text(message), { qos: 1 });
      if (++count === 50) break;
    }
    expect((await take(answers, 50)).map(text)).toEqual(Array.from({ length: 50 }, (_, i) => String(i)));
  });

  it("a session that is kept has its subscriptions and messages on the next connection", async () => {
    const options = { ...way(), clientid: unique("kept").replaceAll("/", "-"), cleanStart: false };
    const topic = unique("kept");
    const first = await connected(options);
    await first.subscribe(topic, { qos: 1 });
    await first.disconnect();
    const sender = await connected(way());
    await sender.publish(topic, "while away", { qos: 1 });
    const second = make(options);
    const messages = second.messages();
    expect(await second.connect()).toEqual({ sessionPresent: true });
    expect(text((await take(messages, 1))[0])).toBe("while away");
    await second.disconnect();
  });
}

/** What holds with either broker. */
function testBroker(start: () => Promise<Broker>, hasShares: boolean): void {
  let broker: Broker;
  let relay: WebSocketRelay;
  let secureRelay: WebSocketRelay;
  const sslOpts = tlsOptions({ ca: ca.cert });

  beforeAll(async () => {
    broker = await start();
    relay = await WebSocketRelay.start(broker.port);
    secureRelay = await WebSocketRelay.start(broker.port, { tls: { cert: server.cert, key: server.key } });
  });

  afterAll(async () => {
    await relay.dispose();
    await secureRelay.dispose();
    await broker.dispose();
  });

  describe("over TCP", () => testWay(() => ({ host: HOST, port: broker.port })));
  describe("over TLS", () => testWay(() => ({ host: `mqtts://${HOST}:${broker.tlsPort}`, sslOpts })));
  describe("over WebSocket", () => testWay(() => ({ host: `ws://${HOST}:${relay.port}/mqtt` })));
  describe("over WebSocket and TLS", () => {
    testWay(() => ({ host: `wss://${HOST}:${secureRelay.port}/mqtt`, sslOpts }));
  });
  describe("with MQTT 3.1", () => testWayOfOld(() => ({ host: HOST, port: broker.port, protoVer: "v3" })));
  describe("as a bridge", () => testWayOfOld(() => ({ host: HOST, port: broker.port, bridgeMode: true })));

  function testWayOfOld(way: () => AsyncOptions): void {
    it("publishes and receives at each QoS", async () => {
      // A bridge does not get what it has published itself.
      const [client, sender] = [await connected(way()), await connected({ host: HOST, port: broker.port })];
      const topic = unique("old");
      const messages = client.messages();
      await client.subscribe(topic, { qos: 2 });
      for (const qos of LEVELS) await sender.publish(topic, String(qos), { qos });
      expect((await take(messages, 3)).map(text)).toEqual(["0", "1", "2"]);
      for (const qos of LEVELS) await client.publish(topic, "x", { qos });
    });
  }

  it("a certificate for the client is asked for, and given", async () => {
    const host = `mqtts://${HOST}:${broker.clientCertificatePort}`;
    await connected({ host, sslOpts: tlsOptions({ ca: ca.cert, cert: own.cert, key: own.key }) });
    await expect(connected({ host, sslOpts })).rejects.toMatchObject({ name: "MqttError" });
  });

  it("a broker with an unknown certificate is not trusted", async () => {
    const host = `mqtts://${HOST}:${broker.tlsPort}`;
    await expect(connected({ host })).rejects.toMatchObject({ reason: -5 });
    await connected({ host, sslOpts: tlsOptions({ verify: false }) });
  });

  it("a password may be made for each attempt; a wrong one is refused by its code, and not tried again", async () => {
    const [[username, secret]] = LOGINS;
    const place = { host: HOST, port: broker.passwordPort };
    let asked = 0;
    const password = (): string => {
      asked++;
      return secret;
    };
    await connected({ ...place, username, password });
    expect(asked).toBe(1);
    await connected({ host: `mqtt://${username}:${encodeURIComponent(secret)}@${HOST}:${broker.passwordPort}` });
    const events: ClientEvent[] = [];
    const owner = (event: ClientEvent): void => void events.push(event);
    const wrong = make({ ...place, username, password: "wrong", reconnect: Infinity, owner });
    await expect(wrong.connect()).rejects.toMatchObject({ reason: expect.any(Number) });
    expect(wrong.status().state).toBe("stopped");
    expect(events.filter((event) => event.type === "state" && event.state === "connecting")).toHaveLength(1);
  });

  it("the first host that answers is taken", async () => {
    const hosts = [{ host: HOST, port: 1 }, { host: HOST, port: broker.port }];
    const client = await connected({ hosts });
    expect(client.status()).toMatchObject({ state: "connected", port: broker.port });
  });

  it("stop has the will published, disconnect has not", async () => {
    const topic = unique("will");
    const watcher = await connected({ host: HOST, port: broker.port });
    const messages = watcher.messages();
    await watcher.subscribe(topic);
    const place = { host: HOST, port: broker.port, willTopic: topic };
    await (await connected({ ...place, willPayload: "unwanted" })).disconnect();
    (await connected({ ...place, willPayload: "wanted" })).stop();
    expect((await take(messages, 1)).map(text)).toEqual(["wanted"]);
  });

  it("a message is the application's to acknowledge, and comes again on the next connection until it is", async () => {
    const options = { host: HOST, port: broker.port, cleanStart: false, autoAck: false as const };
    const clientid = unique("ack").replaceAll("/", "-");
    const topic = unique("ack");
    const client = await connected({ ...options, clientid });
    const messages = client.messages();
    await client.subscribe(topic, { qos: 1 });
    await client.publish(topic, "once more", { qos: 1 });
    const [first] = await take(messages, 1);
    expect(first.dup).toBe(false);
    await client.disconnect();
    const again = client.messages();
    await client.connect();
    const [second] = await take(again, 1);
    expect(text(second)).toBe("once more");
    expect(client.puback(second.packetId)).toBe(true);
    await client.disconnect();
  });

  if (!hasShares) return;

  it("a shared subscription gives each message to one of its clients", async () => {
    const topic = unique("shared");
    const seen: string[] = [];
    for (let i = 0; i < 2; i++) {
      const owner = (event: ClientEvent): void => {
        if (event.type === "publish") seen.push(text(event.message));
      };
      const member = await connected({ host: HOST, port: broker.port, owner });
      await member.subscribe(`$share/group/${topic}`, { qos: 1 });
    }
    const sender = await connected({ host: HOST, port: broker.port });
    for (let i = 0; i < 10; i++) await sender.publish(topic, String(i), { qos: 1 });
    while (seen.length < 10) await new Promise((resolve) => setImmediate(resolve));
    expect(seen.map(Number).sort((a, b) => a - b)).toEqual([...Array(10).keys()]);
  });
}

needs("mosquitto", "mosquitto_passwd")("the promise face and mosquitto", () => {
  testBroker(() => Mosquitto.start(), true);
});

describe("the promise face and aedes", () => testBroker(() => AedesBroker.start(), false));
