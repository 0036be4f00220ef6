/** Corrections of networks with host bits and of ports listed twice. */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PublishRule } from "../../../src/config/publish-rule.ts";
import { normalizeNetwork, removeDuplicatePorts } from "../../../src/hooks/domain/leniency.ts";

describe("leniency", () => {
  for (const [text, meant] of [
    ["10.0.2.0/24", "10.0.2.0/24"],
    ["10.0.2.15/24", "10.0.2.0/24"],
    ["192.168.255.255/17", "192.168.128.0/17"],
    ["255.255.255.255/1", "128.0.0.0/1"],
    ["10.0.2.1/32", "10.0.2.1/32"],
    ["10.0.2.1/0", "10.0.2.1/0"],
    ["10.0.2.1/33", "10.0.2.1/33"],
    ["10.0.2/24", "10.0.2/24"],
    ["fd00::1/64", "fd00::/64"],
    ["fd00:0:0:1::/63", "fd00::/63"],
    ["fd10:0:2::ff/120", "fd10:0:2::/120"],
    ["fd00::1/129", "fd00::1/129"],
    ["", ""],
    ["nonsense/8", "nonsense/8"],
  ] as const) {
    test(`network "${text}" means "${meant}"`, () => {
      const { value, warnings } = normalizeNetwork("iface", text);
      assert.equal(value, meant);
      const warning = `iface: network "${text}" has host bits, using "${meant}"`;
      assert.deepEqual(warnings, text === meant ? [] : [warning]);
    });
  }

  test("a port is kept once for each protocol, however often it is listed", () => {
    const rule = (protocol: "tcp" | "udp", port: number): PublishRule => {
      return { protocol, hostAddress: 0, hostPort: port, guestPort: port };
    };
    const tcp = rule("tcp", 80);
    const udp = rule("udp", 80);
    const { value, warnings } = removeDuplicatePorts("iface", [tcp, udp, { ...tcp }, { ...tcp }]);
    assert.deepEqual(value, [tcp, udp]);
    assert.deepEqual(warnings, ['iface: port "80/TCP" is listed twice']);
    assert.deepEqual(removeDuplicatePorts("iface", []), { value: [], warnings: [] });
  });
});
