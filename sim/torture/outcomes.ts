/** `withOutcomes`: one outcome for each operation, and the right one. */
import { withOutcomes } from "../../src/optional/outcomes.js";
import type { Outcome, Outcomes } from "../../src/optional/outcomes.js";
import type { Client } from "../../src/face.js";
import type { Device } from "./device.js";
import type { Feature, Helper } from "./features.js";
import type { Accepted } from "./monitor.js";

class Outcoming implements Helper {
  private readonly _device: Device;
  private readonly _client: Client & Outcomes;
  private _number = 0;
  /** Of the operation that was done last. */
  private _lastDone = 0;
  private _waiting = 0;

  constructor(device: Device, client: Client) {
    this._device = device;
    this._client = withOutcomes(client);
  }

  accepted(operation: Accepted): void {
    const device = this._device;
    const { world } = device;
    const number = ++this._number;
    if (world.random.chance(20)) return;
    const { message } = operation;
    const what = message === undefined ? operation.kind : `message ${message.uid}`;
    const { hal } = device;
    let isTold = false;
    if (world.random.chance(5)) {
      this._set(() => {
        device.fail(`outcome: of ${what}, told to a callback that was replaced`);
      });
    }
    this._waiting++;
    this._set((outcome) => {
      device.hear(hal, () => `outcome ${outcome} of ${what}`, () => {
        this._waiting--;
        world.count(`outcome: ${outcome}`);
        if (isTold) device.fail(`outcome: ${outcome} of ${what}, told twice`);
        isTold = true;
        this._check(operation, outcome, number);
      });
      device.react(hal);
    });
  }

  unrest(): string {
    return this._waiting === 0 ? "" : `${this._waiting} outcomes are owed`;
  }

  private _set(callback: (outcome: Outcome) => void): void {
    this._device.call("outcome", () => {
      this._client.outcome((_, outcome) => {
        callback(outcome);
      });
      return true;
    });
  }

  private _check(operation: Accepted, outcome: Outcome, number: number): void {
    const device = this._device;
    const { message, kind, link, index } = operation;
    if (outcome === "delivered" || outcome === "refused") {
      if (number < this._lastDone) device.fail(`outcome: ${outcome} behind the one of a later operation`);
      this._lastDone = number;
    }
    if (message !== undefined) return device.ledger.outcome(message, outcome);
    if (outcome === "lost") {
      const isUp = device.client.connected && device.monitor.session === link;
      if (isUp) device.fail(`outcome: a ${kind} is lost though its session is up`);
      return;
    }
    if (kind === "unsubscribe") {
      if (outcome !== "delivered") device.fail(`outcome: ${outcome} of an unsubscribe`);
      return;
    }
    const codes = link?.granted[index];
    const expected = codes?.every((code) => code > 127) === true ? "refused" : "delivered";
    if (codes === undefined || outcome !== expected) {
      device.fail(`outcome: ${outcome} of a subscribe that was answered ${codes?.join(" ") ?? "not at all"}`);
    }
  }
}

export const OUTCOMES: Feature = {
  name: "outcomes",
  exercises: ["delivered", "refused", "expired", "dropped", "lost"].map((outcome) => `outcome: ${outcome}`),
  attach: (device, client) => new Outcoming(device, client),
};
