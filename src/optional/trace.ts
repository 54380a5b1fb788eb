/**
 * What passes between a client and its broker, packet by packet: a HAL around a HAL, which reads along.
 *
 *     import hal from "mcu-mqtt/hal";
 *     import { MQTT_3_1_1, createMqtt } from "mcu-mqtt/client";
 *
 *     const mqtt = createMqtt(traced(hal, (packet) => print(describePacket(packet))), MQTT_3_1_1);
 *
 * Payloads, user names, passwords and authentication data are not part of what it tells unless that is asked for.
 * Connections with MQTT 5 are read when the options have `readMqtt5` of src/v5/trace.ts; on one with 3.1.1 it does
 * nothing.
 *
 * Invariant: what passes is the same with it and without it, whatever passes and whatever the listener does, as long as
 * it does not call a client: it is called within what the client does.
 */
import type { Hal, Socket, SocketFailure, SocketHandler, Text } from "../../hal/socket.js";
import { asCallback, asFlag, asInteger, isNil, show, wrong } from "../arguments.js";
import { MAX_REMAINING_LENGTH } from "../wire.js";
import type { Mqtt5Reader, Packet, ReaderOptions } from "./packets.js";
import { PacketReader, SCRATCH_MIN } from "./packets.js";

export { describeConnection, describePacket } from "./packet-text.js";
export type {
  AckPacket,
  AuthPacket,
  ConnackPacket,
  ConnectPacket,
  DisconnectPacket,
  EmptyPacket,
  MalformedPacket,
  Mqtt5Reader,
  Packet,
  Passage,
  PublishPacket,
  SubackPacket,
  SubscribePacket,
  TracedMessage,
  TracedProperties,
  TracedSubscription,
  UnsubscribePacket,
} from "./packets.js";

/** Something happens to a connection. */
export interface ConnectionEvent {
  /**
   * - `"opening"`: the client asked for it.
   * - `"up"`: it is established, TLS included.
   * - `"ended"`: it was lost, or never came up; `failure` and `detail` say why.
   * - `"closed"`: the client closed it.
   */
  type: "opening" | "up" | "ended" | "closed";
  /** As for the packets that pass on it. */
  connectionNumber: number;
  /** As the client asked for it; of an address with a query, which may hold a token, without that. */
  host: string;
  port: number;
  isSecure: boolean;
  /** Undefined unless it ended; also when the platform had no socket left. */
  failure: SocketFailure | undefined;
  /** The platform's own error, where it has one. */
  detail: unknown;
}

/** What a trace tells beside packets. */
export interface TraceOptions {
  /** True: the payloads, too, as far as they fit. Default: false. */
  payload?: boolean;
  /**
   * True: user name and password of CONNECT, too, authentication data, and the query of an address. Default: false.
   */
  credentials?: boolean;
  /**
   * Bytes that are kept of one packet, 16 or more; allotted twice for each connection. What is longer is told as far as
   * it is known. Default: the platform's `rxCapacity`.
   */
  scratchCapacity?: number;
  /** `readMqtt5`, to read connections with MQTT 5. Default: of those only what CONNECT begins with is told. */
  mqtt5?: Mqtt5Reader;
  /** Learns what happens to connections. As `onPacket`, it must not call a client. */
  onConnection?: (event: ConnectionEvent) => void;
}

/** Members that only some platforms have. */
interface Variable {
  webSocket?: unknown;
  configure?(settings: object): Hal;
}

const OPTIONS = ["payload", "credentials", "scratchCapacity", "mqtt5", "onConnection"];

/** What the connections of a HAL have in common. */
class Tracer {
  readonly options: ReaderOptions;
  readonly text: Text;
  private readonly _hal: Hal;
  private readonly _onPacket: (packet: Packet) => void;
  private readonly _onConnection: ((event: ConnectionEvent) => void) | undefined;
  private _opened = 0;

  constructor(hal: Hal, onPacket: (packet: Packet) => void, options: TraceOptions) {
    if (typeof (onPacket as unknown) !== "function") throw wrong("onPacket", "a function", onPacket);
    if (typeof (options as unknown) !== "object") throw wrong("options", "an object", options);
    for (const name in options) {
      if (OPTIONS.indexOf(name) < 0) throw new TypeError("unknown option " + show(name));
    }
    const byDefault = hal.defaults.rxCapacity;
    this.options = {
      payload: asFlag("payload", options.payload, false),
      credentials: asFlag("credentials", options.credentials, false),
      scratchCapacity: asInteger(
        "scratchCapacity", options.scratchCapacity, byDefault, SCRATCH_MIN, MAX_REMAINING_LENGTH,
      ),
      mqtt5: asCallback("mqtt5", options.mqtt5),
    };
    this._hal = hal;
    this._onPacket = onPacket;
    this._onConnection = asCallback("onConnection", options.onConnection);
    this.text = hal.createText();
  }

  /** As `Hal.open`, on `hal`: the one that was given, or that with other settings. */
  open(hal: Hal, host: string, port: number, secure: object | undefined, handler: SocketHandler): Socket | undefined {
    const traced = new TracedSocket(this, ++this._opened, host, port, secure !== undefined, handler);
    const socket = hal.open(host, port, secure, traced);
    traced.opened(socket);
    return socket === undefined ? undefined : traced;
  }

