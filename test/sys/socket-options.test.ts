/**
 * What sockets are made with, named and set to, as the kernel tells it back. That the numbers of
 * the options are right is shown by linux.test.ts.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { Block } from "../../src/sys/block.ts";
import { check, EADDRINUSE, EAFNOSUPPORT, EBADF, ECONNREFUSED } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import * as linux from "../../src/sys/linux.ts";
import * as socket from "../../src/sys/socket.ts";
import { systemTest, waitFor } from "./support.ts";

const { SOL_SOCKET, SOL_IP, SOL_IPV6, SOL_TCP, SOL_UDP } = linux;
const LOOPBACK = 0x7f000001;
const LOOPBACK6 = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];
const F_GETFL = 3;
/** SO_TYPE, SO_PROTOCOL and SO_DOMAIN, which only tests ask for. */
const [TYPE, PROTOCOL, DOMAIN] = [3, 38, 39];

/** What a socket is made with. */
function kindOf(sys: Libc, fd: number): readonly number[] {
  const [domain, type, protocol] = [DOMAIN, TYPE, PROTOCOL].map((name) =>
    socket.getOption(sys, fd, SOL_SOCKET, name),
  );
  const marks = sys.fcntl(fd, F_GETFL, 0) & linux.O_NONBLOCK;
  assert.equal(marks, linux.O_NONBLOCK, "non-blocking");
  assert.equal(sys.fcntl(fd, linux.F_GETFD, 0), linux.FD_CLOEXEC, "close-on-exec");
  return [domain ?? -1, type ?? -1, protocol ?? -1];
}

/** The octets of an option that is no int. */
function octetsOf(sys: Libc, fd: number, level: number, name: number, size: number): number[] {
  const value = new Block(sys, size);
  const length = new Block(sys, 4);
  length.setI32(0, size);
  check(sys.getsockopt(fd, level, name, value.address, length.address), "Ask");
  return [...value.bytes.subarray(0, length.getI32(0))];
}

/** Calls with a socket of a kind, then closes it. */
function withSocket(sys: Libc, open: (sys: Libc) => number, use: (fd: number) => void): void {
  const fd = check(open(sys), "Open");
  try {
    use(fd);
  } finally {
    sys.close(fd);
  }
}

const [V4, V6, UNIX] = [2, 10, 1];
const [STREAM, DGRAM, SEQPACKET] = [1, 2, 5];

