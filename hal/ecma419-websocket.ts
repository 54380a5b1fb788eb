/**
 * WebSocket on a HAL of ECMA-419, by the Moddable SDK's class `embedded:network/websocket/client`.
 *
 * The class makes the request and the frames. What it leaves to others is done here, in a guard between it and the
 * connection below: it takes any subprotocol, and an answer of any length; it loses track of bytes that come while a
 * frame's are unread; it closes the connection below an unread frame; and lengths that do not fit 31 bits, or a request
 * that does not fit the send buffer, make it go wrong or throw, which on a board is a reset. Facts are those of SDK
 * 8.2.3, examples/io/tcp/websocketclient/websocketclient.js.
 *
 * Not done: `Sec-WebSocket-Accept` is not verified, and a WebSocket ends with its TCP connection, without a close frame
 * of the board's.
 */
import { Ecma419Hal, Ecma419Socket, findProvider, isAddress } from "./ecma419.js";
import type { Ecma419Options, Ecma419Provider, Ecma419Tcp, Ecma419Timers } from "./ecma419.js";
import type { Hal, HalSettings, Socket, SocketHandler } from "./socket.js";

/** The class of the SDK, as far as it is used here. */
export type Ecma419WebSocketClient = new (options: never) => Ecma419Tcp;

const WS = "ws://";
/** The subprotocol [MQTT-6.0.0-3] [MQTT-6.0.0-4]. */
const SUBPROTOCOL = "mqtt";
/** Longest answer to the request, and what is kept of one of its lines. */
const ANSWER_MOST = 4096;
const LINE_MOST = 128;
/** A record of TLS takes 16,384 bytes, hence a frame's 8 less; beside what the HAL takes away for TLS itself. */
const ROOM_MOST = 16472;
/** Opcodes, and bits beside them. */
const TEXT = 1;
const CLOSE = 8;
const OPCODE = 0x0f;
const MASKED = 0x80;

/** Where a guard is: in the answer, before a frame's first byte, before its second, in its length, in what follows. */
const IN_ANSWER = 0;
const IN_FRAMES = 1;
const IN_HEADER = 2;
const IN_LENGTH = 3;
const IN_CONTROL = 4;

/**
 * A HAL whose `open` takes `"ws://name/path"` for its host and does WebSocket there.
 *
 * @param base a HAL of `createEcma419Hal`
 * @param client the SDK's class
 * @param settings `wsPath` and `wsHeaders`
 */
export function createEcma419WebSocketHal(base: Hal, client: Ecma419WebSocketClient, settings?: HalSettings): Hal {
  if (!(base instanceof Ecma419Hal)) throw new TypeError("base must be a HAL of createEcma419Hal");
  return new WebSocketHal(base._options, client, "/mqtt", []).configure(settings || {});
}

class WebSocketHal extends Ecma419Hal {
  readonly webSocket = true;
  private readonly _client: Ecma419WebSocketClient;
  private readonly _path: string;
  private readonly _headers: string[][];

  constructor(options: Ecma419Options, client: Ecma419WebSocketClient, path: string, headers: string[][]) {
    super(options);
    this._client = client;
    this._path = path;
    this._headers = headers;
  }

