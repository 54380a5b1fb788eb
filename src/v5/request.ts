/**
 * Requests and their responses (4.10): a message that says where it wants its answer, and the answer that says what it
 * belongs to.
 *
 *     const client = withRequests(mqtt.Client("display"), { responseTopic: "displays/1/answers" });
 *     client.request("sensors/1/read", "", (client, data, info, failure) => {
 *       print(failure === undefined ? data : "no answer: " + failure);
 *     });
 *
 * and at the other end, for which `withRequests` is not needed:
 *
 *     client.on("message", (client, topic, data, info) => {
 *       reply(client, info, "20.5");
 *     });
 *
 * Keeps what waits for an answer, in the order of the calls. The response topic is subscribed to here: before the first
 * request of a session that does not know of it. Correlation Data are a random number, drawn once, and a count, so that
 * what was asked in an earlier life of the device is not answered in this one.
 */
import type { Timer } from "../../hal/socket.js";
import { asCallback, asInteger, asQos, isNil, show, wrong } from "../arguments.js";
import type { Data, QoS } from "../client.js";
import type { Subscriptions } from "../codec.js";
import { WHOLE } from "../connection.js";
import { Link } from "../optional/link.js";
import { PUBLISH, SUBACK, SUBSCRIBE } from "../wire.js";
import type { Client5, MessageCallback5, MessageInfo5 } from "./client.js";
import type { GivenProperties, Properties, PropertyVisitor } from "./properties.js";
import type { Session5 } from "./session.js";
import { CORRELATION_DATA, NO_MATCHING_SUBSCRIBERS, UNSPECIFIED_ERROR } from "./wire.js";

type Maybe<T> = T | null | undefined;

const MAX_MS = 1073741824;
/** Bytes of the random number, and of the count behind it. */
const RANDOM_LENGTH = 4;
const CORRELATION_LENGTH = 8;
/** Of a subscription: no retained messages, which are no answers (3.8.3.1). */
const NO_RETAINED = 0x20;
/** Is added to the reason code that answers the subscription made here, until it is told. No reason code has it. */
const OURS = 0x40;

/** What `withRequests` needs to know. */
export interface RequestsOptions {
  /** A topic name of this device's own: where the answers are to come. */
  responseTopic: string;
  /** Most requests that wait for their answer at the same time, 1..65535; 8 by default. */
  maxRequests?: number | null;
  /** Time for an answer, in milliseconds, 1..2^30; 10,000 by default. */
  timeoutMs?: number | null;
  /** Of the subscription to the response topic, and of requests that have no other. 1 by default. */
  qos?: QoS | null;
}

/** How one request differs. */
export interface RequestOptions {
  qos?: QoS | null;
  timeoutMs?: number | null;
  /** Others than `responseTopic` and `correlationData`, for instance `messageExpiryInterval`. */
  properties?: GivenProperties | null;
}

/**
 * Why there is no answer.
 *
 * - `"timeout"`: it did not come in time.
 * - `"lost"`: the session ended first, and the broker does not keep it.
 * - a reason code of the broker. From 0x80 on: it has refused the request, or the subscription to the response topic.
 *   0x10: when the time was over, as with `"timeout"`, but the broker had said that nobody subscribes to the topic of
 *   the request.
 */
export type RequestFailure = "timeout" | "lost" | number;

/**
 * A request is over. Never called inside a call of the client.
 *
 * @param data the answer, as the client's `format` says: undefined when it is empty, or when there is none
 * @param info of the answer, valid during the call as in a `message` callback; undefined: there is none
 * @param failure why there is no answer; undefined: this is it
 */
export type ResponseCallback = (
  client: Client5,
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- a string or bytes, which only the format says
  data: any,
  info: MessageInfo5 | undefined,
  failure: RequestFailure | undefined,
) => void;

/** What `withRequests` adds. */
export interface Requesting {
  /**
   * Publishes a message that asks for an answer, and calls `callback` once. An answer that is longer than
   * `maxMessageLength` is none: it goes to `overflow` or `data`. As with any message, `puback` is called for it.
   *
   * @param qos of the options: of the request; by default that of `withRequests`
   * @returns false, having done nothing, when no session is up, when `maxRequests` wait, or as `publish`
   * @throws TypeError or RangeError that names the argument
   */
  request(topic: string | number, payload: Data, callback: ResponseCallback, options?: RequestOptions | null): boolean;
}

