/** What the commands need of a client, and what they say of it: the one file that knows the library. */
import { isIPv6 } from "node:net";
import hal from "../../hal/node.js";
import { createWebSocketHal } from "../../hal/node-websocket.js";
import { AsyncClient, describeReason, MqttError } from "../../src/async/face.js";
import type { AsyncOptions, ClientEvent, Message } from "../../src/async/face.js";
import type { Hal } from "../../hal/socket.js";
import { describeConnection, describePacket, traced } from "../../src/optional/trace.js";
import { EXIT_FAILURE, Failure, messageOf, printable } from "./failure.js";
import type { ConnectionOptions, QoS } from "./options.js";
import type { Status } from "./output.js";

export type { Message } from "../../src/async/face.js";

/** A message to be published. */
export interface Outgoing {
  topic: string;
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
}

/** Bytes of messages that may wait for their outcome at the same time; a longer one is published on its own. */
export const MAX_WAITING_BYTES = 2097152;
/** How many may. */
export const MAX_WAITING = 256;

/** Received messages that wait; when it is half of that, nothing more is read from the network. */
const MAX_UNREAD = 64;
/** The longest packet of MQTT. */
const MAX_PACKET = 268435460;
/** Any topic fits. */
const RX_CAPACITY = 131072;

/** Of SUBACK: the filter was refused. */
const REFUSED = 0x80;

/** Of what is sent, the packets that are told of when there is no trace. */
const TOLD = ["CONNECT", "PUBLISH", "DISCONNECT"];

/** One client, from its first connection to its last. */
export class Session {
  readonly clientId: string;
  /** Rejects, with a Failure, when the connection is lost for good. */
  readonly lost: Promise<never>;
  readonly #client: AsyncClient;
  readonly #messages: AsyncIterator<Message, undefined> | undefined;
  readonly #status: Status;
  readonly #options: ConnectionOptions;
  #lose!: (failure: Failure) => void;
  #isLost = false;
  /** Resolves when there is a connection again, or will be none. */
  #connected = Promise.resolve();
  #resume: (() => void) | undefined;

  /** @param reads messages are for `next`; else they are not acknowledged, and wait at the broker for who reads them */
  constructor(options: ConnectionOptions, status: Status, reads: boolean) {
    this.clientId = options.clientId;
    this.#options = options;
    this.#status = status;
    this.lost = new Promise<never>((_resolve, reject) => (this.#lose = reject));
    this.lost.catch(() => undefined);
    const platform = options.webSocket ? createWebSocketHal(hal, { maxPayload: MAX_PACKET }) : hal;
    try {
      this.#client = new AsyncClient(this.#traced(platform), {
        ...connectionOptions(options),
        owner: (event) => this.#hear(event),
      });
    } catch (error) {
      // An option that only the library knows to be wrong.
      throw new Failure(messageOf(error).replace("wsHeaders.", "--ws-header: ").replace(/^url:/, "--host, --ws-path:"));
    }
    // Messages of a session that the broker has kept come right behind CONNACK.
    this.#messages = reads ? this.#client.messages() : undefined;
  }

  /** Connects, as often as it may try. */
  async connect(): Promise<void> {
    try {
      await this.#client.connect();
    } catch (error) {
      throw this.#failureOf(error);
    }
  }

  /**
   * Resolves when the message was handed to the network (QoS 0) or acknowledged. With less than `MAX_WAITING` and
   * `MAX_WAITING_BYTES` under way there is room for it.
   */
  async publish({ topic, payload, qos, retain }: Outgoing): Promise<void> {
    await this.#retried(() => this.#client.publish(topic, payload, { qos, retain }));
  }

  /** Resolves with a code for each filter: the QoS granted, or 0x80 for refused. */
  async subscribe(filters: string[], qos: QoS): Promise<number[]> {
    const results = await this.#retried(() => this.#client.subscribe(filters, { qos }));
    return results.map(({ reasonCode }) => reasonCode);
  }

  /** The next message; it is not acknowledged before `acknowledge`. Rejects when the connection is lost for good. */
  async next(): Promise<Message> {
    try {
      const next = await this.#messages?.next();
      return next?.value ?? (await this.lost);
    } catch (error) {
      throw this.#failureOf(error);
    }
  }

  /** The message is done with. */
  acknowledge(message: Message): void {
    // When its connection is gone the broker sends it again.
    if (message.qos === 1) this.#client.puback(message);
    else if (message.qos === 2) this.#client.pubrec(message);
  }

  /** Disconnects in good order if there is a connection, and ends whatever is tried. */
  end(): Promise<void> {
    return this.#client.disconnect();
  }

