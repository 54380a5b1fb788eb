/**
 * What budget.ts has the XS engine do: a client, connected and subscribed, on a platform that does nothing but hand
 * bytes over. Text is converted as on a board, by `TextEncoder` into a view and by `TextDecoder` from one.
 */
import type { Hal, Socket, SocketHandler, Text, Timer } from "../hal/socket.js";
import type { Client } from "../src/face.js";
import type * as Board from "../src/face.js";

/** What the board's file exports: see `boardScript` in budget.ts. */
declare const board: typeof Board;
declare const issueCommand: (request: ArrayBuffer) => ArrayBuffer;

const LONG_TOPIC = "sensors/kitchen/temperature/main1";
const TEXT = "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef";
const BYTES = new TextEncoder().encode(TEXT);
const CONNACK = new Uint8Array([0x20, 2, 0, 0]);
const SUBACK = new Uint8Array([0x90, 3, 0, 1, 0]);

/** A socket whose peer is the measurement, with a timer, a clock and text. */
class Platform implements Hal, Socket, Timer {
  defaults = { rxCapacity: 1024, txCapacity: 1024, maxOperations: 16, receiveMaximum: 16 };
  text = {
    encode: (string: string, bytes: Uint8Array, offset: number, end: number): number => {
      const done = this.encoder.encodeInto(string, bytes.subarray(offset, end));
      return done.read === string.length ? offset + done.written : -1;
    },
    decode: (bytes: Uint8Array, start: number, end: number): string =>
      this.decoder.decode(bytes.subarray(start, end)),
  };
  handler: SocketHandler | undefined = undefined;
  onTimer = (): void => undefined;
  /** The timer is set to what is over at once. */
  isDue = false;
  writes = 0;
  private readonly encoder = new TextEncoder();
  private readonly decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
  private received: Uint8Array = CONNACK;

  open(_host: string, _port: number, _secure: object | undefined, handler: SocketHandler): Socket {
    this.handler = handler;
    return this;
  }

  checkSecure(): void {
    // There is no TLS.
  }

  createText(): Text {
    return this.text;
  }

  createTimer(onTimer: () => void): Timer {
    this.onTimer = onTimer;
    return this;
  }

  now(): number {
    return 0;
  }

  uncaught(error: unknown): void {
    throw error;
  }

  generateId(): string {
    return "1";
  }

  schedule(delayMs: number): void {
    this.isDue = delayMs === 0;
  }

  clear(): void {
    this.isDue = false;
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    bytes.set(this.received, start);
    return end - start;
  }

  write(): number {
    this.writes++;
    return 1024;
  }

  close(): void {
    this.handler = undefined;
  }

  /** Lets the client have bytes. */
  receive(bytes: Uint8Array): void {
    this.received = bytes;
    this.handler!.onReadable(bytes.length);
  }

  /** The end of a turn: what is due now fires. */
  turn(): void {
    if (!this.isDue) return;
    this.isDue = false;
    this.onTimer();
  }
}

function ignore(): void {
  // What an application does is its own affair.
}

function publishPacket(topic: string, first: number, count: number): Uint8Array {
  const head = [first, 0, topic.length >> 8, topic.length & 255];
  for (let i = 0; i < topic.length; i++) head.push(topic.charCodeAt(i));
  if ((first & 6) !== 0) head.push(0, 7);
  head[1] = head.length - 2 + BYTES.length;
  const length = head.length + BYTES.length;
  const packets = new Uint8Array(count * length);
  for (let i = 0; i < count; i++) {
    packets.set(head, i * length);
    packets.set(BYTES, i * length + head.length);
  }
  return packets;
}

const platform = new Platform();
const mqtt = board.createMqtt(platform, board.MQTT_3_1_1);
let client: Client;
/** Every client made, so that one more is all that is added. */
const clients: Client[] = [];
/** Acknowledgements from the broker, whose packet id is set for each. */
const ack = new Uint8Array([0x40, 2, 0, 0]);
let packetId = 1;

function acknowledge(first: number, id: number): void {
  ack[0] = first;
  ack[2] = id >> 8;
  ack[3] = id & 255;
  platform.receive(ack);
}

const scope = globalThis as unknown as Record<string, unknown>;
scope["clients"] = clients;

/** Makes the client that everything below measures. */
scope["start"] = (format: "string" | "buffer"): void => {
  client = mqtt.Client("sensor", 60, null, null, 0, { maxMessageLength: 256, format });
  clients.push(client);
  client.connect("broker");
  platform.handler!.onWritable(1024);
  platform.receive(CONNACK);
  client.on("message", ignore);
  client.subscribe("a/b", 0);
  platform.turn();
  platform.receive(SUBACK);
};

scope["receive"] = (rounds: number, topicLength: number, qos: number, perRead: number): void => {
  const packets = publishPacket(LONG_TOPIC.substring(0, topicLength), 0x30 | (qos << 1), perRead);
  for (let i = 0; i < rounds; i++) {
    platform.receive(packets);
    if (qos === 2) acknowledge(0x62, 7);
  }
};

scope["publish"] = (rounds: number, isText: boolean, qos: 0 | 1 | 2, isTurning: boolean): void => {
  const payload = isText ? TEXT : BYTES;
  for (let i = 0; i < rounds; i++) {
    if (!client.publish(LONG_TOPIC, payload, qos)) throw new Error("not queued");
    if (qos > 0) {
      packetId = packetId === 65535 ? 1 : packetId + 1;
      if (qos === 2) acknowledge(0x50, packetId);
      acknowledge(qos === 1 ? 0x40 : 0x70, packetId);
    }
    if (isTurning) platform.turn();
  }
};

/** What the measurement itself costs: the same loops around a client that does nothing. */
const nothing = {
  bytes: new Uint8Array(1024),
  onReadable(count: number): void {
    platform.read(this.bytes, 0, count);
  },
  onWritable: ignore,
  onError: ignore,
  publish(): boolean {
    platform.write();
    return true;
  },
};
scope["idle"] = (): void => {
  platform.handler = nothing;
  platform.onTimer = ignore;
  client = nothing as unknown as Client;
};

/** Tells how often the socket was written to since the last call. */
scope["tell"] = (): void => {
  issueCommand(new Uint32Array([platform.writes]).buffer);
  platform.writes = 0;
};
