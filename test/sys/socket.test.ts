/** TCP and unix sockets over loopback: connect, refuse, half close, reset, options. */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe } from "node:test";
import {
  check,
  EADDRINUSE,
  EAGAIN,
  ECONNREFUSED,
  ECONNRESET,
  EINPROGRESS,
  ENOENT,
} from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import * as linux from "../../src/sys/linux.ts";
import * as socket from "../../src/sys/socket.ts";
import { systemTest, waitFor } from "./support.ts";

const LOOPBACK = 0x7f000001;
const { EPOLLIN, EPOLLOUT } = linux; // the same bits as POLLIN and POLLOUT

/** A connected TCP pair. */
function connectPair(sys: Libc): { client: number; server: number; port: number } {
  const listener = check(socket.openTcp(sys), "Open");
  check(socket.listenIpv4(sys, listener, LOOPBACK, 0), "Listen");
  const bound = { address: 0, port: 0 };
  check(socket.localEndpoint(sys, listener, bound), "Name");
  assert.equal(bound.address, LOOPBACK);
  const client = check(socket.openTcp(sys), "Open");
  const connecting = socket.connectIpv4(sys, client, LOOPBACK, bound.port);
  assert.ok(connecting === 0 || connecting === -EINPROGRESS);
  waitFor(sys, listener, EPOLLIN);
  const peer = { address: 0, port: 0 };
  const server = check(socket.accept(sys, listener, peer), "Accept");
  const own = { address: 0, port: 0 };
  socket.localEndpoint(sys, client, own);
  assert.deepEqual(peer, own);
  assert.equal(socket.accept(sys, listener), -EAGAIN);
  waitFor(sys, client, EPOLLOUT);
  assert.equal(socket.takeError(sys, client), 0);
  sys.close(listener);
  return { client, server, port: bound.port };
}

function send(sys: Libc, fd: number, text: string): void {
  const bytes = new TextEncoder().encode(text);
  assert.equal(sys.send(fd, sys.address(bytes), bytes.length, linux.MSG_NOSIGNAL), bytes.length);
}

function receive(sys: Libc, fd: number): string {
  waitFor(sys, fd, EPOLLIN);
  const bytes = new Uint8Array(64);
  const n = check(sys.recv(fd, sys.address(bytes), bytes.length, 0), "Receive");
  return new TextDecoder().decode(bytes.subarray(0, n));
}

describe("socket", () => {
  systemTest("carries data both ways and ends each way by itself", [], (sys) => {
    const { client, server } = connectPair(sys);
    send(sys, client, "question");
    assert.equal(socket.halfClose(sys, client), 0);
    assert.equal(receive(sys, server), "question");
    assert.equal(receive(sys, server), ""); // end of stream
    send(sys, server, "answer");
    assert.equal(receive(sys, client), "answer");
    sys.close(server);
    assert.equal(receive(sys, client), "");
    sys.close(client);
  });

  systemTest("reports a refused connection through takeError, once", [], (sys) => {
    const { client, server, port } = connectPair(sys);
    sys.close(client);
    sys.close(server);
    const fd = check(socket.openTcp(sys), "Open");
    const result = socket.connectIpv4(sys, fd, LOOPBACK, port);
    if (result === -EINPROGRESS) {
      waitFor(sys, fd, EPOLLOUT);
      assert.equal(socket.takeError(sys, fd), -ECONNREFUSED);
      assert.equal(socket.takeError(sys, fd), 0);
    } else {
      assert.equal(result, -ECONNREFUSED);
    }
    sys.close(fd);
  });

  systemTest("resets the connection where linger is zero", [], (sys) => {
    const { client, server } = connectPair(sys);
    assert.equal(socket.setLinger(sys, client, true, 0), 0);
    sys.close(client);
    waitFor(sys, server, EPOLLIN);
    assert.equal(sys.recv(server, sys.scratch.address, 1, 0), -ECONNRESET);
    sys.close(server);
  });

  systemTest("what a listener accepts keeps urgent octets in the stream as it does", [], (sys) => {
    const listener = check(socket.openTcp(sys), "Open");
    assert.equal(socket.setOobInline(sys, listener), 0);
    check(socket.listenIpv4(sys, listener, LOOPBACK, 0), "Listen");
    const bound = { address: 0, port: 0 };
    socket.localEndpoint(sys, listener, bound);
    const client = check(socket.openTcp(sys), "Open");
    socket.connectIpv4(sys, client, LOOPBACK, bound.port);
    waitFor(sys, listener, EPOLLIN);
    const server = check(socket.accept(sys, listener), "Accept");
    assert.equal(socket.getOption(sys, server, linux.SOL_SOCKET, linux.SO_OOBINLINE), 1);
    for (const fd of [client, server, listener]) sys.close(fd);
  });

  systemTest("sets the options the loop needs", [], (sys) => {
    const tcp = check(socket.openTcp(sys), "Open");
    const get = (level: number, name: number) => socket.getOption(sys, tcp, level, name);
    assert.equal(socket.setNoDelay(sys, tcp, true), 0);
    assert.equal(get(linux.SOL_TCP, linux.TCP_NODELAY), 1);
    assert.equal(socket.setKeepalive(sys, tcp, 75), 0);
    assert.equal(get(linux.SOL_SOCKET, linux.SO_KEEPALIVE), 1);
    assert.equal(get(linux.SOL_TCP, linux.TCP_KEEPIDLE), 75);
    assert.equal(socket.setKeepalive(sys, tcp, 7440), 0);
    assert.equal(get(linux.SOL_TCP, linux.TCP_KEEPIDLE), 7440);
    assert.equal(get(linux.SOL_TCP, linux.TCP_KEEPINTVL), 75);
    assert.equal(get(linux.SOL_TCP, linux.TCP_KEEPCNT), 9);
    assert.equal(socket.setKeepalive(sys, tcp, 0), 0);
    assert.equal(get(linux.SOL_SOCKET, linux.SO_KEEPALIVE), 0);
    sys.close(tcp);

    const udp = check(socket.openUdp(sys), "Open");
    assert.equal(socket.setReceiveErrors(sys, udp, true), 0);
    assert.equal(socket.getOption(sys, udp, linux.SOL_IP, linux.IP_RECVERR), 1);
    sys.close(udp);
  });

  systemTest("tells which port is taken", [], (sys) => {
    const { client, server, port } = connectPair(sys);
    const listener = check(socket.openTcp(sys), "Open");
    check(socket.listenIpv4(sys, listener, LOOPBACK, 0), "Listen");
    const bound = { address: 0, port };
    socket.localEndpoint(sys, listener, bound);
    const second = check(socket.openTcp(sys), "Open");
    assert.equal(socket.listenIpv4(sys, second, LOOPBACK, bound.port), -EADDRINUSE);
    for (const fd of [client, server, listener, second]) sys.close(fd);
  });

  systemTest("listens on and connects to a unix path", [], (sys) => {
    const directory = mkdtempSync(join(tmpdir(), "slirp-test-"));
    try {
      const path = join(directory, "socket");
      assert.equal(socket.connectUnix(sys, path), -ENOENT);
      const listener = check(socket.listenUnix(sys, path), "Listen");
      const client = check(socket.connectUnix(sys, path), "Connect");
      const server = check(socket.accept(sys, listener), "Accept");
      send(sys, client, "over unix");
      assert.equal(receive(sys, server), "over unix");
      for (const fd of [listener, client, server]) sys.close(fd);
      assert.equal(socket.connectUnix(sys, path), -ECONNREFUSED);
      assert.equal(socket.listenUnix(sys, path), -EADDRINUSE);
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
