/** Messages much larger than a device, on Node's TCP: in pieces, and no faster than they are read. */
import { createHash } from "node:crypto";
import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from "@jest/globals";
import type { QoS } from "mcu-mqtt";
import { AedesBroker } from "../support/aedes.js";
import { Signal } from "../support/signal.js";
import { Device, numbered, removeDevices, unique } from "./device.js";

jest.setTimeout(60000);

const LENGTH = 1 << 20;
const SMALL = { rxCapacity: 2048, maxMessageLength: 2048, txCapacity: 512, maxOperations: 4 };
const LARGE = { txCapacity: 2 * LENGTH };

/** Gathers what comes in pieces. */
class Reader extends Device {
  /** Hash of each message that is complete. */
  readonly complete: string[] = [];
  /** Bytes of the message that is coming. */
  reached = 0;
  longest = 0;
  pieces = 0;
  whenPiece = (): void => undefined;
  readonly pieceSignal = new Signal();
  private hash = createHash("sha256");

  constructor() {
    super({ options: SMALL });
    this.client.on("data", (_, _topic, bytes, offset, total) => {
      if (offset !== this.reached) throw new Error(`a piece at ${offset} behind ${this.reached} bytes`);
      this.hash.update(bytes);
      this.reached += bytes.length;
      this.pieces++;
      this.longest = Math.max(this.longest, bytes.length);
      if (this.reached === total) {
        this.complete.push(this.hash.digest("hex"));
        this.hash = createHash("sha256");
        this.reached = 0;
      }
      this.whenPiece();
      this.pieceSignal.notify();
    });
  }

  /** Resolves when so many messages are complete. */
  whole(count: number): Promise<void> {
    return this.pieceSignal.until(
      () => this.complete.length >= count,
      () => `${count} messages, not ${this.complete.length} and ${this.reached} bytes`,
    );
  }
}

describe("A message of 1 MiB through a client of 2 KiB", () => {
  let broker: AedesBroker;
  const payload = numbered(1, LENGTH);
  const hash = createHash("sha256").update(payload).digest("hex");

  beforeAll(async () => {
    broker = await AedesBroker.start();
  });

  afterEach(() => {
    removeDevices();
  });

  afterAll(async () => {
    await broker.dispose();
  });

  it.each([0, 1, 2] as QoS[])("comes in pieces, none longer than that, at QoS %i; the next message is intact", async (
    qos,
  ) => {
    const topic = unique("large");
    const reader = await new Reader().connect(broker.port);
    await reader.subscribe({ [topic]: qos });
    const sender = await new Device({ options: LARGE }).connect(broker.port);
    await sender.publish(topic, payload, qos);
    await sender.publish(topic, "next", qos);
    await reader.receive(1);
    expect(reader.complete).toEqual([hash]);
    expect(reader.longest).toBeLessThanOrEqual(2048);
    expect(reader.messages.map(({ data }) => data)).toEqual(["next"]);
    expect(reader.outcomes).toEqual(["connect"]);
  });

  it("waits in the network while reading is paused, at each piece", async () => {
    const topic = unique("large");
    const reader = await new Reader().connect(broker.port);
    await reader.subscribe({ [topic]: 1 });
    const sender = await new Device({ options: LARGE }).connect(broker.port);
    reader.whenPiece = () => {
      reader.client.pause();
      // All that could come meanwhile has its turn first.
      if (reader.pieces % 16 === 0) setImmediate(() => reader.client.resume());
      else reader.client.resume();
    };
    await sender.publish(topic, payload, 1);
    await reader.whole(1);
    expect(reader.complete).toEqual([hash]);
  });

  it("does not come while reading is paused, though others are served, and comes whole behind resume", async () => {
    const topic = unique("large");
    const reader = await new Reader().connect(broker.port);
    await reader.subscribe({ [topic]: 1 });
    const sender = await new Device({ options: LARGE }).connect(broker.port);
    await sender.subscribe({ [`${topic}/other`]: 0 });
    reader.whenPiece = () => reader.client.pause();
    for (let i = 0; i < 4; i++) await sender.publish(topic, payload, 1);
    await reader.pieceSignal.until(() => reader.pieces > 0, () => "the first piece");
    for (let i = 1; i <= 20; i++) {
      await sender.publish(`${topic}/other`, `${i}`);
      await sender.receive(i);
    }
    expect(reader.pieces).toBe(1);
    expect(reader.longest).toBeLessThanOrEqual(2048);
    reader.whenPiece = () => undefined;
    expect(reader.client.resume()).toBe(true);
    await reader.whole(4);
    expect(reader.complete).toEqual([hash, hash, hash, hash]);
  });
});
