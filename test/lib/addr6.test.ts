/** IPv6 addresses: text to groups and back, strictly. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import fc from "fast-check";
import {
  formatIpv6,
  groupsOfOctets,
  linkLocalOfMac,
  mappedOctetsOf,
  octetsOfIpv6,
  readIpv6,
} from "../../src/lib/addr6.ts";

const SEED = 20261121;

describe("readIpv6 and formatIpv6", () => {
  const cases: readonly (readonly [string, string])[] = [
    ["::", "::"],
    ["::1", "::1"],
    ["fd10:0:2::2", "fd10:0:2::2"],
    ["FD10:0000:0002:0:0:0:0:2", "fd10:0:2::2"],
    ["2001:db8::", "2001:db8::"],
    ["1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"],
    ["1:0:2:3:4:5:6:7", "1:0:2:3:4:5:6:7"],
    ["1:0:0:2:0:0:0:3", "1:0:0:2::3"],
    ["1:0:0:2:3:0:0:4", "1::2:3:0:0:4"],
    ["1:2:3:4:5:6:7::", "1:2:3:4:5:6:7:0"],
    ["::ffff:192.0.2.1", "::ffff:c000:201"],
    ["64:ff9b::198.51.100.7", "64:ff9b::c633:6407"],
  ];
  for (const [text, canonical] of cases) {
    test(`"${text}" is "${canonical}"`, () => {
      const groups = readIpv6(text);
      assert.ok(groups !== undefined);
      assert.equal(groups.length, 8);
      assert.equal(formatIpv6(groups), canonical);
    });
  }

  const refused = [
    ...["", ":", ":::", "1", "1:2:3:4:5:6:7", "1:2:3:4:5:6:7:8:9", "1::2::3", "::12345", "g::"],
    ...["1:2:3:4:5:6:7:8::", "fe80::1%eth0", "192.0.2.1", "::192.0.2.1:1", "::192.0.2", " ::1"],
  ];
  for (const text of refused) {
    test(`refuses "${text}"`, () => assert.equal(readIpv6(text), undefined));
  }

  test(`what is written is read again, and has 16 octets (seed ${SEED})`, () => {
    const group = fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 0xffff }));
    const address = fc.array(group, { minLength: 8, maxLength: 8 });
    const property = fc.property(address, (groups) => {
      assert.deepEqual(readIpv6(formatIpv6(groups)), groups);
      assert.deepEqual(groupsOfOctets(octetsOfIpv6(groups)), groups);
      assert.equal(octetsOfIpv6(groups).length, 16);
    });
    fc.assert(property, { seed: SEED });
  });
});

test("an IPv4 address is mapped", () => {
  const start = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
  assert.deepEqual(mappedOctetsOf(0xc0a80164), [...start, 0xc0, 0xa8, 1, 0x64]);
});

test("only the first 16 octets are an address, and what is missing is 0", () => {
  const octets = Uint8Array.from({ length: 20 }, (_, index) => index + 1);
  const groups = [0x102, 0x304, 0x506, 0x708, 0x90a, 0xb0c, 0xd0e, 0xf10];
  assert.deepEqual(groupsOfOctets(octets), groups);
  assert.deepEqual(groupsOfOctets([0xfe]), [0xfe00, 0, 0, 0, 0, 0, 0, 0]);
});

test("the link-local address of a MAC is its modified EUI-64", () => {
  assert.equal(formatIpv6(linkLocalOfMac([0x52, 0x55, 0x0a, 0, 2, 2])), "fe80::5055:aff:fe00:202");
  assert.equal(
    formatIpv6(linkLocalOfMac([0, 1, 0xf2, 0xf3, 0xf4, 0xf5])),
    "fe80::201:f2ff:fef3:f4f5",
  );
  assert.equal(formatIpv6(linkLocalOfMac([0xff])), "fe80::fd00:ff:fe00:0");
});
