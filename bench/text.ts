/** How the report writes figures and tables. */

/** A table of Markdown: the first column is text, the others are figures. */
export function markdown(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.join(" | ")} |`;
  return [line(head), line(head.map((_, i) => (i === 0 ? "---" : "--:"))), ...rows.map(line)].join("\n");
}

/** With at most `digits` significant digits, and separators; none is lost in front of the point. */
export function digitsOf(value: number, digits = 3): string {
  const places = value === 0 ? 0 : Math.max(0, digits - 1 - Math.floor(Math.log10(Math.abs(value))));
  return value.toLocaleString("en-US", { maximumFractionDigits: Math.min(places, digits) });
}

const NANOSECONDS: Record<string, number> = { ns: 1, us: 1e3, ms: 1e6, s: 1e9 };

/** What a unit counts, and per what: "ns per message" are two. */
function partsOf(unit: string): [what: string, per: string] {
  const at = unit.indexOf("per ");
  return at < 0 ? [unit, ""] : [unit.slice(0, at).trim(), unit.slice(at)];
}

/** What a column shows, with what it is per. */
export const headOf = (title: string, unit: string): string => `${title} ${partsOf(unit)[1]}`.trim();

/** With what its unit counts. Times become what reads best. */
export function show(value: number, unit: string): string {
  const [what] = partsOf(unit);
  if (what === "B" || what === "bytes") return value < 1e6 ? `${digitsOf(value)} B` : `${digitsOf(value / 1e6)} MB`;
  if (!(what in NANOSECONDS)) return what === "" ? digitsOf(value) : `${digitsOf(value)} ${what}`;
  const ns = value * NANOSECONDS[what];
  const [scale, name] = ns < 1e3 ? [1, "ns"] : ns < 1e6 ? [1e3, "µs"] : ns < 1e9 ? [1e6, "ms"] : [1e9, "s"];
  return `${digitsOf(ns / scale)} ${name}`;
}

/** A ratio as it is read: "26.4 x". */
export const times = (value: number): string => `${digitsOf(value)} x`;
