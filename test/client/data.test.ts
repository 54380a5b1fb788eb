/** `data`: messages longer than `maxMessageLength`, in pieces. */
import { describe, expect, test } from "@jest/globals";
import type { ClientOptions, DataCallback, MessageInfo } from "../../src/client.js";
import { Device, ack, letters, message, messageOfLength } from "../support/device.js";
import type { DeviceOptions } from "../support/device.js";
import { SLOWNESS } from "../support/slowness.js";

/** A piece as it was told. */
interface Piece {
  topic: string;
  text: string;
  offset: number;
  total: number;
  info: MessageInfo;
}

/** A device that gathers pieces: each is checked, and when it is the last, `data topic=text` is an event. */
class Gatherer extends Device {
  readonly pieces: Piece[] = [];
  /** What is done in the callback, behind the recording. */
  whenPiece: (piece: Piece) => void = () => undefined;
  private text = "";

  constructor(options: DeviceOptions = {}) {
    super({ ...options, options: { maxMessageLength: 16, rxCapacity: 128, ...(options.options as ClientOptions) } });
    this.client.on("data", this.gather);
  }

  readonly gather: DataCallback = (_, topic, bytes, offset, total, info) => {
    if (!(bytes instanceof Uint8Array)) throw new Error(`data is ${String(bytes)}`);
    if (offset === 0) this.text = "";
    if (offset !== this.text.length) throw new Error(`a piece at ${offset} behind ${this.text.length} bytes`);
    if (bytes.length === 0 && total > 0) throw new Error("an empty piece");
    const piece = { topic, text: characters(bytes), offset, total, info: { ...info } };
    this.pieces.push(piece);
    this.text += piece.text;
    if (this.text.length > total) throw new Error(`${this.text.length} of ${total} bytes`);
    if (this.text.length === total) this.events.push(`data ${topic}=${this.text}`);
    this.whenPiece(piece);
  };

  /** The sum of the pieces so far, at most. */
  get reached(): number {
    return this.text.length;
  }
}

/** One character per byte. */
function characters(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("latin1");
}

/** The bytes of a message, as they are sent. */
function bytesOf(device: Device, ...packets: Parameters<Device["send"]>): Uint8Array {
  return device.broker.bytes(...packets);
}

const INFO = { qos: 0, retain: false, dup: false, packetId: 0 };
const LONG = letters(60);

