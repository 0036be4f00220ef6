/**
 * End to end, IPv6, the Linux kernel as the guest: its own SLAAC and DAD, a real DHCPv6 client,
 * ping, traceroute, TCP and UDP both ways, DNS, published ports, capture.
 *
 * Method: as in `attach.runtime.test.ts`, with IPv6 left on in the guest's namespace.
 */

import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import {
  CLIENT_SEED_OFFSET,
  connectionReports,
  dns,
  httpServer,
  MODE,
  script,
  streams,
  tcpServer,
  tryConnect,
  udpEcho,
  udpServer,
} from "../support/e2e/peers.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun, createWorld, oursOnly, startDns, type World } from "../support/e2e/setup.ts";
import { run, until } from "../support/e2e/shell.ts";
import {
  createNamespace,
  HOST_ADDRESS,
  HOST_ADDRESS6,
  type Namespace,
  setSysctls,
  UNREACHABLE_ADDRESS6,
} from "../support/e2e/world.ts";

const LIMIT = { timeout: 120_000 };
const MIB = 1 << 20;
const GATEWAY6 = "fd10:0:2::1";
const GUEST6 = "fd10:0:2::2";
const DNS6 = "fd10:0:2::3";
/** Of the default gateway MAC 52:55:0a:00:02:02. */
const ROUTER6 = "fe80::5055:aff:fe00:202";

/** Sends and receives so much on some connections at once and compares hashes on both sides. */
async function exchange(world: World, where: "guest" | "host", host: string, port: number) {
  const size = 8 * MIB;
  const task = { host, port, mode: MODE.both, streams: 4, send: size, receive: size, seed: 70 };
  for (const report of await streams(world[where], task)) {
    assert.equal(report.error, "");
    assert.equal(report.sha256, sha256Of(report.seed, size), `stream ${report.seed}`);
  }
}

/** Waits for an address of the guest's tap that matches and is no longer tentative. */
async function address(world: World, pattern: RegExp): Promise<string> {
  let listing = "";
  return until(
    async () => {
      const argv = ["ip", "-o", "-6", "addr", "show", "dev", "tap0"];
      listing = (await world.guest.run(argv)).stdout;
      const line = listing.split("\n").find((one) => pattern.test(one) && !/tentative/.test(one));
      return line?.match(/inet6 ([0-9a-f:]+)/)?.[1];
    },
    () => `an address like ${pattern} in ${listing}`,
    30_000,
  );
}

const SKIP = cannotRun("ping", "tshark") || oursOnly();

