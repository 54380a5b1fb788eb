/**
 * Joins the modules that a program imports to the simulation that runs it. Kept in the global scope, since a program
 * that is CommonJS to Node gets copies of these modules.
 */
import type { Hal } from "../hal/socket.js";
import type { Credentials } from "./broker.js";

/** What a client is called: a number, from 1, in the order in which they connect first; 0 before that. */
export interface DeviceName {
  number: number;
}

/** What a simulated device asks of its simulation. */
export interface Wiring {
  /** What every client shows instead of its own user and password. */
  credentials: Credentials | undefined;
  /** The platform of a client. */
  hal(name: DeviceName): Hal;
  /** The number of the next client that connects. */
  nextDevice(): number;
  /** A callback of the program is about to be called. */
  onCallback(device: number, event: string, args: unknown[]): void;
  /** The program called a method whose answer is worth a line. */
  onCall(method: string, result: unknown): void;
  /** The program prints a line. */
  onPrint(line: string): void;
  /** Count of the program's timers that are running. */
  onTimers(count: number): void;
}

const KEY = Symbol.for("mcu-mqtt simulation");
const scope = globalThis as { [KEY]?: Wiring };

export function setWiring(wiring: Wiring): void {
  scope[KEY] = wiring;
}

export function getWiring(): Wiring {
  const wiring = scope[KEY];
  if (wiring === undefined) throw new Error('no simulation is running: start the program with "npm start -- FILE"');
  return wiring;
}
