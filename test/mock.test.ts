import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import { MockHal, ScriptText } from "../hal/mock.js";
import type { MockHalOptions, MockSocket } from "../hal/mock.js";
import { pattern, Recorder, testHalContract } from "./support/hal-contract.js";
import type { Peer, World } from "./support/hal-contract.js";

class MockPeer implements Peer {
  readonly socket: MockSocket;
  constructor(socket: MockSocket) {
    this.socket = socket;
  }
  send = (bytes: Uint8Array): void => this.socket.receive(bytes);
  end = (): void => this.socket.end();
  reset = (): void => this.socket.reset();
  stopReading = (): void => this.socket.stall();
  startReading = (): void => this.socket.unstall();
  get received(): Uint8Array {
    return this.socket.sent;
  }
  get receivedLength(): number {
    return this.socket.sent.length;
  }
  get ended(): boolean {
    return this.socket.closed;
  }
}

async function makeWorld(): Promise<World> {
  const hal = new MockHal();
  const accepted: MockSocket[] = [];
  hal.script = (socket) => {
    if (socket.host === "broker") socket.connect();
    else socket.fail(socket.host === "refused" ? "refused" : "dns");
    if (socket.host === "broker") accepted.push(socket);
  };
  const until = async (condition: () => boolean): Promise<void> => {
    hal.settle();
    for (let ms = 0; !condition(); ms++) {
      if (ms > 1000) throw new Error("it does not come to that");
      hal.advance(1);
    }
  };
  return {
    hal,
    bulkLength: 50000,
    open: (handler) => hal.open("broker", 1883, undefined, handler)!,
    openRefused: (handler) => hal.open("refused", 1883, undefined, handler)!,
    openUnknown: (handler) => hal.open("unknown", 1883, undefined, handler)!,
    until,
    async accept() {
      await until(() => accepted.length > 0);
      return new MockPeer(accepted.shift()!);
    },
    async dispose() {
      hal.settle();
    },
  };
}

testHalContract("MockHal", makeWorld);

/** A HAL, and a client that opened a connection. */
function open(options?: MockHalOptions): { hal: MockHal; client: Recorder; socket: MockSocket } {
  const hal = new MockHal(options);
  const client = new Recorder().open((handler) => hal.open("broker", 1883, undefined, handler)!);
  return { hal, client, socket: hal.socket };
}

/** ... and that is connected. */
function connected(options?: MockHalOptions): { hal: MockHal; client: Recorder; socket: MockSocket } {
  const opened = open(options);
  opened.socket.connect();
  opened.client.events = [];
  return opened;
}

const nobody = { onReadable() {}, onWritable() {}, onError() {} };

describe("MockHal.open", () => {
  test("shows what was asked for, and keeps the sockets in order", () => {
    const hal = new MockHal();
    const secure = { ca: "..." };
    const first = hal.open("one", 1883, undefined, nobody);
    const second = hal.open("two", 8883, secure, nobody);
    expect(hal.sockets).toEqual([first, second]);
    expect(hal.socket).toBe(second);
    expect(hal.sockets.map(({ host, port }) => [host, port])).toEqual([["one", 1883], ["two", 8883]]);
    expect(hal.sockets[0].secure).toBeUndefined();
    expect(hal.sockets[1].secure).toBe(secure);
  });

  test("throws where the contract rules it out", () => {
    const hal = new MockHal();
    expect(() => hal.open("", 1883, undefined, nobody)).toThrow("empty host");
    for (const port of [0, 65536, 1.5, NaN]) expect(() => hal.open("b", port, undefined, nobody)).toThrow(RangeError);
    expect(() => hal.open("broker", 1883, { nonsense: 1 }, nobody)).toThrow("secure.nonsense");
    expect(hal.sockets).toEqual([]);
    expect(() => hal.socket).toThrow("no socket was opened");
  });

  test("returns undefined when it is exhausted", () => {
    const hal = new MockHal();
    hal.exhausted = true;
    expect(hal.open("broker", 1883, undefined, nobody)).toBeUndefined();
    expect(hal.sockets).toEqual([]);
  });

  test("runs the script for each socket, later", () => {
    const hal = new MockHal();
    const ports: number[] = [];
    hal.script = (socket) => ports.push(socket.port);
    hal.open("broker", 1, undefined, nobody);
    hal.open("broker", 2, undefined, nobody);
    expect(ports).toEqual([]);
    hal.settle();
    expect(ports).toEqual([1, 2]);
  });

  test("knows TLS options by name, or has no TLS at all", () => {
    const hal = new MockHal();
    hal.tlsOptions = ["verify"];
    expect(() => hal.checkSecure({ verify: false })).not.toThrow();
    expect(() => hal.checkSecure({ ca: "" })).toThrow(TypeError);
    hal.tlsOptions = undefined;
    expect(() => hal.checkSecure({})).toThrow(TypeError);
  });
});

