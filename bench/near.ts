/**
 * Clients and a broker in one process, without a network between them: what is measured is the client alone, and the
 * broker answers one packet at a time, when it is told to. For what a client costs as it has more to keep.
 */
import { Duplex } from "node:stream";
import { setImmediate as turn } from "node:timers/promises";
import mqttJs from "mqtt";
import { createMqtt, MQTT_3_1_1 } from "mcu-mqtt/client";
import type { ClientOptions, Hal, SocketHandler } from "mcu-mqtt/client";
import nodeHal from "mcu-mqtt/hal/node";
import { cpuMs } from "./cpu.js";
import { Packets } from "./packets.js";
import type { Figures } from "./tables/table.js";

const CONNACK = 2;
const PUBACK = 4;
const PUBREC = 5;
const PUBREL = 6;
const PUBCOMP = 7;
const SUBACK = 9;
/** More than is ever written at once. */
const ROOM = 1 << 24;

/** The broker's end of a connection. */
export class NearBroker {
  /** Takes bytes to the client. They are valid during the call. */
  deliver: (bytes: Uint8Array) => void = () => undefined;
  /** Answers that are due, oldest first: type and packet id. */
  readonly #due: Uint32Array;
  #first = 0;
  #next = 0;
  readonly #packets = new Packets((bytes, start, body) => this.#take(bytes, start, body));
  readonly #short = new Uint8Array(4);

  /** @param capacity answers that may be due at the same time, a power of two */
  constructor(capacity: number) {
    this.#due = new Uint32Array(capacity);
  }

  /** What the client has written. */
  take(bytes: Uint8Array): void {
    this.#packets.push(bytes, bytes.length);
  }

  get hasAnswer(): boolean {
    return this.#first < this.#next;
  }

  /** Sends the oldest answer. */
  answer(): void {
    if (!this.hasAnswer) throw new Error("the client waits for nothing");
    const due = this.#due[this.#first++ & (this.#due.length - 1)];
    const type = due >> 16;
    const packet = type === SUBACK ? new Uint8Array(5) : this.#short;
    packet.set([(type << 4) | (type === PUBREL ? 2 : 0), packet.length - 2, (due >> 8) & 255, due & 255]);
    this.deliver(packet);
  }

  #take(bytes: Uint8Array, start: number, body: number): void {
    const idAt = (at: number): number => (bytes[at] << 8) | bytes[at + 1];
    switch (bytes[start] >> 4) {
      case 1:
        return this.#push(CONNACK, 0);
      case 3: {
        const qos = (bytes[start] >> 1) & 3;
        if (qos > 0) this.#push(qos === 1 ? PUBACK : PUBREC, idAt(body + 2 + idAt(body)));
        return;
      }
      case PUBREL:
        return this.#push(PUBCOMP, idAt(body));
      case 8:
        return this.#push(SUBACK, idAt(body));
    }
  }

  #push(type: number, packetId: number): void {
    if (this.#next - this.#first === this.#due.length) throw new Error("too many answers are due");
    this.#due[this.#next++ & (this.#due.length - 1)] = (type << 16) | packetId;
  }
}

/** A client that is connected to a `NearBroker`. */
export interface NearClient {
  subscribe(filter: string): void;
  /** Calls `done` when the message is acknowledged. */
  publish(topic: string, payload: Uint8Array, qos: 1 | 2, done: () => void): void;
  /** Lets what was delivered be handled; undefined: it is, when `deliver` returns. */
  turn?: () => Promise<unknown>;
}

export interface NearSettings {
  window: number;
  onMessage: () => void;
  /** Of mcu-mqtt. */
  capacities: ClientOptions;
}

type Connect = (broker: NearBroker, settings: NearSettings) => Promise<NearClient>;

/** mcu-mqtt on a platform that hands bytes over, with Node's conversion of text and Node's clock. */
const ours: Connect = (broker, { window, onMessage, capacities }) => {
  let handler: SocketHandler | undefined;
  let received: Uint8Array = new Uint8Array(0);
  let onTimer = (): void => undefined;
  let isDue = false;
  const hal: Hal = {
    ...nodeHal,
    open(_host, _port, _secure, socketHandler) {
      handler = socketHandler;
      return {
        read(bytes, start, end) {
          bytes.set(received, start);
          return end - start;
        },
        write(bytes, start, end) {
          broker.take(bytes.subarray(start, end));
          return ROOM;
        },
        close() {
          throw new Error("the client has closed the connection");
        },
      };
    },
    createTimer(callback) {
      onTimer = callback;
      return {
        schedule: (delayMs) => {
          isDue = delayMs === 0;
        },
        clear: () => {
          isDue = false;
        },
      };
    },
  };
  const options: ClientOptions = { format: "buffer", maxInflight: window, ...capacities };
  const client = createMqtt(hal, MQTT_3_1_1).Client("near", 60, null, null, 1, options);
  client.on("message", onMessage);
  broker.deliver = (bytes) => {
    received = bytes;
    handler!.onReadable(bytes.length);
    while (isDue) {
      isDue = false;
      onTimer();
    }
  };
  client.connect("near");
  handler!.onWritable(ROOM);
  broker.answer();
  return Promise.resolve({
    subscribe(filter) {
      if (!client.subscribe(filter, 0)) throw new Error("no room for a subscription");
    },
    publish(topic, payload, qos, done) {
      if (!client.publish(topic, payload, qos, 0, done)) throw new Error("no room for a message");
    },
  });
};

/** MQTT.js on a stream that hands bytes over. */
const theirs: Connect = async (broker, { onMessage }) => {
  const stream = new Duplex({
    read: () => undefined,
    write(chunk: Uint8Array, _encoding, written) {
      broker.take(chunk);
      written();
    },
  });
  const options = { protocolVersion: 4, keepalive: 60, reconnectPeriod: 0, resubscribe: false } as const;
  const client = new mqttJs.MqttClient(() => stream, options);
  client.on("message", onMessage);
  broker.deliver = (bytes) => {
    stream.push(Buffer.from(bytes));
  };
  while (!broker.hasAnswer) await turn();
  broker.answer();
  while (!client.connected) await turn();
  return {
    subscribe(filter) {
      client.subscribe(filter, { qos: 0 });
    },
    publish(topic, payload, qos, done) {
      client.publish(topic, payload as Buffer, { qos }, done);
    },
    turn,
  };
};

/** Who can be connected so: the name of the contestant's file -> how. */
export const connectNear: Record<string, Connect> = { "mcu-mqtt": ours, "mqtt-js": theirs };

/** Processor time of a message: `drive` has `count` of them pass, again and again. */
export async function cpuPerMessage(drive: (count: number) => Promise<void>, isQuick: boolean): Promise<Figures> {
  const leastMs = isQuick ? 100 : 250;
  const startMs = cpuMs();
  let messages = 0;
  let spentMs = 0;
  while (spentMs < leastMs) {
    await drive(1000);
    messages += 1000;
    spentMs = cpuMs() - startMs;
  }
  return { cpuNs: (spentMs * 1e6) / messages };
}
