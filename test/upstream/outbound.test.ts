/** Sockets leave from the address and by the interface that was asked for. */
import assert from "node:assert/strict";
import { describe } from "node:test";
import { check, EADDRINUSE, EMFILE, ENODEV, EPERM } from "../../src/sys/errno.ts";
import type { Libc } from "../../src/sys/libc.ts";
import { IP_BIND_ADDRESS_NO_PORT, SOL_IP } from "../../src/sys/linux.ts";
import {
  getOption,
  localPort,
  openTcp,
  openTcp6,
  openUdp,
  openUdp6,
} from "../../src/sys/socket.ts";
import { Outbound } from "../../src/upstream/outbound.ts";
import { openPingFlow } from "../../src/upstream/ping.ts";
import { type Connecting, connectTcp } from "../../src/upstream/tcp.ts";
import { openUdpFlow, openUdpFlow6 } from "../../src/upstream/udp.ts";
import { systemTest } from "../sys/support.ts";
import { LOOPBACK, listen, nameOf } from "./rig.ts";

/** All of 127.0.0.0/8 is this machine's. */
const HERE = 0x7f000009;
const NOWHERE = 0xc0000263; // 192.0.2.99
const NONE = { ipv4: undefined, ipv6: undefined, device: undefined };
const SIX_HERE = [0, 0, 0, 0, 0, 0, 0, 1];
const SIX_NOWHERE = [0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x99];

