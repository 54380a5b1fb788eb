/**
 * What a message and a client cost on a board's engine, XS: work in computrons, the engine's own measure, and memory in
 * slots, of 16 bytes on a board. Both are exact, the same at each run. What runs are the files that a board loads.
 *
 *     npm run budget               prints the tables
 *     npm run budget -- --check    fails when a figure is worse than in bench/budget.json, or another in README.md
 *     npm run budget -- --update   writes the figures to bench/budget.json and README.md
 *
 * In README.md the tables stand between <!-- budget --> and <!-- /budget -->. The engine is compiled by
 * `npm run build:xs`. Bytes of code are the business of size.mjs.
 */
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { rollup } from "rollup";
import { entries, minified, root } from "../rollup.shared.js";
import { bundle } from "../test/xs/bundle.js";
import { isBuilt, XsMachine } from "../test/xs/machine.js";

const BUDGET = resolve(root, "bench/budget.json");
const SIZES = resolve(root, "bench/size.json");
const README = resolve(root, "README.md");
const BLOCK = /(<!-- budget -->)[^]*?(<!-- \/budget -->)/;

/** Those of a client alone, and with the HAL of boards between it and the platform's own connection. */
interface Figures {
  computrons?: number;
  slots?: number;
  withHalComputrons?: number;
  withHalSlots?: number;
  writes?: number;
}

/** What a round of a task used. */
interface Round {
  computrons: number;
  slots: number;
  writes: number;
}

/** What is aimed at, for a client alone. */
const RECEIVED = { computrons: 400, slots: 12 };
const PUBLISHED = { computrons: 300, slots: 12, writes: 1 };
const CLIENT = { slots: 117 };
const SIZE_TARGETS: [name: string, bytes: number][] = [["codec and session", 6000], ["mcu-mqtt/client", 9000]];

type Format = "string" | "buffer";

/** One row: what is done, in words and in the workload's own, and per how many messages. */
interface Task {
  title: string;
  format: Format;
  /** `ROUNDS` stands for how often. */
  call: string;
  /** Messages in a round. */
  messages: number;
  target: Figures;
}

function receiving(
  what: string,
  topicLength: number,
  qos: number,
  format: Format,
  perRead: number,
  isInTurn = false,
): Task {
  const title = `received, ${what}`;
  const target = qos === 0 ? RECEIVED : {};
  const call = `receive(ROUNDS, ${topicLength}, ${qos}, ${perRead}, ${isInTurn})`;
  return { title, format, call, messages: perRead, target };
}

function publishing(what: string, isText: boolean, qos: number): Task {
  const title = `published, ${what}`;
  const target = qos === 0 ? PUBLISHED : {};
  return { title, format: "string", call: `publish(ROUNDS, ${isText}, ${qos}, true)`, messages: 1, target };
}

const TASKS: Task[] = [
  receiving("QoS 0, topic of 4 bytes, as a string", 4, 0, "string", 1),
  receiving("QoS 0, topic of 32 bytes, as a string", 32, 0, "string", 1),
  receiving("QoS 0, topic of 4 bytes, as bytes", 4, 0, "buffer", 1),
  receiving("QoS 0, topic of 32 bytes, as bytes", 32, 0, "buffer", 1),
  receiving("the same, two topics in turn", 32, 0, "buffer", 1, true),
  receiving("one topic, four in one read", 32, 0, "buffer", 4),
  receiving("QoS 1", 32, 1, "buffer", 1),
  receiving("QoS 1, four in one read", 32, 1, "buffer", 4),
  receiving("QoS 2", 32, 2, "buffer", 1),
  publishing("QoS 0, bytes", false, 0),
  publishing("QoS 0, a string", true, 0),
  publishing("QoS 1, bytes", false, 1),
  publishing("QoS 2, bytes", false, 2),
];
const CLIENT_TITLE = "a client, connected and subscribed";

/** What is done with a client that modules have been added to. */
interface OptionalTask {
  title: string;
  /** Their names. */
  modules: string;
  /** What is done once before. */
  before?: string;
  call: string;
  /** What the measurement itself costs, if that is another call: with the client that does nothing. */
  own?: string;
}

