/** `withTimes`: the limit up to CONNACK, and no keep alive. */
import { describe, expect, test } from "@jest/globals";
import type { Times } from "../../src/optional/times.js";
import { withTimes } from "../../src/optional/times.js";
import { Device, ack, connack } from "../support/device.js";
import type { DeviceOptions } from "../support/device.js";

function timed(times: Times, options: DeviceOptions = {}): Device {
  return new Device({ ...options, extend: (client) => withTimes(client, times) });
}

describe("connack", () => {
  test("the time for everything up to CONNACK is connectTimeoutMs, from the call of connect", () => {
    for (const upMs of [0, 19999]) {
      const device = timed({ connack: 1 }, { options: { connectTimeoutMs: 20000 } });
      device.client.connect("broker");
      device.hal.advance(upMs);
      device.reach();
      device.hal.advance(19999 - upMs);
      expect(device.take()).toEqual([]);
      device.hal.advance(1);
      expect(device.take()).toEqual(["connfail -2"]);
    }
  });

  test("CONNECT that does not leave has the same time", () => {
    const device = timed({ connack: 1 }, { options: { connectTimeoutMs: 20000 } });
    device.client.connect("broker");
    device.hal.advance(6000);
    device.socket.stall();
    device.socket.connect(1);
    device.hal.advance(13999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["connfail -1"]);
  });

  test("may be shorter than the 5 s of NodeMCU", () => {
    const device = timed({ connack: 1 }, { options: { connectTimeoutMs: 1000 } });
    device.client.connect("broker");
    device.reach();
    device.hal.advance(999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["connfail -2"]);
  });

  test("each attempt has its own time, and what comes behind CONNACK keeps its own", () => {
    const device = timed({ connack: 1 }, { options: { connectTimeoutMs: 20000 } });
    device.client.connect("broker");
    device.hal.advance(20000);
    expect(device.take()).toEqual(["connfail -5"]);
    device.client.connect("broker");
    device.hal.advance(15000);
    device.reach();
    device.hal.advance(4999);
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
    device.socket.stall();
    device.client.close();
    device.hal.advance(10000);
    expect(device.take()).toEqual(["offline 0"]);
  });

  test("0, and not given: 5 s for CONNACK (contract 4: connack-timeout)", () => {
    for (const times of [{ connack: 0 }, {}] as Times[]) {
      const device = timed(times, { options: { connectTimeoutMs: 20000 } });
      device.client.connect("broker");
      device.reach();
      device.hal.advance(5000);
      expect(device.take()).toEqual(["connfail -2"]);
    }
  });
});

describe("keepAlive", () => {
  test("0: CONNECT says so, and no PINGREQ is sent for days [MQTT-3.1.2-24]", () => {
    const device = timed({ keepAlive: 0 });
    device.client.connect("broker");
    device.socket.connect();
    expect(device.sent()).toEqual(['CONNECT "id" clean 0']);
    device.send(connack());
    expect(device.take()).toEqual(["connect"]);
    device.hal.advance(7 * 86400000);
    expect(device.sent()).toEqual([]);
    expect(device.client.connected).toBe(true);
  });

  test("0: a message that is not acknowledged ends the session all the same", () => {
    const device = timed({ keepAlive: 0 }, { options: { ackTimeoutMs: 30000 } }).up();
    device.client.publish("t", "x", 1);
    device.hal.advance(29999);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["offline -12"]);
  });

  test("0: also with a will that is set later", () => {
    const device = timed({ keepAlive: 0 });
    device.client.lwt("w", "gone");
    device.client.connect("broker");
    device.socket.connect();
    expect(device.sent()).toEqual(['CONNECT "id" clean 0 will w=gone q0']);
  });

  test("1, and not given: as the client says", () => {
    const device = timed({ keepAlive: 1 }).up();
    device.hal.advance(60000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send({ type: "PINGRESP" });
    device.client.publish("t", "x", 1);
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback"]);
  });
});

test("a wrong option is refused by name", () => {
  const make = (times: unknown): (() => unknown) => () => timed(times as Times);
  expect(make(null)).toThrow(new TypeError("times must be an object, not null"));
  expect(make({ connack: 2 })).toThrow(new TypeError("connack must be 0, 1 or a boolean, not 2"));
  expect(make({ keepAlive: "no" })).toThrow(new TypeError('keepAlive must be 0, 1 or a boolean, not "no"'));
  expect(make({ keepalive: 0 })).toThrow(new TypeError('unknown option "keepalive"'));
});
