/**
 * The command line. Goal: every option by argument and by variable, with its bounds and the one
 * line that a wrong value gives. Method: tables of text and result; the process is left alone.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { FILTER_ADDRESSES } from "../../src/cli/host-rows.ts";
import { MANIFESTS_ROWS } from "../../src/cli/manifests.ts";
import { environmentName, type OptionRow } from "../../src/cli/option-row.ts";
import { type Environment, parseCommandLine } from "../../src/cli/options.ts";
import { ATTACH_ROWS, DEMO_ROWS, SERVE_ROWS } from "../../src/cli/options-table.ts";
import { SIMULATE_ROWS } from "../../src/cli/simulate-rows.ts";
import type { AttachOptions } from "../../src/config/config.ts";
import type { RightsOptions } from "../../src/config/rights.ts";
import { FILTER_COUNT } from "../../wasm/abi.ts";
import { describeOf, errorOf, parse, variable } from "./support.ts";

type Attach = AttachOptions & RightsOptions;

/** Options of `attach --tap tap0` with more arguments or variables. */
function attach(more: readonly string[], env: Environment = {}): Attach {
  const command = parse(["attach", "--tap", "tap0", ...more], env);
  if (command.kind !== "attach") throw new assert.AssertionError({ message: describeOf(command) });
  return command.options;
}

const SEED = "00ff".repeat(16);
const TAP = { kind: "tap", name: "tap0", netns: undefined, configure: false, vnet: true };

const ANY_WAY = { ipv4: undefined, ipv6: undefined, device: undefined };

/** Option, text, property and the value it must have. */
const NO_BOOT = {
  files: [],
  urls: [],
  nextServer: undefined,
  nextServer6: undefined,
  tftp: undefined,
};

const TAKEN: readonly (readonly [string, string, keyof Attach, unknown])[] = [
  ["tap", "a", "link", { ...TAP, name: "a" }],
  ["tap", "abcdefghijklmno", "link", { ...TAP, name: "abcdefghijklmno" }],
  ["netns", "/run/netns/blue", "link", { ...TAP, netns: "/run/netns/blue" }],
  ["netns", "blue", "link", { ...TAP, netns: "/run/netns/blue" }],
  ["netns", "./blue", "link", { ...TAP, netns: "./blue" }],
  ["netns", "4711", "link", { ...TAP, netns: 4711 }],
  [
    "cidr",
    "192.168.0.0/16",
    "subnet",
    {
      network: 0xc0a80000,
      prefixLength: 16,
      gateway: 0xc0a80002,
      dns: 0xc0a80003,
      guest: 0xc0a8000f,
    },
  ],
  ["mtu", "576", "mtu", 576],
  ["mtu", "65520", "mtu", 65520],
  ["mac", "02:00:00:00:00:01", "gatewayMac", [2, 0, 0, 0, 0, 1]],
  ["hostname", "vm-1.example.org", "hostname", "vm-1.example.org"],
  ["dns", "127.0.0.53", "dns", ["127.0.0.53"]],
  ["dns", "fe80::1%eth0", "dns", ["fe80::1%eth0"]],
  [
    "cidr6",
    "fd00:1::/64",
    "subnet6",
    {
      network: [0xfd00, 1, 0, 0, 0, 0, 0, 0],
      prefixLength: 64,
      gateway: [0xfd00, 1, 0, 0, 0, 0, 0, 1],
      guest: [0xfd00, 1, 0, 0, 0, 0, 0, 2],
      dns: [0xfd00, 1, 0, 0, 0, 0, 0, 3],
    },
  ],
  ["dns-port", "5353", "dnsPort", 5353],
  ["dns6", "never", "dns6", "never"],
  ["boot-file", "bios=a", "boot", { ...NO_BOOT, files: [{ selectors: [0], name: "a" }] }],
  ["boot-url", "http://192.0.2.1/a", "boot", { ...NO_BOOT, urls: ["http://192.0.2.1/a"] }],
  ["next-server", "192.0.2.1", "boot", { ...NO_BOOT, nextServer: 0xc0000201 }],
  ["tftp", "/srv/tftp", "boot", { ...NO_BOOT, tftp: "/srv/tftp" }],
  ["search", "svc.cluster.local.", "search", ["svc.cluster.local"]],
  [
    "publish",
    "127.0.0.1:8080:80/tcp",
    "publish",
    [{ protocol: "tcp", hostAddress: 0x7f000001, hostPort: 8080, guestPort: 80 }],
  ],
  ["host-address", "refuse", "hostAddress", "refuse"],
  ["host-address", "allow", "hostAddress", "allow"],
  ["metadata-address", "refuse", "metadataAddress", "refuse"],
  ["outbound-address", "192.0.2.1", "outbound", { ...ANY_WAY, ipv4: 0xc0000201 }],
  ["outbound-interface", "eth0", "outbound", { ...ANY_WAY, device: "eth0" }],
  ["udp-ports", "preserve", "udpPorts", "preserve"],
  ["udp-filter", "address-dependent", "strictFilter", true],
  ["udp-filter", "endpoint-independent", "strictFilter", false],
  ["flows-max", "256", "flowsMax", 256],
  ["flows-max", "65536", "flowsMax", 65536],
  ["buffer-mib", "4", "bufferMib", 4],
  ["buffer-mib", "64", "bufferMib", 64],
  ["tcp-idle-timeout", "7440", "tcpIdleSeconds", 7440],
  ["udp-timeout", "120", "udpTimeoutSeconds", 120],
  ["keepalive", "0", "keepaliveSeconds", 0],
  ["keepalive", "30", "keepaliveSeconds", 30],
  ["user", "107:36", "user", { uid: 107, gid: 36 }],
  ["ready-fd", "0", "readyFd", 0],
  ["ready-fd", "3", "readyFd", 3],
  ["exit-fd", "0", "exitFd", 0],
  ["pcap", "/tmp/a,b.pcap", "pcap", "/tmp/a,b.pcap"],
  ["pcap-snap", "64", "pcapSnap", 64],
  ["pcap-limit", "1", "pcapLimitMib", 1],
  ["record", "/tmp/a.rec", "record", "/tmp/a.rec"],
  ["record-limit", "1", "recordLimitMib", 1],
  ["log-level", "debug", "logLevel", "debug"],
  ["log-format", "pretty", "logFormat", "pretty"],
  ["seed", SEED, "seed", Array.from({ length: 32 }, (_, index) => (index % 2) * 255)],
];

