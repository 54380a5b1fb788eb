/** Acknowledgements by the application: which leave, when and in which order, and what is left of them after a loss. */
import { describe, expect, test } from "@jest/globals";
import type { Client, MessageInfo } from "../../src/client.js";
import type { AcknowledgeOptions, Acknowledging } from "../../src/optional/acknowledge.js";
import { withAcknowledge } from "../../src/optional/acknowledge.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import { withRetry } from "../../src/optional/retry.js";
import { withSnapshot } from "../../src/optional/snapshot.js";
import { withStreams } from "../../src/optional/streams.js";
import type { DeviceOptions } from "../support/device.js";
import { Device, PINGRESP, ack, connack, message } from "../support/device.js";
import type { Packet } from "../support/packets.js";
import { repeat, seeded } from "../support/session-harness.js";

const METHODS = ["puback", "pubrec", "pubcomp", "pubrel"] as const;

/** A device that acknowledges by hand; its messages are events with their packet id, and so is PUBREL. */
class AckDevice extends Device {
  readonly acks: Client & Acknowledging;
  whenMessage: (packetId: number, payload: string) => void = () => undefined;
  whenPubrel: (packetId: number) => void = () => undefined;
  private inside = 0;

  constructor(autoAck: false | "never", options: DeviceOptions = {}) {
    super({ cleansession: 0, ...options });
    this.acks = withAcknowledge(this.client, { autoAck });
    for (const name of METHODS) {
      const method = this.acks[name].bind(this.acks);
      const watched = (packetId: number): boolean => {
        this.inside++;
        try {
          return method(packetId);
        } finally {
          this.inside--;
        }
      };
      Object.defineProperty(this.acks, name, { value: watched });
    }
    this.client.on("message", (_, __, data: string | Uint8Array | undefined, info) => {
      this.note("message", info, String(data));
    });
    this.client.on("overflow", (_, __, data: string | undefined, info) => {
      this.note("overflow", info, String(data));
    });
    this.acks.onPubrel((client, packetId) => {
      if (this.inside > 0 || client !== this.client) this.violations.push("onPubrel inside a call");
      this.events.push(`pubrel #${packetId}`);
      this.whenPubrel(packetId);
    });
  }

  private note(name: string, info: MessageInfo, payload: string): void {
    if (this.inside > 0) this.violations.push(`${name} inside a call`);
    this.events.push(`${name} ${payload.slice(0, 8)} #${info.packetId}${info.dup ? " dup" : ""}`);
    this.whenMessage(info.packetId, payload);
  }

  /** Cuts the connection and connects again; events and what is sent on the way are taken. */
  again(isPresent = true): void {
    if (!this.socket.over) this.socket.reset();
    this.hal.settle();
    this.up(isPresent);
  }
}

function at1(id: number, payload = "x", dup = false): Packet {
  return message("t", payload, { qos: 1, id, dup });
}

function at2(id: number, payload = "x", dup = false): Packet {
  return message("t", payload, { qos: 2, id, dup });
}

function upward(autoAck: false | "never", options: DeviceOptions = {}): AckDevice {
  const device = new AckDevice(autoAck, options);
  device.up();
  return device;
}

const MODES = [false, "never"] as const;

