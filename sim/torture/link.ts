/**
 * One connection: the device's socket at one end, the broker at the other, and what the network does in between. The
 * device's end keeps to the contract in hal/socket.ts, and reports a client that does not.
 *
 * Invariant: no callback of the device runs inside a call of its own, and none behind `close()`.
 */
import type { Socket, SocketFailure, SocketHandler } from "../../hal/socket.js";
import { Pipe } from "./pipe.js";
import type { Break, Weather } from "./weather.js";
import type { Limits } from "./manners5.js";
import type { World } from "./world.js";

/** The broker's end of a connection. */
export interface Peer {
  onBytes(bytes: Uint8Array, start: number, end: number): void;
  /** The connection is over. */
  onEnd(): void;
}

/** Takes connections; undefined: refused. */
export type Listener = (link: Link) => Peer | undefined;

/** Bytes of PINGREQ and PINGRESP, the shortest packets there are. */
const PING_LENGTH = 2;

export class Link implements Socket {
  readonly device: number;
  readonly weather: Weather;
  /** Counts the connections of a device: also the number of the session on it. */
  number = 0;
  /** Number of the message that was the will when CONNECT left; 0: none. */
  will = 0;
  /** The Content Type that the application has given it. */
  willType: string | undefined;
  /** What CONNECT has to say then. */
  clientId = "";
  saysCleanStart = false;
  /** The broker is to choose the client identifier. */
  isNameless = false;
  /** The application was told that the session began. */
  isAccepted = false;
  /** When it was. */
  acceptedMs = Infinity;
  /** The application has ended it. */
  isClosing = false;
  /** While it was ending, the rest of a message was the application's to write. */
  isOwed = false;
  /** With `close()`, and nothing else. */
  isPolite = false;
  /** Bytes that the client wrote, and of these, those in packets that the broker has read whole. */
  written = 0;
  understood = 0;
  /** The client has called `close()`, or its device lost power. */
  isClosed = false;
  /** Something was taken from it, or held back: what should have happened on it may not have. */
  isDisturbed = false;
  isConnected = false;
  /** When it fell silent; below 0: it has not. */
  silentSinceMs = -1;
  /** When the client wrote last; below 0: never. */
  lastWriteMs = -1;
  /** There was room to send ever since. */
  hadRoom = true;
  /** How long the client let pass between two writes at most, with room to send. */
  longestPauseMs = 0;
  /** Session Present as the broker has sent it; undefined: no CONNACK that accepts. */
  sessionPresent: boolean | undefined;
  /** Return codes of each SUBACK, in the order of the SUBSCRIBEs. */
  readonly granted: (number[] | undefined)[] = [];
  /** Reason codes of each UNSUBACK, in the order of the UNSUBSCRIBEs. */
  readonly removed: (number[] | undefined)[] = [];
  /** What the broker has said in CONNACK that it takes; undefined: no CONNACK of MQTT 5 that accepts. */
  limits: Limits | undefined;
  /** The keep alive time that the broker has chosen; undefined: it has not. */
  keepAliveSeconds: number | undefined;
  /** Reason code of the CONNACK that has refused, and what it gave as its reason. */
  refusal: { code: number; reason: string | undefined } | undefined;
  /** Reason code of the broker's DISCONNECT. */
  dismissal: number | undefined;
  /** The same, once the application was told. */
  dismissed: number | undefined;
  /** Reason codes that answer what the broker has done, against the rules. */
  offence: readonly number[] | undefined;
  /** Operations that were read and not acknowledged for good, and when one was last. */
  unanswered = 0;
  answeredMs = 0;
  /** PUBRELs that were read and not answered. */
  unreleased = 0;
  /** The client has ended it for that. */
  isViolated = false;
  /** It was taken away, or stood still. */
  isStruck = false;
  /** What `close` was told to say where it had something to end. */
  readonly closeCodes: number[] = [];
  /** The broker has read DISCONNECT. */
  hasDisconnect = false;
  /** Called with the first write, which is CONNECT's. */
  onFirstWrite: (() => void) | undefined;
  /** Called when it fell silent. */
  onSilent: (() => void) | undefined;
  private readonly _world: World;
  private readonly _handler: SocketHandler;
  private readonly _up: Pipe;
  private readonly _down: Pipe;
  private _peer: Peer | undefined;
  /** Bytes that the network took from the client and that have not left the socket. */
  private _used = 0;
  /** Of these, those that have arrived: their room comes back with the next event. */
  private _freed = 0;
  private _isRoomDue = false;
  /** Announced, and not read. */
  private _unread = 0;
  /** Room that the client knows of. */
  private _room = -1;
  private _isBroken = false;
  /** The device has no power: what its program still does has no effect. */
  private _isOff = false;
  private _isPeerClosed = false;
  /** The device is to be told so. */
  private _isFailing = false;
  private _packetsUp = 0;
  /** Each write: how many bytes were written behind it, and when it was. */
  private readonly _writes: { behind: number; atMs: number }[] = [];
  private _packetsDown = 0;

