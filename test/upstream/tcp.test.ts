/** How outbound connections begin: connected, pending, refused. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { ECONNREFUSED, ENETUNREACH } from "../../src/sys/errno.ts";
import {
  EPOLLOUT,
  IP_TOS,
  SO_OOBINLINE,
  SOL_IP,
  SOL_SOCKET,
  SOL_TCP,
  TCP_NODELAY,
} from "../../src/sys/linux.ts";
import { getOption, takeError } from "../../src/sys/socket.ts";
import { ANY_WAY } from "../../src/upstream/outbound.ts";
import { type Connecting, type ConnectManner, connectTcp } from "../../src/upstream/tcp.ts";
import { systemTest, waitFor } from "../sys/support.ts";
import { ANY, accept, freePort, LOOPBACK, listen, nameOf } from "./rig.ts";

const FAR: ConnectManner = { tos: 0, isLoopback: false, outbound: ANY_WAY };
const LOCAL: ConnectManner = { ...FAR, isLoopback: true };

/** Left over from an earlier connection: everything has to be written anew. */
const stained = (connected: boolean): Connecting => ({ fd: 12345, connected });

describe("tcp", () => {
  systemTest("to this machine it is up when the call returns, and without Nagle", [], (sys) => {
    const { fd: listener, port } = listen(sys);
    const out = stained(false);
    connectTcp(sys, LOOPBACK, port, LOCAL, out);
    assert.ok(out.connected && out.fd >= 0);
    assert.notEqual(getOption(sys, out.fd, SOL_TCP, TCP_NODELAY), 0);
    const far = accept(sys, listener);
    for (const fd of [far, out.fd, listener]) sys.close(fd);
  });

  systemTest("elsewhere it is pending, and writable once it is up", [], (sys) => {
    const { fd: listener, port } = listen(sys);
    const out = stained(true);
    connectTcp(sys, ANY, port, FAR, out);
    assert.ok(!out.connected && out.fd >= 0);
    waitFor(sys, out.fd, EPOLLOUT);
    assert.equal(takeError(sys, out.fd), 0);
    for (const fd of [out.fd, listener]) sys.close(fd);
  });

  systemTest("a refusal at once is the errno, and no descriptor stays behind", [], (sys) => {
    const probe = listen(sys);
    sys.close(probe.fd);
    for (const [address, errno] of [
      [LOOPBACK, ECONNREFUSED],
      [0xffffffff, ENETUNREACH],
    ] as const) {
      const out = stained(true);
      connectTcp(sys, address, freePort(sys, "tcp"), address === LOOPBACK ? LOCAL : FAR, out);
      assert.deepEqual(out, { fd: -errno, connected: false });
      const next = listen(sys);
      assert.equal(next.fd, probe.fd, "the lowest number is free again");
      sys.close(next.fd);
    }
  });

  systemTest("a refusal later is the socket's error, negative", [], (sys) => {
    const out = stained(true);
    connectTcp(sys, ANY, freePort(sys, "tcp"), FAR, out);
    assert.ok(out.fd >= 0 && !out.connected);
    waitFor(sys, out.fd, EPOLLOUT);
    assert.equal(takeError(sys, out.fd), -ECONNREFUSED);
    sys.close(out.fd);
  });

  systemTest(
    "urgent octets stay in the stream, and the DSCP is the guest's from the SYN on",
    [],
    (sys) => {
      const { fd: listener, port } = listen(sys);
      const out = stained(false);
      connectTcp(sys, LOOPBACK, port, { ...LOCAL, tos: 0xb8 }, out);
      assert.equal(getOption(sys, out.fd, SOL_SOCKET, SO_OOBINLINE), 1);
      assert.equal(getOption(sys, out.fd, SOL_IP, IP_TOS), 0xb8);
      for (const fd of [out.fd, listener]) sys.close(fd);
    },
  );

  systemTest("each connection has a port of its own", [], (sys) => {
    const { fd: listener, port } = listen(sys);
    const pair = [stained(false), stained(false)];
    for (const out of pair) connectTcp(sys, LOOPBACK, port, LOCAL, out);
    const ports = new Set(pair.map(({ fd }) => nameOf(sys, fd).port));
    assert.equal(ports.size, 2);
    for (const fd of [...pair.map((out) => out.fd), listener]) sys.close(fd);
  });
});
