/** Messages that are larger than the transmit buffer: what leaves, in which order, and what becomes of it. */
import { describe, expect, test } from "@jest/globals";
import type { Client, ClientOptions, QoS } from "../../src/client.js";
import { headerLength } from "../../src/encoder.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withSnapshot } from "../../src/optional/snapshot.js";
import type { Source, Streams, WritableCallback } from "../../src/optional/streams.js";
import { END_SOURCE, withStreams } from "../../src/optional/streams.js";
import { MAX_REMAINING_LENGTH } from "../../src/wire.js";
import type { DeviceOptions } from "../support/device.js";
import { Device, PINGRESP, ack, connack, describePacket, message } from "../support/device.js";
import type { Packet, Publish } from "../support/packets.js";
import { repeat, seeded } from "../support/session-harness.js";

/** The byte at `offset` of every payload: neighbours differ, and so do pieces of any length. */
function byteAt(offset: number): number {
  return (offset * 31 + (offset >> 7) * 5 + (offset >> 14)) & 255;
}

function payloadOf(length: number): string {
  return Buffer.from(bytesOfPayload(0, length)).toString("latin1");
}

function bytesOfPayload(start: number, end: number): Uint8Array {
  const bytes = new Uint8Array(end - start);
  for (let i = start; i < end; i++) bytes[i - start] = byteAt(i);
  return bytes;
}

/** A payload that can be read again, and who reads it. */
class Paper implements Source {
  readonly byteLength: number;
  /** Where each reading began, and how long it was. */
  readonly reads: [offset: number, count: number][] = [];
  private readonly most: number;

  /** @param most bytes that are given at a time */
  constructor(byteLength: number, most = Infinity) {
    this.byteLength = byteLength;
    this.most = most;
  }

  read(offset: number, bytes: Uint8Array, start: number, end: number): number {
    if (!(start >= 0 && start < end && end <= bytes.length)) throw new RangeError(`read to [${start}, ${end})`);
    if (!(offset >= 0 && offset + end - start <= this.byteLength)) throw new RangeError(`read from ${offset} on`);
    const count = Math.min(end - start, this.most);
    for (let i = 0; i < count; i++) bytes[start + i] = byteAt(offset + i);
    this.reads.push([offset, count]);
    return count;
  }
}

/** A device that streams. */
class Streamer extends Device {
  readonly streams: Client & Streams;
  private inside = 0;

  constructor(options: DeviceOptions = {}, pieceCapacity?: number) {
    super(options);
    this.streams = withStreams(this.client, pieceCapacity);
    for (const name of ["publishFrom", "beginPublish", "write"] as const) {
      const method = this.streams[name] as (...values: unknown[]) => unknown;
      const watched = (...values: unknown[]): unknown => {
        this.inside++;
        try {
          return method.apply(this.streams, values);
        } finally {
          this.inside--;
        }
      };
      Object.defineProperty(this.streams, name, { value: watched });
    }
  }

  override recorder(name: string): (...values: unknown[]) => void {
    const record = super.recorder(name);
    return (...values) => {
      if (this.inside > 0) this.violations.push(`${name} inside a call`);
      record(...values);
    };
  }

  /** Records `writable` and the room. */
  readonly onWritable: WritableCallback = (client, room) => {
    if (this.inside > 0) this.violations.push("onWritable inside a call");
    if (client !== this.client) this.violations.push("onWritable without the client");
    this.events.push(`writable ${room}`);
    this.whenWritable(room);
  };

  whenWritable: (room: number) => void = () => undefined;

  /** Writes the payload from `at` on as far as it is taken, and returns how far it came. */
  writeFrom(at: number, total: number): number {
    return at + this.streams.write(bytesOfPayload(at, total));
  }

  /** The packets behind CONNECT on the last socket, payloads as they should be shortened to `payload*LENGTH`. */
  lines(): string[] {
    this.hal.settle();
    this.broker.read();
    return this.broker.packets.filter(({ type }) => type !== "CONNECT").map(shorten);
  }

  /** Connects, and returns what is sent, shortened. */
  again(isPresent = true): string[] {
    expect(this.client.connect("broker")).toBe(true);
    this.hal.settle();
    this.socket.connect();
    this.hal.settle();
    this.send(connack(0, isPresent));
    return this.lines();
  }

  /** The bytes of the last socket behind the CONNECT, whose length is that of the first socket. */
  get bytesSent(): Uint8Array {
    const { sent } = this.socket;
    return sent.subarray(2 + sent[1]);
  }
}

function shorten(packet: Packet): string {
  if (packet.type !== "PUBLISH" || packet.payload.length < 8) return describePacket(packet);
  const { length } = packet.payload;
  if (packet.payload !== payloadOf(length)) return describePacket(packet);
  return describePacket({ ...packet, payload: `payload*${length}` });
}

/** What `publishFrom` should put on the network. */
function expected(topicName: string, length: number, qos: number, packetId: number): Publish {
  return { type: "PUBLISH", dup: false, qos, retain: false, packetId, topicName, payload: payloadOf(length) };
}

const QOS = [0, 1, 2] as const;
const PERSISTENT: DeviceOptions = { cleansession: 0 };

