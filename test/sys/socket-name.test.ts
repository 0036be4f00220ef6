/** Names of sockets as text: IPv4, IPv6, IPv4 inside of IPv6, and none. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import { check } from "../../src/sys/errno.ts";
import * as socket from "../../src/sys/socket.ts";
import { socketName } from "../../src/sys/socket-name.ts";
import { systemTest } from "./support.ts";

const LOOPBACK = 0x7f000001;
const LOOPBACK_SIX = [...new Array(15).fill(0), 1];

describe("names of sockets", () => {
  systemTest("of TCP over IPv4, and of a descriptor that is closed", [], (sys) => {
    const fd = check(socket.openTcp(sys), "Open");
    check(socket.listenIpv4(sys, fd, LOOPBACK, 0), "Listen");
    const { address, port } = socketName(sys, fd) ?? { address: "", port: 0 };
    assert.equal(address, "127.0.0.1");
    assert.equal(port, socket.localPort(sys, fd));
    sys.close(fd);
    assert.equal(socketName(sys, fd), undefined);
  });

  systemTest("of UDP over IPv6; IPv4 inside of IPv6 is IPv4", [], (sys) => {
    const six = check(socket.openUdp6(sys), "Open");
    check(socket.bindIpv6(sys, six, LOOPBACK_SIX, 0), "Bind");
    assert.equal(socketName(sys, six)?.address, "::1");
    const dual = check(socket.openUdpDual(sys), "Open");
    check(socket.bindIpv6(sys, dual, mappedOctetsOf(LOOPBACK), 0), "Bind");
    assert.equal(socketName(sys, dual)?.address, "127.0.0.1");
    sys.close(six);
    sys.close(dual);
  });

  systemTest("a unix socket has none of IP", [], (sys) => {
    const pair = { a: -1, b: -1 };
    check(socket.openMessagePair(sys, pair), "Open");
    assert.equal(socketName(sys, pair.a), undefined);
    sys.close(pair.a);
    sys.close(pair.b);
  });
});
