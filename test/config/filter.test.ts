/** Filters: what the text means, for frames and for flows; refusals; anything at all as input. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ConfigError } from "../../src/config/errors.ts";
import {
  type Filter,
  type FlowEnds,
  matchesFlow,
  matchesFrame,
  parseFilter,
} from "../../src/config/filter.ts";

const SEED = 20261130;

const ETHERNET = "525400123456 525510000202";
const IPV4 = `${ETHERNET} 0800`;
const IPV6 = `${ETHERNET} 86dd 60000000`;
const ENDS6 = "fd100000000200000000000000000002 20010db8000000000000000000000001";
const TCP = "9c4001bb 00000001 00000000 50020000 00000000";
const TCP6 = "9c400050 00000001 00000000 50020000 00000000";
const FRAMES = {
  // 10.0.2.15:40000 > 192.0.2.1:443
  tcp: `${IPV4} 45000028 00000000 40060000 0a00020f c0000201 ${TCP}`,
  // 10.0.2.15:5353 > 10.0.2.3:53
  dns: `${IPV4} 4500001c 00000000 40110000 0a00020f 0a000203 14e90035 00080000`,
  // The same with options of IP: 24 octets of header, to port 4242.
  options: `${IPV4} 46000020 00000000 40110000 0a00020f c0000202 00000000 14e91092 00080000`,
  // A later fragment of UDP, whose payload looks like ports 53.
  fragment: `${IPV4} 4500001c 00000001 40110000 0a00020f c0000201 00350035 00080000`,
  echo: `${IPV4} 4500001c 00000000 40010000 0a00020f 08080808 08000000 00010001`,
  unreachable: `${IPV4} 4500001c 00000000 40010000 0a000202 0a00020f 03010000 00000000`,
  arp: `${ETHERNET} 0806 0001 0800 06 04 0001 525400123456 0a00020f 000000000000 0a000202`,
  // fd10:0:2::2 port 40000 > 2001:db8::1 port 80, a destination options header before TCP.
  tcp6: `${IPV6} 001c 3c 40 ${ENDS6} 0600000000000000 ${TCP6}`,
  // A first fragment of UDP from port 7 to 9.
  fragment6: `${IPV6} 0010 2c 40 ${ENDS6} 1100000100000001 00070009 00080000`,
  echo6: `${IPV6} 0008 3a 40 ${ENDS6} 80000000 00010001`,
  other: `${ETHERNET} 88cc 0207`,
} as const;
type FrameName = keyof typeof FRAMES;
const NAMES = Object.keys(FRAMES) as FrameName[];

function octetsOf(name: FrameName): Uint8Array {
  return Uint8Array.from(Buffer.from(FRAMES[name].replaceAll(" ", ""), "hex"));
}

/** Names of the frames that a filter lets through, all of them sent by the guest. */
function through(text: string, facts = { fromGuest: true, dropped: false }): FrameName[] {
  const filter = parseFilter(text);
  return NAMES.filter((name) => matchesFrame(filter, octetsOf(name), facts));
}

