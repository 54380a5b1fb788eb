/** A client that stays connected: what it has subscribed to goes on coming, whatever its broker has forgotten. */
import { afterEach, expect, it, jest } from "@jest/globals";
import { withReconnect } from "../../src/optional/reconnect.js";
import type { ReconnectOptions, Reconnecting } from "../../src/optional/reconnect.js";
import { HOST } from "../support/broker.js";
import type { MosquittoOptions } from "../support/mosquitto.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import { Signal } from "../support/signal.js";
import type { DeviceSettings } from "./device.js";
import { Device, removeDevices, unique } from "./device.js";

jest.setTimeout(60000);

const QUICK: ReconnectOptions = { minDelayMs: 20, maxDelayMs: 100 };

/** A device that stays connected, and what it says of that. */
class StayingDevice extends Device {
  readonly states: string[] = [];
  readonly stays: Reconnecting;
  private readonly renewals = new Signal();

  constructor(settings: DeviceSettings, options: ReconnectOptions = {}) {
    super(settings);
    this.stays = withReconnect(this.client, { ...QUICK, ...options });
    this.stays.onState((_, state) => this.states.push(state));
    this.stays.onRenewal(() => this.renewals.notify());
  }

  /** Resolves when the broker has granted this. */
  granted(filter: string): Promise<void> {
    return this.renewals.until(() => filter in this.stays.subscriptions(), () => `${filter} granted`);
  }

  /** Resolves when it is connected for the `count`th time. */
  connected(count: number): Promise<void> {
    return this.told("connect", count);
  }

  /** Resolves when this was told for the `count`th time, whatever was told since. */
  told(outcome: string, count: number): Promise<void> {
    return this.until(() => this.outcomes.filter((told) => told === outcome).length >= count, `${count} ${outcome}`);
  }
}

needs("mosquitto", "mosquitto_passwd")("with mosquitto", () => {
  const brokers: Mosquitto[] = [];

  const start = async (options?: MosquittoOptions): Promise<Mosquitto> => {
    const broker = await Mosquitto.start(options);
    brokers.push(broker);
    return broker;
  };

  /** SUBSCRIBEs that the broker has read from a device before another one, which is closed, has left. */
  const subscribes = async (broker: Mosquitto, { id }: Device, closed: Device): Promise<number> => {
    await broker.logged(`Received DISCONNECT from ${closed.id}`);
    return broker.log.split(`Received SUBSCRIBE from ${id}`).length - 1;
  };

  afterEach(async () => {
    removeDevices();
    await Promise.all(brokers.splice(0).map((broker) => broker.dispose()));
  });

  it.each<[string, 0 | 1, boolean]>([
    ["a clean session", 1, true],
    ["a persistent session that the broker has lost", 0, false],
    ["a persistent session that the broker has kept", 0, true],
  ])("killed and restarted, %s: what was subscribed goes on coming", async (_, cleansession, persistence) => {
    const broker = await start({ persistence });
    const device = new StayingDevice({ cleansession });
    await device.connect(broker.port);
    const topic = unique("staying");
    await device.subscribe({ [topic]: 1, [`${topic}/+`]: 0 });
    for (let round = 1; round <= 3; round++) {
      // mosquitto writes its sessions down when it is told to end.
      await broker.stop(persistence ? "SIGTERM" : "SIGKILL");
      await device.told("offline -10", round);
      await broker.restart();
      await device.connected(round + 1);
      const hasSession = persistence && cleansession === 0;
      expect(device.sessionPresent).toBe(hasSession);
      await device.granted(`${topic}/+`);
      const sender = await new Device().connect(broker.port);
      await sender.publish(topic, String(round), 1);
      await sender.publish(`${topic}/a`, String(round));
      await device.receive(2 * round);
      await sender.close();
      expect(await subscribes(broker, device, sender)).toBe(hasSession ? 1 : round + 1);
    }
    expect(device.messages.map(({ data }) => data)).toEqual(["1", "1", "2", "2", "3", "3"]);
    expect(device.stays.subscriptions()).toEqual(Object.assign(Object.create(null), { [topic]: 1, [`${topic}/+`]: 0 }));
    await device.close();
    expect(device.stays.state).toBe("idle");
    expect(device.states.filter((state) => state === "connected").length).toBe(4);
  });

  it("goes to the next broker when the first one is gone, and back", async () => {
    const [first, second] = await Promise.all([start(), start()]);
    const hosts = [first, second].map(({ port }) => ({ host: HOST, port }));
    const device = new StayingDevice({}, { hosts });
    expect(device.stays.connect()).toBe(true);
    await device.connected(1);
    const topic = unique("either");
    await device.subscribe({ [topic]: 1 });
    const to = async (broker: Mosquitto, data: string): Promise<void> => {
      await device.granted(topic);
      const sender = await new Device().connect(broker.port);
      await sender.publish(topic, data, 1);
      await device.until(() => device.messages.at(-1)?.data === data, data);
    };
    await to(first, "one");
    await first.stop("SIGKILL");
    await device.connected(2);
    await to(second, "two");
    await first.restart();
    await second.stop("SIGKILL");
    await device.connected(3);
    await to(first, "three");
  });

  it("a wrong password is told once, and not tried again", async () => {
    const broker = await start();
    const device = new StayingDevice({ username: "nobody", password: "wrong" }, { minDelayMs: 1, maxDelayMs: 1 });
    expect(await device.attempt(broker.passwordPort)).toMatch(/^connfail [45]$/);
    expect(device.stays.state).toBe("stopped");
    const other = await new Device().connect(broker.port);
    await other.close();
    expect(device.outcomes.length).toBe(1);
    await broker.logged(`Received DISCONNECT from ${other.id}`);
    expect(broker.log.split(device.id).length - 1).toBeLessThan(5);
  });
});
