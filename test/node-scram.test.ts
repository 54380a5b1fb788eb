import { describe, expect, test } from "@jest/globals";
import { inspect } from "node:util";
import { scram } from "../hal/node-scram.js";
import type { Authenticator, ScramHash, ScramOptions } from "../hal/node-scram.js";
import { ScramServer } from "./support/scram-server.js";
import type { ScramReply, ScramServerOptions } from "./support/scram-server.js";

const SUCCESS = 0;
const CONTINUE = 0x18;
const NOT_AUTHORIZED = 0x87;

const text = (data: Uint8Array | undefined): string => new TextDecoder().decode(data);
const bytes = (message: string): Uint8Array => new TextEncoder().encode(message);

/** One exchange, to its end: the server's last reply. What the client throws comes out. */
function run(client: Authenticator, server: ScramServer): ScramReply {
  const answer = server.begin();
  let reply = answer(client.init());
  while (reply.reasonCode === CONTINUE) reply = answer(client.handleAuth(CONTINUE, reply.data));
  if (reply.reasonCode === SUCCESS) client.handleAuth(SUCCESS, reply.data);
  return reply;
}

const user = { username: "user", password: "pencil" };
const users = { user: "pencil" };

interface Vector {
  hash: ScramHash;
  clientNonce: string;
  serverNonce: string;
  salt: string;
  /** Of the client, and of the server. */
  proof: string;
  signature: string;
}

/**
 * SHA-512 has no vector in an RFC. This one is what Python 3.11 makes of the same user, password and formulas, which
 * also gives those of the RFCs:
 *
 *     salted = hashlib.pbkdf2_hmac("sha512", b"pencil", base64.b64decode(salt), 4096)
 *     H = lambda key, text: hmac.new(key, text.encode(), "sha512").digest()
 *     message = f"n=user,r={c},r={c}{s},s={salt},i=4096,c=biws,r={c}{s}"
 *     key = H(salted, "Client Key"); signature = H(hashlib.sha512(key).digest(), message)
 *     p = base64.b64encode(bytes(a ^ b for a, b in zip(key, signature)))
 *     v = base64.b64encode(H(H(salted, "Server Key"), message))
 */
const VECTORS: [name: string, vector: Vector][] = [
  ["SCRAM-SHA-1 [RFC 5802 5]", {
    hash: "SHA-1",
    clientNonce: "fyko+d2lbbFgONRv9qkxdawL",
    serverNonce: "3rfcNHYJY1ZVvWVs7j",
    salt: "QSXCR+Q6sek8bf92",
    proof: "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
    signature: "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
  }],
  ["SCRAM-SHA-256 [RFC 7677 3]", {
    hash: "SHA-256",
    clientNonce: "rOprNGfwEbeRWgbNEkqO",
    serverNonce: "%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
    salt: "W22ZaJ0SNY7soEsUEjb6gQ==",
    proof: "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
    signature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
  }],
  ["SCRAM-SHA-512", {
    hash: "SHA-512",
    clientNonce: "rOprNGfwEbeRWgbNEkqO",
    serverNonce: "02431b08-2f89-4bad-a4e6-80c0564ec865",
    salt: "Yin2FuHTt/M0kJWb0t9OI32n2VmOGi3m+JfjOvuDF88=",
    proof: "Hc5yec3NmCD7t+kFRw4/3yD6/F3SQHc7AVYschRja+Bc3sbdjlA0eH1OjJc0DD4ghn1tnXN5/Wr6qm9xmaHt4A==",
    signature: "BQuhnKHqYDwQWS5jAw4sZed+C9KFUALsbrq81bB0mh+bcUUbbMPNNmBIupnS2AmyyDnG5CTBQtkjJ9kyY4kzmw==",
  }],
];

