/** Tests on XS can fail: the stand-in for jest reports what is wrong, and frozen is frozen. */
import { expect, it } from "@jest/globals";
import { XS_ENGINE, needs } from "../support/needs.js";
import { runOnXs } from "./suites.js";

const RUN_MS = 60_000;

needs(XS_ENGINE)("Tests on XS", () => {
  it("fail whichever assertion does not hold, whichever is not known, and where they never end", async () => {
    const results = await runOnXs(["test/xs/fixtures/failing.ts"]);
    expect(results.length).toBeGreaterThan(40);
    expect(results.filter(({ failure }) => failure === undefined)).toEqual([]);
  }, RUN_MS);

  it("pass where all holds, and skip what is to be skipped", async () => {
    const results = await runOnXs(["test/xs/fixtures/passing.ts"]);
    expect(results.map(({ title, failure }) => [title, failure])).toEqual([
      ["hooks run before each test", undefined],
      ["hooks run before each test, again", undefined],
      ["right toEqual, whatever is undefined and whatever the class", undefined],
      ["right toMatchObject, with more than is expected", undefined],
      ["right an outcome that comes later", undefined],
      ["right setImmediate, behind all that promises have to do", undefined],
      ["right AbortController, whose listeners are called once, or not when they are removed", undefined],
      ["nothing", undefined],
    ]);
    expect(results.map(({ isSkipped }) => isSkipped)).toEqual([false, false, false, false, false, false, false, true]);
  }, RUN_MS);

  it("fail where a frozen module or the engine's own objects are written to, and only there", async () => {
    const files = ["test/xs/fixtures/frozen.ts"];
    const free = await runOnXs(files);
    expect(free.filter(({ failure }) => failure !== undefined)).toEqual([]);
    const frozen = await runOnXs(files, { frozen: "test/xs/fixtures/state.ts" });
    expect(frozen).toHaveLength(free.length);
    expect(frozen.filter(({ failure }) => !/TypeError|read only|const/.test(failure ?? ""))).toEqual([]);
  }, RUN_MS);

  it("refuse what is not there on XS", async () => {
    await expect(runOnXs(["test/pcap.test.ts"])).rejects.toThrow(/"node:\w+"/);
  }, RUN_MS);
});
