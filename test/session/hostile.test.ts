import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { QOS_1, QOS_2 } from "../../src/wire.js";
import { chunkSizes, mutation } from "../support/arbitraries.js";
import { Harness, bytesOf } from "../support/session-harness.js";

/** A session with one operation of each kind under way, one in part, and one behind the window. */
function busy(): Harness {
  const h = Harness.up({ cleanSession: false, maxInflight: 6, receiveMaximum: 4, rxCapacity: 128 });
  const { session } = h;
  session.publish("t", "1", QOS_1);
  session.publish("t", "2", QOS_2);
  session.publish("t", "3", QOS_2);
  session.subscribe({ a: 0, b: 1 });
  session.unsubscribe({ a: 0 });
  h.flush();
  h.receive("PUBREC #3", "PUBLISH q2 #9 t=x");
  h.flush();
  session.publish("t", "x".repeat(50), QOS_1);
  h.flush(20);
  session.publish("t", "y", QOS_2);
  h.takeEvents();
  return h;
}

/** What a broker may send to such a session. */
const STREAM = bytesOf(
  "PUBLISH q0 t=x*20",
  "PUBACK #1",
  "PUBLISH q1 #1 t=y",
  "PUBREC #2",
  "PUBLISH q2 #9 dup t=x",
  "PUBCOMP #3",
  "SUBACK #4 0,128",
  "PUBREL #9",
  "PINGRESP",
  "PUBLISH q2 #2 retain t/long/topic=x*140",
  "UNSUBACK #5",
  "PUBCOMP #2",
  "PUBREL #2",
  "PUBREC #3",
  "PUBLISH q1 #65535 t=",
);

/** All that an object holds on to: bytes of typed arrays, entries of arrays, and objects. */
function footprint(root: object): string {
  const seen = new Set<object>();
  let bytes = 0;
  let entries = 0;
  const visit = (value: unknown): void => {
    if (typeof value !== "object" || value === null || seen.has(value) || value instanceof Harness) return;
    seen.add(value);
    if (ArrayBuffer.isView(value)) bytes += value.byteLength;
    else {
      if (Array.isArray(value)) entries += value.length;
      for (const key of Object.keys(value)) visit((value as Record<string, unknown>)[key]);
    }
  };
  visit(root);
  return `${bytes} bytes, ${entries} entries, ${seen.size} objects`;
}

describe("Session, what a broken or hostile broker sends", () => {
  it("is a stream that the session can read, as long as nothing changes it", () => {
    const h = busy();
    h.feed(STREAM);
    h.flush();
    expect(h.events).toEqual([
      "message q0 t=x*20",
      "done PUBACK",
      "message q1 #1 t=y",
      "message q2 #2 retain t/long/topic=x*140",
      "done PUBCOMP",
      "done PUBCOMP",
      "done SUBACK 0,128",
      "done UNSUBACK",
      "message q1 #65535 t=",
    ]);
  });

  it("never makes it throw, hang, send anything malformed, grow, or be of no use afterwards", () => {
    fc.assert(
      fc.property(
        fc.array(mutation, { minLength: 1, maxLength: 5 }),
        chunkSizes,
        fc.array(fc.nat(70), { minLength: 1, maxLength: 8 }),
        (mutations, sizes, rooms) => {
          let stream = STREAM;
          for (const mutate of mutations) if (stream.length > 0) stream = mutate(stream);
          const h = busy();
          const before = footprint(h.session);
          for (let at = 0, i = 0; at < stream.length && h.isConnected; i++) {
            h.feed(stream.slice(at, at + sizes[i % sizes.length]));
            at += sizes[i % sizes.length];
            // The harness throws when what is to be sent is out of bounds or malformed.
            h.flush(rooms[i % rooms.length]);
            h.advance(10, { isStuck: true });
          }
          h.flush();
          const isPending = h.session.pending(Infinity) > 0;
          if (!h.isConnected && isPending) throw new Error("Something is to be sent behind the end");
          if (footprint(h.session) !== before) throw new Error(`${footprint(h.session)} instead of ${before}`);
          h.reopen("CONNACK present");
          h.flush();
          h.takeEvents();
          h.receive("PUBLISH q1 #3 t=ok");
          if (h.flush().join() !== "PUBACK #3" || h.events.join() !== "message q1 #3 t=ok") {
            throw new Error(`It is of no use any more: ${h.events.join()}`);
          }
        },
      ),
      { numRuns: 10000, seed: 20141029 },
    );
  });
});
