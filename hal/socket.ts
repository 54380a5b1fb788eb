/**
 * What the client asks of a platform: a socket, a timer, a clock and text conversion. Types and contract only.
 *
 * The socket follows the TCP class pattern of ECMA-419 (clause 11.2 of the 2nd edition), narrowed to what an MQTT
 * client uses, with two changes: ranges `(bytes, start, end)` replace views, so that no message costs an allocation
 * here, and the host name goes in as it is, since only the platform knows how its addresses are found and tried. An
 * adapter makes a view only where its platform insists. A new platform is one short file that exports a `Hal`.
 *
 * Rules that hold for every member: bytes belong to the caller, and the platform reads or writes them during the call
 * only; no callback runs inside the call that caused it; no callback comes after `close()`.
 */

/**
 * Why a socket ended, or never came up.
 *
 * - `"closed"`: the peer closed or reset an established connection.
 * - `"dns"`: the host name was not resolved.
 * - `"refused"`: nothing listens at the address, or it refused.
 * - `"unreachable"`: no route, network down, and whatever else kept the connection from coming up.
 * - `"timeout"`: the network stack itself gave up waiting.
 * - `"tls"`: the TLS handshake failed; certificate, host name or protocol.
 */
export type SocketFailure = "closed" | "dns" | "refused" | "unreachable" | "timeout" | "tls";

/** One connection, TCP or TLS. */
export interface Socket {
  /**
   * Copies the next `end - start` received bytes to `bytes[start..end)` and returns that count.
   * Throws when more is asked for than `onReadable` announced and was not yet read.
   */
  read(bytes: Uint8Array, start: number, end: number): number;
  /**
   * Takes all of `bytes[start..end)`, or throws when that is more than the room announced last (ask first). Returns the
   * room left, in bytes; 0 means: wait for `onWritable`. After the peer closed it takes nothing, returns 0, and
   * `onError` follows. The bytes are the caller's again when the call returns.
   */
  write(bytes: Uint8Array, start: number, end: number): number;
  /**
   * Ends the connection for good: what `write` took is still delivered where the network allows, unread bytes are
   * dropped, and no callback comes any more. Harmless when repeated, and inside any callback.
   */
  close(): void;
}

/** Receives what happens on a socket. */
export interface SocketHandler {
  /**
   * `count` bytes, always above 0, wait to be read: the total, with those announced before and not yet read. Comes when
   * new bytes arrive, and only then: unread bytes are not announced again. Not reading is back-pressure: the platform
   * then stops taking bytes from the network.
   */
  onReadable(count: number): void;
  /**
   * `count` bytes, always above 0, may be written. The first call means connected (for TLS: handshake done, peer
   * verified). Later calls come when room has returned after a `write`, at the latest when everything written is taken,
   * so that a client can wait for more room than `write` left.
   */
  onWritable(count: number): void;
  /**
   * The connection is over, or never came up; the last callback of a socket, at most once. What the peer sent before
   * closing is announced, and can be read, before this comes. `detail` is the platform's own error where it has one,
   * for a log.
   */
  onError(failure: SocketFailure, detail?: unknown): void;
}

/** A one-shot timer that is armed again without allocating. */
export interface Timer {
  /** Fires once, `delayMs` (0..2^31-1) from now; replaces an earlier time. 0: as soon as the current call is over. */
  schedule(delayMs: number): void;
  /** Stops it. Harmless when it is not armed. */
  clear(): void;
}

/** Conversion between text and UTF-8 by the platform's native means: loops over characters are dear on every engine. */
export interface Text {
  /**
   * Writes `string` as UTF-8 to `bytes[offset..end)`, without a byte order mark or a terminator. Returns the offset
   * behind it, or -1 when it does not fit, or -2 when the string has a lone surrogate [MQTT-1.5.3-1]. On a negative
   * result the bytes from `offset` to `end` are undefined.
   */
  encode(string: string, bytes: Uint8Array, offset: number, end: number): number;
  /**
   * The string that `bytes[start..end)` encode, a byte order mark kept as U+FEFF [MQTT-1.5.3-3]. Ill-formed bytes:
   * undefined when `fatal`, else each ill-formed sequence becomes U+FFFD, one or more.
   */
  decode(bytes: Uint8Array, start: number, end: number, fatal: true): string | undefined;
  decode(bytes: Uint8Array, start: number, end: number, fatal: false): string;
}