  /** Does what may be done again, on the next connection, when this one is lost. */
  async #retried<T>(work: () => Promise<T>): Promise<T> {
    for (;;) {
      await this.#connected;
      if (this.#isLost) return this.lost;
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof MqttError)) throw error;
        // Why the connection was lost says more than what it means to this message.
        const isLost = error.outcome === "lost" || error.outcome === "kept" || !this.#client.connected;
        if (!isLost) throw this.#failureOf(error);
        if (this.#options.reconnects === 0) await this.lost;
      }
    }
  }

  #hear(event: ClientEvent): void {
    if (event.type === "pubrel") {
      this.#client.pubcomp(event.packetId);
    } else if (event.type === "connected") {
      this.#resume?.();
    } else if (event.type === "renewed") {
      const { filter, reasonCode } = event;
      if (reasonCode < REFUSED) this.#say(`subscribed to ${filter}`);
      else this.#lose(new Failure(`the broker does not allow ${filter} any more`));
    } else if (event.type === "state" && event.state === "waiting") {
      const again = `tries again in ${(event.delayMs / 1000).toFixed(1)} s`;
      this.#say(`${again}: ${describeReason(event.reason)}`);
    } else if (event.type === "disconnected") {
      this.#connected = new Promise((resolve) => (this.#resume = resolve));
    } else if (event.type === "state" && event.state === "stopped") {
      this.#isLost = true;
      this.#resume?.();
      this.#lose(new Failure(describeReason(event.reason), event.reason > 0 ? event.reason : EXIT_FAILURE));
    }
  }

  #failureOf(error: unknown): unknown {
    if (!(error instanceof MqttError)) return error;
    const { host, port } = this.#options;
    const { reason, detail, outcome } = error;
    const because = detail === undefined ? "" : ` (${messageOf(detail)})`;
    // Behind these no connection has come about.
    const isAttempt = reason > 0 || (reason < 0 && reason >= -5);
    const where = isAttempt ? `cannot connect to ${host}, port ${port}: ` : "";
    const message = outcome === undefined ? describeReason(reason) + because : error.message;
    return new Failure(where + message, reason > 0 ? reason : EXIT_FAILURE);
  }

  /** The platform, with what is wanted to be told of its packets. */
  #traced(platform: Hal): Hal {
    const { isTraced, isQuiet } = this.#options;
    if (isTraced) {
      const tell = (what: string): void => this.#status.trace(`Client ${printable(this.clientId)} ${what}`);
      return traced(platform, (packet) => tell(describePacket(packet, true)), {
        onConnection: (event) => tell(describeConnection(event)),
      });
    }
    if (isQuiet) return platform;
    return traced(platform, (packet) => {
      if (!packet.isSent || !TOLD.includes(packet.type)) return;
      if (packet.type !== "PUBLISH" || !this.#status.hasProgress) this.#say(describePacket(packet));
    });
  }

  #say(what: string): void {
    this.#status.say(`Client ${this.clientId} ${what}`);
  }
}

function connectionOptions(options: ConnectionOptions): AsyncOptions {
  const { username, password, will, localAddress, tls, webSocket } = options;
  return {
    ...(webSocket === undefined ? { host: options.host } : webSocketOptions(options)),
    port: options.port,
    ssl: tls !== undefined,
    ...(tls && { sslOpts: tls }),
    ...(localAddress !== undefined && { tcpOpts: { localAddress, family: isIPv6(localAddress) ? 6 : 4 } }),
    clientid: options.clientId,
    protoVer: options.version,
    cleanStart: !options.isPersistent,
    keepalive: options.keepAliveSeconds,
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(will && { willTopic: will.topic, willPayload: will.payload, willQos: will.qos, willRetain: will.isRetained }),
    maxInflight: options.maxInflight,
    reconnect: options.reconnects,
    reconnectTimeout: options.reconnectSeconds,
    reconnectCap: Math.max(60, options.reconnectSeconds),
    // A message is acknowledged when it is written.
    autoAck: "never",
    maxQueue: MAX_UNREAD,
    maxMessageLength: MAX_PACKET - 5,
    maxSubscriptions: 65535,
    rxCapacity: RX_CAPACITY,
    // Brokers differ in how many they have under way.
    receiveMaximum: 65535,
    txCapacity: 2 * MAX_WAITING_BYTES,
    maxOperations: 2 * MAX_WAITING,
  };
}

function webSocketOptions({ host, port, tls, webSocket }: ConnectionOptions): AsyncOptions {
  const name = isIPv6(host) ? `[${host}]` : host;
  const { path, headers } = webSocket!;
  return { host: `${tls ? "wss" : "ws"}://${name}:${port}${path}`, wsHeaders: headers };
}
