/** Counters of a guest network for the log. */
import type { Binding } from "../binding/binding.ts";
import { counterLabel, snakeCase } from "../engine/counter-names.ts";
import { DROP_NAMES, STAT_NAMES } from "../engine/stats.ts";
import type { Logger } from "../lib/log.ts";

/** Counters that are not zero, by name. */
export function countersOf(binding: Binding): Record<string, number> {
  const { counters } = binding;
  const names = [...STAT_NAMES, ...DROP_NAMES].map(counterLabel);
  const found: Record<string, number> = { flows: counters.flows, chunks: counters.chunks };
  names.forEach((name, index) => {
    const value = counters.counter(index);
    if (value > 0) found[name] = value;
  });
  if (counters.failures > 0) found["engine_failures"] = counters.failures;
  const { hasPeer, ...peers } = counters.peers;
  for (const [name, value] of Object.entries(peers)) if (value > 0) found[snakeCase(name)] = value;
  return found;
}

/** Asks for new counters and logs them when they are there, or the old ones if none come. */
export async function logCounters(
  log: Logger,
  binding: Binding,
  about: Record<string, string> = {},
): Promise<void> {
  await binding.refresh();
  log.info({ ...about, ...countersOf(binding) }, "counters");
}
