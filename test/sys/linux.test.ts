/**
 * Constants and offsets are those of the system's C headers: a C program that prints them is
 * compiled and asked, each by its name or by what `EXPRESSIONS` says of it.
 */
import assert from "node:assert/strict";
import { execFileSync, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { arch, tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "node:test";
import * as linux from "../../src/sys/linux.ts";
import { testUnless } from "./support.ts";

const HEADERS = [
  ...["stddef.h", "stdio.h", "fcntl.h", "sched.h", "time.h", "sys/stat.h", "sys/mman.h"],
  ...["sys/epoll.h", "sys/eventfd.h", "sys/timerfd.h", "sys/socket.h", "sys/un.h", "sys/uio.h"],
  ...["netinet/in.h", "netinet/tcp.h", "netinet/udp.h", "net/if.h", "net/if_arp.h"],
  ...["net/route.h", "linux/if_tun.h", "linux/netlink.h", "linux/rtnetlink.h"],
  ...["linux/sock_diag.h", "linux/sockios.h", "linux/nsfs.h", "linux/openat2.h"],
];

/** What has no name of its own in C. */
const EXPRESSIONS: Readonly<Record<string, string>> = {
  CMSG_HEADER_SIZE: "sizeof(struct cmsghdr)",
  CMSG_LEVEL_OFFSET: "offsetof(struct cmsghdr, cmsg_level)",
  CMSG_TYPE_OFFSET: "offsetof(struct cmsghdr, cmsg_type)",
  EPOLL_EVENT_DATA_OFFSET: "offsetof(struct epoll_event, data)",
  EPOLL_EVENT_SIZE: "sizeof(struct epoll_event)",
  EPOLLET: "(int)EPOLLET",
  IFADDRMSG_SIZE: "sizeof(struct ifaddrmsg)",
  IFINFOMSG_INDEX_OFFSET: "offsetof(struct ifinfomsg, ifi_index)",
  IFINFOMSG_SIZE: "sizeof(struct ifinfomsg)",
  IFREQ_SIZE: "sizeof(struct ifreq)",
  IFREQ_UNION_OFFSET: "offsetof(struct ifreq, ifr_flags)",
  ITIMERSPEC_SIZE: "sizeof(struct itimerspec)",
  MSGHDR_CONTROL_LENGTH_OFFSET: "offsetof(struct msghdr, msg_controllen)",
  MSGHDR_CONTROL_OFFSET: "offsetof(struct msghdr, msg_control)",
  MSGHDR_FLAGS_OFFSET: "offsetof(struct msghdr, msg_flags)",
  MSGHDR_IOV_COUNT_OFFSET: "offsetof(struct msghdr, msg_iovlen)",
  MSGHDR_IOV_OFFSET: "offsetof(struct msghdr, msg_iov)",
  MSGHDR_SIZE: "sizeof(struct msghdr)",
  NLMSG_HEADER_SIZE: "NLMSG_HDRLEN",
  OPEN_HOW_SIZE: "sizeof(struct open_how)",
  RTENTRY_DEVICE_OFFSET: "offsetof(struct rtentry, rt_dev)",
  RTENTRY_DST_OFFSET: "offsetof(struct rtentry, rt_dst)",
  RTENTRY_FLAGS_OFFSET: "offsetof(struct rtentry, rt_flags)",
  RTENTRY_GATEWAY_OFFSET: "offsetof(struct rtentry, rt_gateway)",
  RTENTRY_GENMASK_OFFSET: "offsetof(struct rtentry, rt_genmask)",
  RTENTRY_SIZE: "sizeof(struct rtentry)",
  RTMSG_SIZE: "sizeof(struct rtmsg)",
  SOCKADDR_IN_SIZE: "sizeof(struct sockaddr_in)",
  SOCKADDR_IN6_SIZE: "sizeof(struct sockaddr_in6)",
  SOCKADDR_NL_SIZE: "sizeof(struct sockaddr_nl)",
  SOCKADDR_STORAGE_SIZE: "sizeof(struct sockaddr_storage)",
  SOCKADDR_UN_PATH_SIZE: "sizeof(((struct sockaddr_un *)0)->sun_path)",
  STATX_BLOCK_SIZE_OFFSET: "offsetof(struct statx, stx_blksize)",
  STATX_BUFFER_SIZE: "sizeof(struct statx)",
  STATX_MODE_OFFSET: "offsetof(struct statx, stx_mode)",
  STATX_SIZE_OFFSET: "offsetof(struct statx, stx_size)",
  TIMESPEC_SIZE: "sizeof(struct timespec)",
  UCRED_SIZE: "sizeof(struct ucred)",
  UCRED_UID_OFFSET: "offsetof(struct ucred, uid)",
};
/** Enumerators, which the preprocessor does not know. */
const ENUMERATORS = new Set([
  "IFA_ADDRESS",
  "IFA_LOCAL",
  "RTA_GATEWAY",
  "RTA_OIF",
  "RT_TABLE_MAIN",
  "RTN_UNICAST",
]);
/** Younger than the headers of some systems. */
const YOUNG: Readonly<Record<string, number>> = {
  SO_BUF_LOCK: 72,
  TUN_F_USO4: 0x20,
  TUN_F_USO6: 0x40,
};

const ENTRIES = Object.entries<number>(linux);

function lineOf(name: string): string {
  const expression = EXPRESSIONS[name] ?? name;
  const print = `printf("${name} %lld\\n", (long long)(${expression}));`;
  const isKnown = name in EXPRESSIONS || ENUMERATORS.has(name);
  return isKnown ? print : `#ifdef ${name}\n${print}\n#endif`;
}

/** What a C program says of the names, by name; those its headers do not have are not there. */
function ask(names: readonly string[]): Map<string, number> {
  const folder = mkdtempSync(join(tmpdir(), "slirp-headers-"));
  try {
    const [source, program] = [join(folder, "print.c"), join(folder, "print")];
    const includes = HEADERS.map((name) => `#include <${name}>`).join("\n");
    const body = names.map(lineOf).join("\n");
    writeFileSync(source, `#define _GNU_SOURCE\n${includes}\nint main(void) {\n${body}\n}\n`);
    execFileSync("cc", ["-o", program, source]);
    const lines = execFileSync(program, { encoding: "utf8" }).trim().split("\n");
    return new Map(
      lines.map((line) => {
        const [name = "", value] = line.split(" ");
        return [name, Number(value)];
      }),
    );
  } finally {
    rmSync(folder, { recursive: true });
  }
}

function noCompiler(): string {
  const { status } = spawnSync("cc", ["-fsyntax-only", "-x", "c", "-"], {
    input: "#include <linux/if_tun.h>\n#include <stdio.h>\n",
  });
  return status === 0 ? "" : "needs a C compiler with the headers of Linux";
}

describe("sys/linux", () => {
  testUnless(noCompiler(), `has the numbers of the C headers of ${arch()}`, () => {
    const told = ask(ENTRIES.map(([name]) => name));
    assert.ok(ENTRIES.length > 150);
    const wrong = ENTRIES.filter(([name, value]) => value !== (told.get(name) ?? YOUNG[name]));
    assert.deepEqual(
      wrong.map(([name]) => `${name}: ${told.get(name)}`),
      [],
    );
  });
});
