/** What the options mean, checked before anything is connected: each error names the option and what it must be. */
import { randomBytes } from "node:crypto";
import { hostname, networkInterfaces } from "node:os";
import { isIP, isIPv6 } from "node:net";
import type { TlsOptions } from "../../hal/node.js";
import { scram } from "../../hal/node-scram.js";
import type { Authenticator, ScramHash } from "../../hal/node-scram.js";
import type { Values } from "./arguments.js";
import { Failure, messageOf, quote } from "./failure.js";
import { readProperties } from "./properties.js";
import type { PacketProperties } from "./properties.js";
import { checkLength, checkText, checkTopic, parseInteger } from "./text.js";
import { readCertificates, readKey, readOptionFile } from "./tls.js";
import { readUrl } from "./url.js";
import type { BrokerUrl } from "./url.js";

export type QoS = 0 | 1 | 2;

/** As the library calls MQTT 3.1, 3.1.1 and 5. */
export type Version = "v3" | "v4" | "v5";

export interface Will {
  topic: string;
  payload: string;
  qos: QoS;
  isRetained: boolean;
}

export interface WebSocketOptions {
  path: string;
  headers: Record<string, string>;
}

/** What every command needs to know of its connection. */
export interface ConnectionOptions {
  host: string;
  port: number;
  /** The address of this machine to connect from. */
  localAddress: string | undefined;
  /** TLS and its options. */
  tls: TlsOptions | undefined;
  webSocket: WebSocketOptions | undefined;
  version: Version;
  clientId: string;
  username: string | undefined;
  password: string | undefined;
  /** Enhanced authentication, in place of user and password. */
  authenticator: Authenticator | undefined;
  keepAliveSeconds: number;
  /** The broker keeps the session when the connection ends. */
  isPersistent: boolean;
  /** How long it keeps it; undefined: as long as it wants. */
  sessionExpirySeconds: number | undefined;
  will: Will | undefined;
  /** Of all packets of the command. */
  properties: PacketProperties;
  maxInflight: number;
  /** How often in a row it is tried again, after a connection was lost or did not come up. */
  reconnects: number;
  reconnectSeconds: number;
  timeoutSeconds: number | undefined;
  isTraced: boolean;
  isQuiet: boolean;
}

const VERSIONS = { "v5": "v5", "v3.1.1": "v4", "v3.1": "v3" } as const;

/** The most seconds that a timer of Node can wait. */
const MAX_SECONDS = 2147483;

/** The URL of the command line, as an option or beside the options. */
export function readUrlOf(values: Values): BrokerUrl | undefined {
  const option = values.url as string | undefined;
  const positional = values.positional as string | undefined;
  if (option !== undefined && positional !== undefined) {
    throw new Failure("--url is given twice, once without its name: leave one of them out");
  }
  if (positional !== undefined && !positional.includes("://")) {
    throw new Failure("what stands beside the options must be a URL such as mqtt://host/topic");
  }
  const text = option ?? positional;
  return text === undefined ? undefined : readUrl(checkText(option === undefined ? "the URL" : "--url", text));
}

