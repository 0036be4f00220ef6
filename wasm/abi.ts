/**
 * The one source of truth for what crosses the border between engine and host.
 *
 * Plain integer constants only: no imports, no AssemblyScript-only syntax, so that asc, tsc and Bun
 * compile this very file. `wasm/layout.ts` checks every record offset against its `@unmanaged`
 * class when the engine is compiled; `src/engine/module.ts` refuses an engine whose ABI_VERSION
 * differs.
 *
 * Conventions: all integers little-endian in memory unless a name says `_BE`. IPv4 addresses and
 * ports are plain numbers in host order (10.0.2.2 = 0x0a000202). An IPv6 address is 16 octets as on
 * the wire; where a field of 32 bits holds an address, ADDRESS_SIX | n (a value that no IPv4
 * unicast address has) stands for entry n of the region ADDRESSES. Handles are
 * `generation << HANDLE_SLOT_BITS | slot`. Times are microseconds as f64 in signatures.
 * Suffixes: _OFFSET byte offset in a record, _SIZE bytes, _COUNT elements, _SHIFT bits.
 */

export const ABI_VERSION: i32 = 2;
export const ABI_MAGIC: i32 = 0x50524c53; // "SLRP"

// ---------------------------------------------------------------- capacities

/** Upper limit of `CONFIG_FLOWS_MAX`; the slot number of a handle has this many bits. */
export const HANDLE_SLOT_BITS: i32 = 16;
export const FLOW_CAPACITY_COUNT: i32 = 65536;
export const FLOWS_DEFAULT_COUNT: i32 = 16384;
/** Payload memory is one pool of chunks shared by all flows. */
export const CHUNK_SIZE: i32 = 16384;
export const CHUNK_CAPACITY_COUNT: i32 = 4096;
export const CHUNKS_DEFAULT_COUNT: i32 = 1024;
/** Frames the host may hand over in one `guest_rx`; each slot holds a 64 KiB offload frame. */
export const RX_SLOT_COUNT: i32 = 64;
export const RX_SLOT_SIZE: i32 = 69632;
/** Frames the engine may hold for the guest before the host has to drain them. */
export const TX_CAPACITY_COUNT: i32 = 512;
export const TX_SLOT_SIZE: i32 = 2048;
export const OP_CAPACITY_COUNT: i32 = 256;
export const IOV_CAPACITY_COUNT: i32 = 8192;
export const MSG_CAPACITY_COUNT: i32 = 512;
export const SCRATCH_SLOT_COUNT: i32 = 32;
export const SCRATCH_SLOT_SIZE: i32 = 65536;
export const FRAGMENT_CONTEXT_COUNT: i32 = 8;
export const RESOLVER_COUNT: i32 = 3;
export const DHCP_OPTIONS_SIZE: i32 = 1024;
/** IPv6 addresses in use at once, all flows together. */
export const ADDRESS_CAPACITY_COUNT: i32 = 65536;
/** Addresses of the host's own, and addresses with published ports, that `host_address` takes. */
export const HOST_ADDRESS_COUNT: i32 = 2048;
export const HOST_SPOT_COUNT: i32 = 128;
/** Destinations a UDP flow remembers for filtering, the last ones. */
export const FILTER_COUNT: i32 = 48;

// ---------------------------------------------------------------- regions

/** Index into the region table of the control block. */
export const REGION_CONTROL: i32 = 0;
export const REGION_CONFIG: i32 = 1;
export const REGION_STATS: i32 = 2;
export const REGION_RX_DESCRIPTORS: i32 = 3;
export const REGION_RX_BUFFERS: i32 = 4;
export const REGION_TX_RECORDS: i32 = 5;
export const REGION_TX_BUFFERS: i32 = 6;
export const REGION_OPS: i32 = 7;
export const REGION_FLOWS: i32 = 8;
export const REGION_CHUNKS: i32 = 9;
export const REGION_SCRATCH: i32 = 10;
export const REGION_ADDRESSES: i32 = 11;
export const REGION_COUNT: i32 = 12;

