/**
 * A device and its application: a client of the library, what the application does with it, and what becomes of both
 * when the power goes. Hands every call and callback to the monitor, every message to the ledger.
 *
 * Invariant: nothing of a former life is heard any more.
 */
import { createMqtt, MQTT_3_1_1 } from "../../src/face.js";
import type { Client, MessageInfo, QoS } from "../../src/face.js";
import { createMqtt5 } from "../../src/v5/face.js";
import type { Client5 } from "../../src/v5/face.js";
import type { QueuePolicy } from "../../src/optional/queue.js";
import type { Broker, Customer } from "./broker.js";
import type { Action, Helper } from "./features.js";
import { DeviceHal } from "./hal.js";
import type { Link } from "./link.js";
import type { Ledger, Message } from "./ledger.js";
import { payloadOf, textOf, uidOf } from "./ledger.js";
import { refusalOf } from "./manners5.js";
import { Monitor } from "./monitor.js";
import type { DevicePlan } from "./plan.js";
import { Probe } from "./probe.js";
import type { Flash } from "./snapshots.js";
import { ACTIONS, drawAction } from "./actions.js";
import type { Version5 } from "./version5.js";
import { connectProperties, drawMessageProperties, expiryOf, publishLength } from "./version5.js";
import { Violation } from "./violation.js";
import type { Climate } from "./weather.js";
import type { World } from "./world.js";

/** `offline`: more QoS 2 messages than `receiveMaximum`. */
const END_RECEIVE_MAXIMUM = -13;
/** Pause before the application connects again, once everything is healed. */
const PAUSE_WHEN_HEALED_MS = 200;

/** An error of the application's own. */
class Thrown extends Error {}

export class Device implements Customer {
  readonly index: number;
  readonly plan: DevicePlan;
  readonly clientId: string;
  readonly isClean: boolean;
  readonly keepAliveSeconds: number;
  readonly maxInflight: number;
  readonly receiveMaximum: number;
  readonly maxMessageLength: number;
  readonly saysClean: boolean;
  readonly version5: Version5 | undefined;
  readonly links: Link[] = [];
  readonly world: World;
  restarts = 0;
  losses = 0;
  dropsOldest = false;
  /** What becomes of messages that wait, if it was ever said. */
  policy: QueuePolicy | undefined;
  /** What lies there without power. */
  flash: Flash | undefined;
  /** What its application may do. */
  actions: readonly Action[] = ACTIONS;
  /** The application does more inside a callback. */
  isReacting = false;
  hal!: DeviceHal;
  client!: Client;
  monitor!: Monitor;
  probe!: Probe;
  private readonly _climate: Climate;
  ledger!: Ledger;
  broker!: Broker;
  private _helpers: Helper[] = [];
  private _will = 0;
  /** The application is inside a call of the client. */
  isCalling = false;
  private _thrown: Thrown | undefined;
  /** The application wants no connection. */
  private _isResting = false;
  private _isOff = false;
  /** How many connections its former lives have had. */
  private _formerLinks = 0;
  private _willType: string | undefined;
  private _isConnectPlanned = false;

  constructor(world: World, index: number, plan: DevicePlan, climate: Climate) {
    this.world = world;
    this.index = index;
    this.plan = plan;
    this.clientId = `dev${index}`;
    this.version5 = plan.version5;
    this.saysClean = plan.isClean;
    this.isClean = plan.version5 === undefined ? plan.isClean : expiryOf(plan.version5, plan.isClean) === 0;
    this.keepAliveSeconds = plan.keepAliveSeconds;
    this.maxInflight = plan.options.maxInflight;
    this.receiveMaximum = plan.options.receiveMaximum;
    this.maxMessageLength = plan.options.maxMessageLength;
    this._climate = climate;
  }

  /** Tells it where its messages go, and switches it on. */
  install(ledger: Ledger, broker: Broker): void {
    this.ledger = ledger;
    this.broker = broker;
    this._boot();
  }

  get isOff(): boolean {
    return this._isOff;
  }

  /** No connection of this life was accepted. */
  private get _isStarting(): boolean {
    for (let i = this._formerLinks; i < this.links.length; i++) if (this.links[i].isAccepted) return false;
    return true;
  }

  /** The client of a device that speaks MQTT 5. */
  get client5(): Client5 {
    return this.client as Client5;
  }

  /** Number of the session that is up and that nothing was taken from; -1: none. */
  get soundSession(): number {
    const link = this.monitor.session;
    return link === undefined || link.isDisturbed || link.isClosing ? -1 : link.number;
  }

