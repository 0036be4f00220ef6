/**
 * The page: a machine, its network, and what both do, side by side.
 *
 *     ?network=v86   v86's own network in place of ours, for comparison: no graphs, no names
 *     ?mtu=N         of the guest's card
 */

import { Theme } from "../../../src/ui/browser/chrome.ts";
import { h } from "../../../src/ui/browser/dom.ts";
import type { DemoSettings } from "../settings.ts";
import { ActionsPanel } from "./actions.ts";
import { Desk } from "./desk.ts";
import { Machine } from "./emulator.ts";
import { FiguresPanels } from "./figures-panels.ts";
import { GuestNetwork } from "./guest-network.ts";
import { Terminal } from "./terminal.ts";

/** What v86's card takes, and Linux: one segment costs the guest about the same at any size. */
const MTU = 65520;
const MTU_OF_V86 = 1500;
const FIGURES_INTERVAL_ms = 1000;

const query = new URLSearchParams(location.search);
const isOurs = query.get("network") !== "v86";
const mtu = Number(query.get("mtu") ?? (isOurs ? MTU : MTU_OF_V86));

const state = h("p", { class: "pill", role: "status", "data-state": "wait" }, "loading");
const actions = new ActionsPanel();
const figures = new FiguresPanels();
const theme = new Theme(() => figures.recolor());
let machine: Machine | undefined;
const pause = h("button", { id: "pause", type: "button", "aria-pressed": "false" }, "Pause");
const terminal = new Terminal((octets) => machine?.typeIntoConsole(octets));

function tell(name: string, text: string): void {
  state.dataset["state"] = name;
  state.textContent = text;
}

document.body.append(
  h(
    "header",
    { class: "head" },
    h("p", { class: "brand", "aria-hidden": "true" }, "slirp-binding"),
    h("h1", {}, "A virtual machine in this page, and its network"),
    state,
    h("div", { class: "tools" }, pause, theme.element),
  ),
  h(
    "main",
    { class: "demo" },
    h("div", { class: "column" }, terminal.element, actions.element),
    h("div", { class: "column" }, ...figures.elements),
  ),
);
terminal.open();

async function run(): Promise<void> {
  const settings = (await (await fetch("/settings.json")).json()) as DemoSettings;
  const network = isOurs ? await GuestNetwork.open(settings, mtu) : undefined;
  const relay = isOurs ? {} : { relay: settings.relay.replace(/^ws/, "wisp") };
  const started = await Machine.start(settings.files, { mtu, ...relay });
  machine = started;
  if (started.card !== undefined) network?.plugIn(started.card);
  started.onConsole((octet) => terminal.write(octet));
  const desk = new Desk((octets) => started.typeIntoDesk(octets));
  started.onDesk((octet) => desk.take(octet));
  tell("wait", "the guest boots");
  if (network !== undefined) {
    const drawing = setInterval(() => figures.draw(network.observe()), FIGURES_INTERVAL_ms);
    network.closed.catch((error: unknown) => {
      clearInterval(drawing);
      tell("lost", String(error));
    });
  }
  Object.assign(globalThis, { demo: { desk, terminal, network } });
  await desk.ready;
  tell("live", "the guest is up");
  pause.addEventListener("click", () => {
    const isPaused = pause.getAttribute("aria-pressed") !== "true";
    pause.setAttribute("aria-pressed", String(isPaused));
    tell(isPaused ? "replay" : "live", isPaused ? "the guest is paused" : "the guest is up");
    void started.pause(isPaused);
  });
  actions.enable({
    desk,
    type: (keys) => {
      started.typeIntoConsole(new TextEncoder().encode(keys));
      terminal.focus();
    },
    fetchGuest: network?.fetchGuest,
  });
}

// Whoever looks at the page sees it before the emulator takes the processor.
requestAnimationFrame(() => {
  document.documentElement.dataset["interactive"] = String(Math.round(performance.now()));
  run().catch((error: unknown) => tell("lost", String(error)));
});
