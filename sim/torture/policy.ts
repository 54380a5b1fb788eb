/** Messages that wait: while there is no session, and as long as a policy lets them. */
import { withQueuePolicy } from "../../src/optional/queue.js";
import type { Expiring, QueuePolicy } from "../../src/optional/queue.js";
import type { Client } from "../../src/face.js";
import type { Device } from "./device.js";
import type { Feature, Helper } from "./features.js";
import type { Accepted } from "./monitor.js";
import type { Random } from "./random.js";

export const QUEUE_OFFLINE: Feature = {
  name: "queueOffline",
  exercises: ["queueOffline: accepted without a session", "queueOffline: the same at QoS 0"],
  suits: (plan) => !plan.isClean,
  options: () => ({ queueOffline: true }),
};

function drawAge(random: Random): number {
  return random.between(1, random.pick([50, 500, 2000, 20000]));
}

function drawPolicy(random: Random): QueuePolicy {
  const policy: QueuePolicy = {};
  if (random.chance(70)) policy.dropPolicy = random.pick(["drop-oldest", "drop-oldest", "refuse"]);
  if (random.chance(50)) policy.maxAgeMs = drawAge(random);
  return policy;
}

class Policy implements Helper {
  private readonly _device: Device;
  private readonly _client: Client & Expiring;
  private readonly _policy: QueuePolicy;

  constructor(device: Device, client: Client) {
    // Of the device, whichever of its lives this is: what it was given back is under it too.
    this._policy = device.policy ??= drawPolicy(device.world.random);
    this._device = device;
    this._client = withQueuePolicy(client, this._policy);
    device.dropsOldest = this._policy.dropPolicy === "drop-oldest";
  }

  accepted({ message }: Accepted): void {
    if (message === undefined || message.isStreamed) return;
    if (message.mayVanish) this._device.world.count("queue policy: accepted where the oldest makes room");
    const { world } = this._device;
    const { maxAgeMs } = this._policy;
    if (typeof maxAgeMs === "number") this._device.ledger.expires(message, maxAgeMs);
    if (world.isHealed || !world.random.chance(40)) return;
    const ageMs = drawAge(world.random);
    // It may have begun to leave, and an earlier limit holds then; the later one is the safe one to say.
    this._device.ledger.expires(message, ageMs);
    world.count("queue policy: an age limit");
    this._device.call(`expire ${ageMs}`, () => {
      this._client.expire(ageMs);
      return true;
    });
  }
}

export const QUEUE_POLICY: Feature = {
  name: "queue policy",
  exercises: ["queue policy: an age limit", "queue policy: accepted where the oldest makes room"],
  attach: (device, client) => new Policy(device, client),
};
