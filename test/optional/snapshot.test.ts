/** What a session is as bytes: what comes back from them, what is refused, and what a reset costs. */
import { describe, expect, test } from "@jest/globals";
import { MockHal } from "../../hal/mock.js";
import type { MockHalOptions, MockSocket } from "../../hal/mock.js";
import type { Client, ClientOptions, MessageInfo, QoS } from "../../src/client.js";
import { createMqtt } from "../../src/client.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import type { Snapshotting } from "../../src/optional/snapshot.js";
import {
  SNAPSHOT_CAPACITY,
  SNAPSHOT_CHECKSUM,
  SNAPSHOT_IDENTITY,
  SNAPSHOT_SHORT,
  SNAPSHOT_VERSION,
  withSnapshot,
} from "../../src/optional/snapshot.js";
import { ENTRY, LENGTH, OFFSET } from "../../src/outbox.js";
import { MQTT_3_1_1 } from "../../src/v311.js";
import { POISON, hex, join, wire } from "../support/bytes.js";
import type { DeviceOptions, EventName } from "../support/device.js";
import { Device, ack, connack, describePacket, message, suback } from "../support/device.js";
import { uint16 } from "../support/packets.js";
import { bytesOf, repeat, seeded } from "../support/session-harness.js";
import { BrokerConnection, ModelBroker } from "../support/session-link.js";
import { SLOWNESS } from "../support/slowness.js";

const CODES = [SNAPSHOT_SHORT, SNAPSHOT_VERSION, SNAPSHOT_CHECKSUM, SNAPSHOT_IDENTITY, SNAPSHOT_CAPACITY];

/** The bytes of a snapshot, and nothing behind them. */
function bytesFrom(client: Snapshotting): Uint8Array {
  const length = client.snapshotLength();
  const bytes = new Uint8Array(length + 5).fill(POISON);
  expect(client.snapshot(bytes)).toBe(length);
  expect(Array.from(bytes.subarray(length))).toEqual([POISON, POISON, POISON, POISON, POISON]);
  return bytes.slice(0, length);
}

/** A device whose session outlives resets. */
class Sleeper extends Device {
  readonly asleep: Client & Snapshotting;

  constructor(options: DeviceOptions = {}) {
    super({ cleansession: 0, ...options });
    this.asleep = withSnapshot(this.client);
  }

  /** The device after a reset, with what is in `bytes`. */
  static woken(bytes: Uint8Array, options: DeviceOptions = {}): Sleeper {
    const sleeper = new Sleeper(options);
    expect(sleeper.asleep.restore(bytes)).toBeGreaterThanOrEqual(0);
    return sleeper;
  }

  save(): Uint8Array {
    return bytesFrom(this.asleep);
  }

  /** Connects, and returns what is sent behind CONNECT without an answer of the broker. */
  resume(isPresent = true): string[] {
    expect(this.client.connect("broker")).toBe(true);
    this.hal.settle();
    this.reach();
    this.send(connack(0, isPresent));
    return this.sent();
  }
}

/**
 * Everything that a session decides: what is sent on a new connection to a broker that answers, and in which order,
 * which ids messages get, and which messages at QoS 2 are delivered.
 */
function future(device: Device, isPresent = true): string[] {
  const { client, hal } = device;
  expect(client.connect("broker")).toBe(true);
  hal.settle();
  device.broker.answers = true;
  device.broker.isPresent = isPresent;
  device.socket.connect();
  const lines = device.sent();
  device.take();
  for (const qos of [1, 2] as const) expect(client.publish("probe", String(qos), qos)).toBe(true);
  lines.push(...device.sent(), ...device.take());
  for (const id of [1, 2, 3, 7, 256, 65535]) {
    device.send(message("in", String(id), { qos: 2, id }));
    lines.push(...device.sent(), ...device.take());
  }
  return lines;
}

/** CRC-32 by a table, over all of a snapshot but the place of the sum. */
function crc32(...parts: Uint8Array[]): number {
  let crc = 0xffffffff;
  for (const part of parts) {
    for (const byte of part) {
      let entry = (crc ^ byte) & 0xff;
      for (let bit = 0; bit < 8; bit++) entry = entry & 1 ? (entry >>> 1) ^ 0xedb88320 : entry >>> 1;
      crc = (crc >>> 8) ^ entry;
    }
  }
  return (crc ^ 0xffffffff) >>> 0;
}

/** `bytes` with the checksum that they should have. */
function summed(bytes: Uint8Array): Uint8Array {
  return join(bytes.subarray(0, 8), uint32(crc32(bytes.subarray(0, 8), bytes.subarray(12))), bytes.subarray(12));
}

interface Entry {
  state: number;
  packetId: number;
  packet: Uint8Array;
  liveMs?: number;
}

function uint32(value: number): Uint8Array {
  return join(uint16(value >>> 16), uint16(value & 0xffff));
}

/** A snapshot of the client "id", put together by hand. */
function forged(entries: Entry[], received: number[] = [], lastPacketId = 0): Uint8Array {
  const body = join(
    uint16(lastPacketId),
    wire("0002 'id'"),
    uint16(received.length),
    ...received.map(uint16),
    uint32(entries.length),
    ...entries.flatMap(({ state, packetId, packet, liveMs = 0 }) =>
      [Uint8Array.of(state), uint16(packetId), uint32(packet.length), uint32(liveMs), packet]),
  );
  return summed(join(wire("'MQS' 01"), uint32(12 + body.length), uint32(0), body));
}

const [PUBACK, PUBREC, PUBCOMP, SENT, EXPIRES] = [4, 5, 7, 16, 128];

/** A session with something in each of its parts. */
function busy(options: DeviceOptions = {}): Sleeper {
  const device = new Sleeper({ options: { maxInflight: 4 }, ...options });
  device.up();
  const { client } = device;
  client.publish("t", "a", 1);
  client.publish("t", "b", 2);
  client.publish("t", "c", 2);
  client.publish("t", "d", 1);
  client.publish("t", "e", 1);
  client.publish("t", "f", 2);
  device.sent();
  device.send(ack("PUBREC", 2), message("in", "x", { qos: 2, id: 7 }), message("in", "y", { qos: 2, id: 256 }));
  device.sent();
  device.take();
  return device;
}

/** The network takes nothing any more, once there is room for `left` bytes only. */
function fill(device: Device, left: number): void {
  const { client, socket } = device;
  socket.stall();
  while (socket.room > left) {
    const length = Math.min(socket.room - left, 1000);
    expect(client.publish("fill", "x".repeat(length - 9))).toBe(true);
    device.hal.settle();
  }
  expect(socket.room).toBe(left);
}

