/**
 * Rows of the catalogue as a scrape has them, of one network. A histogram is one row; its value is
 * how many were observed.
 */
import packageJson from "../../../package.json" with { type: "json" };
import { MAILBOX_SIZE, Mailbox } from "../../../src/binding/mailbox.ts";
import { METERS_SIZE, Meters } from "../../../src/binding/meters.ts";
import type { HostEngine } from "../../../src/engine/host-engine.ts";
import type { PeerCounters } from "../../../src/link/stream-peer.ts";
import { expose } from "../../../src/metrics/exposition.ts";
import { FAMILIES, type Family } from "../../../src/metrics/families.ts";
import type { ProcessFigures } from "../../../src/metrics/process-figures.ts";
import { takeSnapshot, type WatchedNetwork } from "../../../src/metrics/snapshot.ts";

/** Values by name, such as `slirp_drops_total{reason="runt"}`. */
export type Rows = ReadonlyMap<string, number>;

/** A process of which nothing is known. */
const NOTHING: ProcessFigures = {
  version: packageJson.version,
  residentBytes: 0,
  cpuSeconds: 0,
  descriptors: 0,
  startSeconds: 0,
};
const FAMILY_OF = new Map<string, Family>(Object.entries(FAMILIES));
const SAMPLE = /^([a-z_]+)(?:\{(.*)\})? ([^ ]+)$/;

/** The family of a row. */
export function familyOf(row: string): string {
  return row.split("{", 1)[0] ?? "";
}

/** Rows of a scrape's text; of several interfaces the sum. */
export function rowsOfText(text: string): Rows {
  const rows = new Map<string, number>();
  for (const line of text.split("\n")) {
    const [, series = "", labels = "", value = ""] = SAMPLE.exec(line) ?? [];
    if (series === "") continue;
    const name = FAMILY_OF.has(series) ? series : series.replace(/_count$/, "");
    if (!FAMILY_OF.has(name)) continue; // the ranges and the sum of a histogram
    const own = labels.split(",").filter((label) => label !== "" && !/^interface=/.test(label));
    const row = own.length === 0 ? name : `${name}{${own.join(",")}}`;
    rows.set(row, (rows.get(row) ?? 0) + Number(value));
  }
  return rows;
}

/** What a scrape tells of a network and of the process. */
export async function scrapedRows(
  network: Partial<WatchedNetwork>,
  figures: ProcessFigures = NOTHING,
): Promise<Rows> {
  const counters = new Mailbox(new SharedArrayBuffer(MAILBOX_SIZE));
  const meters = new Meters(new SharedArrayBuffer(METERS_SIZE));
  const whole = { interface: "net", isUp: false, counters, meters, ...network };
  return rowsOfText((await expose(takeSnapshot([whole], figures), "")).text);
}

/** What a scrape tells of an engine, and of a link as it is. */
export function engineRows(
  engine: HostEngine,
  link: { readonly refused: number; readonly peers?: PeerCounters } = { refused: 0 },
): Promise<Rows> {
  const counters = new Mailbox(new SharedArrayBuffer(MAILBOX_SIZE));
  const meters = new Meters(new SharedArrayBuffer(METERS_SIZE));
  counters.publish(engine, link, link.peers);
  meters.look(engine);
  return scrapedRows({ counters, meters });
}
