/**
 * The exchange of packets with a broker, sans I/O: bytes and time go in, bytes, events and the next deadline come out.
 * One session outlives many connections: packet ids, unacknowledged messages and received QoS 2 ids stay with it.
 *
 * Knows the rules of MQTT, and no socket, timer, text format or callback of an application. How packets look is the
 * codec's.
 *
 * Invariants: a packet once begun is sent to its end before another begins; acknowledgements, PINGREQ and PUBREL do not
 * wait behind operations; after DISCONNECT nothing is sent [MQTT-3.14.4-2]. No method calls the handler but `receive`,
 * `sent` and `tick`; after `onEnd` or `lost` it hears nothing until the next `connect`.
 */
import type { Text } from "../hal/socket.js";
import type {
  Codec,
  ConnectFields,
  DecoderHandler,
  PacketEncoder,
  StreamDecoder,
  Subscriptions,
} from "./codec.js";
import {
  BAD_LENGTH,
  BAD_TOPIC,
  CONN_FAIL_NOT_A_CONNACK_MSG,
  CONN_FAIL_TIMEOUT_RECEIVING,
  CONN_FAIL_TIMEOUT_SENDING,
  END_ACK_OVERDUE,
  END_BY_APPLICATION,
  END_PINGRESP_OVERDUE,
  END_RECEIVE_MAXIMUM,
  NO_ROOM,
  UNEXPECTED_PACKET,
} from "./errors.js";
import { LENGTH, OFFSET, Outbox } from "./outbox.js";
import { isTopicName } from "./topic.js";
import {
  CONNACK,
  DISCONNECT,
  MAX_PACKET_ID,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBREC,
  PUBREL,
  QOS_1,
  QOS_2,
  SUBACK,
  SUBSCRIBE,
  UNSUBSCRIBE,
} from "./wire.js";

/** What a session is made of. Times are in milliseconds below 2^30, capacities as in `Capacities`. */
export interface SessionOptions {
  cleanSession: boolean;
  /** Messages are accepted while there is no connection, too. Not with `cleanSession`. */
  queueOffline: boolean;
  /** Seconds, 1..65535. */
  keepAliveSeconds: number;
  /** Most operations that wait for an acknowledgement at the same time. */
  maxInflight: number;
  /** An operation that is not acknowledged for this long ends the connection. */
  ackTimeoutMs: number;
  /** How long `disconnect` waits for acknowledgements. */
  drainTimeoutMs: number;
  txCapacity: number;
  maxOperations: number;
  receiveMaximum: number;
}

/** Learns what happens. Its methods run inside `receive`, `sent` and `tick`, and may call any method of the session. */
export interface SessionHandler {
  /** The broker accepted the connection. */
  onConnect(sessionPresent: boolean): void;
  /**
   * The connection is to be closed now. `reason` is a code of `errors.ts`: before `onConnect` one of NodeMCU's or a
   * return code of CONNACK, later one of `END_...` or what a decoder found.
   */
  onEnd(reason: number): void;
  /**
   * A message begins, one that is to be delivered.
   *
   * @param topic the topic name; empty when it was too long for the receive buffer
   * @param flags DUP, QoS and RETAIN as in the first byte of the packet
   * @param packetId 0 at QoS 0
   * @param payloadLength bytes that `onPayload` will bring
   * @param packetLength bytes of the whole packet
   */
  onMessage(topic: string, flags: number, packetId: number, payloadLength: number, packetLength: number): void;
  /** A whole message: `onMessage` and, with all of its payload, `onPayload` in one. It need not be remembered. */
  onWhole(
    topic: string,
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    start: number,
    end: number,
    packetLength: number,
  ): void;
  /**
   * The next part of the message's payload, valid during the call; `owed` bytes are still to come. When that is 0 the
   * message is acknowledged once the call returns. To show the application a part before that, call `remember` first.
   */
  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void;
  /**
   * Operations may have their outcome: `outbox.doneType` tells. Not called for messages at QoS 0, which are done once
   * they are sent, nor when the end of the connection makes others the oldest: ask behind `sent` and behind the end.
   */
  onDone(): void;
}

