/**
 * What is done with a program, in which order: it connects and acts, gets messages from outside, loses its connection,
 * so that the broker publishes its will, and may connect again. Everything is found out from the traffic.
 */
import { pathToFileURL } from "node:url";
import type { Broker } from "./broker.js";
import { EmbeddedBroker } from "./broker.js";
import { Failure, messageOf, oneLine } from "./failure.js";
import { Network } from "./link.js";
import type { Log } from "./log.js";
import { Outside } from "./outside.js";
import type { Message } from "./packet-text.js";
import { describeMessage } from "./packet-text.js";
import { Pcap } from "./pcap.js";
import { Tap } from "./tap.js";
import { numbered, quote, showArguments } from "./values.js";
import { setWiring } from "./wiring.js";
import type { Device } from "./witness.js";
import { Witness } from "./witness.js";

/** What to run, and how. */
export interface RunOptions {
  /** Path of the program. */
  program: string;
  /** The program as its user calls it. */
  name: string;
  /** Undefined: one is started in this process. */
  broker: Broker | undefined;
  /** File for the traffic. */
  pcap: string | undefined;
  /** Limit of the run. */
  seconds: number;
}

const MESSAGE = "hello from outside";
/** What stands for a wildcard in the topic of a message from outside. */
const LEVEL = "outside";
/** What is said of a will when connection or run ended before it was watched for, and when there is none any more. */
const TOO_EARLY = "will not waited for";
const CLOSED = "no will due, as the program closed its connection";
/** How long a program may take to do something once it is connected, if it has a timer running. */
const ACT_MS = 10000;
/** How long the broker may take to pass on a message. */
const DELIVERY_MS = 5000;
/** How long a program may take to connect again: NodeMCU's document says ten seconds. */
const RECONNECT_MS = 15000;
/** A program that has not connected and has no timer may still have one of Node's; so long it is waited for. */
const GRACE_MS = 1000;

/** Runs a program and returns the summary, or rejects with a Failure. */
export async function simulate(options: RunOptions, log: Log): Promise<string> {
  const pcap = options.pcap === undefined ? undefined : openPcap(options.pcap);
  const broker = options.broker ?? (await EmbeddedBroker.start());
  const scenario = new Scenario(options, log, broker, pcap);
  try {
    return await scenario.run();
  } finally {
    pcap?.close();
  }
}

function openPcap(path: string): Pcap {
  try {
    return new Pcap(path);
  } catch (error) {
    throw new Failure(`cannot write the file of --pcap (${messageOf(error)}): name one that can be written`);
  }
}

class Scenario {
  readonly #options: RunOptions;
  readonly #log: Log;
  readonly #broker: Broker;
  readonly #witness: Witness;
  readonly #tap: Tap;
  readonly #network: Network;
  readonly #outside: Outside;
  readonly #startMs = performance.now();
  /** What the outside client has received. */
  readonly #seen: Message[] = [];
  /** Devices and filters that were sent a message. */
  readonly #addressed = new Set<string>();
  /** Outcome of the wills, in words. */
  #will = "no will";
  #callbacks = 0;
  #timers = 0;
  #isLoaded = false;
  /** The first error of the program that nobody caught. */
  #uncaught: Failure | undefined;

