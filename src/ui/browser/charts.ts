/**
 * Throughput, round trip, drops and retransmits over time. Each chart says in words what it shows:
 * its legend has the values of the time that is looked at, its label those of all that is in sight.
 */
import type UPlot from "uplot";
import { formatScaled, formatUnit, scaleFor, type Unit } from "../../lib/units.ts";
import { clockTime, h, panel, setAttribute, setText } from "./dom.ts";
import type { Figures } from "./figures.ts";
import type { View } from "./store.ts";

/** The library in front of this script. */
declare const uPlot: new (
  options: UPlot.Options,
  data: UPlot.AlignedData,
  target: HTMLElement,
) => UPlot;

const AXIS_WIDTH_rem = 5.9;
const SHOWN_SECONDS_MIN = 60;
const SHOWN_SECONDS_MAX = 300;

interface Line {
  readonly name: string;
  /** Variable of the style sheet. */
  readonly color: string;
  readonly value: (figures: Figures) => number | null;
}

interface Chart {
  readonly id: string;
  readonly title: string;
  readonly unit: Unit;
  /** Behind a value. */
  readonly suffix: string;
  readonly lines: readonly Line[];
}

const CHARTS: readonly Chart[] = [
  {
    ...{ id: "throughput", title: "Throughput", unit: "rate", suffix: "" },
    lines: [
      { name: "to guest", color: "--line-0", value: ({ toGuest }) => toGuest },
      { name: "from guest", color: "--line-1", value: ({ fromGuest }) => fromGuest },
    ],
  },
  {
    ...{ id: "rtt", title: "Round trip to the guest", unit: "duration", suffix: "" },
    lines: [{ name: "mean", color: "--line-2", value: ({ rtt_us }) => rtt_us }],
  },
  {
    ...{ id: "drop-rate", title: "Drops and retransmits", unit: "count", suffix: " /s" },
    lines: [
      { name: "drops", color: "--line-3", value: ({ drops }) => drops },
      { name: "retransmits", color: "--line-5", value: ({ retransmits }) => retransmits },
    ],
  },
];

type Values = (number | null)[];

export class ChartsPanel {
  readonly element = panel("charts", "Over time");
  readonly #drawn = CHARTS.map((chart) => new DrawnChart(chart));