/** The payload of the message at the head of what is to be sent, when it is STREAMED. */
export interface PayloadStream {
  /** Where the bytes lie that `pending` counts, from `start` on. No array of the session's. */
  readonly bytes: Uint8Array;
  readonly start: number;
  /** Count of bytes to be sent now, at most `room`; 0 when there are none at the moment. */
  pending(room: number): number;
  /** The first `count` of these are with the network now. */
  sent(count: number, nowMs: number): void;
}

/** NodeMCU's limits for CONNECT and CONNACK, from connection to acceptance. */
const CONNECT_STEP_MS = 5000;
/** Timers are late by less than this part of the keep alive time, as a shift: a sixteenth. */
const KEEP_ALIVE_MARGIN = 4;
/** How long the last packets may take to leave once nothing is waited for any more. */
export const FLUSH_MS = 5000;
/** Bytes of a PUBREL. */
const PUBREL_LENGTH = 4;
/** Room for acknowledgements that leave together. */
export const CONTROL_CAPACITY = 64;
/** Up to here an acknowledgement, a PINGREQ and a DISCONNECT fit behind it. */
const CONTROL_FULL = CONTROL_CAPACITY - 8;

/** No connection. */
export const IDLE = 0;
/** CONNECT is leaving. */
const SENDING_CONNECT = 1;
export const AWAIT_CONNACK = 2;
export const UP = 3;
/** As UP, but no operation is accepted: what is there is sent and acknowledged, then DISCONNECT follows. */
const DRAINING = 4;
/** As DRAINING, but no acknowledgement is waited for: what is there is sent. */
export const FLUSHING = 5;
/** What is in `control` is the last to leave: DISCONNECT behind the rest, if the application ends the connection. */
export const LEAVING = 6;

/** A message is to be handed on, */
const NEW = 0;
/** is, and its packet id is in `control`, */
const REMEMBERED = 1;
/** or is not: it was before, or it is refused. */
export const REPEATED = 2;

/** One session with a broker. */
export class Session implements DecoderHandler {
  /**
   * When `tick` wants to be called, on the caller's clock. Means something from `connect` to `onEnd` or `lost`. It may
   * be too early, never too late.
   */
  deadlineMs = 0;
  /** What was accepted and not finished. Its outcomes are for the owner to take. */
  readonly outbox: Outbox;
  /** Where the bytes lie that `pending` counts: from `outStart` on, until the next call of any method. */
  out: Uint8Array;
  outStart = 0;
  /** What reads the bytes. */
  readonly decoder: StreamDecoder;
  /** Where payloads of messages come from that are STREAMED. */
  stream: PayloadStream | undefined = undefined;
  /** Nothing is read: what does not come is not missed. */
  isPaused = false;
  /** Who learns what happens. */
  readonly _handler: SessionHandler;
  readonly _text: Text;
  readonly encoder: PacketEncoder;
  // Of the options.
  cleanSession: boolean;
  readonly queuesOffline: boolean;
  keepAliveMs: number;
  readonly _maxInflight: number;
  private readonly _ackTimeoutMs: number;
  readonly drainMs: number;
  /** CONNECT for the next connection. */
  _connect: Uint8Array;
  /** Bytes of CONNECT that are still to be sent: as long as there are, it is `out`. */
  _connectLeft = 0;
  /**
   * Acknowledgements, PINGREQ and DISCONNECT to be sent: `control[_controlStart.._controlEnd)`. From CONTROL_CAPACITY
   * on, up to `receivedEnd`, the packet ids of received QoS 2 messages whose PUBREL has not come, two bytes each: with
   * an array of their own they would cost seven slots more.
   */
  readonly control: Uint8Array;
  private _controlStart = 0;
  _controlEnd = 0;
  receivedEnd = CONTROL_CAPACITY;
  /**
   * Up to here are those that this connection has not mentioned. Their session may be gone without our knowing: when
   * the broker's answer that said so was lost, the next one says that there is a session.
   */
  private _staleEnd = CONTROL_CAPACITY;
  _phase = IDLE;
  /** Bytes are being read: acknowledgements may follow. */
  _isReceiving = false;
  /** Time of the call that is under way, or was last. */
  _nowMs = 0;
  _lastSentMs = 0;
  private _lastReceivedMs = 0;
  /** PINGREQ was sent, or is about to be, and PINGRESP is to come by `_pingDeadlineMs`. */
  _isPinging = false;
  _pingDeadlineMs = 0;
  /** The last call of `tick` that did anything came late. */
  private _wasLate = false;
  /** Where in `control` a PINGREQ ends that has not left; 0 if there is none. */
  _pingEnd = 0;
  /** When DRAINING is over. */
  private _drainedMs = 0;
  /** Why LEAVING, once everything has left. */
  _endReason = END_BY_APPLICATION;
  /** A topic name that was found valid: those of one sender are often the same. */
  _topic = "/";
  // Of the message that is being received: DUP, QoS and RETAIN as in its first byte, its packet id,
  receivedFlags = 0;
  receivedId = 0;
  /** and what the session knows of it. */
  _message = NEW;

