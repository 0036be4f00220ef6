/** What is gathered about the pod. */
import assert from "node:assert/strict";
import type { NetworkInterfaceInfo } from "node:os";
import { describe, test } from "node:test";
import { podNetworksOf, podVersionsOf, readPlanContext } from "../../src/cli/hook-context.ts";
import { readHookSettings } from "../../src/config/hook-settings.ts";
import { formatCidr4 } from "../../src/lib/addr.ts";

function address(cidr: string | null, internal = false): NetworkInterfaceInfo {
  const own = cidr?.split("/")[0] ?? "";
  const rest = { address: own, netmask: "", mac: "00:00:00:00:00:00", internal, cidr };
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

  test("its versions of IP are those of its own addresses, link-local ones left out", () => {
    const lo = [address("127.0.0.1/8", true), address("::1/128", true)];
    const versions = (...cidrs: string[]) =>
      podVersionsOf({ lo, eth0: cidrs.map((each) => address(each)) });
    assert.deepEqual(versions("10.1.0.2/24", "fe80::1/64"), { ipv4: true, ipv6: false });
    assert.deepEqual(versions("10.1.0.2/24", "fd00::7/64"), { ipv4: true, ipv6: true });
    assert.deepEqual(versions("fd00::7/64", "fe80::1/64"), { ipv4: false, ipv6: true });
    assert.deepEqual(versions(), { ipv4: true, ipv6: false });
  });

  test("is read into a frozen value with what was given", () => {
    const settings = readHookSettings({});
    const context = readPlanContext(settings, { autoLink: "user", memoryLimit: 7 });
    assert.ok(Object.isFrozen(context));
    assert.equal(context.settings, settings);
    assert.deepEqual([context.autoLink, context.memoryLimit], ["user", 7]);
    assert.equal(typeof context.resolvConf, "string");
  });
});
