/**
 * The engine's tests in a browser: test files bundled with what stands for Node's modules there, a
 * server on loopback that has the bundle and the compiled modules, and a page that runs them, on
 * its main thread or in a worker. The page is not isolated from other origins, so that there is no
 * SharedArrayBuffer in it, as on any page that was not made for it.
 */
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { build, type Plugin } from "esbuild";
import type { Browser } from "playwright-core";
import type { Outcomes } from "./runner.ts";

const ROOT = join(import.meta.dirname, "../../..");
const HERE = "test/support/browser";
const TYPES = { html: "text/html", js: "text/javascript", wasm: "application/wasm" };
/** The whole suite on one core that others use, too. */
const LIMIT_ms = 400_000;

/** Modules and what is said in their place; others of Node cannot be bundled. */
const STAND_INS: Readonly<Record<string, string>> = {
  "node:test": 'export * from "./node-test.ts";',
  "node:assert/strict": 'export { assert as default } from "./node-assert.ts";',
};
/** Those of which some is there: the rest is undefined, and fails where it is used. */
const PARTIAL = ["node:fs", "node:os", "node:net", "pino"];
const PART = 'module.exports = require("./node-modules.ts");';

export type Place = "main thread" | "worker";

/** Test files below folders of the project, sorted. */
export function testFiles(folders: readonly string[]): string[] {
  return folders
    .flatMap((folder) => {
      const names = readdirSync(join(ROOT, folder), { recursive: true, encoding: "utf8" });
      return names.filter((name) => name.endsWith(".test.ts")).map((name) => `${folder}/${name}`);
    })
    .sort();
}

/** Compiled modules that tests may read, as the server's paths. */
function compiled(): string[] {
  return ["dist", "build/test"].flatMap((folder) => {
    const names = readdirSync(join(ROOT, folder)).filter((name) => name.endsWith(".wasm"));
    return names.filter((name) => !name.startsWith(".")).map((name) => `/${folder}/${name}`);
  });
}

const standIns: Plugin = {
  name: "stand-ins",
  setup({ onResolve, onLoad }) {
    const contents = { ...STAND_INS, ...Object.fromEntries(PARTIAL.map((name) => [name, PART])) };
    onResolve({ filter: /^(node:.*|pino)$/ }, ({ path }) =>
      path in contents ? { path, namespace: "stand-in" } : null,
    );
    onLoad({ filter: /.*/, namespace: "stand-in" }, ({ path }) => ({
      contents: contents[path] ?? "",
      resolveDir: join(ROOT, HERE),
    }));
  },
};

/** A list of files, each a part of the bundle of its own. */
function entry(files: readonly string[]): string {
  const loads = files.map((file) => `${JSON.stringify(file)}: () => import("./${file}"),`);
  return [
    `import { runFiles } from "./${HERE}/runner.ts";`,
    `const files = {${loads.join("\n")}};`,
    `export const run = () => runFiles(files, ${JSON.stringify(compiled())});`,
  ].join("\n");
}

/** The bundle's files by the server's paths; rejects where a file wants more of Node. */
export async function bundle(files: readonly string[]): Promise<Map<string, Uint8Array>> {
  const { outputFiles } = await build({
    stdin: { contents: entry(files), resolveDir: ROOT, sourcefile: "suite.js" },
    bundle: true,
    splitting: true,
    format: "esm",
    target: "es2023",
    outdir: "/",
    write: false,
    keepNames: true,
    logLevel: "silent",
    plugins: [standIns],
  });
  return new Map(outputFiles.map(({ path, contents }) => [path, contents]));
}

const WORKER = 'import { run } from "/stdin.js"; postMessage(await run());';
const PAGE = "<!doctype html><meta charset=utf-8><title>tests</title>";

function serve(files: ReadonlyMap<string, Uint8Array>): Promise<Server> {
  const readable = new Set(compiled());
  const contentOf = (path: string): Uint8Array | string | undefined => {
    if (path === "/index.html") return PAGE;
    if (path === "/worker.js") return WORKER;
    return readable.has(path) ? readFileSync(join(ROOT, path)) : files.get(path);
  };
  const server = createServer((request, response) => {
    const path = request.url ?? "";
    const content = contentOf(path);
    const type = Object.entries(TYPES).find(([ending]) => path.endsWith(`.${ending}`));
    response.writeHead(content === undefined ? 404 : 200, { "content-type": type?.[1] ?? "" });
    response.end(content);
  });
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => resolve(server));
  });
}

/** Evaluated in the page; texts, as the types of a page are not Node's. */
const RUN: Readonly<Record<Place, string>> = {
  "main thread": 'import("/stdin.js").then(({ run }) => run())',
  worker: `new Promise((resolve, reject) => {
    const worker = new Worker("/worker.js", { type: "module" });
    worker.onmessage = ({ data }) => resolve(data);
    worker.onerror = ({ message }) => reject(new Error(message));
  })`,
};

/** Runs test files in a page of a browser; rejects where one cannot be loaded, or in time. */
export async function runInBrowser(
  browser: Browser,
  files: readonly string[],
  place: Place,
): Promise<Outcomes> {
  const server = await serve(await bundle(files));
  const page = await browser.newPage();
  let timer: NodeJS.Timeout | undefined;
  try {
    await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/index.html`);
    const shared: unknown = await page.evaluate("typeof SharedArrayBuffer");
    if (shared !== "undefined") throw new Error("the page has shared memory");
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${LIMIT_ms} ms`)), LIMIT_ms);
    });
    return await Promise.race([page.evaluate<Outcomes>(RUN[place]), late]);
  } finally {
    clearTimeout(timer);
    await page.close();
    server.closeAllConnections();
    server.close();
  }
}
