/** NodeMCU's `crypto` on the Moddable SDK, as far as the examples use it. It is "#hash" in firmware. */
import { Digest } from "crypt";

/** A digest under way, as `crypto.new_hash()` makes it. */
export class Hash {
  private readonly _digest: Digest;

  constructor(algorithm: string) {
    this._digest = new Digest(algorithm);
  }

  /** Adds bytes. */
  update(bytes: Uint8Array): void {
    this._digest.write(bytes);
  }

  /** The digest of all bytes that were added. Once. */
  finalize(): Uint8Array {
    return new Uint8Array(this._digest.close());
  }
}

export const crypto = Object.freeze({
  /** @param algorithm "SHA256", and what else the platform has */
  new_hash: (algorithm: string): Hash => new Hash(algorithm),
});
