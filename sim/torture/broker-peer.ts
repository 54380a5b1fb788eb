/**
 * The model broker's end of one connection: reads packets, checks each of them as strictly as MQTT 3.1.1 allows, and
 * answers. A packet that no client may send breaks a rule of the simulation.
 */
import type { Broker } from "./broker.js";
import type { BrokerSession, Outgoing } from "./broker-session.js";
import type { Message } from "./ledger.js";
import { payloadOf, textOf, uidOf } from "./ledger.js";
import type { Link, Peer } from "./link.js";
import type { Packet, PacketReader, PacketWriter } from "./packets.js";
import {
  CONNACK,
  CONNECT,
  DISCONNECT,
  NAMES,
  PINGREQ,
  PUBACK,
  PUBCOMP,
  PUBLISH,
  PUBREC,
  PUBREL,
  Reader,
  SUBSCRIBE,
  UNSUBSCRIBE,
  Writer,
} from "./packets.js";
import type { World } from "./world.js";

/** Return codes of CONNACK that refuse. */
const REFUSALS = [1, 2, 3, 4, 5];
/** Reason code of DISCONNECT. */
const KEEP_ALIVE_TIMEOUT = 0x8d;

export class BrokerPeer implements Peer {
  readonly link: Link;
  session: BrokerSession | undefined;
  isOver = false;
  protected readonly _world: World;
  protected readonly _broker: Broker;
  protected readonly _writer: PacketWriter;
  protected _isAccepted = false;
  protected _connect: Packet | undefined;
  protected _keepAliveMs = 0;
  private readonly _reader: PacketReader;
  private _hasConnect = false;
  private _lastReadMs: number;
  /** Packet ids of what was read here and not acknowledged with the last acknowledgement there is. */
  private readonly _unanswered = new Set<number>();
  private _lastUid = 0;
  private _lastReleased = 0;
  /** Packet ids for which PUBACK, PUBREC and PUBCOMP are to come, each in this order. */
  private readonly _due: Record<number, number[]> = { [PUBACK]: [], [PUBREC]: [], [PUBCOMP]: [] };
  /** When the last acknowledgement of each type leaves: they leave in order. */
  private readonly _leavesMs: number[] = [];
  private _subscribes = 0;
  private _unsubscribes = 0;

  constructor(
    world: World, broker: Broker, link: Link, reader: PacketReader = new Reader(), writer: PacketWriter = new Writer(),
  ) {
    this._world = world;
    this._broker = broker;
    this.link = link;
    this._reader = reader;
    this._writer = writer;
    this._lastReadMs = world.nowMs;
  }

  // What the connection says.

  onBytes(bytes: Uint8Array, start: number, end: number): void {
    if (this.isOver) return;
    const reader = this._reader;
    this._lastReadMs = this._world.nowMs;
    reader.push(bytes, start, end);
    while (!this._isDone()) {
      const packet = reader.next();
      if (packet === undefined) break;
      if (this._world.trace !== undefined) this._note(`  -> ${this._textOf(packet)}`);
      this._read(packet, reader.length);
      this.link.packetRead(reader.length);
    }
    if (reader.error !== "") this._fail(`broken packet: ${reader.error}`);
  }

  protected _textOf(packet: Packet): string {
    return packetText(packet);
  }

  onEnd(): void {
    if (this.isOver) return;
    this._leave();
    if (this._world.trace !== undefined) this._note("  -> connection over");
    this._broker.checkFarewell(this);
    this._broker.ended(this, this._connect);
  }

  /**
   * The broker ends it, and publishes the will.
   *
   * @param reasonCode why, for who can be told
   */
  hangUp(isReset: boolean, reasonCode: number): void {
    if (this.isOver) return;
    if (this._isAccepted) this._dismiss(reasonCode);
    this._leave();
    this.link.isDisturbed = true;
    this.link.hangUp(isReset);
    this._broker.ended(this, this._connect);
  }

  /** The client can be told why. */
  protected _dismiss(_reasonCode: number): void {
    // Not in MQTT 3.1.1.
  }

  // What the broker sends.

  /** Messages that may wait for their acknowledgement. */
  get window(): number {
    return this._broker.window;
  }

  /** The client takes so long a packet. */
  takes(_outgoing: Outgoing): boolean {
    return true;
  }

