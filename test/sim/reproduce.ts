/** How a run is repeated. */
import { type Family, familyOptions } from "../../src/lab/sim/family.ts";

/** The one command that repeats a run. */
export function reproduceCommand(seed: number, family: Family = "random"): string {
  return `slirp-binding simulate --seed ${seed}${familyOptions(family)}`;
}
