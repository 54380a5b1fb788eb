/** Enhanced authentication: AUTH both ways, before CONNACK and in a running session. */
import { describe, expect, test } from "@jest/globals";
import type { Authenticating, Authenticator } from "../../src/v5/auth.js";
import { withAuth } from "../../src/v5/auth.js";
import type { MqttClient5 } from "../../src/v5/face.js";
import { binary, hex, wire } from "../support/bytes.js";
import type { DeviceOptions5 } from "../support/device5.js";
import { Device5, auth, connack, disconnect, message } from "../support/device5.js";
import type { Properties5 } from "../support/packets5.js";

/** A method "M" that says what it hears, turned round; it trusts nobody who says "bad". */
class Turning implements Authenticator {
  readonly method = "M";
  readonly heard: string[] = [];

  init(): Uint8Array {
    this.heard.push("init");
    return binary("hello");
  }

  handleAuth(reasonCode: number, data: Uint8Array | undefined): Uint8Array | undefined {
    const text = data === undefined ? "-" : Buffer.from(data).toString("latin1");
    this.heard.push(`${reasonCode} ${text}`);
    if (text === "bad") throw new Error("not to be trusted");
    return data && binary([...text].reverse().join(""));
  }
}

/** A device that authenticates, whose CONNECT is out. */
function authenticating(options: DeviceOptions5 = {}): { device: Device5; method: Turning; client: Authenticating } {
  const method = new Turning();
  const device = new Device5({ ...options, extend: (client) => withAuth(client, method) });
  device.client.connect("broker");
  device.hal.settle();
  device.socket.connect();
  return { device, method, client: device.client as unknown as Authenticating };
}

const said = (data: string): Properties5 => ({ authenticationMethod: "M", authenticationData: data });
/** As a line has it. */
const line = (data: string): string => `{authenticationMethod=M authenticationData=${hex(binary(data))}}`;

