/** What the commands need of a client, and what they say of it: the one file that knows the library. */
import { isIPv6 } from "node:net";
import hal from "../../hal/node.js";
import { createWebSocketHal } from "../../hal/node-websocket.js";
import { AsyncClient, describeReason, MqttError } from "../../src/async/face.js";
import type { AsyncOptions, ClientEvent, FilterResult, Message } from "../../src/async/face.js";
import type { Hal } from "../../hal/socket.js";
import { describeConnection, describePacket, traced } from "../../src/optional/trace.js";
import { withAuth } from "../../src/v5/auth.js";
import type { ReceivedProperties } from "../../src/v5/properties.js";
import { readMqtt5 } from "../../src/v5/trace.js";
import { mqtt5 } from "../../src/v5/v5.js";
import { DISCONNECT } from "../../src/wire.js";
import { NO_MATCHING_SUBSCRIBERS, UNSPECIFIED_ERROR, UNSUPPORTED_PROTOCOL_VERSION } from "../../src/v5/wire.js";
import { EXIT_FAILURE, Failure, messageOf, printable, quote } from "./failure.js";
import type { ConnectionOptions, QoS } from "./options.js";
import type { Status } from "./output.js";
import { describeCode } from "./reasons.js";
import { watched } from "./watch.js";
import type { OldAnswer } from "./watch.js";

export type { FilterResult, Message } from "../../src/async/face.js";
export type { ReceivedProperties } from "../../src/v5/properties.js";

/** A message to be published. */
export interface Outgoing {
  topic: string;
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
}

