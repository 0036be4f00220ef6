/** Events, log and drops: what happened, latest first or last, with words for the reasons. */
import { formatUnit } from "../../lib/units.ts";
import { type Api, ApiError } from "./api.ts";
import { clockTime, h, keep, panel, setAttribute, setText, words } from "./dom.ts";
import type { DropCount } from "./figures.ts";
import { readLine } from "./log-line.ts";
import type { DropInfo, EventInfo } from "./model.ts";
import type { LogEntry, View } from "./store.ts";

const EVENTS_SHOWN = 100;

export class EventsPanel {
  readonly element = panel("events", "Events");
  readonly #list = h("ol", { class: "lines", tabindex: 0, "aria-labelledby": "events-title" });
  readonly #empty = h("p", { class: "empty" }, "Nothing has happened yet.");

  constructor() {
    this.element.append(this.#list, this.#empty);
  }

  draw({ events, networks, network }: View): void {
    const isNamed = networks.length > 1 && network === "";
    this.#empty.hidden = events.length > 0;
    keep(
      this.#list,
      events.slice(-EVENTS_SHOWN).reverse(),
      ({ id }) => String(id),
      (event) => makeEvent(event, isNamed),
      (element) => {
        const name = element.querySelector<HTMLElement>(".network-name");
        if (name !== null) name.hidden = !isNamed;
      },
    );
  }
}

/** Kinds of events that somebody may have to do something about. */
const BAD_KINDS = new Set([
  ...["NETWORK_FAILED", "ENGINE_REPLACED", "PORT_LEFT_OUT", "LIMIT_REACHED", "CHECK_FAILED"],
]);

function makeEvent(event: EventInfo, isNamed: boolean): HTMLElement {
  const details = Object.entries(event.details)
    .filter(([, value]) => value !== event.network)
    .map(([name, value]) => `${words(name)} ${value}`);
  const name = h("span", { class: "network-name", hidden: !isNamed }, event.network);
  return h(
    "li",
    { class: BAD_KINDS.has(event.kind) ? "bad" : undefined },
    h("time", {}, clockTime(event.time_us)),
    h("span", {}, sentence(event.message)),
    h("small", {}, details.join(" · ")),
    name,
  );
}

function sentence(text: string): string {
  return text.charAt(0).toUpperCase() + text.slice(1);
}

export class LogPanel {
  readonly element: HTMLElement;
  readonly #list = h("ol", { class: "log", tabindex: 0, "aria-labelledby": "log-title" });
  readonly #level = h("select", { "aria-label": "Level of the log", onchange: () => this.#set() });
  readonly #error = h("p", { class: "error", role: "alert", hidden: true });
  readonly #api: Api;

  constructor(api: Api) {
    this.#api = api;
    for (const level of ["error", "warn", "info", "debug"]) {
      this.#level.append(h("option", { value: level }, level));
    }
    const label = h("label", { class: "field" }, "Level ", this.#level);
    this.element = panel("log", "Log", label);
    this.element.append(this.#error, this.#list);
  }

  draw({ lines, moment, isLive }: View): void {
    const { scrollTop, clientHeight, scrollHeight } = this.#list;
    // It follows only while nobody has scrolled up to read.
    const isAtEnd = scrollTop + clientHeight >= scrollHeight - 24;
    keep(
      this.#list,
      lines,
      ({ id }) => String(id),
      (line) => makeLine(line),
      () => {},
    );
    if (isAtEnd) this.#list.scrollTop = this.#list.scrollHeight;
    this.#level.disabled = !isLive;
    if (document.activeElement !== this.#level) this.#level.value = moment.level;
  }

  async #set(): Promise<void> {
    this.#error.hidden = true;
    try {
      const level = `LOG_LEVEL_${this.#level.value.toUpperCase()}`;
      await this.#api.call("SetLogLevel", { level });
    } catch (error) {
      setText(this.#error, messageOf(error));
      this.#error.hidden = false;
    }
  }
}

function makeLine({ text, lost }: LogEntry): HTMLElement {
  const parts = lost === 0 ? [] : [h("em", {}, `${lost} lines are missing here`)];
  const { level, time, message, fields } = readLine(text);
  const clock = time === "" ? [] : [h("time", {}, `${time} `)];
  const rest = fields === "" ? [] : [h("small", {}, ` ${fields}`)];
  return h("li", { class: level || undefined, title: text }, ...parts, ...clock, message, ...rest);
}

export class DropsPanel {
  readonly element: HTMLElement;
  readonly #note = h("p", { class: "count" });
  readonly #reasons = h("tbody");
  readonly #frames = h("ol", { class: "lines frames", "aria-label": "Latest dropped frames" });
  readonly #empty = h("p", { class: "empty" }, "Nothing has been dropped.");
  readonly #table: HTMLTableElement;

  constructor() {
    this.element = panel("drops", "Drops", this.#note);
    const head = ["Reason", "Per second", "In all"].map((title, i) =>
      h("th", { scope: "col", class: i > 0 ? "number" : undefined }, title),
    );
    const caption = h("caption", { class: "hidden" }, "Drops by reason");
    this.#table = h("table", {}, caption, h("thead", {}, h("tr", {}, ...head)), this.#reasons);
    this.element.append(this.#empty, this.#table, this.#frames);
  }

  draw({ drops, moment, network }: View): void {
    const total = drops.reduce((sum, each) => sum + each.total, 0);
    setText(this.#note, total === 0 ? "" : formatUnit("count", total));
    this.#empty.hidden = drops.length > 0;
    this.#table.hidden = drops.length === 0;
    keep(this.#reasons, drops, ({ reason }) => reason, makeReason, updateReason);
    const frames = moment.drops.filter((each) => network === "" || each.network === network);
    const latest = frames.toReversed();
    keep(
      this.#frames,
      latest,
      ({ time_us, summary, reason }) => `${time_us} ${reason} ${summary}`,
      makeFrame,
      () => {},
    );
  }
}

function makeReason({ reason }: DropCount): HTMLTableRowElement {
  const number = (): HTMLElement => h("td", { class: "number" });
  return h("tr", {}, h("th", { scope: "row" }, reason), number(), number());
}

function updateReason(row: HTMLTableRowElement, { rate, total }: DropCount): void {
  const [, perSecond, inAll] = row.cells;
  if (perSecond === undefined || inAll === undefined) return;
  setText(perSecond, rate === 0 ? "–" : formatUnit("count", Math.round(rate * 10) / 10));
  setText(inAll, formatUnit("count", total));
  setAttribute(row, "class", rate > 0 ? "active" : undefined);
}

function makeFrame({ time_us, reason, summary, length, headers }: DropInfo): HTMLElement {
  const line = h(
    "summary",
    {},
    h("time", {}, clockTime(time_us)),
    h("span", {}, summary || "no packet"),
    h("small", {}, `${reason} · ${length} octets`),
  );
  const octets = headers.replace(/(.{2})(?=.)/g, "$1 ") || "no headers were kept";
  return h("li", {}, h("details", {}, line, h("code", {}, octets)));
}

export function messageOf(error: unknown): string {
  return error instanceof ApiError || error instanceof Error ? error.message : String(error);
}