describe("A message longer than maxMessageLength", () => {
  test("comes in one piece when it lies in one chunk", () => {
    const device = new Gatherer().up();
    device.send(message("t", LONG));
    expect(device.pieces).toEqual([{ topic: "t", text: LONG, offset: 0, total: 60, info: INFO }]);
    expect(device.take()).toEqual([`data t=${LONG}`]);
  });

  test("comes in pieces wherever the stream is cut, and what follows is intact", () => {
    for (const qos of [0, 1, 2]) {
      const device = new Gatherer();
      device.up();
      let id = 0;
      for (let cut = 1; cut < 70; cut++) {
        const bytes = bytesOf(device, message("t", LONG, { qos, id: qos && ++id }), message("t", "next"));
        device.socket.receive(bytes.slice(0, cut));
        device.socket.receive(bytes.slice(cut));
        expect(device.take()).toEqual([`data t=${LONG}`, "message t=next"]);
        if (qos === 2) device.send(ack("PUBREL", id));
      }
    }
  });

  test.each([1, 2, 3, 7, 50, 1000])("comes in pieces of at most %p bytes when so many come at a time", (fragment) => {
    const device = new Gatherer().up();
    const text = letters(1000);
    device.socket.fragment = fragment;
    device.send(message("before", "x"), message("some/topic", text, { qos: 1, id: 9 }), message("t", "behind"));
    expect(device.take()).toEqual(["message before=x", `data some/topic=${text}`, "message t=behind"]);
    expect(device.pieces.every((piece) => piece.text.length <= Math.min(fragment, 128))).toBe(true);
    expect(device.pieces.map((piece) => piece.text).join("")).toBe(text);
    expect(new Set(device.pieces.map(({ topic, total, info }) => JSON.stringify([topic, total, info]))).size).toBe(1);
    expect(device.sent()).toEqual(["PUBACK #9"]);
  });

  test("is one by a byte; what has exactly that length is a message", () => {
    for (const limit of [16, 64, 127, 128, 129, 130, 131, 200]) {
      for (const fragment of [0, 1]) {
        const device = new Gatherer({ options: { maxMessageLength: limit } }).up();
        device.socket.fragment = fragment;
        for (const [length, name] of [[limit - 1, "message"], [limit, "message"], [limit + 1, "data"]] as const) {
          // There is no packet of 130 bytes: behind 127 bytes the length takes one more.
          if (length === 130) continue;
          const { packet, payload } = messageOfLength("t", length);
          device.send(packet);
          expect(device.take()).toEqual([`${name} t=${payload}`]);
        }
      }
    }
  });

  test("tells qos, retain, dup and packet id with each piece", () => {
    const device = new Gatherer().up();
    device.socket.fragment = 20;
    device.send(message("t", LONG, { qos: 2, id: 258, dup: true, retain: true }));
    expect(device.pieces.length).toBeGreaterThan(2);
    for (const piece of device.pieces) {
      expect(piece.info).toEqual({ qos: 2, retain: true, dup: true, packetId: 258 });
    }
    device.events.length = 0;
  });

  test("is bytes with either format", () => {
    for (const format of ["string", "buffer"] as const) {
      const device = new Gatherer({ options: { format } }).up();
      device.socket.receive([0x30, 20, 0, 1, 0x74, 0xff, 0, 0xc3, ...new Array<number>(14).fill(1)]);
      expect(device.pieces[0].text).toBe(`\xff\0\xc3${"\x01".repeat(14)}`);
      device.events.length = 0;
    }
  });

  test("without a payload, and too long by its topic, is one empty piece, total 0", () => {
    for (const fragment of [0, 1, 5]) {
      for (const qos of [0, 1, 2]) {
        const device = new Gatherer().up();
        device.socket.fragment = fragment;
        const topic = `t/${"x".repeat(50)}`;
        device.send(message(topic, "", { qos, id: qos && 3 }), message("t", "next"));
        expect(device.take()).toEqual([`data ${topic}=`, "message t=next"]);
        expect(device.pieces).toEqual([
          { topic, text: "", offset: 0, total: 0, info: { ...INFO, qos, packetId: qos && 3 } },
        ]);
        expect(device.sent()).toEqual([[], ["PUBACK #3"], ["PUBREC #3"]][qos]);
      }
    }
  });

  test("whose topic is longer than the receive buffer has an empty one, and all of its payload", () => {
    for (const fragment of [0, 1, 30]) {
      for (const [qos, answer] of [[0, []], [1, ["PUBACK #3"]], [2, ["PUBREC #3"]]] as const) {
        for (const payload of ["", "x", LONG]) {
          const device = new Gatherer().up();
          device.socket.fragment = fragment;
          device.send(message("y".repeat(200), payload, { qos, id: qos && 3 }), message("t", "next"));
          expect(device.take()).toEqual([`data =${payload}`, "message t=next"]);
          expect(device.sent()).toEqual(answer);
        }
      }
    }
  });

  test("overflows without a handler: as much as fits, and what follows is intact", () => {
    for (const fragment of [0, 1, 13]) {
      const device = new Device({ options: { maxMessageLength: 32, rxCapacity: 128 } }).up();
      device.socket.fragment = fragment;
      device.send(message("t", LONG), message("t", "next"), message("t".repeat(40), "payload", { qos: 1, id: 1 }));
      expect(device.take()).toEqual([
        `overflow t=${LONG.slice(0, 27)}`, "message t=next", `overflow ${"t".repeat(40)} without data`,
      ]);
      expect(device.sent()).toEqual(["PUBACK #1"]);
    }
  });

  test("has no overflow while data has a handler, and has one again when that was cleared", () => {
    const device = new Gatherer().up();
    device.send(message("t", LONG));
    device.client.on("data", null);
    device.send(message("t", LONG));
    device.client.on("data", device.gather);
    device.send(message("t", LONG));
    expect(device.take()).toEqual([`data t=${LONG}`, `overflow t=${LONG.slice(0, 11)}`, `data t=${LONG}`]);
  });
});

