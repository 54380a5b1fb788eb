/** What the library is to reach, as figures of the tables and as ratios within a run. */
import { ratioOf, valueOf } from "./statistics.js";
import type { Place } from "./statistics.js";
import type { TableResult } from "./run.js";
import { digitsOf, show, times } from "./text.js";

export interface Target {
  text: string;
  table: string;
  over: Place;
  /** What `over` is divided by, round by round; undefined: it is taken as it is. */
  under?: Place;
  sense: ">=" | "<=";
  limit: number;
  /** Of what is taken as it is. */
  unit?: string;
}

const OURS = "mcu-mqtt";
const OURS_SMALL = "mcu-mqtt-1k";
/** Heap bytes of an operation that allocates nothing: what the measurement itself leaves. */
const NOTHING = 1;
/** Heap bytes of one view of a buffer in V8, and less than those of two. */
const VIEW = 128;

/** The rival's cost is at least `limit` times ours. */
function cheaper(text: string, table: string, row: string, rival: string, limit: number, ours = OURS): Target {
  const place = (contestant: string): Place => ({ row, contestant, figure: "cpuNs" });
  return { text, table, over: place(rival), under: place(ours), sense: ">=", limit };
}

/** Our cost is at most `limit` times the other's. */
function within(text: string, table: string, row: string, other: string, limit: number, figure = "cpuNs"): Target {
  const place = (contestant: string): Place => ({ row, contestant, figure });
  return { text, table, over: place(OURS), under: place(other), sense: "<=", limit };
}

/** A figure of ours. */
function atMost(text: string, table: string, row: string, figure: string, limit: number, unit: string): Target {
  return { text, table, over: { row, contestant: OURS, figure }, sense: "<=", limit, unit };
}

/** Our cost of a row is at most `limit` times that of another row. */
function steady(text: string, table: string, from: string, to: string, limit: number): Target {
  const place = (row: string): Place => ({ row, contestant: OURS, figure: "cpuNs" });
  return { text, table, over: place(to), under: place(from), sense: "<=", limit };
}

const ENCODE = "encode PUBLISH into the buffer, 64 B";
const RANGES = "decode, ranges, 64 B";
const MESSAGES = "decode, topic and payload handed over, 64 B";

export const TARGETS: Target[] = [
  cheaper(`${ENCODE}: mqtt-packet's generate / ours`, "encode", "QoS 0, 64 B", "mqtt-packet", 8),
  cheaper(`${ENCODE}: the limit / ours`, "encode", "QoS 0, 64 B", "limit", 0.7),
  atMost(`${ENCODE}: bytes of heap`, "encode", "QoS 0, 64 B", "heapBytes", NOTHING, "B"),
  cheaper(`${RANGES}: mqtt-packet / ours`, "decode", "ranges, QoS 0, 64 B", "mqtt-packet", 40),
  cheaper(`${RANGES}: the limit / ours`, "decode", "ranges, QoS 0, 64 B", "limit", 0.5),
  atMost(`${RANGES}: bytes of heap`, "decode", "ranges, QoS 0, 64 B", "heapBytes", NOTHING, "B"),
  cheaper(`${MESSAGES}: mqtt-packet / ours`, "decode", "messages, QoS 0, 64 B", "mqtt-packet", 8),
  atMost(`${MESSAGES}: one view, bytes of heap`, "decode", "messages, QoS 0, 64 B", "heapBytes", VIEW, "B"),
  cheaper("publish, QoS 0: MQTT.js / ours", "publish", "QoS 0", "mqtt-js", 10),
  cheaper("publish, QoS 0, buffers of 1 KiB: MQTT.js / ours", "publish", "QoS 0", "mqtt-js", 4, OURS_SMALL),
  cheaper("receive, QoS 0: MQTT.js / ours", "receive", "QoS 0", "mqtt-js", 8),
  ...["publish", "receive"].flatMap((table) =>
    ["QoS 1, window 20", "QoS 2, window 20"].flatMap((row) => [
      cheaper(`${table}, ${row}: MQTT.js / ours`, table, row, "mqtt-js", 10),
      cheaper(`${table}, ${row}, mosquitto: MQTT.js / ours`, `${table}-mosquitto`, row, "mqtt-js", 2),
      cheaper(`${table}, ${row}, mosquitto: libmosquitto / ours`, `${table}-mosquitto`, row, "mosquitto-clients", 1),
    ])),
  within("round trip, median: ours / raw socket", "round-trip", "QoS 0", "raw-socket", 1.1, "p50Us"),
  ...["1,000 in a row, a new client each", "1,000 in a row, the same client"].map((row) =>
    within(`connects, ${row}: ours / raw socket`, "connects", row, "raw-socket", 1.15),
  ),
  atMost("idle client: heap beside its buffers", "idle", "1,000 clients", "heapBytes", 5000, "B"),
  atMost("code, minified: codec and session", "size", "codec and session", "minified", 6000, "B"),
  atMost("code, minified: with NodeMCU's face", "size", "client without platform", "minified", 9000, "B"),
  steady("in flight at QoS 1: 1,000 / 10", "growth-inflight", "QoS 1, 10", "QoS 1, 1,000", 1.25),
  steady("in flight at QoS 2: 1,000 / 10", "growth-inflight", "QoS 2, 10", "QoS 2, 1,000", 1.25),
  steady("subscriptions: 1,000 / 10", "growth-subscriptions", "10", "1,000", 1.25),
];

export interface Outcome {
  target: Target;
  /** What was measured, as it is read; undefined: it was not. */
  measured: string | undefined;
  verdict: "met" | "missed" | "not run";
}

export function judge(target: Target, results: TableResult[]): Outcome {
  const result = results.find(({ name }) => name === target.table);
  const { over, under, sense, limit } = target;
  const spread = result && (under ? ratioOf(result, over, under) : valueOf(result, over));
  if (spread === undefined) return { target, measured: undefined, verdict: "not run" };
  const measured = under ? times(spread.median) : show(spread.median, target.unit ?? "");
  const isMet = sense === ">=" ? spread.median >= limit : spread.median <= limit;
  return { target, measured, verdict: isMet ? "met" : "missed" };
}

/** The limit as it is read. */
export function limitOf({ under, sense, limit, unit }: Target): string {
  const value = under ? times(limit) : unit ? show(limit, unit) : digitsOf(limit);
  return `${sense === ">=" ? "≥" : "≤"} ${value}`;
}
