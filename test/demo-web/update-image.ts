/**
 * Writes the picture of the demonstration in `docs/images` anew:
 * `node --import tsx test/demo-web/update-image.ts`. Needs chromium and a build.
 */
import { writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { WEB_NAME } from "../../examples/web-demo/addresses.ts";
import { startDemo } from "../../examples/web-demo/start.ts";
import { openDemo } from "../support/demo-web.ts";
import { shrinkPng } from "../support/ui/small-png.ts";
import { openBrowser } from "../support/ui/stage.ts";

const FILE = fileURLToPath(new URL("../../docs/images/demo-web.png", import.meta.url));
const LIMIT_ms = 180_000;

const site = await startDemo();
const browser = await openBrowser();
try {
  const demo = await openDemo(browser, site.url);
  const { page } = demo;
  page.setDefaultTimeout(LIMIT_ms);
  await demo.booted(LIMIT_ms);
  const press = async (id: string, pattern: RegExp): Promise<void> => {
    await page.locator(id).click();
    await page.locator("#actions .result").filter({ hasText: pattern }).waitFor();
  };
  await press("#download", /SHA-256/);
  await press("#upload", /SHA-256/);
  await page.locator("#terminal .screen").click();
  await page.keyboard.type("ip -4 addr show dev eth0; ping -c 3 10.0.2.2\n");
  await page.locator("#terminal", { hasText: "round-trip" }).waitFor();
  await page.keyboard.type(`wget -O /dev/null http://${WEB_NAME}/files/30000000\n`);
  await page.locator("#terminal", { hasText: /'\/dev\/null' saved/ }).waitFor();
  await press("#ask-guest", /inet/);
  writeFileSync(FILE, shrinkPng(await page.screenshot()));
} finally {
  await browser.close();
  await site.close();
}
