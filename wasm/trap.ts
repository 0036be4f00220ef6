/**
 * What the engine takes for granted, and what happens when it is not so.
 *
 * Theory of operation
 *   `check` guards what would spoil memory; it is in every build. `assert` states an invariant: it
 *   is there in the checked build alone (`build/test/engine-checked.wasm`), which unit tests,
 *   simulator, soak and fuzzer run. Each is preceded by `if (CHECKED)`, since the compiler only
 *   replaces an assertion that is off by its condition, whose loads stay behind. Neither is ever
 *   about what a guest, a host or a peer can cause: that is dropped and counted.
 *
 *   `--use abort=wasm/trap/onAbort` replaces AssemblyScript's imported abort, so the module keeps
 *   an empty import list. Where and why the engine stopped is left in memory for whoever reads the
 *   corpse (`src/engine/trap.ts`).
 */

/** Whether this is the checked build. */
export const CHECKED: bool = !ASC_NO_ASSERT;

/** Line of the failed assertion; 0 while all is well. */
export let trapLine: u32 = 0;
/** Addresses of its file's name and its message: UTF-16, their length before them; 0 = none. */
export let trapFile: usize = 0;
export let trapMessage: usize = 0;

export function onAbort(message: usize, file: usize, line: u32, _column: u32): void {
  trapMessage = message;
  trapFile = file;
  trapLine = line;
  unreachable();
}

/** Stops the engine when a rule of its own is broken. Never used for what a guest can cause. */
export function check(condition: bool): void {
  if (!condition) onAbort(0, 0, 1, 0);
}
