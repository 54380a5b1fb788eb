/**
 * A broker that keeps to MQTT 3.1.1, and takes every liberty that it leaves: slow, picky, restarting, forgetting.
 *
 * Knows messages, sessions and who is connected; packets are for `BrokerPeer`. Invariant: a session has at most one
 * connection.
 */
import { BrokerPeer } from "./broker-peer.js";
import { BrokerPeer5 } from "./broker-peer5.js";
import { BrokerSession } from "./broker-session.js";
import type { Outgoing } from "./broker-session.js";
import type { Ledger, Message, Party } from "./ledger.js";
import { payloadOf, uidOf } from "./ledger.js";
import type { Link, Peer } from "./link.js";
import type { Packet } from "./packets.js";
import type { DevicePlan } from "./plan.js";
import type { Manners5 } from "./manners5.js";
import { drawManners5 } from "./manners5.js";
import type { Random } from "./random.js";
import type { Version5 } from "./version5.js";
import type { World } from "./world.js";

/** What the broker of one schedule is like. Counts of 100 unless said otherwise. */
export interface Manners {
  /** Hands QoS 2 messages on when PUBLISH comes (4.3.3, method B), rather than PUBREL (method A). */
  isEager: boolean;
  /** Messages that it sends without waiting for an acknowledgement. */
  window: number;
  /** Longest delay of an acknowledgement, ms. */
  slowestAckMs: number;
  /** The same of a PUBREL. */
  slowestReleaseMs: number;
  /** Acknowledgements that never come. */
  missing: number;
  /** Connections that are refused by CONNACK. */
  refusing: number;
  /** Filters that are refused. */
  picky: number;
  /** CONNACKs that take seconds. */
  sleepy: number;
}

export function drawManners(random: Random): Manners {
  return {
    isEager: random.chance(50),
    window: random.pick([1, 2, 5, 20]),
    slowestAckMs: random.pick([0, 0, 10, 200, 3000]),
    slowestReleaseMs: random.pick([0, 0, 10, 500, 5000]),
    missing: random.chance(15) ? 5 : 0,
    refusing: random.chance(25) ? 20 : 0,
    picky: random.chance(25) ? 20 : 0,
    sleepy: random.chance(15) ? 20 : 0,
  };
}

/** A device, to its broker. */
export interface Customer extends Party {
  readonly clientId: string;
  readonly keepAliveSeconds: number;
  readonly maxInflight: number;
  readonly receiveMaximum: number;
  /** What it is like if it speaks MQTT 5. */
  readonly version5: Version5 | undefined;
  /** Cleansession, as the application has it. */
  readonly saysClean: boolean;
  readonly maxMessageLength: number;
  readonly plan: DevicePlan;
  /** It has no power. */
  readonly isOff: boolean;
  /** All of its connections. */
  readonly links: Link[];
}

/** Reason codes of DISCONNECT. */
const SERVER_SHUTTING_DOWN = 0x8b;
const SESSION_TAKEN_OVER = 0x8e;

export class Broker {
  /** What it is like to clients of MQTT 5. */
  manners5: Manners5;
  readonly ledger: Ledger;
  readonly isEager: boolean;
  private readonly _world: World;
  private readonly _manners: Manners;
  private readonly _customers: Customer[];
  private readonly _sessions: (BrokerSession | undefined)[];
  /** By device: packet id of the oldest QoS 2 message that was under way in the session lost last; 0: none. */
  private readonly _lostIds: number[];
  private readonly _peers: BrokerPeer[] = [];
  private _isDown = false;

  constructor(world: World, ledger: Ledger, customers: Customer[], manners: Manners) {
    this._world = world;
    this.ledger = ledger;
    this._customers = customers;
    this._manners = manners;
    this.isEager = manners.isEager;
    this.manners5 = drawManners5(world.random5);
    this._sessions = customers.map(() => undefined);
    this._lostIds = customers.map(() => 0);
  }

  /** Takes a connection, unless it is down. */
  listen(link: Link): Peer | undefined {
    if (this._isDown) return undefined;
    const { version5 } = this._customers[link.device];
    const peer = version5 === undefined
      ? new BrokerPeer(this._world, this, link)
      : new BrokerPeer5(this._world, this, link, version5);
    this._peers.push(peer);
    return peer;
  }

  /** Goes down for a while and comes up, with its sessions or without. */
  restart(downMs: number, keepsSessions: boolean): void {
    if (this._isDown) return;
    if (this._world.trace !== undefined) {
      this._world.note(-1, `*** broker restarts ${keepsSessions ? "with" : "WITHOUT"} its sessions, ${downMs} ms`);
    }
    this._isDown = true;
    const isReset = this._world.random.chance(50);
    for (const peer of this._peers.splice(0)) peer.hangUp(isReset, SERVER_SHUTTING_DOWN);
    if (!keepsSessions) this._customers.forEach((customer) => this._forget(customer));
    this._world.after(downMs, () => {
      this._isDown = false;
      // Somebody has changed its configuration.
      this.manners5 = drawManners5(this._world.random5);
    });
  }