describe("socket: kinds", () => {
  const kinds: readonly (readonly [string, (sys: Libc) => number, readonly number[], number?])[] = [
    ["TCP", socket.openTcp, [V4, STREAM, 6]],
    ["UDP", socket.openUdp, [V4, DGRAM, 17]],
    ["TCP over IPv6", socket.openTcp6, [V6, STREAM, 6], 1],
    ["UDP over IPv6", socket.openUdp6, [V6, DGRAM, 17], 1],
    ["UDP over both", socket.openUdpDual, [V6, DGRAM, 17], 0],
  ];
  for (const [name, open, kind, only] of kinds) {
    systemTest(`${name}, non-blocking and not for children`, [], (sys) =>
      withSocket(sys, open, (fd) => {
        assert.deepEqual(kindOf(sys, fd), kind);
        if (only === undefined) return;
        assert.equal(socket.getOption(sys, fd, SOL_IPV6, linux.IPV6_V6ONLY), only);
      }),
    );
  }

  systemTest("ping of both versions", ["root"], (sys) => {
    const made: number[][] = [];
    // The group range may forbid them here; what is asked for is what counts.
    const asking: Libc = { ...sys, socket: (...args) => made.push(args) - 1000 };
    socket.openPing(asking);
    socket.openPing6(asking);
    const flags = linux.SOCK_NONBLOCK | linux.SOCK_CLOEXEC;
    assert.deepEqual(made, [
      [V4, DGRAM | flags, 1],
      [V6, DGRAM | flags, 58],
    ]);
  });

  systemTest("a pair is connected and keeps messages apart", [], (sys) => {
    const pair = { a: -1, b: -1 };
    assert.equal(socket.openMessagePair(sys, pair), 0);
    assert.notEqual(pair.a, pair.b);
    for (const fd of [pair.a, pair.b]) assert.deepEqual(kindOf(sys, fd), [UNIX, SEQPACKET, 0]);
    const bytes = Uint8Array.of(1, 2, 3);
    for (const length of [3, 2]) {
      assert.equal(sys.send(pair.a, sys.address(bytes), length, 0), length);
    }
    for (const length of [3, 2]) {
      assert.equal(sys.recv(pair.b, sys.scratch.address, 8, 0), length);
    }
    sys.close(pair.a);
    assert.equal(sys.recv(pair.b, sys.scratch.address, 8, 0), 0);
    sys.close(pair.b);
    const refusing: Libc = { ...sys, socketpair: () => -EBADF };
    assert.equal(socket.openMessagePair(refusing, pair), -EBADF);
  });

  systemTest("one that cannot be made right is closed again", [], (sys) => {
    const closed: number[] = [];
    const refusing: Libc = {
      ...sys,
      setsockopt: () => -EBADF,
      bind: () => -EADDRINUSE,
      connect: () => -ECONNREFUSED,
      close: (fd) => {
        closed.push(fd);
        return sys.close(fd);
      },
    };
    assert.equal(socket.openTcp6(refusing), -EBADF);
    assert.equal(socket.openUdpDual(refusing), -EBADF);
    assert.equal(socket.listenUnix(refusing, "@slirp-socket-options"), -EADDRINUSE);
    assert.equal(socket.connectUnix(refusing, "@slirp-socket-options"), -ECONNREFUSED);
    const deaf: Libc = { ...refusing, bind: () => 0, listen: () => -EADDRINUSE };
    assert.equal(socket.listenUnix(deaf, "@slirp-socket-options"), -EADDRINUSE);
    assert.equal(closed.length, 5);
    for (const fd of closed) assert.equal(sys.fcntl(fd, linux.F_GETFD, 0), -EBADF);
    const none: Libc = { ...sys, socket: () => -EAFNOSUPPORT, close: () => assert.fail("closed") };
    for (const open of [socket.openTcp6, socket.openUdpDual]) {
      assert.equal(open(none), -EAFNOSUPPORT);
    }
    assert.equal(socket.listenUnix(none, "@x"), -EAFNOSUPPORT);
    assert.equal(socket.connectUnix(none, "@x"), -EAFNOSUPPORT);
  });
});

