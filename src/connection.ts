/**
 * Drives a session over a platform's socket and timer: opens and closes, moves bytes both ways, keeps the deadlines,
 * gathers messages in the receive buffer, and says how each attempt and each session ended.
 *
 * Knows neither MQTT's rules (the session's) nor the shape of the application's callbacks (the face's above it).
 *
 * Invariants: the owner hears something only while the platform calls (a socket's callback or the timer), never inside
 * a call of its own. Each attempt that is neither given up nor superseded has one outcome, `onConnect` or
 * `onConnectFail`; each accepted session has one `onOffline`. Before an outcome is told, nothing later is.
 */
import type { Hal, Socket, SocketFailure, SocketHandler, Text, Timer } from "../hal/socket.js";
import type { Codec, Subscriptions } from "./codec.js";
import { CONN_FAIL_DNS, CONN_FAIL_SERVER_NOT_FOUND, END_BY_APPLICATION, END_BY_PEER, NO_ROOM } from "./errors.js";
import type { SessionHandler, SessionOptions } from "./session.js";
import { Session } from "./session.js";
import { QOS_1, SUBACK } from "./wire.js";

/** What a connection is made of. */
export interface ConnectionOptions extends SessionOptions {
  /** Bytes of the longest packet that is delivered as a message; a longer one overflows. */
  maxMessageLength: number;
  /** Milliseconds for name resolution, TCP and TLS together. */
  connectTimeoutMs: number;
  /** Bytes of the receive buffer, at least `maxMessageLength`. */
  rxCapacity: number;
}

/** Learns what happens on a connection. */
export interface ConnectionHandler {
  onConnect(sessionPresent: boolean): void;
  /**
   * @param reason one of NodeMCU's, or the return code of CONNACK; @param detail the platform's error, if there is one
   */
  onConnectFail(reason: number, detail: unknown): void;
  /** @param reason why, see `errors.ts` */
  onOffline(reason: number): void;
  /**
   * A message. Its payload is `bytes[start..end)`, the receive buffer's, valid during the call.
   *
   * @param flags DUP, QoS and RETAIN as in the first byte of the packet
   * @param offset WHOLE; CUT: the packet was longer than `maxMessageLength`, and this is as much of its payload as
   *   fits, the topic name being empty when even that did not; or where in the payload this piece of it begins
   * @param total bytes of the payload, if this is a piece of it
   */
  onMessage(
    topic: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    flags: number,
    packetId: number,
    offset: number,
    total: number,
  ): void;
  /** True when messages longer than `maxMessageLength` are to be told in pieces. */
  wantsData(): boolean;
  /** `drain` is over. `isDrained` false: it took too long. */
  onDrain(isDrained: boolean): void;
  /** True when `onDone` of this type does anything; if not, it may be left out when room is needed. */
  listens(type: number): boolean;
  /**
   * An operation ended, as `Outbox.doneType` says.
   *
   * @param granted the return codes, if it was a subscribe
   */
  onDone(type: number, granted: Uint8Array | undefined): void;
}

/** What `onMessage` hands over is the whole payload, */
export const WHOLE = -1;
/** or its beginning, without the rest. */
export const CUT = -2;

/** Is added to a reason that is to be told, so that none is 0. */
const OUTCOME = 256;

/** Where a connection goes. */
interface Target {
  host: string;
  port: number;
  secure: object | undefined;
  autoReconnect: boolean;
  /** The pause before the try that is under way, in milliseconds; 0: it is the first. */
  retryMs: number;
}

/** First and longest pause before a lost connection is tried again; it doubles from one to the next. */
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 64000;

/** One client's connection, and the session that outlives it. */
export class Connection implements SessionHandler, SocketHandler {
  /** Learns what happens. Who takes its place passes on what it hears. */
  handler: ConnectionHandler;
  readonly session: Session;
  readonly _hal: Hal;
  readonly _maxMessageLength: number;
  private readonly _connectTimeoutMs: number;
  private readonly _timer: Timer;
  private _isArmed = false;
  private _armedMs = 0;
  /** The platform is calling. What the application does then takes effect when that call ends. */
  private _isRunning = false;
  /** Time of that call, or of the application's call that is under way outside of one; later where callbacks ran. */
  private _nowMs = 0;

