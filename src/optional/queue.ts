/**
 * What becomes of messages that wait too long, or that are in the way of newer ones.
 *
 *     const client = withQueuePolicy(mqtt.Client("sensor", 60, null, null, 0, { queueOffline: true }),
 *       { dropPolicy: "drop-oldest", maxAgeMs: 60000 });
 *     if (client.publish("/t", "1", 1)) client.expire(5000);
 *
 * Takes away only what has not begun to leave: a message once sent is the broker's, too, and has to be completed.
 */
import type { Hal, Timer } from "../../hal/socket.js";
import { asData, asFlag, asInteger, asQos, isNil, wrong } from "../arguments.js";
import type { DoneCallback, QoS } from "../callbacks.js";
import type { Client, Data, Flag } from "../client.js";
import { headerLength } from "../encoder.js";
import type { Outbox } from "../outbox.js";
import { DONE, ENTRY, EXPIRES, ID_SHIFT, LENGTH, SENT, SENT_AT_MS, STREAMED } from "../outbox.js";
import type { Client5 } from "../v5/client.js";
import type { GivenProperties } from "../v5/properties.js";
import { MAX_FIELD_LENGTH, PUBLISH } from "../wire.js";
import { Link } from "./link.js";

const MAX_MS = 1073741824;
/** Bytes of what can never be sent: no queue is so large. */
const NEVER_FITS = 4294967296;

export interface QueuePolicy {
  /**
   * What happens when `publish` finds the queue full. `"refuse"`, the default: it answers false. `"drop-oldest"`:
   * messages at QoS 0 that wait for the network make room, the oldest first; false is the answer only when that is not
   * enough, or with more outcomes to be told than `withOutcomes` keeps, and then nothing is dropped.
   */
  dropPolicy?: "refuse" | "drop-oldest";
  /**
   * Age at which a message that `publish` has accepted is removed unless it has begun to leave, in ms, 1..2^30. Not
   * given: it has all the time.
   */
  maxAgeMs?: number | null;
}

/** What `withQueuePolicy` adds. */
export interface Expiring {
  /**
   * Sets the age limit of the operation that was accepted last: call it directly behind a `publish` that answered true.
   * Has no effect once the message has begun to leave, nor where it expires before by itself (MQTT 5).
   *
   * @param afterMs 1..2^30, from now
   */
  expire(afterMs: number): void;
  /** For the promise face. @internal */
  readonly queueLink: { rest(): void };
}

class QueueLink extends Link {
  private readonly _hal: Hal;
  private readonly _outbox: Outbox;
  private readonly _timer: Timer;
  private _isArmed = false;
  private _armedMs = 0;

  constructor(client: Client) {
    super(client);
    this._hal = client.hal;
    this._outbox = this.connection.session.outbox;
    this._timer = this._hal.createTimer(() => {
      this._isArmed = false;
      this._expire();
      this.connection.afterCall();
    });
  }

  /** What became too old while there was no session is not to be sent on the new one. */
  override onConnect(sessionPresent: boolean): void {
    this._expire();
    super.onConnect(sessionPresent);
  }

  /** A timer for what is gone would keep a program from ending. */
  override onOffline(reason: number): void {
    this.rest();
    this._expire();
    super.onOffline(reason);
  }

  /** Removes nothing before there is a connection again. */
  rest(): void {
    this._isArmed = false;
    this._timer.clear();
  }

  setAge(afterMs: number): void {
    const outbox = this._outbox;
    if (outbox.operations === 0 || !this._isWaiting(outbox.operations - 1)) return;
    const entry = outbox.entry(outbox.operations - 1);
    const nowMs = this._hal.now();
    let dueMs = (nowMs + afterMs) | 0;
    if (this.connection.session.encoder.level === 5) {
      // An even time is that of the message itself, which is not put off.
      const isOwn = (outbox.table[entry] & EXPIRES) !== 0 && (outbox.table[entry + SENT_AT_MS] & 1) === 0;
      const ownMs = outbox.table[entry + SENT_AT_MS];
      dueMs = isOwn && ((ownMs - dueMs) | 0) < 0 ? ownMs : dueMs | 1;
    }
    outbox.table[entry] |= EXPIRES;
    outbox.table[entry + SENT_AT_MS] = dueMs;
    this._arm(nowMs, dueMs);
  }

