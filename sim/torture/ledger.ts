/**
 * What was promised and what has come of it: every message with its arrivals at the broker, and every delivery that the
 * broker owes a device. Judges at each arrival what may never happen, and at the end of a schedule what must have
 * happened, once the network is healed and everything is quiet.
 *
 * What holds, and when, is in DESIGN.md, "Delivery, row by row".
 *
 * An acknowledgement never precedes its callback; what comes is what was sent, byte by byte; an overflow is its
 * beginning.
 */
import type { GivenProperties } from "../../src/v5/face.js";
import type { World } from "./world.js";

/** Somebody who accepts or receives messages, as far as it matters here. */
export interface Party {
  readonly index: number;
  readonly isClean: boolean;
  /** Times that its RAM was lost. */
  restarts: number;
  /** Times that the broker lost its session. */
  losses: number;
  /** Messages at QoS 0 that wait may make room for others. */
  readonly dropsOldest: boolean;
  /** False if everything that was written since the message was accepted was read, and read whole. */
  mayHaveBeenCut(message: Message): boolean;
  /** Its broker has refused the message, or takes none like it. */
  mayBeRefused(message: Message): boolean;
}

/** A message, from the call on. */
export interface Message {
  /** Rises with the calls. */
  readonly uid: number;
  readonly topic: string;
  readonly payload: string;
  readonly qos: number;
  readonly retain: boolean;
  /** Undefined: it comes from outside. */
  readonly source: Party | undefined;
  /** Number of the session it was accepted in. */
  readonly session: number;
  restarts: number;
  readonly losses: number;
  /** A will may be published again with each connection. */
  readonly isWill: boolean;
  /** Times that it arrived and was taken for a message of its own. */
  arrivals: number;
  /** Times that its PUBLISH was read, and where it was last. */
  reads: number;
  lastLink: unknown;
  packetId: number;
  /** The application listens to `puback`. */
  isHeard: boolean;
  /** The broker took it for a repetition of one from before a restart. */
  isSwallowed: boolean;
  /** Its outcome was told; what the device had lost by then. */
  isDone: boolean;
  restartsWhenDone: number;
  lossesWhenDone: number;
  /** The first connection that it could leave on. */
  firstLink: number;
  /** Its payload is not kept by the client. */
  isStreamed: boolean;
  /** It stays over the loss of a connection though its QoS is 0. */
  isKept: boolean;
  /** It may be dropped or expire before it begins to leave. */
  mayVanish: boolean;
  /** When it expires; below 0: never, or it cannot be told. */
  expiresMs: number;
  /** Its device was given back what it had, and that was not in it, or may vanish: nothing is asked of it. */
  isVoid: boolean;
  /** It was in an older one: what has become of it since, the device does not know. */
  isOld: boolean;
  /** The broker has acknowledged it for good. */
  isAcked: boolean;
  /** Its outcome, once it was told to who asked for that; "" before. */
  outcome: string;
  /** Reason codes that it was acknowledged with; from 128 on, the broker has not taken it. */
  readonly codes: Set<number>;
  /** What the application has said of it beside the rest. */
  given: GivenProperties | undefined;
  /** A broker has refused it, whether anybody has heard of that or not. */
  isRejected: boolean;
}

/** A message that the broker owes a device. */
export interface Delivery {
  readonly message: Message;
  readonly qos: number;
  /** Rises in the order in which the broker has them. */
  readonly order: number;
  readonly losses: number;
  count: number;
  /** Restarts of the device while it was under way. */
  restarts: number;
  /** It is over for the broker: acknowledged, sent at QoS 0, or lost. */
  isOver: boolean;
  /** The broker does not owe it any more though it was not acknowledged. */
  isLost: boolean;
  /** PUBREL was sent. */
  isReleased: boolean;
  lastLink: unknown;
  /** Its PUBLISH as it was sent last: where, how many bytes, and what it said beside the rest. */
  sentOn: unknown;
  packetLength: number;
  properties: GivenProperties | undefined;
}

/** The times of messages that expire with MQTT 5 are rounded down, once more where they come from a snapshot. */
const EARLY_MS = 4;

/** Highest number so far, by topic and QoS. */
type Marks = Map<string, number>;

export class Ledger {
  readonly messages = new Map<number, Message>();
  /** By device. */
  private readonly _deliveries: Map<number, Delivery>[];
  private readonly _arrived: Marks[];
  private readonly _delivered: Marks[];
  private readonly _world: World;
  private readonly _parties: Party[];
  private _lastUid = 0;
  private _order = 0;
  /** The broker hands QoS 2 on when PUBLISH comes, rather than PUBREL. */
  private readonly _isEager: boolean;

