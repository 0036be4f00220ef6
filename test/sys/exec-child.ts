/**
 * Mounts what it is told, then becomes a program: `MOUNTS PROGRAM ARGUMENT…`, MOUNTS being JSON.
 * Started by exec.test.ts, in a mount namespace where it mounts.
 */
import process from "node:process";
import { becomeProgram, mountEmpty, mountFile, mountOver } from "../../src/sys/exec.ts";
import { loadLibc } from "../../src/sys/libc.ts";

const [, , mounts = "[]", program = "", ...rest] = process.argv;
const sys = await loadLibc();
for (const [kind, ...places] of JSON.parse(mounts) as string[][]) {
  const [from = "", to = ""] = places;
  try {
    if (kind === "file") mountFile(sys, from, to);
    else if (kind === "over") mountOver(sys, from, to);
    else mountEmpty(sys, from);
  } catch (error) {
    process.stdout.write(`${error instanceof Error ? error.message : error}\n`);
    process.exit(1);
  }
}
const env = { GREETING: "hello there", NOTHING: undefined, EMPTY: "" };
const result = becomeProgram(sys, program, [program, ...rest], env);
process.stdout.write(`${result}\n`);
process.exit(0);
