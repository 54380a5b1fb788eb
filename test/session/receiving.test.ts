import { describe, expect, it } from "@jest/globals";
import { BAD_TOPIC, END_BY_APPLICATION, END_RECEIVE_MAXIMUM } from "../../src/errors.js";
import { QOS_1 } from "../../src/wire.js";
import { wire } from "../support/bytes.js";
import { Harness, bytesOf } from "../support/session-harness.js";

describe("Session, receiving at QoS 0", () => {
  it("delivers, and answers nothing [MQTT-3.3.4-1]", () => {
    const h = Harness.up();
    h.receive("PUBLISH q0 t=x", "PUBLISH q0 retain t/u=", "PUBLISH q0 t=x");
    expect(h.events).toEqual(["message q0 t=x", "message q0 retain t/u=", "message q0 t=x"]);
    expect(h.flush()).toEqual([]);
  });

  it("delivers what is in the stream, however it is cut", () => {
    const lines = ["PUBLISH q0 t=x*200", "PUBLISH q1 #1 t=", "PUBLISH q2 #2 t=abc", "PUBREL #2", "PUBLISH q0 u=x"];
    const bytes = bytesOf(...lines);
    for (const chunkSize of [1, 2, 3, 7, 100, Infinity]) {
      const h = Harness.up({ rxCapacity: 64 });
      h.chunkSize = chunkSize;
      h.feed(bytes);
      expect(h.events).toEqual(["message q0 t=x*200", "message q1 #1 t=", "message q2 #2 t=abc", "message q0 u=x"]);
      expect(h.flush()).toEqual(["PUBACK #1", "PUBREC #2", "PUBCOMP #2"]);
    }
  });

  it("delivers a message whose topic name is too long to be told, and acknowledges it [MQTT-4.5.0-2]", () => {
    for (const chunkSize of [1, 9, Infinity]) {
      const h = Harness.up({ rxCapacity: 128 });
      h.chunkSize = chunkSize;
      const topic = "t".repeat(200);
      h.receive(`PUBLISH q0 ${topic}=x`, `PUBLISH q1 #1 ${topic}=y`, `PUBLISH q2 #2 ${topic}=z`, "PUBLISH q0 t=x");
      expect(h.events).toEqual(["message q0 =x", "message q1 #1 =y", "message q2 #2 =z", "message q0 t=x"]);
      expect(h.flush()).toEqual(["PUBACK #1", "PUBREC #2"]);
    }
  });

  it("keeps a byte order mark in a topic name [MQTT-1.5.3-3]", () => {
    const h = Harness.up();
    h.feed(wire("30 06 0004 efbbbf 't'"));
    expect(h.events).toEqual(["message q0 \ufefft="]);
  });
});

