import { describe, expect, it } from "@jest/globals";
import { END_ACK_OVERDUE, END_BY_APPLICATION, END_PINGRESP_OVERDUE, NO_ROOM } from "../../src/errors.js";
import { QOS_1, QOS_2 } from "../../src/wire.js";
import { CLOCKS, Harness, bytesOf } from "../support/session-harness.js";

describe("Session, what leaves together", () => {
  it("are all acknowledgements that are due", () => {
    const h = Harness.up();
    h.receive("PUBLISH q1 #1 t=x", "PUBLISH q2 #2 t=x", "PUBREL #2", "PUBREC #9");
    expect(h.session.pending(Infinity)).toBe(16);
    expect(h.flush()).toEqual(["PUBACK #1", "PUBREC #2", "PUBCOMP #2", "PUBREL #9"]);
  });

  it("are all operations that the window lets go", () => {
    const h = Harness.up({ maxInflight: 2 });
    for (let i = 0; i < 4; i++) h.session.publish("t", "x", i === 0 ? 0 : QOS_1);
    expect(h.session.pending(Infinity)).toBe(6 + 8 + 8);
  });

  it("are whole packets, but for the rest of one that was begun, which leaves alone", () => {
    const h = Harness.up();
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_1);
    h.flush(5);
    expect(h.session.pending(Infinity)).toBe(3);
    h.flush(3);
    expect(h.session.pending(Infinity)).toBe(8);
  });
});

describe("Session, a packet that was begun", () => {
  it("is finished before any other, in pieces of every size", () => {
    for (let piece = 1; piece <= 40; piece++) {
      const h = Harness.up({ maxInflight: 3 });
      // Inside of each piece that leaves, something else becomes due: the tap throws when packets mix.
      let round = 0;
      const lines: string[] = [];
      for (let i = 1; i <= 3; i++) h.session.publish("t", "x".repeat(10 * i), QOS_2);
      for (; h.session.pending(Infinity) > 0 || round < 30; round++) {
        lines.push(...h.flush(piece));
        if (round % 5 === 0 && round < 30) h.receive(`PUBLISH q1 #${round + 1} t=x`);
        if (round % 7 === 0 && round < 30) h.session.publish("t", "y", 0);
      }
      const publishes = lines.filter((line) => line.startsWith("PUBLISH q2"));
      expect(publishes).toEqual(["PUBLISH q2 #1 t=x*10", "PUBLISH q2 #2 t=x*20", "PUBLISH q2 #3 t=x*30"]);
      expect(lines.filter((line) => line.startsWith("PUBACK"))).toEqual(
        [1, 6, 11, 16, 21, 26].map((id) => `PUBACK #${id}`),
      );
      expect(lines.filter((line) => line === "PUBLISH q0 t=y")).toHaveLength(5);
      expect(h.isMidPacket()).toBe(false);
    }
  });

  it("lets an acknowledgement pass directly behind it", () => {
    const h = Harness.up();
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_1);
    h.flush(3);
    h.receive("PUBLISH q1 #7 t=x");
    expect(h.flush()).toEqual(["PUBLISH q1 #1 t=1", "PUBACK #7", "PUBLISH q1 #2 t=2"]);
  });

  it("stays as it is when packets move together", () => {
    const h = Harness.up({ txCapacity: 60 });
    h.session.publish("t", "x".repeat(20), QOS_1);
    h.session.publish("t", "y".repeat(20), QOS_1);
    h.flush(27 + 9);
    h.receive("PUBACK #1");
    expect(h.session.publish("t", "z".repeat(20), QOS_1)).toBe(3);
    expect(h.flush()).toEqual(["PUBLISH q1 #2 t=y*20", "PUBLISH q1 #3 t=z*20"]);
  });

  it("decodes the same, whatever the pieces", () => {
    for (let piece = 1; piece <= 64; piece++) {
      const h = Harness.up({ maxInflight: 2 });
      h.session.subscribe({ "a/b": 1, "c": 2 });
      for (let i = 0; i < 5; i++) h.session.publish("t", "x".repeat(3 * i), i % 3 << 1);
      h.receive("PUBLISH q1 #1 t=x", "PUBLISH q2 #2 t=x");
      const lines = h.flush(Infinity, piece);
      h.receive("SUBACK #1 1,2", "PUBACK #2");
      lines.push(...h.flush(Infinity, piece));
      expect(lines).toEqual([
        "PUBACK #1",
        "PUBREC #2",
        "SUBSCRIBE #1 a/b:1 c:2",
        "PUBLISH q0 t=",
        "PUBLISH q1 #2 t=xxx",
        "PUBLISH q2 #3 t=xxxxxx",
        "PUBLISH q0 t=x*9",
        "PUBLISH q1 #4 t=x*12",
      ]);
    }
  });
});

