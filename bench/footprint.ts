/**
 * Start-up time, memory, and throughput beside many idle flows.
 */

import { messageOf } from "../src/lib/message.ts";
import type { ProgramKind } from "../test/support/e2e/program.ts";
import { start, until } from "../test/support/e2e/shell.ts";
import type { Namespace } from "../test/support/e2e/world.ts";
import { measure, type Path, residentMib, rrArgv } from "./measure.ts";
import { ACTIVE_FLOW_COUNT, type Config, IDLE_FLOW_COUNT, type RunOptions } from "./plan.ts";
import { createPath, removePath } from "./world.ts";

/** Figures of one program; a figure that could not be had is undefined and `errors` says why. */
export type Footprint = {
  readonly kind: ProgramKind;
  readonly ready_ms: readonly number[];
  readonly idle_mib: number | undefined;
  readonly loaded_mib: number | undefined;
  /** The highest value seen while all flows were busy. */
  readonly active_mib: number | undefined;
  /** Per repetition: throughput with idle flows over throughput without; undefined: not asked. */
  readonly idleFlowsUp: readonly number[] | undefined;
  readonly idleFlowsDown: readonly number[] | undefined;
  readonly errors: readonly string[];
};

const START_COUNT = 5;
const OPEN_LIMIT_MS = 60_000;
const ACTIVE_SECONDS = 2;
const SETTLE_MS = 300;

type Draft = { -readonly [K in keyof Footprint]: Footprint[K] };

/** Measures one program at the default MTU of a tap; never throws. */
export async function measureFootprint(
  host: Namespace,
  kind: ProgramKind,
  rr: readonly string[],
  { reps, seconds, idleFlows: withIdleFlows }: RunOptions,
): Promise<Footprint> {
  const errors: string[] = [];
  const draft: Draft = {
    kind,
    ready_ms: [],
    idle_mib: undefined,
    loaded_mib: undefined,
    active_mib: undefined,
    idleFlowsUp: undefined,
    idleFlowsDown: undefined,
    errors,
  };
  const attemptPart = async (what: string, part: () => Promise<void>): Promise<void> => {
    try {
      await part();
    } catch (error) {
      errors.push(`${what}: ${messageOf(error).split("\n")[0]}`);
    }
  };
  const config: Config = { name: kind, kind, mtu: 65520, vnet: true };
  await attemptPart("start", async () => {
    draft.ready_ms = await startTimes(host, config);
  });
  await attemptPart("memory", () => memory(host, config, rr, draft));
  if (!withIdleFlows) return draft;
  draft.idleFlowsUp = [];
  draft.idleFlowsDown = [];
  await attemptPart("idle flows", async () => {
    const how = { reps, seconds, count: IDLE_FLOW_COUNT };
    const shares = await idleFlows(host, { ...config, mtu: 1500 }, rr, how);
    draft.idleFlowsUp = shares.up;
    draft.idleFlowsDown = shares.down;
  });
  return draft;
}

async function startTimes(host: Namespace, config: Config): Promise<number[]> {
  const times: number[] = [];
  for (let count = 0; count < START_COUNT; count += 1) {
    const path = await createPath(host, config);
    times.push(path.program?.ready_ms ?? Number.NaN);
    await removePath(path);
  }
  return times;
}

async function memory(
  host: Namespace,
  config: Config,
  rr: readonly string[],
  draft: Draft,
): Promise<void> {
  const path = await createPath(host, config);
  const pid = path.program?.pid ?? -1;
  try {
    draft.idle_mib = await settledMib(pid);
    const load = [await measure(path, "up8", 1, rr), await measure(path, "dn8", 1, rr)];
    draft.loaded_mib = await settledMib(pid);
    for (const sample of load) {
      if (!sample.ok) {
        throw new Error(sample.error);
      }
    }
  } finally {
    await removePath(path);
  }
  draft.active_mib = await activeMib(host, config, rr);
}

/** Memory once it has stopped changing by more than 1 % between two looks. */
async function settledMib(pid: number): Promise<number> {
  let last = 0;
  return until(
    async () => {
      await new Promise((resolve) => setTimeout(resolve, SETTLE_MS));
      const now = residentMib(pid);
      const settled = Math.abs(now - last) <= now / 100;
      last = now;
      return settled ? now : undefined;
    },
    "memory to settle",
    10_000,
  );
}

/** A fresh program, so that an earlier load does not count. */
async function activeMib(host: Namespace, config: Config, rr: readonly string[]): Promise<number> {
  const path = await createPath(host, config);
  const count = String(ACTIVE_FLOW_COUNT);
  const client = start(rrArgv(path, rr, "active", count, String(ACTIVE_SECONDS)));
  try {
    await client.waitFor(/open/, OPEN_LIMIT_MS);
    let peak = 0;
    await until(
      () => {
        peak = Math.max(peak, residentMib(path.program?.pid ?? -1));
        return client.ended();
      },
      "the active flows' end",
      OPEN_LIMIT_MS,
    );
    const outcome = await client.outcome();
    if (outcome.code !== 0) {
      throw new Error(outcome.stderr);
    }
    return peak;
  } finally {
    client.signal("SIGKILL");
    await removePath(path);
  }
}

type Shares = { readonly up: number[]; readonly down: number[] };

/** How often, how long, beside how many, and what the program is started with. */
export type IdleFlows = {
  readonly reps: number;
  readonly seconds: number;
  readonly count: number;
  readonly prefix?: readonly string[];
};

/** Throughput beside idle flows over throughput without. */
export async function idleFlows(
  host: Namespace,
  config: Config,
  rr: readonly string[],
  { reps, seconds, count, prefix = [] }: IdleFlows,
): Promise<Shares> {
  const shares: Shares = { up: [], down: [] };
  const path = await createPath(host, config, prefix);
  try {
    for (let rep = 0; rep < reps; rep += 1) {
      const alone = await bothWays(path, rr, seconds);
      const beside = await withIdleFlows(path, rr, count, () => bothWays(path, rr, seconds));
      shares.up.push(beside.up / alone.up);
      shares.down.push(beside.down / alone.down);
    }
  } finally {
    await removePath(path);
  }
  return shares;
}

async function withIdleFlows<T>(
  path: Path,
  rr: readonly string[],
  count: number,
  work: () => Promise<T>,
): Promise<T> {
  const holder = start(rrArgv(path, rr, "hold", String(count)));
  try {
    await holder.waitFor(/open/, OPEN_LIMIT_MS);
    return await work();
  } finally {
    holder.closeInput();
    await holder.outcome(10_000);
  }
}

async function bothWays(
  path: Path,
  rr: readonly string[],
  seconds: number,
): Promise<{ up: number; down: number }> {
  const up = await measure(path, "up1", seconds, rr);
  const down = await measure(path, "dn1", seconds, rr);
  if (!up.ok || !down.ok) {
    throw new Error(!up.ok ? up.error : !down.ok ? down.error : "");
  }
  return { up: up.value, down: down.value };
}
