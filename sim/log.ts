/** The log of a run: one line for each thing that happens, in columns. Knows where lines go, not what they say. */

/** Widths of the columns: seconds, who, what. */
const TIME_WIDTH = 6;
const WHO_WIDTH = 10;
const WHAT_WIDTH = 11;

/** Writes a log. */
export class Log {
  readonly #write: (text: string) => void;
  #startMs = performance.now();

  /** @param write takes lines with their ends */
  constructor(write: (text: string) => void) {
    this.#write = write;
  }

  /** What stands above the lines; time begins here. */
  title(text: string): void {
    this.#startMs = performance.now();
    this.#write(`${text}\n\n`);
    this.#columns("time", "who", "what", "details");
  }

  /** Something happened, now. */
  line(who: string, what: string, details: string): void {
    this.#columns(((performance.now() - this.#startMs) / 1000).toFixed(3), who, what, details);
  }

  #columns(time: string, who: string, what: string, details: string): void {
    const columns = [time.padStart(TIME_WIDTH), who.padEnd(WHO_WIDTH), what.padEnd(WHAT_WIDTH), ""].join("  ");
    // Details of several lines stay in their column.
    const text = columns + details.replace(/\n/g, `\n${" ".repeat(columns.length)}`);
    this.#write(`${text.trimEnd()}\n`);
  }
}