  /** The socket of the attempt or session. */
  private _socket: Socket | undefined = undefined;
  /** Bytes that it takes; below 0 until it is connected, and when there is none. */
  private _room = -1;
  /** Bytes that it has for us. */
  private _readable = 0;
  /** Where it goes. Undefined once it has got there and will not be sent again. */
  private _target: Target | undefined = undefined;
  /** Where to go once what there is has ended and its outcome is told. */
  _nextTarget: Target | undefined = undefined;
  /** By when the socket must be connected, or when to try again. */
  _deadlineMs = 0;
  private _isAccepted = false;
  /** The socket has ended, and the session ends once what is in the receive buffer has been read. */
  private _isOver = false;
  /** The application has given it up. */
  private _isClosing = false;

  /** The outcome to tell, or 0: OUTCOME and its reason, which says by its range whether of a session or an attempt. */
  private _outcome = 0;
  private _detail: unknown = undefined;

  /** A pause before a try is under way. */
  private _isPausing = false;

  /** `drain` waits, until `_drainedMs` at the latest. */
  private _isDraining = false;
  private _drainedMs = 0;

  /**
   * The receive buffer. `_rxStart.._rxEnd` is received and not read; in front of it gathers what the decoder or a
   * message needs to have together.
   */
  readonly rx: Uint8Array;
  private _rxStart = 0;
  private _rxEnd = 0;
  // The message that is being received.
  private _topic = "";
  /** Bytes of its payload to hand over, below 0 once that is done. */
  _wanted = -1;
  /** Bytes of it at the front of the receive buffer. */
  _gathered = 0;
  /** WHOLE, CUT, or where in its payload the next piece begins. */
  _offset = WHOLE;

  /**
   * @param hal the platform
   * @param codec the version of MQTT
   * @param text the platform's conversion of text
   * @param options capacities and times, all in range
   * @param handler learns what happens
   */
  constructor(hal: Hal, codec: Codec, text: Text, options: ConnectionOptions, handler: ConnectionHandler) {
    this._hal = hal;
    this.handler = handler;
    this._maxMessageLength = options.maxMessageLength;
    this._connectTimeoutMs = options.connectTimeoutMs;
    this.rx = new Uint8Array(options.rxCapacity);
    this.session = new Session(this, codec, text, this.rx, options);
    this._timer = hal.createTimer(() => {
      this._onTimer();
    });
  }

  /** True while there is neither a session nor an attempt, and nothing to be told. */
  isIdle(): boolean {
    const isOver = this._socket === undefined && this._nextTarget === undefined && !this._isPausing;
    return isOver && !this._outcome;
  }

  /**
   * Starts an attempt; there must be no session up. An attempt under way is superseded. What is ending ends first.
   * Returns false, and changes nothing, when the platform has no socket left.
   */
  connect(host: string, port: number, secure: object | undefined, autoReconnect: boolean): boolean {
    const target: Target = { host, port, secure, autoReconnect, retryMs: 0 };
    if (this._outcome || this._isClosing || this._isAccepted) {
      this._nextTarget = target;
      this._isPausing = false;
      return true;
    }
    if (!this._open(target)) return false;
    this._nextTarget = undefined;
    this.afterCall();
    return true;
  }

  /**
   * Ends a session, or an attempt whose CONNECT is out, in good order, and stops connecting again. Returns false when
   * there is neither; an attempt without a connection yet goes on.
   */
  close(): boolean {
    // Also when an attempt goes on: what becomes of that is not tried again.
    const target = this._target;
    if (target) target.autoReconnect = false;
    if (this._nextTarget) this._nextTarget.autoReconnect = false;
    this._isPausing = false;
    if (this._socket && this._room < 0 && target && target.retryMs > 0) this._giveUp();
    const isClosing = this._room >= 0 && this.session.disconnect(this._hal.now());
    if (isClosing) this._isClosing = true;
    this.afterCall();
    return isClosing;
  }

  /** Ends everything at once, without DISCONNECT. Returns false when there was nothing to end. */
  abort(): boolean {
    const isEnding = this._socket !== undefined || this._nextTarget !== undefined || this._isPausing;
    this._nextTarget = undefined;
    this._isPausing = false;
    if (this._socket) this._giveUp();
    this.afterCall();
    return isEnding;
  }

  /**
   * Waits until everything is sent and acknowledged, for `timeoutMs` at most; `onDrain` tells. Returns false when that
   * is waited for already.
   */
  drain(timeoutMs: number): boolean {
    if (this._isDraining) return false;
    this._isDraining = true;
    // Whatever timer is set: the event that is under way, and each that follows, has to look whether that is over.
    this._isArmed = false;
    this._drainedMs = this._hal.now() + timeoutMs;
    this.afterCall();
    return true;
  }

