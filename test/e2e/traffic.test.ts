/** What the client sends, and in what number, as Wireshark understands it. */
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import type { QoS } from "mcu-mqtt";
import { AedesBroker } from "../support/aedes.js";
import type { Broker } from "../support/broker.js";
import { HOST } from "../support/broker.js";
import { wire } from "../support/bytes.js";
import { dissect, readFields } from "../support/dissect.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Relay } from "../support/relay.js";
import { Device, numbered, removeDevices, unique } from "./device.js";
import { splitPackets } from "../support/split-packets.js";

jest.setTimeout(60000);

const CONNECT = wire("10 0d 0004 'MQTT' 04 02 003c 0001 'a'");
const CONNACK = wire("20 02 00 00");

function recorded(...packets: Uint8Array[]): Parameters<typeof dissect>[0] {
  const all = [CONNECT, ...packets].map((bytes) => ({ fromClient: true, bytes: Buffer.from(bytes), atUs: 0 }));
  all.splice(1, 0, { fromClient: false, bytes: Buffer.from(CONNACK), atUs: 0 });
  return [{ chunks: all }];
}

function counts(types: readonly string[]): Record<string, number> {
  const result: Record<string, number> = {};
  for (const type of types) result[type] = (result[type] ?? 0) + 1;
  return result;
}

needs("tshark")("the dissection itself", () => {
  it("finds nothing wrong with good packets, split or joined", async () => {
    const publish = wire("30 04 0001 'a' 78");
    const packets = [publish.subarray(0, 3), publish.subarray(3), wire("30 04 0001 'a' 78 c0 00"), wire("e0 00")];
    expect(await dissect(recorded(...packets))).toEqual({
      client: ["CONNECT", "PUBLISH", "PUBLISH", "PINGREQ", "DISCONNECT"],
      broker: ["CONNACK"],
      faults: [],
    });
  });

  it.each([
    ["a topic name longer than its packet", "30 04 0009 'a' 78"],
    ["a topic name of no length", "30 03 0000 78"],
    ["a SUBSCRIBE that ends in its filter", "82 06 0001 0005 'a' 00"],
  ])("finds %s", async (_, packet) => {
    const { faults } = await dissect(recorded(wire(packet)));
    expect(faults.length).toBe(1);
  });
});

function testTraffic(start: () => Promise<Broker>): void {
  let broker: Broker;
  let relay: Relay;

  beforeAll(async () => {
    broker = await start();
    relay = await Relay.start(broker.port);
  });

  afterEach(removeDevices);

  afterAll(async () => {
    await relay?.dispose();
    await broker?.dispose();
  });

  it("has as many packets of each type as the application asked for, and none malformed", async () => {
    const before = relay.connections.length;
    const device = new Device({ options: { format: "buffer" } });
    const topic = unique("counted");
    await device.connect(relay.port);
    await device.subscribe({ [`${topic}/a`]: 2, [`${topic}/b`]: 1 });
    await device.subscribe({ [`${topic}/c`]: 0 });
    const levels: QoS[] = [0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 2];
    await device.send(levels.map((qos, i) => [`${topic}/a`, numbered(i, 10), qos]));
    await device.publish(`${topic}/b`, numbered(0, 2000), 2); // comes at QoS 1, and overflows
    await device.publish(`${topic}/c`, numbered(0, 10), 2); // comes at QoS 0
    await device.until(() => device.messages.length + device.overflows.length === 14, "all messages");
    await device.unsubscribe({ [`${topic}/a`]: 0, [`${topic}/b`]: 0, [`${topic}/c`]: 0 });
    const sent = (): Uint8Array[] => splitPackets(relay.last.sent(true));
    await relay.until(() => sent().filter((packet) => packet[0] === 0x70).length === 5, "the last PUBCOMP");
    await device.close();
    await relay.last.over();

    const passed = relay.connections.slice(before);
    const { client, broker: answered, faults } = await dissect(passed);
    expect(faults).toEqual([]);
    expect(counts(client)).toEqual({
      CONNECT: 1, SUBSCRIBE: 2, UNSUBSCRIBE: 1, DISCONNECT: 1,
      PUBLISH: 14, PUBREL: 7, PUBACK: 5, PUBREC: 5, PUBCOMP: 5,
    });
    expect(counts(answered)).toEqual({
      CONNACK: 1, SUBACK: 2, UNSUBACK: 1,
      PUBLISH: 14, PUBACK: 4, PUBREC: 7, PUBCOMP: 7, PUBREL: 5,
    });
    expect(client.length).toBe(sent().length);
  });

  it("says what the application said", async () => {
    const before = relay.connections.length;
    const device = new Device({ keepalive: 4711, username: "user", password: "password", cleansession: 0 });
    device.client.lwt("gone/温度", "bye", 2, 1);
    await device.connect(relay.port);
    await device.subscribe({ "one/+": 1, "two/#": 2 });
    await device.publish("größe/温度", "21 °C", 1, 1);
    await device.publish("größe/温度", "\0", 2);
    await device.close();
    await relay.last.over();

    const passed = relay.connections.slice(before);
    const connect = ["clientid", "kalive", "username", "passwd", "willtopic", "willmsg", "ver", "protoname"];
    const flags = ["cleansess", "willflag", "qos", "retain", "uname", "passwd", "reserved"];
    const names = [...connect.map((name) => `mqtt.${name}`), ...flags.map((name) => `mqtt.conflag.${name}`)];
    const [fields] = await readFields(passed, "mqtt.msgtype == 1", names);
    const bye = Buffer.from("bye").toString("hex");
    expect(fields.slice(0, 8)).toEqual([device.id, "4711", "user", "password", "gone/温度", bye, "4", "MQTT"]);
    // Booleans are numbers or words, as the version likes.
    expect(fields.slice(8).map((text) => Number(text.replace(/True/, "1").replace(/False/, "0")))).toEqual(
      [0, 1, 2, 1, 1, 1, 0],
    );
    const subscribe = await readFields(passed, "mqtt.msgtype == 8", ["mqtt.topic", "mqtt.sub.qos"]);
    expect(subscribe).toEqual([["one/+,two/#", "1,2"]]);
    const publish = await readFields(
      passed,
      "mqtt.msgtype == 3 && tcp.dstport == 1883",
      ["mqtt.topic", "mqtt.qos", "mqtt.msgid", "mqtt.msg"],
    );
    expect(publish).toEqual([
      ["größe/温度", "1", "2", Buffer.from("21 °C").toString("hex")],
      ["größe/温度", "2", "3", "00"],
    ]);
  });

  it("of an attempt that is refused, or given up, is well-formed too", async () => {
    const before = relay.connections.length;
    const device = new Device();
    // Closed before CONNACK, and cut off.
    device.client.connect(HOST, relay.port);
    await relay.until(() => relay.connections.length > before && relay.last.chunks.length > 0, "CONNECT");
    device.client.close();
    await relay.last.over();
    device.client.connect(HOST, relay.port);
    await relay.until(() => relay.connections.length > before + 1, "a connection");
    device.client.abort();
    await relay.last.over();
    const { client, faults } = await dissect(relay.connections.slice(before));
    expect(faults).toEqual([]);
    expect(client.slice(0, 2)).toEqual(["CONNECT", "DISCONNECT"]);
  });
}

describe("traffic", () => {
  needs("tshark")("with aedes", () => testTraffic(() => AedesBroker.start()));
  needs("tshark", "mosquitto", "mosquitto_passwd")("with mosquitto", () => testTraffic(() => Mosquitto.start()));
});
