/** Commands for ourselves: the command line does not offer them. */

/** Makes `main` the tap helper (see `src/sys/tap-helper.ts`). */
export const TAP_HELPER_COMMAND = "internal-open-tap";
