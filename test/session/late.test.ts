/** Ticks that come late: a device that slept has heard nothing meanwhile, and waits anew for what may have come. */
import { describe, expect, it } from "@jest/globals";
import { QOS_1, QOS_2 } from "../../src/wire.js";
import { CLOCKS, Harness } from "../support/session-harness.js";

/** Time passes, and no timer fires. */
function sleep(h: Harness, ms: number): void {
  h.elapsedMs += ms;
}

describe.each(CLOCKS)("A tick that comes late, on a clock %s", (...clock) => {
  const up = (settings = {}): Harness => Harness.up({ clock, keepAliveSeconds: 16, ackTimeoutMs: 30000, ...settings });

  it("sends the PINGREQ that was due at once, and waits for its answer", () => {
    const h = up();
    sleep(h, 100000);
    h.tick();
    expect(h.flush()).toEqual(["PINGREQ"]);
    expect(h.advance(15999)).toEqual([]);
    h.receive("PINGRESP");
    h.advance(10000);
    expect(h.events).toEqual([]);
  });

  it("does not end the session for want of a PINGRESP that may be there, and not yet read", () => {
    const h = up();
    expect(h.advance(15000)).toEqual(["PINGREQ"]);
    sleep(h, 100000);
    h.tick();
    h.flush();
    h.receive("PINGRESP");
    h.advance(100);
    expect(h.events).toEqual([]);
    expect(h.isConnected).toBe(true);
  });

  it("leaves no gap between packets that is longer than the keep alive time, once awake [MQTT-3.1.2-23]", () => {
    // Awake again from 1 to 40 s behind PINGREQ, whose answer is read then, or was read before.
    for (const lengthMs of [1, 14000, 15500, 17000, 20000, 40000]) {
      for (const isRead of [true, false]) {
        const h = up();
        expect(h.advance(15000)).toEqual(["PINGREQ"]);
        if (isRead) h.receive("PINGRESP");
        sleep(h, lengthMs);
        const awakeMs = h.elapsedMs;
        if (h.deadline() <= awakeMs) h.tick();
        if (h.flush().includes("PINGREQ") || !isRead) h.receive("PINGRESP");
        for (let i = 0; i < 1000; i++) if (h.advance(100).includes("PINGREQ")) h.receive("PINGRESP");
        expect(h.events).toEqual([]);
        const times = h.log.map(({ atMs }) => atMs).filter((atMs) => atMs >= 15000);
        // Behind the first one the next is sent in time, or at once.
        expect(times[1]).toBeLessThanOrEqual(Math.max(31000, awakeMs));
        for (let i = 2; i < times.length; i++) expect(times[i] - times[i - 1]).toBeLessThanOrEqual(16000);
        expect(times.length).toBeGreaterThan(5);
      }
    }
  });

  it("is due when the clock has turned by half in the sleep, and the deadline seems to lie ahead", () => {
    for (const days of [25, 30, 35]) {
      const h = up();
      sleep(h, days * 86400000);
      h.tick();
      expect(h.flush()).toEqual(["PINGREQ"]);
    }
  });

  it("ends it when nothing answers after that, within twice the keep alive time", () => {
    const h = up();
    h.advance(15000);
    sleep(h, 100000);
    h.tick();
    h.flush();
    h.advance(32000);
    expect(h.events).toEqual(["end -11"]);
  });

  it("does not end it for want of an acknowledgement that may be there; that has all of its time again", () => {
    const h = up();
    h.session.publish("t", "x", QOS_1);
    h.session.publish("t", "y", QOS_2);
    h.flush();
    sleep(h, 100000);
    h.tick();
    h.flush();
    h.receive("PINGRESP", "PUBACK #1");
    h.advance(14000);
    h.flush();
    h.receive("PINGRESP");
    h.advance(15000);
    expect(h.events).toEqual(["done PUBACK"]);
    h.receive("PINGRESP");
    h.advance(1000);
    expect(h.events).toEqual(["done PUBACK", "end -12"]);
    expect(h.elapsedMs).toBe(130000);
  });

  it("changes nothing when it is late by a sixteenth of the keep alive time, and no more", () => {
    for (const [lateMs, isLate] of [[999, false], [1000, false], [1001, true]] as const) {
      const h = up({ ackTimeoutMs: 12000 });
      h.session.publish("t", "x", QOS_1);
      h.flush();
      sleep(h, 12000 + lateMs);
      h.tick();
      expect(h.events).toEqual(isLate ? [] : ["end -12"]);
    }
  });

  it("counts once in a row: where all are late, what is overdue ends the session with the second", () => {
    const h = up();
    h.session.publish("t", "x", QOS_1);
    h.flush();
    sleep(h, 100000);
    h.tick();
    h.flush();
    h.receive("PINGRESP");
    sleep(h, 100000);
    h.tick();
    expect(h.events).toEqual(["end -12"]);
  });

  it("counts again behind one that was in time", () => {
    const h = up();
    for (let i = 0; i < 3; i++) {
      sleep(h, 100000);
      h.tick();
      h.flush();
      h.receive("PINGRESP");
      if (h.advance(16000).includes("PINGREQ")) h.receive("PINGRESP");
    }
    expect(h.events).toEqual([]);
    expect(h.isConnected).toBe(true);
  });

  it("counts on a new connection, whatever there was before", () => {
    const h = up({ cleanSession: false });
    sleep(h, 100000);
    h.tick();
    h.reopen("CONNACK present");
    h.session.publish("t", "x", QOS_1);
    h.flush();
    sleep(h, 100000);
    h.tick();
    expect(h.events).toEqual(["connect present"]);
    expect(h.isConnected).toBe(true);
  });

  it("ends an attempt to connect all the same: whoever slept in it begins anew", () => {
    const h = new Harness({ clock });
    h.connect();
    sleep(h, 100000);
    h.tick();
    expect(h.takeEvents()).toEqual(["end -1"]);
    h.connect();
    h.flush();
    sleep(h, 100000);
    h.tick();
    expect(h.takeEvents()).toEqual(["end -2"]);
  });

  it("ends what disconnect waits for, and the last packets leave", () => {
    const h = up({ maxInflight: 1 });
    h.session.publish("t", "x", QOS_1);
    h.session.publish("t", "y", QOS_1);
    expect(h.flush()).toEqual(["PUBLISH q1 #1 t=x"]);
    h.session.disconnect(h.now());
    sleep(h, 100000);
    h.tick();
    expect(h.flush()).toEqual(["PUBLISH q1 #2 t=y", "DISCONNECT"]);
    expect(h.events).toEqual(["end 0"]);
  });
});

