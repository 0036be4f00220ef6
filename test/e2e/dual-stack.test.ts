/**
 * End to end, a Linux machine under QEMU that gets addresses of both versions of IP, and pods that
 * have one version only.
 *
 * Method: as in `attach-stream.test.ts`. IPv4 comes by DHCP (busybox), IPv6 by the kernel's own
 * SLAAC and by DHCPv6 (dhclient); content is compared by its sum at both ends.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  getsAddress,
  hasAddress,
  isReachable,
  leases6,
  listAddresses,
  pings6,
  transfers,
} from "../support/e2e/machine.ts";
import { httpServer } from "../support/e2e/peers.ts";
import { startAttach } from "../support/e2e/program.ts";
import { cannotRun, oursOnly, startDns } from "../support/e2e/setup.ts";
import { which } from "../support/e2e/shell.ts";
import { createHost, HOST_ADDRESS, HOST_ADDRESS6 } from "../support/e2e/world.ts";
import { type Pod, withPod } from "../support/pod.ts";
import {
  DHCP_COMMAND,
  GUEST_MAC,
  type GuestShell,
  qemuMissing,
  startGuest,
} from "../support/qemu.ts";

const LIMIT = { timeout: 600_000 };
const MIB = 1 << 20;
const PUBLISHED = 8080;
const DHCLIENT = which("dhclient") ?? "";

describe("dual stack: a Linux machine under QEMU", {
  skip: cannotRun("dnsmasq", "dhclient") || oursOnly() || qemuMissing() || false,
}, () => {
  test(
    "V02 V07 V11 V13 V14 both addresses, names and data both ways over both",
    LIMIT,
    async () => {
      const folder = mkdtempSync(join(tmpdir(), "slirp-dual-"));
      const path = join(folder, "vm.sock");
      const host = createHost("nameserver 127.0.0.1\n");
      try {
        await startDns(host, "127.0.0.1", "203.0.113.1");
        const web = await httpServer(host, "::");
        const network = ["--cidr6", "fd00:5:6:7::/64", "--search", "one.test", "--mtu", "9000"];
        network.push("--dns6", "always");
        const publish = ["--publish", `${PUBLISHED}:80`];
        const program = await startAttach(host, [
          "--listen",
          `unix:${path}`,
          ...network,
          ...publish,
        ]);
        const netdev = `stream,id=n,server=off,addr.type=unix,addr.path=${path}`;
        const machine = { netdev, properties: "host_mtu=9000", programs: [DHCLIENT] };
        const guest = await startGuest({ ...machine, prefix: host.argv([]) });
        try {
          await getsAddress(guest, GUEST_MAC, 9000);
          await hasAddress(guest, /inet6 fd00:5:6:7:5054:ff:fe12:3456\/64 scope global/i);
          assert.equal(await leases6(guest, "fd00:5:6:7::2"), "fd00:5:6:7::3 one.test.");
          const route = await guest.must("ip -6 route");
          assert.match(route, /default via fe80::5055:aff:fe00:202 dev eth0/);
          assert.equal((await guest.must("cat /proc/sys/net/ipv6/conf/eth0/mtu")).trim(), "9000");
          await pings6(guest, ["fd00:5:6:7::1", HOST_ADDRESS6]);
          const names = await guest.run("nslookup who.test fd00:5:6:7::3");
          assert.match(names.output, /203\.0\.113\.1/);
          for (const address of [HOST_ADDRESS6, HOST_ADDRESS]) {
            await transfers(guest, web.port, 4 * MIB, address);
          }
          await isReachable(guest, host, PUBLISHED, [HOST_ADDRESS6, HOST_ADDRESS]);
          const outcome = await program.stop();
          assert.equal(outcome.code, 0, outcome.stderr);
        } finally {
          await guest.kill();
          if (!program.running.ended()) await program.stop();
        }
      } finally {
        host.remove();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
});

/** A machine on the pod's first interface, link `stream`. */
async function bootInPod(pod: Pod): Promise<GuestShell & { kill(): Promise<void> }> {
  await pod.define({ link: "stream", interfaces: [{ macAddress: GUEST_MAC }] });
  const netdev = `stream,id=n,server=off,addr.type=unix,addr.path=${pod.socket()}`;
  return startGuest({ netdev, programs: [DHCLIENT], prefix: pod.host.argv([]) });
}

describe("serve: a pod with one version of IP", {
  skip: cannotRun("dhclient") || oursOnly() || qemuMissing() || false,
}, () => {
  test("a pod without IPv4 gives its machine IPv6 alone", LIMIT, () =>
    withPod({ without: "ipv4" }, async (pod) => {
      const guest = await bootInPod(pod);
      try {
        assert.notEqual((await guest.run(`${DHCP_COMMAND} -t 2`)).code, 0);
        assert.match(await leases6(guest, "fd10:0:2::2"), /^fd10:0:2::3/);
        await pings6(guest, ["fd10:0:2::1", HOST_ADDRESS6]);
        const web = await httpServer(pod.host, HOST_ADDRESS6);
        await transfers(guest, web.port, 4 * MIB, HOST_ADDRESS6);
      } finally {
        await guest.kill();
      }
    }),
  );

  test("a pod without IPv6 gives its machine IPv4 alone", LIMIT, () =>
    withPod({ without: "ipv6" }, async (pod) => {
      const guest = await bootInPod(pod);
      try {
        await guest.must(DHCP_COMMAND);
        const web = await httpServer(pod.host, HOST_ADDRESS);
        await transfers(guest, web.port, 4 * MIB);
        await hasAddress(guest, /scope link/i); // so the kernel has asked for a router
        assert.doesNotMatch(await listAddresses(guest), /scope global/i);
        assert.doesNotMatch(await guest.must("ip -6 route"), /default via/);
      } finally {
        await guest.kill();
      }
    }),
  );
});
