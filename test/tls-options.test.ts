import { describe, expect, test } from "@jest/globals";
import { createPrivateKey, X509Certificate } from "node:crypto";
import { checkTlsOptions } from "../hal/ecma419-tls.js";
import { tlsOptions as boardOptions } from "../hal/ecma419-tls-options.js";
import hal from "../hal/node.js";
import { tlsOptions as nodeOptions } from "../hal/node-tls-options.js";
import type { CommonTlsOptions } from "../hal/node-tls-options.js";
import { certificates } from "./support/certificates.js";

const pki = certificates();
const der = (pem: string): Uint8Array => new Uint8Array(new X509Certificate(pem).raw);
const keyDer = new Uint8Array(createPrivateKey(pki.client.key).export({ type: "pkcs8", format: "der" }));
const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A certificate in each form that it may have. */
const forms = (pem: string): [string, string | Uint8Array | ArrayBuffer][] => [
  ["PEM text", pem],
  ["PEM text of Windows", pem.replaceAll("\n", "\r\n")],
  ["PEM text with a note before it", `a note\n${pem}`],
  ["bytes of PEM", bytes(pem)],
  ["a buffer of PEM", bytes(pem).buffer as ArrayBuffer],
  ["DER", der(pem)],
  ["a buffer of DER", der(pem).buffer as ArrayBuffer],
];

describe("tlsOptions for boards", () => {
  test.each(forms(pki.ca.cert))("takes an authority as %s, and makes DER of it", (_form, ca) => {
    const secure = boardOptions({ ca });
    expect(Buffer.compare(secure.certificate as Uint8Array, der(pki.ca.cert))).toBe(0);
    expect(() => checkTlsOptions(secure as Record<string, unknown>)).not.toThrow();
    expect(boardOptions({ ca: [ca] })).toEqual(secure);
  });

  test("takes the client's certificates, in one text or several, and its key", () => {
    const chain = [der(pki.client.cert), der(pki.ca.cert)];
    for (const cert of [pki.client.cert + pki.ca.cert, [pki.client.cert, der(pki.ca.cert)]]) {
      for (const key of [pki.client.key, keyDer]) {
        const secure = boardOptions({ cert, key });
        expect(secure).toEqual({ clientCertificates: chain, clientKey: keyDer });
        expect(() => checkTlsOptions(secure as Record<string, unknown>)).not.toThrow();
      }
    }
  });

  test("decodes base64 of any length", () => {
    for (let length = 1; length < 200; length++) {
      const block = Uint8Array.from({ length }, (_, i) => (i === 0 ? 0x30 : (i * 151 + length) & 255));
      const lines = Buffer.from(block).toString("base64").replace(/.{64}/g, "$&\n");
      const { certificate } = boardOptions({ ca: `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----` });
      expect(certificate).toEqual(block);
    }
  });

  test("has the SDK's names for the rest, and leaves out what is undefined", () => {
    const given: CommonTlsOptions = { servername: "b", alpn: ["mqtt"], verify: false, minVersion: "TLSv1.2" };
    const expected = { serverName: "b", applicationLayerProtocolNegotiation: ["mqtt"], verify: false };
    expect(boardOptions({ ...given, maxVersion: "TLSv1.3" })).toEqual(expected);
    expect(boardOptions({ alpn: "mqtt" })).toEqual({ applicationLayerProtocolNegotiation: "mqtt" });
    expect(boardOptions({})).toEqual({});
    expect(Object.keys(boardOptions({ ca: undefined, passphrase: undefined } as object))).toEqual([]);
  });

  test.each<[string, object]>([
    ["passphrase must be left out: the SDK opens no encrypted key", { passphrase: "S3CRET" }],
    ["key must be a key that is not encrypted", { key: pki.client.key.replaceAll("PRIVATE", "ENCRYPTED PRIVATE") }],
    ['key must be PKCS8, which is a "PRIVATE KEY" in PEM', { key: pki.client.key.replaceAll("PRIVATE", "EC PRIVATE") }],
    ['minVersion must be "TLSv1.2", which is all that the SDK speaks', { minVersion: "TLSv1.3" }],
    ["maxVersion must be", { maxVersion: "TLSv1.1" }],
    ["ca must be one alone: the SDK takes one authority", { ca: pki.ca.cert + pki.otherCa.cert }],
    ["key must be one alone", { key: [keyDer, keyDer] }],
    ["ca must be PEM or DER, and is damaged", { ca: pki.ca.cert.replace("M", "!") }],
    ["ca must be PEM or DER, and is damaged", { ca: pki.ca.cert.replace(/-----END.*/, "") }],
    ["ca must be PEM or DER, and is damaged", { ca: pki.ca.cert.replace(/\n.*\n-----END/, "=A\n-----END") }],
  ])("says what the SDK cannot do, or what is damaged: %s", (message, options) => {
    expect(() => boardOptions(options)).toThrow(TypeError);
    expect(() => boardOptions(options)).toThrow(message);
    expect(() => boardOptions(options)).toThrow(/^(?!.*S3CRET)[^\n]+$/);
  });
});

