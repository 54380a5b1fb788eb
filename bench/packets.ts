/** The few packets that peers and the raw socket send, as bytes, and how to find the end of one. */

/** The topic of all messages but echoes; 24 bytes. */
export const TOPIC = "bench/sensors/kitchen/t1";
/** What is published to it comes back from the minimal peer. */
export const ECHO = "echo";

export const CONNACK = Buffer.from([0x20, 2, 0, 0]);
export const PINGRESP = Buffer.from([0xd0, 0]);
export const DISCONNECT = Buffer.from([0xe0, 0]);

const field = (text: string): Buffer => {
  const bytes = Buffer.from(text);
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
};

const packet = (type: number, ...parts: Uint8Array[]): Buffer => {
  const body = Buffer.concat(parts);
  const header = [type];
  let rest = body.length;
  do {
    header.push((rest & 127) | (rest > 127 ? 128 : 0));
    rest >>= 7;
  } while (rest > 0);
  return Buffer.concat([Buffer.from(header), body]);
};

/** CONNECT with a clean session, and a keep alive that no sample reaches. */
export const connectPacket = (clientId: string): Buffer =>
  packet(0x10, field("MQTT"), Buffer.from([4, 2, 0xff, 0xff]), field(clientId));

export const subscribePacket = (filter: string, qos: number): Buffer =>
  packet(0x82, Buffer.from([0, 1]), field(filter), Buffer.from([qos]));

/** PUBLISH; the packet id, if it has one, is 0, at `packetIdOffset`. */
export const publishPacket = (topic: string, payload: Uint8Array, qos: number): Buffer =>
  packet(0x30 | (qos << 1), field(topic), Buffer.alloc(qos > 0 ? 2 : 0), payload);

/** Where the packet id of this PUBLISH stands. */
export const packetIdOffset = (publish: Uint8Array, payloadLength: number): number =>
  publish.length - payloadLength - 2;

/** Cuts chunks of a stream into packets; `onPacket` gets each as the range [start, end) whose body begins at `body`. */
export class Packets {
  readonly #onPacket: (bytes: Uint8Array, start: number, body: number, end: number) => void;
  /** The beginning of a packet whose end has not come. */
  #rest: Uint8Array | undefined;
  #body = 0;

  constructor(onPacket: (bytes: Uint8Array, start: number, body: number, end: number) => void) {
    this.#onPacket = onPacket;
  }

  push(chunk: Uint8Array, length: number): void {
    let start = 0;
    if (this.#rest !== undefined) {
      const rest = this.#rest;
      const header = Buffer.concat([rest, chunk.subarray(0, Math.min(4, length))]);
      const end = this.#end(header, 0, header.length);
      start = end - rest.length;
      if (end < 0 || start > length) {
        this.#rest = Buffer.concat([rest, chunk.subarray(0, length)]);
        return;
      }
      this.#rest = undefined;
      this.#onPacket(Buffer.concat([rest, chunk.subarray(0, start)]), 0, this.#body, end);
    }
    while (start < length) {
      const end = this.#end(chunk, start, length);
      if (end < 0 || end > length) {
        this.#rest = Buffer.from(chunk.subarray(start, length));
        return;
      }
      this.#onPacket(chunk, start, this.#body, end);
      start = end;
    }
  }

  /** Where the packet at `start` ends, perhaps beyond `until`; -1 when its fixed header does. */
  #end(bytes: Uint8Array, start: number, until: number): number {
    let at = start + 1;
    let remaining = 0;
    for (let shift = 0; at < until; shift += 7) {
      const byte = bytes[at++];
      remaining |= (byte & 127) << shift;
      if (byte < 128) {
        this.#body = at;
        return at + remaining;
      }
    }
    return -1;
  }
}