  /** Stops reading, until `resume` or the end of the session. Returns false when there is no session. */
  pause(): boolean {
    if (!this._isAccepted) return false;
    this.session.pause();
    return true;
  }

  /** The end of `pause`. Returns false when there was none. */
  resume(): boolean {
    if (!this.session.isPaused) return false;
    this._readClock();
    this.session.resume(this._nowMs);
    // What is there is read when the platform calls.
    this._arm(true);
    return true;
  }

  /** As `Session.queue`. */
  queue(kind: number, subject: string | Subscriptions, payload: string | Uint8Array): number {
    // Filters have kinds that are greater.
    if (kind < QOS_1 && !this._isRunning && this._room > 0) {
      // Where the timer is to fire as soon as it can, as behind the first message of a turn, the last time will do.
      const isLate = this._isArmed && ((this._armedMs - this._nowMs) | 0) <= 0;
      const nowMs = isLate ? this._nowMs : this._hal.now();
      const session = this.session;
      const count = session.publishAtOnce(subject as string, payload, kind, this._room, nowMs);
      if (count < 0) return count;
      if (count > 0) {
        this._nowMs = nowMs;
        this._room = this._socket!.write(session.outbox.arena, 0, count);
        this._arm();
        return 0;
      }
    }
    let result = this.session.queue(kind, subject, payload);
    if (result === NO_ROOM && this.makeRoom()) result = this.session.queue(kind, subject, payload);
    this.afterCall();
    return result;
  }

  // What the socket says.

  onWritable(count: number): void {
    const isFirst = this._room < 0;
    this._readClock();
    this._room = count;
    if (isFirst) this.session.connect(this._nowMs);
    this._run();
  }

  onReadable(count: number): void {
    this._nowMs = this._hal.now();
    this._readable = count;
    this._run();
  }

  onError(failure: SocketFailure, detail?: unknown): void {
    this._readClock();
    this._isRunning = true;
    // What came before the end counts, a CONNACK that refuses above all. Nothing can be answered any more.
    if (this._room > 0) this._room = 0;
    this._receive(true);
    // What a pause has left in the receive buffer counts, too.
    this._isOver = this._rxStart < this._rxEnd && this.session.isPaused;
    if (this._socket && !this._isOver) {
      const reason = failure === "dns" ? CONN_FAIL_DNS : CONN_FAIL_SERVER_NOT_FOUND;
      this._finish(this._isAccepted ? END_BY_PEER : reason, detail);
    }
    this._run();
  }

  // What the session says.

  onConnect(sessionPresent: boolean): void {
    this._isAccepted = true;
    const target = this._target;
    if (target && target.autoReconnect) target.retryMs = 0;
    else this._target = undefined;
    this.handler.onConnect(sessionPresent);
  }

  onEnd(reason: number): void {
    this._finish(reason);
  }

  onMessage(topic: string, _flags: number, _packetId: number, payloadLength: number, packetLength: number): void {
    const excess = packetLength - this._maxMessageLength;
    this._topic = topic;
    this._wanted = payloadLength;
    this._offset = WHOLE;
    if (excess <= 0) return;
    if (this.handler.wantsData()) {
      this._offset = 0;
      return;
    }
    this._offset = CUT;
    this._wanted = excess < payloadLength ? payloadLength - excess : 0;
  }

  onWhole(
    topic: string,
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    packetLength: number,
  ): void {
    if (packetLength <= this._maxMessageLength) {
      this.handler.onMessage(topic, bytes, start, end, flags, packetId, WHOLE, 0);
    } else {
      this.onMessage(topic, flags, packetId, end - start, packetLength);
      this.onPayload(bytes, start, end);
    }
  }

  onPayload(bytes: Uint8Array, start: number, end: number): void {
    if (this._offset >= 0) {
      this._hand(bytes, start, end);
      this._offset += end - start;
      return;
    }
    const missing = this._wanted - this._gathered;
    if (missing < 0) return;
    const part = end - start < missing ? end - start : missing;
    if (part === this._wanted) return this._deliver(bytes, start, start + part);
    // `bytes` is the receive buffer, read up to `end` and no further: the part moves to its front, unless it is there.
    if (start > this._gathered) bytes.copyWithin(this._gathered, start, start + part);
    this._gathered += part;
    if (part === missing) this._deliver(bytes, 0, this._gathered);
  }

