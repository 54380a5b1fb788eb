/** Starts the processes that a client is measured with; they end with the sample's. */
import { fork, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import type { AddressInfo } from "node:net";
import { tmpdir } from "node:os";
import { dirname, join, resolve } from "node:path";
import { TOPIC } from "../packets.js";

type Qos = 0 | 1 | 2;

/** What a client is measured with. */
export interface Peer {
  port: number;
  /** What a client subscribes to for `count` messages, `window` of them unacknowledged at a time. */
  filter(qos: Qos, window: number, count: number): string;
  /** Resolves with a function that has so many messages sent to who has subscribed; without it they come anyway. */
  feeder?(qos: Qos, window: number): Promise<(count: number) => void>;
  /** Resolves when somebody has subscribed; where there is a feeder. */
  subscribed?: Promise<void>;
}

/** Length of the payload of each message. */
export const PAYLOAD_BYTES = 64;

/** Has that done when the sample's process ends, also when it took too long. */
export function atExit(clean: () => void): void {
  process.on("exit", clean);
  if (process.listenerCount("SIGTERM") === 0) process.on("SIGTERM", () => process.exit(1));
}

/** Forks a peer, and resolves with it and its first message. */
function start(name: string, ...args: (string | number)[]): Promise<[ChildProcess, unknown]> {
  const script = resolve(dirname(process.argv[1]), `peers/${name}.js`);
  // Options of the sample's own process, a profile of it for one, are not for its peers.
  const child = fork(script, args.map(String), { execArgv: [] });
  return new Promise((fulfil, reject) => {
    child.once("message", (message) => fulfil([child, message]));
    child.once("exit", () => reject(new Error(`${name} has ended`)));
  });
}

/** Starts the minimal peer. */
export async function startBroker(): Promise<Peer> {
  const [, port] = await start("broker");
  return {
    port: port as number,
    filter: (qos, window, count) => `feed/${qos}/${window}/${count}/${PAYLOAD_BYTES}`,
  };
}

function freePort(): Promise<number> {
  return new Promise((fulfil) => {
    const server = createServer().listen(0, "127.0.0.1", () => {
      const { port } = server.address() as AddressInfo;
      server.close(() => fulfil(port));
    });
  });
}

/** Where servers are installed, which is not on every user's PATH. */
const PATH = `${process.env["PATH"]}:/usr/sbin:/usr/local/sbin`;

/** Starts a mosquitto; undefined where it is not installed. */
export async function startMosquitto(window: number): Promise<Peer | undefined> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-bench-"));
  const lines = [
    // As root it would become another user, who cannot read the folder. As anyone else it ignores this.
    "user root",
    "log_dest stderr",
    "log_type information",
    "log_type error",
    "log_type subscribe",
    "sys_interval 0",
    "persistence false",
    `max_inflight_messages ${window}`,
    "max_queued_messages 0",
    "set_tcp_nodelay true",
    `listener ${port} 127.0.0.1`,
    "allow_anonymous true",
  ];
  writeFileSync(join(folder, "mosquitto.conf"), `${lines.join("\n")}\n`);
  const child = spawn("mosquitto", ["-c", "mosquitto.conf"], {
    cwd: folder,
    env: { ...process.env, PATH },
    stdio: ["ignore", "ignore", "pipe"],
  });
  atExit(() => {
    child.kill("SIGKILL");
    rmSync(folder, { recursive: true, force: true });
  });
  let log = "";
  const logged = (text: string): Promise<void> =>
    new Promise((fulfil, reject) => {
      child.stderr.on("data", () => {
        if (log.includes(text)) fulfil();
      });
      child.on("exit", () => reject(new Error(log)));
    });
  child.stderr.setEncoding("utf8").on("data", (text: string) => (log += text));
  const runs = logged(" running\n");
  const subscribed = logged(TOPIC);
  subscribed.catch(() => undefined);
  const isThere = await new Promise((fulfil) => {
    child.on("spawn", () => fulfil(true));
    child.on("error", () => fulfil(false));
  });
  if (isThere !== true) {
    runs.catch(() => undefined);
    return undefined;
  }
  await runs;
  return {
    port,
    filter: () => TOPIC,
    async feeder(qos, feederWindow) {
      const [feeder] = await start("feeder", port, qos, feederWindow, PAYLOAD_BYTES);
      return (count) => void feeder.send(count);
    },
    subscribed,
  };
}
