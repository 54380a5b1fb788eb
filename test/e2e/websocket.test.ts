/** The client over WebSocket, plain and over TLS: mosquitto's own, and a server of `ws` in front of both brokers. */
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import { createMqtt, MQTT_3_1_1 } from "mcu-mqtt/client";
import type { ClientOptions, QoS } from "mcu-mqtt";
import { createWebSocketHal } from "../../hal/node-websocket.js";
import type { WebSocketHalOptions } from "../../hal/node-websocket.js";
import { tlsOptions } from "../../hal/node-tls-options.js";
import { withUrl } from "../../src/optional/url.js";
import { AedesBroker } from "../support/aedes.js";
import type { Broker } from "../support/broker.js";
import { HOST } from "../support/broker.js";
import { certificates } from "../support/certificates.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { WebSocketRelay } from "../support/websocket-relay.js";
import type { WebSocketRelayOptions } from "../support/websocket-relay.js";
import { Device, indices, numbered, removeDevices, unique } from "./device.js";
import type { DeviceSettings, Outgoing } from "./device.js";

jest.setTimeout(60000);

const LEVELS = [0, 1, 2] as const;
const MEBIBYTE = 1 << 20;
const WS_HOST = `ws://${HOST}`;
const { ca, otherCa, server, wrongHost, client, strangeClient } = certificates();

function makeDevice(settings: DeviceSettings = {}, options: WebSocketHalOptions = {}): Device {
  return new Device({ ...settings, mqtt: createMqtt(createWebSocketHal(undefined, options), MQTT_3_1_1) });
}

afterEach(removeDevices);

/** A port for WebSockets, and what its clients say of TLS. */
interface Door {
  /** The broker's, for TCP. */
  tcpPort: number;
  port: number;
  secure?: object;
}

/**
 * What holds through any door to a broker.
 *
 * @param longest bytes of the longest message that the broker is asked to send
 */
function testDoor(longest: number, door: () => Door): void {
  const connected = async (options: ClientOptions = {}, cleansession: 0 | 1 = 1): Promise<Device> => {
    const { port, secure } = door();
    return makeDevice({ options, cleansession }).connect(port, secure, WS_HOST);
  };

  it.each(LEVELS)("messages go out and come in at QoS %i, once each, and call back", async (qos) => {
    const device = await connected();
    const topic = unique("ws");
    expect(await device.subscribe({ [topic]: qos })).toEqual([qos]);
    await device.publish(topic, "first", qos);
    await device.publish(topic, "größe 温度", qos);
    await device.receive(2);
    const rest = { topic, qos, retain: false, dup: false };
    expect(device.messages).toEqual([{ data: "first", ...rest }, { data: "größe 温度", ...rest }]);
    await device.unsubscribe({ [topic]: 0 });
    await device.close();
    expect(device.outcomes).toEqual(["connect", "offline 0"]);
  });

  it(`a message of 1 MiB goes out, and one of ${longest} bytes comes in, at each QoS`, async () => {
    const options: ClientOptions = { format: "buffer", maxMessageLength: MEBIBYTE + 100, txCapacity: MEBIBYTE + 100 };
    const device = await connected(options);
    const peer = await new Device({ options }).connect(door().tcpPort);
    const topic = unique("mebibyte");
    await peer.subscribe({ [`${topic}/out`]: 2 });
    await device.subscribe({ [`${topic}/in`]: 2 });
    for (const qos of LEVELS) {
      await device.publish(`${topic}/out`, numbered(qos, MEBIBYTE), qos);
      await peer.publish(`${topic}/in`, numbered(qos, longest), qos);
    }
    await peer.receive(3);
    await device.receive(3);
    expect(indices(peer.messages, MEBIBYTE)).toEqual([0, 1, 2]);
    expect(indices(device.messages, longest)).toEqual([0, 1, 2]);
  });

  it("a thousand messages go out and come in as fast as they can, in their order", async () => {
    const device = await connected({ format: "buffer" });
    const topic = unique("burst");
    await device.subscribe({ [topic]: 2 });
    for (const qos of LEVELS) {
      const before = device.messages.length;
      await device.send(Array.from({ length: 1000 }, (_, i): Outgoing => [topic, numbered(i, 64), qos]));
      await device.receive(before + 1000);
      expect(indices(device.messages.slice(before), 64)).toEqual([...Array(1000).keys()]);
    }
  });

  it("a client that does not read holds the broker back, and misses nothing", async () => {
    const [device, sender] = await Promise.all([connected({ format: "buffer" }), connected()]);
    const topic = unique("held");
    await device.subscribe({ [topic]: 1 });
    device.client.pause();
    await sender.send(Array.from({ length: 300 }, (_, i): Outgoing => [topic, numbered(i, 900), 1]));
    expect(device.messages).toEqual([]);
    device.client.resume();
    await device.receive(300);
    expect(indices(device.messages, 900)).toEqual([...Array(300).keys()]);
  });

  it("the will is published when the connection is dropped, and not after close()", async () => {
    const topic = unique("will");
    const watcher = await connected();
    await watcher.subscribe({ [topic]: 1 });
    for (const how of ["close", "abort"] as const) {
      const { port, secure } = door();
      const device = makeDevice();
      device.client.lwt(topic, how, 1);
      await device.connect(port, secure, WS_HOST);
      device.client[how]();
    }
    await watcher.receive(1);
    expect(watcher.messages.map(({ data }) => data)).toEqual(["abort"]);
  });

  it("a session goes on where it was", async () => {
    const device = await connected({}, 0);
    const topic = unique("session");
    await device.subscribe({ [topic]: 1 });
    await device.close();
    const sender = await connected();
    await sender.publish(topic, "meanwhile", 1);
    const { port, secure } = door();
    await device.connect(port, secure, WS_HOST);
    expect(device.sessionPresent).toBe(true);
    await device.receive(1);
    expect(device.messages[0].data).toBe("meanwhile");
  });
}

