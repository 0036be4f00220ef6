/**
 * The families of metrics: name, type, meaning and labels of each, said once for all of its series.
 *
 * Names follow Prometheus' conventions: `slirp_` in front, base units, `_total` at counters. Labels
 * are bounded: the interface, and what the catalogue names; no address, no port, nothing that a
 * guest chooses.
 */

export interface Family {
  readonly type: "counter" | "gauge" | "histogram";
  readonly help: string;
  /** Besides `interface`, which all but those of the process have. */
  readonly labels?: readonly string[];
  /** Of the process, not of one interface. */
  readonly isOfProcess?: true;
}

function counter(help: string, ...labels: string[]): Family {
  return { type: "counter", help, labels };
}

function gauge(help: string, ...labels: string[]): Family {
  return { type: "gauge", help, labels };
}

function histogram(help: string): Family {
  return { type: "histogram", help };
}

function ofProcess(type: "counter" | "gauge", help: string, ...labels: string[]): Family {
  return { type, help, labels, isOfProcess: true };
}

export const FAMILIES = {
  slirp_build_info: ofProcess("gauge", "Always 1; which version this is", "version"),
  slirp_network_up: gauge("1 while the guest network runs and answers, else 0"),
  slirp_engine_failures_total: counter("Packet engines that failed, each followed by another one"),
  slirp_guest_receive_packets_total: counter("Frames that came from the guest"),
  slirp_guest_receive_bytes_total: counter("Octets of frames that came from the guest"),
  slirp_guest_transmit_packets_total: counter("Frames that were made for the guest"),
  slirp_guest_transmit_bytes_total: counter("Octets of frames that were made for the guest"),
  slirp_payload_bytes_total: counter("Octets of payload carried", "protocol", "direction"),
  slirp_datagrams_total: counter("Datagrams carried", "protocol", "direction"),
  slirp_flows: gauge("Flows there are, by kind, and for TCP by state", "kind", "state"),
  slirp_flows_limit: gauge("Flows there may be at once"),
  slirp_flows_opened_total: counter("Flows that began", "protocol"),
  slirp_flows_closed_total: counter("Flows that ended", "protocol"),
  slirp_flows_evicted_total: counter("Flows ended early to make room for others", "kind"),
  slirp_connect_seconds: histogram("Time until a connection of the guest was up at the far side"),
  slirp_tcp_guest_rtt_seconds: histogram(
    "Smoothed round trip to the guest; each connection with data under way, once a second",
  ),
  slirp_tcp_window_limited_seconds_total: counter(
    "Time that connections had filled the window the guest offers, all together",
  ),
  slirp_tcp_resets_total: counter("TCP resets", "direction"),
  slirp_tcp_retransmits_total: counter("Segments sent to the guest again"),
  slirp_tcp_recoveries_total: counter("Losses towards the guest, by how they were found", "by"),
  slirp_tcp_probes_total: counter("Segments that ask the guest for a sign of life", "kind"),
  slirp_tcp_out_of_order_total: counter("Segments of the guest that came before their turn"),
  slirp_tcp_challenge_acks_total: counter("Acknowledgments that answer a dubious segment"),
  slirp_icmp_errors_total: counter("ICMP errors", "direction"),
  slirp_local_replies_total: counter("Questions of the guest answered here", "protocol"),
  slirp_neighbor_requests_total: counter("Times the guest's MAC was asked for", "protocol"),
  slirp_fragments_total: counter("Fragments of IP packets", "direction"),
  slirp_datagrams_reassembled_total: counter("Packets put together from fragments"),
  slirp_local_packets_total: counter("Packets that concerned the gateway alone"),
  slirp_stale_events_total: counter("Events of host sockets that came after their flow's end"),
  slirp_address_sweeps_total: counter("Times that unused IPv6 addresses were cleared out"),
  slirp_outside_refused_total: counter("Connections from outside that found no free flow"),
  slirp_upload_chunks_released_total: counter("Pieces of uploads given up, as nobody took them"),
  slirp_dns_retries_total: counter("DNS queries sent to one more resolver"),
  slirp_guests_gone_total: counter("Machines whose flows ended, as they had left the link"),
  slirp_drops_total: counter("Frames, packets and datagrams that went no further", "reason"),
  slirp_buffer_bytes: gauge("Payload memory in use"),
  slirp_buffer_limit_bytes: gauge("Payload memory there may be in use"),
  slirp_link_peer: gauge("1 while a peer holds the link, else 0; a tap has no peers"),
  slirp_link_connections_total: counter("Peers that the link has had"),
  slirp_link_peers_closed_total: counter("Peers whose connection was closed", "reason"),
  slirp_link_crowds_total: counter("Times that peers came and went so fast that they had to wait"),
  slirp_link_broken_queues_total: counter("Virtqueues stopped for what the guest's driver did"),
  slirp_link_blocked_seconds: histogram("How long the link had no room for a frame"),
  slirp_loop_turn_seconds: histogram("Time of one turn of the packet loop, waiting excluded"),
  process_resident_memory_bytes: ofProcess("gauge", "Memory in use, guest memory included"),
  process_cpu_seconds_total: ofProcess("counter", "Processor time used, user and system"),
  process_open_fds: ofProcess("gauge", "File descriptors in use"),
  process_start_time_seconds: ofProcess("gauge", "When the process began, since 1970"),
} as const satisfies Readonly<Record<string, Family>>;

export type FamilyName = keyof typeof FAMILIES;