  publish(outgoing: Outgoing, dup: boolean): void {
    const { delivery, packetId } = outgoing;
    const { message, qos } = delivery;
    this._writePublish(outgoing, dup);
    delivery.sentOn = this.link;
    delivery.packetLength = this._writer.length;
    outgoing.sends++;
    if (qos > 0) this._due[qos === 1 ? PUBACK : PUBREC].push(packetId);
    this._send(() => `PUBLISH ${dup ? "DUP " : ""}id ${packetId}, ${textOf(message)}`);
  }

  release(outgoing: Outgoing): void {
    const { packetId } = outgoing;
    outgoing.delivery.isReleased = true;
    outgoing.releases++;
    this._writer.ack(PUBREL, packetId, 0);
    this._due[PUBCOMP].push(packetId);
    this._send(() => `PUBREL ${packetId}`);
  }

  protected _writePublish({ delivery, packetId }: Outgoing, dup: boolean): void {
    const { message, qos } = delivery;
    this._writer.publish(dup, qos, packetId, message.topic, message.payload);
  }

  protected _read(packet: Packet, _length: number): void {
    if (this.link.hasDisconnect) return this._fail(`${NAMES[packet.type]} behind DISCONNECT [MQTT-3.14.4-2]`);
    if (!this._hasConnect) {
      if (packet.type !== CONNECT) return this._fail(`${NAMES[packet.type]} before CONNECT [MQTT-3.1.0-1]`);
      return this._readConnect(packet);
    }
    if (packet.type === DISCONNECT) {
      this.link.hasDisconnect = true;
      this._broker.disconnected(this, packet.reasonCode === 0 ? undefined : this._connect);
      return;
    }
    const { session } = this;
    if (!this._isAccepted || session === undefined) {
      return this._fail(`${NAMES[packet.type]} before CONNACK was sent`);
    }
    switch (packet.type) {
      case PUBLISH:
        return this._readPublish(packet, session);
      case PUBACK:
      case PUBREC:
      case PUBCOMP:
        return this._readAck(packet, session);
      case PUBREL:
        return this._readRelease(packet, session);
      case SUBSCRIBE:
      case UNSUBSCRIBE:
        return this._readFilters(packet, session);
      case PINGREQ:
        return this._later(PINGREQ, this._broker.pingDelayMs(), () => {
          this._writer.pingresp();
          this._send(() => "PINGRESP");
        });
      default:
        return this._fail(`${NAMES[packet.type]}, which no client sends`);
    }
  }

  private _readConnect(packet: Packet): void {
    this._hasConnect = true;
    const wrong = this._checkConnect(packet);
    if (wrong !== "") return this._fail(wrong);
    this._connect = packet;
    const delayMs = this._broker.connackDelayMs();
    this._later(CONNACK, delayMs, () => {
      if (this._broker.refuses()) {
        const code = this._refusal();
        this._connect = undefined; // no will
        this._writer.connack(false, code);
        this._send(() => `CONNACK refused ${code}`);
        this.hangUp(false, 0);
        return;
      }
      this._welcome(packet);
    });
  }

  /** What is wrong with CONNECT, beside what the broker has to know for it, or "". */
  protected _checkConnect(packet: Packet): string {
    const { clientId, saysCleanStart } = this.link;
    if (packet.clientId !== clientId) return `CONNECT of "${packet.clientId}"`;
    if (packet.cleanSession !== saysCleanStart) return `CONNECT with clean session ${packet.cleanSession ? 1 : 0}`;
    return this._broker.checkConnect(packet, this.link);
  }

  /** Return code of CONNACK. */
  protected _refusal(): number {
    return this._world.random.pick(REFUSALS);
  }

  /** Accepts the client. */
  protected _welcome(packet: Packet): void {
    const isPresent = this._broker.accept(this, packet);
    this._isAccepted = true;
    this.link.sessionPresent = isPresent;
    this._keepAliveMs = packet.keepAliveSeconds * 1500;
    this._writeConnack(isPresent);
    this._send(() => `CONNACK session present ${isPresent ? 1 : 0}`);
    this._watch();
    this._resume();
  }

  protected _writeConnack(isPresent: boolean): void {
    this._writer.connack(isPresent, 0);
  }

