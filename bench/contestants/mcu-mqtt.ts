/** Ours, with Node's defaults. */
import mqtt from "mcu-mqtt";
import type { ClientOptions } from "mcu-mqtt";
import type { ClientSettings, Contestant, ContestantClient, Message } from "./contestant.js";

/** A queue that allocates while it grows only, and an idle one next to nothing. */
class Fifo<T> {
  #items = new Array<T | undefined>(4);
  #first = 0;
  length = 0;

  push(item: T): void {
    const size = this.#items.length;
    if (this.length === size) {
      this.#items = [...this.#items.slice(this.#first), ...this.#items.slice(0, this.#first), ...new Array<T>(size)];
      this.#first = 0;
    }
    this.#items[(this.#first + this.length++) & (this.#items.length - 1)] = item;
  }

  peek(): T {
    return this.#items[this.#first]!;
  }

  shift(): T {
    const item = this.#items[this.#first]!;
    this.#items[this.#first] = undefined;
    this.#first = (this.#first + 1) & (this.#items.length - 1);
    this.length--;
    return item;
  }
}

/** A client with these capacities. */
export function connect(
  port: number,
  { clientId, window, onMessage }: ClientSettings,
  capacities: ClientOptions = {},
): Promise<ContestantClient> {
  const m = mqtt.Client(clientId, 60, null, null, 1, { format: "buffer", maxInflight: window, ...capacities });
  /** What is called at the next `puback`, in order. */
  const dones = new Fifo<() => void>();
  /** What the client's queue had no room for. */
  const waiting = new Fifo<Message>();

  const publish = ({ topic, payload, qos }: Message): boolean => m.publish(topic, payload, qos);
  m.on("puback", () => {
    dones.shift()();
    while (waiting.length > 0 && publish(waiting.peek())) waiting.shift();
  });
  m.on("message", (_client, _topic, data) => onMessage(data as Uint8Array));

  const client: ContestantClient = {
    subscribe: (filter, qos) =>
      new Promise((fulfil) => {
        m.subscribe(filter, qos, () => fulfil());
      }),
    publish(message, done) {
      dones.push(done);
      if (waiting.length > 0 || !publish(message)) waiting.push(message);
    },
    end: () =>
      new Promise((fulfil) => {
        m.on("offline", () => fulfil());
        m.close();
      }),
  };
  return new Promise((fulfil, reject) => {
    m.connect("127.0.0.1", port, 0, () => fulfil(client), (_client, reason) => {
      reject(new Error(`mcu-mqtt does not connect: ${reason}`));
    });
  });
}

export default {
  name: "mcu-mqtt",
  given: "messages as bytes, maxInflight as the window, and Node's default capacities",
  connect,
} satisfies Contestant;
