/** NodeMCU's `node.dsleep` on Node: the program ends, and whoever starts it again wakes it up. It is "#sleep". */
export const node = {
  /** Everything in memory is lost. `us`: when the device is to wake up, in microseconds. */
  dsleep(us: number): void {
    console.log(`Start the program again in ${us / 1e6} seconds, or whenever you like.`);
    process.exit();
  },
};
