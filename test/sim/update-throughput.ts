/**
 * Writes the frozen table of throughput and its document anew, after a change that was meant:
 *
 *     node --import tsx test/sim/update-throughput.ts
 */
import { writeFileSync } from "node:fs";
import { measureAll, render } from "./throughput.ts";

const table = measureAll();
writeFileSync(new URL("./throughput.json", import.meta.url), `${JSON.stringify(table, null, 2)}\n`);
writeFileSync(new URL("../../docs/throughput.md", import.meta.url), render(table));
