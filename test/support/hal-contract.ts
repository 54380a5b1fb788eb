/**
 * What hal/socket.ts promises, as tests that every HAL passes. A `World` is a HAL and the network around it; the suites
 * of the single HALs test what only they have.
 */

import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import type { Hal, Socket, SocketFailure, SocketHandler, Text, Timer } from "../../hal/socket.js";

/** The far end of a connection. */
export interface Peer {
  send(bytes: Uint8Array): void;
  /** FIN: sends no more. */
  end(): void;
  /** RST. */
  reset(): void;
  /** Lets what the client writes pile up, until `startReading`. */
  stopReading(): void;
  startReading(): void;
  /** Everything that came so far. */
  readonly received: Uint8Array;
  readonly receivedLength: number;
  /** The client's FIN has come. */
  readonly ended: boolean;
}

export interface World {
  hal: Hal;
  /** So many bytes, written at once, fill every buffer on the way. */
  bulkLength: number;
  /** Most room that one write may take beside its own bytes. Default: 0. */
  writeOverhead?: number;
  /** Opens a connection to where a peer accepts it. */
  open(handler: SocketHandler): Socket;
  /** The peer of the next connection that comes, in the order of `open`. */
  accept(): Promise<Peer>;
  /** What a HAL says of that whose platform does not tell why a connection did not come up. Default: "refused". */
  refusal?: SocketFailure;
  /** Opens a connection to where nobody listens. */
  openRefused(handler: SocketHandler): Socket;
  /** Opens a connection to a host that has no address. */
  openUnknown(handler: SocketHandler): Socket;
  /** Lets things happen until `condition` holds; throws when it does not come to that. */
  until(condition: () => boolean): Promise<void>;
  dispose(): Promise<void>;
}

/** A client that records what it hears, and whether it hears it at a wrong moment. */
export class Recorder implements SocketHandler {
  socket!: Socket;
  events: string[] = [];
  failure: SocketFailure | undefined;
  detail: unknown;
  /** Announced and not yet read; as far as the client knows. */
  unread = 0;
  /** Room as last heard; undefined before the connection is up. */
  room: number | undefined;
  /** What broke a rule that holds always. */
  broken: string[] = [];
  whenReadable = (): void => {};
  whenWritable = (): void => {};
  whenError = (): void => {};
  #calling = false;
  #closed = false;

  open(open: (handler: SocketHandler) => Socket): this {
    this.socket = this.#call(() => open(this));
    return this;
  }

  read(count = this.unread): Uint8Array {
    const bytes = new Uint8Array(count);
    expect(this.#call(() => this.socket.read(bytes, 0, count))).toBe(count);
    this.unread -= count;
    return bytes;
  }

  write(bytes: Uint8Array, start = 0, end = bytes.length): number {
    this.room = this.#call(() => this.socket.write(bytes, start, end));
    return this.room;
  }

  close(): void {
    this.#closed = true;
    this.#call(() => this.socket.close());
  }

  onReadable(count: number): void {
    this.#heard(`readable ${count}`);
    if (this.room === undefined) this.broken.push("readable before it is connected");
    if (count <= this.unread) this.broken.push(`announced ${count} when ${this.unread} were unread`);
    this.unread = count;
    this.whenReadable();
  }

  onWritable(count: number): void {
    this.#heard(`writable ${count}`);
    if (count <= 0) this.broken.push("no room announced");
    this.room = count;
    this.whenWritable();
  }

  onError(failure: SocketFailure, detail?: unknown): void {
    this.#heard(`error ${failure}`);
    if (this.unread > 0) this.broken.push(`over when ${this.unread} bytes were unread`);
    this.failure = failure;
    this.detail = detail;
    this.whenError();
  }

  #call<Result>(call: () => Result): Result {
    const outermost = !this.#calling;
    this.#calling = true;
    try {
      return call();
    } finally {
      if (outermost) this.#calling = false;
    }
  }

  #heard(event: string): void {
    if (this.#calling) this.broken.push(`${event} inside a call`);
    if (this.#closed) this.broken.push(`${event} after close()`);
    if (this.failure !== undefined) this.broken.push(`${event} after the last callback`);
    this.events.push(event);
  }
}

/** `length` bytes that differ from their neighbours and from each other's blocks. */
export function pattern(length: number, seed = 0): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let i = 0; i < length; i++) bytes[i] = i * 31 + (i >> 8) * 7 + seed;
  return bytes;
}

