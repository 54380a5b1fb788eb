/**
 * Acknowledgements that the application gives: what the broker sends is confirmed once it is done with, not once it was
 * delivered.
 *
 *     const client = withAcknowledge(mqtt.Client("valve", 60, null, null, 0), { autoAck: false });
 *     client.on("message", (client, topic, data, info) => {
 *       if (info.qos === 1) work(data, () => client.puback(info.packetId));
 *     });
 *     client.onPubrel((client, packetId) => client.pubcomp(packetId));
 *
 * Keeps the acknowledgements that are owed, in the order in which the broker asked for them on this connection; in that
 * order PUBACKs leave [MQTT-4.6.0-2], and PUBRECs [MQTT-4.6.0-3], whatever the order of the application's calls. Takes
 * the place of the session where that acknowledges by itself. What does not fit the session's room for acknowledgements
 * waits here, and goes behind what leaves first.
 *
 * What becomes of them when the connection is lost: PUBACKs and PUBCOMPs are forgotten, since the broker sends the
 * PUBLISH or PUBREL again, and with it the application gets its message or its `onPubrel` again. A QoS 2 message is not
 * delivered again: the session remembers it, and `pubrec` can be called at any time, also without a connection; PUBREC
 * leaves when the broker asks again. After a restored snapshot, of which the session knows only that a message was
 * delivered, it leaves without a call: take a snapshot when `drain` says that nothing is owed.
 *
 * Invariant, with `autoAck: "never"`: an id in the session's table that has no entry here was confirmed by the
 * application; an entry of an earlier connection whose id is not there any more means nothing.
 *
 * Costs, in memory: 8 bytes for each of the client's `receiveMaximum`, and eight functions.
 */
import { asCallback, asInteger, show, wrong } from "../arguments.js";
import type { Client } from "../client.js";
import { END_RECEIVE_MAXIMUM } from "../errors.js";
import type { Session } from "../session.js";
import { CONTROL_CAPACITY } from "../session.js";
import type { Encoder5 } from "../v5/encoder.js";
import { MAX_PACKET_ID, PUBACK, PUBCOMP, PUBREC, PUBREL, QOS_1, QOS_2 } from "../wire.js";

export interface AcknowledgeOptions {
  /**
   * What the application does by itself. `false`, the default: PUBACK and PUBCOMP. `"never"`: PUBREC too.
   */
  autoAck?: false | "never" | null;
}

/** PUBREL came, and PUBCOMP is the application's. Never called inside a call of the client. */
export type PubrelCallback = (client: Client, packetId: number) => void;

/** What `withAcknowledge` adds. Packet ids are those of `info.packetId` and of `onPubrel`. */
export interface Acknowledging {
  /**
   * Confirms a message that was received at QoS 1. In its callback, in any later one, or outside of them.
   *
   * @param reasonCode with MQTT 5: 0 (default), or why the message is refused, from 0x80 on
   * @returns true: PUBACK leaves, now or behind earlier ones; false: nothing of that id waits for it, or no longer,
   *   because the connection that brought it is gone
   */
  puback(packetId: number, reasonCode?: number | null): boolean;
  /**
   * Confirms, with `autoAck: "never"`, a message that was received at QoS 2; otherwise as `puback`. One that is refused
   * is over with that [MQTT-4.3.3-9]; without the connection that brought it, it comes once more, to be refused again.
   */
  pubrec(packetId: number, reasonCode?: number | null): boolean;
  /** Answers PUBREL, of which `onPubrel` tells; otherwise as `puback`. A reason code can be 0x92: no such id. */
  pubcomp(packetId: number, reasonCode?: number | null): boolean;
  /**
   * Sends PUBREL again, for a message of this client of which PUBCOMP is awaited on this connection. False: there is
   * none, or no room at the moment.
   */
  pubrel(packetId: number): boolean;
  /** Sets what is called when PUBREL came, once for each connection on which it does; null clears it. */
  onPubrel(callback: PubrelCallback | null): void;
}

/**
 * An entry: the reason code and the packet id, shifted, the type of the acknowledgement, and its state. One that has
 * none of these flags is for a QoS 2 message of an earlier connection that the broker has not repeated on this one.
 */
