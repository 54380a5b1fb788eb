/** The client against the embedded broker. */
import { describe, jest } from "@jest/globals";
import { AedesBroker } from "../support/aedes.js";
import { testBroker } from "./suite.js";

jest.setTimeout(60000);

describe("with aedes", () => {
  // aedes-persistence 11.0.0 confuses messages of QoS 2 that wait for PUBCOMP at the same time: it forgets one PUBREL
  // for another, keeps the message, and publishes it anew, without DUP, on the next connection. There aedes may give
  // the packet id of such a message to another one as well, which is then, rightly, taken for a repetition.
  testBroker({ start: () => AedesBroker.start(), resumesRight: false });
});
