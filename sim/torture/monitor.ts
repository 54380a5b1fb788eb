/**
 * Which callbacks may come when: the contract of the public client, told from the calls of the application. One for
 * each life of a device.
 *
 * Knows calls, answers and callbacks; not what a network or a broker is. Invariant: what it says is pending is what the
 * client owes the application.
 */
import type { Ledger, Message, Party } from "./ledger.js";
import type { Link } from "./link.js";
import { PACKET_IDENTIFIER_NOT_FOUND } from "./manners5.js";
import type { World } from "./world.js";

/** An operation that the client accepted and whose callback is to come. */
export interface Operation {
  readonly kind: "publish" | "subscribe" | "unsubscribe";
  readonly message: Message | undefined;
  /** Stays over the loss of a connection. */
  readonly isKept: boolean;
  /** May do so: it is kept, but not if it had begun to leave. */
  readonly mayStay: boolean;
  /**
   * Its connection was lost: it may have been finished before that and wait for the operations before it to be, or it
   * was dropped.
   */
  isOptional: boolean;
  /** Of the subscribes on its connection, the how manieth. */
  readonly index: number;
  readonly link: Link | undefined;
}

/** An operation that was accepted, as the features of a device hear of it. */
export interface Accepted {
  readonly kind: Operation["kind"];
  readonly message: Message | undefined;
  readonly index: number;
  readonly link: Link | undefined;
  /** Of a subscribe or an unsubscribe. */
  readonly filters: readonly string[];
  /** Subscription identifier. */
  readonly identifier?: number | undefined;
}

/** An attempt whose outcome is to come. */
interface Attempt {
  /** The client has begun it by itself. */
  readonly isRetry: boolean;
}

/** Times that bound what an application has to wait for. */
export interface Limits {
  keepAliveMs: number;
  connectTimeoutMs: number;
  drainTimeoutMs: number;
  autoReconnect: boolean;
  /** Within what time the client tries again by itself, behind what is being told; below 0: it does not. */
  retryMs(): number;
  /** What the broker takes forbids this message, with this reason code. */
  forbids(message: Message, code: number): boolean;
}

/** What CONNECT, CONNACK and the last bytes may each take. */
const STEP_MS = 5000;
/** The longest pause of the client before it tries again. */
const LONGEST_RETRY_MS = 64000;
/** Timers are late. */
const LATE_MS = 100;

export class Monitor {
  /** Operations that were accepted and whose callback is to come, in the order of the calls. */
  private _pending: Operation[] = [];
  /**
   * Where in `_pending` the next outcome may belong, rising: more than one place where an operation may have been
   * dropped or not.
   */
  private _places = [0];
  /** The connection whose session was accepted, until `offline`. */
  session: Link | undefined;
  /** The application has paused reading. */
  isPaused = false;
  private _resumedMs = 0;
  private _attempt: Attempt | undefined;
  private _retries = false;
  /** Whether the application or something else has ended the session cannot be told. */
  private _isReasonOpen = false;
  private _subscribes = 0;
  private _unsubscribes = 0;
  private _isOver = false;
  private readonly _world: World;
  private readonly _ledger: Ledger;
  private readonly _party: Party;
  private readonly _limits: Limits;

  constructor(world: World, ledger: Ledger, party: Party, limits: Limits) {
    this._world = world;
    this._ledger = ledger;
    this._party = party;
    this._limits = limits;
  }

  /** Every outcome that must come has come. */
  get isSettled(): boolean {
    return this._places.some((place) => this._pending.every((operation, at) => at < place || isOptional(operation)));
  }

  /** The client has nothing to tell about a connection: the application may start one. */
  get isIdle(): boolean {
    return this._attempt === undefined && this.session === undefined;
  }

  /** What may still be under way when the device is given its RAM back. */
  pending(): Operation[] {
    return this._pending.filter(({ kind, mayStay }) => kind === "publish" && mayStay)
      .map((operation) => ({ ...operation, isOptional: true }));
  }

  /** It was: which of these callbacks are still to come cannot be told. */
  carry(pending: Operation[]): void {
    this._pending = [...pending];
    for (const { message } of pending) if (message !== undefined) message.isHeard = false;
  }

  /** Nothing more will happen: of what cannot be told for certain, nothing is asked. */
  conclude(): void {
    for (let at = Math.min(...this._places); at < this._pending.length; at++) {
      const { message } = this._pending[at];
      if (message !== undefined && this._places.length > 1) message.isHeard = false;
    }
  }

  /** Reading goes on. */
  resumed(): void {
    this.isPaused = false;
    this._resumedMs = this._world.nowMs;
    const { session } = this;
    if (session !== undefined && session.silentSinceMs >= 0) this.silent(session);
  }

