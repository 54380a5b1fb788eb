/**
 * What the boards of the Moddable SDK have in common: its modules, as `createEcma419Hal` wants them.
 *
 * Everything here is built when the firmware is, and frozen into flash: no native function is called at module level.
 */
import TCP from "embedded:io/socket/tcp";
import Net from "net";
import TextDecoder from "text/decoder";
import TextEncoder from "text/encoder";
import Time from "time";
import Timer from "timer";
import { createEcma419Hal } from "./ecma419.js";
import type { Ecma419Options, Ecma419Provider, Ecma419Resolver } from "./ecma419.js";
import type { Hal } from "./socket.js";

/** The resolver of the network stack, which asks the servers that the network has named, and takes no memory of XS. */
class NetResolver implements Ecma419Resolver {
  resolve(options: Parameters<Ecma419Resolver["resolve"]>[0]): void {
    Net.resolve(options.host, (host, address) => {
      if (address === undefined) options.onError();
      else options.onResolved(host, address);
    });
  }

  close(): void {
    // The network stack cannot be told to stop; who closed it does not listen.
  }
}

/** The network stack's TCP. */
export const tcp: Ecma419Provider = { socket: { io: TCP }, dns: { io: NetResolver } };

/**
 * Connections with TLS on the network stack's TCP.
 *
 * @param io the SDK's class. It reads into views and writes them, though its published type knows ArrayBuffers alone
 */
export function tlsProvider(io: unknown): Ecma419Provider {
  const socket = { io, TCP: { io: TCP } };
  return { socket: socket as unknown as Ecma419Provider["socket"], dns: { io: NetResolver } };
}

/** What a board states of itself. `tcp`: the network stack's, unless stated. */
export type BoardOptions = Pick<Ecma419Options, "tls" | "noTls" | "defaults" | "openDelayMs" | "drainMs"> &
  Partial<Pick<Ecma419Options, "tcp">>;

/** The HAL of a board, on the SDK's modules. It is frozen, so that it may be made in a preloaded module. */
export function createBoardHal(board: BoardOptions): Hal {
  const modules = { tcp, timers: Timer, TextEncoder, TextDecoder, now: () => Time.ticks, generateId: hardwareId };
  const hal = createEcma419Hal(Object.assign(modules, board));
  // With all it holds: what a preloaded module does not freeze is given RAM.
  Object.freeze(hal, true);
  return hal;
}

/** The hardware address as 12 hexadecimal digits; undefined while the network interface is off. */
function hardwareId(): string | undefined {
  const address = Net.get("MAC") as string | undefined;
  return address === undefined ? undefined : address.split(":").join("").toLowerCase();
}
