/**
 * The promise face, with emqtt's vocabulary: what a client of NodeMCU's face and the opt-in modules do, awaited.
 *
 * Holds no rule of MQTT. A caller's mistake throws from the call itself and changes nothing; whatever else goes wrong
 * rejects the promise with an `MqttError`. A promise that nobody waits for never ends the process.
 */
import type { Hal, HalSettings, Timer } from "../../hal/socket.js";
import { asData, asFlag, isNil, show, wrong } from "../arguments.js";
import type { MessageInfo } from "../callbacks.js";
import type { Client, ClientOptions, Data, QoS } from "../client.js";
import { createMqtt } from "../client.js";
import { headerLength } from "../encoder.js";
import { END_BY_APPLICATION } from "../errors.js";
import type { Acknowledging } from "../optional/acknowledge.js";
import { withAcknowledge } from "../optional/acknowledge.js";
import type { Outcome, Outcomes } from "../optional/outcomes.js";
import { withOutcomes } from "../optional/outcomes.js";
import { withPassword } from "../optional/password.js";
import type { Pinging } from "../optional/ping.js";
import { withPing } from "../optional/ping.js";
import { bridged, MQTT_3_1 } from "../optional/protocols.js";
import type { Expiring } from "../optional/queue.js";
import { withQueuePolicy } from "../optional/queue.js";
import type { ConnectionState, Reconnecting } from "../optional/reconnect.js";
import { withReconnect } from "../optional/reconnect.js";
import { withRetry } from "../optional/retry.js";
import type { Streams } from "../optional/streams.js";
import { withStreams } from "../optional/streams.js";
import { withTimes } from "../optional/times.js";
import type { Session } from "../session.js";
import { MQTT_3_1_1 } from "../v311.js";
import type { Authenticating } from "../v5/auth.js";
import type { FilterOptions } from "../v5/client.js";
import type { MqttClient5 } from "../v5/face.js";
import type { GivenProperties, Properties, ReceivedProperties } from "../v5/properties.js";
import { CONNECT, PUBREL } from "../wire.js";
import { ABORTED, MqttError, NOT_CONNECTED, NOT_DELIVERED, QUEUE_FULL, TIMED_OUT } from "./errors.js";
import { Assembly, Inbox, Iteration, makeMessage } from "./inbox.js";
import type { Limits, Operation, Signal } from "./operations.js";
import { Operations } from "./operations.js";
import type { AsyncOptions, ClientEvent, Message, QosName, Settings } from "./options.js";
import { asQosName, checkSeconds, readOptions } from "./options.js";

/** Everything that a client is extended by. What is of MQTT 5 is there with MQTT 5 only. */
type Extended =
  & MqttClient5 & Outcomes & Expiring & Streams & Reconnecting & Pinging & Partial<Acknowledging & Authenticating>;

/** Of an operation under way that will be acknowledged, with MQTT 5: what the broker says beside. */
interface Answer {
  properties?: ReceivedProperties;
}

/** What `connect` resolves with. */
export interface Connected {
  /** The broker still had the session [MQTT-3.2.2-1]. With `protoVer` "v3" false: MQTT 3.1 cannot tell. */
  sessionPresent: boolean;
  /** With MQTT 5: those of CONNACK. */
  properties?: ReceivedProperties;
}

/** What became of a message. */
export interface Published {
  /** 0 at QoS 0. */
  packetId: number;
  outcome: "delivered";
  /** At QoS 1 and 2 with MQTT 5, below 0x80: 0, or 0x10: nobody has subscribed to it. */
  reasonCode?: number;
  /** With MQTT 5: those of the last acknowledgement that had any. */
  properties?: ReceivedProperties;
}

/** A message on its way: awaited, what became of it; and its packet id at once. */
export interface Publication extends Promise<Published> {
  /** 0 at QoS 0, and when the message was not accepted. */
  readonly packetId: number;
}

export interface PublishOptions extends Limits {
  qos?: QosName | undefined;
  retain?: boolean | undefined;
  /** With MQTT 5, for instance `messageExpiryInterval`; read during the call only. */
  properties?: GivenProperties | undefined;
}

/**
 * What the broker said about a filter: the QoS granted, or 0x80: refused. Of an unsubscribe: 0. With MQTT 5 from 0x80
 * on why it was refused, and of an unsubscribe also 0x11: there was no such subscription.
 */
export interface FilterResult {
  filter: string;
  reasonCode: number;
  /** With MQTT 5: those of the whole answer, the same object for each filter, if it had any. */
  properties?: ReceivedProperties;
}

/** How to subscribe to a filter; all but `qos` are of MQTT 5. */
export interface SubscriptionOptions {
  /** 0 by default. */
  qos?: QosName | undefined;
  /** True: messages of this client do not come back. */
  nl?: FilterOptions["nl"] | undefined;
  /** True: RETAIN is as the publisher has set it. */
  rap?: FilterOptions["rap"] | undefined;
  /** 0 (default): retained messages are sent; 1: unless it was subscribed to before; 2: not. */
  rh?: FilterOptions["rh"] | undefined;
}

