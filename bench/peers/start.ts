/** Starts the processes that a client is measured with; they end with the sample's. */
import { fork } from "node:child_process";
import { dirname, resolve } from "node:path";

/** Starts the minimal peer, and resolves with its port. */
export function startBroker(): Promise<number> {
  const script = resolve(dirname(process.argv[1]), "peers/broker.js");
  // The sample's own options, a profile of it for one, are not for its peers.
  const child = fork(script, { execArgv: [] });
  return new Promise((fulfil, reject) => {
    child.once("message", (port) => fulfil(port as number));
    child.once("exit", () => reject(new Error("the peer has ended")));
  });
}