export const CONTROL_MAGIC_OFFSET: i32 = 0;
export const CONTROL_VERSION_OFFSET: i32 = 4;
export const CONTROL_OP_COUNT_OFFSET: i32 = 8; // ops emitted since the last complete()
export const CONTROL_OP_BASE_OFFSET: i32 = 12; // address of the first of them
export const CONTROL_TX_COUNT_OFFSET: i32 = 16; // frames waiting for the guest
export const CONTROL_FLOW_COUNT_OFFSET: i32 = 20; // flows in use
export const CONTROL_CHUNK_COUNT_OFFSET: i32 = 24; // chunks in use
export const CONTROL_READY_OFFSET: i32 = 28; // READY_* bits
export const CONTROL_REGIONS_OFFSET: i32 = 32; // REGION_COUNT times {base u32, size u32}
/** IPv6 address (16 octets) and scope (u32) the host wants a number for, see `address_six`. */
export const CONTROL_ADDRESS_OFFSET: i32 = 128;
export const CONTROL_SCOPE_OFFSET: i32 = 144;
/** Times the guest was heard of at an address that is not link-local; wraps. */
export const CONTROL_HEARD_OFFSET: i32 = 148;
export const CONTROL_SIZE: i32 = 160;

/** Number of the first entry in ADDRESSES; all above stand for IPv6 addresses too. */
export const ADDRESS_SIX: i32 = -0x10000000;
/** Entry of ADDRESSES: 16 octets, then the scope (interface index of a link-local address). */
export const ADDRESS_SCOPE_OFFSET: i32 = 16;
export const ADDRESS_SIZE: i32 = 32;

/** Host sockets have more to read: call step() again, after a look at the other event sources. */
export const READY_RECEIVE: i32 = 1;
/** Rings were full: call step() again before guest_rx(), unless the link is what is full. */
export const READY_FLUSH: i32 = 2;

// ---------------------------------------------------------------- configuration (host -> engine,
// before init)

export const CONFIG_GUEST_ADDRESS_OFFSET: i32 = 0;
export const CONFIG_GATEWAY_ADDRESS_OFFSET: i32 = 4;
export const CONFIG_DNS_ADDRESS_OFFSET: i32 = 8;
export const CONFIG_PREFIX_LENGTH_OFFSET: i32 = 12;
export const CONFIG_MTU_OFFSET: i32 = 16;
export const CONFIG_FLAGS_OFFSET: i32 = 20;
/** This and the next may be rewritten at any time between calls, see `flow/limits`. */
export const CONFIG_FLOWS_MAX_OFFSET: i32 = 24;
export const CONFIG_CHUNKS_MAX_OFFSET: i32 = 28;
/** 0, 10 or 12: size of the virtio_net_hdr in front of every frame, both directions. */
export const CONFIG_VNET_SIZE_OFFSET: i32 = 32;
/** LINK_* bits: what frames the link takes; may change between calls, but for LINK_RX_TSO. */
export const CONFIG_LINK_FLAGS_OFFSET: i32 = 36;
/** Frames the link can queue from the guest towards us; bounds the sum of advertised windows. */
export const CONFIG_LINK_QUEUE_OFFSET: i32 = 40;
/** Gateway MAC, 6 octets as on the wire, then 2 of padding. */
export const CONFIG_GATEWAY_MAC_OFFSET: i32 = 48;
/** Guest MAC if known in advance (all zero if not). */
export const CONFIG_GUEST_MAC_OFFSET: i32 = 56;
/** 32 octets of seed for hash keys, ISNs and identifiers. */
export const CONFIG_SEED_OFFSET: i32 = 64;
/** Address of engine memory in the host process (0: offsets are used as they are). */
export const CONFIG_HOST_BASE_LO_OFFSET: i32 = 96;
export const CONFIG_HOST_BASE_HI_OFFSET: i32 = 100;
export const CONFIG_LEASE_SECONDS_OFFSET: i32 = 104;
export const CONFIG_UDP_TIMEOUT_SECONDS_OFFSET: i32 = 108;
export const CONFIG_TCP_IDLE_SECONDS_OFFSET: i32 = 112;
export const CONFIG_KEEPALIVE_SECONDS_OFFSET: i32 = 116; // 0 = off
/** Resolvers the DNS address stands for; may be rewritten at any time between calls. */
export const CONFIG_RESOLVERS_COUNT_OFFSET: i32 = 120;
export const CONFIG_RESOLVERS_OFFSET: i32 = 124; // RESOLVER_COUNT times u32; ADDRESS_SIX: below
/** Option TLVs the DHCP server may answer with, ready to copy: 12, 15, 42, 66, 67, 119, private. */
export const CONFIG_DHCP_OPTIONS_LENGTH_OFFSET: i32 = 136;
export const CONFIG_DHCP_SIADDR_OFFSET: i32 = 140;
export const CONFIG_DHCP_OPTIONS_OFFSET: i32 = 144;
/** IPv6 addresses of the guest network, 16 octets each; they count with CONFIG_FLAG_IPV6 only. */
export const CONFIG_GUEST6_OFFSET: i32 = 1168; // 144 + DHCP_OPTIONS_SIZE
export const CONFIG_GATEWAY6_OFFSET: i32 = 1184;
export const CONFIG_DNS6_OFFSET: i32 = 1200;
/** Link-local address of the gateway: source of router advertisements. */
export const CONFIG_ROUTER6_OFFSET: i32 = 1216;
export const CONFIG_PREFIX6_LENGTH_OFFSET: i32 = 1232;
/** Option TLVs (RFC 9915 §21.1) the DHCPv6 server may answer with: 24, 56, 59, 60. */
export const CONFIG_DHCP6_OPTIONS_LENGTH_OFFSET: i32 = 1236;
/** RESOLVER_COUNT times 16 octets of address, u32 of scope, u32 unused. */
export const CONFIG_RESOLVERS6_OFFSET: i32 = 1240;
export const CONFIG_RESOLVER6_SIZE: i32 = 24;
export const CONFIG_DHCP6_OPTIONS_OFFSET: i32 = 1312;
/** Port of the resolvers for what the guest sends to port 53 of the DNS address; 0 = 53. */
export const CONFIG_DNS_PORT_OFFSET: i32 = 2336; // 1312 + DHCP_OPTIONS_SIZE
/**
 * Number of the option lists above, DHCP's and DHCPv6's: they may be rewritten at any time between
 * calls, together with this number; advertisements then tell of the new search list.
 */
