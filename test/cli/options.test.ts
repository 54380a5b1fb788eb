/** The command line before anything is connected: what is right means what it should, what is wrong is named. */
import { generateKeyPairSync } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { hostname, networkInterfaces, tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, describe, expect, it } from "@jest/globals";
import { readArguments } from "../../cli/src/arguments.js";
import type { CommandName, Values } from "../../cli/src/arguments.js";
import { Failure } from "../../cli/src/failure.js";
import { HELP } from "../../cli/src/help.js";
import { readConnection, readUrlOf } from "../../cli/src/options.js";
import type { ConnectionOptions } from "../../cli/src/options.js";
import { readPubOptions } from "../../cli/src/pub.js";
import type { PubOptions } from "../../cli/src/pub.js";
import { readSubOptions } from "../../cli/src/sub.js";
import type { SubOptions } from "../../cli/src/sub.js";
import { certificates, writeCertificates } from "../support/certificates.js";

const SECRET = "hunter2";

let folder = "";

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "mcu-mqtt-options-"));
  writeCertificates(folder);
  writeFileSync(join(folder, "password"), `${SECRET}\n`);
  writeFileSync(join(folder, "bad-password"), Buffer.from([0xff]));
  writeFileSync(join(folder, "text"), "no certificate");
  const broken = certificates().ca.cert.replace(/\n[A-Za-z0-9+/]{10}/, "\nAAAAAAAAAA");
  writeFileSync(join(folder, "broken.crt"), broken);
  writeFileSync(join(folder, "both.crt"), certificates().otherCa.cert + certificates().ca.cert);
  const cipher = { type: "pkcs8", format: "pem", cipher: "aes-128-cbc", passphrase: SECRET } as const;
  const { privateKey } = generateKeyPairSync("ec", { namedCurve: "P-256" });
  writeFileSync(join(folder, "locked.key"), privateKey.export(cipher));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));
afterEach(() => {
  for (const name of Object.keys(process.env)) if (name.startsWith("MCU_MQTT_")) delete process.env[name];
});

/** As the program reads it; `@name` is a file of the folder. */
function read(command: CommandName, line: string | string[]): ConnectionOptions & Partial<PubOptions & SubOptions> {
  const args = (typeof line === "string" ? line.split(" ").filter((word) => word !== "") : line);
  const values: Values = readArguments(command, args.map((arg) => arg.replace(/^@/, `${folder}/`)));
  const url = readUrlOf(values);
  const own = command === "pub" ? readPubOptions(values, url) : command === "sub" ? readSubOptions(values, url) : {};
  return { ...own, ...readConnection(values, url) };
}

function messageOf(command: CommandName, line: string | string[]): string {
  try {
    read(command, line);
  } catch (error) {
    if (error instanceof Failure) return error.message;
    throw error;
  }
  throw new Error("nothing was wrong");
}

describe("without options", () => {
  it("connects to port 1883 of this machine with a client identifier of its own", () => {
    const { clientId, ...rest } = read("connect", "");
    expect(clientId).toMatch(/^mcu-mqtt-[0-9A-Za-z.-]+-[0-9a-f]{20}$/);
    expect(clientId).toContain(hostname().slice(0, 5));
    expect(read("connect", "").clientId).not.toBe(clientId);
    expect(rest).toEqual({
      host: "localhost",
      port: 1883,
      keepAliveSeconds: 300,
      isPersistent: false,
      maxInflight: 16,
      reconnects: 0,
      reconnectSeconds: 1,
      isTraced: false,
      isQuiet: false,
      version: "v5",
      properties: {},
      sessionExpirySeconds: undefined,
      authenticator: undefined,
      localAddress: undefined,
      tls: undefined,
      webSocket: undefined,
      username: undefined,
      password: undefined,
      will: undefined,
      timeoutSeconds: undefined,
    });
  });
});

