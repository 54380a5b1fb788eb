/** Draws a chart as SVG: horizontal bars, one group for each row, ours first and in a colour of its own. */
import { init } from "echarts";

export interface Chart {
  title: string;
  /** What the axis has. */
  axis: string;
  /** Titles of the groups, from the top. */
  rows: string[];
  /** The first is ours, unless `ours` is given. Values in the order of the rows; undefined: there is none. */
  series: { name: string; values: (number | undefined)[] }[];
  /** A value that is ours in each row: bars begin at it. */
  ours?: number;
  /** What stands at a bar. */
  show: (value: number) => string;
}

const WIDTH = 860;
/** Of a character, as far as that can be told without the reader's font. */
const CHARACTER = 7.5;
const BAR = 15;
const GAP = 16;
const TOP = 76;
const BOTTOM = 46;
/** Ours, then the others. On white, so that the page may be light or dark. */
const COLOURS = ["#d9480f", "#5c7cfa", "#74b816", "#868e96", "#be4bdb", "#15aabf", "#fab005"];
const INK = "#333";
/** From how many times the smallest value on small bars could not be told apart. */
const LOG_FROM = 20;

/** The axis: logarithmic where the values are far apart, from the power of ten below them. */
function axisOf(values: number[], ours: number | undefined): object {
  const smallest = Math.min(...values);
  const isFar = smallest > 0 && Math.max(...values) / smallest >= LOG_FROM;
  if (!isFar) return { type: "value", min: 0, startValue: ours ?? 0 };
  const min = 10 ** Math.floor(Math.log10(smallest * 0.9));
  return { type: "log", min, startValue: ours ?? min };
}

/** @returns the text of an SVG file; undefined when there is nothing to draw */
export function chart({ title, axis, rows, series, ours, show }: Chart): string | undefined {
  const drawn = series.filter(({ values }) => values.some((value) => value !== undefined));
  const all = drawn.flatMap(({ values }) => values.filter((value) => value !== undefined));
  if (all.length === 0) return undefined;
  const scale = axisOf(all, ours);
  const isLog = "type" in scale && scale.type === "log";
  const height = TOP + BOTTOM + rows.length * (drawn.length * BAR + GAP);
  const longest = Math.max(...rows.map((row) => row.length));
  const colours = ours === undefined ? COLOURS : COLOURS.slice(1);
  const canvas = init(null, null, { renderer: "svg", ssr: true, width: WIDTH, height });
  canvas.setOption({
    animation: false,
    backgroundColor: "#ffffff",
    textStyle: { fontFamily: "sans-serif", color: INK },
    title: { text: title, left: 12, top: 10, textStyle: { fontSize: 15, color: INK } },
    legend: { left: 12, top: 38, itemWidth: 12, itemHeight: 10, itemGap: 32, textStyle: { color: INK } },
    grid: { left: longest * CHARACTER + 20, right: 90, top: TOP, bottom: BOTTOM },
    xAxis: {
      ...scale,
      name: isLog ? `${axis}, logarithmic` : axis,
      nameLocation: "middle",
      nameGap: 26,
      nameTextStyle: { color: INK },
      axisLabel: { color: INK, formatter: (value: number) => show(value), hideOverlap: true },
      splitLine: { lineStyle: { color: "#e6e6e6" } },
    },
    yAxis: { type: "category", inverse: true, data: rows, axisLabel: { color: INK }, axisTick: { show: false } },
    series: drawn.map(({ name, values }, index) => ({
      type: "bar",
      name,
      data: values.map((value) => value ?? "-"),
      barWidth: BAR - 3,
      barGap: "20%",
      itemStyle: { color: colours[series.findIndex((each) => each.name === name) % colours.length] },
      ...(ours !== undefined && index === 0 && {
        markLine: {
          silent: true,
          symbol: "none",
          lineStyle: { color: COLOURS[0], width: 3, type: "solid" },
          label: { color: COLOURS[0], formatter: "mcu-mqtt", position: "start" },
          data: [{ xAxis: ours }],
        },
      }),
      label: {
        show: true,
        position: "right",
        fontSize: 10,
        color: INK,
        formatter: ({ value }: { value: number | string }) => (typeof value === "number" ? show(value) : ""),
      },
    })),
  });
  const svg = canvas.renderToSVGString();
  // It would keep the process.
  canvas.dispose();
  return `${svg}\n`;
}
