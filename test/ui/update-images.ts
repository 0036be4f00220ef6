/**
 * Writes the pictures of the live page in `docs/images` anew, from a fake instance whose clock is
 * fast: `node --import tsx test/ui/update-images.ts`. Needs chromium and a build.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { bringToLife, furnish } from "../support/ui/scene.ts";
import { shrinkPng } from "../support/ui/small-png.ts";
import { openBrowser, openPage, setStage } from "../support/ui/stage.ts";

const FOLDER = fileURLToPath(new URL("../../docs/images/", import.meta.url));
/** Real time until the charts are full, seconds. */
const WAIT_s = 12;
const INTERVAL_ms = 200;
const NETWORKS = ["default"];
const SIZE = { width: 1280, height: 1000 };

mkdirSync(FOLDER, { recursive: true });
const { instance, server, close } = await setStage(INTERVAL_ms);
instance.name = "attach-4711";
// A second goes by in each interval, so that rates are as smooth as those of a real program.
instance.speed = 1000 / INTERVAL_ms;
furnish(instance, { networks: NETWORKS, flows: 48 });
bringToLife(instance, NETWORKS);
const browser = await openBrowser();
try {
  await Promise.all(
    (["light", "dark"] as const).map(async (colorScheme) => {
      const page = await openPage(browser, server.url, { ...SIZE, colorScheme });
      await page.waitForTimeout(WAIT_s * 1000);
      const picture = await page.screenshot();
      writeFileSync(`${FOLDER}ui-${colorScheme}.png`, shrinkPng(picture));
      await page.close();
    }),
  );
} finally {
  await browser.close();
  await close();
}
