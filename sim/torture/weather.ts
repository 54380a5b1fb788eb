/** How a network treats its connections: drawn once for a schedule, then for each connection. */
import type { SocketFailure } from "../../hal/socket.js";
import type { Random } from "./random.js";

/** How a connection is taken away. */
export type Break = "reset" | "fin" | "silent";

/** What the network of one schedule is like. Counts of 100 unless said otherwise. */
export interface Climate {
  /** Attempts that come to nothing. */
  failing: number;
  /** Connections that break by themselves. */
  breaking: number;
  /** Connections that stop for a while. */
  stalling: number;
  /** Longest delay in one direction, ms. */
  slowestMs: number;
  /** Connections with very little room to send. */
  narrow: number;
  /** Connections whose bytes come in pieces. */
  broken: number;
}

/** What will become of one connection. */
export interface Weather {
  /** How the attempt ends; "never": not at all; "exhausted": there is no socket. */
  connect: "ok" | "never" | "exhausted" | SocketFailure;
  connectMs: number;
  leastMs: number;
  mostMs: number;
  /** Bytes that the socket takes before it waits for the network. */
  room: number;
  /** How long room takes to come back behind what has arrived. */
  roomLateMs: number;
  /** Unread bytes at which the socket takes no more from the network. */
  window: number;
  /** Largest piece in which bytes arrive, upwards and downwards; 0: as they were written. */
  piecesUp: number;
  piecesDown: number;
  /** Pieces that have arrived are told at once, rather than each by itself. */
  isCoalescing: boolean;
  /** Breaks once so many bytes have arrived, upwards or downwards. */
  cut: { isUp: boolean; bytes: number; how: Break } | undefined;
  /** Breaks behind so many packets, upwards or downwards. */
  cutPackets: { isUp: boolean; packets: number; how: Break } | undefined;
  /** Stops for a while, when so many ms have passed. */
  stall: { atMs: number; lengthMs: number } | undefined;
}

export function drawClimate(random: Random): Climate {
  switch (random.below(5)) {
    case 0: // a wire
      return { failing: 0, breaking: 0, stalling: 0, slowestMs: 5, narrow: 10, broken: 30 };
    case 1: // good, cut now and then
      return { failing: 5, breaking: 25, stalling: 5, slowestMs: 50, narrow: 15, broken: 30 };
    case 2: // slow and stopping
      return { failing: 10, breaking: 15, stalling: 50, slowestMs: 1500, narrow: 30, broken: 50 };
    case 3: // cut all the time
      return { failing: 15, breaking: 80, stalling: 10, slowestMs: 100, narrow: 20, broken: 40 };
    default: // all of it
      return { failing: 25, breaking: 50, stalling: 30, slowestMs: 400, narrow: 50, broken: 60 };
  }
}

const FAILURES: Weather["connect"][] = ["dns", "refused", "unreachable", "timeout", "never", "exhausted", "closed"];

/** Longest delay of a network that is healed: where PINGRESP takes longer than a keep alive, no session lasts. */
const HEALED_MS = 100;

/** @param isHealed slow, in pieces and narrow it may still be; but it lasts */
export function drawWeather(random: Random, climate: Climate, isHealed: boolean): Weather {
  const mostMs = random.between(0, isHealed ? Math.min(climate.slowestMs, HEALED_MS) : climate.slowestMs);
  const isFailing = !isHealed && random.chance(climate.failing);
  const isBreaking = !isHealed && random.chance(climate.breaking);
  const isStalling = !isHealed && random.chance(climate.stalling);
  const isNarrow = random.chance(climate.narrow);
  const how = (): Break => random.pick(["reset", "reset", "fin", "silent"]);
  const pieces = (): number => !random.chance(climate.broken) ? 0 : random.pick([1, 2, 3, 7, 20]);
  return {
    connect: isFailing ? random.pick(FAILURES) : "ok",
    connectMs: !isHealed && random.chance(10) ? random.between(0, 8000) : random.between(0, 200),
    leastMs: random.between(0, mostMs),
    mostMs,
    room: isNarrow ? random.between(1, 64) : random.pick([128, 536, 1460, 5840]),
    roomLateMs: random.chance(30) ? random.between(0, mostMs) : 0,
    window: random.chance(20) ? random.between(1, 64) : 5840,
    piecesUp: pieces(),
    piecesDown: pieces(),
    isCoalescing: random.chance(50),
    cut: isBreaking && random.chance(50)
      ? { isUp: random.chance(50), bytes: random.between(1, random.chance(50) ? 60 : 800), how: how() }
      : undefined,
    cutPackets: isBreaking && random.chance(60)
      ? { isUp: random.chance(50), packets: random.between(1, 14), how: how() }
      : undefined,
    stall: isStalling
      ? { atMs: random.between(0, 4000), lengthMs: random.between(1, random.chance(70) ? 3000 : 30000) }
      : undefined,
  };
}