  constructor(world: World, parties: Party[], isEager: boolean) {
    this._world = world;
    this._parties = parties;
    this._isEager = isEager;
    this._deliveries = parties.map(() => new Map<number, Delivery>());
    this._arrived = parties.map(() => new Map<string, number>());
    this._delivered = parties.map(() => new Map<string, number>());
  }

  /** Number of the next message. */
  nextUid(): number {
    return ++this._lastUid;
  }

  /** A message was accepted, or comes from outside, or is a will. */
  add(
    uid: number, topic: string, payload: string, qos: number, retain: boolean, source: Party | undefined,
    session: number, isWill: boolean,
  ): Message {
    const message: Message = {
      uid, topic, payload, qos, retain, source, session, isWill,
      restarts: source?.restarts ?? 0,
      losses: source?.losses ?? 0,
      arrivals: 0,
      reads: 0,
      lastLink: undefined,
      packetId: 0,
      isHeard: false,
      isSwallowed: false,
      isDone: false,
      restartsWhenDone: 0,
      lossesWhenDone: 0,
      firstLink: 0,
      isStreamed: false,
      isKept: false,
      mayVanish: false,
      expiresMs: -1,
      isVoid: false,
      isOld: false,
      isAcked: false,
      outcome: "",
      codes: new Set(),
      given: undefined,
      isRejected: false,
    };
    this.messages.set(uid, message);
    return message;
  }

  /** Its outcome was told. */
  done(message: Message): void {
    const { source } = message;
    message.isDone = true;
    message.restartsWhenDone = source?.restarts ?? 0;
    message.lossesWhenDone = source?.losses ?? 0;
    // At QoS 1 the broker has it, whatever became of its session. At QoS 2 it has if it kept the session.
    const mustHave = message.qos === 1 || (message.qos === 2 && message.losses === message.lossesWhenDone);
    if (mustHave && message.arrivals === 0 && !message.isSwallowed) {
      this._fail(source, `${textOf(message)}: puback was called, but the broker does not have it`);
    }
  }

  /** Its outcome was told: it was refused, by its broker or by what one takes. */
  refused(message: Message): void {
    const { source } = message;
    message.isDone = true;
    message.restartsWhenDone = source?.restarts ?? 0;
    message.lossesWhenDone = source?.losses ?? 0;
    message.outcome = "refused";
  }

  /** It is removed when it is so old, unless it has begun to leave. */
  expires(message: Message, ageMs: number): void {
    message.mayVanish = true;
    message.expiresMs = this._world.nowMs + ageMs;
  }

  /** What became of it, as the client says. */
  outcome(message: Message, outcome: string): void {
    const { source, qos, reads, expiresMs } = message;
    message.outcome = outcome;
    if (outcome === "delivered") {
      if (qos > 0) this.done(message);
      return;
    }
    const what = `${textOf(message)}: ${outcome}`;
    if (source === undefined) return this._fail(source, what);
    // With which reason code, `refused` has judged, or nobody was told.
    if (outcome === "refused") {
      if (!source.mayBeRefused(message)) this._fail(source, what);
      return;
    }
    if (outcome === "lost") {
      if (qos > 0 && !source.isClean) this._fail(source, `${what}, though its session is persistent`);
      if (qos === 0 && message.isKept && !source.mayHaveBeenCut(message)) {
        this._fail(source, `${what}, though it had not begun to leave`);
      }
    } else if (outcome === "dropped") {
      if (qos > 0 || !source.dropsOldest || message.isStreamed) this._fail(source, what);
    } else if (expiresMs < 0 || this._world.nowMs < expiresMs - (message.given === undefined ? 0 : EARLY_MS)) {
      this._fail(source, `${what}, before its time`);
    }
    if (reads > 0 && !message.isOld && (outcome !== "lost" || qos === 0)) {
      this._fail(source, `${what}, though the broker has it`);
    }
  }

  /** It is being read: whether it may be, by what was said of it. */
  checkRead(message: Message, acceptedMs: number, mayHaveBeenSent: boolean): void {
    const { source, outcome, expiresMs, qos } = message;
    const isGone = outcome === "expired" || outcome === "dropped" || outcome === "refused";
    if (isGone || (outcome === "lost" && qos === 0)) {
      this._fail(source, `${textOf(message)}: arrives though its outcome was ${outcome}`);
    }
    if (message.reads === 0 && expiresMs >= 0 && expiresMs < acceptedMs && !mayHaveBeenSent) {
      this._fail(source, `${textOf(message)}: arrives though it expired before the connection was there`);
    }
  }

