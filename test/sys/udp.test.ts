/** What the UDP path rests on: batches, segmentation both ways, the error queue, TTL. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, EAGAIN, ECONNREFUSED } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import * as linux from "../../src/sys/linux.ts";
import * as socket from "../../src/sys/socket.ts";
import { Messages } from "./messages.ts";
import { systemTest, waitFor } from "./support.ts";

/** Socket option of <linux/udp.h>: one message is sent as datagrams of so many octets. */
const UDP_SEGMENT = 103;

const LOOPBACK = 0x7f000001;

/** Two UDP sockets connected to each other. */
function connectPair(sys: Libc): { a: number; b: number } {
  const [a, b] = [check(socket.openUdp(sys), "Open"), check(socket.openUdp(sys), "Open")];
  const name = { address: 0, port: 0 };
  for (const [from, to] of [
    [a, b],
    [b, a],
  ] as const) {
    if (from === a) check(socket.bindIpv4(sys, from, LOOPBACK, 0), "Bind");
    if (to === b) check(socket.bindIpv4(sys, to, LOOPBACK, 0), "Bind");
    check(socket.localEndpoint(sys, to, name), "Name");
    check(socket.connectIpv4(sys, from, name.address, name.port), "Connect");
  }
  return { a, b };
}

const datagram = (length: number, first: number) =>
  Uint8Array.from({ length }, (_, i) => (first + i) & 0xff);

describe("udp", () => {
  systemTest("sends and receives several datagrams with one call each", [], (sys) => {
    const { a, b } = connectPair(sys);
    const out = new Messages(sys, 4);
    const sizes = [1, 1400, 0, 9000];
    sizes.forEach((size, i) => {
      out.setPayload(i, datagram(size, i));
    });
    assert.equal(sys.sendmmsg(a, out.address, 4, linux.MSG_NOSIGNAL), 4);
    waitFor(sys, b, linux.EPOLLIN);
    const into = new Messages(sys, 8);
    assert.equal(sys.recvmmsg(b, into.address, 8, linux.MSG_DONTWAIT), 4);
    sizes.forEach((size, i) => {
      assert.equal(into.received(i), size);
      assert.deepEqual(into.payload(i, size), datagram(size, i));
    });
    assert.equal(sys.recvmmsg(b, into.address, 8, linux.MSG_DONTWAIT), -EAGAIN);
    sys.close(a);
    sys.close(b);
  });

  systemTest("cuts one send into datagrams and joins them again", [], (sys) => {
    const { a, b } = connectPair(sys);
    assert.equal(socket.setOption(sys, a, linux.SOL_UDP, UDP_SEGMENT, 1000), 0);
    assert.equal(socket.setUdpGro(sys, b, true), 0);
    const whole = datagram(4500, 3);
    assert.equal(sys.send(a, sys.address(whole), whole.length, 0), 4500);
    const into = new Messages(sys, 1);
    into.wantControl(0);
    waitFor(sys, b, linux.EPOLLIN);
    assert.equal(sys.recvmsg(b, into.address, 0), 4500);
    assert.deepEqual(into.payload(0, 4500), whole);
    const { level, type, data } = into.control(0);
    assert.deepEqual([level, type], [linux.SOL_UDP, linux.UDP_GRO]);
    assert.equal(new DataView(data.buffer).getInt32(0, true), 1000);
    sys.close(a);
    sys.close(b);
  });

  systemTest("queues the ICMP error of a refused datagram with its payload", [], (sys) => {
    const { a, b } = connectPair(sys);
    assert.equal(socket.setReceiveErrors(sys, a, true), 0);
    sys.close(b);
    const lost = datagram(20, 9);
    assert.equal(sys.send(a, sys.address(lost), 20, 0), 20);
    waitFor(sys, a, linux.EPOLLERR);
    const into = new Messages(sys, 1);
    into.wantControl(0);
    assert.equal(sys.recvmsg(a, into.address, linux.MSG_ERRQUEUE), 20);
    assert.equal(into.flags(0) & linux.MSG_ERRQUEUE, linux.MSG_ERRQUEUE);
    assert.deepEqual(into.payload(0, 20), lost);
    const { level, type, data } = into.control(0);
    assert.deepEqual([level, type], [linux.SOL_IP, linux.IP_RECVERR]);
    const error = new DataView(data.buffer);
    assert.equal(error.getUint32(0, true), ECONNREFUSED);
    // struct sock_extended_err: origin ICMP, type destination unreachable, code port unreachable.
    assert.deepEqual([data[4], data[5], data[6]], [2, 3, 3]);
    into.wantControl(0);
    assert.equal(sys.recvmsg(a, into.address, linux.MSG_ERRQUEUE), -EAGAIN);
    sys.close(a);
  });
});
