/**
 * `npm run bench -- --shares`: what others get beside a crowd that takes and gives nothing back.
 *
 * Theory: each repetition starts a program with a fresh guest, measures three streams, connections
 * and look-ups alone, then brings a crowd and measures the same beside it; a flood of idle
 * connections is probed throughout instead. Programs take turns within a repetition. All goes
 * through the same three namespaces (bench/shares-world.ts), and everything has a limit.
 */
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { messageOf } from "../src/lib/message.ts";
import type { ProgramKind } from "../test/support/e2e/program.ts";
import { ROOT } from "../test/support/e2e/program.ts";
import { endAll } from "../test/support/e2e/shell.ts";
import { orderOf } from "./plan.ts";
import { besideCrowd, measureShares, throughoutFlood } from "./shares-measure.ts";
import { type Crowd, parseOptions, type SharesOptions, titleOf, USAGE } from "./shares-plan.ts";
import { markdown, type Repetition, sharesTables, sharesVerdicts, TOLD } from "./shares-report.ts";
import { createInside, createOutside, type Outside } from "./shares-world.ts";
import { absence, obstacle, toolsObstacle } from "./world.ts";

function readOptions(): SharesOptions {
  try {
    return parseOptions(process.argv.slice(2));
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

/** Leaves out what is not installed, and says so. */
function available(programs: readonly ProgramKind[]): ProgramKind[] {
  return programs.filter((kind) => {
    const why = absence(kind);
    if (why !== undefined) console.log(`left out: ${kind}: ${why}`);
    return why === undefined;
  });
}

async function repeat(
  world: Outside,
  crowd: Crowd,
  kind: ProgramKind,
  options: SharesOptions,
): Promise<Repetition> {
  const room = crowd.kind === "writers" ? 1 : crowd.count;
  try {
    const inside = await createInside(world, kind, options.mtu, room);
    try {
      if (crowd.kind === "idle") {
        const { probes, crowd: crowdEnd, program } = await throughoutFlood(world, inside, crowd);
        return { crowd, kind, probes, crowdEnd, program };
      }
      const alone = await measureShares(world, inside, options.seconds);
      const beside = await besideCrowd(world, inside, crowd, options.seconds);
      const { figures, crowd: crowdEnd, program } = beside;
      return { crowd, kind, alone, beside: figures, crowdEnd, program };
    } finally {
      await inside.remove();
    }
  } catch (error) {
    return { crowd, kind, error: messageOf(error).split("\n")[0] ?? "failed" };
  }
}

async function measureAll(world: Outside, options: SharesOptions): Promise<Repetition[]> {
  const all: Repetition[] = [];
  for (const crowd of options.crowds) {
    for (let rep = 0; rep < options.reps; rep += 1) {
      for (const kind of orderOf(options.programs, rep)) {
        if (kind !== "ours" && rep >= options.peerReps) continue;
        process.stderr.write(`${titleOf(crowd)}: repetition ${rep + 1}, ${kind}\n`);
        all.push(await repeat(world, crowd, kind, options));
      }
    }
  }
  return all;
}

async function main(): Promise<void> {
  const asked = readOptions();
  const why = obstacle() ?? toolsObstacle();
  if (why !== undefined) {
    console.error(`bench: cannot run: ${why}`);
    process.exit(1);
  }
  const options = { ...asked, programs: available(asked.programs) };
  const date = new Date().toISOString();
  const world = await createOutside();
  const all = await measureAll(world, options);
  world.remove();
  const verdicts = sharesVerdicts(all);
  const { reps, peerReps, seconds, mtu } = options;
  const peers = `${peerReps} of the peers`;
  console.log(`${reps} repetitions, ${peers}, streams of ${seconds} s, MTU ${mtu}, ${date}\n`);
  console.log(`${sharesTables(all)}\n`);
  const judged = verdicts.map(({ what, wanted, got, met }) => {
    return [what, wanted, got, wanted === TOLD ? "–" : met ? "met" : "MISSED"];
  });
  if (judged.length > 0) {
    console.log(`${markdown([["bar", "wanted", "got", ""], ...judged])}\n`);
  }
  const folder = join(ROOT, "build/bench");
  mkdirSync(folder, { recursive: true });
  const file = join(folder, `shares-${date.replaceAll(":", "-")}.json`);
  writeFileSync(file, `${JSON.stringify({ date, options, all, verdicts }, null, 2)}\n`);
  console.log(`written: ${file}`);
  endAll();
  process.exit(options.strict && verdicts.some(({ met }) => !met) ? 1 : 0);
}

await main();
