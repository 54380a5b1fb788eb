/**
 * Real mosquitto processes, each on free ports of the loopback and with a folder of its own. For suites under
 * `needs("mosquitto")`.
 */
import { execFileSync, spawn } from "node:child_process";
import type { ChildProcess } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Broker } from "./broker.js";
import { FORBIDDEN, HOST, LOGINS } from "./broker.js";
import { writeCertificates } from "./certificates.js";
import { findProgram } from "./needs.js";
import { Signal } from "./signal.js";

export interface MosquittoOptions {
  /** Keeps sessions and messages over `stop()` and `restart()`. */
  persistence?: boolean;
  /** Listens for WebSockets, too: `webSocketPort` and the two behind it. */
  webSockets?: boolean;
  /** More lines of its configuration: for all listeners, and for that of `port`. */
  settings?: string[];
  listenerSettings?: string[];
}

/** One broker. `log` is what it wrote, with every packet it saw. */
export class Mosquitto implements Broker {
  readonly port: number;
  readonly tlsPort: number;
  readonly clientCertificatePort: number;
  readonly passwordPort: number;
  readonly limitedPort: number;
  /** As `port`, `tlsPort` and `clientCertificatePort`, for WebSockets to any path. */
  readonly webSocketPort: number;
  readonly secureWebSocketPort: number;
  readonly mutualWebSocketPort: number;
  log = "";
  readonly #folder: string;
  readonly #signal = new Signal();
  #process: ChildProcess | undefined;

  /** Starts one, and resolves when it listens. */
  static async start(options: MosquittoOptions = {}): Promise<Mosquitto> {
    const folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-mosquitto-"));
    for (let tries = 1; ; tries++) {
      const broker = new Mosquitto(folder, options, await freePorts(8));
      try {
        await broker.restart();
        return broker;
      } catch (error) {
        // Another process was quicker to take a port.
        if (tries < 5 && /Address already in use/i.test(broker.log)) continue;
        await broker.dispose();
        throw error;
      }
    }
  }

  private constructor(folder: string, options: MosquittoOptions, ports: number[]) {
    this.#folder = folder;
    this.port = ports[0];
    this.tlsPort = ports[1];
    this.clientCertificatePort = ports[2];
    this.passwordPort = ports[3];
    this.limitedPort = ports[4];
    this.webSocketPort = ports[5];
    this.secureWebSocketPort = ports[6];
    this.mutualWebSocketPort = ports[7];
    writeCertificates(folder);
    mkdirSync(join(folder, "data"), { recursive: true });
    writePasswords(join(folder, "passwords"));
    writeFileSync(join(folder, "limits.json"), JSON.stringify(LIMITS), { mode: 0o600 });
    const tls = ["cafile ca.crt", "certfile server.crt", "keyfile server.key"];
    const lines = [
      "per_listener_settings true",
      // As root it would become another user, who cannot read the folder. As anyone else it ignores this.
      "user root",
      "log_dest stderr",
      "log_type all",
      "sys_interval 0",
      // As many as come: what is lost is to be the client's fault.
      "max_queued_messages 0",
      `persistence ${options.persistence ?? false}`,
      "persistence_location data/",
      ...(options.settings ?? []),
      `listener ${this.port} ${HOST}`,
      "allow_anonymous true",
      ...(options.listenerSettings ?? []),
      `listener ${this.tlsPort} ${HOST}`,
      "allow_anonymous true",
      ...tls,
      `listener ${this.clientCertificatePort} ${HOST}`,
      "allow_anonymous true",
      ...tls,
      "require_certificate true",
      `listener ${this.passwordPort} ${HOST}`,
      "allow_anonymous false",
      "password_file passwords",
    ];
    const plugin = findSecurityPlugin();
    if (plugin !== undefined) {
      lines.push(`listener ${this.limitedPort} ${HOST}`, "allow_anonymous true");
      lines.push(`plugin ${plugin}`, `plugin_opt_config_file ${join(folder, "limits.json")}`);
    }
    const webSockets = (port: number): string[] => {
      return [`listener ${port} ${HOST}`, "protocol websockets", "allow_anonymous true"];
    };
    if (options.webSockets) {
      lines.push(...webSockets(this.webSocketPort));
      lines.push(...webSockets(this.secureWebSocketPort), ...tls);
      lines.push(...webSockets(this.mutualWebSocketPort), ...tls, "require_certificate true");
    }
    writeFileSync(join(folder, "mosquitto.conf"), lines.join("\n") + "\n");
  }

