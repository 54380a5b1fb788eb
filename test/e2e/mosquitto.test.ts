/** The client against mosquitto; what passes between them is dissected by tshark when all is done. */
import { describe, expect, it, jest } from "@jest/globals";
import { dissect } from "../support/dissect.js";
import { Mosquitto } from "../support/mosquitto.js";
import { needs } from "../support/needs.js";
import type { Relay } from "../support/relay.js";
import { splitPackets } from "../support/split-packets.js";
import { testBroker } from "./suite.js";

jest.setTimeout(60000);
/** Tens of thousands of packets, on a machine that is busy. */
const DISSECTION_MS = 120000;

needs("mosquitto", "mosquitto_passwd")("with mosquitto", () => {
  const relays: Relay[] = [];

  testBroker({
    start: () => Mosquitto.start(),
    resumesRight: true,
    onRelay: (relay) => relays.push(relay),
  });

  describe("the traffic of all of this", () => {
    needs("tshark")("dissected", () => {
      it("has no malformed packet, nor anything else that tshark remarks upon", async () => {
        const connections = relays.flatMap((relay) => relay.connections);
        // What clients sent last may still be on its way.
        await Promise.all(connections.map((connection) => connection.over()));
        await Promise.all(connections.map((connection) => connection.over()));
        const { client, broker, faults } = await dissect(connections);
        expect(faults).toEqual([]);
        const count = (fromClient: boolean): number =>
          connections.reduce((sum, connection) => sum + splitPackets(connection.sent(fromClient)).length, 0);
        expect(client.length).toBe(count(true));
        expect(broker.length).toBe(count(false));
        // Bursts alone are 1,024 messages each way at each QoS, with two capacities.
        expect(client.filter((type) => type === "PUBLISH").length).toBeGreaterThan(12 * 1024);
        expect(broker.filter((type) => type === "PUBLISH").length).toBeGreaterThan(12 * 1024);
        const all = ["CONNECT", "PUBLISH", "PUBACK", "PUBREC", "PUBREL", "PUBCOMP", "SUBSCRIBE", "UNSUBSCRIBE"];
        expect([...new Set(client)].sort()).toEqual([...all, "PINGREQ", "DISCONNECT"].sort());
      }, DISSECTION_MS);
    });
  });
});
