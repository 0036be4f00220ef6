/** The guest's IPv6 network: who has which address, and what is refused. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { parseSubnet6, SUBNET6_DEFAULT } from "../../src/config/subnet6.ts";
import { formatIpv6 } from "../../src/lib/addr6.ts";

describe("parseSubnet6", () => {
  test("the default has KubeVirt's numbers", () => {
    const subnet = parseSubnet6(SUBNET6_DEFAULT);
    assert.equal(subnet.prefixLength, 120);
    assert.equal(formatIpv6(subnet.gateway), "fd10:0:2::1");
    assert.equal(formatIpv6(subnet.guest), "fd10:0:2::2");
    assert.equal(formatIpv6(subnet.dns), "fd10:0:2::3");
  });

  for (const [text, prefixLength] of [
    ["fd00:1:2:3::/64", 64],
    ["2001:db8::/126", 126],
    ["fc00::/8", 8],
  ] as const) {
    test(`takes ${text}`, () => assert.equal(parseSubnet6(text).prefixLength, prefixLength));
  }

  for (const [text, message] of [
    ["fd10::", /^wanted an IPv6 network/],
    ["10.0.2.0/24", /^wanted an IPv6 network/],
    ["fd10::/129", /^wanted an IPv6 network/],
    ["fd10::/127", /^wanted a prefix from \/8 to \/126/],
    ["::/7", /^wanted a prefix/],
    ["fd10::1/64", /^host bits are set/],
    ["fe80::/64", /^wanted a unicast network/],
    ["ff00::/8", /^wanted a unicast network/],
    ["::/96", /^wanted a unicast network/],
  ] as const) {
    test(`refuses ${text}`, () => {
      assert.throws(() => parseSubnet6(text), { name: "ConfigError", message });
    });
  }
});
