import { describe, expect, it } from "@jest/globals";
import { BAD_LENGTH, ILL_FORMED, ILL_FORMED_PAYLOAD, NO_ROOM, TOO_LONG } from "../../src/errors.js";
import { QOS_1, QOS_2, RETAIN } from "../../src/wire.js";
import { Harness } from "../support/session-harness.js";

describe("Session.publish at QoS 0", () => {
  it("sends PUBLISH without a packet id and without DUP [MQTT-2.3.1-5] [MQTT-3.3.1-2] [MQTT-4.3.1-1]", () => {
    const h = Harness.up();
    expect(h.session.publish("t", "x", 0)).toBe(0);
    expect(h.session.publish("t", new Uint8Array([0x79]), RETAIN)).toBe(0);
    expect(h.flush()).toEqual(["PUBLISH q0 t=x", "PUBLISH q0 retain t=y"]);
  });

  it("is done when the last byte has left, and not before", () => {
    const h = Harness.up();
    h.session.publish("t", "x", 0);
    h.flush(5);
    expect(h.events).toEqual([]);
    h.flush(1);
    expect(h.events).toEqual(["done q0"]);
  });

  it("reads the payload during the call only", () => {
    const h = Harness.up();
    const payload = new Uint8Array([0x61, 0x62]);
    h.session.publish("t", payload, QOS_1);
    payload.fill(0);
    expect(h.flush()).toEqual(["PUBLISH q1 #1 t=ab"]);
  });

  it("takes an empty payload", () => {
    const h = Harness.up();
    h.session.publish("t", "", 0);
    expect(h.flush()).toEqual(["PUBLISH q0 t="]);
  });
});

describe("Session.publish at QoS 1", () => {
  it("sends PUBLISH without DUP, is done on PUBACK, and not before [MQTT-4.3.2-1]", () => {
    const h = Harness.up();
    expect(h.session.publish("t", "x", QOS_1 | RETAIN)).toBe(1);
    expect(h.flush()).toEqual(["PUBLISH q1 #1 retain t=x"]);
    h.advance(50000);
    expect(h.events).toEqual([]);
    h.receive("PUBACK #1");
    expect(h.events).toEqual(["done PUBACK"]);
    expect(h.session.outbox.operations).toBe(0);
    expect(h.flush()).toEqual([]);
  });

  it("is done once, however often PUBACK comes", () => {
    const h = Harness.up();
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.receive("PUBACK #1", "PUBACK #1", "PUBACK #1");
    expect(h.events).toEqual(["done PUBACK"]);
  });
});

describe("Session.publish at QoS 2", () => {
  it("sends PUBLISH, answers PUBREC with PUBREL, is done on PUBCOMP [MQTT-4.3.3-1]", () => {
    const h = Harness.up();
    expect(h.session.publish("t", "x", QOS_2)).toBe(1);
    expect(h.flush()).toEqual(["PUBLISH q2 #1 t=x"]);
    h.receive("PUBREC #1");
    expect(h.events).toEqual([]);
    expect(h.flush()).toEqual(["PUBREL #1"]);
    h.receive("PUBCOMP #1");
    expect(h.events).toEqual(["done PUBCOMP"]);
    expect(h.session.outbox.operations).toBe(0);
    expect(h.flush()).toEqual([]);
  });

  it("answers each PUBREC that is repeated with PUBREL, before and after PUBCOMP [MQTT-4.3.3-1]", () => {
    const h = Harness.up();
    h.session.publish("t", "x", QOS_2);
    h.flush();
    h.receive("PUBREC #1", "PUBREC #1");
    expect(h.flush()).toEqual(["PUBREL #1", "PUBREL #1"]);
    h.receive("PUBREC #1");
    expect(h.flush()).toEqual(["PUBREL #1"]);
    h.receive("PUBCOMP #1", "PUBCOMP #1", "PUBREC #1");
    expect(h.flush()).toEqual(["PUBREL #1"]);
    h.receive("PUBCOMP #1");
    expect(h.events).toEqual(["done PUBCOMP"]);
  });

  it("is not done by PUBCOMP that comes before PUBREC", () => {
    const h = Harness.up();
    h.session.publish("t", "x", QOS_2);
    h.flush();
    h.receive("PUBCOMP #1");
    expect(h.events).toEqual([]);
    h.receive("PUBREC #1");
    expect(h.flush()).toEqual(["PUBREL #1"]);
    h.receive("PUBCOMP #1");
    expect(h.events).toEqual(["done PUBCOMP"]);
  });

  it("sends PUBREL in the order of PUBREC [MQTT-4.6.0-4]", () => {
    const h = Harness.up();
    for (let i = 0; i < 4; i++) h.session.publish("t", "x", QOS_2);
    h.flush();
    h.receive("PUBREC #3", "PUBREC #1", "PUBREC #4", "PUBREC #2");
    expect(h.flush()).toEqual(["PUBREL #3", "PUBREL #1", "PUBREL #4", "PUBREL #2"]);
    h.receive("PUBCOMP #4", "PUBCOMP #3", "PUBCOMP #2", "PUBCOMP #1");
    expect(h.events).toEqual(Array(4).fill("done PUBCOMP"));
  });
});

