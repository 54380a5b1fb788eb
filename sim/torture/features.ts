/**
 * Optional parts of the library, as the simulator sees them: each is one value of type `Feature`, and a device uses
 * those that its plan has drawn. The rest of the simulator asks for none by name.
 */
import type { Client, ClientOptions } from "../../src/face.js";
import type { Device } from "./device.js";
import type { Random } from "./random.js";

/** Something that an application may do. */
export interface Action {
  readonly name: string;
  /** How often, beside the others. */
  readonly weight: number;
  run(device: Device): void;
}

export interface Feature {
  readonly name: string;
  /** Options that the client is constructed with. */
  options?(random: Random): Partial<ClientOptions>;
  /** A client was constructed: adds methods to it, sets callbacks. */
  attach?(device: Device, client: Client): void;
  /** What an application does with it. */
  readonly actions?: readonly Action[];
  /**
   * Saves what a device has in RAM, and returns what puts it back into its next life, before that connects; returns
   * false if it could not.
   */
  save?(device: Device): (device: Device) => boolean;
}

export const FEATURES: readonly Feature[] = [];
