/** Counters of the engine that tell of a shortage, and what is logged of each. */

import type { DropName, StatName } from "../engine/stats.ts";

/** What each counter means to whoever reads the log. */
export const SHORTAGES: Readonly<Partial<Record<StatName | DropName, string>>> = {
  tcpGaveWay: "flow slots are short, idle connections end for new ones",
  outsideRefused: "flow slots are short, connections to published ports are refused",
  dropTcpTableFull: "flow slots are short, connections of the guest are refused",
  halfOpenEvicted: "too many half-open connections, the oldest end",
  udpEvicted: "flow slots are short, idle UDP and ping flows end",
  dnsEvicted: "too many DNS queries at once, the oldest are forgotten",
  dropUdpTableFull: "flow slots are short, UDP of the guest is dropped",
  dropPingTableFull: "flow slots are short, pings of the guest are dropped",
  heldLetGo: "payload memory is short, uploads that no host takes give it back",
  dropTcpPool: "payload memory is short, segments of the guest are dropped",
  tcpStuck: "payload memory is short, connections without progress end",
  dropFragmentLimit: "too many fragments, the oldest datagrams are dropped",
  dropReplyFlood: "too many ICMP errors, some are not sent",
  dropAddressTableFull: "too many IPv6 addresses in use",
  dropOpLimit: "more datagrams in a turn than it can carry",
};
