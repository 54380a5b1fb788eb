/**
 * URLs of brokers: `connect` takes one where it takes a host.
 *
 *     const client = withUrl(mqtt.Client("sensor"));
 *     client.connect("mqtts://broker.example.com", () => client.publish("/t", "1"));
 *
 * Schemes, and the port where none is given: mqtt 1883, mqtts 8883 (TLS), ws 80, wss 443 (WebSocket, on a HAL that has
 * it). A parser of its own, since boards have none; no text that it throws repeats what may be a password.
 */
import { isNil, show } from "../arguments.js";
import type { Client, Flag } from "../client.js";
import type { ConnectCallback, ConnfailCallback } from "../callbacks.js";

/** What a URL says. What it does not have is "". */
export interface BrokerUrl {
  scheme: "mqtt" | "mqtts" | "ws" | "wss";
  /** A name or an address, an IPv6 one without brackets. */
  host: string;
  /** 1..65535; the scheme's unless given. */
  port: number;
  /** True for mqtts and wss. */
  secure: boolean;
  /** True for ws and wss. */
  webSocket: boolean;
  /** Decoded. */
  username: string;
  /** Decoded. */
  password: string;
  /**
   * Behind the host. Of mqtt and mqtts without its first "/" and decoded, a topic; of ws and wss as it is sent, with
   * "/".
   */
  path: string;
  /** Behind "?", as it is. */
  query: string;
}

/** What `withUrl` changes: `connect` takes a URL, too. */
export interface UrlConnecting {
  /**
   * As `connect(host, ...)`, to where a URL says. Settings may be left out; a port must be the URL's, `secure` must fit
   * its scheme: of mqtts and wss 1, true or the platform's TLS options, which are `{}` by default.
   *
   * @throws TypeError or RangeError for a wrong URL, one with a username or a password (`mqtt.Client` takes these), and
   *   settings that contradict it
   */
  connect(url: string, ok?: ConnectCallback | null, fail?: ConnfailCallback | null): boolean;
  connect(
    url: string,
    port: number | null | undefined,
    ok?: ConnectCallback | null,
    fail?: ConnfailCallback | null,
  ): boolean;
  connect(
    url: string,
    port: number | null | undefined,
    secure: Flag | object | null | undefined,
    ok?: ConnectCallback | null,
    fail?: ConnfailCallback | null,
  ): boolean;
  connect(
    url: string,
    port: number | null | undefined,
    secure: Flag | object | null | undefined,
    autoreconnect: Flag | null | undefined,
    ok?: ConnectCallback | null,
    fail?: ConnfailCallback | null,
  ): boolean;
}

/** `Client.connect`, which sorts its arguments itself. */
type Connect = (
  host: unknown,
  a?: unknown,
  b?: unknown,
  c?: unknown,
  d?: unknown,
  e?: unknown,
  f?: unknown,
) => boolean;

/** True for a text that is to be a URL: one that has "://". */
function isUrl(text: unknown): text is string {
  return typeof text === "string" && text.indexOf("://") >= 0;
}

function wrongUrl(what: string): TypeError {
  return new TypeError("url: " + what);
}

/** Where `mark` is in `text`, or else its end. */
function endAt(text: string, mark: string): number {
  const at = text.indexOf(mark);
  return at < 0 ? text.length : at;
}

/** A part of a URL with its %XX decoded. */
function decoded(part: string, name: string): string {
  let text;
  try {
    text = decodeURIComponent(part);
  } catch (error) {
    throw wrongUrl(name + ' has a "%" that begins no UTF-8 in hexadecimal digits; "%25" is a "%"');
  }
  if (text.indexOf("\0") >= 0) throw wrongUrl(name + " must not have the character U+0000");
  return text;
}

/** True for text without control characters and spaces. */
function isPlain(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code <= 0x20 || code === 0x7f || code === 0xa0 || code === 0x3000 || code === 0xfeff) return false;
  }
  return true;
}

/** True for what may stand between the brackets of an IPv6 address. */
function isAddress6(text: string): boolean {
  for (let i = 0; i < text.length; i++) {
    if ("0123456789abcdefABCDEF:.".indexOf(text.charAt(i)) < 0) return false;
  }
  return text.indexOf(":") !== text.lastIndexOf(":");
}

function asHost(host: string): string {
  if (host === "") throw wrongUrl("a host is missing");
  if (host.charAt(0) === "[") {
    const address = host.substring(1, host.length - 1);
    if (host.charAt(host.length - 1) !== "]" || !isAddress6(address)) {
      throw wrongUrl("what stands in [brackets] must be an IPv6 address");
    }
    return address;
  }
  for (let i = 0; i < host.length; i++) {
    if (':[]%\\@"<>^`{|}'.indexOf(host.charAt(i)) >= 0) {
      throw wrongUrl("the host must be a name or an address; an IPv6 address stands in [brackets]");
    }
  }
  return host;
}

function asPort(digits: string): number {
  let port = digits.length > 5 ? 0 : digits.length > 0 ? 1 : 0;
  for (let i = 0; i < digits.length; i++) if (digits.charAt(i) < "0" || digits.charAt(i) > "9") port = 0;
  if (port > 0) port = Number(digits);
  if (port < 1 || port > 65535) throw new RangeError("url: the port must be an integer from 1 to 65535");
  return port;
}

/**
 * Takes a URL apart: `scheme://username:password@host:port/path?query`.
 *
 * @throws TypeError or RangeError that says what is wrong with it in one line, and does not repeat it
 */
