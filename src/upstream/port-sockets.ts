/**
 * The sockets of published ports, which outlive the engine they lead to.
 *
 * They are opened once, with rights that are given up later, and hold what has come in and was not
 * taken yet: connections in the kernel's queue, datagrams. Whoever publishes the ports asks for one
 * socket after the other. The next one who does (`rewind`), by the same rules, asks in the same
 * order and gets the same ones; what could not be had stays so.
 */
import type { Libc } from "../sys/libc.ts";
import { bindIpv4, bindIpv6, openTcp, openTcp6, reservePort, setOobInline } from "../sys/socket.ts";
import type { Spot } from "./spots.ts";

export class PortSockets {
  /** TCP ports that listen: the first of them all. */
  answering = 0;
  readonly #sys: Libc;
  /** Of each that was asked for: its descriptor, or the negative errno. */
  readonly #results: number[] = [];
  #next = 0;

  constructor(sys: Libc) {
    this.#sys = sys;
  }

  /** The next socket: as it was had before, or opened now. Its descriptor, or negative errno. */
  next(open: () => number): number {
    const at = this.#next;
    this.#next += 1;
    const known = this.#results[at];
    if (known !== undefined) return known;
    const result = open();
    this.#results.push(result);
    return result;
  }

  /** There is no place for the socket that came last: closes it. Returns `errno`. */
  refuse(errno: number): number {
    const fd = this.#results[this.#next - 1] ?? -1;
    if (fd >= 0) this.#sys.close(fd);
    this.#results[this.#next - 1] = errno;
    return errno;
  }

  /** Others ask for them, from the first one on. */
  rewind(): void {
    this.#next = 0;
  }

  /** Idempotent. */
  close(): void {
    for (const fd of this.#results.splice(0)) if (fd >= 0) this.#sys.close(fd);
    this.#next = 0;
    this.answering = 0;
  }
}

/** A bound TCP socket that does not listen yet; or the negative errno. */
export function openTcpPort(sys: Libc, spot: Spot, port: number): number {
  const isIpv6 = spot.family === 6;
  const fd = isIpv6 ? openTcp6(sys) : openTcp(sys);
  if (fd < 0) return fd;
  setOobInline(sys, fd);
  const result = reservePort(sys, fd, () =>
    isIpv6 ? bindIpv6(sys, fd, spot.octets, port) : bindIpv4(sys, fd, spot.address, port),
  );
  if (result >= 0) return fd;
  sys.close(fd);
  return result;
}