export const CONFIG_OPTIONS_SERIAL_OFFSET: i32 = 2340;
/**
 * What to load over the network, for IPv4 and IPv6: records of selector (u16) and length (u16),
 * both big-endian, and that many octets. A selector is a client architecture (RFC 5970 §3.3) or
 * BOOT_*.
 */
export const CONFIG_BOOT_LENGTH_OFFSET: i32 = 2344;
export const CONFIG_BOOT6_LENGTH_OFFSET: i32 = 2348;
export const CONFIG_BOOT_OFFSET: i32 = 2352;
export const CONFIG_BOOT6_OFFSET: i32 = 3376; // 2352 + BOOT_SIZE
export const CONFIG_SIZE: i32 = 4400;

export const BOOT_SIZE: i32 = 1024;
export const BOOT_ANY: i32 = 0xffff; // whoever nothing else is for
export const BOOT_IPXE: i32 = 0xfffe; // user class "iPXE"
export const BOOT_HTTP: i32 = 0xfffd; // a URL, for vendor class "HTTPClient"

export const CONFIG_FLAG_HOST_LOOPBACK: i32 = 1; // gateway address reaches 127.0.0.1, or ::1
export const CONFIG_FLAG_DHCP: i32 = 2; // answer DHCP and DHCPv6
export const CONFIG_FLAG_STRICT_FILTER: i32 = 4; // address-dependent (RFC 4787 REQ-8)
export const CONFIG_FLAG_DNS: i32 = 8; // the DNS addresses forward to the resolvers
export const CONFIG_FLAG_IPV6: i32 = 16; // serve IPv6; wants an MTU of 1280 or more
export const CONFIG_FLAG_NO_IPV4: i32 = 32; // do not serve IPv4 and ARP
/** The host's own addresses and link-local ones are refused but for published ports. */
export const CONFIG_FLAG_REFUSE_HOST: i32 = 64;
export const CONFIG_FLAG_REFUSE_METADATA: i32 = 128; // the cloud's metadata services are refused
export const CONFIG_FLAG_UDP_PRESERVE: i32 = 256; // host sockets of UDP take the guest's port
export const CONFIG_FLAG_NO_DNS6: i32 = 512; // never name the IPv6 DNS address to the guest
/** Name it only where a resolver has IPv6, or IPv4 is not served. */
export const CONFIG_FLAG_DNS6_AUTO: i32 = 1024;
export const CONFIG_FLAG_TFTP: i32 = 2048; // the gateway's port 69 is the host's TFTP service
/** Datagrams with DF that the way out does not take whole are refused. */
export const CONFIG_FLAG_STRICT_DF: i32 = 4096;
/** Ask for the guest's addresses until it is cleared; may change at any time between calls. */
export const CONFIG_FLAG_ASK_GUEST: i32 = 8192;

