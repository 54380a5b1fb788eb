/** NodeMCU's `crypto` on Node, as far as the examples use it. They import it from "#hash". */
import { createHash } from "node:crypto";

/** A digest under way, as `crypto.new_hash()` makes it. */
export interface Hash {
  /** Adds bytes. */
  update(bytes: Uint8Array): void;
  /** The digest of all bytes that were added. Once. */
  finalize(): Uint8Array;
}

export const crypto = {
  /** @param algorithm "SHA256", and what else the platform has */
  new_hash(algorithm: string): Hash {
    const hash = createHash(algorithm);
    return { update: (bytes) => void hash.update(bytes), finalize: () => hash.digest() };
  },
};
