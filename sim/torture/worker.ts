/** A process that runs its share of the schedules, and tells its parent what came of them. */
import { hunt } from "./hunt.js";

const [seed, step, count, most] = process.argv.slice(2).map(Number);
process.send?.(hunt(seed, step, count, most), () => {
  process.disconnect();
});