const STAGES: [title: string, prepare: (device: Sleeper) => void, resumed: string[]][] = [
  ["nothing is under way", () => undefined, []],
  [
    "a message at QoS 1 waits",
    ({ client }) => {
      client.publish("t", "a", 1);
      client.publish("t", "b", 1);
      client.publish("t", "c", 1);
    },
    ["PUBLISH t=a q1 #1 dup", "PUBLISH t=b q1 #2 dup", "PUBLISH t=c q1 #3"],
  ],
  [
    "a message at QoS 2 waits",
    ({ client }) => {
      client.publish("t", "a", 1);
      client.publish("t", "b", 2);
      client.publish("t", "c", 2, 1);
    },
    ["PUBLISH t=a q1 #1 dup", "PUBLISH t=b q2 #2 dup", "PUBLISH t=c q2 #3 retain"],
  ],
  [
    "of two at QoS 1 the first is acknowledged",
    (device) => {
      device.client.publish("t", "a", 1);
      device.client.publish("t", "b", 1);
      device.send(ack("PUBACK", 1));
    },
    ["PUBLISH t=b q1 #2 dup"],
  ],
  [
    "of two at QoS 1 the second is acknowledged, whose outcome waits for the first",
    (device) => {
      device.client.publish("t", "a", 1);
      device.client.publish("t", "b", 1);
      device.send(ack("PUBACK", 2));
    },
    ["PUBLISH t=a q1 #1 dup"],
  ],
  [
    "PUBREC came, and PUBREL is sent",
    (device) => {
      device.client.publish("t", "a", 2);
      device.send(ack("PUBREC", 1));
    },
    ["PUBREL #1"],
  ],
  [
    "PUBREC came, and PUBREL is not sent",
    (device) => {
      device.client.publish("t", "a", 2);
      device.sent();
      fill(device, 0);
      device.send(ack("PUBREC", 1));
    },
    ["PUBREL #1"],
  ],
  [
    "PUBCOMP came",
    (device) => {
      device.client.publish("t", "a", 2);
      device.client.publish("t", "b", 2);
      device.send(ack("PUBREC", 1), ack("PUBREC", 2), ack("PUBCOMP", 1));
    },
    ["PUBREL #2"],
  ],
  [
    "a packet is sent in half",
    (device) => {
      fill(device, 10);
      device.client.publish("t", "abcdefgh", 1);
      device.client.publish("t", "b", 2);
      expect(device.socket.room).toBe(0);
    },
    ["PUBLISH t=abcdefgh q1 #1", "PUBLISH t=b q2 #2"],
  ],
  [
    "subscribes and unsubscribes are among the messages",
    (device) => {
      device.client.subscribe("s", 1);
      device.client.publish("t", "a", 1);
      device.client.unsubscribe("s");
      device.client.publish("t", "b", 2);
    },
    ["PUBLISH t=a q1 #2 dup", "PUBLISH t=b q2 #4 dup"],
  ],
  [
    "messages have left holes between them",
    (device) => {
      for (const payload of ["a", "b", "c", "d", "e", "f"]) device.client.publish("t", payload, 2);
      device.send(ack("PUBREC", 1), ack("PUBREC", 2), ack("PUBCOMP", 2));
    },
    ["PUBREL #1", "PUBLISH t=c q2 #3", "PUBLISH t=d q2 #4", "PUBLISH t=e q2 #5", "PUBLISH t=f q2 #6"],
  ],
];

