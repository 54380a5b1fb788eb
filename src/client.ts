/**
 * The public face: NodeMCU's `mqtt` module. Says what the application's arguments mean.
 *
 * Holds no protocol knowledge and no state of a connection. Arguments are strictly positional, null and undefined stand
 * for the default; a wrong one throws before anything changes. The shapes are those of NodeMCU's document of 2017.
 */
import type { Capacities, Hal, Text } from "../hal/socket.js";
import {
  asCallback,
  asData,
  asFlag,
  asInteger,
  asQos,
  asString,
  checkField,
  checkText,
  isNil,
  isQueued,
  show,
  wrong,
} from "./arguments.js";
import type {
  ConnectCallback,
  ConnfailCallback,
  DoneCallback,
  DrainCallback,
  Events,
  QoS,
  SubscribeCallback,
} from "./callbacks.js";
import { Callbacks } from "./callbacks.js";
import type { ConnectionOptions } from "./connection.js";
import { Connection } from "./connection.js";
import type { Codec, Subscriptions, Will } from "./codec.js";
import {
  CONNACK_ACCEPTED,
  CONNACK_REFUSED_BAD_USER_OR_PASS,
  CONNACK_REFUSED_ID_REJECTED,
  CONNACK_REFUSED_NOT_AUTHORIZED,
  CONNACK_REFUSED_PROTOCOL_VER,
  CONNACK_REFUSED_SERVER_UNAVAILABLE,
  CONN_FAIL_DNS,
  CONN_FAIL_NOT_A_CONNACK_MSG,
  CONN_FAIL_SERVER_NOT_FOUND,
  CONN_FAIL_TIMEOUT_RECEIVING,
  CONN_FAIL_TIMEOUT_SENDING,
} from "./errors.js";
import { isTopicFilter, isTopicName } from "./topic.js";
import { SUBSCRIBE, UNSUBSCRIBE } from "./wire.js";

export type {
  ConnectCallback,
  ConnfailCallback,
  DataCallback,
  DoneCallback,
  DrainCallback,
  Events,
  MessageCallback,
  MessageInfo,
  OfflineCallback,
  QoS,
  SubscribeCallback,
} from "./callbacks.js";

/** Text or bytes; a number is sent as its decimal text. */
export type Data = string | number | Uint8Array | ArrayBuffer;
/** 0 and 1 as in Lua, or a boolean. */
export type Flag = 0 | 1 | boolean;
type Maybe<T> = T | null | undefined;

/** What can be set beside NodeMCU's arguments. Capacities not given are the platform's defaults. */
export interface ClientOptions extends Partial<Capacities> {
  /** Longest packet that is delivered as a message, in bytes, header included: 16..268435460. 1024 by default. */
  maxMessageLength?: number;
  /** What `message` and `overflow` get as data. "string" by default. */
  format?: "string" | "buffer";
  /**
   * Most publishes (at QoS 1 and 2), subscribes and unsubscribes that wait for their acknowledgement at the same time,
   * 1..65535; those behind wait in the transmit buffer. 16 by default; 1 is how NodeMCU does it.
   */
  maxInflight?: number;
  /** Time for name resolution, TCP and TLS together, in milliseconds, 1..2^30. 60,000 by default. */
  connectTimeoutMs?: number;
  /**
   * An operation that is not acknowledged for this long ends the session, in milliseconds, 1..2^30. Twice the keepalive
   * by default.
   */
  ackTimeoutMs?: number;
  /** How long `close()` waits for acknowledgements, in milliseconds, 0..2^30. 2,000 by default. */
  drainTimeoutMs?: number;
  /**
   * True: `publish` is accepted while no session is up, too, and what was accepted leaves with the next one; with
   * cleansession 0 only. False by default, as NodeMCU does it.
   */
  queueOffline?: boolean;
}

