/**
 * The rules of MQTT 5, in place of those of 3.1.1 where they differ: what CONNECT and CONNACK agree on, aliases, reason
 * codes both ways, and DISCONNECT in answer to what is not right.
 *
 * A session becomes one of MQTT 5 while it is constructed, by `begin`, which its codec calls. Hence the fields that are
 * only declared here.
 */
import type { Hal } from "../../hal/socket.js";
import { isNil } from "../arguments.js";
import type { ConnectFields, Subscriptions } from "../codec.js";
import {
  BAD_PACKET_ID,
  CONN_FAIL_NOT_A_CONNACK_MSG,
  END_BY_APPLICATION,
  END_BY_PEER,
  END_RECEIVE_MAXIMUM,
  NO_ROOM,
  UNEXPECTED_PACKET,
} from "../errors.js";
import { ACK, LENGTH, OFFSET } from "../outbox.js";
import type { SessionHandler } from "../session.js";
import {
  AWAIT_CONNACK,
  CONTROL_CAPACITY,
  FLUSH_MS,
  FLUSHING,
  IDLE,
  LEAVING,
  REPEATED,
  Session,
  UP,
} from "../session.js";
import {
  CONNACK,
  DISCONNECT,
  PUBACK,
  PUBLISH,
  PUBREC,
  PUBREL,
  QOS_1,
  QOS_2,
  RETAIN,
  SUBACK,
  UNSUBACK,
} from "../wire.js";
import { Aliases } from "./aliases.js";
import { become } from "./become.js";
import type { DecoderHandler5 } from "./decoder.js";
import { Decoder5 } from "./decoder.js";
import type { ConnectFields5, Encoder5 } from "./encoder.js";
import { encodeProperties } from "./encoder.js";
import { Outbox5 } from "./outbox.js";
import type { GivenProperties, Settings5 } from "./properties.js";
import { Properties } from "./properties.js";
import {
  MALFORMED_PACKET,
  MAXIMUM_PACKET_SIZE,
  MAXIMUM_QOS,
  PACKET_IDENTIFIER_NOT_FOUND,
  PROTOCOL_ERROR,
  RECEIVE_MAXIMUM,
  RECEIVE_MAXIMUM_EXCEEDED,
  RETAIN_AVAILABLE,
  SERVER_KEEP_ALIVE,
  SESSION_EXPIRY_INTERVAL,
  SHARED_SUBSCRIPTION_AVAILABLE,
  SUBSCRIPTION_IDENTIFIER_AVAILABLE,
  TOPIC_ALIAS_INVALID,
  TOPIC_ALIAS_MAXIMUM,
  UNSPECIFIED_ERROR,
  WILDCARD_SUBSCRIPTION_AVAILABLE,
} from "./wire.js";

/** What a session of MQTT 5 tells beside the rest; properties are the session's, during the call. */
export interface SessionHandler5 extends SessionHandler {
  /** An acknowledgement or a CONNACK has properties. Before anything else is told of it. */
  onProperties(type: number, packetId: number): void;
  /** The broker has sent DISCONNECT. The end follows. */
  onDisconnect(reasonCode: number): void;
  /** The broker has chosen the client identifier. */
  onClientId(clientId: string): void;
}

/** A session that never expires. */
const NEVER_EXPIRES = 4294967295;
/** As long as a session can count, in milliseconds. */
const NEVER_MS = 1073741824;

export class Session5 extends Session implements DecoderHandler5 {
  declare readonly encoder: Encoder5;
  declare readonly decoder: Decoder5;
  declare readonly outbox: Outbox5;
  declare readonly _handler: SessionHandler5;
  /** Those of the packet that is being told. */
  declare said: Properties;
  /** What CONNECT says. */
  declare fields: ConnectFields5;
  /** Of the application, for CONNECT and its will. */
  declare given: GivenProperties;
  declare willGiven: GivenProperties | undefined;
  /** For CONNECT, beside them: what enhanced authentication has it say. */
  declare authentication: object | undefined;
  /** What DISCONNECT is to say. */
  declare closeReason: number;
  declare closeGiven: GivenProperties;
  /** The reason code for which the last operation was not accepted; 0: for another reason. */
  declare refusal: number;
  /** Bytes of the longest packet that may come, unless the application has said another number. */
  declare maxPacketSize: number;
  /** The clock; undefined: there is only the time of the last call. */
  declare clock: Hal | undefined;
  /** Topic names by alias, of the broker. */
  private declare _received: (string | undefined)[];
  private declare _aliases: Aliases;
  /** The session is the application's wish to have no older one. */
  private declare _isClean: boolean;
  /** CONNECT is to say Clean Start. */
  private declare _cleanStart: boolean;
  /** Seconds that the broker is to keep the session, as CONNECT says. */
  declare expiry: number;
  /** The keep alive time of the client while the broker's is kept; below 0: its own is. */
  private declare _ownKeepAliveMs: number;
  /** AUTH, DISCONNECT, or filters out of their turn, which go behind acknowledgements; and bytes still to be sent. */
  private declare _extra: Uint8Array;
  declare _extraLeft: number;
  /** Bytes still to be sent of a packet with an alias, and bytes of the one in the outbox that it stands for. */
  private declare _shortLeft: number;
  private declare _shortEnd: number;
  private declare _longLength: number;

