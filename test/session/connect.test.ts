import { describe, expect, it } from "@jest/globals";
import {
  BAD_FIELD,
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_QOS,
  BAD_REMAINING_LENGTH,
  BAD_TOPIC,
  CONN_FAIL_NOT_A_CONNACK_MSG,
  CONN_FAIL_TIMEOUT_RECEIVING,
  CONN_FAIL_TIMEOUT_SENDING,
  END_BY_APPLICATION,
  ILL_FORMED,
  NO_ROOM,
  TOO_LONG,
  UNEXPECTED_PACKET,
} from "../../src/errors.js";
import { QOS_1 } from "../../src/wire.js";
import { wire } from "../support/bytes.js";
import { CLOCKS, Harness } from "../support/session-harness.js";

/** A session whose CONNECT was sent. */
function awaiting(): Harness {
  const h = new Harness();
  h.connect();
  h.flush();
  return h;
}

describe("Session, connecting", () => {
  it("sends CONNECT first [MQTT-3.1.0-1], and nothing behind it before CONNACK", () => {
    const h = new Harness();
    expect(h.session.pending(Infinity)).toBe(0);
    h.connect();
    expect(h.flush()).toEqual(["CONNECT me"]);
    expect(h.session.pending(Infinity)).toBe(0);
    expect(h.session.publish("t", "x", 0)).toBe(NO_ROOM);
    expect(h.session.subscribe({ t: 0 })).toBe(NO_ROOM);
    expect(h.session.unsubscribe({ t: 0 })).toBe(NO_ROOM);
    expect(h.session.pending(Infinity)).toBe(0);
    expect(h.session.isUp()).toBe(false);
  });

  it("sends CONNECT first also when messages of an earlier connection wait", () => {
    const h = Harness.up({ cleanSession: false });
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.lose();
    h.connect();
    expect(h.flush()).toEqual(["CONNECT me"]);
    expect(h.session.pending(Infinity)).toBe(0);
  });

  it("sends CONNECT once in a connection [MQTT-3.1.0-2], however small the pieces are that leave", () => {
    const h = new Harness();
    h.connect();
    const bytes = h.flushBytes();
    expect(bytes).toBe(12 + 2 + 2);
    expect(h.log.map(({ line }) => line)).toEqual(["CONNECT me"]);
    h.receive("CONNACK");
    expect(h.flush()).toEqual([]);
    expect(h.events).toEqual(["connect"]);
  });

  it("is up from CONNACK with return code 0 on (3.2.2.3)", () => {
    const h = awaiting();
    let wasUp = false;
    h.whenConnected = () => (wasUp = h.session.isUp());
    h.receive("CONNACK");
    expect(h.events).toEqual(["connect"]);
    expect(wasUp).toBe(true);
    expect(h.session.isUp()).toBe(true);
  });

  it("says whether the broker has the session (3.2.2.2)", () => {
    const h = new Harness({ cleanSession: false });
    h.open("CONNACK present");
    expect(h.events).toEqual(["connect present"]);
  });

  it("reads what follows CONNACK in the same chunk, wherever that is cut", () => {
    for (const chunkSize of [1, 2, 3, 5, Infinity]) {
      const h = awaiting();
      h.chunkSize = chunkSize;
      h.receive("CONNACK", "PUBLISH q0 t=x", "PUBLISH q1 #1 t=y");
      expect(h.events).toEqual(["connect", "message q0 t=x", "message q1 #1 t=y"]);
      expect(h.flush()).toEqual(["PUBACK #1"]);
    }
  });

  it("takes operations inside of onConnect", () => {
    const h = awaiting();
    h.whenConnected = () => {
      expect(h.session.subscribe({ t: 0 })).toBe(1);
      expect(h.session.publish("t", "x", QOS_1)).toBe(2);
      expect(h.flush()).toEqual(["SUBSCRIBE #1 t:0", "PUBLISH q1 #2 t=x"]);
    };
    h.receive("CONNACK");
    expect(h.events).toEqual(["connect"]);
  });

  it("tells nothing more when the connection is given up inside of onConnect", () => {
    const h = Harness.up({ cleanSession: false });
    h.session.publish("t", "x", QOS_1);
    h.flush();
    h.keepsDone = true;
    h.receive("PUBACK #1");
    h.lose();
    h.connect();
    h.flush();
    h.whenConnected = () => {
      h.lose();
    };
    // Throws when the handler hears of anything behind `lost`.
    h.receive("CONNACK present", "PUBLISH q0 t=x");
    expect(h.events).toEqual(["connect present"]);
  });

  it("connects anew inside of onEnd", () => {
    const h = awaiting();
    h.whenEnd = () => {
      h.connect();
    };
    h.receive("CONNACK 3");
    expect(h.events).toEqual(["end 3"]);
    expect(h.flush()).toEqual(["CONNECT me"]);
    h.receive("CONNACK");
    expect(h.events).toEqual(["end 3", "connect"]);
  });

  describe.each(CLOCKS)("on a clock %s", (...clock) => {
    it("fails with -1 when CONNECT did not leave within 5 s", () => {
      const h = new Harness({ clock });
      h.connect();
      h.flush(15);
      h.advance(4999, { isStuck: true });
      expect(h.events).toEqual([]);
      h.advance(1, { isStuck: true });
      expect(h.events).toEqual([`end ${CONN_FAIL_TIMEOUT_SENDING}`]);
      expect(h.session.pending(Infinity)).toBe(0);
    });

    it("fails with -2 when no CONNACK came within 5 s after CONNECT", () => {
      const h = new Harness({ clock });
      h.connect();
      h.advance(3000, { isStuck: true });
      h.flush();
      expect(h.advance(4999)).toEqual([]);
      expect(h.events).toEqual([]);
      h.advance(1);
      expect(h.events).toEqual([`end ${CONN_FAIL_TIMEOUT_RECEIVING}`]);
    });

    it("fails with -2 when CONNACK came in part", () => {
      const h = new Harness({ clock });
      h.connect();
      h.flush();
      h.feed(wire("20 02 00"));
      h.advance(5000);
      expect(h.events).toEqual([`end ${CONN_FAIL_TIMEOUT_RECEIVING}`]);
    });

    it("accepts CONNACK in the last moment, and goes on", () => {
      const h = new Harness({ clock });
      h.connect();
      h.advance(4999, { isStuck: true });
      h.flush();
      h.advance(4999);
      h.receive("CONNACK");
      h.advance(6000);
      expect(h.events).toEqual(["connect"]);
      expect(h.session.isUp()).toBe(true);
    });
  });

  it("fails with -2, not earlier, at a keep alive of one second", () => {
    const h = new Harness({ keepAliveSeconds: 1 });
    h.connect();
    h.flush();
    h.advance(4999);
    expect(h.events).toEqual([]);
    h.advance(1);
    expect(h.events).toEqual([`end ${CONN_FAIL_TIMEOUT_RECEIVING}`]);
  });

  it.each([1, 2, 3, 4, 5, 6, 255])("fails with the return code of a CONNACK that refuses: %i", (code) => {
    const h = awaiting();
    h.receive(`CONNACK ${code}`, "PUBLISH q0 t=x");
    expect(h.events).toEqual([`end ${code}`]);
    expect(h.session.isUp()).toBe(false);
    expect(h.session.pending(Infinity)).toBe(0);
  });

  describe("fails with -4 when the first packet is not a CONNACK [MQTT-3.2.0-1]:", () => {
    it.each([
      "PUBLISH q0 t=x",
      "PUBLISH q2 #1 t=x",
      "PUBACK #1",
      "PUBREC #1",
      "PUBREL #1",
      "PUBCOMP #1",
      "SUBACK #1 0",
      "UNSUBACK #1",
      "PINGRESP",
    ])("%s", (line) => {
      const h = awaiting();
      h.receive(line, "CONNACK");
      expect(h.events).toEqual([`end ${CONN_FAIL_NOT_A_CONNACK_MSG}`]);
      expect(h.session.pending(Infinity)).toBe(0);
    });

    it.each([
      ["text", wire("'HTTP/1.1 400 Bad Request'")],
      ["a CONNACK with reserved flags", wire("20 02 02 00")],
      ["a CONNACK that is refused and has Session Present [MQTT-3.2.2-4]", wire("20 02 01 05")],
      ["a CONNACK that is too long", wire("20 03 00 00 00")],
      ["a CONNACK with flags in its header [MQTT-2.2.2-2]", wire("21 02 00 00")],
      ["a CONNECT", wire("10 0c 0004 'MQTT' 04 02 003c 0000")],
      ["a length of five bytes", wire("20 8080808001 0000")],
    ])("%s", (_title, bytes) => {
      for (const chunkSize of [1, Infinity]) {
        const h = awaiting();
        h.chunkSize = chunkSize;
        h.feed(bytes);
        expect(h.events).toEqual([`end ${CONN_FAIL_NOT_A_CONNACK_MSG}`]);
      }
    });

    it("not even a CONNACK, as long as CONNECT has not left whole", () => {
      const h = new Harness();
      h.connect();
      h.flush(3);
      h.receive("CONNACK");
      expect(h.events).toEqual([`end ${CONN_FAIL_NOT_A_CONNACK_MSG}`]);
    });
  });

  describe("ends an accepted connection, by the code of what was wrong, for [MQTT-4.8.0-1]", () => {
    it.each([
      ["a second CONNACK", "20 02 00 00", UNEXPECTED_PACKET],
      ["CONNECT", "10 0c 0004 'MQTT' 04 02 003c 0000", UNEXPECTED_PACKET],
      ["SUBSCRIBE", "82 06 0001 0001 't' 00", UNEXPECTED_PACKET],
      ["UNSUBSCRIBE", "a2 05 0001 0001 't'", UNEXPECTED_PACKET],
      ["PINGREQ", "c0 00", UNEXPECTED_PACKET],
      ["DISCONNECT", "e0 00", UNEXPECTED_PACKET],
      ["packet type 0", "00 00", BAD_HEADER],
      ["packet type 15", "f0 00", BAD_HEADER],
      ["flags other than prescribed [MQTT-2.2.2-2]", "41 02 0001", BAD_HEADER],
      ["a remaining length of five bytes", "30 ff ff ff ff 01", BAD_REMAINING_LENGTH],
      ["PUBACK of three bytes", "40 03 0001 00", BAD_LENGTH],
      ["PUBLISH that is shorter than its topic name", "30 03 0005 't'", BAD_LENGTH],
      ["QoS 3 [MQTT-3.3.1-4]", "36 05 0001 't' 0001", BAD_QOS],
      ["DUP at QoS 0 [MQTT-3.3.1-2]", "38 03 0001 't'", BAD_QOS],
      ["packet id 0 [MQTT-2.3.1-1]", "32 05 0001 't' 0000", BAD_PACKET_ID],
      ["PUBREL of packet id 0", "62 02 0000", BAD_PACKET_ID],
      ["an empty topic name [MQTT-4.7.3-1]", "30 03 0000 'x'", BAD_TOPIC],
      ["a topic name with # [MQTT-3.3.2-2]", "30 05 0003 't/#'", BAD_TOPIC],
      ["a topic name with + [MQTT-3.3.2-2]", "30 05 0003 '+/t'", BAD_TOPIC],
      ["a topic name with U+0000 [MQTT-1.5.3-2]", "30 04 0002 't' 00", BAD_TOPIC],
      ["a topic name that is not UTF-8 [MQTT-1.5.3-1]", "30 05 0003 't' c080", BAD_TOPIC],
      ["a topic name with a surrogate [MQTT-1.5.3-1]", "30 05 0003 eda080", BAD_TOPIC],
      ["a reserved return code of SUBACK [MQTT-3.9.3-2]", "90 03 0001 03", BAD_FIELD],
    ])("%s", (_title, notation, code) => {
      for (const chunkSize of [1, Infinity]) {
        const h = Harness.up();
        h.chunkSize = chunkSize;
        h.feed(wire(notation));
        h.feed(wire("30 04 0001 't' 'x'"));
        expect(h.events).toEqual([`end ${code}`]);
        expect(h.session.isUp()).toBe(false);
        expect(h.session.pending(Infinity)).toBe(0);
      }
    });

    it("and tells what came before it", () => {
      const h = Harness.up();
      h.receive("PUBLISH q1 #1 t=x", "CONNACK", "PUBLISH q0 t=y");
      expect(h.events).toEqual(["message q1 #1 t=x", `end ${UNEXPECTED_PACKET}`]);
      expect(h.session.pending(Infinity)).toBe(0);
    });
  });

  it("hears nothing more behind the end, whatever is called", () => {
    const h = Harness.up();
    h.receive("PUBLISH q1 #1 t=x", "CONNACK");
    h.takeEvents();
    h.isConnected = true;
    expect(h.session.receive(wire("30 03 0001 't'"), 0, 5, h.now())).toBe(5);
    h.elapsedMs += 1000000;
    h.tick();
    expect(h.session.pending(Infinity)).toBe(0);
    expect(h.session.disconnect(h.now())).toBe(false);
    expect(h.session.isHeld()).toBe(false);
    h.session.lost();
    h.session.lost();
    expect(h.events).toEqual([]);
  });

  it("takes a CONNACK with Session Present as it is, though a clean session was asked for [MQTT-3.2.2-1]", () => {
    const h = new Harness({ cleanSession: true });
    h.open("CONNACK present");
    expect(h.events).toEqual(["connect present"]);
    expect(h.session.isUp()).toBe(true);
  });
});

