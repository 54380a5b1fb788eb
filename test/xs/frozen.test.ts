/**
 * The suites once more where the library's modules and the engine's own objects are frozen, as Moddable's preload
 * leaves them: what writes to one of them throws.
 */
import { notInRequests, notInUrl, slowInDecoder5, slowInDecoders, slowInStreams, testOnXs } from "./suites.js";

await testOnXs(
  "on XS, frozen",
  [
    ["test/decoder.test.ts"],
    [
      "test/session/connect.test.ts",
      "test/session/receiving.test.ts",
      "test/session/resuming.test.ts",
      "test/session/control.test.ts",
    ],
    [
      "test/client.test.ts",
      "test/connection.test.ts",
      "test/client/callbacks.test.ts",
      "test/client/close.test.ts",
      "test/client/connect.test.ts",
      "test/client/construction.test.ts",
      "test/client/operations.test.ts",
      "test/connection/endings.test.ts",
    ],
    [
      "test/client/data.test.ts",
      "test/client/drain.test.ts",
      "test/client/offline-queue.test.ts",
      "test/client/pause.test.ts",
      "test/optional/outcomes.test.ts",
      "test/optional/queue.test.ts",
    ],
    ["test/optional/snapshot.test.ts"],
    ["test/optional/streams.test.ts"],
    ["test/optional/acknowledge.test.ts"],
    ["test/optional/trace.test.ts"],
    [
      "test/optional/password.test.ts",
      "test/optional/ping.test.ts",
      "test/optional/protocols.test.ts",
      "test/optional/retry.test.ts",
      "test/optional/subscriptions.test.ts",
      "test/optional/times.test.ts",
      "test/optional/url.test.ts",
    ],
    [
      "test/optional/reconnect.test.ts",
      "test/async/client.test.ts",
      "test/async/options.test.ts",
    ],
    [
      "test/v5/aliases.test.ts",
      "test/v5/authentication.test.ts",
      "test/v5/connect.test.ts",
      "test/v5/disconnect.test.ts",
      "test/v5/expiry.test.ts",
      "test/v5/keep-alive.test.ts",
      "test/v5/limits.test.ts",
      "test/v5/publishing.test.ts",
      "test/v5/receiving.test.ts",
      "test/v5/request.test.ts",
      "test/v5/sessions.test.ts",
      "test/v5/subscribing.test.ts",
      "test/v5/violations.test.ts",
    ],
    ["test/v5/decoder.test.ts", "test/v5/properties.test.ts", "test/v5/trace.test.ts"],
  ],
  {
    frozen: "src/",
    leftOut: [
      ...slowInDecoders("test/decoder.test.ts"),
      slowInStreams("test/optional/streams.test.ts"),
      ...notInUrl("test/optional/url.test.ts"),
      slowInDecoder5("test/v5/decoder.test.ts"),
      notInRequests("test/v5/request.test.ts"),
      {
        file: "test/v5/connect.test.ts",
        titles: /is encoded where there is little memory/,
        reason: "the test puts a method in the place of the encoder's, which is frozen",
      },
    ],
  },
);