describe("snapshot and restore", () => {
  describe.each([[{ maxInflight: 2 }], [{ maxInflight: 1 }], [{ maxInflight: 16, maxOperations: 6 }]])(
    "with %j",
    (options: ClientOptions) => {
      test.each(STAGES)("bring back the session where %s, as a lost connection would have left it " +
        "[MQTT-4.1.0-1]", (_title, prepare) => {
        for (const isPresent of [true, false]) {
          const device = new Sleeper({ options });
          device.up();
          prepare(device);
          device.hal.settle();
          const woken = Sleeper.woken(device.save(), { options });
          // The other one has lost nothing by it, and goes on.
          device.socket.reset();
          device.take();
          expect(future(woken, isPresent)).toEqual(future(device, isPresent));
        }
      });
    },
  );

  test.each(STAGES)("what is sent first on the next connection, where %s [MQTT-4.4.0-1] [MQTT-3.3.1-1]", (
    _title,
    prepare,
    resumed,
  ) => {
    const device = new Sleeper({ options: { maxInflight: 2 } });
    device.up();
    prepare(device);
    device.hal.settle();
    const woken = Sleeper.woken(device.save());
    const lines = woken.resume();
    // Of what waited behind the window, nothing was sent.
    expect(lines.map((line) => line.replace(" dup", ""))).toEqual(resumed.map((line) => line.replace(" dup", "")));
    const dups = device.broker.packets.flatMap((packet) => (packet.type === "PUBLISH" ? [describePacket(packet)] : []));
    for (const line of lines) {
      expect(line.includes(" dup")).toBe(dups.includes(line.replace(" dup", "")) && line.startsWith("PUBLISH"));
    }
  });

  test("restore says how many messages there are to be sent", () => {
    expect(new Sleeper().asleep.restore(busy().save())).toBe(6);
    expect(new Sleeper().asleep.restore(new Sleeper().save())).toBe(0);
  });

  test("the callbacks of what a reset has interrupted come from the new client, once each", () => {
    const device = busy();
    const woken = Sleeper.woken(device.save());
    woken.hal.settle();
    expect(woken.take()).toEqual([]);
    woken.answer();
    woken.client.connect("broker");
    expect(woken.take()).toEqual(["connect", "puback", "puback", "puback", "puback", "puback", "puback"]);
  });

  test("packet ids go on behind the last one that was given [MQTT-2.3.1-2]", () => {
    const device = new Sleeper();
    device.up();
    for (let i = 0; i < 5; i++) {
      device.client.publish("t", "x", 1);
      device.sent();
      device.send(ack("PUBACK", i + 1));
    }
    const woken = Sleeper.woken(device.save());
    woken.up(true);
    woken.client.publish("t", "y", 1);
    expect(woken.sent()).toEqual(["PUBLISH t=y q1 #6"]);
  });

  test("packet ids pass over those in use, also where they begin anew behind 65535 [MQTT-2.3.1-2]", () => {
    const packet = (id: number): Uint8Array => join(wire("32 06 0001 't'"), uint16(id), wire("'x'"));
    const ids = [65535, 1, 2, 4];
    const entries = ids.map((packetId) => ({ state: PUBACK, packetId, packet: packet(packetId) }));
    const woken = Sleeper.woken(forged(entries, [], 65534));
    woken.up(true);
    for (let i = 0; i < 3; i++) woken.client.publish("t", "y", 1);
    expect(woken.sent()).toEqual(["PUBLISH t=y q1 #3", "PUBLISH t=y q1 #5", "PUBLISH t=y q1 #6"]);
    // And from there into another one.
    const again = Sleeper.woken(woken.save());
    expect(again.resume()).toEqual([
      "PUBLISH t=x q1 #65535 dup", "PUBLISH t=x q1 #1 dup", "PUBLISH t=x q1 #2 dup", "PUBLISH t=x q1 #4 dup",
      "PUBLISH t=y q1 #3 dup", "PUBLISH t=y q1 #5 dup", "PUBLISH t=y q1 #6 dup",
    ]);
    again.client.publish("t", "z", 1);
    expect(again.sent()).toEqual(["PUBLISH t=z q1 #7"]);
  });

  test("a message at QoS 2 that was received is not delivered again, and is completed [MQTT-4.3.3-2]", () => {
    const device = new Sleeper();
    device.up();
    device.send(message("in", "x", { qos: 2, id: 7 }), message("in", "y", { qos: 2, id: 8 }), ack("PUBREL", 8));
    expect(device.take()).toEqual(["message in=x", "message in=y"]);
    const woken = Sleeper.woken(device.save());
    expect(woken.resume()).toEqual([]);
    woken.take();
    woken.send(message("in", "x", { qos: 2, id: 7, dup: true }));
    expect(woken.sent()).toEqual(["PUBREC #7"]);
    expect(woken.take()).toEqual([]);
    // The id of the other one is free.
    woken.send(message("in", "z", { qos: 2, id: 8 }), ack("PUBREL", 7), message("in", "w", { qos: 2, id: 7 }));
    expect(woken.sent()).toEqual(["PUBREC #8", "PUBCOMP #7", "PUBREC #7"]);
    expect(woken.take()).toEqual(["message in=z", "message in=w"]);
  });

  test("a broker without the session begins its packet ids anew: nothing is taken for a repetition", () => {
    const woken = Sleeper.woken(busy().save());
    woken.resume(false);
    woken.take();
    woken.send(message("in", "new", { qos: 2, id: 7 }));
    expect(woken.take()).toEqual(["message in=new"]);
  });

  test("as many received messages as there is room for come back", () => {
    const device = new Sleeper({ options: { receiveMaximum: 3 } });
    device.up();
    for (const id of [65535, 1, 300]) device.send(message("in", "x", { qos: 2, id }));
    device.take();
    const woken = Sleeper.woken(device.save(), { options: { receiveMaximum: 3 } });
    woken.up(true);
    for (const id of [300, 1, 65535]) woken.send(message("in", "x", { qos: 2, id, dup: true }));
    expect(woken.sent()).toEqual(["PUBREC #300", "PUBREC #1", "PUBREC #65535"]);
    expect(woken.take()).toEqual([]);
    woken.send(message("in", "x", { qos: 2, id: 2 }));
    expect(woken.take()).toEqual(["offline -13"]);
  });

  test("an overflow that the application has seen while the rest is still to come is not told again " +
    "[MQTT-4.3.3-2]", () => {
    const options = { maxMessageLength: 40 };
    const device = new Sleeper({ options });
    device.up();
    const long = device.broker.bytes(message("in", "x".repeat(200), { qos: 2, id: 7 }));
    device.socket.receive(long.subarray(0, 150));
    expect(device.take()).toEqual([`overflow in=${"x".repeat(31)}`]);
    const woken = Sleeper.woken(device.save(), { options });
    woken.up(true);
    woken.send(message("in", "x".repeat(200), { qos: 2, id: 7, dup: true }));
    expect(woken.take()).toEqual([]);
    expect(woken.sent()).toEqual(["PUBREC #7"]);
    // The one that goes on neither tells it twice.
    device.socket.receive(long.subarray(150));
    expect(device.sent()).toEqual(["PUBREC #7"]);
    expect(device.take()).toEqual([]);
  });

  test("a message at QoS 2 that was received in part is delivered when it is sent again", () => {
    const device = new Sleeper();
    device.up();
    const bytes = device.broker.bytes(message("in", "x".repeat(100), { qos: 2, id: 7 }));
    device.socket.receive(bytes.subarray(0, 60));
    expect(device.take()).toEqual([]);
    const woken = Sleeper.woken(device.save());
    woken.up(true);
    woken.send(message("in", "x".repeat(100), { qos: 2, id: 7, dup: true }));
    expect(woken.take()).toEqual([`message in=${"x".repeat(100)}`]);
  });

  test("messages at QoS 0 come back with queueOffline if they have not begun to leave, in their order", () => {
    const options = { queueOffline: true };
    const device = new Sleeper({ options });
    for (const [payload, qos] of [["a", 0], ["b", 1], ["c", 0], ["d", 2]] as const) {
      device.client.publish("t", payload, qos, 1);
    }
    const woken = Sleeper.woken(device.save(), { options });
    expect(woken.client.publish("t", "e")).toBe(true);
    expect(woken.resume()).toEqual([
      "PUBLISH t=a retain", "PUBLISH t=b q1 #1 retain", "PUBLISH t=c retain", "PUBLISH t=d q2 #2 retain", "PUBLISH t=e",
    ]);
  });

  test("a message at QoS 0 that has begun to leave does not come back, nor any without queueOffline", () => {
    for (const queueOffline of [true, false]) {
      const options = { queueOffline };
      const device = new Sleeper({ options, hal: { room: 20 } });
      device.up();
      device.socket.stall();
      device.client.publish("t", "x".repeat(40));
      device.client.publish("t", "y", 0, 1);
      expect(device.socket.room).toBe(0);
      const woken = Sleeper.woken(device.save(), { options });
      expect(woken.resume()).toEqual(queueOffline ? ["PUBLISH t=y retain"] : []);
    }
  });

  test("it comes back when the table has wrapped around and the arena has holes", () => {
    const options = { maxOperations: 4, maxInflight: 3, txCapacity: 128 };
    for (let turns = 0; turns < 9; turns++) {
      const device = new Sleeper({ options });
      device.up();
      for (let i = 1; i <= turns; i++) {
        device.client.publish("t", "x".repeat(i), 1);
        device.sent();
        device.send(ack("PUBACK", i));
      }
      for (const payload of ["a", "b", "c", "d"]) {
        expect(device.client.publish("t", payload.repeat(20), 2)).toBe(true);
      }
      device.sent();
      device.send(ack("PUBREC", turns + 2), ack("PUBCOMP", turns + 2));
      device.take();
      const woken = Sleeper.woken(device.save(), { options });
      expect(woken.resume()).toEqual([
        `PUBLISH t=${"a".repeat(20)} q2 #${turns + 1} dup`,
        `PUBLISH t=${"c".repeat(20)} q2 #${turns + 3} dup`,
        `PUBLISH t=${"d".repeat(20)} q2 #${turns + 4} dup`,
      ]);
    }
  });

  test("what fills the transmit buffer to the last byte, and the table to the last entry, comes back", () => {
    const options = { maxOperations: 4, txCapacity: 128 };
    const device = new Sleeper({ options });
    device.up();
    for (let i = 0; i < 4; i++) expect(device.client.publish("t", "x".repeat(32 - 7), 1)).toBe(true);
    const woken = Sleeper.woken(device.save(), { options });
    expect(woken.resume()).toHaveLength(4);
    expect(woken.client.publish("t", "", 0)).toBe(false);
    woken.send(ack("PUBACK", 1));
    woken.take();
    expect(woken.client.publish("t", "x".repeat(32 - 7), 1)).toBe(true);
    expect(woken.sent()).toHaveLength(1);
  });

  test("bytes behind the snapshot are ignored, wherever it lies in its array", () => {
    const bytes = busy().save();
    const around = join(Uint8Array.of(1, 2, 3), bytes, bytes);
    const woken = Sleeper.woken(around.subarray(3));
    expect(future(woken)).toEqual(future(Sleeper.woken(bytes)));
  });

  test("the bytes are read during the call only, and not changed", () => {
    const bytes = busy().save();
    const before = hex(bytes);
    const woken = Sleeper.woken(bytes);
    expect(hex(bytes)).toBe(before);
    bytes.fill(0);
    expect(hex(woken.save())).toBe(before);
  });

  test("a client identifier beyond ASCII is the same after a reset", () => {
    const args = ["Gerät 秘密", 60, null, null, 0] as const;
    const device = new Sleeper({ args: [...args] });
    device.up();
    device.client.publish("t", "x", 1);
    const woken = Sleeper.woken(device.save(), { args: [...args] });
    expect(woken.resume()).toEqual(["PUBLISH t=x q1 #1 dup"]);
  });

  test("taken in any callback it has what is under way then, and both clients go on", () => {
    const names: EventName[] = ["connect", "message", "puback", "suback", "unsuback", "offline"];
    for (const name of names) {
      const device = new Sleeper();
      const taken: Uint8Array[] = [];
      device.during[name] = () => taken.push(device.save());
      device.up();
      const { client } = device;
      client.publish("t", "a", 1);
      client.subscribe("s");
      client.publish("t", "b", 2);
      client.unsubscribe("s");
      device.sent();
      device.send(message("in", "x", { qos: 2, id: 9 }), ack("PUBREC", 3));
      device.send(ack("PUBACK", 1));
      device.send(suback(2, 0), ack("UNSUBACK", 4));
      device.sent();
      if (name === "unsuback") device.send(ack("PUBCOMP", 3));
      device.socket.reset();
      device.take();
      expect(taken).toHaveLength(1 + Number(name === "puback" && taken.length > 1));
      const woken = Sleeper.woken(taken[0]);
      const isReceived = name !== "connect";
      expect(woken.resume()).toEqual({
        connect: [],
        message: ["PUBLISH t=b q2 #3 dup"],
        puback: ["PUBREL #3"],
        suback: ["PUBREL #3"],
        unsuback: [],
        offline: ["PUBREL #3"],
      }[name as string]?.flatMap((line) => (name === "message" ? ["PUBLISH t=a q1 #1 dup", line] : [line])));
      woken.take();
      woken.send(message("in", "x", { qos: 2, id: 9 }));
      expect(woken.take()).toEqual(isReceived ? [] : ["message in=x"]);
      if (name !== "unsuback") expect(device.resume()).toEqual(["PUBREL #3"]);
    }
  });

  test("taken in the callback of a message at QoS 2, the message is not delivered again [MQTT-4.3.3-2]", () => {
    const device = new Sleeper();
    let bytes: Uint8Array | undefined;
    device.during.message = () => (bytes = device.save());
    device.up();
    device.send(message("in", "x", { qos: 2, id: 7 }));
    device.take();
    const woken = Sleeper.woken(bytes!);
    woken.up(true);
    woken.send(message("in", "x", { qos: 2, id: 7, dup: true }), ack("PUBREL", 7));
    expect(woken.sent()).toEqual(["PUBREC #7", "PUBCOMP #7"]);
    expect(woken.take()).toEqual([]);
  });

  test("outcomes of what came back are told to nobody, and those of new operations to their callback", () => {
    const woken = new Sleeper();
    const client = withOutcomes(woken.asleep);
    expect(client.restore(busy().save())).toBe(6);
    const told: string[] = [];
    woken.answer();
    client.connect("broker");
    woken.during.connect = () => {
      client.publish("t", "g", 1);
      client.outcome((_, outcome) => told.push(outcome));
    };
    woken.take();
    expect(told).toEqual(["delivered"]);
  });
});

