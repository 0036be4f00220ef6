/**
 * Real sockets under a real engine's memory: operations written by hand into its list, carried out
 * by `HostSockets`, their events read from epoll. Peers are sockets of the same thread.
 */
import assert from "node:assert/strict";
import { HostEngine } from "../../src/engine/host-engine.ts";
import { instantiateEngine } from "../../src/engine/instance.ts";
import { Epoll } from "../../src/sys/epoll.ts";
import { check } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { AF_INET6, EPOLLIN, MSG_NOSIGNAL, SOCKADDR_IN6_SIZE } from "../../src/sys/linux.ts";
import type { Ipv4Endpoint } from "../../src/sys/sockaddr.ts";
import * as socket from "../../src/sys/socket.ts";
import type { HiddenPorts } from "../../src/upstream/hidden-ports.ts";
import type { SocketBounds, SocketWays } from "../../src/upstream/socket-ways.ts";
import { HostSockets } from "../../src/upstream/sockets.ts";
import * as abi from "../../wasm/abi.ts";
import { engineModule } from "../support/engine-binary.ts";
import { type WorldOptions, worldConfig } from "../support/engine-settings.ts";
import { systemTest, waitFor } from "../sys/support.ts";

export const LOOPBACK = 0x7f000001;
/** Also this machine, but not by the address that `connectTcp` knows to answer at once. */
export const ANY = 0;
const BUFFER_SIZE = 4096;
const WAIT_US = 5_000_000;

interface OpFields {
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  readonly pointer?: number;
  readonly count?: number;
}

interface RigLimits {
  readonly hidden?: HiddenPorts;
  readonly bounds?: SocketBounds;
  readonly ways?: SocketWays;
}

export class Rig {
  readonly sys: Libc;
  readonly engine = new HostEngine(instantiateEngine(engineModule("simd")));
  readonly epoll: Epoll;
  readonly sockets: HostSockets;
  readonly #base: number;

