/**
 * When `serve` ends: at SIGINT at once; after the Shutdown hook or SIGTERM as soon as no guest is
 * attached, or the grace time is over, or a second SIGTERM arrives; and by itself when it has been
 * left alone.
 *
 * KubeVirt calls Shutdown once, when QEMU has gone: the end of its connection is there already, or
 * on its way. So a guest that is still attached is one whose network somebody else wants to take,
 * or the call is an error; it is logged, and the guest is served. More such calls change nothing.
 *
 * The kubelet sends SIGTERM to all containers of a pod at the same time, while the guest may take
 * minutes to power off; it shall have its network as long.
 *
 * Left alone: no hook call and no guest for `abandonSeconds`, since the first call. A launcher that
 * crashed, or that was the target of a migration which was cancelled, never calls Shutdown, and a
 * sidecar that stays keeps its pod from ending, and the machine from ever being migrated again.
 * Nothing else tells: the launcher dials anew for each call, and its processes are another
 * container's. Where guests cannot be seen (link `user`) this does not hold. Before the first call
 * the launcher's image may still be on its way.
 */
import type { Logger } from "../lib/log.ts";

export interface ShutdownPolicyOptions {
  readonly graceSeconds: number;
  /** 0 = never left alone. */
  readonly abandonSeconds: number;
  /** Whether a guest that is there shows in `attached`. */
  readonly seesGuests: () => boolean;
  /** Resolves as soon as no guest is attached. */
  readonly idle: () => Promise<void>;
  /** Interfaces that have a guest. */
  readonly attached: () => readonly string[];
  readonly log: Logger;
}

export class ShutdownPolicy {
  /** Resolves to the reason, the first there was. */
  readonly decided: Promise<string>;
  readonly #options: ShutdownPolicyOptions;
  #decide: (reason: string) => void = () => {};
  #timer: NodeJS.Timeout | undefined;
  #alone: NodeJS.Timeout | undefined;
  #isTerminating = false;
  #isDecided = false;
  #shutdownCount = 0;

  constructor(options: ShutdownPolicyOptions) {
    this.#options = options;
    this.decided = new Promise((resolve) => {
      this.#decide = (reason) => {
        clearTimeout(this.#timer);
        clearTimeout(this.#alone);
        this.#isDecided = true;
        resolve(reason);
      };
    });
  }

  /** A hook has been called: the launcher is there. */
  onCall(): void {
    this.#waitAlone();
  }

  /** The virtual machine is gone, says the caller. */
  onShutdown(): void {
    this.#shutdownCount += 1;
    const { idle, log } = this.#options;
    const guests = this.#options.attached();
    const count = this.#shutdownCount;
    // A power of two: a flood of calls is a few lines.
    if (guests.length > 0 && Number.isInteger(Math.log2(count))) {
      log.warn({ guests, count }, "Shutdown called while a guest is attached, still serving it");
    }
    if (count > 1) return;
    this.#startGrace("Shutdown, grace time over");
    idle().then(() => this.#decide("Shutdown"));
  }

  /** SIGINT. */
  onInterrupt(): void {
    this.#decide("SIGINT");
  }

  /** SIGTERM. */
  onTerminate(): void {
    if (this.#isTerminating) {
      this.#decide("second SIGTERM");
      return;
    }
    this.#isTerminating = true;
    const { graceSeconds, idle, log } = this.#options;
    log.info({ grace_s: graceSeconds }, "SIGTERM received");
    this.#startGrace("SIGTERM, grace time over");
    idle().then(() => this.#decide("SIGTERM, no guest attached"));
  }

  #waitAlone(): void {
    const { abandonSeconds } = this.#options;
    clearTimeout(this.#alone);
    if (abandonSeconds === 0 || this.#isDecided) return;
    this.#alone = setTimeout(() => this.#leftAlone(), abandonSeconds * 1000);
  }

  #leftAlone(): void {
    const { abandonSeconds, seesGuests, attached, idle } = this.#options;
    if (!seesGuests()) return; // the next call may change that
    if (attached().length > 0) idle().then(() => this.#waitAlone());
    else this.#decide(`no hook call and no guest for ${abandonSeconds} s`);
  }

  /** The time begins with the first reason to end, and is not prolonged by another. */
  #startGrace(reason: string): void {
    const late = (): void => this.#decide(reason);
    this.#timer ??= setTimeout(late, this.#options.graceSeconds * 1000);
  }
}