  constructor(world: World, device: number, weather: Weather, handler: SocketHandler) {
    this._world = world;
    this.device = device;
    this.weather = weather;
    this._handler = handler;
    this._up = new Pipe(world, weather, weather.piecesUp, () => Infinity, (count) => {
      this._arrivedUp(count);
    }, () => {
      this._cut();
    });
    this._down = new Pipe(world, weather, weather.piecesDown, () => weather.window - this._unread, (count) => {
      this._unread += count;
      if (!this.isClosed) this._handler.onReadable(this._unread);
    }, () => {
      this._cut();
    });
    const { cut } = weather;
    if (cut !== undefined) (cut.isUp ? this._up : this._down).cutAt = cut.bytes;
  }

  /** Starts the attempt. */
  start(listener: Listener): void {
    const { connect, connectMs } = this.weather;
    if (connect === "never") return;
    this._world.after(connectMs, () => {
      if (this.isClosed) return;
      if (connect !== "ok") return this._fail(connect as SocketFailure);
      this._peer = listener(this);
      if (this._peer === undefined) return this._fail("refused");
      this.isConnected = true;
      const { stall } = this.weather;
      if (stall !== undefined) {
        this._world.after(stall.atMs, () => {
          this.stall(stall.lengthMs);
        });
      }
      this._room = this.weather.room;
      this._handler.onWritable(this._room);
    });
  }

  // The device's end.

  read(bytes: Uint8Array, start: number, end: number): number {
    const count = end - start;
    if (this._isOff) return count;
    if (this.isClosed) throw this._world.fail(this.device, "socket: read behind close()");
    if (count < 0 || end > bytes.length) throw this._world.fail(this.device, "socket: read to a range that is none");
    if (count > this._unread) {
      throw this._world.fail(this.device, `socket: read ${count} bytes, ${this._unread} were announced`);
    }
    const from = this._down.start;
    for (let i = 0; i < count; i++) bytes[start + i] = this._down.bytes[from + i];
    this._down.take(count);
    this._unread -= count;
    this._down.goOn();
    if (this._isFailing && this._unread === 0) {
      this._world.after(0, () => {
        this._failWhenRead();
      });
    }
    return count;
  }

  write(bytes: Uint8Array, start: number, end: number): number {
    const count = end - start;
    if (this._isOff) return 0;
    if (this.isClosed) throw this._world.fail(this.device, "socket: write behind close()");
    if (this._room < 0) throw this._world.fail(this.device, "socket: write before it is connected");
    if (count < 0 || end > bytes.length) throw this._world.fail(this.device, "socket: write of a range that is none");
    if (count > this._room) {
      throw this._world.fail(this.device, `socket: wrote ${count} bytes, there was room for ${this._room}`);
    }
    const { nowMs } = this._world;
    if (this.lastWriteMs < 0) this.onFirstWrite?.();
    else if (this.hadRoom) this.longestPauseMs = Math.max(this.longestPauseMs, nowMs - this.lastWriteMs);
    this.lastWriteMs = nowMs;
    this.written += count;
    this._writes.push({ behind: this.written, atMs: nowMs });
    if (this._isPeerClosed) return (this._room = 0);
    this._used += count;
    if (!this._isBroken) this._up.push(bytes, start, end);
    this._room = this.weather.room - this._used;
    this.hadRoom = this._room > 0;
    return this._room;
  }

  close(): void {
    if (this.isClosed) return;
    this.isClosed = true;
    this._down.drop();
    if (this._isBroken) return;
    this._up.end(() => {
      this._endPeer();
    });
  }

  /** The device has lost its power: nothing comes from it any more, and nobody tells the broker. */
  loseDevice(): void {
    this._isOff = true;
    this.isClosed = true;
    this.isDisturbed = true;
    this._isBroken = true;
    this._up.drop();
    this._down.drop();
  }

  // The broker's end.

  /** When the byte left that is to be understood next. */
  writtenMs(): number {
    while (this._writes.length > 0 && this._writes[0].behind <= this.understood) this._writes.shift();
    return this._writes.length === 0 ? this.lastWriteMs : this._writes[0].atMs;
  }