  /** It is connected, and nothing is under way. */
  get isQuiet(): boolean {
    const { monitor } = this;
    return !this._isOff && monitor.session !== undefined && !monitor.session.isClosing && this.client.connected &&
      monitor.isSettled && this.probe.isEmpty && monitor.session.isQuiet && this._isUnowed;
  }

  private get _isUnowed(): boolean {
    return this._helpers.every((helper) => (helper.unrest?.() ?? "") === "");
  }

  /** What keeps it from being quiet. */
  get unrest(): string {
    const { monitor } = this;
    const { session } = monitor;
    const state = session === undefined ? "none" : session.isClosing ? "closing" : session.isQuiet ? "quiet" : "busy";
    return `dev${this.index}: ${this._isOff ? "off" : this.client.connected ? "connected" : "not connected"}, ` +
      `session ${state}, ` +
      `callbacks ${monitor.isSettled ? "called" : "owed"}, outbox ${this.probe.isEmpty ? "empty" : "not empty"} ` +
      this._helpers.map((helper) => helper.unrest?.() ?? "").join(" ");
  }

  // What an application does.

  /** One thing or another. */
  act(): void {
    const action = drawAction(this.world.random, this);
    if (!this._isOff) action.run(this);
  }

  connect(): void {
    const { random } = this.world;
    if (this._isOff) return;
    this._isResting = false;
    if (random.chance(this.plan.willing)) this._setWill();
    const wasConnected = this.client.connected;
    let answer: boolean;
    try {
      answer = this.call("connect", () => this._connect());
    } catch (error) {
      this.isCalling = false;
      if (error instanceof Violation || wasConnected) return;
      throw error;
    }
    if (wasConnected) this.fail("connect: did not throw though a session is up");
    if (answer) this.monitor.connecting();
    else this._planConnect();
  }

  close(): void {
    if (this._isOff) return;
    this._isResting = true;
    const wasUp = this.client.connected;
    const { random } = this.world;
    const { link } = this.hal;
    const code = this.version5 !== undefined && random.chance(20) ? random.pick([4, 0x80, 0x81, 0x98]) : 0;
    const answer = this.call(`close ${code}`, () => code === 0 ? this.client.close() : this.client5.close(code));
    if (answer) link?.closeCodes.push(code);
    if (answer && this.version5 !== undefined && random.chance(20)) {
      const isAgain = this.call("close again", () => this.client5.close(code === 4 ? 0 : 4));
      if (isAgain) this.fail("close: true twice");
    }
    for (const helper of this._helpers) helper.given?.(answer);
    this.monitor.closed(answer, wasUp);
  }

  abort(): void {
    if (this._isOff) return;
    this._isResting = true;
    const wasUp = this.client.connected;
    const answer = this.call("abort", () => this.client.abort());
    for (const helper of this._helpers) helper.given?.(answer);
    this.monitor.aborted(answer, wasUp);
  }

  publish(): void {
    this.publishAt(this.world.random.pick(this.plan.qos) as QoS);
  }

  /** Returns what the client answered. */
  publishAt(qos: QoS): boolean {
    if (this._isOff) return false;
    const { plan, world } = this;
    const { random } = world;
    const size = random.chance(10) ? 0 :
      random.chance(80) || world.isHealed ? random.between(1, 20) : random.between(1, plan.largest);
    const isText = random.chance(50);
    return this.offer("publish", qos, size, false, (message) => {
      const { uid, topic, retain } = message;
      const payload = isText ? message.payload : bytesOf(message.payload);
      const given = this.version5 && drawMessageProperties(random, this.version5, uid, world.isHealed);
      if (given === undefined) return this.client.publish(topic, payload, qos, retain);
      message.given = given;
      return this.client5.publish(topic, payload, qos, retain, null, given);
    }) !== undefined;
  }

