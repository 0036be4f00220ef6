/**
 * End to end, IPv6 with real programs that the other files do not use: iperf3 both ways, curl over
 * a bad cable, and what radvdump and tcpdump make of a router advertisement; path MTU over IPv4,
 * whose counterpart of IPv6 is in `attach-ipv6.runtime.test.ts`.
 */

import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, test } from "node:test";
import { createLossyGuest } from "../support/e2e/lossy-guest.ts";
import {
  httpServer,
  MODE,
  script,
  streams,
  tcpServer,
  udpEcho,
  udpServer,
} from "../support/e2e/peers.ts";
import { sha256Of } from "../support/e2e/seeded.mjs";
import { cannotRun, createWorld, oursOnly, type World } from "../support/e2e/setup.ts";
import { run, until } from "../support/e2e/shell.ts";
import {
  createHost,
  createNamespace,
  HOST_ADDRESS6,
  type Namespace,
  setSysctls,
} from "../support/e2e/world.ts";

const LIMIT = { timeout: 150_000 };
const MIB = 1 << 20;
const TRANSFER_LIMIT_ms = 100_000;

interface IperfReport {
  readonly error?: string;
  readonly end: {
    readonly sum_sent: { readonly bytes: number };
    readonly sum_received: { readonly bytes: number };
  };
}

/** Runs iperf3 over IPv6 until so many octets are sent; what each end says of sent and received. */
async function iperf(world: World, octets: number, args: readonly string[]) {
  const port = "5201"; // of a namespace of our own
  const server = world.host.start(["iperf3", "-s", "-1", "-J", "-p", port]);
  await until(
    async () => (await world.host.run(["ss", "-Hltn", `sport = :${port}`])).stdout !== "",
    "iperf3 to listen",
  );
  const client = ["iperf3", "-6", "-c", HOST_ADDRESS6, "-p", port, "-n", String(octets), "-J"];
  const ends = [
    await world.guest.run([...client, ...args], TRANSFER_LIMIT_ms),
    await server.outcome(),
  ];
  return ends.map(({ code, stdout, stderr }) => {
    assert.equal(code, 0, stdout + stderr);
    const { error, end } = JSON.parse(stdout) as IperfReport;
    assert.equal(error, undefined);
    return { sent: end.sum_sent.bytes, received: end.sum_received.bytes };
  });
}

/** Streams by curl each way between a guest and `httpServer`, compared by their sums. */
async function curlBothWays(guest: Namespace, port: number, octets: number): Promise<void> {
  const url = `http://[${HOST_ADDRESS6}]:${port}`;
  const get = `curl -6 -sS ${url}/5/${octets} | sha256sum`;
  const down = await guest.run(["sh", "-c", get], TRANSFER_LIMIT_ms);
  assert.equal(down.stdout.split(" ")[0], sha256Of(5, octets), down.stderr);
  const source = script("seeded.mjs", "6", String(octets)).join(" ");
  const put = `${source} | curl -6 -sS -H Expect: -T - ${url}/`;
  const up = await guest.run(["sh", "-c", put], TRANSFER_LIMIT_ms);
  const answer = JSON.parse(up.stdout || "{}") as unknown;
  assert.deepEqual(answer, { count: octets, sha256: sha256Of(6, octets) }, up.stderr);
}

describe("IPv6: iperf3", { skip: cannotRun("iperf3") || oursOnly() }, () => {
  for (const mtu of [1500, 65520]) {
    test(`both ends count the same octets each way, MTU ${mtu}`, LIMIT, async () => {
      const world = await createWorld({ ipv6: true, mtu });
      try {
        const size = 128 * MIB;
        const [down, downServer] = await iperf(world, size, ["-R"]);
        assert.deepEqual(down, { sent: down?.sent, received: down?.sent });
        assert.equal(downServer?.sent, down?.sent);
        assert.ok((down?.received ?? 0) >= size, `${down?.received} octets`);
        const [up, upServer] = await iperf(world, size, []);
        // The server stops reading when the client says that it is done: the rest is under way.
        assert.equal(upServer?.received, up?.received);
        assert.ok((up?.sent ?? 0) >= size, `${up?.sent} octets`);
        assert.ok((up?.received ?? 0) > size / 2, `${up?.received} octets`);
        assert.ok((up?.received ?? 0) <= (up?.sent ?? 0));
      } finally {
        await world.remove();
      }
    });
  }
});

describe("IPv6: a bad cable to the guest", { skip: cannotRun() || oursOnly() }, () => {
  test("T21 1 % lost, doubled and reordered: 8 MiB by curl -6 each way intact", LIMIT, async () => {
    const host = createHost();
    const options = { mtu: 1500, percent: 1, seed: 65, ipv6: true };
    const chain = await createLossyGuest(host, options);
    try {
      const server = await httpServer(host, HOST_ADDRESS6);
      await curlBothWays(chain.guest, server.port, 8 * MIB);
      const counts = await chain.counts();
      assert.ok(counts.lost > 0 && counts.doubled > 0, JSON.stringify(counts));
    } finally {
      await chain.remove();
      host.remove();
    }
  });
});