export function testHalContract(name: string, makeWorld: () => Promise<World>): void {
  describe(`${name} keeps the contract of hal/socket`, () => {
    let world: World;
    let recorders: Recorder[];

    beforeEach(async () => {
      world = await makeWorld();
      recorders = [];
    });

    afterEach(async () => {
      for (const recorder of recorders) recorder.close();
      await world.dispose();
      for (const recorder of recorders) expect(recorder.broken).toEqual([]);
    });

    function record(open: (handler: SocketHandler) => Socket): Recorder {
      const recorder = new Recorder();
      recorders.push(recorder);
      return recorder.open(open);
    }

    async function connect(): Promise<{ client: Recorder; peer: Peer }> {
      const client = record(world.open);
      const peer = await world.accept();
      await world.until(() => client.room !== undefined);
      return { client, peer };
    }

    describe("socket", () => {
      test("tells that it is connected, and how much may be written, after open() has returned", async () => {
        const client = record(world.open);
        expect(client.events).toEqual([]);
        await world.accept();
        await world.until(() => client.events.length > 0);
        expect(client.events).toEqual([`writable ${client.room}`]);
      });

      test("throws when written to before it is connected", () => {
        const client = record(world.open);
        expect(() => client.socket.write(pattern(1), 0, 1)).toThrow(RangeError);
      });

      test("copies what came into the range that is asked for, and returns its length", async () => {
        const { client, peer } = await connect();
        peer.send(pattern(100));
        await world.until(() => client.unread === 100);
        const bytes = new Uint8Array(12).fill(0xee);
        expect(client.socket.read(bytes, 1, 11)).toBe(10);
        expect(bytes).toEqual(Uint8Array.of(0xee, ...pattern(10), 0xee));
        client.unread -= 10;
        expect(client.read()).toEqual(pattern(100).slice(10));
      });

      test("throws when more is read than is announced, and nothing is lost by that", async () => {
        const { client, peer } = await connect();
        peer.send(pattern(5));
        await world.until(() => client.unread === 5);
        expect(() => client.socket.read(new Uint8Array(6), 0, 6)).toThrow(RangeError);
        expect(client.read()).toEqual(pattern(5));
        expect(() => client.socket.read(new Uint8Array(1), 0, 1)).toThrow(RangeError);
        expect(client.socket.read(new Uint8Array(1), 0, 0)).toBe(0);
      });

      test("announces bytes once, and with new ones the total", async () => {
        const { client, peer } = await connect();
        peer.send(pattern(10));
        await world.until(() => client.unread === 10);
        client.read(4);
        expect(client.events.at(-1)).toBe("readable 10");
        client.read(6);
        peer.send(pattern(3, 1));
        await world.until(() => client.unread === 3);
        expect(client.events.slice(-2)).toEqual(["readable 10", "readable 3"]);
        expect(client.read()).toEqual(pattern(3, 1));
      });

      test("reads inside onReadable and outside, in any portions, without losing a byte", async () => {
        const { client, peer } = await connect();
        const sent = pattern(20000);
        const got: number[] = [];
        let step = 1;
        const readSome = (): void => {
          const count = Math.min(client.unread, (step = (step * 7) % 1009));
          got.push(...client.read(count));
        };
        client.whenReadable = () => {
          if (step % 3 > 0) readSome();
        };
        peer.send(sent);
        await world.until(() => {
          readSome();
          return got.length === sent.length;
        });
        expect(Uint8Array.from(got)).toEqual(sent);
      });

      test("takes written bytes before write() returns, in order, and returns the room left", async () => {
        const { client, peer } = await connect();
        const room = client.room!;
        const bytes = pattern(30);
        const overhead = world.writeOverhead ?? 0;
        const expectRoom = (left: number, most: number, least: number): void => {
          expect(left).toBeLessThanOrEqual(most);
          expect(left).toBeGreaterThanOrEqual(least);
        };
        expectRoom(client.write(bytes, 10, 30), room - 20, room - 20 - overhead);
        bytes.fill(0);
        expectRoom(client.write(pattern(5, 1)), room - 25, room - 25 - 2 * overhead);
        const left = client.room!;
        expect(client.write(pattern(5, 1), 2, 2)).toBe(left);
        await world.until(() => peer.receivedLength === 25);
        expect(Array.from(peer.received)).toEqual([...pattern(30).slice(10), ...pattern(5, 1)]);
      });

      test("throws when more is written than there is room for, and sends nothing of it", async () => {
        const { client, peer } = await connect();
        const room = client.room!;
        expect(() => client.socket.write(new Uint8Array(room + 1), 0, room + 1)).toThrow(RangeError);
        client.write(pattern(10));
        expect(() => client.socket.write(new Uint8Array(room), 0, room - 9)).toThrow(RangeError);
        client.write(pattern(3, 1));
        await world.until(() => peer.receivedLength === 13);
        expect(Array.from(peer.received)).toEqual([...pattern(10), ...pattern(3, 1)]);
      });

      test("throws when the range written goes beyond the bytes", async () => {
        const { client } = await connect();
        expect(() => client.socket.write(new Uint8Array(4), 2, 5)).toThrow(RangeError);
        expect(() => client.socket.write(new Uint8Array(4), 3, 2)).toThrow(RangeError);
      });

      test("tells when room has returned after there was none left", async () => {
        const { client, peer } = await connect();
        const room = client.room!;
        const bytes = pattern(room);
        expect(client.write(bytes)).toBe(0);
        await world.until(() => client.room! >= room);
        client.write(pattern(7, 1));
        await world.until(() => peer.receivedLength === room + 7);
        expect(Buffer.compare(peer.received, Buffer.concat([bytes, pattern(7, 1)]))).toBe(0);
      });

      test("tells when room has returned after there was some left", async () => {
        const { client } = await connect();
        const room = client.room!;
        expect(client.write(pattern(1))).toBeLessThan(room);
        await world.until(() => client.room! >= room);
      });

      test("waits for a peer that does not read, and goes on with it", async () => {
        const { client, peer } = await connect();
        const bytes = pattern(world.bulkLength);
        let written = 0;
        const writeMore = (): void => {
          while (client.room! > 0 && written < bytes.length) {
            const count = Math.min(client.room!, bytes.length - written);
            client.write(bytes, written, written + count);
            written += count;
          }
        };
        peer.stopReading();
        client.whenWritable = writeMore;
        writeMore();
        await world.until(() => client.room === 0);
        peer.startReading();
        await world.until(() => peer.receivedLength === bytes.length);
        expect(Buffer.compare(peer.received, bytes)).toBe(0);
      });

      test("tells of the peer's FIN when everything before it is read, and then no more", async () => {
        const { client, peer } = await connect();
        peer.send(pattern(10));
        peer.end();
        await world.until(() => client.unread === 10);
        client.read(9);
        expect(client.failure).toBeUndefined();
        expect(client.read()).toEqual(pattern(10).slice(9));
        expect(client.failure).toBeUndefined();
        await world.until(() => client.failure !== undefined);
        expect(client.failure).toBe("closed");
        expect(client.socket.write(pattern(1), 0, 1)).toBe(0);
      });

      test("tells of the peer's RST", async () => {
        const { client, peer } = await connect();
        peer.reset();
        await world.until(() => client.failure !== undefined);
        expect(client.failure).toBe("closed");
      });

      test("close() delivers what was written, then FIN, and lets no callback come", async () => {
        const { client, peer } = await connect();
        peer.send(pattern(10));
        client.write(pattern(100));
        client.write(pattern(100, 1));
        client.close();
        await world.until(() => peer.ended);
        expect(Array.from(peer.received)).toEqual([...pattern(100), ...pattern(100, 1)]);
        peer.end();
      });

      test("close() is harmless when repeated; reading and writing after it throw", async () => {
        const { client } = await connect();
        client.close();
        client.close();
        expect(() => client.socket.read(new Uint8Array(1), 0, 0)).toThrow("closed socket");
        expect(() => client.socket.write(new Uint8Array(1), 0, 1)).toThrow("closed socket");
      });

      test("close() right after open() leaves nothing to hear of", async () => {
        const client = record(world.open);
        client.close();
        const other = record(world.open);
        await world.until(() => other.room !== undefined);
        expect(client.events).toEqual([]);
      });

      test("close() inside onWritable, onReadable and onError", async () => {
        const inWritable = record(world.open);
        inWritable.whenWritable = () => {
          inWritable.write(pattern(3));
          inWritable.close();
        };
        const peer = await world.accept();
        await world.until(() => peer.ended);
        expect(Array.from(peer.received)).toEqual([...pattern(3)]);

        const { client: inReadable, peer: sender } = await connect();
        inReadable.whenReadable = () => inReadable.close();
        sender.send(pattern(10));
        await world.until(() => sender.ended);
        expect(inReadable.events.at(-1)).toMatch(/^readable/);

        const inError = record(world.openRefused);
        inError.whenError = () => inError.close();
        await world.until(() => inError.failure !== undefined);
      });

      test("opens another connection inside a callback", async () => {
        const client = record(world.openRefused);
        let next: Recorder | undefined;
        client.whenError = () => {
          next = record(world.open);
        };
        await world.until(() => next !== undefined);
        await world.accept();
        await world.until(() => next!.room !== undefined);
      });

      test("keeps connections apart", async () => {
        const { client: one, peer: onePeer } = await connect();
        const { client: two, peer: twoPeer } = await connect();
        one.write(pattern(10, 1));
        two.write(pattern(10, 2));
        onePeer.send(pattern(20, 3));
        twoPeer.send(pattern(20, 4));
        await world.until(() => one.unread === 20 && two.unread === 20);
        expect(one.read()).toEqual(pattern(20, 3));
        expect(two.read()).toEqual(pattern(20, 4));
        await world.until(() => onePeer.receivedLength === 10 && twoPeer.receivedLength === 10);
        expect(Array.from(onePeer.received)).toEqual([...pattern(10, 1)]);
        expect(Array.from(twoPeer.received)).toEqual([...pattern(10, 2)]);
      });

      test("says that it is refused where nobody listens", async () => {
        const client = record(world.openRefused);
        await world.until(() => client.failure !== undefined);
        expect(client.events).toEqual([`error ${world.refusal ?? "refused"}`]);
        expect(client.socket.write(pattern(1), 0, 1)).toBe(0);
      });

      test('says "dns" where the name has no address', async () => {
        const client = record(world.openUnknown);
        await world.until(() => client.failure !== undefined);
        expect(client.events).toEqual(["error dns"]);
      });
    });

    describe("checkSecure", () => {
      test("lets {} pass", () => {
        expect(() => world.hal.checkSecure({})).not.toThrow();
      });

      test("throws for an option that is unknown, by name", () => {
        expect(() => world.hal.checkSecure({ certificat: "" })).toThrow(TypeError);
        expect(() => world.hal.checkSecure({ certificat: "" })).toThrow("secure.certificat");
        expect(() => world.hal.checkSecure({ constructor: "" })).toThrow("secure.constructor");
      });
    });

    describe("timer", () => {
      let fired: string[];

      beforeEach(() => {
        fired = [];
      });

      function timer(name: string): Timer {
        return world.hal.createTimer(() => fired.push(name));
      }

      test("fires once, after its time, never inside schedule()", async () => {
        const start = world.hal.now();
        // In the order of their ends: however long the machine does something else in between, it stays.
        timer("sooner").schedule(2);
        timer("later").schedule(30);
        expect(fired).toEqual([]);
        await world.until(() => fired.includes("later"));
        // A platform's clocks may differ by the fraction of a millisecond.
        expect((world.hal.now() - start) | 0).toBeGreaterThanOrEqual(29);
        expect(fired).toEqual(["sooner", "later"]);
      });

      test("fires as soon as the current call is over when scheduled with 0", async () => {
        timer("timer").schedule(1000);
        timer("now").schedule(0);
        expect(fired).toEqual([]);
        await world.until(() => fired.length > 0);
        expect(fired).toEqual(["now"]);
      });

      test("an earlier time is replaced, by a later and by a sooner one, and by the same", async () => {
        const [sooner, later] = [timer("sooner"), timer("later")];
        // In the order of their ends, as above.
        sooner.schedule(1000);
        sooner.schedule(1000);
        sooner.schedule(1);
        timer("between").schedule(15);
        later.schedule(0);
        later.schedule(1);
        later.schedule(30);
        later.schedule(30);
        timer("after").schedule(60);
        await world.until(() => fired.includes("after"));
        expect(fired).toEqual(["sooner", "between", "later", "after"]);
      });

      test("clear() stops it, also when it was scheduled with 0, and is harmless when nothing is armed", async () => {
        const stopped = timer("stopped");
        stopped.clear();
        stopped.schedule(0);
        stopped.clear();
        stopped.schedule(1);
        stopped.clear();
        stopped.clear();
        timer("other").schedule(10);
        await world.until(() => fired.length > 0);
        expect(fired).toEqual(["other"]);
      });

      test("is armed again inside its own call, with the same delay, another and 0", async () => {
        const delays = [3, 3, 0, 0, 5, 3];
        const again: Timer = world.hal.createTimer(() => {
          fired.push("again");
          const delay = delays.shift();
          if (delay !== undefined) again.schedule(delay);
        });
        again.schedule(3);
        await world.until(() => fired.length === 7);
        expect(delays).toEqual([]);
      });

      test("is armed again after it fired, and after clear()", async () => {
        const again = timer("again");
        again.schedule(2);
        await world.until(() => fired.length === 1);
        again.schedule(2);
        await world.until(() => fired.length === 2);
        again.schedule(2);
        again.clear();
        again.schedule(2);
        await world.until(() => fired.length === 3);
      });

      test("takes the longest delay, 2^31-1 ms", async () => {
        const long = timer("long");
        long.schedule(0x7fffffff);
        timer("short").schedule(5);
        await world.until(() => fired.length > 0);
        expect(fired).toEqual(["short"]);
        long.clear();
      });
    });

    describe("clock", () => {
      test("tells whole milliseconds of 32 bits that do not go back", async () => {
        const start = world.hal.now();
        expect(start).toBe(start | 0);
        let fired = false;
        world.hal.createTimer(() => (fired = true)).schedule(5);
        await world.until(() => {
          expect((world.hal.now() - start) | 0).toBeGreaterThanOrEqual(0);
          return fired;
        });
      });
    });

    describe("generateId and defaults", () => {
      test("an id has 1 to 16 of [0-9a-zA-Z]", () => {
        for (let i = 0; i < 100; i++) expect(world.hal.generateId()).toMatch(/^[0-9a-zA-Z]{1,16}$/);
      });

      test("capacities are whole numbers above 0", () => {
        const { rxCapacity, txCapacity, maxOperations, receiveMaximum } = world.hal.defaults;
        for (const capacity of [rxCapacity, txCapacity, maxOperations, receiveMaximum]) {
          expect(Number.isInteger(capacity) && capacity > 0).toBe(true);
        }
      });
    });

    describe("text", () => {
      testText(() => world.hal.createText());
    });
  });
}

