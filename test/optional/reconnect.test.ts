/** `withReconnect`: when it tries again, when it does not, and what it asks for again. */
import { describe, expect, test } from "@jest/globals";
import type { Client, QoS } from "../../src/client.js";
import type { Outcomes } from "../../src/optional/outcomes.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import { withQueuePolicy } from "../../src/optional/queue.js";
import type { Host, ReconnectOptions, Reconnecting } from "../../src/optional/reconnect.js";
import { withReconnect } from "../../src/optional/reconnect.js";
import type { Snapshotting } from "../../src/optional/snapshot.js";
import { withSnapshot } from "../../src/optional/snapshot.js";
import { withStreams } from "../../src/optional/streams.js";
import { withSubscriptions } from "../../src/optional/subscriptions.js";
import { Device, ack, connack, suback } from "../support/device.js";
import type { DeviceOptions } from "../support/device.js";
import { repeat, seeded } from "../support/session-harness.js";

type Extended = Client & Reconnecting;

const HOSTS: Host[] = [{ host: "a" }, { host: "b", port: 1884 }, { host: "c" }];

/** A device that stays connected. Its states are events, e.g. `waiting b 2 500 -5`: host, round, pause and reason. */
class ReconnectDevice extends Device {
  /** What `random` returns, in turn; 1 when there is none left. */
  readonly draws: number[] = [];
  /** Called at the end of each callback of `onState`. */
  whenState: (state: string) => void = () => {};

  constructor(settings: ReconnectOptions = {}, options: DeviceOptions = {}) {
    let draws: number[] = [];
    super({
      extend: (client) => withReconnect(client, { random: () => draws.shift() ?? 1, ...settings }),
      ...options,
    });
    draws = this.draws;
    this.extended.onState((client, state, { host, port, round, delayMs, reason }) => {
      expect((client as Extended).state).toBe(state);
      const where = port === 1883 ? host : `${host}:${port}`;
      this.events.push(`${state} ${where} ${round}` +
        (state === "waiting" ? ` ${delayMs}` : "") + (reason === 0 ? "" : ` ${reason}`));
      this.whenState(state);
    });
    this.extended.onRenewal((_, filter, code) => this.events.push(`renewed ${filter} ${code}`));
  }

  get extended(): Extended {
    return this.client as Extended;
  }

  get list(): Record<string, number> {
    return { ...this.extended.subscriptions() };
  }

  /** Begins as the application does. */
  begin(): this {
    expect(this.client.connect("broker")).toBe(true);
    return this;
  }

  /** The attempt that is under way fails. */
  fail(): string[] {
    this.hal.settle();
    this.socket.fail("refused");
    return this.take();
  }

  /** The broker refuses the attempt that is under way. */
  refuse(code: number): string[] {
    this.reach();
    this.send(connack(code));
    return this.take();
  }

  /** The session that is up is lost. */
  lose(): string[] {
    this.socket.reset();
    return this.take();
  }

  /** Time passes. */
  pass(ms: number): string[] {
    this.hal.advance(ms);
    return this.take();
  }

  /** A session with these subscriptions. */
  subscribed(table: Record<string, QoS>, isPresent = false): this {
    this.begin();
    this.accept(isPresent);
    this.client.subscribe(table);
    this.hal.settle();
    this.send(suback(this.lastId(), ...Object.values(table)));
    this.take();
    this.sent();
    return this;
  }

  /** Packet id of the packet that was written last. */
  lastId(): number {
    this.broker.read();
    return (this.broker.packets.at(-1) as { packetId: number }).packetId;
  }

  /** The attempt that is under way is accepted. Returns what the client wrote behind CONNECT. */
  comeBack(isPresent: boolean): string[] {
    this.hal.settle();
    this.reach();
    this.send(connack(0, isPresent));
    return this.sent();
  }

  get attempts(): number {
    this.hal.settle();
    return this.hal.sockets.length;
  }
}

const PERSISTENT: DeviceOptions = { cleansession: 0 };

