/** Operations on sockets of IPv6, as sockets.test.ts has of IPv4; options as the kernel says. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { EAGAIN, ECONNREFUSED, EMSGSIZE, ENETUNREACH } from "../../src/sys/errno.ts";
import {
  AF_INET6,
  IPV6_RECVERR,
  IPV6_TCLASS,
  IPV6_V6ONLY,
  SO_OOBINLINE,
  SOL_IPV6,
  SOL_SOCKET,
  SOL_TCP,
  SOL_UDP,
  TCP_NODELAY,
  UDP_GRO,
} from "../../src/sys/linux.ts";
import { getOption } from "../../src/sys/socket.ts";
import * as abi from "../../wasm/abi.ts";
import {
  ANY6,
  accept,
  LOOPBACK6,
  listen6,
  type Rig,
  receive,
  rigTest,
  send,
  udpSocket6,
} from "./rig.ts";

const HANDLE = 0xfedc0007 | 0;
const SIX = abi.FAMILY_SIX;
const DOCUMENTATION = [0x20, 0x01, 0x0d, 0xb8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

/** The descriptor that the next socket gets. */
function nextDescriptor(rig: Rig): number {
  const { fd } = udpSocket6(rig.sys);
  rig.sys.close(fd);
  return fd;
}

function connect(rig: Rig, octets: ArrayLike<number>, port: number, tos = 0): number {
  const pointer = rig.name6(octets, port);
  return rig.perform(abi.OP_TCP_CONNECT, HANDLE, { pointer, count: SIX, c: tos });
}

describe("sockets of IPv6: TCP", () => {
  rigTest("::1 is connected when the operation is done, and carries data both ways", (rig) => {
    const { sys } = rig;
    const listener = listen6(sys);
    const fd = nextDescriptor(rig);
    assert.equal(connect(rig, LOOPBACK6, listener.port, 0x28), 1);
    const far = accept(sys, listener.fd);
    for (const [level, name, value] of [
      [SOL_TCP, TCP_NODELAY, 1],
      [SOL_SOCKET, SO_OOBINLINE, 1],
      [SOL_IPV6, IPV6_TCLASS, 0x28],
      [SOL_IPV6, IPV6_V6ONLY, 1],
    ] as const) {
      assert.equal(getOption(sys, fd, level, name), value, `${level} ${name}`);
    }
    assert.equal(rig.perform(abi.OP_TCP_SEND, HANDLE, { pointer: rig.message("out") }), 3);
    assert.equal(receive(sys, far), "out");
    send(sys, far, "home");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    assert.equal(rig.perform(abi.OP_TCP_RECV, HANDLE, { pointer: rig.message() }), 4);
    assert.equal(rig.received(4), "home");
    for (const each of [far, listener.fd]) sys.close(each);
  });

  rigTest("without a DSCP the option is left as it is", (rig) => {
    const listener = listen6(rig.sys);
    const fd = nextDescriptor(rig);
    connect(rig, LOOPBACK6, listener.port);
    assert.equal(getOption(rig.sys, fd, SOL_IPV6, IPV6_TCLASS), 0);
    rig.sys.close(listener.fd);
  });

  rigTest(":: is this machine as well, and heard of later", (rig) => {
    const listener = listen6(rig.sys);
    assert.equal(connect(rig, ANY6, listener.port), 0);
    rig.awaitEvent(HANDLE, abi.EVENT_WRITABLE);
    assert.equal(rig.perform(abi.OP_TCP_ERROR, HANDLE), 0);
    rig.sys.close(listener.fd);
  });

  rigTest("nobody there: refused at once, and nothing stays open", (rig) => {
    const listener = listen6(rig.sys);
    rig.sys.close(listener.fd);
    assert.equal(connect(rig, LOOPBACK6, listener.port), -ECONNREFUSED);
    assert.equal(rig.sockets.openCount, 0);
    assert.equal(nextDescriptor(rig), listener.fd);
  });
});