  /** Sends to the device. */
  send(bytes: Uint8Array, end: number): void {
    if (this._isBroken || this.isClosed || this._isPeerClosed) return;
    this._down.push(bytes, 0, end);
    const { cutPackets } = this.weather;
    this._packetsDown++;
    if (cutPackets !== undefined && !cutPackets.isUp && this._packetsDown === cutPackets.packets) {
      this._down.cutAt = Math.min(this._down.cutAt, this._down.pushed);
    }
  }

  /** The broker has read a packet of so many bytes. */
  packetRead(length: number): void {
    this.understood += length;
    const { cutPackets } = this.weather;
    this._packetsUp++;
    if (cutPackets?.isUp === true && this._packetsUp === cutPackets.packets) this.break(cutPackets.how);
  }

  /** The broker ends the connection: in good order, or by a reset, which loses what is on its way. */
  hangUp(isReset: boolean): void {
    this._peer = undefined;
    if (isReset) return this.break("reset");
    if (this._isBroken) return;
    this._isBroken = true;
    this._up.drop();
    this._down.end(() => {
      this._peerHasClosed();
    });
  }

  // The network.

  /** Nothing is on its way but what keeps it alive. */
  get isQuiet(): boolean {
    return this._up.left <= PING_LENGTH && this._down.left <= PING_LENGTH;
  }

  /** Everything that was sent to the device was read, or will never be. */
  get isHeard(): boolean {
    return this._down.left === 0 && this._unread === 0;
  }

  /** Takes the connection away. */
  break(how: Break): void {
    if (this._isBroken || !this.isConnected) return;
    const { random, trace } = this._world;
    if (trace !== undefined) this._world.note(this.device, `~~~ network: ${how}`);
    this._isBroken = true;
    this.isDisturbed = true;
    this.isStruck = true;
    this._up.drop();
    if (how === "fin") {
      this._down.end(() => {
        this._peerHasClosed();
      });
    } else {
      this._down.drop();
      if (how === "silent") {
        this.silentSinceMs = this._world.nowMs;
        this.onSilent?.();
        return;
      }
      this._world.after(random.between(0, 50), () => {
        this._peerHasClosed();
      });
    }
    this._world.after(random.chance(80) ? random.between(0, 100) : random.between(0, 20000), () => {
      this._endPeer();
    });
  }

  /** Holds everything back for a while. */
  stall(lengthMs: number): void {
    if (this._world.isHealed || this.isClosed || this._isBroken) return;
    if (this._world.trace !== undefined) this._world.note(this.device, `~~~ network: stalls for ${lengthMs} ms`);
    this.isDisturbed = true;
    this.isStruck = true;
    this._up.stalledUntilMs = this._down.stalledUntilMs = this._world.nowMs + lengthMs;
  }

  private _cut(): void {
    const { cut, cutPackets } = this.weather;
    if (!this._world.isHealed) this.break((cut ?? cutPackets)?.how ?? "reset");
  }

  private _arrivedUp(count: number): void {
    const { start, bytes } = this._up;
    this._freed += count;
    if (!this._isRoomDue) {
      this._isRoomDue = true;
      const { roomLateMs } = this.weather;
      this._world.after(roomLateMs, () => {
        this._isRoomDue = false;
        this._used -= this._freed;
        this._freed = 0;
        if (this.isClosed || this._isPeerClosed || this._isBroken) return;
        this._room = this.weather.room - this._used;
        this._handler.onWritable(this._room);
      });
    }
    this._peer?.onBytes(bytes, start, start + count);
    this._up.take(count);
  }

  private _peerHasClosed(): void {
    if (this.isClosed || this._isPeerClosed) return;
    this._isPeerClosed = true;
    this._world.after(this._world.random.between(0, 20), () => {
      this._isFailing = true;
      this._failWhenRead();
    });
  }

  private _endPeer(): void {
    const peer = this._peer;
    this._peer = undefined;
    peer?.onEnd();
  }

  /** The end comes behind what was announced, once that is read: so do all platforms in hal. */
  private _failWhenRead(): void {
    if (!this.isClosed && this._isFailing && this._unread === 0) this._fail("closed");
  }

  private _fail(failure: SocketFailure): void {
    if (this._world.trace !== undefined) this._world.note(this.device, `~~~ network: onError ${failure}`);
    this._room = -1;
    this._handler.onError(failure, undefined);
    // Whatever the client does then, the socket is gone.
    this.isClosed = true;
  }
}