/** The same, with the QoS as a number. */
interface Asked extends FilterOptions {
  qos: QoS;
}

/** Its options are those of filters without their own. */
export interface SubscribeOptions extends Limits, SubscriptionOptions {
  /** With MQTT 5, for instance `subscriptionIdentifier`. */
  properties?: GivenProperties | undefined;
}

export interface UnsubscribeOptions extends Limits {
  /** With MQTT 5. */
  properties?: GivenProperties | undefined;
}

/** Both with MQTT 5. */
export interface DisconnectOptions {
  /** 0 (default); 4: the broker is to publish the will all the same; or a failure, from 0x80 on. */
  reasonCode?: number | undefined;
  /** For instance another `sessionExpiryInterval`. */
  properties?: GivenProperties | undefined;
}

export interface AcknowledgeOptions {
  /** With MQTT 5: 0 (default), or why the message is refused, from 0x80 on. */
  reasonCode?: number | undefined;
}

/** Filters: one, several, each with or without its options, or a table `{filter: qos}` or `{filter: options}`. */
export type Filters =
  | string
  | (string | ({ filter: string } & SubscriptionOptions))[]
  | Record<string, QosName | SubscriptionOptions>;

/** What `status()` answers. */
export interface Status {
  state: ConnectionState;
  /** The broker of the session or attempt, or of the last one; "" before the first. */
  host: string;
  port: number;
  clientid: string;
}

/** What `info()` answers: settings and counts, no secrets. */
export interface Info extends Status {
  name: string;
  username: string | undefined;
  protoVer: "v3" | "v4" | "v5";
  cleanStart: boolean;
  keepalive: number;
  /** Operations that wait for an acknowledgement, and all that were accepted and are not finished. */
  inflight: number;
  queued: number;
  /** Messages that wait for who iterates. */
  messages: number;
  isPaused: boolean;
}

/** A client with promises. Made by `createClient`. */
export class AsyncClient {
  private readonly _settings: Settings;
  private readonly _client: Extended;
  private readonly _session: Session;
  private readonly _operations: Operations;
  private readonly _assembly: Assembly;
  private readonly _maxQueue: number;
  private readonly _ackTimeout: number;
  /** Ends a jam: the queue is full, and who would empty it waits for an answer that nobody reads. */
  private readonly _jamTimer: Timer;
  private readonly _inbox = new Inbox();
  private _connecting: Operation<Connected> | undefined = undefined;
  private _ending: Operation<void> | undefined = undefined;
  /** Reading was stopped by the application, */
  private _isPaused = false;
  /** or by a full queue. */
  private _isJammed = false;
  /** As long as that is so and an operation waits, the jam timer runs. */
  private _isLocked = false;
  /** A session has begun, and its end was not told. */
  private _isUp = false;
  /** How often there was a connection, and how often a new session. */
  private _connections = 0;
  private _sessions = 0;
  /** Of a message that the application may acknowledge: the connection (QoS 1) or session (QoS 2) that its id is of. */
  private readonly _origins = new WeakMap<Message, number>();
  /** By packet id, until the operation has its outcome. */
  private readonly _answers = new Map<number, Answer>();
  /** Why the broker has ended the session. */
  private _dismissal: MqttError | undefined = undefined;
  private _host = "";
  private _port = 0;

  /** @throws TypeError or RangeError that names the option */
  constructor(platform: Hal, options: AsyncOptions) {
    const settings = readOptions(options, platform);
    const read = settings.options;
    const hal = configure(read.hal ?? platform, read);
    this._settings = settings;
    this._maxQueue = read.maxQueue ?? 1024;
    this._ackTimeout = read.ackTimeout ?? 30;
    this._assembly = new Assembly(read.maxMessageLength ?? 1048576);
    this._operations = new Operations(hal, () => this._regulate());
    this._jamTimer = hal.createTimer(() => this._breakJam());
    this._client = extend(hal, settings);
    this._session = this._client.connection.session;
    this._listen();
  }

  /** True while a session is up. */
  get connected(): boolean {
    return this._client.connected;
  }

  /**
   * Connects; with `reconnect`, tries again. Resolves with the first CONNACK that accepts. Rejects when there is
   * nothing left to try, when the broker refuses the credentials, or with the limits, which end the attempt. Behind a
   * loss, while it tries again by itself, it begins anew.
   *
   * @throws Error when it is connected, or a call of `connect` is under way; TypeError and RangeError for wrong limits;
   *   what a password function throws
   */
  connect(limits: Limits = {}): Promise<Connected> {
    checkOptions(limits, LIMITS);
    if (this.connected) throw new Error("already connected");
    if (this._connecting !== undefined) throw new Error("connecting already");
    if (limits.signal?.aborted === true) return rejected(new MqttError(ABORTED, limits.signal.reason));
    // What throws here leaves everything as it was.
    this._client.connect();
    const operation = this._operations.open<Connected>(limits, false, () => {
      if (this._connecting !== operation) return;
      this._connecting = undefined;
      // A session that is about to end ends as it was to.
      if (this._isUp) {
        this._client.close();
      } else {
        this._client.abort();
        this._over();
      }
    });
    this._connecting = operation;
    return operation.promise;
  }