describe("MockSocket, coming up", () => {
  test("connects with the room given, or with the HAL's", () => {
    const { client, socket } = open();
    socket.connect(100);
    expect(client.events).toEqual(["writable 100"]);
    expect(socket.room).toBe(100);
    expect(connected().socket.room).toBe(2920);
    expect(connected({ room: 8192 }).socket.room).toBe(8192);
    expect(() => open().socket.connect(0)).toThrow(RangeError);
  });

  test.each(["dns", "refused", "unreachable", "timeout", "tls"] as const)("fails with %s", (failure) => {
    const { client, socket } = open();
    const detail = new Error(failure);
    socket.fail(failure, detail);
    expect(client.events).toEqual([`error ${failure}`]);
    expect(client.detail).toBe(detail);
    expect(socket.over).toBe(true);
  });

  test("fails at once by the script: in the next turn", () => {
    const hal = new MockHal();
    hal.script = (socket) => socket.fail("dns");
    const client = new Recorder().open((handler) => hal.open("broker", 1883, undefined, handler)!);
    expect(client.events).toEqual([]);
    hal.settle();
    expect(client.events).toEqual(["error dns"]);
  });

  test("fails later, at its time", () => {
    const hal = new MockHal();
    hal.script = (socket) => hal.after(5000, () => socket.fail("dns"));
    const client = new Recorder().open((handler) => hal.open("broker", 1883, undefined, handler)!);
    hal.advance(4999);
    expect(client.events).toEqual([]);
    hal.advance(1);
    expect(client.events).toEqual(["error dns"]);
  });

  test("has nothing to receive, to end or to reset before it is up, and comes up once", () => {
    const { socket } = open();
    expect(() => socket.receive([1])).toThrow("not connected");
    expect(() => socket.end()).toThrow("not connected");
    expect(() => socket.endSending()).toThrow("not connected");
    expect(() => socket.reset()).toThrow("not connected");
    socket.connect();
    expect(() => socket.connect()).toThrow("already up");
  });

  test("a late connection has no effect on a closed or failed socket", () => {
    const { client, socket } = open();
    client.close();
    socket.connect();
    const { client: failed, socket: failedSocket } = open();
    failedSocket.fail("timeout");
    failedSocket.connect();
    expect(client.events.concat(failed.events)).toEqual(["error timeout"]);
    expect(client.broken.concat(failed.broken)).toEqual([]);
  });
});