describe("the pauses", () => {
  test("grow from minDelayMs to maxDelayMs, and each is a random part of that", () => {
    const device = new ReconnectDevice({ minDelayMs: 100, maxDelayMs: 1000 }).begin();
    device.draws.push(1, 0.5, 0.25, 0, 1, 0.999);
    expect(device.take()).toEqual(["connecting broker 0"]);
    const delays: string[] = [];
    for (let i = 0; i < 6; i++) {
      const [waiting, connfail] = device.fail();
      expect(connfail).toBe("connfail -5");
      delays.push(waiting);
      device.pass(1000);
    }
    expect(delays).toEqual([
      "waiting broker 1 100 -5", "waiting broker 2 100 -5", "waiting broker 3 100 -5", "waiting broker 4 0 -5",
      "waiting broker 5 1000 -5", "waiting broker 6 999 -5",
    ]);
  });

  test("are kept to the millisecond", () => {
    const device = new ReconnectDevice({ minDelayMs: 700 }).begin();
    device.fail();
    expect(device.pass(699)).toEqual([]);
    expect(device.attempts).toBe(1);
    expect(device.pass(1)).toEqual(["connecting broker 1"]);
    expect(device.attempts).toBe(2);
  });

  test("are kept where the clock wraps", () => {
    const device = new ReconnectDevice({ minDelayMs: 700 }, { hal: { now: 0x7fffffff - 300 } }).begin();
    device.fail();
    device.pass(699);
    expect(device.attempts).toBe(1);
    device.pass(1);
    expect(device.attempts).toBe(2);
  });

  test("follow the loss of a session, too; an attempt is never made at once", () => {
    const device = new ReconnectDevice({ minDelayMs: 400, stableMs: 0 }).begin();
    device.accept();
    device.pass(1);
    expect(device.lose()).toEqual(["waiting broker 1 400 -10", "offline -10"]);
    expect(device.pass(400)).toEqual(["connecting broker 1"]);
  });

  test("begin anew behind a session that lasted stableMs, and grow on behind one that did not", () => {
    const device = new ReconnectDevice({ minDelayMs: 100, stableMs: 5000 }).begin();
    device.fail();
    device.pass(100);
    device.fail();
    device.pass(200);
    device.accept();
    device.pass(4999);
    expect(device.lose()).toEqual(["waiting broker 3 400 -10", "offline -10"]);
    device.pass(400);
    device.accept();
    device.pass(5000);
    expect(device.lose()).toEqual(["waiting broker 1 100 -10", "offline -10"]);
  });

  test("do not begin anew at TCP, nor at CONNECT", () => {
    const device = new ReconnectDevice({ minDelayMs: 100, stableMs: 50 }).begin();
    for (let round = 1; round < 5; round++) {
      device.reach();
      device.pass(60);
      device.socket.end();
      expect(device.take()[0]).toBe(`waiting broker ${round} ${50 * 2 ** round} -5`);
      device.pass(50 * 2 ** round);
    }
  });

  test("are bounded at any count of rounds", () => {
    const device = new ReconnectDevice({ minDelayMs: 1, maxDelayMs: 7 }).begin();
    device.take();
    for (let round = 1; round < 1200; round++) {
      const most = Math.min(7, 2 ** (round - 1));
      expect(device.fail()[0]).toBe(`waiting broker ${round} ${most} -5`);
      device.pass(most);
    }
  });

  test("are as long as they may be when random fails or has no sense", () => {
    const draws: (() => number)[] = [() => NaN, () => -1, () => 2, () => "x" as never];
    const device = new ReconnectDevice({ minDelayMs: 10, maxDelayMs: 10, random: () => draws.shift()!() }).begin();
    draws.push(() => {
      throw new Error("no luck");
    });
    device.take();
    for (let round = 1; round <= 5; round++) {
      expect(device.fail()[0]).toBe(`waiting broker ${round} 10 -5`);
      device.pass(10);
    }
    expect(device.takeErrors()).toEqual([new Error("no luck")]);
  });

  test("are within their bounds, and spread over them", () => {
    repeat(40, (seed) => {
      const random = seeded(seed);
      const minDelayMs = 1 + random.below(2000);
      const maxDelayMs = minDelayMs + random.below(60000);
      const device = new ReconnectDevice({ minDelayMs, maxDelayMs, random: () => random.below(65536) / 65536 });
      device.begin().take();
      let below = 0;
      for (let round = 1; round <= 40; round++) {
        const most = Math.min(maxDelayMs, minDelayMs * 2 ** (round - 1));
        const delayMs = Number(device.fail()[0].split(" ")[3]);
        expect(delayMs).toBeGreaterThanOrEqual(0);
        expect(delayMs).toBeLessThanOrEqual(most);
        if (delayMs < most / 2) below++;
        const attempts = device.attempts;
        if (delayMs > 0) {
          device.pass(delayMs - 1);
          expect(device.attempts).toBe(attempts);
          device.pass(1);
        }
        expect(device.attempts).toBe(attempts + (delayMs > 0 ? 1 : 0));
      }
      expect(below).toBeGreaterThan(5);
      expect(below).toBeLessThan(35);
      device.check();
    });
  });
});

describe("hosts", () => {
  test("are tried in their order, the first first, without a pause; then there is one, and it begins anew", () => {
    const device = new ReconnectDevice({ hosts: HOSTS });
    expect(device.extended.connect()).toBe(true);
    expect(device.take()).toEqual(["connecting a 0"]);
    expect(device.fail()).toEqual(["connecting b:1884 0", "connfail -5"]);
    expect(device.fail()).toEqual(["connecting c 0", "connfail -5"]);
    expect(device.fail()).toEqual(["waiting c 1 1000 -5", "connfail -5"]);
    expect(device.pass(1000)).toEqual(["connecting a 1"]);
    expect(device.hal.sockets.map(({ host, port }) => `${host}:${port}`)).toEqual([
      "a:1883", "b:1884", "c:1883", "a:1883",
    ]);
  });

  test("begin with the first behind a loss, wherever the session was", () => {
    const device = new ReconnectDevice({ hosts: HOSTS });
    device.extended.connect();
    device.fail();
    device.accept();
    expect(device.lose()).toEqual(["waiting b:1884 1 1000 -10", "offline -10"]);
    expect(device.pass(1000)).toEqual(["connecting a 1"]);
  });

  test("go on to the next when a broker is full, says nothing, or is none", () => {
    const device = new ReconnectDevice({ hosts: HOSTS });
    device.extended.connect();
    device.take();
    expect(device.refuse(3)).toEqual(["connecting b:1884 0", "connfail 3"]);
    device.reach();
    expect(device.pass(5000)).toEqual(["connecting c 0", "connfail -2"]);
    device.reach();
    device.socket.receive([0x40, 2, 0, 1]);
    expect(device.take()).toEqual(["waiting c 1 1000 -4", "connfail -4"]);
  });

  test("connect takes callbacks: both, the second alone, or none", () => {
    const device = new ReconnectDevice({ hosts: HOSTS });
    const ok = device.recorder("ok");
    const fail = device.recorder("fail");
    device.extended.connect(ok, fail);
    expect(device.fail()).toEqual(["connecting a 0", "connecting b:1884 0", "fail"]);
    device.accept();
    device.client.abort();
    device.take();
    device.extended.connect(null, device.recorder("other"));
    expect(device.fail()).toEqual(["connecting a 0", "connecting b:1884 0", "other"]);
    device.reach();
    device.send(connack());
    expect(device.take()).toEqual(["connected b:1884 0", "ok"]);
    expect(() => device.extended.connect()).toThrow("already connected");
  });

  test("a host is none of its arguments", () => {
    const device = new ReconnectDevice({ hosts: HOSTS });
    expect(() => device.client.connect("broker")).toThrow(new TypeError('ok must be a function, not "broker"'));
    expect(() => device.extended.connect(null, 3 as never)).toThrow(new TypeError("fail must be a function, not 3"));
    expect([device.extended.state, device.attempts]).toEqual(["idle", 0]);
  });

  test("are opened with their TLS options, which are copied", () => {
    const secure = { servername: "x" };
    const device = new ReconnectDevice({ hosts: [{ host: "a", secure }, { host: "b", secure: 1 }, { host: "c" }] });
    secure.servername = "y";
    device.extended.connect();
    device.fail();
    device.fail();
    expect(device.hal.sockets.map((socket) => socket.secure)).toEqual([{ servername: "x" }, {}, undefined]);
  });

  test("one that cannot be opened has failed: no socket left, or the platform throws", () => {
    const device = new ReconnectDevice({ hosts: [{ host: "a" }, { host: "b", secure: 1 }, { host: "c" }] });
    const details: unknown[] = [];
    device.during.connfail = (_, __, detail) => details.push(detail);
    device.extended.connect();
    device.hal.tlsOptions = undefined;
    device.take();
    expect(device.fail()).toEqual(["connecting b 0", "connfail -5", "connecting c 0", "connfail -5"]);
    expect(details).toEqual([undefined, new TypeError("secure: no TLS here")]);
    device.hal.exhausted = true;
    expect(device.fail()).toEqual(["waiting c 1 1000 -5", "connfail -5"]);
    expect(device.pass(1000)).toEqual([
      "connecting a 1", "connecting b 1", "connfail -5", "connecting c 1", "connfail -5", "waiting c 2 2000 -5",
      "connfail -5",
    ]);
    device.hal.exhausted = false;
    device.pass(2000);
    device.accept();
    expect(device.extended.state).toBe("connected");
  });
});