describe("frames", () => {
  const cases: readonly (readonly [string, readonly FrameName[]])[] = [
    ["", NAMES],
    ["tcp", ["tcp", "tcp6"]],
    ["udp", ["dns", "options", "fragment", "fragment6"]],
    ["icmp", ["echo", "unreachable"]],
    ["icmp6", ["echo6"]],
    ["ping", ["echo", "echo6"]],
    ["dns", ["dns"]],
    ["arp", ["arp"]],
    ["ip", ["tcp", "dns", "options", "fragment", "echo", "unreachable"]],
    ["ip6", ["tcp6", "fragment6", "echo6"]],
    ["host 192.0.2.1", ["tcp", "fragment"]],
    ["src 10.0.2.2", ["unreachable"]],
    ["dst host 10.0.2.2", ["arp"]],
    ["host 2001:DB8::1", ["tcp6", "fragment6", "echo6"]],
    ["dst host fd10:0:2::2", []],
    ["net 192.0.2.0/31", ["tcp", "fragment"]],
    ["net 0.0.0.0/0", ["tcp", "dns", "options", "fragment", "echo", "unreachable", "arp"]],
    ["src net 2001:db8::/32", []],
    ["dst net 2001:db8::/33", ["tcp6", "fragment6", "echo6"]],
    ["port 53", ["dns"]],
    ["src port 53", []],
    ["udp src port 5353", ["dns", "options"]],
    ["tcp port 53", []],
    ["portrange 80-443", ["tcp", "tcp6"]],
    ["dst portrange 9-80", ["dns", "tcp6", "fragment6"]],
    ["from guest", NAMES],
    ["inbound", NAMES],
    ["to guest", []],
    ["outbound", []],
    ["dropped", []],
    ["not dropped and (arp or port 4242)", ["options", "arp"]],
    ["!ip && !ip6&&not arp", ["other"]],
    // As in pcap-filter: both bind alike, from left to right.
    ["arp or tcp and port 80", ["tcp6"]],
    ["arp or (tcp and port 80)", ["arp", "tcp6"]],
    ["not tcp port 80 and tcp", ["tcp"]],
    ["TCP Port 443", ["tcp"]],
  ];
  for (const [text, names] of cases) {
    test(JSON.stringify(text), () => assert.deepEqual(through(text), names));
  }

  test("know their direction and fate", () => {
    const facts = { fromGuest: false, dropped: true };
    assert.deepEqual(through("to guest and dropped", facts), NAMES);
    assert.deepEqual(through("outbound", facts), NAMES);
    assert.deepEqual(through("from guest or inbound", facts), []);
  });

  test("cut off anywhere are looked at as far as they go", () => {
    for (const name of NAMES) {
      const octets = octetsOf(name);
      for (let length = 0; length <= octets.length; length += 1) {
        const part = octets.slice(0, length);
        for (const text of ["port 53", "host 10.0.2.15", "tcp or udp or ping"]) {
          const isWhole = matchesFrame(parseFilter(text), octets, ALL);
          const isPart = matchesFrame(parseFilter(text), part, ALL);
          assert.ok(isWhole || !isPart, `${text} matches ${length} octets of ${name} alone`);
        }
      }
    }
  });

  test("of any octets break nothing, and a chain of extension headers has an end", () => {
    const filter = parseFilter("port 1 or host ff02::1 or net 10.0.0.0/8 or ping or arp");
    const isNone = parseFilter("not (port 1 or host ff02::1 or net 10.0.0.0/8 or ping or arp)");
    const types = fc.constantFrom("0800", "86dd", "0806", "8100").map((hex) => {
      return Uint8Array.from(Buffer.from(`${ETHERNET}${hex}`.replaceAll(" ", ""), "hex"));
    });
    fc.assert(
      fc.property(types, fc.uint8Array({ maxLength: 120 }), (head, rest) => {
        const octets = Uint8Array.from([...head, ...rest]);
        assert.notEqual(matchesFrame(filter, octets, ALL), matchesFrame(isNone, octets, ALL));
      }),
      { seed: SEED },
    );
    const chain = octetsOf("tcp6").slice(0, 54);
    chain[20] = 0;
    const long = Uint8Array.from([...chain, ...new Uint8Array(60_000)]);
    assert.equal(matchesFrame(parseFilter("tcp or udp or port 0"), long, ALL), false);
  });
});

const ALL = { fromGuest: true, dropped: false };

const FLOW: FlowEnds = {
  kind: "tcp",
  guestAddress: "10.0.2.15",
  guestPort: 40000,
  peerAddress: "10.0.2.2",
  peerPort: 8080,
  hostAddress: "127.0.0.1",
  hostPort: 80,
};
const FLOW6: FlowEnds = {
  kind: "ping",
  guestAddress: "fd10:0:2::2",
  guestPort: 7,
  peerAddress: "fe80::1%eth0",
  peerPort: 0,
  hostAddress: "",
  hostPort: 0,
};

