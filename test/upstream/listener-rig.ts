/** Published ports in tests: rules, listeners and clients on this machine's loopback. */
import type { PublishRule } from "../../src/config/publish-rule.ts";
import { check, EAGAIN } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { bindIpv4, openTcp, openUdp } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { ANY_WAY } from "../../src/upstream/outbound.ts";
import { type Connecting, connectTcp } from "../../src/upstream/tcp.ts";
import type { Rig } from "./rig.ts";
import { LOOPBACK } from "./rig.ts";

export function rule(
  hostPort: number,
  guestPort: number,
  protocol: "tcp" | "udp" = "tcp",
): PublishRule {
  return { protocol, hostAddress: LOOPBACK, hostPort, guestPort };
}

export function opened(rig: Rig, ...rules: readonly PublishRule[]): Listeners {
  const listeners = new Listeners(rig.sys, rig.engine, rig.sockets);
  listeners.open(rules, rig.epoll);
  listeners.answer(true);
  return listeners;
}

/** Connects to a port of this machine, or gives the negative errno. */
export function connect(rig: Rig, port: number): number {
  const out: Connecting = { fd: -1, connected: false };
  connectTcp(rig.sys, LOOPBACK, port, { tos: 0, isLoopback: true, outbound: ANY_WAY }, out);
  return out.fd;
}

/** Connections that are still open from the client's side. */
export function alive(rig: Rig, clients: readonly number[]): number {
  const { sys } = rig;
  return clients.filter((fd) => sys.recv(fd, sys.scratch.address, 1, 0) === -EAGAIN).length;
}

/** Calls of these methods of the engine, which are made all the same. */
export function noted(rig: Rig, ...methods: readonly ("addHostPort" | "setDual" | "addressSix")[]) {
  const calls: unknown[][] = [];
  for (const method of methods) {
    const real = rig.engine[method].bind(rig.engine) as (...args: unknown[]) => unknown;
    const value = (...args: readonly unknown[]): unknown => {
      calls.push([
        method,
        ...args.map((arg) => (typeof arg === "object" ? [...(arg as [])] : arg)),
      ]);
      return real(...args);
    };
    Object.defineProperty(rig.engine, method, { value });
  }
  return calls;
}

/** The first of `count` ports in a row that nobody has. */
export function freeRow(sys: Libc, kind: "tcp" | "udp", count: number): number {
  for (let first = 21_000; ; first += count) {
    const fds = Array.from({ length: count }, (_, i) => {
      const fd = check(kind === "tcp" ? openTcp(sys) : openUdp(sys), "Open");
      return bindIpv4(sys, fd, 0, first + i) < 0 ? -fd : fd;
    });
    for (const fd of fds) sys.close(Math.abs(fd));
    if (fds.every((fd) => fd > 0)) return first;
  }
}
