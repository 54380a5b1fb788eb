/**
 * The server's side of SCRAM (RFC 5802) for tests and examples: keeps keys, not passwords, verifies a client, and lies
 * where it is told to.
 *
 * Knows nothing of MQTT but the reason codes that go with the messages. Shares no code with hal/node-scram.ts but
 * SASLprep, so that the two check each other.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import { saslprep } from "../../hal/saslprep.js";

export interface ScramServerOptions {
  /** User name -> password. */
  users: Record<string, string>;
  /** Default "SHA-256". */
  hash?: "SHA-1" | "SHA-256" | "SHA-512";
  /** Default 4096. Anything goes, so that a client can be asked for too few or too many. */
  iterations?: number;
  /** Of all users; default: 16 random bytes for each. */
  salt?: Uint8Array;
  /** Makes what is added to the client's nonce. */
  createNonce?: () => string;
  /** The proof is one of somebody who has no keys of the user. */
  forgesProof?: boolean;
  /** Success comes without a proof. */
  sendsNoProof?: boolean;
  /** "echoed": adds nothing to the client's nonce. "repeated": each exchange has the nonce of the first. */
  nonce?: "fresh" | "echoed" | "repeated";
}

/** What the server says, as AUTH or CONNACK. */
export interface ScramReply {
  /** 0x18: AUTH, the exchange goes on. 0: success. 0x87, Not authorized: it is over. */
  reasonCode: number;
  data?: Uint8Array;
  /** With 0x87: why, in words of RFC 5802. */
  reasonString?: string;
}

/** What a server keeps of a user. */
interface Keys {
  salt: Buffer;
  storedKey: Buffer;
  serverKey: Buffer;
}

export class ScramServer {
  /** Authentication Method. */
  readonly method: string;
  readonly #options: ScramServerOptions;
  readonly #digest: string;
  readonly #iterations: number;
  readonly #keys = new Map<string, Keys>();
  #firstNonce: string | undefined;

  constructor(options: ScramServerOptions) {
    const hash = options.hash ?? "SHA-256";
    this.method = `SCRAM-${hash}`;
    this.#digest = hash.replace("-", "").toLowerCase();
    this.#iterations = options.iterations ?? 4096;
    this.#options = options;
    for (const [username, password] of Object.entries(options.users)) {
      this.#keys.set(saslprep("username", username), this.#keysOf(saslprep("password", password)));
    }
  }

  /** A new exchange, for a connection or an authentication anew: to be called with each message of the client. */
  begin(): (data: Uint8Array | undefined) => ScramReply {
    let answer = (message: string): ScramReply => this.#first(message, (next) => (answer = next));
    return (data) => answer(Buffer.from(data ?? []).toString("utf8"));
  }

  /** Answers client-first-message; `then` is given what answers the next one. */
  #first(message: string, then: (answer: (message: string) => ScramReply) => void): ScramReply {
    then(() => refusal("other-error"));
    const match = /^n,,(n=((?:[^,=]|=2C|=3D)+),r=([\x21-\x2b\x2d-\x7e]+))$/.exec(message);
    if (match === null) return refusal("invalid-encoding");
    const [, clientFirstBare, name, clientNonce] = match;
    const keys = this.#keys.get(name.replaceAll("=2C", ",").replaceAll("=3D", "="));
    if (keys === undefined) return refusal("unknown-user");
    const nonce = this.#nonce(clientNonce);
    const serverFirst = `r=${nonce},s=${keys.salt.toString("base64")},i=${this.#iterations}`;
    then((final) => {
      then(() => refusal("other-error"));
      return this.#final(final, `${clientFirstBare},${serverFirst}`, nonce, keys);
    });
    return { reasonCode: 0x18, data: bytes(serverFirst) };
  }

  /** Answers client-final-message. */
  #final(message: string, before: string, nonce: string, keys: Keys): ScramReply {
    const match = /^(c=([^,]*),r=([^,]*)),p=([^,]+)$/.exec(message);
    if (match === null) return refusal("invalid-encoding");
    const [, withoutProof, channelBinding, repeated, proof] = match;
    if (channelBinding !== "biws") return refusal("channel-bindings-dont-match");
    if (repeated !== nonce) return refusal("other-error");
    const authMessage = `${before},${withoutProof}`;
    const signature = this.#hmac(keys.storedKey, authMessage);
    const clientKey = Buffer.from(proof, "base64");
    if (clientKey.length !== signature.length) return refusal("invalid-proof");
    for (let i = 0; i < signature.length; i++) clientKey[i] ^= signature[i];
    if (!timingSafeEqual(this.#hash(clientKey), keys.storedKey)) return refusal("invalid-proof");
    if (this.#options.sendsNoProof === true) return { reasonCode: 0 };
    const serverKey = this.#options.forgesProof === true ? randomBytes(signature.length) : keys.serverKey;
    return { reasonCode: 0, data: bytes(`v=${this.#hmac(serverKey, authMessage).toString("base64")}`) };
  }

  #nonce(clientNonce: string): string {
    const { nonce, createNonce = () => randomBytes(18).toString("base64") } = this.#options;
    if (nonce === "echoed") return clientNonce;
    if (nonce !== "repeated") return clientNonce + createNonce();
    return (this.#firstNonce ??= clientNonce + createNonce());
  }

  #keysOf(password: string): Keys {
    const salt = Buffer.from(this.#options.salt ?? randomBytes(16));
    // Nobody gets as far as to use keys of no iterations.
    const iterations = Math.max(1, this.#iterations);
    const length = this.#hash(salt).length;
    const salted = pbkdf2Sync(password, salt, iterations, length, this.#digest);
    return {
      salt,
      storedKey: this.#hash(this.#hmac(salted, "Client Key")),
      serverKey: this.#hmac(salted, "Server Key"),
    };
  }

  #hash(data: Uint8Array): Buffer {
    return createHash(this.#digest).update(data).digest();
  }

  #hmac(key: Uint8Array, text: string): Buffer {
    return createHmac(this.#digest, key).update(text).digest();
  }
}

function bytes(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function refusal(reasonString: string): ScramReply {
  return { reasonCode: 0x87, reasonString };
}