  onDone(): void {
    const session = this.session;
    const outbox = session.outbox;
    // What the callbacks queue and send meanwhile has its turn later, lest they keep the platform waiting for ever.
    for (let left = outbox.operations + outbox.atOnce; left > 0; left--) {
      const type = outbox.doneType;
      if (type < 0) return;
      const granted = type === SUBACK ? session.grantedCodes() : undefined;
      outbox.dropDone();
      this.handler.onDone(type, granted);
    }
  }

  private _deliver(bytes: Uint8Array, start: number, end: number): void {
    this.session.remember();
    this._wanted = -1;
    this._gathered = 0;
    this._hand(bytes, start, end);
  }

  _hand(bytes: Uint8Array, start: number, end: number): void {
    const flags = this.session.receivedFlags;
    const packetId = this.session.receivedId;
    this.handler.onMessage(this._topic, bytes, start, end, flags, packetId, this._offset, this._wanted);
  }

  private _onTimer(): void {
    this._isArmed = false;
    if (this._isOver && !this.session.isPaused) return this.onError("closed");
    const nowMs = this._hal.now();
    this._nowMs = nowMs;
    if (this._room >= 0) {
      this.session.tick(nowMs);
    } else if (((this._deadlineMs - nowMs) | 0) <= 0) {
      if (this._socket) this._finish(CONN_FAIL_SERVER_NOT_FOUND);
      else if (this._isPausing) this._openLater(this._target!);
    }
    this._run();
  }

  /** Everything that may follow from an event of the platform. */
  private _run(): void {
    const session = this.session;
    this._isRunning = true;
    const isReceiving = this._readable > 0 || this._rxStart < this._rxEnd;
    if (isReceiving) this._receive();
    // The usual end: messages were handed over, and that was all.
    if (!this._isArmed || ((this._armedMs - session.deadlineMs) | 0) > 0 || !session.isQuiet()) {
      const outbox = session.outbox;
      // Callbacks take their time: what is sent behind them was not sent before, and a timer begins when it is set.
      if (isReceiving) this._nowMs = this._hal.now();
      if (outbox.atOnce === 0 || outbox.operations > 0) this._flush();
      if (outbox.doneType >= 0) {
        this.onDone();
        this._nowMs = this._hal.now();
        if (!session.isQuiet()) this._flush();
      }
      if (this._outcome || this._nextTarget) {
        this._settle();
        this._readClock();
      }
      if (this._isDraining) this._tellDrained();
      this._arm();
    }
    this._isRunning = false;
  }

  private _readClock(): void {
    this._nowMs = this._hal.now();
  }

  /** What follows from a call of the application: bytes may leave, but callbacks wait for the platform's next call. */
  afterCall(): void {
    if (this._isRunning) return;
    this._readClock();
    this._flush();
    this._arm();
  }

  /** Reads all that has arrived, as long as its acknowledgements find room, or none will leave: `isOver`. */
  private _receive(isOver?: boolean): void {
    const session = this.session;
    const rx = this.rx;
    while (!session.isPaused) {
      if (this._rxStart === this._rxEnd) {
        if (this._readable === 0) return;
        const start = session.decoder.filled + this._gathered;
        let count = rx.length - start;
        if (count > this._readable) count = this._readable;
        this._readable -= count;
        this._rxStart = start;
        this._rxEnd = start + this._socket!.read(rx, start, start + count);
      }
      const at = session.receive(rx, this._rxStart, this._rxEnd, this._nowMs);
      // The session may have ended, and with it the socket and what came from it.
      if (this._rxEnd === 0) return;
      this._rxStart = at;
      if (at === this._rxEnd) continue;
      if (isOver) session.forgetAcknowledgements();
      this._readClock();
      this._flush();
      if (session.isHeld()) return;
    }
  }

  /** Writes all that may be sent, as long as the socket takes it. */
  private _flush(): void {
    const session = this.session;
    while (this._room > 0) {
      const pending = session.pending(this._room);
      if (pending === 0) return;
      const count = pending < this._room ? pending : this._room;
      this._room = this._socket!.write(session.out, session.outStart, session.outStart + count);
      session.sent(count, this._nowMs);
    }
  }

  /**
   * There was no room for an operation. True when there may be now: inside callbacks what is queued has not left yet,
   * and outcomes that nobody listens for need not be told.
   */
  makeRoom(): boolean {
    const session = this.session;
    if (!session.isUp()) return false;
    this._readClock();
    this._flush();
    const outbox = session.outbox;
    while (outbox.doneType >= 0 && !this.handler.listens(outbox.doneType)) outbox.dropDone();
    return true;
  }

