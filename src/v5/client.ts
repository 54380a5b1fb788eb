/**
 * NodeMCU's face with MQTT 5: the same calls and callbacks, with properties in an optional last argument. Says what
 * these are, and nothing of when they are sent.
 */
import { asFlag, asInteger, isNil, show, wrong } from "../arguments.js";
import type { MessageInfo, QoS } from "../callbacks.js";
import { Callbacks } from "../callbacks.js";
import type { Data, DoneCallback, Events, Flag } from "../client.js";
import { Client } from "../client.js";
import type { Subscriptions } from "../codec.js";
import { IDLE, UP } from "../session.js";
import { CONNECT, DISCONNECT, PUBLISH, SUBSCRIBE, UNSUBSCRIBE } from "../wire.js";
import { become } from "./become.js";
import type { Connection5 } from "./connection.js";
import type { MqttClient5 } from "./face.js";
import type { GivenProperties, Properties } from "./properties.js";
import { checkProperties, WILL } from "./properties.js";
import { isReason, OF_CLIENT } from "./reasons.js";
import { DISCONNECT_WITH_WILL } from "./wire.js";

/** What a packet said beside topic and payload. */
export interface MessageInfo5 extends MessageInfo {
  /** The same object at every message: valid during the callback. */
  properties: Properties;
}

/** As `ConnectCallback`. `properties`: those of CONNACK. */
export type ConnectCallback5 = (client: MqttClient5, sessionPresent: boolean, properties: Properties) => void;
/** As `MessageCallback`. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a string or bytes, which only the format says
export type MessageCallback5 = (client: MqttClient5, topic: string, data: any, info: MessageInfo5) => void;
/** As `DataCallback`. */
export type DataCallback5 = (
  client: MqttClient5,
  topic: string,
  bytes: Uint8Array,
  offset: number,
  total: number,
  info: MessageInfo5,
) => void;
/**
 * An operation has its outcome. `codes`: reason codes, from 0x80 on it has failed: of a message the one of its last
 * acknowledgement, undefined for 0; of an unsubscribe one for each filter.
 */
export type DoneCallback5 = (client: MqttClient5, codes: Uint8Array | undefined) => void;
/** The broker has sent DISCONNECT; `offline` follows. */
export type DisconnectCallback = (client: MqttClient5, reasonCode: number, properties: Properties) => void;
/** An acknowledgement or CONNACK has properties. `packetType` as in the first half of its first byte. */
export type PropertiesCallback = (
  client: MqttClient5,
  packetType: number,
  packetId: number,
  properties: Properties,
) => void;

/** Each event and its callback. */
export interface Events5 extends Omit<Events, "connect" | "message" | "overflow" | "data" | "puback" | "unsuback"> {
  connect: ConnectCallback5;
  message: MessageCallback5;
  overflow: MessageCallback5;
  data: DataCallback5;
  puback: DoneCallback5;
  unsuback: DoneCallback5;
  disconnect: DisconnectCallback;
  properties: PropertiesCallback;
}

/** A Topic Filter's options (3.8.3.1). */
export interface FilterOptions {
  /** 0 by default. */
  qos?: QoS | null;
  /** No Local: messages of this client do not come back. Not of a shared subscription [MQTT5-3.8.3-4]. */
  nl?: Flag | null;
  /** Retain As Published: RETAIN as the publisher has set it. */
  rap?: Flag | null;
  /** Retain Handling: 0 (default): retained messages are sent; 1: unless it was subscribed to before; 2: not. */
  rh?: 0 | 1 | 2 | null;
}

/** Events that 3.1.1 does not have. */
const EVENTS = ["disconnect", "properties"];
// On XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(EVENTS, true);

/** Calls the callbacks of one client. */
export class Callbacks5 extends Callbacks {
  private declare _properties: Properties;

  /** What its constructor would do. */
  begin(properties: Properties): void {
    const slots = this.slots as Record<string, unknown>;
    for (let i = 0; i < EVENTS.length; i++) slots[EVENTS[i]] = undefined;
    this._properties = properties;
    (this._info as MessageInfo5).properties = properties;
    become(this._client, Client5);
  }

  override onConnect(sessionPresent: boolean): void {
    this._call(this.slots.connect, sessionPresent, this._properties);
  }