describe("attach: IPv6 without configuration", { skip: SKIP }, () => {
  test("V11 V13 V14 the kernel makes an address from our /64, after DAD, and a route", {
    ...LIMIT,
  }, async () => {
    const args = ["--cidr6", "fd00:5:6:7::/64"];
    const world = await createWorld({ ipv6: true, configure: false, mtu: 9000, args });
    try {
      world.guest.must("ip", "link", "set", "tap0", "mtu", "9000", "up");
      await address(world, /inet6 fd00:5:6:7:.*scope global.*(dynamic|mngtmpaddr)/);
      const route = world.guest.must("ip", "-6", "route", "show", "default");
      assert.match(route, new RegExp(`default via ${ROUTER6} dev tap0 proto ra`));
      const outcome = await world.guest.run(
        ["ping", "-6", "-n", "-c", "2", "-i", "0.2", "-W", "5", HOST_ADDRESS6],
        30_000,
      );
      assert.match(outcome.stdout, / 2 received/, outcome.stdout + outcome.stderr);
    } finally {
      await world.remove();
    }
  });

  test("V02 V07 V08 dhclient -6 gets address, DNS and search list", {
    skip: cannotRun("dhclient"),
    ...LIMIT,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-dhcp6-"));
    const args = ["--search", "one.test", "--search", "two.test", "--dns6", "always"];
    const world = await createWorld({ ipv6: true, configure: false, args });
    try {
      world.guest.must("ip", "link", "set", "tap0", "up");
      await address(world, /scope link/);
      const answer = join(folder, "answer");
      const hook = join(folder, "hook");
      writeFileSync(hook, `#!/bin/sh\n[ "$reason" = PREINIT6 ] || env > ${answer}\n`, {
        mode: 0o755,
      });
      const files = ["-lf", join(folder, "leases"), "-pf", join(folder, "pid")];
      const outcome = await world.guest.run(
        ["dhclient", "-6", "-1", "-d", "-sf", hook, "-cf", "/dev/null", ...files, "tap0"],
        5_000,
      );
      const lease = readFileSync(answer, "utf8").split("\n");
      for (const line of [
        `new_ip6_address=${GUEST6}`,
        `new_dhcp6_name_servers=${DNS6}`,
        "new_dhcp6_domain_search=one.test. two.test.",
      ]) {
        assert.ok(lease.includes(line), `no "${line}" in ${lease.join("\n")}${outcome.stderr}`);
      }
    } finally {
      await world.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

/** Behind a router of the host with a narrow link on its far side. */
const FAR6 = "2001:db8:2::2";
const FAR_MTU = 1300;

/** Joins two namespaces by a veth pair with these addresses. */
function join6(a: Namespace, b: Namespace, names: readonly [string, string], net: string): void {
  const [one, two] = names;
  a.must("ip", "link", "add", one, "type", "veth", "peer", "name", two, "netns", b.name);
  a.must("ip", "addr", "add", `${net}::1/64`, "dev", one, "nodad");
  b.must("ip", "addr", "add", `${net}::2/64`, "dev", two, "nodad");
  a.must("ip", "link", "set", one, "up");
  b.must("ip", "link", "set", two, "up");
}

describe("attach: path MTU of IPv6", { skip: SKIP }, () => {
  test("P18 N09 what a router of the path says reaches the guest", LIMIT, async () => {
    const world = await createWorld({ ipv6: true, mtu: 9000 });
    const router = createNamespace("router");
    const far = createNamespace("far");
    try {
      join6(world.host, router, ["near0", "near1"], "2001:db8:1");
      join6(router, far, ["far0", "far1"], "2001:db8:2");
      router.must("ip", "link", "set", "far0", "mtu", String(FAR_MTU));
      far.must("ip", "link", "set", "far1", "mtu", String(FAR_MTU));
      setSysctls(router, { "net.ipv6.conf.all.forwarding": "1" });
      far.must("ip", "-6", "route", "add", "default", "via", "2001:db8:2::1");
      world.host.must("ip", "-6", "route", "add", "2001:db8:2::/64", "via", "2001:db8:1::2");
      const echo = await udpServer(far, FAR6);
      let route = "";
      await until(
        async () => {
          await udpEcho(world.guest, FAR6, echo.port, [1400]);
          route = world.guest.must("ip", "-6", "route", "get", FAR6);
          return route.includes(`mtu ${FAR_MTU}`);
        },
        () => `the guest to learn the MTU: ${route}`,
        60_000,
      );
      for (const size of [1400, 5000]) {
        const arrives = async (): Promise<boolean> =>
          (await udpEcho(world.guest, FAR6, echo.port, [size])).ok === 1;
        await until(arrives, `${size} octets to come back`, 30_000);
      }
      const server = await tcpServer(far, FAR6);
      await exchange(world, "guest", FAR6, server.port);
    } finally {
      await world.remove();
      router.remove();
      far.remove();
    }
  });
});

describe("attach: one version of IP", { skip: SKIP }, () => {
  test("--no-ipv6 serves none", LIMIT, async () => {
    const world = await createWorld({ ipv6: true, args: ["--no-ipv6"] });
    try {
      await address(world, /scope link/);
      assert.equal(world.guest.must("ip", "-6", "route", "show", "default"), "");
      const server = await httpServer(world.host, HOST_ADDRESS);
      const url = `http://${HOST_ADDRESS}:${server.port}/`;
      assert.equal((await world.guest.run(["curl", "-sS", url])).code, 0);
    } finally {
      await world.remove();
    }
  });

  test("--no-ipv4 serves IPv6 alone, with a resolver of IPv4", LIMIT, async () => {
    const options = { ipv6: true, args: ["--no-ipv4"], publish: ["18080:80"] };
    const world = await createWorld(options, "nameserver 127.0.0.1\n");
    try {
      assert.equal(world.guest.must("ip", "-o", "-4", "addr", "show", "dev", "tap0"), "");
      await startDns(world.host, "127.0.0.1", "203.0.113.1");
      const answer = await dns(world.guest, "udp", DNS6, "who.test");
      assert.equal(answer.address, "203.0.113.1");
      await httpServer(world.guest, "::", 80);
      const page = await world.host.run(["curl", "-sS", `http://[${HOST_ADDRESS6}]:18080/`]);
      assert.equal(page.stdout.trim(), HOST_ADDRESS6, page.stderr);
    } finally {
      await world.remove();
    }
  });
});

describe("attach: IPv6 with --configure", { skip: SKIP }, () => {
  let world: World;
  before(async () => {
    world = await createWorld(
      {
        ipv6: true,
        publish: ["18080:80", "14444:4444/udp", "[::1]:18081:80"],
        hostLoopback: true,
      },
      "nameserver ::1\n",
    );
  }, LIMIT);
  after(() => world.remove(), LIMIT);

  test("address and route are there at once, without DAD", LIMIT, () => {
    const listing = world.guest.must("ip", "-o", "-6", "addr", "show", "dev", "tap0");
    assert.ok(listing.includes(`${GUEST6}/64`), listing);
    const route = world.guest.must("ip", "-6", "route", "show", "default", "proto", "static");
    assert.match(route, /default via fd10:0:2::1 dev tap0/);
  });

  test("P14 P17 gateway and host answer echo requests with all data", LIMIT, async () => {
    for (const to of [GATEWAY6, DNS6, `${ROUTER6}%tap0`, HOST_ADDRESS6]) {
      const outcome = await world.guest.run(
        ["ping", "-6", "-n", "-c", "3", "-i", "0.2", "-W", "5", "-s", "1000", "-p", "5a", to],
        30_000,
      );
      assert.equal(outcome.code, 0, outcome.stdout + outcome.stderr);
      assert.match(outcome.stdout, / 3 received, 0% packet loss/);
      assert.ok(!/wrong data|DUP|nreachable/.test(outcome.stdout), outcome.stdout);
    }
  });

  test("P22 an echo request to nowhere gets the host's error", LIMIT, async () => {
    const argv = ["ping", "-6", "-n", "-c", "1", "-W", "5", UNREACHABLE_ADDRESS6];
    const outcome = await world.guest.run(argv, 30_000);
    assert.equal(outcome.code, 1, outcome.stdout);
    assert.match(outcome.stdout, /[Uu]nreachable|No route/);
  });

  test("P03 P21 traceroute sees the gateway first, then the destination", {
    skip: cannotRun("traceroute"),
    ...LIMIT,
  }, async () => {
    const outcome = await world.guest.run(
      ["traceroute", "-6", "-n", "-q", "1", "-w", "3", "-m", "4", HOST_ADDRESS6],
      60_000,
    );
    const hops = outcome.stdout.split("\n").slice(1);
    assert.match(hops[0] ?? "", /^ 1 {2}fd10:0:2::1 /, outcome.stdout);
    assert.match(hops[1] ?? "", /^ 2 {2}2001:db8::1 /, outcome.stdout);
  });

  test("V10 our address is defended when the guest wants it", LIMIT, async () => {
    world.guest.must("ip", "-6", "addr", "add", `${DNS6}/128`, "dev", "tap0");
    try {
      let listing = "";
      await until(
        async () => {
          const argv = ["ip", "-o", "-6", "addr", "show", "dev", "tap0"];
          listing = (await world.guest.run(argv)).stdout;
          return listing.split("\n").some((one) => one.includes(DNS6) && /dadfailed/.test(one));
        },
        () => `DAD to fail: ${listing}`,
        20_000,
      );
    } finally {
      world.guest.must("ip", "-6", "addr", "del", `${DNS6}/128`, "dev", "tap0");
    }
  });

  test("32 MiB by curl each way, and parallel streams, arrive intact", LIMIT, async () => {
    const size = 32 * MIB;
    const server = await httpServer(world.host, HOST_ADDRESS6);
    const url = `http://[${HOST_ADDRESS6}]:${server.port}`;
    const down = await world.guest.run(
      ["sh", "-c", `curl -6 -sS ${url}/5/${size} | sha256sum`],
      100_000,
    );
    assert.equal(down.stdout.split(" ")[0], sha256Of(5, size), down.stderr);
    const source = script("seeded.mjs", "6", String(size)).join(" ");
    const put = `${source} | curl -6 -sS -H Expect: -T - ${url}/`;
    const up = await world.guest.run(["sh", "-c", put], 100_000);
    assert.deepEqual(
      JSON.parse(up.stdout || "{}"),
      { count: size, sha256: sha256Of(6, size) },
      up.stderr,
    );
    const peer = await tcpServer(world.host, HOST_ADDRESS6);
    await exchange(world, "guest", HOST_ADDRESS6, peer.port);
    await until(() => connectionReports(peer).length >= 4, "the server's reports", 20_000);
    for (const report of connectionReports(peer)) {
      assert.equal(report.sha256, sha256Of(report.seed + CLIENT_SEED_OFFSET, 8 * MIB));
    }
  });

  test("T32 a closed port refuses, an unreachable host is told", LIMIT, async () => {
    const refused = await tryConnect(world.guest, HOST_ADDRESS6, 9);
    assert.equal(refused.code, "ECONNREFUSED");
    const unreachable = await tryConnect(world.guest, UNREACHABLE_ADDRESS6, 80);
    assert.match(unreachable.code, /UNREACH/);
  });

  test("datagrams of every size come back, in fragments if need be", LIMIT, async () => {
    const echo = await udpServer(world.host, HOST_ADDRESS6);
    const sizes = [0, 1, 8, 1000, 1452, 1500, 9000, 65000, 65507];
    const report = await udpEcho(world.guest, HOST_ADDRESS6, echo.port, sizes);
    assert.deepEqual(report.failed, []);
    assert.equal(report.ok, sizes.length);
  });

  test("the host's ::1 is at the gateway where that is allowed", LIMIT, async () => {
    const server = await httpServer(world.host, "::1");
    const page = await world.guest.run(["curl", "-sS", `http://[${GATEWAY6}]:${server.port}/`]);
    assert.equal(page.stdout.trim(), "::1", page.stderr);
  });

  test("published ports lead in over both versions, TCP and UDP", LIMIT, async () => {
    await httpServer(world.guest, "::", 80);
    const get = async (url: string): Promise<string> => {
      const outcome = await world.host.run(["curl", "-sS", "--max-time", "10", url]);
      return outcome.stdout.trim() || outcome.stderr;
    };
    assert.equal(await get(`http://[${HOST_ADDRESS6}]:18080/`), HOST_ADDRESS6);
    assert.equal(await get(`http://${HOST_ADDRESS}:18080/`), `::ffff:${HOST_ADDRESS}`);
    assert.equal(await get("http://[::1]:18080/"), GATEWAY6);
    assert.equal(await get("http://[::1]:18081/"), GATEWAY6);
    await udpServer(world.guest, "::", 4444);
    for (const host of [HOST_ADDRESS6, "::1"]) {
      const report = await udpEcho(world.host, host, 14444, [1, 1000]);
      assert.equal(report.ok, 2, host);
    }
  });

  test("F02 F06 DNS at ::3 asks the resolver at ::1, by UDP and TCP", {
    skip: cannotRun("dnsmasq"),
    ...LIMIT,
  }, async () => {
    await startDns(world.host, "::1", "203.0.113.6");
    for (const server of [DNS6, "10.0.2.3"]) {
      for (const transport of ["udp", "tcp"] as const) {
        const answer = await dns(world.guest, transport, server, "who.test");
        assert.equal(answer.address, "203.0.113.6", `${transport} ${server}`);
      }
    }
    const whole = await dns(world.guest, "tcp", DNS6, "long.test", "TXT");
    assert.equal(whole.answers, 16);
  });
});

describe("attach: capture of IPv6", { skip: SKIP }, () => {
  test("V12 at the end the router says that it is none; tshark finds nothing malformed", {
    ...LIMIT,
  }, async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-pcap6-"));
    const file = join(folder, "link.pcap");
    const world = await createWorld({ ipv6: true, pcap: file, mtu: 1500 });
    try {
      const ping = ["ping", "-6", "-n", "-c", "1", "-W", "5", "-s", "3000"];
      for (const to of [GATEWAY6, HOST_ADDRESS6]) await world.guest.run([...ping, to], 30_000);
      const server = await httpServer(world.host, HOST_ADDRESS6);
      const url = `http://[${HOST_ADDRESS6}]:${server.port}/1/200000`;
      assert.equal((await world.guest.run(["curl", "-sS", "-o", "/dev/null", url])).code, 0);
      const echo = await udpServer(world.host, HOST_ADDRESS6);
      await udpEcho(world.guest, HOST_ADDRESS6, echo.port, [1, 1000, 9000]);
      await tryConnect(world.guest, UNREACHABLE_ADDRESS6, 80);
      assert.equal((await world.program.stop()).code, 0);
      const list = async (filter: string): Promise<string[]> => {
        const outcome = await run(["tshark", "-n", "-r", file, "-Y", filter], 60_000);
        assert.equal(outcome.code, 0, outcome.stderr);
        return outcome.stdout.split("\n").filter((line) => line !== "");
      };
      for (const kind of ["icmpv6.type == 134", "icmpv6.type == 1", "ipv6 && tcp", "ipv6 && udp"]) {
        assert.ok((await list(kind)).length > 0, `no ${kind} in the capture`);
      }
      const farewell = "icmpv6.type == 134 && icmpv6.nd.ra.router_lifetime == 0";
      assert.equal((await list(farewell)).length, 1);
      const bad = "_ws.malformed || _ws.short || icmpv6.checksum.status == 0";
      assert.deepEqual(await list(bad), []);
    } finally {
      await world.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});
