/** A client as an application on a device holds it, which remembers what it was told and can be waited for. */
import mqtt from "mcu-mqtt";
import type { Client, ClientOptions, Data, Flag, Mqtt, QoS } from "mcu-mqtt";
import { HOST } from "../support/broker.js";
import { Signal } from "../support/signal.js";

export interface Message {
  topic: string;
  /** A copy. With `format: "buffer"` bytes; undefined when empty. */
  data: string | Buffer | undefined;
  qos: QoS;
  retain: boolean;
  dup: boolean;
}

export interface DeviceSettings {
  /** Default: on Node's HAL, with 3.1.1 unless `setDefaults` was given another. */
  mqtt?: Mqtt;
  /** Of CONNECT, with MQTT 5. */
  properties?: object;
  /** Default: a new one that has been used by nobody. */
  id?: string;
  keepalive?: number;
  username?: Data;
  password?: Data;
  /** Default 1. */
  cleansession?: Flag;
  options?: ClientOptions;
}

/** A message to be sent: topic, payload, QoS, retain. */
export type Outgoing = [topic: string, payload: Data, qos?: QoS, retain?: Flag];

const devices = new Set<Device>();
let count = 0;
let defaults: Required<Pick<DeviceSettings, "mqtt">> & Pick<DeviceSettings, "properties"> = { mqtt };

/** What devices are made with that are not told otherwise. */
export function setDefaults(settings: typeof defaults): void {
  defaults = settings;
}

/** A name that no other test has, in a broker that many share. */
export function unique(stem: string): string {
  return `${stem}${process.env["JEST_WORKER_ID"] ?? ""}-${++count}`;
}

/** Takes all devices down: after each test. */
export function removeDevices(): void {
  for (const device of devices) device.remove();
  devices.clear();
}

export class Device {
  readonly id: string;
  readonly client: Client;
  /** "connect", "connfail <reason>", "offline <reason>", in their order. */
  readonly outcomes: string[] = [];
  /** When the last one came, on the clock of `performance.now()`. */
  lastOutcomeMs = 0;
  readonly messages: Message[] = [];
  readonly overflows: Message[] = [];
  /** Callbacks that came for messages that were offered. */
  confirmed = 0;
  /** Of the last `connect`. */
  sessionPresent: boolean | undefined;
  /** Called at the end of each message's callback. */
  whenMessage = (_message: Message): void => {};
  readonly #signal = new Signal();
  /** Callbacks that are owed, one for each operation. */
  readonly #published: (() => void)[] = [];
  readonly #subscribed: ((granted: number[]) => void)[] = [];
  readonly #unsubscribed: (() => void)[] = [];
  readonly #properties: object | undefined;
  #connectAgain: number | undefined;
  #retry: NodeJS.Timeout | undefined;

