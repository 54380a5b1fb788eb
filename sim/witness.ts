/**
 * What is known of the devices from their traffic, and waiting for it to become so. Draws no conclusions: what is to
 * happen when is the scenario's.
 */
import { CONNACK_REFUSED_BAD_USER_OR_PASS, CONNACK_REFUSED_NOT_AUTHORIZED } from "../src/errors.js";
import type { Packet } from "../src/optional/trace.js";
import { SUBSCRIPTION_FAILURE } from "../src/wire.js";
import type { Failure } from "./failure.js";
import type { Link } from "./link.js";
import type { Message } from "./packet-text.js";
import { asMessage } from "./packet-text.js";
import { describeReturnCode, refusedLogin } from "./refusal.js";

/** The network is quiet when nothing has passed for this long. */
const QUIET_MS = 250;
/** A condition is looked at when something has happened, and at least this often. */
const LOOK_MS = 50;
/** A program that never rests is left alone after this long. */
const RESTLESS_MS = 3000;

/** What is known of one client of the program. */
export class Device {
  readonly number: number;
  /** Its connection, up or coming up. */
  link: Link | undefined;
  /** Its connection is accepted. */
  isAccepted = false;
  /** It has published or subscribed since then. */
  hasActed = false;
  /** Count of accepted connections. */
  sessions = 0;
  /** What the broker publishes when the connection breaks. */
  will: Message | undefined;
  /** Topic filters that are granted, and their QoS. */
  readonly filters = new Map<string, number>();
  /** Messages received: topic and the beginning of the payload. */
  readonly received: { topic: string; payload: string }[] = [];
  /** Filters by the packet id of the SUBSCRIBE that waits for SUBACK. */
  readonly #subscribing = new Map<number, string[]>();
  /** Packet ids that wait for their last acknowledgement. */
  readonly #unanswered = new Set<number>();

  constructor(number: number) {
    this.number = number;
  }

  /** True while the broker owes an acknowledgement. */
  isWaiting(): boolean {
    return this.link !== undefined && this.#unanswered.size > 0;
  }

  /** A connection is asked for. */
  open(link: Link): void {
    this.link = link;
    this.isAccepted = false;
    this.hasActed = false;
    this.#unanswered.clear();
    this.#subscribing.clear();
  }

  /** It is over. */
  down(link: Link): void {
    if (this.link !== link) return; // another one has taken its place
    this.link = undefined;
    this.isAccepted = false;
  }

  /** A packet passes. */
  packet(packet: Packet): void {
    if (packet.isSent) this.#sent(packet);
    else this.#got(packet);
  }

  #sent(packet: Packet): void {
    switch (packet.type) {
      case "CONNECT":
        this.will = packet.lwt && asMessage(packet.lwt);
        if (packet.cleansession) this.filters.clear();
        break;
      case "SUBSCRIBE":
        this.hasActed = true;
        this.#unanswered.add(packet.packetId);
        this.#subscribing.set(packet.packetId, packet.subscriptions.map(({ topicFilter }) => topicFilter));
        break;
      case "UNSUBSCRIBE":
        this.#unanswered.add(packet.packetId);
        for (const filter of packet.topicFilters) this.filters.delete(filter);
        break;
      case "PUBLISH":
        this.hasActed = true;
        if (packet.qos > 0) this.#unanswered.add(packet.packetId);
        break;
      case "DISCONNECT":
        this.will = undefined;
        break;
      default: // acknowledgements and pings
    }
  }

  #got(packet: Packet): void {
    switch (packet.type) {
      case "CONNACK":
        this.isAccepted = packet.returnCode === 0;
        if (this.isAccepted) this.sessions++;
        break;
      case "SUBACK":
        this.#unanswered.delete(packet.packetId);
        for (const [i, filter] of (this.#subscribing.get(packet.packetId) ?? []).entries()) {
          const returnCode = packet.returnCodes[i];
          if (returnCode !== SUBSCRIPTION_FAILURE) this.filters.set(filter, returnCode);
        }
        break;
      case "PUBACK":
      case "PUBCOMP":
      case "UNSUBACK":
        this.#unanswered.delete(packet.packetId);
        break;
      case "PUBLISH": {
        const { topic, payload } = asMessage(packet);
        this.received.push({ topic, payload: Buffer.from(payload).toString() });
        break;
      }
      default: // nothing that ends a wait
    }
  }
}

/** Watches all devices. */
export class Witness {
  readonly devices: Device[] = [];
  /** Why the last attempt to connect failed, in words. */
  lastRefusal: string | undefined;
  readonly #untilMs: number;
  #failure: Failure | undefined;
  #lastEventMs = performance.now();
  /** How often it was looked since then, and nothing had happened. */
  #looks = 0;
  readonly #waiting = new Set<() => void>();

  /** @param limitMs no wait takes longer than until then, from now */
  constructor(limitMs: number) {
    this.#untilMs = performance.now() + limitMs;
  }

  /** The device with this number. */
  device(number: number): Device {
    while (this.devices.length < number) this.devices.push(new Device(this.devices.length + 1));
    return this.devices[number - 1];
  }

  /** A packet of the device with this number passes. */
  packet(number: number, packet: Packet): void {
    const device = this.device(number);
    device.packet(packet);
    if (packet.type === "CONNACK" && packet.returnCode !== 0) {
      this.lastRefusal = `CONNACK ${describeReturnCode(packet.returnCode)}`;
      const isLogin =
        packet.returnCode === CONNACK_REFUSED_BAD_USER_OR_PASS || packet.returnCode === CONNACK_REFUSED_NOT_AUTHORIZED;
      const route = device.link?.route;
      if (isLogin && route !== undefined) this.fail(refusedLogin(`${route.host}:${route.port}`, packet.returnCode));
    }
    this.happened();
  }

  /** Something was seen, by whomever. */
  happened(): void {
    this.#lastEventMs = performance.now();
    this.#looks = 0;
    for (const check of this.#waiting) check();
  }

  /** The run cannot go on: every wait ends with this failure, the first one given. */
  fail(failure: Failure): void {
    this.#failure ??= failure;
    this.happened();
  }

  /** Waits until the condition holds, for at most `ms` and within the limit of the run. Resolves to whether it does. */
  async until(condition: () => boolean, ms = Infinity): Promise<boolean> {
    const end = Math.min(performance.now() + ms, this.#untilMs);
    while (this.#failure === undefined && !condition()) {
      const left = end - performance.now();
      if (left <= 0) return false;
      await this.#event(Math.min(left, LOOK_MS));
    }
    if (this.#failure !== undefined) throw this.#failure;
    return true;
  }

  /** Waits until nothing passes any more, and no acknowledgement is owed. */
  async settle(): Promise<void> {
    await this.until(
      () => this.isQuiet(QUIET_MS) && !this.devices.some((device) => device.isWaiting()),
      RESTLESS_MS,
    );
  }

  /** True when nothing has happened for `ms`, in which this process had its turns: what came could have been seen. */
  isQuiet(ms: number): boolean {
    return this.#looks >= ms / LOOK_MS && performance.now() >= this.#lastEventMs + ms;
  }

  /** True when the time of the run is used up. */
  isLate(): boolean {
    return performance.now() >= this.#untilMs;
  }

  /** The next event, or the end of `ms`. */
  #event(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        clearTimeout(timeout);
        this.#waiting.delete(done);
        resolve();
      };
      const timeout = setTimeout(() => {
        this.#looks++;
        done();
      }, ms);
      this.#waiting.add(done);
    });
  }
}
