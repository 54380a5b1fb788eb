/** `mcu-mqtt sub`: subscribes, and writes the messages that come to standard output. */
import type { Values } from "./arguments.js";
import { EXIT_FAILURE, Failure, quote } from "./failure.js";
import { compileFormat, NotJson, PRINT_FORMS, printForm } from "./format.js";
import type { Formatter, PrintForm } from "./format.js";
import type { Life } from "./life.js";
import { integer, needMqtt5, readQos, readTopics, readUpToTwo, readVersion, text } from "./options.js";
import type { QoS, Version } from "./options.js";
import type { Messages, Status } from "./output.js";
import { REFUSED } from "./session.js";
import type { Message, Session, SubscriptionHandling } from "./session.js";
import type { BrokerUrl } from "./url.js";

export interface SubOptions extends SubscriptionHandling {
  filters: string[];
  qos: QoS;
  format: Formatter;
  hasNewline: boolean;
  /** After so many messages the work is done. */
  count: number;
  ignoresRetained: boolean;
}

const NEWLINE = Buffer.from("\n");

export function readSubOptions(values: Values, url: BrokerUrl | undefined): SubOptions {
  const version = readVersion(values);
  const filters = [...new Set(readTopics(values, url, true))];
  return {
    filters,
    ...readHandling(values, version, filters),
    qos: readQos(values),
    format: readFormat(values),
    hasNewline: values.omitNewline !== true,
    count: integer(values, "count", "--count", 1, Number.MAX_SAFE_INTEGER) ?? Infinity,
    ignoresRetained: values.ignoreRetained === true,
  };
}

/** What a subscription has beside its QoS in MQTT 5. */
function readHandling(values: Values, version: Version, filters: string[]): SubscriptionHandling {
  const isNoLocal = values.noLocal === true;
  const isRetainAsPublished = values.retainAsPublish === true;
  const retainHandling = readUpToTwo(values, "retainHandling", "--retain-handling");
  if (isNoLocal) needMqtt5(version, "--no-local");
  if (isRetainAsPublished) needMqtt5(version, "--retain-as-publish");
  if (retainHandling > 0) needMqtt5(version, "--retain-handling");
  if (isRetainAsPublished && values.ignoreRetained === true) {
    throw new Failure("--ignore-retained and --retain-as-publish contradict each other: use --retain-handling 2");
  }
  for (const filter of filters) {
    if (version !== "v5" || !filter.startsWith("$share/")) continue;
    if (!/^\$share\/[^/+#]+\/./.test(filter)) {
      throw new Failure(`--topic must be like $share/name/filter for a shared subscription, not ${quote(filter)}`);
    }
    // [MQTT-3.8.3-4].
    if (isNoLocal) throw new Failure(`--no-local must not be used for a shared subscription, as ${quote(filter)} is`);
  }
  return { isNoLocal, isRetainAsPublished, retainHandling };
}

function readFormat(values: Values): Formatter {
  const format = text(values, "format", "--format");
  const form = text(values, "print", "--print");
  const given = [format !== undefined && "--format", values.json === true && "--json", form !== undefined && "--print"];
  const [first, second] = [...given, values.verbose === true && form === undefined && "--verbose"].filter(Boolean);
  if (second) throw new Failure(`${String(first)} and ${second} contradict each other: leave one of them out`);
  if (format !== undefined) return compileFormat(format);
  if (values.json === true) return compileFormat("%j");
  if (form !== undefined && !PRINT_FORMS.includes(form as PrintForm)) {
    throw new Failure(`--print must be one of ${PRINT_FORMS.join(", ")}, not ${quote(form)}`);
  }
  return printForm((form ?? "raw") as PrintForm, values.verbose === true);
}

/** Resolves when all messages of `--count` are written. */
export async function sub(
  session: Session,
  options: SubOptions,
  life: Life,
  status: Status,
  messages: Messages,
): Promise<void> {
  const { filters, qos, format, hasNewline, ignoresRetained } = options;
  const subscribed = session.subscribe(filters, qos, options).then((results) => {
    for (const { filter, reasonCode, properties } of results) {
      if (reasonCode < REFUSED) {
        status.say(`Client ${session.clientId} subscribed to ${filter}`);
      } else {
        const why = session.because(reasonCode, properties);
        status.complain(`the broker refused the subscription to ${quote(filter)}${why}`);
      }
    }
    if (results.every(({ reasonCode }) => reasonCode >= REFUSED)) throw new Failure("", EXIT_FAILURE);
  });
  // Messages are taken meanwhile: those that a session has kept come before the answer.
  subscribed.catch((failure: Failure) => life.end(failure));
  for (let left = options.count; left > 0;) {
    // One at a time: while standard output takes nothing, nothing is read from the network for long.
    const message = await life.until(session.next());
    if (!ignoresRetained || !message.retain) {
      const bytes = formatted(message, format, status);
      if (bytes !== undefined) {
        await messages.write(hasNewline ? Buffer.concat([bytes, NEWLINE]) : bytes);
        left--;
      }
    }
    session.acknowledge(message);
  }
}

/** Undefined, and said so, for a message that cannot be written in this format. */
function formatted(message: Message, format: Formatter, status: Status): Uint8Array | undefined {
  try {
    return format(message, new Date());
  } catch (error) {
    if (!(error instanceof NotJson)) throw error;
    status.complain(error.message);
    return undefined;
  }
}
