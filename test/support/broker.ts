/** What the end-to-end tests ask of a broker, whichever it is: ports on the loopback, each with one property. */

/** Where all brokers listen. */
export const HOST = "127.0.0.1";
/** A login that password ports accept. */
export const USERNAME = "gerät";
export const PASSWORD = "geheim: 秘密";
/** All of them; the second is that of the examples. */
export const LOGINS: readonly (readonly [username: string, password: string])[] = [
  [USERNAME, PASSWORD],
  ["user", "password"],
];
/** Filters that limited ports refuse with 0x80 are those below this topic. */
export const FORBIDDEN = "forbidden";

export interface Broker {
  /** Anyone, TCP. */
  readonly port: number;
  /** Anyone, TLS with the certificate `server`. */
  readonly tlsPort: number;
  /** As `tlsPort`, for clients with a certificate of the same authority only. */
  readonly clientCertificatePort: number;
  /** Only with one of `LOGINS`. */
  readonly passwordPort: number;
  /** Refuses to subscribe to anything below `FORBIDDEN`. */
  readonly limitedPort: number;
  /** Ends it, at once, and removes what it left behind. */
  dispose(): Promise<void>;
}