  constructor(settings: DeviceSettings = {}) {
    const { username, password, cleansession, options } = settings;
    this.id = settings.id ?? unique("device");
    const { Client } = settings.mqtt ?? defaults.mqtt;
    this.#properties = settings.properties ?? defaults.properties;
    this.client = Client(this.id, settings.keepalive, username, password, cleansession, options);
    devices.add(this);
    const { client } = this;
    const record = (list: Message[]) => (_: Client, topic: string, data: unknown, info: Message): void => {
      const { qos, retain, dup } = info;
      const copy = data instanceof Uint8Array ? Buffer.from(data) : (data as string | undefined);
      const message = { topic, data: copy, qos, retain, dup };
      list.push(message);
      this.#signal.notify();
      this.whenMessage(message);
    };
    client.on("message", record(this.messages) as never);
    client.on("overflow", record(this.overflows) as never);
    client.on("connect", (_, sessionPresent) => {
      this.sessionPresent = sessionPresent;
      this.#outcome("connect");
    });
    client.on("connfail", (_, reason) => this.#outcome(`connfail ${reason}`));
    client.on("offline", (_, reason) => this.#outcome(`offline ${reason}`));
    client.on("puback", () => this.#settle(this.#published.shift(), undefined));
    client.on("suback", (_, granted) => this.#settle(this.#subscribed.shift(), [...granted]));
    client.on("unsuback", () => this.#settle(this.#unsubscribed.shift(), undefined));
  }

  /** Connects; rejects when the attempt fails. */
  async connect(port: number, secure?: Flag | object, host = HOST): Promise<this> {
    const outcome = await this.attempt(port, secure, host);
    if (outcome !== "connect") throw new Error(`${this.id}: ${outcome}`);
    return this;
  }

  /** Begins an attempt, as `client.connect`. */
  begin(port: number, secure?: Flag | object, host = HOST): boolean {
    if (this.#properties === undefined) return this.client.connect(host, port, secure, null, null);
    const client = this.client as unknown as { connect(...values: unknown[]): boolean };
    return client.connect(host, port, secure, null, null, null, this.#properties);
  }

  /** The next outcome of an attempt to connect. */
  async attempt(port: number, secure?: Flag | object, host = HOST): Promise<string> {
    const before = this.outcomes.length;
    if (!this.begin(port, secure, host)) throw new Error("connect: no socket");
    await this.until(() => this.outcomes.length > before, "an outcome of connect");
    return this.outcomes[before];
  }

  /** Connects, and again whenever the connection is lost or an attempt fails. */
  stayConnected(port: number): Promise<this> {
    this.#connectAgain = port;
    return this.connect(port);
  }

  /** Returns the codes granted. */
  subscribe(table: Record<string, QoS>): Promise<number[]> {
    return this.#promise(this.#subscribed, this.client.subscribe(table), "subscribe");
  }

  unsubscribe(table: Record<string, unknown>): Promise<void> {
    return this.#promise(this.#unsubscribed, this.client.unsubscribe(table), "unsubscribe");
  }

  /** Resolves at the callback. */
  publish(...[topic, payload, qos, retain]: Outgoing): Promise<void> {
    return this.#promise(this.#published, this.client.publish(topic, payload, qos, retain), "publish");
  }

  /** Publishes if the queue takes it, and counts the callback in `confirmed`. */
  offer(...[topic, payload, qos, retain]: Outgoing): boolean {
    const isQueued = this.client.publish(topic, payload, qos, retain);
    if (isQueued) this.#published.push(() => this.confirmed++);
    return isQueued;
  }

  /**
   * Publishes as fast as the queue takes it, however often the connection is lost. Resolves when every message had its
   * callback.
   */
  async send(messages: readonly Outgoing[]): Promise<void> {
    let next = 0;
    let completed = 0;
    const goOn = (): void => {
      while (next < messages.length) {
        const [topic, payload, qos, retain] = messages[next];
        if (!this.client.publish(topic, payload, qos, retain)) return;
        next++;
        this.#published.push(() => {
          completed++;
          goOn();
        });
      }
    };
    goOn();
    await this.until(() => {
      if (this.client.connected) goOn();
      return completed === messages.length;
    }, () => `all of ${messages.length} messages are sent, not only ${next}, and confirmed, not only ${completed}`);
  }

  /** Resolves when so many messages have come in all. */
  receive(count: number): Promise<void> {
    return this.until(() => this.messages.length >= count, () => `${count} messages, not ${this.messages.length}`);
  }

  /** Ends the session in good order; resolves at `offline`. */
  async close(): Promise<void> {
    const before = this.outcomes.length;
    if (!this.client.close()) throw new Error("close: no session");
    await this.until(() => this.outcomes.length > before, "offline after close()");
  }

  /** Resolves at the next loss of the session. */
  async offline(): Promise<void> {
    await this.until(() => !this.client.connected && /^offline/.test(this.outcomes.at(-1)!), "offline");
  }

  /** Resolves when `condition` holds; looked at after each callback. */
  until(condition: () => boolean, what: string | (() => string)): Promise<void> {
    const text = (): string => (typeof what === "string" ? what : what());
    return this.#signal.until(condition, () => `${this.id}: ${text()}; outcomes: ${this.outcomes.join()}`);
  }

  /** Ends whatever there is. */
  remove(): void {
    this.#connectAgain = undefined;
    clearTimeout(this.#retry);
    this.client.abort();
  }

  #outcome(text: string): void {
    this.outcomes.push(text);
    this.lastOutcomeMs = performance.now();
    const port = this.#connectAgain;
    if (port !== undefined && text !== "connect") {
      if (text.startsWith("offline")) this.begin(port);
      // A pause between attempts, as in an application.
      else this.#retry = setTimeout(() => this.begin(port), 20);
    }
    this.#signal.notify();
  }

  #settle<T>(resolve: ((value: T) => void) | undefined, value: T): void {
    if (resolve === undefined) throw new Error(`${this.id}: a callback that nothing owes`);
    resolve(value);
    this.#signal.notify();
  }

  async #promise<T>(list: ((value: T) => void)[], isQueued: boolean, what: string): Promise<T> {
    if (!isQueued) throw new Error(`${this.id}: ${what}: false`);
    let result: { value: T } | undefined;
    list.push((value) => (result = { value }));
    await this.until(() => result !== undefined, `the callback of ${what}`);
    return result!.value;
  }
}

/** The nth message of a stream: as many bytes, which depend on `index`, so that no other message looks like it. */
export function numbered(index: number, length: number): Buffer {
  const bytes = Buffer.alloc(length);
  bytes.writeUInt32BE(index, 0);
  for (let i = 4; i < length; i++) bytes[i] = index * 7 + i;
  return bytes;
}

/** Which of a stream's messages these are. Throws when one is not as it was sent. */
export function indices(messages: readonly Message[], length: number): number[] {
  return messages.map(({ data }) => {
    if (!Buffer.isBuffer(data) || data.length < 4) throw new Error(`no numbered message: ${String(data)}`);
    const index = data.readUInt32BE(0);
    if (!data.equals(numbered(index, length))) throw new Error(`message ${index} is garbled`);
    return index;
  });
}
