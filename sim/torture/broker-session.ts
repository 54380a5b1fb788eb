/** What the model broker keeps for a client identifier, with or without a connection. */
import type { Delivery, Message, Party } from "./ledger.js";
import type { BrokerPeer } from "./broker-peer.js";
import type { Link } from "./link.js";
import { matches } from "./topics.js";

/** A message on its way to a device. */
export interface Outgoing {
  packetId: number;
  readonly delivery: Delivery;
  /** PUBREC has come: PUBREL is what is to be sent again. */
  isReleased: boolean;
  /** Times that PUBLISH and PUBREL were sent. */
  sends: number;
  releases: number;
}

export class BrokerSession {
  readonly party: Party;
  readonly subscriptions = new Map<string, number>();
  /** Not sent, for want of a connection or of a place in the window. */
  queue: Outgoing[] = [];
  /** Sent and not acknowledged, in their order. */
  inflight: Outgoing[] = [];
  /** What was received last under each packet id. */
  readonly received = new Map<number, Message>();
  /** QoS 2 messages received, by packet id, until PUBREL. */
  readonly incoming = new Map<number, Message>();
  /** Packet ids for which a PUBREC was ever due: a PUBREL may come again. */
  readonly confirmed = new Set<number>();
  peer: BrokerPeer | undefined;
  /**
   * It replaced one that was lost, and the CONNACK that said so never reached the client, which takes it for the old
   * one. Nothing in MQTT 3.1.1 would tell the client.
   */
  isMistaken = false;
  /** The connection that it was made on, if it replaced one that was lost. */
  madeOn: Link | undefined;
  /** How long it is kept without a connection; Infinity: for ever. */
  expiryMs = Infinity;
  /** Aliases that the broker has ever used. */
  readonly aliases = new Set<number>();
  /** Connections that it has had. */
  connections = 0;
  private _lastPacketId: number;

  /** @param firstId packet id of its first message */
  constructor(party: Party, firstId: number) {
    this.party = party;
    this._lastPacketId = firstId - 1;
  }

  /** Nothing is on its way. What a device began before it lost its RAM, or what it gave up, nobody will finish. */
  get isQuiet(): boolean {
    if (this.queue.length > 0 || this.inflight.length > 0) return false;
    for (const message of this.incoming.values()) {
      const { restarts, isVoid } = message;
      if (restarts === this.party.restarts && !isVoid && !this.party.mayBeRefused(message)) return false;
    }
    return true;
  }

  /** A message is to be sent. */
  push(delivery: Delivery): void {
    this.queue.push({ packetId: 0, delivery, isReleased: false, sends: 0, releases: 0 });
  }

  /** Highest QoS of the subscriptions that match; -1: none does. */
  qosOf(topic: string): number {
    let best = -1;
    for (const [filter, qos] of this.subscriptions) {
      if (qos > best && matches(filter, topic)) best = qos;
    }
    return best;
  }

  /** A packet id that is not in use. */
  nextPacketId(): number {
    do {
      this._lastPacketId = this._lastPacketId === 65535 ? 1 : this._lastPacketId + 1;
    } while (this.inflight.some(({ packetId }) => packetId === this._lastPacketId));
    return this._lastPacketId;
  }
}
