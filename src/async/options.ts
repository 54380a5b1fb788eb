/**
 * The one object of options: emqtt's names in camelCase, each checked by name before anything is made of it. Says what
 * they mean to the modules below; knows no promise and no connection.
 *
 * Times are in seconds, as emqtt has them; fractions are allowed.
 */
import type { Capacities, Hal } from "../../hal/socket.js";
import { asData, asInteger, isNil, show, wrong } from "../arguments.js";
import type { Client, Data, QoS } from "../client.js";
import type { Codec } from "../codec.js";
import type { ConnectionState, Host } from "../optional/reconnect.js";
import type { BrokerUrl } from "../optional/url.js";
import { hostOf, parseUrl } from "../optional/url.js";
import type { GivenProperties, ReceivedProperties } from "../v5/properties.js";

/** A QoS as a number, or by emqtt's names. */
export type QosName =
  | QoS
  | "qos0" | "qos1" | "qos2"
  | "at_most_once" | "at_least_once" | "exactly_once";

/** Where a broker is: a name, an address or a URL; with its port, if that is not the usual one. */
export type Address = string | { host: string; port?: number } | [host: string, port?: number];

/** Text or bytes, or what returns them: asked at each attempt to connect. */
export type Secret = string | Uint8Array | (() => string | Uint8Array);

/** Options of {@link createClient}. Times in seconds, sizes in bytes. */
export interface AsyncOptions extends Partial<Capacities> {
  /** What the client is called in `info()`. The client identifier by default. */
  name?: string;
  /** Is called with each event: a connection, its end, a message, an acknowledgement, a change of state. */
  owner?: (event: ClientEvent) => void;
  /** Name or address, or a URL: `mqtt:`, `mqtts:`, `ws:`, `wss:`, which may have user and password. "localhost". */
  host?: string;
  /** Several, tried in order; not beside `host`. */
  hosts?: Address[];
  /** 1..65535. By default that of the transport: 1883, 8883, 80, 443. */
  port?: number;
  /** Settings of TCP, in the platform's names (Node: `localAddress`, `family` and others). */
  tcpOpts?: object;
  /** True: TLS. False by default. */
  ssl?: boolean;
  /** TLS in the platform's names; the peer is verified by default. */
  sslOpts?: object;
  /** Path of the WebSocket. "/mqtt" by default. */
  wsPath?: string;
  /** Header fields of the WebSocket's opening request. */
  wsHeaders?: Record<string, string>;
  /** From the first packet of TCP to CONNACK. 60 by default. */
  connectTimeout?: number;
  /** True: the broker is told that this is a bridge (bit 7 of the protocol level). False by default. */
  bridgeMode?: boolean;
  /** A generated one by default. */
  clientid?: string;
  /** True (default): the session ends with the connection. False: broker and client keep it. */
  cleanStart?: boolean;
  username?: string;
  password?: Secret;
  /** "v4": MQTT 3.1.1; "v3": MQTT 3.1; "v5": MQTT 5, with `codec`. By default that of `codec`. */
  protoVer?: "v3" | "v4" | "v5";
  /** 0..65535; 0: none. 60 by default. */
  keepalive?: number;
  /** Messages, subscribes and unsubscribes that wait for an acknowledgement at the same time. Infinity by default. */
  maxInflight?: number;
  /** What is not acknowledged for this long is sent again, within the connection. Not given (default): never. */
  retryInterval?: number;
  willTopic?: string;
  /** Empty by default. */
  willPayload?: Data;
  willRetain?: boolean;
  willQos?: QosName;
  /** With MQTT 5: properties of the will. */
  willProps?: GivenProperties;
  /**
   * With MQTT 5: properties of CONNECT. `maximumPacketSize` is by default what it takes for a message of
   * `maxMessageLength`; `sessionExpiryInterval` 0, or with `cleanStart` false "never".
   */
  properties?: GivenProperties;
  /**
   * True (default): each message is acknowledged once it was handed over. False: PUBACK and PUBCOMP are the
   * application's (`puback`, `pubcomp`). "never": PUBREC, too.
   */
  autoAck?: boolean | "never";
  /** How long an acknowledgement is waited for before the connection is given up. 30 by default. */
  ackTimeout?: number;
  /** True: PINGREQ each keepalive, whatever else is sent. False by default. */
  forcePing?: boolean;
  /** True: the capacities of a small board. False by default: those of the platform. */
  lowMem?: boolean;
  /** How often to try again when no host could be reached: 0 (default): not at all; Infinity. */
  reconnect?: number;
  /** Longest pause before the first try; those that follow double, up to `reconnectCap`. 5 by default. */
  reconnectTimeout?: number;

  // What emqtt does not have.

