/** Guest networks as whoever tells of them knows them. */
import type { Binding } from "../binding/binding.ts";
import type { WatchedNetwork } from "./snapshot.ts";

export interface NamedBinding {
  /** Its interface. */
  readonly name: string;
  readonly binding: Pick<Binding, "counters" | "meters" | "refresh">;
}

/** Has all of them tell their counters; one that does not answer is down, with its last values. */
export function askAll(networks: readonly NamedBinding[]): Promise<readonly WatchedNetwork[]> {
  return Promise.all(
    networks.map(async ({ name, binding }) => {
      const isUp = await binding.refresh();
      return { interface: name, isUp, counters: binding.counters, meters: binding.meters };
    }),
  );
}
