/**
 * What a NodeMCU program uses beside `mqtt`, on Node: `print` and `tmr`. A program imports them from "#device", for
 * which each platform has a file like this one.
 */

/** Shows the values in one line, tabs between them. */
export function print(...values: unknown[]): void {
  console.log(values.map(String).join("\t"));
}

/** A timer, as `tmr.create()` makes it. */
export class Timer {
  #timeout: NodeJS.Timeout | undefined;
  #start: (() => void) | undefined;

  /** Calls `callback` in `intervalMs`: once with `tmr.ALARM_SINGLE`, again and again with `tmr.ALARM_AUTO`. */
  alarm(intervalMs: number, mode: number, callback: (timer: Timer) => void): boolean {
    this.unregister();
    this.#start = () => {
      this.#timeout =
        mode === tmr.ALARM_AUTO
          ? setInterval(() => callback(this), intervalMs)
          : setTimeout(() => {
            this.unregister();
            callback(this);
          }, intervalMs);
    };
    return this.start();
  }

  /** Starts a stopped timer from the beginning. False when it has no alarm, or is running. */
  start(): boolean {
    if (this.#start === undefined || this.#timeout !== undefined) return false;
    this.#start();
    return true;
  }

  /** Stops it, to be started again. False when it is not running. */
  stop(): boolean {
    if (this.#timeout === undefined) return false;
    clearTimeout(this.#timeout);
    this.#timeout = undefined;
    return true;
  }

  /** Stops it for good. */
  unregister(): void {
    this.stop();
    this.#start = undefined;
  }
}

export const tmr = {
  ALARM_SINGLE: 0,
  ALARM_AUTO: 1,
  create: (): Timer => new Timer(),
};