/** A request without its answer. */
class Waiting {
  readonly callback: ResponseCallback;
  /** The last part of its Correlation Data. */
  readonly count: number;
  readonly deadlineMs: number;
  /** Of its PUBLISH, until the broker has acknowledged that; else 0. */
  packetId: number;
  /** What there is to say when its time is over: also NO_MATCHING_SUBSCRIBERS. */
  failure: RequestFailure = "timeout";

  constructor(callback: ResponseCallback, count: number, deadlineMs: number, packetId: number) {
    this.callback = callback;
    this.count = count;
    this.deadlineMs = deadlineMs;
    this.packetId = packetId;
  }
}

class RequestLink extends Link {
  private readonly _client: Client5;
  private readonly _session: Session5;
  private readonly _timer: Timer;
  readonly topic: string;
  private readonly _filters: Subscriptions;
  readonly capacity: number;
  /** In the order of the calls. */
  private readonly _waiting: Waiting[] = [];
  /** Correlation Data of the last request. */
  private readonly _correlation: Uint8Array;
  private _count = 0;
  /** When the timer is to fire, while any wait. */
  private _armedMs = 0;
  /** The broker has granted the response topic, in the session that there is. */
  private _isSubscribed = false;
  /** The packet id of the SUBSCRIBE that asks for it; 0: none is under way. */
  private _subscribeId = 0;
  /** The reason codes that are about to be told are those of that SUBSCRIBE. */
  private _isOurs = false;
  /** Looks at the properties of a message; `_found` is the index of the request that it answers, or -1. */
  private readonly _visit: PropertyVisitor;
  private _found = -1;

  constructor(client: Client5, topic: string, qos: number, capacity: number) {
    super(client);
    const session = client.connection.session;
    this._client = client;
    this._session = session;
    this.topic = topic;
    this.capacity = capacity;
    this._filters = Object.create(null) as Subscriptions;
    this._filters[topic] = qos | NO_RETAINED;
    this._correlation = new Uint8Array(CORRELATION_LENGTH);
    for (let i = 0; i < RANDOM_LENGTH; i++) this._correlation[i] = Math.floor(Math.random() * 256);
    this._visit = (id, bytes, start, end) => {
      if (id === CORRELATION_DATA) this._found = this._find(bytes, start, end);
    };
    this._timer = client.hal.createTimer(() => {
      this._expire();
    });
    const onAck = session.onAck.bind(session);
    const onSuback = session.onSuback.bind(session);
    const grantedCodes = session.grantedCodes.bind(session);
    // Not by assignment: on a board the prototype, which has these methods, is frozen.
    Object.defineProperties(session, {
      onAck: {
        value: (type: number, packetId: number): void => {
          const isOutcome = session.outbox.awaits(type, packetId) >= 0;
          const reasonCode = session.decoder.code;
          onAck(type, packetId);
          if (isOutcome) this._acknowledged(packetId, reasonCode);
        },
        configurable: true,
      },
      onSuback: {
        value: (packetId: number, bytes: Uint8Array, start: number, end: number): void => {
          const isOurs = packetId === this._subscribeId && session.outbox.awaits(SUBACK, packetId) >= 0;
          const reasonCode = bytes[start];
          if (isOurs) {
            this._subscribeId = 0;
            this._isSubscribed = reasonCode < UNSPECIFIED_ERROR;
            bytes[start] |= OURS;
          }
          onSuback(packetId, bytes, start, end);
          if (isOurs && !this._isSubscribed) this._endAll(reasonCode);
        },
        configurable: true,
      },
      grantedCodes: {
        value: (): Uint8Array => {
          const codes = grantedCodes();
          this._isOurs = (codes[0] & OURS) !== 0;
          codes[0] &= ~OURS;
          return codes;
        },
        configurable: true,
      },
    });
  }

  request(
    topic: string | number,
    payload: Data,
    callback: ResponseCallback,
    qos: number,
    timeoutMs: number,
    properties: Maybe<GivenProperties>,
  ): boolean {
    const session = this._session;
    const correlation = this._correlation;
    const count = (this._count + 1) | 0;
    for (let i = 0; i < 4; i++) correlation[RANDOM_LENGTH + i] = count >> (24 - 8 * i);
    const given = Object.assign({}, properties, { responseTopic: this.topic, correlationData: correlation });
    session.refusal = 0;
    // The subscription goes in front: no answer can be quicker.
    if (!session.isUp() || this._waiting.length >= this.capacity || !this._subscribe()) return false;
    if (!this._client.publish(topic, payload, qos as QoS, null, null, given)) return false;
    const nowMs = this._client.hal.now();
    const deadlineMs = nowMs + timeoutMs;
    const packetId = qos > 0 ? session.outbox.lastPacketId : 0;
    this._count = count;
    this._waiting.push(new Waiting(callback, count, deadlineMs, packetId));
    if (this._waiting.length === 1 || ((this._armedMs - deadlineMs) | 0) > 0) this._arm(nowMs, deadlineMs);
    return true;
  }

