/**
 * Options of `attach`. Goal: every option by argument and by variable gives its value, in its
 * place. Method: tables of text and result.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { ATTACH_ROWS, type AttachOptions } from "../../src/config/attach.ts";
import type { Environment } from "../../src/config/option.ts";
import { describeOf, errorOf, parse, variable } from "../cli/support.ts";

/** Options of `attach --tap tap0` with more arguments or variables. */
function attach(more: readonly string[], env: Environment = {}): AttachOptions {
  const command = parse(["attach", "--tap", "tap0", ...more], env);
  if (command.kind !== "attach") throw new assert.AssertionError({ message: describeOf(command) });
  return command.options;
}

/** The value at a path such as "network.mtu". */
function at(options: AttachOptions, path: string): unknown {
  let value: unknown = options;
  for (const key of path.split(".")) {
    const entries = new Map(Object.entries(value ?? {}));
    assert.ok(entries.has(key), path);
    value = entries.get(key);
  }
  return value;
}

const SEED = "00ff".repeat(16);
const TAP = { kind: "tap", name: "tap0", netns: undefined, configure: false, vnet: true };
const ANY_WAY = { ipv4: undefined, ipv6: undefined, device: undefined };

/** Option, text, place of its value and the value it must have. */
const TAKEN: readonly (readonly [string, string, string, unknown])[] = [
  ["tap", "a", "link", { ...TAP, name: "a" }],
  ["tap", "abcdefghijklmno", "link", { ...TAP, name: "abcdefghijklmno" }],
  ["netns", "/run/netns/blue", "link", { ...TAP, netns: "/run/netns/blue" }],
  ["netns", "blue", "link", { ...TAP, netns: "/run/netns/blue" }],
  ["netns", "./blue", "link", { ...TAP, netns: "./blue" }],
  ["netns", "4711", "link", { ...TAP, netns: 4711 }],
  [
    "cidr",
    "192.168.0.0/16",
    "network.subnet",
    {
      network: 0xc0a80000,
      prefixLength: 16,
      gateway: 0xc0a80002,
      dns: 0xc0a80003,
      guest: 0xc0a8000f,
    },
  ],
  ["mtu", "576", "network.mtu", 576],
  ["mtu", "65520", "network.mtu", 65520],
  ["mac", "02:00:00:00:00:01", "network.gatewayMac", [2, 0, 0, 0, 0, 1]],
  ["hostname", "vm-1", "dhcp", [{ code: 12, value: [0x76, 0x6d, 0x2d, 0x31] }]],
  ["dns", "127.0.0.53", "dns.servers", ["127.0.0.53"]],
  ["dns", "fe80::1%eth0", "dns.servers", ["fe80::1%eth0"]],
  [
    "cidr6",
    "fd00:1::/64",
    "network.subnet6",
    {
      network: [0xfd00, 1, 0, 0, 0, 0, 0, 0],
      prefixLength: 64,
      gateway: [0xfd00, 1, 0, 0, 0, 0, 0, 1],
      guest: [0xfd00, 1, 0, 0, 0, 0, 0, 2],
      dns: [0xfd00, 1, 0, 0, 0, 0, 0, 3],
    },
  ],
  ["dns-port", "5353", "dns.port", 5353],
  ["dns6", "never", "dns.announceIpv6", "never"],
  ["boot-file", "bios=a", "boot.list", [0, 0, 0, 1, 0x61]],
  ["boot-url", "http://a/b", "boot.list", [0xff, 0xfd, 0, 10, ...Buffer.from("http://a/b")]],
  ["next-server", "192.0.2.1", "boot.nextServer", 0xc0000201],
  ["tftp", "/srv/tftp", "boot.tftp", "/srv/tftp"],
  ["search", "svc.cluster.local.", "dns.search", ["svc.cluster.local"]],
  [
    "publish",
    "127.0.0.1:8080:80/tcp",
    "publish.rules",
    [{ protocol: "tcp", hostAddress: 0x7f000001, hostPort: 8080, guestPort: 80 }],
  ],
  ["host-address", "refuse", "hostSide.hostAddress", "refuse"],
  ["host-address", "allow", "hostSide.hostAddress", "allow"],
  ["metadata-address", "refuse", "hostSide.metadataAddress", "refuse"],
  ["outbound-address", "192.0.2.1", "hostSide.outbound", { ...ANY_WAY, ipv4: 0xc0000201 }],
  ["outbound-interface", "eth0", "hostSide.outbound", { ...ANY_WAY, device: "eth0" }],
  ["udp-ports", "preserve", "hostSide.udpPorts", "preserve"],
  ["udp-filter", "address-dependent", "hostSide.strictFilter", true],
  ["udp-filter", "endpoint-independent", "hostSide.strictFilter", false],
  ["flows-max", "256", "limits.flowsMax", 256],
  ["flows-max", "65536", "limits.flowsMax", 65536],
  ["buffer-mib", "4", "limits.bufferMib", 4],
  ["buffer-mib", "64", "limits.bufferMib", 64],
  ["tcp-idle-timeout", "7440", "limits.tcpIdleSeconds", 7440],
  ["udp-timeout", "120", "limits.udpTimeoutSeconds", 120],
  ["keepalive", "0", "limits.keepaliveSeconds", 0],
  ["keepalive", "30", "limits.keepaliveSeconds", 30],
  ["user", "107:36", "rights.user", { uid: 107, gid: 36 }],
  ["ready-fd", "0", "readyFd", 0],
  ["ready-fd", "3", "readyFd", 3],
  ["exit-fd", "0", "exitFd", 0],
  ["pcap", "/tmp/a,b.pcap", "capture.pcap", "/tmp/a,b.pcap"],
  ["pcap-snap", "64", "capture.pcapSnap", 64],
  ["pcap-limit", "1", "capture.pcapLimitMib", 1],
  ["record", "/tmp/a.rec", "capture.record", "/tmp/a.rec"],
  ["record-limit", "1", "capture.recordLimitMib", 1],
  ["metrics", "[::1]:9100", "metrics", { host: "::1", port: 9100 }],
  ["admin", "unix:/run/a.sock", "admin", { kind: "unix", path: "/run/a.sock" }],
  ["log-level", "debug", "log.level", "debug"],
  ["log-format", "pretty", "log.format", "pretty"],
  ["seed", SEED, "seed", Array.from({ length: 32 }, (_, index) => (index % 2) * 255)],
];