  /**
   * Ends the session in good order: what was accepted is sent and, for at most two seconds, acknowledged; then
   * DISCONNECT. Resolves when that is over; at once when there is no session. Ends connecting, too.
   *
   * @throws TypeError or RangeError that names the option
   */
  disconnect(options: DisconnectOptions = {}): Promise<void> {
    this._checkOptions(options, DISCONNECT);
    // What throws here leaves everything as it was.
    if (this._isUp && this._ending === undefined) this._client.close(options.reasonCode, options.properties);
    this._giveUpConnecting();
    if (this._ending !== undefined) return this._ending.promise;
    if (!this._isUp) {
      this.stop();
      return Promise.resolve();
    }
    this._ending = this._operations.open<void>({}, false);
    return this._ending.promise;
  }

  /** Ends everything at once, without DISCONNECT: the broker publishes the will. */
  stop(): void {
    this._giveUpConnecting();
    this._client.abort();
    // The end of a session is told later.
    if (!this._isUp) this._over();
  }

  /**
   * Publishes. The promise has the packet id at once. It resolves when the message was handed to the network (QoS 0) or
   * acknowledged; it rejects, with `outcome`, when that did not come about; with MQTT 5 also with the reason code when
   * the broker has refused it, or has said before that it would.
   *
   * @param payload above the size of the transmit buffer it is read while it is sent: do not change it until then
   * @param options `timeout`, in seconds: if the message has not begun to leave by then, it is removed
   * @throws TypeError or RangeError that names the argument
   */
  publish(topic: string, payload: Data = "", options: PublishOptions = {}): Publication {
    this._checkOptions(options, PUBLISH);
    const client = this._client;
    const given = options.properties;
    const qos = asQosName("qos", options.qos);
    const retain = asFlag("retain", options.retain, false);
    const name = client.topicName(topic);
    const data = asData("payload", payload);
    if (options.signal?.aborted === true) return refused(new MqttError(ABORTED, options.signal.reason));
    let isAccepted = client.publish(name, data, qos, retain, undefined, given);
    if (!isAccepted && client.connected) isAccepted = this._publishLarge(name, data, qos, retain, given);
    if (!isAccepted) return refused(this._refusal());
    const packetId = qos === 0 ? 0 : this._session.outbox.lastPacketId;
    if (options.timeout !== undefined) client.expire(toMs(options.timeout));
    const operation = this._operations.open<Published>(options, qos > 0, (error) => {
      error.packetId = packetId;
      error.outcome ??= "unknown";
    });
    // That it was removed for its age is told some turns later.
    operation.patience = 3;
    const answer = this._await(packetId);
    client.outcome((_, outcome, codes) => {
      const isAnswered = outcome === "delivered" || outcome === "refused";
      const said = { ...(this._settings.isMqtt5 && qos > 0 && { reasonCode: codes?.[0] ?? 0 }), ...answer };
      this._settle(packetId, answer);
      if (qos > 0 && isAnswered) this._tell({ type: "puback", packetId, ...said });
      if (outcome === "delivered") operation.succeed({ packetId, outcome, ...said });
      else operation.fail(notDelivered(outcome, codes, answer));
    });
    return Object.assign(operation.promise, { packetId });
  }

  /**
   * Subscribes, in one packet. Resolves with what the broker said about each filter, in the order of the arguments.
   *
   * @throws TypeError or RangeError that names the argument
   */
  subscribe(filters: Filters, options: SubscribeOptions = {}): Promise<FilterResult[]> {
    this._checkOptions(options, SUBSCRIBE);
    const { qos, nl, rap, rh, properties } = options;
    const asked = new Map<string, Asked>();
    addFilters(asked, filters, { qos, nl, rap, rh }, this._settings.isMqtt5);
    return this._ask(asked, options, (table) => this._client.subscribe(table, null, properties));
  }

  /** Unsubscribes, in one packet. Otherwise as `subscribe`. */
  unsubscribe(filters: string | string[], options: UnsubscribeOptions = {}): Promise<FilterResult[]> {
    this._checkOptions(options, UNSUBSCRIBE);
    const asked = new Map<string, Asked>();
    addFilters(asked, filters, {}, this._settings.isMqtt5);
    return this._ask(asked, options, (table) => this._client.unsubscribe(table, null, options.properties));
  }

