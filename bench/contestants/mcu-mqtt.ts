/** Ours, with Node's defaults. */
import mqtt from "mcu-mqtt";
import type { Client, ClientOptions } from "mcu-mqtt";
import { createMqtt, MQTT_3_1_1, type Hal, type Socket, type SocketHandler } from "mcu-mqtt/client";
import { Decoder, Encoder } from "mcu-mqtt/core";
import nodeHal from "mcu-mqtt/hal/node";
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

/** A client, and what it takes to have a callback for each message. An idle one has none of that. */
class OurClient implements ContestantClient {
  readonly #m: Client;
  readonly #port: number;
  /** What is called at the next `puback`, in order. */
  #dones: Fifo<() => void> | undefined;
  /** What the client's queue had no room for. */
  #waiting: Fifo<Message> | undefined;

  constructor(port: number, { clientId, window, onMessage }: ClientSettings, capacities: ClientOptions) {
    this.#port = port;
    this.#m = mqtt.Client(clientId, 60, null, null, 1, { format: "buffer", maxInflight: window, ...capacities });
    this.#m.on("message", (_client, _topic, data) => onMessage(data as Uint8Array));
  }

  // What waits for its promise is forgotten when it is kept, as with those who have `once`.

  /** Connects, for the first time too. */
  async again(): Promise<void> {
    await new Promise<void>((fulfil, reject) => {
      this.#m.connect("127.0.0.1", this.#port, 0, () => fulfil(), (_client, reason) => {
        reject(new Error(`mcu-mqtt does not connect: ${reason}`));
      });
    });
    this.#m.on("connect", null);
    this.#m.on("connfail", null);
  }

  async subscribe(filter: string, qos: 0 | 1 | 2): Promise<void> {
    await new Promise<void>((fulfil) => {
      this.#m.subscribe(filter, qos, () => fulfil());
    });
    this.#m.on("suback", null);
  }

  publish(message: Message, done: () => void): void {
    const dones = this.#dones ?? this.#listen();
    dones.push(done);
    const waiting = this.#waiting!;
    if (waiting.length > 0 || !this.#publish(message)) waiting.push(message);
  }

  end(): Promise<void> {
    return new Promise((fulfil) => {
      this.#m.on("offline", () => fulfil());
      this.#m.close();
    });
  }

  #publish({ topic, payload, qos }: Message): boolean {
    return this.#m.publish(topic, payload, qos);
  }

  #listen(): Fifo<() => void> {
    const dones = (this.#dones = new Fifo());
    const waiting = (this.#waiting = new Fifo());
    this.#m.on("puback", () => {
      dones.shift()();
      while (waiting.length > 0 && this.#publish(waiting.peek())) waiting.shift();
    });
    return dones;
  }
}

/** Connects a client with these capacities. */
export async function connect(
  port: number,
  settings: ClientSettings,
  capacities: ClientOptions = {},
): Promise<ContestantClient> {
  const client = new OurClient(port, settings, capacities);
  await client.again();
  return client;
}

const CONNACK = new Uint8Array([0x20, 2, 0, 0]);
/** More than is ever written between two chunks. */
const ROOM = 65536;
/** Bytes of the longest packet of the tables, and more. */
const LONGEST = 32768;

/** A connection without a network, to which chunks are handed. */
class ChunkSocket implements Socket {
  readonly #handler: SocketHandler;
  #chunk: Uint8Array = CONNACK;
  #at = 0;

  constructor(handler: SocketHandler) {
    this.#handler = handler;
  }

  accept(): void {
    this.#handler.onWritable(ROOM);
    this.hand(CONNACK);
  }

  hand(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
    this.#handler.onReadable(chunk.length);
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    const behind = this.#at + end - start;
    bytes.set(this.#chunk.subarray(this.#at, behind), start);
    this.#at = behind;
    return end - start;
  }

  write(): number {
    return ROOM;
  }

  close(): void {
    throw new Error("the client has closed the connection");
  }
}

export default {
  name: "mcu-mqtt",
  given:
    "Encode: the Encoder of mcu-mqtt/core writes into one buffer. Decode, ranges: the Decoder of mcu-mqtt/core. " +
    "Decode, messages: the public client with format \"buffer\", from its socket's callback on, so that reading the " +
    "socket, the checks of the protocol and, at QoS 1, PUBACK are counted, too. " +
    "Client: messages as bytes, maxInflight as the window, and Node's default capacities.",

  encoder(message) {
    const encoder = new Encoder(nodeHal.createText());
    const out = new Uint8Array(LONGEST);
    const packetId = message.qos === 0 ? 0 : 1;
    const encode = (): number =>
      encoder.publish(out, 0, LONGEST, message.qos << 1, packetId, message.topic, message.payload);
    return { encode, packet: () => out.slice(0, encode()) };
  },

  rangeDecoder(onMessage) {
    const unexpected = (): never => {
      throw new Error("not a PUBLISH");
    };
    const decoder = new Decoder(
      {
        onWhole: onMessage,
        onPublish: () => undefined,
        onPayload(_bytes, _start, _end, owed) {
          if (owed === 0) onMessage();
        },
        onAck: unexpected,
        onConnack: unexpected,
        onSuback: unexpected,
        onPingresp: unexpected,
      },
      new Uint8Array(1024),
    );
    return (chunk) => {
      if (decoder.push(chunk, 0, chunk.length) < 0) throw new Error("an error in the stream");
    };
  },

  messageDecoder(onMessage) {
    let socket: ChunkSocket | undefined;
    const hal: Hal = {
      ...nodeHal,
      open: (_host, _port, _secure, handler) => (socket = new ChunkSocket(handler)),
      createTimer: () => ({ schedule: () => undefined, clear: () => undefined }),
    };
    const { Client } = createMqtt(hal, MQTT_3_1_1);
    const client = new Client("bench", null, null, null, 1, { format: "buffer", maxMessageLength: LONGEST });
    client.on("message", (_client, topic, payload: Uint8Array) => {
      onMessage(topic, payload);
    });
    client.connect("localhost");
    if (socket === undefined) throw new Error("the client did not connect");
    const up = socket;
    up.accept();
    return (chunk) => {
      up.hand(chunk);
    };
  },

  connect,
} satisfies Contestant;
