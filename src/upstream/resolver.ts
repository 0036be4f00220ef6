/**
 * The resolvers behind the DNS address: those of the command line, or resolv.conf's, followed live.
 */
import type { AttachOptions } from "../config/config.ts";
import {
  RESOLV_CONF_PATH,
  type ResolvConf,
  type ResolvSnapshot,
  readIfChanged,
} from "../config/resolv.ts";
import { resolverAddresses } from "../engine/config.ts";
import type { Engine } from "../engine/engine.ts";
import type { Logger } from "../lib/log.ts";

/** How often the file is looked at, microseconds: one stat(2) each. */
const INTERVAL = 1_000_000;

export class ResolverWatch {
  readonly #options: AttachOptions;
  readonly #log: Logger;
  #last: ResolvSnapshot;
  #due = 0;

  constructor(options: AttachOptions, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.#last = readIfChanged(RESOLV_CONF_PATH);
    if (options.dns.length === 0) this.#warn();
  }

  /** What the file says now. */
  get conf(): ResolvConf {
    return this.#last.conf;
  }

  /** Microseconds until the next look; undefined = never. */
  wait(now: number): number | undefined {
    return this.#options.dns.length > 0 ? undefined : Math.max(0, this.#due - now);
  }

  /** Looks at the file when it is time and tells the engine of a change. */
  poll(engine: Engine, now: number): void {
    if (this.#options.dns.length > 0 || now < this.#due) return;
    this.#due = now + INTERVAL;
    const snapshot = readIfChanged(RESOLV_CONF_PATH, this.#last);
    if (snapshot === this.#last) return;
    this.#last = snapshot;
    this.#warn();
    const { conf } = snapshot;
    engine.setResolvers(resolverAddresses(this.#options, conf));
    this.#log.info({ resolvers: conf.nameservers.join(" ") }, "resolvers changed");
  }

  #warn(): void {
    for (const warning of this.#last.conf.warnings) this.#log.warn({}, warning);
  }
}
