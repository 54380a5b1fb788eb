/**
 * Promises of what was accepted: each settles once, by its outcome, its time limit or its AbortSignal.
 *
 * Knows promises and time, not what they are for.
 */
import type { Hal, Timer } from "../../hal/socket.js";
import { ABORTED, MqttError, TIMED_OUT } from "./errors.js";

/** As much of an AbortSignal as is used here: an engine without one can bring its own. */
export interface Signal {
  readonly aborted: boolean;
  readonly reason?: unknown;
  addEventListener(type: "abort", listener: () => void): void;
  removeEventListener(type: "abort", listener: () => void): void;
}

/** What may end the waiting early. */
export interface Limits {
  /** Seconds. */
  timeout?: number | undefined;
  signal?: Signal | undefined;
}

/** One promise that is to be settled. */
export class Operation<T> {
  readonly promise: Promise<T>;
  /** When it is too late, on the platform's clock; undefined: never. */
  readonly deadlineMs: number | undefined;
  /** It waits for an answer of the broker. */
  readonly isAsking: boolean;
  /** Turns to wait once it is too late: its outcome may be about to be told. */
  patience = 0;
  private readonly _operations: Operations;
  private readonly _signal: Signal | undefined;
  private readonly _explain: ((error: MqttError) => void) | undefined;
  private _resolve!: (value: T) => void;
  private _reject!: (error: MqttError) => void;
  private readonly _onAbort = (): void => this.fail(new MqttError(ABORTED, this._signal?.reason));

  constructor(
    operations: Operations,
    deadlineMs: number | undefined,
    signal: Signal | undefined,
    isAsking: boolean,
    explain: ((error: MqttError) => void) | undefined,
  ) {
    this._operations = operations;
    this.deadlineMs = deadlineMs;
    this.isAsking = isAsking;
    this._signal = signal;
    this._explain = explain;
    this.promise = new Promise<T>((resolve, reject) => {
      this._resolve = resolve;
      this._reject = reject;
    });
    // Who does not wait for it is not to be ended by it.
    this.promise.catch(() => {});
    signal?.addEventListener("abort", this._onAbort);
  }

  succeed(value: T): void {
    if (this._leave()) this._resolve(value);
  }

  fail(error: MqttError): void {
    if (!this._leave()) return;
    this._explain?.(error);
    this._reject(error);
  }

  private _leave(): boolean {
    this._signal?.removeEventListener("abort", this._onAbort);
    return this._operations.close(this, this.isAsking);
  }
}

/** Those of one client that are under way: as many as it accepts operations, and few more. */
export class Operations {
  private readonly _hal: Hal;
  private readonly _timer: Timer;
  private readonly _onChange: () => void;
  private readonly _underWay = new Set<unknown>();
  /** How many of them wait for an answer of the broker. */
  asking = 0;
  /** When the timer is to fire; undefined: it is not set. */
  private _armedMs: number | undefined = undefined;

  /** @param onChange there is one more, or one less */
  constructor(hal: Hal, onChange: () => void) {
    this._hal = hal;
    this._onChange = onChange;
    this._timer = hal.createTimer(() => {
      this._armedMs = undefined;
      for (const operation of this._all()) {
        if (operation.deadlineMs === undefined) continue;
        const isLate = this._leftMs(operation.deadlineMs) <= 0;
        if (isLate && operation.patience-- <= 0) operation.fail(new MqttError(TIMED_OUT));
        else this._arm(operation.deadlineMs);
      }
    });
  }

  /**
   * Opens one. Its signal must not be aborted already.
   *
   * @param isAsking it waits for an answer of the broker
   * @param explain adds to an error what is known of the operation
   */
  open<T>(limits: Limits, isAsking: boolean, explain?: (error: MqttError) => void): Operation<T> {
    const timeout = limits.timeout;
    const deadlineMs = timeout === undefined ? undefined : (this._hal.now() + Math.ceil(timeout * 1000)) | 0;
    const operation = new Operation<T>(this, deadlineMs, limits.signal, isAsking, explain);
    this._underWay.add(operation);
    if (isAsking) this.asking++;
    if (deadlineMs !== undefined) this._arm(deadlineMs);
    this._onChange();
    return operation;
  }

  /**
   * Fails those that are under way, each with an error of its own.
   *
   * @param onlyAsking those that wait for an answer of the broker
   */
  failAll(onlyAsking: boolean, makeError: () => MqttError): void {
    for (const operation of this._all()) if (operation.isAsking || !onlyAsking) operation.fail(makeError());
  }

  /** For an operation that settles. Returns false when it has settled before. */
  close(operation: unknown, isAsking: boolean): boolean {
    if (!this._underWay.delete(operation)) return false;
    if (isAsking) this.asking--;
    // A timer that is set would keep a program from ending.
    if (this._underWay.size === 0 && this._armedMs !== undefined) {
      this._armedMs = undefined;
      this._timer.clear();
    }
    this._onChange();
    return true;
  }

  private _all(): Operation<never>[] {
    return [...this._underWay] as Operation<never>[];
  }

  private _leftMs(deadlineMs: number): number {
    return (deadlineMs - this._hal.now()) | 0;
  }

  /** Sets the timer, unless it fires early enough as it is. */
  private _arm(deadlineMs: number): void {
    if (this._armedMs !== undefined && ((this._armedMs - deadlineMs) | 0) <= 0) return;
    this._armedMs = deadlineMs;
    this._timer.schedule(Math.max(this._leftMs(deadlineMs), 0));
  }
}
