import { describe, expect, it } from "@jest/globals";
import hal from "../hal/node.js";
import { Encoder } from "../src/encoder.js";
import { LENGTH, OFFSET, Outbox } from "../src/outbox.js";
import { DUP, PUBACK, PUBCOMP, PUBREC, SUBACK, UNSUBACK } from "../src/wire.js";
import { hex } from "./support/bytes.js";
import { repeat, seeded } from "./support/session-harness.js";
import type { Random } from "./support/session-harness.js";

const encoder = new Encoder(hal.createText());

/** Adds `bytes` as a session adds a packet; packs the arena together where needed. False when there is no room. */
function add(outbox: Outbox, ack: number, bytes: Uint8Array): boolean {
  if (outbox.isFull()) return false;
  const packetId = ack === 0 ? 0 : outbox.nextPacketId();
  if (ack !== 0 && packetId === 0) return false;
  if (outbox.tail + bytes.length > outbox.arena.length) outbox.compact();
  if (outbox.tail + bytes.length > outbox.arena.length) return false;
  outbox.arena.set(bytes, outbox.tail);
  outbox.add(outbox.tail + bytes.length, ack, packetId);
  return true;
}

/** `length` bytes that begin like a PUBLISH and are filled with `fill`. */
function packet(length: number, fill: number): Uint8Array {
  const bytes = new Uint8Array(length).fill(fill);
  bytes[0] = 0x32;
  return bytes;
}

/** Sends up to `room` bytes and returns them, in hexadecimal. */
function send(outbox: Outbox, room = Infinity, window = 100, nowMs = 0): string {
  let sent = "";
  for (let left = room; left > 0;) {
    const count = Math.min(outbox.sendable(window, Infinity), left);
    if (count === 0) break;
    const start = outbox.sendStart();
    sent += hex(outbox.arena.slice(start, start + count));
    outbox.sent(count, nowMs);
    left -= count;
  }
  return sent;
}

/** What `acknowledge` kept of the oldest entry. */
function doneBytes(outbox: Outbox): Uint8Array {
  const entry = outbox.entry(0);
  const start = outbox.table[entry + OFFSET];
  return outbox.arena.slice(start, start + outbox.table[entry + LENGTH]);
}

function isSent(outbox: Outbox): boolean {
  return outbox.passed === outbox.operations;
}

function isIdle(outbox: Outbox): boolean {
  return isSent(outbox) && outbox.inflight === 0;
}