describe("a broker that refuses", () => {
  test.each([1, 2, 4, 5])("with %i: it stops, and does not come back", (code) => {
    const device = new ReconnectDevice({ hosts: HOSTS });
    device.extended.connect();
    device.take();
    expect(device.refuse(code)).toEqual([`stopped a 0 ${code}`, `connfail ${code}`]);
    expect(device.pass(10000000)).toEqual([]);
    expect(device.attempts).toBe(1);
    expect(device.client.close()).toBe(false);
    expect(device.extended.state).toBe("stopped");
    // The application may try again.
    device.extended.connect();
    device.accept();
    expect(device.extended.state).toBe("connected");
  });

  test("later: the credentials may have changed meanwhile", () => {
    const device = new ReconnectDevice().begin();
    device.accept();
    device.lose();
    device.pass(1000);
    device.take();
    expect(device.refuse(5)).toEqual(["stopped broker 1 5", "connfail 5"]);
  });

  test.each([1, 2, 4, 5])("with %i, and retryRefused: again maxDelayMs later, never sooner", (code) => {
    const device = new ReconnectDevice({ hosts: HOSTS, retryRefused: true, maxDelayMs: 9000 });
    device.draws.push(0, 0, 0);
    device.extended.connect();
    device.take();
    for (let round = 1; round < 4; round++) {
      expect(device.refuse(code)).toEqual([`waiting a ${round} 9000 ${code}`, `connfail ${code}`]);
      expect(device.pass(8999)).toEqual([]);
      expect(device.pass(1)).toEqual([`connecting a ${round}`]);
    }
  });

  test.each([3, 6, 255])("with %i, which may pass: as any failure", (code) => {
    const device = new ReconnectDevice().begin();
    device.take();
    expect(device.refuse(code)).toEqual([`waiting broker 1 1000 ${code}`, `connfail ${code}`]);
  });
});

describe("maxRounds", () => {
  test("stops behind so many rounds, and counts rounds, not attempts", () => {
    const device = new ReconnectDevice({ hosts: HOSTS, maxRounds: 2 });
    device.extended.connect();
    for (let i = 0; i < 3; i++) device.fail();
    device.pass(1000);
    device.fail();
    device.fail();
    expect(device.fail()).toEqual(["stopped c 1 -5", "connfail -5"]);
    device.pass(1000000);
    expect(device.attempts).toBe(6);
  });

  test("counts on where TCP comes up and CONNACK does not", () => {
    const device = new ReconnectDevice({ maxRounds: 3 }).begin();
    for (let i = 0; i < 3; i++) {
      device.pass(10000);
      device.reach();
      device.socket.end();
      device.hal.settle();
    }
    expect(device.extended.state).toBe("stopped");
  });

  test("counts anew behind a CONNACK that accepts, however short the session, whose loss counts as one", () => {
    const device = new ReconnectDevice({ maxRounds: 3 }).begin();
    for (let i = 0; i < 4; i++) {
      for (let failures = 0; failures < (i === 0 ? 2 : 1); failures++) {
        device.fail();
        device.pass(60000);
      }
      device.accept();
      device.lose();
      device.pass(60000);
    }
    device.fail();
    expect(device.extended.state).toBe("waiting");
    device.pass(60000);
    device.fail();
    expect(device.extended.state).toBe("stopped");
  });

  test("1: one round, and none behind a loss", () => {
    const device = new ReconnectDevice({ hosts: HOSTS, maxRounds: 1 });
    device.extended.connect();
    device.fail();
    device.accept();
    device.take();
    expect(device.lose()).toEqual(["stopped b:1884 0 -10", "offline -10"]);
    device.pass(1000000);
    expect(device.attempts).toBe(2);
    device.extended.connect();
    device.accept();
    expect(device.extended.state).toBe("connected");
  });

  test("counts refusals, where these are tried again", () => {
    const device = new ReconnectDevice({ maxRounds: 2, retryRefused: true }).begin();
    device.take();
    expect(device.refuse(4)).toEqual(["waiting broker 1 60000 4", "connfail 4"]);
    device.pass(60000);
    expect(device.refuse(4)).toEqual(["stopped broker 1 4", "connfail 4"]);
  });

  test("begins anew with the next connect of the application", () => {
    const device = new ReconnectDevice({ maxRounds: 1 }).begin();
    device.fail();
    device.begin();
    expect(device.fail()).toEqual(["connecting broker 0", "stopped broker 0 -5", "connfail -5"]);
  });
});

