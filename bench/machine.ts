/** The machine that measures, as the report names it. */
import { availableParallelism, cpus, release, type } from "node:os";
import { isPinned } from "./run.js";

/** Where and how it was measured. */
export interface Machine {
  processor: string;
  processors: number;
  node: string;
  system: string;
  isPinned: boolean;
  date: string;
}

export function machine(): Machine {
  return {
    processor: cpus()[0]?.model.trim() || "unknown",
    processors: availableParallelism(),
    node: process.version,
    system: `${type()} ${release().split(".", 2).join(".")}`,
    isPinned,
    date: new Date().toISOString().slice(0, 10),
  };
}

/** The machine, in a sentence. */
export function describe({ processor, processors, node, system, isPinned: pinned, date }: Machine): string {
  const count = processors === 1 ? "one processor" : `${processors} processors`;
  const pinning = pinned ? "each sample on one of them" : "samples are not pinned to a processor";
  return `${processor}, ${count}, ${pinning}; Node ${node.slice(1)} on ${system}; ${date}.`;
}
