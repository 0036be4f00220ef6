/** IPv6 networks: who has which address, what is refused, how addresses are written. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import { isIpv6 } from "../../src/config/address.ts";
import { parseSubnet6, SUBNET6_DEFAULT } from "../../src/config/subnet6.ts";
import { formatIpv6 } from "../../src/lib/addr6.ts";

const SEED = 20260831;

describe("networks", () => {
  test("hand out gateway, guest and DNS", () => {
    const { network, prefixLength, gateway, guest, dns } = parseSubnet6(SUBNET6_DEFAULT);
    assert.equal(prefixLength, 64, "guests make addresses of their own (RFC 4862 §5.5.3)");
    assert.deepEqual([network, gateway, guest, dns].map(formatIpv6), [
      "fd10:0:2::",
      "fd10:0:2::1",
      "fd10:0:2::2",
      "fd10:0:2::3",
    ]);
  });

  test("of any form and any allowed size", () => {
    const net = (text: string): string => formatIpv6(parseSubnet6(text).network);
    assert.equal(net("FD00::/8"), "fd00::");
    assert.equal(net("fd00:1:2:3:4:5:6:fffc/126"), "fd00:1:2:3:4:5:6:fffc");
    assert.equal(net("2001:db8::10.0.0.0/120"), "2001:db8::a00:0");
    assert.equal(net("fd00:0:0:8000::/49"), "fd00:0:0:8000::");
  });

  const network = 'wanted an IPv6 network such as "fd10:0:2::/64"';
  const size = "wanted a prefix from /8 to /126";
  const unicast = "wanted a unicast network, neither link-local nor in 0000::/16";
  const wrong: readonly (readonly [string, string])[] = [
    ["", network],
    ["fd00::", network],
    ["fd00::/", network],
    ["fd00::/129", network],
    ["fd00:::/64", network],
    ["fd00::%eth0/64", network],
    ["10.0.2.0/24", network],
    ["fd00::/127", size],
    ["fd00::/7", size],
    ["::/0", size],
    ["fd00::1/64", "host bits are set"],
    ["fd00:0:0:1::/63", "host bits are set"],
    ["::/64", unicast],
    ["::ffff:0:0/96", unicast],
    ["fe80::/64", unicast],
    ["febf:8000::/17", unicast],
    ["ff00::/8", unicast],
  ];
  for (const [text, message] of wrong) {
    test(`"${text}" is refused`, () => {
      assert.throws(() => parseSubnet6(text), { name: "ConfigError", message });
    });
  }
});

describe("text of addresses", () => {
  test("is as RFC 5952 wants it", () => {
    const text = (...groups: number[]): string => formatIpv6(groups);
    assert.equal(text(0, 0, 0, 0, 0, 0, 0, 0), "::");
    assert.equal(text(0, 0, 0, 0, 0, 0, 0, 1), "::1");
    assert.equal(text(1, 0, 0, 0, 0, 0, 0, 0), "1::");
    assert.equal(text(0x2001, 0xdb8, 0, 1, 1, 1, 1, 1), "2001:db8:0:1:1:1:1:1");
    assert.equal(text(0x2001, 0, 0, 1, 0, 0, 0, 1), "2001:0:0:1::1");
    assert.equal(text(0x2001, 0xdb8, 0, 0, 1, 0, 0, 1), "2001:db8::1:0:0:1");
  });

  test("is read back as the same address", () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    const groups = fc.array(group, { minLength: 7, maxLength: 7 });
    fc.assert(
      fc.property(groups, fc.integer({ min: 0, max: 0x3fff }), (rest, last) => {
        const address = [0xfd00, ...rest.slice(1), last * 4];
        const text = formatIpv6(address);
        assert.ok(isIpv6(text));
        assert.deepEqual(parseSubnet6(`${text}/126`).network, address);
      }),
      { seed: SEED },
    );
  });
});
