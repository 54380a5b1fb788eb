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
  let left = options.count;
  let written: Promise<void> = Promise.resolve();

  function write(message: Message): void {
    if (left === 0 || (ignoresRetained && message.retain)) return;
    let bytes: Uint8Array;
    try {
      bytes = format(message, new Date());
    } catch (error) {
      if (!(error instanceof NotJson)) throw error;
      status.complain(error.message);
      return;
    }
    left--;
    written = messages.write(hasNewline ? Buffer.concat([bytes, NEWLINE]) : bytes);
    written.then(() => (left === 0 ? finish() : undefined), () => undefined);
    if (process.stdout.writableNeedDrain) {
      session.pause();
      process.stdout.once("drain", () => session.resume());
    }
  }

  let finish!: () => void;
  const finished = new Promise<void>((resolve) => (finish = resolve));
  session.onMessage(write);
  const granted = await life.until(Promise.race([session.subscribe(filters, qos), session.lost]));
  for (let i = 0; i < filters.length; i++) {
    if (granted[i] < 0x80) status.say(`Client ${session.clientId} subscribed to ${filters[i]}`);
    else status.complain(`the broker refused the subscription to ${quote(filters[i])}`);
  }
  if (granted.every((code) => code >= 0x80)) throw new Failure("there is nothing to wait for", EXIT_FAILURE);
  await life.until(Promise.race([finished, session.lost]));
}
