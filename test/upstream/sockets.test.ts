/** Operations on real sockets: results and signs, stale handles, all kinds of ends, events. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, EAGAIN, EBADF, ECONNREFUSED, ECONNRESET, ENOTCONN } from "../../src/sys/errno.ts";
import {
  AF_INET6,
  EPOLLPRI,
  IP_TOS,
  IPV6_TCLASS,
  MSG_OOB,
  SO_KEEPALIVE,
  SOCKADDR_IN6_SIZE,
  SOL_IP,
  SOL_IPV6,
  SOL_SOCKET,
} from "../../src/sys/linux.ts";
import {
  connectIpv4,
  getOption,
  isAtMark,
  openTcp,
  openTcp6,
  setOobInline,
} from "../../src/sys/socket.ts";
import { HiddenPorts } from "../../src/upstream/hidden-ports.ts";
import { DATAGRAM } from "../../src/upstream/sockets.ts";
import * as abi from "../../wasm/abi.ts";
import { systemTest, waitFor } from "../sys/support.ts";
import {
  ANY,
  accept,
  freePort,
  LOOPBACK,
  listen,
  nameOf,
  Rig,
  receive,
  rigTest,
  send,
  udpSocket,
} from "./rig.ts";

/** Negative as a signed word, as handles of high generations are. */
const HANDLE = 0xfedc0007 | 0;
const OLDER = 0xfedb0007 | 0;

/** A connection of the flow HANDLE and its far end. */
function connected(rig: Rig): number {
  const { fd, port } = listen(rig.sys);
  const result = rig.perform(abi.OP_TCP_CONNECT, HANDLE, { a: LOOPBACK, b: port });
  assert.ok(result === 0 || result === 1, `${result}`);
  const far = accept(rig.sys, fd);
  rig.sys.close(fd);
  rig.awaitEvent(HANDLE, abi.EVENT_WRITABLE);
  return far;
}