  onDisconnect(reasonCode: number): void {
    this._call((this.slots as Record<string, unknown>)[EVENTS[0]] as never, reasonCode, this._properties);
  }

  onProperties(type: number, packetId: number): void {
    const callback = (this.slots as Record<string, unknown>)[EVENTS[1]] as PropertiesCallback | undefined;
    if (!callback) return;
    try {
      callback(this._client as MqttClient5, type, packetId, this._properties);
    } catch (error) {
      this._client.hal.uncaught(error);
    }
  }

  onClientId(clientId: string): void {
    this._client.clientId = clientId;
  }
}

/** One client with MQTT 5. Made by `mqtt.Client`; arguments that are not described here are those of `Client`. */
export class Client5 extends Client {
  declare readonly connection: Connection5;

  /**
   * The reason code for which the last `publish`, `subscribe` or `unsubscribe` has returned false: it is beyond what
   * the broker has said that it takes (3.2.2.3). 0: for another reason, or it was accepted.
   */
  get refusal(): number {
    return this.connection.session.refusal;
  }

  /** @param properties of the will, for instance `willDelayInterval` */
  override lwt(
    topic: string | number,
    message: Data,
    qos?: QoS | null,
    retain?: Flag | null,
    properties?: GivenProperties | null,
  ): void {
    const session = this.connection.session;
    const before = session.willGiven;
    if (!isNil(properties)) checkProperties(this.text, WILL, properties);
    session.willGiven = Object.assign({}, properties);
    try {
      super.lwt(topic, message, qos, retain);
    } catch (error) {
      session.willGiven = before;
      throw error;
    }
  }

  /**
   * Properties of CONNECT stand behind the functions, or behind `secure`; they stay set for later connections
   * until others are given. `maximumPacketSize` is `maxMessageLength` unless it is among them, `sessionExpiryInterval`
   * with cleansession 0 "never".
   */
  override connect(
    host: string | number,
    a?: unknown,
    b?: unknown,
    c?: unknown,
    d?: unknown,
    e?: unknown,
    f?: unknown,
  ): boolean {
    const rest = [a, b, c, d, e, f];
    let last = 5;
    while (last > 0 && isNil(rest[last])) last--;
    // Behind the place of TLS options, an object can be nothing else.
    let isGiven = last === 5 || (last > 1 && typeof rest[last] === "object");
    for (let i = 0; i < last; i++) {
      if (typeof rest[i] === "function" && typeof rest[last] !== "function") isGiven = true;
    }
    const session = this.connection.session;
    const before = session.given;
    if (isGiven) {
      checkProperties(this.text, CONNECT, rest[last]);
      session.given = Object.assign({}, rest[last]);
      rest[last] = undefined;
    }
    let isBegun = false;
    try {
      const args = rest as never[];
      isBegun = super.connect(host, args[0], args[1], args[2], args[3], args[4]);
    } finally {
      if (!isBegun) session.given = before;
    }
    return isBegun;
  }

  /**
   * @param reasonCode what DISCONNECT says: 0 (default), 4: the will is to be published all the same, or a failure
   * @param properties of DISCONNECT, for instance another `sessionExpiryInterval`
   */
  override close(reasonCode?: number | null, properties?: GivenProperties | null): boolean {
    const code = asInteger("reasonCode", reasonCode, 0, 0, 255);
    if (code !== DISCONNECT_WITH_WILL && !isReason(OF_CLIENT, code)) {
      throw wrong("reasonCode", "one of a client", code);
    }
    const session = this.connection.session;
    if (!isNil(properties)) checkProperties(this.text, DISCONNECT, properties);
    const given = Object.assign({}, properties);
    if (given.sessionExpiryInterval && session.expiry === 0) {
      throw new TypeError("sessionExpiryInterval must be 0, as CONNECT has said");
    }
    // What ends already goes on as it was told to.
    if (session._phase > IDLE && session._phase <= UP) {
      session.closeReason = code;
      session.closeGiven = given;
    }
    return super.close();
  }

