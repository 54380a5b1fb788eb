/** The suites that need no network, on the engine of Moddable's boards. */
import { slowInDecoders, slowInStreams, testOnXs } from "./suites.js";

await testOnXs(
  "on XS",
  [
    [
      "test/decoder.test.ts",
      "test/encoder.test.ts",
      "test/server-codec.test.ts",
      "test/outbox.test.ts",
      "test/topic.test.ts",
      "test/utf8.test.ts",
    ],
    [
      "test/session/connect.test.ts",
      "test/session/control.test.ts",
      "test/session/hostile.test.ts",
      "test/session/keep-alive.test.ts",
      "test/session/late.test.ts",
      "test/session/loss.test.ts",
      "test/session/receiving.test.ts",
      "test/session/resuming.test.ts",
      "test/session/sending.test.ts",
    ],
    [
      "test/arguments.test.ts",
      "test/client.test.ts",
      "test/connection.test.ts",
      "test/client/anything.test.ts",
      "test/client/callbacks.test.ts",
      "test/client/close.test.ts",
      "test/client/connect.test.ts",
      "test/client/construction.test.ts",
      "test/client/operations.test.ts",
      "test/connection/endings.test.ts",
      "test/connection/half-open.test.ts",
      "test/connection/schedule.test.ts",
      "test/connection/stream.test.ts",
      "test/connection/upkeep.test.ts",
    ],
    ["test/hostile.test.ts"],
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
    ["test/mock.test.ts"],
  ],
  {
    leftOut: [
      ...slowInDecoders("test/decoder.test.ts"),
      ...slowInDecoders("test/server-codec.test.ts"),
      {
        file: "test/encoder.test.ts",
        titles: /text beyond ASCII .* 2097150 to 2097153 bytes/,
        reason: "two megabytes of such text are made and compared for a minute",
      },
      {
        file: "test/session/sending.test.ts",
        titles: /packet ids are passed over while in use, also by a message that outlived all others/,
        reason: "tens of thousands of messages, several seconds",
      },
      {
        file: "test/topic.test.ts",
        titles: /takes any string but those|judges any string as the rules for levels do/,
        reason: "the tests' own patterns: to XS's RegExp U+0000 is none of [\\0]",
      },
      slowInStreams("test/optional/streams.test.ts"),
      {
        file: "test/utf8.test.ts",
        titles: /isUtf8 .* (says of|takes every character)/,
        reason: "too many sequences, and boards do not have utf8.ts",
      },
      {
        file: "test/connection/stream.test.ts",
        titles: /is delivered when many packets come in a segment/,
        reason: "a thousand arguments, in calls inside calls, are more than the stack of 4,096 slots",
      },
      {
        file: "test/mock.test.ts",
        titles: /ScriptText decodes and encodes as the platform's TextDecoder and Buffer do/,
        reason: "XS's TextDecoder has another count of U+FFFD for ill-formed bytes",
      },
    ],
  },
);
