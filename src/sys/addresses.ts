/**
 * The addresses of the host's interfaces, and word of their changes: routing netlink.
 *
 * One socket of the network namespace it was opened in. It hears of every address that comes or
 * goes (RTMGRP_*_IFADDR), which makes its descriptor readable; what has changed is not worked out
 * from that, but by asking for all addresses again (RTM_GETADDR). So news that were lost, as the
 * kernel loses them when nobody reads (ENOBUFS), do no harm.
 *
 * Contract: nothing blocks, and what comes from the kernel is checked like any other input.
 * Source: netlink(7), rtnetlink(7).
 */

import { Block } from "./block.ts";
import { check, EMSGSIZE, ENOBUFS, EPROTO } from "./errno.ts";
import type { Libc } from "./libc.ts";
import {
  AF_INET,
  AF_INET6,
  AF_NETLINK,
  IFA_ADDRESS,
  IFA_LOCAL,
  IFADDRMSG_SIZE,
  MSG_DONTWAIT,
  MSG_TRUNC,
  NETLINK_ROUTE,
  NLM_F_DUMP,
  NLM_F_DUMP_INTR,
  NLM_F_REQUEST,
  NLMSG_DONE,
  NLMSG_ERROR,
  NLMSG_HEADER_SIZE,
  RTM_GETADDR,
  RTM_NEWADDR,
  RTMGRP_IPV4_IFADDR,
  RTMGRP_IPV6_IFADDR,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  SOCKADDR_NL_SIZE,
} from "./linux.ts";

/** The kernel sends at most this much at once to whoever asks for as much. */
const BUFFER_SIZE = 32768;
/** Messages of the kernel taken for one question: far above what any host has addresses for. */
const RECEIVES_MAX = 4096;
const ATTRIBUTE_HEADER_SIZE = 4;
const TYPE_OFFSET = 4;
const FLAGS_OFFSET = 6;
const SEQUENCE_OFFSET = 8;
const PORT_OFFSET = 12;
const IPV4_SIZE = 4;
const IPV6_SIZE = 16;
const MAPPED_OFFSET = IPV6_SIZE - IPV4_SIZE;

/** All addresses, 16 octets each, IPv4 as ::ffff:A.B.C.D, each once. */
export interface AddressList {
  readonly addresses: readonly Uint8Array[];
  /** Something changed while they were read: read them again. */
  readonly isStale: boolean;
}

export class AddressSource {
  readonly fd: number;
  readonly #sys: Libc;
  readonly #buffer: Block;
  readonly #port: number;
  #sequence = 0;
  #isOpen = true;

  /** @throws SystemError where the kernel or a filter of system calls refuses the socket */
  constructor(sys: Libc) {
    this.#sys = sys;
    this.#buffer = new Block(sys, BUFFER_SIZE);
    const type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
    this.fd = check(sys.socket(AF_NETLINK, type, NETLINK_ROUTE), "Open a netlink socket");
    try {
      this.#port = this.#bind();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Subscribes; returns the socket's own number. */
  #bind(): number {
    const { view, address } = this.#buffer;
    view.setUint16(0, AF_NETLINK, true);
    view.setUint32(8, RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR, true);
    check(this.#sys.bind(this.fd, address, SOCKADDR_NL_SIZE), "Subscribe to address changes");
    view.setUint32(SOCKADDR_NL_SIZE, SOCKADDR_NL_SIZE, true);
    const named = this.#sys.getsockname(this.fd, address, address + SOCKADDR_NL_SIZE);
    check(named, "Read the name of a netlink socket");
    return view.getUint32(4, true);
  }

  /** Asks for all addresses; the negative errno where there is no whole answer. */
  read(): AddressList | number {
    this.#drain();
    const sent = this.#ask();
    if (sent < 0) return sent;
    const found = new Map<string, Uint8Array>();
    let isStale = false;
    for (let i = 0; i < RECEIVES_MAX; i += 1) {
      const size = this.#receive();
      if (size === -ENOBUFS) isStale = true;
      else if (size < 0) return size;
      else {
        const said = this.#take(size, found);
        if (said.isStale) isStale = true;
        if (said.result < 0) return said.result;
        if (said.isDone) return { addresses: [...found.values()], isStale };
      }
    }
    return -EPROTO;
  }

  /** Takes away the news: what they are about is in the answer to come. */
  #drain(): void {
    for (let i = 0; i < RECEIVES_MAX; i += 1) {
      const size = this.#receive();
      if (size < 0 && size !== -ENOBUFS && size !== -EMSGSIZE) return;
    }
  }

  #receive(): number {
    const { address } = this.#buffer;
    const size = this.#sys.recv(this.fd, address, BUFFER_SIZE, MSG_DONTWAIT | MSG_TRUNC);
    return size > BUFFER_SIZE ? -EMSGSIZE : size;
  }

