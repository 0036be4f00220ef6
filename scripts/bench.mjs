/**
 * `npm run bench`: installs and builds what is missing, then runs bench/main.ts under Bun.
 */

import { spawnSync } from "node:child_process";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { bootstrap } from "./bootstrap.mjs";

await bootstrap({ build: true, system: true });
const root = fileURLToPath(new URL("..", import.meta.url));
const result = spawnSync("node_modules/.bin/bun", ["bench/main.ts", ...process.argv.slice(2)], {
  cwd: root,
  stdio: "inherit",
});
process.exit(result.status ?? 1);