describe("close and abort", () => {
  test.each(["close", "abort"] as const)("%s ends a pause at once", (how) => {
    const device = new ReconnectDevice().begin();
    device.fail();
    expect(device.client[how]()).toBe(true);
    expect(device.extended.state).toBe("idle");
    expect(device.take()).toEqual(["idle broker 1"]);
    expect(device.pass(10000000)).toEqual([]);
    expect(device.attempts).toBe(1);
    expect(device.client[how]()).toBe(false);
  });

  test.each(["close", "abort"] as const)("%s ends an attempt without a connection at once, silently", (how) => {
    const device = new ReconnectDevice().begin();
    device.take();
    expect(device.client[how]()).toBe(true);
    expect(device.socket.closed).toBe(true);
    expect(device.take()).toEqual(["idle broker 0"]);
    expect(device.pass(10000000)).toEqual([]);
    expect(device.attempts).toBe(1);
  });

  test.each(["close", "abort"] as const)("%s ends an attempt that could not even begin", (how) => {
    const device = new ReconnectDevice();
    device.hal.exhausted = true;
    device.begin();
    expect(device.client[how]()).toBe(true);
    expect(device.take()).toEqual(["idle broker 0"]);
    expect(device.pass(10000000)).toEqual([]);
  });

  test("close sends DISCONNECT behind CONNECT", () => {
    const device = new ReconnectDevice().begin();
    device.reach();
    expect(device.client.close()).toBe(true);
    expect(device.sent()).toEqual(["DISCONNECT"]);
    device.socket.end();
    expect(device.take()).toEqual(["connecting broker 0", "idle broker 0"]);
    expect(device.pass(10000000)).toEqual([]);
    expect(device.attempts).toBe(1);
  });

  test("a session ends in good order, and it stays so", () => {
    const device = new ReconnectDevice().begin();
    device.accept();
    expect(device.client.close()).toBe(true);
    expect(device.extended.state).toBe("connected");
    expect(device.client.close()).toBe(false);
    expect(device.sent()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["idle broker 0", "offline 0"]);
    expect(device.pass(10000000)).toEqual([]);
    expect(device.attempts).toBe(1);
  });

  test("a session is aborted, and it stays so", () => {
    const device = new ReconnectDevice().begin();
    device.accept();
    expect(device.client.abort()).toBe(true);
    expect(device.take()).toEqual(["idle broker 0", "offline 0"]);
    expect(device.pass(10000000)).toEqual([]);
  });

  test("a loss while close waits for acknowledgements is the end all the same", () => {
    const device = new ReconnectDevice().begin();
    device.accept();
    device.client.publish("t", "1", 1);
    device.client.close();
    expect(device.lose()).toEqual(["idle broker 0", "offline 0"]);
    expect(device.pass(10000000)).toEqual([]);
  });

  test.each(["close", "abort"] as const)("nothing to end: %s answers false", (how) => {
    const device = new ReconnectDevice();
    expect(device.client[how]()).toBe(false);
    expect(device.take()).toEqual([]);
  });

  test("connect behind close: the old session ends first; close behind that: it is not begun", () => {
    const device = new ReconnectDevice().begin();
    device.accept();
    device.client.publish("t", "1", 1);
    device.client.close();
    expect(device.client.connect("other")).toBe(true);
    device.sent();
    device.send(ack("PUBACK", 1));
    expect(device.take()).toEqual(["puback", "connecting other 0", "offline 0"]);
    device.accept();
    device.client.publish("t", "1", 1);
    device.client.close();
    device.client.connect("third");
    expect(device.client.close()).toBe(true);
    expect(device.attempts).toBe(2);
    device.sent();
    device.send(ack("PUBACK", 2));
    // It went on to end in good order.
    expect(device.sent()).toEqual(["DISCONNECT"]);
    device.take();
    expect(device.pass(1000000)).toEqual([]);
    expect([device.attempts, device.extended.state]).toEqual([2, "idle"]);
  });

  test("connect behind close of an attempt whose CONNECT is out", () => {
    const device = new ReconnectDevice().begin();
    device.socket.stall();
    device.reach(16); // as long as CONNECT
    device.client.close();
    device.client.connect("other");
    expect(device.take()).toEqual(["connecting broker 0", "connecting other 0"]);
    expect(device.attempts).toBe(1);
    // The same once more: what is leaving goes on to do so.
    device.client.close();
    expect(device.socket.closed).toBe(false);
    device.client.connect("third");
    device.socket.unstall();
    expect(device.brokerOf(device.hal.sockets[0]).take()).toEqual(["DISCONNECT"]);
    expect(device.take()).toEqual(["connecting third 0"]);
    expect(device.attempts).toBe(2);
    device.accept();
    expect(device.extended.state).toBe("connected");
  });
});

describe("connect", () => {
  test("while it is waiting ends the pause", () => {
    const device = new ReconnectDevice().begin();
    device.fail();
    device.pass(100);
    expect(device.client.connect("other")).toBe(true);
    expect(device.take()).toEqual(["connecting other 1"]);
    expect(device.attempts).toBe(2);
    device.pass(5000);
    expect(device.attempts).toBe(2);
    // The pauses go on growing: the application has only hurried it.
    expect(device.fail()).toEqual(["waiting other 2 2000 -5", "connfail -5"]);
  });

  test("while it is connecting supersedes the attempt: one outcome", () => {
    const device = new ReconnectDevice().begin();
    device.take();
    device.client.connect("other");
    expect(device.take()).toEqual(["connecting other 0"]);
    expect(device.hal.sockets[0].closed).toBe(true);
    expect(device.fail()).toEqual(["waiting other 1 1000 -5", "connfail -5"]);
  });

  test("without a socket is an attempt that failed, also in the place of another", () => {
    const device = new ReconnectDevice().begin();
    device.hal.exhausted = true;
    expect(device.client.connect("other")).toBe(true);
    expect(device.hal.sockets[0].closed).toBe(true);
    expect(device.events).toEqual([]);
    expect(device.take()).toEqual(["connecting other 0", "waiting other 1 1000 -5", "connfail -5"]);
    device.hal.exhausted = false;
    expect(device.pass(1000)).toEqual(["connecting other 1"]);
  });

  test("with wrong arguments throws, and nothing changes", () => {
    const device = new ReconnectDevice().begin();
    device.fail();
    for (const call of [
      () => device.client.connect(""),
      () => device.client.connect("x", 0),
      () => device.client.connect("x", 1883, { bogus: 1 }),
      () => device.client.connect("x", 1883, 0, 1),
    ]) expect(call).toThrow();
    expect(() => device.client.connect("x", 1883, 0, 1)).toThrow(/^autoreconnect must not be set/);
    expect(device.extended.state).toBe("waiting");
    expect(device.pass(1000)).toEqual(["connecting broker 1"]);
  });

  test("what the platform throws in it is the caller's, and nothing changes", () => {
    const device = new ReconnectDevice().begin();
    device.fail();
    const { open } = device.hal;
    device.hal.open = () => {
      throw new Error("of the platform");
    };
    expect(() => device.client.connect("other")).toThrow("of the platform");
    device.hal.open = open;
    expect(device.pass(1000)).toEqual(["connecting broker 1"]);
  });

  test("while a session is up throws", () => {
    const device = new ReconnectDevice().begin();
    device.accept();
    expect(() => device.client.connect("other")).toThrow("already connected");
    expect(device.lose()).toEqual(["waiting broker 1 1000 -10", "offline -10"]);
  });

  test("connected is true exactly while a session is up", () => {
    const device = new ReconnectDevice().begin();
    const seen: boolean[] = [];
    device.whenState = () => seen.push(device.client.connected);
    device.accept();
    device.lose();
    device.pass(1000);
    expect(seen).toEqual([false, true, false, false]);
  });
});

