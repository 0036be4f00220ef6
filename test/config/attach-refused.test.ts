/**
 * Options of `attach` that are refused, each with the one line it gives, and values that depend on
 * each other: what is read needs no further check and is frozen all the way down.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type AttachOptions, readAttachOptions } from "../../src/config/attach.ts";
import type { Environment } from "../../src/config/option.ts";
import type { Setting } from "../../src/config/settings.ts";
import { describeOf, errorOf, parse, variable } from "../cli/support.ts";

/** Options of `attach --tap tap0` with more arguments or variables. */
function attach(more: readonly string[], env: Environment = {}): AttachOptions {
  const command = parse(["attach", "--tap", "tap0", ...more], env);
  if (command.kind !== "attach") throw new assert.AssertionError({ message: describeOf(command) });
  return command.options;
}

function read(given: Readonly<Record<string, readonly string[]>>): AttachOptions {
  const settings = new Map<string, Setting>([["tap", { values: ["tap0"], origin: "--tap" }]]);
  for (const [name, values] of Object.entries(given)) {
    settings.set(name, { values, origin: `--${name}` });
  }
  return readAttachOptions(settings, false);
}

/** Option, text and the end of the message. */
const REFUSED: readonly (readonly [string, string, string])[] = [
  ["tap", "", 'wanted an interface name of 1 to 15 characters without "/:%"'],
  ["tap", "abcdefghijklmnop", 'wanted an interface name of 1 to 15 characters without "/:%"'],
  ["tap", "a/b", 'wanted an interface name of 1 to 15 characters without "/:%"'],
  ["tap", "tap%d", 'wanted an interface name of 1 to 15 characters without "/:%"'],
  ["tap", "a b", 'wanted an interface name of 1 to 15 characters without "/:%"'],
  ["tap", "..", 'wanted an interface name of 1 to 15 characters without "/:%"'],
  ["netns", "", "wanted a process id, a name or a path"],
  ["netns", "..", "wanted a process id, a name or a path"],
  ["netns", "0", "wanted a process id from 1 to 4194304, a name or a path"],
  ["netns", "4194305", "wanted a process id from 1 to 4194304, a name or a path"],
  ["cidr", "10.0.2.1/24", 'host bits are set, the network is "10.0.2.0/24"'],
  ["host-address", "no", 'wanted one of "allow", "refuse"'],
  ["metadata-address", "0", 'wanted one of "allow", "refuse"'],
  ["udp-ports", "8125", 'wanted one of "ephemeral", "preserve"'],
  ["udp-filter", "strict", 'wanted one of "endpoint-independent", "address-dependent"'],
  ["mtu", "575", "wanted an integer from 576 to 65520"],
  ["mtu", "65521", "wanted an integer from 576 to 65520"],
  ["mtu", "1500.5", "wanted an integer from 576 to 65520"],
  ["mac", "52:55:0a:00:02", 'wanted six octets such as "52:55:0a:00:02:02"'],
  ["mac", "01:00:00:00:00:01", "wanted a unicast MAC address"],
  ["mac", "00:00:00:00:00:00", "wanted a unicast MAC address"],
  ["hostname", "a_b", "wanted a host name of letters, digits, hyphens and dots"],
  ["dns", "dns.example", "wanted the address of a resolver"],
  ["dns", "0.0.0.0", "wanted the address of a resolver"],
  ["dns", "224.0.0.251", "wanted the address of a resolver"],
  ["dns", "::", "wanted the address of a resolver"],
  ["dns", "ff02::fb", "wanted the address of a resolver"],
  ["cidr6", "fd10::1/64", "host bits are set"],
  ["dns-port", "0", "wanted an integer from 1 to 65535"],
  ["search", "a..b", "wanted a DNS name"],
  ["publish", "80", "wanted [HOSTIP:]PORT[-PORT]:[GUESTIP:]GUESTPORT[/tcp|/udp]"],
  ["flows-max", "255", "wanted an integer from 256 to 65536"],
  ["flows-max", "65537", "wanted an integer from 256 to 65536"],
  ["buffer-mib", "3", "wanted an integer from 4 to 64"],
  ["buffer-mib", "65", "wanted an integer from 4 to 64"],
  ["tcp-idle-timeout", "7439", "wanted an integer from 7440 to 31536000"],
  [
    "outbound-address",
    "eth0",
    "wanted an address that other hosts can answer to, of IPv4, IPv6 or both",
  ],
  ["outbound-interface", "a/b", 'wanted the name of an interface such as "eth0"'],
  ["udp-timeout", "119", "wanted an integer from 120 to 86400"],
  ["udp-timeout", "86401", "wanted an integer from 120 to 86400"],
  ["keepalive", "29", "wanted an integer from 30 to 32767"],
  ["keepalive", "32768", "wanted an integer from 30 to 32767"],
  ["ready-fd", "-1", "wanted an integer from 0 to 1048575"],
  ["pcap", "", "wanted a path"],
  ["pcap-snap", "63", "wanted an integer from 64 to 262144"],
  ["pcap-limit", "0", "wanted an integer from 1 to 1048576"],
  ["log-level", "trace", 'wanted one of "debug", "info", "warn", "error"'],
  ["log-format", "xml", 'wanted one of "json", "pretty"'],
  ["seed", "00", "wanted 64 hex digits"],
  ["seed", "g".repeat(64), "wanted 64 hex digits"],
];

