/**
 * The model broker's end of a connection with MQTT 5: what CONNECT and CONNACK agree on, aliases both ways, reason
 * codes, and what a client has to answer to a broker that breaks the rules.
 *
 * Checks a client against what was said on this very connection.
 */
import type { GivenProperties } from "../../src/v5/face.js";
import type { Broker } from "./broker.js";
import { BrokerPeer, packetText } from "./broker-peer.js";
import type { BrokerSession, Outgoing } from "./broker-session.js";
import type { Message } from "./ledger.js";
import type { Link } from "./link.js";
import type { Manners5, Offence } from "./manners5.js";
import {
  ADMINISTRATIVE_ACTION,
  CONNACK_REFUSALS,
  drawLimits,
  FIRST_OFFENCES,
  FLOOD,
  limitsAsProperties,
  NO_LIMITS,
  NO_MATCHING_SUBSCRIBERS,
  NO_SUBSCRIPTION_EXISTED,
  OFFENCES,
  PACKET_IDENTIFIER_NOT_FOUND,
  PACKET_TOO_LARGE,
  PRESENT,
  PUBLISH_REFUSALS,
  RECEIVE_MAXIMUM_EXCEEDED,
  SUBSCRIBE_REFUSALS,
  UNKNOWN_ALIAS,
  UNSUBSCRIBED,
} from "./manners5.js";
import type { Packet } from "./packets.js";
import { DISCONNECT, NAMES, PUBACK, PUBCOMP, PUBLISH, PUBREC, PUBREL, SUBSCRIBE } from "./packets.js";
import { PAUSE } from "./reading.js";
import { propertiesText, Reader5, Writer5 } from "./packets5.js";
import type { Version5 } from "./version5.js";
import { expiryOf, publishLength } from "./version5.js";
import type { World } from "./world.js";

/** Bytes of the longest acknowledgement with a reason string, and of the longest CONNACK. */
const REASON_STRING_LENGTH = 24;
const CONNACK_LENGTH = 64;
/** By then a client has ended a connection on which the rules were broken. */
const LONGEST_ANSWER_MS = 15000;

export class BrokerPeer5 extends BrokerPeer {
  private readonly _version: Version5;
  protected declare readonly _writer: Writer5;
  /** Bytes of the longest packet that the client takes. */
  private _maximumPacketSize = Infinity;
  // Topics by alias, of the client and of the broker, and when each of the client's was used last, as a count.
  private readonly _topics: (string | undefined)[] = [];
  private readonly _used: number[] = [];
  private _uses = 0;
  private readonly _ownTopics: (string | undefined)[] = [];
  /** Packet ids of messages above QoS 0 that were read here and are not acknowledged. */
  private readonly _open = new Set<number>();

  constructor(world: World, broker: Broker, link: Link, version: Version5) {
    super(world, broker, link, new Reader5(), new Writer5());
    this._version = version;
  }

  private get _manners(): Manners5 {
    return this._broker.manners5;
  }

  /** A client keeps at most so many. */
  override get window(): number {
    return Math.min(super.window, this._broker.customerOf(this.link).receiveMaximum);
  }

  protected override _textOf(packet: Packet): string {
    const { reasonCode, properties, willProperties } = packet;
    const reason = reasonCode === 0 ? "" : ` reason 0x${reasonCode.toString(16)}`;
    return packetText(packet) + reason + propertiesText(properties) + propertiesText(willProperties);
  }

  // CONNECT and CONNACK.

  protected override _checkConnect(packet: Packet): string {
    const { link, _version: version, _broker: broker } = this;
    const customer = broker.customerOf(link);
    const { properties } = packet;
    const expiry = expiryOf(version, customer.isClean);
    const expected: Record<string, unknown> = {
      sessionExpiryInterval: expiry === 0 ? version.sessionExpiryInterval : expiry,
      receiveMaximum: customer.receiveMaximum,
      maximumPacketSize: version.maximumPacketSize ?? customer.maxMessageLength,
      topicAliasMaximum: version.topicAliasMaximum === 0 ? undefined : version.topicAliasMaximum,
    };
    const said = properties as Record<string, unknown>;
    for (const name of new Set([...Object.keys(expected), ...Object.keys(said)])) {
      if (said[name] !== expected[name]) return `CONNECT with ${name} ${String(said[name])}`;
    }
    this._maximumPacketSize = properties.maximumPacketSize ?? Infinity;
    const { contentType } = packet.willProperties;
    if (contentType !== link.willType) return `CONNECT with a will of type ${contentType ?? "none"}`;
    return super._checkConnect(packet);
  }

