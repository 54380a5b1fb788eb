/** The options of the promise face: what each does, and that a wrong one is refused by name before anything happens. */
import { describe, expect, test } from "@jest/globals";
import { MockHal } from "../../hal/mock.js";
import type { Hal, HalSettings } from "../../hal/socket.js";
import { AsyncClient } from "../../src/async/client.js";
import type { AsyncOptions } from "../../src/async/options.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { MQTT_5 } from "../../src/v5/v5.js";
import { ack, letters, message, PINGRESP } from "../support/device.js";
import { AsyncDevice, flush, Outcome } from "../support/async-device.js";

/** Makes a client and says what was wrong. */
function refusal(options: unknown, hal: Hal = new MockHal()): string {
  try {
    void new AsyncClient(hal, options as AsyncOptions);
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  }
  return "accepted";
}

/** A platform with WebSocket and settings, which are recorded. */
function richHal(): { hal: MockHal & Hal; settings: HalSettings[] } {
  const settings: HalSettings[] = [];
  const hal = new MockHal();
  const rich = Object.assign(hal, {
    webSocket: true,
    configure(given: HalSettings) {
      settings.push(given);
      return hal;
    },
  });
  return { hal: rich, settings };
}

/** What the CONNECT of these options says. */
function connectOf(options: AsyncOptions): string {
  const device = new AsyncDevice(options);
  void device.client.connect();
  device.hal.socket.connect();
  const [packet] = device.sent();
  device.client.stop();
  return packet;
}

/** Where these options lead: `host:port`, and TLS. */
function placesOf(options: AsyncOptions): string[] {
  const { hal } = richHal();
  const client = new AsyncClient(hal, options);
  hal.script = (socket) => socket.fail("refused");
  void client.connect();
  hal.settle();
  return hal.sockets.map(({ host, port, secure }) =>
    `${host}:${port}${secure === undefined ? "" : ` ${JSON.stringify(secure)}`}`);
}

describe("what CONNECT says", () => {
  test.each<[AsyncOptions, string]>([
    [{}, 'CONNECT "id" clean 60'],
    [{ clientid: "sensor" }, 'CONNECT "sensor" clean 60'],
    [{ cleanStart: false }, 'CONNECT "id" persistent 60'],
    [{ keepalive: 5 }, 'CONNECT "id" clean 5'],
    [{ keepalive: 0 }, 'CONNECT "id" clean 0'],
    [{ username: "u", password: "p" }, 'CONNECT "id" clean 60 user u password p'],
    [{ username: "u", password: () => "made" }, 'CONNECT "id" clean 60 user u password made'],
    [{ host: "mqtt://u:p%40@h" }, 'CONNECT "id" clean 60 user u password p@'],
    [{ willTopic: "w" }, 'CONNECT "id" clean 60 will w= q0'],
    [
      { willTopic: "w", willPayload: "gone", willQos: "at_least_once", willRetain: true },
      'CONNECT "id" clean 60 will w=gone q1 retain',
    ],
    [
      { willTopic: "w", willPayload: "x", willQos: 2, username: "u", password: () => "p", keepalive: 0 },
      'CONNECT "id" clean 0 will w=x q2 user u password p',
    ],
  ])("%j", (options, expected) => {
    expect(connectOf(options)).toBe(expected);
  });

  test.each<[AsyncOptions, string, number]>([
    [{}, "MQTT", 4],
    [{ protoVer: "v4" }, "MQTT", 4],
    [{ protoVer: "v3" }, "MQIsdp", 3],
    [{ bridgeMode: true }, "MQTT", 0x84],
    [{ protoVer: "v3", bridgeMode: true }, "MQIsdp", 0x83],
  ])("%j is protocol %s, level %i", (options, name, level) => {
    const device = new AsyncDevice(options);
    void device.client.connect();
    device.hal.socket.connect();
    device.hal.settle();
    const sent = Buffer.from(device.hal.socket.sent);
    expect(sent.toString("latin1", 4, 4 + sent[3])).toBe(name);
    expect(sent[4 + sent[3]]).toBe(level);
  });
});