describe("sockets: TCP", () => {
  rigTest("a connection carries data both ways and is half-closed", (rig) => {
    const far = connected(rig);
    assert.equal(rig.sockets.openCount, 1);
    assert.equal(rig.perform(abi.OP_TCP_ERROR, HANDLE), 0);
    assert.equal(rig.perform(abi.OP_TCP_SEND, HANDLE, { pointer: rig.message("to host") }), 7);
    assert.equal(receive(rig.sys, far), "to host");
    const pointer = rig.message();
    assert.equal(rig.perform(abi.OP_TCP_RECV, HANDLE, { pointer }), -EAGAIN);
    send(rig.sys, far, "to guest");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    assert.equal(rig.perform(abi.OP_TCP_RECV, HANDLE, { pointer }), 8);
    assert.equal(rig.received(8), "to guest");
    assert.equal(rig.perform(abi.OP_TCP_SHUTDOWN, HANDLE), 0);
    assert.equal(receive(rig.sys, far), "");
    rig.sys.close(far);
    rig.awaitEvent(HANDLE, abi.EVENT_READ_HANGUP | abi.EVENT_HANGUP);
    assert.equal(rig.perform(abi.OP_TCP_RECV, HANDLE, { pointer }), 0);
    assert.equal(rig.perform(abi.OP_CLOSE, HANDLE), 0);
    assert.equal(rig.sockets.openCount, 0);
  });

  rigTest("a connection refused at once leaves nothing open", (rig) => {
    const port = freePort(rig.sys, "tcp");
    const result = rig.perform(abi.OP_TCP_CONNECT, HANDLE, { a: LOOPBACK, b: port });
    assert.equal(result, -ECONNREFUSED);
    assert.equal(rig.sockets.openCount, 0);
    assert.equal(rig.perform(abi.OP_CLOSE, HANDLE), -EBADF);
  });

  systemTest(
    "ports of links are refused whenever they come, their neighbours are not",
    [],
    (sys) => {
      const { fd, port } = listen(sys);
      const hidden = new HiddenPorts();
      const rig = new Rig(sys, {}, { hidden });
      const to = (a: number, b: number): number =>
        rig.perform(abi.OP_TCP_CONNECT, HANDLE, { a, b });
      new HiddenPorts(hidden.memory).add(port); // another network's, after this one has started
      for (const address of [LOOPBACK, 0x7f000002, 0x7fffffff, ANY]) {
        assert.equal(to(address, port), -ECONNREFUSED, address.toString(16));
      }
      const { octets, view, bases } = rig.engine;
      for (const [middle, ...last] of [
        [0, 0, 0, 0, 1], // ::1
        [0, 0, 0, 0, 0], // ::
        [0xffff, 127, 0, 0, 1],
        [0xffff, 0, 0, 0, 0],
        [0, 127, 1, 2, 3],
      ] as const) {
        const pointer = bases.scratch; // struct sockaddr_in6
        octets.fill(0, pointer, pointer + SOCKADDR_IN6_SIZE);
        view.setUint16(pointer, AF_INET6, true);
        view.setUint16(pointer + 2, port, false);
        view.setUint16(pointer + 18, middle, false);
        octets.set(last, pointer + 20);
        const fields = { count: abi.FAMILY_SIX, pointer };
        const result = rig.perform(abi.OP_TCP_CONNECT, HANDLE, fields);
        assert.equal(result, -ECONNREFUSED, `${middle} ${last}`);
      }
      assert.equal(rig.sockets.openCount, 0);
      const other = listen(sys);
      assert.ok(to(LOOPBACK, other.port) >= 0);
      assert.equal(rig.sockets.openCount, 1);
      rig.sockets.close();
      for (const listener of [fd, other.fd]) sys.close(listener);
    },
  );

  rigTest("a connection refused later says so by OP_TCP_ERROR, negative and once", (rig) => {
    const port = freePort(rig.sys, "tcp");
    assert.equal(rig.perform(abi.OP_TCP_CONNECT, HANDLE, { a: ANY, b: port }), 0);
    rig.awaitEvent(HANDLE, abi.EVENT_ERROR | abi.EVENT_HANGUP);
    assert.equal(rig.perform(abi.OP_TCP_ERROR, HANDLE), -ECONNREFUSED);
    assert.equal(rig.perform(abi.OP_TCP_ERROR, HANDLE), 0);
    assert.equal(rig.perform(abi.OP_CLOSE, HANDLE), 0);
  });

  rigTest("an aborted connection is reset, an orderly one ends", (rig) => {
    for (const [a, wanted] of [
      [1, -ECONNRESET],
      [0, ""],
    ] as const) {
      const far = connected(rig);
      assert.equal(rig.perform(abi.OP_CLOSE, HANDLE, { a }), 0);
      assert.equal(receive(rig.sys, far), wanted);
      rig.sys.close(far);
    }
  });

  rigTest("a reset by the peer is the result of the next read", (rig) => {
    const far = connected(rig);
    const other = 0x00010003;
    rig.sockets.adopt(other, far);
    rig.perform(abi.OP_CLOSE, other, { a: 1 });
    rig.awaitEvent(HANDLE, abi.EVENT_ERROR);
    const pointer = rig.message();
    assert.equal(rig.perform(abi.OP_TCP_RECV, HANDLE, { pointer }), -ECONNRESET);
  });

  rigTest("urgent octets go out as such, and come in where they belong", (rig) => {
    const { sys } = rig;
    const far = connected(rig);
    assert.equal(setOobInline(sys, far), 0);
    const out = (text: string, c = 0): void => {
      const pointer = rig.message(text);
      assert.equal(
        rig.perform(abi.OP_TCP_SEND, HANDLE, { pointer, a: text.length, c }),
        text.length,
      );
    };
    out("ab");
    out("c", 1);
    waitFor(sys, far, EPOLLPRI);
    out("d");
    assert.equal(isAtMark(sys, far), 0);
    assert.equal(receive(sys, far), "ab");
    assert.equal(isAtMark(sys, far), 1);
    assert.equal(receive(sys, far), "cd");

    const octets = new TextEncoder().encode("xyz");
    assert.equal(sys.send(far, sys.address(octets), 3, MSG_OOB), 3);
    rig.awaitEvent(HANDLE, abi.EVENT_URGENT);
    const read = (): string => {
      const n = rig.perform(abi.OP_TCP_RECV, HANDLE, { pointer: rig.message() });
      return rig.received(check(n, "Receive"));
    };
    assert.equal(rig.perform(abi.OP_TCP_AT_MARK, HANDLE), 0);
    assert.equal(read(), "xy");
    assert.equal(rig.perform(abi.OP_TCP_AT_MARK, HANDLE), 1);
    assert.equal(read(), "z");
    assert.equal(rig.perform(abi.OP_TCP_AT_MARK, HANDLE), 0);
    sys.close(far);
  });

  rigTest("the DSCP is set as the guest has it", (rig) => {
    for (const [open, level, name, count] of [
      [openTcp, SOL_IP, IP_TOS, 0],
      [openTcp6, SOL_IPV6, IPV6_TCLASS, abi.FAMILY_SIX],
    ] as const) {
      const fd = check(open(rig.sys), "Open");
      assert.equal(rig.sockets.adopt(HANDLE, fd), 0);
      assert.equal(rig.perform(abi.OP_TCP_TOS, HANDLE, { a: 0xb8, count }), 0);
      assert.equal(getOption(rig.sys, fd, level, name), 0xb8);
      rig.perform(abi.OP_CLOSE, HANDLE);
    }
  });

  rigTest("keepalive goes on and off", (rig) => {
    const fd = check(openTcp(rig.sys), "Open");
    assert.equal(rig.sockets.adopt(HANDLE, fd), 0);
    for (const seconds of [30, 0]) {
      assert.equal(rig.perform(abi.OP_TCP_KEEPALIVE, HANDLE, { a: seconds }), 0);
      assert.equal(getOption(rig.sys, fd, SOL_SOCKET, SO_KEEPALIVE), seconds > 0 ? 1 : 0);
    }
  });

  rigTest("a socket that is not connected gives errors, not exceptions or signals", (rig) => {
    rig.sockets.adopt(HANDLE, check(openTcp(rig.sys), "Open"));
    assert.ok(rig.perform(abi.OP_TCP_SEND, HANDLE, { pointer: rig.message("x") }) < 0);
    assert.equal(rig.perform(abi.OP_TCP_RECV, HANDLE, { pointer: rig.message() }), -ENOTCONN);
    assert.equal(rig.perform(abi.OP_TCP_SHUTDOWN, HANDLE), -ENOTCONN);
  });
});

