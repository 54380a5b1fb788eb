/**
 * Listens on the network of the devices: reads the packets out of what passes, and hands them to the log, the counts,
 * the capture file and the witness.
 */
import type { SocketFailure } from "../hal/socket.js";
import { messageOf } from "./failure.js";
import type { End, Link, NetworkListener } from "./link.js";
import type { Log } from "./log.js";
import type { Packet } from "./packets.js";
import { PacketReader } from "./packets.js";
import { describePacket } from "./packet-text.js";
import type { Pcap, PcapConnection } from "./pcap.js";
import { numbered } from "./values.js";
import type { Witness } from "./witness.js";

/** What passed in one direction. */
export interface Count {
  packets: number;
  bytes: number;
  messages: number;
}

/** What belongs to one connection. */
interface Wire {
  fromDevice: PacketReader;
  toDevice: PacketReader;
  /** The beginning of a CONNECT that is not whole yet; undefined once it was. */
  connect: Buffer | undefined;
  capture: PcapConnection | undefined;
}

/** Counts, shows and records the traffic. */
export class Tap implements NetworkListener {
  readonly out: Count = { packets: 0, bytes: 0, messages: 0 };
  readonly in: Count = { packets: 0, bytes: 0, messages: 0 };
  readonly #log: Log;
  readonly #witness: Witness;
  readonly #pcap: Pcap | undefined;
  readonly #onUncaught: (error: unknown) => void;
  readonly #wires = new WeakMap<Link, Wire>();

  constructor(log: Log, witness: Witness, pcap: Pcap | undefined, onUncaught: (error: unknown) => void) {
    this.#log = log;
    this.#witness = witness;
    this.#pcap = pcap;
    this.#onUncaught = onUncaught;
  }

  onOpen(link: Link): void {
    this.#wires.set(link, {
      fromDevice: new PacketReader(true, (packet) => this.#packet(link, true, packet)),
      toDevice: new PacketReader(false, (packet) => this.#packet(link, false, packet)),
      connect: Buffer.alloc(0),
      capture: undefined,
    });
    this.#log.line(numbered("network", link.device), "connecting", `${link.host}:${link.port}`);
    this.#witness.device(link.device).open(link);
    this.#witness.happened();
  }

  onUp(link: Link): void {
    const network = numbered("network", link.device);
    const { host, port, note } = link.route!;
    this.#log.line(network, "connected", `led to ${host}:${port}${note ? `, ${note}` : ""}`);
    this.#wires.get(link)!.capture = this.#pcap?.connection();
    this.#witness.happened();
  }

  onBytes(link: Link, isFromDevice: boolean, bytes: Uint8Array): void {
    const wire = this.#wires.get(link)!;
    const count = isFromDevice ? this.out : this.in;
    count.bytes += bytes.length;
    let chunk = Buffer.from(bytes);
    if (isFromDevice && wire.connect !== undefined) {
      // Held back until it is whole, so that its password can be made unreadable.
      chunk = wire.connect = Buffer.concat([wire.connect, chunk]);
      if (!isWhole(chunk)) return;
      wire.connect = undefined;
    }
    (isFromDevice ? wire.fromDevice : wire.toDevice).push(chunk);
    wire.capture?.data(isFromDevice, chunk);
  }

  onDown(link: Link, end: End, failure?: SocketFailure, detail?: unknown): void {
    const wire = this.#wires.get(link)!;
    const network = numbered("network", link.device);
    switch (end) {
      case "device":
      case "broker":
        wire.capture?.close(end === "device");
        this.#log.line(network, "closed", `by the ${end}`);
        break;
      case "cut":
        wire.capture?.reset();
        this.#log.line(network, "cut", "the connection breaks, without DISCONNECT");
        break;
      case "failure":
        this.#witness.lastRefusal = detail === undefined ? failure : messageOf(detail);
        this.#log.line(network, "failed", this.#witness.lastRefusal ?? "");
    }
    this.#witness.device(link.device).down(link);
    this.#witness.happened();
  }

  onUncaught(error: unknown): void {
    this.#onUncaught(error);
  }

  #packet(link: Link, isFromDevice: boolean, packet: Packet): void {
    const count = isFromDevice ? this.out : this.in;
    count.packets++;
    if (packet.type === "PUBLISH") count.messages++;
    const device = numbered("device", link.device);
    this.#log.line(`${device} ${isFromDevice ? "->" : "<-"}`, packet.type, describePacket(packet));
    this.#witness.packet(link, isFromDevice, packet);
  }
}

/** True when the packet that begins the bytes ends there too, or before, or when that cannot be told. */
function isWhole(bytes: Uint8Array): boolean {
  let length = 0;
  for (let at = 1; at < 5; at++) {
    if (at >= bytes.length) return false;
    length += (bytes[at] & 127) * 128 ** (at - 1);
    if (bytes[at] < 128) return bytes.length > at + length;
  }
  return true;
}