describe("Session.subscribe and unsubscribe", () => {
  it("send one packet for all filters, and are done on SUBACK and UNSUBACK [MQTT-2.3.1-7]", () => {
    const h = Harness.up();
    expect(h.session.subscribe({ "a/#": 1, "b": 2 })).toBe(1);
    expect(h.session.unsubscribe({ "c": 0, "d/+": 0 })).toBe(2);
    expect(h.flush()).toEqual(["SUBSCRIBE #1 a/#:1 b:2", "UNSUBSCRIBE #2 c d/+"]);
    h.receive("SUBACK #1 1,128");
    expect(h.takeEvents()).toEqual(["done SUBACK 1,128"]);
    h.receive("UNSUBACK #2");
    expect(h.takeEvents()).toEqual(["done UNSUBACK"]);
  });

  it.each([1, 2, 3, 50])("hand over the return codes of %i filters, in their order [MQTT-3.9.3-1]", (count) => {
    const h = Harness.up({ txCapacity: 2000 });
    const codes = Array.from({ length: count }, (_, i) => [0, 1, 2, 128][i % 4]);
    h.session.subscribe(Object.fromEntries(codes.map((_, i) => [`filter/${i}`, i % 3])));
    h.flush();
    h.chunkSize = 7;
    h.receive(`SUBACK #1 ${codes.join(",")}`);
    expect(h.events).toEqual([`done SUBACK ${codes.join(",")}`]);
  });

  it("end the connection when SUBACK has another count of codes (3.9.3)", () => {
    for (const codes of ["0", "0,0,0"]) {
      const h = Harness.up();
      h.session.subscribe({ a: 0, b: 0 });
      h.flush();
      h.receive(`SUBACK #1 ${codes}`);
      expect(h.events).toEqual([`end ${BAD_LENGTH}`]);
    }
  });

  it("ignore a SUBACK or UNSUBACK that nobody waits for", () => {
    const h = Harness.up();
    h.receive("SUBACK #1 0", "UNSUBACK #1");
    h.session.subscribe({ a: 0 });
    h.flush();
    h.receive("SUBACK #2 0,1,2", "UNSUBACK #2");
    expect(h.events).toEqual([]);
    h.receive("SUBACK #1 0", "SUBACK #1 0", "SUBACK #1 0,0");
    expect(h.events).toEqual(["done SUBACK 0"]);
    expect(h.flush()).toEqual([]);
  });
});

