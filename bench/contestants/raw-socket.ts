/**
 * No client, but the limit of one: a socket of node:net that moves the bytes that ours would, encoded beforehand, with
 * what leaves in one turn in one write, and that counts messages and acknowledgements.
 */
import { connect as connectTcp } from "node:net";
import type { Socket } from "node:net";
import {
  DISCONNECT,
  Packets,
  connectPacket,
  packetIdOffset,
  publishPacket,
  subscribePacket,
} from "../packets.js";
import type { ClientSettings, Contestant, ContestantClient, Message } from "./contestant.js";

const SIZE = 65536;
/** Of all sockets. */
const received = new Uint8Array(SIZE);
const spare: Buffer[] = [];

class RawClient implements ContestantClient {
  readonly #port: number;
  readonly #settings: ClientSettings;
  #socket: Socket | undefined;
  #onConnack: (() => void) | undefined;
  #onSuback: (() => void) | undefined;
  /** Written in this turn. */
  #staging: Buffer | undefined;
  #staged = 0;
  /** Calls of `done` that the write of this turn owes. */
  #sent = 0;
  #done: () => void = () => undefined;
  #message: Message | undefined;
  #packet: Buffer = Buffer.alloc(0);
  #packetIdAt = 0;
  #packetId = 0;

  constructor(port: number, settings: ClientSettings) {
    this.#port = port;
    this.#settings = settings;
  }

  /** Connects, for the first time too. */
  again(): Promise<void> {
    const packets = new Packets((bytes, start, body, end) => this.#packetCame(bytes, start, body, end));
    const socket = connectTcp({
      host: "127.0.0.1",
      port: this.#port,
      onread: {
        buffer: received,
        callback: (count) => {
          packets.push(received, count);
          return true;
        },
      },
    });
    this.#socket = socket;
    return new Promise((fulfil, reject) => {
      this.#onConnack = fulfil;
      socket.on("error", reject);
      socket.on("connect", () => {
        socket.setNoDelay(true);
        this.#write(connectPacket(this.#settings.clientId));
      });
    });
  }

  subscribe(filter: string, qos: number): Promise<void> {
    this.#write(subscribePacket(filter, qos));
    return new Promise((fulfil) => {
      this.#onSuback = fulfil;
    });
  }

  publish(message: Message, done: () => void): void {
    if (message !== this.#message) {
      this.#message = message;
      this.#packet = publishPacket(message.topic, message.payload, message.qos);
      this.#packetIdAt = packetIdOffset(this.#packet, message.payload.length);
    }
    this.#done = done;
    if (message.qos > 0) {
      this.#packetId = (this.#packetId % 65535) + 1;
      this.#packet[this.#packetIdAt] = this.#packetId >> 8;
      this.#packet[this.#packetIdAt + 1] = this.#packetId & 255;
    }
    this.#write(this.#packet);
    if (message.qos === 0) this.#sent++;
  }

  end(): Promise<void> {
    const socket = this.#socket!;
    this.#write(DISCONNECT);
    this.#flush();
    return new Promise((fulfil) => {
      socket.end(() => {
        socket.destroy();
        fulfil();
      });
    });
  }

  #packetCame(bytes: Uint8Array, start: number, body: number, end: number): void {
    switch (bytes[start]) {
      case 0x40:
      case 0x70:
        this.#done();
        break;
      case 0x50:
        this.#answer(0x62, bytes, body);
        break;
      case 0x62:
        this.#answer(0x70, bytes, body);
        break;
      case 0x20:
        this.#onConnack?.();
        break;
      case 0x90:
        this.#onSuback?.();
        break;
      default: {
        const qos = bytes[start] & 6;
        if (qos > 0) {
          const topicEnd = body + 2 + bytes[body] * 256 + bytes[body + 1];
          this.#answer(qos === 2 ? 0x40 : 0x50, bytes, topicEnd);
        }
        if (end > body) this.#settings.onMessage(bytes);
      }
    }
  }

  #answer(type: number, bytes: Uint8Array, packetIdAt: number): void {
    const staging = this.#room(4);
    const at = this.#staged - 4;
    staging[at] = type;
    staging[at + 1] = 2;
    staging[at + 2] = bytes[packetIdAt];
    staging[at + 3] = bytes[packetIdAt + 1];
  }

  #write(bytes: Uint8Array): void {
    this.#room(bytes.length).set(bytes, this.#staged - bytes.length);
  }

  /** Takes so many bytes of the buffer, up to `#staged`; returns the buffer. */
  #room(length: number): Buffer {
    if (this.#staged + length > SIZE) this.#flush();
    if (this.#staging === undefined) {
      this.#staging = spare.pop() ?? Buffer.allocUnsafeSlow(SIZE);
      process.nextTick(() => this.#flush());
    }
    this.#staged += length;
    return this.#staging;
  }

  #flush(): void {
    const buffer = this.#staging;
    if (buffer === undefined) return;
    const sent = this.#sent;
    this.#socket!.write(buffer.subarray(0, this.#staged), () => {
      spare.push(buffer);
      for (let i = 0; i < sent; i++) this.#done();
    });
    this.#staging = undefined;
    this.#staged = this.#sent = 0;
  }
}

export default {
  name: "raw socket",
  given: "packets encoded beforehand, no view of a message, nothing to check: what node:net takes to move the bytes",
  async connect(port, settings) {
    const client = new RawClient(port, settings);
    await client.again();
    return client;
  },
} satisfies Contestant;
