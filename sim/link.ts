/**
 * The network of simulated devices: leads every connection to the simulation's broker, shows the bytes that pass, and
 * can break a connection. Knows nothing of MQTT.
 */
import { createNodeHal } from "../hal/node.js";
import type { Hal, Socket, SocketFailure, SocketHandler, Timer } from "../hal/socket.js";
import type { DeviceName } from "./wiring.js";

/** Where a connection really goes. */
export interface Route {
  host: string;
  port: number;
  /** As for `Hal.open`. */
  secure: object | undefined;
  /** What the program would not expect of it. */
  note?: string;
}

/** Finds the way to the broker for a connection; `secure` is what the program asked for. */
export type Router = (secure: object | undefined) => Promise<Route>;

/** How a connection ended: by one of its ends, or it never came up, or `cut` broke it. */
export type End = "device" | "broker" | "failure" | "cut";

/** Learns what happens on the network. */
export interface NetworkListener {
  /** A device asks for a connection. */
  onOpen(link: Link): void;
  /** It is up, TLS included. */
  onUp(link: Link): void;
  /** Bytes are sent or received by the device; they are valid during the call. */
  onBytes(link: Link, isFromDevice: boolean, bytes: Uint8Array): void;
  /** It is over. `failure` and `detail` come with the ends "broker" and "failure". */
  onDown(link: Link, end: End, failure?: SocketFailure, detail?: unknown): void;
  /** An error that the program's callback threw. */
  onUncaught(error: unknown): void;
}

/** The network, and everything else that a device's platform has. */
export class Network {
  readonly #hal = createNodeHal();
  readonly #route: Router;
  readonly #listener: NetworkListener;
  readonly #armed = new Set<Timer>();

  constructor(route: Router, listener: NetworkListener) {
    this.#route = route;
    this.#listener = listener;
  }

  /** The platform of a device. */
  hal(name: DeviceName): Hal {
    return {
      ...this.#hal,
      open: (host, port, secure, handler) => {
        const link = new Link(name.number, host, port, secure, handler, this.#listener);
        this.#listener.onOpen(link);
        void this.#route(secure).then((route) => link.start(this.#hal, route));
        return link;
      },
      createTimer: (onTimer) => this.#watched(onTimer),
      uncaught: (error) => this.#listener.onUncaught(error),
    };
  }

  /** True while a client waits for a time to come, with or without a connection. */
  hasTimers(): boolean {
    return this.#armed.size > 0;
  }

  #watched(onTimer: () => void): Timer {
    const timer = this.#hal.createTimer(() => {
      this.#armed.delete(timer);
      onTimer();
    });
    return {
      schedule: (delayMs) => {
        this.#armed.add(timer);
        timer.schedule(delayMs);
      },
      clear: () => {
        this.#armed.delete(timer);
        timer.clear();
      },
    };
  }
}

/** One connection of a device: a socket to the client, a handler to the socket behind it. */
export class Link implements Socket, SocketHandler {
  /** Number of the device, from 1. */
  readonly device: number;
  /** What the program asked for. */
  readonly host: string;
  readonly port: number;
  readonly secure: object | undefined;
  /** Where it really goes, once that is known. */
  route: Route | undefined;
  readonly #handler: SocketHandler;
  readonly #listener: NetworkListener;
  #socket: Socket | undefined;
  #isUp = false;
  #isOver = false;
  #isClosed = false;
  /** Bytes announced and not yet read; once the connection is cut, these bytes. */
  #unread = 0;
  #rest: Uint8Array | undefined;

  constructor(
    device: number,
    host: string,
    port: number,
    secure: object | undefined,
    handler: SocketHandler,
    listener: NetworkListener,
  ) {
    this.device = device;
    this.host = host;
    this.port = port;
    this.secure = secure;
    this.#handler = handler;
    this.#listener = listener;
  }

  /** Connects. */
  start(hal: Hal, route: Route): void {
    if (this.#isOver) return;
    this.route = route;
    this.#socket = hal.open(route.host, route.port, route.secure, this);
  }

  /** Breaks the connection: the broker sees it end without DISCONNECT, the device that it is lost. */
  cut(): void {
    if (this.#isOver) return;
    if (this.#socket !== undefined && this.#unread > 0) {
      this.#rest = new Uint8Array(this.#unread);
      this.#socket.read(this.#rest, 0, this.#unread);
    }
    this.#over("cut");
    this.#socket?.close();
    this.#handler.onError("closed");
  }

  // What the client does.

  read(bytes: Uint8Array, start: number, end: number): number {
    if (this.#rest === undefined) this.#socket!.read(bytes, start, end);
    else {
      bytes.set(this.#rest.subarray(0, end - start), start);
      this.#rest = this.#rest.subarray(end - start);
    }
    this.#unread -= end - start;
    this.#listener.onBytes(this, false, bytes.subarray(start, end));
    return end - start;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    if (this.#isOver) return 0;
    const room = this.#socket!.write(bytes, start, end);
    this.#listener.onBytes(this, true, bytes.subarray(start, end));
    return room;
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    if (this.#isOver) return;
    this.#over("device");
    this.#socket?.close();
  }

  // What the socket behind it says.

  onWritable(count: number): void {
    if (!this.#isUp) {
      this.#isUp = true;
      this.#listener.onUp(this);
    }
    this.#handler.onWritable(count);
  }

  onReadable(count: number): void {
    this.#unread = count;
    this.#handler.onReadable(count);
  }

  onError(failure: SocketFailure, detail?: unknown): void {
    if (this.#isOver) return;
    this.#over(this.#isUp ? "broker" : "failure", failure, detail);
    this.#handler.onError(failure, detail);
  }

  #over(end: End, failure?: SocketFailure, detail?: unknown): void {
    this.#isOver = true;
    this.#listener.onDown(this, end, failure, detail);
  }
}
