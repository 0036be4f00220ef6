/**
 * `npm run guests`: installs and builds what is missing, then runs test/guests/run.ts: the whole
 * matrix of guests behind vhost-user, or with `--migration` moves between two QEMUs.
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run } from "./shell.mjs";

main(async () => {
  await bootstrap({ build: true, system: true });
  const program = inRoot("test/guests/run.ts");
  const args = ["--import", "tsx", program, ...process.argv.slice(2)];
  const { code } = await run(process.execPath, args);
  return code;
});