/** The options that all commands have. */
export function readConnection(values: Values, url: BrokerUrl | undefined): ConnectionOptions {
  for (const [name, flag] of [["host", "--host"], ["port", "--port"], ["username", "--username"]] as const) {
    const isInUrl = url !== undefined && (name !== "username" || url.username !== "");
    if (isInUrl && values[name] !== undefined) contradict(flag);
  }
  const version = readVersion(values);
  const isSecure = url?.secure ?? values.enableSsl === true;
  const isWebSocket = url?.webSocket ?? values.enableWebsocket === true;
  if (values.enableSsl !== undefined && values.enableSsl !== isSecure) contradict("--enable-ssl");
  if (values.enableWebsocket !== undefined && values.enableWebsocket !== isWebSocket) contradict("--enable-websocket");
  const host = url?.host ?? text(values, "host", "--host") ?? "localhost";
  if (host === "" || /[\s/@]/.test(host)) throw new Failure(`--host must be a name or an address, not ${quote(host)}`);
  const defaultPort = isWebSocket ? (isSecure ? 443 : 80) : isSecure ? 8883 : 1883;
  const username = url?.username || text(values, "username", "--username");
  if (username === "") throw new Failure("--username must not be empty: leave it out");
  const isPersistent = values.persistent === true;
  const properties = readProperties(values.property as string[][]);
  if (Object.keys(properties).length > 0) needMqtt5(version, "--property");
  // What DISCONNECT may say of the session is what CONNECT has not ruled out [MQTT-3.14.2-2].
  if (properties.disconnect?.sessionExpiryInterval && !keepsSession(values)) {
    throw new Failure("--property disconnect session-expiry-interval needs --session-expiry or --persistent");
  }
  const password = readPassword(values, url, username);
  const will = readWill(values);
  if (properties.will !== undefined && will === undefined) {
    throw new Failure("--property will must be used together with --will-topic");
  }
  return {
    host,
    port: url?.port ?? integer(values, "port", "--port", 1, 65535) ?? defaultPort,
    localAddress: readInterface(text(values, "iface", "--iface"), host),
    tls: readTls(values, isSecure, isWebSocket),
    webSocket: readWebSocket(values, isWebSocket, url),
    version,
    clientId: readClientId(values, isPersistent, version),
    username,
    password,
    authenticator: readAuthenticator(values, version, username, password),
    keepAliveSeconds: integer(values, "keepalive", "--keepalive", 0, 65535) ?? 300,
    isPersistent,
    sessionExpirySeconds: readSessionExpiry(values),
    will,
    properties,
    maxInflight: integer(values, "maxInflight", "--max-inflight", 1, 65535) ?? 16,
    ...readReconnect(values),
    timeoutSeconds: seconds(values, "timeout", "--timeout", 0.001),
    isTraced: values.debug === true,
    isQuiet: values.quiet === true,
  };
}

/** The version of MQTT to speak. */
export function readVersion(values: Values): Version {
  const version = text(values, "protocolVersion", "--protocol-version") ?? "v5";
  if (Object.hasOwn(VERSIONS, version)) return VERSIONS[version as keyof typeof VERSIONS];
  throw new Failure(`--protocol-version must be v5, v3.1.1 or v3.1, not ${quote(version)}`);
}

/** @throws Failure for an option that only MQTT 5 has, when another version is spoken */
export function needMqtt5(version: Version, flag: string): void {
  if (version !== "v5") throw new Failure(`${flag} is of MQTT 5, and contradicts --protocol-version: leave one out`);
}

/** The topics of `--topic` and of the URL; each a valid Topic Name, or for `sub` a Topic Filter. */
export function readTopics(values: Values, url: BrokerUrl | undefined, isFilter: boolean): string[] {
  const topics = (values.topic as string[] | undefined) ?? [];
  for (const topic of topics) checkTopic("--topic", topic, isFilter);
  if (url?.webSocket === false && url.path !== "") topics.unshift(checkTopic("the URL's topic", url.path, isFilter));
  if (topics.length === 0) throw new Failure("--topic is missing: it is required, here or in an mqtt:// URL");
  return topics;
}

export function readQos(values: Values, key = "qos", flag = "--qos"): QoS {
  return readUpToTwo(values, key, flag);
}

export function readUpToTwo(values: Values, key: string, flag: string): 0 | 1 | 2 {
  const value = text(values, key, flag) ?? "0";
  if (!["0", "1", "2"].includes(value)) throw new Failure(`${flag} must be 0, 1 or 2, not ${quote(value)}`);
  return Number(value) as 0 | 1 | 2;
}

