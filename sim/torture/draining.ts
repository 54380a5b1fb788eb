/** `drain`: one answer for each call that was taken, in time, and true only when nothing is under way. */
import type { Client } from "../../src/face.js";
import type { Device } from "./device.js";
import type { Feature, Helper } from "./features.js";

/** Timers are late. */
const LATE_MS = 100;

class Draining implements Helper {
  readonly actions = [
    { name: "drain", weight: 12, run: (): void => this._drain() },
    {
      name: "drain and close",
      weight: 2,
      run: (device: Device): void => {
        this._drain(() => {
          if (!device.world.isHealed) device.close();
        });
      },
    },
  ];
  private readonly _device: Device;
  private readonly _client: Client;
  private _isWaiting = false;

  constructor(device: Device, client: Client) {
    this._device = device;
    this._client = client;
  }

  private _drain(then?: () => void): void {
    const device = this._device;
    const { world, hal } = device;
    const { random } = world;
    const limitMs = random.pick([undefined, 0, random.between(1, 300), random.between(1, 5000)]);
    const timeoutMs = limitMs ?? device.plan.options.drainTimeoutMs;
    const startMs = world.nowMs;
    let isTold = false;
    const drained = (isDrained: boolean): void => {
      if (isTold) device.fail("drain: told twice");
      isTold = true;
      this._isWaiting = false;
      if (!isDrained) {
        world.count("drain: false");
        if (world.nowMs - startMs < timeoutMs) device.fail(`drain: false before ${timeoutMs} ms have passed`);
        return;
      }
      world.count("drain: true");
      device.checkDrained();
    };
    const isTaken = device.call(`drain ${timeoutMs}`, () => this._client.drain((_, isDrained) => {
      device.hear(hal, () => `drained ${isDrained}`, () => {
        drained(isDrained);
      });
      if (hal.isDead) return;
      then?.();
      device.react(hal);
    }, limitMs));
    if (isTaken === this._isWaiting) {
      device.fail(`drain: ${isTaken} while an earlier one ${isTaken ? "waits" : "does not"}`);
    }
    if (!isTaken) return;
    this._isWaiting = true;
    world.after(timeoutMs + LATE_MS, () => {
      if (!isTold && !hal.isDead) device.fail(`stuck: no answer to drain within ${timeoutMs} ms`);
    });
  }
}

export const DRAINING: Feature = {
  name: "drain",
  exercises: ["drain: true", "drain: false"],
  attach: (device, client) => new Draining(device, client),
};