  /** Makes a message and hands it to the client by `call`. Undefined if that answers false. */
  offer(
    what: string, qos: QoS, size: number, isStreamed: boolean, call: (message: Message) => boolean,
  ): Message | undefined {
    if (this._isOff) return undefined;
    const { plan, world, hal, monitor } = this;
    const { random } = world;
    const uid = this.ledger.nextUid();
    const payload = payloadOf(uid, size);
    const retain = random.chance(10);
    const topics = this.version5?.topics ?? 3;
    const topic = size === 0 ? `d${this.index}/e${uid}` : `d${this.index}/t${random.below(topics)}`;
    const message = this.ledger.add(uid, topic, payload, qos, retain, this, monitor.session?.number ?? 0, false);
    message.firstLink = this.links.length + (hal.link === undefined || hal.link.isClosed ? 1 : 0);
    message.isStreamed = isStreamed;
    message.isKept = qos === 0 && plan.options.queueOffline && !isStreamed;
    message.mayVanish = qos === 0 && this.dropsOldest && !isStreamed;
    const wasConnected = this.client.connected;
    if (!this.call(`${what} ${textOf(message)}`, () => call(message))) {
      this.ledger.messages.delete(uid);
      for (const helper of this._helpers) {
        helper.declined?.({ kind: "publish", message, index: 0, link: monitor.session, filters: [] });
      }
      return undefined;
    }
    if (!wasConnected) {
      if (!plan.options.queueOffline || isStreamed) this.fail(`${what}: accepted without a session`);
      world.count("queueOffline: accepted without a session");
      if (qos === 0) world.count("queueOffline: the same at QoS 0");
    }
    monitor.published(message, plan.listens);
    for (const helper of this._helpers) {
      helper.accepted?.({ kind: "publish", message, index: 0, link: monitor.session, filters: [] });
    }
    return message;
  }

  subscribe(): void {
    this._filter("subscribe");
  }

  unsubscribe(): void {
    this._filter("unsubscribe");
  }

  /** As if some 65,000 packet ids had been used in between. */
  age(): void {
    if (this._isOff) return;
    const { random } = this.world;
    const { probe } = this;
    probe.age(random.chance(50) ? random.between(65530, 65535) : Math.max(0, probe.lastPacketId - random.below(4)));
  }

  /** The power goes, and comes back. */
  restart(offMs: number): void {
    if (this._isOff) return;
    if (this.world.trace !== undefined) this._note(`*** power fails for ${offMs} ms`);
    const saved = this.plan.features.flatMap((feature) => feature.save?.(this) ?? []);
    this._isOff = true;
    this.hal.die();
    this.monitor.end();
    this.world.after(offMs, () => {
      this._isOff = false;
      this._boot();
      if (!saved.some((putBack) => putBack(this, offMs))) this.forget();
      if (this.world.trace !== undefined) this._note("*** power is back");
      this.connect();
    });
  }

  /** It has lost what it had in RAM. */
  forget(): void {
    this.restarts++;
    this.ledger.restarted(this);
  }

  /** Nothing is under way, the client says. */
  checkDrained(): void {
    const { session, isSettled } = this.monitor;
    if (!isSettled) this.fail("drain: true, but callbacks are owed");
    if (!this.probe.hasAcknowledged) this.fail("drain: true, but acknowledgements have not left");
    this.ledger.checkDrained(this, session?.number ?? 0, session);
  }

  mayHaveBeenCut(message: Message): boolean {
    return this.links.some(({ number, written, understood }) => number >= message.firstLink && written !== understood);
  }

  /** The reason code with which what the broker takes forbids a message on a connection; 0: it does not. */
  refusalOn(link: Link, message: Message): number {
    const { topic, payload, qos, retain, given } = message;
    return link.limits === undefined ? 0 :
      refusalOf(link.limits, qos, retain, publishLength(topic, payload, qos, given));
  }

  /** Whether it may have been refused for what some broker takes. */
  wasBeyondLimits(message: Message, code: number): boolean {
    return this.links.some((link) => link.number >= message.firstLink && this.refusalOn(link, message) === code);
  }

  /** It may have had this outcome, or any. */
  mayBeRefused(message: Message): boolean {
    return message.isRejected || this.links.some((link) =>
      link.number >= message.firstLink && this.refusalOn(link, message) > 0);
  }

  /** An error that the application is about to throw. */
  thrown(): Error {
    this._thrown = new Thrown("of the application");
    return this._thrown;
  }

  /** Takes whatever connection it has away. */
  strike(): void {
    const { random } = this.world;
    const link = this.hal.link;
    if (link === undefined || this.world.isHealed) return;
    if (random.chance(30)) link.stall(random.between(1, 5000));
    else link.break(random.pick(["reset", "fin", "silent"]));
  }

  /** Nothing more is begun: it is to be connected, so that what was begun can be finished. */
  heal(): void {
    for (const helper of this._helpers) helper.heal?.();
    this._isResting = false;
    this._ensure();
  }