describe("puback", () => {
  test.each(MODES)("sends PUBACK when the application calls it, and not before (autoAck %p) [MQTT-4.3.2-2]", (mode) => {
    const device = upward(mode);
    device.send(at1(7));
    expect(device.take()).toEqual(["message x #7"]);
    device.hal.advance(50000);
    expect(device.sent()).toEqual([]);
    expect(device.acks.puback(7)).toBe(true);
    expect(device.sent()).toEqual(["PUBACK #7"]);
    expect(device.acks.puback(7)).toBe(false);
    expect(device.sent()).toEqual([]);
    // The id is free for another message.
    device.send(at1(7, "y"));
    expect(device.sent()).toEqual([]);
    expect(device.acks.puback(7)).toBe(true);
    expect(device.sent()).toEqual(["PUBACK #7"]);
    expect(device.take()).toEqual(["message y #7"]);
  });

  test("may be called in the message's callback: PUBACK leaves once that returns", () => {
    const device = upward(false);
    device.whenMessage = (id) => {
      expect(device.acks.puback(id)).toBe(true);
      expect(device.client.publish("t", "answer")).toBe(true);
    };
    device.send(at1(1), at1(2), message("t", "at 0"), at1(3));
    // That of QoS 0 has nothing to acknowledge.
    expect(device.sent().filter((line) => line.startsWith("PUBACK"))).toEqual(["PUBACK #1", "PUBACK #2", "PUBACK #3"]);
    device.takeErrors();
  });

  test("answers false where nothing of that id waits", () => {
    const device = new AckDevice(false);
    expect(device.acks.puback(1)).toBe(false);
    device.up();
    device.send(message("t", "x"), at2(3), ack("PUBREL", 4));
    expect([1, 3, 4].map((id) => device.acks.puback(id))).toEqual([false, false, false]);
    expect(device.acks.pubrec(3)).toBe(false);
    expect(device.sent()).toEqual(["PUBREC #3"]);
  });

  test("leaves in the order of the messages, whatever that of the calls [MQTT-4.6.0-2]", () => {
    const device = upward(false);
    device.send(at1(5), at1(3), at1(9), at1(4));
    expect(device.acks.puback(9)).toBe(true);
    expect(device.acks.puback(3)).toBe(true);
    expect(device.acks.puback(9)).toBe(false);
    expect(device.sent()).toEqual([]);
    expect(device.acks.puback(5)).toBe(true);
    expect(device.sent()).toEqual(["PUBACK #5", "PUBACK #3", "PUBACK #9"]);
    expect(device.acks.puback(4)).toBe(true);
    expect(device.sent()).toEqual(["PUBACK #4"]);
  });

  test("does not wait for those of QoS 2, nor they for it", () => {
    const device = upward("never");
    device.send(at2(1), at1(2), at2(3), at1(4));
    device.acks.puback(2);
    expect(device.sent()).toEqual(["PUBACK #2"]);
    device.acks.pubrec(1);
    device.acks.pubrec(3);
    expect(device.sent()).toEqual(["PUBREC #1", "PUBREC #3"]);
  });

  test("waits for the rest of a message that is longer than can be told", () => {
    const device = upward(false, { options: { maxMessageLength: 32, rxCapacity: 128 } });
    device.whenMessage = (id) => expect(device.acks.puback(id)).toBe(true);
    const bytes = device.broker.bytes(at1(7, "y".repeat(100)));
    device.socket.receive(bytes.subarray(0, 60));
    expect(device.take()).toEqual(["overflow yyyyyyyy #7"]);
    expect(device.sent()).toEqual([]);
    device.socket.receive(bytes.subarray(60));
    expect(device.sent()).toEqual(["PUBACK #7"]);
  });

  test("waits for the last piece of a message", () => {
    const device = upward(false, { options: { maxMessageLength: 32, rxCapacity: 128 } });
    const given: boolean[] = [];
    device.client.on("data", (_, __, ___, offset, ____, info) => {
      device.events.push(`at ${offset}`);
      given.push(device.acks.puback(info.packetId));
    });
    const bytes = device.broker.bytes(at1(7, "y".repeat(100)));
    device.socket.receive(bytes.subarray(0, 60));
    expect(device.sent()).toEqual([]);
    device.socket.receive(bytes.subarray(60));
    expect(device.sent()).toEqual(["PUBACK #7"]);
    expect(given).toEqual([true, false]);
  });

  test("once for a message that the broker repeats on the same connection before it was acknowledged", () => {
    const device = upward(false);
    device.send(at1(1, "a"), at1(2, "b"), at1(1, "a", true));
    expect(device.take()).toEqual(["message a #1", "message b #2", "message a #1 dup"]);
    device.acks.puback(2);
    device.acks.puback(1);
    expect(device.sent()).toEqual(["PUBACK #1", "PUBACK #2"]);
    expect(device.acks.puback(1)).toBe(false);
    // While it arrives once more, too.
    device.send(at1(3, "c".repeat(50)));
    const bytes = device.broker.bytes(at1(3, "c".repeat(50), true));
    device.socket.receive(bytes.subarray(0, 30));
    device.acks.puback(3);
    expect(device.sent()).toEqual([]);
    device.socket.receive(bytes.subarray(30));
    expect(device.sent()).toEqual(["PUBACK #3"]);
  });

  test("what a callback throws changes nothing of it", () => {
    const device = upward(false);
    device.whenMessage = (id) => {
      device.acks.puback(id);
      throw new Error("callback");
    };
    device.send(at1(1), at1(2));
    expect(device.sent()).toEqual(["PUBACK #1", "PUBACK #2"]);
    expect(device.takeErrors()).toHaveLength(2);
  });

  test.each([undefined, null, 0, 65536, 1.5, "1", NaN])("takes no packet id %p", (id) => {
    const device = upward(false);
    for (const name of METHODS) expect(() => device.acks[name](id as never)).toThrow("packetId");
    expect(device.client.connected).toBe(true);
  });
});

