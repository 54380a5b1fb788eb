/** What holds for both directions alike: of an encoder and of a decoder, for packets of the side that sends them. */
import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import hal from "../../hal/node.js";
import type { StreamDecoder } from "../../src/codec.js";
import { Encoder } from "../../src/encoder.js";
import {
  BAD_HEADER,
  BAD_LENGTH,
  BAD_PACKET_ID,
  BAD_QOS,
  BAD_REMAINING_LENGTH,
  BAD_TOPIC,
  NO_ROOM,
  UNEXPECTED_PACKET,
} from "../../src/errors.js";
import { ServerEncoder } from "../../src/server-codec.js";
import { PUBLISH } from "../../src/wire.js";
import { vectorsFrom } from "../vectors/packets.js";
import { anyPublish, chunkSizes, mutation, packetFrom } from "./arbitraries.js";
import { POISON, hex, join, wire } from "./bytes.js";
import type { Feeding, Outcome, Received } from "./feed.js";
import { Bench, feed } from "./feed.js";
import type { Packet, Publish, Sender } from "./packets.js";
import { reference, remainingLength, write } from "./packets.js";

/** A PUBLISH at QoS 0, no flag set; tests say what differs. */
const message = { type: "PUBLISH", dup: false, qos: 0, retain: false, packetId: 0, payload: "" } as const;

/** Remaining lengths where the header grows, beside the longest one. */
export const EDGES = [127, 128, 16383, 16384, 2097151, 2097152];
export const LONGEST = 268435455;

/** A packet as a decoder is to report it. */
export function received(packet: Packet): Received {
  return packet.type === "PUBLISH" ? { ...packet, packetLength: reference(packet).length } : packet;
}

/** Ways to cut `length` bytes: not at all, everywhere, and at each place once. */
export function cuttings(length: number): number[][] {
  const all = [[length], [1]];
  for (let first = 1; first < length; first++) all.push([first, length - first]);
  return all;
}

/** As `Outcome`, of any version of MQTT. */
interface Expected {
  packets: object[];
  result: number;
}

/** Feeds `stream` in every cutting, outside and inside of the scratch area, and expects the same of each. */
export function expectHoweverCut(sender: Sender, stream: Uint8Array, expected: Expected, feeding: Feeding = {}): void {
  for (const isInside of [false, true]) {
    for (const sizes of cuttings(stream.length)) {
      const how = { ...feeding, isInside, sizes };
      const outcome = feed(sender, stream, how);
      // Comparing strings is quicker, and there are many.
      if (JSON.stringify(outcome) !== JSON.stringify(expected)) {
        expect({ ...outcome, how }).toEqual({ ...expected, how });
      }
    }
  }
}

/** One row of a table of bad input: what is wrong, the bytes, the error. */
export type BadInput = [title: string, bytes: string | Uint8Array, error: number];

/** Behind a good packet, and with another one behind it: nothing but the first is heard of. */
export function refuses(sender: Sender, table: BadInput[], feeding: Feeding = {}): void {
  for (const [title, notation, error] of table) {
    it(`refuses ${title}`, () => {
      const bytes = typeof notation === "string" ? wire(notation) : notation;
      expectHoweverCut(sender, bytes, { packets: [], result: error }, feeding);
      const neighbour = wire("40 02 0001");
      const { packets } = feed(sender, neighbour, feeding);
      expect(packets).toMatchObject([{ type: "PUBACK", packetId: 1 }]);
      expectHoweverCut(sender, join(neighbour, bytes, neighbour), { packets, result: error }, feeding);
    });
  }
}

/**
 * Has something written to `[offset, offset + room)` of a larger buffer, the rest of which must stay as it was. Returns
 * what was written, in hexadecimal, or the negative code.
 */
export function written(
  offset: number,
  room: number,
  write: (out: Uint8Array, offset: number, end: number) => number,
): string | number {
  const out = new Uint8Array(offset + room + 9).fill(POISON);
  const end = offset + room;
  const at = write(out, offset, end);
  const outside = join(out.subarray(0, offset), out.subarray(end));
  if (outside.some((byte) => byte !== POISON)) throw new Error(`Written outside of [${offset}, ${end}): ${hex(out)}`);
  return at < 0 ? at : hex(out.subarray(offset, at));
}

