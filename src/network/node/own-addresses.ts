/**
 * Addresses of this machine, for guests that may not reach it: its own ones, and all link-local
 * ones of IPv4, where neighbours configure themselves.
 *
 * Node does not tell of changes, so they are read again when LOOK_MS have passed. Loopback is none
 * of them: the engine lets no guest name it, what is at the gateway is settled there.
 *
 * Source: RFC 3927 §2.1.
 */
import { networkInterfaces } from "node:os";

const LOOK_MS = 1000;

export class OwnAddresses {
  #known: ReadonlySet<string> | undefined;

  /** Whether an address is this machine's, or next to it. */
  has(address: string): boolean {
    if (address.startsWith("169.254.")) return true;
    this.#known ??= this.#read();
    return this.#known.has(address);
  }

  #read(): ReadonlySet<string> {
    const forget = (): void => {
      this.#known = undefined;
    };
    setTimeout(forget, LOOK_MS).unref();
    const all = Object.values(networkInterfaces()).flatMap((found = []) => found);
    return new Set(all.filter(({ internal }) => !internal).map(({ address }) => address));
  }
}