describe("snapshot", () => {
  test("is repeated without a change, and changes nothing", () => {
    const device = busy();
    const other = busy();
    const first = hex(device.save());
    expect(hex(device.save())).toBe(first);
    for (const each of [device, other]) {
      each.socket.reset();
      each.take();
    }
    expect(future(device)).toEqual(future(other));
  });

  test("tells its length beforehand, and takes no byte less", () => {
    const { asleep } = busy();
    const length = asleep.snapshotLength();
    const short = new Uint8Array(length - 1).fill(POISON);
    expect(() => asleep.snapshot(short)).toThrow(RangeError);
    expect(() => asleep.snapshot(short)).toThrow(`into must have ${length} bytes or more, not ${length - 1}`);
    expect(short.every((byte) => byte === POISON)).toBe(true);
    expect(asleep.snapshot(new Uint8Array(length))).toBe(length);
  });

  test("has the layout that is written down: 24 bytes with a client identifier of two when there is nothing", () => {
    const { asleep } = new Sleeper();
    expect(asleep.snapshotLength()).toBe(24);
    expect(hex(bytesFrom(asleep))).toBe(hex(forged([])));
  });

  test.each<[string, unknown]>([
    ["undefined", undefined],
    ["null", null],
    ["a number", 80],
    ["text", "bytes"],
    ["an array", [0, 1]],
    ["an ArrayBuffer", new ArrayBuffer(80)],
    ["a Uint16Array", new Uint16Array(80)],
  ])(
    "into %s throws, and names the argument",
    (_title, into) => {
      const { asleep } = new Sleeper();
      expect(() => asleep.snapshot(into as never)).toThrow(TypeError);
      expect(() => asleep.snapshot(into as never)).toThrow("into must be a Uint8Array");
      expect(() => asleep.restore(into as never)).toThrow(TypeError);
      expect(() => asleep.restore(into as never)).toThrow("from must be a Uint8Array");
    },
  );

  test("there is none of a clean session", () => {
    const { client } = new Device();
    expect(() => withSnapshot(client)).toThrow(TypeError);
    expect(() => withSnapshot(client)).toThrow("cleansession 0");
  });

  test("has the CRC-32 of zip, of all bytes but its own", () => {
    const digits = Uint8Array.from("123456789", (digit) => digit.charCodeAt(0));
    expect(crc32(digits)).toBe(0xcbf43926);
    expect(crc32(Uint8Array.from("The quick brown fox jumps over the lazy dog", (c) => c.charCodeAt(0))))
      .toBe(0x414fa339);
    for (const device of [new Sleeper(), busy()]) {
      const bytes = device.save();
      expect(hex(bytes)).toBe(hex(summed(bytes)));
    }
  });
});

