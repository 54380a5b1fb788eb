import { describe, expect, test } from "@jest/globals";
import fc from "fast-check";
import type { MockHal } from "../../hal/mock.js";
import { parseUrl, withUrl } from "../../src/optional/url.js";
import { Device } from "../support/device.js";

const NOTHING = { username: "", password: "", path: "", query: "" };
const PLAIN = { scheme: "mqtt", host: "h", port: 1883, secure: false, webSocket: false, ...NOTHING };

describe("parseUrl", () => {
  test.each<[string, object]>([
    ["mqtt://h", {}],
    ["mqtts://h", { scheme: "mqtts", port: 8883, secure: true }],
    ["ws://h", { scheme: "ws", port: 80, webSocket: true }],
    ["wss://h", { scheme: "wss", port: 443, secure: true, webSocket: true }],
    ["MQTTS://h", { scheme: "mqtts", port: 8883, secure: true }],
    ["mqtt://h:1", { port: 1 }],
    ["mqtt://h:65535/", { port: 65535 }],
    ["mqtt://h:01884", { port: 1884 }],
    ["mqtt://192.168.1.2", { host: "192.168.1.2" }],
    ["mqtt://[::1]", { host: "::1" }],
    ["mqtt://[fe80::1]:1884/a", { host: "fe80::1", port: 1884, path: "a" }],
    ["mqtt://[::ffff:1.2.3.4]", { host: "::ffff:1.2.3.4" }],
    ["mqtt://bücher.test", { host: "bücher.test" }],
    ["mqtt://user@h", { username: "user" }],
    ["mqtt://user:@h", { username: "user" }],
    ["mqtt://us%65r:p%40ss%3aw%2Ford@h:5", { username: "user", password: "p@ss:w/ord", port: 5 }],
    ["mqtt://user:a:b@c@h", { username: "user", password: "a:b@c" }],
    ["mqtt://ger%C3%A4t:%E7%A7%98@h", { username: "gerät", password: "秘" }],
    ["mqtt://h/a/b%20c", { path: "a/b c" }],
    ["mqtt://h//a", { path: "/a" }],
    ["mqtt://h/a?x=1&y=?/@:", { path: "a", query: "x=1&y=?/@:" }],
    ["mqtt://h?x", { query: "x" }],
    ["mqtt://h/user:pass@x", { path: "user:pass@x" }],
    ["ws://h/a%20b/c?t=%41", { scheme: "ws", port: 80, webSocket: true, path: "/a%20b/c", query: "t=%41" }],
    ["ws://h/", { scheme: "ws", port: 80, webSocket: true, path: "/" }],
  ])("takes %s apart", (url, differing) => {
    expect(parseUrl(url)).toEqual({ ...PLAIN, ...differing });
  });

  test.each<[string, string]>([
    ["", 'must begin with "mqtt://"'],
    ["broker", 'must begin with "mqtt://"'],
    ["http://h", 'must begin with "mqtt://"'],
    ["mqtt:h", 'must begin with "mqtt://"'],
    ["mqtt:/h", 'must begin with "mqtt://"'],
    [" mqtt://h", 'must begin with "mqtt://"'],
    ["mqtt://", "a host is missing"],
    ["mqtt:///a", "a host is missing"],
    ["mqtt://:1883", "a host is missing"],
    ["mqtt://user@", "a host is missing"],
    ["mqtt://user@:1", "a host is missing"],
    ["mqtt://?x", "a host is missing"],
    ["mqtt://h ", "no white space"],
    ["mqtt://a b", "no white space"],
    ["mqtt://h/a\tb", "no white space"],
    ["mqtt://h\n", "no white space"],
    ["mqtt://h\u00a0", "no white space"],
    ["mqtt://h\0", "no control character"],
    ["mqtt://h\u007f", "no control character"],
    ["mqtt://h#a", 'no "#"'],
    ["ws://h/a#b", 'no "#"'],
    ["mqtt://h:", "the port"],
    ["mqtt://h:0", "the port"],
    ["mqtt://h:65536", "the port"],
    ["mqtt://h:000080", "the port"],
    ["mqtt://h:1e3", "the port"],
    ["mqtt://h:-1", "the port"],
    ["mqtt://h:+1", "the port"],
    ["mqtt://h:1.5", "the port"],
    ["mqtt://h:0x5", "the port"],
    ["mqtt://h:port", "the port"],
    ["mqtt://a:b:1", "an IPv6 address stands in [brackets]"],
    ["mqtt://::1", "an IPv6 address stands in [brackets]"],
    ["mqtt://[::1", "brackets"],
    ["mqtt://::1]", "brackets"],
    ["mqtt://[]", "must be an IPv6 address"],
    ["mqtt://[h]", "must be an IPv6 address"],
    ["mqtt://[::1]x", "must be an IPv6 address"],
    ["mqtt://[::1%25eth0]", "must be an IPv6 address"],
    ["mqtt://a%62", "the host must be a name or an address"],
    ["mqtt://a\\b", "the host must be a name or an address"],
    ["mqtt://us%zzer@h", "the username has a"],
    ["mqtt://user:%@h", "the password has a"],
    ["mqtt://user:%ff@h", "the password has a"],
    ["mqtt://user:%ed%a0%80@h", "the password has a"],
    ["mqtt://h/%c3", "the path has a"],
    ["ws://h/%c3", "the path has a"],
    ["ws://h/?%2", "the query has a"],
    ["mqtt://u%00@h", "the username must not have the character U+0000"],
    ["mqtt://u:%00@h", "the password must not have the character U+0000"],
    ["mqtt://h/%00", "the path must not have the character U+0000"],
    ["mqtt://:secret@h", "a password must not be given without a username"],
  ])("refuses %j", (url, message) => {
    expect(() => parseUrl(url)).toThrow(message);
    expect(() => parseUrl(url)).toThrow(/^url: [^\n]+$/);
  });

  test.each([[undefined], [null], [5], [{}], [["mqtt://h"]]])("refuses %p, which is no string", (url) => {
    expect(() => parseUrl(url as unknown as string)).toThrow(TypeError);
    expect(() => parseUrl(url as unknown as string)).toThrow("url: must be a string");
  });

  test("throws a RangeError for the port alone", () => {
    expect(() => parseUrl("mqtt://h:0")).toThrow(RangeError);
    expect(() => parseUrl("mqtt://:80:0")).toThrow(TypeError);
  });

  test("never repeats a password, whatever is wrong", () => {
    const odd = [" ", "#", "%", ":0", "[", "]", "%00", "\n", ":x", "@", "/", "?", "\\"];
    fc.assert(
      fc.property(fc.constantFrom("mqtt", "ws", "http", ""), fc.constantFrom(...odd), fc.constantFrom(...odd),
        (scheme, before, after) => {
          let message = "";
          try {
            parseUrl(`${scheme}://U5ER${before}:S3CRET${after}@host`);
          } catch (error) {
            message = String(error);
          }
          expect(message).not.toContain("S3CRET");
          expect(message).not.toContain("U5ER");
        }),
      { numRuns: 500 },
    );
  });

  test("is that of the URL class for what both take", () => {
    const word = fc.stringMatching(/^[a-z0-9]([a-z0-9-]{0,6}[a-z0-9])?$/).filter((text) => !/^[\dx]|--/.test(text));
    const text = fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }).filter((each) => !each.includes("\0"));
    fc.assert(
      fc.property(word, fc.nat(65534), text, text, fc.array(text), (host, port, username, password, levels) => {
        const topic = levels.join("/");
        const path = encodeURIComponent(topic).replaceAll("%2F", "/");
        const [user, secret] = [encodeURIComponent(username), encodeURIComponent(password)];
        const url = `mqtts://${user}:${secret}@${host}:${port + 1}/${path}?a=b`;
        const parts = parseUrl(url);
        const expected = new URL(url);
        expect(parts).toEqual({
          scheme: expected.protocol.slice(0, -1),
          host: expected.hostname,
          port: Number(expected.port),
          secure: true,
          webSocket: false,
          username: decodeURIComponent(expected.username),
          password: decodeURIComponent(expected.password),
          path: topic,
          query: expected.search.slice(1),
        });
      }),
      { numRuns: 500 },
    );
  });
});