export function encoderSuite(sender: Sender): void {
  const encoder = sender === "client" ? new Encoder(hal.createText()) : new ServerEncoder(hal.createText());
  writingSuite(
    { vectors: vectorsFrom(sender), any: packetFrom(sender), reference },
    (packet, out, offset, end) => write(encoder, packet, out, offset, end),
  );
}

/** What holds for each version of MQTT: packets are written as they are to be, in the room there is. */
export function writingSuite<P extends { type: string }>(
  kit: Pick<Kit<P>, "vectors" | "any" | "reference">,
  write: (packet: P, out: Uint8Array, offset: number, end: number) => number,
): void {
  const { vectors, any, reference } = kit;
  const into = (offset: number, room: number, packet: P): string | number =>
    written(offset, room, (out, from, end) => write(packet, out, from, end));

  describe("vectors", () => {
    for (const { title, bytes, packet } of vectors) {
      it(`writes ${title}`, () => {
        expect(hex(reference(packet))).toBe(hex(bytes));
        for (const offset of [0, 7]) {
          expect(into(offset, bytes.length, packet)).toBe(hex(bytes));
          expect(into(offset, bytes.length + 100, packet)).toBe(hex(bytes));
        }
      });

      it(`has no room for ${title} in any buffer that is shorter`, () => {
        for (let room = 0; room < bytes.length; room++) {
          for (const offset of [0, 7]) {
            expect(into(offset, room, packet)).toBe(NO_ROOM);
          }
        }
      });
    }
  });

  it("writes any packet, in exactly the room it needs, as the plainest encoder does", () => {
    fc.assert(
      fc.property(any, fc.nat(20), (packet, offset) => {
        const bytes = reference(packet);
        expect(into(offset, bytes.length, packet)).toBe(hex(bytes));
      }),
      { numRuns: 2000 },
    );
  });

  it("has no room for a packet where one byte or more are missing", () => {
    fc.assert(
      fc.property(any, fc.nat(20), fc.nat(65535), (packet, offset, less) => {
        const room = less % reference(packet).length;
        expect(into(offset, room, packet)).toBe(NO_ROOM);
      }),
      { numRuns: 2000 },
    );
  });
}

/**
 * Every first byte: those in `valid` begin a packet, those in `unexpected` one that `sender` may not send, and of the
 * others the type or the flags are wrong. `valid` leaves out PUBLISH.
 */
export function firstBytesSuite(sender: Sender, valid: string, unexpected: string): void {
  const validBytes = [...wire(`30 31 32 33 34 35 3a 3b 3c 3d ${valid}`)];
  const unexpectedBytes = [...wire(unexpected)];
  const bodies = new Map(vectorsFrom(sender).map(({ bytes }) => [bytes[0] >> 4, bytes.subarray(1)]));

  /** The outcome of a packet with this first byte, and a body that is right for its type. */
  function outcomeOf(first: number): Outcome {
    const isMessage = first >> 4 === PUBLISH;
    const body = isMessage ? wire("06 0001 't' 0001 'p'") : (bodies.get(first >> 4) ?? wire("00"));
    return feed(sender, join(new Uint8Array([first]), body));
  }

  it(`takes ${validBytes.length} first bytes out of 256`, () => {
    for (let first = 0; first < 256; first++) {
      const { packets, result } = outcomeOf(first);
      expect({ first, isTaken: packets.length === 1 && result > 0 }).toEqual({
        first,
        isTaken: validBytes.includes(first),
      });
    }
  });

  it("refuses a packet of type 0 or 15 (table 2.1)", () => {
    for (let flags = 0; flags < 16; flags++) {
      expect(outcomeOf(flags)).toEqual({ packets: [], result: BAD_HEADER });
      expect(outcomeOf(0xf0 | flags)).toEqual({ packets: [], result: BAD_HEADER });
    }
  });

  it("refuses flags other than those prescribed [MQTT-2.2.2-2]", () => {
    const prescribed = validBytes.concat(unexpectedBytes);
    for (let first = 0; first < 256; first++) {
      if (first >> 4 === PUBLISH || prescribed.includes(first)) continue;
      expect({ first, ...outcomeOf(first) }).toEqual({ first, packets: [], result: BAD_HEADER });
    }
  });

  it(`refuses a packet that the ${sender} may not send`, () => {
    for (const first of unexpectedBytes) {
      expect({ first, ...outcomeOf(first) }).toEqual({ first, packets: [], result: UNEXPECTED_PACKET });
    }
  });
}