  /** What its constructor would do. */
  begin(scratch: Uint8Array, settings: Settings5): Decoder5 {
    this.said = new Properties(this._text);
    this.given = {};
    this.closeGiven = {};
    this.willGiven = this.authentication = undefined;
    this.clock = undefined;
    this.maxPacketSize = scratch.length;
    this.closeReason = this.refusal = this._extraLeft = this._shortLeft = 0;
    this._ownKeepAliveMs = -1;
    this._received = [];
    this._forgetReceived(settings.topicAliasMaximum);
    this._aliases = new Aliases(settings.topicAliases);
    return new Decoder5(this, scratch, this.said);
  }

  override setConnect(fields: ConnectFields): number {
    // The first time, the outbox is there, and nothing is in it.
    const outbox = this.outbox;
    if ((outbox.quota as number | undefined) === undefined) {
      become(outbox, Outbox5);
      outbox.hasExpiring = outbox.hasFilters = true;
      outbox.ahead = 0;
      outbox.quota = 65535;
      this._isClean = this._cleanStart = this.cleanSession;
    }
    const old = this.fields as ConnectFields5 | undefined;
    const complete: ConnectFields5 = Object.assign({}, old, fields as ConnectFields5);
    // A copy: it is encoded again for later connections.
    const will = fields.will;
    if (will) complete.will = Object.assign({}, will, { message: will.message.slice() });
    complete.willProperties = encodeProperties(this._text, this.willGiven || {});
    const ownMs = this._ownKeepAliveMs;
    if (ownMs >= 0 && fields.keepAliveSeconds > 0) complete.keepAliveSeconds = ownMs / 1000;
    this.fields = complete;
    // It is encoded at each attempt.
    return 0;
  }

  override connect(nowMs: number): void {
    const fields = this.fields;
    const receiveMaximum = (this.control.length - CONTROL_CAPACITY) >> 1;
    const own: Record<string, number> = { maximumPacketSize: this.maxPacketSize };
    if (receiveMaximum < 65535) own.receiveMaximum = receiveMaximum;
    if (this._received.length > 0) own.topicAliasMaximum = this._received.length;
    if (!this._isClean) own.sessionExpiryInterval = NEVER_EXPIRES;
    Object.assign(own, this.given, this.authentication);
    this.expiry = own.sessionExpiryInterval || 0;
    this.decoder.maxPacketSize = own.maximumPacketSize;
    this.cleanSession = fields.cleanSession = this._cleanStart;
    fields.given = encodeProperties(this._text, own);
    // What has changed since it was encoded last, as the client identifier, is seldom long.
    let room = this._connect.length + 64;
    while (super.setConnect(fields, room) === NO_ROOM) room *= 2;
    this._forgetReceived(this._received.length);
    super.connect(nowMs);
  }

  private _forgetReceived(count: number): void {
    for (let i = 0; i < count; i++) this._received[i] = undefined;
  }

  override lost(): void {
    this._extraLeft = this._shortLeft = this.closeReason = 0;
    this.closeGiven = {};
    if (this._ownKeepAliveMs >= 0) this.keepAliveMs = this._ownKeepAliveMs;
    this._ownKeepAliveMs = -1;
    // What the next broker takes is not known.
    this._limit(new Properties(this._text));
    // What was queued since the last session, which may not have been kept, is not of that one.
    if (this._phase === IDLE) this.cleanSession = this._cleanStart;
    super.lost();
    this.outbox.ahead = 0;
  }

