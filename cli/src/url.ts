/**
 * A broker's URL: mqtt://user:password@host:port/topic, mqtts:// for TLS, and ws:// or wss:// where the path is the
 * WebSocket's. What is wrong with it is said without repeating it, since it may have a password.
 */
import { Failure } from "./failure.js";

export interface BrokerUrl {
  host: string;
  port: number | undefined;
  isSecure: boolean;
  isWebSocket: boolean;
  username: string | undefined;
  password: string | undefined;
  /** Of mqtt:// and mqtts://, if there is one. */
  topic: string | undefined;
  /** Path and query of ws:// and wss://, if there is one. */
  path: string | undefined;
}

const EXPECTED =
  "the URL must be like mqtt://user:password@host:port/topic, or with mqtts:// (TLS), ws:// or wss:// (WebSocket)";

export function readUrl(text: string): BrokerUrl {
  // What follows the host stays as it is: to the parser for URLs a topic's # and ? would be something else.
  const parts = /^(mqtts?|wss?):\/\/([^/?#]+)(.*)$/is.exec(text);
  if (parts === null) throw new Failure(EXPECTED);
  const scheme = parts[1].toLowerCase();
  const authority = `none://${parts[2]}`;
  if (!URL.canParse(authority)) {
    throw new Failure(`${EXPECTED}; in user and password write %40 for @, %3A for :, %2F for /`);
  }
  const url = new URL(authority);
  const host = decode(url.hostname.replace(/^\[(.*)\]$/, "$1"));
  if (host === "") throw new Failure(`${EXPECTED}; it has no host`);
  const port = url.port === "" ? undefined : Number(url.port);
  if (port === 0) throw new Failure("the URL must not have the port 0: write the broker's");
  if (url.username === "" && url.password !== "") {
    throw new Failure("the URL has a password without a user: write mqtt://user:password@host");
  }
  const isWebSocket = scheme.startsWith("ws");
  const rest = parts[3];
  if (isWebSocket && rest.includes("#")) throw new Failure("the URL of a WebSocket must not have a #");
  if (rest !== "" && !rest.startsWith("/")) throw new Failure(`${EXPECTED}; a / must stand in front of ? and #`);
  return {
    host,
    port,
    isSecure: scheme.endsWith("s") && scheme !== "ws",
    isWebSocket,
    username: url.username === "" ? undefined : decode(url.username),
    password: url.password === "" ? undefined : decode(url.password),
    topic: isWebSocket || rest.length < 2 ? undefined : decode(rest.slice(1)),
    path: !isWebSocket || rest === "" ? undefined : rest,
  };
}

/** A part of a URL without its percent signs; no part may have U+0000 [MQTT-1.5.3-2]. */
function decode(part: string): string {
  let text = "\0";
  try {
    text = decodeURIComponent(part);
  } catch {
    // It means nothing.
  }
  if (text.includes("\0")) throw new Failure("the URL has a % that means nothing there: write %25 for it");
  return text;
}
