/** What a program under simulation gets as "#device": as on Node, but what it prints goes to the simulation's log. */
import { Timer, tmr as nodeTmr } from "../examples/device-node.js";
import { getWiring } from "./wiring.js";

const wiring = getWiring();
const running = new Set<Timer>();

/** Shows the values in one line of the log. */
export function print(...values: unknown[]): void {
  wiring.onPrint(values.map(String).join("\t"));
}

/** A timer that the simulation knows of: while one is running, there may be more to see. */
class WatchedTimer extends Timer {
  override start(): boolean {
    if (!super.start()) return false;
    running.add(this);
    wiring.onTimers(running.size);
    return true;
  }

  override stop(): boolean {
    running.delete(this);
    wiring.onTimers(running.size);
    return super.stop();
  }
}

export const tmr = { ...nodeTmr, create: (): Timer => new WatchedTimer() };