describe("Outbox", () => {
  it("tells of what was sent past the table before it tells of any entry", () => {
    const outbox = new Outbox(100, 8);
    outbox.sentAtOnce();
    outbox.sentAtOnce();
    expect(add(outbox, PUBACK, packet(5, 1))).toBe(true);
    expect(add(outbox, 0, packet(5, 2))).toBe(true);
    send(outbox);
    expect(outbox.acknowledge(PUBACK, 1, 0, 0)).toBe(0);
    const done: number[] = [];
    for (; outbox.doneType >= 0; outbox.dropDone()) done.push(outbox.doneType);
    expect(done).toEqual([0, 0, PUBACK, 0]);
    expect(outbox.operations).toBe(0);
  });

  it("waits for the oldest entry behind what was sent past the table, also when the connection is gone", () => {
    for (const keep of [true, false]) {
      const outbox = new Outbox(100, 8);
      outbox.sentAtOnce();
      add(outbox, PUBACK, packet(5, 1));
      send(outbox);
      outbox.disconnect(keep, false);
      expect(outbox.doneType).toBe(0);
      outbox.dropDone();
      expect(outbox.doneType).toBe(-1);
      expect(outbox.operations).toBe(keep ? 1 : 0);
    }
  });

  it("counts what was sent past the table among what may wait for its outcome", () => {
    const outbox = new Outbox(100, 2);
    outbox.sentAtOnce();
    expect(outbox.isFull()).toBe(false);
    outbox.sentAtOnce();
    expect(outbox.isFull()).toBe(true);
    expect(add(outbox, PUBACK, packet(5, 1))).toBe(false);
    outbox.dropDone();
    expect(add(outbox, PUBACK, packet(5, 1))).toBe(true);
    expect(outbox.isFull()).toBe(true);
  });

  it("is full when its table is", () => {
    for (const entries of [1, 2, 16]) {
      const outbox = new Outbox(1000, entries);
      for (let i = 0; i < entries; i++) expect(add(outbox, PUBACK, packet(5, i))).toBe(true);
      expect(outbox.isFull()).toBe(true);
      expect(add(outbox, 0, packet(5, 9))).toBe(false);
      send(outbox);
      outbox.acknowledge(PUBACK, 1, 0, 0);
      // Finished, but not handed out.
      expect(outbox.isFull()).toBe(true);
      outbox.dropDone();
      expect(add(outbox, 0, packet(5, 9))).toBe(true);
    }
  });

  it("takes exactly as many bytes as its arena has", () => {
    const outbox = new Outbox(20, 16);
    expect(add(outbox, PUBACK, packet(21, 1))).toBe(false);
    expect(add(outbox, PUBACK, packet(20, 1))).toBe(true);
    expect(add(outbox, PUBACK, packet(1, 1))).toBe(false);
    expect(send(outbox)).toHaveLength(40);
    outbox.acknowledge(PUBACK, 1, 0, 0);
    expect(add(outbox, PUBACK, packet(20, 2))).toBe(true);
  });

  it("closes holes, and changes neither order nor bytes", () => {
    const outbox = new Outbox(50, 16);
    for (let i = 1; i <= 5; i++) add(outbox, PUBACK, packet(10, i));
    send(outbox, 33);
    outbox.acknowledge(PUBACK, 2, 0, 0);
    outbox.acknowledge(PUBACK, 1, 0, 0);
    expect(outbox.tail).toBe(50);
    expect(outbox.compact()).toBe(true);
    expect(outbox.compact()).toBe(false);
    expect(outbox.tail).toBe(30);
    expect(add(outbox, PUBACK, packet(20, 6))).toBe(true);
    expect(send(outbox)).toBe("04".repeat(7) + `32${"05".repeat(9)}` + `32${"06".repeat(19)}`);
  });

  it("gives room at its end back at once, without moving anything", () => {
    const outbox = new Outbox(30, 16);
    for (let i = 1; i <= 3; i++) add(outbox, PUBREC, packet(10, i));
    send(outbox);
    outbox.acknowledge(PUBREC, 3, 4, 0);
    expect(outbox.tail).toBe(24);
    outbox.acknowledge(PUBCOMP, 3, 0, 0);
    expect(outbox.tail).toBe(20);
  });

  it("knows when there is nothing to be sent, and nothing to be waited for", () => {
    const outbox = new Outbox(100, 16);
    const states = (): boolean[] => [isSent(outbox), isIdle(outbox), outbox.partial > 0];
    expect(states()).toEqual([true, true, false]);
    add(outbox, PUBACK, packet(10, 1));
    expect(states()).toEqual([false, false, false]);
    send(outbox, 3);
    expect(states()).toEqual([false, false, true]);
    send(outbox);
    expect(states()).toEqual([true, false, false]);
    outbox.acknowledge(PUBACK, 1, 0, 0);
    expect(states()).toEqual([true, true, false]);
  });

  it("says for how long the oldest packet waits, on a clock that wraps", () => {
    for (const startMs of [0, 2 ** 31 - 5, -5, 2 ** 32 - 5]) {
      const outbox = new Outbox(100, 16);
      expect(outbox.longestWait(startMs)).toBe(0);
      for (let i = 1; i <= 3; i++) add(outbox, PUBACK, packet(10, i));
      send(outbox, 10, 100, startMs | 0);
      send(outbox, 15, 100, (startMs + 10) | 0);
      expect(outbox.longestWait((startMs + 30) | 0)).toBe(30);
      outbox.acknowledge(PUBACK, 1, 0, 0);
      expect(outbox.longestWait((startMs + 30) | 0)).toBe(20);
      outbox.acknowledge(PUBACK, 2, 0, 0);
      // The third has left in part: nothing can be waited for.
      expect(outbox.longestWait((startMs + 30) | 0)).toBe(0);
    }
  });

  it("has no packet id when all 65,535 are in use, and finds the one that becomes free [MQTT-2.3.1-2]", () => {
    const outbox = new Outbox(65536, 65536);
    for (let i = 1; i <= 65535; i++) {
      const packetId = outbox.nextPacketId();
      if (packetId !== i) throw new Error(`${packetId} is the id behind ${i - 1}`);
      outbox.add(i, PUBACK, packetId);
    }
    expect(outbox.nextPacketId()).toBe(0);
    send(outbox, 40000, 65535);
    for (const free of [1, 2, 777]) {
      expect(outbox.acknowledge(PUBACK, free, 0, 0)).toBeGreaterThanOrEqual(0);
      expect(outbox.nextPacketId()).toBe(free);
      while (outbox.doneType >= 0) outbox.dropDone();
      outbox.compact();
      outbox.add(outbox.tail + 1, PUBACK, free);
      expect(outbox.nextPacketId()).toBe(0);
    }
  });

  it("gives packet ids in turn, and passes over those in use where they come round [MQTT-2.3.1-2]", () => {
    const outbox = new Outbox(64, 64);
    /** As a session that was restored: what is in use has to be looked up. */
    const goOnBehind = (packetId: number): void => {
      outbox.lastPacketId = packetId;
      outbox.free = 0;
    };
    const give = (): number => {
      const packetId = outbox.nextPacketId();
      expect(outbox.nextPacketId()).toBe(packetId);
      outbox.add(outbox.tail + 1, PUBACK, packetId);
      return packetId;
    };
    const used = [1, 2, 3, 700, 702, 703, 65534, 65535];
    for (const packetId of used) {
      goOnBehind(packetId - 1);
      expect(give()).toBe(packetId);
    }
    goOnBehind(698);
    expect([give(), give(), give(), give()]).toEqual([699, 701, 704, 705]);
    goOnBehind(65532);
    expect([give(), give(), give()]).toEqual([65533, 4, 5]);
    goOnBehind(0);
    expect(give()).toBe(6);
  });

  it("finds the entry of a packet id whatever was found, dropped and left out before", () => {
    repeat(300, (seed) => {
      const random = seeded(seed);
      const outbox = new Outbox(4096, 32);
      // Often close before they come round.
      outbox.lastPacketId = 65535 - random.below(random.below(2) === 0 ? 40 : 65536);
      /** As in the table: 0 for what has none, or none any more. */
      let ids: number[] = [];
      for (let step = 0; step < 100; step++) {
        const index = random.below(32);
        if (random.below(2) === 0 && ids.length < 32) {
          const packetId = random.below(4) === 0 ? 0 : outbox.nextPacketId();
          outbox.add(outbox.tail + 1, packetId === 0 ? 0 : PUBACK, packetId);
          ids.push(packetId);
          send(outbox);
        } else if (ids[index] > 0) {
          outbox.acknowledge(PUBACK, ids[index], 0, 0);
          ids[index] = 0;
        }
        for (; outbox.doneType >= 0; ids = ids.slice(1)) outbox.dropDone();
        outbox.compact();
        for (const [at, packetId] of ids.entries()) {
          const found = packetId === 0 ? at : outbox.find(packetId);
          if (found !== at) throw new Error(`${packetId} found at ${found}, not at ${at}`);
        }
        expect(outbox.find([1, 32, 65535, 65500].find((packetId) => !ids.includes(packetId))!)).toBe(-1);
      }
    });
  });
});

