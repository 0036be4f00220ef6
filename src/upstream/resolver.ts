/**
 * What the guest has of resolv.conf, followed live: the resolvers behind the DNS address, unless
 * the command line names some, and the search list of DHCP, DHCPv6 and router advertisements,
 * unless it names one.
 *
 * A file that is there and may not be read any more (the program has given up its rights, see
 * `--user`) is read by a process that may, where there is one (`binding/resolv-reader.ts`): it is
 * asked whenever the file is looked at, and heard when it answers. Where nobody can read the file,
 * nothing changes: what was read last counts on, and a warning says so. One that is gone is a state
 * like any other, without resolvers.
 */
import type { BindingOptions } from "../config/attach.ts";
import {
  confOfAnswer,
  RESOLV_CONF_PATH,
  type ResolvConf,
  type ResolvSnapshot,
  readIfChanged,
} from "../config/resolv.ts";
import { dhcp6OptionOctets, dhcpOptionOctets, resolverAddresses } from "../engine/config-values.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import type { Logger } from "../lib/log.ts";
import type { ResolvAnswers } from "./resolv-answers.ts";

/** How often the file is looked at, microseconds: one stat(2) each. */
const INTERVAL = 1_000_000;
/** Names of a search list in a line of the log. */
const SEARCH_SHOWN = 6;

/** What of the options says who answers, and what the guest is told. */
type ResolverSources = Pick<BindingOptions, "dns" | "dhcp">;
/** Who reads the file where we may not. */
export interface ResolvReading {
  readonly answers: ResolvAnswers;
  /** Has it read. To be called as often as one likes: the answer is of a later time than that. */
  ask(): void;
}

export class ResolverWatch {
  readonly #options: ResolverSources;
  readonly #log: Logger;
  readonly #reading: ResolvReading | undefined;
  /** Version of the answer that was heard last. */
  #heard = 0;
  /** Nobody can read the file, and the log has it. */
  #isLost = false;
  #last: ResolvSnapshot;
  /** What the guest has been told. */
  #conf: ResolvConf;
  #due = 0;

  constructor(options: ResolverSources, log: Logger, reading?: ResolvReading) {
    this.#options = options;
    this.#log = log;
    this.#reading = reading;
    this.#last = readIfChanged(RESOLV_CONF_PATH);
    this.#conf = (this.#last.isForbidden ? this.#answer() : undefined) ?? this.#last.conf;
    // What is missing then is told below.
    this.#isLost = this.#last.isForbidden && this.#conf === this.#last.conf;
    if (options.dns.servers.length === 0) this.#warn();
  }

  /** What the file says now, or said when it could be read. */
  get conf(): ResolvConf {
    return this.#conf;
  }

  get #isFollowing(): boolean {
    return this.#options.dns.servers.length === 0 || this.#options.dns.search.length === 0;
  }

  /** An answer has come that counts. */
  get #hasNews(): boolean {
    const version = this.#reading?.answers.version ?? 0;
    return this.#last.isForbidden && version !== this.#heard && version % 2 === 0;
  }

  /** Microseconds until the next look; undefined = never. */
  wait(now: number): number | undefined {
    if (!this.#isFollowing) return undefined;
    return this.#hasNews ? 0 : Math.max(0, this.#due - now);
  }

  /** Looks at the file when it is time and tells the engine of a change. */
  poll(engine: HostEngine, now: number): void {
    if (!this.#isFollowing) return;
    if (this.#hasNews) this.#hear(engine);
    if (now < this.#due) return;
    this.#due = now + INTERVAL;
    const before = this.#last;
    this.#last = readIfChanged(RESOLV_CONF_PATH, before);
    if (this.#last.isForbidden) {
      // Answers from before are of another file.
      if (this.#last !== before) this.#heard = this.#reading?.answers.version ?? 0;
      if (this.#reading?.answers.isThere) this.#reading.ask();
      else this.#lose();
    } else if (this.#last !== before) {
      this.#isLost = false;
      this.#adopt(engine, this.#last.conf);
    }
  }

  #hear(engine: HostEngine): void {
    const conf = this.#answer();
    if (conf === undefined) return;
    this.#isLost = false;
    if (!isSame(conf, this.#conf)) this.#adopt(engine, conf);
  }

  /** What the last answer says; undefined where that is nothing. */
  #answer(): ResolvConf | undefined {
    const answer = this.#reading?.answers.read();
    if (answer === undefined) return undefined;
    this.#heard = answer.version;
    const conf = confOfAnswer(RESOLV_CONF_PATH, answer.text);
    if (conf === undefined) this.#lose();
    return conf;
  }

  #lose(): void {
    if (this.#isLost) return;
    this.#isLost = true;
    const advice = "name them by --dns and --search, or start with --user root";
    this.#log.warn({ path: RESOLV_CONF_PATH, advice }, "resolv.conf is no longer readable");
  }

  #adopt(engine: HostEngine, conf: ResolvConf): void {
    const before = this.#conf;
    this.#conf = conf;
    if (this.#options.dns.servers.length === 0) this.#tellResolvers(engine, before);
    if (this.#options.dns.search.length === 0) this.#tellSearch(engine, before);
  }

  #tellResolvers(engine: HostEngine, before: ResolvConf): void {
    this.#warn();
    engine.setResolvers(resolverAddresses(this.#options.dns.servers, this.#conf));
    const resolvers = this.#conf.nameservers.join(" ");
    if (resolvers === before.nameservers.join(" ")) return;
    this.#log.info({ event: "resolvers_changed", resolvers }, "resolvers changed");
  }

  #tellSearch(engine: HostEngine, before: ResolvConf): void {
    const { search } = this.#conf;
    if (search.join(" ") === before.search.join(" ")) return;
    const dhcp = dhcpOptionOctets(this.#options, this.#conf);
    engine.setDhcpOptions(dhcp, dhcp6OptionOctets(this.#options, this.#conf));
    this.#log.info({ domains: search.length }, "search list changed");
    this.#log.debug({ search: search.slice(0, SEARCH_SHOWN).join(" ") }, "search list");
  }

  #warn(): void {
    for (const warning of this.#conf.warnings) this.#log.warn({}, warning);
  }
}

function isSame(a: ResolvConf, b: ResolvConf): boolean {
  return (["nameservers", "search"] as const).every(
    (list) => a[list].join(" ") === b[list].join(" "),
  );
}
