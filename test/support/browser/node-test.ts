/**
 * `node:test` of a browser, as far as the engine's tests use it: `describe` and `test` with a name
 * and a function. Whatever else a test wants of it is refused, by the bundler or when it is called:
 * no test passes for being misunderstood.
 *
 * A file registers its tests while it is loaded; `runRegistered` runs them in that order, one after
 * the other, and forgets them.
 */

export interface Outcome {
  /** Names of the groups around it and its own, from the outside in, joined by " › ". */
  readonly name: string;
  /** What was thrown, with its trace. */
  readonly failure?: string;
}

type Work = () => unknown;

/** No test may go on for longer; one that never gives control back is the page's time limit's. */
const LIMIT_ms = 30_000;
const registered: { name: string; work: Work }[] = [];
const groups: string[] = [];

function checkArguments(name: unknown, work: unknown, more: readonly unknown[]): void {
  if (typeof name !== "string" || typeof work !== "function" || more.length > 0) {
    throw new TypeError(`only (name, function) is known in a browser: ${String(name)}`);
  }
}

export function describe(name: string, work: Work, ...more: unknown[]): void {
  checkArguments(name, work, more);
  groups.push(name);
  try {
    if (work() instanceof Promise) throw new TypeError(`a group that waits: ${name}`);
  } finally {
    groups.pop();
  }
}

export function test(name: string, work: Work, ...more: unknown[]): void {
  checkArguments(name, work, more);
  if (work.length > 0) throw new TypeError(`a test that wants its context: ${name}`);
  registered.push({ name: [...groups, name].join(" › "), work });
}

/** Message and trace of an error, and of what caused it. */
function told(thrown: unknown): string {
  if (!(thrown instanceof Error)) return String(thrown);
  const cause = thrown.cause === undefined ? "" : `\nbecause of ${told(thrown.cause)}`;
  return `${thrown.message}\n${thrown.stack ?? ""}${cause}`;
}

async function failureOf(work: Work): Promise<string | undefined> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  try {
    const result = work();
    if (!(result instanceof Promise)) return undefined;
    const late = new Promise((_, reject) => {
      timer = setTimeout(() => reject(new Error(`not done after ${LIMIT_ms} ms`)), LIMIT_ms);
    });
    await Promise.race([result, late]);
    return undefined;
  } catch (error) {
    return told(error);
  } finally {
    clearTimeout(timer);
  }
}

/** Runs what has been registered since the last call. */
export async function runRegistered(): Promise<Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const { name, work } of registered.splice(0)) {
    const failure = await failureOf(work);
    outcomes.push(failure === undefined ? { name } : { name, failure });
  }
  return outcomes;
}