  protected override _refusal(): number {
    const { random } = this._world;
    const code = random.pick(CONNACK_REFUSALS);
    const reason = random.chance(50) ? `r${code}` : undefined;
    if (reason !== undefined) this._writer.properties = { reasonString: reason };
    this.link.refusal = { code, reason };
    return code;
  }

  protected override _welcome(packet: Packet): void {
    if (this._offendFirst(packet)) return;
    super._welcome(packet);
    const { random, isHealed } = this._world;
    const { vicious, evicting } = this._manners;
    if (isHealed) return;
    const isVicious = random.chance(vicious);
    if (!isVicious && !random.chance(evicting)) return;
    this._world.after(random.between(0, random.pick([0, 50, 3000])), () => {
      if (this._isDone() || this._world.isHealed) return;
      if (isVicious) this._offend();
      else this.hangUp(random.chance(20), ADMINISTRATIVE_ACTION);
    });
  }

  protected override _writeConnack(isPresent: boolean): void {
    const { random, isHealed } = this._world;
    const { link, session, _version: version } = this;
    const customer = this._broker.customerOf(link);
    // A client that takes short packets only can be told nothing.
    const isMute = this._maximumPacketSize < CONNACK_LENGTH;
    const limits = isMute ? NO_LIMITS : drawLimits(random, this._manners);
    const said = isMute ? {} : limitsAsProperties(random, limits);
    if (version.isPatient && !isMute && random.chance(50)) {
      const seconds = random.pick([1, 2, 3, 10, 100]);
      said.serverKeepAlive = link.keepAliveSeconds = seconds;
      this._keepAliveMs = seconds * 1500;
    }
    let expiry = expiryOf(version, customer.saysClean);
    if (expiry > 0 && !isHealed && !isMute && random.chance(10)) {
      expiry = random.pick([1, 10, 1000000]);
      said.sessionExpiryInterval = expiry;
    }
    if (session !== undefined) session.expiryMs = expiry < 1000 ? expiry * 1000 : Infinity;
    if (link.isNameless) said.assignedClientIdentifier = customer.clientId;
    if (!isMute && this._isTalkative()) said.reasonString = "rCONNACK.0";
    link.limits = limits;
    this._writer.properties = said;
    this._writer.connack(isPresent, 0);
    if (this._world.trace !== undefined) this._world.note(link.device, `     ${JSON.stringify(said)}`);
  }

  // What the client sends.

  protected override _read(packet: Packet, length: number): void {
    const { link } = this;
    const { limits } = link;
    if (packet.type === DISCONNECT && !link.hasDisconnect) {
      const wrong = this._checkDisconnect(packet);
      if (wrong !== "") return this._fail(wrong);
    } else if (link.offence !== undefined && !this._isAccepted) {
      return this._fail(`${NAMES[packet.type]} in answer to what is no CONNACK`);
    }
    if (limits !== undefined && length > limits.maximumPacketSize) {
      return this._fail(`${NAMES[packet.type]} of ${length} bytes, the broker takes ${limits.maximumPacketSize}`);
    }
    if (packet.type === PUBLISH) {
      const wrong = this._resolve(packet);
      if (wrong !== "") return this._fail(wrong);
    }
    super._read(packet, length);
  }

  /** Puts the topic in the place of its alias. Returns what is wrong with that, or "". */
  private _resolve(packet: Packet): string {
    const { topicAlias: alias } = packet.properties;
    const { _topics: topics, _used: used } = this;
    if (alias === undefined) return packet.topic === "" ? "PUBLISH without topic and alias" : "";
    const most = Math.min(this.link.limits?.topicAliasMaximum ?? 0, this._version.topicAliases);
    if (alias < 1 || alias > most) return `alias ${alias}, ${most} is the most`;
    const known = topics[alias];
    if (packet.topic === "") {
      if (known === undefined) return `alias ${alias} is not known on this connection`;
      packet.topic = known;
      this._world.count("MQTT 5: an alias in place of a topic");
    } else {
      if (topics.includes(packet.topic)) return `alias ${alias} for ${packet.topic}, which has one`;
      for (let other = 1; other <= most; other++) {
        if ((used[other] ?? 0) < (used[alias] ?? 0)) return `alias ${alias} is given anew, ${other} is older`;
      }
      if (known !== undefined) this._world.count("MQTT 5: an alias is given anew");
      topics[alias] = packet.topic;
    }
    used[alias] = ++this._uses;
    return "";
  }

