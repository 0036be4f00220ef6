/**
 * Writes the pinned trace hashes anew, after a change of the engine, the loop or the model that was
 * meant:
 *
 *     node --import tsx test/sim/update-hashes.ts
 */
import { writeFileSync } from "node:fs";
import type { Family } from "../../src/lab/sim/family.ts";
import { simulateSeed } from "../../src/lab/sim/simulate.ts";
import { HASHED_CARDS, HASHED_COMPETITIONS, HASHED_SEEDS, HASHED_WINDOWS } from "./pinned.ts";

function write(file: string, family: Family, seeds: readonly number[]): void {
  const hashes = Object.fromEntries(
    seeds.map((seed) => [seed, simulateSeed(seed, {}, family).hash]),
  );
  writeFileSync(new URL(file, import.meta.url), `${JSON.stringify(hashes, null, 2)}\n`);
}

write("./hashes.json", "random", HASHED_SEEDS);
write("./window-hashes.json", "windows", HASHED_WINDOWS);
write("./vhost-user-hashes.json", "vhost-user", HASHED_CARDS);
write("./competition-hashes.json", "competition", HASHED_COMPETITIONS);