  /**
   * Makes room for a message of `length` bytes: removes what is too old, of which the timer need not know when it comes
   * from a snapshot; then, if `mayDrop`, drops messages at QoS 0 that wait, the oldest first. False, and nothing is
   * dropped, when that is not enough or nobody could be told.
   */
  makeRoom(length: number, mayDrop: boolean): boolean {
    const outbox = this._outbox;
    this._expire();
    let places = outbox.table.length / ENTRY - outbox.atOnce - outbox.operations;
    let room = outbox.arena.length - length;
    for (let i = 0; i < outbox.operations; i++) room -= outbox.table[outbox.entry(i) + LENGTH];
    let count = 0;
    for (let i = outbox.passed; mayDrop && i < outbox.operations && (places < 1 || room < 0); i++) {
      if (!this._mayDrop(i)) continue;
      count++;
      places++;
      room += outbox.table[outbox.entry(i) + LENGTH];
    }
    if (places < 1 || room < 0 || (outbox.watcher !== undefined && outbox.watcher.room() < count)) return false;
    for (let i = outbox.passed; count > 0; i++) {
      if (!this._mayDrop(i)) continue;
      this._remove(i--, "dropped");
      count--;
    }
    return true;
  }

  private _mayDrop(index: number): boolean {
    const state = this._outbox.table[this._outbox.entry(index)];
    return state >> ID_SHIFT === 0 && (state & STREAMED) === 0 && this._isWaiting(index);
  }

  /** True when the entry has not begun to leave, on this connection or an earlier one. */
  private _isWaiting(index: number): boolean {
    const outbox = this._outbox;
    if (index < outbox.passed || (index === outbox.passed && outbox.partial > 0)) return false;
    return (outbox.table[outbox.entry(index)] & (SENT | DONE)) === 0;
  }

  /** Removes what is too old, and sets the timer for what will be. */
  private _expire(): void {
    const outbox = this._outbox;
    const nowMs = this._hal.now();
    for (let i = outbox.passed; i < outbox.operations; i++) {
      const entry = outbox.entry(i);
      if ((outbox.table[entry] & EXPIRES) === 0 || !this._isWaiting(i)) continue;
      const dueMs = outbox.table[entry + SENT_AT_MS];
      if (((dueMs - nowMs) | 0) > 0) this._arm(nowMs, dueMs);
      else this._remove(i--, "expired");
    }
  }

  private _remove(index: number, outcome: "expired" | "dropped"): void {
    const outbox = this._outbox;
    outbox.shrink(outbox.entry(index), 0);
    for (let i = index; i < outbox.operations - 1; i++) {
      const from = outbox.entry(i + 1);
      outbox.table.copyWithin(outbox.entry(i), from, from + ENTRY);
    }
    outbox.operations--;
    // With MQTT 5, what follows may have its outcome.
    outbox.passDone();
    outbox.lookDone();
    if (outbox.watcher !== undefined) outbox.watcher.onRemoved(index, outcome);
  }

  private _arm(nowMs: number, dueMs: number): void {
    if (this._isArmed && ((this._armedMs - dueMs) | 0) <= 0) return;
    this._isArmed = true;
    this._armedMs = dueMs;
    const delayMs = (dueMs - nowMs) | 0;
    this._timer.schedule(delayMs > 0 ? delayMs : 0);
  }
}

/**
 * Gives `client` a policy for messages that wait, and the method `expire`. Once for a client.
 *
 * Costs, in memory: a timer; in time: a look at each waiting message when the queue is full or an age is reached.
 *
 * @throws TypeError or RangeError that names the argument or the option
 */