describe("socket: options", () => {
  type Set = (sys: Libc, fd: number, on: boolean) => number;
  const switches: readonly (readonly [string, (sys: Libc) => number, Set, number, number])[] = [
    ["no delay", socket.openTcp, socket.setNoDelay, SOL_TCP, linux.TCP_NODELAY],
    ["errors", socket.openUdp, socket.setReceiveErrors, SOL_IP, linux.IP_RECVERR],
    ["errors of IPv6", socket.openUdp6, socket.setReceiveErrors6, SOL_IPV6, linux.IPV6_RECVERR],
    ["addresses", socket.openUdp, socket.setReceiveAddress, SOL_IP, linux.IP_PKTINFO],
    [
      "addresses of IPv6",
      socket.openUdp6,
      socket.setReceiveAddress6,
      SOL_IPV6,
      linux.IPV6_RECVPKTINFO,
    ],
    ["joining", socket.openUdp, socket.setUdpGro, SOL_UDP, linux.UDP_GRO],
  ];
  for (const [name, open, set, level, option] of switches) {
    systemTest(`${name} is switched on and off`, [], (sys) =>
      withSocket(sys, open, (fd) => {
        for (const on of [true, false]) {
          assert.equal(set(sys, fd, on), 0);
          assert.equal(socket.getOption(sys, fd, level, option), Number(on));
        }
      }),
    );
  }

  systemTest("numbers are the kernel's afterwards", [], (sys) => {
    withSocket(sys, socket.openUdp, (fd) => {
      const get = (level: number, name: number) => socket.getOption(sys, fd, level, name);
      assert.equal(socket.setTos(sys, fd, 4, 0xb8), 0);
      assert.equal(get(SOL_IP, linux.IP_TOS), 0xb8);
    });
    withSocket(sys, socket.openUdp6, (fd) => {
      assert.equal(socket.setTos(sys, fd, 6, 0xb8), 0);
      assert.equal(socket.getOption(sys, fd, SOL_IPV6, linux.IPV6_TCLASS), 0xb8);
    });
  });

  systemTest("lingering has a switch and seconds", [], (sys) =>
    withSocket(sys, socket.openTcp, (fd) => {
      const linger = () => octetsOf(sys, fd, SOL_SOCKET, linux.SO_LINGER, 8);
      assert.equal(socket.setLinger(sys, fd, true, 5), 0);
      assert.deepEqual(linger(), [1, 0, 0, 0, 5, 0, 0, 0]);
      assert.equal(socket.setLinger(sys, fd, true, 0), 0);
      assert.deepEqual(linger(), [1, 0, 0, 0, 0, 0, 0, 0]);
      assert.equal(socket.setLinger(sys, fd, false, 7), 0);
      assert.deepEqual(linger(), [0, 0, 0, 0, 0, 0, 0, 0]);
    }),
  );

  systemTest("keepalive asks every 75 seconds at least, nine times", [], (sys) =>
    withSocket(sys, socket.openTcp, (fd) => {
      const get = (level: number, name: number) => socket.getOption(sys, fd, level, name);
      for (const [seconds, interval] of [
        [1, 1],
        [74, 74],
        [76, 75],
        [32_767, 75],
      ] as const) {
        assert.equal(socket.setKeepalive(sys, fd, seconds), 0);
        assert.equal(get(SOL_SOCKET, linux.SO_KEEPALIVE), 1);
        assert.equal(get(SOL_TCP, linux.TCP_KEEPIDLE), seconds);
        assert.equal(get(SOL_TCP, linux.TCP_KEEPINTVL), interval);
        assert.equal(get(SOL_TCP, linux.TCP_KEEPCNT), 9);
      }
      assert.equal(socket.setKeepalive(sys, fd, 0), 0);
      assert.equal(get(SOL_SOCKET, linux.SO_KEEPALIVE), 0);
      assert.ok(socket.setKeepalive(sys, fd, 40_000) < 0, "too long for the kernel");
      assert.equal(get(SOL_SOCKET, linux.SO_KEEPALIVE), 0);
    }),
  );

  systemTest("an interface is bound by its name, and by its name alone", ["root"], (sys) =>
    withSocket(sys, socket.openUdp, (fd) => {
      assert.equal(socket.bindDevice(sys, fd, "an-absent-iface"), -19); // ENODEV
      assert.equal(socket.bindDevice(sys, fd, "lo"), 0);
      const name = octetsOf(sys, fd, SOL_SOCKET, linux.SO_BINDTODEVICE, 16);
      assert.deepEqual(name, [0x6c, 0x6f, 0]);
    }),
  );

  systemTest("what a closed descriptor is asked is an error", [], (sys) => {
    assert.equal(socket.getOption(sys, -1, SOL_SOCKET, linux.SO_ERROR), -EBADF);
    assert.equal(socket.takeError(sys, -1), -EBADF);
    assert.equal(socket.localPort(sys, -1), -EBADF);
    assert.equal(socket.localEndpoint(sys, -1, { address: 0, port: 0 }), -EBADF);
    assert.equal(socket.isAtMark(sys, -1), -EBADF);
    assert.equal(socket.halfClose(sys, -1), -EBADF);
    const peer = { address: 1, port: 2 };
    assert.equal(socket.accept(sys, -1, peer), -EBADF);
    assert.deepEqual(peer, { address: 1, port: 2 });
  });
});