describe("MockSocket, receiving", () => {
  test("announces each receive() once, with the total unread", () => {
    const { hal, client, socket } = connected();
    socket.receive([1, 2, 3]);
    socket.receive(Uint8Array.of(4));
    hal.settle();
    expect(client.events).toEqual(["readable 3", "readable 4"]);
    expect(socket.unread).toBe(4);
    expect(client.read()).toEqual(Uint8Array.of(1, 2, 3, 4));
    hal.settle();
    expect(client.events).toEqual(["readable 3", "readable 4"]);
  });

  test("keeps a copy of what it is given", () => {
    const { client, socket } = connected();
    const bytes = Uint8Array.of(1, 2, 3);
    socket.receive(bytes);
    bytes.fill(0);
    expect(client.read()).toEqual(Uint8Array.of(1, 2, 3));
  });

  test("coalesces several chunks", () => {
    const { client, socket } = connected();
    socket.receive([1, 2], [], Uint8Array.of(3));
    expect(client.events).toEqual(["readable 3"]);
    socket.receive([]);
    expect(client.events).toEqual(["readable 3"]);
  });

  test("delivers in fragments, each announced by itself", () => {
    const { client, socket } = connected();
    socket.fragment = 2;
    client.whenReadable = () => client.read();
    socket.receive([1, 2, 3], [4, 5]);
    expect(client.events).toEqual(["readable 2", "readable 2", "readable 1"]);
    client.whenReadable = () => {};
    socket.receive([1, 2, 3]);
    expect(client.events.slice(3)).toEqual(["readable 2", "readable 3"]);
  });

  test("stops at the window, and goes on when something is read", () => {
    const { hal, client, socket } = connected({ window: 10 });
    socket.receive(pattern(25));
    hal.advance(1000);
    expect(client.events).toEqual(["readable 10"]);
    expect(client.read(4)).toEqual(pattern(4));
    expect(client.events).toEqual(["readable 10"]);
    hal.settle();
    expect(client.events).toEqual(["readable 10", "readable 10"]);
    client.whenReadable = () => client.read();
    client.read();
    hal.settle();
    expect(client.events.slice(2)).toEqual(["readable 10", "readable 1"]);
  });

  test("throws like a board when more is read than announced, or a range is wrong", () => {
    const { client, socket } = connected();
    expect(() => client.socket.read(new Uint8Array(8), 0, 1)).toThrow("read: 1 of 0 bytes");
    socket.receive([1, 2]);
    expect(() => client.socket.read(new Uint8Array(8), 0, 3)).toThrow("read: 3 of 2 bytes");
    for (const [start, end] of [[-1, 1], [1, 0], [7, 9], [0, 0.5]]) {
      expect(() => client.socket.read(new Uint8Array(8), start, end)).toThrow(RangeError);
    }
    expect(client.read()).toEqual(Uint8Array.of(1, 2));
  });

  test("calls back after the callback that is running, in the order of the events", () => {
    const { hal, client, socket } = connected();
    const other = new Recorder().open((handler) => hal.open("broker", 1883, undefined, handler)!);
    const order: string[] = [];
    client.whenReadable = () => {
      order.push("in");
      if (client.unread === 1) {
        hal.sockets[1].connect();
        socket.receive([2, 3]);
        client.write(pattern(1));
      }
      order.push("out");
    };
    other.whenWritable = () => order.push("other");
    client.whenWritable = () => order.push("room");
    socket.receive([1]);
    expect(order).toEqual(["in", "out", "other", "in", "out", "room"]);
    expect(client.broken).toEqual([]);
  });

  test("an error thrown by a handler reaches the test, and what waits is not lost", () => {
    const { hal, client, socket } = connected();
    client.whenReadable = () => {
      client.whenReadable = () => {};
      throw new Error("thrown by the client");
    };
    socket.fragment = 1;
    expect(() => socket.receive([1, 2])).toThrow("thrown by the client");
    expect(client.events).toEqual(["readable 1"]);
    hal.settle();
    expect(client.events).toEqual(["readable 1", "readable 2"]);
  });
});

