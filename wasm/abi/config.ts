/**
 * Of the contract (`abi.ts`): what the host tells the engine to do. The CONFIG record is written
 * before `init`; what may change later says so. Then the words of `host_address`, and what a link
 * takes.
 */

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
/** Beside a protocol or HOST_DUAL: it is so no longer. */
export const HOST_GONE: i32 = 128;

export const LINK_CSUM: i32 = 1; // may write VIRTIO_NET_HDR_F_NEEDS_CSUM
export const LINK_TSO4: i32 = 2; // may write GSO_TCPV4 frames
export const LINK_USO: i32 = 4; // may write GSO_UDP_L4 frames of IPv4
export const LINK_RX_TSO: i32 = 8; // guest sends TCP offload frames
export const LINK_TSO6: i32 = 16; // may write GSO_TCPV6 frames
export const LINK_USO6: i32 = 32; // may write GSO_UDP_L4 frames of IPv6