describe("withUrl", () => {
  /** Calls `connect` with anything. */
  type Connect = (...args: unknown[]) => boolean;

  function makeDevice(hasWebSocket = true): { device: Device; connect: Connect } {
    const device = new Device({ listens: false, extend: (client) => withUrl(client) });
    if (hasWebSocket) Object.assign(device.hal, { webSocket: true } satisfies Partial<MockHal & { webSocket: true }>);
    return { device, connect: device.client.connect as Connect };
  }

  test.each<[string, object]>([
    ["mqtt://h", { host: "h", port: 1883, secure: undefined }],
    ["mqtt://h:1884", { host: "h", port: 1884, secure: undefined }],
    ["mqtts://h", { host: "h", port: 8883, secure: {} }],
    ["mqtts://[::1]:1/", { host: "::1", port: 1, secure: {} }],
    ["ws://h", { host: "ws://h", port: 80, secure: undefined }],
    ["ws://h:9001/mqtt?a=b", { host: "ws://h/mqtt?a=b", port: 9001, secure: undefined }],
    ["ws://h?a=b", { host: "ws://h/?a=b", port: 80, secure: undefined }],
    ["wss://[fe80::1]/a%20b", { host: "ws://[fe80::1]/a%20b", port: 443, secure: {} }],
  ])("connects to %s", (url, where) => {
    const { device, connect } = makeDevice();
    expect(connect(url)).toBe(true);
    expect(device.socket).toMatchObject(where);
    device.accept();
    expect(device.client.connected).toBe(true);
  });

  const shapes: [string, (ok: unknown, fail: unknown) => unknown[], string][] = [
    ["(u, O, F)", (ok, fail) => [ok, fail], "OF"],
    ["(u, O)", (ok) => [ok], "O"],
    ["(u, null, F)", (_, fail) => [null, fail], "F"],
    ["(u, p, O, F)", (ok, fail) => [8883, ok, fail], "OF"],
    ["(u, p, null, F)", (_, fail) => [8883, null, fail], "F"],
    ["(u, null, null, F)", (_, fail) => [null, null, fail], "F"],
    ["(u, p, 1, O, F)", (ok, fail) => [8883, 1, ok, fail], "OF"],
    ["(u, p, 1, O)", (ok) => [8883, 1, ok], "O"],
    ["(u, null, true, null, F)", (_, fail) => [null, true, null, fail], "F"],
    ["(u, null, {}, 0, O, F)", (ok, fail) => [null, {}, 0, ok, fail], "OF"],
    ["(u, null, {}, 0, null, F)", (_, fail) => [null, {}, 0, null, fail], "F"],
    ["(u, p, 1, 0)", () => [8883, 1, 0], ""],
    ["(u, null, null, null, null, null)", () => [null, null, null, null, null], ""],
    ["(u)", () => [], ""],
  ];

  test.each(shapes)("%s: O when connected, F when failed, as without a URL", (_, args, expected) => {
    const called: string[] = [];
    const note = (name: string) => () => called.push(name);
    for (const succeeds of [true, false]) {
      const { device, connect } = makeDevice();
      expect(connect("mqtts://h", ...args(note("O"), note("F")))).toBe(true);
      expect(device.socket).toMatchObject({ host: "h", port: 8883, secure: {} });
      if (succeeds) device.accept();
      else device.socket.fail("refused");
    }
    expect(called.join("")).toBe(expected);
  });

  test("hands the platform's TLS options on", () => {
    const { device, connect } = makeDevice();
    expect(connect("wss://h", null, { ca: "x" })).toBe(true);
    expect(device.socket.secure).toEqual({ ca: "x" });
  });

  test("leaves what has no :// as it is", () => {
    const { device, connect } = makeDevice();
    expect(connect("h", 1884, 1, () => {})).toBe(true);
    expect(device.socket).toMatchObject({ host: "h", port: 1884, secure: {} });
    expect(() => connect("")).toThrow("host must be a name or an address");
    expect(() => connect(null)).toThrow("host must be a name or an address");
  });

  test.each<[string, unknown[], string]>([
    ["mqtt://h", [1884], "port must be left out or that of the URL, 1883, not 1884"],
    ["mqtt://h:5", ["5"], 'port must be left out or that of the URL, 5, not "5"'],
    ["mqtt://h", [1883, 1], "secure must be left out or fit mqtt, which has no TLS"],
    ["ws://h", [null, {}], "secure must be left out or fit ws, which has no TLS"],
    ["mqtts://h", [8883, 0], "secure must be left out or fit mqtts, which has TLS"],
    ["wss://h", [null, false], "secure must be left out or fit wss, which has TLS"],
    ["mqtts://h", [null, "yes"], "secure must be 0, 1 or a boolean"],
    ["mqtts://h", [null, { tls: 1 }], "secure.tls"],
    ["mqtt://u:S3CRET@h", [], "url: a username and a password are for mqtt.Client, not for connect"],
    ["mqtt://u@h", [], "url: a username and a password are for mqtt.Client"],
    ["ws://u:S3CRET@h", [], "url: a username and a password are for mqtt.Client"],
    ["mqtt://h/topic", [], "url: mqtt must have no path and no query in connect"],
    ["mqtts://h?x", [], "url: mqtts must have no path and no query in connect"],
    ["http://h", [], 'url: must begin with "mqtt://"'],
    ["://h", [], 'url: must begin with "mqtt://"'],
  ])("refuses %s with %j before anything changes", (url, args, message) => {
    const { device, connect } = makeDevice();
    expect(() => connect(url, ...args)).toThrow(message);
    expect(() => connect(url, ...args)).toThrow(/^[^\n]+$/);
    expect(() => connect(url, ...args)).toThrow(/^(?!.*S3CRET)/);
    expect(device.hal.sockets).toEqual([]);
  });

  test("refuses WebSocket where the platform has none", () => {
    const { device, connect } = makeDevice(false);
    for (const scheme of ["ws", "wss"]) expect(() => connect(`${scheme}://h`)).toThrow(`url: ${scheme} needs a platform`);
    expect(device.hal.sockets).toEqual([]);
    expect(connect("mqtt://h")).toBe(true);
  });

  test("throws as connect does while a session is up, and the URL is checked first", () => {
    const { device, connect } = makeDevice();
    connect("mqtt://h");
    device.accept();
    expect(() => connect("mqtt://h")).toThrow("already connected");
    expect(() => connect("mqtt://")).toThrow("a host is missing");
  });
});
