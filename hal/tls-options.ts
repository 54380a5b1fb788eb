/** Options of TLS by names that are the same on every platform. Types only. */

/** PEM text, or the bytes of PEM or DER. */
export type Certificate = string | Uint8Array | ArrayBuffer;

/** What `tlsOptions` takes. All may be left out: then the peer is verified with what the platform trusts. */
export interface CommonTlsOptions {
  /** Certificate authorities to trust. */
  ca?: Certificate | Certificate[];
  /** The client's certificate, followed by its intermediate ones. */
  cert?: Certificate | Certificate[];
  /** The private key of `cert`; as DER in PKCS8. */
  key?: Certificate;
  /** Opens an encrypted `key`. */
  passphrase?: string;
  /** Name to ask for (SNI) and to find in the peer's certificate. Default: the host. */
  servername?: string;
  /** Protocols to offer (ALPN), e.g. `"mqtt"`. Default: none. */
  alpn?: string | string[];
  /** False accepts any certificate, so that anyone may listen. Default: true. */
  verify?: boolean;
  /** Lowest version to speak. */
  minVersion?: "TLSv1.2" | "TLSv1.3";
  /** Highest version to speak. */
  maxVersion?: "TLSv1.2" | "TLSv1.3";
}