  private _checkDisconnect({ reasonCode, properties }: Packet): string {
    const { offence, closeCodes, isClosing } = this.link;
    const customer = this._broker.customerOf(this.link);
    if (properties.sessionExpiryInterval !== undefined) return "DISCONNECT with an expiry that nobody asked for";
    if (offence?.includes(reasonCode) === true) {
      this._world.count("MQTT 5: a broker that breaks the rules is answered");
      return "";
    }
    if (closeCodes.includes(reasonCode) || customer.isOff) return "";
    const expected = offence ?? (isClosing ? closeCodes : []);
    return `DISCONNECT with reason ${reasonCode}, not ${expected.join(" or ")}`;
  }

  /** What was sent to a session that is gone, as far as the client knows, is sent as if for the first time. */
  protected override _since(message: Message): number {
    const { links } = this._broker.customerOf(this.link);
    let since = message.firstLink;
    for (const { number, sessionPresent, isAccepted } of links) {
      if (sessionPresent === false && (isAccepted || number === this.link.number)) since = Math.max(since, number);
    }
    return since;
  }

  protected override _checkPublish(packet: Packet, message: Message, wasBegun: boolean): string {
    const { limits } = this.link;
    const { properties, packetId, qos, retain } = packet;
    if (limits === undefined) return "before CONNACK";
    if (qos > limits.maximumQoS) return `QoS ${qos}, the broker takes ${limits.maximumQoS}`;
    if (retain && !limits.retainAvailable) return "RETAIN, which the broker does not take";
    if (packetId !== 0) {
      this._open.add(packetId);
      const most = limits.receiveMaximum;
      if (this._open.size > most) return `${this._open.size} messages are not acknowledged, ${most} is the most`;
    }
    const given = message.given as Record<string, unknown> | undefined;
    const said = properties as Record<string, unknown>;
    for (const name of new Set([...Object.keys(given ?? {}), ...Object.keys(said)])) {
      if (name === "topicAlias" || name === "messageExpiryInterval") continue;
      if (textOfValue(said[name]) !== textOfValue(given?.[name])) return `with ${name} ${textOfValue(said[name])}`;
    }
    return this._checkExpiry(properties.messageExpiryInterval, message, wasBegun);
  }

  private _checkExpiry(said: number | undefined, message: Message, wasBegun: boolean): string {
    const asked = message.given?.messageExpiryInterval;
    if (asked === undefined || said === undefined) {
      return asked === said ? "" : `message expiry interval ${said ?? "none"}, not ${asked ?? "none"}`;
    }
    if (said > asked) return `message expiry interval ${said}, ${asked} was asked for`;
    // What was begun has to be completed, as it was. What has no time at all is for who is there now.
    if (asked === 0 || wasBegun || message.isOld) return "";
    const leftMs = message.expiresMs - this.link.writtenMs();
    if (leftMs < 0) return `left ${-leftMs} ms behind its expiry`;
    if (said > Math.ceil(leftMs / 1000)) return `message expiry interval ${said} with ${leftMs} ms left`;
    if (said < asked) this._world.count("MQTT 5: less is left until a message expires");
    return "";
  }

  protected override _judge(message: Message): number {
    const { random, isHealed } = this._world;
    if (isHealed || !random.chance(this._manners.rejecting)) {
      return message.qos === 1 && this._isTalkative() ? NO_MATCHING_SUBSCRIBERS : 0;
    }
    this._world.count("MQTT 5: a message is refused");
    message.isRejected = true;
    return random.pick(PUBLISH_REFUSALS);
  }

