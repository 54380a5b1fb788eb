/** What TypeScript sources use of rollup.shared.js. */
import type { InputOptions, OutputOptions, Plugin } from "rollup";

export const root: string;
export const optional: [
  "outcomes",
  "queue",
  "snapshot",
  "streams",
  "subscriptions",
  "reconnect",
  "acknowledge",
  "retry",
  "ping",
  "password",
  "times",
  "protocols",
  "url",
  "trace",
];
export const optional5: ["auth", "request", "names", "trace5"];
export const entries: Record<
  | "index" | "core" | "client" | "store" | "async" | "websocket" | "tls" | "hal/node" | "hal/mock"
  | "v5" | "core5" | "scram" | (typeof optional5)[number]
  | (typeof optional)[number],
  string
>;
export const boards: Record<string, string>;
export const nodeTarget: number;
export function typescript(target: number): Plugin;
export function bundled(
  input: string,
  aliases?: Record<string, string>,
  target?: number,
): InputOptions & { output: OutputOptions };
/** "mcu-mqtt" for a board of the Moddable SDK, as one file. */
export function boardPackage(board: string): InputOptions & { output: OutputOptions };
export function minified(
  input: string,
  aliases?: Record<string, string>,
  target?: number,
): InputOptions & { output: OutputOptions };