const FLAGS: readonly (readonly [string, keyof Attach, boolean])[] = [
  ["host-loopback", "hostLoopback", true],
  ["strict-filter", "strictFilter", true],
  ["strict-df", "strictDf", true],
  ["no-ipv4", "ipv4", false],
];

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

describe("defaults of attach", () => {
  test("are those of the manual", () => {
    assert.deepEqual(attach([]), {
      link: TAP,
      subnet: {
        network: 0x0a000200,
        prefixLength: 24,
        gateway: 0x0a000202,
        dns: 0x0a000203,
        guest: 0x0a00020f,
      },
      peerUids: [],
      ipv4: true,
      subnet6: {
        network: [0xfd10, 0, 2, 0, 0, 0, 0, 0],
        prefixLength: 64,
        gateway: [0xfd10, 0, 2, 0, 0, 0, 0, 1],
        guest: [0xfd10, 0, 2, 0, 0, 0, 0, 2],
        dns: [0xfd10, 0, 2, 0, 0, 0, 0, 3],
      },
      mtu: 65520,
      publish: [],
      needsEveryPort: true,
      hostLoopback: false,
      dns: [],
      dnsPort: 53,
      dns6: "auto",
      boot: undefined,
      search: [],
      hostname: undefined,
      dhcpOptions: undefined,
      pcap: undefined,
      pcapSnap: 262144,
      pcapLimitMib: undefined,
      record: undefined,
      recordLimitMib: 1024,
      user: undefined,
      seccomp: true,
      readyFd: undefined,
      exitFd: undefined,
      logLevel: "info",
      logFormat: "json",
      flowsMax: undefined, // what memory and descriptors leave room for
      bufferMib: undefined,
      tcpIdleSeconds: 7440,
      udpTimeoutSeconds: 300,
      hostAddress: "allow",
      metadataAddress: "allow",
      udpPorts: "ephemeral",
      strictFilter: false,
      outbound: ANY_WAY,
      strictDf: false,
      keepaliveSeconds: 0,
      seed: undefined,
      gatewayMac: [0x52, 0x55, 0x0a, 0x00, 0x02, 0x02],
    });
  });

  test("every option of the table is tested here", () => {
    const tested = [...TAKEN.map(([name]) => name), ...FLAGS.map(([name]) => name)];
    tested.push("no-seccomp", "configure", "no-vnet", "no-ipv6", "listen", "connect", "peer-uid");
    assert.deepEqual([...new Set(tested)].sort(), ATTACH_ROWS.map((row) => row.name).sort());
    for (const row of ATTACH_ROWS) assert.equal(environmentName(row), variable(row.name));
  });
});

