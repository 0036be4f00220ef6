/**
 * Names for the engine's counters and reading them as a whole. The position of a name is the number
 * behind `STAT_*` or `DROP_*` in `wasm/abi.ts`; a test compares the two lists.
 */
import { STAT_COUNT } from "../../wasm/abi.ts";
import type { Engine } from "./engine.ts";

/** Counters of what happened, by `STAT_*`. */
export const STAT_NAMES = [
  "guestRxFrames",
  "guestRxBytes",
  "guestTxFrames",
  "guestTxBytes",
  "tcpOpened",
  "tcpClosed",
  "tcpResetSent",
  "tcpResetReceived",
  "tcpRetransmits",
  "tcpFastRetransmits",
  "tcpTimeouts",
  "tcpOutOfOrder",
  "tcpChallengeAcks",
  "tcpProbes",
  "tcpBytesToHost",
  "tcpBytesToGuest",
  "udpOpened",
  "udpClosed",
  "udpToHost",
  "udpToGuest",
  "udpEvicted",
  "pingToHost",
  "pingToGuest",
  "pingLocal",
  "icmpErrorsToGuest",
  "icmpErrorsFromGuest",
  "arpReplies",
  "arpRequests",
  "dhcpOffers",
  "dhcpAcks",
  "dhcpNaks",
  "fragmentsReceived",
  "datagramsReassembled",
  "fragmentsSent",
  "servfailSent",
  "consumedLocal",
  "staleEvents",
  "timeWaitEvicted",
  "ndpReplies",
  "ndpRequests",
  "ndpRouter",
  "dhcp6Advertised",
  "dhcp6Replies",
  "addressSweeps",
  "tcpGaveWay",
  "outsideRefused",
  "heldLetGo",
  "tcpStuck",
  "dnsEvicted",
  "halfOpenEvicted",
  "dnsRetried",
  "guestsGone",
  "tcpTailProbes",
] as const;

/** Counters of what went no further and why, by `DROP_*`. */
export const DROP_NAMES = [
  "dropNone",
  "dropRunt",
  "dropOversized",
  "dropVnetHeader",
  "dropEthertype",
  "dropNotForUs",
  "dropSourceMac",
  "dropArpMalformed",
  "dropArpIgnored",
  "dropIpTruncated",
  "dropIpVersion",
  "dropIpHeaderLength",
  "dropIpTotalLength",
  "dropIpChecksum",
  "dropIpOptions",
  "dropIpSource",
  "dropIpDestination",
  "dropIpTtl",
  "dropIpProtocol",
  "dropFragmentLimit",
  "dropFragmentOverlap",
  "dropFragmentOversized",
  "dropFragmentTimeout",
  "dropFragmentMalformed",
  "dropUdpTruncated",
  "dropUdpLength",
  "dropUdpChecksum",
  "dropUdpPort",
  "dropUdpTableFull",
  "dropUdpSend",
  "dropUdpFiltered",
  "dropTcpTruncated",
  "dropTcpDataOffset",
  "dropTcpChecksum",
  "dropTcpFlags",
  "dropTcpNoFlow",
  "dropTcpWindow",
  "dropTcpPaws",
  "dropTcpAck",
  "dropGuestGone",
  "dropTcpGaps",
  "dropTcpPool",
  "dropTcpDuplicate",
  "dropTcpTableFull",
  "dropTcpRst",
  "dropTcpAfterFin",
  "dropTcpPort",
  "dropIcmpTruncated",
  "dropIcmpChecksum",
  "dropIcmpType",
  "dropIcmpQuote",
  "dropPingTableFull",
  "dropPingSend",
  "dropDhcpMalformed",
  "dropDhcpIgnored",
  "dropTxFull",
  "dropLink",
  "dropNeighbor",
  "dropLoopback",
  "dropNoResolver",
  "dropDatagramTooBig",
  "dropReplyFlood",
  "dropOpLimit",
  "dropIpExtension",
  "dropNdpMalformed",
  "dropNdpIgnored",
  "dropAddressTableFull",
  "dropHostAddress",
  "dropMetadata",
  "dropUdpLocal",
  "dropDnsAnswer",
  "dropDnsRetry",
  "dropPathMtu",
] as const;

export type StatName = (typeof STAT_NAMES)[number];
export type DropName = (typeof DROP_NAMES)[number];

/** Every counter; exact up to 2^53. */
export type EngineStats = Readonly<Record<StatName | DropName, number>>;

/** Reads one counter, by `STAT_*` or `STAT_COUNT + DROP_*`; exact up to 2^53. */
export function readStat(engine: Engine, index: number): number {
  const p = engine.bases.stats + 8 * index;
  return engine.view.getUint32(p, true) + engine.view.getUint32(p + 4, true) * 2 ** 32;
}

/** Reads one counter by its name. */
export function readCounter(engine: Engine, name: StatName | DropName): number {
  const index = (STAT_NAMES as readonly string[]).indexOf(name);
  if (index >= 0) return readStat(engine, index);
  return readStat(engine, STAT_COUNT + (DROP_NAMES as readonly string[]).indexOf(name));
}

/** Reads all counters at once. */
export function readStats(engine: Engine): EngineStats {
  const found = [
    ...STAT_NAMES.map((name, index) => [name, readStat(engine, index)] as const),
    ...DROP_NAMES.map((name, index) => [name, readStat(engine, STAT_COUNT + index)] as const),
  ];
  // One entry per name of the two lists, so every key is there.
  return Object.fromEntries(found) as EngineStats;
}
