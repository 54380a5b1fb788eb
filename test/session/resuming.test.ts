import { describe, expect, it } from "@jest/globals";
import { QOS_1, QOS_2 } from "../../src/wire.js";
import type { Settings } from "../support/session-harness.js";
import { Harness } from "../support/session-harness.js";

function persistent(more: Settings = {}): Harness {
  return Harness.up({ cleanSession: false, ...more });
}

describe("Session, resuming", () => {
  it("sends an unacknowledged PUBLISH again, DUP, same packet id [MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-2.3.1-3]", () => {
    for (const [qos, flags] of [[1, QOS_1], [2, QOS_2]]) {
      const h = persistent();
      h.session.publish("t", "x", flags);
      h.flush();
      for (let i = 0; i < 3; i++) {
        h.reopen("CONNACK present");
        expect(h.flush()).toEqual([`PUBLISH q${qos} #1 dup t=x`]);
      }
      h.receive(qos === 1 ? "PUBACK #1" : "PUBREC #1", "PUBCOMP #1");
      expect(h.events.filter((event) => event.startsWith("done"))).toHaveLength(1);
      h.flush();
      h.reopen("CONNACK present");
      expect(h.flush()).toEqual([]);
    }
  });

  it("sends for the first time, without DUP, what had not left [MQTT-4.3.2-1] [MQTT-4.3.3-1]", () => {
    const h = persistent({ maxInflight: 2 });
    for (let i = 1; i <= 4; i++) h.session.publish("t", String(i), i % 2 === 0 ? QOS_1 : QOS_2);
    h.flush();
    h.reopen("CONNACK present");
    expect(h.flush()).toEqual(["PUBLISH q2 #1 dup t=1", "PUBLISH q1 #2 dup t=2"]);
    h.receive("PUBACK #2");
    expect(h.flush()).toEqual(["PUBLISH q2 #3 t=3"]);
    h.reopen("CONNACK present");
    expect(h.flush()).toEqual(["PUBLISH q2 #1 dup t=1", "PUBLISH q2 #3 dup t=3"]);
    h.receive("PUBREC #1", "PUBCOMP #1");
    expect(h.flush()).toEqual(["PUBREL #1", "PUBLISH q1 #4 t=4"]);
  });

  it("sends without DUP what had left in part, from its beginning", () => {
    // 8 bytes each.
    for (let left = 0; left <= 16; left++) {
      const h = persistent();
      h.session.publish("t", "x", QOS_1);
      h.session.publish("t", "y", QOS_2);
      h.flush(left);
      h.reopen("CONNACK present");
      const first = left >= 8 ? " dup" : "";
      const second = left >= 16 ? " dup" : "";
      expect(h.flush()).toEqual([`PUBLISH q1 #1${first} t=x`, `PUBLISH q2 #2${second} t=y`]);
    }
  });

  it("sends a repetition that left in part with DUP once more", () => {
    const h = persistent();
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.reopen("CONNACK present");
    h.flush(4);
    h.reopen("CONNACK present");
    expect(h.flush()).toEqual(["PUBLISH q1 #1 dup t=x"]);
  });

  it("sends PUBREL, not PUBLISH, behind PUBREC [MQTT-4.4.0-1] [MQTT-4.3.3-1]", () => {
    for (const hasLeft of [true, false]) {
      const h = persistent();
      h.session.publish("t", "x", QOS_2);
      h.flush();
      h.receive("PUBREC #1");
      if (hasLeft) h.flush();
      for (let i = 0; i < 3; i++) {
        h.reopen("CONNACK present");
        expect(h.flush()).toEqual(["PUBREL #1"]);
      }
      h.takeEvents();
      h.receive("PUBREC #1");
      expect(h.flush()).toEqual(["PUBREL #1"]);
      h.receive("PUBCOMP #1");
      expect(h.events).toEqual(["done PUBCOMP"]);
    }
  });

  it("takes PUBCOMP for a PUBREL of the same connection only", () => {
    const h = persistent();
    h.session.publish("t", "x", QOS_2);
    h.flush();
    h.receive("PUBREC #1");
    h.flush();
    h.reopen("CONNACK present");
    h.takeEvents();
    h.receive("PUBCOMP #1", "PUBREC #1");
    expect(h.events).toEqual([]);
    expect(h.flush()).toEqual(["PUBREL #1"]);
    h.receive("PUBCOMP #1");
    expect(h.events).toEqual(["done PUBCOMP"]);
  });

  it("does not answer PUBREC before the message was sent again: PUBREL would have it delivered twice", () => {
    const h = persistent({ maxInflight: 1 });
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_2);
    h.flush();
    h.receive("PUBACK #1");
    h.flush();
    h.session.publish("t", "3", QOS_1);
    h.reopen("CONNACK present");
    h.receive("PUBREC #2");
    expect(h.flush()).toEqual(["PUBLISH q2 #2 dup t=2"]);
    h.receive("PUBREC #2");
    expect(h.flush()).toEqual(["PUBREL #2"]);
  });

  it("keeps the order of the calls, whatever was acknowledged between [MQTT-4.6.0-1]", () => {
    const h = persistent();
    for (let i = 1; i <= 8; i++) h.session.publish("t", String(i), i % 2 === 0 ? QOS_1 : QOS_2);
    h.flush();
    h.receive("PUBREC #5", "PUBACK #2", "PUBREC #3", "PUBCOMP #3", "PUBACK #8");
    h.flush();
    h.reopen("CONNACK present");
    expect(h.session.publish("t", "9", QOS_1)).toBe(9);
    expect(h.flush()).toEqual([
      "PUBLISH q2 #1 dup t=1",
      "PUBLISH q1 #4 dup t=4",
      "PUBREL #5",
      "PUBLISH q1 #6 dup t=6",
      "PUBLISH q2 #7 dup t=7",
      "PUBLISH q1 #9 t=9",
    ]);
    h.takeEvents();
    h.receive("PUBACK #9", "PUBREC #7", "PUBACK #6", "PUBCOMP #5", "PUBACK #4", "PUBCOMP #7");
    expect(h.events).toEqual([]);
    h.receive("PUBREC #1", "PUBCOMP #1");
    const kinds = [1, 2, 3, 4, 5, 6, 7, 8, 9].map((i) => (i % 2 === 1 && i < 9 ? "PUBCOMP" : "PUBACK"));
    expect(h.events).toEqual(kinds.map((kind) => `done ${kind}`));
  });

  it("sends what waits before what onConnect queues", () => {
    const h = persistent();
    h.session.publish("t", "1", QOS_1);
    h.flush();
    h.whenConnected = () => {
      h.session.publish("t", "2", QOS_1);
      h.session.publish("t", "3", 0);
    };
    h.reopen("CONNACK present");
    expect(h.flush()).toEqual(["PUBLISH q1 #1 dup t=1", "PUBLISH q1 #2 t=2", "PUBLISH q0 t=3"]);
  });

  it("lets no more wait for an acknowledgement than the window says", () => {
    const h = persistent({ maxInflight: 3 });
    for (let i = 1; i <= 6; i++) h.session.publish("t", String(i), QOS_2);
    h.flush();
    h.receive("PUBREC #2");
    h.flush();
    h.reopen("CONNACK present");
    expect(h.flush()).toEqual(["PUBLISH q2 #1 dup t=1", "PUBREL #2", "PUBLISH q2 #3 dup t=3"]);
    h.receive("PUBCOMP #2");
    expect(h.flush()).toEqual(["PUBLISH q2 #4 t=4"]);
  });

  it("drops subscribes, unsubscribes and messages at QoS 0, without an outcome", () => {
    const h = persistent();
    h.session.subscribe({ t: 0 });
    h.session.publish("t", "0", 0);
    h.session.publish("t", "1", QOS_1);
    h.session.unsubscribe({ t: 0 });
    h.flush(5);
    h.reopen("CONNACK present");
    expect(h.session.outbox.operations).toBe(1);
    expect(h.flush()).toEqual(["PUBLISH q1 #2 t=1"]);
    h.receive("SUBACK #1 0", "UNSUBACK #3", "PUBACK #2");
    expect(h.events).toEqual(["connect present", "done PUBACK"]);
  });

  it("drops everything with a clean session [MQTT-3.1.2-6]", () => {
    const h = Harness.up({ cleanSession: true });
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_2);
    h.session.subscribe({ t: 0 });
    h.flush();
    h.receive("PUBREC #2");
    h.lose();
    expect(h.session.outbox.operations).toBe(0);
    h.open();
    expect(h.flush()).toEqual([]);
    h.receive("PUBACK #1", "PUBCOMP #2", "SUBACK #3 0");
    expect(h.events).toEqual(["connect"]);
  });

  it("makes room where operations were dropped", () => {
    // Two PUBLISH of 8 bytes.
    const h = persistent({ txCapacity: 17, maxOperations: 2 });
    for (let i = 0; i < 100; i++) {
      expect(h.session.publish("t", "x", 0)).toBe(0);
      expect(h.session.publish("t", "y", 0)).toBe(0);
      h.reopen("CONNACK present");
      expect(h.session.outbox.operations).toBe(0);
    }
  });

  it("loses nothing through attempts that fail [MQTT-3.1.2-4] [MQTT-4.1.0-1]", () => {
    const h = persistent();
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_2);
    h.flush();
    h.lose();
    h.connect();
    h.flush(5);
    h.lose();
    h.connect();
    h.flush();
    h.receive("CONNACK 3");
    h.connect();
    h.flush();
    h.advance(5000);
    expect(h.takeEvents()).toEqual(["end 3", "end -2"]);
    h.open("CONNACK present");
    expect(h.flush()).toEqual(["PUBLISH q1 #1 dup t=1", "PUBLISH q2 #2 dup t=2"]);
  });
});