describe("values of attach that are refused", () => {
  for (const [name, text, problem] of REFUSED) {
    test(`refuses --${name} "${text}"`, () => {
      const quoted = JSON.stringify(text);
      assert.equal(
        errorOf(["attach", "--tap", "tap0", `--${name}=${text}`]),
        `parse --${name} ${quoted}: ${problem}`,
      );
      if (text === "") return; // an empty variable is an absent one
      const env = { SLIRP_TAP: "tap0", [variable(name)]: text };
      assert.equal(errorOf(["attach"], env), `parse ${variable(name)} ${quoted}: ${problem}`);
    });
  }
});

describe("versions of IP", () => {
  test("IPv6 can be switched off, and is off where the MTU is too small for it", () => {
    assert.equal(attach(["--no-ipv6"]).network.subnet6, undefined);
    assert.equal(attach(["--mtu", "1279"]).network.subnet6, undefined);
    assert.notEqual(attach(["--mtu", "1280"]).network.subnet6, undefined);
  });

  const refused: readonly (readonly [readonly string[], RegExp])[] = [
    [["--no-ipv6", "--cidr6", "fd00::/64"], /^drop "--cidr6" or "--no-ipv6"/],
    [["--mtu", "1000", "--cidr6", "fd00::/64"], /^raise "--mtu" to 1280/],
    [["--mtu", "1000", "--no-ipv4"], /^raise "--mtu" to 1280/],
    [["--no-ipv4", "--no-ipv6"], /one has to stay$/],
    [["--no-ipv4", "--publish", "127.0.0.1:80:80"], /^publish "127.0.0.1:80" without IPv4/],
    [["--no-ipv6", "--publish", "[::1]:80:80"], /^publish "\[::1\]:80" without IPv6/],
  ];
  for (const [more, message] of refused) {
    test(`refuses ${more.join(" ")}`, () => {
      assert.match(errorOf(["attach", "--tap", "t", ...more]), message);
    });
  }
});

function assertFrozen(value: unknown, path: string): void {
  if (typeof value !== "object" || value === null) return;
  assert.ok(Object.isFrozen(value), `${path} is frozen`);
  for (const [key, part] of Object.entries(value)) assertFrozen(part, `${path}.${key}`);
}

test("an AttachOptions is frozen all the way down", () => {
  const options = read({
    publish: ["80-82:80"],
    dns: ["1.1.1.1"],
    search: ["a.org"],
    seed: ["0".repeat(64)],
  });
  assertFrozen(options, "options");
  assert.throws(() => Object.assign(options.network.subnet, { guest: 0 }), TypeError);
});

test("without a link nothing can be attached", () => {
  assert.throws(() => readAttachOptions(new Map(), false), {
    name: "ConfigError",
    message: 'choose one of "--tap", "--listen", "--connect" and "--vhost-user": none given',
  });
});

test("the log is pretty on a terminal and JSON elsewhere", () => {
  const settings = new Map<string, Setting>([["tap", { values: ["t"], origin: "--tap" }]]);
  assert.equal(readAttachOptions(settings, true).log.format, "pretty");
  assert.equal(readAttachOptions(settings, false).log.format, "json");
});

describe("values that depend on each other", () => {
  test("the gateway's MAC follows its address", () => {
    const { gatewayMac, subnet } = read({ cidr: ["192.168.7.0/28"] }).network;
    assert.deepEqual(gatewayMac, [0x52, 0x55, 192, 168, 7, 2]);
    assert.equal(subnet.guest, 0xc0a80704);
  });

  test("configuring is for another namespace than our own", () => {
    assert.throws(() => read({ configure: ["true"] }), {
      message: 'add "--netns" to "--configure": our own namespace is left as it is',
    });
    const { link } = read({ configure: ["true"], netns: ["1"] });
    assert.ok(link.kind === "tap" && link.configure);
  });

  test("forwards are checked against each other", () => {
    assert.throws(() => read({ publish: ["80:80", "80:81"] }), /once, not twice$/);
  });

  test("a search list too long for DHCP is refused at once", () => {
    const search = Array.from({ length: 40 }, (_, index) => `${"y".repeat(40)}.d${index}`);
    assert.throws(() => read({ search }), /^ConfigError: shorten DHCP options/);
  });

  test("at most three resolvers", () => {
    const dns = ["1.1.1.1", "1.1.1.2", "1.1.1.3"];
    assert.deepEqual(read({ dns }).dns.servers, dns);
    assert.throws(() => read({ dns: [...dns, "1.1.1.4"] }), {
      message: "give at most 3 resolvers, not 4",
    });
  });
});