describe("flows", () => {
  const cases: readonly (readonly [string, boolean, boolean])[] = [
    ["", true, true],
    ["tcp", true, false],
    ["udp or icmp", false, false],
    ["ping", false, true],
    ["icmp6", false, true],
    ["ip", true, false],
    ["ip6", false, true],
    ["dns", false, false],
    ["host 127.0.0.1", true, false],
    ["src host 10.0.2.15", true, false],
    ["dst host 10.0.2.15", false, false],
    ["dst 10.0.2.2", true, false],
    ["host fe80::1", false, true],
    ["net fd10::/16", false, true],
    ["port 80", true, false],
    ["port 8080", true, false],
    ["src port 80", false, false],
    ["portrange 0-7", false, false],
    ["not port 80", false, true],
  ];
  for (const [text, first, second] of cases) {
    test(JSON.stringify(text), () => {
      const filter = parseFilter(text, "flows");
      assert.deepEqual([matchesFlow(filter, FLOW), matchesFlow(filter, FLOW6)], [first, second]);
    });
  }

  test("DNS is UDP, and TCP to its port", () => {
    const dns = parseFilter("dns", "flows");
    assert.equal(matchesFlow(parseFilter("udp"), { ...FLOW, kind: "dns" }), true);
    assert.equal(matchesFlow(dns, { ...FLOW, kind: "dns", peerPort: 0 }), true);
    assert.equal(matchesFlow(dns, { ...FLOW, peerPort: 53 }), true);
    assert.equal(matchesFlow(dns, { ...FLOW6, peerPort: 53 }), false);
  });

  test("have frames of both directions, none of them dropped", () => {
    assert.equal(matchesFlow(parseFilter("from guest and to guest"), FLOW), true);
    assert.equal(matchesFlow(parseFilter("dropped"), FLOW), false);
  });
});

describe("refusals", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["tcp tcp", 'wanted "and" or "or" at character 5, not "tcp"'],
    ["host", "wanted an IP address at character 5, not the end"],
    ["src host example", 'wanted an IP address at character 10, not "example"'],
    ["src and", 'wanted an IP address at character 5, not "and"'],
    ["host 10.0.2", 'wanted an IP address at character 6, not "10.0.2"'],
    ["port http", 'wanted a port number at character 6, not "http"'],
    ["port 65536", 'wanted a port number at character 6, not "65536"'],
    ["port 1-2", 'wanted a port number at character 6, not "1-2"'],
    ["portrange 9-2", 'wanted ports such as "80-89" at character 11, not "9-2"'],
    ["portrange 9", 'wanted ports such as "80-89" at character 11, not "9"'],
    ["net 10/8", 'wanted a network such as "10.0.0.0/8" at character 5, not "10/8"'],
    ["net ::/129", 'wanted a network such as "10.0.0.0/8" at character 5, not "::/129"'],
    ["net 10.1.0.0/8", 'bits beyond the prefix are set in "10.1.0.0/8"'],
    ["from host", 'wanted "guest" at character 6, not "host"'],
    ["(tcp", 'wanted ")" at character 5, not the end'],
    ["tcp)", 'wanted "and" or "or" at character 4, not ")"'],
    ["tcp and", "wanted a protocol, host, net, port, direction or parenthesis at character 8"],
    ["tcp & udp", 'wanted "and" or "or" at character 5, not "&"'],
    ["10.0.2.15", 'wanted "host 10.0.2.15" at character 1, not "10.0.2.15"'],
    ["vlan", "wanted a protocol, host, net, port, direction or parenthesis at character 1"],
    [`${"(".repeat(40)}tcp`, "wanted at most 32 levels, at character 34"],
    [`${"!".repeat(1000)}tcp`, "wanted at most 32 levels, at character 34"],
    ["a".repeat(1025), "wanted at most 1024 characters, not 1025"],
    ["\u001b[2Jtcp", "wanted a protocol, host, net, port, direction or parenthesis"],
  ];
  for (const [text, message] of cases) {
    test(JSON.stringify(text.slice(0, 40)), () => {
      assert.throws(
        () => parseFilter(text),
        (error) => error instanceof ConfigError && error.message.startsWith(message),
      );
    });
  }

  test("of flows: what only frames have", () => {
    for (const text of ["from guest", "outbound", "tcp and dropped", "arp", "not arp"]) {
      assert.throws(() => parseFilter(text, "flows"), /is of frames, not of flows/, text);
    }
  });
});

