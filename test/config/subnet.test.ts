/** The guest's network. Goal: QEMU's numbers where they fit, and only networks that can work. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { defaultGatewayMac, parseSubnet, SUBNET_DEFAULT } from "../../src/config/subnet.ts";
import { formatIpv4, formatMac } from "../../src/lib/addr.ts";

function addresses(text: string): string[] {
  const subnet = parseSubnet(text);
  return [subnet.gateway, subnet.dns, subnet.guest].map(formatIpv4);
}

describe("parseSubnet", () => {
  test("hands out QEMU's numbers in the default network", () => {
    assert.deepEqual(addresses(SUBNET_DEFAULT), ["10.0.2.2", "10.0.2.3", "10.0.2.15"]);
    assert.equal(parseSubnet(SUBNET_DEFAULT).prefixLength, 24);
    assert.equal(parseSubnet(SUBNET_DEFAULT).network, 0x0a000200);
  });

  test("keeps them from /8 to /27, and the guest at + 4 in /28 and /29", () => {
    assert.deepEqual(addresses("172.0.0.0/8"), ["172.0.0.2", "172.0.0.3", "172.0.0.15"]);
    assert.deepEqual(addresses("10.9.8.32/27"), ["10.9.8.34", "10.9.8.35", "10.9.8.47"]);
    assert.deepEqual(addresses("10.9.8.16/28"), ["10.9.8.18", "10.9.8.19", "10.9.8.20"]);
    assert.deepEqual(addresses("10.9.8.8/29"), ["10.9.8.10", "10.9.8.11", "10.9.8.12"]);
  });

  const refused: readonly (readonly [string, string])[] = [
    ["10.0.2.15/24", 'host bits are set, the network is "10.0.2.0/24"'],
    ["192.168.1.9/29", 'host bits are set, the network is "192.168.1.8/29"'],
    ["10.0.2.0/30", "wanted a prefix from /8 to /29"],
    ["10.0.0.0/7", "wanted a prefix from /8 to /29"],
    ["10.0.2.0/33", 'wanted an IPv4 network such as "10.0.2.0/24"'],
    ["10.0.2.0", 'wanted an IPv4 network such as "10.0.2.0/24"'],
    ["10.0.2/24", 'wanted an IPv4 network such as "10.0.2.0/24"'],
    ["fd10:0:2::/120", 'wanted an IPv4 network such as "10.0.2.0/24"'],
    ["", 'wanted an IPv4 network such as "10.0.2.0/24"'],
    ["0.0.0.0/8", "wanted a unicast network outside 0.0.0.0/8 and 127.0.0.0/8"],
    ["127.0.0.0/24", "wanted a unicast network outside 0.0.0.0/8 and 127.0.0.0/8"],
    ["224.0.0.0/24", "wanted a unicast network outside 0.0.0.0/8 and 127.0.0.0/8"],
    ["255.255.255.0/24", "wanted a unicast network outside 0.0.0.0/8 and 127.0.0.0/8"],
  ];
  for (const [text, message] of refused) {
    test(`refuses "${text}"`, () => {
      assert.throws(() => parseSubnet(text), { name: "ConfigError", message });
    });
  }
});

test("defaultGatewayMac is 52:55 and the address", () => {
  assert.equal(formatMac(Uint8Array.from(defaultGatewayMac(0x0a000202))), "52:55:0a:00:02:02");
  assert.equal(formatMac(Uint8Array.from(defaultGatewayMac(0xc0a8fffe))), "52:55:c0:a8:ff:fe");
});