describe("Session, acknowledgements that do not fit", () => {
  const kinds: [string, (h: Harness) => number, string[]][] = [
    ["PUBLISH at QoS 1", (h) => h.session.publish("t", "x", QOS_1), ["PUBACK #1"]],
    ["PUBLISH at QoS 2", (h) => h.session.publish("t", "x", QOS_2), ["PUBREC #1", "PUBCOMP #1"]],
    ["SUBSCRIBE", (h) => h.session.subscribe({ t: 0 }), ["SUBACK #1 0"]],
    ["UNSUBSCRIBE", (h) => h.session.unsubscribe({ t: 0 }), ["UNSUBACK #1"]],
  ];
  const acks = ["PUBACK #1", "PUBREC #1", "PUBCOMP #1", "SUBACK #1 0", "UNSUBACK #1"];

  for (const [title, operation, right] of kinds) {
    it(`of another kind do not end a ${title}`, () => {
      const h = Harness.up();
      operation(h);
      h.flush();
      h.receive(...acks.filter((ack) => !right.includes(ack)));
      expect(h.events).toEqual([]);
      expect(h.flush()).toEqual([]);
      h.receive(...right);
      expect(h.events).toHaveLength(1);
    });

    it(`come before the ${title} was sent, and do not end it`, () => {
      const h = Harness.up();
      operation(h);
      h.receive(...acks.filter((ack) => ack !== "PUBREC #1"));
      expect(h.events).toEqual([]);
      expect(h.flush()).toHaveLength(1);
    });

    it(`come when the ${title} was sent in part, and do not end it`, () => {
      const h = Harness.up();
      operation(h);
      h.flush(4);
      h.receive(...acks.filter((ack) => ack !== "PUBREC #1"));
      expect(h.events).toEqual([]);
      expect(h.flush()).toHaveLength(1);
      h.receive(...right);
      expect(h.events).toHaveLength(1);
    });
  }

  it("are ignored where nothing waits: PUBACK and PUBCOMP of unknown ids", () => {
    const h = Harness.up();
    h.receive("PUBACK #1", "PUBCOMP #1", "PUBACK #65535", "PUBCOMP #777");
    expect(h.events).toEqual([]);
    expect(h.flush()).toEqual([]);
  });

  it("are answered where the broker waits: PUBREC of an unknown id with PUBREL [MQTT-4.3.3-1]", () => {
    const h = Harness.up();
    h.receive("PUBREC #9", "PUBREC #9");
    expect(h.flush()).toEqual(["PUBREL #9", "PUBREL #9"]);
    h.receive("PUBCOMP #9");
    expect(h.events).toEqual([]);
  });

  it("are not answered where the message is still to be sent: PUBREL would have it delivered twice", () => {
    const h = Harness.up();
    h.session.publish("t", "x", QOS_2);
    h.receive("PUBREC #1");
    expect(h.flush()).toEqual(["PUBLISH q2 #1 t=x"]);
    h.receive("PUBREC #1");
    expect(h.flush()).toEqual(["PUBREL #1"]);
  });

  it("leave other operations alone, in every order", () => {
    const h = Harness.up();
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_2);
    h.session.subscribe({ t: 0 });
    h.session.unsubscribe({ t: 0 });
    h.session.publish("t", "5", QOS_1);
    h.flush();
    h.receive("UNSUBACK #4", "PUBACK #5", "PUBREC #2", "SUBACK #3 2", "PUBCOMP #2");
    expect(h.events).toEqual([]);
    h.receive("PUBACK #1");
    expect(h.events).toEqual(["done PUBACK", "done PUBCOMP", "done SUBACK 2", "done UNSUBACK", "done PUBACK"]);
  });
});