describe("Session, receiving at QoS 1", () => {
  it("delivers, then sends PUBACK with the same packet id [MQTT-4.3.2-2] [MQTT-3.3.4-1] [MQTT-2.3.1-6]", () => {
    const h = Harness.up();
    let isPending = true;
    h.whenMessage = () => (isPending = h.session.pending(Infinity) > 0);
    h.receive("PUBLISH q1 #7 t=x");
    expect(isPending).toBe(false);
    expect(h.events).toEqual(["message q1 #7 t=x"]);
    expect(h.flush()).toEqual(["PUBACK #7"]);
  });

  it("sends no PUBACK before the last byte was delivered", () => {
    const h = Harness.up();
    const bytes = bytesOf("PUBLISH q1 #7 t=abcdef");
    for (let at = 0; at < bytes.length - 1; at++) {
      h.feed(bytes.slice(at, at + 1));
      expect(h.flush()).toEqual([]);
      expect(h.events).toEqual([]);
    }
    h.feed(bytes.slice(-1));
    expect(h.flush()).toEqual(["PUBACK #7"]);
    expect(h.events).toEqual(["message q1 #7 t=abcdef"]);
  });

  it("delivers each PUBLISH behind PUBACK as a new one, with DUP or without [MQTT-4.3.2-2]", () => {
    const h = Harness.up();
    h.receive("PUBLISH q1 #7 t=x", "PUBLISH q1 #7 dup t=x", "PUBLISH q1 #7 t=y");
    expect(h.events).toEqual(["message q1 #7 t=x", "message q1 #7 dup t=x", "message q1 #7 t=y"]);
    expect(h.flush()).toEqual(["PUBACK #7", "PUBACK #7", "PUBACK #7"]);
  });

  it("sends PUBACK in the order of PUBLISH [MQTT-4.6.0-2]", () => {
    const h = Harness.up();
    h.receive("PUBLISH q1 #7 t=x", "PUBLISH q1 #3 t=x", "PUBLISH q1 #9 t=x");
    expect(h.flush()).toEqual(["PUBACK #7", "PUBACK #3", "PUBACK #9"]);
  });

  it("sends no PUBACK when the connection is given up while the message is delivered", () => {
    const h = Harness.up();
    h.whenMessage = () => {
      h.lose();
    };
    h.receive("PUBLISH q1 #7 t=x", "PUBLISH q1 #8 t=x");
    expect(h.events).toEqual(["message q1 #7 t=x"]);
    h.open();
    expect(h.flush()).toEqual([]);
  });

  it("sends PUBACK before DISCONNECT when the connection is to end while the message is delivered", () => {
    for (const chunkSize of [1, Infinity]) {
      const h = Harness.up();
      h.chunkSize = chunkSize;
      const lines: string[] = [];
      h.whenMessage = () => {
        h.session.disconnect(h.now());
        // An application that queues something has what is due leave at once.
        lines.push(...h.flush());
      };
      h.receive("PUBLISH q1 #7 t=x", "PUBLISH q2 #8 t=y");
      lines.push(...h.flush());
      expect(lines.slice(0, 2)).toEqual(["PUBACK #7", "PUBREC #8"]);
      expect(lines.slice(2)).toEqual(["DISCONNECT"]);
      expect(h.events).toEqual(["message q1 #7 t=x", "message q2 #8 t=y", `end ${END_BY_APPLICATION}`]);
    }
  });

  it("hears nothing of a message that is given up when it begins, not even of an empty payload", () => {
    for (const line of ["PUBLISH q1 #7 t=", "PUBLISH q2 #7 t=x", "PUBLISH q0 t="]) {
      const h = Harness.up();
      let begun = 0;
      h.whenMessageBegins = () => {
        begun++;
        h.lose();
        h.connect();
      };
      // Its end comes apart: a whole message may come in one call.
      const bytes = bytesOf(line, "PUBLISH q0 t=x");
      const end = bytesOf(line).length - 1;
      h.feed(bytes.subarray(0, end));
      if (begun === 0) h.feed(bytes.subarray(end));
      expect(begun).toBe(1);
      expect(h.events).toEqual([]);
      expect(h.flush()).toEqual(["CONNECT me"]);
    }
  });
});

