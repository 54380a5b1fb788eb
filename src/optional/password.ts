/**
 * A password that is made for each attempt to connect: a token that expires, or what a secure element answers.
 *
 *     const client = withPassword(mqtt.Client("sensor", 60, "user"), () => token(now()));
 *     client.connect("broker");
 *
 * Puts it where it stands in CONNECT, at its end, and leaves the rest as it is, the will above all. Knows the layout of
 * CONNECT, whatever its protocol name (3.1). With MQTT 5 CONNECT is encoded at each attempt anyway.
 *
 * Costs, in memory: a function; a CONNECT more while an attempt begins.
 */
import { asData, checkField, wrong } from "../arguments.js";
import type { Client } from "../client.js";
import { headerLength, writeField, writeHeader } from "../encoder.js";
import type { Session5 } from "../v5/session.js";
import { CONNECT } from "../wire.js";

/** Makes a password; "" or no bytes: none is sent. */
export type PasswordCallback = () => string | Uint8Array | ArrayBuffer | number;

// Of the flags in CONNECT.
const HAS_WILL = 4;
const HAS_PASSWORD = 64;
const HAS_USERNAME = 128;

/** Where the flags of a CONNECT are: behind header, protocol name and level. */
function flagsAt(packet: Uint8Array): number {
  const name = nameAt(packet);
  return behindField(packet, name) + 1;
}

/** Where the protocol name of a CONNECT is. */
function nameAt(packet: Uint8Array): number {
  let at = 1;
  while (packet[at++] > 127);
  return at;
}

/** Where what follows a field is, which begins with its length. */
function behindField(packet: Uint8Array, at: number): number {
  return at + 2 + ((packet[at] << 8) | packet[at + 1]);
}

/** The same CONNECT with this password, or without one. */
function withSecret(client: Client, packet: Uint8Array, secret: string | Uint8Array): Uint8Array {
  const name = nameAt(packet);
  const flags = flagsAt(packet);
  // The client identifier, a will's topic and message, and the username stand before it [MQTT-3.1.3-1].
  let end = behindField(packet, flags + 3);
  if ((packet[flags] & HAS_WILL) !== 0) end = behindField(packet, behindField(packet, end));
  end = behindField(packet, end);
  const kept = end - name;
  // What `length` counts takes four bytes at most: XS on a board counts characters, not UTF-16 code units.
  const most = kept + (secret.length > 0 ? 2 + 4 * secret.length : 0);
  const body = headerLength(most);
  const made = new Uint8Array(body + most);
  made.set(packet.subarray(name, end), body);
  made[body + flags - name] &= ~HAS_PASSWORD;
  let at = body + kept;
  if (secret.length > 0) {
    made[body + flags - name] |= HAS_PASSWORD;
    at = writeField(client.text, made, at, made.length, secret);
  }
  // Most passwords do not have what would make the header shorter.
  const start = body - headerLength(at - body);
  writeHeader(made, start, CONNECT << 4, at - body);
  return made.slice(start, at);
}

/**
 * Has `client`, with 3.1.1 one with a username, ask `callback` for its password at each attempt, right before the
 * socket is opened. Once for a client; what its constructor was given is not used then. What the callback throws, or a
 * password that is none, comes out of `connect`; in a later attempt, such as those of `autoreconnect`, it is the detail
 * of `connfail` with CONN_FAIL_SERVER_NOT_FOUND. It must not call the client.
 *
 * @throws TypeError for what is no function, and with 3.1.1 for a client without a username [MQTT-3.1.2-22]
 */
export function withPassword<C extends Client>(client: C, callback: PasswordCallback): C {
  if (typeof (callback as unknown) !== "function") throw wrong("callback", "a function", callback);
  const connection = client.connection;
  const session = connection.session;
  const first = session._connect;
  const isMqtt5 = session.encoder.level === 5;
  if (!isMqtt5 && (first[flagsAt(first)] & HAS_USERNAME) === 0) {
    throw new TypeError("password must not be given without a username");
  }
  const open = connection._open.bind(connection);
  const openWithPassword = (target: Parameters<typeof open>[0]): boolean => {
    const secret = asData("password", callback());
    checkField(client.text, "password", secret);
    if (isMqtt5) (session as Session5).fields.password = secret.length > 0 ? secret.slice() : undefined;
    else session._connect = withSecret(client, session._connect, secret);
    return open(target);
  };
  Object.defineProperties(connection, { _open: { value: openWithPassword, configurable: true } });
  return client;
}