describe("MockSocket, sending", () => {
  test("records what is written, all of it and since the last look", () => {
    const { client, socket } = connected();
    const bytes = Buffer.from([9, 1, 2, 3, 9]);
    client.write(bytes, 1, 4);
    bytes.fill(0);
    expect(socket.takeSent()).toEqual(Uint8Array.of(1, 2, 3));
    client.write(pattern(0));
    client.write(Uint8Array.of(4));
    expect(socket.takeSent()).toEqual(Uint8Array.of(4));
    expect(socket.takeSent()).toEqual(new Uint8Array());
    expect(socket.sent).toEqual(Uint8Array.of(1, 2, 3, 4));
    expect(socket.writes).toBe(2);
  });

  test("returns room in the next turn, once for all writes", () => {
    const { hal, client, socket } = connected({ room: 10 });
    expect(client.write(pattern(4))).toBe(6);
    expect(client.write(pattern(6))).toBe(0);
    expect(client.events).toEqual([]);
    hal.settle();
    expect(client.events).toEqual(["writable 10"]);
    expect(socket.room).toBe(10);
  });

  test("throws like a board when more is written than there is room for, or a range is wrong", () => {
    const { client } = connected({ room: 10 });
    client.write(pattern(4));
    expect(() => client.write(pattern(7))).toThrow("write: 7 bytes into room for 6");
    for (const [start, end] of [[-1, 1], [1, 0], [7, 9], [0, 0.5]]) {
      expect(() => client.socket.write(new Uint8Array(8), start, end)).toThrow(RangeError);
    }
    expect(() => open().client.write(pattern(1))).toThrow("write: 1 bytes into room for 0");
  });

  test("stalls, and gives room back as the test drains it", () => {
    const { hal, client, socket } = connected({ room: 10 });
    client.write(pattern(5));
    socket.stall(); // before any room has returned
    client.write(pattern(5));
    hal.advance(100000);
    expect(client.events).toEqual([]);
    socket.drain(3);
    expect(client.events).toEqual(["writable 3"]);
    expect(() => client.write(pattern(4))).toThrow(RangeError);
    socket.receive([1]); // a peer that sends and does not read
    client.write(pattern(1));
    hal.settle();
    expect(client.events).toEqual(["writable 3", "readable 1"]);
    expect(() => socket.drain(9)).toThrow(RangeError);
    socket.drain();
    expect(client.events.at(-1)).toBe("writable 10");
    socket.drain();
    client.write(pattern(5));
    socket.unstall();
    client.write(pattern(2));
    hal.settle();
    expect(client.events.slice(3)).toEqual(["writable 10", "writable 10"]);
  });

  test("shows each write to the peer when the call is over, also what was written before close()", () => {
    const { hal, client, socket } = connected();
    const seen: number[][] = [];
    socket.onWrite = (bytes) => seen.push([...bytes]);
    const bytes = Buffer.from([1, 2]);
    client.write(bytes);
    bytes.fill(0);
    client.write(Uint8Array.of(3));
    client.close();
    expect(seen).toEqual([]);
    hal.settle();
    expect(seen).toEqual([[1, 2], [3]]);
  });

  test("a peer that answers", () => {
    const { hal, client, socket } = connected();
    socket.onWrite = (bytes) => socket.receive(bytes.map((byte) => byte + 1));
    client.write(Uint8Array.of(1, 2));
    hal.settle();
    expect(client.read()).toEqual(Uint8Array.of(2, 3));
    expect(client.broken).toEqual([]);
  });

  test("breaks in the write that goes beyond a count of bytes", () => {
    const { hal, client, socket } = connected();
    socket.failAfterBytes(5);
    expect(client.write(pattern(5))).toBe(2915);
    hal.settle();
    socket.failAfterBytes(5);
    expect(client.write(pattern(3))).toBe(2917);
    expect(client.write(pattern(3))).toBe(0);
    expect(socket.sent.length).toBe(10);
    expect(client.failure).toBeUndefined();
    hal.settle();
    expect(client.failure).toBe("closed");
    expect(client.write(pattern(3))).toBe(0);
    expect(socket.sent.length).toBe(10);
    expect(client.broken).toEqual([]);
  });

  test("breaks after a count of writes", () => {
    const { hal, client, socket } = connected();
    socket.failAfterWrites(2);
    client.write(pattern(1));
    client.write(pattern(1));
    expect(client.write(pattern(1))).toBe(0);
    expect(socket.writes).toBe(2);
    hal.settle();
    expect(client.events).toEqual(["error closed"]);
    socket.receive([1]); // what a broken connection does not deliver
    socket.end();
    socket.reset();
    expect(client.events).toEqual(["error closed"]);
  });
});