const SHIFT = 8;
const REASON_SHIFT = 24;
const TYPE = 15;
/** The broker has asked for it on this connection, */
const ASKED = 16;
/** and what it is for has arrived whole. */
const WHOLE = 32;
/** The application has given it. */
const GIVEN = 64;
const READY = ASKED | WHOLE | GIVEN;
/** What the session keeps free in `control` for itself: an acknowledgement more, PINGREQ and DISCONNECT. */
const RESERVE = 8;
/** Bytes of an acknowledgement. */
const ACK_LENGTH = 4;
/** From here on a reason code says that a message is refused. */
const REFUSED = 0x80;
/** Those with which a client may refuse a message, a bit for each (3.4.2.1). */
const REFUSALS = 0x2830089;
/** The one of PUBCOMP: there is no such packet id. */
const UNKNOWN_ID = 0x92;

class Acknowledger {
  onPubrel: PubrelCallback | undefined = undefined;
  private readonly _client: Client;
  readonly session: Session;
  private readonly _givesPubrec: boolean;
  /** As many as there may be on this connection, and as many QoS 2 messages of earlier ones. */
  readonly table: Int32Array;
  private _count = 0;
  /** Some could not leave for lack of room. */
  private _isHeldUp = false;
  /** The connection that has brought what is being received is still there. */
  private _isOn = false;
  /** Puts an acknowledgement among those that leave, if the session is not past that. */
  private readonly _queue: (type: number, packetId: number) => void;

  constructor(client: Client, givesPubrec: boolean) {
    const session = client.connection.session;
    this._client = client;
    this.session = session;
    this._givesPubrec = givesPubrec;
    this.table = new Int32Array(session.control.length - CONTROL_CAPACITY);
    this._queue = session._acknowledge.bind(session);
    const accept = session._accept.bind(session);
    const pending = session.pending.bind(session);
    const lost = session.lost.bind(session);
    const isDrained = session.isDrained.bind(session);
    const isQuiet = session.isQuiet.bind(session);
    Object.defineProperties(session, {
      _acknowledge: {
        value: (type: number, packetId: number): void => {
          this._acknowledge(type, packetId);
        },
        configurable: true,
      },
      _accept: {
        value: (flags: number, packetId: number, bytes: Uint8Array, from: number, to: number): string | undefined => {
          this._isOn = true;
          const topic = accept(flags, packetId, bytes, from, to);
          return topic === undefined || this._expect(flags, packetId) ? topic : session._refuse(END_RECEIVE_MAXIMUM);
        },
        configurable: true,
      },
      pending: {
        value: (room: number): number => {
          if (this._isHeldUp) this._release(session._isReceiving);
          if (!this._isHeldUp) return pending(room);
          // As while bytes are being read: the session is not to say goodbye before the rest has left, too.
          const isReceiving = session._isReceiving;
          session._isReceiving = true;
          const count = pending(room);
          session._isReceiving = isReceiving;
          return count;
        },
        configurable: true,
      },
      lost: {
        value: (): void => {
          lost();
          this._lose();
        },
        configurable: true,
      },
      isDrained: {
        // What is remembered of earlier connections the session knows as well.
        value: (): boolean => isDrained() && this._countAsked() === 0,
        configurable: true,
      },
      isQuiet: {
        value: (): boolean => isQuiet() && !this._isHeldUp,
        configurable: true,
      },
    });
  }

  /** The application gives an acknowledgement. */
  give(type: number, packetId: unknown, reasonCode: unknown): boolean {
    if (packetId === undefined || packetId === null) throw wrong("packetId", "a packet id", packetId);
    const id = asInteger("packetId", packetId, 0, 1, MAX_PACKET_ID);
    const code = this._asReason(type, reasonCode);
    const index = this._find(type, id);
    if (index < 0 || (this.table[index] & GIVEN) !== 0) return false;
    if ((this.table[index] & ASKED) === 0) {
      // The broker's to ask again; the session says whether it knows the message.
      this._remove(index);
      const received = this.session._receivedIndex(id);
      if (received > 0 && code >= REFUSED) this.session._forget(received);
      return received > 0;
    }
    this.table[index] |= GIVEN | (code << REASON_SHIFT);
    this._release(this.session._isReceiving);
    this._client.connection.afterCall();
    return true;
  }

