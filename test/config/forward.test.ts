/** Inbound forwards. Goal: each rule becomes the sockets it says, and no two want the same one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { ConfigError } from "../../src/config/errors.ts";
import { publishedCount, publishedSockets } from "../../src/config/forward.ts";
import { checkPublishGuests, checkPublishRules } from "../../src/config/publish-checks.ts";
import { formatHost, type PublishRule, parsePublish } from "../../src/config/publish-rule.ts";
import { parseSubnet } from "../../src/config/subnet.ts";
import { parseSubnet6 } from "../../src/config/subnet6.ts";

const SEED = 20240229;

function rules(...texts: readonly string[]): PublishRule[] {
  return texts.map(parsePublish);
}

describe("parsePublish", () => {
  test("reads a port, TCP on all addresses unless said", () => {
    assert.deepEqual(parsePublish("8080:80"), {
      protocol: "tcp",
      hostAddress: 0,
      hostPort: 8080,
      guestPort: 80,
    });
  });

  test("reads address and protocol", () => {
    assert.deepEqual(parsePublish("127.0.0.1:5353:53/udp"), {
      protocol: "udp",
      hostAddress: 0x7f000001,
      hostPort: 5353,
      guestPort: 53,
    });
    assert.equal(parsePublish("1:1/tcp").protocol, "tcp");
  });

  test("reads an IPv6 address in brackets, and all addresses of one version", () => {
    assert.deepEqual(parsePublish("[::1]:8080:80"), {
      protocol: "tcp",
      hostAddress: [0, 0, 0, 0, 0, 0, 0, 1],
      hostPort: 8080,
      guestPort: 80,
    });
    assert.deepEqual(parsePublish("0.0.0.0:8080:80"), {
      protocol: "tcp",
      hostAddress: 0,
      ipv4Only: true,
      hostPort: 8080,
      guestPort: 80,
    });
    assert.equal(formatHost(parsePublish("[::]:1:1")), "[::]");
  });

  test("09: reads the guest's address, of either version, of ranges and udp too", () => {
    const guests = (text: string): unknown[] => {
      const { hostPort, guestAddress, guestPort, count } = parsePublish(text);
      return [hostPort, guestAddress, guestPort, ...(count === undefined ? [] : [count])];
    };
    const fifty = [0xfd10, 0, 2, 0, 0, 0, 0, 0x50];
    assert.deepEqual(guests("8080:10.0.2.50:80"), [8080, 0x0a000232, 80]);
    assert.deepEqual(guests("[::1]:8080:[fd10:0:2::50]:80"), [8080, fifty, 80]);
    assert.deepEqual(guests("127.0.0.1:1-2:10.0.2.50:5/udp"), [1, 0x0a000232, 5, 2]);
    assert.deepEqual(guests("127.0.0.1:8080:[fd10:0:2::50]:80"), [8080, fifty, 80]);
    for (const text of ["[::1]:53:10.0.2.50:53/udp", "127.0.0.1:53:[fd10::50]:53/udp"]) {
      assert.throws(() => parsePublish(text), /one version of IP for udp/);
    }
    for (const text of ["80:10.0.2:80", "80:[::g]:80", "80:10.0.2.50", "80:10.0.2.500:80"]) {
      assert.throws(() => parsePublish(text), ConfigError, text);
    }
  });

  test("09: the guest's address is one that a guest may have", () => {
    const networks = {
      ipv4: true,
      subnet: parseSubnet("10.0.2.0/24"),
      subnet6: parseSubnet6("fd10:0:2::/120"),
    };
    for (const good of ["10.0.2.15", "10.0.2.254", "[fd10:0:2::50]", "[fd10:0:2::2]"]) {
      checkPublishGuests(rules(`80:${good}:80`), networks);
    }
    const others = ["10.0.3.50", "10.0.2.0", "10.0.2.255", "10.0.2.2", "10.0.2.3", "192.0.2.1"];
    const others6 = ["[fd10:0:2::]", "[fd10:0:2::1]", "[fd10:0:2::3]", "[fd10:0:2::1:5]", "[::1]"];
    for (const bad of [...others, ...others6]) {
      assert.throws(
        () => checkPublishGuests(rules(`80:${bad}:80`), networks),
        /wanted an address of the guest's network, not gateway or DNS/,
        bad,
      );
    }
    const four = { ...networks, subnet6: undefined };
    assert.throws(
      () => checkPublishGuests(rules("80:[fd10:0:2::50]:80"), four),
      /publish to "fd10:0:2::50" without IPv6: it is not served/,
    );
    const six = { ...networks, ipv4: false };
    assert.throws(() => checkPublishGuests(rules("80:10.0.2.50:80"), six), /without IPv4/);
  });

  test("leads a range to as many guest ports in step", () => {
    assert.deepEqual(parsePublish("8000-8002:80"), {
      protocol: "tcp",
      hostAddress: 0,
      hostPort: 8000,
      guestPort: 80,
      count: 3,
    });
    assert.equal(parsePublish("65535-65535:65535").count, undefined);
    assert.equal(publishedCount(rules("1-65535:1/udp", "1-65535:1/tcp")), 131_070);
  });

  const form = "wanted [HOSTIP:]PORT[-PORT]:[GUESTIP:]GUESTPORT[/tcp|/udp]";
  const refused: readonly (readonly [string, string])[] = [
    ["", form],
    ["80", form],
    ["80:", form],
    [":80:80", form],
    ["80:80/sctp", form],
    ["80:80/", form],
    ["80-:80", form],
    ["80:80-81", form],
    ["::1:80:80", form],
    ["[::1:80:80", form],
    ["[fe80::1]:80:80", 'wanted a global IPv6 address of this host, not "[fe80::1]"'],
    ["[ff02::1]:80:80", 'wanted a global IPv6 address of this host, not "[ff02::1]"'],
    ["[::1::]:80:80", 'wanted a global IPv6 address of this host, not "[::1::]"'],
    ["a:80:80", form],
    ["0:80", "wanted ports from 1 to 65535, not 0"],
    ["80:0", "wanted ports from 1 to 65535, not 0"],
    ["65536:80", "wanted ports from 1 to 65535, not 65536"],
    ["80:65536", "wanted ports from 1 to 65535, not 65536"],
    ["80-0:80", "wanted ports from 1 to 65535, not 0"],
    ["90-80:80", 'range is reversed, wanted "80-90"'],
    ["1000-1010:65530", "guest ports would end at 65540, past 65535"],
    ["1.2.3:80:80", 'wanted an IPv4 address of this host, not "1.2.3"'],
    ["224.0.0.1:80:80", 'wanted an IPv4 address of this host, not "224.0.0.1"'],
  ];
  for (const [text, message] of refused) {
    test(`refuses "${text}"`, () => {
      assert.throws(() => parsePublish(text), { name: "ConfigError", message });
    });
  }

  test(`keeps the distance between host and guest port (seed ${SEED})`, () => {
    const port = fc.integer({ min: 1, max: 60000 });
    const property = fc.property(port, port, fc.integer({ min: 0, max: 4095 }), (a, b, more) => {
      const found = parsePublish(`${a}-${a + more}:${b}`);
      assert.equal(publishedCount([found]), more + 1);
      assert.equal(found.guestPort - found.hostPort, b - a);
    });
    fc.assert(property, { seed: SEED, numRuns: 30 });
  });
});

describe("checkPublishRules", () => {
  test("takes the same port of two protocols or two addresses", () => {
    checkPublishRules(rules("53:53/tcp", "53:53/udp"));
    checkPublishRules(rules("127.0.0.1:80:80", "127.0.0.2:80:80"));
    checkPublishRules(rules("80-89:80", "90-99:80"));
    checkPublishRules(rules("127.0.0.1:80:80", "[::1]:80:80"));
    checkPublishRules(rules("0.0.0.0:80:80", "[::]:80:80"));
    checkPublishRules(rules("1-99:1", "100-200:100", "201:201"));
  });

  test("takes several host ports and addresses for one port of the guest", () => {
    checkPublishRules(rules("5060:5060/udp", "5062:5060/udp", "127.0.0.1:53:53", "10.1.1.1:53:53"));
  });

  const clashes: readonly (readonly [readonly string[], string])[] = [
    [["80:80", "80:81"], 'publish host port "*:80/tcp" once, not twice'],
    [["80-89:80", "85:8085"], 'publish host port "*:85/tcp" once, not twice'],
    [["85:8085", "80-89:80"], 'publish host port "*:85/tcp" once, not twice'],
    [
      ["1-99:1", "10.1.1.1:50:5", "99:9"],
      'publish host port "10.1.1.1:50/tcp" once, not also on "*"',
    ],
    [
      ["10.1.1.1:9:9/udp", "10.1.1.1:1-9:1/udp"],
      'publish host port "10.1.1.1:9/udp" once, not twice',
    ],
    [["80:80", "127.0.0.1:80:80"], 'publish host port "127.0.0.1:80/tcp" once, not also on "*"'],
    [["[::]:80:80", "80:80"], 'publish host port "*:80/tcp" once, not also on "[::]"'],
    [["[::]:80:80", "[::1]:80:80"], 'publish host port "[::1]:80/tcp" once, not also on "[::]"'],
    [["127.0.0.1:80:80", "80:80"], 'publish host port "*:80/tcp" once, not also on "127.0.0.1"'],
  ];
  for (const [texts, message] of clashes) {
    test(`refuses ${texts.join(" with ")}`, () => {
      assert.throws(() => checkPublishRules(rules(...texts)), { name: "ConfigError", message });
    });
  }

  test("bounds the number of rules, not of ports, and of addresses", () => {
    checkPublishRules(rules("1-65535:1/udp", "1-65535:1/tcp"));
    checkPublishRules(Array.from({ length: 4096 }, (_, i) => parsePublish(`${i + 1}:1`)));
    const many = Array.from({ length: 4097 }, (_, i) => `${i + 1}:1`);
    assert.throws(() => checkPublishRules(rules(...many)), {
      message: "publish at most 4096 ports and ranges in all, not 4097",
    });
    const places = Array.from({ length: 127 }, (_, i) => `127.0.1.${i}:80:80`);
    checkPublishRules(rules(...places.slice(1)));
    assert.throws(() => checkPublishRules(rules(...places)), {
      message: "publish on at most 126 addresses of the host, not 127",
    });
  });

  test("counts the sockets that rules need", () => {
    const needed = (text: string, versions: 1 | 2): number =>
      publishedSockets(rules(text), versions);
    assert.deepEqual([needed("1-100:1/udp", 1), needed("1-100:1/udp", 2)], [100, 100]);
    assert.deepEqual([needed("1-100:1/tcp", 1), needed("1-100:1/tcp", 2)], [100, 200]);
    assert.equal(needed("127.0.0.1:1-100:1/tcp", 2), 100);
  });
});