const MAX_MS = 1073741824;
/** Options that are numbers: the default (0: it depends), the least, and the most. */
const OPTIONS: Record<string, number[]> = {
  maxMessageLength: [1024, 16, 268435460],
  maxInflight: [16, 1, 65535],
  connectTimeoutMs: [60000, 1, MAX_MS],
  ackTimeoutMs: [0, 1, MAX_MS],
  drainTimeoutMs: [2000, 0, MAX_MS],
  rxCapacity: [0, 128, MAX_MS],
  txCapacity: [0, 128, MAX_MS],
  maxOperations: [0, 1, 65536],
  receiveMaximum: [0, 1, 65535],
};
// With its rows, on XS: what a preloaded module does not freeze is given RAM there.
Object.freeze(OPTIONS, true);
/** What stands before the platform's part in a generated client identifier; both are at most 23 characters. */
const CLIENT_ID_PREFIX = "mcumqtt";

/** One MQTT client. Made by `mqtt.Client`. */
export class Client {
  /** For modules of the library that add to a client. @internal */
  readonly connection: Connection;
  /** As `connection`. @internal */
  clientId: string;
  /** As `connection`. @internal */
  readonly hal: Hal;
  /** As `connection`. @internal */
  readonly text: Text;
  /** As `connection`. @internal */
  readonly _callbacks: Callbacks;
  private readonly _username: string | undefined;
  /** As `connection`. @internal */
  _password: string | Uint8Array | undefined;
  /** A topic name that was found valid: those of one sender are often the same. */
  private _topic = "/";

  /** For `createMqtt`, which says what the arguments are. */
  constructor(
    hal: Hal,
    codec: Codec,
    clientid: Maybe<string | number>,
    keepalive: Maybe<number>,
    username: Maybe<Data>,
    password: Maybe<Data>,
    cleansession: Maybe<Flag>,
    options: Maybe<number | ClientOptions>,
  ) {
    const text = hal.createText();
    this.hal = hal;
    this.text = text;
    const cleanSession = asFlag("cleansession", cleansession, true);
    this.clientId = isNil(clientid) ? CLIENT_ID_PREFIX + hal.generateId() : asString("clientid", clientid);
    if (this.clientId === "" && !cleanSession) {
      throw new TypeError('clientid must not be "" when cleansession is 0: nobody could find the session again');
    }
    checkText(text, "clientid", this.clientId);
    // NodeMCU takes 0 for its default too.
    const keepAliveSeconds = keepalive === 0 ? 60 : asInteger("keepalive", keepalive, 60, 1, 65535);
    const user = isNil(username) ? "" : asData("username", username);
    const name = typeof user === "string" ? user : text.decode(user, 0, user.length, true);
    if (name === undefined) throw new TypeError("username must be UTF-8, and its bytes are not");
    checkText(text, "username", name);
    this._username = name || undefined;
    const secret = isNil(password) ? "" : asData("password", password);
    if (secret.length > 0 && name === "") throw new TypeError("password must not be given without a username");
    checkField(text, "password", secret);
    // A copy: the bytes are the caller's, and they are sent at each lwt() and connect().
    this._password = secret.length > 0 ? secret.slice() : undefined;
    const settings = asOptions(options);
    const complete = completeOptions(hal.defaults, settings, cleanSession, keepAliveSeconds);
    this._callbacks = new Callbacks(this, settings.format !== "buffer");
    this.connection = new Connection(hal, codec, text, complete, this._callbacks);
    this._setConnect();
  }

  /** True while a session is up: operations are accepted. */
  get connected(): boolean {
    return this.connection.session.isUp();
  }

  /**
   * Sets the callback of an event; the last one set is called, null clears it. `connect`, `connfail`, `puback`,
   * `suback` and `unsuback` are the same as the callbacks given to `connect`, `publish`, `subscribe` and `unsubscribe`.
   */
  on<E extends keyof Events>(event: E, callback: Events[E] | null): void {
    // That a callback fits its slot is what the signature says.
    const slots = this._callbacks.slots as Record<string, unknown>;
    if (typeof (event as unknown) !== "string" || !hasOwn(slots, event)) {
      throw wrong("event", "one of " + Object.keys(slots).join(", "), event);
    }
    if ((callback as unknown) === undefined) throw wrong("callback", "a function or null", callback);
    slots[event] = asCallback("callback", callback);
  }

