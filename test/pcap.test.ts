/** The capture files of the simulator: read back here, byte by byte, and dissected by tshark where it is installed. */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll, beforeAll, describe, expect, it } from "@jest/globals";
import { Pcap } from "../sim/pcap.js";
import { findProgram, needs } from "./support/needs.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-pcap-"));

afterAll(() => rmSync(folder, { recursive: true }));

const FIN = 1;
const SYN = 2;
const RST = 4;
const ACK = 16;

interface Segment {
  seconds: number;
  from: string;
  to: string;
  flags: number;
  sequence: number;
  acknowledged: number;
  payload: Buffer;
}

/** The Internet checksum over bytes that include their own: 0 when it is right. */
function checksum(bytes: Buffer): number {
  const padded = bytes.length % 2 === 0 ? bytes : Buffer.concat([bytes, Buffer.of(0)]);
  let sum = 0;
  for (let at = 0; at < padded.length; at += 2) sum += padded.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** Reads a capture file, and checks every length and checksum. */
function readPcap(path: string): Segment[] {
  const file = readFileSync(path);
  expect(file.subarray(0, 24).toString("hex")).toBe("d4c3b2a1020004000000000000000000ffff000065000000");
  const segments: Segment[] = [];
  let at = 24;
  while (at < file.length) {
    const length = file.readUInt32LE(at + 8);
    expect(file.readUInt32LE(at + 12)).toBe(length);
    const packet = file.subarray(at + 16, at + 16 + length);
    expect(packet).toHaveLength(length);
    expect([packet[0], packet[9], packet.readUInt16BE(2)]).toEqual([0x45, 6, length]);
    expect(checksum(packet.subarray(0, 20))).toBe(0);
    const segment = packet.subarray(20);
    const pseudoHeader = Buffer.from([...packet.subarray(12, 20), 0, 6, segment.length >> 8, segment.length & 255]);
    expect(checksum(Buffer.concat([pseudoHeader, segment]))).toBe(0);
    segments.push({
      seconds: file.readUInt32LE(at) + file.readUInt32LE(at + 4) / 1e6,
      from: `${packet.subarray(12, 16).join(".")}:${segment.readUInt16BE(0)}`,
      to: `${packet.subarray(16, 20).join(".")}:${segment.readUInt16BE(2)}`,
      flags: segment[13],
      sequence: segment.readUInt32BE(4),
      acknowledged: segment.readUInt32BE(8),
      payload: segment.subarray((segment[12] >> 4) * 4),
    });
    at += 16 + length;
  }
  return segments;
}

/** Checks that each end numbers its bytes without a gap, and acknowledges all that the other has sent. */
function checkSequence(segments: Segment[]): void {
  const next = new Map<string, number>();
  for (const { from, to, flags, sequence, acknowledged, payload } of segments) {
    const key = `${from} ${to}`;
    if ((flags & SYN) === 0) expect(sequence).toBe(next.get(key));
    next.set(key, (sequence + payload.length + ((flags & (SYN | FIN)) === 0 ? 0 : 1)) >>> 0);
    if ((flags & ACK) !== 0) expect(acknowledged).toBe(next.get(`${to} ${from}`));
  }
}

const BROKER = "192.0.2.2:1883";

describe("A capture file", () => {
  it("has a handshake, segments with their acknowledgements, and an end by either side", () => {
    const path = join(folder, "ends.pcap");
    const before = Date.now() / 1000;
    const pcap = new Pcap(path);
    const first = pcap.connection();
    first.data(true, Buffer.from("question"));
    first.data(false, Buffer.from("answers"));
    first.close(true);
    pcap.connection().close(false);
    pcap.connection().reset();
    pcap.close();
    const segments = readPcap(path);
    checkSequence(segments);
    const direction = (segment: Segment): string => (segment.from === BROKER ? "<" : ">");
    const summary = segments.map((segment) => [direction(segment), segment.flags, segment.payload.toString()]);
    const handshake = [[">", SYN, ""], ["<", SYN | ACK, ""], [">", ACK, ""]];
    expect(summary).toEqual([
      ...handshake,
      [">", 8 | ACK, "question"],
      ["<", ACK, ""],
      ["<", 8 | ACK, "answers"],
      [">", ACK, ""],
      [">", FIN | ACK, ""],
      ["<", FIN | ACK, ""],
      [">", ACK, ""],
      ...handshake,
      ["<", FIN | ACK, ""],
      [">", FIN | ACK, ""],
      ["<", ACK, ""],
      ...handshake,
      ["<", RST | ACK, ""],
    ]);
    expect(new Set(segments.map(({ from }) => from))).toEqual(
      new Set([BROKER, "192.0.2.1:49152", "192.0.2.1:49153", "192.0.2.1:49154"]),
    );
    const times = segments.map(({ seconds }) => seconds);
    expect(times).toEqual([...times].sort((a, b) => a - b));
    expect(times[0]).toBeGreaterThan(before - 1);
    expect(times.at(-1)).toBeLessThan(Date.now() / 1000 + 1);
  });

  it.each([1, 1459, 1460, 1461, 100000])("divides %i bytes into segments of at most 1460", (length) => {
    const path = join(folder, "long.pcap");
    const bytes = Buffer.from(Array.from({ length }, (_, i) => (i * 7) & 255));
    const pcap = new Pcap(path);
    pcap.connection().data(false, bytes);
    pcap.close();
    const segments = readPcap(path);
    checkSequence(segments);
    const parts = segments.map(({ payload }) => payload).filter((payload) => payload.length > 0);
    expect(Buffer.concat(parts)).toEqual(bytes);
    expect(parts).toHaveLength(Math.ceil(length / 1460));
    expect(Math.max(...parts.map((part) => part.length))).toBeLessThanOrEqual(1460);
  });

  it("takes nothing once it is closed", () => {
    const path = join(folder, "closed.pcap");
    const pcap = new Pcap(path);
    const connection = pcap.connection();
    pcap.close();
    connection.data(true, Buffer.from("late"));
    expect(readPcap(path)).toHaveLength(3);
  });
});

/** Runs the simulator with `--pcap`. */
function simulate(program: string, path: string): Promise<void> {
  const args = ["node_modules/tsx/dist/cli.mjs", "--tsconfig", "sim/tsconfig.json", "sim/main.ts", program];
  return new Promise((resolve, reject) => {
    execFile(process.execPath, [...args, "--quiet", "--pcap", path], { cwd: ROOT }, (error, _stdout, stderr) => {
      if (error) reject(new Error(stderr));
      else resolve();
    });
  });
}

describe("The capture file of a run", () => {
  const programs = ["nodemcu", "sensor", "secure"];
  const captureOf = (program: string): string => join(folder, `${program}.pcap`);

  beforeAll(async () => {
    await Promise.all(programs.map((program) => simulate(`examples/${program}.ts`, captureOf(program))));
  }, 120000);

  it.each(programs)("of examples/%s.ts is in order", (program) => {
    const segments = readPcap(captureOf(program));
    checkSequence(segments);
    expect(segments.filter(({ flags }) => flags === SYN)).toHaveLength(program === "sensor" ? 2 : 1);
    expect(segments.filter(({ flags }) => (flags & RST) !== 0)).toHaveLength(1);
  });

  it("has the bytes that went both ways, also of TLS, but no password", () => {
    for (const [program, clientId] of [["nodemcu", "clientid"], ["secure", "door"]]) {
      const segments = readPcap(captureOf(program));
      const sent = Buffer.concat(segments.filter(({ to }) => to === BROKER).map(({ payload }) => payload));
      expect(sent[0]).toBe(0x10);
      expect(sent.includes(clientId)).toBe(true);
      expect(sent.includes(Buffer.from("\0\x04user\0\x08********"))).toBe(true);
      expect(sent.includes("password")).toBe(false);
      const received = Buffer.concat(segments.filter(({ from }) => from === BROKER).map(({ payload }) => payload));
      expect(received.subarray(0, 4)).toEqual(Buffer.of(0x20, 2, 0, 0));
      expect(received.includes("hello from outside")).toBe(true);
    }
  });

  needs("tshark")("dissected by tshark", () => {
    function tshark(path: string, ...args: string[]): string {
      const checks = ["-o", "tcp.check_checksum:TRUE", "-o", "ip.check_checksum:TRUE"];
      return execFileSync(findProgram("tshark")!, ["-r", path, ...checks, ...args], {
        encoding: "utf8",
        stdio: ["ignore", "pipe", "ignore"],
      });
    }

    it.each(programs)("has nothing that is wrong in that of examples/%s.ts", (program) => {
      const isGood = 'tcp.checksum.status == "Good" && ip.checksum.status == "Good"';
      const isWrong = `_ws.malformed || tcp.analysis.flags || !(${isGood})`;
      expect(tshark(captureOf(program), "-Y", isWrong)).toBe("");
    });

    it.each([
      ["nodemcu", /^1 2 8 3 9 3 3$/],
      // On a slow machine more than one reading is due on the second connection.
      ["sensor", /^1 2 3 4 1 2( [34])+$/],
    ])("has the MQTT packets of examples/%s.ts", (program, types) => {
      const fields = tshark(captureOf(program), "-Y", "mqtt", "-T", "fields", "-e", "mqtt.msgtype");
      const found = fields.trim().split(/[\s,]+/);
      expect(found.join(" ")).toMatch(types);
      const count = (type: string): number => found.filter((each) => each === type).length;
      // Each reading is acknowledged.
      if (program === "sensor") expect(count("4")).toBe(count("3"));
    });

    it("has fields that Wireshark shows", () => {
      const fields = ["mqtt.clientid", "mqtt.willtopic", "mqtt.username", "mqtt.passwd"];
      const args = fields.flatMap((field) => ["-e", field]);
      const connect = tshark(captureOf("nodemcu"), "-Y", "mqtt.msgtype == 1", "-T", "fields", ...args);
      expect(connect.trim().split("\t")).toEqual(["clientid", "/lwt", "user", "********"]);
    });
  });
});
