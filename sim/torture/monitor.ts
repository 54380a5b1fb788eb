/**
 * Which callbacks may come when: the contract of the public client, told from the calls of the application. One for
 * each life of a device.
 *
 * Knows calls, answers and callbacks; not what a network or a broker is. Invariant: what it says is pending is what the
 * client owes the application.
 */
import type { Ledger, Message, Party } from "./ledger.js";
import type { Link } from "./link.js";
import type { World } from "./world.js";

/** An operation that the client accepted and whose callback is to come. */
export interface Operation {
  readonly kind: "publish" | "subscribe" | "unsubscribe";
  readonly message: Message | undefined;
  /** Stays over the loss of a connection. */
  readonly isKept: boolean;
  /** Of the subscribes on its connection, the how manieth. */
  readonly index: number;
  readonly link: Link | undefined;
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
}

/** What CONNECT, CONNACK and the last bytes may each take. */
const STEP_MS = 5000;
/** The longest pause of the client before it tries again. */
const LONGEST_RETRY_MS = 64000;
/** Timers are late. */
const LATE_MS = 100;

export class Monitor {
  /** Operations that were accepted and whose callback is to come, in the order of the calls. */
  pending: Operation[] = [];
  /** The connection whose session was accepted, until `offline`. */
  session: Link | undefined;
  private _attempt: Attempt | undefined;
  private _retries = false;
  private _subscribes = 0;
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

  /** The client has nothing to tell about a connection: the application may start one. */
  get isIdle(): boolean {
    return this._attempt === undefined && this.session === undefined;
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

  /** `close` gave this answer. */
  closed(answer: boolean): void {
    const attempt = this._attempt;
    this._retries = false;
    if (!answer) {
      // A try of the client's own is given up, one of the application goes on.
      if (attempt?.isRetry === true) this._attempt = undefined;
      return;
    }
    if (this.session === undefined) this._attempt = undefined;
    else this._ending(this.session, this._closeMs());
  }

  /** `abort` gave this answer. */
  aborted(answer: boolean): void {
    this._retries = false;
    if (!answer) return;
    this._attempt = undefined;
    if (this.session !== undefined) this._ending(this.session, LATE_MS);
  }

  /** `publish` answered true. */
  published(message: Message, isCalledBack: boolean): void {
    if (!isCalledBack) return;
    const isKept = message.qos > 0 && !this._party.isClean;
    this.pending.push({ kind: "publish", message, isKept, index: 0, link: this.session });
  }

  /** `subscribe` or `unsubscribe` answered true. */
  filtered(kind: "subscribe" | "unsubscribe", isCalledBack: boolean): void {
    const index = kind === "subscribe" ? this._subscribes++ : 0;
    if (!isCalledBack) return;
    this.pending.push({ kind, message: undefined, isKept: false, index, link: this.session });
  }

  // What the client calls.

  connected(link: Link | undefined, sessionPresent: boolean): void {
    if (this._attempt === undefined) return this._fail("connect: there was no attempt");
    if (this.session !== undefined) return this._fail("connect: before offline of the session before");
    if (link?.sessionPresent === undefined) return this._fail("connect: the broker has accepted nothing");
    if (link.sessionPresent !== sessionPresent) this._fail(`connect: session present ${sessionPresent}`);
    this._attempt = undefined;
    this.session = link;
    this._subscribes = 0;
    link.isAccepted = true;
  }

  failed(reason: number): void {
    if (this.session !== undefined) this._fail(`connfail ${reason}: a session is up`);
    const attempt = this._attempt;
    if (attempt === undefined) return this._fail(`connfail ${reason}: there was no attempt`);
    if (attempt.isRetry && this._retries) this._expectOutcome({ isRetry: true }, LONGEST_RETRY_MS);
    else this._attempt = undefined;
  }

  offline(reason: number): void {
    const link = this.session;
    if (link === undefined) return this._fail(`offline ${reason}: no session was up`);
    if (link.isClosing !== (reason === 0)) this._fail(`offline: reason ${reason}`);
    this.session = undefined;
    this.pending = this.pending.filter(({ isKept }) => isKept);
    if (this._retries && !link.isClosing && this._attempt === undefined) {
      this._expectOutcome({ isRetry: true }, LONGEST_RETRY_MS);
    }
  }

  /** The callback of an operation was called. */
  done(kind: Operation["kind"], granted: Uint8Array | undefined): void {
    const operation = this.pending.shift();
    if (operation === undefined) return this._fail(`${kind} has its outcome: none was under way`);
    if (operation.kind !== kind) return this._fail(`${kind} has its outcome: before ${operation.kind}`);
    if (operation.message !== undefined) this._ledger.done(operation.message);
    if (kind !== "subscribe") return;
    const expected = operation.link?.granted[operation.index];
    if (expected?.join() !== granted?.join()) {
      this._fail(`suback: granted ${granted?.join()}, the broker has sent ${expected?.join()}`);
    }
  }

  /** The connection fell silent: the client has to find that out. */
  silent(link: Link): void {
    this._world.after(2 * this._limits.keepAliveMs + LATE_MS, () => {
      if (this._isOver || this.session !== link || link.isClosing) return;
      this._fail(`half-open: nothing came for ${2 * this._limits.keepAliveMs} ms, and the session is still up`);
    });
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

  private _fail(rule: string): void {
    this._world.fail(this._party.index, rule);
  }
}
