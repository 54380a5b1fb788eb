/** For the memory report: the package, and the modules that add to a client. */
export { default } from "../src/index.ts";
export { withOutcomes } from "../src/optional/outcomes.ts";
export { withQueuePolicy } from "../src/optional/queue.ts";
export { withSnapshot } from "../src/optional/snapshot.ts";
export { withStreams } from "../src/optional/streams.ts";