  constructor(options: RunOptions, log: Log, broker: Broker, pcap: Pcap | undefined) {
    this.#options = options;
    this.#log = log;
    this.#broker = broker;
    this.#witness = new Witness(options.seconds * 1000);
    this.#tap = new Tap(log, this.#witness, pcap, (error) => this.#onUncaught(error));
    this.#network = new Network((secure) => broker.routeFor(secure), this.#tap);
    this.#outside = new Outside(
      broker,
      (message) => this.#onMessage(message),
      (failure) => this.#witness.fail(failure),
    );
  }

  async run(): Promise<string> {
    await this.#outside.connect();
    this.#log.title(`${this.#options.name} as a simulated device. Broker: ${this.#broker.description}.`);
    this.#start();
    try {
      await this.#connected();
      await this.#exercise();
      await this.#loseConnection();
      if (await this.#connectedAgain()) await this.#exercise();
    } catch (error) {
      throw this.#uncaught ?? error;
    }
    if (this.#uncaught !== undefined) throw this.#uncaught;
    this.#outside.close();
    return this.#summary();
  }

  /** Lets the program run. */
  #start(): void {
    let devices = 0;
    setWiring({
      credentials: this.#broker.credentials,
      hal: (name) => this.#tap.hal(name, this.#network.hal(name)),
      nextDevice: () => ++devices,
      onCallback: (device, event, args) => {
        this.#callbacks++;
        this.#log.line("callback", event, showArguments(event, numbered("client", device), args));
        this.#witness.happened();
      },
      onCall: (method, result) => this.#log.line("call", method, `() returns ${String(result)}`),
      onPrint: (line) => this.#log.line("program", "print", line),
      onTimers: (count) => (this.#timers = count),
    });
    process.on("uncaughtException", (error) => this.#onUncaught(error));
    process.on("unhandledRejection", (error) => this.#onUncaught(error));
    import(pathToFileURL(this.#options.program).href).then(
      () => {
        this.#isLoaded = true;
        this.#witness.happened();
      },
      (error: unknown) => this.#witness.fail(this.#thrown(error)),
    );
  }

  /** Waits for the first connection that is accepted. */
  async #connected(): Promise<void> {
    const { devices } = this.#witness;
    const hasConnected = (): boolean => devices.some((device) => device.sessions > 0);
    const isOver = (): boolean => this.#isLoaded && !this.#mayConnect() && this.#witness.isQuiet(GRACE_MS);
    await this.#witness.until(() => hasConnected() || isOver());
    if (hasConnected()) return;
    const { name } = this.#options;
    const { lastRefusal } = this.#witness;
    if (lastRefusal !== undefined) {
      throw new Failure(`${name} could not connect to ${this.#broker.description} (${lastRefusal})`);
    }
    throw new Failure(`${name} did not connect: it has to call connect(), or to be given more time with --seconds`);
  }

  /** Waits until the program has done what it does, and sends messages to where it subscribed. */
  async #exercise(): Promise<void> {
    const { devices } = this.#witness;
    const isReady = (device: Device): boolean =>
      device.link === undefined || device.hasActed || (device.isAccepted && this.#timers === 0);
    await this.#witness.until(() => devices.every(isReady), ACT_MS);
    await this.#witness.settle();
    for (const device of devices) {
      for (const [filter, qos] of [...device.filters]) await this.#sendTo(device, filter, qos);
    }
    await this.#witness.settle();
  }

  /** Sends the device a message that this filter matches, and waits until it is there. */
  async #sendTo(device: Device, filter: string, qos: number): Promise<void> {
    const address = `${device.number} ${filter}`;
    if (this.#addressed.has(address) || this.#witness.isLate()) return;
    this.#addressed.add(address);
    const topic = topicFor(filter);
    if (topic === undefined) {
      this.#log.line("outside", "no message", `to ${quote(filter)}: these topics are the broker's own`);
      return;
    }
    device.received.length = 0;
    const isThere = (): boolean => device.received.some((got) => got.topic === topic && got.payload === MESSAGE);
    this.#log.line("outside", "publish", `${quote(topic)} ${quote(MESSAGE)} QoS ${qos}`);
    this.#outside.send(topic, MESSAGE, qos);
    if (await this.#witness.until(() => isThere() || device.link === undefined, DELIVERY_MS)) return;
    if (this.#witness.isLate()) return;
    throw new Failure(`the message to ${quote(topic)} did not come: may the user of --broker send and receive it?`);
  }

  /** Breaks all connections, and waits for the wills. */
  async #loseConnection(): Promise<void> {
    const { devices } = this.#witness;
    const watched = new Set<Device>();
    for (const device of devices) {
      if (device.isAccepted && device.will !== undefined && (await this.#watch(device.will))) watched.add(device);
    }
    // What is retained there comes first.
    if (watched.size > 0) await this.#witness.settle();
    const up = devices.filter((device) => device.isAccepted);
    if (up.length === 0) this.#will = devices.some((device) => device.will) ? TOO_EARLY : CLOSED;
    this.#seen.length = 0;
    for (const device of up) device.link?.cut();
    for (const device of up) {
      const { will } = device;
      if (will === undefined || !watched.has(device)) continue;
      const isSeen = (): boolean => this.#seen.some((message) => isSame(message, will));
      if (await this.#witness.until(isSeen, DELIVERY_MS)) this.#will = "will seen";
      else if (this.#witness.isLate()) this.#will = TOO_EARLY;
      else throw new Failure(`the broker did not publish the will on ${quote(will.topic)}: may the user do so?`);
    }
  }

  /** Has the outside client receive what is published where the will is to be; false when that is not allowed. */
  async #watch(will: Message): Promise<boolean> {
    let isGranted: boolean | undefined;
    this.#outside.watch(will.topic, will.qos, (answer) => {
      isGranted = answer;
      this.#log.line("outside", "subscribe", `${quote(will.topic)} QoS ${will.qos}${answer ? "" : ": refused"}`);
      this.#witness.happened();
    });
    await this.#witness.until(() => isGranted !== undefined, DELIVERY_MS);
    if (isGranted === undefined && this.#witness.isLate()) this.#will = TOO_EARLY;
    else if (!isGranted) this.#will = "will not watched, as the broker does not allow it";
    return isGranted === true;
  }

  /** Waits for the program to connect again, if it may. */
  async #connectedAgain(): Promise<boolean> {
    const countSessions = (): number => this.#witness.devices.reduce((count, device) => count + device.sessions, 0);
    const sessions = countSessions();
    await this.#witness.settle();
    if (!this.#mayConnect()) return countSessions() > sessions;
    await this.#witness.until(() => countSessions() > sessions || !this.#mayConnect(), RECONNECT_MS);
    return countSessions() > sessions;
  }

  /** True when the program may yet connect: it is about to, or has a timer running. */
  #mayConnect(): boolean {
    const isConnecting = this.#witness.devices.some((device) => device.link !== undefined);
    return isConnecting || this.#timers > 0 || this.#network.hasTimers();
  }

  /** The outside client received something. */
  #onMessage(message: Message): void {
    this.#log.line("outside", "message", describeMessage(message));
    this.#seen.push(message);
    this.#witness.happened();
  }

  #onUncaught(error: unknown): void {
    this.#log.line("program", "error", oneLine(error));
    this.#uncaught ??= this.#thrown(error);
    this.#witness.happened();
  }

  /** What the program threw, and where. */
  #thrown(error: unknown): Failure {
    const { program, name } = this.#options;
    const stack = error instanceof Error ? (error.stack ?? "") : "";
    const at = stack.split("\n").find((line) => line.includes(program));
    const line = at?.match(/:(\d+):\d+\)?$/)?.[1];
    return new Failure(`${name} threw ${oneLine(error)}${line === undefined ? "" : ` (line ${line})`}`);
  }

  #summary(): string {
    const { out, in: received } = this.#tap;
    const seconds = ((performance.now() - this.#startMs) / 1000).toFixed(1);
    return [
      `ok: packets ${out.packets} out, ${received.packets} in`,
      `bytes ${out.bytes} out, ${received.bytes} in`,
      `messages ${out.messages} out, ${received.messages} in`,
      `callbacks ${this.#callbacks}`,
      this.#will,
      `${seconds} s`,
    ].join("; ");
  }
}

/** A topic that the filter matches; undefined where only the broker publishes. */
function topicFor(filter: string): string | undefined {
  const plain = filter.replace(/^\$share\/[^/]+\//, "");
  if (plain.startsWith("$")) return undefined;
  return plain.split("/").map((level) => (level === "+" || level === "#" ? LEVEL : level)).join("/");
}

/** True when the message is this will, published just now; `will.payload` may be its beginning only. */
function isSame(message: Message, will: Message): boolean {
  const start = Buffer.from(message.payload.subarray(0, will.payload.length));
  const isSamePayload = message.payloadLength === will.payloadLength && start.equals(will.payload);
  return message.topic === will.topic && isSamePayload && !message.retain;
}
