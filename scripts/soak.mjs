/**
 * `npm run soak -- [--seeds N] [--from N] [--jobs N]`: the simulator over many seeds, several
 * processes side by side. Ends with 1 at the first violation, and says how to see it again.
 */
import { parseArgs } from "node:util";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, tool } from "./shell.mjs";
import { sideBySide } from "./side-by-side.mjs";

const SEEDS = 10_000;
const FROM = 1;
const JOBS = 2;

function whole(name, text, fallback) {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`give --${name} a number from 1 on, not "${text}"`);
}

main(async () => {
  const options = { seeds: { type: "string" }, from: { type: "string" }, jobs: { type: "string" } };
  const { values } = parseArgs({ options });
  const seeds = whole("seeds", values.seeds, SEEDS);
  const from = whole("from", values.from, FROM);
  const jobs = whole("jobs", values.jobs, JOBS);
  await bootstrap();
  const program = inRoot("test/sim/soak.ts");
  const commands = Array.from({ length: jobs }, (_, i) => [
    ...[tool("bun"), program, "--from", String(from + i)],
    ...["--count", String(Math.max(seeds - i, 0)), "--step", String(jobs)],
  ]);
  return sideBySide(commands, { what: "seeds", total: seeds });
});