describe("options with a value", () => {
  for (const [name, text, property, value] of TAKEN) {
    test(`--${name} "${text}"`, () => {
      assert.deepEqual(attach([`--${name}`, text])[property], value);
      assert.deepEqual(attach([`--${name}=${text}`])[property], value);
    });
    test(`${variable(name)}="${text}"`, () => {
      const command = parse(["attach"], { SLIRP_TAP: "tap0", [variable(name)]: text });
      assert.ok(command.kind === "attach", describeOf(command));
      assert.deepEqual(command.options[property], value);
    });
  }
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

describe("flags", () => {
  for (const [name, property, value] of FLAGS) {
    test(`--${name} and ${variable(name)}`, () => {
      assert.equal(attach([])[property], !value);
      assert.equal(attach([`--${name}`])[property], value);
      for (const on of ["1", "true", "YES", "on"]) {
        assert.equal(attach([], { [variable(name)]: on })[property], value, on);
      }
      for (const off of ["0", "false", "no", "Off", ""]) {
        assert.equal(attach([], { [variable(name)]: off })[property], !value, off);
      }
      assert.equal(attach([`--${name}`], { [variable(name)]: "0" })[property], value);
    });
  }

  test("--strict-filter is one of the values of --udp-filter and contradicts the other", () => {
    const [strict, other] = ["--strict-filter", "--udp-filter=endpoint-independent"];
    assert.match(errorOf(["attach", "--tap", "t", strict, other]), /^drop "--udp-filter" or /);
    assert.ok(attach([strict, "--udp-filter=address-dependent"]).strictFilter);
    assert.equal(FILTER_ADDRESSES, FILTER_COUNT, "as the help says");
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

describe("versions of IP", () => {
  test("IPv6 can be switched off, and is off where the MTU is too small for it", () => {
    assert.equal(attach(["--no-ipv6"]).subnet6, undefined);
    assert.equal(attach(["--mtu", "1279"]).subnet6, undefined);
    assert.notEqual(attach(["--mtu", "1280"]).subnet6, undefined);
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

describe("arguments and environment together", () => {
  test("an argument wins over its variable", () => {
    assert.equal(attach(["--mtu", "1500"], { SLIRP_MTU: "9000" }).mtu, 1500);
    assert.equal(attach(["--mtu", "1500"], { SLIRP_MTU: "nonsense" }).mtu, 1500);
    assert.deepEqual(attach(["--dns", "1.1.1.1"], { SLIRP_DNS: "2.2.2.2" }).dns, ["1.1.1.1"]);
  });

  test("the last of several arguments counts where one is wanted", () => {
    assert.equal(attach(["--mtu", "1500", "--mtu", "1400"]).mtu, 1400);
  });

  test("repeatable options keep all, in order", () => {
    const more = ["--dns", "1.1.1.2", "--dns", "1.1.1.1", "--search", "b.org", "--search", "a.org"];
    const options = attach([...more, "--publish", "81-82:1", "--publish", "80:3/udp"]);
    assert.deepEqual(options.dns, ["1.1.1.2", "1.1.1.1"]);
    assert.deepEqual(options.search, ["b.org", "a.org"]);
    assert.deepEqual(
      options.publish.map((rule) => `${rule.hostPort}:${rule.guestPort}/${rule.protocol}`),
      ["81:1/tcp", "80:3/udp"],
    );
  });

  test("their variables separate values by commas", () => {
    const options = attach([], {
      SLIRP_DNS: "1.1.1.2, 1.1.1.1,",
      SLIRP_PUBLISH: "8080:80,5353:53/udp",
      SLIRP_SEARCH: ",",
    });
    assert.deepEqual(options.dns, ["1.1.1.2", "1.1.1.1"]);
    assert.equal(options.publish.length, 2);
    assert.deepEqual(options.search, []);
  });

  test("variables of nobody's are left alone", () => {
    attach([], { SLIRP_PORT: "tcp://10.0.0.1:80", SLIRP_SERVICE_HOST: "10.0.0.1", PATH: "/bin" });
  });
});

describe("help and version", () => {
  for (const argv of [["--help"], ["-h"], ["help"]]) {
    test(`${argv.join(" ")} prints the program's help`, () => {
      const command = parse(argv);
      assert.ok(command.kind === "help");
      assert.match(command.text, /^Usage: slirp-binding COMMAND/);
      for (const name of ["attach", "serve", "manifests", "demo", "simulate"]) {
        assert.match(command.text, new RegExp(`^ {2}${name} `, "m"));
      }
      assert.match(command.text, /onDefineDomain --vmi JSON --domain XML/);
      assert.doesNotMatch(command.text, /flows|internal/);
    });
  }

  for (const argv of [
    ["attach", "--help"],
    ["attach", "-h"],
    ["help", "attach"],
  ]) {
    test(`${argv.join(" ")} prints every option of attach`, () => {
      const command = parse(argv);
      assert.ok(command.kind === "help");
      for (const row of ATTACH_ROWS) assert.ok(command.text.includes(`--${row.name} `), row.name);
      assert.match(command.text, /Coming from slirp4netns:/);
      assert.match(command.text, /Coming from pasta:/);
      assert.ok(command.text.endsWith("\n") && !command.text.endsWith("\n\n"));
      for (const line of command.text.split("\n")) assert.ok(line.length <= 100, line);
    });
  }

  const others: readonly (readonly [string, readonly OptionRow[]])[] = [
    ["serve", SERVE_ROWS],
    ["manifests", MANIFESTS_ROWS],
    ["demo", DEMO_ROWS],
    ["simulate", SIMULATE_ROWS],
  ];
  for (const [name, rows] of others) {
    test(`${name} --help prints every option of ${name}`, () => {
      const command = parse([name, "--help"]);
      assert.ok(command.kind === "help");
      for (const row of rows) assert.ok(command.text.includes(`--${row.name} `), row.name);
      for (const line of command.text.split("\n")) assert.ok(line.length <= 100, line);
    });
  }

  test("help comes before complaints about options", () => {
    assert.equal(parse(["attach", "--mtu", "1", "--help"]).kind, "help");
  });

  test("--version and -V ask for the version", () => {
    assert.deepEqual(parse(["--version"]), { kind: "version" });
    assert.deepEqual(parse(["-V"]), { kind: "version" });
  });
});

describe("bad usage is one line", () => {
  const choose =
    'choose a command: "attach", "run", "serve", "manifests", "demo", "replay", "simulate", ' +
    'or see "slirp-binding --help"';
  const cases: readonly (readonly [readonly string[], string])[] = [
    [[], choose],
    [["help", "nothing"], "read arguments: unknown command 'nothing'"],
    [["help", "atach"], "read arguments: unknown command 'atach' (Did you mean attach?)"],
    [["attch"], "read arguments: unknown command 'attch' (Did you mean attach?)"],
    [["--nothing"], "read arguments: unknown option '--nothing'"],
    [["attach"], 'choose one of "--tap", "--listen" and "--connect": none given'],
    [["attach", "--tap"], "read arguments: option '--tap <NAME>' argument missing"],
    [["attach", "--tapp", "a"], "read arguments: unknown option '--tapp' (Did you mean --tap?)"],
    [["attach", "--vnet"], "read arguments: unknown option '--vnet' (Did you mean --no-vnet?)"],
    [
      ["attach", "tap0"],
      "read arguments: too many arguments for 'attach'. Expected 0 arguments but got 1",
    ],
    [["attach", "--x\n\u001b[2J"], "read arguments: unknown option '--x \\u{1b}[2J'"],
  ];
  for (const [argv, message] of cases) {
    test(JSON.stringify(argv), () => {
      assert.equal(errorOf(argv), message);
    });
  }
});

test("without being told, the format of the log follows standard error", () => {
  const command = parseCommandLine(["attach", "--tap", "t"], {});
  assert.ok(command.kind === "attach");
  assert.ok(["json", "pretty"].includes(command.options.logFormat));
});
