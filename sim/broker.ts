/** The broker that devices are led to: one in this process, or a real one. Says where it is and how to get in. */
import { once } from "node:events";
import { createServer } from "node:net";
import type { AddressInfo, Server } from "node:net";
import { createServer as createTlsServer } from "node:tls";
import type { Aedes } from "aedes";
import type { Route } from "./link.js";

/** User and password for a broker. */
export interface Credentials {
  username: string;
  password: string;
}

/** A broker as the simulation sees it. */
export interface Broker {
  /** What it is and where, for the log. */
  readonly description: string;
  /** Way in for the client from outside. */
  readonly route: Route;
  /** What every client has to show instead of its own. */
  readonly credentials: Credentials | undefined;
  /** Way in for a device that asked for TLS with these options, or for TCP. */
  routeFor(secure: object | undefined): Promise<Route>;
}

const LOOPBACK = "127.0.0.1";
/** What the certificate of the broker in this process is for. */
const CERTIFICATE_NAME = "broker.simulation";

/** A broker in this process. TLS is real: its certificate is made when first asked for, and trusted by the devices. */
export class EmbeddedBroker implements Broker {
  readonly route: Route;
  readonly credentials = undefined;
  readonly #aedes: Aedes;
  #tls: Promise<{ port: number; ca: string }> | undefined;

  private constructor(aedes: Aedes, port: number) {
    this.#aedes = aedes;
    this.route = { host: LOOPBACK, port, secure: undefined };
  }

  static async start(): Promise<EmbeddedBroker> {
    const { Aedes } = await import("aedes"); // only where it is used, since it takes a while
    const aedes = await Aedes.createBroker();
    const server = createServer({ noDelay: true }, (socket) => void aedes.handle(socket));
    return new EmbeddedBroker(aedes, await listen(server));
  }

  get description(): string {
    return `aedes, in this process at ${LOOPBACK}:${this.route.port}`;
  }

  async routeFor(secure: object | undefined): Promise<Route> {
    if (secure === undefined) return this.route;
    this.#tls ??= this.#listenTls();
    const { port, ca } = await this.#tls;
    const note = "TLS, with a certificate of the simulation";
    return { host: LOOPBACK, port, secure: { ...secure, ca, servername: CERTIFICATE_NAME }, note };
  }

  async #listenTls(): Promise<{ port: number; ca: string }> {
    const { generate } = await import("selfsigned");
    const name = [{ name: "commonName", value: CERTIFICATE_NAME }];
    const { cert, private: key } = await generate(name, { keyType: "ec", algorithm: "sha256" });
    const server = createTlsServer({ cert, key, noDelay: true }, (socket) => void this.#aedes.handle(socket));
    return { port: await listen(server), ca: cert };
  }
}

/** A broker that is there. Whether TLS is spoken is decided by its address, not by the program. */
export class RemoteBroker implements Broker {
  readonly route: Route;
  readonly credentials: Credentials | undefined;

  /**
   * @param isSecure TLS, with verification
   * @param ca authorities to trust instead of Node's, PEM
   */
  constructor(host: string, port: number, isSecure: boolean, ca: string | undefined, credentials?: Credentials) {
    this.route = { host, port, secure: isSecure ? (ca === undefined ? {} : { ca }) : undefined };
    this.credentials = credentials;
  }

  get description(): string {
    return `${this.route.host}:${this.route.port}${this.route.secure === undefined ? "" : ", TLS"}`;
  }

  routeFor(secure: object | undefined): Promise<Route> {
    const { host, port, secure: own } = this.route;
    // The program's options hold, but for the name: that is the one of the broker it would have connected to.
    const options = own && { ...secure, ...own, servername: undefined };
    const note = own !== undefined ? "TLS" : secure === undefined ? "" : "without TLS, since --broker says mqtt://";
    return Promise.resolve({ host, port, secure: options, note });
  }
}

/** Starts to listen on a free port of the loopback, and returns that. */
async function listen(server: Server): Promise<number> {
  server.listen(0, LOOPBACK);
  await once(server, "listening");
  return (server.address() as AddressInfo).port;
}
