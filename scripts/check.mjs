/**
 * Everything a change has to pass: format and lint, unused code, fresh generated code, types,
 * release build, tests.
 *
 *     npm run check          all of it
 *     npm run check -- --no-test
 *     npm run format         writes what the formatter and the safe lint fixes would change
 */
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";

const STEPS = [
  ["format and lint", tool("biome"), ["ci", "--error-on-warnings", "."]],
  ["unused code", tool("knip"), []],
  ["generated code", process.execPath, [inRoot("scripts/generate.mjs"), "--check"]],
  ["types", tool("tsc"), ["--project", "."]],
  ["types of the report page", tool("tsc"), ["--project", "src/lab/sim/report/browser"]],
  ["types of the live page", tool("tsc"), ["--project", "src/ui/browser"]],
  ["types of its tests", tool("tsc"), ["--project", "test/ui/browser"]],
  ["types of the demonstration", tool("tsc"), ["--project", "examples/web-demo/page"]],
  ["release build", process.execPath, [inRoot("scripts/build.mjs"), "--force"]],
  ["tests", process.execPath, [inRoot("scripts/test.mjs")]],
];

main(async () => {
  await bootstrap({ build: false });
  if (process.argv.includes("--fix")) {
    const { code } = await run(tool("biome"), ["check", "--write", "."]);
    return code;
  }
  const steps = process.argv.includes("--no-test") ? STEPS.slice(0, -1) : STEPS;
  for (const [name, command, args] of steps) {
    process.stderr.write(`check: ${name}\n`);
    const { code } = await run(command, args);
    if (code !== 0) throw new Error(`check failed: ${name}`);
  }
  return 0;
});