describe("pubrec", () => {
  test("with autoAck false the client sends PUBREC by itself [MQTT-4.3.3-2]", () => {
    const device = upward(false);
    device.send(at2(7));
    expect(device.sent()).toEqual(["PUBREC #7"]);
    expect(device.acks.pubrec(7)).toBe(false);
  });

  test('with autoAck "never" it leaves when called, in the order of the messages [MQTT-4.6.0-3]', () => {
    const device = upward("never");
    device.send(at2(5), at2(6), at2(7));
    device.hal.advance(50000);
    expect(device.sent()).toEqual([]);
    expect(device.acks.pubrec(7)).toBe(true);
    expect(device.acks.pubrec(6)).toBe(true);
    expect(device.sent()).toEqual([]);
    expect(device.acks.pubrec(5)).toBe(true);
    expect(device.sent()).toEqual(["PUBREC #5", "PUBREC #6", "PUBREC #7"]);
    expect([5, 6, 7].map((id) => device.acks.pubrec(id))).toEqual([false, false, false]);
  });

  test("a message that is repeated on the same connection is not delivered again [MQTT-4.3.3-2]", () => {
    const device = upward("never");
    device.send(at2(1), at2(2), at2(1, "x", true));
    expect(device.take()).toEqual(["message x #1", "message x #2"]);
    device.acks.pubrec(2);
    device.acks.pubrec(1);
    expect(device.sent()).toEqual(["PUBREC #1", "PUBREC #2"]);
    // The application has done its part.
    device.send(at2(2, "x", true));
    expect(device.sent()).toEqual(["PUBREC #2"]);
    expect(device.take()).toEqual([]);
  });

  test("one that is repeated, and was confirmed, does not overtake one that was not [MQTT-4.6.0-3]", () => {
    const device = upward("never");
    device.send(at2(1));
    device.acks.pubrec(1);
    device.send(at2(2), at2(1, "x", true));
    expect(device.sent()).toEqual(["PUBREC #1"]);
    device.acks.pubrec(2);
    expect(device.sent()).toEqual(["PUBREC #2", "PUBREC #1"]);
  });

  test("a message that is not confirmed when the connection is lost is not delivered again, and PUBREC leaves when " +
    "the broker has asked again and the application has answered [MQTT-4.3.3-2]", () => {
    // In all orders of these two.
    for (const when of ["before the loss", "without a connection", "before the broker asks", "then"]) {
      const device = upward("never");
      device.send(at2(1), at2(2));
      // It waits for that of #1.
      if (when === "before the loss") expect(device.acks.pubrec(2)).toBe(true);
      device.socket.reset();
      device.hal.settle();
      if (when === "without a connection") expect(device.acks.pubrec(2)).toBe(true);
      device.up(true);
      if (when === "before the broker asks") expect(device.acks.pubrec(2)).toBe(true);
      expect(device.sent()).toEqual([]);
      device.send(at2(2, "x", true));
      if (when === "then") {
        expect(device.sent()).toEqual([]);
        expect(device.acks.pubrec(2)).toBe(true);
      }
      // That of #1 was not asked for on this connection.
      expect(device.sent()).toEqual(["PUBREC #2"]);
      expect(device.acks.pubrec(2)).toBe(false);
      device.send(at2(1, "x", true));
      expect(device.sent()).toEqual([]);
      expect(device.acks.pubrec(1)).toBe(true);
      expect(device.sent()).toEqual(["PUBREC #1"]);
      expect(device.take()).toEqual([]);
      device.check();
    }
  });

  test("a PUBREC that was lost is repeated without the application [MQTT-4.3.3-2]", () => {
    const device = upward("never");
    device.send(at2(1));
    expect(device.acks.pubrec(1)).toBe(true);
    device.again();
    device.send(at2(1, "x", true));
    expect(device.sent()).toEqual(["PUBREC #1"]);
    expect(device.acks.pubrec(1)).toBe(false);
    device.send(ack("PUBREL", 1));
    expect(device.take()).toEqual(["pubrel #1"]);
  });

  test("a new message under an id of a session that the broker has lost waits for its own call", () => {
    const device = upward("never");
    device.send(at2(1, "old"), at2(2, "old"));
    device.acks.pubrec(1);
    device.again(false);
    expect(device.acks.pubrec(2)).toBe(false);
    device.send(at2(1, "new"), at2(2, "new"));
    expect(device.take()).toEqual(["message new #1", "message new #2"]);
    expect(device.sent()).toEqual([]);
    device.acks.pubrec(2);
    device.acks.pubrec(1);
    expect(device.sent()).toEqual(["PUBREC #1", "PUBREC #2"]);
  });

  test("with cleansession 1 nothing is kept", () => {
    const device = upward("never", { cleansession: 1 });
    device.send(at2(1, "old"));
    device.socket.reset();
    device.hal.settle();
    expect(device.acks.pubrec(1)).toBe(false);
    device.up();
    device.send(at2(1, "new"));
    expect(device.take()).toEqual(["message new #1"]);
    expect(device.sent()).toEqual([]);
  });

  test("of a message cut off in its midst, what was said counts where it is not delivered again", () => {
    const options: DeviceOptions = { options: { maxMessageLength: 32, rxCapacity: 128 } };
    const bytes = (device: AckDevice, dup: boolean): Uint8Array => device.broker.bytes(at2(7, "y".repeat(100), dup));
    // overflow: the application has seen it.
    const device = upward("never", options);
    device.whenMessage = (id) => expect(device.acks.pubrec(id)).toBe(true);
    device.socket.receive(bytes(device, false).subarray(0, 60));
    expect(device.take()).toEqual(["overflow yyyyyyyy #7"]);
    device.again();
    device.socket.receive(bytes(device, true));
    expect(device.sent()).toEqual(["PUBREC #7"]);
    expect(device.take()).toEqual([]);
    // data: it begins anew.
    const other = upward("never", options);
    other.client.on("data", (_, __, ___, offset, ____, info) => {
      other.events.push(`at ${offset} ${other.acks.pubrec(info.packetId)}`);
    });
    other.socket.receive(bytes(other, false).subarray(0, 60));
    expect(other.take()).toEqual(["at 0 true"]);
    other.again();
    other.socket.receive(bytes(other, true).subarray(0, 60));
    expect(other.take()).toEqual(["at 0 true"]);
    expect(other.sent()).toEqual([]);
    other.socket.receive(bytes(other, true).subarray(60));
    expect(other.take()).toEqual(["at 53 false"]);
    expect(other.sent()).toEqual(["PUBREC #7"]);
  });
});