  /** What is to be answered to a message: from 128 on, the broker does not take it. */
  protected _judge(_message: Message): number {
    return 0;
  }

  /** The connection since which a message that was sent before is sent with DUP. */
  protected _since(message: Message): number {
    return message.firstLink;
  }

  /** A PUBLISH is right but for what only this version says. Returns what is wrong, or "". */
  protected _checkPublish(_packet: Packet, _message: Message, _wasBegun: boolean): string {
    return "";
  }

  /** What is wrong with the reason code of an acknowledgement, or "". */
  protected _checkReason(_packet: Packet, _session: BrokerSession, _outgoing: Outgoing | undefined): string {
    return "";
  }

  private _readPublish(packet: Packet, session: BrokerSession): void {
    const { ledger } = this._broker;
    const { packetId, qos } = packet;
    const uid = uidOf(packet.topic, packet.payload);
    const message = ledger.messages.get(uid);
    if (message?.source !== session.party || message.isWill) return this._fail(`PUBLISH that nobody asked for: ${uid}`);
    const isSame = message.topic === packet.topic && message.payload === packet.payload && message.qos === qos &&
      message.retain === packet.retain;
    if (!isSame) return this._fail(`${textOf(message)}: PUBLISH is not what was asked for: ${packetText(packet)}`);
    const isHere = message.session === this.link.number;
    if (!isHere && ((qos === 0 && !message.isKept) || session.party.isClean)) {
      return this._fail(`${textOf(message)}: sent on another connection than it was accepted on`);
    }
    if (message.lastLink === this.link) return this._fail(`${textOf(message)}: sent twice on one connection`);
    if (uid < this._lastUid) return this._fail(`${textOf(message)}: overtaken by message ${this._lastUid}`);
    const since = this._since(message);
    const wasRead = message.reads > 0 && (message.lastLink as Link).number >= since;
    const mayHaveBeenSent = this._broker.mayHaveBeenSent(since, this.link);
    const wasBegun = message.reads > 0 || this._broker.mayHaveBeenSent(message.firstLink, this.link);
    ledger.checkRead(message, this.link.acceptedMs, wasBegun);
    if (wasRead && !packet.dup && !message.isOld) {
      return this._fail(`${textOf(message)}: sent again without DUP`);
    }
    if (packet.dup && !wasRead && !mayHaveBeenSent) {
      return this._fail(`${textOf(message)}: DUP, though it was never sent before [MQTT-3.3.1-1]`);
    }
    if (isHere && packet.dup) return this._fail(`${textOf(message)}: DUP on the connection it was accepted on`);
    if (message.packetId !== 0 && message.packetId !== packetId) {
      return this._fail(`${textOf(message)}: sent again with packet id ${packetId}, not ${message.packetId}`);
    }
    const wrong = this._checkPublish(packet, message, wasBegun);
    if (wrong !== "") return this._fail(`${textOf(message)}: ${wrong}`);
    this._lastUid = uid;
    message.lastLink = this.link;
    message.packetId = packetId;
    message.reads++;
    session.received.set(packetId, message);
    if (qos === 0) return this._broker.take(message);
    const known = session.incoming.get(packetId);
    this._use(packet);
    const code = known === undefined ? this._judge(message) : 0;
    if (qos === 1) {
      if (code < 128) this._broker.take(message);
      return this._answer(PUBACK, packetId, true, code);
    }
    if (code > 127) {
      session.confirmed.delete(packetId);
      return this._answer(PUBREC, packetId, true, code);
    }
    if (known === undefined) {
      session.incoming.set(packetId, message);
      if (this._broker.isEager) this._broker.take(message);
    } else if (known !== message) {
      // After a restart a device begins its ids anew: it is a repetition, as far as the broker can see. So it is where
      // the device has given up the message before, which another broker's limits forbid.
      if (known.restarts === session.party.restarts && !known.isVoid && known.outcome !== "refused") {
        this._fail(`packet id ${packetId} is in use [MQTT-2.3.1-2]`);
      }
      message.isSwallowed = true;
    }
    session.confirmed.add(packetId);
    this._answer(PUBREC, packetId, false, code);
  }