const FLAGS: readonly (readonly [string, string, boolean])[] = [
  ["no-checks", "checks", false],
  ["host-loopback", "hostSide.hostLoopback", true],
  ["strict-filter", "hostSide.strictFilter", true],
  ["strict-df", "hostSide.strictDf", true],
  ["no-ipv4", "network.ipv4", false],
  ["no-seccomp", "rights.seccomp", false],
  ["no-vnet", "link.vnet", false],
];

describe("defaults of attach", () => {
  test("are those of the manual", () => {
    const { link, network, dns, hostSide, capture, log, limits, rights, ...rest } = attach([]);
    assert.deepEqual(link, TAP);
    assert.deepEqual(network, {
      subnet: {
        network: 0x0a000200,
        prefixLength: 24,
        gateway: 0x0a000202,
        dns: 0x0a000203,
        guest: 0x0a00020f,
      },
      ipv4: true,
      subnet6: {
        network: [0xfd10, 0, 2, 0, 0, 0, 0, 0],
        prefixLength: 64,
        gateway: [0xfd10, 0, 2, 0, 0, 0, 0, 1],
        guest: [0xfd10, 0, 2, 0, 0, 0, 0, 2],
        dns: [0xfd10, 0, 2, 0, 0, 0, 0, 3],
      },
      mtu: 65520,
      gatewayMac: [0x52, 0x55, 0x0a, 0x00, 0x02, 0x02],
    });
    assert.deepEqual(dns, { servers: [], port: 53, announceIpv6: "auto", search: [] });
    assert.deepEqual(hostSide, {
      hostLoopback: false,
      hostAddress: "allow",
      metadataAddress: "allow",
      udpPorts: "ephemeral",
      strictFilter: false,
      outbound: ANY_WAY,
      strictDf: false,
    });
    assert.deepEqual(capture, {
      pcap: undefined,
      pcapSnap: 262144,
      pcapLimitMib: undefined,
      record: undefined,
      recordLimitMib: 1024,
    });
    assert.deepEqual(log, { level: "info", format: "json" });
    assert.deepEqual(limits, {
      flowsMax: undefined, // what memory and descriptors leave room for
      bufferMib: undefined,
      tcpIdleSeconds: 7440,
      udpTimeoutSeconds: 300,
      keepaliveSeconds: 0,
    });
    assert.deepEqual(rights, { user: undefined, seccomp: true });
    assert.deepEqual(rest, {
      dhcp: [],
      boot: undefined,
      publish: { rules: [], needsEveryPort: true },
      readyFd: undefined,
      exitFd: undefined,
      metrics: undefined,
      admin: undefined,
      checks: true,
      seed: undefined,
    });
  });

  test("every option of the table is tested here", () => {
    const tested = [...TAKEN.map(([name]) => name), ...FLAGS.map(([name]) => name)];
    tested.push("configure", "no-ipv6", "listen", "connect", "peer-uid");
    tested.push("vhost-user", "vhost-user-connect"); // with the other links, in link.test.ts
    assert.deepEqual([...new Set(tested)].sort(), ATTACH_ROWS.map((row) => row.name).sort());
    for (const row of ATTACH_ROWS) assert.equal(row.variable, variable(row.name));
  });
});

