/**
 * What may end a command before its work is done: a signal, the time of `--timeout`, a reader of standard output that
 * has gone. Everything a command waits for, it waits for through `until`.
 */
import { EXIT_FAILURE, EXIT_TIMEOUT, Failure } from "./failure.js";

/** 128 and the number of the signal, as a shell says it. */
const EXIT_BY_SIGNAL = { SIGINT: 130, SIGTERM: 143 };
const SIGNALS = ["SIGINT", "SIGTERM"] as const;

export class Life {
  /** Aborted, with a Failure as its reason, when the command is to end. */
  readonly signal: AbortSignal;
  readonly #controller = new AbortController();
  readonly #timer: NodeJS.Timeout | undefined;
  readonly #onSignal = (signal: (typeof SIGNALS)[number]): void => {
    // The second one does not wait for a broker that does not answer.
    if (this.signal.aborted) process.exit(EXIT_BY_SIGNAL[signal]);
    this.end(new Failure(this.exitCodeOfSignal === 0 ? "" : "interrupted", this.exitCodeOfSignal));
  };

  /** What a signal means: a command that only a signal ends has done its work then. */
  exitCodeOfSignal = EXIT_FAILURE;

  constructor(timeoutSeconds: number | undefined) {
    this.signal = this.#controller.signal;
    for (const signal of SIGNALS) process.on(signal, this.#onSignal);
    if (timeoutSeconds === undefined) return;
    const end = (): void => this.end(new Failure(`the time of --timeout, ${timeoutSeconds} s, is over`, EXIT_TIMEOUT));
    this.#timer = setTimeout(end, timeoutSeconds * 1000);
  }

  /** Ends the command, unless it has ended. */
  end(failure: Failure): void {
    if (!this.signal.aborted) this.#controller.abort(failure);
  }

  /** What `promise` comes to, or a rejection as soon as the command is to end. */
  until<T>(promise: Promise<T>): Promise<T> {
    const { signal } = this;
    if (signal.aborted) {
      promise.catch(() => undefined);
      return Promise.reject(signal.reason as Failure);
    }
    return new Promise((resolve, reject) => {
      const onAbort = (): void => reject(signal.reason as Failure);
      signal.addEventListener("abort", onAbort, { once: true });
      promise.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
    });
  }

  /** Waits. */
  async sleep(seconds: number): Promise<void> {
    let timer: NodeJS.Timeout | undefined;
    try {
      await this.until(new Promise<void>((resolve) => (timer = setTimeout(resolve, seconds * 1000))));
    } finally {
      clearTimeout(timer);
    }
  }

  /** Nothing is waited for any more; signals still end the process. */
  dispose(): void {
    clearTimeout(this.#timer);
  }
}
