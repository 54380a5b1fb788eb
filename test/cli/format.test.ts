/** What `sub` writes for a message, whatever its bytes are. */
import { describe, expect, it } from "@jest/globals";
import { compileFormat, printForm } from "../../cli/src/format.js";
import type { Message, ReceivedProperties } from "../../cli/src/session.js";

const BINARY = Buffer.from([0xff, 0x00, 0x0a, 0xc3]);
const PROPERTIES: ReceivedProperties = {
  topicAlias: 3,
  contentType: "text/plain",
  correlationData: Buffer.from([0xff]),
  messageExpiryInterval: 60,
  payloadFormatIndicator: 1,
  userProperty: [["a", "b"], ["", "ä"]],
  responseTopic: "r/1",
  subscriptionIdentifier: [1, 2],
};
const DATE = new Date("2026-11-22T03:04:05.678Z");

function message(payload: string | Uint8Array, fields: Partial<Message> = {}): Message {
  const start = { topic: "a/b", qos: 1, retain: false, dup: false, packetId: 7 } as const;
  return { ...start, payload: Buffer.from(payload), ...fields };
}

type Given = Partial<Omit<Message, "payload">> & { payload?: string | Uint8Array };

function format(text: string, { payload = "hello", ...fields }: Given = {}): string {
  return Buffer.from(compileFormat(text)(message(payload, fields), DATE)).toString("latin1");
}

describe("a format string", () => {
  it("has the fields of a message behind %", () => {
    expect(format("%t|%p|%l|%q|%r|%m|%x|%X|%%")).toBe("a/b|hello|5|1|0|7|68656c6c6f|68656C6C6F|%");
    expect(format("%r", { retain: true })).toBe("1");
  });

  it("has properties behind capital letters, as mosquitto_sub, and nothing for those that are not there", () => {
    const written = compileFormat("%A|%C|%D|%E|%F|%P|%R|%S")(message("", { properties: PROPERTIES }), DATE);
    expect([...written]).toEqual([
      ...Buffer.from("3|text/plain|"), 0xff, ...Buffer.from("|60|1|a:b :ä|r/1|1 2"),
    ]);
    expect(format("<%A%C%D%E%F%P%R%S>")).toBe("<>");
  });

  it("leaves the bytes of a payload as they are", () => {
    const written = compileFormat("<%p>")(message(BINARY), DATE);
    expect([...written]).toEqual([0x3c, ...BINARY, 0x3e]);
  });

  it("has the time in seconds, and as ISO 8601 with the offset of local time", () => {
    expect(format("%U")).toBe("1795316645.678000000");
    const time = format("%I");
    expect(time).toMatch(/^2026-11-2\dT\d\d:\d\d:05[+-]\d{4}$/);
    expect(new Date(time.replace(/(\d\d)$/, ":$1")).getTime()).toBe(Math.floor(DATE.getTime() / 1000) * 1000);
  });

  it("knows the escapes of mosquitto_sub", () => {
    expect(format("a\\tb\\nc\\\\d\\0e\\a\\e\\r\\v")).toBe("a\tb\nc\\d\0e\x07\x1b\r\v");
  });

  it("is text beside that, in UTF-8", () => {
    expect(Buffer.from(format("ä → %t"), "latin1").toString()).toBe("ä → a/b");
  });

  it.each(["%y", "%", "a%", "%T", "%5l", "\\q", "\\", "%B", "%\u{1f600}"])("refuses %j by name", (text) => {
    expect(() => compileFormat(text)).toThrow(/^--format has ".*only .* mean something$/);
  });
});

describe("a message as JSON", () => {
  function parse(payload: string | Uint8Array, fields: Partial<Message> = {}): Record<string, unknown> {
    const text = Buffer.from(compileFormat("%j")(message(payload, fields), DATE)).toString();
    expect(text).not.toContain("\n");
    return JSON.parse(text) as Record<string, unknown>;
  }

  it("is one line with everything", () => {
    const { tst, ...rest } = parse('say "hi"\n\0', { retain: true });
    expect(rest).toEqual({ topic: "a/b", qos: 1, retain: 1, payloadlen: 10, mid: 7, payload: 'say "hi"\n\0' });
    expect(tst).toMatch(/^2026-11-2\dT\d\d:\d\d:05\.678[+-]\d{4}$/);
  });

  it("has properties where there are some, by their names in camel case", () => {
    expect(parse("x")).not.toHaveProperty("properties");
    expect(parse("x", { properties: {} })).not.toHaveProperty("properties");
    const { correlationData, ...rest } = PROPERTIES;
    expect(parse("x", { properties: PROPERTIES }).properties).toEqual({
      ...rest,
      correlationData_base64: Buffer.from(correlationData!).toString("base64"),
    });
    const text = { correlationData: Buffer.from("ä") };
    expect(parse("x", { properties: text }).properties).toEqual({ correlationData: "ä" });
  });

  it("has no packet id at QoS 0", () => {
    expect(parse("", { qos: 0, packetId: 0 })).not.toHaveProperty("mid");
  });

  it("has base64 for a payload that is not UTF-8, and keeps a byte order mark", () => {
    const object = parse(BINARY);
    expect(object).not.toHaveProperty("payload");
    expect(Buffer.from(object.payload_base64 as string, "base64")).toEqual(BINARY);
    expect(parse("\ufeffx").payload).toBe("\ufeffx");
  });

  it("takes a payload that is JSON as it is, on one line", () => {
    const text = format("%J", { payload: '{\r\n "big": 12345678901234567890 }\n' });
    expect(text).toContain('"payload":{  "big": 12345678901234567890 }}');
    expect(() => format("%J", { payload: "{" })).toThrow('a message on "a/b" is not JSON');
    expect(() => format("%J", { payload: BINARY })).toThrow("is not JSON");
  });
});

describe("--print", () => {
  it.each([
    ["raw", "hello"],
    ["hex", "68656c6c6f"],
    ["base64", "aGVsbG8="],
    ["size", "5"],
  ] as const)("%s, with the topic in front if that is wanted", (form, expected) => {
    expect(Buffer.from(printForm(form, false)(message("hello"), DATE)).toString()).toBe(expected);
    expect(Buffer.from(printForm(form, true)(message("hello"), DATE)).toString()).toBe(`a/b ${expected}`);
  });
});