  /**
   * @param handler learns what happens
   * @param codec the version of MQTT
   * @param text the platform's conversion of strings
   * @param scratch what `Framer` calls so; `receive` may be given parts of it
   */
  constructor(handler: SessionHandler, codec: Codec, text: Text, scratch: Uint8Array, options: SessionOptions) {
    this._handler = handler;
    this._text = text;
    this.encoder = codec.encoder(text);
    this.decoder = codec.decoder(this, scratch);
    this.outbox = new Outbox(options.txCapacity, options.maxOperations);
    this.control = new Uint8Array(CONTROL_CAPACITY + 2 * options.receiveMaximum);
    this.cleanSession = options.cleanSession;
    this.queuesOffline = options.queueOffline;
    this.keepAliveMs = options.keepAliveSeconds * 1000;
    this._maxInflight = options.maxInflight;
    this._ackTimeoutMs = options.ackTimeoutMs;
    this.drainMs = options.drainTimeoutMs;
    this._connect = this.out = new Uint8Array(0);
  }

  /**
   * Sets what CONNECT says, from the next `connect` on. Returns a negative code of `errors.ts`, and changes nothing,
   * when that cannot be encoded in `maxLength` bytes.
   */
  setConnect(fields: ConnectFields, maxLength: number): number {
    const packet = new Uint8Array(maxLength);
    const length = this.encoder.connect(packet, 0, maxLength, fields);
    if (length > 0) this._connect = packet.slice(0, length);
    return length;
  }

  /** True from CONNACK until `disconnect` or the end: operations are accepted. */
  isUp(): boolean {
    return this._phase === UP;
  }

  /** True when messages are accepted. */
  accepts(): boolean {
    return this._phase === UP || (this.queuesOffline && this._phase < UP);
  }

  /** The network connection is up: CONNECT is to be sent. */
  connect(nowMs: number): void {
    this._phase = SENDING_CONNECT;
    this.decoder.reset();
    this.out = this._connect;
    this._connectLeft = this._connect.length;
    this._isPinging = this._wasLate = false;
    this._lastSentMs = this._lastReceivedMs = nowMs;
    this._step(nowMs, CONNECT_STEP_MS);
  }

  /**
   * Ends in good order: what was accepted is sent and, within `drainTimeoutMs`, acknowledged; then DISCONNECT is sent,
   * then comes `onEnd`. Before CONNACK, DISCONNECT follows CONNECT. Where the network takes nothing, `onEnd` comes some
   * seconds later all the same. Returns false when there is no connection, or when it is ending already.
   */
  disconnect(nowMs: number): boolean {
    if (this._phase === IDLE || this._phase >= DRAINING) return false;
    if (this._phase === UP) {
      this._phase = DRAINING;
      this._drainedMs = nowMs + this.drainMs;
      this._nowMs = nowMs;
      this._notLater(this._drainedMs);
    } else {
      this._leave(nowMs);
    }
    return true;
  }

  /** The network connection is gone, or not wanted any more. What the session has to keep is kept. */
  lost(): void {
    this._phase = IDLE;
    this.isPaused = false;
    this._connectLeft = 0;
    this.forgetAcknowledgements();
    this.decoder.stop();
    this.outbox.disconnect(!this.cleanSession, this.queuesOffline);
    if (this.cleanSession) this.receivedEnd = CONTROL_CAPACITY;
  }

  /**
   * Queues a message. Returns its packet id (0 at QoS 0) or, having queued nothing, a negative code of `errors.ts`:
   * NO_ROOM while there is no session, entry or room, or what is wrong with the topic or the payload.
   *
   * @param topic a valid Topic Name
   * @param payload read during the call only
   * @param flags QoS and RETAIN as in the first byte of the packet
   */
  publish(topic: string, payload: string | Uint8Array, flags: number): number {
    return this.queue(flags, topic, payload);
  }

