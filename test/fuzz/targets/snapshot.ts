/**
 * Bytes to `restore`: as they are, and once more with length and checksum made right, so that what is inside is looked
 * at. What is taken has to be a session that goes on: it is sent, acknowledged, and written again.
 */
import { crc32 } from "node:zlib";
import { MockHal } from "../../../hal/mock.js";
import type { Client } from "../../../src/client.js";
import { createMqtt } from "../../../src/client.js";
import type { Snapshotting } from "../../../src/optional/snapshot.js";
import { withSnapshot } from "../../../src/optional/snapshot.js";
import { MQTT_3_1_1 } from "../../../src/v311.js";
import { PUBACK, PUBCOMP, PUBREC } from "../../../src/wire.js";
import { ack, check, connack } from "../broker.js";

const HEADER = 12;
const CODES = [-40, -41, -42, -43, -44];
const OPTIONS = { queueOffline: true, txCapacity: 256, maxOperations: 4, receiveMaximum: 4, rxCapacity: 128 };

function newDevice(): { hal: MockHal; client: Client & Snapshotting } {
  const hal = new MockHal();
  const { Client } = createMqtt(hal, MQTT_3_1_1);
  return { hal, client: withSnapshot(new Client("fuzzed", 60, null, null, 0, { ...OPTIONS, maxMessageLength: 64 })) };
}

/** The same with length and checksum as they should be. */
function sealed(input: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.max(input.length, HEADER));
  bytes.set(input);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, 0x4d515301);
  view.setUint32(4, bytes.length);
  view.setUint32(8, crc32(bytes.subarray(HEADER), crc32(bytes.subarray(0, 8))));
  return bytes;
}

function restore(bytes: Uint8Array): void {
  const { hal, client } = newDevice();
  const before = Buffer.from(bytes);
  const empty = client.snapshotLength();
  const count = client.restore(bytes);
  check(before.equals(bytes), "restore wrote to what it was given");
  const { outbox } = client.connection.session;
  if (count < 0) {
    check(CODES.includes(count), `restore answers ${count}`);
    check(client.snapshotLength() === empty && outbox.operations === 0 && outbox.tail === 0, "a half was taken");
  } else {
    check(Number.isInteger(count) && count === outbox.operations, `restore answers ${count}`);
    const into = new Uint8Array(client.snapshotLength());
    check(client.snapshot(into) === into.length, "a snapshot of another length than it said");
    check(newDevice().client.restore(into) === count, "what was restored and written again is refused");
  }
  client.connect("broker");
  hal.settle();
  hal.socket.connect();
  hal.socket.receive(connack(true, 0));
  for (let packetId = 1; packetId <= 4; packetId++) {
    hal.socket.receive(ack(PUBACK, packetId), ack(PUBREC, packetId), ack(PUBCOMP, packetId));
  }
  hal.advance(1000);
  check(hal.uncaughtErrors.length === 0, "an uncaught error");
  check(outbox.operations <= OPTIONS.maxOperations && outbox.tail <= OPTIONS.txCapacity, "beyond its capacity");
}

export function run(input: Uint8Array): void {
  restore(input);
  restore(sealed(input));
}

export function seeds(): Uint8Array[] {
  const { client, hal } = newDevice();
  const written = (): Uint8Array => {
    const bytes = new Uint8Array(client.snapshotLength());
    client.snapshot(bytes);
    return bytes;
  };
  const seeds = [written()];
  for (const qos of [0, 1, 2] as const) client.publish("t", "x", qos);
  seeds.push(written());
  client.connect("broker");
  hal.settle();
  hal.socket.connect();
  hal.socket.receive(connack(false, 0), ack(PUBREC, 2), [0x34, 6, 0, 1, 116, 0, 9, 120]);
  seeds.push(written());
  return seeds;
}