/** String, its UTF-8 in hexadecimal digits. Both ways. */
const WELL_FORMED: [string, string][] = [
  ["", ""],
  ["sensor/1/temperature", "73656e736f722f312f74656d7065726174757265"],
  ["\0\x7f", "007f"],
  ["\x80\u07ff", "c280dfbf"],
  ["\u0800\ud7ff\ue000\uffff", "e0a080ed9fbfee8080efbfbf"],
  ["\u{10000}\u{10ffff}", "f0908080f48fbfbf"],
  ["\ufeffBOM", "efbbbf424f4d"],
  ["\ufffd", "efbfbd"],
  ["\u20aca", "e282ac61"],
  ["A\u{2a6d4}", "41f0aa9b94"], // MQTT 3.1.1, 1.5.3.1
];

/** Ill-formed bytes, and what comes of them: the maximal ill-formed part each time is one U+FFFD. */
const ILL_FORMED: [string, string][] = [
  ["80", "\ufffd"],
  ["ff41fe", "\ufffdA\ufffd"],
  ["c0af", "\ufffd\ufffd"],
  ["e08080", "\ufffd\ufffd\ufffd"],
  ["eda08041", "\ufffd\ufffd\ufffdA"],
  ["f08fbfbf", "\ufffd\ufffd\ufffd\ufffd"],
  ["f4908080", "\ufffd\ufffd\ufffd\ufffd"],
  ["f5808080", "\ufffd\ufffd\ufffd\ufffd"],
  ["c3", "\ufffd"],
  ["e282", "\ufffd"],
  ["f09f98", "\ufffd"],
  ["f09f9841", "\ufffdA"],
  ["e28241c3a9", "\ufffdA\u00e9"],
  ["efbfbdc3", "\ufffd\ufffd"],
];