  /**
   * Encodes a message at QoS 0 that may be sent past the queue, since nothing is in it. Returns how many bytes, from
   * the beginning of the outbox's arena, are to be sent at once; 0 when it has to be queued; or what is wrong with it.
   *
   * @param room how many bytes the network takes now
   */
  publishAtOnce(topic: string, payload: string | Uint8Array, flags: number, room: number, nowMs: number): number {
    const outbox = this.outbox;
    const arena = outbox.arena;
    if (this._phase !== UP || this._controlEnd > 0 || outbox.operations > 0 || outbox.isFull()) return 0;
    const end = this.encoder.publish(arena, 0, room < arena.length ? room : arena.length, flags, 0, topic, payload);
    if (end < 0) return end === NO_ROOM ? 0 : end;
    outbox.sentAtOnce();
    // The deadline stays: a ping under way has left before, and what was planned then is no later than what follows.
    this._nowMs = this._lastSentMs = nowMs;
    return end;
  }

  /** Queues a SUBSCRIBE for at least one filter, all of them valid. Returns as `publish`. */
  subscribe(filters: Subscriptions): number {
    return this.queue(SUBSCRIBE, filters, "");
  }

  /** Queues an UNSUBSCRIBE for at least one filter, all of them valid. Returns as `publish`. */
  unsubscribe(filters: Subscriptions): number {
    return this.queue(UNSUBSCRIBE, filters, "");
  }

  /** The return codes in the SUBACK that ended the oldest operation; they are the caller's. */
  grantedCodes(): Uint8Array {
    const outbox = this.outbox;
    const table = outbox.table;
    const entry = outbox.entry(0);
    const start = table[entry + OFFSET];
    return outbox.arena.slice(start, start + table[entry + LENGTH]);
  }

  /** Bytes at the front of `scratch` that are in use: what is received next must lie behind them. */
  filled(): number {
    return this.decoder.filled;
  }

  /**
   * Reads `bytes[start..end)` and returns how far it came: `end`, or less when `isHeld()`. What is left is to be read
   * once bytes have left, or, if the connection has ended meanwhile, by nobody.
   */
  receive(bytes: Uint8Array, start: number, end: number, nowMs: number): number {
    const phase = this._phase;
    if (phase === IDLE || phase === LEAVING) return end;
    if (this._controlEnd > CONTROL_FULL) return start;
    this._nowMs = this._lastReceivedMs = nowMs;
    if (phase < UP && start < end && !this.decoder.isMidPacket() && bytes[start] !== CONNACK << 4) {
      // At once, since what begins like this may never be complete [MQTT-3.2.0-1]. No other packet can be the first.
      this._violation(UNEXPECTED_PACKET);
      return end;
    }
    this._isReceiving = true;
    const at = this.decoder.push(bytes, start, end);
    this._isReceiving = false;
    if (at >= 0) return at;
    this._violation(at);
    return end;
  }

  /** True while a session is up and nothing is to be sent, waited for or told. */
  isQuiet(): boolean {
    const outbox = this.outbox;
    return this._phase === UP && this._controlEnd + outbox.operations + outbox.atOnce === 0;
  }

  /**
   * True when nothing is under way in either direction: all that was accepted has had its outcome, all that was
   * received at QoS 2 its PUBREL, and what that called for has left.
   */
  isDrained(): boolean {
    const outbox = this.outbox;
    const left = this.receivedEnd - CONTROL_CAPACITY + this._controlEnd + outbox.operations + outbox.atOnce;
    return this._phase <= UP && left === 0;
  }

  /** True when bytes must leave before more can be received: there is no room for one more acknowledgement. */
  isHeld(): boolean {
    return this._controlEnd > CONTROL_FULL;
  }

  /** Nothing is to be read until `resume`: `receive` returns behind the call that is under way. */
  pause(): void {
    this.isPaused = true;
    this.decoder.stop();
  }

  /** The end of `pause`: what is waited for may take as long as if it had been asked for now. */
  resume(nowMs: number): void {
    this.isPaused = false;
    this._nowMs = nowMs;
    this._waitAgain();
    if (this._phase === UP || this._phase === DRAINING) this._plan();
  }