/** What holds with a WebSocket server in front of any broker. */
function testRelay(start: () => Promise<Broker>): void {
  let broker: Broker;
  const relays: WebSocketRelay[] = [];

  beforeAll(async () => {
    broker = await start();
  });

  afterEach(async () => {
    removeDevices();
    await Promise.all(relays.splice(0).map((relay) => relay.dispose()));
  });

  afterAll(() => broker?.dispose());

  const relayed = async (options: WebSocketRelayOptions = {}): Promise<WebSocketRelay> => {
    const relay = await WebSocketRelay.start(broker.port, options);
    relays.push(relay);
    return relay;
  };

  const seconds = (bytes: Buffer): Buffer[] => {
    const frames: Buffer[] = [];
    for (let at = 0; at < bytes.length; at += 7) frames.push(bytes.subarray(at, at + 7));
    return frames;
  };

  describe.each<[string, WebSocketRelayOptions]>([
    ["as they come", {}],
    ["of a byte each", { frames: (bytes) => Array.from(bytes, (byte) => Buffer.of(byte)) }],
    ["of 7 bytes each, over TLS", { frames: seconds, tls: server }],
  ])("frames %s", (_title, options) => {
    it.each(LEVELS)("carry what the broker sends, at QoS %i", async (qos) => {
      const relay = await relayed(options);
      const device = makeDevice({ options: { format: "buffer" } });
      await device.connect(relay.port, options.tls && { ca: ca.cert }, WS_HOST);
      const topic = unique("frames");
      await device.subscribe({ [topic]: qos });
      await device.send(Array.from({ length: 60 }, (_, i): Outgoing => [topic, numbered(i, 20 + i * 5), qos]));
      await device.receive(60);
      for (const [i, { data }] of device.messages.entries()) expect(data).toEqual(numbered(i, 20 + i * 5));
    });
  });

  it("what is published in one turn is one frame of several packets", async () => {
    const relay = await relayed();
    const device = await makeDevice().connect(relay.port, undefined, WS_HOST);
    const topic = unique("several");
    await device.subscribe({ [topic]: 1 });
    const before = relay.received.length;
    for (let i = 0; i < 10; i++) device.offer(topic, `${i}`, 1);
    await device.receive(10);
    expect(relay.received[before].toString("latin1").split(topic).length).toBe(11);
    expect(device.messages.map(({ data }) => data)).toEqual(Array.from("0123456789"));
  });

  it("a URL leads to its path, with the header fields and the subprotocol", async () => {
    const relay = await relayed({ path: "/a/b" });
    const device = makeDevice({}, { wsHeaders: { "X-Token": "abc" } });
    withUrl(device.client).connect(`ws://${HOST}:${relay.port}/a/b?c=d`);
    await device.until(() => device.outcomes.length > 0, "an outcome");
    expect(device.outcomes).toEqual(["connect"]);
    const [{ url, headers }] = relay.requests;
    expect(url).toBe("/a/b?c=d");
    expect(headers["x-token"]).toBe("abc");
    expect(headers["sec-websocket-protocol"]).toBe("mqtt");
  });

  it("the path is /mqtt, or wsPath, where none is given", async () => {
    const relay = await relayed({ path: "/mqtt" });
    await makeDevice().connect(relay.port, undefined, WS_HOST);
    expect(await makeDevice({}, { wsPath: "/other" }).attempt(relay.port, undefined, WS_HOST)).toBe("connfail -5");
    expect(relay.requests.length).toBe(1);
  });

  it("an attempt fails with -5 at a wrong path, and where the server will not speak mqtt", async () => {
    for (const options of [{ path: "/elsewhere" }, { protocol: false }, { protocol: "wamp" }] as const) {
      const { port } = await relayed(options);
      expect(await makeDevice().attempt(port, undefined, WS_HOST)).toBe("connfail -5");
    }
    // And where no WebSocket is at all: the broker's own port.
    expect(await makeDevice().attempt(broker.port, undefined, WS_HOST)).toBe("connfail -5");
  });

  it("nothing is lost or doubled at QoS 1 and 2 when the connection is cut again and again", async () => {
    const relay = await relayed();
    const sender = makeDevice({ cleansession: 0, options: { queueOffline: true, txCapacity: 262144 } });
    const receiver = await makeDevice({ options: { receiveMaximum: 2048 } }).connect(broker.port, undefined, HOST);
    const topic = unique("cut");
    await receiver.subscribe({ [`${topic}/#`]: 2 });
    await sender.connect(relay.port, undefined, WS_HOST);
    let cuts = 0;
    const { port } = relay;
    sender.client.on("offline", () => sender.client.connect(WS_HOST, port));
    const sent = Array.from({ length: 400 }, (_, i): Outgoing => [`${topic}/${i}`, "x", (1 + (i % 2)) as QoS]);
    for (const message of sent) expect(sender.offer(...message)).toBe(true);
    receiver.whenMessage = () => {
      if (receiver.messages.length % 90 === 0 && cuts < 3) {
        cuts++;
        relay.cut();
      }
    };
    await sender.until(() => sender.confirmed === 400, () => `400 outcomes, not ${sender.confirmed}`);
    const names = (): string[] => [...new Set(receiver.messages.map((message) => message.topic))];
    await receiver.until(() => names().length === 400, () => `400 messages, not ${names().length}`);
    sender.client.on("offline", null);
    expect(cuts).toBe(3);
    if (broker instanceof Mosquitto) {
      const twice = receiver.messages.filter(({ qos }) => qos === 2).map((message) => message.topic);
      expect(new Set(twice).size).toBe(twice.length);
    }
  });
}