  protected override _checkReason(packet: Packet, session: BrokerSession, outgoing: Outgoing | undefined): string {
    const { type, packetId, reasonCode } = packet;
    if (reasonCode === 0) return "";
    const what = `${NAMES[type]} ${packetId} with reason ${reasonCode}`;
    if (reasonCode !== PACKET_IDENTIFIER_NOT_FOUND) return what;
    if (type === PUBREL) {
      const message = session.incoming.get(packetId);
      if (message === undefined || session.isMistaken) return "";
      const isOfThisLife = message.restarts === session.party.restarts && !message.isVoid && !message.isOld;
      return isOfThisLife && !message.isDone && message.outcome === "" ? what : "";
    }
    if (type !== PUBCOMP || outgoing === undefined) return what;
    const isNew = outgoing.releases === 1 && outgoing.delivery.restarts === 0 && !session.isMistaken;
    return isNew && outgoing.sends === 1 ? what : "";
  }

  protected override _completion(message: Message | undefined): number {
    return message === undefined ? PACKET_IDENTIFIER_NOT_FOUND : 0;
  }

  protected override _unsubscribed(filters: string[], session: BrokerSession): number[] {
    return filters.map((filter) => session.subscriptions.delete(filter) ? UNSUBSCRIBED : NO_SUBSCRIPTION_EXISTED);
  }

  protected override _grant(qos: number): number {
    const code = super._grant(qos);
    return code < 128 ? code : this._world.random.pick(SUBSCRIBE_REFUSALS);
  }