/** Modules that add to a client while it is used. */
const ADDING = [
  "outcomes", "queue", "snapshot", "streams", "subscriptions", "reconnect", "acknowledge", "retry", "ping", "times",
] as const;
/** All of them; what reconnects keeps the subscriptions, too. */
const ALL = ADDING.filter((name) => name !== "subscriptions").join();
const OPTIONAL_TASKS: OptionalTask[] = [
  ...["outcomes", "queue", "streams", "acknowledge", "retry", "reconnect", ALL].map((modules) => ({
    title: `received, QoS 0, with ${shown(modules)}`,
    modules,
    call: "receive(ROUNDS, 32, 0, 1, false)",
  })),
  { title: "published, QoS 1, and its outcome", modules: "outcomes", call: "publishForOutcome(ROUNDS)" },
  { title: "published, QoS 0, with `queue`", modules: "queue", call: "publish(ROUNDS, false, 0, true)" },
  { title: "snapshot of four messages", modules: "snapshot", before: "queue(4)", call: "snapshot(ROUNDS)" },
  {
    title: "restored, four messages",
    modules: "snapshot",
    before: "queue(4), snapshot(1)",
    call: "restore(ROUNDS, true)",
    own: "restore(ROUNDS, false)",
  },
  { title: "published from a source, QoS 1, 1,024 bytes", modules: "streams", call: "publishFrom(ROUNDS)" },
];

/** One row of what MQTT 5 costs. */
interface Task5 {
  title: string;
  /** What is received has three properties, which nobody reads. */
  hasProperties: boolean;
  call: string;
  /** The same with 3.1.1: the title of its row, and how many times that it may take. */
  like: string;
  times: number;
}

const CLIENT_5_TITLE = "MQTT 5: a client, connected and subscribed";
const TASKS_5: Task5[] = [
  ["received, QoS 0, topic of 32 bytes, as bytes", 32, 0, false, 1.25],
  ["received, QoS 0, topic of 32 bytes, as bytes", 32, 0, true, 1.6],
  ["received, QoS 1", 32, 1, false, Infinity],
  ["received, QoS 2", 32, 2, false, Infinity],
].map(([like, length, qos, hasProperties, times]) => ({
  title: `MQTT 5: ${String(like)}, ${hasProperties === true ? "three" : "no"} properties`,
  hasProperties: hasProperties as boolean,
  call: `receive(ROUNDS, ${String(length)}, ${String(qos)}, 1, false)`,
  like: like as string,
  times: times as number,
}));
TASKS_5.push(...[
  ["published, QoS 0, bytes", false, 0, 1.25],
  ["published, QoS 0, a string", true, 0, 1.25],
  ["published, QoS 1, bytes", false, 1, Infinity],
  ["published, QoS 2, bytes", false, 2, Infinity],
].map(([like, isText, qos, times]) => ({
  title: `MQTT 5: ${String(like)}`,
  hasProperties: false,
  call: `publish(ROUNDS, ${String(isText)}, ${String(qos)}, true)`,
  like: like as string,
  times: times as number,
})));

function shown(modules: string): string {
  return modules === ALL ? "all of them" : `\`${modules}\``;
}

function addedTitle(modules: string): string {
  return `what ${shown(modules)} ${modules === ALL ? "add" : "adds"} to a client`;
}

/** A board's file as a script: what it exports is added to the global `board`. */
async function boardScript(input: string): Promise<string> {
  const { output, ...options } = minified(input);
  const made = await rollup(options);
  try {
    const { code } = (await made.generate(output)).output[0];
    const named = (list: string): string => list.replace(/(\w+) as (\w+)/g, "$2:$1");
    const exported = (list: string): string => `globalThis.board={...globalThis.board,${named(list)}}`;
    return `{${code.replace(/export\s*\{([^}]*)\};?/, (_all, list: string) => exported(list))}}`;
  } finally {
    await made.close();
  }
}

/** A machine with the workload. */
class Bench {
  readonly machine: XsMachine;
  private told = 0;

  constructor() {
    this.machine = new XsMachine((request) => {
      this.told = new DataView(request.buffer, request.byteOffset).getUint32(0, true);
      return new Uint8Array(0);
    });
  }

  /** Slots that live. */
  async live(): Promise<number> {
    await this.machine.evaluate("gc()");
    return (await this.machine.evaluate("gc()")).slots;
  }

  /** Slots that live when a script has run once more. What the machine keeps of any script is not counted. */
  async slotsOf(script: string): Promise<number> {
    // The first time makes what all share.
    await this.machine.evaluate(script);
    const start = await this.live();
    const idle = await this.grown(start, "1 + 1");
    return (await this.grown(start + idle, script)) - idle;
  }

  /** Slots more than `before` that live once a script has run, what the machine keeps of any script among them. */
  private async grown(before: number, script: string): Promise<number> {
    await this.machine.evaluate(script);
    return (await this.live()) - before;
  }

  async writes(): Promise<number> {
    await this.machine.evaluate("tell()");
    return this.told;
  }