describe("an option", () => {
  it.each([
    ["-h example.org -p 1884 -u me -P pass -C id -k 10 -W 1.5", "--host example.org --port=1884 --username=me " +
      "--password pass --clientid id --keepalive=10 --timeout 1.5"],
    ["-t a -q 1 -m x -r", "--topic a --qos=1 --payload x --retain"],
  ])("has a letter and a name: %s", (short, long) => {
    const command = short.includes("-t") ? "pub" : "connect";
    const options = { ...read(command, short), clientId: "" };
    expect(options).toEqual({ ...read(command, long), clientId: "" });
    expect(options).not.toEqual({ ...read(command, command === "pub" ? "-t a -m y" : ""), clientId: "" });
  });

  it.each([
    ["-r", true], ["--retain", true], ["--retain=true", true], ["--retain true", true], ["-r true", true],
    ["-r 1", true], ["--retain=1", true],
    ["", false], ["--retain=false", false], ["--retain false", false], ["-r 0", false],
  ])("that is a switch may have a value: %j", (line, expected) => {
    expect(read("pub", `${line} -t a -m x`).isRetained).toBe(expected);
    expect(read("pub", `-t a -m x ${line}`).isRetained).toBe(expected);
  });

  it("that is a switch leaves alone what follows it and is no value", () => {
    expect(read("pub", "-m x -r mqtt://host/a")).toMatchObject({ isRetained: true, topics: ["a"], host: "host" });
    expect(read("pub", "--enable-ssl -t true -m 1").topics).toEqual(["true"]);
  });

  it("may follow others behind one dash", () => {
    expect(read("sub", "-vNR -ta")).toMatchObject({ hasNewline: false, ignoresRetained: true, filters: ["a"] });
    expect(read("sub", "-Rt a")).toMatchObject({ ignoresRetained: true, filters: ["a"] });
    expect(read("pub", "-t a -rm x")).toMatchObject({ isRetained: true, payload: Buffer.from("x") });
    expect(read("pub", "-t a -lr false")).toMatchObject({ isRetained: false, payload: "stdin-lines" });
  });

  it("may have a value that looks like an option", () => {
    expect(read("pub", ["-t", "-r", "--payload", "--retain"])).toMatchObject({
      topics: ["-r"],
      payload: Buffer.from("--retain"),
      isRetained: false,
    });
    expect(read("pub", ["-t", "a", "--payload=-x"]).payload).toEqual(Buffer.from("-x"));
  });

  it.each(["pub", "sub", "connect"] as const)("of %s is in its help, which fits a screen", (command) => {
    const lines = HELP[command].split("\n");
    expect(lines.length).toBeLessThanOrEqual(40);
    expect(lines.filter((line) => line.length > 80)).toEqual([]);
    for (const name of ["host", "iface", "protocol-version", "CAfile", "tls-version", "will-retain", "ws-path"]) {
      expect(HELP[command]).toContain(`--${name}`);
    }
  });
});

describe("topics", () => {
  it("may be several, one of them in the URL", () => {
    expect(read("sub", "-t a/+ -t # -t a/+ mqtt://h/b/%23").filters).toEqual(["b/#", "a/+", "#"]);
    expect(read("pub", "-t a -t b -m x").topics).toEqual(["a", "b"]);
  });
});

describe("the payload", () => {
  it("is repeated at once or with pauses", () => {
    expect(read("pub", "-t a -m x")).toMatchObject({ repeat: 1, repeatSeconds: 0 });
    expect(read("pub", "-t a -m x --repeat 3 --repeat-delay .25")).toMatchObject({ repeat: 3, repeatSeconds: 0.25 });
  });
});

describe("the URL", () => {
  it.each([
    ["mqtt://h", { host: "h", port: 1883, tls: undefined, webSocket: undefined }],
    ["MQTT://h:99/", { host: "h", port: 99 }],
    ["mqtts://h", { port: 8883, tls: {} }],
    ["ws://h", { port: 80, tls: undefined, webSocket: { path: "/mqtt", headers: {} } }],
    ["wss://h/p?q=%20", { port: 443, tls: {}, webSocket: { path: "/p?q=%20", headers: {} } }],
    ["mqtt://[::1]:1", { host: "::1", port: 1 }],
    ["mqtt://m%40e:p%3Aa@h", { username: "m@e", password: "p:a" }],
    ["mqtt://m@h", { username: "m", password: undefined }],
  ])("%s says where", (url, expected) => {
    expect(read("connect", url)).toMatchObject(expected);
    expect(read("connect", `--url ${url}`)).toMatchObject(expected);
    expect(read("connect", `-L ${url}`)).toMatchObject(expected);
  });

  it.each([
    ["mqtt://h/a/b", "a/b"],
    ["mqtt://h//a", "/a"],
    ["mqtt://h/../a%3Fb", "../a?b"],
    ["mqtt://h/%C3%A4%20/%23", "ä /#"],
    ["mqtt://h/+/a/", "+/a/"],
  ])("%s has a topic, taken as it stands", (url, filter) => {
    expect(read("sub", url).filters).toEqual([filter]);
  });
});

