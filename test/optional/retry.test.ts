/** Repetition within a connection: what leaves again, when, and that nothing else suffers from it. */
import { describe, expect, test } from "@jest/globals";
import type { Client, ClientOptions } from "../../src/client.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import type { RetryOptions } from "../../src/optional/retry.js";
import { withRetry } from "../../src/optional/retry.js";
import { withStreams } from "../../src/optional/streams.js";
import type { DeviceOptions } from "../support/device.js";
import { Device, PINGRESP, ack, message, suback } from "../support/device.js";
import { repeat, seeded } from "../support/session-harness.js";

const INTERVAL_MS = 5000;

function retrying(options: DeviceOptions = {}, retryIntervalMs = INTERVAL_MS): Device {
  const { extend } = options;
  return new Device({
    ...options,
    extend: (client) => withRetry(extend === undefined ? client : extend(client), { retryIntervalMs }),
  }).up();
}

describe("withRetry", () => {
  test("a PUBLISH without an answer is sent again with DUP after each interval, in order [MQTT-3.3.1-1]", () => {
    const device = retrying();
    device.client.publish("t", "a", 1);
    device.client.publish("t", "b", 2);
    device.client.publish("t", "c");
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1", "PUBLISH t=b q2 #2", "PUBLISH t=c"]);
    for (let round = 0; round < 3; round++) {
      device.hal.advance(INTERVAL_MS - 1);
      expect(device.sent()).toEqual([]);
      device.hal.advance(1);
      expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup", "PUBLISH t=b q2 #2 dup"]);
    }
    device.send(ack("PUBACK", 1), ack("PUBREC", 2), ack("PUBCOMP", 2));
    device.hal.advance(30000);
    expect(device.sent()).toEqual(["PUBREL #2"]);
    expect(device.take()).toEqual(["puback", "puback", "puback"]);
  });

  test("each has its own time", () => {
    const device = retrying();
    device.client.publish("t", "a", 1);
    device.hal.advance(2000);
    device.client.publish("t", "b", 1);
    device.sent();
    const times: string[] = [];
    for (let second = 3; second <= 17; second++) {
      device.hal.advance(1000);
      for (const line of device.sent()) times.push(`${second} ${line.slice(8, 11)}`);
    }
    expect(times).toEqual(["5 t=a", "7 t=b", "10 t=a", "12 t=b", "15 t=a", "17 t=b"]);
  });

  test("PUBREL is sent again while PUBCOMP is awaited, from PUBREC on [MQTT-4.3.3-1]", () => {
    const device = retrying();
    device.client.publish("t", "a", 2);
    device.hal.advance(3000);
    device.send(ack("PUBREC", 1));
    device.sent();
    device.hal.advance(4999);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["PUBREL #1"]);
    device.hal.advance(INTERVAL_MS);
    expect(device.sent()).toEqual(["PUBREL #1"]);
    device.send(ack("PUBCOMP", 1));
    device.hal.advance(20000);
    expect(device.sent()).toEqual([]);
    expect(device.take()).toEqual(["puback"]);
  });

  test("SUBSCRIBE and UNSUBSCRIBE are not repeated, nor what waits for an outcome before it", () => {
    const device = retrying();
    device.client.subscribe("s", 1);
    device.client.publish("t", "a", 1);
    device.client.unsubscribe("s");
    device.sent();
    // Its outcome waits for that of the subscribe.
    device.send(ack("PUBACK", 2));
    device.hal.advance(30000);
    expect(device.sent()).toEqual([]);
    device.send(suback(1, 1), ack("UNSUBACK", 3));
    expect(device.take()).toEqual(["suback 1", "puback", "unsuback"]);
  });

  test("an entry that is acknowledged between two looks is not sent, wherever the others have moved", () => {
    const device = retrying({ options: { txCapacity: 128, maxOperations: 4 } });
    const text = "x".repeat(30);
    for (let id = 1; id <= 3; id++) device.client.publish("t", text, 1);
    device.hal.advance(4000);
    device.sent();
    device.send(ack("PUBACK", 1), ack("PUBACK", 2));
    // The arena is full behind #3: what is there has to move together for these.
    expect(device.client.publish("t", "y".repeat(30), 1)).toBe(true);
    expect(device.client.publish("t", "z".repeat(30), 1)).toBe(true);
    device.sent();
    device.hal.advance(1000);
    expect(device.sent()).toEqual([`PUBLISH t=${text} q1 #3 dup`]);
    device.hal.advance(4000);
    expect(device.sent()).toEqual([4, 5].map((id) => `PUBLISH t=${"yz"[id - 4].repeat(30)} q1 #${id} dup`));
  });

  test("the window stays what it is", () => {
    const device = retrying({ options: { maxInflight: 2 } });
    for (let id = 1; id <= 4; id++) device.client.publish("t", `${id}`, 1);
    device.sent();
    device.hal.advance(INTERVAL_MS);
    expect(device.sent()).toEqual(["PUBLISH t=1 q1 #1 dup", "PUBLISH t=2 q1 #2 dup"]);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["PUBLISH t=3 q1 #3"]);
    device.send(ack("PUBACK", 2), ack("PUBACK", 3), ack("PUBACK", 4));
    expect(device.sent()).toEqual(["PUBLISH t=4 q1 #4"]);
  });

  test("waits for a packet that is half sent, and for the room to be sent whole", () => {
    const device = retrying({ hal: { room: 40 } });
    device.client.publish("t", "a".repeat(20), 1);
    device.sent();
    device.socket.stall();
    device.client.publish("t", "b".repeat(60), 1);
    expect(device.sent()).toEqual([]);
    device.hal.advance(INTERVAL_MS);
    expect(device.sent()).toEqual([]);
    // 40 bytes more of it, and what is left of it.
    device.socket.drain(40);
    device.hal.settle();
    device.socket.drain(10);
    device.hal.settle();
    expect(device.sent()).toEqual([`PUBLISH t=${"b".repeat(60)} q1 #2`]);
    // There are 13 bytes of room, 27 are needed.
    device.hal.advance(100);
    expect(device.sent()).toEqual([]);
    device.socket.unstall();
    device.hal.settle();
    expect(device.sent()).toEqual([`PUBLISH t=${"a".repeat(20)} q1 #1 dup`]);
  });

  test("what never fits the socket is not sent again, and holds up no other", () => {
    const device = retrying({ hal: { room: 40 } });
    device.client.publish("t", "a".repeat(60), 1);
    device.client.publish("t", "b", 1);
    device.sent();
    for (let round = 0; round < 3; round++) {
      device.hal.advance(INTERVAL_MS);
      expect(device.sent()).toEqual(["PUBLISH t=b q1 #2 dup"]);
    }
    device.send(ack("PUBACK", 2));
    device.hal.advance(2000);
    device.client.publish("t", "c", 1);
    device.sent();
    device.hal.advance(4999);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["PUBLISH t=c q1 #3 dup"]);
    expect(device.client.connected).toBe(true);
  });

  test("acknowledgements and PINGREQ go first", () => {
    const device = retrying({ keepalive: 5 }, 4600);
    device.client.publish("t", "a", 1);
    device.sent();
    device.socket.stall();
    while (device.socket.room > 0) device.client.publish("t", "y".repeat(Math.min(device.socket.room, 500)));
    device.sent();
    device.hal.advance(4700);
    device.send(message("t", "x", { qos: 1, id: 9 }));
    device.socket.unstall();
    expect(device.sent().slice(-3)).toEqual(["PINGREQ", "PUBACK #9", "PUBLISH t=a q1 #1 dup"]);
    device.take();
  });

  test("a message that is streamed is not sent again, its PUBREL is", () => {
    const device = retrying({ extend: (client) => withStreams(client, 16) });
    const streams = device.client as ReturnType<typeof withStreams>;
    const source = {
      byteLength: 30,
      read(offset: number, bytes: Uint8Array, start: number, end: number): number {
        bytes.fill(0x61, start, end);
        return end - start;
      },
    };
    expect(streams.publishFrom("t", source, 2)).toBe(true);
    device.client.publish("t", "a", 1);
    expect(device.sent()).toHaveLength(2);
    device.hal.advance(INTERVAL_MS);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #2 dup"]);
    device.send(ack("PUBREC", 1), ack("PUBACK", 2));
    device.sent();
    device.hal.advance(INTERVAL_MS);
    expect(device.sent()).toEqual(["PUBREL #1"]);
  });

  test("a broker that stays silent loses the session at ackTimeoutMs after the first sending, as before", () => {
    const device = retrying({ options: { ackTimeoutMs: 20000 } });
    device.client.publish("t", "a", 1);
    device.hal.advance(19999);
    expect(device.sent()).toHaveLength(4);
    expect(device.take()).toEqual([]);
    device.hal.advance(1);
    expect(device.take()).toEqual(["offline -12"]);
    device.hal.advance(60000);
    expect(device.hal.nextTimerMs).toBeUndefined();
  });

  test("what is sent again counts for the keep alive: no PINGREQ is due for as long [MQTT-3.1.2-23]", () => {
    const device = retrying({ keepalive: 10, options: { ackTimeoutMs: 100000 } }, 8000);
    device.client.publish("t", "a", 1);
    device.sent();
    device.send(message("t", "x"));
    device.hal.advance(8000);
    device.send(message("t", "x"));
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup"]);
    device.hal.advance(7999);
    expect(device.sent()).toEqual([]);
    device.take();
  });

  test("also while PINGRESP is awaited", () => {
    const device = retrying({ keepalive: 10, options: { ackTimeoutMs: 100000 } }, 9600);
    device.client.publish("t", "a", 1);
    device.sent();
    device.hal.advance(9375);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.hal.advance(9999 - 9375);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup"]);
    device.send(PINGRESP);
    // 9,375 ms after it.
    device.hal.advance(9600 + 9375 - 9999 - 1);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["PINGREQ"]);
  });

  test("nothing is repeated while reading is paused: the answer may be there", () => {
    const device = retrying();
    device.client.publish("t", "a", 1);
    device.sent();
    device.client.pause();
    device.hal.advance(20000);
    expect(device.sent()).toEqual([]);
    device.client.resume();
    device.hal.settle();
    device.hal.advance(INTERVAL_MS - 1);
    expect(device.sent()).toEqual([]);
    device.hal.advance(INTERVAL_MS);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup"]);
  });

  test("on the next connection the time begins anew, and nothing is repeated without one", () => {
    const device = retrying({ cleansession: 0 });
    device.client.publish("t", "a", 1);
    device.hal.advance(4000);
    device.socket.reset();
    device.hal.advance(10000);
    device.client.connect("broker");
    device.hal.settle();
    device.reach();
    device.send({ type: "CONNACK", sessionPresent: true, returnCode: 0 });
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup"]);
    device.hal.advance(4999);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup"]);
    device.take();
  });

  test("nothing is repeated once the session is being closed", () => {
    const device = retrying({ options: { drainTimeoutMs: 20000 } });
    device.client.publish("t", "a", 1);
    device.sent();
    device.client.close();
    device.hal.advance(15000);
    expect(device.sent()).toEqual([]);
    device.send(ack("PUBACK", 1));
    expect(device.sent()).toEqual(["DISCONNECT"]);
    device.take();
  });

  test("a place in the table that is used again has nothing of the one before it", () => {
    const device = retrying({ options: { maxOperations: 1 }, hal: { now: 0x7fffff00 } });
    device.client.publish("t", "a", 1);
    device.hal.advance(INTERVAL_MS);
    device.send(ack("PUBACK", 1));
    device.take();
    device.sent();
    device.hal.advance(1000);
    device.client.publish("t", "b", 1);
    device.sent();
    device.hal.advance(4999);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["PUBLISH t=b q1 #2 dup"]);
  });

  test("30 seconds by default; options are checked by name", () => {
    const device = new Device({ extend: (client) => withRetry(client) }).up();
    device.client.publish("t", "a", 1);
    device.sent();
    device.hal.advance(29999);
    expect(device.sent()).toEqual([]);
    device.hal.advance(1);
    expect(device.sent()).toEqual(["PUBLISH t=a q1 #1 dup"]);
    const { client } = new Device();
    for (const value of [0, -1, 1.5, NaN, 2 ** 30 + 1]) {
      expect(() => withRetry(client, { retryIntervalMs: value })).toThrow("retryIntervalMs must be an integer from 1");
    }
    expect(() => withRetry(client, { retryIntervalMs: "1" as never })).toThrow("retryIntervalMs must be a number");
    expect(() => withRetry(client, { retryIntervall: 1 } as RetryOptions)).toThrow('unknown option "retryIntervall"');
    expect(() => withRetry(client, 7 as never)).toThrow("options must be an object, not 7");
  });

  test("whatever the broker leaves unanswered and the network takes: packets are whole, nothing is lost or sent " +
    "without need, and outcomes come in order", () => {
    repeat(150, (seed) => {
      const random = seeded(seed);
      const options: ClientOptions = { ackTimeoutMs: 1 << 29, txCapacity: 300, maxOperations: 8, maxInflight: 4 };
      const added: Client[] = [];
      const device = retrying({
        options,
        hal: { room: 60 + random.below(60) },
        extend(client) {
          added.push(withOutcomes(withQueuePolicy(client, { dropPolicy: "refuse" })));
          return added[0];
        },
      }, 1000);
      const outcomes = added[0] as ReturnType<typeof withOutcomes>;
      const ended: number[] = [];
      let next = 0;
      // When the packet of each id was sent last, and what it still waits for.
      const waits = new Map<number, { type: string; atMs: number }>();
      let timeMs = 0;
      for (let step = 0; step < 400 || ended.length < next; step++) {
        const kind = random.below(8);
        if (kind < 2 && step < 400) {
          const index = next;
          const qos = random.pick([1, 2] as const);
          if (device.client.publish("t", `${index} ${"x".repeat(random.below(40))}`, qos)) {
            outcomes.outcome((_, outcome) => {
              expect(outcome).toBe("delivered");
              ended.push(index);
            });
            next++;
          }
        } else if (kind === 2) {
          device.socket.stall();
        } else if (kind === 3) {
          device.socket.unstall();
        } else if (kind === 4) {
          const ms = random.below(700);
          timeMs += ms;
          device.hal.advance(ms);
        }
        for (const line of device.sent()) {
          const id = Number(/#(\d+)/.exec(line)?.[1] ?? 0);
          const type = line.startsWith("PUBREL") ? "PUBREL" : "PUBLISH";
          if (id === 0) {
            if (line === "PINGREQ") device.send(PINGRESP);
            continue;
          }
          const before = waits.get(id);
          const isDup = line.endsWith(" dup");
          if (isDup || (type === "PUBREL" && before?.type === "PUBREL")) {
            expect(before?.type).toBe(type);
            // What was sent may have left later than this has seen. For PUBCOMP the time begins with PUBREC.
            if (isDup) expect(timeMs - before!.atMs).toBeGreaterThanOrEqual(1000 - 700);
          }
          waits.set(id, { type, atMs: timeMs });
          // Some are answered; the others come again.
          if (random.below(3) > 0) continue;
          if (type === "PUBREL") device.send(ack("PUBCOMP", id));
          else if (line.includes(" q1 ")) device.send(ack("PUBACK", id));
          else device.send(ack("PUBREC", id));
          if (type === "PUBREL" || line.includes(" q1 ")) waits.delete(id);
        }
        if (step > 5000) throw new Error(`${ended.length} of ${next} have ended`);
        if (step > 1000) device.socket.unstall();
      }
      expect(ended).toEqual(Array.from({ length: next }, (_, i) => i));
      expect(device.client.connected).toBe(true);
      device.take();
      device.check();
    });
  });
});
