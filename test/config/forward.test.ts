/** Inbound forwards. Goal: each rule becomes the sockets it says, and no two want the same one. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  checkPublishRules,
  formatHost,
  PUBLISH_COUNT_MAX,
  type PublishRule,
  parsePublish,
  publishedCount,
  publishedSockets,
} from "../../src/config/forward.ts";

const SEED = 20240229;

function rules(...texts: readonly string[]): PublishRule[] {
  return texts.flatMap(parsePublish);
}

describe("parsePublish", () => {
  test("reads a port, TCP on all addresses unless said", () => {
    assert.deepEqual(parsePublish("8080:80"), [
      { protocol: "tcp", hostAddress: 0, hostPort: 8080, guestPort: 80 },
    ]);
  });

  test("reads address and protocol", () => {
    assert.deepEqual(parsePublish("127.0.0.1:5353:53/udp"), [
      { protocol: "udp", hostAddress: 0x7f000001, hostPort: 5353, guestPort: 53 },
    ]);
    assert.equal(parsePublish("1:1/tcp")[0]?.protocol, "tcp");
  });

  test("reads an IPv6 address in brackets, and all addresses of one version", () => {
    assert.deepEqual(parsePublish("[::1]:8080:80"), [
      { protocol: "tcp", hostAddress: [0, 0, 0, 0, 0, 0, 0, 1], hostPort: 8080, guestPort: 80 },
    ]);
    assert.deepEqual(parsePublish("0.0.0.0:8080:80"), [
      { protocol: "tcp", hostAddress: 0, ipv4Only: true, hostPort: 8080, guestPort: 80 },
    ]);
    assert.equal(formatHost(parsePublish("[::]:1:1")[0] ?? { hostAddress: 7 }), "[::]");
  });

  test("leads a range to as many guest ports in step", () => {
    assert.deepEqual(parsePublish("8000-8002:80"), [
      { protocol: "tcp", hostAddress: 0, hostPort: 8000, guestPort: 80, count: 3 },
    ]);
    assert.equal(parsePublish("65535-65535:65535")[0]?.count, undefined);
    assert.equal(publishedCount(rules("1-65535:1/udp", "1-65535:1/tcp")), 131_070);
  });

  const form = "wanted [HOSTIP:]PORT[-PORT]:GUESTPORT[/tcp|/udp]";
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
      assert.equal(publishedCount(found), more + 1);
      for (const rule of found) assert.equal(rule.guestPort - rule.hostPort, b - a);
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
    const many = Array.from({ length: PUBLISH_COUNT_MAX + 1 }, (_, i) => `${i + 1}:1`);
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
