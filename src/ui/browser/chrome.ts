/** What is around the panels: head, notice of a lost connection, replay, theme, help. */
import { clockTime, h, keep, setAttribute, setText } from "./dom.ts";
import type { View } from "./store.ts";

const THEME_KEY = "slirp-theme";
const THEMES: readonly string[] = ["auto", "light", "dark"];

/** Says what has changed to those who do not see it. */
export class Announcer {
  readonly element = h("p", { class: "hidden", role: "status", "aria-live": "polite" });

  readonly say = (text: string): void => {
    setText(this.element, text);
  };
}

/** The colour scheme: the system's, or one that was chosen in this tab. */
export class Theme {
  readonly element = h("button", { type: "button", class: "plain", onclick: () => this.next() });
  readonly #onChange: () => void;
  #name = sessionStorage.getItem(THEME_KEY) ?? "auto";

  constructor(onChange: () => void) {
    this.#onChange = onChange;
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", onChange);
    this.#show();
  }

  next(): void {
    const place = THEMES.indexOf(this.#name);
    this.#name = THEMES[(place + 1) % THEMES.length] ?? "auto";
    sessionStorage.setItem(THEME_KEY, this.#name);
    this.#show();
    this.#onChange();
  }

  #show(): void {
    setAttribute(document.documentElement, "data-theme", this.#name);
    setText(this.element, `Theme: ${this.#name}`);
  }
}

export interface HeadWays {
  onNetwork(name: string): void;
  readonly theme: HTMLElement;
  readonly help: HTMLElement;
}

/** Name of the instance, state of the connection, choice of the network. */
export class Head {
  readonly element: HTMLElement;
  readonly #name = h("h1", {}, "slirp-binding");
  readonly #state = h("p", { class: "pill", "data-state": "wait" }, "connecting");
  readonly #networks = h("div", { class: "choice", role: "group", "aria-label": "Network" });
  readonly #onNetwork: (name: string) => void;

  constructor({ onNetwork, theme, help }: HeadWays) {
    this.#onNetwork = onNetwork;
    const tools = h("div", { class: "tools" }, theme, help);
    this.element = h(
      "header",
      { class: "head" },
      h("p", { class: "brand", "aria-hidden": "true" }, "slirp-binding"),
      this.#name,
      this.#state,
      this.#networks,
      tools,
    );
  }

  state(name: "wait" | "live" | "replay" | "lost", text: string): void {
    setAttribute(this.#state, "data-state", name);
    setText(this.#state, text);
  }

  draw(view: View): void {
    const { instance } = view.moment;
    const name = instance?.name || "instance";
    setText(this.#name, name);
    document.title = `${name} – slirp-binding`;
    const names = view.networks.length > 1 ? ["", ...view.networks] : [];
    this.#networks.hidden = names.length === 0;
    keep(
      this.#networks,
      names,
      (each) => `network ${each}`,
      (each) =>
        h(
          "button",
          { type: "button", onclick: () => this.#onNetwork(each) },
          each || "All networks",
        ),
      (button, each) => setAttribute(button, "aria-pressed", String(each === view.network)),
    );
  }
}

/** Seconds back in time, by a slider. */
export class Replay {
  readonly element: HTMLElement;
  readonly #slider = h("input", {
    ...{ type: "range", min: -1, max: 0, value: 0, step: 1, id: "replay" },
    "aria-label": "Replay of the last minute",
    oninput: () => this.#onMove(-Number(this.#slider.value)),
  });
  readonly #live = h("button", { type: "button", onclick: () => this.#onMove(0) }, "Live");
  readonly #text = h("output", { for: "replay" });
  readonly #onMove: (back: number) => void;

  constructor(onMove: (back: number) => void) {
    this.#onMove = onMove;
    const label = h("span", { class: "replay-label", "aria-hidden": "true" }, "Last minute");
    const parts = [label, this.#slider, this.#text, this.#live];
    this.element = h("footer", { class: "replay", "aria-label": "Replay" }, ...parts);
  }

  /** @param back moments before the latest one, of `depth` */
  draw({ moment, isLive, latest_us }: View, back: number, depth: number): void {
    setAttribute(this.#slider, "min", -Math.max(1, depth));
    this.#slider.value = String(-back);
    this.#slider.disabled = depth === 0;
    const seconds = Math.round((latest_us - moment.time_us) / 1e6);
    const text = isLive ? "now" : `${seconds} second${seconds === 1 ? "" : "s"} ago`;
    setAttribute(this.#slider, "aria-valuetext", text);
    setText(this.#text, `${clockTime(moment.time_us)} · ${text}`);
    this.#live.disabled = isLive;
    setAttribute(this.element, "data-past", isLive ? undefined : "true");
  }
}

/** That the instance is not there, and when it is looked for again. */
export class Notice {
  readonly element = h("div", { class: "notice", hidden: true });
  readonly #text = h("p");
  #timer: ReturnType<typeof setInterval> | undefined;

  constructor(onRetry: () => void) {
    this.element.append(this.#text, h("button", { type: "button", onclick: onRetry }, "Try now"));
  }

  lost(reason: string, seconds: number): void {
    clearInterval(this.#timer);
    let left = Math.ceil(seconds);
    const tell = (): void => {
      const when = left > 0 ? `Trying again in ${left} s` : "Trying again";
      setText(this.#text, `The instance does not answer: ${reason}. ${when}.`);
      left -= 1;
    };
    tell();
    this.#timer = setInterval(tell, 1000);
    this.element.hidden = false;
  }

  found(): void {
    clearInterval(this.#timer);
    this.element.hidden = true;
  }
}

/** What keys do, as a dialog and as what is done. */
export class Shortcuts {
  readonly button = h("button", { type: "button", class: "plain", onclick: () => this.show() });
  readonly dialog: HTMLDialogElement;
  readonly #actions: ReadonlyMap<string, () => void>;

  constructor(list: readonly (readonly [key: string, text: string, action: () => void])[]) {
    this.button.append("Keys ", h("kbd", { "aria-hidden": "true" }, "?"));
    const rows = list.map(([key, text]) =>
      h("div", {}, h("dt", {}, h("kbd", {}, key)), h("dd", {}, text)),
    );
    const close = h("button", { type: "button", onclick: () => this.dialog.close() }, "Close");
    this.dialog = h(
      "dialog",
      { "aria-labelledby": "keys-title", class: "keys" },
      h("h2", { id: "keys-title" }, "Keys"),
      h("dl", {}, ...rows),
      h("p", { class: "note" }, "In the flows table: arrows choose a row, Enter shows all of it."),
      h("p", { class: "actions" }, close),
    );
    this.#actions = new Map([
      ...list.map(([key, , action]) => [key, action] as const),
      ["?", () => this.show()] as const,
    ]);
    window.addEventListener("keydown", (event) => this.#key(event));
  }

  show(): void {
    if (!this.dialog.open) this.dialog.showModal();
  }

  #key(event: KeyboardEvent): void {
    if (event.ctrlKey || event.altKey || event.metaKey) return;
    const { target } = event;
    const isWriting =
      target instanceof HTMLSelectElement ||
      (target instanceof HTMLInputElement && !["range", "checkbox"].includes(target.type));
    if (isWriting || document.querySelector("dialog[open]") !== null) return;
    const action = this.#actions.get(event.key);
    if (action === undefined) return;
    event.preventDefault();
    action();
  }
}