/**
 * Argument of `host_address`; but for HOST_CLEAR it is about the address in the control block, IPv4
 * as ::ffff:A.B.C.D. `protocol << HOST_PORT_SHIFT | port` is a published port on that address,
 * ::ffff:0.0.0.0 or :: for all of a version.
 */
export const HOST_CLEAR: i32 = 0; // forget the own addresses; published ports stay
export const HOST_OWN: i32 = 1;
export const HOST_PORT_SHIFT: i32 = 16;
/** In place of a protocol: spot 0 of this guest UDP port is a socket of both versions of IP. */
export const HOST_DUAL: i32 = 64;

export const LINK_CSUM: i32 = 1; // may write VIRTIO_NET_HDR_F_NEEDS_CSUM
export const LINK_TSO4: i32 = 2; // may write GSO_TCPV4 frames
export const LINK_USO: i32 = 4; // may write GSO_UDP_L4 frames of IPv4
export const LINK_RX_TSO: i32 = 8; // guest sends TCP offload frames
export const LINK_TSO6: i32 = 16; // may write GSO_TCPV6 frames
export const LINK_USO6: i32 = 32; // may write GSO_UDP_L4 frames of IPv6

// ---------------------------------------------------------------- guest -> engine frames

/** Where the frame lies and how long it is, virtio_net_hdr included. */
export const RX_DESCRIPTOR_POINTER_OFFSET: i32 = 0;
export const RX_DESCRIPTOR_LENGTH_OFFSET: i32 = 4;
export const RX_DESCRIPTOR_SIZE: i32 = 8;

// ---------------------------------------------------------------- engine -> guest frames

export const TX_IOV_OFFSET: i32 = 0; // engine address of an iovec array
export const TX_IOV_COUNT_OFFSET: i32 = 4;
export const TX_LENGTH_OFFSET: i32 = 8; // octets, virtio_net_hdr included
export const TX_HANDLE_OFFSET: i32 = 12; // flow or 0
export const TX_RECORD_SIZE: i32 = 16;

/** struct iovec of a 64-bit kernel. */
export const IOV_BASE_OFFSET: i32 = 0;
export const IOV_LENGTH_OFFSET: i32 = 8;
export const IOV_SIZE: i32 = 16;

/** struct mmsghdr of a 64-bit kernel; its first 56 octets are a struct msghdr. */
export const MSG_NAME_OFFSET: i32 = 0;
export const MSG_NAME_LENGTH_OFFSET: i32 = 8;
export const MSG_IOV_OFFSET: i32 = 16;
export const MSG_IOV_COUNT_OFFSET: i32 = 24;
export const MSG_CONTROL_OFFSET: i32 = 32;
export const MSG_CONTROL_LENGTH_OFFSET: i32 = 40;
export const MSG_FLAGS_OFFSET: i32 = 48;
export const MSG_RECEIVED_OFFSET: i32 = 56;
export const MSG_SIZE: i32 = 64;
export const MSG_NAME_SIZE: i32 = 32;
export const MSG_CONTROL_SIZE: i32 = 128;

// ---------------------------------------------------------------- operations (engine -> host,
// result back in place)

export const OP_KIND_OFFSET: i32 = 0;
export const OP_HANDLE_OFFSET: i32 = 4;
/** Written by the host: zero or positive as the system call returned, or the negative errno. */
export const OP_RESULT_OFFSET: i32 = 8;
export const OP_A_OFFSET: i32 = 12;
export const OP_B_OFFSET: i32 = 16;
export const OP_C_OFFSET: i32 = 20;
export const OP_POINTER_OFFSET: i32 = 24;
export const OP_COUNT_OFFSET: i32 = 28;
export const OP_SIZE: i32 = 32;