describe("Session, operations that are refused", () => {
  it("have changed nothing: no packet id is used up, and nothing is sent", () => {
    const h = Harness.up({ txCapacity: 40, maxOperations: 4 });
    const { session } = h;
    expect(session.publish("t", "x".repeat(40), QOS_1)).toBe(NO_ROOM);
    expect(session.publish("t".repeat(40), "", QOS_2)).toBe(NO_ROOM);
    expect(session.subscribe({ ["t".repeat(40)]: 0 })).toBe(NO_ROOM);
    expect(session.unsubscribe({ ["t".repeat(40)]: 0 })).toBe(NO_ROOM);
    expect(session.publish("\ud800", "", QOS_1)).toBe(ILL_FORMED);
    expect(session.publish("t", "\ud800", QOS_1)).toBe(ILL_FORMED_PAYLOAD);
    expect(session.subscribe({ "\ud800": 0 })).toBe(ILL_FORMED);
    expect(session.outbox.operations).toBe(0);
    expect(session.pending(Infinity)).toBe(0);
    expect(session.publish("t", "x", QOS_1)).toBe(1);
    expect(h.flush()).toEqual(["PUBLISH q1 #1 t=x"]);
  });

  it("are refused for good when a field is too long (1.5.3)", () => {
    const h = Harness.up({ txCapacity: 200000 });
    expect(h.session.publish("t".repeat(65536), "", 0)).toBe(TOO_LONG);
    expect(h.session.subscribe({ ["t".repeat(65536)]: 0 })).toBe(TOO_LONG);
    expect(h.session.pending(Infinity)).toBe(0);
  });

  it("find no entry while the table is full, nor room while the arena is; then they do", () => {
    const table = Harness.up({ maxOperations: 2 });
    expect(table.session.publish("t", "x", 0)).toBe(0);
    expect(table.session.publish("t", "x", QOS_1)).toBe(1);
    expect(table.session.publish("t", "x", 0)).toBe(NO_ROOM);
    expect(table.session.subscribe({ t: 0 })).toBe(NO_ROOM);
    table.flush();
    expect(table.session.subscribe({ t: 0 })).toBe(2);

    // PUBLISH at QoS 1 with one byte of each: 8 bytes.
    const arena = Harness.up({ txCapacity: 17 });
    expect(arena.session.publish("t", "x", QOS_1)).toBe(1);
    expect(arena.session.publish("t", "y", QOS_1)).toBe(2);
    expect(arena.session.publish("t", "", 0)).toBe(NO_ROOM);
    arena.flush();
    expect(arena.session.publish("t", "", 0)).toBe(NO_ROOM);
    arena.receive("PUBACK #1");
    expect(arena.session.publish("t", "z", QOS_1)).toBe(3);
    expect(arena.flush()).toEqual(["PUBLISH q1 #3 t=z"]);
    arena.receive("PUBACK #3", "PUBACK #2");
    expect(arena.events).toEqual(Array(3).fill("done PUBACK"));
  });
});

describe("Session, packet ids", () => {
  it("begin with 1 and rise by one for each PUBLISH above QoS 0, SUBSCRIBE and UNSUBSCRIBE [MQTT-2.3.1-1]", () => {
    const { session } = Harness.up();
    expect(session.publish("t", "x", QOS_1)).toBe(1);
    expect(session.publish("t", "x", 0)).toBe(0);
    expect(session.subscribe({ t: 0 })).toBe(2);
    expect(session.publish("t", "x", QOS_2)).toBe(3);
    expect(session.unsubscribe({ t: 0 })).toBe(4);
    expect(session.publish("t", "x", 0)).toBe(0);
    expect(session.publish("t", "x", QOS_1)).toBe(5);
  });

  it("are not taken again as soon as they are free", () => {
    const h = Harness.up();
    for (let id = 1; id < 10; id++) {
      expect(h.session.publish("t", "x", QOS_1)).toBe(id);
      h.flush();
      h.receive(`PUBACK #${id}`);
    }
  });

  it("go on after a reconnect, with and without a session", () => {
    for (const connack of ["CONNACK", "CONNACK present"] as const) {
      for (const cleanSession of [true, false]) {
        const h = Harness.up({ cleanSession });
        h.session.publish("t", "x", QOS_1);
        h.session.subscribe({ t: 0 });
        h.reopen(connack);
        expect(h.session.publish("t", "x", QOS_1)).toBe(3);
      }
    }
  });

  /** Uses up ids until the last one was `last`: subscribes, which are dropped with each connection. */
  function spend(h: Harness, last: number): void {
    for (let id = 0, rounds = 0; id !== last; rounds++) {
      if (rounds > 200000) throw new Error(`The packet id ${last} never comes`);
      const next = h.session.subscribe({ t: 0 });
      if (next === NO_ROOM) h.reopen("CONNACK present");
      else id = next;
    }
    h.reopen("CONNACK present");
  }

  const settings = { cleanSession: false, maxOperations: 1000, txCapacity: 9000 };

  it("go from 65535 to 1: 0 is none [MQTT-2.3.1-1]", () => {
    const h = Harness.up(settings);
    spend(h, 65534);
    for (const id of [65535, 1, 2]) expect(h.session.publish("t", "x", QOS_1)).toBe(id);
    expect(h.flush()).toEqual(["PUBLISH q1 #65535 t=x", "PUBLISH q1 #1 t=x", "PUBLISH q1 #2 t=x"]);
  });

  it("are passed over while in use, also by a message that outlived all others [MQTT-2.3.1-2]", () => {
    const h = Harness.up(settings);
    for (const [i, flags] of [QOS_1, QOS_2, QOS_1].entries()) expect(h.session.publish("t", "x", flags)).toBe(i + 1);
    h.flush();
    h.receive("PUBACK #3", "PUBREC #2");
    spend(h, 65535);
    h.flush();
    expect(h.session.publish("t", "x", QOS_1)).toBe(3);
    expect(h.session.publish("t", "x", QOS_1)).toBe(4);
    h.flush();
    h.receive("PUBACK #1", "PUBCOMP #2", "PUBACK #3");
    spend(h, 65535);
    // The first two have ended, the fourth has not.
    for (const id of [1, 2, 3, 5]) expect(h.session.publish("t", "x", QOS_1)).toBe(id);
  });
});

