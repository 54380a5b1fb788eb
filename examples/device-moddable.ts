/** What a NodeMCU program uses beside `mqtt`, on the Moddable SDK: `print` and `tmr`. It is "#device" in firmware. */
import Platform from "timer";

/** Shows the values in one line of the debugger's console, tabs between them. */
export function print(...values: unknown[]): void {
  trace(values.map(String).join("\t") + "\n");
}

/** A timer, as `tmr.create()` makes it. */
export class Timer {
  private _id: Platform | undefined = undefined;
  private _start: (() => void) | undefined = undefined;

  /** Calls `callback` in `intervalMs`: once with `tmr.ALARM_SINGLE`, again and again with `tmr.ALARM_AUTO`. */
  alarm(intervalMs: number, mode: number, callback: (timer: Timer) => void): boolean {
    this.unregister();
    this._start = () => {
      this._id = Platform.repeat(() => {
        if (mode === tmr.ALARM_SINGLE) this.unregister();
        callback(this);
      }, intervalMs);
    };
    return this.start();
  }

  /** Starts a stopped timer from the beginning. False when it has no alarm, or is running. */
  start(): boolean {
    if (this._start === undefined || this._id !== undefined) return false;
    this._start();
    return true;
  }

  /** Stops it, to be started again. False when it is not running. */
  stop(): boolean {
    if (this._id === undefined) return false;
    Platform.clear(this._id);
    this._id = undefined;
    return true;
  }

  /** Stops it for good. */
  unregister(): void {
    this.stop();
    this._start = undefined;
  }
}

export const tmr = Object.freeze({
  ALARM_SINGLE: 0,
  ALARM_AUTO: 1,
  create: (): Timer => new Timer(),
});