export function withQueuePolicy<C extends Client>(client: C, policy: QueuePolicy): C & Expiring {
  if (typeof policy !== "object" || (policy as unknown) === null) throw wrong("policy", "an object", policy);
  const dropPolicy: unknown = policy.dropPolicy;
  if (dropPolicy !== undefined && dropPolicy !== "refuse" && dropPolicy !== "drop-oldest") {
    throw wrong("dropPolicy", '"refuse" or "drop-oldest"', dropPolicy);
  }
  const maxAgeMs = asInteger("maxAgeMs", policy.maxAgeMs, 0, 1, MAX_MS);
  const link = new QueueLink(client);
  // Its last argument is of MQTT 5.
  const client5 = client as Client as Client5;
  const publish = client5.publish.bind(client);
  const session = client.connection.session;
  const expire = (afterMs: number): void => {
    if (isNil(afterMs)) throw wrong("afterMs", "milliseconds", afterMs);
    link.setAge(asInteger("afterMs", afterMs, 0, 1, MAX_MS));
  };
  const publishOrDrop = (
    topic: string | number,
    payload: Data,
    qos?: QoS | null,
    retain?: Flag | null,
    done?: DoneCallback | null,
    properties?: GivenProperties | null,
  ): boolean => {
    let isAccepted = publish(topic, payload, qos, retain, done, properties);
    if (!isAccepted && session.accepts()) {
      const length = session.encoder.level === 5
        ? measure(client5, topic, payload, qos, retain, properties)
        : packetLength(topic, payload, qos);
      if (link.makeRoom(length, dropPolicy === "drop-oldest")) {
        isAccepted = publish(topic, payload, qos, retain, done, properties);
      }
    }
    if (isAccepted && maxAgeMs > 0) link.setAge(maxAgeMs);
    return isAccepted;
  };
  // Not by assignment: on a board the prototype, which has a `publish`, is frozen. Others may do the same after this.
  Object.defineProperties(client, {
    expire: { value: expire, configurable: true },
    queueLink: { value: link },
    publish: { value: publishOrDrop, configurable: true },
  });
  return client as C & Expiring;
}

/**
 * Bytes of a PUBLISH of MQTT 5, which only its encoder knows; NEVER_FITS when there can be none, or the broker would
 * not take it.
 */
function measure(
  client: Client5,
  topic: string | number,
  payload: Data,
  qos: QoS | null | undefined,
  retain: Flag | null | undefined,
  properties: GivenProperties | null | undefined,
): number {
  const session = client.connection.session;
  const scratch = new Uint8Array(session.outbox.arena.length);
  const flags = (asQos("qos", qos) << 1) | (asFlag("retain", retain, false) ? 1 : 0);
  const data = asData("payload", payload);
  client.setProperties(PUBLISH, properties);
  const end = session.encoder.publish(scratch, 0, scratch.length, flags, flags >> 1, String(topic), data);
  client.setProperties(PUBLISH, undefined);
  return end < 0 ? NEVER_FITS : end;
}

/** Bytes of a PUBLISH; NEVER_FITS or more when there can be none. */
function packetLength(topic: string | number, payload: Data, qos: QoS | null | undefined): number {
  const topicLength = byteLength(topic);
  if (topicLength > MAX_FIELD_LENGTH) return NEVER_FITS;
  const length = 2 + topicLength + (qos === 1 || qos === 2 ? 2 : 0) + byteLength(payload);
  return headerLength(length) + length;
}

/** Bytes of what an application gives as data; of text in UTF-8, or NEVER_FITS when it has a lone surrogate. */
function byteLength(data: Data): number {
  if (data instanceof Uint8Array || data instanceof ArrayBuffer) return data.byteLength;
  const string = String(data);
  let length = 0;
  let isBehindHigh = false;
  for (let i = 0; i < string.length; i++) {
    // XS on a board counts characters, other engines the halves of a surrogate pair.
    const code = string.charCodeAt(i);
    const isSurrogate = (code & 0xfffff800) === 0xd800;
    if (isSurrogate ? isBehindHigh !== code >= 0xdc00 : isBehindHigh) return NEVER_FITS;
    isBehindHigh = isSurrogate && !isBehindHigh;
    length += code < 0x80 ? 1 : code < 0x800 || isSurrogate ? 2 : code < 0x10000 ? 3 : 4;
  }
  return isBehindHigh ? NEVER_FITS : length;
}
