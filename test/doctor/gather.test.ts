/** Facts from a made-up /proc and /sys. */
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { describe, test } from "node:test";
import type { Facts } from "../../src/doctor/facts.ts";
import { gather, type Surroundings } from "../../src/doctor/gather.ts";

const FILES = {
  "/proc/self/status": "Name:\tx\nCapEff:\t0000000000000400\nSeccomp:\t2\n",
  "/proc/sys/net/ipv4/ping_group_range": "1\t0\n",
  "/proc/sys/net/ipv4/ip_unprivileged_port_start": "80\n",
  "/proc/sys/net/ipv6/conf/all/disable_ipv6": "0\n",
  "/proc/net/ipv6_route": [
    `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 ${"0".repeat(32)} ffffffff 1 0 00200200       lo`,
    `${"0".repeat(32)} 00 ${"0".repeat(32)} 00 fe80${"0".repeat(28)} 400 1 0 00000003     eth0`,
  ].join("\n"),
  "/dev/net/tun": "",
  "/sys/class/net/lo/flags": "0x9\n",
  "/sys/class/net/lo/mtu": "65536\n",
  "/sys/class/net/eth0/flags": "0x1003\n",
  "/sys/class/net/eth0/mtu": "1450\n",
  "/sys/class/net/eth1/flags": "0x1002\n",
  "/sys/class/net/eth1/mtu": "9000\n",
  "/etc/resolv.conf": "search example.org\n",
  "/hooks/x": "",
};

async function withRoot(
  files: Readonly<Record<string, string>>,
  run: (root: string) => Promise<void>,
): Promise<void> {
  const root = mkdtempSync(join(tmpdir(), "slirp-doctor-"));
  try {
    for (const [path, text] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    await run(root);
  } finally {
    rmSync(root, { recursive: true });
  }
}

function look(root: string, more: Partial<Surroundings> = {}): Promise<Facts> {
  const base = { root, uid: 5, gid: 6, now_ms: 77, hooksDir: "/hooks", program: "/no/such" };
  const clock = () => performance.now();
  return gather({ ...base, clock, resolvers: [], tries: undefined, ...more });
}

describe("doctor: facts", () => {
  test("what /proc, /sys and /etc say", () =>
    withRoot(FILES, async (root) => {
      const program = join(root, "hooks/x");
      const facts = await look(root, { program });
      assert.ok((facts.built_ms ?? 0) > 0);
      assert.deepEqual(
        { ...facts, built_ms: 0 },
        {
          hasSystemCalls: false,
          uid: 5,
          gid: 6,
          mayBindAny: true,
          seccompMode: 2,
          tunProblem: undefined,
          pingGroups: [1, 0],
          mayPing: undefined,
          portStart: 80,
          descriptors: undefined,
          resolvConf: "search example.org\n",
          resolvers: [],
          isIpv6Off: false,
          hasIpv6Route: true,
          interfaces: [
            { name: "eth0", mtu: 1450, isUp: true, isLoopback: false },
            { name: "eth1", mtu: 9000, isUp: false, isLoopback: false },
            { name: "lo", mtu: 65536, isUp: true, isLoopback: true },
          ],
          clock_ms: 77,
          built_ms: 0,
          missingFeatures: [],
          memoryLimit: undefined,
          hooksFolder: { path: "/hooks", isWritable: true },
        },
      );
    }));

  test("a machine without any of it leaves them open", () =>
    withRoot({}, async (root) => {
      const facts = await look(root);
      assert.equal(facts.tunProblem, "ENOENT");
      assert.equal(facts.isIpv6Off, true);
      assert.equal(facts.hasIpv6Route, false);
      assert.deepEqual(facts.interfaces, []);
      assert.deepEqual(
        [facts.pingGroups, facts.portStart, facts.seccompMode, facts.resolvConf, facts.built_ms],
        Array(5).fill(undefined),
      );
      assert.equal(facts.mayBindAny, false);
      assert.equal(facts.hooksFolder.isWritable, undefined);
    }));

  test("what the runtime tries out", () =>
    withRoot({}, async (root) => {
      const tries = {
        mayPing: () => false,
        descriptors: () => 9,
        missingFeatures: () => ["UDP_GRO"],
      };
      const facts = await look(root, { tries });
      assert.deepEqual(
        [facts.hasSystemCalls, facts.mayPing, facts.descriptors, facts.missingFeatures],
        [true, false, 9, ["UDP_GRO"]],
      );
    }));
});