  /** Nothing will leave any more: what is still to be received is not held back by acknowledgements. */
  forgetAcknowledgements(): void {
    this._controlStart = this._controlEnd = this._pingEnd = 0;
  }

  /**
   * The application is about to see the message that is being received, though more of it is to come: it is not to be
   * delivered again, whatever happens [MQTT-4.3.3-2]. Not needed when all of it is there.
   */
  remember(): void {
    if (this._message !== NEW || (this.receivedFlags & QOS_2) === 0) return;
    this._message = REMEMBERED;
    this.control[this.receivedEnd++] = this.receivedId >> 8;
    this.control[this.receivedEnd++] = this.receivedId & 255;
  }

  /**
   * Count of bytes to be sent now, from `out[outStart]` on: whole packets, except that the first may be the rest of one
   * that was begun. Where they are `room` or more, there may be others behind them.
   */
  pending(room: number): number {
    const outbox = this.outbox;
    const phase = this._phase;
    const isSent = outbox.passed === outbox.operations;
    if (isSent && phase === UP && this._controlEnd === 0) return 0;
    if (this._connectLeft > 0) {
      this.outStart = this.out.length - this._connectLeft;
      return this._connectLeft;
    }
    if (isSent && phase > UP && phase < LEAVING && !this._isReceiving) {
      // Not while bytes are being read: what they call for has to leave too.
      if (phase === FLUSHING || outbox.inflight === 0) this._leave(this._nowMs);
    }
    if (this._controlEnd > 0 && outbox.partial === 0) {
      this.out = this.control;
      this.outStart = this._controlStart;
      return this._controlEnd - this._controlStart;
    }
    if (isSent || phase < UP) return 0;
    this.out = outbox.arena;
    this.outStart = outbox.sendStart();
    // Where the connection is refused while FLUSHING, what was begun is to be sent to its end, too.
    const count = outbox.sendable(phase >= FLUSHING ? MAX_PACKET_ID : this._maxInflight, room);
    const stream = this.stream;
    if (count > 0 || !stream || outbox.partial === 0) return count;
    const streamed = stream.pending(room);
    this.out = stream.bytes;
    this.outStart = stream.start;
    return streamed;
  }

  /** The first `count` of the bytes that `pending` counted are with the network now. */
  sent(count: number, nowMs: number): void {
    const outbox = this.outbox;
    this._nowMs = this._lastSentMs = nowMs;
    if (this.out === outbox.arena) {
      outbox.sent(count, nowMs);
    } else if (this.out === this.control) {
      this._controlStart += count;
      if (this._pingEnd > 0 && this._controlStart >= this._pingEnd) {
        this._pingEnd = 0;
        this._pingDeadlineMs = nowMs + this.keepAliveMs;
      }
      if (this._controlStart === this._controlEnd) {
        this._controlStart = this._controlEnd = 0;
        if (this._phase === LEAVING) return this.end(this._endReason);
      }
    } else if (this._connectLeft > 0) {
      this._connectLeft -= count;
      if (this._connectLeft === 0 && this._phase === SENDING_CONNECT) {
        this._phase = AWAIT_CONNACK;
        this._step(nowMs, CONNECT_STEP_MS);
      }
      return;
    } else if (this.stream) {
      this.stream.sent(count, nowMs);
    }
    if (this._phase !== UP && this._phase !== DRAINING) return;
    // Without a ping under way, what was planned is early enough: sending only makes the next one due later.
    if (this._isPinging) this._notLater(this._pingDueMs());
    if (outbox.inflight > 0) this._notLater(nowMs + this._ackTimeoutMs);
  }

  /** Time has passed. Does what is due, and sets `deadlineMs`; there may be something to send then. */
  tick(nowMs: number): void {
    const lateMs = (nowMs - this.deadlineMs) | 0;
    // From -2^30 to -1: not due yet. None is further ahead: one that seems to be has passed half a turn of the clock
    // ago.
    if (this._phase === IDLE || lateMs >>> 30 === 3) return;
    this._nowMs = nowMs;
    // A device that slept has not heard what came meanwhile. One that is always late has heard it by the next time.
    const isLate = lateMs < 0 || lateMs > this.keepAliveMs >> KEEP_ALIVE_MARGIN;
    if (lateMs < 0) this._lastSentMs = nowMs - this.keepAliveMs;
    if (this.isPaused || (isLate && !this._wasLate)) this._waitAgain();
    this._wasLate = isLate;
    const phase = this._phase;
    if (phase === SENDING_CONNECT) return this.end(CONN_FAIL_TIMEOUT_SENDING);
    if (phase === AWAIT_CONNACK) return this.end(CONN_FAIL_TIMEOUT_RECEIVING);
    if (phase > DRAINING) return this.end(phase === LEAVING ? this._endReason : END_BY_APPLICATION);
    if (phase === DRAINING && !isAfter(this._drainedMs, nowMs)) {
      this._phase = FLUSHING;
      this._step(nowMs, FLUSH_MS);
    } else {
      this._keepAlive();
    }
  }

