/** Plans of VMIs with one interface of ours, changed as a test asks. */
import assert from "node:assert/strict";
import { LINK_CHOICES } from "../../src/config/hook-settings.ts";
import type { GuestMemory } from "../../src/hooks/domain/memory.ts";
import { type BindingPlan, derivePlans, type PlanContext } from "../../src/hooks/domain/plan.ts";
import { readVmi } from "../../src/hooks/domain/vmi.ts";
import { contextOf, MEMORY, messageOf } from "./hook-fixtures.ts";

/** All links that a plan may have. */
export const LINK_KINDS = LINK_CHOICES.filter((each) => each !== "auto");

export interface Wish {
  readonly iface?: object;
  readonly pod?: object;
  readonly spec?: object;
  readonly metadata?: object;
  readonly env?: Readonly<Record<string, string>>;
  readonly resolvConf?: string;
  readonly podNetworks?: PlanContext["podNetworks"];
  readonly autoLink?: PlanContext["autoLink"];
  readonly memoryLimit?: PlanContext["memoryLimit"];
  readonly memory?: Partial<GuestMemory>;
}

/** The plan of such a VMI's first interface in such surroundings. */
export function plan(wish: Wish = {}): BindingPlan {
  const [first] = plans(wish);
  assert.ok(first);
  return first;
}

/** Those of all its interfaces. */
export function plans(wish: Wish = {}): readonly BindingPlan[] {
  const { iface, pod = {}, spec, metadata, env = {}, memory, ...rest } = wish;
  const interfaces = [{ name: "net", binding: { name: "slirp" }, ...iface }];
  const networks = [{ name: "net", pod }];
  const vmi = {
    metadata: { name: "vm", namespace: "ns", ...metadata },
    spec: { domain: { devices: { interfaces } }, networks, ...spec },
  };
  return derivePlans(
    readVmi(JSON.stringify(vmi)),
    { ...MEMORY, ...memory },
    contextOf("", env, rest),
  );
}

/** Message of the refusal; empty where there is none. */
export const error = (wish: Wish): string => messageOf(() => plan(wish));
