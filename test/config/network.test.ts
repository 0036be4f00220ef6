/** The guest's network: which versions of IP are served, and what follows from addresses. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { MTU_BOUNDS, MTU_DEFAULT, NETWORK_OPTIONS, readNetwork } from "../../src/config/network.ts";
import { parseSubnet6, SUBNET6_DEFAULT } from "../../src/config/subnet6.ts";
import { settingsOf } from "./support.ts";

const read = (given: Readonly<Record<string, string>>) => readNetwork(settingsOf(given));

describe("readNetwork", () => {
  test("serves both versions by default", () => {
    const network = read({});
    assert.equal(network.ipv4, true);
    assert.deepEqual(network.subnet6, parseSubnet6(SUBNET6_DEFAULT));
    assert.equal(network.mtu, MTU_DEFAULT);
    assert.deepEqual(network.gatewayMac, [0x52, 0x55, 10, 0, 2, 2]);
  });

  test("takes the bounds of the MTU", () => {
    for (const mtu of MTU_BOUNDS) assert.equal(read({ mtu: String(mtu) }).mtu, mtu);
    assert.equal(
      NETWORK_OPTIONS.mtu.description,
      "octets of an IP packet, 576 to 65520 (default 65520)",
    );
  });

  test("serves IPv6 from an MTU of 1280 on, unless it is switched off", () => {
    assert.equal(read({ mtu: "1279" }).subnet6, undefined);
    assert.notEqual(read({ mtu: "1280" }).subnet6, undefined);
    assert.equal(read({ "no-ipv6": "true" }).subnet6, undefined);
    assert.deepEqual(read({ cidr6: "fd00::/64", mtu: "1280" }).subnet6, parseSubnet6("fd00::/64"));
    assert.equal(read({ "no-ipv4": "true", mtu: "1280" }).ipv4, false);
  });

  test("takes the gateway's MAC as given, or from its address", () => {
    assert.deepEqual(read({ mac: "02:00:00:00:00:01" }).gatewayMac, [2, 0, 0, 0, 0, 1]);
    assert.deepEqual(read({ cidr: "192.168.7.0/24" }).gatewayMac, [0x52, 0x55, 192, 168, 7, 2]);
  });

  const refused: readonly (readonly [Readonly<Record<string, string>>, string])[] = [
    [
      { "no-ipv6": "true", cidr6: "fd00::/64" },
      'drop "--cidr6" or "--no-ipv6": they contradict each other',
    ],
    [{ mtu: "1279", cidr6: "fd00::/64" }, 'raise "--mtu" to 1280 or more for IPv6, from 1279'],
    [{ mtu: "1279", "no-ipv4": "true" }, 'raise "--mtu" to 1280 or more for IPv6, from 1279'],
    [{ "no-ipv4": "true", "no-ipv6": "true" }, 'drop "--no-ipv4" or "--no-ipv6": one has to stay'],
  ];
  for (const [given, message] of refused) {
    test(`refuses ${JSON.stringify(given)}`, () => {
      assert.throws(() => read(given), { name: "ConfigError", message });
    });
  }
});
