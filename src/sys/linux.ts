/**
 * Constants and structure layouts of the Linux kernel ABI, 64-bit little-endian.
 *
 * Only what `src/sys`, `src/upstream` and `src/loop` use. x86_64 and arm64 agree on all of it but
 * the packing of `struct epoll_event`.
 * Source: include/uapi/linux and include/uapi/asm-generic of the kernel.
 */

import { arch } from "node:os";

// ---------------------------------------------------------------- files
export const O_RDONLY = 0;
export const O_RDWR = 2;
export const O_NONBLOCK = 0x800;
export const O_CLOEXEC = 0x80000;
export const O_NOCTTY = 0x100;
export const O_PATH = 0x200000;
/** ARM has numbers of its own for these two (asm/fcntl.h). */
export const O_DIRECTORY = /* @__PURE__ */ arch() === "arm64" ? 0x4000 : 0x10000;
export const O_NOFOLLOW = /* @__PURE__ */ arch() === "arm64" ? 0x8000 : 0x20000;
export const AT_EMPTY_PATH = 0x1000;
export const RESOLVE_NO_MAGICLINKS = 0x02;
export const RESOLVE_BENEATH = 0x08;
export const STATX_TYPE = 0x1;
export const STATX_SIZE = 0x200;
/** struct statx: block size (u32), mode (u16) and size (u64). */
export const STATX_BUFFER_SIZE = 256;
export const STATX_BLOCK_SIZE_OFFSET = 4;
export const STATX_MODE_OFFSET = 28;
export const STATX_SIZE_OFFSET = 40;
/** struct open_how: u64 flags, mode, how to resolve. */
export const OPEN_HOW_SIZE = 24;
export const S_IFMT = 0xf000;
export const S_IFREG = 0x8000;
export const F_GETFD = 1;
export const F_SETFD = 2;
export const F_GETFL = 3;
export const F_SETFL = 4;
export const FD_CLOEXEC = 1;

// ---------------------------------------------------------------- epoll, eventfd, poll
export const EPOLLIN = 0x1;
export const EPOLLPRI = 0x2;
export const EPOLLOUT = 0x4;
export const EPOLLERR = 0x8;
export const EPOLLHUP = 0x10;
export const EPOLLRDHUP = 0x2000;
export const EPOLLET = -0x80000000; // bit 31 of a signed word
export const EPOLL_CTL_ADD = 1;
export const EPOLL_CTL_DEL = 2;
export const EPOLL_CTL_MOD = 3;
export const EPOLL_CLOEXEC = O_CLOEXEC;
/** x86_64 packs {u32 events; u64 data} into 12 octets; everyone else aligns the data. */
export const EPOLL_EVENT_SIZE = /* @__PURE__ */ arch() === "x64" ? 12 : 16;
export const EPOLL_EVENT_DATA_OFFSET = /* @__PURE__ */ arch() === "x64" ? 4 : 8;
export const EFD_NONBLOCK = O_NONBLOCK;
export const EFD_CLOEXEC = O_CLOEXEC;
export const TIMESPEC_SIZE = 16;
export const ITIMERSPEC_SIZE = 32;
export const TFD_NONBLOCK = O_NONBLOCK;
export const TFD_CLOEXEC = O_CLOEXEC;
export const CLOCK_MONOTONIC = 1;

// ---------------------------------------------------------------- memory
export const PROT_READ = 1;
export const PROT_WRITE = 2;
export const PROT_EXEC = 4;
export const MAP_PRIVATE = 2;
export const MAP_ANONYMOUS = 0x20;
export const MAP_SHARED = 1;
export const MADV_DONTDUMP = 16;
export const F_GET_SEALS = 1034;
export const F_SEAL_SHRINK = 2;

// ---------------------------------------------------------------- namespaces
export const CLONE_NEWNET = 0x40000000;
export const NS_GET_USERNS = 0xb701;