describe.each(VECTORS)("The example of %s", (_name, { hash, clientNonce, serverNonce, salt, proof, signature }) => {
  const nonce = clientNonce + serverNonce;
  const serverFirst = `r=${nonce},s=${salt},i=4096`;
  const clientFinal = `c=biws,r=${nonce},p=${proof}`;

  test("is what the client says, and the server's proof is taken", () => {
    const client = scram({ ...user, hash, createNonce: () => clientNonce });
    expect(client.method).toBe(`SCRAM-${hash}`);
    expect(text(client.init())).toBe(`n,,n=user,r=${clientNonce}`);
    expect(text(client.handleAuth(CONTINUE, bytes(serverFirst)))).toBe(clientFinal);
    expect(client.handleAuth(SUCCESS, bytes(`v=${signature}`))).toBeUndefined();
  });

  test("is what the server of these tests says", () => {
    const options = { users, hash, salt: Buffer.from(salt, "base64"), createNonce: () => serverNonce };
    const server = new ScramServer(options);
    expect(server.method).toBe(`SCRAM-${hash}`);
    const answer = server.begin();
    const first = answer(bytes(`n,,n=user,r=${clientNonce}`));
    expect([first.reasonCode, text(first.data)]).toEqual([CONTINUE, serverFirst]);
    const final = answer(bytes(clientFinal));
    expect([final.reasonCode, text(final.data)]).toEqual([SUCCESS, `v=${signature}`]);
  });

  test("is refused by both when one byte of a proof is another", () => {
    const client = scram({ ...user, hash, createNonce: () => clientNonce });
    const server = new ScramServer({ users, hash, salt: Buffer.from(salt, "base64"), createNonce: () => serverNonce });
    for (let i = 0; i < Buffer.from(proof, "base64").length; i++) {
      const [p, v] = [proof, signature].map((right) => {
        const wrong = Buffer.from(right, "base64");
        wrong[i] ^= 1 << i % 8;
        return wrong.toString("base64");
      });
      const answer = server.begin();
      answer(client.init());
      expect(answer(bytes(`c=biws,r=${nonce},p=${p}`))).toEqual({
        reasonCode: NOT_AUTHORIZED,
        reasonString: "invalid-proof",
      });
      client.handleAuth(CONTINUE, bytes(serverFirst));
      expect(() => client.handleAuth(SUCCESS, bytes(`v=${v}`))).toThrow("SCRAM: the server's proof is wrong");
    }
  });
});

