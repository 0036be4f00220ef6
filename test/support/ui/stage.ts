/** A live page on a fake instance, and the browser that shows it: Debian's chromium, headless. */
import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Browser, chromium, type Page } from "playwright-core";
import { pageParts } from "../../../src/assets.ts";
import { type AdminCalls, adminCalls } from "../../../src/ui/admin-calls.ts";
import { startUi, type UiServer } from "../../../src/ui/server.ts";
import { FakeInstance } from "./fake-instance.ts";

export const CHROMIUM = ["/usr/bin/chromium", "/usr/bin/chromium-browser"].find(existsSync);

/** Why tests of the page are skipped, or false. */
export const NO_BROWSER = CHROMIUM === undefined ? "no chromium" : false;

/** Calls of an instance that is not there. */
export const NO_CALLS: AdminCalls = adminCalls(async () => {
  throw new Error("no instance");
});

export interface Stage {
  readonly instance: FakeInstance;
  readonly server: UiServer;
  readonly token: string;
  close(): Promise<void>;
}

/** Starts both; the instance has nothing yet. */
export async function setStage(interval_ms = 200): Promise<Stage> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-ui-"));
  const path = join(folder, "fake.sock");
  const instance = new FakeInstance(path, interval_ms);
  await instance.start();
  const token = randomBytes(32).toString("base64url");
  const calls = adminCalls(async () => path);
  const parts = pageParts("ui");
  const server = await startUi({ host: "127.0.0.1", port: 0, token, parts, calls });
  const close = async (): Promise<void> => {
    await server.close();
    await instance.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { instance, server, token, close };
}

/** @param executablePath a program in its place, which starts it somewhere else */
export function openBrowser(executablePath = CHROMIUM ?? ""): Promise<Browser> {
  // Its own sandbox needs a user of its own, or a namespace that containers do not allow.
  const args = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu", "--disable-lcd-text"];
  return chromium.launch({ executablePath, args });
}

export interface Look {
  readonly width?: number;
  readonly height?: number;
  readonly colorScheme?: "light" | "dark";
  readonly reducedMotion?: "reduce" | "no-preference";
}

/** Opens the page and waits until it shows the instance. */
export async function openPage(browser: Browser, url: string, look: Look = {}): Promise<Page> {
  const { width = 1440, height = 900, ...emulated } = look;
  const page = await browser.newPage({ viewport: { width, height }, ...emulated });
  // Functions that tests have run in the page are compiled by esbuild, which calls this.
  await page.addInitScript("globalThis.__name = (it) => it");
  await page.goto(url);
  await page.locator(".pill[data-state=live]").waitFor();
  return page;
}