  /** Nothing is on its way to or from any device that has a session. */
  get isQuiet(): boolean {
    return this._sessions.every((session) => session === undefined || session.isQuiet);
  }

  /** What keeps it from being quiet. */
  get unrest(): string {
    return this._sessions.map((session, i) => session === undefined ? "" :
      `dev${i} at the broker: ${session.queue.length} queued, ${session.inflight.length} in flight, ` +
      `${session.incoming.size} incoming`)
      .join("; ");
  }

  /** A device was given back what it had some time ago: it takes the session for what it was then. */
  mistake(customer: Customer): void {
    const session = this._sessions[customer.index];
    if (session !== undefined) session.isMistaken = true;
  }

  /** What is subscribed to on a connection; undefined: it is over, or takes another session for its own. */
  subscriptionsOn(link: Link): ReadonlyMap<string, number> | undefined {
    const session = this._sessions[link.device];
    return session?.peer?.link === link && !session.isMistaken ? session.subscriptions : undefined;
  }

  /** Messages that it sends without waiting for an acknowledgement. */
  get window(): number {
    return this._manners.window;
  }

  /** The message with this packet id that is on its way to a device; 0: none. */
  uidInflight(customer: Customer, packetId: number): number {
    const found = this._sessions[customer.index]?.inflight.find((outgoing) => outgoing.packetId === packetId);
    return found?.delivery.message.uid ?? 0;
  }

  // What the peers ask.

  /** A message of its own. */
  addOwn(): Message {
    const uid = this.ledger.nextUid();
    return this.ledger.add(uid, "o/t0", payloadOf(uid, 8), 2, false, undefined, 0, false);
  }

  customerOf(link: Link): Customer {
    return this._customers[link.device];
  }

  /** What is wrong with keep alive time and will of CONNECT, or "". */
  checkConnect(packet: Packet, link: Link): string {
    const customer = this._customers[link.device];
    if (packet.keepAliveSeconds !== customer.keepAliveSeconds) return "CONNECT with another keep alive time";
    const will = this.ledger.messages.get(link.will);
    const { will: sent } = packet;
    if (will === undefined) return sent === undefined ? "" : "CONNECT with a will that nobody set";
    if (sent === undefined) return "CONNECT without the will";
    return sent.topic === will.topic && sent.message === will.payload && sent.qos === will.qos &&
      sent.retain === will.retain ? "" : "CONNECT with another will than was set";
  }

  /** A client is accepted. Returns Session Present. */
  accept(peer: BrokerPeer, packet: Packet): boolean {
    const customer = this._customers[peer.link.device];
    const { random } = this._world;
    const old = this._sessions[customer.index];
    if (old?.peer !== undefined) {
      if (this._world.trace !== undefined) this._world.note(customer.index, "<-    another connection takes over");
      old.peer.hangUp(random.chance(50), SESSION_TAKEN_OVER);
    }
    // Clean Start, of a client that wants its session to be kept.
    if (packet.cleanSession && !customer.isClean) this._forget(customer);
    const kept = packet.cleanSession ? undefined : this._sessions[customer.index];
    // Those that were under way in a session that was lost are as good as any, and the ones a client may mix up.
    const lostId = this._lostIds[customer.index];
    const isLost = lostId > 0 && random.chance(50);
    const firstId = isLost ? lostId : random.chance(20) ? random.between(65530, 65535) : 1;
    const session = kept ?? new BrokerSession(customer, firstId);
    this._sessions[customer.index] = session;
    if (kept === undefined && customer.losses > 0) session.madeOn = peer.link;
    if (kept?.madeOn?.isAccepted === false && !kept.isMistaken) {
      session.isMistaken = true;
      if (this._world.trace !== undefined) {
        this._world.note(customer.index, "*** the client never learnt that its session was lost");
      }
    }
    session.peer = peer;
    session.connections++;
    peer.session = session;
    return kept !== undefined;
  }

  /**
   * DISCONNECT has come.
   *
   * @param connect with the will, if that is to be published all the same
   */
  disconnected(peer: BrokerPeer, connect: Packet | undefined): void {
    peer.isOver = true;
    if (peer.session?.peer === peer) peer.session.peer = undefined;
    this.ended(peer, connect);
    peer.link.hangUp(false);
  }

  /** A connection is over. */
  ended(peer: BrokerPeer, connect: Packet | undefined): void {
    const at = this._peers.indexOf(peer);
    if (at >= 0) this._peers.splice(at, 1);
    const { session } = peer;
    const customer = this._customers[peer.link.device];
    if (session !== undefined && this._sessions[customer.index] === session && customer.isClean) {
      for (const { delivery } of [...session.queue, ...session.inflight]) delivery.isLost = true;
      this._sessions[customer.index] = undefined;
    } else if (session !== undefined && session.expiryMs < Infinity) {
      const { connections } = session;
      this._world.after(session.expiryMs, () => {
        if (this._sessions[customer.index] !== session || session.connections !== connections) return;
        this._world.count("MQTT 5: a session expires");
        if (this._world.trace !== undefined) this._world.note(customer.index, "*** the session expires");
        this._forget(customer);
      });
    }
    if (session === undefined || connect?.will === undefined) return;
    const will = this.ledger.messages.get(uidOf(connect.will.topic, connect.will.message));
    if (will !== undefined) this.take(will);
  }