  /**
   * The version of MQTT. By default that of `protoVer`, 3.1.1 or 3.1; of MQTT 5 it is `MQTT_5` or `mqtt5(settings)` of
   * mcu-mqtt/v5.
   */
  codec?: Codec;
  /**
   * Is called with the client of NodeMCU's face that this one is made of, before that is used: for modules that add to
   * one, such as `withAuth` of mcu-mqtt/auth. What it returns is not looked at.
   */
  extend?: (client: Client) => unknown;
  /** The platform; by default the one at hand. */
  hal?: Hal;
  /** Longest pause before a try. 60 by default. */
  reconnectCap?: number;
  /** A link that lasted this long is a good one: the next pause is the first again. 10 by default. */
  stableTime?: number;
  /** Longest message to be handed over; of a longer one `owner` is told. 1,048,576 by default. */
  maxMessageLength?: number;
  /** Messages that wait for who iterates over `messages()`, 1..65536. 1,024 by default. */
  maxQueue?: number;
  /** Filters that may be subscribed to at the same time, 1..65535. 256 by default. */
  maxSubscriptions?: number;
  /** `publish` is accepted without a session. By default: with `cleanStart` false and `reconnect`. */
  queueOffline?: boolean;
}

/** What `owner` is told. */
export type ClientEvent =
  | { type: "connected"; sessionPresent: boolean; properties?: ReceivedProperties }
  /** With MQTT 5: the broker has ended the session, and says why. "disconnected" follows. */
  | { type: "disconnect"; reasonCode: number; properties: ReceivedProperties }
  /** A session ended; `reason` as in `MqttError`, 0 when it was wanted. */
  | { type: "disconnected"; reason: number }
  /** What `status()` answers has changed. */
  | { type: "state"; state: ConnectionState; host: string; port: number; reason: number; delayMs: number }
  | { type: "publish"; message: Message }
  /** A message above `maxMessageLength`, or with too long a topic: it was acknowledged, and is dropped. */
  | { type: "overflow"; topic: string; length: number; qos: QoS; packetId: number }
  /**
   * A message of QoS 1 or 2 that this client has published is acknowledged. With MQTT 5 `reasonCode` says how, from
   * 0x80 on that it was refused.
   */
  | { type: "puback"; packetId: number; reasonCode?: number; properties?: ReceivedProperties }
  /** The broker had no session: a filter was subscribed to again. As in `FilterResult`. */
  | { type: "renewed"; filter: string; reasonCode: number }
  /** With `autoAck` false or "never": PUBREL came, and PUBCOMP is the application's. */
  | { type: "pubrel"; packetId: number };

/** A message. */
export interface Message {
  topic: string;
  /** The bytes, yours; empty for an empty payload. */
  payload: Uint8Array;
  qos: QoS;
  retain: boolean;
  dup: boolean;
  /** 0 at QoS 0. */
  packetId: number;
  /** With MQTT 5, empty where the message has none. */
  properties?: ReceivedProperties;
}

const MAX_SECONDS = 1073741;

type Check = (name: string, value: unknown) => void;

const isObject = (value: unknown): boolean => typeof value === "object" && value !== null && !Array.isArray(value);

/** Checks by a predicate. */
function be(isRight: (value: unknown) => boolean, expected: string): Check {
  return (name, value) => {
    if (!isRight(value)) throw wrong(name, expected, value);
  };
}

/** Checks an integer. */
function count(min: number, max: number): Check {
  return (name, value) => void asInteger(name, value, 0, min, max);
}

/** Checks an integer that may be Infinity. */
function countOrInfinity(min: number, max: number): Check {
  return (name, value) => {
    if (value !== Infinity) asInteger(name, value, 0, min, max);
  };
}

/** Checks seconds above 0. */
export const checkSeconds: Check = (name, value) => {
  if (typeof value !== "number") throw wrong(name, "a number of seconds", value);
  if (!(value >= 0.001 && value <= MAX_SECONDS)) {
    throw new RangeError(`${name} must be from 0.001 to ${MAX_SECONDS} seconds, not ${show(value)}`);
  }
};

/** A string that is not empty. */
const filled: Check = (name, value) => {
  if (typeof value !== "string" || value === "") throw wrong(name, "a string that is not empty", value);
};

/** What is a secret is not repeated. */
const secret: Check = (name, value) => {
  if (typeof value !== "string" && !(value instanceof Uint8Array) && typeof value !== "function") {
    throw new TypeError(`${name} must be a string, a Uint8Array or a function`);
  }
};

const authentication: Check = (name) => {
  throw new TypeError(`${name}: use extend: (client) => withAuth(client, authenticator), of mcu-mqtt/auth`);
};

