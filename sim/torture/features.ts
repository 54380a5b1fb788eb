/**
 * Optional parts of the library, as the simulator sees them: each is one value of type `Feature`, and a device uses
 * those that its plan has drawn. The rest of the simulator asks for none by name.
 */
import type { Client, ClientOptions, MessageInfo } from "../../src/face.js";
import type { Device } from "./device.js";
import { DRAINING } from "./draining.js";
import type { Delivery } from "./ledger.js";
import type { Link } from "./link.js";
import type { Accepted } from "./monitor.js";
import { OUTCOMES } from "./outcomes.js";
import type { DevicePlan } from "./plan.js";
import { QUEUE_OFFLINE, QUEUE_POLICY } from "./policy.js";
import type { Random } from "./random.js";
import { DATA, PAUSE } from "./reading.js";
import { SNAPSHOTS } from "./snapshots.js";
import { SPEAKING_5 } from "./speaking5.js";
import { STAYING } from "./staying.js";
import { STREAMS } from "./streams.js";

/** Something that an application may do. */
export interface Action {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  run(device: Device): void;
}

/** A feature in one life of a device: what the application does with it, and what it has to hear of. */
export interface Helper {
  readonly actions?: readonly Action[];
  /** An operation was accepted. */
  accepted?(operation: Accepted): void;
  /** A message, or a part of one, is about to be told. */
  reading?(isPiece: boolean): void;
  /** `offline` was told. */
  offline?(reason: number, link: Link | undefined): void;
  /** The client opens a socket. */
  open?(host: string): void;
  /** Calls `connect`, where that is not what it is for others. */
  connect?(): boolean;
  /** An operation was not accepted, or an attempt at one. */
  declined?(operation: Accepted): void;
  /** A message is told, with what is known of it. */
  received?(delivery: Delivery, info: MessageInfo): void;
  /** `close` or `abort` has answered. */
  given?(answer: boolean): void;
  /** `connect`, `connfail` or `offline` is being told; nobody has heard of it. */
  connected?(): void;
  failed?(reason: number, detail: unknown): void;
  ended?(): void;
  /** Within what time the client tries again by itself; below 0: it does not. */
  retryMs?(): number;
  /** Something has happened. */
  check?(): void;
  /** Everything is to be finished. */
  heal?(): void;
  /** What it still waits for, or "". */
  unrest?(): string;
  /** The schedule is over. */
  conclude?(): void;
}

export interface Feature {
  readonly name: string;
  /** What has to occur in many schedules, by the names that `World.count` is given. */
  readonly exercises: readonly string[];
  /** Whether a device has it, told from what is drawn already: schedules without it are what they were before it. */
  isDrawn?(plan: DevicePlan): boolean;
  /** False: such a device cannot have it. */
  suits?(plan: DevicePlan): boolean;
  /** Options that the client is constructed with. */
  options?(random: Random): Partial<ClientOptions>;
  /** A client was constructed: adds methods to it, sets callbacks. */
  attach?(device: Device, client: Client): Helper;
  /**
   * The power fails: saves what the device has in RAM, and returns what puts it back into its next life, before that
   * connects; returns false if it could not.
   */
  save?(device: Device): (device: Device, offMs: number) => boolean;
}

/** In the order in which they are attached: what replaces a method comes before what uses it. */
export const FEATURES: readonly Feature[] = [
  QUEUE_OFFLINE, QUEUE_POLICY, SNAPSHOTS, DRAINING, OUTCOMES, DATA, PAUSE, STREAMS, STAYING, SPEAKING_5,
];
