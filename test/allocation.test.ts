/**
 * Nothing is allocated for a packet: a million of them cause no garbage collection that an empty loop does not. What a
 * client allocates for a message is what it hands over, and the numbers of Node's clock.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import { beforeAll, describe, expect, it } from "@jest/globals";

const root = fileURLToPath(new URL("..", import.meta.url));

/** What gc-count.ts counts while a workload is done `count` times, in a process of its own. */
function count(workload: string, rounds: number, flags: string[]): { collections: number; bytes: number } {
  const script = ["--import", "tsx", "--expose-gc", ...flags, "test/support/gc-count.ts", workload, String(rounds)];
  const printed = execFileSync(process.execPath, script, { cwd: root, encoding: "utf8" });
  return JSON.parse(printed) as ReturnType<typeof count>;
}

const collections = (workload: string): number => count(workload, 1e6, ["--max-semi-space-size=1"]).collections;

/** Bytes of heap for each round, in a heap that holds those of all. */
function heapBytes(workload: string): number {
  const counted = count(workload, 1e5, ["--min-semi-space-size=64", "--max-semi-space-size=64"]);
  expect(counted.collections).toBe(0);
  return counted.bytes;
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

describe("bytes of heap for each message", () => {
  it("are counted: an object of one number", () => {
    expect(heapBytes("allocating")).toBeGreaterThan(16);
    expect(heapBytes("empty")).toBeLessThan(1);
  });

  // In Node 20 a view takes 96 bytes, a string of 64 characters 80, and a number of the clock 16.
  it.each([
    ["a client receives bytes at QoS 0: a view and one look at the clock", "clientReceivingAtQos0", 112],
    ["a client receives bytes at QoS 1", "clientReceivingAtQos1", 128],
    ["a client receives bytes at QoS 2", "clientReceivingAtQos2", 128],
    ["a client receives a string at QoS 0: no string for a topic name that it knows", "clientReceivingText", 96],
    ["a client receives two messages, of topics in turn", "clientReceivingTwoTopics", 208],
    ["a client publishes bytes at QoS 0: one look at the clock", "clientPublishingAtQos0", 16],
    ["a client publishes bytes at QoS 1", "clientPublishingAtQos1", 32],
    ["a client publishes bytes at QoS 2", "clientPublishingAtQos2", 48],
  ])("are no more than what is handed over, and the time: %s", (_title, workload, most) => {
    expect(heapBytes(workload)).toBeLessThan(most + 8);
  });
});