/** What a subscription has beside its QoS; in MQTT 3.1.1 and 3.1 as little as there can be. */
export interface SubscriptionHandling {
  isNoLocal: boolean;
  isRetainAsPublished: boolean;
  retainHandling: 0 | 1 | 2;
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

/** From here on a reason code, or a return code of SUBACK, is a refusal. */
export const REFUSED = 0x80;

const USE_3_1_1 = "use -V v3.1.1";

/** Of what is sent, the packets that are told of when there is no trace. */
const TOLD = ["CONNECT", "PUBLISH", "DISCONNECT"];

/** One client, from its first connection to its last. */
export class Session {
  clientId: string;
  /** Rejects, with a Failure, when the connection is lost for good. */
  readonly lost: Promise<never>;
  readonly #client: AsyncClient;
  readonly #messages: AsyncIterator<Message, undefined> | undefined;
  readonly #status: Status;
  readonly #options: ConnectionOptions;
  #lose!: (failure: Failure) => void;
  #isLost = false;
  /** How the broker answered CONNECT, where that is not of MQTT 5; until the next attempt to connect. */
  #oldAnswer: OldAnswer | undefined;
  /** What the broker gave as its reason to disconnect, until the next attempt to connect. */
  #farewell: string | undefined;
  /** Topics of which it was said that nobody has subscribed to them. */
  readonly #unheard = new Set<string>();
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
      const told = this.#traced(platform);
      const isMqtt5 = options.version === "v5";
      this.#client = new AsyncClient(isMqtt5 ? watched(told, (answer) => (this.#oldAnswer = answer)) : told, {
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
      throw this.#connectFailureOf(error);
    }
  }

  /**
   * Resolves when the message was handed to the network (QoS 0) or acknowledged. With less than `MAX_WAITING` and
   * `MAX_WAITING_BYTES` under way there is room for it.
   */
  async publish({ topic, payload, qos, retain }: Outgoing): Promise<void> {
    const { publish: properties } = this.#options.properties;
    const { reasonCode } = await this.#retried(`the message to ${quote(topic)}`, () => {
      return this.#client.publish(topic, payload, { qos, retain, ...(properties && { properties }) });
    });
    if (reasonCode !== NO_MATCHING_SUBSCRIBERS || this.#unheard.has(topic)) return;
    this.#unheard.add(topic);
    this.#say(`published to ${topic}, to which nobody has subscribed`);
  }

  /** Bytes that a message takes beside its topic and payload, at the most. */
  get overhead(): number {
    // JSON has more for each property than a packet.
    return 9 + Buffer.byteLength(JSON.stringify(this.#options.properties.publish ?? {}));
  }

  /** Resolves with a code for each filter: the QoS granted, or REFUSED and above. */
  async subscribe(filters: string[], qos: QoS, handling: SubscriptionHandling): Promise<FilterResult[]> {
    const { isNoLocal: nl, isRetainAsPublished: rap, retainHandling: rh } = handling;
    const { version, properties: { subscribe: properties } } = this.#options;
    const options = version === "v5" ? { qos, nl, rap, rh, ...(properties && { properties }) } : { qos };
    return this.#retried("the subscription", () => this.#client.subscribe(filters, options));
  }

  /** The next message; it is not acknowledged before `acknowledge`. Rejects when the connection is lost for good. */
  async next(): Promise<Message> {
    try {
      const next = await this.#messages?.next();
      return next?.value ?? (await this.lost);
    } catch (error) {
      // Why the connection was lost is told, too.
      throw error instanceof MqttError ? await this.lost : error;
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
    const { disconnect: properties } = this.#options.properties;
    return this.#client.disconnect(properties && { properties });
  }

  /**
   * Does what may be done again, on the next connection, when this one is lost.
   *
   * @param what it is, for an error
   */
  async #retried<T>(what: string, work: () => Promise<T>): Promise<T> {
    for (;;) {
      await this.#connected;
      if (this.#isLost) return this.lost;
      try {
        return await work();
      } catch (error) {
        if (!(error instanceof MqttError)) throw error;
        // Why the connection was lost says more than what it means to this message.
        const isLost = error.outcome === "lost" || error.outcome === "kept" || !this.#client.connected;
        if (!isLost || error.outcome === "refused") throw this.#failureOf(error, what);
        if (this.#options.reconnects === 0) await this.lost;
      }
    }
  }

  #hear(event: ClientEvent): void {
    if (event.type === "pubrel") {
      this.#client.pubcomp(event.packetId);
    } else if (event.type === "state" && event.state === "connecting") {
      this.#farewell = this.#oldAnswer = undefined;
    } else if (event.type === "connected") {
      this.clientId = event.properties?.assignedClientIdentifier ?? this.clientId;
      this.#resume?.();
    } else if (event.type === "disconnect") {
      this.#farewell = `the broker disconnected: ${describeCode(event.reasonCode, event.properties, DISCONNECT)}`;
    } else if (event.type === "renewed") {
      const { filter, reasonCode } = event;
      if (reasonCode < REFUSED) this.#say(`subscribed to ${filter}`);
      else this.#lose(new Failure(`the broker does not allow ${filter} any more${this.because(reasonCode)}`));
    } else if (event.type === "state" && event.state === "waiting") {
      const again = `tries again in ${(event.delayMs / 1000).toFixed(1)} s`;
      // Its version of MQTT remains what it is.
      if (this.#oldAnswer === "old") this.#client.stop();
      else this.#say(`${again}: ${this.#describe(event.reason)}`);
    } else if (event.type === "disconnected") {
      this.#connected = new Promise((resolve) => (this.#resume = resolve));
    } else if (event.type === "state" && event.state === "stopped") {
      this.#isLost = true;
      this.#resume?.();
      this.#lose(new Failure(this.#describe(event.reason), this.#exitCodeOf(event.reason)));
    }
  }

  /** Why there is no connection. */
  #describe(reason: number, properties?: ReceivedProperties): string {
    if (this.#farewell !== undefined) return this.#farewell;
    if (this.#oldAnswer === "old") return `refused: the broker does not speak MQTT 5: ${USE_3_1_1}`;
    if (this.#oldAnswer === "closed") {
      return `the broker did not answer CONNECT, but ended the connection: if it does not speak MQTT 5, ${USE_3_1_1}`;
    }
    if (reason <= -UNSPECIFIED_ERROR) return `the broker broke the protocol: ${describeCode(-reason)}`;
    if (reason < UNSPECIFIED_ERROR) return describeReason(reason);
    const hint = reason === UNSUPPORTED_PROTOCOL_VERSION ? `: ${USE_3_1_1}` : "";
    return `refused: ${describeCode(reason, properties)}${hint}`;
  }

  #exitCodeOf(reason: number): number {
    return this.#farewell === undefined && reason > 0 ? reason : EXIT_FAILURE;
  }

  /** Why a filter or message was refused; MQTT 3.1.1 does not say. */
  because(reasonCode: number | undefined, properties?: ReceivedProperties): string {
    if (this.#options.version !== "v5" || reasonCode === undefined) return "";
    return `: ${describeCode(reasonCode, properties)}`;
  }

  /** Of an attempt to connect. */
  #connectFailureOf(error: unknown): unknown {
    if (!(error instanceof MqttError)) return error;
    const { host, port } = this.#options;
    const { reason, detail } = error;
    const isSaid = reason >= UNSPECIFIED_ERROR || detail === undefined;
    const because = isSaid ? "" : ` (${messageOf(detail)})`;
    const why = this.#describe(reason, detail as ReceivedProperties | undefined) + because;
    return new Failure(`cannot connect to ${host}, port ${port}: ${why}`, this.#exitCodeOf(reason));
  }

  #failureOf(error: unknown, what: string): unknown {
    if (!(error instanceof MqttError)) return error;
    const { reasonCode, detail } = error;
    if (reasonCode === undefined) return new Failure(error.message);
    return new Failure(`the broker refused ${what}${this.because(reasonCode, detail as ReceivedProperties)}`);
  }

  /** The platform, with what is wanted to be told of its packets. */
  #traced(platform: Hal): Hal {
    const { isTraced, isQuiet } = this.#options;
    if (isTraced) {
      const tell = (what: string): void => this.#status.trace(`Client ${printable(this.clientId)} ${what}`);
      return traced(platform, (packet) => tell(describePacket(packet, true)), {
        onConnection: (event) => tell(describeConnection(event)),
        mqtt5: readMqtt5,
      });
    }
    if (isQuiet) return platform;
    return traced(platform, (packet) => {
      if (!packet.isSent || !TOLD.includes(packet.type)) return;
      // That all is well goes without saying.
      if (packet.type === "DISCONNECT" && packet.reasonCode === 0) delete packet.reasonCode;
      if (packet.type !== "PUBLISH" || !this.#status.hasProgress) this.#say(describePacket(packet));
    }, { mqtt5: readMqtt5 });
  }

  #say(what: string): void {
    this.#status.say(`Client ${this.clientId} ${what}`);
  }
}

function connectionOptions(options: ConnectionOptions): AsyncOptions {
  const { username, password, will, localAddress, tls, webSocket } = options;
  // Who proves to know the password does not send it.
  const isSent = options.authenticator === undefined;
  return {
    ...(webSocket === undefined ? { host: options.host } : webSocketOptions(options)),
    port: options.port,
    ssl: tls !== undefined,
    ...(tls && { sslOpts: tls }),
    ...(localAddress !== undefined && { tcpOpts: { localAddress, family: isIPv6(localAddress) ? 6 : 4 } }),
    clientid: options.clientId,
    ...(options.version === "v5" ? mqtt5Options(options) : { protoVer: options.version }),
    cleanStart: !options.isPersistent,
    keepalive: options.keepAliveSeconds,
    ...(username !== undefined && isSent && { username }),
    ...(password !== undefined && isSent && { password }),
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
    receiveMaximum: options.properties.connect?.receiveMaximum ?? 65535,
    txCapacity: 2 * MAX_WAITING_BYTES,
    maxOperations: 2 * MAX_WAITING,
  };
}

function mqtt5Options({ properties, sessionExpirySeconds, authenticator }: ConnectionOptions): AsyncOptions {
  const connect = { ...properties.connect };
  const { topicAliasMaximum } = connect;
  // Those that the library has other options for.
  delete connect.topicAliasMaximum;
  delete connect.receiveMaximum;
  if (sessionExpirySeconds !== undefined) connect.sessionExpiryInterval = sessionExpirySeconds;
  return {
    // Without aliases of its own: what is told of a message is its topic.
    codec: mqtt5({ topicAliases: 0, ...(topicAliasMaximum !== undefined && { topicAliasMaximum }) }),
    properties: connect,
    ...(properties.will && { willProps: properties.will }),
    ...(authenticator && { extend: (client) => withAuth(client, authenticator) }),
  };
}

function webSocketOptions({ host, port, tls, webSocket }: ConnectionOptions): AsyncOptions {
  const name = isIPv6(host) ? `[${host}]` : host;
  const { path, headers } = webSocket!;
  return { host: `${tls ? "wss" : "ws"}://${name}:${port}${path}`, wsHeaders: headers };
}