  /** It is quiet: whatever it was through, it has to work. */
  useAgain(): void {
    this.subscribe();
    for (const qos of [1, 2] as const) {
      // With one place only, what was begun just now may have it.
      const isFree = this.probe.isEmpty;
      const isAccepted = this.publishAt(qos) || (this.version5 !== undefined && this.client5.refusal > 0);
      if (!isAccepted && isFree) this.fail(`publish: refused at QoS ${qos} though nothing is under way`);
    }
  }

  /** The schedule is over. */
  conclude(): void {
    this.monitor.conclude();
    for (const helper of this._helpers) helper.conclude?.();
  }

  private _connect(): boolean {
    const helper = this._helpers.find((candidate) => candidate.connect !== undefined);
    const own = helper?.connect?.();
    if (own !== undefined) return own;
    const { autoReconnect, version5 } = this.plan;
    const given = version5 && connectProperties(version5);
    if (given === undefined) return this.client.connect("broker", 1883, 0, autoReconnect);
    return this.client5.connect("broker", 1883, 0, autoReconnect, null, null, given);
  }

  private _boot(): void {
    const { plan, world } = this;
    const hal = new DeviceHal(world, this.index, this._climate, (link) => this.broker.listen(link), plan.clockMs);
    const { options } = plan;
    this.hal = hal;
    this.monitor = new Monitor(world, this.ledger, this, {
      keepAliveMs: plan.keepAliveSeconds * 1000,
      connectTimeoutMs: options.connectTimeoutMs,
      drainTimeoutMs: options.drainTimeoutMs,
      autoReconnect: plan.autoReconnect,
      retryMs: () => this._helpers.find((helper) => helper.retryMs !== undefined)?.retryMs?.() ?? -1,
      forbids: (message, code) => this.wasBeyondLimits(message, code),
    });
    this._helpers = [];
    this._will = 0;
    this._willType = undefined;
    this._formerLinks = this.links.length;
    this._thrown = undefined;
    this.isCalling = false;
    const { version5 } = plan;
    const mqtt = version5 === undefined ? createMqtt(hal, MQTT_3_1_1) : createMqtt5(hal, {
      topicAliasMaximum: version5.topicAliasMaximum,
      topicAliases: version5.topicAliases,
    });
    const clientId = version5?.isNameless === true ? "" : this.clientId;
    this.client = mqtt.Client(clientId, plan.keepAliveSeconds, null, null, plan.isClean ? 1 : 0, options);
    this.probe = new Probe(this.client, options.maxOperations);
    this._listen(hal);
    this._helpers = plan.features.flatMap((feature) => feature.attach?.(this, this.client) ?? []);
    this.actions = [...ACTIONS, ...this._helpers.flatMap((helper) => helper.actions ?? [])];
  }