describe("Session, window", () => {
  it.each([1, 2, 3, 7])("lets %i operations wait for an acknowledgement, no more, and recovers", (maxInflight) => {
    const h = Harness.up({ maxInflight });
    const sent: string[] = [];
    for (let id = 1; id <= 14; id++) h.session.publish("t", String(id), id % 2 === 0 ? QOS_1 : QOS_2);
    for (let done = 0; done < 14; done++) {
      sent.push(...h.flush().filter((line) => line.startsWith("PUBLISH")));
      expect(sent).toHaveLength(Math.min(done + maxInflight, 14));
      const id = done + 1;
      if (id % 2 === 0) h.receive(`PUBACK #${id}`);
      else {
        h.receive(`PUBREC #${id}`);
        // A message at QoS 2 takes its place until PUBCOMP.
        expect(h.flush()).toEqual([`PUBREL #${id}`]);
        h.receive(`PUBCOMP #${id}`);
      }
    }
    expect(sent).toEqual(sent.map((_, i) => `PUBLISH q${i % 2 === 0 ? 2 : 1} #${i + 1} t=${i + 1}`));
    expect(h.events).toHaveLength(14);
  });

  it("holds subscribes and unsubscribes as it holds messages", () => {
    const h = Harness.up({ maxInflight: 1 });
    h.session.subscribe({ t: 0 });
    h.session.unsubscribe({ t: 0 });
    h.session.publish("t", "x", QOS_1);
    expect(h.flush()).toEqual(["SUBSCRIBE #1 t:0"]);
    h.receive("SUBACK #1 0");
    expect(h.flush()).toEqual(["UNSUBSCRIBE #2 t"]);
    h.receive("UNSUBACK #2");
    expect(h.flush()).toEqual(["PUBLISH q1 #3 t=x"]);
  });

  it("lets messages at QoS 0 pass that stand before it is full, and holds those behind, in order", () => {
    const h = Harness.up({ maxInflight: 1 });
    h.session.publish("t", "1", 0);
    h.session.publish("t", "2", QOS_1);
    h.session.publish("t", "3", 0);
    h.session.publish("t", "4", QOS_1);
    h.session.publish("t", "5", 0);
    expect(h.flush()).toEqual(["PUBLISH q0 t=1", "PUBLISH q1 #1 t=2", "PUBLISH q0 t=3"]);
    h.receive("PUBACK #1");
    expect(h.flush()).toEqual(["PUBLISH q1 #2 t=4", "PUBLISH q0 t=5"]);
  });

  it("does not hold acknowledgements", () => {
    const h = Harness.up({ maxInflight: 1 });
    h.session.publish("t", "1", QOS_2);
    h.session.publish("t", "2", QOS_1);
    h.flush();
    h.receive("PUBLISH q1 #7 t=x", "PUBLISH q2 #8 t=y", "PUBREL #8", "PUBREC #1");
    expect(h.flush()).toEqual(["PUBACK #7", "PUBREC #8", "PUBCOMP #8", "PUBREL #1"]);
  });

  it("opens in any order of acknowledgements", () => {
    const h = Harness.up({ maxInflight: 3 });
    for (let id = 1; id <= 6; id++) h.session.publish("t", "x", QOS_1);
    h.flush();
    h.receive("PUBACK #3", "PUBACK #2");
    expect(h.flush()).toEqual(["PUBLISH q1 #4 t=x", "PUBLISH q1 #5 t=x"]);
    h.receive("PUBACK #5");
    expect(h.flush()).toEqual(["PUBLISH q1 #6 t=x"]);
    h.receive("PUBACK #6", "PUBACK #4", "PUBACK #1");
    expect(h.events).toEqual(Array(6).fill("done PUBACK"));
  });
});

