/** MQTT 3.1 and bridges: what is written and read otherwise than in 3.1.1, and what becomes of a session. */
import { describe, expect, test } from "@jest/globals";
import { MockHal } from "../../hal/mock.js";
import type { Client } from "../../src/client.js";
import { createMqtt } from "../../src/client.js";
import type { Codec, ConnectFields, Will } from "../../src/codec.js";
import { BAD_HEADER, NO_ROOM, UNEXPECTED_PACKET } from "../../src/errors.js";
import { MQTT_3_1, bridged } from "../../src/optional/protocols.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { hex, wire } from "../support/bytes.js";
import { Recorder } from "../support/feed.js";

const text = new MockHal().createText();

function fields(clientId: string, rest: Partial<ConnectFields> = {}): ConnectFields {
  return {
    clientId,
    cleanSession: true,
    keepAliveSeconds: 60,
    will: undefined,
    username: undefined,
    password: undefined,
    ...rest,
  };
}

const WILL: Will = { topic: "gone", message: "bye", qos: 1, retain: false };

/** The bytes of a CONNECT, written to the midst of a buffer that has just the room for it. */
function connectBytes(codec: Codec, connect: ConnectFields): string {
  const length = codec.encoder(text).connect(new Uint8Array(100000), 0, 100000, connect);
  const out = new Uint8Array(length + 10).fill(0xee);
  expect(codec.encoder(text).connect(out, 5, 5 + length, connect)).toBe(5 + length);
  expect([...out.subarray(0, 5), ...out.subarray(5 + length)]).toEqual(Array(10).fill(0xee));
  return hex(out.subarray(5, 5 + length));
}

/** A client on a mock platform, and what passes on its sockets in hexadecimal. */
class Peer {
  readonly hal = new MockHal();
  readonly client: Client;
  readonly events: string[] = [];

  constructor(codec: Codec, cleansession: 0 | 1 = 0) {
    this.client = createMqtt(this.hal, codec).Client("id", 60, null, null, cleansession);
    this.client.on("connect", (_, isPresent) => this.events.push(`connect ${isPresent}`));
    this.client.on("connfail", (_, reason) => this.events.push(`connfail ${reason}`));
    this.client.on("offline", (_, reason) => this.events.push(`offline ${reason}`));
    this.client.on("message", (_, topic, data) => this.events.push(`message ${topic}=${data}`));
    this.client.on("suback", (_, granted) => this.events.push(`suback ${[...granted].join()}`));
    this.client.on("puback", () => this.events.push("puback"));
  }

  /** What was sent since this was asked last. */
  sent(): string {
    this.hal.settle();
    return hex(this.hal.socket.takeSent());
  }

  receive(notation: string): string {
    this.hal.settle();
    this.hal.socket.receive(wire(notation));
    return this.sent();
  }

  /** Connects and is accepted; returns what is sent behind CONNECT. */
  up(connack = "20 02 00 00"): string {
    this.client.connect("broker");
    this.hal.settle();
    this.hal.socket.connect();
    this.sent();
    return this.receive(connack);
  }

  /** Cuts the connection, and connects again. */
  again(connack?: string): string {
    this.hal.socket.reset();
    this.hal.settle();
    return this.up(connack);
  }

  take(): string[] {
    this.hal.settle();
    return this.events.splice(0);
  }
}