  /** The broker has it, as a message of its own. */
  arrived(message: Message): void {
    message.arrivals++;
    const { source } = message;
    if (source === undefined || message.isWill || message.arrivals > 1 || message.restarts < source.restarts) return;
    // What is refused first and taken then has lost its place.
    if (message.isVoid || message.isRejected) return;
    this._inOrder(this._arrived[source.index], message, message.uid, message.qos, source);
  }

  /** The session of a device is lost: order begins anew. */
  sessionLost(party: Party): void {
    this._arrived[party.index].clear();
    this._delivered[party.index].clear();
  }

  /** The device has lost its RAM. */
  restarted(party: Party): void {
    this._arrived[party.index].clear();
    for (const delivery of this._deliveries[party.index].values()) {
      if (!delivery.isOver) delivery.restarts++;
    }
  }

  /** The device was given its RAM back; what it did not know of the time in between. */
  restored(party: Party, unknownMs: number): void {
    for (const message of this.messages.values()) {
      if (message.source !== party) continue;
      if (message.isStreamed) message.isVoid = true;
      if (message.expiresMs >= 0) message.expiresMs += unknownMs;
    }
  }

  /** Behind `restarted`: the device was given back what it once had, with these messages. */
  reborn(party: Party, uids: number[]): void {
    for (const uid of uids) {
      const message = this.messages.get(uid);
      if (message?.source !== party) {
        this._fail(party, `snapshot: it has message ${uid}, which nobody has published`);
        continue;
      }
      message.restarts = party.restarts;
      message.isOld = true;
      message.isDone = message.isHeard = false;
      message.outcome = "";
      message.expiresMs = -1;
      // It may be gone before it leaves again, though the broker has begun with it.
      if (message.mayVanish) message.isVoid = true;
    }
  }

  /** Nothing is under way, the client says. */
  checkDrained(party: Party, session: number, link: unknown): void {
    for (const message of this.messages.values()) {
      const { source, qos, isWill, restarts, isVoid, isOld, isAcked, mayVanish, losses } = message;
      if (source !== party || isWill || qos === 0 || restarts !== party.restarts || isVoid || isOld) continue;
      if (isAcked || mayVanish || party.mayBeRefused(message) || losses !== party.losses) continue;
      if (party.isClean && message.session !== session) continue;
      this._fail(party, `${textOf(message)}: not acknowledged, but drain says true`);
    }
    for (const delivery of this._deliveries[party.index].values()) {
      const { qos, count, restarts, isOver, isLost, isReleased, losses } = delivery;
      if (qos < 2 || count === 0 || restarts > 0 || isOver || isLost || isReleased || losses !== party.losses) continue;
      if (party.isClean && delivery.lastLink !== link) continue;
      this._fail(party, `${textOf(delivery.message)}: PUBREL is to come, but drain says true`);
    }
  }

  /** The broker has a message for a device. */
  owe(party: Party, message: Message, qos: number): Delivery {
    const delivery: Delivery = {
      message, qos,
      order: ++this._order,
      losses: party.losses,
      count: 0,
      restarts: 0,
      isOver: false,
      isLost: false,
      isReleased: false,
      lastLink: undefined,
      sentOn: undefined,
      packetLength: 0,
      properties: undefined,
    };
    this._deliveries[party.index].set(message.uid, delivery);
    return delivery;
  }

  /** The callback was called with a message whose number is `uid`. */
  delivered(
    party: Party, uid: number, topic: string, data: string, isWhole: boolean, qos: number, dup: boolean, link: unknown,
  ): void {
    const delivery = this._deliveries[party.index].get(uid);
    if (delivery === undefined) return this._fail(party, `a message that nobody sent: ${topic} ${data.slice(0, 20)}`);
    const { message } = delivery;
    const isSame = isWhole ? data === message.payload : message.payload.startsWith(data);
    if (topic !== message.topic || !isSame) {
      return this._fail(party, `${textOf(message)}: delivered as ${topic}, ${data.length} bytes: not what was sent`);
    }
    if (qos !== delivery.qos) this._fail(party, `${textOf(message)}: delivered at QoS ${qos}, sent at ${delivery.qos}`);
    if (message.isWill) return;
    delivery.count++;
    if (delivery.count === 1) {
      if (delivery.losses === party.losses) {
        this._inOrder(this._delivered[party.index], message, delivery.order, qos, party);
      }
    } else if (qos === 0 || (qos === 2 && delivery.count > 1 + delivery.restarts) || party.isClean) {
      this._fail(party, `${textOf(message)}: delivered ${delivery.count} times at QoS ${qos}`);
    } else if (!dup) {
      this._fail(party, `${textOf(message)}: delivered again without DUP`);
    } else if (delivery.lastLink === link) {
      this._fail(party, `${textOf(message)}: delivered twice on one connection`);
    }
    delivery.lastLink = link;
  }