describe("A paused session", () => {
  it("reads nothing: receive stops behind the packet whose handler paused it", () => {
    const h = Harness.up();
    const reads: string[] = [];
    h.whenMessage = () => {
      h.session.pause();
      reads.push(h.events[h.events.length - 1]);
    };
    // The harness, which is no connection, goes on: it is the session that stops at each.
    h.receive("PUBLISH q0 t=1", "PUBLISH q0 t=2", "PUBLISH q0 t=3");
    expect(reads).toEqual(["message q0 t=1", "message q0 t=2", "message q0 t=3"]);
    expect(h.session.isPaused).toBe(true);
    h.session.resume(h.now());
    expect(h.session.isPaused).toBe(false);
  });

  it("is unpaused by the loss of its connection", () => {
    const h = Harness.up({ cleanSession: false });
    h.session.pause();
    h.reopen("CONNACK present");
    expect(h.session.isPaused).toBe(false);
  });

  it("asks again with each PINGREQ that is due, answered or not, and is not ended", () => {
    const h = Harness.up({ keepAliveSeconds: 16, ackTimeoutMs: 5000 });
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.session.pause();
    const sent = h.advance(160000);
    expect(sent).toHaveLength(10);
    expect(new Set(sent)).toEqual(new Set(["PINGREQ"]));
    expect(h.events).toEqual([]);
    h.session.resume(h.now());
    h.advance(5000);
    expect(h.events).toEqual(["end -12"]);
  });
});