  onConnack(sessionPresent: boolean, returnCode: number): void {
    if (this._phase !== AWAIT_CONNACK) return this._violation(UNEXPECTED_PACKET);
    if (returnCode !== 0) return this.end(returnCode);
    // A broker without the session begins its packet ids anew: an id would no longer mean the message it meant.
    if (!sessionPresent) this.receivedEnd = CONTROL_CAPACITY;
    this._staleEnd = this.receivedEnd;
    this.outbox.resume(sessionPresent, this.encoder);
    this._phase = UP;
    this._plan();
    this._handler.onConnect(sessionPresent);
    if (this._phase >= UP) this._handler.onDone();
  }

  onPublish(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    payloadLength: number,
    packetLength: number,
  ): void {
    const topic = this._accept(flags, packetId, bytes, topicStart, topicEnd);
    if (topic !== undefined) this._handler.onMessage(topic, flags, packetId, payloadLength, packetLength);
  }

  onWhole(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
    start: number,
    end: number,
    packetLength: number,
  ): void {
    const topic = this._accept(flags, packetId, bytes, topicStart, topicEnd);
    if (topic !== undefined) {
      // Before the application sees it.
      if ((flags & QOS_2) !== 0) this.remember();
      this._handler.onWhole(topic, flags, packetId, bytes, start, end, packetLength);
    }
    if (packetId !== 0) this._acknowledge((flags & QOS_1) !== 0 ? PUBACK : PUBREC, packetId);
  }

  /** A message begins. Its topic name if it is to be handed on; undefined if it is repeated, or ends the connection. */
  _accept(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
  ): string | undefined {
    // Nothing of a topic name that was too long is there; it is the only empty one.
    let topic: string | undefined = "";
    if (topicStart < topicEnd) {
      topic = this._text.decode(bytes, topicStart, topicEnd, true);
      if (topic !== this._topic) {
        if (topic === undefined || !isTopicName(topic)) return this._violation(BAD_TOPIC);
        this._topic = topic;
      }
    }
    this.receivedFlags = flags;
    this.receivedId = packetId;
    this._message = NEW;
    if ((flags & QOS_2) !== 0) {
      const index = this._receivedIndex(packetId);
      if (index > 0) {
        this._forget(index);
        this.remember();
        this._message = REPEATED;
        return undefined;
      }
      if (this.receivedEnd === this.control.length) {
        // Those that the broker has not come back to before it sent something new are nothing to it any more.
        if (this._staleEnd === CONTROL_CAPACITY) return this._refuse(END_RECEIVE_MAXIMUM);
        this._forget(CONTROL_CAPACITY);
      }
    }
    return topic;
  }

  onPayload(bytes: Uint8Array, start: number, end: number, owed: number): void {
    if (this._phase < UP) return;
    if (this._message !== REPEATED) {
      // Before the application sees it.
      if (owed === 0) this.remember();
      this._handler.onPayload(bytes, start, end, owed);
    }
    const packetId = this.receivedId;
    if (owed === 0 && packetId !== 0) this._acknowledge((this.receivedFlags & QOS_1) !== 0 ? PUBACK : PUBREC, packetId);
  }

