/** The way from the guest to the world, a row for each network: who is there, and what moves. */
import { formatUnit } from "../../lib/units.ts";
import { clockTime, h, keep, panel, setAttribute, setText } from "./dom.ts";
import type { EventInfo, NetworkInfo } from "./model.ts";
import { formatSpan } from "./rows.ts";
import type { View } from "./store.ts";

type Fact = readonly [name: string, value: string, share?: number];

interface Box {
  readonly element: HTMLElement;
  draw(state: string, isGood: boolean, facts: readonly Fact[]): void;
}

interface Edge {
  readonly element: HTMLElement;
  draw(name: string, up: string, down: string): void;
}

interface Chain {
  readonly element: HTMLElement;
  draw(network: NetworkInfo, view: View): void;
}

export class TopologyPanel {
  readonly element = panel("topology", "Topology");
  readonly #chains = h("div", { class: "chains" });
  readonly #made = new Map<string, Chain>();
  readonly #about = h("p", { class: "about" });

  constructor() {
    this.element.firstElementChild?.append(this.#about);
    this.element.append(this.#chains);
  }

  draw(view: View): void {
    const { instance, time_us } = view.moment;
    if (instance === undefined) return;
    const { command, version, pid, started_us } = instance;
    const age = formatSpan(time_us - started_us);
    const [only = ""] = view.networks.length === 1 ? view.networks : [];
    const network = only === "" ? "" : `network ${only} · `;
    setText(this.#about, `${network}${command} · version ${version} · pid ${pid} · up ${age}`);
    const networks = instance.networks.filter(
      ({ name }) => view.network === "" || name === view.network,
    );
    keep(
      this.#chains,
      networks,
      ({ name }) => name,
      ({ name }) => this.#chain(name).element,
      (_, network) => this.#chain(network.name).draw(network, view),
    );
  }

  #chain(name: string): Chain {
    const made = this.#made.get(name) ?? makeChain(name);
    this.#made.set(name, made);
    return made;
  }
}

function makeChain(name: string): Chain {
  const guest = makeBox("Guest");
  const link = makeEdge("Link");
  const engine = makeBox("Engine");
  const sockets = makeEdge("Sockets");
  const world = makeBox("Host");
  const parts = [guest, link, engine, sockets, world].map(({ element }) => element);
  const title = h("h3", {}, name);
  const list = h("ol", { class: "chain", "aria-label": `Path of network ${name}` }, ...parts);
  const element = h("div", { class: "network" }, title, list);
  return {
    element,
    draw(network, view) {
      const all = view.points.findLast(({ time_us }) => time_us === view.moment.time_us);
      const figures = all?.byNetwork.get(network.name);
      const [up, down] = [figures?.fromGuest ?? 0, figures?.toGuest ?? 0];
      const rate = (value: number): string => formatUnit("rate", value);
      const flows = flowFigures(network.name, view);
      guest.draw(
        network.hasGuest ? "attached" : "absent",
        network.hasGuest,
        guestFacts(network, view),
      );
      link.draw(network.link, rate(up), rate(down));
      engine.draw(network.isUp ? "up" : "does not answer", network.isUp, [
        [
          "Flows",
          `${flows.count.toLocaleString("en")} of ${network.flowsMax.toLocaleString("en")}`,
        ],
        [
          "Buffers",
          `${formatUnit("octets", figures?.buffers ?? 0)}`,
          (figures?.buffers ?? 0) / Math.max(1, figures?.buffersMax ?? 1),
        ],
        ["Drops", `${formatUnit("count", Math.round(figures?.drops ?? 0))} /s`],
        ["Replaced", network.engineFailures === 0 ? "never" : `${network.engineFailures} times`],
      ]);
      sockets.draw("sockets", rate(flows.up), rate(flows.down));
      world.draw("", true, worldFacts(network, view, flows.kinds));
      title.hidden = view.networks.length === 1;
      setAttribute(link.element, "title", network.endpoint);
    },
  };
}

function guestFacts(network: NetworkInfo, view: View): Fact[] {
  const leases = view.events.filter(
    ({ kind, network: of }) => kind === "LEASE_GIVEN" && (of === network.name || of === ""),
  );
  // A guest may have one of each version; IPv6 is told a line above.
  const isIpv4 = ({ details }: EventInfo): boolean => details["address"]?.includes(":") === false;
  const lease = leases.findLast(isIpv4) ?? leases.at(-1);
  const { address = "" } = lease?.details ?? {};
  return [
    ["Address", network.guestAddress || "–"],
    ["IPv6", network.guestAddress6 || "–"],
    [
      "Lease",
      lease === undefined ? "none seen" : `${address} at ${clockTime(lease.time_us)}`.trim(),
    ],
    ["MTU", String(network.mtu)],
  ];
}

function worldFacts(network: NetworkInfo, view: View, kinds: string): Fact[] {
  const ports = view.moment.ports.filter((port) => port.network === network.name);
  const open = ports.filter(({ isListening }) => isListening).length;
  return [
    ["Gateway", network.gateway || network.gateway6 || "–"],
    ["DNS", network.dnsAddress || network.dnsAddress6 || "–"],
    ["Ports", ports.length === 0 ? "none published" : `${open} of ${ports.length} answer`],
    ["Flows", kinds || "none"],
  ];
}

/** Of the flows of a network: how many live, of which kinds, bits per second of payload. */
function flowFigures(
  name: string,
  view: View,
): { count: number; kinds: string; up: number; down: number } {
  const kinds = new Map<string, number>();
  let [count, up, down] = [0, 0, 0];
  for (const flow of view.moment.flows) {
    if (flow.network !== name || flow.ended_us !== undefined) continue;
    count += 1;
    up += flow.rateToHost * 8;
    down += flow.rateToGuest * 8;
    kinds.set(flow.kind, (kinds.get(flow.kind) ?? 0) + 1);
  }
  const parts = [...kinds].sort(([a], [b]) => a.localeCompare(b));
  const text = parts.map(([kind, n]) => `${n.toLocaleString("en")} ${kind}`).join(" · ");
  return { count, kinds: text, up, down };
}

function makeBox(title: string): Box {
  const state = h("span", { class: "state" });
  const facts = h("dl");
  const heading = h("p", { class: "box-head" }, h("strong", {}, title), state);
  const element = h("li", { class: "box" }, heading, facts);
  return {
    element,
    draw(text, isGood, list) {
      setText(state, text);
      setAttribute(state, "data-good", String(isGood));
      keep(
        facts,
        list,
        ([name]) => name,
        ([name]) => h("div", {}, h("dt", {}, name), h("dd", {}, h("span"))),
        (row, [, value, share]) => {
          const text = row.querySelector("dd span");
          if (text !== null) setText(text, value);
          if (share !== undefined) drawShare(row, share);
        },
      );
    },
  };
}

/** How full it is, beside the number that says so. */
function drawShare(row: HTMLElement, share: number): void {
  let meter = row.querySelector<HTMLElement>(".meter");
  if (meter === null) {
    meter = h("i", { class: "meter", "aria-hidden": "true" }, h("b"));
    row.querySelector("dd")?.append(meter);
  }
  const bar = meter.firstElementChild as HTMLElement;
  bar.style.width = `${Math.round(100 * Math.max(0, Math.min(1, share)))}%`;
}

function makeEdge(title: string): Edge {
  const [up, down] = [h("span"), h("span")];
  const line = h("i", { class: "line", "aria-hidden": "true" });
  const told = (sign: string, text: string, value: HTMLElement): HTMLElement =>
    h(
      "p",
      {},
      h("i", { "aria-hidden": "true" }, sign),
      h("span", { class: "hidden" }, text),
      value,
    );
  const element = h(
    "li",
    { class: "edge", "aria-label": title },
    told("→", "from the guest ", up),
    line,
    told("←", "to the guest ", down),
  );
  return {
    element,
    draw(name, upText, downText) {
      setText(line, name);
      setText(up, upText);
      setText(down, downText);
      setAttribute(
        element,
        "data-busy",
        String(!upText.startsWith("0 ") || !downText.startsWith("0 ")),
      );
    },
  };
}
