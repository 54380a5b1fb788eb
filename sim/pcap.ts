/**
 * Writes connections to a file that Wireshark opens: classic pcap with IPv4 and TCP made up around the bytes, the
 * broker at port 1883. Knows nothing of MQTT.
 */
import { closeSync, openSync, writeSync } from "node:fs";

/** Addresses set aside for documents (RFC 5737). */
const DEVICE_IP = [192, 0, 2, 1];
const BROKER_IP = [192, 0, 2, 2];
const BROKER_PORT = 1883;
const FIRST_DEVICE_PORT = 49152;
/** Bytes in one segment, as over Ethernet. */
const SEGMENT_SIZE = 1460;
const WINDOW = 65535;

const IP_HEADER = 20;
const TCP_HEADER = 20;
const TCP_PROTOCOL = 6;

const FIN = 1;
const SYN = 2;
const RST = 4;
const PSH = 8;
const ACK = 16;

/** Microseconds, each packet begins with an IP header (LINKTYPE_RAW). */
const MAGIC = 0xa1b2c3d4;
const LINKTYPE_RAW = 101;
const SNAP_LENGTH = 65535;

/** A capture file. */
export class Pcap {
  readonly #file: number;
  #connections = 0;
  #isClosed = false;

  /** Throws Node's error when the file cannot be written. */
  constructor(path: string) {
    this.#file = openSync(path, "w");
    const header = Buffer.alloc(24);
    header.writeUInt32LE(MAGIC, 0);
    header.writeUInt16LE(2, 4); // version 2.4
    header.writeUInt16LE(4, 6);
    header.writeUInt32LE(SNAP_LENGTH, 16);
    header.writeUInt32LE(LINKTYPE_RAW, 20);
    writeSync(this.#file, header);
  }

  /** A connection that came up just now. */
  connection(): PcapConnection {
    const port = FIRST_DEVICE_PORT + (this.#connections++ % (65536 - FIRST_DEVICE_PORT));
    return new PcapConnection((packet) => this.#add(packet), port);
  }

  /** What still passes is not written. */
  close(): void {
    this.#isClosed = true;
    closeSync(this.#file);
  }

  #add(packet: Buffer): void {
    if (this.#isClosed) return;
    const nowUs = Math.round((performance.timeOrigin + performance.now()) * 1000);
    const header = Buffer.alloc(16);
    header.writeUInt32LE(Math.floor(nowUs / 1e6), 0);
    header.writeUInt32LE(nowUs % 1e6, 4);
    header.writeUInt32LE(packet.length, 8);
    header.writeUInt32LE(packet.length, 12);
    writeSync(this.#file, Buffer.concat([header, packet]));
  }
}

/** One end of a connection: where its packets come from, and what is sent next. */
interface End {
  ip: number[];
  port: number;
  sequence: number;
  packets: number;
}

/** One connection in a capture file. */
export class PcapConnection {
  readonly #add: (packet: Buffer) => void;
  readonly #device: End;
  readonly #broker: End = { ip: BROKER_IP, port: BROKER_PORT, sequence: 2000000000, packets: 0 };

  /** @param add takes an IP packet */
  constructor(add: (packet: Buffer) => void, devicePort: number) {
    this.#add = add;
    this.#device = { ip: DEVICE_IP, port: devicePort, sequence: 1000000000, packets: 0 };
    this.#send(true, SYN);
    this.#send(false, SYN | ACK);
    this.#send(true, ACK);
  }

  /** Bytes from the device, or to it, and their acknowledgement. */
  data(isFromDevice: boolean, bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += SEGMENT_SIZE) {
      this.#send(isFromDevice, PSH | ACK, bytes.subarray(at, at + SEGMENT_SIZE));
    }
    this.#send(!isFromDevice, ACK);
  }

  /** One end closes, then the other. */
  close(byDevice: boolean): void {
    this.#send(byDevice, FIN | ACK);
    this.#send(!byDevice, FIN | ACK);
    this.#send(byDevice, ACK);
  }

  /** The connection breaks. */
  reset(): void {
    this.#send(false, RST | ACK);
  }

  #send(isFromDevice: boolean, flags: number, payload: Uint8Array = new Uint8Array(0)): void {
    const from = isFromDevice ? this.#device : this.#broker;
    const to = isFromDevice ? this.#broker : this.#device;
    const options = (flags & SYN) !== 0 ? [2, 4, SEGMENT_SIZE >> 8, SEGMENT_SIZE & 255] : [];
    const segment = Buffer.concat([Buffer.alloc(TCP_HEADER), Buffer.from(options), payload]);
    segment.writeUInt16BE(from.port, 0);
    segment.writeUInt16BE(to.port, 2);
    segment.writeUInt32BE(from.sequence, 4);
    segment.writeUInt32BE((flags & ACK) !== 0 ? to.sequence : 0, 8);
    segment[12] = ((TCP_HEADER + options.length) / 4) << 4;
    segment[13] = flags;
    segment.writeUInt16BE(WINDOW, 14);
    // The checksum covers the addresses, the protocol and the length too (RFC 9293, 3.1).
    const pseudoHeader = [...from.ip, ...to.ip, 0, TCP_PROTOCOL, segment.length >> 8, segment.length & 255];
    segment.writeUInt16BE(checksum(Buffer.concat([Buffer.from(pseudoHeader), segment])), 16);
    from.sequence = (from.sequence + payload.length + ((flags & (SYN | FIN)) !== 0 ? 1 : 0)) >>> 0;

    const header = Buffer.alloc(IP_HEADER);
    header[0] = 0x45; // version 4, five words
    header.writeUInt16BE(IP_HEADER + segment.length, 2);
    header.writeUInt16BE(from.packets++ & 0xffff, 4);
    header[6] = 0x40; // not to be fragmented
    header[8] = 64; // time to live
    header[9] = TCP_PROTOCOL;
    header.set(from.ip, 12);
    header.set(to.ip, 16);
    header.writeUInt16BE(checksum(header), 10);
    this.#add(Buffer.concat([header, segment]));
  }
}

/** The Internet checksum (RFC 1071). */
function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.length; at += 2) sum += (bytes[at] << 8) | (at + 1 < bytes.length ? bytes[at + 1] : 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}