  /** The life of the device is over: nothing is owed any more. */
  end(): void {
    this._isOver = true;
  }

  // What the application calls.

  /** `connect` answered true. */
  connecting(): void {
    this._retries = this._limits.autoReconnect;
    this._expectOutcome({ isRetry: false }, this._closeMs());
  }

  /**
   * `close` gave this answer.
   *
   * @param wasUp as of `aborted`
   */
  closed(answer: boolean, wasUp: boolean): void {
    const attempt = this._attempt;
    this._retries = false;
    if (!answer) {
      // A try of the client's own is given up, one of the application goes on.
      if (attempt?.isRetry === true) this._attempt = undefined;
      return;
    }
    this._attempt = undefined;
    if (this.session !== undefined) {
      if (!wasUp && !this.session.isClosing) this._isReasonOpen = true;
      this.session.isPolite = wasUp || this.session.isClosing;
      this._ending(this.session, this._closeMs());
    }
  }

  /**
   * `abort` gave this answer.
   *
   * @param wasUp the client took operations; if not, the session may have had its end, and `offline` be about to come
   */
  aborted(answer: boolean, wasUp: boolean): void {
    this._retries = false;
    if (!answer) return;
    this._attempt = undefined;
    if (this.session === undefined) return;
    if (!wasUp && !this.session.isClosing) this._isReasonOpen = true;
    this.session.isPolite = false;
    this._ending(this.session, LATE_MS);
  }

  /** `publish` answered true. */
  published(message: Message, isCalledBack: boolean): void {
    if (!isCalledBack) return;
    message.isHeard = true;
    const isKept = message.qos > 0 && !this._party.isClean;
    const mayStay = isKept || message.isKept;
    this._pending.push({ kind: "publish", message, isKept, mayStay, isOptional: false, index: 0, link: this.session });
  }

  /** `subscribe` or `unsubscribe` answered true. Returns its place among those of its kind on this connection. */
  filtered(kind: "subscribe" | "unsubscribe", isCalledBack: boolean): number {
    const index = kind === "subscribe" ? this._subscribes++ : this._unsubscribes++;
    if (!isCalledBack) return index;
    const link = this.session;
    this._pending.push({ kind, message: undefined, isKept: false, mayStay: false, isOptional: false, index, link });
    return index;
  }

  /** The client has subscribed by itself. */
  renewed(): void {
    this._subscribes++;
  }

  // What the client calls.

  connected(link: Link | undefined, sessionPresent: boolean): void {
    if (this._attempt === undefined) return this._fail("connect: there was no attempt");
    if (this.session !== undefined) return this._fail("connect: before offline of the session before");
    if (link?.sessionPresent === undefined) return this._fail("connect: the broker has accepted nothing");
    if (link.sessionPresent !== sessionPresent) this._fail(`connect: session present ${sessionPresent}`);
    this._attempt = undefined;
    this.session = link;
    this._isReasonOpen = false;
    link.acceptedMs = this._world.nowMs;
    link.isAccepted = true;
  }

  failed(reason: number): void {
    if (this.session !== undefined) this._fail(`connfail ${reason}: a session is up`);
    const attempt = this._attempt;
    if (attempt === undefined) return this._fail(`connfail ${reason}: there was no attempt`);
    const retryMs = this._limits.retryMs();
    if (retryMs >= 0) this._expectOutcome({ isRetry: true }, retryMs);
    else if (attempt.isRetry && this._retries) this._expectOutcome({ isRetry: true }, LONGEST_RETRY_MS);
    else this._attempt = undefined;
  }

  offline(reason: number): void {
    const link = this.session;
    if (link === undefined) return this._fail(`offline ${reason}: no session was up`);
    if (link.isClosing !== (reason === 0) && !this._isReasonOpen) this._fail(`offline: reason ${reason}`);
    this.session = undefined;
    this.isPaused = false;
    this._subscribes = this._unsubscribes = 0;
    for (const operation of this._pending) if (!operation.isKept) operation.isOptional = true;
    // What was finished, and had nothing before it that was not, was told by now.
    this._moveTo(this._places.map((place) => {
      while (place < this._pending.length && isOptional(this._pending[place]) &&
        !this._pending[place].mayStay) place++;
      return place;
    }));
    const retryMs = this._limits.retryMs();
    if (retryMs >= 0) this._expectOutcome({ isRetry: true }, retryMs);
    else if (this._retries && !link.isClosing && this._attempt === undefined) {
      this._expectOutcome({ isRetry: true }, LONGEST_RETRY_MS);
    }
  }

