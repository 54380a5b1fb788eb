/** What a schedule consists of, drawn from its seed before it begins. */
import type { ClientOptions } from "../../src/face.js";
import type { Manners } from "./broker.js";
import { drawManners } from "./broker.js";
import type { Feature } from "./features.js";
import { FEATURES } from "./features.js";
import { SPEAKING_5 } from "./speaking5.js";
import type { Version5 } from "./version5.js";
import { drawVersion5 } from "./version5.js";
import type { Random } from "./random.js";
import type { Climate } from "./weather.js";
import { drawClimate } from "./weather.js";

/** What a device and its application are like. Counts of 100 unless said otherwise. */
export interface DevicePlan {
  isClean: boolean;
  keepAliveSeconds: number;
  options: Required<ClientOptions>;
  autoReconnect: boolean;
  /** Pause before the application connects again, ms; 0: inside the callback. */
  reconnectMs: number;
  /** Callbacks in which it does something more. */
  busy: number;
  /** Callbacks in which the power fails. */
  fragile: number;
  /** Callbacks that throw. */
  throwing: number;
  /** Connections for which it sets a will. */
  willing: number;
  /** It listens to `puback`, `suback` and `unsuback`. */
  listens: boolean;
  /** What it publishes at: each QoS as often as it stands here. */
  qos: number[];
  largest: number;
  /** Optional parts of the library that it uses. */
  features: Feature[];
  /** What its clock says when the schedule begins, ms. */
  clockMs: number;
  /** What it is like if it speaks MQTT 5. */
  version5: Version5 | undefined;
}

export interface Plan {
  devices: DevicePlan[];
  climate: Climate;
  manners: Manners;
  /** Things that happen from outside, and calls of applications. */
  actions: number;
  /** Longest pause between them, ms. */
  longestPauseMs: number;
  /** Of 100 actions: the network, a device, the broker is struck. */
  strikes: number;
  restarts: number;
  brokerRestarts: number;
  /** A broker that restarts may have lost its sessions. */
  mayForget: boolean;
}

export function drawPlan(random: Random): Plan {
  const count = random.pick([1, 1, 1, 1, 2, 2, 3]);
  const devices: DevicePlan[] = [];
  for (let i = 0; i < count; i++) devices.push(drawDevice(random));
  return {
    devices,
    climate: drawClimate(random),
    manners: drawManners(random),
    actions: random.between(5, 40),
    longestPauseMs: random.pick([0, 20, 200, 200, 1000, 5000]),
    strikes: random.pick([0, 5, 15]),
    restarts: random.pick([0, 0, 0, 8, 20]),
    brokerRestarts: random.pick([0, 0, 0, 4, 12]),
    mayForget: random.chance(50),
  };
}

function drawDevice(random: Random): DevicePlan {
  const plan = drawBasis(random);
  plan.features = FEATURES.filter((feature) => (feature.isDrawn?.(plan) ?? random.chance(30)) &&
    feature.suits?.(plan) !== false);
  for (const feature of plan.features) Object.assign(plan.options, feature.options?.(random));
  plan.version5 = drawVersion5(plan);
  if (plan.version5 !== undefined) plan.features.push(SPEAKING_5);
  return plan;
}

function drawBasis(random: Random): DevicePlan {
  const keepAliveSeconds = random.pick([1, 2, 5, 20, 60]);
  const maxMessageLength = random.pick([16, 40, 100, 300, 1024]);
  const isRoomy = random.chance(40);
  return {
    isClean: random.chance(25),
    keepAliveSeconds,
    options: {
      format: random.pick(["string", "buffer"]),
      maxMessageLength,
      maxInflight: random.pick([1, 1, 2, 3, 8, 16]),
      connectTimeoutMs: random.pick([500, 3000, 10000, 60000]),
      ackTimeoutMs: random.chance(50) ? keepAliveSeconds * 2000 : random.between(500, 10000),
      drainTimeoutMs: random.pick([0, 100, 2000]),
      rxCapacity: random.pick([128, 128, 200, 512]),
      txCapacity: isRoomy ? 2048 : random.between(128, 400),
      maxOperations: isRoomy ? 32 : random.between(1, 8),
      receiveMaximum: random.pick([1, 2, 5, 20]),
      queueOffline: false,
    },
    autoReconnect: random.chance(25),
    reconnectMs: random.chance(30) ? 0 : random.between(1, 3000),
    busy: random.pick([0, 10, 30]),
    fragile: random.chance(15) ? 3 : 0,
    throwing: random.chance(15) ? 10 : 0,
    willing: random.chance(30) ? 50 : 0,
    listens: random.chance(90),
    qos: random.pick([[0, 1, 2], [1, 2], [2], [1], [0, 1], [0, 1, 1, 2, 2, 2]]),
    largest: random.pick([20, 60, 150, 400]),
    features: [],
    clockMs: random.chance(20) ? 2147483647 - random.below(20000) : random.below(100000),
    version5: undefined,
  };
}