// ---------------------------------------------------------------- sockets
export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_SEQPACKET = 5;
export const SOCK_NONBLOCK = O_NONBLOCK;
export const SOCK_CLOEXEC = O_CLOEXEC;
export const IPPROTO_ICMP = 1;
export const IPPROTO_TCP = 6;
const IPPROTO_UDP = 17;
export const IPPROTO_ICMPV6 = 58;
export const SHUT_RD = 0;
export const SHUT_WR = 1;

export const SOL_SOCKET = 1;
export const SO_REUSEADDR = 2;
export const SO_ERROR = 4;
/** Which of the two sizes the kernel leaves alone; zero lets it adjust both (Linux 5.14). */
export const SO_BUF_LOCK = 72;
export const SO_SNDBUF = 7;
export const SO_RCVBUF = 8;
export const SO_KEEPALIVE = 9;
export const SO_OOBINLINE = 10;
export const SO_LINGER = 13;
export const SO_PEERCRED = 17;
export const SO_BINDTODEVICE = 25;
/** struct ucred: i32 pid, u32 uid, u32 gid. */
export const UCRED_SIZE = 12;
export const UCRED_UID_OFFSET = 4;

export const SOL_IP = 0;
export const IP_TOS = 1;
export const IP_PKTINFO = 8;
export const IP_RECVERR = 11;
export const IP_MTU = 14;
/** The port is chosen when the socket is connected, so that it need not be free for all peers. */
export const IP_BIND_ADDRESS_NO_PORT = 24;

export const SOL_IPV6 = 41;
export const IPV6_MTU = 24;
export const IPV6_RECVERR = 25;
export const IPV6_V6ONLY = 26;
export const IPV6_RECVPKTINFO = 49;
export const IPV6_TCLASS = 67;

export const SOL_TCP = IPPROTO_TCP;
export const TCP_NODELAY = 1;
export const TCP_KEEPIDLE = 4;
export const TCP_KEEPINTVL = 5;
export const TCP_KEEPCNT = 6;
export const TCP_WINDOW_CLAMP = 10;

export const SOL_UDP = IPPROTO_UDP;
export const UDP_GRO = 104;

export const MSG_OOB = 0x1;
export const MSG_CTRUNC = 0x8;
export const MSG_TRUNC = 0x20;
export const MSG_DONTWAIT = 0x40;
export const MSG_ERRQUEUE = 0x2000;
export const MSG_NOSIGNAL = 0x4000;
export const MSG_CMSG_CLOEXEC = 0x40000000;

export const SCM_RIGHTS = 1;
/** struct cmsghdr: u64 length with this header, i32 level, i32 type; then the data. */
/** struct msghdr of a 64-bit kernel. */
export const MSGHDR_SIZE = 56;
export const MSGHDR_IOV_OFFSET = 16;
export const MSGHDR_IOV_COUNT_OFFSET = 24;
export const MSGHDR_CONTROL_OFFSET = 32;
export const MSGHDR_CONTROL_LENGTH_OFFSET = 40;
export const MSGHDR_FLAGS_OFFSET = 48;

export const CMSG_HEADER_SIZE = 16;
export const CMSG_LEVEL_OFFSET = 8;
export const CMSG_TYPE_OFFSET = 12;

/** struct sockaddr_in: u16 family, u16 port (big-endian), u32 address (big-endian), 8 unused. */
export const SOCKADDR_IN_SIZE = 16;
/** struct sockaddr_in6: family, port, u32 flow label, 16 octets of address, u32 scope. */
export const SOCKADDR_IN6_SIZE = 28;
/** struct sockaddr_un: u16 family, then the path with its terminating zero. */
export const SOCKADDR_UN_PATH_SIZE = 108;
/** struct sockaddr_storage: any of them. */
export const SOCKADDR_STORAGE_SIZE = 128;

