/** Builds the page: its script, its style, and where its other files are. */
import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { guestFiles } from "./guest-files.ts";
import type { PageFile } from "./server/pages.ts";
import type { DemoSettings } from "./settings.ts";

const ROOT = fileURLToPath(new URL("../..", import.meta.url));
const PAGE = join(ROOT, "examples/web-demo/page");
const MODULES = join(ROOT, "node_modules");
const OUTPUT = join(ROOT, "build/demo-web");

const SCRIPT = "text/javascript; charset=utf-8";
const WASM = "application/wasm";
const OCTETS = "application/octet-stream";

export const FILES: DemoSettings["files"] = {
  library: "/v86.js",
  emulator: "/v86.wasm",
  engine: "/engine.wasm",
  kernel: "/guest/kernel",
  initrd: "/guest/initrd",
  bios: "/guest/bios",
  vgaBios: "/guest/vga-bios",
};

/** All files of the page by path, built now; the engine has to be built already. */
export function buildPage(): Map<string, PageFile> {
  mkdirSync(OUTPUT, { recursive: true });
  const guest = guestFiles(join(OUTPUT, "guest"));
  const script = join(OUTPUT, "main.js");
  bundle(join(PAGE, "main.ts"), script);
  const style = join(OUTPUT, "page.css");
  const styles = [
    join(MODULES, "uplot/dist/uPlot.min.css"),
    join(MODULES, "@xterm/xterm/css/xterm.css"),
    join(ROOT, "src/ui/browser/page.css"),
    join(PAGE, "page.css"),
  ];
  writeFileSync(style, styles.map((path) => readFileSync(path, "utf8")).join("\n"));
  const emulator = join(MODULES, "v86/build");
  return new Map<string, PageFile>([
    ["/", { type: "text/html; charset=utf-8", path: join(PAGE, "index.html") }],
    ["/page.css", { type: "text/css; charset=utf-8", path: style }],
    ["/main.js", { type: SCRIPT, path: script }],
    ["/plots.js", { type: SCRIPT, path: join(MODULES, "uplot/dist/uPlot.iife.min.js") }],
    [FILES.library, { type: SCRIPT, path: join(emulator, "libv86.mjs") }],
    [FILES.emulator, { type: WASM, path: join(emulator, "v86.wasm") }],
    [FILES.engine, { type: WASM, path: join(ROOT, "dist/engine.wasm") }],
    [FILES.kernel, { type: OCTETS, path: guest.kernel }],
    [FILES.initrd, { type: OCTETS, path: guest.initrd }],
    [FILES.bios, { type: OCTETS, path: guest.bios }],
    [FILES.vgaBios, { type: OCTETS, path: guest.vgaBios }],
  ]);
}

function bundle(entry: string, output: string): void {
  const args = ["build", entry, "--target", "browser", "--format", "esm", "--minify"];
  const bun = join(MODULES, ".bin/bun");
  const { status, stderr } = spawnSync(bun, [...args, "--outfile", output], { encoding: "utf8" });
  if (status !== 0) throw new Error(`The page's script cannot be built:\n${stderr}`);
}
