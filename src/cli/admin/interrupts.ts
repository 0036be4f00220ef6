/**
 * Signals that end what goes on without end. They end the command as its own end would: files are
 * closed, the terminal is given back, and nothing is said.
 */

const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"] as const;

export interface Interrupts {
  readonly signal: AbortSignal;
  /** Leaves the signals to themselves again. */
  readonly forget: () => void;
}

/** Listens until `forget`; a second signal is not waited for. */
export function interrupts(): Interrupts {
  const controller = new AbortController();
  const end = (): void => controller.abort();
  for (const name of SIGNALS) process.on(name, end);
  return {
    signal: controller.signal,
    forget: () => {
      for (const name of SIGNALS) process.off(name, end);
    },
  };
}