/** A snapshot of version 1, as it was written once. It has to be read for ever. */
const GOLDEN = wire(
  "4d515301 0000008a fe599194 0006 0002 'id' 0002 0007 0100 00000006" +
  "14 0001 00000008 00000000 32060001 't' 0001 'a'" +
  "17 0002 00000004 00000000 62020002" +
  "15 0003 00000008 00000000 34060001 't' 0003 'c'" +
  "14 0004 00000008 00000000 32060001 't' 0004 'd'" +
  "84 0005 00000008 00001388 32060001 't' 0005 'e'" +
  "05 0006 00000008 00000000 34060001 't' 0006 'f'",
);

/** Has a fresh client refuse `bytes`, and returns the code, once it was found that nothing has changed. */
function refused(bytes: Uint8Array, options: DeviceOptions = {}): number {
  const device = new Sleeper(options);
  const before = hex(device.save());
  const code = device.asleep.restore(bytes);
  expect(CODES).toContain(code);
  expect(hex(device.save())).toBe(before);
  expect(future(device)).toEqual(future(new Sleeper(options)));
  device.check();
  return code;
}

describe("restore", () => {
  test("reads what version 1 was when it was published", () => {
    expect(hex(GOLDEN)).toBe(hex(summed(GOLDEN)));
    const woken = Sleeper.woken(GOLDEN);
    expect(woken.resume()).toEqual([
      "PUBLISH t=a q1 #1 dup", "PUBREL #2", "PUBLISH t=c q2 #3 dup", "PUBLISH t=d q1 #4 dup", "PUBLISH t=e q1 #5",
      "PUBLISH t=f q2 #6",
    ]);
    woken.take();
    woken.send(message("in", "x", { qos: 2, id: 7 }), message("in", "y", { qos: 2, id: 256 }));
    expect(woken.take()).toEqual([]);
    woken.client.publish("t", "g", 1);
    expect(woken.sent()).toEqual(["PUBREC #7", "PUBREC #256", "PUBLISH t=g q1 #7"]);
  });

  test("refuses it whole when any byte is another one", () => {
    const bytes = busy().save();
    for (let at = 0; at < bytes.length; at += 1 + (SLOWNESS >> 4)) {
      for (const change of [0x01, 0x80]) {
        const damaged = bytes.slice();
        damaged[at] ^= change;
        const code = refused(damaged);
        if (at < 4) expect(code).toBe(SNAPSHOT_VERSION);
        else if (at >= 8) expect(code).toBe(SNAPSHOT_CHECKSUM);
        else expect([SNAPSHOT_SHORT, SNAPSHOT_CHECKSUM]).toContain(code);
      }
    }
  });

  test("refuses it wherever it is cut off, as SNAPSHOT_SHORT", () => {
    const bytes = busy().save();
    for (let length = 0; length < bytes.length; length += 1 + (SLOWNESS >> 4)) {
      expect(refused(bytes.slice(0, length))).toBe(SNAPSHOT_SHORT);
    }
  });

  test("refuses every other version", () => {
    for (let version = 0; version < 256; version += 3 + (SLOWNESS >> 2)) {
      const bytes = busy().save();
      if (version === bytes[3]) continue;
      bytes[3] = version;
      expect(refused(summed(bytes))).toBe(SNAPSHOT_VERSION);
    }
  });

  test.each([
    ["zeros", new Uint8Array(500), SNAPSHOT_VERSION],
    ["erased flash", new Uint8Array(500).fill(0xff), SNAPSHOT_VERSION],
    ["text", Uint8Array.from("MQTT, but no snapshot of it", (c) => c.charCodeAt(0)), SNAPSHOT_VERSION],
  ])("refuses %s", (_title, bytes, code) => {
    expect(refused(bytes)).toBe(code);
  });

  test.each([
    ["ie"], ["i"], ["idd"], ["ID"], ["\u00ef"],
  ])("refuses that of another client identifier: %j", (id) => {
    const other = busy({ args: [id, 60, null, null, 0, { maxInflight: 4 }] });
    expect(refused(other.save())).toBe(SNAPSHOT_IDENTITY);
  });

  test("refuses what the transmit buffer, the table or the received ids have no room for", () => {
    const device = new Sleeper();
    device.up();
    for (let i = 0; i < 5; i++) device.client.publish("t", "x".repeat(27), 2);
    for (const id of [1, 2, 3]) device.send(message("in", "x", { qos: 2, id }));
    device.take();
    const bytes = device.save();
    const exact = { txCapacity: 5 * 34, maxOperations: 5, receiveMaximum: 3 };
    expect(new Sleeper({ options: exact }).asleep.restore(bytes)).toBe(5);
    for (const less of [{ txCapacity: 5 * 34 - 1 }, { maxOperations: 4 }, { receiveMaximum: 2 }]) {
      expect(refused(bytes, { options: { ...exact, ...less } })).toBe(SNAPSHOT_CAPACITY);
    }
    // The one that was refused may still take another one.
    const small = new Sleeper({ options: { ...exact, maxOperations: 4 } });
    expect(small.asleep.restore(bytes)).toBe(SNAPSHOT_CAPACITY);
    expect(small.asleep.restore(new Sleeper().save())).toBe(0);
  });

  test("comes before connect and publish, and throws behind them", () => {
    const bytes = busy().save();
    const text = "restore must come before connect and publish";
    const attempts: [how: string, prepare: (device: Sleeper) => void][] = [
      ["an attempt is under way", ({ client }) => void client.connect("broker")],
      ["a session is up", (device) => void device.up()],
      [
        "a session was up, and a message was received",
        (device) => {
          device.up();
          device.send(message("in", "x", { qos: 2, id: 9 }));
          device.socket.reset();
          device.take();
        },
      ],
      [
        "a session was up, and a message was sent",
        (device) => {
          device.up();
          device.client.publish("t", "x", 1);
          device.sent();
          device.send(ack("PUBACK", 1));
          device.client.close();
          device.take();
        },
      ],
      ["a message waits", ({ client }) => void client.publish("t", "x", 1)],
      ["a message at QoS 0 waits", ({ client }) => void client.publish("t", "x")],
      ["it was called before", ({ asleep }) => void asleep.restore(bytes)],
      ["only received ids came back", ({ asleep }) => void asleep.restore(forged([], [7]))],
    ];
    for (const [how, prepare] of attempts) {
      const device = new Sleeper({ options: { queueOffline: true } });
      prepare(device);
      const before = hex(device.save());
      expect(() => device.asleep.restore(bytes)).toThrow(text);
      expect([how, hex(device.save())]).toEqual([how, before]);
      device.client.abort();
    }
  });

  test.each([
    ["1"], [true], [NaN], [-1], [1.5], [Infinity], [{}],
  ])("a sleptMs of %p throws, and names it", (sleptMs) => {
    const device = new Sleeper();
    const bytes = busy().save();
    expect(() => device.asleep.restore(bytes, sleptMs as never)).toThrow("sleptMs");
    expect(device.asleep.restore(bytes, null as never)).toBe(6);
  });
});

