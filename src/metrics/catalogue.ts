/**
 * The catalogue: everything that the engine counts and the link counts of its peers, as series of
 * families (`families.ts`). Metrics, docs/metrics.md and tests are made from it; a counter without
 * a row does not compile.
 */
import { snakeCase } from "../engine/counter-names.ts";
import type { DropName, StatName } from "../engine/stats.ts";
import type { PeerCounters } from "../link/stream-peer.ts";
import { DROP_HELP } from "./drop-reasons.ts";
import type { FamilyName } from "./families.ts";

type Labels = Readonly<Record<string, string>>;

/** One series. */
export interface Series {
  readonly family: FamilyName;
  readonly labels: Labels;
  /** What it tells beyond its family; empty: nothing. */
  readonly help: string;
}

type Row = readonly [family: FamilyName, labels?: Labels, help?: string];

const TO_HOST = "to_host";
const TO_GUEST = "to_guest";
const FROM_GUEST = "from_guest";

const STAT_ROWS: Readonly<Record<StatName, Row>> = {
  guestRxFrames: ["slirp_guest_receive_packets_total"],
  guestRxBytes: ["slirp_guest_receive_bytes_total"],
  guestTxFrames: ["slirp_guest_transmit_packets_total"],
  guestTxBytes: ["slirp_guest_transmit_bytes_total"],
  tcpOpened: ["slirp_flows_opened_total", { protocol: "tcp" }],
  tcpClosed: ["slirp_flows_closed_total", { protocol: "tcp" }],
  tcpResetSent: ["slirp_tcp_resets_total", { direction: TO_GUEST }],
  tcpResetReceived: ["slirp_tcp_resets_total", { direction: FROM_GUEST }],
  tcpRetransmits: ["slirp_tcp_retransmits_total"],
  tcpFastRetransmits: [
    "slirp_tcp_recoveries_total",
    { by: "acknowledgments" },
    "by duplicate or selective acknowledgments",
  ],
  tcpTimeouts: ["slirp_tcp_recoveries_total", { by: "timeout" }, "by silence"],
  tcpOutOfOrder: ["slirp_tcp_out_of_order_total"],
  tcpChallengeAcks: ["slirp_tcp_challenge_acks_total"],
  tcpProbes: ["slirp_tcp_probes_total", { kind: "window" }, "of a closed window, and keepalives"],
  tcpBytesToHost: ["slirp_payload_bytes_total", { protocol: "tcp", direction: TO_HOST }],
  tcpBytesToGuest: ["slirp_payload_bytes_total", { protocol: "tcp", direction: TO_GUEST }],
  udpOpened: ["slirp_flows_opened_total", { protocol: "udp" }],
  udpClosed: ["slirp_flows_closed_total", { protocol: "udp" }],
  udpToHost: ["slirp_datagrams_total", { protocol: "udp", direction: TO_HOST }],
  udpToGuest: ["slirp_datagrams_total", { protocol: "udp", direction: TO_GUEST }],
  udpEvicted: ["slirp_flows_evicted_total", { kind: "udp" }],
  pingToHost: ["slirp_datagrams_total", { protocol: "ping", direction: TO_HOST }],
  pingToGuest: ["slirp_datagrams_total", { protocol: "ping", direction: TO_GUEST }],
  pingLocal: ["slirp_local_replies_total", { protocol: "ping" }, "pings of the gateway"],
  icmpErrorsToGuest: ["slirp_icmp_errors_total", { direction: TO_GUEST }],
  icmpErrorsFromGuest: ["slirp_icmp_errors_total", { direction: FROM_GUEST }],
  arpReplies: ["slirp_local_replies_total", { protocol: "arp" }],
  arpRequests: ["slirp_neighbor_requests_total", { protocol: "arp" }],
  dhcpOffers: ["slirp_local_replies_total", { protocol: "dhcp_offer" }],
  dhcpAcks: ["slirp_local_replies_total", { protocol: "dhcp_ack" }],
  dhcpNaks: ["slirp_local_replies_total", { protocol: "dhcp_nak" }],
  fragmentsReceived: ["slirp_fragments_total", { direction: FROM_GUEST }],
  datagramsReassembled: ["slirp_datagrams_reassembled_total"],
  fragmentsSent: ["slirp_fragments_total", { direction: TO_GUEST }],
  servfailSent: [
    "slirp_local_replies_total",
    { protocol: "dns_failure" },
    "no resolver has answered the query",
  ],
  consumedLocal: ["slirp_local_packets_total"],
  staleEvents: ["slirp_stale_events_total"],
  timeWaitEvicted: ["slirp_flows_evicted_total", { kind: "time_wait" }],
  ndpReplies: ["slirp_local_replies_total", { protocol: "ndp" }],
  ndpRequests: ["slirp_neighbor_requests_total", { protocol: "ndp" }],
  ndpRouter: ["slirp_local_replies_total", { protocol: "router" }, "router advertisements"],
  dhcp6Advertised: ["slirp_local_replies_total", { protocol: "dhcp6_advertise" }],
  dhcp6Replies: ["slirp_local_replies_total", { protocol: "dhcp6_reply" }],
  addressSweeps: ["slirp_address_sweeps_total"],
  tcpGaveWay: ["slirp_flows_evicted_total", { kind: "tcp_idle" }, "connections at rest"],
  outsideRefused: ["slirp_outside_refused_total"],
  heldLetGo: ["slirp_upload_chunks_released_total"],
  tcpStuck: ["slirp_flows_evicted_total", { kind: "tcp_stuck" }, "payload, but no progress"],
  dnsEvicted: ["slirp_flows_evicted_total", { kind: "dns" }],
  halfOpenEvicted: ["slirp_flows_evicted_total", { kind: "tcp_half_open" }],
  dnsRetried: ["slirp_dns_retries_total"],
  guestsGone: ["slirp_guests_gone_total"],
  tcpTailProbes: ["slirp_tcp_probes_total", { kind: "tail" }, "of the last segment sent"],
};

type PeerName = Exclude<keyof PeerCounters, "hasPeer">;

const PEER_ROWS: Readonly<Record<PeerName, Row>> = {
  connections: ["slirp_link_connections_total"],
  peersRefused: ["slirp_link_peers_closed_total", { reason: "taken" }, "there was a peer already"],
  peersForeign: ["slirp_link_peers_closed_total", { reason: "foreign" }, "of another user"],
  peersFleeting: ["slirp_link_peers_closed_total", { reason: "fleeting" }, "gone at once"],
  silentPeers: [
    "slirp_link_peers_closed_total",
    { reason: "silent" },
    "it said nothing while another one waited",
  ],
  badPeers: ["slirp_link_peers_closed_total", { reason: "protocol" }, "it broke the rules"],
  peerCrowds: ["slirp_link_crowds_total"],
  brokenQueues: ["slirp_link_broken_queues_total"],
};

/** All that is counted of peers. */
export const PEER_NAMES = Object.keys(PEER_ROWS) as readonly PeerName[];

function seriesOf([family, labels = {}, help = ""]: Row): Series {
  return { family, labels, help };
}

/** What a counter of the engine is. */
export function seriesOfStat(name: StatName): Series {
  return seriesOf(STAT_ROWS[name]);
}

/** What a reason to drop is. */
export function seriesOfDrop(name: Exclude<DropName, "dropNone">): Series {
  const reason = snakeCase(name.slice("drop".length));
  return { family: "slirp_drops_total", labels: { reason }, help: DROP_HELP[name] };
}

/** What a counter of the link's peers is. */
export function seriesOfPeers(name: PeerName): Series {
  return seriesOf(PEER_ROWS[name]);
}
