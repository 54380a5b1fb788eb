/** `mcu-mqtt pub`: publishes one message, the same again and again, or each line of standard input. */
import type { Values } from "./arguments.js";
import { Failure } from "./failure.js";
import type { Life } from "./life.js";
import type { QoS } from "./options.js";
import { integer, keepsSession, readQos, readTopics, seconds } from "./options.js";
import type { Status } from "./output.js";
import { readLines, readPayload, readStdin, readWhole } from "./payloads.js";
import type { PayloadSource } from "./payloads.js";
import { MAX_WAITING, MAX_WAITING_BYTES } from "./session.js";
import type { Session } from "./session.js";
import type { BrokerUrl } from "./url.js";

export interface PubOptions {
  topics: string[];
  qos: QoS;
  isRetained: boolean;
  payload: PayloadSource;
  repeat: number;
  repeatSeconds: number;
}

/** A run of more messages shows its progress on a terminal instead of each message. */
const LONG_RUN = 20;

export function readPubOptions(values: Values, url: BrokerUrl | undefined): PubOptions {
  const topics = readTopics(values, url, false);
  const payload = readPayload(values);
  const repeat = integer(values, "repeat", "--repeat", 1, Number.MAX_SAFE_INTEGER);
  const repeatSeconds = seconds(values, "repeatDelay", "--repeat-delay", 0);
  if (payload === "stdin-lines" && repeat !== undefined) {
    throw new Failure("--stdin-lines and --repeat contradict each other: leave one of them out");
  }
  if (repeat === undefined && repeatSeconds !== undefined) {
    throw new Failure("--repeat-delay must be used together with --repeat");
  }
  const qos = readQos(values);
  if (qos === 2 && values.reconnect !== undefined && !keepsSession(values)) {
    throw new Failure("--reconnect at QoS 2 needs --persistent or --session-expiry: else a message could come twice");
  }
  return {
    topics,
    qos,
    isRetained: values.retain === true,
    payload,
    repeat: repeat ?? 1,
    repeatSeconds: repeatSeconds ?? 0,
  };
}

/** What is there before the connection is: all of standard input, unless its lines are published as they come. */
export async function preparePayload({ payload }: PubOptions, life: Life): Promise<Uint8Array | undefined> {
  if (payload === "stdin") return life.until(readWhole(readStdin()));
  return payload === "stdin-lines" ? undefined : payload;
}

/** @param payload undefined: the lines of standard input */
export async function pub(
  session: Session,
  options: PubOptions,
  payload: Uint8Array | undefined,
  life: Life,
  status: Status,
): Promise<void> {
  const waiting = new Waiting();
  // Also while there is nothing to publish.
  session.lost.catch((failure: Failure) => life.end(failure));
  const { topics, qos, isRetained: retain, repeat, repeatSeconds } = options;
  const { overhead } = session;
  const total = payload === undefined ? "" : ` of ${repeat * topics.length}`;
  status.isLong = payload === undefined || repeat * topics.length > LONG_RUN;
  let sent = 0;

  async function publish(bytes: Uint8Array): Promise<void> {
    for (const topic of topics) {
      const length = Buffer.byteLength(topic) + bytes.length + overhead;
      await life.until(waiting.room(length));
      await life.until(status.room());
      await turn();
      waiting.add(session.publish({ topic, payload: bytes, qos, retain }), length);
      sent++;
      if (status.hasProgress) status.progress(`${sent}${total} messages published`);
    }
  }

  if (payload === undefined) {
    const lines = readLines(readStdin());
    for (;;) {
      const line = await life.until(lines.next());
      if (line.done === true) break;
      await publish(line.value);
    }
  } else {
    for (let left = repeat; left > 0; left--) {
      await publish(payload);
      if (repeatSeconds > 0 && left > 1) {
        await life.until(waiting.none());
        await life.sleep(repeatSeconds);
      }
    }
  }
  await life.until(waiting.none());
}

/** Time without a turn of the event loop. */
const LONG_TURN_MS = 10;
let turnedMs = 0;

/** Now and then, lets timers and signals have their turn: at QoS 0 nothing else is waited for. */
async function turn(): Promise<void> {
  if (performance.now() - turnedMs < LONG_TURN_MS) return;
  await new Promise((resolve) => setImmediate(resolve));
  turnedMs = performance.now();
}

/** The messages that have no outcome yet. */
class Waiting {
  #count = 0;
  #bytes = 0;
  #failure: unknown;
  #wake: (() => void) | undefined;

  add(outcome: Promise<void>, length: number): void {
    this.#count++;
    this.#bytes += length;
    outcome
      .catch((error: unknown) => (this.#failure ??= error))
      .finally(() => {
        this.#count--;
        this.#bytes -= length;
        this.#wake?.();
      });
  }

  /** Resolves when one more of `length` bytes may wait; rejects when one of those before has failed. */
  room(length: number): Promise<void> {
    const hasRoom = (): boolean => this.#count < MAX_WAITING && this.#bytes + length <= MAX_WAITING_BYTES;
    return this.#until(() => this.#count === 0 || hasRoom());
  }

  /** Resolves when all have their outcome. */
  none(): Promise<void> {
    return this.#until(() => this.#count === 0);
  }

  async #until(condition: () => boolean): Promise<void> {
    while (this.#failure === undefined && !condition()) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    if (this.#failure !== undefined) throw this.#failure as Error;
  }
}