describe("where it goes", () => {
  test.each<[AsyncOptions, string[]]>([
    [{}, ["localhost:1883"]],
    [{ host: "h" }, ["h:1883"]],
    [{ host: "h", port: 1 }, ["h:1"]],
    [{ host: "h", ssl: true }, ["h:8883 {}"]],
    [{ host: "h", ssl: true, sslOpts: { ca: "x" } }, ['h:8883 {"ca":"x"}']],
    [{ host: "mqtt://h" }, ["h:1883"]],
    [{ host: "mqtts://h" }, ["h:8883 {}"]],
    [{ host: "mqtts://h", sslOpts: { ca: "x" } }, ['h:8883 {"ca":"x"}']],
    [{ host: "ws://h" }, ["ws://h:80"]],
    [{ host: "wss://h/path?q" }, ["ws://h/path?q:443 {}"]],
    [{ host: "ws://[::1]:8080/mqtt" }, ["ws://[::1]/mqtt:8080"]],
    [
      { hosts: ["a", ["b", 2], { host: "c", port: 3 }, "mqtts://d", "ws://e"] },
      ["a:1883", "b:2", "c:3", "d:8883 {}", "ws://e:80"],
    ],
  ])("%j", (options, expected) => {
    expect(placesOf(options)).toEqual(expected);
  });

  test("tcpOpts, wsPath and wsHeaders are the platform's to take", () => {
    const { hal, settings } = richHal();
    const wsHeaders = { authorization: "x" };
    void new AsyncClient(hal, { host: "ws://h", tcpOpts: { family: 4 }, wsPath: "/p", wsHeaders });
    expect(settings).toEqual([{ tcpOpts: { family: 4 }, wsPath: "/p", wsHeaders }]);
  });
});

describe("what the others do", () => {
  test("maxInflight: so many wait for their acknowledgement, the others in the queue", async () => {
    const device = await new AsyncDevice({ maxInflight: 1 }).up();
    for (const payload of ["1", "2"]) void device.client.publish("t", payload, { qos: 1 });
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1"]);
    await device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=2 q1 #2"]);
    const free = await new AsyncDevice({ maxInflight: Infinity, maxOperations: 100 }).up();
    for (let i = 0; i < 100; i++) void free.client.publish("t", "", { qos: 1 });
    expect(free.sent()).toHaveLength(100);
  });

  test("retryInterval: sent again with DUP within the connection; never by default [MQTT-3.3.1-1]", async () => {
    for (const [options, count] of [[{ retryInterval: 2 }, 2], [{}, 0]] as [AsyncOptions, number][]) {
      const device = await new AsyncDevice({ ...options, keepalive: 0 }).up();
      void device.client.publish("t", "x", { qos: 1 });
      expect(device.sent()).toEqual(["PUBLISH t=x q1 #1"]);
      await device.advance(5000);
      expect(device.sent()).toEqual(new Array(count).fill("PUBLISH t=x q1 #1 dup"));
    }
  });

  test("ackTimeout: what is not acknowledged for this long ends the connection", async () => {
    const device = await new AsyncDevice({ ackTimeout: 2 }).up();
    const outcome = new Outcome(device.client.publish("t", "x", { qos: 1 }));
    device.hal.settle();
    await device.advance(2000);
    expect(outcome.text).toBe("MqttError: lost with its connection");
    expect(await device.take()).toEqual(['{"type":"disconnected","reason":-12}']);
  });

  test("forcePing: PINGREQ each keepalive, whatever else is sent", async () => {
    for (const [forcePing, count] of [[true, 1], [false, 0]] as [boolean, number][]) {
      const device = await new AsyncDevice({ forcePing, keepalive: 10 }).up();
      for (let i = 0; i < 5; i++) {
        void device.client.publish("t", "x");
        device.broker.send(message("t", "y"));
        await device.advance(2000);
      }
      expect(device.sent().filter((packet) => packet === "PINGREQ")).toHaveLength(count);
      await device.send(PINGRESP);
    }
  });

  test("autoAck never: PUBREC is the application's, too", async () => {
    const device = await new AsyncDevice({ autoAck: "never" }).up();
    await device.send(message("t", "x", { qos: 2, id: 4 }));
    expect(device.sent()).toEqual([]);
    expect(device.client.pubrec(4)).toBe(true);
    expect(device.sent()).toEqual(["PUBREC #4"]);
  });

  test("lowMem: the capacities of a small board", async () => {
    const device = await new AsyncDevice({ lowMem: true, reconnect: 0 }).up();
    for (let i = 0; i < 32; i++) void device.client.publish("t", "", { qos: 1 });
    await expect(device.client.publish("t", "")).rejects.toThrow("the queue is full");
  });

  test("queueOffline: by default with a kept session that connects again", async () => {
    const cases: [AsyncOptions, boolean][] = [
      [{ cleanStart: false, reconnect: 1 }, true],
      [{ cleanStart: false }, false],
      [{ reconnect: 1 }, false],
      [{ cleanStart: false, queueOffline: true }, true],
      [{ cleanStart: false, reconnect: 1, queueOffline: false }, false],
    ];
    for (const [options, accepts] of cases) {
      const device = new AsyncDevice(options);
      const outcome = new Outcome(device.client.publish("t", "x"));
      await flush();
      expect(outcome.text).toBe(accepts ? "pending" : "MqttError: not connected");
    }
  });

  test("reconnectTimeout, reconnectCap and stableTime: the pauses", async () => {
    const options = { reconnect: Infinity, reconnectTimeout: 2, reconnectCap: 8, stableTime: 3 };
    const device = await new AsyncDevice(options).up();
    const pauses: number[] = [];
    device.hal.script = (socket) => socket.fail("refused");
    device.hal.socket.reset();
    for (let i = 0; i < 40; i++) await device.advance(1000);
    for (const event of device.events) {
      if (event.type === "state" && event.state === "waiting") pauses.push(event.delayMs);
    }
    expect(pauses.length).toBeGreaterThan(4);
    expect(Math.max(...pauses)).toBeLessThanOrEqual(8000);
    expect(pauses[0]).toBeLessThanOrEqual(2000);
    expect(pauses[1]).toBeLessThanOrEqual(4000);
  });

  test("maxMessageLength, and without an owner or an iteration nothing is copied", async () => {
    const device = await new AsyncDevice({ maxMessageLength: 16, rxCapacity: 128 }).up();
    await device.send(message("t", letters(17)), message("t", letters(16)));
    expect((await device.take()).length).toBe(2);
  });
});

