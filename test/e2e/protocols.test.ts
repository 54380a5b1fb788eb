/** MQTT 3.1 and bridges with mosquitto; what passes is dissected by tshark. */
import { afterAll, afterEach, beforeAll, expect, it, jest } from "@jest/globals";
import hal from "../../hal/node.js";
import type { Client, QoS } from "../../src/client.js";
import { createMqtt } from "../../src/client.js";
import type { Codec } from "../../src/codec.js";
import { MQTT_3_1, bridged } from "../../src/optional/protocols.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { HOST } from "../support/broker.js";
import { dissect, readFields } from "../support/dissect.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Relay } from "../support/relay.js";
import { Signal } from "../support/signal.js";
import { unique } from "./device.js";

jest.setTimeout(60000);

const clients = new Set<Client>();

/** A client of one version, and what it was told. */
class Peer {
  readonly client: Client;
  readonly events: string[] = [];
  readonly messages: string[] = [];
  whenMessage = (): void => {};
  private readonly signal = new Signal();

  constructor(codec: Codec, id: string, cleansession: 0 | 1 = 1) {
    this.client = createMqtt(hal, codec).Client(id, 60, null, null, cleansession);
    clients.add(this.client);
    this.client.on("connect", (_, isPresent) => this.note(`connect ${isPresent}`));
    this.client.on("connfail", (_, reason) => this.note(`connfail ${reason}`));
    this.client.on("offline", (_, reason) => this.note(`offline ${reason}`));
    this.client.on("suback", (_, granted) => this.note(`suback ${[...granted].join()}`));
    this.client.on("unsuback", () => this.note("unsuback"));
    this.client.on("puback", () => this.note("puback"));
    this.client.on("message", (_, topic, data, { qos, retain }) => {
      this.messages.push(`${topic}=${data} q${qos}${retain ? " retain" : ""}`);
      this.whenMessage();
      this.signal.notify();
    });
  }

  private note(event: string): void {
    this.events.push(event);
    this.signal.notify();
  }

  /** Resolves when these were told, which are forgotten. */
  async told(...events: string[]): Promise<void> {
    const show = (): string => `${events.join()}, not ${this.events.join()}`;
    await this.signal.until(() => this.events.length >= events.length, show);
    expect(this.events.splice(0, events.length)).toEqual(events);
  }

  async received(...messages: string[]): Promise<void> {
    const show = (): string => `${messages.join()}, not ${this.messages.join()}`;
    await this.signal.until(() => this.messages.length >= messages.length, show);
    expect(this.messages.splice(0)).toEqual(messages);
  }

  async up(port: number, isPresent = false): Promise<this> {
    this.client.connect(HOST, port);
    await this.told(`connect ${isPresent}`);
    return this;
  }

  async subscribe(filter: string, qos: QoS): Promise<void> {
    this.client.subscribe(filter, qos);
    await this.told(`suback ${qos}`);
  }
}

needs("mosquitto", "mosquitto_passwd")("with mosquitto", () => {
  let broker: Mosquitto;
  let relay: Relay;

  beforeAll(async () => {
    broker = await Mosquitto.start();
    relay = await Relay.start(broker.port);
  });

  afterEach(() => {
    for (const client of clients) client.abort();
    clients.clear();
  });

  afterAll(async () => {
    await relay?.dispose();
    await broker?.dispose();
  });

  const VERSIONS: [string, Codec][] = [
    ["MQTT 3.1", MQTT_3_1],
    ["a bridge with 3.1", bridged(MQTT_3_1)],
    ["a bridge with 3.1.1", bridged(MQTT_3_1_1)],
  ];

  it.each(VERSIONS)("%s publishes and receives at each QoS", async (_, codec) => {
    const peer = await new Peer(codec, unique("old").slice(0, 23)).up(relay.port);
    const other = await new Peer(MQTT_3_1_1, unique("new")).up(relay.port);
    const topic = unique("t");
    await peer.subscribe(`${topic}/in`, 2);
    await other.subscribe(`${topic}/out`, 2);
    for (const qos of [0, 1, 2] as const) {
      other.client.publish(`${topic}/in`, `a${qos}`, qos);
      await other.told("puback");
      peer.client.publish(`${topic}/out`, `b${qos}`, qos);
      await peer.told("puback");
    }
    await peer.received(...[0, 1, 2].map((qos) => `${topic}/in=a${qos} q${qos}`));
    await other.received(...[0, 1, 2].map((qos) => `${topic}/out=b${qos} q${qos}`));
    peer.client.unsubscribe(`${topic}/in`);
    await peer.told("unsuback");
    peer.client.close();
    await peer.told("offline 0");
  });

  it("a session of MQTT 3.1 goes on after a loss, each message at QoS 2 once", async () => {
    const id = unique("old").slice(0, 23);
    const peer = await new Peer(MQTT_3_1, id, 0).up(relay.port);
    const other = await new Peer(MQTT_3_1_1, unique("new")).up(broker.port);
    const topic = unique("t");
    await peer.subscribe(topic, 2);
    const connection = relay.connections.at(-1)!;
    let count = 0;
    peer.whenMessage = () => {
      // In the midst of it: PUBREC has not left, or PUBREL not come.
      if (++count === 3) connection.cut();
    };
    for (let i = 0; i < 8; i++) other.client.publish(topic, `${i}`, 2);
    for (let i = 0; i < 8; i++) await other.told("puback");
    await peer.told("offline -10");
    await peer.up(relay.port);
    other.client.publish(topic, "last", 2);
    await peer.received(...[0, 1, 2, 3, 4, 5, 6, 7, "last"].map((payload) => `${topic}=${payload} q2`));
    // The session is whole: what is published at QoS 2 is completed, and nothing is left to come.
    peer.client.publish(topic, "own", 2);
    await peer.told("puback");
    await peer.received(`${topic}=own q2`);
    peer.client.close();
    await peer.told("offline 0");
  });

  it("a bridge is sent RETAIN as it was published, and not what it has published itself", async () => {
    const topic = unique("t");
    const bridge = await new Peer(bridged(MQTT_3_1_1), unique("bridge")).up(relay.port);
    const plain = await new Peer(MQTT_3_1_1, unique("plain")).up(relay.port);
    await bridge.subscribe(topic, 1);
    await plain.subscribe(topic, 1);
    bridge.client.publish(topic, "own", 1, 1);
    await bridge.told("puback");
    plain.client.publish(topic, "1", 1, 1);
    await plain.told("puback");
    await bridge.received(`${topic}=1 q1 retain`);
    await plain.received(`${topic}=own q1`, `${topic}=1 q1`);
  });

  needs("tshark")("what passed in all of this", () => {
    it("has no malformed packet, and the levels of these versions", async () => {
      for (const client of clients) client.abort();
      await Promise.all(relay.connections.map((connection) => connection.over()));
      const { client, faults } = await dissect(relay.connections);
      expect(faults).toEqual([]);
      expect(client).toContain("PUBREL");
      const levels = await readFields(relay.connections, "mqtt.msgtype == 1", ["mqtt.protoname", "mqtt.ver"]);
      const kinds = [...new Set(levels.map((row) => row.join()))].sort();
      expect(kinds).toEqual(["MQIsdp,131", "MQIsdp,3", "MQTT,132", "MQTT,4"]);
    });
  });
});
