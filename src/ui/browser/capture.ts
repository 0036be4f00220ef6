/**
 * A capture: frames are sent to the page as they are caught, kept in its memory, and saved as a
 * pcapng file when it stops.
 */
import { formatUnit } from "../../lib/units.ts";
import type { Api } from "./api.ts";
import { h, keep, panel, setAttribute, setText } from "./dom.ts";
import { messageOf } from "./lists.ts";
import type { CaptureInfo } from "./model.ts";
import type { View } from "./store.ts";

/** What a page may be expected to keep in memory. */
const OCTETS_MAX = 256 * 2 ** 20;
const HEADERS_SIZE = 128;

export class CapturePanel {
  readonly element = panel("capture", "Capture");
  readonly #api: Api;
  readonly #say: (text: string) => void;
  readonly #filter = h("input", {
    ...{ name: "filter", placeholder: "tcp and host 192.0.2.1 and not port 22" },
    ...{ "aria-label": "Filter; empty is everything", autocomplete: "off", spellcheck: "false" },
  });
  readonly #headers = h("input", { type: "checkbox" });
  readonly #button = h("button", { type: "submit" }, "Start");
  readonly #state = h("p", { class: "note" });
  readonly #error = h("p", { class: "error", role: "alert", hidden: true });
  readonly #others = h("ul", { class: "lines" });
  #network = "";
  #isChosen = false;
  #running: AbortController | undefined;

  constructor(api: Api, say: (text: string) => void) {
    this.#api = api;
    this.#say = say;
    const headers = h("label", { class: "field" }, this.#headers, " headers only");
    const form = h("form", { class: "row", onsubmit: (event) => this.#submit(event) });
    form.append(this.#filter, headers, this.#button);
    this.element.append(form, this.#state, this.#error, this.#others);
    this.#tell("Frames are kept in this page until it stops, then saved as a pcapng file.");
  }

  /** Starts, or stops and saves. */
  fill(filter: string): void {
    this.#filter.value = filter;
    this.element.scrollIntoView({ block: "nearest" });
    this.#button.focus();
  }

  draw({ network, networks, moment }: View): void {
    this.#network = network !== "" ? network : networks.length === 1 ? (networks[0] ?? "") : "";
    this.#isChosen = this.#network !== "";
    this.#button.disabled = this.#running === undefined && !this.#isChosen;
    setAttribute(this.#button, "title", this.#isChosen ? undefined : "Choose a network first");
    keep(
      this.#others,
      moment.captures,
      ({ id }) => String(id),
      () => h("li"),
      (element, capture) => setText(element, tellOf(capture)),
    );
  }

  #submit(event: Event): void {
    event.preventDefault();
    if (this.#running === undefined) void this.#start();
    else this.#running.abort();
  }

  async #start(): Promise<void> {
    const stopping = new AbortController();
    this.#running = stopping;
    this.#error.hidden = true;
    setText(this.#button, "Stop and save");
    setAttribute(this.element, "data-running", "true");
    this.#say("Capture started");
    const parts: Uint8Array<ArrayBuffer>[] = [];
    let size = 0;
    this.#tell("Waiting for the first frames …");
    const request = {
      network: this.#network,
      filter: this.#filter.value.trim(),
      octetsMax: String(OCTETS_MAX),
      ...(this.#headers.checked ? { snapLength: HEADERS_SIZE } : {}),
    };
    const onOctets = (octets: Uint8Array<ArrayBuffer>): void => {
      parts.push(octets);
      size += octets.length;
      this.#tell(`Captured ${formatUnit("octets", size)} of ${formatUnit("octets", OCTETS_MAX)}`);
    };
    try {
      await this.#api.capture(request, onOctets, stopping.signal);
    } catch (error) {
      if (!stopping.signal.aborted) this.#fail(messageOf(error));
    }
    this.#finish(parts, size);
  }

  #finish(parts: readonly Uint8Array<ArrayBuffer>[], size: number): void {
    this.#running = undefined;
    setText(this.#button, "Start");
    setAttribute(this.element, "data-running", undefined);
    if (size === 0) {
      this.#tell("Nothing was captured.");
      return;
    }
    const name = `${this.#network || "capture"}.pcapng`;
    save(new Blob([...parts], { type: "application/octet-stream" }), name);
    this.#tell(`Saved ${formatUnit("octets", size)} as ${name}`);
    this.#say(`Capture saved, ${formatUnit("octets", size)}`);
  }

  #fail(text: string): void {
    setText(this.#error, text);
    this.#error.hidden = false;
  }

  #tell(text: string): void {
    setText(this.#state, text);
  }
}

function tellOf({ network, filter, file, frames, octets, lost }: CaptureInfo): string {
  const where = file === "" ? "sent to a caller" : `into ${file}`;
  const missed = lost === 0 ? "" : `, ${formatUnit("count", lost)} missed`;
  const what = filter === "" ? "everything" : filter;
  const count = `${formatUnit("count", frames)} frames, ${formatUnit("octets", octets)}${missed}`;
  return `${network}: ${what}, ${where}: ${count}`;
}

function save(blob: Blob, name: string): void {
  const url = URL.createObjectURL(blob);
  const link = h("a", { href: url, download: name });
  link.click();
  // The browser has taken it by then.
  setTimeout(() => URL.revokeObjectURL(url), 60_000);
}