describe("sockets of IPv6: UDP", () => {
  rigTest("one for a peer sends to it and hears it", (rig) => {
    const { sys } = rig;
    const peer = udpSocket6(sys);
    const fd = nextDescriptor(rig);
    const pointer = rig.name6(LOOPBACK6, peer.port);
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, { pointer, count: SIX }), 0);
    assert.equal(getOption(sys, fd, SOL_IPV6, IPV6_RECVERR), 1);
    assert.notEqual(getOption(sys, fd, SOL_UDP, UDP_GRO), 0);
    const message = { pointer: rig.message("ask"), count: 1, a: 1 };
    assert.equal(rig.perform(abi.OP_UDP_SEND, HANDLE, message), 1);
    assert.equal(receive(sys, peer.fd), "ask");
    sys.close(peer.fd);
  });

  rigTest("one for anybody has the port that was asked for, and tells who sends", (rig) => {
    const { sys } = rig;
    const { fd: probe, port } = udpSocket6(sys);
    sys.close(probe);
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, { a: port, count: SIX }), 0);
    const peer = udpSocket6(sys);
    const name = rig.name6(LOOPBACK6, port) - rig.engine.bases.scratch;
    const address = sys.address(rig.engine.octets) + rig.engine.bases.scratch + name;
    assert.equal(sys.connect(peer.fd, address, 28), 0);
    send(sys, peer.fd, "hello");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    const message = { pointer: rig.message(), count: 1 };
    assert.equal(rig.perform(abi.OP_UDP_RECV, HANDLE, message), 1);
    assert.equal(rig.received(5), "hello");
    const { view, octets, bases } = rig.engine;
    const sender = bases.scratch + 0x1000 + 0x100;
    assert.equal(view.getUint16(sender, true), AF_INET6);
    assert.equal(view.getUint16(sender + 2), peer.port);
    assert.deepEqual(octets.slice(sender + 8, sender + 24), LOOPBACK6);
    sys.close(peer.fd);
  });

  rigTest("the error of a refused datagram is fetched with what was refused", (rig) => {
    const { fd, port } = udpSocket6(rig.sys);
    rig.sys.close(fd);
    const pointer = rig.name6(LOOPBACK6, port);
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, { pointer, count: SIX }), 0);
    const message = { pointer: rig.message("lost"), count: 1, a: 1 };
    assert.equal(rig.perform(abi.OP_UDP_SEND, HANDLE, message), 1);
    rig.awaitEvent(HANDLE, abi.EVENT_ERROR);
    assert.equal(rig.perform(abi.OP_RECV_ERROR, HANDLE, { pointer: rig.message() }), 4);
    assert.equal(rig.received(4), "lost");
    const portUnreachable = [ECONNREFUSED, 3, 1, 4];
    assert.deepEqual(rig.queuedError(), portUnreachable);
    assert.equal(rig.perform(abi.OP_RECV_ERROR, HANDLE, { pointer: rig.message() }), -EAGAIN);
  });

  rigTest("where there is no way it is the errno, and nothing stays open", (rig) => {
    const fd = nextDescriptor(rig);
    const pointer = rig.name6(DOCUMENTATION, 9);
    const result = rig.perform(abi.OP_UDP_OPEN, HANDLE, { pointer, count: SIX });
    if (result === 0) return; // this host has a way to everywhere
    assert.equal(result, -ENETUNREACH);
    assert.equal(nextDescriptor(rig), fd);
  });
});

describe("sockets of both versions: paths", () => {
  rigTest("the size of the way is the kernel's for either", (rig) => {
    const { fd } = udpSocket6(rig.sys);
    rig.sockets.adopt(HANDLE, fd);
    const pointer = rig.name6(LOOPBACK6, 9);
    assert.equal(rig.perform(abi.OP_PATH_MTU, HANDLE, { pointer, count: SIX }), 65_536);
    assert.equal(rig.perform(abi.OP_PATH_MTU, HANDLE, { b: 0x7f000001, pointer }), 65_535);
  });

  rigTest("a datagram that no way takes is the errno", (rig) => {
    const { port } = udpSocket6(rig.sys);
    const to = { pointer: rig.name6(LOOPBACK6, port), count: SIX };
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, to), 0);
    const pointer = rig.message("x");
    const { view, bases } = rig.engine;
    view.setBigUint64(bases.scratch + 0x1000 + abi.IOV_LENGTH_OFFSET, 70_000n, true);
    assert.equal(rig.perform(abi.OP_UDP_SEND, HANDLE, { pointer, count: 1, a: 1 }), -EMSGSIZE);
  });
});