/**
 * Open a TCP socket and connect: A = address, B = port; if COUNT = FAMILY_SIX, POINTER = a struct
 * sockaddr_in6 in place of A; C = DSCP shifted left by two. Result 0 = in progress, 1 = connected.
 */
export const OP_TCP_CONNECT: i32 = 1;
/** sendmsg: POINTER = msghdr, A = octets in all, C = 1: with MSG_OOB. */
export const OP_TCP_SEND: i32 = 2;
/** recvmsg: POINTER = msghdr, A = octets asked. Result 0 = end of stream. */
export const OP_TCP_RECV: i32 = 3;
/** shutdown(SHUT_WR). */
export const OP_TCP_SHUTDOWN: i32 = 4;
/** Close the socket and forget the handle. A = 1: abort (RST), 0: orderly. */
export const OP_CLOSE: i32 = 5;
/**
 * Open a UDP socket: A = preferred source port or 0, B/C = address and port to connect to or 0; if
 * COUNT = FAMILY_SIX one of IPv6, POINTER = a struct sockaddr_in6 to connect to or 0. Without
 * anything to connect to C = guest port | spot << 16: a socket that is published for it is taken
 * in place of a new one. Result = the port it is bound to, OPENED_PUBLISHED added if that is so.
 */
export const OP_UDP_OPEN: i32 = 6;
/** sendmmsg: POINTER = mmsghdr array, COUNT = how many, A = datagrams in all. Result = messages. */
export const OP_UDP_SEND: i32 = 7;
/** recvmmsg: POINTER = mmsghdr array, COUNT = how many. Result = messages received. */
export const OP_UDP_RECV: i32 = 8;
/** recvmsg(MSG_ERRQUEUE): POINTER = msghdr. Result = octets of the offending payload. */
export const OP_RECV_ERROR: i32 = 9;
/**
 * Open an unprivileged ping socket. Result = the identifier of the host's choice, which it writes
 * into requests; 0 = not known. COUNT = FAMILY_SIX: one for ICMPv6.
 */
export const OP_PING_OPEN: i32 = 10;
/** setsockopt(SO_KEEPALIVE): A = seconds (0 = off). */
export const OP_TCP_KEEPALIVE: i32 = 11;
/** getsockopt(SO_ERROR): result 0 = healthy, negative = what went wrong. */
export const OP_TCP_ERROR: i32 = 12;
/** setsockopt(IP_TOS, or IPV6_TCLASS if COUNT = FAMILY_SIX): A = DSCP shifted left by two. */
export const OP_TCP_TOS: i32 = 13;
/** ioctl(SIOCATMARK): result 1 = the next octet to be received is the urgent one. */
export const OP_TCP_AT_MARK: i32 = 14;

/**
 * How large packets to an address may be: B = address, or if COUNT = FAMILY_SIX POINTER = a struct
 * sockaddr_in6. Result = octets, IP header included. C is the engine's own.
 */
export const OP_PATH_MTU: i32 = 15;

/** COUNT of operations that open a socket for IPv6; 0 is IPv4. */
export const FAMILY_SIX: i32 = 6;
/** COUNT of OP_UDP_OPEN: a datagram socket to the host's own service of port C, see `flow/tftp`. */
export const FAMILY_LOCAL: i32 = 1;
/** In the code of `inbound_udp`: the spot stands above the family. */
export const INBOUND_SPOT_SHIFT: i32 = 8;
/** Sockets one guest port may have. */
export const SPOT_COUNT: i32 = 256;
export const OPENED_PUBLISHED: i32 = 0x10000;

/** Bits of `upstream_event`: EPOLLIN, EPOLLPRI, EPOLLOUT, EPOLLERR, EPOLLHUP, EPOLLRDHUP. */
export const EVENT_READABLE: i32 = 0x1;
export const EVENT_URGENT: i32 = 0x2;
export const EVENT_WRITABLE: i32 = 0x4;
export const EVENT_ERROR: i32 = 0x8;
export const EVENT_HANGUP: i32 = 0x10;
export const EVENT_READ_HANGUP: i32 = 0x2000;

// ---------------------------------------------------------------- flows

