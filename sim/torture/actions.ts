/** What applications do by themselves, and how often. */
import type { Device } from "./device.js";
import type { Action } from "./features.js";
import type { Random } from "./random.js";

export const ACTIONS: readonly Action[] = [
  { name: "publish", weight: 50, run: (device) => device.publish() },
  {
    name: "publish many",
    weight: 10,
    run: (device) => {
      for (let left = device.world.random.between(2, 8); left > 0; left--) device.publish();
    },
  },
  { name: "subscribe", weight: 10, run: (device) => device.subscribe() },
  { name: "unsubscribe", weight: 4, run: (device) => device.unsubscribe() },
  { name: "connect", weight: 6, run: (device) => device.connect() },
  { name: "close", weight: 4, run: (device) => device.close() },
  {
    name: "close and connect",
    weight: 2,
    run: (device) => {
      device.close();
      device.connect();
    },
  },
  { name: "abort", weight: 2, run: (device) => device.abort() },
  { name: "age", weight: 3, run: (device) => device.age() },
];

/** One of them, or of those that the features of a device add. */
export function drawAction(random: Random, device: Device): Action {
  const { actions } = device;
  let sum = 0;
  for (const { weight } of actions) sum += weight;
  let at = random.below(sum);
  for (const action of actions) {
    at -= action.weight;
    if (at < 0) return action;
  }
  return actions[0];
}