  /** Sends PINGREQ; resolves when PINGRESP came. */
  ping(limits: Limits = {}): Promise<"pong"> {
    checkOptions(limits, LIMITS);
    if (limits.signal?.aborted === true) return rejected(new MqttError(ABORTED, limits.signal.reason));
    const timeout = limits.timeout ?? this._ackTimeout;
    let operation: Operation<"pong"> | undefined = undefined as Operation<"pong"> | undefined;
    const answered = (_: Client, isAnswered: boolean): void => {
      if (isAnswered) operation?.succeed("pong");
      else operation?.fail(new MqttError(this.connected ? TIMED_OUT : NOT_CONNECTED));
    };
    if (!this._client.ping(answered, toMs(timeout))) {
      return rejected(new MqttError(this.connected ? QUEUE_FULL : NOT_CONNECTED, undefined,
        this.connected ? "a ping is under way" : undefined));
    }
    operation = this._operations.open<"pong">(limits, true);
    return operation.promise;
  }

  /**
   * With MQTT 5 and `withAuth` of mcu-mqtt/auth (option `extend`): authenticates again, in the session that is up.
   * Rejects when the session has ended meanwhile.
   */
  reauthenticate(limits: Limits = {}): Promise<void> {
    checkOptions(limits, LIMITS);
    if (this._client.reauthenticate === undefined) throw new Error("reauthenticate needs withAuth of mcu-mqtt/auth");
    if (limits.signal?.aborted === true) return rejected(new MqttError(ABORTED, limits.signal.reason));
    let operation: Operation<void> | undefined = undefined as Operation<void> | undefined;
    const done = (_: Client, isDone: boolean): void => {
      if (isDone) operation?.succeed();
      else operation?.fail(new MqttError(NOT_CONNECTED));
    };
    if (!this._client.reauthenticate(done)) {
      return rejected(new MqttError(this.connected ? QUEUE_FULL : NOT_CONNECTED, undefined,
        this.connected ? "an authentication is under way" : undefined));
    }
    operation = this._operations.open<void>(limits, true);
    return operation.promise;
  }

  /** Stops reading from the network, on later connections, too, until `resume`: the broker has to wait. */
  pause(): void {
    this._isPaused = true;
    this._client.pause();
  }

  /** Reads again. */
  resume(): void {
    this._isPaused = false;
    if (!this._isJammed) this._client.resume();
  }

  /**
   * Acknowledges a message of QoS 1; with `autoAck` false or "never" only. Returns false when nothing of that id waits
   * for it. Given the message itself, that is also so when its connection is gone: the broker sends it again then.
   * Given the packet id, it may be that of another message by now.
   */
  puback(message: Message | number, options: AcknowledgeOptions = {}): boolean {
    this._checkOptions(options, ACKNOWLEDGE);
    const acknowledging = this._acknowledging();
    if (typeof message === "number") return acknowledging.puback(message, options.reasonCode);
    const isDue = this._origins.get(message) === this._connections;
    return isDue && acknowledging.puback(message.packetId, options.reasonCode);
  }

  /**
   * As `puback`, a message of QoS 2; with `autoAck` "never" only. It may be confirmed as long as its session lasts. One
   * that is refused is over with that: no PUBREL follows.
   */
  pubrec(message: Message | number, options: AcknowledgeOptions = {}): boolean {
    this._checkOptions(options, ACKNOWLEDGE);
    const acknowledging = this._acknowledging();
    if (typeof message === "number") return acknowledging.pubrec(message, options.reasonCode);
    const isDue = this._origins.get(message) === this._sessions;
    return isDue && acknowledging.pubrec(message.packetId, options.reasonCode);
  }

  /** Answers the PUBREL of this packet id, of which the owner is told. */
  pubcomp(packetId: number, options: AcknowledgeOptions = {}): boolean {
    this._checkOptions(options, ACKNOWLEDGE);
    return this._acknowledging().pubcomp(packetId, options.reasonCode);
  }

  /** Sends PUBREL again, for a message of this client of which PUBCOMP is awaited. */
  pubrel(packetId: number): boolean {
    return this._acknowledging().pubrel(packetId);
  }

  /** What the broker has granted: the QoS of each filter. */
  subscriptions(): Record<string, QoS> {
    return this._client.subscriptions() as Record<string, QoS>;
  }

  /** What the client does now, and where. */
  status(): Status {
    return { state: this._client.state, host: this._host, port: this._port, clientid: this._client.clientId };
  }

  /** Settings and counts, without secrets. */
  info(): Info {
    const { options, username } = this._settings;
    const { name, protoVer, cleanStart, keepalive } = options;
    const { inflight, operations } = this._session.outbox;
    return {
      ...this.status(),
      name: name ?? this._client.clientId,
      username,
      protoVer: protoVer ?? (this._settings.isMqtt5 ? "v5" : "v4"),
      cleanStart: cleanStart ?? true,
      keepalive: keepalive ?? 60,
      inflight,
      queued: operations,
      messages: this._inbox.messages.length,
      isPaused: this._isPaused || this._isJammed,
    };
  }

