/**
 * Every way in which a broker, or whoever sits in the network, can misbehave towards the public client: what comes of
 * it, and by when. These are the rows of DESIGN.md's table "Hostile broker"; test/design.test.ts compares the two.
 *
 * Each row runs with the broker's bytes in whole segments and a byte at a time. Behind each: nothing but the outcome
 * was told, nothing grew, nothing was sent that the broker did not pay for, and the client is as good as before.
 */
import { expect, test } from "@jest/globals";
import { MockHal, MockSocket } from "../hal/mock.js";
import type { SocketFailure } from "../hal/socket.js";
import { join, wire } from "./support/bytes.js";
import type { DeviceOptions } from "./support/device.js";
import { Device, PINGRESP, ack, connack, describePacket, letters, message, suback } from "./support/device.js";
import type { Packet } from "./support/packets.js";

const KEEPALIVE_MS = 16000;
const OPTIONS = {
  maxMessageLength: 128,
  connectTimeoutMs: 20000,
  ackTimeoutMs: 50000,
  drainTimeoutMs: 3000,
  maxInflight: 4,
  rxCapacity: 128,
  txCapacity: 256,
  maxOperations: 8,
  receiveMaximum: 4,
};

/** What the table calls a time, in ms. Where it begins with "<", the end may come before. */
const TIMES: Record<string, number> = {
  "at once": 0,
  "4 s": 4000,
  "5 s": 5000,
  "31/16 keepalive": KEEPALIVE_MS * 31 / 16,
  connectTimeoutMs: OPTIONS.connectTimeoutMs,
  ackTimeoutMs: OPTIONS.ackTimeoutMs,
  drainTimeoutMs: OPTIONS.drainTimeoutMs,
  "drainTimeoutMs + 5 s": OPTIONS.drainTimeoutMs + 5000,
  "< drainTimeoutMs + 10 s": OPTIONS.drainTimeoutMs + 10000,
};
/** How long a connection is watched that goes on. */
const WATCH_MS = 100000;

/** Bytes of the CONNECT of these tests. */
const CONNECT_LENGTH = 16;
const CONNACK = wire("20 02 00 00");
/** A message at QoS 1. */
const MESSAGE = wire("32 06 0001 't' 0007 'x'");

/** What the broker sends: bytes as in the specification, or a packet. */
type Sent = string | Uint8Array | Packet;

/** A client, and the broker that misbehaves. */
class Hostile {
  device = new Device();
  /** False: PINGREQ is not answered. */
  answersPings = true;
  /** True: whatever the broker sends now would be inside of something, or it reads nothing. */
  isStuck = false;
  /** The callbacks, other than the end, that are as they should be. */
  events: string[] = [];
  /** The acknowledgements that are as they should be. */
  answers: string[] = [];
  /** When the attempt or the session ended, counted from when the misbehaviour began, and how. */
  ends: [ms: number, how: string][] = [];
  /** Bytes that the broker has sent. */
  received = 0;
  private readonly fragment: number;
  private options: DeviceOptions = {};
  private beganMs = 0;

  /** @param fragment most bytes that arrive together; 0: all of them */
  constructor(fragment: number) {
    this.fragment = fragment;
  }

  get socket(): MockSocket {
    return this.device.socket;
  }

  get client(): Device["client"] {
    return this.device.client;
  }

  /** An attempt begins. */
  open(options: DeviceOptions = {}, autoReconnect: 0 | 1 = 0): void {
    this.options = { keepalive: KEEPALIVE_MS / 1000, ...options, options: OPTIONS };
    const device = this.device = new Device(this.options);
    device.hal.script = (socket) => {
      socket.fragment = this.fragment;
    };
    for (const name of ["connfail", "offline"] as const) {
      device.during[name] = () => this.ends.push([device.hal.now() - this.beganMs, device.events.pop()!]);
    }
    device.client.connect("broker", 1883, 0, autoReconnect);
    device.hal.settle();
  }

  /** CONNECT is with the network, as far as there is room. */
  reach(options: DeviceOptions = {}, autoReconnect: 0 | 1 = 0): void {
    this.open(options, autoReconnect);
    this.connect();
  }

  /** The session is up. */
  up(options: DeviceOptions = {}): void {
    this.reach(options);
    this.accept();
  }

  /** The same, but nothing that is written is read: there is room for `room` bytes. */
  stalled(room: number, options: DeviceOptions = {}): void {
    this.open({ ...options, hal: { room: CONNECT_LENGTH + room } });
    this.socket.stall();
    this.connect();
    this.accept();
  }

  /** The last socket comes up, and CONNECT leaves. */
  connect(): void {
    const { device, socket } = this;
    device.reach();
    const { broker } = device;
    let seen = broker.packets.length;
    socket.onWrite = () => {
      broker.read();
      const pings = broker.packets.slice(seen).filter(({ type }) => type === "PINGREQ").length;
      seen = broker.packets.length;
      for (let i = 0; i < pings && this.answersPings; i++) this.send(PINGRESP);
    };
    this.mark();
  }

  /** CONNACK says that the session is up. What was told and sent so far is as it should be. */
  accept(isPresent = false): void {
    this.send(connack(0, isPresent));
    this.device.take();
    this.device.sent();
    this.mark();
  }

  send(...parts: Sent[]): void {
    const bytes = join(...parts.map((part) =>
      typeof part === "string" ? wire(part) : part instanceof Uint8Array ? part : this.device.broker.bytes(part)));
    if (this.socket.closed) return;
    this.received += bytes.length;
    this.socket.receive(bytes);
  }

