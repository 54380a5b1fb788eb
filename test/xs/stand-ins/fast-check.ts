/** fast-check, with as many times fewer tries as the engine is slower than Node. */
import fc from "fast-check";
import type { IProperty, Parameters } from "fast-check";
import { SLOWNESS } from "./slowness.js";

/** What fast-check tries when it is not told. */
const DEFAULT_RUNS = 100;

export default {
  ...fc,
  assert<T>(property: IProperty<T>, settings: Parameters<T> = {}): void {
    fc.assert(property, { ...settings, numRuns: Math.ceil((settings.numRuns ?? DEFAULT_RUNS) / SLOWNESS) });
  },
};
