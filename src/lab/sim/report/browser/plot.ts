/** One plot: a report's series as uPlot wants them, and the marks of the run behind them. */
import type UPlot from "uplot";
import { formatScaled, formatUnit, scaleFor } from "../../../../lib/units.ts";
import type { PageData, ReportMark, ReportPlot, ReportSeries } from "../model.ts";

/** The library in front of this script. */
declare const uPlot: new (
  options: UPlot.Options,
  data: UPlot.AlignedData,
  target: HTMLElement,
) => UPlot;

const HEIGHT = 220;
const HEIGHT_NARROW = 180;
const NARROW = 520;
const AXIS_WIDTH = 76;
const FONT = "12px system-ui, sans-serif";

export interface DrawnPlot {
  zoom(from: number, to: number): void;
  fit(): void;
  destroy(): void;
}

export interface PlotPlace {
  readonly range: readonly [number, number];
  readonly width: number;
  onZoom(from: number, to: number): void;
  /** A double click. */
  onReset(): void;
}

/** A colour of the style sheet, by its name. */
function color(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

function heightFor(width: number): number {
  return width < NARROW ? HEIGHT_NARROW : HEIGHT;
}

export function drawPlot(
  place: HTMLElement,
  data: PageData,
  plot: ReportPlot,
  { range, width, onZoom, onReset }: PlotPlace,
): DrawnPlot {
  const values = plot.series.map(({ values }) => values as (number | null)[]);
  const chart = new uPlot(
    {
      width,
      height: heightFor(width),
      scales: {
        x: { time: false, range: (_, from, to) => [from, to] },
        y: { range: (chart) => [0, topOf(chart, plot)] },
      },
      axes: [timeAxis(), valueAxis(plot)],
      series: [
        { label: "time", value: (_, at) => (at === null ? "" : `${at.toFixed(3)} s`) },
        ...plot.series.map((each) => line(each, plot)),
      ],
      legend: { markers: { width: 2, dash: (_, i) => dashOf(plot.series[i - 1]) } },
      cursor: {
        sync: { key: "run" },
        drag: { x: true, y: false, dist: 8 },
        points: { size: 7 },
        bind: { dblclick: () => () => null },
      },
      hooks: {
        drawAxes: [(chart) => drawMarks(chart, data.marks, "--muted", true)],
        draw: [
          (chart) => drawMarks(chart, data.violations, "--bad", false),
          (chart) => drawAbove(chart, plot),
        ],
        setScale: [
          (chart, key) => {
            const { min, max } = chart.scales["x"] ?? {};
            if (key === "x" && typeof min === "number" && typeof max === "number") onZoom(min, max);
          },
        ],
      },
    },
    [[...data.times], ...values],
    place,
  );
  chart.setScale("x", { min: range[0], max: range[1] });
  chart.over.addEventListener("dblclick", onReset);
  return {
    zoom: (from, to) => chart.setScale("x", { min: from, max: to }),
    fit: () => chart.setSize({ width: place.clientWidth, height: heightFor(place.clientWidth) }),
    destroy: () => chart.destroy(),
  };
}

function dashOf(series: ReportSeries | undefined): string {
  return series?.style === "limit" ? "dashed" : "solid";
}

function line({ name, color: index, style }: ReportSeries, { unit }: ReportPlot): UPlot.Series {
  const stroke = color(`--line-${index}`);
  const shown: UPlot.Series = {
    label: name,
    stroke,
    width: style === "main" ? 1.75 : 1.25,
    points: { show: false },
    value: (_, value) => (value === null ? "" : formatUnit(unit, value)),
  };
  if (style === "limit") shown.dash = [6, 4];
  if (style === "area") shown.fill = `${stroke}38`;
  return shown;
}

// ---------------------------------------------------------------- how high

/** A window so far above everything else is told in words, so that the rest can be seen. */
const LIMIT_TIMES = 2.5;

/** The largest value of a series between the ends of the time axis. */
function largest({ values }: ReportSeries, [from, to]: readonly [number, number]): number {
  let most = 0;
  for (let i = from; i <= to; i += 1) most = Math.max(most, values[i] ?? 0);
  return most;
}

/** Indices of the first and last point that are shown. */
function shownIndices(chart: UPlot): [number, number] {
  const [from, to] = chart.series[0]?.idxs ?? [0, 0];
  return [from, to];
}

/** Splits the series that are switched on into those that fit, and limits far above them. */
function splitLimits(
  chart: UPlot,
  { series, unit }: ReportPlot,
): { top: number; above: ReportSeries[] } {
  const span = shownIndices(chart);
  const on = series.filter((_, i) => chart.series[i + 1]?.show !== false);
  const main = Math.max(0, ...on.filter(isNoLimit).map((each) => largest(each, span)));
  const isAbove = (each: ReportSeries): boolean =>
    unit === "octets" && main > 0 && !isNoLimit(each) && largest(each, span) > main * LIMIT_TIMES;
  const fitting = on.filter((each) => !isAbove(each)).map((each) => largest(each, span));
  return { top: Math.max(0, ...fitting), above: on.filter(isAbove) };
}

function isNoLimit({ style }: ReportSeries): boolean {
  return style !== "limit";
}

function topOf(chart: UPlot, plot: ReportPlot): number {
  const { top } = splitLimits(chart, plot);
  return top > 0 ? top * 1.06 : 1;
}

/** Says in the corner which limits lie above the plot, and where. */
function drawAbove(chart: UPlot, plot: ReportPlot): void {
  const { ctx, bbox } = chart;
  const pixel = devicePixelRatio;
  const span = shownIndices(chart);
  ctx.save();
  ctx.font = `${12 * pixel}px system-ui, sans-serif`;
  ctx.textAlign = "right";
  ctx.textBaseline = "top";
  for (const [i, each] of splitLimits(chart, plot).above.entries()) {
    const text = `↑ ${each.name} up to ${formatUnit(plot.unit, largest(each, span))}`;
    const [x, y] = [bbox.left + bbox.width - 6 * pixel, bbox.top + (4 + i * 16) * pixel];
    ctx.lineWidth = 4 * pixel;
    ctx.strokeStyle = color("--back");
    ctx.strokeText(text, x, y);
    ctx.fillStyle = color(`--line-${each.color}`);
    ctx.fillText(text, x, y);
  }
  ctx.restore();
}

// ---------------------------------------------------------------- axes

function timeAxis(): UPlot.Axis {
  return {
    ...look(),
    size: 34,
    space: 70,
    values: (_, splits) => splits.map((at) => `${Number(at.toFixed(6))} s`),
  };
}

function valueAxis({ unit }: ReportPlot): UPlot.Axis {
  return {
    ...look(),
    size: AXIS_WIDTH,
    space: 34,
    // Powers of two, so that KiB come out even.
    ...(unit === "octets" ? { incrs: Array.from({ length: 40 }, (_, i) => 2 ** i) } : {}),
    ...(unit === "count" ? { incrs: countSteps() } : {}),
    values: (_, splits) => {
      const scale = scaleFor(unit, splits.at(-1) ?? 0);
      const texts = splits.map((value) => (value === 0 ? "0" : formatScaled(value, scale)));
      const top = texts.length - 1;
      return texts.map((text, i) => (i === top ? `${text} ${scale.suffix}`.trim() : text));
    },
  };
}

/** Nobody counts in halves. */
function countSteps(): number[] {
  return Array.from({ length: 12 }, (_, i) => [1, 2, 5].map((n) => n * 10 ** i)).flat();
}

function look(): UPlot.Axis {
  const grid = { stroke: color("--grid"), width: 1 };
  return { stroke: color("--muted"), font: FONT, grid, ticks: { ...grid, size: 4 } };
}

// ---------------------------------------------------------------- marks

/** Upright lines where something happened; `isNamed` writes what, where there is room. */
function drawMarks(
  chart: UPlot,
  marks: readonly ReportMark[],
  name: string,
  isNamed: boolean,
): void {
  const { ctx, bbox } = chart;
  const pixel = devicePixelRatio;
  let free = bbox.left;
  ctx.save();
  ctx.strokeStyle = color(name);
  ctx.fillStyle = color(name);
  ctx.lineWidth = (isNamed ? 1 : 1.5) * pixel;
  ctx.setLineDash(isNamed ? [2 * pixel, 3 * pixel] : []);
  ctx.font = `${11 * pixel}px system-ui, sans-serif`;
  ctx.textAlign = "left";
  ctx.textBaseline = "top";
  for (const { at, text } of marks) {
    const x = Math.round(chart.valToPos(at, "x", true));
    if (x < bbox.left || x > bbox.left + bbox.width) continue;
    ctx.beginPath();
    ctx.moveTo(x, bbox.top);
    ctx.lineTo(x, bbox.top + bbox.height);
    ctx.stroke();
    if (!isNamed) drawFlag(ctx, x, bbox.top, 5 * pixel);
    else if (x >= free) free = drawName(chart, x, text, pixel);
  }
  ctx.restore();
}

function drawFlag(ctx: CanvasRenderingContext2D, x: number, top: number, size: number): void {
  ctx.beginPath();
  ctx.moveTo(x - size, top);
  ctx.lineTo(x + size, top);
  ctx.lineTo(x, top + size * 1.6);
  ctx.fill();
}

/** Returns where the next name may begin. */
function drawName({ ctx, bbox }: UPlot, x: number, text: string, pixel: number): number {
  const { width } = ctx.measureText(text);
  const gap = 4 * pixel;
  const isRight = x + gap + width <= bbox.left + bbox.width;
  ctx.fillText(text, isRight ? x + gap : x - gap - width, bbox.top + 2 * pixel);
  return x + (isRight ? width + 2 * gap : 0);
}
