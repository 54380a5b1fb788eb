/** The embedded broker aedes, in this process, on free ports of the loopback. */
import { once } from "node:events";
import { createServer as createTcpServer } from "node:net";
import type { AddressInfo, Server, Socket } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import { Aedes } from "aedes";
import type { AedesOptions } from "aedes";
import type { Broker } from "./broker.js";
import { FORBIDDEN, HOST, LOGINS } from "./broker.js";
import { certificates } from "./certificates.js";

type Authenticate = NonNullable<AedesOptions["authenticate"]>;
type AuthorizeSubscribe = NonNullable<AedesOptions["authorizeSubscribe"]>;

/** One broker. */
export class AedesBroker implements Broker {
  readonly aedes: Aedes;
  readonly #servers: Server[] = [];
  readonly #sockets = new Set<Socket>();

  /** Starts one, and resolves when it listens. */
  static async start(): Promise<AedesBroker> {
    const broker = new AedesBroker(await Aedes.createBroker());
    await Promise.all(broker.#servers.map((server) => once(server.listen(0, HOST), "listening")));
    return broker;
  }

  private constructor(aedes: Aedes) {
    this.aedes = aedes;
    const handle = (socket: Socket): void => {
      this.#sockets.add(socket);
      socket.on("close", () => this.#sockets.delete(socket));
      aedes.handle(socket);
    };
    const { ca, server } = certificates();
    const tls = { cert: server.cert, key: server.key, ca: ca.cert };
    this.#servers.push(
      createTcpServer(handle),
      createTlsServer(tls, handle),
      createTlsServer({ ...tls, requestCert: true, rejectUnauthorized: true }, handle),
      createTcpServer(handle),
      createTcpServer(handle),
    );
    aedes.authenticate = ((client, username, password, done) => {
      const isOpen = (client.conn as Socket).localPort !== this.passwordPort;
      const isKnown = LOGINS.some(([name, secret]) => username === name && String(password) === secret);
      if (isOpen || isKnown) return done(null, true);
      done(Object.assign(new Error("wrong login"), { returnCode: 4 }), false);
    }) satisfies Authenticate;
    aedes.authorizeSubscribe = ((client, subscription, done) => {
      const isLimited = (client.conn as Socket).localPort === this.limitedPort;
      done(null, isLimited && subscription.topic.startsWith(`${FORBIDDEN}/`) ? null : subscription);
    }) satisfies AuthorizeSubscribe;
  }

  get port(): number {
    return this.#port(0);
  }

  get tlsPort(): number {
    return this.#port(1);
  }

  get clientCertificatePort(): number {
    return this.#port(2);
  }

  get passwordPort(): number {
    return this.#port(3);
  }

  get limitedPort(): number {
    return this.#port(4);
  }

  async dispose(): Promise<void> {
    const closed = this.#servers.map((server) => once(server.close(), "close"));
    for (const socket of this.#sockets) socket.destroy();
    await Promise.all(closed);
    await new Promise<void>((resolve) => this.aedes.close(resolve));
  }

  #port(index: number): number {
    return (this.#servers[index].address() as AddressInfo).port;
  }
}
