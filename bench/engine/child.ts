/**
 * The measuring process of `npm run bench -- --engine`. Questions and answers are lines of JSON, so
 * that one checkout's command can drive the harness of another.
 */
import process from "node:process";
import { createInterface } from "node:readline";
import { LOADS, Loads, type Sample } from "./loads.ts";

/** A load to be measured. */
export interface Question {
  readonly load: string;
  /** Flows that lie idle beside it. */
  readonly crowd: number;
  /** Processor time it takes at least, microseconds. */
  readonly cpu_us: number;
}

export type Answer = Sample | { readonly error: string };

const byCrowd = new Map<number, Loads>();

function answer({ load, crowd, cpu_us }: Question): Answer {
  const known = LOADS.find((each) => each === load);
  if (known === undefined) return { error: "there is no such load" };
  const loads = byCrowd.get(crowd) ?? new Loads(crowd);
  byCrowd.set(crowd, loads);
  try {
    return loads.run(known, cpu_us);
  } catch (error) {
    return { error: error instanceof Error ? error.message : String(error) };
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const question: Question = JSON.parse(line);
  process.stdout.write(`${JSON.stringify(answer(question))}\n`);
}
