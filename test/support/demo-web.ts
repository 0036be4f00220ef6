/** The demonstration's page in a browser, and its guest as a test or benchmark drives it. */
import type { Browser, Page } from "playwright-core";
import { which } from "./e2e/shell.ts";
import { NO_BROWSER } from "./ui/stage.ts";

export interface GuestAnswer {
  readonly code: number;
  readonly output: string;
  /** From asking to the answer, by the page's clock. */
  readonly ms: number;
}

/** What the page leaves for whoever drives it. */
interface DemoGlobal {
  readonly demo?: {
    readonly desk: {
      readonly ready: Promise<void>;
      run(command: string): Promise<{ code: number; output: string }>;
    };
    readonly terminal: { readonly text: string };
  };
}

export interface DemoPage {
  readonly page: Page;
  /** Errors of the page, and requests that left its machine. */
  readonly problems: readonly string[];
  /** Resolves when the guest has its lease and takes commands. */
  booted(limit_ms: number): Promise<void>;
  run(command: string, limit_ms?: number): Promise<GuestAnswer>;
  /** What the terminal shows, lines above the screen included. */
  terminal(): Promise<string>;
}

const COMMAND_LIMIT_ms = 30_000;
/** What the page shows once the guest has its lease and takes commands. */
export const LIVE = ".pill[data-state=live]";

/** Why the demonstration cannot be tested here, or false. */
export function demoMissing(): string | false {
  const missing = ["apt-get", "dpkg-deb"].find((program) => which(program) === undefined);
  if (missing !== undefined) return `no ${missing}, which brings the guest`;
  return NO_BROWSER;
}

/** @param query what follows the page's address */
export async function openDemo(browser: Browser, url: string, query = ""): Promise<DemoPage> {
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  const problems: string[] = [];
  page.on("pageerror", (error) => problems.push(error.message));
  page.on("console", (message) => {
    if (message.type() === "error") problems.push(message.text());
  });
  page.on("request", (request) => {
    const { protocol, hostname } = new URL(request.url());
    if (hostname !== "127.0.0.1" && protocol.startsWith("http")) problems.push(request.url());
  });
  // Functions that tests have run in the page are compiled by esbuild, which calls this.
  await page.addInitScript("globalThis.__name = (it) => it");
  await page.goto(`${url}${query}`);
  const booted = async (timeout: number): Promise<void> => {
    await page.locator(LIVE).waitFor({ timeout });
  };
  const run = (command: string, limit_ms = COMMAND_LIMIT_ms): Promise<GuestAnswer> =>
    page.evaluate(askGuest, [command, limit_ms] as const);
  const terminal = (): Promise<string> =>
    page.evaluate(() => (globalThis as DemoGlobal).demo?.terminal.text ?? "");
  return { page, problems, booted, run, terminal };
}

/** Has the guest run a command. Runs in the page, so it uses nothing from outside. */
export async function askGuest([command, limit_ms]: readonly [
  string,
  number,
]): Promise<GuestAnswer> {
  const { demo } = globalThis as DemoGlobal;
  if (demo === undefined) throw new Error("there is no guest yet");
  const start = performance.now();
  const late = new Promise<never>((_, reject) => {
    setTimeout(() => reject(new Error(`no answer to "${command}"`)), limit_ms);
  });
  const answer = await Promise.race([demo.desk.run(command), late]);
  return { ...answer, ms: performance.now() - start };
}