describe("publishFrom", () => {
  test.each(QOS)("sends one PUBLISH at QoS %p, whatever the lengths of topic and payload (2.2.3)", (qos) => {
    for (const topic of ["t", "a/long/topic/name".repeat(6), "Gerät/温度"]) {
      const head = 2 + Buffer.byteLength(topic) + (qos > 0 ? 2 : 0);
      for (const remaining of [head + 1, head + 2, 126, 127, 128, 129, 16382, 16383, 16384, 16385]) {
        const length = remaining - head;
        if (length < 1) continue;
        const device = new Streamer({ options: { txCapacity: 128 } });
        device.up();
        expect(device.streams.publishFrom(topic, new Paper(length), qos)).toBe(true);
        device.hal.settle();
        expect(device.bytesSent.length).toBe(headerLength(remaining) + remaining);
        device.broker.read();
        expect(device.broker.packets.slice(1)).toEqual([expected(topic, length, qos, qos > 0 ? 1 : 0)]);
        device.check();
      }
    }
  });

  test.each([2097151, 2097152])("sends one PUBLISH whose remaining length is %p (2.2.3)", (remaining) => {
    const device = new Streamer({ hal: { room: 5000 } }, 5000);
    device.up();
    expect(device.streams.publishFrom("t", new Paper(remaining - 5), 1)).toBe(true);
    device.hal.settle();
    expect(device.bytesSent.length).toBe((remaining < 2097152 ? 4 : 5) + remaining);
    device.broker.read();
    const [, packet] = device.broker.packets as Publish[];
    expect(device.broker.packets).toHaveLength(2);
    expect(packet.payload === payloadOf(remaining - 5)).toBe(true);
  });

  test("is the same for any room of the socket and any buffer for pieces", () => {
    for (const room of [1, 2, 7, 16, 17, 100, 2920]) {
      for (const capacity of [1, 16, 512]) {
        for (const qos of QOS) {
          const device = new Streamer({ hal: { room } }, capacity);
          device.up();
          const paper = new Paper(300, capacity === 16 ? 5 : Infinity);
          expect(device.streams.publishFrom("topic", paper, qos, 1)).toBe(true);
          expect(device.lines()).toEqual([`PUBLISH topic=payload*300${qos > 0 ? ` q${qos} #1` : ""} retain`]);
          // Read once, from the beginning to the end, a piece at a time.
          let at = 0;
          for (const [offset, count] of paper.reads) {
            expect(offset).toBe(at);
            expect(count).toBe(Math.min(capacity === 16 ? 5 : capacity, 300 - at));
            at += count;
          }
          expect(at).toBe(300);
          device.check();
        }
      }
    }
  });

  test("writes at most the buffer for pieces at once, 512 bytes by default", () => {
    const device = new Streamer();
    device.up();
    const { writes } = device.socket;
    device.streams.publishFrom("t", new Paper(1024));
    device.hal.settle();
    expect(device.socket.writes - writes).toBe(3);
    for (const capacity of [1, 65536]) withStreams(new Device().client, capacity);
    for (const capacity of [0, 65537, 1.5, "1", NaN]) {
      expect(() => withStreams(new Device().client, capacity as never)).toThrow("pieceCapacity");
    }
  });

  test("calls puback when it was sent, acknowledged or completed, as publish (contract 2: publish)", () => {
    const device = new Streamer();
    device.up();
    for (const [qos, id] of [[0, 0], [1, 1], [2, 2]] as const) {
      const done = device.recorder(`done ${qos}`);
      expect(device.streams.publishFrom("t", new Paper(1000), qos, 0, done)).toBe(true);
      expect(device.events).toEqual([]);
      device.hal.settle();
      if (qos === 1) device.send(ack("PUBACK", id));
      if (qos === 2) {
        device.send(ack("PUBREC", id));
        expect(device.take()).toEqual([]);
        device.send(ack("PUBCOMP", id));
      }
      expect(device.take()).toEqual([`done ${qos}`]);
      expect(device.hal.nextTimerMs).toBeGreaterThan(0);
    }
    expect(device.lines().slice(-1)).toEqual(["PUBREL #2"]);
  });

  test("nothing leaves between the first and the last byte: neither acknowledgements, PINGREQ, nor other operations " +
    "[MQTT-3.1.2-23]", () => {
    for (const qos of QOS) {
      // As far as in the header, and in the payload.
      for (const before of [1, 5, 9, 200]) {
        const device = new Streamer({ keepalive: 10, hal: { room: before } });
        device.up();
        device.socket.stall();
        expect(device.streams.publishFrom("topic", new Paper(500), qos)).toBe(true);
        device.client.publish("t", "a", 1);
        device.client.subscribe("s");
        device.client.publish("t", "b");
        device.send(message("in", "1", { qos: 1, id: 7 }), message("in", "2", { qos: 2, id: 8 }), ack("PUBREL", 9));
        device.hal.advance(9900);
        expect(device.lines()).toEqual([]);
        expect(device.client.connected).toBe(true);
        device.socket.unstall();
        const id = qos > 0 ? 1 : 0;
        expect(device.lines()).toEqual([
          `PUBLISH topic=payload*500${qos > 0 ? ` q${qos} #1` : ""}`,
          "PUBACK #7", "PUBREC #8", "PUBCOMP #9", "PINGREQ",
          `PUBLISH t=a q1 #${id + 1}`, `SUBSCRIBE #${id + 2} s:0`, "PUBLISH t=b",
        ]);
        device.check();
      }
    }
  });

  test("operations before and behind it keep their order, and so do their outcomes [MQTT-4.6.0-1]", () => {
    for (const maxInflight of [1, 2, 16]) {
      const device = new Streamer({ options: { maxInflight } });
      device.up();
      device.broker.answers = true;
      device.client.publish("t", "a", 1);
      device.client.publish("t", "b");
      device.streams.publishFrom("t", new Paper(5000), 2);
      device.client.subscribe("s");
      device.client.publish("t", "c", 2);
      device.client.publish("t", "d");
      const lines = device.lines().filter((line) => !line.startsWith("PUBREL"));
      expect(lines).toEqual([
        "PUBLISH t=a q1 #1", "PUBLISH t=b", "PUBLISH t=payload*5000 q2 #2", "SUBSCRIBE #3 s:0", "PUBLISH t=c q2 #4",
        "PUBLISH t=d",
      ]);
      expect(device.take()).toEqual(["puback", "puback", "puback", "suback 0", "puback", "puback"]);
    }
  });

  test("waits for the window as other messages do", () => {
    for (const qos of [1, 2] as const) {
      const device = new Streamer({ options: { maxInflight: 1 } });
      device.up();
      const paper = new Paper(2000);
      device.client.publish("t", "a", 1);
      device.streams.publishFrom("t", paper, qos);
      device.client.publish("t", "b", 1);
      expect(device.lines()).toEqual(["PUBLISH t=a q1 #1"]);
      expect(paper.reads).toEqual([]);
      device.send(ack("PUBACK", 1));
      expect(device.lines().slice(1)).toEqual([`PUBLISH t=payload*2000 q${qos} #2`]);
      if (qos === 2) {
        device.send(ack("PUBREC", 2));
        expect(device.lines().slice(2)).toEqual(["PUBREL #2"]);
        device.send(ack("PUBCOMP", 2));
      } else {
        device.send(ack("PUBACK", 2));
      }
      expect(device.lines().slice(-1)).toEqual(["PUBLISH t=b q1 #3"]);
    }
  });

  test("an acknowledgement that comes before its last byte is none", () => {
    for (const [qos, type] of [[1, "PUBACK"], [2, "PUBREC"], [2, "PUBCOMP"]] as const) {
      const device = new Streamer({ hal: { room: 100 } });
      device.up();
      device.socket.stall();
      device.streams.publishFrom("t", new Paper(300), qos);
      device.send(ack(type, 1));
      device.socket.unstall();
      expect(device.take()).toEqual([]);
      expect(device.lines()[0]).toBe(`PUBLISH t=payload*300 q${qos} #1`);
      expect(device.lines()).not.toContain("PUBREL #1");
    }
  });

  test("answers false while another one is streamed, until it is acknowledged for the first time", () => {
    const device = new Streamer({ hal: { room: 100 } });
    device.up();
    const { streams } = device;
    const isFree = (): boolean[] => [streams.beginPublish("u", 1), streams.publishFrom("u", new Paper(1), 1)];
    for (const [qos, type] of [[0, ""], [1, "PUBACK"], [2, "PUBREC"]] as const) {
      device.socket.stall();
      const id = device.client.connection.session.outbox.lastPacketId + 1;
      expect(streams.publishFrom("t", new Paper(500), qos)).toBe(true);
      expect(isFree()).toEqual([false, false]);
      device.socket.unstall();
      device.hal.settle();
      if (type !== "") {
        expect(isFree()).toEqual([false, false]);
        device.send(ack(type, id));
        device.hal.settle();
      }
    }
    expect(streams.publishFrom("u", new Paper(1), 1)).toBe(true);
  });

  test("answers false without a session, while it is closed, and when the queue is full; nothing is read", () => {
    const paper = new Paper(10);
    for (const prepare of [
      () => undefined,
      (device: Streamer) => void device.client.connect("broker"),
      (device: Streamer) => {
        device.up();
        device.client.publish("t", "x", 1);
        device.client.close();
      },
      (device: Streamer) => {
        device.up();
        device.client.publish("t", "x", 1);
        device.client.publish("t", "y", 1);
      },
    ]) {
      const device = new Streamer({ options: { maxOperations: 2 } });
      prepare(device);
      device.hal.settle();
      for (const qos of QOS) expect(device.streams.publishFrom("t", paper, qos)).toBe(false);
      expect(device.streams.beginPublish("t", 10)).toBe(false);
      device.client.abort();
    }
    const device = new Streamer({ options: { txCapacity: 128 } });
    device.up();
    expect(device.streams.publishFrom("t".repeat(122), paper)).toBe(false);
    expect(device.streams.publishFrom("t".repeat(121), paper)).toBe(false);
    expect(device.streams.publishFrom("t".repeat(120), paper)).toBe(true);
    expect(paper.reads).toEqual([[0, 10]]);
  });

  test("finds room where publish finds it: in callbacks, and behind outcomes that nobody listens for", () => {
    const options = { maxOperations: 3, txCapacity: 128 };
    for (const begin of ["publish", "publishFrom", "beginPublish"] as const) {
      const device = new Streamer({ options, listens: false });
      device.up();
      const { streams } = device;
      const start = (): boolean => begin === "publish"
        ? streams.publish("t", "x")
        : begin === "publishFrom" ? streams.publishFrom("t", new Paper(1)) : streams.beginPublish("t", 1);
      for (let i = 0; i < 3; i++) expect(streams.publish("t", "x")).toBe(true);
      expect([begin, start()]).toEqual([begin, true]);
      if (begin === "beginPublish") streams.write(Uint8Array.of(1));
      device.hal.settle();
      const answers: boolean[] = [];
      device.client.on("message", () => {
        for (let i = 0; i < 3; i++) answers.push(streams.publish("t", "x".repeat(60)));
        answers.push(start());
      });
      device.send(message("in", "x"));
      device.hal.settle();
      expect([begin, answers]).toEqual([begin, [true, true, true, true]]);
    }
  });

  test("throws for a wrong argument, and names it; nothing is queued", () => {
    const device = new Streamer();
    device.up();
    const { streams } = device;
    const paper = new Paper(10);
    const read = (): number => 0;
    const cases: [unknown[], string][] = [
      [[undefined, paper], "topic"],
      [["", paper], "topic"],
      [["a/+", paper], "topic"],
      [["#", paper], "topic"],
      [["a\0", paper], "topic"],
      [["\ud800", paper], "topic must not have a lone surrogate"],
      [["t", undefined], "source"],
      [["t", null], "source"],
      [["t", "text"], "source"],
      [["t", new Uint8Array(4)], "source"],
      [["t", { byteLength: 4 }], "source"],
      [["t", { read }], "source.byteLength"],
      [["t", { read, byteLength: null }], "source.byteLength"],
      [["t", { read, byteLength: 0 }], "source.byteLength"],
      [["t", { read, byteLength: -1 }], "source.byteLength"],
      [["t", { read, byteLength: 1.5 }], "source.byteLength"],
      [["t", { read, byteLength: "4" }], "source.byteLength"],
      [["t", { read, byteLength: MAX_REMAINING_LENGTH + 1 }], "source.byteLength"],
      [["t", { read, byteLength: MAX_REMAINING_LENGTH }], "source.byteLength"],
      [["t", { read, byteLength: MAX_REMAINING_LENGTH - 2 }], "source.byteLength"],
      [["t", paper, 3], "qos"],
      [["t", paper, "1"], "qos"],
      [["t", paper, 1, 2], "retain"],
      [["t", paper, 1, 0, "done"], "callback"],
    ];
    for (const [values, text] of cases) {
      expect(() => streams.publishFrom(...(values as Parameters<Streams["publishFrom"]>))).toThrow(text);
    }
    for (const [values, text] of [
      [["+", 1], "topic"], [["t"], "byteLength"], [["t", null], "byteLength"], [["t", 0], "byteLength"],
      [["t", 1.5], "byteLength"], [["t", "1"], "byteLength"], [["t", MAX_REMAINING_LENGTH + 1], "byteLength"],
      [["t", MAX_REMAINING_LENGTH], "byteLength"], [["t", 1, 2], "retain"], [["t", 1, 0, 1], "onWritable"],
    ] as [unknown[], string][]) {
      expect(() => streams.beginPublish(...(values as Parameters<Streams["beginPublish"]>))).toThrow(text);
    }
    device.hal.settle();
    expect(device.lines()).toEqual([]);
    expect(device.take()).toEqual([]);
    expect(streams.publishFrom(7, paper, null, null, null)).toBe(true);
    expect(device.lines()).toEqual(["PUBLISH 7=payload*10"]);
  });

  test("the longest packet there is can be begun", () => {
    const device = new Streamer({ hal: { room: 100 } });
    device.up();
    device.socket.stall();
    expect(device.streams.publishFrom("t", new Paper(MAX_REMAINING_LENGTH - 3))).toBe(true);
    expect(Array.from(device.bytesSent.subarray(0, 8))).toEqual([0x30, 0xff, 0xff, 0xff, 0x7f, 0, 1, 116]);
    device.client.abort();
  });

  describe("from a source that does not give what it has promised", () => {
    const answers: [title: string, answer: () => unknown][] = [
      ["0", () => 0],
      ["less than 0", () => -1],
      ["more than was asked for", () => 17],
      ["more than there is", () => 1000],
      ["no number", () => undefined],
      ["NaN", () => NaN],
      ["a fraction", () => 1.5],
      ["text", () => "5"],
      ["an error", () => { throw new Error("worn out"); }],
    ];

    test.each(answers)("the connection ends, when it gives %s", (title, answer) => {
      for (const offset of [0, 20, 30]) {
        for (const qos of QOS) {
          for (const cleansession of [0, 1] as const) {
            const device = new Streamer({ cleansession }, 16);
            device.up();
            const paper = new Paper(40, 10);
            let isBad = true;
            const source: Source = {
              byteLength: 40,
              read: (at, ...rest) => (isBad && at >= offset ? answer() as number : paper.read(at, ...rest)),
            };
            expect(device.streams.publishFrom("t", source, qos)).toBe(true);
            expect(device.events).toEqual([]);
            expect(device.take()).toEqual([`offline ${END_SOURCE}`]);
            expect(device.lines()).toEqual([]);
            expect(device.takeErrors()).toHaveLength(title === "an error" ? 1 : 0);
            isBad = false;
            const isKept = qos > 0 && cleansession === 0;
            expect(device.again()).toEqual(isKept ? [`PUBLISH t=payload*40 q${qos} #1`] : []);
            device.client.abort();
            device.take();
            device.check();
          }
        }
      }
    });

    test("neither does it surface inside of publishFrom, nor is anything sent behind it", () => {
      const device = new Streamer({}, 16);
      device.up();
      device.streams.publishFrom("t", { byteLength: 100, read: () => 0 }, 1);
      device.client.publish("t", "x");
      expect(device.events).toEqual([]);
      expect(device.take()).toEqual(["offline -14"]);
      expect(device.lines()).toEqual([]);
    });

    test("at once, the operation is still there for who wants its outcome, and so is the one before it", () => {
      const device = new Streamer({}, 16);
      const client = withOutcomes(device.streams);
      const outcomes: string[] = [];
      device.up();
      client.publish("t", "x", 1);
      client.outcome((_, outcome) => outcomes.push(`first ${outcome}`));
      expect(client.publishFrom("t", { byteLength: 100, read: () => 0 }, 1)).toBe(true);
      client.outcome((_, outcome) => outcomes.push(`second ${outcome}`));
      expect(device.take()).toEqual(["offline -14"]);
      expect(outcomes).toEqual(["first lost", "second lost"]);
    });
  });

  describe("when the connection is lost", () => {
    test.each([1, 2] as const)("at QoS %p it is sent again under its id, and read again from its beginning, wherever " +
      "it was cut off [MQTT-4.4.0-1]", (qos) => {
      const whole = 2 + 2 + 5 + 2 + 100;
      for (let cut = 0; cut <= whole + 1; cut += cut < 20 || cut > 105 ? 1 : 7) {
        const device = new Streamer(PERSISTENT, 16);
        device.up();
        device.client.publish("t", "before", 1);
        device.send(ack("PUBACK", 1));
        device.take();
        const paper = new Paper(100);
        device.socket.failAfterBytes(cut);
        expect(device.streams.publishFrom("topic", paper, qos)).toBe(true);
        device.client.publish("t", "behind", 1);
        if (cut > whole) device.socket.reset();
        expect(device.take()).toEqual(["offline -10"]);
        paper.reads.length = 0;
        // A message that was never sent whole is no repetition.
        const dup = cut >= whole ? " dup" : "";
        const lines = device.again();
        expect([cut, ...lines.map((line) => line.replace("behind q1 #3 dup", "behind q1 #3"))]).toEqual([
          cut, `PUBLISH topic=payload*100 q${qos} #2${dup}`, "PUBLISH t=behind q1 #3",
        ]);
        expect(paper.reads[0]).toEqual([0, 16]);
        device.send(ack(qos === 1 ? "PUBACK" : "PUBREC", 2), ack("PUBACK", 3));
        if (qos === 2) device.send(ack("PUBCOMP", 2));
        expect(device.take()).toEqual(["connect present", "puback", "puback"]);
        device.check();
      }
    });

    test("it is sent again as often as need be, until PUBACK", () => {
      const device = new Streamer(PERSISTENT);
      const paper = new Paper(3000);
      device.up();
      device.streams.publishFrom("t", paper, 1);
      for (let i = 0; i < 5; i++) {
        device.hal.settle();
        device.socket.reset();
        expect(device.again(i % 2 === 0)).toEqual(["PUBLISH t=payload*3000 q1 #1 dup"]);
      }
      device.send(ack("PUBACK", 1));
      device.take();
      const { length } = paper.reads;
      expect(length).toBe(6 * 6);
      device.socket.reset();
      expect(device.again()).toEqual([]);
      expect(paper.reads).toHaveLength(length);
    });

    test("after PUBREC only PUBREL is sent, and the source is not read any more [MQTT-4.3.3-1]", () => {
      const device = new Streamer(PERSISTENT);
      const paper = new Paper(3000);
      device.up();
      device.streams.publishFrom("t", paper, 2);
      device.hal.settle();
      device.send(ack("PUBREC", 1));
      const { length } = paper.reads;
      for (let i = 0; i < 3; i++) {
        device.hal.settle();
        device.socket.reset();
        expect(device.again()).toEqual(["PUBREL #1"]);
      }
      expect(paper.reads).toHaveLength(length);
      // The next one may be streamed meanwhile.
      expect(device.streams.publishFrom("t", paper, 2)).toBe(true);
      expect(device.lines()).toEqual(["PUBREL #1", "PUBLISH t=payload*3000 q2 #2"]);
      device.send(ack("PUBCOMP", 1));
      expect(device.take().slice(-1)).toEqual(["puback"]);
    });

    test("at QoS 0, and in a clean session, it is gone, and another one may be streamed", () => {
      for (const [cleansession, qos] of [[0, 0], [1, 0], [1, 1], [1, 2]] as const) {
        const device = new Streamer({ cleansession, hal: { room: 50 } });
        device.up();
        device.socket.stall();
        device.streams.publishFrom("t", new Paper(100), qos);
        device.socket.reset();
        expect(device.take()).toEqual(["offline -10"]);
        expect(device.again(false)).toEqual([]);
        expect(device.streams.publishFrom("u", new Paper(10))).toBe(true);
        expect(device.lines()).toEqual(["PUBLISH u=payload*10"]);
        expect(device.take()).toEqual(["connect", "puback"]);
      }
    });
  });

  describe("and close() in its midst", () => {
    test("it is ended, and DISCONNECT follows, when the network takes it in time (contract 2: close)", () => {
      for (const qos of QOS) {
        const device = new Streamer({ hal: { room: 100 } });
        device.up();
        device.socket.stall();
        device.streams.publishFrom("t", new Paper(1000), qos);
        expect(device.client.close()).toBe(true);
        device.hal.advance(1000);
        device.socket.unstall();
        device.hal.settle();
        if (qos > 0) device.send(ack(qos === 1 ? "PUBACK" : "PUBREC", 1));
        if (qos === 2) device.send(ack("PUBCOMP", 1));
        const lines = device.lines();
        expect(lines[0]).toBe(`PUBLISH t=payload*1000${qos > 0 ? ` q${qos} #1` : ""}`);
        expect(lines.slice(-1)).toEqual(["DISCONNECT"]);
        expect(device.take()).toEqual(["puback", "offline 0"]);
      }
    });

    test("it ends without DISCONNECT when the network does not: nothing may stand inside a packet " +
      "[MQTT-3.14.4-1]", () => {
      for (const qos of QOS) {
        const device = new Streamer({ hal: { room: 100 } });
        device.up();
        device.socket.stall();
        device.streams.publishFrom("t", new Paper(1000), qos);
        device.client.close();
        device.hal.advance(6999);
        expect(device.take()).toEqual([]);
        device.hal.advance(1);
        expect(device.take()).toEqual(["offline 0"]);
        expect(device.socket.closed).toBe(true);
        expect(device.bytesSent).toHaveLength(100);
        expect(device.hal.nextTimerMs).toBeUndefined();
      }
    });

    test("it ends without DISCONNECT when what beginPublish has begun is not written", () => {
      const device = new Streamer();
      device.up();
      device.streams.beginPublish("t", 100);
      device.streams.write(bytesOfPayload(0, 60));
      device.client.close();
      expect(device.streams.write(bytesOfPayload(60, 90))).toBe(30);
      device.hal.advance(7000);
      expect(device.take()).toEqual(["offline 0"]);
      expect(device.bytesSent).toHaveLength(2 + 3 + 90);
      expect(device.streams.write(bytesOfPayload(90, 100))).toBe(-1);
    });

    test("what beginPublish has begun is ended by its last byte, and DISCONNECT follows", () => {
      const device = new Streamer();
      device.up();
      device.streams.beginPublish("t", 100);
      device.streams.write(bytesOfPayload(0, 60));
      device.client.close();
      device.hal.advance(1000);
      expect(device.streams.write(bytesOfPayload(60, 100))).toBe(40);
      expect(device.lines()).toEqual(["PUBLISH t=payload*100", "DISCONNECT"]);
      expect(device.take()).toEqual(["puback", "offline 0"]);
    });

    test("abort() ends it at once", () => {
      const device = new Streamer({ ...PERSISTENT, hal: { room: 100 } });
      device.up();
      device.socket.stall();
      device.streams.publishFrom("t", new Paper(1000), 1);
      device.client.abort();
      expect(device.take()).toEqual(["offline 0"]);
      expect(device.bytesSent).toHaveLength(100);
      device.again();
      expect(device.lines()).toEqual(["PUBLISH t=payload*1000 q1 #1"]);
    });
  });

  describe("keep alive", () => {
    test("finds a network that takes nothing any more [MQTT-3.1.2-24]", () => {
      const device = new Streamer({ keepalive: 10, hal: { room: 100 } });
      device.up();
      device.socket.stall();
      device.streams.publishFrom("t", new Paper(1000), 1);
      device.hal.advance(18000);
      expect(device.take()).toEqual([]);
      device.hal.advance(3000);
      expect(device.take()).toEqual(["offline -11"]);
    });

    test("leaves one alone that goes on slowly, and sends PINGREQ behind it", () => {
      for (const qos of QOS) {
        const device = new Streamer({ keepalive: 10, hal: { room: 100 } });
        device.up();
        device.socket.stall();
        device.streams.publishFrom("t", new Paper(1000), qos);
        for (let i = 0; i < 20; i++) {
          device.hal.advance(9000);
          expect(device.client.connected).toBe(true);
          expect(device.lines()).toEqual([]);
          device.socket.drain(40);
        }
        device.socket.unstall();
        expect(device.lines()).toEqual([`PUBLISH t=payload*1000${qos > 0 ? ` q${qos} #1` : ""}`, "PINGREQ"]);
        device.send(PINGRESP);
        device.hal.advance(9000);
        expect(device.client.connected).toBe(true);
      }
    });

    test("ends the connection of who does not write", () => {
      const device = new Streamer({ keepalive: 10 });
      device.up();
      device.streams.beginPublish("t", 1000);
      device.streams.write(bytesOfPayload(0, 100));
      device.hal.advance(18000);
      expect(device.take()).toEqual([]);
      device.hal.advance(3000);
      expect(device.take()).toEqual(["offline -11"]);
    });

    test("the time for an acknowledgement begins with the last byte", () => {
      const device = new Streamer({ keepalive: 10, hal: { room: 100 }, options: { ackTimeoutMs: 15000 } });
      device.up();
      device.socket.stall();
      device.streams.publishFrom("t", new Paper(290), 1);
      device.hal.advance(9000);
      device.socket.drain(100);
      device.hal.advance(9000);
      device.socket.drain(100);
      expect(device.lines()).toEqual(["PUBLISH t=payload*290 q1 #1", "PINGREQ"]);
      device.send(PINGRESP);
      device.socket.unstall();
      device.hal.advance(14000);
      expect(device.client.connected).toBe(true);
      device.hal.advance(1000);
      expect(device.take()).toEqual(["offline -12"]);
    });
  });

  test("its packet moves with the others when the transmit buffer is compacted, wherever it is in leaving", () => {
    for (const room of [10, 20, 60, 2920]) {
      const device = new Streamer({ ...PERSISTENT, hal: { room }, options: { txCapacity: 128 } });
      device.up();
      device.client.publish("t", "a".repeat(50), 1);
      device.hal.settle();
      expect(device.streams.publishFrom("topic", new Paper(100), 2)).toBe(true);
      if (room < 100) {
        device.hal.settle();
      }
      device.send(ack("PUBACK", 1));
      device.socket.stall();
      // It lies behind the hole now, and this one has room in front only.
      expect(device.client.publish("t", "b".repeat(70), 1)).toBe(true);
      device.socket.unstall();
      const publishes = [
        `PUBLISH t=${"a".repeat(50)} q1 #1`, "PUBLISH topic=payload*100 q2 #2", `PUBLISH t=${"b".repeat(70)} q1 #3`,
      ];
      expect(device.lines()).toEqual(publishes);
      device.socket.reset();
      expect(device.again()).toEqual(publishes.slice(1).map((line) => `${line} dup`));
    }
  });

  test("its own packet finds room by compaction", () => {
    const device = new Streamer({ options: { txCapacity: 128 } });
    device.up();
    device.client.publish("t", "a".repeat(50), 1);
    device.client.publish("t", "b".repeat(40), 1);
    device.hal.settle();
    expect(device.streams.publishFrom("topic".repeat(9), new Paper(9), 1)).toBe(false);
    device.send(ack("PUBACK", 1));
    device.hal.settle();
    expect(device.streams.publishFrom("topic".repeat(9), new Paper(9), 1)).toBe(true);
    expect(device.lines().slice(2)).toEqual([`PUBLISH ${"topic".repeat(9)}=payload*9 q1 #3`]);
  });

  test("withOutcomes: it has an outcome, delivered, or lost with its connection", () => {
    for (const [qos, isLost] of [[0, false], [1, false], [2, false], [0, true], [1, true]] as const) {
      const device = new Streamer({ hal: { room: 50 } });
      const client = withOutcomes(device.streams);
      const told: string[] = [];
      device.up();
      device.socket.stall();
      const note = (name: string): void => client.outcome((_, outcome) => told.push(`${name} ${outcome}`));
      client.publish("t", "a", 1);
      note("a");
      client.publishFrom("t", new Paper(100), qos);
      note("stream");
      client.publish("t", "b", 1);
      note("b");
      if (isLost) {
        device.socket.reset();
        device.hal.settle();
        expect(told).toEqual(["a lost", "stream lost", "b lost"]);
      } else {
        device.broker.answers = true;
        device.socket.unstall();
        device.hal.settle();
        expect(told).toEqual(["a delivered", "stream delivered", "b delivered"]);
      }
    }
  });

  test("withSnapshot: it is not part of a snapshot before PUBREC, and its PUBREL is behind it", () => {
    const make = (): Streamer & { saved: ReturnType<typeof withSnapshot> } => {
      const device = new Streamer({ ...PERSISTENT, hal: { room: 50 } });
      return Object.assign(device, { saved: withSnapshot(device.streams) });
    };
    const wake = (device: ReturnType<typeof make>): string[] => {
      const bytes = new Uint8Array(device.saved.snapshotLength());
      expect(device.saved.snapshot(bytes)).toBe(bytes.length);
      const woken = make();
      woken.saved.restore(bytes);
      return woken.again();
    };
    const device = make();
    device.up();
    device.socket.stall();
    device.streams.publishFrom("t", new Paper(100), 2);
    device.client.publish("t", "b", 1);
    expect(wake(device)).toEqual(["PUBLISH t=b q1 #2"]);
    device.socket.unstall();
    expect(device.lines()).toEqual(["PUBLISH t=payload*100 q2 #1", "PUBLISH t=b q1 #2"]);
    expect(wake(device)).toEqual(["PUBLISH t=b q1 #2 dup"]);
    device.send(ack("PUBREC", 1));
    expect(device.lines().slice(2)).toEqual(["PUBREL #1"]);
    expect(wake(device)).toEqual(["PUBREL #1", "PUBLISH t=b q1 #2 dup"]);
  });
});

describe("beginPublish and write", () => {
  test("send one PUBLISH at QoS 0, however it is written, for any room", () => {
    for (const room of [1, 5, 16, 100, 2920]) {
      for (const capacity of [1, 16, 512]) {
        for (const step of [1, 7, 300]) {
          const device = new Streamer({ hal: { room } }, capacity);
          device.up();
          expect(device.streams.beginPublish("t", 300, 1, device.onWritable)).toBe(true);
          let at = 0;
          let rounds = 0;
          while (at < 300) {
            at += device.streams.write(bytesOfPayload(at, Math.min(at + step, 300)));
            device.hal.settle();
            if (++rounds > 1000) throw new Error("It does not come to its end");
          }
          expect(device.lines()).toEqual(["PUBLISH t=payload*300 retain"]);
          expect(device.take().filter((event) => event === "puback")).toEqual(["puback"]);
          device.check();
        }
      }
    }
  });

  test("write takes what there is room for, and onWritable tells when there is more, once each time", () => {
    const device = new Streamer({ hal: { room: 10 } }, 16);
    device.up();
    device.socket.stall();
    const { streams } = device;
    streams.beginPublish("t", 100, 0, device.onWritable);
    // The header takes 5 of the socket's 10 bytes.
    let at = device.writeFrom(0, 100);
    expect(at).toBe(16);
    expect(streams.write(bytesOfPayload(at, 100))).toBe(0);
    expect(device.take()).toEqual([]);
    device.socket.drain(5);
    expect(device.take()).toEqual([]);
    expect(streams.write(bytesOfPayload(at, 100))).toBe(0);
    device.socket.drain(10);
    expect(device.take()).toEqual(["writable 16"]);
    expect(device.take()).toEqual([]);
    // Without being told it is written as well.
    at = device.writeFrom(at, 100);
    expect(at).toBe(32);
    expect(device.take()).toEqual([]);
    device.socket.drain();
    device.socket.drain();
    expect(device.take()).toEqual(["writable 16"]);
    expect(device.streams.write(bytesOfPayload(at, at + 4))).toBe(4);
    device.socket.unstall();
    // All was taken: there is nothing to tell.
    expect(device.take()).toEqual([]);
    device.whenWritable = () => (at = device.writeFrom(at, 100));
    at = device.writeFrom(at + 4, 100);
    device.take();
    expect(at).toBe(100);
    expect(device.lines()).toEqual(["PUBLISH t=payload*100"]);
  });

  test("onWritable is not called when what it would tell is out of date: without room, or without need", () => {
    for (const isFilled of [true, false]) {
      const device = new Streamer({ hal: { room: 100 } }, 16);
      device.up();
      device.socket.stall();
      const { streams } = device;
      streams.beginPublish("t", 1000, 0, device.onWritable);
      // Of the last piece, one byte waits.
      let at = device.writeFrom(0, 1000);
      expect(at).toBe(96);
      device.socket.drain(16);
      // There was room, and before that could be told it was used.
      at += streams.write(bytesOfPayload(at, isFilled ? 1000 : at + 4));
      expect(at).toBe(isFilled ? 112 : 100);
      expect(device.take()).toEqual([]);
      device.socket.drain(16);
      expect(device.take()).toEqual(isFilled ? ["writable 16"] : []);
      device.client.abort();
    }
  });

  test("write in a callback fills the buffer, which leaves when the callback is over", () => {
    const device = new Streamer({}, 64);
    device.up();
    const taken: number[] = [];
    device.streams.beginPublish("t", 200, 0, device.onWritable);
    device.during.message = () => {
      taken.push(device.streams.write(bytesOfPayload(0, 200)), device.streams.write(bytesOfPayload(64, 200)));
    };
    device.whenWritable = () => taken.push(device.streams.write(bytesOfPayload(64, 200)));
    device.send(message("in", "x"));
    expect(device.take()).toEqual(["message in=x", "writable 64", "puback"]);
    expect(taken).toEqual([64, 0, 136]);
    expect(device.lines()).toEqual(["PUBLISH t=payload*200"]);
  });

  test("they may be called in every callback", () => {
    for (const name of ["connect", "message", "puback", "suback", "unsuback"] as const) {
      const device = new Streamer({}, 16);
      const { streams, client } = device;
      let at = 0;
      device.during[name] = () => {
        device.during[name] = () => undefined;
        expect(streams.beginPublish("u", 100, 0, device.onWritable)).toBe(true);
        at = device.writeFrom(0, 100);
      };
      device.whenWritable = () => (at = device.writeFrom(at, 100));
      device.client.connect("broker");
      device.hal.settle();
      device.broker.answers = true;
      device.socket.connect();
      device.hal.settle();
      client.publish("t", "a", 1);
      client.subscribe("s");
      client.unsubscribe("s");
      device.send(message("in", "x"));
      device.take();
      expect(at).toBe(100);
      expect(device.lines()).toContain("PUBLISH u=payload*100");
    }
  });

  test("write is -1 once the connection is lost, and the message does not come back", () => {
    for (const how of ["reset", "abort", "malformed"] as const) {
      const device = new Streamer({ ...PERSISTENT, hal: { room: 50 } }, 16);
      device.up();
      device.socket.stall();
      const { streams } = device;
      streams.beginPublish("t", 1000, 0, device.onWritable);
      expect(device.writeFrom(0, 1000)).toBe(48);
      if (how === "abort") {
        device.client.abort();
        expect(streams.write(bytesOfPayload(60, 70))).toBe(-1);
      } else if (how === "reset") {
        device.socket.reset();
      } else {
        device.socket.receive([0xf0, 0]);
      }
      expect(device.take()).toEqual([expect.stringMatching(/^offline/)]);
      expect(streams.write(bytesOfPayload(60, 70))).toBe(-1);
      expect(streams.write(new Uint8Array(5000))).toBe(-1);
      expect(device.again()).toEqual([]);
      expect(streams.write(bytesOfPayload(60, 70))).toBe(-1);
      expect(streams.beginPublish("u", 10)).toBe(true);
      expect(device.writeFrom(0, 10)).toBe(10);
      expect(device.lines()).toEqual(["PUBLISH u=payload*10"]);
    }
  });

  test("write is -1 in the callbacks that come between the loss and offline", () => {
    const device = new Streamer({ hal: { room: 50 } }, 16);
    device.up();
    const answers: number[] = [];
    device.client.publish("t", "a");
    device.socket.stall();
    device.streams.beginPublish("t", 1000);
    device.writeFrom(0, 1000);
    for (const name of ["puback", "offline"] as const) {
      device.during[name] = () => answers.push(device.streams.write(bytesOfPayload(60, 70)));
    }
    device.client.abort();
    expect(device.take()).toEqual(["puback", "offline 0"]);
    expect(answers).toEqual([-1, -1]);
  });

  test("write throws when nothing was begun, all was written, or more is given than is to come", () => {
    const device = new Streamer();
    const { streams } = device;
    const text = "write must follow beginPublish";
    expect(() => streams.write(Uint8Array.of(1))).toThrow(text);
    device.up();
    expect(() => streams.write(Uint8Array.of(1))).toThrow(text);
    expect(() => streams.write(new Uint8Array(0))).toThrow(text);
    streams.beginPublish("t", 10);
    expect(() => streams.write(new Uint8Array(11))).toThrow(RangeError);
    expect(() => streams.write(new Uint8Array(11))).toThrow("bytes must be at most the 10 to come, not 11");
    expect(device.writeFrom(0, 4)).toBe(4);
    expect(() => streams.write(new Uint8Array(7))).toThrow("bytes must be at most the 6 to come, not 7");
    expect(streams.write(new Uint8Array(0))).toBe(0);
    expect(device.writeFrom(4, 10)).toBe(10);
    expect(() => streams.write(Uint8Array.of(1))).toThrow(text);
    expect(() => streams.write(new Uint8Array(0))).toThrow(text);
    expect(device.lines()).toEqual(["PUBLISH t=payload*10"]);
    streams.publishFrom("t", new Paper(10));
    expect(() => streams.write(Uint8Array.of(1))).toThrow(text);
  });

  test("write takes a range of its bytes, and refuses what is none", () => {
    const device = new Streamer();
    device.up();
    const { streams } = device;
    const bytes = bytesOfPayload(0, 100);
    streams.beginPublish("t", 60);
    for (const [start, end] of [[-1, 5], [5, 4], [0, 101], [1.5, 4], [0, NaN], ["0", 5], [101, undefined]]) {
      expect(() => streams.write(bytes, start as never, end as never)).toThrow(/start|end/);
    }
    for (const wrong of [undefined, null, "text", 5, [1, 2], new ArrayBuffer(4)]) {
      expect(() => streams.write(wrong as never)).toThrow("bytes must be a Uint8Array");
    }
    expect(streams.write(bytes, 0, 10)).toBe(10);
    expect(streams.write(bytes, 10, 10)).toBe(0);
    expect(streams.write(bytes.subarray(5), 5, 35)).toBe(30);
    bytes.copyWithin(80, 40, 60);
    expect(streams.write(bytes, 80)).toBe(20);
    bytes.fill(0);
    expect(device.lines()).toEqual(["PUBLISH t=payload*60"]);
  });

  test("onWritable is called for what was not taken, also when nothing was written behind it", () => {
    const device = new Streamer({ hal: { room: 20 } }, 16);
    device.up();
    device.socket.stall();
    device.streams.beginPublish("t", 100, 0, device.onWritable);
    expect(device.writeFrom(0, 100)).toBeLessThan(100);
    expect(device.streams.write(new Uint8Array(0))).toBe(0);
    expect(device.take()).toEqual([]);
    device.socket.unstall();
    expect(device.take()).toEqual(["writable 16"]);
    device.client.abort();
    device.take();
  });

  test("what onWritable throws surfaces as any callback's error, and the message goes on", () => {
    const device = new Streamer({ hal: { room: 10 } }, 16);
    device.up();
    device.streams.beginPublish("t", 100, 0, device.onWritable);
    device.during.message = () => device.writeFrom(0, 100);
    device.whenWritable = () => {
      throw new Error("mine");
    };
    device.send(message("in", "x"));
    device.take();
    expect(device.takeErrors()).toEqual([new Error("mine")]);
    for (let at = 16; at < 100;) {
      at += device.streams.write(bytesOfPayload(at, 100));
      device.hal.settle();
      device.takeErrors();
    }
    expect(device.lines()).toEqual(["PUBLISH t=payload*100"]);
  });

  test("onWritable is not called for a message that is written whole, lost or followed by another one", () => {
    const device = new Streamer({ hal: { room: 100 } }, 16);
    device.up();
    device.socket.stall();
    device.streams.beginPublish("t", 120, 0, device.onWritable);
    let at = device.writeFrom(0, 120);
    device.socket.drain(50);
    at = device.writeFrom(at, 120);
    device.socket.unstall();
    device.hal.settle();
    expect(at).toBe(120);
    expect(device.streams.beginPublish("u", 200)).toBe(true);
    device.socket.stall();
    device.writeFrom(0, 200);
    device.socket.unstall();
    expect(device.take().filter((event) => event.startsWith("writable"))).toEqual([]);
    device.client.abort();
    device.take();
  });
});

describe("streams among everything else", () => {
  test("whatever else is asked for and however often the connection is lost, each message arrives whole and in " +
    "order [MQTT-4.6.0-1]", () => {
    repeat(150, (seed) => {
      const random = seeded(seed);
      const options: ClientOptions = { maxInflight: random.pick([1, 2, 16]), txCapacity: random.pick([128, 600]) };
      const room = random.pick([1, 13, 100, 1460]);
      const device = new Streamer({ ...PERSISTENT, options, hal: { room } }, random.pick([1, 16, 512]));
      const { client, streams } = device;
      const wanted: string[] = [];
      const arrived: string[] = [];
      const connect = (): void => {
        if (client.connected) return;
        if (client.connect("broker")) {
          device.hal.settle();
          device.broker.isPresent = true;
          device.broker.answers = true;
          device.socket.connect();
          device.hal.settle();
        }
      };
      const note = (): void => {
        device.hal.settle();
        for (const socket of device.hal.sockets) {
          const broker = device.brokerOf(socket);
          broker.read();
          for (const packet of broker.packets.splice(0)) {
            if (packet.type !== "PUBLISH") continue;
            if (packet.topicName !== "t") expect(packet.payload === payloadOf(packet.payload.length)).toBe(true);
            if (packet.qos === 0) continue;
            const line = shorten({ ...packet, dup: false });
            if (!arrived.includes(line)) arrived.push(line);
          }
        }
      };
      connect();
      for (let i = 0; i < 60; i++) {
        const qos = random.pick<QoS>([0, 1, 2]);
        const id = client.connection.session.outbox.lastPacketId + 1;
        switch (random.below(8)) {
          case 0:
            if (client.publish("t", `m${i}`, qos) && qos > 0) wanted.push(`PUBLISH t=m${i} q${qos} #${id}`);
            break;
          case 1:
          case 2: {
            const length = 8 + random.below(1500);
            if (!streams.publishFrom("s", new Paper(length, 1 + random.below(600)), qos) || qos === 0) break;
            wanted.push(`PUBLISH s=payload*${length} q${qos} #${id}`);
            break;
          }
          case 3: {
            const total = 8 + random.below(300);
            let written = 0;
            if (!streams.beginPublish("w", total)) break;
            // What was begun has to be ended, or nothing follows.
            device.socket.unstall();
            for (let tries = 0; tries < 1000 && written < total; tries++) {
              const count = streams.write(bytesOfPayload(written, total));
              if (count < 0) break;
              written += count;
              note();
            }
            break;
          }
          case 4:
            if (client.connected) device.socket.failAfterBytes(random.below(800));
            break;
          case 5:
            if (client.connected && random.below(2) === 0) device.socket.stall();
            else if (client.connected) device.socket.unstall();
            break;
          case 6:
            client.subscribe("x");
            break;
          default:
            connect();
        }
        if (random.below(3) > 0) note();
        if (device.socket.closed) connect();
      }
      for (let i = 0; i < 5; i++) {
        if (client.connected) device.socket.unstall();
        note();
        connect();
        note();
      }
      device.client.abort();
      device.take();
      expect(arrived).toEqual(wanted);
      device.check();
    });
  });
});
