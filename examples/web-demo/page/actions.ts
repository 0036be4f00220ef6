/** Buttons that have the guest do something, or ask something of it, and what came of it. */

import type { GuestFetch } from "../../../src/network/web/index.ts";
import { h, panel, setText } from "../../../src/ui/browser/dom.ts";
import { SERVICE_PORT, SHELL_NAME, SHELL_PORT, WEB_NAME } from "../addresses.ts";
import type { Answer, Desk } from "./desk.ts";

const DOWNLOAD_SIZE = 16e6;
const UPLOAD_SIZE = 8e6;

export interface ActionWays {
  readonly desk: Desk;
  /** Asks the guest's HTTP server; undefined: v86's own network cannot reach it. */
  readonly fetchGuest: GuestFetch | undefined;
  readonly type: (keys: string) => void;
}

type Work = (ways: ActionWays) => Promise<string>;

export class ActionsPanel {
  readonly element = panel("actions", "Things to do");
  readonly #result = h("pre", { class: "result", role: "status", tabindex: 0 });
  readonly #buttons: HTMLButtonElement[] = [];
  #ways: ActionWays | undefined;

  constructor() {
    const row = h("div", { class: "row" });
    for (const [id, label, work] of ACTIONS) {
      const onclick = (): void => void this.#do(label, work);
      const button = h("button", { type: "button", id, disabled: true, onclick }, label);
      this.#buttons.push(button);
      row.append(button);
    }
    this.element.append(row, this.#result);
    setText(this.#result, "The guest is not up yet.");
  }

  /** The guest takes commands from now on. */
  enable(ways: ActionWays): void {
    this.#ways = ways;
    this.#allow(true);
    setText(this.#result, "The guest is up.");
  }

  #allow(isAllowed: boolean): void {
    for (const button of this.#buttons) button.disabled = !isAllowed;
  }

  async #do(label: string, work: Work): Promise<void> {
    if (this.#ways === undefined) return;
    this.#allow(false);
    setText(this.#result, `${label} …`);
    const said = await work(this.#ways).catch((error: unknown) => `Failed: ${String(error)}`);
    setText(this.#result, said);
    this.#allow(true);
  }
}

const ACTIONS: readonly (readonly [string, string, Work])[] = [
  ["download", "Download", download],
  ["upload", "Upload", upload],
  ["ping", "Ping the gateway", ping],
  ["ask-guest", "GET from the server in the guest", askGuest],
  ["shell", "Interactive stream", shell],
];

async function download({ desk }: ActionWays): Promise<string> {
  const url = `http://${WEB_NAME}`;
  const { answer, seconds } = await timed(desk, `wget -q -O /tmp/f ${url}/files/${DOWNLOAD_SIZE}`);
  if (answer.code !== 0) return `wget failed: ${answer.output}`;
  const [own, told] = ["sha256sum </tmp/f", `wget -q -O - ${url}/sums/${DOWNLOAD_SIZE}`];
  const equal = `[ "$(${own} | cut -d' ' -f1)" = "$(${told})" ]`;
  const { code } = await desk.run(`${equal}; ok=$?; rm /tmp/f; [ $ok = 0 ]`);
  return `${speed(DOWNLOAD_SIZE, seconds)} to the guest; SHA-256 ${code === 0 ? "equal" : "WRONG"}`;
}

async function upload({ desk }: ActionWays): Promise<string> {
  // Text, as busybox' wget posts no octets of value 0.
  await desk.run(`head -c ${(UPLOAD_SIZE * 3) / 4} /dev/urandom | base64 -w 0 >/tmp/u`);
  const wget = `wget -q -O /tmp/r --post-file=/tmp/u http://${WEB_NAME}/upload`;
  const { answer, seconds } = await timed(desk, wget);
  if (answer.code !== 0) return `wget failed: ${answer.output}`;
  const equal = `[ "$(sha256sum </tmp/u | cut -d' ' -f1)" = "$(cut -d' ' -f1 /tmp/r)" ]`;
  const { code } = await desk.run(`${equal}; ok=$?; rm /tmp/u; [ $ok = 0 ]`);
  return `${speed(UPLOAD_SIZE, seconds)} from the guest; SHA-256 ${code === 0 ? "equal" : "WRONG"}`;
}

async function ping({ desk }: ActionWays): Promise<string> {
  const gateway = "$(ip route | sed -n 's/^default via \\([^ ]*\\).*/\\1/p')";
  const { output } = await desk.run(`ping -c 3 -i 0.2 ${gateway}`);
  return output;
}

async function askGuest({ fetchGuest }: ActionWays): Promise<string> {
  if (fetchGuest === undefined) return "v86's own network leads to no server in the guest.";
  const response = await fetchGuest("/cgi-bin/facts");
  return `${response.status} from port ${SERVICE_PORT} of the guest:\n\n${await response.text()}`;
}

async function shell({ type }: ActionWays): Promise<string> {
  type(`nc ${SHELL_NAME} ${SHELL_PORT}\n`);
  return "What you type in the console goes to a server and comes back. Control-C ends it.";
}

async function timed(desk: Desk, command: string): Promise<{ answer: Answer; seconds: number }> {
  const start = performance.now();
  const answer = await desk.run(command);
  return { answer, seconds: (performance.now() - start) / 1000 };
}

function speed(size: number, seconds: number): string {
  const rate = size / seconds / 1e6;
  return `${size / 1e6} MB in ${seconds.toFixed(1)} s: ${rate.toFixed(1)} MB/s`;
}