  protected override _checkFilters({ type, filters, properties }: Packet): string {
    const { limits } = this.link;
    if (limits === undefined || type !== SUBSCRIBE) return "";
    const isWild = filters.some((filter) => /[+#]/.test(filter));
    if (isWild && !limits.wildcardSubscriptionAvailable) return "SUBSCRIBE with wildcards, which the broker has not";
    const hasIdentifier = properties.subscriptionIdentifier !== undefined;
    if (hasIdentifier && !limits.subscriptionIdentifierAvailable) {
      return "SUBSCRIBE with an identifier, which the broker has not";
    }
    return "";
  }

  // What the broker sends.

  protected override _writeAck(type: number, packetId: number, code: number): void {
    if (type === PUBCOMP || type === PUBACK || (type === PUBREC && code > 127)) this._open.delete(packetId);
    this._talk(type, packetId);
    this._writer.ack(type, packetId, code);
  }

  /** Says a reason, which the client has to tell. */
  private _talk(type: number, packetId: number): void {
    if (!this._isTalkative() || this._maximumPacketSize < REASON_STRING_LENGTH) return;
    this._writer.properties = { reasonString: `r${NAMES[type]}.${packetId}` };
  }

  override takes({ delivery }: Outgoing): boolean {
    const { message, qos } = delivery;
    return publishLength(message.topic, message.payload, qos, undefined) <= this._maximumPacketSize;
  }

  protected override _writePublish(outgoing: Outgoing, dup: boolean): void {
    const { delivery, packetId } = outgoing;
    const { message, qos } = delivery;
    const { random } = this._world;
    const properties: GivenProperties & { topicAlias?: number } = {};
    let { topic } = message;
    if (this._isTalkative()) {
      properties.contentType = `c${message.uid}`;
      if (random.chance(50)) properties.userProperty = [["u", `${message.uid}`]];
      if (random.chance(50)) properties.messageExpiryInterval = random.between(0, 100000);
    }
    delivery.properties = undefined;
    const most = this._version.topicAliasMaximum;
    let setAlias = 0;
    if (most > 0 && random.chance(70)) {
      const known = this._ownTopics.indexOf(topic);
      if (known > 0 && random.chance(90)) {
        properties.topicAlias = known;
        topic = "";
      } else {
        setAlias = properties.topicAlias = random.between(1, Math.min(most, random.pick([2, 8, 300])));
      }
    }
    this._writer.properties = properties;
    this._writer.publish(dup, qos, packetId, topic, message.payload);
    if (this._writer.length > this._maximumPacketSize) {
      this._writer.publish(dup, qos, packetId, message.topic, message.payload);
      return;
    }
    if (topic === "") this._world.count("MQTT 5: an alias of the broker in place of a topic");
    if (setAlias > 0) {
      this._ownTopics[setAlias] = topic;
      this.session?.aliases.add(setAlias);
    }
    delivery.properties = properties;
  }

  protected override _dismiss(reasonCode: number): void {
    const { link } = this;
    if (link.offence !== undefined || !this._world.random5.chance(70)) return;
    link.dismissal = reasonCode;
    this._writer.disconnect(reasonCode);
    this._send(() => `DISCONNECT reason 0x${reasonCode.toString(16)}`);
  }

  // How the broker breaks the rules.

  private _offendFirst(packet: Packet): boolean {
    const { random, isHealed } = this._world;
    if (isHealed || !random.chance(this._manners.vicious / 2)) return false;
    const offence = packet.cleanSession && random.chance(50) ? PRESENT : random.pick(FIRST_OFFENCES);
    this._connect = undefined; // no will
    this._commit(offence);
    return true;
  }

  private _offend(): void {
    const { random } = this._world;
    if (random.chance(20) && this._flood()) return;
    this._commit(random.chance(25) ? UNKNOWN_ALIAS : random.pick(OFFENCES));
  }

  private _commit({ name, answers, bytes }: Offence): void {
    const { link, _ownTopics: topics } = this;
    const most = this._version.topicAliasMaximum;
    // One that an earlier connection knew, if there is one.
    let unknownAlias = [...this.session?.aliases ?? []].find((alias) => topics[alias] === undefined) ?? 1;
    while (topics[unknownAlias] !== undefined) unknownAlias++;
    const raw = bytes({
      topicAliasMaximum: most,
      maximumPacketSize: this._maximumPacketSize,
      unknownAlias: unknownAlias > most ? 0 : unknownAlias,
    });
    // Otherwise its length is what is wrong.
    if (raw === undefined || (raw.length > this._maximumPacketSize && answers[0] !== PACKET_TOO_LARGE)) return;
    this._begin(name, answers);
    this._writer.raw(raw);
    this._send(() => `*** against the rules: ${name}`);
    link.isDisturbed = true;
  }

  /** More QoS 2 messages than the client takes. */
  private _flood(): boolean {
    const { session, link, _broker: broker } = this;
    if (session === undefined || session.inflight.length + session.queue.length > 0 || session.isMistaken) return false;
    const customer = broker.customerOf(link);
    if (this._maximumPacketSize < 40 || customer.isOff) return false;
    this._begin(FLOOD, [RECEIVE_MAXIMUM_EXCEEDED]);
    for (let i = 0; i <= customer.receiveMaximum; i++) {
      const message = broker.addOwn();
      session.push(broker.ledger.owe(customer, message, 2));
    }
    for (const outgoing of session.queue.splice(0)) {
      outgoing.packetId = session.nextPacketId();
      session.inflight.push(outgoing);
      this.publish(outgoing, false);
    }
    link.isDisturbed = true;
    return true;
  }

  private _begin(name: string, answers: readonly number[]): void {
    this.link.offence = answers;
    this._world.count(`MQTT 5: ${name}`);
    const { features } = this._broker.customerOf(this.link).plan;
    if (features.includes(PAUSE)) return;
    this._world.after(LONGEST_ANSWER_MS, () => {
      const { isClosed, isHeard, isStruck } = this.link;
      if (!this._isDone() && !isClosed && !isStruck && isHeard) this._fail(`no end in answer to ${name}`);
    });
  }

  override onEnd(): void {
    const { link } = this;
    const { weather } = link;
    const isQuick = weather.room >= 128 && weather.mostMs <= 50 && !link.isStruck && !link.isOwed;
    if (!this.isOver && link.isViolated && !link.hasDisconnect && isQuick) {
      this._fail("the rules were broken, and no DISCONNECT");
    }
    this._takeBack();
    super.onEnd();
  }

  /** What was sent beyond the receive maximum was for nothing. */
  private _takeBack(): void {
    const { session, link } = this;
    const most = this._broker.customerOf(link).receiveMaximum;
    if (session?.peer !== this || session.inflight.length <= most) return;
    const back = session.inflight.splice(most);
    session.queue.unshift(...back);
    for (const outgoing of back) outgoing.packetId = outgoing.sends = 0;
  }

  protected override _resume(): void {
    if (this.isOver) return;
    this._takeBack();
    super._resume();
  }

  private _isTalkative(): boolean {
    return this._world.random.chance(this._manners.talkative);
  }
}

/** A value as text, so that two can be compared. */
function textOfValue(value: unknown): string {
  if (value instanceof Uint8Array) return String.fromCharCode(...value);
  if (typeof value === "boolean") return value ? "1" : "0";
  if (value === undefined) return "none";
  return typeof value === "string" ? value : JSON.stringify(value);
}
