/**
 * The platform of one life of a device: its sockets, its timer, its clock, its text. Ends with that life.
 *
 * Knows nothing of MQTT. Invariant: once it is dead, nothing it does or calls has any effect.
 */
import type { Capacities, Hal, Socket, SocketHandler, Text, Timer } from "../../hal/socket.js";
import type { Listener } from "./link.js";
import { Link } from "./link.js";
import type { Climate } from "./weather.js";
import { drawWeather } from "./weather.js";
import type { Event, World } from "./world.js";

/** What a device without power is left with. */
const NO_SOCKET: Socket = {
  read: () => 0,
  write: () => 0,
  close: () => undefined,
};

export class DeviceHal implements Hal {
  /** The connection opened last. */
  link: Link | undefined;
  isDead = false;
  readonly defaults: Capacities = { rxCapacity: 512, txCapacity: 512, maxOperations: 16, receiveMaximum: 16 };
  /** Called with each connection that is opened. */
  onLink: ((link: Link) => void) | undefined;
  /** Called when one is to be opened. */
  onOpen: ((host: string) => void) | undefined;
  /** Called with what a callback threw. */
  onUncaught: ((error: unknown) => void) | undefined;
  /** Called behind each event that the platform had for the client. */
  onEvent: (() => void) | undefined;
  private readonly _world: World;
  private readonly _device: number;
  private readonly _climate: Climate;
  private readonly _listener: Listener;
  private readonly _clockMs: number;
  private readonly _text = new AsciiText();

  /** @param clockMs what the clock says when the schedule begins; it wraps at 32 bits */
  constructor(world: World, device: number, climate: Climate, listener: Listener, clockMs: number) {
    this._world = world;
    this._device = device;
    this._climate = climate;
    this._listener = listener;
    this._clockMs = clockMs;
  }

  open(host: string, _port: number, _secure: object | undefined, handler: SocketHandler): Socket | undefined {
    if (this.isDead) return NO_SOCKET;
    this.onOpen?.(host);
    const weather = drawWeather(this._world.random, this._climate, this._world.isHealed);
    if (this._world.trace !== undefined) {
      this._world.note(this._device, `--- open: ${weather.connect}, ${weatherText(weather)}`);
    }
    if (weather.connect === "exhausted") return undefined;
    const link = new Link(this._world, this._device, weather, this._guarded(handler));
    this.link = link;
    this.onLink?.(link);
    link.start(this._listener);
    return link;
  }

  checkSecure(): void {
    throw new TypeError("no TLS here");
  }

  createTimer(onTimer: () => void): Timer {
    let event: Event | undefined;
    const clear = (): void => {
      if (event !== undefined) event.fire = undefined;
      event = undefined;
    };
    return {
      schedule: (delayMs) => {
        clear();
        if (this.isDead) return;
        if (!(delayMs >= 0 && delayMs < 2147483648)) throw this._world.fail(this._device, `timer: ${delayMs} ms`);
        // Timers are late, never early.
        const lateMs = delayMs === 0 ? 0 : this._world.random.below(4);
        event = this._world.after(delayMs + lateMs, () => {
          event = undefined;
          if (this.isDead) return;
          onTimer();
          this.onEvent?.();
        });
      },
      clear,
    };
  }

  now(): number {
    return (this._clockMs + this._world.nowMs) | 0;
  }

  createText(): Text {
    return this._text;
  }

  uncaught(error: unknown): void {
    if (!this.isDead) this.onUncaught?.(error);
  }

  generateId(): string {
    return "0";
  }

  /** The device loses its power. */
  die(): void {
    this.isDead = true;
    this.link?.loseDevice();
  }

  private _guarded(handler: SocketHandler): SocketHandler {
    return {
      onReadable: (count) => {
        if (this.isDead) return;
        handler.onReadable(count);
        this.onEvent?.();
      },
      onWritable: (count) => {
        if (this.isDead) return;
        handler.onWritable(count);
        this.onEvent?.();
      },
      onError: (failure, detail) => {
        if (this.isDead) return;
        handler.onError(failure, detail);
        this.onEvent?.();
      },
    };
  }
}

function weatherText(weather: {
  connectMs: number; leastMs: number; mostMs: number; room: number; window: number; piecesUp: number;
  piecesDown: number;
}): string {
  const { connectMs, leastMs, mostMs, room, window, piecesUp, piecesDown } = weather;
  return `${connectMs} ms; delay ${leastMs}..${mostMs} ms, room ${room}, window ${window}, ` +
    `pieces ${piecesUp} up, ${piecesDown} down`;
}

/** All text of the simulation is ASCII, for which a loop is faster in Node than a view for each conversion. */
export class AsciiText implements Text {
  encode(string: string, bytes: Uint8Array, offset: number, end: number): number {
    const { length } = string;
    if (offset + length > end) return -1;
    for (let i = 0; i < length; i++) bytes[offset + i] = string.charCodeAt(i);
    return offset + length;
  }

  decode(bytes: Uint8Array, start: number, end: number): string {
    let text = "";
    for (let at = start; at < end; at++) text += String.fromCharCode(bytes[at]);
    return text;
  }
}