/** The check of each option. */
function checks(): Record<string, Check> {
  const text = be((value) => typeof value === "string", "a string");
  const flag = be((value) => typeof value === "boolean", "true or false");
  const table = be(isObject, "an object");
  return {
    name: filled,
    owner: be((value) => typeof value === "function", "a function"),
    host: filled,
    hosts: be((value) => Array.isArray(value) && value.length > 0, "an array of one address or more"),
    port: count(1, 65535),
    tcpOpts: table,
    ssl: flag,
    sslOpts: table,
    wsPath: be((value) => typeof value === "string" && value.startsWith("/"), 'a string that begins with "/"'),
    wsHeaders: table,
    connectTimeout: checkSeconds,
    bridgeMode: flag,
    clientid: text,
    cleanStart: flag,
    username: text,
    password: secret,
    protoVer: be((value) => value === "v3" || value === "v4" || value === "v5", '"v3", "v4" or "v5"'),
    keepalive: count(0, 65535),
    maxInflight: countOrInfinity(1, 65535),
    retryInterval: checkSeconds,
    willTopic: filled,
    willPayload: (name, value) => void asData(name, value),
    willRetain: flag,
    willQos: (name, value) => void asQosName(name, value),
    // What may be in them is the client's to check.
    willProps: table,
    autoAck: be((value) => typeof value === "boolean" || value === "never", 'true, false or "never"'),
    ackTimeout: checkSeconds,
    forcePing: flag,
    lowMem: flag,
    reconnect: countOrInfinity(0, 1073741823),
    reconnectTimeout: checkSeconds,
    properties: table,
    customAuthCallbacks: authentication,
    enhancedAuth: authentication,
    codec: be((value) => isObject(value) && typeof (value as Codec).encoder === "function", "a codec"),
    extend: be((value) => typeof value === "function", "a function"),
    hal: be(isObject, "a HAL"),
    reconnectCap: checkSeconds,
    stableTime: checkSeconds,
    maxMessageLength: count(16, 268435455),
    maxQueue: count(1, 65536),
    maxSubscriptions: count(1, 65535),
    queueOffline: flag,
    // Their ranges are the client's to check.
    rxCapacity: count(128, 1073741824),
    txCapacity: count(128, 1073741824),
    maxOperations: count(1, 65536),
    receiveMaximum: count(1, 65535),
  };
}

const QOS_NAMES = ["at_most_once", "at_least_once", "exactly_once"];

/** A QoS by its number or name; undefined is 0. */
export function asQosName(name: string, value: unknown): QoS {
  if (isNil(value)) return 0;
  if (value === 0 || value === 1 || value === 2) return value;
  for (let i = 0; i < 3; i++) if (value === QOS_NAMES[i] || value === `qos${i}`) return i as QoS;
  throw wrong(name, `0, 1, 2, "qos0" to "qos2", or one of ${QOS_NAMES.join(", ")}`, value);
}

/**
 * Checks options. What contradicts each other is refused, too.
 *
 * @param platform unless the options have another
 * @throws TypeError or RangeError that names the option
 */
export function readOptions(options: unknown, platform: Hal): Settings {
  if (!isObject(options)) throw wrong("options", "an object", options);
  const given = options as Record<string, unknown>;
  const known = checks();
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name)) throw new TypeError("unknown option " + show(name));
    if (!isNil(given[name])) known[name](name, given[name]);
  }
  // A copy: what was checked is what counts.
  const read: AsyncOptions = { ...(options as AsyncOptions) };
  if (isNil(read.willTopic)) {
    for (const name of ["willPayload", "willRetain", "willQos", "willProps"] as const) {
      refuseAlone(read, name, false, "willTopic");
    }
  }
  if (!isNil(read.host) && !isNil(read.hosts)) throw new TypeError("hosts must not be given beside host");
  if (!isNil(read.hosts) && !isNil(read.port)) throw new TypeError("port must not be given beside hosts");
  const cap = read.reconnectCap;
  if (!isNil(cap) && cap < (read.reconnectTimeout ?? 5)) {
    throw new RangeError(`reconnectCap must be reconnectTimeout, which is ${read.reconnectTimeout ?? 5}, or more`);
  }
  if (!isNil(read.retryInterval) && read.retryInterval >= (read.ackTimeout ?? 30)) {
    throw new RangeError(`retryInterval must be less than ackTimeout, which is ${read.ackTimeout ?? 30}`);
  }
  if (read.queueOffline === true && read.cleanStart !== false) {
    throw new TypeError("queueOffline must not be set when cleanStart is true");
  }
  const isMqtt5 = !isNil(read.codec) && read.codec.encoder((read.hal ?? platform).createText()).level === 5;
  if (isMqtt5) {
    if (!isNil(read.protoVer) && read.protoVer !== "v5") throw new TypeError("protoVer must not contradict codec");
    for (const name of ["retryInterval", "bridgeMode"] as const) {
      if (!isNil(read[name]) && read[name] !== false) throw new TypeError(`${name} must not be set with MQTT 5`);
    }
  } else {
    if (read.protoVer === "v5") throw new TypeError('protoVer "v5" needs codec: MQTT_5 of mcu-mqtt/v5');
    for (const name of ["properties", "willProps"] as const) {
      refuseAlone(read, name, false, "codec: MQTT_5 of mcu-mqtt/v5");
    }
  }
  const destination = readHosts(read, (read.hal ?? platform).webSocket === true);
  refuseAlone(read, "sslOpts", destination.hosts.some(({ secure }) => secure !== false), "ssl: true");
  for (const name of ["wsPath", "wsHeaders"] as const) {
    refuseAlone(read, name, destination.hosts.some(({ host }) => host.startsWith("ws://")), "a URL of ws: or wss:");
  }
  return { options: read, isMqtt5, ...destination };
}