  /** The delivery that the broker has under this number. */
  deliveryOf(party: Party, uid: number): Delivery | undefined {
    return this._deliveries[party.index].get(uid);
  }

  /**
   * What must have happened by now.
   *
   * @param soundSession number of the session of a device that is up and that nothing was taken from; -1: none
   */
  conclude(soundSession: (party: Party) => number): void {
    for (const message of this.messages.values()) {
      const { source } = message;
      if (source !== undefined && !message.isWill) this._concludeMessage(message, source, soundSession(source));
    }
    for (const party of this._parties) {
      for (const delivery of this._deliveries[party.index].values()) {
        const { qos, count, isLost, message } = delivery;
        if (message.isWill || isLost || party.isClean || qos === 0) continue;
        if (count === 0) this._fail(party, `${textOf(message)}: owed at QoS ${qos} and never delivered`);
        else if (!delivery.isOver) this._fail(party, `${textOf(message)}: delivered and never acknowledged`);
      }
    }
  }

  private _concludeMessage(message: Message, source: Party, soundSession: number): void {
    const { qos, arrivals } = message;
    const restarts = message.isDone ? message.restartsWhenDone : source.restarts;
    const losses = (message.isDone ? message.lossesWhenDone : source.losses) - message.losses;
    const isForgotten = restarts !== message.restarts;
    let least = 0;
    let most = qos === 1 && !source.isClean ? Infinity : 1;
    if (qos === 0) {
      const isKept = message.isKept && !isForgotten && !source.mayHaveBeenCut(message);
      least = message.session === soundSession || isKept ? 1 : 0;
    }
    else if (source.isClean) least = message.isDone || message.session === soundSession ? 1 : 0;
    else if (!isForgotten) least = 1;
    if (qos === 2) {
      most = 1 + losses;
      if (message.isSwallowed || (losses > 0 && !this._isEager)) least = 0;
    }
    const { outcome } = message;
    // The broker may have said so, and that may have been lost.
    const mayBeGone = message.mayVanish && message.reads === 0 && outcome === "";
    if (mayBeGone || message.isVoid || source.mayBeRefused(message)) least = 0;
    if (outcome === "expired" || outcome === "dropped" || (qos === 0 && outcome === "lost")) least = most = 0;
    if (message.isOld) most = Infinity;
    if (arrivals < least) this._fail(source, `${textOf(message)}: accepted and lost`);
    if (arrivals > most) this._fail(source, `${textOf(message)}: arrived ${arrivals} times`);
    const isOwed = message.isHeard && !message.isDone && !message.mayVanish;
    if (least > 0 && isOwed && qos > 0 && !isForgotten) {
      this._fail(source, `${textOf(message)}: its puback was never called`);
    }
  }

  private _inOrder(marks: Marks, message: Message, order: number, qos: number, party: Party): void {
    const key = `${qos}${message.topic}`;
    const last = marks.get(key) ?? 0;
    if (order < last) this._fail(party, `${textOf(message)}: out of order at QoS ${qos}`);
    else marks.set(key, order);
  }

  private _fail(party: Party | undefined, rule: string): void {
    this._world.fail(party?.index ?? -1, rule);
  }
}

/** A message as the trace and a report name it. */
export function textOf(message: Message): string {
  return `message ${message.uid} (QoS ${message.qos}, ${message.topic}, ${message.payload.length} bytes)`;
}

const FILLER = "abcdefghijklmnopqrstuvwxyz";

/** A payload of `length` bytes, at least, that names its message; empty for 0. */
export function payloadOf(uid: number, length: number): string {
  if (length === 0) return "";
  let payload = `${uid}.`;
  while (payload.length < length) payload += FILLER.slice(uid % 26, (uid % 26) + length - payload.length);
  return payload;
}

/** The number in a payload or, if that is empty, in the topic; 0: it cannot be told. */
export function uidOf(topic: string, payload: string): number {
  const dot = payload.indexOf(".");
  if (dot > 0) return Number(payload.slice(0, dot));
  const empty = topic.indexOf("/e");
  return payload === "" && empty >= 0 ? Number(topic.slice(empty + 2)) : 0;
}