export const FLOW_SIZE: i32 = 448;
export const FLOW_KIND_OFFSET: i32 = 0; // u8 KIND_*
export const FLOW_STATE_OFFSET: i32 = 1; // u8 STATE_*
export const FLOW_GENERATION_OFFSET: i32 = 2; // u16
export const FLOW_FLAGS_OFFSET: i32 = 4; // u32
export const FLOW_GUEST_ADDRESS_OFFSET: i32 = 8;
export const FLOW_PEER_ADDRESS_OFFSET: i32 = 12; // as the guest sees it
export const FLOW_HOST_ADDRESS_OFFSET: i32 = 16; // where the host socket goes
export const FLOW_GUEST_PORT_OFFSET: i32 = 20; // u16
export const FLOW_PEER_PORT_OFFSET: i32 = 22; // u16
export const FLOW_HOST_PORT_OFFSET: i32 = 24; // u16
export const FLOW_BYTES_TO_HOST_OFFSET: i32 = 32; // u64
export const FLOW_BYTES_TO_GUEST_OFFSET: i32 = 40; // u64
// Of TCP flows, to be looked at and never written; `tcp/conn.ts` checks them.
export const FLOW_TCP_RCV_ACK_OFFSET: i32 = 128; // sequence number acknowledged to the guest
export const FLOW_TCP_RCV_EDGE_OFFSET: i32 = 132; // right edge of the window offered to it
export const FLOW_TCP_HELD_COUNT_OFFSET: i32 = 152; // chunks of the guest that nobody has taken
export const FLOW_TCP_SND_UNA_OFFSET: i32 = 180;
export const FLOW_TCP_SND_MAX_OFFSET: i32 = 188; // highest sequence number sent
export const FLOW_TCP_SND_WINDOW_OFFSET: i32 = 196; // what the guest offers, scaled
export const FLOW_TCP_SEND_COUNT_OFFSET: i32 = 220; // chunks on their way to the guest
export const FLOW_TCP_CWND_OFFSET: i32 = 232;
export const FLOW_TCP_SSTHRESH_OFFSET: i32 = 236; // 2^31 - 1 until the first loss
export const FLOW_TCP_SRTT_OFFSET: i32 = 296; // microseconds; 0 = not measured yet

export const KIND_FREE: i32 = 0;
export const KIND_TCP: i32 = 1;
export const KIND_UDP: i32 = 2;
export const KIND_PING: i32 = 3;
/** UDP towards the DNS address: one connected socket per guest port and resolver. */
export const KIND_DNS: i32 = 4;

/** TCP states, RFC 9293 §3.3.2, from our side of the guest-facing connection. */
export const STATE_CLOSED: i32 = 0;
/** Guest's SYN is held while the host connects. */
export const STATE_CONNECTING: i32 = 1;
export const STATE_SYN_SENT: i32 = 2;
export const STATE_SYN_RECEIVED: i32 = 3;
export const STATE_ESTABLISHED: i32 = 4;
export const STATE_FIN_WAIT_1: i32 = 5;
export const STATE_FIN_WAIT_2: i32 = 6;
export const STATE_CLOSE_WAIT: i32 = 7;
export const STATE_CLOSING: i32 = 8;
export const STATE_LAST_ACK: i32 = 9;
export const STATE_TIME_WAIT: i32 = 10;
export const STATE_COUNT: i32 = 11;

// ---------------------------------------------------------------- statistics: u64 each