/** A whole number from `least` to `most`; undefined when the option is not there. */
export function integer(values: Values, key: string, flag: string, least: number, most: number): number | undefined {
  const value = text(values, key, flag);
  if (value === undefined) return undefined;
  const number = parseInteger(value, least, most);
  if (number !== undefined) return number;
  // Who writes -p for -P has a password there.
  const given = flag === "--port" ? "" : `, not ${quote(value)}`;
  throw new Failure(`${flag} must be a whole number from ${least} to ${most}${given}`);
}

/** A number of seconds, with a fraction if there is one; undefined when the option is not there. */
export function seconds(values: Values, key: string, flag: string, least: number): number | undefined {
  const value = text(values, key, flag);
  if (value === undefined) return undefined;
  const number = /^(\d+\.?\d*|\.\d+)$/.test(value) ? Number(value) : -1;
  if (number >= least && number <= MAX_SECONDS) return number;
  throw new Failure(`${flag} must be a number of seconds from ${least} to ${MAX_SECONDS}, not ${quote(value)}`);
}

/** The text of an option; undefined when the option is not there. */
export function text(values: Values, key: string, flag: string): string | undefined {
  const value = values[key] as string | undefined;
  return value === undefined ? undefined : checkText(flag, value);
}

function contradict(flag: string): never {
  throw new Failure(`${flag} contradicts the URL: leave one of them out`);
}

function readInterface(name: string | undefined, host: string): string | undefined {
  if (name === undefined) return undefined;
  const interfaces = networkInterfaces();
  if (isIP(name) !== 0) {
    const isOwn = Object.values(interfaces).flat().some((address) => address?.address === name);
    if (isOwn || name.startsWith("127.")) return name;
    throw new Failure(`--iface must be an address of this machine, or an interface's name, not ${quote(name)}`);
  }
  const addresses = interfaces[name];
  if (addresses === undefined) {
    const names = Object.keys(interfaces).join(", ");
    throw new Failure(`--iface must be one of ${names}, or an address of this machine, not ${quote(name)}`);
  }
  const family = isIPv6(host) ? "IPv6" : "IPv4";
  return (addresses.find((address) => address.family === family) ?? addresses[0]).address;
}

function readClientId(values: Values, isPersistent: boolean, version: Version): string {
  const clientId = text(values, "clientid", "--clientid");
  if (clientId === undefined) {
    if (isPersistent) throw new Failure("--persistent needs --clientid: nobody could find the session again");
    // In MQTT 3.1 it has 23 characters at the most.
    if (version === "v3") return `mcu-mqtt-${randomBytes(7).toString("hex")}`;
    const host = hostname().replace(/[^0-9A-Za-z.-]/g, "").slice(0, 40);
    return `mcu-mqtt-${host}-${randomBytes(10).toString("hex")}`;
  }
  if (clientId === "" && version === "v3") throw new Failure("--clientid must not be empty in MQTT 3.1");
  if (clientId === "" && isPersistent) throw new Failure("--clientid must not be empty together with --persistent");
  return checkLength("--clientid", clientId);
}

function readPassword(values: Values, url: BrokerUrl | undefined, username: string | undefined): string | undefined {
  const given: string[] = [];
  if (url !== undefined && url.password !== "") given.push("the URL's password");
  if (values.password !== undefined) given.push("--password");
  if (values.passwordFile !== undefined) given.push("--password-file");
  if (given.length > 1) throw new Failure(`${given[0]} and ${given[1]} contradict each other: leave one of them out`);
  if (given.length > 0 && username === undefined) {
    throw new Failure(`${given[0]} must be used together with --username`);
  }
  const path = text(values, "passwordFile", "--password-file");
  const password =
    path === undefined
      ? (url?.password || (text(values, "password", "--password") ?? process.env.MCU_MQTT_PASSWORD))
      : readOptionFile("--password-file", path).toString("utf8").replace(/\r?\n$/, "");
  if (username === undefined || password === undefined) return undefined;
  return checkLength(given[0] ?? "MCU_MQTT_PASSWORD", checkText(given[0] ?? "MCU_MQTT_PASSWORD", password));
}

