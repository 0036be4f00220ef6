/**
 * `npm run bench -- --readme`: one quiet run of all that README.md's tables are made of, about 25
 * minutes, one benchmark after the other; then these tables, as Markdown.
 *
 * The parts run in processes of their own and print what they always print; the tables are made of
 * the files that they write below build/bench. What of a part cannot be had is told, and the others
 * go on.
 */
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { messageOf } from "../src/lib/message.ts";
import { ROOT } from "../test/support/e2e/program.ts";
import { ipv6Line, qemuTable, speedTable, testpmdTable } from "./readme-tables.ts";

interface Part {
  readonly name: string;
  readonly args: (reps: string) => readonly string[];
  /** Tables of what it has written; undefined: what it prints is all. */
  readonly tables?: (file: string) => string;
}

const read = (file: string) => JSON.parse(readFileSync(file, "utf8"));

const PARTS: readonly Part[] = [
  {
    name: "main",
    args: (reps) => ["--reps", reps, "--seconds", "1", "--only", "1500,65520", "--no-idle-flows"],
    tables: (file) => `${speedTable(read(file))}\n\n${ipv6Line(read(file))}`,
  },
  {
    name: "qemu",
    args: (reps) => ["--reps", reps],
    tables: (file) => qemuTable(read(file)),
  },
  {
    name: "testpmd",
    args: (reps) => ["--reps", reps, "--seconds", "1"],
    tables: (file) => testpmdTable(read(file)),
  },
  { name: "hooks", args: () => [] },
];

const USAGE = `usage: npm run bench -- --readme [--reps N] [--parts ${PARTS.map(
  ({ name }) => name,
).join(",")}]`;

function readOptions(): { readonly reps: string; readonly parts: readonly Part[] } {
  try {
    const { values } = parseArgs({
      options: {
        reps: { type: "string", default: "5" },
        parts: { type: "string", default: PARTS.map(({ name }) => name).join(",") },
      },
    });
    const words = values.parts.split(",");
    const stray = words.find((word) => !PARTS.some(({ name }) => name === word));
    if (stray !== undefined) throw new Error(`--parts "${stray}" is no part`);
    return { reps: values.reps, parts: PARTS.filter(({ name }) => words.includes(name)) };
  } catch (error) {
    console.error(`bench: ${messageOf(error)}\n${USAGE}`);
    process.exit(2);
  }
}

/** Runs a part; what it has printed, which is passed on. */
function run({ name, args }: Part, reps: string): Promise<string> {
  const argv = [join(ROOT, "bench", `${name}.ts`), ...args(reps)];
  const child = spawn(process.execPath, argv, { stdio: ["ignore", "pipe", "inherit"] });
  const chunks: Buffer[] = [];
  child.stdout.on("data", (chunk: Buffer) => {
    process.stdout.write(chunk);
    chunks.push(chunk);
  });
  return new Promise((resolve, reject) => {
    child.once("error", reject);
    child.once("close", (code) => {
      if (code === 0) resolve(Buffer.concat(chunks).toString());
      else reject(new Error(`${name} has ended with ${code}`));
    });
  });
}

async function main(): Promise<number> {
  const { reps, parts } = readOptions();
  const pages: string[] = [];
  let failed = 0;
  for (const part of parts) {
    console.log(`\n== ${part.name} ==\n`);
    try {
      const text = await run(part, reps);
      const [, file] = text.match(/^written: (.*)$/m) ?? [];
      if (part.tables !== undefined && file !== undefined) pages.push(part.tables(file));
    } catch (error) {
      failed += 1;
      console.error(`bench: ${messageOf(error)}`);
    }
  }
  console.log(`\n== README.md ==\n\n${pages.join("\n\n")}`);
  return failed === 0 ? 0 : 1;
}

process.exit(await main());
