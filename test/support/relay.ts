/** A TCP relay before a broker: records what passes, and can cut connections as a bad network does. */
import { once } from "node:events";
import { connect, createServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { HOST } from "./broker.js";
import { Signal } from "./signal.js";

export interface Chunk {
  fromClient: boolean;
  bytes: Buffer;
  /** Microseconds since 1970. */
  atUs: number;
}

/** One connection through the relay. */
export class RelayedConnection {
  readonly chunks: Chunk[] = [];
  /** Both sides are gone. */
  isOver = false;
  readonly #client: Socket;
  readonly #broker: Socket;
  readonly #signal: Signal;

  constructor(client: Socket, port: number, signal: Signal) {
    this.#client = client;
    this.#broker = connect({ host: HOST, port, allowHalfOpen: true, noDelay: true });
    this.#signal = signal;
    this.#forward(client, this.#broker, true);
    this.#forward(this.#broker, client, false);
  }

  /** All that one side sent. */
  sent(fromClient: boolean): Buffer {
    return Buffer.concat(this.chunks.filter((chunk) => chunk.fromClient === fromClient).map((chunk) => chunk.bytes));
  }

  /** Ends it on both sides, at once, as if a router had lost its memory. */
  cut(): void {
    reset(this.#client);
    reset(this.#broker);
  }

  /** Resolves when both sides are gone: the broker then knows how the connection ended. */
  over(): Promise<void> {
    return this.#signal.until(() => this.isOver, () => "the relayed connection ends");
  }

  #forward(from: Socket, to: Socket, fromClient: boolean): void {
    from.on("data", (bytes: Buffer) => {
      this.chunks.push({ fromClient, bytes, atUs: Math.round((performance.timeOrigin + performance.now()) * 1000) });
      this.#signal.notify();
    });
    from.pipe(to);
    from.on("error", () => {}); // "close" follows
    from.on("close", () => {
      if (to.destroyed) {
        this.isOver = true;
        this.#signal.notify();
      } else if (from.errored || !from.readableEnded) {
        reset(to);
      }
    });
  }
}

/** Node 20 never gets rid of a socket that is reset while its FIN is on the way, and then cannot exit. */
function reset(socket: Socket): void {
  if (socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}

/** Listens on a port of its own and connects whoever comes to the broker. */
export class Relay {
  readonly connections: RelayedConnection[] = [];
  readonly #signal = new Signal();
  readonly #server: Server;

  /** @param port the broker's */
  static async start(port: number): Promise<Relay> {
    const relay = new Relay(port);
    relay.#server.listen(0, HOST);
    await once(relay.#server, "listening");
    return relay;
  }

  private constructor(port: number) {
    this.#server = createServer({ allowHalfOpen: true, noDelay: true }, (socket) => {
      this.connections.push(new RelayedConnection(socket, port, this.#signal));
      this.#signal.notify();
    });
  }

  get port(): number {
    return (this.#server.address() as AddressInfo).port;
  }

  get last(): RelayedConnection {
    return this.connections[this.connections.length - 1];
  }

  /** Cuts all connections there are. */
  cut(): void {
    for (const connection of this.connections) if (!connection.isOver) connection.cut();
  }

  /** Resolves when `condition`, of what has passed, holds. */
  until(condition: () => boolean, what: string): Promise<void> {
    return this.#signal.until(condition, () => what);
  }

  async dispose(): Promise<void> {
    const closed = once(this.#server.close(), "close");
    this.cut();
    await closed;
  }
}
