/**
 * End to end: the live page of a program that serves a real guest, in a real browser on the host;
 * and that the guest, which may reach the host's loopback here, is told nothing.
 */
import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import type { Browser, Page } from "playwright-core";
import { tcpServer } from "../support/e2e/peers.ts";
import { GATEWAY, ourCommand } from "../support/e2e/program.ts";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { type Running, run } from "../support/e2e/shell.ts";
import { HOST_ADDRESS } from "../support/e2e/world.ts";
import { CHROMIUM, NO_BROWSER, openBrowser, openPage } from "../support/ui/stage.ts";

const LIMIT = { timeout: 90_000 };
const WAIT_ms = 30_000;

describe("live page of a real program", { skip: cannotRun() || oursOnly() || NO_BROWSER }, () => {
  const folder = mkdtempSync(join(tmpdir(), "slirp-e2e-ui-"));
  const admin = `unix:${join(folder, "admin.sock")}`;
  let world: World;
  let ui: Running;
  let url: string;
  let browser: Browser;
  let page: Page;

  before(async () => {
    world = await createWorld({ hostLoopback: true, args: ["--admin", admin] });
    ui = world.host.start([...ourCommand(), "ui", "--admin", admin]);
    [url = ""] = await ui.waitFor(/^http:\/\/127\.0\.0\.1:\d+\/#\S{43}$/m);
    // A browser of the host's namespace, which has a loopback of its own.
    const inside = join(folder, "chromium");
    writeFileSync(inside, `#!/bin/sh\nexec ip netns exec ${world.host.name} ${CHROMIUM} "$@"\n`);
    chmodSync(inside, 0o755);
    browser = await openBrowser(inside);
    page = await openPage(browser, url);
    page.setDefaultTimeout(WAIT_ms);
  }, LIMIT);
  after(async () => {
    await browser?.close();
    await world?.remove();
    rmSync(folder, { recursive: true, force: true });
  }, LIMIT);

  const shows = (selector: string, pattern: RegExp): Promise<void> =>
    page.locator(selector).filter({ hasText: pattern }).first().waitFor();

  test("the network is there as it is", LIMIT, async () => {
    await shows("h1", /^attach-\d+$/);
    await shows("#topology .chain", /tap/);
    await shows("#topology .chain", /10\.0\.2\.2/);
    await shows("#topology .chain", /up/);
  });

  test("a connection of the guest appears with what it carries, and ends", LIMIT, async () => {
    const server = await tcpServer(world.host, HOST_ADDRESS);
    const talk = `require("node:net").connect(${server.port}, "${HOST_ADDRESS}").write("hello");`;
    const open = world.guest.start(["node", "-e", talk]);
    await page.locator("#search").fill(`${HOST_ADDRESS}:${server.port}`);
    const row = page.locator("tr[data-flow]");
    await row.first().click();
    await shows("dialog.details .facts", /5 B/);
    await shows("dialog.details .facts", /ESTABLISHED/);
    open.signal("SIGKILL");
    // Only then the far side: who closes first keeps the flow for a minute.
    await shows("dialog.details .facts", /CLOSE_WAIT/);
    server.running.signal("SIGKILL");
    await shows("dialog.details .waiting", /It has ended/);
    await page.keyboard.press("Escape");
    await page.locator("#search").fill("");
    await row.first().waitFor({ state: "detached" });
  });

  test("a capture of what the guest sends is saved as pcapng", LIMIT, async () => {
    await page.getByLabel("Filter; empty is everything").fill("icmp");
    await page.getByRole("button", { name: "Start" }).click();
    await shows("#capture button", /Stop and save/);
    const ping = world.guest.start(["ping", "-i", "0.2", GATEWAY]);
    await shows("#capture .note", /Captured ([1-9]\d{3}|\d+(\.\d+)?) (B|KiB) of/);
    const [download] = await Promise.all([
      page.waitForEvent("download"),
      page.getByRole("button", { name: "Stop and save" }).click(),
    ]);
    ping.signal("SIGKILL");
    const octets = readFileSync(await download.path());
    assert.equal(octets.readUInt32BE(0), 0x0a0d0d0a, "a section header of pcapng");
  });

  test("a port is published and removed", LIMIT, async () => {
    await page.getByLabel("Port to publish").fill("8088:80");
    await page.getByRole("button", { name: "Publish" }).click();
    await shows("#ports table", /\*:8088\/tcp/);
    await page.getByRole("button", { name: "Remove *:8088/tcp" }).click();
    await page.getByRole("button", { name: "Really remove *:8088/tcp?" }).click();
    await page.locator("#ports tr", { hasText: ":8088" }).waitFor({ state: "detached" });
  });

  test("charts are drawn of what moves", LIMIT, async () => {
    const chart = page.getByRole("img", { name: /^Throughput, last \d+ seconds\. to guest: / });
    await chart.waitFor();
    const { width, height } = (await page.locator("#plot-throughput canvas").boundingBox()) ?? {};
    assert.ok((width ?? 0) > 200 && (height ?? 0) > 60);
  });

  test("the guest reaches the port and is told nothing but the page's code", LIMIT, async () => {
    const { port, hash } = new URL(url);
    const ask = async (...args: string[]): Promise<string> => {
      const curl = ["curl", "-s", "-m", "10", "-o", "/dev/null", "-w", "%{http_code}", ...args];
      return (await world.guest.run(curl)).stdout;
    };
    const at = (path: string): string => `http://${GATEWAY}:${port}${path}`;
    const post = ["-X", "POST", "-H", "Content-Type: application/json", "-d", "{}"];
    const host = ["-H", `Host: 127.0.0.1:${port}`];
    assert.equal(await ask(at("/")), "421", "under the gateway's name not even the page");
    assert.equal(await ask(...host, at("/")), "200", "so it is within reach");
    const guess = (token: string) => ["-H", `Authorization: Bearer ${token}`];
    const wrong = hash.slice(1).replace(/.$/, (last) => (last === "A" ? "B" : "A"));
    for (const token of ["", "guess", wrong]) {
      for (const path of ["/watch", "/capture", "/call/AddPublished"]) {
        const status = await ask(...post, ...host, ...guess(token), at(path));
        assert.equal(status, "401", `${path} with "${token}"`);
      }
    }
  });

  test("a page that is closed makes room for the next one", LIMIT, async () => {
    for (let i = 0; i < 6; i += 1) {
      await page.reload();
      await page.locator(".pill[data-state=live]").waitFor();
    }
  });

  test("a program that ends is told, and the command ends by a signal", LIMIT, async () => {
    await world.program.stop();
    await page.locator(".pill[data-state=lost]").waitFor();
    await shows(".notice", /does not answer/);
    ui.signal("SIGTERM");
    const { code, stderr } = await ui.outcome(WAIT_ms);
    assert.deepEqual([code, stderr], [0, ""]);
  });
});

describe("ui without a program", { skip: cannotRun() || oursOnly() }, () => {
  test("says so and ends", LIMIT, async () => {
    const args = ["ui", "--instance", "no-such-program"];
    const { code, stderr } = await run([...ourCommand(), ...args], WAIT_ms);
    assert.equal(code, 3);
    assert.match(stderr, /^slirp-binding: no program "no-such-program"; /);
  });
});