  /**
   * Sets the will for the next connection: the message that the broker publishes when the connection ends without
   * `close()`. The message may be empty.
   */
  lwt(topic: string | number, message: Data, qos?: QoS | null, retain?: Flag | null): void {
    const will: Will = {
      topic: this.topicName(topic),
      message: asData("message", message),
      qos: asQos("qos", qos),
      retain: asFlag("retain", retain, false),
    };
    checkField(this.text, "topic", will.topic);
    checkField(this.text, "message", will.message);
    this._setConnect(will);
  }

  /**
   * Starts to connect. The attempt ends in `ok` (`connect`) or `fail` (`connfail`). Settings and callbacks left out may
   * be left out at once: `connect(host, ok, fail)`; a function alone behind a null is `fail`.
   *
   * An attempt under way is superseded. After `close()`, the old session ends first.
   *
   * @param host name or address; not empty
   * @param port 1..65535; 1883 by default, also for TLS
   * @param secure TLS: 0, 1, a boolean, or the platform's TLS options. For this connection only
   * @param autoreconnect deprecated: connects again by itself after a session was lost, with growing pauses
   * @returns false when the platform has no socket left
   * @throws Error `already connected` while a session is up; TypeError and RangeError for a wrong argument
   */
  connect(host: string | number, ok?: ConnectCallback | null, fail?: ConnfailCallback | null): boolean;
  connect(
    host: string | number,
    port: Maybe<number>,
    ok?: ConnectCallback | null,
    fail?: ConnfailCallback | null,
  ): boolean;
  connect(
    host: string | number,
    port: Maybe<number>,
    secure: Maybe<Flag | object>,
    ok?: ConnectCallback | null,
    fail?: ConnfailCallback | null,
  ): boolean;
  connect(
    host: string | number,
    port: Maybe<number>,
    secure: Maybe<Flag | object>,
    autoreconnect: Maybe<Flag>,
    ok?: ConnectCallback | null,
    fail?: ConnfailCallback | null,
  ): boolean;
  connect(host: string | number, a?: unknown, b?: unknown, c?: unknown, d?: unknown, e?: unknown): boolean {
    const name: unknown = typeof host === "number" ? String(host) : host;
    if (typeof name !== "string" || name === "") throw wrong("host", "a name or an address", host);
    const rest = [a, b, c, d, e];
    let first = 0;
    while (first < 5 && typeof rest[first] !== "function") first++;
    // Without a function, what could be one must be nil: settings end behind the third.
    let settings = first < 5 ? first : 3;
    let ok = rest[settings];
    let fail = rest[settings + 1];
    if (first < 5 && first > 0 && isNil(fail) && isNil(rest[first - 1])) {
      // A function alone behind a null, which stands in the place of `ok`.
      settings = first - 1;
      fail = ok;
      ok = undefined;
    }
    if (settings > 3) throw wrong("ok", "a function", rest[3]);
    const okCallback = asCallback("ok", ok as Maybe<ConnectCallback>);
    const failCallback = asCallback("fail", fail as Maybe<ConnfailCallback>);
    rest.length = settings;
    const port = asInteger("port", rest[0], 1883, 1, 65535);
    const secure = this._asSecure(rest[1]);
    const autoReconnect = asFlag("autoreconnect", rest[2], false);
    if (this.connected) throw new Error("already connected");
    if (!this.connection.connect(name, port, secure, autoReconnect)) return false;
    if (okCallback) this._callbacks.slots.connect = okCallback;
    if (failCallback) this._callbacks.slots.connfail = failCallback;
    return true;
  }

  /**
   * Ends the session in good order: what is queued is sent and, for at most `drainTimeoutMs`, acknowledged, then
   * DISCONNECT follows, so that the broker does not publish the will; then `offline` is called. Also stops connecting
   * again. Returns false when there was no session, also while an attempt has no connection yet: that attempt goes on.
   */
  close(): boolean {
    return this.connection.close();
  }

  /**
   * Ends any attempt or session at once and without DISCONNECT, so that the broker publishes the will. An attempt ends
   * without a callback, a session with `offline`. Returns false when there was neither.
   */
  abort(): boolean {
    return this.connection.abort();
  }