  override onConnect(sessionPresent: boolean): void {
    if (!sessionPresent) this._isSubscribed = false;
    this._subscribe();
    if (!sessionPresent) this._endAll("lost");
    super.onConnect(sessionPresent);
  }

  override onOffline(reason: number): void {
    // What the broker has not answered is not asked again.
    this._subscribeId = 0;
    if (this._session.cleanSession) this._endAll("lost");
    super.onOffline(reason);
  }

  override onDone(type: number, granted: Uint8Array | undefined): void {
    if (!this._isOurs) return super.onDone(type, granted);
    this._isOurs = false;
    // The application has not asked for it.
    const slots = this._client._callbacks.slots;
    const suback = slots.suback;
    slots.suback = undefined;
    super.onDone(type, granted);
    slots.suback = suback;
  }

  override onMessage(
    topic: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    flags: number,
    packetId: number,
    offset: number,
    total: number,
  ): void {
    this._found = -1;
    const isCandidate = this._waiting.length > 0 && offset === WHOLE && topic === this.topic;
    if (isCandidate) this._session.said.forEach(this._visit);
    if (this._found < 0) return super.onMessage(topic, bytes, start, end, flags, packetId, offset, total);
    const request = this._take(this._found);
    // It comes as a message does, but to the one who asked.
    const slots = this._client._callbacks.slots as unknown as { message: MessageCallback5 | undefined };
    const message = slots.message;
    let isDue = true;
    const restore = (): void => {
      if (isDue) slots.message = message;
      isDue = false;
    };
    slots.message = (client, _topic, data, info) => {
      restore();
      request.callback(client, data, info, undefined);
    };
    super.onMessage(topic, bytes, start, end, flags, packetId, offset, total);
    restore();
  }

  /** Subscribes to the response topic, unless that is done. False: there is no room for it. */
  private _subscribe(): boolean {
    if (this._isSubscribed || this._subscribeId > 0) return true;
    if (this.connection.queue(SUBSCRIBE, this._filters, "") < 0) return false;
    this._subscribeId = this._session.outbox.lastPacketId;
    return true;
  }

  /** The index of the request with this Correlation Data, or -1. */
  private _find(bytes: Uint8Array, start: number, end: number): number {
    if (end - start !== CORRELATION_LENGTH) return -1;
    for (let i = 0; i < RANDOM_LENGTH; i++) if (bytes[start + i] !== this._correlation[i]) return -1;
    let count = 0;
    for (let i = start + RANDOM_LENGTH; i < end; i++) count = (count << 8) | bytes[i];
    const waiting = this._waiting;
    for (let i = 0; i < waiting.length; i++) if (waiting[i].count === count) return i;
    return -1;
  }

  /** The broker has the message, or has refused it. */
  private _acknowledged(packetId: number, reasonCode: number): void {
    const waiting = this._waiting;
    for (let i = 0; i < waiting.length; i++) {
      if (waiting[i].packetId !== packetId) continue;
      waiting[i].packetId = 0;
      if (reasonCode === NO_MATCHING_SUBSCRIBERS) waiting[i].failure = reasonCode;
      if (reasonCode >= UNSPECIFIED_ERROR) this._tell(this._take(i), reasonCode);
      return;
    }
  }

  /** The time of some may be over. */
  private _expire(): void {
    const waiting = this._waiting;
    const nowMs = this._client.hal.now();
    for (let i = 0; i < waiting.length;) {
      if (((waiting[i].deadlineMs - nowMs) | 0) > 0) {
        i++;
        continue;
      }
      const request = this._take(i);
      this._tell(request, request.failure);
    }
    if (waiting.length === 0) return;
    let dueMs = waiting[0].deadlineMs;
    for (let i = 1; i < waiting.length; i++) {
      if (((dueMs - waiting[i].deadlineMs) | 0) > 0) dueMs = waiting[i].deadlineMs;
    }
    this._arm(nowMs, dueMs);
  }

  private _arm(nowMs: number, dueMs: number): void {
    this._armedMs = dueMs;
    this._timer.schedule((dueMs - nowMs) | 0);
  }