describe("user and password", () => {
  it("come from options, a file or the environment", () => {
    expect(read("connect", "-u me -P pass")).toMatchObject({ username: "me", password: "pass" });
    expect(read("connect", "-u me --password-file @password").password).toBe(SECRET);
    process.env.MCU_MQTT_PASSWORD = "env";
    expect(read("connect", "-u me").password).toBe("env");
    expect(read("connect", "mqtt://me@h").password).toBe("env");
    expect(read("connect", "-u me -P pass").password).toBe("pass");
    expect(read("connect", "").password).toBeUndefined();
  });
});

describe("TLS", () => {
  it("is verified, with the files given", () => {
    const { ca, client } = certificates();
    const { tls } = read("connect", "--enable-ssl --CAfile @both.crt --cert @client.crt --key @client.key");
    expect(tls!.ca).toHaveLength(2);
    expect((tls!.ca as string[])[1].trim()).toBe(ca.cert.trim());
    expect((tls!.cert as string).trim()).toBe(client.cert.trim());
    expect(tls!.key).toBe(client.key);
    expect(tls).not.toHaveProperty("rejectUnauthorized");
  });

  it("has options", () => {
    expect(read("connect", "--enable-ssl=true --insecure --sni name --alpn mqtt --tls-version tlsv1.3")).toMatchObject({
      port: 8883,
      tls: {
        rejectUnauthorized: false,
        servername: "name",
        ALPNProtocols: ["mqtt"],
        minVersion: "TLSv1.3",
        maxVersion: "TLSv1.3",
      },
    });
  });
});

describe("WebSocket", () => {
  it("has a path and header fields, and may have TLS", () => {
    const line = ["--enable-websocket", "--ws-path", "/p", "--ws-header", "A: b c", "--ws-header", "X-Y:"];
    expect(read("connect", line)).toMatchObject({
      port: 80,
      webSocket: { path: "/p", headers: { "A": "b c", "X-Y": "" } },
    });
    expect(read("connect", [...line, "--enable-ssl"])).toMatchObject({ port: 443, tls: {} });
  });
});

describe("the will", () => {
  it("may be its topic alone", () => {
    expect(read("connect", "--will-topic w").will).toEqual({ topic: "w", payload: "", qos: 0, isRetained: false });
    expect(read("connect", "--will-topic w --will-payload p --will-qos 2 --will-retain").will).toEqual({
      topic: "w",
      payload: "p",
      qos: 2,
      isRetained: true,
    });
  });
});

describe("the version of MQTT", () => {
  it.each([["", "v5"], ["-V v5", "v5"], ["-V v3.1.1", "v4"], ["-V v3.1", "v3"]])("%j", (line, version) => {
    expect(read("connect", line).version).toBe(version);
  });

  it("is MQTT 5 for what only that has, unless it is as without", () => {
    const handling = "--retain-as-publish=false --retain-handling 0 --no-local=false";
    expect(read("sub", `-t a -V v3.1.1 ${handling}`)).toMatchObject({
      isNoLocal: false,
      isRetainAsPublished: false,
      retainHandling: 0,
    });
    expect(read("sub", "-t a --retain-as-publish --retain-handling 2 --no-local")).toMatchObject({
      isNoLocal: true,
      isRetainAsPublished: true,
      retainHandling: 2,
    });
    // To a broker of 3.1.1 it may be any topic.
    expect(read("sub", "-t $share/a -V v3.1.1").filters).toEqual(["$share/a"]);
  });
});