  /**
   * "May I sleep now?": calls `callback` once, with true when every operation is sent and acknowledged and every
   * message received at QoS 2 is confirmed, or with false when that has not come about in `timeoutMs`.
   *
   * @param timeoutMs 0..2^30; `drainTimeoutMs` by default
   * @returns false when an earlier call is still waiting
   */
  drain(callback: DrainCallback, timeoutMs?: number | null): boolean {
    const drained = asCallback("callback", callback);
    if (!drained) throw wrong("callback", "a function", callback);
    const limitMs = asInteger("timeoutMs", timeoutMs, this.connection.session.drainMs, 0, MAX_MS);
    if (!this.connection.drain(limitMs)) return false;
    this._callbacks.drained = drained;
    return true;
  }

  /**
   * Stops reading from the network, until `resume()` or the end of the session: the broker is held back once the
   * buffers between it and here are full. Nothing is missed meanwhile, neither acknowledgements nor an answer to
   * PINGREQ. Returns false, and does nothing, when no session is up.
   */
  pause(): boolean {
    return this.connection.pause();
  }

  /** Reads again. Returns false when reading was not paused. */
  resume(): boolean {
    return this.connection.resume();
  }

  /**
   * Queues a message. Returns false, having done nothing, when no session is up (with `queueOffline`: while it is being
   * closed), when the queue is full, or when the message can never fit it.
   *
   * @param topic a Topic Name: no wildcards
   * @param payload may be empty; bytes are read during the call only
   * @param done becomes the `puback` callback: called for each message that was sent (QoS 0), acknowledged (QoS 1) or
   *   completed (QoS 2)
   */
  publish(
    topic: string | number,
    payload: Data,
    qos?: QoS | null,
    retain?: Flag | null,
    done?: DoneCallback | null,
  ): boolean {
    // What is usual needs no call, here where calls are made most.
    const name = topic === this._topic ? topic : this.topicName(topic);
    const isData = typeof payload === "string" || payload instanceof Uint8Array;
    const data = isData ? payload : asData("payload", payload);
    let flags = qos === undefined ? 0 : asQos("qos", qos) << 1;
    if (retain !== undefined && asFlag("retain", retain, false)) flags |= 1;
    const callback = done === undefined ? done : asCallback("callback", done);
    const result = this.connection.queue(flags, name, data);
    if (result < 0 && !isQueued(result)) return false;
    if (callback) this._callbacks.slots.puback = callback;
    return true;
  }

  /**
   * Subscribes to a filter, or to all filters of a table `{filter: qos}` in one packet. Returns as `publish`.
   *
   * @param done becomes the `suback` callback; it is called for a refused filter too
   */
  subscribe(filter: string | number, done?: SubscribeCallback | null): boolean;
  subscribe(filter: string | number, qos: Maybe<QoS>, done?: SubscribeCallback | null): boolean;
  subscribe(table: Record<string, QoS>, done?: SubscribeCallback | null): boolean;
  subscribe(topics: string | number | Record<string, QoS>, a?: unknown, b?: unknown): boolean {
    // A table has its QoS inside, so that the callback is the second argument; so it may be for a filter.
    const hasQos = typeof topics !== "object" && typeof a !== "function";
    const filters = this._filters(topics, hasQos ? asQos("qos", a) : 0, true);
    const callback = asCallback("callback", (hasQos ? b : a) as Maybe<SubscribeCallback>);
    if (!hasQos && !isNil(b)) throw wrong("callback", "the last argument", b);
    const isAccepted = isQueued(this.connection.queue(SUBSCRIBE, filters, ""));
    if (isAccepted && callback) this._callbacks.slots.suback = callback;
    return isAccepted;
  }

  /**
   * Unsubscribes from a filter, or from all filters that are keys of a table, in one packet. Returns as `publish`.
   *
   * @param done becomes the `unsuback` callback
   */
  unsubscribe(topics: string | number | Record<string, unknown>, done?: DoneCallback | null): boolean {
    const filters = this._filters(topics, 0, false);
    const callback = asCallback("callback", done);
    const isAccepted = isQueued(this.connection.queue(UNSUBSCRIBE, filters, ""));
    if (isAccepted && callback) this._callbacks.slots.unsuback = callback;
    return isAccepted;
  }

