import { describe, expect, it } from "@jest/globals";
import type { SessionOptions } from "../../src/session.js";
import type { Operation } from "../support/session-link.js";
import { Link, ModelBroker } from "../support/session-link.js";
import type { Random } from "../support/session-harness.js";
import { repeat, seeded } from "../support/session-harness.js";
import { SLOWNESS } from "../support/slowness.js";

const OPTIONS: SessionOptions = {
  cleanSession: false,
  queueOffline: false,
  keepAliveSeconds: 60,
  maxInflight: 16,
  ackTimeoutMs: 2 ** 30,
  drainTimeoutMs: 2000,
  txCapacity: 1024,
  maxOperations: 32,
  receiveMaximum: 16,
};

/** How often `payload` is among `payloads`. */
function times(payloads: readonly string[] | undefined, payload: string): number {
  return payloads?.filter((each) => each === payload).length ?? 0;
}

/** What is asked for in the scripted exchange, and what the broker sends meanwhile. */
const ASKED: [Operation["kind"], string][] = [
  ["subscribe", "s"],
  [0, "a0"],
  [1, "a1"],
  [2, "a2"],
  ["unsubscribe", "u"],
  [2, "b2"],
  [1, "b1"],
  [0, "b0"],
];
const SENT: [number, string][] = [[1, "x1"], [2, "x2"], [0, "x0"], [2, "y2"], [1, "y1"]];

/** Ways in which bytes move. */
interface Manner {
  /** Bytes that leave at a time. */
  piece: number;
  maxInflight: number;
  /** Messages of the broker leave before its answers. */
  messagesFirst: boolean;
}

/**
 * The scripted exchange, up to the moment when `out` bytes have arrived at the broker and `into` bytes at the client.
 * Returns what would have been there without these limits.
 */
function exchange(link: Link, broker: ModelBroker, manner: Manner, out: number, into: number): [number, number] {
  let outMoved = 0;
  let intoMoved = 0;
  let wasAsked = false;
  link.connect();
  for (let hasMoved = true; hasMoved;) {
    hasMoved = link.write(manner.piece);
    const outBefore = link.toBroker.length;
    hasMoved = link.arrive(out - outMoved) || hasMoved;
    outMoved += outBefore - link.toBroker.length;
    while (link.release(manner.messagesFirst)) hasMoved = true;
    const intoBefore = link.toClient.length;
    hasMoved = link.read(into - intoMoved) || hasMoved;
    intoMoved += intoBefore - link.toClient.length;
    if (!wasAsked && link.session.isUp()) {
      wasAsked = hasMoved = true;
      for (const [kind, payload] of ASKED) expect(link.ask(kind, payload)).toBe(true);
      for (const [qos, payload] of SENT) broker.send("me", qos, payload);
    }
  }
  return [outMoved, intoMoved];
}

/** As `expect(count)...`, without its cost: these are many. */
function check(isRight: boolean, title: string): void {
  if (!isRight) throw new Error(title);
}

describe("Session, connection lost at any byte", () => {
  const manners: Manner[] = [
    { piece: Infinity, maxInflight: 16, messagesFirst: false },
    { piece: Infinity, maxInflight: 2, messagesFirst: true },
    { piece: 5, maxInflight: 1, messagesFirst: false },
  ];
  it.each(manners)("delivers both ways as QoS 1 and 2 say, one outcome each [MQTT-4.4.0-1] (%j)", (manner) => {
    const options = { ...OPTIONS, maxInflight: manner.maxInflight };
    const make = (): [Link, ModelBroker] => {
      const broker = new ModelBroker(16);
      return [new Link(broker, "me", options), broker];
    };
    const [outLength, intoLength] = exchange(...make(), manner, Infinity, Infinity);
    expect(outLength).toBeGreaterThan(100);
    expect(intoLength).toBeGreaterThan(80);
    let count = 0;
    for (let out = 0; out <= outLength; out++) {
      // A third of the bytes of one stream for each of the other: enough, and in a third of the time.
      for (let into = out % 3; into <= intoLength; into += 3) {
        if (count++ % SLOWNESS !== 0) continue;
        const where = `cut behind ${out} and ${into} bytes: `;
        const [link, broker] = make();
        exchange(link, broker, manner, out, into);
        const wasUp = link.operations.length > 0;
        link.cut();
        link.connect();
        link.settle();
        const taken = broker.taken.get("me");
        for (const { kind, payload, hasOutcome } of link.operations) {
          if (kind === 1) check(times(taken, payload) >= 1, `${where}${payload} is lost`);
          if (kind === 2) check(times(taken, payload) === 1, `${where}${payload} came ${times(taken, payload)} times`);
          if (kind === 0) check(times(taken, payload) <= 1, `${where}${payload} came twice`);
          if (kind === 1 || kind === 2) check(hasOutcome, `${where}${payload} has no outcome`);
        }
        for (const [qos, payload] of SENT) {
          if (!wasUp) break;
          const count = times(link.delivered, payload);
          if (qos > 0) check(count >= 1, `${where}${payload} is lost`);
          if (qos !== 1) check(count <= 1, `${where}${payload} came ${count} times`);
        }
        check(link.session.outbox.operations === 0, `${where}operations are left`);
        check(link.ask(2, "again"), `${where}nothing is accepted any more`);
        link.settle();
        check(times(broker.taken.get("me"), "again") === 1, `${where}nothing is sent any more`);
      }
    }
  });
});