describe("Session, resuming where the broker has lost the session (3.2.2.2)", () => {
  it("sends messages again all the same: they were accepted", () => {
    const h = persistent();
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_2);
    h.flush();
    h.reopen("CONNACK");
    expect(h.flush()).toEqual(["PUBLISH q1 #1 dup t=1", "PUBLISH q2 #2 dup t=2"]);
  });

  it("has done with messages that the broker had confirmed with PUBREC, in the order of the calls", () => {
    const h = persistent();
    h.session.publish("t", "1", QOS_2);
    h.session.publish("t", "2", QOS_1);
    h.session.publish("t", "3", QOS_2);
    h.session.publish("t", "4", QOS_2);
    h.flush();
    h.receive("PUBREC #1", "PUBREC #3");
    h.reopen("CONNACK");
    expect(h.takeEvents()).toEqual(["connect", "done PUBCOMP"]);
    expect(h.flush()).toEqual(["PUBLISH q1 #2 dup t=2", "PUBLISH q2 #4 dup t=4"]);
    h.receive("PUBCOMP #1", "PUBCOMP #3", "PUBACK #2");
    expect(h.events).toEqual(["done PUBACK", "done PUBCOMP"]);
    expect(h.session.outbox.operations).toBe(1);
  });

  it("tells connect before such outcomes", () => {
    const h = persistent();
    h.session.publish("t", "1", QOS_2);
    h.flush();
    h.receive("PUBREC #1");
    let operations = -1;
    h.whenConnected = () => (operations = h.session.outbox.operations);
    h.reopen("CONNACK");
    expect(operations).toBe(1);
    expect(h.events).toEqual(["connect", "done PUBCOMP"]);
  });
});