/** An entry as an object. */
interface Entry {
  ack: number;
  packetId: number;
  bytes: number[];
  /** Ever left whole. */
  wasSent: boolean;
  /** Bytes that left on this connection. */
  left: number;
  sentAtMs: number;
  isDone: boolean;
}

/** The outbox as one would write it where memory does not matter. */
class PlainOutbox {
  entries: Entry[] = [];
  lastPacketId = 0;
  readonly capacity: number;
  readonly maxOperations: number;

  constructor(capacity: number, maxOperations: number) {
    this.capacity = capacity;
    this.maxOperations = maxOperations;
  }

  nextPacketId(): number {
    let packetId = this.lastPacketId;
    do packetId = (packetId % 65535) + 1;
    while (this.entries.some((entry) => entry.packetId === packetId));
    return packetId;
  }

  add(ack: number, bytes: Uint8Array): boolean {
    const live = this.entries.reduce((sum, entry) => sum + entry.bytes.length, 0);
    if (this.entries.length === this.maxOperations || live + bytes.length > this.capacity) return false;
    const packetId = ack === 0 ? 0 : this.nextPacketId();
    if (packetId > 0) this.lastPacketId = packetId;
    this.entries.push({ ack, packetId, bytes: [...bytes], wasSent: false, left: 0, sentAtMs: 0, isDone: false });
    return true;
  }