describe("Session, outcomes", () => {
  it("come in the order of the calls, across all kinds", () => {
    const h = Harness.up();
    h.session.subscribe({ a: 1, b: 2 });
    h.session.publish("t", "0", 0);
    h.session.publish("t", "1", QOS_1);
    h.session.publish("t", "2", QOS_2);
    h.session.unsubscribe({ a: 0 });
    h.session.publish("t", "0", 0);
    h.session.subscribe({ c: 0 });
    h.flush();
    h.receive("SUBACK #5 128", "UNSUBACK #4", "PUBREC #3", "PUBCOMP #3", "PUBACK #2");
    // QoS 0 has left, but the subscribe before it has no answer.
    expect(h.takeEvents()).toEqual([]);
    expect(h.session.outbox.operations).toBe(7);
    h.receive("SUBACK #1 0,128");
    expect(h.takeEvents()).toEqual([
      "done SUBACK 0,128",
      "done q0",
      "done PUBACK",
      "done PUBCOMP",
      "done UNSUBACK",
      "done q0",
      "done SUBACK 128",
    ]);
  });

  it("keep the codes of a SUBACK that waits for its turn, also when packets move together meanwhile", () => {
    const h = Harness.up({ txCapacity: 100 });
    h.session.publish("t", "1", QOS_1);
    h.session.subscribe({ "a": 2, "b": 1, "a/long/topic/filter": 0 });
    h.session.publish("t", "2", QOS_1);
    h.flush();
    h.receive("SUBACK #2 2,1,128");
    // Only where the hole behind the codes is closed is there room for this.
    expect(h.session.publish("t", "x".repeat(60), QOS_1)).toBe(4);
    h.flush();
    h.receive("PUBACK #4", "PUBACK #3", "PUBACK #1");
    expect(h.events).toEqual(["done PUBACK", "done SUBACK 2,1,128", "done PUBACK", "done PUBACK"]);
  });

  it("hand over codes that are the caller's", () => {
    const h = Harness.up();
    h.keepsDone = true;
    h.session.subscribe({ a: 1 });
    h.flush();
    h.receive("SUBACK #1 1");
    const codes = h.session.grantedCodes();
    h.session.outbox.dropDone();
    h.session.publish("t", "xxxxxxx", 0);
    expect([...codes]).toEqual([1]);
  });

  it("take an entry of the table until they are taken", () => {
    const h = Harness.up({ maxOperations: 2 });
    h.keepsDone = true;
    h.session.publish("t", "x", 0);
    h.session.publish("t", "x", 0);
    h.flush();
    expect(h.session.publish("t", "x", 0)).toBe(NO_ROOM);
    h.session.outbox.dropDone();
    expect(h.session.outbox.operations).toBe(1);
    expect(h.session.publish("t", "x", 0)).toBe(0);
    expect(h.session.outbox.doneType).toBe(0);
    h.session.outbox.dropDone();
    expect(h.session.outbox.doneType).toBe(-1);
  });

  it("stay to be taken after the connection is lost", () => {
    for (const cleanSession of [true, false]) {
      const h = Harness.up({ cleanSession });
      h.session.publish("t", "1", QOS_1);
      h.session.subscribe({ a: 0, b: 1 });
      h.session.publish("t", "0", 0);
      h.flush();
      h.receive("SUBACK #2 0,1");
      expect(h.events).toEqual([]);
      h.lose();
      h.takeDone();
      // A message that is kept still stands before them; one that is not does not.
      if (!cleanSession) {
        expect(h.events).toEqual([]);
        h.open("CONNACK present");
        h.flush();
        h.takeEvents();
        h.receive("PUBACK #1");
      }
      expect(h.events).toEqual([...(cleanSession ? [] : ["done PUBACK"]), "done SUBACK 0,1", "done q0"]);
    }
  });
});
