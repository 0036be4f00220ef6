/**
 * Tells when a guest has been given its lease.
 *
 * The engine gives leases and counts its answers; this compares the counters in every turn, four
 * words. An acknowledgment that follows an offer is a lease that was given. One without (a guest
 * that asks for the address it had, one that renews, one that wants nothing but options) is told
 * of once for each guest, then at debug: a lease is renewed twice a day at least.
 */

import type { NetworkOptions } from "../config/network.ts";
import type { HostEngine } from "../engine/host-engine.ts";
import { readStat, STAT_NAMES, type StatName } from "../engine/stats.ts";
import { formatIpv4 } from "../lib/addr.ts";
import { formatIpv6 } from "../lib/addr6.ts";
import type { Logger } from "../lib/log.ts";
import type { Watch } from "./housekeeping.ts";

/** One protocol that gives leases. */
interface Protocol {
  readonly name: "dhcp" | "dhcpv6";
  /** What it gives. */
  readonly address: string;
  readonly offers: StatName;
  readonly acknowledgments: StatName;
}

interface Row extends Protocol {
  offered: number;
  acknowledged: number;
  /** An offer has not been acknowledged yet. */
  isOffered: boolean;
  isTold: boolean;
}

export class LeaseWatch implements Watch {
  readonly #log: Logger;
  readonly #rows: readonly Row[];
  #gone = 0;

  constructor(log: Logger, network: Pick<NetworkOptions, "ipv4" | "subnet" | "subnet6">) {
    this.#log = log;
    this.#rows = protocolsOf(network).map((protocol) => ({
      ...protocol,
      offered: 0,
      acknowledged: 0,
      isOffered: false,
      isTold: false,
    }));
  }

  /** Nothing here is worth waking up for. */
  wait(): number | undefined {
    return undefined;
  }

  poll(engine: HostEngine): void {
    const gone = read(engine, "guestsGone");
    const isNew = gone !== this.#gone;
    this.#gone = gone;
    for (const row of this.#rows) {
      if (isNew) row.isTold = false;
      this.#look(row, read(engine, row.offers), read(engine, row.acknowledgments));
    }
  }

  #look(row: Row, offered: number, acknowledged: number): void {
    if (offered !== row.offered) row.isOffered = true;
    row.offered = offered;
    if (acknowledged === row.acknowledged) return;
    row.acknowledged = acknowledged;
    const { address, name: protocol, isOffered, isTold } = row;
    const fields = { event: "lease_given", address, protocol };
    if (isOffered) this.#log.info(fields, "lease given");
    else if (!isTold) this.#log.info(fields, "lease confirmed");
    else this.#log.debug({ address, protocol }, "lease confirmed");
    row.isOffered = false;
    row.isTold = true;
  }
}

function read(engine: HostEngine, name: StatName): number {
  return readStat(engine, STAT_NAMES.indexOf(name));
}

function protocolsOf({
  ipv4,
  subnet,
  subnet6,
}: Pick<NetworkOptions, "ipv4" | "subnet" | "subnet6">): Protocol[] {
  const four: Protocol = {
    name: "dhcp",
    address: formatIpv4(subnet.guest),
    offers: "dhcpOffers",
    acknowledgments: "dhcpAcks",
  };
  if (subnet6 === undefined) return ipv4 ? [four] : [];
  const six: Protocol = {
    name: "dhcpv6",
    address: formatIpv6(subnet6.guest),
    offers: "dhcp6Advertised",
    acknowledgments: "dhcp6Replies",
  };
  return ipv4 ? [four, six] : [six];
}