export const STAT_GUEST_RX_FRAMES: i32 = 0;
export const STAT_GUEST_RX_BYTES: i32 = 1;
export const STAT_GUEST_TX_FRAMES: i32 = 2;
export const STAT_GUEST_TX_BYTES: i32 = 3;
export const STAT_TCP_OPENED: i32 = 4;
export const STAT_TCP_CLOSED: i32 = 5;
export const STAT_TCP_RESET_SENT: i32 = 6;
export const STAT_TCP_RESET_RECEIVED: i32 = 7;
export const STAT_TCP_RETRANSMITS: i32 = 8;
export const STAT_TCP_FAST_RETRANSMITS: i32 = 9;
export const STAT_TCP_TIMEOUTS: i32 = 10;
export const STAT_TCP_OUT_OF_ORDER: i32 = 11;
export const STAT_TCP_CHALLENGE_ACKS: i32 = 12;
export const STAT_TCP_PROBES: i32 = 13;
export const STAT_TCP_BYTES_TO_HOST: i32 = 14;
export const STAT_TCP_BYTES_TO_GUEST: i32 = 15;
export const STAT_UDP_OPENED: i32 = 16;
export const STAT_UDP_CLOSED: i32 = 17;
export const STAT_UDP_TO_HOST: i32 = 18;
export const STAT_UDP_TO_GUEST: i32 = 19;
export const STAT_UDP_EVICTED: i32 = 20;
export const STAT_PING_TO_HOST: i32 = 21;
export const STAT_PING_TO_GUEST: i32 = 22;
export const STAT_PING_LOCAL: i32 = 23;
export const STAT_ICMP_ERRORS_TO_GUEST: i32 = 24;
export const STAT_ICMP_ERRORS_FROM_GUEST: i32 = 25;
export const STAT_ARP_REPLIES: i32 = 26;
export const STAT_ARP_REQUESTS: i32 = 27;
export const STAT_DHCP_OFFERS: i32 = 28;
export const STAT_DHCP_ACKS: i32 = 29;
export const STAT_DHCP_NAKS: i32 = 30;
export const STAT_FRAGMENTS_RECEIVED: i32 = 31;
export const STAT_DATAGRAMS_REASSEMBLED: i32 = 32;
export const STAT_FRAGMENTS_SENT: i32 = 33;
export const STAT_SERVFAIL_SENT: i32 = 34;
export const STAT_CONSUMED_LOCAL: i32 = 35; // frames answered or absorbed by the engine itself
export const STAT_STALE_EVENTS: i32 = 36;
export const STAT_TIME_WAIT_EVICTED: i32 = 37;
export const STAT_NDP_REPLIES: i32 = 38; // neighbour advertisements
export const STAT_NDP_REQUESTS: i32 = 39; // neighbour solicitations
export const STAT_NDP_ROUTER: i32 = 40; // router advertisements
export const STAT_DHCP6_ADVERTISED: i32 = 41;
export const STAT_DHCP6_REPLIES: i32 = 42;
export const STAT_ADDRESS_SWEEPS: i32 = 43; // times unused IPv6 addresses were cleared out
export const STAT_TCP_GAVE_WAY: i32 = 44; // idle connections ended for others when slots were short
export const STAT_OUTSIDE_REFUSED: i32 = 45; // connections from outside that found no slot
export const STAT_HELD_LET_GO: i32 = 46; // chunks of uploads nobody takes, given back
export const STAT_TCP_STUCK: i32 = 47; // connections ended: payload, no progress, memory short
export const STAT_DNS_EVICTED: i32 = 48;
export const STAT_HALF_OPEN_EVICTED: i32 = 49;
export const STAT_DNS_RETRIED: i32 = 50; // queries sent to one more resolver
export const STAT_GUESTS_GONE: i32 = 51; // machines whose flows ended with them
export const STAT_TCP_TAIL_PROBES: i32 = 52;
export const STAT_COUNT: i32 = 53;
/** Drop counters follow the statistics in the same region: index STAT_COUNT + reason. */