describe("MockSocket, ending", () => {
  test("end() comes behind everything received, and takes no more writes once it has arrived", () => {
    const { hal, client, socket } = connected({ window: 2 });
    socket.receive([1, 2, 3]);
    socket.end();
    expect(client.write(pattern(1))).toBeGreaterThan(0);
    client.read();
    hal.settle();
    expect(client.events.at(-1)).toBe("readable 1");
    expect(client.write(pattern(1))).toBe(0);
    expect(socket.sent.length).toBe(1);
    hal.settle();
    expect(client.failure).toBeUndefined();
    client.read();
    expect(client.failure).toBeUndefined();
    hal.settle();
    expect(client.events.at(-1)).toBe("error closed");
    expect(client.broken).toEqual([]);
  });

  test("nothing comes behind a FIN, but a RST may", () => {
    const { client, socket } = connected();
    socket.receive([1]);
    socket.end();
    expect(() => socket.receive([1])).toThrow("the peer has closed");
    expect(() => socket.end()).toThrow("the peer has closed");
    socket.reset();
    socket.receive([1]);
    expect(client.events).toEqual(["readable 1"]);
  });

  test("endSending(): a peer that has sent all and still reads", () => {
    const { hal, client, socket } = connected();
    socket.receive([1]);
    socket.endSending();
    expect(client.write(pattern(3))).toBe(2917);
    hal.settle();
    expect(client.events).toEqual(["readable 1", "writable 2920"]);
    client.read();
    hal.settle();
    expect(client.failure).toBe("closed");
    expect(client.write(pattern(3))).toBe(0);
    expect(socket.sent.length).toBe(3);
  });

  test("reset() loses what was not announced, and leaves the rest to be read first", () => {
    const { hal, client, socket } = connected({ window: 4 });
    socket.receive(pattern(10));
    client.write(pattern(1));
    socket.reset();
    expect(client.write(pattern(1))).toBe(0);
    hal.settle();
    expect(client.events).toEqual(["readable 4"]);
    client.read();
    hal.settle();
    expect(client.events).toEqual(["readable 4", "error closed"]);
    expect(client.broken).toEqual([]);
  });

  test("fail() ends a connection that is up with another failure", () => {
    const { client, socket } = connected();
    socket.fail("timeout", "detail");
    expect(client.failure).toBe("timeout");
    expect(client.detail).toBe("detail");
  });

  test("throws like a board when a closed socket is used", () => {
    const { client, socket } = connected();
    socket.receive([1]);
    client.close();
    client.close();
    expect(socket.closed).toBe(true);
    expect(() => client.socket.read(new Uint8Array(1), 0, 1)).toThrow("closed socket");
    expect(() => client.socket.write(new Uint8Array(1), 0, 1)).toThrow("closed socket");
  });

  test("lets nothing be heard after close(), not even what was waiting", () => {
    const { hal, client, socket } = connected({ window: 2 });
    client.whenReadable = () => {
      client.write(pattern(5));
      client.close();
    };
    socket.receive([1, 2, 3]);
    socket.receive([4]);
    socket.end();
    socket.reset();
    socket.drain();
    hal.settle();
    expect(client.events).toEqual(["readable 2"]);
    expect(client.broken).toEqual([]);
  });
});