describe("any text", () => {
  const words = fc.constantFrom(
    ...["tcp", "udp", "dns", "arp", "ip6", "from", "to", "guest", "dropped", "src", "dst"],
    ...["host", "net", "port", "portrange", "10.0.2.15", "10.0.0.0/8", "fd10::/16", "80", "1-9"],
    ...["and", "or", "not", "!", "&&", "||", "(", ")", "&", "|", "\n", "\0"],
  );

  test("is a filter or a ConfigError", () => {
    const texts = fc.oneof(
      fc.array(words, { maxLength: 60 }).map((list) => list.join(" ")),
      fc.string({ maxLength: 80 }),
    );
    fc.assert(
      fc.property(texts, (text) => {
        try {
          const filter = parseFilter(text);
          for (const name of NAMES) matchesFrame(filter, octetsOf(name), ALL);
          matchesFlow(filter, FLOW);
        } catch (error) {
          assert.ok(error instanceof ConfigError, String(error));
        }
      }),
      { seed: SEED, numRuns: 2000 },
    );
  });

  test("written from a tree means that tree", () => {
    fc.assert(
      fc.property(trees, (tree) => {
        const parsed = parseFilter(write(tree));
        for (const name of NAMES) {
          const octets = octetsOf(name);
          assert.equal(matchesFrame(parsed, octets, ALL), matchesFrame(tree, octets, ALL));
        }
      }),
      { seed: SEED, numRuns: 500 },
    );
  });

  test("as long as may be has its answer at once", () => {
    const text = new Array(170).fill("ip").join(" or ").slice(0, 1024);
    const filter = parseFilter(text.replace(/ or?$| $/, ""));
    assert.equal(matchesFrame(filter, octetsOf("other"), ALL), false);
  });
});

const leaves: fc.Arbitrary<Filter> = fc.oneof(
  fc.constantFrom("tcp", "udp", "dns", "arp", "ip", "ping").map((protocol) => ({
    kind: "protocol" as const,
    protocol: protocol as "tcp",
  })),
  fc.record({
    kind: fc.constant("ports" as const),
    side: fc.constantFrom("any", "src", "dst"),
    first: fc.constantFrom(0, 53, 80),
    last: fc.constantFrom(80, 5353, 65535),
  }),
  fc.record({ kind: fc.constant("direction" as const), fromGuest: fc.boolean() }),
);

const trees: fc.Arbitrary<Filter> = fc.letrec<{ tree: Filter }>((tie) => ({
  tree: fc.oneof(
    { maxDepth: 4 },
    leaves,
    fc.record({ kind: fc.constant("not" as const), of: tie("tree") }),
    fc.record({
      kind: fc.constantFrom("and" as const, "or" as const),
      left: tie("tree"),
      right: tie("tree"),
    }),
  ),
})).tree;

function write(filter: Filter): string {
  switch (filter.kind) {
    case "protocol":
      return filter.protocol;
    case "ports":
      return `${filter.side === "any" ? "" : filter.side} portrange ${filter.first}-${filter.last}`;
    case "direction":
      return filter.fromGuest ? "from guest" : "outbound";
    case "not":
      return `not (${write(filter.of)})`;
    case "and":
    case "or":
      return `(${write(filter.left)}) ${filter.kind} (${write(filter.right)})`;
    default:
      return "dropped";
  }
}
