/** Keep alive with MQTT 5: the client's time, or the broker's in its place. */
import { describe, expect, test } from "@jest/globals";
import type { DeviceOptions5 } from "../support/device5.js";
import { CAPACITIES, Device5, PINGRESP, ack, connack } from "../support/device5.js";
import type { Properties5 } from "../support/packets5.js";

/** Seconds of silence behind CONNACK before PINGREQ; undefined: none in a day. */
function pingAfter(options: DeviceOptions5, properties: Properties5): number | undefined {
  const device = new Device5(options).upWith(properties);
  for (let s = 1; s <= 86_400; s++) {
    device.hal.advance(1000);
    const sent = device.broker.take();
    if (sent.length === 0) continue;
    expect(sent).toEqual(["PINGREQ"]);
    return s;
  }
  return undefined;
}

describe("PINGREQ", () => {
  test("is sent within the keep alive time, unless something else was [MQTT5-3.1.2-20]", () => {
    expect(pingAfter({ keepalive: 10 }, {})).toBe(10);
    const device = new Device5({ keepalive: 10 }).up();
    for (let i = 0; i < 10; i++) {
      device.hal.advance(9000);
      device.client.publish("t", "x", 1);
      expect(device.sent()).toEqual([`PUBLISH t=x q1 #${i + 1}`]);
      device.send(ack("PUBACK", i + 1));
    }
    device.hal.advance(10_000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP);
    device.hal.advance(10_000);
    expect(device.sent()).toEqual(["PINGREQ"]);
  });

  test("is sent in the time that the broker has said [MQTT5-3.1.2-21] [MQTT5-3.2.2-21]", () => {
    expect(pingAfter({ keepalive: 60 }, { serverKeepAlive: 5 })).toBe(5);
    expect(pingAfter({ keepalive: 5 }, { serverKeepAlive: 100 })).toBe(94);
  });

  test("is never sent when the broker wants none [MQTT5-3.1.2-21] [MQTT5-3.2.2-21]", () => {
    expect(pingAfter({ keepalive: 60 }, { serverKeepAlive: 0 })).toBeUndefined();
  });

  test("is due in the client's time on the next connection, whatever this broker has said [MQTT5-3.1.2-21]", () => {
    for (const serverKeepAlive of [5, 0]) {
      const device = new Device5({ keepalive: 60 }).upWith({ serverKeepAlive });
      // Has CONNECT encoded anew.
      device.client.lwt("t", "x");
      device.lose();
      expect(device.connectLine()).toBe(`CONNECT "id" clean 60 will t=x q0 {${CAPACITIES}}`);
      device.send(connack());
      device.hal.advance(56_000);
      expect(device.sent()).toEqual([]);
      device.hal.advance(4000);
      expect(device.sent()).toEqual(["PINGREQ"]);
      device.send(PINGRESP);
      device.lose();
      expect(device.connectLine()).toBe(`CONNECT "id" clean 60 will t=x q0 {${CAPACITIES}}`);
    }
  });

  test("that is not answered ends the connection in the broker's time", () => {
    const device = new Device5({ keepalive: 60 }).upWith({ serverKeepAlive: 5 });
    device.hal.advance(5000);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.hal.advance(5000);
    expect(device.take()).toEqual(["offline -11"]);
  });
});
