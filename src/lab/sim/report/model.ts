/**
 * A run as the report page shows it: a value without behaviour, made by `reportOf` (`report-of.ts`)
 * from a `World` that has run, and rendered by `renderReport` (`page.ts`).
 *
 *     const sampler = new Sampler();
 *     const world = new World(simulatedEngine(), plan, new Trace(), { sampler });
 *     const report = reportOf(world, world.run(), sampler, { title: "wan", reproduce: "..." });
 *     writeFile(file, renderReport(report));
 *
 * Every text may come from a scenario file and is escaped by the page, not here.
 */
import type { Unit } from "../../../lib/units.ts";

/** How a line is drawn: "main" solid, "area" filled, "limit" dashed. */
export type LineStyle = "main" | "area" | "limit";

export interface ReportSeries {
  readonly name: string;
  /** Place in the palette, from 0 on; the same thing has the same colour in every plot. */
  readonly color: number;
  readonly style: LineStyle;
  /** One for each of the report's times; null = nothing to show there. */
  readonly values: readonly (number | null)[];
}

export interface ReportPlot {
  readonly title: string;
  /** What to look for, in one sentence. */
  readonly note: string;
  readonly unit: Unit;
  readonly series: readonly ReportSeries[];
}

/** First column: what; others: numbers or short texts. */
export interface ReportTable {
  readonly title: string;
  readonly note?: string;
  readonly head: readonly string[];
  readonly rows: readonly (readonly string[])[];
}

/** Something that happened, in seconds since the start. */
export interface ReportMark {
  readonly at: number;
  readonly text: string;
}

/** A number that is worth a large font. */
export interface ReportFact {
  readonly name: string;
  readonly value: string;
  readonly note: string;
}

export interface RunReport {
  readonly title: string;
  readonly description: string;
  readonly seed: number;
  /** Nothing was wrong. */
  readonly ok: boolean;
  readonly hash: string;
  readonly violations: readonly ReportMark[];
  /** The command line that makes the same run again. */
  readonly reproduce: string;
  /** What the plan does at a time of its own: faults that end, the host cut off. */
  readonly marks: readonly ReportMark[];
  readonly facts: readonly ReportFact[];
  /** Summary, connections, drops by reason, parameters. */
  readonly tables: readonly ReportTable[];
  /** Seconds, one per point of every series. */
  readonly times: readonly number[];
  /** When the last frame moved: what is after it is the table running empty. */
  readonly activeUntil: number;
  readonly plots: readonly ReportPlot[];
}

/** What the page's script reads. */
export type PageData = Pick<RunReport, "times" | "activeUntil" | "marks" | "violations" | "plots">;
