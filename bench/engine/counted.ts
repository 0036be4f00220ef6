/**
 * The counted process of `npm run bench -- --instructions`: does a load until it has looked at the
 * clock so often, however long that takes, and says how many units of it there were.
 *
 *     node counted.mjs LOAD CROWD LOOKS
 */
import process from "node:process";
import { LOADS, Loads } from "./loads.ts";

const [name, crowd, looks] = process.argv.slice(2);
const load = LOADS.find((each) => each === name);
if (load === undefined) throw new Error(`there is no load "${name}"`);

// The clock of a load is the processor's time: here each look finds one microsecond more of it.
let spent_us = 0;
process.cpuUsage = (since) => {
  if (since !== undefined) spent_us += 1;
  return { user: spent_us, system: 0 };
};

console.log(new Loads(Number(crowd)).run(load, Number(looks)).count);
