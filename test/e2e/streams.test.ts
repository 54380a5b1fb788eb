/** A message that is many times larger than all buffers of the client, through real brokers to a plain subscriber. */
import { createHash } from "node:crypto";
import { afterEach, describe, expect, it, jest } from "@jest/globals";
import type { ClientOptions, QoS } from "mcu-mqtt";
import type { Source } from "../../src/optional/streams.js";
import { withStreams } from "../../src/optional/streams.js";
import { AedesBroker } from "../support/aedes.js";
import type { Broker } from "../support/broker.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Relay } from "../support/relay.js";
import { Signal } from "../support/signal.js";
import { Device, removeDevices, unique } from "./device.js";

jest.setTimeout(60000);

const LENGTH = 1 << 20;
const PAYLOAD = Buffer.alloc(LENGTH);
for (let i = 0; i < LENGTH; i++) PAYLOAD[i] = (Math.imul(i, 0x9e3779b1) >>> 13) & 255;
/** 2 KiB in all, with the buffer for pieces. */
const SMALL: ClientOptions = { rxCapacity: 512, txCapacity: 512, maxMessageLength: 512, maxOperations: 4 };
const PIECE = 1024;

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

/** How many operations of `device` have had their callback. */
class Count {
  private count = 0;
  private readonly signal = new Signal();

  constructor(device: Device) {
    device.client.on("puback", () => {
      this.count++;
      this.signal.notify();
    });
  }

  reach(count: number): Promise<void> {
    return this.signal.until(() => this.count === count, () => `${count} callbacks, not ${this.count}`);
  }
}

function testStreams(start: () => Promise<Broker>): void {
  const ends: (() => Promise<void>)[] = [];

  afterEach(async () => {
    removeDevices();
    for (const end of ends.splice(0).reverse()) await end();
  });

  const began = async (): Promise<{ broker: Broker; reader: Device; topic: string }> => {
    const broker = await start();
    ends.push(() => broker.dispose());
    const options = { format: "buffer", rxCapacity: 65536, maxMessageLength: LENGTH + 100 } as const;
    const reader = await new Device({ options }).connect(broker.port);
    const topic = unique("picture");
    expect(await reader.subscribe({ [topic]: 1 })).toEqual([1]);
    return { broker, reader, topic };
  };

  const source: Source = {
    byteLength: LENGTH,
    read: (offset, bytes, from, to) => PAYLOAD.copy(bytes, from, offset, offset + to - from),
  };

  const arrived = async (reader: Device): Promise<void> => {
    await reader.receive(1);
    const { data } = reader.messages[0];
    expect(data).toHaveLength(LENGTH);
    expect(sha256(data as Buffer)).toBe(sha256(PAYLOAD));
  };

  it.each([0, 1, 2] as const)("publishFrom brings 1 MiB at QoS %p from 2 KiB of buffers, with others around it", async (
    qos: QoS,
  ) => {
    const { broker, reader, topic } = await began();
    const sender = await new Device({ options: SMALL }).connect(broker.port);
    const streams = withStreams(sender.client, PIECE);
    const done = new Count(sender);
    expect(sender.client.publish("before", "1", 1)).toBe(true);
    expect(streams.publishFrom(topic, source, qos)).toBe(true);
    expect(sender.client.publish("behind", "2", 1)).toBe(true);
    await arrived(reader);
    await done.reach(3);
    expect(reader.messages).toHaveLength(1);
  });

  it("publishFrom begins anew when the connection is cut in its midst", async () => {
    const { broker, reader, topic } = await began();
    const relay = await Relay.start(broker.port);
    ends.push(() => relay.dispose());
    const sender = await new Device({ options: SMALL, cleansession: 0 }).connect(relay.port);
    const streams = withStreams(sender.client, PIECE);
    let isCut = false;
    const cutting: Source = {
      byteLength: LENGTH,
      read(offset, ...rest) {
        if (!isCut && offset > LENGTH / 2) {
          isCut = true;
          relay.connections[0].cut();
        }
        return source.read(offset, ...rest);
      },
    };
    const done = new Count(sender);
    expect(streams.publishFrom(topic, cutting, 1)).toBe(true);
    await sender.offline();
    await sender.connect(relay.port);
    await arrived(reader);
    await done.reach(1);
  });

  it("beginPublish and write bring 1 MiB, as fast as the network takes it", async () => {
    const { broker, reader, topic } = await began();
    const sender = await new Device({ options: SMALL }).connect(broker.port);
    const streams = withStreams(sender.client, PIECE);
    const done = new Count(sender);
    let at = 0;
    const goOn = (): void => {
      at += streams.write(PAYLOAD, at);
    };
    expect(streams.beginPublish(topic, LENGTH, 0, goOn)).toBe(true);
    goOn();
    await arrived(reader);
    await done.reach(1);
    expect(at).toBe(LENGTH);
  });
}

describe("streams with aedes", () => {
  testStreams(() => AedesBroker.start());
});

needs("mosquitto", "mosquitto_passwd")("streams with mosquitto", () => {
  testStreams(() => Mosquitto.start());
});