// ---------------------------------------------------------------- tap
export const TUNSETIFF = 0x400454ca;
export const TUNSETPERSIST = 0x400454cb;
export const TUNSETOWNER = 0x400454cc;
export const TUNSETOFFLOAD = 0x400454d0;
export const TUNSETVNETHDRSZ = 0x400454d8;
export const IFF_TAP = 0x2;
export const IFF_MULTI_QUEUE = 0x100;
export const IFF_NO_PI = 0x1000;
export const IFF_VNET_HDR = 0x4000;
export const TUN_F_CSUM = 0x1;
export const TUN_F_TSO4 = 0x2;
export const TUN_F_TSO6 = 0x4;
export const TUN_F_TSO_ECN = 0x8;
export const TUN_F_USO4 = 0x20;
export const TUN_F_USO6 = 0x40;

// ---------------------------------------------------------------- interface configuration
export const SIOCATMARK = 0x8905;
export const SIOCADDRT = 0x890b;
export const SIOCGIFFLAGS = 0x8913;
export const SIOCSIFFLAGS = 0x8914;
export const SIOCSIFADDR = 0x8916;
export const SIOCSIFNETMASK = 0x891c;
export const SIOCGIFMTU = 0x8921;
export const SIOCSIFMTU = 0x8922;
export const SIOCSIFHWADDR = 0x8924;
export const SIOCGIFHWADDR = 0x8927;
export const SIOCGIFINDEX = 0x8933;
export const SIOCGIFTXQLEN = 0x8942;
export const IFF_UP = 0x1;
export const IFNAMSIZ = 16;
/** struct ifreq: the name, then a union of 24 octets. */
export const IFREQ_SIZE = 40;
export const IFREQ_UNION_OFFSET = 16;
export const ARPHRD_ETHER = 1;

export const AF_NETLINK = 16;
export const SOCK_RAW = 3;
export const NETLINK_ROUTE = 0;
export const NETLINK_SOCK_DIAG = 4;
export const SOCK_DIAG_BY_FAMILY = 20;
export const NLMSG_ERROR = 2;
export const NLMSG_DONE = 3;
export const NLM_F_REQUEST = 0x1;
export const NLM_F_ACK = 0x4;
export const NLM_F_CREATE = 0x400;
/** Of an answer: what is listed has changed meanwhile. */
export const NLM_F_DUMP_INTR = 0x10;
/** All there are: NLM_F_ROOT and NLM_F_MATCH. */
export const NLM_F_DUMP = 0x300;
export const RTM_SETLINK = 19;
export const RTM_NEWADDR = 20;
export const RTM_GETADDR = 22;
export const RTM_NEWROUTE = 24;
export const RTMGRP_IPV4_IFADDR = 0x10;
export const RTMGRP_IPV6_IFADDR = 0x100;
/** struct sockaddr_nl: u16 family, u16 of padding, u32 port, u32 groups. */
export const SOCKADDR_NL_SIZE = 12;
export const IFLA_TXQLEN = 13;
/** struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence, u32 port. */
export const NLMSG_HEADER_SIZE = 16;
/** struct ifinfomsg: its index lies behind family, padding and type. */
export const IFINFOMSG_SIZE = 16;
export const IFINFOMSG_INDEX_OFFSET = 4;

/** struct ifaddrmsg: u8 family, prefix length, flags, scope; u32 interface. */
export const IFADDRMSG_SIZE = 8;
export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
/** No duplicate address detection: the address is good at once. */
export const IFA_F_NODAD = 2;
/** struct rtmsg: u8 family, two prefix lengths, tos, table, protocol, scope, type; u32 flags. */
export const RTMSG_SIZE = 12;
export const RTA_OIF = 4;
export const RTA_GATEWAY = 5;
export const RT_TABLE_MAIN = 254;
export const RTPROT_STATIC = 4;
export const RTN_UNICAST = 1;

/** struct rtentry. */
export const RTENTRY_SIZE = 120;
export const RTENTRY_DST_OFFSET = 8;
export const RTENTRY_GATEWAY_OFFSET = 24;
export const RTENTRY_GENMASK_OFFSET = 40;
export const RTENTRY_FLAGS_OFFSET = 56;
export const RTENTRY_DEVICE_OFFSET = 88;
export const RTF_UP = 0x1;
export const RTF_GATEWAY = 0x2;
