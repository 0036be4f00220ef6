/** Commands for ourselves: the command line does not offer them. */

/** Makes `main` the tap helper (see `src/sys/tap-helper.ts`). */
export const TAP_HELPER_COMMAND = "internal-open-tap";

/** Makes `main` one of the processes of a swarm (see `src/lab/commands/simulate-swarm.ts`). */
export const SWARM_COMMAND = "internal-swarm";

/** Makes `main` the part of `run` that becomes the command (see `src/cli/run-inside.ts`). */
export const RUN_COMMAND = "internal-run";
