/**
 * What the guest has of resolv.conf, followed live: the resolvers behind the DNS address, unless
 * the command line names some, and the search list of DHCP, DHCPv6 and router advertisements,
 * unless it names one.
 *
 * A file that is there and may not be read any more (the program has given up its rights, see
 * `--user`) changes nothing: what was read last counts on, and a warning says so. One that is gone
 * is a state like any other, without resolvers.
 */
import type { BindingOptions } from "../config/attach.ts";
import {
  RESOLV_CONF_PATH,
  type ResolvConf,
  type ResolvSnapshot,
  readIfChanged,
} from "../config/resolv.ts";
import { dhcp6OptionOctets, dhcpOptionOctets, resolverAddresses } from "../engine/config-values.ts";
import type { Engine } from "../engine/engine.ts";
import type { Logger } from "../lib/log.ts";

/** How often the file is looked at, microseconds: one stat(2) each. */
const INTERVAL = 1_000_000;
/** Names of a search list in a line of the log. */
const SEARCH_SHOWN = 6;

/** What of the options says who answers, and what the guest is told. */
type ResolverSources = Pick<BindingOptions, "dns" | "dhcp">;

export class ResolverWatch {
  readonly #options: ResolverSources;
  readonly #log: Logger;
  #last: ResolvSnapshot;
  /** What the guest has been told. */
  #conf: ResolvConf;
  #due = 0;

  constructor(options: ResolverSources, log: Logger) {
    this.#options = options;
    this.#log = log;
    this.#last = readIfChanged(RESOLV_CONF_PATH);
    this.#conf = this.#last.conf;
    if (options.dns.servers.length === 0) this.#warn();
  }

  /** What the file says now, or said when it could be read. */
  get conf(): ResolvConf {
    return this.#conf;
  }

  get #isFollowing(): boolean {
    return this.#options.dns.servers.length === 0 || this.#options.dns.search.length === 0;
  }

  /** Microseconds until the next look; undefined = never. */
  wait(now: number): number | undefined {
    return this.#isFollowing ? Math.max(0, this.#due - now) : undefined;
  }

  /** Looks at the file when it is time and tells the engine of a change. */
  poll(engine: Engine, now: number): void {
    if (!this.#isFollowing || now < this.#due) return;
    this.#due = now + INTERVAL;
    const snapshot = readIfChanged(RESOLV_CONF_PATH, this.#last);
    if (snapshot === this.#last) return;
    this.#last = snapshot;
    if (snapshot.isForbidden) {
      const advice = "name them by --dns and --search, or start with --user root";
      this.#log.warn({ path: RESOLV_CONF_PATH, advice }, "resolv.conf may not be read any more");
      return;
    }
    const before = this.#conf;
    this.#conf = snapshot.conf;
    if (this.#options.dns.servers.length === 0) this.#tellResolvers(engine);
    if (this.#options.dns.search.length === 0) this.#tellSearch(engine, before);
  }

  #tellResolvers(engine: Engine): void {
    this.#warn();
    engine.setResolvers(resolverAddresses(this.#options.dns.servers, this.#conf));
    this.#log.info({ resolvers: this.#conf.nameservers.join(" ") }, "resolvers changed");
  }

  #tellSearch(engine: Engine, before: ResolvConf): void {
    const { search } = this.#conf;
    if (search.join(" ") === before.search.join(" ")) return;
    const dhcp = dhcpOptionOctets(this.#options, this.#conf);
    engine.setDhcpOptions(dhcp, dhcp6OptionOctets(this.#options, this.#conf));
    this.#log.info({ search: search.slice(0, SEARCH_SHOWN).join(" ") }, "search list changed");
  }

  #warn(): void {
    for (const warning of this.#last.conf.warnings) this.#log.warn({}, warning);
  }
}