describe("inside callbacks", () => {
  test("connect in connfail and in offline supersedes the pause", () => {
    const device = new ReconnectDevice().begin();
    device.during.connfail = () => device.client.connect("other");
    expect(device.fail()).toEqual([
      "connecting broker 0", "waiting broker 1 1000 -5", "connfail -5", "connecting other 1",
    ]);
    device.accept();
    device.during.offline = () => device.client.connect("third");
    expect(device.lose()).toEqual(["waiting other 2 2000 -10", "offline -10", "connecting third 2"]);
    expect(device.attempts).toBe(3);
    device.pass(4999);
    expect(device.attempts).toBe(3);
  });

  test.each(["close", "abort"] as const)("%s in connfail, in offline and in connect ends it", (how) => {
    for (const event of ["connfail", "offline", "connect"] as const) {
      const device = new ReconnectDevice({ hosts: HOSTS });
      device.during[event] = () => expect(device.client[how]()).toBe(true);
      device.extended.connect();
      if (event === "connfail") device.fail();
      else device.accept();
      if (event === "offline") device.lose();
      const attempts = device.attempts;
      device.pass(10000000);
      expect([device.extended.state, device.attempts]).toEqual(["idle", attempts]);
      expect(attempts).toBe(1);
    }
  });

  test("close in the callback of onState ends it before the next attempt", () => {
    for (const state of ["connecting", "waiting", "connected"]) {
      const device = new ReconnectDevice({ hosts: HOSTS });
      let left = state === "connecting" ? 2 : 1;
      device.whenState = (now) => {
        if (now === state && --left === 0) device.client.close();
      };
      device.extended.connect();
      device.hal.settle();
      if (state === "connected") device.accept();
      else for (let i = 0; i < 3 && device.extended.state !== "idle"; i++) device.fail();
      device.pass(10000000);
      expect(device.extended.state).toBe("idle");
      expect(device.attempts).toBe(state === "waiting" ? 3 : 1);
    }
  });

  test("connect and close in turn in the callback of onState do not keep the platform from going on", () => {
    const device = new ReconnectDevice();
    let changes = 0;
    device.whenState = () => {
      if (++changes > 50) return;
      if (device.extended.state === "idle") device.client.connect("again");
      else device.client.abort();
    };
    device.begin();
    let steps = 0;
    while (device.hal.nextTimerMs === 0 && steps++ < 100) device.hal.advance(0);
    expect(changes).toBe(51);
  });

  test("connect in the callback of an operation, when the session is lost and that was not told", () => {
    const device = new ReconnectDevice({}, { ...PERSISTENT }).begin();
    device.accept();
    device.client.publish("t", "0");
    device.during.puback = () => {
      expect(device.client.connect("other")).toBe(true);
    };
    device.socket.reset();
    expect(device.take()).toEqual(["puback", "connecting other 0", "offline -10"]);
    device.accept();
    expect(device.extended.state).toBe("connected");
  });

  test("close in the callback of an operation, when the session is lost and that was not told", () => {
    const device = new ReconnectDevice().begin();
    device.accept();
    device.client.publish("t", "0");
    device.during.puback = () => {
      expect(device.client.close()).toBe(true);
    };
    device.socket.reset();
    expect(device.take()).toEqual(["puback", "idle broker 0 -10", "offline -10"]);
    device.pass(1000000);
    expect(device.attempts).toBe(1);
  });

  test("a callback that throws changes nothing", () => {
    const device = new ReconnectDevice({ minDelayMs: 100 }).begin();
    const thrower = (): never => {
      throw new Error("of the application");
    };
    for (const event of ["connect", "connfail", "offline"] as const) device.during[event] = thrower;
    device.whenState = thrower;
    device.fail();
    device.pass(100);
    device.accept();
    device.lose();
    expect(device.extended.state).toBe("waiting");
    device.pass(200);
    device.accept();
    expect(device.extended.state).toBe("connected");
    expect(device.takeErrors().length).toBe(11);
  });

  test("subscribe and publish work in connect and in the callback of onState", () => {
    const device = new ReconnectDevice().begin();
    device.during.connect = () => device.client.subscribe("a", 1);
    device.whenState = (state) => {
      if (state === "connected") expect(device.client.publish("t", "1", 1)).toBe(true);
      else expect(device.client.publish("t", "1", 1)).toBe(false);
    };
    expect(device.comeBack(false)).toEqual(["PUBLISH t=1 q1 #1", "SUBSCRIBE #2 a:1"]);
  });
});

describe("onState", () => {
  test("tells what the application has begun or ended when its call is over: of several changes the last", () => {
    const device = new ReconnectDevice();
    device.client.connect("a");
    device.client.close();
    device.client.connect("b");
    expect(device.events).toEqual([]);
    expect(device.take()).toEqual(["connecting b 0"]);
    device.client.abort();
    expect(device.take()).toEqual(["idle b 0"]);
  });

  test("has the platform's error, as connfail has, and the same object each time", () => {
    const device = new ReconnectDevice();
    const infos = new Set<unknown>();
    const details: unknown[] = [];
    device.extended.onState((_, __, info) => {
      infos.add(info);
      details.push(info.detail);
    });
    device.begin();
    device.hal.settle();
    device.socket.fail("dns", "ENOTFOUND");
    device.pass(1000);
    expect(details).toEqual([undefined, "ENOTFOUND", undefined]);
    expect(infos.size).toBe(1);
  });

  test("null clears it; a call of it in between is not needed", () => {
    const device = new ReconnectDevice();
    device.extended.onState(null);
    device.extended.onRenewal(null);
    device.begin();
    expect(device.fail()).toEqual(["connfail -5"]);
    expect(device.extended.state).toBe("waiting");
    for (const name of ["onState", "onRenewal"] as const) {
      expect(() => device.extended[name](undefined as never)).toThrow(TypeError);
      expect(() => device.extended[name](3 as never)).toThrow("callback must be a function, not 3");
    }
  });
});