export function parseUrl(text: string): BrokerUrl {
  const given: unknown = text;
  if (typeof given !== "string") throw wrongUrl("must be a string, not " + show(given));
  const schemeEnd = text.indexOf("://");
  const name = schemeEnd < 0 ? "" : text.substring(0, schemeEnd).toLowerCase();
  const isMqtt = name === "mqtt" || name === "mqtts";
  if (!isMqtt && name !== "ws" && name !== "wss") {
    throw wrongUrl('must begin with "mqtt://", "mqtts://", "ws://" or "wss://"');
  }
  const scheme = name;
  if (!isPlain(text)) throw wrongUrl('must have no white space and no control character; "%20" is a space');
  let rest = text.substring(schemeEnd + 3);
  if (rest.indexOf("#") >= 0) throw wrongUrl('must have no "#"; "%23" is a "#"');
  // "@" and "?" may stand behind the first "/", and "@" behind the first "?".
  const authorityEnd = Math.min(endAt(rest, "/"), endAt(rest, "?"));
  let authority = rest.substring(0, authorityEnd);
  rest = rest.substring(authorityEnd);
  const pathEnd = endAt(rest, "?");
  const path = rest.substring(0, pathEnd);
  const query = rest.substring(pathEnd + 1);

  const at = authority.lastIndexOf("@");
  const user = at < 0 ? "" : authority.substring(0, at);
  authority = authority.substring(at + 1);
  const userEnd = endAt(user, ":");
  const username = decoded(user.substring(0, userEnd), "the username");
  const password = decoded(user.substring(userEnd + 1), "the password");
  if (password !== "" && username === "") throw wrongUrl("a password must not be given without a username");

  const secure = name === "mqtts" || name === "wss";
  const colon = authority.lastIndexOf(":");
  const hasPort = colon > authority.lastIndexOf("]");
  const host = asHost(hasPort ? authority.substring(0, colon) : authority);
  const byDefault = isMqtt ? (secure ? 8883 : 1883) : secure ? 443 : 80;
  const port = hasPort ? asPort(authority.substring(colon + 1)) : byDefault;
  // What is not sent as it is has to be well-formed all the same.
  const topic = decoded(path.substring(1), "the path");
  decoded(query, "the query");
  const webSocket = !isMqtt;
  return { scheme, host, port, secure, webSocket, username, password, path: isMqtt ? topic : path, query };
}

/** `host` of `Hal.open` for a URL. Throws when the URL has what `connect` has no use for. */
export function hostOf(url: BrokerUrl, hasWebSocket: boolean): string {
  if (url.username !== "" || url.password !== "") {
    throw wrongUrl("a username and a password are for mqtt.Client, not for connect");
  }
  if (!url.webSocket) {
    if (url.path !== "" || url.query !== "") throw wrongUrl(url.scheme + " must have no path and no query in connect");
    return url.host;
  }
  if (!hasWebSocket) throw wrongUrl(url.scheme + ' needs a platform with WebSocket, such as "mcu-mqtt/websocket"');
  const name = url.host.indexOf(":") >= 0 ? "[" + url.host + "]" : url.host;
  const path = url.query === "" ? url.path : (url.path || "/") + "?" + url.query;
  return "ws://" + name + path;
}

/**
 * Has `connect` of `client` take a URL for its host; what has no "://" is a host as before. Once for a client.
 *
 * Costs nothing but the call.
 */
export function withUrl<C extends Client>(client: C): C & UrlConnecting {
  const connect = client.connect.bind(client) as Connect;
  const hal = client.hal;
  // What stands last is of MQTT 5.
  function connectUrl(
    host: unknown,
    a?: unknown,
    b?: unknown,
    c?: unknown,
    d?: unknown,
    e?: unknown,
    f?: unknown,
  ): boolean {
    if (!isUrl(host)) return connect(host, a, b, c, d, e, f);
    const url = parseUrl(host);
    const name = hostOf(url, hal.webSocket === true);
    const rest = [a, b, c, d, e, f];
    // Where the callbacks begin, settings end.
    let first = 0;
    while (first < 5 && typeof rest[first] !== "function") first++;
    const port = first > 0 ? a : undefined;
    const secure = first > 1 ? b : undefined;
    if (!isNil(port) && port !== url.port) {
      throw new TypeError("port must be left out or that of the URL, " + url.port + ", not " + show(port));
    }
    const isOff = isNil(secure) ? !url.secure : secure === 0 || secure === false;
    if (!isNil(secure) && isOff === url.secure) {
      throw new TypeError(
        "secure must be left out or fit " + url.scheme + ", which has " + (url.secure ? "TLS" : "no TLS"),
      );
    }
    const options = isNil(secure) ? url.secure : secure;
    if (first > 2) return connect(name, url.port, options, c, d, e, f);
    // The callbacks, where settings were left out. A function alone behind a null is the second of them.
    const isAlone = first > 0 && isNil(rest[first - 1]) && isNil(rest[first + 1]);
    if (isAlone) return connect(name, url.port, options, null, rest[first]);
    return connect(name, url.port, options, rest[first], rest[first + 1], rest[first + 2]);
  }
  // Not by assignment: on a board the prototype, which has a `connect`, is frozen. Others may do the same after this.
  Object.defineProperty(client, "connect", { value: connectUrl, configurable: true });
  return client;
}