describe("properties", () => {
  it("belong to a packet, by the specification's name", () => {
    const { properties } = read("pub", [
      "-t", "a", "-m", "x", "--will-topic", "w",
      "-D", "publish", "content-type", "text/plain",
      "-D", "publish", "user-property", "a b", "-D",
      "--property", "publish", "user-property", "a b", "",
      "-D", "publish", "message-expiry-interval", "0",
      "-D", "publish", "payload-format-indicator", "1",
      "-D", "publish", "response-topic", "r/1",
      "-D", "publish", "correlation-data", "-t",
      "-Dconnect", "session-expiry-interval", "4294967295",
      "--property=connect", "receive-maximum", "1",
      "-rD", "will", "will-delay-interval", "5",
      "-rDdisconnect", "reason-string", "=",
    ]);
    expect(properties).toEqual({
      publish: {
        contentType: "text/plain",
        userProperty: [["a b", "-D"], ["a b", ""]],
        messageExpiryInterval: 0,
        payloadFormatIndicator: 1,
        responseTopic: "r/1",
        correlationData: "-t",
      },
      connect: { sessionExpiryInterval: 4294967295, receiveMaximum: 1 },
      will: { willDelayInterval: 5 },
      disconnect: { reasonString: "=" },
    });
    expect(read("sub", "-t a -D subscribe subscription-identifier 268435455 -v").properties).toEqual({
      subscribe: { subscriptionIdentifier: 268435455 },
    });
  });

  it("say how long a session is kept, as an option does", () => {
    expect(read("connect", "--session-expiry 60").sessionExpirySeconds).toBe(60);
    expect(read("connect", "-D connect session-expiry-interval 0 --persistent -C a").sessionExpirySeconds).toBe(0);
    for (const kept of ["--persistent -C a", "--session-expiry 1"]) {
      const { properties } = read("connect", `-D disconnect session-expiry-interval 1 ${kept}`);
      expect(properties).toEqual({ disconnect: { sessionExpiryInterval: 1 } });
    }
  });
});

describe("enhanced authentication", () => {
  it.each(["SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-512"])("is by %s, with user name and password", (method) => {
    expect(read("connect", `-u me -P pass --auth-method ${method}`).authenticator!.method).toBe(method);
    expect(read("connect", `mqtt://me:pass@h --auth-method ${method}`).authenticator!.method).toBe(method);
  });
});

describe("the interface", () => {
  it("may be an address of this machine, or have one", () => {
    expect(read("connect", "-I 127.0.0.1").localAddress).toBe("127.0.0.1");
    const [name, addresses] = Object.entries(networkInterfaces())[0];
    expect(addresses!.map(({ address }) => address)).toContain(read("connect", ["-I", name]).localAddress);
  });
});