  /** Has CONNECT encoded anew. Every field was checked. @internal */
  _setConnect(will?: Will): void {
    const username = this._username;
    const password = this._password;
    // What `length` counts takes four bytes at most: XS on a board counts characters, not UTF-16 code units.
    let maxLength = 32 + 4 * this.clientId.length;
    if (will) maxLength += 4 * (will.topic.length + will.message.length);
    if (username) maxLength += 4 * username.length;
    if (password) maxLength += 4 * password.length;
    const session = this.connection.session;
    const cleanSession = session.cleanSession;
    const keepAliveSeconds = session.keepAliveMs / 1000;
    session.setConnect(
      { clientId: this.clientId, cleanSession, keepAliveSeconds, will, username, password },
      maxLength,
    );
  }

  /** A Topic Name from the application. @internal */
  topicName(topic: unknown): string {
    if (topic === this._topic) return this._topic;
    const name = asString("topic", topic);
    if (!isTopicName(name)) throw wrong("topic", "a name without + # or U+0000, not empty", name);
    this._topic = name;
    return name;
  }

  /** TLS options, or undefined. @internal */
  _asSecure(secure: unknown): object | undefined {
    const isOptions = typeof secure === "object" && secure !== null && !Array.isArray(secure);
    if (!isOptions && !asFlag("secure", secure, false)) return undefined;
    const options = isOptions ? secure : {};
    this.hal.checkSecure(options);
    // A copy: what was checked is what counts, also when the connection is made later, or again.
    return Object.assign({}, options);
  }

  /** Filters and their QoS, from a filter or a table. */
  _filters(topics: unknown, qos: number, hasQos: boolean): Subscriptions {
    // Without a prototype, so that "__proto__" is a filter like any other.
    const filters = Object.create(null) as Subscriptions;
    if (typeof topics !== "object" || topics === null) {
      filters[asFilter(asString("topic", topics))] = qos;
      return filters;
    }
    if (Array.isArray(topics) || ArrayBuffer.isView(topics)) throw wrong("topics", "a table {filter: qos}", topics);
    const table = topics as Record<string, unknown>;
    const names = Object.keys(table);
    if (names.length === 0) throw new Error("no topics found");
    // The return codes of one packet must fit the receive buffer.
    const most = this.connection.rx.length - 2;
    if (names.length > most) throw new RangeError(`topics must be at most ${most}, not ${names.length}`);
    for (let i = 0; i < names.length; i++) {
      const name = asFilter(names[i]);
      filters[name] = hasQos ? asQos("qos of topic " + show(name), table[name]) : 0;
    }
    return filters;
  }
}

function asFilter(filter: string): string {
  if (!isTopicFilter(filter)) throw wrong("topic", "a valid topic filter", filter);
  return filter;
}

/** The last argument of `mqtt.Client` as options. */
function asOptions(options: unknown): ClientOptions {
  if (isNil(options)) return {};
  if (typeof options === "number") return { maxMessageLength: options };
  if (typeof options !== "object" || Array.isArray(options)) {
    throw wrong("max_message_length", "a number of bytes or an object of options", options);
  }
  return options;
}

export function hasOwn(table: object, name: string): boolean {
  return Object.prototype.hasOwnProperty.call(table, name);
}

/** Checks options and fills in what was left out. */
function completeOptions(
  defaults: Capacities,
  options: ClientOptions,
  cleanSession: boolean,
  keepAliveSeconds: number,
): ConnectionOptions {
  const complete = { cleanSession, keepAliveSeconds } as ConnectionOptions;
  const numbers = complete as unknown as Record<string, number>;
  const given = options as Record<string, unknown>;
  for (const name in OPTIONS) {
    const option = OPTIONS[name];
    let byDefault = option[0] || defaults[name as keyof Capacities];
    if (name === "ackTimeoutMs") byDefault = keepAliveSeconds * 2000;
    numbers[name] = asInteger(name, given[name], byDefault, option[1], option[2]);
  }
  complete.queueOffline = asFlag("queueOffline", options.queueOffline, false);
  if (complete.queueOffline && cleanSession) {
    throw new TypeError("queueOffline must not be set when cleansession is 1");
  }
  const format: unknown = options.format;
  if (!isNil(format) && format !== "string" && format !== "buffer") {
    throw wrong("format", '"string" or "buffer"', format);
  }
  for (const name in options) {
    if (name !== "format" && name !== "queueOffline" && !hasOwn(OPTIONS, name)) {
      throw new TypeError("unknown option " + show(name));
    }
  }
  if (complete.rxCapacity < complete.maxMessageLength) complete.rxCapacity = complete.maxMessageLength;
  return complete;
}