describe("A handler of data", () => {
  test("that is set in the middle of a message gets nothing of it: it overflows", () => {
    const device = new Gatherer().up();
    device.client.on("data", null);
    const bytes = bytesOf(device, message("t", LONG, { qos: 1, id: 4 }));
    device.socket.receive(bytes.slice(0, 30));
    device.client.on("data", device.gather);
    device.socket.receive(bytes.slice(30));
    expect(device.take()).toEqual([`overflow t=${LONG.slice(0, 9)}`]);
    expect(device.sent()).toEqual(["PUBACK #4"]);
    device.send(message("t", LONG));
    expect(device.take()).toEqual([`data t=${LONG}`]);
  });

  test("that is cleared in the middle of a message hears no more of it, nor does overflow", () => {
    const device = new Gatherer().up();
    const bytes = bytesOf(device, message("t", LONG, { qos: 2, id: 4 }), message("t", "next"));
    device.socket.receive(bytes.slice(0, 30));
    device.client.on("data", null);
    device.socket.receive(bytes.slice(30));
    expect(device.take()).toEqual(["message t=next"]);
    expect(device.reached).toBe(30 - 7);
    expect(device.sent()).toEqual(["PUBREC #4"]);
  });

  test("that throws in the middle hears the rest; each error surfaces, the message is acknowledged", () => {
    const device = new Gatherer().up();
    device.socket.fragment = 10;
    device.whenPiece = ({ offset }) => {
      throw new Error(`at ${offset}`);
    };
    device.send(message("t", LONG, { qos: 1, id: 4 }), message("t", "next"));
    expect(device.take()).toEqual([`data t=${LONG}`, "message t=next"]);
    expect(device.takeErrors()).toEqual(device.pieces.map(({ offset }) => new Error(`at ${offset}`)));
    expect(device.pieces.length).toBeGreaterThan(5);
    expect(device.sent()).toEqual(["PUBACK #4"]);
  });

  test("that aborts in the middle hears no more of it", () => {
    const device = new Gatherer().up();
    device.socket.fragment = 10;
    device.whenPiece = ({ offset }) => {
      if (offset > 10) device.client.abort();
    };
    device.send(message("t", LONG, { qos: 1, id: 4 }), message("t", "next"));
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.reached).toBeLessThan(35);
    expect(device.broker.packets.at(-1)!.type).toBe("CONNECT");
    expect(device.socket.closed).toBe(true);
  });

  test("that closes in the middle: DISCONNECT leaves, without an acknowledgement of what has not come", () => {
    const device = new Gatherer().up();
    device.socket.fragment = 10;
    device.whenPiece = ({ offset }) => {
      if (offset > 10) device.client.close();
    };
    device.send(message("t", LONG, { qos: 1, id: 4 }), message("t", "next"));
    expect(device.take()).toEqual(["offline 0"]);
    expect(device.broker.take()).toEqual(["DISCONNECT"]);
  });

  test("that closes in the last piece: its acknowledgement leaves before DISCONNECT", () => {
    for (const [qos, answer] of [[1, "PUBACK #4"], [2, "PUBREC #4"]] as const) {
      const device = new Gatherer().up();
      device.whenPiece = () => device.client.close();
      device.send(message("t", LONG, { qos, id: 4 }));
      expect(device.take()).toEqual([`data t=${LONG}`, "offline 0"]);
      expect(device.broker.take()).toEqual([answer, "DISCONNECT"]);
    }
  });

  test("that aborts and connects: the next session begins with a packet, not with the rest", () => {
    const device = new Gatherer().up();
    device.whenPiece = () => {
      device.whenPiece = () => undefined;
      device.client.abort();
      device.client.connect("broker");
    };
    device.socket.receive(bytesOf(device, message("t", LONG)).slice(0, 30));
    device.hal.settle();
    device.accept();
    device.events.length = 0;
    device.send(message("t", "next"), message("t", LONG));
    expect(device.take()).toEqual(["message t=next", `data t=${LONG}`]);
  });

  test("that publishes does not disturb the bytes that it was given", () => {
    const device = new Gatherer().up();
    device.client.on("puback", null);
    let seen = "";
    device.client.on("data", (client, _topic, bytes) => {
      for (let i = 0; i < 8; i++) client.publish("t", "y".repeat(100));
      seen += characters(bytes);
    });
    device.socket.fragment = 25;
    device.send(message("t", LONG));
    expect(seen).toBe(LONG);
  });

  test("in which all of the client is called: nothing nests, and all pieces come", () => {
    const device = new Gatherer({ cleansession: 0 }).up();
    device.socket.fragment = 9;
    device.whenPiece = () => {
      device.client.publish("t", "x", 1);
      device.client.subscribe("t");
      device.client.drain(() => undefined);
      device.client.pause();
      device.client.resume();
    };
    device.send(message("t", LONG), message("t", "next"));
    expect(device.take()).toEqual([`data t=${LONG}`, "message t=next"]);
    device.client.on("suback", null);
    device.client.abort();
  });
});

