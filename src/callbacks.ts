/**
 * The application's callbacks: one slot for each event, and how they are called.
 *
 * Knows what a callback gets, and nothing of when. Invariant: whatever a callback throws, the caller never sees it; it
 * surfaces as the platform's uncaught errors do.
 */
import type { Client } from "./client.js";
import type { ConnectionHandler } from "./connection.js";
import { CUT, WHOLE } from "./connection.js";
import { DUP, RETAIN, SUBACK, UNSUBACK } from "./wire.js";

/** Quality of service. */
export type QoS = 0 | 1 | 2;

/** What a packet said beside topic and payload. The same object at every message: valid during the callback. */
export interface MessageInfo {
  qos: QoS;
  retain: boolean;
  dup: boolean;
  /** 1..65535, or 0 at QoS 0. */
  packetId: number;
}

/** The connection is accepted. `sessionPresent`: the broker still has the session [MQTT-3.2.2-1]. */
export type ConnectCallback = (client: Client, sessionPresent: boolean) => void;
/**
 * An attempt failed; `reason` is -5..-1 (`mqtt.CONN_FAIL_...`) or the return code of CONNACK. `detail` is the
 * platform's own error where it has one, for a log.
 */
export type ConnfailCallback = (client: Client, reason: number, detail: unknown) => void;
/**
 * A session ended. `reason`: 0 after `close()` or `abort()`, else below 0: one of `END_...` or what a decoder found,
 * see `errors.ts`.
 */
export type OfflineCallback = (client: Client, reason: number) => void;
/**
 * A message came. `data` is undefined for an empty payload; else a string, or with `format: "buffer"` the bytes, a view
 * on the receive buffer that is valid during the callback: copy what is to be kept.
 */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- a string or bytes, which only the format says
export type MessageCallback = (client: Client, topic: string, data: any, info: MessageInfo) => void;
/**
 * A piece of a message that is longer than `maxMessageLength`: `bytes`, a view on the receive buffer that is valid
 * during the callback, stand at `offset` of the payload's `total` bytes. The last piece ends at `total`. A message that
 * a lost connection has cut off begins again at 0, where the broker sends it again. `topic` is empty when it was too
 * long for the receive buffer.
 */
export type DataCallback = (
  client: Client,
  topic: string,
  bytes: Uint8Array,
  offset: number,
  total: number,
  info: MessageInfo,
) => void;
/**
 * `drain` is over: `drained` is true when everything is sent and acknowledged, false when that took too long.
 */
export type DrainCallback = (client: Client, drained: boolean) => void;
/** An operation has its outcome: a message was sent (QoS 0) or acknowledged, an unsubscribe acknowledged. */
export type DoneCallback = (client: Client) => void;
/** `granted`: a code for each filter, in their order: the QoS granted, or 0x80 for refused. */
export type SubscribeCallback = (client: Client, granted: Uint8Array) => void;

/** Each event and its callback. */
export interface Events {
  connect: ConnectCallback;
  /** From version 3: also the last argument of `connect`. */
  connfail: ConnfailCallback;
  offline: OfflineCallback;
  message: MessageCallback;
  /** From version 3: a message longer than `maxMessageLength`, and as much of its payload as fits. */
  overflow: MessageCallback;
  /** From version 3: also the last argument of `publish`. */
  puback: DoneCallback;
  /** From version 3: also the last argument of `subscribe`. */
  suback: SubscribeCallback;
  /** From version 3: also the last argument of `unsubscribe`. */
  unsuback: DoneCallback;
  /** Ours: a message longer than `maxMessageLength` in pieces. While it is set, `overflow` is not called. */
  data: DataCallback;
}

/** The slots, one for each event. */
export type Slots = { [E in keyof Events]: Events[E] | undefined };

/** Calls the callbacks of one client. */
export class Callbacks implements ConnectionHandler {
  readonly slots: Slots = {
    connect: undefined,
    connfail: undefined,
    offline: undefined,
    message: undefined,
    overflow: undefined,
    puback: undefined,
    suback: undefined,
    unsuback: undefined,
    data: undefined,
  };
  /** What `drain` of the client is to call. */
  drained: DrainCallback | undefined = undefined;
  readonly _client: Client;
  private readonly _isText: boolean;
  /** Handed out with every message, lest each cost an object. */
  readonly _info: MessageInfo = { qos: 0, retain: false, dup: false, packetId: 0 };

  /**
   * @param client what each callback gets first
   * @param isText true: payloads become strings, false: they stay bytes
   */
  constructor(client: Client, isText: boolean) {
    this._client = client;
    this._isText = isText;
  }

  onConnect(sessionPresent: boolean): void {
    this._call(this.slots.connect, sessionPresent);
  }

  onConnectFail(reason: number, detail: unknown): void {
    this._call(this.slots.connfail, reason, detail);
  }

  onOffline(reason: number): void {
    this._call(this.slots.offline, reason);
  }

  onDrain(isDrained: boolean): void {
    const callback = this.drained;
    this.drained = undefined;
    this._call(callback, isDrained);
  }

  wantsData(): boolean {
    return this.slots.data !== undefined;
  }

  listens(type: number): boolean {
    return this._doneSlot(type) !== undefined;
  }

  onDone(type: number, granted: Uint8Array | undefined): void {
    this._call(this._doneSlot(type) as DoneCallback | undefined, granted);
  }

  onMessage(
    topic: string,
    bytes: Uint8Array,
    start: number,
    end: number,
    flags: number,
    packetId: number,
    offset: number,
    total: number,
  ): void {
    const slots = this.slots;
    const callback = offset === WHOLE ? slots.message : offset === CUT ? slots.overflow : slots.data;
    if (!callback) return;
    const info = this._info;
    info.qos = ((flags >> 1) & 3) as QoS;
    info.retain = (flags & RETAIN) !== 0;
    info.dup = (flags & DUP) !== 0;
    info.packetId = packetId;
    try {
      if (offset < 0) {
        let data: string | Uint8Array | undefined = undefined;
        if (start < end) {
          data = this._isText ? this._client.text.decode(bytes, start, end, false) : bytes.subarray(start, end);
        }
        (callback as MessageCallback)(this._client, topic, data, info);
      } else {
        (callback as DataCallback)(this._client, topic, bytes.subarray(start, end), offset, total, info);
      }
    } catch (error) {
      this._client.hal.uncaught(error);
    }
  }

  private _doneSlot(type: number): SubscribeCallback | DoneCallback | undefined {
    return type === SUBACK ? this.slots.suback : type === UNSUBACK ? this.slots.unsuback : this.slots.puback;
  }

  /** Calls a slot that may be empty, with the arguments there are. */
  _call<A, B>(callback: ((client: Client, a: A, b: B) => void) | undefined, a: A, b?: B): void {
    if (!callback) return;
    try {
      if (b !== undefined) callback(this._client, a, b);
      else if (a !== undefined) (callback as (client: Client, a: A) => void)(this._client, a);
      else (callback as (client: Client) => void)(this._client);
    } catch (error) {
      this._client.hal.uncaught(error);
    }
  }
}
