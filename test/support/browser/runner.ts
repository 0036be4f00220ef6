/**
 * Runs the bundled test files, one after the other, on a page's main thread or in a worker:
 * `suite.ts` has the page call it.
 */
import "./globals.ts";
import { fetchFiles } from "./node-modules.ts";
import { type Outcome, runRegistered } from "./node-test.ts";

/** Loads a test file, which registers what is in it. */
export type Load = () => Promise<unknown>;

/** Outcomes of the tests of each file, by its path. */
export type Outcomes = Readonly<Record<string, readonly Outcome[]>>;

export async function runFiles(
  files: Readonly<Record<string, Load>>,
  fetched: readonly string[],
): Promise<Outcomes> {
  await fetchFiles(fetched);
  const outcomes: Record<string, readonly Outcome[]> = {};
  for (const [file, load] of Object.entries(files)) {
    await load();
    outcomes[file] = await runRegistered();
  }
  return outcomes;
}
