/**
 * A device and its application: a client of the library, what the application does with it, and what becomes of both
 * when the power goes. Hands every call and callback to the monitor, every message to the ledger.
 *
 * Invariant: nothing of a former life is heard any more.
 */
import { createMqtt, MQTT_3_1_1 } from "../../src/face.js";
import type { Client, MessageInfo, QoS } from "../../src/face.js";
import type { Broker, Customer } from "./broker.js";
import { DeviceHal } from "./hal.js";
import type { Link } from "./link.js";
import type { Ledger } from "./ledger.js";
import { payloadOf, textOf, uidOf } from "./ledger.js";
import { Monitor } from "./monitor.js";
import type { DevicePlan } from "./plan.js";
import { Probe } from "./probe.js";
import { drawAction } from "./actions.js";
import { Violation } from "./violation.js";
import type { Climate } from "./weather.js";
import type { World } from "./world.js";

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
  readonly links: Link[] = [];
  readonly world: World;
  restarts = 0;
  losses = 0;
  hal!: DeviceHal;
  client!: Client;
  monitor!: Monitor;
  probe!: Probe;
  private readonly _climate: Climate;
  private _ledger!: Ledger;
  private _broker!: Broker;
  private _will = 0;
  /** The application is inside a call of the client. */
  private _isCalling = false;
  private _thrown: Thrown | undefined;
  /** The application wants no connection. */
  private _isResting = false;
  /** The device has no power. */
  private _isOff = false;
  private _isConnectPlanned = false;

  constructor(world: World, index: number, plan: DevicePlan, climate: Climate) {
    this.world = world;
    this.index = index;
    this.plan = plan;
    this.clientId = `dev${index}`;
    this.isClean = plan.isClean;
    this.keepAliveSeconds = plan.keepAliveSeconds;
    this.maxInflight = plan.options.maxInflight;
    this.receiveMaximum = plan.options.receiveMaximum;
    this._climate = climate;
  }

  /** Tells it where its messages go, and switches it on. */
  install(ledger: Ledger, broker: Broker): void {
    this._ledger = ledger;
    this._broker = broker;
    this._boot();
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
      monitor.isSettled && this.probe.isEmpty && monitor.session.isQuiet;
  }

  /** What keeps it from being quiet. */
  get unrest(): string {
    const { monitor } = this;
    const { session } = monitor;
    const state = session === undefined ? "none" : session.isClosing ? "closing" : session.isQuiet ? "quiet" : "busy";
    return `dev${this.index}: ${this._isOff ? "off" : this.client.connected ? "connected" : "not connected"}, ` +
      `session ${state}, ` +
      `callbacks ${monitor.isSettled ? "called" : "owed"}, outbox ${this.probe.isEmpty ? "empty" : "not empty"}`;
  }

  // What an application does.

  connect(): void {
    const { random } = this.world;
    if (this._isOff) return;
    this._isResting = false;
    if (random.chance(this.plan.willing)) this._setWill();
    const wasConnected = this.client.connected;
    let answer: boolean;
    try {
      answer = this._call("connect", () => this.client.connect("broker", 1883, 0, this.plan.autoReconnect));
    } catch (error) {
      this._isCalling = false;
      if (error instanceof Violation || wasConnected) return;
      throw error;
    }
    if (wasConnected) this._fail("connect: did not throw though a session is up");
    if (answer) this.monitor.connecting();
    else this._planConnect();
  }

  close(): void {
    if (this._isOff) return;
    this._isResting = true;
    this.monitor.closed(this._call("close", () => this.client.close()));
  }

  abort(): void {
    if (this._isOff) return;
    this._isResting = true;
    const wasUp = this.client.connected;
    this.monitor.aborted(this._call("abort", () => this.client.abort()), wasUp);
  }

  publish(): void {
    this.publishAt(this.world.random.pick(this.plan.qos) as QoS);
  }

  /** Returns what the client answered. */
  publishAt(qos: QoS): boolean {
    if (this._isOff) return false;
    const { plan, world } = this;
    const { random } = world;
    const uid = this._ledger.nextUid();
    const size = random.chance(10) ? 0 :
      random.chance(80) || world.isHealed ? random.between(1, 20) : random.between(1, plan.largest);
    const payload = payloadOf(uid, size);
    const retain = random.chance(10);
    const topic = size === 0 ? `d${this.index}/e${uid}` : `d${this.index}/t${random.below(3)}`;
    const message = this._ledger.add(
      uid, topic, payload, qos, retain, this, this.monitor.session?.number ?? 0, false,
    );
    const data = random.chance(50) ? payload : bytesOf(payload);
    const wasConnected = this.client.connected;
    const isTaken = this._call(`publish ${textOf(message)}`, () => this.client.publish(topic, data, qos, retain));
    if (!isTaken) {
      this._ledger.messages.delete(uid);
      return false;
    }
    if (!wasConnected) this._fail("publish: accepted without a session");
    this.monitor.published(message, plan.listens);
    return true;
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
      if (!saved.some((putBack) => putBack(this))) {
        this.restarts++;
        this._ledger.restarted(this);
      }
      if (this.world.trace !== undefined) this._note("*** power is back");
      this.connect();
    });
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
    this._isResting = false;
    this._ensure();
  }

  /** It is quiet: whatever it was through, it has to work. */
  useAgain(): void {
    this.subscribe();
    for (const qos of [1, 2] as const) {
      // With one place only, what was begun just now may have it.
      const isFree = this.probe.isEmpty;
      if (!this.publishAt(qos) && isFree) this._fail(`publish: refused at QoS ${qos} though nothing is under way`);
    }
  }

  private _boot(): void {
    const { plan, world } = this;
    const hal = new DeviceHal(world, this.index, this._climate, (link) => this._broker.listen(link), plan.clockMs);
    const { options } = plan;
    this.hal = hal;
    this.monitor = new Monitor(world, this._ledger, this, {
      keepAliveMs: plan.keepAliveSeconds * 1000,
      connectTimeoutMs: options.connectTimeoutMs,
      drainTimeoutMs: options.drainTimeoutMs,
      autoReconnect: plan.autoReconnect,
    });
    this._will = 0;
    this._thrown = undefined;
    this._isCalling = false;
    const mqtt = createMqtt(hal, MQTT_3_1_1);
    const more = plan.features.map((feature) => feature.options?.(world.random) ?? {});
    const all = Object.assign({}, options, ...more) as typeof options;
    this.client = mqtt.Client(this.clientId, plan.keepAliveSeconds, null, null, plan.isClean ? 1 : 0, all);
    this.probe = new Probe(this.client, options.maxOperations);
    this._listen(hal);
    for (const feature of plan.features) feature.attach?.(this, this.client);
  }

  private _listen(hal: DeviceHal): void {
    const { client, monitor } = this;
    hal.onLink = (link) => {
      link.number = this.links.push(link);
      link.onFirstWrite = () => {
        link.will = this._will;
      };
      link.onSilent = () => {
        monitor.silent(link);
      };
    };
    hal.onUncaught = (error) => {
      if (error instanceof Violation) return;
      if (error === this._thrown) this._thrown = undefined;
      else this._fail(`an exception in a callback: ${error instanceof Error ? (error.stack ?? "") : String(error)}`);
    };
    hal.onEvent = () => {
      if (hal.isDead) return;
      if (this._thrown !== undefined) this._fail("what a callback threw did not surface");
      this._check();
    };
    const hear = (told: () => string, note: () => void): void => {
      if (hal.isDead) return;
      if (this.world.trace !== undefined) this._note(`      ${told()}`);
      if (this._isCalling) this._fail(`a callback inside a call: ${told()}`);
      note();
      this._check();
    };
    client.on("connect", (_, isPresent) => {
      hear(() => `connect, session present ${isPresent}`, () => {
        monitor.connected(hal.link, isPresent);
      });
      if (hal.isDead) return;
      this.subscribe();
      this._react(hal);
    });
    client.on("connfail", (_, reason) => {
      hear(() => `connfail ${reason}`, () => {
        monitor.failed(reason);
      });
      this._afterEnd(hal);
    });
    client.on("offline", (_, reason) => {
      hear(() => `offline ${reason}`, () => {
        monitor.offline(reason);
      });
      this._afterEnd(hal);
    });
    client.on("message", (_, topic, data: Data, info) => {
      hear(() => `message ${topic} ${uidOf(topic, asText(data))}`, () => {
        this._received(topic, data, info, true);
      });
      this._react(hal);
    });
    client.on("overflow", (_, topic, data: Data, info) => {
      hear(() => `overflow ${topic} ${asText(data).slice(0, 8)}`, () => {
        this._received(topic, data, info, false);
      });
      this._react(hal);
    });
    if (!this.plan.listens) return;
    client.on("puback", () => {
      hear(() => "puback", () => {
        monitor.done("publish", undefined, client.connected);
      });
      this._react(hal);
    });
    client.on("suback", (_, granted) => {
      hear(() => `suback ${granted.join(" ")}`, () => {
        monitor.done("subscribe", granted, client.connected);
      });
      this._react(hal);
    });
    client.on("unsuback", () => {
      hear(() => "unsuback", () => {
        monitor.done("unsubscribe", undefined, client.connected);
      });
      this._react(hal);
    });
  }

  private _received(topic: string, data: Data, info: MessageInfo, isWhole: boolean): void {
    const text = asText(data);
    const { qos, dup, packetId } = info;
    if ((qos === 0) !== (packetId === 0)) this._fail(`message: packet id ${packetId} at QoS ${qos}`);
    const sent = packetId === 0 ? 0 : this._broker.uidInflight(this, packetId);
    // Of a message that was cut short, the packet id is all that says which it is.
    const uid = uidOf(topic, text) || sent;
    if (uid === 0) {
      if (isWhole || qos > 0) this._fail(`a message that nobody sent: ${topic} ${text.slice(0, 20)}`);
      return;
    }
    if (sent !== 0 && sent !== uid) this._fail(`message ${uid} has the packet id of message ${sent}`);
    const message = this._ledger.messages.get(uid);
    if (message !== undefined) {
      const length = packetLength(message.topic.length + 2 + (qos > 0 ? 2 : 0) + message.payload.length);
      const limit = this.plan.options.maxMessageLength;
      if (isWhole !== length <= limit) {
        this._fail(`${textOf(message)}: ${isWhole ? "message" : "overflow"}, packet ${length}, limit ${limit}`);
      }
    }
    this._ledger.delivered(this, uid, topic, text, isWhole, qos, dup, this.monitor.session);
  }

  /** What an application does inside a callback: now and then something more, now and then a mistake. */
  private _react(hal: DeviceHal): void {
    const { world, plan } = this;
    if (world.isHealed) return;
    if (plan.fragile > 0 && !hal.isDead && world.random.chance(plan.fragile)) this.restart(world.random.below(2000));
    if (!hal.isDead && plan.busy > 0 && world.random.chance(plan.busy)) drawAction(world.random, plan).run(this);
    if (plan.throwing > 0 && world.random.chance(plan.throwing)) {
      this._thrown = new Thrown("of the application");
      throw this._thrown;
    }
  }

  private _afterEnd(hal: DeviceHal): void {
    if (hal.isDead) return;
    if (!this._isResting) {
      if (this.plan.reconnectMs === 0 && !this.world.isHealed && this.world.random.chance(80)) {
        if (this.monitor.isIdle) this.connect();
      } else this._planConnect();
    }
    this._react(hal);
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
    const uid = this._ledger.nextUid();
    const qos = random.below(3) as QoS;
    const retain = random.chance(20);
    const message = this._ledger.add(
      uid, `w/t${this.index}`, payloadOf(uid, random.between(1, 30)), qos, retain, this, 0, true,
    );
    this._call(`lwt ${textOf(message)}`, () => {
      this.client.lwt(message.topic, message.payload, qos, retain);
      return true;
    });
    this._will = uid;
  }

  private _filter(kind: "subscribe" | "unsubscribe"): void {
    if (this._isOff) return;
    const { random } = this.world;
    const table: Record<string, QoS> = {};
    for (let left = random.between(1, 3); left > 0; left--) table[random.pick(FILTERS)] = random.below(3) as QoS;
    const wasConnected = this.client.connected;
    const isTaken = this._call(`${kind} ${Object.keys(table).join(" ")}`, () => this.client[kind](table));
    if (!isTaken) return;
    if (!wasConnected) this._fail(`${kind}: accepted without a session`);
    this.monitor.filtered(kind, this.plan.listens);
  }

  private _call(what: string, call: () => boolean): boolean {
    const wasCalling = this._isCalling;
    const { trace } = this.world;
    this._isCalling = true;
    const answer = call();
    this._isCalling = wasCalling;
    if (trace !== undefined) this._note(`${what} = ${answer}`);
    this._check();
    return answer;
  }

  private _check(): void {
    const wrong = this.probe.check();
    if (wrong !== "") this._fail(wrong);
  }

  private _note(text: string): void {
    this.world.note(this.index, text);
  }

  private _fail(rule: string): void {
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

/** Bytes of a packet with so many behind its header. */
function packetLength(length: number): number {
  return length + (length < 128 ? 2 : 3);
}