  /**
   * Iterates over messages, across connections, up to `disconnect`, `stop` or the signal; throws when a session is lost
   * and not tried again. One iteration at a time. Without an `owner` none is missed: those that come while nobody
   * iterates wait for the next iteration. With one, it is told of them, and iterations begin with what comes from now
   * on.
   *
   * At most `maxQueue` messages wait; from half of that on nothing is read from the network, unless an operation waits
   * for its acknowledgement. When the queue is full, and such an operation would wait for ever since its
   * acknowledgement is behind messages, it is rejected after `ackTimeout`.
   *
   * @throws Error while there is an iteration
   */
  messages(options: { signal?: Signal } = {}): AsyncIterableIterator<Message, undefined> {
    checkOptions(options, ["signal"]);
    const inbox = this._inbox;
    if (inbox.iteration !== undefined) throw new Error("messages is iterated over already");
    // What the owner was told of, and an earlier iteration did not take.
    if (this._hasOwner) inbox.messages.length = 0;
    const signal = options.signal;
    const abort = (): void => iteration.end();
    const iteration = new Iteration(
      inbox.messages,
      () => this._regulate(),
      () => {
        signal?.removeEventListener("abort", abort);
        if (inbox.iteration === iteration) inbox.iteration = undefined;
        this._regulate();
      },
    );
    inbox.iteration = iteration;
    if (signal?.aborted === true) abort();
    else signal?.addEventListener("abort", abort);
    return iteration;
  }

  /** Hears what the client says. */
  private _listen(): void {
    const client = this._client;
    client.onState((_, state, info) => {
      const { port, reason, delayMs, detail } = info;
      // What is behind "?" may be a secret.
      const host = info.host.split("?")[0];
      this._host = host;
      this._port = port;
      if (state === "connected") this._isUp = true;
      // Of a session that was lost, the end is told next.
      if (state === "stopped" && !this._isUp) {
        const connecting = this._connecting;
        this._connecting = undefined;
        connecting?.fail(new MqttError(reason, detail));
        this._over(new MqttError(reason, detail));
      }
      this._tell({ type: "state", state, host, port, reason, delayMs });
    });
    client.on("connect", (_, sessionPresent, properties: Properties | undefined) => {
      const { protoVer, cleanStart } = this._settings.options;
      this._connections++;
      // MQTT 3.1 never says that there is a session: one that is to be kept counts as the same.
      if (!sessionPresent && !(protoVer === "v3" && cleanStart === false)) this._sessions++;
      this._regulate();
      if (this._isPaused || this._isJammed) client.pause();
      const connecting = this._connecting;
      this._connecting = undefined;
      const said = properties && { properties: properties.toObject() };
      connecting?.succeed({ sessionPresent, ...said });
      this._tell({ type: "connected", sessionPresent, ...said });
    });
    client.on("offline", (_, reason) => {
      const dismissal = this._dismissal;
      this._isUp = false;
      this._dismissal = undefined;
      this._ending?.succeed();
      this._ending = undefined;
      if (client.state === "idle") this._over();
      else if (client.state === "stopped") this._over(dismissal ?? new MqttError(reason));
      else this._regulate();
      this._tell({ type: "disconnected", reason });
    });
    client.on("message", (_, topic, data: Uint8Array | undefined, info) => {
      const length = data?.length ?? 0;
      if (this._assembly.fits(length)) this._deliver(makeMessage(topic, data?.slice() ?? new Uint8Array(0), info));
      else this._drop(topic, length, info);
    });
    client.on("data", (_, topic, bytes, offset, total, info) => {
      const whole = this._assembly.add(topic, bytes, offset, total, info);
      if (whole === "overflow") this._drop(topic, total, info);
      else if (whole !== undefined) this._deliver(whole);
    });
    client.onRenewal((_, filter, reasonCode) => this._tell({ type: "renewed", filter, reasonCode }));
    if (this._settings.isMqtt5) {
      client.on("disconnect", (_, reasonCode, properties) => {
        const said = properties.toObject();
        const text = `the broker has ended the session with reason code 0x${reasonCode.toString(16)}`;
        this._dismissal = new MqttError(reasonCode, said, text);
        this._tell({ type: "disconnect", reasonCode, properties: said });
      });
      client.on("properties", (_, packetType, packetId, properties) => {
        // The packet id of a PUBREL is the broker's.
        const answer = packetType === PUBREL ? undefined : this._answers.get(packetId);
        if (answer !== undefined) answer.properties = properties.toObject();
      });
    }
    if (client.onPubrel === undefined) return;
    client.onPubrel((_, packetId) => {
      // Without an owner there is nobody to answer.
      if (!this._hasOwner) client.pubcomp?.(packetId);
      else this._tell({ type: "pubrel", packetId });
    });
  }

  /** With MQTT 5, for the operation that was accepted last: keeps what the broker says of it. */
  private _await(packetId: number): Answer {
    const answer: Answer = {};
    if (this._settings.isMqtt5 && packetId > 0) this._answers.set(packetId, answer);
    return answer;
  }

  /** The operation of this packet id, which may be another's by now, has its outcome. */
  private _settle(packetId: number, answer: Answer): void {
    if (this._answers.get(packetId) === answer) this._answers.delete(packetId);
  }

