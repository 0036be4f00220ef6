/** How a command that asks a running program ends where it does not end well. */

export const EXIT_PROBLEM = 1;
export const EXIT_USAGE = 2;
export const EXIT_NO_INSTANCE = 3;

/** The command line, or what a running program made of it, cannot be meant. */
export class UsageError extends Error {
  override readonly name: string = "UsageError";
}

/** There is no program to ask, or not any more. */
export class NoInstanceError extends Error {
  override readonly name: string = "NoInstanceError";
}
