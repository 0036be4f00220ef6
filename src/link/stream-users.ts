/**
 * Which users may be at the other end of a stream link.
 *
 * Whoever is there is the guest: it sees all its traffic, and through the host's sockets it goes
 * out as us. So only users that were named may: as a rule our own, as which QEMU runs, too. Root is
 * no exception: on a host root can do as it likes anyway, but in a pod root of another container
 * cannot.
 */
import type { StreamEndpoint } from "../config/endpoint.ts";
import { ENOENT } from "../sys/errno.ts";
import type { Libc } from "../sys/libc.ts";
import { TcpOwners, unixPeerUid } from "../sys/peer.ts";
import type { Ipv4Endpoint } from "../sys/sockaddr.ts";
import { localEndpoint } from "../sys/socket.ts";

/** Who is at the other end of a connection, and whether that is allowed. */
export interface Users {
  allows(uid: number): boolean;
  /**
   * User of an accepted connection.
   * @param from its address, where it is a TCP connection
   * @returns the id; -ENOENT: it has gone; another negative errno: it cannot be told
   */
  of(fd: number, from: Readonly<Ipv4Endpoint>): number;
  /** User of whoever listens where `fd` has connected to, likewise. */
  ofListener(fd: number, endpoint: StreamEndpoint): number;
  /** Idempotent. */
  close(): void;
}

export class NamedUsers implements Users {
  readonly #sys: Libc;
  readonly #uids: readonly number[];
  readonly #ours: Ipv4Endpoint = { address: 0, port: 0 };
  readonly #owners: TcpOwners | undefined;

  /**
   * @param kind of socket that peers have
   * @param uids users that may
   */
  constructor(sys: Libc, kind: StreamEndpoint["kind"], uids: readonly number[]) {
    this.#sys = sys;
    this.#uids = uids;
    this.#owners = kind === "tcp" ? new TcpOwners(sys) : undefined;
  }

  allows(uid: number): boolean {
    return this.#uids.includes(uid);
  }

  of(fd: number, from: Readonly<Ipv4Endpoint>): number {
    if (this.#owners === undefined) return unixPeerUid(this.#sys, fd);
    const result = localEndpoint(this.#sys, fd, this.#ours);
    return result < 0 ? result : this.#owners.peer(from, this.#ours);
  }

  ofListener(fd: number, endpoint: StreamEndpoint): number {
    if (endpoint.kind === "unix" || this.#owners === undefined) return unixPeerUid(this.#sys, fd);
    const result = localEndpoint(this.#sys, fd, this.#ours);
    if (result < 0) return result;
    // A connection nobody has accepted yet is nobody's, and whoever has may listen no more.
    const accepted = this.#owners.peer(endpoint, this.#ours);
    if (accepted !== -ENOENT) return accepted;
    const listener = this.#owners.listener(endpoint);
    return listener === -ENOENT ? this.#owners.peer(endpoint, this.#ours) : listener;
  }

  close(): void {
    this.#owners?.close();
  }
}
