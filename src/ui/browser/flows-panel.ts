/**
 * The table of flows: search, order, and a window of rows.
 *
 * Only the rows in sight are elements, and the same ones all the time; what lies above and below
 * are two rows of the right height. So 10,000 flows cost as much as forty. The table is one stop of
 * the Tab key: arrows move a row that is active (`aria-activedescendant`), Enter shows its details.
 */
import { h, panel, setAttribute, setText } from "./dom.ts";
import { FlowDetails } from "./flow-details.ts";
import type { FlowInfo } from "./model.ts";
import { COLUMNS, type Order, ordered, searched } from "./rows.ts";
import type { View } from "./store.ts";

const OVERSCAN = 6;
const PAGE_ROWS = 10;

interface Row {
  readonly element: HTMLTableRowElement;
  readonly cells: readonly HTMLTableCellElement[];
}

export class FlowsPanel {
  readonly element: HTMLElement;
  readonly #search = h("input", {
    ...{ type: "search", id: "search", placeholder: "Search: address, port, state …" },
    ...{ autocomplete: "off", spellcheck: "false", "aria-label": "Search flows" },
    oninput: () => this.#redraw(),
  });
  readonly #count = h("p", { class: "count", id: "flows-count" });
  readonly #scroller = h("div", { class: "flows-scroll", onscroll: () => this.#later() });
  readonly #table = h("table", {
    ...{ role: "grid", tabindex: 0, class: "flows", "aria-labelledby": "flows-title" },
    "aria-describedby": "flows-count",
    onkeydown: (event) => this.#key(event as KeyboardEvent),
  });
  readonly #above = h("td");
  readonly #below = h("td");
  readonly #body = h("tbody");
  readonly #empty = h("p", { class: "empty", hidden: true });
  readonly #heads: readonly HTMLTableCellElement[];
  readonly #details: FlowDetails;
  readonly #rows: Row[] = [];
  #order: Order = { column: "down", isDescending: true };
  #view: View | undefined;
  #shown: readonly FlowInfo[] = [];
  #active = "";
  #isAwaited = false;
  /** Pixels, as the style sheet has it. */
  #rowHeight = 28;

  /** @param onCapture has a flow captured */
  constructor(onCapture: (flow: FlowInfo) => void) {
    this.#details = new FlowDetails(onCapture);
    this.element = panel("flows", "Flows", this.#count, this.#search);
    this.#heads = COLUMNS.map(({ id, title, hint, isNumber, priority }) =>
      h(
        "th",
        { scope: "col", class: classOf(isNumber, priority), title: hint },
        h("button", { type: "button", onclick: () => this.#sort(id) }, title),
      ),
    );
    for (const cell of [this.#above, this.#below]) cell.colSpan = COLUMNS.length;
    this.#body.append(
      h("tr", { class: "spacer", "aria-hidden": "true" }, this.#above),
      h("tr", { class: "spacer", "aria-hidden": "true" }, this.#below),
    );
    this.#body.addEventListener("click", (event) => this.#click(event));
    const head = h("thead", {}, h("tr", { "aria-rowindex": 1 }, ...this.#heads));
    setAttribute(this.#table, "aria-colcount", COLUMNS.length);
    this.#table.append(head, this.#body);
    this.#scroller.append(this.#table, this.#empty);
    this.element.append(this.#scroller, this.#details.element);
    new ResizeObserver(() => {
      const height = getComputedStyle(this.#scroller).getPropertyValue("--row");
      this.#rowHeight = Number.parseFloat(height);
      this.#later();
    }).observe(this.#scroller);
  }

  focusSearch(): void {
    this.#search.focus();
    this.#search.select();
  }

  draw(view: View): void {
    this.#view = view;
    this.#redraw();
    this.#details.draw(view);
  }

  #redraw(): void {
    const view = this.#view;
    if (view === undefined) return;
    const { moment, network } = view;
    const here =
      network === "" ? moment.flows : moment.flows.filter((flow) => flow.network === network);
    const found = searched(here, this.#search.value);
    this.#shown = ordered(found, this.#order, moment.time_us);
    const living = here.filter(({ ended_us }) => ended_us === undefined).length;
    const all = living.toLocaleString("en");
    const isAll = found.length === here.length;
    setText(this.#count, isAll ? all : `${found.length.toLocaleString("en")} of ${all}`);
    setAttribute(this.#table, "aria-rowcount", this.#shown.length + 1);
    this.#heads.forEach((head, i) => {
      const isSorted = COLUMNS[i]?.id === this.#order.column;
      const order = this.#order.isDescending ? "descending" : "ascending";
      setAttribute(head, "aria-sort", isSorted ? order : undefined);
    });
    this.#empty.hidden = this.#shown.length > 0;
    setText(this.#empty, here.length > 0 ? "No flow is like this." : "There are no flows.");
    this.#window();
  }

  /** Once for however many events there are before the next frame. */
  #later(): void {
    if (this.#isAwaited) return;
    this.#isAwaited = true;
    requestAnimationFrame(() => {
      this.#isAwaited = false;
      this.#window();
    });
  }

  #window(): void {
    const { scrollTop, clientHeight } = this.#scroller;
    const count = this.#shown.length;
    const fit = Math.ceil(clientHeight / this.#rowHeight) + 2 * OVERSCAN;
    const from = Math.max(
      0,
      Math.min(Math.floor(scrollTop / this.#rowHeight) - OVERSCAN, count - fit),
    );
    const to = Math.min(count, from + fit);
    this.#above.style.height = `${from * this.#rowHeight}px`;
    this.#below.style.height = `${(count - to) * this.#rowHeight}px`;
    while (this.#rows.length < to - from) this.#rows.push(this.#makeRow());
    let isInSight = false;
    this.#rows.forEach(({ element, cells }, i) => {
      const flow = i < to - from ? this.#shown[from + i] : undefined;
      element.hidden = flow === undefined;
      if (flow === undefined) {
        delete element.dataset["flow"];
        setAttribute(element, "id", undefined);
        return;
      }
      const isActive = flow.key === this.#active;
      isInSight ||= isActive;
      this.#fill(element, cells, flow, from + i, isActive);
    });
    setAttribute(this.#table, "aria-activedescendant", isInSight ? "active-flow" : undefined);
  }

  #makeRow(): Row {
    const cells = COLUMNS.map(({ isNumber, priority }) =>
      h("td", { class: classOf(isNumber, priority) }),
    );
    const element = h("tr", {}, ...cells);
    this.#body.lastElementChild?.before(element);
    return { element, cells };
  }

  #fill(
    element: HTMLTableRowElement,
    cells: readonly HTMLTableCellElement[],
    flow: FlowInfo,
    place: number,
    isActive: boolean,
  ): void {
    element.dataset["flow"] = flow.key;
    setAttribute(element, "id", isActive ? "active-flow" : undefined);
    setAttribute(element, "aria-selected", isActive ? "true" : undefined);
    setAttribute(element, "aria-rowindex", place + 2);
    setAttribute(element, "class", flow.ended_us === undefined ? undefined : "ended");
    const now_us = this.#view?.moment.time_us ?? 0;
    cells.forEach((cell, i) => {
      const column = COLUMNS[i];
      if (column === undefined) return;
      setText(cell, column.text(flow, now_us));
      if (column.id === "waiting") setAttribute(cell, "data-waiting", flow.waiting);
      if (column.id === "kind") setAttribute(cell, "data-kind", flow.kind);
    });
  }

  #sort(column: string): void {
    const isSame = this.#order.column === column;
    const isNumber = COLUMNS.find(({ id }) => id === column)?.isNumber === true;
    this.#order = { column, isDescending: isSame ? !this.#order.isDescending : isNumber };
    this.#scroller.scrollTop = 0;
    this.#redraw();
  }

  #click(event: Event): void {
    const row = event.target instanceof Element ? event.target.closest("tr") : null;
    const { flow: key = "" } = row?.dataset ?? {};
    const flow = this.#shown.find((each) => each.key === key);
    if (flow === undefined) return;
    this.#active = key;
    this.#window();
    this.#open(flow);
  }

  #open(flow: FlowInfo): void {
    if (this.#view !== undefined) this.#details.open(flow, this.#view);
  }

  #key(event: KeyboardEvent): void {
    // A heading's button hears its own keys.
    if (event.target !== this.#table) return;
    const place = this.#shown.findIndex(({ key }) => key === this.#active);
    const last = this.#shown.length - 1;
    const flow = this.#shown[place];
    if (event.key === "Enter" && flow !== undefined) {
      // Else it would press the first button of the dialog that it opens.
      event.preventDefault();
      this.#open(flow);
    }
    const targets: Readonly<Record<string, number>> = {
      ...{ ArrowDown: place + 1, ArrowUp: place - 1, Home: 0, End: last },
      ...{ PageDown: place + PAGE_ROWS, PageUp: place - PAGE_ROWS },
    };
    const target = targets[event.key];
    if (target === undefined) return;
    event.preventDefault();
    this.#activate(Math.max(0, Math.min(last, target)));
  }

  #activate(place: number): void {
    this.#active = this.#shown[place]?.key ?? "";
    const head = this.#table.tHead?.offsetHeight ?? 0;
    const { scrollTop, clientHeight } = this.#scroller;
    const top = place * this.#rowHeight;
    if (top < scrollTop) this.#scroller.scrollTop = top;
    const bottom = top + this.#rowHeight + head - clientHeight;
    if (bottom > scrollTop) this.#scroller.scrollTop = bottom;
    this.#window();
  }
}

function classOf(isNumber: boolean, priority: number): string {
  return `${isNumber ? "number " : ""}p${priority}`;
}