describe("Session, acknowledgements that cannot leave", () => {
  it("hold what is received, and nothing is lost when they can", () => {
    for (const chunkSize of [1, 5, 64, Infinity]) {
      const h = Harness.up();
      h.chunkSize = chunkSize;
      const lines = Array.from({ length: 300 }, (_, i) => `PUBLISH q1 #${i + 1} t=${i}`);
      h.receive(...lines);
      expect(h.session.isHeld()).toBe(true);
      const before = h.events.length;
      expect(before).toBeGreaterThan(10);
      expect(before).toBeLessThan(20);
      expect(h.session.receive(bytesOf("PUBLISH q0 t=x"), 0, 6, h.now())).toBe(0);
      expect(h.flush()).toEqual(lines.map((_, i) => `PUBACK #${i + 1}`));
      expect(h.session.isHeld()).toBe(false);
      expect(h.events).toEqual(lines.map((_, i) => `message q1 #${i + 1} t=${i}`));
    }
  });

  it("hold it also while they leave byte by byte", () => {
    const h = Harness.up();
    const lines = Array.from({ length: 100 }, (_, i) => `PUBLISH q2 #${(i % 16) + 1} t=x`);
    h.receive(...lines.flatMap((line, i) => [line, `PUBREL #${(i % 16) + 1}`]));
    const sent: string[] = [];
    while (h.session.pending(Infinity) > 0) sent.push(...h.flush(1));
    expect(sent).toHaveLength(200);
    expect(h.events).toHaveLength(100);
  });

  it("do not grow without end in a flood of PUBREC, PUBREL, PUBLISH or PINGRESP", () => {
    for (const line of ["PUBREC #9", "PUBREL #9", "PUBLISH q1 #9 t=x", "PUBLISH q2 #9 t=x", "PINGRESP"]) {
      const h = Harness.up({ ackTimeoutMs: 2 ** 30 });
      h.session.publish("t", "x", QOS_2);
      h.flush();
      for (let i = 0; i < 200; i++) {
        h.receive(...Array<string>(10).fill(line));
        if (h.isConnected) expect(h.session.pending(Infinity)).toBeLessThanOrEqual(64);
        h.advance(1000, { isStuck: true });
      }
      expect(h.events[h.events.length - 1]).toBe(`end ${END_PINGRESP_OVERDUE}`);
    }
  });

  it("leave room for PINGREQ and DISCONNECT, however many there are", () => {
    for (let count = 0; count < 40; count++) {
      for (const isPingFirst of [true, false]) {
        const h = Harness.up();
        if (isPingFirst) h.advance(57000, { isStuck: true });
        h.receive(...Array.from({ length: count }, (_, i) => `PUBLISH q1 #${i + 1} t=x`));
        if (!isPingFirst) h.advance(57000, { isStuck: true });
        expect(h.session.disconnect(h.now())).toBe(true);
        const lines = h.flush();
        expect(lines.filter((line) => line === "PINGREQ")).toHaveLength(1);
        expect(lines[lines.length - 1]).toBe("DISCONNECT");
        expect(lines).toContain(isPingFirst || count === 0 ? "PINGREQ" : "PUBACK #1");
      }
    }
  });

  it("end the connection when they cannot leave at all", () => {
    const h = Harness.up();
    h.receive(...Array<string>(100).fill("PUBLISH q1 #1 t=x"));
    h.advance(120000, { isStuck: true });
    expect(h.events[h.events.length - 1]).toBe(`end ${END_PINGRESP_OVERDUE}`);
  });
});