describe("subscriptions are asked for again", () => {
  test("when the broker says that it has no session [MQTT-3.2.2-2], before connect, as they were asked for", () => {
    for (const options of [PERSISTENT, {}]) {
      const device = new ReconnectDevice({}, options).subscribed({ a: 2, b: 0 });
      device.client.subscribe("c", 2);
      device.hal.settle();
      device.send(suback(2, 1));
      device.take();
      device.lose();
      device.pass(1000);
      device.during.connect = () => device.client.publish("t", "1");
      device.take();
      expect(device.comeBack(false)).toEqual(["SUBSCRIBE #3 a:2 b:0 c:2", "PUBLISH t=1"]);
      expect(device.list).toEqual({});
      device.send(suback(3, 2, 0, 2));
      expect(device.take()).toEqual([
        "connected broker 1", "connect", "renewed a 2", "renewed b 0", "renewed c 2", "puback",
      ]);
      expect(device.list).toEqual({ a: 2, b: 0, c: 2 });
    }
  });

  test("not when it has the session", () => {
    const device = new ReconnectDevice({}, PERSISTENT).subscribed({ a: 2 });
    device.lose();
    device.pass(1000);
    expect(device.comeBack(true)).toEqual([]);
    expect(device.list).toEqual({ a: 2 });
    device.lose();
    device.pass(2000);
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #2 a:2"]);
  });

  test("each time, for as long as it takes", () => {
    const device = new ReconnectDevice({ minDelayMs: 10, maxDelayMs: 10 }).subscribed({ a: 1, b: 2 });
    for (let id = 2; id < 6; id++) {
      device.lose();
      device.pass(10);
      device.fail();
      device.pass(10);
      expect(device.comeBack(false)).toEqual([`SUBSCRIBE #${id} a:1 b:2`]);
      if (id % 2 === 0) device.send(suback(id, 1, 2));
    }
  });

  test("not those that the application has given up, nor those that were refused", () => {
    const device = new ReconnectDevice().subscribed({ a: 1, b: 1, c: 1 });
    device.client.subscribe({ d: 1, c: 0 });
    device.client.unsubscribe("a");
    device.hal.settle();
    device.send(suback(2, 128, 128), ack("UNSUBACK", 3));
    device.lose();
    device.pass(1000);
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #4 b:1"]);
  });

  test("not what was pending when the connection was lost: with outcomes, that says lost", () => {
    const device = new ReconnectDevice({}, {
      extend: (client) => withReconnect(withOutcomes(client), { random: () => 1 }),
    }).subscribed({ a: 1 });
    device.client.subscribe("b", 1);
    (device.client as Client & Outcomes).outcome((_, outcome) => device.events.push(`b: ${outcome}`));
    expect(device.lose()).toEqual(["waiting broker 1 1000 -10", "b: lost", "offline -10"]);
    device.pass(1000);
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #3 a:1"]);
  });

  test("refused: it is told, and it is out", () => {
    const device = new ReconnectDevice({ minDelayMs: 1, maxDelayMs: 1 }).subscribed({ a: 1, b: 2 });
    device.lose();
    device.pass(1);
    device.comeBack(false);
    device.take();
    device.send(suback(2, 128, 0));
    expect(device.take()).toEqual(["renewed a 128", "renewed b 0"]);
    expect(device.list).toEqual({ b: 0 });
    device.lose();
    device.pass(1);
    // As it was asked for, not as it was granted last.
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #3 b:2"]);
  });

  test("the callback of suback is not called for it, and stays; those of the application are in order", () => {
    const device = new ReconnectDevice().subscribed({ a: 1 });
    device.lose();
    device.pass(1000);
    device.during.connect = () => device.client.subscribe({ a: 0, x: 2 });
    device.take();
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #2 a:1", "SUBSCRIBE #3 a:0 x:2"]);
    device.send(suback(2, 1), suback(3, 0, 2));
    expect(device.take()).toEqual(["connected broker 1", "connect", "renewed a 1", "suback 0 2"]);
    expect(device.list).toEqual({ a: 0, x: 2 });
  });

  test("not on a connection that the application begins anew: who connects, subscribes", () => {
    for (const options of [PERSISTENT, {}]) {
      for (const end of ["close", "abort"] as const) {
        const device = new ReconnectDevice({}, options).subscribed({ a: 1 });
        device.client[end]();
        device.take();
        device.begin();
        expect(device.comeBack(false)).toEqual([]);
        expect(device.list).toEqual({});
        device.lose();
        device.pass(1000);
        expect(device.comeBack(false)).toEqual([]);
      }
    }
  });

  test("on a persistent session that the application goes on with, if that is lost later", () => {
    const device = new ReconnectDevice({}, PERSISTENT).subscribed({ a: 1 });
    device.client.close();
    device.take();
    device.begin();
    expect(device.comeBack(true)).toEqual([]);
    expect(device.list).toEqual({ a: 1 });
    device.lose();
    device.pass(1000);
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #2 a:1"]);
  });

  test("also where the application has only ended the pause", () => {
    const device = new ReconnectDevice().subscribed({ a: 1 });
    device.lose();
    device.client.connect("other");
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #2 a:1"]);
  });

  test("not with renew false", () => {
    const device = new ReconnectDevice({ renew: false }, PERSISTENT).subscribed({ a: 1 });
    device.lose();
    expect(device.list).toEqual({ a: 1 });
    device.pass(1000);
    expect(device.comeBack(false)).toEqual([]);
    expect(device.list).toEqual({});
  });

  test("the rest of what was cut off, though the session that began then is there", () => {
    const device = new ReconnectDevice({ minDelayMs: 1, maxDelayMs: 1 }, PERSISTENT).subscribed({ a: 1, b: 1 });
    device.lose();
    device.pass(1);
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #2 a:1 b:1"]);
    device.lose();
    device.pass(1);
    expect(device.comeBack(true)).toEqual(["SUBSCRIBE #3 a:1 b:1"]);
    device.send(suback(3, 1, 1));
    device.lose();
    device.pass(1);
    expect(device.comeBack(true)).toEqual([]);
    expect(device.list).toEqual({ a: 1, b: 1 });
  });

  test("an answer that waited for that of a message when the connection was lost counts", () => {
    const device = new ReconnectDevice({}, PERSISTENT).begin();
    device.accept();
    device.client.publish("t", "1", 1);
    device.client.subscribe("a", 2);
    device.sent();
    device.send(suback(2, 2));
    device.lose();
    device.pass(1000);
    expect(device.comeBack(false)).toEqual(["PUBLISH t=1 q1 #1 dup", "SUBSCRIBE #3 a:2"]);
    device.send(ack("PUBACK", 1), suback(3, 2));
    expect(device.take().slice(-3)).toEqual(["puback", "suback 2", "renewed a 2"]);
    expect(device.list).toEqual({ a: 2 });
  });

  const many = (count: number): string[] => [...Array(count).keys()].map((i) => `filter/number/${100 + i}`);

  /** A device with these subscriptions, at QoS 1. */
  function withMany(filters: string[], options: DeviceOptions): ReconnectDevice {
    const device = new ReconnectDevice({}, options).begin();
    device.accept();
    for (const filter of filters) {
      expect(device.client.subscribe(filter, 1)).toBe(true);
      device.hal.settle();
      device.send(suback(device.lastId(), 1));
    }
    device.take();
    device.lose();
    device.pass(1000);
    device.take();
    return device;
  }

  /** Answers each SUBSCRIBE as long as there are any, and returns the filters of each. */
  function grantAll(device: ReconnectDevice, first: string[]): string[][] {
    const packets: string[][] = [];
    for (let lines = first; lines.length > 0; lines = device.sent()) {
      for (const line of lines) {
        const [, id, ...filters] = line.split(" ");
        packets.push(filters);
        device.send(suback(Number(id.slice(1)), ...filters.map(() => 1)));
      }
    }
    return packets;
  }

  test.each([128, 200, 400])("in several packets when they do not fit a queue of %i bytes", (txCapacity) => {
    const filters = many(32);
    const device = withMany(filters, { options: { txCapacity } });
    const packets = grantAll(device, device.comeBack(false));
    expect(packets.length).toBeGreaterThan(1);
    expect(packets.flat()).toEqual(filters.map((filter) => `${filter}:1`));
    expect(device.list).toEqual(Object.fromEntries(filters.map((filter) => [filter, 1])));
  });

  test("with no more filters in a packet than return codes fit the receive buffer", () => {
    const filters = [...Array(200).keys()].map((i) => String(i));
    const options = { rxCapacity: 128, maxMessageLength: 16 };
    const device = new ReconnectDevice({ maxSubscriptions: 200 }, { options });
    device.begin();
    device.accept();
    for (const filter of filters) {
      device.client.subscribe(filter, 0);
      device.hal.settle();
      device.send(suback(device.lastId(), 0));
    }
    device.lose();
    device.pass(1000);
    const packets = grantAll(device, device.comeBack(false));
    expect(packets.map(({ length }) => length)).toEqual([126, 74]);
  });

  test("behind the messages of a session, and before what the application has next", () => {
    const device = withMany(many(2), { ...PERSISTENT, options: { maxOperations: 2, queueOffline: true } });
    device.client.publish("t", "1", 1);
    device.client.publish("t", "2", 1);
    device.during.puback = () => device.client.publish("t", "more");
    expect(device.comeBack(false)).toEqual(["PUBLISH t=1 q1 #3", "PUBLISH t=2 q1 #4"]);
    device.send(ack("PUBACK", 3));
    expect(device.sent()).toEqual(["SUBSCRIBE #5 filter/number/100:1 filter/number/101:1"]);
  });

  test("also where nobody listens to what makes room", () => {
    const options = { maxOperations: 1, queueOffline: true };
    const device = withMany(many(2), { ...PERSISTENT, listens: false, options });
    device.client.publish("t", "1", 1);
    expect(device.comeBack(false)).toEqual(["PUBLISH t=1 q1 #3"]);
    device.send(ack("PUBACK", 3));
    expect(device.sent()).toEqual(["SUBSCRIBE #4 filter/number/100:1 filter/number/101:1"]);
  });

  test("a second later when nothing ends that would make room: the messages in the way have expired", () => {
    const device = new ReconnectDevice({}, {
      ...PERSISTENT,
      extend: (client) => withQueuePolicy(withReconnect(client, { random: () => 1 }), { maxAgeMs: 3000 }),
      options: { maxOperations: 1, queueOffline: true },
    }).subscribed({ a: 1 });
    device.lose();
    device.pass(999);
    device.client.publish("t", "1", 1);
    device.pass(1);
    device.socket.stall();
    device.socket.connect(16); // as long as CONNECT
    device.sent();
    device.send(connack());
    expect(device.take().slice(-2)).toEqual(["connected broker 1", "connect"]);
    device.pass(5000);
    device.socket.unstall();
    expect(device.sent()).toEqual(["SUBSCRIBE #3 a:1"]);
  });

  test("not a filter that the application gives up before there was room for it", () => {
    const long = "long/".repeat(8);
    const device = withMany([long, "b"], { ...PERSISTENT, options: { txCapacity: 128, queueOffline: true } });
    device.client.publish("t", "x".repeat(90), 1);
    device.during.connect = () => expect(device.client.unsubscribe("b")).toBe(true);
    expect(device.comeBack(false)).toEqual([`PUBLISH t=${"x".repeat(90)} q1 #3`, "UNSUBSCRIBE #4 b"]);
    device.send(ack("PUBACK", 3));
    expect(device.sent()).toEqual([`SUBSCRIBE #5 ${long}:1`]);
  });

  test("not a filter that the application gives up before its SUBACK, when that never comes", () => {
    const device = withMany(["a", "b"], {});
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #3 a:1 b:1"]);
    expect(device.client.unsubscribe("b")).toBe(true);
    device.lose();
    device.pass(10000);
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #5 a:1"]);
  });

  test("maxSubscriptions: beyond that subscribe answers false", () => {
    const device = new ReconnectDevice({ maxSubscriptions: 1 }).subscribed({ a: 1 });
    expect(device.client.subscribe("b")).toBe(false);
    device.lose();
    device.pass(1000);
    device.during.connect = () => {
      expect(device.client.subscribe("b")).toBe(false);
      expect(device.client.subscribe("a")).toBe(true);
    };
    expect(device.comeBack(false)).toEqual(["SUBSCRIBE #2 a:1", "SUBSCRIBE #3 a:0"]);
  });
});

