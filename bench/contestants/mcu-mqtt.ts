/** Ours, with Node's defaults. */
import mqtt from "mcu-mqtt";
import type { ClientOptions } from "mcu-mqtt";
import type { ClientSettings, Contestant, ContestantClient, Message } from "./contestant.js";

/** More than there can be operations, and a power of two. */
const RING = 2048;

/** A client with these capacities. */
export function connect(
  port: number,
  { clientId, window, onMessage }: ClientSettings,
  capacities: ClientOptions = {},
): Promise<ContestantClient> {
  const m = mqtt.Client(clientId, 60, null, null, 1, { format: "buffer", maxInflight: window, ...capacities });
  /** What is called at the next `puback`, in order. */
  const dones = new Array<() => void>(RING);
  let first = 0;
  let next = 0;
  /** What the queue had no room for. */
  let waiting: [Message, () => void][] = [];
  let waited = 0;

  const publish = (message: Message, done: () => void): boolean => {
    if (!m.publish(message.topic, message.payload, message.qos)) return false;
    dones[next++ & (RING - 1)] = done;
    return true;
  };
  m.on("puback", () => {
    dones[first++ & (RING - 1)]();
    while (waited < waiting.length && publish(...waiting[waited])) waited++;
    if (waited > 0 && waited === waiting.length) {
      waiting = [];
      waited = 0;
    }
  });
  m.on("message", (_client, _topic, data) => onMessage(data as Uint8Array));

  const client: ContestantClient = {
    subscribe: (filter, qos) =>
      new Promise((fulfil) => {
        m.subscribe(filter, qos, () => fulfil());
      }),
    publish(message, done) {
      if (waiting.length > 0 || !publish(message, done)) waiting.push([message, done]);
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
