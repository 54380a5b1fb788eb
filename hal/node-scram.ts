/**
 * SCRAM (RFC 5802, RFC 7677) for Node: enhanced authentication of MQTT 5 with a password that never leaves the client,
 * by a server that has to show that it knows the user too.
 *
 *     import { scram } from "mcu-mqtt/scram";
 *     const authenticator = scram({ username: "sensor", password });
 *
 * Knows messages and keys; packets and connections are the client's. Without channel binding. Whatever goes wrong in an
 * exchange ends it: nothing of it is left for the next packet.
 */
import { createHash, createHmac, pbkdf2Sync, randomBytes, timingSafeEqual } from "node:crypto";
import type { Authenticator } from "../src/v5/auth.js";
import { saslprep } from "./saslprep.js";

export type { Authenticator } from "../src/v5/auth.js";

export type ScramHash = "SHA-1" | "SHA-256" | "SHA-512";

export interface ScramOptions {
  username: string;
  password: string;
  /** Default "SHA-256". The Authentication Method is "SCRAM-" and this. */
  hash?: ScramHash;
  /**
   * How many iterations a server may ask for, from 4096 to 2147483647; default 100000, which takes some 20 ms on a PC
   * (SHA-512: 40 ms). Nothing else runs meanwhile.
   */
  maxIterations?: number;
  /** For tests: makes the client's nonce of an exchange, printable ASCII without a comma. Default: 24 random bytes. */
  createNonce?: () => string;
}

/** Node's name of each hash, and its length in bytes. */
const DIGESTS: Record<ScramHash, [name: string, length: number]> = {
  "SHA-1": ["sha1", 20],
  "SHA-256": ["sha256", 32],
  "SHA-512": ["sha512", 64],
};

/** RFC 7677, section 4. */
const MIN_ITERATIONS = 4096;
const DEFAULT_MAX_ITERATIONS = 100000;
/** The most that PBKDF2 of Node takes. */
const MOST_ITERATIONS = 0x7fffffff;

// Reason codes.
const SUCCESS = 0x00;
const CONTINUE_AUTHENTICATION = 0x18;

/** No channel binding, nor wish for it, and no other identity than the user's. */
const GS2_HEADER = "n,,";
const CHANNEL_BINDING = Buffer.from(GS2_HEADER).toString("base64");

/** What Binary Data takes in MQTT. */
const MAX_DATA_LENGTH = 65535;

const NONCE = /^[!-+\--~]+$/;
const EXTENSIONS = "((?:,[A-Za-z]=[^,\0]+)*)";
const SERVER_FIRST = new RegExp(`^r=([!-+\\--~]+),s=([^,]+),i=([1-9]\\d*)${EXTENSIONS}$`);
const SERVER_FINAL = new RegExp(`^v=([^,]+)${EXTENSIONS}$`);
/** Beyond that, what the server gives as its error is not for an error message. */
const SERVER_ERROR = /^e=([a-z0-9-]{1,60})(?:,|$)/i;

function mistrust(what: string): Error {
  return new Error("SCRAM: " + what);
}

/** The bytes of a text, not empty, that is canonical base64; undefined when it is not. */
function fromBase64(text: string): Buffer | undefined {
  const bytes = Buffer.from(text, "base64");
  return bytes.toString("base64") === text ? bytes : undefined;
}

/** What the server said; an error of its own is thrown. */
function asMessage(data: Uint8Array | undefined, name: string): string {
  if (data === undefined || data.length === 0) throw mistrust(`the server's ${name} is missing`);
  let message: string;
  try {
    message = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(data);
  } catch {
    throw mistrust(`the server's ${name} is not UTF-8`);
  }
  if (message.startsWith("e=")) {
    throw mistrust(`the server refuses: ${SERVER_ERROR.exec(message)?.[1] ?? "it gives no reason"}`);
  }
  return message;
}

/** An exchange between its first message and its end. */
interface Exchange {
  nonce: string;
  clientFirstBare: string;
  /** What the server has to prove itself with, once the client has sent its own proof. */
  serverSignature: Buffer | undefined;
}

class Scram implements Authenticator {
  readonly method: string;
  readonly #username: string;
  readonly #password: string;
  readonly #digest: string;
  readonly #length: number;
  readonly #maxIterations: number;
  readonly #createNonce: () => string;
  #exchange: Exchange | undefined;