describe("CONNECT of MQTT 3.1", () => {
  test("has the protocol name MQIsdp and level 3 (3.1 of MQTT 3.1)", () => {
    expect(connectBytes(MQTT_3_1, fields("a"))).toBe(hex(wire("10 0f 0006 'MQIsdp' 03 02 003c 0001 'a'")));
    expect(connectBytes(MQTT_3_1, fields("ab", { cleanSession: false, keepAliveSeconds: 65535 })))
      .toBe(hex(wire("10 10 0006 'MQIsdp' 03 00 ffff 0002 'ab'")));
    const all = { keepAliveSeconds: 10, will: WILL, username: "user", password: "key" };
    expect(connectBytes(MQTT_3_1, fields("sensor", all))).toBe(hex(wire(
      "10 2a 0006 'MQIsdp' 03 ce 000a 0006 'sensor' 0004 'gone' 0003 'bye' 0004 'user' 0003 'key'",
    )));
  });

  test("is right where two bytes more make its length longer (2.1 of MQTT 3.1)", () => {
    for (const length of [111, 112, 113, 114, 115, 16366, 16367, 16368, 16369, 16370]) {
      const id = "x".repeat(length);
      const rest = 12 + 2 + length;
      const digits = rest < 128 ? [rest] : rest < 16384 ? [(rest & 127) | 128, rest >> 7]
        : [(rest & 127) | 128, ((rest >> 7) & 127) | 128, rest >> 14];
      const head = hex(Uint8Array.from([0x10, ...digits, 0, 6]));
      const bytes = connectBytes(MQTT_3_1, fields(id));
      expect(bytes.slice(0, head.length)).toBe(head);
      expect(bytes.slice(head.length)).toBe(hex(wire(`'MQIsdp' 03 02 003c ${hex(Uint8Array.from([length >> 8, length]))}
        '${id}'`)));
    }
  });

  test("needs all of its bytes", () => {
    for (const length of [9, 112, 113, 20000]) {
      const connect = fields("x".repeat(length));
      const all = MQTT_3_1.encoder(text).connect(new Uint8Array(30000), 0, 30000, connect);
      for (let less = 1; less <= 4; less++) {
        expect(MQTT_3_1.encoder(text).connect(new Uint8Array(30000), 0, all - less, connect)).toBe(NO_ROOM);
      }
    }
  });

  test("needs a client identifier; one that is too long is the broker's to refuse (3.1 of MQTT 3.1)", () => {
    const mqtt = createMqtt(new MockHal(), MQTT_3_1);
    expect(() => mqtt.Client("")).toThrow(new TypeError(
      'clientid must be 1 to 23 characters long with MQTT 3.1, not ""',
    ));
    expect(() => mqtt.Client("x".repeat(24))).not.toThrow();
    const peer = new Peer(MQTT_3_1);
    peer.up("20 02 00 02");
    expect(peer.take()).toEqual(["connfail 2"]);
  });

  test("is not changed for others, nor are their other packets", () => {
    expect(connectBytes(MQTT_3_1_1, fields("a"))).toBe(hex(wire("10 0d 0004 'MQTT' 04 02 003c 0001 'a'")));
    const out = new Uint8Array(20);
    const encoder = MQTT_3_1.encoder(text);
    expect(encoder.short(out, 0, 20, 6, 7)).toBe(4);
    expect(hex(out.subarray(0, 4))).toBe("62020007");
    expect(encoder.publish(out, 0, 20, 2, 1, "t", "x")).toBe(8);
    expect(hex(out.subarray(0, 8))).toBe(hex(wire("32 06 0001 't' 0001 'x'")));
  });
});

describe("bridged", () => {
  test("sets the highest bit of the level, and no other", () => {
    expect(connectBytes(bridged(MQTT_3_1_1), fields("a"))).toBe(hex(wire("10 0d 0004 'MQTT' 84 02 003c 0001 'a'")));
    expect(connectBytes(bridged(MQTT_3_1), fields("a"))).toBe(hex(wire("10 0f 0006 'MQIsdp' 83 02 003c 0001 'a'")));
    const id = "x".repeat(200);
    expect(connectBytes(bridged(MQTT_3_1_1), fields(id, { will: WILL })))
      .toBe(connectBytes(MQTT_3_1_1, fields(id, { will: WILL })).replace("4d51545404", "4d51545484"));
    expect(bridged(MQTT_3_1_1).encoder(text).connect(new Uint8Array(9), 0, 9, fields("a"))).toBe(NO_ROOM);
    expect(connectBytes(MQTT_3_1_1, fields("a"))).toBe(hex(wire("10 0d 0004 'MQTT' 04 02 003c 0001 'a'")));
  });

  test("tells of the session as its version does [MQTT-3.2.2-2]", () => {
    const newer = new Peer(bridged(MQTT_3_1_1));
    newer.up("20 02 01 00");
    const older = new Peer(bridged(MQTT_3_1));
    older.up("20 02 01 00");
    expect([...newer.take(), ...older.take()]).toEqual(["connect true", "connect false"]);
  });
});

