/**
 * The demonstration in headless Chromium: Debian's kernel boots in the page, and the guest uses the
 * network that the engine gives it, through the relay and back into the guest.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Browser } from "playwright-core";
import { WEB_ADDRESS, WEB_NAME } from "../../examples/web-demo/addresses.ts";
import { sumOf } from "../../examples/web-demo/server/world.ts";
import { type Demo, startDemo } from "../../examples/web-demo/start.ts";
import { type DemoPage, demoMissing, openDemo } from "../support/demo-web.ts";
import { openBrowser } from "../support/ui/stage.ts";

const BOOT_LIMIT_ms = 100_000;
const WAIT_ms = 30_000;
const SIZE = 2_000_000;

describe("web demonstration", { skip: demoMissing() }, () => {
  let site: Demo;
  let browser: Browser;
  let demo: DemoPage;

  before(async () => {
    site = await startDemo();
    browser = await openBrowser();
    demo = await openDemo(browser, site.url);
    demo.page.setDefaultTimeout(WAIT_ms);
  });
  after(async () => {
    await browser?.close();
    await site?.close();
  });

  /** Waits until the terminal shows it. */
  const terminalShows = async (pattern: RegExp): Promise<void> => {
    const deadline = Date.now() + WAIT_ms;
    while (!pattern.test(await demo.terminal())) {
      assert.ok(Date.now() < deadline, `no ${pattern} in:\n${await demo.terminal()}`);
      await demo.page.evaluate(() => new Promise((resolve) => setTimeout(resolve, 50)));
    }
  };

  const press = async (id: string, pattern: RegExp): Promise<void> => {
    await demo.page.locator(id).click();
    await demo.page.locator("#actions .result").filter({ hasText: pattern }).waitFor();
  };

  test("the page can be used before the guest is up", async () => {
    await demo.page.locator("html[data-interactive]").waitFor();
    assert.equal(await demo.page.locator("#download").isDisabled(), true);
    await demo.page.locator("#terminal .xterm-screen").waitFor();
  });

  test("the guest boots and has its lease", async () => {
    await demo.booted(BOOT_LIMIT_ms);
    await terminalShows(/lease of 10\.0\.2\.15 obtained from 10\.0\.2\.2/);
    const { output } = await demo.run("uname -sm; cat /sys/class/net/eth0/mtu");
    assert.equal(output, "Linux i686\n65520");
  });

  test("names are answered, and those that are none are not", async () => {
    const { output } = await demo.run(`nslookup ${WEB_NAME}`);
    assert.match(output, new RegExp(`Address: ${WEB_ADDRESS}`));
    assert.match((await demo.run("nslookup nobody.demo.test")).output, /NXDOMAIN/);
  });

  test("the gateway answers pings", async () => {
    await press("#ping", /3 packets transmitted, 3 packets received/);
  });

  test("a download arrives as it was sent", async () => {
    const url = `http://${WEB_NAME}/files/${SIZE}`;
    const { code, output } = await demo.run(
      `wget -q -O /tmp/f ${url} && sha256sum </tmp/f`,
      WAIT_ms,
    );
    assert.deepEqual([code, output.split(" ")[0]], [0, sumOf(SIZE)]);
  });

  test("an upload arrives as it was sent", async () => {
    await demo.run(`head -c ${SIZE / 2} /dev/urandom | base64 -w 0 >/tmp/u`);
    const sum = (await demo.run("sha256sum </tmp/u")).output.split(" ")[0];
    const post = `wget -q -O - --post-file=/tmp/u http://${WEB_NAME}/upload`;
    const { code, output } = await demo.run(post, WAIT_ms);
    assert.deepEqual([code, output.split(" ")[0]], [0, sum]);
  });

  test("what the relay does not lead to fails", async () => {
    const { code, output } = await demo.run("wget -q -T 10 -O - http://203.0.113.99/", WAIT_ms);
    assert.notEqual(code, 0, output);
  });

  test("keys come back one by one over a connection", async () => {
    await demo.page.locator("#shell").click();
    await terminalShows(/lines with their length/);
    for (const key of "echo me") {
      await demo.page.keyboard.press(key === " " ? "Space" : key);
    }
    await demo.page.keyboard.press("Enter");
    await terminalShows(/7 characters: echo me/);
    await demo.page.keyboard.press("Control+c");
    await terminalShows(/\^C\s+guest:\/tmp#/);
  });

  test("the page asks the server in the guest", async () => {
    await press("#ask-guest", /200 from port 8080[\s\S]*Linux guest [\s\S]*inet 10\.0\.2\.15/);
  });

  test("graphs, flows and counters show what went by", async () => {
    const label = demo.page.locator("#plot-throughput");
    await demo.page.locator("#plot-throughput canvas").waitFor();
    assert.match((await label.getAttribute("aria-label")) ?? "", /to guest: .* to [\d.]+ [kM]bit/);
    await demo.page.locator("#flows td", { hasText: WEB_ADDRESS }).first().waitFor();
    const octets = demo.page.locator("#counters dd").filter({ hasText: /MiB/ });
    assert.equal(await octets.count(), 2);
  });

  test("nothing failed, and nothing was asked of another machine", () => {
    assert.deepEqual(demo.problems, []);
  });
});