/** Why a frame, packet or datagram went no further. */
export const DROP_NONE: i32 = 0;
export const DROP_RUNT: i32 = 1; // shorter than its Ethernet header
export const DROP_OVERSIZED: i32 = 2; // longer than the MTU allows
export const DROP_VNET_HEADER: i32 = 3; // virtio_net_hdr contradicts the frame
export const DROP_ETHERTYPE: i32 = 4;
export const DROP_NOT_FOR_US: i32 = 5; // unicast to another MAC
export const DROP_SOURCE_MAC: i32 = 6; // multicast or our own
export const DROP_ARP_MALFORMED: i32 = 7;
export const DROP_ARP_IGNORED: i32 = 8; // for an address that is not ours
export const DROP_IP_TRUNCATED: i32 = 9;
export const DROP_IP_VERSION: i32 = 10;
export const DROP_IP_HEADER_LENGTH: i32 = 11;
export const DROP_IP_TOTAL_LENGTH: i32 = 12;
export const DROP_IP_CHECKSUM: i32 = 13;
export const DROP_IP_OPTIONS: i32 = 14; // source route or malformed
export const DROP_IP_SOURCE: i32 = 15; // not an address of the guest network
export const DROP_IP_DESTINATION: i32 = 16; // multicast, broadcast, loopback, reserved
export const DROP_IP_TTL: i32 = 17;
export const DROP_IP_PROTOCOL: i32 = 18;
export const DROP_FRAGMENT_LIMIT: i32 = 19;
export const DROP_FRAGMENT_OVERLAP: i32 = 20;
export const DROP_FRAGMENT_OVERSIZED: i32 = 21;
export const DROP_FRAGMENT_TIMEOUT: i32 = 22;
export const DROP_FRAGMENT_MALFORMED: i32 = 23;
export const DROP_UDP_TRUNCATED: i32 = 24;
export const DROP_UDP_LENGTH: i32 = 25;
export const DROP_UDP_CHECKSUM: i32 = 26;
export const DROP_UDP_PORT: i32 = 27; // port 0
export const DROP_UDP_TABLE_FULL: i32 = 28;
export const DROP_UDP_SEND: i32 = 29; // the host socket refused the datagram
export const DROP_UDP_FILTERED: i32 = 30;
export const DROP_TCP_TRUNCATED: i32 = 31;
export const DROP_TCP_DATA_OFFSET: i32 = 32;
export const DROP_TCP_CHECKSUM: i32 = 33;
export const DROP_TCP_FLAGS: i32 = 34;
export const DROP_TCP_NO_FLOW: i32 = 35;
export const DROP_TCP_WINDOW: i32 = 36; // outside the receive window
export const DROP_TCP_PAWS: i32 = 37;
export const DROP_TCP_ACK: i32 = 38; // unacceptable acknowledgment
export const DROP_GUEST_GONE: i32 = 39; // it waited for a machine that has left the link
export const DROP_TCP_GAPS: i32 = 40; // too many holes
export const DROP_TCP_POOL: i32 = 41; // no chunk free
export const DROP_TCP_DUPLICATE: i32 = 42;
export const DROP_TCP_TABLE_FULL: i32 = 43;
export const DROP_TCP_RST: i32 = 44; // RST outside the window
export const DROP_TCP_AFTER_FIN: i32 = 45;
export const DROP_TCP_PORT: i32 = 46; // port 0
export const DROP_ICMP_TRUNCATED: i32 = 47;
export const DROP_ICMP_CHECKSUM: i32 = 48;
export const DROP_ICMP_TYPE: i32 = 49;
export const DROP_ICMP_QUOTE: i32 = 50; // quoted packet matches no flow
export const DROP_PING_TABLE_FULL: i32 = 51;
export const DROP_PING_SEND: i32 = 52;
export const DROP_DHCP_MALFORMED: i32 = 53;
export const DROP_DHCP_IGNORED: i32 = 54; // another server's, or not a request
export const DROP_TX_FULL: i32 = 55; // no room for a frame towards the guest
export const DROP_LINK: i32 = 56; // the link refused the frame
export const DROP_NEIGHBOR: i32 = 57; // guest MAC unknown
export const DROP_LOOPBACK: i32 = 58; // host loopback is switched off
export const DROP_NO_RESOLVER: i32 = 59;
export const DROP_DATAGRAM_TOO_BIG: i32 = 60; // host datagram larger than IPv4 can carry
export const DROP_REPLY_FLOOD: i32 = 61; // an error answer was suppressed by the rate limit
export const DROP_OP_LIMIT: i32 = 62; // more operations than a turn may hold
export const DROP_IP_EXTENSION: i32 = 63; // IPv6 extension header or option
export const DROP_NDP_MALFORMED: i32 = 64;
export const DROP_NDP_IGNORED: i32 = 65; // for an address that is not ours, or a router's message
export const DROP_ADDRESS_TABLE_FULL: i32 = 66; // more IPv6 addresses in use than can be
export const DROP_HOST_ADDRESS: i32 = 67; // the host's own address, or link-local, is refused
export const DROP_METADATA: i32 = 68; // a cloud's metadata service is refused
export const DROP_UDP_LOCAL: i32 = 69; // from this host, to a flow that has not asked it
export const DROP_DNS_ANSWER: i32 = 70; // late, twice, or to nothing that was asked
export const DROP_DNS_RETRY: i32 = 71; // a query that could not be sent to one more resolver
export const DROP_PATH_MTU: i32 = 72; // with DF, larger than the way out takes (--strict-df)
export const DROP_COUNT: i32 = 73;
