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
  #rest: Uint8Array | undefined;

  constructor(onPacket: (bytes: Uint8Array, start: number, body: number, end: number) => void) {
    this.#onPacket = onPacket;
  }

  push(chunk: Uint8Array, length: number): void {
    let bytes = chunk;
    let until = length;
    if (this.#rest !== undefined) {
      bytes = Buffer.concat([this.#rest, chunk.subarray(0, length)]);
      until = bytes.length;
      this.#rest = undefined;
    }
    let start = 0;
    while (start < until) {
      let body = start + 1;
      let remaining = 0;
      let byte = 128;
      for (let shift = 0; byte > 127 && body < until; shift += 7) {
        byte = bytes[body++];
        remaining |= (byte & 127) << shift;
      }
      const end = body + remaining;
      if (byte > 127 || end > until) {
        this.#rest = Buffer.from(bytes.subarray(start, until));
        return;
      }
      this.#onPacket(bytes, start, body, end);
      start = end;
    }
  }
}
