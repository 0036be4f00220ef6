/**
 * When `serve` ends: at the Shutdown hook and at SIGINT at once; after SIGTERM as soon as no guest
 * is attached, or the grace time is over, or a second SIGTERM arrives.
 *
 * The kubelet sends SIGTERM to all containers of a pod at the same time, while the guest may take
 * minutes to power off; it shall have its network as long.
 */
import type { Logger } from "../lib/log.ts";

export interface EndingOptions {
  readonly graceSeconds: number;
  /** Resolves as soon as no guest is attached. */
  readonly idle: () => Promise<void>;
  readonly log: Logger;
}

export class Ending {
  /** Resolves to the reason, the first there was. */
  readonly over: Promise<string>;
  readonly #options: EndingOptions;
  #finish: (reason: string) => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #isTerminating = false;

  constructor(options: EndingOptions) {
    this.#options = options;
    this.over = new Promise((resolve) => {
      this.#finish = (reason) => {
        clearTimeout(this.#timer);
        resolve(reason);
      };
    });
  }

  /** The virtual machine is gone. */
  shutdown(): void {
    this.#finish("Shutdown");
  }

  /** SIGINT. */
  interrupt(): void {
    this.#finish("SIGINT");
  }

  /** SIGTERM. */
  terminate(): void {
    if (this.#isTerminating) {
      this.#finish("second SIGTERM");
      return;
    }
    this.#isTerminating = true;
    const { graceSeconds, idle, log } = this.#options;
    log.info({ grace_s: graceSeconds }, "SIGTERM received");
    const late = (): void => this.#finish("SIGTERM, grace time over");
    this.#timer = setTimeout(late, graceSeconds * 1000);
    idle().then(() => this.#finish("SIGTERM, no guest attached"));
  }
}
