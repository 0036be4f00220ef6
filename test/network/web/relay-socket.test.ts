/**
 * The Web upstream in a browser: on the page and in a worker, by WebSocketStream and by WebSocket,
 * with neither shared memory nor a module of Node's.
 */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { build } from "esbuild";
import type { Browser, Page } from "playwright-core";
import { NO_BROWSER, openBrowser } from "../../support/ui/stage.ts";
import type { Order, Outcome } from "../../support/web/page-script.ts";
import { startWispRelay, type WispRelay } from "../../support/web/wisp-relay.ts";

const MIB = 1 << 20;
const root = (path: string): string => fileURLToPath(new URL(`../../../${path}`, import.meta.url));

async function bundle(entry: string) {
  const { outputFiles, metafile } = await build({
    entryPoints: [root(entry)],
    bundle: true,
    write: false,
    minify: true,
    metafile: true,
    platform: "browser",
    format: "iife",
    logLevel: "silent",
  });
  return { text: outputFiles[0]?.text ?? "", inputs: Object.keys(metafile.inputs) };
}

test("the entry is made of this project's files alone, and of no module of Node's", async () => {
  const { text, inputs } = await bundle("src/network/web/index.ts");
  assert.ok(text.length > 1000);
  const foreign = inputs.filter((path) => !/^(?:src|wasm)\//.test(path));
  assert.deepEqual(foreign, []);
  const used = /\b(?:require\(|process\.|Buffer\.|SharedArrayBuffer|node:)/.exec(text);
  assert.equal(used, null);
});

describe("in a browser", { skip: NO_BROWSER }, () => {
  let relay: WispRelay;
  let echo: Server;
  let browser: Browser;
  let page: Page;
  let order: Order;

  before(async () => {
    const { text } = await bundle("test/support/web/page-script.ts");
    relay = await startWispRelay({
      "/": ["text/html", "<!doctype html><script src='/page.js'></script>"],
      "/page.js": ["text/javascript", text],
      "/engine.wasm": ["application/wasm", readFileSync(root("dist/engine.wasm"))],
    });
    echo = createServer((socket) => socket.on("error", () => {}).pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, "127.0.0.1", resolve));
    const address = echo.address();
    assert.ok(address !== null && typeof address === "object");
    const { port } = address;
    const base = `http://127.0.0.1:${relay.port}`;
    const engine = `${base}/engine.wasm`;
    order = { relay: relay.url, engine, port, octets: 4 * MIB, isPlain: false };
    browser = await openBrowser();
    page = await browser.newPage();
    page.setDefaultTimeout(30_000);
    await page.goto(base);
  });
  after(async () => {
    await browser?.close();
    echo?.close();
    await relay?.kill();
  });

  for (const isPlain of [false, true]) {
    const kind = isPlain ? "WebSocket" : "WebSocketStream";
    test(`a relay that comes late, and goes: ${kind}`, async () => {
      await page.reload();
      await relay.kill();
      const target = { ...order, isPlain };
      await page.evaluate((target) => {
        const scope = globalThis as unknown as { attempt(order: Order): object; made: object };
        scope.made = scope.attempt(target);
      }, target);
      const comes = (state: string, told: string): Promise<unknown> =>
        page.waitForFunction(
          ([state, told]) => {
            const { made } = globalThis as unknown as {
              made: { states: string[]; told: string[] };
            };
            return made.states.at(-1) === state && String(made.told) === told;
          },
          [state, told],
          { polling: 20 },
        );
      await comes("waiting", "");
      await relay.restart();
      await comes("ready", "connected");
      await relay.kill();
      await comes("waiting", "connected,ECONNRESET");
      await relay.restart();
      await comes("ready", "connected,ECONNRESET");
    });
  }

  for (const isPlain of [false, true]) {
    for (const place of ["page", "worker"]) {
      test(`${place}, ${isPlain ? "WebSocket" : "WebSocketStream"}`, async () => {
        const outcome = await page.evaluate(
          ({ order, place }) => {
            const { run, Worker } = globalThis as unknown as {
              run: (order: Order) => Promise<Outcome>;
              Worker: new (
                url: string,
              ) => {
                onmessage: (event: { data: Outcome }) => void;
                postMessage(message: unknown): void;
              };
            };
            if (place === "page") return run(order);
            const worker = new Worker("/page.js");
            return new Promise<Outcome>((resolve) => {
              worker.onmessage = ({ data }) => resolve(data);
              worker.postMessage(order);
            });
          },
          { order: { ...order, isPlain }, place },
        );
        assert.equal(outcome.isEqual, true);
        assert.equal(outcome.service, "page: /from-a-guest");
        assert.equal(outcome.answer, "page: /from-the-page");
        assert.ok(outcome.held <= 2 * MIB);
        assert.equal(outcome.isIsolated, false);
        assert.equal(outcome.stats?.malformed, 0);
      });
    }
  }
});