  private _readRelease(packet: Packet, session: BrokerSession): void {
    const { packetId } = packet;
    const message = session.incoming.get(packetId);
    const wrong = this._checkReason(packet, session, undefined);
    if (wrong !== "") return this._fail(wrong);
    if (!session.confirmed.has(packetId) && !session.isMistaken) return this._fail(`PUBREL ${packetId} without PUBREC`);
    if (message !== undefined) {
      const isOfThisLife = message.restarts === session.party.restarts && !message.isVoid;
      if (message.uid < this._lastReleased && isOfThisLife) {
        return this._fail(`PUBREL ${packetId} out of order [MQTT-4.6.0-4]`);
      }
      this._lastReleased = message.uid;
      if (!this._broker.isEager) this._broker.take(message);
      session.incoming.delete(packetId);
    }
    this.link.unreleased++;
    this._answer(PUBCOMP, packetId, true, this._completion(message));
  }

  /** Reason code of PUBCOMP. */
  protected _completion(_message: Message | undefined): number {
    return 0;
  }

  /** Codes for the filters of an UNSUBSCRIBE. */
  protected _unsubscribed(filters: string[], session: BrokerSession): number[] {
    for (const filter of filters) session.subscriptions.delete(filter);
    return [];
  }

  /** What is wrong with SUBSCRIBE or UNSUBSCRIBE, or "". */
  protected _checkFilters(_packet: Packet): string {
    return "";
  }

  private _readFilters(packet: Packet, session: BrokerSession): void {
    const { packetId, filters, requested } = packet;
    this._use(packet);
    const wrong = this._checkFilters(packet);
    if (wrong !== "") return this._fail(wrong);
    if (packet.type === UNSUBSCRIBE) {
      const codes = this._unsubscribed(filters, session);
      const index = this._unsubscribes++;
      return this._later(UNSUBSCRIBE, this._broker.ackDelayMs(), () => {
        this._answered(packetId);
        this.link.removed[index] = codes;
        this._writer.unsuback(packetId, codes);
        this._send(() => `UNSUBACK ${packetId}`);
      });
    }
    const codes = requested.map((qos) => this._grant(qos));
    filters.forEach((filter, i) => {
      if (codes[i] < 128) session.subscriptions.set(filter, codes[i]);
    });
    const index = this._subscribes++;
    this._later(SUBSCRIBE, this._broker.ackDelayMs(), () => {
      this._answered(packetId);
      this.link.granted[index] = codes;
      this._writer.suback(packetId, codes);
      this._send(() => `SUBACK ${packetId} (${codes.join(" ")})`);
    });
  }

  /** Return code of SUBACK. */
  protected _grant(qos: number): number {
    return this._broker.grants(qos);
  }

  private _readAck(packet: Packet, session: BrokerSession): void {
    const { type, packetId } = packet;
    const due = this._due[type];
    const expected = due.shift();
    if (expected !== packetId) {
      const what = expected === undefined ? "which is not due" : `${expected} is due first`;
      return this._fail(`${NAMES[type]} ${packetId}, ${what} [MQTT-4.6.0-2] [MQTT-4.6.0-3]`);
    }
    const index = session.inflight.findIndex((outgoing) => outgoing.packetId === packetId);
    if (index < 0) return this._fail(`${NAMES[type]} ${packetId} for nothing`);
    const outgoing = session.inflight[index];
    const { delivery } = outgoing;
    const wrong = this._checkReason(packet, session, outgoing);
    if (wrong !== "") return this._fail(wrong);
    if (delivery.count === 0 && !delivery.message.isWill && type !== PUBCOMP) {
      // The client may have the packet id from the session that was lost.
      if (session.isMistaken && type === PUBREC) delivery.isLost = true;
      else return this._fail(`${textOf(delivery.message)}: acknowledged before it was delivered`);
    }
    if (type === PUBREC) {
      outgoing.isReleased = true;
      return this._later(PUBREL, this._broker.releaseDelayMs(), () => {
        this.release(outgoing);
      });
    }
    delivery.isOver = true;
    session.inflight.splice(index, 1);
    this._broker.pump(session);
  }

  /** A packet id was read that must not be in use. */
  private _use({ type, packetId }: Packet): void {
    if (this._unanswered.has(packetId)) this._fail(`${NAMES[type]}: packet id ${packetId} is in use [MQTT-2.3.1-2]`);
    this._unanswered.add(packetId);
    this.link.unanswered = this._unanswered.size;
    const wrong = this._broker.checkWindow(this, this._unanswered.size);
    if (wrong !== "") this._fail(wrong);
  }