  /** Sets what the broker takes, as its CONNACK says. */
  private _limit(said: Properties): void {
    const encoder = this.encoder;
    const maximumQos = said.number(MAXIMUM_QOS, 2);
    const hasRetain = said.number(RETAIN_AVAILABLE, 1) > 0;
    this.outbox.quota = said.number(RECEIVE_MAXIMUM, 65535);
    encoder.maxPacketSize = said.number(MAXIMUM_PACKET_SIZE, Infinity);
    encoder.refusedFlags = (maximumQos < 2 ? QOS_2 : 0) | (maximumQos < 1 ? QOS_1 : 0) | (hasRetain ? 0 : RETAIN);
    encoder.hasWildcards = said.number(WILDCARD_SUBSCRIPTION_AVAILABLE, 1) > 0;
    encoder.hasIdentifiers = said.number(SUBSCRIPTION_IDENTIFIER_AVAILABLE, 1) > 0;
    encoder.hasShared = said.number(SHARED_SUBSCRIPTION_AVAILABLE, 1) > 0;
    this._aliases.begin(said.number(TOPIC_ALIAS_MAXIMUM, 0));
  }

  override onConnack(sessionPresent: boolean, reasonCode: number): void {
    if (this._phase !== AWAIT_CONNACK) return this._violation(UNEXPECTED_PACKET);
    const said = this.said;
    if (reasonCode === 0) {
      // There is none to be present [MQTT5-3.2.2-4].
      if (sessionPresent && this._cleanStart) return this._violation(-PROTOCOL_ERROR);
      this._limit(said);
      const keepAliveSeconds = said.number(SERVER_KEEP_ALIVE, -1);
      if (keepAliveSeconds >= 0) {
        this._ownKeepAliveMs = this.keepAliveMs;
        this.keepAliveMs = keepAliveSeconds > 0 ? keepAliveSeconds * 1000 : NEVER_MS;
      }
      // Who wants no session, and has not asked for one, has none, whatever the broker keeps.
      this._keepFor(this._isClean && this.expiry === 0 ? 0 : said.number(SESSION_EXPIRY_INTERVAL, this.expiry));
      const clientId = said.get("assignedClientIdentifier") as string | undefined;
      if (clientId !== undefined) {
        this.fields.clientId = clientId;
        this._handler.onClientId(clientId);
      }
    }
    this._tellProperties(CONNACK, 0);
    super.onConnack(sessionPresent, reasonCode);
  }

  /** The broker keeps the session for so many seconds behind the end of its connection. */
  private _keepFor(seconds: number): void {
    this.cleanSession = seconds === 0;
    this._cleanStart = this._isClean && seconds === 0;
  }

  override _leave(nowMs: number): void {
    const given = this.closeGiven;
    const seconds = given.sessionExpiryInterval;
    let packet = this._disconnect(this.closeReason, given);
    // What is too long for the broker says only what counts [MQTT5-3.14.2-3] [MQTT5-3.14.2-4].
    if (packet.length > this.encoder.maxPacketSize) {
      packet = this._disconnect(this.closeReason, { sessionExpiryInterval: seconds });
    }
    this._depart(packet, END_BY_APPLICATION);
    if (seconds !== undefined) this._keepFor(seconds);
    this._step(nowMs, FLUSH_MS);
  }

  /** What the broker did is answered with DISCONNECT. */
  override _violation(code: number): undefined {
    if (this._phase === IDLE || this._phase === LEAVING) return;
    this._message = REPEATED;
    this._depart(this._disconnect(reasonOf(code), {}), this._phase < UP ? CONN_FAIL_NOT_A_CONNACK_MSG : code);
    this.decoder.stop();
    this._step(this._nowMs, this.keepAliveMs < FLUSH_MS ? this.keepAliveMs : FLUSH_MS);
  }

  override _refuse(reason: number): undefined {
    return this._violation(reason);
  }

  private _disconnect(reasonCode: number, given: object): Uint8Array {
    return this.encoder.long(DISCONNECT, reasonCode, encodeProperties(this._text, given));
  }

  /** DISCONNECT is the last packet. */
  private _depart(packet: Uint8Array, endReason: number): void {
    this._phase = LEAVING;
    this._endReason = endReason;
    this.queueExtra(packet);
  }

  /** Queues a packet that is in neither the outbox nor `control`. */
  queueExtra(packet: Uint8Array): void {
    if (this._extraLeft > 0) {
      const before = this._extra;
      const both = (this._extra = new Uint8Array(before.length + packet.length));
      both.set(before);
      both.set(packet, before.length);
    } else {
      this._extra = packet;
    }
    this._extraLeft += packet.length;
  }

  /** True when what `queueExtra` was given may leave. */
  private _mayExtra(): boolean {
    if (this._extraLeft === 0 || this._connectLeft > 0) return false;
    return this._extraLeft < this._extra.length || (this.outbox.partial === 0 && this._controlEnd === 0);
  }

