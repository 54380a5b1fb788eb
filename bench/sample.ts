/**
 * The process of one sample: loads one contestant and one table, measures one cell, prints the figures as JSON.
 *
 *     node sample.js TABLE CONTESTANT ARGS-AS-JSON [quick]
 */
import type { Contestant } from "./contestants/contestant.js";
import type { Row, Table } from "./tables/table.js";

const [tableName, contestantName, args, speed] = process.argv.slice(2);
const { default: table } = (await import(new URL(`tables/${tableName}.js`, import.meta.url).href)) as {
  default: Table;
};
const { default: contestant } = (await import(new URL(`contestants/${contestantName}.js`, import.meta.url).href)) as {
  default: Contestant;
};
const figures = await table.run(contestant, JSON.parse(args) as Row["args"], speed === "quick", contestantName);
// Sockets, timers and peers of the contestant's must not keep the process.
process.stdout.write(`${JSON.stringify(figures ?? null)}\n`, () => process.exit());
