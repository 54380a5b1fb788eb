/** What a program under simulation gets as "#sleep": it is not called any more, and the run ends when nothing goes on. */
import { getWiring } from "./wiring.js";

const wiring = getWiring();

export const node = {
  /** As on a device, but that the simulation does not wake it up. */
  dsleep(us: number): void {
    wiring.onPrint(`asleep for ${us / 1e6} s`);
  },
};