describe("beside other modules", () => {
  test("a snapshot: what was restored goes out with the first connection, and nothing is asked for again", () => {
    const options: DeviceOptions = {
      ...PERSISTENT, extend: (client) => withSnapshot(withReconnect(client, { random: () => 1 })),
    };
    const before = new ReconnectDevice({}, options).subscribed({ a: 1 });
    before.client.publish("t", "1", 1);
    before.hal.settle();
    const saved = before.client as Client & Snapshotting;
    const bytes = new Uint8Array(saved.snapshotLength());
    saved.snapshot(bytes);
    const after = new ReconnectDevice({}, options);
    expect((after.client as Client & Snapshotting).restore(bytes)).toBe(1);
    after.begin();
    expect(after.comeBack(true)).toEqual(["PUBLISH t=1 q1 #2 dup"]);
    expect(after.list).toEqual({});
    after.send(ack("PUBACK", 2));
    after.lose();
    after.pass(1000);
    expect(after.comeBack(false)).toEqual([]);
    before.client.abort();
    before.take();
  });

  test("withSubscriptions before it or behind it is the same table", () => {
    for (const extend of [
      (client: Client) => withSubscriptions(withReconnect(client, { random: () => 1 })),
      (client: Client) => withReconnect(withSubscriptions(client, { maxSubscriptions: 1 }), { random: () => 1 }),
    ]) {
      const device = new ReconnectDevice({}, { extend }).subscribed({ a: 1 });
      device.lose();
      device.pass(1000);
      expect(device.comeBack(false)).toEqual(["SUBSCRIBE #2 a:1"]);
      device.send(suback(2, 1));
      expect(device.list).toEqual({ a: 1 });
    }
    const client = withSubscriptions(new Device().client);
    expect(() => withReconnect(client, { maxSubscriptions: 3 })).toThrow("maxSubscriptions must not be given again");
    expect("state" in client).toBe(false);
  });

  const MODULES: Record<string, (client: Client) => Client> = {
    outcomes: withOutcomes,
    queue: (client) => withQueuePolicy(client, { dropPolicy: "drop-oldest", maxAgeMs: 50000 }),
    reconnect: (client) => withReconnect(client, { random: () => 1 }),
    streams: (client) => withStreams(client, 64),
  };
  test.each([
    ["outcomes", "queue", "streams", "reconnect"],
    ["reconnect", "streams", "queue", "outcomes"],
    ["queue", "reconnect", "outcomes", "streams"],
  ])("with %s, %s, %s, %s: each operation has its own outcome, asked again or not", (...order) => {
    const device = new ReconnectDevice({}, {
      ...PERSISTENT,
      extend: (client) => order.reduce((extended, name) => MODULES[name](extended), client),
    }).subscribed({ a: 1 });
    const client = device.client as Client & Outcomes;
    const note = (name: string): void => {
      client.outcome((_, outcome) => device.events.push(`${name}: ${outcome}`));
    };
    client.on("puback", null);
    client.publish("t", "1", 1);
    note("one");
    client.subscribe("b");
    note("b");
    expect(device.lose().sort()).toEqual(["b: lost", "offline -10", "waiting broker 1 1000 -10"]);
    device.pass(1000);
    device.during.connect = () => {
      client.subscribe("c", 2);
      note("c");
    };
    expect(device.comeBack(false)).toEqual(["PUBLISH t=1 q1 #2 dup", "SUBSCRIBE #4 a:1", "SUBSCRIBE #5 c:2"]);
    device.take();
    device.send(suback(5, 128), suback(4, 1));
    expect(device.take()).toEqual([]);
    device.send(ack("PUBACK", 2));
    expect(device.take()).toEqual(["one: delivered", "renewed a 1", "suback 128", "c: refused"]);
    expect(device.list).toEqual({ a: 1 });
  });
});