  private _asReason(type: number, reasonCode: unknown): number {
    const code = asInteger("reason code", reasonCode, 0, 0, 255);
    if (code === 0) return code;
    if (this.session.encoder.level !== 5) throw new TypeError("reason code belongs to MQTT 5");
    const failure = code - REFUSED;
    const isRefusal = failure >= 0 && failure < 32 && ((REFUSALS >> failure) & 1) === 1;
    if (type === PUBCOMP ? code !== UNKNOWN_ID : !isRefusal) throw wrong("reason code", "one of a client", code);
    return code;
  }

  repeatPubrel(packetId: unknown): boolean {
    if (packetId === undefined || packetId === null) throw wrong("packetId", "a packet id", packetId);
    const id = asInteger("packetId", packetId, 0, 1, MAX_PACKET_ID);
    const session = this.session;
    const before = session._controlEnd;
    if (session.outbox.awaits(PUBCOMP, id) < 0 || !this._hasRoom(session._isReceiving)) return false;
    this._queue(PUBREL, id);
    const isQueued = session._controlEnd > before;
    this._client.connection.afterCall();
    return isQueued;
  }

  /** A message begins that is to be delivered. False: there are too many. */
  private _expect(flags: number, packetId: number): boolean {
    if ((flags & QOS_1) !== 0) {
      const index = this._find(PUBACK, packetId);
      if (index < 0) return this._add(PUBACK, packetId, ASKED);
      // Once more before it was acknowledged: the same.
      this.table[index] &= ~WHOLE;
    } else if ((flags & QOS_2) !== 0 && this._givesPubrec) {
      const index = this._find(PUBREC, packetId);
      // Of a message that the session has forgotten.
      if (index >= 0) this._remove(index);
      return this._add(PUBREC, packetId, ASKED);
    }
    return true;
  }

  /** In the session's place: what this acknowledgement is for has arrived. */
  private _acknowledge(type: number, packetId: number): void {
    const isOurs = type === PUBACK || type === PUBCOMP || (type === PUBREC && this._givesPubrec);
    if (!isOurs) return this._queue(type, packetId);
    const index = this._find(type, packetId);
    // What the session would say: it is not for another acknowledgement.
    const encoder = this.session.encoder as Partial<Encoder5>;
    const code = encoder.code || 0;
    if (code > 0) encoder.code = 0;
    if (type === PUBCOMP) {
      const recIndex = this._find(PUBREC, packetId);
      // The broker has had PUBREC, whoever gave it.
      if (recIndex >= 0) this._remove(recIndex);
      if (index >= 0) return;
      const state = ASKED | WHOLE | (code << REASON_SHIFT);
      if (!this._add(PUBCOMP, packetId, state)) return this.session._refuse(END_RECEIVE_MAXIMUM);
      this._tellPubrel(packetId);
    } else if (!this._isOn) {
      // The callback has ended the connection.
      return;
    } else if (index >= 0 && (this.table[index] & ASKED) !== 0) {
      this.table[index] |= WHOLE;
    } else if (type === PUBREC) {
      // The broker asks again. What has no entry was given.
      if (index >= 0) this._remove(index);
      if (!this._add(PUBREC, packetId, index >= 0 ? ASKED | WHOLE : READY)) this.session._refuse(END_RECEIVE_MAXIMUM);
    }
    this._release(false);
  }

  private _tellPubrel(packetId: number): void {
    const callback = this.onPubrel;
    if (callback === undefined) return;
    try {
      callback(this._client, packetId);
    } catch (error) {
      this._client.hal.uncaught(error);
    }
  }

  /**
   * Queues all that may leave, as far as there is room.
   *
   * @param mayFollow the session may have to queue one more for what it is reading
   */
  private _release(mayFollow: boolean): void {
    this._isHeldUp = false;
    let isPubackOwed = false;
    let isPubrecOwed = false;
    for (let i = 0; i < this._count; i++) {
      const entry = this.table[i];
      const type = entry & TYPE;
      if ((entry & READY) !== READY) {
        if ((entry & ASKED) !== 0) {
          if (type === PUBACK) isPubackOwed = true;
          if (type === PUBREC) isPubrecOwed = true;
        }
        continue;
      }
      if ((type === PUBACK && isPubackOwed) || (type === PUBREC && isPubrecOwed)) continue;
      if (!this._hasRoom(mayFollow)) {
        this._isHeldUp = true;
        return;
      }
      // Nothing is queued behind DISCONNECT; then the connection ends, and with it what is here.
      this._send(type, idOf(entry), entry >>> REASON_SHIFT);
      this._remove(i--);
    }
  }