const METHODS: Record<string, ScramHash> = {
  "SCRAM-SHA-1": "SHA-1",
  "SCRAM-SHA-256": "SHA-256",
  "SCRAM-SHA-512": "SHA-512",
};

function readAuthenticator(
  values: Values,
  version: Version,
  username: string | undefined,
  password: string | undefined,
): Authenticator | undefined {
  const method = text(values, "authMethod", "--auth-method");
  if (method === undefined) return undefined;
  needMqtt5(version, "--auth-method");
  if (!Object.hasOwn(METHODS, method)) {
    throw new Failure(`--auth-method must be one of ${Object.keys(METHODS).join(", ")}, not ${quote(method)}`);
  }
  if (username === undefined || !password) throw new Failure("--auth-method needs a user name and a password");
  try {
    return scram({ username, password, hash: METHODS[method] });
  } catch (error) {
    throw new Failure(`--auth-method: the ${messageOf(error)}`);
  }
}

/** How long the broker keeps the session; undefined: not at all, or with --persistent as long as it wants. */
function readSessionExpiry(values: Values): number | undefined {
  const seconds = integer(values, "sessionExpiry", "--session-expiry", 0, 4294967295);
  if (seconds !== undefined) needMqtt5(readVersion(values), "--session-expiry");
  const property = readProperties(values.property as string[][]).connect?.sessionExpiryInterval;
  if (seconds !== undefined && property !== undefined) {
    throw new Failure("--session-expiry and --property connect session-expiry-interval are the same: leave one out");
  }
  return seconds ?? property;
}

/** True when the session outlasts its connection. */
export function keepsSession(values: Values): boolean {
  const seconds = readSessionExpiry(values);
  return seconds === undefined ? values.persistent === true : seconds > 0;
}

function readWill(values: Values): Will | undefined {
  const topic = text(values, "willTopic", "--will-topic");
  if (topic === undefined) {
    const others = { willPayload: "--will-payload", willQos: "--will-qos", willRetain: "--will-retain" };
    for (const [key, flag] of Object.entries(others)) {
      if (values[key] !== undefined) throw new Failure(`${flag} must be used together with --will-topic`);
    }
    return undefined;
  }
  return {
    topic: checkTopic("--will-topic", topic, false),
    payload: checkLength("--will-payload", text(values, "willPayload", "--will-payload") ?? ""),
    qos: readQos(values, "willQos", "--will-qos"),
    isRetained: values.willRetain === true,
  };
}

const TLS_VERSIONS = { "tlsv1": "TLSv1", "tlsv1.1": "TLSv1.1", "tlsv1.2": "TLSv1.2", "tlsv1.3": "TLSv1.3" } as const;