  private get _hasOwner(): boolean {
    return !isNil(this._settings.options.owner);
  }

  /** Hands a message to whoever wants it. */
  private _deliver(message: Message): void {
    const isOwing = message.qos > 0 && this._client.puback !== undefined;
    if (isOwing) this._origins.set(message, message.qos === 1 ? this._connections : this._sessions);
    this._tell({ type: "publish", message });
    if (this._hasOwner && this._inbox.iteration === undefined) return;
    this._inbox.push(message);
    this._regulate();
  }

  /** A message that is too long: it is acknowledged, since nobody else could, and those behind it would wait. */
  private _drop(topic: string, length: number, info: MessageInfo): void {
    const { qos, packetId } = info;
    const client = this._client;
    if (client.puback !== undefined && qos === 1) client.puback(packetId);
    if (client.pubrec !== undefined && qos === 2) client.pubrec(packetId);
    this._tell({ type: "overflow", topic, length, qos, packetId });
  }

  /** Stops reading when too much waits, and reads on when it does not. */
  private _regulate(): void {
    const isAsking = this._operations.asking > 0;
    const limit = isAsking ? this._maxQueue : (this._maxQueue + 1) >> 1;
    const isWanted = this._inbox.iteration !== undefined || !this._hasOwner;
    const isJammed = this._isUp && isWanted && this._inbox.messages.length >= limit;
    if (isJammed !== this._isJammed) {
      this._isJammed = isJammed;
      if (isJammed) this._client.pause();
      else if (!this._isPaused) this._client.resume();
    }
    const isLocked = isJammed && isAsking;
    if (isLocked === this._isLocked) return;
    this._isLocked = isLocked;
    if (isLocked) this._jamTimer.schedule(toMs(this._ackTimeout));
    else this._jamTimer.clear();
  }

  private _breakJam(): void {
    const text = "no answer in time: the queue of messages is full, so that nothing is read";
    this._operations.failAll(true, () => new MqttError(TIMED_OUT, undefined, text));
  }

  private _giveUpConnecting(): void {
    this._connecting?.fail(new MqttError(END_BY_APPLICATION));
  }

  /** Nothing is up and nothing is tried: what waits has its end. */
  private _over(error?: MqttError): void {
    this._client.queueLink.rest();
    this._operations.failAll(false, () => notDelivered("kept"));
    this._inbox.end(error);
    this._regulate();
  }

  private _tell(event: ClientEvent): void {
    const owner = this._settings.options.owner;
    if (isNil(owner)) return;
    try {
      owner(event);
    } catch (error) {
      this._client.hal.uncaught(error);
    }
  }

  /** A message that is larger than the transmit buffer goes out of where it is. */
  private _publishLarge(
    topic: string,
    data: string | Uint8Array,
    qos: QoS,
    retain: boolean,
    properties: GivenProperties | undefined,
  ): boolean {
    const capacity = this._session.outbox.arena.length;
    const propertiesMost = this._settings.isMqtt5 ? mostBytes(properties) : 0;
    if (4 * (data.length + topic.length) + propertiesMost + HEADER_MOST <= capacity) return false;
    const bytes = typeof data === "string" ? this._encode(data) : data;
    const length = 2 + this._encode(topic).length + (qos > 0 ? 2 : 0) + propertiesMost + bytes.length;
    if (headerLength(length) + length <= capacity) return false;
    const read = (offset: number, into: Uint8Array, start: number, end: number): number => {
      into.set(bytes.subarray(offset, offset + end - start), start);
      return end - start;
    };
    return this._client.publishFrom(topic, { byteLength: bytes.length, read }, qos, retain, undefined, properties);
  }

  private _encode(text: string): Uint8Array {
    const bytes = new Uint8Array(4 * text.length);
    return bytes.subarray(0, this._client.text.encode(text, bytes, 0, bytes.length));
  }

  /** A SUBSCRIBE or UNSUBSCRIBE, and what the broker said. */
  private _ask(
    asked: Map<string, Asked>,
    limits: Limits,
    send: (table: Record<string, QoS | FilterOptions>) => boolean,
  ): Promise<FilterResult[]> {
    if (limits.signal?.aborted === true) return rejected(new MqttError(ABORTED, limits.signal.reason));
    const { isMqtt5 } = this._settings;
    const table = Object.fromEntries([...asked].map(([filter, options]) => [filter, isMqtt5 ? options : options.qos]));
    if (!send(table)) return rejected(this._refusal());
    const packetId = this._session.outbox.lastPacketId;
    const answer = this._await(packetId);
    const timeout = limits.timeout ?? this._ackTimeout;
    const operation = this._operations.open<FilterResult[]>({ ...limits, timeout }, true);
    // Codes come in the order of the packet, which is that of a table: names that are numbers first.
    const order = Object.keys(table);
    this._client.outcome((_, outcome, granted) => {
      this._settle(packetId, answer);
      if (outcome === "lost") operation.fail(notDelivered(outcome));
      else {
        operation.succeed([...asked.keys()].map((filter) => (
          { filter, reasonCode: granted?.[order.indexOf(filter)] ?? 0, ...answer }
        )));
      }
    });
    return operation.promise;
  }