  constructor() {
    this.element.append(...this.#drawn.map(({ element }) => element));
  }

  draw(view: View): void {
    for (const chart of this.#drawn) chart.draw(view);
  }

  /** Colours have changed. */
  recolor(): void {
    for (const chart of this.#drawn) chart.recolor();
  }
}

class DrawnChart {
  readonly element: HTMLElement;
  readonly #chart: Chart;
  readonly #place: HTMLElement;
  readonly #values: readonly HTMLElement[];
  #plot: UPlot | undefined;
  #view: View | undefined;
  #data: [number[], ...Values[]] = [[]];

  constructor(chart: Chart) {
    this.#chart = chart;
    this.#place = h("div", { class: "plot", role: "img", id: `plot-${chart.id}` });
    this.#values = chart.lines.map(() => h("b"));
    const legend = chart.lines.map(({ name, color }, i) => {
      const mark = h("i", { "aria-hidden": "true", class: "mark" });
      mark.style.background = `var(${color})`;
      return h("li", {}, mark, `${name} `, this.#values[i] ?? "");
    });
    const caption = h("figcaption", {}, h("h3", {}, chart.title), h("ul", {}, ...legend));
    this.element = h("figure", {}, caption, this.#place);
    new ResizeObserver(() => this.#fit()).observe(this.#place);
  }

  draw(view: View): void {
    this.#view = view;
    const to_us = view.points.at(-1)?.time_us ?? view.moment.time_us;
    const points = view.points.filter(({ time_us }) => time_us >= to_us - SHOWN_SECONDS_MAX * 1e6);
    const { lines } = this.#chart;
    const figures = points.map(({ byNetwork }) => byNetwork.get(view.network));
    this.#data = [
      points.map(({ time_us }) => time_us / 1e6),
      ...lines.map(({ value }) => figures.map((each) => (each === undefined ? null : value(each)))),
    ];
    if (this.#plot === undefined) this.#make();
    else this.#plot.setData(this.#data);
    this.#describe();
  }

  recolor(): void {
    this.#plot?.destroy();
    this.#plot = undefined;
    if (this.#view !== undefined) this.#make();
  }

  #fit(): void {
    const { clientWidth: width, clientHeight: height } = this.#place;
    if (width > 0 && height > 0) this.#plot?.setSize({ width, height });
  }

  #make(): void {
    const { clientWidth: width, clientHeight: height } = this.#place;
    if (width === 0 || height === 0) return;
    const { lines, unit } = this.#chart;
    const grid = { stroke: color("--grid"), width: 1 };
    const look = {
      stroke: color("--muted"),
      font: `${0.86 * rem()}px system-ui, sans-serif`,
      grid,
      ticks: { ...grid, size: 4 },
    };
    const series = lines.map(
      ({ name, color: variable }, i): UPlot.Series => ({
        label: name,
        stroke: color(variable),
        width: 1.75,
        points: { show: false },
        spanGaps: unit === "duration",
        ...(i === 0 ? { fill: `${color(variable)}1f` } : {}),
      }),
    );
    this.#plot = new uPlot(
      {
        ...{ width, height, legend: { show: false } },
        padding: [8, 30, 0, 0],
        scales: {
          x: { time: false, range: (_, from, to) => spanOf(from, to) },
          y: { range: (_, __, top) => [0, topOf(unit, top)] },
        },
        axes: [
          {
            ...look,
            size: 2 * rem(),
            space: 84,
            values: (_, at) => at.map((s) => clockTime(s * 1e6)),
          },
          { ...look, size: AXIS_WIDTH_rem * rem(), space: 30, values: (_, at) => labels(unit, at) },
        ],
        series: [{}, ...series],
        cursor: { y: false, drag: { x: false, y: false }, points: { size: 6 } },
        hooks: {
          draw: [(plot) => this.#mark(plot)],
          setCursor: [() => this.#tell()],
        },
      },
      this.#data,
      this.#place,
    );
  }

  /** An upright line at the time that is looked at, where that is not now. */
  #mark({ ctx, bbox, valToPos }: UPlot): void {
    const view = this.#view;
    if (view === undefined || view.isLive) return;
    const x = Math.round(valToPos(view.moment.time_us / 1e6, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) return;
    ctx.save();
    ctx.strokeStyle = color("--accent");
    ctx.lineWidth = 2 * devicePixelRatio;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    ctx.restore();
  }

  #format(value: number | null | undefined): string {
    if (value === null || value === undefined) return "–";
    return `${formatUnit(this.#chart.unit, value)}${this.#chart.suffix}`;
  }

  /** Values under the cursor, else of the time that is looked at. */
  #tell(): void {
    const [times, ...values] = this.#data;
    const at = (this.#view?.moment.time_us ?? 0) / 1e6;
    const place = this.#plot?.cursor.idx ?? times.findLastIndex((time) => time <= at);
    this.#values.forEach((element, i) => {
      setText(element, this.#format(values[i]?.[place]));
    });
  }

  #describe(): void {
    this.#tell();
    const [times, ...values] = this.#data;
    const seconds = Math.round((times.at(-1) ?? 0) - (times[0] ?? 0));
    const lines = this.#chart.lines.map(({ name }, i) => {
      const known = (values[i] ?? []).filter((value): value is number => value !== null);
      if (known.length === 0) return `${name}: nothing measured`;
      const [least, most] = [Math.min(...known), Math.max(...known)];
      return `${name}: ${this.#format(least)} to ${this.#format(most)}`;
    });
    const text = `${this.#chart.title}, last ${seconds} seconds. ${lines.join("; ")}`;
    setAttribute(this.#place, "aria-label", text);
  }
}

/** At least a minute, so that the first seconds do not fill the chart. */
function spanOf(from: number, to: number): [number, number] {
  return [Math.min(from, to - SHOWN_SECONDS_MIN), to];
}

function topOf(unit: Unit, top: number): number {
  const least = unit === "count" ? 5 : unit === "rate" ? 1000 : 100;
  return Math.max(least, (top || 0) * 1.08);
}

function labels(unit: Unit, at: readonly number[]): string[] {
  const scale = scaleFor(unit, at.at(-1) ?? 0);
  return at.map((value, i) => {
    const text = value === 0 ? "0" : formatScaled(value, scale);
    return i === at.length - 1 ? `${text} ${scale.suffix}`.trim() : text;
  });
}

/** Pixels of the text's size, which grows with the screen. */
function rem(): number {
  return Number.parseFloat(getComputedStyle(document.documentElement).fontSize);
}

function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}