  /** The connection breaks, and CONNECT of the next one leaves. */
  reconnect(): void {
    this.device.hal.settle();
    this.socket.reset();
    expect(this.ends.splice(0)).toEqual([[0, "offline -10"]]);
    this.client.connect("broker");
    this.device.hal.settle();
    this.connect();
  }

  /** The misbehaviour begins now. */
  mark(): void {
    this.beganMs = this.device.hal.now();
  }

  /** Does something every `ms`, the first time now, as long as the connection is there. */
  every(ms: number, action: (count: number) => void): void {
    const { device, socket } = this;
    const step = (count: number): void => {
      if (socket.closed || socket.over) return;
      action(count);
      device.hal.after(ms, () => step(count + 1));
    };
    step(0);
  }

  /** Sends bytes one by one, over and over again, every `ms`. */
  drip(ms: number, bytes: Uint8Array): void {
    this.isStuck = true;
    this.answersPings = false;
    this.every(ms, (count) => {
      if (count < bytes.length) this.send(bytes.subarray(count, count + 1));
    });
  }

  /** Lets time pass. */
  wait(ms: number): void {
    this.device.hal.advance(ms);
  }

  /** What came of it. */
  check(outcome: string, time: string): void {
    const { device } = this;
    device.hal.settle();
    if (outcome === "goes on") {
      this.wait(WATCH_MS);
      expect(this.ends).toEqual([]);
      expect(device.client.connected).toBe(true);
      if (!this.isStuck) this.checkOperation();
      this.checkWritten();
      this.checkEvents();
      this.checkFootprint(false);
      device.client.abort();
      device.hal.settle();
      expect(this.ends.map(([, how]) => how)).toEqual(["offline 0"]);
    } else {
      const ms = TIMES[time];
      this.wait(Math.max(0, this.beganMs + ms - device.hal.now()));
      expect(this.ends.map(([, how]) => how)).toEqual([outcome]);
      if (time.startsWith("<")) expect(this.ends[0][0]).toBeLessThan(ms);
      else expect(this.ends[0][0]).toBe(ms);
      this.checkWritten();
      this.checkEvents();
    }
    expect(device.hal.nextTimerMs).toBeUndefined();
    this.wait(WATCH_MS);
    expect(device.take()).toEqual([]);
    expect(this.ends).toHaveLength(1);
    this.checkAfterwards();
    device.check();
  }

  private checkEvents(): void {
    expect(this.device.take()).toEqual(this.events);
  }