describe("Before CONNACK", () => {
  test("CONNECT names the method, each AUTH is answered with AUTH 0x18, and nothing else leaves " +
    "[MQTT5-3.1.2-30] [MQTT5-3.15.1-1] [MQTT5-3.15.2-1] [MQTT5-4.12.0-3] [MQTT5-4.12.0-5]", () => {
    const { device, method } = authenticating({ cleansession: 0, options: { queueOffline: true } });
    device.client.publish("t", "queued", 1);
    expect(device.sent()[0]).toContain(line("hello").slice(1));
    device.socket.onWrite = undefined;
    device.send(auth(0x18, said("abc")));
    device.hal.settle();
    expect(device.socket.takeSent()).toEqual(wire("f0 0c 18 0a 15 0001 'M' 16 0003 'cba'"));
    device.send(auth(0x18, said("de")), connack(said("end")));
    device.hal.settle();
    const sent = device.socket.takeSent();
    expect(hex(sent)).toBe(hex(wire("f0 0b 18 09 15 0001 'M' 16 0002 'ed'")) +
      hex(wire("32 0c 0001 't' 0001 00 'queued'")));
    expect(device.take()).toEqual([`connect ${line("end")}`]);
    expect(method.heard).toEqual(["init", "24 abc", "24 de", "0 end"]);
  });

  test("close() is answered with DISCONNECT [MQTT5-3.1.2-30]", () => {
    const { device } = authenticating();
    device.send(auth(0x18, said("abc")));
    device.hal.settle();
    device.client.close();
    expect(device.sent().slice(1)).toEqual([`AUTH 0x18 ${line("cba")}`, "DISCONNECT"]);
    expect(device.socket.closed).toBe(true);
  });

  test.each([
    ["AUTH 0x00 [MQTT5-3.15.2-1] [MQTT5-4.12.0-2]", auth(0, said("x"))],
    ["AUTH without a method [MQTT5-4.12.0-5]", auth(0x18, { authenticationData: "x" })],
    ["AUTH with another method [MQTT5-4.12.0-5]", auth(0x18, { authenticationMethod: "N" })],
    ["CONNACK with another method [MQTT5-4.12.0-5]", connack({ authenticationMethod: "N" })],
    ["AUTH 0x19 [MQTT5-3.15.2-1] [MQTT5-4.12.0-2]", auth(0x19, said("x"))],
    ["AUTH 0x80 [MQTT5-3.15.2-1]", auth(0x80, said("x"))],
    ["PUBLISH", message("t", "x")],
  ])("the server may not send %s", (_title, packet) => {
    const { device } = authenticating();
    device.sent();
    device.send(packet);
    expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
    expect(device.take()).toEqual(["connfail -4"]);
    expect(device.socket.closed).toBe(true);
  });

  test("a server that is not to be trusted is left [MQTT5-4.12.1-2]", () => {
    for (const packet of [auth(0x18, said("bad")), connack(said("bad"))]) {
      const { device } = authenticating();
      const seen: unknown[] = [];
      device.client.on("connfail", (_client, ...rest) => seen.push(rest));
      device.sent();
      device.send(packet);
      expect(device.sent()).toEqual(["DISCONNECT 0x83"]);
      device.hal.settle();
      expect(seen).toEqual([[-4, new Error("not to be trusted")]]);
    }
  });

  describe("what a method says that AUTH and CONNECT cannot carry", () => {
    const WRONG: [what: string, data: unknown, error: RegExp][] = [
      ["too long", new Uint8Array(65536), /^authenticationData must be a Uint8Array of 65535 bytes at most, not an obj/],
      ["a number", 5, /^authenticationData must be a Uint8Array of 65535 bytes at most, not 5$/],
      ["a string", "\ud800", /^authenticationData must be a Uint8Array of 65535 bytes at most, not "/],
    ];

    test.each(WRONG)("data: %s: of init() it throws from connect(), and nothing leaves", (_what, data, error) => {
      const extend: DeviceOptions5["extend"] = (client) => {
        return withAuth(client, { method: "M", init: () => data as never, handleAuth: () => undefined });
      };
      const device = new Device5({ extend });
      expect(() => device.client.connect("broker")).toThrow(error);
      expect(device.hal.sockets).toEqual([]);
    });

    test.each(WRONG)("data: %s: of handleAuth() it ends the attempt, and says why", (_what, data, error) => {
      const extend: DeviceOptions5["extend"] = (client) => {
        return withAuth(client, { method: "M", init: () => undefined, handleAuth: () => data as never });
      };
      const device = new Device5({ extend });
      const seen: unknown[] = [];
      device.client.connect("broker");
      device.client.on("connfail", (_client, _reason, detail) => seen.push((detail as Error).message));
      device.hal.settle();
      device.socket.connect();
      device.send(auth(0x18, said("abc")));
      expect(device.sent().slice(1)).toEqual(["DISCONNECT 0x83"]);
      device.hal.settle();
      expect(seen).toEqual([expect.stringMatching(error)]);
    });

    test.each([["\ud800"], ["x".repeat(65536)]])("its name, %#: it throws from withAuth", (name) => {
      const { client } = new Device5();
      const method = { method: name, init: () => undefined, handleAuth: () => undefined };
      expect(() => withAuth(client, method)).toThrow(/^method must /);
    });
  });

  test("a refusal is told, and not shown to the method [MQTT5-4.12.0-1] [MQTT5-4.12.0-4]", () => {
    for (const code of [0x87, 0x8c]) {
      const { device, method } = authenticating();
      device.send(auth(0x18, said("abc")), connack(said("no"), { code }));
      expect(device.take()[0]).toContain(`connfail 0x${code.toString(16)}`);
      expect(method.heard).toEqual(["init", "24 abc"]);
    }
  });

  test("wrong flags of AUTH end the attempt [MQTT5-3.15.1-1]", () => {
    const { device } = authenticating();
    device.sent();
    device.sendBytes(wire("f1 06 18 04 15 0001 'M'"));
    expect(device.take()).toEqual(["connfail -4"]);
    expect(device.socket.closed).toBe(true);
  });
});

describe("In a session", () => {
  /** A session that was authenticated; what was sent and heard on the way is taken. */
  function up(): ReturnType<typeof authenticating> {
    const all = authenticating();
    all.device.send(connack(said("end")));
    all.device.take();
    all.device.sent();
    all.method.heard.length = 0;
    return all;
  }

  test("authentication is done again with AUTH 0x19 and the method of CONNECT; messages go on " +
    "[MQTT5-3.15.2-1] [MQTT5-4.12.0-5] [MQTT5-4.12.1-1]", () => {
    const { device, method, client } = up();
    const done: boolean[] = [];
    expect(client.reauthenticate((_client, isDone) => done.push(isDone))).toBe(true);
    expect(client.reauthenticate()).toBe(false);
    device.client.publish("t", "x", 1);
    const sent = device.sent();
    expect(sent).toEqual([`AUTH 0x19 ${line("hello")}`, "PUBLISH t=x q1 #1"]);
    device.send(auth(0x18, said("abc")), message("in", "y", { qos: 1, id: 2 }));
    expect(device.sent().sort()).toEqual([`AUTH 0x18 ${line("cba")}`, "PUBACK #2"]);
    expect(done).toEqual([]);
    device.send(auth(0, said("end")));
    device.hal.settle();
    expect(done).toEqual([true]);
    expect(method.heard).toEqual(["init", "24 abc", "0 end"]);
    expect(client.reauthenticate()).toBe(true);
  });

  test("no AUTH is longer than the broker takes [MQTT5-3.2.2-15]", () => {
    const answering = { method: "M", init: () => new Uint8Array(100), handleAuth: () => new Uint8Array(100) };
    const device = new Device5({ extend: (client) => withAuth(client, answering) });
    device.client.connect("broker");
    device.acceptWith({ maximumPacketSize: 40, authenticationMethod: "M" });
    const client = device.client as MqttClient5 & Authenticating;
    expect(() => client.reauthenticate()).toThrow("AUTH must be at most 40 bytes long, not 111");
    expect(device.sent()).toEqual([]);
    answering.init = () => new Uint8Array(1);
    expect(client.reauthenticate()).toBe(true);
    device.sent();
    device.send(auth(0x18, { authenticationMethod: "M" }));
    expect(device.sent()).toEqual(["DISCONNECT 0x83"]);
    expect(device.take()).toEqual(["offline -131"]);
  });

  test("it is not done before CONNACK [MQTT5-4.12.1-1]", () => {
    const { device, client } = authenticating();
    device.sent();
    expect(client.reauthenticate()).toBe(false);
    expect(device.sent()).toEqual([]);
  });

  test("a server that is not to be trusted is left; what it refuses ends the session [MQTT5-4.12.1-2]", () => {
    for (const packet of [auth(0x18, said("bad")), auth(0, said("bad")), disconnect(0x87)]) {
      const { device, client } = up();
      const done: boolean[] = [];
      client.reauthenticate((_client, isDone) => done.push(isDone));
      device.sent();
      device.send(packet);
      expect(device.sent()).toEqual(packet.type === "AUTH" ? ["DISCONNECT 0x83"] : []);
      expect(device.socket.closed).toBe(true);
      device.hal.settle();
      expect(done).toEqual([false]);
      expect(device.take().at(-1)).toBe(packet.type === "AUTH" ? "offline -131" : "offline -10");
    }
  });

  test("AUTH says neither Reason String nor User Property [MQTT5-3.15.2-2] [MQTT5-3.15.2-3]", () => {
    const { device, client } = up();
    client.reauthenticate();
    const [sent] = device.sent();
    expect(sent).toBe(`AUTH 0x19 ${line("hello")}`);
  });

  test("AUTH that nobody has asked for is a violation", () => {
    for (const code of [0, 0x18]) {
      const { device } = up();
      device.send(auth(code, said("x")));
      expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
      expect(device.take()).toEqual(["offline -130"]);
    }
  });
});

describe("Without a method", () => {
  test("the client sends no AUTH, and takes none [MQTT5-4.12.0-6] [MQTT5-4.12.0-7]", () => {
    const device = new Device5().up();
    expect("reauthenticate" in device.client).toBe(false);
    device.send(auth(0x18, said("x")));
    expect(device.sent()).toEqual(["DISCONNECT 0x82"]);
    const early = new Device5();
    early.connectLine();
    early.send(auth(0x18, said("x")));
    expect(early.sent()).toEqual(["DISCONNECT 0x82"]);
    expect(early.take()).toEqual(["connfail -4"]);
  });
});