describe("pubcomp", () => {
  test.each(MODES)("answers PUBREL, of which onPubrel tells (autoAck %p) [MQTT-4.3.3-2]", (mode) => {
    const device = upward(mode);
    device.send(at2(7));
    if (mode === "never") device.acks.pubrec(7);
    expect(device.acks.pubcomp(7)).toBe(false);
    device.send(ack("PUBREL", 7));
    expect(device.take()).toEqual(["message x #7", "pubrel #7"]);
    device.hal.advance(50000);
    expect(device.sent()).toEqual(["PUBREC #7"]);
    expect(device.acks.pubcomp(7)).toBe(true);
    expect(device.acks.pubcomp(7)).toBe(false);
    expect(device.sent()).toEqual(["PUBCOMP #7"]);
  });

  test("may be called in onPubrel, for ids that are not known, too", () => {
    const device = upward(false);
    device.whenPubrel = (id) => expect(device.acks.pubcomp(id)).toBe(true);
    device.send(...Array.from({ length: 40 }, (_, i) => ack("PUBREL", i + 1)));
    expect(device.sent()).toEqual(Array.from({ length: 40 }, (_, i) => `PUBCOMP #${i + 1}`));
    expect(device.events).toHaveLength(40);
  });

  test("waits for no other: there is no order among them", () => {
    const device = upward(false);
    device.send(ack("PUBREL", 1), ack("PUBREL", 2));
    device.acks.pubcomp(2);
    expect(device.sent()).toEqual(["PUBCOMP #2"]);
    device.acks.pubcomp(1);
    expect(device.sent()).toEqual(["PUBCOMP #1"]);
  });

  test("a PUBREL that is repeated is told once on a connection, and again on the next", () => {
    const device = upward(false);
    device.send(ack("PUBREL", 1), ack("PUBREL", 1));
    expect(device.take()).toEqual(["pubrel #1"]);
    device.socket.reset();
    device.hal.settle();
    expect(device.acks.pubcomp(1)).toBe(false);
    device.up(true);
    expect(device.acks.pubcomp(1)).toBe(false);
    device.send(ack("PUBREL", 1));
    expect(device.take()).toEqual(["pubrel #1"]);
    expect(device.acks.pubcomp(1)).toBe(true);
    expect(device.sent()).toEqual(["PUBCOMP #1"]);
    // Its answer was lost, perhaps.
    device.send(ack("PUBREL", 1));
    expect(device.take()).toEqual(["pubrel #1"]);
  });

  test("PUBREL without a PUBREC of the application's ends what that was to confirm", () => {
    const device = upward("never");
    device.send(at2(1), at2(2), ack("PUBREL", 1));
    expect(device.acks.pubrec(1)).toBe(false);
    expect(device.acks.pubrec(2)).toBe(true);
    expect(device.sent()).toEqual(["PUBREC #2"]);
  });

  test("what onPubrel throws surfaces, and null clears it", () => {
    const device = upward(false);
    device.whenPubrel = () => {
      throw new Error("callback");
    };
    device.send(ack("PUBREL", 1), at1(2));
    expect(device.takeErrors()).toHaveLength(1);
    device.acks.onPubrel(null);
    device.send(ack("PUBREL", 3));
    expect(device.take()).toEqual(["pubrel #1", "message x #2"]);
    expect(device.acks.pubcomp(3)).toBe(true);
    expect(() => device.acks.onPubrel(undefined as never)).toThrow(new TypeError(
      "callback must be a function or null, not undefined",
    ));
    expect(() => device.acks.onPubrel(1 as never)).toThrow("callback must be a function");
  });

  test("ending the connection in a callback leaves nothing to be acknowledged", () => {
    for (const end of ["abort", "close"] as const) {
      for (const mode of MODES) {
        const device = upward(mode);
        device.whenMessage = device.whenPubrel = (id: number) => {
          device.client[end]();
          device.acks.puback(id);
        };
        for (const packet of [at1(1), at2(2), ack("PUBREL", 3)]) {
          device.send(packet);
          device.hal.advance(10000);
          device.again();
          expect([device.acks.puback(1), device.acks.pubcomp(3)]).toEqual([false, false]);
          // The broker has to ask again.
          device.acks.pubrec(2);
          expect(device.sent()).toEqual([]);
        }
        device.take();
        device.check();
      }
    }
  });
});

describe("pubrel", () => {
  test("sends PUBREL again while PUBCOMP is awaited", () => {
    const device = upward(false);
    device.client.publish("t", "x", 2);
    expect(device.acks.pubrel(1)).toBe(false);
    device.send(ack("PUBREC", 1));
    expect(device.acks.pubrel(1)).toBe(true);
    expect(device.sent()).toEqual(["PUBLISH t=x q2 #1", "PUBREL #1", "PUBREL #1"]);
    device.send(ack("PUBCOMP", 1));
    expect(device.take()).toEqual(["puback"]);
    expect(device.acks.pubrel(1)).toBe(false);
    expect(device.acks.pubrel(2)).toBe(false);
  });

  test("is refused where there is no room, and without a connection", () => {
    const device = upward(false);
    device.client.publish("t", "x", 2);
    device.send(ack("PUBREC", 1));
    device.sent();
    device.socket.stall();
    // The socket's room is used up.
    while (device.socket.room > 0) device.client.publish("t", "y".repeat(Math.min(device.socket.room, 500)));
    let count = 0;
    while (device.acks.pubrel(1) && count < 100) count++;
    expect(count).toBe(15);
    device.socket.unstall();
    expect(device.sent().filter((line) => line === "PUBREL #1")).toHaveLength(15);
    device.socket.reset();
    device.hal.settle();
    expect(device.acks.pubrel(1)).toBe(false);
    device.take();
  });
});

