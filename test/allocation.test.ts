/** Nothing is allocated for a packet: a million of them cause no garbage collection that an empty loop does not. */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "@jest/globals";

const root = fileURLToPath(new URL("..", import.meta.url));

/** Garbage collections while a workload of gc-count.ts is done a million times, in a process of its own. */
function collections(workload: string): number {
  const flags = ["--import", "tsx", "--expose-gc", "--max-semi-space-size=1"];
  const script = ["test/support/gc-count.ts", workload, "1000000"];
  return Number(execFileSync(process.execPath, [...flags, ...script], { cwd: root, encoding: "utf8" }));
}

describe("garbage collections in a million rounds", () => {
  let inEmptyLoop: number;

  beforeAll(() => {
    inEmptyLoop = collections("empty");
  });

  it("are counted: an object per round causes some", () => {
    expect(collections("allocating")).toBeGreaterThan(inEmptyLoop + 10);
  });

  it.each([
    ["decoding what a broker sends", "decoder"],
    ["decoding what a client sends", "serverDecoder"],
    ["encoding a message, an acknowledgement and a ping", "encoder"],
    ["a session that receives a message at QoS 0", "receivingAtQos0"],
    ["a session that receives a message at QoS 1", "receivingAtQos1"],
    ["a session that receives a message at QoS 2", "receivingAtQos2"],
    ["a session that publishes a message at QoS 0", "publishingAtQos0"],
    ["a session that publishes a message at QoS 1", "publishingAtQos1"],
    ["a session that publishes a message at QoS 2", "publishingAtQos2"],
    ["a session that keeps a connection alive", "pinging"],
  ])("are no more than in an empty loop: %s", (_title, workload) => {
    expect(collections(workload)).toBeLessThanOrEqual(inEmptyLoop);
  });
});
