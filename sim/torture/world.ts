/**
 * Virtual time: one queue of events, each of which runs to its end before the next begins. Also what everybody in a
 * schedule shares: the random numbers, the trace, and the first rule that was broken.
 *
 * Knows nothing of networks or MQTT. Invariant: time never goes back, and events due at the same time run in the order
 * in which they were asked for.
 */
import { Random } from "./random.js";
import type { Trace } from "./trace.js";
import { Violation } from "./violation.js";

/** An event to come. */
export interface Event {
  readonly dueMs: number;
  readonly order: number;
  /** Undefined once it is called off. */
  fire: (() => void) | undefined;
}

/** Events after which a schedule is taken for one that never ends. */
const MOST_EVENTS = 200000;

export class World {
  readonly random: Random;
  /** What a broker is like to clients of MQTT 5: to others, a schedule is what it is without. */
  readonly random5: Random;
  readonly trace: Trace | undefined;
  /** Milliseconds since the schedule began. */
  nowMs = 0;
  /** No more faults: what is left is to be finished. */
  isHealed = false;
  /** The first rule that was broken. */
  violation: Violation | undefined;
  /** Events that ran. */
  events = 0;
  /** How often things happened that are to happen now and then. */
  readonly counts = new Map<string, number>();
  private readonly _heap: Event[] = [];
  private _order = 0;

  /** @param trace where to write what happens; undefined: nowhere, which is faster */
  constructor(seed: number, trace: Trace | undefined) {
    this.random = new Random(seed);
    this.random5 = new Random(seed ^ 0x55555555);
    this.trace = trace;
  }

  /** Has `fire` called in `delayMs`. */
  after(delayMs: number, fire: () => void): Event {
    const event = { dueMs: this.nowMs + delayMs, order: this._order++, fire };
    const heap = this._heap;
    let at = heap.length;
    heap.push(event);
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!isBefore(event, heap[parent])) break;
      heap[at] = heap[parent];
      at = parent;
    }
    heap[at] = event;
    return event;
  }

  /** Notes a broken rule; the schedule ends behind the event that is running. Returns it, to be thrown where needed. */
  fail(device: number, rule: string): Violation {
    const violation = new Violation(device, rule);
    this.violation ??= violation;
    return violation;
  }

  /** Something happened that is to happen now and then. */
  count(what: string): void {
    this.counts.set(what, (this.counts.get(what) ?? 0) + 1);
  }

  /** Writes a line of the trace. Ask for `trace` first where the text costs anything. */
  note(device: number, text: string): void {
    this.trace?.add(this.nowMs, device, text);
  }

  /** Runs events until `isOver`, until a rule is broken, or until `untilMs`. Returns false when that came first. */
  run(untilMs: number, isOver: () => boolean): boolean {
    while (this.violation === undefined) {
      if (isOver()) return true;
      const event = this._take();
      if (event === undefined || event.dueMs > untilMs) return false;
      this.nowMs = event.dueMs;
      if (++this.events > MOST_EVENTS) {
        this.fail(-1, `stuck: more than ${MOST_EVENTS} events`);
        break;
      }
      try {
        event.fire?.();
      } catch (error) {
        if (!(error instanceof Violation)) this.fail(-1, `an exception: ${describe(error)}`);
      }
    }
    return true;
  }

  private _take(): Event | undefined {
    const heap = this._heap;
    if (heap.length === 0) return undefined;
    const first = heap[0];
    const last = heap.pop();
    const length = heap.length;
    if (last === undefined || length === 0) return first;
    let at = 0;
    for (let child = 1; child < length; child = 2 * at + 1) {
      if (child + 1 < length && isBefore(heap[child + 1], heap[child])) child++;
      if (!isBefore(heap[child], last)) break;
      heap[at] = heap[child];
      at = child;
    }
    heap[at] = last;
    return first;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.order < b.order);
}

function describe(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  return (error.stack ?? error.message).split("\n").slice(0, 6).join(" | ");
}
