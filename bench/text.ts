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

/** With its unit. Nanoseconds become what reads best. */
export function show(value: number, unit: string): string {
  if (unit !== "ns") return unit === "" ? digitsOf(value) : `${digitsOf(value)} ${unit}`;
  const [scale, name] = value < 1e3 ? [1, "ns"] : value < 1e6 ? [1e3, "µs"] : value < 1e9 ? [1e6, "ms"] : [1e9, "s"];
  return `${digitsOf(value / scale)} ${name}`;
}

/** A ratio as it is read: "26.4 x". */
export const times = (value: number): string => `${digitsOf(value)} x`;
