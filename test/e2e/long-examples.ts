/** The examples that take more than a connection: deep sleep, and images of a megabyte. On any platform. */
import { createHash, randomBytes } from "node:crypto";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { once } from "node:events";
import { afterEach, expect, it } from "@jest/globals";
import type { Broker } from "../support/broker.js";
import { HOST } from "../support/broker.js";
import { Relay } from "../support/relay.js";
import { Device } from "./device.js";

/** What runs examples. `M` is what survives deep sleep. */
export interface Platform<M> {
  broker(): Broker;
  /** Runs an example to its last line. */
  run(name: string, port: number, memory: M): Promise<{ lines: string[]; printed(line: string): Promise<void> }>;
  newMemory(): M;
  /** Runs sleep.ts until it sleeps, for 60 seconds, and returns what it printed. */
  wakeUp(port: number, memory: M): Promise<string[]>;
  /** Changes a byte of the snapshot. */
  damage(memory: M): void;
}

/** A byte of the snapshot in what sleep.ts stores. */
export const OF_SNAPSHOT = 22;
const IMAGE_LENGTH = 1048576;
/** A part of the image has passed. */
const SOME = 200000;

async function closedPort(): Promise<number> {
  const server = createServer();
  await once(server.listen(0, HOST), "listening");
  const { port } = server.address() as AddressInfo;
  await once(server.close(), "close");
  return port;
}

function digestOf(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}

export function testLongExamples<M>(platform: Platform<M>): void {
  let relay: Relay | undefined;

  afterEach(async () => {
    await relay?.dispose();
    relay = undefined;
  });

  it("sleep.ts keeps a reading that found no broker over deep sleep, and each arrives once", async () => {
    const { port, passwordPort } = platform.broker();
    const watcher = await new Device().connect(port);
    await watcher.subscribe({ "/sleeper/temperature": 2 });
    const memory = platform.newMemory();
    const nobody = await closedPort();
    expect(await platform.wakeUp(nobody, memory)).toEqual(
      ["woke up, readings kept: 0", "failed reason: -5", "sleeps"],
    );
    expect(await platform.wakeUp(nobody, memory)).toEqual(
      ["woke up, readings kept: 1", "failed reason: -5", "sleeps"],
    );
    expect(await platform.wakeUp(passwordPort, memory)).toEqual(
      ["woke up, readings kept: 2", "connected", "delivered", "sleeps"],
    );
    // Cut off before the device knows whether the broker has the reading.
    const cut = await Relay.start(passwordPort);
    relay = cut;
    const waking = platform.wakeUp(cut.port, memory);
    const hasPassed = (): boolean => cut.connections.some((one) => one.sent(true).includes("3 21.5"));
    await cut.until(hasPassed, "the fourth reading");
    cut.cut();
    expect((await waking)[0]).toBe("woke up, readings kept: 0");
    expect((await platform.wakeUp(passwordPort, memory)).slice(1)).toEqual(["connected", "delivered", "sleeps"]);
    platform.damage(memory);
    expect((await platform.wakeUp(passwordPort, memory))[0]).toBe("snapshot refused: -42");
    await watcher.receive(6);
    expect(watcher.messages.map(({ data }) => data)).toEqual([0, 1, 2, 3, 4, 5].map((count) => `${count} 21.5`));
  });

  it("update.ts takes an image of 1 MiB through 2 KiB of buffers, also after a cut, and verifies it", async () => {
    const { port, passwordPort } = platform.broker();
    const cut = await Relay.start(passwordPort);
    relay = cut;
    const sender = await new Device({ options: { txCapacity: IMAGE_LENGTH + 1024 } }).connect(port);
    await sender.subscribe({ "/firmware/state": 1 });
    const image = randomBytes(IMAGE_LENGTH);
    const { lines, printed } = await platform.run("update", cut.port, platform.newMemory());
    await printed("connected");
    await sender.publish("/firmware/sha256", digestOf(image), 1, 1);
    await sender.publish("/firmware/image", image, 1, 1);
    await cut.until(() => cut.connections.some((one) => one.sent(false).length > SOME), "some of the image");
    cut.cut();
    await printed(`verified ${digestOf(image)}`);
    expect(lines).toContain("offline");
    expect(lines.join()).toMatch(new RegExp(`image of ${IMAGE_LENGTH} bytes, \\d+ pauses,verified`));
    expect(lines.join()).not.toContain("damaged");
    await sender.receive(1);
    expect(sender.messages[0].data).toBe("verified");
    await sender.publish("/firmware/image", "", 1, 1);
    await sender.publish("/firmware/sha256", "", 1, 1);
  });

  it("release.ts sends an image of 1 MiB through 2 KiB of buffers, also after a cut", async () => {
    const { port, passwordPort } = platform.broker();
    const cut = await Relay.start(passwordPort);
    relay = cut;
    const { lines, printed } = await platform.run("release", cut.port, platform.newMemory());
    await cut.until(() => cut.connections.some((one) => one.sent(true).length > SOME), "some of the image");
    cut.cut();
    await printed("released");
    expect(lines.slice(0, 4)).toEqual(["connected", "offline", "connected", "released"]);
    const options = { format: "buffer" as const, maxMessageLength: IMAGE_LENGTH + 1024 };
    const watcher = await new Device({ options }).connect(port);
    await watcher.subscribe({ "/firmware/#": 1 });
    await watcher.receive(2);
    const payloads = new Map(watcher.messages.map(({ topic, data }) => [topic, data as Buffer]));
    const image = payloads.get("/firmware/image")!;
    expect(image).toHaveLength(IMAGE_LENGTH);
    expect(payloads.get("/firmware/sha256")!.toString()).toBe(digestOf(image));
    await watcher.publish("/firmware/image", "", 1, 1);
    await watcher.publish("/firmware/sha256", "", 1, 1);
  });
}