/** One whose messages may have an age limit. */
class Aging extends Sleeper {
  readonly aging = withQueuePolicy(this.asleep, {});
}

/** The messages that leave when a client that has an age limit is woken after `sleptMs`. */
function aged(bytes: Uint8Array, sleptMs: number | undefined, nowMs: number, laterMs = 0): string[] {
  const device = new Aging({ options: { queueOffline: true }, hal: { now: nowMs } });
  expect(device.aging.restore(bytes, sleptMs)).toBeGreaterThanOrEqual(0);
  device.hal.advance(laterMs);
  return device.resume();
}

describe("ages", () => {
  const NOWS = [0, 1, 5000, 0x7fffffff - 3000, 0x80000000, 0xffffffff - 3000];

  /** "a" has 5 s from the beginning, "b" 20 s, "c" all the time. */
  function waiting(nowMs: number, laterMs: number): Uint8Array {
    const device = new Aging({ options: { queueOffline: true }, hal: { now: nowMs } });
    const client = device.aging;
    client.publish("t", "a", 1);
    client.expire(5000);
    client.publish("t", "b", 0);
    client.expire(20000);
    client.publish("t", "c", 1);
    device.hal.advance(laterMs);
    return device.save();
  }
  const [a, b, c] = ["PUBLISH t=a q1 #1", "PUBLISH t=b", "PUBLISH t=c q1 #2"];

  test("go on over a reset, wherever the clocks begin", () => {
    for (const before of NOWS) {
      for (const after of NOWS) {
        const bytes = waiting(before, 2000);
        expect(aged(bytes, undefined, after)).toEqual([a, b, c]);
        expect(aged(bytes, 0, after, 2999)).toEqual([a, b, c]);
        expect(aged(bytes, 0, after, 3000)).toEqual([b, c]);
        expect(aged(bytes, 2999, after)).toEqual([a, b, c]);
        expect(aged(bytes, 3000, after)).toEqual([b, c]);
        expect(aged(bytes, 1000, after, 2000)).toEqual([b, c]);
        expect(aged(bytes, 17999, after)).toEqual([b, c]);
        expect(aged(bytes, 18000, after)).toEqual([c]);
      }
    }
  });

  test("are over after any sleep that is longer, be it years", () => {
    const bytes = waiting(7, 0);
    for (const sleptMs of [2 ** 30, 2 ** 31, 2 ** 31 + 10000, 2 ** 32, 2 ** 32 + 1, 2 ** 33, 10 ** 13]) {
      expect(aged(bytes, sleptMs, 123)).toEqual([c]);
    }
  });

  test("of 2^30 ms, the longest there is, are kept", () => {
    const device = new Aging({ options: { queueOffline: true } });
    const client = device.aging;
    client.publish("t", "a", 1);
    client.expire(2 ** 30);
    expect(aged(device.save(), 2 ** 30 - 1, 0x7fffffff)).toEqual([a]);
    expect(aged(device.save(), 2 ** 30, 0x7fffffff)).toEqual([]);
  });

  test("of what was sent do not matter any more: it has to be completed", () => {
    const device = new Aging();
    const client = device.aging;
    device.up();
    client.publish("t", "a", 1);
    client.expire(1000);
    client.publish("t", "b", 2);
    client.expire(1000);
    device.sent();
    device.send(ack("PUBREC", 2));
    device.sent();
    expect(aged(device.save(), 100000, 0)).toEqual(["PUBLISH t=a q1 #1 dup", "PUBREL #2"]);
  });

  test("mean nothing to a client without a policy", () => {
    const device = new Sleeper({ options: { queueOffline: true } });
    expect(device.asleep.restore(waiting(0, 0), 10000)).toBe(3);
    expect(device.resume()).toEqual([a, b, c]);
  });
});

/** What must hold of a client's outbox at any time. */
function checkOutbox(client: Client): void {
  const { outbox } = client.connection.session;
  let end = 0;
  for (let i = 0; i < outbox.operations; i++) {
    const entry = outbox.entry(i);
    // What has its outcome has no bytes.
    if (outbox.table[entry + LENGTH] === 0) continue;
    expect(outbox.table[entry + OFFSET]).toBeGreaterThanOrEqual(end);
    expect(outbox.table[entry + LENGTH]).toBeGreaterThan(0);
    end = outbox.table[entry + OFFSET] + outbox.table[entry + LENGTH];
  }
  expect(outbox.tail).toBeGreaterThanOrEqual(end);
  expect(outbox.arena.length).toBeGreaterThanOrEqual(outbox.tail);
  expect(outbox.table.length).toBeGreaterThanOrEqual(outbox.operations * ENTRY);
}

const SMALL = { txCapacity: 128, maxOperations: 8, receiveMaximum: 4, queueOffline: true };

