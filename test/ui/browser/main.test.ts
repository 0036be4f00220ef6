/**
 * The live page in a real browser, on an instance that is none: what it shows, what can be done
 * there, by mouse and by keyboard, and what it does when the instance goes and comes back.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { EventKind, LogLevel } from "../../../src/admin/gen/slirp_binding/admin/v1/admin_pb.js";
import { flowOf, furnish } from "../../support/ui/scene.ts";
import { NO_BROWSER, openBrowser, openPage, type Stage, setStage } from "../../support/ui/stage.ts";

const WAIT_ms = 20_000;

/** Waits until the text of an element is like this. */
async function shows(page: Page, selector: string, pattern: RegExp): Promise<void> {
  await page.locator(selector).filter({ hasText: pattern }).first().waitFor({ timeout: WAIT_ms });
}

/** Number of flows that the page says there are. */
async function countIs(page: Page, text: string): Promise<void> {
  await shows(page, "#flows-count", new RegExp(`^${text}$`));
}

const rowOf = (id: number): string => `tr[data-flow="default ${id}"]`;

describe("live page in a browser", { skip: NO_BROWSER }, () => {
  let stage: Stage;
  let browser: Browser;
  let page: Page;
  const problems: string[] = [];

  before(async () => {
    stage = await setStage();
    furnish(stage.instance);
    browser = await openBrowser();
    page = await openPage(browser, stage.server.url);
    page.on("console", (message) => {
      // A browser tells of requests that failed; those of a lost instance do.
      if (message.type() === "error" && !/Failed to load/.test(message.text())) {
        problems.push(message.text());
      }
    });
    page.on("pageerror", (error) => problems.push(error.message));
    page.setDefaultTimeout(WAIT_ms);
  });
  after(async () => {
    await browser?.close();
    await stage?.close();
  });

  test("it shows the instance, its network and its flows", async () => {
    await shows(page, "h1", /^fake$/);
    await shows(page, "#topology", /attached/);
    await shows(page, "#topology .chain", /10\.0\.2\.15/);
    await countIs(page, "24");
    await shows(page, "#events li", /Lease given/);
    await shows(page, "#drops", /tcp_no_flow/);
    await shows(page, "#ports", /0\.0\.0\.0:8080\/tcp/);
    await shows(page, "#log", /resolver does not answer/);
  });

  test("the token is no longer in the address, and a reload goes on", async () => {
    assert.equal(new URL(page.url()).hash, "");
    await page.reload();
    await page.locator(".pill[data-state=live]").waitFor();
    await countIs(page, "24");
  });

  test("a flow appears, is shown in all detail, and ends", async () => {
    const flow = flowOf(501, "default", { bytesToHost: 12_345n, retransmits: 3 });
    stage.instance.set(flow);
    await countIs(page, "25");
    await page.locator("#search").fill("198.51.100.2:80 32769");
    await page.locator("#search").fill(`:${flow.guestPort}`);
    await page.locator(rowOf(501)).click();
    await shows(page, "dialog.details", /12\.1 KiB/);
    await shows(page, "dialog.details", /3 segments/);
    stage.instance.end(flow);
    await shows(page, "dialog.details .waiting", /It has ended/);
    await page.keyboard.press("Escape");
    await page.locator("#search").fill("");
    await countIs(page, "24");
    await page.locator(rowOf(501)).waitFor({ state: "detached" });
  });

  test("columns sort both ways, and say so", async () => {
    const head = page.locator("th", { hasText: "Guest" }).first();
    await head.getByRole("button").click();
    assert.equal(await head.getAttribute("aria-sort"), "ascending");
    const first = await page.locator("tr[aria-rowindex='2'] td").first().textContent();
    await head.getByRole("button").click();
    assert.equal(await head.getAttribute("aria-sort"), "descending");
    assert.notEqual(await page.locator("tr[aria-rowindex='2'] td").first().textContent(), first);
  });

  test("a port is published, refused, and removed after a second press", async () => {
    await page.getByLabel("Port to publish").fill("nonsense");
    await page.getByRole("button", { name: "Publish" }).click();
    await shows(page, "#ports [role=alert]", /wanted a rule/);
    await page.getByLabel("Port to publish").fill("9000:90");
    await page.keyboard.press("Enter");
    await shows(page, "#ports table", /0\.0\.0\.0:9000\/tcp/);
    await page.getByRole("button", { name: "Remove 0.0.0.0:9000/tcp" }).click();
    await page.getByRole("button", { name: "Really remove 0.0.0.0:9000/tcp?" }).click();
    const row = page.locator("#ports tr", { hasText: ":9000" });
    await row.waitFor({ state: "detached" });
    assert.deepEqual(stage.instance.calls.slice(-1), ["RemovePublished 0.0.0.0:9000/tcp"]);
  });

  test("the level of the log is changed", async () => {
    await page.getByLabel("Level of the log").selectOption("debug");
    await page.waitForFunction(() => document.querySelector("select")?.value === "debug");
    const isSet = () => stage.instance.level === LogLevel.DEBUG;
    for (let i = 0; i < 100 && !isSet(); i += 1) await page.waitForTimeout(50);
    assert.ok(isSet());
  });

  test("a capture is started with a filter, stopped, and saved as it came", async () => {
    stage.instance.capture = [Buffer.from("\n\r\r\nfirst"), Buffer.from("second")];
    await page.getByLabel("Filter; empty is everything").fill("tcp port 443");
    await page.getByRole("button", { name: "Start" }).click();
    await shows(page, "#capture .note", /Captured 15 B/);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Stop and save" }).click(),
    ]);
    assert.equal(download.suggestedFilename(), "default.pcapng");
    assert.equal(readFileSync(await download.path(), "latin1"), "\n\r\r\nfirstsecond");
    const asked = stage.instance.captured.at(-1);
    assert.deepEqual([asked?.filter, asked?.network], ["tcp port 443", "default"]);
    await page.getByLabel("Filter; empty is everything").fill("nonsense");
    await page.getByRole("button", { name: "Start" }).click();
    await shows(page, "#capture [role=alert]", /unknown word/);
  });

  test("a flow's own capture is two presses away", async () => {
    await page.keyboard.press("Escape");
    await page.locator(rowOf(1)).click();
    await page.getByRole("button", { name: "Capture this flow" }).click();
    const filter = await page.getByLabel("Filter; empty is everything").inputValue();
    assert.equal(filter, "tcp and host 198.51.101.2 and port 80 and port 32769");
  });

  test("all panels go back in time together, and return", async () => {
    const late = flowOf(777);
    await page.waitForFunction(
      () => Number(document.querySelector("input[type=range]")?.getAttribute("min")) <= -5,
    );
    stage.instance.set(late);
    stage.instance.say(EventKind.LIMIT_REACHED, "flows limit reached");
    await countIs(page, "25");
    await shows(page, "#events", /Flows limit reached/);
    await page.locator("h2#flows-title").focus();
    const slider = page.getByRole("slider", { name: "Replay of the last minute" });
    const min = await slider.getAttribute("min");
    await slider.focus();
    await page.keyboard.press("Home");
    await page.locator(".pill[data-state=replay]").waitFor();
    await countIs(page, "24");
    assert.ok(Number(min) < 0);
    assert.doesNotMatch((await page.locator("#events").textContent()) ?? "", /limit reached/);
    await shows(page, ".replay output", /second/);
    await page.keyboard.press("l");
    await page.locator(".pill[data-state=live]").waitFor();
    await countIs(page, "25");
    stage.instance.end(late);
  });

  test("a lost instance is told, looked for again, and found", async () => {
    const { status } = { status: page.locator("[role=status]") };
    await stage.instance.stop();
    await page.locator(".pill[data-state=lost]").waitFor();
    await shows(page, ".notice", /does not answer: .*Trying again/);
    await shows(page, "[role=status]", /lost/);
    assert.ok((await page.locator("tr[aria-rowindex='2']").count()) === 1, "flows stay in sight");
    const button = page.locator("button", { hasText: "Try now" });
    await Promise.all([page.waitForRequest(/\/watch/), button.click()]);
    await stage.instance.start();
    // By now the page may have found it by itself, and the button be out of sight.
    await button.dispatchEvent("click");
    await page.locator(".pill[data-state=live]").waitFor();
    await status.filter({ hasText: /Connected/ }).waitFor();
    await countIs(page, "24");
    assert.equal(await page.locator(".notice").isVisible(), false);
  });

  test("10,000 flows: search, order and scrolling stay quick", async () => {
    for (let id = 1000; id < 11_000; id += 1) stage.instance.set(flowOf(id));
    // As many as a real program tells of in a second, when all of them move.
    stage.instance.onInterval = () => {
      for (let id = 1000; id < 3000; id += 1) stage.instance.set(flowOf(id));
    };
    await countIs(page, "10,024");
    const rows = await page.locator("#flows tbody tr").count();
    assert.ok(rows < 60, `${rows} rows for 10,024 flows`);
    // The best of a few: tests run on machines that have other work as well.
    for (const [name, span_ms] of Object.entries(await page.evaluate(timeTable))) {
      assert.ok(span_ms < 300, `${name}: ${span_ms.toFixed(0)} ms`);
    }
    await page.waitForFunction(() => {
      const index = Number(document.querySelector("tr[data-flow]")?.getAttribute("aria-rowindex"));
      return index > 5000;
    });
    stage.instance.onInterval = () => {};
    stage.instance.flows.clear();
    await shows(page, "#flows .empty", /There are no flows/);
    furnish(stage.instance);
  });

  test("nothing went wrong in the page, and nothing was against its policy", () => {
    assert.deepEqual(problems, []);
  });
});

/** How long the table takes until it is drawn again, milliseconds. Runs in the page. */
async function timeTable(): Promise<Record<string, number>> {
  const scroller = document.querySelector(".flows-scroll");
  const search = document.querySelector<HTMLInputElement>("#search");
  const head = document.querySelector<HTMLButtonElement>("th[aria-sort] button");
  if (scroller === null || search === null || head === null) throw new Error("no table");
  const timed = async (work: (i: number) => void): Promise<number> => {
    let least = Number.POSITIVE_INFINITY;
    for (let i = 0; i < 6; i += 1) {
      const start = performance.now();
      work(i);
      await new Promise((resolve) => requestAnimationFrame(resolve));
      least = Math.min(least, performance.now() - start);
    }
    return least;
  };
  const type = (text: string): void => {
    search.value = text;
    search.dispatchEvent(new Event("input"));
  };
  const spans = {
    search: await timed((i) => type(`198.51.100.${i}`)),
    all: await timed(() => type("")),
    sort: await timed(() => head.click()),
    scroll: await timed((i) => {
      scroller.scrollTop = i * 1000;
    }),
  };
  scroller.scrollTop = 200_000;
  return spans;
}