describe("Session, receiving at QoS 2", () => {
  it("delivers, sends PUBREC, answers PUBREL with PUBCOMP [MQTT-4.3.3-2] [MQTT-3.3.4-1] [MQTT-2.3.1-6]", () => {
    const h = Harness.up();
    let isPending = true;
    h.whenMessage = () => (isPending = h.session.pending(Infinity) > 0);
    h.receive("PUBLISH q2 #7 t=x");
    expect(isPending).toBe(false);
    expect(h.events).toEqual(["message q2 #7 t=x"]);
    expect(h.flush()).toEqual(["PUBREC #7"]);
    h.receive("PUBREL #7");
    expect(h.flush()).toEqual(["PUBCOMP #7"]);
    expect(h.events).toHaveLength(1);
  });

  it("delivers once what is repeated before PUBREL, and answers each with PUBREC [MQTT-4.3.3-2]", () => {
    const h = Harness.up();
    h.receive("PUBLISH q2 #7 t=x", "PUBLISH q2 #7 dup t=x", "PUBLISH q2 #7 dup t=", "PUBLISH q2 #7 t=x*300");
    expect(h.events).toEqual(["message q2 #7 t=x"]);
    expect(h.flush()).toEqual(Array(4).fill("PUBREC #7"));
  });

  it("delivers anew behind PUBREL, with DUP or without [MQTT-4.3.3-2]", () => {
    const h = Harness.up();
    h.receive("PUBLISH q2 #7 t=x", "PUBREL #7", "PUBLISH q2 #7 dup t=y", "PUBREL #7", "PUBLISH q2 #7 t=z");
    expect(h.events).toEqual(["message q2 #7 t=x", "message q2 #7 dup t=y", "message q2 #7 t=z"]);
    expect(h.flush()).toEqual(["PUBREC #7", "PUBCOMP #7", "PUBREC #7", "PUBCOMP #7", "PUBREC #7"]);
  });

  it("answers each PUBREL with PUBCOMP, also of an id that it does not know [MQTT-4.3.3-2]", () => {
    const h = Harness.up();
    h.receive("PUBREL #9", "PUBLISH q2 #7 t=x", "PUBREL #7", "PUBREL #7");
    expect(h.flush()).toEqual(["PUBCOMP #9", "PUBREC #7", "PUBCOMP #7", "PUBCOMP #7"]);
  });

  it("keeps ids apart: PUBREL of one releases no other, in every order", () => {
    const orders = [[1, 2, 3], [1, 3, 2], [2, 1, 3], [2, 3, 1], [3, 1, 2], [3, 2, 1]];
    for (const order of orders) {
      const h = Harness.up();
      h.receive("PUBLISH q2 #1 t=1", "PUBLISH q2 #2 t=2", "PUBLISH q2 #3 t=3");
      h.takeEvents();
      for (const [i, id] of order.entries()) {
        h.receive(`PUBREL #${id}`);
        for (const other of order.slice(i + 1)) h.receive(`PUBLISH q2 #${other} dup t=${other}`);
        h.flush();
        expect(h.takeEvents()).toEqual([]);
      }
      h.receive("PUBLISH q2 #2 t=2");
      expect(h.takeEvents()).toEqual(["message q2 #2 t=2"]);
    }
  });

  it("keeps ids of QoS 1 and QoS 2, and its own, apart (2.3.1)", () => {
    const h = Harness.up();
    h.session.publish("t", "own", 4);
    h.flush();
    h.receive("PUBLISH q2 #1 t=x", "PUBLISH q1 #1 t=y", "PUBREC #1", "PUBREL #1", "PUBCOMP #1");
    expect(h.flush()).toEqual(["PUBREC #1", "PUBACK #1", "PUBREL #1", "PUBCOMP #1"]);
    expect(h.events).toEqual(["message q2 #1 t=x", "message q1 #1 t=y", "done PUBCOMP"]);
  });

  it("sends PUBREC in the order of PUBLISH [MQTT-4.6.0-3]", () => {
    const h = Harness.up();
    h.receive("PUBLISH q2 #7 t=x", "PUBLISH q2 #3 t=x", "PUBLISH q2 #7 dup t=x", "PUBLISH q2 #9 t=x");
    expect(h.flush()).toEqual(["PUBREC #7", "PUBREC #3", "PUBREC #7", "PUBREC #9"]);
  });

  it("checks the topic name of a repetition too [MQTT-3.3.2-2]", () => {
    const h = Harness.up();
    h.receive("PUBLISH q2 #7 t=x", "PUBLISH q2 #7 dup #=x");
    expect(h.events).toEqual(["message q2 #7 t=x", `end ${BAD_TOPIC}`]);
  });

  it("delivers once across reconnects, as long as the broker has the session [MQTT-4.4.0-1]", () => {
    const h = Harness.up({ cleanSession: false });
    h.receive("PUBLISH q2 #7 t=x");
    for (let i = 0; i < 3; i++) {
      // PUBREC never leaves.
      h.reopen("CONNACK present");
      h.takeEvents();
      h.receive("PUBLISH q2 #7 dup t=x");
    }
    expect(h.flush()).toEqual(["PUBREC #7"]);
    h.receive("PUBREL #7");
    h.reopen("CONNACK present");
    h.takeEvents();
    // PUBCOMP was lost: the broker releases once more.
    h.receive("PUBREL #7");
    expect(h.flush()).toEqual(["PUBCOMP #7"]);
    expect(h.events).toEqual([]);
    h.receive("PUBLISH q2 #7 t=y");
    expect(h.events).toEqual(["message q2 #7 t=y"]);
  });

  it("delivers what comes under a known id after the broker has lost the session (3.2.2.2)", () => {
    const h = Harness.up({ cleanSession: false });
    h.receive("PUBLISH q2 #7 t=x");
    h.reopen("CONNACK");
    h.takeEvents();
    h.receive("PUBLISH q2 #7 t=y");
    expect(h.events).toEqual(["message q2 #7 t=y"]);
  });

  it("forgets ids with a clean session, whatever the broker says of it [MQTT-3.1.2-6]", () => {
    for (const connack of ["CONNACK", "CONNACK present"] as const) {
      const h = Harness.up({ cleanSession: true });
      h.receive("PUBLISH q2 #7 t=x");
      h.reopen(connack);
      h.takeEvents();
      h.receive("PUBLISH q2 #7 t=y");
      expect(h.events).toEqual(["message q2 #7 t=y"]);
    }
  });

  it("keeps ids through attempts that fail [MQTT-3.1.2-4]", () => {
    const h = Harness.up({ cleanSession: false });
    h.receive("PUBLISH q2 #7 t=x");
    h.lose();
    h.connect();
    h.flush(5);
    h.lose();
    h.connect();
    h.flush();
    h.receive("CONNACK 3");
    h.open("CONNACK present");
    h.takeEvents();
    h.receive("PUBLISH q2 #7 dup t=x");
    expect(h.events).toEqual([]);
    expect(h.flush()).toEqual(["PUBREC #7"]);
  });

  it("delivers a message that was received in part when the connection was lost, wherever that was", () => {
    const bytes = bytesOf("PUBLISH q2 #7 t=abcdef");
    for (let at = 0; at <= bytes.length; at++) {
      const h = Harness.up({ cleanSession: false });
      h.feed(bytes.slice(0, at));
      h.flush();
      h.reopen("CONNACK present");
      h.receive("PUBLISH q2 #7 dup t=abcdef");
      expect(h.events.filter((event) => event.startsWith("message"))).toHaveLength(1);
      expect(h.flush()).toEqual(["PUBREC #7"]);
    }
  });

  it("holds as many messages without PUBREL as receiveMaximum says; one more ends the connection", () => {
    for (const receiveMaximum of [1, 2, 16]) {
      const h = Harness.up({ receiveMaximum });
      for (let id = 1; id <= receiveMaximum; id++) h.receive(`PUBLISH q2 #${id} t=x`);
      // Known ones go on, and there is room again behind PUBREL.
      h.receive("PUBLISH q2 #1 dup t=x", "PUBREL #1", "PUBLISH q2 #99 t=x");
      h.flush();
      expect(h.takeEvents()).toHaveLength(receiveMaximum + 1);
      h.receive("PUBLISH q1 #5 t=x", "PUBLISH q2 #100 t=x", "PUBLISH q0 t=behind");
      // What is due leaves first, since otherwise the broker would send the same again, to the same end.
      expect(h.takeEvents()).toEqual(["message q1 #5 t=x"]);
      expect(h.flush()).toEqual(["PUBACK #5"]);
      expect(h.events).toEqual([`end ${END_RECEIVE_MAXIMUM}`]);
    }
  });

  it("finishes what is leaving before it ends the connection, also when disconnect waits for nothing more", () => {
    const h = Harness.up({ receiveMaximum: 1, maxInflight: 1, drainTimeoutMs: 0 });
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "22222222", QOS_1);
    h.session.disconnect(h.now());
    h.tick();
    expect(h.flush(12)).toEqual(["PUBLISH q1 #1 t=1"]);
    expect(h.isMidPacket()).toBe(true);
    h.receive("PUBLISH q2 #1 t=x", "PUBLISH q2 #2 t=x");
    expect(h.flush()).toEqual(["PUBLISH q1 #2 t=22222222", "PUBREC #1"]);
    expect(h.takeEvents()).toEqual(["message q2 #1 t=x", `end ${END_RECEIVE_MAXIMUM}`]);
  });

  it("lets ids go that the broker does not come back to: their session may be gone without our knowing", () => {
    const h = Harness.up({ receiveMaximum: 2, cleanSession: false });
    h.receive("PUBLISH q2 #7 t=x", "PUBLISH q2 #8 t=x");
    // The CONNACK that said that the session was new was lost; the next one says that there is a session.
    h.reopen("CONNACK present");
    h.takeEvents();
    h.receive("PUBLISH q2 #1 t=1", "PUBREL #1", "PUBLISH q2 #2 t=2", "PUBLISH q2 #3 t=3");
    expect(h.takeEvents()).toEqual(["message q2 #1 t=1", "message q2 #2 t=2", "message q2 #3 t=3"]);
    h.flush();
    // These are of this connection: there is no room for one more.
    h.receive("PUBLISH q2 #4 t=4");
    expect(h.events).toEqual([`end ${END_RECEIVE_MAXIMUM}`]);
  });

  it("keeps ids that the broker comes back to [MQTT-4.3.3-2]", () => {
    const h = Harness.up({ receiveMaximum: 2, cleanSession: false });
    h.receive("PUBLISH q2 #7 t=x", "PUBLISH q2 #8 t=x");
    h.reopen("CONNACK present");
    h.takeEvents();
    h.receive("PUBLISH q2 #7 dup t=x", "PUBLISH q2 #1 t=1", "PUBLISH q2 #7 dup t=x");
    expect(h.takeEvents()).toEqual(["message q2 #1 t=1"]);
    h.flush();
    h.receive("PUBLISH q2 #2 t=2");
    expect(h.events).toEqual([`end ${END_RECEIVE_MAXIMUM}`]);
  });

  it("ends a session that it refuses within the keep alive time, where the network takes nothing", () => {
    const h = Harness.up({ receiveMaximum: 1, keepAliveSeconds: 2 });
    h.receive("PUBLISH q2 #1 t=x", "PUBLISH q2 #2 t=x");
    h.elapsedMs += 1999;
    h.tick();
    expect(h.takeEvents()).toEqual(["message q2 #1 t=x"]);
    h.elapsedMs += 1;
    h.tick();
    expect(h.events).toEqual([`end ${END_RECEIVE_MAXIMUM}`]);
  });

  it("holds receiveMaximum also across a reconnect", () => {
    const h = Harness.up({ receiveMaximum: 2, cleanSession: false });
    h.receive("PUBLISH q2 #1 t=x", "PUBLISH q2 #2 t=x");
    h.reopen("CONNACK present");
    h.takeEvents();
    h.receive("PUBLISH q2 #2 dup t=x", "PUBLISH q2 #1 dup t=x", "PUBREL #1", "PUBREL #2", "PUBLISH q2 #3 t=x");
    expect(h.events).toEqual(["message q2 #3 t=x"]);
  });
});