/** Restores `bytes`, right or wrong inside, and has the client do all there is to do. Returns what `restore` did. */
function survive(bytes: Uint8Array): number {
  const hal = new MockHal();
  const mqtt = createMqtt(hal, MQTT_3_1_1);
  const make = (): Client & Snapshotting =>
    withSnapshot(mqtt.Client("id", 60, null, null, 0, SMALL));
  const client = make();
  const code = client.restore(bytes);
  if (code < 0) {
    expect(CODES).toContain(code);
    expect(hex(bytesFrom(client))).toBe(hex(bytesFrom(make())));
  } else {
    // What was taken over once is the same for ever.
    checkOutbox(client);
    const again = make();
    expect(again.restore(bytesFrom(client))).toBe(code);
    expect(hex(bytesFrom(again))).toBe(hex(bytesFrom(client)));
  }
  client.connect("broker");
  hal.settle();
  hal.socket.connect();
  hal.settle();
  hal.socket.receive(bytesOf("CONNACK present"));
  hal.settle();
  const { outbox } = client.connection.session;
  const all = Array.from({ length: outbox.operations }, (_, i) => outbox.table[outbox.entry(i)] >> 8);
  const areTwice = all.some((id, i) => id > 0 && all.indexOf(id) < i);
  for (const type of ["PUBREC", "PUBACK", "PUBCOMP"] as const) {
    const ids = Array.from({ length: outbox.operations }, (_, i) => outbox.table[outbox.entry(i)] >> 8);
    for (const id of ids) {
      if (id > 0) hal.socket.receive(bytesOf(`${type} #${id}`));
      checkOutbox(client);
    }
    hal.settle();
  }
  expect(client.connected).toBe(true);
  // Two messages with one id: an acknowledgement means the first.
  if (areTwice) {
    client.abort();
    return code;
  }
  expect(outbox.operations).toBe(0);
  expect(outbox.tail).toBe(0);
  hal.socket.takeSent();
  expect(client.publish("t", "y".repeat(100), 1)).toBe(true);
  hal.settle();
  expect(hal.socket.takeSent()).toHaveLength(107);
  client.abort();
  expect(hal.uncaughtErrors).toEqual([]);
  return code;
}

describe("a snapshot with a right checksum and wrong insides", () => {
  const publish = wire("3206 0001 't' 0001 'a'");
  const right: Entry = { state: PUBACK, packetId: 1, packet: publish };

  test("is refused, or taken over within bounds, whatever any of its bytes is", () => {
    const bytes = forged(
      [
        { state: PUBACK | SENT, packetId: 1, packet: publish },
        { state: PUBCOMP | SENT, packetId: 2, packet: wire("62020002") },
        { state: PUBREC | EXPIRES, packetId: 3, packet: wire("3406 0001 't' 0003 'c'"), liveMs: 1000 },
        { state: 0, packetId: 0, packet: wire("3004 0001 't' 'd'") },
      ],
      [7, 8],
      3,
    );
    expect(survive(bytes)).toBe(4);
    let taken = 0;
    // A prime, so that each byte has other values.
    const step = 23 * SLOWNESS;
    for (let i = 0; i < 256 * (bytes.length - 12); i += step) {
      const wrong = bytes.slice();
      wrong[12 + (i >> 8)] = i & 255;
      if (survive(summed(wrong)) >= 0) taken++;
    }
    expect(taken).toBeGreaterThan(0);
  });

  test("is refused, or taken over within bounds, whatever its numbers are", () => {
    const bytes = forged([right, { state: PUBREC, packetId: 3, packet: wire("3406 0001 't' 0003 'c'") }], [7], 3);
    const extremes = [0, 1, 2, 3, 4, 5, 12, 127, 128, 255, 256, 65535, 2 ** 24, 2 ** 31 - 1, 2 ** 31, 2 ** 32 - 1];
    for (let at = 4; at + 4 <= bytes.length; at += 1 + (SLOWNESS >> 4)) {
      if (at > 4 && at < 12) continue;
      for (const value of extremes) {
        const wrong = bytes.slice();
        wrong.set(uint32(value), at);
        survive(summed(wrong));
      }
    }
  });

  test.each<[string, Entry]>([
    ["has its outcome", { ...right, state: PUBACK | 32 }],
    ["is streamed", { ...right, state: PUBACK | 64 }],
    ["waits for SUBACK", { ...right, state: 9 }],
    ["waits for UNSUBACK", { ...right, state: 11 }],
    ["waits for PUBREL", { ...right, state: 6 }],
    ["has an id and waits for nothing", { ...right, state: 0 }],
    ["has no id and waits", { ...right, packetId: 0 }],
    ["is a CONNECT", { ...right, packet: wire("1006 0001 't' 0001 'a'") }],
    ["is a PUBREL that waits for PUBACK", { ...right, packet: wire("62020001") }],
    ["is a PUBLISH that waits for PUBCOMP", { ...right, state: PUBCOMP }],
    ["is nothing", { ...right, packet: new Uint8Array(0) }],
    ["is a byte", { ...right, packet: wire("32") }],
    ["is too short for PUBREL to take its place", { state: PUBREC, packetId: 1, packet: wire("3401 00") }],
  ])("is refused when a message %s", (_title, entry) => {
    expect(survive(forged([entry]))).toBe(SNAPSHOT_CHECKSUM);
    expect(survive(forged([right, entry, right]))).toBe(SNAPSHOT_CHECKSUM);
  });

  test("is refused when there is more or less than it counts", () => {
    const whole = forged([right], [7]);
    for (const end of [1, 2, 7, 8, 9, 13, 27].map((less) => whole.length - less)) {
      const less = whole.slice(0, end);
      less.set(uint32(end), 4);
      expect(survive(summed(less))).toBeLessThan(0);
    }
    const more = join(whole, Uint8Array.of(0));
    more.set(uint32(more.length), 4);
    expect(survive(summed(more))).toBe(SNAPSHOT_CHECKSUM);
    // Its end is right, but there are no bytes.
    for (const length of [0, 11, 12, 14, 16, 17, 18, 20, 22]) {
      const header = forged([]).slice(0, Math.max(length, 12));
      header.set(uint32(length), 4);
      expect(survive(join(header.subarray(0, 8), uint32(crc32(header.subarray(0, 8), header.subarray(12))),
        header.subarray(12)))).toBeLessThan(0);
    }
  });
});

