/**
 * Recorded traffic as Wireshark sees it. The bytes of relayed connections go into a capture file, which takes no
 * privileges, as to listen to an interface does; tshark reads it. For suites under `needs("tshark")`.
 */
import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { Pcap } from "../../sim/pcap.js";
import { findProgram } from "./needs.js";
import type { RelayedConnection } from "./relay.js";
import { splitPackets } from "./split-packets.js";

/** What passed on one connection. */
export type Recorded = Pick<RelayedConnection, "chunks">;

/** What each side sent: the packet types in their order. */
export interface Dissection {
  client: string[];
  broker: string[];
  /** What tshark finds wrong; one line each. */
  faults: string[];
}

const TYPES = [
  "type 0", "CONNECT", "CONNACK", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP",
  "SUBSCRIBE", "SUBACK", "UNSUBSCRIBE", "UNSUBACK", "PINGREQ", "PINGRESP", "DISCONNECT", "type 15",
];

const REMARK_FIELDS = ["_ws.malformed", "_ws.expert.severity", "_ws.expert.group", "_ws.expert.message"];
// That TCP connections begin and end is remarked upon too, at a low level.
const SEVERITY_NOTE = 0x400000;
const GROUP_SEQUENCE = 0x2000000;

/** The capture file's. */
const BROKER_PORT = "1883";

/** Has tshark dissect everything that passed. */
export async function dissect(connections: readonly Recorded[]): Promise<Dissection> {
  const result: Dissection = { client: [], broker: [], faults: [] };
  const fields = ["tcp.srcport", "tcp.dstport", "mqtt.msgtype", ...REMARK_FIELDS];
  for (const row of await readFields(connections, "mqtt || _ws.expert", fields)) {
    const [source, destination, types, malformed, severities, groups, messages] = row;
    const names = list(types).map((type) => TYPES[Number(type)]);
    (destination === BROKER_PORT ? result.client : result.broker).push(...names);
    const isFault = (severity: string, i: number): boolean =>
      Number(severity) > SEVERITY_NOTE || Number(list(groups)[i]) !== GROUP_SEQUENCE;
    if (malformed !== "" || list(severities).some(isFault)) {
      result.faults.push(`${source} -> ${destination}: ${names.join()}: ${malformed} ${messages}`);
    }
  }
  return result;
}

/** Fields, by Wireshark's names, of the segments that `filter` selects: a row for each. Several values: with commas. */
export async function readFields(
  connections: readonly Recorded[],
  filter: string,
  fields: readonly string[],
): Promise<string[][]> {
  const folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-dissect-"));
  try {
    const path = join(folder, "traffic.pcap");
    const file = new Pcap(path);
    for (const { chunks } of connections) {
      const connection = file.connection();
      for (const [fromClient, bytes] of segmentsOf(chunks)) connection.data(fromClient, bytes);
      connection.close(true);
    }
    file.close();
    const args = ["-n", "-r", path, "-d", `tcp.port==${BROKER_PORT},mqtt`, "-Y", filter, "-T", "fields"];
    args.push("-E", "separator=/t", "-E", "aggregator=,", ...fields.flatMap((field) => ["-e", field]));
    const { stdout } = await promisify(execFile)(findProgram("tshark")!, args, { maxBuffer: 1 << 28 });
    return stdout.split("\n").filter((line) => line !== "").map((line) => line.split("\t"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Fits a TCP segment. */
const MAX_SEGMENT = 1460;

/**
 * What passed, cut between packets where it has to be cut. Wireshark 4.0 takes a packet for malformed when a TCP
 * segment ends in the midst of its remaining length; so none does.
 */
function* segmentsOf(chunks: Recorded["chunks"]): Generator<[fromClient: boolean, bytes: Buffer]> {
  const rests = [Buffer.alloc(0), Buffer.alloc(0)];
  for (const { fromClient, bytes } of chunks) {
    const side = Number(fromClient);
    const all = Buffer.concat([rests[side], bytes]);
    let start = 0;
    let end = 0;
    for (const { length } of splitPackets(all)) {
      if (end > start && end + length - start > MAX_SEGMENT) {
        yield [fromClient, all.subarray(start, end)];
        start = end;
      }
      end += length;
    }
    if (end > start) yield [fromClient, all.subarray(start, end)];
    rests[side] = all.subarray(end);
  }
  for (const side of [0, 1]) if (rests[side].length > 0) yield [side === 1, rests[side]];
}

function list(values: string): string[] {
  return values === "" ? [] : values.split(",");
}