describe("An exchange", () => {
  test.each<ScramHash>(["SHA-1", "SHA-256", "SHA-512"])("with %s succeeds, each with a nonce of its own", (hash) => {
    const client = scram({ ...user, hash });
    const server = new ScramServer({ users, hash, iterations: 5000 });
    for (let i = 0; i < 3; i++) {
      const reply = run(client, server);
      expect([reply.reasonCode, text(reply.data).slice(0, 2)]).toEqual([SUCCESS, "v="]);
    }
    const nonces = Array.from({ length: 20 }, () => /^n,,n=user,r=([A-Za-z0-9+/]{32})$/.exec(text(client.init()))?.[1]);
    expect(nonces).not.toContain(undefined);
    expect(new Set(nonces).size).toBe(20);
  });

  test("is with SHA-256 unless another hash is given", () => {
    expect(scram(user).method).toBe("SCRAM-SHA-256");
    expect(scram({ ...user, hash: undefined, maxIterations: undefined, createNonce: undefined } as never).method)
      .toBe("SCRAM-SHA-256");
  });

  test.each([
    ["comma and equals sign", "a=b,c==,", "n=a=3Db=2Cc=3D=3D=2C,"],
    ["what looks like an escape", "=2C=3D", "n==3D2C=3D3D,"],
    ["characters that SASLprep maps", "\u00aa\u00ad\u2168\u00a0x", "n=aIX x,"],
    ["an emoji", "\u{1f600}", "n=\u{1f600},"],
  ])("takes a user name with %s [RFC 5802 5.1]", (_what, username, written) => {
    const client = scram({ username, password: "pencil" });
    expect(text(client.init())).toContain(`n,,${written}`);
    expect(run(client, new ScramServer({ users: { [username]: "pencil" } })).reasonCode).toBe(SUCCESS);
  });

  test("succeeds with a password that is the same only after SASLprep [RFC 5802 2.2]", () => {
    const server = new ScramServer({ users: { user: "IX \u00e9=,", other: "ix" } });
    const client = scram({ username: "user", password: "\u2168\u00a0e\u0301\u00ad=," });
    expect(run(client, server).reasonCode).toBe(SUCCESS);
  });

  test.each<[string, object, Partial<ScramServerOptions>, string]>([
    ["another password", { ...user, password: "Pencil" }, {}, "invalid-proof"],
    ["a user it does not know", { ...user, username: "User" }, {}, "unknown-user"],
    ["another hash", { ...user, hash: "SHA-512" }, {}, "invalid-proof"],
  ])("is refused by the server with %s", (_what, options, settings, reasonString) => {
    const client = scram(options as ScramOptions);
    expect(run(client, new ScramServer({ users, ...settings }))).toEqual({ reasonCode: NOT_AUTHORIZED, reasonString });
  });

  test.each([
    ["channel-bindings-dont-match", (message: string) => message.replace("c=biws", "c=eSws")],
    ["other-error", (message: string) => message.replace(",p=", "x,p=")],
    ["invalid-encoding", (message: string) => message.replace(/,p=.*/, "")],
    ["invalid-proof", (message: string) => message.replace(/,p=.*/, ",p=AAAA")],
  ])("is refused by the server, %s, when the client's last word is another", (reasonString, alter) => {
    const client = scram(user);
    const answer = new ScramServer({ users }).begin();
    const final = text(client.handleAuth(CONTINUE, answer(client.init()).data));
    expect(answer(bytes(alter(final)))).toEqual({ reasonCode: NOT_AUTHORIZED, reasonString });
    expect(answer(bytes(final))).toEqual({ reasonCode: NOT_AUTHORIZED, reasonString: "other-error" });
  });

  test("reads data during the call only", () => {
    const client = scram(user);
    const answer = new ScramServer({ users }).begin();
    const lend = (reply: ScramReply): Uint8Array | undefined => {
      const data = new Uint8Array([0xee, ...reply.data!, 0xee]);
      const result = client.handleAuth(reply.reasonCode, data.subarray(1, -1));
      data.fill(0xff);
      return result;
    };
    const reply = answer(lend(answer(client.init())));
    expect(reply.reasonCode).toBe(SUCCESS);
    expect(lend(reply)).toBeUndefined();
  });
});

