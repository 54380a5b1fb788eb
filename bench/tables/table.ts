/**
 * What a table of the report is: rows, contestants, and how a sample of a cell is taken. Loaded by the main process,
 * which plans and reports, and by the process of each sample, which calls `run` once and ends.
 */
import type { Contestant } from "../contestants/contestant.js";

/** What a sample measured, by the name of the figure; e.g. `cpuNs` per message. */
export type Figures = Record<string, number>;

/** A figure of a table. */
export interface Column {
  /** Its name in `Figures`. */
  figure: string;
  title: string;
  unit: string;
}

export interface Row {
  /** What is done, as the table calls it. */
  title: string;
  /** What `run` gets; numbers and strings only. */
  args: Record<string, number | string>;
  /** Only these; otherwise all of the table. */
  contestants?: string[];
  /** Left out with `--quick`. */
  isLong?: boolean;
  /**
   * Title of the row that it is compared with, of the same contestant, instead of contestants with ours. For what
   * grows: the figures of different contestants need not be comparable then.
   */
  base?: string;
}

export interface Table {
  title: string;
  /** What is measured and how, for the reader. A paragraph. */
  text: string;
  /** Names of files in bench/contestants; the first is ours, with which the others are compared. */
  contestants: string[];
  rows: Row[];
  /** The first one is what the ratios are of, and what the chart shows. */
  columns: Column[];
  /** Arguments of Node for the process of a sample. */
  nodeOptions?: string[];
  /** Rounds, if not as many as were asked for: where a figure is the same each time, one will do. */
  rounds?: number;
  /**
   * Takes a sample; undefined when the contestant or the machine cannot do this.
   *
   * @param id name of the contestant's file
   */
  run(contestant: Contestant, args: Row["args"], isQuick: boolean, id: string): Promise<Figures | undefined>;
}
