/**
 * The script of the live page: lines of the server go into the store, views of it into the panels.
 *
 * It runs in a browser and nowhere else; the build bundles it behind uPlot, which is a global here.
 * Panels are drawn when a second is over or something is chosen, and never in between.
 */
import { Api, takeToken } from "./api.ts";
import { CapturePanel } from "./capture.ts";
import { ChartsPanel } from "./charts.ts";
import { Announcer, Head, Notice, Replay, Shortcuts, Theme } from "./chrome.ts";
import { Connection } from "./connection.ts";
import { h } from "./dom.ts";
import { FlowsPanel } from "./flows-panel.ts";
import { DropsPanel, EventsPanel, LogPanel } from "./lists.ts";
import { PortsPanel } from "./ports.ts";
import { filterOf } from "./rows.ts";
import { Store, type View } from "./store.ts";
import { TopologyPanel } from "./topology.ts";

interface Panel {
  readonly element: HTMLElement;
  draw(view: View): void;
}

class LivePage {
  readonly #store = new Store();
  readonly #announcer = new Announcer();
  readonly #replay = new Replay((back) => this.#goTo(back));
  readonly #notice = new Notice(() => this.#connection.retry());
  readonly #connection: Connection;
  readonly #head: Head;
  readonly #panels: readonly Panel[];
  readonly #main: HTMLElement;
  #network = "";
  /** Time that is looked at; undefined = live. */
  #at_us: number | undefined;
  #isUp = false;
  #lastEvent = 0;

  constructor(api: Api) {
    const { say } = this.#announcer;
    const charts = new ChartsPanel();
    const capture = new CapturePanel(api, say);
    const flows = new FlowsPanel((flow) => capture.fill(filterOf(flow)));
    const lists = [new EventsPanel(), new DropsPanel()];
    const rest = [new PortsPanel(api, say), capture, new LogPanel(api)];
    this.#panels = [new TopologyPanel(), flows, charts, ...lists, ...rest];
    const theme = new Theme(() => charts.recolor());
    const shortcuts = this.#shortcuts(flows, theme);
    this.#head = new Head({
      onNetwork: (name) => this.#choose(name),
      theme: theme.element,
      help: shortcuts.button,
    });
    this.#main = h("main", {}, ...this.#panels.map(({ element }) => element));
    const skip = h("a", { class: "skip", href: "#flows-title" }, "Skip to the flows");
    document.body.append(skip, this.#head.element, this.#notice.element, this.#main);
    document.body.append(this.#replay.element, this.#announcer.element, shortcuts.dialog);
    this.#connection = new Connection(api, {
      onUp: () => this.#up(),
      onDown: (reason, seconds) => this.#down(reason, seconds),
      onRefused: () => askForToken(),
      onLine: (line) => {
        if (this.#store.apply(line)) this.#draw();
      },
    });
  }

  run(): void {
    void this.#connection.run();
  }

  #shortcuts(flows: FlowsPanel, theme: Theme): Shortcuts {
    const jumps = this.#panels.map(({ element }, i) => {
      const heading = element.querySelector("h2");
      const text = `go to ${(heading?.textContent ?? "").toLowerCase()}`;
      return [String(i + 1), text, () => heading?.focus()] as const;
    });
    return new Shortcuts([
      ["/", "search flows", () => flows.focusSearch()],
      ["[", "one second back", () => this.#step(1)],
      ["]", "one second forward", () => this.#step(-1)],
      ["l", "live", () => this.#goTo(0)],
      ["n", "next network", () => this.#nextNetwork()],
      ["t", "theme", () => theme.next()],
      ...jumps,
    ]);
  }

  /** Moments back of the time that is looked at. */
  get #back(): number {
    return this.#at_us === undefined ? 0 : this.#store.backOf(this.#at_us);
  }

  #step(by: number): void {
    this.#goTo(this.#back + by);
  }

  #goTo(back: number): void {
    const wanted = Math.max(0, Math.min(this.#store.depth, back));
    const view = this.#store.view(wanted, this.#network);
    const wasLive = this.#at_us === undefined;
    this.#at_us = wanted === 0 ? undefined : view?.moment.time_us;
    this.#draw();
    const isLive = this.#at_us === undefined;
    if (wasLive !== isLive) this.#announcer.say(isLive ? "Live" : "Replay of the last minute");
  }

  #choose(network: string): void {
    this.#network = network;
    this.#draw();
    this.#announcer.say(network === "" ? "All networks" : `Network ${network}`);
  }

  #nextNetwork(): void {
    const { networks = [] } = this.#store.view(0, "") ?? {};
    const all = networks.length > 1 ? ["", ...networks] : [""];
    this.#choose(all[(all.indexOf(this.#network) + 1) % all.length] ?? "");
  }

  #up(): void {
    this.#store.reconnect();
    this.#isUp = true;
    this.#notice.found();
    delete this.#main.dataset["stale"];
    this.#announcer.say("Connected to the instance");
    this.#showState(true);
  }

  #down(reason: string, seconds: number): void {
    if (this.#isUp) this.#announcer.say("Connection to the instance lost");
    this.#isUp = false;
    this.#notice.lost(reason, seconds);
    this.#main.dataset["stale"] = "true";
    this.#head.state("lost", "not connected");
  }

  #showState(isLive: boolean): void {
    if (!this.#isUp) return;
    this.#head.state(isLive ? "live" : "replay", isLive ? "live" : "replay");
  }

  #draw(): void {
    const back = this.#back;
    const view = this.#store.view(back, this.#network);
    if (view === undefined) return;
    if (this.#network !== "" && !view.networks.includes(this.#network)) {
      this.#network = "";
      this.#draw();
      return;
    }
    for (const panel of this.#panels) panel.draw(view);
    this.#head.draw(view);
    this.#replay.draw(view, back, this.#store.depth);
    this.#showState(view.isLive);
    this.#announceEvents(view);
  }

  /** Those that come; not those that were there. */
  #announceEvents({ events, isLive }: View): void {
    const latest = events.at(-1);
    if (latest === undefined || !isLive || latest.id <= this.#lastEvent) return;
    if (this.#lastEvent > 0) this.#announcer.say(`${latest.message} ${latest.network}`.trim());
    this.#lastEvent = latest.id;
  }
}

/** Without a token there is nothing to show. */
function askForToken(): void {
  const field = h("input", {
    ...{ type: "password", name: "token", "aria-label": "Token", required: true },
    ...{ autocomplete: "off" },
  });
  const enter = (event: Event): void => {
    event.preventDefault();
    // The whole address may be pasted as well.
    location.hash = field.value.trim().replace(/^.*#/, "");
    location.reload();
  };
  const form = h("form", { class: "row", onsubmit: enter }, field);
  form.append(h("button", { type: "submit" }, "Enter"));
  const text =
    'This page needs the token that "slirp-binding ui" printed: open the address as it stands ' +
    "there, or enter it here.";
  const main = h("main", { class: "locked" }, h("h1", {}, "slirp-binding"), h("p", {}, text), form);
  document.body.replaceChildren(main);
  field.focus();
}

const token = takeToken();
if (token === "") askForToken();
else new LivePage(new Api(token)).run();