describe("outbound", () => {
  systemTest("TCP, UDP and ping leave from the address", [], (sys) => {
    const outbound = new Outbound({ ...NONE, ipv4: HERE });
    outbound.check(sys);
    const { fd: listener, port } = listen(sys);
    const out: Connecting = { fd: -1, connected: false };
    connectTcp(sys, LOOPBACK, port, { tos: 0, isLoopback: false, outbound }, out);
    const udp = check(openUdpFlow(sys, 0, 0, 0, outbound), "Open");
    const kept = check(openUdpFlow(sys, 40_123, 0, 0, outbound), "Open");
    const name = { port: 0 };
    const ping = openPingFlow(sys, name, 4, outbound);
    const bound = [out.fd, udp, kept, ...(ping < 0 ? [] : [ping])];
    for (const fd of bound) assert.equal(nameOf(sys, fd).address, HERE);
    for (const fd of [...bound, listener]) sys.close(fd);
  });

  systemTest("connections to this machine's loopback are left alone", [], (sys) => {
    const outbound = new Outbound({ ...NONE, ipv4: NOWHERE });
    const { fd: listener, port } = listen(sys);
    const out: Connecting = { fd: -1, connected: false };
    connectTcp(sys, LOOPBACK, port, { tos: 0, isLoopback: true, outbound }, out);
    assert.ok(out.connected);
    for (const fd of [out.fd, listener]) sys.close(fd);
  });

  systemTest("an address that is gone fails, and leaves nothing behind", [], (sys) => {
    const outbound = new Outbound({ ...NONE, ipv4: NOWHERE, ipv6: SIX_NOWHERE });
    const probe = check(openUdp(sys), "Open");
    sys.close(probe);
    const out: Connecting = { fd: -1, connected: false };
    connectTcp(sys, 0x0a000001, 80, { tos: 0, isLoopback: false, outbound }, out);
    const results = [
      out.fd,
      openUdpFlow(sys, 0, 0, 0, outbound),
      openUdpFlow(sys, 0, 0x0a000001, 53, outbound),
      openUdpFlow6(sys, 0, 0, outbound),
    ];
    for (const result of results) assert.equal(result, -99); // EADDRNOTAVAIL
    const next = check(openUdp(sys), "Open");
    assert.equal(next, probe, "the lowest number is free again");
    sys.close(next);
  });

  systemTest("the start says which option is wrong, and why", [], (sys) => {
    const wrong = (choice: object, message: RegExp): void =>
      assert.throws(() => new Outbound({ ...NONE, ...choice }).check(sys), message);
    wrong({ ipv4: NOWHERE }, /--outbound-address "192.0.2.99": no interface of this host has/);
    wrong({ ipv6: SIX_NOWHERE }, /--outbound-address "2001:db8::99": no interface of this host/);
    wrong({ device: "nosuch0" }, /--outbound-interface "nosuch0": this host has no such interface/);
    new Outbound({ ipv4: LOOPBACK, ipv6: SIX_HERE, device: "lo" }).check(sys);
  });

  systemTest("by an interface without any right", [], (sys) => {
    const outbound = new Outbound({ ...NONE, device: "lo" });
    for (const [open, family] of [
      [openTcp, 4],
      [openTcp6, 6],
    ] as const) {
      const fd = check(open(sys), "Open");
      assert.equal(outbound.bind(sys, fd, family), 0);
      sys.close(fd);
    }
  });

  systemTest("the start says what the kernel says, and what it takes to bind to one", [], (sys) => {
    const failing = (call: "bind" | "setsockopt" | "socket", errno: number): Libc =>
      Object.create(sys, { [call]: { value: () => -errno } });
    const tells = (fake: Libc, choice: object, message: string): void =>
      assert.throws(() => new Outbound({ ...NONE, ...choice }).check(fake), { message });
    const device = 'Go out by --outbound-interface "eth0": ';
    const remedy = "; it needs Linux 5.7, or CAP_NET_RAW";
    const eperm = "not permitted (EPERM)";
    tells(failing("setsockopt", EPERM), { device: "eth0" }, `${device}${eperm}${remedy}`);
    const busy = "address in use (EADDRINUSE)";
    tells(failing("setsockopt", EADDRINUSE), { device: "eth0" }, device + busy);
    const address = 'Go out by --outbound-address "127.0.0.9": ';
    tells(failing("bind", EADDRINUSE), { ipv4: HERE }, address + busy);
    const full = "this process has too many open files (EMFILE)";
    tells(failing("socket", EMFILE), { ipv4: HERE }, address + full);
    tells(
      failing("socket", EMFILE),
      { ipv6: SIX_HERE },
      `Go out by --outbound-address "::1": ${full}`,
    );
  });

  systemTest("trying it leaves no socket open, right or wrong", [], (sys) => {
    const before = check(openUdp(sys), "Open");
    sys.close(before);
    new Outbound({ ipv4: HERE, ipv6: SIX_HERE, device: "lo" }).check(sys);
    assert.throws(() => new Outbound({ ...NONE, ipv4: NOWHERE }).check(sys));
    const after = check(openUdp(sys), "Open");
    assert.equal(after, before);
    sys.close(after);
  });

  systemTest("connections keep their port open for the kernel to choose", [], (sys) => {
    const outbound = new Outbound({ ...NONE, ipv4: HERE, ipv6: SIX_HERE });
    for (const [open, family] of [
      [openTcp, 4],
      [openTcp6, 6],
    ] as const) {
      const fd = check(open(sys), "Open");
      assert.equal(outbound.bind(sys, fd, family), 0);
      assert.equal(getOption(sys, fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT), 1);
      assert.equal(localPort(sys, fd), 0, "chosen when it connects");
      sys.close(fd);
    }
  });

  systemTest("a version without an address of its own is bound to none", [], (sys) => {
    const outbound = new Outbound({ ...NONE, ipv4: HERE });
    const fd = check(openTcp6(sys), "Open");
    assert.equal(outbound.bind(sys, fd, 6), 0);
    assert.equal(getOption(sys, fd, SOL_IP, IP_BIND_ADDRESS_NO_PORT), 0);
    const udp = check(openUdp6(sys), "Open");
    assert.equal(outbound.bindPort(sys, udp, 6, 0), 0);
    assert.ok(localPort(sys, udp) > 0, "datagrams have their port at once");
    for (const each of [fd, udp]) sys.close(each);
  });

  systemTest("an interface that is not there fails, bound for good or not", [], (sys) => {
    const outbound = new Outbound({ ...NONE, device: "nosuch0" });
    const fd = check(openUdp(sys), "Open");
    assert.equal(outbound.bind(sys, fd, 4), -ENODEV);
    assert.equal(outbound.bindPort(sys, fd, 4, 0), -ENODEV);
    sys.close(fd);
  });
});