describe("A server that is not to be trusted is refused", () => {
  test.each<[string, Partial<ScramServerOptions>, string]>([
    ["forges its proof", { forgesProof: true }, "the server's proof is wrong"],
    ["sends no proof", { sendsNoProof: true }, "the server's proof is missing"],
    ["adds nothing to the nonce", { nonce: "echoed" }, "the server's nonce adds nothing to the client's"],
    ["asks for no iterations", { iterations: 0 }, "the server's challenge is malformed"],
    ["asks for 1 iteration", { iterations: 1 }, "fewer iterations than 4096 are not safe"],
    ["asks for 4095 iterations", { iterations: 4095 }, "fewer iterations than 4096 are not safe"],
    ["asks for more iterations", { iterations: 100001 }, "more iterations than maxIterations, 100000"],
  ])("when it %s", (_what, settings, message) => {
    const client = scram(user);
    expect(() => run(client, new ScramServer({ users, ...settings }))).toThrow(`SCRAM: ${message}`);
    // Nothing of it is left.
    expect(() => client.handleAuth(SUCCESS, bytes("v=AAAA"))).toThrow("SCRAM: success that is out of turn");
    expect(run(client, new ScramServer({ users })).reasonCode).toBe(SUCCESS);
  });

  test("when it repeats the nonce of an earlier exchange", () => {
    const server = new ScramServer({ users, nonce: "repeated" });
    const client = scram(user);
    expect(run(client, server).reasonCode).toBe(SUCCESS);
    expect(() => run(client, server)).toThrow("SCRAM: the server's nonce does not begin with the client's");
  });

  test("when it repeats its proof of an earlier exchange", () => {
    const server = new ScramServer({ users, salt: bytes("salt") });
    const client = scram(user);
    const { data } = run(client, server);
    client.handleAuth(CONTINUE, server.begin()(client.init()).data);
    expect(() => client.handleAuth(SUCCESS, data)).toThrow("SCRAM: the server's proof is wrong");
  });

  const R = "r=abcX";
  const SALT = "s=c2FsdA==";
  test.each<[string, string, string | Uint8Array | undefined]>([
    ["no challenge", "the server's challenge is missing", undefined],
    ["an empty challenge", "the server's challenge is missing", ""],
    ["a challenge that is not UTF-8", "the server's challenge is not UTF-8", Uint8Array.of(0x72, 0x3d, 0xff)],
    ["a byte order mark", "the server's challenge is malformed", `\ufeff${R},${SALT},i=4096`],
    ["an error", "the server refuses: unknown-user", "e=unknown-user"],
    ["an error of its own, which is not shown", "the server refuses: it gives no reason", "e=\u001b[31m"],
    ["a mandatory extension", "the server demands an extension", `m=x,${R},${SALT},i=4096`],
    ["a mandatory extension at the end", "the server demands an extension", `${R},${SALT},i=4096,a=b,m=x`],
    ["a nonce of its own", "the server's nonce does not begin with", `r=abdX,${SALT},i=4096`],
    ["a shorter nonce", "the server's nonce does not begin with", `r=ab,${SALT},i=4096`],
    ["a nonce in other letters", "the server's nonce does not begin with", `r=ABCX,${SALT},i=4096`],
    ["the client's nonce alone", "the server's nonce adds nothing", `r=abc,${SALT},i=4096`],
    ["a nonce with a space", "the server's challenge is malformed", `r=abc X,${SALT},i=4096`],
    ["a nonce that is not ASCII", "the server's challenge is malformed", `r=abc\u00e9,${SALT},i=4096`],
    ["no nonce", "the server's challenge is malformed", `${SALT},i=4096`],
    ["no salt", "the server's challenge is malformed", `${R},i=4096`],
    ["an empty salt", "the server's challenge is malformed", `${R},s=,i=4096`],
    ["a salt without its padding", "the server's salt is not base64", `${R},s=c2FsdA,i=4096`],
    ["a salt with other characters", "the server's salt is not base64", `${R},s=c2F*dA==,i=4096`],
    ["a salt of base64url", "the server's salt is not base64", `${R},s=c2-_dA==,i=4096`],
    ["a salt with bits beyond its end", "the server's salt is not base64", `${R},s=c2FsdB==,i=4096`],
    ["padding alone", "the server's salt is not base64", `${R},s====,i=4096`],
    ["no iterations", "the server's challenge is malformed", `${R},${SALT}`],
    ["iterations with a zero before", "the server's challenge is malformed", `${R},${SALT},i=04096`],
    ["iterations with a sign", "the server's challenge is malformed", `${R},${SALT},i=+4096`],
    ["iterations in another notation", "the server's challenge is malformed", `${R},${SALT},i=5e3`],
    ["iterations beyond all numbers", "more iterations than maxIterations", `${R},${SALT},i=${"9".repeat(400)}`],
    ["another order", "the server's challenge is malformed", `${SALT},${R},i=4096`],
    ["an extension without a value", "the server's challenge is malformed", `${R},${SALT},i=4096,a=`],
    ["a comma at the end", "the server's challenge is malformed", `${R},${SALT},i=4096,`],
    ["a line feed at the end", "the server's challenge is malformed", `${R},${SALT},i=4096\n`],
    ["a nonce too long to be answered", "the server's nonce is too long", `r=abc${"X".repeat(65500)},s=c2Fs,i=4096`],
    ["its proof already", "the server's challenge is malformed", "v=c2FsdA=="],
  ])("when it challenges with %s [RFC 5802 7]", (_what, message, challenge) => {
    const client = scram({ ...user, createNonce: () => "abc" });
    client.init();
    const data = typeof challenge === "string" ? bytes(challenge) : challenge;
    expect(() => client.handleAuth(CONTINUE, data)).toThrow(`SCRAM: ${message}`);
    const proper = bytes(`${R},${SALT},i=4096`);
    expect(() => client.handleAuth(CONTINUE, proper)).toThrow("SCRAM: a challenge that is out of turn");
    client.init();
    expect(text(client.handleAuth(CONTINUE, proper))).toMatch(/^c=biws,r=abcX,p=/);
  });

  test.each<[string, string, (proof: string) => string | undefined]>([
    ["no proof", "the server's proof is missing", () => undefined],
    ["an empty proof", "the server's proof is missing", () => ""],
    ["the proof of another", "the server's proof is wrong", () => `v=${Buffer.alloc(32).toString("base64")}`],
    ["half of its proof", "the server's proof is wrong", (proof) => `v=${proof.slice(2, 22)}`],
    ["its proof and more", "the server's proof is wrong", (proof) => `v=${"AAAA".repeat(11) + proof.slice(2)}`],
    ["no base64", "the server's proof is wrong", (proof) => proof.replace("=", "=*").replace(/=$/, "")],
    ["a proof with nothing in it", "the server's proof is malformed", () => "v="],
    ["its proof in capitals", "the server's proof is malformed", (proof) => proof.replace("v", "V")],
    ["an extension before its proof", "the server's proof is malformed", (proof) => `x=y,${proof}`],
    ["a challenge", "the server's proof is malformed", () => "r=abcX,s=c2FsdA==,i=4096"],
    ["an error", "the server refuses: invalid-proof", () => "e=invalid-proof"],
    ["an error and its proof", "the server refuses: other-error", (proof) => `e=other-error,${proof}`],
  ])("when it says success with %s [RFC 5802 5]", (_what, message, alter) => {
    const client = scram(user);
    const answer = new ScramServer({ users }).begin();
    const { data } = answer(client.handleAuth(CONTINUE, answer(client.init()).data));
    const altered = alter(text(data));
    expect(() => client.handleAuth(SUCCESS, altered === undefined ? undefined : bytes(altered)))
      .toThrow(`SCRAM: ${message}`);
    // The right one comes too late.
    expect(() => client.handleAuth(SUCCESS, data)).toThrow("SCRAM: success that is out of turn");
  });

  test("when it says success at once, whatever with [RFC 5802 5]", () => {
    const client = scram(user);
    for (const data of [undefined, bytes("v=AAAA"), bytes("")]) {
      client.init();
      expect(() => client.handleAuth(SUCCESS, data)).toThrow("SCRAM: success that is out of turn, before the server's");
    }
  });

  test("when it challenges twice", () => {
    const client = scram(user);
    const answer = new ScramServer({ users }).begin();
    const { data } = answer(client.init());
    const reply = answer(client.handleAuth(CONTINUE, data));
    expect(() => client.handleAuth(CONTINUE, data)).toThrow("SCRAM: a challenge that is out of turn");
    expect(() => client.handleAuth(SUCCESS, reply.data)).toThrow("SCRAM: success that is out of turn");
  });

  test("when it speaks before there is an exchange, or after its end", () => {
    const client = scram(user);
    const outOfTurn = (): void => {
      const challenge = bytes("r=abcX,s=c2FsdA==,i=4096");
      expect(() => client.handleAuth(CONTINUE, challenge)).toThrow("a challenge that is out of turn");
      expect(() => client.handleAuth(SUCCESS, bytes("v=AAAA"))).toThrow("success that is out of turn");
    };
    outOfTurn();
    const { data } = run(client, new ScramServer({ users }));
    outOfTurn();
    expect(() => client.handleAuth(SUCCESS, data)).toThrow("success that is out of turn");
  });

  test("when its reason code is no part of an exchange", () => {
    const client = scram(user);
    client.init();
    expect(() => client.handleAuth(0x19, undefined)).toThrow("SCRAM: reason code 25 is no part of an exchange");
    expect(() => client.handleAuth(SUCCESS, undefined)).toThrow("SCRAM: success that is out of turn");
  });

  test("though not for extensions that it does not demand [RFC 5802 5.1]", () => {
    const client = scram({ ...user, createNonce: () => "abc" });
    client.init();
    const challenge = "r=abcX,s=c2FsdA==,i=4096,a=b,Z=\u20ac=";
    const without = "r=abcX,s=c2FsdA==,i=4096";
    const answer = text(client.handleAuth(CONTINUE, bytes(challenge)));
    expect(answer).toMatch(/^c=biws,r=abcX,p=/);
    client.init();
    // They are part of what both prove.
    expect(text(client.handleAuth(CONTINUE, bytes(without)))).not.toBe(answer);

    const server = new ScramServer({ users }).begin();
    const reply = server(client.handleAuth(CONTINUE, server(client.init()).data));
    expect(client.handleAuth(SUCCESS, bytes(`${text(reply.data)},a=b`))).toBeUndefined();
  });
});

