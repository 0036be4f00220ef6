/**
 * Descriptor 0 is one like any other: a program that was started with its standard input closed has
 * sockets of that number. Made-up system calls say what is done with it.
 */
import assert from "node:assert/strict";
import { describe } from "node:test";
import type { Engine } from "../../src/engine/engine.ts";
import { mappedOctetsOf } from "../../src/lib/addr6.ts";
import type { Epoll } from "../../src/sys/epoll.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { Outbound } from "../../src/upstream/outbound.ts";
import { openPingFlow } from "../../src/upstream/ping.ts";
import { HostSockets } from "../../src/upstream/sockets.ts";
import { type Connecting, connectTcp, connectTcp6 } from "../../src/upstream/tcp.ts";
import { openUdpFlow, openUdpFlow6, openUdpPort } from "../../src/upstream/udp.ts";
import { systemTest } from "../sys/support.ts";
import { LOOPBACK, LOOPBACK6 } from "./rig.ts";

/** Every socket is descriptor 0 and all goes well; what is closed is noted. */
function zero(sys: Libc, results: Partial<Record<keyof Libc, number>> = {}) {
  const closed: number[] = [];
  const fake: Libc = Object.create(sys, {
    ...Object.fromEntries(
      ["socket", "bind", "connect", "setsockopt", "getsockname"].map((name) => [
        name,
        { value: () => results[name as keyof Libc] ?? 0 },
      ]),
    ),
    close: { value: (fd: number) => closed.push(fd) && 0 },
  });
  return { fake, closed };
}

const anyWay = new Outbound({ ipv4: undefined, ipv6: undefined, device: undefined });
const manner = { tos: 0, isLoopback: false, outbound: anyWay };

describe("descriptor 0", () => {
  systemTest("is the result where all goes well", [], (sys) => {
    const { fake, closed } = zero(sys);
    const tcp: Connecting = { fd: -1, connected: false };
    connectTcp(fake, LOOPBACK, 80, manner, tcp);
    assert.deepEqual(tcp, { fd: 0, connected: true });
    tcp.connected = false;
    connectTcp6(fake, 1, manner, tcp);
    assert.deepEqual(tcp, { fd: 0, connected: true });
    const found = [
      ...[openUdpFlow(fake, 0, 0, 0), openUdpFlow(fake, 5000, 0, 0)],
      ...[openUdpFlow(fake, 0, LOOPBACK, 9), openUdpFlow6(fake, 0, 0), openUdpFlow6(fake, 0, 1)],
      ...[openUdpPort(fake, 4, mappedOctetsOf(0), 9), openUdpPort(fake, 6, LOOPBACK6, 9)],
      ...[openUdpPort(fake, "both", new Uint8Array(16), 9)],
      ...[openPingFlow(fake, { port: 0 }, 4), openPingFlow(fake, { port: 0 }, 6)],
    ];
    assert.deepEqual(found, new Array(found.length).fill(0));
    assert.deepEqual(closed, []);
    new Outbound({ ipv4: LOOPBACK, ipv6: [...LOOPBACK6], device: "lo" }).check(fake);
    assert.deepEqual(closed, [0, 0, 0], "what was tried is closed");
  });

  systemTest("is closed where something does not, and the errno told", [], (sys) => {
    const { fake, closed } = zero(sys, { bind: -9, connect: -9 });
    const tcp: Connecting = { fd: -1, connected: false };
    connectTcp(fake, LOOPBACK, 80, manner, tcp);
    connectTcp6(fake, 1, manner, tcp);
    assert.deepEqual(tcp, { fd: -9, connected: false });
    const found = [
      ...[openUdpFlow(fake, 0, 0, 0), openUdpFlow(fake, 5000, 0, 0)],
      ...[openUdpFlow(fake, 0, LOOPBACK, 9), openUdpFlow6(fake, 0, 0), openUdpFlow6(fake, 0, 1)],
      ...[openUdpPort(fake, 4, mappedOctetsOf(0), 9), openUdpPort(fake, 6, LOOPBACK6, 9)],
      ...[openPingFlow(fake, { port: 0 }, 4), openPingFlow(fake, { port: 0 }, 6)],
    ];
    assert.deepEqual(found, new Array(found.length).fill(-9));
    assert.deepEqual(closed, new Array(found.length + 2).fill(0));
  });

  systemTest("no socket is the errno, and nothing is closed", [], (sys) => {
    const { fake, closed } = zero(sys, { socket: -24 });
    const tcp: Connecting = { fd: 5, connected: true };
    connectTcp(fake, LOOPBACK, 80, manner, tcp);
    assert.deepEqual(tcp, { fd: -24, connected: false });
    const found = [
      ...[openUdpFlow(fake, 0, 0, 0), openUdpFlow6(fake, 0, 0)],
      ...[openUdpPort(fake, 4, mappedOctetsOf(0), 9), openPingFlow(fake, { port: 0 }, 4)],
    ];
    assert.deepEqual(found, [-24, -24, -24, -24]);
    assert.deepEqual(closed, []);
  });

  systemTest("is tied to a flow, found, and closed at the end", [], (sys) => {
    const { fake, closed } = zero(sys);
    const epoll = { add: () => 0, modify: () => 0 } as unknown as Epoll;
    const engine = { integers: new Int32Array(8) } as unknown as Engine;
    const sockets = new HostSockets(fake, epoll, engine, 0);
    assert.equal(sockets.adopt(0x10001, 0), 0);
    assert.equal(sockets.openCount, 1);
    sockets.close();
    assert.deepEqual([sockets.openCount, closed], [0, [0]]);
  });
});