describe("what a broker of MQTT 3.1 sends", () => {
  test("flags that are not used are not looked at (2.1 of MQTT 3.1)", () => {
    for (const flags of [0, 1, 2, 5, 8, 10, 15]) {
      const peer = new Peer(MQTT_3_1);
      peer.up();
      const head = (type: number): string => (type * 16 + flags).toString(16);
      expect(peer.receive("34 06 0001 't' 0007 'x'")).toBe("50020007");
      // Also a PUBREL that is repeated, 0x6a.
      expect(peer.receive(`${head(6)} 02 0007`)).toBe("70020007");
      peer.client.publish("t", "x", 1);
      peer.client.publish("t", "y", 2);
      peer.client.subscribe("s", 1);
      peer.sent();
      expect(peer.receive(`${head(4)} 02 0001 ${head(5)} 02 0002`)).toBe("62020002");
      expect(peer.receive(`${head(7)} 02 0002 ${head(9)} 03 0003 01 ${head(13)} 00`)).toBe("");
      peer.client.unsubscribe("s");
      peer.receive(`${head(11)} 02 0004`);
      expect(peer.take()).toEqual(["connect false", "message t=x", "puback", "puback", "suback 1"]);
      expect(peer.client.connected).toBe(true);
    }
  });

  test("nor is DUP of a message at QoS 0", () => {
    const peer = new Peer(MQTT_3_1);
    peer.up();
    peer.receive("38 04 0001 't' 'x' 39 04 0001 't' 'y'");
    expect(peer.take()).toEqual(["connect false", "message t=x", "message t=y"]);
  });

  test("what is no packet ends the connection, as in 3.1.1", () => {
    for (const [bytes, reason] of [
      ["00 00", BAD_HEADER], ["f0 00", BAD_HEADER], ["c8 00", UNEXPECTED_PACKET], ["8a 02 0001", UNEXPECTED_PACKET],
    ] as const) {
      const peer = new Peer(MQTT_3_1);
      peer.up();
      peer.receive(bytes);
      expect(peer.take()).toEqual(["connect false", `offline ${reason}`]);
    }
  });

  test("the first byte of CONNACK says nothing (3.2 of MQTT 3.1)", () => {
    for (const first of ["00", "01", "02", "ff"]) {
      for (const cleansession of [0, 1] as const) {
        const peer = new Peer(MQTT_3_1, cleansession);
        peer.up(`20 02 ${first} 00`);
        const refused = new Peer(MQTT_3_1, cleansession);
        refused.up(`20 02 ${first} 05`);
        expect([...peer.take(), ...refused.take()]).toEqual(["connect false", "connfail 5"]);
      }
    }
  });

  test("a first packet that is no CONNACK fails the attempt", () => {
    const peer = new Peer(MQTT_3_1);
    peer.up("d0 00");
    expect(peer.take()).toEqual(["connfail -4"]);
  });

  test("is told to a tool without a session, too", () => {
    const recorder = new Recorder(new Uint8Array(64));
    const decoder = MQTT_3_1.decoder(recorder, new Uint8Array(64));
    const bytes = wire("20 02 01 00 6a 02 0001");
    recorder.lend(bytes, 0, bytes.length);
    expect(decoder.push(bytes, 0, bytes.length)).toBe(bytes.length);
    expect(recorder.packets).toEqual([
      { type: "CONNACK", sessionPresent: false, returnCode: 0 },
      { type: "PUBREL", packetId: 1 },
    ]);
  });
});

describe("a session with MQTT 3.1", () => {
  test("with cleansession 0 a QoS 2 message is not delivered again after a loss (appendix B of MQTT 3.1)", () => {
    const peer = new Peer(MQTT_3_1);
    peer.up();
    expect(peer.receive("34 06 0001 't' 0007 'x'")).toBe("50020007");
    peer.again();
    expect(peer.receive("3c 06 0001 't' 0007 'x'")).toBe("50020007");
    expect(peer.receive("6a 02 0007")).toBe("70020007");
    // Once it is completed, the id is free.
    expect(peer.receive("34 06 0001 't' 0007 'y'")).toBe("50020007");
    expect(peer.take()).toEqual(["connect false", "message t=x", "offline -10", "connect false", "message t=y"]);
  });

  test("with cleansession 0 what is not acknowledged is sent again, PUBREL too [MQTT-4.4.0-1]", () => {
    const peer = new Peer(MQTT_3_1);
    peer.up();
    peer.client.publish("t", "a", 1);
    peer.client.publish("t", "b", 2);
    peer.client.publish("t", "c", 2);
    peer.sent();
    expect(peer.receive("50 02 0002")).toBe("62020002");
    expect(peer.again()).toBe(hex(wire("3a 06 0001 't' 0001 'a' 62 02 0002 3c 06 0001 't' 0003 'c'")));
    peer.receive("40 02 0001 70 02 0002 50 02 0003 70 02 0003");
    expect(peer.take()).toEqual(["connect false", "offline -10", "connect false", "puback", "puback", "puback"]);
  });

  test("with cleansession 1 nothing is kept", () => {
    const peer = new Peer(MQTT_3_1, 1);
    peer.up();
    peer.client.publish("t", "a", 2);
    peer.receive("34 06 0001 't' 0007 'x'");
    expect(peer.again()).toBe("");
    peer.receive("34 06 0001 't' 0007 'y'");
    expect(peer.take())
      .toEqual(["connect false", "message t=x", "offline -10", "connect false", "message t=y"]);
  });

  test("ids of a session that the broker has lost give way in the end, so that the client does not starve", () => {
    const peer = new Peer(MQTT_3_1);
    peer.up();
    // The platform keeps 16.
    for (let id = 1; id <= 16; id++) peer.receive(`34 06 0001 't' ${id.toString(16).padStart(4, "0")} 'x'`);
    peer.again();
    for (let id = 17; id <= 32; id++) peer.receive(`34 06 0001 't' ${id.toString(16).padStart(4, "0")} 'y'`);
    expect(peer.client.connected).toBe(true);
    expect(peer.take().filter((event) => event === "message t=y")).toHaveLength(16);
  });
});