describe("Above QoS 0 a long message", () => {
  test("is acknowledged behind its last piece, not before [MQTT-4.3.2-2]", () => {
    for (const [qos, answer] of [[1, "PUBACK #4"], [2, "PUBREC #4"]] as const) {
      const device = new Gatherer().up();
      const bytes = bytesOf(device, message("t", LONG, { qos, id: 4 }));
      for (let at = 0; at < bytes.length; at++) {
        expect(device.sent()).toEqual([]);
        device.socket.receive(bytes.slice(at, at + 1));
      }
      expect(device.take()).toEqual([`data t=${LONG}`]);
      expect(device.sent()).toEqual([answer]);
    }
  });

  test("begins again at 0 when it was cut off by the end of the connection", () => {
    for (const qos of [1, 2]) {
      for (const cut of [8, 20, 66]) {
        const device = new Gatherer({ cleansession: 0 }).up();
        const bytes = bytesOf(device, message("t", LONG, { qos, id: 4 }));
        device.socket.receive(bytes.slice(0, cut));
        expect(device.reached).toBe(cut - 7);
        device.socket.reset();
        expect(device.take()).toEqual(["offline -10"]);
        device.up(true);
        device.send(message("t", LONG, { qos, id: 4, dup: true }));
        expect(device.take()).toEqual([`data t=${LONG}`]);
        expect(device.sent()).toEqual([qos === 1 ? "PUBACK #4" : "PUBREC #4"]);
      }
    }
  });

  test("at QoS 2 is never delivered twice once its last piece was told [MQTT-4.3.3-2]", () => {
    for (const fragment of [0, 1, 30]) {
      const device = new Gatherer({ cleansession: 0 }).up();
      device.socket.fragment = fragment;
      device.send(message("t", LONG, { qos: 2, id: 4 }));
      expect(device.take()).toEqual([`data t=${LONG}`]);
      device.send(message("t", LONG, { qos: 2, id: 4, dup: true }));
      expect(device.take()).toEqual([]);
      expect(device.sent()).toEqual(["PUBREC #4", "PUBREC #4"]);
      device.socket.reset();
      device.take();
      device.up(true);
      device.socket.fragment = fragment;
      device.send(message("t", LONG, { qos: 2, id: 4, dup: true }));
      expect(device.take()).toEqual([]);
      expect(device.sent()).toEqual(["PUBREC #4"]);
      device.send(ack("PUBREL", 4), message("t", LONG, { qos: 2, id: 4 }));
      expect(device.take()).toEqual([`data t=${LONG}`]);
    }
  });

  test("at QoS 2 is never delivered twice when the last piece's callback aborts or throws [MQTT-4.3.3-2]", () => {
    for (const action of ["abort", "throw"]) {
      const device = new Gatherer({ cleansession: 0 }).up();
      device.whenPiece = () => {
        if (action === "throw") throw new Error(action);
        device.client.abort();
      };
      device.send(message("t", LONG, { qos: 2, id: 4 }));
      device.hal.settle();
      expect(device.takeErrors()).toHaveLength(action === "throw" ? 1 : 0);
      device.client.abort();
      device.take();
      device.up(true);
      device.send(message("t", LONG, { qos: 2, id: 4, dup: true }));
      expect(device.take()).toEqual([]);
      expect(device.sent()).toEqual(["PUBREC #4"]);
    }
  });

  test("at QoS 2 that was told in part as overflow is not told again [MQTT-4.3.3-2]", () => {
    const device = new Gatherer({ cleansession: 0 }).up();
    device.client.on("data", null);
    device.socket.receive(bytesOf(device, message("t", LONG, { qos: 2, id: 4 })).slice(0, 40));
    device.socket.reset();
    expect(device.take()).toEqual([`overflow t=${LONG.slice(0, 9)}`, "offline -10"]);
    device.up(true);
    device.client.on("data", device.gather);
    device.send(message("t", LONG, { qos: 2, id: 4, dup: true }));
    expect(device.take()).toEqual([]);
  });

  test("at QoS 2 with a full table of those received ends the session, before its first piece", () => {
    const device = new Gatherer({ options: { receiveMaximum: 1 } }).up();
    device.send(message("t", LONG, { qos: 2, id: 4 }));
    device.socket.fragment = 10;
    device.send(message("t", LONG, { qos: 2, id: 5 }));
    expect(device.take()).toEqual([`data t=${LONG}`, "offline -13"]);
    expect(device.pieces).toHaveLength(1);
  });
});

