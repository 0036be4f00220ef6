/** Host sockets of IPv6: beside those of IPv4 on the same ports, peers told whole. */

import assert from "node:assert/strict";
import { describe } from "node:test";
import type { PublishRule } from "../../src/config/publish-rule.ts";
import { addressText, flowsOf } from "../../src/engine/flows.ts";
import { check, EADDRINUSE, EINPROGRESS } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { IPV6_RECVERR, IPV6_V6ONLY, SOCKADDR_IN6_SIZE, SOL_IPV6 } from "../../src/sys/linux.ts";
import { writeIpv6 } from "../../src/sys/sockaddr.ts";
import { getOption, localPort, openTcp6 } from "../../src/sys/socket.ts";
import { Listeners } from "../../src/upstream/listener.ts";
import { ANY_WAY } from "../../src/upstream/outbound.ts";
import { openPingFlow } from "../../src/upstream/ping.ts";
import { connectTcp6 } from "../../src/upstream/tcp.ts";
import { openUdpFlow, openUdpFlow6, openUdpPort } from "../../src/upstream/udp.ts";
import { EVENT_OF_LISTENER } from "../../src/upstream/upstream.ts";
import * as abi from "../../wasm/abi.ts";
import { START } from "../support/engine-harness.ts";
import { systemTest } from "../sys/support.ts";
import { freePort, rigTest } from "./rig.ts";

const LOOPBACK6 = Uint8Array.of(...new Array<number>(15).fill(0), 1);

/** Address in this process of a struct sockaddr_in6 of ::1. */
function name6(sys: Libc, port: number): number {
  assert.equal(writeIpv6(sys.scratch, 64, LOOPBACK6, port), SOCKADDR_IN6_SIZE);
  return sys.scratch.address + 64;
}

describe("upstream over IPv6", () => {
  systemTest("UDP: both versions have the guest's port, errors are queued", [], (sys) => {
    const port = freePort(sys, "udp");
    const four = check(openUdpFlow(sys, port, 0, 0), "Open");
    const six = check(openUdpFlow6(sys, port, 0), "Open");
    assert.equal(localPort(sys, six), port);
    assert.equal(getOption(sys, six, SOL_IPV6, IPV6_V6ONLY), 1);
    assert.equal(getOption(sys, six, SOL_IPV6, IPV6_RECVERR), 1);
    const other = check(openUdpFlow6(sys, port, 0), "Open");
    assert.notEqual(localPort(sys, other), port);
    assert.equal(openUdpPort(sys, 6, LOOPBACK6, port), -EADDRINUSE);
    for (const fd of [four, six, other]) sys.close(fd);
  });

  systemTest("UDP: a connected one, or the errno", [], (sys) => {
    const fd = check(openUdpFlow6(sys, 0, name6(sys, 9)), "Open");
    assert.ok(localPort(sys, fd) > 0);
    sys.close(fd);
  });

  systemTest("ping: an identifier of its own, where the range allows it", [], (sys) => {
    const name = { port: 0 };
    const fd = openPingFlow(sys, name, 6);
    if (fd < 0) return; // not in net.ipv4.ping_group_range here
    assert.ok(name.port > 0);
    sys.close(fd);
  });

  rigTest("published: TCP of both versions on one port, the peer's address whole", (rig) => {
    const { sys, engine } = rig;
    const port = freePort(sys, "tcp");
    const rule: PublishRule = { protocol: "tcp", hostAddress: 0, hostPort: port, guestPort: 80 };
    const listeners = new Listeners(sys, engine, rig.sockets);
    listeners.open([rule], rig.epoll, { ipv4: true, ipv6: true });
    listeners.answer(true);
    const client = check(openTcp6(sys), "Open");
    const result = sys.connect(client, name6(sys, port), SOCKADDR_IN6_SIZE);
    assert.ok(result === 0 || result === -EINPROGRESS, String(result));
    rig.awaitEvent(1, abi.EVENT_READABLE, EVENT_OF_LISTENER);
    listeners.accept(1, START);
    const [flow] = flowsOf(engine);
    assert.equal(flow?.guestPort, 80);
    assert.equal(addressText(engine, flow?.hostAddress ?? 0), "::1");
    assert.equal(flow?.peerPort, localPort(sys, client));
    sys.close(client);
    listeners.close();
  });

  rigTest("TCP: ::1 is connected at once, or refused at once", (rig) => {
    const { sys } = rig;
    const port = freePort(sys, "tcp");
    const out = { fd: -1, connected: false };
    connectTcp6(sys, name6(sys, port), { tos: 0, isLoopback: true, outbound: ANY_WAY }, out);
    assert.ok(out.fd < 0, "nobody listens");
    const rule: PublishRule = {
      protocol: "tcp",
      hostAddress: [0, 0, 0, 0, 0, 0, 0, 1],
      hostPort: port,
      guestPort: 80,
    };
    const listeners = new Listeners(sys, rig.engine, rig.sockets);
    listeners.open([rule], rig.epoll, { ipv4: true, ipv6: true });
    listeners.answer(true);
    connectTcp6(sys, name6(sys, port), { tos: 0, isLoopback: true, outbound: ANY_WAY }, out);
    assert.ok(out.fd >= 0 && out.connected);
    sys.close(out.fd);
    listeners.close();
  });
});
