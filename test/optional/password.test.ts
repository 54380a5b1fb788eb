/** A password for each attempt: when it is asked for, where it goes, and what an error in it comes to. */
import { describe, expect, test } from "@jest/globals";
import { MockHal } from "../../hal/mock.js";
import { createMqtt } from "../../src/client.js";
import type { PasswordCallback } from "../../src/optional/password.js";
import { withPassword } from "../../src/optional/password.js";
import { MQTT_3_1, bridged } from "../../src/optional/protocols.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { hex, wire } from "../support/bytes.js";
import type { ClientArguments } from "../support/device.js";
import { Device, connack } from "../support/device.js";

const USER: ClientArguments = ["id", 60, "me", null, 0];

/** A device with a username, whose passwords are those of `callback`. */
function device(callback: PasswordCallback, args = USER): Device {
  return new Device({ args, extend: (client) => withPassword(client, callback), brokerCapacity: 70000 });
}

/** The CONNECT that an attempt sends. */
function connect(made: Device): string[] {
  made.client.connect("broker");
  made.hal.settle();
  made.socket.connect();
  return made.sent();
}

describe("withPassword", () => {
  test("asks once for each attempt, right before the socket is opened", () => {
    const asked: number[] = [];
    const made = device(() => {
      asked.push(made.hal.sockets.length);
      return `secret ${asked.length}`;
    });
    expect(asked).toEqual([]);
    expect(connect(made)).toEqual(['CONNECT "id" persistent 60 user me password secret 1']);
    made.send(connack(4));
    expect(connect(made)).toEqual(['CONNECT "id" persistent 60 user me password secret 2']);
    made.send(connack());
    made.hal.advance(1000);
    made.socket.reset();
    made.hal.advance(1000);
    expect(asked).toEqual([0, 1]);
    expect(made.take()).toEqual(["connfail 4", "connect", "offline -10"]);
  });

  test("of any length, longer or shorter than the one before, text or bytes [MQTT-3.1.3-1]", () => {
    let secret: string | Uint8Array | ArrayBuffer | number = "";
    const made = device(() => secret);
    for (const length of [1, 200, 3, 90, 96, 97, 98, 99, 100, 105, 110, 111, 112, 113, 16350, 16360, 16365, 65535, 2]) {
      secret = "x".repeat(length);
      expect(connect(made)).toEqual([`CONNECT "id" persistent 60 user me password ${secret}`]);
      secret = new Uint8Array(length).fill(0xff);
      expect(connect(made)).toEqual([`CONNECT "id" persistent 60 user me password ${"ÿ".repeat(length)}`]);
    }
    secret = 42;
    expect(connect(made)).toEqual(['CONNECT "id" persistent 60 user me password 42']);
    secret = Uint8Array.from([0x61, 0]).buffer;
    expect(connect(made)).toEqual(['CONNECT "id" persistent 60 user me password a\0']);
    // What takes fewer bytes than it might.
    secret = "ä".repeat(50);
    expect(connect(made)).toEqual([`CONNECT "id" persistent 60 user me password ${"Ã¤".repeat(50)}`]);
    made.client.abort();
  });

  test('"" or no bytes: none is sent, and the one of the constructor neither', () => {
    for (const none of ["", new Uint8Array(0)]) {
      let secret: string | Uint8Array = none;
      const made = device(() => secret, ["id", 60, "me", "first", 1]);
      expect(connect(made)).toEqual(['CONNECT "id" clean 60 user me']);
      secret = "again";
      expect(connect(made)).toEqual(['CONNECT "id" clean 60 user me password again']);
      made.client.abort();
    }
  });

  test("the will is what lwt has set, before or after, and between attempts", () => {
    const { hal } = new Device();
    const client = createMqtt(hal, MQTT_3_1_1).Client("id", 60, "me", "first");
    client.lwt("gone", "1", 1, 1);
    let count = 0;
    withPassword(client, () => `p${++count}`);
    const attempt = (): string => {
      client.connect("broker");
      hal.settle();
      hal.socket.connect();
      return hex(hal.socket.takeSent());
    };
    expect(attempt()).toBe(hex(wire(
      "10 1f 0004 'MQTT' 04 ee 003c 0002 'id' 0004 'gone' 0001 '1' 0002 'me' 0002 'p1'",
    )));
    expect(attempt()).toBe(hex(wire(
      "10 1f 0004 'MQTT' 04 ee 003c 0002 'id' 0004 'gone' 0001 '1' 0002 'me' 0002 'p2'",
    )));
    client.lwt("/w", "bye", 2);
    expect(attempt()).toBe(hex(wire(
      "10 1f 0004 'MQTT' 04 d6 003c 0002 'id' 0002 '/w' 0003 'bye' 0002 'me' 0002 'p3'",
    )));
  });

  test("in MQTT 3.1 and for bridges, too", () => {
    for (const [codec, head] of [
      [MQTT_3_1, "10 18 0006 'MQIsdp' 03"], [bridged(MQTT_3_1_1), "10 16 0004 'MQTT' 84"],
    ] as const) {
      const hal = new MockHal();
      const client = withPassword(createMqtt(hal, codec).Client("id", 60, "me"), () => "pw");
      client.connect("broker");
      hal.settle();
      hal.socket.connect();
      hal.settle();
      expect(hex(hal.socket.takeSent())).toBe(hex(wire(`${head} c2 003c 0002 'id' 0002 'me' 0002 'pw'`)));
    }
  });

  test("what it throws comes out of connect, which has changed nothing then", () => {
    let error: Error | undefined;
    const made = device(() => {
      if (error) throw error;
      return "fine";
    });
    error = new Error("no token");
    expect(() => made.client.connect("broker", made.recorder("ok"), made.recorder("fail"))).toThrow(error);
    expect(made.hal.sockets).toHaveLength(0);
    expect(made.hal.nextTimerMs).toBeUndefined();
    expect(made.take()).toEqual([]);
    error = undefined;
    expect(connect(made)).toEqual(['CONNECT "id" persistent 60 user me password fine']);
    // An attempt that is under way goes on.
    error = new Error("no token");
    expect(() => made.client.connect("other")).toThrow(error);
    expect(made.hal.sockets).toHaveLength(1);
    made.send(connack());
    expect(made.take()).toEqual(["connect"]);
  });

  test("in a later attempt it is the detail of connfail -5, and autoreconnect goes on", () => {
    let isBroken = false;
    const made = device(() => {
      if (isBroken) throw new Error("no token");
      return "fine";
    });
    const details: unknown[] = [];
    made.client.connect("broker", 1883, 0, 1, made.recorder("connect"), (client, reason, detail) => {
      made.events.push(`connfail ${reason}`);
      details.push(detail);
      isBroken = false;
    });
    made.accept();
    isBroken = true;
    made.socket.reset();
    made.hal.advance(1000);
    expect(made.take()).toEqual(["offline -10", "connfail -5"]);
    expect(details).toEqual([new Error("no token")]);
    made.hal.advance(2000);
    made.socket.connect();
    expect(made.sent()).toEqual(['CONNECT "id" persistent 60 user me password fine']);
    made.send(connack());
    expect(made.take()).toEqual(["connect"]);
  });

  test("the next attempt after close() asks when its turn comes", () => {
    let count = 0;
    const made = device(() => `p${++count}`);
    connect(made);
    made.send(connack());
    made.client.close();
    expect(made.client.connect("broker")).toBe(true);
    expect(count).toBe(1);
    made.hal.settle();
    expect(count).toBe(2);
    made.socket.connect();
    expect(made.sent()).toEqual(['CONNECT "id" persistent 60 user me password p2']);
    made.take();
  });

  test("what is no password is refused by name", () => {
    for (const [secret, text] of [
      [undefined, "password must be a string, a number, a Uint8Array or an ArrayBuffer, not undefined"],
      [Promise.resolve("x"), "password must be a string, a number, a Uint8Array or an ArrayBuffer, not an object"],
      ["\ud800", "password must not have a lone surrogate"],
      ["x".repeat(65536), "password must be at most 65535 bytes long, not 65536"],
    ] as const) {
      expect(() => device(() => secret as never).client.connect("broker")).toThrow(text);
    }
    const { client } = new Device();
    expect(() => withPassword(client, () => "x")).toThrow(new TypeError(
      "password must not be given without a username",
    ));
    expect(() => withPassword(new Device({ args: USER }).client, "x" as never)).toThrow(new TypeError(
      'callback must be a function, not "x"',
    ));
  });
});