  /**
   * Opens a socket, in place of one of an attempt under way. Returns false, having changed nothing, when there is none.
   */
  _open(target: Target): boolean {
    const socket = this._hal.open(target.host, target.port, target.secure, this);
    if (!socket) return false;
    if (this._socket) this._drop();
    this._socket = socket;
    this._target = target;
    this._isPausing = false;
    this._deadlineMs = this._hal.now() + this._connectTimeoutMs;
    return true;
  }

  /** Closes the socket and forgets all that belonged to it. */
  private _drop(): void {
    if (this._socket) this._socket.close();
    this._socket = undefined;
    this._room = -1;
    this._readable = 0;
    this._isOver = false;
    this._rxStart = this._rxEnd = 0;
    this._gathered = 0;
    this.session.lost();
  }

  /** The attempt or session has ended. Its outcome is told by `_settle`. */
  _finish(reason: number, detail?: unknown): void {
    const isClosing = this._isClosing;
    const isAccepted = this._isAccepted;
    this._drop();
    this._isClosing = false;
    this._isAccepted = false;
    if (isAccepted || !isClosing) {
      this._outcome = OUTCOME + (isClosing ? END_BY_APPLICATION : reason);
      this._detail = detail;
    }
    const target = this._target;
    if (target && target.autoReconnect && !isClosing && (isAccepted || target.retryMs > 0)) {
      this._isPausing = true;
      target.retryMs = target.retryMs === 0 ? FIRST_RETRY_MS : Math.min(target.retryMs * 2, LAST_RETRY_MS);
      this._deadlineMs = this._hal.now() + target.retryMs;
    }
  }

  /** Ends the attempt or session as the application wants it. */
  private _giveUp(): void {
    this._isClosing = true;
    this._finish(END_BY_APPLICATION);
  }

  /** Tells the outcome there is, and begins what waited for that. */
  private _settle(): void {
    this._tell();
    const next = this._nextTarget;
    if (next && !this._socket) {
      this._nextTarget = undefined;
      this._target = undefined;
      this._openLater(next);
      this._tell();
    }
  }

  /** Tells that everything is sent and acknowledged, or that it took too long. */
  private _tellDrained(): void {
    const isDrained = this.session.isDrained();
    if (!isDrained && ((this._drainedMs - this._nowMs) | 0) > 0) return;
    this._isDraining = false;
    this.handler.onDrain(isDrained);
    this._readClock();
    this._flush();
  }

  /** Opens a socket when the application's call is long over: what goes wrong is the outcome of the attempt. */
  private _openLater(target: Target): void {
    let detail: unknown = undefined;
    try {
      if (this._open(target)) return;
    } catch (error) {
      detail = error;
    }
    this._finish(CONN_FAIL_SERVER_NOT_FOUND, detail);
  }

  /** Tells the outcome there is. */
  private _tell(): void {
    if (!this._outcome) return;
    this.onDone();
    const reason = this._outcome - OUTCOME;
    this._outcome = 0;
    if (reason === END_BY_APPLICATION || reason <= END_BY_PEER) this.handler.onOffline(reason);
    else this.handler.onConnectFail(reason, this._detail);
  }

  /** Sets the timer, to fire at once if `isNow`, unless it will fire early enough as it is. */
  private _arm(isNow?: boolean): void {
    // It fires as soon as it can.
    if (this._isArmed && ((this._armedMs - this._nowMs) | 0) <= 0) return;
    const session = this.session;
    const isDraining = this._isDraining;
    let dueMs = this._nowMs;
    if (!isNow && session.outbox.doneType < 0 && !this._outcome && !(this._nextTarget && !this._socket)) {
      if (this._room >= 0) dueMs = session.deadlineMs;
      else if (this._socket || this._isPausing) dueMs = this._deadlineMs;
      else if (isDraining) dueMs = this._drainedMs;
      else {
        this._isArmed = false;
        this._timer.clear();
        return;
      }
      if (isDraining) {
        if (session.isDrained()) dueMs = this._nowMs;
        else if (((this._drainedMs - dueMs) | 0) < 0) dueMs = this._drainedMs;
      }
    }
    if (this._isArmed && ((this._armedMs - dueMs) | 0) <= 0) return;
    this._armedMs = dueMs;
    const delayMs = (dueMs - this._nowMs) | 0;
    // While draining, each event of the platform has to look whether that is over, as when no timer is set.
    this._isArmed = !isDraining || delayMs <= 0;
    this._timer.schedule(delayMs > 0 ? delayMs : 0);
  }
}