  private _send(type: number, packetId: number, code: number): void {
    const session = this.session;
    const encoder = session.encoder as Encoder5;
    if (code > 0) encoder.code = code;
    this._queue(type, packetId);
    if (code === 0) return;
    // Where it could not be said.
    encoder.code = 0;
    const received = type === PUBREC ? session._receivedIndex(packetId) : 0;
    if (received > 0) session._forget(received);
  }

  private _hasRoom(mayFollow: boolean): boolean {
    return this.session._controlEnd <= CONTROL_CAPACITY - RESERVE - (mayFollow ? ACK_LENGTH : 0);
  }

  /** The connection is gone. No more entries stay than the session has ids: half of those that there is place for. */
  private _lose(): void {
    this._isOn = false;
    let kept = 0;
    for (let i = 0; i < this._count; i++) {
      const entry = this.table[i];
      const isOwed = (entry & TYPE) === PUBREC && (entry & GIVEN) === 0;
      if (isOwed && this.session._receivedIndex(idOf(entry)) > 0) this.table[kept++] = entry & ~(ASKED | WHOLE);
    }
    this._count = kept;
  }

  private _find(type: number, packetId: number): number {
    for (let i = 0; i < this._count; i++) {
      if (idOf(this.table[i]) === packetId && (this.table[i] & TYPE) === type) return i;
    }
    return -1;
  }

  /** Adds an entry. False: there are as many on this connection as there may be. */
  private _add(type: number, packetId: number, state: number): boolean {
    if (2 * this._countAsked() >= this.table.length) return false;
    this.table[this._count++] = (packetId << SHIFT) | state | type;
    return true;
  }

  private _countAsked(): number {
    let count = 0;
    for (let i = 0; i < this._count; i++) if ((this.table[i] & ASKED) !== 0) count++;
    return count;
  }

  private _remove(index: number): void {
    this.table.copyWithin(index, index + 1, this._count);
    this._count--;
  }
}

function idOf(entry: number): number {
  return (entry >> SHIFT) & MAX_PACKET_ID;
}

/**
 * Gives `client` the methods `puback`, `pubrec`, `pubcomp`, `pubrel` and `onPubrel`; it does not acknowledge by itself
 * any more. Once for a client, and before its first `connect`. One message more than `receiveMaximum` that is not
 * acknowledged ends the session with END_RECEIVE_MAXIMUM: let that be no less than what the broker sends without an
 * acknowledgement (mosquitto: 20), or `pause` in time.
 *
 * @throws TypeError that names the option
 */
export function withAcknowledge<C extends Client>(
  client: C,
  options?: AcknowledgeOptions | null,
): C & Acknowledging {
  const given: unknown = options === undefined || options === null ? {} : options;
  if (typeof given !== "object") throw wrong("options", "an object", given);
  const table = given as Record<string, unknown>;
  for (const name in table) if (name !== "autoAck") throw new TypeError("unknown option " + show(name));
  const autoAck = table.autoAck;
  if (autoAck !== undefined && autoAck !== null && autoAck !== false && autoAck !== "never") {
    throw wrong("autoAck", 'false or "never"', autoAck);
  }
  const acknowledger = new Acknowledger(client, autoAck === "never");
  const acknowledging: Acknowledging = {
    puback(packetId, reasonCode) {
      return acknowledger.give(PUBACK, packetId, reasonCode);
    },
    pubrec(packetId, reasonCode) {
      return acknowledger.give(PUBREC, packetId, reasonCode);
    },
    pubcomp(packetId, reasonCode) {
      return acknowledger.give(PUBCOMP, packetId, reasonCode);
    },
    pubrel(packetId) {
      return acknowledger.repeatPubrel(packetId);
    },
    onPubrel(callback) {
      if ((callback as unknown) === undefined) throw wrong("callback", "a function or null", callback);
      acknowledger.onPubrel = asCallback("callback", callback);
    },
  };
  return Object.assign(client, acknowledging);
}
