import { describe, expect, test } from "@jest/globals";
import { MockHal } from "../hal/mock.js";
import { Client, createMqtt } from "../src/client.js";
import { MQTT_3_1_1 } from "../src/v311.js";
import { Device, ack, connack, message, suback } from "./support/device.js";

describe("The module", () => {
  const mqtt = createMqtt(new MockHal(), MQTT_3_1_1);

  test("has eleven constants with NodeMCU's values (contract 1: constants)", () => {
    const { Client: make, ...constants } = mqtt;
    expect(make).toBeInstanceOf(Function);
    expect(constants).toEqual({
      CONN_FAIL_SERVER_NOT_FOUND: -5,
      CONN_FAIL_NOT_A_CONNACK_MSG: -4,
      CONN_FAIL_DNS: -3,
      CONN_FAIL_TIMEOUT_RECEIVING: -2,
      CONN_FAIL_TIMEOUT_SENDING: -1,
      CONNACK_ACCEPTED: 0,
      CONNACK_REFUSED_PROTOCOL_VER: 1,
      CONNACK_REFUSED_ID_REJECTED: 2,
      CONNACK_REFUSED_SERVER_UNAVAILABLE: 3,
      CONNACK_REFUSED_BAD_USER_OR_PASS: 4,
      CONNACK_REFUSED_NOT_AUTHORIZED: 5,
    });
  });

  test("makes a client with new and without (contract 1: new)", () => {
    const { Client: make } = mqtt;
    for (const client of [new mqtt.Client("a", 60), mqtt.Client("a", 60), make("a"), new make()]) {
      expect(client).toBeInstanceOf(Client);
      expect(client).toBeInstanceOf(mqtt.Client);
      expect(client.connected).toBe(false);
    }
  });

  test("makes clients that have nothing in common (contract 1: new)", () => {
    const hal = new MockHal();
    const module = createMqtt(hal, MQTT_3_1_1);
    const called: string[] = [];
    const one = module.Client("one", 60);
    const two = module.Client("two", 60);
    one.connect("one", () => called.push("one"));
    two.connect("two", () => called.push("two"));
    for (const socket of hal.sockets) {
      socket.connect();
      socket.receive([0x20, 2, 0, 0]);
    }
    expect(called).toEqual(["one", "two"]);
    one.abort();
    expect([one.connected, two.connected]).toEqual([false, true]);
  });
});

/** The example of NodeMCU's document, line by line; `print` is what Lua's is. */
function seed(device: Device, print: (text: string) => void) {
  // init mqtt client without logins, keepalive timer 120s
  let m = device.mqtt.Client("clientid", 120);
  expect(m.connected).toBe(false);
  // init mqtt client with logins, keepalive timer 120sec
  m = device.watch(device.mqtt.Client("clientid", 120, "user", "password"));
  // setup Last Will and Testament (optional)
  m.lwt("/lwt", "offline", 0, 0);
  m.on("connect", (_client) => print("connected"));
  m.on("offline", (_client) => print("offline"));
  // on publish message receive event
  m.on("message", (_client, topic, data: string | undefined) => {
    print(topic + ":");
    if (data !== undefined) print(data);
  });
  const isConnecting = m.connect("192.168.11.118", 1883, 0, (client) => {
    print("connected");
    // subscribe topic with qos = 0
    client.subscribe("/topic", 0, (_client) => print("subscribe success"));
    // publish a message with data = hello, QoS = 0, retain = 0
    client.publish("/topic", "hello", 0, 0, (_client) => print("sent"));
  },
  (_client, reason) => {
    print("failed reason: " + String(reason));
  });
  const isClosed = m.close();
  // you can call m.connect again
  return { m, isConnecting, isClosed };
}

describe("The example of NodeMCU's document", () => {
  test("runs as written, though its last line is m.close() (contract 2: close-attempt, 5: connect-once)", () => {
    const device = new Device();
    const lines: string[] = [];
    const { m, isConnecting, isClosed } = seed(device, (line) => lines.push(line));
    expect([isConnecting, isClosed]).toEqual([true, false]);
    expect(lines).toEqual([]);
    expect(device.socket).toMatchObject({ host: "192.168.11.118", port: 1883, secure: undefined, closed: false });

    device.socket.connect();
    expect(device.sent()).toEqual(
      ['CONNECT "clientid" clean 120 will /lwt=offline q0 user user password password'],
    );
    device.send(connack());
    expect(device.sent()).toEqual(["SUBSCRIBE #1 /topic:0", "PUBLISH /topic=hello"]);
    expect(lines).toEqual(["connected"]);

    device.send(suback(1, 0), message("/topic", "hello"), message("/topic", ""));
    device.hal.settle();
    expect(lines).toEqual(["connected", "subscribe success", "sent", "/topic:", "hello", "/topic:"]);

    expect(m.close()).toBe(true);
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(lines.slice(6)).toEqual(["offline"]);
    // You can call m.connect again.
    expect(m.connect("192.168.11.118")).toBe(true);
  });

  test("tells why it failed (contract 4: refused)", () => {
    const device = new Device();
    const lines: string[] = [];
    seed(device, (line) => lines.push(line));
    device.socket.fail("refused");
    expect(lines).toEqual(["failed reason: -5"]);
  });

  test("subscribes to several topics and unsubscribes as written (contract 2: subscribe-table)", () => {
    const device = new Device().up();
    const m = device.client;
    const lines: string[] = [];
    m.subscribe("/topic", 0, () => lines.push("subscribe success"));
    m.subscribe({ "topic/0": 0, "topic/1": 1, topic2: 2 }, () => lines.push("subscribe success"));
    m.unsubscribe("/topic", () => lines.push("unsubscribe success"));
    m.unsubscribe({ "topic/0": 0, "topic/1": 0, topic2: "anything" }, () => lines.push("unsubscribe success"));
    expect(device.sent()).toEqual([
      "SUBSCRIBE #1 /topic:0",
      "SUBSCRIBE #2 topic/0:0 topic/1:1 topic2:2",
      "UNSUBSCRIBE #3 /topic",
      "UNSUBSCRIBE #4 topic/0 topic/1 topic2",
    ]);
    device.send(suback(1, 0), suback(2, 0, 1, 2), ack("UNSUBACK", 3), ack("UNSUBACK", 4));
    expect(lines).toEqual(["subscribe success", "subscribe success", "unsubscribe success", "unsubscribe success"]);
  });
});
