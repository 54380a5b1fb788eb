/** The names of reason codes, against table 2-6 of the specification. */
import { describe, expect, it } from "@jest/globals";
import * as names from "../../src/v5/names.js";
import { AUTH, nameOfReason } from "../../src/v5/names.js";
import { isReason } from "../../src/v5/reasons.js";
import { CONNACK, DISCONNECT, PUBACK, SUBACK, UNSUBACK } from "../../src/wire.js";

const constants = new Map<string, unknown>(Object.entries(names));

describe("nameOfReason", () => {
  it("says the name of table 2-6 (2.4)", () => {
    const given: [number, string][] = [
      [0x00, "Success"],
      [0x01, "Granted QoS 1"],
      [0x02, "Granted QoS 2"],
      [0x04, "Disconnect with Will Message"],
      [0x10, "No matching subscribers"],
      [0x11, "No subscription existed"],
      [0x18, "Continue authentication"],
      [0x19, "Re-authenticate"],
      [0x80, "Unspecified error"],
      [0x87, "Not authorized"],
      [0x8e, "Session taken over"],
      [0x93, "Receive Maximum exceeded"],
      [0x9a, "Retain not supported"],
      [0x9e, "Shared Subscriptions not supported"],
      [0xa0, "Maximum connect time"],
      [0xa2, "Wildcard Subscriptions not supported"],
    ];
    for (const [code, name] of given) expect([code, nameOfReason(code)]).toEqual([code, name]);
  });

  it("tells 0 apart by the type of packet (2.4)", () => {
    expect(nameOfReason(0, DISCONNECT)).toBe("Normal disconnection");
    expect(nameOfReason(0, SUBACK)).toBe("Granted QoS 0");
    for (const type of [CONNACK, PUBACK, UNSUBACK, AUTH]) expect(nameOfReason(0, type)).toBe("Success");
    expect(nameOfReason(0x87, DISCONNECT)).toBe("Not authorized");
  });

  it("shows what it does not know as a number of two digits", () => {
    expect([0x03, 0x05, 0x7f, 0xa3, 0xff].map((code) => nameOfReason(code))).toEqual([
      "0x03",
      "0x05",
      "0x7F",
      "0xA3",
      "0xFF",
    ]);
  });

  it("has a name for each code that a broker's packet may have, and for no other but a client's", () => {
    const named: number[] = [];
    const allowed: number[] = [];
    for (let code = 0; code < 256; code++) {
      if (!nameOfReason(code).startsWith("0x")) named.push(code);
      if ([CONNACK, PUBACK, 5, 6, 7, SUBACK, UNSUBACK, DISCONNECT, AUTH].some((type) => isReason(type, code))) {
        allowed.push(code);
      }
    }
    // DISCONNECT with the will, and the wish to authenticate anew, are the client's own.
    expect(named).toEqual([...allowed, 0x04, 0x19].sort((a, b) => a - b));
  });

  it("goes with the constants, which are named alike", () => {
    const alike = (name: string): string => name.toUpperCase().replaceAll(/[ -]/g, "_");
    let count = 0;
    for (let code = 0; code < 256; code++) {
      const name = nameOfReason(code);
      if (name.startsWith("0x") || name.startsWith("Granted") || code === 0x04) continue;
      expect([name, constants.get(alike(name))]).toEqual([name, code]);
      count++;
    }
    expect(count).toBe(40);
    expect(names.DISCONNECT_WITH_WILL).toBe(0x04);
  });
});