  /** What a round costs: between few and more of them nothing is collected, and all that is fixed cancels out. */
  async round(call: string): Promise<Round> {
    const few = 12;
    const more = 20;
    const used: Round[] = [];
    for (const rounds of [few, few, more]) {
      await this.machine.evaluate("gc()");
      await this.writes();
      const usage = await this.machine.evaluate(call.replace("ROUNDS", String(rounds)));
      used.push({ ...usage, writes: await this.writes() });
    }
    const per = (name: keyof Round): number => (used[2][name] - used[1][name]) / (more - few);
    return { computrons: per("computrons"), slots: per("slots"), writes: per("writes") };
  }
}

/** What MQTT 5 costs. */
async function measure5(figures: Record<string, Figures>): Promise<void> {
  for (const hasProperties of [false, true]) {
    const bench = new Bench();
    try {
      await bench.machine.evaluate(await boardScript("src/v5/face.ts"));
      await bench.machine.evaluate(await bundle("bench/workload.ts"));
      await bench.machine.evaluate(`speak5(${hasProperties})`);
      const tasks = TASKS_5.filter((task) => task.hasProperties === hasProperties);
      if (!hasProperties) figures[CLIENT_5_TITLE] = { slots: await bench.slotsOf('start(false, "buffer")') };
      await bench.machine.evaluate('start(false, "buffer")');
      const all: Round[] = [];
      for (const task of tasks) all.push(await bench.round(task.call));
      await bench.machine.evaluate("idle()");
      for (const [i, { title, call }] of tasks.entries()) {
        const own = await bench.round(call);
        const { computrons, slots, writes } = all[i];
        figures[title] = { computrons: computrons - own.computrons, slots: slots - own.slots, writes };
      }
    } finally {
      bench.machine.close();
    }
  }
}

async function measure(): Promise<Record<string, Figures>> {
  const bench = new Bench();
  const figures: Record<string, Figures> = {};
  try {
    await bench.machine.evaluate(await boardScript(entries.client));
    await bench.machine.evaluate(await bundle("bench/workload.ts"));
    const live: number[] = [];
    const whole = new Map<Task, Round[]>(TASKS.map((task) => [task, []]));
    for (const isAdapted of [false, true]) {
      live.push(await bench.slotsOf(`start(${isAdapted}, "string")`));
      for (const format of ["string", "buffer"] as const) {
        await bench.machine.evaluate(`start(${isAdapted}, "${format}")`);
        for (const task of TASKS.filter((each) => each.format === format)) {
          whole.get(task)!.push(await bench.round(task.call));
        }
      }
    }
    figures[CLIENT_TITLE] = { slots: live[0], withHalSlots: live[1] };
    for (const name of ADDING) await bench.machine.evaluate(await boardScript(entries[name]));
    const plain = await bench.slotsOf('start(false, "buffer")');
    for (const modules of [...ADDING, ALL]) {
      const slots = await bench.slotsOf(`start(false, "buffer", "${modules}")`);
      figures[addedTitle(modules)] = { slots: slots - plain };
    }
    const added: Round[] = [];
    for (const { modules, before, call } of OPTIONAL_TASKS) {
      await bench.machine.evaluate(`start(false, "buffer", "${modules}"), ${before ?? "0"}`);
      added.push(await bench.round(call));
    }
    await bench.machine.evaluate("idle()");
    for (const task of TASKS) {
      const [alone, withHal] = whole.get(task)!;
      const own = await bench.round(task.call);
      const share = (all: number, its: number): number => Math.round(((all - its) / task.messages) * 100) / 100;
      figures[task.title] = {
        computrons: share(alone.computrons, own.computrons),
        slots: share(alone.slots, own.slots),
        withHalComputrons: share(withHal.computrons, own.computrons),
        withHalSlots: share(withHal.slots, own.slots),
        writes: share(alone.writes, 0),
      };
    }
    for (const [i, { title, call, own }] of OPTIONAL_TASKS.entries()) {
      const its = await bench.round(own ?? call);
      const { computrons, slots, writes } = added[i];
      figures[title] = { computrons: computrons - its.computrons, slots: slots - its.slots, writes };
    }
  } finally {
    bench.machine.close();
  }
  await measure5(figures);
  return figures;
}