/** Two clients that write to each other through a broker, and a network that does what it likes. */
class World {
  readonly links: Link[];
  private readonly random: Random;
  private readonly broker: ModelBroker;
  private readonly options: SessionOptions;
  /** The broker loses sessions now and then: what is delivered once may come twice. */
  private readonly forgets: boolean;
  private serial = 0;

  constructor(random: Random) {
    this.random = random;
    this.options = {
      ...OPTIONS,
      cleanSession: random.below(4) === 0,
      maxInflight: 1 + random.below(5),
      txCapacity: 40 + random.below(300),
      maxOperations: 1 + random.below(12),
      receiveMaximum: 1 + random.below(6),
    };
    this.forgets = random.below(5) === 0;
    this.broker = new ModelBroker(this.options.receiveMaximum);
    this.links = ["one", "two"].map((name) => new Link(this.broker, name, this.options));
    // Each is known from the beginning, so that nothing is lost because nobody listens.
    for (const link of this.links) {
      link.connect();
      link.settle();
      link.whenDelivered = () => {
        if (random.below(4) === 0) this.ask(link);
        if (random.below(4) === 0) link.write(1 + random.below(30));
      };
    }
  }

  ask(link: Link): void {
    const kind = this.random.pick<Operation["kind"]>([0, 1, 2, 1, 2, "subscribe", "unsubscribe"]);
    link.ask(kind, `${link.clientId}${kind}-${this.serial++}`.padEnd(this.random.below(40), "."));
  }

  step(): void {
    const { random, broker } = this;
    const link = random.pick(this.links);
    if (link.connection === undefined) {
      if (random.below(4) > 0) return;
      if (this.forgets && random.below(4) === 0) broker.forget(link.clientId);
      link.connect();
      return;
    }
    switch (random.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3:
        this.ask(link);
        break;
      case 4:
      case 5:
      case 6:
        link.write(random.below(3) === 0 ? Infinity : 1 + random.below(30));
        break;
      case 7:
      case 8:
        link.arrive(random.below(3) === 0 ? Infinity : 1 + random.below(60));
        break;
      case 9:
      case 10:
      case 11:
        link.release(random.below(2) === 0);
        break;
      case 12:
      case 13:
        link.read(random.below(3) === 0 ? Infinity : 1 + random.below(60));
        break;
      case 14:
        if (random.below(6) === 0) link.advance(random.below(1000));
        break;
      default:
        if (random.below(12) === 0) link.cut();
        else if (random.below(40) === 0) link.session.disconnect(link.nowMs);
    }
  }

  /** Everything comes to rest; then all must be there. */
  finish(): void {
    const connections = this.links.map((link) => link.connections);
    for (const link of this.links) {
      link.whenDelivered = () => undefined;
      if (link.connection === undefined) link.connect();
    }
    for (let round = 0; round < 10; round++) {
      for (const link of this.links) {
        link.settle();
        if (link.connection === undefined) link.connect();
      }
    }
    const { cleanSession } = this.options;
    for (const [i, link] of this.links.entries()) {
      const other = this.links[1 - i];
      const taken = this.broker.taken.get(link.clientId);
      check(link.session.outbox.operations === 0, `${link.clientId} is stuck`);
      for (const { kind, payload, connection, hasOutcome } of link.operations) {
        const count = times(taken, payload);
        const reached = times(other.delivered, payload);
        const survived = connection === link.connections && connections[i] === link.connections;
        if (survived) check(hasOutcome, `${payload} has no outcome`);
        if (typeof kind === "string") continue;
        if (survived) check(count >= 1, `${payload} is lost`);
        if (kind !== 1 && !this.forgets) {
          check(count <= 1 && reached <= 1, `${payload} came ${count} and ${reached} times`);
        }
        if (kind === 0 || cleanSession) continue;
        check(hasOutcome, `${payload} has no outcome`);
        check(count >= 1, `${payload} is lost on its way to the broker`);
        if (!this.forgets) check(reached >= 1, `${payload} is lost on its way from the broker`);
      }
    }
  }
}

describe("Session, at random", () => {
  it("delivers at least once at QoS 1, exactly once at QoS 2, and never gets stuck", () => {
    repeat(2000, (seed) => {
      const random = seeded(seed);
      const world = new World(random);
      for (let left = 50 + random.below(400); left > 0; left--) world.step();
      world.finish();
    });
  });
});