  /** @param limits ports of the loopback that are hidden, bounds of sockets, and where they lead */
  constructor(sys: Libc, options: WorldOptions = {}, limits: RigLimits = {}) {
    const { hidden, bounds, ways } = limits;
    this.sys = sys;
    this.#base = sys.address(this.engine.octets.buffer);
    this.engine.setHostBase(BigInt(this.#base));
    this.engine.start(worldConfig(options));
    this.epoll = new Epoll(sys);
    this.sockets = new HostSockets(
      ...([sys, this.epoll, this.engine, this.#base] as const),
      ...([hidden, bounds, ways] as const),
    );
  }

  /** Carries out one operation and returns its result. */
  perform(kind: number, handle: number, fields: OpFields = {}): number {
    this.#list(0, kind, handle, fields);
    this.sockets.execute(this.engine.bases.ops, 1);
    return this.#result(0);
  }

  /** Carries out two operations of a flow as one list. */
  performBoth(
    handle: number,
    one: readonly [kind: number, OpFields],
    two: readonly [kind: number, OpFields],
  ): readonly number[] {
    this.#list(0, one[0], handle, one[1]);
    this.#list(1, two[0], handle, two[1]);
    this.sockets.execute(this.engine.bases.ops, 2);
    return [this.#result(0), this.#result(1)];
  }

  #list(i: number, kind: number, handle: number, fields: OpFields): void {
    const { view, bases } = this.engine;
    const at = bases.ops + i * abi.OP_SIZE;
    const { a = 0, b = 0, c = 0, pointer = 0, count = 0 } = fields;
    view.setInt32(at + abi.OP_KIND_OFFSET, kind, true);
    view.setInt32(at + abi.OP_HANDLE_OFFSET, handle, true);
    view.setInt32(at + abi.OP_RESULT_OFFSET, 0x5a5a5a5a, true);
    view.setUint32(at + abi.OP_A_OFFSET, a, true);
    view.setUint32(at + abi.OP_B_OFFSET, b, true);
    view.setUint32(at + abi.OP_C_OFFSET, c, true);
    view.setUint32(at + abi.OP_POINTER_OFFSET, pointer, true);
    view.setUint32(at + abi.OP_COUNT_OFFSET, count, true);
  }

  #result(i: number): number {
    const at = this.engine.bases.ops + i * abi.OP_SIZE + abi.OP_RESULT_OFFSET;
    return this.engine.view.getInt32(at, true);
  }

  /** Lays out message `i` with one buffer, in which `text` stands; returns its engine address. */
  message(text = "", i = 0): number {
    const { octets, view, bases } = this.engine;
    const at = bases.scratch + i * abi.MSG_SIZE;
    const rest = bases.scratch + 0x1000 + i * (BUFFER_SIZE + 0x400);
    const [iov, name, control, data] = [rest, rest + 0x100, rest + 0x200, rest + 0x400];
    octets.fill(0, at, at + abi.MSG_SIZE);
    octets.fill(0, rest, data);
    const bytes = new TextEncoder().encode(text);
    octets.set(bytes, data);
    const size = text === "" ? BUFFER_SIZE : bytes.length;
    const u64 = (offset: number, value: number): void =>
      view.setBigUint64(offset, BigInt(value), true);
    u64(iov + abi.IOV_BASE_OFFSET, this.#base + data);
    u64(iov + abi.IOV_LENGTH_OFFSET, size);
    u64(at + abi.MSG_IOV_OFFSET, this.#base + iov);
    u64(at + abi.MSG_IOV_COUNT_OFFSET, 1);
    if (text === "") {
      u64(at + abi.MSG_NAME_OFFSET, this.#base + name);
      u64(at + abi.MSG_NAME_LENGTH_OFFSET, abi.MSG_NAME_SIZE);
      u64(at + abi.MSG_CONTROL_OFFSET, this.#base + control);
      u64(at + abi.MSG_CONTROL_LENGTH_OFFSET, abi.MSG_CONTROL_SIZE);
    }
    return at;
  }

  /** Writes a struct sockaddr_in6 apart from the messages; returns its engine address. */
  name6(octets: ArrayLike<number>, port: number): number {
    const { octets: memory, view, bases } = this.engine;
    const at = bases.scratch + 0x8000;
    memory.fill(0, at, at + SOCKADDR_IN6_SIZE);
    view.setUint16(at, AF_INET6, true);
    view.setUint16(at + 2, port, false);
    memory.set(octets, at + 8);
    return at;
  }

  /** Has message `i` use the receive slots, which are large, for so many octets. */
  useSlots(i: number, octets: number): void {
    const { view, bases } = this.engine;
    const iov = bases.scratch + 0x1000 + i * (BUFFER_SIZE + 0x400);
    view.setBigUint64(iov + abi.IOV_BASE_OFFSET, BigInt(this.#base + bases.rxBuffers), true);
    view.setBigUint64(iov + abi.IOV_LENGTH_OFFSET, BigInt(octets), true);
  }

  /** Octets of message `i` of which `length` were received. */
  received(length: number, i = 0): string {
    const data = this.engine.bases.scratch + 0x1000 + i * (BUFFER_SIZE + 0x400) + 0x400;
    return new TextDecoder().decode(this.engine.octets.slice(data, data + length));
  }

  /** errno, origin, type and code of the first control message of message 0. */
  queuedError(): readonly number[] {
    const control = this.engine.bases.scratch + 0x1000 + 0x200 + 16;
    const { view } = this.engine;
    return [view.getUint32(control, true), ...[4, 5, 6].map((i) => view.getUint8(control + i))];
  }

  /** Waits until the socket of a flow, or a listener by its index, has said all of `bits`. */
  awaitEvent(data: number, bits: number, kind = 0): void {
    let seen = 0;
    for (let n = 1; n > 0 && (seen & bits) !== bits; ) {
      n = check(this.epoll.wait(64, WAIT_US), "Wait");
      for (let i = 0; i < n; i += 1) {
        const isWanted = this.epoll.dataLo(i) === data && this.epoll.dataHi(i) === kind;
        if (isWanted) seen |= this.epoll.eventBits(i);
      }
    }
    assert.equal(seen & bits, bits, `events of ${data}`);
  }

  /** Lets the engine finish its turn; frames for the guest go nowhere. */
  settle(now: number): void {
    const { engine } = this;
    engine.step(now);
    for (;;) {
      engine.txDone();
      if (engine.opCount === 0) return;
      this.sockets.execute(engine.opBase, engine.opCount);
      engine.complete(now);
    }
  }

  close(): void {
    this.sockets.close();
    this.epoll.close();
  }
}

/** A test with a rig that is taken down in any case. */
export function rigTest(
  name: string,
  run: (rig: Rig) => void,
  options: WorldOptions = {},
  limits: RigLimits = {},
): void {
  systemTest(name, [], (sys) => {
    const rig = new Rig(sys, options, limits);
    try {
      run(rig);
    } finally {
      rig.close();
    }
  });
}

/** A listening TCP socket, on a port of the kernel's choice unless one is given. */
export function listen(sys: Libc, wanted = 0): { fd: number; port: number } {
  const fd = check(socket.openTcp(sys), "Open");
  check(socket.listenIpv4(sys, fd, LOOPBACK, wanted), "Listen");
  return { fd, port: nameOf(sys, fd).port };
}

export function accept(sys: Libc, listener: number): number {
  waitFor(sys, listener, EPOLLIN);
  return check(socket.accept(sys, listener), "Accept");
}

export function nameOf(sys: Libc, fd: number): Ipv4Endpoint {
  const name = { address: 0, port: 0 };
  check(socket.localEndpoint(sys, fd, name), "Name");
  return name;
}

/** ::1. */
export const LOOPBACK6 = Uint8Array.of(...new Array<number>(15).fill(0), 1);
/** ::, also this machine, but not by the address that `connectTcp6` knows to answer at once. */
export const ANY6 = new Uint8Array(16);

/** A listening TCP socket of IPv6 at ::1. */
export function listen6(sys: Libc): { fd: number; port: number } {
  const fd = check(socket.openTcp6(sys), "Open");
  check(socket.bindIpv6(sys, fd, LOOPBACK6, 0), "Bind");
  check(sys.listen(fd, 16), "Listen");
  return { fd, port: socket.localPort(sys, fd) };
}

/** A bound UDP socket of IPv6 at ::1. */
export function udpSocket6(sys: Libc): { fd: number; port: number } {
  const fd = check(socket.openUdp6(sys), "Open");
  check(socket.bindIpv6(sys, fd, LOOPBACK6, 0), "Bind");
  return { fd, port: socket.localPort(sys, fd) };
}

/** A bound UDP socket. */
export function udpSocket(sys: Libc): { fd: number; port: number } {
  const fd = check(socket.openUdp(sys), "Open");
  check(socket.bindIpv4(sys, fd, LOOPBACK, 0), "Bind");
  return { fd, port: nameOf(sys, fd).port };
}

/** A port nobody has at the moment. */
export function freePort(sys: Libc, kind: "tcp" | "udp"): number {
  const { fd, port } = kind === "tcp" ? listen(sys) : udpSocket(sys);
  sys.close(fd);
  return port;
}

export function send(sys: Libc, fd: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  assert.equal(sys.send(fd, sys.address(bytes), bytes.length, MSG_NOSIGNAL), bytes.length);
}

/** What comes next, "" at the end of the stream, or the negative errno. */
export function receive(sys: Libc, fd: number): string | number {
  waitFor(sys, fd, EPOLLIN);
  const bytes = new Uint8Array(256);
  const n = sys.recv(fd, sys.address(bytes), bytes.length, 0);
  return n < 0 ? n : new TextDecoder().decode(bytes.subarray(0, n));
}
