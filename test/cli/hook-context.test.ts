/** What is gathered about the pod. */
import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { describe, test } from "node:test";
import { podNetworksOf, readPlanContext } from "../../src/cli/hook-context.ts";
import { readHookSettings } from "../../src/config/hook-settings.ts";
import { formatCidr4 } from "../../src/lib/addr.ts";

function address(cidr: string | null, internal = false): NetworkInterfaceInfo {
  const rest = { address: "", netmask: "", mac: "00:00:00:00:00:00", internal, cidr };
  return cidr?.includes(":")
    ? { ...rest, family: "IPv6", scopeid: 0 }
    : { ...rest, family: "IPv4" };
}

describe("the pod", () => {
  test("its networks are IPv4's, without host bits and loopback", () => {
    const found = podNetworksOf({
      lo: [address("127.0.0.1/8", true)],
      eth0: [address("10.244.1.7/24"), address("fd00::7/64")],
      net1: [address("192.168.9.1/32"), address(null), address("x/8"), address("10.0.0.1/0")],
      none: undefined,
    });
    assert.deepEqual(found.map(formatCidr4), ["10.244.1.0/24", "192.168.9.1/32"]);
  });

  test("is read into a frozen value with what was given", () => {
    const settings = readHookSettings({});
    const context = readPlanContext(settings, "user");
    assert.ok(Object.isFrozen(context));
    assert.equal(context.settings, settings);
    assert.equal(context.autoLink, "user");
    assert.equal(typeof context.resolvConf, "string");
  });
});
