/** What happened in a schedule, in the order of time, for people. */

interface Line {
  atMs: number;
  /** -1: concerns all. */
  device: number;
  text: string;
}

export class Trace {
  private readonly _lines: Line[] = [];

  add(atMs: number, device: number, text: string): void {
    this._lines.push({ atMs, device, text });
  }

  /**
   * The lines that concern `device` (-1: all lines), the last `most` of them.
   *
   * @param most a first line says how many were left out
   */
  text(device: number, most: number): string {
    const lines = this._lines.filter((line) => device < 0 || line.device < 0 || line.device === device);
    const shown = lines.slice(-most);
    const left = lines.length - shown.length;
    const head = left > 0 ? [`   ... ${left} earlier lines are left out`] : [];
    return [...head, ...shown.map(lineText)].join("\n");
  }
}

function lineText({ atMs, device, text }: Line): string {
  const who = device < 0 ? "      " : `dev${device}  `;
  return `${(atMs / 1000).toFixed(3).padStart(10)}  ${who}${text}`;
}
