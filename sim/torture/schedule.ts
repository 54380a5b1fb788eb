/**
 * One schedule: a seed makes devices, a network and a broker, lets them have at each other, heals everything, and waits
 * until it is quiet. Then what was promised must have come.
 */
import { Broker } from "./broker.js";
import { Device } from "./device.js";
import { Ledger, payloadOf } from "./ledger.js";
import type { Party } from "./ledger.js";
import type { Plan } from "./plan.js";
import { drawPlan } from "./plan.js";
import { Trace } from "./trace.js";
import { World } from "./world.js";

/** What came of a schedule. */
export interface Result {
  seed: number;
  /** The first rule that was broken; undefined: none. */
  rule: string | undefined;
  /** The device it is about; -1: none alone. */
  device: number;
  /** What happened, if it was asked for. */
  trace: Trace | undefined;
  events: number;
  messages: number;
  /** How often things happened that are to happen now and then. */
  counts: ReadonlyMap<string, number>;
  /** Virtual time that passed. */
  lengthMs: number;
}

/** By then a healed world must be quiet: half-open connections are found, pauses between tries are over. */
const QUIET_MS = 600000;
/** How often it is asked whether it is. */
const ASK_MS = 250;

/** @param isTraced keeps what happens, for people */
export function runSchedule(seed: number, isTraced: boolean): Result {
  const world = new World(seed, isTraced ? new Trace() : undefined);
  const schedule = new Schedule(world, drawPlan(world.random));
  schedule.run();
  const { violation } = world;
  return {
    seed,
    rule: violation?.message,
    device: violation?.device ?? -1,
    trace: world.trace,
    events: world.events,
    messages: schedule.messages,
    counts: world.counts,
    lengthMs: world.nowMs,
  };
}

class Schedule {
  private readonly _world: World;
  private readonly _plan: Plan;
  private readonly _devices: Device[];
  private readonly _ledger: Ledger;
  private readonly _broker: Broker;
  private _isAsked = false;

  constructor(world: World, plan: Plan) {
    this._world = world;
    this._plan = plan;
    this._devices = plan.devices.map((device, index) => new Device(world, index, device, plan.climate));
    this._ledger = new Ledger(world, this._devices, plan.manners.isEager);
    this._broker = new Broker(world, this._ledger, this._devices, plan.manners);
  }

  get messages(): number {
    return this._ledger.messages.size;
  }

  run(): void {
    const world = this._world;
    if (world.trace !== undefined) this._notePlan();
    for (const device of this._devices) {
      device.install(this._ledger, this._broker);
      world.after(world.random.between(0, 100), () => {
        device.connect();
      });
    }
    this._act(this._plan.actions);
    world.run(Infinity, () => world.isHealed);
    if (this._isBroken()) return;
    for (const device of this._devices) device.heal();
    this._ask();
    if (!this._settle()) return;
    for (const device of this._devices) device.useAgain();
    this._publishFromOutside();
    if (!this._settle()) return;
    for (const device of this._devices) device.conclude();
    this._ledger.conclude((party: Party) => this._devices[party.index].soundSession);
  }

  private _isBroken(): boolean {
    return this._world.violation !== undefined;
  }

  /** Lets time run until everybody is quiet. Returns false when they will not be. */
  private _settle(): boolean {
    const world = this._world;
    if (world.run(world.nowMs + QUIET_MS, () => this._isQuiet())) return !this._isBroken();
    const unrest = [...this._devices.map((device) => device.unrest), this._broker.unrest].join("; ");
    const first = this._devices.findIndex((device) => !device.isQuiet);
    world.fail(first, `stuck: not quiet ${QUIET_MS / 1000} s after everything was healed: ${unrest}`);
    return false;
  }

  /** Does one thing, and the rest later. */
  private _act(left: number): void {
    const world = this._world;
    const { random } = world;
    const { longestPauseMs } = this._plan;
    const pauseMs = random.chance(3) ? random.between(0, 40000) : random.between(0, longestPauseMs);
    world.after(pauseMs, () => {
      if (left === 0) {
        if (world.trace !== undefined) world.note(-1, "*** healed");
        world.isHealed = true;
        return;
      }
      this._actOnce();
      this._act(left - 1);
    });
  }

  private _actOnce(): void {
    const { random } = this._world;
    const { strikes, restarts, brokerRestarts, mayForget } = this._plan;
    const device = random.pick(this._devices);
    if (random.chance(strikes)) return device.strike();
    if (random.chance(restarts)) return device.restart(random.between(0, 3000));
    if (random.chance(brokerRestarts)) {
      return this._broker.restart(random.between(0, 2000), !mayForget || random.chance(50));
    }
    if (random.chance(25)) return this._publishFromOutside();
    device.act();
  }

  private _publishFromOutside(): void {
    const { random, trace } = this._world;
    for (let left = random.pick([1, 1, 1, 2, 6, 24]); left > 0; left--) {
      const uid = this._ledger.nextUid();
      const size = random.chance(10) ? 0 : random.chance(80) ? random.between(1, 20) : random.between(1, 400);
      const topic = size === 0 ? `o/e${uid}` : `o/t${random.below(2)}`;
      const qos = random.below(3);
      const message = this._ledger.add(uid, topic, payloadOf(uid, size), qos, false, undefined, 0, false);
      if (trace !== undefined) this._world.note(-1, `message ${uid} from outside, QoS ${qos}, ${topic}, ${size} bytes`);
      this._broker.take(message);
    }
  }

  /** Keeps time going while everybody may be quiet. */
  private _ask(): void {
    this._isAsked = true;
    this._world.after(ASK_MS, () => {
      this._ask();
    });
  }

  private _isQuiet(): boolean {
    if (!this._isAsked) return false;
    this._isAsked = false;
    return this._devices.every((device) => device.isQuiet) && this._broker.isQuiet;
  }

  private _notePlan(): void {
    const { climate, manners } = this._plan;
    this._world.note(-1, `network ${JSON.stringify(climate)}`);
    this._world.note(-1, `broker ${JSON.stringify(manners)}`);
    for (const device of this._devices) {
      const { isClean, keepAliveSeconds, autoReconnect, options, features } = device.plan;
      this._world.note(device.index, `clean ${isClean ? 1 : 0}, keepalive ${keepAliveSeconds}, ` +
        `autoreconnect ${autoReconnect ? 1 : 0}, ${JSON.stringify(options)}, ` +
        `with ${features.map(({ name }) => name).join(", ") || "nothing"}`);
    }
  }
}