describe("Session.setConnect", () => {
  it("sets what the next connections say", () => {
    const h = new Harness();
    for (const name of ["one", "one", "two"]) {
      h.name(name);
      h.connect();
      expect(h.flush()).toEqual([`CONNECT ${name}`]);
      h.lose();
    }
    h.connect();
    expect(h.flush()).toEqual(["CONNECT two"]);
  });

  it("does not touch the CONNECT of a connection, also when that has left in part", () => {
    for (let left = 0; left < 16; left++) {
      const h = new Harness();
      h.connect();
      h.flush(left);
      h.name("another");
      expect(h.flush()).toEqual(["CONNECT me"]);
      h.receive("CONNACK");
      expect(h.events).toEqual(["connect"]);
      h.lose();
      h.connect();
      expect(h.flush()).toEqual(["CONNECT another"]);
    }
  });

  it("begins CONNECT anew after one that left in part", () => {
    const h = new Harness();
    h.connect();
    h.flush(7);
    h.lose();
    h.connect();
    expect(h.flush()).toEqual(["CONNECT me"]);
  });

  it("changes nothing when the fields cannot be encoded", () => {
    const h = new Harness();
    expect(h.name("x".repeat(200))).toBe(NO_ROOM);
    expect(h.name("\ud800")).toBe(ILL_FORMED);
    const fields = { clientId: "x".repeat(65536), cleanSession: true, keepAliveSeconds: 60 };
    const rest = { will: undefined, username: undefined, password: undefined };
    expect(h.session.setConnect({ ...fields, ...rest }, 100000)).toBe(TOO_LONG);
    h.connect();
    expect(h.flush()).toEqual(["CONNECT me"]);
  });
});

describe("Session.lost", () => {
  it("leaves nothing to be sent, wherever it comes", () => {
    const h = new Harness();
    h.connect();
    for (let sent = 0; sent < 40; sent++) {
      h.lose();
      h.connect();
      h.flush(sent);
      if (sent >= 16) h.receive("CONNACK", "PUBLISH q1 #1 t=x", "PUBLISH q1 #2 t=x");
      if (sent >= 16) h.session.publish("t", "x", 0);
      h.flush(sent - 16);
      h.lose();
      expect(h.session.pending(Infinity)).toBe(0);
      expect(h.session.isHeld()).toBe(false);
    }
    expect(h.events).not.toContain(`end ${END_BY_APPLICATION}`);
  });
});