describe("A message much larger than memory", () => {
  test("comes through a buffer of 128 bytes, piece by piece, none longer than that", () => {
    const length = SLOWNESS === 1 ? 1 << 20 : 1 << 14;
    const device = new Gatherer();
    device.up();
    let reached = 0;
    let sum = 0;
    let longest = 0;
    const buffers = new Set<ArrayBufferLike>();
    device.client.on("data", (_, _topic, bytes, offset, total) => {
      expect(offset).toBe(reached);
      expect(total).toBe(length);
      reached += bytes.length;
      longest = Math.max(longest, bytes.length);
      for (const byte of bytes) sum = (sum * 31 + byte) | 0;
      buffers.add(bytes.buffer);
    });
    let expected = 0;
    const size = 2 + 1 + length;
    device.socket.receive([0x30, (size & 127) | 128, ((size >> 7) & 127) | 128, size >> 14, 0, 1, 0x74]);
    for (let at = 0; at < length; at += 1024) {
      const bytes = Array.from({ length: 1024 }, (_, i) => ((at + i) * 7 + (at >> 8)) & 255);
      for (const byte of bytes) expected = (expected * 31 + byte) | 0;
      device.socket.receive(bytes);
      device.hal.settle();
    }
    expect(reached).toBe(length);
    expect(sum).toBe(expected);
    expect(longest).toBeLessThanOrEqual(128);
    expect(buffers.size).toBe(1);
    device.send(message("t", "next"));
    expect(device.take()).toEqual(["message t=next"]);
  });
});
