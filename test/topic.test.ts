import { describe, expect, it } from "@jest/globals";
import fc from "fast-check";
import { isTopicFilter, isTopicName } from "../src/topic.js";

/** Strings of few characters, so that wildcards meet separators often. */
const dense = fc.string({ unit: fc.constantFrom("/", "+", "#", "a", "\0", "é"), maxLength: 8 });

describe("isTopicName", () => {
  it.each([
    "a", "/", "//", " ", "/finance", "sport/tennis/player1", "$SYS/monitor/Clients", "Accounts payable", "温度/😀",
    "\ufeff", "*", "a/$/b",
  ])("takes %j", (topic) => {
    expect(isTopicName(topic)).toBe(true);
  });

  it("refuses an empty one [MQTT-4.7.3-1]", () => {
    expect(isTopicName("")).toBe(false);
  });

  it.each(["#", "+", "a/#", "a/+/b", "a#", "+a", "a/b+"])(
    "refuses a wildcard: %j [MQTT-3.3.2-2] [MQTT-4.7.1-1]",
    (topic) => {
      expect(isTopicName(topic)).toBe(false);
    },
  );

  it.each(["\0", "a\0", "\0a", "a/\0/b"])("refuses U+0000: %j [MQTT-4.7.3-2]", (topic) => {
    expect(isTopicName(topic)).toBe(false);
  });

  it("takes any string but those", () => {
    fc.assert(
      fc.property(fc.oneof(dense, fc.string({ unit: "binary" })), (topic) => {
        expect(isTopicName(topic)).toBe(/^[^\0+#]+$/u.test(topic));
      }),
      { numRuns: 2000 },
    );
  });
});

describe("isTopicFilter", () => {
  // Most of them are the examples of section 4.7.1.
  it.each([
    "sport/tennis/player1", "sport/tennis/player1/#", "sport/#", "#", "+", "+/tennis/#", "sport/+/player1", "/+", "+/+",
    "/", "//", "/#", "$SYS/#", "+/+/+/#", "a/+", "+/a", "//+//#", "温度/+", " ",
  ])("takes %j", (filter) => {
    expect(isTopicFilter(filter)).toBe(true);
  });

  it("refuses an empty one [MQTT-4.7.3-1]", () => {
    expect(isTopicFilter("")).toBe(false);
  });

  it.each(["\0", "a\0", "#\0", "+/\0"])("refuses U+0000: %j [MQTT-4.7.3-2]", (filter) => {
    expect(isTopicFilter(filter)).toBe(false);
  });

  it.each(["sport/tennis#", "sport/tennis/#/ranking", "##", "#/", "#/#", "a#", "+#", "/#/", "#a"])(
    "refuses # where it is not the whole last level: %j [MQTT-4.7.1-2]",
    (filter) => {
      expect(isTopicFilter(filter)).toBe(false);
    },
  );

  it.each(["sport+", "+sport", "++", "a/b+/c", "a/+b/c", "+/a+", "a+/#", "/++/"])(
    "refuses + where it is not a whole level: %j [MQTT-4.7.1-3]",
    (filter) => {
      expect(isTopicFilter(filter)).toBe(false);
    },
  );

  it("judges any string as the rules for levels do", () => {
    fc.assert(
      fc.property(fc.oneof(dense, fc.string({ unit: "binary" })), (filter) => {
        const levels = filter.split("/");
        const isValid = levels.every((level, i) => {
          return level === "+" || (level === "#" && i === levels.length - 1) || /^[^\0+#]*$/u.test(level);
        });
        expect(isTopicFilter(filter)).toBe(filter !== "" && isValid);
      }),
      { numRuns: 5000 },
    );
  });
});
