/**
 * Writes the pinned trace hashes anew, after a change of the engine, the loop or the model that was
 * meant:
 *
 *     node --import tsx test/sim/update-hashes.ts
 */
import { writeFileSync } from "node:fs";
import { simulateSeed } from "../../src/sim/simulate.ts";
import { HASHED_SEEDS } from "./pinned.ts";

const hashes = Object.fromEntries(HASHED_SEEDS.map((seed) => [seed, simulateSeed(seed).hash]));
writeFileSync(new URL("./hashes.json", import.meta.url), `${JSON.stringify(hashes, null, 2)}\n`);