/** What there is of a version of MQTT, and of a side that sends it, for `streamSuite`. */
export interface Kit<P extends { type: string }> {
  sender: Sender;
  vectors: { title: string; bytes: Uint8Array; packet: P }[];
  any: fc.Arbitrary<P>;
  reference(packet: P): Uint8Array;
  /** A packet as the decoder is to report it. */
  received(packet: P): object;
  feeding: Feeding;
}

/** What holds for each version of MQTT: packets come out of a stream as they went in, however it is cut. */
export function streamSuite<P extends { type: string }>(kit: Kit<P>): void {
  const { sender, vectors, any, reference, received, feeding } = kit;
  // A message ahead, of which the last two bytes are payload in each version.
  const before = wire("32 07 0001 'n' 0102 00 'p'");
  const behind = wire("70 02 0304");
  const packetBehind = feed(sender, behind, feeding).packets[0];

  describe("vectors", () => {
    for (const { title, bytes, packet } of vectors) {
      it(`reads ${title}, however it is cut`, () => {
        expectHoweverCut(sender, bytes, { packets: [received(packet)], result: bytes.length }, feeding);
      });

      it(`reads ${title} between other packets, however they are cut`, () => {
        const stream = join(before, bytes, behind, new Uint8Array([bytes[0]]));
        const first = feed(sender, before, feeding);
        expectHoweverCut(sender, stream, {
          packets: [...first.packets, received(packet), packetBehind],
          result: stream.length,
        }, feeding);
      });
    }
  });

  describe("reset()", () => {
    it("forgets a packet of which any part was read", () => {
      for (const { bytes, packet } of vectors) {
        for (let length = 0; length < bytes.length; length++) {
          const { decoder, recorder, push } = new Bench(sender, { scratchLength: 512, ...feeding });
          push(bytes, 0, length);
          decoder.reset();
          expect(decoder.isMidPacket()).toBe(false);
          expect(decoder.filled).toBe(0);
          expect(push(bytes)).toBe(bytes.length);
          expect(recorder.packets.at(-1)).toEqual(received(packet));
        }
      }
    });

    it("forgets an error", () => {
      const { decoder, recorder, push } = new Bench(sender, { scratchLength: 512, ...feeding });
      expect(push(wire("00 00 40 02 0001"))).toBe(BAD_HEADER);
      decoder.reset();
      expect(push(wire("40 02 0001"))).toBe(4);
      expect(recorder.packets).toMatchObject([{ type: "PUBACK", packetId: 1 }]);
    });

    it("inside a call ends `push` without one more call, and what is pushed next begins a stream", () => {
      for (const { title, bytes, packet } of vectors) {
        const isMessage = packet.type === "PUBLISH";
        const { payload } = packet as unknown as Publish;
        // With all of the packet and another one behind it, or but a part of the payload.
        const lengths = [bytes.length + behind.length];
        if (isMessage && payload.length > 1) lengths.push(bytes.length - 1);
        for (const call of isMessage ? ["onPublish", "onPayload"] : ["the packet"]) {
          for (const length of lengths) {
            const { decoder, recorder, push } = new Bench(sender, { scratchLength: 512, ...feeding });
            let calls = 0;
            recorder.onCall = () => {
              if (recorder.hasParts() || recorder.calls < (call === "onPayload" ? 2 : 1)) return;
              ({ calls } = recorder);
              decoder.reset();
            };
            const at = push(join(bytes, behind), 0, length);
            expect({ title, call, isBehind: at > bytes.length, calls }).toEqual({
              title,
              call,
              isBehind: false,
              calls: recorder.calls,
            });
            expect(decoder.isMidPacket()).toBe(false);
            expect(decoder.filled).toBe(0);
            recorder.onCall = () => undefined;
            recorder.forget();
            expect(push(behind)).toBe(behind.length);
            expect(recorder.packets.at(-1)).toEqual(packetBehind);
          }
        }
      }
    });
  });

  it("is inside a packet from behind its first byte until behind its last, and gathers nothing between packets", () => {
    for (const { bytes } of vectors) {
      const { decoder, push } = new Bench(sender, { scratchLength: 512, ...feeding });
      for (let at = 0; at < bytes.length; at++) {
        expect(decoder.isMidPacket()).toBe(at > 0);
        push(bytes, at, at + 1);
        expect(decoder.filled).toBeLessThanOrEqual(at + 1);
      }
      expect(decoder.isMidPacket()).toBe(false);
      expect(decoder.filled).toBe(0);
    }
  });

  describe("any stream", () => {
    it("yields the same packets however it is cut", () => {
      fc.assert(
        fc.property(
          fc.array(any, { maxLength: 8 }),
          fc.array(chunkSizes, { minLength: 1, maxLength: 3 }),
          fc.boolean(),
          (packets, cuts, isInside) => {
            const stream = join(...packets.map(reference));
            for (const sizes of cuts) {
              const outcome = feed(sender, stream, { ...feeding, sizes, isInside, scratchLength: 700 });
              expect(outcome).toEqual({ packets: packets.map(received), result: stream.length });
            }
          },
        ),
        { numRuns: 1500 },
      );
    });

    it("yields the same packets when the handler stops the decoder now and then", () => {
      fc.assert(
        fc.property(
          fc.array(any, { maxLength: 8 }),
          fc.array(fc.boolean(), { minLength: 1, maxLength: 12 }),
          chunkSizes,
          fc.boolean(),
          (packets, stops, sizes, isInside) => {
            const stream = join(...packets.map(reference));
            let call = 0;
            const onCall = (decoder: StreamDecoder): void => {
              if (stops[call++ % stops.length]) decoder.stop();
            };
            const outcome = feed(sender, stream, { ...feeding, sizes, isInside, onCall, scratchLength: 700 });
            expect(outcome).toEqual({ packets: packets.map(received), result: stream.length });
          },
        ),
        { numRuns: 1500 },
      );
    });
  });

  // Whether a stream is valid or not: every access is inside what was lent, and how it is cut makes no difference.
  it("neither throws nor reads or writes out of bounds in ten thousand mutations of valid streams", () => {
    const streams = vectors.map(({ bytes }) => bytes);
    fc.assert(
      fc.property(
        fc.array(fc.constantFrom(...streams), { minLength: 1, maxLength: 4 }),
        fc.array(mutation, { minLength: 1, maxLength: 4 }),
        chunkSizes,
        (parts, mutations, sizes) => {
          const stream = mutations.reduce((bytes, mutate) => mutate(bytes), join(...parts));
          const { scratchLength = 48 } = feeding;
          const outcome = JSON.stringify(feed(sender, stream, { ...feeding, scratchLength }));
          const guarded = feed(sender, stream, { ...feeding, scratchLength, sizes, isGuarded: true });
          const inside = feed(sender, stream, { ...feeding, scratchLength, sizes, isInside: true });
          expect([JSON.stringify(guarded), JSON.stringify(inside)]).toEqual([outcome, outcome]);
        },
      ),
      { numRuns: 10000 },
    );
  });
}