  /** Why an operation was not accepted. */
  private _refusal(): MqttError {
    const reasonCode = this._client.refusal;
    if (reasonCode) return notDelivered("refused", new Uint8Array([reasonCode]));
    return new MqttError(this._session.accepts() ? QUEUE_FULL : NOT_CONNECTED);
  }

  private _checkOptions(options: unknown, names: string[]): void {
    checkOptions(options, names, this._settings.isMqtt5);
  }

  private _acknowledging(): Acknowledging {
    const { puback, pubrec, pubcomp, pubrel, onPubrel } = this._client;
    if (puback === undefined) throw new Error('autoAck must be false or "never" for the application to acknowledge');
    return { puback, pubrec, pubcomp, pubrel, onPubrel } as Acknowledging;
  }
}

/** The platform with its settings. */
function configure(hal: Hal, options: AsyncOptions): Hal {
  const settings: HalSettings = {};
  if (!isNil(options.tcpOpts)) settings.tcpOpts = options.tcpOpts;
  if (!isNil(options.wsHeaders)) settings.wsHeaders = options.wsHeaders;
  if (!isNil(options.wsPath)) settings.wsPath = options.wsPath;
  const [name] = Object.keys(settings) as (string | undefined)[];
  if (name === undefined) return hal;
  const isWanting = name !== "tcpOpts" && hal.webSocket !== true;
  if (hal.configure === undefined || isWanting) {
    throw new TypeError(`${name}: the platform's HAL has no such setting`);
  }
  return hal.configure(settings);
}

/** Capacities with `lowMem`. */
const LOW_MEM = { rxCapacity: 1024, txCapacity: 4096, maxOperations: 32, receiveMaximum: 32 };

/** A client of NodeMCU's face with everything that the options ask for. */
function extend(hal: Hal, settings: Settings): Extended {
  const { options, username, password, hosts } = settings;
  const version = options.codec ?? (options.protoVer === "v3" ? MQTT_3_1 : MQTT_3_1_1);
  const mqtt = createMqtt(hal, options.bridgeMode === true ? bridged(version) : version);
  const isClean = options.cleanStart ?? true;
  const retries = options.reconnect ?? 0;
  const capacities = { ...hal.defaults, ...(options.lowMem === true && LOW_MEM) };
  for (const name of ["rxCapacity", "txCapacity", "maxOperations", "receiveMaximum"] as const) {
    capacities[name] = options[name] ?? capacities[name];
  }
  const clientOptions: ClientOptions = {
    ...capacities,
    format: "buffer",
    // What is longer comes in pieces, and is put together here.
    maxMessageLength: capacities.rxCapacity,
    maxInflight: Math.min(options.maxInflight ?? Infinity, 65535),
    connectTimeoutMs: toMs(options.connectTimeout ?? 60),
    ackTimeoutMs: toMs(options.ackTimeout ?? 30),
    queueOffline: options.queueOffline ?? (!isClean && retries > 0),
  };
  const secret = typeof password === "function" ? undefined : password;
  const { clientid, keepalive } = options;
  // What is of MQTT 5 is there with MQTT 5 only.
  const client = mqtt.Client(clientid, keepalive, username, secret, isClean, clientOptions) as MqttClient5;
  withTimes(client, { connack: true, keepAlive: keepalive !== 0 });
  if (typeof password === "function") withPassword(client, password);
  if (!isNil(options.willTopic)) {
    const willQos = asQosName("willQos", options.willQos);
    const willPayload = options.willPayload ?? "";
    client.lwt(options.willTopic, willPayload, willQos, options.willRetain, options.willProps);
  }
  if (settings.isMqtt5) {
    // A message that is longer than the receive buffer is gathered elsewhere; what precedes its payload is not.
    const maximumPacketSize = (options.maxMessageLength ?? 1048576) + client.connection.rx.length;
    const given = { maximumPacketSize, ...options.properties };
    client.setProperties(CONNECT, given);
    client.setProperties(CONNECT, undefined);
    client.connection.session.given = given;
  }
  options.extend?.(client);
  withQueuePolicy(withOutcomes(client), {});
  withStreams(client);
  if (!isNil(options.autoAck) && options.autoAck !== true) withAcknowledge(client, { autoAck: options.autoAck });
  if (!isNil(options.retryInterval)) withRetry(client, { retryIntervalMs: toMs(options.retryInterval) });
  withPing(client, { forcePing: options.forcePing ?? false });
  const minDelayMs = toMs(options.reconnectTimeout ?? 5);
  return withReconnect(client, {
    hosts,
    minDelayMs,
    maxDelayMs: isNil(options.reconnectCap) ? Math.max(60000, minDelayMs) : toMs(options.reconnectCap),
    stableMs: toMs(options.stableTime ?? 10),
    maxRounds: retries === Infinity ? 0 : retries + 1,
    maxSubscriptions: options.maxSubscriptions ?? 256,
  }) as Extended;
}