/** Makes a client; with or without `new`. */
export interface ClientConstructor {
  /**
   * @param clientid sent as it is; a generated one by default. "" lets the broker choose, with cleansession 1 only
   * @param keepalive seconds, 1..65535; 60 by default or for 0
   * @param username not sent when null or ""
   * @param password not sent when null or ""; only with a username
   * @param cleansession 1 (default): the session ends with the connection. 0: broker and client keep what is not
   *   delivered
   * @param options `max_message_length` in bytes, or all options
   * @throws TypeError or RangeError that names the argument
   */
  new (
    clientid?: string | number | null,
    keepalive?: number | null,
    username?: Data | null,
    password?: Data | null,
    cleansession?: Flag | null,
    options?: number | ClientOptions | null,
  ): Client;
  (
    clientid?: string | number | null,
    keepalive?: number | null,
    username?: Data | null,
    password?: Data | null,
    cleansession?: Flag | null,
    options?: number | ClientOptions | null,
  ): Client;
}

/** NodeMCU's `mqtt` module. */
export interface Mqtt {
  Client: ClientConstructor;
  CONN_FAIL_SERVER_NOT_FOUND: number;
  CONN_FAIL_NOT_A_CONNACK_MSG: number;
  CONN_FAIL_DNS: number;
  CONN_FAIL_TIMEOUT_RECEIVING: number;
  CONN_FAIL_TIMEOUT_SENDING: number;
  CONNACK_ACCEPTED: number;
  CONNACK_REFUSED_PROTOCOL_VER: number;
  CONNACK_REFUSED_ID_REJECTED: number;
  CONNACK_REFUSED_SERVER_UNAVAILABLE: number;
  CONNACK_REFUSED_BAD_USER_OR_PASS: number;
  CONNACK_REFUSED_NOT_AUTHORIZED: number;
}

/**
 * NodeMCU's `mqtt` module on a platform.
 *
 * @example
 * const mqtt = createMqtt(hal, MQTT_3_1_1);
 * const client = mqtt.Client("clientid", 120);
 *
 * @param hal the platform
 * @param codec the version of MQTT that the clients speak
 */
export function createMqtt(hal: Hal, codec: Codec): Mqtt {
  // Constants: what a preloaded function can see change is given RAM.
  const platform = hal;
  const version = codec;
  function construct(
    clientid: Maybe<string | number>,
    keepalive: Maybe<number>,
    username: Maybe<Data>,
    password: Maybe<Data>,
    cleansession: Maybe<Flag>,
    options: Maybe<number | ClientOptions>,
  ): Client {
    return new Client(platform, version, clientid, keepalive, username, password, cleansession, options);
  }
  // So that `new` is optional, and `instanceof mqtt.Client` true.
  construct.prototype = Client.prototype;
  return {
    Client: construct as unknown as ClientConstructor,
    CONN_FAIL_SERVER_NOT_FOUND,
    CONN_FAIL_NOT_A_CONNACK_MSG,
    CONN_FAIL_DNS,
    CONN_FAIL_TIMEOUT_RECEIVING,
    CONN_FAIL_TIMEOUT_SENDING,
    CONNACK_ACCEPTED,
    CONNACK_REFUSED_PROTOCOL_VER,
    CONNACK_REFUSED_ID_REJECTED,
    CONNACK_REFUSED_SERVER_UNAVAILABLE,
    CONNACK_REFUSED_BAD_USER_OR_PASS,
    CONNACK_REFUSED_NOT_AUTHORIZED,
  };
}
