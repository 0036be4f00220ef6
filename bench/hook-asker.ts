/**
 * Asks a hook socket for Info until its standard input ends, then prints how long each answer took,
 * as a JSON array of milliseconds: `hook-asker.ts PATH`. A process of its own, so that nothing else
 * of the measurement keeps it waiting.
 */
import process from "node:process";
import { call, EMPTY, INFO } from "../test/support/hook-client.ts";

const PAUSE_ms = 100;
/** Stands for an answer that did not come. */
const NEVER_ms = 1e6;

async function main(path: string): Promise<void> {
  let isOver = false;
  process.stdin.on("end", () => {
    isOver = true;
  });
  process.stdin.resume();
  const times: number[] = [];
  while (!isOver) {
    const begin = performance.now();
    const answered = await call(path, INFO, EMPTY).then(
      () => true,
      () => false,
    );
    times.push(answered ? performance.now() - begin : NEVER_ms);
    if (times.length === 1) console.log("asking");
    await new Promise((resolve) => setTimeout(resolve, PAUSE_ms));
  }
  console.log(JSON.stringify(times));
}

await main(process.argv[2] ?? "");