  /** Starts the process again, with the same ports and folder, and resolves when it listens. */
  async restart(): Promise<void> {
    if (this.#process !== undefined) throw new Error("mosquitto is running");
    const before = this.log.length;
    const process = spawn(findProgram("mosquitto")!, ["-c", "mosquitto.conf"], {
      cwd: this.#folder,
      stdio: ["ignore", "ignore", "pipe"],
    });
    this.#process = process;
    process.stderr.setEncoding("utf8").on("data", (text: string) => {
      this.log += text;
      this.#signal.notify();
    });
    process.on("error", (error) => (this.log += String(error)));
    process.on("close", () => {
      this.#process = undefined;
      this.#signal.notify();
    });
    await this.#until(() => this.log.includes(" running\n", before), "mosquitto listens");
  }

  /** Ends the process: by default in good order, with everything saved. Resolves when it is gone. */
  async stop(signal: "SIGTERM" | "SIGKILL" = "SIGTERM"): Promise<void> {
    this.#process?.kill(signal);
    await this.#signal.until(() => this.#process === undefined, () => `mosquitto ends after ${signal}\n${this.log}`);
  }

  /** Stops it dead, with all its connections open, until `thaw()` or `stop("SIGKILL")`. */
  freeze(): void {
    this.#process?.kill("SIGSTOP");
  }

  thaw(): void {
    this.#process?.kill("SIGCONT");
  }

  /** Resolves when the log has `text`. */
  async logged(text: string | RegExp): Promise<void> {
    const has = (): boolean => (typeof text === "string" ? this.log.includes(text) : text.test(this.log));
    await this.#until(has, `mosquitto logs "${text}"`);
  }

  async dispose(): Promise<void> {
    await this.stop("SIGKILL");
    rmSync(this.#folder, { recursive: true, force: true });
  }

  #until(condition: () => boolean, what: string): Promise<void> {
    return this.#signal.until(
      () => {
        if (condition()) return true;
        if (this.#process === undefined) throw new Error(`mosquitto has ended; not so: ${what}\n${this.log}`);
        return false;
      },
      () => `${what}\n${this.log.slice(-5000)}`,
    );
  }
}

/** The plugin that can refuse subscriptions (an acl_file cannot); it comes with mosquitto 2. */
export function findSecurityPlugin(): string | undefined {
  const folders = ["/usr/lib", "/usr/local/lib", "/usr/lib64", "/opt/homebrew/lib"].filter((path) => existsSync(path));
  const archs = folders.flatMap((path) => {
    return readdirSync(path).filter((name) => name.includes("-linux-")).map((name) => join(path, name));
  });
  const paths = [...folders, ...archs].map((path) => join(path, "mosquitto_dynamic_security.so"));
  return paths.find((path) => existsSync(path));
}

const LIMITS = {
  defaultACLAccess: { publishClientSend: true, publishClientReceive: true, subscribe: true, unsubscribe: true },
  clients: [],
  groups: [{ groupname: "anyone", roles: [{ rolename: "limited" }], clients: [] }],
  anonymousGroup: "anyone",
  roles: [
    {
      rolename: "limited",
      acls: [{ acltype: "subscribePattern", topic: `${FORBIDDEN}/#`, priority: 1, allow: false }],
    },
  ],
};

function writePasswords(path: string): void {
  writeFileSync(path, "", { mode: 0o600 });
  for (const login of LOGINS) execFileSync(findProgram("mosquitto_passwd")!, ["-b", path, ...login]);
}

/**
 * Ports that nobody listens on, below those that systems give to outgoing connections, and of this worker of jest's
 * alone: such a one cannot be taken away while a broker is restarted.
 */
export async function freePorts(count: number): Promise<number[]> {
  const ports: number[] = [];
  while (ports.length < count) {
    const worker = Number(process.env["JEST_WORKER_ID"] ?? 0) % 4;
    const port = 10000 + worker * 5000 + Math.floor(Math.random() * 5000);
    if (!ports.includes(port) && (await isFree(port))) ports.push(port);
  }
  return ports;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.on("error", () => resolve(false));
    server.listen(port, HOST, () => server.close(() => resolve(true)));
  });
}