  override open(host: string, port: number, secure: object | undefined, handler: SocketHandler): Socket {
    if (host.substring(0, 5).toLowerCase() !== WS) return super.open(host, port, secure, handler);
    const rest = host.substring(5);
    const slash = rest.indexOf("/");
    const name = slash < 0 ? rest : rest.substring(0, slash);
    const path = slash < 0 ? this._path : checkPath(rest.substring(slash), "host");
    if (name === "" || !isPlain(name) || /[[\]:?#@]/.test(name)) {
      throw new TypeError('host must be "ws://name/path"; port and secure are arguments of their own');
    }
    const provider = findProvider(this._options, secure !== undefined);
    if (!isAddress(name) && (provider.dns === undefined || typeof provider.dns.io !== "function")) {
      throw new TypeError("dns.io is missing: nothing resolves the host name " + name);
    }
    const request = { webSocketIo: this._client, webSocketPath: path, webSocketHeaders: this._headers };
    return new WebSocketSocket(this._options, provider, name, port, secure, handler, request);
  }

  configure(settings: HalSettings): Hal {
    let path = this._path;
    let headers = this._headers;
    const given = settings as Record<string, unknown>;
    for (const name in given) {
      const value = given[name];
      if (value === undefined) continue;
      if (name === "wsPath") path = checkPath(value, name);
      else if (name === "wsHeaders") headers = checkHeaders(value);
      else throw new TypeError(name + " must be left out: there is no such setting here");
    }
    return new WebSocketHal(this._options, this._client, path, headers);
  }
}

/** True for printable ASCII without a space. */
function isPlain(text: string): boolean {
  return /^[!-~]*$/.test(text);
}

function checkPath(path: unknown, name: string): string {
  if (typeof path === "string" && path.charAt(0) === "/" && isPlain(path) && path.indexOf("#") < 0) return path;
  throw new TypeError(name + ': its path must be "/..." in printable ASCII without a space and "#"');
}

/** Pairs of name and value. Values are not repeated in errors: they may be secrets. */
function checkHeaders(headers: unknown): string[][] {
  if (typeof headers !== "object" || headers === null || Array.isArray(headers)) {
    throw new TypeError("wsHeaders must be an object");
  }
  const pairs: string[][] = [];
  const given = headers as Record<string, unknown>;
  for (const name in given) {
    const value = given[name];
    if (value === undefined) continue;
    if (!/^[-!#$%&'*+.^_`|~\dA-Za-z]+$/.test(name)) throw new TypeError("wsHeaders." + name + " must be a field's name");
    if (/^(?:sec-websocket-.*|connection|upgrade|host|content-length|transfer-encoding)$/i.test(name)) {
      throw new TypeError("wsHeaders." + name + " must be left out: it is WebSocket's own");
    }
    if (typeof value !== "string" || !/^[\t -~]*$/.test(value)) {
      throw new TypeError("wsHeaders." + name + " must be printable ASCII");
    }
    pairs.push([name, value]);
  }
  return pairs;
}

/** What a WebSocket is asked for with. */
interface Request {
  webSocketIo: Ecma419WebSocketClient;
  webSocketPath: string;
  webSocketHeaders: string[][];
}

/** A socket whose connection is a WebSocket on what its provider has. */
class WebSocketSocket extends Ecma419Socket {
  constructor(
    options: Ecma419Options,
    provider: Ecma419Provider,
    host: string,
    port: number,
    secure: object | undefined,
    handler: SocketHandler,
    request: Request,
  ) {
    super(options, provider, host, port, secure, handler);
    const own = { io: WebSocketIo, lowerIo: provider.socket.io, lowerTimers: options.timers, lowerWatcher: this };
    this._provider = Object.assign({}, provider, { socket: Object.assign({}, provider.socket, own, request) });
  }

  /** TCP, and TLS if there is any, is up: from now on it is the server that refuses. */
  onRequest(): void {
    this._nextFailure = "refused";
  }
}

/** What a `WebSocketIo` is made with: what its socket gives to any connection, and what was added above. */
interface WebSocketIoOptions extends Request {
  lowerIo: new (options: never) => Ecma419Tcp;
  lowerTimers: Ecma419Timers;
  lowerWatcher: WebSocketSocket;
  host: string;
  port: number;
  address: string;
  secure?: object;
  onReadable: (count: number) => void;
  onWritable: (count: number) => void;
  onError: (error?: unknown) => void;
}

/** A resolver that knows the address. */
class KnownAddress {
  private readonly _address: string;

  constructor(options: { knownAddress: string }) {
    this._address = options.knownAddress;
  }

  resolve(request: { host: string; onResolved: (host: string, address: string) => void }): void {
    request.onResolved(request.host, this._address);
  }

  close(): void {
    // Nothing is under way.
  }
}

/** A WebSocket as a connection: payloads of binary frames are its bytes. */
class WebSocketIo implements Ecma419Tcp {
  private readonly _options: WebSocketIoOptions;
  private readonly _client: Ecma419Tcp;
  private _guard: WebSocketGuard | undefined = undefined;
  /** Bytes of the frame's part that was announced and not read. */
  private _unread = 0;
  private _timer: unknown = undefined;
  /** It has failed, or was closed: nobody hears anything more. */
  private _isOver = false;
  private _isUp = false;

  constructor(options: WebSocketIoOptions) {
    this._options = options;
    const isUsual = options.port === (options.secure === undefined ? 80 : 443);
    const asked = {
      host: isUsual ? options.host : options.host + ":" + String(options.port),
      port: options.port,
      path: options.webSocketPath,
      protocol: SUBPROTOCOL,
      headers: options.webSocketHeaders,
      // It would open a connection behind `close()` when it resolves the name itself.
      dns: { io: KnownAddress, knownAddress: options.address },
      socket: { io: WebSocketGuard, webSocket: this },
      onReadable: (count: number) => this._onReadable(count),
      onWritable: (count: number) => this._onWritable(count),
      onClose: () => this.fail(undefined),
      onError: () => this.fail(undefined),
    };
    this._client = new options.webSocketIo(asked as never);
  }

  read(bytes: Uint8Array): unknown {
    const count = this._client.read(bytes);
    this._unread -= bytes.length;
    if (this._unread === 0) this._goOn();
    return count;
  }

  write(bytes: Uint8Array): unknown {
    return this._client.write(bytes);
  }

  close(): void {
    this._isOver = true;
    const timers = this._options.lowerTimers;
    if (this._timer !== undefined) timers.clear(this._timer);
    this._timer = undefined;
    this._client.close();
  }

  /** The connection below, for the guard. */
  openLower(guard: WebSocketGuard, callbacks: object): Ecma419Tcp {
    this._guard = guard;
    const options = this._options;
    try {
      return new options.lowerIo(Object.assign({}, options, callbacks) as never);
    } catch (error) {
      this.fail(error);
      throw error;
    }
  }

  /** Fills the view. TLS is told that it is read. */
  readLower(lower: Ecma419Tcp, view: Uint8Array): void {
    const watcher = this._options.lowerWatcher;
    watcher.isReading = true;
    lower.read(view);
    watcher.isReading = false;
  }

  /** TCP, and TLS, is up. */
  onLowerUp(): void {
    if (!this._isUp) this._options.lowerWatcher.onRequest();
  }

  /** The connection below is over. What came before that can still be read. */
  end(error: unknown): void {
    if (this._isOver) return;
    this._options.onError(error === undefined && !this._isUp ? new Error("no WebSocket is there") : error);
  }

  /** It is over, for that reason, and nothing behind it is looked at. */
  fail(error: unknown): void {
    this.end(error);
    this._isOver = true;
  }

  /** True when nothing is to be heard any more. */
  get isSilent(): boolean {
    return this._isOver;
  }

  private _onReadable(count: number): void {
    this._unread = count;
    if (count > 0 && !this._isOver) this._options.onReadable(count);
  }

  private _onWritable(count: number): void {
    if (this._isOver || count <= 0) return;
    this._isUp = true;
    this._options.onWritable(count > ROOM_MOST ? ROOM_MOST : count);
  }

  /** The client forgot what came while it had bytes to be read; but never inside a call. */
  private _goOn(): void {
    if (this._timer !== undefined) return;
    this._timer = this._options.lowerTimers.set(() => {
      this._timer = undefined;
      if (this._unread === 0 && this._guard !== undefined) this._guard.goOn();
    }, 0);
  }
}

/** What the client hands to the constructor of its connection. */
interface GuardOptions {
  webSocket: WebSocketIo;
  onReadable: (count: number) => void;
  onWritable: (count: number) => void;
}

/**
 * The connection below, as the client uses it: bytes one at a time ("number") up to a frame's payload, which it reads
 * into views ("buffer").
 */
class WebSocketGuard {
  format = "buffer";
  private readonly _webSocket: WebSocketIo;
  private readonly _onReadable: (count: number) => void;
  private readonly _lower: Ecma419Tcp;
  private readonly _byte = new Uint8Array(1);
  /** Bytes that are there. */
  private _waiting = 0;
  private _at = IN_ANSWER;
  private _answerLength = 0;
  private _line = "";
  private _lineCount = 0;
  private _subprotocol = "";
  /** Bytes of a length, or of a control frame, that are still to come. */
  private _missing = 0;
  private _opcode = 0;

  constructor(options: GuardOptions) {
    const webSocket = options.webSocket;
    this._webSocket = webSocket;
    this._onReadable = options.onReadable;
    const onWritable = options.onWritable;
    this._lower = webSocket.openLower(this, {
      onReadable: (count: number) => {
        this._waiting = count;
        this.goOn();
      },
      onWritable: (count: number) => {
        if (webSocket.isSilent) return;
        webSocket.onLowerUp();
        try {
          onWritable(count);
        } catch (error) {
          webSocket.fail(error);
        }
      },
      // Not to the client, which would close what holds bytes that nobody has read.
      onError: (error?: unknown) => webSocket.end(error),
    });
  }

  /** Has the client look at what is there. */
  goOn(): void {
    if (this._waiting <= 0 || this._webSocket.isSilent) return;
    try {
      this._onReadable(this._waiting);
    } catch (error) {
      this._webSocket.fail(error);
    }
  }

  read(view?: Uint8Array): number | undefined {
    if (view !== undefined && this.format === "buffer") {
      this._waiting -= view.length;
      this._webSocket.readLower(this._lower, view);
      return view.length;
    }
    if (this._waiting <= 0) return undefined;
    this._waiting--;
    this._webSocket.readLower(this._lower, this._byte);
    const byte = this._byte[0];
    if (!this._webSocket.isSilent) this._inspect(byte);
    return this._webSocket.isSilent ? 0 : byte;
  }

  write(bytes: Uint8Array | ArrayBuffer): unknown {
    const view = bytes instanceof Uint8Array ? bytes : new Uint8Array(bytes);
    // Until the request is answered nobody catches it in the client.
    try {
      return this._lower.write(view);
    } catch (error) {
      this._webSocket.fail(error);
      return 0;
    }
  }

  close(): void {
    this._lower.close();
  }

  /** Looks at each byte that is no payload of data, before the client does. */
  private _inspect(byte: number): void {
    switch (this._at) {
      case IN_ANSWER:
        this._readAnswer(byte);
        break;
      case IN_FRAMES:
        this._opcode = byte & OPCODE;
        this._at = IN_HEADER;
        if (this._opcode === TEXT) this._webSocket.fail(new Error("the server sent text [MQTT-6.0.0-1]"));
        if (this._opcode === CLOSE) this._webSocket.fail(new Error("the server closed the WebSocket"));
        break;
      case IN_HEADER:
        this._readHeader(byte);
        break;
      default:
        // The first half of eight bytes, and the bit behind it, are 0 in whatever a board could take.
        if (this._at === IN_LENGTH && this._missing > 4 && byte !== 0) this._refuseLength();
        if (this._at === IN_LENGTH && this._missing === 4 && byte > 127) this._refuseLength();
        if (--this._missing === 0) this._at = IN_FRAMES;
    }
  }

  private _readHeader(byte: number): void {
    const length = byte & 0x7f;
    if ((byte & MASKED) !== 0) this._webSocket.fail(new Error("the server sent a masked frame"));
    if (this._opcode >= CLOSE) {
      if (length > 125) this._refuseLength();
      this._missing = length;
      this._at = length > 0 ? IN_CONTROL : IN_FRAMES;
    } else {
      this._missing = length === 126 ? 2 : length === 127 ? 8 : 0;
      this._at = this._missing > 0 ? IN_LENGTH : IN_FRAMES;
    }
  }

  private _refuseLength(): void {
    this._webSocket.fail(new Error("the server sent a frame that is too long"));
  }

  private _readAnswer(byte: number): void {
    if (++this._answerLength > ANSWER_MOST) {
      this._webSocket.fail(new Error("the server's answer is too long"));
    } else if (byte !== 0x0a) {
      if (byte !== 0x0d && this._line.length < LINE_MOST) this._line += String.fromCharCode(byte);
    } else {
      const line = this._line;
      this._line = "";
      if (this._lineCount++ === 0) this._readStatus(line);
      else if (line === "") this._endAnswer();
      else this._readField(line);
    }
  }

  private _readStatus(line: string): void {
    if (/^HTTP\/1\.1 101 /.test(line)) return;
    const isHttp = /^HTTP\/\d\.\d \d/.test(line);
    const what = isHttp ? "HTTP " + line.substring(9) : "what is no HTTP";
    this._webSocket.fail(new Error("the server answers " + what));
  }

  private _readField(line: string): void {
    const colon = line.indexOf(":");
    const name = line.substring(0, colon).trim().toLowerCase();
    if (name === "sec-websocket-protocol") this._subprotocol = line.substring(colon + 1).trim();
  }

  private _endAnswer(): void {
    this._at = IN_FRAMES;
    if (this._subprotocol === SUBPROTOCOL) return;
    this._webSocket.fail(new Error("the server does not answer with the subprotocol mqtt"));
  }
}
