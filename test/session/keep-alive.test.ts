import { describe, expect, it } from "@jest/globals";
import { END_ACK_OVERDUE, END_BY_APPLICATION, END_PINGRESP_OVERDUE } from "../../src/errors.js";
import { QOS_1 } from "../../src/wire.js";
import { CLOCKS, Harness, bytesOf } from "../support/session-harness.js";

/** The longest pause between two packets that were sent, and between the last one and now. */
function longestPause(h: Harness): number {
  const times = [...h.log.map(({ atMs }) => atMs), h.elapsedMs];
  return Math.max(...times.slice(1).map((atMs, i) => atMs - times[i]));
}

describe.each(CLOCKS)("Session, keep alive on a clock %s", (...clock) => {
  describe.each([1, 2, 60, 65535])("of %i s", (keepAliveSeconds) => {
    const keepAliveMs = keepAliveSeconds * 1000;
    const settings = { clock, keepAliveSeconds, ackTimeoutMs: 2 ** 30 };

    it("sends PINGREQ before the keep alive time is over, again and again [MQTT-3.1.2-23]", () => {
      const h = Harness.up(settings);
      for (let round = 0; round < 100; round++) {
        if (h.advance(keepAliveMs / 4).includes("PINGREQ")) h.receive("PINGRESP");
      }
      expect(h.events).toEqual([]);
      expect(longestPause(h)).toBeLessThan(keepAliveMs);
      expect(h.log.filter(({ line }) => line === "PINGREQ").length).toBeLessThan(28);
    });

    it("sends PINGREQ in time also when timers are a sixteenth late", () => {
      const lateMs = Math.floor(keepAliveMs / 16);
      const h = Harness.up(settings);
      for (let round = 0; round < 100; round++) {
        if (h.advance(keepAliveMs / 4, { lateMs }).includes("PINGREQ")) h.receive("PINGRESP");
      }
      expect(h.events).toEqual([]);
      expect(longestPause(h)).toBeLessThanOrEqual(keepAliveMs);
    });

    it("sends PINGREQ also while messages arrive: receiving is not sending", () => {
      const h = Harness.up(settings);
      for (let round = 0; round < 100; round++) {
        h.receive("PUBLISH q0 t=x");
        if (h.advance(keepAliveMs / 10).includes("PINGREQ")) h.receive("PINGRESP");
      }
      expect(longestPause(h)).toBeLessThan(keepAliveMs);
      expect(h.events).toEqual(Array(100).fill("message q0 t=x"));
    });

    it("sends no PINGREQ as long as other packets are sent and received", () => {
      const h = Harness.up(settings);
      for (let round = 0; round < 50; round++) {
        h.session.publish("t", "x", QOS_1);
        h.flush();
        h.advance(keepAliveMs / 10);
        h.receive(`PUBACK #${round + 1}`);
        h.advance(keepAliveMs / 10);
      }
      expect(h.log.map(({ line }) => line)).not.toContain("PINGREQ");
    });

    it("sends PINGREQ when nothing is received for as long, though sending goes on", () => {
      const h = Harness.up(settings);
      const lines = [];
      for (let round = 0; round < 10; round++) {
        h.session.publish("t", "x", 0);
        lines.push(...h.flush(), ...h.advance(keepAliveMs / 10));
      }
      expect(lines.filter((line) => line === "PINGREQ")).toHaveLength(1);
    });

    it("ends no later than after twice the keep alive time when nothing answers", () => {
      for (const isSending of [false, true]) {
        const h = Harness.up(settings);
        for (let round = 0; round < 20 && h.isConnected; round++) {
          if (isSending) h.session.publish("t", "x", 0);
          h.flush();
          h.advance(keepAliveMs / 10);
        }
        expect(h.events.filter((event) => event !== "done q0")).toEqual([`end ${END_PINGRESP_OVERDUE}`]);
      }
    });

    it("does not end before the broker had the keep alive time to answer", () => {
      const h = Harness.up(settings);
      while (!h.advance(keepAliveMs / 20).includes("PINGREQ"));
      h.elapsedMs = h.log[h.log.length - 1].atMs;
      h.advance(keepAliveMs - 1);
      expect(h.events).toEqual([]);
      h.receive("PINGRESP");
      h.advance(keepAliveMs / 2);
      expect(h.isConnected).toBe(true);
    });

    it("ends also when nothing can be sent", () => {
      const h = Harness.up(settings);
      h.advance(2 * keepAliveMs, { isStuck: true });
      expect(h.events).toEqual([`end ${END_PINGRESP_OVERDUE}`]);
    });

    it("survives a sleep of hours, if the broker does", () => {
      const h = Harness.up(settings);
      h.elapsedMs += 5 * 3600 * 1000 + 2 * keepAliveMs;
      h.tick();
      expect(h.flush()).toEqual(["PINGREQ"]);
      h.receive("PINGRESP");
      h.advance(keepAliveMs / 2);
      expect(h.events).toEqual([]);
    });

    it("never lets the deadline come later than there is something to do", () => {
      const h = Harness.up(settings);
      for (let round = 0; round < 200; round++) {
        const isOdd = round % 2 === 1;
        if (round % 3 === 0) h.receive("PUBLISH q0 t=x");
        if (round % 7 === 0) h.session.publish("t", "x", 0);
        h.flush();
        const before = h.deadline();
        h.tick();
        // Nothing was due before the deadline.
        if (before > h.elapsedMs) expect(h.session.pending(Infinity)).toBe(0);
        if (h.advance(keepAliveMs / (isOdd ? 3 : 5)).includes("PINGREQ")) h.receive("PINGRESP");
      }
      expect(longestPause(h)).toBeLessThan(keepAliveMs);
    });
  });
});

