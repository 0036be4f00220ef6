/**
 * Of the contract (`abi.ts`): frames in both directions, the kernel's records that carry them, and
 * the operations on host sockets, whose results come back in place.
 */

// ---------------------------------------------------------------- guest -> engine frames

/** Where the frame lies and how long it is, virtio_net_hdr included. */
export const RX_DESCRIPTOR_POINTER_OFFSET: i32 = 0;
export const RX_DESCRIPTOR_LENGTH_OFFSET: i32 = 4;
export const RX_DESCRIPTOR_SIZE: i32 = 8;
/**
 * In the word of the length, above the length itself: octets of the frame that are in its slot,
 * where the rest is lent (`lent.ts`); 0 = all are. A frame that is lent begins where slot i does.
 */
export const LENT_SHIFT: i32 = 17;
export const LENT_LENGTH_MASK: i32 = 0x1ffff;

/**
 * An octet range that the host copies after the call that has listed it, before anything else, in
 * the order of the list: TO and FROM are engine addresses, FROM in a slot that may be lent.
 */
export const LENT_COPY_TO_OFFSET: i32 = 0;
export const LENT_COPY_FROM_OFFSET: i32 = 4;
export const LENT_COPY_LENGTH_OFFSET: i32 = 8;
export const LENT_COPY_SIZE: i32 = 16;
export const LENT_COPY_CAPACITY_COUNT: i32 = 1024;

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
 * in place of a new one. Result = the port it is bound to if that is known, else 0; of a published
 * one with OPENED_PUBLISHED.
 */
export const OP_UDP_OPEN: i32 = 6;
/**
 * sendmmsg: POINTER = mmsghdr array, COUNT = how many, A = iovecs in all: as many datagrams, where
 * the guest has sent none as a run. Result = messages.
 */
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