  /** A message has come: hands it on to whoever wants it, once. */
  take(message: Message): void {
    this.ledger.arrived(message);
    if (message.arrivals > 1) return;
    for (const customer of this._customers) {
      const session = this._sessions[customer.index];
      if (session === undefined) continue;
      const subscribed = session.qosOf(message.topic);
      if (subscribed < 0) continue;
      const qos = Math.min(subscribed, message.qos);
      if (qos === 0 && session.peer === undefined) continue;
      session.push(this.ledger.owe(customer, message, qos));
      this.pump(session);
    }
  }

  /** Sends what waits, as far as the window lets it. */
  pump(session: BrokerSession): void {
    const { peer } = session;
    while (peer !== undefined && session.queue.length > 0) {
      const next: Outgoing = session.queue[0];
      if (!peer.takes(next)) {
        // As if it were delivered [MQTT-3.1.2-25].
        next.delivery.isOver = next.delivery.isLost = true;
        session.queue.shift();
        continue;
      }
      if (next.delivery.qos > 0) {
        if (session.inflight.length >= peer.window) return;
        next.packetId = session.nextPacketId();
        session.inflight.push(next);
      } else {
        next.delivery.isOver = true;
      }
      session.queue.shift();
      peer.publish(next, false);
    }
  }

  /** What is wrong with so many operations that wait for their acknowledgement, or "". */
  checkWindow(peer: BrokerPeer, count: number): string {
    const customer = this._customers[peer.link.device];
    if (count <= customer.maxInflight || peer.link.isClosing) return "";
    return `${count} operations under way, maxInflight is ${customer.maxInflight}`;
  }

  /** Nothing was read for one and a half times the keep alive. */
  checkSilence(peer: BrokerPeer): void {
    const { link } = peer;
    const customer = this._customers[link.device];
    if (link.isDisturbed || link.isClosed || !link.hadRoom || !link.isAccepted) return;
    if (link.isClosing) return;
    const pauseMs = this._world.nowMs - link.lastWriteMs;
    if (pauseMs > (link.keepAliveSeconds ?? customer.keepAliveSeconds) * 1000) {
      this._world.fail(link.device, `nothing sent for ${pauseMs} ms [MQTT-3.1.2-23]`);
    }
  }

  /** A connection that nothing was taken from, and that the application has closed, ends with DISCONNECT. */
  checkFarewell({ link }: BrokerPeer): void {
    const { missing, slowestAckMs, window } = this._manners;
    if (!link.isPolite || link.isOwed || link.isDisturbed) return;
    if (link.weather.room < 128 || link.weather.mostMs > 50) return;
    if (missing > 0 || slowestAckMs > 200 || window > this._customers[link.device].receiveMaximum) return;
    this._world.fail(link.device, "close(), and no DISCONNECT");
  }

  /** False if everything that was written to the connections from `firstLink` to this one was read. */
  mayHaveBeenSent(firstLink: number, link: Link): boolean {
    return this._customers[link.device].links.some(({ number, written, understood }) =>
      number >= firstLink && number < link.number && written !== understood);
  }

  releaseDelayMs(): number {
    const { random, isHealed } = this._world;
    return random.below(isHealed ? 20 : this._manners.slowestReleaseMs + 1);
  }

  ackDelayMs(): number {
    const { random, isHealed } = this._world;
    if (!isHealed && this._manners.missing > 0 && random.chance(this._manners.missing)) return Infinity;
    return this._manners.slowestAckMs === 0 ? 0 : random.below(isHealed ? 20 : this._manners.slowestAckMs);
  }

  pingDelayMs(): number {
    return this._world.random.chance(80) ? 0 : this._world.random.below(100);
  }

  connackDelayMs(): number {
    const { random, isHealed } = this._world;
    return isHealed || !random.chance(this._manners.sleepy) ? random.below(20) : random.below(9000);
  }

  refuses(): boolean {
    return !this._world.isHealed && this._world.random.chance(this._manners.refusing);
  }

  grants(requested: number): number {
    const { random, isHealed } = this._world;
    if (isHealed || !random.chance(this._manners.picky)) return requested;
    return random.chance(50) ? 128 : random.between(0, requested);
  }

  private _forget(customer: Customer): void {
    const session = this._sessions[customer.index];
    if (session === undefined) return;
    for (const { delivery } of [...session.queue, ...session.inflight]) delivery.isLost = true;
    this._lostIds[customer.index] = session.inflight.find(({ delivery }) => delivery.qos === 2)?.packetId ?? 0;
    this._sessions[customer.index] = undefined;
    customer.losses++;
    this.ledger.sessionLost(customer);
  }
}