  tell(packet: Packet): void {
    try {
      this._onPacket(packet);
    } catch (error) {
      this.uncaught(error);
    }
  }

  tellConnection(event: ConnectionEvent): void {
    if (this._onConnection === undefined) return;
    try {
      this._onConnection(event);
    } catch (error) {
      this.uncaught(error);
    }
  }

  uncaught(error: unknown): void {
    this._hal.uncaught(error);
  }
}

/** A connection: a socket to the client, a handler to the platform's socket. */
class TracedSocket implements Socket, SocketHandler {
  private readonly _tracer: Tracer;
  private readonly _number: number;
  private readonly _host: string;
  private readonly _port: number;
  private readonly _isSecure: boolean;
  private readonly _handler: SocketHandler;
  private readonly _sent: PacketReader;
  private readonly _received: PacketReader;
  private _socket: Socket | undefined = undefined;
  private _isUp = false;
  private _isOver = false;

  constructor(
    tracer: Tracer,
    connectionNumber: number,
    host: string,
    port: number,
    isSecure: boolean,
    handler: SocketHandler,
  ) {
    const query = tracer.options.credentials ? -1 : host.indexOf("?");
    const tell = (packet: Packet): void => tracer.tell(packet);
    this._tracer = tracer;
    this._number = connectionNumber;
    this._host = query < 0 ? host : host.substring(0, query);
    this._port = port;
    this._isSecure = isSecure;
    this._handler = handler;
    this._received = new PacketReader(tracer.text, false, connectionNumber, tracer.options, tell);
    this._sent = new PacketReader(tracer.text, true, connectionNumber, tracer.options, tell, this._received);
  }

  /** The platform was asked for the socket, and has none left if that is undefined. */
  opened(socket: Socket | undefined): void {
    this._socket = socket;
    this._note("opening");
    if (socket === undefined) this._note("ended");
  }

  read(bytes: Uint8Array, start: number, end: number): number {
    const count = (this._socket as Socket).read(bytes, start, end);
    this._look(this._received, bytes, start, start + count);
    return count;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    const room = (this._socket as Socket).write(bytes, start, end);
    this._look(this._sent, bytes, start, end);
    return room;
  }

  close(): void {
    (this._socket as Socket).close();
    if (this._isOver) return;
    this._isOver = true;
    this._note("closed");
  }

  onReadable(count: number): void {
    this._handler.onReadable(count);
  }

  onWritable(count: number): void {
    if (!this._isUp) {
      this._isUp = true;
      this._note("up");
    }
    this._handler.onWritable(count);
  }

  onError(failure: SocketFailure, detail?: unknown): void {
    this._isOver = true;
    this._note("ended", failure, detail);
    this._handler.onError(failure, detail);
  }

  private _look(reader: PacketReader, bytes: Uint8Array, start: number, end: number): void {
    try {
      reader.push(bytes, start, end);
    } catch (error) {
      this._tracer.uncaught(error);
    }
  }

  private _note(type: ConnectionEvent["type"], failure?: SocketFailure, detail?: unknown): void {
    this._tracer.tellConnection({
      type,
      connectionNumber: this._number,
      host: this._host,
      port: this._port,
      isSecure: this._isSecure,
      failure,
      detail,
    });
  }
}

/**
 * Returns a HAL that does what `hal` does, and hands each packet to `onPacket`: one that was sent when `hal` has taken
 * its last byte, one that was received before the client sees it. Everything else goes to `hal`, its settings
 * (`configure`) included.
 *
 * Costs, in memory: for each connection `scratchCapacity` twice, and the packets themselves. Nothing of it is part of a
 * client that is made on `hal` itself.
 *
 * @param onPacket called within what the client does, so that it must not call a client. The packet is its to keep;
 *   what it throws goes to `hal.uncaught`
 * @throws TypeError or RangeError for options that are unknown or wrong
 */
export function traced(hal: Hal, onPacket: (packet: Packet) => void, options?: TraceOptions): Hal {
  return wrap(hal, new Tracer(hal, onPacket, isNil(options) ? {} : options));
}

/** Member by member, since a HAL may be an instance of a class. */
function wrap(inner: Hal & Variable, tracer: Tracer): Hal {
  const outer: Hal & Variable = {
    open: (host, port, secure, handler) => tracer.open(inner, host, port, secure, handler),
    checkSecure: (secure) => inner.checkSecure(secure),
    createTimer: (onTimer) => inner.createTimer(onTimer),
    now: () => inner.now(),
    createText: () => inner.createText(),
    uncaught: (error) => inner.uncaught(error),
    generateId: () => inner.generateId(),
    defaults: inner.defaults,
  };
  if (inner.webSocket !== undefined) outer.webSocket = inner.webSocket;
  if (inner.configure !== undefined) {
    outer.configure = (settings) => wrap((inner as Required<Variable>).configure(settings), tracer);
  }
  return outer;
}
