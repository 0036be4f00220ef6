/** DHCPv6 options on the wire. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import {
  buildDhcp6Options,
  DHCP6_OPTIONS_SIZE_MAX,
  fitSearchList6,
} from "../../src/config/dhcp6-options.ts";

describe("buildDhcp6Options", () => {
  test("nothing is nothing", () => {
    assert.deepEqual(buildDhcp6Options({}), new Uint8Array(0));
  });

  test("search list: names in wire form, never compressed", () => {
    const found = buildDhcp6Options({ search: ["a.test", "b.test."] });
    const names = "\x01a\x04test\0\x01b\x04test\0";
    assert.deepEqual([...found], [0, 24, 0, 16, ...Buffer.from(names, "latin1")]);
  });

  test("NTP servers: a suboption with the address of each", () => {
    const found = buildDhcp6Options({ ntpServers: ["fd10::1"] });
    assert.deepEqual(
      [...found],
      [0, 56, 0, 20, 0, 1, 0, 16, 0xfd, 0x10, ...new Array<number>(13).fill(0), 1],
    );
  });

  test("boot file URL: as it is", () => {
    const found = buildDhcp6Options({ bootFileUrl: "tftp://x" });
    assert.deepEqual([...found], [0, 59, 0, 8, ...Buffer.from("tftp://x")]);
  });

  for (const [name, input] of [
    ["a malformed domain", { search: ["a..b"] }],
    ["an IPv4 NTP server", { ntpServers: ["192.0.2.1"] }],
    ["an empty URL", { bootFileUrl: "" }],
    ["a line end in a URL", { bootFileUrl: "tftp://x\n" }],
    ["half a surrogate pair in a URL", { bootFileUrl: "tftp://\ud800" }],
    ["too much", { bootFileUrl: "x".repeat(DHCP6_OPTIONS_SIZE_MAX) }],
  ] as const) {
    test(`refuses ${name}`, () => {
      assert.throws(() => buildDhcp6Options(input), { name: "ConfigError" });
    });
  }
});

test("fitSearchList6 keeps the beginning of what fits and leaves malformed names out", () => {
  assert.deepEqual(fitSearchList6({}, ["one.test", "no name", "two.test"]), [
    "one.test",
    "two.test",
  ]);
  const many = Array.from({ length: 100 }, (_, i) => `domain-number-${i}.example`);
  const kept = fitSearchList6({ bootFileUrl: "tftp://x" }, many);
  assert.ok(kept.length > 30 && kept.length < 100);
  assert.deepEqual(kept, many.slice(0, kept.length));
  const size = buildDhcp6Options({ search: kept, bootFileUrl: "tftp://x" }).length;
  assert.ok(size <= DHCP6_OPTIONS_SIZE_MAX);
});