describe("withReconnect", () => {
  test.each<[unknown, string]>([
    [{ minDelayMs: 0 }, "minDelayMs must be an integer from 1 to 1073741824, not 0"],
    [{ maxDelayMs: 1.5 }, "maxDelayMs must be an integer from 1 to 1073741824, not 1.5"],
    [{ minDelayMs: 2000, maxDelayMs: 1999 }, "maxDelayMs must be minDelayMs, which is 2000, or more, not 1999"],
    [{ stableMs: -1 }, "stableMs must be an integer from 0 to 1073741824, not -1"],
    [{ maxRounds: "1" }, 'maxRounds must be a number, not "1"'],
    [{ retryRefused: 2 }, "retryRefused must be 0, 1 or a boolean, not 2"],
    [{ renew: "yes" }, 'renew must be 0, 1 or a boolean, not "yes"'],
    [{ random: 4 }, "random must be a function, not 4"],
    [{ maxSubscriptions: 0 }, "maxSubscriptions must be an integer from 1 to 65535, not 0"],
    [{ delayMs: 3 }, 'unknown option "delayMs"'],
    [{ toString: 3 }, 'unknown option "toString"'],
    [{ hosts: [] }, "hosts must be an array of brokers, not an array"],
    [{ hosts: "a" }, 'hosts must be an array of brokers, not "a"'],
    [{ hosts: ["a"] }, 'hosts[0] must be an object, not "a"'],
    [{ hosts: [{ host: "a" }, {}] }, "hosts[1].host must be a name or an address, not undefined"],
    [{ hosts: [{ host: "" }] }, 'hosts[0].host must be a name or an address, not ""'],
    [{ hosts: [{ host: "a", port: 0 }] }, "hosts[0].port must be an integer from 1 to 65535, not 0"],
    [{ hosts: [{ host: "a", secure: "yes" }] }, 'secure must be 0, 1 or a boolean, not "yes"'],
    [{ hosts: [{ host: "a", secure: { bogus: 1 } }] }, "secure.bogus: no such TLS option"],
    [{ hosts: [{ host: "a", tls: 1 }] }, "unknown option hosts[0].tls"],
    [[], "options must be an object, not an array"],
    ["broker", 'options must be an object, not "broker"'],
  ])("%j: throws by name, and changes nothing", (options, text) => {
    const client = new Device().client;
    const handler = client.connection.handler;
    expect(() => withReconnect(client, options as ReconnectOptions)).toThrow(text);
    expect(client.connection.handler).toBe(handler);
    expect("state" in client || "subscriptions" in client).toBe(false);
  });

  test("TLS for one of the hosts, where the platform has none", () => {
    const device = new Device();
    device.hal.tlsOptions = undefined;
    expect(() => withReconnect(device.client, { hosts: [{ host: "a" }, { host: "b", secure: 1 }] }))
      .toThrow("secure: no TLS here");
  });

  test("null for the options, and for each of them, is the default", () => {
    const device = new Device();
    const client = withReconnect(device.client, null);
    expect(client.state).toBe("idle");
    const none = { hosts: null, minDelayMs: null, maxRounds: null, random: null, renew: null } as never;
    expect(withReconnect(new Device().client, none).state).toBe("idle");
  });
});