  /** Entries whose turn it is to be sent, in order. */
  waiting(window: number): Entry[] {
    let inflight = this.inflight();
    const waiting = [];
    for (const entry of this.entries) {
      if (entry.isDone || this.hasLeft(entry)) continue;
      if (entry.packetId !== 0 && ++inflight > window) break;
      waiting.push(entry);
    }
    return waiting;
  }

  hasLeft(entry: Entry): boolean {
    return entry.left === entry.bytes.length;
  }

  inflight(): number {
    return this.entries.filter((entry) => !entry.isDone && this.hasLeft(entry)).length;
  }

  sent(entry: Entry, count: number, nowMs: number): void {
    entry.left += count;
    if (!this.hasLeft(entry)) return;
    entry.wasSent = true;
    entry.sentAtMs = nowMs;
    if (entry.packetId === 0) this.finish(entry, []);
  }

  finish(entry: Entry, kept: number[]): void {
    entry.isDone = true;
    entry.packetId = 0;
    entry.bytes = kept;
    entry.left = kept.length;
  }

  acknowledge(type: number, packetId: number, kept: number[], nowMs: number): boolean {
    const entry = this.entries.find((each) => each.packetId === packetId);
    if (entry === undefined || !this.hasLeft(entry) || entry.ack !== type) return false;
    if (type === PUBREC) Object.assign(entry, { ack: PUBCOMP, bytes: kept, left: kept.length, sentAtMs: nowMs });
    else this.finish(entry, kept);
    return true;
  }

  disconnect(keep: boolean): void {
    const kept = [PUBACK, PUBREC, PUBCOMP];
    this.entries = this.entries.filter((entry) => entry.isDone || (keep && kept.includes(entry.ack)));
    for (const entry of this.entries) if (!entry.isDone) entry.left = 0;
  }

  resume(sessionPresent: boolean): void {
    for (const entry of this.entries) {
      if (entry.isDone || !entry.wasSent) continue;
      if (entry.ack !== PUBCOMP) entry.bytes[0] |= DUP;
      else if (!sessionPresent) this.finish(entry, []);
    }
  }
}

/** As `expect(actual).toEqual(expected)`, and a hundred times as quick as long as that holds. */
function same(actual: unknown, expected: unknown): void {
  if (JSON.stringify(actual) !== JSON.stringify(expected)) expect(actual).toEqual(expected);
}