describe("what is wrong is said in one line:", () => {
  const PUB = "-t a -m x";
  const cases: [CommandName, string | string[], string][] = [
    // Syntax.
    ["pub", `${PUB} --foo`, 'unknown option --foo; "mcu-mqtt pub --help" lists what there is'],
    ["pub", `${PUB} --topik=a`, 'unknown option --topik (did you mean --topic?); "mcu-mqtt pub --help" lists'],
    ["pub", `${PUB} --topik a`, 'unknown option --topik (did you mean --topic?); "mcu-mqtt pub --help" lists'],
    ["pub", `${PUB} -Zsecret`, 'unknown option -Z; "mcu-mqtt pub --help" lists what there is'],
    ["sub", "-t a --retain", 'unknown option --retain; "mcu-mqtt sub --help" lists what there is'],
    ["connect", "-t a", 'unknown option -t; "mcu-mqtt connect --help" lists what there is'],
    ["pub", `${PUB} -p`, '-p, --port needs a value; "mcu-mqtt pub --help" lists what there is'],
    ["pub", `${PUB} --retain=maybe`, "--retain must be true or false, or have no value"],
    ["pub", `${PUB} mqtt://a mqtt://b`, "one URL at the most may stand beside the options"],
    ["pub", `${PUB} yes`, "what stands beside the options must be a URL such as mqtt://host/topic"],
    // Numbers and choices.
    ["pub", `${PUB} -p 0`, "--port must be a whole number from 1 to 65535"],
    ["pub", `${PUB} -p 65536`, "--port must be a whole number from 1 to 65535"],
    ["pub", `${PUB} -p 1e3`, "--port must be a whole number from 1 to 65535"],
    ["pub", `${PUB} -p -1`, "--port must be a whole number from 1 to 65535"],
    ["pub", `${PUB} -q 3`, '--qos must be 0, 1 or 2, not "3"'],
    ["pub", ["-t", "a", "-m", "x", "-q", ""], '--qos must be 0, 1 or 2, not ""'],
    ["pub", `${PUB} -k x`, "--keepalive must be a whole number from "],
    ["pub", `${PUB} -k 65536`, "--keepalive must be a whole number from "],
    ["pub", `${PUB} --max-inflight 0`, "--max-inflight must be a whole number from 1 to 65535"],
    ["pub", `${PUB} --repeat 0`, "--repeat must be a whole number from 1 to 9007199254740991"],
    ["pub", `${PUB} --repeat 2 --repeat-delay -1`, "--repeat-delay must be a number of seconds from 0 to 2147483"],
    ["pub", `${PUB} -W 0`, "--timeout must be a number of seconds from 0.001 to 2147483"],
    ["pub", `${PUB} --reconnect many`, "--reconnect must be a whole number from 0 to "],
    ["pub", `${PUB} --reconnect 1 --reconnect-delay x`, "--reconnect-delay must be a number of seconds"],
    ["sub", "-t a --count 0", "--count must be a whole number from 1 to "],
    ["sub", "-t a --print text", '--print must be one of raw, hex, base64, size, not "text"'],
    ["sub", "-t a -F %y", '--format has "%y"'],
    ["sub", "-t a --retain-handling 3", '--retain-handling must be 0, 1 or 2, not "3"'],
    ["pub", `${PUB} -V v4`, "--protocol-version must be "],
    ["connect", "-V v6", '--protocol-version must be v5, v3.1.1 or v3.1, not "v6"'],
    // Of MQTT 5.
    ["sub", "-t a --no-local -V v3.1.1", "--no-local is of MQTT 5, and contradicts --protocol-version: leave one out"],
    ["sub", "-t a --retain-as-publish -V v3.1", "--retain-as-publish is of MQTT 5, and contradicts"],
    ["sub", "-t a --retain-handling 2 -V v3.1.1", "--retain-handling is of MQTT 5, and contradicts"],
    ["connect", "--session-expiry 0 -V v3.1.1", "--session-expiry is of MQTT 5, and contradicts"],
    ["connect", "-D connect receive-maximum 1 -V v3.1.1", "--property is of MQTT 5, and contradicts"],
    ["connect", "-u a -P b --auth-method SCRAM-SHA-1 -V v3.1.1", "--auth-method is of MQTT 5, and contradicts"],
    ["sub", "-t a -R --retain-as-publish", "--ignore-retained and --retain-as-publish contradict each other: use "],
    ["sub", "-t $share/g/a --no-local", '--no-local must not be used for a shared subscription, as "$share/g/a" is'],
    ["sub", "-t $share/g", '--topic must be like $share/name/filter for a shared subscription, not "$share/g"'],
    ["sub", "-t $share//a", "--topic must be like $share/name/filter"],
    ["sub", "-t $share/g/", "--topic must be like $share/name/filter"],
    ["sub", "-t $share/+/a", "--topic must be like $share/name/filter"],
    ["connect", "--session-expiry -1", "--session-expiry must be a whole number from 0 to 4294967295"],
    ["connect", "--session-expiry 1 -D connect session-expiry-interval 1", "--session-expiry and --property connect"],
    // Properties.
    ["connect", "-D", "--property needs PACKET NAME VALUE behind it"],
    ["connect", "-D connect", "--property needs PACKET NAME VALUE behind it"],
    ["connect", "-Dconnect", "--property needs PACKET NAME VALUE behind it"],
    ["connect", "-D connect receive-maximum", "--property connect receive-maximum needs a value behind it"],
    ["connect", "-D connect user-property a", "--property connect user-property needs a name and a value behind it"],
    ["connect", "-D publish content-type a", '--property: the packet must be connect, will or disconnect, not "pub'],
    ["sub", "-t a -D unsubscribe user-property a b", "--property: the packet must be connect, will, subscribe or disc"],
    ["pub", `${PUB} -D publish contenttype a`, "--property publish: the name must be content-type, correlation-data, " +
      'message-expiry-interval, payload-format-indicator, response-topic or user-property, not "contenttype"'],
    ["pub", `${PUB} -D publish user-propertx a b`, "--property publish: the name must be content-type, "],
    ["pub", `${PUB} -D publish constructor a`, "--property publish: the name must be content-type, "],
    ["pub", `${PUB} -D publish topic-alias 1`, "--property publish: the name must be content-type, "],
    ["connect", "-D connect authentication-method a", "--property connect: the name must be "],
    ["pub", `${PUB} -D publish message-expiry-interval 4294967296`, "--property publish message-expiry-interval must " +
      'be a whole number from 0 to 4294967295, not "4294967296"'],
    ["pub", `${PUB} -D publish payload-format-indicator 2`, "--property publish payload-format-indicator must be 0 or"],
    ["pub", `${PUB} -D publish response-topic a/#`, "--property publish response-topic must be a topic without"],
    ["pub", [...PUB.split(" "), "-D", "publish", "response-topic", ""], "--property publish response-topic must not"],
    ["pub", [...PUB.split(" "), "-D", "publish", "content-type", "\ufffd"], "--property publish content-type has"],
    ["connect", ["-D", "connect", "user-property", "a", "b".repeat(65536)], "--property connect user-property must be"],
    ["pub", `${PUB} -D publish content-type a -D publish content-type a`, "--property publish content-type must not"],
    ["sub", "-t a -D subscribe subscription-identifier 0", "--property subscribe subscription-identifier must be a"],
    ["connect", "-D connect receive-maximum 0", "--property connect receive-maximum must be a whole number from 1"],
    ["connect", "-D will will-delay-interval 1", "--property will must be used together with --will-topic"],
    ["connect", "-D disconnect session-expiry-interval 1", "--property disconnect session-expiry-interval needs "],
    ["connect", "-D disconnect session-expiry-interval 1 --persistent -C a --session-expiry 0", "--property disc"],
    // Enhanced authentication.
    ["connect", "--auth-method SCRAM-SHA-256", "--auth-method needs a user name and a password"],
    ["connect", "-u a --auth-method SCRAM-SHA-256", "--auth-method needs a user name and a password"],
    ["connect", "-u a -P b --auth-method PLAIN", "--auth-method must be one of SCRAM-SHA-1, SCRAM-SHA-256, SC"],
    ["connect", ["-u", "a\x07", "-P", "b", "--auth-method", "SCRAM-SHA-1"], "--auth-method: the username must"],
    // Text.
    ["pub", ["-t", "", "-m", "x"], "--topic must not be empty"],
    ["pub", "-t a/# -m x", '--topic must be a topic without + and #, not "a/#"'],
    ["pub", "-t a/+/b -m x", '--topic must be a topic without + and #, not "a/+/b"'],
    ["sub", "-t a#", '--topic must be a valid topic filter (+ a whole level, # the last one), not "a#"'],
    ["sub", "mqtt://h/a%23", "the URL's topic must be a valid topic filter"],
    ["sub", "mqtt://h/a#", '--url: must have no "#"; "%23" is a "#"'],
    ["pub", ["-t", "a\ufffd", "-m", "x"], "--topic has bytes that are not UTF-8, or U+FFFD"],
    ["pub", ["-t", "a\ud800", "-m", "x"], "--topic has bytes that are not UTF-8, or U+FFFD"],
    ["pub", ["-t", "a", "-m", "\ufffd"], "--payload has bytes that are not UTF-8, or U+FFFD"],
    ["pub", ["-t", "a", "-m", "x", "--will-topic", "w", "--will-payload", "\ufffd"], "--will-payload has bytes"],
    ["pub", ["-t", "a".repeat(65536), "-m", "x"], "--topic must be at most 65535 bytes long"],
    ["connect", ["-C", "a".repeat(65536)], "--clientid must be at most 65535 bytes long"],
    ["connect", ["-C", "\ufffd"], "--clientid has bytes that are not UTF-8, or U+FFFD"],
    ["connect", ["-u", ""], "--username must not be empty: leave it out"],
    ["connect", ["-h", ""], '--host must be a name or an address, not ""'],
    ["connect", "-h a/b", '--host must be a name or an address, not "a/b"'],
    ["connect", ["-C", "", "--persistent"], "--clientid must not be empty together with --persistent"],
    ["connect", "-I nowhere0", "--iface must be one of "],
    ["connect", "-I 192.0.2.1", '--iface must be an address of this machine, or an interface\'s name, not "192.0.2.1"'],
    // What is missing, and what contradicts itself.
    ["pub", "-m x", "--topic is missing: it is required, here or in an mqtt:// URL"],
    ["sub", "ws://h/a", "--topic is missing: it is required, here or in an mqtt:// URL"],
    ["pub", "-t a", "one of --payload, --file, --stdin, --stdin-lines, --hex, --base64 is required"],
    ["pub", `${PUB} -s`, "--payload and --stdin contradict each other: leave one of them out"],
    ["pub", "-t a -l --repeat 2", "--stdin-lines and --repeat contradict each other: leave one of them out"],
    ["pub", `${PUB} --repeat-delay 1`, "--repeat-delay must be used together with --repeat"],
    ["sub", "-t a -F %p --json", "--format and --json contradict each other: leave one of them out"],
    ["sub", "-t a --json -v", "--json and --verbose contradict each other: leave one of them out"],
    ["connect", "--persistent", "--persistent needs --clientid: nobody could find the session again"],
    ["connect", "--reconnect-delay 1", "--reconnect-delay must be used together with --reconnect"],
    ["pub", `${PUB} -q 2 --reconnect 1`, "--reconnect at QoS 2 needs --persistent or --session-expiry: else"],
    ["connect", "--will-qos 1", "--will-qos must be used together with --will-topic"],
    ["connect", "--will-payload x", "--will-payload must be used together with --will-topic"],
    ["connect", "--will-retain", "--will-retain must be used together with --will-topic"],
    ["connect", "--will-topic a/#", '--will-topic must be a topic without + and #, not "a/#"'],
    ["connect", "--will-topic a --will-qos 3", '--will-qos must be 0, 1 or 2, not "3"'],
    ["connect", "--ws-path /a", "--ws-path must be used together with --enable-websocket"],
    ["connect", "--ws-header a:b", "--ws-header must be used together with --enable-websocket"],
    ["connect", "--enable-websocket --ws-path a", "--ws-path must begin with / and be of printable ASCII"],
    ["connect", "ws://h/a --ws-path /b", "--ws-path contradicts the URL: leave one of them out"],
    // URLs.
    ["connect", "http://h", '--url: must begin with "mqtt://", "mqtts://", "ws://" or "wss://"'],
    ["connect", "mqtt://", "--url: a host is missing"],
    ["connect", "mqtt://h:x", "--url: the port must be an integer from 1 to 65535"],
    ["connect", "mqtt://h:0", "--url: the port must be an integer from 1 to 65535"],
    ["connect", "mqtt://h:65536", "--url: the port must be an integer from 1 to 65535"],
    ["connect", "mqtt://h?x", '--url: a topic must have no "?"; "%3F" is a "?"'],
    ["connect", "ws://h/#x", '--url: must have no "#"; "%23" is a "#"'],
    ["sub", "mqtt://h/%", '--url: the path has a "%" that begins no UTF-8'],
    ["sub", "mqtt://h/%00", "--url: the path must not have the character U+0000"],
    ["connect", "mqtt://a -h b", "--host contradicts the URL: leave one of them out"],
    ["connect", "mqtt://a:1 -p 1", "--port contradicts the URL: leave one of them out"],
    ["connect", "mqtt://u@a -u u", "--username contradicts the URL: leave one of them out"],
    ["connect", "mqtt://a --enable-ssl", "--enable-ssl contradicts the URL: leave one of them out"],
    ["connect", "mqtts://a --enable-ssl=false", "--enable-ssl contradicts the URL: leave one of them out"],
    ["connect", "mqtt://a --enable-websocket", "--enable-websocket contradicts the URL: leave one of them out"],
    ["connect", "mqtt://a --url mqtt://b", "--url is given twice, once without its name: leave one of them out"],
    // TLS.
    ["connect", "--CAfile @ca.crt", "--CAfile must be used together with --enable-ssl"],
    ["connect", "--cert @client.crt", "--cert must be used together with --enable-ssl"],
    ["connect", "--key @client.key", "--key must be used together with --enable-ssl"],
    ["connect", "--tls-version tlsv1.2", "--tls-version must be used together with --enable-ssl"],
    ["connect", "--insecure", "--insecure must be used together with --enable-ssl"],
    ["connect", "--sni a", "--sni must be used together with --enable-ssl"],
    ["connect", "--alpn a", "--alpn must be used together with --enable-ssl"],
    ["connect", "--enable-ssl --tls-version 1.2", "--tls-version must be one of tlsv1.3, tlsv1.2, tlsv1.1, tlsv1"],
    ["connect", "--enable-ssl --CAfile @none", "cannot read the file of --CAfile (ENOENT: no such file or directory"],
    ["connect", "--enable-ssl --CAfile @text", "the file of --CAfile has no certificate in PEM: "],
    ["connect", "--enable-ssl --CAfile @broken.crt", "the file of --CAfile has a certificate that cannot be read: "],
    ["connect", "--enable-ssl --cert @client.crt", "--cert must be used together with --key"],
    ["connect", "--enable-ssl --key @client.key", "--key must be used together with --cert"],
    ["connect", "--enable-ssl --cert @client.crt --key @text", "the file of --key is not a private key in PEM: "],
    ["connect", "--enable-ssl --cert @client.crt --key @server.key", "--key does not belong to the certificate of"],
    ["connect", "--enable-ssl --cert @client.crt --key @locked.key", "the file of --key is encrypted: give"],
    ["connect", "--enable-ssl --sni 127.0.0.1", '--sni must be a host name, not "127.0.0.1"'],
    ["connect", "--enable-ssl --passphrase a", "--passphrase must be used together with --key"],
    ["connect", ["--enable-ssl", "--alpn", ""], "--alpn must be 1 to 255 bytes long"],
  ];

  it.each(cases)("%s %j", (command, line, expected) => {
    const message = messageOf(command, line);
    expect(message).toContain(expected);
    expect(message.startsWith(expected.slice(0, 10))).toBe(true);
    expect(message).not.toContain("\n");
  });

  const secrets: [string | string[], string][] = [
    [`-P ${SECRET}`, "--password must be used together with --username"],
    [`-u me -P ${SECRET} --password-file @password`, "--password and --password-file contradict each other"],
    [`-u me --pasword=${SECRET}`, "unknown option --pasword;"],
    [`-u me -P ${SECRET} ${SECRET} ${SECRET}`, "one URL at the most may stand beside the options"],
    [["-u", "me", "-P", `${SECRET}\ufffd`], "--password has bytes that are not UTF-8, or U+FFFD"],
    ["-u me --password-file @bad-password", "--password-file has bytes that are not UTF-8, or U+FFFD"],
    [`mqtt://:${SECRET}@h`, "--url: a password must not be given without a username"],
    [`mqtt://me:${SECRET}@h:port`, "--url: the port must be an integer"],
    [`mqtt://me:${SECRET}%@h`, '--url: the password has a "%" that begins no UTF-8'],
    [`mqtt://me:${SECRET}@h -P ${SECRET}`, "the URL's password and --password contradict each other"],
    [`--enable-websocket mqtt://me:${SECRET}@h`, "--enable-websocket contradicts the URL"],
    [`--will-retain ${SECRET}`, "what stands beside the options must be a URL"],
    [["--enable-websocket", "--ws-header", `Authorization ${SECRET}`], '--ws-header must be like "Name: value"'],
    [["--enable-websocket", "--ws-header", "A: b", "--ws-header", `a: ${SECRET}`], "--ws-header must not have a twice"],
    [["-p", SECRET], "--port must be a whole number from 1 to 65535"],
    [`--enable-ssl --cert @client.crt --key @locked.key --passphrase ${SECRET}1`, "--passphrase does not open"],
    [`--will-retain=${SECRET}`, "--will-retain must be true or false"],
    [["-u", "me", "-P", `${SECRET}\x07`, "--auth-method", "SCRAM-SHA-1"], "--auth-method: the password must not have"],
  ];

  it.each(secrets)("%j, without the secret", (line, expected) => {
    const message = messageOf("connect", line);
    expect(message).toContain(expected);
    expect(message).not.toContain(SECRET);
  });
});