const LONE_SURROGATES = ["\ud800", "\udfff", "a\udc00b", "\udc00\ud800", "\ud800\ud800\udc00", "long enough \udbff"];

function fromHex(digits: string): Uint8Array {
  return Uint8Array.from(digits.match(/../g) ?? [], (digit) => parseInt(digit, 16));
}

function testText(text: () => Text): void {
  test.each(WELL_FORMED)("encodes %j and decodes it", (string, digits) => {
    const utf8 = fromHex(digits);
    const bytes = new Uint8Array(utf8.length + 7).fill(0xee);
    expect(text().encode(string, bytes, 3, bytes.length)).toBe(3 + utf8.length);
    expect(bytes.slice(0, 3 + utf8.length)).toEqual(Uint8Array.of(0xee, 0xee, 0xee, ...utf8));
    expect(bytes.slice(3 + utf8.length)).toEqual(new Uint8Array(4).fill(0xee));
    expect(text().decode(bytes, 3, 3 + utf8.length, true)).toBe(string);
    expect(text().decode(bytes, 3, 3 + utf8.length, false)).toBe(string);
  });

  test.each(WELL_FORMED)("encodes %j into exactly its length and says -1 for any less", (string, digits) => {
    const length = digits.length / 2;
    const bytes = new Uint8Array(length + 4).fill(0xee);
    expect(text().encode(string, bytes, 2, 2 + length)).toBe(2 + length);
    for (let room = 0; room < length; room++) expect(text().encode(string, bytes, 2, 2 + room)).toBe(-1);
    expect(Array.from(bytes.slice(2 + length))).toEqual([0xee, 0xee]);
  });

  test.each(LONE_SURROGATES)("says -2 for the lone surrogate in %j [MQTT-1.5.3-1]", (string) => {
    expect(text().encode(string, new Uint8Array(64), 0, 64)).toBe(-2);
  });

  test.each(ILL_FORMED)("refuses the bytes %s when fatal, and replaces what is wrong otherwise", (digits, string) => {
    const utf8 = fromHex(digits);
    const bytes = Uint8Array.of(0x41, ...utf8, 0x80);
    expect(text().decode(bytes, 1, 1 + utf8.length, true)).toBeUndefined();
    expect(text().decode(bytes, 1, 1 + utf8.length, false)).toBe(string);
  });

  test("sees through a window of a larger buffer, and changes made since the last call", () => {
    const buffer = new ArrayBuffer(32);
    const windows = [0, 8, 16, 24].map((offset) => new Uint8Array(buffer, offset, 8));
    for (let round = 0; round < 3; round++) {
      windows.forEach((window, i) => {
        expect(text().encode(`w${i}r${round}`, window, 1, 8)).toBe(5);
      });
      windows.forEach((window, i) => {
        expect(text().decode(window, 1, 5, true)).toBe(`w${i}r${round}`);
      });
    }
  });

  test("keeps two buffers apart that take turns", () => {
    const one = new Uint8Array(8);
    const two = new Uint8Array(8);
    for (let round = 0; round < 5; round++) {
      expect(text().encode(`one ${round}`, one, 0, 8)).toBe(5);
      expect(text().encode(`two ${round}`, two, 0, 8)).toBe(5);
      expect(Buffer.from(one.subarray(0, 5)).toString()).toBe(`one ${round}`);
      expect(Buffer.from(two.subarray(0, 5)).toString()).toBe(`two ${round}`);
      expect(text().decode(one, 0, 5, true)).toBe(`one ${round}`);
      expect(text().decode(two, 0, 5, true)).toBe(`two ${round}`);
    }
  });
}
