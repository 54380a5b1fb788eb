/** The files of TLS options: read and checked before anything is connected, each error with the option's name. */
import { createPrivateKey, X509Certificate } from "node:crypto";
import type { KeyObject } from "node:crypto";
import { readFileSync } from "node:fs";
import { Failure, messageOf, quote } from "./failure.js";

/** The file that `option` names. */
export function readOptionFile(option: string, path: string): Buffer {
  try {
    return readFileSync(path);
  } catch (error) {
    throw new Failure(`cannot read the file of ${option} (${messageOf(error)})`);
  }
}

/** The certificates of a PEM file, one text each. */
export function readCertificates(option: string, path: string): string[] {
  const text = readOptionFile(option, path).toString("latin1");
  const blocks = text.match(/-----BEGIN (?:TRUSTED |X509 )?CERTIFICATE-----.*?-----END [A-Z0-9 ]*-----/gs) ?? [];
  if (blocks.length === 0) throw new Failure(`the file of ${option} has no certificate in PEM: ${quote(path)}`);
  for (const block of blocks) {
    try {
      new X509Certificate(block);
    } catch {
      throw new Failure(`the file of ${option} has a certificate that cannot be read: ${quote(path)}`);
    }
  }
  return blocks;
}

/** The private key in the file of `--key`, as PEM, that belongs to the first of `certificates`. */
export function readKey(path: string, passphrase: string | undefined, certificates: string[]): string {
  const text = readOptionFile("--key", path).toString("latin1");
  let key: KeyObject;
  try {
    key = createPrivateKey(passphrase === undefined ? text : { key: text, passphrase });
  } catch (error) {
    const isLocked = /passphrase|interrupted or cancelled/i.test(messageOf(error));
    if (isLocked && passphrase === undefined) {
      throw new Failure("the file of --key is encrypted: give --passphrase, or MCU_MQTT_PASSPHRASE in the environment");
    }
    if (text.includes("ENCRYPTED")) throw new Failure("--passphrase does not open the file of --key");
    throw new Failure(`the file of --key is not a private key in PEM: ${quote(path)}`);
  }
  if (!new X509Certificate(certificates[0]).checkPrivateKey(key)) {
    throw new Failure("--key does not belong to the certificate of --cert");
  }
  return text;
}