describe("bounds", () => {
  const N = 16;

  test("one message more than receiveMaximum that is not acknowledged ends the session", () => {
    for (const make of [at1, at2]) {
      const device = upward("never", { hal: { defaults: { receiveMaximum: N } } });
      for (let id = 1; id <= N; id++) device.send(make(id));
      expect(device.client.connected).toBe(true);
      expect(device.take()).toHaveLength(N);
      device.send(make(N + 1));
      expect(device.take()).toEqual(["offline -13"]);
      device.check();
    }
  });

  test("one acknowledgement makes place for one message", () => {
    const device = upward("never", { hal: { defaults: { receiveMaximum: 3 } } });
    device.send(at1(1), at2(2), ack("PUBREL", 3));
    for (let id = 4; id < 40; id += 3) {
      device.acks.puback(id - 3);
      device.send(at1(id));
      device.acks.pubrec(id - 2);
      device.acks.pubcomp(id - 1);
      device.send(ack("PUBREL", id - 2));
      device.acks.pubcomp(id - 2);
      device.send(at2(id + 1), ack("PUBREL", id + 2));
    }
    expect(device.client.connected).toBe(true);
    device.send(at1(99));
    expect(device.client.connected).toBe(false);
  });

  test("what is acknowledged leaves before that session ends", () => {
    const device = upward(false, { hal: { defaults: { receiveMaximum: 3 } } });
    device.whenMessage = (id) => {
      if (id === 1) device.acks.puback(id);
    };
    device.send(at1(1), at1(2), at1(3), at1(4), at1(5));
    expect(device.sent()).toEqual(["PUBACK #1"]);
    expect(device.take()).toEqual(["message x #1", "message x #2", "message x #3", "message x #4", "offline -13"]);
  });

  test("a PUBREL for which there is no place ends the session too, and is answered on the next", () => {
    const device = upward(false, { hal: { defaults: { receiveMaximum: 2 } } });
    device.send(at1(1), at1(2), ack("PUBREL", 3));
    expect(device.take()).toEqual(["message x #1", "message x #2", "offline -13"]);
    device.up(true);
    device.send(ack("PUBREL", 3));
    expect(device.take()).toEqual(["pubrel #3"]);
  });

  test("messages that the broker does not come back to do not take the place of new ones for ever", () => {
    const device = upward("never", { hal: { defaults: { receiveMaximum: 4 } } });
    for (let round = 0; round < 10; round++) {
      for (let i = 1; i <= 4; i++) {
        device.send(at2(round * 4 + i));
        expect(device.client.connected).toBe(true);
      }
      expect(device.take()).toHaveLength(4);
      device.again();
      // All at once are half of what there is place for.
      for (let i = 1; i <= 4; i++) device.send(at1(i));
      expect(device.client.connected).toBe(true);
      for (let i = 1; i <= 4; i++) device.acks.puback(i);
      device.again();
      device.take();
    }
  });

  test("nor do those of sessions that are gone", () => {
    for (const cleansession of [0, 1] as const) {
      const device = upward("never", { cleansession, hal: { defaults: { receiveMaximum: 4 } } });
      for (let round = 0; round < 5; round++) {
        for (let i = 1; i <= 4; i++) device.send(at2(round * 4 + i));
        device.again(false);
      }
      device.send(at2(90), at2(91), at2(92), at2(93));
      expect([90, 91, 92, 93].map((id) => device.acks.pubrec(id))).toEqual([true, true, true, true]);
      expect(device.sent()).toEqual(["PUBREC #90", "PUBREC #91", "PUBREC #92", "PUBREC #93"]);
      device.check();
    }
  });

  test("a message that is one too many is not delivered, whatever its id meant before", () => {
    const device = upward("never", { hal: { defaults: { receiveMaximum: 2 } } });
    device.send(at2(1, "old"));
    device.again(false);
    device.send(at1(7), at1(8), at2(1, "new"));
    expect(device.take()).toEqual(["message x #7", "message x #8", "offline -13"]);
  });

  test("as many as there are at once leave, past the session's room for acknowledgements", () => {
    for (const mode of MODES) {
      for (const room of [1, 3, 5, 64, 2920]) {
        const device = upward(mode, { hal: { room, defaults: { receiveMaximum: 100 } } });
        for (let id = 1; id <= 100; id++) device.send(at1(id));
        expect(device.sent()).toEqual([]);
        for (let id = 100; id > 0; id--) expect(device.acks.puback(id)).toBe(true);
        expect(device.sent()).toEqual(Array.from({ length: 100 }, (_, i) => `PUBACK #${i + 1}`));
        device.take();
        device.check();
      }
    }
  });

  test("also inside a callback, with the session's own around them, and PINGREQ and DISCONNECT behind", () => {
    for (const own of [at2(101), ack("PUBREC", 1), message("t", "x"), at1(102)]) {
      for (let before = 0; before < 15; before++) {
        const device = upward(false, { hal: { defaults: { receiveMaximum: 120 } }, keepalive: 10 });
        device.client.publish("t", "mine", 2);
        device.send(...Array.from({ length: 100 }, (_, i) => at1(i + 1)));
        device.sent();
        device.take();
        let isTime = false;
        device.whenMessage = device.whenPubrel = () => {
          if (!isTime) return;
          isTime = false;
          for (let id = 1; id <= 100; id++) device.acks.puback(id);
        };
        device.during.puback = device.whenPubrel as never;
        device.socket.stall();
        while (device.socket.room > 0) device.client.publish("t", "y".repeat(Math.min(device.socket.room, 500)));
        // Acknowledgements of the session wait already.
        const waiting = Array.from({ length: before }, (_, i) => at2(200 + i));
        isTime = true;
        if (own.type === "PUBREC") device.whenMessage(0, "");
        device.send(...waiting, own);
        device.hal.advance(9500);
        device.client.close();
        device.socket.unstall();
        device.hal.advance(20000);
        const lines = device.sent().filter((line) => !line.startsWith("PUBLISH"));
        expect(lines.filter((line) => line.startsWith("PUBACK")).slice(0, 100))
          .toEqual(Array.from({ length: 100 }, (_, i) => `PUBACK #${i + 1}`));
        expect(lines.filter((line) => line === "PINGREQ")).toHaveLength(1);
        expect(lines.at(-1)).toBe("DISCONNECT");
        expect(lines.filter((line) => line.startsWith("PUBREC"))).toHaveLength(before + (own.type === "PUBLISH" &&
          own.qos === 2 ? 1 : 0));
        device.take();
        device.check();
      }
    }
  });

  test("a burst that is acknowledged in its callbacks is held back, not refused, while nothing can leave", () => {
    const device = upward(false, { hal: { defaults: { receiveMaximum: 4, rxCapacity: 4096 } } });
    device.whenMessage = (id) => expect(device.acks.puback(id)).toBe(true);
    device.socket.stall();
    while (device.socket.room > 0) device.client.publish("t", "y".repeat(Math.min(device.socket.room, 500)));
    device.send(...Array.from({ length: 60 }, (_, i) => at1(i + 1)));
    device.hal.advance(1000);
    expect(device.client.connected).toBe(true);
    device.socket.unstall();
    expect(device.sent().filter((line) => line.startsWith("PUBACK")))
      .toEqual(Array.from({ length: 60 }, (_, i) => `PUBACK #${i + 1}`));
  });
});