export function decoderSuite(sender: Sender): void {
  const behind = wire("70 02 0304");

  streamSuite({ sender, vectors: vectorsFrom(sender), any: packetFrom(sender), reference, received, feeding: {} });

  describe("remaining length (2.2.3)", () => {
    for (const length of EDGES) {
      it(`reads a PUBLISH whose remaining length is ${length}`, () => {
        const payload = "0123456789abc".repeat(length / 13 + 1).slice(0, length - 3);
        const header = { type: "PUBLISH", dup: false, qos: 0, retain: false, packetId: 0, topicName: "t" } as const;
        const stream = join(reference({ ...header, payload }), behind);
        const inHeader = [1, 1, 1, 1, 1, 1, 1, 1, length];
        for (const how of [{}, { sizes: inHeader }, { sizes: [509] }, { sizes: [509], isInside: true }]) {
          const outcome = feed(sender, stream, how);
          expect(outcome.result).toBe(stream.length);
          expect(outcome.packets.length).toBe(2);
          const { payload: gathered, ...rest } = outcome.packets[0] as Publish;
          expect(rest).toEqual({ ...header, packetLength: stream.length - behind.length });
          expect(gathered === payload).toBe(true); // toEqual would show two megabytes
        }
      });
    }

    it(`reads a PUBLISH whose remaining length is ${LONGEST}, the longest`, () => {
      const chunk = new Uint8Array(1 << 20);
      const header = join(new Uint8Array([0x30]), remainingLength(LONGEST), wire("0001 't'"));
      const told: number[] = [];
      let count = 0;
      const { decoder, recorder } = new Bench(sender);
      recorder.onPublish = (_flags, _packetId, _bytes, _start, _end, payloadLength, packetLength) => {
        told.push(payloadLength, packetLength);
      };
      recorder.onPayload = (_bytes, start, end, owed) => {
        count += end - start;
        if (owed !== LONGEST - 3 - count) throw new Error(`${owed} bytes owed behind ${count}`);
      };
      expect(decoder.push(header, 0, header.length)).toBe(header.length);
      expect(told).toEqual([LONGEST - 3, LONGEST + 5]);
      for (let left = LONGEST - 3; left > 0; left -= chunk.length) {
        const end = Math.min(left, chunk.length);
        expect(decoder.isMidPacket()).toBe(true);
        expect(decoder.push(chunk, 0, end)).toBe(end);
      }
      expect(decoder.isMidPacket()).toBe(false);
      expect(count).toBe(LONGEST - 3);
      expect(decoder.push(behind, 0, behind.length)).toBe(behind.length);
      expect(recorder.packets).toEqual([{ type: "PUBCOMP", packetId: 0x0304 }]);
    });

    it("reads a length that takes more bytes than it needs, which 3.1.1 does not forbid", () => {
      expectHoweverCut(sender, wire("40 82808000 0102"), { packets: [{ type: "PUBACK", packetId: 258 }], result: 7 });
    });

    refuses(sender, [
      ["a remaining length of five bytes", "30 8080808001 0001 't'", BAD_REMAINING_LENGTH],
      ["a remaining length of five bytes, all of them full", "30 ffffffffff", BAD_REMAINING_LENGTH],
    ]);
  });

  describe("PUBLISH", () => {
    refuses(sender, [
      ["QoS 3 [MQTT-3.3.1-4]", "36 06 0001 't' 0001 'p'", BAD_QOS],
      ["QoS 3 with DUP and RETAIN [MQTT-3.3.1-4]", "3f 06 0001 't' 0001 'p'", BAD_QOS],
      ["DUP at QoS 0 [MQTT-3.3.1-2]", "38 04 0001 't' 'p'", BAD_QOS],
      ["DUP at QoS 0, retained [MQTT-3.3.1-2]", "39 04 0001 't' 'p'", BAD_QOS],
      ["packet id 0 at QoS 1 [MQTT-2.3.1-1]", "32 06 0001 't' 0000 'p'", BAD_PACKET_ID],
      ["packet id 0 at QoS 2, without a payload [MQTT-2.3.1-1]", "34 05 0001 't' 0000", BAD_PACKET_ID],
      ["an empty topic name [MQTT-4.7.3-1]", "30 02 0000", BAD_TOPIC],
      ["an empty topic name in front of a payload [MQTT-4.7.3-1]", "31 05 0000 'abc'", BAD_TOPIC],
      ["an empty topic name at QoS 1 [MQTT-4.7.3-1]", "32 04 0000 0001", BAD_TOPIC],
      ["a packet without a topic [MQTT-3.3.2-1]", "30 00", BAD_LENGTH],
      ["a packet that is too short for the length of a topic", "30 01 00", BAD_LENGTH],
      ["a topic that is longer than the packet", "30 03 0002 'a'", BAD_LENGTH],
      ["a topic that is longer than the packet by far", "30 03 ffff 'a'", BAD_LENGTH],
      ["a topic that is longer than the packet and the scratch area", "30 8004 0200 'abc'", BAD_LENGTH],
      ["a packet without room for the packet id", "32 03 0001 'a'", BAD_LENGTH],
      ["a packet with room for half a packet id", "34 04 0001 'a' 01", BAD_LENGTH],
    ]);

    const messages: Publish[] = ["", "payload"].flatMap((payload) => [
      { ...message, topicName: "", payload },
      { ...message, qos: 1, packetId: 258, topicName: "", payload },
      { ...message, dup: true, qos: 2, retain: true, packetId: 65535, topicName: "", payload },
    ]);
    for (const publish of messages) {
      const { qos, payload } = publish;
      it(`passes over a topic name longer than scratch, at QoS ${qos}, payload of ${payload.length} bytes`, () => {
        for (let length = 1; length < 20; length++) {
          const whole = { ...publish, topicName: "123456789/123456789".slice(0, length) };
          const isTooLong = 2 + length + (qos === 0 ? 0 : 2) > 12;
          const packet = { ...received(whole), ...(isTooLong && { topicName: null }) };
          const stream = join(reference(whole), behind);
          const packets: Received[] = [packet, { type: "PUBCOMP", packetId: 0x0304 }];
          expectHoweverCut(sender, stream, { packets, result: stream.length }, { scratchLength: 12 });
        }
      });
    }

    it("passes over the longest topic name in a scratch area of two bytes", () => {
      const packet: Publish = { ...message, qos: 1, packetId: 7, topicName: "t".repeat(65535), payload: "p" };
      const stream = join(reference(packet), behind);
      for (const sizes of [[stream.length], [1], [2], [3, 65535], [65000, 7]]) {
        for (const isInside of [false, true]) {
          const outcome = feed(sender, stream, { sizes, isInside, scratchLength: 2 });
          expect(outcome.packets[0]).toEqual({ ...received(packet), topicName: null });
          expect(outcome.result).toBe(stream.length);
        }
      }
    });
  });

  describe("acknowledgements", () => {
    const types: [string, string][] = [["PUBACK", "40"], ["PUBREC", "50"], ["PUBREL", "62"], ["PUBCOMP", "70"]];
    if (sender === "server") types.push(["UNSUBACK", "b0"]);
    for (const [type, first] of types) {
      refuses(sender, [
        [`packet id 0 in ${type} [MQTT-2.3.1-1]`, `${first} 02 0000`, BAD_PACKET_ID],
        [`${type} without a packet id`, `${first} 00`, BAD_LENGTH],
        [`${type} with half a packet id`, `${first} 01 01`, BAD_LENGTH],
        [`${type} with something behind the packet id`, `${first} 03 0001 00`, BAD_LENGTH],
        [`${type} of 130 bytes`, `${first} 8001 0001`, BAD_LENGTH],
      ]);
    }
  });

  describe("stop()", () => {
    it("ends `push` behind the packet that is being told", () => {
      const bytes = wire("40 02 0001 50 02 0002 62 02 0003");
      const { decoder, recorder, push } = new Bench(sender);
      recorder.onCall = () => decoder.stop();
      expect(push(bytes)).toBe(4);
      expect(push(bytes, 4)).toBe(8);
      recorder.onCall = () => undefined;
      expect(push(bytes, 8)).toBe(12);
      expect(recorder.packets.map(({ type }) => type)).toEqual(["PUBACK", "PUBREC", "PUBREL"]);
    });

    it("in `onPublish` leaves the payload for the next `push`", () => {
      const bytes = wire("30 06 0001 't' 'abc' 40 02 0001");
      const { decoder, recorder, push } = new Bench(sender);
      recorder.onCall = () => recorder.calls === 1 && decoder.stop();
      // Not all of it is there: a whole message may come in one call.
      expect(push(bytes.subarray(0, 7))).toBe(5);
      expect(recorder.calls).toBe(1);
      expect(decoder.isMidPacket()).toBe(true);
      expect(push(bytes, 5)).toBe(12);
      expect(recorder.packets).toEqual([
        { ...message, topicName: "t", payload: "abc", packetLength: 8 },
        { type: "PUBACK", packetId: 1 },
      ]);
    });

    it("in `onPublish` does not hold an empty payload back, which no byte would bring", () => {
      const { decoder, recorder, push } = new Bench(sender);
      recorder.onCall = () => decoder.stop();
      expect(push(wire("30 03 0001 't' 40 02 0001"))).toBe(5);
      expect(recorder.calls).toBe(2);
      expect(decoder.isMidPacket()).toBe(false);
    });

    it("does nothing between calls of `push`", () => {
      const { decoder, recorder, push } = new Bench(sender);
      decoder.stop();
      expect(push(wire("40 02 0001"))).toBe(4);
      expect(recorder.calls).toBe(1);
    });
  });

  describe("any stream", () => {
    it("tells a topic name that is too long for the scratch area by an empty window, and reads on", () => {
      fc.assert(
        fc.property(
          fc.array(anyPublish, { minLength: 1, maxLength: 5 }),
          fc.integer({ min: 2, max: 40 }),
          chunkSizes,
          fc.boolean(),
          (packets, scratchLength, sizes, isInside) => {
            const stream = join(...packets.map(reference));
            const expected = packets.map((packet) => {
              const need = 2 + Buffer.byteLength(packet.topicName) + (packet.qos === 0 ? 0 : 2);
              return { ...received(packet), ...(need > scratchLength && { topicName: null }) };
            });
            const outcome = feed(sender, stream, { sizes, isInside, scratchLength });
            expect(outcome).toEqual({ packets: expected, result: stream.length });
          },
        ),
        { numRuns: 1500 },
      );
    });
  });
}