/** A client that is reset again and again, and its broker. */
class Life {
  readonly broker = new ModelBroker(8);
  /** Of the application, which knows over a reset what it asked for and what it was told. */
  readonly published: [qos: QoS, payload: string][] = [];
  readonly sentByBroker: [qos: number, payload: string][] = [];
  readonly delivered: [qos: number, payload: string][] = [];
  client!: Client & Snapshotting;
  resets = 0;
  private hal!: MockHal;
  private connection: BrokerConnection | undefined;
  private toBroker: Uint8Array[] = [];
  private readonly random: ReturnType<typeof seeded>;
  private readonly options: ClientOptions;
  /** At the next callback there is a snapshot and a reset. */
  private isResetDue = false;
  private bytes: Uint8Array | undefined;

  constructor(seed: number) {
    this.random = seeded(seed);
    const { random } = this;
    this.options = {
      maxInflight: random.pick([1, 2, 5, 16]),
      maxOperations: random.pick([3, 8]),
      txCapacity: random.pick([128, 300]),
      queueOffline: random.below(2) === 0,
      receiveMaximum: 8,
      rxCapacity: 128,
      maxMessageLength: 64,
    };
    this.boot();
  }

  private boot(): void {
    const { random } = this;
    this.hal = new MockHal({ now: random.pick([0, 0x7ffffff0, 123456]), room: random.pick([7, 50, 2920]) } satisfies
      MockHalOptions);
    const client = withSnapshot(createMqtt(this.hal, MQTT_3_1_1).Client("id", 60, null, null, 0, this.options));
    this.client = client;
    this.connection?.close();
    this.connection = undefined;
    this.toBroker = [];
    if (this.bytes !== undefined) expect(client.restore(this.bytes)).toBeGreaterThanOrEqual(0);
    this.bytes = undefined;
    const callback = (): void => {
      if (!this.isResetDue || client !== this.client) return;
      this.isResetDue = false;
      this.save();
    };
    client.on("message", (_: Client, _topic: string, data: string, info: MessageInfo) => {
      if (this.bytes !== undefined) return;
      this.delivered.push([info.qos, data]);
      callback();
    });
    for (const name of ["connect", "puback", "suback", "offline"] as const) client.on(name, callback);
  }

  /** From here on nothing that this client does counts. */
  private save(): void {
    this.resets++;
    this.bytes = bytesFrom(this.client);
  }

  connect(): void {
    const { hal } = this;
    if (this.client.connected || !this.client.connect("broker")) return;
    hal.settle();
    const { socket } = hal;
    if (socket.closed) return;
    this.connection?.close();
    const connection = new BrokerConnection(this.broker);
    this.connection = connection;
    this.toBroker = [];
    socket.onWrite = (written) => {
      // What was written after the snapshot has left all the same, or has not: in flash there is what was before it.
      if (this.connection === connection && this.bytes === undefined) this.toBroker.push(written);
    };
    socket.connect();
    hal.settle();
  }

  /** The network moves something, in either direction. */
  move(count: number): void {
    const { connection, random } = this;
    for (let i = 0; i < count && connection !== undefined && connection === this.connection; i++) {
      this.hal.settle();
      const written = random.below(2) === 0 ? this.toBroker.shift() : undefined;
      if (written !== undefined) connection.receive(written);
      const lines = random.below(2) === 0 ? connection.answers : connection.messages;
      // Messages follow CONNACK.
      const line = lines === connection.messages && connection.answers.some((answer) => answer.startsWith("CONNACK"))
        ? undefined
        : lines.shift();
      const { socket } = this.hal;
      if (line !== undefined && !socket.closed && !socket.over) socket.receive(bytesOf(line));
      this.hal.settle();
      if (this.bytes !== undefined) return;
    }
  }

  step(): void {
    const { random, client, hal } = this;
    const socket: MockSocket | undefined = hal.sockets.at(-1);
    const qos = random.pick([1, 2] as const);
    switch (random.below(10)) {
      case 0:
      case 1: {
        const payload = `p${this.published.length}`.padEnd(2 + random.below(30), ".");
        if (client.publish("t", payload, qos)) this.published.push([qos, payload]);
        break;
      }
      case 2: {
        const payload = `b${this.sentByBroker.length}`;
        if (!this.broker.session("id", false)[1]) break;
        this.sentByBroker.push([qos, payload]);
        this.broker.send("id", qos, payload);
        break;
      }
      case 3:
        if (random.below(3) === 0) client.subscribe("s");
        break;
      case 4:
        if (socket !== undefined && random.below(4) === 0) {
          if (!socket.closed && client.connected) socket.reset();
          this.connection?.close();
          this.connection = undefined;
          hal.settle();
        }
        break;
      case 5:
        if (socket !== undefined && random.below(2) === 0) socket.stall();
        else socket?.unstall();
        break;
      case 6:
        if (random.below(3) > 0) break;
        if (random.below(2) === 0) this.save();
        else this.isResetDue = true;
        break;
      case 7:
        this.connect();
        break;
      default:
        this.move(1 + random.below(12));
    }
    if (this.bytes !== undefined) this.boot();
  }

  /** Everything is brought to its end. */
  finish(): void {
    this.isResetDue = false;
    for (let rounds = 0; rounds < 200; rounds++) {
      this.hal.sockets.at(-1)?.unstall();
      this.connect();
      this.move(20);
    }
    expect(this.client.connected).toBe(true);
    expect(this.client.connection.session.isDrained()).toBe(true);
    expect(this.broker.next(this.broker.session("id", false)[0])).toEqual([]);
  }
}

describe("a device that is reset at any moment", () => {
  test("sends and gets everything at QoS 2 exactly once and in order, and at QoS 1 at least once " +
    "[MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT-4.6.0-2] [MQTT-4.6.0-3]", () => {
    let resets = 0;
    repeat(250, (seed) => {
      const life = new Life(seed);
      for (let i = 0; i < 150; i++) life.step();
      life.finish();
      resets += life.resets;
      const taken = life.broker.taken.get("id") ?? [];
      const payloads = (list: [number, string][], qos: number): string[] =>
        list.filter(([each]) => each === qos).map(([, payload]) => payload);
      const [once, often] = [payloads(life.published, 2), payloads(life.published, 1)];
      expect(taken.filter((payload) => once.includes(payload))).toEqual(once);
      // Of the repetitions only the first counts.
      const firsts = taken.filter((payload, i) => often.includes(payload) && taken.indexOf(payload) === i);
      expect(firsts).toEqual(often);
      expect(payloads(life.delivered, 2)).toEqual(payloads(life.sentByBroker, 2));
      const got = payloads(life.delivered, 1);
      expect(got.filter((payload, i) => got.indexOf(payload) === i)).toEqual(payloads(life.sentByBroker, 1));
    });
    expect(resets).toBeGreaterThan(0);
  });
});