describe("the end of a session", () => {
  test("close sends what was acknowledged before it, then DISCONNECT [MQTT-3.14.4-2]", () => {
    const device = upward(false, { hal: { defaults: { receiveMaximum: 60 } } });
    for (let id = 1; id <= 60; id++) device.send(at1(id));
    device.whenMessage = () => {
      for (let id = 1; id <= 50; id++) device.acks.puback(id);
      device.client.close();
    };
    device.send(message("t", "now"));
    expect(device.sent()).toEqual([...Array.from({ length: 50 }, (_, i) => `PUBACK #${i + 1}`), "DISCONNECT"]);
    device.hal.advance(10000);
    expect(device.acks.puback(51)).toBe(false);
    expect(device.take().at(-1)).toBe("offline 0");
  });

  test("close does not wait for what is not acknowledged, and behind DISCONNECT nothing is sent", () => {
    const device = upward(false);
    device.send(at1(1));
    device.socket.stall();
    while (device.socket.room > 0) device.client.publish("t", "y".repeat(Math.min(device.socket.room, 500)));
    device.client.close();
    device.hal.advance(3000);
    device.socket.unstall();
    device.hal.settle();
    device.acks.puback(1);
    device.hal.advance(3000);
    expect(device.sent().at(-1)).toBe("DISCONNECT");
  });

  test("after a loss the broker sends messages at QoS 1 again, and they are acknowledged once more", () => {
    const device = upward(false);
    device.send(at1(1), at1(2));
    device.acks.puback(2);
    device.socket.reset();
    device.hal.settle();
    expect([device.acks.puback(1), device.acks.puback(2)]).toEqual([false, false]);
    device.up(true);
    device.send(at1(1, "x", true), at1(2, "x", true));
    expect(device.take()).toEqual(["message x #1 dup", "message x #2 dup"]);
    expect(device.sent()).toEqual([]);
    device.acks.puback(2);
    device.acks.puback(1);
    expect(device.sent()).toEqual(["PUBACK #1", "PUBACK #2"]);
  });

  test("drain waits for the application, too", () => {
    for (const [packet, give] of [
      [at1(1), (device: AckDevice) => device.acks.puback(1)],
      [ack("PUBREL", 1), (device: AckDevice) => device.acks.pubcomp(1)],
    ] as const) {
      const device = upward(false);
      device.send(packet);
      device.take();
      const drained = (_: Client, isDrained: boolean): void => {
        device.events.push(`drained ${isDrained}`);
      };
      device.client.drain(drained, 5000);
      device.hal.advance(4000);
      expect(device.take()).toEqual([]);
      give(device);
      expect(device.take()).toEqual(["drained true"]);
      device.send(at1(2));
      device.client.drain(drained, 5000);
      device.hal.advance(5000);
      expect(device.take()).toEqual(["message x #2", "drained false"]);
      device.check();
    }
  });

  test("while reading is paused acknowledgements leave", () => {
    const device = upward(false);
    device.send(at1(1));
    device.client.pause();
    device.send(at1(2));
    expect(device.acks.puback(1)).toBe(true);
    expect(device.sent()).toEqual(["PUBACK #1"]);
    expect(device.acks.puback(2)).toBe(false);
    device.client.resume();
    expect(device.take()).toEqual(["message x #1", "message x #2"]);
  });
});