describe("sockets: datagrams", () => {
  rigTest("several go out and come in with one operation each", (rig) => {
    const { fd, port } = udpSocket(rig.sys);
    const open = { a: 0, b: LOOPBACK, c: port };
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, open), 0);
    const pointer = rig.message("one", 0);
    rig.message("three", 1);
    assert.equal(rig.perform(abi.OP_UDP_SEND, HANDLE, { pointer, count: 2 }), 2);
    assert.deepEqual([receive(rig.sys, fd), receive(rig.sys, fd)], ["one", "three"]);
    rig.sys.close(fd);
  });

  rigTest("what a receiver has read wakes nobody up", (rig) => {
    const { fd, port } = udpSocket(rig.sys);
    rig.perform(abi.OP_UDP_OPEN, HANDLE, { a: 0, b: LOOPBACK, c: port });
    assert.equal(rig.epoll.wait(8, 0), 0);
    const pointer = rig.message("one");
    assert.equal(rig.perform(abi.OP_UDP_SEND, HANDLE, { pointer, count: 1 }), 1);
    assert.equal(receive(rig.sys, fd), "one");
    assert.equal(rig.epoll.wait(8, 0), 0);
    rig.sys.close(fd);
  });

  rigTest("what comes in brings its sender", (rig) => {
    const { fd, port } = udpSocket(rig.sys);
    const peer = udpSocket(rig.sys);
    rig.sockets.adopt(HANDLE, fd);
    assert.equal(
      rig.perform(abi.OP_UDP_RECV, HANDLE, { pointer: rig.message(), count: 1 }),
      -EAGAIN,
    );
    check(connectIpv4(rig.sys, peer.fd, LOOPBACK, port), "Connect");
    send(rig.sys, peer.fd, "first");
    send(rig.sys, peer.fd, "second");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    const pointer = rig.message("", 0);
    rig.message("", 1);
    assert.equal(rig.perform(abi.OP_UDP_RECV, HANDLE, { pointer, count: 2 }), 2);
    assert.deepEqual([rig.received(5, 0), rig.received(6, 1)], ["first", "second"]);
    const name = rig.engine.bases.scratch + 0x1000 + 0x100;
    assert.equal(rig.engine.view.getUint16(name + 2), peer.port);
    assert.equal(rig.engine.view.getUint32(name + 4), LOOPBACK);
    rig.sys.close(peer.fd);
  });

  rigTest("the error of a refused datagram is fetched with what was refused", (rig) => {
    const port = freePort(rig.sys, "udp");
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE, { b: LOOPBACK, c: port }), 0);
    const message = { pointer: rig.message("lost"), count: 1 };
    assert.equal(rig.perform(abi.OP_UDP_SEND, HANDLE, message), 1);
    rig.awaitEvent(HANDLE, abi.EVENT_ERROR);
    assert.equal(rig.perform(abi.OP_RECV_ERROR, HANDLE, { pointer: rig.message() }), 4);
    assert.equal(rig.received(4), "lost");
    const portUnreachable = [ECONNREFUSED, 2, 3, 3];
    assert.deepEqual(rig.queuedError(), portUnreachable);
    assert.equal(rig.perform(abi.OP_RECV_ERROR, HANDLE, { pointer: rig.message() }), -EAGAIN);
  });
});