  /** The last acknowledgement that there is for an operation is leaving. */
  private _answered(packetId: number): void {
    this._unanswered.delete(packetId);
    this.link.unanswered = this._unanswered.size;
    this.link.answeredMs = this._world.nowMs;
  }

  /** Everything that was not acknowledged is sent again, in order, then what waited. */
  protected _resume(): void {
    const { session } = this;
    if (session === undefined) return;
    for (const outgoing of session.inflight) {
      if (outgoing.isReleased) this.release(outgoing);
      else this.publish(outgoing, true);
    }
    this._broker.pump(session);
  }

  private _answer(type: number, packetId: number, isLast: boolean, code: number): void {
    const delayMs = this._broker.ackDelayMs();
    this._later(type, delayMs, () => {
      const message = this.session?.received.get(packetId);
      if (isLast) this._answered(packetId);
      if (type === PUBCOMP) this.link.unreleased--;
      if (isLast && message !== undefined) {
        message.isAcked = true;
        message.codes.add(code);
      }
      this._writeAck(type, packetId, code);
      this._send(() => `${NAMES[type]} ${packetId}${code === 0 ? "" : ` reason ${code}`}`);
    });
  }

  protected _writeAck(type: number, packetId: number, code: number): void {
    this._writer.ack(type, packetId, code);
  }

  /** Sends something later, behind what was to be sent of the same type before. Infinity: never. */
  protected _later(type: number, delayMs: number, send: () => void): void {
    const leavesMs = Math.max(this._leavesMs[type] ?? 0, this._world.nowMs + delayMs);
    this._leavesMs[type] = leavesMs;
    if (leavesMs === Infinity) {
      if (this._world.trace !== undefined) this._note("<-    (an acknowledgement that never comes)");
      return;
    }
    if (leavesMs === this._world.nowMs) return send();
    this._world.after(leavesMs - this._world.nowMs, () => {
      if (!this._isDone()) send();
    });
  }

  /** Ends the connection of a client that is silent for one and a half times its keep alive (3.1.2.10). */
  protected _watch(): void {
    const restMs = this._lastReadMs + this._keepAliveMs - this._world.nowMs;
    if (restMs > 0) {
      this._world.after(restMs, () => {
        if (!this._isDone()) this._watch();
      });
      return;
    }
    if (this._world.trace !== undefined) this._note("<-    keep alive is over");
    this._broker.checkSilence(this);
    this.hangUp(this._world.random.chance(50), KEEP_ALIVE_TIMEOUT);
  }

  protected _send(text: () => string): void {
    if (this._world.trace !== undefined) this._note(`<-   ${text()}`);
    this.link.send(this._writer.bytes, this._writer.length);
  }

  private _leave(): void {
    this.isOver = true;
    if (this.session?.peer === this) this.session.peer = undefined;
  }

  protected _isDone(): boolean {
    return this.isOver || this._world.violation !== undefined;
  }

  private _note(text: string): void {
    this._world.note(this.link.device, text);
  }

  protected _fail(rule: string): void {
    this._world.fail(this.link.device, rule);
  }
}

export function packetText(packet: Packet): string {
  const { type, packetId, dup, qos, topic, payload, filters, clientId, cleanSession } = packet;
  switch (type) {
    case CONNECT:
      return `CONNECT ${clientId} clean ${cleanSession ? 1 : 0}${packet.will === undefined ? "" : " with a will"}`;
    case PUBLISH: {
      const isOwn = payload === payloadOf(uidOf(topic, payload), payload.length);
      return `PUBLISH ${dup ? "DUP " : ""}QoS ${qos} id ${packetId} ${topic} message ${uidOf(topic, payload)}, ` +
        `${payload.length} bytes${isOwn ? "" : " CHANGED"}`;
    }
    case SUBSCRIBE:
    case UNSUBSCRIBE:
      return `${NAMES[type]} ${packetId} ${filters.join(" ")}`;
    default:
      return packetId === 0 ? NAMES[type] : `${NAMES[type]} ${packetId}`;
  }
}