  onAck(type: number, packetId: number): void {
    if (type === PUBREL) {
      const index = this._receivedIndex(packetId);
      if (index > 0) this._forget(index);
      // Also for an id that is not known: the broker may have missed the first PUBCOMP.
      this._acknowledge(PUBCOMP, packetId);
    } else if (type === PUBREC) {
      const outbox = this.outbox;
      const offset = outbox.acknowledge(PUBREC, packetId, PUBREL_LENGTH, this._nowMs);
      if (offset >= 0) this.encoder.short(outbox.arena, offset, offset + PUBREL_LENGTH, PUBREL, packetId);
      // Also for an id that is not known, so that the broker can forget it [MQTT-4.3.3-1]; but not for a message that
      // is still to be sent: behind PUBREL the broker would take it for another one.
      const isOther = offset < 0 && outbox.find(packetId) >= 0;
      if (!isOther || outbox.awaits(PUBCOMP, packetId) >= 0) this._acknowledge(PUBREL, packetId);
    } else if (this.outbox.acknowledge(type, packetId, 0, this._nowMs) >= 0) {
      this._handler.onDone();
    }
  }

  onSuback(packetId: number, bytes: Uint8Array, start: number, end: number): void {
    const outbox = this.outbox;
    const entry = outbox.awaits(SUBACK, packetId);
    if (entry < 0) return;
    const offset = outbox.table[entry + OFFSET];
    const asked = this.encoder.filterCount(outbox.arena, offset, offset + outbox.table[entry + LENGTH]);
    if (asked !== end - start) return this._violation(BAD_LENGTH);
    // The codes wait where the SUBSCRIBE lay, which was longer, until the operation's turn comes.
    outbox.acknowledge(SUBACK, packetId, asked, this._nowMs);
    for (let i = 0; i < asked; i++) outbox.arena[offset + i] = bytes[start + i];
    this._handler.onDone();
  }

  onPingresp(): void {
    // As long as PINGREQ has not left, it is no answer.
    if (this._pingEnd === 0) this._isPinging = false;
  }

  /**
   * What `publish`, `subscribe` and `unsubscribe` come to: queues a message, `kind` being its flags, or filters, `kind`
   * being the type of the packet.
   */
  queue(kind: number, subject: string | Subscriptions, payload: string | Uint8Array): number {
    const outbox = this.outbox;
    const isMessage = typeof subject === "string";
    if (!(isMessage ? this.accepts() : this.isUp()) || outbox.isFull()) return NO_ROOM;
    // The type of a filters' acknowledgement is the next one.
    let ack = kind + 1;
    if (isMessage) ack = (kind & QOS_1) !== 0 ? PUBACK : (kind & QOS_2) !== 0 ? PUBREC : 0;
    let packetId = 0;
    if (ack !== 0) {
      packetId = outbox.nextPacketId();
      if (packetId === 0) return NO_ROOM;
    }
    const bytes = outbox.arena;
    let end;
    do {
      end = isMessage
        ? this.encoder.publish(bytes, outbox.tail, bytes.length, kind, packetId, subject, payload)
        : this.encoder.filters(bytes, outbox.tail, bytes.length, kind, packetId, subject);
    } while (end === NO_ROOM && outbox.compact());
    if (end < 0) return end;
    outbox.add(end, ack, packetId);
    return packetId;
  }

  /** Queues PUBACK, PUBREC, PUBREL or PUBCOMP, unless the connection ended meanwhile. */
  _acknowledge(type: number, packetId: number): void {
    if (this._phase < UP || this._phase === LEAVING) return;
    this._push(type, packetId);
    if (this._controlEnd > CONTROL_FULL) this.decoder.stop();
  }

  _push(type: number, packetId: number): void {
    this._controlEnd = this.encoder.short(this.control, this._controlEnd, CONTROL_CAPACITY, type, packetId);
  }

  /**
   * Ends the connection when the acknowledgements that are due have left: without them the broker would send the same
   * again, to the same end.
   */
  _refuse(reason: number): undefined {
    if (this._controlEnd === 0) return this.end(reason);
    this._message = REPEATED;
    this._phase = LEAVING;
    this._endReason = reason;
    this.decoder.stop();
    this._step(this._nowMs, this.keepAliveMs < FLUSH_MS ? this.keepAliveMs : FLUSH_MS);
  }

  /** Queues DISCONNECT behind everything else. */
  _leave(nowMs: number): void {
    this._phase = LEAVING;
    this._endReason = END_BY_APPLICATION;
    this._push(DISCONNECT, 0);
    this._step(nowMs, FLUSH_MS);
  }