/**
 * Capacities of one client, fixed at construction. Bytes unless said otherwise. Each platform states its defaults,
 * since they depend on its memory; README, "Memory", has the sum.
 */
export interface Capacities {
  /**
   * Receive buffer: bytes taken from the socket at a time, and where a message gathers. At least `maxMessageLength`,
   * and raised to it when smaller.
   */
  rxCapacity: number;
  /**
   * Transmit buffer: whole PUBLISH, SUBSCRIBE and UNSUBSCRIBE packets, from the call until sent (QoS 0) or
   * acknowledged.
   */
  txCapacity: number;
  /**
   * Count of publishes, subscribes and unsubscribes that wait for sending, for their acknowledgement or for their
   * callback.
   */
  maxOperations: number;
  /** Count of received QoS 2 messages whose PUBREL has not come; one more than that ends the connection. */
  receiveMaximum: number;
}

/** What `Hal.configure` sets. What a platform's HAL does not know, it refuses by name. */
export interface HalSettings {
  /** Of TCP, under the platform's own names. */
  tcpOpts?: object;
  /** Header fields of the request that opens a WebSocket, by their names. */
  wsHeaders?: Record<string, string>;
  /** Path of WebSockets whose `host` has none; `"/mqtt"` by default. */
  wsPath?: string;
}

/** Everything a client asks of its platform. */
export interface Hal {
  /**
   * Starts to resolve `host`, connect and, unless `secure` is undefined, do the TLS handshake; `handler` learns what
   * comes of it, never inside this call. Returns undefined when the platform has no socket left. There is no time limit
   * here: the client has one, and calls `close()`.
   *
   * @param host a name or an address, as given by the application; not empty. With `webSocket`, `"ws://name/path"` is a
   *   WebSocket to that name or address (IPv6 in brackets): the path may be missing, and a port is never there
   * @param port 1..65535
   * @param secure undefined for TCP; for TLS the platform's options, `{}` for the defaults (the peer is verified), that
   *   `checkSecure` let pass
   */
  open(host: string, port: number, secure: object | undefined, handler: SocketHandler): Socket | undefined;
  /**
   * Throws a TypeError that names what is wrong: a TLS option that is unknown or of a wrong type, or TLS where there is
   * none.
   */
  checkSecure(secure: object): void;
  /** A timer that calls `onTimer`; one per client. */
  createTimer(onTimer: () => void): Timer;
  /**
   * Milliseconds on a clock that never goes back; may wrap at 32 bits, so only differences (`(a - b) | 0`) mean
   * anything.
   */
  now(): number;
  /** A conversion of text; one per client, so that it may keep what it needs between calls. */
  createText(): Text;
  /**
   * Makes an exception from an application's callback surface the way the platform's uncaught exceptions do (in Node
   * `uncaughtException`; on a board a reset), after the call that is running.
   */
  uncaught(error: unknown): void;
  /**
   * A name for a client that was given none: 1 to 16 of [0-9a-zA-Z], so that with a prefix it is a client identifier
   * that every broker accepts [MQTT-3.1.3-5]. On a board made from the hardware address, hence the same after a reset;
   * elsewhere random, a new one at each call.
   */
  generateId(): string;
  /** The platform's default capacities. */
  defaults: Capacities;
  /** True: `open` takes a `"ws://name/path"` for its `host`. */
  webSocket?: boolean;
  /**
   * The same platform with settings in place of those it has: by name, also those in `tcpOpts`. What is undefined stays
   * as it is. Throws a TypeError that names what it does not know, or what is wrong.
   */
  configure?(settings: HalSettings): Hal;
}
