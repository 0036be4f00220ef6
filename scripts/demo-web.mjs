/**
 * `npm run demo:web`: installs and builds what is missing, then serves the page in which a virtual
 * machine runs behind the engine (docs/demo-web.md). The first time it fetches Debian's kernel.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run } from "./shell.mjs";

main(async () => {
  await bootstrap({ build: true, system: false });
  const { code } = await run(process.execPath, [
    "--import",
    "tsx",
    inRoot("examples/web-demo/main.ts"),
  ]);
  return code;
});
