/** `mcu-mqtt sub`: subscribes, and writes the messages that come to standard output. */
import type { Values } from "./arguments.js";
import { EXIT_FAILURE, Failure, quote } from "./failure.js";
import { compileFormat, NotJson, PRINT_FORMS, printForm } from "./format.js";
import type { Formatter, PrintForm } from "./format.js";
import type { Life } from "./life.js";
import { integer, readQos, readTopics, text } from "./options.js";
import type { QoS } from "./options.js";
import type { Messages, Status } from "./output.js";
import type { Message, Session } from "./session.js";
import type { BrokerUrl } from "./url.js";

export interface SubOptions {
  filters: string[];
  qos: QoS;
  format: Formatter;
  hasNewline: boolean;
  /** After so many messages the work is done. */
  count: number;
  ignoresRetained: boolean;
}

const NEWLINE = Buffer.from("\n");
/** The return code of SUBACK for a filter that was refused [MQTT-3.9.3-2]. */
const REFUSED = 0x80;

export function readSubOptions(values: Values, url: BrokerUrl | undefined): SubOptions {
  if (values.retainAsPublish === true) refuseMqtt5("--retain-as-publish");
  const handling = text(values, "retainHandling", "--retain-handling");
  if (handling === "1" || handling === "2") refuseMqtt5("--retain-handling");
  if (handling !== undefined && handling !== "0") {
    throw new Failure(`--retain-handling must be 0, 1 or 2, not ${quote(handling)}`);
  }
  return {
    filters: [...new Set(readTopics(values, url, true))],
    qos: readQos(values),
    format: readFormat(values),
    hasNewline: values.omitNewline !== true,
    count: integer(values, "count", "--count", 1, Number.MAX_SAFE_INTEGER) ?? Infinity,
    ignoresRetained: values.ignoreRetained === true,
  };
}

function refuseMqtt5(flag: string): never {
  throw new Failure(`${flag} is of MQTT 5, which is not supported yet: leave it out`);
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
  const subscribed = session.subscribe(filters, qos).then((granted) => {
    for (let i = 0; i < filters.length; i++) {
      if (granted[i] < REFUSED) status.say(`Client ${session.clientId} subscribed to ${filters[i]}`);
      else status.complain(`the broker refused the subscription to ${quote(filters[i])}`);
    }
    if (granted.every((code) => code === REFUSED)) throw new Failure("", EXIT_FAILURE);
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