function refuseAlone(options: AsyncOptions, name: keyof AsyncOptions, isRight: boolean, needed: string): void {
  if (!isNil(options[name]) && !isRight) throw new TypeError(`${name} must not be given without ${needed}`);
}

/** What the options come to: where to connect, as whom, and the rest as it was given. */
export interface Settings extends Destination {
  options: AsyncOptions;
  isMqtt5: boolean;
}

/** Where to connect, and as whom. */
interface Destination {
  hosts: Host[];
  username: string | undefined;
  password: Secret | undefined;
}

/** Host, port and TLS of each address, and the credentials, which a URL may have, too. */
function readHosts(options: AsyncOptions, hasWebSocket: boolean): Destination {
  const destination: Destination = {
    hosts: [],
    username: options.username ?? undefined,
    password: options.password ?? undefined,
  };
  if (isNil(options.hosts)) {
    const host = options.host ?? "localhost";
    destination.hosts.push(readHost(options, "host", host, options.port, hasWebSocket, destination));
  } else {
    options.hosts.forEach((address, index) => {
      const name = `hosts[${index}]`;
      const [host, port] = splitAddress(name, address);
      destination.hosts.push(readHost(options, name, host, port, hasWebSocket, destination));
    });
  }
  if (destination.password !== undefined && destination.username === undefined) {
    throw new TypeError("password must not be given without a username");
  }
  return destination;
}

function splitAddress(name: string, address: unknown): [host: string, port: number | undefined] {
  let host = address;
  let port: unknown = undefined;
  if (Array.isArray(address)) {
    if (address.length > 2) throw new TypeError(`${name} must be [host, port]`);
    [host, port] = address as unknown[];
  } else if (typeof address === "object" && address !== null) {
    for (const key of Object.keys(address)) {
      if (key !== "host" && key !== "port") throw new TypeError(`unknown option ${show(`${name}.${key}`)}`);
    }
    ({ host, port } = address as { host: unknown; port?: unknown });
  }
  filled(`${name}.host`, host);
  if (!isNil(port)) count(1, 65535)(`${name}.port`, port);
  return [host as string, (port ?? undefined) as number | undefined];
}

function readHost(
  options: AsyncOptions,
  name: string,
  host: string,
  port: number | null | undefined,
  hasWebSocket: boolean,
  destination: Destination,
): Host {
  const isTls = options.ssl === true;
  if (!host.includes("://")) {
    return { host, port: port ?? (isTls ? 8883 : 1883), secure: secureOf(options, isTls) };
  }
  const url = parseUrl(host);
  if (!isNil(port) && port !== url.port) {
    throw new TypeError(`port must not contradict ${name}, which says ${url.port}`);
  }
  if (!isNil(options.ssl) && options.ssl !== url.secure) {
    throw new TypeError(`ssl must not contradict ${name}, whose scheme is ${url.scheme}`);
  }
  takeCredentials(name, url, options, destination);
  const target = hostOf({ ...url, username: "", password: "" }, hasWebSocket);
  return { host: target, port: url.port, secure: secureOf(options, url.secure) };
}

/** What a URL says of user and password; it must not say other than the options, or the URLs before. */
function takeCredentials(name: string, url: BrokerUrl, options: AsyncOptions, destination: Destination): void {
  if (url.username === "") return;
  const isOther = destination.username !== undefined && destination.username !== url.username;
  if (isOther) throw new TypeError(`${name} must not have another user than the options or the hosts before it`);
  if (url.password !== "" && !isNil(options.password)) {
    throw new TypeError(`password must not be given beside that of ${name}`);
  }
  destination.username = url.username;
  if (url.password !== "") destination.password ??= url.password;
}

function secureOf(options: AsyncOptions, isTls: boolean): object | false {
  return isTls && (options.sslOpts ?? {});
}