describe("wrong options are refused by name", () => {
  test.each<[unknown, string]>([
    [null, "TypeError: options must be an object, not null"],
    [{ hosst: "x" }, 'TypeError: unknown option "hosst"'],
    [{ toString: 1 }, 'TypeError: unknown option "toString"'],
    [{ name: "" }, 'TypeError: name must be a string that is not empty, not ""'],
    [{ owner: 1 }, "TypeError: owner must be a function, not 1"],
    [{ host: "" }, 'TypeError: host must be a string that is not empty, not ""'],
    [{ host: 5 }, "TypeError: host must be a string that is not empty, not 5"],
    [{ hosts: [] }, "TypeError: hosts must be an array of one address or more, not an array"],
    [{ hosts: "a" }, 'TypeError: hosts must be an array of one address or more, not "a"'],
    [{ hosts: [5] }, "TypeError: hosts[0].host must be a string that is not empty, not 5"],
    [{ hosts: ["a", ["b", 0]] }, "RangeError: hosts[1].port must be an integer from 1 to 65535, not 0"],
    [{ host: "a", hosts: ["b"] }, "TypeError: hosts must not be given beside host"],
    [{ port: 1, hosts: ["b"] }, "TypeError: port must not be given beside hosts"],
    [{ port: 0 }, "RangeError: port must be an integer from 1 to 65535, not 0"],
    [{ port: "1883" }, 'TypeError: port must be a number, not "1883"'],
    [{ host: "mqtt://h:1", port: 2 }, "TypeError: port must not contradict host, which says 1"],
    [{ host: "mqtts://h", ssl: false }, "TypeError: ssl must not contradict host, whose scheme is mqtts"],
    [{ host: "http://h" }, 'TypeError: url: must begin with "mqtt://", "mqtts://", "ws://" or "wss://"'],
    [{ tcpOpts: 1 }, "TypeError: tcpOpts must be an object, not 1"],
    [{ tcpOpts: { family: 4 } }, "TypeError: tcpOpts: the platform's HAL has no such setting"],
    [{ ssl: 1 }, "TypeError: ssl must be true or false, not 1"],
    [{ sslOpts: {} }, "TypeError: sslOpts must not be given without ssl: true"],
    [{ wsPath: "mqtt" }, 'TypeError: wsPath must be a string that begins with "/", not "mqtt"'],
    [{ wsPath: "/mqtt" }, "TypeError: wsPath must not be given without a URL of ws: or wss:"],
    [{ wsHeaders: {} }, "TypeError: wsHeaders must not be given without a URL of ws: or wss:"],
    [{ connectTimeout: 0 }, "RangeError: connectTimeout must be from 0.001 to 1073741 seconds, not 0"],
    [{ connectTimeout: "5" }, 'TypeError: connectTimeout must be a number of seconds, not "5"'],
    [{ bridgeMode: "yes" }, 'TypeError: bridgeMode must be true or false, not "yes"'],
    [{ clientid: 5 }, "TypeError: clientid must be a string, not 5"],
    [{ clientid: "", cleanStart: false }, 'TypeError: clientid must not be "" when cleansession is 0'],
    [{ cleanStart: 0 }, "TypeError: cleanStart must be true or false, not 0"],
    [{ username: 5 }, "TypeError: username must be a string, not 5"],
    [{ password: "p" }, "TypeError: password must not be given without a username"],
    [{ username: "u", password: 5 }, "TypeError: password must be a string, a Uint8Array or a function"],
    [{ host: "mqtt://u:p@h", password: "x" }, "TypeError: password must not be given beside that of host"],
    [{ host: "mqtt://u@h", username: "x" }, "TypeError: host must not have another user than the options"],
    [{ protoVer: "v5" }, 'TypeError: protoVer "v5" needs codec: MQTT_5 of mcu-mqtt/v5'],
    [{ protoVer: "v5", codec: MQTT_3_1_1 }, 'TypeError: protoVer "v5" needs codec: MQTT_5 of mcu-mqtt/v5'],
    [{ protoVer: "v4", codec: MQTT_5 }, "TypeError: protoVer must not contradict codec"],
    [{ protoVer: 4 }, 'TypeError: protoVer must be "v3", "v4" or "v5", not 4'],
    [{ codec: 5 }, "TypeError: codec must be a codec, not 5"],
    [{ extend: {} }, "TypeError: extend must be a function, not an object"],
    [{ retryInterval: 5, codec: MQTT_5 }, "TypeError: retryInterval must not be set with MQTT 5"],
    [{ bridgeMode: true, codec: MQTT_5 }, "TypeError: bridgeMode must not be set with MQTT 5"],
    [{ protoVer: "v3", clientid: "" }, "TypeError: clientid must be 1 to 23 characters long with MQTT 3.1"],
    [{ keepalive: -1 }, "RangeError: keepalive must be an integer from 0 to 65535, not -1"],
    [{ maxInflight: 0 }, "RangeError: maxInflight must be an integer from 1 to 65535, not 0"],
    [{ retryInterval: 30 }, "RangeError: retryInterval must be less than ackTimeout, which is 30"],
    [{ hosts: [{ host: "a", prot: 1 }] }, 'TypeError: unknown option "hosts[0].prot"'],
    [{ hosts: [["a", 1, "x"]] }, "TypeError: hosts[0] must be [host, port]"],
    [{ reconnect: 2e9 }, "RangeError: reconnect must be an integer from 0 to 1073741823"],
    [{ retryInterval: -1 }, "RangeError: retryInterval must be from 0.001 to 1073741 seconds, not -1"],
    [{ willTopic: "" }, 'TypeError: willTopic must be a string that is not empty, not ""'],
    [{ willTopic: "a/#" }, "TypeError: topic must be"],
    [{ willPayload: "x" }, "TypeError: willPayload must not be given without willTopic"],
    [{ willRetain: true }, "TypeError: willRetain must not be given without willTopic"],
    [{ willQos: 1 }, "TypeError: willQos must not be given without willTopic"],
    [{ willTopic: "w", willQos: 3 }, "TypeError: willQos must be 0, 1, 2"],
    [{ willTopic: "w", willRetain: 1 }, "TypeError: willRetain must be true or false, not 1"],
    [{ willTopic: "w", willPayload: {} }, "TypeError: willPayload must be a string, a number"],
    [{ autoAck: "no" }, 'TypeError: autoAck must be true, false or "never", not "no"'],
    [{ ackTimeout: NaN }, "RangeError: ackTimeout must be from 0.001 to 1073741 seconds, not NaN"],
    [{ forcePing: 1 }, "TypeError: forcePing must be true or false, not 1"],
    [{ lowMem: 1 }, "TypeError: lowMem must be true or false, not 1"],
    [{ reconnect: -1 }, "RangeError: reconnect must be an integer from 0 to"],
    [{ reconnect: true }, "TypeError: reconnect must be a number, not true"],
    [{ reconnectTimeout: 0 }, "RangeError: reconnectTimeout must be from 0.001"],
    [{ reconnectTimeout: 6, reconnectCap: 5 }, "RangeError: reconnectCap must be reconnectTimeout, which is 6"],
    [{ reconnectCap: 4 }, "RangeError: reconnectCap must be reconnectTimeout, which is 5, or more"],
    [{ stableTime: "x" }, 'TypeError: stableTime must be a number of seconds, not "x"'],
    [{ hal: 5 }, "TypeError: hal must be a HAL, not 5"],
    [{ maxMessageLength: 1 }, "RangeError: maxMessageLength must be an integer from 16 to 268435455, not 1"],
    [{ maxQueue: 0 }, "RangeError: maxQueue must be an integer from 1 to 65536, not 0"],
    [{ maxSubscriptions: 0 }, "RangeError: maxSubscriptions must be an integer from 1 to 65535, not 0"],
    [{ queueOffline: true }, "TypeError: queueOffline must not be set when cleanStart is true"],
    [{ queueOffline: 1 }, "TypeError: queueOffline must be true or false, not 1"],
    [{ rxCapacity: 1 }, "RangeError: rxCapacity must be an integer from 128 to 1073741824, not 1"],
    [{ txCapacity: 1 }, "RangeError: txCapacity must be an integer from 128 to 1073741824, not 1"],
    [{ maxOperations: 0 }, "RangeError: maxOperations must be an integer from 1 to 65536, not 0"],
    [{ receiveMaximum: 0 }, "RangeError: receiveMaximum must be an integer from 1 to 65535, not 0"],
    [{ properties: {} }, "TypeError: properties must not be given without codec: MQTT_5 of mcu-mqtt/v5"],
    [{ properties: 5, codec: MQTT_5 }, "TypeError: properties must be an object, not 5"],
    [{ properties: { topicAlias: 1 }, codec: MQTT_5 }, 'TypeError: properties must not have "topicAlias" here'],
    [{ willTopic: "w", willProps: {} }, "TypeError: willProps must not be given without codec: MQTT_5"],
    [{ willProps: {}, codec: MQTT_5 }, "TypeError: willProps must not be given without willTopic"],
    [{ willTopic: "w", willProps: { contentType: 5 }, codec: MQTT_5 }, "TypeError: contentType must be a string"],
    [{ customAuthCallbacks: {} }, "TypeError: customAuthCallbacks: use extend: (client) => withAuth(client,"],
    [{ enhancedAuth: {} }, "TypeError: enhancedAuth: use extend: (client) => withAuth(client, authenticator)"],
  ])("%j", (options, expected) => {
    expect(refusal(options)).toContain(expected);
  });

  test("no error repeats a password", () => {
    for (const options of [
      { password: "hush" }, { username: "u\0", password: "hush" }, { host: "mqtt://u:hush@h:0" },
      { host: "mqtt://u:hush@h", password: "hush" }, { host: "mqtt://:hush@h" }, { username: "u", password: "hush\ud800" },
    ]) {
      const text = refusal(options);
      expect(text).not.toBe("accepted");
      expect(text).not.toContain("hush");
    }
  });

  test("what is changed in the object later changes nothing; a user of a URL is in info, its query is not", () => {
    const { hal } = richHal();
    const options: AsyncOptions = { host: "wss://user:hush@h/mqtt?token=hush", keepalive: 5 };
    const client = new AsyncClient(hal, options);
    options.keepalive = 6;
    options.host = "other";
    void client.connect();
    hal.settle();
    expect(client.info()).toMatchObject({ keepalive: 5, username: "user", host: "ws://h/mqtt", port: 443 });
    expect(JSON.stringify(client.info())).not.toContain("hush");
    client.stop();
  });

  test("null and undefined mean the default", () => {
    const options = { host: null, port: undefined, willTopic: null, password: null, autoAck: null, tcpOpts: null };
    expect(refusal(options)).toBe("accepted");
    expect(refusal({ ...options, hal: undefined }, richHal().hal)).toBe("accepted");
  });
});
