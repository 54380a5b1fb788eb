/** `withStreams`: messages that are larger than the transmit buffer, from a source or as they come. */
import { withStreams } from "../../src/optional/streams.js";
import type { Source, Streams } from "../../src/optional/streams.js";
import type { Client, QoS } from "../../src/face.js";
import type { Device } from "./device.js";
import type { Feature, Helper } from "./features.js";
import type { Message } from "./ledger.js";
import type { Link } from "./link.js";

/** A message that the application has begun. */
interface Begun {
  readonly message: Message;
  readonly bytes: Uint8Array;
  readonly link: Link | undefined;
  at: number;
  /** It waits once, at most, so that a link that fell silent is noticed in time. */
  mayWait: boolean;
}

class Streaming implements Helper {
  readonly actions = [
    { name: "publishFrom", weight: 12, run: (): void => this._publishFrom() },
    { name: "beginPublish", weight: 8, run: (): void => this._begin() },
  ];
  private readonly _device: Device;
  private readonly _client: Client & Streams;
  private _begun: Begun | undefined;

  constructor(device: Device, client: Client) {
    this._device = device;
    const { random } = device.world;
    this._client = withStreams(client, random.pick([undefined, 1, 7, random.between(8, 64), 128]));
  }

  offline(): void {
    const begun = this._begun;
    if (begun === undefined) return;
    this._begun = undefined;
    this._device.world.count("beginPublish: lost");
    const taken = this._device.call("write", () => this._client.write(begun.bytes, begun.at));
    if (taken !== -1) this._device.fail(`write: ${taken} though the connection is lost`);
  }

  unrest(): string {
    return this._begun === undefined ? "" : "a message is to be written";
  }

  private _size(): number {
    const { plan, world } = this._device;
    const { txCapacity } = plan.options;
    const { random } = world;
    return random.chance(30) ? random.between(1, 40) : random.between(Math.min(100, txCapacity), txCapacity + 200);
  }

  private _publishFrom(): void {
    const device = this._device;
    const { world } = device;
    const { random } = world;
    const qos = random.pick(device.plan.qos) as QoS;
    const message = device.offer("publishFrom", qos, this._size(), true, ({ topic, payload, retain }) => {
      const source = this._source(payload);
      return this._client.publishFrom(topic, source, qos, retain);
    });
    if (message !== undefined) world.count(`publishFrom: QoS ${qos}`);
  }

  private _source(payload: string): Source {
    const device = this._device;
    const { world, hal } = device;
    const { random } = world;
    const failing = random.chance(5) ? 5 : 0;
    let next = 0;
    let link: Link | undefined;
    return {
      byteLength: payload.length,
      read: (offset, bytes, start, end) => {
        if (hal.isDead) return 0;
        if (offset !== next || link !== hal.link) {
          if (offset !== 0) device.fail(`source: read at ${offset}, ${link === hal.link ? next : 0} is next`);
          if (link !== undefined && link === hal.link) device.fail("source: read again on the same connection");
          if (link !== undefined) world.count("publishFrom: read again");
        }
        link = hal.link;
        if (start < 0 || end > bytes.length || end <= start || offset + end - start > payload.length) {
          device.fail(`source: read ${start}..${end} at ${offset} of ${payload.length}`);
        }
        if (!world.isHealed && random.chance(failing)) {
          world.count("publishFrom: a source fails");
          next = -1;
          if (hal.link !== undefined) hal.link.isOwed = true;
          if (random.chance(50)) return 0;
          throw device.thrown();
        }
        const count = random.chance(70) ? end - start : random.between(1, end - start);
        for (let i = 0; i < count; i++) bytes[start + i] = payload.charCodeAt(offset + i);
        next = offset + count;
        return count;
      },
    };
  }

  private _begin(): void {
    const device = this._device;
    if (this._begun !== undefined) return;
    const { hal, world } = device;
    const message = device.offer("beginPublish", 0, this._size(), true, ({ topic, payload, retain }) =>
      this._client.beginPublish(topic, payload.length, retain, (_, room) => {
        device.hear(hal, () => `writable ${room}`, () => {
          if (room < 1) device.fail(`writable: ${room}`);
          if (this._begun === undefined) device.fail("writable: there is nothing to be written");
        });
        if (!hal.isDead) this._write();
        device.react(hal);
      }));
    if (message === undefined) return;
    world.count("beginPublish");
    const bytes = new Uint8Array(message.payload.length);
    for (let i = 0; i < bytes.length; i++) bytes[i] = message.payload.charCodeAt(i);
    if (hal.link !== undefined) hal.link.isOwed = true;
    this._begun = { message, bytes, link: hal.link, at: 0, mayWait: world.random.chance(50) };
    this._write();
  }

  private _write(): void {
    const device = this._device;
    const { world, hal } = device;
    const { random } = world;
    const begun = this._begun;
    while (begun !== undefined && begun === this._begun && begun.at < begun.bytes.length) {
      if (begun.mayWait && random.chance(20)) {
        begun.mayWait = false;
        world.after(random.below(device.keepAliveSeconds * 200), () => {
          if (!hal.isDead && begun === this._begun) this._write();
        });
        return;
      }
      const end = random.chance(40) ? begun.bytes.length : random.between(begun.at + 1, begun.bytes.length);
      const taken = device.call("write", () => this._client.write(begun.bytes, begun.at, end));
      if (taken < 0) {
        if (device.client.connected && hal.link === begun.link) device.fail("write: -1 though the session is up");
        this._begun = undefined;
        return;
      }
      begun.at += taken;
      if (begun.at < end) return;
    }
    if (begun === this._begun && begun !== undefined && begun.at === begun.bytes.length) {
      world.count("beginPublish: whole");
      if (begun.link !== undefined) begun.link.isOwed = false;
      this._begun = undefined;
    }
  }
}

export const STREAMS: Feature = {
  name: "streams",
  exercises: [
    "publishFrom: QoS 0", "publishFrom: QoS 1", "publishFrom: QoS 2", "publishFrom: read again",
    "publishFrom: a source fails", "beginPublish", "beginPublish: lost", "beginPublish: whole",
  ],
  attach: (device, client) => new Streaming(device, client),
};
