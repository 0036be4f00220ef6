/** Ports of UDP flows: kept where they are free, never borrowed, published ones exactly. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, EADDRINUSE, EAGAIN, EINVAL } from "../../src/sys/errno.ts";
import { IP_RECVERR, SOL_IP, SOL_UDP, UDP_GRO } from "../../src/sys/linux.ts";
import { connectIpv4, getOption } from "../../src/sys/socket.ts";
import { openUdpFlow, openUdpPort } from "../../src/upstream/udp.ts";
import { systemTest } from "../sys/support.ts";
import { freePort, LOOPBACK, nameOf, receive, send, udpSocket } from "./rig.ts";

describe("udp", () => {
  systemTest("the guest's port is kept, and another given where it is taken", [], (sys) => {
    const port = freePort(sys, "udp");
    const first = check(openUdpFlow(sys, port, 0, 0), "Open");
    assert.deepEqual(nameOf(sys, first), { address: 0, port });
    const second = check(openUdpFlow(sys, port, 0, 0), "Open");
    const other = nameOf(sys, second).port;
    assert.ok(other !== port && other >= 1024, `${other}`);
    for (const fd of [first, second]) sys.close(fd);
  });

  systemTest("ports below 1024 are not borrowed", [], (sys) => {
    for (const port of [0, 1, 53, 1023]) {
      const fd = check(openUdpFlow(sys, port, 0, 0), "Open");
      assert.ok(nameOf(sys, fd).port >= 1024);
      sys.close(fd);
    }
  });

  systemTest("with a peer it hears that peer alone", [], (sys) => {
    const peer = udpSocket(sys);
    const stranger = udpSocket(sys);
    const fd = check(openUdpFlow(sys, 40_000, LOOPBACK, peer.port), "Open");
    const { port } = nameOf(sys, fd);
    for (const [from, text] of [
      [stranger.fd, "stranger"],
      [peer.fd, "peer"],
    ] as const) {
      check(connectIpv4(sys, from, LOOPBACK, port), "Connect");
      send(sys, from, text);
    }
    assert.equal(receive(sys, fd), "peer");
    assert.equal(sys.recv(fd, sys.scratch.address, 1, 0), -EAGAIN);
    for (const each of [fd, peer.fd, stranger.fd]) sys.close(each);
  });

  systemTest("a peer that cannot be had is the errno, and nothing stays open", [], (sys) => {
    const probe = udpSocket(sys);
    sys.close(probe.fd);
    assert.ok(openUdpFlow(sys, 0, 0xffffffff, 1) < 0, "broadcast needs a permission");
    const next = udpSocket(sys);
    assert.equal(next.fd, probe.fd);
    sys.close(next.fd);
  });

  systemTest("a published port is that port or an error", [], (sys) => {
    const port = freePort(sys, "udp");
    const fd = check(openUdpPort(sys, LOOPBACK, port), "Open");
    assert.deepEqual(nameOf(sys, fd), { address: LOOPBACK, port });
    assert.equal(openUdpPort(sys, LOOPBACK, port), -EADDRINUSE);
    assert.equal(openUdpPort(sys, 0, port), -EADDRINUSE);
    sys.close(fd);
  });

  systemTest("errors are queued and runs of datagrams joined", [], (sys) => {
    const port = freePort(sys, "udp");
    const both = [openUdpFlow(sys, 0, 0, 0), openUdpPort(sys, LOOPBACK, port)];
    for (const fd of both) {
      assert.equal(getOption(sys, check(fd, "Open"), SOL_IP, IP_RECVERR), 1);
      const joined = getOption(sys, fd, SOL_UDP, UDP_GRO);
      assert.ok(joined === 1 || joined === -EINVAL, "old kernels cannot say");
      sys.close(fd);
    }
  });
});
