/** What each check says of facts: when all is well, when not, and what mends it. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { judge, judgeRunning } from "../../src/doctor/checks.ts";
import type { Facts, Wishes } from "../../src/doctor/facts.ts";
import type { Finding } from "../../src/doctor/finding.ts";

const MIB = 1 << 20;

const WELL: Facts = {
  hasSystemCalls: true,
  uid: 1000,
  gid: 1000,
  mayBindAny: false,
  seccompMode: 0,
  tunProblem: undefined,
  pingGroups: [0, 2147483647],
  mayPing: true,
  portStart: 1024,
  descriptors: 1_048_576,
  resolvConf: "nameserver 192.0.2.53\nsearch example.org\n",
  resolvers: [{ address: "192.0.2.53", answered_ms: 3 }],
  isIpv6Off: false,
  hasIpv6Route: true,
  interfaces: [
    { name: "lo", mtu: 65536, isUp: true, isLoopback: true },
    { name: "eth0", mtu: 1450, isUp: true, isLoopback: false },
    { name: "down0", mtu: 500, isUp: false, isLoopback: false },
  ],
  clock_ms: 2_000_000,
  built_ms: 1_000_000,
  missingFeatures: [],
  memoryLimit: undefined,
  hooksFolder: { path: "/var/run/kubevirt-hooks", isWritable: true },
};
const WISHES: Wishes = { flowsMax: 16384, publishedSockets: 0, lowestPort: undefined };

function found(check: string, facts: Partial<Facts>, wishes: Partial<Wishes> = {}): Finding {
  const findings = judge({ ...WELL, ...facts }, { ...WISHES, ...wishes });
  const finding = findings.find((each) => each.check === check);
  assert.ok(finding, check);
  return finding;
}

/** Asserts severity, and that words are somewhere in it. */
function says(finding: Finding, severity: Finding["severity"], ...words: string[]): void {
  assert.equal(finding.severity, severity, JSON.stringify(finding));
  const text = `${finding.what}\n${finding.why}\n${finding.mend}`;
  for (const word of words) assert.ok(text.includes(word), `${word} in ${text}`);
}

describe("doctor: where all is well", () => {
  test("every check says so, or notes what is usual", () => {
    const findings = judge(WELL, WISHES);
    assert.deepEqual(
      findings.filter(({ severity }) => severity !== "ok").map(({ check }) => check),
      ["ports"],
    );
    assert.ok(findings.length >= 13);
  });

  test("what is no problem has nothing to mend it, what is one has why and how", () => {
    const bad: Facts = {
      ...WELL,
      hasSystemCalls: false,
      tunProblem: "EACCES",
      mayPing: false,
      descriptors: 100,
      resolvers: [],
      interfaces: [],
      built_ms: 3_000_000,
      memoryLimit: { octets: MIB, source: "memory.max" },
      hooksFolder: { path: "/x", isWritable: false },
    };
    const findings = judge(bad, { ...WISHES, lowestPort: 80 });
    for (const { severity, why, mend, check } of findings) {
      if (severity === "ok") assert.deepEqual([why, mend], [undefined, undefined], check);
      if (severity === "warning" || severity === "error") assert.ok(why && mend, check);
    }
    assert.equal(findings.filter(({ severity }) => severity !== "ok").length, 10);
  });
});

