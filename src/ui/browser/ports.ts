/** Ports of the host that reach the guest: what there is, one more, one less. */
import type { Api } from "./api.ts";
import { h, keep, panel, setAttribute, setText } from "./dom.ts";
import { messageOf } from "./lists.ts";
import type { PortInfo } from "./model.ts";
import { guestText, hostText, ruleOf } from "./port-texts.ts";
import type { View } from "./store.ts";

export class PortsPanel {
  readonly element = panel("ports", "Published ports");
  readonly #api: Api;
  readonly #say: (text: string) => void;
  readonly #rows = h("tbody");
  readonly #table: HTMLTableElement;
  readonly #empty = h("p", { class: "empty" }, "No port is published.");
  readonly #error = h("p", { class: "error", role: "alert", hidden: true });
  readonly #rule = h("input", {
    ...{ name: "rule", placeholder: "8080:80 or 5353:53/udp", "aria-label": "Port to publish" },
    ...{ autocomplete: "off", spellcheck: "false", required: true },
  });
  readonly #add = h("button", { type: "submit" }, "Publish");
  #network = "";
  /** Key of the port whose removal is to be confirmed. */
  #asked = "";

  constructor(api: Api, say: (text: string) => void) {
    this.#api = api;
    this.#say = say;
    const heads = ["Host", "Guest", "State", "Flows", ""].map((title, i) =>
      title === ""
        ? h("td")
        : h("th", { scope: "col", class: i === 3 ? "number" : undefined }, title),
    );
    const caption = h("caption", { class: "hidden" }, "Published ports");
    this.#table = h("table", {}, caption, h("thead", {}, h("tr", {}, ...heads)), this.#rows);
    const form = h("form", { class: "row", onsubmit: (event) => this.#publish(event) });
    form.append(this.#rule, this.#add);
    this.element.append(this.#empty, this.#table, form, this.#error);
  }

  draw({ moment, network, networks, isLive }: View): void {
    // Where there are several, one has to be chosen first.
    this.#network = network !== "" ? network : networks.length === 1 ? (networks[0] ?? "") : "";
    const isChosen = this.#network !== "";
    this.#add.disabled = !isLive || !isChosen;
    this.#rule.disabled = !isLive || !isChosen;
    setAttribute(this.#add, "title", isChosen ? undefined : "Choose a network first");
    const ports = moment.ports.filter((port) => network === "" || port.network === network);
    this.#empty.hidden = ports.length > 0;
    this.#table.hidden = ports.length === 0;
    keep(
      this.#rows,
      ports,
      keyOf,
      (port) => this.#makeRow(port),
      (row, port) => this.#update(row, port, isLive),
    );
  }

  #makeRow(port: PortInfo): HTMLTableRowElement {
    const button = h("button", { type: "button", class: "plain" });
    button.addEventListener("click", () => this.#remove(port, button));
    button.addEventListener("blur", () => this.#forget(port, button));
    const name = hostText(port);
    button.dataset["name"] = name;
    ask(button, false);
    return h(
      "tr",
      {},
      h("th", { scope: "row" }, name),
      h("td", {}, guestText(port)),
      h("td"),
      h("td", { class: "number" }),
      h("td", { class: "end" }, button),
    );
  }

  #update(row: HTMLTableRowElement, port: PortInfo, isLive: boolean): void {
    const [, , state, flows] = row.cells;
    if (state === undefined || flows === undefined) return;
    setText(state, port.isListening ? "answers" : "no guest");
    setAttribute(state, "data-good", String(port.isListening));
    setText(flows, port.flows === 0 ? "–" : String(port.flows));
    const button = row.querySelector("button");
    if (button !== null) button.disabled = !isLive;
  }

  async #publish(event: Event): Promise<void> {
    event.preventDefault();
    const rule = this.#rule.value.trim();
    await this.#try(async () => {
      await this.#api.call("AddPublished", { network: this.#network, rule });
      this.#rule.value = "";
      this.#say(`Published ${rule}`);
    });
  }

  /** The first press asks, the second does it. */
  async #remove(port: PortInfo, button: HTMLButtonElement): Promise<void> {
    if (this.#asked !== keyOf(port)) {
      this.#asked = keyOf(port);
      ask(button, true);
      return;
    }
    this.#forget(port, button);
    await this.#try(async () => {
      const rule = ruleOf(port);
      await this.#api.call("RemovePublished", { network: port.network, rule });
      this.#say(`Removed ${rule}`);
    });
  }

  #forget(port: PortInfo, button: HTMLButtonElement): void {
    if (this.#asked !== keyOf(port)) return;
    this.#asked = "";
    ask(button, false);
  }

  async #try(work: () => Promise<void>): Promise<void> {
    this.#error.hidden = true;
    try {
      await work();
    } catch (error) {
      setText(this.#error, messageOf(error));
      this.#error.hidden = false;
    }
  }
}

function ask(button: HTMLButtonElement, isAsked: boolean): void {
  setText(button, isAsked ? "Really?" : "Remove");
  const { name = "" } = button.dataset;
  setAttribute(button, "aria-label", isAsked ? `Really remove ${name}?` : `Remove ${name}`);
  setAttribute(button, "class", isAsked ? "danger" : "plain");
}

function keyOf({ network, protocol, host, hostPort }: PortInfo): string {
  return `${network} ${protocol} ${host} ${hostPort}`;
}
