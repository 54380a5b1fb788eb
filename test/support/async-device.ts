/**
 * A client with promises on a mock platform, and the broker at the other end of its sockets. Time is the mock's; what
 * promises do is waited for by `flush`.
 */
import { MockHal } from "../../hal/mock.js";
import type { MockHalOptions, MockSocket } from "../../hal/mock.js";
import { AsyncClient } from "../../src/async/client.js";
import type { AsyncOptions, ClientEvent } from "../../src/async/options.js";
import type { Packet } from "./packets.js";
import { Broker, connack } from "./device.js";

/** Lets everything happen that promises have to do. */
export const flush = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Whatever became of a promise, as text; "pending" as long as nothing has. */
export class Outcome {
  text = "pending";

  constructor(promise: Promise<unknown>) {
    promise.then(
      (value) => {
        this.text = value === undefined ? "done" : JSON.stringify(value);
      },
      (error: Error) => {
        this.text = `${error.name}: ${error.message}`;
      },
    );
  }
}

export class AsyncDevice {
  readonly hal: MockHal;
  readonly client: AsyncClient;
  readonly events: ClientEvent[] = [];
  private readonly _brokers = new Map<MockSocket, Broker>();
  private readonly _violations: string[] = [];

  /** An `owner` is there unless the options say otherwise. */
  constructor(options: AsyncOptions = {}, hal: MockHalOptions = {}) {
    this.hal = new MockHal(hal);
    const owner = (event: ClientEvent): void => void this.events.push(event);
    this.client = new AsyncClient(this.hal, { clientid: "id", owner, ...options });
  }

  get broker(): Broker {
    const socket = this.hal.socket;
    let broker = this._brokers.get(socket);
    if (broker === undefined) {
      broker = new Broker(this.hal, socket, this._violations, 4096);
      this._brokers.set(socket, broker);
    }
    return broker;
  }

  /** What was sent since this was asked last, one line for each packet. */
  sent(): string[] {
    this.hal.settle();
    return this.broker.take();
  }

  /** The broker sends these. */
  async send(...packets: Packet[]): Promise<void> {
    this.broker.send(...packets);
    this.hal.settle();
    await flush();
  }

  /** The events since this was asked last, states aside, as text. */
  async take(): Promise<string[]> {
    this.hal.settle();
    await flush();
    return this.events.splice(0).filter(({ type }) => type !== "state").map((event) => {
      if (event.type !== "publish") return JSON.stringify(event);
      return `${event.message.topic}=${Buffer.from(event.message.payload).toString()}`;
    });
  }

  /** A session. */
  async up(isPresent = false): Promise<this> {
    const connected = this.client.connect();
    this.hal.settle();
    this.hal.socket.connect();
    this.sent();
    await this.send(connack(0, isPresent));
    await connected;
    await this.take();
    return this;
  }

  /** Every socket that is opened from now on comes up, and what it is sent is answered. */
  answer(): this {
    this.hal.script = (socket) => {
      const broker = new Broker(this.hal, socket, this._violations, 4096);
      broker.answers = true;
      this._brokers.set(socket, broker);
      socket.connect();
    };
    return this;
  }

  /** Time passes, and promises have their turn. */
  async advance(ms: number): Promise<void> {
    this.hal.advance(ms);
    await flush();
  }
}