describe("tlsOptions for Node", () => {
  test.each(forms(pki.ca.cert))("takes an authority as %s, and makes PEM of it", (_form, ca) => {
    const secure = nodeOptions({ ca });
    hal.checkSecure(secure);
    expect(new X509Certificate((secure.ca as string[])[0]).raw).toEqual(Buffer.from(der(pki.ca.cert)));
    expect(nodeOptions({ ca: [ca] })).toEqual(secure);
  });

  test("takes the client's certificates and its key, encrypted too", () => {
    const cipher = { type: "pkcs8", format: "pem", cipher: "aes-256-cbc", passphrase: "open sesame" } as const;
    const encrypted = createPrivateKey(pki.client.key).export(cipher).toString();
    for (const [key, passphrase] of [[pki.client.key], [keyDer], [encrypted, "open sesame"]]) {
      const cert = [pki.client.cert, der(pki.ca.cert)];
      const secure = nodeOptions({ cert, key, ...(passphrase && { passphrase }) } as CommonTlsOptions);
      hal.checkSecure(secure);
      expect(Object.keys(secure)).toEqual(["cert", "key", ...(passphrase ? ["passphrase"] : [])]);
    }
  });

  test("has Node's names for the rest, and leaves out what is undefined", () => {
    const given: CommonTlsOptions = { servername: "b", alpn: "mqtt", verify: false, minVersion: "TLSv1.2" };
    const expected = { servername: "b", ALPNProtocols: ["mqtt"], rejectUnauthorized: false, minVersion: "TLSv1.2" };
    expect(nodeOptions({ ...given, maxVersion: "TLSv1.3" })).toEqual({ ...expected, maxVersion: "TLSv1.3" });
    expect(nodeOptions({})).toEqual({});
    expect(Object.keys(nodeOptions({ ca: undefined } as object))).toEqual([]);
  });
});

describe.each([["boards", boardOptions], ["Node", nodeOptions]])("tlsOptions for %s", (_platform, tlsOptions) => {
  test("verifies unless it is told not to", () => {
    expect(tlsOptions({ ca: pki.ca.cert })).not.toHaveProperty("verify");
    expect(tlsOptions({ ca: pki.ca.cert })).not.toHaveProperty("rejectUnauthorized");
    for (const verify of [0, null, "no"]) {
      expect(() => tlsOptions({ verify } as object)).toThrow("verify must be a boolean");
    }
  });

  test.each<[string, object]>([
    ['unknown option "certificate" of TLS', { certificate: pki.ca.cert }],
    ['unknown option "rejectUnauthorized" of TLS', { rejectUnauthorized: false }],
    ['unknown option "constructor" of TLS', { constructor: 1 }],
    ["ca must be PEM text, or bytes of PEM or DER", { ca: "ca.pem" }],
    ["ca must be PEM text, or bytes of PEM or DER", { ca: new Uint8Array(5) }],
    ["ca must be PEM text, or bytes of PEM or DER", { ca: [] }],
    ["ca must be PEM text, or bytes of PEM or DER", { ca: [pki.ca.cert, 5] }],
    ["cert must be PEM text, or bytes of PEM or DER", { cert: true }],
    ["cert must be PEM text, or bytes of PEM or DER", { cert: null }],
    ["key must be PEM text, or bytes of PEM or DER", { key: "S3CRET" }],
    ["servername must be a string", { servername: "" }],
    ["alpn must be a string", { alpn: [] }],
    ["alpn must be a string", { alpn: [""] }],
    ["alpn must be a string", { alpn: 5 }],
    ["minVersion must be", { minVersion: "TLSv1" }],
    ["maxVersion must be", { maxVersion: 1.2 }],
  ])("throws a TypeError by name: %s", (message, options) => {
    expect(() => tlsOptions(options)).toThrow(TypeError);
    expect(() => tlsOptions(options)).toThrow(message);
    expect(() => tlsOptions(options)).toThrow(/^(?!.*S3CRET)/);
  });
});
