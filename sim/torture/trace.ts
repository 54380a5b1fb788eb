/** What happened in a schedule, in the order of time, for people. */

interface Line {
  atMs: number;
  /** -1: concerns all. */
  device: number;
  text: string;
}

/** Lines that show how it began: the network, the broker, the devices. */
const HEAD = 5;

export class Trace {
  private readonly _lines: Line[] = [];

  add(atMs: number, device: number, text: string): void {
    this._lines.push({ atMs, device, text });
  }

  /**
   * The lines that concern `device` (-1: all lines), `most` of them: how it began, and how it ended. A line between
   * them says how many were left out; PINGREQ and PINGRESP are the first to be.
   */
  text(device: number, most: number): string {
    const lines = this._lines.filter((line) => device < 0 || line.device < 0 || line.device === device);
    if (lines.length <= most) return lines.map(lineText).join("\n");
    const texts = lines.filter(({ text }) => !/PING(?:REQ|RESP)$/.test(text)).map(lineText);
    const head = Math.min(HEAD, most - 1);
    const tail = texts.slice(Math.max(head, texts.length - most + head));
    const left = lines.length - head - tail.length;
    return [...texts.slice(0, head), `   ... ${left} lines are left out`, ...tail].join("\n");
  }
}

function lineText({ atMs, device, text }: Line): string {
  const who = device < 0 ? "      " : `dev${device}  `;
  return `${(atMs / 1000).toFixed(3).padStart(10)}  ${who}${text}`;
}