/** Does at random what a session may do, to both, and compares all that shows. */
function compare(random: Random): void {
  const capacity = 20 + random.below(200);
  const maxOperations = 1 + random.below(10);
  const window = 1 + random.below(5);
  const outbox = new Outbox(capacity, maxOperations);
  const plain = new PlainOutbox(capacity, maxOperations);
  let nowMs = 2 ** 31 - 500;
  let fill = 0;

  const sameState = (): void => {
    const { entries } = plain;
    const [oldest] = entries;
    const shown = {
      count: outbox.operations,
      inflight: outbox.inflight,
      isFull: outbox.isFull(),
      isSent: isSent(outbox),
      isIdle: isIdle(outbox),
      isMidPacket: outbox.partial > 0,
      doneType: outbox.doneType,
      done: outbox.doneType < 0 ? "" : hex(doneBytes(outbox)),
      longestWait: outbox.longestWait(nowMs | 0),
      nextPacketId: outbox.nextPacketId(),
    };
    same(shown, {
      count: entries.length,
      inflight: plain.inflight(),
      isFull: entries.length === maxOperations,
      isSent: entries.every((entry) => plain.hasLeft(entry)),
      isIdle: entries.every((entry) => entry.isDone),
      isMidPacket: entries.some((entry) => entry.left > 0 && !plain.hasLeft(entry)),
      doneType: oldest?.isDone ? oldest.ack : -1,
      done: oldest?.isDone ? hex(Uint8Array.from(oldest.bytes)) : "",
      longestWait: Math.max(
        0,
        ...entries.filter((entry) => plain.hasLeft(entry) && !entry.isDone).map(({ sentAtMs }) => nowMs - sentAtMs),
      ),
      nextPacketId: plain.nextPacketId(),
    });
  };

  const acknowledge = (type: number, packetId: number): void => {
    const keep = type === PUBREC ? 4 : type === SUBACK ? 1 + random.below(3) : 0;
    const kept = Array.from({ length: keep }, () => random.below(256));
    same(
      outbox.awaits(type, packetId) >= 0,
      plain.entries.some((entry) => entry.packetId === packetId && entry.ack === type && plain.hasLeft(entry)),
    );
    same(outbox.find(packetId) >= 0, plain.entries.some((entry) => entry.packetId === packetId));
    const waiting = outbox.awaits(type, packetId);
    if (waiting >= 0) {
      const entry = plain.entries.find((each) => each.packetId === packetId);
      const start = outbox.table[waiting + OFFSET];
      const bytes = outbox.arena.slice(start, start + outbox.table[waiting + LENGTH]);
      same([...bytes], entry?.bytes);
    }
    const at = outbox.acknowledge(type, packetId, keep, nowMs | 0);
    same(at >= 0, plain.acknowledge(type, packetId, kept, nowMs));
    if (at >= 0) outbox.arena.set(kept, at);
  };

  for (let step = 0; step < 120; step++) {
    nowMs += random.below(20);
    switch (random.below(10)) {
      case 0:
      case 1:
      case 2: {
        const bytes = packet(7 + random.below(40), fill++ & 255);
        const ack = random.pick([0, PUBACK, PUBREC, SUBACK, UNSUBACK]);
        same(add(outbox, ack, bytes), plain.add(ack, bytes));
        break;
      }
      case 3:
      case 4:
      case 5: {
        const sendable = outbox.sendable(window, Infinity);
        const waiting = plain.waiting(window);
        same(sendable > 0, waiting.length > 0);
        if (sendable === 0) break;
        const start = outbox.sendStart();
        const bytes = [...outbox.arena.slice(start, start + sendable)];
        // Nothing but whole packets, or the rest of one.
        let end = 0;
        for (const entry of waiting) {
          if (end === sendable) break;
          same(bytes.slice(end, end + entry.bytes.length - entry.left), entry.bytes.slice(entry.left));
          end += entry.bytes.length - entry.left;
        }
        same(end, sendable);
        const count = 1 + random.below(sendable);
        outbox.sent(count, nowMs | 0);
        for (let left = count; left > 0;) {
          const entry = waiting.shift()!;
          const part = Math.min(left, entry.bytes.length - entry.left);
          plain.sent(entry, part, nowMs);
          left -= part;
        }
        break;
      }
      case 6:
      case 7: {
        const known = plain.entries.filter((entry) => entry.packetId > 0);
        const entry = known.length > 0 && random.below(8) > 0 ? random.pick(known) : undefined;
        const right = random.below(8) > 0 ? entry?.ack : undefined;
        const type = right ?? random.pick([PUBACK, PUBREC, PUBCOMP, SUBACK, UNSUBACK]);
        acknowledge(type, entry?.packetId ?? 1 + random.below(20));
        break;
      }
      case 8:
        if (outbox.doneType >= 0) {
          outbox.dropDone();
          plain.entries.shift();
        } else if (random.below(4) === 0) outbox.compact();
        break;
      default: {
        if (random.below(3) > 0) break;
        const keep = random.below(3) > 0;
        const sessionPresent = random.below(2) === 0;
        outbox.disconnect(keep, false);
        plain.disconnect(keep);
        sameState();
        outbox.resume(sessionPresent, encoder);
        plain.resume(sessionPresent);
      }
    }
    sameState();
  }
}

describe("Outbox, beside one that is written without regard to memory", () => {
  it("sends the same bytes, keeps the same, has the same outcomes, whatever happens", () => {
    repeat(1000, (seed) => {
      compare(seeded(seed));
    });
  });
});