describe("socket: places", () => {
  systemTest("IPv6 is bound, accepted and told like IPv4", [], (sys) => {
    const listener = check(socket.openTcp6(sys), "Open");
    check(socket.bindIpv6(sys, listener, LOOPBACK6, 0), "Bind");
    check(sys.listen(listener, 1), "Listen");
    const port = socket.localPort(sys, listener);
    const client = check(socket.openTcp6(sys), "Open");
    check(socket.bindIpv6(sys, client, LOOPBACK6, 0), "Bind");
    const own = socket.localPort(sys, client);
    assert.ok(port > 0 && own > 0 && own !== port);
    const address = new Block(sys, linux.SOCKADDR_IN6_SIZE);
    address.view.setUint16(0, V6, true);
    address.view.setUint16(2, port, false);
    address.bytes.set(LOOPBACK6, 8);
    sys.connect(client, address.address, linux.SOCKADDR_IN6_SIZE);
    waitFor(sys, listener, linux.EPOLLIN);
    const [peer, peer6] = [
      { address: 1, port: 2 },
      { octets: new Uint8Array(16), scope: 9, port: 0 },
    ];
    const server = check(socket.accept(sys, listener, peer, peer6), "Accept");
    assert.deepEqual(peer, { address: 1, port: 2 });
    assert.deepEqual(peer6, { octets: Uint8Array.from(LOOPBACK6), scope: 0, port: own });
    for (const fd of [listener, client, server]) sys.close(fd);
  });

  systemTest("a reserved port is nobody else's, refuses, listens and stops again", [], (sys) => {
    const fd = check(socket.openTcp(sys), "Open");
    const bind = (): number => socket.bindIpv4(sys, fd, LOOPBACK, 0);
    assert.equal(socket.reservePort(sys, fd, bind), 0);
    const port = socket.localPort(sys, fd);
    const reuse = () => socket.getOption(sys, fd, SOL_SOCKET, linux.SO_REUSEADDR);
    const connect = (): number => {
      const client = check(socket.openTcp(sys), "Open");
      const result = socket.connectIpv4(sys, client, LOOPBACK, port);
      if (result < 0) waitFor(sys, client, linux.EPOLLOUT);
      const error = socket.takeError(sys, client);
      sys.close(client);
      return error;
    };
    assert.equal(reuse(), 0);
    assert.equal(connect(), -ECONNREFUSED);
    const other = check(socket.openTcp(sys), "Open");
    assert.equal(socket.listenIpv4(sys, other, LOOPBACK, port), -EADDRINUSE);
    assert.equal(socket.startListening(sys, fd, 1), 0);
    assert.equal(reuse(), 1);
    assert.equal(connect(), 0);
    assert.equal(socket.stopListening(sys, fd), 0);
    assert.equal(reuse(), 0);
    assert.equal(connect(), -ECONNREFUSED);
    for (const each of [fd, other]) sys.close(each);
  });

  systemTest("a port that connections of before hold is reserved all the same", [], (sys) => {
    const fd = check(socket.openTcp(sys), "Open");
    const calls: string[] = [];
    const results = [-EADDRINUSE, 0];
    const told: Libc = {
      ...sys,
      setsockopt: (_fd, _level, name) => {
        calls.push(`option ${name}`);
        return 0;
      },
      listen: (_fd, backlog) => {
        calls.push(`listen ${backlog}`);
        return 0;
      },
      shutdown: (_fd, how) => {
        calls.push(`shutdown ${how}`);
        return 0;
      },
    };
    const bind = (): number => {
      calls.push("bind");
      return results.shift() ?? -EADDRINUSE;
    };
    assert.equal(socket.reservePort(told, fd, bind), 0);
    const wanted = ["bind", "option 2", "bind", "listen 1", "shutdown 0", "option 2"];
    assert.deepEqual(calls.splice(0), wanted);
    assert.equal(socket.reservePort(told, fd, bind), -EADDRINUSE);
    assert.deepEqual(calls.splice(0), ["bind", "option 2", "bind"]);
    results.push(-EADDRINUSE, 0);
    const taken: Libc = { ...told, listen: () => -EADDRINUSE };
    assert.equal(socket.reservePort(taken, fd, bind), -EADDRINUSE);
    assert.deepEqual(calls.splice(0), ["bind", "option 2", "bind"]);
    results.push(-EBADF);
    assert.equal(socket.reservePort(told, fd, bind), -EBADF);
    assert.deepEqual(calls, ["bind"]);
    sys.close(fd);
  });

  systemTest("the urgent octet is known by its place", [], (sys) => {
    const listener = check(socket.openTcp(sys), "Open");
    check(socket.listenIpv4(sys, listener, LOOPBACK, 0), "Listen");
    socket.setOobInline(sys, listener);
    const client = check(socket.openTcp(sys), "Open");
    socket.connectIpv4(sys, client, LOOPBACK, socket.localPort(sys, listener));
    waitFor(sys, listener, linux.EPOLLIN);
    const server = check(socket.accept(sys, listener), "Accept");
    const bytes = Uint8Array.of(1, 2);
    sys.send(client, sys.address(bytes), 2, linux.MSG_OOB);
    waitFor(sys, server, linux.EPOLLPRI);
    assert.equal(socket.isAtMark(sys, server), 0);
    assert.equal(sys.recv(server, sys.scratch.address, 1, 0), 1);
    assert.equal(socket.isAtMark(sys, server), 1);
    for (const fd of [listener, client, server]) sys.close(fd);
  });
});