function table(figures: Record<string, Figures>): string {
  const line = (title: string, cells: (number | undefined)[]): string =>
    `| ${[title, ...cells.map((count) => count?.toLocaleString("en-US") ?? "")].join(" | ")} |`;
  const row = (title: string, target: Figures): string => {
    const { computrons, slots, withHalComputrons, withHalSlots, writes } = figures[title];
    return line(title, [
      computrons, withHalComputrons, target.computrons, slots, withHalSlots, target.slots, writes,
    ]);
  };
  const shortRow = (title: string): string => {
    const { computrons, slots, writes } = figures[title];
    return line(title, [computrons, slots, writes]);
  };
  return [
    "| one message, payload of 64 bytes | computrons | with HAL | aim | slots | with HAL | aim | socket writes |",
    "|---|--:|--:|--:|--:|--:|--:|--:|",
    ...TASKS.map(({ title, target }) => row(title, target)),
    row(CLIENT_TITLE, CLIENT),
    "",
    "| modules that add to a client; payload of 64 bytes, topic of 32 | computrons | slots | socket writes |",
    "|---|--:|--:|--:|",
    ...[...ADDING, ALL].map((modules) => shortRow(addedTitle(modules))),
    ...OPTIONAL_TASKS.map(({ title }) => shortRow(title)),
    "",
    "| MQTT 5; payload of 64 bytes, topic of 32 | computrons | times 3.1.1 | may be | slots | socket writes |",
    "|---|--:|--:|--:|--:|--:|",
    ...TASKS_5.map((task) => {
      const { computrons, slots, writes } = figures[task.title];
      const limit = task.times === Infinity ? "" : task.times;
      const times = ratio(figures, task).toFixed(2);
      return `| ${[task.title, computrons!.toLocaleString("en-US"), times, limit, slots, writes].join(" | ")} |`;
    }),
    `| ${CLIENT_5_TITLE} |  |  |  | ${figures[CLIENT_5_TITLE].slots} |  |`,
  ].join("\n");
}

/** How many times what 3.1.1 takes MQTT 5 takes. */
function ratio(figures: Record<string, Figures>, { title, like }: Task5): number {
  return figures[title].computrons! / figures[like].computrons!;
}

/** The bytes of code, as size.mjs measured them last. */
function sizes(): string {
  const all = JSON.parse(readFileSync(SIZES, "utf8")) as Record<string, { minified: number }>;
  return SIZE_TARGETS.map(([name, aim]) => `${name}: ${all[name].minified} bytes minified, aim ${aim}`).join("\n");
}

/** What keeps the figures from being accepted, as sentences. */
function complaints(figures: Record<string, Figures>): string[] {
  const budget = (existsSync(BUDGET) ? JSON.parse(readFileSync(BUDGET, "utf8")) : {}) as Partial<typeof figures>;
  const found = [];
  for (const [title, measured] of Object.entries(figures)) {
    for (const [unit, value] of Object.entries(measured) as [keyof Figures, number][]) {
      const allowed = budget[title]?.[unit];
      if (allowed === undefined) found.push(`"${title}" has no budget of ${unit}.`);
      else if (value > allowed) found.push(`"${title}" takes ${value} ${unit}; its budget is ${allowed}.`);
    }
  }
  for (const task of TASKS_5) {
    const times = ratio(figures, task);
    const most = `it may be ${task.times}`;
    if (times > task.times) found.push(`"${task.title}" takes ${times.toFixed(2)} times 3.1.1; ${most}.`);
  }
  const written = BLOCK.exec(readFileSync(README, "utf8"));
  const isComplete = Object.keys(figures).every((title) => title in budget);
  if (written && isComplete && !written[0].includes(table(budget as typeof figures))) {
    found.push("README.md has other numbers in its <!-- budget --> block.");
  }
  return found;
}

function update(figures: Record<string, Figures>): void {
  writeFileSync(BUDGET, `${JSON.stringify(figures, null, 2)}\n`);
  const readme = readFileSync(README, "utf8");
  if (!BLOCK.test(readme)) console.error("README.md has no <!-- budget --> and, lines below, <!-- /budget -->.");
  writeFileSync(README, readme.replace(BLOCK, `$1\n${table(figures)}\n$2`));
}

const known = ["--check", "--update"];
const unknown = process.argv.slice(2).filter((option) => !known.includes(option));
if (unknown.length > 0) {
  console.error(`budget: unknown option ${unknown[0]}; there are ${known.join(" and ")}`);
  process.exitCode = 2;
} else if (!isBuilt()) {
  console.error('The XS engine is not compiled, so that nothing can be measured: "npm run build:xs" does it.');
  // In CI nothing is left out; elsewhere it need not be there to be checked against.
  if (process.env["MCU_MQTT_FULL"] || process.env["CI"] || !process.argv.includes("--check")) process.exitCode = 1;
} else {
  const figures = await measure();
  console.log(`${table(figures)}\n\n${sizes()}`);
  if (process.argv.includes("--update")) update(figures);
  if (process.argv.includes("--check")) {
    const found = complaints(figures);
    for (const complaint of found) console.error(complaint);
    if (found.length > 0) {
      console.error('Make it cheaper, or accept it with "npm run budget -- --update" and say why in the commit.');
      process.exitCode = 1;
    }
  }
}