function readTls(values: Values, isSecure: boolean, isWebSocket: boolean): TlsOptions | undefined {
  const flags = { tlsVersion: "--tls-version", CAfile: "--CAfile", cert: "--cert", key: "--key", sni: "--sni" };
  for (const [key, flag] of Object.entries({ ...flags, passphrase: "--passphrase", alpn: "--alpn" })) {
    if (values[key] !== undefined && !isSecure) throw new Failure(`${flag} must be used together with --enable-ssl`);
  }
  if (values.insecure === true && !isSecure) throw new Failure("--insecure must be used together with --enable-ssl");
  if (!isSecure) return undefined;
  const tls: TlsOptions = {};
  const version = text(values, "tlsVersion", "--tls-version");
  if (version !== undefined) {
    if (!Object.hasOwn(TLS_VERSIONS, version)) {
      throw new Failure(`--tls-version must be one of tlsv1.3, tlsv1.2, tlsv1.1, tlsv1, not ${quote(version)}`);
    }
    tls.minVersion = tls.maxVersion = TLS_VERSIONS[version as keyof typeof TLS_VERSIONS];
  }
  const ca = text(values, "CAfile", "--CAfile");
  const cert = text(values, "cert", "--cert");
  const key = text(values, "key", "--key");
  const passphrase = text(values, "passphrase", "--passphrase");
  const servername = text(values, "sni", "--sni");
  const protocol = text(values, "alpn", "--alpn");
  if (ca !== undefined) tls.ca = readCertificates("--CAfile", ca);
  if (cert === undefined && key !== undefined) throw new Failure("--key must be used together with --cert");
  if (cert !== undefined && key === undefined) throw new Failure("--cert must be used together with --key");
  if (passphrase !== undefined && key === undefined) throw new Failure("--passphrase must be used together with --key");
  if (cert !== undefined && key !== undefined) {
    const secret = passphrase ?? process.env.MCU_MQTT_PASSPHRASE;
    const certificates = readCertificates("--cert", cert);
    tls.cert = certificates.join("\n");
    tls.key = readKey(key, secret, certificates);
    if (secret !== undefined) tls.passphrase = secret;
  }
  if (servername !== undefined) {
    if (servername === "" || isIP(servername) !== 0) {
      throw new Failure(`--sni must be a host name, not ${quote(servername)}`);
    }
    tls.servername = servername;
  }
  if (protocol !== undefined) {
    if (protocol === "" || Buffer.byteLength(protocol) > 255) throw new Failure("--alpn must be 1 to 255 bytes long");
    if (isWebSocket && protocol !== "http/1.1") {
      throw new Failure("--alpn must be http/1.1 for a WebSocket, or left out");
    }
    tls.ALPNProtocols = [protocol];
  }
  if (values.insecure === true) tls.rejectUnauthorized = false;
  return tls;
}

function readWebSocket(
  values: Values,
  isWebSocket: boolean,
  url: BrokerUrl | undefined,
): WebSocketOptions | undefined {
  const path = text(values, "wsPath", "--ws-path");
  const lines = (values.wsHeader as string[] | undefined) ?? [];
  for (const [flag, isGiven] of [["--ws-path", path !== undefined], ["--ws-header", lines.length > 0]] as const) {
    if (isGiven && !isWebSocket) throw new Failure(`${flag} must be used together with --enable-websocket`);
  }
  if (!isWebSocket) return undefined;
  const urlPath = url === undefined || url.query === "" ? url?.path : `${url.path || "/"}?${url.query}`;
  if (path !== undefined && urlPath) throw new Failure("--ws-path contradicts the URL: leave one of them out");
  if (path !== undefined && !/^\/[\x21-\x7e]*$/.test(path)) {
    throw new Failure(`--ws-path must begin with / and be of printable ASCII without blanks, not ${quote(path)}`);
  }
  const headers = Object.create(null) as Record<string, string>;
  for (const line of lines) {
    // The value may be a secret, and the name, too, where somebody forgot the colon.
    const parts = /^([!#$%&'*+\-.^_`|~0-9A-Za-z]+):[ \t]*([\x20-\x7e\t]*)$/.exec(line);
    if (parts === null) throw new Failure('--ws-header must be like "Name: value", in printable ASCII');
    const isTwice = Object.keys(headers).some((name) => name.toLowerCase() === parts[1].toLowerCase());
    if (isTwice) throw new Failure(`--ws-header must not have ${parts[1]} twice`);
    headers[parts[1]] = parts[2];
  }
  return { path: path ?? (urlPath || "/mqtt"), headers };
}

function readReconnect(values: Values): { reconnects: number; reconnectSeconds: number } {
  const reconnects = integer(values, "reconnect", "--reconnect", 0, 1000000) ?? 0;
  const delay = seconds(values, "reconnectDelay", "--reconnect-delay", 0);
  if (delay !== undefined && reconnects === 0) {
    throw new Failure("--reconnect-delay must be used together with --reconnect");
  }
  return { reconnects, reconnectSeconds: delay ?? 1 };
}