  /** Those that wait have no answer. What their callbacks ask waits for its own. */
  private _endAll(failure: RequestFailure): void {
    for (let left = this._waiting.length; left > 0; left--) this._tell(this._take(0), failure);
  }

  private _take(index: number): Waiting {
    const request = this._waiting.splice(index, 1)[0];
    // A timer for what is gone would keep a program from ending.
    if (this._waiting.length === 0) this._timer.clear();
    return request;
  }

  private _tell(request: Waiting, failure: RequestFailure): void {
    try {
      request.callback(this._client, undefined, undefined, failure);
    } catch (error) {
      this._client.hal.uncaught(error);
    }
  }
}

/** Throws for properties that are no object, or have one of these, which are set here. */
function checkGiven(properties: Maybe<object>, ours: string[]): void {
  if (isNil(properties)) return;
  if (typeof properties !== "object") throw wrong("properties", "an object", properties);
  for (const name in properties) {
    if (ours.indexOf(name) >= 0) throw new TypeError("properties must not have " + show(name) + " here");
  }
}

/** Throws unless `value` is an object that has none but these. */
function checkNames(name: string, value: object, names: string[]): void {
  if (typeof value !== "object" || Array.isArray(value)) throw wrong(name, "an object", value);
  for (const each in value) if (names.indexOf(each) < 0) throw new TypeError("unknown option " + show(each));
}

/**
 * Gives `client`, one of MQTT 5, the method `request`. Once for a client, and before its first `connect`. Messages on
 * the response topic that answer nothing which waits, late answers among them, go to `message` as others do.
 *
 * Where the session outlives its connection, requests wait across that, too.
 *
 * Costs, in memory: a timer, seven functions, the correlation data, and an object with five fields for each request
 * that waits; in time: a look at the properties of each message on the response topic.
 *
 * @throws TypeError or RangeError that names the argument or the option
 */
export function withRequests<C extends Client5>(client: C, options: RequestsOptions): C & Requesting {
  if (isNil(options)) throw wrong("options", "an object", options);
  checkNames("options", options, ["responseTopic", "maxRequests", "timeoutMs", "qos"]);
  if ((client.connection.session.encoder.level as number) !== 5) throw wrong("client", "one of MQTT 5", client);
  const topic = options.responseTopic;
  if (isNil(topic)) throw wrong("responseTopic", "a topic name", topic);
  client.setProperties(PUBLISH, { responseTopic: topic });
  client.setProperties(PUBLISH, undefined);
  const capacity = asInteger("maxRequests", options.maxRequests, 8, 1, 65535);
  const byDefaultMs = asInteger("timeoutMs", options.timeoutMs, 10000, 1, MAX_MS);
  const byDefaultQos = isNil(options.qos) ? 1 : asQos("qos", options.qos);
  const link = new RequestLink(client, topic, byDefaultQos, capacity);
  const requesting: Requesting = {
    request(topic, payload, callback, options) {
      const given = isNil(options) ? {} : options;
      checkNames("options", given, ["qos", "timeoutMs", "properties"]);
      const qos = isNil(given.qos) ? byDefaultQos : asQos("qos", given.qos);
      const timeoutMs = asInteger("timeoutMs", given.timeoutMs, byDefaultMs, 1, MAX_MS);
      if (isNil(callback)) throw wrong("callback", "a function", callback);
      checkGiven(given.properties, ["responseTopic", "correlationData"]);
      return link.request(topic, payload, asCallback("callback", callback)!, qos, timeoutMs, given.properties);
    },
  };
  return Object.assign(client, requesting);
}

/**
 * Answers a message, within its callback: publishes to its Response Topic, with its Correlation Data. Who answers later
 * takes both from `info.properties.toObject()`, and publishes.
 *
 * @param info what the `message` callback got
 * @param qos 0 by default
 * @param properties others, for instance `contentType`
 * @returns false when the message asks for no answer, or as `publish`
 * @throws TypeError or RangeError that names the argument
 */
export function reply(
  client: Client5,
  info: MessageInfo5,
  payload: Data,
  qos?: QoS | null,
  properties?: GivenProperties | null,
): boolean {
  const asked = isNil(info) ? undefined : (info.properties as Properties | undefined);
  if (asked === undefined) throw wrong("info", "what a message callback got", info);
  checkGiven(properties, ["correlationData"]);
  const responseTopic = asked.get("responseTopic") as string | undefined;
  if (responseTopic === undefined) return false;
  const correlationData = asked.get("correlationData") as Uint8Array | undefined;
  return client.publish(responseTopic, payload, qos, null, null, Object.assign({}, properties, { correlationData }));
}