describe("options with a value", () => {
  for (const [name, text, path, value] of TAKEN) {
    test(`--${name} "${text}"`, () => {
      assert.deepEqual(at(attach([`--${name}`, text]), path), value);
      assert.deepEqual(at(attach([`--${name}=${text}`]), path), value);
    });
    test(`${variable(name)}="${text}"`, () => {
      const command = parse(["attach"], { SLIRP_TAP: "tap0", [variable(name)]: text });
      assert.ok(command.kind === "attach", describeOf(command));
      assert.deepEqual(at(command.options, path), value);
    });
  }
});

describe("flags", () => {
  for (const [name, path, value] of FLAGS) {
    test(`--${name} and ${variable(name)}`, () => {
      assert.equal(at(attach([]), path), !value);
      assert.equal(at(attach([`--${name}`]), path), value);
      for (const on of ["1", "true", "YES", "on"]) {
        assert.equal(at(attach([], { [variable(name)]: on }), path), value, on);
      }
      for (const off of ["0", "false", "no", "Off", ""]) {
        assert.equal(at(attach([], { [variable(name)]: off }), path), !value, off);
      }
      assert.equal(at(attach([`--${name}`], { [variable(name)]: "0" }), path), value);
    });
  }

  test("--strict-filter is one of the values of --udp-filter and contradicts the other", () => {
    const [strict, other] = ["--strict-filter", "--udp-filter=endpoint-independent"];
    assert.match(errorOf(["attach", "--tap", "t", strict, other]), /^drop "--udp-filter" or /);
    assert.ok(attach([strict, "--udp-filter=address-dependent"]).hostSide.strictFilter);
  });

  test("--configure goes with --netns", () => {
    const configured = { ...TAP, netns: 1, configure: true };
    assert.deepEqual(attach(["--netns", "1", "--configure"]).link, configured);
    assert.deepEqual(attach(["--netns", "1"], { SLIRP_CONFIGURE: "1" }).link, configured);
    assert.match(errorOf(["attach", "--tap", "t", "--configure"]), /^add "--netns" to/);
  });

  test("--no-vnet is off unless it is given", () => {
    assert.deepEqual(attach(["--no-vnet"]).link, { ...TAP, vnet: false });
    assert.deepEqual(attach([], { SLIRP_NO_VNET: "0" }).link, TAP);
  });

  test("a variable that is neither on nor off is refused", () => {
    const env = { SLIRP_TAP: "t", SLIRP_NO_VNET: "maybe" };
    assert.equal(errorOf(["attach"], env), 'parse SLIRP_NO_VNET "maybe": wanted "1" or "0"');
  });

  test("a flag takes no value", () => {
    assert.match(errorOf(["attach", "--tap", "t", "--host-loopback=1"]), /^read arguments: /);
    assert.match(errorOf(["attach", "--tap", "t", "--host-loopback", "1"]), /too many arguments/);
  });
});