describe("An exchange after one that broke off", () => {
  test.each<[string, (client: Authenticator, server: ScramServer) => unknown]>([
    ["after the client's first message", (client) => client.init()],
    ["after the challenge", (client, server) => client.handleAuth(CONTINUE, server.begin()(client.init()).data)],
    ["with a refusal", (client) => run(client, new ScramServer({ users: { user: "another" } }))],
  ])("%s succeeds", (_when, breakOff) => {
    const server = new ScramServer({ users });
    const client = scram(user);
    breakOff(client, server);
    expect(run(client, server).reasonCode).toBe(SUCCESS);
  });

  test("does not take what belongs to that one", () => {
    const client = scram(user);
    const answer = new ScramServer({ users }).begin();
    const challenge = answer(client.init());
    const proof = answer(client.handleAuth(CONTINUE, challenge.data));
    expect(proof.reasonCode).toBe(SUCCESS);
    client.init();
    expect(() => client.handleAuth(SUCCESS, proof.data)).toThrow("SCRAM: success that is out of turn");
    client.init();
    expect(() => client.handleAuth(CONTINUE, challenge.data)).toThrow("nonce does not begin with the client's");
  });
});

describe("Options", () => {
  test.each<[string, object]>([
    ["username must be a string, not empty", { username: undefined }],
    ["username must be a string, not empty", { username: "" }],
    ["username must be a string, not empty", { username: 5 }],
    ["username must have a character", { username: "\u00ad" }],
    ["username must not have a character that SASLprep prohibits", { username: "a\0" }],
    ["username must begin and end from right to left", { username: "\u05d01" }],
    ["password must be a string, not empty", { password: undefined }],
    ["password must be a string, not empty", { password: "" }],
    ["password must be a string, not empty", { password: bytes("S3CRET") }],
    ["password must have a character", { password: "\u200d" }],
    ["password must not have a character that SASLprep prohibits", { password: "S3CRET\u0007" }],
    ["password must not have a character that SASLprep prohibits", { password: "S3CRET\ud800" }],
    ["password must begin and end from right to left", { password: "S3CRET\u0627" }],
    ['hash must be "SHA-1", "SHA-256" or "SHA-512"', { hash: "sha256" }],
    ['hash must be "SHA-1", "SHA-256" or "SHA-512"', { hash: "MD5" }],
    ['hash must be "SHA-1", "SHA-256" or "SHA-512"', { hash: "toString" }],
    ['hash must be "SHA-1", "SHA-256" or "SHA-512"', { hash: ["SHA-1"] }],
    ['hash must be "SHA-1", "SHA-256" or "SHA-512"', { hash: null }],
    ["maxIterations must be a number", { maxIterations: "5000" }],
    ["maxIterations must be a number", { maxIterations: null }],
    ["createNonce must be a function", { createNonce: "abc" }],
    ['unknown option "iterations" of SCRAM', { iterations: 4096 }],
  ])("that are wrong are a TypeError: %s", (message, options) => {
    const make = (): unknown => scram({ ...user, ...options });
    expect(make).toThrow(TypeError);
    expect(make).toThrow(message);
    expect(make).toThrow(/^(?!.*S3CRET)[^\n]+$/);
  });

  test.each([undefined, null, 5])("that are none at all are a TypeError, too: %p", (options) => {
    expect(() => scram(options as never)).toThrow(new TypeError("username must be a string, not empty"));
  });

  test.each([4095, 0, -1, 4096.5, NaN, Infinity, 2 ** 31])("maxIterations of %d is a RangeError", (maxIterations) => {
    expect(() => scram({ ...user, maxIterations })).toThrow(RangeError);
    expect(() => scram({ ...user, maxIterations })).toThrow("maxIterations must be an integer from 4096 to 2147483647");
  });

  test.each([
    [4096, 4096, "success"], [4096, 4097, "refused"], [100001, 100001, "success"], [undefined, 100000, "success"],
    [2 ** 31 - 1, 5000, "success"],
  ])("maxIterations of %p is the most: %d iterations, %s", (maxIterations, iterations, outcome) => {
    const client = scram(maxIterations === undefined ? user : { ...user, maxIterations });
    const server = new ScramServer({ users, iterations });
    if (outcome === "success") expect(run(client, server).reasonCode).toBe(SUCCESS);
    else expect(() => run(client, server)).toThrow(`SCRAM: more iterations than maxIterations, ${maxIterations}`);
  });

  test.each(["", "a,b", "a b", "\u00e9", "a\n", 5, undefined])("createNonce must not return %p", (nonce) => {
    const nonces = ["abc"];
    const client = scram({ ...user, createNonce: () => (nonces.length > 0 ? nonces.pop() : nonce) as string });
    client.init();
    expect(() => client.init()).toThrow(TypeError);
    expect(() => client.init()).toThrow("createNonce must return printable ASCII without a comma");
    // Nothing is left of the exchange before it.
    expect(() => client.handleAuth(CONTINUE, bytes("r=abcX,s=c2FsdA==,i=4096"))).toThrow("a challenge that is out of");
  });

  test("createNonce may return any other printable ASCII", () => {
    const nonce = Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)).join("").replace(",", "");
    const client = scram({ ...user, createNonce: () => nonce });
    expect(run(client, new ScramServer({ users })).reasonCode).toBe(SUCCESS);
  });

  test("a username that Authentication Data cannot hold is a RangeError of init [MQTT 5 1.5.6]", () => {
    const longest = "u".repeat(65535 - "n,,n=,r=".length - 32);
    expect(scram({ username: longest, password: "p" }).init()).toHaveLength(65535);
    expect(() => scram({ username: longest + "u", password: "p" }).init()).toThrow(RangeError);
    expect(() => scram({ username: longest + "u", password: "p" }).init()).toThrow("username is too long");
  });

  test("are not shown with the authenticator", () => {
    const client = scram({ username: "user", password: "S3CRET" });
    client.init();
    expect(inspect(client, { depth: 9, showHidden: true }) + JSON.stringify(client)).not.toContain("S3CRET");
  });
});