describe("Session.disconnect", () => {
  it("sends DISCONNECT, and ends when it has left [MQTT-3.14.4-1]", () => {
    const h = Harness.up();
    expect(h.session.disconnect(h.now())).toBe(true);
    expect(h.session.isUp()).toBe(false);
    expect(h.events).toEqual([]);
    h.flush(1);
    expect(h.events).toEqual([]);
    expect(h.flush()).toEqual(["DISCONNECT"]);
    expect(h.events).toEqual([`end ${END_BY_APPLICATION}`]);
  });

  it("sends nothing behind DISCONNECT [MQTT-3.14.4-2]", () => {
    const h = Harness.up();
    h.session.disconnect(h.now());
    h.flush(1);
    h.receive("PUBLISH q1 #1 t=x", "PUBREC #1", "PUBREL #1");
    expect(h.session.publish("t", "x", 0)).toBe(NO_ROOM);
    expect(h.session.subscribe({ t: 0 })).toBe(NO_ROOM);
    expect(h.session.pending(Infinity)).toBe(1);
    expect(h.flush()).toEqual(["DISCONNECT"]);
    expect(h.session.pending(Infinity)).toBe(0);
    expect(h.events).toEqual([`end ${END_BY_APPLICATION}`]);
  });

  it("says false when there is nothing to end, or it is ending already", () => {
    const h = new Harness();
    expect(h.session.disconnect(h.now())).toBe(false);
    h.open();
    expect(h.session.disconnect(h.now())).toBe(true);
    expect(h.session.disconnect(h.now())).toBe(false);
    h.session.pending(Infinity);
    expect(h.session.disconnect(h.now())).toBe(false);
    h.flush();
    expect(h.session.disconnect(h.now())).toBe(false);
    expect(h.log.filter(({ line }) => line === "DISCONNECT")).toHaveLength(1);
  });

  it("sends what was queued, and DISCONNECT behind it", () => {
    const h = Harness.up();
    h.session.publish("t", "1", 0);
    h.session.publish("t", "2", 0);
    h.receive("PUBLISH q1 #9 t=x");
    h.session.disconnect(h.now());
    expect(h.flush()).toEqual(["PUBACK #9", "PUBLISH q0 t=1", "PUBLISH q0 t=2", "DISCONNECT"]);
    expect(h.events).toEqual(["message q1 #9 t=x", "done q0", "done q0", `end ${END_BY_APPLICATION}`]);
  });

  it("finishes a packet that has left in part, wherever that was", () => {
    for (let left = 0; left <= 60; left++) {
      const h = Harness.up();
      h.session.publish("t", "x".repeat(50), 0);
      h.flush(left);
      h.session.disconnect(h.now());
      const rest = h.flush();
      expect(h.log.map(({ line }) => line).slice(1)).toEqual(["PUBLISH q0 t=x*50", "DISCONNECT"]);
      expect(rest.length).toBeGreaterThan(0);
    }
  });

  it("finishes a large packet in small pieces, also when the time for draining is over", () => {
    const h = Harness.up({ drainTimeoutMs: 100 });
    h.session.publish("t", "x".repeat(900), QOS_1);
    h.session.disconnect(h.now());
    const lines: string[] = [];
    for (let i = 0; i < 100; i++) {
      lines.push(...h.flush(10));
      h.advance(50, { isStuck: true });
    }
    expect(lines).toEqual(["PUBLISH q1 #1 t=x*900", "DISCONNECT"]);
    expect(h.events).toEqual([`end ${END_BY_APPLICATION}`]);
  });

  it("waits for acknowledgements, answers and delivers meanwhile", () => {
    const h = Harness.up();
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_2);
    h.session.subscribe({ t: 0 });
    h.flush();
    h.session.disconnect(h.now());
    expect(h.session.pending(Infinity)).toBe(0);
    h.receive("PUBACK #1", "PUBLISH q2 #5 t=x", "PUBREL #5", "PUBREC #2");
    expect(h.flush()).toEqual(["PUBREC #5", "PUBCOMP #5", "PUBREL #2"]);
    h.receive("PUBCOMP #2");
    expect(h.session.pending(Infinity)).toBe(0);
    h.receive("SUBACK #3 0");
    expect(h.flush()).toEqual(["DISCONNECT"]);
    expect(h.events).toEqual([
      "done PUBACK", "message q2 #5 t=x", "done PUBCOMP", "done SUBACK 0", `end ${END_BY_APPLICATION}`,
    ]);
  });

  describe.each(CLOCKS)("on a clock %s", (...clock) => {
    it("waits for acknowledgements no longer than drainTimeoutMs", () => {
      for (const drainTimeoutMs of [0, 1, 2000]) {
        const h = Harness.up({ clock, drainTimeoutMs });
        h.session.publish("t", "x", QOS_1);
        h.flush();
        h.session.disconnect(h.now());
        if (drainTimeoutMs > 0) expect(h.advance(drainTimeoutMs - 1)).toEqual([]);
        expect(h.events).toEqual([]);
        expect(h.advance(1)).toEqual(["DISCONNECT"]);
        expect(h.events).toEqual([`end ${END_BY_APPLICATION}`]);
      }
    });

    it("ends within 5 s more when the network takes nothing", () => {
      const h = Harness.up({ clock });
      h.session.publish("t", "x", 0);
      h.flush(2);
      h.session.disconnect(h.now());
      h.advance(6999, { isStuck: true });
      expect(h.events).toEqual([]);
      h.advance(1, { isStuck: true });
      expect(h.events).toEqual([`end ${END_BY_APPLICATION}`]);
      expect(h.session.pending(Infinity)).toBe(0);
    });

    it("gives DISCONNECT 5 s to leave, from when it was its turn", () => {
      const h = Harness.up({ clock, drainTimeoutMs: 20000 });
      h.session.publish("t", "x", 0);
      h.session.disconnect(h.now());
      h.flush(3);
      h.advance(15000, { isStuck: true });
      h.flush(4);
      // One byte of DISCONNECT has left, and for five seconds no other.
      h.advance(4999, { isStuck: true });
      expect(h.events).toEqual(["done q0"]);
      expect(h.flush()).toEqual(["DISCONNECT"]);
    });
  });

  it("sends what waited behind a full window, once nothing is waited for any more, then DISCONNECT", () => {
    const h = Harness.up({ maxInflight: 1 });
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", 0);
    h.session.publish("t", "3", QOS_1);
    h.session.publish("t", "4", 0);
    h.session.disconnect(h.now());
    expect(h.flush()).toEqual(["PUBLISH q1 #1 t=1", "PUBLISH q0 t=2"]);
    h.advance(1999);
    expect(h.advance(1)).toEqual(["PUBLISH q1 #2 t=3", "PUBLISH q0 t=4", "DISCONNECT"]);
    expect(h.events).toEqual([`end ${END_BY_APPLICATION}`, "done q0", "done q0"]);
  });

  it("sends what is queued behind a stalled network when that goes on after the time for draining", () => {
    const h = Harness.up({ drainTimeoutMs: 0 });
    h.session.publish("t", "1", 0);
    h.session.publish("t", "2", QOS_2);
    h.session.disconnect(h.now());
    h.advance(3000, { isStuck: true });
    expect(h.flush(10)).toEqual(["PUBLISH q0 t=1"]);
    h.receive("PUBLISH q1 #7 t=x");
    expect(h.flush()).toEqual(["PUBLISH q2 #1 t=2", "PUBACK #7", "DISCONNECT"]);
  });

  it("keeps for the next connection what was not acknowledged, if the session goes on", () => {
    const h = Harness.up({ cleanSession: false });
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.session.disconnect(h.now());
    h.advance(2000);
    h.reopen("CONNACK present");
    expect(h.flush()).toEqual(["PUBLISH q1 #1 dup t=x"]);
  });

  it("before CONNACK sends the rest of CONNECT, and DISCONNECT behind it", () => {
    for (let left = 0; left <= 16; left++) {
      const h = new Harness({ cleanSession: false });
      h.open();
      h.session.publish("t", "x", QOS_1);
      h.lose();
      h.events = [];
      h.log = [];
      h.connect();
      h.flush(left);
      expect(h.session.disconnect(h.now())).toBe(true);
      h.receive("CONNACK");
      h.flush();
      expect(h.log.map(({ line }) => line)).toEqual(["CONNECT me", "DISCONNECT"]);
      expect(h.events).toEqual([`end ${END_BY_APPLICATION}`]);
    }
  });

  it("before CONNACK ends within 5 s when the network takes nothing", () => {
    for (const left of [0, 5, 16]) {
      const h = new Harness();
      h.connect();
      h.flush(left);
      h.session.disconnect(h.now());
      h.advance(4999, { isStuck: true });
      expect(h.events).toEqual([]);
      h.advance(1, { isStuck: true });
      expect(h.events).toEqual([`end ${END_BY_APPLICATION}`]);
    }
  });

  it("ends with what came first: a lost broker is noticed while draining", () => {
    const settings = { drainTimeoutMs: 2 ** 30, ackTimeoutMs: 90000 };
    const silent = Harness.up(settings);
    silent.session.publish("t", "x", QOS_1);
    silent.flush();
    silent.session.disconnect(silent.now());
    silent.advance(120000);
    expect(silent.events).toEqual([`end ${END_ACK_OVERDUE}`]);

    const gone = Harness.up({ ...settings, ackTimeoutMs: 2 ** 30 });
    gone.session.publish("t", "x", QOS_1);
    gone.flush();
    gone.session.disconnect(gone.now());
    gone.advance(120000);
    expect(gone.events).toEqual([`end ${END_PINGRESP_OVERDUE}`]);
  });

  it("stops delivering once DISCONNECT is on its way", () => {
    const h = Harness.up();
    h.session.disconnect(h.now());
    h.flush(1);
    h.receive("PUBLISH q0 t=x", "PUBLISH q1 #1 t=x");
    expect(h.waiting).toHaveLength(0);
    expect(h.events).toEqual([]);
  });
});
