/**
 * Assertion failures: an engine that finds itself broken stops at once.
 *
 * `--use abort=wasm/trap/onAbort` replaces AssemblyScript's imported abort, so the module keeps an
 * empty import list. The line number is left in memory for whoever reads the corpse.
 */

/** Line of the failed assertion; 0 while all is well. */
export let trapLine: u32 = 0;

export function onAbort(_message: usize, _file: usize, line: u32, _column: u32): void {
  trapLine = line;
  unreachable();
}

/** Stops the engine when a rule of its own is broken. Never used for what a guest can cause. */
export function check(condition: bool): void {
  if (!condition) onAbort(0, 0, 1, 0);
}