describe("with other modules", () => {
  test("after a restored snapshot a message that was delivered is confirmed, without the application", () => {
    const make = (): AckDevice => new AckDevice("never", { extend: (client) => withSnapshot(client) });
    const device = make();
    device.up();
    device.send(at2(1, "a"), at2(2, "b"));
    device.acks.pubrec(1);
    const bytes = new Uint8Array(200);
    const snapshotting = device.client as ReturnType<typeof withSnapshot>;
    const length = snapshotting.snapshot(bytes);
    const next = make();
    expect((next.client as typeof snapshotting).restore(bytes.subarray(0, length))).toBe(0);
    expect([next.acks.pubrec(1), next.acks.pubrec(2)]).toEqual([false, false]);
    next.up(true);
    next.send(at2(1, "a", true), at2(2, "b", true), at1(3, "c", true));
    expect(next.sent()).toEqual(["PUBREC #1", "PUBREC #2"]);
    next.send(ack("PUBREL", 1));
    expect(next.take()).toEqual(["message c #3 dup", "pubrel #1"]);
  });

  test("in any order, beside outcomes, a queue's policy, streams and retry", () => {
    const adds: ((client: Client) => Client)[] = [
      (client) => withOutcomes(client),
      (client) => withQueuePolicy(client, { dropPolicy: "drop-oldest" }),
      (client) => withStreams(client, 16),
      (client) => withRetry(client, { retryIntervalMs: 1000 }),
    ];
    for (let turn = 0; turn < 4; turn++) {
      for (const before of [0, 2, 4]) {
        const order = [...adds.slice(turn), ...adds.slice(0, turn)];
        const device = new AckDevice("never", {
          extend: (client) => order.slice(0, before).reduce((made, add) => add(made), client),
          hal: { defaults: { receiveMaximum: 40 } },
        });
        order.slice(before).reduce((made, add) => add(made), device.client);
        device.up();
        const streams = device.client as ReturnType<typeof withStreams>;
        device.socket.stall();
        expect(streams.beginPublish("t", 40)).toBe(true);
        streams.write(new Uint8Array(20).fill(0x61));
        device.client.publish("t", "q", 1);
        device.send(...Array.from({ length: 30 }, (_, i) => (i % 2 === 0 ? at1 : at2)(i + 1)));
        for (let id = 30; id > 0; id--) {
          expect(id % 2 === 1 ? device.acks.puback(id) : device.acks.pubrec(id)).toBe(true);
        }
        device.socket.unstall();
        expect(device.sent()).toEqual([]);
        // Nothing may come between the parts of a message.
        streams.write(new Uint8Array(20).fill(0x62));
        const lines = device.sent();
        expect(lines[0]).toBe(`PUBLISH t=${"a".repeat(20)}${"b".repeat(20)}`);
        expect(lines.filter((line) => line.startsWith("PUBACK")))
          .toEqual(Array.from({ length: 15 }, (_, i) => `PUBACK #${2 * i + 1}`));
        expect(lines.filter((line) => line.startsWith("PUBREC")))
          .toEqual(Array.from({ length: 15 }, (_, i) => `PUBREC #${2 * i + 2}`));
        device.hal.advance(1500);
        expect(device.sent()).toEqual(["PUBLISH t=q q1 #1 dup"]);
        device.take();
        device.check();
      }
    }
  });

  test("options are checked by name", () => {
    const { client } = new Device();
    for (const [options, text] of [
      [{ autoAck: true }, 'autoAck must be false or "never", not true'],
      [{ autoAck: "always" }, 'autoAck must be false or "never", not "always"'],
      [{ autoack: false }, 'unknown option "autoack"'],
      [7, "options must be an object, not 7"],
    ] as const) {
      expect(() => withAcknowledge(client, options as AcknowledgeOptions)).toThrow(new TypeError(text));
    }
    expect("puback" in client).toBe(false);
    expect(withAcknowledge(client)).toBe(client);
  });
});

/** What a broker has to send, and what it knows of each. */
interface Item {
  payload: string;
  qos: 1 | 2;
  id: number;
  state: "queued" | "sent" | "released" | "done";
}

