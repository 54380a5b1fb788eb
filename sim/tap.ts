/**
 * Listens on the network of the devices: to their packets by a trace, to their bytes and connections on the links, and
 * hands what it hears to the log, the counts, the capture file and the witness.
 */
import type { Hal, SocketFailure } from "../hal/socket.js";
import { CONNECT_FIELDS, findConnectFields, findLevel, PASSWORD } from "../src/optional/packets.js";
import type { Packet } from "../src/optional/trace.js";
import { traced } from "../src/optional/trace.js";
import { messageOf } from "./failure.js";
import type { End, Link, NetworkListener } from "./link.js";
import type { Log } from "./log.js";
import { describePacket } from "./packet-text.js";
import type { Pcap, PcapConnection } from "./pcap.js";
import { numbered } from "./values.js";
import type { DeviceName } from "./wiring.js";
import type { Witness } from "./witness.js";

/** What passed in one direction. */
export interface Count {
  packets: number;
  bytes: number;
  messages: number;
}

/** What is written of one connection. */
interface Capture {
  /** The beginning of a CONNECT that is not whole yet; undefined once it was. */
  connect: Buffer | undefined;
  file: PcapConnection;
}

/** All of a CONNECT, five fields each of the greatest length. */
const SCRATCH_CAPACITY = 5 * 65537 + 12;

/** Counts, shows and records the traffic. */
export class Tap implements NetworkListener {
  readonly out: Count = { packets: 0, bytes: 0, messages: 0 };
  readonly in: Count = { packets: 0, bytes: 0, messages: 0 };
  readonly #log: Log;
  readonly #witness: Witness;
  readonly #pcap: Pcap | undefined;
  readonly #onUncaught: (error: unknown) => void;
  readonly #captures = new WeakMap<Link, Capture>();

  constructor(log: Log, witness: Witness, pcap: Pcap | undefined, onUncaught: (error: unknown) => void) {
    this.#log = log;
    this.#witness = witness;
    this.#pcap = pcap;
    this.#onUncaught = onUncaught;
  }

  /** The platform of a device, with an ear on it. */
  hal(name: DeviceName, hal: Hal): Hal {
    // The log shows payloads and the name of the user, and of the password that there is one.
    const options = { payload: true, credentials: true, scratchCapacity: SCRATCH_CAPACITY };
    return traced(hal, (packet) => this.#packet(name.number, packet), options);
  }

  onOpen(link: Link): void {
    this.#log.line(numbered("network", link.device), "connecting", `${link.host}:${link.port}`);
    this.#witness.device(link.device).open(link);
    this.#witness.happened();
  }

  onUp(link: Link): void {
    const network = numbered("network", link.device);
    const { host, port, note } = link.route!;
    this.#log.line(network, "connected", `led to ${host}:${port}${note ? `, ${note}` : ""}`);
    if (this.#pcap !== undefined) {
      this.#captures.set(link, { connect: Buffer.alloc(0), file: this.#pcap.connection() });
    }
    this.#witness.happened();
  }

  onBytes(link: Link, isFromDevice: boolean, bytes: Uint8Array): void {
    const count = isFromDevice ? this.out : this.in;
    count.bytes += bytes.length;
    const capture = this.#captures.get(link);
    if (capture === undefined) return;
    let chunk = Buffer.from(bytes);
    if (isFromDevice && capture.connect !== undefined) {
      // Held back until it is whole, so that its password can be made unreadable.
      chunk = capture.connect = Buffer.concat([capture.connect, chunk]);
      if (!hidePassword(chunk)) return;
      capture.connect = undefined;
    }
    capture.file.data(isFromDevice, chunk);
  }

  onDown(link: Link, end: End, failure?: SocketFailure, detail?: unknown): void {
    const capture = this.#captures.get(link);
    const network = numbered("network", link.device);
    switch (end) {
      case "device":
      case "broker":
        capture?.file.close(end === "device");
        this.#log.line(network, "closed", `by the ${end}`);
        break;
      case "cut":
        capture?.file.reset();
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

  #packet(number: number, packet: Packet): void {
    const count = packet.isSent ? this.out : this.in;
    count.packets++;
    if (packet.type === "PUBLISH") count.messages++;
    const device = numbered("device", number);
    this.#log.line(`${device} ${packet.isSent ? "->" : "<-"}`, packet.type, describePacket(packet));
    this.#witness.packet(number, packet);
  }
}

/**
 * Overwrites the password in a CONNECT. False: the packet that begins the bytes does not end there, but it is too early
 * to tell.
 */
function hidePassword(bytes: Uint8Array): boolean {
  let length = 0;
  for (let at = 1; at < 5; at++) {
    if (at >= bytes.length) return false;
    length += (bytes[at] & 127) * 128 ** (at - 1);
    if (bytes[at] > 127) continue;
    const start = at + 1;
    const end = start + length;
    if (end > bytes.length) return false;
    const fields = new Int32Array(CONNECT_FIELDS);
    const level = findLevel(bytes, start);
    if (level > 0) findConnectFields(bytes, level, end, end, fields);
    bytes.fill("*".charCodeAt(0), fields[PASSWORD], fields[PASSWORD + 1]);
    return true;
  }
  return true;
}