  /** A message is published, and a message at QoS 2 received. */
  private checkOperation(): void {
    const { client, broker } = this.device;
    broker.take();
    expect(client.publish("t", "still", 1)).toBe(true);
    const sent = this.device.sent();
    expect(sent).toHaveLength(1);
    this.send(ack("PUBACK", Number(/^PUBLISH t=still q1 #(\d+)$/.exec(sent[0])![1])));
    this.send(message("still", "there", { qos: 2, id: 1000 }), ack("PUBREL", 1000));
    this.events.push("puback", "message still=there");
    this.answers.push("PUBREC #1000", "PUBCOMP #1000");
  }

  /** Nothing is written that was not asked for: no acknowledgement too many, no packet twice, no ping too early. */
  private checkWritten(): void {
    const { packets } = this.device.broker;
    const lines = packets.map(describePacket);
    const isAnswer = (line: string): boolean => /^PUB(ACK|REC|REL|COMP) /.test(line);
    const answers = lines.filter(isAnswer);
    expect(answers).toEqual(this.answers);
    expect(4 * answers.length).toBeLessThanOrEqual(this.received);
    const pings = lines.filter((line) => line === "PINGREQ").length;
    expect(pings).toBeLessThanOrEqual(1 + (this.device.hal.now() - this.beganMs) / (KEEPALIVE_MS * 15 / 16));
    const others = lines.filter((line) => !isAnswer(line) && line !== "PINGREQ");
    expect(new Set(others).size).toBe(others.length);
  }

  /** The client connects to a broker as it should be, and a message at QoS 1 is acknowledged. */
  private checkAfterwards(): void {
    const { device } = this;
    delete device.during.connfail;
    delete device.during.offline;
    device.answer();
    expect(device.client.connect("broker")).toBe(true);
    expect(device.take()).toContain("connect");
    expect(device.client.publish("t", "ok", 1)).toBe(true);
    expect(device.take()).toEqual(["puback"]);
    this.checkFootprint(true);
  }

  /** Nothing has grown, compared with a client that met no hostility. */
  private checkFootprint(isIdle: boolean): void {
    const device = new Device(this.options).answer();
    device.client.connect("broker");
    device.hal.settle();
    device.client.publish("t", "ok", 1);
    device.take();
    const expected = footprint(device.client);
    const found = footprint(this.device.client);
    expect(found.bytes).toBe(expected.bytes);
    expect(found.entries).toBe(expected.entries);
    expect(found.characters).toBeLessThanOrEqual(expected.characters + 2 * OPTIONS.rxCapacity);
    if (isIdle) expect(found.objects).toBe(expected.objects);
    device.check();
  }
}

/** All that a client holds on to. */
function footprint(root: object): { bytes: number; entries: number; objects: number; characters: number } {
  const seen = new Set<object>();
  const sum = { bytes: 0, entries: 0, objects: 0, characters: 0 };
  const visit = (value: unknown): void => {
    if (typeof value === "string") sum.characters += value.length;
    if (typeof value !== "object" || value === null || seen.has(value)) return;
    if (value instanceof MockHal || value instanceof MockSocket) return;
    seen.add(value);
    sum.objects++;
    if (ArrayBuffer.isView(value)) {
      sum.bytes += value.byteLength;
      return;
    }
    if (Array.isArray(value)) sum.entries += value.length;
    for (const key of Object.keys(value)) visit((value as Record<string, unknown>)[key]);
  };
  visit(root);
  return sum;
}

/**
 * A row of the table.
 *
 * @param title what the broker does
 * @param outcome how the attempt or the session ends, `n` standing for the variant, or "goes on"
 * @param time when it ends, one of `TIMES`, counted from when the misbehaviour began
 * @param misbehave does it, up to what is then only to be waited for
 * @param variants it is run for each of these
 */
function row<V>(
  title: string,
  outcome: string,
  time: string,
  misbehave: (hostile: Hostile, variant: V) => void,
  variants: readonly V[] = [undefined as V],
): void {
  test(title, () => {
    for (const fragment of [0, 1]) {
      for (const variant of variants) {
        const hostile = new Hostile(fragment);
        misbehave(hostile, variant);
        hostile.check(outcome.replace(/ n$/, ` ${String(variant)}`), time);
      }
    }
  });
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, i) => from + i);

// The connection.

row("TCP: never answers", "connfail -5", "connectTimeoutMs", (h) => h.open());

row("TCP: refuses, or breaks off the handshake", "connfail -5", "at once", (h, failure: SocketFailure) => {
  h.open();
  h.socket.fail(failure);
}, ["refused", "unreachable", "timeout", "tls"]);

row("TCP: accepts, and says nothing", "connfail -2", "5 s", (h) => h.reach());

row("TCP: takes a byte of CONNECT, or some, and no more", "connfail -1", "5 s", (h, room) => {
  h.open({ hal: { room } });
  h.socket.stall();
  h.connect();
}, [1, 2, CONNECT_LENGTH - 1]);

row("TCP: takes a byte of CONNECT a second", "connfail -1", "5 s", (h) => {
  h.open({ hal: { room: 1 } });
  h.socket.stall();
  h.connect();
  h.every(1000, () => h.socket.drain(1));
});

row("TCP: closes at any point before CONNACK is whole", "connfail -5", "at once", (h, length) => {
  h.reach();
  h.send(CONNACK.subarray(0, length));
  h.socket.end();
}, range(0, CONNACK.length - 1));

row("TCP: resets at any point before CONNACK is whole", "connfail -5", "at once", (h, length) => {
  h.reach();
  h.send(CONNACK.subarray(0, length));
  h.socket.reset();
}, range(0, CONNACK.length - 1));

row("TCP: closes at any point of a packet", "offline -10", "at once", (h, length) => {
  h.up();
  h.send(MESSAGE.subarray(0, length));
  h.socket.end();
}, range(0, MESSAGE.length - 1));

row("TCP: resets at any point of a packet", "offline -10", "at once", (h, length) => {
  h.up();
  h.send(MESSAGE.subarray(0, length));
  h.socket.reset();
}, range(0, MESSAGE.length - 1));

row("TCP: breaks at any point of what is written to it", "offline -10", "at once", (h, length) => {
  h.up();
  h.socket.failAfterBytes(length);
  h.client.publish("t", "x", 1);
}, range(0, MESSAGE.length - 1));

row("TCP: closes its side, and reads on", "offline -10", "at once", (h) => {
  h.up();
  h.socket.endSending();
});

row("TCP: reads nothing more, and sends on", "offline -11", "31/16 keepalive", (h, room) => {
  h.stalled(room);
  h.answersPings = false;
  h.every(2000, (count) => h.send(message("t", String(count))));
  h.events = range(0, 15).map((count) => `message t=${count}`);
}, [0, 1, 2, 100]);

row("TCP: reads nothing more, but half of PINGREQ", "offline -11", "31/16 keepalive", (h) => {
  h.stalled(0);
  h.device.hal.after(20000, () => h.socket.drain(1));
});

row("TCP: has a window of one byte", "goes on", "", (h) => {
  h.up({ hal: { room: 1 } });
  h.client.publish("t", letters(100), 1);
  h.send(MESSAGE, ack("PUBREL", 5));
  h.device.hal.settle();
  h.send(ack("PUBACK", 1));
  h.events = ["message t=x", "puback"];
  h.answers = ["PUBACK #7", "PUBCOMP #5"];
});

row("TCP: takes a byte of a message a second", "goes on", "", (h) => {
  h.stalled(0);
  h.client.publish("t", letters(150));
  h.every(1000, () => h.socket.drain(1));
  h.isStuck = true;
});

row("TCP: sends a byte of CONNACK every two seconds", "connfail -2", "5 s", (h) => {
  h.reach();
  h.drip(2000, CONNACK);
});

row("TCP: sends a byte of an endless CONNACK a second", "connfail -4", "4 s", (h) => {
  h.reach();
  h.drip(1000, wire("20 80 80 80 80 80"));
});

row("TCP: sends a byte of an endless remaining length a second", "offline -21", "4 s", (h) => {
  h.up();
  h.drip(1000, wire("30 80 80 80 80 80"));
});

row("TCP: sends a byte of a message a second", "goes on", "", (h) => {
  h.up();
  h.drip(1000, join(wire("30 fd01 0001 't'"), new Uint8Array(250)));
});

row("TCP: sends a byte of a message a second, and an operation waits", "offline -12", "ackTimeoutMs", (h) => {
  h.up();
  h.client.publish("t", "x", 1);
  h.drip(1000, join(wire("30 fd01 0001 't'"), new Uint8Array(250)));
});

row("TCP: floods the client with messages", "goes on", "", (h) => {
  h.up();
  h.send(...range(1, 1000).map((count) => message("t", String(count), { retain: count % 2 > 0 })));
  h.events = range(1, 1000).map((count) => `message t=${count}`);
});

row("TCP: floods the client, reads nothing, and closes", "offline -11", "31/16 keepalive", (h) => {
  h.stalled(0);
  h.send(...range(1, 500).map(() => MESSAGE));
  h.socket.end();
  h.events = Array<string>(15).fill("message t=x");
});

row("TCP: accepts, and closes at once, for ever, with autoreconnect", "offline -10", "at once", (h) => {
  h.reach({ cleansession: 0 }, 1);
  h.accept();
  h.client.publish("t", "kept", 1);
  for (let count = 1; count <= 20; count++) {
    h.socket.end();
    h.wait(1000);
    h.connect();
    h.accept(true);
    // What was kept is sent once on each connection, and there is one connection a second.
    expect(h.device.broker.packets.map(describePacket)).toEqual([
      'CONNECT "id" persistent 16', "PUBLISH t=kept q1 #1 dup",
    ]);
    expect(h.device.hal.sockets).toHaveLength(count + 1);
  }
  expect(h.ends.splice(0).map(([, how]) => how)).toEqual(Array(20).fill("offline -10"));
  h.socket.end();
  h.device.hal.settle();
  h.client.close();
});

row("TCP: is gone for good, with autoreconnect", "connfail -5", "at once", (h) => {
  h.reach({}, 1);
  h.accept();
  h.socket.end();
  for (let pauseMs = 1000, count = 1; count <= 10; pauseMs = Math.min(2 * pauseMs, 64000), count++) {
    h.wait(pauseMs - 1);
    expect(h.device.hal.sockets).toHaveLength(count);
    h.wait(1);
    expect(h.device.hal.sockets).toHaveLength(count + 1);
    if (count < 10) h.socket.fail("refused");
  }
  h.ends = [];
  h.mark();
  h.socket.fail("refused");
  h.device.hal.settle();
  h.client.close();
});

// Before CONNACK.

row("CONNACK: comes before CONNECT has left", "connfail -4", "at once", (h) => {
  h.open({ hal: { room: 1 } });
  h.socket.stall();
  h.connect();
  h.send(CONNACK);
});

row("CONNACK: another packet instead, or but its first byte", "connfail -4", "at once", (h, packet: string) => {
  h.reach();
  h.send(packet);
}, [
  "10", "30", "30 03 0001 't'", "40", "40 02 0001", "50 02 0001", "62 02 0001", "70 02 0001", "82", "90 03 0001 00",
  "a2", "b0 02 0001", "c0 00", "d0 00", "d0", "e0 00", "00", "f0",
]);

row("CONNACK: HTTP, TLS, SSH or text instead", "connfail -4", "at once", (h, text: string) => {
  h.reach();
  h.send(text);
}, ["'HTTP/1.1 400 Bad Request'", "15 03 01 00 02 02 46", "'SSH-2.0-x'", "'  '", "0d 0a", "ff fb 01"]);

row("CONNACK: flags in its first byte", "connfail -4", "at once", (h, flags) => {
  h.reach();
  h.send(Uint8Array.of(0x20 | flags, 2, 0, 0));
}, range(1, 15));

row("CONNACK: reserved bits set", "connfail -4", "at once", (h, flags) => {
  h.reach();
  h.send(Uint8Array.of(0x20, 2, flags, 0));
}, [2, 3, 4, 16, 128, 254, 255]);

row("CONNACK: refused, with session present", "connfail -4", "at once", (h, code) => {
  h.reach();
  h.send(Uint8Array.of(0x20, 2, 1, code));
}, [1, 5, 6, 255]);

row("CONNACK: refused, by codes that there are and that there are not", "connfail n", "at once", (h, code) => {
  h.reach();
  h.send(Uint8Array.of(0x20, 2, 0, code));
}, [1, 2, 3, 4, 5, 6, 127, 128, 255]);

row("CONNACK: refused, and then accepted, and more", "connfail n", "at once", (h, code) => {
  h.reach();
  h.send(Uint8Array.of(0x20, 2, 0, code), CONNACK, MESSAGE);
}, [5]);

row("CONNACK: of another length", "connfail -4", "at once", (h, length) => {
  h.reach();
  h.send(Uint8Array.of(0x20, length), new Uint8Array(length));
}, [0, 1, 3, 4, 127]);

row("CONNACK: of 256 MB", "connfail -4", "at once", (h) => {
  h.reach();
  h.send("20 ffffff7f");
});

row("CONNACK: truncated", "connfail -2", "5 s", (h, length) => {
  h.reach();
  h.send(CONNACK.subarray(0, length));
}, [1, 2, 3]);

row("CONNACK: its remaining length in more bytes than it needs", "goes on", "", (h) => {
  h.reach();
  h.send("20 82 80 80 00 00 00");
  h.events = ["connect"];
});

row("CONNACK: twice", "offline -26", "at once", (h, second: string) => {
  h.up();
  h.send(second);
}, ["20 02 00 00", "20 02 01 00", "20 02 00 05"]);

row("CONNACK: twice in a segment", "offline -26", "at once", (h) => {
  h.reach();
  h.send(CONNACK, CONNACK);
  h.events = ["connect"];
});

row("CONNACK: session present for a clean session", "goes on", "", (h) => {
  h.up();
  h.send(message("t", "x", { qos: 2, id: 9 }));
  h.reconnect();
  h.send(connack(0, true));
  // Under an old id: a new message, since the session is a new one.
  h.send(message("t", "y", { qos: 2, id: 9 }));
  h.events = ["message t=x", "connect present", "message t=y"];
  h.answers = ["PUBREC #9"];
});

row("CONNACK: no session present for a session that is kept", "goes on", "", (h) => {
  h.up({ cleansession: 0 });
  h.client.publish("t", "1", 1);
  h.client.publish("t", "2", 2);
  h.client.publish("t", "3", 2);
  h.send(ack("PUBREC", 2), message("t", "x", { qos: 2, id: 9 }));
  h.reconnect();
  h.send(connack(0, false));
  // Under an old id: a new message, since the broker says so.
  h.send(message("t", "y", { qos: 2, id: 9 }));
  expect(h.device.sent()).toEqual(["PUBLISH t=1 q1 #1 dup", "PUBLISH t=3 q2 #3 dup", "PUBREC #9"]);
  h.send(ack("PUBACK", 1), ack("PUBREC", 3), ack("PUBCOMP", 3));
  h.events = ["message t=x", "connect", "message t=y", "puback", "puback", "puback"];
  h.answers = ["PUBREC #9", "PUBREL #3"];
});

// Packets.

row("Framing: a remaining length of five bytes", "offline -21", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["30 80808080 00", "30 ffffffff 7f", "d0 80808080 00", "40 82808080 00 0001", "90 ffffffff ff"]);

row("Framing: a remaining length in more bytes than it needs", "goes on", "", (h) => {
  h.up();
  h.send("d0 80 80 80 00", "32 86 80 80 00 0001 't' 0007 'x'", "62 82 00 0005", "30 84 00 0001 't' 'y'");
  h.events = ["message t=x", "message t=y"];
  h.answers = ["PUBACK #7", "PUBCOMP #5"];
});

row("Framing: 256 MB announced for anything but a message", "offline -22", "at once", (h, first) => {
  h.up();
  h.send(Uint8Array.of(first, 0xff, 0xff, 0xff, 0x7f));
}, [0x20, 0x40, 0x50, 0x62, 0x70, 0x90, 0xb0, 0xd0]);

row("Framing: a packet shorter than it can be", "offline -22", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["20 00", "30 00", "30 01 00", "40 00", "40 01 00", "50 00", "62 00", "70 00", "90 00", "90 02 0001", "b0 00"]);

row("Framing: a packet longer than it can be", "offline -22", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["20 03", "40 03 000100", "50 04", "62 03", "70 80 01", "b0 03", "d0 01 00", "d0 80 80 01"]);

row("Framing: reserved types", "offline -20", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["00 00", "0f 00", "f0 00", "ff 00"]);

row("Framing: flags other than prescribed", "offline -20", "at once", (h, first) => {
  h.up();
  h.send(Uint8Array.of(first, 2, 0, 1));
}, [0x21, 0x28, 0x41, 0x48, 0x52, 0x60, 0x61, 0x63, 0x6a, 0x71, 0x92, 0xb2, 0xd1, 0xd8]);

row("Framing: packets that only a client sends", "offline -26", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["10 00", "82 06 0001 0001 't' 00", "a2 05 0001 0001 't'", "c0 00", "e0 00"]);

row("Framing: zeros for ever", "offline -20", "at once", (h) => {
  h.up();
  h.send(new Uint8Array(1000));
});

// Messages.

row("PUBLISH: QoS 3", "offline -23", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["36 06 0001 't' 0001 'x'", "37 05 0001 't' 0001", "3e 05 0001 't' 0001"]);

row("PUBLISH: DUP at QoS 0", "offline -23", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["38 04 0001 't' 'x'", "39 03 0001 't'"]);

row("PUBLISH: packet id 0", "offline -24", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["32 06 0001 't' 0000 'x'", "34 05 0001 't' 0000", "3c 06 0001 't' 0000 'x'"]);

row("PUBLISH: an empty topic", "offline -25", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["30 02 0000", "30 05 0000 'abc'", "32 05 0000 0001 'x'", "34 04 0000 0001"]);

row("PUBLISH: a wildcard or U+0000 in the topic", "offline -25", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, ["30 04 0001 '#' 'x'", "30 05 0003 'a/+'", "30 05 0003 'a+b'", "30 03 0001 00", "34 07 0003 't' 00 't' 0001"]);

row("PUBLISH: a topic that is no UTF-8", "offline -25", "at once", (h, topic: string) => {
  h.up();
  const bytes = wire(topic);
  h.send(Uint8Array.of(0x32, bytes.length + 4, 0, bytes.length), bytes, "0001");
}, ["ff", "80", "'t' c3", "c0 80", "e0 80 80", "ed a0 80", "ed bf bf", "f0 80 80 80", "f4 90 80 80", "f8 88 80 80 80"]);

row("PUBLISH: a topic longer than the packet", "offline -22", "at once", (h, packet: string) => {
  h.up();
  h.send(packet);
}, [
  "30 02 0001", "30 03 0005 't'", "30 04 0003 'tt' 'ttt'", "30 03 ffff 't'",
  "32 03 0001 't'", "32 04 0001 't' 00", "34 05 0002 't' 0001",
]);

row("PUBLISH: a topic longer than the receive buffer", "goes on", "", (h, length) => {
  h.up();
  const topic = new Uint8Array(length).fill(0x74);
  const remaining = length + 5;
  h.send(
    Uint8Array.of(0x34, remaining & 127 | 128, remaining >> 7 & 127 | 128, remaining >> 14, length >> 8, length & 255),
    topic, "0003 'x'",
  );
  h.events = ["overflow  without data"];
  h.answers = ["PUBREC #3"];
}, [127, 1000, 5000]);

row("PUBLISH: 256 MB announced, and never sent", "offline -11", "31/16 keepalive", (h, packet: string) => {
  h.up();
  h.answersPings = false;
  h.send(packet);
}, ["30 ffffff7f", "30 ffffff7f 0001 't'", "34 ffffff7f 0001 't' 0001"]);

row("PUBLISH: 256 MB announced, and sent byte by byte", "goes on", "", (h) => {
  h.up();
  h.drip(1000, join(wire("34 ffffff7f 0001 't' 0001"), new Uint8Array(1000).fill(0x78)));
});

row("PUBLISH: 256 MB announced, and sent as fast as can be", "goes on", "", (h) => {
  h.up();
  h.isStuck = true;
  h.answersPings = false;
  h.send("34 ffffff7f 0001 't' 0001");
  const part = new Uint8Array(200).fill(0x78);
  h.every(100, () => h.send(part));
  h.events = [`overflow t=${"x".repeat(OPTIONS.maxMessageLength - 10)}`];
});

row("PUBLISH: longer than maxMessageLength", "goes on", "", (h, qos) => {
  h.up();
  const payload = letters(1000);
  h.send(message("t", payload, { qos, id: qos && 3 }), message("t", "next"));
  h.events = [`overflow t=${payload.slice(0, OPTIONS.maxMessageLength - (qos === 0 ? 6 : 8))}`, "message t=next"];
  h.answers = [[], ["PUBACK #3"], ["PUBREC #3"]][qos];
}, [0, 1, 2]);

row("PUBLISH: what nobody subscribed to, retained, repeated, without payload", "goes on", "", (h) => {
  h.up();
  h.send(
    message("$SYS/x", "1", { retain: true }), message("/", "", { qos: 1, id: 65535, dup: true, retain: true }),
    message("t", "\u0000\ufffe", { qos: 2, id: 1, dup: true }),
  );
  h.events = ["message $SYS/x=1", "message / without data", "message t=\u0000\ufffe"];
  h.answers = ["PUBACK #65535", "PUBREC #1"];
});

row("PUBLISH: a payload that is no UTF-8", "goes on", "", (h) => {
  h.up();
  h.send("30 04 0001 't' ff");
  h.events = ["message t=\ufffd"];
});

row("PUBLISH: another topic each time", "goes on", "", (h) => {
  h.up();
  const topics = range(1, 500).map((count) => `${letters(count % 90)}/${count}`);
  h.send(...topics.map((topic) => message(topic, "x")));
  h.events = topics.map((topic) => `message ${topic}=x`);
});

row("PUBLISH: a flood at QoS 1, of one id", "goes on", "", (h) => {
  h.up();
  h.send(...range(1, 500).map(() => MESSAGE));
  h.events = Array<string>(500).fill("message t=x");
  h.answers = Array<string>(500).fill("PUBACK #7");
});

row("PUBLISH: a flood at QoS 1, and nothing is read", "offline -11", "31/16 keepalive", (h) => {
  h.stalled(0);
  h.send(...range(1, 500).map(() => MESSAGE));
  // As many as there is room for acknowledgements; the rest stays with the network.
  h.events = Array<string>(15).fill("message t=x");
  h.device.hal.settle();
  expect(h.socket.unread).toBeGreaterThan(1000);
});

// QoS 2, inwards.

row("QoS 2: one id again and again, with other contents", "goes on", "", (h) => {
  h.up();
  h.send(...range(1, 100).map((count) => message(`t${count}`, `${count}`, { qos: 2, id: 7, dup: count % 2 === 0 })));
  h.events = ["message t1=1"];
  h.answers = Array<string>(100).fill("PUBREC #7");
});

row("QoS 2: never PUBREL, receiveMaximum times and once more", "offline -13", "at once", (h) => {
  h.up();
  for (const id of range(1, 5)) h.send(message("t", String(id), { qos: 2, id }));
  h.events = range(1, 4).map((id) => `message t=${id}`);
  h.answers = range(1, 4).map((id) => `PUBREC #${id}`);
});

row("QoS 2: never PUBREL, receiveMaximum times and once more in a segment", "offline -13", "at once", (h) => {
  h.up();
  h.send(...range(1, 500).map((id) => message("t", String(id), { qos: 2, id })));
  h.events = range(1, 4).map((id) => `message t=${id}`);
  h.answers = range(1, 4).map((id) => `PUBREC #${id}`);
});

row("QoS 2: more than receiveMaximum, and nothing is read", "offline -13", "5 s", (h) => {
  h.stalled(0);
  h.send(...range(1, 500).map((id) => message("t", String(id), { qos: 2, id })));
  h.events = range(1, 4).map((id) => `message t=${id}`);
});

row("QoS 2: never PUBREL, in a session that is kept, on every connection", "offline -13", "at once", (h) => {
  h.up({ cleansession: 0 });
  h.send(...range(1, 4).map((id) => message("t", String(id), { qos: 2, id })));
  h.events = range(1, 4).map((id) => `message t=${id}`);
  for (const id of [5, 6, 7]) {
    h.send(...range(1, id).map((dup) => message("t", String(dup), { qos: 2, id: dup, dup: dup < id })));
    h.device.hal.settle();
    expect(h.ends.splice(0)).toEqual([[0, "offline -13"]]);
    h.client.connect("broker");
    h.device.hal.settle();
    h.connect();
    h.send(connack(0, true));
    h.events.push("connect present");
  }
  h.send(...range(1, 8).map((id) => message("t", String(id), { qos: 2, id, dup: true })));
  h.answers = range(1, 4).map((id) => `PUBREC #${id}`);
});

row("QoS 2: PUBREL again and again, and for ids that nobody knows", "goes on", "", (h) => {
  h.up();
  const ids = [7, 7, 7, 1, 65535];
  h.send(message("t", "x", { qos: 2, id: 7 }), ...ids.map((id) => ack("PUBREL", id)));
  h.send(message("t", "y", { qos: 2, id: 7 }));
  h.events = ["message t=x", "message t=y"];
  h.answers = ["PUBREC #7", ...ids.map((id) => `PUBCOMP #${id}`), "PUBREC #7"];
});

row("QoS 2: PUBREL with packet id 0", "offline -24", "at once", (h) => {
  h.up();
  h.send("62 02 0000");
});

row("QoS 2: a flood of PUBREL", "goes on", "", (h) => {
  h.up();
  h.send(...range(1, 1000).map((id) => ack("PUBREL", id)));
  h.answers = range(1, 1000).map((id) => `PUBCOMP #${id}`);
});

row("QoS 2: a flood of PUBREL, and nothing is read", "offline -11", "31/16 keepalive", (h) => {
  h.stalled(0);
  h.send(...range(1, 1000).map((id) => ack("PUBREL", id)));
  h.device.hal.settle();
  expect(h.socket.unread).toBeGreaterThan(1000);
});

// Acknowledgements.

/** One operation of each kind, and the acknowledgement that it waits for. */
const OPERATIONS: [operate: (h: Hostile) => void, awaited: string][] = [
  [(h) => h.client.publish("t", "x", 1), "PUBACK"],
  [(h) => h.client.publish("t", "x", 2), "PUBREC"],
  [(h) => {
    h.client.publish("t", "x", 2);
    h.send(ack("PUBREC", 1));
    h.answers = ["PUBREL #1"];
  }, "PUBCOMP"],
  [(h) => h.client.subscribe("t"), "SUBACK"],
  [(h) => h.client.unsubscribe("t"), "UNSUBACK"],
];
const ACKS: Record<string, Packet> = {
  PUBACK: ack("PUBACK", 1),
  PUBREC: ack("PUBREC", 1),
  PUBCOMP: ack("PUBCOMP", 1),
  SUBACK: suback(1, 0),
  UNSUBACK: ack("UNSUBACK", 1),
};

row("Acknowledgement: never", "offline -12", "ackTimeoutMs", (h, [operate]) => {
  h.up();
  operate(h);
}, OPERATIONS);

row("Acknowledgement: of every other type", "offline -12", "ackTimeoutMs", (h, [operate, awaited]) => {
  h.up();
  operate(h);
  for (const [type, packet] of Object.entries(ACKS)) if (type !== awaited) h.send(packet);
  // PUBREC again: PUBREL again.
  if (awaited === "PUBCOMP") h.answers.push("PUBREL #1");
}, OPERATIONS);

row("Acknowledgement: twice", "goes on", "", (h, [operate, awaited]) => {
  h.up();
  operate(h);
  h.send(ACKS[awaited], ACKS[awaited]);
  if (awaited === "PUBREC") {
    h.send(ack("PUBCOMP", 1), ack("PUBCOMP", 1));
    h.answers = ["PUBREL #1", "PUBREL #1"];
  }
  h.events = [awaited === "SUBACK" ? "suback 0" : awaited === "UNSUBACK" ? "unsuback" : "puback"];
}, OPERATIONS);

row("Acknowledgement: for ids that nobody uses", "goes on", "", (h) => {
  h.up();
  h.client.publish("t", "x", 1);
  for (const id of [2, 3, 65535]) {
    h.send(ack("PUBACK", id), ack("PUBCOMP", id), suback(id, 0), ack("UNSUBACK", id), ack("PUBREC", id));
  }
  h.send(ack("PUBACK", 1));
  h.events = ["puback"];
  h.answers = ["PUBREL #2", "PUBREL #3", "PUBREL #65535"];
});

row("Acknowledgement: with packet id 0", "offline -24", "at once", (h, first) => {
  h.up();
  h.send(first === 0x90 ? "90 03 0000 00" : Uint8Array.of(first, 2, 0, 0));
}, [0x40, 0x50, 0x70, 0x90, 0xb0]);

row("Acknowledgement: before the packet was sent, or while it is", "goes on", "", (h, [operate, awaited]) => {
  if (awaited === "PUBCOMP") return h.up();
  h.stalled(4);
  operate(h);
  h.device.hal.settle();
  h.send(ACKS[awaited]);
  h.socket.unstall();
  expect(h.device.take()).toEqual([]);
  h.send(ACKS[awaited]);
  if (awaited === "PUBREC") {
    h.send(ack("PUBCOMP", 1));
    h.answers = ["PUBREL #1"];
  }
  h.events = [awaited === "SUBACK" ? "suback 0" : awaited === "UNSUBACK" ? "unsuback" : "puback"];
}, OPERATIONS);

row("Acknowledgement: for what the last connection sent", "goes on", "", (h, [operate, awaited]) => {
  h.up();
  operate(h);
  h.reconnect();
  h.accept();
  h.send(ACKS[awaited]);
  h.answers = awaited === "PUBREC" ? ["PUBREL #1"] : [];
}, OPERATIONS);

row("Acknowledgement: in another order", "goes on", "", (h) => {
  h.up();
  h.client.publish("t", "1", 1);
  h.client.subscribe("t");
  h.client.publish("t", "3", 2);
  h.client.unsubscribe("t");
  h.send(ack("UNSUBACK", 4), ack("PUBREC", 3), ack("PUBCOMP", 3), suback(2, 1));
  expect(h.device.take()).toEqual([]);
  h.send(ack("PUBACK", 1));
  h.events = ["puback", "suback 1", "puback", "unsuback"];
  h.answers = ["PUBREL #3"];
});

row("Acknowledgement: all but the first", "offline -12", "ackTimeoutMs", (h) => {
  h.up();
  for (const id of range(1, 8)) h.client.publish("t", String(id), 1);
  h.every(1000, (count) => h.send(ack("PUBACK", count + 2)));
  // The outcomes of those behind the first wait for it, and come with the end. So long the queue is full.
  expect(h.client.publish("t", "more", 1)).toBe(false);
  h.events = Array<string>(7).fill("puback");
});

row("Acknowledgement: PUBREC again and again, never PUBCOMP", "offline -12", "ackTimeoutMs", (h) => {
  h.up();
  h.client.publish("t", "x", 2);
  h.every(9000, () => h.send(ack("PUBREC", 1)));
  h.answers = Array<string>(6).fill("PUBREL #1");
});

row("Acknowledgement: a flood of PUBREC", "goes on", "", (h) => {
  h.up();
  h.send(...range(1, 1000).map((id) => ack("PUBREC", id)));
  h.answers = range(1, 1000).map((id) => `PUBREL #${id}`);
});

row("Acknowledgement: a flood of PUBREC, and nothing is read", "offline -11", "31/16 keepalive", (h) => {
  h.stalled(0);
  h.send(...range(1, 1000).map((id) => ack("PUBREC", id)));
  h.device.hal.settle();
  expect(h.socket.unread).toBeGreaterThan(1000);
});

row("SUBACK: more or fewer codes than filters", "offline -22", "at once", (h, codes: number[]) => {
  h.up();
  h.client.subscribe({ a: 0, b: 1 });
  h.send(suback(1, ...codes));
}, [[0], [0, 1, 0], Array<number>(100).fill(0)]);

row("SUBACK: longer than the receive buffer", "offline -22", "at once", (h) => {
  h.up();
  h.client.subscribe("a");
  h.send("90 81 01 0001 00");
});

row("SUBACK: reserved codes", "offline -27", "at once", (h, code) => {
  h.up();
  h.client.subscribe("a");
  h.send(Uint8Array.of(0x90, 3, 0, 1, code));
}, [3, 127, 129, 255]);

row("SUBACK: more QoS than asked for", "goes on", "", (h) => {
  h.up();
  h.client.subscribe("a");
  h.send(suback(1, 2));
  h.events = ["suback 2"];
});

// Keep alive.

row("PINGRESP: never", "offline -11", "31/16 keepalive", (h) => {
  h.up();
  h.answersPings = false;
});

row("PINGRESP: never, and messages go on", "offline -11", "31/16 keepalive", (h) => {
  h.up();
  h.answersPings = false;
  h.every(2000, (count) => h.send(message("t", String(count))));
  h.events = range(0, 15).map((count) => `message t=${count}`);
});

row("PINGRESP: at the last moment, each time", "goes on", "", (h) => {
  h.up();
  h.answersPings = false;
  let answered = 0;
  h.every(100, () => {
    const pings = h.device.broker.packets.filter(({ type }) => type === "PINGREQ").length;
    if (pings === answered) return;
    answered = pings;
    h.device.hal.after(KEEPALIVE_MS - 200, () => h.send(PINGRESP));
  });
});

row("PINGRESP: unasked, and then never", "offline -11", "31/16 keepalive", (h) => {
  h.up();
  h.answersPings = false;
  h.send(PINGRESP, PINGRESP);
});

row("PINGRESP: again and again, while PINGREQ cannot leave", "offline -11", "31/16 keepalive", (h) => {
  h.stalled(0);
  h.every(1000, () => h.send(PINGRESP));
});

row("PINGRESP: a flood", "goes on", "", (h) => {
  h.up();
  h.send(...Array<Packet>(1000).fill(PINGRESP));
});

row("PINGRESP: always, and nothing else", "offline -12", "ackTimeoutMs", (h) => {
  h.up();
  h.client.subscribe("t");
  h.every(1000, () => h.send(PINGRESP));
});

// The end.

row("close(): nothing is acknowledged", "offline 0", "drainTimeoutMs", (h, [operate]) => {
  h.up();
  operate(h);
  h.client.close();
}, OPERATIONS);

row("close(): the peer never closes", "offline 0", "at once", (h) => {
  h.up();
  h.client.close();
});

row("close(): nothing is read", "offline 0", "drainTimeoutMs + 5 s", (h) => {
  h.stalled(0);
  h.client.publish("t", "x", 1);
  h.client.close();
});

row("close(): half of DISCONNECT is read, and messages go on", "offline 0", "5 s", (h) => {
  h.stalled(1);
  h.client.close();
  h.every(100, () => h.send(MESSAGE, ack("PUBREL", 1)));
});

row("close(): all is read in the last moment, but for DISCONNECT", "offline 0", "< drainTimeoutMs + 10 s", (h) => {
  h.stalled(0);
  h.client.publish("t", "x");
  h.client.close();
  h.wait(OPTIONS.drainTimeoutMs + 4900);
  h.socket.drain(7);
  h.events = ["puback"];
});

row("close(): a flood that has to be answered", "offline 0", "drainTimeoutMs", (h) => {
  h.up();
  h.client.publish("t", "x", 1);
  h.client.close();
  h.every(2000, () => h.send(...range(1, 100).map((id) => ack("PUBREL", id))));
  h.answers = [...range(1, 100), ...range(1, 100)].map((id) => `PUBCOMP #${id}`);
});

row("close(): a byte of a message a second", "offline 0", "drainTimeoutMs", (h) => {
  h.up();
  h.client.publish("t", "x", 1);
  h.client.close();
  h.drip(1000, wire("32 7f 0001 't' 0007 'xxxxxx'"));
});

row("close(): more than receiveMaximum at QoS 2", "offline 0", "at once", (h) => {
  h.up();
  h.client.publish("t", "x", 1);
  h.client.close();
  h.send(...range(1, 500).map((id) => message("t", String(id), { qos: 2, id })));
  h.events = range(1, 4).map((id) => `message t=${id}`);
  h.answers = range(1, 4).map((id) => `PUBREC #${id}`);
});

row("close(): a malformed packet", "offline 0", "at once", (h) => {
  h.up();
  h.client.publish("t", "x", 1);
  h.client.close();
  h.send("00 00");
});