describe("doctor: what is wrong", () => {
  test("a runtime without system calls", () => {
    says(found("runtime", { hasSystemCalls: false }), "error", "dist/slirp-binding");
  });

  test("/dev/net/tun that is not there, or not ours", () => {
    says(found("tun", { tunProblem: "ENOENT" }), "warning", "ENOENT", "modprobe tun");
    says(found("tun", { tunProblem: "EACCES" }), "warning", "chmod 666 /dev/net/tun");
  });

  test("a group outside ping_group_range", () => {
    const finding = found("ping", { mayPing: false, pingGroups: [1, 0], gid: 107 });
    says(finding, "warning", '"1 0"', 'ping_group_range="107 107"');
    says(found("ping", { mayPing: undefined }), "ok");
    says(found("ping", { mayPing: false, pingGroups: undefined }), "warning", "not there");
  });

  test("ports below the first that anybody may have", () => {
    says(found("ports", {}, { lowestPort: 1023 }), "error", "1023", "port_start=1023");
    says(found("ports", {}, { lowestPort: 1024 }), "note", "1024");
    says(found("ports", { mayBindAny: true }, { lowestPort: 80 }), "ok");
    says(found("ports", { portStart: 0 }, { lowestPort: 80 }), "ok");
    says(found("ports", { portStart: 80 }, { lowestPort: 80 }), "note");
    says(found("ports", { portStart: undefined }, { lowestPort: 80 }), "error", "1024");
  });

  test("descriptors for flows and published ports", () => {
    says(found("descriptors", { descriptors: 16448 }), "ok");
    const finding = found("descriptors", { descriptors: 16448 }, { publishedSockets: 1 });
    says(finding, "warning", "16448", "ulimit -Hn 16449");
    const none = judge({ ...WELL, descriptors: undefined }, WISHES);
    assert.equal(
      none.some(({ check }) => check === "descriptors"),
      false,
    );
  });

  test("resolvers that are not there, silent or slow", () => {
    const silent = (address: string) => ({ address, answered_ms: undefined });
    const well = { address: "192.0.2.1", answered_ms: 5 };
    says(found("resolvers", { resolvers: [] }), "warning", "names no resolver", "--dns");
    const unread = found("resolvers", { resolvers: [], resolvConf: undefined });
    says(unread, "warning", "cannot be read");
    says(found("resolvers", { resolvers: [silent("192.0.2.9")] }), "error", "192.0.2.9");
    says(found("resolvers", { resolvers: [silent("127.0.0.53")] }), "error", "loopback");
    says(found("resolvers", { resolvers: [silent("::1")] }), "error", "loopback");
    const one = found("resolvers", { resolvers: [well, silent("192.0.2.9")] });
    says(one, "warning", "192.0.2.9");
    assert.ok(!one.what.includes(well.address));
    says(found("resolvers", { resolvers: [well, { ...well, answered_ms: 1000 }] }), "note", "1000");
    says(found("resolvers", { resolvers: [well, well] }), "ok", "2 of 2");
  });

  test("a search list with the root in it", () => {
    says(found("search", { resolvConf: "search .\n" }), "note", "search .");
    says(found("search", { resolvConf: undefined }), "ok");
  });

  test("IPv6 that leads nowhere", () => {
    says(found("ipv6", { hasIpv6Route: false }), "note", "no default route", "--no-ipv6");
    says(found("ipv6", { hasIpv6Route: false, isIpv6Off: true }), "note", "switched off");
  });

  test("an MTU too small for IPv6, and nowhere to go", () => {
    const at = (mtu: number) => ({
      interfaces: [{ name: "eth0", mtu, isUp: true, isLoopback: false }],
    });
    says(found("mtu", at(1279)), "warning", "eth0", "1279", "mtu 1280");
    says(found("mtu", at(1280)), "ok", "1280");
    says(found("mtu", { interfaces: [] }), "warning", "loopback");
    says(found("mtu", {}), "ok", "1450");
  });

  test("a clock before the program's own date", () => {
    says(found("clock", { clock_ms: 999_999 }), "warning", "1970", "set-ntp");
    says(found("clock", { built_ms: undefined }), "ok");
    says(found("clock", { clock_ms: 1_000_000 }), "ok");
  });

  test("features that a filter or an old kernel keeps away", () => {
    says(found("seccomp", { missingFeatures: ["UDP_GRO"], seccompMode: 2 }), "note", "UDP_GRO");
    says(found("seccomp", { seccompMode: 2 }), "ok", "a seccomp filter holds");
    says(found("seccomp", {}), "ok", "no seccomp filter");
  });

  test("memory that is too little", () => {
    const at = (octets: number) => ({ memoryLimit: { octets, source: "memory.max" } });
    says(found("memory", at(64 * MIB)), "ok", "64 MiB", "memory.max");
    says(found("memory", at(64 * MIB - 1)), "warning", "63 MiB", "resources.yaml");
    says(found("memory", at(34 * MIB)), "warning");
    says(found("memory", at(34 * MIB - 1)), "error");
  });

  test("the folder of the hooks", () => {
    const at = (isWritable: boolean | undefined) => ({
      hooksFolder: { path: "/hooks", isWritable },
    });
    says(found("hooks", at(false)), "error", "/hooks", "chown");
    says(found("hooks", at(undefined)), "note", "/hooks");
    says(found("hooks", at(true)), "ok", "/hooks");
  });
});

describe("a program that runs", () => {
  const told = (facts: Partial<Facts>): string[] =>
    judgeRunning({ ...WELL, ...facts }).map(({ check }) => check);

  test("is warned of what is certain, and of nothing where all is well", () => {
    assert.deepEqual(told({}), []);
    const silent = { address: "192.0.2.53", answered_ms: undefined };
    const small = [{ name: "eth0", mtu: 1200, isUp: true, isLoopback: false }];
    const bad = { resolvers: [silent], interfaces: small, clock_ms: 1 };
    assert.deepEqual(told(bad), ["resolvers", "mtu", "clock"]);
    assert.deepEqual(told({ ...bad, resolvers: [], hasIpv6Route: false }), ["clock"]);
  });

  test("is not told again what it has told at its start", () => {
    const few = { descriptors: 10, mayPing: false, memoryLimit: { octets: 1, source: "x" } };
    assert.deepEqual(told({ ...few, hasSystemCalls: false, tunProblem: "ENOENT" }), []);
  });
});
