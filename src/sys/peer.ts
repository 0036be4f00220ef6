/**
 * Whose a local connection is: the user id behind the other end of a socket.
 *
 *     unix    SO_PEERCRED: who called connect(2), or listen(2) where we connect
 *     TCP     the owner of the other socket, which is on this machine as its address is a loopback
 *             one: asked of the kernel by its four numbers (sock_diag), or looked up in
 *             /proc/net/tcp and tcp6 where the kernel was built without that
 *
 * Both are the kernel's word and nothing the peer says. Ids are those of our own user namespace;
 * one that has no name in it is 65534 (user_namespaces(7)), and so nobody's in particular.
 *
 * A socket that its process has closed belongs to nobody: the kernel shows user 0 for it, which
 * must not be taken for root's. Such a socket has no inode, so it counts as gone, and so does a
 * socket in another state or with another port that the kernel offers in its place (a listener at
 * that port).
 *
 * Source: unix(7), sock_diag(7), proc_net_tcp in the kernel's documentation.
 */

import { readFileSync } from "node:fs";
import { Block } from "./block.ts";
import { EAGAIN, ENOENT, EPROTO } from "./errno.ts";
import type { Libc } from "./libc.ts";
import {
  AF_INET,
  AF_NETLINK,
  IPPROTO_TCP,
  MSG_DONTWAIT,
  NETLINK_SOCK_DIAG,
  NLM_F_REQUEST,
  NLMSG_ERROR,
  NLMSG_HEADER_SIZE,
  SO_PEERCRED,
  SOCK_CLOEXEC,
  SOCK_DIAG_BY_FAMILY,
  SOCK_RAW,
  SOL_SOCKET,
  UCRED_SIZE,
  UCRED_UID_OFFSET,
} from "./linux.ts";
import type { Ipv4Endpoint } from "./sockaddr.ts";
import { ownerInTable } from "./tcp-table.ts";

/** User behind the other end of a connected unix socket, or the negative errno. */
export function unixPeerUid(sys: Libc, fd: number): number {
  const { scratch } = sys;
  scratch.setI32(UCRED_SIZE, UCRED_SIZE);
  const length = scratch.address + UCRED_SIZE;
  const result = sys.getsockopt(fd, SOL_SOCKET, SO_PEERCRED, scratch.address, length);
  return result < 0 ? result : scratch.view.getUint32(UCRED_UID_OFFSET, true);
}

type Endpoint = Readonly<Ipv4Endpoint>;

/** The kernel's tables of TCP sockets, of this thread's network namespace. */
const TABLES = ["/proc/thread-self/net/tcp", "/proc/thread-self/net/tcp6"];
const ANYONE: Endpoint = { address: 0, port: 0 };

/** struct nlmsghdr: u32 length, u16 type, u16 flags, u32 sequence. */
const TYPE_OFFSET = 4;
const FLAGS_OFFSET = 6;
const SEQUENCE_OFFSET = 8;
/** struct inet_diag_req_v2: family, protocol, two unused, u32 states, then the socket's id. */
const REQUEST_SIZE = NLMSG_HEADER_SIZE + 56;
const REQUEST_ID = NLMSG_HEADER_SIZE + 8;
/** struct inet_diag_msg: family, state, two others, the id, u32 expires, queues, user, inode. */
const ANSWER_STATE = NLMSG_HEADER_SIZE + 1;
const ANSWER_ID = NLMSG_HEADER_SIZE + 4;
const ANSWER_UID = NLMSG_HEADER_SIZE + 64;
const ANSWER_INODE = NLMSG_HEADER_SIZE + 68;
const ANSWER_SIZE = NLMSG_HEADER_SIZE + 72;
/** struct inet_diag_sockid: two ports and two addresses in network order, interface, cookie. */
const SOURCE_PORT = 0;
const TARGET_PORT = 2;
const SOURCE = 4;
const TARGET = 20;
const COOKIE = 40;
/** An answer with whatever attributes the kernel adds. */
const BUFFER_SIZE = 1024;
/** Answers to earlier questions that may lie before ours; there is none as a rule. */
const STALE_MAX = 8;
const ESTABLISHED = 1;
const CLOSE_WAIT = 8;
const LISTEN = 10;
/** Of a socket that can be talked to. */
const CONNECTED = [ESTABLISHED, CLOSE_WAIT];

/** Finds out whose TCP sockets are. Holds one descriptor from the first question on. */
export class TcpOwners {
  readonly #sys: Libc;
  readonly #block: Block;
  readonly #read: (path: string) => string;
  #socket = -1;
  #sequence = 0;
  /** Whether the kernel has answered by sock_diag; only then "not found" means that. */
  #isProven = false;

  /** @param read gives a file's content; for tests */
  constructor(sys: Libc, read = (path: string): string => readFileSync(path, "latin1")) {
    this.#sys = sys;
    this.#block = new Block(sys, BUFFER_SIZE);
    this.#read = read;
  }