  /** @param properties of the message, for instance `messageExpiryInterval`; read during the call only */
  override publish(
    topic: string | number,
    payload: Data,
    qos?: QoS | null,
    retain?: Flag | null,
    done?: DoneCallback5 | null,
    properties?: GivenProperties | null,
  ): boolean {
    if (isNil(properties)) return super.publish(topic, payload, qos, retain, done as DoneCallback);
    try {
      this.setProperties(PUBLISH, properties);
      return super.publish(topic, payload, qos, retain, done as DoneCallback);
    } finally {
      this.setProperties(PUBLISH);
    }
  }

  /**
   * As `Client.subscribe`, in place of each QoS also an object: `{qos, nl, rap, rh}`.
   *
   * @param properties behind the callback: of SUBSCRIBE, for instance `subscriptionIdentifier`
   */
  override subscribe(
    topics: string | number | Record<string, QoS | FilterOptions>,
    a?: unknown,
    b?: unknown,
    c?: unknown,
  ): boolean {
    const hasQos = typeof topics !== "object" && typeof a !== "function";
    const callback = (hasQos ? b : a) as never;
    let table: unknown = topics;
    if (hasQos && typeof a === "object" && a !== null) table = { [topics]: a };
    if (!hasQos && !isNil(c)) throw wrong("properties", "the last argument", c);
    try {
      this.setProperties(SUBSCRIBE, hasQos ? c : b);
      if (typeof table === "object") return super.subscribe(table as Record<string, QoS>, callback);
      return super.subscribe(table as string, (hasQos ? a : 0) as QoS, callback);
    } finally {
      this.setProperties(SUBSCRIBE);
    }
  }

  /** @param properties of UNSUBSCRIBE */
  override unsubscribe(
    topics: string | number | Record<string, unknown>,
    done?: DoneCallback5 | null,
    properties?: GivenProperties | null,
  ): boolean {
    try {
      this.setProperties(UNSUBSCRIBE, properties);
      return super.unsubscribe(topics, done as DoneCallback);
    } finally {
      this.setProperties(UNSUBSCRIBE);
    }
  }

  /** Checks properties, and has the next packet of that type say them; to be taken back behind it. @internal */
  setProperties(type: number, properties?: unknown): void {
    const encoder = this.connection.session.encoder;
    encoder.given = undefined;
    if (isNil(properties)) return;
    checkProperties(this.text, type, properties);
    encoder.given = properties;
  }

  override _filters(topics: unknown, qos: number, hasQos: boolean): Subscriptions {
    const table = topics as Record<string, unknown>;
    const isTable = hasQos && typeof topics === "object" && topics !== null;
    let plain: unknown = topics;
    if (isTable && !Array.isArray(topics) && !ArrayBuffer.isView(topics)) {
      const levels = Object.create(null) as Record<string, unknown>;
      for (const name in table) {
        const options = table[name];
        levels[name] = typeof options === "object" && options !== null ? (options as FilterOptions).qos : options;
      }
      plain = levels;
    }
    const filters = super._filters(plain, qos, hasQos);
    for (const name in filters) {
      const isShared = name.indexOf("$share/") === 0;
      if (isShared) checkShared(name);
      if (isTable) filters[name] |= optionBits(name, table[name], isShared);
    }
    return filters;
  }
}

/** Checks the filter of a shared subscription: a name, and a filter behind it [MQTT5-4.8.2-1] [MQTT5-4.8.2-2]. */
function checkShared(filter: string): void {
  const end = filter.indexOf("/", 7);
  const name = filter.substring(7, end);
  if (end < 8 || end === filter.length - 1 || name.indexOf("+") >= 0 || name.indexOf("#") >= 0) {
    throw wrong("topic", "$share/name/filter, the name without + and #", filter);
  }
}

/** The options of a filter beside its QoS, as bits. */
function optionBits(filter: string, options: unknown, isShared: boolean): number {
  if (typeof options !== "object" || options === null) return 0;
  for (const name in options) {
    if (name !== "qos" && name !== "nl" && name !== "rap" && name !== "rh") {
      throw new TypeError("unknown option " + show(name) + " of topic " + show(filter));
    }
  }
  const given = options as FilterOptions;
  const isNoLocal = asFlag("nl", given.nl, false);
  if (isNoLocal && isShared) throw new TypeError("nl must not be set for a shared subscription");
  const isRetained = asFlag("rap", given.rap, false);
  return (isNoLocal ? 4 : 0) | (isRetained ? 8 : 0) | (asInteger("rh", given.rh, 0, 0, 2) << 4);
}