describe("sockets: handles", () => {
  rigTest("a stale handle finds nothing, whatever is asked", (rig) => {
    const { fd } = udpSocket(rig.sys);
    rig.sockets.adopt(HANDLE, fd);
    const pointer = rig.message();
    const needing = [
      ...[abi.OP_TCP_SEND, abi.OP_TCP_RECV, abi.OP_TCP_SHUTDOWN, abi.OP_CLOSE, abi.OP_UDP_SEND],
      ...[abi.OP_UDP_RECV, abi.OP_RECV_ERROR, abi.OP_TCP_KEEPALIVE, abi.OP_TCP_ERROR],
      ...[abi.OP_TCP_TOS, abi.OP_TCP_AT_MARK],
    ];
    for (const kind of needing) {
      for (const handle of [OLDER, HANDLE + 1, 0]) {
        assert.equal(rig.perform(kind, handle, { pointer, count: 1 }), -EBADF, `${kind} ${handle}`);
      }
    }
    assert.equal(rig.sockets.openCount, 1);
    assert.equal(nameOf(rig.sys, fd).address, LOOPBACK);
    assert.equal(rig.perform(abi.OP_CLOSE, HANDLE), 0);
    assert.equal(rig.perform(abi.OP_CLOSE, HANDLE), -EBADF);
  });

  rigTest("operations are carried out in order, so a slot can be used again at once", (rig) => {
    rig.sockets.adopt(OLDER, udpSocket(rig.sys).fd);
    assert.equal(rig.perform(abi.OP_CLOSE, OLDER), 0);
    assert.equal(rig.perform(abi.OP_UDP_OPEN, HANDLE), 0);
    assert.equal(rig.perform(abi.OP_CLOSE, OLDER), -EBADF);
    assert.equal(rig.sockets.openCount, 1);
  });

  rigTest("edges are told once, with the handle they belong to", (rig) => {
    const { fd, port } = udpSocket(rig.sys);
    const peer = udpSocket(rig.sys);
    rig.sockets.adopt(HANDLE, fd);
    check(connectIpv4(rig.sys, peer.fd, LOOPBACK, port), "Connect");
    send(rig.sys, peer.fd, "x");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE | abi.EVENT_WRITABLE);
    assert.equal(rig.epoll.wait(8, 0), 0);
    send(rig.sys, peer.fd, "y");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    rig.sys.close(peer.fd);
  });

  rigTest("a flow with news again and again is quiet until it is heeded", (rig) => {
    const quiet = udpSocket(rig.sys);
    const other = udpSocket(rig.sys);
    const peer = udpSocket(rig.sys);
    rig.sockets.adopt(HANDLE, quiet.fd, DATAGRAM);
    rig.sockets.adopt(1, other.fd, DATAGRAM);
    const say = (port: number): number => {
      check(connectIpv4(rig.sys, peer.fd, LOOPBACK, port), "Connect");
      send(rig.sys, peer.fd, "x");
      return check(rig.epoll.wait(8, 0), "Wait");
    };
    for (let full = 0; full < 3; full += 1) {
      for (const wanted of [1, 1, 0, 0, 0]) {
        assert.equal(say(quiet.port), wanted);
        if (wanted > 0) rig.sockets.quieten(HANDLE);
      }
      assert.equal(say(other.port), 1, "others are heard");
      rig.sockets.quieten(1);
      rig.sockets.quieten(OLDER);
      rig.sockets.heed();
      assert.equal(rig.epoll.wait(8, 0), 1, "what came meanwhile is told");
      assert.deepEqual([rig.epoll.dataLo(0), rig.epoll.wait(8, 0)], [HANDLE, 0]);
    }
    rig.sys.close(peer.fd);
  });

  rigTest("a flow that takes the place of a quiet one is heard", (rig) => {
    const [older, newer] = [udpSocket(rig.sys), udpSocket(rig.sys)];
    rig.sockets.adopt(OLDER, older.fd, DATAGRAM);
    for (let i = 0; i < 3; i += 1) rig.sockets.quieten(OLDER);
    rig.sockets.adopt(HANDLE, newer.fd, DATAGRAM);
    rig.sockets.heed();
    const peer = udpSocket(rig.sys);
    check(connectIpv4(rig.sys, peer.fd, LOOPBACK, newer.port), "Connect");
    send(rig.sys, peer.fd, "x");
    rig.awaitEvent(HANDLE, abi.EVENT_READABLE);
    rig.sys.close(peer.fd);
  });

  rigTest("what cannot be opened is passed on as it is", (rig) => {
    assert.equal(rig.sockets.adopt(HANDLE, -EBADF), -EBADF);
    assert.ok(rig.sockets.adopt(HANDLE, 1_000_000) < 0, "no such descriptor");
    assert.equal(rig.sockets.openCount, 0);
  });

  rigTest("an unknown operation is a fault of ours", (rig) => {
    rig.sockets.adopt(HANDLE, udpSocket(rig.sys).fd);
    assert.throws(() => rig.perform(99, HANDLE), RangeError);
  });

  rigTest("closing ends all, and again does nothing", (rig) => {
    const fds = [1, 2, 3].map((slot) => {
      const { fd } = udpSocket(rig.sys);
      rig.sockets.adopt((slot << 16) | slot, fd);
      return fd;
    });
    rig.sockets.close();
    rig.sockets.close();
    assert.equal(rig.sockets.openCount, 0);
    const name = rig.sys.scratch.address;
    for (const fd of fds) assert.equal(rig.sys.getsockname(fd, name, name + 128), -EBADF);
  });
});