/** A broker that keeps to the specification, over a connection that is cut again and again. */
function runModel(seed: number, mode: false | "never"): void {
  const random = seeded(seed);
  const device = new AckDevice(mode, {
    hal: { room: 1 + random.below(80), defaults: { receiveMaximum: 8, rxCapacity: 512 } },
    options: { maxMessageLength: 64 },
  });
  const window = 1 + random.below(8);
  const items: Item[] = Array.from({ length: 30 }, (_, i) => ({
    payload: `p${i}`,
    qos: random.below(2) === 0 ? 1 : 2,
    id: 0,
    state: "queued",
  }));
  const delivered = new Map<string, number>();
  /** What the application owes, and what it has said. */
  const owed: { kind: "puback" | "pubrec" | "pubcomp"; id: number }[] = [];
  const said = new Set<string>();
  let lastId = 0;
  let problem = "";
  const key = (kind: string, id: number): string => `${kind} ${id}`;
  const owe = (kind: "puback" | "pubrec" | "pubcomp", id: number): void => {
    if (random.below(3) === 0) say({ kind, id });
    else owed.push({ kind, id });
  };
  const say = ({ kind, id }: { kind: "puback" | "pubrec" | "pubcomp"; id: number }): void => {
    said.add(key(kind, id));
    device.acks[kind](id);
  };
  device.whenMessage = (id, payload) => {
    delivered.set(payload, (delivered.get(payload) ?? 0) + 1);
    const item = items.find((one) => one.payload === payload)!;
    if (item.qos === 1) owe("puback", id);
    else if (mode === "never") owe("pubrec", id);
  };
  device.whenPubrel = (id) => owe("pubcomp", id);

  /** What the broker has sent on this connection and expects an answer to, in order. */
  let asked: Item[] = [];
  const send = (item: Item, dup: boolean): void => {
    if (item.state === "released") return device.send(ack("PUBREL", item.id));
    asked.push(item);
    device.send((item.qos === 1 ? at1 : at2)(item.id, item.payload, dup));
  };
  const inFlight = (): Item[] => items.filter(({ state }) => state === "sent" || state === "released");
  const pump = (): void => {
    for (const item of items) {
      if (inFlight().length >= window) return;
      if (item.state !== "queued") continue;
      do lastId = (lastId % 20) + 1;
      while (inFlight().some(({ id }) => id === lastId));
      item.id = lastId;
      item.state = "sent";
      said.delete(key("puback", lastId));
      said.delete(key("pubrec", lastId));
      said.delete(key("pubcomp", lastId));
      send(item, false);
    }
  };
  const answer = (line: string): void => {
    const [type, number] = line.split(" #");
    const id = Number(number);
    const kind = type.toLowerCase();
    if (type !== "PUBACK" && type !== "PUBREC" && type !== "PUBCOMP") return;
    if (!(type === "PUBREC" && mode === false) && !said.has(key(kind, id))) problem ||= `${line} before it was said`;
    const item = inFlight().find((one) => one.id === id);
    if (type === "PUBCOMP") {
      if (item?.state !== "released") problem ||= `${line} without PUBREL`;
      else item.state = "done";
      return;
    }
    const qos = type === "PUBACK" ? 1 : 2;
    const first = asked.find((one) => one.qos === qos);
    if (first === undefined || first.id !== id) problem ||= `${line} out of order`;
    asked = asked.filter((one) => one !== first);
    if (item === undefined) return;
    if (qos === 1) {
      item.state = "done";
    } else if (item.state === "sent") {
      item.state = "released";
      device.send(ack("PUBREL", id));
    }
  };
  const connect = (): void => {
    asked = [];
    // Of an earlier connection, only what is owed at QoS 2 is the application's to say.
    for (let i = owed.length - 1; i >= 0; i--) if (owed[i].kind !== "pubrec") owed.splice(i, 1);
    for (const name of [...said]) if (!name.startsWith("pubrec")) said.delete(name);
    device.up(true);
    for (const item of inFlight()) send(item, true);
  };

  connect();
  for (let step = 0; step < 2000 && items.some(({ state }) => state !== "done"); step++) {
    const kind = random.below(12);
    if (kind === 0 && step < 600) {
      // What has left may be lost on the way, and so may what was sent here.
      if (random.below(2) === 0) for (const line of device.sent()) answer(line);
      if (!device.socket.over) device.socket.reset();
      device.client.resume();
      device.hal.settle();
      if (random.below(2) === 0 && owed.length > 0) say(owed.splice(random.below(owed.length), 1)[0]);
      connect();
    } else if (kind < 5 && owed.length > 0) {
      say(owed.splice(random.below(owed.length), 1)[0]);
    } else if (kind === 5) {
      device.socket.stall();
    } else if (kind === 6) {
      device.socket.unstall();
    } else if (kind === 7) {
      pump();
    } else if (kind === 8) {
      device.hal.advance(random.below(200));
    } else if (kind === 9 && device.client.connected) {
      device.client.pause();
    } else if (kind === 10) {
      device.client.resume();
    } else {
      for (const line of device.sent()) answer(line);
    }
    if (step > 1500) {
      device.socket.unstall();
      device.client.resume();
    }
    if (!device.client.connected) problem ||= `offline: ${device.events.join()}`;
    if (problem !== "") break;
  }
  const where = `seed ${seed}, autoAck ${mode}`;
  expect(`${where}: ${problem}`).toBe(`${where}: `);
  expect([where, items.filter(({ state }) => state !== "done")]).toEqual([where, []]);
  for (const { payload, qos } of items) {
    if (qos === 2) expect([where, payload, delivered.get(payload)]).toEqual([where, payload, 1]);
    else expect(delivered.get(payload)).toBeGreaterThan(0);
  }
  device.take();
  device.check();
}

describe("against a model of a broker", () => {
  test.each(MODES)("nothing is confirmed before it was said, PUBACKs and PUBRECs leave in order, and in the end all " +
    "is confirmed, once at QoS 2 (autoAck %p)", (mode) => {
    repeat(150, (seed) => runModel(seed, mode));
  });
});

describe("keep alive", () => {
  test("goes on while messages wait for the application [MQTT-3.1.2-23]", () => {
    const device = upward("never", { keepalive: 10 });
    device.send(at1(1), at2(2));
    device.hal.advance(9999);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP);
    device.hal.advance(9999);
    expect(device.sent()).toEqual(["PINGREQ"]);
    device.send(PINGRESP, connack());
    expect(device.take().at(-1)).toBe("offline -26");
  });
});