  /**
   * The callback of an operation was called.
   *
   * @param isUp the client takes operations; while it does not, those that are not kept may have been dropped
   */
  done(kind: Operation["kind"], granted: Uint8Array | undefined, isUp: boolean): void {
    const pending = this._pending;
    const places: number[] = [];
    const maySkip = (operation: Operation): boolean => isOptional(operation) || (!isUp && !operation.isKept);
    for (const place of this._places) {
      for (let at = place; at < pending.length; at++) {
        if (pending[at].kind === kind && this._isGranted(pending[at], granted)) places.push(at + 1);
        if (!maySkip(pending[at])) break;
      }
    }
    if (places.length === 0) {
      const first = pending[this._places[0]] as Operation | undefined;
      const due = first === undefined ? "nothing is under way" : `${first.kind} is due, ${outcomeText(first)}`;
      return this._fail(`the callback of a ${kind}${granted === undefined ? "" : ` (${granted.join(" ")})`}: ${due}`);
    }
    const passed = Math.min(...places);
    // That PUBCOMP knows of no such message is no failure: it was completed before.
    const isRefused = kind === "publish" && granted !== undefined && granted[0] > 127 &&
      granted[0] !== PACKET_IDENTIFIER_NOT_FOUND;
    for (let at = 0; at < passed; at++) {
      const { message } = pending[at];
      // Which of several it is cannot be told.
      if (isRefused && places.includes(at + 1)) {
        if (message !== undefined && places.length === 1) this._ledger.refused(message);
        continue;
      }
      const isCertain = places.length === 1 && at + 1 === passed;
      if (message === undefined || maySkip(pending[at]) || (!isCertain && this._party.mayBeRefused(message))) continue;
      this._ledger.done(message);
    }
    this._moveTo(places);
  }

  /** The connection fell silent: the client has to find that out. */
  silent(link: Link): void {
    const keepAliveMs = Math.max(this._limits.keepAliveMs, 1000 * (link.keepAliveSeconds ?? 0));
    const limitMs = 2 * keepAliveMs + LATE_MS;
    this._world.after(limitMs, () => {
      if (this._isOver || this.session !== link || link.isClosing) return;
      // What is not read is not missed.
      if (this.isPaused || this._world.nowMs < this._resumedMs + limitMs) return;
      this._fail(`half-open: nothing came for ${2 * keepAliveMs} ms, and the session is still up`);
    });
  }

  /** What the broker has granted, or answered, or does not take, is what the callback says. */
  private _isGranted({ link, kind, index, message }: Operation, granted: Uint8Array | undefined): boolean {
    if (kind === "subscribe") return link?.granted[index]?.join() === granted?.join();
    if (granted === undefined) return true;
    if (kind === "unsubscribe") return link?.removed[index]?.join() === granted.join();
    if (message?.qos === 2 && granted[0] === PACKET_IDENTIFIER_NOT_FOUND) return true;
    return message !== undefined && (message.codes.has(granted[0]) || this._limits.forbids(message, granted[0]));
  }

  /** How long a session may take to end. */
  private _closeMs(): number {
    return this.session === undefined ? LATE_MS : this._limits.drainTimeoutMs + 2 * STEP_MS + LATE_MS;
  }

  private _expectOutcome(attempt: Attempt, beforeMs: number): void {
    this._attempt = attempt;
    const limitMs = beforeMs + this._limits.connectTimeoutMs + 2 * STEP_MS + LATE_MS;
    this._world.after(limitMs, () => {
      if (!this._isOver && this._attempt === attempt) this._fail(`stuck: an attempt without outcome for ${limitMs} ms`);
    });
  }

  private _ending(link: Link, limitMs: number): void {
    link.isClosing = true;
    this._world.after(limitMs, () => {
      if (!this._isOver && this.session === link) this._fail(`stuck: no offline within ${limitMs} ms of the end`);
    });
  }

  /** Forgets what lies before all of the places. */
  private _moveTo(places: number[]): void {
    const first = Math.min(...places);
    this._pending.splice(0, first);
    this._places = [...new Set(places.map((place) => place - first))].sort((a, b) => a - b);
  }

  private _fail(rule: string): void {
    this._world.fail(this._party.index, rule);
  }
}

/** Its callback may never come. */
function isOptional(operation: Operation): boolean {
  return operation.isOptional || operation.message?.mayVanish === true;
}

function outcomeText({ link, kind, index, message }: Operation): string {
  if (message !== undefined) return `message ${message.uid}`;
  return kind === "subscribe" ? `granted (${link?.granted[index]?.join(" ") ?? "not yet"})` : "";
}
