/** What a program under simulation gets as "#sleep": nobody wakes it up, and the run ends when nothing goes on. */
import { getWiring } from "./wiring.js";

const wiring = getWiring();

export const node = {
  /** As on a device, but for that. */
  dsleep(us: number): void {
    wiring.onPrint(`asleep for ${us / 1e6} s`);
  },
};
