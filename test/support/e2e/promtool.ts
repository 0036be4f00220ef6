/** Prometheus' own checker of metrics, which `scripts/system-packages.mjs` puts into place. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { ROOT } from "./program.ts";
import { which } from "./shell.ts";

const TAKEN = join(ROOT, "build/tools/promtool");

/** Its path; undefined where there is none. */
export function promtool(): string | undefined {
  return existsSync(TAKEN) ? TAKEN : which("promtool");
}