describe("MockHal, clock and timers", () => {
  test("fires timers in order and at their times, the first scheduled first among equals", () => {
    const hal = new MockHal({ now: 1000 });
    const fired: [string, number][] = [];
    const timer = (name: string, delayMs: number): void =>
      hal.createTimer(() => fired.push([name, hal.now()])).schedule(delayMs);
    timer("c", 300);
    timer("a", 100);
    timer("b", 200);
    timer("a2", 100);
    hal.after(150, () => fired.push(["test", hal.now()]));
    hal.advance(99);
    expect(fired).toEqual([]);
    expect(hal.now()).toBe(1099);
    hal.advance(201);
    expect(fired).toEqual([["a", 1100], ["a2", 1100], ["test", 1150], ["b", 1200], ["c", 1300]]);
    expect(hal.now()).toBe(1300);
  });

  test("timers that are armed by timers fire within the same advance()", () => {
    const hal = new MockHal();
    const times: number[] = [];
    const timer = hal.createTimer(() => {
      times.push(hal.now());
      timer.schedule(10);
    });
    timer.schedule(10);
    hal.advance(35);
    expect(times).toEqual([10, 20, 30]);
    expect(hal.nextTimerMs).toBe(5);
  });

  test("settle() runs what is due now, and lets no time pass", () => {
    const hal = new MockHal();
    const fired: string[] = [];
    const inner = hal.createTimer(() => fired.push("inner"));
    hal
      .createTimer(() => {
        fired.push("outer");
        inner.schedule(0);
      })
      .schedule(0);
    hal.createTimer(() => fired.push("later")).schedule(1);
    hal.settle();
    expect(fired).toEqual(["outer", "inner"]);
    expect(hal.now()).toBe(0);
  });

  test("tells when the next timer is due", () => {
    const hal = new MockHal();
    expect(hal.nextTimerMs).toBeUndefined();
    hal.after(5, () => {});
    expect(hal.nextTimerMs).toBeUndefined();
    const timer = hal.createTimer(() => {});
    timer.schedule(100);
    hal.createTimer(() => {}).schedule(0);
    expect(hal.nextTimerMs).toBe(0);
    hal.advance(40);
    expect(hal.nextTimerMs).toBe(60);
    timer.clear();
    expect(hal.nextTimerMs).toBeUndefined();
  });

  test("the clock wraps at 32 bits, and timers do not mind", () => {
    const hal = new MockHal({ now: 0x7fffffff });
    let fired = 0;
    hal.createTimer(() => fired++).schedule(10);
    expect(hal.now()).toBe(0x7fffffff);
    hal.advance(1);
    expect(hal.now()).toBe(-0x80000000);
    hal.advance(9);
    expect(fired).toBe(1);
  });

  test("throws for a delay out of range, a clock turned back or within a callback", () => {
    const hal = new MockHal();
    const timer = hal.createTimer(() => hal.advance(1));
    for (const delay of [-1, 0x80000000, NaN]) expect(() => timer.schedule(delay)).toThrow(RangeError);
    expect(() => hal.advance(-1)).toThrow(RangeError);
    timer.schedule(0);
    expect(() => hal.settle()).toThrow("within a callback");
  });

  test("throws when it does not come to rest", () => {
    const hal = new MockHal();
    const timer = hal.createTimer(() => timer.schedule(0));
    timer.schedule(0);
    expect(() => hal.settle()).toThrow("come to rest");
  });
});

describe("MockHal, the rest", () => {
  test("keeps uncaught errors", () => {
    const hal = new MockHal();
    const error = new Error("thrown by a callback");
    hal.uncaught(error);
    hal.uncaught(undefined);
    expect(hal.uncaughtErrors).toEqual([error, undefined]);
  });

  test("has a small board's defaults, its id, and takes others", () => {
    const hal = new MockHal();
    expect(hal.defaults).toEqual({ rxCapacity: 1024, txCapacity: 2048, maxOperations: 16, receiveMaximum: 16 });
    expect(hal.generateId()).toBe(hal.generateId());
    const text = new ScriptText();
    const other = new MockHal({ defaults: { txCapacity: 100 }, id: "x1", text });
    expect(other.defaults).toEqual({ rxCapacity: 1024, txCapacity: 100, maxOperations: 16, receiveMaximum: 16 });
    expect(other.generateId()).toBe("x1");
    expect(other.createText()).toBe(text);
  });

  test("ScriptText decodes and encodes as the platform's TextDecoder and Buffer do", () => {
    const text = new ScriptText();
    const lenient = new TextDecoder("utf-8", { ignoreBOM: true });
    const strict = new TextDecoder("utf-8", { ignoreBOM: true, fatal: true });
    // Bytes at which UTF-8's rules change, so that random sequences come near to being well-formed.
    const edges = [0, 0x41, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc1, 0xc2, 0xdf, 0xe0, 0xe1, 0xed, 0xef, 0xf0];
    const byte = fc.oneof(fc.constantFrom(...edges, 0xf1, 0xf4, 0xf5, 0xff), fc.nat(255));
    fc.assert(
      fc.property(fc.array(byte, { maxLength: 12 }), (array) => {
        const bytes = Uint8Array.from(array);
        let expected: string | undefined;
        try {
          expected = strict.decode(bytes);
        } catch {
          expected = undefined;
        }
        expect(text.decode(bytes, 0, bytes.length, true)).toBe(expected);
        expect(text.decode(bytes, 0, bytes.length, false)).toBe(lenient.decode(bytes));
        if (expected === undefined) return;
        const out = new Uint8Array(bytes.length);
        expect(text.encode(expected, out, 0, out.length)).toBe(bytes.length);
        expect(out).toEqual(bytes);
      }),
      { numRuns: 5000 },
    );
  });
});