describe("Session, keep alive", () => {
  const settings = { keepAliveSeconds: 60, ackTimeoutMs: 10000000, drainTimeoutMs: 1000000 };

  /** A session that sent PINGREQ, after 56.25 s. */
  function pinging(more = {}): Harness {
    const h = Harness.up({ ...settings, ...more });
    while (!h.advance(250).includes("PINGREQ"));
    h.log = h.log.slice(-1);
    return h;
  }

  it("ends as long after PINGREQ as the keep alive time is", () => {
    const h = pinging();
    h.advance(59999);
    expect(h.events).toEqual([]);
    h.advance(1);
    expect(h.events).toEqual([`end ${END_PINGRESP_OVERDUE}`]);
    expect(h.log.map(({ line }) => line)).toEqual(["PINGREQ"]);
  });

  it("sends PINGREQ in time behind a message that passed the queue while PINGRESP was awaited [MQTT-3.1.2-23]", () => {
    for (const waitMs of [0, 1, 1000, 3749, 3750, 3751, 30000, 56249, 56250, 56251, 59999]) {
      const h = pinging();
      h.advance(waitMs);
      expect(h.session.publishAtOnce("t", "x", 0, 1000, h.now())).toBe(6);
      h.session.outbox.dropDone();
      const sentMs = h.elapsedMs;
      h.receive("PINGRESP");
      while (!h.advance(1).includes("PINGREQ"));
      expect(h.elapsedMs - sentMs).toBeLessThanOrEqual(60000);
    }
  });

  it("takes any other packet for no answer to PINGREQ", () => {
    const h = pinging();
    for (let second = 0; second < 60; second++) {
      h.receive("PUBLISH q0 t=x");
      h.advance(1000);
    }
    expect(h.events[h.events.length - 1]).toBe(`end ${END_PINGRESP_OVERDUE}`);
  });

  it("waits for PINGRESP as long as a packet is arriving, which it cannot overtake", () => {
    const h = pinging({ rxCapacity: 4096 });
    const bytes = bytesOf("PUBLISH q0 t=x*2000", "PINGRESP");
    // Ten bytes every second: 200 seconds.
    for (let at = 0; at < bytes.length; at += 10) {
      h.feed(bytes.slice(at, at + 10));
      h.advance(1000);
    }
    expect(h.events).toEqual(["message q0 t=x*2000"]);
    h.advance(30000);
    expect(h.isConnected).toBe(true);
  });

  it("goes on sending PINGREQ while that packet is arriving [MQTT-3.1.2-23]", () => {
    const h = pinging({ rxCapacity: 4096 });
    const bytes = bytesOf("PUBLISH q0 t=x*2000", "PINGRESP", "PINGRESP", "PINGRESP", "PINGRESP");
    for (let at = 0; at < bytes.length; at += 10) {
      h.feed(bytes.slice(at, at + 10));
      h.advance(1000, { lateMs: 100 });
    }
    expect(longestPause(h)).toBeLessThan(60000);
    expect(new Set(h.log.map(({ line }) => line))).toEqual(new Set(["PINGREQ"]));
    h.advance(50000);
    expect(h.isConnected).toBe(true);
  });

  it("ends when a packet that was arriving stops", () => {
    const h = pinging({ rxCapacity: 4096 });
    const bytes = bytesOf("PUBLISH q0 t=x*2000");
    for (let at = 0; at < 1000; at += 10) {
      h.feed(bytes.slice(at, at + 10));
      h.advance(1000);
    }
    expect(h.events).toEqual([]);
    h.advance(120000);
    expect(h.events).toEqual([`end ${END_PINGRESP_OVERDUE}`]);
  });

  it("waits for PINGRESP as long as a packet is leaving, which PINGREQ cannot overtake", () => {
    const h = Harness.up({ ...settings, txCapacity: 4096 });
    h.session.publish("t", "x".repeat(2000), 0);
    for (let sent = 0; sent < 2000; sent += 10) {
      h.flush(10);
      h.advance(1000, { isStuck: true });
    }
    expect(h.events).toEqual([]);
    expect(h.flush()).toEqual(["PUBLISH q0 t=x*2000", "PINGREQ"]);
    h.advance(59000);
    h.receive("PINGRESP");
    expect(h.events).toEqual(["done q0"]);
    h.advance(50000);
    expect(h.isConnected).toBe(true);
  });

  it("ends when a packet that was leaving stops", () => {
    const h = Harness.up({ ...settings, txCapacity: 4096 });
    h.session.publish("t", "x".repeat(2000), 0);
    for (let sent = 0; sent < 1000; sent += 10) {
      h.flush(10);
      h.advance(1000, { isStuck: true });
    }
    expect(h.events).toEqual([]);
    h.advance(60000, { isStuck: true });
    expect(h.events).toEqual([`end ${END_PINGRESP_OVERDUE}`]);
  });

  it("does not let PINGREQ wait behind a full window", () => {
    const h = Harness.up({ ...settings, maxInflight: 1 });
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_1);
    h.flush();
    expect(h.advance(60000)).toEqual(["PINGREQ"]);
  });

  it("sends PINGREQ behind the packet that has left in part, before all others", () => {
    const h = Harness.up(settings);
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_1);
    h.flush(3);
    h.advance(60000, { isStuck: true });
    expect(h.flush()).toEqual(["PUBLISH q1 #1 t=1", "PINGREQ", "PUBLISH q1 #2 t=2"]);
  });

  it("ignores a PINGRESP that nobody asked for", () => {
    const h = Harness.up(settings);
    h.receive("PINGRESP", "PINGRESP");
    expect(h.advance(60000)).toEqual(["PINGREQ"]);
    h.receive("PINGRESP", "PINGRESP");
    expect(h.advance(60000)).toEqual(["PINGREQ"]);
    expect(h.events).toEqual([]);
  });

  it("takes PINGRESP for no answer as long as PINGREQ has not left", () => {
    const h = Harness.up(settings);
    for (let second = 0; second < 120; second++) {
      h.receive("PINGRESP");
      h.advance(1000, { isStuck: true });
    }
    expect(h.events).toEqual([`end ${END_PINGRESP_OVERDUE}`]);
  });

  it("takes PINGRESP for an answer also when acknowledgements behind PINGREQ have not left", () => {
    const h = Harness.up(settings);
    h.advance(57000, { isStuck: true });
    h.receive("PUBLISH q1 #1 t=x");
    expect(h.flush(2)).toEqual(["PINGREQ"]);
    h.receive("PINGRESP");
    h.flush(1);
    h.advance(58000, { isStuck: true });
    expect(h.flush()).toEqual(["PUBACK #1", "PINGREQ"]);
    h.receive("PINGRESP");
    h.advance(50000);
    expect(h.isConnected).toBe(true);
  });

  it("counts from CONNECT on, before any other packet was sent", () => {
    const h = new Harness({ ...settings, keepAliveSeconds: 4 });
    h.connect();
    h.flush();
    h.advance(3000);
    h.receive("CONNACK");
    expect(h.advance(999)).toEqual(["PINGREQ"]);
  });

  it("starts anew with each connection", () => {
    const h = pinging();
    h.advance(30000);
    h.reopen("CONNACK");
    h.takeEvents();
    h.advance(55000);
    expect(h.events).toEqual([]);
    expect(h.advance(5000)).toEqual(["PINGREQ"]);
  });

  it("goes on while the connection is drained", () => {
    const h = Harness.up(settings);
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.session.disconnect(h.now());
    for (let round = 0; round < 20; round++) {
      if (h.advance(30000).includes("PINGREQ")) h.receive("PINGRESP");
    }
    expect(h.events).toEqual([]);
    expect(longestPause(h)).toBeLessThan(60000);
    h.receive("PUBACK #1");
    expect(h.flush()).toEqual(["DISCONNECT"]);
    expect(h.events).toEqual(["done PUBACK", `end ${END_BY_APPLICATION}`]);
  });

  it("does not lengthen the time for draining", () => {
    const h = Harness.up({ ...settings, drainTimeoutMs: 70000 });
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.session.disconnect(h.now());
    expect(h.advance(60000)).toEqual(["PINGREQ"]);
    h.receive("PINGRESP");
    expect(h.advance(9999)).toEqual([]);
    expect(h.advance(1)).toEqual(["DISCONNECT"]);
  });
});