  override pending(room: number): number {
    const outbox = this.outbox;
    if (this._shortLeft > 0) {
      this.out = this._aliases.buffer;
      this.outStart = this._shortEnd - this._shortLeft;
      return this._shortLeft;
    }
    if (this._mayExtra()) return this._pendingExtra();
    if (outbox.hasExpiring && this._phase >= UP && outbox.passed < outbox.operations) outbox.expire(this._now());
    let count = super.pending(room);
    if (count === 0) {
      if (outbox.partial === 0) {
        // The window is full, and no acknowledgement is waited for any more.
        if (this._phase === FLUSHING && !this._isReceiving) this._leave(this._nowMs);
        const isFull = this._phase < UP || this._phase >= LEAVING || outbox.inflight >= this._maxInflight;
        const filters = outbox.hasFilters && !isFull && outbox.overtake(this._nowMs);
        if (filters) this.queueExtra(filters);
      }
      return this._mayExtra() ? this._pendingExtra() : 0;
    }
    if (this._aliases.limit > 0 && this.out === outbox.arena && outbox.partial === 0) count = this._shorten(count);
    return count;
  }

  private _pendingExtra(): number {
    this.out = this._extra;
    this.outStart = this._extra.length - this._extraLeft;
    return this._extraLeft;
  }

  /** What is to leave is `count` bytes of the outbox: the same, or an alias in place of the first topic. */
  private _shorten(count: number): number {
    const outbox = this.outbox;
    const start = this.outStart;
    const length = outbox.table[outbox._next + LENGTH];
    if (outbox.arena[start] >> 4 !== PUBLISH || length > count) return count;
    const most = this.encoder.maxPacketSize;
    const short = this._aliases.shorten(this._text, outbox.arena, start, start + length, most);
    if (short === 0) return count;
    this._longLength = length;
    this._shortLeft = this._shortEnd = short;
    this.out = this._aliases.buffer;
    this.outStart = 0;
    return short;
  }

  override sent(count: number, nowMs: number): void {
    const outbox = this.outbox;
    if (this._shortLeft > 0) {
      this._shortLeft -= count;
      this.out = outbox.arena;
      outbox.partial = 0;
      super.sent(this._shortLeft === 0 ? this._longLength : 0, nowMs);
      // Of a packet that is begun, nobody asks how much has left.
      if (this._shortLeft > 0) outbox.partial = 1;
    } else if (this._extraLeft > 0 && this.out === this._extra) {
      this._nowMs = this._lastSentMs = nowMs;
      this._extraLeft -= count;
      if (this._extraLeft > 0) return;
      if (this._phase === LEAVING) this.end(this._endReason);
    } else if (this._extraLeft > 0 && this._phase === LEAVING) {
      // DISCONNECT is still to come.
      this._phase = FLUSHING;
      super.sent(count, nowMs);
      if (this._phase === FLUSHING) this._phase = LEAVING;
    } else {
      super.sent(count, nowMs);
    }
  }

  override publishAtOnce(
    topic: string,
    payload: string | Uint8Array,
    flags: number,
    room: number,
    nowMs: number,
  ): number {
    this.refusal = 0;
    const aliases = this._aliases;
    if (this._extraLeft > 0 || this._shortLeft > 0) return 0;
    if (aliases.limit === 0) return this._refused(super.publishAtOnce(topic, payload, flags, room, nowMs));
    aliases.choose(topic);
    this.encoder.alias = aliases.alias;
    let count = super.publishAtOnce(aliases.isKnown ? "" : topic, payload, flags, room, nowMs);
    this.encoder.alias = 0;
    if (count > 0) aliases.use(topic);
    // It may be the alias that makes it too long.
    if (count < 0) count = super.publishAtOnce(topic, payload, flags, room, nowMs);
    return this._refused(count);
  }

  override queue(kind: number, subject: string | Subscriptions, payload: string | Uint8Array): number {
    this.refusal = 0;
    const outbox = this.outbox;
    let result = super.queue(kind, subject, payload);
    if (result === NO_ROOM && outbox.hasExpiring) {
      outbox.expire(this._now());
      result = super.queue(kind, subject, payload);
    }
    if (typeof subject !== "string") outbox.hasFilters = true;
    const given = this.encoder.given;
    const seconds = given === undefined || typeof subject !== "string" ? 0 : given.messageExpiryInterval || 0;
    // A longer time cannot be counted, and none so long goes by unnoticed; with none at all nothing would ever leave.
    if (result >= 0 && seconds > 0 && seconds < NEVER_MS / 1000) {
      outbox.expireLast((this._now() + seconds * 1000) | 0);
    }
    return this._refused(result);
  }