  private _listen(hal: DeviceHal): void {
    const { client, monitor } = this;
    hal.onLink = (link) => {
      link.number = this.links.push(link);
      link.onFirstWrite = () => {
        link.will = this._will;
        link.willType = this._willType;
        link.saysCleanStart = this.saysClean && (this.isClean || this._isStarting);
        link.isNameless = this.version5?.isNameless === true && this._isStarting;
        link.clientId = link.isNameless ? "" : this.clientId;
      };
      link.onSilent = () => {
        monitor.silent(link);
      };
    };
    hal.onOpen = (host) => {
      for (const helper of this._helpers) helper.open?.(host);
    };
    hal.onUncaught = (error) => {
      if (error instanceof Violation) return;
      if (error === this._thrown) this._thrown = undefined;
      else this.fail(`an exception in a callback: ${error instanceof Error ? (error.stack ?? "") : String(error)}`);
    };
    hal.onEvent = () => {
      if (hal.isDead) return;
      if (this._thrown !== undefined) this.fail("what a callback threw did not surface");
      this._check();
    };
    const hear = (told: () => string, note: () => void): void => {
      this.hear(hal, told, note);
    };
    client.on("connect", (_, isPresent) => {
      hear(() => `connect, session present ${isPresent}`, () => {
        for (const helper of this._helpers) helper.connected?.();
        monitor.connected(hal.link, isPresent);
      });
      if (hal.isDead) return;
      this.subscribe();
      this.react(hal);
    });
    client.on("connfail", (_, reason, detail) => {
      hear(() => `connfail ${reason}`, () => {
        for (const helper of this._helpers) helper.failed?.(reason, detail);
        monitor.failed(reason);
      });
      this._afterEnd(hal);
    });
    client.on("offline", (_, reason) => {
      hear(() => `offline ${reason}`, () => {
        const link = monitor.session;
        for (const helper of this._helpers) helper.ended?.();
        monitor.offline(reason);
        const isExcessive = this.broker.window > this.receiveMaximum || link?.offence !== undefined;
        if (reason === END_RECEIVE_MAXIMUM && !isExcessive) {
          this.fail(`offline: reason ${reason}, the broker's window is ${this.broker.window}`);
        }
        for (const helper of this._helpers) helper.offline?.(reason, link);
      });
      this._afterEnd(hal);
    });
    client.on("message", (_, topic, data: Data, info) => {
      hear(() => `message ${topic} ${uidOf(topic, asText(data))}`, () => {
        this.reading(false);
        this.received(topic, asText(data), info, "whole");
      });
      this.react(hal);
    });
    client.on("overflow", (_, topic, data: Data, info) => {
      hear(() => `overflow ${topic} ${asText(data).slice(0, 8)}`, () => {
        this.reading(false);
        this.received(topic, asText(data), info, "cut");
      });
      this.react(hal);
    });
    if (!this.plan.listens) return;
    const { version5 } = this;
    const onPuback = (_: Client, codes?: Uint8Array): void => {
      hear(() => `puback${codes === undefined ? "" : ` ${codes.join(" ")}`}`, () => {
        monitor.done("publish", codes, client.connected);
      });
      this.react(hal);
    };
    client.on("puback", onPuback);
    client.on("suback", (_, granted) => {
      hear(() => `suback ${granted.join(" ")}`, () => {
        monitor.done("subscribe", granted, client.connected);
      });
      this.react(hal);
    });
    const onUnsuback = (_: Client, codes?: Uint8Array): void => {
      hear(() => `unsuback${codes === undefined ? "" : ` ${codes.join(" ")}`}`, () => {
        // NodeMCU's tells nothing.
        monitor.done("unsubscribe", version5 === undefined ? undefined : codes, client.connected);
      });
      this.react(hal);
    };
    client.on("unsuback", onUnsuback);
  }

  /** A message is told, or a piece of one. */
  reading(isPiece: boolean): void {
    for (const helper of this._helpers) helper.reading?.(isPiece);
  }

  /** A callback of the client, which `note` judges. */
  hear(hal: DeviceHal, told: () => string, note: () => void): void {
    if (hal.isDead) return;
    if (this.world.trace !== undefined) this._note(`      ${told()}`);
    if (this.isCalling) this.fail(`a callback inside a call: ${told()}`);
    note();
    this._check();
  }

  /** A message has come, whole, or the beginning of one that was too long, or all pieces of such a one. */
  received(topic: string, text: string, info: MessageInfo, how: "whole" | "cut" | "pieces"): void {
    const isWhole = how !== "cut";
    const { qos, dup, packetId } = info;
    if ((qos === 0) !== (packetId === 0)) this.fail(`message: packet id ${packetId} at QoS ${qos}`);
    const sent = packetId === 0 ? 0 : this.broker.uidInflight(this, packetId);
    // Of a message that was cut short, the packet id is all that says which it is.
    const uid = uidOf(topic, text) || sent;
    if (uid === 0) {
      // With properties, there may be no room for its number.
      if (isWhole || (qos > 0 && this.version5 === undefined)) {
        this.fail(`a message that nobody sent: ${topic} ${text.slice(0, 20)}`);
      }
      return;
    }
    if (sent !== 0 && sent !== uid) this.fail(`message ${uid} has the packet id of message ${sent}`);
    const message = this.ledger.messages.get(uid);
    const delivery = this.ledger.deliveryOf(this, uid);
    if (message !== undefined && delivery?.sentOn === this.hal.link) {
      const length = delivery?.packetLength ?? 0;
      const limit = this.plan.options.maxMessageLength;
      if ((how === "whole") !== length <= limit) {
        this.fail(`${textOf(message)}: ${how}, packet ${length}, limit ${limit}`);
      }
      if (delivery !== undefined) for (const helper of this._helpers) helper.received?.(delivery, info);
    }
    this.ledger.delivered(this, uid, topic, text, isWhole, qos, dup, this.monitor.session);
  }