describe.each(CLOCKS)("Session, acknowledgement timeout on a clock %s", (...clock) => {
  const settings = { clock, ackTimeoutMs: 20000 };

  it("ends when an operation is not acknowledged in time", () => {
    const operations: [(h: Harness) => number, string[]][] = [
      [(h) => h.session.publish("t", "x", QOS_1), []],
      [(h) => h.session.publish("t", "x", 4), []],
      [(h) => h.session.subscribe({ t: 0 }), []],
      [(h) => h.session.unsubscribe({ t: 0 }), []],
    ];
    for (const [operation] of operations) {
      const h = Harness.up(settings);
      operation(h);
      h.flush();
      h.advance(19999);
      expect(h.events).toEqual([]);
      h.advance(1);
      expect(h.events).toEqual([`end ${END_ACK_OVERDUE}`]);
    }
  });

  it("does not send anything again within a connection (4.4)", () => {
    const h = Harness.up(settings);
    h.session.publish("t", "x", QOS_1);
    expect([...h.flush(), ...h.advance(19999)]).toEqual(["PUBLISH q1 #1 t=x"]);
  });

  it("counts from when the packet has left", () => {
    const h = Harness.up(settings);
    h.session.publish("t", "x", QOS_1);
    h.flush(5);
    h.advance(15000, { isStuck: true });
    h.flush();
    h.advance(19999);
    expect(h.events).toEqual([]);
    h.advance(1);
    expect(h.events).toEqual([`end ${END_ACK_OVERDUE}`]);
  });

  it("counts anew from PUBREC on", () => {
    const h = Harness.up(settings);
    h.session.publish("t", "x", 4);
    h.flush();
    h.advance(15000);
    h.receive("PUBREC #1");
    h.flush();
    h.advance(19999);
    expect(h.events).toEqual([]);
    h.advance(1);
    expect(h.events).toEqual([`end ${END_ACK_OVERDUE}`]);
  });

  it("counts for each operation, the oldest first", () => {
    const h = Harness.up(settings);
    for (let i = 1; i <= 4; i++) {
      h.session.publish("t", "x", QOS_1);
      h.flush();
      h.advance(4000);
    }
    h.receive("PUBACK #1", "PUBACK #3");
    // The second one was sent at 4 s: 12 s ago.
    h.advance(7999);
    expect(h.takeEvents()).toEqual(["done PUBACK"]);
    h.advance(1);
    // The third one waited for the second.
    h.takeDone();
    expect(h.events).toEqual([`end ${END_ACK_OVERDUE}`, "done PUBACK"]);
  });

  it("counts anew on another connection", () => {
    const h = Harness.up({ ...settings, cleanSession: false });
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.advance(15000);
    h.reopen("CONNACK present");
    h.flush();
    h.takeEvents();
    h.advance(19999);
    expect(h.events).toEqual([]);
    h.advance(1);
    expect(h.events).toEqual([`end ${END_ACK_OVERDUE}`]);
  });

  it("leaves alone what waits behind the window", () => {
    const h = Harness.up({ ...settings, maxInflight: 1 });
    for (let i = 1; i <= 10; i++) h.session.publish("t", "x", QOS_1);
    for (let i = 1; i <= 10; i++) {
      h.flush();
      h.advance(15000);
      h.receive(`PUBACK #${i}`);
      h.receive("PINGRESP");
    }
    expect(h.events).toEqual(Array(10).fill("done PUBACK"));
  });
});