  /**
   * User whose socket at `theirs` is connected to our socket at `ours`.
   * @returns the id; -ENOENT: it is gone; another negative errno: it cannot be told
   */
  peer(theirs: Endpoint, ours: Endpoint): number {
    const uid = this.#ask(theirs, ours, CONNECTED);
    if (uid >= 0) return uid;
    // Without sock_diag nothing is ever found, not even our own socket, which is there.
    if (!this.#isProven) this.#ask(ours, theirs, CONNECTED);
    if (this.#isProven) return uid;
    return this.#lookUp([`${hexOf(theirs)} ${hexOf(ours)}`], CONNECTED);
  }

  /** User who listens at `endpoint`, as `peer` tells it. */
  listener(endpoint: Endpoint): number {
    const uid = this.#ask(endpoint, ANYONE, [LISTEN]);
    if (uid >= 0) return uid;
    const everywhere = { address: 0, port: endpoint.port };
    const rows = [endpoint, everywhere].map((one) => `${hexOf(one)} ${hexOf(ANYONE)}`);
    return this.#lookUp(rows, [LISTEN]);
  }

  /** Idempotent. */
  close(): void {
    if (this.#socket >= 0) this.#sys.close(this.#socket);
    this.#socket = -1;
  }

  /** Asks the kernel for the one socket that is at `local` and connected to `remote`. */
  #ask(local: Endpoint, remote: Endpoint, states: readonly number[]): number {
    const sys = this.#sys;
    if (this.#socket < 0) {
      this.#socket = sys.socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_SOCK_DIAG);
      if (this.#socket < 0) return -EPROTO; // not built in, or not allowed
    }
    this.#sequence = (this.#sequence + 1) >>> 0;
    this.#write(local, remote);
    const { address } = this.#block;
    const sent = sys.send(this.#socket, address, REQUEST_SIZE, MSG_DONTWAIT);
    if (sent < 0) return sent;
    for (let i = 0; i < STALE_MAX; i += 1) {
      // The kernel has answered before send returns.
      const n = sys.recv(this.#socket, address, BUFFER_SIZE, MSG_DONTWAIT);
      if (n < 0) return n;
      if (n < NLMSG_HEADER_SIZE + 4) return -EPROTO;
      if (this.#block.view.getUint32(SEQUENCE_OFFSET, true) !== this.#sequence) continue;
      return this.#verdict(n, local, remote, states);
    }
    return -EAGAIN;
  }

  #write(local: Endpoint, remote: Endpoint): void {
    const { view, bytes } = this.#block;
    bytes.fill(0, 0, REQUEST_SIZE);
    view.setUint32(0, REQUEST_SIZE, true);
    view.setUint16(TYPE_OFFSET, SOCK_DIAG_BY_FAMILY, true);
    view.setUint16(FLAGS_OFFSET, NLM_F_REQUEST, true);
    view.setUint32(SEQUENCE_OFFSET, this.#sequence, true);
    bytes[NLMSG_HEADER_SIZE] = AF_INET;
    bytes[NLMSG_HEADER_SIZE + 1] = IPPROTO_TCP;
    view.setUint32(NLMSG_HEADER_SIZE + 4, 0xffffffff, true);
    view.setUint16(REQUEST_ID + SOURCE_PORT, local.port, false);
    view.setUint16(REQUEST_ID + TARGET_PORT, remote.port, false);
    view.setUint32(REQUEST_ID + SOURCE, local.address, false);
    view.setUint32(REQUEST_ID + TARGET, remote.address, false);
    bytes.fill(0xff, REQUEST_ID + COOKIE, REQUEST_ID + COOKIE + 8);
  }

  #verdict(n: number, local: Endpoint, remote: Endpoint, states: readonly number[]): number {
    const { view, bytes } = this.#block;
    const type = view.getUint16(TYPE_OFFSET, true);
    if (type === NLMSG_ERROR) return Math.min(view.getInt32(NLMSG_HEADER_SIZE, true), -1);
    if (type !== SOCK_DIAG_BY_FAMILY || n < ANSWER_SIZE) return -EPROTO;
    this.#isProven = true;
    const isIt =
      states.includes(bytes[ANSWER_STATE] ?? 0) &&
      view.getUint16(ANSWER_ID + SOURCE_PORT, false) === local.port &&
      view.getUint16(ANSWER_ID + TARGET_PORT, false) === remote.port;
    const hasOwner = view.getUint32(ANSWER_INODE, true) !== 0;
    return isIt && hasOwner ? view.getUint32(ANSWER_UID, true) : -ENOENT;
  }

  #lookUp(rows: readonly string[], states: readonly number[]): number {
    let found = -ENOENT;
    for (const path of TABLES) {
      let table: string;
      try {
        table = this.#read(path);
      } catch {
        if (path === TABLES[0]) found = -EPROTO; // neither way tells
        continue; // a kernel without IPv6 has no second table
      }
      for (const row of rows) {
        const uid = ownerInTable(table, row, states);
        if (uid >= 0) return uid;
      }
    }
    return found;
  }
}

/** An endpoint as the tables of /proc write it: the address as a word of this machine. */
function hexOf({ address, port }: Endpoint): string {
  const octets = [0, 8, 16, 24].map((shift) => (address >>> shift) & 0xff);
  const hex = (value: number, digits: number): string =>
    value.toString(16).toUpperCase().padStart(digits, "0");
  return `${octets.map((octet) => hex(octet, 2)).join("")}:${hex(port, 4)}`;
}