  /** Takes what was checked: username as SCRAM writes it, password as it goes into keys. */
  constructor(username: string, password: string, hash: ScramHash, maxIterations: number, createNonce: () => string) {
    this.method = "SCRAM-" + hash;
    this.#username = username;
    this.#password = password;
    [this.#digest, this.#length] = DIGESTS[hash];
    this.#maxIterations = maxIterations;
    this.#createNonce = createNonce;
  }

  init(): Uint8Array {
    this.#exchange = undefined;
    const nonce = this.#createNonce();
    if (typeof (nonce as unknown) !== "string" || !NONCE.test(nonce)) {
      throw new TypeError("createNonce must return printable ASCII without a comma");
    }
    const clientFirstBare = `n=${this.#username},r=${nonce}`;
    const data = new TextEncoder().encode(GS2_HEADER + clientFirstBare);
    if (data.length > MAX_DATA_LENGTH) throw new RangeError("username is too long for Authentication Data");
    this.#exchange = { nonce, clientFirstBare, serverSignature: undefined };
    return data;
  }

  handleAuth(reasonCode: number, data: Uint8Array | undefined): Uint8Array | undefined {
    const exchange = this.#exchange;
    const serverSignature = exchange?.serverSignature;
    this.#exchange = undefined;
    if (reasonCode === CONTINUE_AUTHENTICATION) {
      if (exchange === undefined || serverSignature !== undefined) throw mistrust("a challenge that is out of turn");
      const answer = this.#answer(exchange, asMessage(data, "challenge"));
      this.#exchange = exchange;
      return answer;
    }
    if (reasonCode !== SUCCESS) throw mistrust(`reason code ${reasonCode} is no part of an exchange`);
    if (serverSignature === undefined) throw mistrust("success that is out of turn, before the server's proof");
    checkProof(asMessage(data, "proof"), serverSignature);
    return undefined;
  }

  /** Answers server-first-message with client-final-message. */
  #answer(exchange: Exchange, serverFirst: string): Uint8Array {
    if (serverFirst.startsWith("m=")) throw mistrust("the server demands an extension that is not known");
    const match = SERVER_FIRST.exec(serverFirst);
    if (match === null) throw mistrust("the server's challenge is malformed");
    const [nonce, salt, iterations] = [match[1], fromBase64(match[2]), Number(match[3])];
    if (match[4].includes(",m=")) throw mistrust("the server demands an extension that is not known");
    if (salt === undefined) throw mistrust("the server's salt is not base64");
    if (!nonce.startsWith(exchange.nonce)) throw mistrust("the server's nonce does not begin with the client's");
    if (nonce === exchange.nonce) throw mistrust("the server's nonce adds nothing to the client's");
    if (iterations < MIN_ITERATIONS) throw mistrust(`fewer iterations than ${MIN_ITERATIONS} are not safe`);
    if (iterations > this.#maxIterations) throw mistrust(`more iterations than maxIterations, ${this.#maxIterations}`);

    const saltedPassword = pbkdf2Sync(this.#password, salt, iterations, this.#length, this.#digest);
    const clientKey = this.#hmac(saltedPassword, "Client Key");
    const storedKey = createHash(this.#digest).update(clientKey).digest();
    const serverKey = this.#hmac(saltedPassword, "Server Key");
    const clientFinalWithoutProof = `c=${CHANNEL_BINDING},r=${nonce}`;
    const authMessage = `${exchange.clientFirstBare},${serverFirst},${clientFinalWithoutProof}`;
    const clientSignature = this.#hmac(storedKey, authMessage);
    const proof = clientKey.map((byte, i) => byte ^ clientSignature[i]);
    const answer = new TextEncoder().encode(`${clientFinalWithoutProof},p=${Buffer.from(proof).toString("base64")}`);
    if (answer.length > MAX_DATA_LENGTH) throw mistrust("the server's nonce is too long to be answered");
    exchange.serverSignature = this.#hmac(serverKey, authMessage);
    return answer;
  }

  #hmac(key: Uint8Array, text: string): Buffer {
    return createHmac(this.#digest, key).update(text).digest();
  }
}

/** Throws unless server-final-message is the proof of one who knows the user's keys. */
function checkProof(serverFinal: string, expected: Buffer): void {
  const match = SERVER_FINAL.exec(serverFinal);
  if (match === null) throw mistrust("the server's proof is malformed");
  const proof = fromBase64(match[1]);
  if (proof?.length !== expected.length || !timingSafeEqual(proof, expected)) {
    throw mistrust("the server's proof is wrong: it does not know the user");
  }
}

const OPTIONS = ["username", "password", "hash", "maxIterations", "createNonce"];

function prepare(name: string, value: unknown): string {
  if (typeof value !== "string" || value === "") throw new TypeError(`${name} must be a string, not empty`);
  return saslprep(name, value);
}

/**
 * SCRAM for one user, to authenticate each connection of one client. User name and password are prepared with SASLprep
 * (RFC 4013). When the server asks for what is not safe, or does not prove that it knows the user, `handleAuth` throws
 * an Error that says why.
 *
 * @throws TypeError or RangeError that names an option that is wrong, and does not repeat a password
 */
export function scram(options: ScramOptions): Authenticator {
  // Without any, what is missing is named as it is of one.
  const given = (options as ScramOptions | null | undefined) ?? ({} as ScramOptions);
  for (const name of Object.keys(given)) {
    if (!OPTIONS.includes(name)) throw new TypeError(`unknown option "${name}" of SCRAM`);
  }
  const { hash = "SHA-256", maxIterations = DEFAULT_MAX_ITERATIONS } = given;
  const { createNonce = () => randomBytes(24).toString("base64") } = given;
  const username = prepare("username", given.username).replaceAll("=", "=3D").replaceAll(",", "=2C");
  const password = prepare("password", given.password);
  if (typeof (hash as unknown) !== "string" || !Object.hasOwn(DIGESTS, hash)) {
    throw new TypeError('hash must be "SHA-1", "SHA-256" or "SHA-512"');
  }
  if (typeof (maxIterations as unknown) !== "number") throw new TypeError("maxIterations must be a number");
  if (!Number.isInteger(maxIterations) || maxIterations < MIN_ITERATIONS || maxIterations > MOST_ITERATIONS) {
    throw new RangeError(`maxIterations must be an integer from ${MIN_ITERATIONS} to ${MOST_ITERATIONS}`);
  }
  if (typeof (createNonce as unknown) !== "function") throw new TypeError("createNonce must be a function");
  return new Scram(username, password, hash, maxIterations, createNonce);
}
