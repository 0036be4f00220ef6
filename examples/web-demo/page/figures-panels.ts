/** What the network does: the live page's charts, counters, and a list of the flows. */
import { formatUnit } from "../../../src/lib/units.ts";
import { ChartsPanel } from "../../../src/ui/browser/charts.ts";
import { h, keep, panel, setText } from "../../../src/ui/browser/dom.ts";
import { type Counters, Course, type FlowLine, type Observation } from "./observation.ts";

const FLOWS_SHOWN_MAX = 50;

const COUNTERS: readonly (readonly [keyof Counters, string, "count" | "octets"])[] = [
  ["framesFromGuest", "frames from guest", "count"],
  ["framesToGuest", "frames to guest", "count"],
  ["bytesFromGuest", "octets from guest", "octets"],
  ["bytesToGuest", "octets to guest", "octets"],
  ["retransmits", "retransmits", "count"],
  ["drops", "drops", "count"],
  ["waits", "waits for the card", "count"],
];

const COLUMNS = ["Kind", "Guest", "Far side", "State", "To guest", "From guest"];

export class FiguresPanels {
  readonly elements: readonly HTMLElement[];
  readonly #charts = new ChartsPanel();
  readonly #course = new Course();
  readonly #values = COUNTERS.map(() => h("dd", {}, "0"));
  readonly #rows = h("tbody");
  readonly #empty = h("p", { class: "empty" }, "No flows yet.");

  constructor() {
    const counters = panel("counters", "Counters");
    const entries = COUNTERS.map(([, label], i) => {
      return h("div", {}, h("dt", {}, label), this.#values[i] ?? "");
    });
    counters.append(h("dl", {}, ...entries));
    const flows = panel("flows", "Flows");
    const head = h("thead", {}, h("tr", {}, ...COLUMNS.map((name) => h("th", {}, name))));
    const table = h("table", {}, head, this.#rows);
    flows.append(h("div", { class: "flow-table", tabindex: 0 }, table), this.#empty);
    this.elements = [this.#charts.element, flows, counters];
  }

  draw(now: Observation): void {
    const view = this.#course.add(now);
    if (view !== undefined) this.#charts.draw(view);
    COUNTERS.forEach(([name, , unit], i) => {
      const value = this.#values[i];
      if (value !== undefined) setText(value, formatUnit(unit, now.counters[name]));
    });
    keep(this.#rows, now.flows.slice(0, FLOWS_SHOWN_MAX), ({ id }) => String(id), rowOf, fill);
    this.#empty.hidden = now.flows.length > 0;
  }

  /** Colours have changed. */
  recolor(): void {
    this.#charts.recolor();
  }
}

function rowOf(): HTMLTableRowElement {
  return h("tr", {}, ...COLUMNS.map(() => h("td")));
}

function fill(row: HTMLTableRowElement, flow: FlowLine): void {
  const { kind, guest, peer, state, bytesToGuest, bytesToHost } = flow;
  const octets = [bytesToGuest, bytesToHost].map((value) => formatUnit("octets", value));
  [kind, guest, peer, state, ...octets].forEach((text, i) => {
    const cell = row.cells[i];
    if (cell !== undefined) setText(cell, text);
  });
}