describe("over WebSocket, with aedes behind a server of ws,", () => {
  testRelay(() => AedesBroker.start());

  describe.each([["plain", undefined], ["over TLS", server]])("%s,", (_title, tls) => {
    let broker: AedesBroker;
    let relay: WebSocketRelay;

    beforeAll(async () => {
      broker = await AedesBroker.start();
      relay = await WebSocketRelay.start(broker.port, tls && { tls });
    });

    afterAll(async () => {
      await relay?.dispose();
      await broker?.dispose();
    });

    testDoor(MEBIBYTE, () => {
      return { tcpPort: broker.port, port: relay.port, ...(tls && { secure: { ca: ca.cert } }) };
    });
  });

  describe("over TLS", () => {
    const attempt = async (tls: object, secure: object, host = WS_HOST): Promise<string> => {
      const broker = await AedesBroker.start();
      const relay = await WebSocketRelay.start(broker.port, { tls });
      try {
        return await makeDevice().attempt(relay.port, secure, host);
      } finally {
        removeDevices();
        await relay.dispose();
        await broker.dispose();
      }
    };

    it("an attempt fails with -5 when the server's certificate, or its authority, is not to be trusted", async () => {
      expect(await attempt(server, {})).toBe("connfail -5");
      expect(await attempt(server, { ca: otherCa.cert })).toBe("connfail -5");
      expect(await attempt(wrongHost, { ca: ca.cert })).toBe("connfail -5");
      expect(await attempt(server, { ca: ca.cert, servername: "elsewhere.test" })).toBe("connfail -5");
      expect(await attempt(server, { ca: ca.cert })).toBe("connect");
      expect(await attempt(server, tlsOptions({ verify: false }))).toBe("connect");
    });

    it("shows the client's certificate", async () => {
      const mutual = { ...server, ca: ca.cert, requestCert: true, rejectUnauthorized: true };
      expect(await attempt(mutual, { ca: ca.cert })).toBe("connfail -5");
      expect(await attempt(mutual, { ca: ca.cert, ...strangeClient })).toBe("connfail -5");
      expect(await attempt(mutual, tlsOptions({ ca: ca.cert, ...client }))).toBe("connect");
    });
  });
});

needs("mosquitto", "mosquitto_passwd")("over WebSocket, with mosquitto", () => {
  describe("behind a server of ws,", () => testRelay(() => Mosquitto.start()));

  describe("and its own,", () => {
    let broker: Mosquitto;

    beforeAll(async () => {
      broker = await Mosquitto.start({ webSockets: true });
    });

    afterAll(() => broker?.dispose());

    // mosquitto 2.0.11 needs 1.5 s to send 60,000 bytes to a WebSocket, to any client.
    const LONGEST = 16384;
    describe("plain,", () => {
      testDoor(LONGEST, () => ({ tcpPort: broker.port, port: broker.webSocketPort }));
    });
    describe("over TLS,", () => {
      const secure = { ca: ca.cert };
      testDoor(LONGEST, () => ({ tcpPort: broker.port, port: broker.secureWebSocketPort, secure }));
    });

    it("shows the client's certificate", async () => {
      const port = broker.mutualWebSocketPort;
      expect(await makeDevice().attempt(port, { ca: ca.cert }, WS_HOST)).toBe("connfail -5");
      expect(await makeDevice().attempt(port, { ca: ca.cert, ...client }, WS_HOST)).toBe("connect");
    });

    it("does not trust another authority", async () => {
      const attempt = makeDevice().attempt(broker.secureWebSocketPort, { ca: otherCa.cert }, WS_HOST);
      expect(await attempt).toBe("connfail -5");
    });
  });
});