describe("IPv6: what others read in our router advertisement", {
  skip: cannotRun("radvdump", "tcpdump") || oursOnly(),
}, () => {
  const args = ["--cidr6", "fd00:5:6:7::/64", "--search", "one.test", "--search", "two.test"];
  args.push("--dns6", "always");

  test("V11 V13 V14 V15 V16 radvdump: every option, without complaint", LIMIT, async () => {
    const world = await createWorld({ ipv6: true, configure: false, mtu: 9000, args });
    try {
      const dump = world.guest.start(["stdbuf", "-oL", "radvdump"]);
      const hasRoute = (): boolean => world.guest.must("ip", "-6", "route").includes("proto ra");
      // The kernel solicits when the link comes up; radvdump does not tell when it listens.
      await until(
        () => {
          if (dump.stdout().includes("# End of interface definition")) return true;
          if (hasRoute()) world.guest.must("ip", "link", "set", "tap0", "down");
          world.guest.must("ip", "link", "set", "tap0", "mtu", "9000", "up");
          return false;
        },
        () => `radvdump to see an advertisement: ${dump.stdout()}${dump.stderr()}`,
        60_000,
      );
      const shown = dump.stdout();
      for (const line of [
        "# based on Router Advertisement from fe80::5055:aff:fe00:202",
        "AdvManagedFlag on;",
        "AdvOtherConfigFlag on;",
        "AdvCurHopLimit 64;",
        "AdvDefaultLifetime 1800;",
        "AdvSourceLLAddress on;",
        "AdvLinkMTU 9000;",
        "prefix fd00:5:6:7::/64",
        "AdvOnLink on;",
        "AdvAutonomous on;",
        "RDNSS fd00:5:6:7::3",
        "DNSSL one.test two.test",
      ]) {
        assert.ok(shown.includes(line), `no "${line}" in ${shown}`);
      }
      assert.equal(dump.stderr(), "");
    } finally {
      await world.remove();
    }
  });

  test("V11 V13 V14 V15 tcpdump: every option, without complaint", LIMIT, async () => {
    const folder = mkdtempSync(join(tmpdir(), "slirp-tcpdump-"));
    const pcap = join(folder, "link.pcap");
    const world = await createWorld({ ipv6: true, mtu: 9000, args, pcap });
    try {
      await until(
        async () => {
          const route = await world.guest.run(["ip", "-6", "route", "show", "proto", "ra"]);
          return route.stdout.includes("default");
        },
        "the route of an advertisement",
        30_000,
      );
      assert.equal((await world.program.stop()).code, 0);
      const filter = "icmp6 and ip6[40] == 134";
      const outcome = await run(["tcpdump", "-n", "-vv", "-r", pcap, filter]);
      assert.equal(outcome.code, 0, outcome.stderr);
      for (const words of [
        /\[icmp6 sum ok\] ICMP6, router advertisement, length \d+/,
        /hop limit 64, Flags \[managed, other stateful\], pref medium, router lifetime 1800s/,
        /source link-address option \(1\), length 8 \(1\): 52:55:0a:00:02:02/,
        /mtu option \(5\), length 8 \(1\): {2}9000/,
        /prefix info option \(3\), length 32 \(4\): fd00:5:6:7::\/64, Flags \[onlink, auto\]/,
        /rdnss option \(25\), length 24 \(3\): {2}lifetime 1800s, addr: fd00:5:6:7::3/,
        /dnssl option \(31\), length 32 \(4\): {2}lifetime 1800s, domain.*: one.test. two.test./,
      ]) {
        assert.match(outcome.stdout, words);
      }
      assert.doesNotMatch(outcome.stdout, /bad|wrong|invalid|unknown|\[\|/);
    } finally {
      await world.remove();
      rmSync(folder, { recursive: true, force: true });
    }
  });
});

describe("IPv4: path MTU", { skip: cannotRun() || oursOnly() }, () => {
  const FAR = "203.0.113.2";
  const FAR_MTU = 1300;

  /** Joins two namespaces by a veth pair with the first two addresses of a network. */
  function join4(a: Namespace, b: Namespace, names: readonly [string, string], net: string): void {
    const [one, two] = names;
    a.must("ip", "link", "add", one, "type", "veth", "peer", "name", two, "netns", b.name);
    a.must("ip", "addr", "add", `${net}.1/24`, "dev", one);
    b.must("ip", "addr", "add", `${net}.2/24`, "dev", two);
    a.must("ip", "link", "set", one, "up");
    b.must("ip", "link", "set", two, "up");
  }

  test("P18 N09 what a router of the path says reaches the guest", LIMIT, async () => {
    const world = await createWorld({ mtu: 9000 });
    const router = createNamespace("router");
    const far = createNamespace("far");
    try {
      join4(world.host, router, ["near0", "near1"], "10.99.1");
      join4(router, far, ["far0", "far1"], "203.0.113");
      router.must("ip", "link", "set", "far0", "mtu", String(FAR_MTU));
      far.must("ip", "link", "set", "far1", "mtu", String(FAR_MTU));
      setSysctls(router, { "net.ipv4.ip_forward": "1" });
      far.must("ip", "route", "add", "default", "via", "203.0.113.1");
      world.host.must("ip", "route", "add", "203.0.113.0/24", "via", "10.99.1.2");
      const echo = await udpServer(far, FAR);
      let route = "";
      await until(
        async () => {
          await udpEcho(world.guest, FAR, echo.port, [1400]);
          route = world.guest.must("ip", "route", "get", FAR);
          return route.includes(`mtu ${FAR_MTU}`);
        },
        () => `the guest to learn the MTU: ${route}`,
        60_000,
      );
      for (const size of [1400, 5000]) {
        const arrives = async (): Promise<boolean> =>
          (await udpEcho(world.guest, FAR, echo.port, [size])).ok === 1;
        await until(arrives, `${size} octets to come back`, 30_000);
      }
      const { port } = await tcpServer(far, FAR);
      const task = { host: FAR, port, mode: MODE.both, streams: 2, seed: 4 };
      for (const report of await streams(world.guest, { ...task, send: MIB, receive: MIB })) {
        assert.equal(report.error, "");
        assert.equal(report.sha256, sha256Of(report.seed, MIB));
      }
    } finally {
      await world.remove();
      router.remove();
      far.remove();
    }
  });
});