  /** What an application does inside a callback: now and then something more, now and then a mistake. */
  react(hal: DeviceHal): void {
    const { world, plan } = this;
    if (world.isHealed || hal.isDead) return;
    this.isReacting = true;
    if (plan.fragile > 0 && world.random.chance(plan.fragile)) this.restart(world.random.below(2000));
    if (!this._isOff && plan.busy > 0 && world.random.chance(plan.busy)) this.act();
    this.isReacting = false;
    if (plan.throwing > 0 && world.random.chance(plan.throwing)) {
      throw this.thrown();
    }
  }

  private _afterEnd(hal: DeviceHal): void {
    if (hal.isDead) return;
    if (!this._isResting) {
      if (this.plan.reconnectMs === 0 && !this.world.isHealed && this.world.random.chance(80)) {
        if (this.monitor.isIdle) this.connect();
      } else this._planConnect();
    }
    this.react(hal);
  }

  private _planConnect(): void {
    if (this._isConnectPlanned) return;
    this._isConnectPlanned = true;
    const pauseMs = this.world.isHealed ? PAUSE_WHEN_HEALED_MS : Math.max(1, this.plan.reconnectMs);
    this.world.after(pauseMs, () => {
      this._isConnectPlanned = false;
      if (!this._isResting) this._ensure();
    });
  }

  /** Connects unless it is connected, or about to be. */
  private _ensure(): void {
    if (!this._isOff && this.monitor.isIdle) this.connect();
    else if (this.monitor.session?.isClosing === true) this._planConnect();
  }

  private _setWill(): void {
    const { random } = this.world;
    const uid = this.ledger.nextUid();
    const qos = random.below(3) as QoS;
    const retain = random.chance(20);
    const message = this.ledger.add(
      uid, `w/t${this.index}`, payloadOf(uid, random.between(1, 30)), qos, retain, this, 0, true,
    );
    const contentType = this.version5 !== undefined && random.chance(50) ? `w${uid}` : undefined;
    this.call(`lwt ${textOf(message)}`, () => {
      if (contentType === undefined) this.client.lwt(message.topic, message.payload, qos, retain);
      else this.client5.lwt(message.topic, message.payload, qos, retain, { contentType });
      return true;
    });
    this._will = uid;
    this._willType = contentType;
  }

  private _filter(kind: "subscribe" | "unsubscribe"): void {
    if (this._isOff) return;
    const { random } = this.world;
    const table: Record<string, QoS> = {};
    for (let left = random.between(1, 3); left > 0; left--) table[random.pick(FILTERS)] = random.below(3) as QoS;
    const wasConnected = this.client.connected;
    const filters = Object.keys(table);
    const isNamed = this.version5 !== undefined && kind === "subscribe" && random.chance(this.version5.talkative);
    const subscriptionIdentifier = isNamed ? random.between(1, 300) : undefined;
    const isTaken = this.call(`${kind} ${filters.join(" ")}`, () => subscriptionIdentifier !== undefined
      ? this.client5.subscribe(table, null, { subscriptionIdentifier })
      : this.client[kind](table));
    const operation = { kind, message: undefined, index: 0, link: this.monitor.session, filters,
      identifier: subscriptionIdentifier };
    if (!isTaken) {
      for (const helper of this._helpers) helper.declined?.(operation);
      return;
    }
    if (!wasConnected) this.fail(`${kind}: accepted without a session`);
    const index = this.monitor.filtered(kind, this.plan.listens);
    for (const helper of this._helpers) {
      helper.accepted?.({ ...operation, index });
    }
  }

  call<T>(what: string, call: () => T): T {
    const wasCalling = this.isCalling;
    const { trace } = this.world;
    this.isCalling = true;
    const answer = call();
    this.isCalling = wasCalling;
    if (trace !== undefined) this._note(`${what} = ${String(answer)}`);
    this._check();
    return answer;
  }

  private _check(): void {
    const wrong = this.probe.check();
    if (wrong !== "") this.fail(wrong);
    for (const helper of this._helpers) helper.check?.();
  }

  private _note(text: string): void {
    this.world.note(this.index, text);
  }

  fail(rule: string): void {
    this.world.fail(this.index, rule);
  }
}

type Data = string | Uint8Array | undefined;

const FILTERS = ["o/+", "o/t0", "o/#", "d0/#", "d1/+", "+/t1", "#", "w/#", "none"];

function asText(data: Data): string {
  if (data === undefined) return "";
  if (typeof data === "string") return data;
  let text = "";
  for (let i = 0; i < data.length; i++) text += String.fromCharCode(data[i]);
  return text;
}

function bytesOf(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}
