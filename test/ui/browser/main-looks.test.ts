/** The live page for everybody: any size, light and dark, keyboard alone, heard and not seen. */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { furnish } from "../../support/ui/scene.ts";
import {
  type Look,
  NO_BROWSER,
  openBrowser,
  openPage,
  type Stage,
  setStage,
} from "../../support/ui/stage.ts";

describe("live page for everybody", { skip: NO_BROWSER }, () => {
  let stage: Stage;
  let browser: Browser;
  const withPage = async (look: Look, work: (page: Page) => Promise<void>): Promise<void> => {
    const page = await openPage(browser, stage.server.url, look);
    try {
      await work(page);
    } finally {
      await page.close();
    }
  };

  before(async () => {
    stage = await setStage();
    furnish(stage.instance, { networks: ["default", "storage"] });
    browser = await openBrowser();
  });
  after(async () => {
    await browser?.close();
    await stage?.close();
  });

  for (const width of [375, 768, 1000, 1440, 1920, 3840]) {
    test(`${width} pixels: nothing sticks out`, () =>
      withPage({ width, height: width === 375 ? 800 : 1080 }, async (page) => {
        const { room, wide } = await page.evaluate(() => {
          const room = document.documentElement.clientWidth;
          // What scrolls by itself may hold more than is in sight.
          const isInside = (element: Element): boolean =>
            element.closest(".flows-scroll, .choice, .hidden, .skip, #ports, #drops") !== null;
          const wide = [...document.querySelectorAll("body *")].filter((element) => {
            const { right, left, width } = element.getBoundingClientRect();
            return width > 0 && (right > room + 1 || left < -1) && !isInside(element);
          });
          return { room, wide: wide.map(({ tagName, className }) => `${tagName} ${className}`) };
        });
        assert.equal(await page.evaluate(() => document.documentElement.scrollWidth), room);
        assert.deepEqual(wide, []);
      }));
  }

  test("light and dark follow the system, and a switch overrules it", async () => {
    const backOf = (page: Page) =>
      page.evaluate(() => getComputedStyle(document.body).backgroundColor);
    let light = "";
    await withPage({ colorScheme: "light" }, async (page) => {
      light = await backOf(page);
      await page.keyboard.press("t");
      assert.equal(await backOf(page), light);
      await page.keyboard.press("t");
      assert.notEqual(await backOf(page), light);
    });
    await withPage({ colorScheme: "dark" }, async (page) => {
      assert.notEqual(await backOf(page), light);
      await page.getByRole("button", { name: "Theme: auto" }).click();
      assert.equal(await backOf(page), light);
    });
  });

  test("text has a contrast of 4.5 to 1 or more, in both", async () => {
    for (const colorScheme of ["light", "dark"] as const) {
      await withPage({ colorScheme }, async (page) => {
        await page.locator("#flows tbody tr[data-flow]").first().waitFor();
        assert.deepEqual(await page.evaluate(poorContrasts), [], colorScheme);
      });
    }
  });

  test("less motion is none at all", () =>
    withPage({ reducedMotion: "reduce" }, async (page) => {
      const moving = await page.evaluate(
        () =>
          [...document.querySelectorAll("*")].filter((element) => {
            const { transitionDuration, animationName } = getComputedStyle(element);
            return transitionDuration !== "0s" || animationName !== "none";
          }).length,
      );
      assert.equal(moving, 0);
    }));

  test("the keyboard alone reaches everything, and focus is seen", () =>
    withPage({}, async (page) => {
      const seen: string[] = [];
      for (let i = 0; i < 60; i += 1) {
        await page.keyboard.press("Tab");
        const { name, isSeen } = await page.evaluate(() => {
          const element = document.activeElement;
          if (element === null || element === document.body) return { name: "", isSeen: true };
          const { outlineStyle, outlineWidth } = getComputedStyle(element);
          const label = element.getAttribute("aria-label") ?? element.textContent ?? "";
          const isSeen = outlineStyle !== "none" && Number.parseFloat(outlineWidth) >= 1;
          return { name: `${element.tagName} ${element.id || label.trim().slice(0, 40)}`, isSeen };
        });
        if (name === "") break;
        assert.ok(isSeen, `focus on ${name} is not seen`);
        seen.push(name);
      }
      const wanted = ["Skip to the flows", "All networks", "Theme", "Keys", "search", "Guest"];
      wanted.push("TABLE", "Level of the log", "replay");
      for (const part of wanted) {
        assert.ok(
          seen.some((name) => name.includes(part)),
          `${part} in ${seen.join(", ")}`,
        );
      }
      assert.equal(seen.filter((name) => name.startsWith("TR")).length, 0, "rows are no stops");
    }));

  test("arrows walk through the table, Enter opens, Escape returns", () =>
    withPage({}, async (page) => {
      await page.locator("#flows tbody tr[data-flow]").first().waitFor();
      await page.locator("table.flows").focus();
      await page.keyboard.press("ArrowDown");
      await page.keyboard.press("ArrowDown");
      const active = page.locator("#active-flow");
      assert.equal(await active.getAttribute("aria-selected"), "true");
      const described = await page.locator("table.flows").getAttribute("aria-activedescendant");
      assert.equal(described, "active-flow");
      await page.keyboard.press("Enter");
      await page.locator("dialog.details[open]").waitFor();
      await page.keyboard.press("Escape");
      const focused = await page.evaluate(() => document.activeElement?.className);
      assert.equal(focused, "flows");
      await page.keyboard.press("End");
      const last = await page.locator("table.flows").getAttribute("aria-rowcount");
      assert.equal(await active.getAttribute("aria-rowindex"), last);
    }));

  test("keys: search, panels, networks, help", () =>
    withPage({}, async (page) => {
      await page.keyboard.press("/");
      const focus = () => page.evaluate(() => document.activeElement?.id);
      assert.equal(await focus(), "search");
      await page.keyboard.type("t1?");
      assert.equal(await page.locator("#search").inputValue(), "t1?");
      await page.locator("h1").click();
      await page.keyboard.press("3");
      assert.equal(await focus(), "charts-title");
      await page.keyboard.press("n");
      await page.getByRole("button", { name: "default", pressed: true }).waitFor();
      assert.equal(await page.locator(".chain").count(), 1);
      await page.keyboard.press("?");
      await page.getByRole("dialog", { name: "Keys" }).waitFor();
      await page.keyboard.press("Escape");
    }));

  test("everything has a role and a name, and no name is used twice", () =>
    withPage({}, async (page) => {
      await page.locator("#flows tbody tr[data-flow]").first().waitFor();
      assert.deepEqual(await page.evaluate(unnamed), []);
      for (const name of ["Topology", "Flows", "Over time", "Events", "Log", "Drops", "Capture"]) {
        await page.getByRole("region", { name, exact: true }).waitFor();
      }
      await page.getByRole("main").waitFor();
      await page.getByRole("grid", { name: "Flows" }).waitFor();
      await page.getByRole("columnheader", { name: "Waits for" }).waitFor();
      const chart = page.getByRole("img", {
        name: /^Throughput, last \d+ seconds\. to guest: .* to /,
      });
      await chart.waitFor();
      assert.equal(await page.locator("[aria-live=polite]").count(), 1);
      assert.equal(await page.locator("h1").count(), 1);
    }));

  test("without the token there is a place to enter it, and a wrong one says so", async () => {
    const page = await browser.newPage();
    await page.goto(stage.server.url.replace(/#.*/, ""));
    await page.getByLabel("Token").fill("wrong");
    await page.getByRole("button", { name: "Enter" }).click();
    await page.getByLabel("Token").waitFor();
    await page.getByLabel("Token").fill(stage.server.url);
    await page.keyboard.press("Enter");
    await page.locator(".pill[data-state=live]").waitFor();
    await page.close();
  });
});

/** Texts whose contrast with what is behind them is too small. Runs in the page. */
function poorContrasts(): string[] {
  const channels = (text: string): number[] => (text.match(/[\d.]+/g) ?? []).map(Number);
  const luminance = ([r = 0, g = 0, b = 0]: number[]): number => {
    const linear = [r, g, b].map((value) => {
      const share = value / 255;
      return share <= 0.03928 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
    });
    return 0.2126 * (linear[0] ?? 0) + 0.7152 * (linear[1] ?? 0) + 0.0722 * (linear[2] ?? 0);
  };
  const backOf = (element: Element): number[] => {
    for (let at: Element | null = element; at !== null; at = at.parentElement) {
      const [r = 0, g = 0, b = 0, alpha = 1] = channels(getComputedStyle(at).backgroundColor);
      if (alpha === 1) return [r, g, b];
    }
    return [255, 255, 255];
  };
  const found: string[] = [];
  for (const element of document.querySelectorAll("body *")) {
    const text = [...element.childNodes].find(
      (node) => node.nodeType === Node.TEXT_NODE && node.textContent?.trim() !== "",
    );
    const isOff = element.matches(":disabled, .hidden, .skip, noscript, script, style, option");
    if (text === undefined || isOff || element.getClientRects().length === 0) continue;
    const [a, b] = [
      luminance(channels(getComputedStyle(element).color)),
      luminance(backOf(element)),
    ];
    const contrast = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    if (contrast < 4.5) {
      found.push(`${element.tagName} "${text.textContent?.trim()}": ${contrast.toFixed(2)}`);
    }
  }
  return [...new Set(found)];
}

/** What has no name, or an id that is there twice. Runs in the page. */
function unnamed(): string[] {
  const nameOf = (element: Element): string => {
    const by = element.getAttribute("aria-labelledby");
    const other = by === null ? null : document.getElementById(by);
    const label = element instanceof HTMLInputElement ? element.labels?.[0] : undefined;
    const texts = [other, label, element].map((each) => each?.textContent?.trim() ?? "");
    return [element.getAttribute("aria-label") ?? "", ...texts].find((text) => text !== "") ?? "";
  };
  const things = document.querySelectorAll(
    "button, input, select, a, section, table, dialog, [role=img], [role=group], [tabindex='0']",
  );
  const without = [...things]
    .filter((element) => nameOf(element) === "")
    .map(({ tagName, id, className }) => `${tagName} ${id} ${className} has no name`);
  const ids = [...document.querySelectorAll("[id]")].map(({ id }) => id);
  const twice = ids.filter((id, i) => ids.indexOf(id) !== i).map((id) => `${id} is there twice`);
  const lost = [...document.querySelectorAll("[aria-labelledby], [aria-describedby]")]
    .flatMap((element) =>
      ["aria-labelledby", "aria-describedby"].map((a) => element.getAttribute(a)),
    )
    .filter((id): id is string => id !== null && document.getElementById(id) === null)
    .map((id) => `${id} is not there`);
  return [...without, ...twice, ...lost];
}
