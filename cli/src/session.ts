/** What the commands need of a client, in promises: the one file that knows the library. */
import { MQTT_3_1_1 } from "../../src/v311.js";
import { createMqtt } from "../../src/client.js";
import type { Client } from "../../src/client.js";
import { withOutcomes } from "../../src/optional/outcomes.js";
import type { Outcome, Outcomes } from "../../src/optional/outcomes.js";
import { createNodeHal } from "../../hal/node.js";
import { Failure } from "./failure.js";
import type { ConnectionOptions, QoS } from "./options.js";
import { describeConnectFailure, describeLoss } from "./reasons.js";
import type { Status } from "./output.js";

export interface Message {
  topic: string;
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
  /** 0 at QoS 0. */
  packetId: number;
}

export interface Outgoing {
  topic: string;
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
}

const WHOLE = 65536;

export class Session {
  readonly #options: ConnectionOptions;
  readonly #client: Client & Outcomes;
  readonly #status: Status;
  #retry: (() => void)[] = [];
  #lose!: (failure: Failure) => void;
  #offline: (() => void) | undefined;
  readonly lost: Promise<never>;

  get clientId(): string {
    return this.#options.clientId;
  }

  constructor(options: ConnectionOptions, status: Status, longest: number) {
    this.#options = options;
    this.#status = status;
    const { clientId, keepAliveSeconds, username, password, isPersistent, maxInflight, will } = options;
    const client = createMqtt(createNodeHal(), MQTT_3_1_1).Client(
      clientId,
      keepAliveSeconds,
      username ?? null,
      password ?? null,
      !isPersistent,
      { format: "buffer", maxInflight, maxMessageLength: WHOLE, txCapacity: Math.max(4 * WHOLE, longest + WHOLE * 2) },
    );
    this.#client = withOutcomes(client);
    if (will !== undefined) client.lwt(will.topic, will.payload, will.qos, will.isRetained);
    this.lost = new Promise((_resolve, reject) => (this.#lose = reject));
    this.lost.catch(() => undefined);
    client.on("offline", (_client, reason) => {
      if (this.#offline !== undefined) this.#offline();
      else this.#lose(new Failure(describeLoss(reason)));
      this.#wake();
    });
  }

  connect(): Promise<void> {
    const { host, port, tls } = this.#options;
    return new Promise((resolve, reject) => {
      this.#client.connect(
        host,
        port,
        tls ?? false,
        () => {
          this.#say("sent CONNECT");
          resolve();
        },
        (_client, reason, detail) => {
          if (reason > 0) this.#say("sent CONNECT");
          reject(new Failure(describeConnectFailure(reason, detail, host, port), reason > 0 ? reason : 1));
        },
      );
    });
  }

  async publish({ topic, payload, qos, retain }: Outgoing): Promise<void> {
    while (!this.#client.publish(topic, payload, qos, retain)) {
      if (!this.#client.connected) return this.lost;
      await new Promise<void>((resolve) => this.#retry.push(resolve));
    }
    const flags = `Q${qos}, R${retain ? 1 : 0}, D0`;
    this.#say(`sent PUBLISH (${flags}, Topic=${topic}, Payload=...(${payload.length} bytes))`);
    const outcome = await new Promise<Outcome>((resolve) => this.#client.outcome((_client, outcome) => resolve(outcome)));
    this.#wake();
    if (outcome !== "delivered") await this.lost;
  }

  subscribe(filters: string[], qos: QoS): Promise<number[]> {
    return new Promise((resolve, reject) => {
      const table = Object.fromEntries(filters.map((filter) => [filter, qos]));
      const done = (_client: Client, granted: Uint8Array): void => resolve([...granted]);
      if (!this.#client.subscribe(table, done)) reject(new Failure("the subscriptions do not fit one packet"));
    });
  }

  onMessage(callback: (message: Message) => void): void {
    this.#client.on("message", (_client, topic, data: Uint8Array | undefined, info) => {
      callback({ topic, payload: new Uint8Array(data ?? []), ...info });
    });
    let whole = new Uint8Array(0);
    this.#client.on("data", (_client, topic, bytes, offset, total, info) => {
      if (offset === 0) whole = new Uint8Array(total);
      whole.set(bytes, offset);
      if (offset + bytes.length === total) callback({ topic, payload: whole, ...info });
    });
  }

  pause(): void {
    this.#client.pause();
  }

  resume(): void {
    this.#client.resume();
  }

  async end(): Promise<void> {
    if (!this.#client.connected) {
      this.#client.abort();
      return;
    }
    await new Promise<void>((resolve) => {
      this.#offline = resolve;
      this.#client.close();
    });
    this.#say("sent DISCONNECT");
  }

  #say(what: string): void {
    this.#status.say(`Client ${this.#options.clientId} ${what}`);
  }

  #wake(): void {
    for (const retry of this.#retry.splice(0)) retry();
  }
}
