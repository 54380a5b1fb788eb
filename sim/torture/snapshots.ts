/**
 * `withSnapshot`: a device has a flash, in which the last snapshot lies. When the power fails it takes one in that
 * turn, or has an older one, or one that is damaged, or none.
 *
 * Reads the layout by itself, to know which messages are in one.
 */
import { withSnapshot } from "../../src/optional/snapshot.js";
import type { Snapshotting } from "../../src/optional/snapshot.js";
import type { Client } from "../../src/face.js";
import type { Device } from "./device.js";
import type { Feature, Helper } from "./features.js";
import { uidOf } from "./ledger.js";
import { PUBLISH, Reader } from "./packets.js";
import { Reader5 } from "./packets5.js";
import type { Operation } from "./monitor.js";

/** What a device keeps without power. */
export interface Flash {
  bytes: Uint8Array;
  /** What was under way then. */
  pending: Operation[];
}

const clients = new WeakMap<Client, Client & Snapshotting>();

function take(device: Device): Flash {
  const client = clients.get(device.client) as Client & Snapshotting;
  const { options } = device.plan;
  const { maxOperations, receiveMaximum, txCapacity } = options;
  const length = client.snapshotLength();
  if (device.isReacting) device.world.count("snapshot: inside a callback");
  const most = txCapacity + 11 * maxOperations + 2 * receiveMaximum + 22 + device.clientId.length;
  if (length > most) device.fail(`snapshot: ${length} bytes, ${most} is the most`);
  const bytes = new Uint8Array(length + 1);
  const written = client.snapshot(bytes);
  if (written !== length) device.fail(`snapshot: wrote ${written} bytes, said ${length}`);
  if (bytes[length] !== 0) device.fail("snapshot: wrote behind its end");
  const again = new Uint8Array(length);
  client.snapshot(again);
  if (again.some((byte, i) => byte !== bytes[i])) device.fail("snapshot: another one in the same turn");
  return { bytes: again, pending: device.monitor.pending() };
}

/** Numbers of the messages in a snapshot; those for which PUBREL is to be sent cannot be told. */
function uidsIn(device: Device, bytes: Uint8Array): number[] {
  const number = (at: number, size: number): number => {
    let value = 0;
    for (let i = 0; i < size; i++) value = value * 256 + bytes[at + i];
    return value;
  };
  let at = 16 + number(14, 2);
  at += 2 + 2 * number(at, 2);
  let count = number(at, 4);
  at += 4;
  const uids: number[] = [];
  for (; count > 0; count--) {
    const start = at + 11;
    at = start + number(at + 3, 4);
    if (bytes[start] >> 4 !== PUBLISH) continue;
    const reader = device.version5 === undefined ? new Reader() : new Reader5();
    reader.push(bytes, start, at);
    const packet = reader.next();
    if (packet !== undefined) uids.push(uidOf(packet.topic, packet.payload));
  }
  return uids;
}

/** Bytes that are no snapshot any more. */
function damage(device: Device, bytes: Uint8Array): Uint8Array {
  const { random } = device.world;
  if (random.chance(30)) return bytes.slice(0, random.below(bytes.length));
  const damaged = bytes.slice();
  damaged[random.below(bytes.length)] ^= random.chance(50) ? 1 << random.below(8) : random.between(1, 255);
  return damaged;
}

/** Returns how many messages there are, or what is wrong. */
function putBack(device: Device, bytes: Uint8Array, sleptMs: number): number {
  const client = clients.get(device.client) as Client & Snapshotting;
  const answer = device.call(`restore, ${bytes.length} bytes`, () => client.restore(bytes, sleptMs));
  return answer;
}

function save(device: Device): (device: Device, offMs: number) => boolean {
  const { world } = device;
  const { random } = world;
  const how = random.below(100);
  const kind = how < 50 ? "same" : how < 70 ? "older" : how < 85 ? "damaged" : "none";
  const hadMuch = !device.probe.isEmpty;
  const { lastPacketId } = device.probe;
  const flash = kind === "older" ? device.flash : kind === "none" ? undefined : take(device);
  if (kind !== "older") device.flash = flash;
  if (flash === undefined) return () => false;
  if (kind === "damaged") {
    flash.bytes = damage(device, flash.bytes);
    device.flash = undefined;
    return () => {
      world.count("snapshot: damaged");
      const answer = putBack(device, flash.bytes, 0);
      if (answer >= 0) device.fail(`restore: ${answer} from a damaged snapshot`);
      if (device.probe.lastPacketId !== 0 || !device.probe.isEmpty) device.fail("restore: refused, and took something");
      return false;
    };
  }
  return (_, offMs) => {
    world.count(`snapshot: ${kind}`);
    if (kind === "same" && hadMuch) world.count("snapshot: same, with messages");
    const sleptMs = random.chance(50) ? offMs : 0;
    const answer = putBack(device, flash.bytes, sleptMs);
    if (answer < 0) device.fail(`restore: ${answer} from a good snapshot`);
    if (kind === "same" && device.probe.lastPacketId !== lastPacketId) device.fail("restore: packet ids begin anew");
    if (kind === "same") {
      device.ledger.restored(device, offMs - sleptMs);
    } else {
      device.forget();
      device.broker.mistake(device);
      device.ledger.reborn(device, uidsIn(device, flash.bytes));
    }
    device.monitor.carry(flash.pending);
    return true;
  };
}

class Snapshots implements Helper {
  readonly actions = [
    {
      name: "snapshot",
      weight: 10,
      run: (device: Device): void => {
        device.world.count("snapshot: without restart");
        device.flash = take(device);
      },
    },
  ];
}

export const SNAPSHOTS: Feature = {
  name: "snapshot",
  exercises: [
    "snapshot: same", "snapshot: same, with messages", "snapshot: older", "snapshot: damaged",
    "snapshot: without restart", "snapshot: inside a callback",
  ],
  suits: (plan) => !plan.isClean,
  attach: (_, client) => {
    clients.set(client, withSnapshot(client));
    return new Snapshots();
  },
  save,
};
