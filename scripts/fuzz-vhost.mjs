/**
 * `npm run fuzz -- --vhost [--states N] [--sequences N] [--seed S]`: any state of a vhost-user
 * guest's rings, and any control messages, against the link as a whole (`test/fuzz/vhost`).
 *
 * Guest memory has pages around it that nobody may touch, so a fault ends the process that meets
 * it. Work is done in portions, each by a process of its own, most under Bun and the last one of
 * each kind under Deno; a portion that fails is named by the command that repeats it.
 */
import { spawnSync } from "node:child_process";
import process from "node:process";
import { bootstrap } from "./bootstrap.mjs";
import { inRoot, ROOT, tool } from "./shell.mjs";

export const VHOST_OPTIONS = { states: 1_000_000, sequences: 100_000 };
const PORTIONS = 20;
/** Between the seeds of two portions: each step of a portion takes the next one. */
const SEED_STEP = 1_000_000;
const CHILD = "test/fuzz/vhost/child.ts";

function runPortion(kind, seed, count, isLast) {
  const args = [inRoot(CHILD), kind, String(seed), String(count)];
  const [program, flags] = isLast ? ["deno", ["run", "-A", "--quiet", "--no-lock"]] : ["bun", []];
  const { status, signal, stdout } = spawnSync(tool(program), [...flags, ...args], {
    ...{ cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "inherit"] },
  });
  const again = `${program} ${[...flags, CHILD, kind, seed, count].join(" ")}`;
  if (status === 0) return JSON.parse(stdout);
  process.stderr.write(`FAILED by ${signal ?? `status ${status}`}\nrepeat it: ${again}\n`);
  return undefined;
}

function addUp(sum, more) {
  for (const [name, value] of Object.entries(more)) sum[name] = (sum[name] ?? 0) + value;
}

/** Resolves to the exit code. */
export async function fuzzVhost({ states, sequences, seed }) {
  await bootstrap({});
  process.stdout.write(`seed ${seed}\n`);
  for (const [kind, total] of Object.entries({ states, sequences })) {
    const sum = {};
    const portion = Math.ceil(total / PORTIONS);
    for (let i = 0, left = total; left > 0; i += 1, left -= portion) {
      const count = Math.min(portion, left);
      const seen = runPortion(kind, seed + i * SEED_STEP, count, left <= portion);
      if (seen === undefined) return 1;
      addUp(sum, seen);
      process.stdout.write(`${kind}: ${JSON.stringify(sum)}\n`);
    }
  }
  return 0;
}
