/**
 * `npm run soak -- [--family NAME] [--seeds N] [--from N] [--jobs N]`: the simulator over many
 * seeds, several processes side by side. Ends with 1 at the first violation, and says how to see it
 * again. Without a family: so many seeds of random scenarios, and a tenth of that of each other
 * family, whose runs take longer.
 *
 * `npm run soak -- --traps N`: the program itself, whose engine is made to fail N times behind each
 * kind of link (test/e2e/attach-takeover.test.ts).
 *
 * `npm run soak -- --publish N`: the program itself, whose ports are published, used and removed N
 * times under traffic (test/e2e/attach-publish-cycles.test.ts).
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, main, run, tool } from "./shell.mjs";
import { sideBySide } from "./side-by-side.mjs";

const SEEDS = 10_000;
const FROM = 1;
const FAMILIES = ["random", "windows", "vhost-user", "competition"];
const PART_OF = 10;
const JOBS = 2;

function whole(name, text, fallback) {
  const value = text === undefined ? fallback : Number(text);
  if (Number.isSafeInteger(value) && value > 0) return value;
  throw new Error(`give --${name} a number from 1 on, not "${text}"`);
}

/** Runs a test of the program as it ships, so many times over; the exit code. */
async function program(test, env) {
  await bootstrap({ checked: true });
  const args = ["--import", "tsx", "--test-reporter=spec", test];
  const { code } = await run(process.execPath, args, { env });
  return code;
}

/** Fails engines. */
function traps(count) {
  return program("test/e2e/attach-takeover.test.ts", { SLIRP_TRAPS: String(count) });
}

/** Publishes and removes ports. */
function publish(count) {
  const env = { SLIRP_PUBLISH_CYCLES: String(count) };
  return program("test/e2e/attach-publish-cycles.test.ts", env);
}

main(async () => {
  const text = { type: "string" };
  const options = { family: text, seeds: text, from: text, jobs: text, traps: text, publish: text };
  const { values } = parseArgs({ options });
  if (values.traps !== undefined) return traps(whole("traps", values.traps, 1));
  if (values.publish !== undefined) return publish(whole("publish", values.publish, 1));
  const families = values.family === undefined ? FAMILIES : [values.family];
  if (families.some((each) => !FAMILIES.includes(each))) {
    throw new Error(`give --family one of ${FAMILIES.join(", ")}, not "${values.family}"`);
  }
  const seeds = whole("seeds", values.seeds, SEEDS);
  const from = whole("from", values.from, FROM);
  const jobs = whole("jobs", values.jobs, JOBS);
  await bootstrap({ checked: true });
  const simulator = inRoot("test/sim/soak.ts");
  const counts = families.map((family) => {
    const isPart = family !== "random" && families.length > 1;
    return { family, count: isPart ? Math.ceil(seeds / PART_OF) : seeds };
  });
  const commands = Array.from({ length: jobs }, (_, i) => [
    ...[tool("bun"), simulator, "--from", String(from + i), "--step", String(jobs)],
    ...counts.map(({ family, count }) => `${family}:${Math.max(count - i, 0)}`),
  ]);
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  return sideBySide(commands, { what: "seeds", total });
});
