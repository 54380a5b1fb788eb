/** How messages are read: long ones in pieces, and not at all while reading is paused. */
import type { Client } from "../../src/face.js";
import type { Device } from "./device.js";
import type { Feature, Helper } from "./features.js";

class Pieces implements Helper {
  private readonly _device: Device;
  private _text = "";
  private _topic = "";
  private _total = 0;
  private _packetId = 0;

  constructor(device: Device, client: Client) {
    this._device = device;
    const { hal, world } = device;
    client.on("data", (_, topic, bytes, offset, total, info) => {
      device.hear(hal, () => `data ${topic} ${offset}..${offset + bytes.length} of ${total}`, () => {
        device.reading(true);
        if (offset !== this._text.length) {
          device.fail(`data: a piece at ${offset}, ${this._text.length} is next`);
          return;
        }
        if (offset > 0 && (topic !== this._topic || total !== this._total || info.packetId !== this._packetId)) {
          device.fail("data: a piece of another message");
        }
        if (offset + bytes.length > total) device.fail(`data: ${offset + bytes.length} bytes of ${total}`);
        if (offset > 0) world.count("data: several pieces");
        this._topic = topic;
        this._total = total;
        this._packetId = info.packetId;
        for (let i = 0; i < bytes.length; i++) this._text += String.fromCharCode(bytes[i]);
        if (this._text.length < total) return;
        world.count("data: complete");
        const whole = this._text;
        this._text = "";
        device.received(topic, whole, info, "pieces");
      });
      device.react(hal);
    });
  }

  offline(): void {
    if (this._text !== "") this._device.world.count("data: cut off");
    this._text = "";
  }

  reading(isPiece: boolean): void {
    if (!isPiece && this._text !== "") this._device.fail("data: a message before the last piece of another");
  }
}

export const DATA: Feature = {
  name: "data",
  exercises: ["data: several pieces", "data: complete", "data: cut off"],
  attach: (device, client) => new Pieces(device, client),
};

/** Timers are late. */
const LATE_MS = 10;

class Pausing implements Helper {
  readonly actions = [{ name: "pause", weight: 10, run: (): void => this._pause() }];
  private readonly _device: Device;
  private readonly _client: Client;
  private _isPaused = false;

  constructor(device: Device, client: Client) {
    this._device = device;
    this._client = client;
  }

  reading(): void {
    if (this._isPaused) this._device.fail("pause: a message was told");
  }

  offline(): void {
    this._isPaused = false;
  }

  heal(): void {
    this._resume();
  }

  private _pause(): void {
    const device = this._device;
    const { world, client, hal, monitor } = device;
    const { random } = world;
    const wasUp = client.connected;
    const isTaken = device.call("pause", () => this._client.pause());
    if (wasUp && !isTaken) device.fail("pause: false though a session is up");
    if (isTaken && monitor.session === undefined) device.fail("pause: true without a session");
    if (!isTaken) return;
    world.count("pause");
    this._isPaused = monitor.isPaused = true;
    const mostMs = random.pick([50, 2000, 3 * device.keepAliveSeconds * 1000]);
    world.after(random.between(0, mostMs), () => {
      if (!hal.isDead) this._resume();
    });
  }

  private _resume(): void {
    const device = this._device;
    const { monitor, client } = device;
    if (!this._isPaused) return;
    const isTaken = device.call("resume", () => this._client.resume());
    if (!isTaken && client.connected) device.fail("resume: false while paused");
    if (isTaken) {
      device.world.count("resume");
      const { hal, world } = device;
      world.after(LATE_MS, () => {
        const isUp = !hal.isDead && client.connected && !this._isPaused;
        if (isUp && device.probe.isUnread) device.fail("resume: what was there is not read");
      });
    }
    this._isPaused = false;
    monitor.resumed();
  }
}

export const PAUSE: Feature = {
  name: "pause",
  exercises: ["pause", "resume"],
  attach: (device, client) => new Pausing(device, client),
};
