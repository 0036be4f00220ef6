/** All that is known of one flow, in a dialog that goes with the time shown. */
import { formatUnit } from "../../lib/units.ts";
import { h, keep, setText } from "./dom.ts";
import { endpoint, type FlowInfo } from "./model.ts";
import { formatRate, formatSpan, WAITING, waitingWord } from "./rows.ts";
import type { View } from "./store.ts";

type Fact = readonly [name: string, value: string];

export class FlowDetails {
  readonly element: HTMLDialogElement;
  readonly #title = h("h2", { id: "details-title" });
  readonly #waiting = h("p", { class: "waiting" });
  readonly #facts = h("dl", { class: "facts" });
  #flow: FlowInfo | undefined;

  constructor(onCapture: (flow: FlowInfo) => void) {
    const capture = h("button", {
      type: "button",
      onclick: () => {
        const flow = this.#flow;
        this.element.close();
        if (flow !== undefined) onCapture(flow);
      },
    });
    capture.append("Capture this flow");
    const close = h("button", {
      type: "button",
      class: "plain",
      onclick: () => this.element.close(),
    });
    close.append("Close");
    this.element = h(
      "dialog",
      { class: "details", "aria-labelledby": "details-title" },
      this.#title,
      this.#waiting,
      this.#facts,
      h("p", { class: "actions" }, capture, close),
    );
    // A click beside it closes it.
    this.element.addEventListener("click", (event) => {
      if (event.target === this.element) this.element.close();
    });
    this.element.addEventListener("close", () => {
      this.#flow = undefined;
    });
  }

  open(flow: FlowInfo, view: View): void {
    this.#flow = flow;
    this.#show(flow, view.moment.time_us);
    this.element.showModal();
  }

  draw(view: View): void {
    if (this.#flow === undefined) return;
    const { key } = this.#flow;
    const now = view.moment.flows.find((flow) => flow.key === key);
    if (now === undefined) {
      setText(this.#waiting, view.isLive ? "It has ended." : "It was not there at this time.");
      return;
    }
    this.#flow = now;
    this.#show(now, view.moment.time_us);
  }

  #show(flow: FlowInfo, now_us: number): void {
    const { kind, guest, guestPort, peer, peerPort, waiting, ended_us } = flow;
    const ends = [endpoint(guest, guestPort), endpoint(peer, peerPort)];
    if (flow.isInbound) ends.reverse();
    setText(this.#title, `${kind} ${ends.join(" → ")}`);
    const sentence = WAITING[waiting]?.[1] ?? waitingWord(waiting);
    setText(this.#waiting, ended_us === undefined ? sentence : "It has ended.");
    keep(
      this.#facts,
      factsOf(flow, now_us),
      ([name]) => name,
      ([name]) => h("div", {}, h("dt", {}, name), h("dd")),
      (element, [, value]) => {
        if (element.lastElementChild !== null) setText(element.lastElementChild, value);
      },
    );
  }
}

function factsOf(flow: FlowInfo, now_us: number): Fact[] {
  const { isInbound, ended_us } = flow;
  const octets = (value: number): string => formatUnit("octets", value);
  const until_us = ended_us ?? now_us;
  const facts: Fact[] = [
    ["Network", flow.network],
    ["Opened by", isInbound ? "the far side, by a published port" : "the guest"],
    ["Host's end", flow.local],
    ["Goes to", flow.host],
    ["From the guest", `${octets(flow.toHost)} (${formatRate(flow.rateToHost)})`],
    ["To the guest", `${octets(flow.toGuest)} (${formatRate(flow.rateToGuest)})`],
    ["Age", formatSpan(until_us - flow.born_us)],
    ["Idle for", formatSpan(until_us - flow.active_us)],
  ];
  if (flow.kind !== "tcp") return facts;
  return [
    ...facts,
    ["State", flow.state],
    ["Round trip to the guest", flow.rtt_us === 0 ? "–" : formatUnit("duration", flow.rtt_us)],
    ["Window of the guest", octets(flow.windowOfGuest)],
    ["Window for the guest", octets(flow.windowForGuest)],
    ["Congestion window", octets(flow.congestionWindow)],
    ["In flight", octets(flow.inFlight)],
    ["Sent again", `${flow.retransmits} segment${flow.retransmits === 1 ? "" : "s"}`],
    ["Number", String(flow.id)],
  ];
}
