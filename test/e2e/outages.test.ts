/** What becomes of clients when their broker goes down, dies, or falls silent. */
import { afterEach, describe, expect, it, jest } from "@jest/globals";
import type { QoS } from "mcu-mqtt";
import { HOST } from "../support/broker.js";
import type { MosquittoOptions } from "../support/mosquitto.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Device, indices, numbered, removeDevices, unique } from "./device.js";

jest.setTimeout(60000);

needs("mosquitto", "mosquitto_passwd")("with mosquitto", () => {
  const brokers: Mosquitto[] = [];

  const start = async (options?: MosquittoOptions): Promise<Mosquitto> => {
    const broker = await Mosquitto.start(options);
    brokers.push(broker);
    return broker;
  };

  afterEach(async () => {
    removeDevices();
    await Promise.all(brokers.splice(0).map((broker) => broker.dispose()));
  });

  describe("a broker that is restarted in mid-flow", () => {
    it.each([1, 2] as const)("loses nothing of persistent sessions at QoS %i", async (qos) => {
      const broker = await start({ persistence: true });
      const settings = { cleansession: 0, options: { format: "buffer" } } as const;
      const sender = await new Device(settings).stayConnected(broker.port);
      const receiver = await new Device(settings).stayConnected(broker.port);
      const topic = unique("restart");
      await receiver.subscribe({ [topic]: qos });
      const count = 1500;
      let restarts = 0;
      let restarted = Promise.resolve();
      // One may have been quicker to come back, and have its messages before the other is there.
      const bothConnected = async (): Promise<void> => {
        for (const device of [sender, receiver]) await device.until(() => device.client.connected, "connected again");
      };
      receiver.whenMessage = () => {
        if (receiver.messages.length < (restarts + 1) * 400 || restarts === 3) return;
        restarts++;
        restarted = restarted.then(bothConnected).then(() => broker.stop()).then(() => broker.restart());
      };
      await sender.send(Array.from({ length: count }, (_, i) => [topic, numbered(i, 100), qos]));
      const distinct = (): Set<number> => new Set(indices(receiver.messages, 100));
      await receiver.until(() => distinct().size === count, () => `${count} messages, not ${distinct().size}`);
      await restarted;
      await sender.until(() => sender.client.connected, "connected again");
      await sender.send([[topic, numbered(count, 100), qos]]);
      await receiver.until(() => distinct().size > count, "one more");
      expect([...distinct()]).toEqual([...Array(count + 1).keys()]);
      if (qos === 2) expect(receiver.messages.length).toBe(count + 1);
      for (const device of [sender, receiver]) {
        expect(device.outcomes.filter((outcome) => outcome === "offline -10").length).toBe(3);
        expect(device.sessionPresent).toBe(true);
      }
    });

    it("without persistence: the session is gone, and what was not acknowledged is sent to the new one", async () => {
      const broker = await start();
      const device = await new Device({ cleansession: 0, options: { maxInflight: 2 } }).connect(broker.port);
      const topic = unique("forgotten");
      // What the frozen broker has not read is lost with it.
      broker.freeze();
      for (const data of ["a", "b", "c"]) device.offer(topic, data, 2, 1);
      expect(device.client.subscribe(topic, 1)).toBe(true);
      await broker.stop("SIGKILL");
      await device.offline();
      expect(device.confirmed).toBe(0);
      await broker.restart();
      await device.connect(broker.port);
      expect(device.sessionPresent).toBe(false);
      await device.until(() => device.confirmed === 3, "three callbacks");
      await device.subscribe({ [topic]: 1 });
      await device.until(() => device.messages.length === 1, "the retained one");
      expect(device.messages[0]).toMatchObject({ data: "c", retain: true });
    });
  });

  it("killed and not restarted: offline, then attempts fail with -5", async () => {
    const broker = await start();
    const device = await new Device().connect(broker.port);
    await broker.stop("SIGKILL");
    await device.offline();
    expect(device.client.publish("any", "x", 1)).toBe(false);
    expect(device.client.close()).toBe(false);
    expect(await device.attempt(broker.port)).toBe("connfail -5");
    expect(await device.attempt(broker.port)).toBe("connfail -5");
    expect(device.outcomes).toEqual(["connect", "offline -10", "connfail -5", "connfail -5"]);
  });

  it("autoreconnect connects again by itself, until close()", async () => {
    const broker = await start();
    const device = new Device();
    device.client.connect(HOST, broker.port, 0, 1, null, null);
    await device.until(() => device.outcomes.length === 1, "connect");
    await broker.stop();
    await device.offline();
    await broker.restart();
    await device.until(() => device.client.connected, "connected again");
    expect(device.outcomes).toEqual(["connect", "offline -10", "connect"]);
    await device.close();
    expect(device.outcomes.slice(3)).toEqual(["offline 0"]);
  });

  it("frozen: clients with a keepalive of 1 s are offline within 2 s, idle or not; attempts fail with -2", async () => {
    const broker = await start();
    const idle = new Device({ keepalive: 1 });
    const waiting = new Device({ keepalive: 1 });
    const sending = new Device({ keepalive: 1 });
    const closing = new Device();
    const losing = [idle, waiting, sending];
    await Promise.all([...losing, closing].map((device) => device.connect(broker.port)));
    broker.freeze();
    const frozenAt = performance.now();
    // Twice the keepalive, by a timer that is as late as this machine makes it.
    const dueAt = new Promise<number>((resolve) => setTimeout(() => resolve(performance.now()), 2000));
    waiting.offer("any", "x", 1);
    closing.offer("any", "x", 1);
    expect(closing.client.close()).toBe(true);
    // Goes on for ever if nobody stops it: the system's buffers take all of it.
    const send = setInterval(() => sending.offer("any", "x".repeat(900)), 20);
    // An attempt meanwhile: the system accepts the connection, and nobody answers.
    const late = new Device().attempt(broker.port);
    await Promise.all([...losing, closing].map((device) => device.offline()));
    clearInterval(send);
    for (const device of losing) {
      expect(device.outcomes.join()).toMatch(/^connect,offline -1[12]$/);
      expect(device.lastOutcomeMs - frozenAt).toBeGreaterThan(900);
      expect(device.lastOutcomeMs).toBeLessThan((await dueAt) + 500);
    }
    // It waited for its acknowledgement as long as close() does, and said nothing about it.
    expect(closing.outcomes).toEqual(["connect", "offline 0"]);
    expect(closing.confirmed).toBe(0);
    expect(closing.lastOutcomeMs - frozenAt).toBeGreaterThan(1900);
    expect(closing.lastOutcomeMs).toBeLessThan((await dueAt) + 1000);
    expect(await late).toBe("connfail -2");
    broker.thaw();
    await idle.connect(broker.port);
  });

  it("frozen and thawed in time: nothing is lost", async () => {
    const broker = await start();
    const device = await new Device({ options: { format: "buffer", txCapacity: 4096 } }).connect(broker.port);
    const topic = unique("pause");
    await device.subscribe({ [topic]: 2 });
    broker.freeze();
    let queued = 0;
    while (device.offer(topic, numbered(queued, 200), (queued % 3) as QoS)) queued++;
    expect(queued).toBeGreaterThan(10);
    broker.thaw();
    await device.receive(queued);
    expect(indices(device.messages, 200).sort((a, b) => a - b)).toEqual([...Array(queued).keys()]);
    await device.until(() => device.confirmed === queued, "all callbacks");
    expect(device.outcomes).toEqual(["connect"]);
  });
});