  /** Nothing could be read for a while: what is waited for may take as long as if it had been asked for now. */
  private _waitAgain(): void {
    const nowMs = this._nowMs;
    this._lastReceivedMs = nowMs;
    // The broker wants its next PINGREQ in time, whether its answer to the last one was read or not.
    if (this._pingEnd === 0) this._isPinging = false;
    this._pingDeadlineMs = nowMs + this.keepAliveMs;
    this.outbox.waitAgain(nowMs);
  }

  private _keepAlive(): void {
    const nowMs = this._nowMs;
    const keepAliveMs = this.keepAliveMs;
    if (this._isPinging && this._pingEnd > 0) {
      // PINGREQ cannot overtake a packet that is leaving. As long as that one goes on, the peer is there.
      const extendedMs = this._lastSentMs + keepAliveMs;
      if (this.outbox.partial > 0 && isAfter(extendedMs, this._pingDeadlineMs)) this._pingDeadlineMs = extendedMs;
    } else if (this.decoder.isMidPacket() && isAfter(this._lastReceivedMs + keepAliveMs, this._pingDeadlineMs)) {
      // PINGRESP cannot overtake a packet that is arriving. If that one has gone on since PINGREQ left, it will do.
      this._isPinging = false;
    }
    if (!this._isPinging && !isAfter(this._pingDueMs(), nowMs)) {
      this._isPinging = true;
      this._pingDeadlineMs = nowMs + keepAliveMs;
      this._push(PINGREQ, 0);
      this._pingEnd = this._controlEnd;
    }
    if (this._isPinging && !isAfter(this._pingDeadlineMs, nowMs)) return this.end(END_PINGRESP_OVERDUE);
    // What has come meanwhile was not read.
    if (this.isHeld()) this.outbox.waitAgain(nowMs);
    if (this.outbox.longestWait(nowMs) >= this._ackTimeoutMs) return this.end(END_ACK_OVERDUE);
    this._plan();
  }

  /**
   * When PINGREQ is due: the keep alive time after the last bytes sent [MQTT-3.1.2-23], a little early, since timers
   * are late; the first one also as long after the last byte received, since sending alone does not show that the peer
   * is there.
   */
  _pingDueMs(): number {
    const isQuiet = !this._isPinging && isAfter(this._lastSentMs, this._lastReceivedMs);
    const keepAliveMs = this.keepAliveMs;
    return (isQuiet ? this._lastReceivedMs : this._lastSentMs) + keepAliveMs - (keepAliveMs >> KEEP_ALIVE_MARGIN);
  }

  /** Sets the deadline while UP or DRAINING. */
  private _plan(): void {
    const nowMs = this._nowMs;
    const pingDueMs = this._pingDueMs();
    this.deadlineMs = this._isPinging ? this._pingDeadlineMs : pingDueMs;
    if (isAfter(pingDueMs, nowMs)) this._notLater(pingDueMs);
    if (this._phase === DRAINING) this._notLater(this._drainedMs);
    if (this.outbox.inflight > 0) {
      this._notLater(nowMs + this._ackTimeoutMs - this.outbox.longestWait(nowMs));
    }
  }

  private _notLater(deadlineMs: number): void {
    if (isAfter(this.deadlineMs, deadlineMs)) this.deadlineMs = deadlineMs;
  }

  /** Sets the deadline of a step of the exchange. */
  _step(nowMs: number, lengthMs: number): void {
    this._nowMs = nowMs;
    this.deadlineMs = nowMs + lengthMs;
  }

  /** The broker broke the rules [MQTT-4.8.0-1]. */
  _violation(code: number): undefined {
    this.end(this._phase < UP ? CONN_FAIL_NOT_A_CONNACK_MSG : code);
  }

  end(reason: number): undefined {
    if (this._phase === IDLE) return;
    this.lost();
    this._handler.onEnd(reason);
  }

  /** Takes a received packet id away. */
  _forget(index: number): void {
    this.control.copyWithin(index, index + 2, this.receivedEnd);
    this.receivedEnd -= 2;
    if (index < this._staleEnd) this._staleEnd -= 2;
  }

  /** Where in `control` a received packet id stands, or 0. */
  _receivedIndex(packetId: number): number {
    const control = this.control;
    for (let at = CONTROL_CAPACITY; at < this.receivedEnd; at += 2) {
      if (((control[at] << 8) | control[at + 1]) === packetId) return at;
    }
    return 0;
  }
}

/** True when `a` is after `b` on a clock that may wrap at 32 bits. */
function isAfter(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}