  /** Notes the reason code of what the broker would not take. */
  private _refused(result: number): number {
    if (result <= -UNSPECIFIED_ERROR) this.refusal = -result;
    return result;
  }

  private _now(): number {
    return this.clock ? this.clock.now() : this._nowMs;
  }

  override _accept(
    flags: number,
    packetId: number,
    bytes: Uint8Array,
    topicStart: number,
    topicEnd: number,
  ): string | undefined {
    const alias = this.said.alias;
    if (alias === 0) return super._accept(flags, packetId, bytes, topicStart, topicEnd);
    const received = this._received;
    if (alias > received.length) return this._violation(-TOPIC_ALIAS_INVALID);
    const topic = super._accept(flags, packetId, bytes, topicStart, topicEnd);
    if (topicStart < topicEnd) {
      // Also of a message that came before, which is not handed on.
      received[alias - 1] = this._topic;
      return topic;
    }
    const known = received[alias - 1];
    if (!known) return this._violation(-PROTOCOL_ERROR);
    return topic === undefined ? undefined : known;
  }

  override onAck(type: number, packetId: number): void {
    this._tellProperties(type, packetId);
    const outbox = this.outbox;
    const encoder = this.encoder;
    const reasonCode = this.decoder.code;
    if (type === PUBREL) {
      if (this._receivedIndex(packetId) === 0) encoder.code = PACKET_IDENTIFIER_NOT_FOUND;
    } else if (type === PUBREC && reasonCode < UNSPECIFIED_ERROR) {
      if (outbox.find(packetId) < 0) encoder.code = PACKET_IDENTIFIER_NOT_FOUND;
    } else {
      const entry = outbox.awaits(type, packetId);
      if (entry < 0) return;
      // A failed PUBREC ends the exchange as PUBACK does [MQTT5-4.3.3-4].
      const last = type === PUBREC ? PUBACK : type;
      outbox.table[entry] = (outbox.table[entry] & ~ACK) | last;
      const offset = outbox.acknowledge(last, packetId, reasonCode === 0 ? 0 : 1, this._nowMs);
      if (reasonCode !== 0) outbox.arena[offset] = reasonCode;
      this._handler.onDone();
      return;
    }
    super.onAck(type, packetId);
    // Where it was not said at once, it is not said at all.
    encoder.code = 0;
  }

  override onSuback(packetId: number, bytes: Uint8Array, start: number, end: number): void {
    this._codes(SUBACK, packetId, bytes, start, end);
  }

  onUnsuback(packetId: number, bytes: Uint8Array, start: number, end: number): void {
    this._codes(UNSUBACK, packetId, bytes, start, end);
  }

  private _codes(type: number, packetId: number, bytes: Uint8Array, start: number, end: number): void {
    this._tellProperties(type, packetId);
    const outbox = this.outbox;
    const entry = outbox.awaits(type, packetId);
    if (entry < 0) return;
    const offset = outbox.table[entry + OFFSET];
    const asked = this.encoder.filterCount(outbox.arena, offset, offset + outbox.table[entry + LENGTH]);
    if (asked !== end - start) return this._violation(-PROTOCOL_ERROR);
    // They wait where the request lay, which was longer, until the operation's turn comes.
    outbox.acknowledge(type, packetId, asked, this._nowMs);
    for (let i = 0; i < asked; i++) outbox.arena[offset + i] = bytes[start + i];
    this._handler.onDone();
  }

  onDisconnect(reasonCode: number): void {
    this._handler.onDisconnect(reasonCode);
    this.end(END_BY_PEER);
  }

  /** Without an authentication method none may come [MQTT5-4.12.0-6]. */
  onAuth(_reasonCode: number): void {
    this._violation(-PROTOCOL_ERROR);
  }

  private _tellProperties(type: number, packetId: number): void {
    if (this.said.start === this.said.end) return;
    const isWanted = this.given.requestProblemInformation;
    // Where CONNECT has asked for none, only a CONNACK may have any (3.1.2.11.7). At the end the next one asks.
    if (this._phase === UP && !isNil(isWanted) && !isWanted) return this._violation(-PROTOCOL_ERROR);
    this._handler.onProperties(type, packetId);
  }
}

/** What DISCONNECT says of what a decoder or the session has found. */
function reasonOf(code: number): number {
  if (code <= -UNSPECIFIED_ERROR) return -code;
  if (code === UNEXPECTED_PACKET || code === BAD_PACKET_ID) return PROTOCOL_ERROR;
  if (code === END_RECEIVE_MAXIMUM) return RECEIVE_MAXIMUM_EXCEEDED;
  return MALFORMED_PACKET;
}
