/** A WebSocket server that relays to a port of plain TCP, and makes frames of what comes from there as it is told. */
import { once } from "node:events";
import { createServer as createHttpServer } from "node:http";
import type { IncomingMessage, Server } from "node:http";
import { createServer as createHttpsServer } from "node:https";
import { connect } from "node:net";
import type { AddressInfo, Socket } from "node:net";
import type { TlsOptions } from "node:tls";
import { WebSocketServer } from "ws";
import type { WebSocket } from "ws";
import { HOST } from "./broker.js";

export interface WebSocketRelayOptions {
  /** With TLS: the server's options. */
  tls?: TlsOptions;
  /** The only path there is; any by default. */
  path?: string;
  /** The subprotocol that it chooses of those that are asked for; `false`: none. Default: the first. */
  protocol?: string | false;
  /** What bytes from the server become: payloads of frames. Default: a frame. */
  frames?: (bytes: Buffer) => Buffer[];
}

export class WebSocketRelay {
  /** The requests that were accepted. */
  readonly requests: IncomingMessage[] = [];
  /** Payloads of the frames that came from clients. */
  readonly received: Buffer[] = [];
  readonly #http: Server;
  readonly #server: WebSocketServer;
  readonly #sockets = new Set<Socket>();
  readonly #webSockets = new Set<WebSocket>();

  /** Listens on a port of its own and connects whoever comes to a port. */
  static async start(port: number, options: WebSocketRelayOptions = {}): Promise<WebSocketRelay> {
    const relay = new WebSocketRelay(port, options);
    relay.#http.listen(0, HOST);
    await once(relay.#http, "listening");
    return relay;
  }

  private constructor(port: number, { tls, path, protocol, frames = (bytes) => [bytes] }: WebSocketRelayOptions) {
    this.#http = tls === undefined ? createHttpServer() : createHttpsServer(tls);
    this.#http.on("connection", (socket: Socket) => this.#keep(socket));
    this.#server = new WebSocketServer({
      server: this.#http,
      ...(path !== undefined && { path }),
      ...(protocol !== undefined && { handleProtocols: () => protocol }),
    });
    this.#server.on("connection", (ws, request) => {
      this.requests.push(request);
      this.#webSockets.add(ws);
      const tcp = connect({ host: HOST, port, noDelay: true });
      this.#keep(tcp);
      ws.on("message", (bytes: Buffer, isBinary) => {
        if (!isBinary) throw new Error("the client sent text");
        this.received.push(bytes);
        tcp.write(bytes);
      });
      ws.on("close", () => {
        this.#webSockets.delete(ws);
        tcp.end();
      });
      ws.on("error", () => {}); // "close" follows
      tcp.on("data", (bytes) => {
        for (const frame of frames(bytes)) ws.send(frame);
      });
      tcp.on("close", () => ws.close());
    });
  }

  get port(): number {
    return (this.#http.address() as AddressInfo).port;
  }

  /** Ends all connections there are, at once. */
  cut(): void {
    for (const ws of this.#webSockets) ws.terminate();
  }

  async dispose(): Promise<void> {
    const closed = once(this.#http.close(), "close");
    this.#server.close();
    for (const socket of this.#sockets) socket.destroy();
    await closed;
  }

  #keep(socket: Socket): void {
    this.#sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => this.#sockets.delete(socket));
  }
}