  #ask(): number {
    const { view, bytes, address } = this.#buffer;
    const size = NLMSG_HEADER_SIZE + IFADDRMSG_SIZE;
    bytes.fill(0, 0, size);
    this.#sequence = (this.#sequence + 1) >>> 0;
    view.setUint32(0, size, true);
    view.setUint16(TYPE_OFFSET, RTM_GETADDR, true);
    view.setUint16(FLAGS_OFFSET, NLM_F_REQUEST | NLM_F_DUMP, true);
    view.setUint32(SEQUENCE_OFFSET, this.#sequence, true);
    return this.#sys.send(this.fd, address, size, MSG_DONTWAIT);
  }

  /** Reads the messages in the first `size` octets. */
  #take(size: number, found: Map<string, Uint8Array>) {
    const { view } = this.#buffer;
    const said = { isDone: false, isStale: false, result: 0 };
    let at = 0;
    while (at + NLMSG_HEADER_SIZE <= size) {
      const length = view.getUint32(at, true);
      if (length < NLMSG_HEADER_SIZE || at + length > size) {
        said.result = -EPROTO;
        return said;
      }
      if (!this.#isAnswer(at)) said.isStale = true;
      else {
        const type = view.getUint16(at + TYPE_OFFSET, true);
        const flags = view.getUint16(at + FLAGS_OFFSET, true);
        if ((flags & NLM_F_DUMP_INTR) !== 0) said.isStale = true;
        if (type === NLMSG_DONE) said.isDone = true;
        else if (type === NLMSG_ERROR) {
          said.result = length >= NLMSG_HEADER_SIZE + 4 ? view.getInt32(at + 16, true) : -EPROTO;
        } else if (type === RTM_NEWADDR) this.#address(at, length, found);
      }
      at += (length + 3) & ~3;
    }
    return said;
  }

  /** Whether the message answers our last question; others are news. */
  #isAnswer(at: number): boolean {
    const { view } = this.#buffer;
    const isOurs = view.getUint32(at + PORT_OFFSET, true) === this.#port;
    return isOurs && view.getUint32(at + SEQUENCE_OFFSET, true) === this.#sequence;
  }

  #address(at: number, length: number, found: Map<string, Uint8Array>): void {
    const { bytes, view } = this.#buffer;
    const attributes = at + NLMSG_HEADER_SIZE + IFADDRMSG_SIZE;
    const end = at + length;
    const family = bytes[at + NLMSG_HEADER_SIZE];
    if (family !== AF_INET && family !== AF_INET6) return;
    const wanted = family === AF_INET ? IPV4_SIZE : IPV6_SIZE;
    let own: Uint8Array | undefined;
    for (let p = attributes; p + ATTRIBUTE_HEADER_SIZE <= end; ) {
      const size = view.getUint16(p, true);
      const type = view.getUint16(p + 2, true);
      if (size < ATTRIBUTE_HEADER_SIZE || p + size > end) return;
      const isWhole = size === ATTRIBUTE_HEADER_SIZE + wanted;
      // Of a point-to-point link IFA_ADDRESS is the far end's, and IFA_LOCAL ours.
      const counts = type === IFA_LOCAL || (type === IFA_ADDRESS && own === undefined);
      if (isWhole && counts) own = bytes.subarray(p + ATTRIBUTE_HEADER_SIZE, p + size);
      p += (size + 3) & ~3;
    }
    if (own === undefined) return;
    const octets = new Uint8Array(IPV6_SIZE);
    if (family === AF_INET) octets.fill(0xff, MAPPED_OFFSET - 2, MAPPED_OFFSET);
    octets.set(own, IPV6_SIZE - wanted);
    found.set(octets.join("."), octets);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    this.#sys.close(this.fd);
  }
}
