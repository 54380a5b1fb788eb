import { describe, expect, it } from "@jest/globals";
import { BAD_FIELD, BAD_LENGTH, BAD_PACKET_ID, UNEXPECTED_PACKET } from "../src/errors.js";
import { join, wire } from "./support/bytes.js";
import { decoderSuite, expectHoweverCut, firstBytesSuite, refuses } from "./support/codec-suites.js";
import { feed } from "./support/feed.js";
import { framed } from "./support/packets.js";

describe("Decoder", () => {
  decoderSuite("server");

  describe("first byte", () => {
    firstBytesSuite("server", "20 40 50 62 70 90 b0 d0", "10 82 a2 c0 e0");
  });

  describe("packets that a broker may not send", () => {
    refuses("server", [
      ["CONNECT", "10 0d 0004 'MQTT' 04 02 003c 0001 'a'", UNEXPECTED_PACKET],
      ["SUBSCRIBE", "82 06 0001 0001 'a' 00", UNEXPECTED_PACKET],
      ["UNSUBSCRIBE", "a2 05 0001 0001 'a'", UNEXPECTED_PACKET],
      ["PINGREQ", "c0 00", UNEXPECTED_PACKET],
      ["DISCONNECT", "e0 00", UNEXPECTED_PACKET],
    ]);
  });

  describe("CONNACK", () => {
    refuses("server", [
      ["a reserved acknowledge flag (3.2.2.1)", "20 02 02 00", BAD_FIELD],
      ["a reserved acknowledge flag beside Session Present (3.2.2.1)", "20 02 03 00", BAD_FIELD],
      ["the highest acknowledge flag (3.2.2.1)", "20 02 80 00", BAD_FIELD],
      ["a reserved acknowledge flag with a refusal (3.2.2.1)", "20 02 02 05", BAD_FIELD],
      ["Session Present with a refusal [MQTT-3.2.2-4]", "20 02 01 01", BAD_FIELD],
      ["CONNACK that is empty", "20 00", BAD_LENGTH],
      ["CONNACK without a return code", "20 01 00", BAD_LENGTH],
      ["CONNACK with something behind the return code", "20 03 00 00 00", BAD_LENGTH],
    ]);
  });

  describe("SUBACK", () => {
    refuses("server", [
      ["return code 3 [MQTT-3.9.3-2]", "90 03 0001 03", BAD_FIELD],
      ["return code 0x7f [MQTT-3.9.3-2]", "90 03 0001 7f", BAD_FIELD],
      ["return code 0x81 [MQTT-3.9.3-2]", "90 03 0001 81", BAD_FIELD],
      ["a reserved return code in front of others [MQTT-3.9.3-2]", "90 05 0001 ff 00 01", BAD_FIELD],
      ["a reserved return code behind others [MQTT-3.9.3-2]", "90 05 0001 00 80 04", BAD_FIELD],
      ["packet id 0 in SUBACK", "90 03 0000 00", BAD_PACKET_ID],
      ["SUBACK without a return code", "90 02 0001", BAD_LENGTH],
      ["SUBACK with half a packet id", "90 01 01", BAD_LENGTH],
      ["SUBACK that is empty", "90 00", BAD_LENGTH],
    ]);

    it("takes as many return codes as the scratch area has room for, and refuses one more", () => {
      const codes = new Uint8Array(62).map((_, i) => i % 3);
      const suback = framed(0x90, wire("0001"), codes);
      const packets = [{ type: "SUBACK" as const, packetId: 1, returnCodes: [...codes] }];
      expectHoweverCut("server", suback, { packets, result: suback.length }, { scratchLength: 64 });
      expectHoweverCut("server", suback, { packets: [], result: BAD_LENGTH }, { scratchLength: 63 });
    });
  });

  describe("PINGRESP", () => {
    refuses("server", [
      ["PINGRESP with something in it", "d0 01 00", BAD_LENGTH],
      ["PINGRESP of 128 bytes", "d0 8001 00", BAD_LENGTH],
    ]);
  });

  it("leaves the characters of a topic name to the handler", () => {
    for (const topic of ["'a/+'", "'#'", "00", "ff", "eda080", "c080", "'a' c3"]) {
      const bytes = wire(topic);
      const publish = framed(0x30, new Uint8Array([0, bytes.length]), bytes, wire("'payload'"));
      const { packets, result } = feed("server", join(publish, wire("d0 00")));
      expect(packets.map(({ type }) => type)).toEqual(["PUBLISH", "PINGRESP"]);
      expect(result).toBe(publish.length + 2);
    }
  });
});
