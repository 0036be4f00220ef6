/** `npm start`: a small tour of the program on this machine, from a fresh clone too. */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";

main(async () => {
  await bootstrap({ system: true });
  const { code } = await run(tool("bun"), [inRoot("test/e2e/demo.ts"), ...process.argv.slice(2)]);
  return code;
});