function toMs(seconds: number): number {
  return Math.ceil(seconds * 1000);
}

/** Type, length, length of the topic name and packet id, beside the topic name itself: at most. */
const HEADER_MOST = 9;

/** Bytes of properties, at most. */
function mostBytes(value: unknown): number {
  if (typeof value === "string" || value instanceof Uint8Array) return 5 + 4 * value.length;
  if (typeof value !== "object" || value === null) return 5;
  return Object.values(value).reduce((sum: number, each) => sum + mostBytes(each), 5);
}

const LIMITS = ["timeout", "signal"];
/** Options of a subscription. */
const ASKED = ["qos", "nl", "rap", "rh"];
const PUBLISH = ["qos", "retain", "properties", ...LIMITS];
const SUBSCRIBE = [...ASKED, "properties", ...LIMITS];
const UNSUBSCRIBE = ["properties", ...LIMITS];
const DISCONNECT = ["reasonCode", "properties"];
const ACKNOWLEDGE = ["reasonCode"];
/** Of these, the ones that only MQTT 5 has. */
const OF_MQTT_5 = ["nl", "rap", "rh", "properties", "reasonCode"];

/** Checks the names of options. */
function checkNames(options: object, names: string[], isMqtt5: boolean): void {
  for (const [name, value] of Object.entries(options)) {
    if (!names.includes(name)) throw new TypeError("unknown option " + show(name));
    if (!isMqtt5 && !isNil(value) && OF_MQTT_5.includes(name)) throw new TypeError(`${name} belongs to MQTT 5`);
  }
}

/** Checks the names of options, and those that all calls have. */
function checkOptions(options: unknown, names: string[], isMqtt5 = false): void {
  if (typeof options !== "object" || options === null) throw wrong("options", "an object", options);
  checkNames(options, names, isMqtt5);
  const { timeout, signal } = options as Limits;
  if (timeout !== undefined) checkSeconds("timeout", timeout);
  if (signal !== undefined && typeof (signal as unknown as { aborted?: unknown } | null)?.aborted !== "boolean") {
    throw wrong("signal", "an AbortSignal", signal);
  }
}

/** Adds filters and their options, in the order of the arguments; the QoS is a number. */
function addFilters(
  asked: Map<string, Asked>,
  filters: unknown,
  common: SubscriptionOptions,
  isMqtt5: boolean,
): void {
  const qos = asQosName("qos", common.qos);
  const add = (filter: unknown, given: unknown): void => {
    if (typeof filter !== "string") throw wrong("filter", "a string", filter);
    if (asked.has(filter)) throw new TypeError(`filter ${show(filter)} must not be given twice`);
    const own = (typeof given === "object" && given !== null ? given : { qos: given }) as SubscriptionOptions;
    checkNames(own, ASKED, isMqtt5);
    asked.set(filter, {
      qos: isNil(own.qos) ? qos : asQosName(`qos of ${show(filter)}`, own.qos),
      nl: own.nl ?? common.nl ?? null,
      rap: own.rap ?? common.rap ?? null,
      rh: own.rh ?? common.rh ?? null,
    });
  };
  if (typeof filters === "string") {
    add(filters, undefined);
  } else if (Array.isArray(filters)) {
    for (const each of filters as unknown[]) {
      if (typeof each !== "object" || each === null) {
        add(each, undefined);
      } else {
        const { filter, ...own } = each as { filter?: unknown };
        add(filter, own);
      }
    }
  } else if (typeof filters === "object" && filters !== null) {
    for (const [filter, own] of Object.entries(filters)) add(filter, own);
  } else {
    throw wrong("filters", "a filter, an array of filters or a table {filter: qos}", filters);
  }
  if (asked.size === 0) throw new TypeError("filters must be at least one");
}

/** @param codes of what the broker has refused: the reason code */
function notDelivered(outcome: Outcome | "kept", codes?: Uint8Array, answer?: Answer): MqttError {
  const error = outcome === "refused" && codes !== undefined
    ? new MqttError(codes[0], answer?.properties)
    : new MqttError(NOT_DELIVERED, undefined, OUTCOMES[outcome]);
  error.outcome = outcome;
  return error;
}

const OUTCOMES: Record<Outcome | "kept", string> = {
  delivered: "delivered",
  refused: "the broker refused it",
  expired: "too old before it could leave",
  dropped: "it made room for a newer message",
  lost: "lost with its connection",
  kept: "not acknowledged yet: the session keeps it for the next connection",
};

/** A promise that was rejected, and does not end the process when nobody waits for it. */
function rejected(error: MqttError): Promise<never> {
  const promise = Promise.reject(error);
  promise.catch(() => {});
  return promise;
}

function refused(error: MqttError): Publication {
  return Object.assign(rejected(error), { packetId: 0 });
}
